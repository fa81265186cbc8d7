/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seccomp.h - can a uretprobe kill a process that filters its system calls?
 */
#ifndef DATASNOOP_PROBES_SECCOMP_H
#define DATASNOOP_PROBES_SECCOMP_H

#include <errno.h>
#include <stdbool.h>

/*
 * seccomp_sees_uretprobes - does a filter decide on a uretprobe's own call?
 *
 * On x86-64 a function that returns through a uretprobe makes a system call of
 * the kernel's own since 6.11, and until 6.14 and its backports a process's
 * seccomp filter was asked about it: most refuse what they do not know, and
 * the process dies.  Tried out in two child processes, not told by a version.
 */
bool seccomp_sees_uretprobes(void);

/* What the second child's filter answers, and no kernel does to that call. */
#define SECCOMP_ANSWER ENOTTY

/*
 * seccomp_decides - what the two children's ends mean
 * @plain: wait status of the call without a filter; -1: not known
 * @filtered: of the call under a filter that answers SECCOMP_ANSWER
 */
bool seccomp_decides(int plain, int filtered);

/* Has the process a filter?  @status: path of its /proc/PID/status */
bool seccomp_has_filter(const char *status);

#endif
