/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * connection.bpf.h - whose bytes these are: process, socket, accumulator.
 *
 * Every kernel pointer is followed by an explicit read: what the chain of
 * them leads to may be gone, and reads as zeroes then.
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
#include <linux/mm_types.h>
#include <linux/pid.h>
#include <linux/dcache.h>
#include <linux/cgroup-defs.h>
#include <linux/kernfs.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/net.h>
#include <net/sock.h>
#include <net/af_unix.h>

#define UNIX_PATH_BYTES 108 /* of sun_path */

/* Of an inode's mode; which macros the kernel's types come with differs. */
enum mode {
	MODE_TYPE = 0170000,   /* S_IFMT */
	MODE_SOCKET = 0140000, /* S_IFSOCK */
	MODE_FIFO = 0010000    /* S_IFIFO */
};

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

#ifdef FILTER_CGROUPS
/*
 * Control groups of which user space has said that no process is wanted.  One
 * that is not here is let through: user space sees its path, and judges.
 */
BPF_TABLE("lru_hash", u64, u8, other_cgroups, 4096);
#endif

/* Files mapped executable that user space has judged. */
BPF_TABLE("lru_hash", struct batch_library, u8, judged, 4096);

/*
 * What is not captured: key -> enum ignored.  One that falls out is looked at
 * afresh, as a connection that was begun before.
 */
BPF_TABLE("lru_hash", struct accumulator_key, u64, ignored, IGNORED_MAX);

/*
 * Processes that had a connection: who else runs a program is no news.  Of one
 * that falls out the connections stay until the process ends.
 */
BPF_TABLE("lru_hash", u32, u8, talkers, 2048);

/* The context of a syscalls:sys_enter_* tracepoint; its format is ABI. */
struct system_call {
	u64 common;
	s64 number;
	u64 arguments[6];
};

/* process_comm - name of the group's leader; the leader */
static __always_inline u64 process_comm(char comm[BATCH_COMM_BYTES])
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = NULL;

	bpf_probe_read_kernel(&leader, sizeof(leader), &task->group_leader);
	bpf_probe_read_kernel(comm, BATCH_COMM_BYTES, &leader->comm);
	return (u64)leader;
}

/* exec_id - tells the programs apart that a process runs one after another */
static __always_inline u32 exec_id(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u32 id = 0; /* the low half, since it has 64 bits */

	bpf_probe_read_kernel(&id, sizeof(id), &task->self_exec_id);
	return id;
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
#ifdef FILTER_CGROUPS
	u64 cgroup = bpf_get_current_cgroup_id();

	if (other_cgroups.lookup(&cgroup))
		return 0;
#endif
	return 1;
}

/* open_file - the struct file behind a descriptor of this process; or NULL */
static __always_inline struct file *open_file(u32 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct files_struct *files = NULL;
	struct fdtable *table = NULL, head = {};
	struct file *file = NULL;

	bpf_probe_read_kernel(&files, sizeof(files), &task->files);
	bpf_probe_read_kernel(&table, sizeof(table), &files->fdt);
	/* max_fds, and next to it fd[] */
	bpf_probe_read_kernel(&head, __builtin_offsetof(struct fdtable,
						  close_on_exec),
			      table);
	if (fd < head.max_fds)
		bpf_probe_read_kernel(&file, sizeof(file), head.fd + fd);
	return file;
}

/* kind_of - MODE_SOCKET or MODE_FIFO, and its inode number; 0: something else */
static __always_inline u32 kind_of(struct file *file, u64 *number)
{
	struct inode *inode = NULL;
	umode_t mode = 0;

	bpf_probe_read_kernel(&inode, sizeof(inode), &file->f_inode);
	bpf_probe_read_kernel(&mode, sizeof(mode), &inode->i_mode);
	mode &= MODE_TYPE;
	if (mode != MODE_SOCKET && mode != MODE_FIFO)
		return 0;
	bpf_probe_read_kernel(number, sizeof(*number), &inode->i_ino);
	return mode;
}

/* socket_inode - inode number of the socket that `fd` is; 0: it is none */
static __always_inline u64 socket_inode(u32 fd)
{
	u64 number = 0;

	return kind_of(open_file(fd), &number) == MODE_SOCKET ? number : 0;
}

/* sock_of - the struct sock behind a socket's file; and its type */
static __always_inline struct sock *sock_of(struct file *file, u16 *type)
{
	struct socket *socket = NULL;
	struct sock *sk = NULL;

	bpf_probe_read_kernel(&socket, sizeof(socket), &file->private_data);
	bpf_probe_read_kernel(type, sizeof(*type), &socket->type);
	bpf_probe_read_kernel(&sk, sizeof(sk), &socket->sk);
	return sk;
}

/* unix_path - the name of an AF_UNIX socket into *open; 0: it has none */
static __always_inline int unix_path(struct sock *sk, struct batch_open *open)
{
	struct unix_address *address = NULL;
	struct unix_sock *end = (void *)sk;
	u32 size = 0;
	u64 length;

	bpf_probe_read_kernel(&address, sizeof(address), &end->addr);
	if (!address)
		return 0;
	bpf_probe_read_kernel(&size, sizeof(size), &address->len);
	if (size <= 2) /* sun_family alone */
		return 0;
	/* No more than its length: an abstract name has no end of its own. */
	length = size - 2;
	asm volatile("" : "+r"(length));
	if (length > UNIX_PATH_BYTES)
		length = UNIX_PATH_BYTES;
	bpf_probe_read_kernel(open->path, length, &address->name[0].sun_path);
	return 1;
}

/* unix_ends - the two ends of an AF_UNIX socket, and who made the other */
static __always_inline void unix_ends(struct sock *sk, struct batch_open *open)
{
	struct unix_sock *end = (void *)sk;
	struct sock *peer = NULL;
	struct pid *pid = NULL;

	bpf_probe_read_kernel(&peer, sizeof(peer), &end->peer);
	bpf_probe_read_kernel(&pid, sizeof(pid), &sk->sk_peer_pid);
	bpf_probe_read_kernel(&open->peer_pid, sizeof(open->peer_pid),
			      &pid->numbers[0].nr);
	open->local_socket = (u64)sk;
	open->remote_socket = (u64)peer;
	if (unix_path(sk, open))
		open->flags |= OPEN_PATH_LOCAL;
	else
		unix_path(peer, open);
}

/* addresses - the two ends of the socket that `fd` is, into *open */
static __always_inline void addresses(u32 fd, struct batch_open *open)
{
	__be16 remote_port = 0;
	u16 type;
	struct sock *sk = sock_of(open_file(fd), &type);

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
		if (open->family == 1) /* AF_UNIX */
			unix_ends(sk, open);
		return;
	}
	bpf_probe_read_kernel(&open->local_port, sizeof(open->local_port),
			      &sk->__sk_common.skc_num);
	bpf_probe_read_kernel(&remote_port, sizeof(remote_port),
			      &sk->__sk_common.skc_dport);
	open->remote_port = bpf_ntohs(remote_port);
}

/*
 * command_line - the program's file and arguments, before it can be gone
 *
 * Read here and not from /proc: a process that speaks and dies within a few
 * milliseconds has no /proc entry when user space comes to look.
 */
static __always_inline void command_line(struct batch_open *open)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = NULL;
	struct file *file = NULL;
	struct dentry *dentry = NULL;
	const unsigned char *name = NULL;
	unsigned long start = 0, end = 0;
	u64 length;

	bpf_probe_read_kernel(&mm, sizeof(mm), &task->mm);
	bpf_probe_read_kernel(&file, sizeof(file), &mm->exe_file);
	bpf_probe_read_kernel(&dentry, sizeof(dentry), &file->f_path.dentry);
	bpf_probe_read_kernel(&name, sizeof(name), &dentry->d_name.name);
	bpf_probe_read_kernel_str(open->executable, BATCH_NAME_BYTES, name);
	bpf_probe_read_kernel(&start, sizeof(start), &mm->arg_start);
	bpf_probe_read_kernel(&end, sizeof(end), &mm->arg_end);
	length = end - start;
	asm volatile("" : "+r"(length));
	if (length > BATCH_ARGUMENTS_BYTES)
		length = BATCH_ARGUMENTS_BYTES;
	if (length && !bpf_probe_read_user(open->arguments, length,
					   (void *)start))
		open->arguments_length = length;
}

/* control_group - its id, and the last part of its path */
static __always_inline void control_group(struct batch_open *open)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct css_set *set = NULL;
	struct cgroup *group = NULL;
	struct kernfs_node *node = NULL;
	const char *name = NULL;

	open->cgroup = bpf_get_current_cgroup_id();
	bpf_probe_read_kernel(&set, sizeof(set), &task->cgroups);
	bpf_probe_read_kernel(&group, sizeof(group), &set->dfl_cgrp);
	bpf_probe_read_kernel(&node, sizeof(node), &group->kn);
	bpf_probe_read_kernel(&name, sizeof(name), &node->name);
	bpf_probe_read_kernel_str(open->cgroup_name, BATCH_CGROUP_BYTES, name);
}

/*
 * claim - a scratch of this CPU that no preempted program uses; NULL: none
 *
 * Atomic additions alone (4.18 fetches none): who reads 1 after its own
 * addition is alone until it subtracts again.
 */
static __always_inline struct scratch *claim(void)
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
				scratch->owner = 0;
				return scratch;
			}
			tally(&scratch->claims, -1);
		}
	}
	return NULL;
}

static __always_inline void unclaim(struct scratch *scratch)
{
	scratch->owner = 0;
	tally(&scratch->claims, -1);
}

/*
 * claimed - the scratch that this thread claimed before a tail call; or NULL
 *
 * By its owner and not by a slot of the thread's, which might be evicted; a
 * program does not change its CPU in a tail call.
 */
static __always_inline struct scratch *claimed(u64 owner)
{
	struct scratch *scratch;
	u32 index = 0;

#pragma unroll
	for (u32 i = 0; i < SCRATCHES; i++) {
		index = i;
		scratch = scratches.lookup(&index);
		if (scratch && scratch->owner == owner)
			return scratch;
	}
	return NULL;
}

/*
 * announce - tell user space whose connection this is; again, if need be
 *
 * Without a scratch to write it in it is told with the next fragment.
 */
static __always_inline void announce(void *ctx, struct counters *count,
				     struct accumulator *head, u64 object)
{
	struct scratch *scratch = claim();
	struct batch_open *open;
	struct task_struct *leader;

	if (!scratch)
		return;
	open = (void *)scratch->payload;
	__builtin_memset(&scratch->header, 0, sizeof(scratch->header));
	__builtin_memset(open, 0, sizeof(*open));
	scratch->header.version = BATCH_VERSION;
	scratch->header.kind = BATCH_OPEN;
	scratch->header.length = sizeof(*open);
	scratch->header.connection = head->header.connection;
	scratch->header.tgid = head->header.tgid;
	open->object = object;
	open->tls = head->header.tls;
	open->fd = head->fd;
	open->uid = bpf_get_current_uid_gid();
	leader = (void *)process_comm(open->comm);
	bpf_probe_read_kernel(&open->start_ns, 8, &leader->PROCESS_START);
	control_group(open);
	command_line(open);
	if (head->state & ACCUMULATOR_INFERRED)
		open->flags |= OPEN_INFERRED;
	if (object & OBJECT_STDIO)
		open->flags |= OPEN_STDIO;
	else if (head->fd >= 0)
		addresses(head->fd, open);
	if (!send_record(ctx, count, &scratch->header,
			 HEADER_BYTES + sizeof(*open)))
		head->state |= ACCUMULATOR_OPENED;
	unclaim(scratch);
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

/* linger - a connection that has ended is user space's to end */
static __always_inline void linger(struct counters *count,
				   struct connection_value *value)
{
	value->head.state |= ACCUMULATOR_CLOSED;
	tally(&count->left, 1);
	let_go(value);
}

/*
 * retire - a connection ends: what waits, then BATCH_CLOSE, then the entry
 * @successor: the key is needed for another connection now
 *
 * Without room for BATCH_CLOSE, or while another thread moves bytes of it, the
 * entry stays, marked, for user space to find; unless a successor needs its
 * place.
 */
static __always_inline void retire(void *ctx, struct counters *count,
				   struct connection_value *value,
				   struct accumulator_key *key, int successor)
{
	struct batch *header = &value->head.header;

	if (value->head.state & ACCUMULATOR_MUTED) { /* its end was told */
		connections.delete(key);
		return;
	}
	if (!hold_all(value) && !successor) {
		linger(count, value);
		return;
	}
	tally(&value->head.version, 1);
	if (header->length)
		flush(ctx, count, value);
	header->kind = BATCH_CLOSE;
	header->offset = value->head.offsets[BATCH_IN];
	header->missed = value->head.offsets[BATCH_OUT];
	if (!send_record(ctx, count, header, HEADER_BYTES)) {
		value->head.state |= ACCUMULATOR_MUTED;
		connections.delete(key);
	} else if (successor) {
		forget(count, value, key);
	} else {
		header->kind = BATCH_DATA;
		header->missed = 0;
		tally(&value->head.version, 1);
		linger(count, value);
	}
}

/*
 * hush - user space does not want this connection: what waits, the totals,
 * and nothing more.  Not 0: that could not be told, or another thread moves
 * bytes of it: it goes on.
 */
static __always_inline int hush(void *ctx, struct counters *count,
				struct connection_value *value)
{
	struct batch *header = &value->head.header;
	int failed;

	if (!hold_all(value)) {
		let_go(value);
		return 1;
	}
	tally(&value->head.version, 1);
	value->head.state |= ACCUMULATOR_MUTED;
	if (header->length)
		flush(ctx, count, value);
	header->kind = BATCH_CLOSE;
	header->offset = value->head.offsets[BATCH_IN];
	header->missed = value->head.offsets[BATCH_OUT];
	failed = send_record(ctx, count, header, HEADER_BYTES);
	header->kind = BATCH_DATA;
	header->missed = 0;
	if (failed)
		value->head.state &= ~ACCUMULATOR_MUTED;
	tally(&value->head.version, 1);
	let_go(value);
	return failed;
}

/*
 * establish - a new connection's accumulator; NULL: the map is full
 *
 * Two threads may begin one socket at once.  It is made once; who comes second
 * may get it before it has its number: see is_nascent().
 */
static __always_inline struct connection_value *
establish(struct accumulator_key *key, s32 fd, u64 socket, u8 tls)
{
	u32 zero = 0, tgid = key->tgid;
	struct connection_value *value = blank.lookup(&zero);
	int taken;
	u8 one = 1;

	if (!value)
		return NULL;
	talkers.update(&tgid, &one);
	taken = connections.insert(key, value);
	value = connections.lookup(key);
	if (!value || taken)
		return value;
	value->head.fd = fd;
	value->head.socket = socket;
	value->head.exec_id = exec_id();
	value->head.state = wanted(key->tgid) ? 0 : ACCUMULATOR_MUTED;
	value->head.header.version = BATCH_VERSION;
	value->head.header.kind = BATCH_DATA;
	value->head.header.tgid = key->tgid;
	value->head.header.tls = tls;
	/* Unique: no two are made on one CPU in the same nanosecond. */
	value->head.header.connection =
		bpf_ktime_get_ns() << 8 | (u8)bpf_get_smp_processor_id();
	return value;
}

/* is_nascent - is another thread just about to make it? */
static __always_inline int is_nascent(struct connection_value *value)
{
	return !*(volatile u64 *)&value->head.header.connection;
}

