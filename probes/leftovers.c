/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * leftovers.c - probes that a killed datasnoop has left in tracefs.
 */
#include "probes/leftovers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Is it ours, and its process gone?  "p:uprobes/datasnoop_4121_on_read_..." */
static int is_left(const char *line, char *event, size_t size)
{
	char name[256];
	int pid;

	if (sscanf(line, "%*1[pr]:uprobes/%255s", name) != 1 ||
	    sscanf(name, "datasnoop_%d_", &pid) != 1 || pid <= 0 ||
	    !kill(pid, 0) || errno != ESRCH)
		return 0;
	snprintf(event, size, "-:uprobes/%s", name);
	return 1;
}

unsigned leftovers_remove(const char *tracefs)
{
	char path[128], event[300], *line = NULL;
	unsigned removed = 0;
	size_t size = 0;
	FILE *file;
	int fd;

	snprintf(path, sizeof(path), "%s/uprobe_events", tracefs);
	file = fopen(path, "re");
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	while (file && fd >= 0 && getline(&line, &size, file) > 0)
		if (is_left(line, event, sizeof(event)))
			removed += write(fd, event, strlen(event)) > 0;
	free(line);
	if (fd >= 0)
		close(fd);
	if (file)
		fclose(file);
	return removed;
}
