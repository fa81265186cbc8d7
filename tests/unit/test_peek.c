/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_peek.c - probes/peek.c on real BPF maps: what waits is read whole.
 *
 * The test plays the kernel's part: it raises `version` before and after each
 * change.  Needs bpf(); skipped (77) where it is refused.
 */
#include <bcc/libbpf.h>
#include <check.h>
#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probes/kernel.h"
#include "probes/peek.h"
#include "tests/unit/suite.h"

#define PAYLOAD_BYTES  1024
#define BUFFER_BYTES   2048
#define SCHEDULED_MAX  65536
#define COPIES_BYTES   (4U << 20)
#define RECORDS_MAX    8192
#define MS	       1000000ULL
#define LOST_SIGHT_MS  1000 /* far more than any retry may wait */
#define HAMMER_SECONDS 1

struct value {
	struct accumulator head;
	uint8_t payload[BUFFER_BYTES];
};

/* What was handed over. */
struct seen {
	struct batch header;
	size_t size;
	bool whole; /* every payload byte is the one it should be */
};

static struct seen seen[RECORDS_MAX];
static size_t seen_count;
static struct peek *peek;
static int map;

/* The byte that all of a connection's payload has. */
static uint8_t fill_byte(uint64_t number)
{
	return number * 37 + 1;
}

static void on_record(void *context, const void *record, size_t size)
{
	const uint8_t *payload = (const uint8_t *)record + sizeof(struct batch);
	struct seen *entry = &seen[seen_count++];

	(void)context;
	ck_assert_uint_le(seen_count, RECORDS_MAX);
	ck_assert_uint_ge(size, sizeof(struct batch));
	memcpy(&entry->header, record, sizeof(entry->header));
	entry->size = size;
	entry->whole = true;
	for (size_t i = 0; i < size - sizeof(struct batch); i++)
		if (payload[i] != fill_byte(entry->header.offset))
			entry->whole = false;
}

/* Called after the nth look-up since it was set, from 0, with the copy. */
static void (*after_look_up)(unsigned nth, struct value *copy);
static unsigned look_ups;

/* In place of libbcc's, so that a change can come at a given moment. */
int bpf_lookup_elem(int fd, void *key, void *value)
{
	union bpf_attr attributes;

	memset(&attributes, 0, sizeof(attributes));
	attributes.map_fd = fd;
	attributes.key = (uintptr_t)key;
	attributes.value = (uintptr_t)value;
	if (syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attributes,
		    sizeof(attributes)))
		return -1;
	if (after_look_up)
		after_look_up(look_ups++, value);
	return 0;
}

static void set_up_map(int entries)
{
	map = bcc_create_map(BPF_MAP_TYPE_HASH, "connections",
			     sizeof(struct accumulator_key),
			     sizeof(struct value), entries, 0);
	ck_assert_msg(map >= 0, "a map: %s", strerror(errno));
	peek = peek_new(map, sizeof(struct value), PAYLOAD_BYTES);
	ck_assert_ptr_nonnull(peek);
	seen_count = 0;
}

static void set_up(void)
{
	set_up_map(64);
}

static void tear_down(void)
{
	peek_free(peek);
	close(map);
}

static struct accumulator_key key_of(uint64_t number, pid_t tgid)
{
	struct accumulator_key key = {.object = number, .tgid = tgid};

	return key;
}

/* A connection with `length` bytes waiting, each fill_byte(its offset). */
static void fill_value(struct value *value, uint64_t number, uint32_t length)
{
	memset(value, 0, sizeof(*value));
	value->head.version = 2;
	value->head.offsets[BATCH_IN] = 1000 + number;
	value->head.offsets[BATCH_OUT] = 2000 + number;
	value->head.header.version = BATCH_VERSION;
	value->head.header.kind = BATCH_DATA;
	value->head.header.length = length;
	value->head.header.connection = number;
	value->head.header.offset = number;
	memset(value->payload, fill_byte(number), sizeof(value->payload));
}

static void put(struct accumulator_key key, struct value *value)
{
	ck_assert_int_eq(bpf_update_elem(map, &key, value, 0), 0);
}

static struct accumulator_key put_new(uint64_t number, uint32_t length)
{
	struct accumulator_key key = key_of(number, getpid());
	struct value value;

	fill_value(&value, number, length);
	put(key, &value);
	return key;
}

static void collect_and_deliver(uint64_t now_ns)
{
	peek_collect(peek, now_ns);
	peek_deliver(peek, on_record, NULL);
}

START_TEST(waiting_bytes_are_copied_when_they_are_due)
{
	struct accumulator_key key = put_new(7, 5);
	struct value value;

	ck_assert_int_eq(peek_schedule(peek, &key, 100 * MS), 0);
	collect_and_deliver(100 * MS - 1);
	ck_assert_uint_eq(seen_count, 0);
	peek_collect(peek, 100 * MS);
	ck_assert_uint_eq(seen_count, 0);
	/* What comes between the two is not in the copy. */
	fill_value(&value, 7, 900);
	put(key, &value);
	peek_deliver(peek, on_record, NULL);
	ck_assert_uint_eq(seen_count, 1);
	ck_assert_uint_eq(seen[0].size, sizeof(struct batch) + 5);
	ck_assert_uint_eq(seen[0].header.length, 5);
	ck_assert_uint_eq(seen[0].header.connection, 7);
	ck_assert_uint_eq(seen[0].header.kind, BATCH_DATA);
	ck_assert(seen[0].whole);
	/* Looked at once for each note, delivered once. */
	collect_and_deliver(200 * MS);
	ck_assert_uint_eq(seen_count, 1);
}
END_TEST

START_TEST(nothing_comes_of_nothing)
{
	struct accumulator_key empty = put_new(1, 0), absent = key_of(2, 3);
	struct accumulator_key bad = put_new(3, PAYLOAD_BYTES + 1);
	struct accumulator_key most = put_new(4, PAYLOAD_BYTES);

	ck_assert_int_eq(peek_schedule(peek, &empty, 0), 0);
	ck_assert_int_eq(peek_schedule(peek, &absent, 0), 0);
	ck_assert_int_eq(peek_schedule(peek, &bad, 0), 0);
	ck_assert_int_eq(peek_schedule(peek, &most, 0), 0);
	collect_and_deliver(1);
	ck_assert_uint_eq(seen_count, 1);
	ck_assert_uint_eq(seen[0].header.connection, 4);
	ck_assert_uint_eq(seen[0].header.length, PAYLOAD_BYTES);
	ck_assert(seen[0].whole);
}
END_TEST

/* While the kernel changes the value it is not taken, but looked at again. */
START_TEST(an_odd_version_is_looked_at_again)
{
	struct accumulator_key key = key_of(9, getpid());
	struct value value;

	fill_value(&value, 9, 100);
	value.head.version = 3;
	put(key, &value);
	ck_assert_int_eq(peek_schedule(peek, &key, 10 * MS), 0);
	collect_and_deliver(10 * MS);
	ck_assert_uint_eq(seen_count, 0);
	/* Again at once it would only burn time. */
	value.head.version = 4;
	put(key, &value);
	collect_and_deliver(10 * MS);
	ck_assert_uint_eq(seen_count, 0);
	collect_and_deliver(16 * MS);
	ck_assert_uint_eq(seen_count, 1);
	ck_assert(seen[0].whole);
	collect_and_deliver(LOST_SIGHT_MS * MS);
	ck_assert_uint_eq(seen_count, 1);
}
END_TEST

START_TEST(each_comes_in_its_time)
{
	struct accumulator_key keys[3];

	for (unsigned i = 0; i < 3; i++) {
		keys[i] = put_new(i + 1, 10);
		ck_assert_int_eq(peek_schedule(peek, &keys[i], (i + 1) * MS),
				 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(peek_next(peek), (i + 1) * MS);
		collect_and_deliver((i + 1) * MS);
		ck_assert_uint_eq(seen_count, i + 1);
		ck_assert_uint_eq(seen[i].header.connection, i + 1);
	}
	ck_assert_uint_eq(peek_next(peek), UINT64_MAX);
}
END_TEST

START_TEST(what_is_scheduled_has_a_bound)
{
	struct accumulator_key key = put_new(1, 10);

	for (unsigned i = 0; i < SCHEDULED_MAX; i++)
		ck_assert_int_eq(peek_schedule(peek, &key, 5), 0);
	ck_assert_int_eq(peek_schedule(peek, &key, 5), -ENOSPC);
	/* Its ring goes round: what was looked at makes room. */
	peek_collect(peek, 5);
	ck_assert_int_eq(peek_schedule(peek, &key, 5), 0);
}
END_TEST

/* More than the copies have room for: the rest comes next, none is lost. */
START_TEST(copies_have_a_bound)
{
	const size_t count = COPIES_BYTES / PAYLOAD_BYTES + 500;
	static uint8_t times[RECORDS_MAX];

	ck_assert_uint_lt(count, RECORDS_MAX);
	set_up_map(RECORDS_MAX);
	for (size_t i = 1; i <= count; i++) {
		struct accumulator_key key = put_new(i, PAYLOAD_BYTES);

		ck_assert_int_eq(peek_schedule(peek, &key, 1), 0);
	}
	peek_collect(peek, 1);
	peek_collect(peek, 2);
	peek_deliver(peek, on_record, NULL);
	ck_assert_uint_gt(seen_count, count / 2);
	ck_assert_uint_lt(seen_count, count);
	collect_and_deliver(3);
	ck_assert_uint_eq(seen_count, count);
	for (size_t i = 0; i < count; i++) {
		ck_assert(seen[i].whole);
		times[seen[i].header.connection]++;
	}
	for (size_t i = 1; i <= count; i++)
		ck_assert_uint_eq(times[i], 1);
	tear_down();
}
END_TEST

/* Lost notes: all are looked at, those of other processes too. */
START_TEST(all_can_be_scheduled)
{
	for (unsigned i = 1; i <= 20; i++)
		put_new(i, i % 2 ? 10 : 0);
	peek_schedule_all(peek, 50);
	collect_and_deliver(49);
	ck_assert_uint_eq(seen_count, 0);
	collect_and_deliver(50);
	ck_assert_uint_eq(seen_count, 10);
}
END_TEST

static const struct seen *find(uint64_t connection, uint8_t kind)
{
	const struct seen *found = NULL;

	for (size_t i = 0; i < seen_count; i++) {
		if (seen[i].header.connection != connection ||
		    seen[i].header.kind != kind)
			continue;
		ck_assert_ptr_null(found);
		found = &seen[i];
	}
	return found;
}

/* The end of that connection, with the bytes it moved in all. */
static void assert_closed(uint64_t connection)
{
	const struct seen *close = find(connection, BATCH_CLOSE);

	ck_assert_ptr_nonnull(close);
	ck_assert_uint_eq(close->size, sizeof(struct batch));
	ck_assert_uint_eq(close->header.length, 0);
	ck_assert_uint_eq(close->header.offset, 1000 + connection);
	ck_assert_uint_eq(close->header.missed, 2000 + connection);
}

START_TEST(at_the_end_all_is_told)
{
	struct value value;

	put_new(1, 300);
	put_new(2, 0);
	fill_value(&value, 3, 50);
	value.head.state = ACCUMULATOR_OPENED | ACCUMULATOR_MUTED;
	put(key_of(3, getpid()), &value);
	peek_all(peek, on_record, NULL);
	ck_assert_uint_eq(seen_count, 3);
	assert_closed(1);
	assert_closed(2);
	ck_assert_ptr_nonnull(find(1, BATCH_DATA));
	ck_assert(find(1, BATCH_DATA)->whole);
	ck_assert_ptr_null(find(2, BATCH_DATA));
	/* Its bytes first, then its end. */
	ck_assert(find(1, BATCH_DATA) < find(1, BATCH_CLOSE));
}
END_TEST

START_TEST(at_the_end_of_none_nothing_is_told)
{
	peek_all(peek, on_record, NULL);
	peek_schedule_all(peek, 0);
	peek_reap(peek, true);
	peek_end_marked(peek, on_record, NULL);
	collect_and_deliver(1);
	ck_assert_uint_eq(seen_count, 0);
}
END_TEST

static pid_t dead_process(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	return pid;
}

static bool is_there(struct accumulator_key key)
{
	struct value value;

	return !bpf_lookup_elem(map, &key, &value);
}

START_TEST(connections_of_dead_processes_end)
{
	struct accumulator_key dead = key_of(5, dead_process());
	struct accumulator_key busy = key_of(7, dead.tgid);
	struct accumulator_key alive = put_new(6, 20);
	struct value value;

	fill_value(&value, 5, 30);
	put(dead, &value);
	peek_reap(peek, false);
	ck_assert_uint_eq(seen_count, 0); /* what was sent comes first */
	ck_assert(is_there(dead));
	peek_end_marked(peek, on_record, NULL);
	ck_assert_uint_eq(seen_count, 2);
	ck_assert_ptr_nonnull(find(5, BATCH_DATA));
	ck_assert(find(5, BATCH_DATA)->whole);
	assert_closed(5);
	ck_assert(!is_there(dead));
	ck_assert(is_there(alive));
	/* One that can't be read whole stays until it can. */
	fill_value(&value, 7, 30);
	value.head.version = 1;
	put(busy, &value);
	peek_reap(peek, false);
	peek_end_marked(peek, on_record, NULL);
	ck_assert(is_there(busy));
	ck_assert_uint_eq(seen_count, 2);
	/* And a second time there is nothing to end. */
	ck_assert_int_eq(bpf_delete_elem(map, &busy), 0);
	peek_reap(peek, true);
	peek_end_marked(peek, on_record, NULL);
	ck_assert_uint_eq(seen_count, 2);
}
END_TEST

START_TEST(closed_connections_end_when_asked_for)
{
	struct accumulator_key key = key_of(8, getpid());
	struct value value;

	fill_value(&value, 8, 0);
	value.head.state = ACCUMULATOR_OPENED | ACCUMULATOR_CLOSED;
	put(key, &value);
	peek_reap(peek, false);
	peek_end_marked(peek, on_record, NULL);
	ck_assert_uint_eq(seen_count, 0);
	ck_assert(is_there(key));
	peek_reap(peek, true);
	peek_end_marked(peek, on_record, NULL);
	ck_assert_uint_eq(seen_count, 1);
	assert_closed(8);
	ck_assert(!is_there(key));
}
END_TEST

/* A plain connection of this process's, whose socket has that inode number. */
static struct accumulator_key put_socket(uint64_t inode)
{
	struct accumulator_key key = key_of(OBJECT_SOCKET | inode, getpid());
	struct value value;

	fill_value(&value, inode, 10);
	put(key, &value);
	return key;
}

static uint64_t inode_of(int fd)
{
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	return status.st_ino;
}

START_TEST(sockets_that_were_closed_end)
{
	int ends[2];
	struct accumulator_key open_one, closed, tls;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	open_one = put_socket(inode_of(ends[0]));
	closed = put_socket(1); /* of no socket of this process */
	tls = put_new(2, 10);
	peek_sockets(peek, getppid());
	peek_end_marked(peek, on_record, NULL);
	ck_assert(is_there(closed));
	peek_sockets(peek, getpid());
	ck_assert_uint_eq(seen_count, 0); /* what was sent comes first */
	peek_end_marked(peek, on_record, NULL);
	ck_assert(is_there(open_one));
	ck_assert(is_there(tls));
	ck_assert(!is_there(closed));
	ck_assert_uint_eq(seen_count, 2);
	ck_assert_ptr_nonnull(find(1, BATCH_DATA));
	assert_closed(1);
	close(ends[0]);
	peek_sockets(peek, 0);
	peek_end_marked(peek, on_record, NULL);
	ck_assert(!is_there(open_one));
	close(ends[1]);
}
END_TEST

START_TEST(an_exec_ends_tls_and_closed_sockets_of_before)
{
	int ends[2];
	struct accumulator_key open_one, closed, tls, later, stdio;
	struct batch exec = {.kind = BATCH_EXEC, .tgid = getpid(),
			     .first_ns = 1000 * MS};

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	open_one = put_socket(inode_of(ends[0]));
	closed = put_socket(1);
	tls = put_new(2, 10);
	later = put_new(1ULL << 40, 10);
	stdio = put_new(OBJECT_STDIO, 10);
	peek_exec(peek, &exec);
	peek_end_marked(peek, on_record, NULL);
	ck_assert(is_there(open_one));
	ck_assert(is_there(later));
	ck_assert(is_there(stdio));
	ck_assert(!is_there(closed));
	ck_assert(!is_there(tls));
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(one_connection_is_ended_if_it_is_still_that)
{
	struct accumulator_key key = put_new(9, 10);

	peek_mark(peek, &key, 8);
	peek_end_marked(peek, on_record, NULL);
	ck_assert(is_there(key));
	ck_assert_uint_eq(seen_count, 0);
	peek_mark(peek, &key, 9);
	peek_end_marked(peek, on_record, NULL);
	ck_assert(!is_there(key));
	ck_assert_uint_eq(seen_count, 2);
	assert_closed(9);
	peek_mark(peek, &key, 9);
	peek_end_marked(peek, on_record, NULL);
	ck_assert_uint_eq(seen_count, 2);
}
END_TEST

/*
 * The moments at which the value changes: connection 1 becomes `to`, of
 * version `version`, after look-up `nth`; of that look-up's own copy the half
 * is new already if it is torn.
 */
static const struct change {
	unsigned nth;
	bool torn;
	uint64_t to, version;
} changes[] = {
	{0, false, 1, 4}, /* before the copy that is kept */
	{1, true, 1, 4},  /* while it was made */
	{1, false, 1, 3}, /* just after, and still going on */
	{0, true, 1, 4},  /* another copy's trouble */
	{1, true, 2, 2},  /* ended, and another begun at its place */
};
static const struct change *change;
static struct accumulator_key changed;

static void make_change(unsigned nth, struct value *copy)
{
	struct value value;

	if (nth == change->nth) {
		fill_value(&value, change->to + 100, 200);
		value.head.header.connection = change->to;
		value.head.version = change->version;
		put(changed, &value);
		if (change->torn)
			memcpy(copy->payload + 50, value.payload + 50, 150);
	}
	/* A change that goes on has ended by the time of the second try. */
	if (nth == 2) {
		fill_value(&value, change->to + 100, 200);
		value.head.header.connection = change->to;
		value.head.version = (change->version + 1) & ~1ULL;
		put(changed, &value);
	}
}

START_TEST(a_change_between_look_ups_is_seen)
{
	change = &changes[_i];
	changed = put_new(1, 100);
	ck_assert_int_eq(peek_schedule(peek, &changed, 1), 0);
	look_ups = 0;
	after_look_up = make_change;
	collect_and_deliver(1);
	after_look_up = NULL;
	ck_assert_uint_eq(seen_count, 1);
	ck_assert_uint_eq(seen[0].header.connection, change->to);
	ck_assert_uint_eq(seen[0].header.length, 200);
	ck_assert(seen[0].whole);
}
END_TEST

static atomic_bool hammering;
static struct accumulator_key hammered;

/*
 * What the kernel does to an accumulator, as fast as it goes: odd, change,
 * even.  Every byte of a whole value follows from its number.
 */
static void *hammer(void *context)
{
	static struct value value;
	uint64_t version = 2;

	(void)context;
	for (uint64_t number = 1; hammering; number++) {
		value.head.version = ++version;
		bpf_update_elem(map, &hammered, &value, 0);
		fill_value(&value, number, PAYLOAD_BYTES - number % 100);
		value.head.version = version;
		bpf_update_elem(map, &hammered, &value, 0);
		value.head.version = ++version;
		bpf_update_elem(map, &hammered, &value, 0);
		/* Now and then it is quiet, as between two calls. */
		if (number % 256 == 0)
			usleep(50);
	}
	return NULL;
}

/* Is a value that was looked up once, with an even version, a torn one? */
static bool torn(const struct value *value)
{
	uint8_t byte = fill_byte(value->head.header.offset);

	if (value->head.version & 1)
		return false;
	for (size_t i = 0; i < value->head.header.length; i++)
		if (value->payload[i] != byte)
			return true;
	return value->head.header.length !=
	       PAYLOAD_BYTES - value->head.header.offset % 100;
}

static void assert_seen_whole(void)
{
	for (size_t i = 0; i < seen_count; i++) {
		ck_assert(seen[i].whole);
		ck_assert_uint_eq(seen[i].header.length,
				  PAYLOAD_BYTES - seen[i].header.offset % 100);
	}
	seen_count = 0;
}

START_TEST(what_is_delivered_is_never_torn)
{
	unsigned long delivered = 0, torn_once = 0;
	time_t end = time(NULL) + HAMMER_SECONDS + 1;
	struct value value;
	pthread_t thread;

	hammered = put_new(0, PAYLOAD_BYTES);
	hammering = true;
	ck_assert_int_eq(pthread_create(&thread, NULL, hammer, NULL), 0);
	for (uint64_t now = 1; time(NULL) < end; now += LOST_SIGHT_MS * MS) {
		for (unsigned i = 0; i < 16; i++)
			peek_schedule(peek, &hammered, now);
		collect_and_deliver(now);
		delivered += seen_count;
		assert_seen_whole();
		ck_assert_int_eq(bpf_lookup_elem(map, &hammered, &value), 0);
		torn_once += torn(&value);
	}
	hammering = false;
	pthread_join(thread, NULL);
	printf("# %lu whole copies; of single look-ups, torn: %lu\n", delivered,
	       torn_once);
	ck_assert_uint_gt(delivered, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("peek");
	TCase *plain = tcase_create("plain"), *own = tcase_create("own maps");
	struct kernel kernel;

	kernel_raise_memlock();
	kernel_probe(&kernel);
	if (!kernel.bpf) {
		printf("test_peek: bpf() is refused here: skipped\n");
		return 77;
	}
	tcase_add_checked_fixture(plain, set_up, tear_down);
	tcase_add_test(plain, waiting_bytes_are_copied_when_they_are_due);
	tcase_add_test(plain, nothing_comes_of_nothing);
	tcase_add_test(plain, an_odd_version_is_looked_at_again);
	tcase_add_test(plain, each_comes_in_its_time);
	tcase_add_test(plain, what_is_scheduled_has_a_bound);
	tcase_add_test(plain, all_can_be_scheduled);
	tcase_add_test(plain, at_the_end_all_is_told);
	tcase_add_test(plain, at_the_end_of_none_nothing_is_told);
	tcase_add_test(plain, connections_of_dead_processes_end);
	tcase_add_test(plain, closed_connections_end_when_asked_for);
	tcase_add_test(plain, sockets_that_were_closed_end);
	tcase_add_test(plain, an_exec_ends_tls_and_closed_sockets_of_before);
	tcase_add_test(plain, one_connection_is_ended_if_it_is_still_that);
	tcase_add_loop_test(plain, a_change_between_look_ups_is_seen, 0,
			    sizeof(changes) / sizeof(changes[0]));
	tcase_add_test(plain, what_is_delivered_is_never_torn);
	suite_add_tcase(suite, plain);
	tcase_set_timeout(own, 60);
	tcase_add_test(own, copies_have_a_bound);
	suite_add_tcase(suite, own);
	return suite_run(suite);
}
