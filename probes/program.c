/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * program.c - libbcc: compile the BPF text with macros, load, attach, detach.
 *
 * The text is batch.h, accumulator.bpf.h and capture.bpf.c, joined with
 * #line marks so that clang's messages name the file.  Nothing in it is ever
 * edited: it changes by -D alone.
 */
#define _GNU_SOURCE
#include "probes/program.h"

#include <bcc/bcc_common.h>
#include <bcc/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probes/batch.h"
#include "probes/links.h"

#define MACROS_MAX	    40
#define FUNCTIONS_MAX	    64
#define DETACHED_MAX 64 /* probes taken off at once */
#define PIECE_BYTES	    16384 /* of a large fragment, one record */
#define NAIVE_PIECE_BYTES   1160  /* 1,224 with the header */
#define LARGE_PIECES_TAILED 8	  /* x 16 KiB x 32 tail calls: 4 MiB */
#define SCRATCHES_PER_CPU   4 /* programs that preempt each other at once */
#define VERIFIER_LOG_BYTES  (16U << 20)

#define VECTORS_TAILED	    4	  /* buffers of a call, x 32 tail calls */
#define TLS_STACK_BYTES_MAX (16U << 20) /* between a TLS call and its own */

/* Texts of the BPF program, in their order; embedded.S. */
extern const struct embedded {
	const char *name, *text, *end;
} embedded[];

struct program {
	void *module;
	int fds[FUNCTIONS_MAX];
	int *events; /* perf events and links of attached probes, */
	int *functions; /* and of each the function's file descriptor */
	size_t event_count, event_room;
	bool links; /* uprobes are attached by links */
};

struct macros {
	char text[MACROS_MAX][64];
	const char *flags[MACROS_MAX];
	int count;
};

__attribute__((format(printf, 2, 3))) static void define(struct macros *macros,
							 const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(macros->text[macros->count], sizeof(macros->text[0]), format,
		  arguments);
	va_end(arguments);
	macros->flags[macros->count] = macros->text[macros->count];
	macros->count++;
}

static void define_sizes(struct macros *macros, const struct options *options)
{
	define(macros, "-DMAX_FLUSH_SIZE=%u", options->flush_size);
	define(macros, "-DBUFFER_SIZE=%u", options->buffer_size);
	define(macros, "-DMAX_ACCUM_COPY_SIZE=%u", options->copy_size);
	define(macros, "-DMAX_CAPTURE=%uULL", options->max_capture);
	define(macros, "-DMAX_CONNECTIONS=%u", options->max_connections);
	define(macros, "-DMAX_THREADS=%u", options->max_connections);
	define(macros, "-DSCRATCHES=%d", SCRATCHES_PER_CPU);
	define(macros, "-DPIECE_SIZE=%d",
	       options->accumulate ? PIECE_BYTES : NAIVE_PIECE_BYTES);
	define(macros, "-DLARGE_PIECES=%d", LARGE_PIECES_TAILED);
	define(macros, "-DRING_PAGES=%u",
	       (unsigned)(options->ring_bytes / 4096));
	define(macros, "-DWAKE_BYTES=%ld",
	       options->ring_bytes / 4 / sysconf(_SC_NPROCESSORS_ONLN));
	/* A tenth less: a byte is peeked at within --flush-ms, not after it. */
	define(macros, "-DNOTE_NS=%" PRIu64 "ULL",
	       (uint64_t)options->flush_ms * 900000);
	define(macros, "-DOWN_TGID=%d", (int)getpid());
	define(macros, "-DVECTORS=%d", VECTORS_TAILED);
	define(macros, "-DTLS_STACK_MAX=%u", TLS_STACK_BYTES_MAX);
	define(macros, "-DIGNORED_MAX=%u", options->max_connections);
}

/* Is MCP asked for, which is spoken over standard input and output? */
static bool wants_stdio(const struct options *options)
{
	unsigned i;

	for (i = 0; i < options->protocol_count; i++)
		if (!strcmp(options->protocols[i]->name, "mcp"))
			return true;
	return !options->protocol_count;
}

static void define_all(struct macros *macros, const struct options *options,
		       const struct program_variant *variant)
{
	define(macros, "-DDATASNOOP_BPF=1");
	define(macros, "-Werror=pass-failed"); /* a loop not unrolled */
	/* A fifth of the time; only a log of the verifier is better for it. */
	if (!options->verbose)
		define(macros, "-g0");
	define_sizes(macros, options);
	if (!options->accumulate)
		define(macros, "-DNAIVE=1");
	if (!variant->ring)
		define(macros, "-DTRANSPORT_PERF_BUFFER=1");
	if (variant->old_reads)
		define(macros, "-DOLD_READS=1");
	if (variant->socket_tracepoints)
		define(macros, "-DSOCKET_TRACEPOINTS=1");
	if (variant->on_demand)
		define(macros, "-DON_DEMAND=1");
	if (options->pid_count)
		define(macros, "-DFILTER_PIDS=1");
	if (wants_stdio(options))
		define(macros, "-DSTDIO=1");
	if (options->uid_count)
		define(macros, "-DFILTER_UIDS=1");
	if (options->comm_count)
		define(macros, "-DFILTER_COMMS=1");
	if (options->container_count || options->cgroup_count)
		define(macros, "-DFILTER_CGROUPS=1");
}

/* The texts as one; malloc'd. */
static char *join_text(void)
{
	const struct embedded *part;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (part = embedded; part->name; part++)
		fprintf(out, "#line 1 \"%s\"\n%.*s", part->name,
			(int)(part->end - part->text), part->text);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* Standard error into a file in memory: libbcc prints clang's words there. */
static int divert_stderr(int *saved)
{
	int memory = memfd_create("messages", MFD_CLOEXEC);

	fflush(stderr);
	*saved = memory < 0 ? -1 : fcntl(2, F_DUPFD_CLOEXEC, 3);
	if (*saved >= 0)
		dup2(memory, 2);
	return memory;
}

/* Back again; what was printed, malloc'd, or NULL. */
static char *restore_stderr(int memory, int saved)
{
	struct stat status;
	char *text = NULL;

	fflush(stderr);
	if (saved >= 0) {
		dup2(saved, 2);
		close(saved);
	}
	if (memory < 0)
		return NULL;
	if (!fstat(memory, &status) && status.st_size > 0)
		text = calloc(1, status.st_size + 1);
	if (text && pread(memory, text, status.st_size, 0) < 0)
		text[0] = '\0';
	close(memory);
	return text;
}

/* Members that older kernels call otherwise, or do not have. */
static const struct newer {
	const char *member; /* clang's words name it where it is missing */
	const char *macro, *without;
} newer[] = {
	{"start_boottime", "-DPROCESS_START=start_boottime", /* 5.5 */
	 "-DPROCESS_START=real_start_time"},
	{"f_ref", "-DFILE_COUNT=0", "-DFILE_COUNT=1"}, /* 6.13 */
};

/* Which of them are missing, by bits, as clang says. */
static unsigned missing_members(const char *messages)
{
	unsigned missing = 0, i;

	for (i = 0; messages && i < sizeof(newer) / sizeof(newer[0]); i++)
		if (strstr(messages, newer[i].member))
			missing |= 1U << i;
	return missing;
}

static void *compile_once(const struct options *options,
			  const struct program_variant *variant,
			  const char *text, unsigned missing, char **messages)
{
	struct macros *macros = calloc(1, sizeof(*macros));
	int memory, saved;
	void *module;
	size_t i;

	if (!macros)
		return NULL;
	define_all(macros, options, variant);
	for (i = 0; i < sizeof(newer) / sizeof(newer[0]); i++)
		define(macros, "%s", missing & 1U << i ? newer[i].without :
							 newer[i].macro);
	memory = divert_stderr(&saved);
	module = bpf_module_create_c_from_string(text, 0, macros->flags,
						 macros->count, true, NULL);
	free(*messages);
	*messages = restore_stderr(memory, saved);
	free(macros);
	return module;
}

struct program *program_compile(const struct options *options,
				const struct program_variant *variant,
				const struct headers *headers, char **messages)
{
	struct program *program = calloc(1, sizeof(*program));
	char *text = join_text();
	unsigned missing;
	size_t i;

	*messages = NULL;
	if (!program || !text)
		goto out;
	if (headers->directory[0])
		setenv("BCC_KERNEL_SOURCE", headers->directory, 1);
	else
		unsetenv("BCC_KERNEL_SOURCE");
	program->module = compile_once(options, variant, text, 0, messages);
	missing = missing_members(program->module ? NULL : *messages);
	if (missing)
		program->module = compile_once(options, variant, text, missing,
					       messages);
	for (i = 0; i < FUNCTIONS_MAX; i++)
		program->fds[i] = -1;
out:
	free(text);
	if (program && !program->module) {
		free(program);
		program = NULL;
	}
	return program;
}

const char *program_function(const struct program *program, size_t index)
{
	if (index >= bpf_num_functions(program->module))
		return NULL;
	return bpf_function_name(program->module, index);
}

const void *program_bytecode(const struct program *program, const char *name,
			     size_t *count)
{
	*count = bpf_function_size(program->module, name) /
		 sizeof(struct bpf_insn);
	return bpf_function_start(program->module, name);
}

int program_map_type(const struct program *program, size_t index,
		     const char **name)
{
	if (index >= bpf_num_tables(program->module))
		return -1;
	*name = bpf_table_name(program->module, index);
	return bpf_table_type_id(program->module, index);
}

int program_map(const struct program *program, const char *name)
{
	return bpf_table_fd(program->module, name);
}

/* Functions that are no uprobes'; the others' context is struct pt_regs. */
static enum bpf_prog_type type_of(const char *name)
{
	static const char *const raw[] = {
		"on_system_call", "on_socket", "on_unmapped_area",
		"on_io_uring", "send_large_raw", "send_vector"};
	static const char *const tracepoints[] = {
		"on_mmap", "on_close", "on_replace", "on_close_range",
		"on_exec"};
	size_t i;

	for (i = 0; i < sizeof(raw) / sizeof(raw[0]); i++)
		if (!strcmp(name, raw[i]))
			return BPF_PROG_TYPE_RAW_TRACEPOINT;
	for (i = 0; i < sizeof(tracepoints) / sizeof(tracepoints[0]); i++)
		if (!strcmp(name, tracepoints[i]))
			return BPF_PROG_TYPE_TRACEPOINT;
	return BPF_PROG_TYPE_KPROBE;
}

/* One attempt; the verifier's words go to `log`, NULL: none are wanted. */
static int load_once(struct program *program, const char *name, char *log)
{
	enum bpf_prog_type type = type_of(name);
	void *start = bpf_function_start(program->module, name);
	int size = (int)bpf_function_size(program->module, name), fd;
	char *license = bpf_module_license(program->module);
	unsigned version = bpf_module_kern_version(program->module);
	unsigned log_size = log ? VERIFIER_LOG_BYTES : 0;

	if (program->links && type == BPF_PROG_TYPE_KPROBE)
		return links_load(name, license, start,
				  (size_t)size / sizeof(struct bpf_insn), log,
				  log_size);
	fd = bcc_func_load(program->module, type, name, start, size, license,
			   version, log != NULL, log, log_size, NULL, 0);
	return fd < 0 ? -errno : fd;
}

static int load_function(struct program *program, const char *name, char **log)
{
	int memory, saved, fd;

	/* A log costs time: only after a failure, and then a large one. */
	memory = divert_stderr(&saved);
	fd = load_once(program, name, NULL);
	if (fd < 0)
		*log = calloc(1, VERIFIER_LOG_BYTES);
	if (fd < 0 && *log)
		fd = load_once(program, name, *log);
	free(restore_stderr(memory, saved));
	if (fd >= 0) {
		free(*log);
		*log = NULL;
	}
	return fd;
}

/* A program that others tail-call takes its place in their array. */
static int place_tail(struct program *program, const char *name, int fd)
{
	static const struct {
		const char *name, *map;
		uint32_t index;
	} tails[] = {
		{"send_large", "tails", 0},
		{"send_moved", "tails", 2},
		{"send_large_raw", "raw_tails", 0},
		{"send_vector", "raw_tails", 1},
		{"on_socket", "raw_tails", 3},
	};
	uint32_t index;
	size_t i;

	for (i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		index = tails[i].index;
		if (!strcmp(name, tails[i].name) &&
		    bpf_update_elem(program_map(program, tails[i].map), &index,
				    &fd, 0))
			return -errno;
	}
	return 0;
}

int program_load(struct program *program, char **log)
{
	const char *name;
	size_t i;
	int error;

	*log = NULL;
	program->links = links_supported();
	for (i = 0; (name = program_function(program, i)); i++) {
		int fd = i < FUNCTIONS_MAX ? load_function(program, name, log) :
					     -E2BIG;

		if (fd < 0)
			return fd;
		program->fds[i] = fd;
		error = place_tail(program, name, fd);
		if (error)
			return error;
	}
	return 0;
}

/* File descriptor of a loaded function; -1: not loaded. */
static int program_fd(const struct program *program, const char *name)
{
	const char *other;
	size_t i;

	for (i = 0; (other = program_function(program, i)); i++)
		if (!strcmp(name, other))
			return program->fds[i];
	return -1;
}

/* Room for one probe more.  0 or -ENOMEM. */
static int make_room(struct program *program)
{
	size_t room = program->event_room ? 2 * program->event_room : 64;
	int *events, *functions;

	if (program->event_count < program->event_room)
		return 0;
	events = realloc(program->events, room * sizeof(*events));
	if (events)
		program->events = events;
	functions = realloc(program->functions, room * sizeof(*functions));
	if (functions)
		program->functions = functions;
	if (!events || !functions)
		return -ENOMEM;
	program->event_room = room;
	return 0;
}

/* Remember a function's probe by its event; takes it over.  0 or -errno. */
static int remember(struct program *program, int function, int event)
{
	if (make_room(program)) {
		bpf_close_perf_event_fd(event);
		return -ENOMEM;
	}
	program->functions[program->event_count] = function;
	program->events[program->event_count++] = event;
	return 0;
}

int program_attach_uprobe(struct program *program, const char *function,
			  const char *path, uint64_t offset, bool on_return)
{
	int fd = program_fd(program, function);
	int memory, saved, event, error;
	char name[96];

	if (fd < 0)
		return -ENOENT;
	if (program->links) {
		event = links_attach(fd, path, offset, on_return);
		return event < 0 ? event : remember(program, fd, event);
	}
	/* The name matters only where the uprobe PMU is missing. */
	snprintf(name, sizeof(name), "datasnoop_%d_%s_%" PRIx64,
		 (int)getpid(), function, offset);
	memory = divert_stderr(&saved);
	errno = 0;
	event = bpf_attach_uprobe(fd,
				  on_return ? BPF_PROBE_RETURN : BPF_PROBE_ENTRY,
				  name, path, offset, -1, 0);
	error = errno ? errno : EINVAL;
	if (event < 0)
		bpf_detach_uprobe(name);
	free(restore_stderr(memory, saved));
	return event < 0 ? -error : remember(program, fd, event);
}

int program_attach_tracepoint(struct program *program, const char *function,
			      const char *category, const char *event_name)
{
	int fd = program_fd(program, function);
	int memory, saved, event, error;

	if (fd < 0)
		return -ENOENT;
	memory = divert_stderr(&saved);
	errno = 0;
	event = bpf_attach_tracepoint(fd, category, event_name);
	error = errno ? errno : EINVAL;
	free(restore_stderr(memory, saved));
	return event < 0 ? -error : remember(program, fd, event);
}

int program_attach_raw(struct program *program, const char *function,
		       const char *event_name)
{
	int fd = program_fd(program, function);
	int memory, saved, event, error;

	if (fd < 0)
		return -ENOENT;
	memory = divert_stderr(&saved);
	errno = 0;
	event = bpf_attach_raw_tracepoint(fd, event_name);
	error = errno ? errno : EINVAL;
	free(restore_stderr(memory, saved));
	return event < 0 ? -error : remember(program, fd, event);
}

static bool is_one_of(const struct program *program, int fd,
		      const char *const *functions)
{
	for (; *functions; functions++)
		if (program_fd(program, *functions) == fd)
			return true;
	return false;
}

void program_detach(struct program *program)
{
	links_close(program->events, program->event_count);
	program->event_count = 0;
}

void program_detach_functions(struct program *program,
			      const char *const *functions)
{
	int taken_off[DETACHED_MAX];
	size_t i, kept = 0, count = 0;

	for (i = 0; i < program->event_count; i++) {
		if (count < DETACHED_MAX &&
		    is_one_of(program, program->functions[i], functions)) {
			taken_off[count++] = program->events[i];
			continue;
		}
		program->functions[kept] = program->functions[i];
		program->events[kept++] = program->events[i];
	}
	program->event_count = kept;
	links_close(taken_off, count);
}

uint64_t program_map_memory(const struct program *program)
{
	size_t i, tables = bpf_num_tables(program->module);
	uint64_t total = 0, bytes;
	char path[64], line[128];
	FILE *file;

	for (i = 0; i < tables; i++) {
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
			 bpf_table_fd_id(program->module, i));
		file = fopen(path, "re");
		while (file && fgets(line, sizeof(line), file))
			if (sscanf(line, "memlock: %" SCNu64, &bytes) == 1)
				total += bytes;
		if (file)
			fclose(file);
	}
	return total;
}

void program_free(struct program *program)
{
	size_t i;

	if (!program)
		return;
	program_detach(program);
	for (i = 0; i < FUNCTIONS_MAX; i++)
		if (program->fds[i] >= 0)
			close(program->fds[i]);
	if (program->module)
		bpf_module_destroy(program->module);
	free(program->events);
	free(program->functions);
	free(program);
}
