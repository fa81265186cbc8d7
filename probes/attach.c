/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attach.c - which BPF function goes where.
 */
#include "probes/attach.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probes/libraries.h"

struct seen_file {
	dev_t device;
	ino_t inode;
};

struct attach {
	struct program *program;
	const struct options *options;
	struct capture_events events;
	struct seen_file *files; /* probed, or refused: never tried again */
	size_t file_count, file_room;
	unsigned functions, libraries;
};

/* What to run at a function's entry and return, by enum library_function. */
static const struct {
	const char *entry, *on_return;
} programs[FUNCTIONS] = {
	[FUNCTION_READ] = {"on_read", "on_read_return"},
	[FUNCTION_READ_EX] = {"on_read_ex", "on_read_ex_return"},
	[FUNCTION_WRITE] = {"on_write", "on_write_return"},
	[FUNCTION_WRITE_EX] = {"on_write_ex", "on_write_ex_return"},
	[FUNCTION_SHUTDOWN] = {"on_shutdown", NULL},
	[FUNCTION_FREE] = {"on_end", NULL},
	[FUNCTION_CLEAR] = {"on_end", NULL},
};

struct attach *attach_new(struct program *program,
			  const struct options *options,
			  const struct capture_events *events)
{
	struct attach *attach = calloc(1, sizeof(*attach));

	if (!attach)
		return NULL;
	attach->program = program;
	attach->options = options;
	attach->events = *events;
	return attach;
}

void attach_free(struct attach *attach)
{
	if (!attach)
		return;
	free(attach->files);
	free(attach);
}

int attach_tracepoints(struct attach *attach, char *why, size_t why_size)
{
	/* What a TLS library moves its records with. */
	static const char *const calls[] = {
		"sys_enter_read",    "sys_enter_write",	  "sys_enter_recvfrom",
		"sys_enter_sendto",  "sys_enter_recvmsg", "sys_enter_sendmsg",
		"sys_enter_readv",   "sys_enter_writev",
	};
	const char *function = "on_mmap", *event = "sys_enter_mmap";
	size_t i;
	int error = program_attach_tracepoint(attach->program, function,
					      "syscalls", event);

	for (i = 0; !error && i < sizeof(calls) / sizeof(calls[0]); i++) {
		function = "on_system_call";
		event = calls[i];
		error = program_attach_tracepoint(attach->program, function,
						  "syscalls", event);
	}
	if (error)
		snprintf(why, why_size,
			 "attach tracepoint syscalls:%s: %s (see datasnoop "
			 "--doctor)",
			 event, strerror(-error));
	return error;
}

/* Remember a file.  1: it was known already; 0: new; -ENOMEM. */
static int remember_file(struct attach *attach, const struct library *library)
{
	size_t i, room;
	struct seen_file *grown;

	for (i = 0; i < attach->file_count; i++)
		if (attach->files[i].device == library->device &&
		    attach->files[i].inode == library->inode)
			return 1;
	if (attach->file_count == attach->file_room) {
		room = attach->file_room ? 2 * attach->file_room : 16;
		grown = realloc(attach->files, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		attach->files = grown;
		attach->file_room = room;
	}
	attach->files[attach->file_count].device = library->device;
	attach->files[attach->file_count++].inode = library->inode;
	return 0;
}

/* Entry first: a return without an entry would be a call not understood. */
static int attach_place(struct attach *attach, const struct library *library,
			enum library_function function)
{
	const struct library_probe *probe = &library->probes[function];
	int error = program_attach_uprobe(attach->program,
					  programs[function].entry,
					  library->opened, probe->file_offset,
					  false);

	if (!error && programs[function].on_return)
		error = program_attach_uprobe(attach->program,
					      programs[function].on_return,
					      library->opened,
					      probe->file_offset, true);
	return error;
}

/*
 * One function.  Where a pair is placed at its common callee, the callee has
 * the _ex function's signature and is probed once, for both.
 */
static int attach_function(struct attach *attach,
			   const struct library *library,
			   enum library_function function)
{
	const struct library_probe *probe = &library->probes[function];
	bool plain = function == FUNCTION_READ || function == FUNCTION_WRITE;
	int error = 0;

	if (!probe->found)
		return 0;
	if (!plain || probe->place.kind != PLACEMENT_CALLEE)
		error = attach_place(attach, library, function);
	if (!error)
		attach->functions++;
	return error;
}

__attribute__((format(printf, 2, 3))) static void warn(struct attach *attach,
						       const char *format, ...)
{
	char text[PATH_MAX + 256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	attach->events.warn(attach->events.context, text);
}

/* The functions of one library.  0 or -errno, one warning. */
static int attach_functions(struct attach *attach,
			    const struct library *library)
{
	int function, error = 0;

	for (function = 0; function < FUNCTIONS && !error; function++) {
		error = attach_function(attach, library, function);
		if (error)
			warn(attach, "attach uprobe %s in %s: %s",
			     library_function_name(function), library->path,
			     strerror(-error));
	}
	return error;
}

/*
 * A file that went away with the process that had it mapped is not refused
 * for good: another process may have it too.
 */
static int on_library(void *context, const struct library *found)
{
	struct attach *attach = context;
	struct library *library;
	int error;

	if (remember_file(attach, found))
		return 0;
	library = malloc(sizeof(*library));
	if (!library)
		return 0;
	*library = *found;
	error = library_read(library->opened, attach->options->placement,
			     library);
	if (!error)
		error = attach_functions(attach, library);
	else if (error != -ENOENT) /* NSS has a libssl3.so without SSL_read */
		warn(attach, "%s of process %d can't be traced: %s",
		     library->path, (int)library->pid, strerror(-error));
	if (error && access(library->opened, F_OK))
		attach->file_count--;
	attach->libraries += !error;
	free(library);
	return 0;
}

void attach_process(struct attach *attach, pid_t pid)
{
	library_scan_process(pid, on_library, attach);
}

void attach_host(struct attach *attach)
{
	library_scan_installed(on_library, attach);
	library_scan_all(on_library, attach);
}

void attach_count(const struct attach *attach, unsigned *functions,
		  unsigned *libraries)
{
	*functions = attach->functions;
	*libraries = attach->libraries;
}
