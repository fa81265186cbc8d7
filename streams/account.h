/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * account.h - what was seen, what was delivered, what was lost and why.
 *
 * seen = delivered + lost, always.  The kernel counts `bytes_seen` where the
 * probed calls return; user space counts `bytes_delivered` and `lost` where
 * bytes enter a stream or are given up; the two never share a counter, so
 * that their agreement proves something.  Of a capture file `bytes_seen` are
 * the bytes that TCP's sequence numbers tell of.
 */
#ifndef DATASNOOP_STREAMS_ACCOUNT_H
#define DATASNOOP_STREAMS_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "probes/batch.h"

struct account {
	/* the kernel's word */
	uint64_t fragments;   /* calls that moved bytes */
	uint64_t bytes_seen;  /* what those calls moved */
	uint64_t batches;     /* BATCH_DATA records submitted */
	uint64_t batch_bytes; /* all records submitted, headers included */
	uint64_t calls_foreign; /* of 32-bit programs, not looked at */
	uint64_t io_uring_processes; /* whose sockets may be used unseen */
	uint64_t fragments_direct; /* connections map full: sent directly */
	uint64_t calls_unknown;	    /* moved a number of bytes not readable */
	uint64_t resident_peak_bytes; /* of the tracer's own process */
	uint64_t map_bytes;	    /* kernel memory of all maps */
	uint64_t kernel_lost[LOSS_REASONS]; /* bytes, by enum batch_loss */

	/* a capture file's word, instead of the kernel's; bytes_seen too */
	bool offline;		  /* a file was read */
	uint64_t packets;	  /* read */
	uint64_t packets_tcp;	  /* of those, TCP segments that were used */
	uint64_t packets_other;	  /* of another protocol */
	uint64_t packets_fragments; /* of IP; the last makes a segment, too */
	uint64_t packets_bad;	  /* malformed, or cut inside a header */
	uint64_t packets_stray;	  /* TCP, but of no sequence that is known */
	uint64_t packets_cut;	  /* TCP, with bytes cut off */
	uint64_t fragments_dropped; /* of packets_fragments: came to nothing */
	uint64_t bytes_repeated;  /* retransmitted: not in bytes_seen */

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
	/* a file that is written, if any: of what was delivered */
	bool writing;
	uint64_t packets_written;
	uint64_t bytes_written;
	uint64_t bytes_unwritten;     /* the file took no more */
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
