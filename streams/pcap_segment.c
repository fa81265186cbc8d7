/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap_segment.c - a TCP segment's header -> numbers, data, and its ends' key.
 */
#include <string.h>

#include "streams/pcap_segment.h"

#define TCP_BYTES 20 /* of a header without options */

/* Which end sends, and the key that both directions share. */
static void make_key(struct tcp_segment *segment, const struct ip_packet *ip,
		     uint16_t source_port, uint16_t target_port, uint32_t view)
{
	struct tcp_key *key = &segment->key;
	int order = memcmp(ip->source, ip->target, IP_ADDRESS_BYTES);

	if (!order)
		order = source_port < target_port ? -1 : 1;
	segment->from = order > 0;
	memset(key, 0, sizeof(*key));
	memcpy(key->addresses[segment->from], ip->source, IP_ADDRESS_BYTES);
	memcpy(key->addresses[!segment->from], ip->target, IP_ADDRESS_BYTES);
	key->ports[segment->from] = source_port;
	key->ports[!segment->from] = target_port;
	key->family = ip->family;
	key->view = view;
}

bool tcp_segment_read(struct tcp_segment *segment, const struct ip_packet *ip,
		      const struct packet *packet)
{
	const uint8_t *header = ip->payload.bytes;
	size_t header_bytes;

	if (ip->payload.captured < TCP_BYTES)
		return false;
	header_bytes = 4u * (header[12] >> 4);
	if (header_bytes < TCP_BYTES || header_bytes > ip->payload.length)
		return false;
	segment->seq = read_be32(header + 4);
	segment->ack = read_be32(header + 8);
	segment->flags = header[13];
	segment->time_ns = packet->time_ns;
	segment->data = ip->payload;
	if (!slice_skip(&segment->data, header_bytes)) {
		/* Cut in the options: of the data is known how much it was. */
		segment->data.captured = 0;
		segment->data.length -= header_bytes;
	}
	make_key(segment, ip, read_be16(header), read_be16(header + 2),
		 packet->view);
	return true;
}
