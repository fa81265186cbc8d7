/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap_segment.h - what a TCP segment's header says, and of which connection.
 *
 * Source: RFC 9293, 3.1.
 */
#ifndef DATASNOOP_STREAMS_PCAP_SEGMENT_H
#define DATASNOOP_STREAMS_PCAP_SEGMENT_H

#include "streams/pcap_ip.h"

struct pcapng_note;

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* Ends are ordered by address and port: both directions have one key. */
struct tcp_key {
	uint8_t addresses[2][IP_ADDRESS_BYTES];
	uint16_t ports[2];
	uint16_t family, reserved;
	uint32_t view;
};

struct tcp_segment {
	unsigned from; /* index of the sending end in the flow's key */
	uint8_t flags;
	uint32_t seq, ack;
	struct slice data;
	uint64_t time_ns;
	const struct pcapng_note *note; /* NULL: none */
	struct tcp_key key;
};

/*
 * tcp_segment_read - a segment from an IP packet's payload
 *
 * The note is left as it is; data borrows the packet's bytes.  False: the
 * header is malformed, or the packet was cut inside it.
 */
bool tcp_segment_read(struct tcp_segment *segment, const struct ip_packet *ip,
		      const struct packet *packet);

#endif
