/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mapped.bpf.c - BPF entry points where files are mapped: new libraries.
 */

/* tell_file - a file that is run now: told of, unless it has been judged */
static __always_inline void tell_file(void *ctx, struct counters *count,
				      struct file *file, u32 tgid)
{
	struct {
		struct batch header;
		struct batch_library library;
	} record = {};
	struct inode *inode = NULL;
	struct super_block *super = NULL;

	bpf_probe_read_kernel(&inode, sizeof(inode), &file->f_inode);
	bpf_probe_read_kernel(&super, sizeof(super), &inode->i_sb);
	bpf_probe_read_kernel(&record.library.device, 4, &super->s_dev);
	bpf_probe_read_kernel(&record.library.inode, 8, &inode->i_ino);
	bpf_probe_read_kernel(&record.library.size, 8, &inode->i_size);
	bpf_probe_read_kernel(&record.library.generation, 4,
			      &inode->i_generation);
	if (!record.library.inode || judged.lookup(&record.library))
		return;
	record.header.version = BATCH_VERSION;
	record.header.kind = BATCH_LIBRARY;
	record.header.length = sizeof(record.library);
	record.header.tgid = tgid;
	rouse(count); /* before it is used */
	if (send_record(ctx, count, &record, sizeof(record)))
		tally(&count->notices_lost, 1);
}

/* tell_program - the same of the file that execve has begun to run */
static __always_inline void tell_program(void *ctx, struct counters *count,
					 u32 tgid)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = NULL;
	struct file *file = NULL;

	bpf_probe_read_kernel(&mm, sizeof(mm), &task->mm);
	bpf_probe_read_kernel(&file, sizeof(file), &mm->exe_file);
	tell_file(ctx, count, file, tgid);
}

#ifdef ON_DEMAND
/* Of mmap's flags. */
#define MAP_KIND    0x0f /* MAP_TYPE */
#define MAP_OWN	    0x02 /* MAP_PRIVATE */
#define MAP_NO_FILE 0x20 /* MAP_ANONYMOUS */

/*
 * mmap:vm_unmapped_area: a file begins to be mapped, for this process alone
 *
 * All of the file at first, not yet executable: then its segments, at fixed
 * addresses, for which no area need be found.
 */
int on_unmapped_area(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *registers =
		(void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	u64 fd = 0, id = bpf_get_current_pid_tgid();
	u32 tgid = id >> 32, zero = 0;
	struct counters *count = counts.lookup(&zero);
	struct registers r = {};

	bpf_probe_read_kernel(&r, sizeof(r), &registers->dx);
	if (!r.program || r.number != NUMBER_MMAP || tgid == OWN_TGID ||
	    !count ||
	    (fourth(registers) & (MAP_KIND | MAP_NO_FILE)) != MAP_OWN)
		return 0;
	bpf_probe_read_kernel(&fd, sizeof(fd), &registers->r8);
	if ((s32)fd >= 0)
		tell_file(ctx, count, open_file(fd), tgid);
	return 0;
}
#else
/* mmap: a file mapped executable */
int on_mmap(struct system_call *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	struct counters *count = counts.lookup(&zero);

	if (!(ctx->arguments[2] & 4) || (s32)ctx->arguments[4] < 0 ||
	    tgid == OWN_TGID || !count) /* 4: PROT_EXEC */
		return 0;
	tell_file(ctx, count, open_file(ctx->arguments[4]), tgid);
	return 0;
}
#endif
