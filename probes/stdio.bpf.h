/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stdio.bpf.h - standard input and output as a connection: servers of MCP.
 *
 * The pipes, or a pair of sockets without a name, that a process reads as its
 * descriptor 0 and writes as 1.
 */

#ifdef STDIO
/*
 * What processes move by standard input and output, by the low bits of their
 * number: whoever shares a slot with a speaker is looked at more closely.
 */
struct stdio_user {
	u32 tgid;
	u32 refused; /* calls that began no message; or STDIO_SPEAKS */
};

#define STDIO_SLOTS  4096
#define STDIO_SPEAKS 0xffffffffU
#define STDIO_TRIES  256 /* calls in a row, all looked at; then */
#define STDIO_EVERY  64	 /* one of so many, a power of two */
BPF_ARRAY(stdio_users, struct stdio_user, STDIO_SLOTS);

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

static __always_inline struct stdio_user *stdio_user(u32 tgid)
{
	u32 slot = tgid & (STDIO_SLOTS - 1);

	return stdio_users.lookup(&slot);
}

/*
 * may_speak - may this be of a connection by standard input and output?
 *
 * The pipes of a host carry much else, in processes that live for a moment:
 * what does not begin as a message of JSON-RPC makes no connection, and who
 * moves bulk data is not read at each call.
 */
static __always_inline int may_speak(u32 tgid, u64 from)
{
	struct stdio_user *user = stdio_user(tgid);
	u8 first = 0;

	if (!user || user->refused == STDIO_SPEAKS)
		return 1;
	if (user->tgid != tgid) {
		user->tgid = tgid;
		user->refused = 0;
	}
	if (user->refused >= STDIO_TRIES && user->refused & (STDIO_EVERY - 1)) {
		user->refused++;
		return 0;
	}
	bpf_probe_read_user(&first, sizeof(first), (void *)from);
	if (first == '{' || first == '[')
		return 1;
	user->refused = (user->refused + 1) & ~(1U << 31);
	return 0;
}

/* speaks - the process has a connection by standard input and output */
static __always_inline void speaks(u32 tgid)
{
	struct stdio_user *user = stdio_user(tgid);

	if (user)
		user->refused = STDIO_SPEAKS;
}

/* begins_anew - another program runs: what it moves is looked at again */
static __always_inline void begins_anew(u32 tgid)
{
	struct stdio_user *user = stdio_user(tgid);

	if (user && user->refused != STDIO_SPEAKS)
		user->refused = 0;
}
#endif
