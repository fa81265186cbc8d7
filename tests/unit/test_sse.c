/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sse.c - text/event-stream, by the standard's rules and its examples'
 * shapes.
 */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parsers/sse.h"
#include "tests/unit/suite.h"

struct listener {
	FILE *out;
};

static void on_data(void *context, const char *bytes, size_t length)
{
	struct listener *listener = context;

	ck_assert(length > 0);
	fwrite(bytes, 1, length, listener->out);
}

static void on_event(void *context, const struct sse *stream)
{
	struct listener *listener = context;

	fprintf(listener->out, "<%s %llu>", stream->name,
		(unsigned long long)stream->data_length);
}

static char *told(const char *bytes, size_t length, size_t piece)
{
	struct sse stream = { .events = 0 };
	struct listener listener;
	struct sse_handler handler = { on_data, on_event, &listener };
	char *text = NULL;
	size_t size = 0;

	listener.out = open_memstream(&text, &size);
	for (size_t at = 0; at < length; at += piece) {
		size_t n = length - at < piece ? length - at : piece;
		uint8_t *copy = malloc(n);

		memcpy(copy, bytes + at, n);
		sse_feed(&stream, &handler, copy, n);
		free(copy);
	}
	fprintf(listener.out, "%llu", (unsigned long long)stream.events);
	fclose(listener.out);
	return text;
}

static const struct {
	const char *bytes, *told;
} streams[] = {
	{ "data: a\n\n", "a< 1>1" },
	{ "data:a\r\n\r\n", "a< 1>1" },
	{ "data: a\r\rdata: b\r\r", "a< 1>b< 1>2" },
	{ "data:  two spaces\n\n", " two spaces< 11>1" },
	{ "data: a\ndata: b\n\n", "a\nb< 3>1" },
	{ "data: a\ndata\ndata: b\n\n", "a\n\nb< 4>1" },
	{ "data\n\n", "< 0>1" },
	{ "event: add\ndata: 7\n\n", "7<add 1>1" },
	{ "data: 7\nevent: add\n\n", "7<add 1>1" },
	{ "event: add\nevent: sub\ndata: 7\n\n", "7<sub 1>1" },
	{ "event: add\nevent\ndata: 7\n\n", "7< 1>1" },
	{ "event: add\n\ndata: 7\n\n", "7< 1>1" },
	{ ": a comment\n\n", "0" },
	{ ":\n\ndata: a\n: b\n\n", "a< 1>1" },
	{ "id: 1\nretry: 10\n\n", "0" },
	{ "DATA: a\ndatum: b\ndatadata: c\n\n", "0" },
	{ "\xef\xbb\xbf" "data: a\n\n", "a< 1>1" },
	{ "data: \xef\xbb\xbf\n\n", "\xef\xbb\xbf< 3>1" },
	{ "\n\n\ndata: a\n\n\n\n", "a< 1>1" },
	{ "data: a: b\n\n", "a: b< 4>1" },
	{ "data: not dispatched\n", "not dispatched0" },
	{ "", "0" },
};

START_TEST(streams_give_what_is_expected)
{
	size_t length = strlen(streams[_i].bytes);

	for (size_t piece = 1; piece <= length + 1; piece++) {
		char *text = told(streams[_i].bytes, length, piece);

		ck_assert_str_eq(text, streams[_i].told);
		free(text);
	}
}
END_TEST

START_TEST(names_are_cut)
{
	char bytes[400], name[SSE_NAME_MAX];
	char *text;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(bytes, sizeof(bytes), "event: %s%s\ndata: x\n\n", name, name);
	for (size_t piece = 1; piece < 100; piece += 7) {
		char expected[200];

		snprintf(expected, sizeof(expected), "x<%s 1>1", name);
		text = told(bytes, strlen(bytes), piece);
		ck_assert_str_eq(text, expected);
		free(text);
	}
}
END_TEST

struct mark {
	bool seen;
};

static void on_mark(void *context, const struct sse *stream)
{
	struct mark *mark = context;

	mark->seen |= sse_data_is(stream, "[DONE]");
}

START_TEST(marks_are_recognised)
{
	static const struct {
		const char *bytes;
		bool seen;
	} marks[] = {
		{ "data: [DONE]\n\n", true },
		{ "data: [DONE\n\n", false },
		{ "data: [DONE]]\n\n", false },
		{ "data: [DO\ndata: NE]\n\n", false },
		{ "data: [DONE] and more than sixteen bytes\n\n", false },
		{ "data: x\n\ndata: [DONE]\n\n", true },
	};

	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
		struct sse stream = { .events = 0 };
		struct mark mark = { false };
		struct sse_handler handler = { NULL, on_mark, &mark };

		for (const char *at = marks[i].bytes; *at; at++)
			sse_feed(&stream, &handler, (const uint8_t *)at, 1);
		ck_assert_int_eq(mark.seen, marks[i].seen);
	}
}
END_TEST

START_TEST(nobody_has_to_listen)
{
	static const char bytes[] = "event: a\ndata: b\n\ndata: c\n\n";
	struct sse stream = { .events = 0 };

	sse_feed(&stream, NULL, (const uint8_t *)bytes, sizeof(bytes) - 1);
	ck_assert_uint_eq(stream.events, 2);
}
END_TEST

int main(void)
{
	Suite *all = suite_create("sse");
	TCase *cases = tcase_create("sse");

	tcase_add_loop_test(cases, streams_give_what_is_expected, 0,
			    sizeof(streams) / sizeof(*streams));
	tcase_add_test(cases, names_are_cut);
	tcase_add_test(cases, marks_are_recognised);
	tcase_add_test(cases, nobody_has_to_listen);
	suite_add_tcase(all, cases);
	return suite_run(all);
}
