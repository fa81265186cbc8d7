/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_filter.c - which exchanges are shown, and from which end.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "access/filter.h"
#include "sinks/sink.h"
#include "tests/unit/suite.h"

#define SECOND_NS 1000000000ULL
#define NOW_NS	  (1000 * SECOND_NS)

static struct options options;
static struct exchange exchange;
static struct record record;
static struct filter *filter;

static void setup(void)
{
	options = (struct options){0};
	exchange = (struct exchange){.system = "mysql",
				     .operation = "SELECT",
				     .start_ns = 1000000,
				     .end_ns = 6000000};
	record = (struct record){.role = ROLE_SERVER,
				 .client = {"127.0.0.1", 51544},
				 .server = {"127.0.0.1", 3306},
				 .exchange = &exchange,
				 .timestamp_ns = NOW_NS};
	filter = filter_new(&options);
}

static void teardown(void)
{
	filter_free(filter);
}

START_TEST(test_all_pass)
{
	ck_assert(filter_passes(filter, &record));
}
END_TEST

START_TEST(test_errors)
{
	options.errors_only = true;
	ck_assert(!filter_passes(filter, &record));
	exchange.failed = true;
	ck_assert(filter_passes(filter, &record));
}
END_TEST

START_TEST(test_min_ms)
{
	options.min_ms = 5;
	ck_assert(filter_passes(filter, &record));
	options.min_ms = 5.001;
	ck_assert(!filter_passes(filter, &record));
	options.min_ms = 0.5;
	exchange.end_ns = 0;
	ck_assert(!filter_passes(filter, &record));
	exchange.start_ns = 0;
	exchange.end_ns = 6000000;
	ck_assert(!filter_passes(filter, &record));
}
END_TEST

START_TEST(test_port)
{
	options.ports[0] = 80;
	options.port_count = 1;
	ck_assert(!filter_passes(filter, &record));
	options.ports[1] = 3306;
	options.port_count = 2;
	ck_assert(filter_passes(filter, &record));
	options.ports[1] = 51544;
	ck_assert(filter_passes(filter, &record));
	record.client = record.server = (struct endpoint){"", 0, 0};
	ck_assert(!filter_passes(filter, &record));
}
END_TEST

START_TEST(test_protocol)
{
	options.shown[0] = "other";
	options.shown_count = 1;
	ck_assert(!filter_passes(filter, &record));
	exchange.application = "other";
	ck_assert(filter_passes(filter, &record));
	exchange.application = NULL;
	options.shown[1] = "mysql";
	options.shown_count = 2;
	ck_assert(filter_passes(filter, &record));
}
END_TEST

/* Of a capture file's processes; a live capture chose them before. */
START_TEST(test_process)
{
	struct process process = {.pid = 7, .uid = 33, .comm = "web"};

	record.process = &process;
	options.pids[0] = 8;
	options.pid_count = 1;
	ck_assert(filter_passes(filter, &record));
	options.read_file = "-";
	ck_assert(!filter_passes(filter, &record));
	options.pids[0] = 7;
	ck_assert(filter_passes(filter, &record));
	options.comms[0] = "we";
	options.comm_count = 1;
	ck_assert(!filter_passes(filter, &record));
	options.comms[0] = "web";
	options.uids[0] = 0;
	options.uid_count = 1;
	ck_assert(!filter_passes(filter, &record));
	options.uids[0] = 33;
	ck_assert(filter_passes(filter, &record));
	/* A file that names no process has none of those. */
	process = (struct process){.pid = 0};
	ck_assert(!filter_passes(filter, &record));
	options.pid_count = options.comm_count = options.uid_count = 0;
	ck_assert(filter_passes(filter, &record));
}
END_TEST

START_TEST(test_mirrored)
{
	ck_assert(!filter_mirrored(filter, &record));
	filter_client_seen(filter, 1, &record.client, &record.server);
	ck_assert(filter_mirrored(filter, &record));

	record.role = ROLE_CLIENT;
	ck_assert(!filter_mirrored(filter, &record));
	record.role = ROLE_SERVER;
	options.both_ends = true;
	ck_assert(!filter_mirrored(filter, &record));
	options.both_ends = false;
	record.client.port++;
	ck_assert(!filter_mirrored(filter, &record));
	record.client.port--;
	record.client.address[8] = '2';
	ck_assert(!filter_mirrored(filter, &record));
}
END_TEST

/* A server that is told of like a client is not its own mirror. */
START_TEST(test_mirrored_server)
{
	filter_client_seen(filter, 1, &record.server, &record.client);
	ck_assert(!filter_mirrored(filter, &record));
	filter_client_seen(filter, 2, &record.client, &record.server);
	ck_assert(filter_mirrored(filter, &record));
}
END_TEST

/* Bytes behind an address's end are of no account, nor is its IPv6 form. */
START_TEST(test_mirrored_forms)
{
	struct endpoint client = {"::ffff:127.0.0.1", 51544, 0};
	struct endpoint server = {"127.0.0.1\0rubbish", 3306, 0};

	filter_client_seen(filter, 1, &record.client, &server);
	record.client = client;
	ck_assert(filter_mirrored(filter, &record));
}
END_TEST

START_TEST(test_mirrored_unknown)
{
	record.client = (struct endpoint){"", 0, 0};
	filter_client_seen(filter, 1, &record.client, &record.server);
	ck_assert_int_eq(filter_clients(filter), 0);
	ck_assert(!filter_mirrored(filter, &record));
}
END_TEST

START_TEST(test_gone)
{
	struct endpoint other = {"127.0.0.1", 1, 0};

	filter_client_seen(filter, 1, &record.client, &record.server);
	filter_client_gone(filter, 1, &record.client, &record.server, NOW_NS);
	/* What the server says of it a moment later is still its mirror. */
	record.timestamp_ns = NOW_NS + FILTER_LINGER_NS;
	ck_assert(filter_mirrored(filter, &record));
	record.timestamp_ns++;
	ck_assert(!filter_mirrored(filter, &record));

	ck_assert_int_eq(filter_clients(filter), 1);
	filter_client_gone(filter, 2, &other, &record.server,
			   NOW_NS + 2 * FILTER_LINGER_NS);
	ck_assert_int_eq(filter_clients(filter), 0);
}
END_TEST

START_TEST(test_gone_other)
{
	/* The addresses' next connection is seen before the first one ends. */
	filter_client_seen(filter, 1, &record.client, &record.server);
	filter_client_seen(filter, 2, &record.client, &record.server);
	filter_client_gone(filter, 1, &record.client, &record.server, NOW_NS);
	record.timestamp_ns = NOW_NS + 10 * SECOND_NS;
	ck_assert(filter_mirrored(filter, &record));
	ck_assert_int_eq(filter_clients(filter), 1);

	/* And after: it lives again. */
	filter_client_gone(filter, 2, &record.client, &record.server, NOW_NS);
	filter_client_seen(filter, 3, &record.client, &record.server);
	ck_assert(filter_mirrored(filter, &record));
}
END_TEST

START_TEST(test_bound)
{
	struct endpoint client = {"10.0.0.1", 1, 0};
	int i;

	for (i = 0; i < FILTER_CLIENTS_MAX; i++) {
		client.port = 1 + i;
		filter_client_seen(filter, 1 + i, &client, &record.server);
	}
	ck_assert_int_eq(filter_clients(filter), FILTER_CLIENTS_MAX);
	ck_assert_int_eq(filter_clients_refused(filter), 0);
	filter_client_seen(filter, 99999, &record.client, &record.server);
	ck_assert_int_eq(filter_clients(filter), FILTER_CLIENTS_MAX);
	ck_assert_int_eq(filter_clients_refused(filter), 1);
	ck_assert(!filter_mirrored(filter, &record));

	/* One that has ended makes room. */
	filter_client_gone(filter, FILTER_CLIENTS_MAX, &client, &record.server,
			   NOW_NS);
	filter_client_seen(filter, 99999, &record.client, &record.server);
	ck_assert_int_eq(filter_clients(filter), FILTER_CLIENTS_MAX);
	ck_assert_int_eq(filter_clients_refused(filter), 1);
	ck_assert(filter_mirrored(filter, &record));
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("filter");
	TCase *cases = tcase_create("all");

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, test_all_pass);
	tcase_add_test(cases, test_errors);
	tcase_add_test(cases, test_min_ms);
	tcase_add_test(cases, test_port);
	tcase_add_test(cases, test_protocol);
	tcase_add_test(cases, test_process);
	tcase_add_test(cases, test_mirrored);
	tcase_add_test(cases, test_mirrored_server);
	tcase_add_test(cases, test_mirrored_forms);
	tcase_add_test(cases, test_mirrored_unknown);
	tcase_add_test(cases, test_gone);
	tcase_add_test(cases, test_gone_other);
	tcase_add_test(cases, test_bound);
	suite_add_tcase(all, cases);
	return all;
}

int main(void)
{
	return suite_run(suite());
}
