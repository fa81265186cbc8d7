/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_llm.c - calls of language models' APIs, over HTTP.
 *
 * Nothing of the heads is kept but what content they announce: keys stand
 * there.  A path that others may use too is believed only when the bodies are
 * such as the API has.
 */
#include "parsers/llm.h"

#include <stdlib.h>
#include <string.h>

void llm_text_put(struct llm_text *text, const struct json_event *event)
{
	buffer_gather(&text->kept, event->text.bytes, event->text.length,
		      LLM_TEXT_MAX);
	text->length += event->length;
}

void llm_text_move(struct llm_text *from, size_t kept, uint64_t length,
		   struct llm_text *to)
{
	if (from->kept.length > kept)
		buffer_gather(&to->kept, from->kept.bytes + kept,
			      from->kept.length - kept, LLM_TEXT_MAX);
	to->length += from->length - length;
	if (from->kept.length > kept)
		from->kept.length = kept;
	from->length = length;
}

void llm_name_set(char name[LLM_NAME_MAX], struct span text)
{
	size_t length = text.length < LLM_NAME_MAX ? text.length :
						     LLM_NAME_MAX - 1;

	if (length)
		memcpy(name, text.bytes, length);
	name[length] = '\0';
}

int llm_row_find(const struct llm_row *rows, size_t count, const char *path)
{
	size_t length = strlen(path);

	for (size_t i = 0; i < count; i++)
		if (rows[i].length == length &&
		    !memcmp(rows[i].path, path, length))
			return rows[i].field;
	return 0;
}

static enum http_match llm_match(const struct http_head *request)
{
	struct llm_endpoint endpoint;

	return llm_endpoint_of(request, &endpoint) ? HTTP_MAYBE : HTTP_NO;
}

static void llm_close(void *state)
{
	struct llm *llm = state;

	llm_request_free(&llm->request);
	llm_response_free(&llm->response);
	free(llm);
}

static void *llm_open(const struct http_head *request,
		      const struct observer *observer)
{
	struct llm *llm = calloc(1, sizeof(*llm));

	if (!llm)
		return NULL;
	llm->observer = observer;
	llm_endpoint_of(request, &llm->endpoint);
	if (!llm_request_begin(&llm->request) ||
	    !llm_response_begin(&llm->response)) {
		llm_close(llm);
		return NULL;
	}
	return llm;
}

static void llm_head(void *state, const struct http_head *head)
{
	struct llm *llm = state;

	llm_response_head(&llm->response, head);
}

static void llm_body(void *state, enum side side, const uint8_t *bytes,
		     size_t length)
{
	struct llm *llm = state;

	if (side == SIDE_SERVER)
		llm_response_body(&llm->response, bytes, length);
	else
		json_reader_feed(llm->request.reader, bytes, length);
}

static void llm_gap(void *state, enum side side)
{
	struct llm *llm = state;

	if (side == SIDE_SERVER)
		llm->response.cut = true;
	else
		llm_request_cut(&llm->request);
}

/* What was asked looks like it; of a request that is cut, what was seen. */
static bool request_fits(const struct llm *llm)
{
	const struct llm_request *request = &llm->request;

	if (llm->endpoint.model[0])
		return request->messages || request->inputs || request->cut;
	return (request->model[0] && (request->messages || request->inputs)) ||
	       request->cut;
}

/* So does the answer, where there is one. */
static bool response_fits(const struct llm *llm)
{
	const struct llm_response *response = &llm->response;

	return response->recognised || response->cut ||
	       response->status >= 400 || !response->status;
}

static bool llm_finish(void *state, struct exchange *exchange)
{
	struct llm *llm = state;

	if (!llm->endpoint.certain &&
	    !(request_fits(llm) && response_fits(llm)))
		return false;
	/* Nothing but two gaps is no proof. */
	if (!llm->endpoint.known && llm->request.cut &&
	    !llm->response.recognised && !llm->request.model[0])
		return false;
	llm_report(llm, exchange);
	return true;
}

static bool llm_told(const void *state, enum side side)
{
	const struct llm *llm = state;

	if (side == SIDE_CLIENT)
		return llm->request.system.kept.length ||
		       llm->request.prompt.kept.length;
	for (size_t i = 0; i < llm->response.tool_count; i++)
		if (llm->response.tools[i].arguments.length)
			return true;
	return llm->response.completion_bytes ||
	       llm->response.reasoning.kept.length;
}

const struct http_application http_llm = {
	.name = "llm",
	.match = llm_match,
	.open = llm_open,
	.response = llm_head,
	.body = llm_body,
	.gap = llm_gap,
	.finish = llm_finish,
	.told = llm_told,
	.close = llm_close,
};
