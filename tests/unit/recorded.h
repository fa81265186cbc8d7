/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recorded.h - the tests that every parser has of its recordings.
 *
 * Recordings are found relative to the directory of the sources, from which
 * make runs the tests; what they hold is in tests/captures/README.
 */
#ifndef DATASNOOP_TESTS_UNIT_RECORDED_H
#define DATASNOOP_TESTS_UNIT_RECORDED_H

#include "tests/unit/laws.h"

/*
 * A parser's recordings FOLDER/NAME.ENDING, with NAME.expected beside them.
 * Counts are of the first of the names: what a law is asserted of.
 */
struct recorded {
	const struct parser *parser;
	const char *folder, *ending;
	const char *const *names;
	int count;
	int cut;	    /* cut at each place */
	int truncated;	    /* one side ends at each place */
	int torn;	    /* with gaps, and begun late: no state is in them */
	int ordered;	    /* all of the client's bytes before the server's */
	size_t gaps[6];	    /* lengths of the gaps, up to a 0 */
	bool doubts;	    /* law_others() */
	const char *forgot; /* what a loss may cost others, " namespace=\"" */
};

/* Of the program; recorded_tests() sets it. */
static const struct recorded *recorded;

static inline struct recording recorded_load(const char *name)
{
	struct recording r;
	char path[256];

	snprintf(path, sizeof(path), "%s/%s.%s", recorded->folder, name,
		 recorded->ending);
	ck_assert_msg(recording_load(&r, path), "no %s", path);
	return r;
}

/* The lines of a recording with all values; the caller frees them. */
static inline char *recorded_lines(const char *name)
{
	struct recording r = recorded_load(name);
	struct drive d = { .recording = &r, .parser = recorded->parser,
			   .values = true };
	char *lines = drive_lines(&d);

	recording_free(&r);
	return lines;
}

START_TEST(captures_give_what_is_expected)
{
	struct recording r = recorded_load(recorded->names[_i]);
	char path[256];

	snprintf(path, sizeof(path), "%s/%s.expected", recorded->folder,
		 recorded->names[_i]);
	law_expected(recorded->parser, &r, path);
	recording_free(&r);
}
END_TEST

START_TEST(client_may_be_read_first)
{
	struct recording r = recorded_load(recorded->names[_i]);

	law_client_first(recorded->parser, &r, true);
	recording_free(&r);
}
END_TEST

START_TEST(cuts_change_nothing)
{
	struct recording r = recorded_load(recorded->names[_i]);

	law_cuts(recorded->parser, &r);
	recording_free(&r);
}
END_TEST

START_TEST(truncation_keeps_what_was_complete)
{
	struct recording r = recorded_load(recorded->names[_i]);

	law_truncation(recorded->parser, &r, recorded->forgot);
	recording_free(&r);
}
END_TEST

START_TEST(gaps_touch_only_their_turn)
{
	struct recording r = recorded_load(recorded->names[_i]);

	for (int i = 0; recorded->gaps[i]; i++)
		law_gaps(recorded->parser, &r, recorded->gaps[i],
			 recorded->forgot, recorded->doubts);
	recording_free(&r);
}
END_TEST

START_TEST(a_late_start_finds_the_next_turn)
{
	struct recording r = recorded_load(recorded->names[_i]);

	law_late_start(recorded->parser, &r, recorded->forgot,
		       recorded->doubts);
	recording_free(&r);
}
END_TEST

/* These tests of the recordings, to be added to; `which` outlives them. */
static inline TCase *recorded_tests(const struct recorded *which)
{
	TCase *tcase = tcase_create("recorded");

	recorded = which;
	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, captures_give_what_is_expected, 0,
			    which->count);
	tcase_add_loop_test(tcase, client_may_be_read_first, 0,
			    which->ordered);
	tcase_add_loop_test(tcase, cuts_change_nothing, 0, which->cut);
	tcase_add_loop_test(tcase, truncation_keeps_what_was_complete, 0,
			    which->truncated);
	tcase_add_loop_test(tcase, gaps_touch_only_their_turn, 0, which->torn);
	tcase_add_loop_test(tcase, a_late_start_finds_the_next_turn, 0,
			    which->torn);
	return tcase;
}

#endif
