/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_llm.c - language models' APIs, on bodies as their references have them.
 *
 * A case is tests/captures/llm/NAME.case: lines of heads behind "> " and "< ",
 * then the body; of an event stream of Amazon's a line is a message, `TYPE
 * JSON`, made into one here.  `test_llm FILE` prints what a case gives, the
 * text of NAME.expected.
 */
#define _GNU_SOURCE
#include <glob.h>
#include <zlib.h>

#include "parsers/http.h"
#include "tests/unit/drive.h"
#include "tests/unit/laws.h"

#define CASES "tests/captures/llm/"
#define HEADERS_MAX 16

struct text {
	char *bytes;
	size_t length;
};

struct request {
	char *file; /* what the spans borrow */
	struct http_head heads[SIDES];
	struct http_header headers[SIDES][HEADERS_MAX];
	struct text bodies[SIDES];
};

static void put(struct text *text, const void *bytes, size_t length)
{
	text->bytes = realloc(text->bytes, text->length + length + 1);
	DRIVE_LAW(text->bytes);
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
	text->bytes[text->length] = '\0';
}

static void put_text(struct text *text, const char *string)
{
	put(text, string, strlen(string));
}

static void put_be(struct text *text, uint32_t number, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--)
		put(text, &(uint8_t){ (uint8_t)(number >> 8 * i) }, 1);
}

static void put_header(struct text *text, const char *name, const char *value)
{
	put_be(text, (uint32_t)strlen(name), 1);
	put(text, name, strlen(name));
	put_be(text, 7, 1);
	put_be(text, (uint32_t)strlen(value), 2);
	put(text, value, strlen(value));
}

static void put_base64(struct text *text, const char *bytes, size_t length)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < length; i += 3) {
		uint32_t bits = 0;

		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 |
			       (i + k < length ? (uint8_t)bytes[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			put(text, i + k <= length ?
				    &digits[bits >> (18 - 6 * k) & 63] : "=",
			    1);
	}
}

/* `TYPE JSON` as a message; a chunk carries its JSON in base64. */
static void put_message(struct text *body, const char *line)
{
	const char *space = strchr(line, ' ');
	struct text headers = { NULL, 0 }, payload = { NULL, 0 };
	struct text message = { NULL, 0 };
	char type[64];

	snprintf(type, sizeof(type), "%.*s", (int)(space - line), line);
	if (type[0] == '!') {
		put_header(&headers, ":message-type", "exception");
		put_header(&headers, ":exception-type", type + 1);
	} else {
		put_header(&headers, ":event-type", type);
		put_header(&headers, ":message-type", "event");
	}
	put_header(&headers, ":content-type", "application/json");
	if (!strcmp(type, "chunk")) {
		put(&payload, "{\"bytes\":\"", 10);
		put_base64(&payload, space + 1, strlen(space + 1));
		put(&payload, "\",\"p\":\"ab\"}", 11);
	} else {
		put(&payload, space + 1, strlen(space + 1));
	}
	put_be(&message, (uint32_t)(headers.length + payload.length + 16), 4);
	put_be(&message, (uint32_t)headers.length, 4);
	put_be(&message, (uint32_t)crc32(0, (uint8_t *)message.bytes, 8), 4);
	put(&message, headers.bytes, headers.length);
	put(&message, payload.bytes, payload.length);
	put_be(&message, (uint32_t)crc32(0, (uint8_t *)message.bytes,
					 (unsigned)message.length), 4);
	put(body, message.bytes, message.length);
	free(headers.bytes);
	free(payload.bytes);
	free(message.bytes);
}

/* "> POST /path", "> name: value", "< 200", "< name: value" */
static void take_head_line(struct request *request, enum side side, char *line)
{
	struct http_head *head = &request->heads[side];
	char *colon = strstr(line, ": ");

	if (!head->method.bytes && side == SIDE_CLIENT) {
		char *space = strchr(line, ' ');

		*space = '\0';
		head->method = span_string(line);
		head->target = span_string(space + 1);
	} else if (!head->status && side == SIDE_SERVER) {
		head->status = (unsigned)atoi(line);
	} else {
		struct http_header *header =
			&request->headers[side][head->header_count++];

		DRIVE_LAW(head->header_count <= HEADERS_MAX && colon);
		*colon = '\0';
		header->name = span_string(line);
		header->value = span_string(colon + 2);
		if (span_is(header->name, "host"))
			head->authority = header->value;
	}
}

static bool is_amazon(const struct request *request)
{
	struct http_head head = request->heads[SIDE_SERVER];

	head.headers = request->headers[SIDE_SERVER];
	return span_is(http_header(&head, "content-type"),
		       "application/vnd.amazon.eventstream");
}

static struct request load(const char *path)
{
	struct request request = { .file = NULL };
	FILE *file = fopen(path, "r");
	enum side side = SIDE_CLIENT;
	size_t room = 0;
	char *rest, *line;

	DRIVE_LAW(file && getdelim(&request.file, &room, '\0', file) > 0);
	fclose(file);
	for (rest = request.file; (line = strsep(&rest, "\n")) && rest;) {
		bool head = (*line == '>' || *line == '<') && line[1] == ' ';

		side = head && *line == '<' ? SIDE_SERVER : side;
		if (head) {
			take_head_line(&request, side, line + 2);
		} else if (side == SIDE_SERVER && is_amazon(&request)) {
			put_message(&request.bodies[side], line);
		} else {
			put(&request.bodies[side], line, strlen(line));
			put(&request.bodies[side], "\n", 1);
		}
	}
	return request;
}

static void unload(struct request *request)
{
	free(request->file);
	free(request->bodies[SIDE_CLIENT].bytes);
	free(request->bodies[SIDE_SERVER].bytes);
}

static void print_span(FILE *out, const char *name, struct span span)
{
	if (!span.bytes)
		return;
	fprintf(out, "%s", name);
	drive_text(out, "", span);
	fputc('\n', out);
}

static void print_attribute(FILE *out, const struct attribute *a)
{
	fprintf(out, "%s%s", a->key, a->value ? "(value)" : "");
	if (a->kind == ATTRIBUTE_TEXT)
		drive_text(out, "", a->text);
	else if (a->kind == ATTRIBUTE_REAL)
		fprintf(out, " %g", a->real);
	else
		fprintf(out, " %" PRId64, a->number);
	fputc('\n', out);
}

/* What of an exchange may be shown without values, then the rest. */
static void print_exchange(FILE *out, const struct exchange *e, bool values)
{
	fprintf(out, "%s status=%" PRId64 "%s\n", e->operation, e->status,
		e->failed ? " failed" : "");
	print_span(out, "error", e->status_name);
	print_span(out, "message", e->message);
	print_span(out, "subject", e->subject);
	print_span(out, "line", e->masked);
	for (size_t i = 0; i < e->attribute_count; i++)
		if (values || !e->attributes[i].value)
			print_attribute(out, &e->attributes[i]);
}

static void on_value(void *context, const struct exchange *e, int column,
		     struct span value)
{
	DRIVE_LAW(value.length <= VALUE_BYTES_MAX);
	DRIVE_LAW(column >= -1 && column < (int)e->column_count);
	if (!context)
		return;
	fprintf(context, "value %d", column);
	drive_text(context, "", value);
	fputc('\n', context);
}

/* How bodies are given. */
struct manner {
	size_t piece;	      /* bytes; 0: all at once */
	size_t cut_at[SIDES]; /* one cut there */
	size_t end[SIDES];    /* a gap from there on */
	bool gaps;
	bool hide; /* without values */
};

static void give_piece(void *state, const struct http_application *application,
		       enum side side, const char *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	DRIVE_LAW(copy);
	memcpy(copy, bytes, length);
	if (length)
		application->body(state, side, copy, length);
	free(copy);
}

static void give_body(void *state, const struct http_application *application,
		      enum side side, struct text body, struct manner manner)
{
	size_t length = manner.gaps ? manner.end[side] : body.length;
	size_t cut = manner.cut_at[side];

	if (length > body.length)
		length = body.length;
	for (size_t at = 0; at < length;) {
		size_t next = length;

		if (manner.piece && next - at > manner.piece)
			next = at + manner.piece;
		if (cut > at && cut < next)
			next = cut;
		give_piece(state, application, side, body.bytes + at,
			   next - at);
		at = next;
	}
	if (length < body.length)
		application->gap(state, side);
}

/* What the application says of the case; to be freed. */
static char *told_by(const struct http_application *application,
		     struct request *request, struct manner manner)
{
	struct observer observer = { .value = on_value };
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	void *state;

	DRIVE_LAW(out && exchange);
	for (int i = 0; i < SIDES; i++)
		request->heads[i].headers = request->headers[i];
	observer.context = manner.hide ? NULL : out;
	exchange_reset(exchange, "http", FAMILY_OTHER);
	exchange->operation = "POST";
	exchange->status = request->heads[SIDE_SERVER].status;
	exchange->failed = exchange->status >= 400;
	if (application->match(&request->heads[SIDE_CLIENT]) == HTTP_NO) {
		fputs("no match\n", out);
		goto out;
	}
	state = application->open(&request->heads[SIDE_CLIENT], &observer);
	DRIVE_LAW(state);
	give_body(state, application, SIDE_CLIENT,
		  request->bodies[SIDE_CLIENT], manner);
	application->response(state, &request->heads[SIDE_SERVER]);
	give_body(state, application, SIDE_SERVER,
		  request->bodies[SIDE_SERVER], manner);
	if (application->finish(state, exchange))
		print_exchange(out, exchange, !manner.hide);
	else
		fputs("declined\n", out);
	application->close(state);
out:
	fclose(out);
	exchange_done(exchange);
	free(exchange);
	return text;
}

static char *told(struct request *request, struct manner manner)
{
	return told_by(&http_llm, request, manner);
}

static glob_t cases;

static char *read_expected(const char *path)
{
	char name[512];

	snprintf(name, sizeof(name), "%.*s.expected",
		 (int)(strlen(path) - strlen(".case")), path);
	return law_file(name);
}

START_TEST(cases_give_what_is_expected)
{
	struct request request = load(cases.gl_pathv[_i]);
	char *expected = read_expected(cases.gl_pathv[_i]);
	char *lines = told(&request, (struct manner){ .piece = 0 });

	law_same(lines, expected, cases.gl_pathv[_i], 0);
	free(lines);
	free(expected);
	unload(&request);
}
END_TEST

START_TEST(cuts_change_nothing)
{
	static const size_t pieces[] = { 1, 2, 3, 5, 7, 64 };
	struct request request = load(cases.gl_pathv[_i]);
	char *whole = told(&request, (struct manner){ .piece = 0 }), *lines;

	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		lines = told(&request, (struct manner){ .piece = pieces[i] });
		law_same(lines, whole, "pieces", pieces[i]);
		free(lines);
	}
	for (int side = 0; side < SIDES; side++) {
		size_t every = suite_stride(request.bodies[side].length);

		for (size_t at = 1; at < request.bodies[side].length;
		     at += every) {
			struct manner manner = { .piece = 0 };

			manner.cut_at[side] = at;
			lines = told(&request, manner);
			law_same(lines, whole, "cut", at);
			free(lines);
		}
	}
	free(whole);
	unload(&request);
}
END_TEST

/* The text of a line "key(value) "text""; NULL: there is none. */
static char *value_of(const char *lines, const char *key)
{
	const char *at = strstr(lines, key), *end;

	if (!at)
		return NULL;
	at = strchr(at, '"') + 1;
	end = strchr(at, '\n');
	return strndup(at, (size_t)(end - at - 1));
}

static bool begins(const char *lines, const char *key, const char *part)
{
	char *text = value_of(lines, key);
	bool begins = text && !strncmp(part, text, strlen(part));

	free(text);
	return begins;
}

/*
 * Of what is cut off anywhere, the beginning is told, and that it is cut.
 * Whether it is a system's text, or a thought, may have been behind the cut.
 */
START_TEST(gaps_leave_a_beginning)
{
	static const char *const keys[][2] = {
		{ "datasnoop.gen_ai.prompt(value)",
		  "datasnoop.gen_ai.system(value)" },
		{ "datasnoop.gen_ai.completion(value)",
		  "datasnoop.gen_ai.reasoning(value)" },
	};
	struct request request = load(cases.gl_pathv[_i]);
	char *whole = told(&request, (struct manner){ .piece = 0 });

	for (int side = 0; side < SIDES; side++) {
		size_t every = suite_stride(request.bodies[side].length);

		for (size_t at = 0; at < request.bodies[side].length;
		     at += every) {
			struct manner manner = { .gaps = true };
			char *lines, *part;

			manner.end[side] = at;
			manner.end[!side] = SIZE_MAX;
			lines = told(&request, manner);
			part = value_of(lines, keys[side][0]);
			if (part)
				ck_assert_msg(
					begins(whole, keys[side][0], part) ||
						begins(whole, keys[side][1],
						       part),
					"side %d at %zu: %s", side, at, part);
			if (strstr(lines, "provider.name"))
				ck_assert_ptr_nonnull(strstr(lines, "cut 1"));
			free(lines);
			free(part);
		}
	}
	free(whole);
	unload(&request);
}
END_TEST

/* All keys in these cases have SECRET in them. */
START_TEST(keys_are_never_told)
{
	struct request request = load(cases.gl_pathv[_i]);
	char *lines = told(&request, (struct manner){ .piece = 0 });

	ck_assert_ptr_null(strstr(lines, "SECRET"));
	free(lines);
	unload(&request);
}
END_TEST

/* Without --show-values no word of what was said is there. */
START_TEST(texts_are_values)
{
	struct request request = load(cases.gl_pathv[_i]);
	char *all = told(&request, (struct manner){ .piece = 0 });
	char *shown = told(&request, (struct manner){ .hide = true });
	static const char *const keys[] = {
		"datasnoop.gen_ai.system(value)",
		"datasnoop.gen_ai.prompt(value)",
		"datasnoop.gen_ai.completion(value)",
		"datasnoop.gen_ai.reasoning(value)",
		"gen_ai.tool.call.arguments(value)",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		char *text = value_of(all, keys[i]);

		if (text && strlen(text) > 2)
			ck_assert_msg(!strstr(shown, text), "%s", text);
		free(text);
	}
	free(all);
	free(shown);
	unload(&request);
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Bytes that are wrong anywhere break nothing; the exchange is one still. */
START_TEST(damage_breaks_nothing)
{
	struct request request = load(cases.gl_pathv[_i]);
	uint32_t state = (uint32_t)_i + 1;

	for (int round = 0; round < (SUITE_SANITIZED ? 100 : 300); round++) {
		enum side side = next_random(&state) % SIDES;
		struct text *body = &request.bodies[side];
		size_t at = next_random(&state) % body->length;
		char before = body->bytes[at], *lines;

		body->bytes[at] = (char)next_random(&state);
		lines = told(&request, (struct manner){
				.piece = next_random(&state) % 3 * 11 });
		ck_assert_ptr_nonnull(strchr(lines, '\n'));
		free(lines);
		body->bytes[at] = before;
	}
	unload(&request);
}
END_TEST

static struct request request_of(const char *path, const char *type)
{
	struct request request = { .file = NULL };

	request.heads[SIDE_CLIENT] = (struct http_head){
		.method = span_string("POST"),
		.target = span_string(path),
		.authority = span_string("api.openai.com"),
	};
	request.headers[SIDE_SERVER][0] = (struct http_header){
		span_string("content-type"), span_string(type) };
	request.heads[SIDE_SERVER] = (struct http_head){ .status = 200,
							 .header_count = 1 };
	return request;
}

/* Of 300,000 bytes 65,536 are kept; all are counted. */
START_TEST(long_texts_are_cut_and_counted)
{
	struct request request = request_of("/v1/chat/completions",
					    "application/json");
	struct text *client = &request.bodies[SIDE_CLIENT];
	struct text *server = &request.bodies[SIDE_SERVER];
	char *lines;

	put_text(client, "{\"model\":\"m\",\"messages\":[{\"content\":\"");
	put_text(server, "{\"choices\":[{\"message\":{\"content\":\"");
	for (int i = 0; i < 50000; i++) {
		put_text(client, "\\u00e9 ab");
		put_text(server, "abc de");
	}
	put_text(client, "\",\"role\":\"user\"}]}");
	put_text(server, "\"},\"finish_reason\":\"stop\"}],\"usage\":"
		    "{\"completion_tokens\":5}}");
	for (size_t piece = 0; piece < 3000; piece += 1460) {
		lines = told(&request, (struct manner){ .piece = piece });
		ck_assert_ptr_nonnull(strstr(
			lines, "datasnoop.gen_ai.prompt.bytes 250000\n"));
		ck_assert_ptr_nonnull(strstr(
			lines, "datasnoop.gen_ai.completion.bytes 300000\n"));
		ck_assert_ptr_nonnull(strstr(lines, "...65535"));
		ck_assert_ptr_nonnull(strstr(
			lines, "finish_reasons =\"stop\""));
		free(lines);
	}
	unload(&request);
}
END_TEST

/* More tools, choices and events than are kept. */
START_TEST(lists_are_bounded)
{
	struct request request = request_of("/v1/chat/completions",
					    "text/event-stream");
	struct text *server = &request.bodies[SIDE_SERVER];
	char line[256], *lines;

	put_text(&request.bodies[SIDE_CLIENT], "{\"tools\":[");
	for (int i = 0; i < 40; i++)
		put_text(&request.bodies[SIDE_CLIENT],
			 i ? ",{\"name\":\"t\"}" : "{\"name\":\"t\"}");
	put_text(&request.bodies[SIDE_CLIENT], "]}");
	for (int i = 0; i < 40; i++)
		put(server, line, (size_t)snprintf(line, sizeof(line),
			"data: {\"choices\":[{\"index\":%d,\"delta\":{"
			"\"content\":\"x\",\"tool_calls\":[{\"index\":%d,"
			"\"function\":{\"name\":\"f%d\","
			"\"arguments\":\"{}\"}}]}}]}\n\n", i, i, i));
	lines = told(&request, (struct manner){ .piece = 0 });
	ck_assert_ptr_nonnull(strstr(lines, "response.tool_calls 40\n"));
	ck_assert_ptr_nonnull(strstr(lines, "request.tool_count 40\n"));
	ck_assert_ptr_nonnull(strstr(lines, "completion.bytes 40\n"));
	ck_assert_ptr_nonnull(strstr(lines, "gen_ai.tool.name =\"f15\"\n"));
	ck_assert_ptr_null(strstr(lines, "gen_ai.tool.name =\"f16\"\n"));
	free(lines);
	unload(&request);
}
END_TEST

START_TEST(targets_have_many_forms)
{
	static const struct {
		const char *target, *host;
		enum http_match match;
	} targets[] = {
		{ "https://api.openai.com/v1/responses", "api.openai.com",
		  HTTP_MAYBE },
		{ "/v1/chat/completions/", "x", HTTP_MAYBE },
		{ "/model/a/converse", "x", HTTP_MAYBE },
		{ "/model//converse", "x", HTTP_NO },
		{ "/v1/models/m:generateContent", "x", HTTP_MAYBE },
		{ "/v1/models/m:delete", "x", HTTP_NO },
		{ "/v1/models/:", "x", HTTP_NO },
		{ "/v1/messages?beta=true", "x", HTTP_MAYBE },
		{ "/messages", "x", HTTP_NO },
		{ "*", "x", HTTP_NO },
		{ "", "x", HTTP_NO },
		{ NULL, "x", HTTP_NO },
		{ "http://", "x", HTTP_NO },
	};

	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		struct http_head head = {
			.method = span_string("POST"),
			.target = span_string(targets[i].target),
			.authority = span_string(targets[i].host),
		};

		ck_assert_msg(http_llm.match(&head) == targets[i].match,
			      "target %zu: %s", i, targets[i].target);
		head.method = span_string("GET");
		ck_assert_int_eq(http_llm.match(&head), HTTP_NO);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("llm");
	TCase *given = tcase_create("cases"), *made = tcase_create("made");
	int count = (int)cases.gl_pathc;

	tcase_set_timeout(given, 120);
	tcase_set_timeout(made, 60);
	tcase_add_loop_test(given, cases_give_what_is_expected, 0, count);
	tcase_add_loop_test(given, cuts_change_nothing, 0, count);
	tcase_add_loop_test(given, gaps_leave_a_beginning, 0, count);
	tcase_add_loop_test(given, keys_are_never_told, 0, count);
	tcase_add_loop_test(given, texts_are_values, 0, count);
	tcase_add_loop_test(given, damage_breaks_nothing, 0, count);
	tcase_add_test(made, long_texts_are_cut_and_counted);
	tcase_add_test(made, lists_are_bounded);
	tcase_add_test(made, targets_have_many_forms);
	suite_add_tcase(all, given);
	suite_add_tcase(all, made);
	return all;
}

int main(int argc, char **argv)
{
	int failed;

	if (argc > 1) {
		struct request request = load(argv[1]);
		char *lines = told(&request, (struct manner){ .piece = 0 });

		fputs(lines, stdout);
		free(lines);
		unload(&request);
		return 0;
	}
	if (glob(CASES "*.case", 0, NULL, &cases)) {
		fprintf(stderr, "test_llm: no cases in %s\n", CASES);
		return 1;
	}
	failed = suite_run(suite());
	globfree(&cases);
	return failed;
}
