/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * demand.h - need system calls be watched?  While a plain connection lives
 * that somebody cares for.
 *
 * Where sockets themselves tell what they move, system calls are watched for
 * the rest alone: descriptors that are closed and duplicated, and the calls
 * that sockets do not tell of whole.  To watch them slows each system call of
 * the host, so that is done on demand.
 */
#ifndef DATASNOOP_PROBES_DEMAND_H
#define DATASNOOP_PROBES_DEMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes/batch.h"

struct demand;

/* NULL: out of memory. */
struct demand *demand_new(void);
void demand_free(struct demand *demand);

/* A record from the kernel: a connection that begins or ends, or any other. */
void demand_record(struct demand *demand, const void *record, size_t size);

/* Nobody cares for that connection any more; CLOCK_MONOTONIC. */
void demand_ignored(struct demand *demand, uint64_t connection,
		    uint64_t now_ns);

/*
 * demand_is_there - does a connection of interest live?
 *
 * One that has just begun is most often found to be of no interest, or over,
 * within moments: of such it takes several.
 */
bool demand_is_there(const struct demand *demand, uint64_t now_ns);

/*
 * demand_take_ignored - a connection that was ignored some moments ago
 *
 * Each once: whether it has moved bytes since, and so ended as one that is
 * captured, is for the caller to see.  False: there is none.
 */
bool demand_take_ignored(struct demand *demand, uint64_t now_ns,
			 struct accumulator_key *key, uint64_t *connection);

#endif
