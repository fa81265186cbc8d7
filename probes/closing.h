/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * closing.h - processes that close descriptors which may not be the last of
 * their sockets: when to look which sockets they still have.
 */
#ifndef DATASNOOP_PROBES_CLOSING_H
#define DATASNOOP_PROBES_CLOSING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct closing;

/* NULL: out of memory. */
struct closing *closing_new(void);
void closing_free(struct closing *closing);

/*
 * closing_told - a process begins such a call at that time, CLOCK_MONOTONIC
 *
 * 0; -ENOSPC: too many at once: all must be looked at.
 */
int closing_told(struct closing *closing, pid_t pid, uint64_t told_ns);

/*
 * closing_take - a process to look at now; false: none
 *
 * Each twice: soon, and once more when the call surely has ended.
 */
bool closing_take(struct closing *closing, uint64_t now_ns, pid_t *pid);

#endif
