/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap_ip.h - IPv4 and IPv6 headers, and datagrams put together again.
 */
#ifndef DATASNOOP_STREAMS_PCAP_IP_H
#define DATASNOOP_STREAMS_PCAP_IP_H

#include "streams/pcap_packet.h"

#define IP_ADDRESS_BYTES 16

struct ip_packet {
	uint16_t family; /* AF_INET, AF_INET6 */
	uint8_t protocol;
	uint8_t source[IP_ADDRESS_BYTES]; /* IPv4 in the first 4, then zeros */
	uint8_t target[IP_ADDRESS_BYTES];
	struct slice payload; /* borrowed: of the packet, or of reassembly */
};

enum ip_verdict {
	IP_WHOLE, /* *ip is filled in */
	IP_KEPT,  /* a fragment: more must come */
	IP_DROPPED, /* a fragment that cannot be used */
	IP_BAD	  /* malformed, or cut inside its headers */
};

/* Datagrams whose fragments have not all come. */
struct ip_fragments;

/* Most of them at once, and most bytes in all: the oldest are dropped. */
#define IP_DATAGRAMS_MAX 256
/* How long a datagram is waited for, as RFC 8200, 4.5 and RFC 1122, 3.3.2. */
#define IP_DATAGRAM_NS 60000000000ULL

/* None yet; NULL: out of memory. */
struct ip_fragments *ip_fragments_new(void);
void ip_fragments_free(struct ip_fragments *fragments);

/* Fragments of datagrams that were given up, so far. */
uint64_t ip_fragments_dropped(const struct ip_fragments *fragments);
/* Of datagrams that are waited for now. */
uint64_t ip_fragments_kept(const struct ip_fragments *fragments);

/*
 * ip_open - the packet whose IP header begins the slice
 * @time_ns: of the packet
 *
 * IPv6 extension headers are walked.  A fragment is kept until its datagram is
 * whole, which is then *ip, valid until the next call; where fragments overlap
 * the first wins.  A length of 0 (the sender's segmentation offload) means all
 * there is on the wire.
 * Source: RFC 791, 3.1 and 3.2; RFC 8200, 4; RFC 4302, 2.2 for AH's length.
 */
enum ip_verdict ip_open(struct ip_fragments *fragments, struct slice slice,
			uint64_t time_ns, struct ip_packet *ip);

#endif
