/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * escape.h - captured bytes made safe for a terminal and for JSON.
 *
 * Captured bytes are somebody else's: they may hold terminal sequences,
 * broken UTF-8, or characters that turn the order of what is displayed.
 * Nothing of that kind leaves through these functions.
 */
#ifndef DATASNOOP_SINKS_ESCAPE_H
#define DATASNOOP_SINKS_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "parsers/exchange.h"

/* A line of output that grows; zeroed is empty.  Not terminated. */
struct line {
	char *bytes;
	size_t length;
	size_t room;
	size_t columns; /* of a terminal, that the bytes take */
	bool failed;	/* out of memory: bytes are missing */
};

/* Forgets the bytes, keeps the memory. */
void line_clear(struct line *line);
void line_free(struct line *line);

/*
 * line_room - where `length` more bytes are to be written, a column each
 *
 * NULL: out of memory, see line->failed.
 */
char *line_room(struct line *line, size_t length);

/* Appends bytes as they are; they count as one column each. */
static inline void line_put(struct line *line, const char *bytes,
			    size_t length)
{
	char *room = line_room(line, length);

	if (room)
		memcpy(room, bytes, length);
}

void line_print(struct line *line, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Appends a number, with zeroes before it up to so many digits (1 to 20). */
void line_number(struct line *line, uint64_t number, unsigned digits);

/* Appends spaces up to that column, and at least one. */
void line_pad(struct line *line, size_t column);

/*
 * line_cut - shorten a line to `columns`, its end replaced by "..."
 *
 * The line must hold valid UTF-8, as escape_text() makes it.
 */
void line_cut(struct line *line, size_t columns);

/*
 * escape_text - append bytes as a terminal may have them
 * @fold: runs of white space become one space, none at either end
 *
 * Control characters, bytes that are not UTF-8 and backslashes are written as
 * \x1b, \x80 and \\; C1 controls and characters that are invisible or change
 * the direction of text as \u009b, \u202e, \U000e0041.
 * Source: RFC 3629; Unicode TR 36 (bidirectional spoofing), UAX 9 and 11.
 */
void escape_text(struct line *line, struct span span, bool fold);

/*
 * escape_json - append bytes as a JSON string, quotes included
 *
 * A byte that is not UTF-8 becomes U+FFFD; what escape_text() would not show
 * is written as \u009b, so that a JSON line is safe on a terminal too.
 * Source: RFC 8259, section 7.
 */
void escape_json(struct line *line, struct span span);

/*
 * escape_message - append a server's error text without what it quotes
 *
 * Servers repeat values in quotes.  Quotes inside a quoted text are not
 * escaped, so all from the first quote to the last becomes '?'; an
 * apostrophe between two letters is no quote.  The bytes are still raw.
 */
void escape_message(struct line *line, struct span message);

#endif
