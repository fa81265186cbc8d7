/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_doctor.c - probes/doctor.c: the page says what is there, and its
 * verdict is that of tracing.
 *
 * The tests that need root or a mount namespace say so when they can't run.
 */
#include <cap-ng.h>
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "probes/doctor.h"
#include "probes/kernel.h"
#include "tests/unit/suite.h"

#define LINE_BYTES 80

static struct options options;
static char *page;
static int verdict;

static void set_up(void)
{
	memset(&options, 0, sizeof(options));
	options.flush_size = 1024;
	options.buffer_size = 2048;
	options.copy_size = 1024;
	options.flush_ms = 100;
	options.ring_bytes = 1U << 20;
	options.max_capture = 4U << 20;
	options.max_connections = 512;
	options.accumulate = true;
	options.placement = true;
	/* This process maps no TLS library: one place less that differs. */
	options.pids[0] = getpid();
	options.pid_count = 1;
}

static void tear_down(void)
{
	free(page);
	page = NULL;
}

/* No line is too long, and no byte of it can harm a terminal. */
static void assert_readable(void)
{
	size_t column = 0;

	for (const char *at = page; *at; at++) {
		column = *at == '\n' ? 0 : column + 1;
		ck_assert_msg(column <= LINE_BYTES, "too long: %.*s",
			      (int)column, at - column + 1);
		ck_assert(*at == '\n' || (*at >= ' ' && *at <= '~'));
	}
}

static void examine(void)
{
	size_t size;
	FILE *out = open_memstream(&page, &size);

	ck_assert_ptr_nonnull(out);
	verdict = doctor_print(out, &options);
	ck_assert_int_eq(fclose(out), 0);
	/* The four parts, in this order; the last is for whom it fails. */
	ck_assert(!strncmp(page, "kernel\n", 7));
	ck_assert_ptr_nonnull(strstr(page, "\nBPF programs\n"));
	ck_assert_ptr_nonnull(strstr(page, "\nTLS libraries\n"));
	ck_assert_ptr_nonnull(strstr(page, "\nmissing\n"));
	ck_assert_int_eq(verdict == 0,
			 strstr(page, "nothing: tracing can work") != NULL);
}

static const char *missing(void)
{
	return strstr(page, "\nmissing\n");
}

static bool private_mounts(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		printf("# skipped: a mount namespace: %s\n", strerror(errno));
		return false;
	}
	return true;
}

static void hide(const char *path)
{
	if (!access(path, F_OK))
		ck_assert_msg(!mount("none", path, "tmpfs", 0, NULL), "%s: %s",
			      path, strerror(errno));
}

START_TEST(a_host_that_can_trace)
{
	struct kernel kernel;
	struct utsname name;
	double megabytes;

	kernel_probe(&kernel);
	if (!kernel.capable || !kernel.bpf || !kernel.tracefs || !kernel.btf) {
		printf("# skipped: no rights, tracefs or BTF here\n");
		return;
	}
	examine();
	ck_assert_msg(!verdict, "%s", missing());
	assert_readable();
	ck_assert_int_eq(uname(&name), 0);
	ck_assert_ptr_nonnull(strstr(page, name.release));
	ck_assert_ptr_nonnull(strstr(page, "\n  compiled "));
	ck_assert_ptr_nonnull(strstr(page, "\n  loaded "));
	ck_assert_ptr_nonnull(strstr(page, "--max-connections"));
	ck_assert_ptr_nonnull(strstr(page, "512 connections of 2048 bytes"));
	/* 512 x (2048 + 128), and what the hash needs beside. */
	ck_assert_int_eq(sscanf(strstr(page, "memory, connections"),
				"memory, connections %lf MB", &megabytes),
			 1);
	ck_assert(megabytes > 1 && megabytes < 1.5);
	ck_assert_ptr_null(strstr(page, "perf buffers"));
}
END_TEST

START_TEST(the_perf_buffer_is_said)
{
	struct kernel kernel;

	kernel_probe(&kernel);
	if (!kernel.capable || !kernel.bpf || !kernel.tracefs || !kernel.btf) {
		printf("# skipped: no rights, tracefs or BTF here\n");
		return;
	}
	options.transport = TRANSPORT_PERF;
	examine();
	ck_assert_int_eq(verdict, 0);
	assert_readable();
	ck_assert_ptr_nonnull(strstr(page, "perf buffers up to 1.0 MB"));
}
END_TEST

/* A tree that is whole for headers.c, and nothing for the compiler. */
START_TEST(headers_that_do_not_compile)
{
	char root[] = "/tmp/test_doctor.XXXXXX", command[256];
	struct kernel kernel;

	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(command, sizeof(command),
		 "cd %s && mkdir -p include/linux include/generated && "
		 "touch include/linux/kconfig.h include/generated/autoconf.h",
		 root);
	ck_assert_int_eq(system(command), 0);
	options.kernel_headers = root;
	options.verbose = 1;
	kernel_probe(&kernel);
	examine();
	ck_assert_int_eq(verdict, 1);
	ck_assert_ptr_nonnull(strstr(page, root));
	if (kernel.capable && kernel.bpf && kernel.tracefs) {
		ck_assert_ptr_nonnull(strstr(missing(), "compile"));
		ck_assert_ptr_nonnull(strstr(missing(), "--kernel-headers"));
		/* What clang said, as it was asked for. */
		ck_assert_ptr_nonnull(strstr(page, "fatal error"));
	}
	snprintf(command, sizeof(command), "rm -r %s", root);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(no_types)
{
	options.kernel_headers = "/nonexistent";
	examine();
	ck_assert_int_eq(verdict, 1);
	assert_readable();
	ck_assert_ptr_nonnull(
		strstr(page, "/nonexistent: No such file or directory"));
	ck_assert_ptr_nonnull(strstr(missing(), "no kernel types"));
	ck_assert_ptr_nonnull(strstr(missing(), "linux-headers-"));
}
END_TEST

START_TEST(no_tracefs)
{
	if (!private_mounts())
		return;
	hide("/sys/kernel/debug");
	hide("/sys/kernel/tracing");
	examine();
	ck_assert_int_eq(verdict, 1);
	assert_readable();
	ck_assert_ptr_nonnull(strstr(page, "not mounted"));
	ck_assert_ptr_nonnull(strstr(missing(), "mount -t tracefs nodev"));
	ck_assert_ptr_null(strstr(page, "\n  compiled "));
}
END_TEST

START_TEST(no_rights)
{
	capng_clear(CAPNG_SELECT_CAPS);
	ck_assert_int_eq(capng_apply(CAPNG_SELECT_CAPS), 0);
	examine();
	ck_assert_int_eq(verdict, 1);
	assert_readable();
	ck_assert_ptr_nonnull(strstr(page, "not sufficient"));
	ck_assert_ptr_nonnull(strstr(missing(), "CAP_SYS_ADMIN"));
	ck_assert_ptr_nonnull(strstr(missing(), "root"));
}
END_TEST

/* Nothing but printable ASCII of what others chose, here the user. */
START_TEST(no_byte_reaches_the_terminal_raw)
{
	options.kernel_headers = "/none\033[31m\377\n/x";
	examine();
	ck_assert_int_eq(verdict, 1);
	assert_readable();
	ck_assert_ptr_nonnull(strstr(page, "/none?[31m?"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("doctor");
	TCase *tcase = tcase_create("all");

	kernel_raise_memlock();
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_host_that_can_trace);
	tcase_add_test(tcase, the_perf_buffer_is_said);
	tcase_add_test(tcase, headers_that_do_not_compile);
	tcase_add_test(tcase, no_types);
	tcase_add_test(tcase, no_tracefs);
	tcase_add_test(tcase, no_rights);
	tcase_add_test(tcase, no_byte_reaches_the_terminal_raw);
	suite_add_tcase(suite, tcase);
	return suite_run_apart(suite);
}
