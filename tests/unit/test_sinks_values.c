/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sinks_values.c - single values of a record: attributes, clocks.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/sink.h"
#include "tests/unit/suite.h"

#define SECOND_NS 1000000000ULL
#define TEN_NS	  (1795341723 * SECOND_NS) /* 2026-11-22T10:02:03Z */

static struct process process;
static struct exchange exchange;
static struct exchange_lists lists;
static struct record record;

static void setup(void)
{
	setenv("TZ", "UTC", 1);
	process = (struct process){.pid = 4121};
	exchange = (struct exchange){
		.lists = &lists,
		.attributes = lists.attributes,
		.system = "mysql",
		.operation = "SELECT",
		.rows = -1,
		.affected = -1,
	};
	record = (struct record){
		.process = &process,
		.exchange = &exchange,
		.timestamp_ns = TEN_NS,
	};
}

/* What a sink writes of `record` at each of these times, to be freed. */
static char *written(const struct sink_operations *operations,
		     const uint64_t *times, size_t count)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	struct sink *sink = operations->open(file, false);

	for (size_t i = 0; i < count; i++) {
		record.timestamp_ns = times[i];
		ck_assert_int_eq(operations->record(sink, &record), 0);
	}
	ck_assert_int_eq(operations->close(sink), 0);
	ck_assert_int_eq(fclose(file), 0);
	return text;
}

/* Are these parts in the text, one behind the other? */
static void assert_parts(const char *text, const char *const *parts,
			 size_t count)
{
	const char *at = text;

	for (size_t i = 0; i < count; i++) {
		at = strstr(at, parts[i]);
		ck_assert_msg(at != NULL, "no %s in %s", parts[i], text);
		at += strlen(parts[i]);
	}
}

/* Times that go on within a second, into the next one, and back. */
static const uint64_t clock_times[] = {
	SECOND_NS / 2,		 TEN_NS,
	TEN_NS + 1002003,	 TEN_NS + SECOND_NS - 1,
	TEN_NS + SECOND_NS,	 TEN_NS + 59999999,
	TEN_NS - 123 * SECOND_NS,
};
#define TIMES (sizeof(clock_times) / sizeof(*clock_times))

START_TEST(test_clock_json)
{
	static const char *const parts[TIMES] = {
		"\"1970-01-01T00:00:00.500000Z\"",
		"\"2026-11-22T10:02:03.000000Z\"",
		"\"2026-11-22T10:02:03.001002Z\"",
		"\"2026-11-22T10:02:03.999999Z\"",
		"\"2026-11-22T10:02:04.000000Z\"",
		"\"2026-11-22T10:02:03.059999Z\"",
		"\"2026-11-22T10:00:00.000000Z\"",
	};
	char *text = written(&json_sink, clock_times, TIMES);

	assert_parts(text, parts, TIMES);
	free(text);
}
END_TEST

START_TEST(test_clock_table)
{
	static const char *const parts[TIMES] = {
		"\n00:00:00.500 ", "\n10:02:03.000 ", "\n10:02:03.001 ",
		"\n10:02:03.999 ", "\n10:02:04.000 ", "\n10:02:03.059 ",
		"\n10:00:00.000 ",
	};
	char *text = written(&text_sink, clock_times, TIMES);

	assert_parts(text, parts, TIMES);
	free(text);
}
END_TEST

START_TEST(test_attributes)
{
	static const char *const parts[] = {
		"\"least\":-9223372036854775808,",
		"\"most\":9223372036854775807,",
		"\"none\":0,",
		"\"whole\":3.0,",
		"\"third\":0.33333333333333331483,",
		"\"large\":1.0000000000000000525e+300,",
		"\"endless\":null,",
		"\"list\":[\"a\",2,true,0.5],",
		"\"no\":false,",
	};
	char *text;

	exchange_number(&exchange, "least", INT64_MIN);
	exchange_number(&exchange, "most", INT64_MAX);
	exchange_number(&exchange, "none", 0);
	exchange_real(&exchange, "whole", 3);
	exchange_real(&exchange, "third", 1.0 / 3);
	exchange_real(&exchange, "large", 1e300);
	exchange_real(&exchange, "endless", INFINITY);
	exchange_text(&exchange, "list", (struct span){"a", 1});
	exchange_number(&exchange, "list", 2);
	exchange_bool(&exchange, "list", true);
	exchange_bool(&exchange, "no", false);
	exchange_real(&exchange, "list", 0.5);
	text = written(&json_sink, &clock_times[1], 1);
	assert_parts(text, parts, sizeof(parts) / sizeof(*parts));
	free(text);
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("sinks: values");
	TCase *cases = tcase_create("all");

	tcase_add_checked_fixture(cases, setup, NULL);
	tcase_add_test(cases, test_clock_json);
	tcase_add_test(cases, test_clock_table);
	tcase_add_test(cases, test_attributes);
	suite_add_tcase(all, cases);
	return all;
}

int main(void)
{
	return suite_run(suite());
}
