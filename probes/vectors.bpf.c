/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vectors.bpf.c - BPF functions for system calls with several buffers.
 *
 * Tail-called, some buffers at a time: the state between two of them is in a
 * scratch (struct large).  What is large in itself goes on in send_large_raw.
 */

/* begin_vectors - a call with several buffers: send_vector takes them on */
static __always_inline void begin_vectors(void *ctx, struct counters *count,
					  struct connection_value *value,
					  struct accumulator_key *key,
					  struct fragment *f,
					  struct registers *r, enum shape shape,
					  u64 owner)
{
	struct scratch *scratch = claim();
	struct large *large;
	struct message message = {};

	tally(&count->bytes_seen, f->length);
	if (value)
		tally(&value->head.holders, HOLDERS_JOURNEY);
	if (!scratch)
		goto lost;
	large = &scratch->large;
	begin_large(large, value, key, f);
	large->left.length = 0;
	large->vector_bytes = f->length;
	large->vectors = r->second;
	large->vector_count = r->third;
	if (shape == SHAPE_MESSAGE) {
		bpf_probe_read_user(&message, sizeof(message),
				    (void *)r->second);
		large->vectors = message.vectors;
		large->vector_count = message.vector_count;
	} else if (shape == SHAPE_MESSAGES) {
		/* f->length is the number of messages so far. */
		tally(&count->bytes_seen, -f->length);
		large->messages = r->second;
		large->message_count = f->length;
		large->vector_bytes = 0;
		large->vector_count = 0;
	}
	scratch->owner = owner;
	raw_tails.call(ctx, TAIL_VECTOR);
	unclaim(scratch);
lost:
	if (value && shape != SHAPE_MESSAGES) {
		tally(&value->head.version, 1);
		tally(&value->head.offsets[f->direction & 1], f->length);
		tally(&value->head.version, 1);
	}
	if (value)
		tally(&value->head.holders, -HOLDERS_JOURNEY);
	if (shape == SHAPE_MESSAGES)
		tally(&count->unknown, 1);
	else
		lose_whole(count, value, f->direction, f->length);
}

/* next_message - of recvmmsg, sendmmsg: its buffers become the vectors */
static __always_inline void next_message(struct counters *count,
					 struct large *large)
{
	struct message_vector next = {};

	bpf_probe_read_user(&next, sizeof(next), (void *)large->messages);
	large->messages += sizeof(next);
	large->message_count--;
	large->vectors = next.message.vectors;
	large->vector_count = next.message.vector_count;
	large->vector_bytes = next.length;
	tally(&count->bytes_seen, next.length);
}

/* next_vector - its bytes become those that are left to send */
static __always_inline void next_vector(struct large *large)
{
	struct vector vector = {};

	if (!large->vector_count) {
		/* Moved, but where is not known: an unreadable fragment. */
		large->left.from = 0;
		large->left.length = large->vector_bytes;
		large->vector_bytes = 0;
		return;
	}
	bpf_probe_read_user(&vector, sizeof(vector), (void *)large->vectors);
	large->vectors += sizeof(vector);
	large->vector_count--;
	if (vector.length > large->vector_bytes)
		vector.length = large->vector_bytes;
	large->vector_bytes -= vector.length;
	large->left.from = vector.from;
	large->left.length = vector.length;
}

/* take_vector - the buffer at hand; not 0: it is large, send_large's */
static __always_inline int take_vector(void *ctx, struct counters *count,
				       struct large *large,
				       struct connection_value *value)
{
	struct fragment *f = &large->left;

	if (!f->length)
		return 0;
	tally(&count->fragments, 1);
	large->fragments = 1;
	tally(&value->head.version, 1);
	if (hold(value)) {
		settle_context(ctx, count, value, f);
#ifndef NAIVE
		if (f->length <= MAX_ACCUM_COPY_SIZE) {
			append(ctx, count, value, f);
			f->length = 0;
			tally(&value->head.version, 1);
			let_go(value);
			return 0;
		}
#endif
	}
	let_go(value);
	large->offset = value->head.offsets[f->direction & 1];
	tally(&value->head.offsets[f->direction & 1], f->length);
	tally(&value->head.version, 1);
	if (f->length > MAX_CAPTURE) {
		large->over = f->length - MAX_CAPTURE;
		f->length = MAX_CAPTURE;
	}
	return 1;
}

/* find_vector - the next buffer is at hand; 0: there is none */
static __always_inline int find_vector(struct counters *count,
				       struct large *large)
{
	if (!large->vector_bytes && large->message_count)
		next_message(count, large);
	if (!large->vector_bytes)
		return 0;
	next_vector(large);
	return 1;
}

/* take_stateless - the map is full: a buffer is send_large's, of any size */
static __always_inline int take_stateless(struct counters *count,
					  struct large *large)
{
	if (!find_vector(count, large) || !large->left.length)
		return 0;
	tally(&count->fragments, 1);
	tally(&count->direct, 1);
	large->fragments = 1;
	return 1;
}

/* give_up - no tail call is left: the rest of the call is a gap */
static __always_inline void give_up(void *ctx, struct counters *count,
				    struct scratch *scratch,
				    struct connection_value *value)
{
	struct large *large = &scratch->large;

	large->over += large->left.length;
	large->left.length = 0;
	if (large->over)
		send_over(ctx, count, large, scratch, value);
	large->over = 0;
	if (large->vector_bytes)
		lose_vectors(ctx, count, scratch, value);
	if (large->message_count)
		tally(&count->unknown, 1);
}

/* Tail-called: VECTORS buffers of a call, then again. */
int send_vector(struct bpf_raw_tracepoint_args *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 zero = 0;
	struct counters *count = counts.lookup(&zero);
	struct scratch *scratch = claimed(id);
	struct accumulator_key key = {};
	struct connection_value *value;
	struct large *large;
	int big = 0;

	if (!scratch || !count)
		return 0;
	large = &scratch->large;
	key = large->key;
	value = connections.lookup(&key);
	if (!value) {
		big = take_stateless(count, large);
	} else {
#pragma unroll
		for (int i = 0; i < VECTORS; i++) {
			if (!big && find_vector(count, large))
				big = take_vector(ctx, count, large, value);
		}
	}
	begin_piece(scratch, id);
	if (big)
		raw_tails.call(ctx, TAIL_LARGE);
	else if (large->vector_bytes || large->message_count)
		raw_tails.call(ctx, TAIL_VECTOR);
	give_up(ctx, count, scratch, value);
#ifndef NAIVE
	if (value && value->head.header.length) {
		tally(&value->head.version, 1);
		note(ctx, count, &value->head, key.object,
		     large->left.last_ns);
		tally(&value->head.version, 1);
	}
#endif
	arrive(scratch, value);
	return 0;
}

/*
 * next_large - behind a large buffer, the next one goes past the accumulator
 * too, of whatever size: there are but 33 tail calls for all of a call's.
 */
static __always_inline void next_large(struct counters *count,
				       struct large *large,
				       struct connection_value *value)
{
	struct fragment *f = &large->left;

	if (!find_vector(count, large) || !f->length)
		return;
	tally(&count->fragments, 1);
	large->fragments = 1;
	if (value) {
		tally(&value->head.version, 1);
		large->offset = value->head.offsets[f->direction & 1];
		tally(&value->head.offsets[f->direction & 1], f->length);
		tally(&value->head.version, 1);
	} else {
		tally(&count->direct, 1);
	}
	if (f->length > MAX_CAPTURE) {
		large->over = f->length - MAX_CAPTURE;
		f->length = MAX_CAPTURE;
	}
}

/* Tail-called: LARGE_PIECES pieces of a system call's buffers, then again. */
int send_large_raw(struct bpf_raw_tracepoint_args *ctx)
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
		if (!large->left.length && !large->over)
			next_large(count, large, value);
		if (large->left.length)
			send_piece(ctx, count, large, scratch, value);
	}
	if (!large->left.length && large->over) {
		send_over(ctx, count, large, scratch, value);
		large->over = 0;
	}
	if (large->left.length)
		raw_tails.call(ctx, TAIL_LARGE);
	else if (large->vector_bytes || large->message_count)
		raw_tails.call(ctx, TAIL_VECTOR);
	give_up(ctx, count, scratch, value);
	arrive(scratch, value);
	return 0;
}
