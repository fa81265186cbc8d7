/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * llm.h - a call of a language model's API, within http_llm*.c.
 *
 *   http_llm.c          the application over HTTP
 *   http_llm_endpoint.c whose API it is, by host and path
 *   http_llm_request.c  what the request's JSON says
 *   http_llm_response.c what the response's JSON says
 *   http_llm_stream.c   the response's bytes, whole or streamed, to JSON
 *   http_llm_report.c   both as an exchange
 *
 * The bodies of all providers are read with one table of paths each: where
 * two use the same path they mean the same by it.
 * Sources: the API references of OpenAI, Microsoft (Azure OpenAI), Anthropic,
 * Google (Gemini, Vertex AI), Amazon (Bedrock Runtime), Ollama, Mistral,
 * Cohere, llama.cpp's server and vLLM; keys are OpenTelemetry's
 * https://opentelemetry.io/docs/specs/semconv/gen-ai/ and, for what it has no
 * key for, datasnoop.gen_ai.*
 */
#ifndef DATASNOOP_PARSERS_LLM_H
#define DATASNOOP_PARSERS_LLM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parsers/buffer.h"
#include "parsers/eventstream.h"
#include "parsers/http.h"
#include "parsers/json_reader.h"
#include "parsers/sse.h"

#define LLM_NAME_MAX	  192	/* bytes of a model's, tool's, error's name */
#define LLM_MESSAGE_MAX	  512	/* bytes of an error's message kept */
#define LLM_TEXT_MAX	  65536 /* bytes of prompt, completion ... kept */
#define LLM_ARGUMENTS_MAX 16384 /* bytes of one tool call's arguments kept */
#define LLM_CHOICES_MAX	  4	/* answers of one response kept */
#define LLM_TOOLS_MAX	  16	/* tools offered, and called, that are named */
#define LLM_LINE_MAX	  512	/* bytes of the exchange's line of text */

/* A text that comes in pieces: LLM_TEXT_MAX bytes kept, all counted. */
struct llm_text {
	struct buffer kept;
	uint64_t length;
};

void llm_text_put(struct llm_text *text, const struct json_event *event);
/* What was put since `kept` bytes were kept, `length` counted, goes to `to`. */
void llm_text_move(struct llm_text *from, size_t kept, uint64_t length,
		   struct llm_text *to);

/* Cut to LLM_NAME_MAX - 1 bytes. */
void llm_name_set(char name[LLM_NAME_MAX], struct span text);

/* A path of JSON and what is to be found there. */
struct llm_row {
	const char *path;
	size_t length;
	int field; /* > 0 */
};

#define ROW(path, field) { path, sizeof(path) - 1, field }

/* The row's field; 0: there is none. */
int llm_row_find(const struct llm_row *rows, size_t count, const char *path);

struct llm_endpoint {
	const char *provider;  /* gen_ai.provider.name; static */
	const char *operation; /* gen_ai.operation.name; static */
	bool known;   /* by a host or a path that others do not copy */
	bool certain; /* no look at the bodies is needed to call it so */
	bool streams; /* the path says so */
	bool invokes; /* Bedrock's InvokeModel: the body is the model's own */
	char model[LLM_NAME_MAX]; /* of the path; "": none */
};

/* Fills it in; false: it is no LLM API that is known here. */
bool llm_endpoint_of(const struct http_head *request,
		     struct llm_endpoint *endpoint);

struct llm_request {
	struct json_reader *reader;
	char model[LLM_NAME_MAX];
	char tools[LLM_TOOLS_MAX][LLM_NAME_MAX];
	uint64_t tool_count; /* offered; more than LLM_TOOLS_MAX may be */
	uint64_t messages, inputs, attachments;
	struct llm_text system, prompt;
	/* Parameters; those not told are -1 or NaN. */
	int64_t max_tokens, choices, seed, dimensions, stream;
	double temperature, top_p, top_k, frequency_penalty, presence_penalty;
	bool cut; /* its end was not seen */
	/* of the message that is being read */
	bool is_system;
	size_t mark_kept;
	uint64_t mark_length;
};

/* False: out of memory. */
bool llm_request_begin(struct llm_request *request);
/* No more of it will come. */
void llm_request_cut(struct llm_request *request);
void llm_request_free(struct llm_request *request);

struct llm_tool {
	char name[LLM_NAME_MAX];
	struct buffer arguments;
	uint64_t arguments_length;
	int64_t key; /* of a stream: which one goes on; -1: whole */
};

enum llm_format { LLM_UNKNOWN, LLM_JSON, LLM_LINES, LLM_SSE, LLM_EVENTS };

struct llm_response {
	unsigned status; /* HTTP's; 0: not seen */
	enum llm_format format;
	struct json_reader *reader;
	struct json_reader *inner; /* of a chunk in base64; NULL: none came */
	struct sse sse;
	struct eventstream events;
	uint64_t values; /* JSON values, each a line of LLM_LINES */
	bool done;	 /* the stream said that it is over */
	bool cut;	 /* its end was not seen */
	bool bad;	 /* something in it could not be read */
	bool recognised; /* it has what such responses have */
	char id[LLM_NAME_MAX], model[LLM_NAME_MAX];
	char finish[LLM_CHOICES_MAX][LLM_NAME_MAX];
	const char *server; /* the program, as its answer betrays; static */
	struct llm_text completions[LLM_CHOICES_MAX];
	uint64_t completion_bytes; /* of all choices */
	struct llm_text reasoning;
	struct llm_tool tools[LLM_TOOLS_MAX];
	size_t tool_count;
	uint64_t tools_dropped, embeddings;
	int64_t input_tokens, output_tokens; /* -1: not told */
	int64_t cache_read_tokens, cache_creation_tokens, reasoning_tokens;
	char error_type[LLM_NAME_MAX], error_code[LLM_NAME_MAX];
	char error_message[LLM_MESSAGE_MAX];
	/* of the choice, the part, the event that is being read */
	size_t choice;
	bool thought;
	size_t mark_kept;
	uint64_t mark_length;
	struct {
		char type[LLM_NAME_MAX];
		char name[LLM_NAME_MAX];
		struct llm_text delta, arguments;
		bool named, has_arguments, replaces;
		int64_t index; /* -1: none */
	} part;
};

/* False: out of memory. */
bool llm_response_begin(struct llm_response *response);
void llm_response_head(struct llm_response *response,
		       const struct http_head *head);
void llm_response_body(struct llm_response *response, const uint8_t *bytes,
		       size_t length);
/* Forgets what an object that is not whole has told so far. */
void llm_part_reset(struct llm_response *response);
void llm_response_free(struct llm_response *response);

/* One call; what the application's state is. */
struct llm {
	const struct observer *observer;
	struct llm_endpoint endpoint;
	struct llm_request request;
	struct llm_response response;
	char line[LLM_LINE_MAX];
};

/* Adds what is known to the exchange; texts are handed to the observer. */
void llm_report(struct llm *llm, struct exchange *exchange);

#endif
