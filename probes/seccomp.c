/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seccomp.c - can a uretprobe kill a process that filters its system calls?
 *
 * Sources: seccomp(2), proc(5); arch/x86/entry/syscalls/syscall_64.tbl of
 * Linux 6.11: uretprobe is number 335, and answers SIGILL to who calls it
 * from anywhere but the kernel's own trampoline.
 */
#include "probes/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define URETPROBE_NUMBER 335

#if defined(__x86_64__)
/* A filter that refuses the one call. */
static int refuse_uretprobe(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, URETPROBE_NUMBER, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | SECCOMP_ANSWER),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

/* The call, made by a child; its wait status, or -1. */
static int call_in_child(bool filtered)
{
	const struct rlimit no_core = {0, 0};
	int status = -1;
	pid_t child = fork();

	if (!child) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGILL, SIG_DFL);
		if (filtered && refuse_uretprobe())
			_exit(0);
		_exit(syscall(URETPROBE_NUMBER) < 0 ? errno : 0);
	}
	if (child < 0)
		return -1;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

bool seccomp_sees_uretprobes(void)
{
	return seccomp_decides(call_in_child(false), call_in_child(true));
}
#else
bool seccomp_sees_uretprobes(void)
{
	return false;
}
#endif

bool seccomp_decides(int plain, int filtered)
{
	if (plain == -1 || !WIFSIGNALED(plain) || WTERMSIG(plain) != SIGILL)
		return false; /* there is no such call */
	return filtered != -1 && WIFEXITED(filtered) &&
	       WEXITSTATUS(filtered) == SECCOMP_ANSWER;
}

bool seccomp_has_filter(const char *status)
{
	FILE *file = fopen(status, "re");
	char line[256];
	int mode = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Seccomp: %d", &mode) == 1)
			break;
	if (file)
		fclose(file);
	return mode == SECCOMP_MODE_FILTER;
}
