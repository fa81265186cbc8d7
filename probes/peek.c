/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peek.c - the bytes that wait in accumulators, read from user space.
 *
 * A look-up copies a value while the kernel may change it.  Three look-ups
 * prove the second whole: `version`, which the kernel raises before and after
 * each change, is the same and even in all three, so nothing changed between
 * the first's end and the third's begin.
 */
#include "probes/peek.h"

#include <bcc/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "probes/socket_list.h"

#define RETRIES_MAX   3
#define COPIES_BYTES  (4U << 20) /* of copies kept until delivered */
#define SCHEDULED_MAX 65536	 /* more at once wait in the kernel */

struct due {
	struct accumulator_key key;
	uint64_t due_ns;
};

/* To be ended: its key, unless that is another connection's by then. */
struct marked {
	struct accumulator_key key;
	uint64_t connection;
};

struct peek {
	int map;
	size_t value_bytes, payload_bytes;
	uint8_t *values[3];
	/* A ring; due_ns rises, but for retries: they wait behind others. */
	struct due *queue;
	size_t queue_head, queue_count;
	uint8_t *copies; /* size_t size, then the record; repeated */
	size_t copied;
	struct marked *marked;
	size_t marked_count, marked_room;
};

struct peek *peek_new(int map, size_t value_bytes, size_t payload_bytes)
{
	struct peek *peek = calloc(1, sizeof(*peek));
	int i;

	if (!peek)
		return NULL;
	peek->map = map;
	peek->value_bytes = value_bytes;
	peek->payload_bytes = payload_bytes;
	for (i = 0; i < 3; i++)
		peek->values[i] = calloc(1, value_bytes);
	peek->queue = calloc(SCHEDULED_MAX, sizeof(*peek->queue));
	peek->copies = malloc(COPIES_BYTES);
	if (!peek->values[0] || !peek->values[1] || !peek->values[2] ||
	    !peek->queue || !peek->copies) {
		peek_free(peek);
		return NULL;
	}
	return peek;
}

void peek_free(struct peek *peek)
{
	int i;

	if (!peek)
		return;
	for (i = 0; i < 3; i++)
		free(peek->values[i]);
	free(peek->queue);
	free(peek->copies);
	free(peek->marked);
	free(peek);
}

int peek_schedule(struct peek *peek, const struct accumulator_key *key,
		  uint64_t due_ns)
{
	size_t at;

	if (peek->queue_count == SCHEDULED_MAX)
		return -ENOSPC;
	at = (peek->queue_head + peek->queue_count++) % SCHEDULED_MAX;
	peek->queue[at].key = *key;
	peek->queue[at].due_ns = due_ns;
	return 0;
}

uint64_t peek_next(const struct peek *peek)
{
	return peek->queue_count ? peek->queue[peek->queue_head].due_ns :
				   UINT64_MAX;
}

static struct accumulator *value_at(struct peek *peek, int index)
{
	return (struct accumulator *)peek->values[index];
}

/*
 * A whole copy of an accumulator in values[1].  0; -ENOENT: it is gone;
 * -EAGAIN: it is being written to, over and over.
 */
static int copy_whole(struct peek *peek, struct accumulator_key *key)
{
	int retry, i;

	for (retry = 0; retry < RETRIES_MAX; retry++) {
		for (i = 0; i < 3; i++)
			if (bpf_lookup_elem(peek->map, key, peek->values[i]))
				return -ENOENT;
		if (!(value_at(peek, 0)->version & 1) &&
		    value_at(peek, 0)->version == value_at(peek, 1)->version &&
		    value_at(peek, 1)->version == value_at(peek, 2)->version &&
		    value_at(peek, 0)->header.connection ==
			    value_at(peek, 2)->header.connection)
			return 0;
	}
	return -EAGAIN;
}

/* Size of the record that begins at an accumulator's header; 0: nothing. */
static size_t waiting(const struct peek *peek, const struct accumulator *head)
{
	if (!head->header.length || head->header.length > peek->payload_bytes)
		return 0;
	return sizeof(head->header) + head->header.length;
}

void peek_collect(struct peek *peek, uint64_t now_ns)
{
	while (peek->queue_count) {
		struct due *due = &peek->queue[peek->queue_head];
		struct accumulator *head = value_at(peek, 1);
		struct due again = *due;
		size_t size;
		int error;

		if (due->due_ns > now_ns ||
		    peek->copied + sizeof(size) + peek->value_bytes >
			    COPIES_BYTES)
			return;
		peek->queue_head = (peek->queue_head + 1) % SCHEDULED_MAX;
		peek->queue_count--;
		error = copy_whole(peek, &again.key);
		if (error == -EAGAIN) /* busy: its flush is near, but be sure */
			peek_schedule(peek, &again.key,
				      now_ns + (now_ns - again.due_ns) +
					      5000000);
		size = error ? 0 : waiting(peek, head);
		if (!size)
			continue;
		head->header.flags |= BATCH_PEEKED;
		memcpy(peek->copies + peek->copied, &size, sizeof(size));
		peek->copied += sizeof(size);
		memcpy(peek->copies + peek->copied, &head->header, size);
		peek->copied += size;
	}
}

void peek_deliver(struct peek *peek, peek_record record, void *context)
{
	size_t at = 0, size;

	while (at < peek->copied) {
		memcpy(&size, peek->copies + at, sizeof(size));
		at += sizeof(size);
		record(context, peek->copies + at, size);
		at += size;
	}
	peek->copied = 0;
}

/* The records that end the connection whose accumulator is in values[1]. */
static void end(struct peek *peek, peek_record record, void *context)
{
	struct accumulator *head = value_at(peek, 1);
	size_t size = waiting(peek, head);
	struct batch close = head->header;

	head->header.flags |= BATCH_PEEKED;

	if (head->state & ACCUMULATOR_MUTED)
		return;
	if (size)
		record(context, &head->header, size);
	close.kind = BATCH_CLOSE;
	close.length = 0;
	close.offset = head->offsets[BATCH_IN];
	close.missed = head->offsets[BATCH_OUT];
	record(context, &close, sizeof(close));
}

/* Every key of the map in turn; the number. */
static size_t keys_of(struct peek *peek, struct accumulator_key **keys)
{
	size_t count = 0, room = 0;
	struct accumulator_key key, *grown;

	*keys = NULL;
	if (bpf_get_first_key(peek->map, &key, sizeof(key)))
		return 0;
	do {
		if (count == room) {
			room = room ? 2 * room : 256;
			grown = realloc(*keys, room * sizeof(key));
			if (!grown)
				return count;
			*keys = grown;
		}
		(*keys)[count++] = key;
	} while (!bpf_get_next_key(peek->map, &key, &key));
	return count;
}

void peek_all(struct peek *peek, peek_record record, void *context)
{
	struct accumulator_key *keys;
	size_t i, count = keys_of(peek, &keys);

	/*
	 * Nothing writes any more: an odd version is that of two threads which
	 * raised it at once, and no reason to forget the connection.
	 */
	for (i = 0; i < count; i++)
		if (copy_whole(peek, &keys[i]) != -ENOENT)
			end(peek, record, context);
	free(keys);
}

void peek_schedule_all(struct peek *peek, uint64_t due_ns)
{
	struct accumulator_key *keys;
	size_t i, count = keys_of(peek, &keys);

	for (i = 0; i < count; i++)
		if (peek_schedule(peek, &keys[i], due_ns))
			break;
	free(keys);
}

/* Order by process: qsort() comparison. */
static int compare_keys(const void *left, const void *right)
{
	const struct accumulator_key *a = left, *b = right;

	return (a->tgid > b->tgid) - (a->tgid < b->tgid);
}

void peek_mark(struct peek *peek, const struct accumulator_key *key,
	       uint64_t connection)
{
	size_t room = peek->marked_room ? 2 * peek->marked_room : 64;
	struct marked *grown;

	if (peek->marked_count == peek->marked_room) {
		grown = realloc(peek->marked, room * sizeof(*grown));
		if (!grown)
			return;
		peek->marked = grown;
		peek->marked_room = room;
	}
	peek->marked[peek->marked_count].key = *key;
	peek->marked[peek->marked_count++].connection = connection;
}

/* The connection in values[1]. */
static void mark(struct peek *peek, const struct accumulator_key *key)
{
	peek_mark(peek, key, value_at(peek, 1)->header.connection);
}

/* That connection, unless it has ended, and the key is another's. */
static void end_one(struct peek *peek, struct accumulator_key *key,
		    uint64_t connection, peek_record record, void *context)
{
	if (copy_whole(peek, key) == -ENOENT ||
	    value_at(peek, 1)->header.connection != connection)
		return;
	end(peek, record, context);
	bpf_delete_elem(peek->map, key);
}

void peek_end_marked(struct peek *peek, peek_record record, void *context)
{
	size_t i;

	for (i = 0; i < peek->marked_count; i++)
		end_one(peek, &peek->marked[i].key,
			peek->marked[i].connection, record, context);
	peek->marked_count = 0;
}

void peek_reap(struct peek *peek, bool closed)
{
	struct accumulator_key *keys;
	size_t i, count = keys_of(peek, &keys);
	bool gone = false;

	/* Each process is asked after once, however many it has. */
	if (count)
		qsort(keys, count, sizeof(*keys), compare_keys);
	for (i = 0; i < count; i++) {
		if (!i || keys[i].tgid != keys[i - 1].tgid)
			gone = kill(keys[i].tgid, 0) && errno == ESRCH;
		if (!(gone || closed) || copy_whole(peek, &keys[i]))
			continue;
		if (gone || value_at(peek, 1)->state & ACCUMULATOR_CLOSED)
			mark(peek, &keys[i]);
	}
	free(keys);
}

/*
 * The sockets of a process among keys[0 .. count): those that it has closed
 * end.  All are kept where it can't be seen what it has.
 */
static void look_at(struct peek *peek, struct accumulator_key *keys,
		    size_t count)
{
	struct socket_list sockets = {0};
	bool seen = !socket_list_read(&sockets, keys[0].tgid);
	size_t i;

	for (i = 0; seen && i < count; i++)
		if (keys[i].object & OBJECT_SOCKET &&
		    !socket_list_has(&sockets,
				     keys[i].object & ~OBJECT_SOCKET) &&
		    copy_whole(peek, &keys[i]) != -ENOENT)
			mark(peek, &keys[i]);
	socket_list_free(&sockets);
}

void peek_sockets(struct peek *peek, pid_t pid)
{
	struct accumulator_key *keys;
	size_t i, next, count = keys_of(peek, &keys);

	if (count)
		qsort(keys, count, sizeof(*keys), compare_keys);
	for (i = 0; i < count; i = next) {
		for (next = i + 1;
		     next < count && keys[next].tgid == keys[i].tgid; next++)
			;
		if (!pid || keys[i].tgid == (uint64_t)pid)
			look_at(peek, keys + i, next - i);
	}
	free(keys);
}

/* Was the connection in values[1] begun before that?  Its number tells. */
static bool begun_before(struct peek *peek, uint64_t time_ns)
{
	/* The time that it begins with: 7 bytes of it. */
	return value_at(peek, 1)->header.connection >> 8 <
	       (time_ns & ~0ULL >> 8);
}

void peek_exec(struct peek *peek, const struct batch *header)
{
	struct accumulator_key *keys;
	size_t i, count = keys_of(peek, &keys);

	for (i = 0; i < count; i++)
		if (keys[i].tgid == header->tgid &&
		    !(keys[i].object & (OBJECT_SOCKET | OBJECT_STDIO)) &&
		    !copy_whole(peek, &keys[i]) &&
		    begun_before(peek, header->first_ns))
			mark(peek, &keys[i]);
	free(keys);
	peek_sockets(peek, header->tgid);
}
