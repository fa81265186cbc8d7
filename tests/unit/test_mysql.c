/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mysql.c - the MySQL parser on recorded and on written conversations.
 *
 * Recordings: tests/captures (see README there).
 */
#define _GNU_SOURCE
#include "tests/unit/recorded.h"

/*
 * What one exchange leaves to the next is nothing in the first four, and two
 * of these are compressed.
 */
static const char *const captures[] = {
	"plain-eof", "plain-ok", "compressed-eof", "compressed-ok", "binlog",
	"change-user", "cli", "cli-compressed", "ed25519", "load",
	"pipelined-eof", "pipelined-ok", "prepared-cached", "prepared-eof",
	"prepared-ok", "text-eof", "text-ok",
};

static const struct recorded recordings = {
	.parser = &mysql_parser,
	.folder = "tests/captures",
	.ending = "mysql",
	.names = captures,
	.count = COUNT(captures),
	.ordered = COUNT(captures),
	.cut = COUNT(captures),
	.truncated = COUNT(captures),
	.torn = 4,
	.gaps = { 1, 9, 200 },
	.doubts = true,
	.forgot = " namespace=\"",
};

START_TEST(gap_is_marked)
{
	struct recording r = recorded_load(captures[_i]);

	law_marked(&mysql_parser, &r, _i < 2);
	recording_free(&r);
}
END_TEST

/* Written conversations. */

static uint64_t now_ns;

static void packet(struct recording *r, enum side side, uint8_t sequence,
		   const void *payload, size_t length)
{
	uint8_t *bytes = malloc(length + 4);

	ck_assert_ptr_nonnull(bytes);
	bytes[0] = (uint8_t)length;
	bytes[1] = (uint8_t)(length >> 8);
	bytes[2] = (uint8_t)(length >> 16);
	bytes[3] = sequence;
	if (length)
		memcpy(bytes + 4, payload, length);
	now_ns += 1000;
	recording_add(r, side, bytes, length + 4, now_ns);
	free(bytes);
}

#define PACKET(r, side, sequence, literal) \
	packet(r, side, sequence, literal, sizeof(literal) - 1)
#define COMMAND(r, literal) PACKET(r, SIDE_CLIENT, 0, literal)
#define REPLY(r, sequence, literal) PACKET(r, SIDE_SERVER, sequence, literal)
#define OK "\0\0\0\2\0\0\0"

static struct recording fresh(void)
{
	now_ns = 0;
	return (struct recording){ .piece_count = 0 };
}

static char *finish(struct recording *r)
{
	struct drive d = { .recording = r, .parser = &mysql_parser,
			   .brief = true, .values = true };
	char *lines = drive_lines(&d);

	recording_free(r);
	return lines;
}

static void assert_lines(struct recording *r, const char *expected)
{
	char *lines = finish(r);

	ck_assert_str_eq(lines, expected);
	free(lines);
}

static void definition(struct recording *r, uint8_t sequence, const char *name,
		       uint8_t type)
{
	uint8_t bytes[128], *at = bytes;
	size_t length = strlen(name);

	at = mempcpy(at, "\3def\0\0\0", 7);
	*at++ = (uint8_t)length;
	at = mempcpy(at, name, length);
	at = mempcpy(at, "\0\x0c\x3f\0\1\0\0\0", 8);
	*at++ = type;
	at = mempcpy(at, "\0\0\0\0\0", 5);
	packet(r, SIDE_SERVER, sequence, bytes, (size_t)(at - bytes));
}

START_TEST(query_attributes_are_stepped_over)
{
	struct recording r = fresh();

	COMMAND(&r, "\3\1\1\0\1\xfd\0\2id\3abcSELECT 1 FROM t");
	REPLY(&r, 1, OK);
	COMMAND(&r, "\3\0\1SELECT 2 FROM u");
	REPLY(&r, 1, OK);
	assert_lines(&r,
		"SELECT status=0 rows=-1 affected=0 results=1 targets:1 =\"t\" "
		"statement=\"SELECT 1 FROM t\" masked=\"SELECT ? FROM t\" "
		"mysql.query_attributes=\"id=abc\"(value)\n"
		"SELECT status=0 rows=-1 affected=0 results=1 targets:1 =\"u\" "
		"statement=\"SELECT 2 FROM u\" masked=\"SELECT ? FROM u\"\n");
}
END_TEST

START_TEST(error_nobody_asked_for)
{
	struct recording r = fresh();

	COMMAND(&r, "\x0e");
	REPLY(&r, 1, OK);
	COMMAND(&r, "\3SELECT 1");
	REPLY(&r, 0, "\xff\xbf\x0f#HY000The client was disconnected");
	assert_lines(&r,
		"COM_PING status=0 rows=-1 affected=-1 results=1\n"
		"SELECT status=4031 failed sqlstate=\"HY000\" "
		"message=\"The client was disconnected\" rows=-1 affected=-1 "
		"results=1 statement=\"SELECT 1\" masked=\"SELECT ?\"\n");
}
END_TEST

START_TEST(progress_is_no_error)
{
	struct recording r = fresh();

	COMMAND(&r, "\x0e");
	REPLY(&r, 1, OK);
	COMMAND(&r, "\3ALTER TABLE t FORCE");
	REPLY(&r, 1, "\xff\xff\xff\1\1\2\0\0\0\5stage");
	REPLY(&r, 2, OK);
	assert_lines(&r,
		"COM_PING status=0 rows=-1 affected=-1 results=1\n"
		"ALTER status=0 rows=-1 affected=0 results=1 targets:1 =\"t\" "
		"statement=\"ALTER TABLE t FORCE\" "
		"masked=\"ALTER TABLE t FORCE\"\n");
}
END_TEST

START_TEST(unknown_statement_is_said)
{
	struct recording r = fresh();

	COMMAND(&r, "\x17\x09\0\0\0\0\1\0\0\0");
	REPLY(&r, 1, "\1");
	definition(&r, 2, "n", 8);
	REPLY(&r, 3, "\xfe\0\0\2\0");
	REPLY(&r, 4, "\0\0\7\0\0\0\0\0\0\0");
	REPLY(&r, 5, "\xfe\0\0\2\0");
	assert_lines(&r,
		"\tvalue 0 =\"7\"\n"
		"COM_STMT_EXECUTE status=0 rows=1 affected=-1 results=1 "
		"columns:1 =\"?\" mysql.statement_id=9 "
		"unknown-statement\n");
}
END_TEST

START_TEST(commands_without_a_name)
{
	struct recording r = fresh();

	COMMAND(&r, "\x0e");
	REPLY(&r, 1, OK);
	COMMAND(&r, "\x2f");
	REPLY(&r, 1, OK);
	assert_lines(&r, "COM_PING status=0 rows=-1 affected=-1 results=1\n"
			 "COM_\?\?\? (0x2f) status=0 rows=-1 affected=-1 "
			 "results=1\n");
}
END_TEST

/* MySQL's own way to leave the definitions out: the flag comes first. */
START_TEST(definitions_left_out_by_mysql)
{
	struct recording r = fresh();

	COMMAND(&r, "\3SELECT 1, 2");
	REPLY(&r, 1, "\0\2");
	REPLY(&r, 2, "\1x\1y");
	REPLY(&r, 3, "\xfe\0\0\2\0\0\0");
	assert_lines(&r,
		"SELECT status=0 rows=1 affected=-1 results=1 "
		"statement=\"SELECT 1, 2\" masked=\"SELECT ?, ?\"\n");
}
END_TEST

/* What MariaDB names a column without origin, and what of it is shown. */
static const struct {
	const char *statement, *name, *shown;
} aliases[] = {
	{ "SELECT 'ada@example.org'", "ada@example.org", "?" },
	{ "SELECT PASSWORD('pass')", "PASSWORD('pass')", "PASSWORD(?)" },
	{ "SELECT 'it''s Zanzibar'", "it's Zanzibar", "?" },
	{ "SELECT \"Zanzibar \\\" Zanzibar\"", "Zanzibar \" Zanzibar", "?" },
	{ "SELECT \"two \"\" quotes\"", "two \" quotes", "?" },
	{ "SELECT 'tab\\tZanzibar'", "tab\tZanzibar", "?" },
	{ "SELECT 'Zan' 'zibar'", "Zan", "?" },
	{ "SELECT 'Zan'\n'zibar'", "Zanzibar", "?" },
	{ "SELECT _utf8'Zanzibar'", "Zanzibar", "?" },
	{ "SELECT N'Zanzibar'", "Zanzibar", "?" },
	{ "SELECT x'5a61'", "x'5a61'", "?" },
	{ "SELECT 0x77317731", "0x77317731", "?" },
	{ "SELECT 77317731", "77317731", "?" },
	{ "SELECT -77.5e1", "-77.5e1", "?" },
	{ "SELECT '  Zanzibar'", "Zanzibar", "?" },
	{ "SELECT 'COUNT(Zanzibar)'", "COUNT(Zanzibar)", "?" },
	{ "SELECT 'id Zanzibar', id FROM t", "id Zanzibar", "?" },
	{ "SELECT 'cust', customer FROM t", "cust", "?" },
	{ "SELECT 'omer', customer FROM t", "omer", "?" },
	{ "SELECT 1 /* Zanzibar */", "Zanzibar", "?" },
	{ "SELECT 1 AS 'Zanzibar'", "Zanzibar", "?" },
	{ "SELECT CONCAT('Zanzibar', name) FROM t", "CONCAT('Zanzibar', name)",
	  "CONCAT(?, name)" },
	{ "SELECT CONCAT('Zanzibar', name) FROM t", "CONCAT('Zanz",
	  "CONCAT(?" },
	{ "SELECT CONCAT(name, surname) FROM t", "CONCAT(name, sur", "?" },
	{ "SELECT IF(a = 'it''s', \"b\\\"\", 7) FROM t",
	  "IF(a = 'it''s', \"b\\\"\", 7)", "IF(a = ?, ?, ?)" },
	{ "SELECT COUNT(*) FROM t", "COUNT(*)", "COUNT(*)" },
	{ "SELECT total FROM (SELECT 5 AS total) d", "total", "total" },
	{ "SELECT 5 AS `the total`", "the total", "the total" },
	{ "SELECT @a:='Zanzibar'", "@a:='Zanzibar'", "@a:=?" },
	{ "CALL two()", "Zanzibar", "?" },
	{ "SELECT @@version", "@@version", "@@version" },
};

/* Nothing of a literal that has the name of its column is shown. */
START_TEST(column_names_hold_no_literal)
{
	struct recording r = fresh();
	char command[256], expected[256], *lines;

	snprintf(command, sizeof(command), "\3%s", aliases[_i].statement);
	packet(&r, SIDE_CLIENT, 0, command, strlen(command));
	REPLY(&r, 1, "\1");
	definition(&r, 2, aliases[_i].name, 253);
	REPLY(&r, 3, "\xfe\0\0\2\0\0\0");
	lines = finish(&r);
	snprintf(expected, sizeof(expected), "columns:1 =\"%s\" ",
		 aliases[_i].shown);
	ck_assert_msg(strstr(lines, expected) != NULL, "not %s: %s", expected,
		      lines);
	free(lines);
}
END_TEST

/* With a backslash that escapes nothing a literal ends earlier. */
START_TEST(column_names_without_backslash)
{
	struct recording r = fresh();
	char *lines;

	COMMAND(&r, "\x0e");
	REPLY(&r, 1, "\0\0\0\2\2\0\0");
	COMMAND(&r, "\3SELECT LENGTH('Zan\\'), LENGTH('zibar')");
	REPLY(&r, 1, "\2");
	definition(&r, 2, "LENGTH('Zan\\')", 3);
	definition(&r, 3, "LENGTH('zibar')", 3);
	REPLY(&r, 4, "\xfe\0\0\2\2\0\0");
	lines = finish(&r);
	ck_assert_ptr_nonnull(strstr(lines, "columns:2 =\"LENGTH(?)\" "
					    "=\"LENGTH(?)\""));
	free(lines);
}
END_TEST

/* A statement of 16 MB and a row of 32 MB, in packets, never held. */
START_TEST(packets_of_16_megabytes)
{
	const size_t most = 0xffffff;
	struct recording r = fresh();
	char *big = malloc(most), *lines;
	struct drive d = { .recording = &r, .parser = &mysql_parser,
			   .cut = 1 << 20 };

	COMMAND(&r, "\x0e");
	REPLY(&r, 1, OK);
	memset(big, 'x', most);
	memcpy(big, "\3INSERT INTO t VALUES ('", 24);
	packet(&r, SIDE_CLIENT, 0, big, most);
	PACKET(&r, SIDE_CLIENT, 1, "end')");
	REPLY(&r, 2, "\0\1\0\2\0\0\0");
	COMMAND(&r, "\3SELECT a FROM t");
	REPLY(&r, 1, "\1");
	definition(&r, 2, "a", 252);
	memset(big, 'y', most);
	memcpy(big, "\xfe\xf5\xff\xff\1\0\0\0\0", 9);
	packet(&r, SIDE_SERVER, 3, big, most);
	memset(big, 'y', 9);
	packet(&r, SIDE_SERVER, 4, big, most);
	packet(&r, SIDE_SERVER, 5, big, 0);
	REPLY(&r, 6, "\xfe\0\0\2\0\0\0");
	COMMAND(&r, "\x0e");
	REPLY(&r, 1, OK);
	free(big);
	lines = drive_lines(&d);
	ck_assert_int_eq((int)d.exchanges, 4);
	ck_assert_int_eq((int)d.incomplete, 0);
	ck_assert_ptr_nonnull(strstr(lines,
				     "INSERT status=0 rows=-1 affected=1"));
	ck_assert_ptr_nonnull(strstr(lines, " cut bytes=16777228/11"));
	ck_assert_ptr_nonnull(strstr(lines, "SELECT status=0 rows=1 "));
	free(lines);
	/* The same with a hole in the middle of the row. */
	d.gaps[0] = (struct drive_gap){ SIDE_SERVER, 5000000, 9000000 };
	d.gap_count = 1;
	lines = drive_lines(&d);
	ck_assert_int_eq((int)d.exchanges, 4);
	ck_assert_int_eq((int)d.incomplete, 1);
	ck_assert_ptr_nonnull(strstr(lines, "SELECT status=0 rows=1 "
					    "affected=-1"));
	ck_assert_ptr_nonnull(strstr(lines, "incomplete missed=9000000"));
	free(lines);
	recording_free(&r);
}
END_TEST

/* The request is lost, its answer is not: what was read is still told. */
START_TEST(answer_to_a_lost_request)
{
	struct recording r = fresh();
	struct drive d = { .recording = &r, .parser = &mysql_parser,
			   .brief = true };
	char *lines;

	COMMAND(&r, "\x0e");
	REPLY(&r, 1, OK);
	COMMAND(&r, "\3SELECT lost");
	REPLY(&r, 1, "\1");
	definition(&r, 2, "secret", 253);
	REPLY(&r, 3, "\xfe\0\0\2\0");
	REPLY(&r, 4, "\1x");
	REPLY(&r, 5, "\xfe\0\0\2\0");
	COMMAND(&r, "\x0e");
	REPLY(&r, 1, OK);
	d.gaps[0] = (struct drive_gap){ SIDE_CLIENT, 5, 16 };
	d.gap_count = 1;
	lines = drive_lines(&d);
	ck_assert_str_eq(lines,
		"COM_PING status=0 rows=-1 affected=-1 results=1\n"
		"UNKNOWN status=0 rows=1 affected=-1 results=1 columns:1 "
		"=\"?\" incomplete missed=16\n"
		"COM_PING status=0 rows=-1 affected=-1 results=1\n");
	free(lines);
	recording_free(&r);
}
END_TEST

static enum verdict probe(const void *in, size_t in_length, const void *out,
			  size_t out_length, bool *client_out);

#define LOGIN(caps)                                                         \
	caps "\0\0\0\1\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static enum outcome outcome_after(const void *request, size_t length,
				  uint8_t sequence)
{
	struct observer observer = { NULL, NULL, NULL };
	void *state = mysql_parser.open(true, &observer);
	struct recording r = fresh();
	struct window window;
	struct step step;

	packet(&r, SIDE_CLIENT, sequence, request, length);
	window = (struct window){ .bytes = r.bytes[SIDE_CLIENT],
				  .length = r.length[SIDE_CLIENT] };
	step = mysql_parser.parse(state, SIDE_CLIENT, &window);
	ck_assert_int_eq(step.outcome, PARSE_TOOK);
	window.bytes = (const uint8_t *)"\x16\3\1\2\0\1\0";
	window.length = 7;
	step = mysql_parser.parse(state, SIDE_CLIENT, &window);
	mysql_parser.close(state);
	recording_free(&r);
	return step.outcome;
}

#define GREETING                                                            \
	"\x0a" "8.0\0\1\0\0\0abcdefgh\0\xff\xff\x2d\2\0\xff\xcf\x15\0\0\0\0" \
	"\0\0\0\0\0\0abcdefghijkl\0caching_sha2_password\0"

/* An error before the client has said a word, with a greeting or without. */
START_TEST(refused_connection)
{
	static const char refusal[] = "\x0a\0\0\0\xff\x69\4Blocked";
	struct recording r = fresh();
	bool out = false;

	REPLY(&r, 0, "\xff\x69\4Host is blocked");
	assert_lines(&r, "CONNECT status=1129 failed message=\"Host is "
			 "blocked\" rows=-1 affected=-1 results=1\n");
	r = fresh();
	REPLY(&r, 0, GREETING);
	REPLY(&r, 1, "\xff\x10\4#08004Too many connections");
	assert_lines(&r, "CONNECT status=1040 failed sqlstate=\"08004\" "
			 "message=\"Too many connections\" rows=-1 "
			 "affected=-1 results=1\n");
	ck_assert_int_eq(probe(refusal, sizeof(refusal) - 1, NULL, 0, &out),
			 PROBE_YES);
	ck_assert(out);
	ck_assert_int_eq(probe(refusal, 9, NULL, 0, &out), PROBE_MORE);
}
END_TEST

/* Full authentication: the key is asked for, a secret sent; none is kept. */
START_TEST(caching_sha2_password_full)
{
	struct recording r = fresh();
	char *lines;

	REPLY(&r, 0, GREETING);
	PACKET(&r, SIDE_CLIENT, 1,
	       LOGIN("\x05\xa2\x08\0") "root\0\6scr\1mb"
	       "caching_sha2_password\0");
	REPLY(&r, 2, "\1\4");
	PACKET(&r, SIDE_CLIENT, 3, "\2");
	REPLY(&r, 4, "\1-----BEGIN PUBLIC KEY-----");
	PACKET(&r, SIDE_CLIENT, 5, "hunter2-encrypted");
	REPLY(&r, 6, OK);
	COMMAND(&r, "\x0e");
	REPLY(&r, 1, OK);
	lines = finish(&r);
	ck_assert_str_eq(lines, "LOGIN status=0 rows=-1 affected=-1 results=1 "
		"user=\"root\" mysql.auth_plugin=\"caching_sha2_password\"\n"
		"COM_PING status=0 rows=-1 affected=-1 results=1\n");
	free(lines);
}
END_TEST

/* MariaDB 11.5: a row for each set, its id and how many rows it changed. */
START_TEST(bulk_execution_with_unit_results)
{
	struct recording r = fresh();
	char *lines;

	COMMAND(&r, "\x0e");
	REPLY(&r, 1, OK);
	COMMAND(&r, "\x16INSERT INTO t VALUES (?)");
	REPLY(&r, 1, "\0\7\0\0\0\0\0\1\0\0\0\0");
	definition(&r, 2, "?", 3);
	REPLY(&r, 3, "\xfe\0\0\2\0");
	COMMAND(&r, "\xfa\7\0\0\0\xc0\0\3\0\0\5\0\0\0\1");
	REPLY(&r, 1, "\2");
	definition(&r, 2, "Id", 8);
	definition(&r, 3, "Affected_rows", 8);
	REPLY(&r, 4, "\xfe\0\0\2\0");
	REPLY(&r, 5, "\0\0\x15\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0");
	REPLY(&r, 6, "\0\0\x16\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0");
	REPLY(&r, 7, "\xfe\0\0\2\0");
	lines = finish(&r);
	ck_assert_msg(strstr(lines, "INSERT status=0 rows=-1 affected=3 ") &&
		      strstr(lines, "parameters:2 =\"5\" =\"NULL\"") &&
		      strstr(lines, "mysql.statement_id=7 mysql.bulk_sets=2 "
				    "mysql.insert_id=22"), "%s", lines);
	free(lines);
}
END_TEST

START_TEST(encryption_ends_reading)
{
	static const char ssl[] = LOGIN("\x85\xaa\0\0");

	ck_assert_int_eq(outcome_after(ssl, 32, 1), PARSE_DONE);
}
END_TEST

/* probe() */

static enum verdict probe(const void *in, size_t in_length, const void *out,
			  size_t out_length, bool *client_out)
{
	struct mark marks[2] = { { in_length, 2000, 2000, 1 },
				 { out_length, 1000, 1000, 1 } };
	uint8_t *a = malloc(in_length + !in_length);
	uint8_t *b = malloc(out_length + !out_length);
	struct opening opening = {
		.in = { .bytes = a, .length = in_length, .marks = &marks[0],
			.mark_count = 1 },
		.out = { .bytes = b, .length = out_length, .marks = &marks[1],
			 .mark_count = 1 },
		.from_start = true,
	};
	enum verdict verdict;

	if (in_length)
		memcpy(a, in, in_length);
	if (out_length)
		memcpy(b, out, out_length);
	verdict = mysql_parser.probe(&opening, client_out);
	free(a);
	free(b);
	return verdict;
}

START_TEST(probe_knows_both_roles)
{
	struct recording r = recorded_load(captures[_i]);
	const uint8_t *client = r.bytes[SIDE_CLIENT];
	const uint8_t *server = r.bytes[SIDE_SERVER];
	size_t greeting = r.pieces[0].length, login = r.pieces[1].length;
	bool client_out = false;

	/* With the greeting, and without as inside TLS. */
	ck_assert_int_eq(probe(server, greeting, NULL, 0, &client_out),
			 PROBE_YES);
	ck_assert(client_out);
	ck_assert_int_eq(probe(NULL, 0, server, greeting, &client_out),
			 PROBE_YES);
	ck_assert(!client_out);
	ck_assert_int_eq(probe(NULL, 0, client, login, &client_out),
			 PROBE_YES);
	ck_assert(client_out);
	ck_assert_int_eq(probe(client, login, NULL, 0, &client_out),
			 PROBE_YES);
	ck_assert(!client_out);
	for (size_t n = 1; n < 36; n++)
		ck_assert_int_eq(probe(NULL, 0, client, n, &client_out),
				 PROBE_MORE);
	recording_free(&r);
}
END_TEST

START_TEST(probe_in_mid_connection)
{
	static const char query[] = "\x09\0\0\0\3SELECT 1";
	static const char count[] = "\1\0\0\1\1\x17\0\0\2\3def\0\0\0\1";
	static const char ok[] = "\7\0\0\1\0\0\0\2\0\0\0";
	bool client_out = false;

	ck_assert_int_eq(probe(count, sizeof(count), query, 13, &client_out),
			 PROBE_YES);
	ck_assert(client_out);
	ck_assert_int_eq(probe(NULL, 0, query, 13, &client_out), PROBE_MORE);
	ck_assert_int_eq(probe(ok, 11, "\1\0\0\0\x0e", 5, &client_out),
			 PROBE_YES);
	ck_assert_int_eq(probe(ok, 11, "\1\0\0\0\x77", 5, &client_out),
			 PROBE_NO);
}
END_TEST

START_TEST(probe_refuses_others)
{
	static const struct {
		const char *request, *reply;
		size_t request_length, reply_length;
	} others[] = {
#define OTHER(a, b) { a, b, sizeof(a) - 1, sizeof(b) - 1 }
		OTHER("GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		      "HTTP/1.1 200 OK\r\n"),
		OTHER("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
		      "\0\0\6\4\0\0\0\0\0\0\3\0\0\0\x80"),
		OTHER("\0\0\0\x17\0\3\0\0user\0bob\0\0",
		      "R\0\0\0\x08\0\0\0\0"),
		OTHER("Q\0\0\0\x0dSELECT 1\0", "T\0\0\0\x21\0\1?column?\0"),
		OTHER("*1\r\n$4\r\nPING\r\n", "+PONG\r\n"),
		OTHER("\x3a\0\0\0\1\0\0\0\0\0\0\0\xdd\7\0\0",
		      "\x3a\0\0\0\2\0\0\0\1\0\0\0\xdd\7\0\0"),
		OTHER("EHLO there\r\n", "220 mail.example.org ESMTP\r\n"),
#undef OTHER
	};
	bool out;

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		ck_assert_msg(probe(others[i].reply, others[i].reply_length,
				    others[i].request,
				    others[i].request_length,
				    &out) == PROBE_NO, "a client: %zu", i);
		ck_assert_msg(probe(others[i].request,
				    others[i].request_length,
				    others[i].reply, others[i].reply_length,
				    &out) == PROBE_NO, "a server: %zu", i);
	}
}
END_TEST

START_TEST(probe_refuses_noise)
{
	uint32_t seed = 1;
	unsigned refused = 0;

	for (int round = 0; round < 20000; round++) {
		uint8_t bytes[128];
		bool out;
		enum verdict verdict;

		for (size_t i = 0; i < sizeof(bytes); i++) {
			seed = seed * 1664525 + 1013904223;
			bytes[i] = (uint8_t)(seed >> 24);
		}
		verdict = probe(bytes, 64, bytes + 64, 64, &out);
		ck_assert_int_ne(verdict, PROBE_YES);
		refused += verdict == PROBE_NO;
	}
	ck_assert_uint_gt(refused, 19900);
}
END_TEST

START_TEST(registry_finds)
{
	ck_assert_ptr_eq(parser_find("mysql"), &mysql_parser);
	ck_assert_ptr_null(parser_find("mysqly"));
	ck_assert_ptr_eq(parser_registry[0], &mysql_parser);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("mysql");
	TCase *written = tcase_create("written");
	TCase *probes = tcase_create("probe");

	suite_add_tcase(s, recorded_tests(&recordings));
	tcase_set_timeout(written, 60);
	tcase_add_loop_test(written, gap_is_marked, 0, recordings.torn);
	tcase_add_test(written, query_attributes_are_stepped_over);
	tcase_add_test(written, error_nobody_asked_for);
	tcase_add_test(written, progress_is_no_error);
	tcase_add_test(written, unknown_statement_is_said);
	tcase_add_test(written, commands_without_a_name);
	tcase_add_test(written, definitions_left_out_by_mysql);
	tcase_add_loop_test(written, column_names_hold_no_literal, 0,
			    sizeof(aliases) / sizeof(*aliases));
	tcase_add_test(written, column_names_without_backslash);
	tcase_add_test(written, packets_of_16_megabytes);
	tcase_add_test(written, answer_to_a_lost_request);
	tcase_add_test(written, encryption_ends_reading);
	tcase_add_test(written, refused_connection);
	tcase_add_test(written, caching_sha2_password_full);
	tcase_add_test(written, bulk_execution_with_unit_results);
	suite_add_tcase(s, written);
	tcase_add_loop_test(probes, probe_knows_both_roles, 0, COUNT(captures));
	tcase_add_test(probes, probe_in_mid_connection);
	tcase_add_test(probes, probe_refuses_others);
	tcase_add_test(probes, probe_refuses_noise);
	tcase_add_test(probes, registry_finds);
	suite_add_tcase(s, probes);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
