/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_llm_stream.c - a language model's response, from bytes to JSON values.
 *
 * One value, lines of them, elements of one array (Gemini), data of
 * server-sent events, or payloads of Amazon's event stream.
 */
#include "parsers/llm.h"

#include <string.h>

/* The data of an event, or of a message, is over. */
static void message_ends(struct llm_response *response)
{
	if (json_reader_failed(response->reader) ||
	    !json_reader_at_end(response->reader)) {
		response->bad = true;
		llm_part_reset(response);
	}
	json_reader_reset(response->reader);
}

static void on_sse_data(void *context, const char *bytes, size_t length)
{
	struct llm_response *response = context;

	json_reader_feed(response->reader, bytes, length);
}

static void on_sse_event(void *context, const struct sse *stream)
{
	struct llm_response *response = context;

	if (sse_data_is(stream, "[DONE]")) {
		response->done = true;
		json_reader_reset(response->reader);
		return;
	}
	message_ends(response);
}

static void on_message(void *context, const struct eventstream *stream,
		       const uint8_t *bytes, size_t length)
{
	struct llm_response *response = context;

	if (bytes) {
		json_reader_feed(response->reader, bytes, length);
		return;
	}
	if (stream->exception[0])
		llm_name_set(response->error_type,
			     span_string(stream->exception));
	response->done |= !strcmp(stream->event, "messageStop");
	message_ends(response);
}

/* Where the head did not say, or proxies lost what it said. */
static enum llm_format format_of(uint8_t first)
{
	if (first == '{' || first == '[')
		return LLM_JSON;
	return first == ':' || (first | 32) == 'd' || (first | 32) == 'e' ||
			       (first | 32) == 'i' ? LLM_SSE : LLM_UNKNOWN;
}

void llm_response_body(struct llm_response *response, const uint8_t *bytes,
		       size_t length)
{
	const struct sse_handler handler = { on_sse_data, on_sse_event,
					     response };

	while (length && response->format == LLM_UNKNOWN &&
	       strchr(" \t\r\n", *bytes) && *bytes) {
		bytes++;
		length--;
	}
	if (!length)
		return;
	if (response->format == LLM_UNKNOWN) {
		response->format = format_of(*bytes);
		response->bad |= response->format == LLM_UNKNOWN;
	}
	/* An error, where a stream was announced. */
	if (response->format == LLM_SSE && !response->sse.begun &&
	    *bytes == '{')
		response->format = LLM_JSON;
	switch (response->format) {
	case LLM_SSE:
		sse_feed(&response->sse, &handler, bytes, length);
		break;
	case LLM_EVENTS:
		eventstream_feed(&response->events, on_message, response,
				 bytes, length);
		response->bad |= response->events.bad;
		break;
	default:
		if (!json_reader_feed(response->reader, bytes, length))
			response->bad = true;
	}
}

void llm_response_head(struct llm_response *response,
		       const struct http_head *head)
{
	static const struct {
		const char *type;
		enum llm_format format;
	} types[] = {
		{ "text/event-stream", LLM_SSE },
		{ "application/x-ndjson", LLM_LINES },
		{ "application/ndjson", LLM_LINES },
		{ "application/jsonl", LLM_LINES },
		{ "application/vnd.amazon.eventstream", LLM_EVENTS },
		{ "application/json", LLM_JSON },
	};
	struct span type = http_header(head, "content-type");
	struct span error = http_header(head, "x-amzn-errortype");
	const char *end = type.length ? memchr(type.bytes, ';', type.length) :
					NULL;

	if (head->status >= 100 && head->status < 200)
		return;
	response->status = head->status;
	if (error.bytes) {
		const char *colon = memchr(error.bytes, ':', error.length);

		if (colon)
			error.length = (size_t)(colon - error.bytes);
		llm_name_set(response->error_type, error);
	}
	if (end)
		type.length = (size_t)(end - type.bytes);
	while (type.length && type.bytes[type.length - 1] == ' ')
		type.length--;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (span_is_nocase(type, types[i].type))
			response->format = types[i].format;
}
