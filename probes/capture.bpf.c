/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * capture.bpf.c - BPF entry points: what runs when a probe is hit.
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

/*
 * net/sock.h brings in linux/bpf.h, which asks the size of types that
 * libbcc's own copy of the ABI may be too old to define (0.26 with the headers
 * of 6.12).  Under names of our own they exist whatever that copy holds; no
 * object of theirs is ever made here.
 */
#define bpf_wq		unused_bpf_wq
#define bpf_rb_root	unused_bpf_rb_root
#define bpf_rb_node	unused_bpf_rb_node
#define bpf_refcount	unused_bpf_refcount
#define bpf_task_work	unused_bpf_task_work
struct bpf_wq { u64 unused; };
struct bpf_rb_root { u64 unused; };
struct bpf_rb_node { u64 unused; };
struct bpf_refcount { u64 unused; };
struct bpf_task_work { u64 unused; };
#include <uapi/linux/ptrace.h>
#include <linux/sched.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/net.h>
#include <net/sock.h>

struct frame {
	u64 sp; /* at the function's entry; 0: no call */
	u64 object;
	u64 from;
	u64 moved_at; /* address of the byte count; 0: the return value is it */
	u64 entry_ns;
	u32 direction;
	u32 reserved;
};

struct call {
	struct frame frames[2];
	s32 fd; /* of the last system call in this TLS call; -1: none */
	u32 scratch; /* claimed for this call's pieces */
};

BPF_TABLE("lru_hash", u64, struct call, calls, MAX_THREADS);
BPF_ARRAY(blank_call, struct call, 1); /* zeroes: never written */
BPF_PROG_ARRAY(tails, 1);

#ifdef FILTER_PIDS
BPF_HASH(pids, u32, u8, 64);
#endif
#ifdef FILTER_UIDS
BPF_HASH(uids, u32, u8, 64);
#endif
#ifdef FILTER_COMMS
struct comm_key {
	char comm[BATCH_COMM_BYTES];
};
BPF_HASH(comms, struct comm_key, u8, 64);
#endif

/* Files mapped executable that user space has judged. */
BPF_TABLE("lru_hash", struct batch_library, u8, judged, 4096);

/* The context of a syscalls:sys_enter_* tracepoint; its format is ABI. */
struct system_call {
	u64 common;
	s64 number;
	u64 arguments[6];
};

static __always_inline u64 process_comm(char comm[BATCH_COMM_BYTES])
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = NULL;

	bpf_probe_read_kernel(&leader, sizeof(leader), &task->group_leader);
	bpf_probe_read_kernel(comm, BATCH_COMM_BYTES, &leader->comm);
	return (u64)leader;
}

/* wanted - do the user's filters let this process through? */
static __always_inline int wanted(u32 tgid)
{
#ifdef FILTER_PIDS
	if (!pids.lookup(&tgid))
		return 0;
#endif
#ifdef FILTER_UIDS
	u32 uid = bpf_get_current_uid_gid();

	if (!uids.lookup(&uid))
		return 0;
#endif
#ifdef FILTER_COMMS
	struct comm_key key = {};

	process_comm(key.comm);
	if (!comms.lookup(&key))
		return 0;
#endif
	return 1;
}

/* open_file - the struct file behind a descriptor of this process; or NULL */
static __always_inline struct file *open_file(u32 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct files_struct *files = NULL;
	struct fdtable *table = NULL;
	struct file **array = NULL, *file = NULL;
	u32 size = 0;

	bpf_probe_read_kernel(&files, sizeof(files), &task->files);
	bpf_probe_read_kernel(&table, sizeof(table), &files->fdt);
	bpf_probe_read_kernel(&size, sizeof(size), &table->max_fds);
	if (fd >= size)
		return NULL;
	bpf_probe_read_kernel(&array, sizeof(array), &table->fd);
	bpf_probe_read_kernel(&file, sizeof(file), array + fd);
	return file;
}

/* socket_inode - inode number of the socket that `fd` is; 0: it is none */
static __always_inline u64 socket_inode(u32 fd)
{
	struct file *file = open_file(fd);
	struct inode *inode = NULL;
	unsigned long number = 0;
	umode_t mode = 0;

	bpf_probe_read_kernel(&inode, sizeof(inode), &file->f_inode);
	bpf_probe_read_kernel(&mode, sizeof(mode), &inode->i_mode);
	if ((mode & 0170000) != 0140000) /* S_IFMT, S_IFSOCK */
		return 0;
	bpf_probe_read_kernel(&number, sizeof(number), &inode->i_ino);
	return number;
}

/* addresses - the two ends of the socket that `fd` is, into *open */
static __always_inline void addresses(u32 fd, struct batch_open *open)
{
	struct file *file = open_file(fd);
	struct socket *socket = NULL;
	struct sock *sk = NULL;
	__be16 remote_port = 0;

	bpf_probe_read_kernel(&socket, sizeof(socket), &file->private_data);
	bpf_probe_read_kernel(&sk, sizeof(sk), &socket->sk);
	bpf_probe_read_kernel(&open->family, sizeof(open->family),
			      &sk->__sk_common.skc_family);
	if (open->family == 2) { /* AF_INET */
		bpf_probe_read_kernel(open->local_address, 4,
				      &sk->__sk_common.skc_rcv_saddr);
		bpf_probe_read_kernel(open->remote_address, 4,
				      &sk->__sk_common.skc_daddr);
	} else if (open->family == 10) { /* AF_INET6 */
		bpf_probe_read_kernel(open->local_address, 16,
				      &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_probe_read_kernel(open->remote_address, 16,
				      &sk->__sk_common.skc_v6_daddr);
	} else {
		return;
	}
	bpf_probe_read_kernel(&open->local_port, sizeof(open->local_port),
			      &sk->__sk_common.skc_num);
	bpf_probe_read_kernel(&remote_port, sizeof(remote_port),
			      &sk->__sk_common.skc_dport);
	open->remote_port = bpf_ntohs(remote_port);
}

/* announce - tell user space whose connection this is; again, if need be */
static __always_inline void announce(void *ctx, struct counters *count,
				     struct accumulator *head, u64 object)
{
	struct {
		struct batch header;
		struct batch_open open;
	} record = {};
	struct task_struct *leader;

	record.header.version = BATCH_VERSION;
	record.header.kind = BATCH_OPEN;
	record.header.length = sizeof(record.open);
	record.header.connection = head->header.connection;
	record.header.tgid = head->header.tgid;
	record.open.object = object;
	record.open.tls = BATCH_TLS_OPENSSL;
	record.open.fd = head->fd;
	record.open.uid = bpf_get_current_uid_gid();
	record.open.cgroup = bpf_get_current_cgroup_id();
	leader = (void *)process_comm(record.open.comm);
	bpf_probe_read_kernel(&record.open.start_ns, 8,
			      &leader->PROCESS_START);
	if (head->fd >= 0)
		addresses(head->fd, &record.open);
	if (!send_record(ctx, count, &record, sizeof(record)))
		head->state |= ACCUMULATOR_OPENED;
}

/* forget - drop the entry of a connection that user space can't be told of */
static __always_inline void forget(struct counters *count,
				   struct connection_value *value,
				   struct accumulator_key *key)
{
	tally(&count->hidden[LOSS_BUFFER_FULL], value->head.unsent[BATCH_IN]);
	tally(&count->hidden[LOSS_BUFFER_FULL], value->head.unsent[BATCH_OUT]);
	connections.delete(key);
}

/*
 * retire - a connection ends: what waits, then BATCH_CLOSE, then the entry
 * @successor: the key is needed for another connection now
 *
 * Without room for BATCH_CLOSE the entry stays, marked, for user space to
 * find; unless a successor needs its place.
 */
static __always_inline void retire(void *ctx, struct counters *count,
				   struct connection_value *value,
				   struct accumulator_key *key, int successor)
{
	struct batch *header = &value->head.header;

	value->head.version++;
	if (header->length)
		flush(ctx, count, value);
	header->kind = BATCH_CLOSE;
	header->offset = value->head.offsets[BATCH_IN];
	header->missed = value->head.offsets[BATCH_OUT];
	if (!send_record(ctx, count, header, HEADER_BYTES)) {
		connections.delete(key);
	} else if (successor) {
		forget(count, value, key);
	} else {
		header->kind = BATCH_DATA;
		header->missed = 0;
		value->head.state |= ACCUMULATOR_CLOSED;
		value->head.version++;
	}
}

/* establish - a new connection's accumulator; NULL: the map is full */
static __always_inline struct connection_value *
establish(struct accumulator_key *key, s32 fd, u64 socket)
{
	u32 zero = 0;
	struct connection_value *value = blank.lookup(&zero);

	if (!value)
		return NULL;
	connections.update(key, value);
	value = connections.lookup(key);
	if (!value)
		return NULL;
	value->head.fd = fd;
	value->head.socket = socket;
	value->head.state = wanted(key->tgid) ? 0 : ACCUMULATOR_MUTED;
	value->head.header.version = BATCH_VERSION;
	value->head.header.kind = BATCH_DATA;
	value->head.header.tgid = key->tgid;
	/* Unique: no two are made on one CPU in the same nanosecond. */
	value->head.header.connection =
		bpf_ktime_get_ns() << 8 | (u8)bpf_get_smp_processor_id();
	return value;
}

/*
 * connection_of - the accumulator of a call's TLS object; NULL: the map is full
 *
 * A TLS object that is on another socket now is another connection.
 */
static __always_inline struct connection_value *
connection_of(void *ctx, struct counters *count, struct accumulator_key *key,
	      s32 fd)
{
	struct connection_value *value = connections.lookup(key);
	u64 socket = 0;

	if (value && !(value->head.state & ACCUMULATOR_CLOSED) &&
	    (fd < 0 || fd == value->head.fd))
		return value;
	if (fd >= 0)
		socket = socket_inode(fd);
	if (!socket)
		fd = -1;
	if (value && value->head.state & ACCUMULATOR_CLOSED) {
		forget(count, value, key);
	} else if (value && socket && value->head.socket &&
		   value->head.socket != socket) {
		retire(ctx, count, value, key, 1);
	} else if (value) {
		if (socket) {
			value->head.fd = fd;
			value->head.socket = socket;
			value->head.state &= ~ACCUMULATOR_OPENED;
		}
		return value;
	}
	return establish(key, fd, socket);
}

/*
 * claim - a scratch of this CPU that no preempted program uses; NULL: none
 *
 * Atomic additions alone (4.18 fetches none): who reads 1 after its own
 * addition is alone until it subtracts again.
 */
static __always_inline struct scratch *claim(struct call *call)
{
	struct scratch *scratch;
	u32 index = 0;

#pragma unroll
	for (u32 i = 0; i < SCRATCHES; i++) {
		index = i;
		scratch = scratches.lookup(&index);
		if (scratch) {
			tally(&scratch->claims, 1);
			if (*(volatile u64 *)&scratch->claims == 1) {
				call->scratch = i;
				return scratch;
			}
			tally(&scratch->claims, -1);
		}
	}
	return NULL;
}

/*
 * hand_over - what is too large to append goes out in pieces by send_large
 * @value: NULL: the map is full, and no offset is known
 */
static __always_inline void hand_over(struct pt_regs *ctx,
				      struct counters *count,
				      struct call *call,
				      struct connection_value *value,
				      struct accumulator_key *key,
				      struct fragment *f)
{
	u64 length = f->length, offset = 0;
	struct scratch *scratch = claim(call);
	struct large *large;

	if (value) {
		offset = value->head.offsets[f->direction & 1];
		value->head.offsets[f->direction & 1] += length;
		value->head.version++;
	} else {
		tally(&count->direct, 1);
	}
	if (!scratch)
		goto lost;
	large = &scratch->large;
	large->key = *key;
	large->left = *f;
	large->over = 0;
	large->fragments = 1;
	large->offset = offset;
	if (length > MAX_CAPTURE) {
		large->over = length - MAX_CAPTURE;
		large->left.length = MAX_CAPTURE;
	}
	if (value) {
		large->connection = value->head.header.connection;
		large->flags = 0;
	} else {
		large->connection = 1ULL << 63 |
				    (key->tgid << 40 ^ key->object);
		large->flags = BATCH_NO_OFFSET;
	}
	tails.call(ctx, 0);
	/* Only reached when the tail call was refused. */
	tally(&scratch->claims, -1);
lost:
	tally(&count->lost[LOSS_OVER_LIMIT], length);
	if (value)
		value->head.unsent[f->direction & 1] += length;
	else
		tally(&count->hidden[LOSS_OVER_LIMIT], length);
}

/* capture - a call has moved bytes: to the accumulator of its connection */
static __always_inline void capture(struct pt_regs *ctx, struct call *call,
				    struct counters *count,
				    struct accumulator_key *key,
				    struct fragment *f)
{
	struct connection_value *value;
	struct batch *header;

	value = connection_of(ctx, count, key, call->fd);
	if (value ? value->head.state & ACCUMULATOR_MUTED : !wanted(key->tgid))
		return;
	tally(&count->fragments, 1);
	tally(&count->bytes_seen, f->length);
	if (!value) {
		hand_over(ctx, count, call, NULL, key, f);
		return;
	}
	value->head.version++;
	if (!(value->head.state & ACCUMULATOR_OPENED))
		announce(ctx, count, &value->head, key->object);
	header = &value->head.header;
	if (header->length && (header->direction != f->direction ||
			       header->tid != f->tid ||
			       f->length > MAX_ACCUM_COPY_SIZE))
		flush(ctx, count, value);
#ifndef NAIVE
	if (f->length <= MAX_ACCUM_COPY_SIZE) {
		append(ctx, count, value, f);
		if (header->length)
			note(ctx, count, &value->head, key->object, f->last_ns);
		value->head.version++;
		return;
	}
#endif
	hand_over(ctx, count, call, value, key, f);
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

/* Tail-called: LARGE_PIECES pieces, then itself again. */
int send_large(struct pt_regs *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 zero = 0, index;
	struct call *call = calls.lookup(&id);
	struct counters *count = counts.lookup(&zero);
	struct accumulator_key key = {};
	struct connection_value *value;
	struct scratch *scratch;
	struct large *large;

	if (!call || !count)
		return 0;
	index = call->scratch;
	scratch = scratches.lookup(&index);
	if (!scratch)
		return 0;
	large = &scratch->large;
	key = large->key;
	value = connections.lookup(&key);
	scratch->header.version = BATCH_VERSION;
	scratch->header.kind = BATCH_DATA;
	scratch->header.direction = large->left.direction;
	scratch->header.flags = large->flags;
	scratch->header.connection = large->connection;
	scratch->header.tgid = id >> 32;
	scratch->header.tid = id;
	scratch->header.first_ns = large->left.first_ns;
	scratch->header.last_ns = large->left.last_ns;
#pragma unroll
	for (int i = 0; i < LARGE_PIECES; i++) {
		if (large->left.length)
			send_piece(ctx, count, large, scratch, value);
	}
	if (large->left.length) {
		tails.call(ctx, 0);
		large->over += large->left.length;
	}
	if (large->over)
		send_over(ctx, count, large, scratch, value);
	tally(&scratch->claims, -1);
	return 0;
}

/* enter - a TLS call begins: keep its arguments until it returns */
static __always_inline int enter(struct pt_regs *ctx, u32 direction,
				 u64 moved_at)
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
	}
	frame = &call->frames[0];
	if (frame->sp > sp)
		frame = &call->frames[1];
	else
		call->fd = -1;
	frame->sp = sp;
	frame->object = PT_REGS_PARM1(ctx);
	frame->from = PT_REGS_PARM2(ctx);
	frame->moved_at = moved_at;
	frame->direction = direction;
	if (direction == BATCH_OUT)
		frame->entry_ns = bpf_ktime_get_ns();
	return 0;
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

/* leave - a TLS call returns: what it moved is captured */
static __always_inline int leave(struct pt_regs *ctx, u32 direction,
				 int extended)
{
	u64 id = bpf_get_current_pid_tgid();
	u64 sp = PT_REGS_SP(ctx);
	u32 zero = 0;
	int result = PT_REGS_RC(ctx);
	struct call *call = calls.lookup(&id);
	struct counters *count = counts.lookup(&zero);
	struct accumulator_key key = {};
	struct fragment f = {};
	struct frame *frame;

	if (!count || id >> 32 == OWN_TGID)
		return 0;
	if (!call)
		goto no_entry;
	/* The return popped the return address: sp is 8 above the entry's. */
	frame = &call->frames[0];
	if (sp - frame->sp > 8) {
		frame = &call->frames[1];
		if (sp - frame->sp > 8)
			goto no_entry;
		/* A wrapper of the same call must not count it again. */
		if (call->frames[0].object == frame->object &&
		    call->frames[0].direction == direction)
			call->frames[0].object = 0;
	}
	frame->sp = 0;
	key.object = frame->object;
	if (!key.object)
		return 0;
	f.length = moved(count, frame->moved_at, result);
	if (!f.length)
		return 0;
	f.from = frame->from;
	f.last_ns = bpf_ktime_get_ns();
	f.first_ns = direction == BATCH_OUT ? frame->entry_ns : f.last_ns;
	f.tid = id;
	f.direction = direction;
	key.tgid = id >> 32;
	capture(ctx, call, count, &key, &f);
	return 0;
no_entry:
	/* How much it moved is known of the plain functions alone. */
	if (result <= 0)
		return 0;
	if (extended) {
		tally(&count->unknown, 1);
		return 0;
	}
	tally(&count->fragments, 1);
	tally(&count->bytes_seen, (u32)result);
	tally(&count->lost[LOSS_NO_ENTRY], (u32)result);
	tally(&count->hidden[LOSS_NO_ENTRY], (u32)result);
	return 0;
}

int on_read(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_IN, 0);
}

int on_read_ex(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_IN, PT_REGS_PARM4(ctx));
}

int on_read_return(struct pt_regs *ctx)
{
	return leave(ctx, BATCH_IN, 0);
}

int on_read_ex_return(struct pt_regs *ctx)
{
	return leave(ctx, BATCH_IN, 1);
}

int on_write(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_OUT, 0);
}

int on_write_ex(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_OUT, PT_REGS_PARM4(ctx));
}

int on_write_return(struct pt_regs *ctx)
{
	return leave(ctx, BATCH_OUT, 0);
}

int on_write_ex_return(struct pt_regs *ctx)
{
	return leave(ctx, BATCH_OUT, 1);
}

/* SSL_free, SSL_clear: the object's connection is over. */
int on_end(struct pt_regs *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 zero = 0;
	struct counters *count = counts.lookup(&zero);
	struct accumulator_key key = {};
	struct connection_value *value;

	key.object = PT_REGS_PARM1(ctx);
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

/* read, recvfrom, write ...: the socket of the TLS call that it is nested in */
int on_system_call(struct system_call *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	struct call *call = calls.lookup(&id);

	if (call && call->frames[0].sp)
		call->fd = ctx->arguments[0];
	return 0;
}

/* mmap: a file mapped executable that user space has not judged */
int on_mmap(struct system_call *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 zero = 0;
	struct {
		struct batch header;
		struct batch_library library;
	} record = {};
	struct counters *count = counts.lookup(&zero);
	struct file *file;
	struct inode *inode = NULL;
	struct super_block *super = NULL;

	if (!(ctx->arguments[2] & 4) || (s32)ctx->arguments[4] < 0 ||
	    id >> 32 == OWN_TGID || !count) /* 4: PROT_EXEC */
		return 0;
	file = open_file(ctx->arguments[4]);
	bpf_probe_read_kernel(&inode, sizeof(inode), &file->f_inode);
	bpf_probe_read_kernel(&super, sizeof(super), &inode->i_sb);
	bpf_probe_read_kernel(&record.library.device, 4, &super->s_dev);
	bpf_probe_read_kernel(&record.library.inode, 8, &inode->i_ino);
	bpf_probe_read_kernel(&record.library.size, 8, &inode->i_size);
	bpf_probe_read_kernel(&record.library.generation, 4,
			      &inode->i_generation);
	if (!record.library.inode || judged.lookup(&record.library))
		return 0;
	record.header.version = BATCH_VERSION;
	record.header.kind = BATCH_LIBRARY;
	record.header.length = sizeof(record.library);
	record.header.tgid = id >> 32;
	if (send_record(ctx, count, &record, sizeof(record)))
		tally(&count->notices_lost, 1);
	return 0;
}
