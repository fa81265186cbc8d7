/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fragment.bpf.h - what a call moved: to its connection's accumulator, or, in
 * pieces and buffer by buffer, past it.
 *
 * What does not fit one program goes on in tail calls (33 at most): the state
 * between them is in a claimed scratch.  A program may tail-call only programs
 * of its own type: uprobes' and raw tracepoints' have an array each.
 */

BPF_PROG_ARRAY(tails, 4);     /* of uprobes, by enum tail */
BPF_PROG_ARRAY(raw_tails, 4); /* of raw tracepoints */

enum tail { TAIL_LARGE, TAIL_VECTOR, TAIL_MOVED, TAIL_SYSTEM_CALL };
enum context { CONTEXT_UPROBE, CONTEXT_RAW };

/* go_on - continue in the other program; returns only when that is refused */
static __always_inline void go_on(void *ctx, enum context context,
				  enum tail tail)
{
	if (context == CONTEXT_RAW)
		raw_tails.call(ctx, tail);
	else
		tails.call(ctx, tail);
}

/* begin_large - a scratch's journey starts with this fragment */
static __always_inline void begin_large(struct large *large,
					struct connection_value *value,
					struct accumulator_key *key,
					struct fragment *f)
{
	large->key = *key;
	large->left = *f;
	large->over = 0;
	large->fragments = 1;
	large->offset = 0;
	large->vector_count = 0;
	large->vector_bytes = 0;
	large->message_count = 0;
	if (value) {
		large->connection = value->head.header.connection;
		large->flags = 0;
	} else {
		large->connection = 1ULL << 63 |
				    (key->tgid << 40 ^ key->object);
		large->flags = BATCH_NO_OFFSET;
	}
}

/* arrive - a scratch's journey ends, where the connection still is the same */
static __always_inline void arrive(struct scratch *scratch,
				   struct connection_value *value)
{
	if (value && value->head.header.connection == scratch->large.connection)
		tally(&value->head.holders, -HOLDERS_JOURNEY);
	unclaim(scratch);
}

/* lose_unsaid - of a connection that is another thread's: an offset tells */
static __always_inline void lose_unsaid(struct counters *count,
					struct connection_value *value,
					struct fragment *f, u32 cause)
{
	tally(&count->lost[cause], f->length);
	tally(&value->head.offsets[f->direction & 1], f->length);
	tally(&value->head.unsent[f->direction & 1], f->length);
}

/* lose_late - what another thread moved while the connection's end was told */
static __always_inline void lose_late(struct counters *count, u64 length)
{
	tally(&count->lost[LOSS_NO_ENTRY], length);
	tally(&count->hidden[LOSS_NO_ENTRY], length);
}

/* lose_whole - a fragment for which there was no scratch */
static __always_inline void lose_whole(struct counters *count,
				       struct connection_value *value,
				       u32 direction, u64 length)
{
	tally(&count->lost[LOSS_OVER_LIMIT], length);
	if (value)
		value->head.unsent[direction & 1] += length;
	else
		tally(&count->hidden[LOSS_OVER_LIMIT], length);
}

/*
 * hand_over - what is too large to append goes out in pieces by send_large
 * @value: that the caller is at, on a journey; NULL: the map is full, and no
 *	offset is known
 */
static __always_inline void hand_over(void *ctx, enum context context,
				      struct counters *count,
				      struct connection_value *value,
				      struct accumulator_key *key,
				      struct fragment *f, u64 owner)
{
	u64 length = f->length, offset = 0;
	struct scratch *scratch = claim();

	if (value) {
		offset = value->head.offsets[f->direction & 1];
		tally(&value->head.offsets[f->direction & 1], length);
		tally(&value->head.version, 1);
	} else {
		tally(&count->direct, 1);
	}
	if (scratch) {
		begin_large(&scratch->large, value, key, f);
		scratch->large.offset = offset;
		if (length > MAX_CAPTURE) {
			scratch->large.over = length - MAX_CAPTURE;
			scratch->large.left.length = MAX_CAPTURE;
		}
		scratch->owner = owner;
		go_on(ctx, context, TAIL_LARGE);
		arrive(scratch, value);
	} else if (value) {
		tally(&value->head.holders, -HOLDERS_JOURNEY);
	}
	lose_whole(count, value, f->direction, length);
}

/* introduce - user space knows whose connection this is before its bytes */
static __always_inline void introduce(void *ctx, struct counters *count,
				      struct connection_value *value,
				      struct accumulator_key *key)
{
	if (!value || value->head.state & ACCUMULATOR_OPENED)
		return;
	tally(&value->head.version, 1);
	announce(ctx, count, &value->head, key->object);
	tally(&value->head.version, 1);
}

/*
 * settle_context - what waits is another thread's or direction's, or does not
 * end where the fragment begins: send it
 */
static __always_inline void settle_context(void *ctx, struct counters *count,
					   struct connection_value *value,
					   struct fragment *f)
{
	struct batch *header = &value->head.header;

	if (header->length && (header->direction != f->direction ||
			       header->tid != f->tid ||
			       header->offset + header->length !=
				       value->head.offsets[f->direction & 1] ||
			       f->length > MAX_ACCUM_COPY_SIZE))
		flush(ctx, count, value);
}

/* deliver - a call has moved bytes of a connection; value NULL: map full */
static __always_inline void deliver(void *ctx, enum context context,
				    struct counters *count,
				    struct connection_value *value,
				    struct accumulator_key *key,
				    struct fragment *f, u64 owner)
{
	int alone;

	tally(&count->fragments, 1);
	tally(&count->bytes_seen, f->length);
	if (!value) {
		hand_over(ctx, context, count, NULL, key, f, owner);
		return;
	}
	tally(&value->head.version, 1);
	alone = hold(value);
	if (value->head.state & ACCUMULATOR_MUTED) {
		lose_late(count, f->length);
		tally(&value->head.version, 1);
		let_go(value);
		return;
	}
	if (alone) {
		settle_context(ctx, count, value, f);
#ifndef NAIVE
		if (f->length <= MAX_ACCUM_COPY_SIZE) {
			append(ctx, count, value, f);
			if (value->head.header.length)
				note(ctx, count, &value->head, key->object,
				     f->last_ns);
			tally(&value->head.version, 1);
			let_go(value);
			return;
		}
#endif
	}
	tally(&value->head.holders, HOLDERS_JOURNEY - 1);
	hand_over(ctx, context, count, value, key, f, owner);
}

/* gap_whole - bytes of which none can be read: an exact gap */
static __always_inline void gap_whole(void *ctx, struct counters *count,
				      struct connection_value *value,
				      struct fragment *f, u32 cause)
{
	struct batch *header;

	tally(&count->fragments, 1);
	tally(&count->bytes_seen, f->length);
	if (!value) {
		tally(&count->lost[cause], f->length);
		tally(&count->hidden[cause], f->length);
		return;
	}
	header = &value->head.header;
	tally(&value->head.version, 1);
	if (hold(value)) {
		if (header->length)
			flush(ctx, count, value);
		snapshot(&value->head, f->direction, f->tid, f->first_ns);
		header->last_ns = f->last_ns;
		lose(ctx, count, value, f->direction, f->length, cause);
	} else {
		lose_unsaid(count, value, f, cause);
	}
	let_go(value);
	tally(&value->head.version, 1);
}

/* send_piece - up to PIECE_SIZE bytes of a large fragment */
static __always_inline void send_piece(void *ctx, struct counters *count,
				       struct large *large,
				       struct scratch *scratch,
				       struct connection_value *value)
{
	struct batch *header = &scratch->header;
	u64 length = large->left.length;
	int failed;

	asm volatile("" : "+r"(length));
	if (length > PIECE_SIZE)
		length = PIECE_SIZE;
	header->length = length;
	header->offset = large->offset;
	header->fragments = large->fragments;
	header->missed = 0;
	header->missed_cause = LOSS_NONE;
	large->left.length -= length;
	large->offset += length;
	large->fragments = 0;
	if (bpf_probe_read_user(scratch->payload, length,
				(void *)large->left.from)) {
		header->length = 0;
		header->missed = length;
		header->missed_cause = LOSS_UNREADABLE;
		tally(&count->lost[LOSS_UNREADABLE], length);
		failed = send_record(ctx, count, header, HEADER_BYTES);
		if (failed && value)
			value->head.unsent[large->left.direction & 1] += length;
		else if (failed)
			tally(&count->hidden[LOSS_UNREADABLE], length);
		large->left.from += length;
		return;
	}
	large->left.from += length;
#ifdef NAIVE
	failed = send_record(ctx, count, header, HEADER_BYTES + PIECE_SIZE);
#else
	failed = send_record(ctx, count, header, HEADER_BYTES + length);
#endif
	if (value) {
		account_batch(&value->head, count, failed,
			      large->left.direction, length);
	} else if (failed) {
		tally(&count->lost[LOSS_MAP_FULL], length);
		tally(&count->hidden[LOSS_MAP_FULL], length);
	} else {
		tally(&count->batches, 1);
	}
}

/* send_over - the bytes of a call that --max-capture leaves out, as a gap */
static __always_inline void send_over(void *ctx, struct counters *count,
				      struct large *large,
				      struct scratch *scratch,
				      struct connection_value *value)
{
	struct batch *header = &scratch->header;

	header->length = 0;
	header->offset = large->offset;
	header->fragments = 0;
	header->missed = large->over;
	header->missed_cause = LOSS_OVER_LIMIT;
	tally(&count->lost[LOSS_OVER_LIMIT], large->over);
	if (!send_record(ctx, count, header, HEADER_BYTES)) {
		if (value)
			value->head.unsent[large->left.direction & 1] = 0;
	} else if (value) {
		value->head.unsent[large->left.direction & 1] += large->over;
	} else {
		tally(&count->hidden[LOSS_OVER_LIMIT], large->over);
	}
}

/* lose_vectors - the buffers of a call that no tail call is left for */
static __always_inline void lose_vectors(void *ctx, struct counters *count,
					 struct scratch *scratch,
					 struct connection_value *value)
{
	struct large *large = &scratch->large;

	large->over = large->vector_bytes;
	large->vector_bytes = 0;
	if (value) {
		tally(&value->head.version, 1);
		large->offset =
			value->head.offsets[large->left.direction & 1];
		tally(&value->head.offsets[large->left.direction & 1],
		      large->over);
		tally(&value->head.version, 1);
	}
	send_over(ctx, count, large, scratch, value);
	large->over = 0;
}

/* begin_piece - the header of a scratch's records, after a tail call */
static __always_inline void begin_piece(struct scratch *scratch, u64 id)
{
	struct large *large = &scratch->large;

	scratch->header.version = BATCH_VERSION;
	scratch->header.kind = BATCH_DATA;
	scratch->header.direction = large->left.direction;
	scratch->header.flags = large->flags;
	scratch->header.connection = large->connection;
	scratch->header.tgid = id >> 32;
	scratch->header.tid = id;
	scratch->header.first_ns = large->left.first_ns;
	scratch->header.last_ns = large->left.last_ns;
}

/* send_more - LARGE_PIECES pieces of one buffer, then again */
static __always_inline int send_more(void *ctx, enum context context)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 zero = 0;
	struct counters *count = counts.lookup(&zero);
	struct scratch *scratch = claimed(id);
	struct accumulator_key key = {};
	struct connection_value *value;
	struct large *large;

	if (!scratch || !count)
		return 0;
	large = &scratch->large;
	key = large->key;
	value = connections.lookup(&key);
	begin_piece(scratch, id);
#pragma unroll
	for (int i = 0; i < LARGE_PIECES; i++) {
		if (large->left.length)
			send_piece(ctx, count, large, scratch, value);
	}
	if (large->left.length) {
		go_on(ctx, context, TAIL_LARGE);
		large->over += large->left.length;
		large->left.length = 0;
	}
	if (large->over) {
		send_over(ctx, count, large, scratch, value);
		large->over = 0;
	}
	arrive(scratch, value);
	return 0;
}
