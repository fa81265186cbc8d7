/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport.h - ring buffer or perf buffer behind one interface.
 */
#ifndef DATASNOOP_PROBES_TRANSPORT_H
#define DATASNOOP_PROBES_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct transport;

/* A record as it came: a struct batch and more; dead after the return. */
typedef void (*transport_record)(void *context, const void *record,
				 size_t size);

/*
 * transport_open - read what BPF writes to the map `map`
 * @ring: it is a ring buffer; else a perf event array, whose buffers, one a
 *	CPU that is online, share `bytes`
 *
 * NULL with errno set.
 */
struct transport *transport_open(int map, bool ring, uint32_t bytes,
				 transport_record record, void *context);
void transport_close(struct transport *transport);

/*
 * transport_drain - hand over all records that were there when it was called,
 * and maybe later ones
 * @most: of a ring buffer it stops behind so many bytes
 *
 * 0; 1: it has stopped, and there may be more; -errno.
 */
int transport_drain(struct transport *transport, size_t most);

/*
 * transport_wait - sleep `ms` milliseconds, less when a buffer fills or a
 * signal comes: records are collected by the clock, not one by one
 */
void transport_wait(struct transport *transport, int ms);

#endif
