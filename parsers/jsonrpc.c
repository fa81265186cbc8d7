/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jsonrpc.c - JSON-RPC 2.0 messages as the Model Context Protocol uses them.
 */
#include "parsers/jsonrpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parsers/json_reader.h"

enum field {
	FIELD_VERSION = 1,
	FIELD_ID,
	FIELD_METHOD,
	FIELD_NAME,
	FIELD_URI,
	FIELD_PROTOCOL,
	FIELD_PEER,
	FIELD_PEER_VERSION,
	FIELD_ARGUMENTS,
	FIELD_RESULT,
	FIELD_ERROR,
	FIELD_ERROR_CODE,
	FIELD_ERROR_MESSAGE,
	FIELD_TOOL_FAILED,
	FIELD_TEXT,
	FIELD_ITEM,	 /* object: one of a list */
	FIELD_ITEM_NAME
};

static const struct {
	const char *path;
	enum field field;
} rows[] = {
	{ "jsonrpc", FIELD_VERSION },
	{ "id", FIELD_ID },
	{ "method", FIELD_METHOD },
	{ "result", FIELD_RESULT },
	{ "error", FIELD_ERROR },
	{ "error.code", FIELD_ERROR_CODE },
	{ "error.message", FIELD_ERROR_MESSAGE },
	{ "params.name", FIELD_NAME },
	{ "params.ref.name", FIELD_NAME },
	{ "params.ref.uri", FIELD_URI },
	{ "params.uri", FIELD_URI },
	{ "params.arguments", FIELD_ARGUMENTS },
	{ "params.argument", FIELD_ARGUMENTS },
	{ "params.protocolVersion", FIELD_PROTOCOL },
	{ "params.clientInfo.name", FIELD_PEER },
	{ "params.clientInfo.version", FIELD_PEER_VERSION },
	{ "params._meta.io~modelcontextprotocol/protocolVersion",
	  FIELD_PROTOCOL },
	{ "params._meta.io~modelcontextprotocol/clientInfo.name", FIELD_PEER },
	{ "params._meta.io~modelcontextprotocol/clientInfo.version",
	  FIELD_PEER_VERSION },
	{ "params.messages[].content.text", FIELD_TEXT },
	{ "params.messages[].content[].text", FIELD_TEXT },
	{ "params.systemPrompt", FIELD_TEXT },
	{ "params.message", FIELD_TEXT },
	{ "params.reason", FIELD_TEXT },
	{ "result.protocolVersion", FIELD_PROTOCOL },
	{ "result.supportedVersions[]", FIELD_PROTOCOL },
	{ "result.serverInfo.name", FIELD_PEER },
	{ "result.serverInfo.version", FIELD_PEER_VERSION },
	{ "result._meta.io~modelcontextprotocol/serverInfo.name", FIELD_PEER },
	{ "result._meta.io~modelcontextprotocol/serverInfo.version",
	  FIELD_PEER_VERSION },
	{ "result.isError", FIELD_TOOL_FAILED },
	{ "result.content[]", FIELD_ITEM },
	{ "result.content[].text", FIELD_TEXT },
	{ "result.content[].resource.text", FIELD_TEXT },
	{ "result.content.text", FIELD_TEXT },
	{ "result.contents[]", FIELD_ITEM },
	{ "result.contents[].text", FIELD_TEXT },
	{ "result.contents[].uri", FIELD_ITEM_NAME },
	{ "result.messages[]", FIELD_ITEM },
	{ "result.messages[].content.text", FIELD_TEXT },
	{ "result.tools[]", FIELD_ITEM },
	{ "result.tools[].name", FIELD_ITEM_NAME },
	{ "result.resources[]", FIELD_ITEM },
	{ "result.resources[].uri", FIELD_ITEM_NAME },
	{ "result.resourceTemplates[]", FIELD_ITEM },
	{ "result.resourceTemplates[].uriTemplate", FIELD_ITEM_NAME },
	{ "result.prompts[]", FIELD_ITEM },
	{ "result.prompts[].name", FIELD_ITEM_NAME },
	{ "result.roots[]", FIELD_ITEM },
	{ "result.roots[].uri", FIELD_ITEM_NAME },
};

#define ROW_COUNT (sizeof(rows) / sizeof(*rows))

struct jsonrpc {
	struct json_reader *reader;
	jsonrpc_handler *handler;
	void *context;
	struct jsonrpc_message *message; /* being read; NULL: none */
	bool failed;
};

void jsonrpc_message_free(struct jsonrpc_message *message)
{
	if (!message)
		return;
	buffer_free(&message->arguments);
	buffer_free(&message->text);
	free(message);
}

bool jsonrpc_same_id(const struct jsonrpc_message *a,
		     const struct jsonrpc_message *b)
{
	return a->has_id && b->has_id && a->id_is_text == b->id_is_text &&
	       !strcmp(a->id, b->id);
}

static void set(char *name, size_t room, struct span text)
{
	size_t length = text.length < room ? text.length : room - 1;

	memcpy(name, text.bytes, length);
	name[length] = '\0';
}

static void take_text(struct jsonrpc_message *message,
		      const struct json_event *event)
{
	if (message->text.length)
		buffer_gather(&message->text, "\n", 1, JSONRPC_TEXT_MAX);
	buffer_gather(&message->text, event->text.bytes, event->text.length,
		      JSONRPC_TEXT_MAX);
	message->text_bytes += event->length;
}

static void take_id(struct jsonrpc_message *message,
		    const struct json_event *event)
{
	message->has_id = true;
	message->id_is_text = event->kind == JSON_STRING;
	set(message->id, sizeof(message->id), event->text);
}

static void take_string(struct jsonrpc_message *message, enum field field,
			const struct json_event *event)
{
	struct span text = event->text;

	switch (field) {
	case FIELD_VERSION:
		message->version = span_is(text, "2.0");
		break;
	case FIELD_ID:
		take_id(message, event);
		break;
	case FIELD_METHOD:
		set(message->method, sizeof(message->method), text);
		break;
	case FIELD_NAME:
		set(message->name, sizeof(message->name), text);
		break;
	case FIELD_URI:
		set(message->uri, sizeof(message->uri), text);
		break;
	case FIELD_PROTOCOL:
		set(message->protocol, sizeof(message->protocol), text);
		break;
	case FIELD_PEER:
		set(message->peer, sizeof(message->peer), text);
		break;
	case FIELD_PEER_VERSION:
		set(message->peer_version, sizeof(message->peer_version), text);
		break;
	case FIELD_ERROR_MESSAGE:
		set(message->error_message, sizeof(message->error_message),
		    text);
		break;
	case FIELD_TEXT:
		take_text(message, event);
		break;
	case FIELD_ITEM_NAME:
		if (message->item_count &&
		    message->item_count <= JSONRPC_ITEMS_MAX)
			set(message->items[message->item_count - 1],
			    JSONRPC_NAME_MAX, text);
		break;
	default:
		break;
	}
}

static enum field find(const char *path)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (!strcmp(rows[i].path, path))
			return rows[i].field;
	return 0;
}

/* Members of a message are these; others are of some other JSON. */
static bool is_member(const char *path)
{
	static const char *const members[] = {
		"jsonrpc", "id", "method", "params", "result", "error",
	};
	size_t length = strcspn(path, ".[");

	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		if (length == strlen(members[i]) &&
		    !memcmp(path, members[i], length))
			return true;
	return false;
}

static enum jsonrpc_kind kind_of(const struct jsonrpc_message *message)
{
	if (!message->version || message->foreign)
		return JSONRPC_NONE;
	if (message->method[0])
		return message->has_id ? JSONRPC_REQUEST : JSONRPC_NOTIFICATION;
	return message->has_result || message->has_error ? JSONRPC_RESPONSE :
							   JSONRPC_NONE;
}

static void message_ends(struct jsonrpc *rpc)
{
	struct jsonrpc_message *message = rpc->message;

	rpc->message = NULL;
	message->kind = kind_of(message);
	if (message->kind == JSONRPC_NONE)
		jsonrpc_message_free(message);
	else
		rpc->handler(rpc->context, message);
}

static void take_container(struct jsonrpc *rpc, enum field field,
			   struct json_reader *reader)
{
	struct jsonrpc_message *message = rpc->message;

	message->has_result |= field == FIELD_RESULT;
	message->has_error |= field == FIELD_ERROR;
	message->item_count += field == FIELD_ITEM;
	if (field == FIELD_ARGUMENTS)
		json_reader_capture(reader);
}

static void take_end(struct jsonrpc *rpc, enum field field, const char *path,
		     const struct json_event *event)
{
	if (field == FIELD_ARGUMENTS && event->text.length)
		buffer_gather(&rpc->message->arguments, event->text.bytes,
			      event->text.length, JSONRPC_ARGUMENTS_MAX);
	if (!*path)
		message_ends(rpc);
}

static void take_scalar(struct jsonrpc_message *message, enum field field,
			const struct json_event *event)
{
	message->has_result |= field == FIELD_RESULT;
	if (event->kind == JSON_STRING)
		take_string(message, field, event);
	else if (event->kind == JSON_NUMBER && field == FIELD_ID)
		take_id(message, event);
	else if (event->kind == JSON_NUMBER && field == FIELD_ERROR_CODE)
		set(message->error_code, sizeof(message->error_code),
		    event->text);
	else if (event->kind == JSON_BOOL && field == FIELD_TOOL_FAILED)
		message->tool_failed = event->number;
}

static void on_event(void *context, struct json_reader *reader,
		     const struct json_event *event)
{
	struct jsonrpc *rpc = context;
	const char *path = event->path;
	enum field field;

	/* Of a batch each element is a message. */
	if (path[0] == '[')
		path += path[2] == '.' ? 3 : 2;
	if (!*path && event->kind == JSON_OBJECT && !rpc->message) {
		rpc->message = calloc(1, sizeof(*rpc->message));
		return;
	}
	if (!rpc->message)
		return;
	if (*path && !is_member(path)) {
		rpc->message->foreign = true;
		json_reader_stop(reader);
		return;
	}
	field = find(path);
	switch (event->kind) {
	case JSON_OBJECT:
	case JSON_ARRAY:
		take_container(rpc, field, reader);
		break;
	case JSON_END:
		take_end(rpc, field, path, event);
		break;
	default:
		take_scalar(rpc->message, field, event);
	}
}

struct jsonrpc *jsonrpc_new(jsonrpc_handler *handler, void *context)
{
	struct jsonrpc *rpc = calloc(1, sizeof(*rpc));

	if (!rpc)
		return NULL;
	rpc->handler = handler;
	rpc->context = context;
	rpc->reader = json_reader_new(on_event, rpc);
	if (!rpc->reader) {
		free(rpc);
		return NULL;
	}
	return rpc;
}

void jsonrpc_free(struct jsonrpc *rpc)
{
	if (!rpc)
		return;
	jsonrpc_message_free(rpc->message);
	json_reader_free(rpc->reader);
	free(rpc);
}

void jsonrpc_reset(struct jsonrpc *rpc)
{
	jsonrpc_message_free(rpc->message);
	rpc->message = NULL;
	rpc->failed = false;
	json_reader_reset(rpc->reader);
}

bool jsonrpc_feed(struct jsonrpc *rpc, const void *bytes, size_t length)
{
	if (rpc->failed)
		return false;
	if (!json_reader_feed(rpc->reader, bytes, length) ||
	    (rpc->message && rpc->message->foreign))
		rpc->failed = true;
	return !rpc->failed;
}

const struct jsonrpc_message *jsonrpc_peek(const struct jsonrpc *rpc)
{
	return rpc->message;
}
