/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json_reader.h - JSON in pieces of any size in, scalars and their paths out.
 *
 * No document is kept: what arrives is told at once, and forgotten.  Grammar
 * and escapes are yajl's; this file bounds what yajl would gather (a string or
 * a number that is spread over many pieces) and says where a value stands.
 *
 * A path names the keys from the outermost object on, "[]" for an element of
 * an array: `choices[].message.content`, `[].id`; of the outermost value it is
 * "".  In a key '.' stands as '~', and '[' and ']' as '?', so that no key
 * passes for a path of several; a key longer than JSON_KEY_MAX is "?".
 * Source: RFC 8259; bytes that are no UTF-8 are passed on as they are.
 */
#ifndef DATASNOOP_PARSERS_JSON_READER_H
#define DATASNOOP_PARSERS_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parsers/exchange.h"

#define JSON_LEVELS_MAX 16    /* containers with a path; deeper is not told */
#define JSON_DEPTH_MAX	1024  /* containers; deeper is no JSON: yajl's stack */
#define JSON_KEY_MAX	64    /* bytes of a key in a path */
#define JSON_STRING_MAX 65536 /* bytes of a string, as written, kept */
#define JSON_NUMBER_MAX 512   /* bytes of a number, or it is no JSON */
#define JSON_RAW_MAX	65536 /* bytes of a container's own text kept */

enum json_kind {
	JSON_OBJECT, /* begins */
	JSON_ARRAY,  /* begins */
	JSON_END,    /* of either */
	JSON_STRING,
	JSON_NUMBER,
	JSON_BOOL,
	JSON_NULL
};

struct json_event {
	enum json_kind kind;
	const char *path;
	/*
	 * A string decoded, a number as written, true, false, null, or of
	 * JSON_END the container's text as written, where that was asked for.
	 */
	struct span text;
	uint64_t length; /* of the text before it was cut */
	bool cut;	 /* text is not all of it */
	int64_t number;	 /* cut to its range; of a bool 0 or 1 */
	double real;
};

struct json_reader;

/* Everything in the event is borrowed for the call. */
typedef void json_handler(void *context, struct json_reader *reader,
			  const struct json_event *event);

/* NULL: out of memory. */
struct json_reader *json_reader_new(json_handler *handler, void *context);
void json_reader_free(struct json_reader *reader);

/*
 * json_reader_feed - the next bytes; handler() is called for what they finish
 *
 * Values may follow one another, with white space between them or none (lines
 * of JSON).  False: this is no JSON, too deep, or memory is short; nothing
 * more is told until json_reader_reset().
 */
bool json_reader_feed(struct json_reader *reader, const void *bytes,
		      size_t length);

/* Forgets what was begun: the next byte begins a value. */
void json_reader_reset(struct json_reader *reader);

/* Was json_reader_feed() false since the last reset? */
bool json_reader_failed(const struct json_reader *reader);
/* Is it in no container and no string? */
bool json_reader_at_end(const struct json_reader *reader);
/* Containers open around the value being told. */
unsigned json_reader_depth(const struct json_reader *reader);

/* The index in the nth array of the path, 0 the outermost; 0: not so many. */
size_t json_reader_index(const struct json_reader *reader, unsigned nth);

/*
 * The handler wants nothing more of this text: reading it has failed, until
 * json_reader_reset().
 */
void json_reader_stop(struct json_reader *reader);

/*
 * json_reader_capture - keep this container's text for its JSON_END
 *
 * To be called by the handler for JSON_OBJECT or JSON_ARRAY.  Inside one that
 * is being kept it changes nothing: the outer one is kept.
 */
void json_reader_capture(struct json_reader *reader);

#endif
