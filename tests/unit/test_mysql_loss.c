/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mysql_loss.c - bytes of both sides are lost: no wrong answer is whole.
 *
 * Each conversation is run once without loss, which is the truth: it has the
 * times and sizes of each exchange, so that no two lines are equal.  Then with
 * gaps: what is called complete must be in the truth as it is; what no gap has
 * touched must be there.
 */
#define _GNU_SOURCE
#include <check.h>

#include "tests/unit/drive.h"

#define CAPTURES "tests/captures/"
#define EXCHANGES_MAX 16
#define BORDERS_MAX   256

/* A conversation with its packets' borders and its exchanges' places. */
struct talk {
	struct recording r;
	uint64_t ns;
	bool batched; /* a response moves at once, not by packets */
	size_t borders[SIDES][BORDERS_MAX], border_count[SIDES];
	size_t starts[EXCHANGES_MAX][SIDES], ends[EXCHANGES_MAX][SIDES];
	size_t count;
};

/* What is between two places of a side. */
struct range {
	size_t from, to;
};

static void say(struct talk *t, enum side side, uint8_t sequence,
		const void *payload, size_t length)
{
	struct recording *r = &t->r;
	bool joins = t->batched && r->piece_count &&
		     r->pieces[r->piece_count - 1].side == side;
	uint8_t bytes[256] = { (uint8_t)length, 0, 0, sequence };

	ck_assert_uint_lt(length, sizeof(bytes) - 4);
	memcpy(bytes + 4, payload, length);
	ck_assert_uint_lt(t->border_count[side], BORDERS_MAX);
	t->borders[side][t->border_count[side]++] = r->length[side];
	t->ns += 1000;
	recording_add(r, side, bytes, length + 4, t->ns);
	if (joins) {
		r->piece_count--;
		r->pieces[r->piece_count - 1].length += length + 4;
	}
}

#define SAY(t, side, sequence, literal) \
	say(t, side, sequence, literal, sizeof(literal) - 1)

static void begin(struct talk *t, const char *statement)
{
	ck_assert_uint_lt(t->count, EXCHANGES_MAX);
	t->starts[t->count][SIDE_CLIENT] = t->r.length[SIDE_CLIENT];
	t->starts[t->count][SIDE_SERVER] = t->r.length[SIDE_SERVER];
	say(t, SIDE_CLIENT, 0, statement, strlen(statement));
}

static void end(struct talk *t)
{
	t->ends[t->count][SIDE_CLIENT] = t->r.length[SIDE_CLIENT];
	t->ends[t->count][SIDE_SERVER] = t->r.length[SIDE_SERVER];
	t->count++;
}

static void changes(struct talk *t, const char *statement, uint8_t affected)
{
	uint8_t ok[] = { 0, affected, 0, 2, 0, 0, 0 };

	begin(t, statement);
	say(t, SIDE_SERVER, 1, ok, sizeof(ok));
	end(t);
}

static void selects(struct talk *t, const char *statement, unsigned rows)
{
	static const char definition[] =
		"\3def\0\1t\1t\1a\1a\x0c\x3f\0\1\0\0\0\xfd\0\0\0\0\0";
	uint8_t sequence = 1;

	begin(t, statement);
	say(t, SIDE_SERVER, sequence++, "\1", 1);
	say(t, SIDE_SERVER, sequence++, definition, sizeof(definition) - 1);
	while (rows--)
		say(t, SIDE_SERVER, sequence++, "\3row", 4);
	say(t, SIDE_SERVER, sequence, "\xfe\0\0\2\0\0\0", 7);
	end(t);
}

/* Seven statements, no two with the same answer, between two pings. */
static struct talk talk_of(bool batched)
{
	struct talk t = { .batched = batched };

	changes(&t, "\x0e", 0);
	selects(&t, "\3SELECT a FROM t WHERE a = 1", 1);
	changes(&t, "\3INSERT INTO t VALUES (2)", 12);
	selects(&t, "\3SELECT a FROM t WHERE a = 3", 3);
	selects(&t, "\3SELECT a FROM t WHERE a = 4", 2);
	changes(&t, "\3UPDATE t SET a = 5", 15);
	changes(&t, "\3DELETE FROM t WHERE a = 6", 16);
	changes(&t, "\x0e", 0);
	t.starts[t.count][SIDE_CLIENT] = t.r.length[SIDE_CLIENT];
	SAY(&t, SIDE_CLIENT, 0, "\1");
	for (int side = 0; side < SIDES; side++)
		t.borders[side][t.border_count[side]++] = t.r.length[side];
	return t;
}

/* The exchange's own lines are those with its request's time. */
static const char *line_of(const char *lines, const struct talk *t, size_t n)
{
	char key[32];
	const char *at;

	for (size_t i = 0; i < t->r.piece_count; i++)
		if (t->r.pieces[i].side == SIDE_CLIENT &&
		    t->r.pieces[i].at == t->starts[n][SIDE_CLIENT])
			snprintf(key, sizeof(key), " us=%" PRIu64 "/",
				 t->r.pieces[i].ns / 1000);
	at = strstr(lines, key);
	while (at && at > lines && at[-1] != '\n')
		at--;
	return at;
}

static bool is_touched(const struct talk *t, size_t n, enum side side,
		       struct range gap)
{
	return gap.from < gap.to && t->starts[n][side] < gap.to &&
	       gap.from < t->ends[n][side];
}

/* Both gaps are before the exchange, or both behind it. */
static bool is_aside(const struct talk *t, size_t n,
		     const struct range gaps[SIDES])
{
	bool before = true, behind = true;

	for (int side = 0; side < SIDES; side++) {
		if (gaps[side].from == gaps[side].to)
			continue;
		before = before && gaps[side].to <= t->starts[n][side];
		behind = behind && gaps[side].from >= t->ends[n][side];
	}
	return before || behind;
}

/* What is complete is in the truth, word for word. */
static void assert_no_lie(const char *lines, const char *truth,
			  const char *what)
{
	char *copy = strdup(lines), *rest = copy, *line;

	while ((line = strsep(&rest, "\n")) && *line)
		ck_assert_msg(strstr(line, " incomplete ") ||
				      strstr(truth, line),
			      "%s: not true: %.300s\nin:\n%.900s", what, line,
			      lines);
	free(copy);
}

static void assert_right(const struct talk *t, const char *truth,
			 const char *lines, const struct range gaps[SIDES],
			 const char *what)
{
	bool one_sided = gaps[0].from == gaps[0].to ||
			 gaps[1].from == gaps[1].to;

	assert_no_lie(lines, truth, what);
	for (size_t n = 0; n < t->count; n++) {
		const char *line = line_of(truth, t, n);
		size_t length = strcspn(line, "\n");
		bool whole = !is_touched(t, n, SIDE_CLIENT, gaps[0]) &&
			     !is_touched(t, n, SIDE_SERVER, gaps[1]);

		if (!whole || !(one_sided || is_aside(t, n, gaps)))
			continue;
		ck_assert_msg(memmem(lines, strlen(lines), line, length),
			      "%s: missing: %.*s\nin:\n%.900s", what,
			      (int)length, line, lines);
	}
}

static char *run_gaps(const struct recording *r,
		      const struct range gaps[SIDES], bool client_first)
{
	struct drive d = { .recording = r, .parser = &mysql_parser,
			   .client_first = client_first };

	for (int side = 0; side < SIDES; side++)
		if (gaps[side].from < gaps[side].to)
			d.gaps[d.gap_count++] = (struct drive_gap){
				(enum side)side, gaps[side].from,
				gaps[side].to - gaps[side].from };
	return drive_lines(&d);
}

static void check_gaps(const struct talk *t, const char *truth,
		       const struct range gaps[SIDES])
{
	char *lines = run_gaps(&t->r, gaps, false), what[96];

	snprintf(what, sizeof(what), "client %zu-%zu server %zu-%zu",
		 gaps[0].from, gaps[0].to, gaps[1].from, gaps[1].to);
	assert_right(t, truth, lines, gaps, what);
	free(lines);
}

/* Every gap of the server's whole packets with that of the client's. */
static void check_server_gaps(const struct talk *t, const char *truth,
			      struct range client)
{
	const size_t *borders = t->borders[SIDE_SERVER];
	size_t count = t->border_count[SIDE_SERVER];

	for (size_t from = 0; from < count; from++) {
		for (size_t to = from; to < count; to++) {
			const struct range gaps[SIDES] = {
				client, { borders[from], borders[to] } };

			if (from == to && from)
				continue;
			check_gaps(t, truth, gaps);
		}
	}
}

START_TEST(gaps_of_both_sides)
{
	struct talk t = talk_of(_i & 1);
	const size_t *borders = t.borders[SIDE_CLIENT];
	static const struct range none[SIDES];
	char *truth = run_gaps(&t.r, none, false);

	ck_assert_ptr_null(strstr(truth, "incomplete"));
	for (size_t from = 0; from < t.border_count[SIDE_CLIENT]; from++) {
		for (size_t to = from; to < t.border_count[SIDE_CLIENT]; to++) {
			const struct range gap = { borders[from], borders[to] };

			if (from != to || !from)
				check_server_gaps(&t, truth, gap);
		}
	}
	free(truth);
	recording_free(&t.r);
}
END_TEST

/*
 * A response behind the server's gap is whole when the client's next request
 * is seen, and not before: one in between may be what it answers.
 */
START_TEST(next_request_proves)
{
	struct talk t = { .batched = true };
	struct range gaps[SIDES] = { { 0, 0 }, { 11, 22 } };
	char *lines;

	changes(&t, "\x0e", 0);
	changes(&t, "\3INSERT INTO t VALUES (1)", 11);
	changes(&t, "\3INSERT INTO t VALUES (2)", 12);
	lines = run_gaps(&t.r, gaps, false);
	ck_assert_ptr_nonnull(strstr(lines, "affected=12 results=1 targets:1 "
		"=\"t\" statement=\"INSERT INTO t VALUES (2)\" "
		"masked=\"INSERT INTO t VALUES (?)\" incomplete"));
	free(lines);
	SAY(&t, SIDE_CLIENT, 0, "\1");
	lines = run_gaps(&t.r, gaps, false);
	ck_assert_ptr_nonnull(strstr(lines, "affected=12 results=1 targets:1 "
		"=\"t\" statement=\"INSERT INTO t VALUES (2)\" "
		"masked=\"INSERT INTO t VALUES (?)\" bytes"));
	free(lines);
	recording_free(&t.r);
}
END_TEST

/* Times prove nothing of who pipelines: nothing is whole behind a gap. */
START_TEST(pipelining_proves_nothing)
{
	struct talk t = { .batched = true };
	struct range gaps[SIDES] = { { 0, 0 }, { 33, 44 } };
	char *lines, *at;

	changes(&t, "\x0e", 0);
	for (int burst = 0; burst < 3; burst++) {
		SAY(&t, SIDE_CLIENT, 0, "\3DO 1");
		SAY(&t, SIDE_CLIENT, 0, "\3DO 2");
		SAY(&t, SIDE_SERVER, 1, "\0\1\0\2\0\0\0");
		SAY(&t, SIDE_SERVER, 1, "\0\2\0\2\0\0\0");
	}
	lines = run_gaps(&t.r, gaps, false);
	at = strstr(lines, "incomplete");
	ck_assert_ptr_nonnull(at);
	ck_assert_ptr_nonnull(memmem(lines, (size_t)(at - lines),
				     "affected=2", 10));
	while ((at = strchr(at, '\n')) && *++at)
		ck_assert_ptr_nonnull(memmem(at, strcspn(at, "\n"),
					     "incomplete", 10));
	free(lines);
	recording_free(&t.r);
}
END_TEST

static uint32_t seed;

static size_t draw(size_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (size_t)((uint64_t)seed * below >> 32);
}

/* Where packets of a side begin that moved after `ns`, and its end. */
static size_t find_borders(const struct recording *r, enum side side,
			   uint64_t ns, size_t *borders)
{
	const uint8_t *bytes = r->bytes[side];
	size_t count = 0, at = 0;

	for (size_t i = 0; i < r->piece_count; i++)
		if (r->pieces[i].side == side && r->pieces[i].ns <= ns)
			at = r->pieces[i].at + r->pieces[i].length;
	while (at + 4 <= r->length[side] && count < BORDERS_MAX - 1) {
		borders[count++] = at;
		at += 4u + (bytes[at] | bytes[at + 1] << 8 |
			    (size_t)bytes[at + 2] << 16);
	}
	borders[count++] = r->length[side];
	return count;
}

static struct range draw_range(const size_t *borders, size_t count,
			       bool anywhere)
{
	size_t from = draw(count), to = from + draw(count - from);
	struct range range = { borders[from], borders[to] };

	if (draw(2) && to - from > 4)
		range.to = borders[from + 1 + draw(4)];
	if (anywhere && range.to > range.from) {
		range.from += draw(range.to - range.from);
		range.to -= draw(range.to - range.from);
	}
	return range;
}

/* Cuts ` key...` up to `end` out of the line. */
static void cut_out(char *line, const char *key, char end)
{
	char *at = strstr(line, key), *to = at ? strchr(at + strlen(key), end) :
						 NULL;

	if (to)
		memmove(at, to + 1, strlen(to));
}

/*
 * What a line says though the database has become unknown, and whether a
 * PREPARE's definitions end in an EOF.
 */
static void normalise(char *line)
{
	char *at;

	cut_out(line, " namespace=\"", '"');
	while ((at = strstr(line, "=\"shop.")))
		memmove(at + 2, at + 7, strlen(at + 7) + 1);
	if (!strncmp(line, "PREPARE ", 8))
		cut_out(line, " bytes=", ' ');
}

/* Is it of an execution, whose statement or types may have been lost before? */
static bool knows_less(const char *line)
{
	return strstr(line, "unknown-statement") ||
	       !strstr(line, " columns:") || !strstr(line, " parameters:");
}

/* Are the two answers the same, in all that is their own? */
static bool is_known_answer(const char *line, const char *other)
{
	const char *bytes = strstr(line, " bytes=");
	const char *rows = strstr(line, " rows=");
	size_t length = (size_t)(strstr(rows, " results=") - rows);

	return bytes && strstr(other, bytes) &&
	       memmem(other, strlen(other), rows, length);
}

/* Is it in the truth, but for what it does not say? */
static bool is_true(const char *line, const char *truth)
{
	char *mine = strdup(line), *copy = strdup(truth), *rest = copy, *other;
	bool found = strstr(truth, line);

	normalise(mine);
	while (!found && (other = strsep(&rest, "\n")) && *other) {
		const char *database = strstr(line, " namespace=\"");
		size_t length = database ?
			(size_t)(strchr(database + 12, '"') + 1 - database) : 0;

		if (database && !memmem(other, strlen(other), database, length))
			continue;
		normalise(other);
		found = !strcmp(mine, other) ||
			(knows_less(line) && is_known_answer(mine, other));
	}
	free(mine);
	free(copy);
	return found;
}

static void check_capture(const struct recording *r, const char *name,
			  uint64_t ns)
{
	static const struct range none[SIDES];
	size_t borders[SIDES][BORDERS_MAX], count[SIDES];
	char *truth = run_gaps(r, none, false);

	for (int side = 0; side < SIDES; side++)
		count[side] = find_borders(r, (enum side)side, ns,
					   borders[side]);
	for (int round = 0; round < 3000; round++) {
		bool anywhere = round & 1;
		const struct range gaps[SIDES] = {
			draw_range(borders[0], count[0], anywhere),
			draw_range(borders[1], count[1], anywhere) };
		char *lines = run_gaps(r, gaps, round % 16 == 15);
		char *rest = lines, *line;

		while ((line = strsep(&rest, "\n")) && *line)
			ck_assert_msg(strstr(line, " incomplete ") ||
				is_true(line, truth),
				"%s, client %zu-%zu server %zu-%zu: %.400s",
				name, gaps[0].from, gaps[0].to, gaps[1].from,
				gaps[1].to, line);
		free(lines);
	}
	free(truth);
}

/*
 * Gaps begin after that time.  Who pipelines must have been seen to do so:
 * times mislead about the first requests that do.
 */
static const struct {
	const char *name;
	uint64_t after_ns;
} captures[] = {
	{ "change-user", 0 }, { "cli", 0 }, { "load", 0 },
	{ "pipelined-eof", 5000 }, { "pipelined-ok", 5000 },
	{ "plain-eof", 0 }, { "plain-ok", 0 }, { "prepared-cached", 0 },
	{ "prepared-eof", 0 }, { "prepared-ok", 0 }, { "text-eof", 0 },
	{ "text-ok", 0 },
};

/* Recorded conversations, with many a pair of gaps. */
START_TEST(gaps_in_captures)
{
	struct recording r;
	char path[256];

	seed = (uint32_t)_i;
	snprintf(path, sizeof(path), CAPTURES "%s.mysql", captures[_i].name);
	ck_assert_msg(recording_load(&r, path), "no %s", path);
	check_capture(&r, captures[_i].name, captures[_i].after_ns);
	recording_free(&r);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("mysql_loss");
	TCase *written = tcase_create("written");
	TCase *recorded = tcase_create("recorded");

	tcase_set_timeout(written, 300);
	tcase_add_loop_test(written, gaps_of_both_sides, 0, 2);
	tcase_add_test(written, next_request_proves);
	tcase_add_test(written, pipelining_proves_nothing);
	suite_add_tcase(s, written);
	tcase_set_timeout(recorded, 300);
	tcase_add_loop_test(recorded, gaps_in_captures, 0,
			    sizeof(captures) / sizeof(*captures));
	suite_add_tcase(s, recorded);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
