/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_kernel.c - probes/kernel.c: what is found is what is there.
 *
 * As root, in mount namespaces of their own, the tests hide and make up what
 * the kernel shows of itself.  Where the rights are missing they say so.
 */
#include <bcc/libbpf.h>
#include <cap-ng.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "probes/kernel.h"
#include "tests/unit/suite.h"

static struct kernel kernel;

/* Mounts that nobody else sees; false and a note when that is not allowed. */
static bool private_mounts(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		printf("# skipped: a mount namespace: %s\n", strerror(errno));
		return false;
	}
	return true;
}

/* An empty directory in its place.  Only where there is one. */
static void hide(const char *path)
{
	if (!access(path, F_OK))
		ck_assert_msg(!mount("none", path, "tmpfs", 0, NULL), "%s: %s",
			      path, strerror(errno));
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_msg(file, "%s: %s", path, strerror(errno));
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(the_release_is_the_kernel_s)
{
	struct utsname name;

	ck_assert_int_eq(uname(&name), 0);
	kernel_probe(&kernel);
	ck_assert_str_eq(kernel.release, name.release);
	ck_assert_int_eq(kernel.btf, !access("/sys/kernel/btf/vmlinux", R_OK));
	ck_assert_int_eq(kernel.uprobe_pmu,
			 !access("/sys/bus/event_source/devices/uprobe", F_OK));
}
END_TEST

/* libbcc, asked for the same, must get the same answer. */
START_TEST(maps_are_there_that_libbcc_can_make)
{
	int array, ring, files;

	kernel_raise_memlock();
	kernel_probe(&kernel);
	files = open("/dev/null", O_RDONLY);
	array = bcc_create_map(BPF_MAP_TYPE_ARRAY, "a", 4, 8, 1, 0);
	ring = bcc_create_map(BPF_MAP_TYPE_RINGBUF, "r", 0, 0, 4096, 0);
	ck_assert_int_eq(kernel.bpf, array >= 0);
	ck_assert_int_eq(kernel.ring_buffer, ring >= 0);
	/* The helper is older than the ring buffer. */
	if (ring >= 0)
		ck_assert(kernel.probe_read_user);
	/* What was made to try is closed again: the numbers follow. */
	if (array >= 0)
		ck_assert_int_eq(array, files + 1);
	ck_assert_int_ge(files, 0);
}
END_TEST

START_TEST(a_probe_leaves_no_descriptor)
{
	int before = dup(0), after;

	ck_assert_int_ge(before, 0);
	close(before);
	kernel_probe(&kernel);
	kernel_probe(&kernel);
	after = dup(0);
	ck_assert_int_eq(after, before);
	close(after);
}
END_TEST

START_TEST(without_rights_nothing_can_be_made)
{
	capng_clear(CAPNG_SELECT_CAPS);
	ck_assert_int_eq(capng_apply(CAPNG_SELECT_CAPS), 0);
	kernel_probe(&kernel);
	ck_assert(!kernel.capable);
	ck_assert(!kernel.ring_buffer);
	ck_assert(!kernel.probe_read_user);
	ck_assert(!kernel.socket_tracepoints);
}
END_TEST

/* Either is enough; half of the second is not. */
START_TEST(two_sets_of_rights_are_enough)
{
	static const struct {
		int capability, other;
		bool enough;
	} sets[] = {
		{CAP_SYS_ADMIN, CAP_CHOWN, true},
		{CAP_BPF, CAP_PERFMON, true},
		{CAP_BPF, CAP_CHOWN, false},
		{CAP_PERFMON, CAP_CHOWN, false},
	};

	capng_get_caps_process();
	if (!capng_have_capability(CAPNG_PERMITTED, CAP_SYS_ADMIN) ||
	    !capng_have_capability(CAPNG_PERMITTED, CAP_BPF)) {
		printf("# skipped: these rights are not ours to give up\n");
		return;
	}
	capng_clear(CAPNG_SELECT_CAPS);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
		      sets[_i].capability, sets[_i].other, -1);
	ck_assert_int_eq(capng_apply(CAPNG_SELECT_CAPS), 0);
	kernel_probe(&kernel);
	ck_assert_int_eq(kernel.capable, sets[_i].enough);
}
END_TEST

/* A mount point without a file system is not tracefs. */
START_TEST(tracefs_is_where_it_is_mounted)
{
	if (!private_mounts())
		return;
	hide("/sys/kernel/debug");
	hide("/sys/kernel/tracing");
	kernel_probe(&kernel);
	ck_assert(!kernel.tracefs);
	ck_assert(!kernel.syscall_tracepoints);
	ck_assert_str_eq(kernel.tracefs_path, "");
	if (mount("none", "/sys/kernel/tracing", "tracefs", 0, NULL)) {
		printf("# no tracefs in this kernel\n");
		return;
	}
	kernel_probe(&kernel);
	ck_assert(kernel.tracefs);
	ck_assert_str_eq(kernel.tracefs_path, "/sys/kernel/tracing");
	ck_assert_int_eq(kernel.syscall_tracepoints,
			 !access("/sys/kernel/tracing/events/syscalls/"
				 "sys_enter_read",
				 F_OK));
	/* The helper is older than the tracepoint. */
	ck_assert_int_eq(kernel.socket_tracepoints,
			 !access("/sys/kernel/tracing/events/sock/"
				 "sock_send_length",
				 F_OK));
	/* What needs those must not be said to be there without them. */
	ck_assert(!kernel.on_demand || kernel.socket_tracepoints);
}
END_TEST

START_TEST(tracefs_without_system_calls)
{
	if (!private_mounts())
		return;
	hide("/sys/kernel/debug");
	hide("/sys/kernel/tracing");
	if (mkdir("/sys/kernel/tracing/events", 0700))
		return; /* not hidden: there is no such directory here */
	kernel_probe(&kernel);
	ck_assert(kernel.tracefs);
	ck_assert(!kernel.syscall_tracepoints);
}
END_TEST

START_TEST(lockdown_is_what_is_in_brackets)
{
	static const struct {
		const char *text, *found;
	} files[] = {
		{"[none] integrity confidentiality\n", "none"},
		{"none [integrity] confidentiality\n", "integrity"},
		{"none integrity [confidentiality]\n", "confidentiality"},
		{"", ""},
		{"[unclosed and longer than any name that there is", NULL},
	};

	if (access("/sys/kernel/security", F_OK)) {
		printf("# skipped: no /sys/kernel/security\n");
		return;
	}
	if (!private_mounts())
		return;
	hide("/sys/kernel/security");
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		write_file("/sys/kernel/security/lockdown", files[i].text);
		kernel_probe(&kernel);
		if (files[i].found)
			ck_assert_str_eq(kernel.lockdown, files[i].found);
		else
			ck_assert_uint_lt(strlen(kernel.lockdown),
					  sizeof(kernel.lockdown));
	}
	ck_assert_int_eq(unlink("/sys/kernel/security/lockdown"), 0);
	kernel_probe(&kernel);
	ck_assert_str_eq(kernel.lockdown, "");
}
END_TEST

START_TEST(statistics_are_on_when_the_kernel_says_1)
{
	char path[] = "/tmp/test_kernel.XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	if (private_mounts()) {
		write_file(path, "1\n");
		ck_assert_int_eq(mount(path,
				       "/proc/sys/kernel/bpf_stats_enabled",
				       NULL, MS_BIND, NULL),
				 0);
		kernel_probe(&kernel);
		ck_assert(kernel.stats);
		write_file(path, "0\n");
		kernel_probe(&kernel);
		ck_assert(!kernel.stats);
	}
	unlink(path);
}
END_TEST

START_TEST(locked_memory_is_raised_as_far_as_it_goes)
{
	struct rlimit limit = {65536, 1 << 20};

	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	capng_clear(CAPNG_SELECT_CAPS);
	ck_assert_int_eq(capng_apply(CAPNG_SELECT_CAPS), 0);
	kernel_raise_memlock();
	ck_assert_int_eq(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	ck_assert_uint_eq(limit.rlim_cur, 1 << 20);
	ck_assert_uint_eq(limit.rlim_max, 1 << 20);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kernel");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, the_release_is_the_kernel_s);
	tcase_add_test(tcase, maps_are_there_that_libbcc_can_make);
	tcase_add_test(tcase, a_probe_leaves_no_descriptor);
	tcase_add_test(tcase, without_rights_nothing_can_be_made);
	tcase_add_loop_test(tcase, two_sets_of_rights_are_enough, 0, 4);
	tcase_add_test(tcase, tracefs_is_where_it_is_mounted);
	tcase_add_test(tcase, tracefs_without_system_calls);
	tcase_add_test(tcase, lockdown_is_what_is_in_brackets);
	tcase_add_test(tcase, statistics_are_on_when_the_kernel_says_1);
	tcase_add_test(tcase, locked_memory_is_raised_as_far_as_it_goes);
	suite_add_tcase(suite, tcase);
	/* Mounts and rights are the whole process's. */
	return suite_run_apart(suite);
}
