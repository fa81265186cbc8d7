/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pgsql_written.c - the PostgreSQL parser on written conversations.
 */
#define _GNU_SOURCE
#include <check.h>

#include "tests/unit/drive.h"
#include "tests/unit/suite.h"

static uint64_t now_ns;

static struct recording fresh(void)
{
	now_ns = 0;
	return (struct recording){ .piece_count = 0 };
}

static void say(struct recording *r, enum side side, char type,
		const void *body, size_t length)
{
	uint8_t *bytes = malloc(length + 5);
	size_t size = length + 4;

	ck_assert_ptr_nonnull(bytes);
	bytes[0] = (uint8_t)type;
	for (int i = 0; i < 4; i++)
		bytes[1 + i] = (uint8_t)(size >> (24 - 8 * i));
	if (length)
		memcpy(bytes + 5, body, length);
	now_ns += 1000;
	recording_add(r, side, bytes, length + 5, now_ns);
	free(bytes);
}

static void raw(struct recording *r, enum side side, const void *bytes,
		size_t length)
{
	now_ns += 1000;
	recording_add(r, side, bytes, length, now_ns);
}

#define ASK(r, type, literal) \
	say(r, SIDE_CLIENT, type, literal, sizeof(literal) - 1)
#define TELL(r, type, literal) \
	say(r, SIDE_SERVER, type, literal, sizeof(literal) - 1)
#define RAW(r, side, literal) raw(r, side, literal, sizeof(literal) - 1)
#define LOGIN "\0\0\0\x10\0\3\0\0user\0a\0\0"
/* One column, c, of type text */
#define COLUMN "\0\1" "c\0" "\0\0\0\0" "\0\0" "\0\0\0\x19" \
	"\xff\xff" "\xff\xff\xff\xff" "\0\0"

static void log_in(struct recording *r)
{
	RAW(r, SIDE_CLIENT, LOGIN);
	TELL(r, 'R', "\0\0\0\0");
	TELL(r, 'Z', "I");
}

static char *finish(struct recording *r)
{
	struct drive d = { .recording = r, .parser = &pgsql_parser,
			   .brief = true, .values = true };
	char *lines = drive_lines(&d);

	recording_free(r);
	return lines;
}

/* The lines behind the login's. */
static void assert_lines(struct recording *r, const char *expected)
{
	char *lines = finish(r), *second = strchr(lines, '\n');

	ck_assert_ptr_nonnull(second);
	ck_assert_str_eq(second + 1, expected);
	free(lines);
}

static void query(struct recording *r, const char *text)
{
	say(r, SIDE_CLIENT, 'Q', text, strlen(text) + 1);
}

static void done(struct recording *r, const char *tag)
{
	say(r, SIDE_SERVER, 'C', tag, strlen(tag) + 1);
	TELL(r, 'Z', "I");
}

/* Secrets: not one byte of them leaves, whatever the kind. */
START_TEST(passwords_are_never_kept)
{
	static const char *const kinds[] = { "\0\0\0\3", "\0\0\0\5salt",
		"\0\0\0\x0aSCRAM-SHA-256\0\0" };
	static const size_t sizes[] = { 4, 8, 19 };
	static const char *const names[] = { "cleartext", "md5", "sasl" };
	struct recording r = fresh();
	char *lines;

	RAW(&r, SIDE_CLIENT, LOGIN);
	say(&r, SIDE_SERVER, 'R', kinds[_i], sizes[_i]);
	ASK(&r, 'p', "hunter2\0");
	TELL(&r, 'R', "\0\0\0\x0cv=hunter2");
	TELL(&r, 'R', "\0\0\0\0");
	TELL(&r, 'K', "\0\0\0\1hunt");
	TELL(&r, 'Z', "I");
	lines = finish(&r);
	ck_assert_ptr_nonnull(strstr(lines, names[_i]));
	ck_assert_ptr_null(strstr(lines, "hunt"));
	ck_assert_ptr_null(strstr(lines, "salt"));
	ck_assert_ptr_null(strstr(lines, "SCRAM"));
	free(lines);
}
END_TEST

static const char *const secrets[] = {
	"CREATE ROLE a PASSWORD 'hunter2'",
	"ALTER USER a WITH ENCRYPTED PASSWORD 'hunter2' LOGIN",
	"CREATE SUBSCRIPTION s CONNECTION 'host=h password=hunter2' "
		"PUBLICATION p",
	"CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'b', "
		"password 'hunter2')",
	"SELECT * FROM dblink('host=h password=hunter2', $$x$$)",
	"SELECT 1 FROM u WHERE password IN ('x', 'hunter2')",
	"DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''hunter2'''; END $$",
	"ALTER ROLE a PASSWORD 'hunter2",
	"SELECT 'x', \\ PASSWORD 'hunter2",
	"ALTER ROLE a /* passwd hunter2 */ PASSWORD U&'hunter2'",
	"ALTER ROLE a PASSWORD E'hunter2\\'' 'hunter2'",
	"ALTER ROLE a PASSWORD 'x\\' hunter2 '",
	"SET my.password TO 'hunter2'; SET my.password = 'hunter2'",
};
#define SECRET_COUNT (sizeof(secrets) / sizeof(*secrets))

START_TEST(passwords_in_statements_are_redacted)
{
	struct recording r = fresh();
	char *lines;

	log_in(&r);
	query(&r, secrets[_i]);
	done(&r, "ALTER ROLE");
	lines = finish(&r);
	ck_assert_ptr_nonnull(strstr(lines, " statement="));
	ck_assert_msg(!strstr(lines, "hunter2"), "%s", lines);
	free(lines);
}
END_TEST

/* The statement, what is shown of it, its tables, its operation. */
static const char *const masks[][4] = {
	{ "SELECT 'a''b', E'c\\'d', $x$e'$x$, U&'f', B'1', 1.5e3, $1",
	  "SELECT ?, ?, ?, ?, ?, ?, $1", "", "SELECT" },
	{ "SELECT U&'a' , U&\"d\\0061t\", U&'b' UESCAPE '!' FROM t",
	  "SELECT ? , U&\"d\\0061t\", ? UESCAPE ? FROM t",
	  " targets:1 =\"t\"", "SELECT" },
	{ "SELECT 'a'\n'b', x'1f' 'g'", "SELECT ?, ? ?", "", "SELECT" },
	{ "SELECT -5, a-5, a - -5, (-.5) FROM \"My T\" -- 'x'\n, s.u",
	  "SELECT ?, a-?, a - ?, (?) FROM \"My T\" -- ?\n, s.u",
	  " targets:2 =\"My T\" =\"s.u\"", "SELECT" },
	{ "/* it's /* nested */ */ DELETE FROM t WHERE a = 'b'",
	  "/* ? */ DELETE FROM t WHERE a = ?", " targets:1 =\"t\"",
	  "DELETE" },
	{ "WITH c AS (SELECT * FROM t) INSERT INTO u SELECT * FROM c",
	  "WITH c AS (SELECT * FROM t) INSERT INTO u SELECT * FROM c",
	  " targets:2 =\"u\" =\"t\"", "INSERT" },
	{ "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE",
	  "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE",
	  " targets:2 =\"t\" =\"s\"", "MERGE" },
	{ "UPSERT INTO \"q t\" VALUES ('secret')",
	  "UPSERT INTO \"q t\" VALUES (?)", " targets:1 =\"q t\"",
	  "UPSERT" },
	{ "SELECT a FROM \"q t\" WHERE ((b = 'secret'",
	  "SELECT a FROM \"q t\" WHERE ((b = ?", " targets:1 =\"q t\"",
	  "SELECT" },
	{ "SELECT a FROM t WHERE b = 'cut off", "SELECT a FROM t WHERE b = ?",
	  " targets:1 =\"t\"", "SELECT" },
	{ "SELECT a FROM t WHERE \xc3\xa9 = $q$cut 'off",
	  "SELECT a FROM t WHERE \xc3\xa9 = ?", " targets:1 =\"t\"",
	  "SELECT" },
	{ "SELECT 'a\\', 'secret'", "SELECT ?", "", "SELECT" },
	{ "(SELECT 1 FROM t) UNION TABLE u", "(SELECT ? FROM t) UNION TABLE u",
	  " targets:2 =\"t\" =\"u\"", "SELECT" },
	{ "DROP TABLE IF EXISTS a, s.b", "DROP TABLE IF EXISTS a, s.b",
	  " targets:2 =\"a\" =\"s.b\"", "DROP" },
	{ "COPY s.t (a) FROM STDIN", "COPY s.t (a) FROM STDIN",
	  " targets:1 =\"s.t\"", "COPY" },
};
#define MASK_COUNT (sizeof(masks) / sizeof(*masks))

START_TEST(statements_are_masked)
{
	struct recording r = fresh();
	char *lines, masked[512], start[64];
	FILE *file = fmemopen(masked, sizeof(masked), "w");

	query(&r, masks[_i][0]);
	done(&r, "DO");
	lines = finish(&r);
	drive_text(file, "masked", (struct span){ masks[_i][1],
						  strlen(masks[_i][1]) });
	fclose(file);
	ck_assert_msg(strstr(lines, masked) != NULL, "%s\nnot: %s", lines,
		      masked);
	snprintf(start, sizeof(start), "%s status=0", masks[_i][3]);
	ck_assert_msg(!strncmp(lines, start, strlen(start)), "%s", lines);
	ck_assert_msg(strstr(lines, *masks[_i][2] ? masks[_i][2] :
					     "results=1 statement") != NULL,
		      "%s", lines);
	free(lines);
}
END_TEST

/* With standard_conforming_strings on, a backslash is itself. */
START_TEST(conforming_strings_are_believed)
{
	struct recording r = fresh();

	RAW(&r, SIDE_CLIENT, LOGIN);
	TELL(&r, 'R', "\0\0\0\0");
	TELL(&r, 'S', "standard_conforming_strings\0on\0");
	TELL(&r, 'Z', "I");
	query(&r, "SELECT 'a\\' FROM t");
	done(&r, "DO");
	assert_lines(&r, "SELECT status=0 rows=-1 affected=-1 results=1 "
		"namespace=\"a\" targets:1 =\"t\" "
		"statement=\"SELECT 'a\\x5c' FROM t\" "
		"masked=\"SELECT ? FROM t\" postgresql.command=\"query\" "
		"postgresql.tag=\"DO\"\n");
}
END_TEST

static const char *const floods[] = {
	"1+", "(", "- ", "NOT ", "[", "'", "$a$", "/*", "a.", "CASE WHEN ",
	"SELECT (", "\xff\xfe", "::x", "x'", "\"", "1,", "WITH a AS (",
	"VALUES(1),", "E'\\'", ";", "a b ", "\t",
};
#define FLOOD_COUNT (sizeof(floods) / sizeof(*floods))

/* No token of a hostile text costs memory, much time or the stack. */
START_TEST(hostile_statements_are_survived)
{
	struct recording r = fresh();
	size_t length = SUITE_SANITIZED ? 15000 : 60000, part = strlen(floods[_i]);
	char *text = malloc(length + part + 1), *lines;

	ck_assert_ptr_nonnull(text);
	strcpy(text, "SELECT ");
	for (size_t at = 7; at < length; at += part)
		strcpy(text + at, floods[_i]);
	query(&r, text);
	done(&r, "DO");
	lines = finish(&r);
	ck_assert_ptr_nonnull(strstr(lines, "status=0"));
	free(lines);
	free(text);
}
END_TEST

START_TEST(encryption_ends_it)
{
	static const char *const requests[] = {
		"\0\0\0\x08\x04\xd2\x16\x2f", "\0\0\0\x08\x04\xd2\x16\x30" };
	static const char *const expected[] = {
		"SSL_REQUEST status=0 rows=-1 affected=-1 results=1 "
		"postgresql.reply=\"S\"\n",
		"GSSENC_REQUEST status=0 rows=-1 affected=-1 results=1 "
		"postgresql.reply=\"G\"\n",
	};
	struct recording r = fresh();
	char *lines;

	raw(&r, SIDE_CLIENT, requests[_i], 8);
	raw(&r, SIDE_SERVER, _i ? "G" : "S", 1);
	RAW(&r, SIDE_CLIENT, "\x16\3\1\2\0\1\0\1\xfc\3\3");
	lines = finish(&r);
	ck_assert_str_eq(lines, expected[_i]);
	free(lines);
}
END_TEST

START_TEST(cancel_keeps_its_key)
{
	struct recording r = fresh();
	char *lines;

	RAW(&r, SIDE_CLIENT, "\0\0\0\x10\x04\xd2\x16\x2e" "ABCDEFGH");
	lines = finish(&r);
	ck_assert_str_eq(lines,
			 "CANCEL status=-1 rows=-1 affected=-1 results=1\n");
	free(lines);
}
END_TEST

START_TEST(version_2_is_recognised)
{
	uint8_t bytes[296] = { 0, 0, 1, 40, 0, 2 };
	struct recording r = fresh();
	char *lines;

	memcpy(bytes + 8, "shop", 4);
	memcpy(bytes + 72, "ada", 3);
	raw(&r, SIDE_CLIENT, bytes, sizeof(bytes));
	lines = finish(&r);
	ck_assert_str_eq(lines, "LOGIN status=-1 rows=-1 affected=-1 results=1 "
		"namespace=\"shop\" user=\"ada\" "
		"postgresql.protocol_version=\"2.0\" incomplete missed=0\n");
	free(lines);
}
END_TEST

START_TEST(version_3_2_is_spoken)
{
	struct recording r = fresh();
	char *lines;

	RAW(&r, SIDE_CLIENT, "\0\0\0\x10\0\3\0\2user\0a\0\0");
	TELL(&r, 'v', "\0\0\0\0\0\0\0\0");
	TELL(&r, 'R', "\0\0\0\0");
	TELL(&r, 'K', "\0\0\0\1a key that is longer than four bytes");
	TELL(&r, 'Z', "I");
	lines = finish(&r);
	ck_assert_str_eq(lines, "LOGIN status=0 rows=-1 affected=-1 results=1 "
		"namespace=\"a\" user=\"a\" "
		"postgresql.protocol_version=\"3.2\" "
		"postgresql.authentication=\"trust\"\n");
	free(lines);
}
END_TEST

static void execute_unnamed(struct recording *r, const char *statement)
{
	char body[128] = "";
	size_t length = strlen(statement);

	memcpy(body + 1, statement, length);
	say(r, SIDE_CLIENT, 'P', body, length + 4);
	ASK(r, 'B', "\0\0\0\0\0\0\0\0");
	ASK(r, 'E', "\0\0\0\0\0");
}

/* An error at COMMIT time comes behind the execution, for the Sync. */
START_TEST(error_at_sync)
{
	struct recording r = fresh();

	log_in(&r);
	execute_unnamed(&r, "DELETE FROM t");
	ASK(&r, 'S', "");
	TELL(&r, '1', "");
	TELL(&r, '2', "");
	TELL(&r, 'C', "DELETE 3\0");
	TELL(&r, 'E', "SERROR\0VERROR\0C23503\0Mno\0\0");
	TELL(&r, 'Z', "I");
	assert_lines(&r,
		"DELETE status=0 rows=-1 affected=3 results=1 namespace=\"a\" "
		"targets:1 =\"t\" statement=\"DELETE FROM t\" "
		"masked=\"DELETE FROM t\" postgresql.command=\"execute\" "
		"postgresql.tag=\"DELETE 3\"\n"
		"SYNC status=-1 failed status-name=\"23503\" "
		"sqlstate=\"23503\" message=\"no\" rows=-1 affected=-1 "
		"results=1 namespace=\"a\" postgresql.severity=\"ERROR\"\n");
}
END_TEST

/* The server's last word needs no request, and ends one without a 'Z'. */
START_TEST(fatal_errors)
{
	static const char fatal[] =
		"SFATAL\0VFATAL\0C57P01\0Mterminating\0";
	struct recording r = fresh();

	log_in(&r);
	if (_i)
		query(&r, "SELECT pg_sleep(9)");
	say(&r, SIDE_SERVER, 'E', fatal, sizeof(fatal));
	assert_lines(&r, _i ?
		"SELECT status=-1 failed status-name=\"57P01\" "
		"sqlstate=\"57P01\" message=\"terminating\" rows=-1 "
		"affected=-1 results=1 namespace=\"a\" "
		"statement=\"SELECT pg_sleep(9)\" "
		"masked=\"SELECT pg_sleep(?)\" postgresql.command=\"query\" "
		"postgresql.severity=\"FATAL\"\n" :
		"ERROR status=-1 failed status-name=\"57P01\" "
		"sqlstate=\"57P01\" message=\"terminating\" rows=-1 "
		"affected=-1 results=1 namespace=\"a\" "
		"postgresql.severity=\"FATAL\"\n");
}
END_TEST

/* The meaning of a name is that of its time. */
START_TEST(statements_are_those_of_their_time)
{
	struct recording r = fresh();
	char *lines;

	log_in(&r);
	execute_unnamed(&r, "SELECT 'a'");
	execute_unnamed(&r, "INSERT INTO b VALUES (1)");
	ASK(&r, 'S', "");
	for (int i = 0; i < 2; i++) {
		TELL(&r, '1', "");
		TELL(&r, '2', "");
		say(&r, SIDE_SERVER, 'C', i ? "INSERT 0 1" : "SELECT 1",
		    i ? 11 : 9);
	}
	TELL(&r, 'Z', "I");
	lines = finish(&r);
	ck_assert_msg(strstr(lines, "masked=\"SELECT ?\" "
			     "postgresql.command=\"execute\" "
			     "postgresql.tag=\"SELECT 1\"") != NULL, "%s",
		      lines);
	ck_assert_msg(strstr(lines, "masked=\"INSERT INTO b VALUES (?)\" "
			     "postgresql.command=\"execute\" "
			     "postgresql.tag=\"INSERT 0 1\"") != NULL, "%s",
		      lines);
	free(lines);
}
END_TEST

/* A notification is told when it comes, and spoils no result. */
START_TEST(notification_amid_a_result)
{
	struct recording r = fresh();

	log_in(&r);
	query(&r, "SELECT c FROM t");
	TELL(&r, 'T', COLUMN);
	TELL(&r, 'D', "\0\1\0\0\0\2ab");
	TELL(&r, 'A', "\0\0\0\7news\0it\0");
	TELL(&r, 'D', "\0\1\xff\xff\xff\xff");
	TELL(&r, 'D', "\0\1\0\0\0\1d");
	done(&r, "SELECT 3");
	assert_lines(&r,
		"\tvalue 0 =\"ab\"\n"
		"NOTIFICATION status=-1 rows=-1 affected=-1 results=1 "
		"namespace=\"a\" postgresql.channel=\"news\" "
		"postgresql.payload=\"it\"(value)\n"
		"\tvalue 0 =\"d\"\n"
		"SELECT status=0 rows=3 affected=-1 results=1 namespace=\"a\" "
		"targets:1 =\"t\" columns:1 =\"c\" "
		"statement=\"SELECT c FROM t\" masked=\"SELECT c FROM t\" "
		"postgresql.command=\"query\" postgresql.tag=\"SELECT 3\"\n");
}
END_TEST

/* More requests than are remembered, all sent before the first answer. */
START_TEST(long_pipelines_are_bounded)
{
	struct recording r = fresh();
	struct drive d = { .recording = &r, .parser = &pgsql_parser };
	unsigned count = 3000;

	log_in(&r);
	for (unsigned i = 0; i < count; i++)
		query(&r, "SELECT 1");
	for (unsigned i = 0; i < count; i++)
		done(&r, "SELECT 1");
	drive_run(&d);
	ck_assert_uint_eq(d.exchanges, count + 1);
	ck_assert_uint_eq(d.incomplete, 0);
	recording_free(&r);
}
END_TEST

/* Messages longer than any window, counted and cut. */
START_TEST(long_messages_are_cut)
{
	size_t length = 300000;
	char *text = calloc(1, length + 1), *lines;
	uint8_t *row = malloc(length);
	struct recording r = fresh();

	ck_assert(text && row);
	memset(text, 'x', length);
	memcpy(text, "SELECT '", 8);
	memset(row, 'y', length);
	memcpy(row, "\0\1\0\4\x93\xda", 6);
	log_in(&r);
	say(&r, SIDE_CLIENT, 'Q', text, length + 1);
	TELL(&r, 'T', COLUMN);
	say(&r, SIDE_SERVER, 'D', row, length);
	done(&r, "SELECT 1");
	lines = finish(&r);
	ck_assert_ptr_nonnull(strstr(lines, "rows=1 affected=-1 results=1 "
		"namespace=\"a\" columns:1 =\"c\" statement=\"SELECT 'xxx"));
	ck_assert_ptr_nonnull(strstr(lines, "masked=\"SELECT ?\" "
		"postgresql.command=\"query\" "
		"postgresql.tag=\"SELECT 1\" cut\n"));
	ck_assert_ptr_nonnull(strstr(lines, "...4096"));
	free(lines);
	free(text);
	free(row);
}
END_TEST

static enum verdict probe(const void *out, size_t out_length, const void *in,
			  size_t in_length, bool *client_out)
{
	struct opening opening = {
		.out = { .bytes = out, .length = out_length },
		.in = { .bytes = in, .length = in_length },
	};

	return pgsql_parser.probe(&opening, client_out);
}

static const char *const others[] = {
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n",
	"*1\r\n$4\r\nPING\r\n", "QUIT\r\n", "EHLO example.org\r\n",
	"SSH-2.0-OpenSSH_9.2\r\n", "\x16\3\1\2", "CONNECT\n", "Set-Cookie: x",
	"DELETE FROM t", "\x50\xff\xff\xff\xff",
};
#define OTHER_COUNT (sizeof(others) / sizeof(*others))

START_TEST(others_are_not_taken)
{
	bool client_out = false;
	size_t length = strlen(others[_i]);

	ck_assert_int_eq(probe(others[_i], length, "", 0, &client_out),
			 PROBE_NO);
	ck_assert_int_eq(probe("", 0, others[_i], length, &client_out),
			 PROBE_NO);
}
END_TEST

START_TEST(it_is_known_from_any_message_on)
{
	struct recording r;

	ck_assert(recording_load(&r, "tests/captures/pgsql/plain.pgsql"));
	for (size_t i = 0; i + 1 < r.piece_count; i++) {
		const struct drive_piece *p = &r.pieces[i];
		const uint8_t *bytes = r.bytes[p->side] + p->at;
		bool client_out = false;

		if (p->length < 6)
			continue;
		ck_assert_int_eq(probe(bytes, p->length, "", 0, &client_out),
				 PROBE_YES);
		ck_assert_int_eq(client_out, p->side == SIDE_CLIENT);
		ck_assert_int_eq(probe("", 0, bytes, p->length, &client_out),
				 PROBE_YES);
		ck_assert_int_eq(client_out, p->side == SIDE_SERVER);
	}
	recording_free(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pgsql_written");
	TCase *texts = tcase_create("texts"), *talks = tcase_create("talks");

	tcase_set_timeout(texts, 60);
	tcase_add_loop_test(texts, passwords_are_never_kept, 0, 3);
	tcase_add_loop_test(texts, passwords_in_statements_are_redacted, 0,
			    SECRET_COUNT);
	tcase_add_loop_test(texts, statements_are_masked, 0, MASK_COUNT);
	tcase_add_test(texts, conforming_strings_are_believed);
	tcase_add_loop_test(texts, hostile_statements_are_survived, 0,
			    FLOOD_COUNT);
	suite_add_tcase(suite, texts);
	tcase_set_timeout(talks, 60);
	tcase_add_loop_test(talks, encryption_ends_it, 0, 2);
	tcase_add_test(talks, cancel_keeps_its_key);
	tcase_add_test(talks, version_2_is_recognised);
	tcase_add_test(talks, version_3_2_is_spoken);
	tcase_add_test(talks, error_at_sync);
	tcase_add_loop_test(talks, fatal_errors, 0, 2);
	tcase_add_test(talks, statements_are_those_of_their_time);
	tcase_add_test(talks, notification_amid_a_result);
	tcase_add_test(talks, long_pipelines_are_bounded);
	tcase_add_test(talks, long_messages_are_cut);
	tcase_add_loop_test(talks, others_are_not_taken, 0, OTHER_COUNT);
	tcase_add_test(talks, it_is_known_from_any_message_on);
	suite_add_tcase(suite, talks);
	return suite_run(suite);
}
