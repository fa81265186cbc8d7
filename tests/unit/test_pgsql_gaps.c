/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pgsql_gaps.c - what a gap leaves in doubt is not told as certain.
 *
 * Short conversations of which some messages are lost, a piece each.
 */
#define _GNU_SOURCE
#include "tests/unit/drive.h"
#include "tests/unit/suite.h"

#define ONE_COLUMN                                                 \
	"\0\1a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
#define ERROR_FIELDS "SERROR\0VERROR\0C42P01\0Mno such\0"

struct talk {
	struct recording r;
	struct drive d;
	bool loses;  /* what is said is lost */
	bool joins;  /* it moves with what the same side said before */
	char *lines;
};

static void add(struct talk *t, enum side side, const void *bytes,
		size_t length)
{
	struct recording *r = &t->r;
	size_t at = r->length[side];

	recording_add(r, side, bytes, length, 1000 * (r->piece_count + 1));
	if (t->joins && r->piece_count > 1 &&
	    r->pieces[r->piece_count - 2].side == side) {
		r->piece_count--;
		r->pieces[r->piece_count - 1].length += length;
	}
	if (!t->loses)
		return;
	ck_assert_uint_lt(t->d.gap_count, DRIVE_GAPS_MAX);
	t->d.gaps[t->d.gap_count++] = (struct drive_gap){ side, at, length };
}

static void say(struct talk *t, enum side side, char type, const void *body,
		size_t length)
{
	uint8_t bytes[256] = { (uint8_t)type, 0, 0, 0, (uint8_t)(length + 4) };

	ck_assert_uint_lt(length, sizeof(bytes) - 5);
	if (length)
		memcpy(bytes + 5, body, length);
	add(t, side, bytes, length + 5);
}

#define ASKS(t, type, body) \
	say(t, SIDE_CLIENT, type, body, sizeof(body) - 1)
#define SAYS(t, type, body) \
	say(t, SIDE_SERVER, type, body, sizeof(body) - 1)
#define ADD(t, side, bytes) add(t, side, bytes, sizeof(bytes) - 1)

static void done(struct talk *t, const char *tag)
{
	say(t, SIDE_SERVER, 'C', tag, strlen(tag) + 1);
	SAYS(t, 'Z', "I");
}

/* A whole exchange. */
static void changes(struct talk *t, const char *tag)
{
	ASKS(t, 'Q', "DO 0\0");
	done(t, tag);
}

static const char *run(struct talk *t)
{
	t->d.recording = &t->r;
	t->d.parser = &pgsql_parser;
	free(t->lines);
	t->lines = drive_lines(&t->d);
	return t->lines;
}

static void end(struct talk *t)
{
	recording_free(&t->r);
	free(t->lines);
}

/* The line that has `key`: is it complete? */
static bool is_complete(struct talk *t, const char *key)
{
	const char *at = strstr(t->lines, key);

	ck_assert_msg(at != NULL, "no %s in:\n%s", key, t->lines);
	while (at > t->lines && at[-1] != '\n')
		at--;
	return !memmem(at, strcspn(at, "\n"), " incomplete ", 12);
}

#define ASSERT_TOLD(t, key, whole) \
	ck_assert_msg(is_complete(t, key) == (whole), "%s", (t)->lines)

static void logs_in(struct talk *t)
{
	ADD(t, SIDE_CLIENT, "\0\0\0\x10\0\3\0\0user\0u\0\0");
}

/* The answer to a login that was lost is not an error of nobody's. */
START_TEST(lost_login_fails)
{
	struct talk t = { .loses = true };

	logs_in(&t);
	t.loses = false;
	SAYS(&t, 'R', "\0\0\0\3");
	ASKS(&t, 'p', "secret\0");
	SAYS(&t, 'E', "SFATAL\0VFATAL\0C28P01\0Mfailed\0");
	run(&t);
	ASSERT_TOLD(&t, "sqlstate=\"28P01\"", false);
	end(&t);
}
END_TEST

/* But one on an idle connection is. */
START_TEST(idle_connection_is_ended)
{
	struct talk t = { .loses = false };

	changes(&t, "DELETE 1");
	SAYS(&t, 'E', "SFATAL\0VFATAL\0C57P01\0Mend\0");
	run(&t);
	ASSERT_TOLD(&t, "sqlstate=\"57P01\"", true);
	end(&t);
}
END_TEST

/* The last word is found behind what is not whole, if it moved by itself. */
START_TEST(last_word_is_found)
{
	struct talk t = { .loses = true };

	ADD(&t, SIDE_CLIENT, "\0");
	t.loses = false;
	ADD(&t, SIDE_CLIENT, "\0\0\x10\0\3\0\0user\0u\0\0");
	if (_i)
		ASKS(&t, 'p', "secret\0");
	ASKS(&t, 'X', "");
	run(&t);
	ASSERT_TOLD(&t, "TERMINATE", true);
	end(&t);
}
END_TEST

/* What is lost right before a response may have been a notice of it. */
START_TEST(notice_is_lost)
{
	struct talk t = { .loses = false };

	ASKS(&t, 'Q', "DROP TABLE IF EXISTS t\0");
	t.loses = true;
	SAYS(&t, 'N', "SNOTICE\0VNOTICE\0C00000\0Mskipped\0");
	t.loses = false;
	done(&t, "DROP TABLE");
	changes(&t, "DELETE 1");
	run(&t);
	ASSERT_TOLD(&t, "DROP TABLE", false);
	ASSERT_TOLD(&t, "DELETE 1", true);
	end(&t);
}
END_TEST

START_TEST(function_result_is_lost)
{
	struct talk t = { .loses = false };

	ASKS(&t, 'F', "\0\0\1\1\0\0\0\0\0\0");
	t.loses = true;
	SAYS(&t, 'V', "\0\0\0\1x");
	t.loses = false;
	SAYS(&t, 'Z', "I");
	changes(&t, "DELETE 1");
	run(&t);
	ASSERT_TOLD(&t, "FUNCTION_CALL", false);
	ASSERT_TOLD(&t, "DELETE 1", true);
	end(&t);
}
END_TEST

/* A ParameterStatus is no reply to a request for encryption. */
START_TEST(status_is_no_reply)
{
	struct talk t = { .loses = false, .joins = true };

	ADD(&t, SIDE_CLIENT, "\0\0\0\x08\4\xd2\x16\x2f");
	t.loses = true;
	ADD(&t, SIDE_SERVER, "N");
	t.loses = false;
	logs_in(&t);
	t.loses = true;
	SAYS(&t, 'R', "\0\0\0\0");
	t.loses = false;
	SAYS(&t, 'S', "a\0b\0");
	SAYS(&t, 'Z', "I");
	changes(&t, "DELETE 1");
	run(&t);
	ASSERT_TOLD(&t, "SSL_REQUEST", false);
	ASSERT_TOLD(&t, "LOGIN", false);
	ASSERT_TOLD(&t, "DELETE 1", true);
	end(&t);
}
END_TEST

/* The reply of one request is not that of another, asked before it. */
START_TEST(replies_are_not_mixed)
{
	struct talk t = { .loses = false };

	ADD(&t, SIDE_CLIENT, "\0\0\0\x08\4\xd2\x16\x30");
	t.loses = true;
	ADD(&t, SIDE_SERVER, "N");
	t.loses = false;
	ADD(&t, SIDE_CLIENT, "\0\0\0\x08\4\xd2\x16\x2f");
	ADD(&t, SIDE_SERVER, "N");
	logs_in(&t);
	run(&t);
	ASSERT_TOLD(&t, "GSSENC_REQUEST", false);
	ASSERT_TOLD(&t, "SSL_REQUEST", true);
	end(&t);
}
END_TEST

/*
 * Requests that move together are pipelined: the first answer behind a gap is
 * the first one's if any's, and may be that of one that was lost.
 */
START_TEST(burst_proves_nothing)
{
	struct talk t = { .loses = true, .joins = _i };

	ASKS(&t, 'Q', "DO 0\0");
	t.loses = false;
	done(&t, "DELETE 9");
	ASKS(&t, 'Q', "DO 1\0");
	ASKS(&t, 'Q', "DO 2\0");
	done(&t, "DELETE 1");
	done(&t, "DELETE 2");
	ASKS(&t, 'X', "");
	run(&t);
	ASSERT_TOLD(&t, "DO 1", false);
	ASSERT_TOLD(&t, "DO 2", false);
	end(&t);
}
END_TEST

/*
 * What is left of a lost request moved with the next: a burst, too.  More of
 * them are one even where the server's answer to the one before is lost.
 */
START_TEST(torn_burst_proves_nothing)
{
	struct talk t = { .joins = true };

	ASKS(&t, 'Q', "DO 0\0");
	t.loses = _i;
	done(&t, "DELETE 1");
	t.loses = false;
	ASKS(&t, 'Q', "DO 1\0");
	t.d.gaps[t.d.gap_count++] = (struct drive_gap){
		SIDE_CLIENT, t.r.length[SIDE_CLIENT] - 10, 4 };
	ASKS(&t, 'Q', "DO 2\0");
	if (_i)
		ASKS(&t, 'Q', "DO 3\0");
	done(&t, "DELETE 11");
	t.joins = false;
	done(&t, "DELETE 12");
	if (!_i)
		changes(&t, "DELETE 13");
	ASKS(&t, 'X', "");
	run(&t);
	ASSERT_TOLD(&t, "DO 2", false);
	ASSERT_TOLD(&t, _i ? "DO 3" : "DELETE 13", !_i);
	end(&t);
}
END_TEST

static void runs(struct talk *t)
{
	ASKS(t, 'B', "\0s\0\0\0\0\0\0\0");
	ASKS(t, 'E', "\0\0\0\0\0");
}

static void ran(struct talk *t, const char *tag)
{
	SAYS(t, '2', "");
	say(t, SIDE_SERVER, 'C', tag, strlen(tag) + 1);
}

/* Behind the answer, and not of it: it stays complete. */
START_TEST(answered_before_the_gap)
{
	struct talk t = { .loses = false };

	ASKS(&t, 'B', "p\0s\0\0\0\0\0\0\0");
	ASKS(&t, 'E', "p\0\0\0\0\0");
	ran(&t, "DELETE 1");
	t.loses = _i == 0;
	ASKS(&t, 'C', "Pp\0");
	ASKS(&t, 'S', "");
	t.loses = _i == 1;
	SAYS(&t, '3', "");
	t.loses = false;
	SAYS(&t, 'Z', "I");
	run(&t);
	ASSERT_TOLD(&t, "DELETE 1", true);
	end(&t);
}
END_TEST

/* A Sync's own answer is of the exchange before it. */
START_TEST(sync_is_lost)
{
	struct talk t = { .loses = false };

	runs(&t);
	t.loses = _i == 0;
	ASKS(&t, 'S', "");
	t.loses = false;
	ran(&t, "DELETE 1");
	t.loses = _i == 1;
	SAYS(&t, 'Z', "I");
	t.loses = false;
	changes(&t, "DELETE 2");
	changes(&t, "DELETE 3");
	run(&t);
	ASSERT_TOLD(&t, "DELETE 1", false);
	ASSERT_TOLD(&t, "DELETE 3", true);
	end(&t);
}
END_TEST

/* The error may be that of a request before the first that was seen. */
START_TEST(beginning_fails)
{
	struct talk t = { .loses = false };

	changes(&t, "DELETE 1");
	t.loses = true;
	ASKS(&t, 'P', "s\0SELECT\0\0\0");
	t.loses = false;
	ASKS(&t, 'S', "");
	SAYS(&t, 'E', ERROR_FIELDS);
	SAYS(&t, 'Z', "I");
	changes(&t, "DELETE 2");
	run(&t);
	ASSERT_TOLD(&t, "sqlstate=\"42P01\"", false);
	ASSERT_TOLD(&t, "DELETE 2", true);
	end(&t);
}
END_TEST

/* One answer too many: none of them is known to be whose. */
START_TEST(beginning_is_answered)
{
	struct talk t = { .loses = false };

	changes(&t, "DELETE 1");
	t.loses = true;
	runs(&t);
	t.loses = false;
	runs(&t);
	ASKS(&t, 'S', "");
	if (_i)
		ran(&t, "DELETE 11");
	ran(&t, "DELETE 12");
	SAYS(&t, 'Z', "I");
	run(&t);
	ASSERT_TOLD(&t, _i ? "DELETE 11" : "DELETE 12", !_i);
	end(&t);
}
END_TEST

/*
 * A name may have been given to another statement meanwhile: the server has
 * prepared one, or what it said is lost too.
 */
START_TEST(names_are_doubted)
{
	struct talk t = { .loses = false };

	ASKS(&t, 'P', "s\0DELETE FROM one\0\0\0");
	ASKS(&t, 'S', "");
	SAYS(&t, '1', "");
	SAYS(&t, 'Z', "I");
	t.loses = true;
	ASKS(&t, 'C', "Ss\0");
	ASKS(&t, 'P', "s\0DELETE FROM two\0\0\0");
	ASKS(&t, 'S', "");
	t.loses = _i == 1;
	if (_i) {
		SAYS(&t, '3', "");
		SAYS(&t, '1', "");
	}
	t.loses = false;
	SAYS(&t, 'Z', "I");
	changes(&t, "DELETE 2");
	runs(&t);
	ASKS(&t, 'S', "");
	ran(&t, "DELETE 3");
	SAYS(&t, 'Z', "I");
	run(&t);
	ASSERT_TOLD(&t, "DELETE 3", true);
	ck_assert_int_eq(!strstr(strstr(t.lines, "DELETE 2"), "one"), _i > 0);
	end(&t);
}
END_TEST

/* Whether it was given to this one is lost. */
START_TEST(parse_may_have_failed)
{
	struct talk t = { .loses = false };
	const char *run_again;

	if (_i) {
		ASKS(&t, 'P', "s\0DELETE FROM one\0\0\0");
		ASKS(&t, 'S', "");
		SAYS(&t, '1', "");
		SAYS(&t, 'Z', "I");
	}
	ASKS(&t, 'P', "s\0DELETE FROM two\0\0\0");
	ASKS(&t, 'S', "");
	t.loses = true;
	SAYS(&t, 'E', ERROR_FIELDS);
	t.loses = false;
	SAYS(&t, 'Z', "I");
	runs(&t);
	ASKS(&t, 'S', "");
	if (_i)
		ran(&t, "DELETE 3");
	else
		SAYS(&t, 'E', ERROR_FIELDS);
	SAYS(&t, 'Z', "I");
	run(&t);
	run_again = strstr(t.lines, "EXECUTE");
	ck_assert_msg(run_again != NULL, "%s", t.lines);
	ck_assert_ptr_null(strstr(run_again, "two"));
	ASSERT_TOLD(&t, "EXECUTE", true);
	end(&t);
}
END_TEST

/* The statement without a name, and portals, are those of a lost request. */
START_TEST(unnamed_is_forgotten)
{
	struct talk t = { .loses = false };

	ASKS(&t, 'P', "\0DELETE FROM one\0\0\0");
	ASKS(&t, 'B', "p\0\0\0\0\0\0\0\0");
	ASKS(&t, 'S', "");
	SAYS(&t, '1', "");
	SAYS(&t, '2', "");
	SAYS(&t, 'Z', "I");
	t.loses = true;
	ASKS(&t, 'P', "\0DELETE FROM two\0\0\0");
	ASKS(&t, 'B', "p\0\0\0\0\0\0\0\0");
	t.loses = false;
	ASKS(&t, 'H', "");
	SAYS(&t, '1', "");
	SAYS(&t, '2', "");
	ASKS(&t, 'E', "p\0\0\0\0\0");
	ASKS(&t, 'S', "");
	say(&t, SIDE_SERVER, 'C', "DELETE 3", 9);
	SAYS(&t, 'Z', "I");
	run(&t);
	ck_assert_ptr_nonnull(strstr(t.lines, "EXECUTE"));
	ck_assert_ptr_null(strstr(strstr(t.lines, "EXECUTE"), "one"));
	end(&t);
}
END_TEST

/*
 * The client's side is read late, where all of the login's answers are lost: a
 * request of which half is read when an answer comes may be what it answers.
 */
START_TEST(request_is_half_read)
{
	struct talk t = { .loses = false };

	ADD(&t, SIDE_CLIENT, "\0\0\0\x08\4\xd2\x16\x2f");
	t.loses = true;
	ADD(&t, SIDE_SERVER, "N");
	t.loses = false;
	ADD(&t, SIDE_CLIENT, "\0\0\0\x08\4\xd2\x16\x30");
	t.loses = true;
	ADD(&t, SIDE_SERVER, "N");
	t.loses = false;
	logs_in(&t);
	t.loses = true;
	SAYS(&t, 'R', "\0\0\0\0");
	SAYS(&t, 'Z', "I");
	t.loses = false;
	t.d.gaps[0].length = t.r.length[SIDE_SERVER];
	t.d.gap_count = 1;
	changes(&t, "DELETE 11");
	ASKS(&t, 'Q', "DELETE FROM two WHERE a = 1\0");
	t.d.gaps[t.d.gap_count++] = (struct drive_gap){
		SIDE_CLIENT, t.r.length[SIDE_CLIENT] - 3, 1 };
	t.joins = true;
	done(&t, "DELETE 12");
	t.joins = false;
	changes(&t, "DELETE 13");
	changes(&t, "DELETE 14");
	run(&t);
	ASSERT_TOLD(&t, "DELETE 12", false);
	ASSERT_TOLD(&t, "DELETE 14", true);
	end(&t);
}
END_TEST

/*
 * Half of a request has come, and no more does, when the server says what
 * nobody asked for.  Both sides wait for each other, and not for ever.
 */
START_TEST(answer_comes_to_half_a_request)
{
	struct talk t = { .loses = false };

	logs_in(&t);
	SAYS(&t, 'R', "\0\0\0\0");
	SAYS(&t, 'Z', "I");
	ASKS(&t, 'Q', "DO 1\0");
	t.loses = true;
	done(&t, "DELETE 21");
	t.loses = false;
	ASKS(&t, 'Q', "DO 2\0");
	ADD(&t, SIDE_CLIENT, "Q\0\0\0\x40" "DELETE ");
	done(&t, "DELETE 22");
	done(&t, "DELETE 23");
	done(&t, "DELETE 24");
	run(&t);
	ASSERT_TOLD(&t, "DELETE 22", false);
	end(&t);
}
END_TEST

/* The first answers of a group are lost: the others are not the first's. */
START_TEST(first_answers_are_lost)
{
	struct talk t = { .loses = false };

	runs(&t);
	runs(&t);
	ASKS(&t, 'S', "");
	t.loses = true;
	ran(&t, "DELETE 11");
	t.loses = false;
	ran(&t, "DELETE 12");
	SAYS(&t, 'Z', "I");
	changes(&t, "DELETE 13");
	run(&t);
	ck_assert_ptr_null(strstr(t.lines, "EXECUTE status=0"));
	ASSERT_TOLD(&t, "DELETE 13", true);
	end(&t);
}
END_TEST

/* A FunctionCall is one by its content. */
START_TEST(function_is_found)
{
	struct talk t = { .loses = true };

	changes(&t, "DELETE 1");
	t.loses = false;
	ASKS(&t, 'F', "\0\0\1\1\0\0\0\0\0\0");
	SAYS(&t, 'V', "\0\0\0\1x");
	SAYS(&t, 'Z', "I");
	run(&t);
	ASSERT_TOLD(&t, "FUNCTION_CALL", false);
	end(&t);
}
END_TEST

static void add_messages(TCase *tcase)
{
	tcase_add_test(tcase, lost_login_fails);
	tcase_add_test(tcase, idle_connection_is_ended);
	tcase_add_loop_test(tcase, last_word_is_found, 0, 2);
	tcase_add_test(tcase, notice_is_lost);
	tcase_add_test(tcase, function_result_is_lost);
	tcase_add_test(tcase, function_is_found);
	tcase_add_test(tcase, status_is_no_reply);
	tcase_add_test(tcase, replies_are_not_mixed);
}

static void add_pairs(TCase *tcase)
{
	tcase_add_loop_test(tcase, burst_proves_nothing, 0, 2);
	tcase_add_loop_test(tcase, torn_burst_proves_nothing, 0, 2);
	tcase_add_loop_test(tcase, answered_before_the_gap, 0, 2);
	tcase_add_loop_test(tcase, sync_is_lost, 0, 2);
	tcase_add_test(tcase, beginning_fails);
	tcase_add_loop_test(tcase, beginning_is_answered, 0, 2);
	tcase_add_loop_test(tcase, names_are_doubted, 0, 3);
	tcase_add_loop_test(tcase, parse_may_have_failed, 0, 2);
	tcase_add_test(tcase, unnamed_is_forgotten);
	tcase_add_test(tcase, first_answers_are_lost);
	tcase_add_test(tcase, request_is_half_read);
	tcase_add_test(tcase, answer_comes_to_half_a_request);
}

int main(void)
{
	Suite *suite = suite_create("pgsql_gaps");
	TCase *messages = tcase_create("messages");
	TCase *pairs = tcase_create("pairs");

	add_messages(messages);
	add_pairs(pairs);
	suite_add_tcase(suite, messages);
	suite_add_tcase(suite, pairs);
	return suite_run(suite);
}
