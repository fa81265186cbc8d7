/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * account.h - what was seen, what was delivered, what was lost and why.
 *
 * seen = delivered + lost, always.  The kernel counts `bytes_seen` where the
 * probed calls return; user space counts `bytes_delivered` and `lost` where
 * bytes enter a stream or are given up; the two never share a counter, so
 * that their agreement proves something.
 */
#ifndef DATASNOOP_STREAMS_ACCOUNT_H
#define DATASNOOP_STREAMS_ACCOUNT_H

#include <stdint.h>

#include "probes/batch.h"

struct account {
	/* the kernel's word */
	uint64_t fragments;   /* calls that moved bytes */
	uint64_t bytes_seen;  /* what those calls moved */
	uint64_t batches;     /* BATCH_DATA records submitted */
	uint64_t batch_bytes; /* all records submitted, headers included */
	uint64_t fragments_direct; /* connections map full: sent directly */
	uint64_t calls_unknown;	    /* moved a number of bytes not readable */
	uint64_t resident_peak_bytes; /* of the tracer's own process */
	uint64_t map_bytes;	    /* kernel memory of all maps */
	uint64_t kernel_lost[LOSS_REASONS]; /* bytes, by enum batch_loss */

	/* user space's word */
	uint64_t bytes_delivered;     /* unique bytes that reached a stream */
	uint64_t lost[LOSS_REASONS];  /* bytes, by enum batch_loss */
	uint64_t peeked_bytes;	      /* of delivered: read from idle accumulators */
	uint64_t connections;	      /* opened, generations counted apart */
	uint64_t connections_refused; /* at the bound of the connection table */
	uint64_t exchanges;	      /* rebuilt, shown or not */
	uint64_t exchanges_incomplete;
	uint64_t exchanges_mirrored; /* server side of one shown as a client's */
	uint64_t bytes_mirrored;     /* delivered, of such a server side, unread */
	uint64_t bytes_unparsed;     /* delivered, but of no known protocol */
	uint64_t records_bad;	     /* malformed, dropped */
	uint64_t parser_errors;	     /* closed for breaking their law */
	uint64_t memory_peak_bytes;  /* streams and parsers, the most at once */
};

/*
 * account_kernel - the kernel's counters, once, at the end of the capture
 *
 * Bytes whose loss no stream offset tells of are added to `lost`.
 */
void account_kernel(struct account *account, const struct counters *counters);

/* The sum of `lost`. */
uint64_t account_lost(const struct account *account);

/* The reason's key in JSON and in words ("buffer_full"); never NULL. */
const char *account_loss_name(enum batch_loss reason);

#endif
