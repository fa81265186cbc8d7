/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_redis_loss.c - what a loss leaves unknown of a Redis connection.
 *
 * The database, the subscriptions, a transaction's outcome, who is answered.
 */
#define _GNU_SOURCE
#include "tests/unit/turns.h"

static const struct turns_case cases[] = {
	/* a SELECT that was not seen, and one whose reply was not */
	{ { "SELECT 4\r\n", "+OK\r\n", "PING\r\n", "+PONG\r\n",
	    "GET a\r\n", "$1\r\n1\r\n" },
	  "SELECT 4\r\n", 0,
	  { "GET & reply=\"1\"", "!GET & namespace",
	    "!GET & incomplete" } },
	{ { "SELECT 4\r\n", "+OK\r\n", "GET a\r\n", "$1\r\n1\r\n" },
	  "+OK\r\n", 0,
	  { "SELECT & incomplete", "GET & reply=\"1\"",
	    "!GET & namespace" } },
	{ { "SELECT 34\r\n", "+OK\r\n", "GET a\r\n", "$1\r\n1\r\n" },
	  "4\r\n", 1,
	  { "SELECT & incomplete", "GET & reply=\"1\"",
	    "!GET & namespace" } },
	/* what stood before the loss keeps its database */
	{ { "GET a\r\n", "$1\r\n1\r\n", "SELECT 4\r\n", "+OK\r\n" },
	  "SELECT 4\r\n", 0, { "GET & namespace=\"0\"" } },
	/* a SELECT in a transaction that is discarded */
	{ { "MULTI\r\n", "+OK\r\n", "SELECT 4\r\n", "+QUEUED\r\n",
	    "DISCARD\r\n", "+OK\r\n", "GET a\r\n", "$1\r\n1\r\n" },
	  NULL, 0, { "GET & namespace=\"0\"" } },
	/* a transaction whose EXEC, or its reply, was lost */
	{ { "MULTI\r\n", "+OK\r\n", "SET a 1\r\n", "+QUEUED\r\n",
	    "EXEC\r\n", "*1\r\n+OK\r\n", "RESET\r\n", "+RESET\r\n" },
	  "EXEC\r\n", 0,
	  { "SET & transaction=\"queued\" & incomplete",
	    "!SET & discarded" } },
	{ { "MULTI\r\n", "+OK\r\n", "SET a 1\r\n", "+QUEUED\r\n",
	    "EXEC\r\n", "*1\r\n+OK\r\n", "RESET\r\n", "+RESET\r\n" },
	  "*1\r\n+OK\r\n", 0,
	  { "SET & transaction=\"queued\" & incomplete",
	    "!SET & discarded" } },
	/* a hole in EXEC's element is one of the command's reply */
	{ { "MULTI\r\n", "+OK\r\n", "GET a\r\n", "+QUEUED\r\n",
	    "EXEC\r\n", "*1\r\n$4\r\nabcd\r\n" },
	  "cd", 1, { "GET & incomplete", "EXEC & incomplete" } },
	/* the outcome is told by DISCARD's reply, the eighth piece */
	{ { "MULTI\r\n", "+OK\r\n", "GET a\r\n", "+QUEUED\r\n",
	    "DISCARD\r\n", "+OK\r\n" },
	  NULL, 0, { "GET & discarded & us=3/4/6" } },
	/* acknowledgements are no messages */
	{ { "SUBSCRIBE a\r\n",
	    "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
	    "UNSUBSCRIBE a\r\n",
	    "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n",
	    "GET a\r\n", "$1\r\n1\r\n" },
	  "UNSUBSCRIBE a\r\n", 0,
	  { "PUSH & unsubscribe & incomplete", "GET & reply=\"1\"",
	    "!GET & incomplete" } },
	{ { "SUBSCRIBE a\r\n",
	    "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
	    "UNSUBSCRIBE a\r\n",
	    "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n" },
	  "*3\r\n$9", 0, { "SUBSCRIBE & incomplete",
			   "UNSUBSCRIBE & unsubscribe", "!PUSH" } },
	/* of two channels the first one's is lost */
	{ { "SUBSCRIBE a b\r\n",
	    "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
	    "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n",
	    "PING\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n" },
	  "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", 0,
	  { "SUBSCRIBE & incomplete", "PING & pong", "!PING & incomplete" } },
	/* nor is the tail of an array a reply */
	{ { "SUBSCRIBE a\r\n",
	    "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
	    "PING\r\n", "*2\r\n$4\r\npong\r\n$0\r\n\r\n" },
	  "*2\r\n$4\r\npong\r\n", 0, { "PING & incomplete" } },
	/* what others of its write were answered, nobody knows */
	{ { "PING\r\n", "+PONG\r\n", "DEL a\r\n", ":1\r\n",
	    "GET b\r\nGET c\r\n", "$1\r\n2\r\n$1\r\n3\r\n",
	    "GET d\r\n", "$1\r\n4\r\n" },
	  "DEL a\r\nGET b\r\n", 0,
	  { "GET & \"c\" & incomplete", "GET & \"d\" & reply=\"4\"",
	    "!GET & \"d\" & incomplete" } },
	{ { "PING\r\n", "+PONG\r\n", "DEL a\r\n", ":1\r\n",
	    "GET b\r\nGET c\r\nGET d\r\n",
	    "$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n",
	    "GET e\r\n", "$1\r\n5\r\n" },
	  "DEL a\r\nGET b\r\n", 0,
	  { "!GET & \"c\" & reply=", "!GET & \"d\" & reply=",
	    "GET & \"e\" & reply=\"5\"" } },
	/* was the silence ended? */
	{ { "CLIENT REPLY OFF\r\nSET a 1\r\n", "",
	    "CLIENT REPLY ON\r\nGET a\r\n", "+OK\r\n$1\r\n1\r\n",
	    "GET b\r\n", "$1\r\n2\r\n" },
	  "CLIENT REPLY ON\r\n", 22,
	  { "GET & reply=\"2\"", "!GET & reply=\"1\"" } },
	/* the tail of a value is no null */
	{ { "GET a\r\n", "$9\r\ngood_tail\r\n" },
	  "$9\r\ngood", 8, { "GET & incomplete", "!GET & null" } },
};

/* A client's lines become arrays; other bytes stay. */
static size_t write_arrays(char *out, const char *text)
{
	size_t length = 0;

	if (*text < 'A' || *text > 'Z')
		return turns_plain(out, text);
	while (*text) {
		size_t line = strcspn(text, "\r"), words = 1;

		for (size_t i = 0; i < line; i++)
			words += text[i] == ' ';
		length += (size_t)sprintf(out + length, "*%zu\r\n", words);
		for (size_t i = 0; i < line; i++) {
			size_t word = strcspn(text + i, " \r");

			length += (size_t)sprintf(out + length,
						  "$%zu\r\n%.*s\r\n", word,
						  (int)word, text + i);
			i += word;
		}
		text += line + 2;
	}
	return length;
}

START_TEST(a_loss_leaves_unknown_what_it_may_have_changed)
{
	turns_check(&redis_parser, &cases[_i], write_arrays);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("redis_loss");
	TCase *losses = tcase_create("losses");

	tcase_add_loop_test(losses,
			    a_loss_leaves_unknown_what_it_may_have_changed, 0,
			    COUNT(cases));
	suite_add_tcase(suite, losses);
	return suite_run(suite);
}
