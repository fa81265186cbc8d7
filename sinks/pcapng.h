/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcapng.h - what was captured, decrypted, as a capture file for others.
 *
 * Of each connection TCP segments are made up: with its real addresses, the
 * stream offset as sequence number (the initial one, plus 1, is offset 0), so
 * that a gap is a segment not captured to those who read the file; a handshake
 * where the connection was seen from its start, FINs where its end was.  Whose
 * it is stands in comments (streams/pcapng.h), which -r reads.
 *
 * An end whose address is not known, or none of IP, has 100::EEEE:N, port 0
 * (streams/pcapng.h), N being the connection's number in the file.
 */
#ifndef DATASNOOP_SINKS_PCAPNG_H
#define DATASNOOP_SINKS_PCAPNG_H

#include "streams/connection.h"

struct pcapng_writer;

/*
 * pcapng_writer_open - begin the file; see pcapng_file_open()
 * @wall_ns: added to the times of bytes, to count from 1970
 */
int pcapng_writer_open(struct pcapng_writer **writer, const char *path,
		       struct account *account, uint64_t wall_ns);

/*
 * pcapng_writer_take - write what a connection has that was not written yet
 *
 * To be called when it is visited, before its bytes are taken; they stay.
 * Its two directions are put in the order of their times.  Out of memory:
 * the connection is left out, and pcapng_writer_flush() says so.
 */
void pcapng_writer_take(struct pcapng_writer *writer,
			const struct connection *connection);

/* Why not all of it could be written; 0: it could, as far as is known. */
int pcapng_writer_error(const struct pcapng_writer *writer);
/* All that was taken is in the file, for others to read.  0 or -errno. */
int pcapng_writer_flush(struct pcapng_writer *writer);
/* Flushes, closes and frees.  0 or -errno. */
int pcapng_writer_close(struct pcapng_writer *writer);

#endif
