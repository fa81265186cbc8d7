/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * socket_list.c - the sockets that a process has open, from /proc/PID/fd.
 *
 * Source: proc(5): such a link reads "socket:[inode]".
 */
#include "probes/socket_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int add(struct socket_list *list, uint64_t inode)
{
	size_t room = list->room ? 2 * list->room : 64;
	uint64_t *grown;

	if (list->count == list->room) {
		grown = realloc(list->inodes, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		list->inodes = grown;
		list->room = room;
	}
	list->inodes[list->count++] = inode;
	return 0;
}

/* Order by number: qsort() and bsearch() comparison. */
static int compare(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static int read_links(struct socket_list *list, DIR *directory)
{
	struct dirent *entry;
	char target[64];
	uint64_t inode;
	int error = 0;

	while (!error && (entry = readdir(directory))) {
		ssize_t length = readlinkat(dirfd(directory), entry->d_name,
					    target, sizeof(target) - 1);

		if (length <= 0)
			continue;
		target[length] = '\0';
		if (sscanf(target, "socket:[%" SCNu64 "]", &inode) == 1)
			error = add(list, inode);
	}
	return error;
}

int socket_list_read(struct socket_list *list, pid_t pid)
{
	char path[32];
	DIR *directory;
	int error;

	list->count = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	if (!directory)
		return -errno;
	error = read_links(list, directory);
	closedir(directory);
	if (error)
		list->count = 0;
	else if (list->count)
		qsort(list->inodes, list->count, sizeof(*list->inodes),
		      compare);
	return error;
}

size_t socket_list_has(const struct socket_list *list, uint64_t inode)
{
	const uint64_t *found =
		list->count ? bsearch(&inode, list->inodes, list->count,
				      sizeof(inode), compare)
			    : NULL;
	const uint64_t *end = list->inodes + list->count, *last = found;

	if (!found)
		return 0;
	while (found > list->inodes && found[-1] == inode)
		found--;
	while (last < end && *last == inode)
		last++;
	return last - found;
}

void socket_list_free(struct socket_list *list)
{
	free(list->inodes);
	*list = (struct socket_list){0};
}
