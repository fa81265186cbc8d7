/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * headers.c - where the kernel's types come from.
 *
 * libbcc compiles against a kernel tree: it changes into BCC_KERNEL_SOURCE
 * (or finds the running kernel's build tree, or unpacks kheaders.tar.xz) and
 * includes include/linux/kconfig.h before everything else.  A host without
 * any such tree still has the types, as BTF: then a tree is written whose
 * kconfig.h declares what the BPF program follows, and whose other headers
 * exist only so that including them works.  Of a tree that is split in two,
 * as Debian's, one is made of links to both halves.
 */
#include "probes/headers.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "probes/btf.h"
#include "probes/split.h"

#define KHEADERS_PATH "/sys/kernel/kheaders.tar.xz"
#define BTF_PATH      "/sys/kernel/btf/vmlinux"

/* What the BPF program follows from a task to the ends of its sockets. */
static const char *const btf_names[] = {
	"pt_regs", "task_struct",  "signal_struct", "cred",
	"nsproxy", "files_struct", "fdtable",	    "file",
	"inode",   "super_block",  "socket_alloc",  "sock_common",
	"sock",	   "inet_sock",	   "unix_sock",	    "unix_address",
	"pid",	   "mm_struct",	   "dentry",	    "css_set",
	"cgroup",  "kernfs_node",  NULL,
};

/* What libbcc or a BPF program includes; all is in kconfig.h. */
static const char *const empty_headers[] = {
	"include/asm/page.h",
	"include/asm/ptrace.h",
	"include/linux/bpf.h",
	"include/linux/bpf_common.h",
	"include/linux/cgroup-defs.h",
	"include/linux/cred.h",
	"include/linux/dcache.h",
	"include/linux/fdtable.h",
	"include/linux/fs.h",
	"include/linux/in.h",
	"include/linux/in6.h",
	"include/linux/kernfs.h",
	"include/linux/log2.h",
	"include/linux/mm_types.h",
	"include/linux/net.h",
	"include/linux/pid.h",
	"include/linux/ptrace.h",
	"include/linux/sched.h",
	"include/linux/sched/signal.h",
	"include/linux/socket.h",
	"include/linux/stat.h",
	"include/linux/tcp.h",
	"include/linux/types.h",
	"include/linux/un.h",
	"include/linux/version.h",
	"include/net/af_unix.h",
	"include/net/inet_sock.h",
	"include/net/sock.h",
	"include/uapi/linux/bpf.h",
	"include/uapi/linux/if_ether.h",
	"include/uapi/linux/if_packet.h",
	"include/uapi/linux/ptrace.h",
	NULL,
};

/* The types that libbcc's own headers use, and macros, which BTF lacks. */
static const char preamble[] =
	"#define CONFIG_BPF_SYSCALL 1\n"
	"#define NULL ((void *)0)\n"
	"#define AF_UNIX 1\n"
	"#define AF_INET 2\n"
	"#define AF_INET6 10\n"
	"#define S_IFMT 00170000\n"
	"#define S_IFSOCK 0140000\n"
	"#define S_ISSOCK(mode) (((mode) & S_IFMT) == S_IFSOCK)\n"
	"#define KERNEL_VERSION(a, b, c) \\\n"
	"\t(((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))\n"
	"typedef unsigned char __u8, u8;\n"
	"typedef signed char __s8, s8;\n"
	"typedef unsigned short __u16, u16, __be16, __le16, __sum16;\n"
	"typedef short __s16, s16;\n"
	"typedef unsigned int __u32, u32, __be32, __le32, __wsum;\n"
	"typedef int __s32, s32, pid_t;\n"
	"typedef unsigned long long __u64, u64, __be64, __le64;\n"
	"typedef long long __s64, s64;\n"
	"typedef __u64 __aligned_u64 __attribute__((aligned(8)));\n"
	"typedef unsigned long size_t, uintptr_t;\n"
	"typedef long ssize_t;\n"
	"typedef _Bool bool;\n";

const char *headers_source_name(enum headers_source source)
{
	static const char *const names[HEADERS_SOURCES] = {
		[HEADERS_USER] = "--kernel-headers",
		[HEADERS_BUILD] = "kernel build tree",
		[HEADERS_KHEADERS] = "kheaders.tar.xz",
		[HEADERS_BTF] = "BTF",
	};

	return source < HEADERS_SOURCES ? names[source] : "?";
}

__attribute__((format(printf, 3, 4))) static void
set_why(char *why, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
}

/* Is there a `path`?  Else -errno, and the reason in words. */
static int require(const char *path, char *why, size_t why_size)
{
	struct stat status;
	int error = stat(path, &status) ? errno : 0;

	set_why(why, why_size, "%s: %s", path,
		error ? strerror(error) : "found");
	if (error == ENOTDIR)
		error = ENOENT;
	return -error;
}

/* Make a directory of our own, removed by headers_release(). */
static int make_private(struct headers *headers, char *why, size_t why_size)
{
	const char *parent = getenv("TMPDIR");
	sigset_t ends;
	int error;

	/* libbcc changes its directory: only an absolute path will do. */
	if (!parent || *parent != '/')
		parent = "/tmp";
	if (snprintf(headers->directory, sizeof(headers->directory),
		     "%s/datasnoop.XXXXXX",
		     parent) >= (int)sizeof(headers->directory))
		return -ENAMETOOLONG;
	sigemptyset(&ends);
	sigaddset(&ends, SIGHUP);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, &headers->mask);
	headers->remove = mkdtemp(headers->directory);
	if (headers->remove)
		return 0;
	error = -errno;
	sigprocmask(SIG_SETMASK, &headers->mask, NULL);
	set_why(why, why_size, "make a directory in %s: %s", parent,
		strerror(-error));
	return error;
}

/* `build` has what was generated only: put the other half to it. */
static int prepare_split(struct headers *headers, const char *build, char *why,
			 size_t why_size)
{
	char source[PATH_MAX];
	int error = split_source(build, source);

	if (error) {
		set_why(why, why_size, "%s: no include/linux in it, and %s%s",
			build, source[0] ? "none in " : "no other half named",
			source);
		return error;
	}
	error = make_private(headers, why, why_size);
	if (error)
		return error;
	error = split_merge(build, source, headers->directory);
	set_why(why, why_size, "%s and %s: %s", build, source,
		error ? strerror(-error) : "found");
	if (error)
		headers_release(headers);
	return error;
}

/* Is there directory/name? */
static bool holds(const char *directory, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", directory, name) <
		       (int)sizeof(path) &&
	       !access(path, F_OK);
}

static int prepare_user(struct headers *headers, const char *directory,
			char *why, size_t why_size)
{
	char named[PATH_MAX], build[PATH_MAX];

	if (!directory) {
		set_why(why, why_size, "no directory was given");
		return -ENOENT;
	}
	/* libbcc changes its directory: a relative path would mean another. */
	if (!realpath(directory, named)) {
		int error = errno;

		set_why(why, why_size, "%s: %s", directory, strerror(error));
		return -error;
	}
	if (!holds(named, "include/generated/autoconf.h")) {
		bool half = holds(named, "include/linux/kconfig.h");

		if (split_build(named, build))
			strcpy(build, "the tree of a built kernel");
		set_why(why, why_size,
			"%s: no include/generated/autoconf.h in it%s%s", named,
			half ? "; name " : "", half ? build : "");
		return -ENOENT;
	}
	if (!holds(named, "include/linux/kconfig.h"))
		return prepare_split(headers, named, why, why_size);
	memcpy(headers->directory, named, sizeof(named));
	set_why(why, why_size, "%s: found", named);
	return 0;
}

/*
 * Debian splits the tree in build (generated files) and source (the rest),
 * which libbcc puts together by itself while BCC_KERNEL_SOURCE is unset.
 */
static int prepare_build(char *why, size_t why_size)
{
	static const char *const split[] = {"source/include/linux",
					    "build/include/generated", NULL};
	static const char *const whole[] = {"build/include/linux/kconfig.h",
					    "build/include/generated", NULL};
	const char *const *parts = split;
	char modules[96], path[PATH_MAX];
	struct utsname name;
	int error;

	if (uname(&name))
		return -errno;
	snprintf(modules, sizeof(modules), "/lib/modules/%s", name.release);
	snprintf(path, sizeof(path), "%s/source", modules);
	if (require(path, why, why_size))
		parts = whole;
	snprintf(path, sizeof(path), "%s/build", modules);
	error = require(path, why, why_size);
	for (; !error && *parts; parts++) {
		char part[PATH_MAX];

		snprintf(part, sizeof(part), "%s/%s", modules, *parts);
		error = require(part, why, why_size);
	}
	/* Found whole: say so of the tree, not of its last part. */
	return error ? error : require(path, why, why_size);
}

static int make_parents(char *path, size_t from)
{
	for (char *at = path + from; (at = strchr(at, '/')); at++) {
		int error;

		*at = '\0';
		error = mkdir(path, 0700) && errno != EEXIST ? errno : 0;
		*at = '/';
		if (error)
			return -error;
	}
	return 0;
}

/* Create directory/name, with the directories between, for writing. */
static FILE *create(const char *directory, const char *name)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", directory, name) >=
	    (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	errno = -make_parents(path, strlen(directory) + 1);
	return errno ? NULL : fopen(path, "we");
}

static int close_written(FILE *file)
{
	int error = ferror(file) ? EIO : 0;

	if (fclose(file) && !error)
		error = errno;
	return -error;
}

static int write_kconfig(const char *directory)
{
	unsigned major = 0, minor = 0, patch = 0;
	struct utsname name;
	FILE *file;
	int error;

	if (uname(&name))
		return -errno;
	sscanf(name.release, "%u.%u.%u", &major, &minor, &patch);
	file = create(directory, "include/linux/kconfig.h");
	if (!file)
		return -errno;
	fputs("#ifndef DATASNOOP_KCONFIG_H\n#define DATASNOOP_KCONFIG_H\n",
	      file);
	fputs(preamble, file);
	fprintf(file,
		"#define LINUX_VERSION_CODE KERNEL_VERSION(%u, %u, %u)\n"
		"#define PAGE_SIZE %ldUL\n",
		major, minor, patch, sysconf(_SC_PAGESIZE));
	error = btf_write_types(BTF_PATH, btf_names, file);
	fputs("#endif\n", file);
	if (error) {
		fclose(file);
		return error;
	}
	return close_written(file);
}

static int write_tree(const char *directory)
{
	int error = write_kconfig(directory);

	for (size_t i = 0; !error && empty_headers[i]; i++) {
		FILE *file = create(directory, empty_headers[i]);

		error = file ? close_written(file) : -errno;
	}
	return error;
}

static int prepare_btf(struct headers *headers, char *why, size_t why_size)
{
	int error = require(BTF_PATH, why, why_size);

	if (!error)
		error = make_private(headers, why, why_size);
	if (error)
		return error;
	error = write_tree(headers->directory);
	if (error) {
		set_why(why, why_size, "types of %s to %s: %s", BTF_PATH,
			headers->directory, strerror(-error));
		headers_release(headers);
	}
	return error;
}

int headers_prepare(struct headers *headers, enum headers_source source,
		    const char *user_directory, char *why, size_t why_size)
{
	int error = -EINVAL;

	memset(headers, 0, sizeof(*headers));
	headers->source = source;
	set_why(why, why_size, "%s", "");
	switch (source) {
	case HEADERS_USER:
		error = prepare_user(headers, user_directory, why, why_size);
		break;
	case HEADERS_BUILD:
		error = prepare_build(why, why_size);
		break;
	case HEADERS_KHEADERS:
		error = require(KHEADERS_PATH, why, why_size);
		break;
	case HEADERS_BTF:
		error = prepare_btf(headers, why, why_size);
		break;
	case HEADERS_SOURCES:
		break;
	}
	return error;
}

static int remove_entry(const char *path, const struct stat *status, int type,
			struct FTW *at)
{
	(void)status;
	(void)type;
	(void)at;
	/* What cannot be removed stays; the walk goes on. */
	remove(path);
	return 0;
}

void headers_release(struct headers *headers)
{
	if (headers->remove) {
		nftw(headers->directory, remove_entry, 8,
		     FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
		sigprocmask(SIG_SETMASK, &headers->mask, NULL);
	}
	headers->remove = false;
	headers->directory[0] = '\0';
}
