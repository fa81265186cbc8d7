/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pgsql.c - the PostgreSQL parser on recorded conversations.
 *
 * Recordings: tests/captures/pgsql (see README there).  Found relative to the
 * directory of the sources, from which make runs the tests.
 */
#define _GNU_SOURCE
#include <check.h>

#include "tests/unit/drive.h"

#define CAPTURES "tests/captures/pgsql/"

static const char *const captures[] = {
	"simple", "copying", "extended", "pipelined", "replication", "plain",
	"psql",
};
#define CAPTURE_COUNT (sizeof(captures) / sizeof(*captures))

/* What one exchange leaves to the next is nothing in these. */
static const char *const plain[] = { "plain" };
#define PLAIN_COUNT (sizeof(plain) / sizeof(*plain))

static struct recording load(const char *name)
{
	struct recording r;
	char path[256];

	snprintf(path, sizeof(path), CAPTURES "%s.pgsql", name);
	ck_assert_msg(recording_load(&r, path), "no %s", path);
	return r;
}

static char *read_expected(const char *name)
{
	char path[256], *text = NULL;
	size_t room = 0;
	FILE *file;

	snprintf(path, sizeof(path), CAPTURES "%s.expected", name);
	file = fopen(path, "r");
	ck_assert_msg(file != NULL, "no %s", path);
	ck_assert_int_gt(getdelim(&text, &room, '\0', file), 0);
	fclose(file);
	return text;
}

/* check's own messages are too short for whole conversations. */
static void assert_same(const char *lines, const char *expected,
			const char *what, size_t at)
{
	size_t i = 0;

	if (!strcmp(lines, expected))
		return;
	while (lines[i] == expected[i])
		i++;
	ck_abort_msg("%s at %zu: %.300s\nexpected: %.300s", what, at,
		     lines + i, expected + i);
}

static char *lines_of(const struct recording *r, size_t cut)
{
	struct drive d = { .recording = r, .parser = &pgsql_parser,
			   .cut = cut, .values = true };

	return drive_lines(&d);
}

START_TEST(captures_give_what_is_expected)
{
	struct recording r = load(captures[_i]);
	char *expected = read_expected(captures[_i]);
	char *lines = lines_of(&r, 0);

	assert_same(lines, expected, captures[_i], 0);
	free(lines);
	free(expected);
	recording_free(&r);
}
END_TEST

/* The same at every cut, in pieces of any size, in another order of sides. */
START_TEST(cuts_change_nothing)
{
	static const size_t sizes[] = { 1, 2, 3, 4, 5, 7, 64 };
	struct recording r = load(captures[_i]);
	char *whole = lines_of(&r, 0), *lines;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		lines = lines_of(&r, sizes[i]);
		assert_same(lines, whole, "pieces", sizes[i]);
		free(lines);
	}
	for (int side = 0; side < SIDES; side++) {
		for (size_t at = 1; at < r.length[side]; at++) {
			struct drive d = { .recording = &r, .values = true,
					   .parser = &pgsql_parser };

			d.cut_at[side] = at;
			lines = drive_lines(&d);
			assert_same(lines, whole, "cut", at);
			free(lines);
		}
	}
	free(whole);
	recording_free(&r);
}
END_TEST

START_TEST(client_may_be_read_first)
{
	struct recording r = load(captures[_i]);
	struct drive by_time = { .recording = &r, .parser = &pgsql_parser };
	char *whole = drive_lines(&by_time), *lines;
	struct drive d = { .recording = &r, .parser = &pgsql_parser,
			   .client_first = true };

	lines = drive_lines(&d);
	assert_same(lines, whole, captures[_i], 0);
	free(lines);
	free(whole);
	recording_free(&r);
}
END_TEST

/* Removes ` namespace="..."`: a start in mid-connection can't know it. */
static void drop_namespace(char *lines)
{
	static const char key[] = " namespace=\"";
	char *at;

	while ((at = strstr(lines, key))) {
		char *end = strchr(at + sizeof(key) - 1, '"');

		memmove(at, end + 1, strlen(end + 1) + 1);
	}
}

/* Cut off anywhere: what was complete before is as it was. */
START_TEST(truncation_keeps_what_was_complete)
{
	struct recording r = load(captures[_i]);
	struct drive d = { .recording = &r, .parser = &pgsql_parser,
			   .brief = true };
	char *whole = drive_lines(&d);

	drop_namespace(whole);
	for (int side = 0; side < SIDES; side++) {
		for (size_t at = 0; at < r.length[side]; at++) {
			struct drive cut = d;
			char *lines, *line, *rest;

			cut.gaps[0] = (struct drive_gap){
				(enum side)side, at, r.length[side] - at };
			cut.gap_count = 1;
			lines = drive_lines(&cut);
			drop_namespace(lines);
			for (rest = lines; (line = strsep(&rest, "\n"));) {
				if (strstr(line, " incomplete "))
					break;
				ck_assert_msg(strstr(whole, line) != NULL,
					      "side %d cut at %zu: %s", side,
					      at, line);
			}
			free(lines);
		}
	}
	free(whole);
	recording_free(&r);
}
END_TEST

/* The number of the turn (client's pieces, then the server's) of a byte. */
static unsigned turn_of(const struct recording *r, enum side side, size_t at)
{
	enum side before = SIDE_SERVER;
	unsigned turn = 0;

	for (size_t i = 0; i < r->piece_count; i++) {
		const struct drive_piece *p = &r->pieces[i];

		turn += p->side == SIDE_CLIENT && before == SIDE_SERVER;
		before = p->side;
		if (p->side == side && at < p->at + p->length)
			return turn;
	}
	return turn;
}

/*
 * Line n of `whole` is turn n + 1's.  All but those of turns first to last are
 * in `lines`, in order; `lines` has no complete line that `whole` has not.
 */
static void assert_others_right(const char *whole, const char *lines,
				unsigned first, unsigned last, const char *what)
{
	char *copy = strdup(whole), *rest = copy, *line;
	const char *from = lines;
	unsigned turn = 0;

	while ((line = strsep(&rest, "\n")) && *line) {
		const char *found;

		if (++turn >= first && turn <= last)
			continue;
		found = strstr(from, line);
		ck_assert_msg(found != NULL,
			      "%s: not found: %.200s\nin:\n%.600s", what, line,
			      lines);
		from = found + strlen(line);
	}
	free(copy);
	copy = strdup(lines);
	for (rest = copy; (line = strsep(&rest, "\n")) && *line;)
		ck_assert_msg(strstr(line, " incomplete ") ||
				      strstr(whole, line),
			      "%s: invented: %s", what, line);
	free(copy);
}

/* Gaps of several lengths at every byte: all other exchanges are right. */
START_TEST(gap_spoils_its_own_exchange_alone)
{
	static const size_t sizes[] = { 1, 3, 9, 40, 200 };
	struct recording r = load(plain[_i]);
	struct drive base = { .recording = &r, .parser = &pgsql_parser,
			      .brief = true };
	char *whole = drive_lines(&base), what[64];

	drop_namespace(whole);
	for (int side = 0; side < SIDES; side++) {
		for (size_t at = 0; at < r.length[side]; at++) {
			size_t n = sizes[at % 5];
			struct drive d = base;
			char *lines;

			if (n > r.length[side] - at)
				n = r.length[side] - at;
			d.gaps[0].side = (enum side)side;
			d.gaps[0].at = at;
			d.gaps[0].length = n;
			d.gap_count = 1;
			lines = drive_lines(&d);
			drop_namespace(lines);
			snprintf(what, sizeof(what),
				 "side %d gap at %zu of %zu", side, at, n);
			assert_others_right(
				whole, lines,
				turn_of(&r, (enum side)side, at),
				turn_of(&r, (enum side)side, at + n - 1), what);
			free(lines);
		}
	}
	free(whole);
	recording_free(&r);
}
END_TEST

/* What is lost is said: the exchange of the gap is there and incomplete. */
START_TEST(gap_is_marked)
{
	struct recording r = load(plain[_i]);
	struct drive base = { .recording = &r, .parser = &pgsql_parser };

	drive_run(&base);
	for (size_t at = 12; at < r.length[SIDE_SERVER]; at++) {
		struct drive d = base;

		d.gaps[0] = (struct drive_gap){ SIDE_SERVER, at, 1 };
		d.gap_count = 1;
		drive_run(&d);
		ck_assert_msg(d.exchanges == base.exchanges,
			      "gap at %zu: %zu exchanges", at, d.exchanges);
		if (turn_of(&r, SIDE_SERVER, at) > 0)
			ck_assert_msg(d.incomplete == 1,
				      "gap at %zu: %zu incomplete", at,
				      d.incomplete);
	}
	recording_free(&r);
}
END_TEST

/* Started before each piece, and inside the server's. */
START_TEST(start_in_mid_connection)
{
	struct recording r = load(plain[_i]);
	struct drive base = { .recording = &r, .parser = &pgsql_parser,
			      .brief = true };
	char *whole = drive_lines(&base);

	drop_namespace(whole);
	for (size_t i = 1; i < r.piece_count; i++) {
		const struct drive_piece *p = &r.pieces[i];
		unsigned turn = turn_of(&r, p->side, p->at);
		size_t other = 0;

		for (size_t j = 0; j < i; j++)
			if (r.pieces[j].side != p->side)
				other = r.pieces[j].at + r.pieces[j].length;
		for (size_t into = 0; into < p->length && into < 40; into++) {
			struct drive d = base;
			char *lines, what[64];

			d.skip[p->side] = p->at + into;
			d.skip[!p->side] = other;
			lines = drive_lines(&d);
			drop_namespace(lines);
			snprintf(what, sizeof(what), "start in piece %zu + %zu",
				 i, into);
			assert_others_right(
				whole, lines, 0,
				p->side == SIDE_CLIENT && !into ? turn - 1 :
								  turn,
				what);
			free(lines);
		}
	}
	free(whole);
	recording_free(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pgsql");
	TCase *recorded = tcase_create("recorded");
	SRunner *runner;
	int failed;

	tcase_set_timeout(recorded, 300);
	tcase_add_loop_test(recorded, captures_give_what_is_expected, 0,
			    CAPTURE_COUNT);
	tcase_add_loop_test(recorded, cuts_change_nothing, 0, CAPTURE_COUNT);
	tcase_add_loop_test(recorded, client_may_be_read_first, 0,
			    CAPTURE_COUNT);
	tcase_add_loop_test(recorded, truncation_keeps_what_was_complete, 0,
			    CAPTURE_COUNT);
	tcase_add_loop_test(recorded, gap_spoils_its_own_exchange_alone, 0, 1);
	tcase_add_loop_test(recorded, gap_is_marked, 0, 1);
	tcase_add_loop_test(recorded, start_in_mid_connection, 0, 1);
	suite_add_tcase(suite, recorded);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
