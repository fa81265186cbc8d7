/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap.h - the offline source: a capture file's packets into connections.
 *
 * pcap files are read by libpcap, pcapng files by pcapng.h, from a file or a
 * pipe.  What comes out is what a live capture gives: connections of a
 * connection table with two streams each, and an account that balances.
 */
#ifndef DATASNOOP_STREAMS_PCAP_H
#define DATASNOOP_STREAMS_PCAP_H

#include <stdio.h>

#include "streams/connection.h"

/*
 * Packets of one connection, and bytes of them, that are read between two
 * passes; there is one whenever another connection has its turn, so that
 * exchanges come out in the order of the file.
 */
#define OFFLINE_PASS_PACKETS 1024
#define OFFLINE_PASS_BYTES   (256 << 10) /* stays in a processor's cache */

struct offline_settings {
	struct connection_table *connections; /* made so by this source */
	struct account *account;
	size_t bound; /* connections followed at once */
	/* A connection that a process is known of appeared; may be NULL. */
	void (*opened)(void *context, const struct connection *connection);
	/*
	 * The input, a pipe, has nothing at the moment: shows what there is
	 * and waits until `fd` can be read.  False: stop reading.  May be
	 * NULL: reading waits.  Passes of the table may be made in it.
	 */
	bool (*wait)(void *context, int fd);
	void (*warning)(void *context, const char *message); /* may be NULL */
	void *context;
};

struct offline;

enum offline_status {
	OFFLINE_MORE,  /* a pass's worth was read */
	OFFLINE_END,   /* the file has ended, or wait() said so */
	OFFLINE_FAILED /* the rest cannot be read: see offline_error() */
};

/*
 * offline_open - begin to read a capture file
 * @path: "-" is standard input
 * @text: why not, in one line without a name, when it fails
 *
 * 0; -1: cannot be opened, is no capture file, or of an unknown link type.
 */
int offline_open(struct offline **offline, const char *path,
		 const struct offline_settings *settings, char *text,
		 size_t size);
/* Likewise of a stream, which offline_free() closes; also when this fails. */
int offline_open_file(struct offline **offline, FILE *file,
		      const struct offline_settings *settings, char *text,
		      size_t size);
void offline_free(struct offline *offline);

/* Reads some packets; the caller makes a pass of the table after each call. */
enum offline_status offline_read(struct offline *offline);
/* Why, in one line without a name. */
const char *offline_error(const struct offline *offline);

/* The input is quiet: nothing that is late in it is waited for. */
void offline_settle(struct offline *offline);
/* No more will be read: connections end, the account is complete. */
void offline_end(struct offline *offline);

/* Time of the latest packet, in ns since 1970; 0: none yet. */
uint64_t offline_time(const struct offline *offline);

#endif
