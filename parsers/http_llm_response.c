/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_llm_response.c - what the JSON of a language model's response says.
 *
 * A whole response is one value; a streamed one is many.  All are read with
 * the same table.  A tool's call and OpenAI's typed deltas are told by several
 * members of one object, in any order: they gather in `part` until that
 * object ends.
 */
#include "parsers/llm.h"

#include <string.h>

enum response_field {
	FIELD_ID = 1,
	FIELD_MODEL,
	FIELD_CHOICE, /* object: an answer of several */
	FIELD_CHOICE_INDEX,
	FIELD_FINISH,
	FIELD_STATUS,
	FIELD_TEXT,
	FIELD_REASONING,
	FIELD_PART,    /* object: text, or what was thought */
	FIELD_THOUGHT, /* it was */
	FIELD_TYPE,
	FIELD_DELTA,
	FIELD_CALL, /* object: a tool's call */
	FIELD_CALL_INDEX,
	FIELD_CALL_NAME,
	FIELD_CALL_ARGUMENTS, /* text, or a part of it; or an object */
	FIELD_CALL_WHOLE,     /* text in place of what was there */
	FIELD_INPUT_TOKENS,
	FIELD_OUTPUT_TOKENS,
	FIELD_CACHE_READ,
	FIELD_CACHE_CREATION,
	FIELD_REASONING_TOKENS,
	FIELD_EMBEDDING, /* array or text: one vector */
	FIELD_DONE,
	FIELD_CHUNK, /* text: base64 of a JSON value */
	FIELD_FINGERPRINT,
	FIELD_LLAMA_CPP,
	FIELD_VLLM,
	FIELD_ERROR_TYPE,
	FIELD_ERROR_CODE,
	FIELD_ERROR_MESSAGE,
	FIELD_ERROR_TEXT /* a message only where the response has failed */
};

static const struct llm_row rows[] = {
	/* OpenAI: chat, completions, and all that are compatible */
	ROW("id", FIELD_ID),
	ROW("model", FIELD_MODEL),
	ROW("choices[]", FIELD_CHOICE),
	ROW("choices[].index", FIELD_CHOICE_INDEX),
	ROW("choices[].finish_reason", FIELD_FINISH),
	ROW("choices[].text", FIELD_TEXT),
	ROW("choices[].message.content", FIELD_TEXT),
	ROW("choices[].message.content[].text", FIELD_TEXT),
	ROW("choices[].message.refusal", FIELD_TEXT),
	ROW("choices[].delta.content", FIELD_TEXT),
	ROW("choices[].delta.content[].text", FIELD_TEXT),
	ROW("choices[].delta.refusal", FIELD_TEXT),
	ROW("choices[].message.reasoning_content", FIELD_REASONING),
	ROW("choices[].message.reasoning", FIELD_REASONING),
	ROW("choices[].delta.reasoning_content", FIELD_REASONING),
	ROW("choices[].delta.reasoning", FIELD_REASONING),
	ROW("choices[].message.tool_calls[]", FIELD_CALL),
	ROW("choices[].message.tool_calls[].function.name", FIELD_CALL_NAME),
	ROW("choices[].message.tool_calls[].function.arguments",
	    FIELD_CALL_ARGUMENTS),
	ROW("choices[].delta.tool_calls[]", FIELD_CALL),
	ROW("choices[].delta.tool_calls[].index", FIELD_CALL_INDEX),
	ROW("choices[].delta.tool_calls[].function.name", FIELD_CALL_NAME),
	ROW("choices[].delta.tool_calls[].function.arguments",
	    FIELD_CALL_ARGUMENTS),
	ROW("choices[].message.function_call", FIELD_CALL),
	ROW("choices[].message.function_call.name", FIELD_CALL_NAME),
	ROW("choices[].message.function_call.arguments", FIELD_CALL_ARGUMENTS),
	ROW("choices[].delta.function_call", FIELD_CALL),
	ROW("choices[].delta.function_call.name", FIELD_CALL_NAME),
	ROW("choices[].delta.function_call.arguments", FIELD_CALL_ARGUMENTS),
	ROW("usage.prompt_tokens", FIELD_INPUT_TOKENS),
	ROW("usage.completion_tokens", FIELD_OUTPUT_TOKENS),
	ROW("usage.prompt_tokens_details.cached_tokens", FIELD_CACHE_READ),
	ROW("usage.completion_tokens_details.reasoning_tokens",
	    FIELD_REASONING_TOKENS),
	ROW("usage.prompt_cache_hit_tokens", FIELD_CACHE_READ),
	ROW("x_groq.usage.prompt_tokens", FIELD_INPUT_TOKENS),
	ROW("x_groq.usage.completion_tokens", FIELD_OUTPUT_TOKENS),
	ROW("data[].embedding", FIELD_EMBEDDING),
	ROW("system_fingerprint", FIELD_FINGERPRINT),
	ROW("timings.predicted_n", FIELD_LLAMA_CPP),
	ROW("prompt_logprobs", FIELD_VLLM),
	ROW("kv_transfer_params", FIELD_VLLM),
	ROW("error", FIELD_ERROR_MESSAGE),
	ROW("error.type", FIELD_ERROR_TYPE),
	ROW("error.code", FIELD_ERROR_CODE),
	ROW("error.message", FIELD_ERROR_MESSAGE),
	/* OpenAI: responses, whole */
	ROW("status", FIELD_STATUS),
	ROW("output[]", FIELD_CALL),
	ROW("output[].name", FIELD_CALL_NAME),
	ROW("output[].arguments", FIELD_CALL_ARGUMENTS),
	ROW("output[].content[].text", FIELD_TEXT),
	ROW("output[].content[].refusal", FIELD_TEXT),
	ROW("output[].summary[].text", FIELD_REASONING),
	ROW("usage.input_tokens_details.cached_tokens", FIELD_CACHE_READ),
	ROW("usage.output_tokens_details.reasoning_tokens",
	    FIELD_REASONING_TOKENS),
	/* and streamed */
	ROW("type", FIELD_TYPE),
	ROW("delta", FIELD_DELTA),
	ROW("output_index", FIELD_CALL_INDEX),
	ROW("item.name", FIELD_CALL_NAME),
	ROW("item.arguments", FIELD_CALL_WHOLE),
	ROW("response.id", FIELD_ID),
	ROW("response.model", FIELD_MODEL),
	ROW("response.status", FIELD_STATUS),
	ROW("response.usage.input_tokens", FIELD_INPUT_TOKENS),
	ROW("response.usage.output_tokens", FIELD_OUTPUT_TOKENS),
	ROW("response.usage.input_tokens_details.cached_tokens",
	    FIELD_CACHE_READ),
	ROW("response.usage.output_tokens_details.reasoning_tokens",
	    FIELD_REASONING_TOKENS),
	ROW("response.error.code", FIELD_ERROR_CODE),
	ROW("response.error.message", FIELD_ERROR_MESSAGE),
	/* Anthropic, whole and streamed */
	ROW("stop_reason", FIELD_FINISH),
	ROW("content[]", FIELD_CALL),
	ROW("content[].text", FIELD_TEXT),
	ROW("content[].thinking", FIELD_REASONING),
	ROW("content[].name", FIELD_CALL_NAME),
	ROW("content[].input", FIELD_CALL_ARGUMENTS),
	ROW("completion", FIELD_TEXT),
	ROW("usage.input_tokens", FIELD_INPUT_TOKENS),
	ROW("usage.output_tokens", FIELD_OUTPUT_TOKENS),
	ROW("usage.cache_read_input_tokens", FIELD_CACHE_READ),
	ROW("usage.cache_creation_input_tokens", FIELD_CACHE_CREATION),
	ROW("message.id", FIELD_ID),
	ROW("message.model", FIELD_MODEL),
	ROW("message.usage.input_tokens", FIELD_INPUT_TOKENS),
	ROW("message.usage.output_tokens", FIELD_OUTPUT_TOKENS),
	ROW("message.usage.cache_read_input_tokens", FIELD_CACHE_READ),
	ROW("message.usage.cache_creation_input_tokens", FIELD_CACHE_CREATION),
	ROW("index", FIELD_CALL_INDEX),
	ROW("content_block.name", FIELD_CALL_NAME),
	ROW("delta.text", FIELD_TEXT),
	ROW("delta.thinking", FIELD_REASONING),
	ROW("delta.partial_json", FIELD_CALL_ARGUMENTS),
	ROW("delta.stop_reason", FIELD_FINISH),
	ROW("input_tokens", FIELD_INPUT_TOKENS),
	/* Gemini */
	ROW("responseId", FIELD_ID),
	ROW("modelVersion", FIELD_MODEL),
	ROW("candidates[]", FIELD_CHOICE),
	ROW("candidates[].index", FIELD_CHOICE_INDEX),
	ROW("candidates[].finishReason", FIELD_FINISH),
	ROW("candidates[].content.parts[]", FIELD_PART),
	ROW("candidates[].content.parts[].text", FIELD_TEXT),
	ROW("candidates[].content.parts[].thought", FIELD_THOUGHT),
	ROW("candidates[].content.parts[].functionCall", FIELD_CALL),
	ROW("candidates[].content.parts[].functionCall.name", FIELD_CALL_NAME),
	ROW("candidates[].content.parts[].functionCall.args",
	    FIELD_CALL_ARGUMENTS),
	ROW("promptFeedback.blockReason", FIELD_FINISH),
	ROW("usageMetadata.promptTokenCount", FIELD_INPUT_TOKENS),
	ROW("usageMetadata.candidatesTokenCount", FIELD_OUTPUT_TOKENS),
	ROW("usageMetadata.cachedContentTokenCount", FIELD_CACHE_READ),
	ROW("usageMetadata.thoughtsTokenCount", FIELD_REASONING_TOKENS),
	ROW("totalTokens", FIELD_INPUT_TOKENS),
	ROW("embedding.values", FIELD_EMBEDDING),
	ROW("embeddings[].values", FIELD_EMBEDDING),
	ROW("predictions[].embeddings.values", FIELD_EMBEDDING),
	ROW("error.status", FIELD_ERROR_TYPE),
	/* Bedrock: converse, whole and streamed */
	ROW("stopReason", FIELD_FINISH),
	ROW("output.message.content[].text", FIELD_TEXT),
	ROW("output.message.content[].reasoningContent.reasoningText.text",
	    FIELD_REASONING),
	ROW("output.message.content[].toolUse", FIELD_CALL),
	ROW("output.message.content[].toolUse.name", FIELD_CALL_NAME),
	ROW("output.message.content[].toolUse.input", FIELD_CALL_ARGUMENTS),
	ROW("contentBlockIndex", FIELD_CALL_INDEX),
	ROW("start.toolUse.name", FIELD_CALL_NAME),
	ROW("delta.toolUse.input", FIELD_CALL_ARGUMENTS),
	ROW("delta.reasoningContent.text", FIELD_REASONING),
	ROW("usage.inputTokens", FIELD_INPUT_TOKENS),
	ROW("usage.outputTokens", FIELD_OUTPUT_TOKENS),
	ROW("usage.cacheReadInputTokens", FIELD_CACHE_READ),
	ROW("usage.cacheWriteInputTokens", FIELD_CACHE_CREATION),
	/* and what the models say when they are invoked */
	ROW("bytes", FIELD_CHUNK),
	ROW("results[].outputText", FIELD_TEXT),
	ROW("results[].completionReason", FIELD_FINISH),
	ROW("results[].tokenCount", FIELD_OUTPUT_TOKENS),
	ROW("inputTextTokenCount", FIELD_INPUT_TOKENS),
	ROW("outputText", FIELD_TEXT),
	ROW("completionReason", FIELD_FINISH),
	ROW("totalOutputTextTokenCount", FIELD_OUTPUT_TOKENS),
	ROW("embedding", FIELD_EMBEDDING),
	ROW("generation", FIELD_TEXT),
	ROW("prompt_token_count", FIELD_INPUT_TOKENS),
	ROW("generation_token_count", FIELD_OUTPUT_TOKENS),
	ROW("outputs[].text", FIELD_TEXT),
	ROW("outputs[].stop_reason", FIELD_FINISH),
	ROW("amazon-bedrock-invocationMetrics.inputTokenCount",
	    FIELD_INPUT_TOKENS),
	ROW("amazon-bedrock-invocationMetrics.outputTokenCount",
	    FIELD_OUTPUT_TOKENS),
	ROW("message", FIELD_ERROR_TEXT),
	ROW("Message", FIELD_ERROR_TEXT),
	/* Ollama, llama.cpp */
	ROW("message.content", FIELD_TEXT),
	ROW("message.thinking", FIELD_REASONING),
	ROW("message.tool_calls[]", FIELD_CALL),
	ROW("message.tool_calls[].function.name", FIELD_CALL_NAME),
	ROW("message.tool_calls[].function.arguments", FIELD_CALL_ARGUMENTS),
	ROW("response", FIELD_TEXT),
	ROW("thinking", FIELD_REASONING),
	ROW("done", FIELD_DONE),
	ROW("done_reason", FIELD_FINISH),
	ROW("prompt_eval_count", FIELD_INPUT_TOKENS),
	ROW("eval_count", FIELD_OUTPUT_TOKENS),
	ROW("embeddings[]", FIELD_EMBEDDING),
	ROW("content", FIELD_TEXT),
	ROW("tokens_evaluated", FIELD_INPUT_TOKENS),
	ROW("tokens_predicted", FIELD_OUTPUT_TOKENS),
	/* Cohere, and errors as web frameworks put them */
	ROW("message.content[].text", FIELD_TEXT),
	ROW("delta.message.content.text", FIELD_TEXT),
	ROW("delta.message.tool_calls.function.name", FIELD_CALL_NAME),
	ROW("delta.message.tool_calls.function.arguments",
	    FIELD_CALL_ARGUMENTS),
	ROW("delta.finish_reason", FIELD_FINISH),
	ROW("delta.usage.tokens.input_tokens", FIELD_INPUT_TOKENS),
	ROW("delta.usage.tokens.output_tokens", FIELD_OUTPUT_TOKENS),
	ROW("finish_reason", FIELD_FINISH),
	ROW("usage.tokens.input_tokens", FIELD_INPUT_TOKENS),
	ROW("usage.tokens.output_tokens", FIELD_OUTPUT_TOKENS),
	ROW("meta.tokens.input_tokens", FIELD_INPUT_TOKENS),
	ROW("meta.tokens.output_tokens", FIELD_OUTPUT_TOKENS),
	ROW("embeddings.float[]", FIELD_EMBEDDING),
	ROW("detail", FIELD_ERROR_TEXT),
};

#define ROW_COUNT (sizeof(rows) / sizeof(*rows))

static struct llm_text *completion_of(struct llm_response *response)
{
	size_t choice = response->choice;

	return choice < LLM_CHOICES_MAX ? &response->completions[choice] : NULL;
}

void llm_part_reset(struct llm_response *response)
{
	buffer_reset(&response->part.delta.kept);
	buffer_reset(&response->part.arguments.kept);
	response->part.delta.length = response->part.arguments.length = 0;
	response->part.type[0] = response->part.name[0] = '\0';
	response->part.named = response->part.has_arguments =
		response->part.replaces = false;
	response->part.index = -1;
}

/* The tool whose call goes on, or a new one; NULL: too many. */
static struct llm_tool *tool_of(struct llm_response *response)
{
	int64_t key = -1;
	struct llm_tool *tool;

	if (response->part.index >= 0)
		key = ((int64_t)response->choice << 32) |
		      (response->part.index & 0xffffffff);
	for (size_t i = 0; key >= 0 && i < response->tool_count; i++)
		if (response->tools[i].key == key)
			return &response->tools[i];
	/* A part of one that was dropped, or whose start was not seen. */
	if (!response->part.named)
		return NULL;
	if (response->tool_count == LLM_TOOLS_MAX) {
		response->tools_dropped++;
		return NULL;
	}
	tool = &response->tools[response->tool_count++];
	tool->key = key;
	return tool;
}

/* The object that tells of a call is over. */
static void call_ends(struct llm_response *response)
{
	struct llm_text *arguments = &response->part.arguments;
	struct llm_tool *tool;

	if (!response->part.named && !response->part.has_arguments)
		return;
	tool = tool_of(response);
	if (tool) {
		if (response->part.named)
			memcpy(tool->name, response->part.name,
			       sizeof(tool->name));
		if (response->part.replaces) {
			tool->arguments.length = 0;
			tool->arguments_length = 0;
		}
		buffer_gather(&tool->arguments, arguments->kept.bytes,
			      arguments->kept.length, LLM_ARGUMENTS_MAX);
		tool->arguments_length += arguments->length;
	}
	llm_part_reset(response);
}

static bool type_is(const struct llm_response *response, const char *type)
{
	return !strcmp(response->part.type, type);
}

static void add_delta(struct llm_response *response)
{
	struct llm_text *delta = &response->part.delta;
	struct llm_text *to = NULL;

	if (type_is(response, "response.output_text.delta") ||
	    type_is(response, "response.refusal.delta")) {
		to = completion_of(response);
		response->completion_bytes += delta->length;
	} else if (type_is(response, "response.reasoning_text.delta") ||
		   type_is(response, "response.reasoning_summary_text.delta")) {
		to = &response->reasoning;
	} else if (type_is(response,
			   "response.function_call_arguments.delta") ||
		   type_is(response, "response.mcp_call_arguments.delta")) {
		to = &response->part.arguments;
		response->part.has_arguments = true;
	}
	if (to)
		llm_text_move(delta, 0, 0, to);
}

/* One value of a stream, or the whole response, is over. */
static void value_ends(struct llm_response *response)
{
	response->values++;
	if (type_is(response, "message_stop") ||
	    type_is(response, "response.completed") ||
	    type_is(response, "response.incomplete") ||
	    type_is(response, "response.failed"))
		response->done = true;
	add_delta(response);
	call_ends(response);
	llm_part_reset(response);
	response->choice = 0;
}

static void part_begins(struct llm_response *response)
{
	struct llm_text *text = completion_of(response);

	response->thought = false;
	response->mark_kept = text ? text->kept.length : 0;
	response->mark_length = text ? text->length : 0;
}

/* That it was thought and not said may stand behind the text. */
static void part_ends(struct llm_response *response)
{
	struct llm_text *text = completion_of(response);

	if (!response->thought || !text)
		return;
	response->completion_bytes -= text->length - response->mark_length;
	llm_text_move(text, response->mark_kept, response->mark_length,
		      &response->reasoning);
}

static int base64_value(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static void on_event(void *context, struct json_reader *reader,
		     const struct json_event *event);

/* RFC 4648 section 4; what the chunk holds is read as it is decoded. */
static void take_chunk(struct llm_response *response, struct span text)
{
	uint32_t bits = 0;
	unsigned count = 0;

	if (!response->inner)
		response->inner = json_reader_new(on_event, response);
	if (!response->inner)
		return;
	json_reader_reset(response->inner);
	for (size_t i = 0; i < text.length; i++) {
		int value = base64_value(text.bytes[i]);
		uint8_t byte;

		if (value < 0)
			break;
		bits = bits << 6 | (uint32_t)value;
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		byte = (uint8_t)(bits >> count);
		if (!json_reader_feed(response->inner, &byte, 1))
			response->bad = true;
	}
}

/*
 * Error messages of some servers repeat the key that was refused, behind a
 * colon: what follows it is left out where the credentials were the error.
 */
static void set_error_message(struct llm_response *response, struct span text)
{
	size_t length = text.length;

	if (response->status == 401 || response->status == 403) {
		const char *colon = length ? memchr(text.bytes, ':', length) :
					     NULL;

		if (colon)
			length = (size_t)(colon - text.bytes);
	}
	if (length >= LLM_MESSAGE_MAX)
		length = LLM_MESSAGE_MAX - 1;
	memcpy(response->error_message, text.bytes, length);
	response->error_message[length] = '\0';
}

static void set_finish(struct llm_response *response, struct span text)
{
	if (response->choice < LLM_CHOICES_MAX && text.length)
		llm_name_set(response->finish[response->choice], text);
}

/* A response's status, while it is at work, is no reason why it ended. */
static void set_status(struct llm_response *response, struct span text)
{
	if (!span_is(text, "in_progress") && !span_is(text, "queued") &&
	    response->status < 400)
		set_finish(response, text);
}

static void take_error(struct llm_response *response, int field,
		       const struct json_event *event)
{
	switch (field) {
	case FIELD_ERROR_TYPE:
		llm_name_set(response->error_type, event->text);
		break;
	case FIELD_ERROR_CODE:
		llm_name_set(response->error_code, event->text);
		break;
	case FIELD_ERROR_MESSAGE:
		set_error_message(response, event->text);
		break;
	case FIELD_ERROR_TEXT:
		if (response->status >= 400 ||
		    response->events.exception[0])
			set_error_message(response, event->text);
		break;
	}
}

static void take_call(struct llm_response *response, int field,
		      const struct json_event *event)
{
	switch (field) {
	case FIELD_CALL_NAME:
		llm_name_set(response->part.name, event->text);
		response->part.named = true;
		break;
	case FIELD_CALL_WHOLE:
		response->part.replaces = true;
		/* fallthrough */
	case FIELD_CALL_ARGUMENTS:
		llm_text_put(&response->part.arguments, event);
		response->part.has_arguments = true;
		break;
	}
}

static void take_text(struct llm_response *response, int field,
		      const struct json_event *event)
{
	struct llm_text *text = completion_of(response);

	if (field == FIELD_REASONING) {
		llm_text_put(&response->reasoning, event);
		return;
	}
	if (field == FIELD_DELTA) {
		llm_text_put(&response->part.delta, event);
		return;
	}
	response->completion_bytes += event->length;
	if (text)
		llm_text_put(text, event);
}

static void take_string(struct llm_response *response, int field,
			const struct json_event *event)
{
	switch (field) {
	case FIELD_ID:
		llm_name_set(response->id, event->text);
		break;
	case FIELD_MODEL:
		llm_name_set(response->model, event->text);
		break;
	case FIELD_TYPE:
		llm_name_set(response->part.type, event->text);
		break;
	case FIELD_FINISH:
		set_finish(response, event->text);
		break;
	case FIELD_STATUS:
		set_status(response, event->text);
		break;
	case FIELD_TEXT:
	case FIELD_REASONING:
	case FIELD_DELTA:
		take_text(response, field, event);
		break;
	case FIELD_CHUNK:
		take_chunk(response, event->text);
		break;
	case FIELD_EMBEDDING:
		response->embeddings++;
		break;
	case FIELD_FINGERPRINT:
		if (span_is(event->text, "fp_ollama"))
			response->server = "ollama";
		break;
	default:
		take_call(response, field, event);
		take_error(response, field, event);
	}
}

static void take_number(struct llm_response *response, int field,
			const struct json_event *event)
{
	switch (field) {
	case FIELD_CHOICE_INDEX:
		response->choice = event->number >= 0 ?
			(size_t)event->number : LLM_CHOICES_MAX;
		break;
	case FIELD_CALL_INDEX:
		response->part.index = event->number;
		break;
	case FIELD_INPUT_TOKENS:
		response->input_tokens = event->number;
		break;
	case FIELD_OUTPUT_TOKENS:
		response->output_tokens = event->number;
		break;
	case FIELD_CACHE_READ:
		response->cache_read_tokens = event->number;
		break;
	case FIELD_CACHE_CREATION:
		response->cache_creation_tokens = event->number;
		break;
	case FIELD_REASONING_TOKENS:
		response->reasoning_tokens = event->number;
		break;
	case FIELD_ERROR_CODE:
		llm_name_set(response->error_code, event->text);
		break;
	case FIELD_LLAMA_CPP:
		response->server = "llama.cpp";
		break;
	}
}

static void container_begins(struct llm_response *response, int field,
			     struct json_reader *reader, bool element)
{
	switch (field) {
	case FIELD_CHOICE:
		response->choice = json_reader_index(reader, element);
		break;
	case FIELD_PART:
		part_begins(response);
		break;
	case FIELD_CALL:
		llm_part_reset(response);
		break;
	case FIELD_CALL_ARGUMENTS:
		json_reader_capture(reader);
		break;
	}
}

/* Of the elements of an outermost array each is a value of its own. */
static const char *value_path(const char *path)
{
	if (path[0] != '[')
		return path;
	path += 2;
	return *path == '.' ? path + 1 : path;
}

static void container_ends(struct llm_response *response, int field,
			   struct json_reader *reader,
			   const struct json_event *event)
{
	bool element = event->path[0] == '[';

	switch (field) {
	case FIELD_PART:
		part_ends(response);
		break;
	case FIELD_CALL:
		call_ends(response);
		break;
	case FIELD_CALL_ARGUMENTS:
		take_call(response, field, event);
		break;
	}
	if (json_reader_depth(reader) == element &&
	    !*value_path(event->path))
		value_ends(response);
}

static bool is_evidence(int field)
{
	return field == FIELD_FINISH || field == FIELD_CHOICE ||
	       field == FIELD_INPUT_TOKENS || field == FIELD_OUTPUT_TOKENS ||
	       field == FIELD_DONE || field == FIELD_EMBEDDING ||
	       field == FIELD_CHUNK;
}

static void on_event(void *context, struct json_reader *reader,
		     const struct json_event *event)
{
	struct llm_response *response = context;
	size_t length = strlen(event->path);
	int field;

	/* An embedding's elements: there are thousands. */
	if (event->kind == JSON_NUMBER && length &&
	    event->path[length - 1] == ']')
		return;
	field = llm_row_find(rows, ROW_COUNT, value_path(event->path));
	response->recognised |= is_evidence(field);
	switch (event->kind) {
	case JSON_OBJECT:
		container_begins(response, field, reader,
				 event->path[0] == '[');
		break;
	case JSON_ARRAY:
		response->embeddings += field == FIELD_EMBEDDING;
		break;
	case JSON_END:
		container_ends(response, field, reader, event);
		break;
	case JSON_STRING:
		take_string(response, field, event);
		break;
	case JSON_NUMBER:
		take_number(response, field, event);
		break;
	case JSON_BOOL:
		if (field == FIELD_DONE)
			response->server = "ollama";
		response->done |= field == FIELD_DONE && event->number;
		response->thought |= field == FIELD_THOUGHT && event->number;
		break;
	case JSON_NULL:
		if (field == FIELD_VLLM)
			response->server = "vllm";
		break;
	}
}

bool llm_response_begin(struct llm_response *response)
{
	response->reader = json_reader_new(on_event, response);
	response->input_tokens = response->output_tokens =
		response->cache_read_tokens = response->cache_creation_tokens =
			response->reasoning_tokens = -1;
	response->part.index = -1;
	return response->reader != NULL;
}

void llm_response_free(struct llm_response *response)
{
	json_reader_free(response->reader);
	json_reader_free(response->inner);
	for (size_t i = 0; i < LLM_CHOICES_MAX; i++)
		buffer_free(&response->completions[i].kept);
	for (size_t i = 0; i < response->tool_count; i++)
		buffer_free(&response->tools[i].arguments);
	buffer_free(&response->reasoning.kept);
	buffer_free(&response->part.delta.kept);
	buffer_free(&response->part.arguments.kept);
}
