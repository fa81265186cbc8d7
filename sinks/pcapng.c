/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcapng.c - what was captured, decrypted, as a capture file for others.
 *
 * Source: RFC 9293 (TCP), RFC 791 and 8200 (IP), RFC 1071 (checksum).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "sinks/pcapng.h"
#include "sinks/pcapng_file.h"
#include "streams/pcapng.h"

#define IPV4_BYTES	 20
#define IPV6_BYTES	 40
#define TCP_BYTES	 20
#define TCP_SYN_BYTES	 24 /* with the window scale option */
#define HEADER_BYTES_MAX (IPV6_BYTES + TCP_SYN_BYTES)
#define SEGMENT_BYTES_MAX (65535 - IPV4_BYTES - TCP_BYTES)
#define WINDOW_SCALE	 14 /* the largest: nothing looks like a full window */

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_PSH 0x08
#define TCP_ACK 0x10

/* Ends in a fixed order, so that both views of a connection have one key. */
struct tuple {
	struct in6_addr addresses[2]; /* IPv4 mapped */
	uint32_t ports[2];
	uint32_t interface;
};

/* One direction, by enum batch_direction. */
struct lane {
	uint64_t at;	  /* stream offset: what is before it was dealt with */
	uint32_t initial; /* sequence number before offset 0 */
	bool gap;	  /* the last before `at` was one; nobody said so yet */
};

/* A connection as far as it is written. */
struct tap {
	uint64_t id;
	struct tuple tuple;
	unsigned local; /* index of the local end in the tuple */
	bool begun;
	bool noted;
	/* What the comments said last. */
	struct pcapng_note note;
	uint64_t last_ns;
	struct lane lanes[2];
	UT_hash_handle hh, hh_tuple;
};

struct pcapng_writer {
	struct pcapng_file *file;
	uint64_t wall_ns;
	struct tap *taps;   /* by connection */
	struct tap *tuples; /* by tuple: no two may look like one */
	uint32_t interfaces;
	uint32_t connections; /* numbered from 1 */
	int error;
};

/* What one segment is to say. */
struct segment {
	unsigned direction; /* enum batch_direction */
	uint8_t flags;
	uint64_t time_ns; /* not yet since 1970 */
	uint64_t took_ns;
	uint32_t tid;
	const uint8_t *data;
	size_t length;
};

int pcapng_writer_open(struct pcapng_writer **result, const char *path,
		       struct account *account, uint64_t wall_ns)
{
	struct pcapng_writer *writer = calloc(1, sizeof(*writer));
	int error = -ENOMEM;

	if (writer)
		error = pcapng_file_open(&writer->file, path, account);
	if (error) {
		free(writer);
		return error;
	}
	writer->wall_ns = wall_ns;
	*result = writer;
	return 0;
}

/* ---- packets ---- */

static void put_be16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put_be32(uint8_t *at, uint32_t value)
{
	put_be16(at, value >> 16);
	put_be16(at + 2, value);
}

/* The sum of 16-bit words in the host's order, not folded yet. */
static uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t length)
{
	uint32_t word = 0;

	for (; length >= sizeof(word); length -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		sum += word;
		bytes += sizeof(word);
	}
	word = 0;
	if (length)
		memcpy(&word, bytes, length);
	return sum + word;
}

static void checksum_put(uint8_t *at, uint64_t sum)
{
	uint16_t folded;

	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	folded = (uint16_t)~sum;
	memcpy(at, &folded, sizeof(folded));
}

static bool is_ipv4(const struct tuple *tuple)
{
	return IN6_IS_ADDR_V4MAPPED(&tuple->addresses[0]) &&
	       IN6_IS_ADDR_V4MAPPED(&tuple->addresses[1]);
}

/* The IP header; returns its length, *sum: of TCP's pseudo header. */
static size_t make_ip(uint8_t *at, const struct tuple *tuple, unsigned from,
		      size_t length, uint64_t *sum)
{
	const uint8_t *source = tuple->addresses[from].s6_addr;
	const uint8_t *target = tuple->addresses[!from].s6_addr;
	uint8_t pseudo[4] = { 0, IPPROTO_TCP };

	put_be16(pseudo + 2, (uint32_t)length);
	*sum = checksum_add(0, pseudo, sizeof(pseudo));
	if (is_ipv4(tuple)) {
		memset(at, 0, IPV4_BYTES);
		at[0] = 0x45;
		put_be16(at + 2, (uint32_t)(IPV4_BYTES + length));
		put_be16(at + 6, 0x4000); /* don't fragment */
		at[8] = 64;
		at[9] = IPPROTO_TCP;
		memcpy(at + 12, source + 12, 4);
		memcpy(at + 16, target + 12, 4);
		checksum_put(at + 10, checksum_add(0, at, IPV4_BYTES));
		*sum = checksum_add(*sum, at + 12, 8);
		return IPV4_BYTES;
	}
	memset(at, 0, 8);
	at[0] = 0x60;
	put_be16(at + 4, (uint32_t)length);
	at[6] = IPPROTO_TCP;
	at[7] = 64;
	memcpy(at + 8, source, 16);
	memcpy(at + 24, target, 16);
	*sum = checksum_add(*sum, at + 8, 32);
	return IPV6_BYTES;
}

/* The sequence number at which a lane is. */
static uint32_t lane_sequence(const struct lane *lane)
{
	return lane->initial + 1 + (uint32_t)lane->at;
}

/*
 * Both headers; returns their length.  What the other end has sent so far is
 * acknowledged, gaps too: its host got them.
 */
static size_t make_headers(uint8_t *at, const struct tap *tap,
			   const struct segment *segment)
{
	const struct lane *own = &tap->lanes[segment->direction];
	const struct lane *peer = &tap->lanes[!segment->direction];
	unsigned from = segment->direction == BATCH_OUT ? tap->local :
							  !tap->local;
	bool syn = segment->flags & TCP_SYN;
	size_t tcp_bytes = syn ? TCP_SYN_BYTES : TCP_BYTES, ip_bytes;
	uint8_t *tcp;
	uint64_t sum;

	ip_bytes = make_ip(at, &tap->tuple, from, tcp_bytes + segment->length,
			   &sum);
	tcp = at + ip_bytes;
	memset(tcp, 0, tcp_bytes);
	put_be16(tcp, tap->tuple.ports[from]);
	put_be16(tcp + 2, tap->tuple.ports[!from]);
	put_be32(tcp + 4, lane_sequence(own) - (syn ? 1 : 0));
	if (segment->flags & TCP_ACK)
		put_be32(tcp + 8, lane_sequence(peer));
	tcp[12] = (uint8_t)(tcp_bytes / 4 << 4);
	tcp[13] = segment->flags;
	put_be16(tcp + 14, 65535);
	if (syn)
		put_be32(tcp + 20, 0x01030300 | WINDOW_SCALE);
	sum = checksum_add(sum, tcp, tcp_bytes);
	checksum_put(tcp + 16, checksum_add(sum, segment->data,
					    segment->length));
	return ip_bytes + tcp_bytes;
}

/* The comment that the segment must have; returns its length, 0: none. */
static size_t make_note(struct tap *tap, const struct segment *segment,
			char *text, size_t size)
{
	struct pcapng_note note = { .tid = 0 };
	bool thread = segment->tid && segment->tid != tap->note.tid;

	if (tap->noted && !thread && !segment->took_ns)
		return 0;
	if (thread)
		tap->note.tid = segment->tid;
	if (!tap->noted) {
		note = tap->note;
		note.end = segment->direction == BATCH_OUT ? NOTE_END_SOURCE :
							     NOTE_END_TARGET;
		tap->noted = true;
	} else if (thread) {
		note.tid = segment->tid;
	}
	note.took_ns = segment->took_ns;
	return pcapng_note_encode(&note, text, size);
}

static void put_segment(struct pcapng_writer *writer, struct tap *tap,
			const struct segment *segment)
{
	uint8_t header[HEADER_BYTES_MAX];
	char text[PCAPNG_NOTE_BYTES_MAX];
	struct pcapng_packet packet = {
		.interface = tap->tuple.interface,
		.outbound = segment->direction == BATCH_OUT,
		.time_ns = segment->time_ns ?
				   segment->time_ns + writer->wall_ns : 0,
		.header = header,
		.data = segment->data,
		.length = segment->length,
		.comment = text,
	};

	packet.header_length = make_headers(header, tap, segment);
	packet.comment_length = make_note(tap, segment, text, sizeof(text));
	pcapng_file_packet(writer->file, &packet);
	if (segment->flags & TCP_ACK)
		tap->lanes[!segment->direction].gap = false;
}

/* A segment without data. */
static void put_control(struct pcapng_writer *writer, struct tap *tap,
			unsigned direction, uint8_t flags)
{
	put_segment(writer, tap, &(struct segment){
		.direction = direction,
		.flags = flags,
		.time_ns = tap->last_ns,
	});
}

/* ---- connections ---- */

/* An end's address, IPv4 mapped; false: it is none of IP, or not known. */
static bool address_of(const struct endpoint *endpoint, struct in6_addr *in6)
{
	*in6 = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
	return inet_pton(AF_INET, endpoint->address, in6->s6_addr + 12) == 1 ||
	       inet_pton(AF_INET6, endpoint->address, in6) == 1;
}

/* An address nobody has, for that end of the connection of that number. */
static struct in6_addr stand_in(unsigned end, uint32_t number)
{
	static const uint8_t prefix[] = PCAPNG_STAND_IN;
	struct in6_addr in6 = { .s6_addr = { 0 } };

	memcpy(in6.s6_addr, prefix, sizeof(prefix));
	in6.s6_addr[11] = (uint8_t)(end + 1);
	put_be32(in6.s6_addr + 12, number);
	return in6;
}

/*
 * The key of a connection's addresses; the interface comes later.  The first
 * end is that of the higher port, most likely the client's.
 */
static void make_tuple(struct tap *tap, const struct connection *connection,
		       uint32_t number)
{
	const struct endpoint *ends[2] = { &connection->local,
					   &connection->remote };
	struct in6_addr addresses[2];
	uint16_t ports[2];
	unsigned i;

	for (i = 0; i < 2; i++) {
		ports[i] = ends[i]->port;
		if (address_of(ends[i], &addresses[i]))
			continue;
		addresses[i] = stand_in(i, number);
		ports[i] = 0;
	}
	if (ports[0] == ports[1])
		tap->local = memcmp(&addresses[0], &addresses[1],
				    sizeof(addresses[0])) > 0;
	else
		tap->local = ports[0] < ports[1];
	memset(&tap->tuple, 0, sizeof(tap->tuple));
	for (i = 0; i < 2; i++) {
		tap->tuple.addresses[tap->local ^ i] = addresses[i];
		tap->tuple.ports[tap->local ^ i] = ports[i];
	}
}

/* The interfaces up to that one are described. */
static void describe_interfaces(struct pcapng_writer *writer, uint32_t last)
{
	static const char *const ends[] = { "client", "server" };
	static const char *const descriptions[] = {
		"decrypted; traced at the end of the higher port",
		"decrypted; traced at the end of the lower port",
	};
	char name[32];

	for (; writer->interfaces <= last; writer->interfaces++) {
		uint32_t turn = writer->interfaces / 2;

		snprintf(name, sizeof(name), turn ? "%s%u" : "%s",
			 ends[writer->interfaces % 2], turn + 1);
		pcapng_file_interface(writer->file, name,
				      descriptions[writer->interfaces % 2]);
	}
}

/*
 * An interface on which no other connection has these addresses: two ends on
 * one host have the same, and so have two TLS objects on one socket.
 */
static bool choose_interface(struct pcapng_writer *writer, struct tap *tap)
{
	struct tap *other;

	for (tap->tuple.interface = tap->local;
	     tap->tuple.interface < PCAPNG_INTERFACES_MAX;
	     tap->tuple.interface += 2) {
		HASH_FIND(hh_tuple, writer->tuples, &tap->tuple,
			  sizeof(tap->tuple), other);
		if (other)
			continue;
		HASH_ADD(hh_tuple, writer->tuples, tuple, sizeof(tap->tuple),
			 tap);
		if (!tap->hh_tuple.tbl)
			return false;
		describe_interfaces(writer, tap->tuple.interface);
		return true;
	}
	return false;
}

static void tap_free(struct pcapng_writer *writer, struct tap *tap)
{
	if (tap->hh_tuple.tbl)
		HASH_DELETE(hh_tuple, writer->tuples, tap);
	HASH_DEL(writer->taps, tap);
	free(tap);
}

/* The connection's tap, made when it is new; NULL: out of memory. */
static struct tap *tap_of(struct pcapng_writer *writer,
			  const struct connection *connection)
{
	uint64_t id = connection->id;
	struct tap *tap;

	HASH_FIND(hh, writer->taps, &id, sizeof(id), tap);
	if (tap)
		return tap;
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return NULL;
	tap->id = id;
	HASH_ADD(hh, writer->taps, id, sizeof(tap->id), tap);
	if (tap->hh.tbl)
		return tap;
	free(tap);
	return NULL;
}

static uint8_t tls_number(const char *tls)
{
	const char *name;
	uint8_t i;

	for (i = BATCH_TLS_NONE + 1; (name = connection_tls_name(i)); i++)
		if (tls && !strcmp(name, tls))
			return i;
	return BATCH_TLS_NONE;
}

/* An address as a comment has it: not where the packets say it. */
static struct endpoint note_endpoint(const struct endpoint *endpoint)
{
	struct in6_addr unused;

	if (address_of(endpoint, &unused))
		return (struct endpoint){ .port = 0 };
	return *endpoint;
}

static bool same_process(const struct process *a, const struct process *b)
{
	return a->pid == b->pid && a->uid == b->uid &&
	       !strcmp(a->comm, b->comm) &&
	       !strcmp(a->executable, b->executable) &&
	       !strcmp(a->command_line, b->command_line) &&
	       !strcmp(a->user, b->user) &&
	       !strcmp(a->container, b->container) &&
	       !strcmp(a->runtime, b->runtime) &&
	       !strcmp(a->pod, b->pod) && !strcmp(a->cgroup, b->cgroup);
}

/* Whose it is; what changed is said with the next packet. */
static void tap_describe(struct tap *tap, const struct connection *connection)
{
	struct pcapng_note *note = &tap->note;
	uint8_t tls = tls_number(connection->tls);

	if (tap->begun && note->tls == tls &&
	    note->peer_pid == connection->peer_pid &&
	    note->address_inferred == connection->address_inferred &&
	    same_process(&note->process, &connection->process))
		return;
	*note = (struct pcapng_note){
		.process = connection->process,
		.tid = note->tid,
		.tls = tls,
		.peer_pid = connection->peer_pid,
		.address_inferred = connection->address_inferred,
		.local = note_endpoint(&connection->local),
		.remote = note_endpoint(&connection->remote),
	};
	tap->noted = false;
}

/*
 * Sequence numbers differ from those of an earlier connection of the same
 * addresses, which might else be taken for the same: Knuth's multiplier
 * spreads the connections' numbers.
 */
static bool tap_begin(struct pcapng_writer *writer, struct tap *tap,
		      const struct connection *connection)
{
	uint32_t number = ++writer->connections;
	unsigned client;

	make_tuple(tap, connection, number);
	if (!choose_interface(writer, tap))
		return false;
	tap->begun = true;
	tap->lanes[BATCH_IN].initial = number * 2654435761u;
	tap->lanes[BATCH_OUT].initial = ~tap->lanes[BATCH_IN].initial;
	if (connection->midstream || tap->lanes[BATCH_IN].at ||
	    tap->lanes[BATCH_OUT].at)
		return true;
	client = tap->local ? BATCH_IN : BATCH_OUT;
	put_control(writer, tap, client, TCP_SYN);
	put_control(writer, tap, !client, TCP_SYN | TCP_ACK);
	put_control(writer, tap, client, TCP_ACK);
	return true;
}

/* What is next in each direction. */
struct heads {
	enum stream_has has[2];
	struct window windows[2];
	uint64_t gaps[2];
};

/* False: nothing that was not written yet. */
static bool look(const struct tap *tap, const struct connection *connection,
		 struct heads *heads)
{
	unsigned i;

	for (i = 0; i < 2; i++)
		heads->has[i] = stream_peek(connection->streams[i],
					    tap->lanes[i].at,
					    &heads->windows[i],
					    &heads->gaps[i]);
	return heads->has[0] != STREAM_NONE || heads->has[1] != STREAM_NONE;
}

/* The direction whose bytes are the older; one of the two has some. */
static unsigned older(const struct heads *heads)
{
	unsigned i;

	for (i = 0; i < 2; i++)
		if (heads->has[i] != STREAM_BYTES)
			return !i;
	return window_last_ns(&heads->windows[BATCH_OUT], 0) <=
			       window_last_ns(&heads->windows[BATCH_IN], 0) ?
		       BATCH_OUT : BATCH_IN;
}

/* The bytes of one mark, as many as a packet has room for. */
static void put_bytes(struct pcapng_writer *writer, struct tap *tap,
		      unsigned direction, const struct window *window)
{
	struct lane *lane = &tap->lanes[direction];
	struct segment segment = {
		.direction = direction,
		.flags = TCP_PSH | TCP_ACK,
		.time_ns = window_last_ns(window, 0),
		.tid = window_tid(window, 0),
		.data = window->bytes,
		.length = window->mark_count ? window_mark_end(window, 0) :
					       window->length,
	};
	uint64_t first_ns = window_first_ns(window, 0);

	lane->at = window->offset;
	if (first_ns && first_ns < segment.time_ns)
		segment.took_ns = segment.time_ns - first_ns;
	if (segment.length > SEGMENT_BYTES_MAX)
		segment.length = SEGMENT_BYTES_MAX;
	tap->last_ns = segment.time_ns;
	lane->gap = false;
	put_segment(writer, tap, &segment);
	lane->at += segment.length;
}

/* All there is, up to the first hole of each direction. */
static void tap_write(struct pcapng_writer *writer, struct tap *tap,
		      const struct connection *connection)
{
	struct heads heads;
	unsigned i;

	while (look(tap, connection, &heads)) {
		for (i = 0; i < 2; i++) {
			if (heads.has[i] != STREAM_GAP)
				continue;
			tap->lanes[i].at = heads.windows[i].offset +
					   heads.gaps[i];
			tap->lanes[i].gap = true;
		}
		if (heads.has[0] == STREAM_GAP || heads.has[1] == STREAM_GAP)
			continue;
		i = older(&heads);
		put_bytes(writer, tap, i, &heads.windows[i]);
	}
	/* A gap that nothing follows is told by the other end, which got it. */
	for (i = 0; i < 2; i++)
		if (tap->lanes[i].gap)
			put_control(writer, tap, !i, TCP_ACK);
}

/* Its first bytes are to be written: where it begins, and when. */
static bool tap_start(struct pcapng_writer *writer, struct tap *tap,
		      const struct connection *connection,
		      const struct heads *heads)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		uint64_t ns = window_first_ns(&heads->windows[i], 0);

		tap->lanes[i].at = heads->windows[i].offset;
		if (ns && (!tap->last_ns || ns < tap->last_ns))
			tap->last_ns = ns;
	}
	return tap_begin(writer, tap, connection);
}

static void tap_finish(struct pcapng_writer *writer, struct tap *tap,
		       const struct connection *connection)
{
	if (tap->begun && connection->ended) {
		put_control(writer, tap, BATCH_OUT, TCP_FIN | TCP_ACK);
		tap->lanes[BATCH_OUT].at++;
		put_control(writer, tap, BATCH_IN, TCP_FIN | TCP_ACK);
		tap->lanes[BATCH_IN].at++;
		put_control(writer, tap, BATCH_OUT, TCP_ACK);
	}
	tap_free(writer, tap);
}

void pcapng_writer_take(struct pcapng_writer *writer,
			const struct connection *connection)
{
	struct tap *tap = tap_of(writer, connection);
	struct heads heads;
	bool started = true;

	if (tap) {
		tap_describe(tap, connection);
		if (!tap->begun && look(tap, connection, &heads))
			started = tap_start(writer, tap, connection, &heads);
		if (tap->begun)
			tap_write(writer, tap, connection);
		if (connection->closed)
			tap_finish(writer, tap, connection);
	}
	if (!tap || !started)
		writer->error = writer->error ? writer->error : -ENOMEM;
}

int pcapng_writer_error(const struct pcapng_writer *writer)
{
	int error = pcapng_file_error(writer->file);

	return error ? error : writer->error;
}

int pcapng_writer_flush(struct pcapng_writer *writer)
{
	pcapng_file_flush(writer->file);
	return pcapng_writer_error(writer);
}

int pcapng_writer_close(struct pcapng_writer *writer)
{
	struct tap *tap, *next;
	int error;

	HASH_ITER (hh, writer->taps, tap, next)
		tap_free(writer, tap);
	error = pcapng_file_close(writer->file);
	if (!error)
		error = writer->error;
	free(writer);
	return error;
}
