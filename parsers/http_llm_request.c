/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_llm_request.c - what the JSON of a request to a language model says.
 *
 * No credential is among what is read: keys travel in headers, which this
 * file never sees.
 */
#include "parsers/llm.h"

#include <math.h>
#include <string.h>

enum request_field {
	FIELD_MODEL = 1,
	FIELD_STREAM,
	FIELD_MAX_TOKENS,
	FIELD_TEMPERATURE,
	FIELD_TOP_P,
	FIELD_TOP_K,
	FIELD_FREQUENCY_PENALTY,
	FIELD_PRESENCE_PENALTY,
	FIELD_CHOICES,
	FIELD_SEED,
	FIELD_DIMENSIONS,
	FIELD_TOOL,
	FIELD_MESSAGE, /* an element: a message, or an input that is a text */
	FIELD_INPUT,   /* an element or all: a text to be embedded, completed */
	FIELD_ROLE,
	FIELD_SYSTEM,
	FIELD_PROMPT,
	FIELD_PART_TYPE,
	FIELD_ATTACHMENT
};

static const struct llm_row rows[] = {
	/* OpenAI, Mistral, and what most have in common */
	ROW("model", FIELD_MODEL),
	ROW("stream", FIELD_STREAM),
	ROW("max_tokens", FIELD_MAX_TOKENS),
	ROW("max_completion_tokens", FIELD_MAX_TOKENS),
	ROW("max_output_tokens", FIELD_MAX_TOKENS),
	ROW("temperature", FIELD_TEMPERATURE),
	ROW("top_p", FIELD_TOP_P),
	ROW("top_k", FIELD_TOP_K),
	ROW("frequency_penalty", FIELD_FREQUENCY_PENALTY),
	ROW("presence_penalty", FIELD_PRESENCE_PENALTY),
	ROW("n", FIELD_CHOICES),
	ROW("seed", FIELD_SEED),
	ROW("random_seed", FIELD_SEED),
	ROW("dimensions", FIELD_DIMENSIONS),
	ROW("messages[]", FIELD_MESSAGE),
	ROW("messages[].role", FIELD_ROLE),
	ROW("messages[].content", FIELD_PROMPT),
	ROW("messages[].content[].text", FIELD_PROMPT),
	ROW("messages[].content[].type", FIELD_PART_TYPE),
	ROW("tools[].function.name", FIELD_TOOL),
	ROW("functions[].name", FIELD_TOOL),
	ROW("prompt", FIELD_INPUT),
	ROW("prompt[]", FIELD_INPUT),
	ROW("suffix", FIELD_PROMPT),
	/* OpenAI's responses; `input` is an embedding's too */
	ROW("instructions", FIELD_SYSTEM),
	ROW("input", FIELD_INPUT),
	ROW("input[]", FIELD_MESSAGE),
	ROW("input[].role", FIELD_ROLE),
	ROW("input[].content", FIELD_PROMPT),
	ROW("input[].content[].text", FIELD_PROMPT),
	ROW("input[].content[].type", FIELD_PART_TYPE),
	ROW("input[].output", FIELD_PROMPT),
	ROW("input[].output[].text", FIELD_PROMPT),
	ROW("tools[].name", FIELD_TOOL),
	ROW("tools[].server_label", FIELD_TOOL),
	/* Anthropic */
	ROW("system", FIELD_SYSTEM),
	ROW("system[].text", FIELD_SYSTEM),
	ROW("messages[].content[].content", FIELD_PROMPT),
	ROW("messages[].content[].content[].text", FIELD_PROMPT),
	ROW("messages[].content[].content[].type", FIELD_PART_TYPE),
	ROW("max_tokens_to_sample", FIELD_MAX_TOKENS),
	/* Gemini; its JSON is protobuf's, which takes both spellings */
	ROW("contents[]", FIELD_MESSAGE),
	ROW("contents[].role", FIELD_ROLE),
	ROW("contents[].parts[].text", FIELD_PROMPT),
	ROW("contents[].parts[].inlineData.mimeType", FIELD_ATTACHMENT),
	ROW("contents[].parts[].inline_data.mime_type", FIELD_ATTACHMENT),
	ROW("contents[].parts[].fileData.fileUri", FIELD_ATTACHMENT),
	ROW("contents[].parts[].file_data.file_uri", FIELD_ATTACHMENT),
	ROW("contents[].parts[].functionResponse.response.result",
	    FIELD_PROMPT),
	ROW("contents[].parts[].functionResponse.response.output",
	    FIELD_PROMPT),
	ROW("systemInstruction.parts[].text", FIELD_SYSTEM),
	ROW("system_instruction.parts[].text", FIELD_SYSTEM),
	ROW("generationConfig.maxOutputTokens", FIELD_MAX_TOKENS),
	ROW("generationConfig.temperature", FIELD_TEMPERATURE),
	ROW("generationConfig.topP", FIELD_TOP_P),
	ROW("generationConfig.topK", FIELD_TOP_K),
	ROW("generationConfig.candidateCount", FIELD_CHOICES),
	ROW("generationConfig.seed", FIELD_SEED),
	ROW("generationConfig.frequencyPenalty", FIELD_FREQUENCY_PENALTY),
	ROW("generationConfig.presencePenalty", FIELD_PRESENCE_PENALTY),
	ROW("tools[].functionDeclarations[].name", FIELD_TOOL),
	ROW("tools[].function_declarations[].name", FIELD_TOOL),
	ROW("content.parts[].text", FIELD_INPUT),
	ROW("requests[].content.parts[].text", FIELD_INPUT),
	ROW("outputDimensionality", FIELD_DIMENSIONS),
	ROW("instances[].content", FIELD_INPUT),
	/* Bedrock: converse, then models of its own and of others */
	ROW("inferenceConfig.maxTokens", FIELD_MAX_TOKENS),
	ROW("inferenceConfig.temperature", FIELD_TEMPERATURE),
	ROW("inferenceConfig.topP", FIELD_TOP_P),
	ROW("messages[].content[].toolResult.content[].text", FIELD_PROMPT),
	ROW("messages[].content[].image.format", FIELD_ATTACHMENT),
	ROW("messages[].content[].document.format", FIELD_ATTACHMENT),
	ROW("messages[].content[].video.format", FIELD_ATTACHMENT),
	ROW("toolConfig.tools[].toolSpec.name", FIELD_TOOL),
	ROW("inputText", FIELD_INPUT),
	ROW("textGenerationConfig.maxTokenCount", FIELD_MAX_TOKENS),
	ROW("textGenerationConfig.temperature", FIELD_TEMPERATURE),
	ROW("textGenerationConfig.topP", FIELD_TOP_P),
	ROW("max_gen_len", FIELD_MAX_TOKENS),
	/* Ollama, llama.cpp */
	ROW("messages[].images[]", FIELD_ATTACHMENT),
	ROW("images[]", FIELD_ATTACHMENT),
	ROW("options.num_predict", FIELD_MAX_TOKENS),
	ROW("options.temperature", FIELD_TEMPERATURE),
	ROW("options.top_p", FIELD_TOP_P),
	ROW("options.top_k", FIELD_TOP_K),
	ROW("options.seed", FIELD_SEED),
	ROW("n_predict", FIELD_MAX_TOKENS),
	/* Cohere */
	ROW("texts[]", FIELD_INPUT),
	ROW("p", FIELD_TOP_P),
	ROW("k", FIELD_TOP_K),
};

#define ROW_COUNT (sizeof(rows) / sizeof(*rows))

/* Texts of several messages stand one below the other. */
static void put_text(struct llm_text *text, const struct json_event *event)
{
	if (text->kept.length)
		buffer_gather(&text->kept, "\n", 1, LLM_TEXT_MAX);
	llm_text_put(text, event);
}

static void message_begins(struct llm_request *request)
{
	request->messages++;
	request->is_system = false;
	request->mark_kept = request->prompt.kept.length;
	request->mark_length = request->prompt.length;
}

/* The role may stand behind the content. */
static void message_ends(struct llm_request *request)
{
	struct llm_text *prompt = &request->prompt;
	size_t from = request->mark_kept;

	if (!request->is_system)
		return;
	request->is_system = false;
	/* The line end before it stays behind, and goes. */
	if (from && prompt->kept.length > from)
		from++;
	if (request->system.kept.length)
		buffer_gather(&request->system.kept, "\n", 1, LLM_TEXT_MAX);
	llm_text_move(prompt, from, request->mark_length, &request->system);
	prompt->kept.length = request->mark_kept;
}

static void add_tool(struct llm_request *request, struct span name)
{
	if (request->tool_count++ < LLM_TOOLS_MAX)
		llm_name_set(request->tools[request->tool_count - 1], name);
}

static bool is_attachment(struct span type)
{
	static const char *const types[] = {
		"image_url", "image", "input_image", "document", "file",
		"input_file", "input_audio", "video_url", "document_url",
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (span_is(type, types[i]))
			return true;
	return false;
}

static void take_string(struct llm_request *request, int field,
			const struct json_event *event)
{
	switch (field) {
	case FIELD_MODEL:
		llm_name_set(request->model, event->text);
		break;
	case FIELD_TOOL:
		add_tool(request, event->text);
		break;
	case FIELD_ROLE:
		request->is_system = span_is(event->text, "system") ||
				     span_is(event->text, "developer");
		break;
	case FIELD_SYSTEM:
		put_text(&request->system, event);
		break;
	case FIELD_MESSAGE:
	case FIELD_INPUT:
		request->inputs++;
		put_text(&request->prompt, event);
		break;
	case FIELD_PROMPT:
		put_text(&request->prompt, event);
		break;
	case FIELD_PART_TYPE:
		request->attachments += is_attachment(event->text);
		break;
	case FIELD_ATTACHMENT:
		request->attachments++;
		break;
	}
}

static void take_number(struct llm_request *request, int field,
			const struct json_event *event)
{
	switch (field) {
	case FIELD_MAX_TOKENS:
		request->max_tokens = event->number;
		break;
	case FIELD_CHOICES:
		request->choices = event->number;
		break;
	case FIELD_SEED:
		request->seed = event->number;
		break;
	case FIELD_DIMENSIONS:
		request->dimensions = event->number;
		break;
	case FIELD_TEMPERATURE:
		request->temperature = event->real;
		break;
	case FIELD_TOP_P:
		request->top_p = event->real;
		break;
	case FIELD_TOP_K:
		request->top_k = event->real;
		break;
	case FIELD_FREQUENCY_PENALTY:
		request->frequency_penalty = event->real;
		break;
	case FIELD_PRESENCE_PENALTY:
		request->presence_penalty = event->real;
		break;
	}
}

static void on_event(void *context, struct json_reader *reader,
		     const struct json_event *event)
{
	struct llm_request *request = context;
	int field = llm_row_find(rows, ROW_COUNT, event->path);

	(void)reader;
	switch (event->kind) {
	case JSON_OBJECT:
		if (field == FIELD_MESSAGE)
			message_begins(request);
		break;
	case JSON_END:
		if (field == FIELD_MESSAGE)
			message_ends(request);
		break;
	case JSON_STRING:
		take_string(request, field, event);
		break;
	case JSON_NUMBER:
		take_number(request, field, event);
		break;
	case JSON_BOOL:
		if (field == FIELD_STREAM)
			request->stream = event->number;
		break;
	default:
		break;
	}
}

bool llm_request_begin(struct llm_request *request)
{
	request->reader = json_reader_new(on_event, request);
	request->max_tokens = request->choices = request->seed =
		request->dimensions = request->stream = -1;
	request->temperature = request->top_p = request->top_k =
		request->frequency_penalty = request->presence_penalty = NAN;
	return request->reader != NULL;
}

void llm_request_cut(struct llm_request *request)
{
	request->cut = true;
	message_ends(request);
}

void llm_request_free(struct llm_request *request)
{
	json_reader_free(request->reader);
	buffer_free(&request->system.kept);
	buffer_free(&request->prompt.kept);
}
