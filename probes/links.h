/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * links.h - uprobes by BPF links, since Linux 6.6; and closing many at once.
 *
 * A uprobe by a perf event is taken off under a lock of the whole kernel, and
 * waits there for every task to be seen: 0.1 to 0.2 s each on 6.18, one after
 * the other.  A link waits as long, but links can be closed side by side.
 */
#ifndef DATASNOOP_PROBES_LINKS_H
#define DATASNOOP_PROBES_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Can this kernel attach uprobes by links?  Asks it. */
bool links_supported(void);

/*
 * links_load - load a uprobe's program so that a link can attach it
 * @log: of the verifier, `log_size` bytes; 0: none is wanted
 *
 * Its file descriptor, or -errno.
 */
int links_load(const char *name, const char *license, const void *code,
	       size_t instructions, char *log, size_t log_size);

/*
 * links_attach - one place in a file
 *
 * The link's file descriptor, or -errno.
 */
int links_attach(int program, const char *path, uint64_t offset,
		 bool on_return);

/* Close file descriptors of links and perf events, side by side. */
void links_close(const int *descriptors, size_t count);

#endif
