/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * accumulator.bpf.h - a fragment in, dense batches out: the heart.
 *
 * Sizes come as -D from the command line: MAX_FLUSH_SIZE (a batch is sent
 * when it holds so much), BUFFER_SIZE (allocated: at least twice that, for
 * the verifier, which adds the worst offset to the worst length; the spare
 * half is never filled), MAX_ACCUM_COPY_SIZE (the most that is appended),
 * PIECE_SIZE (a larger fragment is sent in pieces of this), MAX_CAPTURE (the
 * most of one call), NOTE_NS, WAKE_BYTES, MAX_CONNECTIONS, RING_PAGES.
 *
 * Every byte that a probed call moved raises the connection's offset, whether
 * it could be taken or not: an offset that jumps is an exact gap.  Atomically:
 * several threads may move bytes of one socket the same way, and the last
 * offset must be the sum.
 *
 * Written for the verifier of 4.18: no loop, no call that is not inlined,
 * lengths in u64 behind an empty asm, values that must survive a branch kept
 * in maps rather than registers.  Loaded on 6.18.
 */

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#ifdef OLD_READS /* before 5.5 one helper reads both */
#define bpf_probe_read_user bpf_probe_read
#define bpf_probe_read_kernel bpf_probe_read
#define bpf_probe_read_kernel_str bpf_probe_read_str
#else
/*
 * By another name: at each call by its own, libbcc looks the helper up in a
 * table of all the kernel's symbols, and builds that anew each time.
 */
static int (*read_user)(void *to, u32 size, const void *from) =
	(void *)BPF_FUNC_probe_read_user;
#define bpf_probe_read_user read_user
#endif

#ifdef TRANSPORT_PERF_BUFFER
BPF_PERF_OUTPUT(events);
#else
BPF_RINGBUF_OUTPUT(events, RING_PAGES);
#endif

/* What one probed call moved, or what is left of it. */
struct fragment {
	u64 from;     /* user address */
	u64 length;   /* bytes */
	u64 first_ns; /* a write's entry, a read's return */
	u64 last_ns;
	u32 tid;
	u32 direction;
};

struct connection_value {
	struct accumulator head;
	u8 payload[BUFFER_SIZE];
};

/* A fragment on its way out in pieces, between tail calls. */
struct large {
	struct accumulator_key key;
	struct fragment left;
	u64 connection;
	u64 offset;
	u64 over; /* bytes beyond MAX_CAPTURE */
	u32 fragments;
	u32 flags; /* enum batch_flag */
	/* of a call with several buffers: what follows this one */
	u64 vectors;	  /* address of the next struct vector */
	u64 vector_count;
	u64 vector_bytes; /* that the call moved in them */
	u64 messages;	  /* address of the next struct message_vector */
	u64 message_count;
};

/*
 * Where pieces are put together.  Since 6.0 a uprobe's program can be
 * preempted by another on its CPU: a scratch must be claimed.
 */
struct scratch {
	u64 claims;
	u64 owner; /* thread and process, between tail calls; 0: none */
	struct large large;
	struct batch header;
	u8 payload[PIECE_SIZE];
};

BPF_TABLE("hash", struct accumulator_key, struct connection_value,
	  connections, MAX_CONNECTIONS);
BPF_ARRAY(blank, struct connection_value, 1); /* zeroes: never written */
BPF_PERCPU_ARRAY(scratches, struct scratch, SCRATCHES);
BPF_PERCPU_ARRAY(counts, struct counters, 1);

#define HEADER_BYTES sizeof(struct batch)

/* tally - raise a counter; a program that preempts this one may raise it too */
static __always_inline void tally(u64 *counter, u64 amount)
{
	__sync_fetch_and_add(counter, amount);
}

/*
 * hold - is no other program at this accumulator?  let_go() follows either way
 *
 * Two threads may move bytes of one socket at once, one each way.  The second
 * leaves the accumulator alone: its bytes go past it, and have their offset.
 */
static __always_inline int hold(struct connection_value *value)
{
	tally(&value->head.holders, 1);
	return (u32)*(volatile u64 *)&value->head.holders == 1;
}

static __always_inline void let_go(struct connection_value *value)
{
	tally(&value->head.holders, -1);
}

/* hold_all - as hold(); and do no bytes of it go out in pieces? */
static __always_inline int hold_all(struct connection_value *value)
{
	tally(&value->head.holders, 1);
	return *(volatile u64 *)&value->head.holders == 1;
}

/* rouse - the next record wakes user space, which waits for it */
static __always_inline void rouse(struct counters *count)
{
	count->unwoken = WAKE_BYTES;
}

/*
 * send_record - hand a record to user space.  0, or not 0: there was no room.
 *
 * User space looks by the clock; it is woken when the ring fills and for what
 * is new, since a wake-up for each batch costs the traced program a third of
 * its speed.
 */
static __always_inline int send_record(void *ctx, struct counters *count,
				       void *record, u64 size)
{
	int failed;
#ifdef TRANSPORT_PERF_BUFFER
	failed = events.perf_submit(ctx, record, size);
#elif defined(NAIVE)
	failed = events.ringbuf_output(record, size, 0);
#else
	u64 flags = BPF_RB_NO_WAKEUP;

	count->unwoken += size;
	if (count->unwoken >= WAKE_BYTES) {
		flags = BPF_RB_FORCE_WAKEUP;
		count->unwoken = 0;
	}
	failed = events.ringbuf_output(record, size, flags);
#endif
	if (!failed)
		tally(&count->batch_bytes, size);
	return failed;
}

/*
 * account_batch - what became of a data record of one direction
 *
 * unsent[] is what the next record's offset will tell user space of; should
 * none come, retire() makes it known.
 */
static __always_inline void account_batch(struct accumulator *head,
					  struct counters *count, int failed,
					  u8 direction, u64 length)
{
	u64 *unsent = &head->unsent[direction & 1];

	if (failed) {
		tally(&count->lost[LOSS_BUFFER_FULL], length);
		*unsent += length;
	} else {
		tally(&count->batches, 1);
		*unsent = 0;
	}
}

/* flush - send what waits in an accumulator, and empty it. */
static __always_inline void flush(void *ctx, struct counters *count,
				  struct connection_value *value)
{
	struct batch *header = &value->head.header;
	u64 length = header->length;
	int failed;

	asm volatile("" : "+r"(length));
	if (length > MAX_FLUSH_SIZE)
		length = MAX_FLUSH_SIZE;
	failed = send_record(ctx, count, header, HEADER_BYTES + length);
	account_batch(&value->head, count, failed, header->direction, length);
	header->length = 0;
	header->fragments = 0;
}

/* snapshot - begin a batch: whose bytes, which way, from which offset. */
static __always_inline void snapshot(struct accumulator *head, u8 direction,
				     u32 tid, u64 first_ns)
{
	head->header.direction = direction;
	head->header.tid = tid;
	head->header.offset = head->offsets[direction & 1];
	head->header.first_ns = first_ns;
}

/*
 * lose - bytes that cannot be taken, said at once behind what was taken
 */
static __always_inline void lose(void *ctx, struct counters *count,
				 struct connection_value *value, u8 direction,
				 u64 missed, u8 cause)
{
	struct batch *header = &value->head.header;
	u64 *unsent = &value->head.unsent[direction & 1];

	tally(&count->lost[cause], missed);
	tally(&value->head.offsets[direction & 1], missed);
	header->missed = missed;
	header->missed_cause = cause;
	header->length = 0;
	if (send_record(ctx, count, header, HEADER_BYTES))
		*unsent += missed;
	else
		*unsent = 0;
	header->missed = 0;
	header->missed_cause = LOSS_NONE;
	header->fragments = 0;
}

/*
 * take - copy `length` user bytes behind what waits.  0; not 0: not readable.
 */
static __always_inline int take(struct connection_value *value, u64 length,
				u64 from)
{
	u64 fill = value->head.header.length;

	asm volatile("" : "+r"(fill));
	fill &= MAX_FLUSH_SIZE - 1;
	asm volatile("" : "+r"(length));
	if (length > MAX_ACCUM_COPY_SIZE)
		length = MAX_ACCUM_COPY_SIZE;
	if (bpf_probe_read_user(&value->payload[fill], length, (void *)from))
		return 1;
	value->head.header.length = fill + length;
	tally(&value->head.offsets[value->head.header.direction & 1], length);
	value->head.header.fragments++;
	return 0;
}

#ifndef NAIVE
/* note - tell user space, now and then, that bytes wait here. */
static __always_inline void note(void *ctx, struct counters *count,
				 struct accumulator *head, u64 object, u64 now)
{
	struct batch notice = {};

	if (now - head->noted_ns < NOTE_NS)
		return;
	notice.version = BATCH_VERSION;
	notice.kind = BATCH_NOTE;
	notice.connection = head->header.connection;
	notice.tgid = head->header.tgid;
	notice.offset = object;
	notice.first_ns = now;
	if (send_record(ctx, count, &notice, sizeof(notice)))
		tally(&count->notices_lost, 1);
	else
		head->noted_ns = now;
}

/*
 * append - a fragment that fits: fill, flush at MAX_FLUSH_SIZE, or what is
 * first, keep the rest
 */
static __always_inline void append(void *ctx, struct counters *count,
				   struct connection_value *value,
				   struct fragment *f)
{
	struct batch *header = &value->head.header;
	u64 room, part = f->length;

	if (!header->length)
		snapshot(&value->head, f->direction, f->tid, f->first_ns);
	room = MAX_FLUSH_SIZE - header->length;
	if (part > room)
		part = room;
	if (take(value, part, f->from))
		goto unreadable;
	header->last_ns = f->last_ns;
	if (!header->offset) /* what it is, and whether anybody wants it */
		rouse(count);
	else if (header->length < MAX_FLUSH_SIZE)
		return;
	flush(ctx, count, value);
	f->length -= part;
	f->from += part;
	if (!f->length)
		return;
	snapshot(&value->head, f->direction, f->tid, f->first_ns);
	if (take(value, f->length, f->from))
		goto unreadable;
	header->last_ns = f->last_ns;
	return;
unreadable:
	if (header->length)
		flush(ctx, count, value);
	snapshot(&value->head, f->direction, f->tid, f->first_ns);
	header->last_ns = f->last_ns;
	lose(ctx, count, value, f->direction, f->length, LOSS_UNREADABLE);
}
#endif /* NAIVE */
