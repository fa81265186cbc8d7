/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pgsql_loss.c - bytes of both sides are lost: no wrong answer is whole.
 *
 * Each conversation is run once without loss, which is the truth: it has the
 * times and sizes of each exchange, so that no two lines are equal.  Then with
 * gaps: what is called complete must be in the truth as it is; what no gap has
 * touched must be there.
 */
#define _GNU_SOURCE
#include <check.h>

#include "tests/unit/drive.h"

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

static void say(struct talk *t, enum side side, char type,
		const void *body, size_t length)
{
	struct recording *r = &t->r;
	bool joins = t->batched && r->piece_count &&
		     r->pieces[r->piece_count - 1].side == side;
	uint8_t bytes[256] = { (uint8_t)type, 0, 0, 0, (uint8_t)(length + 4) };

	ck_assert_uint_lt(length, sizeof(bytes) - 5);
	if (length)
		memcpy(bytes + 5, body, length);
	ck_assert_uint_lt(t->border_count[side], BORDERS_MAX);
	t->borders[side][t->border_count[side]++] = r->length[side];
	t->ns += 1000;
	recording_add(r, side, bytes, length + 5, t->ns);
	if (joins) {
		r->piece_count--;
		r->pieces[r->piece_count - 1].length += length + 5;
	}
}

#define SAY(t, side, type, literal) \
	say(t, side, type, literal, sizeof(literal) - 1)

static void begin(struct talk *t, const char *statement)
{
	ck_assert_uint_lt(t->count, EXCHANGES_MAX);
	t->starts[t->count][SIDE_CLIENT] = t->r.length[SIDE_CLIENT];
	t->starts[t->count][SIDE_SERVER] = t->r.length[SIDE_SERVER];
	say(t, SIDE_CLIENT, 'Q', statement, strlen(statement) + 1);
}

static void end(struct talk *t)
{
	t->ends[t->count][SIDE_CLIENT] = t->r.length[SIDE_CLIENT];
	t->ends[t->count][SIDE_SERVER] = t->r.length[SIDE_SERVER];
	t->count++;
}

static void changes(struct talk *t, const char *statement, unsigned affected)
{
	char tag[32];

	begin(t, statement);
	snprintf(tag, sizeof(tag), "DELETE %u", affected);
	say(t, SIDE_SERVER, 'C', tag, strlen(tag) + 1);
	SAY(t, SIDE_SERVER, 'Z', "I");
	end(t);
}

static void tell_rows(struct talk *t, unsigned rows)
{
	char tag[32];

	snprintf(tag, sizeof(tag), "SELECT %u", rows);
	while (rows--)
		SAY(t, SIDE_SERVER, 'D', "\0\1\0\0\0\3row");
	say(t, SIDE_SERVER, 'C', tag, strlen(tag) + 1);
	SAY(t, SIDE_SERVER, 'Z', "I");
	end(t);
}

static void selects(struct talk *t, const char *statement, unsigned rows)
{
	begin(t, statement);
	SAY(t, SIDE_SERVER, 'T', "\0\1a\0\0\0\0\0\0\0\0\0\0\x19"
	    "\xff\xff\xff\xff\xff\xff\0\0");
	tell_rows(t, rows);
}

/* Through the extended protocol, in one batch. */
static void executes(struct talk *t, const char *statement, unsigned rows)
{
	char body[64] = "";

	memcpy(body + 1, statement, strlen(statement));
	begin(t, "");
	t->border_count[SIDE_CLIENT]--;
	t->r.length[SIDE_CLIENT] -= 6;
	t->r.piece_count--;
	say(t, SIDE_CLIENT, 'P', body, strlen(statement) + 4);
	SAY(t, SIDE_CLIENT, 'B', "\0\0\0\0\0\0\0\0");
	SAY(t, SIDE_CLIENT, 'D', "P\0");
	SAY(t, SIDE_CLIENT, 'E', "\0\0\0\0\0");
	SAY(t, SIDE_CLIENT, 'S', "");
	SAY(t, SIDE_SERVER, '1', "");
	SAY(t, SIDE_SERVER, '2', "");
	SAY(t, SIDE_SERVER, 'T', "\0\1a\0\0\0\0\0\0\0\0\0\0\x19"
	    "\xff\xff\xff\xff\xff\xff\0\0");
	tell_rows(t, rows);
}

/* Seven statements, no two with the same answer, between two others. */
static struct talk talk_of(bool batched)
{
	struct talk t = { .batched = batched };

	changes(&t, "DO 0", 0);
	selects(&t, "SELECT a FROM t WHERE a = 1", 1);
	changes(&t, "INSERT INTO t VALUES (2)", 12);
	executes(&t, "SELECT a FROM t WHERE b = 3", 3);
	selects(&t, "SELECT a FROM t WHERE a = 4", 2);
	changes(&t, "UPDATE t SET a = 5", 15);
	executes(&t, "SELECT a FROM t WHERE b = 6", 4);
	changes(&t, "DO 7", 0);
	t.starts[t.count][SIDE_CLIENT] = t.r.length[SIDE_CLIENT];
	SAY(&t, SIDE_CLIENT, 'X', "");
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
	struct drive d = { .recording = r, .parser = &pgsql_parser,
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
	static const char key[] = "postgresql.tag=\"DELETE 12\"";
	struct talk t = { .batched = true };
	struct range gaps[SIDES] = { { 0, 0 }, { 0, 0 } };
	char *lines, *at;

	changes(&t, "DO 0", 10);
	gaps[SIDE_SERVER].from = t.r.length[SIDE_SERVER];
	changes(&t, "DO 1", 11);
	gaps[SIDE_SERVER].to = t.r.length[SIDE_SERVER];
	changes(&t, "DO 2", 12);
	for (int proven = 0; proven < 2; proven++) {
		lines = run_gaps(&t.r, gaps, false);
		at = strstr(lines, key);
		ck_assert_ptr_nonnull(at);
		ck_assert_int_eq(!memmem(at, strcspn(at, "\n"), "incomplete",
					 10), proven);
		free(lines);
		SAY(&t, SIDE_CLIENT, 'X', "");
	}
	recording_free(&t.r);
}
END_TEST

/* Times prove nothing of who pipelines: nothing is whole behind a gap. */
START_TEST(pipelining_proves_nothing)
{
	struct talk t = { .batched = true };
	struct range gaps[SIDES] = { { 0, 0 }, { 0, 0 } };
	char *lines, *at;

	changes(&t, "DO 0", 0);
	for (int burst = 0; burst < 3; burst++) {
		SAY(&t, SIDE_CLIENT, 'Q', "DO 1\0");
		SAY(&t, SIDE_CLIENT, 'Q', "DO 2\0");
		for (int i = 0; i < 2; i++) {
			if (burst == 1 && !i)
				gaps[SIDE_SERVER].from =
					t.r.length[SIDE_SERVER];
			SAY(&t, SIDE_SERVER, 'C', "DO\0");
			SAY(&t, SIDE_SERVER, 'Z', "I");
			if (burst == 1 && !i)
				gaps[SIDE_SERVER].to =
					t.r.length[SIDE_SERVER];
		}
	}
	lines = run_gaps(&t.r, gaps, false);
	at = strstr(lines, "incomplete");
	ck_assert_ptr_nonnull(at);
	while ((at = strchr(at, '\n')) && *++at)
		ck_assert_ptr_nonnull(memmem(at, strcspn(at, "\n"),
					     "incomplete", 10));
	free(lines);
	recording_free(&t.r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pgsql_loss");
	TCase *written = tcase_create("written");
	SRunner *runner;
	int failed;

	tcase_set_timeout(written, 300);
	tcase_add_loop_test(written, gaps_of_both_sides, 0, 2);
	tcase_add_test(written, next_request_proves);
	tcase_add_test(written, pipelining_proves_nothing);
	suite_add_tcase(suite, written);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
