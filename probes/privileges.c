/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * privileges.c - give up what tracing does not need, once it runs.
 *
 * Source: capabilities(7).
 */
#include "probes/privileges.h"

#include <cap-ng.h>
#include <sys/prctl.h>

int privileges_drop(void)
{
	static const unsigned kept[] = {
		CAP_SYS_PTRACE,	     /* /proc/PID/maps, root, exe of others */
		CAP_DAC_READ_SEARCH, /* libraries in others' directories */
		CAP_SYS_RESOURCE,    /* locked memory, before 5.11 */
	};
	unsigned i;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	capng_clear(CAPNG_SELECT_BOTH);
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (kept[i] <= (unsigned)CAP_LAST_CAP &&
		    prctl(PR_CAPBSET_READ, kept[i], 0, 0, 0) == 1)
			capng_update(CAPNG_ADD,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED, kept[i]);
	/* Where these two exist they are enough; before, all was SYS_ADMIN. */
	if (prctl(PR_CAPBSET_READ, CAP_BPF, 0, 0, 0) == 1 &&
	    prctl(PR_CAPBSET_READ, CAP_PERFMON, 0, 0, 0) == 1)
		capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
			      CAP_BPF, CAP_PERFMON, CAP_CHECKPOINT_RESTORE, -1);
	else
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
			     CAP_SYS_ADMIN);
	return capng_apply(CAPNG_SELECT_CAPS) ? -1 : 0;
}
