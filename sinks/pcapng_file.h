/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcapng_file.h - blocks of a pcapng file, buffered, and what became of them.
 *
 * Source: https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/
 */
#ifndef DATASNOOP_SINKS_PCAPNG_FILE_H
#define DATASNOOP_SINKS_PCAPNG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "streams/account.h"

struct pcapng_file;

/* A packet of LINKTYPE_RAW: an IP packet in two pieces, borrowed. */
struct pcapng_packet {
	uint32_t interface;
	bool outbound;	  /* from the traced process */
	uint64_t time_ns; /* since 1970 */
	const uint8_t *header;
	size_t header_length;
	const uint8_t *data; /* counted in the account */
	size_t length;
	const char *comment;
	size_t comment_length; /* 0: none */
};

/*
 * pcapng_file_open - create a file, or overwrite one, and begin a section
 * @path: "-" is standard output
 * @account: what is written, and what could not be, is counted there; borrowed
 *
 * What was captured is secret: a regular file is readable and writable by its
 * owner only, whatever it was before.  0 or -errno.
 */
int pcapng_file_open(struct pcapng_file **file, const char *path,
		     struct account *account);

/* Describe one more interface; they are numbered from 0. */
void pcapng_file_interface(struct pcapng_file *file, const char *name,
			   const char *description);
void pcapng_file_packet(struct pcapng_file *file,
			const struct pcapng_packet *packet);

/*
 * pcapng_file_flush - give to the kernel what was put so far
 *
 * The first error is remembered: nothing is written from then on, only
 * counted, and a regular file is cut behind its last whole packet that went.
 * 0 or -errno.
 */
int pcapng_file_flush(struct pcapng_file *file);
/* The error remembered; 0: none. */
int pcapng_file_error(const struct pcapng_file *file);
/* Flushes, closes and frees.  0 or -errno. */
int pcapng_file_close(struct pcapng_file *file);

#endif
