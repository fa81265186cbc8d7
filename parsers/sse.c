/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sse.c - text/event-stream in pieces of any size in, events out.
 */
#include "parsers/sse.h"

#include <string.h>

static void put_data(struct sse *stream, const struct sse_handler *handler,
		     const char *bytes, size_t length)
{
	size_t room = stream->data_length < SSE_HEAD_MAX ?
		SSE_HEAD_MAX - (size_t)stream->data_length : 0;

	if (!length)
		return;
	memcpy(stream->head + SSE_HEAD_MAX - room, bytes,
	       length < room ? length : room);
	stream->data_length += length;
	if (handler && handler->data)
		handler->data(handler->context, bytes, length);
}

static bool field_is(const struct sse *stream, const char *name)
{
	return stream->field_length == strlen(name) &&
	       !memcmp(stream->field, name, stream->field_length);
}

/* The field's name is known: `event` replaces, `data` begins a line more. */
static void value_begins(struct sse *stream, const struct sse_handler *handler)
{
	stream->in_value = true;
	stream->value_began = false;
	if (field_is(stream, "event"))
		stream->name_length = 0;
	if (!field_is(stream, "data"))
		return;
	if (stream->lines)
		put_data(stream, handler, "\n", 1);
	stream->lines = true;
}

static void put_value(struct sse *stream, const struct sse_handler *handler,
		      const uint8_t *bytes, size_t length)
{
	/* One space behind the colon is no part of it. */
	if (!stream->value_began && length) {
		stream->value_began = true;
		if (*bytes == ' ') {
			bytes++;
			length--;
		}
	}
	if (field_is(stream, "data")) {
		put_data(stream, handler, (const char *)bytes, length);
	} else if (field_is(stream, "event")) {
		size_t room = SSE_NAME_MAX - 1 - stream->name_length;

		memcpy(stream->name + stream->name_length, bytes,
		       length < room ? length : room);
		stream->name_length += length < room ? length : room;
		stream->name[stream->name_length] = '\0';
	}
}

static void dispatch(struct sse *stream, const struct sse_handler *handler)
{
	stream->name[stream->name_length] = '\0';
	if (stream->lines) {
		stream->events++;
		if (handler && handler->event)
			handler->event(handler->context, stream);
	}
	stream->name_length = 0;
	stream->name[0] = '\0';
	stream->data_length = 0;
	stream->lines = false;
}

static void line_ends(struct sse *stream, const struct sse_handler *handler)
{
	if (!stream->in_line) {
		dispatch(stream, handler);
		return;
	}
	if (!stream->in_value)
		value_begins(stream, handler);
	stream->in_line = stream->in_value = false;
	stream->field_length = 0;
}

/* Bytes of one line, none of them its end. */
static void put_line(struct sse *stream, const struct sse_handler *handler,
		     const uint8_t *bytes, size_t length)
{
	stream->in_line = true;
	while (length && !stream->in_value) {
		if (*bytes == ':') {
			value_begins(stream, handler);
		} else if (stream->field_length < sizeof(stream->field)) {
			stream->field[stream->field_length++] = (char)*bytes;
		}
		bytes++;
		length--;
	}
	if (stream->in_value)
		put_value(stream, handler, bytes, length);
}

/* The byte order mark before the first line: its bytes in this piece. */
static size_t skip_mark(struct sse *stream, const uint8_t *bytes,
			size_t length)
{
	static const uint8_t mark[] = { 0xef, 0xbb, 0xbf };
	size_t i = 0;

	while (i < length && stream->bom < sizeof(mark) &&
	       bytes[i] == mark[stream->bom]) {
		stream->bom++;
		i++;
	}
	stream->begun = i < length || stream->bom == sizeof(mark);
	return i;
}

void sse_feed(struct sse *stream, const struct sse_handler *handler,
	      const uint8_t *bytes, size_t length)
{
	const uint8_t *end = bytes + length;

	if (!stream->begun)
		bytes += skip_mark(stream, bytes, length);
	while (bytes < end) {
		const uint8_t *at = bytes;

		if (*at == '\n' && stream->after_cr) {
			stream->after_cr = false;
			bytes++;
			continue;
		}
		stream->after_cr = false;
		while (at < end && *at != '\n' && *at != '\r')
			at++;
		if (at > bytes)
			put_line(stream, handler, bytes, (size_t)(at - bytes));
		bytes = at;
		if (at == end)
			break;
		stream->after_cr = *at == '\r';
		line_ends(stream, handler);
		bytes++;
	}
}

bool sse_data_is(const struct sse *stream, const char *text)
{
	size_t length = strlen(text);

	return stream->data_length == length && length <= SSE_HEAD_MAX &&
	       !memcmp(stream->head, text, length);
}
