/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doctor.c - what this host offers, and what would be attached: --doctor.
 *
 * Paths and names of other processes are theirs to choose: nothing but
 * printable ASCII of them reaches the terminal.
 */
#include "probes/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "probes/build.h"
#include "probes/golang.h"
#include "probes/headers.h"
#include "probes/kernel.h"
#include "probes/libraries.h"

#define LIBRARIES_MAX 256 /* shown; more are counted */
#define PIDS_MAX      8	  /* shown of each library; more are counted */
#define LINE_BYTES    79

struct entry {
	struct library library;
	pid_t pids[PIDS_MAX];
	unsigned pid_count;
};

struct inventory {
	struct entry *entries[LIBRARIES_MAX];
	unsigned count;
	unsigned not_shown;
};

static void print_safe(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc(*text >= ' ' && *text <= '~' ? *text : '?', out);
}

static void print_row(FILE *out, const char *name, const char *value)
{
	fprintf(out, "  %-21s", name);
	print_safe(out, value);
	fputc('\n', out);
}

/*
 * Text behind an indent, broken at spaces where the line would be too long;
 * what has no space in it stays whole, to be copied.
 */
static void print_wrapped(FILE *out, unsigned indent, const char *text)
{
	unsigned column = LINE_BYTES;

	for (text += strspn(text, " \n"); *text; text += strspn(text, " \n")) {
		size_t length = strcspn(text, " \n");

		if (column + 1 + length > LINE_BYTES) {
			if (column < LINE_BYTES)
				fputc('\n', out);
			fprintf(out, "%*s", (int)indent, "");
			column = indent;
		} else {
			fputc(' ', out);
			column++;
		}
		for (; length; length--, column++, text++)
			fputc(*text >= ' ' && *text <= '~' ? *text : '?', out);
	}
	fputc('\n', out);
}

static void print_kernel(FILE *out, const struct kernel *kernel)
{
	print_row(out, "release", kernel->release);
	print_row(out, "capabilities",
		  kernel->capable ? "sufficient" : "not sufficient");
	print_row(out, "PID namespace",
		  kernel->host_pids ? "the host's" : "a container's");
	print_row(out, "lockdown",
		  *kernel->lockdown ? kernel->lockdown : "not known");
	print_row(out, "bpf system call", kernel->bpf ? "works" : "refused");
	print_row(out, "ring buffer",
		  kernel->ring_buffer ? "yes"
				      : "no: the perf buffer takes its place");
	print_row(out, "bpf_probe_read_user",
		  kernel->probe_read_user
			  ? "yes"
			  : "no: bpf_probe_read takes its place");
	print_row(out, "uprobe PMU",
		  kernel->uprobe_pmu ? "yes" : "no: uprobe_events is used");
	print_row(out, "tracefs",
		  kernel->tracefs ? kernel->tracefs_path : "not mounted");
	print_row(out, "syscall tracepoints",
		  kernel->syscall_tracepoints ? "yes" : "no");
	print_row(out, "socket tracepoints",
		  kernel->socket_tracepoints
			  ? "yes"
			  : "no: each system call is looked at");
	print_row(out, "system calls watched",
		  kernel->on_demand ? "while a connection is of interest"
				    : "always");
	print_row(out, "BPF statistics",
		  kernel->stats ? "on: they cost some time" : "off");
}

/* The order is that of tracing; true when one source was there. */
static bool print_types(FILE *out, const struct options *options)
{
	enum headers_source first = HEADERS_BTF, last = HEADERS_KHEADERS;
	bool found = false;

	if (options->kernel_headers)
		first = last = HEADERS_USER;
	for (unsigned source = first; source <= last && !found; source++) {
		struct headers headers;
		char why[PATH_MAX + 128];

		found = !headers_prepare(&headers, source,
					 options->kernel_headers, why,
					 sizeof(why));
		print_row(out, found ? "types" : "types, tried",
			  headers_source_name(source));
		print_wrapped(out, 4, why);
		if (found)
			headers_release(&headers);
	}
	return found;
}

static int note_library(void *context, const struct library *library)
{
	struct inventory *inventory = context;
	struct entry *entry = NULL;

	for (unsigned i = 0; i < inventory->count && !entry; i++) {
		struct library *known = &inventory->entries[i]->library;

		if (known->device == library->device &&
		    known->inode == library->inode)
			entry = inventory->entries[i];
	}
	if (!entry) {
		if (inventory->count < LIBRARIES_MAX)
			entry = calloc(1, sizeof(*entry));
		if (!entry) {
			inventory->not_shown++;
			return 0;
		}
		entry->library = *library;
		inventory->entries[inventory->count++] = entry;
	}
	if (library->pid == getpid()) /* library_scan_installed() maps it */
		return 0;
	if (entry->pid_count < PIDS_MAX)
		entry->pids[entry->pid_count] = library->pid;
	entry->pid_count++;
	return 0;
}

static void print_processes(FILE *out, const struct entry *entry)
{
	fputs("    mapped by", out);
	if (!entry->pid_count)
		fputs(" no process yet", out);
	for (unsigned i = 0; i < entry->pid_count && i < PIDS_MAX; i++) {
		char path[64], comm[64] = "gone";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/comm", entry->pids[i]);
		file = fopen(path, "re");
		if (file) {
			if (fgets(comm, sizeof(comm), file))
				comm[strcspn(comm, "\n")] = '\0';
			fclose(file);
		}
		/* Three to a line stay within 80 columns. */
		fputs(!i ? " " : i % 3 ? ", " : ",\n              ", out);
		fprintf(out, "%d ", entry->pids[i]);
		print_safe(out, comm);
	}
	if (entry->pid_count > PIDS_MAX)
		fprintf(out, " and %u more", entry->pid_count - PIDS_MAX);
	fputc('\n', out);
}

static void print_probe(FILE *out, enum library_function function,
			const struct library_probe *probe)
{
	static const char *const kinds[] = {
		[PLACEMENT_SELF] = "emulated",
		[PLACEMENT_CALLEE] = "at its callee, emulated",
		[PLACEMENT_SELF_STEPS] = "single-stepped",
	};
	const char *name = library_function_name(function);

	fprintf(out, "    %-25s 0x%-8llx %s, %s\n", name,
		(unsigned long long)probe->file_offset,
		probe->place.instruction, kinds[probe->place.kind]);
	if (*probe->place.why)
		fprintf(out, "    %-25s   %s\n", "", probe->place.why);
}

/* Go's own TLS in a program, found already.  True when it can be probed. */
static bool print_golang(FILE *out, struct entry *entry, int error,
			 const struct golang *golang, const char *why)
{
	print_safe(out, entry->library.path);
	fprintf(out, "\n    Go's crypto/tls, %s, device %u:%u inode %llu\n",
		*golang->version ? golang->version : "version unknown",
		major(entry->library.device), minor(entry->library.device),
		(unsigned long long)entry->library.inode);
	print_processes(out, entry);
	if (error) {
		fprintf(out, "    not traced: %s\n",
			*why ? why : strerror(-error));
		return false;
	}
	for (unsigned i = 0; i < GOLANG_FUNCTIONS; i++)
		fprintf(out, "    %-25s 0x%-8llx returns probed: %u\n",
			golang_function_name(i),
			(unsigned long long)golang->probes[i].entry,
			golang->probes[i].return_count);
	return true;
}

/* The same of a file that has nothing but Go's. */
static bool print_go_program(FILE *out, struct entry *entry)
{
	struct golang *golang = malloc(sizeof(*golang));
	bool traced = false;
	const char *why;
	int error;

	if (!golang)
		return false;
	error = golang_read(entry->library.opened, golang, &why);
	if (error != -ENOENT && error != -ENOEXEC) {
		fputs("  ", out);
		traced = print_golang(out, entry, error, golang, why);
	}
	free(golang);
	return traced;
}

/* True when its functions can be probed. */
static bool print_library(FILE *out, struct entry *entry, bool placement)
{
	struct library *library = &entry->library;
	struct stat status;
	int error;

	if (library->linked == LINKED_GO)
		return print_go_program(out, entry);
	error = library_read(library->opened, placement, library);
	/* It calls one, and has none. */
	if (error == -ENOENT && library->linked == LINKED_SYMBOLS &&
	    !library_name_matches(library->path))
		return false;
	fputs("  ", out);
	print_safe(out, library->path);
	fprintf(out, "\n    %s, device %u:%u inode %llu\n",
		*library->version ? library->version : "version unknown",
		major(library->device), minor(library->device),
		(unsigned long long)library->inode);
	if (stat(library->path, &status) || status.st_dev != library->device ||
	    status.st_ino != library->inode) {
		fputs("    read as ", out);
		print_safe(out, library->opened);
		fputc('\n', out);
	}
	print_processes(out, entry);
	if (error) {
		fprintf(out, "    not traced: %s\n",
			library->linked == LINKED_STRIPPED
				? "OpenSSL or BoringSSL, and no symbols"
			: error == -ENOENT  ? "it has no functions to trace"
			: error == -ENOEXEC ? "no ELF file of this machine"
					    : strerror(-error));
		return false;
	}
	for (unsigned i = 0; i < FUNCTIONS; i++)
		if (library->probes[i].found)
			print_probe(out, i, &library->probes[i]);
	return true;
}

static void print_libraries(FILE *out, const struct options *options)
{
	struct inventory *inventory = calloc(1, sizeof(*inventory));
	struct library_cache *cache = library_cache_new();
	unsigned traced = 0;

	if (!inventory || !cache)
		goto out;
	for (unsigned i = 0; i < options->pid_count; i++)
		library_scan_process(cache, options->pids[i], note_library,
				     inventory);
	if (!options->pid_count) {
		library_scan_installed(cache, note_library, inventory);
		library_scan_all(cache, note_library, inventory);
	}
	for (unsigned i = 0; i < inventory->count; i++) {
		traced += print_library(out, inventory->entries[i],
					options->placement);
		free(inventory->entries[i]);
	}
	if (inventory->not_shown)
		fprintf(out, "  and %u more mappings, not shown\n",
			inventory->not_shown);
	if (!traced)
		fputs("  none that is traced is mapped now; one that is mapped"
		      " later is traced then\n",
		      out);
out:
	library_cache_free(cache);
	free(inventory);
}

/* One line, or two, for each thing without which nothing is traced. */
static unsigned print_missing(FILE *out, const struct kernel *kernel,
			      bool types)
{
	char uprobe_events[128];
	unsigned missing = 0;

	snprintf(uprobe_events, sizeof(uprobe_events), "%s/uprobe_events",
		 kernel->tracefs_path);
	if (!kernel->capable && ++missing)
		fputs("  no CAP_SYS_ADMIN, nor CAP_BPF and CAP_PERFMON: "
		      "run it as root\n",
		      out);
	if (!kernel->host_pids && ++missing)
		fputs("  a container's PID namespace: run it on the host, or "
		      "with --pid=host\n",
		      out);
	if (kernel->capable && !kernel->bpf && ++missing)
		fputs("  bpf() is refused: leave the container, or boot a "
		      "kernel with\n  CONFIG_BPF_SYSCALL\n",
		      out);
	/* Without rights it can't be seen, mounted or not. */
	if (kernel->capable && !kernel->tracefs && ++missing)
		fputs("  tracefs is not mounted: mount -t tracefs nodev "
		      "/sys/kernel/tracing\n",
		      out);
	if (kernel->tracefs && !kernel->syscall_tracepoints && ++missing)
		fputs("  no system call tracepoints: boot a kernel with "
		      "CONFIG_FTRACE_SYSCALLS\n",
		      out);
	if (kernel->tracefs && !kernel->uprobe_pmu &&
	    access(uprobe_events, F_OK) && ++missing)
		fputs("  no uprobes: boot a kernel with CONFIG_UPROBE_EVENTS\n",
		      out);
	if (!strcmp(kernel->lockdown, "confidentiality") && ++missing)
		fputs("  lockdown=confidentiality forbids BPF to read memory: "
		      "boot with\n  lockdown=integrity\n",
		      out);
	if (!types && ++missing)
		fprintf(out,
			"  no kernel types: apt-get install linux-headers-%s\n"
			"  (or dnf install kernel-devel-%s), or "
			"--kernel-headers DIR\n",
			kernel->release, kernel->release);
	return missing;
}

/* What the compiler or the verifier says: many lines, kept. */
static void print_words(void *context, const char *words)
{
	FILE *out = context;

	for (; *words; words++)
		fputc(*words == '\n' || *words == '\t' ||
				      (*words >= ' ' && *words <= '~')
			      ? *words
			      : '?',
		      out);
}

/* Bytes of a map as the kernel accounts them; 0: it does not say. */
static uint64_t map_memory(int map)
{
	char path[64], line[128];
	uint64_t bytes = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", map);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %" SCNu64, &bytes) == 1)
			break;
	if (file)
		fclose(file);
	return bytes;
}

static void print_memory(FILE *out, const struct options *options,
			 const struct build *build)
{
	uint64_t all = program_map_memory(build->program);
	uint64_t connections =
		map_memory(program_map(build->program, "connections"));

	fprintf(out,
		"  %-21s%.1f MB: room for %u connections of %u bytes"
		"\n  %-21s(--max-connections, --buffer-size)\n",
		"memory, connections", connections / 1048576.0,
		options->max_connections, options->buffer_size, "");
	fprintf(out, "  %-21s%.1f MB: %s\n", "memory, the rest",
		(all - connections) / 1048576.0,
		build->ring ? "the ring buffer and the other maps"
			    : "the other maps");
	if (!build->ring)
		fprintf(out,
			"  memory, perf buffers up to %.1f MB when tracing "
			"(--ring-mb)\n",
			options->ring_bytes / 1048576.0);
}

/*
 * Compile and load all that tracing would.  True when it worked; else `why`
 * is what failed.
 */
static bool print_build(FILE *out, const struct options *options,
			const struct kernel *kernel, char *why, size_t size)
{
	unsigned functions = 0;
	struct build build;

	if (build_check(options, kernel, why, size)) {
		print_row(out, "not tried", "see what is missing");
		return false;
	}
	if (build_program(&build, options, kernel, print_words, out, why,
			  size)) {
		print_row(out, "refused", "see what is missing");
		return false;
	}
	while (program_function(build.program, functions))
		functions++;
	fprintf(out, "  %-21sin %.2f s, types from: %s\n", "compiled",
		build.compile_s, headers_source_name(build.types));
	fprintf(out, "  %-21sin %.2f s, %u programs accepted\n", "loaded",
		build.load_s, functions);
	print_memory(out, options, &build);
	program_free(build.program);
	return true;
}

int doctor_print(FILE *out, const struct options *options)
{
	char why[4096] = "";
	struct kernel kernel;
	unsigned missing;
	bool types, built;

	kernel_raise_memlock();
	kernel_probe(&kernel);
	fputs("kernel\n", out);
	print_kernel(out, &kernel);
	types = print_types(out, options);
	fputs("BPF programs\n", out);
	built = print_build(out, options, &kernel, why, sizeof(why));
	fputs("TLS libraries\n", out);
	print_libraries(out, options);
	fputs("missing\n", out);
	missing = print_missing(out, &kernel, types);
	if (!missing && built)
		fputs("  nothing: tracing can work\n", out);
	else if (!missing)
		print_wrapped(out, 2, why);
	return missing || !built ? 1 : 0;
}
