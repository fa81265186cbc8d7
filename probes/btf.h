/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btf.h - C declarations of the running kernel's types, from its BTF.
 */
#ifndef DATASNOOP_PROBES_BTF_H
#define DATASNOOP_PROBES_BTF_H

#include <stdio.h>

/*
 * btf_write_types - print declarations that a C compiler accepts
 * @path: a BTF file: /sys/kernel/btf/vmlinux
 * @names: struct names, NULL-terminated; one that the kernel lacks is skipped
 *
 * Each struct is printed once, after everything that its layout needs, and
 * followed by assertions of its size and member offsets: a layout that C
 * cannot express fails to compile instead of reading the wrong bytes.  Tags
 * and enumerators that libbcc's copy of linux/bpf.h declares too get the
 * prefix "kernel_".
 *
 * 0; -ENOENT when there is no such file; other -errno.
 */
int btf_write_types(const char *path, const char *const *names, FILE *out);

/*
 * btf_has_member - does struct `name` have a member of that name?
 *
 * 1 or 0; -ENOENT when there is no such file or struct; other -errno.
 */
int btf_has_member(const char *path, const char *name, const char *member);

#endif
