/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_call.h - one request and its response, given to a transaction.
 *
 * For the tests of what is spoken over HTTP: no framing, any pieces.
 */
#ifndef DATASNOOP_TESTS_UNIT_HTTP_CALL_H
#define DATASNOOP_TESTS_UNIT_HTTP_CALL_H

#include "parsers/http.h"
#include "tests/unit/drive.h"

#define CALL_HEADERS_MAX 8

struct call {
	const char *method, *target;
	/* Names and values by turns; NULL at the end. */
	const char *request[2 * CALL_HEADERS_MAX + 1];
	const char *body;
	size_t body_length; /* 0: of a string */
	unsigned status;
	const char *response[2 * CALL_HEADERS_MAX + 1];
	const char *answer;
	size_t answer_length;
	const char *trailers[2 * CALL_HEADERS_MAX + 1];
	bool incomplete; /* fields of both heads are not known */
	size_t gap;	 /* behind so many bytes of the answer; 0: none */
};

static inline size_t call_headers(struct http_header *headers,
				  const char *const *words)
{
	size_t count = 0;

	for (; words[0]; words += 2)
		headers[count++] = (struct http_header){
			span_string(words[0]), span_string(words[1]) };
	return count;
}

static inline void call_body(struct http_transaction *t, enum side side,
			     const char *text, size_t length, size_t cut,
			     size_t gap)
{
	if (text && !length)
		length = strlen(text);
	for (size_t at = 0; at < length;) {
		size_t n = cut && length - at > cut ? cut : length - at;
		/* Of exactly this size, for the sanitizers. */
		uint8_t *piece;

		if (gap && at < gap && at + n > gap)
			n = gap - at;
		piece = malloc(n);
		DRIVE_LAW(piece);
		memcpy(piece, text + at, n);
		http_transaction_body(t, side, piece, n);
		free(piece);
		at += n;
		if (gap && at == gap) {
			http_transaction_missed(t, side, 10);
			at += 10;
		}
	}
}

/* The exchange's line, the caller's to free; bodies in pieces of `cut`. */
static inline char *call_line(const struct call *call, size_t cut)
{
	struct http_header headers[CALL_HEADERS_MAX];
	struct drive d = { .brief = true };
	struct observer observer = { drive_exchange, NULL, &d };
	struct http_transaction *t =
		http_transaction_new(&observer, "http", "1.1");
	struct http_head head = { .method = span_string(call->method),
				  .target = span_string(call->target),
				  .headers = headers,
				  .incomplete = call->incomplete };
	char *text = NULL;
	size_t length = 0;

	DRIVE_LAW(t);
	d.out = open_memstream(&text, &length);
	head.header_count = call_headers(headers, call->request);
	http_transaction_head(t, SIDE_CLIENT, &head);
	call_body(t, SIDE_CLIENT, call->body, call->body_length, cut, 0);
	if (call->status) {
		head = (struct http_head){ .status = call->status,
					   .headers = headers,
					   .incomplete = call->incomplete };
		head.header_count = call_headers(headers, call->response);
		http_transaction_head(t, SIDE_SERVER, &head);
		call_body(t, SIDE_SERVER, call->answer, call->answer_length,
			  cut, call->gap);
		head = (struct http_head){ .headers = headers };
		head.header_count = call_headers(headers, call->trailers);
		if (head.header_count)
			http_transaction_trailers(t, SIDE_SERVER, &head);
	}
	http_transaction_finish(t, true);
	fclose(d.out);
	return text;
}

/*
 * What must be in the line of every cut of the call, and what must not:
 * words by turns, "+..." or "-...", NULL at the end.
 */
static inline void call_expect(const struct call *call,
			       const char *const *words)
{
	char *whole = call_line(call, 0);

	for (size_t cut = 1; cut < 40; cut++) {
		char *line = call_line(call, cut);

		if (strcmp(line, whole))
			ck_abort_msg("in pieces of %zu: %.300s", cut, line);
		free(line);
	}
	for (; *words; words++) {
		bool there = strstr(whole, *words + 1) != NULL;

		ck_assert_msg(there == (**words == '+'), "%s: %.900s", *words,
			      whole);
	}
	free(whole);
}

#define CALL_EXPECT(call, ...)                                           \
	call_expect(&(call), (const char *const[]){ __VA_ARGS__, NULL })

#endif
