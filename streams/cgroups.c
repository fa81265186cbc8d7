/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgroups.c - control groups of version 2: from the kernel's id to the path.
 *
 * The id that BPF programs see is what the kernel puts in the file handles of
 * its cgroup file system: a handle is made of it, and opened.
 * Sources: open_by_handle_at(2), cgroups(7), fs/kernfs/mount.c of Linux.
 */
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "streams/cgroups.h"

#define MOUNTS_MAX 32
/* Types of a kernfs file handle: 8 bytes of id since 5.5; inode, generation. */
#define HANDLE_KERNFS 0xfe
#define HANDLE_INODE_GENERATION 1

struct path {
	uint64_t id;
	char text[256];
	UT_hash_handle hh;
};

struct cgroups {
	size_t bound;
	struct path *paths; /* oldest first, as uthash keeps them */
	char *mounts[MOUNTS_MAX]; /* of all hierarchies; version 2's first */
	size_t mount_count;
	bool version_2, version_1;
	int root; /* of version 2; -1: not mounted */
};

/* Version 2 goes first, so that mounts[0] is it. */
static void add_mount(struct cgroups *cgroups, const char *path, bool version_2)
{
	size_t at = version_2 ? 0 : cgroups->mount_count;
	char *copy;

	cgroups->version_1 |= !version_2;
	if (cgroups->mount_count == MOUNTS_MAX ||
	    (version_2 && cgroups->version_2))
		return;
	copy = strdup(path);
	if (!copy)
		return;
	if (version_2)
		memmove(cgroups->mounts + 1, cgroups->mounts,
			cgroups->mount_count * sizeof(cgroups->mounts[0]));
	cgroups->mounts[at] = copy;
	cgroups->mount_count++;
	cgroups->version_2 |= version_2;
}

/* "36 35 98:0 /root /mount options optional... - type source options" */
static void read_mounts(struct cgroups *cgroups)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, root[16], path[PATH_MAX], type[32];
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		const char *dash = strstr(line, " - ");

		/* A part of a hierarchy alone shows none of the paths. */
		if (!dash ||
		    sscanf(line, "%*s %*s %*s %15s %4095s", root, path) != 2 ||
		    sscanf(dash, " - %31s", type) != 1 || strcmp(root, "/"))
			continue;
		if (!strcmp(type, "cgroup2"))
			add_mount(cgroups, path, true);
		else if (!strcmp(type, "cgroup"))
			add_mount(cgroups, path, false);
	}
	free(line);
	if (file)
		fclose(file);
}

struct cgroups *cgroups_new(size_t bound)
{
	struct cgroups *cgroups = calloc(1, sizeof(*cgroups));

	if (!cgroups)
		return NULL;
	cgroups->bound = bound ? bound : 1;
	cgroups->root = -1;
	read_mounts(cgroups);
	if (cgroups->version_2)
		cgroups->root = open(cgroups->mounts[0],
				     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return cgroups;
}

void cgroups_free(struct cgroups *cgroups)
{
	struct path *path, *next;

	if (!cgroups)
		return;
	HASH_ITER (hh, cgroups->paths, path, next) {
		HASH_DEL(cgroups->paths, path);
		free(path);
	}
	if (cgroups->root >= 0)
		close(cgroups->root);
	while (cgroups->mount_count)
		free(cgroups->mounts[--cgroups->mount_count]);
	free(cgroups);
}

static int open_id(const struct cgroups *cgroups, uint64_t id)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} u;
	static const int types[] = {HANDLE_KERNFS, HANDLE_INODE_GENERATION};
	int fd = -1;

	memset(&u, 0, sizeof(u));
	memcpy(u.handle.f_handle, &id, sizeof(id));
	u.handle.handle_bytes = sizeof(id);
	for (size_t i = 0; i < 2 && fd < 0; i++) {
		u.handle.handle_type = types[i];
		fd = open_by_handle_at(cgroups->root, &u.handle,
				       O_PATH | O_CLOEXEC);
	}
	return fd;
}

/* The path below the mount, asked of the kernel; false: not known. */
static bool ask(const struct cgroups *cgroups, uint64_t id, char *text,
		size_t size)
{
	char name[64], target[PATH_MAX];
	size_t above;
	ssize_t length;
	int fd;

	if (cgroups->root < 0)
		return false;
	fd = open_id(cgroups, id);
	if (fd < 0)
		return false;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	length = readlink(name, target, sizeof(target) - 1);
	close(fd);
	above = strlen(cgroups->mounts[0]);
	if (length < (ssize_t)above ||
	    memcmp(target, cgroups->mounts[0], above))
		return false;
	target[length] = '\0';
	snprintf(text, size, "%s", target[above] ? target + above : "/");
	return true;
}

const char *cgroups_path(struct cgroups *cgroups, uint64_t id)
{
	struct path *path;

	HASH_FIND(hh, cgroups->paths, &id, sizeof(id), path);
	if (path)
		return path->text;
	path = calloc(1, sizeof(*path));
	if (!path)
		return "";
	path->id = id;
	if (ask(cgroups, id, path->text, sizeof(path->text)))
		HASH_ADD(hh, cgroups->paths, id, sizeof(path->id), path);
	if (!path->text[0] || !path->hh.tbl) {
		free(path);
		return "";
	}
	if (HASH_COUNT(cgroups->paths) > cgroups->bound) {
		struct path *oldest = cgroups->paths;

		HASH_DEL(cgroups->paths, oldest);
		free(oldest);
	}
	return path->text;
}

bool cgroups_are_all(const struct cgroups *cgroups)
{
	return cgroups->version_2 && !cgroups->version_1;
}

const char *cgroups_mount(const struct cgroups *cgroups)
{
	return cgroups->version_2 ? cgroups->mounts[0] : "";
}

void cgroups_each(const struct cgroups *cgroups,
		  bool (*visit)(void *context, const char *path),
		  void *context)
{
	bool more = true;
	size_t i;

	for (i = 0; i < cgroups->mount_count && more; i++) {
		char *roots[] = {cgroups->mounts[i], NULL};
		size_t above = strlen(roots[0]);
		FTS *tree = fts_open(roots,
				     FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV,
				     NULL);
		FTSENT *entry;

		while (tree && more && (entry = fts_read(tree)))
			if (entry->fts_info == FTS_D)
				more = visit(context,
					     entry->fts_path[above] ?
						     entry->fts_path + above :
						     "/");
		if (tree)
			fts_close(tree);
	}
}
