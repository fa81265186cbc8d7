/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * leftovers.h - probes that a killed datasnoop has left in tracefs.
 */
#ifndef DATASNOOP_PROBES_LEFTOVERS_H
#define DATASNOOP_PROBES_LEFTOVERS_H

/*
 * leftovers_remove - of all processes that are no more; the number removed
 * @tracefs: where it is mounted
 *
 * Where uprobes are perf events nothing can be left: an event ends with its
 * process.  On a kernel without them (before 4.17) libbcc writes each probe
 * into uprobe_events, by the name that program.c gives it, datasnoop_PID_...,
 * and there it stays until somebody takes it out.
 * Source: Documentation/trace/uprobetracer.rst of Linux.
 */
unsigned leftovers_remove(const char *tracefs);

#endif
