/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attach.c - which BPF function goes where.
 */
#include "probes/attach.h"

#include <bcc/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probes/attach_golang.h"
#include "probes/libraries.h"
#include "probes/seccomp.h"

#define HELD_MAX 32

struct seen_file {
	dev_t device;
	ino_t inode;
};

/* A file found in a scan that goes on: open, not probed yet. */
struct held_file {
	struct library *library;
	int fd;
};

struct attach {
	struct program *program;
	const struct options *options;
	struct capture_events events;
	struct seen_file *files; /* probed, or refused: never tried again */
	size_t file_count, file_room;
	struct held_file held[HELD_MAX];
	unsigned held_count;
	struct library_cache *cache;
	bool spare_filtered; /* uretprobes can kill who filters its calls */
	bool told_stripped;
	bool calls_always; /* the ends of system calls are always watched */
	unsigned functions, libraries;
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
	attach->spare_filtered = seccomp_sees_uretprobes();
	attach->cache = library_cache_new();
	if (!attach->cache) {
		free(attach);
		return NULL;
	}
	return attach;
}

void attach_free(struct attach *attach)
{
	if (!attach)
		return;
	library_cache_free(attach->cache);
	free(attach->files);
	free(attach);
}

/* Where a BPF function goes; category NULL: a raw tracepoint. */
struct tracepoint {
	const char *function, *category, *event;
	bool optional; /* newer than 4.18 */
};

/* Always; what the text was not compiled with is passed over. */
static const struct tracepoint at_start[] = {
	{"on_exec", "sched", "sched_process_exec", false},
	{"on_mmap", "syscalls", "sys_enter_mmap", false},
	{"on_unmapped_area", NULL, "vm_unmapped_area", false},
	{"on_io_uring", NULL, "io_uring_create", false},
	{"on_socket", NULL, "sock_send_length", false},
	{"on_socket", NULL, "sock_recv_length", false},
	{NULL, NULL, NULL, false},
};

static const struct tracepoint at_call_ends[] = {
	{"on_system_call", NULL, "sys_exit", false},
	{NULL, NULL, NULL, false},
};

static const struct tracepoint at_closing[] = {
	{"on_close", "syscalls", "sys_enter_close", false},
	{"on_replace", "syscalls", "sys_enter_dup2", false},
	{"on_replace", "syscalls", "sys_enter_dup3", false},
	{"on_close_range", "syscalls", "sys_enter_close_range", true},
	{NULL, NULL, NULL, false},
};

static int attach_events(struct attach *attach, const struct tracepoint *event,
			 char *why, size_t why_size)
{
	size_t count;
	int error = 0;

	for (; event->function; event++) {
		if (!program_bytecode(attach->program, event->function, &count))
			continue;
		error = event->category
				? program_attach_tracepoint(
					  attach->program, event->function,
					  event->category, event->event)
				: program_attach_raw(attach->program,
						     event->function,
						     event->event);
		if (error && !(error == -ENOENT && event->optional))
			break;
		error = 0;
	}
	if (error)
		snprintf(why, why_size,
			 "attach tracepoint %s:%s: %s (see datasnoop "
			 "--doctor)",
			 event->category ? event->category : "raw",
			 event->event, strerror(-error));
	return error;
}

bool attach_is_on_demand(const struct attach *attach)
{
	size_t count;

	return program_bytecode(attach->program, "on_unmapped_area", &count);
}

/* on_socket is told whether on_system_call tells of a call's end. */
static void tell_call_ends(struct attach *attach, uint32_t watched)
{
	int map = program_map(attach->program, "call_ends");
	uint32_t zero = 0;

	if (map >= 0)
		bpf_update_elem(map, &zero, &watched, 0);
}

static int attach_calls(struct attach *attach, char *why, size_t why_size)
{
	int error = attach_events(attach, at_call_ends, why, why_size);

	if (!error)
		tell_call_ends(attach, 1);
	return error;
}

int attach_watch(struct attach *attach, char *why, size_t why_size)
{
	int error = 0;

	if (!attach->calls_always)
		error = attach_calls(attach, why, why_size);
	return error ? error : attach_events(attach, at_closing, why, why_size);
}

int attach_tracepoints(struct attach *attach, char *why, size_t why_size)
{
	int error = attach_events(attach, at_start, why, why_size);

	/* What goes through pipes nobody else tells of. */
	if (!error && program_map(attach->program, "stdio_users") >= 0) {
		attach->calls_always = true;
		error = attach_calls(attach, why, why_size);
	}
	return error ? error : attach_watch(attach, why, why_size);
}

void attach_rest(struct attach *attach)
{
	static const char *const closing[] = {"on_close", "on_replace",
					      "on_close_range", NULL};
	static const char *const all[] = {"on_system_call", "on_close",
					  "on_replace", "on_close_range",
					  NULL};

	if (!attach->calls_always)
		tell_call_ends(attach, 0);
	program_detach_functions(attach->program,
				 attach->calls_always ? closing : all);
}

static bool is_remembered(const struct attach *attach,
			  const struct library *library)
{
	size_t i;

	for (i = 0; i < attach->file_count; i++)
		if (attach->files[i].device == library->device &&
		    attach->files[i].inode == library->inode)
			return true;
	return false;
}

/* Remember a file.  1: it was known already; 0: new; -ENOMEM. */
static int remember_file(struct attach *attach, const struct library *library)
{
	size_t room;
	struct seen_file *grown;

	if (is_remembered(attach, library))
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
	const char *on_return = library_function_row(function)->on_return;
	int error = program_attach_uprobe(
		attach->program, library_function_entry(library, function),
		library->opened, probe->file_offset, false);

	if (!error && on_return)
		error = program_attach_uprobe(attach->program, on_return,
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

/* Once; --doctor names them all. */
static void tell_stripped(struct attach *attach, const struct library *library)
{
	if (!attach->told_stripped)
		warn(attach,
		     "%s of process %d has OpenSSL or BoringSSL in it but no "
		     "symbols: it can't be traced (--doctor names all such)",
		     library->path, (int)library->pid);
	attach->told_stripped = true;
}

/*
 * Of a kernel on which a return probe can kill a process that filters its
 * system calls: the libraries of such processes are left alone.
 */
static int spare_filtered(void *context, const struct library *found)
{
	struct attach *attach = context;
	char status[64];

	snprintf(status, sizeof(status), "/proc/%d/status", (int)found->pid);
	if (!seccomp_has_filter(status) || remember_file(attach, found))
		return 0;
	warn(attach,
	     "%s is not traced: process %d uses it under a seccomp filter, and "
	     "this kernel's return probes could kill it",
	     found->path, (int)found->pid);
	return 0;
}

/* Go's TLS, which a program may have beside a library's.  0 or -errno. */
static int attach_go(struct attach *attach, const struct library *library)
{
	const char *why;
	int error = attach_golang(attach->program, library->opened,
				  &attach->functions, &why);

	if (error && error != -ENOENT && error != -ENOEXEC)
		warn(attach, "Go's TLS in %s of process %d can't be traced: %s",
		     library->path, (int)library->pid,
		     *why ? why : strerror(-error));
	return error;
}

/* A file's functions, whichever library is in it. */
static void attach_library(struct attach *attach, struct library *library)
{
	int error = library->linked == LINKED_GO ?
				-ENOENT :
				library_read(library->opened,
					     attach->options->placement,
					     library);

	if (!error)
		error = attach_functions(attach, library);
	else if (error != -ENOENT) /* NSS has a libssl3.so without SSL_read */
		warn(attach, "%s of process %d can't be traced: %s",
		     library->path, (int)library->pid, strerror(-error));
	if (!attach_go(attach, library))
		error = 0;
	attach->libraries += !error;
}

/* What was held is probed, now that the scan it was found in is done. */
static void attach_held(struct attach *attach)
{
	unsigned i;

	for (i = 0; i < attach->held_count; i++) {
		attach_library(attach, attach->held[i].library);
		close(attach->held[i].fd);
		free(attach->held[i].library);
	}
	attach->held_count = 0;
}

/*
 * A file found is opened at once and probed later: a process may live for a
 * few milliseconds, less than its first library takes, and a container's
 * files can be reached through its processes alone.  One that went away
 * before is not refused for good: another process may have it too.
 */
static int on_library(void *context, const struct library *found)
{
	struct attach *attach = context;
	struct library *library;
	int fd;

	if (is_remembered(attach, found))
		return 0;
	/* O_NONBLOCK: a fifo in a container must not stop the tracer. */
	fd = open(found->opened, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return 0;
	library = malloc(sizeof(*library));
	if (!library || remember_file(attach, found)) {
		free(library);
		close(fd);
		return 0;
	}
	if (found->linked == LINKED_STRIPPED) {
		tell_stripped(attach, found);
		free(library);
		close(fd);
		return 0;
	}
	*library = *found;
	snprintf(library->opened, sizeof(library->opened), "/proc/self/fd/%d",
		 fd);
	if (attach->held_count == HELD_MAX)
		attach_held(attach);
	attach->held[attach->held_count].library = library;
	attach->held[attach->held_count++].fd = fd;
	return 0;
}

void attach_process(struct attach *attach, pid_t pid)
{
	library_scan_process(attach->cache, pid, on_library, attach);
	attach_held(attach);
}

void attach_host(struct attach *attach)
{
	if (attach->spare_filtered)
		library_scan_all(attach->cache, spare_filtered, attach);
	library_scan_installed(attach->cache, on_library, attach);
	library_scan_all(attach->cache, on_library, attach);
	attach_held(attach);
}

void attach_count(const struct attach *attach, unsigned *functions,
		  unsigned *libraries)
{
	*functions = attach->functions;
	*libraries = attach->libraries;
}
