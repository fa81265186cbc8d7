/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_http1_vectors.c - the HTTP/1.x parser on messages of llhttp's tests.
 *
 * Found beside the checkout as ../shared/corpus/http1; skipped when absent.
 * llhttp is strict; where this parser is lenient on purpose it says so by an
 * attribute, or the vector is of another protocol.
 */
#define _GNU_SOURCE
#include <check.h>
#include <limits.h>
#include <yajl/yajl_tree.h>

#include "tests/unit/drive.h"
#include "tests/unit/suite.h"

#define VECTORS "../shared/corpus/http1/llhttp-"
#define MESSAGES_MAX 8
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

struct message {
	char method[32], target[256], version[8];
	long long status, request_body, response_body;
	bool complete, malformed;
};

struct messages {
	struct message list[MESSAGES_MAX];
	size_t count;
};

static void take(void *context, const struct exchange *e)
{
	struct messages *messages = context;
	struct message *m = &messages->list[messages->count++];

	ck_assert_uint_le(messages->count, MESSAGES_MAX);
	*m = (struct message){ .status = e->status, .complete = e->complete };
	snprintf(m->method, sizeof(m->method), "%s", e->operation);
	snprintf(m->target, sizeof(m->target), "%.*s",
		 (int)e->statement.length,
		 e->statement.bytes ? e->statement.bytes : "");
	for (size_t i = 0; i < e->attribute_count; i++) {
		const struct attribute *a = &e->attributes[i];

		if (!strcmp(a->key, "http.request.body.size"))
			m->request_body = a->number;
		else if (!strcmp(a->key, "http.response.body.size"))
			m->response_body = a->number;
		else if (!strcmp(a->key, "datasnoop.http.malformed"))
			m->malformed = true;
		else if (!strcmp(a->key, "network.protocol.version"))
			snprintf(m->version, sizeof(m->version), "%.*s",
				 (int)a->text.length, a->text.bytes);
	}
}

/* All of a side, as conversation.c would feed it. */
static void feed(void *state, enum side side, const uint8_t *bytes,
		 size_t length)
{
	size_t at = 0;

	while (at < length) {
		uint8_t *copy = malloc(length - at);
		struct window window = { .bytes = copy, .length = length - at };
		struct step step;

		memcpy(copy, bytes + at, length - at);
		step = http_parser.parse(state, side, &window);
		if (step.outcome == PARSE_LOST) {
			size_t drop = http_parser.resync(state, side, &window);

			if (drop)
				http_parser.gap(state, side, drop);
			at += drop;
		}
		at += step.used;
		free(copy);
		if (step.outcome != PARSE_TOOK && step.outcome != PARSE_LOST)
			return;
	}
}

static struct messages run(const uint8_t *bytes, size_t length,
			   enum side side)
{
	static const char question[] = "GET / HTTP/1.1\r\n\r\n";
	struct messages messages = { .count = 0 };
	struct observer observer = { take, NULL, &messages };
	void *state = http_parser.open(true, &observer);

	for (int i = 0; side == SIDE_SERVER && i < 3; i++)
		feed(state, SIDE_CLIENT, (const uint8_t *)question,
		     sizeof(question) - 1);
	feed(state, side, bytes, length);
	for (int i = 0; side == SIDE_CLIENT && i < 3; i++)
		feed(state, SIDE_SERVER, (const uint8_t *)ANSWER,
		     sizeof(ANSWER) - 1);
	http_parser.close(state);
	return messages;
}

static const char *text_of(yajl_val object, const char *key)
{
	const char *path[] = { key, NULL };
	yajl_val value = yajl_tree_get(object, path, yajl_t_string);

	return value ? YAJL_GET_STRING(value) : NULL;
}

static long long number_of(yajl_val object, const char *key)
{
	const char *path[] = { key, NULL };
	yajl_val value = yajl_tree_get(object, path, yajl_t_number);

	return value ? YAJL_GET_INTEGER(value) : -1;
}

static bool is_true(yajl_val object, const char *key)
{
	const char *path[] = { key, NULL };

	return yajl_tree_get(object, path, yajl_t_true) != NULL;
}

/* One that llhttp takes too: all it says of it. */
static void assert_message(const struct message *m, yajl_val expected,
			   enum side side, const char *id)
{
	const char *method = text_of(expected, "method");
	const char *url = text_of(expected, "url");
	const char *version = text_of(expected, "version");

	if (method)
		ck_assert_msg(!strcmp(m->method, method), "%s: %s", id,
			      m->method);
	/* Where there is a password the target isn't as sent. */
	if (url && !strchr(url, '@'))
		ck_assert_msg(!strcmp(m->target, url), "%s: %s", id,
			      m->target);
	if (version && side == SIDE_CLIENT)
		ck_assert_msg(!strcmp(m->version, version), "%s: %s", id,
			      m->version);
	if (number_of(expected, "status_code") >= 0)
		ck_assert_msg(m->status == number_of(expected, "status_code"),
			      "%s: %lld", id, m->status);
	ck_assert_msg((side == SIDE_CLIENT ? m->request_body :
					     m->response_body) ==
			      number_of(expected, "body_len"),
		      "%s: %lld/%lld", id, m->request_body, m->response_body);
	ck_assert_msg(m->complete || !is_true(expected, "complete"), "%s", id);
	ck_assert_msg(!m->malformed || strpbrk(m->target, "\x80"), "%s", id);
}

/* "off=33 error code=10 reason=...": none: 0 */
static int error_of(yajl_val vector)
{
	const char *path[] = { "error", NULL };
	yajl_val list = yajl_tree_get(vector, path, yajl_t_array);
	const char *text, *code;

	if (!list || !YAJL_GET_ARRAY(list)->len)
		return 0;
	text = YAJL_GET_STRING(YAJL_GET_ARRAY(list)->values[0]);
	code = text ? strstr(text, "code=") : NULL;
	return code ? atoi(code + 5) : INT_MAX;
}

static void assert_vector(const uint8_t *bytes, size_t length, yajl_val vector,
			  enum side side)
{
	const char *list[] = { "messages", NULL };
	yajl_val expected = yajl_tree_get(vector, list, yajl_t_array);
	struct messages got = run(bytes, length, side);
	const char *id = text_of(vector, "id");
	int error = error_of(vector);
	size_t count = YAJL_GET_ARRAY(expected)->len;

	/* RTSP's, ICE's, and HTTP/0.9's requests aren't this protocol's. */
	if (memmem(bytes, length, "RTSP/", 5) ||
	    memmem(bytes, length, "ICE/", 4) ||
	    !memmem(bytes, length, "HTTP/", 5)) {
		for (size_t i = 0; i < got.count; i++)
			ck_assert_msg(!got.list[i].complete, "%s", id);
		return;
	}
	/* 22, 23: it pauses at a tunnel, an upgrade; 25: LF ends a line. */
	if (error && error != 22 && error != 23 && error != 25) {
		for (size_t i = 0; i < got.count; i++)
			ck_assert_msg(!got.list[i].complete ||
				      got.list[i].malformed, "%s: valid", id);
		return;
	}
	if (error == 23 || error == 25)
		return;
	ck_assert_msg(got.count >= count, "%s: %zu", id, got.count);
	for (size_t i = 0; i < count; i++)
		assert_message(&got.list[i],
			       YAJL_GET_ARRAY(expected)->values[i], side, id);
}

static void run_file(const char *kind, enum side side)
{
	char path[256], *line = NULL, *truth = NULL;
	size_t room = 0, truth_room = 0, count = 0;
	FILE *vectors, *expected;

	snprintf(path, sizeof(path), VECTORS "%s-core.jsonl", kind);
	vectors = fopen(path, "r");
	snprintf(path, sizeof(path), VECTORS "%s-core.expected", kind);
	expected = fopen(path, "r");
	if (!vectors || !expected) {
		fprintf(stderr, "no %s: skipped\n", path);
		return;
	}
	while (getline(&line, &room, vectors) > 0 &&
	       getline(&truth, &truth_room, expected) > 0) {
		yajl_val vector = yajl_tree_parse(line, NULL, 0);
		yajl_val outcome = yajl_tree_parse(truth, NULL, 0);
		const char *hex = text_of(vector, "hex");
		size_t length = strlen(hex) / 2;
		uint8_t *bytes = malloc(length);

		ck_assert_str_eq(text_of(vector, "id"),
				 text_of(outcome, "id"));
		for (size_t i = 0; i < length; i++)
			sscanf(hex + 2 * i, "%2hhx", &bytes[i]);
		assert_vector(bytes, length, outcome, side);
		free(bytes);
		yajl_tree_free(vector);
		yajl_tree_free(outcome);
		count++;
	}
	ck_assert_uint_gt(count, 0);
	free(line);
	free(truth);
	fclose(vectors);
	fclose(expected);
}

START_TEST(requests)
{
	run_file("request", SIDE_CLIENT);
}
END_TEST

START_TEST(responses)
{
	run_file("response", SIDE_SERVER);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http1 vectors");
	TCase *t = tcase_create("llhttp");

	tcase_add_test(t, requests);
	tcase_add_test(t, responses);
	suite_add_tcase(s, t);
	return suite_run(s);
}
