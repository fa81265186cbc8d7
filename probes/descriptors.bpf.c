/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * descriptors.bpf.c - BPF entry points where descriptors come and go.
 */

/*
 * Descriptors of a socket beyond the first that its process has.  Kept apart
 * from the connection, which begins with its first byte.
 */
BPF_TABLE("lru_hash", struct accumulator_key, u32, duplicates, 2048);

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
#ifdef STDIO
	begins_anew(tgid);
#endif
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
