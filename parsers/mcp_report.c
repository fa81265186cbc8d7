/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mcp_report.c - a request of the Model Context Protocol as an exchange.
 *
 * Names of methods, tools, prompts and resources are told; arguments and
 * results are payload.
 * Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/
 */
#include "parsers/jsonrpc.h"

#include <string.h>

#define OWN "datasnoop.mcp."

/* Bytes of the line of text, arguments included. */
#define LINE_MAX_BYTES (2 * JSONRPC_ARGUMENTS_MAX)

/* Prefixes of methods: who sends them.  The first that fits counts. */
static const struct {
	const char *prefix;
	enum mcp_sender sender;
} methods[] = {
	{ "initialize", MCP_CLIENT },
	{ "tools/", MCP_CLIENT },
	{ "resources/", MCP_CLIENT },
	{ "prompts/", MCP_CLIENT },
	{ "completion/", MCP_CLIENT },
	{ "logging/", MCP_CLIENT },
	{ "server/discover", MCP_CLIENT },
	{ "subscriptions/", MCP_CLIENT },
	{ "messages/", MCP_CLIENT },
	{ "sampling/", MCP_SERVER },
	{ "roots/", MCP_SERVER },
	{ "elicitation/", MCP_SERVER },
	{ "notifications/initialized", MCP_CLIENT },
	{ "notifications/roots/", MCP_CLIENT },
	{ "notifications/message", MCP_SERVER },
	{ "notifications/tools/", MCP_SERVER },
	{ "notifications/resources/", MCP_SERVER },
	{ "notifications/prompts/", MCP_SERVER },
	{ "notifications/elicitation/", MCP_SERVER },
	{ "notifications/", MCP_EITHER },
	{ "tasks/", MCP_EITHER },
	{ "ping", MCP_EITHER },
};

enum mcp_sender mcp_sender_of(const char *method)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		size_t length = strlen(methods[i].prefix);

		/* A word is the whole method, a prefix ends with a slash. */
		if (methods[i].prefix[length - 1] == '/' ?
			    !strncmp(method, methods[i].prefix, length) :
			    !strcmp(method, methods[i].prefix))
			return methods[i].sender;
	}
	return MCP_FOREIGN;
}

static void put(struct exchange *exchange, const char *key, const char *text)
{
	if (*text)
		exchange_text(exchange, key, span_string(text));
}

static bool method_is(const struct jsonrpc_message *message,
		      const char *method)
{
	return message && !strcmp(message->method, method);
}

/* What a request is about: a tool, a prompt, a resource. */
static void put_object(struct exchange *exchange,
		       const struct jsonrpc_message *request)
{
	if (method_is(request, "tools/call")) {
		put(exchange, "gen_ai.operation.name", "execute_tool");
		put(exchange, "gen_ai.tool.name", request->name);
	} else if (method_is(request, "prompts/get")) {
		put(exchange, "gen_ai.prompt.name", request->name);
	}
	put(exchange, "mcp.resource.uri", request->uri);
	if (request->name[0])
		exchange->subject = span_string(request->name);
	else if (request->uri[0])
		exchange->subject = span_string(request->uri);
	if (exchange->subject.bytes) {
		exchange->targets[0] = exchange->subject;
		exchange->target_count = 1;
	}
	exchange_payload(exchange, "gen_ai.tool.call.arguments",
			 buffer_span(&request->arguments));
}

static void put_sender(struct exchange *exchange,
		       const struct jsonrpc_message *message)
{
	static const char *const kinds[] = {
		[JSONRPC_REQUEST] = "request",
		[JSONRPC_NOTIFICATION] = "notification",
		[JSONRPC_RESPONSE] = "response",
	};

	put(exchange, OWN "message", kinds[message->kind]);
	put(exchange, "jsonrpc.request.id", message->id);
	if (message->kind == JSONRPC_RESPONSE)
		return;
	put(exchange, "mcp.method.name", message->method);
	put(exchange, OWN "client.name", message->peer);
	put(exchange, OWN "client.version", message->peer_version);
	exchange->operation = message->method;
}

/* A tool that fails answers with success of the protocol: it is none. */
static void put_failure(struct exchange *exchange,
			const struct jsonrpc_message *response)
{
	if (response->tool_failed && !response->has_error) {
		exchange->failed = true;
		exchange->status_name = span_string("tool_error");
		return;
	}
	if (!response->has_error)
		return;
	exchange->failed = true;
	if (response->error_message[0])
		exchange->message = span_string(response->error_message);
	if (response->error_code[0])
		exchange->status_name = span_string(response->error_code);
	put(exchange, "rpc.response.status_code", response->error_code);
}

static void put_result(struct exchange *exchange,
		       const struct jsonrpc_message *request,
		       const struct jsonrpc_message *response)
{
	bool is_content = !request || method_is(request, "tools/call");

	put(exchange, OWN "server.name", response->peer);
	put(exchange, OWN "server.version", response->peer_version);
	if (response->item_count)
		exchange_number(exchange, OWN "result.items",
				(int64_t)response->item_count);
	for (size_t i = 0; i < response->item_count && i < JSONRPC_ITEMS_MAX;
	     i++)
		put(exchange, OWN "result.names", response->items[i]);
	if (response->text_bytes)
		exchange_number(exchange, OWN "result.text_bytes",
				(int64_t)response->text_bytes);
	exchange_payload(exchange,
			 is_content ? "gen_ai.tool.call.result" :
				      OWN "result.text",
			 buffer_span(&response->text));
	put_failure(exchange, response);
}

static void line_put(struct buffer *line, const char *text)
{
	buffer_gather(line, text, strlen(text), LINE_MAX_BYTES);
}

/* "tools/call get_weather", and with values its arguments. */
static void put_line(struct exchange *exchange, struct buffer *line,
		     const struct jsonrpc_message *request)
{
	size_t length;

	line_put(line, request ? request->method : "response");
	if (exchange->subject.bytes) {
		line_put(line, " ");
		buffer_gather(line, exchange->subject.bytes,
			      exchange->subject.length, LINE_MAX_BYTES);
	}
	length = line->length;
	if (request && request->arguments.length) {
		line_put(line, " ");
		buffer_gather(line, request->arguments.bytes,
			      request->arguments.length, LINE_MAX_BYTES);
	}
	exchange->statement = buffer_span(line);
	exchange->masked = exchange->statement;
	if (exchange->masked.length > length)
		exchange->masked.length = length;
	exchange->statement_cut = false;
}

void mcp_describe(struct exchange *exchange, struct buffer *line,
		  const struct jsonrpc_message *request,
		  const struct jsonrpc_message *response)
{
	const char *protocol = response && response->protocol[0] ?
		response->protocol : request ? request->protocol : "";

	put_sender(exchange, request ? request : response);
	put(exchange, "mcp.protocol.version", protocol);
	if (request)
		put_object(exchange, request);
	if (request && request->text_bytes) {
		exchange_number(exchange, OWN "request.text_bytes",
				(int64_t)request->text_bytes);
		exchange_payload(exchange, OWN "request.text",
				 buffer_span(&request->text));
	}
	if (response)
		put_result(exchange, request, response);
	if (response && response->text.length) {
		exchange->columns[0] = span_string("result");
		exchange->column_count = 1;
		exchange->columns_total = 1;
	}
	put_line(exchange, line, request);
}

static void tell(const struct observer *observer,
		 const struct exchange *exchange, int column,
		 const struct buffer *text)
{
	struct span rest = buffer_span(text);

	while (rest.length) {
		struct span piece = rest;

		if (piece.length > VALUE_BYTES_MAX)
			piece.length = VALUE_BYTES_MAX;
		observer->value(observer->context, exchange, column, piece);
		rest.bytes += piece.length;
		rest.length -= piece.length;
	}
}

void mcp_tell_values(const struct observer *observer,
		     const struct exchange *exchange,
		     const struct jsonrpc_message *request,
		     const struct jsonrpc_message *response)
{
	if (!observer->value)
		return;
	if (request) {
		tell(observer, exchange, -1, &request->arguments);
		tell(observer, exchange, -1, &request->text);
	}
	if (response && exchange->column_count)
		tell(observer, exchange, 0, &response->text);
}
