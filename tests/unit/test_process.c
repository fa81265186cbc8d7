/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_process.c - who a process is: as the kernel told, as /proc tells, and
 * when it has gone.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "streams/cgroups.h"
#include "streams/process.h"
#include "tests/unit/suite.h"

#define DIGITS "0123456789abcdef0123456789abcdef" \
	       "0123456789abcdef0123456789abcdef"
#define GONE 0x7ffffffe /* above every pid_max */

static struct process_cache *cache;

static void set_up(void)
{
	cache = process_cache_new(4);
	ck_assert_ptr_nonnull(cache);
}

static void tear_down(void)
{
	process_cache_free(cache);
}

static struct batch_open open_of(const char *executable, const char *cgroup)
{
	static const char arguments[] = "bot\0--now\0two words\0";
	struct batch_open open;

	memset(&open, 0, sizeof(open));
	open.start_ns = 12345;
	snprintf(open.executable, sizeof(open.executable), "%s", executable);
	snprintf(open.cgroup_name, sizeof(open.cgroup_name), "%s", cgroup);
	memcpy(open.arguments, arguments, sizeof(arguments) - 1);
	open.arguments_length = sizeof(arguments) - 1;
	return open;
}

static struct process told(uint32_t pid, const struct batch_open *open)
{
	struct process process = {.pid = pid, .start_ns = open->start_ns};

	snprintf(process.comm, sizeof(process.comm), "bot");
	process_told(&process, open);
	process_identify(cache, &process);
	return process;
}

START_TEST(a_process_that_has_gone_is_as_the_kernel_told)
{
	struct batch_open open = open_of("bot", "docker-" DIGITS ".scope");
	struct process process = told(GONE, &open);

	ck_assert_str_eq(process.executable, "bot");
	ck_assert_str_eq(process.command_line, "bot --now two words");
	ck_assert_str_eq(process.container, DIGITS);
	ck_assert_str_eq(process.runtime, "docker");
	ck_assert_str_eq(process.pod, "");
	ck_assert_str_eq(process.user, "root");
	ck_assert_str_eq(process.cgroup, "");
	ck_assert(!process.cgroup_tells);
}
END_TEST

/* One program after another, of the same pid, start and name. */
START_TEST(the_kernel_s_word_goes_before_what_is_remembered)
{
	struct batch_open open = open_of("one", "init.scope");
	struct process process = told(GONE, &open);

	ck_assert_str_eq(process.executable, "one");
	open = open_of("two", "init.scope");
	process = told(GONE, &open);
	ck_assert_str_eq(process.executable, "two");
}
END_TEST

/* A name as long as the kernel's field may be longer: /proc knows. */
START_TEST(a_cut_name_is_completed)
{
	char longest[BATCH_NAME_BYTES], path[64], target[4096];
	struct batch_open open;
	struct process process;
	ssize_t length;

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	open = open_of(longest, "init.scope");
	process = told(getpid(), &open);
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)getpid());
	length = readlink(path, target, sizeof(target) - 1);
	ck_assert_int_gt(length, 0);
	target[length] = '\0';
	ck_assert_str_eq(process.executable, strrchr(target, '/') + 1);
	process = told(GONE, &open);
	ck_assert_str_eq(process.executable, longest);
}
END_TEST

/* More text than any field holds, and no end in it. */
START_TEST(nothing_is_read_beyond_a_field)
{
	struct batch_open open;
	struct process process;

	memset(&open, 'x', sizeof(open));
	process = told(GONE, &open);
	ck_assert_uint_eq(strlen(process.command_line),
			  BATCH_ARGUMENTS_BYTES);
	ck_assert_uint_eq(strlen(process.executable), BATCH_NAME_BYTES - 1);
	ck_assert_str_eq(process.container, "");
}
END_TEST

START_TEST(gone_and_alive)
{
	pid_t child = fork();

	if (!child)
		for (;;)
			pause();
	ck_assert_int_gt(child, 0);
	ck_assert(!process_gone(cache, child));
	ck_assert(process_alive(cache, child, 0));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ck_assert(process_gone(cache, child));
	ck_assert(!process_alive(cache, child, 0));
	ck_assert(!process_gone(cache, getpid()));
	ck_assert(!process_gone(cache, 0));
}
END_TEST

/* The id that the kernel gives a control group is its directory's inode. */
START_TEST(a_control_group_by_its_id)
{
	struct cgroups *cgroups = cgroups_new(2);
	const char *mount = cgroups_mount(cgroups);
	char directory[256], first[64], *path;
	struct stat status;

	ck_assert_str_eq(cgroups_path(cgroups, ~0ULL), "");
	if (*mount && !stat(mount, &status) && geteuid() == 0)
		ck_assert_str_eq(cgroups_path(cgroups, status.st_ino), "/");
	snprintf(first, sizeof(first), "/datasnoop-unit-%d", (int)getpid());
	snprintf(directory, sizeof(directory), "%s%s", mount, first);
	if (*mount && !mkdir(directory, 0700)) {
		ck_assert_int_eq(stat(directory, &status), 0);
		ck_assert_str_eq(cgroups_path(cgroups, status.st_ino), first);
		/* Remembered when it is gone. */
		rmdir(directory);
		ck_assert_str_eq(cgroups_path(cgroups, status.st_ino), first);
		/* As long as it is among so many. */
		path = strdup(first);
		for (char c = 'a'; c < 'd'; c++) {
			struct stat other;

			path[strlen(path) - 1] = c;
			snprintf(directory, sizeof(directory), "%s%s", mount,
				 path);
			ck_assert_int_eq(mkdir(directory, 0700), 0);
			ck_assert_int_eq(stat(directory, &other), 0);
			ck_assert_str_eq(cgroups_path(cgroups, other.st_ino),
					 path);
			rmdir(directory);
		}
		free(path);
		ck_assert_str_eq(cgroups_path(cgroups, status.st_ino), "");
	}
	cgroups_free(cgroups);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("process");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_process_that_has_gone_is_as_the_kernel_told);
	tcase_add_test(tcase, the_kernel_s_word_goes_before_what_is_remembered);
	tcase_add_test(tcase, a_cut_name_is_completed);
	tcase_add_test(tcase, nothing_is_read_beyond_a_field);
	tcase_add_test(tcase, gone_and_alive);
	tcase_add_test(tcase, a_control_group_by_its_id);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
