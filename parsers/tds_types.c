/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tds_types.c - TDS's data types: their values on the wire, and as text.
 */
#include "parsers/calendar.h"
#include "parsers/tds.h"

#include <inttypes.h>
#include <stdio.h>

enum tds_went { TDS_WENT, TDS_SHORT_OF, TDS_WHOLE };

enum type_id {
	T_NULL = 0x1f, T_IMAGE = 0x22, T_TEXT = 0x23, T_GUID = 0x24,
	T_OLD_VARBINARY = 0x25, T_INTN = 0x26, T_OLD_VARCHAR = 0x27,
	T_DATE = 0x28, T_TIME = 0x29, T_DATETIME2 = 0x2a,
	T_DATETIMEOFFSET = 0x2b, T_OLD_BINARY = 0x2d, T_OLD_CHAR = 0x2f,
	T_INT1 = 0x30, T_BIT = 0x32, T_INT2 = 0x34, T_OLD_DECIMAL = 0x37,
	T_INT4 = 0x38, T_DATETIME4 = 0x3a, T_FLOAT4 = 0x3b, T_MONEY = 0x3c,
	T_DATETIME = 0x3d, T_FLOAT8 = 0x3e, T_OLD_NUMERIC = 0x3f,
	T_VARIANT = 0x62, T_NTEXT = 0x63, T_BITN = 0x68, T_DECIMAL = 0x6a,
	T_NUMERIC = 0x6c, T_FLOATN = 0x6d, T_MONEYN = 0x6e,
	T_DATETIMEN = 0x6f, T_MONEY4 = 0x7a, T_INT8 = 0x7f,
	T_VARBINARY = 0xa5, T_VARCHAR = 0xa7, T_BINARY = 0xad, T_CHAR = 0xaf,
	T_NVARCHAR = 0xe7, T_NCHAR = 0xef, T_UDT = 0xf0, T_XML = 0xf1
};

#define COLLATION_BYTES 5
#define POINTER_TIMESTAMP_BYTES 8
#define SIZE_MAX_TYPE 0xffff /* varchar(max) and its like: in chunks */
#define HEX_BYTES_MAX 64     /* of binary data told as text */

/* Strings behind a length, in characters, of 1 or 2 bytes. */
static void skip_string(struct cursor *c, unsigned bytes)
{
	cursor_take(c, 2 * cursor_uint(c, bytes));
}

static uint32_t fixed_size(uint8_t id)
{
	switch (id) {
	case T_NULL:
		return 0;
	case T_INT1:
	case T_BIT:
		return 1;
	case T_INT2:
		return 2;
	case T_INT4:
	case T_DATETIME4:
	case T_FLOAT4:
	case T_MONEY4:
		return 4;
	default:
		return 8;
	}
}

static void read_xml(struct cursor *c)
{
	if (!cursor_uint(c, 1))
		return;
	skip_string(c, 1);
	skip_string(c, 1);
	skip_string(c, 2);
}

static void read_udt(struct cursor *c, bool column)
{
	if (column)
		cursor_take(c, 2);
	skip_string(c, 1);
	skip_string(c, 1);
	skip_string(c, 1);
	if (column)
		skip_string(c, 2);
}

/* Types whose length is of 2 bytes, or that come in chunks. */
static void read_long_type(struct tds_type *type, struct cursor *c)
{
	type->size = (uint32_t)cursor_uint(c, 2);
	type->form = type->size == SIZE_MAX_TYPE ? TDS_CHUNKED : TDS_SHORT;
	if (type->id != T_VARBINARY && type->id != T_BINARY)
		cursor_take(c, COLLATION_BYTES);
}

bool tds_type_read(struct tds_type *type, struct cursor *c, bool column)
{
	*type = (struct tds_type){ .id = (uint8_t)cursor_uint(c, 1) };
	switch (type->id) {
	case T_NULL: case T_INT1: case T_BIT: case T_INT2: case T_INT4:
	case T_DATETIME4: case T_FLOAT4: case T_MONEY: case T_DATETIME:
	case T_FLOAT8: case T_MONEY4: case T_INT8:
		type->form = TDS_FIXED;
		type->size = fixed_size(type->id);
		return true;
	case T_DATE:
		type->form = TDS_BYTE;
		return true;
	case T_TIME: case T_DATETIME2: case T_DATETIMEOFFSET:
		type->form = TDS_BYTE;
		type->scale = (uint8_t)cursor_uint(c, 1);
		return true;
	case T_GUID: case T_INTN: case T_BITN: case T_FLOATN: case T_MONEYN:
	case T_DATETIMEN: case T_OLD_VARBINARY: case T_OLD_VARCHAR:
	case T_OLD_BINARY: case T_OLD_CHAR:
		type->form = TDS_BYTE;
		type->size = (uint32_t)cursor_uint(c, 1);
		return true;
	case T_DECIMAL: case T_NUMERIC: case T_OLD_DECIMAL:
	case T_OLD_NUMERIC:
		type->form = TDS_BYTE;
		type->size = (uint32_t)cursor_uint(c, 1);
		cursor_take(c, 1);
		type->scale = (uint8_t)cursor_uint(c, 1);
		return true;
	case T_VARBINARY: case T_VARCHAR: case T_BINARY: case T_CHAR:
	case T_NVARCHAR: case T_NCHAR:
		read_long_type(type, c);
		return true;
	case T_IMAGE: case T_TEXT: case T_NTEXT: case T_VARIANT:
		type->form = column && type->id != T_VARIANT ? TDS_POINTED :
							       TDS_LONG;
		type->size = (uint32_t)cursor_uint(c, 4);
		if (type->id == T_TEXT || type->id == T_NTEXT)
			cursor_take(c, COLLATION_BYTES);
		return true;
	case T_XML:
		type->form = TDS_CHUNKED;
		read_xml(c);
		return true;
	case T_UDT:
		type->form = TDS_CHUNKED;
		read_udt(c, column);
		return true;
	default:
		return false;
	}
}

void tds_table_skip(const struct tds_type *type, struct cursor *c,
		    uint32_t version)
{
	uint64_t parts = 1;

	if (type->form != TDS_POINTED)
		return;
	if (version >= TDS_VERSION_72)
		parts = cursor_uint(c, 1);
	while (parts-- && !c->bad)
		skip_string(c, 2);
}

void tds_value_begin(struct tds_value *value, const struct tds_type *type,
		     size_t bound)
{
	value->type = *type;
	value->place = VALUE_PREFIX;
	value->left = 0;
	value->bound = bound;
	value->null = value->cut = false;
	buffer_reset(&value->bytes);
}

/* The length, or what precedes the first chunk. */
static enum tds_went take_prefix(struct tds_value *value, struct cursor *c)
{
	struct cursor peek = *c;
	uint64_t size = value->type.size, pointer;

	switch (value->type.form) {
	case TDS_FIXED:
		break;
	case TDS_BYTE:
		size = cursor_uint(&peek, 1);
		value->null = !size;
		break;
	case TDS_SHORT:
		size = cursor_uint(&peek, 2);
		value->null = size == 0xffff;
		break;
	case TDS_LONG:
		size = cursor_uint(&peek, 4);
		value->null = size == 0xffffffff ||
			      (value->type.id == T_VARIANT && !size);
		break;
	case TDS_POINTED:
		pointer = cursor_uint(&peek, 1);
		value->null = !pointer;
		if (!pointer)
			break;
		cursor_take(&peek, pointer + POINTER_TIMESTAMP_BYTES);
		size = cursor_uint(&peek, 4);
		break;
	case TDS_CHUNKED:
		value->null = cursor_uint(&peek, 8) == UINT64_MAX;
		size = 0;
		break;
	}
	if (peek.bad)
		return TDS_SHORT_OF;
	*c = peek;
	if (value->null)
		return TDS_WHOLE;
	value->place = value->type.form == TDS_CHUNKED ? VALUE_CHUNK :
							 VALUE_DATA;
	value->left = size;
	return size || value->place == VALUE_CHUNK ? TDS_WENT : TDS_WHOLE;
}

static enum tds_went take_chunk(struct tds_value *value, struct cursor *c)
{
	struct cursor peek = *c;
	uint64_t size = cursor_uint(&peek, 4);

	if (peek.bad)
		return TDS_SHORT_OF;
	*c = peek;
	value->left = size;
	value->place = VALUE_DATA;
	return size ? TDS_WENT : TDS_WHOLE;
}

static enum tds_went take_some(struct tds_value *value, struct cursor *c)
{
	size_t length;

	if (value->place == VALUE_PREFIX)
		return take_prefix(value, c);
	if (value->place == VALUE_CHUNK)
		return take_chunk(value, c);
	length = cursor_left(c);
	if (!length)
		return TDS_SHORT_OF;
	if (length > value->left)
		length = (size_t)value->left;
	if (!buffer_gather(&value->bytes, c->at, length, value->bound))
		value->cut = true;
	cursor_take(c, length);
	value->left -= length;
	if (value->left)
		return TDS_WENT;
	if (value->type.form != TDS_CHUNKED)
		return TDS_WHOLE;
	value->place = VALUE_CHUNK;
	return TDS_WENT;
}

bool tds_value_take(struct tds_value *value, struct cursor *c)
{
	enum tds_went went;

	do
		went = take_some(value, c);
	while (went == TDS_WENT);
	return went == TDS_WHOLE;
}

static size_t utf8_of(uint32_t code, char *out)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

bool tds_utf8(struct buffer *out, const uint8_t *bytes, size_t length,
	      size_t bound)
{
	struct cursor c = cursor_of(bytes, length & ~(size_t)1);
	char text[4];

	while (cursor_left(&c)) {
		uint32_t code = (uint32_t)cursor_uint(&c, 2);
		struct cursor low = c;
		size_t size;

		if (code >= 0xd800 && code < 0xdc00 && cursor_left(&c)) {
			uint32_t second = (uint32_t)cursor_uint(&low, 2);

			if (second >= 0xdc00 && second < 0xe000) {
				code = 0x10000 + ((code - 0xd800) << 10) +
				       (second - 0xdc00);
				c = low;
			}
		}
		/* A half of a pair by itself is no character. */
		if (code >= 0xd800 && code < 0xe000)
			code = 0xfffd;
		size = utf8_of(code, text);
		if (out->length + size > bound ||
		    !buffer_append(out, text, size))
			return false;
	}
	return true;
}

static void put(struct buffer *out, const char *text)
{
	buffer_append(out, text, strlen(text));
}

/* A time of day in units of 10^-scale seconds. */
static void put_time(struct buffer *out, uint64_t units, unsigned scale)
{
	uint64_t per_second = 1, seconds;
	char text[64];

	for (unsigned i = 0; i < scale; i++)
		per_second *= 10;
	seconds = units / per_second;
	snprintf(text, sizeof(text), "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64,
		 seconds / 3600 % 100, seconds / 60 % 60, seconds % 60);
	put(out, text);
	if (!scale)
		return;
	snprintf(text, sizeof(text), ".%0*" PRIu64, (int)scale,
		 units % per_second);
	put(out, text);
}

#define DAYS_TO_1900 25567  /* from 1900-01-01 to 1970-01-01 */
#define DAYS_TO_0001 719162 /* from 0001-01-01 */

static void put_datetime(struct buffer *out, struct cursor c)
{
	bool small = cursor_left(&c) == 4;
	int64_t days = small ? (int64_t)cursor_uint(&c, 2) :
			       (int32_t)cursor_uint(&c, 4);
	uint64_t units = cursor_uint(&c, small ? 2 : 4);

	calendar_put(out, days - DAYS_TO_1900);
	put(out, " ");
	/* Minutes, or three-hundredths of a second. */
	put_time(out, small ? units * 60 : units * 10 / 3, small ? 0 : 3);
}

/* TIME, DATE, and what is made of them. */
static void put_moment(struct buffer *out, const struct tds_type *type,
		       struct cursor c)
{
	size_t length = cursor_left(&c);
	unsigned scale = type->scale > 7 ? 7 : type->scale;
	size_t tail = type->id == T_TIME ? 0 : type->id == T_DATETIME2 ? 3 : 5;
	uint64_t units = 0;

	if (type->id == T_DATE) {
		calendar_put(out, (int64_t)cursor_uint(&c, 3) - DAYS_TO_0001);
		return;
	}
	if (length < tail + 3 || length - tail > 5)
		return;
	units = cursor_uint(&c, (unsigned)(length - tail));
	if (tail) {
		calendar_put(out, (int64_t)cursor_uint(&c, 3) - DAYS_TO_0001);
		put(out, " ");
	}
	put_time(out, units, scale);
}

/* A number of `scale` digits behind the point. */
static void put_scaled(struct buffer *out, unsigned __int128 number,
		       bool negative, unsigned scale)
{
	char digits[48];
	size_t at = sizeof(digits);

	digits[--at] = '\0';
	do {
		digits[--at] = (char)('0' + (unsigned)(number % 10));
		number /= 10;
		if (scale && !--scale) {
			digits[--at] = '.';
			if (!number)
				digits[--at] = '0';
		}
	} while ((number || scale) && at > 3);
	if (negative)
		digits[--at] = '-';
	put(out, digits + at);
}

static void put_decimal(struct buffer *out, const struct tds_type *type,
			struct cursor c)
{
	bool negative = cursor_uint(&c, 1) == 0;
	unsigned __int128 number = 0;
	size_t length = cursor_left(&c);

	for (size_t i = 0; i < length && i < 16; i++)
		number |= (unsigned __int128)cursor_uint(&c, 1) << (8 * i);
	put_scaled(out, number, negative, type->scale > 38 ? 38 : type->scale);
}

static void put_money(struct buffer *out, struct cursor c)
{
	int64_t number;

	if (cursor_left(&c) == 4) {
		number = (int32_t)cursor_uint(&c, 4);
	} else {
		uint64_t high = cursor_uint(&c, 4);

		number = (int64_t)(high << 32 | cursor_uint(&c, 4));
	}
	put_scaled(out, number < 0 ? 0 - (uint64_t)number : (uint64_t)number,
		   number < 0, 4);
}

static void put_integer(struct buffer *out, struct cursor c)
{
	size_t length = cursor_left(&c);
	uint64_t bits = cursor_uint(&c, (unsigned)length);
	char text[24];
	int64_t number = length == 2 ? (int16_t)bits :
			 length == 4 ? (int32_t)bits : (int64_t)bits;

	/* TINYINT has no sign. */
	snprintf(text, sizeof(text), "%" PRId64, number);
	put(out, text);
}

static void put_float(struct buffer *out, struct cursor c)
{
	char text[40];
	double number;
	float single;
	uint64_t bits;
	uint32_t few;

	if (cursor_left(&c) == 4) {
		few = (uint32_t)cursor_uint(&c, 4);
		memcpy(&single, &few, sizeof(single));
		snprintf(text, sizeof(text), "%.9g", (double)single);
	} else {
		bits = cursor_uint(&c, 8);
		memcpy(&number, &bits, sizeof(number));
		snprintf(text, sizeof(text), "%.17g", number);
	}
	put(out, text);
}

static void put_guid(struct buffer *out, struct cursor c)
{
	char text[48];
	uint32_t first = (uint32_t)cursor_uint(&c, 4);
	unsigned second = (unsigned)cursor_uint(&c, 2);
	unsigned third = (unsigned)cursor_uint(&c, 2);
	unsigned fourth = (unsigned)cursor_uint_be(&c, 2);

	snprintf(text, sizeof(text), "%08" PRIx32 "-%04x-%04x-%04x-%012" PRIx64,
		 first, second, third, fourth, cursor_uint_be(&c, 6));
	put(out, text);
}

static void put_hex(struct buffer *out, struct cursor c)
{
	char text[4];

	put(out, "0x");
	for (int i = 0; i < HEX_BYTES_MAX && cursor_left(&c); i++) {
		snprintf(text, sizeof(text), "%02x",
			 (unsigned)cursor_uint(&c, 1));
		put(out, text);
	}
}

/* Of a type that is no variant; `length` is right for it, or it is hex. */
static void put_plain(struct buffer *out, const struct tds_type *type,
		      struct cursor c)
{
	size_t length = cursor_left(&c);
	bool number = length == 1 || length == 2 || length == 4 || length == 8;

	switch (type->id) {
	case T_NVARCHAR: case T_NCHAR: case T_NTEXT: case T_XML:
		tds_utf8(out, c.at, length, SIZE_MAX);
		return;
	case T_VARCHAR: case T_CHAR: case T_TEXT: case T_OLD_VARCHAR:
	case T_OLD_CHAR:
		buffer_append(out, c.at, length);
		return;
	case T_DATE: case T_TIME: case T_DATETIME2: case T_DATETIMEOFFSET:
		put_moment(out, type, c);
		return;
	case T_DECIMAL: case T_NUMERIC: case T_OLD_DECIMAL:
	case T_OLD_NUMERIC:
		put_decimal(out, type, c);
		return;
	case T_INTN: case T_INT1: case T_INT2: case T_INT4: case T_INT8:
	case T_BIT: case T_BITN:
		if (number)
			put_integer(out, c);
		return;
	case T_GUID:
		if (length == 16)
			put_guid(out, c);
		return;
	}
	if (length != 4 && length != 8)
		put_hex(out, c);
	else if (type->id == T_FLOAT4 || type->id == T_FLOAT8 ||
		 type->id == T_FLOATN)
		put_float(out, c);
	else if (type->id == T_MONEY || type->id == T_MONEY4 ||
		 type->id == T_MONEYN)
		put_money(out, c);
	else if (type->id == T_DATETIME || type->id == T_DATETIME4 ||
		 type->id == T_DATETIMEN)
		put_datetime(out, c);
	else
		put_hex(out, c);
}

/* SQL_VARIANT: the base type, the length of its properties, those, a value. */
static void put_variant(struct buffer *out, struct cursor c)
{
	struct tds_type type = { .id = (uint8_t)cursor_uint(&c, 1) };
	uint64_t count = cursor_uint(&c, 1);
	const uint8_t *properties = cursor_take(&c, count);

	if (c.bad)
		return;
	if (type.id == T_DECIMAL || type.id == T_NUMERIC)
		type.scale = count == 2 ? properties[1] : 0;
	else if (count == 1)
		type.scale = properties[0];
	put_plain(out, &type, c);
}

void tds_value_text(const struct tds_value *value, struct buffer *out)
{
	struct cursor c = cursor_of(value->bytes.bytes, value->bytes.length);

	if (value->null || !value->bytes.length)
		return;
	if (value->type.id == T_VARIANT)
		put_variant(out, c);
	else
		put_plain(out, &value->type, c);
}
