/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * links.c - uprobes by BPF links, since Linux 6.6; and closing many at once.
 *
 * The part of bpf(2)'s ABI that is newer than Debian 12's headers is here.
 * Source: include/uapi/linux/bpf.h and bpf_uprobe_multi_link_attach() in
 * kernel/trace/bpf_trace.c of Linux 6.6.
 */
#include "probes/links.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ATTACH_UPROBE_MULTI   48 /* BPF_TRACE_UPROBE_MULTI */
#define UPROBE_MULTI_RETURN   1	 /* BPF_F_UPROBE_MULTI_RETURN */
#define CLOSERS_MAX	      64 /* threads that wait for the kernel */
#define CLOSER_STACK_BYTES    65536

/* union bpf_attr's link_create with its uprobe_multi, as of 6.6. */
struct link_create {
	uint32_t program;
	uint32_t target;
	uint32_t attach_type;
	uint32_t flags;
	uint64_t path;
	uint64_t offsets;
	uint64_t ref_ctr_offsets;
	uint64_t cookies;
	uint32_t count;
	uint32_t multi_flags;
	uint32_t pid;
	uint32_t reserved;
};

int links_attach(int program, const char *path, uint64_t offset,
		 bool on_return)
{
	struct link_create create = {
		.program = (uint32_t)program,
		.attach_type = ATTACH_UPROBE_MULTI,
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)&offset,
		.count = 1,
		.multi_flags = on_return ? UPROBE_MULTI_RETURN : 0,
	};
	long link = syscall(SYS_bpf, BPF_LINK_CREATE, &create, sizeof(create));

	return link < 0 ? -errno : (int)link;
}

int links_load(const char *name, const char *license, const void *code,
	       size_t instructions, char *log, size_t log_size)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options,
		    .expected_attach_type =
			    (enum bpf_attach_type)ATTACH_UPROBE_MULTI,
		    .log_level = log_size ? 1 : 0, .log_buf = log,
		    .log_size = (uint32_t)log_size);
	int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, name, license, code,
			       instructions, &options);

	return fd < 0 ? -errno : fd;
}

/* A directory has no uprobes: who knows links says so, who does not, not. */
bool links_supported(void)
{
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int program = links_load("nothing", "GPL", nothing, 2, NULL, 0);
	int link;

	if (program < 0)
		return false;
	link = links_attach(program, "/", 0, false);
	close(program);
	return link == -EBADF;
}

struct closer {
	const int *descriptors;
	size_t count, step;
	pthread_t thread;
	bool runs;
};

static void *close_some(void *context)
{
	const struct closer *closer = context;

	for (size_t i = 0; i < closer->count; i += closer->step)
		close(closer->descriptors[i]);
	return NULL;
}

void links_close(const int *descriptors, size_t count)
{
	size_t threads = count < CLOSERS_MAX ? count : CLOSERS_MAX, i;
	struct closer closers[CLOSERS_MAX];
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, CLOSER_STACK_BYTES);
	for (i = 0; i < threads; i++) {
		closers[i] = (struct closer){descriptors + i, count - i,
					     threads, 0, false};
		closers[i].runs = !pthread_create(&closers[i].thread,
						  &attributes, close_some,
						  &closers[i]);
		if (!closers[i].runs)
			close_some(&closers[i]);
	}
	for (i = 0; i < threads; i++)
		if (closers[i].runs)
			pthread_join(closers[i].thread, NULL);
	pthread_attr_destroy(&attributes);
}
