/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_grpc.c - gRPC and gRPC-Web: which method, how it ended, what moved.
 *
 * A call is told by its content type; where HPACK's table was not seen from
 * the start that may be unknown, and the response has to prove it.  Messages
 * are counted and measured, not read.  How a method is declared (unary or
 * streaming) is not on the wire: only more than one message shows.
 * Sources: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md and
 * PROTOCOL-WEB.md; keys: OpenTelemetry's semantic conventions for gRPC.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "parsers/cursor.h"
#include "parsers/http.h"

#define GRPC_HEAD_BYTES 5 /* flags and length before a message */
#define GRPC_COMPRESSED 0x01
#define GRPC_TRAILERS	0x80 /* gRPC-Web: not a message but trailers */
#define GRPC_SIZES_MAX	16   /* messages of a side whose sizes are listed */
#define GRPC_PATH_MAX	512  /* bytes of service and method */
#define GRPC_TEXT_MAX	512  /* bytes of grpc-message, and of trailers read */

static const char *const status_names[] = {
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED",
	"NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
	"OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
	"DATA_LOSS", "UNAUTHENTICATED",
};

#define STATUS_COUNT (sizeof(status_names) / sizeof(*status_names))

/* The messages of a side. */
struct messages {
	uint8_t head[GRPC_HEAD_BYTES];
	unsigned have;	/* bytes of head */
	bool inside;	/* of a message: its size, and bytes to come */
	uint32_t size, left;
	bool is_compressed;
	uint64_t count, compressed; /* that came whole */
	int64_t sizes[GRPC_SIZES_MAX];
	bool lost; /* no telling where a message begins */
};

struct grpc {
	bool proven;	 /* it is gRPC for sure */
	char path[GRPC_PATH_MAX]; /* "service\0method\0" */
	size_t method;		  /* where it begins; 0: not known */
	struct messages sides[SIDES];
	bool web_trailers; /* the message being read is none */
	char trailers[GRPC_TEXT_MAX]; /* gRPC-Web's, of the body */
	size_t trailers_length;
	int64_t status; /* -1: not told */
	char message[GRPC_TEXT_MAX];
	size_t message_length;
	char encoding[32]; /* grpc-encoding of the request */
};

static bool begins_with(struct span text, const char *prefix)
{
	size_t length = strlen(prefix);

	return text.length >= length &&
	       !strncasecmp(text.bytes, prefix, length);
}

/* application/grpc, application/grpc+proto, application/grpc-web ... */
static bool is_grpc_type(struct span type)
{
	size_t length = strlen("application/grpc");

	if (!begins_with(type, "application/grpc"))
		return false;
	return type.length == length || strchr("+;- ", type.bytes[length]);
}

/* Where the method begins in "/service/method"; 0: it is no such path. */
static size_t method_of(struct span target)
{
	const char *slash;

	if (target.length < 4 || *target.bytes != '/' ||
	    memchr(target.bytes, '?', target.length))
		return 0;
	slash = memrchr(target.bytes, '/', target.length);
	if (slash == target.bytes || slash == target.bytes + 1 ||
	    slash == target.bytes + target.length - 1)
		return 0;
	return (size_t)(slash - target.bytes) + 1;
}

static enum http_match grpc_match(const struct http_head *request)
{
	struct span type = http_header(request, "content-type");

	if (is_grpc_type(type))
		return HTTP_YES;
	if (type.bytes || !request->incomplete)
		return HTTP_NO;
	if (request->method.bytes && !span_is(request->method, "POST"))
		return HTTP_NO;
	return !request->target.bytes || method_of(request->target) ?
		       HTTP_MAYBE : HTTP_NO;
}

static void keep_path(struct grpc *grpc, struct span target)
{
	size_t method = method_of(target);

	if (!method || target.length >= sizeof(grpc->path))
		return;
	memcpy(grpc->path, target.bytes + 1, target.length - 1);
	grpc->path[method - 2] = '\0';
	grpc->method = method - 1;
}

static void *grpc_open(const struct http_head *request,
		       const struct observer *observer)
{
	struct grpc *grpc = calloc(1, sizeof(*grpc));
	struct span type = http_header(request, "content-type");
	struct span encoding = http_header(request, "grpc-encoding");

	(void)observer;
	if (!grpc)
		return NULL;
	grpc->status = -1;
	grpc->proven = is_grpc_type(type);
	keep_path(grpc, request->target);
	if (encoding.length < sizeof(grpc->encoding) && encoding.length)
		memcpy(grpc->encoding, encoding.bytes, encoding.length);
	/* Base64 of the messages: their sizes do not show. */
	if (begins_with(type, "application/grpc-web-text"))
		grpc->sides[SIDE_CLIENT].lost =
			grpc->sides[SIDE_SERVER].lost = true;
	return grpc;
}

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* grpc-message is percent-encoded; what is badly so stays as it is. */
static void keep_message(struct grpc *grpc, struct span text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.length && n < sizeof(grpc->message); i++) {
		char c = text.bytes[i];

		if (c == '%' && i + 2 < text.length &&
		    hex_of(text.bytes[i + 1]) >= 0 &&
		    hex_of(text.bytes[i + 2]) >= 0) {
			c = (char)(hex_of(text.bytes[i + 1]) << 4 |
				   hex_of(text.bytes[i + 2]));
			i += 2;
		}
		grpc->message[n++] = c;
	}
	grpc->message_length = n;
}

/* A decimal number of at most five digits; -1: it is none. */
static int64_t number_of(struct span text)
{
	int64_t number = 0;

	if (!text.length || text.length > 5)
		return -1;
	for (size_t i = 0; i < text.length; i++) {
		if (text.bytes[i] < '0' || text.bytes[i] > '9')
			return -1;
		number = 10 * number + (text.bytes[i] - '0');
	}
	return number;
}

/* A field of the trailers, or of a head that is the trailers as well. */
static void take_field(struct grpc *grpc, struct span name, struct span value)
{
	if (span_is_nocase(name, "grpc-status")) {
		grpc->status = number_of(value);
		grpc->proven |= grpc->status >= 0;
	} else if (span_is_nocase(name, "grpc-message")) {
		keep_message(grpc, value);
	}
}

static void take_fields(struct grpc *grpc, const struct http_head *head)
{
	for (size_t i = 0; i < head->header_count; i++)
		take_field(grpc, head->headers[i].name,
			   head->headers[i].value);
}

static void grpc_response(void *state, const struct http_head *head)
{
	struct grpc *grpc = state;

	if (is_grpc_type(http_header(head, "content-type")))
		grpc->proven = true;
	take_fields(grpc, head);
}

static void grpc_trailers(void *state, enum side side,
			  const struct http_head *head)
{
	if (side == SIDE_SERVER)
		take_fields(state, head);
}

/* The five bytes before a message are there. */
static void begin_message(struct grpc *grpc, enum side side)
{
	struct messages *m = &grpc->sides[side];
	struct cursor c = cursor_of(m->head, sizeof(m->head));
	unsigned flags = cursor_uint(&c, 1);

	m->size = m->left = cursor_uint_be(&c, 4);
	m->have = 0;
	m->inside = true;
	m->is_compressed = flags & GRPC_COMPRESSED;
	grpc->web_trailers = side == SIDE_SERVER && flags & GRPC_TRAILERS;
	if (!grpc->web_trailers && flags & ~GRPC_COMPRESSED)
		m->lost = true;
}

static void end_message(struct grpc *grpc, enum side side)
{
	struct messages *m = &grpc->sides[side];

	m->inside = false;
	if (side == SIDE_SERVER && grpc->web_trailers)
		return;
	m->compressed += m->is_compressed;
	if (m->count < GRPC_SIZES_MAX)
		m->sizes[m->count] = m->size;
	m->count++;
}

static void take_message(struct grpc *grpc, enum side side,
			 const uint8_t *bytes, size_t length)
{
	struct messages *m = &grpc->sides[side];
	size_t room = sizeof(grpc->trailers) - grpc->trailers_length;

	m->left -= length;
	if (side == SIDE_CLIENT || !grpc->web_trailers)
		return;
	if (room > length)
		room = length;
	memcpy(grpc->trailers + grpc->trailers_length, bytes, room);
	grpc->trailers_length += room;
}

static void grpc_body(void *state, enum side side, const uint8_t *bytes,
		      size_t length)
{
	struct grpc *grpc = state;
	struct messages *m = &grpc->sides[side];

	while (length && !m->lost) {
		size_t n = m->left < length ? m->left : length;

		if (m->inside) {
			take_message(grpc, side, bytes, n);
		} else {
			n = 1;
			m->head[m->have++] = *bytes;
			if (m->have == sizeof(m->head))
				begin_message(grpc, side);
		}
		if (m->inside && !m->left && !m->lost)
			end_message(grpc, side);
		bytes += n;
		length -= n;
	}
}

static void grpc_gap(void *state, enum side side)
{
	struct grpc *grpc = state;

	grpc->sides[side].lost = true;
}

/* gRPC-Web's trailers: lines of HTTP/1. */
static void read_web_trailers(struct grpc *grpc)
{
	const char *at = grpc->trailers, *end = at + grpc->trailers_length;

	while (at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));
		const char *stop = eol ? eol : end, *colon, *value;

		colon = memchr(at, ':', (size_t)(stop - at));
		if (colon) {
			value = colon + 1;
			while (value < stop && *value == ' ')
				value++;
			while (stop > value && stop[-1] == '\r')
				stop--;
			take_field(grpc,
				   (struct span){ at, (size_t)(colon - at) },
				   (struct span){ value,
						  (size_t)(stop - value) });
		}
		at = eol ? eol + 1 : end;
	}
}

struct message_keys {
	const char *count, *size, *compressed;
};

static const struct message_keys keys[SIDES] = {
	[SIDE_CLIENT] = { "datasnoop.grpc.request.messages",
			  "datasnoop.grpc.request.message_size",
			  "datasnoop.grpc.request.compressed" },
	[SIDE_SERVER] = { "datasnoop.grpc.response.messages",
			  "datasnoop.grpc.response.message_size",
			  "datasnoop.grpc.response.compressed" },
};

static void describe_messages(const struct messages *m,
			      const struct message_keys *key,
			      struct exchange *exchange)
{
	if (m->lost && !m->count)
		return;
	exchange_number(exchange, key->count, (int64_t)m->count);
	for (size_t i = 0; i < m->count && i < GRPC_SIZES_MAX; i++)
		exchange_number(exchange, key->size, m->sizes[i]);
	if (m->compressed)
		exchange_number(exchange, key->compressed,
				(int64_t)m->compressed);
}

static void describe_status(struct grpc *grpc, struct exchange *exchange)
{
	/* 200 says no more than that gRPC has the word. */
	if (exchange->status == 200)
		exchange->status = -1;
	if (grpc->status < 0)
		return;
	exchange->status = grpc->status;
	exchange->failed = exchange->failed || grpc->status > 0;
	exchange_number(exchange, "rpc.grpc.status_code", grpc->status);
	if ((size_t)grpc->status < STATUS_COUNT)
		exchange->status_name =
			span_string(status_names[grpc->status]);
	if (grpc->message_length)
		exchange->message = (struct span){ grpc->message,
						   grpc->message_length };
}

static const char *streaming(const struct grpc *grpc)
{
	bool client = grpc->sides[SIDE_CLIENT].count > 1;
	bool server = grpc->sides[SIDE_SERVER].count > 1;

	if (client && server)
		return "both";
	if (client)
		return "client";
	return server ? "server" : NULL;
}

static bool grpc_finish(void *state, struct exchange *exchange)
{
	struct grpc *grpc = state;

	read_web_trailers(grpc);
	if (!grpc->proven)
		return false;
	exchange_text(exchange, "rpc.system", span_string("grpc"));
	if (grpc->method) {
		exchange->operation = grpc->path + grpc->method;
		exchange_text(exchange, "rpc.service",
			      span_string(grpc->path));
		exchange_text(exchange, "rpc.method",
			      span_string(exchange->operation));
	}
	describe_status(grpc, exchange);
	if (*grpc->encoding)
		exchange_text(exchange, "datasnoop.grpc.encoding",
			      span_string(grpc->encoding));
	exchange_text(exchange, "datasnoop.grpc.streaming",
		      span_string(streaming(grpc)));
	for (int side = 0; side < SIDES; side++)
		describe_messages(&grpc->sides[side], &keys[side], exchange);
	return true;
}

static void grpc_close(void *state)
{
	free(state);
}

const struct http_application http_grpc = {
	.name = "grpc",
	.match = grpc_match,
	.open = grpc_open,
	.response = grpc_response,
	.body = grpc_body,
	.trailers = grpc_trailers,
	.gap = grpc_gap,
	.finish = grpc_finish,
	.close = grpc_close,
};
