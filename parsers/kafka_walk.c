/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kafka_walk.c - reads a Kafka message by its schema, field by field.
 *
 * A walk stops anywhere and goes on with the next bytes, so that no message
 * is kept whole, however long its arrays are; of record batches only the
 * headers are read.
 */
#include "parsers/kafka.h"

#include "parsers/cursor.h"

#define STRING_BYTES_MAX 32767 /* what the classic length can say */

/* Record batches: where both formats have their length, their headers. */
#define RECORDS_SIZE_AT	  8
#define RECORDS_OLD_BYTES 18 /* of magic 0 and 1, up to the attributes */
#define RECORDS_NEW_BYTES 61 /* of magic 2 */
#define COMPRESSION_MASK  0x07
#define CONTROL_BATCH	  0x20

struct field {
	char type;
	char role; /* '\0': none */
	int from, to;
	const char *next;
};

static int number_at(const char **at)
{
	int number = 0;

	while (**at >= '0' && **at <= '9')
		number = number * 10 + *(*at)++ - '0';
	return number;
}

static struct field field_at(const char *at)
{
	struct field field = { .type = *at, .to = KAFKA_VERSION_NONE };

	if (*at)
		at++;
	if (*at >= '0' && *at <= '9') {
		field.from = number_at(&at);
		if (*at++ == '-')
			field.to = number_at(&at);
	}
	if (*at == '=') {
		field.role = at[1];
		at += 2;
	}
	while (*at == ' ')
		at++;
	field.next = at;
	return field;
}

/* Behind the end of the array whose elements' fields begin at `at`. */
static const char *behind_array(const char *at)
{
	unsigned depth = 1;

	while (*at && depth) {
		depth += *at == '[' || *at == '(';
		depth -= *at == ']' || *at == ')';
		at = field_at(at).next;
	}
	return at;
}

/* Seven bits a byte, the lowest first; bad when longer than `bytes` bytes. */
static uint64_t cursor_varint(struct cursor *c, unsigned bytes)
{
	uint64_t value = 0;
	uint8_t byte = 0x80;

	for (unsigned i = 0; i < bytes && byte & 0x80; i++) {
		byte = (uint8_t)cursor_uint(c, 1);
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
	}
	return value;
}

/* A length or a count; -1: null.  `bytes`: of its classic form. */
static int64_t take_count(const struct kafka_walk *walk, struct cursor *c,
			  unsigned bytes)
{
	if (walk->flexible)
		return (int64_t)cursor_varint(c, 5) - 1;
	if (bytes == 2)
		return (int16_t)cursor_uint_be(c, 2);
	return (int32_t)cursor_uint_be(c, 4);
}

/* An array's element, or the array itself, has ended at a close. */
static void end_element(struct kafka_walk *walk, const struct field *field)
{
	if (walk->depth && --walk->arrays[walk->depth - 1].left) {
		walk->at = walk->arrays[walk->depth - 1].start;
		return;
	}
	if (walk->depth)
		walk->depth--;
	walk->at = field->next;
}

static enum kafka_went begin_array(struct kafka_walk *walk, struct cursor *c,
				   const struct field *field)
{
	int64_t count = take_count(walk, c, 4);

	if (c->bad)
		return KAFKA_SHORT;
	if (count <= 0) {
		walk->at = behind_array(field->next);
		return KAFKA_WENT;
	}
	if (walk->depth == KAFKA_DEPTH_MAX)
		return KAFKA_BROKEN;
	walk->arrays[walk->depth].start = field->next;
	walk->arrays[walk->depth++].left = (uint64_t)count;
	walk->at = field->next;
	return KAFKA_WENT;
}

static void tell(const struct kafka_walk *walk, char role, struct span text,
		 int64_t number)
{
	if (role)
		walk->found(walk->context, (enum kafka_role)role, text, number);
}

static enum kafka_went take_string(struct kafka_walk *walk, struct cursor *c,
				   const struct field *field)
{
	int64_t length = take_count(walk, c, 2);
	struct span text = { NULL, 0 };

	if (!c->bad && length > STRING_BYTES_MAX)
		return KAFKA_BROKEN;
	if (length >= 0)
		text = cursor_span(c, (uint64_t)length);
	if (c->bad)
		return KAFKA_SHORT;
	walk->at = field->next;
	if (length >= 0)
		tell(walk, field->role, text, 0);
	return KAFKA_WENT;
}

static enum kafka_went take_integer(struct kafka_walk *walk, struct cursor *c,
				    const struct field *field)
{
	unsigned bytes = field->type == 'b' ? 1 : field->type == 'h' ? 2 :
			 field->type == 'i' ? 4 : 8;
	uint64_t value = cursor_uint_be(c, bytes);

	if (c->bad)
		return KAFKA_SHORT;
	if (bytes == 2)
		value = (uint64_t)(int16_t)value;
	walk->at = field->next;
	tell(walk, field->role, (struct span){ NULL, 0 }, (int64_t)value);
	return KAFKA_WENT;
}

/* A length, and so many bytes that are passed over or are record batches. */
static enum kafka_went take_bytes(struct kafka_walk *walk, struct cursor *c,
				  const struct field *field, uint64_t *skip)
{
	int64_t length = take_count(walk, c, 4);

	if (c->bad)
		return KAFKA_SHORT;
	walk->at = field->next;
	if (length > 0 && field->type == 'r')
		walk->records = (uint64_t)length;
	else if (length > 0)
		*skip = (uint64_t)length;
	return KAFKA_WENT;
}

static enum kafka_went take_field(struct kafka_walk *walk, struct cursor *c,
				  const struct field *field, uint64_t *skip)
{
	uint64_t tags;

	switch (field->type) {
	case '[':
	case '(':
		return begin_array(walk, c, field);
	case ']':
		tags = walk->flexible ? cursor_varint(c, 5) : 0;
		if (c->bad)
			return KAFKA_SHORT;
		walk->tags = tags;
		end_element(walk, field);
		return KAFKA_WENT;
	case ')':
		end_element(walk, field);
		return KAFKA_WENT;
	case 's':
		return take_string(walk, c, field);
	case 'u':
		cursor_take(c, 16);
		if (c->bad)
			return KAFKA_SHORT;
		walk->at = field->next;
		return KAFKA_WENT;
	case 'y':
	case 'r':
		return take_bytes(walk, c, field, skip);
	default:
		return take_integer(walk, c, field);
	}
}

static enum kafka_went take_tag(struct kafka_walk *walk, struct cursor *c,
				uint64_t *skip)
{
	uint64_t size;

	cursor_varint(c, 5);
	size = cursor_varint(c, 5);
	if (c->bad)
		return KAFKA_SHORT;
	walk->tags--;
	*skip = size;
	return KAFKA_WENT;
}

/* What is not a batch that is there whole. */
static enum kafka_went skip_records(struct kafka_walk *walk, uint64_t *skip)
{
	*skip = walk->records;
	walk->records = 0;
	return KAFKA_WENT;
}

/* A record batch, or a message of the old format: its header is taken. */
static enum kafka_went take_batch(struct kafka_walk *walk, struct cursor *c,
				  uint64_t *skip)
{
	struct cursor peek = *c;
	const struct span none = { NULL, 0 };
	uint64_t size, magic, head, attributes;
	int64_t count;

	if (walk->records < RECORDS_OLD_BYTES)
		return skip_records(walk, skip);
	cursor_take(&peek, RECORDS_SIZE_AT);
	size = cursor_uint_be(&peek, 4) + RECORDS_SIZE_AT + 4;
	cursor_take(&peek, 4);
	magic = cursor_uint_be(&peek, 1);
	if (peek.bad)
		return KAFKA_SHORT;
	head = magic == 2 ? RECORDS_NEW_BYTES : RECORDS_OLD_BYTES;
	if (magic > 2 || size < head)
		tell(walk, KAFKA_RECORDS, none, -1);
	/* The last of an answer may be cut: its records don't count. */
	if (magic > 2 || size < head || size > walk->records)
		return skip_records(walk, skip);
	if (magic == 2)
		cursor_take(&peek, 4);
	attributes = cursor_uint_be(&peek, magic == 2 ? 2 : 1);
	if (magic == 2)
		cursor_take(&peek, 34);
	count = magic == 2 ? (int32_t)cursor_uint_be(&peek, 4) :
		attributes & COMPRESSION_MASK ? -1 : 1;
	if (peek.bad)
		return KAFKA_SHORT;
	if (magic < 2 || !(attributes & CONTROL_BATCH))
		tell(walk, KAFKA_RECORDS, none, count);
	*c = peek;
	*skip = size - head;
	walk->records -= size;
	return KAFKA_WENT;
}

enum kafka_went kafka_walk_step(struct kafka_walk *walk, const uint8_t *bytes,
				size_t length, size_t *used, uint64_t *skip)
{
	struct cursor c = cursor_of(bytes, length);
	enum kafka_went went;
	struct field field;

	*used = 0;
	*skip = 0;
	do {
		if (walk->records) {
			went = take_batch(walk, &c, skip);
		} else if (walk->tags) {
			went = take_tag(walk, &c, skip);
		} else if (!*walk->at || *walk->at == '*') {
			walk->open = *walk->at == '*';
			walk->at = NULL;
			return KAFKA_WENT;
		} else {
			field = field_at(walk->at);
			if (walk->version >= field.from &&
			    walk->version <= field.to) {
				went = take_field(walk, &c, &field, skip);
			} else {
				went = KAFKA_WENT;
				walk->at = field.type == '[' ||
						   field.type == '(' ?
					behind_array(field.next) : field.next;
			}
		}
		*used = (size_t)(c.at - bytes);
	} while (went == KAFKA_WENT && !*used && !*skip);
	return went;
}
