/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * descriptors.bpf.c - BPF entry points where descriptors come and go.
 */

/* notify - tell user space of something about the process, without payload */
static __always_inline void notify(void *ctx, struct counters *count, u8 kind,
				   u32 tgid)
{
	struct batch notice = {};

	notice.version = BATCH_VERSION;
	notice.kind = kind;
	notice.tgid = tgid;
	notice.first_ns = bpf_ktime_get_ns();
	if (send_record(ctx, count, &notice, sizeof(notice)))
		tally(&count->notices_lost, 1);
}

#if FILE_COUNT
#define FILE_REFERENCES f_count
#define FILE_ALONE	1
#else
#define FILE_REFERENCES f_ref.refcnt
#define FILE_ALONE	0 /* it counts the others */
#endif

/* is_shared - has anything else this file: a descriptor, a process, a call? */
static __always_inline int is_shared(struct file *file)
{
	u64 references = 0;

	bpf_probe_read_kernel(&references, sizeof(references),
			      &file->FILE_REFERENCES);
	return references > FILE_ALONE;
}

/*
 * descriptor_closes - the last descriptor of a socket ends its connection;
 * whether it is the last user space looks, where it need not be
 */
static __always_inline void descriptor_closes(void *ctx, u32 fd)
{
	u64 id = bpf_get_current_pid_tgid(), number = 0;
	u32 zero = 0;
	struct counters *count = counts.lookup(&zero);
	struct accumulator_key key = {};
	struct connection_value *value;
	struct file *file = open_file(fd);

	if (id >> 32 == OWN_TGID || !count ||
	    kind_of(file, &number) != MODE_SOCKET)
		return;
	key.object = OBJECT_SOCKET | number;
	key.tgid = id >> 32;
	value = connections.lookup(&key);
	if (!value)
		ignored.delete(&key);
	else if (is_shared(file))
		notify(ctx, count, BATCH_CLOSING, id >> 32);
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
#ifdef STDIO
	begins_anew(tgid);
#endif
	tell_program(ctx, count, tgid);
	if (!talkers.lookup(&tgid))
		return 0;
	calls.delete(&id); /* of the program that is no more */
	notify(ctx, count, BATCH_EXEC, tgid);
	return 0;
}

/* close_range: user space looks which connections these are */
int on_close_range(struct system_call *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	struct counters *count = counts.lookup(&zero);

	if (tgid == OWN_TGID || !count || ctx->arguments[2] & 4)
		return 0; /* 4: CLOSE_RANGE_CLOEXEC closes nothing */
	if (talkers.lookup(&tgid))
		notify(ctx, count, BATCH_CLOSING, tgid);
	return 0;
}
