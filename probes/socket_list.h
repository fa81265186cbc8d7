/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * socket_list.h - the sockets that a process has open, from /proc/PID/fd.
 */
#ifndef DATASNOOP_PROBES_SOCKET_LIST_H
#define DATASNOOP_PROBES_SOCKET_LIST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct socket_list {
	uint64_t *inodes; /* in order; as often as it has descriptors */
	size_t count, room;
};

/*
 * socket_list_read - of one process, now; into a zeroed list or one read before
 *
 * 0 or -errno; the list is empty then.  socket_list_free() in any case.
 */
int socket_list_read(struct socket_list *list, pid_t pid);

/* How many descriptors the process has of that socket. */
size_t socket_list_has(const struct socket_list *list, uint64_t inode);

void socket_list_free(struct socket_list *list);

#endif
