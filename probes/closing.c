/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * closing.c - processes that close descriptors which may not be the last of
 * their sockets: when to look which sockets they still have.
 */
#include "probes/closing.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define PROCESSES_MAX 512
/*
 * A look reads all the process's descriptors, so one that closes many is
 * looked at now and then.
 */
#define FIRST_NS 50000000ULL
#define LAST_NS	 200000000ULL

struct closing_process {
	pid_t pid;
	bool looked; /* since it was last told of */
	uint64_t first_ns, last_ns;
};

struct closing {
	struct closing_process processes[PROCESSES_MAX];
	size_t count;
};

struct closing *closing_new(void)
{
	return calloc(1, sizeof(struct closing));
}

void closing_free(struct closing *closing)
{
	free(closing);
}

int closing_told(struct closing *closing, pid_t pid, uint64_t told_ns)
{
	struct closing_process *process = closing->processes;
	struct closing_process *end = process + closing->count;

	while (process < end && process->pid != pid)
		process++;
	if (process == end) {
		if (closing->count == PROCESSES_MAX)
			return -ENOSPC;
		closing->count++;
		process->pid = pid;
		process->looked = true;
	}
	if (process->looked)
		process->first_ns = told_ns;
	process->looked = false;
	process->last_ns = told_ns;
	return 0;
}

bool closing_take(struct closing *closing, uint64_t now_ns, pid_t *pid)
{
	struct closing_process *process = closing->processes;
	struct closing_process *end = process + closing->count;

	for (; process < end; process++) {
		uint64_t due = process->looked ? process->last_ns + LAST_NS :
						 process->first_ns + FIRST_NS;

		if (now_ns < due)
			continue;
		*pid = process->pid;
		if (process->looked)
			*process = closing->processes[--closing->count];
		else
			process->looked = true;
		return true;
	}
	return false;
}
