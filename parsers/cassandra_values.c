/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cassandra_values.c - CQL's types and values, as text.
 */
#include "parsers/calendar.h"
#include "parsers/cassandra.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

enum type_id {
	T_CUSTOM = 0x00, T_BIGINT = 0x02, T_BOOLEAN = 0x04, T_COUNTER = 0x05,
	T_DECIMAL = 0x06, T_DOUBLE = 0x07, T_FLOAT = 0x08, T_INT = 0x09,
	T_TIMESTAMP = 0x0b, T_UUID = 0x0c, T_VARINT = 0x0e, T_TIMEUUID = 0x0f,
	T_INET = 0x10, T_DATE = 0x11, T_TIME = 0x12, T_SMALLINT = 0x13,
	T_TINYINT = 0x14, T_LIST = 0x20, T_MAP = 0x21, T_SET = 0x22,
	T_UDT = 0x30, T_TUPLE = 0x31
};

#define DATE_EPOCH 0x80000000u /* 1970-01-01, of a DATE */
#define MS_PER_DAY 86400000

struct span cassandra_string(struct cursor *c)
{
	return cursor_span(c, cursor_uint_be(c, 2));
}

/* Types inside of a type; they are passed over. */
static void read_inner(struct cursor *c, uint16_t id, unsigned depth)
{
	uint64_t count = 0;

	if (id == T_LIST || id == T_SET)
		count = 1;
	else if (id == T_MAP)
		count = 2;
	if (id == T_UDT) {
		cassandra_string(c);
		cassandra_string(c);
	}
	if (id == T_UDT || id == T_TUPLE)
		count = cursor_uint_be(c, 2);
	while (count-- && !c->bad) {
		if (id == T_UDT)
			cassandra_string(c);
		cassandra_type_read(c, depth + 1);
	}
}

uint16_t cassandra_type_read(struct cursor *c, unsigned depth)
{
	uint16_t id = (uint16_t)cursor_uint_be(c, 2);

	if (depth > CASSANDRA_TYPE_DEPTH_MAX) {
		c->bad = true;
		return id;
	}
	if (id == T_CUSTOM)
		cassandra_string(c);
	else
		read_inner(c, id, depth);
	return id;
}

static void put(struct buffer *out, const char *text)
{
	buffer_append(out, text, strlen(text));
}

static void put_number(struct buffer *out, int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, number);
	put(out, text);
}

static void put_clock(struct buffer *out, uint64_t units, uint64_t per_second,
		      int digits)
{
	uint64_t seconds = units / per_second;
	char text[64];

	snprintf(text, sizeof(text),
		 "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%0*" PRIu64,
		 seconds / 3600, seconds / 60 % 60, seconds % 60, digits,
		 units % per_second);
	put(out, text);
}

static void put_timestamp(struct buffer *out, int64_t ms)
{
	int64_t days = ms / MS_PER_DAY, rest = ms % MS_PER_DAY;

	if (rest < 0) {
		rest += MS_PER_DAY;
		days--;
	}
	calendar_put(out, days);
	put(out, " ");
	put_clock(out, (uint64_t)rest, 1000, 3);
}

static void put_uuid(struct buffer *out, const uint8_t *bytes)
{
	char text[4];

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			put(out, "-");
		snprintf(text, sizeof(text), "%02x", bytes[i]);
		put(out, text);
	}
}

static void put_real(struct buffer *out, uint64_t bits, bool twice)
{
	uint32_t few = (uint32_t)bits;
	char text[40];
	double number;
	float single;

	memcpy(&number, &bits, sizeof(number));
	memcpy(&single, &few, sizeof(single));
	snprintf(text, sizeof(text), twice ? "%.17g" : "%.9g",
		 twice ? number : (double)single);
	put(out, text);
}

/* Two's complement of any length; of more than 8 bytes hexadecimal. */
static void put_varint(struct buffer *out, struct cursor c, int64_t scale)
{
	size_t length = cursor_left(&c);
	uint64_t bits = length && *c.at & 0x80 ? UINT64_MAX : 0;
	char text[8];

	if (length > 8) {
		put(out, "0x");
		while (cursor_left(&c)) {
			snprintf(text, sizeof(text), "%02x",
				 (unsigned)cursor_uint(&c, 1));
			put(out, text);
		}
	} else {
		while (cursor_left(&c))
			bits = bits << 8 | cursor_uint(&c, 1);
		put_number(out, (int64_t)bits);
	}
	if (scale) {
		put(out, "e");
		put_number(out, -scale);
	}
}

static void put_address(struct buffer *out, struct span value)
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(value.length == 4 ? AF_INET : AF_INET6, value.bytes,
		      text, sizeof(text)))
		put(out, text);
}

/* An integer of the type's length; false: it is not of that length. */
static bool put_integer(uint16_t type, struct cursor c, struct buffer *out)
{
	size_t length = cursor_left(&c);
	uint64_t bits = length && length <= 8 ?
		cursor_uint_be(&c, (unsigned)length) : 0;

	if (type == T_INT && length == 4)
		put_number(out, (int32_t)bits);
	else if ((type == T_BIGINT || type == T_COUNTER) && length == 8)
		put_number(out, (int64_t)bits);
	else if (type == T_SMALLINT && length == 2)
		put_number(out, (int16_t)bits);
	else if (type == T_TINYINT && length == 1)
		put_number(out, (int8_t)bits);
	else if (type == T_BOOLEAN && length == 1)
		put(out, bits ? "true" : "false");
	else if (type == T_TIMESTAMP && length == 8)
		put_timestamp(out, (int64_t)bits);
	else if (type == T_DATE && length == 4)
		calendar_put(out, (int64_t)bits - DATE_EPOCH);
	else if (type == T_TIME && length == 8)
		put_clock(out, bits, 1000000000, 9);
	else if (type == T_DOUBLE && length == 8)
		put_real(out, bits, true);
	else if (type == T_FLOAT && length == 4)
		put_real(out, bits, false);
	else
		return false;
	return true;
}

void cassandra_value_text(uint16_t type, struct span value, struct buffer *out)
{
	const uint8_t *bytes = (const uint8_t *)value.bytes;
	struct cursor c = cursor_of(bytes, value.length);
	int64_t scale;

	if (put_integer(type, c, out))
		return;
	if ((type == T_UUID || type == T_TIMEUUID) && value.length == 16) {
		put_uuid(out, bytes);
	} else if (type == T_INET && (value.length == 4 ||
				      value.length == 16)) {
		put_address(out, value);
	} else if (type == T_VARINT) {
		put_varint(out, c, 0);
	} else if (type == T_DECIMAL && value.length > 4) {
		scale = (int32_t)cursor_uint_be(&c, 4);
		put_varint(out, c, scale);
	} else {
		buffer_append(out, bytes, value.length);
	}
}
