/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport.c - ring buffer or perf buffer behind one interface.
 *
 * The kernel side wakes nobody for a record (see send_record); epoll, edge
 * triggered, shortens the sleep only when a quarter of the buffer was filled.
 * Loss is not counted here: BPF knows the bytes of each refused record, the
 * perf buffer's own count tells only how many records.
 */
#include "probes/transport.h"

#include <bcc/libbpf.h>
#include <bcc/perf_reader.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CPUS_MAX	 4096
#define FULL_BATCH_BYTES 1088 /* for the perf buffer's wake-up count */

struct transport {
	transport_record record;
	void *context;
	int epoll;
	struct ring_buffer *ring;
	struct perf_reader **readers;
	int reader_count;
	size_t taken, most; /* bytes, in one call of transport_drain() */
};

static int on_ring_record(void *context, void *record, size_t size)
{
	struct transport *transport = context;

	transport->record(transport->context, record, size);
	transport->taken += size;
	return transport->taken < transport->most ? 0 : -ECANCELED;
}

static void on_perf_record(void *context, void *record, int size)
{
	struct transport *transport = context;

	transport->record(transport->context, record, size);
}

static void on_perf_lost(void *context, uint64_t records)
{
	(void)context;
	(void)records;
}

static int watch(struct transport *transport, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	return epoll_ctl(transport->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* The CPUs of /sys/devices/system/cpu/online ("0-3,6"); their number. */
static int online_cpus(int cpus[CPUS_MAX])
{
	FILE *file = fopen("/sys/devices/system/cpu/online", "re");
	int count = 0, first, last;

	while (file && fscanf(file, "%d", &first) == 1) {
		last = first;
		if (fscanf(file, "-%d", &last) != 1)
			last = first;
		while (first <= last && count < CPUS_MAX)
			cpus[count++] = first++;
		if (fgetc(file) != ',')
			break;
	}
	if (file)
		fclose(file);
	return count;
}

/* Pages of one CPU's buffer: the largest power of two within its share. */
static int pages_of(uint32_t bytes, int cpus)
{
	long page = sysconf(_SC_PAGESIZE);
	int pages = 1;

	while ((uint64_t)pages * 2 * page * cpus <= bytes)
		pages *= 2;
	return pages;
}

static int open_readers(struct transport *transport, int map, uint32_t bytes)
{
	static int cpus[CPUS_MAX];
	int count = online_cpus(cpus), pages, i, fd;
	struct bcc_perf_buffer_opts options = {.pid = -1};

	if (!count)
		return -ENODEV;
	transport->readers = calloc(count, sizeof(*transport->readers));
	if (!transport->readers)
		return -ENOMEM;
	pages = pages_of(bytes, count);
	options.wakeup_events =
		pages * sysconf(_SC_PAGESIZE) / 4 / FULL_BATCH_BYTES + 1;
	for (i = 0; i < count; i++) {
		struct perf_reader *reader;

		options.cpu = cpus[i];
		errno = 0;
		reader = bpf_open_perf_buffer_opts(on_perf_record, on_perf_lost,
						   transport, pages, &options);
		if (!reader)
			return errno ? -errno : -EIO;
		transport->readers[transport->reader_count++] = reader;
		fd = perf_reader_fd(reader);
		if (bpf_update_elem(map, &cpus[i], &fd, 0) ||
		    watch(transport, fd))
			return -errno;
	}
	return 0;
}

struct transport *transport_open(int map, bool ring, uint32_t bytes,
				 transport_record record, void *context)
{
	struct transport *transport = calloc(1, sizeof(*transport));
	int error = 0;

	if (!transport)
		return NULL;
	transport->record = record;
	transport->context = context;
	transport->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (transport->epoll < 0)
		goto fail;
	if (!ring) {
		error = open_readers(transport, map, bytes);
		if (error)
			goto fail;
		return transport;
	}
	transport->ring = bpf_new_ringbuf(map, on_ring_record, transport);
	if (!transport->ring || watch(transport, map))
		goto fail;
	return transport;
fail:
	error = error ? -error : errno ? errno : EIO;
	transport_close(transport);
	errno = error;
	return NULL;
}

void transport_close(struct transport *transport)
{
	int i;

	if (!transport)
		return;
	for (i = 0; i < transport->reader_count; i++)
		perf_reader_free(transport->readers[i]);
	free(transport->readers);
	if (transport->ring)
		bpf_free_ringbuf(transport->ring);
	if (transport->epoll >= 0)
		close(transport->epoll);
	free(transport);
}

int transport_drain(struct transport *transport, size_t most)
{
	int error;

	if (transport->ring) {
		transport->taken = 0;
		transport->most = most;
		error = bpf_consume_ringbuf(transport->ring);
		if (error == -ECANCELED)
			return 1;
		return error < 0 ? error : 0;
	}
	perf_reader_consume(transport->reader_count, transport->readers);
	return 0;
}

void transport_wait(struct transport *transport, int ms)
{
	struct epoll_event event;

	epoll_wait(transport->epoll, &event, 1, ms);
}
