/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_llm_report.c - a call of a language model's API as an exchange.
 *
 * Texts and tools' arguments are payload; sizes, counts and names are not.
 * What matters most comes first: attributes have a bound.
 * Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/
 */
#include "parsers/llm.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OWN "datasnoop.gen_ai."

#define TOOLS_SHOWN_MAX 4 /* called, in the line of text */

/* A number that is not known is left out. */
static void put_number(struct exchange *exchange, const char *key,
		       int64_t number)
{
	if (number >= 0)
		exchange_number(exchange, key, number);
}

static void put_count(struct exchange *exchange, const char *key,
		      uint64_t count)
{
	if (count)
		exchange_number(exchange, key, (int64_t)count);
}

static void put_real(struct exchange *exchange, const char *key, double real)
{
	if (!isnan(real))
		exchange_real(exchange, key, real);
}

static void put_name(struct exchange *exchange, const char *key,
		     const char *name)
{
	if (*name)
		exchange_text(exchange, key, span_string(name));
}

static const char *model_of(const struct llm *llm)
{
	return llm->request.model[0] ? llm->request.model :
				       llm->endpoint.model;
}

/* A model that is invoked by its own body tells by it what it is asked. */
static const char *operation_of(const struct llm *llm)
{
	if (llm->endpoint.invokes && llm->response.embeddings)
		return "embeddings";
	if (llm->endpoint.invokes && llm->request.messages)
		return "chat";
	return llm->endpoint.operation;
}

static void put_identity(const struct llm *llm, struct exchange *exchange)
{
	const struct llm_endpoint *endpoint = &llm->endpoint;
	const char *provider = endpoint->provider;

	if (!endpoint->known && llm->response.server)
		provider = llm->response.server;
	exchange_text(exchange, "gen_ai.provider.name", span_string(provider));
	/* The dialect is the provider's, the server may be anybody's. */
	if (!endpoint->known && !llm->response.server)
		exchange_bool(exchange, OWN "provider.compatible", true);
	exchange_text(exchange, "gen_ai.operation.name",
		      span_string(exchange->operation));
	put_name(exchange, "gen_ai.request.model", model_of(llm));
	if (llm->request.model[0] && endpoint->model[0])
		put_name(exchange, OWN "request.deployment", endpoint->model);
	put_name(exchange, "gen_ai.response.model", llm->response.model);
	put_name(exchange, "gen_ai.response.id", llm->response.id);
	for (size_t i = 0; i < LLM_CHOICES_MAX; i++)
		put_name(exchange, "gen_ai.response.finish_reasons",
			 llm->response.finish[i]);
}

static void put_usage(const struct llm_response *response,
		      struct exchange *exchange)
{
	put_number(exchange, "gen_ai.usage.input_tokens",
		   response->input_tokens);
	put_number(exchange, "gen_ai.usage.output_tokens",
		   response->output_tokens);
	put_number(exchange, "gen_ai.usage.cache_read.input_tokens",
		   response->cache_read_tokens);
	put_number(exchange, "gen_ai.usage.cache_creation.input_tokens",
		   response->cache_creation_tokens);
	put_number(exchange, "gen_ai.usage.reasoning.output_tokens",
		   response->reasoning_tokens);
}

static void put_request(const struct llm *llm, struct exchange *exchange)
{
	const struct llm_request *request = &llm->request;

	if (request->stream >= 0 || llm->endpoint.streams)
		exchange_bool(exchange, "gen_ai.request.stream",
			      request->stream > 0 || llm->endpoint.streams);
	put_number(exchange, "gen_ai.request.max_tokens", request->max_tokens);
	put_number(exchange, "gen_ai.request.choice.count", request->choices);
	put_number(exchange, "gen_ai.request.seed", request->seed);
	put_number(exchange, "gen_ai.embeddings.dimension.count",
		   request->dimensions);
	put_real(exchange, "gen_ai.request.temperature", request->temperature);
	put_real(exchange, "gen_ai.request.top_p", request->top_p);
	put_real(exchange, "gen_ai.request.top_k", request->top_k);
	put_real(exchange, "gen_ai.request.frequency_penalty",
		 request->frequency_penalty);
	put_real(exchange, "gen_ai.request.presence_penalty",
		 request->presence_penalty);
	put_count(exchange, OWN "request.messages", request->messages);
	put_count(exchange, OWN "request.inputs", request->inputs);
	put_count(exchange, OWN "request.attachments", request->attachments);
	put_count(exchange, OWN "system.bytes", request->system.length);
	put_count(exchange, OWN "prompt.bytes", request->prompt.length);
	put_count(exchange, OWN "request.tool_count", request->tool_count);
	if (request->cut || json_reader_failed(request->reader))
		exchange_bool(exchange, OWN "request.cut", true);
}

static void put_response(const struct llm_response *response,
			 struct exchange *exchange)
{
	put_count(exchange, OWN "completion.bytes", response->completion_bytes);
	put_count(exchange, OWN "reasoning.bytes", response->reasoning.length);
	put_count(exchange, OWN "response.embeddings", response->embeddings);
	put_count(exchange, OWN "response.tool_calls",
		  response->tool_count + response->tools_dropped);
	if (response->format == LLM_LINES)
		put_count(exchange, OWN "response.ndjson_lines",
			  response->values);
	if (response->format == LLM_EVENTS)
		put_count(exchange, OWN "response.events",
			  response->events.messages);
	if (response->done)
		exchange_bool(exchange, OWN "response.done", true);
	if (response->cut || response->bad)
		exchange_bool(exchange, OWN "response.cut", true);
}

static void put_texts(const struct llm *llm, struct exchange *exchange)
{
	exchange_payload(exchange, OWN "system",
			 buffer_span(&llm->request.system.kept));
	exchange_payload(exchange, OWN "prompt",
			 buffer_span(&llm->request.prompt.kept));
	for (size_t i = 0; i < LLM_CHOICES_MAX; i++)
		exchange_payload(exchange, OWN "completion",
				 buffer_span(&llm->response.completions[i]
						      .kept));
	exchange_payload(exchange, OWN "reasoning",
			 buffer_span(&llm->response.reasoning.kept));
}

/* Names and arguments are lists of one length: the nth belong together. */
static void put_tools(const struct llm *llm, struct exchange *exchange)
{
	const struct llm_response *response = &llm->response;
	const struct llm_request *request = &llm->request;

	for (size_t i = 0; i < response->tool_count; i++) {
		struct span arguments =
			buffer_span(&response->tools[i].arguments);

		exchange_text(exchange, "gen_ai.tool.name",
			      span_string(response->tools[i].name));
		exchange_payload(exchange, "gen_ai.tool.call.arguments",
				 arguments.bytes ? arguments :
						   span_string(""));
	}
	for (size_t i = 0; i < request->tool_count && i < LLM_TOOLS_MAX; i++)
		put_name(exchange, OWN "request.tools", request->tools[i]);
}

static void put_error(const struct llm_response *response,
		      struct exchange *exchange)
{
	if (!response->error_type[0] && !response->error_code[0] &&
	    !response->error_message[0])
		return;
	exchange->failed = true;
	if (response->error_type[0])
		exchange->status_name = span_string(response->error_type);
	else if (response->error_code[0])
		exchange->status_name = span_string(response->error_code);
	if (response->error_message[0])
		exchange->message = span_string(response->error_message);
	put_name(exchange, OWN "error.code", response->error_code);
}

/* Appends to the line, as far as it has room. */
static void line_print(struct llm *llm, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void line_print(struct llm *llm, const char *format, ...)
{
	size_t length = strlen(llm->line);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(llm->line + length, sizeof(llm->line) - length, format,
		  arguments);
	va_end(arguments);
}

/* 1204 as 1,204. */
static void line_tokens(struct llm *llm, int64_t tokens)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRId64, tokens);

	for (int i = 0; i < length; i++)
		line_print(llm, "%s%c", i && !((length - i) % 3) ? "," : "",
			   digits[i]);
}

static void line_usage(struct llm *llm)
{
	const struct llm_response *response = &llm->response;

	if (response->input_tokens < 0 && response->output_tokens < 0)
		return;
	line_print(llm, ", ");
	if (response->input_tokens >= 0)
		line_tokens(llm, response->input_tokens);
	if (response->output_tokens >= 0) {
		line_print(llm, "%s-> ",
			   response->input_tokens >= 0 ? " " : "");
		line_tokens(llm, response->output_tokens);
	}
	line_print(llm, " tokens");
}

/* "chat gpt-4o: 3 messages, 1,204 -> 356 tokens, tools: get_weather" */
static void line_compose(struct llm *llm, const char *operation)
{
	const struct llm_response *response = &llm->response;
	uint64_t count = llm->request.messages;
	const char *what = "message";

	llm->line[0] = '\0';
	if (!count) {
		count = llm->request.inputs;
		what = "input";
	}
	line_print(llm, "%s %s", operation,
		   *model_of(llm) ? model_of(llm) : llm->endpoint.provider);
	if (llm->request.cut && !count)
		line_print(llm, ": ? messages");
	else
		line_print(llm, ": %" PRIu64 " %s%s", count, what,
			   count == 1 ? "" : "s");
	line_usage(llm);
	for (size_t i = 0; i < response->tool_count; i++) {
		if (i == TOOLS_SHOWN_MAX) {
			line_print(llm, ", ...");
			break;
		}
		line_print(llm, "%s%s", i ? ", " : ", tools: ",
			   response->tools[i].name);
	}
}

/*
 * Bytes of a piece of a text that is too long for one value: up to its last
 * white space, so that what a classifier looks for is not cut in two.
 */
static size_t piece_length(struct span text)
{
	size_t length = VALUE_BYTES_MAX;

	if (text.length <= VALUE_BYTES_MAX)
		return text.length;
	while (length > VALUE_BYTES_MAX / 2 &&
	       !strchr(" \n\t", text.bytes[length - 1]))
		length--;
	return length > VALUE_BYTES_MAX / 2 ? length : VALUE_BYTES_MAX;
}

static void tell_text(const struct llm *llm, const struct exchange *exchange,
		      int column, const struct buffer *kept)
{
	struct span rest = buffer_span(kept);

	while (rest.length) {
		struct span piece = { rest.bytes, piece_length(rest) };

		llm->observer->value(llm->observer->context, exchange, column,
				     piece);
		rest.bytes += piece.length;
		rest.length -= piece.length;
	}
}

/* What went to the model are parameters, what came back is column 0. */
static void tell_values(const struct llm *llm, const struct exchange *exchange)
{
	const struct llm_response *response = &llm->response;

	if (!llm->observer->value)
		return;
	tell_text(llm, exchange, -1, &llm->request.system.kept);
	tell_text(llm, exchange, -1, &llm->request.prompt.kept);
	for (size_t i = 0; i < LLM_CHOICES_MAX; i++)
		tell_text(llm, exchange, 0, &response->completions[i].kept);
	tell_text(llm, exchange, 0, &response->reasoning.kept);
	for (size_t i = 0; i < response->tool_count; i++)
		tell_text(llm, exchange, 0, &response->tools[i].arguments);
}

void llm_report(struct llm *llm, struct exchange *exchange)
{
	exchange->operation = operation_of(llm);
	put_identity(llm, exchange);
	put_usage(&llm->response, exchange);
	put_request(llm, exchange);
	put_response(&llm->response, exchange);
	put_error(&llm->response, exchange);
	put_texts(llm, exchange);
	put_tools(llm, exchange);
	line_compose(llm, exchange->operation);
	exchange->subject = span_string(model_of(llm));
	if (!exchange->subject.length)
		exchange->subject.bytes = NULL;
	exchange->statement = exchange->masked = span_string(llm->line);
	exchange->statement_cut = false;
	if (llm->response.completion_bytes || llm->response.reasoning.length ||
	    llm->response.tool_count) {
		exchange->columns[0] = span_string("completion");
		exchange->column_count = 1;
		exchange->columns_total = 1;
	}
	tell_values(llm, exchange);
}
