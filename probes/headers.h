/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * headers.h - where the kernel's types come from.
 */
#ifndef DATASNOOP_PROBES_HEADERS_H
#define DATASNOOP_PROBES_HEADERS_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * In the order in which they are tried when none is named: BTF is the running
 * kernel's own word, needs no package, and compiles several times as fast as
 * a header tree.
 */
enum headers_source {
	HEADERS_USER,	 /* --kernel-headers DIR */
	HEADERS_BTF,	 /* written from /sys/kernel/btf/vmlinux */
	HEADERS_BUILD,	 /* /lib/modules/RELEASE/build */
	HEADERS_KHEADERS,/* /sys/kernel/kheaders.tar.xz */
	HEADERS_SOURCES
};

struct headers {
	enum headers_source source;
	char directory[PATH_MAX]; /* for BCC_KERNEL_SOURCE; "": libbcc finds it */
	bool remove;		  /* the directory is ours, temporary */
	sigset_t mask;		  /* of signals before, while it is */
};

/* Words for --doctor and errors ("kernel build tree", "BTF", ...). */
const char *headers_source_name(enum headers_source source);

/*
 * headers_prepare - make one source ready for libbcc
 * @user_directory: for HEADERS_USER; else NULL
 *
 * 0; -ENOENT when this host does not have that source; other -errno.  `why`
 * gets what was tried ("/lib/modules/6.18.44/build: No such file or
 * directory").  Release with headers_release(): where a temporary directory
 * was made, the signals that would end this process wait until then.
 */
int headers_prepare(struct headers *headers, enum headers_source source,
		    const char *user_directory, char *why, size_t why_size);
void headers_release(struct headers *headers);

#endif
