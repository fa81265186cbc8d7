/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_privileges.c - probes/privileges.c: what is given up, what still works.
 *
 * Each test runs in a process of its own, as dropping can't be undone.  Needs
 * root; skipped (77) without.
 */
#include <bcc/libbpf.h>
#include <cap-ng.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probes/privileges.h"
#include "tests/unit/suite.h"

#define BIT(capability) (1ULL << (capability))

/* At most; root in a container has not all of them. */
static const uint64_t kept = BIT(CAP_SYS_PTRACE) | BIT(CAP_DAC_READ_SEARCH) |
			     BIT(CAP_SYS_RESOURCE) | BIT(CAP_BPF) |
			     BIT(CAP_PERFMON) | BIT(CAP_CHECKPOINT_RESTORE);
static const char self[] = "/proc/self/status";

/* A hexadecimal line of a status file, "CapEff". */
static uint64_t status_of(const char *path, const char *name)
{
	char line[256], format[64];
	uint64_t value = ~0ULL;
	FILE *file = fopen(path, "r");
	bool found = false;

	snprintf(format, sizeof(format), "%s: %%" SCNx64, name);
	ck_assert_ptr_nonnull(file);
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, format, &value) == 1;
	fclose(file);
	ck_assert_msg(found, "%s has no %s", path, name);
	return value;
}

/* Where a function of this program is in its file. */
static uint64_t file_offset(uintptr_t address)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uintptr_t start, end;
	uint64_t offset, found = 0;
	char line[512];

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %" SCNx64,
			   &start, &end, &offset) == 3 &&
		    address >= start && address < end)
			found = address - start + offset;
	fclose(maps);
	return found;
}

/* An entry uprobe in this program's own file, as a perf event. */
static int open_uprobe(void)
{
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
	struct perf_event_attr attributes;
	unsigned type;

	if (!file || fscanf(file, "%u", &type) != 1)
		return -ENOENT;
	fclose(file);
	memset(&attributes, 0, sizeof(attributes));
	attributes.size = sizeof(attributes);
	attributes.type = type;
	attributes.config1 = (uintptr_t) "/proc/self/exe";
	attributes.config2 = file_offset((uintptr_t)file_offset);
	return syscall(SYS_perf_event_open, &attributes, -1, 0, -1,
		       PERF_FLAG_FD_CLOEXEC);
}

/* Can a process without CAP_SYS_ADMIN, else with all rights, do it? */
static bool uprobe_without_admin(void)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		capng_get_caps_process();
		capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
			     CAP_SYS_ADMIN);
		_exit(capng_apply(CAPNG_SELECT_CAPS) || open_uprobe() < 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status == 0;
}

START_TEST(few_capabilities_stay)
{
	uint64_t left = status_of(self, "CapEff") & kept;

	/* Kernels differ in whether it is needed for uprobes. */
	if (!uprobe_without_admin())
		left |= BIT(CAP_SYS_ADMIN);
	ck_assert_int_eq(privileges_drop(), 0);
	ck_assert_uint_eq(status_of(self, "CapEff"), left);
	ck_assert_uint_eq(status_of(self, "CapPrm"), left);
	ck_assert_uint_eq(status_of(self, "CapInh"), 0);
	ck_assert_uint_eq(status_of(self, "CapBnd"), 0);
	ck_assert_uint_eq(status_of(self, "NoNewPrivs"), 1);
	ck_assert_int_eq(setuid(65534), -1);
	ck_assert_int_eq(errno, EPERM);
	/* A second time there is less to give up, not an error. */
	ck_assert_int_eq(privileges_drop(), 0);
	ck_assert_uint_eq(status_of(self, "CapEff"), left);
}
END_TEST

/* Root's programs get root's capabilities on exec, unless they are bounded. */
START_TEST(a_program_that_it_runs_has_none)
{
	char path[] = "/tmp/test_privileges.XXXXXX";
	int fd = mkstemp(path), status;
	pid_t pid;

	ck_assert_int_ge(fd, 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		if (privileges_drop() || dup2(fd, 1) < 0)
			_exit(1);
		execl("/bin/cat", "cat", "/proc/self/status", NULL);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(status_of(path, "CapEff"), 0);
	ck_assert_uint_eq(status_of(path, "CapPrm"), 0);
	close(fd);
	unlink(path);
}
END_TEST

START_TEST(maps_and_probes_still_work)
{
	uint64_t value = 42, read_back = 0;
	uint32_t key = 0;
	int event;
	int map = bcc_create_map(BPF_MAP_TYPE_ARRAY, "test", 4, 8, 1, 0);

	ck_assert_int_ge(map, 0);
	ck_assert_int_eq(privileges_drop(), 0);
	ck_assert_int_eq(bpf_update_elem(map, &key, &value, 0), 0);
	ck_assert_int_eq(bpf_lookup_elem(map, &key, &read_back), 0);
	ck_assert_uint_eq(read_back, 42);
	event = open_uprobe();
	if (event == -ENOENT)
		printf("# no uprobe PMU here\n");
	else
		ck_assert_msg(event >= 0, "uprobe: %s", strerror(errno));
}
END_TEST

/* Can the first bytes of a file be read? */
static bool readable(const char *format, pid_t pid)
{
	char path[64], byte;
	int fd;
	bool result;

	snprintf(path, sizeof(path), format, pid);
	fd = open(path, O_RDONLY);
	result = fd >= 0 && read(fd, &byte, 1) == 1;
	if (fd >= 0)
		close(fd);
	return result;
}

/* A process of another user, that waits to be killed. */
static pid_t start_other(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	if (setgid(65534) || setuid(65534))
		_exit(1);
	for (;;)
		pause();
}

/* In a process of its own: drop, then look.  What can't be done, as bits. */
static int look_without_rights(pid_t other)
{
	char path[64], exe[256];
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		if (privileges_drop())
			_exit(64);
		status = readable("/proc/%d/maps", other) ? 0 : 1;
		if (!readable("/proc/%d/root/proc/self/status", other))
			status |= 2;
		snprintf(path, sizeof(path), "/proc/%d/exe", other);
		if (readlink(path, exe, sizeof(exe)) <= 0)
			status |= 4;
		/* What proves that rights were missing at all. */
		if (!kill(other, 0))
			status |= 8;
		_exit(status);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(processes_of_others_can_still_be_looked_at)
{
	pid_t other = start_other();
	int missing;

	usleep(20000);
	missing = look_without_rights(other);
	ck_assert_int_eq(kill(other, SIGKILL), 0);
	ck_assert_int_eq(waitpid(other, NULL, 0), other);
	ck_assert_int_eq(missing, 0);
}
END_TEST

/* As with file capabilities: not root, and with no more than it needs. */
START_TEST(what_was_not_given_is_not_missed)
{
	const uint64_t given = BIT(CAP_BPF) | BIT(CAP_PERFMON);

	capng_clear(CAPNG_SELECT_CAPS);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_BPF,
		      CAP_PERFMON, -1);
	ck_assert_int_eq(capng_apply(CAPNG_SELECT_CAPS), 0);
	ck_assert_int_eq(privileges_drop(), 0);
	ck_assert_uint_eq(status_of(self, "CapEff"), given);
}
END_TEST

/* Before 5.8 there was SYS_ADMIN only: it must stay then. */
START_TEST(system_administration_stays_where_it_is_all)
{
	capng_clear(CAPNG_SELECT_CAPS);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
		      CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SETPCAP, CAP_KILL, -1);
	ck_assert_int_eq(capng_apply(CAPNG_SELECT_CAPS), 0);
	ck_assert_int_eq(privileges_drop(), 0);
	ck_assert_uint_eq(status_of(self, "CapEff"),
			  BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_PTRACE));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("privileges");
	TCase *tcase = tcase_create("all");

	if (geteuid() || prctl(PR_CAPBSET_READ, CAP_BPF, 0, 0, 0) != 1 ||
	    prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 1) {
		printf("test_privileges: needs root's rights: skipped\n");
		return 77;
	}
	tcase_add_test(tcase, few_capabilities_stay);
	tcase_add_test(tcase, a_program_that_it_runs_has_none);
	tcase_add_test(tcase, maps_and_probes_still_work);
	tcase_add_test(tcase, processes_of_others_can_still_be_looked_at);
	tcase_add_test(tcase, what_was_not_given_is_not_missed);
	tcase_add_test(tcase, system_administration_stays_where_it_is_all);
	suite_add_tcase(suite, tcase);
	return suite_run_apart(suite);
}
