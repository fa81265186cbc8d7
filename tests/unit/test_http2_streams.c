/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_http2_streams.c - what becomes of HTTP/2's streams, frame by frame.
 *
 * Conversations written here: resets, refusals, pushes, upgrades, gaps, and
 * what peers do that RFC 9113 forbids.
 */
#define _GNU_SOURCE
#include <check.h>

#include "parsers/http2.h"
#include "tests/unit/drive.h"
#include "tests/unit/suite.h"

/* HPACK without a table: fields of the static one, and literals not added. */
#define GET	 "\x82\x84\x86" /* :method GET, :path /, :scheme http */
#define POST	 "\x83\x84\x86"
#define PATH(p)	 "\x82\x04" p "\x86" /* with its length before it */
#define OK	 "\x88"
#define NOT_FOUND "\x8d"

enum { END = HTTP2_END_STREAM, HEAD = HTTP2_END_HEADERS };

static void add_frame(struct recording *r, enum side side, unsigned type,
		      unsigned flags, uint32_t stream, const void *payload,
		      size_t length)
{
	uint8_t frame[9 + 70000] = {
		(uint8_t)(length >> 16), (uint8_t)(length >> 8),
		(uint8_t)length, (uint8_t)type, (uint8_t)flags,
		(uint8_t)(stream >> 24), (uint8_t)(stream >> 16),
		(uint8_t)(stream >> 8), (uint8_t)stream,
	};

	memcpy(frame + 9, payload, length);
	recording_add(r, side, frame, 9 + length,
		      1000 * (r->piece_count + 1));
}

#define FRAME(r, side, type, flags, stream, text)                        \
	add_frame(r, SIDE_##side, HTTP2_##type, flags, stream, text,     \
		  sizeof(text) - 1)

static struct recording begin(void)
{
	struct recording r = { .piece_count = 0 };

	recording_add(&r, SIDE_CLIENT, HTTP2_PREFACE, HTTP2_PREFACE_BYTES,
		      1000);
	FRAME(&r, CLIENT, SETTINGS, 0, 0, "");
	FRAME(&r, SERVER, SETTINGS, 0, 0, "");
	return r;
}

/* What is told of it; frees the recording. */
static char *told(struct recording *r, struct drive *d)
{
	char *lines, *bytewise;

	d->recording = r;
	d->parser = &http2_parser;
	d->brief = true;
	lines = drive_lines(d);
	d->cut = 1;
	bytewise = drive_lines(d);
	ck_assert_str_eq(lines, bytewise);
	free(bytewise);
	recording_free(r);
	return lines;
}

static unsigned count(const char *text, const char *word)
{
	unsigned found = 0;

	while ((text = strstr(text, word)))
		found++, text++;
	return found;
}

START_TEST(interleaved_streams)
{
	struct recording r = begin();
	struct drive d = { .cut = 0 };
	char *lines;

	FRAME(&r, CLIENT, HEADERS, HEAD, 1, POST);
	FRAME(&r, CLIENT, HEADERS, HEAD | END, 3, GET);
	FRAME(&r, CLIENT, DATA, 0, 1, "abc");
	FRAME(&r, SERVER, HEADERS, HEAD, 3, OK);
	FRAME(&r, SERVER, HEADERS, HEAD, 1, NOT_FOUND);
	FRAME(&r, SERVER, DATA, 0, 3, "12");
	FRAME(&r, CLIENT, DATA, END, 1, "de");
	FRAME(&r, SERVER, DATA, END, 1, "4567");
	FRAME(&r, SERVER, DATA, END, 3, "3");
	lines = told(&r, &d);
	ck_assert_uint_eq(d.exchanges, 2);
	ck_assert_uint_eq(d.incomplete, 0);
	/* In the order in which they ended. */
	ck_assert(strstr(lines, "POST") < strstr(lines, "GET"));
	ck_assert_ptr_nonnull(strstr(lines, "http.request.body.size=5"));
	ck_assert_ptr_nonnull(strstr(lines, "http.response.body.size=4"));
	ck_assert_ptr_nonnull(strstr(lines, "http.response.body.size=3"));
	free(lines);
}
END_TEST

START_TEST(padding_priority_and_continuation)
{
	struct recording r = begin();
	struct drive d = { .cut = 0 };
	char *lines;

	FRAME(&r, CLIENT, HEADERS, END | HTTP2_PADDED | HTTP2_HAS_PRIORITY, 1,
	      "\x02" "\0\0\0\0\x10" "\x82" "\0\0");
	FRAME(&r, CLIENT, CONTINUATION, 0, 1, "\x84");
	FRAME(&r, CLIENT, CONTINUATION, HEAD, 1, "\x86");
	FRAME(&r, SERVER, HEADERS, HEAD, 1, OK);
	FRAME(&r, SERVER, DATA, HTTP2_PADDED, 1, "\x03" "abcd" "\0\0\0");
	FRAME(&r, SERVER, DATA, HTTP2_PADDED, 1, "\x00");
	FRAME(&r, SERVER, DATA, END | HTTP2_PADDED, 1, "\x04" "\0\0\0\0");
	lines = told(&r, &d);
	ck_assert_uint_eq(d.exchanges, 1);
	ck_assert_uint_eq(d.incomplete, 0);
	ck_assert_ptr_nonnull(strstr(lines, "GET status=200"));
	ck_assert_ptr_nonnull(strstr(lines, "http.response.body.size=4"));
	free(lines);
}
END_TEST

START_TEST(what_is_not_known_is_skipped)
{
	struct recording r = begin();
	struct drive d = { .cut = 0 };
	char *lines;

	FRAME(&r, CLIENT, PRIORITY, 0, 5, "\0\0\0\0\x10");
	add_frame(&r, SIDE_CLIENT, 0xfa, 0xff, 77, "anything", 8);
	FRAME(&r, CLIENT, HEADERS, HEAD | END, 1, GET);
	add_frame(&r, SIDE_SERVER, 0x4b, 0, 0, "", 0);
	FRAME(&r, SERVER, PING, 0, 0, "12345678");
	FRAME(&r, CLIENT, WINDOW_UPDATE, 0, 0, "\0\0\0\1");
	FRAME(&r, SERVER, ALTSVC, 0, 0, "\0\1ah2=\":1\"");
	FRAME(&r, SERVER, HEADERS, HEAD | END, 1, OK);
	lines = told(&r, &d);
	ck_assert_uint_eq(d.exchanges, 1);
	ck_assert_uint_eq(d.incomplete, 0);
	free(lines);
}
END_TEST

START_TEST(resets)
{
	struct recording r = begin();
	struct drive d = { .cut = 0 };
	char *lines;

	FRAME(&r, CLIENT, HEADERS, HEAD | END, 1, GET);
	FRAME(&r, SERVER, RST_STREAM, 0, 1, "\0\0\0\x07");
	FRAME(&r, CLIENT, HEADERS, HEAD, 3, POST);
	FRAME(&r, SERVER, HEADERS, HEAD | END, 3, OK);
	FRAME(&r, SERVER, RST_STREAM, 0, 3, "\0\0\0\0");
	FRAME(&r, CLIENT, HEADERS, HEAD | END, 5, GET);
	FRAME(&r, SERVER, HEADERS, HEAD, 5, OK);
	FRAME(&r, CLIENT, RST_STREAM, 0, 5, "\0\0\0\x08");
	/* Was under way. */
	FRAME(&r, SERVER, DATA, END, 5, "late");
	/* Behind an answer that is whole. */
	FRAME(&r, CLIENT, HEADERS, HEAD | END, 7, GET);
	FRAME(&r, SERVER, HEADERS, HEAD | END, 7, OK);
	FRAME(&r, SERVER, RST_STREAM, 0, 7, "\0\0\0\0");
	lines = told(&r, &d);
	ck_assert_uint_eq(d.exchanges, 4);
	ck_assert_uint_eq(count(lines, "datasnoop.http.reset=0"), 2);
	ck_assert_uint_eq(count(lines, "datasnoop.http.reset=7"), 1);
	ck_assert_uint_eq(count(lines, "datasnoop.http.reset=8"), 1);
	ck_assert_uint_eq(count(lines, " failed"), 2);
	free(lines);
}
END_TEST

START_TEST(goaway_refuses_what_is_behind_it)
{
	struct recording r = begin();
	struct drive d = { .cut = 0 };
	char *lines;

	FRAME(&r, CLIENT, HEADERS, HEAD | END, 1, GET);
	FRAME(&r, CLIENT, HEADERS, HEAD | END, 3, POST);
	FRAME(&r, SERVER, GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0bye");
	FRAME(&r, SERVER, HEADERS, HEAD | END, 1, OK);
	lines = told(&r, &d);
	ck_assert_uint_eq(d.exchanges, 2);
	ck_assert_uint_eq(count(lines, "datasnoop.http.refused"), 1);
	ck_assert(strstr(lines, "refused") < strstr(lines, "GET"));
	free(lines);
}
END_TEST

START_TEST(interim_answers_and_trailers)
{
	struct recording r = begin();
	struct drive d = { .cut = 0 };
	char *lines;

	FRAME(&r, CLIENT, HEADERS, HEAD, 1, POST);
	FRAME(&r, SERVER, HEADERS, HEAD, 1, "\x08\x03" "100");
	FRAME(&r, CLIENT, DATA, 0, 1, "abc");
	FRAME(&r, CLIENT, HEADERS, HEAD | END, 1, "\x00\x01" "a" "\x01" "b");
	FRAME(&r, SERVER, HEADERS, HEAD, 1, "\x08\x03" "103");
	FRAME(&r, SERVER, HEADERS, HEAD, 1, OK);
	FRAME(&r, SERVER, DATA, 0, 1, "x");
	FRAME(&r, SERVER, HEADERS, HEAD | END, 1, "\x00\x01" "c" "\x01" "d");
	lines = told(&r, &d);
	ck_assert_uint_eq(d.exchanges, 1);
	ck_assert_uint_eq(d.incomplete, 0);
	ck_assert_ptr_nonnull(strstr(lines, "status=200"));
	ck_assert_ptr_nonnull(strstr(lines, "datasnoop.http.interim=100"));
	ck_assert_ptr_nonnull(strstr(lines, "datasnoop.http.interim=103"));
	free(lines);
}
END_TEST

START_TEST(answer_read_before_its_request)
{
	struct recording r = begin();
	struct drive d = { .cut = 0 };
	char *lines;

	FRAME(&r, SERVER, HEADERS, HEAD | END, 1, OK);
	FRAME(&r, CLIENT, HEADERS, HEAD | END, 1, GET);
	lines = told(&r, &d);
	ck_assert_uint_eq(d.exchanges, 1);
	ck_assert_uint_eq(d.incomplete, 0);
	ck_assert_ptr_nonnull(strstr(lines, "GET status=200"));
	free(lines);
}
END_TEST

/* A gap that may hold frames: what was open is hit, what comes later not. */
START_TEST(gap_over_frames)
{
	struct recording r = begin();
	struct drive d = { .cut = 0 };
	size_t from, to;
	char *lines;

	FRAME(&r, CLIENT, HEADERS, HEAD | END, 1, GET);
	FRAME(&r, SERVER, HEADERS, HEAD, 1, OK);
	from = r.length[SIDE_SERVER] + 12;
	FRAME(&r, SERVER, DATA, 0, 1, "0123456789");
	FRAME(&r, SERVER, DATA, 0, 1, "0123456789");
	to = r.length[SIDE_SERVER] - 2;
	FRAME(&r, SERVER, DATA, END, 1, "0123456789");
	for (uint32_t id = 3; id < 9; id += 2) {
		FRAME(&r, CLIENT, HEADERS, HEAD | END, id, PATH("\x02/a"));
		FRAME(&r, SERVER, HEADERS, HEAD, id, OK);
		FRAME(&r, SERVER, DATA, END, id, "0123456789");
	}
	d.gaps[0] = (struct drive_gap){ SIDE_SERVER, from, to - from };
	d.gap_count = 1;
	lines = told(&r, &d);
	ck_assert_uint_eq(d.exchanges, 4);
	ck_assert_uint_eq(d.incomplete, 1);
	ck_assert_uint_eq(count(lines, "http.response.body.size=10"), 3);
	free(lines);
}
END_TEST

/* An end that was lost is not waited for until the connection ends. */
START_TEST(lost_end_is_given_up)
{
	struct recording r = begin();
	struct drive d = { .cut = 0 };
	uint32_t id = 3;
	size_t from;
	char *lines;

	FRAME(&r, CLIENT, HEADERS, HEAD | END, 1, POST);
	FRAME(&r, SERVER, HEADERS, HEAD, 1, OK);
	FRAME(&r, SERVER, DATA, 0, 1, "0123456789");
	from = r.length[SIDE_SERVER];
	FRAME(&r, SERVER, DATA, END, 1, "0123456789");
	for (; id < 3 + 4 * HTTP2_OVERTAKEN_MAX; id += 2) {
		FRAME(&r, CLIENT, HEADERS, HEAD | END, id, GET);
		FRAME(&r, SERVER, HEADERS, HEAD | END, id, OK);
	}
	d.gaps[0] = (struct drive_gap){ SIDE_SERVER, from, 19 };
	d.gap_count = 1;
	lines = told(&r, &d);
	ck_assert_uint_eq(d.incomplete, 1);
	ck_assert_uint_eq(d.exchanges, 1 + 2 * HTTP2_OVERTAKEN_MAX);
	/* Not the last to be told. */
	ck_assert_ptr_nonnull(strstr(strstr(lines, "POST"), "GET"));
	free(lines);
}
END_TEST

/* Streams that nobody ends: there is a bound. */
START_TEST(open_streams_are_bounded)
{
	struct recording r = begin();
	struct drive d = { .recording = &r, .parser = &http2_parser };
	uint32_t last = 2 * (HTTP2_STREAMS_MAX + 10);

	for (uint32_t id = 1; id < last; id += 2)
		FRAME(&r, CLIENT, HEADERS, HEAD, id, POST);
	drive_run(&d);
	ck_assert_uint_eq(d.exchanges, HTTP2_STREAMS_MAX + 10);
	ck_assert_uint_eq(d.incomplete, d.exchanges);
	recording_free(&r);
}
END_TEST

/* What RFC 9113 forbids ends in no crash and no exchange of its own. */
START_TEST(unlawful_frames)
{
	static const struct {
		unsigned type, flags;
		uint32_t stream;
		const char *payload;
		size_t length;
	} frames[] = {
		{ HTTP2_HEADERS, HEAD, 0, GET, 3 },
		{ HTTP2_DATA, 0, 0, "abc", 3 },
		{ HTTP2_DATA, HTTP2_PADDED, 1, "\x09" "abc", 4 },
		{ HTTP2_DATA, HTTP2_PADDED, 1, "", 0 },
		{ HTTP2_SETTINGS, 0, 0, "abcde", 5 },
		{ HTTP2_SETTINGS, 0, 3, "", 0 },
		{ HTTP2_RST_STREAM, 0, 1, "abc", 3 },
		{ HTTP2_CONTINUATION, HEAD, 1, "\x88", 1 },
		{ HTTP2_PUSH_PROMISE, HEAD, 1, "abc", 3 },
		{ HTTP2_WINDOW_UPDATE, 0, 0, "abcde", 5 },
		{ HTTP2_GOAWAY, 0, 0, "abcde", 5 },
	};
	struct recording r = begin();
	struct drive d = { .cut = 0 };
	char *lines;

	FRAME(&r, CLIENT, HEADERS, HEAD | END, 1, GET);
	add_frame(&r, SIDE_SERVER, frames[_i].type, frames[_i].flags,
		  frames[_i].stream, frames[_i].payload, frames[_i].length);
	FRAME(&r, SERVER, PING, 0, 0, "12345678");
	FRAME(&r, SERVER, HEADERS, HEAD | END, 1, OK);
	FRAME(&r, CLIENT, HEADERS, HEAD | END, 3, GET);
	FRAME(&r, SERVER, HEADERS, HEAD, 3, OK);
	FRAME(&r, SERVER, DATA, END, 3, "0123456789");
	lines = told(&r, &d);
	ck_assert_uint_eq(d.exchanges, 2);
	ck_assert_ptr_nonnull(strstr(lines, "http.response.body.size=10"));
	free(lines);
}
END_TEST

/* A frame that no window holds: its header block is given up, not more. */
START_TEST(giant_frames)
{
	static uint8_t giant[70000];
	struct recording r = begin();
	struct drive d = { .cut = 0 };
	char *lines;

	FRAME(&r, CLIENT, HEADERS, HEAD | END, 1, GET);
	add_frame(&r, SIDE_SERVER, HTTP2_HEADERS, HEAD, 1, giant,
		  sizeof(giant));
	add_frame(&r, SIDE_SERVER, HTTP2_DATA, END, 1, giant, sizeof(giant));
	FRAME(&r, CLIENT, HEADERS, HEAD | END, 3, GET);
	FRAME(&r, SERVER, HEADERS, HEAD | END, 3, OK);
	d.recording = &r;
	d.parser = &http2_parser;
	lines = drive_lines(&d);
	ck_assert_uint_eq(d.exchanges, 2);
	ck_assert_uint_eq(d.incomplete, 1);
	ck_assert_ptr_nonnull(strstr(lines, "http.response.body.size=70000"));
	free(lines);
	recording_free(&r);
}
END_TEST

/* HTTP/1.1's request, upgraded, is stream 1. */
START_TEST(upgraded_connection)
{
	struct http_head head = { .method = span_string("GET"),
				  .target = span_string("/up"),
				  .authority = span_string("a") };
	struct drive d = { .recording = NULL };
	struct observer observer = { drive_exchange, NULL, &d };
	struct http_transaction *request =
		http_transaction_new(&observer, "http", "1.1");
	struct recording r = begin();
	char *text = NULL;
	size_t length = 0;
	void *state;

	FRAME(&r, SERVER, HEADERS, HEAD, 1, OK);
	FRAME(&r, SERVER, DATA, END, 1, "abc");
	d.out = open_memstream(&text, &length);
	http_transaction_head(request, SIDE_CLIENT, &head);
	state = http2_open_upgraded(&observer, request);
	for (int side = 0; side < SIDES; side++)
		for (size_t at = 0; at < r.length[side];) {
			struct window w = { .bytes = r.bytes[side] + at,
					    .length = r.length[side] - at };
			struct step step =
				http2_parser.parse(state, side, &w);

			ck_assert_int_eq(step.outcome, PARSE_TOOK);
			at += step.used;
		}
	http2_parser.close(state);
	fclose(d.out);
	ck_assert_uint_eq(d.exchanges, 1);
	ck_assert_uint_eq(d.incomplete, 0);
	ck_assert_ptr_nonnull(strstr(text, "statement=\"/up\""));
	ck_assert_ptr_nonnull(strstr(text, "http.response.body.size=3"));
	ck_assert_ptr_nonnull(strstr(text, "datasnoop.http.stream=1"));
	free(text);
	recording_free(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http2 streams");
	TCase *tcase = tcase_create("streams");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, interleaved_streams);
	tcase_add_test(tcase, padding_priority_and_continuation);
	tcase_add_test(tcase, what_is_not_known_is_skipped);
	tcase_add_test(tcase, resets);
	tcase_add_test(tcase, goaway_refuses_what_is_behind_it);
	tcase_add_test(tcase, interim_answers_and_trailers);
	tcase_add_test(tcase, answer_read_before_its_request);
	tcase_add_test(tcase, gap_over_frames);
	tcase_add_test(tcase, lost_end_is_given_up);
	tcase_add_test(tcase, open_streams_are_bounded);
	tcase_add_loop_test(tcase, unlawful_frames, 0, 11);
	tcase_add_test(tcase, giant_frames);
	tcase_add_test(tcase, upgraded_connection);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
