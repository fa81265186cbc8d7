/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * suite.h - what every program of unit tests ends with: running its suite.
 *
 * check's own variables (CK_FORK, CK_RUN_CASE, CK_VERBOSITY ...) are heeded.
 */
#ifndef DATASNOOP_TESTS_UNIT_SUITE_H
#define DATASNOOP_TESTS_UNIT_SUITE_H

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>

/* The end of a loop test over an array. */
#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))

#ifdef __SANITIZE_ADDRESS__
#define SUITE_SANITIZED	 true
#define SUITE_PLACES_MAX 150
#else
#define SUITE_SANITIZED	 false
#define SUITE_PLACES_MAX 3000
#endif

/*
 * How far apart the places in so many bytes are at which something is tried.
 * With a sanitizer it is fewer places, spread as evenly: what is told is
 * proven by the plain build, what is touched by this one.  Odd, so that fields
 * of two or four bytes are met at each of their bytes.
 */
static inline size_t suite_stride(size_t length)
{
	return (1 + length / SUITE_PLACES_MAX) | 1;
}

static inline int suite_run_in(Suite *suite, enum fork_status status)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_set_fork_status(runner, status);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Frees the suite; what main() returns. */
static inline int suite_run(Suite *suite)
{
	return suite_run_in(suite, CK_FORK_GETENV);
}

/* The same for tests that change what is the whole process's. */
static inline int suite_run_apart(Suite *suite)
{
	return suite_run_in(suite, CK_FORK);
}

#endif
