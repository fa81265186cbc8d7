/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * capture.c - the whole of live capture: from options to records.
 */
#include "probes/capture.h"

#include <bcc/libbpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "probes/attach.h"
#include "probes/build.h"
#include "probes/closing.h"
#include "probes/demand.h"
#include "probes/kernel.h"
#include "probes/leftovers.h"
#include "probes/peek.h"
#include "probes/program.h"
#include "probes/transport.h"
#include "probes/watcher.h"

#define IO_URING_TOLD_MAX 256 /* processes warned of, at most */
#define REAP_NS 1000000000ULL /* between looks for processes that have gone */
/*
 * Taken at once: what is told of the connections in it keeps the kernel from
 * sending more of those that nobody wants, while much of it comes.
 */
#define SLICE_BYTES (256U << 10)
/*
 * Between two passes.  To be woken costs a busy host more than the pass: when
 * nothing comes, it is done less often.  A connection's first bytes wake it.
 */
#define WAIT_MS	    5
#define WAIT_IDLE_MS 50
#define IDLE_PASSES 2 /* in a row, until the wait is doubled */
#define REST_NS 300000000ULL /* without demand, until it is watched no more */

struct capture {
	const struct options *options;
	struct capture_events events;
	struct kernel kernel;
	struct program *program;
	struct transport *transport;
	struct peek *peek;
	struct watcher *watcher;
	struct closing *closing;
	struct attach *attach;
	struct demand *demand; /* NULL: all is always watched */
	bool watching;	       /* system calls */
	uint64_t demanded_ns;  /* when last */
	bool ring;
	bool rescan; /* notes of new libraries were lost */
	bool repeek; /* notes of waiting bytes were lost */
	bool recheck; /* notes of what was closed */
	unsigned idle_passes; /* in a row: no record came */
	size_t drained;	       /* of the transport, in the pass that goes on */
	uint64_t reaped_ns;
	pid_t io_uring[IO_URING_TOLD_MAX]; /* processes that were warned of */
	unsigned io_uring_count;
	struct counters seen; /* the counters when they were last read */
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
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

/* Said once of each process, as far as they fit. */
static void tell_io_uring(struct capture *capture, pid_t pid,
			  const char comm[BATCH_COMM_BYTES])
{
	char text[160];
	unsigned i;

	for (i = 0; i < capture->io_uring_count; i++)
		if (capture->io_uring[i] == pid)
			return;
	if (i == IO_URING_TOLD_MAX)
		return;
	capture->io_uring[capture->io_uring_count++] = pid;
	snprintf(text, sizeof(text),
		 "process %d (%.*s) uses io_uring: what it moves on sockets "
		 "that way is not seen",
		 (int)pid, BATCH_COMM_BYTES, comm);
	capture->events.warn(capture->events.context, text);
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
	capture->idle_passes = 0;
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
	if (header.kind == BATCH_CLOSING) {
		if (closing_told(capture->closing, header.tgid,
				 header.first_ns))
			capture->recheck = true;
		return;
	}
	if (header.kind == BATCH_EXEC) {
		peek_exec(capture->peek, &header);
		return;
	}
	if (header.kind == BATCH_IO_URING) {
		if (size >= sizeof(header) + BATCH_COMM_BYTES)
			tell_io_uring(capture, header.tgid,
				      (const char *)record + sizeof(header));
		return;
	}
	if (header.kind != BATCH_LIBRARY) {
		if (capture->demand)
			demand_record(capture->demand, record, size);
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

/* The programs, compiled for this kernel and loaded. */
static int build(struct capture *capture, char *why, size_t size)
{
	struct build built;
	int error = build_check(capture->options, &capture->kernel, why, size);

	if (!error)
		error = build_program(&built, capture->options,
				      &capture->kernel, capture->events.warn,
				      capture->events.context, why, size);
	if (error)
		return error;
	capture->program = built.program;
	capture->ring = built.ring;
	/* What the compiler has freed, nothing later is as large as. */
	malloc_trim(0);
	return 0;
}

static int open_channels(struct capture *capture, char *why, size_t size)
{
	const struct options *options = capture->options;
	struct program *program = capture->program;
	int error;

	capture->transport =
		transport_open(program_map(program, "events"), capture->ring,
			       options->ring_bytes, on_record, capture);
	if (!capture->transport) {
		error = errno ? -errno : -EIO;
		snprintf(why, size, "%s buffer of %u KiB: %s",
			 capture->ring ? "ring" : "perf",
			 options->ring_bytes / 1024, strerror(-error));
		return error;
	}
	capture->peek = peek_new(program_map(program, "connections"),
				 sizeof(struct accumulator) +
					 options->buffer_size,
				 options->flush_size);
	capture->watcher = watcher_new(program_map(program, "judged"));
	capture->closing = closing_new();
	capture->attach = attach_new(program, options, &capture->events);
	if (capture->peek && capture->watcher && capture->closing &&
	    capture->attach)
		return 0;
	snprintf(why, size, "out of memory");
	return -ENOMEM;
}

int capture_open(struct capture **opened, const struct options *options,
		 const struct capture_events *events, char *why,
		 size_t why_size)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	int error;

	*opened = NULL;
	if (!capture) {
		snprintf(why, why_size, "out of memory");
		return -ENOMEM;
	}
	capture->options = options;
	capture->events = *events;
	/* First: before 5.11 what is probed counts as locked memory too. */
	kernel_raise_memlock();
	kernel_probe(&capture->kernel);
	if (capture->kernel.tracefs)
		leftovers_remove(capture->kernel.tracefs_path);
	error = build(capture, why, why_size);
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
	if (attach_is_on_demand(capture->attach)) {
		capture->demand = demand_new();
		capture->watching = true;
	}
	attach_host(capture->attach);
	capture->reaped_ns = capture->demanded_ns = now();
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
		capture->rescan = capture->repeek = capture->recheck = true;
	if (capture->rescan)
		attach_host(capture->attach);
	if (capture->repeek)
		peek_schedule_all(capture->peek, time);
	peek_reap(capture->peek, counters.left != capture->seen.left);
	if (capture->recheck)
		peek_sockets(capture->peek, 0);
	capture->rescan = capture->repeek = capture->recheck = false;
	capture->seen = counters;
	capture->reaped_ns = time;
}

static void watch(struct capture *capture)
{
	char why[256];

	capture->watching = true;
	if (attach_watch(capture->attach, why, sizeof(why)))
		capture->events.warn(capture->events.context, why);
	/* What was closed before. */
	peek_sockets(capture->peek, 0);
}

/* Which sockets do those have left who close some? */
static void end_closed(struct capture *capture, uint64_t time)
{
	pid_t pid;

	while (closing_take(capture->closing, time, &pid))
		peek_sockets(capture->peek, pid);
}

/* What nobody cares for ends here, if no call of its own has ended it. */
static void end_ignored(struct capture *capture, uint64_t time)
{
	struct accumulator_key key;
	uint64_t connection, done = IGNORED_DONE;

	while (demand_take_ignored(capture->demand, time, &key, &connection)) {
		bpf_update_elem(program_map(capture->program, "ignored"), &key,
				&done, 0);
		peek_mark(capture->peek, &key, connection);
	}
}

/* System calls are watched while a plain connection is of interest. */
static void follow_demand(struct capture *capture, uint64_t time)
{
	end_ignored(capture, time);
	if (demand_is_there(capture->demand, time)) {
		capture->demanded_ns = time;
		if (!capture->watching)
			watch(capture);
	} else if (capture->watching &&
		   time - capture->demanded_ns > REST_NS) {
		capture->watching = false;
		attach_rest(capture->attach);
	}
}

int capture_pass(struct capture *capture)
{
	uint64_t time = now();
	int more;

	capture->idle_passes++;
	if (!capture->drained)
		peek_collect(capture->peek, time);
	more = transport_drain(capture->transport, SLICE_BYTES);
	/* By then all has come that was there at the begin. */
	capture->drained += SLICE_BYTES;
	if (more > 0 && capture->drained < capture->options->ring_bytes)
		return more;
	capture->drained = 0;
	peek_deliver(capture->peek, on_record, capture);
	peek_end_marked(capture->peek, on_record, capture);
	watcher_run(capture->watcher, time, look_at, capture);
	end_closed(capture, time);
	if (capture->demand)
		follow_demand(capture, time);
	if (time - capture->reaped_ns > REAP_NS)
		look_around(capture, time);
	return more;
}

void capture_ignore(struct capture *capture, uint64_t object, uint32_t pid,
		    uint64_t connection)
{
	const struct accumulator_key key = {.object = object, .tgid = pid};

	bpf_update_elem(program_map(capture->program, "ignored"),
			(void *)&key, &connection, 0);
	if (capture->demand)
		demand_ignored(capture->demand, connection, now());
}

void capture_ignore_cgroup(struct capture *capture, uint64_t id)
{
	uint8_t one = 1;

	bpf_update_elem(program_map(capture->program, "other_cgroups"), &id,
			&one, 0);
}

void capture_wait(struct capture *capture)
{
	uint64_t time = now(), due = peek_next(capture->peek);
	unsigned doubled = capture->idle_passes / IDLE_PASSES;
	unsigned longest = capture->options->flush_ms / 2, ms = WAIT_MS;

	if (longest > WAIT_IDLE_MS)
		longest = WAIT_IDLE_MS;
	/* The perf buffer wakes nobody for a connection's first bytes. */
	if (capture->ring)
		ms = doubled < 4 ? WAIT_MS << doubled : WAIT_IDLE_MS;
	if (ms > longest)
		ms = longest;
	if (due < time + ms * 1000000ULL)
		ms = due > time ? (due - time) / 1000000 + 1 : 0;
	if (ms < WAIT_MS)
		ms = WAIT_MS;
	transport_wait(capture->transport, ms);
}

void capture_stop(struct capture *capture, struct counters *counters)
{
	program_detach(capture->program);
	transport_drain(capture->transport, SIZE_MAX);
	peek_all(capture->peek, on_record, capture);
	read_counters(capture, counters);
}

unsigned capture_io_uring_processes(const struct capture *capture)
{
	return capture->io_uring_count;
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
	demand_free(capture->demand);
	watcher_free(capture->watcher);
	closing_free(capture->closing);
	peek_free(capture->peek);
	transport_close(capture->transport);
	program_free(capture->program);
	free(capture);
}
