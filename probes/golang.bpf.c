/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * golang.bpf.c - BPF entry points at the functions of Go's crypto/tls.
 *
 * While a call waits, its goroutine may change its thread, and its stack the
 * place.  So a call is known by its goroutine and by its depth on the stack,
 * both of which outlive that.  Its return is one of the function's RET
 * instructions, each with a probe: a uretprobe would put an address on the
 * stack that the runtime's own unwinder does not know, and crash it.
 *
 * Read and Write of one connection run at the same time, on two CPUs, and
 * would share one accumulator without a lock.  They are as large as a buffer
 * of bufio or a TLS record anyway: each goes out by itself.
 *
 * Sources: Go's src/cmd/compile/abi-internal.md (goroutine in r14, arguments
 * and results in ax, bx, cx), doc/asm.html (ABI0: on the stack; goroutine at
 * fs:-8), src/runtime/runtime2.go (g begins with its stack's ends).
 */

struct go_call_key {
	u64 goroutine;
	u32 tgid;
	u32 depth; /* bytes from the return address to the stack's end */
};

struct go_call {
	u64 object; /* *tls.Conn; 0: no call */
	u64 from;   /* on the stack: less its end, negative */
	u64 entry_ns;
	u32 direction;
	u32 on_stack;
};

BPF_TABLE("lru_hash", struct go_call_key, struct go_call, go_calls,
	  MAX_THREADS);

struct go_stack {
	u64 low, high;
};

/* go_call_of - the key of the call that the goroutine is in; 0: it is none */
static __always_inline int go_call_of(struct pt_regs *ctx, u64 goroutine,
				      struct go_call_key *key,
				      struct go_stack *stack)
{
	u64 sp = PT_REGS_SP(ctx);

	if (bpf_probe_read_user(stack, sizeof(*stack), (void *)goroutine) ||
	    sp < stack->low || sp >= stack->high)
		return 0;
	key->goroutine = goroutine;
	key->tgid = bpf_get_current_pid_tgid() >> 32;
	key->depth = stack->high - sp;
	return 1;
}

/* go_enter - Read or Write begins; again, when the stack had to grow for it */
static __always_inline int go_enter(struct pt_regs *ctx, u32 direction,
				    u64 goroutine, u64 object, u64 from)
{
	struct go_call_key key = {};
	struct go_stack stack = {};
	struct go_call call = {}, *kept;

	if (!go_call_of(ctx, goroutine, &key, &stack))
		return 0;
	call.object = object;
	call.from = from;
	if (from >= stack.low && from < stack.high) {
		call.on_stack = 1;
		call.from -= stack.high;
	}
	call.entry_ns = bpf_ktime_get_ns();
	call.direction = direction;
	kept = go_calls.lookup(&key);
	if (kept)
		*kept = call;
	else
		go_calls.update(&key, &call);
	return 0;
}

/*
 * go_descriptor - the descriptor in what may be a *net.netFD; -1: it is none
 *
 * It begins with a poll.FD {fdmu [16]byte; Sysfd int; ...} of 56 bytes, then
 * {family, sotype int}: so since Go 1.11, src/net/fd_unix.go and
 * src/internal/poll/fd_unix.go.
 */
static __always_inline s32 go_descriptor(u64 at, u64 *family)
{
	u64 words[9] = {};

	if (!at || bpf_probe_read_user(words, sizeof(words), (void *)at) ||
	    words[2] >> 31 || words[8] != 1 || /* SOCK_STREAM */
	    (words[7] != 1 && words[7] != 2 && words[7] != 10))
		return -1;
	*family = words[7];
	return words[2];
}

/* go_word - a pointer in the program's memory; 0: there is none */
static __always_inline u64 go_word(u64 at)
{
	u64 word = 0;

	bpf_probe_read_user(&word, sizeof(word), (void *)at);
	return word;
}

/*
 * go_socket - the socket of a *tls.Conn, and its inode; -1: not known
 *
 * It begins with a net.Conn, {type, data}, whose data is a *net.TCPConn or
 * *net.UnixConn, {netFD *}; or a type of the program's own that begins with
 * one of these, or with a net.Conn.  What is found is believed when the
 * kernel has a socket of the same family by that descriptor.
 */
static __always_inline s32 go_socket(u64 object, u64 *inode)
{
	u64 family = 0, data = go_word(object + 8), first = go_word(data);
	s32 fd = go_descriptor(first, &family);
	u16 type = 0, real = 0;
	struct file *file;
	struct sock *sk;

	/* The shorter type first: behind it is another object's memory. */
	if (fd < 0)
		fd = go_descriptor(go_word(first), &family);
	if (fd < 0)
		fd = go_descriptor(go_word(go_word(data + 8)), &family);
	if (fd < 0)
		return -1;
	file = open_file(fd);
	if (kind_of(file, inode) != MODE_SOCKET)
		return -1;
	sk = sock_of(file, &type);
	bpf_probe_read_kernel(&real, sizeof(real),
			      &sk->__sk_common.skc_family);
	return type == 1 && real == family ? fd : -1;
}

/* go_hide_records - the plain socket below carries TLS records: not twice */
static __always_inline void go_hide_records(u64 inode, u64 tgid)
{
	struct accumulator_key plain = {};
	struct connection_value *value;
	u64 verdict = IGNORED_TLS;

	plain.object = OBJECT_SOCKET | inode;
	plain.tgid = tgid;
	if (ignored.lookup(&plain))
		return;
	value = connections.lookup(&plain);
	if (value)
		verdict = value->head.header.connection;
	ignored.update(&plain, &verdict);
}

/* go_connection - of a call's *tls.Conn; NULL: the map is full */
static __always_inline struct connection_value *
go_connection(struct pt_regs *ctx, struct counters *count,
	      struct accumulator_key *key)
{
	u64 inode = 0;
	s32 fd = go_socket(key->object, &inode);
	struct connection_value *value = connections.lookup(key);

	/* The same number may be another socket: let it be looked up. */
	if (value && fd >= 0 && value->head.socket != inode)
		value->head.fd = -1;
	value = connection_of(ctx, count, key, fd, 0, BATCH_TLS_GO);
	if (value && fd >= 0 && !(value->head.state & ACCUMULATOR_OPENED))
		go_hide_records(inode, key->tgid);
	return value;
}

/* go_unseen - bytes of a call that was begun before it was probed */
static __always_inline void go_unseen(struct counters *count, u32 tgid,
				      u64 length)
{
	if (!wanted(tgid))
		return;
	tally(&count->fragments, 1);
	tally(&count->bytes_seen, length);
	tally(&count->lost[LOSS_NO_ENTRY], length);
	tally(&count->hidden[LOSS_NO_ENTRY], length);
}

/* go_leave - Read or Write is about to return: what it moved is captured */
static __always_inline int go_leave(struct pt_regs *ctx, u64 goroutine,
				    s64 result)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 zero = 0;
	struct counters *count = counts.lookup(&zero);
	struct accumulator_key key = {};
	struct go_call_key call_key = {};
	struct go_stack stack = {};
	struct connection_value *value;
	struct fragment f = {};
	struct go_call *call;

	if (!count || !go_call_of(ctx, goroutine, &call_key, &stack))
		return 0;
	call = go_calls.lookup(&call_key);
	if (call) {
		key.object = call->object;
		call->object = 0;
	}
	if (result <= 0)
		return 0;
	f.length = result;
	if (!call || !key.object) {
		go_unseen(count, id >> 32, f.length);
		return 0;
	}
	f.from = call->on_stack ? stack.high + call->from : call->from;
	f.direction = call->direction;
	f.last_ns = bpf_ktime_get_ns();
	f.first_ns = f.direction == BATCH_OUT ? call->entry_ns : f.last_ns;
	f.tid = id;
	key.tgid = id >> 32;
	value = go_connection(ctx, count, &key);
	if (!admit(ctx, count, value, &key))
		return 0;
	tally(&count->fragments, 1);
	tally(&count->bytes_seen, f.length);
	hand_over(ctx, CONTEXT_UPROBE, count, value, &key, &f, id);
	return 0;
}

/* go0_goroutine - where the thread keeps it, in ABI0 */
static __always_inline u64 go0_goroutine(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 base = 0;

	bpf_probe_read_kernel(&base, sizeof(base), &task->thread.fsbase);
	return go_word(base - 8);
}

/* (*Conn).Read(b []byte) (n int, err error), since Go 1.17 */
int on_go_read(struct pt_regs *ctx)
{
	return go_enter(ctx, BATCH_IN, ctx->r14, ctx->ax, ctx->bx);
}

int on_go_write(struct pt_regs *ctx)
{
	return go_enter(ctx, BATCH_OUT, ctx->r14, ctx->ax, ctx->bx);
}

/* A RET of either. */
int on_go_return(struct pt_regs *ctx)
{
	return go_leave(ctx, ctx->r14, ctx->ax);
}

int on_go_close(struct pt_regs *ctx)
{
	return end_object(ctx, ctx->ax);
}

/* The same before Go 1.17: behind the return address c, b (3 words), n. */
int on_go0_read(struct pt_regs *ctx)
{
	return go_enter(ctx, BATCH_IN, go0_goroutine(),
			go_word(PT_REGS_SP(ctx) + 8),
			go_word(PT_REGS_SP(ctx) + 16));
}

int on_go0_write(struct pt_regs *ctx)
{
	return go_enter(ctx, BATCH_OUT, go0_goroutine(),
			go_word(PT_REGS_SP(ctx) + 8),
			go_word(PT_REGS_SP(ctx) + 16));
}

int on_go0_return(struct pt_regs *ctx)
{
	return go_leave(ctx, go0_goroutine(), go_word(PT_REGS_SP(ctx) + 40));
}

int on_go0_close(struct pt_regs *ctx)
{
	return end_object(ctx, go_word(PT_REGS_SP(ctx) + 8));
}
