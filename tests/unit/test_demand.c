/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_demand.c - probes/demand.c: when system calls need be watched.
 */
#include <check.h>
#include <string.h>

#include "probes/demand.h"
#include "tests/unit/suite.h"

#define MS	  1000000ULL
#define BEGUN_MAX 64

static struct demand *demand;

static void set_up(void)
{
	demand = demand_new();
	ck_assert_ptr_nonnull(demand);
}

static void tear_down(void)
{
	demand_free(demand);
}

/* A connection's number, as the kernel gives it, by its begin in ms. */
static uint64_t id_of(uint64_t begun_ms, uint8_t cpu)
{
	return begun_ms * MS << 8 | cpu;
}

static void begin(uint64_t id, uint64_t object)
{
	struct {
		struct batch header;
		struct batch_open open;
	} record;

	memset(&record, 0, sizeof(record));
	record.header.kind = BATCH_OPEN;
	record.header.connection = id;
	record.header.tgid = 7;
	record.open.object = object;
	demand_record(demand, &record, sizeof(record));
}

static void end(uint64_t id)
{
	struct batch header;

	memset(&header, 0, sizeof(header));
	header.kind = BATCH_CLOSE;
	header.connection = id;
	demand_record(demand, &header, sizeof(header));
}

START_TEST(a_plain_connection_that_goes_on_is_a_reason)
{
	uint64_t id = id_of(1000, 1);

	ck_assert(!demand_is_there(demand, 0));
	begin(id, OBJECT_SOCKET | 5);
	begin(id, OBJECT_SOCKET | 5); /* told again: still one */
	ck_assert(!demand_is_there(demand, 1005 * MS));
	ck_assert(demand_is_there(demand, 1060 * MS));
	ck_assert(demand_is_there(demand, 999000 * MS));
	end(id);
	ck_assert(!demand_is_there(demand, 999000 * MS));
	end(id);
}
END_TEST

START_TEST(what_is_no_plain_connection_is_none)
{
	begin(id_of(1000, 1), 0x5555deadbeef);
	begin(id_of(1000, 2), OBJECT_STDIO);
	ck_assert(!demand_is_there(demand, 9000 * MS));
}
END_TEST

START_TEST(many_that_have_just_begun_are_a_reason)
{
	int i;

	for (i = 0; i <= BEGUN_MAX; i++) {
		ck_assert(!demand_is_there(demand, 1000 * MS));
		begin(id_of(1000, i), OBJECT_SOCKET | i);
	}
	ck_assert(demand_is_there(demand, 1000 * MS));
	end(id_of(1000, 0));
	ck_assert(!demand_is_there(demand, 1000 * MS));
}
END_TEST

START_TEST(what_is_ignored_is_handed_over_once)
{
	struct accumulator_key key = {0};
	uint64_t first = id_of(1000, 1), second = id_of(1000, 2), taken = 0;

	begin(first, OBJECT_SOCKET | 5);
	begin(second, OBJECT_SOCKET | 6);
	demand_ignored(demand, id_of(1000, 3), 1005 * MS); /* of no begin */
	demand_ignored(demand, first, 1005 * MS);
	ck_assert(demand_is_there(demand, 1060 * MS));
	demand_ignored(demand, second, 1030 * MS);
	ck_assert(!demand_is_there(demand, 9000 * MS));
	ck_assert(!demand_take_ignored(demand, 1100 * MS, &key, &taken));
	ck_assert(demand_take_ignored(demand, 1110 * MS, &key, &taken));
	ck_assert_uint_eq(taken, first);
	ck_assert_uint_eq(key.object, OBJECT_SOCKET | 5);
	ck_assert_uint_eq(key.tgid, 7);
	ck_assert(!demand_take_ignored(demand, 1110 * MS, &key, &taken));
	/* The other's end is told before its time comes. */
	end(second);
	ck_assert(!demand_take_ignored(demand, 9000 * MS, &key, &taken));
}
END_TEST

START_TEST(records_cut_short_are_passed_over)
{
	struct batch header;

	memset(&header, 0, sizeof(header));
	header.kind = BATCH_OPEN;
	header.connection = id_of(1000, 1);
	demand_record(demand, &header, sizeof(header));
	ck_assert(!demand_is_there(demand, 9000 * MS));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("demand");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, a_plain_connection_that_goes_on_is_a_reason);
	tcase_add_test(all, what_is_no_plain_connection_is_none);
	tcase_add_test(all, many_that_have_just_begun_are_a_reason);
	tcase_add_test(all, what_is_ignored_is_handed_over_once);
	tcase_add_test(all, records_cut_short_are_passed_over);
	suite_add_tcase(suite, all);
	return suite_run(suite);
}
