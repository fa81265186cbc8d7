/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap_ip.c - IPv4 and IPv6 headers, and datagrams put together again.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <utlist.h>

#include "streams/pcap_ip.h"

#define IPV4_BYTES	    20
#define IPV6_BYTES	    40
#define EXTENSIONS_MAX	    16 /* headers walked: real packets have two */
#define DATAGRAM_BYTES_MAX  65535
#define FRAGMENTS_MAX	    256 /* of a datagram: more are an attack */

#define HEADER_HOP_BY_HOP   0
#define HEADER_ROUTING	    43
#define HEADER_FRAGMENT	    44
#define HEADER_AUTHENTICATION 51
#define HEADER_DESTINATION  60
#define HEADER_MOBILITY	    135
#define HEADER_HIP	    139
#define HEADER_SHIM6	    140

/* What a fragment header says, of either version. */
struct fragment {
	uint32_t id;
	size_t offset; /* bytes */
	bool more;
};

struct range {
	size_t start, end;
};

struct datagram {
	struct ip_packet ip; /* payload unused until it is whole */
	uint32_t id;
	uint64_t time_ns;
	uint8_t *bytes; /* of `room` */
	size_t room;
	size_t length; /* 0: the last fragment has not come */
	struct range ranges[FRAGMENTS_MAX]; /* sorted, do not touch */
	unsigned range_count;
	unsigned fragments;
	struct datagram *prev, *next;
};

struct ip_fragments {
	struct datagram *datagrams; /* oldest first */
	unsigned count;
	struct datagram *whole; /* given out last */
	uint64_t kept, dropped;
};

struct ip_fragments *ip_fragments_new(void)
{
	return calloc(1, sizeof(struct ip_fragments));
}

static void datagram_free(struct datagram *datagram)
{
	if (datagram)
		free(datagram->bytes);
	free(datagram);
}

/* Out of the list, to be freed or given out. */
static void datagram_remove(struct ip_fragments *fragments,
			    struct datagram *datagram)
{
	DL_DELETE(fragments->datagrams, datagram);
	fragments->count--;
	fragments->kept -= datagram->fragments;
}

static void datagram_drop(struct ip_fragments *fragments,
			  struct datagram *datagram)
{
	datagram_remove(fragments, datagram);
	fragments->dropped += datagram->fragments;
	datagram_free(datagram);
}

void ip_fragments_free(struct ip_fragments *fragments)
{
	if (!fragments)
		return;
	while (fragments->datagrams)
		datagram_drop(fragments, fragments->datagrams);
	datagram_free(fragments->whole);
	free(fragments);
}

uint64_t ip_fragments_dropped(const struct ip_fragments *fragments)
{
	return fragments->dropped;
}

uint64_t ip_fragments_kept(const struct ip_fragments *fragments)
{
	return fragments->kept;
}

static bool datagram_is(const struct datagram *datagram,
			const struct ip_packet *ip, uint32_t id)
{
	return datagram->id == id && datagram->ip.family == ip->family &&
	       datagram->ip.protocol == ip->protocol &&
	       !memcmp(datagram->ip.source, ip->source, IP_ADDRESS_BYTES) &&
	       !memcmp(datagram->ip.target, ip->target, IP_ADDRESS_BYTES);
}

/* The datagram that a fragment is of, made when new; NULL: out of memory. */
static struct datagram *datagram_of(struct ip_fragments *fragments,
				    const struct ip_packet *ip, uint32_t id,
				    uint64_t time_ns)
{
	struct datagram *datagram;

	while (fragments->datagrams &&
	       (fragments->count >= IP_DATAGRAMS_MAX ||
		time_ns > fragments->datagrams->time_ns + IP_DATAGRAM_NS))
		datagram_drop(fragments, fragments->datagrams);
	DL_FOREACH (fragments->datagrams, datagram)
		if (datagram_is(datagram, ip, id))
			return datagram;
	datagram = calloc(1, sizeof(*datagram));
	if (!datagram)
		return NULL;
	datagram->ip = *ip;
	datagram->id = id;
	datagram->time_ns = time_ns;
	DL_APPEND(fragments->datagrams, datagram);
	fragments->count++;
	return datagram;
}

/* Room for bytes up to `end`; false: out of memory. */
static bool datagram_reserve(struct datagram *datagram, size_t end)
{
	size_t room = datagram->room ? 2 * datagram->room : 4096;
	uint8_t *bytes;

	if (end <= datagram->room)
		return true;
	if (room < end)
		room = end;
	bytes = realloc(datagram->bytes, room);
	if (!bytes)
		return false;
	datagram->bytes = bytes;
	datagram->room = room;
	return true;
}

/* Put ranges[i] there; those that touch become one. */
static bool datagram_note(struct datagram *datagram, size_t start, size_t end)
{
	struct range *ranges = datagram->ranges;
	unsigned first = 0, last, count = datagram->range_count;

	while (first < count && ranges[first].end < start)
		first++;
	for (last = first; last < count && ranges[last].start <= end; last++) {
		if (ranges[last].start < start)
			start = ranges[last].start;
		if (ranges[last].end > end)
			end = ranges[last].end;
	}
	if (last == first && count == FRAGMENTS_MAX)
		return false;
	memmove(ranges + first + 1, ranges + last,
		(count - last) * sizeof(*ranges));
	ranges[first] = (struct range){ start, end };
	datagram->range_count = count - (last - first) + 1;
	return true;
}

/* Store those bytes that no earlier fragment brought. */
static bool datagram_add(struct datagram *datagram,
			 const struct slice *payload, size_t offset)
{
	size_t end = offset + payload->length, at = offset, stop;
	unsigned i;

	if (!datagram_reserve(datagram, end))
		return false;
	for (i = 0; i <= datagram->range_count && at < end; i++) {
		bool is_last = i == datagram->range_count;

		stop = is_last ? end : datagram->ranges[i].start;
		if (stop > end)
			stop = end;
		if (stop > at)
			memcpy(datagram->bytes + at,
			       payload->bytes + (at - offset), stop - at);
		if (!is_last && datagram->ranges[i].end > at)
			at = datagram->ranges[i].end;
	}
	return datagram_note(datagram, offset, end);
}

static bool datagram_is_whole(const struct datagram *datagram)
{
	return datagram->length && datagram->range_count == 1 &&
	       !datagram->ranges[0].start &&
	       datagram->ranges[0].end >= datagram->length;
}

/* A fragment of *ip, which becomes the whole when this was the last. */
static enum ip_verdict fragment_add(struct ip_fragments *fragments,
				    const struct fragment *fragment,
				    uint64_t time_ns, struct ip_packet *ip)
{
	struct slice payload = ip->payload;
	struct datagram *datagram;

	if (payload.captured < payload.length || !payload.length ||
	    fragment->offset + payload.length > DATAGRAM_BYTES_MAX) {
		fragments->dropped++;
		return IP_DROPPED;
	}
	datagram = datagram_of(fragments, ip, fragment->id, time_ns);
	if (!datagram) {
		fragments->dropped++;
		return IP_DROPPED;
	}
	datagram->fragments++;
	fragments->kept++;
	if (!fragment->more && !datagram->length)
		datagram->length = fragment->offset + payload.length;
	if (!datagram_add(datagram, &payload, fragment->offset)) {
		datagram_drop(fragments, datagram);
		return IP_DROPPED;
	}
	if (!datagram_is_whole(datagram))
		return IP_KEPT;
	datagram_remove(fragments, datagram);
	datagram_free(fragments->whole);
	fragments->whole = datagram;
	*ip = datagram->ip;
	ip->payload = (struct slice){ datagram->bytes, datagram->length,
				      datagram->length };
	return IP_WHOLE;
}

static enum ip_verdict open_ipv4(struct ip_fragments *fragments,
				 struct slice slice, uint64_t time_ns,
				 struct ip_packet *ip)
{
	const uint8_t *header = slice.bytes;
	struct fragment fragment;
	size_t header_bytes, total;
	uint16_t flags;

	if (slice.captured < IPV4_BYTES)
		return IP_BAD;
	header_bytes = 4 * (header[0] & 0x0fu);
	total = read_be16(header + 2);
	if (total && total < slice.length)
		slice_limit(&slice, total);
	else if (total)
		slice.length = total;
	if (header_bytes < IPV4_BYTES || (total && total < header_bytes) ||
	    !slice_skip(&slice, header_bytes))
		return IP_BAD;
	*ip = (struct ip_packet){ .family = AF_INET, .protocol = header[9],
				  .payload = slice };
	memcpy(ip->source, header + 12, 4);
	memcpy(ip->target, header + 16, 4);
	flags = read_be16(header + 6);
	fragment.id = read_be16(header + 4);
	fragment.offset = 8 * (flags & 0x1fffu);
	fragment.more = flags & 0x2000;
	if (!fragment.more && !fragment.offset)
		return IP_WHOLE;
	return fragment_add(fragments, &fragment, time_ns, ip);
}

/* Bytes of an extension header that begins there; 0: it is none. */
static size_t extension_bytes(uint8_t type, const uint8_t *header)
{
	switch (type) {
	case HEADER_HOP_BY_HOP:
	case HEADER_ROUTING:
	case HEADER_DESTINATION:
	case HEADER_MOBILITY:
	case HEADER_HIP:
	case HEADER_SHIM6:
		return 8 * (header[1] + 1u);
	case HEADER_AUTHENTICATION:
		return 4 * (header[1] + 2u);
	case HEADER_FRAGMENT:
		return 8;
	default:
		return 0;
	}
}

/*
 * Walk to the payload.  *fragment is filled in, and true in *is_fragment,
 * where a fragment header said so: what is behind it is walked when the
 * datagram is whole.  False: malformed or cut.
 */
static bool walk_extensions(struct ip_packet *ip, struct fragment *fragment,
			    bool *is_fragment)
{
	const uint8_t *header;
	unsigned walked;
	uint8_t type;
	size_t size;

	for (walked = 0; walked < EXTENSIONS_MAX; walked++) {
		uint8_t none[2] = { 0, 0 };

		if (!extension_bytes(ip->protocol, none))
			return true;
		header = ip->payload.bytes;
		type = ip->protocol;
		if (ip->payload.captured < 8)
			return false;
		size = extension_bytes(type, header);
		if (!slice_skip(&ip->payload, size))
			return false;
		ip->protocol = header[0];
		if (type != HEADER_FRAGMENT)
			continue;
		fragment->offset = read_be16(header + 2) & 0xfff8u;
		fragment->more = header[3] & 1;
		fragment->id = read_be32(header + 4);
		*is_fragment = fragment->offset || fragment->more;
		if (*is_fragment)
			return true;
	}
	return false;
}

static enum ip_verdict open_ipv6(struct ip_fragments *fragments,
				 struct slice slice, uint64_t time_ns,
				 struct ip_packet *ip)
{
	const uint8_t *header = slice.bytes;
	struct fragment fragment;
	bool is_fragment = false;
	enum ip_verdict verdict;
	size_t length;

	if (!slice_skip(&slice, IPV6_BYTES))
		return IP_BAD;
	length = read_be16(header + 4);
	if (length && length < slice.length)
		slice_limit(&slice, length);
	else if (length)
		slice.length = length;
	*ip = (struct ip_packet){ .family = AF_INET6, .protocol = header[6],
				  .payload = slice };
	memcpy(ip->source, header + 8, IP_ADDRESS_BYTES);
	memcpy(ip->target, header + 24, IP_ADDRESS_BYTES);
	if (!walk_extensions(ip, &fragment, &is_fragment))
		return IP_BAD;
	if (!is_fragment)
		return IP_WHOLE;
	verdict = fragment_add(fragments, &fragment, time_ns, ip);
	if (verdict != IP_WHOLE)
		return verdict;
	is_fragment = false;
	if (!walk_extensions(ip, &fragment, &is_fragment) || is_fragment)
		return IP_BAD;
	return IP_WHOLE;
}

enum ip_verdict ip_open(struct ip_fragments *fragments, struct slice slice,
			uint64_t time_ns, struct ip_packet *ip)
{
	switch (slice.captured ? slice.bytes[0] >> 4 : 0) {
	case 4:
		return open_ipv4(fragments, slice, time_ns, ip);
	case 6:
		return open_ipv6(fragments, slice, time_ns, ip);
	default:
		return IP_BAD;
	}
}
