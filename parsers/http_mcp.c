/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_mcp.c - the Model Context Protocol over HTTP: streamable, and the
 * older one of a stream of events and requests apart.
 *
 * One transaction is one exchange: what the client sent, the response with
 * its id, and a count of what else the server said meanwhile.  Over the older
 * transport the response comes on another connection's stream, so that the
 * request is told without it.
 * Source: https://modelcontextprotocol.io/specification, "Transports".
 */
#include "parsers/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <utlist.h>

#include "parsers/jsonrpc.h"
#include "parsers/sse.h"

#define OWN "datasnoop.mcp."

#define MESSAGES_MAX 16 /* kept of a side; those behind are counted */
#define METHODS_MAX  8	/* of the server's, told by name */
#define SESSION_MAX  24 /* characters of a session's id, masked */

struct side_messages {
	struct jsonrpc *rpc;
	struct jsonrpc_message *messages;
	uint64_t count;
	bool over; /* not MCP's, or no more to be had */
};

struct http_mcp {
	const struct observer *observer;
	struct side_messages sides[SIDES];
	bool certain; /* a header says that it is MCP */
	bool events;  /* the response is a stream of events */
	bool endpoint; /* whose first names where to post: the old transport */
	struct sse sse;
	char session[SESSION_MAX];
	char protocol[JSONRPC_NAME_MAX];
	struct buffer line;
};

static void on_message(void *context, struct jsonrpc_message *message)
{
	struct side_messages *side = context;

	if (side->count++ < MESSAGES_MAX)
		LL_APPEND(side->messages, message);
	else
		jsonrpc_message_free(message);
}

static bool has_word(struct span value, const char *word)
{
	size_t length = strlen(word);

	for (size_t i = 0; i + length <= value.length; i++)
		if (!strncasecmp(value.bytes + i, word, length))
			return true;
	return false;
}

static bool is_certain(const struct http_head *head)
{
	return http_header(head, "mcp-session-id").bytes ||
	       http_header(head, "mcp-protocol-version").bytes ||
	       http_header(head, "mcp-method").bytes;
}

static enum http_match mcp_match(const struct http_head *request)
{
	if (is_certain(request))
		return HTTP_MAYBE;
	if (span_is(request->method, "POST") &&
	    has_word(http_header(request, "content-type"), "json"))
		return HTTP_MAYBE;
	return span_is(request->method, "GET") &&
			       has_word(http_header(request, "accept"),
					"text/event-stream") ?
		       HTTP_MAYBE : HTTP_NO;
}

static void mcp_close(void *state)
{
	struct http_mcp *mcp = state;

	for (int side = 0; side < SIDES; side++) {
		struct jsonrpc_message *message, *next;

		jsonrpc_free(mcp->sides[side].rpc);
		LL_FOREACH_SAFE(mcp->sides[side].messages, message, next)
			jsonrpc_message_free(message);
	}
	buffer_free(&mcp->line);
	free(mcp);
}

/*
 * Who has a session's id may speak in it: its first third, at most eight
 * characters, tells sessions apart and opens none.
 */
static void keep_session(struct http_mcp *mcp, struct span id)
{
	size_t length = id.length / 3 < 8 ? id.length / 3 : 8;

	if (!id.length || mcp->session[0])
		return;
	memcpy(mcp->session, id.bytes, length);
	memcpy(mcp->session + length, "...", 4);
}

static void *mcp_open(const struct http_head *request,
		      const struct observer *observer)
{
	struct http_mcp *mcp = calloc(1, sizeof(*mcp));
	struct span protocol = http_header(request, "mcp-protocol-version");

	if (!mcp)
		return NULL;
	mcp->observer = observer;
	mcp->certain = is_certain(request);
	for (int side = 0; side < SIDES; side++)
		mcp->sides[side].rpc = jsonrpc_new(on_message,
						   &mcp->sides[side]);
	if (!mcp->sides[SIDE_CLIENT].rpc || !mcp->sides[SIDE_SERVER].rpc) {
		mcp_close(mcp);
		return NULL;
	}
	keep_session(mcp, http_header(request, "mcp-session-id"));
	if (protocol.length && protocol.length < sizeof(mcp->protocol))
		memcpy(mcp->protocol, protocol.bytes, protocol.length);
	return mcp;
}

static void mcp_response(void *state, const struct http_head *head)
{
	struct http_mcp *mcp = state;

	mcp->certain |= is_certain(head);
	keep_session(mcp, http_header(head, "mcp-session-id"));
	mcp->events = has_word(http_header(head, "content-type"),
			       "text/event-stream");
}

static void on_data(void *context, const char *bytes, size_t length)
{
	struct http_mcp *mcp = context;

	if (!mcp->sides[SIDE_SERVER].over)
		jsonrpc_feed(mcp->sides[SIDE_SERVER].rpc, bytes, length);
}

static void on_event(void *context, const struct sse *stream)
{
	struct http_mcp *mcp = context;

	struct side_messages *side = &mcp->sides[SIDE_SERVER];

	if (!strcmp(stream->name, "endpoint") && stream->events == 1)
		mcp->endpoint = true;
	jsonrpc_reset(side->rpc);
	/* Some other stream of events; its first would be a message. */
	if (!mcp->certain && !mcp->endpoint && !side->count)
		side->over = true;
}

static void mcp_body(void *state, enum side side, const uint8_t *bytes,
		     size_t length)
{
	struct http_mcp *mcp = state;
	struct side_messages *messages = &mcp->sides[side];
	const struct sse_handler handler = { on_data, on_event, mcp };

	if (messages->over)
		return;
	if (side == SIDE_SERVER && mcp->events)
		sse_feed(&mcp->sse, &handler, bytes, length);
	else if (!jsonrpc_feed(messages->rpc, bytes, length))
		messages->over = true;
	/* No request of MCP's: the answer, perhaps large, is none either. */
	if (side == SIDE_CLIENT && messages->over && !mcp->certain)
		mcp->sides[SIDE_SERVER].over = true;
}

static void mcp_gap(void *state, enum side side)
{
	struct http_mcp *mcp = state;

	mcp->sides[side].over = true;
}

/* Did that side send a method of MCP's? */
static bool speaks(const struct side_messages *side)
{
	const struct jsonrpc_message *message;

	LL_FOREACH(side->messages, message)
		if (message->method[0] &&
		    mcp_sender_of(message->method) != MCP_FOREIGN)
			return true;
	return false;
}

static const struct jsonrpc_message *
response_to(const struct http_mcp *mcp, const struct jsonrpc_message *request)
{
	const struct jsonrpc_message *message;

	LL_FOREACH(mcp->sides[SIDE_SERVER].messages, message)
		if (message->kind == JSONRPC_RESPONSE &&
		    (!request || jsonrpc_same_id(message, request)))
			return message;
	return NULL;
}

/* The rest of a batch: their names, and whether one of them failed. */
static void put_batch(const struct http_mcp *mcp, struct exchange *exchange)
{
	const struct jsonrpc_message *first = mcp->sides[SIDE_CLIENT].messages;
	const struct jsonrpc_message *message;

	if (!first || !first->next)
		return;
	exchange_number(exchange, OWN "batch",
			(int64_t)mcp->sides[SIDE_CLIENT].count);
	LL_FOREACH(first->next, message) {
		const struct jsonrpc_message *response =
			response_to(mcp, message);

		if (message->method[0])
			exchange_text(exchange, "mcp.method.name",
				      span_string(message->method));
		if (!strcmp(message->method, "tools/call"))
			exchange_text(exchange, "gen_ai.tool.name",
				      span_string(message->name));
		exchange->failed |= response && (response->has_error ||
						 response->tool_failed);
	}
}

/* What the server said that is no response to the request. */
static void put_server(const struct http_mcp *mcp, struct exchange *exchange)
{
	const struct side_messages *side = &mcp->sides[SIDE_SERVER];
	const struct jsonrpc_message *message;
	unsigned told = 0;

	if (side->count)
		exchange_number(exchange, OWN "server.messages",
				(int64_t)side->count);
	LL_FOREACH(side->messages, message) {
		if (!message->method[0] || told == METHODS_MAX)
			continue;
		exchange_text(exchange, OWN "server.methods",
			      span_string(message->method));
		told++;
	}
}

static bool mcp_finish(void *state, struct exchange *exchange)
{
	struct http_mcp *mcp = state;
	const struct jsonrpc_message *request =
		mcp->sides[SIDE_CLIENT].messages;
	const struct jsonrpc_message *response = response_to(mcp, request);

	if (!mcp->certain && !mcp->endpoint &&
	    !speaks(&mcp->sides[SIDE_CLIENT]) &&
	    !speaks(&mcp->sides[SIDE_SERVER]))
		return false;
	if (request || response)
		mcp_describe(exchange, &mcp->line, request, response);
	put_batch(mcp, exchange);
	put_server(mcp, exchange);
	if (mcp->session[0])
		exchange_text(exchange, "mcp.session.id",
			      span_string(mcp->session));
	if (mcp->protocol[0] && !(response && response->protocol[0]) &&
	    !(request && request->protocol[0]))
		exchange_text(exchange, "mcp.protocol.version",
			      span_string(mcp->protocol));
	if (mcp->endpoint)
		exchange_text(exchange, OWN "transport", span_string("sse"));
	mcp_tell_values(mcp->observer, exchange, request, response);
	return true;
}

static bool mcp_told(const void *state, enum side side)
{
	const struct http_mcp *mcp = state;
	const struct jsonrpc_message *request =
		mcp->sides[SIDE_CLIENT].messages;
	const struct jsonrpc_message *message =
		side == SIDE_CLIENT ? request : response_to(mcp, request);

	return message && (message->arguments.length || message->text.length);
}

const struct http_application http_mcp = {
	.name = "mcp",
	.match = mcp_match,
	.open = mcp_open,
	.response = mcp_response,
	.body = mcp_body,
	.gap = mcp_gap,
	.finish = mcp_finish,
	.told = mcp_told,
	.close = mcp_close,
};
