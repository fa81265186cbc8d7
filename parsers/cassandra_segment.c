/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cassandra_segment.c - version 5's outer framing, and compressed bodies.
 *
 * A segment is a header with a CRC24, up to 128 KB of payload, and a CRC32 of
 * it: a header is told from other bytes with certainty.
 * Source: native_protocol_v5.spec, section 2.
 */
#include "parsers/cassandra.h"

#include <lz4.h>
#include <snappy-c.h>
#include <zlib.h>

#define HEADER_BITS 17
#define HEADER_MASK ((1u << HEADER_BITS) - 1)
#define TRAILER_BYTES 4
#define CRC24_BEGIN 0x875060
#define CRC24_POLYNOMIAL 0x1974f0b

static uint32_t crc24(uint64_t bytes, unsigned count)
{
	uint32_t crc = CRC24_BEGIN;

	for (; count--; bytes >>= 8) {
		crc ^= (uint32_t)(bytes & 0xff) << 16;
		for (int bit = 0; bit < 8; bit++) {
			crc <<= 1;
			if (crc & 0x1000000)
				crc ^= CRC24_POLYNOMIAL;
		}
	}
	return crc;
}

enum frame_verdict cassandra_segment_shape(bool compressed,
					   const uint8_t *bytes, size_t length,
					   struct frame_shape *shape,
					   uint32_t *uncompressed)
{
	unsigned head = compressed ? 5 : 3;
	struct cursor c = cursor_of(bytes, length);
	uint64_t bits = cursor_uint(&c, head), check = cursor_uint(&c, 3);

	if (c.bad)
		return FRAME_MORE;
	if (check != crc24(bits, head))
		return FRAME_NO;
	shape->header = head + 3;
	shape->body = (bits & HEADER_MASK) + TRAILER_BYTES;
	*uncompressed = compressed ?
		(uint32_t)(bits >> HEADER_BITS & HEADER_MASK) : 0;
	return FRAME_YES;
}

/* The CRC32 begins with four bytes of the specification's. */
static bool is_intact(const uint8_t *bytes, size_t length)
{
	static const uint8_t begin[] = { 0xfa, 0x2d, 0x55, 0xca };
	struct cursor c = cursor_of(bytes + length, TRAILER_BYTES);
	uLong crc = crc32(crc32(0, Z_NULL, 0), begin, sizeof(begin));

	crc = crc32(crc, bytes, (uInt)length);
	return crc == cursor_uint(&c, 4);
}

bool cassandra_segment_open(const struct buffer *body, uint32_t uncompressed,
			    bool compressed, struct buffer *plain)
{
	size_t length = body->length;

	plain->length = 0;
	if (length < TRAILER_BYTES)
		return false;
	length -= TRAILER_BYTES;
	if (!is_intact(body->bytes, length))
		return false;
	/* A payload that would have grown is sent as it is. */
	if (!compressed || !uncompressed)
		return buffer_append(plain, body->bytes, length);
	if (!buffer_reserve(plain, uncompressed) ||
	    LZ4_decompress_safe((const char *)body->bytes,
				(char *)plain->bytes, (int)length,
				(int)uncompressed) != (int)uncompressed)
		return false;
	plain->length = uncompressed;
	return true;
}

/* The length in network order, then a block. */
static bool open_lz4(const struct buffer *body, struct buffer *plain)
{
	struct cursor c = cursor_of(body->bytes, body->length);
	uint64_t size = cursor_uint_be(&c, 4);

	if (c.bad || size > CASSANDRA_PLAIN_BYTES_MAX ||
	    !buffer_reserve(plain, (size_t)size + 1) ||
	    LZ4_decompress_safe((const char *)c.at, (char *)plain->bytes,
				(int)cursor_left(&c), (int)size) != (int)size)
		return false;
	plain->length = (size_t)size;
	return true;
}

static bool open_snappy(const struct buffer *body, struct buffer *plain)
{
	const char *bytes = (const char *)body->bytes;
	size_t size;

	if (snappy_uncompressed_length(bytes, body->length, &size) !=
		    SNAPPY_OK ||
	    size > CASSANDRA_PLAIN_BYTES_MAX ||
	    !buffer_reserve(plain, size + 1) ||
	    snappy_uncompress(bytes, body->length, (char *)plain->bytes,
			      &size) != SNAPPY_OK)
		return false;
	plain->length = size;
	return true;
}

bool cassandra_body_open(enum cassandra_compression compression,
			 const struct buffer *body, struct buffer *plain)
{
	plain->length = 0;
	if (!body->length)
		return false;
	switch (compression) {
	case CQL_LZ4:
		return open_lz4(body, plain);
	case CQL_SNAPPY:
		return open_snappy(body, plain);
	default:
		/* The STARTUP that chose was not seen. */
		return open_lz4(body, plain) || open_snappy(body, plain);
	}
}
