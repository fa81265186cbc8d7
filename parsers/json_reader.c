/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json_reader.c - JSON in pieces of any size in, scalars and their paths out.
 *
 * yajl gathers a token that is spread over several pieces, without a bound,
 * and reads it from its start again with each piece.  So a string that does
 * not end in its piece is held here until it ends, cut, and given to yajl
 * whole; of a number spread over pieces the length is watched.
 * Source: yajl 2.1.0, src/yajl_lex.c.
 */
#include "parsers/json_reader.h"

#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_parse.h>

#include "parsers/buffer.h"

#define PATH_MAX_BYTES (JSON_LEVELS_MAX * (JSON_KEY_MAX + 4) + 1)

struct level {
	bool array;
	size_t index;	    /* of the element being read, plus one */
	size_t path_length; /* of the container's own path */
};

/* What of a string's escape has been read. */
struct unit {
	bool escaped;
	bool half; /* the first of a pair of \u: the second belongs to it */
	uint8_t digits; /* of \u still to come */
	uint32_t code;
};

struct json_reader {
	yajl_handle parser;
	json_handler *handler;
	void *context;
	bool failed;
	bool clean; /* what was given last can't be a part of a token */
	/* where */
	unsigned depth;
	struct level levels[JSON_LEVELS_MAX];
	char path[PATH_MAX_BYTES];
	size_t path_length;
	/* a string that goes on in the next piece */
	bool holding, cutting;
	struct buffer held;
	struct unit unit;
	uint64_t dropped;   /* decoded bytes that were cut off it */
	size_t number_tail; /* bytes of a number at the end of what was given */
	/* a container's own text */
	const uint8_t *run; /* what yajl is reading now */
	unsigned raw_depth; /* 0: none is kept */
	size_t raw_from;
	uint64_t raw_length;
	struct buffer raw;
};

/* What a callback of yajl's returns: 0 ends the reading. */
static int tell(struct json_reader *reader, struct json_event *event)
{
	if (reader->depth > JSON_LEVELS_MAX)
		return 1;
	event->path = reader->path;
	reader->handler(reader->context, reader, event);
	return !reader->failed;
}

static void path_cut(struct json_reader *reader, size_t length)
{
	reader->path_length = length;
	reader->path[length] = '\0';
}

static void path_put(struct json_reader *reader, char c)
{
	if (reader->path_length + 1 < sizeof(reader->path))
		reader->path[reader->path_length++] = c;
	reader->path[reader->path_length] = '\0';
}

/* A value begins: in an array it is the next element. */
static void value_begins(struct json_reader *reader)
{
	struct level *level;

	if (!reader->depth || reader->depth > JSON_LEVELS_MAX)
		return;
	level = &reader->levels[reader->depth - 1];
	if (!level->array)
		return;
	level->index++;
	path_cut(reader, level->path_length);
	path_put(reader, '[');
	path_put(reader, ']');
}

static int on_key(void *context, const unsigned char *key, size_t length)
{
	struct json_reader *reader = context;
	struct level *level;

	if (reader->depth > JSON_LEVELS_MAX)
		return 1;
	level = &reader->levels[reader->depth - 1];
	path_cut(reader, level->path_length);
	if (reader->path_length)
		path_put(reader, '.');
	if (length > JSON_KEY_MAX || reader->dropped) {
		path_put(reader, '?');
		return 1;
	}
	for (size_t i = 0; i < length; i++) {
		if (key[i] == '.')
			path_put(reader, '~');
		else if (key[i] == '[' || key[i] == ']' || !key[i])
			path_put(reader, '?');
		else
			path_put(reader, (char)key[i]);
	}
	return 1;
}

static int container_begins(struct json_reader *reader, enum json_kind kind)
{
	struct json_event event = { .kind = kind };

	value_begins(reader);
	if (reader->depth == JSON_DEPTH_MAX)
		return 0;
	if (reader->depth < JSON_LEVELS_MAX)
		reader->levels[reader->depth] = (struct level){
			.array = kind == JSON_ARRAY,
			.path_length = reader->path_length,
		};
	tell(reader, &event);
	reader->depth++;
	return !reader->failed;
}

static int on_object(void *context)
{
	return container_begins(context, JSON_OBJECT);
}

static int on_array(void *context)
{
	return container_begins(context, JSON_ARRAY);
}

/* What yajl has read since raw_from belongs to the text that is kept. */
static void raw_take(struct json_reader *reader, size_t to)
{
	if (to <= reader->raw_from)
		return;
	reader->raw_length += to - reader->raw_from;
	buffer_gather(&reader->raw, reader->run + reader->raw_from,
		      to - reader->raw_from, JSON_RAW_MAX);
	reader->raw_from = to;
}

static int on_end(void *context)
{
	struct json_reader *reader = context;
	struct json_event event = { .kind = JSON_END };

	reader->depth--;
	if (reader->depth < JSON_LEVELS_MAX)
		path_cut(reader, reader->levels[reader->depth].path_length);
	if (reader->raw_depth && reader->depth + 1 == reader->raw_depth) {
		raw_take(reader, yajl_get_bytes_consumed(reader->parser));
		event.text = buffer_span(&reader->raw);
		event.length = reader->raw_length;
		event.cut = event.length > event.text.length;
		reader->raw_depth = 0;
	}
	return tell(reader, &event);
}

static int on_string(void *context, const unsigned char *text, size_t length)
{
	struct json_reader *reader = context;
	struct json_event event = {
		.kind = JSON_STRING,
		.text = { (const char *)text, length },
		.length = length + reader->dropped,
		.cut = reader->dropped > 0,
	};

	value_begins(reader);
	if (!length)
		event.text.bytes = "";
	return tell(reader, &event);
}

/* yajl checked that it is a number; no locale is set in this program. */
static int on_number(void *context, const char *text, size_t length)
{
	struct json_reader *reader = context;
	struct json_event event = {
		.kind = JSON_NUMBER,
		.text = { text, length },
		.length = length,
	};
	char copy[JSON_NUMBER_MAX + 1], *end;

	value_begins(reader);
	if (length > JSON_NUMBER_MAX)
		return 0;
	memcpy(copy, text, length);
	copy[length] = '\0';
	event.real = strtod(copy, NULL);
	event.number = strtoll(copy, &end, 10);
	if (*end)
		event.number = event.real >= 9.2e18 ? INT64_MAX :
			       event.real <= -9.2e18 ? INT64_MIN :
						       (int64_t)event.real;
	return tell(reader, &event);
}

static int on_bool(void *context, int truth)
{
	struct json_event event = {
		.kind = JSON_BOOL,
		.text = span_string(truth ? "true" : "false"),
		.number = truth != 0,
		.real = truth != 0,
	};

	event.length = event.text.length;
	value_begins(context);
	return tell(context, &event);
}

static int on_null(void *context)
{
	struct json_event event = {
		.kind = JSON_NULL, .text = { "null", 4 }, .length = 4,
	};

	value_begins(context);
	return tell(context, &event);
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_object,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end,
	.yajl_start_array = on_array,
	.yajl_end_array = on_end,
};

/* A parser that has seen nothing; false: out of memory. */
static bool parser_new(struct json_reader *reader)
{
	reader->parser = yajl_alloc(&callbacks, NULL, reader);
	if (!reader->parser)
		return false;
	yajl_config(reader->parser, yajl_allow_multiple_values, 1);
	yajl_config(reader->parser, yajl_dont_validate_strings, 1);
	return true;
}

struct json_reader *json_reader_new(json_handler *handler, void *context)
{
	struct json_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	reader->handler = handler;
	reader->context = context;
	reader->clean = true;
	if (!parser_new(reader)) {
		free(reader);
		return NULL;
	}
	return reader;
}

void json_reader_free(struct json_reader *reader)
{
	if (!reader)
		return;
	if (reader->parser)
		yajl_free(reader->parser);
	buffer_free(&reader->held);
	buffer_free(&reader->raw);
	free(reader);
}

void json_reader_reset(struct json_reader *reader)
{
	if (reader->failed || !json_reader_at_end(reader) || !reader->clean) {
		if (reader->parser)
			yajl_free(reader->parser);
		reader->failed = !parser_new(reader);
	}
	reader->depth = 0;
	path_cut(reader, 0);
	reader->holding = false;
	reader->dropped = 0;
	reader->number_tail = 0;
	reader->clean = true;
	reader->raw_depth = 0;
	buffer_reset(&reader->held);
	buffer_reset(&reader->raw);
}

/* Whole tokens, or a number's or a word's part, to yajl. */
static bool give(struct json_reader *reader, const uint8_t *bytes,
		 size_t length)
{
	if (!length)
		return true;
	reader->run = bytes;
	reader->raw_from = 0;
	reader->clean = strchr("}]\" \t\r\n", bytes[length - 1]) != NULL;
	if (yajl_parse(reader->parser, bytes, length) != yajl_status_ok)
		return false;
	if (reader->raw_depth)
		raw_take(reader, length);
	return true;
}

/* Bytes of UTF-8 that a \u escape stands for; half a pair counts half. */
static unsigned code_bytes(uint32_t code)
{
	if (code < 0x80)
		return 1;
	return code < 0x800 || (code >= 0xd800 && code < 0xe000) ? 2 : 3;
}

/* The four bits of a hexadecimal digit of ASCII; yajl refuses others. */
static unsigned hex_digit(uint8_t c)
{
	return (c >= 'A' ? c + 9u : c) & 0xf;
}

/*
 * Moves over a byte of a string that is not its end.  Decoded bytes that the
 * character stands for when this was its last byte, else 0.
 */
static unsigned unit_step(struct unit *unit, uint8_t c)
{
	if (unit->digits) {
		unit->code = unit->code << 4 | hex_digit(c);
		if (--unit->digits)
			return 0;
		unit->half = unit->code >= 0xd800 && unit->code < 0xdc00;
		return code_bytes(unit->code);
	}
	if (unit->escaped) {
		unit->escaped = false;
		unit->half &= c == 'u';
		if (c != 'u')
			return 1;
		unit->digits = 4;
		unit->code = 0;
		return 0;
	}
	unit->escaped = c == '\\';
	unit->half &= unit->escaped;
	return !unit->escaped;
}

/*
 * Bytes of a string into what is held, from where the last piece ended.
 * Characters beyond JSON_STRING_MAX are counted.  The bytes taken; `*ended`
 * when the last one is the closing quote.
 */
static size_t hold(struct json_reader *reader, const uint8_t *bytes,
		   size_t length, bool *ended)
{
	struct unit *unit = &reader->unit;
	size_t i, kept = 0;

	for (i = 0; i < length; i++) {
		bool first = !unit->escaped && !unit->digits;
		size_t size = reader->held.length + kept;

		if (first && bytes[i] == '"') {
			*ended = true;
			break;
		}
		/* Not inside a character, but for one that never ends. */
		if (first && size >= JSON_STRING_MAX &&
		    (((bytes[i] & 0xc0) != 0x80 && !unit->half) ||
		     size > JSON_STRING_MAX + 16))
			reader->cutting = true;
		if (reader->cutting)
			reader->dropped += unit_step(unit, bytes[i]);
		else
			unit_step(unit, bytes[i]);
		kept += !reader->cutting;
	}
	if (!buffer_append(&reader->held, bytes, kept))
		reader->failed = true;
	return i + *ended;
}

static bool hold_ends(struct json_reader *reader)
{
	bool good = buffer_append(&reader->held, "\"", 1) &&
		    give(reader, reader->held.bytes, reader->held.length);

	reader->holding = false;
	reader->dropped = 0;
	buffer_reset(&reader->held);
	return good;
}

/* Where the string whose content begins at `at` ends; NULL: not in here. */
static const uint8_t *string_end(const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		const uint8_t *quote = memchr(at, '"', (size_t)(end - at));
		const uint8_t *escape;

		if (!quote)
			return NULL;
		escape = memchr(at, '\\', (size_t)(quote - at));
		if (!escape)
			return quote;
		at = escape + 2;
	}
	return NULL;
}

/* Outside of strings: bytes up to one that must be held, or all. */
static size_t plain(const uint8_t *bytes, size_t length)
{
	const uint8_t *at = bytes, *end = bytes + length, *quote;

	while (at < end && (quote = memchr(at, '"', (size_t)(end - at)))) {
		const uint8_t *close = string_end(quote + 1, end);

		if (!close || close - quote > JSON_STRING_MAX)
			return (size_t)(quote - bytes);
		at = close + 1;
	}
	return length;
}

/* A number that goes on and on in pieces; yajl would gather it. */
static bool number_is_bounded(struct json_reader *reader, const uint8_t *bytes,
			      size_t length)
{
	size_t tail = 0;

	while (tail < length && tail <= JSON_NUMBER_MAX &&
	       bytes[length - 1 - tail] &&
	       strchr("0123456789+-.eE", bytes[length - 1 - tail]))
		tail++;
	if (tail == length)
		tail += reader->number_tail;
	reader->number_tail = tail;
	return tail <= JSON_NUMBER_MAX;
}

static bool feed(struct json_reader *reader, const uint8_t *bytes,
		 size_t length)
{
	while (length) {
		bool ended = false;
		size_t n;

		if (reader->holding) {
			n = hold(reader, bytes, length, &ended);
			if (reader->failed || (ended && !hold_ends(reader)))
				return false;
			bytes += n;
			length -= n;
			continue;
		}
		n = plain(bytes, length);
		if (n && (!number_is_bounded(reader, bytes, n) ||
			  !give(reader, bytes, n)))
			return false;
		bytes += n;
		length -= n;
		if (!length)
			break;
		/* A quote: the string is long, or goes on in the next piece. */
		reader->holding = true;
		reader->cutting = false;
		reader->number_tail = 0;
		reader->unit = (struct unit){ .escaped = false };
		if (!buffer_append(&reader->held, bytes++, 1))
			return false;
		length--;
	}
	return true;
}

bool json_reader_feed(struct json_reader *reader, const void *bytes,
		      size_t length)
{
	if (!reader->failed && !feed(reader, bytes, length))
		reader->failed = true;
	return !reader->failed;
}

void json_reader_stop(struct json_reader *reader)
{
	reader->failed = true;
}

bool json_reader_failed(const struct json_reader *reader)
{
	return reader->failed;
}

bool json_reader_at_end(const struct json_reader *reader)
{
	return !reader->depth && !reader->holding;
}

unsigned json_reader_depth(const struct json_reader *reader)
{
	return reader->depth;
}

size_t json_reader_index(const struct json_reader *reader, unsigned nth)
{
	unsigned levels = reader->depth < JSON_LEVELS_MAX ? reader->depth :
							    JSON_LEVELS_MAX;

	for (unsigned i = 0; i < levels; i++)
		if (reader->levels[i].array && !nth--)
			return reader->levels[i].index ?
				       reader->levels[i].index - 1 : 0;
	return 0;
}

void json_reader_capture(struct json_reader *reader)
{
	if (reader->raw_depth)
		return;
	/* Told before it counts as open; its bracket has been read. */
	reader->raw_depth = reader->depth + 1;
	reader->raw_from = yajl_get_bytes_consumed(reader->parser) - 1;
	reader->raw_length = 0;
	buffer_reset(&reader->raw);
}
