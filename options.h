/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h - the command line, checked, as one struct.
 */
#ifndef DATASNOOP_OPTIONS_H
#define DATASNOOP_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "parsers/parser.h"

#define OPTIONS_LIST_MAX 64 /* values of one repeatable option */

enum transport_choice { TRANSPORT_AUTO, TRANSPORT_RING, TRANSPORT_PERF };

struct options {
	/* whom */
	uint32_t pids[OPTIONS_LIST_MAX];
	unsigned pid_count;
	const char *comms[OPTIONS_LIST_MAX]; /* exact, at most 15 bytes */
	unsigned comm_count;
	uint32_t uids[OPTIONS_LIST_MAX];
	unsigned uid_count;
	const char *containers[OPTIONS_LIST_MAX]; /* names, beginnings of ids */
	unsigned container_count;
	const char *cgroups[OPTIONS_LIST_MAX]; /* "/a/b", below the mount */
	unsigned cgroup_count;
	/* what */
	uint16_t ports[OPTIONS_LIST_MAX]; /* local or remote */
	unsigned port_count;
	const struct parser *protocols[OPTIONS_LIST_MAX];
	unsigned protocol_count; /* 0: all */
	/*
	 * With protocols: which of what they bring, by the name of the protocol
	 * or of the application it carries.
	 */
	const char *shown[OPTIONS_LIST_MAX];
	unsigned shown_count; /* 0: all */
	/* which exchanges to show */
	bool errors_only;	/* -x */
	double min_ms;		/* --min-ms; 0: all */
	bool both_ends;		/* the server's side too, the client's shown */
	bool show_values;
	bool no_records; /* the account only */
	/* from where */
	const char *read_file; /* -r; "-": standard input; NULL: live */
	/* where to */
	const char *write_file; /* -w; "-": standard output; NULL: nowhere */
	/* how long */
	double duration_s; /* -d; 0: until a signal */
	/* output */
	bool json;
	bool quiet;
	unsigned verbose;
	/* capture */
	uint32_t flush_size;	/* MAX_FLUSH_SIZE, bytes, power of two */
	uint32_t buffer_size;	/* BUFFER_SIZE, bytes, power of two */
	uint32_t copy_size;	/* MAX_ACCUM_COPY_SIZE, bytes, power of two */
	uint32_t flush_ms;	/* the longest that bytes wait in the kernel */
	uint32_t ring_bytes;	/* of the ring, or of all perf buffers together */
	uint32_t max_capture;	/* bytes of one call, multiple of 128 KiB */
	uint32_t max_connections; /* in the kernel's map */
	enum transport_choice transport;
	bool accumulate;
	bool placement;
	bool socket_tracepoints; /* where the kernel has them */
	const char *kernel_headers; /* NULL: find out */
	/* instead of tracing */
	bool doctor;
};

/*
 * options_parse - argv into *options, or do not return
 *
 * --help and --version print and exit 0; a mistake prints one line, a hint,
 * and exits 2.  Strings borrow argv, whose lists are split in place.
 */
void options_parse(struct options *options, int argc, char **argv);

#endif
