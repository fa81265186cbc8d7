/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * muted.bpf.h - sockets that nobody cares for, known at a glance.
 *
 * The map of what is ignored takes a descriptor's file and two look-ups in
 * hashes to ask: ten times what it takes to compare a few words here.  An
 * entry may be overwritten at any time; the socket is then asked after anew.
 */

#ifdef SOCKET_TRACEPOINTS
/* One for each CPU: never half written by another. */
struct muted {
	u64 sk;	   /* address of the struct sock, and of the inode's number: */
	u64 inode; /* memory of a socket that is gone is used again */
	u32 tgid;
	u32 tls_processes; /* as many as when it was judged */
};

#define MUTED_SLOT_BITS 12
BPF_PERCPU_ARRAY(muted_sockets, struct muted, 1 << MUTED_SLOT_BITS);
/*
 * Processes that use TLS, and how many have begun to: their TLS calls learn
 * which sockets they use from what moves there, of interest or not.
 */
BPF_TABLE("lru_hash", u32, u8, tls_users, 2048);
BPF_ARRAY(tls_processes, u32, 1);

static __always_inline struct muted *muted_slot(u64 sk)
{
	/* Fibonacci hashing (Knuth, TAOCP 6.4) */
	u32 slot = sk * 0x9e3779b97f4a7c15ULL >> (64 - MUTED_SLOT_BITS);

	return muted_sockets.lookup(&slot);
}

/* inode_of - the number of the inode that a socket was made with; 0: none */
static __always_inline u64 inode_of(struct sock *sk)
{
	struct socket *socket = NULL;
	struct socket_alloc *both;
	u64 number = 0;

	bpf_probe_read_kernel(&socket, sizeof(socket), &sk->sk_socket);
	both = (void *)socket;
	bpf_probe_read_kernel(&number, sizeof(number),
			      &both->vfs_inode.i_ino);
	return number;
}

/* is_muted - was this socket of this process found to be of no interest? */
static __always_inline int is_muted(struct sock *sk, u32 tgid)
{
	struct muted *muted = muted_slot((u64)sk);
	u32 zero = 0, *processes;

	if (!muted || muted->sk != (u64)sk || muted->tgid != tgid)
		return 0;
	processes = tls_processes.lookup(&zero);
	return processes && muted->tls_processes == *processes &&
	       muted->inode == inode_of(sk);
}

/* remember_muted - a socket whose bytes nobody wants, unless TLS is about */
static __always_inline void remember_muted(struct sock *sk, u64 inode,
					   u32 tgid)
{
	struct muted *muted = muted_slot((u64)sk);
	u32 zero = 0, *processes = tls_processes.lookup(&zero), so_far;

	if (!muted || !processes)
		return;
	so_far = *(volatile u32 *)processes; /* before the look-up */
	if (tls_users.lookup(&tgid))
		return;
	muted->sk = (u64)sk;
	muted->inode = inode;
	muted->tgid = tgid;
	muted->tls_processes = so_far;
}
#endif

/* begins_tls - a thread's first call of a TLS library */
static __always_inline void begins_tls(u32 tgid)
{
#ifdef SOCKET_TRACEPOINTS
	u32 zero = 0, *processes;
	u8 one = 1;

	if (tls_users.lookup(&tgid))
		return;
	tls_users.update(&tgid, &one);
	processes = tls_processes.lookup(&zero);
	if (processes)
		__sync_fetch_and_add(processes, 1);
#endif
}
