/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgsql_values.c - fields of rows and parameters as text.
 *
 * In text format they are that already.  In binary format numbers are in
 * network order, times count from 2000-01-01, a numeric is in digits to the
 * base 10,000.  Arrays of one dimension are written as PostgreSQL does, without
 * its quotes.
 * OIDs: PostgreSQL's src/include/catalog/pg_type.dat.
 */
#include "parsers/pgsql.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DAY_US		 86400000000ll
#define NUMERIC_GROUPS_MAX 1024 /* of four digits; the rest is left out */
#define TEXT_PER_BYTE	 4	/* of a field, at most, and besides: */
#define TEXT_MAX	 64	/* bytes */
#define ARRAY_HEADER_BYTES 20	/* of one dimension */

enum oid {
	OID_BOOL = 16,
	OID_BYTEA = 17,
	OID_CHAR = 18,
	OID_NAME = 19,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_OID = 26,
	OID_JSON = 114,
	OID_XML = 142,
	OID_CIDR = 650,
	OID_FLOAT4 = 700,
	OID_FLOAT8 = 701,
	OID_UNKNOWN = 705,
	OID_MACADDR = 829,
	OID_INET = 869,
	OID_BPCHAR = 1042,
	OID_VARCHAR = 1043,
	OID_DATE = 1082,
	OID_TIME = 1083,
	OID_TIMESTAMP = 1114,
	OID_TIMESTAMPTZ = 1184,
	OID_INTERVAL = 1186,
	OID_TIMETZ = 1266,
	OID_NUMERIC = 1700,
	OID_UUID = 2950,
	OID_JSONB = 3802
};

static void put(struct buffer *out, const char *text, size_t length)
{
	buffer_gather(out, text, length, VALUE_BYTES_MAX);
}

__attribute__((format(printf, 2, 3)))
static void print(struct buffer *out, const char *format, ...)
{
	char text[128];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length > 0)
		put(out, text, (size_t)length < sizeof(text) ?
				       (size_t)length : sizeof(text) - 1);
}

static void put_hex(struct buffer *out, struct span field)
{
	put(out, "\\x", 2);
	for (size_t i = 0; i < field.length && i < VALUE_BYTES_MAX / 2 - 1; i++)
		print(out, "%02x", (uint8_t)field.bytes[i]);
}

/* Days from 2000-01-01; the Gregorian calendar, however long ago. */
static void put_date(struct buffer *out, int64_t days)
{
	/* From 0000-03-01 on, in eras of 400 years: H. Hinnant's
	 * civil_from_days, howardhinnant.github.io/date_algorithms.html */
	int64_t z = days + 730425, era, year;
	uint32_t day_of_era, year_of_era, day_of_year, month;

	era = (z >= 0 ? z : z - 146096) / 146097;
	day_of_era = (uint32_t)(z - era * 146097);
	year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
		       day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 -
				    year_of_era / 100);
	month = (5 * day_of_year + 2) / 153;
	year = era * 400 + year_of_era + (month >= 10);
	print(out, "%04" PRId64 "-%02u-%02u%s", year > 0 ? year : 1 - year,
	      month < 10 ? month + 3 : month - 9,
	      day_of_year - (153 * month + 2) / 5 + 1, year > 0 ? "" : " BC");
}

static void put_time(struct buffer *out, int64_t us)
{
	const char *sign = us < 0 ? "-" : "";
	uint64_t left = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
	unsigned digits = 6, fraction = (unsigned)(left % 1000000);

	left /= 1000000;
	print(out, "%s%02" PRIu64 ":%02u:%02u", sign, left / 3600,
	      (unsigned)(left / 60 % 60), (unsigned)(left % 60));
	if (!fraction)
		return;
	for (; !(fraction % 10); fraction /= 10)
		digits--;
	print(out, ".%0*u", (int)digits, fraction);
}

static void put_timestamp(struct buffer *out, int64_t us, const char *zone)
{
	int64_t days = us / DAY_US;

	if (us == INT64_MAX || us == INT64_MIN) {
		print(out, us > 0 ? "infinity" : "-infinity");
		return;
	}
	if (us % DAY_US < 0)
		days--;
	put_date(out, days);
	print(out, " ");
	put_time(out, us - days * DAY_US);
	print(out, "%s", zone);
}

static void put_interval(struct buffer *out, struct cursor *c)
{
	int64_t us = (int64_t)cursor_uint_be(c, 8);
	int32_t days = (int32_t)cursor_uint_be(c, 4);
	int32_t months = (int32_t)cursor_uint_be(c, 4);

	if (months)
		print(out, "%" PRId32 " mons ", months);
	if (days)
		print(out, "%" PRId32 " days ", days);
	put_time(out, us);
}

static void put_numeric(struct buffer *out, struct cursor *c)
{
	uint64_t groups = cursor_uint_be(c, 2);
	int weight = (int16_t)cursor_uint_be(c, 2);
	uint64_t sign = cursor_uint_be(c, 2), scale = cursor_uint_be(c, 2);
	uint64_t taken = 0;

	if (sign >= 0xc000) {
		print(out, sign == 0xc000 ? "NaN" : sign == 0xd000 ?
		      "Infinity" : "-Infinity");
		return;
	}
	if (sign == 0x4000)
		print(out, "-");
	if (weight < 0)
		print(out, "0");
	for (int i = 0; i <= weight && i < NUMERIC_GROUPS_MAX; i++)
		print(out, i ? "%04u" : "%u", taken++ < groups ?
		      (unsigned)cursor_uint_be(c, 2) : 0);
	if (!scale || scale > 4 * NUMERIC_GROUPS_MAX)
		return;
	print(out, ".");
	for (int i = -1; scale; i--) {
		unsigned digits = 0;
		char text[24];

		if (i <= weight && taken < groups) {
			digits = (unsigned)cursor_uint_be(c, 2);
			taken++;
		}
		snprintf(text, sizeof(text), "%04u", digits % 10000);
		put(out, text, scale < 4 ? (size_t)scale : 4);
		scale -= scale < 4 ? scale : 4;
	}
}

static void put_float(struct buffer *out, double value, bool wide)
{
	char text[40];
	int digits;

	/* The fewest digits that read back as the same. */
	for (digits = wide ? 15 : 6; digits <= (wide ? 17 : 9); digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (wide ? strtod(text, NULL) == value :
			   strtof(text, NULL) == (float)value)
			break;
	}
	print(out, "%s", isnan(value) ? "NaN" : text);
}

static void put_address(struct buffer *out, struct cursor *c)
{
	uint64_t family = cursor_uint(c, 1), bits = cursor_uint(c, 1);
	bool cidr = cursor_uint(c, 1);
	uint64_t length = cursor_uint(c, 1);
	struct span address = cursor_span(c, length);
	char text[INET6_ADDRSTRLEN];
	unsigned whole = family == 2 ? 32 : 128;

	if (c->bad || length != whole / 8 ||
	    !inet_ntop(family == 2 ? AF_INET : AF_INET6, address.bytes, text,
		       sizeof(text))) {
		c->bad = true;
		return;
	}
	print(out, "%s", text);
	if (cidr || bits != whole)
		print(out, "/%" PRIu64, bits);
}

static double read_float(struct cursor *c, bool wide)
{
	uint64_t bits = cursor_uint_be(c, wide ? 8 : 4);
	uint32_t narrow = (uint32_t)bits;
	double value;
	float small;

	if (wide) {
		memcpy(&value, &bits, sizeof(value));
		return value;
	}
	memcpy(&small, &narrow, sizeof(small));
	return (double)small;
}

static void put_uuid(struct buffer *out, struct cursor *c)
{
	for (int i = 0; i < 16; i++)
		print(out, i == 4 || i == 6 || i == 8 || i == 10 ?
		      "-%02x" : "%02x", (unsigned)cursor_uint(c, 1));
}

static void put_days(struct buffer *out, int32_t days)
{
	if (days == INT32_MAX || days == INT32_MIN)
		print(out, days > 0 ? "infinity" : "-infinity");
	else
		put_date(out, days);
}

static void put_timetz(struct buffer *out, struct cursor *c)
{
	int32_t west; /* seconds */

	put_time(out, (int64_t)cursor_uint_be(c, 8));
	west = (int32_t)cursor_uint_be(c, 4);
	print(out, "%c%02u:%02u", west > 0 ? '-' : '+',
	      (unsigned)labs(west) / 3600, (unsigned)labs(west) / 60 % 60);
}

/* Writes a field of that type; false: none that is known, or not one. */
static bool put_known(struct buffer *out, struct cursor *c, uint32_t type)
{
	switch (type) {
	case OID_BOOL:
		print(out, cursor_uint(c, 1) ? "t" : "f");
		break;
	case OID_INT2:
		print(out, "%d", (int16_t)cursor_uint_be(c, 2));
		break;
	case OID_INT4:
		print(out, "%" PRId32, (int32_t)cursor_uint_be(c, 4));
		break;
	case OID_INT8:
		print(out, "%" PRId64, (int64_t)cursor_uint_be(c, 8));
		break;
	case OID_OID:
		print(out, "%" PRIu64, cursor_uint_be(c, 4));
		break;
	case OID_FLOAT4:
		put_float(out, read_float(c, false), false);
		break;
	case OID_FLOAT8:
		put_float(out, read_float(c, true), true);
		break;
	case OID_DATE:
		put_days(out, (int32_t)cursor_uint_be(c, 4));
		break;
	case OID_TIME:
		put_time(out, (int64_t)cursor_uint_be(c, 8));
		break;
	case OID_TIMETZ:
		put_timetz(out, c);
		break;
	case OID_TIMESTAMP:
		put_timestamp(out, (int64_t)cursor_uint_be(c, 8), "");
		break;
	case OID_TIMESTAMPTZ:
		put_timestamp(out, (int64_t)cursor_uint_be(c, 8), "+00");
		break;
	case OID_INTERVAL:
		put_interval(out, c);
		break;
	case OID_NUMERIC:
		put_numeric(out, c);
		break;
	case OID_UUID:
		put_uuid(out, c);
		break;
	case OID_INET:
	case OID_CIDR:
		put_address(out, c);
		break;
	case OID_JSONB:
		if (cursor_uint(c, 1) != 1)
			return false;
		put(out, (const char *)c->at, cursor_left(c));
		return true;
	default:
		return false;
	}
	return !c->bad && !cursor_left(c);
}

static bool is_string(uint32_t type)
{
	return type == OID_TEXT || type == OID_VARCHAR || type == OID_BPCHAR ||
	       type == OID_NAME || type == OID_CHAR || type == OID_JSON ||
	       type == OID_XML || type == OID_UNKNOWN;
}

/* A type that is not known: a text, unless it has a number's size. */
static bool looks_like_text(struct span field)
{
	if (field.length == 1 || field.length == 2 || field.length == 4 ||
	    field.length == 8)
		return false;
	for (size_t i = 0; i < field.length; i++) {
		uint8_t c = (uint8_t)field.bytes[i];

		if ((c < 0x20 && !strchr("\t\n\r", c)) || c == 0x7f || !c)
			return false;
	}
	return true;
}

/* An array of one dimension; false: it is something else. */
static bool put_array(struct buffer *out, struct span field)
{
	struct cursor c = cursor_of((const uint8_t *)field.bytes,
				    field.length);
	uint64_t dimensions = cursor_uint_be(&c, 4);
	uint64_t nulls = cursor_uint_be(&c, 4);
	uint32_t type = (uint32_t)cursor_uint_be(&c, 4);
	uint64_t count;

	if (field.length < ARRAY_HEADER_BYTES || dimensions != 1 || nulls > 1)
		return false;
	count = cursor_uint_be(&c, 4);
	cursor_take(&c, 4); /* the first index */
	put(out, "{", 1);
	for (uint64_t i = 0; i < count; i++) {
		int32_t length = (int32_t)cursor_uint_be(&c, 4);
		struct span element = { "NULL", 4 };
		struct cursor part;

		if (length >= 0)
			element = cursor_span(&c, (uint64_t)length);
		if (c.bad)
			return false;
		if (i)
			put(out, ",", 1);
		part = cursor_of((const uint8_t *)element.bytes,
				 element.length);
		if (length < 0 || is_string(type))
			put(out, element.bytes, element.length);
		else if (!put_known(out, &part, type))
			return false;
	}
	put(out, "}", 1);
	return !cursor_left(&c);
}

struct span pgsql_value_text(struct span field, uint32_t type,
			     struct buffer *out)
{
	struct cursor c = cursor_of((const uint8_t *)field.bytes,
				    field.length);

	out->length = 0;
	if (!field.length)
		return (struct span){ "", 0 };
	if (is_string(type)) {
		put(out, field.bytes, field.length);
		return buffer_span(out);
	}
	if (type && put_known(out, &c, type))
		return buffer_span(out);
	out->length = 0;
	if (type != OID_BYTEA && put_array(out, field))
		return buffer_span(out);
	out->length = 0;
	if (type != OID_BYTEA && looks_like_text(field))
		put(out, field.bytes, field.length);
	else
		put_hex(out, field);
	return buffer_span(out);
}

/* Is result column `index` binary, by what Bind asked for? */
static bool is_binary(const struct portal *portal,
		      const struct column *column, size_t index)
{
	const uint16_t *formats;
	size_t count;

	if (!portal || !column)
		return column && column->binary;
	formats = (const uint16_t *)portal->formats.bytes;
	count = portal->formats.length / sizeof(*formats);
	if (!count)
		return false;
	return formats[count == 1 ? 0 : index < count ? index : 0] == 1;
}

void pgsql_row_values(struct pgsql *pg, const struct message *row)
{
	struct cursor c = cursor_of(row->bytes, row->kept);
	uint64_t count = cursor_uint_be(&c, 2);
	const struct portal *portal = pgsql_head(pg)->portal;

	if (!pg->observer || !pg->observer->value)
		return;
	for (size_t i = 0; i < count; i++) {
		int32_t length = (int32_t)cursor_uint_be(&c, 4);
		size_t index = pg->columns.set_first + i;
		const struct column *column;
		struct span value;

		if (length < 0 && !c.bad)
			continue;
		/* A field that is cut is told as far as it is there. */
		if (!c.bad && (size_t)length > cursor_left(&c))
			length = (int32_t)cursor_left(&c);
		value = cursor_span(&c, (uint64_t)length);
		if (c.bad || index >= pg->exchange.column_count)
			return;
		column = pgsql_column(&pg->columns, index);
		if (is_binary(portal, column, i))
			value = pgsql_value_text(value, column->type,
						 &pg->value);
		pgsql_value(pg, (int)index, value);
	}
}

static uint32_t parameter_type(const struct statement *statement, size_t index)
{
	const uint32_t *types;

	if (!statement)
		return 0;
	types = (const uint32_t *)statement->types.bytes;
	return index < statement->types.length / sizeof(*types) ?
		types[index] : 0;
}

/* One parameter as text behind those before; bytes NULL: no room. */
static struct span keep_parameter(struct pgsql *pg, struct span value)
{
	size_t at = pg->parameters.length;

	if (value.length > VALUE_BYTES_MAX)
		value.length = VALUE_BYTES_MAX;
	if (value.length > pg->parameters.room - at ||
	    !buffer_append(&pg->parameters, value.bytes, value.length))
		return (struct span){ NULL, 0 };
	return (struct span){ (char *)pg->parameters.bytes + at,
			      value.length };
}

/* The formats at the cursor: none, one for all, or one for each. */
static bool format_of(const uint8_t *formats, uint64_t count, size_t index)
{
	if (!count)
		return false;
	index = count == 1 ? 0 : index;
	return index < count && formats[2 * index + 1] == 1;
}

void pgsql_parameters(struct pgsql *pg, const struct portal *portal)
{
	struct exchange *exchange = &pg->exchange;
	struct cursor c = cursor_of(portal->values.bytes,
				    portal->values.length);
	uint64_t formats = cursor_uint_be(&c, 2), count;
	size_t room;
	const uint8_t *format = cursor_take(&c, 2 * formats);

	count = cursor_uint_be(&c, 2);
	buffer_reset(&pg->parameters);
	/* They must not move while the others come. */
	room = TEXT_PER_BYTE * portal->values.length + TEXT_MAX * count;
	if (room > PGSQL_VALUES_BYTES)
		room = PGSQL_VALUES_BYTES;
	if (c.bad || !buffer_reserve(&pg->parameters, room))
		return;
	while (exchange->parameter_count < count &&
	       exchange->parameter_count < EXCHANGE_PARAMETERS_MAX) {
		size_t index = exchange->parameter_count;
		int32_t length = (int32_t)cursor_uint_be(&c, 4);
		struct span value = { "NULL", 4 };
		bool null = length < 0;

		if (!null)
			value = cursor_span(&c, (uint64_t)length);
		if (c.bad)
			return;
		if (!null && format_of(format, formats, index))
			value = pgsql_value_text(
				value, parameter_type(portal->statement, index),
				&pg->value);
		value = keep_parameter(pg, value);
		if (!value.bytes)
			return;
		exchange->parameters[exchange->parameter_count++] = value;
		if (!null)
			pgsql_value(pg, -1, value);
	}
}
