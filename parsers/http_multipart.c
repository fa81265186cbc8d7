/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_multipart.c - what the parts of an upload are called.
 *
 * A boundary stands at the beginning of a line; so the content is stepped
 * through line by line, most of it by memchr(), whatever pieces it comes in.
 */
#include "parsers/http_multipart.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum multipart_state {
	PART_CONTENT,  /* of a part, or before the first */
	PART_BOUNDARY, /* the boundary was met: the rest of its line */
	PART_HEADER,
	PART_OVER /* the last boundary */
};

struct part {
	char name[HTTP_PART_NAME_MAX], file[HTTP_PART_NAME_MAX];
	size_t name_length, file_length;
	bool has_name, has_file;
};

struct http_multipart {
	enum multipart_state state;
	char boundary[HTTP_BOUNDARY_MAX + 2]; /* with its two hyphens */
	size_t boundary_length;
	bool at_line;	 /* all of the line so far is of the boundary */
	size_t matched;	 /* so many bytes of it */
	char line[HTTP_PART_LINE_MAX];
	size_t line_length;
	struct part *parts; /* HTTP_PARTS_MAX */
	uint64_t count;
};

/*
 * The value of a parameter `; name=value` or `; name="value"`: RFC 9110
 * section 5.6.6.  Bytes NULL: none.
 */
static struct span parameter(struct span field, const char *name)
{
	size_t length = strlen(name), at = 0;
	bool quoted = false;

	for (; at < field.length; at++) {
		if (field.bytes[at] == '"')
			quoted = !quoted;
		if (quoted && field.bytes[at] == '\\')
			at++;
		if (quoted || field.bytes[at] != ';')
			continue;
		while (at + 1 < field.length &&
		       strchr(" \t", field.bytes[at + 1]))
			at++;
		if (field.length - at <= length + 1 ||
		    strncasecmp(field.bytes + at + 1, name, length) ||
		    field.bytes[at + 1 + length] != '=')
			continue;
		field.bytes += at + length + 2;
		field.length -= at + length + 2;
		at = 0;
		quoted = field.length && *field.bytes == '"';
		field.bytes += quoted;
		field.length -= quoted;
		while (at < field.length && field.bytes[at] != '"' &&
		       (quoted || !strchr("; \t", field.bytes[at])))
			at += field.bytes[at] == '\\' && quoted ? 2 : 1;
		return (struct span){ field.bytes,
				      at < field.length ? at : field.length };
	}
	return (struct span){ NULL, 0 };
}

struct http_multipart *http_multipart_new(struct span content_type)
{
	static const char form[] = "multipart/form-data";
	struct http_multipart *multipart;
	struct span boundary;

	if (content_type.length < sizeof(form) ||
	    strncasecmp(content_type.bytes, form, sizeof(form) - 1))
		return NULL;
	boundary = parameter(content_type, "boundary");
	if (!boundary.length || boundary.length > HTTP_BOUNDARY_MAX)
		return NULL;
	multipart = calloc(1, sizeof(*multipart));
	if (!multipart)
		return NULL;
	multipart->parts = calloc(HTTP_PARTS_MAX, sizeof(*multipart->parts));
	if (!multipart->parts) {
		free(multipart);
		return NULL;
	}
	memcpy(multipart->boundary, "--", 2);
	memcpy(multipart->boundary + 2, boundary.bytes, boundary.length);
	multipart->boundary_length = boundary.length + 2;
	multipart->at_line = true;
	return multipart;
}

static bool part_keep(char *to, size_t *length, struct span from)
{
	*length = from.length < HTTP_PART_NAME_MAX ? from.length :
						     HTTP_PART_NAME_MAX;
	if (*length)
		memcpy(to, from.bytes, *length);
	return from.bytes != NULL;
}

/* A whole header line of a part, without its end. */
static void take_header(struct http_multipart *multipart)
{
	static const char disposition[] = "content-disposition:";
	struct span line = { multipart->line, multipart->line_length };
	struct part *part;

	if (!line.length) {
		multipart->state = PART_CONTENT;
		return;
	}
	if (multipart->count > HTTP_PARTS_MAX ||
	    line.length < sizeof(disposition) ||
	    strncasecmp(line.bytes, disposition, sizeof(disposition) - 1))
		return;
	part = &multipart->parts[multipart->count - 1];
	part->has_name = part_keep(part->name, &part->name_length,
				   parameter(line, "name"));
	part->has_file = part_keep(part->file, &part->file_length,
				   parameter(line, "filename"));
}

/* The line behind a boundary, or of a header, has ended. */
static void take_line(struct http_multipart *multipart)
{
	size_t length = multipart->line_length;

	if (length && multipart->line[length - 1] == '\r')
		multipart->line_length--;
	if (multipart->state == PART_HEADER) {
		take_header(multipart);
	} else if (multipart->line_length >= 2 &&
		   !memcmp(multipart->line, "--", 2)) {
		multipart->state = PART_OVER;
	} else {
		multipart->state = PART_HEADER;
		multipart->count++;
	}
	multipart->line_length = 0;
	multipart->at_line = true;
	multipart->matched = 0;
}

/* Up to the end of a line of interest; bytes used. */
static size_t gather_line(struct http_multipart *multipart,
			  const uint8_t *bytes, size_t length)
{
	const uint8_t *end = memchr(bytes, '\n', length);
	size_t used = end ? (size_t)(end - bytes) : length;
	size_t room = HTTP_PART_LINE_MAX - multipart->line_length;

	if (used < room)
		room = used;
	memcpy(multipart->line + multipart->line_length, bytes, room);
	multipart->line_length += room;
	if (!end)
		return used;
	take_line(multipart);
	return used + 1;
}

/* Content up to a boundary, or a line further; bytes used. */
static size_t skip_content(struct http_multipart *multipart,
			   const uint8_t *bytes, size_t length)
{
	const uint8_t *end;
	size_t used = 0;

	while (multipart->at_line && used < length) {
		if (bytes[used] !=
		    (uint8_t)multipart->boundary[multipart->matched]) {
			multipart->at_line = false;
			break;
		}
		used++;
		if (++multipart->matched < multipart->boundary_length)
			continue;
		multipart->state = PART_BOUNDARY;
		multipart->line_length = 0;
		return used;
	}
	if (used == length)
		return used;
	end = memchr(bytes + used, '\n', length - used);
	if (!end)
		return length;
	multipart->at_line = true;
	multipart->matched = 0;
	return (size_t)(end - bytes) + 1;
}

void http_multipart_feed(struct http_multipart *multipart,
			 const uint8_t *bytes, size_t length)
{
	while (length && multipart->state != PART_OVER) {
		size_t used = multipart->state == PART_CONTENT ?
			skip_content(multipart, bytes, length) :
			gather_line(multipart, bytes, length);

		bytes += used;
		length -= used;
	}
}

uint64_t http_multipart_count(const struct http_multipart *multipart)
{
	return multipart->count;
}

struct span http_multipart_name(const struct http_multipart *multipart,
				unsigned index)
{
	const struct part *part = &multipart->parts[index];

	if (!part->has_name)
		return (struct span){ NULL, 0 };
	return (struct span){ part->name, part->name_length };
}

struct span http_multipart_file(const struct http_multipart *multipart,
				unsigned index)
{
	const struct part *part = &multipart->parts[index];

	if (!part->has_file)
		return (struct span){ NULL, 0 };
	return (struct span){ part->file, part->file_length };
}

void http_multipart_free(struct http_multipart *multipart)
{
	if (!multipart)
		return;
	free(multipart->parts);
	free(multipart);
}
