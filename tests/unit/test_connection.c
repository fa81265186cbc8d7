/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_connection.c - records in any order, who they belong to, what is lost.
 */
#include <arpa/inet.h>
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "streams/connection.h"
#include "streams/process.h"
#include "tests/unit/suite.h"

#define OUR_ID 42

static struct account account;
static struct connection_table *table;

/* What the last pass showed of the last connection visited. */
static struct {
	unsigned count;
	bool opened, closed;
	uint64_t id, in_bytes, out_bytes, in_gaps, out_gaps;
	struct process process;
} visited;

static void take_all(struct stream *stream, uint64_t *bytes, uint64_t *gaps)
{
	struct window window;
	uint64_t gap;

	while (stream_head(stream, &window, &gap) != STREAM_NONE) {
		*bytes += window.length;
		*gaps += gap;
		stream_take(stream, window.length + gap);
	}
}

static void visit(void *context, struct connection *c)
{
	(void)context;
	visited.count++;
	visited.opened = c->opened;
	visited.closed = c->closed;
	visited.id = c->id;
	visited.process = c->process;
	take_all(c->streams[BATCH_IN], &visited.in_bytes, &visited.in_gaps);
	take_all(c->streams[BATCH_OUT], &visited.out_bytes,
		 &visited.out_gaps);
}

static void pass(void)
{
	memset(&visited, 0, sizeof(visited));
	connection_table_pass(table, false, visit, NULL);
}

static void setup(void)
{
	account = (struct account){ 0 };
	table = connection_table_new(&account, 4, 1 << 20, 8 << 20);
	ck_assert_ptr_nonnull(table);
}

static void teardown(void)
{
	connection_table_free(table);
}

static uint64_t lost(void)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < LOSS_REASONS; i++)
		sum += account.lost[i];
	return sum;
}

static struct batch header(enum batch_kind kind, uint64_t id)
{
	return (struct batch){ .version = BATCH_VERSION,
			       .kind = kind,
			       .connection = id,
			       .tgid = getpid(),
			       .tid = getpid() };
}

/* Give a record, and the payload's exact size: ASan sees reads beyond it. */
static struct connection *give(struct batch batch, const void *payload)
{
	size_t size = sizeof(batch) + batch.length;
	uint8_t *record = malloc(size);
	struct connection *c;

	memcpy(record, &batch, sizeof(batch));
	if (batch.length)
		memcpy(record + sizeof(batch), payload, batch.length);
	c = connection_table_receive(table, record, size);
	free(record);
	return c;
}

static struct connection *give_data(uint64_t id, enum batch_direction direction,
				    uint64_t offset, size_t length)
{
	struct batch batch = header(BATCH_DATA, id);
	static const char bytes[1024];

	batch.direction = direction;
	batch.offset = offset;
	batch.length = length;
	return give(batch, bytes);
}

static struct batch_open open_of(uint16_t family)
{
	return (struct batch_open){ .object = 0x1000,
				    .uid = 0,
				    .start_ns = 12345,
				    .family = family,
				    .tls = BATCH_TLS_OPENSSL,
				    .fd = 5,
				    .comm = "agent" };
}

static struct connection *give_open(uint64_t id, const struct batch_open *open)
{
	struct batch batch = header(BATCH_OPEN, id);

	batch.length = sizeof(*open);
	return give(batch, open);
}

static struct connection *give_close(uint64_t id, uint64_t in, uint64_t out)
{
	struct batch batch = header(BATCH_CLOSE, id);

	batch.offset = in;
	batch.missed = out;
	return give(batch, NULL);
}

START_TEST(opened_used_closed)
{
	struct batch_open open = open_of(AF_INET);
	struct connection *c;

	inet_pton(AF_INET, "10.0.0.1", open.local_address);
	inet_pton(AF_INET, "10.0.0.2", open.remote_address);
	open.local_port = 50000;
	open.remote_port = 3306;
	c = give_open(OUR_ID, &open);
	ck_assert_ptr_nonnull(c);
	ck_assert_ptr_eq(give_data(OUR_ID, BATCH_OUT, 0, 100), c);
	ck_assert_ptr_eq(give_data(OUR_ID, BATCH_IN, 0, 30), c);
	ck_assert_str_eq(c->tls, "openssl");
	ck_assert_str_eq(c->process.comm, "agent");
	ck_assert_str_eq(c->process.user, "root");
	ck_assert_uint_eq(c->process.pid, getpid());
	ck_assert_str_eq(c->local.address, "10.0.0.1");
	ck_assert_uint_eq(c->local.port, 50000);
	ck_assert_str_eq(c->remote.address, "10.0.0.2");
	ck_assert_uint_eq(c->remote.port, 3306);
	pass();
	ck_assert_uint_eq(visited.count, 1);
	ck_assert_uint_eq(visited.out_bytes, 100);
	ck_assert_uint_eq(visited.in_bytes, 30);
	ck_assert(!visited.closed);
	pass();
	ck_assert_uint_eq(visited.count, 0); /* no news */
	give_close(OUR_ID, 30, 100);
	pass();
	ck_assert(!visited.closed);
	pass();
	ck_assert_uint_eq(visited.count, 1);
	ck_assert(visited.closed);
	ck_assert_uint_eq(connection_table_count(table), 0);
	ck_assert_ptr_null(connection_table_find(table, OUR_ID));
	ck_assert_uint_eq(account.connections, 1);
	ck_assert_uint_eq(account.bytes_delivered, 130);
	ck_assert_uint_eq(lost(), 0);
}
END_TEST

START_TEST(data_before_open_and_behind_close)
{
	struct batch_open open = open_of(0);

	give_close(OUR_ID, 20, 0);
	give_data(OUR_ID, BATCH_IN, 10, 5);
	pass();
	ck_assert_uint_eq(visited.count, 0); /* whose is it? */
	give_open(OUR_ID, &open);
	give_data(OUR_ID, BATCH_IN, 0, 10);
	pass();
	ck_assert_uint_eq(visited.count, 1);
	ck_assert(visited.opened && visited.closed);
	ck_assert_uint_eq(visited.in_bytes, 15);
	ck_assert_uint_eq(visited.in_gaps, 5);
	ck_assert_uint_eq(account.lost[LOSS_BUFFER_FULL], 5);
}
END_TEST

START_TEST(never_opened)
{
	struct connection *c = give_data(OUR_ID, BATCH_OUT, 0, 10);

	ck_assert(!c->opened);
	ck_assert_uint_eq(c->process.pid, getpid());
	pass();
	ck_assert_uint_eq(visited.count, 0);
	pass();
	ck_assert_uint_eq(visited.count, 1);
	ck_assert(!visited.opened);
	ck_assert_uint_eq(visited.out_bytes, 10);
}
END_TEST

START_TEST(a_hole_becomes_a_gap_though_nothing_more_comes)
{
	struct batch_open open = open_of(0);

	give_open(OUR_ID, &open);
	give_data(OUR_ID, BATCH_OUT, 7, 10);
	pass();
	ck_assert_uint_eq(visited.out_gaps + visited.out_bytes, 0);
	pass();
	ck_assert_uint_eq(visited.out_gaps, 7);
	ck_assert_uint_eq(visited.out_bytes, 10);
	pass();
	ck_assert_uint_eq(visited.count, 0);
}
END_TEST

START_TEST(missed_bytes_are_lost_for_their_reason)
{
	struct batch batch = header(BATCH_DATA, OUR_ID);

	batch.length = 3;
	batch.missed = 1000;
	batch.missed_cause = LOSS_OVER_LIMIT;
	give(batch, "abc");
	give(batch, "abc");
	ck_assert_uint_eq(account.lost[LOSS_OVER_LIMIT], 1000);
	ck_assert_uint_eq(account.bytes_delivered, 3);
	ck_assert_uint_eq(lost(), 1000);
}
END_TEST

START_TEST(no_offsets_order_of_arrival)
{
	struct batch batch = header(BATCH_DATA, OUR_ID);
	struct connection *c;

	batch.flags = BATCH_NO_OFFSET;
	batch.length = 3;
	batch.offset = 99;
	batch.missed = 2;
	batch.missed_cause = LOSS_UNREADABLE;
	give(batch, "abc");
	batch.missed = 0;
	c = give(batch, "def");
	ck_assert(c->no_offsets);
	give_close(OUR_ID, 5000, 5000); /* means nothing here */
	pass();
	pass();
	ck_assert_uint_eq(visited.in_bytes, 6);
	ck_assert_uint_eq(visited.in_gaps, 2);
	ck_assert_uint_eq(lost(), 2);
}
END_TEST

START_TEST(endpoints_become_known_later)
{
	struct batch_open open = open_of(0);
	struct connection *c = give_open(OUR_ID, &open);

	ck_assert_str_eq(c->remote.address, "");
	open.family = AF_INET6;
	inet_pton(AF_INET6, "::ffff:192.0.2.7", open.remote_address);
	inet_pton(AF_INET6, "2001:db8::1", open.local_address);
	open.remote_port = 3306;
	memcpy(open.comm, "renamed", 8);
	ck_assert_ptr_eq(give_open(OUR_ID, &open), c);
	ck_assert_str_eq(c->remote.address, "192.0.2.7");
	ck_assert_uint_eq(c->remote.port, 3306);
	ck_assert_str_eq(c->local.address, "2001:db8::1");
	ck_assert_str_eq(c->process.comm, "agent");
	open.family = 0;
	give_open(OUR_ID, &open);
	ck_assert_str_eq(c->remote.address, "192.0.2.7");
	ck_assert_uint_eq(account.connections, 1);
}
END_TEST

START_TEST(malformed_records_are_counted)
{
	static const uint8_t zeros[256];
	struct batch good = header(BATCH_DATA, OUR_ID), bad;
	struct batch_open open = open_of(0);
	size_t size;

	for (size = 0; size < sizeof(good); size++)
		ck_assert_ptr_null(
			connection_table_receive(table, zeros, size));
	ck_assert_uint_eq(account.records_bad, sizeof(good));
	ck_assert_ptr_null(connection_table_receive(table, zeros, 200));
	good.length = 10;
	bad = good;
	bad.version++;
	ck_assert_ptr_null(give(bad, zeros));
	bad = good;
	bad.direction = 2;
	ck_assert_ptr_null(give(bad, zeros));
	bad = good;
	bad.connection = 0;
	ck_assert_ptr_null(give(bad, zeros));
	bad = good;
	bad.missed_cause = LOSS_REASONS;
	ck_assert_ptr_null(give(bad, zeros));
	bad = good;
	bad.offset = UINT64_MAX - 5;
	ck_assert_ptr_null(give(bad, zeros));
	bad.missed = UINT64_MAX - 5;
	bad.offset = 0;
	ck_assert_ptr_null(give(bad, zeros));
	ck_assert_ptr_null(connection_table_receive(table, &good,
						    sizeof(good)));
	bad = header(BATCH_OPEN, OUR_ID);
	bad.length = sizeof(open) - 1;
	ck_assert_ptr_null(give(bad, &open));
	ck_assert_uint_eq(account.records_bad, sizeof(good) + 9);
	ck_assert_uint_eq(connection_table_count(table), 0);
	ck_assert_ptr_nonnull(give(good, zeros));
}
END_TEST

START_TEST(a_padded_record_holds_what_it_says)
{
	struct batch batch = header(BATCH_DATA, OUR_ID);
	uint8_t record[1224] = { 0 };

	batch.length = 20;
	memcpy(record, &batch, sizeof(batch));
	ck_assert_ptr_nonnull(
		connection_table_receive(table, record, sizeof(record)));
	ck_assert_uint_eq(account.bytes_delivered, 20);
}
END_TEST

START_TEST(what_was_peeked_at_is_counted_once)
{
	struct batch batch = header(BATCH_DATA, OUR_ID);
	const char bytes[30] = "peeked at, then flushed";

	batch.length = 20;
	batch.flags = BATCH_PEEKED;
	ck_assert_ptr_nonnull(give(batch, bytes));
	ck_assert_uint_eq(account.peeked_bytes, 20);
	batch.length = 30;
	batch.flags = 0;
	ck_assert_ptr_nonnull(give(batch, bytes));
	ck_assert_uint_eq(account.peeked_bytes, 20);
	ck_assert_uint_eq(account.bytes_delivered, 30);
}
END_TEST

START_TEST(notes_and_libraries_make_no_connection)
{
	struct batch note = header(BATCH_NOTE, OUR_ID);
	struct batch library = header(BATCH_LIBRARY, 0);
	struct batch_library file = { .inode = 1 };
	struct connection *c;

	ck_assert_ptr_null(give(note, NULL));
	library.length = sizeof(file);
	ck_assert_ptr_null(give(library, &file));
	ck_assert_ptr_null(give_close(OUR_ID, 0, 0));
	ck_assert_uint_eq(connection_table_count(table), 0);
	c = give_data(OUR_ID, BATCH_OUT, 0, 1);
	ck_assert_ptr_eq(give(note, NULL), c);
	ck_assert_uint_eq(account.records_bad, 0);
}
END_TEST

START_TEST(beyond_the_bound_all_is_lost_once)
{
	uint64_t id;

	for (id = 1; id <= 4; id++)
		give_data(id, BATCH_OUT, 0, 1);
	ck_assert_ptr_null(give_data(5, BATCH_OUT, 10, 10));
	ck_assert_ptr_null(give_data(5, BATCH_OUT, 15, 10));
	ck_assert_uint_eq(account.lost[LOSS_STREAM_FULL], 25);
	ck_assert_uint_eq(account.connections_refused, 1);
	connection_table_pass(table, true, visit, NULL);
	ck_assert_uint_eq(connection_table_count(table), 0);
	/* refused for good: its bytes are never counted a second time */
	ck_assert_ptr_null(give_data(5, BATCH_OUT, 20, 10));
	ck_assert_ptr_null(give_close(5, 7, 40));
	ck_assert_uint_eq(lost(), 47);
	ck_assert_uint_eq(account.bytes_delivered, 4);
	ck_assert_uint_eq(account.connections_refused, 1);
}
END_TEST

START_TEST(opened_and_closed_none_stays)
{
	struct batch_open open = open_of(0);

	for (uint64_t id = 1; id <= 1000; id++) {
		ck_assert_ptr_nonnull(give_open(id, &open));
		give_data(id, BATCH_OUT, 0, 10);
		give_close(id, 0, 10);
		pass();
		pass();
		ck_assert_uint_eq(connection_table_count(table), 0);
	}
	ck_assert_uint_eq(account.connections, 1000);
	ck_assert_uint_eq(account.connections_refused + lost(), 0);
}
END_TEST

START_TEST(without_state_in_the_kernel_silence_is_the_end)
{
	struct batch batch = header(BATCH_DATA, 8);
	unsigned looks = 0;

	give_data(7, BATCH_IN, 0, 3);
	batch.flags = BATCH_NO_OFFSET;
	batch.length = 3;
	give(batch, "abc");
	pass();
	connection_table_drop_dead(table);
	give(batch, "def"); /* its silence begins anew */
	while (connection_table_find(table, 8) && looks < 1000) {
		connection_table_drop_dead(table);
		pass();
		pass();
		looks++;
	}
	ck_assert_uint_eq(looks, 30);
	ck_assert_ptr_nonnull(connection_table_find(table, 7));
	ck_assert_ptr_nonnull(give(batch, "ghi")); /* begun anew */
	pass();
	pass();
	ck_assert_uint_eq(visited.in_bytes, 3);
	ck_assert_uint_eq(account.bytes_delivered, 12);
	ck_assert_uint_eq(lost(), 0);
}
END_TEST

START_TEST(only_its_close_came)
{
	give_close(OUR_ID, 100, 50);
	pass();
	pass();
	ck_assert(visited.closed);
	ck_assert_uint_eq(visited.in_gaps, 100);
	ck_assert_uint_eq(visited.out_gaps, 50);
	ck_assert_uint_eq(lost(), 150);
	ck_assert_uint_eq(connection_table_count(table), 0);
}
END_TEST

START_TEST(the_end_of_the_capture)
{
	struct batch_open open = open_of(0);

	give_open(1, &open);
	pass();
	give_open(2, &open);
	give_data(2, BATCH_IN, 5, 5);
	memset(&visited, 0, sizeof(visited));
	connection_table_pass(table, true, visit, NULL);
	ck_assert_uint_eq(visited.count, 2);
	ck_assert(visited.closed);
	ck_assert_uint_eq(visited.in_gaps, 5);
	ck_assert_uint_eq(visited.in_bytes, 5);
	ck_assert_uint_eq(connection_table_count(table), 0);
}
END_TEST

/* Elsewhere process ids are not the kernel's, and nothing is looked up. */
static bool in_initial_namespace(void)
{
	char name[64] = "";

	ck_assert_int_gt(readlink("/proc/self/ns/pid", name, sizeof(name) - 1),
			 0);
	return strcmp(name, "pid:[4026531836]") == 0;
}

/* A visitor that holds, so many times, what it visits. */
static void hold(void *context, struct connection *c)
{
	unsigned *times = context;

	visit(NULL, c);
	c->held = *times > 0;
	*times -= c->held;
}

static void pass_holding(unsigned *times, bool final)
{
	memset(&visited, 0, sizeof(visited));
	connection_table_pass(table, final, hold, times);
}

START_TEST(a_held_one_is_visited_and_not_closed)
{
	const struct batch_open open = open_of(AF_UNIX);
	unsigned times = 3;

	give_open(OUR_ID, &open);
	give_close(OUR_ID, 0, 0);
	while (times) {
		pass_holding(&times, false);
		ck_assert_uint_eq(visited.count, 1);
		ck_assert(!visited.closed);
	}
	pass_holding(&times, false); /* let go here */
	ck_assert_uint_eq(visited.count, 1);
	ck_assert(!visited.closed);
	pass_holding(&times, false);
	ck_assert_uint_eq(visited.count, 1);
	ck_assert(visited.closed);
	ck_assert_uint_eq(connection_table_count(table), 0);
}
END_TEST

START_TEST(the_end_closes_a_held_one_too)
{
	const struct batch_open open = open_of(AF_UNIX);
	unsigned times = 9;

	give_open(OUR_ID, &open);
	pass_holding(&times, false);
	ck_assert(!visited.closed);
	pass_holding(&times, true);
	ck_assert(visited.closed);
	ck_assert_uint_eq(connection_table_count(table), 0);
}
END_TEST

START_TEST(dead_processes_are_dropped)
{
	struct batch_open open = open_of(0);
	struct batch batch = header(BATCH_OPEN, 7);
	pid_t child;

	if (!in_initial_namespace())
		return;
	child = fork();
	if (!child)
		for (;;)
			pause();
	ck_assert_int_gt(child, 0);
	open.start_ns = 0;
	batch.length = sizeof(open);
	give(batch, &open);
	batch.connection = 8;
	batch.tgid = child;
	give(batch, &open);
	batch.connection = 9;
	give(batch, &open);
	pass();
	connection_table_drop_dead(table);
	pass();
	ck_assert_uint_eq(visited.count, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	give_data(9, BATCH_IN, 0, 10);
	connection_table_drop_dead(table);
	pass();
	connection_table_drop_dead(table);
	pass();
	ck_assert_uint_eq(visited.count, 2);
	ck_assert(visited.closed);
	ck_assert_uint_eq(connection_table_count(table), 1);
	ck_assert_ptr_nonnull(connection_table_find(table, 7));
	/* what comes all the same was lost, and is counted once */
	ck_assert_ptr_null(give_data(9, BATCH_IN, 0, 10));
	ck_assert_uint_eq(lost(), 0);
	ck_assert_ptr_null(give_close(9, 12, 3));
	ck_assert_uint_eq(lost(), 5);
}
END_TEST

START_TEST(who_we_are)
{
	struct process_cache *cache = process_cache_new(1);
	struct process self = { .pid = getpid() };
	struct process gone = { .pid = 0x7ffffffe, .start_ns = 1, .uid = 0 };
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	ck_assert_int_gt(length, 0);
	path[length] = '\0';
	process_identify(cache, &self);
	if (!in_initial_namespace()) {
		ck_assert_str_eq(self.executable, "");
		ck_assert(process_alive(cache, 0x7ffffffe, 0));
		process_cache_free(cache);
		return;
	}
	ck_assert_str_eq(self.executable, strrchr(path, '/') + 1);
	ck_assert_uint_eq(self.uid, geteuid());
	ck_assert_int_eq(strncmp(path + (length - strlen(self.executable)),
				 self.comm, strlen(self.comm)),
			 0);
	process_identify(cache, &gone);
	ck_assert_str_eq(gone.executable, "");
	ck_assert_str_eq(gone.user, "root");
	gone.uid = 0xfffffff0;
	process_identify(cache, &gone);
	ck_assert_str_eq(gone.user, "");
	ck_assert(process_alive(cache, getpid(), 0));
	ck_assert(!process_alive(cache, getpid(), 1));
	ck_assert(!process_alive(cache, 0x7ffffffe, 0));
	process_cache_free(cache);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("connection");
	TCase *tcase = tcase_create("connection");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, opened_used_closed);
	tcase_add_test(tcase, data_before_open_and_behind_close);
	tcase_add_test(tcase, never_opened);
	tcase_add_test(tcase, a_hole_becomes_a_gap_though_nothing_more_comes);
	tcase_add_test(tcase, missed_bytes_are_lost_for_their_reason);
	tcase_add_test(tcase, no_offsets_order_of_arrival);
	tcase_add_test(tcase, endpoints_become_known_later);
	tcase_add_test(tcase, malformed_records_are_counted);
	tcase_add_test(tcase, a_padded_record_holds_what_it_says);
	tcase_add_test(tcase, what_was_peeked_at_is_counted_once);
	tcase_add_test(tcase, notes_and_libraries_make_no_connection);
	tcase_add_test(tcase, beyond_the_bound_all_is_lost_once);
	tcase_add_test(tcase, opened_and_closed_none_stays);
	tcase_add_test(tcase, without_state_in_the_kernel_silence_is_the_end);
	tcase_add_test(tcase, only_its_close_came);
	tcase_add_test(tcase, the_end_of_the_capture);
	tcase_add_test(tcase, a_held_one_is_visited_and_not_closed);
	tcase_add_test(tcase, the_end_closes_a_held_one_too);
	tcase_add_test(tcase, dead_processes_are_dropped);
	tcase_add_test(tcase, who_we_are);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
