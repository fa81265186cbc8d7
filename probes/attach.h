/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attach.h - which BPF function goes where: tracepoints, and the functions of
 * each TLS library found.
 */
#ifndef DATASNOOP_PROBES_ATTACH_H
#define DATASNOOP_PROBES_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "options.h"
#include "probes/capture.h"
#include "probes/program.h"

struct attach;

/* Everything borrowed for attach's life.  NULL: out of memory. */
struct attach *attach_new(struct program *program,
			  const struct options *options,
			  const struct capture_events *events);
void attach_free(struct attach *attach);

/*
 * attach_tracepoints - all of them, attach_watch()'s too
 *
 * 0 or -errno with one line in `why`.
 */
int attach_tracepoints(struct attach *attach, char *why, size_t why_size);

/* May attach_rest() be called, while no plain connection is of interest? */
bool attach_is_on_demand(const struct attach *attach);

/* The tracepoints of system calls, on and off.  0 or -errno and `why`. */
int attach_watch(struct attach *attach, char *why, size_t why_size);
void attach_rest(struct attach *attach);

/*
 * The TLS libraries that a process has mapped, or all processes have: each
 * file once.  A library that can't be probed is one warning.
 */
void attach_process(struct attach *attach, pid_t pid);
/* All processes', and the host's own whether mapped or not. */
void attach_host(struct attach *attach);

/* Functions probed, and the libraries that they are in. */
void attach_count(const struct attach *attach, unsigned *functions,
		  unsigned *libraries);

#endif
