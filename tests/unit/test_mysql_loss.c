/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mysql_loss.c - bytes of both sides are lost: no wrong answer is whole.
 */
#define _GNU_SOURCE
#include "tests/unit/loss.h"

#define CAPTURES "tests/captures/"

static void say(struct talk *t, enum side side, uint8_t sequence,
		const void *payload, size_t length)
{
	uint8_t bytes[256] = { (uint8_t)length, 0, 0, sequence };

	ck_assert_uint_lt(length, sizeof(bytes) - 4);
	memcpy(bytes + 4, payload, length);
	talk_add(t, side, bytes, length + 4);
}

#define SAY(t, side, sequence, literal) \
	say(t, side, sequence, literal, sizeof(literal) - 1)

static void begin(struct talk *t, const char *statement)
{
	talk_begin(t);
	say(t, SIDE_CLIENT, 0, statement, strlen(statement));
}

static void changes(struct talk *t, const char *statement, uint8_t affected)
{
	uint8_t ok[] = { 0, affected, 0, 2, 0, 0, 0 };

	begin(t, statement);
	say(t, SIDE_SERVER, 1, ok, sizeof(ok));
	talk_end(t);
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
	talk_end(t);
}

/* Seven statements, no two with the same answer, between two pings. */
static struct talk talk_of(bool batched)
{
	struct talk t = { .parser = &mysql_parser, .batched = batched };

	changes(&t, "\x0e", 0);
	selects(&t, "\3SELECT a FROM t WHERE a = 1", 1);
	changes(&t, "\3INSERT INTO t VALUES (2)", 12);
	selects(&t, "\3SELECT a FROM t WHERE a = 3", 3);
	selects(&t, "\3SELECT a FROM t WHERE a = 4", 2);
	changes(&t, "\3UPDATE t SET a = 5", 15);
	changes(&t, "\3DELETE FROM t WHERE a = 6", 16);
	changes(&t, "\x0e", 0);
	SAY(&t, SIDE_CLIENT, 0, "\1");
	talk_finish(&t);
	return t;
}

START_TEST(gaps_of_both_sides)
{
	struct talk t = talk_of(_i & 1);

	talk_with_gaps(&t);
}
END_TEST

/*
 * A response behind the server's gap is whole when the client's next request
 * is seen, and not before: one in between may be what it answers.
 */
START_TEST(next_request_proves)
{
	struct talk t = { .parser = &mysql_parser, .batched = true };
	struct range gaps[SIDES] = { { 0, 0 }, { 11, 22 } };
	char *lines;

	changes(&t, "\x0e", 0);
	changes(&t, "\3INSERT INTO t VALUES (1)", 11);
	changes(&t, "\3INSERT INTO t VALUES (2)", 12);
	lines = run_gaps(t.parser, &t.r, gaps, false);
	ck_assert_ptr_nonnull(strstr(lines, "affected=12 results=1 targets:1 "
		"=\"t\" statement=\"INSERT INTO t VALUES (2)\" "
		"masked=\"INSERT INTO t VALUES (?)\" incomplete"));
	free(lines);
	SAY(&t, SIDE_CLIENT, 0, "\1");
	lines = run_gaps(t.parser, &t.r, gaps, false);
	ck_assert_ptr_nonnull(strstr(lines, "affected=12 results=1 targets:1 "
		"=\"t\" statement=\"INSERT INTO t VALUES (2)\" "
		"masked=\"INSERT INTO t VALUES (?)\" bytes"));
	free(lines);
	recording_free(&t.r);
}
END_TEST

static void packet(struct recording *r, enum side side, uint8_t sequence,
		   const void *payload, size_t length, uint64_t us)
{
	const uint8_t header[] = { (uint8_t)length, 0, 0, sequence };

	recording_add(r, side, header, sizeof(header), 1000 * us);
	recording_add(r, side, payload, length, 1000 * us);
}

#define PACKET(r, side, sequence, literal, us) \
	packet(r, side, sequence, literal, sizeof(literal) - 1, us)

#define OK_OF(affected) "\0" affected "\0\2\0\0\0"

/* What is left of an execution holds bytes that look like a COM_QUIT. */
START_TEST(short_commands_are_looked_behind)
{
	static const char execution[] =
		"\x17\2\0\0\0\0\1\0\0\0\1\1\6\0";
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &mysql_parser };
	char *lines;

	PACKET(&r, SIDE_CLIENT, 0, "\3INSERT INTO t VALUES (1)", 1);
	PACKET(&r, SIDE_SERVER, 1, OK_OF("\1"), 2);
	d.gaps[d.gap_count++] = (struct drive_gap){
		SIDE_CLIENT, r.length[SIDE_CLIENT], 1 };
	PACKET(&r, SIDE_CLIENT, 0, execution, 3);
	PACKET(&r, SIDE_SERVER, 1, OK_OF("\2"), 4);
	PACKET(&r, SIDE_CLIENT, 0, "\3INSERT INTO t VALUES (3)", 5);
	PACKET(&r, SIDE_SERVER, 1, OK_OF("\3"), 6);
	lines = drive_lines(&d);
	ck_assert_msg(!strstr(lines, "COM_QUIT"), "%s", lines);
	ck_assert_msg(strstr(lines, "affected=3"), "%s", lines);
	free(lines);
	recording_free(&r);
}
END_TEST

/* Of two requests in one write the first is lost: whose is the answer? */
START_TEST(what_was_lost_of_a_write_is_answered_first)
{
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &mysql_parser };
	char *lines, *line;

	PACKET(&r, SIDE_CLIENT, 0, "\3INSERT INTO t VALUES (1)", 1);
	PACKET(&r, SIDE_SERVER, 1, OK_OF("\1"), 2);
	d.gaps[d.gap_count++] = (struct drive_gap){
		SIDE_CLIENT, r.length[SIDE_CLIENT], 29 };
	PACKET(&r, SIDE_CLIENT, 0, "\3INSERT INTO t VALUES (2)", 3);
	PACKET(&r, SIDE_CLIENT, 0, "\3INSERT INTO u VALUES (3)", 3);
	PACKET(&r, SIDE_SERVER, 1, OK_OF("\2"), 4);
	PACKET(&r, SIDE_SERVER, 1, OK_OF("\3"), 4);
	PACKET(&r, SIDE_CLIENT, 0, "\3INSERT INTO v VALUES (4)", 5);
	PACKET(&r, SIDE_SERVER, 1, OK_OF("\4"), 6);
	PACKET(&r, SIDE_CLIENT, 0, "\1", 7);
	lines = drive_lines(&d);
	line = strstr(lines, "affected=2");
	ck_assert_msg(line && memmem(line, strcspn(line, "\n"), "incomplete",
				     10), "%s", lines);
	ck_assert_msg(strstr(lines, "affected=4 results=1 targets:1 =\"v\""),
		      "%s", lines);
	free(lines);
	recording_free(&r);
}
END_TEST

/* Times prove nothing of who pipelines: nothing is whole behind a gap. */
START_TEST(pipelining_proves_nothing)
{
	struct talk t = { .parser = &mysql_parser, .batched = true };
	struct range gaps[SIDES] = { { 0, 0 }, { 33, 44 } };
	char *lines, *at;

	changes(&t, "\x0e", 0);
	for (int burst = 0; burst < 3; burst++) {
		SAY(&t, SIDE_CLIENT, 0, "\3DO 1");
		SAY(&t, SIDE_CLIENT, 0, "\3DO 2");
		SAY(&t, SIDE_SERVER, 1, "\0\1\0\2\0\0\0");
		SAY(&t, SIDE_SERVER, 1, "\0\2\0\2\0\0\0");
	}
	lines = run_gaps(t.parser, &t.r, gaps, false);
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
	char *truth = run_gaps(&mysql_parser, r, none, false);

	for (int side = 0; side < SIDES; side++)
		count[side] = find_borders(r, (enum side)side, ns,
					   borders[side]);
	for (int round = 0; round < (SUITE_SANITIZED ? 300 : 3000); round++) {
		bool anywhere = round & 1;
		const struct range gaps[SIDES] = {
			draw_range(borders[0], count[0], anywhere),
			draw_range(borders[1], count[1], anywhere) };
		char *lines = run_gaps(&mysql_parser, r, gaps, round % 16 == 15);
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
	tcase_add_test(written, short_commands_are_looked_behind);
	tcase_add_test(written, what_was_lost_of_a_write_is_answered_first);
	suite_add_tcase(s, written);
	tcase_set_timeout(recorded, 300);
	tcase_add_loop_test(recorded, gaps_in_captures, 0,
			    sizeof(captures) / sizeof(*captures));
	suite_add_tcase(s, recorded);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
