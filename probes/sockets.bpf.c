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
 * With SOCKET_TRACEPOINTS (6.3) most calls at sockets are taken where sockets
 * themselves tell of them, with the same registers: what files and pipes move
 * then costs next to nothing.
 *
 * What counts as a connection: TCP over IPv4 and IPv6, AF_UNIX streams; with
 * STDIO, also the pipes, or sockets without a name, that are the standard
 * input and output of a process.  Never a file.
 */

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

/* name_ring_user - a process has made an io_uring; it may be gone at once */
static __always_inline void name_ring_user(void *ctx, u32 tgid)
{
	u32 zero = 0;
	struct counters *count = counts.lookup(&zero);
	struct {
		struct batch header;
		char comm[BATCH_COMM_BYTES];
	} record = {};

	if (!count || tgid == OWN_TGID)
		return;
	record.header.version = BATCH_VERSION;
	record.header.kind = BATCH_IO_URING;
	record.header.length = BATCH_COMM_BYTES;
	record.header.tgid = tgid;
	process_comm(record.comm);
	if (send_record(ctx, count, &record, sizeof(record)))
		tally(&count->notices_lost, 1);
}

/* socket_value - its accumulator, made when new; NULL: ignored, or map full */
static __always_inline struct connection_value *
socket_value(struct file *file, u32 mode, struct accumulator_key *key, u32 fd,
	     u64 number, u64 from, int *skip)
{
	struct connection_value *value = connections.lookup(key);
	u64 verdict;

	if (value)
		return value;
	verdict = judge(file, mode, key->tgid, from);
	if (verdict) {
		ignored.update(key, &verdict);
		*skip = 1;
		return NULL;
	}
	value = establish(key, fd, number, BATCH_TLS_NONE);
#ifdef STDIO
	if (value && key->object == OBJECT_STDIO)
		speaks(key->tgid);
#endif
	return value;
}

/* is_ignored - does nobody care for these bytes? */
static __always_inline int is_ignored(void *ctx, struct accumulator_key *key,
				      struct call *call, u32 fd)
{
	struct connection_value *value;
	u64 *verdict = ignored.lookup(key);
	struct counters *count;
	u32 zero = 0;

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
	count = counts.lookup(&zero);
	/* Where its end can't be told now, user space tells it, or its close. */
	if (!count || hush(ctx, count, value))
		return 1;
	connections.delete(key);
	*verdict = IGNORED_DONE;
	return 1;
}

/* of_interest - take the bytes that a system call has moved of a connection */
static __always_inline int of_interest(void *ctx, struct registers *r,
				       struct moved *m, u64 result,
				       struct file *file, u32 mode, u64 number,
				       struct accumulator_key *key, u64 id)
{
	u32 zero = 0;
	struct counters *count = counts.lookup(&zero);
	struct connection_value *value;
	struct fragment f = {};
	int skip = 0;

	if (!count)
		return 0;
	value = socket_value(file, mode, key, m->fd, number,
			     first_byte(r, m->shape), &skip);
	if (skip)
		return 0;
	f.from = r->second;
	f.length = result;
	f.tid = id;
	f.direction = m->direction;
	f.first_ns = f.last_ns = bpf_ktime_get_ns();
	if (value && is_nascent(value)) {
		tally(&count->bytes_seen, f.length);
		lose_unsaid(count, value, &f, LOSS_NO_ENTRY);
		return 0;
	}
	introduce(ctx, count, value, key);
	if (m->shape == SHAPE_BUFFER) {
		deliver(ctx, CONTEXT_RAW, count, value, key, &f, id);
	} else if (m->shape == SHAPE_KERNEL) {
		gap_whole(ctx, count, value, &f, m->unread);
	} else {
		begin_vectors(ctx, count, value, key, &f, r, m->shape, id);
	}
	return 0;
}

/* tells_of - are they of this file, and by a call of x86-64's? */
static __always_inline int tells_of(struct moved *m, struct file *file)
{
	u16 type;

	if (!m->sk)
		return !is_foreign();
	/* To read a file may be to speak to its server, on another socket. */
	return m->shape != SHAPE_KERNEL || sock_of(file, &type) == m->sk;
}

/* socket_moved - a system call has moved bytes of a descriptor */
static __always_inline int socket_moved(void *ctx, struct registers *r,
					struct pt_regs *registers,
					struct moved *m, u64 result, u32 modes)
{
	struct file *file = open_file(m->fd);
	struct accumulator_key key = {};
	u64 id, number = 0;
	u32 mode = kind_of(file, &number);
	struct call *call = NULL;
	u16 type;

	if (!(mode & modes) ||
	    !key_of(&key, file, mode, number, m->fd, m->direction) ||
	    !tells_of(m, file))
		return 0;
	id = bpf_get_current_pid_tgid();
	key.tgid = id >> 32;
#ifdef STDIO
	if (key.object == OBJECT_STDIO &&
	    !may_speak(key.tgid, first_byte(r, m->shape)))
		return 0;
#endif
	if (mode == MODE_SOCKET)
		call = calls.lookup(&id);
	if (call && in_tls_call(call, m->fd, registers))
		return 0;
	/* TLS may begin on a socket that began plain (STARTTLS). */
	if (call && m->shape == SHAPE_BUFFER && looks_like_tls(r->second))
		call->near_fd = m->fd;
	if (is_ignored(ctx, &key, call, m->fd)) {
#ifdef SOCKET_TRACEPOINTS
		if (mode == MODE_SOCKET && !call)
			remember_muted(sock_of(file, &type), number, id >> 32);
#endif
		return 0;
	}
	return of_interest(ctx, r, m, result, file, mode, number, &key, id);
}

/* bytes_moved - a call, or part of one, has moved `result` bytes of `modes` */
static __always_inline int bytes_moved(void *ctx, struct registers *r,
				       struct pt_regs *registers, s64 result,
				       u32 modes, struct moved *m)
{
	classify(r, registers, m);
	result -= m->urgent;
	if (m->shape == SHAPE_NONE || result <= 0)
		return 0;
	return socket_moved(ctx, r, registers, m, result, modes);
}

#ifdef SOCKET_TRACEPOINTS
/* tally_foreign - a call of a 32-bit program has moved bytes of a socket */
static __always_inline void tally_foreign(void)
{
	u32 zero = 0;
	struct counters *count = counts.lookup(&zero);

	if (count)
		tally(&count->foreign, 1);
}

#ifdef ON_DEMAND
/* [0] is not 0: on_system_call is attached. */
BPF_ARRAY(call_ends, u32, 1);

/*
 * Threads of whose recvmmsg or sendmmsg a part was taken where sockets tell,
 * by thread and process: what the call's end tells would be that again.
 */
BPF_TABLE("lru_hash", u64, u8, parted, 1024);

/*
 * one_message - one of those that recvmmsg or sendmmsg move, when only sockets
 * tell of them; 0: the call's end will tell of it
 *
 * Which one is known if it is the only one: then as of recvmsg or sendmsg.
 */
static __always_inline int one_message(struct registers *r,
				       struct pt_regs *registers,
				       struct moved *m)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 zero = 0, *told = call_ends.lookup(&zero);
	u8 one = 1;

	if (told && *told && !parted.lookup(&id))
		return 0;
	parted.update(&id, &one);
	if (r->third == 1) {
		r->number = r->number == NUMBER_SENDMMSG ? NUMBER_SENDMSG :
							   NUMBER_RECVMSG;
		r->third = fourth(registers);
	} else {
		m->unread = LOSS_NO_ENTRY;
	}
	return 1;
}

/* was_parted - and the thread's next call will not be */
static __always_inline int was_parted(void)
{
	u64 id = bpf_get_current_pid_tgid();

	return !parted.delete(&id);
}

/* is_into_socket - sendfile; splice, where it is from a pipe */
static __always_inline int is_into_socket(struct registers *r)
{
	u64 inode;

	return r->number == NUMBER_SENDFILE ||
	       (r->number == NUMBER_SPLICE &&
		kind_of(open_file(r->first), &inode) != MODE_SOCKET);
}

/* is_taken - is a call that is not a plain one taken where sockets tell? */
static __always_inline int is_taken(struct registers *r,
				    struct pt_regs *registers, struct moved *m)
{
	if (r->number == NUMBER_SENDMMSG || r->number == NUMBER_RECVMMSG)
		return one_message(r, registers, m);
	return is_into_socket(r);
}
#endif

/* told - what a socket tells: is it to be taken, and of which call? */
static __always_inline int told(struct registers *r, struct pt_regs *registers,
				struct moved *m)
{
	if (!r->program)
		return 0;
	if (is_foreign()) {
		tally_foreign();
		return 0;
	}
#ifdef ON_DEMAND
	return is_of_a_socket(r->number) || is_taken(r, registers, m);
#else
	return is_of_a_socket(r->number);
#endif
}

/*
 * sock:sock_send_length, sock:sock_recv_length; of raw_syscalls then less.
 * What those still have to do with bytes they do here, by a tail call, told by
 * the first argument: in both, the second is how many bytes were moved.
 */
int on_socket(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *registers;
	struct sock *sk = (void *)ctx->args[0];
	s32 result = ctx->args[1];
	u32 tgid = bpf_get_current_pid_tgid() >> 32, modes = MODE_SOCKET;
	struct registers r = {};
	struct moved m = {.unread = LOSS_ZERO_COPY};

	if (result <= 0 || tgid == OWN_TGID || is_muted(sk, tgid))
		return 0;
	registers = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	bpf_probe_read_kernel(&r, sizeof(r), &registers->dx);
	if ((void *)sk == (void *)registers)
		modes = is_of_a_socket(r.number) ? MODE_FIFO :
						   MODE_SOCKET | MODE_FIFO;
	else if (told(&r, registers, &m))
		m.sk = sk;
	else
		return 0;
	return bytes_moved(ctx, &r, registers, result, modes, &m);
}

/* may_be_pipe - can on_socket miss such a call: one of a standard pipe? */
static __always_inline int may_be_pipe(struct registers *r, u32 tgid)
{
#ifdef STDIO
	enum shape shape = r->number <= NUMBER_WRITE ? SHAPE_BUFFER :
						       SHAPE_VECTOR;

	return r->first <= 1 && may_speak(tgid, first_byte(r, shape));
#else
	return 0;
#endif
}

/* is_told - has on_socket taken what such a call has moved? */
static __always_inline int is_told(struct registers *r)
{
#ifdef ON_DEMAND
	if (r->number == NUMBER_SENDMMSG || r->number == NUMBER_RECVMMSG)
		return was_parted();
	return is_into_socket(r);
#else
	return 0;
#endif
}
#else
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
#endif

/* raw_syscalls:sys_exit */
int on_system_call(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *registers = (void *)ctx->args[0];
	s64 result = ctx->args[1];
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct registers r = {};
#ifndef SOCKET_TRACEPOINTS
	struct moved m = {.unread = LOSS_ZERO_COPY};
#endif

	if (result < 0 || tgid == OWN_TGID)
		return 0;
	bpf_probe_read_kernel(&r, sizeof(r), &registers->dx);
#ifndef SOCKET_TRACEPOINTS
	if (may_be_foreign(r.number))
		return result ? on_foreign(&r, registers) : 0;
#endif
	if (r.number < 64 ? !(NUMBERS_BELOW_64 >> r.number & 1) :
			    r.number < NUMBER_SPLICE)
		return 0;
#ifndef ON_DEMAND
	if (r.number == NUMBER_IO_URING_SETUP) {
		name_ring_user(ctx, tgid);
		return 0;
	}
#endif
	if (!result || !moves_bytes(r.number))
		return 0;
#ifdef SOCKET_TRACEPOINTS
	if (is_of_a_socket(r.number) ? may_be_pipe(&r, tgid) : !is_told(&r))
		raw_tails.call(ctx, TAIL_SYSTEM_CALL);
	return 0;
#else
	return bytes_moved(ctx, &r, registers, result, MODE_SOCKET | MODE_FIFO,
			   &m);
#endif
}

#ifdef ON_DEMAND
/* io_uring:io_uring_create */
int on_io_uring(void *ctx)
{
	name_ring_user(ctx, bpf_get_current_pid_tgid() >> 32);
	return 0;
}
#endif
