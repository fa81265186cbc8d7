/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_arguments.c - no secret of a command line is shown, all else is.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "streams/arguments.h"
#include "tests/unit/suite.h"

/* Arguments are written with a '|' between them. */
static const struct {
	const char *arguments, *shown;
} lines[] = {
	{"psql|-h|db|-p5432|shop|", "psql -h db -p5432 shop"},
	{"mysql|-psecret|-P|3306|", "mysql -p? -P 3306"},
	{"mysql|--password=secret|shop|", "mysql --password=? shop"},
	{"mysql|--password|secret|shop|", "mysql --password ? shop"},
	{"mysql|-p|shop|", "mysql -p shop"},
	{"env|PGPASSWORD=x y|psql|", "env PGPASSWORD=? psql"},
	{"curl|-u|bob:secret|http://h/a|", "curl -u bob:? http://h/a"},
	{"curl|--user|bob|http://h/a|", "curl --user bob http://h/a"},
	{"curl|http://bob:secret@h:80/a?b=c@d|",
	 "curl http://bob:?@h:80/a?b=c@d"},
	{"curl|-H|Authorization: Bearer abc|", "curl -H Authorization:?"},
	{"curl|-H|X-Api-Key: abc|-H|Accept: a/b|",
	 "curl -H X-Api-Key:? -H Accept: a/b"},
	{"agent|--api-key|sk-1|--model|m|", "agent --api-key ? --model m"},
	{"agent|--TOKEN=abc", "agent --TOKEN=?"},
	{"/usr/bin/redis-cli|-a|secret|get|k|", "/usr/bin/redis-cli -a ? get k"},
	{"ls|-a|b|", "ls -a b"},
	{"python3|-c|import time; print(1)|",
	 "python3 -c import time; print(1)"},
	{"", ""},
	{"|||", ""},
	{"cut|--passw", "cut --passw"},
};

START_TEST(test_line)
{
	size_t length = strlen(lines[_i].arguments);
	char *exact = malloc(length + 1), shown[128];

	memcpy(exact, lines[_i].arguments, length);
	exact = realloc(exact, length ? length : 1);
	for (size_t i = 0; i < length; i++)
		if (exact[i] == '|')
			exact[i] = '\0';
	arguments_show(shown, sizeof(shown), exact, length);
	ck_assert_str_eq(shown, lines[_i].shown);
	free(exact);
}
END_TEST

START_TEST(test_small)
{
	char shown[8];

	arguments_show(shown, sizeof(shown), "abcdef\0ghi", 10);
	ck_assert_str_eq(shown, "abcdef");
	arguments_show(shown, sizeof(shown), "abcdefghijkl", 12);
	ck_assert_str_eq(shown, "abcdefg");
}
END_TEST

/* However long the name is that ends in the telling word. */
START_TEST(test_long_name)
{
	char argument[400], shown[400];
	int length = snprintf(argument, sizeof(argument),
			      "--%0150d-password=secret", 0);

	arguments_show(shown, sizeof(shown), argument, (size_t)length);
	ck_assert_ptr_null(strstr(shown, "secret"));
	ck_assert_ptr_nonnull(strstr(shown, "-password=?"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("arguments");
	TCase *tcase = tcase_create("lines");

	tcase_add_loop_test(tcase, test_line, 0,
			    sizeof(lines) / sizeof(lines[0]));
	tcase_add_test(tcase, test_small);
	tcase_add_test(tcase, test_long_name);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
