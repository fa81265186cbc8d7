/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peek.h - the bytes that wait in accumulators, read from user space.
 *
 * 4.18's BPF has neither timer nor lock: the kernel can't flush a connection
 * that has gone quiet, and user space can't empty an accumulator.  But it may
 * look: the kernel says when bytes begin to wait (BATCH_NOTE), a note is due
 * --flush-ms later, and what is read then has its stream offset, so that a
 * later flush of the same bytes is recognised.
 */
#ifndef DATASNOOP_PROBES_PEEK_H
#define DATASNOOP_PROBES_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "probes/batch.h"

struct peek;

/*
 * peek_new - for the map of connections
 * @map: struct accumulator_key -> struct accumulator and its payload
 * @value_bytes: of that value; @payload_bytes: the most that can wait
 *
 * NULL: out of memory.
 */
struct peek *peek_new(int map, size_t value_bytes, size_t payload_bytes);
void peek_free(struct peek *peek);

/*
 * Look at that accumulator once `due_ns` (CLOCK_MONOTONIC) has come.
 * -ENOSPC: too many are waiting to be looked at.
 */
int peek_schedule(struct peek *peek, const struct accumulator_key *key,
		   uint64_t due_ns);

/* When the next look is due, CLOCK_MONOTONIC; UINT64_MAX: none. */
uint64_t peek_next(const struct peek *peek);

/*
 * peek_collect - copy what waits in the accumulators that are due by now
 *
 * The copies are kept until peek_deliver(): between the two the caller drains
 * the transport, so that nothing is delivered before what was sent before it.
 */
void peek_collect(struct peek *peek, uint64_t now_ns);

typedef void (*peek_record)(void *context, const void *record, size_t size);

/* Hand the copies over as records, as the transport would have. */
void peek_deliver(struct peek *peek, peek_record record, void *context);

/*
 * peek_all - every accumulator's waiting bytes now, then a BATCH_CLOSE with
 * its offsets, as at the end of the run (nothing may be writing any more)
 */
void peek_all(struct peek *peek, peek_record record, void *context);

/*
 * peek_exec - the process runs another program since header->first_ns: its TLS
 * objects of before are to end, and its sockets that were to be closed then
 */
void peek_exec(struct peek *peek, const struct batch *header);

/*
 * peek_sockets - connections are to end whose socket the process has closed
 * @pid: of that process alone; 0: of all
 */
void peek_sockets(struct peek *peek, pid_t pid);

/*
 * peek_mark - that connection is to end: the kernel takes no bytes of it any
 * more.  Short of memory it is not; one that has gone is found again.
 */
void peek_mark(struct peek *peek, const struct accumulator_key *key,
	       uint64_t connection);

/*
 * peek_end_marked - end what was to end: records as in peek_all, and the
 * entries are deleted
 *
 * Behind a drain of the transport that began after the others were called: a
 * connection's end is told behind all that the kernel has sent of it.
 */
void peek_end_marked(struct peek *peek, peek_record record, void *context);

/* Look at every accumulator at `due_ns`: notes were lost, none must wait. */
void peek_schedule_all(struct peek *peek, uint64_t due_ns);

/*
 * peek_reap - the connections of processes that have gone are to end
 * @closed: also those marked closed, whose BATCH_CLOSE found no room
 */
void peek_reap(struct peek *peek, bool closed);

#endif
