/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_watcher.c - probes/watcher.c: when a process is looked at, and when
 * the files that it maps count as known.
 *
 * On a real map of known files.  Needs bpf(); skipped (77) where it is
 * refused.
 */
#include <bcc/libbpf.h>
#include <check.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probes/kernel.h"
#include "probes/watcher.h"
#include "tests/unit/suite.h"

#define MS	      1000000ULL
#define PROCESSES_MAX 512
#define FILES_MAX     16
#define LAST_LOOK_MS  150 /* within the 200 that a new library may wait */

static struct watcher *watcher;
static int judged;
static unsigned looks[4096]; /* by pid */

static void set_up(void)
{
	judged = bcc_create_map(BPF_MAP_TYPE_HASH, "judged",
				sizeof(struct batch_library), 1, 64, 0);
	ck_assert_msg(judged >= 0, "a map: %s", strerror(errno));
	watcher = watcher_new(judged);
	ck_assert_ptr_nonnull(watcher);
	memset(looks, 0, sizeof(looks));
}

static void tear_down(void)
{
	watcher_free(watcher);
	close(judged);
}

static void look(void *context, pid_t pid)
{
	ck_assert_ptr_eq(context, &judged);
	looks[pid]++;
}

static void run(uint64_t now_ns)
{
	watcher_run(watcher, now_ns, look, &judged);
}

static struct batch_library file_of(uint64_t inode)
{
	struct batch_library file;

	memset(&file, 0, sizeof(file));
	file.inode = inode;
	file.size = 4096;
	return file;
}

static void tell(pid_t pid, uint64_t inode, uint64_t now_ns)
{
	struct batch_library file = file_of(inode);

	ck_assert_int_eq(watcher_told(watcher, pid, &file, now_ns), 0);
}

static bool is_known(uint64_t inode)
{
	struct batch_library file = file_of(inode);
	uint8_t known = 0;

	return !bpf_lookup_elem(judged, &file, &known) && known;
}

/* Passes as the capture makes them, each 5 ms. */
static void run_until(uint64_t from_ns, uint64_t to_ns)
{
	for (uint64_t now = from_ns; now <= to_ns; now += 5 * MS)
		run(now);
}

START_TEST(a_process_is_looked_at_soon_and_again)
{
	const uint64_t told = 1000 * MS;

	tell(100, 7, told);
	/* The note came before the mapping: at once there is nothing. */
	run(told);
	ck_assert_uint_eq(looks[100], 0);
	run(told + 2 * MS);
	ck_assert_uint_eq(looks[100], 1);
	run(told + 2 * MS);
	ck_assert_uint_eq(looks[100], 1);
	run_until(told + 5 * MS, told + 40 * MS);
	ck_assert_uint_ge(looks[100], 3);
	ck_assert(!is_known(7));
	run_until(told + 45 * MS, told + LAST_LOOK_MS * MS);
	ck_assert_uint_ge(looks[100], 4);
	ck_assert(is_known(7));
	ck_assert(!is_known(8));
	/* After that it is let alone. */
	looks[100] = 0;
	run_until(told + 200 * MS, told + 1000 * MS);
	ck_assert_uint_eq(looks[100], 0);
}
END_TEST

/* A library that is mapped later gets all the looks that the first had. */
START_TEST(a_new_note_begins_again)
{
	unsigned before;

	tell(100, 7, 0);
	run_until(0, 100 * MS);
	before = looks[100];
	tell(100, 8, 100 * MS);
	run_until(100 * MS, (100 + LAST_LOOK_MS - 5) * MS);
	ck_assert_uint_ge(looks[100], 2 * before);
	ck_assert(!is_known(7));
	ck_assert(!is_known(8));
	run_until((100 + LAST_LOOK_MS) * MS, (100 + LAST_LOOK_MS) * MS);
	ck_assert(is_known(7));
	ck_assert(is_known(8));
}
END_TEST

/* One that is done goes; the others, told later, keep their looks. */
START_TEST(processes_do_not_disturb_each_other)
{
	unsigned alone;

	tell(1, 1, 0);
	run_until(0, 1000 * MS);
	alone = looks[1];
	ck_assert_uint_ge(alone, 4);
	for (pid_t pid = 2; pid < 12; pid++)
		tell(pid, pid, 1000 * MS + (pid - 2) % 3 * 7 * MS);
	run_until(1000 * MS, 2000 * MS);
	for (pid_t pid = 2; pid < 12; pid++) {
		ck_assert_uint_eq(looks[pid], alone);
		ck_assert(is_known(pid));
	}
}
END_TEST

START_TEST(too_many_are_refused)
{
	struct batch_library file = file_of(1);

	for (pid_t pid = 1; pid <= PROCESSES_MAX; pid++)
		tell(pid, 1, 0);
	ck_assert_int_eq(watcher_told(watcher, PROCESSES_MAX + 1, &file, 0),
			 -ENOSPC);
	/* Those that are watched already are not too many. */
	tell(1, 2, 0);
	run_until(0, 1000 * MS);
	ck_assert(is_known(1));
	ck_assert(is_known(2));
	ck_assert_uint_eq(looks[PROCESSES_MAX + 1], 0);
	/* And there is room again. */
	tell(PROCESSES_MAX + 1, 3, 1000 * MS);
	run_until(1000 * MS, 2000 * MS);
	ck_assert(is_known(3));
}
END_TEST

/* What does not fit stays unknown: the kernel tells of it again. */
START_TEST(too_many_files_of_one_process)
{
	unsigned known = 0;

	for (unsigned i = 1; i <= FILES_MAX + 4; i++)
		tell(100, i, 0);
	run_until(0, 1000 * MS);
	for (unsigned i = 1; i <= FILES_MAX + 4; i++)
		known += is_known(i);
	ck_assert_uint_eq(known, FILES_MAX);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("watcher");
	TCase *tcase = tcase_create("all");
	struct kernel kernel;

	kernel_raise_memlock();
	kernel_probe(&kernel);
	if (!kernel.bpf) {
		printf("test_watcher: bpf() is refused here: skipped\n");
		return 77;
	}
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_process_is_looked_at_soon_and_again);
	tcase_add_test(tcase, a_new_note_begins_again);
	tcase_add_test(tcase, processes_do_not_disturb_each_other);
	tcase_add_test(tcase, too_many_are_refused);
	tcase_add_test(tcase, too_many_files_of_one_process);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
