/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sockets.bpf.c - BPF entry points at system calls: plain sockets.
 *
 * One raw tracepoint at the end of every system call: there the arguments are
 * still in the registers that the kernel saved, and the result is known, so
 * that one hit tells all and nothing waits between two.  A call that moves no
 * bytes leaves after one read of memory.  Of x86-64's calls; those of 32-bit
 * programs are counted (foreign) and not read.
 *
 * What counts as a connection: TCP over IPv4 and IPv6, AF_UNIX streams; with
 * STDIO, also the pipes, or sockets without a name, that are the standard
 * input and output of a process.  Never a file.
 */

/* The system calls concerned; numbers of x86-64. */
enum number {
	NUMBER_READ = 0,
	NUMBER_WRITE = 1,
	NUMBER_READV = 19,
	NUMBER_WRITEV = 20,
	NUMBER_DUP = 32,
	NUMBER_DUP2 = 33,
	NUMBER_SENDFILE = 40,
	NUMBER_SENDTO = 44,
	NUMBER_RECVFROM = 45,
	NUMBER_SENDMSG = 46,
	NUMBER_RECVMSG = 47,
	NUMBER_FCNTL = 72,
	NUMBER_SPLICE = 275,
	NUMBER_DUP3 = 292,
	NUMBER_RECVMMSG = 299,
	NUMBER_SENDMMSG = 307,
	NUMBER_PREADV2 = 327,
	NUMBER_PWRITEV2 = 328,
	NUMBER_IO_URING_SETUP = 425,
};

#define NUMBERS_BELOW_64                                               \
	(1ULL << NUMBER_READ | 1ULL << NUMBER_WRITE |                  \
	 1ULL << NUMBER_READV | 1ULL << NUMBER_WRITEV |                \
	 1ULL << NUMBER_DUP | 1ULL << NUMBER_DUP2 |                    \
	 1ULL << NUMBER_SENDFILE | 1ULL << NUMBER_SENDTO |             \
	 1ULL << NUMBER_RECVFROM | 1ULL << NUMBER_SENDMSG |            \
	 1ULL << NUMBER_RECVMSG)

/* Flags of recvfrom and its like that move nothing, or not the stream. */
#define MESSAGE_FLAGS_OTHER (0x01 /* OOB */ | 0x02 /* PEEK */ | \
			     0x2000 /* ERRQUEUE */)
#define MESSAGE_URGENT	  0x01 /* sent: the last byte is not of the stream */
#define MESSAGE_DISCARDED 0x20 /* MSG_TRUNC: TCP drops what is read */

/* Where the bytes of a call are. */
enum shape {
	SHAPE_NONE,    /* it moves none */
	SHAPE_BUFFER,  /* second argument */
	SHAPE_VECTOR,  /* second and third: struct vector[] */
	SHAPE_MESSAGE, /* second: struct message */
	SHAPE_MESSAGES, /* second, and the result: struct message_vector[] */
	SHAPE_KERNEL   /* never in the process's memory */
};

enum family { FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10 };

struct vector {
	u64 from;
	u64 length;
};

struct message { /* struct user_msghdr */
	u64 name;
	u64 name_length;
	u64 vectors;
	u64 vector_count;
	u64 control;
	u64 control_length;
	u64 flags;
};

struct message_vector { /* struct mmsghdr */
	struct message message;
	u32 length; /* moved */
	u32 padding;
};

/* System calls of 32-bit programs, by their own numbers. */
enum foreign_number {
	FOREIGN_READ = 3,
	FOREIGN_WRITE = 4,
	FOREIGN_SOCKETCALL = 102,
	FOREIGN_READV = 145,
	FOREIGN_WRITEV = 146,
	FOREIGN_RECVMMSG = 337,
	FOREIGN_SENDMMSG = 345,
	FOREIGN_SENDTO = 369,
	FOREIGN_RECVMSG = 372, /* sendmsg and recvfrom between the two */
};

/* Of socketcall's: send, recv, sendto, recvfrom, *msg, *mmsg. */
#define SOCKETCALLS_MOVING                                             \
	(1U << 9 | 1U << 10 | 1U << 11 | 1U << 12 | 1U << 16 | 1U << 17 | \
	 1U << 19 | 1U << 20)

/*
 * Descriptors of a socket beyond the first that its process has.  Kept apart
 * from the connection, which begins with its first byte.
 */
BPF_TABLE("lru_hash", struct accumulator_key, u32, duplicates, 2048);

/* The first three arguments and the number, as struct pt_regs holds them. */
struct registers {
	u64 third; /* dx */
	u64 second;
	u64 first;
	u64 number; /* orig_ax */
};

struct moved {
	enum shape shape;
	u32 direction;
	u32 fd;
	u64 flags;  /* MSG_*, of the calls that receive */
	u64 urgent; /* bytes at the end that are not of the stream */
};

/* fourth - the fourth argument of a system call */
static __always_inline u64 fourth(struct pt_regs *registers)
{
	u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), &registers->r10);
	return value;
}

/* family_of - the address family of a socket's file */
static __always_inline u16 family_of(struct file *file)
{
	u16 family = 0, type;
	struct sock *sk = sock_of(file, &type);

	bpf_probe_read_kernel(&family, sizeof(family),
			      &sk->__sk_common.skc_family);
	return family;
}

/* classify - what a system call that succeeded has moved */
static __always_inline void classify(struct registers *r,
				     struct pt_regs *registers,
				     struct moved *m)
{
	u64 inode;

	m->fd = r->first;
	m->direction = BATCH_IN;
	switch (r->number) {
	case NUMBER_READ:
		m->shape = SHAPE_BUFFER;
		break;
	case NUMBER_WRITE:
		m->shape = SHAPE_BUFFER;
		m->direction = BATCH_OUT;
		break;
	case NUMBER_SENDTO:
		m->shape = SHAPE_BUFFER;
		m->direction = BATCH_OUT;
		m->urgent = fourth(registers) & MESSAGE_URGENT;
		break;
	case NUMBER_RECVFROM:
		m->shape = SHAPE_BUFFER;
		m->flags = fourth(registers);
		break;
	case NUMBER_READV:
	case NUMBER_PREADV2:
		m->shape = SHAPE_VECTOR;
		break;
	case NUMBER_WRITEV:
	case NUMBER_PWRITEV2:
		m->shape = SHAPE_VECTOR;
		m->direction = BATCH_OUT;
		break;
	case NUMBER_RECVMSG:
		m->shape = SHAPE_MESSAGE;
		m->flags = r->third;
		break;
	case NUMBER_SENDMSG:
		m->shape = SHAPE_MESSAGE;
		m->direction = BATCH_OUT;
		m->urgent = r->third & MESSAGE_URGENT;
		break;
	case NUMBER_RECVMMSG:
		m->shape = SHAPE_MESSAGES;
		m->flags = fourth(registers);
		break;
	case NUMBER_SENDMMSG:
		m->shape = SHAPE_MESSAGES;
		m->direction = BATCH_OUT;
		break;
	case NUMBER_SENDFILE:
		m->shape = SHAPE_KERNEL;
		m->direction = BATCH_OUT;
		break;
	case NUMBER_SPLICE: /* one of the two is a pipe */
		m->shape = SHAPE_KERNEL;
		if (kind_of(open_file(r->first), &inode) != MODE_SOCKET) {
			m->fd = r->third;
			m->direction = BATCH_OUT;
		}
		break;
	}
	if (m->flags & MESSAGE_FLAGS_OTHER)
		m->shape = SHAPE_NONE;
	else if (m->flags & MESSAGE_DISCARDED &&
		 family_of(open_file(r->first)) != FAMILY_UNIX)
		m->shape = SHAPE_KERNEL;
}

/* first_byte - the address of the first byte of what was moved */
static __always_inline u64 first_byte(struct registers *r, enum shape shape)
{
	u64 vectors = r->second, from = 0;

	if (shape == SHAPE_BUFFER)
		return vectors;
	if (shape == SHAPE_KERNEL)
		return 0;
	if (shape != SHAPE_VECTOR) {
		struct message *message = (void *)vectors;

		bpf_probe_read_user(&vectors, sizeof(vectors),
				    &message->vectors);
	}
	bpf_probe_read_user(&from, sizeof(from), (void *)vectors);
	return from;
}

/* looks_like_tls - do the bytes begin a TLS record (RFC 8446, 5.1)? */
static __always_inline int looks_like_tls(u64 from)
{
	u8 bytes[3] = {};

	bpf_probe_read_user(bytes, sizeof(bytes), (void *)from);
	return bytes[0] >= 20 && bytes[0] <= 23 && bytes[1] == 3 &&
	       bytes[2] <= 4;
}

/*
 * judge - a socket, or standard input and output, that was not seen before
 *
 * 0: capture it; else the enum ignored that it is from now on.
 */
static __always_inline u8 judge(struct file *file, u32 mode, u32 tgid,
				u64 from)
{
	struct sock *sk;
	u16 family = 0, type = 0;

	if (!wanted(tgid))
		return IGNORED_DONE;
	if (mode == MODE_SOCKET) {
		sk = sock_of(file, &type);
		bpf_probe_read_kernel(&family, sizeof(family),
				      &sk->__sk_common.skc_family);
		if (type != 1 || /* SOCK_STREAM */
		    (family != FAMILY_UNIX && family != FAMILY_INET &&
		     family != FAMILY_INET6))
			return IGNORED_DONE;
	}
	if (from && looks_like_tls(from))
		return IGNORED_TLS;
	return 0;
}

#ifdef STDIO
/* nameless - an AF_UNIX socket of a pair, as runtimes make for a child */
static __always_inline int nameless(struct file *file)
{
	struct unix_address *address = NULL, *remote = NULL;
	struct unix_sock *end;
	struct sock *peer = NULL;
	u16 family = 0, type = 0;

	end = (void *)sock_of(file, &type);
	bpf_probe_read_kernel(&family, sizeof(family),
			      &((struct sock *)end)->__sk_common.skc_family);
	if (family != 1) /* AF_UNIX */
		return 0;
	bpf_probe_read_kernel(&address, sizeof(address), &end->addr);
	bpf_probe_read_kernel(&peer, sizeof(peer), &end->peer);
	end = (void *)peer;
	bpf_probe_read_kernel(&remote, sizeof(remote), &end->addr);
	return !address && !remote;
}

/*
 * is_stdio - the standard input, read, or the standard output, written, that
 * is a pipe or one of a pair of sockets: together one connection
 */
static __always_inline int is_stdio(struct file *file, u32 mode, u32 fd,
				    u32 direction)
{
	if (fd != (direction == BATCH_IN ? 0 : 1))
		return 0;
	return mode == MODE_FIFO || nameless(file);
}

/*
 * is_message - may a message of JSON-RPC begin here?
 *
 * The pipes of a host carry much else, in processes that live for a moment:
 * what does not look like one makes no connection.
 */
static __always_inline int is_message(u64 from)
{
	u8 first = 0;

	bpf_probe_read_user(&first, sizeof(first), (void *)from);
	return first == '{' || first == '[';
}
#endif

/* key_of - the connection of a descriptor; 0: it is none */
static __always_inline int key_of(struct accumulator_key *key,
				  struct file *file, u32 mode, u64 number,
				  u32 fd, u32 direction)
{
	key->object = OBJECT_SOCKET | number;
#ifdef STDIO
	if (is_stdio(file, mode, fd, direction)) {
		key->object = OBJECT_STDIO;
		return 1;
	}
#endif
	return mode == MODE_SOCKET;
}

/*
 * in_tls_call - is the thread in a TLS call that this system call serves?
 *
 * Then the call learns its socket, and the bytes are TLS records.  A frame
 * that was left by a jump is above no stack that is in use.
 */
static __always_inline int in_tls_call(struct call *call, u32 fd,
				       struct pt_regs *registers)
{
	u64 sp = 0;

	if (!call->frames[0].sp)
		return 0;
	bpf_probe_read_kernel(&sp, sizeof(sp), &registers->sp);
	if (call->frames[0].sp - sp > TLS_STACK_MAX)
		return 0;
	call->fd = fd;
	return 1;
}

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
		value->head.offsets[f->direction & 1] += f->length;
		tally(&value->head.version, 1);
	}
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
	value->head.offsets[f->direction & 1] += f->length;
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
	unclaim(scratch);
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
		value->head.offsets[f->direction & 1] += f->length;
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
		if (large->left.length) {
			send_piece(ctx, count, large, scratch, value);
		} else if (large->over) {
			send_over(ctx, count, large, scratch, value);
			large->over = 0;
		}
	}
	if (large->left.length || large->over)
		raw_tails.call(ctx, TAIL_LARGE);
	else if (large->vector_bytes || large->message_count)
		raw_tails.call(ctx, TAIL_VECTOR);
	give_up(ctx, count, scratch, value);
	unclaim(scratch);
	return 0;
}

/* notify - tell user space of something about the process, without payload */
static __always_inline void notify(void *ctx, struct counters *count, u8 kind,
				   u32 tgid, u64 offset, u64 missed)
{
	struct batch notice = {};

	notice.version = BATCH_VERSION;
	notice.kind = kind;
	notice.tgid = tgid;
	notice.offset = offset;
	notice.missed = missed;
	notice.first_ns = bpf_ktime_get_ns();
	if (send_record(ctx, count, &notice, sizeof(notice)))
		tally(&count->notices_lost, 1);
}

/* name_ring_user - a process has made an io_uring; it may be gone at once */
static __always_inline void name_ring_user(void *ctx, struct counters *count,
					   u32 tgid)
{
	struct {
		struct batch header;
		char comm[BATCH_COMM_BYTES];
	} record = {};

	record.header.version = BATCH_VERSION;
	record.header.kind = BATCH_IO_URING;
	record.header.length = BATCH_COMM_BYTES;
	record.header.tgid = tgid;
	process_comm(record.comm);
	if (send_record(ctx, count, &record, sizeof(record)))
		tally(&count->notices_lost, 1);
}

/* duplicated - a descriptor of a socket has got a second */
static __always_inline void duplicated(u64 id, u32 fd)
{
	struct accumulator_key key = {};
	struct connection_value *value;
	u64 number = 0;
	u32 one = 1, *others;

	if (kind_of(open_file(fd), &number) != MODE_SOCKET)
		return;
	key.object = OBJECT_SOCKET | number;
	key.tgid = id >> 32;
	others = duplicates.lookup(&key);
	if (others)
		(*others)++;
	else
		duplicates.update(&key, &one);
	value = connections.lookup(&key);
	if (value)
		value->head.shared = 1;
}

/* socket_value - its accumulator, made when new; NULL: ignored, or map full */
static __always_inline struct connection_value *
socket_value(struct file *file, u32 mode, struct accumulator_key *key, u32 fd,
	     u64 number, u64 from, u64 length, int *skip)
{
	struct connection_value *value = connections.lookup(key);
	u64 verdict;

	if (value)
		return value;
#ifdef STDIO
	if (key->object == OBJECT_STDIO && !is_message(from)) {
		*skip = 1;
		/* A pipeline's, of bulk data: not to be looked at again. */
		verdict = IGNORED_DONE;
		if (length >= 4096)
			ignored.update(key, &verdict);
		return NULL;
	}
#endif
	verdict = judge(file, mode, key->tgid, from);
	if (verdict) {
		ignored.update(key, &verdict);
		*skip = 1;
		return NULL;
	}
	value = establish(key, fd, number, BATCH_TLS_NONE);
	if (value && duplicates.lookup(key))
		value->head.shared = 1;
	return value;
}

/* is_ignored - does nobody care for these bytes? */
static __always_inline int is_ignored(void *ctx, struct counters *count,
				      struct accumulator_key *key,
				      struct call *call, u32 fd)
{
	struct connection_value *value;
	u64 *verdict = ignored.lookup(key);

	if (!verdict)
		return 0;
	if (*verdict == IGNORED_TLS && call)
		call->near_fd = fd;
	if (*verdict == IGNORED_DONE || *verdict == IGNORED_TLS)
		return 1;
	value = connections.lookup(key);
	if (!value || value->head.header.connection != *verdict) {
		ignored.delete(key);
		return 0;
	}
	if (hush(ctx, count, value))
		return 0;
	connections.delete(key);
	*verdict = IGNORED_DONE;
	return 1;
}

/* socket_moved - a system call has moved bytes of a descriptor */
static __always_inline int socket_moved(void *ctx, struct registers *r,
					struct pt_regs *registers,
					struct moved *m, u64 result)
{
	u64 id = bpf_get_current_pid_tgid(), number = 0;
	u32 zero = 0, mode;
	struct counters *count = counts.lookup(&zero);
	struct file *file = open_file(m->fd);
	struct accumulator_key key = {};
	struct connection_value *value;
	struct fragment f = {};
	struct call *call;
	int skip = 0;

	mode = kind_of(file, &number);
	if (!count || !key_of(&key, file, mode, number, m->fd,
			      m->direction))
		return 0;
	key.tgid = id >> 32;
	call = calls.lookup(&id);
	if (call && in_tls_call(call, m->fd, registers))
		return 0;
	/* TLS may begin on a socket that began plain (STARTTLS). */
	if (call && m->shape == SHAPE_BUFFER && looks_like_tls(r->second))
		call->near_fd = m->fd;
	if (is_ignored(ctx, count, &key, call, m->fd))
		return 0;
	value = socket_value(file, mode, &key, m->fd, number,
			     first_byte(r, m->shape), result, &skip);
	if (skip)
		return 0;
	f.from = r->second;
	f.length = result;
	f.tid = id;
	f.direction = m->direction;
	f.first_ns = f.last_ns = bpf_ktime_get_ns();
	introduce(ctx, count, value, &key);
	if (m->shape == SHAPE_BUFFER) {
		deliver(ctx, CONTEXT_RAW, count, value, &key, &f, id);
	} else if (m->shape == SHAPE_KERNEL) {
		gap_kernel(ctx, count, value, &f);
	} else {
		begin_vectors(ctx, count, value, &key, &f, r, m->shape, id);
	}
	return 0;
}

/* foreign_descriptor - of a call that moves bytes, by its 32-bit number; -1 */
static __always_inline s32 foreign_descriptor(struct registers *r,
					      struct pt_regs *registers)
{
	u64 first = 0;
	u32 fd = 0;

	bpf_probe_read_kernel(&first, sizeof(first), &registers->bx);
	if (r->number != FOREIGN_SOCKETCALL)
		return first;
	if (first > 31 || !(SOCKETCALLS_MOVING >> first & 1))
		return -1;
	bpf_probe_read_kernel(&first, sizeof(first), &registers->cx);
	bpf_probe_read_user(&fd, sizeof(fd), (void *)(u64)(u32)first);
	return fd;
}

/* may_be_foreign - could this number move bytes in a 32-bit program? */
static __always_inline int may_be_foreign(u64 number)
{
	return number == FOREIGN_READ || number == FOREIGN_WRITE ||
	       number == FOREIGN_SOCKETCALL || number == FOREIGN_READV ||
	       number == FOREIGN_WRITEV || number == FOREIGN_RECVMMSG ||
	       number == FOREIGN_SENDMMSG ||
	       (number >= FOREIGN_SENDTO && number <= FOREIGN_RECVMSG);
}

/* is_foreign - a system call by the numbers of 32-bit programs? */
static __always_inline int is_foreign(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u32 status = 0;

	bpf_probe_read_kernel(&status, sizeof(status),
			      &task->thread_info.status);
	return status & 2; /* TS_COMPAT */
}

/* on_foreign - a call with a number that 32-bit programs move bytes by */
static __always_inline int on_foreign(struct registers *r,
				      struct pt_regs *registers)
{
	u32 zero = 0;
	u64 inode = 0;
	s32 fd;
	struct counters *count = counts.lookup(&zero);

	if (!is_foreign())
		return 0;
	fd = foreign_descriptor(r, registers);
	if (count && fd >= 0 && kind_of(open_file(fd), &inode) == MODE_SOCKET)
		tally(&count->foreign, 1);
	return 0;
}

/* is_duplication - a call that gives a descriptor's file another one? */
static __always_inline int is_duplication(struct registers *r)
{
	return r->number == NUMBER_DUP ||
	       ((r->number == NUMBER_DUP2 || r->number == NUMBER_DUP3) &&
		r->first != r->second) ||
	       (r->number == NUMBER_FCNTL &&
		(r->second == 0 || r->second == 1030)); /* F_DUPFD, _CLOEXEC */
}

/* raw_syscalls:sys_exit */
int on_system_call(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *registers = (void *)ctx->args[0];
	s64 result = ctx->args[1];
	u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	struct counters *count;
	struct registers r = {};
	struct moved m = {};

	if (result < 0 || tgid == OWN_TGID)
		return 0;
	bpf_probe_read_kernel(&r, sizeof(r), &registers->dx);
	if (may_be_foreign(r.number))
		return result ? on_foreign(&r, registers) : 0;
	if (r.number < 64 ? !(NUMBERS_BELOW_64 >> r.number & 1) :
			    r.number != NUMBER_FCNTL &&
				    r.number < NUMBER_SPLICE)
		return 0;
	if (r.number == NUMBER_IO_URING_SETUP) {
		count = counts.lookup(&zero);
		if (count)
			name_ring_user(ctx, count, tgid);
		return 0;
	}
	if (is_duplication(&r)) {
		duplicated(bpf_get_current_pid_tgid(), r.first);
		return 0;
	}
	if (!result)
		return 0;
	classify(&r, registers, &m);
	result -= m.urgent;
	if (m.shape == SHAPE_NONE || result <= 0 || is_foreign())
		return 0;
	return socket_moved(ctx, &r, registers, &m, result);
}

/* descriptor_closes - the last descriptor of a socket ends its connection */
static __always_inline void descriptor_closes(void *ctx, u32 fd)
{
	u64 id = bpf_get_current_pid_tgid(), number = 0;
	u32 zero = 0;
	struct counters *count = counts.lookup(&zero);
	struct accumulator_key key = {};
	struct connection_value *value;
	u32 *others;

	if (id >> 32 == OWN_TGID || !count ||
	    kind_of(open_file(fd), &number) != MODE_SOCKET)
		return;
	key.object = OBJECT_SOCKET | number;
	key.tgid = id >> 32;
	others = duplicates.lookup(&key);
	if (others && *others) {
		(*others)--;
		return;
	}
	if (others)
		duplicates.delete(&key);
	value = connections.lookup(&key);
	if (!value)
		ignored.delete(&key);
	else if (!(value->head.state & ACCUMULATOR_CLOSED))
		retire(ctx, count, value, &key, 0);
}

/* close */
int on_close(struct system_call *ctx)
{
	descriptor_closes(ctx, ctx->arguments[0]);
	return 0;
}

/* dup2, dup3: what the second argument was is closed */
int on_replace(struct system_call *ctx)
{
	if (ctx->arguments[0] != ctx->arguments[1] &&
	    open_file(ctx->arguments[0]))
		descriptor_closes(ctx, ctx->arguments[1]);
	return 0;
}

/* sched:sched_process_exec: user space looks which connections have ended */
int on_exec(void *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 tgid = id >> 32, zero = 0;
	struct counters *count = counts.lookup(&zero);

	if (!count)
		return 0;
	tell_program(ctx, count, tgid);
	if (!talkers.lookup(&tgid))
		return 0;
	calls.delete(&id); /* of the program that is no more */
	notify(ctx, count, BATCH_EXEC, tgid, bpf_ktime_get_ns(), 0);
	return 0;
}

/* close_range: user space looks which connections these are */
int on_close_range(struct system_call *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	struct counters *count = counts.lookup(&zero);

	if (tgid == OWN_TGID || !count || ctx->arguments[2] & 4)
		return 0; /* 4: CLOSE_RANGE_CLOEXEC closes nothing */
	notify(ctx, count, BATCH_CLOSE_RANGE, tgid, ctx->arguments[0],
	       ctx->arguments[1]);
	return 0;
}
