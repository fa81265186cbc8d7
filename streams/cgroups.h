/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgroups.h - control groups of version 2: from the kernel's id to the path.
 */
#ifndef DATASNOOP_STREAMS_CGROUPS_H
#define DATASNOOP_STREAMS_CGROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgroups;

/*
 * cgroups_new - where this host has its control groups; NULL: out of memory
 * @bound: most paths remembered; the ones remembered longest are forgotten
 *
 * Source: cgroups(7), proc(5) on mountinfo.
 */
struct cgroups *cgroups_new(size_t bound);
void cgroups_free(struct cgroups *cgroups);

/*
 * cgroups_path - the path of a control group, "/system.slice", "/" the root
 *
 * "" when it is not known: it is gone and was never asked for before, or there
 * is no right to ask (CAP_DAC_READ_SEARCH).  Borrowed until the next call.
 */
const char *cgroups_path(struct cgroups *cgroups, uint64_t id);

/*
 * Is version 2 all there is?  Where version 1 is mounted too, a container's
 * control groups may be in its hierarchies alone.
 */
bool cgroups_are_all(const struct cgroups *cgroups);

/* Where version 2 is mounted, "/sys/fs/cgroup"; "": it is not. */
const char *cgroups_mount(const struct cgroups *cgroups);

/*
 * cgroups_each - call visit() with the path of each control group that is
 * there now, of all hierarchies; it returns false to end
 */
void cgroups_each(const struct cgroups *cgroups,
		  bool (*visit)(void *context, const char *path),
		  void *context);

#endif
