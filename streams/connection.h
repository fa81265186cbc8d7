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
	char runtime[16];	     /* what runs it: "docker"; "": not known */
	char pod[40];		     /* Kubernetes' uid of its pod; "": none */
	uint64_t cgroup_id;	     /* cgroup v2; 0: not known */
	char cgroup[256];	     /* its path, cut; "": not known */
	bool cgroup_tells;	     /* the path alone says which container */
	/* Its arguments, a space between them, cut; "": not known. */
	char command_line[BATCH_ARGUMENTS_BYTES + 1];
};

struct endpoint {
	char address[112]; /* textual; path of an AF_UNIX socket; "": not known */
	uint16_t port;
	uint64_t socket; /* AF_UNIX: which socket; 0: not known, or TCP */
};

struct connection {
	uint64_t id; /* unique in a run; a reused SSL * has another */
	struct process process;
	uint64_t object; /* of its accumulator's key, with the pid */
	struct endpoint local, remote;
	uint32_t peer_pid; /* AF_UNIX: the process at the other end; 0: unknown */
	bool address_inferred; /* the socket was told by a guess */
	const char *tls;	 /* "openssl"; NULL: plain */
	struct stream *streams[2];	    /* by enum batch_direction */
	bool opened;   /* a BATCH_OPEN has come: process and object are known */
	bool closed;   /* no more bytes will come */
	bool ended;    /* its own end was seen, not that of the capture */
	bool dirty;    /* has news for its conversation */
	/*
	 * Set by who visits it: not to be closed yet, but visited with the next
	 * pass, news or not.  Of no effect once it is closed.
	 */
	bool held;
	uint64_t held_ns; /* CLOCK_MONOTONIC, since then; 0: it never was */
	bool ignored;  /* the capture was asked to leave it alone */
	bool no_offsets; /* BATCH_NO_OFFSET: order of arrival is all there is */
	bool midstream;  /* offset 0 is not where the connection began */
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
 * visited in the pass that made it unless the latter came; nor is one closed
 * that is held.  final: all
 * connections are closed, visited and freed.  visit() must not receive.
 */
void connection_table_pass(struct connection_table *table, bool final,
			   void (*visit)(void *context, struct connection *c),
			   void *context);

/*
 * The source is a file, which tells itself what was lost: nothing becomes a
 * gap because a pass went by.  Before anything else is done with the table.
 */
void connection_table_offline(struct connection_table *table);

/*
 * connection_table_add - a connection that its source keeps track of
 * @process: copied as it is, nothing is looked up; NULL: not known
 * @tls: static; NULL: plain
 *
 * Ids are given by the table, so a table has one sort of source.  The source
 * may hold the connection and add to its streams, telling
 * connection_table_news() each time, until it calls connection_table_end().
 * NULL: refused at the bound, which is counted, or out of memory.
 */
struct connection *connection_table_add(struct connection_table *table,
					const struct endpoint *local,
					const struct endpoint *remote,
					const struct process *process,
					const char *tls);
/* Its streams have something new: it is visited at the end of the pass. */
void connection_table_news(struct connection_table *table,
			   struct connection *connection);
/* The source lets go of it: closed, visited and freed by later passes. */
void connection_table_end(struct connection_table *table,
			  struct connection *connection);

/* The name of an enum batch_tls, static; NULL: plain, or none of that kind. */
const char *connection_tls_name(uint8_t tls);

/* An endpoint in text; `address` is in network order, IPv4 in the first 4. */
void connection_endpoint(struct endpoint *endpoint, uint16_t family,
			 const uint8_t address[16], uint16_t port);

struct connection *connection_table_find(struct connection_table *table,
					 uint64_t id);
/* Call visit() for each connection; it must not add or end any. */
void connection_table_each(struct connection_table *table,
			   void (*visit)(void *context, struct connection *c),
			   void *context);

/* Connections in the table now. */
size_t connection_table_count(const struct connection_table *table);

/*
 * connection_table_drop_dead - the connections of processes that have ended
 * will get no more bytes, nor a BATCH_CLOSE
 *
 * Asks once for each process; to be called about once a second.  They are
 * closed like others: visited and freed after one more pass.  One whose pid is
 * still there, a zombie's or another process's, is found within some calls:
 * of so many processes only is /proc read in each.
 */
void connection_table_drop_dead(struct connection_table *table);

#endif
