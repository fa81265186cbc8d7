/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tls.bpf.c - a call of a TLS library, from its entry to its return.
 *
 * A TLS call is seen at its entry (arguments) and at its return (bytes).
 * Between the two, the arguments wait in the thread's slot of `calls`: kept
 * from one call to the next, so that a call costs look-ups and no update; a
 * slot has two frames, for TLS inside TLS.  A frame is told by its stack
 * pointer: one that the stack has grown back over is stale.  The system call
 * nested in a TLS call gives the socket.
 *
 * Loaded on 6.1, 6.12 and 6.18; the perf-buffer variant is held to what 4.18
 * accepts by tests/unit/test_program.c.
 */

struct frame {
	u64 sp; /* at the function's entry; 0: no call */
	u64 object;
	u64 from;
	u64 moved_at; /* address of the byte count; 0: the return value is it */
	u64 entry_ns;
	u32 direction; /* enum batch_direction, or FRAME_UNCORK */
	u32 tls;       /* enum batch_tls */
};

#define FRAME_UNCORK 2

/* What a call has moved, on its way from its return to send_moved. */
struct returned {
	u64 object;
	u64 from;
	u64 length;
	u64 first_ns;
	u64 last_ns;
	u32 direction;
	u16 tls;
	u16 in_kernel; /* the bytes never were in the process's memory */
};

struct call {
	struct frame frames[2];
	struct returned returned;
	s32 fd; /* of the last system call in this TLS call; -1: none */
	s32 near_fd; /* of the thread's last TLS record elsewhere; -1: none */
	u64 left;    /* stack pointer at the last return, until an entry */
};

BPF_TABLE("lru_hash", u64, struct call, calls, MAX_THREADS);
BPF_ARRAY(blank_call, struct call, 1); /* zeroes: never written */

/*
 * connection_of - the accumulator of a call's TLS object; NULL: the map is full
 * @fd: of its socket; -1: not known
 * @state: ACCUMULATOR_INFERRED when that is a guess
 *
 * A TLS object that is on another socket now is another connection, and so is
 * one at the same address in the program that the process runs now.
 */
static __always_inline struct connection_value *
connection_of(void *ctx, struct counters *count, struct accumulator_key *key,
	      s32 fd, u32 state, u8 tls)
{
	struct connection_value *value = connections.lookup(key);
	int over = value && value->head.exec_id != exec_id();
	u64 socket = 0;

	if (value && !over && !(value->head.state & ACCUMULATOR_CLOSED) &&
	    (fd < 0 || fd == value->head.fd))
		return value;
	if (fd >= 0)
		socket = socket_inode(fd);
	if (!socket)
		fd = -1;
	if (value && socket && value->head.socket &&
	    value->head.socket != socket)
		over = 1;
	if (value && (value->head.state & ACCUMULATOR_CLOSED ||
		      (over && value->head.state & ACCUMULATOR_MUTED))) {
		forget(count, value, key);
	} else if (over) {
		retire(ctx, count, value, key, 1);
	} else if (value) {
		if (socket) {
			value->head.fd = fd;
			value->head.socket = socket;
			value->head.state &= ~(ACCUMULATOR_OPENED |
					       ACCUMULATOR_INFERRED);
			value->head.state |= state;
		}
		return value;
	}
	value = establish(key, fd, socket, tls);
	if (value)
		value->head.state |= state;
	return value;
}

/*
 * socket_of - the socket of a TLS call; -1: none is known
 *
 * The system call nested in it tells for sure.  An application that moves the
 * records itself, through a memory BIO, has none: it reads a record off a
 * socket and then decrypts it, so a reading call's socket is the one that the
 * thread last moved a TLS record on.  That is a guess, and is told as one.
 */
static __always_inline s32 socket_of(struct call *call,
				     struct accumulator_key *key,
				     u32 direction, u32 *state)
{
	struct connection_value *value;
	s32 fd = call->fd;

	if (fd >= 0 || direction != BATCH_IN || call->near_fd < 0)
		return fd;
	value = connections.lookup(key);
	if (!value || value->head.fd < 0) {
		fd = call->near_fd;
		*state = ACCUMULATOR_INFERRED;
	}
	call->near_fd = -1;
	return fd;
}

/*
 * admit - do the bytes of a TLS call go to user space?  It knows whose they
 * are then, as far as a scratch was at hand.
 */
static __always_inline int admit(void *ctx, struct counters *count,
				 struct connection_value *value,
				 struct accumulator_key *key)
{
	u64 *asked, connection;

	if (value ? value->head.state & ACCUMULATOR_MUTED : !wanted(key->tgid))
		return 0;
	asked = ignored.lookup(key);
	if (asked) {
		connection = *asked;
		ignored.delete(key);
		if (value && value->head.header.connection == connection &&
		    !hush(ctx, count, value))
			return 0;
	}
	introduce(ctx, count, value, key);
	return 1;
}

/*
 * Tail-called: a TLS call has moved bytes, which go to the connection of its
 * object.  All returns share it: inlined in each, it would be most of what is
 * compiled when the tracer starts.
 */
int send_moved(struct pt_regs *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 zero = 0, state = 0;
	struct counters *count = counts.lookup(&zero);
	struct call *call = calls.lookup(&id);
	struct accumulator_key key = {};
	struct connection_value *value;
	struct fragment f = {};
	s32 fd;

	if (!count)
		return 0;
	if (!call) { /* another thread's call has just taken its place */
		tally(&count->unknown, 1);
		return 0;
	}
	key.object = call->returned.object;
	key.tgid = id >> 32;
	f.from = call->returned.from;
	f.length = call->returned.length;
	f.first_ns = call->returned.first_ns;
	f.last_ns = call->returned.last_ns;
	f.direction = call->returned.direction;
	f.tid = id;
	fd = socket_of(call, &key, f.direction, &state);
	value = connection_of(ctx, count, &key, fd, state, call->returned.tls);
	if (!admit(ctx, count, value, &key))
		return 0;
	if (!call->returned.in_kernel)
		deliver(ctx, CONTEXT_UPROBE, count, value, &key, &f, id);
	else if (value)
		gap_whole(ctx, count, value, &f, LOSS_ZERO_COPY);
	return 0;
}

/* Tail-called: a large fragment of a TLS call. */
int send_large(struct pt_regs *ctx)
{
	return send_more(ctx, CONTEXT_UPROBE);
}

/* enter_at - a TLS call begins: keep its arguments until it returns */
static __always_inline int enter_at(struct pt_regs *ctx, u32 direction,
				    u64 from, u64 moved_at, u32 tls)
{
	u64 id = bpf_get_current_pid_tgid();
	u64 sp = PT_REGS_SP(ctx);
	u32 zero = 0;
	struct call *call;
	struct frame *frame;

	if (id >> 32 == OWN_TGID)
		return 0;
	call = calls.lookup(&id);
	if (!call) {
		call = blank_call.lookup(&zero);
		if (!call)
			return 0;
		calls.update(&id, call);
		call = calls.lookup(&id);
		if (!call)
			return 0;
		call->near_fd = -1;
		begins_tls(id >> 32);
	}
	frame = &call->frames[0];
	if (frame->sp > sp)
		frame = &call->frames[1];
	else
		call->fd = -1;
	frame->sp = sp;
	frame->object = PT_REGS_PARM1(ctx);
	frame->from = from;
	frame->moved_at = moved_at;
	frame->direction = direction;
	frame->tls = tls;
	call->left = 0;
	if (direction == BATCH_OUT)
		frame->entry_ns = bpf_ktime_get_ns();
	return 0;
}

/* enter - the same of a function whose second argument is the buffer */
static __always_inline int enter(struct pt_regs *ctx, u32 direction,
				 u64 moved_at, u32 tls)
{
	return enter_at(ctx, direction, PT_REGS_PARM2(ctx), moved_at, tls);
}

/* What the value that a TLS function returns says. */
enum result {
	RESULT_COUNT,	 /* the bytes moved, or at most 0 */
	RESULT_EXTENDED, /* 1: it moved what *moved_at says */
	RESULT_LAYER,	 /* bytes; but no call of TLS unless its entry said so */
	RESULT_PACKET,	 /* bytes, in a packet of the library's own */
	RESULT_KERNEL	 /* bytes that the process has never had */
};

/* The beginning of GnuTLS's packet: a buffer in one of its lists. */
struct packet {
	u64 next;
	u64 previous;
	u64 mark; /* bytes of data that are not the application's */
	u64 data;
	u32 size;
	u32 padding;
};

/*
 * packet_bytes - where the bytes of a packet are; 0: it is not as expected
 *
 * Its layout is GnuTLS's own matter; this one is 3.7's.  Where the size does
 * not agree with what the function returned, it is another.
 */
static __always_inline u64 packet_bytes(u64 pointer, u64 length)
{
	struct packet packet = {};
	u64 at = 0;

	bpf_probe_read_user(&at, sizeof(at), (void *)pointer);
	if (bpf_probe_read_user(&packet, sizeof(packet), (void *)at) ||
	    packet.size - packet.mark != length)
		return 0;
	return packet.data + packet.mark;
}

/* moved - the bytes that a call moved; 0: none, or not known (counted) */
static __always_inline u64 moved(struct counters *count, u64 moved_at,
				 int result)
{
	u64 bytes = 0;

	if (result <= 0)
		return 0;
	if (!moved_at)
		return (u32)result;
	if (bpf_probe_read_user(&bytes, sizeof(bytes), (void *)moved_at) ||
	    bytes >> 40) {
		tally(&count->unknown, 1);
		return 0;
	}
	return bytes;
}

/*
 * close_frame - the frame of the call that returns at `sp`; NULL: none
 *
 * A wrapper of the same call must not count it again: its frame loses the
 * object.  So must not what is given to a corked object when it is uncorked.
 */
static __always_inline struct frame *close_frame(struct call *call, u64 sp)
{
	struct frame *frame = &call->frames[0], *outer = frame;

	/* The return popped the return address: sp is 8 above the entry's. */
	if (sp - frame->sp > 8) {
		frame = &call->frames[1];
		if (sp - frame->sp > 8)
			return NULL;
		if (outer->object == frame->object) {
			if (outer->direction == FRAME_UNCORK)
				frame->object = 0;
			else if (outer->direction == frame->direction)
				outer->object = 0;
		}
	}
	frame->sp = 0;
	call->left = sp;
	return frame;
}

/* leave_unseen - a call returns whose entry was not seen, or is forgotten */
static __always_inline void leave_unseen(struct counters *count, int result,
					 enum result kind)
{
	if (result <= 0 || kind == RESULT_LAYER)
		return;
	/* How much it moved is known where the result says it. */
	if (kind == RESULT_EXTENDED) {
		tally(&count->unknown, 1);
		return;
	}
	tally(&count->fragments, 1);
	tally(&count->bytes_seen, (u32)result);
	tally(&count->lost[LOSS_NO_ENTRY], (u32)result);
	tally(&count->hidden[LOSS_NO_ENTRY], (u32)result);
}

/* keep - what a call has moved, for send_moved */
static __always_inline void keep(struct returned *returned,
				 struct frame *frame, u64 length,
				 enum result kind)
{
	returned->object = frame->object;
	returned->from = kind == RESULT_PACKET ?
				 packet_bytes(frame->from, length) :
				 frame->from;
	returned->length = length;
	returned->direction = frame->direction;
	returned->last_ns = bpf_ktime_get_ns();
	returned->first_ns = frame->direction == BATCH_OUT ?
				     frame->entry_ns :
				     returned->last_ns;
	returned->tls = frame->tls;
	returned->in_kernel = kind == RESULT_KERNEL;
}

/* leave - a TLS call returns: what it moved is captured, by send_moved */
static __always_inline int leave(struct pt_regs *ctx, enum result kind)
{
	u64 id = bpf_get_current_pid_tgid();
	u64 sp = PT_REGS_SP(ctx), length;
	u32 zero = 0;
	int result = PT_REGS_RC(ctx);
	struct call *call = calls.lookup(&id);
	struct counters *count = counts.lookup(&zero);
	struct frame *frame = NULL;

	if (!count || id >> 32 == OWN_TGID)
		return 0;
	if (call) {
		/* One that jumped to the call that has just returned here. */
		if (call->left == sp)
			return 0;
		frame = close_frame(call, sp);
	}
	if (!frame) {
		leave_unseen(count, result, kind);
		return 0;
	}
	if (!frame->object)
		return 0;
	length = moved(count, frame->moved_at, result);
	if (!length)
		return 0;
	keep(&call->returned, frame, length, kind);
	tails.call(ctx, TAIL_MOVED);
	tally(&count->unknown, 1);
	return 0;
}

/* end_object - a TLS object's connection is over */
static __always_inline int end_object(struct pt_regs *ctx, u64 object)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 zero = 0;
	struct counters *count = counts.lookup(&zero);
	struct accumulator_key key = {};
	struct connection_value *value;

	key.object = object;
	key.tgid = id >> 32;
	value = connections.lookup(&key);
	if (!value || !count)
		return 0;
	if (value->head.state & ACCUMULATOR_MUTED)
		connections.delete(&key);
	else if (!(value->head.state & ACCUMULATOR_CLOSED))
		retire(ctx, count, value, &key, 0);
	return 0;
}

/* SSL_free, SSL_clear: the object's connection is over. */
int on_end(struct pt_regs *ctx)
{
	return end_object(ctx, PT_REGS_PARM1(ctx));
}

/*
 * SSL_shutdown: nothing is written any more, but may still be read; what
 * comes after it on another socket is another connection.
 */
int on_shutdown(struct pt_regs *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 zero = 0;
	struct counters *count = counts.lookup(&zero);
	struct accumulator_key key = {};
	struct connection_value *value;

	key.object = PT_REGS_PARM1(ctx);
	key.tgid = id >> 32;
	value = connections.lookup(&key);
	if (!value || !count || value->head.state & ACCUMULATOR_MUTED)
		return 0;
	value->head.version++;
	if (value->head.header.length)
		flush(ctx, count, value);
	value->head.fd = -1;
	value->head.version++;
	return 0;
}
