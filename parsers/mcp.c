/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mcp.c - the Model Context Protocol over a stream: a message of JSON-RPC a
 * line, as between an agent and the standard streams of a server it started.
 *
 * Both sides ask and answer.  A response is matched by its id with what the
 * other side asked.  One whose request is not known yet is kept until bytes
 * of the other side, moved later than it, prove that none will come.
 * Source: https://modelcontextprotocol.io/specification, "Transports: stdio".
 */
#include "parsers/parser.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "parsers/jsonrpc.h"
#include "parsers/pending.h"

#define CALLS_MAX      256   /* without response, of a side; the oldest goes */
#define ORPHANS_MAX    32    /* responses without request, of a side */
#define BATCH_MAX      64    /* messages of a line; those behind are dropped */
#define PROBE_LINES    16    /* that may tell nothing, or be cut off */
#define PROBE_LINE_MAX 16384 /* bytes of a line that is no message so far */

/* A message and when it moved: a request that waits, or an orphan. */
struct call {
	struct call *prev, *next;
	struct pending pending;
	struct jsonrpc_message *message;
};

struct lane {
	struct jsonrpc *rpc;
	struct pending line; /* of the line being read; as a request's */
	uint64_t end_ns;     /* its last byte so far */
	struct jsonrpc_message *messages; /* of the line, in order */
	unsigned message_count;
	struct call *calls; /* what this side asked */
	unsigned call_count;
	struct call *orphans; /* what this side answered, to nobody known */
	unsigned orphan_count;
};

struct mcp {
	const struct observer *observer;
	struct lane lanes[SIDES];
	struct buffer text; /* of the exchange being reported */
	struct exchange exchange;
};

/* Called by jsonrpc for the lane's line. */
static void on_message(void *context, struct jsonrpc_message *message)
{
	struct lane *lane = context;

	if (lane->message_count == BATCH_MAX) {
		jsonrpc_message_free(message);
		return;
	}
	lane->message_count++;
	LL_APPEND(lane->messages, message);
}

static void report(struct mcp *mcp, enum side sender,
		   const struct pending *pending,
		   const struct jsonrpc_message *request,
		   const struct jsonrpc_message *response)
{
	struct exchange *exchange = &mcp->exchange;

	exchange_reset(exchange, "mcp", FAMILY_OTHER);
	pending_describe(pending, exchange);
	exchange_text(exchange, "datasnoop.mcp.sender",
		      span_string(sender == SIDE_CLIENT ? "client" : "server"));
	if (!request)
		exchange->operation = "response";
	buffer_reset(&mcp->text);
	mcp_describe(exchange, &mcp->text, request, response);
	if (response && !response->has_error)
		exchange->status = 0;
	mcp_tell_values(mcp->observer, exchange, request, response);
	mcp->observer->exchange(mcp->observer->context, exchange);
	exchange_done(exchange);
}

static void call_free(struct call *call)
{
	jsonrpc_message_free(call->message);
	free(call);
}

/* No response was seen, and none will be. */
static void call_give_up(struct mcp *mcp, enum side side, struct call *call)
{
	struct lane *lane = &mcp->lanes[side];

	DL_DELETE(lane->calls, call);
	lane->call_count--;
	call->pending.damaged = true;
	report(mcp, side, &call->pending, call->message, NULL);
	call_free(call);
}

/* Its request was not seen. */
static void orphan_give_up(struct mcp *mcp, enum side side, struct call *orphan)
{
	struct lane *lane = &mcp->lanes[side];

	DL_DELETE(lane->orphans, orphan);
	lane->orphan_count--;
	orphan->pending.damaged = true;
	report(mcp, side, &orphan->pending, NULL, orphan->message);
	call_free(orphan);
}

/* The response's part of an exchange, as its line was moved. */
static void add_response(struct pending *to, const struct pending *response)
{
	to->response_bytes += response->response_bytes;
	to->first_byte_ns = response->first_byte_ns;
	to->end_ns = response->end_ns;
	to->damaged |= response->damaged;
}

static struct call *find(struct call *list, const struct jsonrpc_message *id)
{
	struct call *call;

	DL_FOREACH(list, call)
		if (jsonrpc_same_id(call->message, id))
			return call;
	return NULL;
}

/* What this side answered before the other moved `now` had no request. */
static void settle_orphans(struct mcp *mcp, enum side side, uint64_t now)
{
	struct lane *lane = &mcp->lanes[side];

	while (lane->orphans && lane->orphans->pending.first_byte_ns < now)
		orphan_give_up(mcp, side, lane->orphans);
}

/* Takes the message; NULL: out of memory, and it is freed. */
static struct call *call_new(struct jsonrpc_message *message,
			     const struct pending *pending)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call) {
		jsonrpc_message_free(message);
		return NULL;
	}
	call->message = message;
	call->pending = *pending;
	return call;
}

static void take_request(struct mcp *mcp, enum side side,
			 struct jsonrpc_message *message,
			 const struct pending *line)
{
	struct lane *lane = &mcp->lanes[side], *other = &mcp->lanes[!side];
	struct call *orphan = find(other->orphans, message);
	struct call *call = call_new(message, line);

	if (!call)
		return;
	if (orphan) {
		DL_DELETE(other->orphans, orphan);
		other->orphan_count--;
		add_response(&call->pending, &orphan->pending);
		report(mcp, side, &call->pending, message, orphan->message);
		call_free(orphan);
		call_free(call);
		return;
	}
	DL_APPEND(lane->calls, call);
	if (++lane->call_count > CALLS_MAX)
		call_give_up(mcp, side, lane->calls);
}

static void take_response(struct mcp *mcp, enum side side,
			  struct jsonrpc_message *message,
			  const struct pending *line)
{
	struct lane *lane = &mcp->lanes[side], *other = &mcp->lanes[!side];
	struct call *call = find(other->calls, message);

	if (call) {
		DL_DELETE(other->calls, call);
		other->call_count--;
		add_response(&call->pending, line);
		report(mcp, !side, &call->pending, call->message, message);
		call_free(call);
		jsonrpc_message_free(message);
		return;
	}
	call = call_new(message, line);
	if (!call)
		return;
	DL_APPEND(lane->orphans, call);
	if (++lane->orphan_count > ORPHANS_MAX)
		orphan_give_up(mcp, side, lane->orphans);
}

static void take_message(struct mcp *mcp, enum side side,
			 struct jsonrpc_message *message, struct pending *line,
			 uint64_t end_ns)
{
	struct pending answer = {
		.response_bytes = line->request_bytes,
		.first_byte_ns = line->start_ns,
		.end_ns = end_ns,
	};

	switch (message->kind) {
	case JSONRPC_REQUEST:
		take_request(mcp, side, message, line);
		break;
	case JSONRPC_RESPONSE:
		take_response(mcp, side, message, &answer);
		break;
	default:
		line->end_ns = end_ns;
		report(mcp, side, line, message, NULL);
		jsonrpc_message_free(message);
	}
	/* The bytes of a batch are told once. */
	line->request_bytes = 0;
}

static void lane_reset(struct lane *lane)
{
	struct jsonrpc_message *message, *next;

	LL_FOREACH_SAFE(lane->messages, message, next)
		jsonrpc_message_free(message);
	lane->messages = NULL;
	lane->message_count = 0;
	lane->line = (struct pending){ .request_bytes = 0 };
	jsonrpc_reset(lane->rpc);
}

static void line_ends(struct mcp *mcp, enum side side)
{
	struct lane *lane = &mcp->lanes[side];
	struct jsonrpc_message *message, *next;

	if (lane->messages)
		settle_orphans(mcp, !side, lane->line.start_ns);
	LL_FOREACH_SAFE(lane->messages, message, next) {
		message->next = NULL;
		take_message(mcp, side, message, &lane->line, lane->end_ns);
	}
	lane->messages = NULL;
	lane_reset(lane);
}

static struct step mcp_parse(void *state, enum side side,
			     const struct window *window)
{
	struct mcp *mcp = state;
	struct lane *lane = &mcp->lanes[side];
	const uint8_t *newline = memchr(window->bytes, '\n', window->length);
	size_t n = newline ? (size_t)(newline - window->bytes) + 1 :
			     window->length;

	if (!n)
		return (struct step){ PARSE_MORE, 0 };
	pending_request(&lane->line, window, 0, n);
	lane->end_ns = window_last_ns(window, n - 1);
	/* What a program prints between messages is no message. */
	jsonrpc_feed(lane->rpc, window->bytes, n);
	if (newline)
		line_ends(mcp, side);
	return (struct step){ PARSE_TOOK, n };
}

/*
 * At a bracket a message may begin: if it is one inside of a message, the rest
 * of its line is no JSON.
 */
static size_t mcp_resync(void *state, enum side side,
			 const struct window *window)
{
	const uint8_t *newline;

	(void)state;
	(void)side;
	if (window->length && (*window->bytes == '{' || *window->bytes == '['))
		return 0;
	newline = memchr(window->bytes, '\n', window->length);
	return newline ? (size_t)(newline - window->bytes) + 1 :
			 window->length;
}

static void mcp_gap(void *state, enum side side, uint64_t missed)
{
	struct mcp *mcp = state;

	if (missed)
		lane_reset(&mcp->lanes[side]);
}

static void mcp_close(void *state)
{
	struct mcp *mcp = state;

	for (int side = 0; side < SIDES; side++)
		line_ends(mcp, side);
	for (int side = 0; side < SIDES; side++) {
		struct lane *lane = &mcp->lanes[side];

		while (lane->orphans)
			orphan_give_up(mcp, side, lane->orphans);
		while (lane->calls)
			call_give_up(mcp, side, lane->calls);
		jsonrpc_free(lane->rpc);
	}
	buffer_free(&mcp->text);
	free(mcp);
}

static void *mcp_open(bool from_start, const struct observer *observer)
{
	struct mcp *mcp = calloc(1, sizeof(*mcp));

	(void)from_start;
	if (!mcp)
		return NULL;
	mcp->observer = observer;
	for (int side = 0; side < SIDES; side++)
		mcp->lanes[side].rpc = jsonrpc_new(on_message,
						   &mcp->lanes[side]);
	if (!mcp->lanes[SIDE_CLIENT].rpc || !mcp->lanes[SIDE_SERVER].rpc) {
		jsonrpc_free(mcp->lanes[SIDE_CLIENT].rpc);
		jsonrpc_free(mcp->lanes[SIDE_SERVER].rpc);
		free(mcp);
		return NULL;
	}
	return mcp;
}

/* What the head of a direction tells. */
enum head {
	HEAD_EMPTY,   /* nothing so far */
	HEAD_SHORT,   /* nothing against it, nothing for it */
	HEAD_FOREIGN, /* something else */
	HEAD_ANSWERS, /* JSON-RPC, but no method */
	HEAD_ASKS,    /* a method of either side's */
	HEAD_CLIENT,  /* a method that clients send */
	HEAD_SERVER
};

struct probe {
	enum head head;
};

static enum head head_of(const struct jsonrpc_message *message)
{
	if (!message->method[0])
		return message->version &&
				       (message->has_result ||
					message->has_error) ?
			       HEAD_ANSWERS : HEAD_SHORT;
	switch (mcp_sender_of(message->method)) {
	case MCP_CLIENT:
		return message->version ? HEAD_CLIENT : HEAD_SHORT;
	case MCP_SERVER:
		return message->version ? HEAD_SERVER : HEAD_SHORT;
	case MCP_EITHER:
		return message->version ? HEAD_ASKS : HEAD_SHORT;
	default:
		return HEAD_FOREIGN;
	}
}

static void on_probed(void *context, struct jsonrpc_message *message)
{
	struct probe *probe = context;

	if (probe->head < HEAD_CLIENT)
		probe->head = head_of(message);
	jsonrpc_message_free(message);
}

/* One line, whole or cut off by the window's end. */
static enum head probe_line(struct jsonrpc *rpc, struct probe *probe,
			    const uint8_t *bytes, size_t length, bool whole)
{
	bool good;

	jsonrpc_reset(rpc);
	probe->head = HEAD_FOREIGN;
	good = jsonrpc_feed(rpc, bytes, length);
	if (probe->head != HEAD_FOREIGN)
		return probe->head;
	if (!good || whole || !jsonrpc_peek(rpc))
		return good && !whole && length < 2 ? HEAD_SHORT :
						      HEAD_FOREIGN;
	probe->head = head_of(jsonrpc_peek(rpc));
	return probe->head == HEAD_SHORT && length >= PROBE_LINE_MAX &&
			       !jsonrpc_peek(rpc)->version ?
		       HEAD_FOREIGN : probe->head;
}

/*
 * A direction's lines.  Begun in the middle, the first one is cut off at its
 * start; a server may print what is no message, but not first.
 */
static enum head probe_lines(const struct window *window, bool from_start)
{
	const uint8_t *at = window->bytes, *end;
	struct probe probe = { HEAD_FOREIGN };
	struct jsonrpc *rpc;
	enum head best = HEAD_EMPTY;

	if (!window->length)
		return HEAD_EMPTY;
	end = at + window->length;
	/* Most that is asked is something else: cheaply answered. */
	if (from_start && *at != '{' && *at != '[')
		return HEAD_FOREIGN;
	rpc = jsonrpc_new(on_probed, &probe);
	for (int i = 0; rpc && i < PROBE_LINES && at < end; i++) {
		const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((newline ? newline : end) - at);
		enum head head = probe_line(rpc, &probe, at, length,
					    newline != NULL);

		at += length + 1;
		if (head == HEAD_FOREIGN && i == 0 && !from_start)
			head = newline ? HEAD_EMPTY : HEAD_SHORT;
		if (head > best || head == HEAD_FOREIGN)
			best = head;
		if (head == HEAD_FOREIGN || head >= HEAD_CLIENT || !newline)
			break;
	}
	jsonrpc_free(rpc);
	return best;
}

static enum verdict mcp_probe(const struct opening *opening, bool *client_out)
{
	enum head in = probe_lines(&opening->in, opening->from_start);
	enum head out = probe_lines(&opening->out, opening->from_start);

	if (in == HEAD_FOREIGN || out == HEAD_FOREIGN)
		return PROBE_NO;
	if (in >= HEAD_CLIENT || out >= HEAD_CLIENT) {
		*client_out = out == HEAD_CLIENT ||
			      (out != HEAD_SERVER && in == HEAD_SERVER);
		return PROBE_YES;
	}
	if (opening->last && (in == HEAD_ASKS || out == HEAD_ASKS)) {
		*client_out = out == HEAD_ASKS;
		return PROBE_YES;
	}
	/* Who asks first, as by ping, is the client more often than not. */
	if (in == HEAD_ASKS || out == HEAD_ASKS) {
		*client_out = out == HEAD_ASKS;
		return in == HEAD_ANSWERS || out == HEAD_ANSWERS ? PROBE_YES :
								    PROBE_MORE;
	}
	return PROBE_MORE;
}

const struct parser mcp_parser = {
	.name = "mcp",
	.probe = mcp_probe,
	.open = mcp_open,
	.parse = mcp_parse,
	.resync = mcp_resync,
	.gap = mcp_gap,
	.close = mcp_close,
};
