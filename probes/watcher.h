/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watcher.h - processes that map a file nobody has judged yet.
 *
 * The kernel tells of each executable mapping of an unknown file as it begins
 * (BATCH_LIBRARY); the process is looked at a few times until the mapping can
 * be seen, then the file is known and never told of again.
 */
#ifndef DATASNOOP_PROBES_WATCHER_H
#define DATASNOOP_PROBES_WATCHER_H

#include <stdint.h>
#include <sys/types.h>

#include "probes/batch.h"

struct watcher;

/* @judged: the map of known files, struct batch_library -> u8.  NULL: no memory. */
struct watcher *watcher_new(int judged);
void watcher_free(struct watcher *watcher);

/*
 * A BATCH_LIBRARY came.  -ENOSPC: too many at once; the caller scans the host.
 */
int watcher_told(struct watcher *watcher, pid_t pid,
		 const struct batch_library *file, uint64_t now_ns);

/* Call look(pid) for each process that is due to be looked at. */
void watcher_run(struct watcher *watcher, uint64_t now_ns,
		 void (*look)(void *context, pid_t pid), void *context);

#endif
