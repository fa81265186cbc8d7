/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture.h - the whole of live capture: from options to records.
 */
#ifndef DATASNOOP_PROBES_CAPTURE_H
#define DATASNOOP_PROBES_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "probes/batch.h"

struct capture;

struct capture_events {
	/* A record: a struct batch and more; dead after the return. */
	void (*record)(void *context, const void *record, size_t size);
	/* One line for the user, without the program's name. */
	void (*warn)(void *context, const char *message);
	void *context;
};

/*
 * capture_open - compile, load, find the libraries, attach
 *
 * 0; or -errno with one line in `why` of what failed and what to do.  When it
 * returns, what the probed functions move is being captured.
 */
int capture_open(struct capture **capture, const struct options *options,
		 const struct capture_events *events, char *why,
		 size_t why_size);

/* In words: what is being traced and how, for the line that says so. */
void capture_describe(const struct capture *capture, char *text, size_t size);

/*
 * capture_pass - everything that the kernel has sent, and what has waited in
 * accumulators for --flush-ms, as records; looks after new libraries
 *
 * 0 or -errno; 1: there may be more at once: act upon what has come, then call
 * it again without a wait.
 */
int capture_pass(struct capture *capture);

/*
 * capture_ignore - nobody wants to hear of that connection any more
 * @object, @pid: its accumulator's key; @connection: its id
 *
 * What the kernel has of it still comes, with a BATCH_CLOSE behind it; then
 * nothing is copied, or counted as seen, until its socket is closed.
 */
void capture_ignore(struct capture *capture, uint64_t object, uint32_t pid,
		    uint64_t connection);

/*
 * capture_ignore_cgroup - with --container or --cgroup: no process of that
 * control group (cgroup v2 id) is wanted; connections that its processes begin
 * are not captured
 */
void capture_ignore_cgroup(struct capture *capture, uint64_t id);

/* Sleep until the next pass is worth it, or a signal comes. */
void capture_wait(struct capture *capture);

/*
 * capture_stop - detach, hand over the last records, read the counters
 * @counters: the sum over all CPUs
 *
 * What a connection moved up to now is told by a BATCH_CLOSE of each.
 */
void capture_stop(struct capture *capture, struct counters *counters);

/* Processes seen so far that have an io_uring. */
unsigned capture_io_uring_processes(const struct capture *capture);

/* Kernel memory of all maps, bytes. */
uint64_t capture_memory(const struct capture *capture);

void capture_free(struct capture *capture);

#endif
