/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buffer.h - memory that grows, for what a parser keeps of a message.
 *
 * It knows no bound: who appends bytes of a peer keeps to one of its own, or
 * uses buffer_gather().
 */
#ifndef DATASNOOP_PARSERS_BUFFER_H
#define DATASNOOP_PARSERS_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parsers/exchange.h"

#define BUFFER_KEPT_BYTES 4096 /* a buffer that grew larger is given back */

/* `length` bytes of it are in use; all zero: empty. */
struct buffer {
	uint8_t *bytes;
	size_t length, room;
};

/* Appends; false: out of memory, nothing appended. */
bool buffer_append(struct buffer *buffer, const void *bytes, size_t length);
/*
 * buffer_gather - append as much as keeps it within `bound` bytes in all
 *
 * False: cut, or out of memory; what fits the bound was appended if it could.
 */
bool buffer_gather(struct buffer *buffer, const void *bytes, size_t length,
		   size_t bound);
/* Makes room for `room` bytes in all. */
bool buffer_reserve(struct buffer *buffer, size_t room);
/* Empties it, and gives back more than BUFFER_KEPT_BYTES. */
void buffer_reset(struct buffer *buffer);
void buffer_free(struct buffer *buffer);
/* Its bytes, borrowed until it next changes; NULL when it is empty. */
struct span buffer_span(const struct buffer *buffer);
/* From offset `at` on, borrowed likewise; NULL before it has held any. */
const uint8_t *buffer_at(const struct buffer *buffer, size_t at);

#endif
