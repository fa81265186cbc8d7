/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_stream.c - order, gaps to the byte, bounds, times.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "streams/stream.h"
#include "tests/unit/suite.h"

static struct account account;
static struct stream_pool pool;
static struct stream *stream;

static void setup(void)
{
	stream_pool_clear(&pool);
	account = (struct account){ 0 };
	pool = (struct stream_pool){
		.bound_bytes = 64 << 20,
		.bound_stream_bytes = 16 << 20,
		.account = &account,
	};
	stream = stream_new(&pool);
	ck_assert_ptr_nonnull(stream);
}

static void teardown(void)
{
	stream_free(stream);
	ck_assert_uint_eq(pool.held_bytes, 0);
	stream_pool_clear(&pool);
}

/* The byte that the peer really sent at an offset. */
static uint8_t byte_at(uint64_t offset)
{
	return (offset * 2654435761u) >> 13;
}

static size_t add(uint64_t offset, size_t length)
{
	struct piece piece = { .length = length, .offset = offset,
			       .first_ns = offset + 1,
			       .last_ns = offset + length,
			       .tid = 7 };
	uint8_t *bytes = malloc(length + 1);
	size_t added, i;

	for (i = 0; i < length; i++)
		bytes[i] = byte_at(offset + i);
	piece.bytes = bytes;
	added = stream_add(stream, &piece);
	free(bytes);
	return added;
}

/* ck_assert() is a system call: too slow for each byte. */
static void must(bool holds)
{
	if (!holds)
		ck_abort_msg("a byte is not what it must be");
}

/* The window is [offset, offset + length) of what the peer sent. */
static void expect_bytes(uint64_t offset, size_t length)
{
	struct window window;
	uint64_t gap;
	size_t i;

	ck_assert_int_eq(stream_head(stream, &window, &gap), STREAM_BYTES);
	ck_assert_uint_eq(window.offset, offset);
	ck_assert_uint_eq(window.length, length);
	for (i = 0; i < length; i++)
		must(window.bytes[i] == byte_at(offset + i));
	ck_assert_uint_eq(window_mark_end(&window, window.mark_count - 1), length);
}

static void expect_gap(uint64_t length)
{
	struct window window;
	uint64_t gap;

	ck_assert_int_eq(stream_head(stream, &window, &gap), STREAM_GAP);
	ck_assert_uint_eq(gap, length);
}

static void expect_none(void)
{
	struct window window;
	uint64_t gap;

	ck_assert_int_eq(stream_head(stream, &window, &gap), STREAM_NONE);
}

static uint64_t lost(void)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < LOSS_REASONS; i++)
		sum += account.lost[i];
	return sum;
}

START_TEST(in_order)
{
	expect_none();
	ck_assert_uint_eq(add(0, 10), 10);
	ck_assert_uint_eq(add(10, 5), 5);
	expect_bytes(0, 15);
	stream_take(stream, 12);
	expect_bytes(12, 3);
	stream_take(stream, 3);
	expect_none();
	ck_assert_uint_eq(pool.held_bytes, 0);
	ck_assert_uint_eq(add(15, 1), 1);
	expect_bytes(15, 1);
	ck_assert_uint_eq(account.bytes_delivered, 16);
	ck_assert_uint_eq(lost(), 0);
	ck_assert(account.memory_peak_bytes > 0);
}
END_TEST

START_TEST(repeats_and_overlaps_are_ignored)
{
	ck_assert_uint_eq(add(0, 10), 10);
	ck_assert_uint_eq(add(0, 10), 0);
	ck_assert_uint_eq(add(5, 10), 5);
	stream_take(stream, 8);
	ck_assert_uint_eq(add(0, 20), 5);
	expect_bytes(8, 12);
	ck_assert_uint_eq(add(30, 5), 5);
	ck_assert_uint_eq(add(25, 20), 15); /* around the one that waits */
	ck_assert_uint_eq(add(18, 10), 5);
	expect_bytes(8, 37);
	ck_assert_uint_eq(account.bytes_delivered, 45);
}
END_TEST

START_TEST(a_hole_is_definite_after_one_more_pass)
{
	add(0, 10);
	add(20, 10);
	stream_settle(stream, false);
	expect_bytes(0, 10);
	stream_take(stream, 10);
	expect_none(); /* the piece behind it came in this very pass */
	ck_assert(stream_waits(stream));
	pool.pass++;
	ck_assert_uint_eq(add(12, 3), 3);
	stream_settle(stream, false);
	ck_assert(!stream_waits(stream));
	expect_gap(2);
	ck_assert_uint_eq(account.lost[LOSS_BUFFER_FULL], 7);
	stream_take(stream, 2);
	expect_bytes(12, 3);
	ck_assert(stream_stops(stream));
	stream_take(stream, 3);
	expect_gap(5);
	ck_assert_uint_eq(add(15, 5), 0); /* too late: lost it stays */
	expect_gap(5);
	stream_take(stream, 5);
	expect_bytes(20, 10);
	ck_assert(!stream_stops(stream));
	ck_assert_uint_eq(account.bytes_delivered, 23);
	ck_assert_uint_eq(lost(), 7);
}
END_TEST

START_TEST(a_hole_that_is_filled_in_time_is_none)
{
	add(10, 10);
	stream_settle(stream, false);
	expect_none();
	pool.pass++;
	add(0, 10);
	stream_settle(stream, false);
	expect_bytes(0, 20);
	ck_assert_uint_eq(lost(), 0);
}
END_TEST

START_TEST(the_first_bytes_missing_are_lost)
{
	add(100, 10);
	pool.pass++;
	stream_settle(stream, false);
	expect_gap(100);
	ck_assert_uint_eq(lost(), 100);
}
END_TEST

START_TEST(told_losses_are_counted_once)
{
	add(0, 10);
	stream_lose(stream, 10, 5, LOSS_UNREADABLE);
	stream_lose(stream, 5, 15, LOSS_OVER_LIMIT);
	stream_lose(stream, 10, 10, LOSS_UNREADABLE);
	ck_assert_uint_eq(account.lost[LOSS_UNREADABLE], 5);
	ck_assert_uint_eq(account.lost[LOSS_OVER_LIMIT], 5);
	add(20, 4);
	expect_bytes(0, 10);
	ck_assert(stream_stops(stream));
	stream_take(stream, 10);
	expect_gap(10);
	stream_take(stream, 4);
	expect_gap(6);
	stream_take(stream, 6);
	expect_bytes(20, 4);
	ck_assert_uint_eq(stream_told(stream), 24);
}
END_TEST

START_TEST(the_tail_is_lost_when_the_end_is_known)
{
	add(0, 10);
	stream_expect(stream, 25);
	pool.pass++;
	stream_settle(stream, false);
	ck_assert_uint_eq(lost(), 0);
	stream_settle(stream, true);
	ck_assert_uint_eq(account.lost[LOSS_BUFFER_FULL], 15);
	stream_take(stream, 10);
	expect_gap(15);
	stream_take(stream, 15);
	expect_none();
}
END_TEST

START_TEST(beyond_the_bound_is_a_gap)
{
	pool.bound_stream_bytes = 100;
	ck_assert_uint_eq(add(0, 60), 60);
	ck_assert_uint_eq(add(60, 60), 40);
	ck_assert_uint_eq(add(120, 10), 0);
	ck_assert_uint_eq(account.lost[LOSS_STREAM_FULL], 30);
	expect_bytes(0, 100);
	stream_take(stream, 100);
	expect_gap(30);
	ck_assert_uint_eq(add(130, 10), 10);
	stream_take(stream, 30);
	expect_bytes(130, 10);
}
END_TEST

START_TEST(all_streams_share_a_bound)
{
	struct stream *other = stream_new(&pool);
	uint8_t bytes[4096] = { 0 };
	struct piece piece = { .bytes = bytes, .length = sizeof(bytes) };
	uint64_t i;

	pool.bound_bytes = 65536;
	for (i = 0; i < 100; i++) {
		piece.offset = i * sizeof(bytes);
		stream_add(i & 1 ? stream : other, &piece);
		ck_assert(pool.held_bytes < 65536 + 16384);
	}
	ck_assert(account.lost[LOSS_STREAM_FULL] > 200000);
	ck_assert(account.bytes_delivered > 30000);
	stream_free(other);
	ck_assert(account.memory_peak_bytes >= 32768);
}
END_TEST

START_TEST(times_and_threads)
{
	struct window window;
	uint64_t gap;

	add(0, 10);
	add(20, 10);
	add(10, 10);
	stream_take(stream, 5);
	ck_assert_int_eq(stream_head(stream, &window, &gap), STREAM_BYTES);
	ck_assert_uint_eq(window.mark_count, 3);
	ck_assert_uint_eq(window_first_ns(&window, 0), 1);
	ck_assert_uint_eq(window_last_ns(&window, 4), 10);
	ck_assert_uint_eq(window_first_ns(&window, 5), 11);
	ck_assert_uint_eq(window_last_ns(&window, 24), 30);
	ck_assert_uint_eq(window_tid(&window, 24), 7);
	ck_assert_uint_eq(window_first_ns(&window, 25), 0);
	ck_assert_uint_eq(window_tid(&window, 25), 0);
}
END_TEST

START_TEST(a_window_has_a_largest_size)
{
	size_t size = 3 * STREAM_WINDOW_MAX + 5;

	add(0, size);
	expect_bytes(0, STREAM_WINDOW_MAX);
	stream_take(stream, STREAM_WINDOW_MAX);
	add(size, 5);
	expect_bytes(STREAM_WINDOW_MAX, STREAM_WINDOW_MAX);
	stream_take(stream, 2 * STREAM_WINDOW_MAX);
	expect_bytes(3 * STREAM_WINDOW_MAX, 10);
}
END_TEST

START_TEST(a_backlog_of_single_bytes_keeps_few_marks)
{
	struct window window;
	uint64_t gap, i;

	for (i = 0; i < 40000; i++)
		add(i, 1);
	ck_assert_int_eq(stream_head(stream, &window, &gap), STREAM_BYTES);
	ck_assert_uint_eq(window.length, 40000);
	ck_assert(window.mark_count < 2048);
	ck_assert_uint_eq(window_mark_end(&window, window.mark_count - 1), 40000);
	ck_assert_uint_eq(window_last_ns(&window, 39999), 40000);
}
END_TEST

START_TEST(memory_follows_what_is_held)
{
	uint64_t offset = 0;

	/* always some bytes left, as of a message that is not complete */
	add(offset, 100);
	for (; offset < 2000000; offset += 200) {
		add(offset + 100, 200);
		stream_take(stream, 200);
		expect_bytes(offset + 200, 100);
		ck_assert(pool.held_bytes < 4096);
	}
	add(offset + 100, 8 << 20);
	ck_assert(pool.held_bytes >= 8 << 20);
	stream_take(stream, 8 << 20);
	expect_bytes(offset + (8 << 20), 100);
	ck_assert(pool.held_bytes < 1 << 20);
}
END_TEST

START_TEST(offsets_that_wrap_are_refused)
{
	struct piece piece = { .bytes = (const uint8_t *)"x", .length = 1,
			       .offset = UINT64_MAX };

	ck_assert_uint_eq(stream_add(stream, &piece), 0);
	stream_lose(stream, UINT64_MAX, 2, LOSS_UNREADABLE);
	ck_assert_uint_eq(lost(), 0);
}
END_TEST

/* xorshift: the same schedules in each run. */
static uint32_t random_state;

static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % bound;
}

enum fate { COMES, DROPPED, TOLD_LOST };

struct sent {
	uint64_t offset;
	size_t length;
	enum fate fate;
	uint64_t pass; /* in which user space sees it */
};

#define SENT_MAX 300

/* Records of one direction: when they come, and which don't. */
static size_t make_schedule(struct sent *sent, unsigned loss_percent)
{
	uint64_t offset = 0, pass = 0;
	size_t count = 1 + random_below(SENT_MAX), i;

	for (i = 0; i < count; i++) {
		sent[i].offset = offset;
		sent[i].length = 1 + random_below(random_below(8) ? 50 : 3000);
		sent[i].fate = COMES;
		if (random_below(100) < loss_percent)
			sent[i].fate = 1 + random_below(2);
		/* in this pass or, overtaken by later ones, in the next */
		sent[i].pass = pass + random_below(2);
		offset += sent[i].length;
		pass += !random_below(10);
	}
	sent[count - 1].fate = COMES;
	return count;
}

struct taken {
	uint64_t offset, bytes, gaps;
};

/* Take some of what is next, and compare it with what was sent. */
static bool take_some(struct taken *taken, const enum fate *fates,
		      uint64_t most)
{
	struct window window;
	uint64_t gap, i;

	switch (stream_head(stream, &window, &gap)) {
	case STREAM_NONE:
		return false;
	case STREAM_GAP:
		if (gap > most)
			gap = most;
		for (i = 0; fates && i < gap; i++)
			must(fates[taken->offset + i] != COMES);
		taken->gaps += gap;
		taken->offset += gap;
		stream_take(stream, gap);
		return true;
	case STREAM_BYTES:
		if (most > window.length)
			most = window.length;
		ck_assert_uint_eq(window.offset, taken->offset);
		for (i = 0; i < most; i++) {
			must(window.bytes[i] == byte_at(taken->offset + i));
			must(!fates || fates[taken->offset + i] == COMES);
			must(window_first_ns(&window, i) > 0);
		}
		taken->bytes += most;
		taken->offset += most;
		stream_take(stream, most);
		return true;
	}
	return false;
}

/* Give the records of a pass in a random order, some repeated in part. */
static void give_pass(const struct sent *sent, size_t count, uint64_t pass)
{
	size_t start = random_below(count), i;
	uint64_t skip;

	for (i = 0; i < count; i++) {
		/* 7919 is prime and more than SENT_MAX: each comes once */
		const struct sent *s = &sent[(start + i * 7919) % count];

		if (s->pass != pass)
			continue;
		if (s->fate == TOLD_LOST)
			stream_lose(stream, s->offset, s->length,
				    LOSS_UNREADABLE);
		if (s->fate != COMES)
			continue;
		skip = random_below(s->length);
		if (!random_below(3)) /* a peek saw the beginning, or the end */
			add(s->offset + skip, s->length - skip);
		add(s->offset, s->length);
		if (!random_below(5))
			add(s->offset, skip);
	}
}

static void run_schedule(unsigned loss_percent, bool bounded)
{
	static enum fate fates[SENT_MAX * 3001];
	static struct sent sent[SENT_MAX];
	struct taken taken = { 0 };
	size_t count, i, j;
	uint64_t end;

	count = make_schedule(sent, loss_percent);
	end = sent[count - 1].offset + sent[count - 1].length;
	for (i = 0; i < count; i++)
		for (j = 0; j < sent[i].length; j++)
			fates[sent[i].offset + j] = sent[i].fate;
	while (pool.pass <= sent[count - 1].pass + 2) {
		give_pass(sent, count, pool.pass);
		stream_settle(stream, false);
		for (i = random_below(6); i; i--)
			take_some(&taken, bounded ? NULL : fates,
				  1 + random_below(4000));
		pool.pass++;
	}
	stream_settle(stream, true);
	while (take_some(&taken, bounded ? NULL : fates, UINT64_MAX))
		;
	ck_assert_uint_eq(stream_told(stream), end);
	ck_assert_uint_eq(taken.offset, end);
	ck_assert_uint_eq(taken.bytes, account.bytes_delivered);
	ck_assert_uint_eq(taken.gaps, lost());
	ck_assert_uint_eq(account.bytes_delivered + lost(), end);
	ck_assert_uint_eq(pool.held_bytes, 0);
	if (!bounded)
		ck_assert_uint_eq(account.lost[LOSS_STREAM_FULL], 0);
	if (!bounded && !loss_percent)
		ck_assert_uint_eq(lost(), 0);
}

START_TEST(random_schedules)
{
	static const unsigned losses[] = { 0, 3, 30 };
	unsigned seed;

	for (seed = 1; seed <= 400; seed++) {
		random_state = seed * 2654435761u;
		stream_free(stream);
		setup();
		run_schedule(losses[seed % 3], false);
	}
}
END_TEST

START_TEST(random_schedules_within_bounds)
{
	uint64_t refused = 0;
	unsigned seed;

	for (seed = 1; seed <= 200; seed++) {
		random_state = seed * 40503u;
		stream_free(stream);
		setup();
		pool.bound_stream_bytes = 1 + random_below(5000);
		if (seed & 1)
			pool.bound_bytes = 1 + random_below(5000);
		run_schedule(5, true);
		refused += account.lost[LOSS_STREAM_FULL];
	}
	ck_assert(refused > 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stream");
	TCase *tcase = tcase_create("stream");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, in_order);
	tcase_add_test(tcase, repeats_and_overlaps_are_ignored);
	tcase_add_test(tcase, a_hole_is_definite_after_one_more_pass);
	tcase_add_test(tcase, a_hole_that_is_filled_in_time_is_none);
	tcase_add_test(tcase, the_first_bytes_missing_are_lost);
	tcase_add_test(tcase, told_losses_are_counted_once);
	tcase_add_test(tcase, the_tail_is_lost_when_the_end_is_known);
	tcase_add_test(tcase, beyond_the_bound_is_a_gap);
	tcase_add_test(tcase, all_streams_share_a_bound);
	tcase_add_test(tcase, times_and_threads);
	tcase_add_test(tcase, a_window_has_a_largest_size);
	tcase_add_test(tcase, a_backlog_of_single_bytes_keeps_few_marks);
	tcase_add_test(tcase, memory_follows_what_is_held);
	tcase_add_test(tcase, offsets_that_wrap_are_refused);
	tcase_add_test(tcase, random_schedules);
	tcase_add_test(tcase, random_schedules_within_bounds);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
