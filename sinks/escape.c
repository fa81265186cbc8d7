/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * escape.c - captured bytes made safe for a terminal and for JSON.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/escape.h"

#define LINE_ROOM_BYTES 1024 /* of a new line; doubled as needed */

struct range {
	uint32_t first, last;
};

/* Controls, separators, invisible and direction-changing characters. */
static const struct range unsafe_ranges[] = {
	{0x00, 0x1f},	    {0x7f, 0x9f},     {0xad, 0xad},
	{0x61c, 0x61c},	    {0x180e, 0x180e}, {0x200b, 0x200b},
	{0x200e, 0x200f},   {0x2028, 0x202e}, {0x2060, 0x206f},
	{0xfeff, 0xfeff},   {0xfff9, 0xfffb}, {0xfffe, 0xffff},
	{0xe0000, 0xe0fff},
};

/* Characters that take no column of their own. */
static const struct range combining_ranges[] = {
	{0x300, 0x36f},	  {0x483, 0x489},   {0x591, 0x5bd},
	{0x610, 0x61a},	  {0x64b, 0x65f},   {0x200c, 0x200d},
	{0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
};

/* Characters that take two columns: East Asian wide, emoji. */
static const struct range wide_ranges[] = {
	{0x1100, 0x115f},   {0x2e80, 0x303e},	{0x3041, 0xa4cf},
	{0xa960, 0xa97c},   {0xac00, 0xd7a3},	{0xf900, 0xfaff},
	{0xfe30, 0xfe6f},   {0xff00, 0xff60},	{0xffe0, 0xffe6},
	{0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff},
	{0x20000, 0x3fffd},
};

static bool in_ranges(uint32_t code, const struct range *ranges, size_t count)
{
	size_t i;

	for (i = 0; i < count && code >= ranges[i].first; i++)
		if (code <= ranges[i].last)
			return true;
	return false;
}

#define IN_RANGES(code, ranges)                                                \
	in_ranges(code, ranges, sizeof(ranges) / sizeof((ranges)[0]))

static unsigned columns_of(uint32_t code)
{
	if (code < 0x300)
		return 1;
	if (IN_RANGES(code, combining_ranges))
		return 0;
	return IN_RANGES(code, wide_ranges) ? 2 : 1;
}

/*
 * The length of the character that begins at `bytes`, and its code; 0 when it
 * is not UTF-8: overlong, a surrogate, above U+10FFFF, or cut.
 */
static size_t decode(const char *bytes, size_t length, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *byte = (const unsigned char *)bytes;
	size_t size, i;

	if (byte[0] < 0x80) {
		*code = byte[0];
		return 1;
	}
	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return 0;
	size = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
	if (length < size)
		return 0;
	*code = byte[0] & (0x7f >> size);
	for (i = 1; i < size; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (byte[i] & 0x3f);
	}
	if (*code < least[size] || *code > 0x10ffff ||
	    (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return size;
}

/* Printable ASCII is copied in runs; these bytes end a run. */
#define ENDS_TEXT 1 /* of a terminal's */
#define ENDS_WORD 2 /* of text whose white space is folded */
#define ENDS_JSON 4

static const uint8_t ends[256] = {
	[0 ... 0x1f] = ENDS_TEXT | ENDS_WORD | ENDS_JSON,
	[' '] = ENDS_WORD,
	['"'] = ENDS_JSON,
	['\\'] = ENDS_TEXT | ENDS_WORD | ENDS_JSON,
	[0x7f ... 0xff] = ENDS_TEXT | ENDS_WORD | ENDS_JSON,
};

/* Appends the bytes from `at` on that need no change; how many they are. */
static size_t put_run(struct line *line, struct span span, size_t at,
		      uint8_t end)
{
	size_t begin = at;

	while (at < span.length && !(ends[(uint8_t)span.bytes[at]] & end))
		at++;
	line_put(line, span.bytes + begin, at - begin);
	return at - begin;
}

void line_clear(struct line *line)
{
	line->length = 0;
	line->columns = 0;
	line->failed = false;
}

void line_free(struct line *line)
{
	free(line->bytes);
	*line = (struct line){0};
}

/* Makes room for `length` more bytes; false: out of memory. */
static bool grow(struct line *line, size_t length)
{
	size_t room = line->room ? line->room : LINE_ROOM_BYTES;
	char *bytes;

	while (room - line->length <= length)
		room *= 2;
	bytes = realloc(line->bytes, room);
	if (!bytes) {
		line->failed = true;
		return false;
	}
	line->bytes = bytes;
	line->room = room;
	return true;
}

char *line_room(struct line *line, size_t length)
{
	char *room;

	/* One more than asked for: nothing, too, is written somewhere. */
	if (line->room - line->length <= length && !grow(line, length))
		return NULL;
	room = line->bytes + line->length;
	line->length += length;
	line->columns += length;
	return room;
}

void line_number(struct line *line, uint64_t number, unsigned digits)
{
	char text[24], *end = text + sizeof(text), *at = end;

	while (number || at > end - digits) {
		*--at = '0' + number % 10;
		number /= 10;
	}
	line_put(line, at, end - at);
}

void line_print(struct line *line, const char *format, ...)
{
	va_list arguments;
	char text[256];
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length > (int)sizeof(text) - 1)
		length = sizeof(text) - 1;
	if (length > 0)
		line_put(line, text, length);
}

void line_pad(struct line *line, size_t column)
{
	size_t count = line->columns < column ? column - line->columns : 1;
	char *room = line_room(line, count);

	if (room)
		memset(room, ' ', count);
}

void line_cut(struct line *line, size_t columns)
{
	size_t kept = columns > 3 ? columns - 3 : 0;
	size_t at = 0, used = 0, width, size;
	uint32_t code;

	if (line->columns <= columns)
		return;
	while (at < line->length) {
		size = decode(line->bytes + at, line->length - at, &code);
		width = size ? columns_of(code) : 1;
		if (used + width > kept)
			break;
		used += width;
		at += size ? size : 1;
	}
	line->length = at;
	line->columns = used;
	line_put(line, "...", columns - kept);
}

static bool is_space(char byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* One character or bad byte; returns how many bytes of the input it took. */
static size_t put_character(struct line *line, const char *bytes, size_t length)
{
	uint32_t code;
	size_t size = decode(bytes, length, &code);

	if (!size || (size == 1 && (code < 0x20 || code == 0x7f))) {
		line_print(line, "\\x%02x", (unsigned char)bytes[0]);
		return 1;
	}
	if (code == '\\') {
		line_put(line, "\\\\", 2);
	} else if (IN_RANGES(code, unsafe_ranges)) {
		line_print(line, code > 0xffff ? "\\U%08x" : "\\u%04x", code);
	} else {
		line_put(line, bytes, size);
		line->columns -= size - columns_of(code);
	}
	return size;
}

void escape_text(struct line *line, struct span span, bool fold)
{
	bool begun = false, space = false;
	size_t at = 0, run;

	if (!span.bytes)
		return;
	while (at < span.length && !line->failed) {
		if (fold && is_space(span.bytes[at])) {
			space = begun;
			at++;
			continue;
		}
		if (space)
			line_put(line, " ", 1);
		space = false;
		begun = true;
		run = put_run(line, span, at, fold ? ENDS_WORD : ENDS_TEXT);
		at += run ? run : put_character(line, span.bytes + at,
						span.length - at);
	}
}

static void put_json_unicode(struct line *line, uint32_t code)
{
	if (code > 0xffff) {
		code -= 0x10000;
		line_print(line, "\\u%04x", 0xd800 | code >> 10);
		code = 0xdc00 | (code & 0x3ff);
	}
	line_print(line, "\\u%04x", code);
}

/* As put_character(), inside a JSON string. */
static size_t put_json_character(struct line *line, const char *bytes,
				 size_t length)
{
	uint32_t code;
	size_t size = decode(bytes, length, &code);

	if (!size) {
		line_put(line, "\xef\xbf\xbd", 3);
		return 1;
	}
	if (code == '"' || code == '\\') {
		line_put(line, "\\", 1);
		line_put(line, bytes, 1);
	} else if (code == '\n' || code == '\t') {
		line_put(line, code == '\n' ? "\\n" : "\\t", 2);
	} else if (IN_RANGES(code, unsafe_ranges)) {
		put_json_unicode(line, code);
	} else {
		line_put(line, bytes, size);
	}
	return size;
}

void escape_json(struct line *line, struct span span)
{
	size_t at = 0, run;

	line_put(line, "\"", 1);
	while (at < span.length && !line->failed) {
		run = put_run(line, span, at, ENDS_JSON);
		at += run ? run : put_json_character(line, span.bytes + at,
						     span.length - at);
	}
	line_put(line, "\"", 1);
}

static bool is_letter(const struct span *text, size_t at)
{
	unsigned char byte = at < text->length ? text->bytes[at] : 0;

	return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

static bool is_quote(const struct span *text, size_t at)
{
	if (text->bytes[at] == '"')
		return true;
	return text->bytes[at] == '\'' &&
	       !(at && is_letter(text, at - 1) && is_letter(text, at + 1));
}

/* Does the quote at `at` end what it quotes, as far as its neighbours tell? */
static bool closes(const struct span *text, size_t at)
{
	if (strchr(" =(,", text->bytes[at - 1]))
		return false;
	return at + 1 == text->length || strchr(" .,:;)", text->bytes[at + 1]);
}

void escape_message(struct line *line, struct span message)
{
	size_t first = 0, last = message.length;

	while (first < message.length && !is_quote(&message, first))
		first++;
	line_put(line, message.bytes, first);
	if (first == message.length)
		return;
	while (--last > first && !is_quote(&message, last))
		;
	line_put(line, "'?'", 3);
	/* One quote, or a last one that opens: the text was cut inside. */
	if (last > first && closes(&message, last))
		line_put(line, message.bytes + last + 1,
			 message.length - last - 1);
}
