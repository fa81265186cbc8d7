/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * connection.c - who: process, TLS library, socket addresses, two streams.
 *
 * Takes records in the order in which the transport gives them, which is not
 * the order in which things happened: with a buffer for each CPU the first
 * bytes may come before BATCH_OPEN and the last behind BATCH_CLOSE.  What was
 * submitted before a pass began has come when it ends.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "streams/connection.h"
#include "streams/process.h"

#define PROCESSES_MAX 4096 /* identities remembered: 2.3 MB */
/* Processes whose /proc is read, of one look for the dead. */
#define LOOKS_MAX 64
/* The kernel tells no end of what it keeps no state of: silence is one. */
#define LOOSE_LOOKS_MAX 30

struct entry {
	struct connection connection; /* first: callers hold this */
	bool ending;		      /* will be closed, one pass after */
	bool told_end;		      /* by BATCH_CLOSE */
	bool identified;
	uint64_t born_pass, end_pass;
	struct entry *next_news; /* while connection.dirty */
	struct owner *owner;	 /* NULL: not known yet, or a file's */
	struct entry *previous_owned, *next_owned;
	struct entry *previous_loose, *next_loose; /* while no_offsets */
	unsigned quiet_looks; /* for the dead, since its last bytes */
	UT_hash_handle hh;
};

/* A process and its connections, so that its end is asked after once. */
struct owner {
	struct owner_key {
		uint64_t pid, start_ns;
	} key;
	struct entry *entries;
	struct owner *prev, *next; /* the one looked at last is the last */
	UT_hash_handle hh;
};

/*
 * What must be remembered of a connection that is not in the table though
 * records of it may come: of one refused, or dropped before its BATCH_CLOSE.
 * Its bytes are all lost, each counted once.
 */
struct remnant {
	uint64_t id;
	uint64_t told[2]; /* offsets up to which bytes are accounted for */
	UT_hash_handle hh;
};

struct connection_table {
	struct stream_pool pool;
	struct account *account;
	size_t bound; /* of entries, and of remnants */
	struct entry *entries;
	struct remnant *remnants; /* oldest first, as uthash keeps them */
	struct entry *news, **news_end;
	struct process_cache *processes;
	struct owner *owners; /* by key */
	struct owner *looked; /* the same, in the order of looking */
	struct entry *loose;  /* those with no_offsets */
	uint64_t last_id; /* given to those of connection_table_add() */
};

struct connection_table *connection_table_new(struct account *account,
					      size_t bound,
					      uint64_t stream_bytes,
					      uint64_t total_bytes)
{
	struct connection_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->processes = process_cache_new(PROCESSES_MAX);
	if (!table->processes) {
		free(table);
		return NULL;
	}
	table->pool.bound_bytes = total_bytes;
	table->pool.bound_stream_bytes = stream_bytes;
	table->pool.account = account;
	table->account = account;
	table->bound = bound;
	table->news_end = &table->news;
	return table;
}

/* The entry is no process's any more; nor is one kept for nothing. */
static void entry_disown(struct connection_table *table, struct entry *entry)
{
	struct owner *owner = entry->owner;

	if (!owner)
		return;
	entry->owner = NULL;
	DL_DELETE2(owner->entries, entry, previous_owned, next_owned);
	if (owner->entries)
		return;
	HASH_DEL(table->owners, owner);
	DL_DELETE(table->looked, owner);
	free(owner);
}

/* Out of memory: it has none, and its end must be told. */
static void entry_own(struct connection_table *table, struct entry *entry)
{
	const struct process *process = &entry->connection.process;
	struct owner_key key = {
		.pid = process->pid,
		.start_ns = process->start_ns,
	};
	struct owner *owner;

	entry_disown(table, entry);
	HASH_FIND(hh, table->owners, &key, sizeof(key), owner);
	if (!owner) {
		owner = calloc(1, sizeof(*owner));
		if (!owner)
			return;
		owner->key = key;
		HASH_ADD(hh, table->owners, key, sizeof(key), owner);
		if (!owner->hh.tbl) {
			free(owner);
			return;
		}
		DL_PREPEND(table->looked, owner);
	}
	DL_PREPEND2(owner->entries, entry, previous_owned, next_owned);
	entry->owner = owner;
}

static void entry_free(struct connection_table *table, struct entry *entry)
{
	entry_disown(table, entry);
	if (entry->connection.no_offsets)
		DL_DELETE2(table->loose, entry, previous_loose, next_loose);
	HASH_DEL(table->entries, entry);
	stream_free(entry->connection.streams[BATCH_IN]);
	stream_free(entry->connection.streams[BATCH_OUT]);
	free(entry);
}

static void remnant_free(struct connection_table *table,
			 struct remnant *remnant)
{
	HASH_DEL(table->remnants, remnant);
	free(remnant);
}

void connection_table_free(struct connection_table *table)
{
	struct entry *entry, *next_entry;
	struct remnant *remnant, *next_remnant;

	if (!table)
		return;
	HASH_ITER (hh, table->entries, entry, next_entry)
		entry_free(table, entry);
	HASH_ITER (hh, table->remnants, remnant, next_remnant)
		remnant_free(table, remnant);
	process_cache_free(table->processes);
	stream_pool_clear(&table->pool);
	free(table);
}

static struct entry *entry_find(struct connection_table *table, uint64_t id)
{
	struct entry *entry;

	HASH_FIND(hh, table->entries, &id, sizeof(id), entry);
	return entry;
}

static void entry_queue(struct connection_table *table, struct entry *entry)
{
	if (entry->connection.dirty)
		return;
	entry->connection.dirty = true;
	entry->next_news = NULL;
	*table->news_end = entry;
	table->news_end = &entry->next_news;
}

/* The connection's entry, made when new; NULL: out of memory. */
static struct entry *entry_new(struct connection_table *table, uint64_t id,
			       uint32_t pid)
{
	struct entry *entry = calloc(1, sizeof(*entry));
	struct connection *c;

	if (!entry)
		return NULL;
	c = &entry->connection;
	c->id = id;
	c->process.pid = pid;
	entry->born_pass = table->pool.pass;
	c->streams[BATCH_IN] = stream_new(&table->pool);
	c->streams[BATCH_OUT] = stream_new(&table->pool);
	if (!c->streams[BATCH_IN] || !c->streams[BATCH_OUT])
		goto fail;
	HASH_ADD(hh, table->entries, connection.id, sizeof(c->id), entry);
	if (!entry->hh.tbl)
		goto fail;
	table->account->connections++;
	return entry;
fail:
	stream_free(c->streams[BATCH_IN]);
	stream_free(c->streams[BATCH_OUT]);
	free(entry);
	return NULL;
}

static struct remnant *remnant_find(struct connection_table *table,
				    uint64_t id)
{
	struct remnant *remnant;

	HASH_FIND(hh, table->remnants, &id, sizeof(id), remnant);
	return remnant;
}

/* Remember a connection that has no entry; NULL: out of memory. */
static struct remnant *remnant_new(struct connection_table *table,
				   uint64_t id)
{
	struct remnant *remnant = calloc(1, sizeof(*remnant));

	if (!remnant)
		return NULL;
	remnant->id = id;
	HASH_ADD(hh, table->remnants, id, sizeof(remnant->id), remnant);
	if (!remnant->hh.tbl) {
		free(remnant);
		return NULL;
	}
	if (HASH_COUNT(table->remnants) > table->bound + 1)
		remnant_free(table, table->remnants);
	return remnant;
}

/* The bytes up to `end` are lost, as far as they are not accounted for. */
static void remnant_lose(struct connection_table *table,
			 struct remnant *remnant, unsigned direction,
			 uint64_t end, enum batch_loss reason)
{
	uint64_t *told = &remnant->told[direction];

	if (end <= *told)
		return;
	table->account->lost[reason] += end - *told;
	*told = end;
}

/* A record of a connection that the table does not hold, and won't. */
static void receive_refused(struct connection_table *table,
			    struct remnant *remnant, const struct batch *batch)
{
	uint64_t end = batch->offset + batch->length;

	if (batch->kind == BATCH_CLOSE) {
		remnant_lose(table, remnant, BATCH_IN, batch->offset,
			     LOSS_BUFFER_FULL);
		remnant_lose(table, remnant, BATCH_OUT, batch->missed,
			     LOSS_BUFFER_FULL);
		remnant_free(table, remnant);
	} else if (batch->kind == BATCH_DATA) {
		if (batch->flags & BATCH_NO_OFFSET)
			end = remnant->told[batch->direction] + batch->length;
		remnant_lose(table, remnant, batch->direction, end,
			     LOSS_STREAM_FULL);
		remnant_lose(table, remnant, batch->direction,
			     end + batch->missed, batch->missed_cause);
	}
}

/*
 * The record's connection, made when there is room; NULL: refused, and what
 * the record brings is counted as lost.
 */
static struct entry *entry_of(struct connection_table *table,
			      const struct batch *batch)
{
	struct entry *entry = entry_find(table, batch->connection);
	struct remnant *remnant;

	if (entry)
		return entry;
	remnant = remnant_find(table, batch->connection);
	if (!remnant && HASH_COUNT(table->entries) < table->bound)
		entry = entry_new(table, batch->connection, batch->tgid);
	if (entry)
		return entry;
	if (!remnant) {
		table->account->connections_refused++;
		remnant = remnant_new(table, batch->connection);
	}
	if (remnant)
		receive_refused(table, remnant, batch);
	return NULL;
}

static struct connection *receive_data(struct connection_table *table,
				       const struct batch *batch,
				       const uint8_t *payload)
{
	struct entry *entry = entry_of(table, batch);
	struct piece piece = {
		.bytes = payload,
		.length = batch->length,
		.offset = batch->offset,
		.first_ns = batch->first_ns,
		.last_ns = batch->last_ns,
		.tid = batch->tid,
	};
	struct connection *c;
	struct stream *stream;
	size_t added;

	if (!entry)
		return NULL;
	c = &entry->connection;
	stream = c->streams[batch->direction];
	entry->quiet_looks = 0;
	if (batch->flags & BATCH_NO_OFFSET && !c->no_offsets) {
		c->no_offsets = true;
		DL_PREPEND2(table->loose, entry, previous_loose, next_loose);
	}
	if (c->no_offsets)
		piece.offset = stream_told(stream);
	added = stream_add(stream, &piece);
	if (batch->flags & BATCH_PEEKED)
		table->pool.account->peeked_bytes += added;
	stream_lose(stream, piece.offset + piece.length, batch->missed,
		    batch->missed_cause);
	entry_queue(table, entry);
	return c;
}

void connection_endpoint(struct endpoint *endpoint, uint16_t family,
			 const uint8_t address[16], uint16_t port)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN];

	if (family == AF_INET6 && !memcmp(address, mapped, sizeof(mapped))) {
		family = AF_INET;
		address += sizeof(mapped);
	}
	if (family != AF_INET && family != AF_INET6)
		return;
	if (!inet_ntop(family, address, text, sizeof(text)))
		return;
	snprintf(endpoint->address, sizeof(endpoint->address), "%s", text);
	endpoint->port = port;
}

/*
 * An AF_UNIX socket's path: that of the listening end, the other seldom has
 * one.  The name of an abstract one is shown behind an '@', as ss(8) does.
 */
static void unix_ends(struct connection *c, const struct batch_open *open)
{
	struct endpoint *named = open->flags & OPEN_PATH_LOCAL ? &c->local :
								 &c->remote;
	bool abstract = !open->path[0] && open->path[1];

	snprintf(named->address, sizeof(named->address), "%s%.*s",
		 abstract ? "@" : "", BATCH_PATH_BYTES - 2,
		 open->path + abstract);
	c->local.socket = open->local_socket;
	c->remote.socket = open->remote_socket;
	c->peer_pid = open->peer_pid;
}

static void name_ends(struct connection *c, const struct batch_open *open)
{
	if (open->flags & OPEN_STDIO) {
		snprintf(c->local.address, sizeof(c->local.address), "stdio");
		return;
	}
	if (open->family == AF_UNIX)
		unix_ends(c, open);
	connection_endpoint(&c->local, open->family, open->local_address,
			    open->local_port);
	connection_endpoint(&c->remote, open->family, open->remote_address,
			    open->remote_port);
	c->address_inferred = open->flags & OPEN_INFERRED;
}

const char *connection_tls_name(uint8_t tls)
{
	static const char *const names[] = {
		[BATCH_TLS_NONE] = NULL,
		[BATCH_TLS_OPENSSL] = "openssl",
		[BATCH_TLS_GO] = "go",
		[BATCH_TLS_BORINGSSL] = "boringssl",
		[BATCH_TLS_GNUTLS] = "gnutls",
		[BATCH_TLS_NSS] = "nss",
		[BATCH_TLS_MBEDTLS] = "mbedtls",
		[BATCH_TLS_WOLFSSL] = "wolfssl",
		[BATCH_TLS_S2N] = "s2n",
	};

	return tls < sizeof(names) / sizeof(names[0]) ? names[tls] : NULL;
}

static struct connection *receive_open(struct connection_table *table,
				       const struct batch *batch,
				       const uint8_t *payload)
{
	struct entry *entry = entry_of(table, batch);
	struct batch_open open;
	struct connection *c;

	if (!entry)
		return NULL;
	c = &entry->connection;
	memcpy(&open, payload, sizeof(open));
	if (!c->opened) {
		c->opened = true;
		entry->identified = true;
		c->tls = connection_tls_name(open.tls);
		c->process = (struct process){
			.pid = batch->tgid,
			.uid = open.uid,
			.start_ns = open.start_ns,
		};
		memcpy(c->process.comm, open.comm, BATCH_COMM_BYTES - 1);
		process_told(&c->process, &open);
		process_identify(table->processes, &c->process);
		entry_own(table, entry);
	} else if (!open.family) {
		return c;
	}
	c->object = open.object;
	name_ends(c, &open);
	entry_queue(table, entry);
	return c;
}

/* The connection will be closed once a whole pass has gone by. */
static void entry_end(struct connection_table *table, struct entry *entry)
{
	if (!entry->ending) {
		entry->ending = true;
		entry->end_pass = table->pool.pass;
	}
	entry_queue(table, entry);
}

static struct connection *receive_close(struct connection_table *table,
					const struct batch *batch)
{
	struct entry *entry;

	/* One that moved nothing, and of which nothing is known, is no news. */
	if (!batch->offset && !batch->missed &&
	    !entry_find(table, batch->connection) &&
	    !remnant_find(table, batch->connection))
		return NULL;
	entry = entry_of(table, batch);
	if (!entry)
		return NULL;
	if (!entry->connection.no_offsets) {
		stream_expect(entry->connection.streams[BATCH_IN],
			      batch->offset);
		stream_expect(entry->connection.streams[BATCH_OUT],
			      batch->missed);
	}
	entry->told_end = true;
	entry->connection.ended = !entry->connection.ignored;
	entry_end(table, entry);
	return &entry->connection;
}

/* Copy and check a record's header; false: malformed. */
static bool record_read(const void *record, size_t size, struct batch *batch)
{
	uint64_t end;

	if (size < sizeof(*batch))
		return false;
	memcpy(batch, record, sizeof(*batch));
	if (batch->version != BATCH_VERSION ||
	    batch->length > size - sizeof(*batch))
		return false;
	switch (batch->kind) {
	case BATCH_DATA:
		if (batch->missed && batch->missed_cause == LOSS_NONE)
			batch->missed_cause = LOSS_BUFFER_FULL;
		return batch->connection && batch->direction <= BATCH_OUT &&
		       batch->missed_cause < LOSS_REASONS &&
		       !__builtin_add_overflow(batch->offset, batch->length,
					       &end) &&
		       !__builtin_add_overflow(end, batch->missed, &end);
	case BATCH_OPEN:
		return batch->connection &&
		       batch->length >= sizeof(struct batch_open);
	case BATCH_CLOSE:
	case BATCH_NOTE:
		return batch->connection;
	case BATCH_IO_URING:
	case BATCH_CLOSING:
	case BATCH_EXEC:
		return true;
	case BATCH_LIBRARY:
		return batch->length >= sizeof(struct batch_library);
	}
	return false;
}

struct connection *connection_table_receive(struct connection_table *table,
					    const void *record, size_t size)
{
	const uint8_t *payload = (const uint8_t *)record + sizeof(struct batch);
	struct batch batch;

	if (!record_read(record, size, &batch)) {
		if (!table->account->records_bad++)
			fprintf(stderr, "datasnoop: take a record of %zu bytes"
				" off the transport: malformed; dropped,"
				" further ones are only counted\n", size);
		return NULL;
	}
	switch (batch.kind) {
	case BATCH_DATA:
		return receive_data(table, &batch, payload);
	case BATCH_OPEN:
		return receive_open(table, &batch, payload);
	case BATCH_CLOSE:
		return receive_close(table, &batch);
	case BATCH_NOTE:
		return connection_table_find(table, batch.connection);
	}
	return NULL;
}

/* Bytes of a dropped connection that may yet come are lost, but only once. */
static void entry_leave_remnant(struct connection_table *table,
				const struct entry *entry)
{
	const struct connection *c = &entry->connection;
	struct remnant *remnant;

	if (entry->told_end)
		return;
	remnant = remnant_new(table, c->id);
	if (!remnant)
		return;
	remnant->told[BATCH_IN] = stream_told(c->streams[BATCH_IN]);
	remnant->told[BATCH_OUT] = stream_told(c->streams[BATCH_OUT]);
}

/* What the end of a pass means to one connection with news. */
static void entry_pass(struct connection_table *table, struct entry *entry,
		       bool final,
		       void (*visit)(void *context, struct connection *c),
		       void *context)
{
	struct connection *c = &entry->connection;
	uint64_t pass = table->pool.pass;

	c->dirty = false;
	c->closed = final ||
		    (entry->ending && entry->end_pass < pass && !c->held);
	stream_settle(c->streams[BATCH_IN], c->closed);
	stream_settle(c->streams[BATCH_OUT], c->closed);
	if (!c->opened && !c->closed && entry->born_pass == pass) {
		entry_queue(table, entry);
		return;
	}
	if (!entry->identified) {
		entry->identified = true;
		process_identify(table->processes, &c->process);
		entry_own(table, entry);
	}
	visit(context, c);
	if (c->closed) {
		entry_leave_remnant(table, entry);
		entry_free(table, entry);
	} else if (c->held || entry->ending ||
		   stream_waits(c->streams[BATCH_IN]) ||
		   stream_waits(c->streams[BATCH_OUT])) {
		entry_queue(table, entry);
	}
}

void connection_table_pass(struct connection_table *table, bool final,
			   void (*visit)(void *context, struct connection *c),
			   void *context)
{
	struct entry *entry, *next;

	if (final)
		for (entry = table->entries; entry; entry = entry->hh.next)
			entry_queue(table, entry);
	entry = table->news;
	table->news = NULL;
	table->news_end = &table->news;
	for (; entry; entry = next) {
		next = entry->next_news;
		entry_pass(table, entry, final, visit, context);
	}
	table->pool.pass++;
}

void connection_table_offline(struct connection_table *table)
{
	table->pool.hole_loss = LOSS_NOT_IN_FILE;
}

struct connection *connection_table_add(struct connection_table *table,
					const struct endpoint *local,
					const struct endpoint *remote,
					const struct process *process,
					const char *tls)
{
	struct entry *entry = NULL;
	struct connection *c;

	if (HASH_COUNT(table->entries) < table->bound)
		entry = entry_new(table, table->last_id + 1,
				  process ? process->pid : 0);
	if (!entry) {
		table->account->connections_refused++;
		return NULL;
	}
	table->last_id++;
	entry->identified = true;
	entry->told_end = true;
	c = &entry->connection;
	c->opened = true;
	c->tls = tls;
	c->local = *local;
	c->remote = *remote;
	if (process)
		c->process = *process;
	return c;
}

void connection_table_news(struct connection_table *table,
			   struct connection *connection)
{
	entry_queue(table, (struct entry *)connection);
}

void connection_table_end(struct connection_table *table,
			  struct connection *connection)
{
	entry_end(table, (struct entry *)connection);
}

struct connection *connection_table_find(struct connection_table *table,
					 uint64_t id)
{
	struct entry *entry = entry_find(table, id);

	return entry ? &entry->connection : NULL;
}

void connection_table_each(struct connection_table *table,
			   void (*visit)(void *context, struct connection *c),
			   void *context)
{
	struct entry *entry;

	for (entry = table->entries; entry; entry = entry->hh.next)
		visit(context, &entry->connection);
}

size_t connection_table_count(const struct connection_table *table)
{
	return HASH_COUNT(table->entries);
}

/* The process has ended: so have its connections. */
static void owner_end(struct connection_table *table, struct owner *owner)
{
	struct entry *entry;

	DL_FOREACH2 (owner->entries, entry, next_owned) {
		if (entry->ending)
			continue;
		entry->connection.ended = true;
		entry_end(table, entry);
	}
}

/* Without offsets, and silent for long: what comes later begins anew. */
static void drop_loose(struct connection_table *table)
{
	struct entry *entry;

	DL_FOREACH2 (table->loose, entry, next_loose) {
		if (entry->ending || ++entry->quiet_looks < LOOSE_LOOKS_MAX)
			continue;
		entry->told_end = true;
		entry->connection.ended = true;
		entry_end(table, entry);
	}
}

/*
 * That its pid is gone is asked of each process; whether it is a zombie's, or
 * another process's by now, of the next LOOKS_MAX in turn.
 */
void connection_table_drop_dead(struct connection_table *table)
{
	size_t count = HASH_COUNT(table->owners), looks = LOOKS_MAX, i;
	struct owner *owner;

	if (looks > count)
		looks = count;
	for (i = 0; i < looks; i++) {
		owner = table->looked;
		DL_DELETE(table->looked, owner);
		DL_APPEND(table->looked, owner);
		if (!process_alive(table->processes, owner->key.pid,
				   owner->key.start_ns))
			owner_end(table, owner);
	}
	for (owner = table->looked; i < count; i++, owner = owner->next)
		if (process_gone(table->processes, owner->key.pid))
			owner_end(table, owner);
	drop_loose(table);
}
