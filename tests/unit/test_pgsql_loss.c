/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pgsql_loss.c - bytes of both sides are lost: no wrong answer is whole.
 */
#define _GNU_SOURCE
#include "tests/unit/loss.h"

static void say(struct talk *t, enum side side, char type,
		const void *body, size_t length)
{
	uint8_t bytes[256] = { (uint8_t)type, 0, 0, 0, (uint8_t)(length + 4) };

	ck_assert_uint_lt(length, sizeof(bytes) - 5);
	if (length)
		memcpy(bytes + 5, body, length);
	talk_add(t, side, bytes, length + 5);
}

#define SAY(t, side, type, literal) \
	say(t, side, type, literal, sizeof(literal) - 1)

static void begin(struct talk *t, const char *statement)
{
	talk_begin(t);
	say(t, SIDE_CLIENT, 'Q', statement, strlen(statement) + 1);
}

static void changes(struct talk *t, const char *statement, unsigned affected)
{
	char tag[32];

	begin(t, statement);
	snprintf(tag, sizeof(tag), "DELETE %u", affected);
	say(t, SIDE_SERVER, 'C', tag, strlen(tag) + 1);
	SAY(t, SIDE_SERVER, 'Z', "I");
	talk_end(t);
}

static void tell_rows(struct talk *t, unsigned rows)
{
	char tag[32];

	snprintf(tag, sizeof(tag), "SELECT %u", rows);
	while (rows--)
		SAY(t, SIDE_SERVER, 'D', "\0\1\0\0\0\3row");
	say(t, SIDE_SERVER, 'C', tag, strlen(tag) + 1);
	SAY(t, SIDE_SERVER, 'Z', "I");
	talk_end(t);
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
	struct talk t = { .parser = &pgsql_parser, .batched = batched,
			  .unmarked = true };

	changes(&t, "DO 0", 0);
	selects(&t, "SELECT a FROM t WHERE a = 1", 1);
	changes(&t, "INSERT INTO t VALUES (2)", 12);
	executes(&t, "SELECT a FROM t WHERE b = 3", 3);
	selects(&t, "SELECT a FROM t WHERE a = 4", 2);
	changes(&t, "UPDATE t SET a = 5", 15);
	executes(&t, "SELECT a FROM t WHERE b = 6", 4);
	changes(&t, "DO 7", 0);
	SAY(&t, SIDE_CLIENT, 'X', "");
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
 * The server has said something since the request, and another was lost before
 * it: that the response is the request's is known when the client's next one
 * is seen, and not before: one in between may be what it answers.
 */
START_TEST(next_request_proves)
{
	static const char key[] = "postgresql.tag=\"DELETE 12\"";
	struct talk t = { .parser = &pgsql_parser };
	struct range gaps[SIDES] = { { 0, 0 }, { 0, 0 } };
	char *lines, *at;

	changes(&t, "DO 0", 10);
	gaps[SIDE_CLIENT].from = t.r.length[SIDE_CLIENT];
	changes(&t, "DO 1", 11);
	gaps[SIDE_CLIENT].to = t.r.length[SIDE_CLIENT];
	begin(&t, "DO 2");
	SAY(&t, SIDE_SERVER, 'A', "\0\0\0\1news\0\0");
	SAY(&t, SIDE_SERVER, 'C', "DELETE 12\0");
	SAY(&t, SIDE_SERVER, 'Z', "I");
	for (int proven = 0; proven < 2; proven++) {
		lines = run_gaps(t.parser, &t.r, gaps, false);
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
	struct talk t = { .parser = &pgsql_parser, .batched = true };
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
	lines = run_gaps(t.parser, &t.r, gaps, false);
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

	tcase_set_timeout(written, 300);
	tcase_add_loop_test(written, gaps_of_both_sides, 0, 2);
	tcase_add_test(written, next_request_proves);
	tcase_add_test(written, pipelining_proves_nothing);
	suite_add_tcase(suite, written);
	return suite_run(suite);
}
