/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mongodb_scan.c - BSON as it passes, without keeping it.
 *
 * A response of 48 MB says whether it is an error behind its documents.  They
 * are counted, looked into one by one when small, and skipped otherwise.
 * Source: https://bsonspec.org/spec.html
 */
#include "parsers/mongodb.h"

#include <string.h>

#include "parsers/cursor.h"

#define DOCUMENT_BYTES_MIN 5

void scan_start(struct scan *scan, enum scan_kind root)
{
	struct buffer text = scan->text;

	text.length = 0;
	*scan = (struct scan){
		.state = SCAN_LENGTH,
		.root = root,
		.text = text,
		.first = true,
		.fixed_need = 4,
	};
}

static struct scan_level *top(struct scan *scan)
{
	return &scan->levels[scan->depth - 1];
}

static void bad(struct scan *scan)
{
	scan->state = SCAN_BAD;
}

static void need(struct scan *scan, enum scan_state state, size_t bytes)
{
	scan->state = state;
	scan->fixed_have = 0;
	scan->fixed_need = bytes;
}

static void next_element(struct scan *scan)
{
	scan->first = false;
	scan->state = SCAN_TYPE;
}

/* The fixed part is whole: little-endian. */
static uint64_t fixed_uint(const struct scan *scan, size_t bytes)
{
	struct cursor c = cursor_of(scan->fixed, bytes);

	return cursor_uint(&c, (unsigned)bytes);
}

static void end_value(struct scan *scan, struct message *message)
{
	enum scan_kind kind = top(scan)->kind;
	uint64_t bits = fixed_uint(scan, scan->fixed_need > 8 ?
				   8 : scan->fixed_need);
	double real;

	if (scan->type == 0x01) {
		memcpy(&real, &bits, sizeof(real));
		message_number(message, kind, real,
			       real > -1e18 && real < 1e18 ? (int64_t)real : 0);
	} else if (scan->type == 0x10) {
		message_number(message, kind, (int32_t)bits, (int32_t)bits);
	} else if (scan->type == 0x12) {
		message_number(message, kind, (double)(int64_t)bits,
			       (int64_t)bits);
	} else if (scan->type == 0x08) {
		message_number(message, kind, (double)bits, (int64_t)bits);
	}
	next_element(scan);
}

/* Bytes behind the size of a value whose size was told. */
static bool size_left(const struct scan *scan, uint64_t size, uint64_t *left)
{
	switch (scan->type) {
	case 0x03:
	case 0x04:
		*left = size - 4;
		return size >= DOCUMENT_BYTES_MIN;
	case 0x0f:
		*left = size - 4;
		return size >= 14;
	case 0x05:
		*left = size + 1;
		return true;
	case 0x0c:
		*left = size + 12;
		return size >= 1;
	default:
		*left = size;
		return size >= 1;
	}
}

static void begin_sized(struct scan *scan, struct mongodb *mongo,
			struct message *message)
{
	uint64_t left, size = fixed_uint(scan, 4);
	struct scan_level *level = top(scan);
	enum scan_kind into;

	if (!size_left(scan, size, &left) ||
	    left > level->end - scan->offset) {
		bad(scan);
		return;
	}
	scan->left = left;
	scan->text.length = 0;
	scan->state = SCAN_SKIP;
	if (scan->type == 0x02) {
		scan->state = SCAN_STRING;
	} else if (level->kind == SCAN_BATCH && scan->type == 0x03) {
		if (size <= MONGODB_DOCUMENT_KEPT &&
		    buffer_append(&scan->text, scan->fixed, 4))
			scan->state = SCAN_DOCUMENT;
		else
			message_document(mongo, message, NULL, 0);
	} else if (level->kind == SCAN_COUNTED) {
		message_counted(message, level->kind);
	} else if ((scan->type == 0x03 || scan->type == 0x04) &&
		   message_descends(message, level->kind, &into) &&
		   scan->depth < SCAN_LEVELS) {
		if (level->kind == SCAN_WRITE_ERRORS)
			message_counted(message, level->kind);
		scan->levels[scan->depth++] = (struct scan_level){
			into, scan->offset + left };
		scan->state = SCAN_TYPE;
	}
}

static void begin_value(struct scan *scan)
{
	switch (scan->type) {
	case 0x01:
	case 0x09:
	case 0x11:
	case 0x12:
		need(scan, SCAN_VALUE, 8);
		break;
	case 0x06:
	case 0x0a:
	case 0x7f:
	case 0xff:
		next_element(scan);
		break;
	case 0x07:
		need(scan, SCAN_VALUE, 12);
		break;
	case 0x08:
		need(scan, SCAN_VALUE, 1);
		break;
	case 0x0b:
		scan->nuls = 0;
		scan->state = SCAN_REGEX;
		break;
	case 0x10:
		need(scan, SCAN_VALUE, 4);
		break;
	case 0x13:
		need(scan, SCAN_VALUE, 16);
		break;
	case 0x02:
	case 0x03:
	case 0x04:
	case 0x05:
	case 0x0c:
	case 0x0d:
	case 0x0e:
	case 0x0f:
		need(scan, SCAN_SIZE, 4);
		break;
	default:
		bad(scan);
	}
}

/* A byte that is an element's type, or the end of its document. */
static void take_type(struct scan *scan, uint8_t type)
{
	if (type) {
		scan->type = type;
		scan->name_length = 0;
		scan->state = SCAN_NAME;
		return;
	}
	if (scan->offset != top(scan)->end)
		bad(scan);
	else if (--scan->depth)
		next_element(scan);
	else
		scan->state = SCAN_DONE;
}

static size_t take_name(struct scan *scan, const uint8_t *bytes, size_t length)
{
	const uint8_t *nul = memchr(bytes, 0, length);
	size_t take = nul ? (size_t)(nul - bytes) : length;

	for (size_t i = 0; i < take; i++, scan->name_length++)
		if (scan->name_length < MONGODB_NAME_MAX)
			scan->name[scan->name_length] = (char)bytes[i];
	scan->offset += take + (nul != NULL);
	if (nul) {
		scan->name[scan->name_length < MONGODB_NAME_MAX ?
			   scan->name_length : MONGODB_NAME_MAX] = '\0';
		begin_value(scan);
	}
	return take + (nul != NULL);
}

static size_t take_fixed(struct scan *scan, struct mongodb *mongo,
			 struct message *message, const uint8_t *bytes,
			 size_t length)
{
	size_t take = scan->fixed_need - scan->fixed_have;
	uint64_t size;

	if (take > length)
		take = length;
	memcpy(scan->fixed + scan->fixed_have, bytes, take);
	scan->fixed_have += take;
	scan->offset += take;
	if (scan->fixed_have < scan->fixed_need)
		return take;
	switch (scan->state) {
	case SCAN_LENGTH:
		size = fixed_uint(scan, 4);
		if (size < DOCUMENT_BYTES_MIN || size > MONGODB_MESSAGE_MAX) {
			bad(scan);
			break;
		}
		scan->levels[scan->depth++] = (struct scan_level){ scan->root,
								   size };
		scan->state = SCAN_TYPE;
		break;
	case SCAN_VALUE:
		end_value(scan, message);
		break;
	default:
		begin_sized(scan, mongo, message);
		break;
	}
	return take;
}

static size_t take_left(struct scan *scan, struct mongodb *mongo,
			struct message *message, const uint8_t *bytes,
			size_t length)
{
	size_t take = length < scan->left ? length : (size_t)scan->left;
	struct span text;

	if (scan->state == SCAN_STRING)
		buffer_gather(&scan->text, bytes, take, MONGODB_TEXT_MAX);
	else if (scan->state == SCAN_DOCUMENT)
		buffer_gather(&scan->text, bytes, take, MONGODB_DOCUMENT_KEPT);
	scan->left -= take;
	scan->offset += take;
	if (scan->left)
		return take;
	text = buffer_span(&scan->text);
	if (scan->state == SCAN_DOCUMENT) {
		message_document(mongo, message, scan->text.bytes,
				 scan->text.length);
	} else if (scan->state == SCAN_STRING) {
		if (text.length && !text.bytes[text.length - 1])
			text.length--;
		message_string(message, top(scan)->kind, text);
	}
	next_element(scan);
	return take;
}

static size_t take_regex(struct scan *scan, const uint8_t *bytes, size_t length)
{
	size_t i = 0;

	while (i < length && scan->nuls < 2)
		scan->nuls += !bytes[i++];
	scan->offset += i;
	if (scan->nuls == 2)
		next_element(scan);
	return i;
}

size_t scan_feed(struct mongodb *mongo, struct message *message,
		 const uint8_t *bytes, size_t length)
{
	struct scan *scan = &message->scan;
	size_t at = 0;

	while (at < length && scan->state != SCAN_DONE &&
	       scan->state != SCAN_BAD) {
		switch (scan->state) {
		case SCAN_TYPE:
			scan->offset++;
			take_type(scan, bytes[at++]);
			break;
		case SCAN_NAME:
			at += take_name(scan, bytes + at, length - at);
			break;
		case SCAN_REGEX:
			at += take_regex(scan, bytes + at, length - at);
			break;
		case SCAN_STRING:
		case SCAN_DOCUMENT:
		case SCAN_SKIP:
			at += take_left(scan, mongo, message, bytes + at,
					length - at);
			break;
		default:
			at += take_fixed(scan, mongo, message, bytes + at,
					 length - at);
			break;
		}
		/* An element that goes on behind its document's end. */
		if (scan->depth && scan->offset > top(scan)->end)
			bad(scan);
	}
	return at;
}
