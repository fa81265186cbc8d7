/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_closing.c - probes/closing.c: when who closes sockets is looked at.
 */
#include <check.h>
#include <errno.h>

#include "probes/closing.h"
#include "tests/unit/suite.h"

#define MS	      1000000ULL
#define PROCESSES_MAX 512

static struct closing *closing;

static void set_up(void)
{
	closing = closing_new();
	ck_assert_ptr_nonnull(closing);
}

static void tear_down(void)
{
	closing_free(closing);
}

/* Who is to be looked at; 0: nobody. */
static pid_t take(uint64_t now_ms)
{
	pid_t pid = 0;

	return closing_take(closing, now_ms * MS, &pid) ? pid : 0;
}

START_TEST(each_is_looked_at_soon_and_once_more)
{
	ck_assert_int_eq(take(0), 0);
	ck_assert_int_eq(closing_told(closing, 7, 1000 * MS), 0);
	ck_assert_int_eq(closing_told(closing, 8, 1020 * MS), 0);
	ck_assert_int_eq(take(1049), 0);
	ck_assert_int_eq(take(1050), 7);
	ck_assert_int_eq(take(1050), 0);
	ck_assert_int_eq(take(1070), 8);
	ck_assert_int_eq(take(1199), 0);
	ck_assert_int_eq(take(1220), 7);
	ck_assert_int_eq(take(1220), 8);
	ck_assert_int_eq(take(99999), 0);
}
END_TEST

/* However often it is told of: neither never, nor each time. */
START_TEST(one_that_closes_on_and_on_is_looked_at_now_and_then)
{
	unsigned looks = 0;

	for (uint64_t ms = 1000; ms < 2000; ms++) {
		ck_assert_int_eq(closing_told(closing, 7, ms * MS), 0);
		looks += take(ms) == 7;
	}
	ck_assert_uint_ge(looks, 10);
	ck_assert_uint_le(looks, 20);
	/* And when it has stopped, for what it did last. */
	while (take(2150))
		;
	ck_assert_int_eq(take(2198), 0);
	ck_assert_int_eq(take(2199), 7);
	ck_assert_int_eq(take(99999), 0);
}
END_TEST

START_TEST(there_is_a_bound)
{
	for (int i = 1; i <= PROCESSES_MAX; i++)
		ck_assert_int_eq(closing_told(closing, i, 0), 0);
	ck_assert_int_eq(closing_told(closing, 5, 0), 0);
	ck_assert_int_eq(closing_told(closing, PROCESSES_MAX + 1, 0), -ENOSPC);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("closing");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, each_is_looked_at_soon_and_once_more);
	tcase_add_test(all, one_that_closes_on_and_on_is_looked_at_now_and_then);
	tcase_add_test(all, there_is_a_bound);
	suite_add_tcase(suite, all);
	return suite_run(suite);
}
