/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kernel.c - what this kernel can do: probed, never guessed from a version.
 *
 * Distributions carry features back: a 4.18 may have what came with 5.8.  So
 * each feature is tried with the bpf system call itself, the smallest map or
 * program that needs it, and thrown away again.
 *
 * Sources: bpf(2), linux/bpf.h, capabilities(7), kernel_lockdown(7).
 */
#include "probes/kernel.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "probes/btf.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"

/*
 * Part of the system call's ABI, and newer than the headers of some systems
 * that this is built on.
 */
#define MAP_TYPE_RINGBUF 27
#define HELPER_PROBE_READ_USER 112
#define HELPER_CURRENT_TASK_BTF 158
#define HELPER_TASK_PT_REGS 175
#define CAPABILITY_PERFMON 38
#define CAPABILITY_BPF 39

static int bpf_call(enum bpf_cmd command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

/* Was the file descriptor made?  Then close it. */
static bool made(int fd)
{
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static bool can_create_map(uint32_t type, uint32_t key_size,
			   uint32_t value_size, uint32_t entries)
{
	union bpf_attr attributes;

	memset(&attributes, 0, sizeof(attributes));
	attributes.map_type = type;
	attributes.key_size = key_size;
	attributes.value_size = value_size;
	attributes.max_entries = entries;
	return made(bpf_call(BPF_MAP_CREATE, &attributes));
}

static bool can_load(enum bpf_prog_type type, const struct bpf_insn *program,
		     size_t count)
{
	union bpf_attr attributes;

	memset(&attributes, 0, sizeof(attributes));
	attributes.prog_type = type;
	attributes.insns = (uintptr_t)program;
	attributes.insn_cnt = count;
	attributes.license = (uintptr_t) "GPL";
	return made(bpf_call(BPF_PROG_LOAD, &attributes));
}

/*
 * A tracepoint program that calls helper(frame pointer - 8, 8, NULL).  Not a
 * kprobe one: those must name the kernel's version before 5.0.
 */
static bool can_call(int32_t helper)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X,
		  .dst_reg = BPF_REG_1,
		  .src_reg = BPF_REG_10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K,
		  .dst_reg = BPF_REG_1,
		  .imm = -8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K,
		  .dst_reg = BPF_REG_2,
		  .imm = 8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3 },
		{ .code = BPF_JMP | BPF_CALL, .imm = helper },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return can_load(BPF_PROG_TYPE_TRACEPOINT, program,
			sizeof(program) / sizeof(*program));
}

/* bpf_task_pt_regs(bpf_get_current_task_btf()): the user's registers. */
static bool can_find_registers(void)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = HELPER_CURRENT_TASK_BTF },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X,
		  .dst_reg = BPF_REG_1,
		  .src_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = HELPER_TASK_PT_REGS },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return can_load(BPF_PROG_TYPE_RAW_TRACEPOINT, program,
			sizeof(program) / sizeof(*program));
}

/* The first line of a small file; "" when it cannot be read. */
static void read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? 0 : read(fd, line, size - 1);

	line[count > 0 ? count : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

/* "none [integrity] confidentiality": the one in brackets is in force. */
static void probe_lockdown(struct kernel *kernel)
{
	char line[80], *from;

	read_line("/sys/kernel/security/lockdown", line, sizeof(line));
	from = strchr(line, '[');
	if (from)
		snprintf(kernel->lockdown, sizeof(kernel->lockdown), "%.*s",
			 (int)strcspn(from + 1, "]"), from + 1);
}

static bool has_event(const struct kernel *kernel, const char *event)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/events/%s", kernel->tracefs_path,
		 event);
	return !access(path, F_OK);
}

/* The two places where libbcc looks, in its order. */
static void probe_tracefs(struct kernel *kernel)
{
	static const char *const paths[] = { "/sys/kernel/debug/tracing",
					     "/sys/kernel/tracing" };
	char path[128];

	for (size_t i = 0; i < 2 && !kernel->tracefs; i++) {
		/* The mount point is there without the file system too. */
		snprintf(path, sizeof(path), "%s/events", paths[i]);
		if (access(path, F_OK))
			continue;
		kernel->tracefs = true;
		snprintf(kernel->tracefs_path, sizeof(kernel->tracefs_path),
			 "%s", paths[i]);
		kernel->syscall_tracepoints =
			has_event(kernel, "syscalls/sys_enter_read");
		kernel->socket_tracepoints =
			has_event(kernel, "sock/sock_send_length") &&
			can_find_registers();
	}
}

/*
 * sendfile goes through sock_sendmsg(), which tells of it, since sockets have
 * no way of their own for it (proto_ops.sendpage, until 6.5).
 */
static void probe_on_demand(struct kernel *kernel)
{
	kernel->on_demand = kernel->socket_tracepoints &&
			    has_event(kernel, "mmap/vm_unmapped_area") &&
			    has_event(kernel, "io_uring/io_uring_create") &&
			    !btf_has_member(BTF_PATH, "proto_ops", "sendpage");
}

static void probe_capabilities(struct kernel *kernel)
{
	if (capng_get_caps_process())
		return;
	kernel->capable =
		capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN) ||
		(capng_have_capability(CAPNG_EFFECTIVE, CAPABILITY_BPF) &&
		 capng_have_capability(CAPNG_EFFECTIVE, CAPABILITY_PERFMON));
}

/* Inode of the initial PID namespace: PROC_PID_INIT_INO, linux/proc_ns.h. */
#define PID_NAMESPACE_INITIAL 0xEFFFFFFCU

void kernel_probe(struct kernel *kernel)
{
	struct utsname name;
	struct stat status;
	char line[8];

	memset(kernel, 0, sizeof(*kernel));
	if (!uname(&name))
		snprintf(kernel->release, sizeof(kernel->release), "%s",
			 name.release);
	kernel->bpf = can_create_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1);
	kernel->ring_buffer = can_create_map(MAP_TYPE_RINGBUF, 0, 0,
					     sysconf(_SC_PAGESIZE));
	kernel->probe_read_user = can_call(HELPER_PROBE_READ_USER);
	kernel->uprobe_pmu =
		!access("/sys/bus/event_source/devices/uprobe/type", F_OK);
	kernel->btf = !access(BTF_PATH, R_OK);
	read_line("/proc/sys/kernel/bpf_stats_enabled", line, sizeof(line));
	kernel->stats = !strcmp(line, "1");
	kernel->host_pids = !stat("/proc/self/ns/pid", &status) &&
			    status.st_ino == PID_NAMESPACE_INITIAL;
	probe_tracefs(kernel);
	probe_on_demand(kernel);
	probe_capabilities(kernel);
	probe_lockdown(kernel);
}

void kernel_raise_memlock(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	if (!setrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	/* Without the right to go beyond it, up to the hard limit. */
	if (!getrlimit(RLIMIT_MEMLOCK, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_MEMLOCK, &limit);
	}
}
