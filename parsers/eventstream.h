/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * eventstream.h - application/vnd.amazon.eventstream: messages of headers and
 * a payload, in pieces of any size.
 *
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/
 * RESTSelectObjectAppendix.html ("Event stream encoding", general to AWS) and
 * https://smithy.io/2.0/aws/amazon-eventstream.html
 */
#ifndef DATASNOOP_PARSERS_EVENTSTREAM_H
#define DATASNOOP_PARSERS_EVENTSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parsers/exchange.h"

#define EVENTSTREAM_HEADERS_MAX 1024	 /* bytes kept; the rest is skipped */
#define EVENTSTREAM_NAME_MAX	64	 /* bytes of a type's name kept */
#define EVENTSTREAM_MESSAGE_MAX 25165824 /* bytes: the encoding's own bound */

/* All zero: at its beginning. */
struct eventstream {
	/* Told to the caller. */
	uint64_t messages; /* whole ones */
	bool bad; /* this is no such stream: nothing more is told */
	char event[EVENTSTREAM_NAME_MAX];     /* :event-type, "": none */
	char exception[EVENTSTREAM_NAME_MAX]; /* :exception-type, :error-code */
	/* Inside: bytes of this message's parts. */
	uint32_t total, headers, at;
	uint8_t kept[EVENTSTREAM_HEADERS_MAX]; /* the prelude, then headers */
};

/* A piece of the payload, or with bytes NULL: the message is whole. */
typedef void eventstream_handler(void *context,
				 const struct eventstream *stream,
				 const uint8_t *bytes, size_t length);

/* The next bytes of the stream. */
void eventstream_feed(struct eventstream *stream, eventstream_handler *handler,
		      void *context, const uint8_t *bytes, size_t length);

#endif
