/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_redis.c - the RESP parser on recorded and on written conversations.
 *
 * Recordings: tests/captures/redis (see README there).
 */
#define _GNU_SOURCE
#include "tests/unit/recorded.h"

/* What one exchange leaves to the next is nothing, or its database, in five. */
static const char *const captures[] = {
	"blocking", "large", "pipeline", "plain", "secrets", "monitor",
	"pubsub", "replica", "resp3", "silent", "transaction",
};

static const struct recorded recordings = {
	.parser = &redis_parser,
	.folder = "tests/captures/redis",
	.ending = "redis",
	.names = captures,
	.count = COUNT(captures),
	.ordered = COUNT(captures),
	.cut = COUNT(captures),
	.truncated = 5,
	.torn = 5,
	.gaps = { 1, 2, 9, 30 },
	.forgot = " namespace=\"",
};

/* No password of any recording is in what a parser says. */
START_TEST(secrets_stay_inside)
{
	char *lines = recorded_lines("secrets");

	for (int i = 2; i <= 4; i++) {
		char secret[16];

		snprintf(secret, sizeof(secret), "hunter%u", (unsigned)i % 10);
		ck_assert_msg(!strstr(lines, secret), "%s", lines);
	}
	ck_assert_ptr_null(strstr(lines, "wrong-secret"));
	/* What the server answers of passwords: a SHA-256 of one. */
	ck_assert_ptr_null(strstr(lines, "passwords"));
	free(lines);
}
END_TEST

/* Written conversations: what was sent, what came, a part of the line. */
static const struct exchange_case {
	const char *client, *server, *expected[4];
} cases[] = {
	{ "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "-MOVED 3999 10.0.0.2:6381\r\n",
	  { "failed status-name=\"MOVED\"", " redis.redirect.slot=3999",
	    " redis.redirect.address=\"10.0.0.2:6381\"" } },
	{ "*2\r\n$3\r\nget\r\n$1\r\na\r\n", "-ASK 7 h:1\r\n",
	  { "GET ", " redis.redirect.slot=7" } },
	/* RESP3, as its specification has them */
	{ "*1\r\n$4\r\nKEYS\r\n",
	  "|1\r\n+ttl\r\n:3600\r\n*2\r\n$1\r\na\r\n|1\r\n+x\r\n+y\r\n:5\r\n",
	  { " rows=2 ", " redis.reply=\"[\\x22a\\x22, 5]\"" } },
	{ "*1\r\n$4\r\nKEYS\r\n", "*?\r\n:1\r\n*?\r\n.\r\n:3\r\n.\r\n",
	  { " rows=3 ", " redis.reply=\"[1, [], 3]\"" } },
	{ "*1\r\n$4\r\nKEYS\r\n", "$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n",
	  { " redis.reply.type=\"bulk\" redis.reply.length=5",
	    " redis.reply=\"Hello\"" } },
	{ "*1\r\n$4\r\nKEYS\r\n", "%2\r\n+a\r\n#t\r\n:1\r\n,1.5\r\n",
	  { " rows=2 ", " redis.reply=\"{\\x22a\\x22: true, "
	    "\\x221\\x22: 1.5}\"" } },
	{ "*1\r\n$4\r\nKEYS\r\n", "~3\r\n_\r\n(123456789012345678901\r\n"
	  "=7\r\ntxt:abc\r\n",
	  { " rows=3 ", " redis.reply=\"[null, 123456789012345678901, "
	    "\\x22abc\\x22]\"" } },
	{ "*1\r\n$4\r\nKEYS\r\n", "!10\r\nSYNTAX bad\r\n",
	  { "failed status-name=\"SYNTAX\" message=\"SYNTAX bad\"" } },
	{ "*1\r\n$4\r\nKEYS\r\n", "*-1\r\n", { " rows=0 ", "\"null\"" } },
	{ "*1\r\n$4\r\nKEYS\r\n", "*0\r\n", { " rows=0 ", "\"array\"" } },
	/* a push in front of what was asked for */
	{ "*1\r\n$4\r\nPING\r\n", ">2\r\n+pong\r\n$1\r\nx\r\n+PONG\r\n",
	  { "PUSH ", "redis.push.kind=\"pong\"", "redis.reply=\"PONG\"" } },
	/* where commands have their keys */
	{ "*5\r\n$4\r\nEVAL\r\n$1\r\ns\r\n$1\r\n1\r\n$3\r\nkey\r\n"
	  "$3\r\narg\r\n",
	  ":1\r\n", { "targets:1 =\"key\"", "masked=\"EVAL ? ? key ?\"" } },
	{ "*7\r\n$5\r\nXREAD\r\n$5\r\nBLOCK\r\n$1\r\n0\r\n$7\r\nSTREAMS\r\n"
	  "$2\r\ns1\r\n$2\r\ns2\r\n$1\r\n0\r\n", "*-1\r\n",
	  { "targets:1 =\"s1\"" } },
	{ "*5\r\n$4\r\nSORT\r\n$1\r\na\r\n$5\r\nALPHA\r\n$5\r\nSTORE\r\n"
	  "$1\r\nb\r\n", ":1\r\n", { "targets:2 =\"a\" =\"b\"" } },
	{ "*4\r\n$5\r\nBITOP\r\n$3\r\nAND\r\n$1\r\nd\r\n$1\r\ns\r\n", ":1\r\n",
	  { "targets:2 =\"d\" =\"s\"" } },
	/* passwords, wherever they are */
	{ "*2\r\n$6\r\nXXAUTH\r\n$6\r\nsecret\r\n", "-ERR unknown\r\n",
	  { "statement=\"XXAUTH ?\"" } },
	{ "AUTH secret\r\n", "+OK\r\n",
	  { "statement=\"AUTH ?\"", " redis.inline=1" } },
	{ "*7\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$4\r\nport\r\n$1\r\n1\r\n"
	  "$10\r\nmasterauth\r\n$6\r\nsecret\r\n$1\r\nx\r\n", "+OK\r\n",
	  { "statement=\"CONFIG SET port 1 masterauth ? x\"" } },
	/* inline commands take quotes as the server does */
	{ "SET \"a b\" 'c\\'d'\r\n", "+OK\r\n",
	  { "targets:1 =\"a b\"", "parameters:2 =\"a b\" =\"c'd\"" } },
	{ "set a \"\\x41\\n\"\n", "+OK\r\n", { "SET ", "=\"A\\x0a\"" } },
};

START_TEST(written_conversations)
{
	const struct exchange_case *c = &cases[_i];
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &redis_parser };
	char *lines;

	recording_add(&r, SIDE_CLIENT, c->client, strlen(c->client), 1000);
	recording_add(&r, SIDE_SERVER, c->server, strlen(c->server), 2000);
	lines = drive_lines(&d);
	for (int i = 0; i < 4 && c->expected[i]; i++)
		ck_assert_msg(strstr(lines, c->expected[i]), "%s\nin: %s",
			      c->expected[i], lines);
	ck_assert_ptr_null(strstr(lines, "secret"));
	law_cuts(&redis_parser, &r);
	free(lines);
	recording_free(&r);
}
END_TEST

/* A value of any length is skipped in step, whatever is lost of it. */
START_TEST(a_gap_inside_a_value_costs_nothing_else)
{
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &redis_parser };
	static const char get[] = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
	char *value = malloc(200002), *lines;

	ck_assert_ptr_nonnull(value);
	memset(value, 'x', 200000);
	memcpy(value + 200000, "\r\n", 2);
	for (int i = 0; i < 2; i++)
		recording_add(&r, SIDE_CLIENT, get, strlen(get), 1000);
	recording_add(&r, SIDE_SERVER, "$200000\r\n", 9, 2000);
	recording_add(&r, SIDE_SERVER, value, 200002, 3000);
	recording_add(&r, SIDE_SERVER, "$1\r\ny\r\n", 7, 4000);
	d.gaps[d.gap_count++] = (struct drive_gap){ SIDE_SERVER, 100, 150000 };
	d.brief = true;
	lines = drive_lines(&d);
	ck_assert_uint_eq(d.exchanges, 2);
	ck_assert_uint_eq(d.incomplete, 1);
	ck_assert_ptr_nonnull(strstr(lines, "redis.reply.length=200000"));
	ck_assert_ptr_nonnull(strstr(lines, "missed=150000\n"));
	ck_assert_ptr_nonnull(strstr(lines, "redis.reply=\"y\""));
	free(lines);
	free(value);
	recording_free(&r);
}
END_TEST

/* More commands than are kept are waited with, or given up, never all kept. */
START_TEST(unanswered_commands_are_bounded)
{
	static const char ping[] = "*1\r\n$4\r\nPING\r\n";
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &redis_parser,
			   .client_first = true };
	char *lines, *many = malloc(10000 * strlen(ping));

	ck_assert_ptr_nonnull(many);
	for (size_t i = 0; i < 10000; i++)
		memcpy(many + i * strlen(ping), ping, strlen(ping));
	recording_add(&r, SIDE_CLIENT, many, 10000 * strlen(ping), 1000);
	for (size_t i = 0; i < 10000; i++)
		memcpy(many + i * 7, "+PONG\r\n", 7);
	recording_add(&r, SIDE_SERVER, many, 70000, 2000);
	free(many);
	lines = drive_lines(&d);
	ck_assert_uint_eq(d.exchanges, 10000);
	ck_assert_uint_eq(d.incomplete, 0);
	free(lines);
	recording_free(&r);
}
END_TEST

static enum verdict probe(const char *in, const char *out, bool *client_out)
{
	struct mark early = { .first_ns = 1000, .last_ns = 1000 };
	struct mark late = { .first_ns = 2000, .last_ns = 2000 };
	struct opening opening = { .from_start = true };

	early.end = strlen(out);
	late.end = strlen(in);
	opening.in = (struct window){ .bytes = (const uint8_t *)in,
				      .length = strlen(in), .marks = &late,
				      .mark_count = 1 };
	opening.out = (struct window){ .bytes = (const uint8_t *)out,
				       .length = strlen(out), .marks = &early,
				       .mark_count = 1 };
	return redis_parser.probe(&opening, client_out);
}

START_TEST(detection_is_by_content)
{
	bool client_out = false;

	ck_assert_int_eq(probe("", "*1\r\n$4\r\nPING\r\n", &client_out),
			 PROBE_YES);
	ck_assert(client_out);
	ck_assert_int_eq(probe("*1\r\n$4\r\nPING\r\n", "", &client_out),
			 PROBE_YES);
	ck_assert(!client_out);
	ck_assert_int_eq(probe("", "*1\r\n$4\r\nPI", &client_out), PROBE_MORE);
	ck_assert_int_eq(probe("", "*1\r\n$400\r\nPING\r\n", &client_out),
			 PROBE_NO);
	/* An inline command may be of others: the answer tells. */
	ck_assert_int_eq(probe("", "get key\r\n", &client_out), PROBE_MORE);
	ck_assert_int_eq(probe("END\r\n", "get key\r\n", &client_out),
			 PROBE_NO);
	ck_assert_int_eq(probe("VALUE key 0 1\r\na\r\nEND\r\n", "get key\r\n",
			       &client_out), PROBE_NO);
	ck_assert_int_eq(probe("$1\r\na\r\n", "get key\r\n", &client_out),
			 PROBE_YES);
	ck_assert_int_eq(probe("HTTP/1.1 200 OK\r\n", "GET / HTTP/1.1\r\n",
			       &client_out), PROBE_NO);
	/* A module's command, and a subscription's message. */
	ck_assert_int_eq(probe("+OK\r\n", "*1\r\n$6\r\nMY.CMD\r\n",
			       &client_out), PROBE_YES);
	ck_assert_int_eq(probe("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n",
			       "", &client_out), PROBE_MORE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("redis");
	TCase *tc = tcase_create("redis");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, written_conversations, 0, COUNT(cases));
	tcase_add_test(tc, secrets_stay_inside);
	tcase_add_test(tc, a_gap_inside_a_value_costs_nothing_else);
	tcase_add_test(tc, unanswered_commands_are_bounded);
	tcase_add_test(tc, detection_is_by_content);
	suite_add_tcase(suite, recorded_tests(&recordings));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
