/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pgsql.c - the PostgreSQL parser on recorded conversations.
 *
 * Recordings: tests/captures/pgsql (see README there).  Found relative to the
 * directory of the sources, from which make runs the tests.
 */
#define _GNU_SOURCE
#include "tests/unit/recorded.h"

/* What one exchange leaves to the next is nothing in the first. */
static const char *const captures[] = {
	"plain", "simple", "extended", "pipelined", "replication", "psql",
	"copying",
};

static const struct recorded recordings = {
	.parser = &pgsql_parser,
	.folder = "tests/captures/pgsql",
	.ending = "pgsql",
	.names = captures,
	.count = COUNT(captures),
	.ordered = COUNT(captures) - 1,
	.cut = COUNT(captures),
	.truncated = COUNT(captures),
	.torn = 1,
	.doubts = true,
	.gaps = { 1, 9, 200 },
	.forgot = " namespace=\"",
};

/* Rows that are copied in are told in the pieces in which they are read. */
START_TEST(copies_may_be_read_first)
{
	struct recording r = recorded_load("copying");

	law_client_first(&pgsql_parser, &r, false);
	recording_free(&r);
}
END_TEST

/* What is lost is said: the exchange of the gap is there and incomplete. */
START_TEST(gap_is_marked)
{
	struct recording r = recorded_load("plain");

	law_marked(&pgsql_parser, &r, true);
	recording_free(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pgsql");
	TCase *other = tcase_create("other");

	suite_add_tcase(suite, recorded_tests(&recordings));
	tcase_set_timeout(other, 60);
	tcase_add_test(other, copies_may_be_read_first);
	tcase_add_test(other, gap_is_marked);
	suite_add_tcase(suite, other);
	return suite_run(suite);
}
