/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * connection.h - who: process, TLS library, socket addresses, two streams.
 */
#ifndef DATASNOOP_STREAMS_CONNECTION_H
#define DATASNOOP_STREAMS_CONNECTION_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "probes/batch.h"
#include "streams/stream.h"

struct process {
	uint32_t pid;
	uint32_t uid;
	uint64_t start_ns;	     /* CLOCK_BOOTTIME; 0: not known */
	char comm[BATCH_COMM_BYTES]; /* process.command in JSON */
	char executable[256];	     /* base name of /proc/PID/exe; "": unknown */
	char user[64];		     /* login name; "": unknown */
	char container[72];	     /* container id from the cgroup; "": none */
};

struct endpoint {
	char address[64]; /* textual; path of an AF_UNIX socket; "": not known */
	uint16_t port;
};

struct connection {
	uint64_t id; /* unique in a run; a reused SSL * has another */
	struct process process;
	struct batch_open open;	 /* as the kernel told it last */
	struct endpoint local, remote;
	const char *tls;	 /* "openssl"; NULL: plain */
	struct stream *streams[2];	    /* by enum batch_direction */
	bool opened;   /* a BATCH_OPEN has come: process and object are known */
	bool closed;   /* no more bytes will come */
	bool dirty;    /* has news for its conversation */
	bool no_offsets; /* BATCH_NO_OFFSET: order of arrival is all there is */
	struct conversation *conversation; /* parsers' room; NULL: none yet */
};

struct connection_table;

/*
 * connection_table_new - no connections yet
 * @account: counts go there; borrowed
 * @bound: most connections at once; beyond it, batches are counted lost
 * @stream_bytes, @total_bytes: see struct stream_pool
 *
 * NULL: out of memory.
 */
struct connection_table *connection_table_new(struct account *account,
					      size_t bound, uint64_t stream_bytes,
					      uint64_t total_bytes);
void connection_table_free(struct connection_table *table);

/*
 * connection_table_receive - take a record off the transport
 * @record: header and payload, `size` bytes as they came (checked here)
 *
 * Bytes that an earlier record brought are ignored: user space may add what
 * it peeked at, or a BATCH_CLOSE with final offsets of its own making.
 * Returns the connection concerned, until the next pass, or NULL: refused,
 * malformed (counted, one warning), unknown, or not a connection's record.
 */
struct connection *connection_table_receive(struct connection_table *table,
					    const void *record, size_t size);

/*
 * connection_table_pass - the transport has been drained once, completely
 *
 * Settles holes, then calls visit() for each connection with news; a closed
 * one is freed after its visit (the visitor drops connection->conversation).
 * With several buffers BATCH_CLOSE may overtake the last bytes and the first
 * bytes BATCH_OPEN: a connection is closed one pass after the former, and not
 * visited in the pass that made it unless the latter came.  final: all
 * connections are closed, visited and freed.  visit() must not receive.
 */
void connection_table_pass(struct connection_table *table, bool final,
			   void (*visit)(void *context, struct connection *c),
			   void *context);

struct connection *connection_table_find(struct connection_table *table,
					 uint64_t id);
/* Connections in the table now. */
size_t connection_table_count(const struct connection_table *table);

/*
 * connection_table_drop_dead - the connections of processes that have ended
 * will get no more bytes, nor a BATCH_CLOSE
 *
 * Asks once for each process; to be called about once a second.  They are
 * closed like others: visited and freed after one more pass.
 */
void connection_table_drop_dead(struct connection_table *table);

#endif
