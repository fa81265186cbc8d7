/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture.c - the whole of live capture: from options to records.
 */
#include "probes/capture.h"

#include <bcc/libbpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "probes/attach.h"
#include "probes/headers.h"
#include "probes/kernel.h"
#include "probes/peek.h"
#include "probes/program.h"
#include "probes/transport.h"
#include "probes/watcher.h"

#define REAP_NS 1000000000ULL /* between looks for processes that have gone */

struct capture {
	const struct options *options;
	struct capture_events events;
	struct kernel kernel;
	struct headers headers;
	struct program *program;
	struct transport *transport;
	struct peek *peek;
	struct watcher *watcher;
	struct attach *attach;
	bool ring;
	bool rescan; /* notes of new libraries were lost */
	bool repeek; /* notes of waiting bytes were lost */
	uint64_t reaped_ns;
	struct counters seen; /* the counters when they were last read */
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

__attribute__((format(printf, 3, 4))) static int fail(char *why, size_t size,
						      const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, size, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

/* The sum over all CPUs of what the kernel counts. */
static void read_counters(struct capture *capture, struct counters *sum)
{
	int cpus = libbpf_num_possible_cpus(), map, i;
	struct counters *each = cpus > 0 ? calloc(cpus, sizeof(*each)) : NULL;
	uint32_t zero = 0;
	size_t word;

	memset(sum, 0, sizeof(*sum));
	map = program_map(capture->program, "counts");
	if (each && !bpf_lookup_elem(map, &zero, each))
		for (i = 0; i < cpus; i++)
			for (word = 0; word < sizeof(*sum) / 8; word++)
				((uint64_t *)sum)[word] +=
					((uint64_t *)&each[i])[word];
	free(each);
}

/* What a transport or a peek brings: notes are ours, the rest goes on. */
static void on_record(void *context, const void *record, size_t size)
{
	struct capture *capture = context;
	struct batch header;
	struct batch_library file;
	struct accumulator_key key;

	if (size < sizeof(header))
		return;
	memcpy(&header, record, sizeof(header));
	if (header.kind == BATCH_NOTE) {
		key.object = header.offset;
		key.tgid = header.tgid;
		if (peek_schedule(capture->peek, &key,
				  header.first_ns + capture->options->flush_ms *
							    900000ULL))
			capture->repeek = true;
		return;
	}
	if (header.kind != BATCH_LIBRARY) {
		capture->events.record(capture->events.context, record, size);
		return;
	}
	if (size < sizeof(header) + sizeof(file))
		return;
	memcpy(&file, (const char *)record + sizeof(header), sizeof(file));
	if (watcher_told(capture->watcher, header.tgid, &file, now()))
		capture->rescan = true;
}

/* Fill a filter's map: each key, one byte. */
static void fill(struct capture *capture, const char *name, const void *keys,
		 size_t key_size, unsigned count)
{
	uint8_t one = 1;
	unsigned i;

	for (i = 0; i < count; i++)
		bpf_update_elem(program_map(capture->program, name),
				(char *)keys + i * key_size, &one, 0);
}

static void fill_filters(struct capture *capture)
{
	const struct options *options = capture->options;
	char comms[OPTIONS_LIST_MAX][BATCH_COMM_BYTES] = {{0}};
	unsigned i;

	for (i = 0; i < options->comm_count; i++)
		snprintf(comms[i], sizeof(comms[i]), "%s", options->comms[i]);
	fill(capture, "pids", options->pids, sizeof(options->pids[0]),
	     options->pid_count);
	fill(capture, "uids", options->uids, sizeof(options->uids[0]),
	     options->uid_count);
	fill(capture, "comms", comms, sizeof(comms[0]), options->comm_count);
}

/* What must be there before anything is tried. */
static int check_kernel(struct capture *capture, char *why, size_t size)
{
	const struct kernel *kernel = &capture->kernel;

	if (!kernel->capable)
		return fail(why, size,
			    "needs root, or CAP_BPF and CAP_PERFMON (before "
			    "Linux 5.8: CAP_SYS_ADMIN)");
	if (!kernel->bpf)
		return fail(why, size,
			    "this kernel refuses bpf(): no CONFIG_BPF_SYSCALL, "
			    "or locked down (see datasnoop --doctor)");
	if (!kernel->tracefs)
		return fail(why, size,
			    "tracefs is not mounted: mount -t tracefs nodev "
			    "/sys/kernel/tracing");
	if (capture->options->transport == TRANSPORT_RING &&
	    !kernel->ring_buffer)
		return fail(why, size,
			    "--transport ring: this kernel has no BPF ring "
			    "buffer; use --transport perf");
	capture->ring = capture->options->transport != TRANSPORT_PERF &&
			kernel->ring_buffer;
	return 0;
}

/* One source of types: prepare, compile.  0 or -errno; adds to `why`. */
static int compile_from(struct capture *capture, enum headers_source source,
			char *why, size_t size)
{
	const struct options *options = capture->options;
	struct program_variant variant = {
		.ring = capture->ring,
		.old_reads = !capture->kernel.probe_read_user,
	};
	size_t used = strlen(why);
	char *messages;
	int error;

	error = headers_prepare(&capture->headers, source,
				options->kernel_headers, why + used,
				size - used);
	if (error) {
		used = strlen(why);
		snprintf(why + used, size - used, "; ");
		return error;
	}
	why[used] = '\0';
	capture->program = program_compile(options, &variant, &capture->headers,
					   &messages);
	if (!capture->program) {
		snprintf(why + used, size - used, "%s: does not compile%s; ",
			 headers_source_name(source),
			 options->verbose ? "" : " (-v shows the messages)");
		if (options->verbose && messages)
			capture->events.warn(capture->events.context, messages);
		headers_release(&capture->headers);
		error = -EINVAL;
	}
	free(messages);
	return error;
}

static int compile(struct capture *capture, char *why, size_t size)
{
	int source = HEADERS_BUILD, last = HEADERS_BTF;
	char tried[2048] = "";

	if (capture->options->kernel_headers)
		source = last = HEADERS_USER;
	for (; source <= last; source++)
		if (!compile_from(capture, source, tried, sizeof(tried)))
			return 0;
	return fail(why, size,
		    "no types of kernel %s: tried %sinstall the package "
		    "linux-headers-%s, or name a tree with --kernel-headers",
		    capture->kernel.release, tried, capture->kernel.release);
}

static int load(struct capture *capture, char *why, size_t size)
{
	char *log;
	int error = program_load(capture->program, &log);

	if (error) {
		if (log && capture->options->verbose)
			capture->events.warn(capture->events.context, log);
		fail(why, size, "the kernel refuses a BPF program: %s%s",
		     strerror(-error),
		     capture->options->verbose ? "" :
						 " (-v shows the verifier's log)");
	}
	free(log);
	return error;
}

static int open_channels(struct capture *capture, char *why, size_t size)
{
	const struct options *options = capture->options;
	struct program *program = capture->program;

	capture->transport =
		transport_open(program_map(program, "events"), capture->ring,
			       options->ring_bytes, on_record, capture);
	if (!capture->transport)
		return fail(why, size, "%s buffer of %u KiB: %s",
			    capture->ring ? "ring" : "perf",
			    options->ring_bytes / 1024, strerror(errno));
	capture->peek = peek_new(program_map(program, "connections"),
				 sizeof(struct accumulator) +
					 options->buffer_size,
				 options->flush_size);
	capture->watcher = watcher_new(program_map(program, "judged"));
	capture->attach = attach_new(program, options, &capture->events);
	if (!capture->peek || !capture->watcher || !capture->attach)
		return fail(why, size, "out of memory");
	return 0;
}

int capture_open(struct capture **opened, const struct options *options,
		 const struct capture_events *events, char *why,
		 size_t why_size)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	int error;

	*opened = NULL;
	if (!capture)
		return fail(why, why_size, "out of memory");
	capture->options = options;
	capture->events = *events;
	kernel_probe(&capture->kernel);
	kernel_raise_memlock();
	error = check_kernel(capture, why, why_size);
	if (!error)
		error = compile(capture, why, why_size);
	if (!error)
		error = load(capture, why, why_size);
	if (!error)
		error = open_channels(capture, why, why_size);
	if (error) {
		capture_free(capture);
		return error;
	}
	fill_filters(capture);
	error = attach_tracepoints(capture->attach, why, why_size);
	if (error) {
		capture_free(capture);
		return error;
	}
	attach_host(capture->attach);
	capture->reaped_ns = now();
	*opened = capture;
	return 0;
}

void capture_describe(const struct capture *capture, char *text, size_t size)
{
	const struct options *options = capture->options;
	unsigned functions, libraries;
	char batches[64] = "one record a fragment";

	attach_count(capture->attach, &functions, &libraries);
	if (options->accumulate)
		snprintf(batches, sizeof(batches), "batches %u of %u bytes",
			 options->flush_size, options->buffer_size);
	snprintf(text, size,
		 "tracing %u functions in %u librar%s (%s buffer %g MB, %s)",
		 functions, libraries, libraries == 1 ? "y" : "ies",
		 capture->ring ? "ring" : "perf",
		 options->ring_bytes / 1048576.0, batches);
}

static void look_at(void *context, pid_t pid)
{
	attach_process(((struct capture *)context)->attach, pid);
}

/* Once a second: processes that have gone, notes that were lost. */
static void look_around(struct capture *capture, uint64_t time)
{
	struct counters counters;

	read_counters(capture, &counters);
	if (counters.notices_lost != capture->seen.notices_lost)
		capture->rescan = capture->repeek = true;
	if (capture->rescan)
		attach_host(capture->attach);
	if (capture->repeek)
		peek_schedule_all(capture->peek, time);
	peek_reap(capture->peek,
		  counters.lost[LOSS_BUFFER_FULL] !=
			  capture->seen.lost[LOSS_BUFFER_FULL],
		  on_record, capture);
	capture->rescan = capture->repeek = false;
	capture->seen = counters;
	capture->reaped_ns = time;
}

int capture_pass(struct capture *capture)
{
	uint64_t time = now();
	int error;

	peek_collect(capture->peek, time);
	error = transport_drain(capture->transport);
	peek_deliver(capture->peek, on_record, capture);
	watcher_run(capture->watcher, time, look_at, capture);
	if (time - capture->reaped_ns > REAP_NS)
		look_around(capture, time);
	return error;
}

void capture_wait(struct capture *capture, int ms)
{
	transport_wait(capture->transport, ms);
}

void capture_stop(struct capture *capture, struct counters *counters)
{
	program_detach(capture->program);
	transport_drain(capture->transport);
	peek_all(capture->peek, on_record, capture);
	read_counters(capture, counters);
}

uint64_t capture_memory(const struct capture *capture)
{
	return program_map_memory(capture->program);
}

void capture_free(struct capture *capture)
{
	if (!capture)
		return;
	attach_free(capture->attach);
	watcher_free(capture->watcher);
	peek_free(capture->peek);
	transport_close(capture->transport);
	program_free(capture->program);
	headers_release(&capture->headers);
	free(capture);
}
