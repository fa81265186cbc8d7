/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * program.h - libbcc: compile the BPF text with macros, load, attach, detach.
 *
 * The only file that speaks to libbcc but for transport.c.
 */
#ifndef DATASNOOP_PROBES_PROGRAM_H
#define DATASNOOP_PROBES_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "probes/headers.h"
#include "probes/kernel.h"

struct program;

/* What the text is compiled for. */
struct program_variant {
	bool ring;	 /* a ring buffer; else a perf buffer */
	bool old_reads;	 /* bpf_probe_read() for bpf_probe_read_user/_kernel */
	bool socket_tracepoints; /* sock:*, where most calls are taken */
	bool on_demand; /* and the system calls' only while need be */
};

/*
 * program_compile - the embedded text for one source of types
 * @headers: prepared; @options: sizes and filters
 *
 * Creates the maps, loads nothing.  NULL: it does not compile, or a map can't
 * be made; what clang said is in *messages (malloc'd, may be NULL), the
 * caller frees it.
 */
struct program *program_compile(const struct options *options,
				const struct program_variant *variant,
				const struct headers *headers, char **messages);
void program_free(struct program *program);

/* The names of the BPF functions, NULL after the last. */
const char *program_function(const struct program *program, size_t index);

/* Bytecode of a function, borrowed; *count in instructions of 8 bytes. */
const void *program_bytecode(const struct program *program, const char *name,
			     size_t *count);

/* Type (enum bpf_map_type) of the map of that index; -1 after the last. */
int program_map_type(const struct program *program, size_t index,
		     const char **name);

/* File descriptor of a map; the program's.  -1: no such map. */
int program_map(const struct program *program, const char *name);

/*
 * program_load - hand all functions to the verifier
 *
 * 0 or -errno; on failure *log is the verifier's (malloc'd, caller frees).
 */
int program_load(struct program *program, char **log);

/*
 * program_attach_uprobe - one BPF function to one place in a file
 * @path: file to open; @offset: in the file; @on_return: a uretprobe
 *
 * 0 or -errno.  Detached by program_detach() or at the process's end, however
 * it ends: the probes are perf events of this process.
 */
int program_attach_uprobe(struct program *program, const char *function,
			  const char *path, uint64_t offset, bool on_return);

/* The same for a tracepoint, "syscalls", "sys_enter_read". */
int program_attach_tracepoint(struct program *program, const char *function,
			      const char *category, const char *event);

/* The same for a raw tracepoint: "sys_exit". */
int program_attach_raw(struct program *program, const char *function,
		       const char *event_name);

/*
 * program_detach_functions - take some functions off wherever they are
 * @functions: names, NULL after the last; at up to 64 places in all
 */
void program_detach_functions(struct program *program,
			      const char *const *functions);

/* Undo every attach; when it returns, no function runs any more. */
void program_detach(struct program *program);

/* Bytes of kernel memory of all maps, as the kernel accounts them. */
uint64_t program_map_memory(const struct program *program);

#endif
