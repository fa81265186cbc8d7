/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * demand.c - need system calls be watched?  While a plain connection lives
 * that somebody cares for.
 */
#include "probes/demand.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define SETTLED_NS 15000000ULL	/* its first bytes have been read by then */
#define BEGUN_MAX  64		/* that are younger, not to be watched */
#define MOMENTS_NS 100000000ULL /* until an ignored one is ended from here */

struct demanded {
	uint64_t id; /* the connection's */
	struct accumulator_key key;
	uint64_t ignored_ns;
	UT_hash_handle hh;
};

struct demand {
	struct demanded *wanted, *ignored; /* uthash by id, oldest first */
};

struct demand *demand_new(void)
{
	return calloc(1, sizeof(struct demand));
}

static void drop(struct demanded **from, struct demanded *one)
{
	HASH_DEL(*from, one);
	free(one);
}

void demand_free(struct demand *demand)
{
	if (!demand)
		return;
	while (demand->wanted)
		drop(&demand->wanted, demand->wanted);
	while (demand->ignored)
		drop(&demand->ignored, demand->ignored);
	free(demand);
}

/* Short of memory the connection is as one that nobody cares for. */
static void begin(struct demand *demand, const struct batch *header,
		  const struct batch_open *open)
{
	struct demanded *one;

	if (!(open->object & OBJECT_SOCKET))
		return;
	HASH_FIND(hh, demand->wanted, &header->connection,
		  sizeof(header->connection), one);
	if (one)
		return;
	one = calloc(1, sizeof(*one));
	if (!one)
		return;
	one->id = header->connection;
	one->key.object = open->object;
	one->key.tgid = header->tgid;
	HASH_ADD(hh, demand->wanted, id, sizeof(one->id), one);
}

static void end(struct demanded **from, uint64_t id)
{
	struct demanded *one;

	HASH_FIND(hh, *from, &id, sizeof(id), one);
	if (one)
		drop(from, one);
}

void demand_record(struct demand *demand, const void *record, size_t size)
{
	struct batch header;
	struct batch_open open;

	memcpy(&header, record, sizeof(header));
	if (header.kind == BATCH_OPEN &&
	    size >= sizeof(header) + sizeof(open)) {
		memcpy(&open, (const char *)record + sizeof(header),
		       sizeof(open));
		begin(demand, &header, &open);
	} else if (header.kind == BATCH_CLOSE) {
		end(&demand->wanted, header.connection);
		end(&demand->ignored, header.connection);
	}
}

void demand_ignored(struct demand *demand, uint64_t connection,
		    uint64_t now_ns)
{
	struct demanded *one;

	HASH_FIND(hh, demand->wanted, &connection, sizeof(connection), one);
	if (!one)
		return;
	HASH_DEL(demand->wanted, one);
	one->ignored_ns = now_ns;
	HASH_ADD(hh, demand->ignored, id, sizeof(one->id), one);
}

bool demand_is_there(const struct demand *demand, uint64_t now_ns)
{
	const struct demanded *oldest = demand->wanted;

	/* An id begins with the time, 7 bytes of it. */
	return oldest &&
	       (HASH_COUNT(demand->wanted) > BEGUN_MAX ||
		(oldest->id >> 8) + SETTLED_NS < (now_ns & ~0ULL >> 8));
}

bool demand_take_ignored(struct demand *demand, uint64_t now_ns,
			 struct accumulator_key *key, uint64_t *connection)
{
	struct demanded *oldest = demand->ignored;

	if (!oldest || oldest->ignored_ns + MOMENTS_NS > now_ns)
		return false;
	*key = oldest->key;
	*connection = oldest->id;
	drop(&demand->ignored, oldest);
	return true;
}
