/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_clickhouse.c - ClickHouse's HTTP interface.
 *
 * Requests and answers as its documentation has them.
 * Source: https://clickhouse.com/docs/en/interfaces/http
 */
#define _GNU_SOURCE
#include <check.h>

#include "tests/unit/http_call.h"
#include "tests/unit/suite.h"

#define SUMMARY(result, written)                                         \
	"{\"read_rows\":\"9\",\"read_bytes\":\"99\",\"written_rows\":\"" \
	written "\",\"result_rows\":\"" result "\",\"elapsed_ns\":\"5\"}"

static const struct call select_post = {
	.method = "POST", .target = "/?database=shop&user=ada&password=s3cr3t",
	.request = { NULL },
	.body = "SELECT name, 'x' FROM customers WHERE email = 'a@b.c'",
	.status = 200,
	.response = { "x-clickhouse-summary", SUMMARY("0", "0"),
		      "x-clickhouse-format", "TabSeparated" },
	.answer = "Ada\tx\nBob\tx\n",
};

START_TEST(statement_in_the_body)
{
	CALL_EXPECT(select_post, "+SELECT status=0 application=clickhouse",
		    "+rows=2 affected=-1", "+namespace=\"shop\"",
		    "+user=\"ada\"", "+targets:1 =\"customers\"",
		    "+masked=\"SELECT name, ? FROM customers WHERE email = ?\"",
		    "+format=\"TabSeparated\"", "-failed", "-s3cr3t");
}
END_TEST

START_TEST(statement_in_the_target)
{
	struct call call = select_post;

	call.method = "GET";
	call.target = "/?query=SELECT+1%2B1%20FROM%20system.one&x=1";
	call.body = NULL;
	call.request[0] = "x-clickhouse-user";
	call.request[1] = "bob";
	call.request[2] = "x-clickhouse-key";
	call.request[3] = "s3cr3t";
	call.request[4] = "x-clickhouse-database";
	call.request[5] = "logs";
	call.response[3] = "TabSeparatedWithNames";
	CALL_EXPECT(call, "+SELECT", "+masked=\"SELECT ?+? FROM system.one\"",
		    "+namespace=\"logs\"", "+user=\"bob\"",
		    "+targets:1 =\"system.one\"", "+rows=1 ", "-s3cr3t");
}
END_TEST

/* What --show-values shows holds no password either. */
START_TEST(passwords_in_statements)
{
	struct call call = select_post;

	call.target = "/?query=CREATE%20USER%20a%20IDENTIFIED%20BY%20"
		      "'s3cr3t'";
	call.body = NULL;
	CALL_EXPECT(call, "+CREATE", "-s3cr3t");
}
END_TEST

START_TEST(statement_in_both)
{
	struct call call = select_post;

	call.target = "/?query=SELECT%20*";
	call.body = "FROM customers WHERE id = 7";
	CALL_EXPECT(call, "+masked=\"SELECT *\\x0aFROM customers WHERE id = ?");
}
END_TEST

/* Data are no part of the statement, masked or not. */
START_TEST(data_of_an_insert)
{
	struct call call = select_post;

	call.response[1] = SUMMARY("2", "2");
	call.answer = NULL;
	call.target = "/?query=INSERT%20INTO%20shop.customers%20FORMAT%20CSV";
	call.body = "1,ada@example.org\n2,bob@example.org\n";
	CALL_EXPECT(call, "+INSERT", "+affected=2", "+rows=-1", "-example.org",
		    "+targets:1 =\"shop.customers\"");
	call.target = "/";
	call.body = "INSERT INTO shop.customers FORMAT CSV\n"
		    "1,ada@example.org\n";
	CALL_EXPECT(call, "+INSERT", "+affected=2", "-example.org",
		    "+FORMAT CSV\"");
	call.body = "INSERT INTO t VALUES (1, 'ada@example.org')";
	CALL_EXPECT(call, "+INSERT INTO t VALUES (?, ?)");
}
END_TEST

START_TEST(rows_of_formats)
{
	static const struct {
		const char *format, *answer, *rows;
	} formats[] = {
		{ "JSON", "{\"meta\":[{\"name\":\"a\"}],\"data\":[{\"a\":1},"
			  "{\"rows\":5}],\n\"rows\": 2,\"statistics\":{}}\n",
		  "+rows=2 " },
		{ "JSONEachRow", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n",
		  "+rows=3 " },
		{ "TabSeparatedWithNamesAndTypes", "a\nUInt8\n1\n",
		  "+rows=1 " },
		{ "Pretty", "+---+\n| 1 |\n+---+\n", "+rows=-1 " },
		{ "TabSeparated", "", "+rows=0 " },
	};
	struct call call = select_post;

	call.response[3] = formats[_i].format;
	call.answer = formats[_i].answer;
	CALL_EXPECT(call, formats[_i].rows);
}
END_TEST

START_TEST(summary_where_lines_tell_nothing)
{
	struct call call = select_post;

	call.response[1] = SUMMARY("17", "0");
	call.response[3] = "Native";
	CALL_EXPECT(call, "+rows=17 ");
}
END_TEST

START_TEST(exceptions)
{
	struct call call = select_post;

	call.status = 404;
	call.response[0] = "x-clickhouse-exception-code";
	call.response[1] = "60";
	call.answer = "Code: 60. DB::Exception: Table shop.nothing does not "
		      "exist. (UNKNOWN_TABLE) (version 23.8.2.7)\n";
	CALL_EXPECT(call, "+SELECT status=60 failed",
		    "+status-name=\"UNKNOWN_TABLE\"", "+rows=-1",
		    "+message=\"Code: 60. DB::Exception: Table shop.nothing");
	/* Without a header's help. */
	call.response[0] = "x-clickhouse-query-id";
	CALL_EXPECT(call, "+status=60 failed");
}
END_TEST

START_TEST(gap_in_the_rows)
{
	struct call call = select_post;

	call.gap = 3;
	CALL_EXPECT(call, "+incomplete", "+rows=-1");
}
END_TEST

/* A path of that shape proves nothing. */
START_TEST(others_are_left_alone)
{
	struct call call = select_post;

	call.response[0] = "content-type";
	call.response[1] = "text/html";
	call.response[2] = NULL;
	CALL_EXPECT(call, "+POST status=200", "-clickhouse", "-s3cr3t");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clickhouse");
	TCase *tcase = tcase_create("calls");

	tcase_add_test(tcase, statement_in_the_body);
	tcase_add_test(tcase, statement_in_the_target);
	tcase_add_test(tcase, passwords_in_statements);
	tcase_add_test(tcase, statement_in_both);
	tcase_add_test(tcase, data_of_an_insert);
	tcase_add_loop_test(tcase, rows_of_formats, 0, 5);
	tcase_add_test(tcase, summary_where_lines_tell_nothing);
	tcase_add_test(tcase, exceptions);
	tcase_add_test(tcase, gap_in_the_rows);
	tcase_add_test(tcase, others_are_left_alone);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
