/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_transport.c - probes/transport.c: what BPF writes comes out whole.
 *
 * A BPF program of a dozen instructions, run by BPF_PROG_TEST_RUN, writes the
 * 64 bytes that it is given to a real ring or perf buffer.  Needs the rights
 * for that; skipped (77) without.
 */
#include <bcc/libbpf.h>
#include <check.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "probes/kernel.h"
#include "probes/transport.h"
#include "tests/unit/suite.h"

#define RECORD_BYTES 64
#define BUFFER_BYTES (64U << 10) /* of the ring, or of one CPU's buffer */
#define RECORDS_MAX  4096

#define INSTRUCTION(c, d, s, o, i)                                             \
	{                                                                      \
		.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o),       \
		.imm = (i)                                                     \
	}
#define MOVE(d, s)   INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i)    INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define SET_32(d, i) INSTRUCTION(BPF_ALU | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD(d, i)    INSTRUCTION(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define CALL(f)	     INSTRUCTION(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT()	     INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* Two instructions long. */
#define SET_MAP(d, fd)                                                         \
	INSTRUCTION(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd),   \
		INSTRUCTION(0, 0, 0, 0, 0)

static struct transport *transport;
static int map, program;
/* The first word of each record that came, and whether all of it was right. */
static uint32_t came[RECORDS_MAX];
static unsigned came_count, bad;

static void on_record(void *context, const void *record, size_t size)
{
	uint32_t words[RECORD_BYTES / 4];

	ck_assert_ptr_eq(context, &map);
	ck_assert_uint_ge(size, RECORD_BYTES);
	/* A perf record's size is a multiple of 8, less the 4 of its length. */
	ck_assert_uint_lt(size, RECORD_BYTES + 8);
	memcpy(words, record, sizeof(words));
	for (unsigned i = 0; i < RECORD_BYTES / 4; i++)
		bad += words[i] != words[0] + i;
	ck_assert_uint_lt(came_count, RECORDS_MAX);
	came[came_count++] = words[0];
}

static int load(const struct bpf_insn *code, size_t bytes)
{
	static char log[65536];
	int fd = bcc_prog_load(BPF_PROG_TYPE_SCHED_CLS, "write", code, bytes,
			       "GPL", 0, 0, NULL, 0);

	if (fd < 0)
		fd = bcc_prog_load(BPF_PROG_TYPE_SCHED_CLS, "write", code,
				   bytes, "GPL", 0, 1, log, sizeof(log));
	ck_assert_msg(fd >= 0, "%s: %s", strerror(errno), log);
	return fd;
}

/* Copy the packet's first bytes to the stack, and from there to the map. */
static int load_ring_writer(int wake_flag)
{
	const struct bpf_insn code[] = {
		SET(BPF_REG_2, 0),
		MOVE(BPF_REG_3, BPF_REG_10),
		ADD(BPF_REG_3, -RECORD_BYTES),
		SET(BPF_REG_4, RECORD_BYTES),
		CALL(BPF_FUNC_skb_load_bytes),
		SET_MAP(BPF_REG_1, map),
		MOVE(BPF_REG_2, BPF_REG_10),
		ADD(BPF_REG_2, -RECORD_BYTES),
		SET(BPF_REG_3, RECORD_BYTES),
		SET(BPF_REG_4, wake_flag),
		CALL(BPF_FUNC_ringbuf_output),
		EXIT(),
	};

	return load(code, sizeof(code));
}

static int load_perf_writer(void)
{
	const struct bpf_insn code[] = {
		MOVE(BPF_REG_6, BPF_REG_1),
		SET(BPF_REG_2, 0),
		MOVE(BPF_REG_3, BPF_REG_10),
		ADD(BPF_REG_3, -RECORD_BYTES),
		SET(BPF_REG_4, RECORD_BYTES),
		CALL(BPF_FUNC_skb_load_bytes),
		MOVE(BPF_REG_1, BPF_REG_6),
		SET_MAP(BPF_REG_2, map),
		SET_32(BPF_REG_3, -1), /* BPF_F_CURRENT_CPU */
		MOVE(BPF_REG_4, BPF_REG_10),
		ADD(BPF_REG_4, -RECORD_BYTES),
		SET(BPF_REG_5, RECORD_BYTES),
		CALL(BPF_FUNC_perf_event_output),
		EXIT(),
	};

	return load(code, sizeof(code));
}

/* One record whose words count up from `first`.  False: it found no room. */
static bool write_record(int writer, uint32_t first)
{
	uint32_t words[RECORD_BYTES / 4];
	union bpf_attr attributes;

	for (unsigned i = 0; i < RECORD_BYTES / 4; i++)
		words[i] = first + i;
	memset(&attributes, 0, sizeof(attributes));
	attributes.test.prog_fd = writer;
	attributes.test.data_in = (uintptr_t)words;
	attributes.test.data_size_in = sizeof(words);
	attributes.test.repeat = 1;
	ck_assert_msg(!syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attributes,
			       sizeof(attributes)),
		      "run: %s", strerror(errno));
	return !attributes.test.retval;
}

static void set_up(bool ring)
{
	uint32_t cpus = sysconf(_SC_NPROCESSORS_ONLN);

	map = ring ? bcc_create_map(BPF_MAP_TYPE_RINGBUF, "events", 0, 0,
				    BUFFER_BYTES, 0)
		   : bcc_create_map(BPF_MAP_TYPE_PERF_EVENT_ARRAY, "events", 4,
				    4, sysconf(_SC_NPROCESSORS_CONF), 0);
	ck_assert_msg(map >= 0, "a map: %s", strerror(errno));
	transport = transport_open(map, ring, BUFFER_BYTES * (ring ? 1 : cpus),
				   on_record, &map);
	ck_assert_msg(transport, "%s", strerror(errno));
	program =
		ring ? load_ring_writer(BPF_RB_NO_WAKEUP) : load_perf_writer();
	came_count = bad = 0;
}

static void tear_down(void)
{
	transport_close(transport);
	close(program);
	close(map);
}

static void set_up_ring(void)
{
	set_up(true);
}

static void set_up_perf(void)
{
	set_up(false);
}

/* From here on all is written on one CPU: each has a perf buffer. */
static void stay_here(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(here), &here), 0);
}

START_TEST(records_come_once_and_in_order)
{
	stay_here();
	ck_assert_int_eq(transport_drain(transport, SIZE_MAX), 0);
	ck_assert_uint_eq(came_count, 0);
	for (uint32_t i = 0; i < 50; i++)
		ck_assert(write_record(program, i * 1000));
	ck_assert_uint_eq(came_count, 0);
	ck_assert_int_eq(transport_drain(transport, SIZE_MAX), 0);
	ck_assert_uint_eq(came_count, 50);
	ck_assert_uint_eq(bad, 0);
	for (uint32_t i = 0; i < 50; i++)
		ck_assert_uint_eq(came[i], i * 1000);
	ck_assert_int_eq(transport_drain(transport, SIZE_MAX), 0);
	ck_assert_uint_eq(came_count, 50);
}
END_TEST

/* A ring buffer stops behind that many bytes, and goes on from there. */
START_TEST(no_more_than_was_asked_for)
{
	uint32_t before = 0;
	int more;

	stay_here();
	for (uint32_t i = 0; i < 50; i++)
		ck_assert(write_record(program, i));
	do {
		more = transport_drain(transport, 3 * RECORD_BYTES);
		ck_assert_int_ge(more, 0);
		if (more)
			ck_assert_uint_eq(came_count, before + 3);
		before = came_count;
	} while (more);
	ck_assert_uint_eq(came_count, 50);
	ck_assert_uint_eq(bad, 0);
	for (uint32_t i = 0; i < 50; i++)
		ck_assert_uint_eq(came[i], i);
}
END_TEST

/* What was refused was refused; all else comes, and then there is room. */
START_TEST(a_full_buffer_keeps_what_it_took)
{
	uint32_t count = 0;

	stay_here();
	while (count < RECORDS_MAX && write_record(program, count))
		count++;
	ck_assert_uint_gt(count, 100);
	ck_assert_uint_lt(count, BUFFER_BYTES / RECORD_BYTES);
	ck_assert(!write_record(program, count));
	ck_assert_int_eq(transport_drain(transport, SIZE_MAX), 0);
	ck_assert_uint_eq(came_count, count);
	ck_assert_uint_eq(bad, 0);
	for (uint32_t i = 0; i < count; i++)
		ck_assert_uint_eq(came[i], i);
	/* Several times round, over the buffer's end. */
	for (uint32_t i = 0; i < 3000; i++) {
		came_count = 0;
		ck_assert(write_record(program, i));
		ck_assert_int_eq(transport_drain(transport, SIZE_MAX), 0);
		ck_assert_uint_eq(came_count, 1);
		ck_assert_uint_eq(came[0], i);
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

START_TEST(every_cpu_is_heard)
{
	cpu_set_t before, one;
	uint32_t cpus = 0;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(before), &before), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &before))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
		ck_assert(write_record(program, cpu));
		cpus++;
	}
	ck_assert_int_eq(transport_drain(transport, SIZE_MAX), 0);
	ck_assert_uint_eq(came_count, cpus);
	ck_assert_uint_eq(bad, 0);
}
END_TEST

static double wait_ms(int ms)
{
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	transport_wait(transport, ms);
	clock_gettime(CLOCK_MONOTONIC, &to);
	return (to.tv_sec - from.tv_sec) * 1e3 +
	       (to.tv_nsec - from.tv_nsec) / 1e6;
}

/* Time is what records are collected by: one does not end the sleep. */
START_TEST(a_record_does_not_wake)
{
	/* What is there at the beginning is told once. */
	transport_wait(transport, 0);
	ck_assert(write_record(program, 1));
	ck_assert(wait_ms(60) >= 55);
}
END_TEST

START_TEST(a_wake_up_ends_the_sleep)
{
	int waker = load_ring_writer(BPF_RB_FORCE_WAKEUP);

	transport_wait(transport, 0);
	ck_assert(write_record(waker, 1));
	/* Its interrupt may come a moment later. */
	ck_assert(wait_ms(2000) < 1000);
	ck_assert_int_eq(transport_drain(transport, SIZE_MAX), 0);
	ck_assert_uint_eq(came_count, 1);
	close(waker);
}
END_TEST

START_TEST(a_perf_buffer_that_fills_ends_the_sleep)
{
	transport_wait(transport, 0);
	stay_here();
	for (uint32_t i = 0; i < 256; i++)
		ck_assert(write_record(program, i));
	ck_assert(wait_ms(2000) < 1000);
}
END_TEST

START_TEST(a_map_of_another_type_is_refused)
{
	int array = bcc_create_map(BPF_MAP_TYPE_ARRAY, "array", 4, 8, 1, 0);

	ck_assert_int_ge(array, 0);
	errno = 0;
	ck_assert_ptr_null(
		transport_open(array, _i, BUFFER_BYTES, on_record, NULL));
	ck_assert_int_ne(errno, 0);
	errno = 0;
	ck_assert_ptr_null(
		transport_open(-1, _i, BUFFER_BYTES, on_record, NULL));
	ck_assert_int_ne(errno, 0);
	close(array);
	transport_close(NULL);
}
END_TEST

static void add_common(TCase *tcase)
{
	tcase_add_test(tcase, records_come_once_and_in_order);
	tcase_add_test(tcase, no_more_than_was_asked_for);
	tcase_add_test(tcase, a_full_buffer_keeps_what_it_took);
	tcase_add_test(tcase, every_cpu_is_heard);
	tcase_add_test(tcase, a_record_does_not_wake);
}

int main(void)
{
	Suite *suite = suite_create("transport");
	TCase *ring = tcase_create("ring"), *perf = tcase_create("perf");
	TCase *none = tcase_create("none");
	struct kernel kernel;

	kernel_raise_memlock();
	kernel_probe(&kernel);
	if (!kernel.bpf || !kernel.capable) {
		printf("test_transport: bpf() is refused here: skipped\n");
		return 77;
	}
	tcase_add_checked_fixture(ring, set_up_ring, tear_down);
	add_common(ring);
	tcase_add_test(ring, a_wake_up_ends_the_sleep);
	if (kernel.ring_buffer)
		suite_add_tcase(suite, ring);
	else
		printf("# no ring buffer in this kernel\n");
	tcase_add_checked_fixture(perf, set_up_perf, tear_down);
	add_common(perf);
	tcase_add_test(perf, a_perf_buffer_that_fills_ends_the_sleep);
	suite_add_tcase(suite, perf);
	tcase_add_loop_test(none, a_map_of_another_type_is_refused, 0, 2);
	suite_add_tcase(suite, none);
	return suite_run_apart(suite);
}
