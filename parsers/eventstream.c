/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * eventstream.c - application/vnd.amazon.eventstream in pieces of any size.
 *
 * A message: its length and that of its headers, 32 bits each, and the CRC-32
 * of these; the headers; the payload; the CRC-32 of all before.  The prelude's
 * sum is checked, since all that follows hangs on it; the message's is not,
 * as its bytes came over TCP.
 */
#include "parsers/eventstream.h"

#include <string.h>

#include <zlib.h>

#include "parsers/cursor.h"

#define PRELUDE_BYTES 12
#define SUM_BYTES     4

/* Types of a header's value; only strings are of use here. */
enum {
	VALUE_TRUE,
	VALUE_FALSE,
	VALUE_BYTE,
	VALUE_SHORT,
	VALUE_INTEGER,
	VALUE_LONG,
	VALUE_BYTES,
	VALUE_STRING,
	VALUE_TIMESTAMP,
	VALUE_UUID,
	VALUES
};

static void set_name(char name[EVENTSTREAM_NAME_MAX], struct span text)
{
	size_t length = text.length < EVENTSTREAM_NAME_MAX ?
				text.length : EVENTSTREAM_NAME_MAX - 1;

	memcpy(name, text.bytes, length);
	name[length] = '\0';
}

static void read_headers(struct eventstream *stream)
{
	static const uint8_t sizes[VALUES] = {
		[VALUE_BYTE] = 1, [VALUE_SHORT] = 2, [VALUE_INTEGER] = 4,
		[VALUE_LONG] = 8, [VALUE_TIMESTAMP] = 8, [VALUE_UUID] = 16,
	};
	size_t length = stream->headers;
	struct cursor c;

	if (length > EVENTSTREAM_HEADERS_MAX - PRELUDE_BYTES)
		length = EVENTSTREAM_HEADERS_MAX - PRELUDE_BYTES;
	c = cursor_of(stream->kept + PRELUDE_BYTES, length);
	while (cursor_left(&c) && !c.bad) {
		struct span name = cursor_span(&c, cursor_uint_be(&c, 1));
		uint64_t type = cursor_uint_be(&c, 1);
		struct span text;

		if (c.bad || type >= VALUES)
			return;
		if (type != VALUE_STRING && type != VALUE_BYTES) {
			cursor_take(&c, sizes[type]);
			continue;
		}
		text = cursor_span(&c, cursor_uint_be(&c, 2));
		if (c.bad || type != VALUE_STRING)
			continue;
		if (span_is(name, ":event-type"))
			set_name(stream->event, text);
		else if (span_is(name, ":exception-type") ||
			 span_is(name, ":error-code"))
			set_name(stream->exception, text);
	}
}

/* The prelude is whole: false, it is none. */
static bool read_prelude(struct eventstream *stream)
{
	struct cursor c = cursor_of(stream->kept, PRELUDE_BYTES);
	uint32_t sum;

	stream->total = (uint32_t)cursor_uint_be(&c, 4);
	stream->headers = (uint32_t)cursor_uint_be(&c, 4);
	sum = (uint32_t)cursor_uint_be(&c, 4);
	return stream->total >= PRELUDE_BYTES + SUM_BYTES &&
	       stream->total <= EVENTSTREAM_MESSAGE_MAX &&
	       stream->headers <= stream->total - PRELUDE_BYTES - SUM_BYTES &&
	       sum == crc32(0, stream->kept, PRELUDE_BYTES - 4);
}

/* Where the part that byte `at` is in ends. */
static uint32_t part_end(const struct eventstream *stream)
{
	if (stream->at < PRELUDE_BYTES)
		return PRELUDE_BYTES;
	if (stream->at < PRELUDE_BYTES + stream->headers)
		return PRELUDE_BYTES + stream->headers;
	if (stream->at < stream->total - SUM_BYTES)
		return stream->total - SUM_BYTES;
	return stream->total;
}

static void keep(struct eventstream *stream, const uint8_t *bytes,
		 size_t length)
{
	size_t room = stream->at < sizeof(stream->kept) ?
		sizeof(stream->kept) - stream->at : 0;

	memcpy(stream->kept + sizeof(stream->kept) - room, bytes,
	       length < room ? length : room);
}

static void message_ends(struct eventstream *stream,
			 eventstream_handler *handler, void *context)
{
	stream->messages++;
	handler(context, stream, NULL, 0);
	stream->at = stream->total = stream->headers = 0;
	stream->event[0] = stream->exception[0] = '\0';
}

void eventstream_feed(struct eventstream *stream, eventstream_handler *handler,
		      void *context, const uint8_t *bytes, size_t length)
{
	while (length && !stream->bad) {
		uint32_t headers_end = PRELUDE_BYTES + stream->headers;
		uint32_t end = part_end(stream);
		size_t n = end - stream->at < length ? end - stream->at :
						       length;
		bool in_payload = stream->at >= headers_end &&
				  stream->total &&
				  end == stream->total - SUM_BYTES;

		if (stream->at < headers_end)
			keep(stream, bytes, n);
		else if (in_payload)
			handler(context, stream, bytes, n);
		stream->at += (uint32_t)n;
		bytes += n;
		length -= n;
		if (stream->at == PRELUDE_BYTES && !stream->total)
			stream->bad = !read_prelude(stream);
		if (stream->bad || stream->at != end)
			continue;
		if (stream->at == PRELUDE_BYTES + stream->headers)
			read_headers(stream);
		if (stream->at == stream->total)
			message_ends(stream, handler, context);
	}
}
