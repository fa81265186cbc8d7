/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * process.h - what /proc and the user database say of a traced process.
 */
#ifndef DATASNOOP_STREAMS_PROCESS_H
#define DATASNOOP_STREAMS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "streams/connection.h"

struct process_cache;

/*
 * process_cache_new - nothing known yet; NULL: out of memory
 * @bound: most processes, and most users, remembered at once; the ones
 *	remembered longest are forgotten
 *
 * Process ids are the kernel's, of the initial namespace.  Where /proc shows
 * another namespace the cache looks nothing up: it would name the wrong
 * processes.
 */
struct process_cache *process_cache_new(size_t bound);
void process_cache_free(struct process_cache *cache);

/*
 * process_told - fill in what the kernel told with the connection's first byte
 *
 * The name of the executable, the command line and the container, for a
 * process that may be gone by now; process_identify() adds what is missing.
 */
void process_told(struct process *process, const struct batch_open *open);

/*
 * process_identify - fill in executable, user and container of process->pid
 *
 * Remembered by pid, start_ns, comm and control group (a process that runs
 * another program changes its comm); with start_ns 0, asked anew each time,
 * comm and uid too.  The path of the control group comes from the kernel by
 * its id, so that the container of a process that has gone is known.
 * A process that has gone keeps "".  Strings are terminated and cut to their
 * fields; their bytes are whatever the process chose: not to be trusted.
 */
void process_identify(struct process_cache *cache, struct process *process);

/* process_gone - is there no such pid any more?  The cheap half of the below. */
bool process_gone(const struct process_cache *cache, uint32_t pid);

/*
 * process_alive - is it running, and still the process that began then?
 * @start_ns: CLOCK_BOOTTIME, 0: not known
 *
 * False only when that is certain: the pid is gone, a zombie's, or another's.
 */
bool process_alive(const struct process_cache *cache, uint32_t pid,
		   uint64_t start_ns);

#endif
