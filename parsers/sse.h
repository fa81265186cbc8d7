/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sse.h - text/event-stream in pieces of any size in, events out.
 *
 * Data is passed on as it comes and never gathered; lines of data of one
 * event are joined with LF, as the standard has it.
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
 * sections 9.2.5 and 9.2.6 (parsing and interpreting an event stream).
 */
#ifndef DATASNOOP_PARSERS_SSE_H
#define DATASNOOP_PARSERS_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parsers/exchange.h"

#define SSE_NAME_MAX 64 /* bytes of an event's type kept */
#define SSE_HEAD_MAX 16 /* bytes of an event's data kept: marks like [DONE] */

/* One response's stream; all zero: at its beginning. */
struct sse {
	/* Told to the caller. */
	uint64_t events; /* dispatched: with a line of data */
	char name[SSE_NAME_MAX]; /* of this event so far, "": message */
	size_t name_length;
	char head[SSE_HEAD_MAX]; /* of this event's data */
	uint64_t data_length;	 /* of this event's data so far */
	/* Inside. */
	char field[8]; /* the line's field name: the longest known is event */
	uint8_t field_length;
	uint8_t bom; /* bytes of the byte order mark seen; 3: done */
	bool begun;  /* the mark, if any, is behind us */
	bool in_line, in_value, value_began;
	bool after_cr, lines; /* data has had a line */
};

/* Where the events go; either may be NULL. */
struct sse_handler {
	/* A piece of the event's data, never empty; borrowed for the call. */
	void (*data)(void *context, const char *bytes, size_t length);
	/* The event is whole: stream->name, head and data_length are its. */
	void (*event)(void *context, const struct sse *stream);
	void *context;
};

/* The next bytes of the stream; handler NULL: events are only counted. */
void sse_feed(struct sse *stream, const struct sse_handler *handler,
	      const uint8_t *bytes, size_t length);

/* The data of the present event is `text`, no more and no less. */
bool sse_data_is(const struct sse *stream, const char *text);

#endif
