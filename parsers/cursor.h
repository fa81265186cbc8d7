/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cursor.h - read a message's fields without ever leaving it.
 *
 * A read past the end sets `bad`, yields zeros, and stays bad: a parser reads
 * a whole record and asks once.  cursor_uint() is little-endian, as MySQL's
 * and MongoDB's integers, cursor_uint_be() is in network order.
 */
#ifndef DATASNOOP_PARSERS_CURSOR_H
#define DATASNOOP_PARSERS_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "parsers/exchange.h"

struct cursor {
	const uint8_t *at, *end;
	bool bad;
};

static inline struct cursor cursor_of(const uint8_t *bytes, size_t length)
{
	return (struct cursor){ bytes, length ? bytes + length : bytes, false };
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

/* `length` bytes at the cursor, which moves on; NULL and bad when short. */
static inline const uint8_t *cursor_take(struct cursor *c, uint64_t length)
{
	const uint8_t *at = c->at;

	if (c->bad || length > cursor_left(c)) {
		c->bad = true;
		return NULL;
	}
	if (length)
		c->at += length;
	return at;
}

/* An unsigned integer of 1 to 8 bytes. */
static inline uint64_t cursor_uint(struct cursor *c, unsigned bytes)
{
	const uint8_t *at = cursor_take(c, bytes);
	uint64_t value = 0;

	while (at && bytes--)
		value = value << 8 | at[bytes];
	return value;
}

/* The same with its most significant byte first. */
static inline uint64_t cursor_uint_be(struct cursor *c, unsigned bytes)
{
	const uint8_t *at = cursor_take(c, bytes);
	uint64_t value = 0;

	for (unsigned i = 0; at && i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

/* `length` bytes as a span; bytes NULL when short. */
static inline struct span cursor_span(struct cursor *c, uint64_t length)
{
	const uint8_t *at = cursor_take(c, length);

	return (struct span){ (const char *)at, at ? (size_t)length : 0 };
}

/* A length-encoded integer; 0xfb (NULL) and 0xff are bad. */
static inline uint64_t cursor_lenenc(struct cursor *c)
{
	uint64_t first = cursor_uint(c, 1);

	if (first < 0xfb)
		return first;
	if (first == 0xfc)
		return cursor_uint(c, 2);
	if (first == 0xfd)
		return cursor_uint(c, 3);
	if (first == 0xfe)
		return cursor_uint(c, 8);
	c->bad = true;
	return 0;
}

/* A string behind its length-encoded length; bytes NULL when bad. */
static inline struct span cursor_string(struct cursor *c)
{
	return cursor_span(c, cursor_lenenc(c));
}

/* A string up to a NUL, which is taken too; bad when there is none. */
static inline struct span cursor_nul_string(struct cursor *c)
{
	const uint8_t *start = c->at;
	const uint8_t *nul = c->bad || start == c->end ?
		NULL : memchr(start, 0, cursor_left(c));

	if (!nul) {
		c->bad = true;
		return (struct span){ NULL, 0 };
	}
	c->at = nul + 1;
	return (struct span){ (const char *)start, (size_t)(nul - start) };
}

#endif
