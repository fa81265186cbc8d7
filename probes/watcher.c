/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watcher.c - processes that map a file nobody has judged yet.
 */
#include "probes/watcher.h"

#include <bcc/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSES_MAX 512
#define FILES_MAX     16 /* unknown files of one process at once */

/*
 * When a process is looked at, after the first note, in ms: the note comes as
 * the system call begins, the mapping is there microseconds later, and the
 * loader maps a library's own libraries right behind it.
 */
static const uint64_t looks_ms[] = {1, 10, 30, 80, 150};
#define LOOKS (sizeof(looks_ms) / sizeof(looks_ms[0]))

struct process_watch {
	pid_t pid;
	uint64_t told_ns;
	size_t looks; /* done */
	struct batch_library files[FILES_MAX];
	size_t file_count;
};

struct watcher {
	int judged;
	struct process_watch *watches;
	size_t count;
};

struct watcher *watcher_new(int judged)
{
	struct watcher *watcher = calloc(1, sizeof(*watcher));

	if (!watcher)
		return NULL;
	watcher->judged = judged;
	watcher->watches = calloc(PROCESSES_MAX, sizeof(*watcher->watches));
	if (!watcher->watches) {
		free(watcher);
		return NULL;
	}
	return watcher;
}

void watcher_free(struct watcher *watcher)
{
	if (!watcher)
		return;
	free(watcher->watches);
	free(watcher);
}

int watcher_told(struct watcher *watcher, pid_t pid,
		 const struct batch_library *file, uint64_t now_ns)
{
	struct process_watch *watch = NULL;
	size_t i;

	for (i = 0; i < watcher->count && !watch; i++)
		if (watcher->watches[i].pid == pid)
			watch = &watcher->watches[i];
	if (!watch) {
		if (watcher->count == PROCESSES_MAX)
			return -ENOSPC;
		watch = &watcher->watches[watcher->count++];
		memset(watch, 0, sizeof(*watch));
		watch->pid = pid;
	}
	/* From the newest note on: all looks again, for its mapping too. */
	watch->told_ns = now_ns;
	watch->looks = 0;
	if (watch->file_count < FILES_MAX)
		watch->files[watch->file_count++] = *file;
	return 0;
}

/* The files of a process that was looked at often enough are known. */
static void judge(struct watcher *watcher, struct process_watch *watch)
{
	uint8_t known = 1;
	size_t i;

	for (i = 0; i < watch->file_count; i++)
		bpf_update_elem(watcher->judged, &watch->files[i], &known, 0);
	*watch = watcher->watches[--watcher->count];
}

void watcher_run(struct watcher *watcher, uint64_t now_ns,
		 void (*look)(void *context, pid_t pid), void *context)
{
	size_t i = 0;

	while (i < watcher->count) {
		struct process_watch *watch = &watcher->watches[i];
		uint64_t due = watch->told_ns + looks_ms[watch->looks] * 1000000;

		if (now_ns < due) {
			i++;
			continue;
		}
		look(context, watch->pid);
		if (++watch->looks == LOOKS)
			judge(watcher, watch);
		else
			i++;
	}
}
