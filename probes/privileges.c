/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * privileges.c - give up what tracing does not need, once it runs.
 *
 * Source: capabilities(7).
 */
#include "probes/privileges.h"

#include <cap-ng.h>
#include <stdbool.h>
#include <sys/prctl.h>

#define KEPT CAPNG_EFFECTIVE | CAPNG_PERMITTED

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
	bool permitted[WANTED], divided, admin;
	unsigned i;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (capng_get_caps_process())
		return -1;
	/* What this process was not given it can't keep. */
	for (i = 0; i < WANTED; i++)
		permitted[i] =
			capng_have_capability(CAPNG_PERMITTED, wanted[i]);
	/* Where these two exist they are enough; before, all was SYS_ADMIN. */
	divided = capng_have_capability(CAPNG_PERMITTED, CAP_BPF) &&
		  capng_have_capability(CAPNG_PERMITTED, CAP_PERFMON);
	admin = capng_have_capability(CAPNG_PERMITTED, CAP_SYS_ADMIN);
	capng_clear(CAPNG_SELECT_BOTH);
	for (i = 0; i < WANTED; i++)
		if (permitted[i])
			capng_update(CAPNG_ADD, KEPT, wanted[i]);
	if (admin && !divided)
		capng_update(CAPNG_ADD, KEPT, CAP_SYS_ADMIN);
	/* With an empty bounding set root's programs get none on exec. */
	return capng_apply(CAPNG_SELECT_BOTH) ? -1 : 0;
}
