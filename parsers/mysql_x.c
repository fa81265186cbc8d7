/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql_x.c - the X protocol: that it is spoken is told, nothing of it.
 *
 * A message has its length, of what follows, in four bytes, little-endian,
 * and its type in one; protobuf follows.  One exchange names the client's
 * first message, then the connection is left alone.
 * Source: MySQL source documentation, "X Protocol: Messages"; Protocol
 * Buffers documentation, "Encoding".
 */
#include "parsers/cursor.h"
#include "parsers/parser.h"

#include <stdlib.h>

#define HEADER_BYTES	 5
#define FIRST_BYTES_MAX	 4096 /* of a message that opens a connection */
#define MECHANISM_MAX	 32   /* bytes of an authentication's name */

enum client_type {
	CAPABILITIES_GET = 1,
	CAPABILITIES_SET = 2,
	AUTHENTICATE_START = 4
};

enum server_type {
	SERVER_OK = 0,
	SERVER_ERROR = 1,
	SERVER_CAPABILITIES = 2,
	SERVER_AUTHENTICATE_CONTINUE = 3,
	SERVER_NOTICE = 11
};

/* A field's number and wire type, as protobuf packs them. */
enum protobuf_key { KEY_1_NUMBER = 0x08, KEY_1_BYTES = 0x0a };

struct mysql_x {
	const struct observer *observer;
	struct exchange exchange;
};

/* A first field of bytes that lies in the message; *text is what it holds. */
static bool opens_with_bytes(struct cursor c, struct span *text)
{
	uint64_t key = cursor_uint(&c, 1), length = cursor_uint(&c, 1);

	/* Two bytes of length are enough for any message here. */
	if (length & 0x80)
		length = (length & 0x7f) | cursor_uint(&c, 1) << 7;
	*text = cursor_span(&c, length);
	return key == KEY_1_BYTES && !c.bad;
}

static const char *client_name(uint8_t type, struct cursor body)
{
	struct span text;

	switch (type) {
	case CAPABILITIES_GET:
		return cursor_left(&body) ? NULL : "CON_CAPABILITIES_GET";
	case CAPABILITIES_SET:
		return opens_with_bytes(body, &text) ? "CON_CAPABILITIES_SET" :
						       NULL;
	case AUTHENTICATE_START:
		if (!opens_with_bytes(body, &text) || text.length < 5 ||
		    text.length > MECHANISM_MAX)
			return NULL;
		for (size_t i = 0; i < text.length; i++)
			if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
				    text.bytes[i]))
				return NULL;
		return "SESS_AUTHENTICATE_START";
	default:
		return NULL;
	}
}

static bool is_answer(uint8_t type, struct cursor body)
{
	struct span text;

	switch (type) {
	case SERVER_OK:
		return !cursor_left(&body) || opens_with_bytes(body, &text);
	case SERVER_ERROR:
	case SERVER_NOTICE:
		return cursor_uint(&body, 1) == KEY_1_NUMBER;
	case SERVER_CAPABILITIES:
	case SERVER_AUTHENTICATE_CONTINUE:
		return opens_with_bytes(body, &text);
	default:
		return false;
	}
}

/* The first message of a side: PROBE_MORE while it is not whole. */
static enum verdict read_first(const struct window *window, uint8_t *type,
			       struct cursor *body)
{
	struct cursor c = cursor_of(window->bytes, window->length);
	uint64_t length = cursor_uint(&c, 4);
	const uint8_t *at;

	if (c.bad)
		return PROBE_MORE;
	if (!length || length > FIRST_BYTES_MAX)
		return PROBE_NO;
	*type = (uint8_t)cursor_uint(&c, 1);
	at = cursor_take(&c, length - 1);
	if (!at)
		return PROBE_MORE;
	*body = cursor_of(at, (size_t)length - 1);
	return PROBE_YES;
}

/* Were `client` the client? */
static enum verdict probe_roles(const struct window *client,
				const struct window *server)
{
	struct cursor body = cursor_of(NULL, 0);
	enum verdict verdict;
	uint8_t type = 0;

	verdict = read_first(client, &type, &body);
	if (verdict != PROBE_YES)
		return verdict;
	if (!client_name(type, body))
		return PROBE_NO;
	/* What asks for capabilities is a COM_QUIT too: an answer tells. */
	verdict = read_first(server, &type, &body);
	if (verdict != PROBE_YES)
		return verdict;
	return is_answer(type, body) ? PROBE_YES : PROBE_NO;
}

static enum verdict mysql_x_probe(const struct opening *opening,
				  bool *client_out)
{
	enum verdict out, in;

	if (!opening->from_start)
		return PROBE_NO;
	out = probe_roles(&opening->out, &opening->in);
	in = probe_roles(&opening->in, &opening->out);
	*client_out = out == PROBE_YES;
	return out > in ? out : in;
}

static void *mysql_x_open(bool from_start, const struct observer *observer)
{
	struct mysql_x *x = calloc(1, sizeof(*x));

	(void)from_start;
	if (x)
		x->observer = observer;
	return x;
}

static struct step mysql_x_parse(void *state, enum side side,
				 const struct window *window)
{
	struct mysql_x *x = state;
	struct exchange *exchange = &x->exchange;
	struct cursor body = cursor_of(NULL, 0);
	const char *name = NULL;
	uint8_t type;

	/* A server may greet first: its bytes tell nothing. */
	if (side == SIDE_SERVER && window->length)
		return (struct step){ PARSE_TOOK, window->length };
	switch (read_first(window, &type, &body)) {
	case PROBE_MORE:
		return (struct step){ PARSE_MORE, 0 };
	case PROBE_YES:
		name = client_name(type, body);
		break;
	default:
		break;
	}
	if (!name)
		return (struct step){ PARSE_DONE, window->length };
	exchange_reset(exchange, "mysqlx", FAMILY_DATABASE);
	exchange->operation = name;
	exchange->request_bytes = HEADER_BYTES + cursor_left(&body);
	exchange->start_ns = window_first_ns(window, 0);
	exchange->tid = window_tid(window, 0);
	if (x->observer->exchange)
		x->observer->exchange(x->observer->context, exchange);
	exchange_done(exchange);
	return (struct step){ PARSE_DONE, window->length };
}

static size_t mysql_x_resync(void *state, enum side side,
			     const struct window *window)
{
	(void)state;
	(void)side;
	return window->length;
}

static void mysql_x_gap(void *state, enum side side, uint64_t missed)
{
	(void)state;
	(void)side;
	(void)missed;
}

const struct parser mysql_x_parser = {
	.name = "mysqlx",
	.probe = mysql_x_probe,
	.open = mysql_x_open,
	.parse = mysql_x_parse,
	.resync = mysql_x_resync,
	.gap = mysql_x_gap,
	.close = free,
};
