/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgsql_shape.c - what bytes look like: is it PostgreSQL, where does a message
 * begin?
 *
 * Used where no count of bytes tells: for probe(), at a start in
 * mid-connection, and after a gap.  A message is taken for one when its body
 * is what its type says, to the last byte; one of few bytes counts only in a
 * chain of others, as rows hold such bytes too: a text that ends in "1" before
 * a field of 4 bytes reads like ParseComplete.
 */
#include "parsers/pgsql.h"

#define LONG_MESSAGE_MAX  0x3fffffffu /* PostgreSQL's limit of a message */
#define SHORT_MESSAGE_MAX 30000	      /* libpq's limit of all but a few types */
#define CLIENT_SHORT_MAX  65535	      /* a server's, passwords in */
#define CHAIN_MAX	  6	      /* messages looked at */
#define CHAIN_SURE	  3	      /* of few bytes in a row */
#define STARTUP_KEYS_MIN  8	      /* bytes: length and version */

/* How much a whole message tells. */
enum tells { TELLS_NOT, TELLS_LITTLE, TELLS_ALL };

static uint32_t length_at(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
	       (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool is_one_of(uint8_t type, const char *types)
{
	return type && strchr(types, type);
}

bool pgsql_shape_header(enum side side, const uint8_t *header)
{
	uint32_t length = length_at(header + 1), most = SHORT_MESSAGE_MAX;
	uint8_t type = header[0];

	if (!is_one_of(type, side == SIDE_CLIENT ? "QPBEDCSHXFdcfp" :
		       "RKSZTDCINEAGHWdc123nstVv"))
		return false;
	if (side == SIDE_CLIENT)
		most = is_one_of(type, "QPBFd") ? LONG_MESSAGE_MAX :
						  CLIENT_SHORT_MAX;
	else if (is_one_of(type, "TDdVENAt"))
		most = LONG_MESSAGE_MAX;
	if (is_one_of(type, side == SIDE_CLIENT ? "SHXc" : "123nsIc"))
		return length == 4;
	if (type == 'Z')
		return length == 5;
	return length >= 4 && length <= most;
}

static bool is_text(struct span text)
{
	for (size_t i = 0; i < text.length; i++) {
		uint8_t c = (uint8_t)text.bytes[i];

		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r' &&
		     c != '\f') || c == 0x7f)
			return false;
	}
	return text.bytes;
}

static bool is_letter(uint8_t c)
{
	return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* A statement begins with a word, a comment, a parenthesis, or is empty. */
static bool is_statement(struct span text)
{
	size_t i = 0;

	if (!is_text(text))
		return false;
	while (i < text.length && (uint8_t)text.bytes[i] <= ' ')
		i++;
	return i == text.length || is_letter((uint8_t)text.bytes[i]) ||
	       strchr("-/(;", text.bytes[i]);
}

static bool is_whole(const struct cursor *c)
{
	return !c->bad && !cursor_left(c);
}

static enum tells tell(bool right)
{
	return right ? TELLS_ALL : TELLS_NOT;
}

static enum tells look_parse(struct cursor c)
{
	struct span name = cursor_nul_string(&c);
	struct span text = cursor_nul_string(&c);
	uint64_t types = cursor_uint_be(&c, 2);

	cursor_take(&c, 4 * types);
	return tell(is_whole(&c) && is_text(name) && is_statement(text));
}

static bool skip_fields(struct cursor *c, uint64_t count)
{
	while (count-- && !c->bad) {
		int32_t length = (int32_t)cursor_uint_be(c, 4);

		if (length < -1)
			return false;
		if (length > 0)
			cursor_take(c, (uint64_t)length);
	}
	return !c->bad;
}

static bool skip_formats(struct cursor *c)
{
	uint64_t count = cursor_uint_be(c, 2);

	while (count-- && !c->bad)
		if (cursor_uint_be(c, 2) > 1)
			return false;
	return !c->bad;
}

static enum tells look_bind(struct cursor c)
{
	struct span portal = cursor_nul_string(&c);
	struct span statement = cursor_nul_string(&c);

	if (!is_text(portal) || !is_text(statement) || !skip_formats(&c))
		return TELLS_NOT;
	if (!skip_fields(&c, cursor_uint_be(&c, 2)) || !skip_formats(&c))
		return TELLS_NOT;
	return tell(is_whole(&c));
}

static enum tells look_execute(struct cursor c)
{
	struct span portal = cursor_nul_string(&c);

	cursor_take(&c, 4);
	return is_whole(&c) && is_text(portal) ? TELLS_LITTLE : TELLS_NOT;
}

static enum tells look_function(struct cursor c)
{
	cursor_take(&c, 4); /* the function's OID */
	if (!skip_formats(&c) || !skip_fields(&c, cursor_uint_be(&c, 2)))
		return TELLS_NOT;
	return tell(cursor_uint_be(&c, 2) <= 1 && is_whole(&c));
}

/* Describe and Close: a kind and a name. */
static enum tells look_name(struct cursor c)
{
	uint64_t kind = cursor_uint(&c, 1);
	struct span name = cursor_nul_string(&c);

	return is_whole(&c) && is_text(name) && (kind == 'S' || kind == 'P') ?
		TELLS_LITTLE : TELLS_NOT;
}

static enum tells look_client(uint8_t type, struct cursor c)
{
	struct span text;

	switch (type) {
	case 'Q':
		text = cursor_nul_string(&c);
		return tell(is_whole(&c) && is_statement(text));
	case 'P':
		return look_parse(c);
	case 'B':
		return look_bind(c);
	case 'E':
		return look_execute(c);
	case 'F':
		return look_function(c);
	case 'D':
	case 'C':
		return look_name(c);
	default:
		return TELLS_LITTLE;
	}
}

static enum tells look_columns(struct cursor c)
{
	uint64_t count = cursor_uint_be(&c, 2);

	if (count > PGSQL_COLUMNS_MAX)
		return TELLS_NOT;
	while (count-- && !c.bad) {
		if (!is_text(cursor_nul_string(&c)))
			return TELLS_NOT;
		cursor_take(&c, 16);
		if (cursor_uint_be(&c, 2) > 1)
			return TELLS_NOT;
	}
	return tell(is_whole(&c));
}

static enum tells look_row(struct cursor c)
{
	uint64_t count = cursor_uint_be(&c, 2);

	if (count > PGSQL_COLUMNS_MAX || !skip_fields(&c, count) ||
	    !is_whole(&c))
		return TELLS_NOT;
	return count ? TELLS_ALL : TELLS_LITTLE;
}

/* Fields, each a letter and a text; the first is the severity. */
static enum tells look_error(struct cursor c)
{
	uint64_t field = cursor_uint(&c, 1);

	if (field != 'S')
		return TELLS_NOT;
	for (; field && !c.bad; field = cursor_uint(&c, 1))
		if (!is_letter((uint8_t)field) ||
		    !is_text(cursor_nul_string(&c)))
			return TELLS_NOT;
	return tell(is_whole(&c));
}

static enum tells look_tag(struct cursor c)
{
	struct span text = cursor_nul_string(&c);

	if (!is_whole(&c) || !is_text(text) || text.length < 2)
		return TELLS_NOT;
	for (size_t i = 0; i < text.length && text.bytes[i] != ' '; i++)
		if (text.bytes[i] < 'A' || text.bytes[i] > 'Z')
			return TELLS_NOT;
	return TELLS_ALL;
}

static enum tells look_copy(struct cursor c)
{
	uint64_t overall = cursor_uint(&c, 1);
	uint64_t count = cursor_uint_be(&c, 2);

	cursor_take(&c, 2 * count);
	return is_whole(&c) && overall <= 1 ? TELLS_LITTLE : TELLS_NOT;
}

static enum tells look_server(uint8_t type, struct cursor c)
{
	uint64_t status;

	switch (type) {
	case 'Z':
		status = cursor_uint(&c, 1);
		return status == 'I' || status == 'T' || status == 'E' ?
			TELLS_ALL : TELLS_NOT;
	case 'T':
		return look_columns(c);
	case 'D':
		return look_row(c);
	case 'C':
		return look_tag(c);
	case 'E':
	case 'N':
		return look_error(c);
	case 'S':
		return tell(is_text(cursor_nul_string(&c)) &&
			    is_text(cursor_nul_string(&c)) && is_whole(&c));
	case 'R':
		return cursor_uint_be(&c, 4) <= 12 ? TELLS_LITTLE : TELLS_NOT;
	case 'K':
		return cursor_left(&c) == 8 ? TELLS_LITTLE : TELLS_NOT;
	case 'G':
	case 'H':
	case 'W':
		return look_copy(c);
	case 'A':
		cursor_take(&c, 4);
		return tell(is_text(cursor_nul_string(&c)) &&
			    is_text(cursor_nul_string(&c)) && is_whole(&c));
	case 't':
		cursor_take(&c, 4 * cursor_uint_be(&c, 2));
		return is_whole(&c) ? TELLS_LITTLE : TELLS_NOT;
	default:
		return TELLS_LITTLE;
	}
}

enum shape pgsql_shape_chain(enum side side, const uint8_t *bytes,
			     size_t length)
{
	unsigned count = 0;
	bool sure = false;
	size_t at = 0;

	while (count < CHAIN_MAX && length - at >= PGSQL_HEADER_BYTES) {
		uint32_t size = length_at(bytes + at + 1);
		struct cursor body;
		enum tells tells;

		if (!pgsql_shape_header(side, bytes + at))
			return SHAPE_NO;
		/* What no window holds will never be seen whole. */
		if (length - at - 1 < size)
			return sure ? SHAPE_YES : size < PARSER_WINDOW_MAX ?
						  SHAPE_SHORT : SHAPE_NO;
		body = cursor_of(bytes + at + PGSQL_HEADER_BYTES, size - 4);
		tells = side == SIDE_CLIENT ? look_client(bytes[at], body) :
					      look_server(bytes[at], body);
		if (tells == TELLS_NOT)
			return SHAPE_NO;
		count++;
		sure |= tells == TELLS_ALL || count >= CHAIN_SURE;
		at += 1 + (size_t)size;
	}
	if (sure)
		return SHAPE_YES;
	if (length > at && !is_one_of(bytes[at], side == SIDE_CLIENT ?
				      "QPBEDCSHXFdcfp" :
				      "RKSZTDCINEAGHWdc123nstVv"))
		return SHAPE_NO;
	return SHAPE_SHORT;
}

bool pgsql_shape_farewell(const uint8_t *bytes, size_t length)
{
	uint8_t type = 0;

	while (length >= PGSQL_HEADER_BYTES) {
		size_t size = 1 + (size_t)length_at(bytes + 1);
		struct cursor body;

		if (!pgsql_shape_header(SIDE_CLIENT, bytes) || size > length)
			return false;
		body = cursor_of(bytes + PGSQL_HEADER_BYTES,
				 size - PGSQL_HEADER_BYTES);
		type = bytes[0];
		if (look_client(type, body) == TELLS_NOT)
			return false;
		bytes += size;
		length -= size;
	}
	return !length && type == 'X';
}

/* Keys and values up to an empty key, the first of them "user". */
static bool has_user(struct cursor c)
{
	bool user = false;

	for (;;) {
		struct span key = cursor_nul_string(&c);

		if (c.bad || !is_text(key))
			return false;
		if (!key.length)
			return user && is_whole(&c);
		user |= span_is(key, "user");
		if (!is_text(cursor_nul_string(&c)))
			return false;
	}
}

enum shape pgsql_shape_startup(const uint8_t *bytes, size_t length)
{
	uint32_t size, code;

	if ((length && bytes[0]) || (length > 1 && bytes[1]))
		return SHAPE_NO;
	if (length < STARTUP_KEYS_MIN)
		return SHAPE_SHORT;
	size = length_at(bytes);
	code = length_at(bytes + 4);
	if (size < STARTUP_KEYS_MIN || size > PGSQL_STARTUP_MAX)
		return SHAPE_NO;
	if (code == PGSQL_SSL_CODE || code == PGSQL_GSS_CODE)
		return size == STARTUP_KEYS_MIN ? SHAPE_YES : SHAPE_NO;
	if (code != PGSQL_CANCEL_CODE && code != 2u << 16 && code >> 16 != 3)
		return SHAPE_NO;
	if (code >> 16 == 3 && (code & 0xffff) > 99)
		return SHAPE_NO;
	if (length < size)
		return SHAPE_SHORT;
	if (code >> 16 != 3)
		return SHAPE_YES;
	return has_user(cursor_of(bytes + STARTUP_KEYS_MIN,
				  size - STARTUP_KEYS_MIN)) ?
		SHAPE_YES : SHAPE_NO;
}

static enum shape shape_of(const struct window *client,
			   const struct window *server)
{
	enum shape startup = pgsql_shape_startup(client->bytes,
						 client->length);
	enum shape asks, answers;

	if (startup == SHAPE_YES)
		return SHAPE_YES;
	asks = pgsql_shape_chain(SIDE_CLIENT, client->bytes, client->length);
	answers = pgsql_shape_chain(SIDE_SERVER, server->bytes,
				    server->length);
	if (asks == SHAPE_YES || answers == SHAPE_YES)
		return SHAPE_YES;
	if ((startup == SHAPE_SHORT && client->length) ||
	    (asks == SHAPE_SHORT && client->length) ||
	    (answers == SHAPE_SHORT && server->length))
		return SHAPE_SHORT;
	return SHAPE_NO;
}

enum verdict pgsql_probe(const struct opening *opening, bool *client_out)
{
	enum shape out = shape_of(&opening->out, &opening->in);
	enum shape in = shape_of(&opening->in, &opening->out);

	if (out != in && (out == SHAPE_YES || in == SHAPE_YES)) {
		*client_out = out == SHAPE_YES;
		return PROBE_YES;
	}
	return out == SHAPE_NO && in == SHAPE_NO ? PROBE_NO : PROBE_MORE;
}
