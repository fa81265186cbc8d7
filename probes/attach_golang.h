/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attach_golang.h - which BPF function goes where in a program written in Go.
 */
#ifndef DATASNOOP_PROBES_ATTACH_GOLANG_H
#define DATASNOOP_PROBES_ATTACH_GOLANG_H

#include "probes/program.h"

/*
 * attach_golang - probe the crypto/tls of a program or library
 * @opened: path to open
 * @functions: raised by those that are probed
 * @why: on failure, static: why it can't be traced; "": say it by the error
 *
 * 0, or what golang_read() or program_attach_uprobe() returned: -ENOENT is
 * no failure, but nothing to trace.
 */
int attach_golang(struct program *program, const char *opened,
		  unsigned *functions, const char **why);

#endif
