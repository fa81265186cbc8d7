/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mysql_compress.c - MySQL's compressed protocol, and the X protocol.
 *
 * Recordings of connections that do not compress are put into frames here, so
 * that what they must give is known: the same.  What a server compresses is
 * in test_mysql.c's recordings.
 */
#define _GNU_SOURCE
#include <zlib.h>
#include <zstd.h>

#include "tests/unit/laws.h"

#define FRAME_MAX  200000 /* bytes of a frame made here */
#define LOGIN_PIECES 3	  /* greeting, login, OK: not in frames */
#define CAPABILITY_COMPRESS 0x20
#define CAPABILITY_ZSTD	    0x04 /* in the fourth byte */

enum codec { CODEC_STORED, CODEC_ZLIB, CODEC_ZSTD, CODECS };

static size_t pack(enum codec codec, uint8_t *out, const uint8_t *in,
		   size_t length)
{
	uLongf size = FRAME_MAX;

	switch (codec) {
	case CODEC_ZLIB:
		ck_assert_int_eq(compress(out, &size, in, length), Z_OK);
		return size;
	case CODEC_ZSTD:
		return ZSTD_compress(out, FRAME_MAX, in, length, 3);
	default:
		return length;
	}
}

static void put3(uint8_t *at, size_t number)
{
	at[0] = (uint8_t)number;
	at[1] = (uint8_t)(number >> 8);
	at[2] = (uint8_t)(number >> 16);
}

/* One frame of that content; stored where that is shorter. */
static void frame(struct recording *r, enum side side, uint8_t sequence,
		  enum codec codec, const uint8_t *in, size_t length)
{
	uint8_t *bytes = malloc(7 + FRAME_MAX);
	size_t size = length;

	ck_assert_ptr_nonnull(bytes);
	if (codec != CODEC_STORED)
		size = pack(codec, bytes + 7, in, length);
	if (codec == CODEC_STORED || size >= length) {
		codec = CODEC_STORED;
		size = length;
		memcpy(bytes + 7, in, length);
	}
	put3(bytes, size);
	bytes[3] = sequence;
	put3(bytes + 4, codec == CODEC_STORED ? 0 : length);
	recording_add(r, side, bytes, 7 + size, 1000 * (r->piece_count + 1));
	free(bytes);
}

/* A recording in frames, one a piece; without a greeting the client's word. */
static struct recording framed(const char *name, enum codec codec,
			       bool greeting)
{
	struct recording plain, r = { .piece_count = 0 };
	char path[128];

	snprintf(path, sizeof(path), "tests/captures/%s.mysql", name);
	ck_assert_msg(recording_load(&plain, path), "no %s", path);
	for (size_t i = 0; i < plain.piece_count; i++) {
		const struct drive_piece *p = &plain.pieces[i];
		uint8_t *bytes = plain.bytes[p->side] + p->at;

		if (!i && !greeting)
			continue;
		if (i == 1) {
			bytes[4] |= CAPABILITY_COMPRESS;
			bytes[7] |= codec == CODEC_ZSTD ? CAPABILITY_ZSTD : 0;
		}
		if (i < LOGIN_PIECES)
			recording_add(&r, p->side, bytes, p->length,
				      1000 * (r.piece_count + 1));
		else
			frame(&r, p->side, p->side == SIDE_SERVER, codec,
			      bytes, p->length);
	}
	recording_free(&plain);
	return r;
}

static char *brief(const struct recording *r)
{
	struct drive d = { .recording = r, .parser = &mysql_parser,
			   .brief = true, .values = true };

	return drive_lines(&d);
}

static const char *const names[] = { "plain-eof", "plain-ok", "text-ok",
				     "prepared-cached" };
#define NAME_COUNT (int)(sizeof(names) / sizeof(*names))

/* With the greeting and without, in each codec. */
START_TEST(frames_give_the_same)
{
	struct recording plain;
	char path[128], *expected, *lines;

	snprintf(path, sizeof(path), "tests/captures/%s.mysql",
		 names[_i % NAME_COUNT]);
	ck_assert(recording_load(&plain, path));
	expected = brief(&plain);
	for (int codec = 0; codec < CODECS; codec++) {
		for (int greeting = 0; greeting < 2; greeting++) {
			struct recording r = framed(names[_i % NAME_COUNT],
						    (enum codec)codec,
						    greeting);

			lines = brief(&r);
			law_same(lines, expected, names[_i % NAME_COUNT],
				 (size_t)codec);
			free(lines);
			recording_free(&r);
		}
	}
	free(expected);
	recording_free(&plain);
}
END_TEST

START_TEST(frames_keep_the_laws)
{
	struct recording r = framed("plain-ok", (enum codec)(_i / 2), _i % 2);

	law_cuts(&mysql_parser, &r);
	recording_free(&r);
}
END_TEST

/* A compressed frame with a hole, whose end is lost too: it has an end. */
START_TEST(torn_twice)
{
	struct recording r = framed("plain-ok", CODEC_ZLIB, true);
	struct drive d = { .recording = &r, .parser = &mysql_parser,
			   .gap_count = 2 };

	for (size_t i = LOGIN_PIECES; i < r.piece_count; i++) {
		const struct drive_piece *p = &r.pieces[i];

		if (p->length < 16)
			continue;
		d.gaps[0] = (struct drive_gap){ p->side, p->at + 10, 1 };
		d.gaps[1] = (struct drive_gap){ p->side,
						p->at + p->length - 3, 3 };
		free(drive_lines(&d));
		ck_assert_uint_ge(d.exchanges, 1);
	}
	recording_free(&r);
}
END_TEST

/* The connection ends in the middle of a login's long answer: no leak. */
START_TEST(cut_in_the_login)
{
	struct recording whole = framed("text-ok", CODEC_ZLIB, true);
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &mysql_parser };
	/* An OK with a text of 2000 bytes, of which 100 come. */
	uint8_t answer[100] = { 0xd7, 0x07, 0, 2, 0, 0, 0, 2, 0, 0, 0 };

	for (size_t i = 0; i < LOGIN_PIECES - 1; i++) {
		const struct drive_piece *p = &whole.pieces[i];

		recording_add(&r, p->side, whole.bytes[p->side] + p->at,
			      p->length, p->ns);
	}
	recording_add(&r, SIDE_SERVER, answer, sizeof(answer), 3000);
	free(drive_lines(&d));
	ck_assert_uint_eq(d.exchanges, 1);
	recording_free(&r);
	recording_free(&whole);
}
END_TEST

/* The client asks for it and the server can't: all goes on as it was. */
START_TEST(server_that_does_not_agree)
{
	struct recording plain;
	char *expected, *lines;

	ck_assert(recording_load(&plain, "tests/captures/plain-ok.mysql"));
	expected = brief(&plain);
	/* The low capabilities stand behind version, thread and scramble. */
	plain.bytes[SIDE_SERVER][5 + strlen((char *)plain.bytes[SIDE_SERVER] +
					    5) + 1 + 4 + 8 + 1] &=
		(uint8_t)~CAPABILITY_COMPRESS;
	plain.bytes[SIDE_CLIENT][4] |= CAPABILITY_COMPRESS;
	lines = brief(&plain);
	law_same(lines, expected, "with a greeting", 0);
	free(lines);
	plain.pieces[0].length = 0;
	plain.pieces[0].at = 0;
	lines = brief(&plain);
	law_same(lines, expected, "answered", 0);
	free(lines);
	free(expected);
	recording_free(&plain);
}
END_TEST

/* A damaged byte in a frame's body: what was asked is still told. */
START_TEST(damaged_frame)
{
	struct recording r = framed("plain-ok", CODEC_ZLIB, true);
	struct drive d = { .recording = &r, .parser = &mysql_parser };
	size_t at = 0;

	/* The server's piece that is the longest frame. */
	for (size_t i = LOGIN_PIECES, most = 0; i < r.piece_count; i++) {
		if (r.pieces[i].side == SIDE_SERVER &&
		    r.pieces[i].length > most) {
			most = r.pieces[i].length;
			at = r.pieces[i].at;
		}
	}
	drive_run(&d);
	ck_assert_uint_eq(d.incomplete, 0);
	for (size_t i = 9; i < 40; i++) {
		size_t all = d.exchanges;

		r.bytes[SIDE_SERVER][at + i] ^= 0xff;
		drive_run(&d);
		r.bytes[SIDE_SERVER][at + i] ^= 0xff;
		ck_assert_uint_eq(d.exchanges, all);
	}
	recording_free(&r);
}
END_TEST

#define HEAD_LENGTH 5

/* A packet of `length` equal bytes behind its head. */
static uint8_t *long_packet(uint8_t sequence, const char *head, size_t length)
{
	uint8_t *bytes = malloc(4 + length);

	ck_assert_ptr_nonnull(bytes);
	memset(bytes + 4, 'x', length);
	put3(bytes, length);
	bytes[3] = sequence;
	memcpy(bytes + 4, head, HEAD_LENGTH);
	return bytes;
}

/* What expands a thousandfold is read, and a frame may lie in many pieces. */
START_TEST(frames_that_expand)
{
	static const uint8_t count[] = "\1\0\0\1\1"
		"\x1a\0\0\2\3def\0\1t\1t\1a\1a\x0c\x3f\0\1\0\0\0\xfc\0\0\0\0\0"
		"\5\0\0\3\xfe\0\0\2\0";
	static const uint8_t end[] = "\5\0\0\5\xfe\0\0\2\0";
	const size_t length = 150000;
	struct recording r = framed("plain-eof", CODEC_ZSTD, true);
	/* A length of 150,000 - 4, behind the byte that says three follow. */
	uint8_t *row = long_packet(4, "\xfd\xec\x49\2x", length);
	struct drive d = { .recording = &r, .parser = &mysql_parser,
			   .brief = true };
	char *lines;

	frame(&r, SIDE_CLIENT, 0, CODEC_STORED,
	      (const uint8_t *)"\x10\0\0\0\3SELECT a FROM t", 20);
	frame(&r, SIDE_SERVER, 1, CODEC_ZLIB, count, sizeof(count) - 1);
	frame(&r, SIDE_SERVER, 2, CODEC_ZLIB, row, 4 + length);
	frame(&r, SIDE_SERVER, 3, CODEC_ZLIB, end, sizeof(end) - 1);
	lines = drive_lines(&d);
	ck_assert_ptr_nonnull(strstr(lines, "SELECT status=0 rows=1 affected=-1"
					    " results=1 namespace=\"shop\" "
					    "targets:1 =\"t\" columns:1 "
					    "=\"t.a\""));
	ck_assert_uint_eq(d.incomplete, 0);
	free(lines);
	free(row);
	recording_free(&r);
}
END_TEST

/* A statement in several frames: the answer goes on in their count. */
START_TEST(statement_in_several_frames)
{
	static const uint8_t ok[] = "\7\0\0\3\0\1\0\2\0\0\0";
	struct recording r = framed("plain-ok", CODEC_ZLIB, true);
	const size_t length = 40000;
	uint8_t *insert = long_packet(0, "\3INSE", length);
	struct drive d = { .recording = &r, .parser = &mysql_parser,
			   .brief = true };
	char *lines;

	memcpy(insert + 4, "\3INSERT INTO t VALUES ('", 24);
	memcpy(insert + 4 + length - 2, "')", 2);
	frame(&r, SIDE_CLIENT, 0, CODEC_ZLIB, insert, 16384);
	frame(&r, SIDE_CLIENT, 1, CODEC_STORED, insert + 16384, 16384);
	frame(&r, SIDE_CLIENT, 2, CODEC_ZLIB, insert + 32768,
	      4 + length - 32768);
	frame(&r, SIDE_SERVER, 3, CODEC_STORED, ok, sizeof(ok) - 1);
	lines = drive_lines(&d);
	ck_assert_ptr_nonnull(strstr(lines,
				     "INSERT status=0 rows=-1 affected=1"));
	ck_assert_uint_eq(d.incomplete, 0);
	free(lines);
	free(insert);
	recording_free(&r);
}
END_TEST

/* The X protocol. */

#define X_GET	"\1\0\0\0\1"
#define X_HELLO "\5\0\0\0\x0b\x08\5\x1a\0"
#define X_CAPS	"\4\0\0\0\2\x0a\1x"
#define X_AUTH	"\x0c\0\0\0\4\x0a\7MYSQL41\x12\0"

static enum verdict probe_x(const char *client, size_t client_length,
			    const char *server, size_t server_length,
			    bool *client_out)
{
	struct opening opening = {
		.out = { .bytes = (const uint8_t *)client,
			 .length = client_length },
		.in = { .bytes = (const uint8_t *)server,
			.length = server_length },
		.from_start = true,
	};

	return mysql_x_parser.probe(&opening, client_out);
}

#define PROBE_X(client, server, out) \
	probe_x(client, sizeof(client) - 1, server, sizeof(server) - 1, out)

START_TEST(x_protocol_is_recognised)
{
	bool out = false;

	ck_assert_int_eq(PROBE_X(X_GET, X_CAPS, &out), PROBE_YES);
	ck_assert(out);
	ck_assert_int_eq(PROBE_X(X_GET, X_HELLO X_CAPS, &out), PROBE_YES);
	ck_assert_int_eq(PROBE_X(X_AUTH, X_HELLO, &out), PROBE_YES);
	ck_assert_int_eq(PROBE_X(X_HELLO, X_GET, &out), PROBE_YES);
	ck_assert(!out);
	/* A COM_QUIT alone, an answer of MySQL's, other protocols. */
	ck_assert_int_eq(PROBE_X(X_GET, "", &out), PROBE_MORE);
	ck_assert_int_eq(PROBE_X(X_GET, "\7\0\0\1\0\0\0\2\0\0\0", &out),
			 PROBE_NO);
	ck_assert_int_eq(PROBE_X("GET / HTTP/1.1\r\n", "HTTP/1.1", &out),
			 PROBE_NO);
	ck_assert_int_eq(PROBE_X("*1\r\n$4\r\nPING\r\n", "+PONG\r\n", &out),
			 PROBE_NO);
}
END_TEST

START_TEST(x_protocol_is_told_once)
{
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &mysql_x_parser,
			   .brief = true };
	char *lines;

	recording_add(&r, SIDE_SERVER, X_HELLO, sizeof(X_HELLO) - 1, 1000);
	recording_add(&r, SIDE_CLIENT, X_AUTH, sizeof(X_AUTH) - 1, 2000);
	recording_add(&r, SIDE_SERVER, X_CAPS, sizeof(X_CAPS) - 1, 3000);
	recording_add(&r, SIDE_CLIENT, X_GET, sizeof(X_GET) - 1, 4000);
	for (d.cut = 0; d.cut < 5; d.cut++) {
		lines = drive_lines(&d);
		ck_assert_str_eq(lines, "SESS_AUTHENTICATE_START status=-1 "
					"rows=-1 affected=-1 results=1\n");
		free(lines);
	}
	law_cuts(&mysql_x_parser, &r);
	recording_free(&r);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("mysql_compress");
	TCase *frames = tcase_create("frames");
	TCase *x = tcase_create("x");

	tcase_set_timeout(frames, 200);
	tcase_add_loop_test(frames, frames_give_the_same, 0, NAME_COUNT);
	tcase_add_loop_test(frames, frames_keep_the_laws, 0, 2 * CODECS);
	tcase_add_test(frames, torn_twice);
	tcase_add_test(frames, cut_in_the_login);
	tcase_add_test(frames, server_that_does_not_agree);
	tcase_add_test(frames, damaged_frame);
	tcase_add_test(frames, frames_that_expand);
	tcase_add_test(frames, statement_in_several_frames);
	suite_add_tcase(s, frames);
	tcase_add_test(x, x_protocol_is_recognised);
	tcase_add_test(x, x_protocol_is_told_once);
	suite_add_tcase(s, x);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
