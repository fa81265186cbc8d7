/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buffer.c - memory that grows, for what a parser keeps of a message.
 */
#include "parsers/buffer.h"

#include <stdlib.h>
#include <string.h>

bool buffer_reserve(struct buffer *buffer, size_t room)
{
	size_t size = buffer->room ? buffer->room : 64;
	uint8_t *bytes;

	if (room <= buffer->room)
		return true;
	while (size < room)
		size *= 2;
	bytes = realloc(buffer->bytes, size);
	if (!bytes)
		return false;
	buffer->bytes = bytes;
	buffer->room = size;
	return true;
}

bool buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
	if (!length)
		return true;
	if (!buffer_reserve(buffer, buffer->length + length))
		return false;
	memcpy(buffer->bytes + buffer->length, bytes, length);
	buffer->length += length;
	return true;
}

bool buffer_gather(struct buffer *buffer, const void *bytes, size_t length,
		   size_t bound)
{
	size_t left = bound > buffer->length ? bound - buffer->length : 0;

	return buffer_append(buffer, bytes, length < left ? length : left) &&
	       length <= left;
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct buffer){ NULL, 0, 0 };
}

void buffer_reset(struct buffer *buffer)
{
	if (buffer->room > BUFFER_KEPT_BYTES)
		buffer_free(buffer);
	buffer->length = 0;
}

struct span buffer_span(const struct buffer *buffer)
{
	if (!buffer->length)
		return (struct span){ NULL, 0 };
	return (struct span){ (const char *)buffer->bytes, buffer->length };
}

const uint8_t *buffer_at(const struct buffer *buffer, size_t at)
{
	/* C has no offset from nowhere, not even 0. */
	return buffer->bytes ? buffer->bytes + at : NULL;
}
