/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kernel.h - what this kernel can do: probed, never guessed from a version.
 */
#ifndef DATASNOOP_PROBES_KERNEL_H
#define DATASNOOP_PROBES_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

struct kernel {
	char release[65];	/* uname */
	bool bpf;		/* bpf() may be called: a map was made */
	bool ring_buffer;	/* a ring buffer map was made */
	bool probe_read_user;	/* a program with the helper was loaded */
	bool uprobe_pmu;	/* /sys/bus/event_source/devices/uprobe */
	bool tracefs;		/* mounted, where: tracefs_path */
	char tracefs_path[64];
	bool syscall_tracepoints; /* syscalls:sys_enter_read is there */
	/* sock:sock_send_length is there, and bpf_task_pt_regs may be called */
	bool socket_tracepoints;
	/*
	 * What else is looked for at system calls is told of elsewhere: files
	 * that are mapped, io_urings, what sendfile moves.  Then none need be
	 * watched while no connection is of interest.
	 */
	bool on_demand;
	bool btf;		/* /sys/kernel/btf/vmlinux */
	bool capable;		/* CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON */
	bool host_pids;		/* this is the initial PID namespace */
	bool stats;		/* kernel.bpf_stats_enabled is on */
	char lockdown[32];	/* "none", "integrity", ...; "": not known */
};

void kernel_probe(struct kernel *kernel);

/* Raise RLIMIT_MEMLOCK as far as it may be raised (before 5.11 it counts). */
void kernel_raise_memlock(void);

#endif
