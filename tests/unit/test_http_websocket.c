/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_http_websocket.c - WebSocket behind HTTP/1.1's upgrade.
 */
#define _GNU_SOURCE
#include <check.h>
#include <zlib.h>

#include "tests/unit/laws.h"

#define TEXT	0x81
#define BINARY	0x82
#define CLOSE	0x88
#define PING	0x89
#define PONG	0x8a
#define PACKED	0x40 /* RSV1: compressed */

static void frame(struct recording *r, enum side side, unsigned first,
		  const void *payload, size_t length)
{
	static const uint8_t mask[4] = { 0x12, 0xfe, 0x00, 0x81 };
	uint8_t *bytes = malloc(length + 14);
	bool masked = side == SIDE_CLIENT;
	size_t n = 0;

	bytes[n++] = (uint8_t)first;
	if (length < 126) {
		bytes[n++] = (uint8_t)((masked ? 0x80 : 0) | length);
	} else if (length < 65536) {
		bytes[n++] = (uint8_t)((masked ? 0x80 : 0) | 126);
		bytes[n++] = (uint8_t)(length >> 8);
		bytes[n++] = (uint8_t)length;
	} else {
		bytes[n++] = (uint8_t)((masked ? 0x80 : 0) | 127);
		for (int i = 7; i >= 0; i--)
			bytes[n++] = (uint8_t)((uint64_t)length >> 8 * i);
	}
	if (masked)
		memcpy(bytes + n, mask, 4);
	n += masked ? 4 : 0;
	for (size_t i = 0; i < length; i++)
		bytes[n + i] = ((const uint8_t *)payload)[i] ^
			       (masked ? mask[i & 3] : 0);
	recording_add(r, side, bytes, n + length,
		      1000 * (r->piece_count + 1));
	free(bytes);
}

#define FRAME(r, side, first, text) \
	frame(r, side, first, text, sizeof(text) - 1)

static struct recording upgraded(const char *extensions)
{
	static const char request[] =
		"GET /chat?room=7 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Key: s3cr3t\r\n\r\n";
	struct recording r = { .piece_count = 0 };
	char answer[256];

	recording_add(&r, SIDE_CLIENT, request, sizeof(request) - 1, 1000);
	snprintf(answer, sizeof(answer),
		 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n"
		 "%s\r\n", extensions);
	recording_add(&r, SIDE_SERVER, answer, strlen(answer), 2000);
	return r;
}

static struct recording plain(void)
{
	struct recording r = upgraded("");

	FRAME(&r, SIDE_CLIENT, TEXT, "{\"say\":\"hello\"}");
	FRAME(&r, SIDE_SERVER, 0x01, "frag");
	FRAME(&r, SIDE_SERVER, PING, "are you there");
	FRAME(&r, SIDE_CLIENT, PONG, "are you there");
	FRAME(&r, SIDE_SERVER, 0x00, "ment");
	FRAME(&r, SIDE_SERVER, 0x80, "s");
	FRAME(&r, SIDE_CLIENT, BINARY, "\0\1\2");
	FRAME(&r, SIDE_CLIENT, TEXT, "");
	FRAME(&r, SIDE_CLIENT, CLOSE, "\x03\xe8" "bye");
	FRAME(&r, SIDE_SERVER, CLOSE, "\x03\xe8");
	return r;
}

/* One stream of deflate for all messages, as with a context taken over. */
static struct recording packed(bool takeover)
{
	struct recording r = upgraded(takeover ?
		"Sec-WebSocket-Extensions: permessage-deflate\r\n" :
		"Sec-WebSocket-Extensions: permessage-deflate; "
		"server_no_context_takeover\r\n");
	static const char *const texts[] = { "a message, a message",
					     "a message, again",
					     "and another, again" };
	z_stream z = { .next_in = NULL };

	ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, 0), Z_OK);
	for (size_t i = 0; i < 3; i++) {
		uint8_t out[256];

		if (!takeover)
			deflateReset(&z);
		z.next_in = (uint8_t *)(uintptr_t)texts[i];
		z.avail_in = (uInt)strlen(texts[i]);
		z.next_out = out;
		z.avail_out = sizeof(out);
		ck_assert_int_eq(deflate(&z, Z_SYNC_FLUSH), Z_OK);
		frame(&r, SIDE_SERVER, TEXT | PACKED, out,
		      sizeof(out) - z.avail_out - 4);
	}
	deflateEnd(&z);
	FRAME(&r, SIDE_SERVER, TEXT, "not packed");
	FRAME(&r, SIDE_SERVER, CLOSE, "\x03\xf3" "no more");
	FRAME(&r, SIDE_CLIENT, CLOSE, "");
	return r;
}

static struct recording make(int which)
{
	return which ? packed(which == 1) : plain();
}

static const char *const expected[][8] = {
	{ "GET status=101", "TEXT", "TEXT", "BINARY", "TEXT", "CLOSE" },
	{ "GET status=101", "TEXT", "TEXT", "TEXT", "TEXT", "CLOSE" },
	{ "GET status=101", "TEXT", "TEXT", "TEXT", "TEXT", "CLOSE" },
};
static const char *const parts[][8] = {
	{ "datasnoop.http.upgrade=\"websocket\"",
	  "sender=\"client\" datasnoop.websocket.size=15 "
	  "datasnoop.websocket.frames=1 datasnoop.websocket.text="
	  "\"{\\x22say\\x22:\\x22hello\\x22}\"(value)",
	  "sender=\"server\" datasnoop.websocket.size=9 "
	  "datasnoop.websocket.frames=3 datasnoop.websocket.text="
	  "\"fragments\"(value)",
	  "datasnoop.http.target=\"/chat?room=?\" "
	  "datasnoop.websocket.sender=\"client\" datasnoop.websocket.size=3 ",
	  "datasnoop.websocket.size=0",
	  "close_code=1000 datasnoop.websocket.client.messages=3 "
	  "datasnoop.websocket.client.size=18 "
	  "datasnoop.websocket.server.messages=1 "
	  "datasnoop.websocket.server.size=9 datasnoop.websocket.pings=1" },
	{ "/chat", "decoded_size=20 ", "text=\"a message, again\"",
	  "text=\"and another, again\"", "text=\"not packed\"",
	  "CLOSE status=1011 failed message=\"no more\"" },
	{ "/chat", "decoded_size=20 ", "text=\"a message, again\"",
	  "text=\"and another, again\"", "text=\"not packed\"",
	  "CLOSE status=1011 failed message=\"no more\"" },
};
#define RECORDINGS (int)(sizeof(expected) / sizeof(*expected))

START_TEST(messages_are_told)
{
	struct recording r = make(_i);
	struct drive d = { .recording = &r, .parser = &http_parser };
	char *lines = drive_lines(&d), *rest = lines, *line;
	size_t n = 0;

	ck_assert_ptr_null(strstr(lines, "s3cr3t"));
	for (; (line = strsep(&rest, "\n")) && *line; n++) {
		ck_assert_msg(n < 8 && expected[_i][n], "too many: %s", line);
		ck_assert_msg(!strncmp(line, expected[_i][n],
				       strlen(expected[_i][n])), "%s", line);
		ck_assert_msg(strstr(line, parts[_i][n]) != NULL, "no %s: %s",
			      parts[_i][n], line);
		ck_assert_ptr_null(strstr(line, "incomplete"));
	}
	ck_assert_ptr_null(expected[_i][n]);
	free(lines);
	recording_free(&r);
}
END_TEST

START_TEST(cuts_change_nothing)
{
	struct recording r = make(_i);

	law_cuts(&http_parser, &r);
	recording_free(&r);
}
END_TEST

/* Behind the upgrade: without it the target would not be known. */
START_TEST(truncation_keeps_what_was_complete)
{
	struct recording r = make(_i);
	struct drive d = { .recording = &r, .parser = &http_parser };
	char *whole = drive_lines(&d), *lines, *line, *rest;

	for (int side = 0; side < SIDES; side++)
		for (size_t at = r.pieces[side].length; at < r.length[side];
		     at++) {
			d.gaps[0] = (struct drive_gap){ side, at,
							r.length[side] - at };
			d.gap_count = 1;
			rest = lines = drive_lines(&d);
			while ((line = strsep(&rest, "\n")))
				ck_assert_msg(strstr(line, " incomplete ") ||
					      strstr(whole, line),
					      "side %d cut at %zu: %s", side,
					      at, line);
			free(lines);
		}
	free(whole);
	recording_free(&r);
}
END_TEST

/* A hole in one message leaves the others as they are. */
START_TEST(gap_inside_a_frame)
{
	struct recording r = plain();
	struct drive d = { .recording = &r, .parser = &http_parser };
	size_t head = r.pieces[0].length;
	char *lines;

	d.gaps[0] = (struct drive_gap){ SIDE_CLIENT, head + 8, 4 };
	d.gap_count = 1;
	lines = drive_lines(&d);
	ck_assert_int_eq((int)d.exchanges, 6);
	ck_assert_int_eq((int)d.incomplete, 1);
	ck_assert_ptr_nonnull(strstr(lines, "size=15 "));
	ck_assert_ptr_nonnull(strstr(lines, "incomplete missed=4 "));
	free(lines);
	recording_free(&r);
}
END_TEST

/* Frames say themselves that the answer 101 was there. */
START_TEST(gap_in_the_answer)
{
	struct recording r = plain();
	struct drive d = { .recording = &r, .parser = &http_parser };
	size_t at = _i ? 20 : 0; /* in its status line; in its head */
	char *lines;

	d.gaps[0] = (struct drive_gap){ SIDE_SERVER, at, 24 };
	d.gap_count = 1;
	lines = drive_lines(&d);
	ck_assert_int_eq((int)d.exchanges, 6);
	ck_assert_ptr_nonnull(strstr(lines, "hello"));
	ck_assert_ptr_nonnull(strstr(lines, "ments\""));
	ck_assert_ptr_nonnull(strstr(lines, "CLOSE status=1000"));
	ck_assert_ptr_nonnull(strstr(lines, "target=\"/chat?room=?\""));
	free(lines);
	recording_free(&r);
}
END_TEST

/* What the client sends next is no part of the request's head. */
START_TEST(gap_in_the_request)
{
	struct recording r = plain();
	struct drive d = { .recording = &r, .parser = &http_parser };
	size_t head = r.pieces[0].length;
	char *lines;

	d.gaps[0] = (struct drive_gap){ SIDE_CLIENT, head - 9, 12 };
	d.gap_count = 1;
	lines = drive_lines(&d);
	ck_assert_ptr_null(strstr(lines, "size=15 "));
	ck_assert_ptr_nonnull(strstr(lines, "sender=\"client\" "
					    "datasnoop.websocket.size=3 "));
	ck_assert_ptr_nonnull(strstr(lines, "CLOSE status=1000"));
	free(lines);
	recording_free(&r);
}
END_TEST

/* A ping's payload is stepped over; of a goodbye's the code is not known. */
START_TEST(gap_in_a_control_frame)
{
	struct recording r = plain();
	struct drive d = { .recording = &r, .parser = &http_parser };
	size_t ping = r.pieces[4].at + 4, bye = r.pieces[10].at + 6;
	char *lines;

	d.gaps[0] = (struct drive_gap){ SIDE_SERVER, ping, 5 };
	d.gap_count = 1;
	lines = drive_lines(&d);
	ck_assert_int_eq((int)d.incomplete, 0);
	free(lines);
	d.gaps[0] = (struct drive_gap){ SIDE_CLIENT, bye, 2 };
	lines = drive_lines(&d);
	ck_assert_int_eq((int)d.incomplete, 1);
	ck_assert_ptr_null(strstr(lines, "bye"));
	free(lines);
	recording_free(&r);
}
END_TEST

START_TEST(gap_over_frames)
{
	struct recording r = upgraded("");
	struct drive d = { .recording = &r, .parser = &http_parser };
	size_t head = r.length[SIDE_SERVER];
	char *lines, text[64];

	for (int i = 0; i < 20; i++) {
		int n = snprintf(text, sizeof(text), "message %d of many", i);

		frame(&r, SIDE_SERVER, TEXT, text, (size_t)n);
	}
	d.gaps[0] = (struct drive_gap){ SIDE_SERVER, head + 30, 50 };
	d.gap_count = 1;
	lines = drive_lines(&d);
	ck_assert_ptr_nonnull(strstr(lines, "\"message 0 of many\""));
	ck_assert_ptr_null(strstr(lines, "\"message 3 of many\""));
	for (int i = 5; i < 20; i++) {
		snprintf(text, sizeof(text), "\"message %d of many\"", i);
		ck_assert_msg(strstr(lines, text) != NULL, "no %s: %s", text,
			      lines);
	}
	free(lines);
	recording_free(&r);
}
END_TEST

/* After a hole a context is not known, and that is said. */
START_TEST(gap_in_packed_messages)
{
	struct recording r = packed(_i == 0);
	struct drive d = { .recording = &r, .parser = &http_parser };
	char *lines;

	d.gaps[0] = (struct drive_gap){
		SIDE_SERVER, r.pieces[1].length + 4, 2 };
	d.gap_count = 1;
	lines = drive_lines(&d);
	ck_assert_int_eq((int)d.exchanges, 6);
	ck_assert_int_eq((int)d.incomplete, 1);
	ck_assert_ptr_nonnull(strstr(lines, "not_decoded=\"context lost\""));
	ck_assert(!strstr(lines, "a message, again") == (_i == 0));
	ck_assert_ptr_nonnull(strstr(lines, "not packed"));
	free(lines);
	recording_free(&r);
}
END_TEST

START_TEST(gaps_anywhere_are_survived)
{
	struct recording r = make(_i);

	for (int side = 0; side < SIDES; side++)
		for (size_t at = 0; at < r.length[side]; at++)
			for (size_t length = 1; length < 40; length += 6) {
				struct drive d = { .recording = &r,
						   .parser = &http_parser };

				d.gaps[0] = (struct drive_gap){
					side, at,
					at + length < r.length[side] ?
						length :
						r.length[side] - at };
				d.gap_count = 1;
				drive_run(&d);
				ck_assert_int_gt((int)d.exchanges, 0);
			}
	recording_free(&r);
}
END_TEST

/* Sixteen megabytes in one frame, its first bytes kept. */
START_TEST(long_frames_are_not_held)
{
	size_t length = 16 << 20;
	struct recording r = upgraded("");
	struct drive d = { .recording = &r, .parser = &http_parser,
			   .values = true };
	char *big = malloc(length), *lines;

	memset(big, 'z', length);
	frame(&r, SIDE_CLIENT, BINARY, big, length);
	free(big);
	lines = drive_lines(&d);
	ck_assert_ptr_nonnull(strstr(lines, "size=16777216 "));
	ck_assert_ptr_nonnull(strstr(lines, "\tvalue -1 =\"zzzz"));
	ck_assert_ptr_nonnull(strstr(lines, "...4096"));
	/* Nobody said goodbye. */
	ck_assert_ptr_nonnull(strstr(lines, "CLOSE status=-1"));
	free(lines);
	recording_free(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("websocket");
	TCase *t = tcase_create("written");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, messages_are_told, 0, RECORDINGS);
	tcase_add_loop_test(t, cuts_change_nothing, 0, RECORDINGS);
	tcase_add_loop_test(t, truncation_keeps_what_was_complete, 0,
			    RECORDINGS);
	tcase_add_test(t, gap_inside_a_frame);
	tcase_add_loop_test(t, gap_in_the_answer, 0, 2);
	tcase_add_test(t, gap_in_the_request);
	tcase_add_test(t, gap_in_a_control_frame);
	tcase_add_test(t, gap_over_frames);
	tcase_add_loop_test(t, gap_in_packed_messages, 0, 2);
	tcase_add_loop_test(t, gaps_anywhere_are_survived, 0, RECORDINGS);
	tcase_add_test(t, long_frames_are_not_held);
	suite_add_tcase(s, t);
	return suite_run(s);
}
