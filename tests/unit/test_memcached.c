/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_memcached.c - memcached's protocols on recorded and on written
 * conversations.
 *
 * Recordings: tests/captures/memcached (see README there).
 */
#define _GNU_SOURCE
#include "tests/unit/recorded.h"

/* The first five have known commands, none quiet that nothing tells apart. */
static const char *const captures[] = {
	"text", "pipeline", "large", "password", "binary", "errors", "meta",
};

static const struct recorded recordings = {
	.parser = &memcached_parser,
	.folder = "tests/captures/memcached",
	.ending = "memcached",
	.names = captures,
	.count = COUNT(captures),
	.ordered = COUNT(captures),
	.cut = COUNT(captures),
	.truncated = 5,
	.torn = 5,
	.gaps = { 1, 2, 9, 30 },
	.forgot = " namespace=\"",
};

START_TEST(secrets_stay_inside)
{
	static const char *const names[] = { "password", "binary" };
	char *lines = recorded_lines(names[_i]);

	ck_assert_ptr_nonnull(strstr(lines, "get "));
	ck_assert_ptr_null(strstr(lines, "hunter2"));
	free(lines);
}
END_TEST

/* What was sent, what came, parts of the lines. */
static const struct exchange_case {
	const char *client, *server, *expected[3];
} cases[] = {
	{ "get a\r\n", "SERVER_ERROR out of memory\r\n",
	  { "failed status-name=\"SERVER_ERROR\"" } },
	{ "get a b\r\n", "VALUE b 0 3\r\nx\r\n\r\nEND\r\n",
	  { " rows=1 ", "read_bytes=3" } },
	{ "set a 0 0 5\r\nEND\r\n\r\n", "STORED\r\n",
	  { "value.length=5 memcached.value=\"END\\x0d\\x0a\"" } },
	{ "stats\r\n", "STAT pid 1\r\nSTAT uptime 2\r\nEND\r\n",
	  { "stats ", " rows=2 " } },
	{ "brand_new thing\r\n", "ERROR\r\n",
	  { "brand_new ", "failed status-name=\"ERROR\"" } },
	{ "decr n 1\r\n", "9 \r\n", { "response=\"9\"" } },
	{ "mg a q v\r\nmg b v\r\n", "VA 1 \r\nx\r\n",
	  { "mg " } },
};

START_TEST(written_conversations)
{
	const struct exchange_case *c = &cases[_i];
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &memcached_parser };
	char *lines;

	recording_add(&r, SIDE_CLIENT, c->client, strlen(c->client), 1000);
	recording_add(&r, SIDE_SERVER, c->server, strlen(c->server), 2000);
	lines = drive_lines(&d);
	for (int i = 0; i < 3 && c->expected[i]; i++)
		ck_assert_msg(strstr(lines, c->expected[i]), "%s\nin: %s",
			      c->expected[i], lines);
	law_cuts(&memcached_parser, &r);
	free(lines);
	recording_free(&r);
}
END_TEST

/* A value that claims more than any item may have is no value. */
START_TEST(lengths_are_bounded)
{
	static const char *const commands[] = {
		"set a 0 0 99999999999\r\n", "ms a 18446744073709551615\r\n",
	};
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &memcached_parser };
	char *lines;

	recording_add(&r, SIDE_CLIENT, commands[_i], strlen(commands[_i]),
		      1000);
	recording_add(&r, SIDE_SERVER, "CLIENT_ERROR bad data chunk\r\n", 29,
		      2000);
	recording_add(&r, SIDE_CLIENT, "get b\r\n", 7, 3000);
	recording_add(&r, SIDE_SERVER, "END\r\n", 5, 4000);
	lines = drive_lines(&d);
	ck_assert_uint_eq(d.exchanges, 2);
	ck_assert_uint_eq(d.incomplete, 0);
	free(lines);
	recording_free(&r);
}
END_TEST

static enum verdict probe(const char *in, const char *out, bool *client_out)
{
	struct opening opening = {
		.in = { .bytes = (const uint8_t *)in, .length = strlen(in) },
		.out = { .bytes = (const uint8_t *)out,
			 .length = strlen(out) },
		.from_start = true,
	};

	return memcached_parser.probe(&opening, client_out);
}

START_TEST(detection_is_by_content)
{
	bool client_out = false;

	ck_assert_int_eq(probe("END\r\n", "get key\r\n", &client_out),
			 PROBE_YES);
	ck_assert(client_out);
	ck_assert_int_eq(probe("set k 0 0 1\r\nx\r\n", "STORED\r\n",
			       &client_out), PROBE_YES);
	ck_assert(!client_out);
	ck_assert_int_eq(probe("", "get key\r\n", &client_out), PROBE_MORE);
	ck_assert_int_eq(probe("$1\r\nx\r\n", "get key\r\n", &client_out),
			 PROBE_NO);
	ck_assert_int_eq(probe("+OK\r\n", "set k v\r\n", &client_out),
			 PROBE_NO);
	ck_assert_int_eq(probe("HTTP/1.0 400 Bad\r\n", "get / http\r\n",
			       &client_out), PROBE_NO);
	ck_assert_int_eq(probe("", "*1\r\n$4\r\nPING\r\n", &client_out),
			 PROBE_NO);
	ck_assert_int_eq(probe("221 bye\r\n", "quit\r\n", &client_out),
			 PROBE_NO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memcached");
	TCase *tc = tcase_create("memcached");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, secrets_stay_inside, 0, 2);
	tcase_add_loop_test(tc, written_conversations, 0, COUNT(cases));
	tcase_add_loop_test(tc, lengths_are_bounded, 0, 2);
	tcase_add_test(tc, detection_is_by_content);
	suite_add_tcase(suite, recorded_tests(&recordings));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
