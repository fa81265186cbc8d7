/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * privileges.c - give up what tracing does not need, once it runs.
 *
 * Sources: capabilities(7); perf_uprobe_event_init() in the kernel's
 * kernel/events/core.c.
 */
#include "probes/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEPT (CAPNG_EFFECTIVE | CAPNG_PERMITTED)

/*
 * May a uprobe be made now?  One in this program's ELF header, which nobody
 * executes, is.  True also where uprobes don't come as perf events.
 */
static bool may_probe(void)
{
	FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	struct perf_event_attr event;
	unsigned type;
	int fields = file ? fscanf(file, "%u", &type) : 0, fd;

	if (file)
		fclose(file);
	if (fields != 1)
		return true;
	memset(&event, 0, sizeof(event));
	event.size = sizeof(event);
	event.type = type;
	event.config1 = (uintptr_t) "/proc/self/exe";
	event.config2 = 64; /* bytes: behind the ELF header's fields */
	fd = syscall(SYS_perf_event_open, &event, -1, 0, -1,
		     PERF_FLAG_FD_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0 || (errno != EACCES && errno != EPERM);
}

/*
 * Is CAP_SYS_ADMIN needed, of the capabilities that were read?  Before 5.8 it
 * was for everything; and since 2025 it is for uprobes again, however the
 * version is called: so it is tried.
 */
static bool needs_admin(void)
{
	bool needs;

	if (!capng_have_capability(CAPNG_PERMITTED, CAP_BPF) ||
	    !capng_have_capability(CAPNG_PERMITTED, CAP_PERFMON))
		return true;
	capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_SYS_ADMIN);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return true;
	needs = !may_probe();
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, CAP_SYS_ADMIN);
	return capng_apply(CAPNG_SELECT_CAPS) ? true : needs;
}

int privileges_drop(void)
{
	static const unsigned wanted[] = {
		CAP_SYS_PTRACE,	     /* /proc/PID/maps, root, exe of others */
		CAP_DAC_READ_SEARCH, /* libraries in others' directories */
		CAP_SYS_RESOURCE,    /* locked memory, before 5.11 */
		CAP_BPF,	     /* maps, by their descriptors too */
		CAP_PERFMON,	     /* probes of libraries that come later */
		CAP_CHECKPOINT_RESTORE, /* /proc/PID/map_files */
	};
	enum { WANTED = sizeof(wanted) / sizeof(wanted[0]) };
	bool permitted[WANTED], admin;
	unsigned i;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (capng_get_caps_process())
		return -1;
	/* What this process was not given it can't keep. */
	for (i = 0; i < WANTED; i++)
		permitted[i] =
			capng_have_capability(CAPNG_PERMITTED, wanted[i]);
	admin = capng_have_capability(CAPNG_PERMITTED, CAP_SYS_ADMIN) &&
		needs_admin();
	capng_clear(CAPNG_SELECT_BOTH);
	for (i = 0; i < WANTED; i++)
		if (permitted[i])
			capng_update(CAPNG_ADD, KEPT, wanted[i]);
	if (admin)
		capng_update(CAPNG_ADD, KEPT, CAP_SYS_ADMIN);
	/* With an empty bounding set root's programs get none on exec. */
	return capng_apply(CAPNG_SELECT_BOTH) ? -1 : 0;
}
