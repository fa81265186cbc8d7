/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_memcached_loss.c - who is answered behind a loss of memcached's.
 */
#define _GNU_SOURCE
#include "tests/unit/turns.h"

static const struct turns_case cases[] = {
	/* the first command behind a loss is one that the server refuses */
	{ { "mn\r\n", "MN\r\n", "me key\r\n", "EN\r\n",
	    "ms key S\r\n", "CLIENT_ERROR bad data chunk\r\n",
	    "mn\r\n", "MN\r\n" },
	  "e key", 1,
	  { "ms & CLIENT_ERROR", "!ms & incomplete", "mn & MN" } },
	/* what others of its write were answered, nobody knows */
	{ { "mn\r\n", "MN\r\n", "mn\r\n", "MN\r\n",
	    "incr a 1\r\nincr b 1\r\n", "7\r\n8\r\n",
	    "incr c 1\r\n", "9\r\n" },
	  "mn\r\nincr a 1\r\n", 0,
	  { "incr & \"b\" & incomplete", "incr & \"c\" & \"9\"",
	    "!incr & \"c\" & incomplete" } },
	{ { "mn\r\n", "MN\r\n", "mn\r\n", "MN\r\n",
	    "incr a 1\r\nincr b 1\r\nincr c 1\r\n",
	    "7\r\n8\r\n9\r\n", "incr d 1\r\n", "5\r\n" },
	  "mn\r\nincr a 1\r\n", 0,
	  { "!incr & \"b\" & response", "!incr & \"c\" & response",
	    "incr & \"d\" & \"5\"" } },
	/* a quiet command is passed over, a lost one behind it is not */
	{ { "mg a v q Oa\r\nmg b v q Ob\r\nmg c v q Oc\r\nmn\r\n",
	    "VA 1 Oa\r\nx\r\nVA 1 Oc\r\nx\r\nMN\r\n",
	    "md d q\r\nmd e q\r\nmn\r\n", "NF\r\nMN\r\n" },
	  "c\r\nmn\r\nmd d q\r\n", 0,
	  { "md & \"e\" & incomplete", "mg & \"a\" & VA" } },
};

START_TEST(no_answer_is_given_to_another)
{
	turns_check(&memcached_parser, &cases[_i], turns_plain);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memcached_loss");
	TCase *losses = tcase_create("losses");

	tcase_add_loop_test(losses, no_answer_is_given_to_another, 0,
			    COUNT(cases));
	suite_add_tcase(suite, losses);
	return suite_run(suite);
}
