/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap_packet.h - a packet of a capture file, and how its bytes are read.
 *
 * A packet may be cut: fewer of its bytes are in the file than were on the
 * wire.  So each layer knows both numbers, and takes its header off both.
 */
#ifndef DATASNOOP_STREAMS_PCAP_PACKET_H
#define DATASNOOP_STREAMS_PCAP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A layer's bytes: `captured` are there, `length` were on the wire. */
struct slice {
	const uint8_t *bytes;
	size_t captured; /* <= length */
	size_t length;
};

struct packet {
	struct slice data; /* borrowed until the next packet is read */
	uint64_t time_ns;  /* since 1970; 0: the file does not say */
	int link_type;	   /* LINKTYPE_*: see pcap_link.h */
	uint32_t view;	   /* see pcapng.h; 0 in files of others */
	const char *comment; /* not terminated; NULL: none */
	size_t comment_length;
};

/* Take a header of `length` bytes off; false: it is not all there. */
static inline bool slice_skip(struct slice *slice, size_t length)
{
	if (length > slice->captured)
		return false;
	slice->bytes += length;
	slice->captured -= length;
	slice->length -= length;
	return true;
}

/* No more than `length` bytes were this layer's: the rest is padding. */
static inline void slice_limit(struct slice *slice, size_t length)
{
	slice->length = length;
	if (slice->captured > length)
		slice->captured = length;
}

/* Network byte order; the caller has seen that the bytes are there. */
static inline uint16_t read_be16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t read_be32(const uint8_t *at)
{
	return (uint32_t)read_be16(at) << 16 | read_be16(at + 2);
}

#endif
