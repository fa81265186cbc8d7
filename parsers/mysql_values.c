/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql_values.c - fields of rows and parameters of executions, as text.
 *
 * Strings are handed on where they lie; numbers and times are written as the
 * server would write them in a text result set.
 * Source: MySQL source documentation, "Binary Protocol Resultset" and
 * "COM_STMT_EXECUTE"; MariaDB Knowledge Base, "COM_STMT_BULK_EXECUTE".
 */
#include "parsers/mysql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum field_type {
	TYPE_DECIMAL = 0,
	TYPE_TINY = 1,
	TYPE_SHORT = 2,
	TYPE_LONG = 3,
	TYPE_FLOAT = 4,
	TYPE_DOUBLE = 5,
	TYPE_NULL = 6,
	TYPE_TIMESTAMP = 7,
	TYPE_LONGLONG = 8,
	TYPE_INT24 = 9,
	TYPE_DATE = 10,
	TYPE_TIME = 11,
	TYPE_DATETIME = 12,
	TYPE_YEAR = 13,
	TYPE_NEWDATE = 14,
	TYPE_VARCHAR = 15,
	TYPE_BIT = 16,
	TYPE_TIMESTAMP2 = 17,
	TYPE_DATETIME2 = 18,
	TYPE_TIME2 = 19,
	TYPE_VECTOR = 242,
	TYPE_JSON = 245,
	TYPE_STRINGS = 245 /* and all above: length-encoded */
};

enum indicator { INDICATOR_NONE, INDICATOR_NULL };

#define BULK_SENDS_TYPES     128 /* a flag of COM_STMT_BULK_EXECUTE */
#define QUERY_ATTRIBUTES_MAX 64	 /* kept of a query */
#define UNIT_COLUMNS	     2	 /* of a bulk execution's results */

static const struct span null_text = { "NULL", 4 };
static const struct span default_text = { "DEFAULT", 7 };

static struct span text_span(char text[VALUE_TEXT_BYTES], int length)
{
	if (length < 0 || length >= VALUE_TEXT_BYTES)
		return (struct span){ NULL, 0 };
	return (struct span){ text, (size_t)length };
}

static struct span integer_text(struct cursor *c, unsigned bytes, unsigned code,
				char text[VALUE_TEXT_BYTES])
{
	uint64_t value = cursor_uint(c, bytes);
	unsigned unused = 64 - 8 * bytes;

	if (code & CODE_UNSIGNED)
		return text_span(text, snprintf(text, VALUE_TEXT_BYTES,
						"%" PRIu64, value));
	return text_span(text,
			 snprintf(text, VALUE_TEXT_BYTES, "%" PRId64,
				  (int64_t)(value << unused) >> unused));
}

/* The shortest text that reads back as the same number. */
static struct span real_text(struct cursor *c, bool is_double,
			     char text[VALUE_TEXT_BYTES])
{
	uint64_t bits = cursor_uint(c, is_double ? 8 : 4);
	uint32_t low = (uint32_t)bits;
	int length = 0, digits = is_double ? 15 : 6;
	int most = is_double ? 17 : 9;
	double value;
	float narrow;

	memcpy(&narrow, &low, sizeof(narrow));
	memcpy(&value, &bits, sizeof(value));
	for (; digits <= most; digits++) {
		length = snprintf(text, VALUE_TEXT_BYTES, "%.*g", digits,
				  is_double ? value : (double)narrow);
		if (is_double ? strtod(text, NULL) == value :
				strtof(text, NULL) == narrow)
			break;
	}
	return text_span(text, length);
}

static struct span date_text(struct cursor *c, bool with_time,
			     char text[VALUE_TEXT_BYTES])
{
	uint64_t length = cursor_uint(c, 1);
	struct cursor d = cursor_of(c->at, 0);
	const uint8_t *at = cursor_take(c, length);
	unsigned year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
	unsigned micro = 0;
	int n;

	if (!at || (length && length != 4 && length != 7 && length != 11)) {
		c->bad = true;
		return (struct span){ NULL, 0 };
	}
	d = cursor_of(at, length);
	if (length) {
		year = (unsigned)cursor_uint(&d, 2);
		month = (unsigned)cursor_uint(&d, 1);
		day = (unsigned)cursor_uint(&d, 1);
	}
	if (length >= 7) {
		hour = (unsigned)cursor_uint(&d, 1);
		minute = (unsigned)cursor_uint(&d, 1);
		second = (unsigned)cursor_uint(&d, 1);
	}
	if (length == 11)
		micro = (unsigned)cursor_uint(&d, 4);
	n = snprintf(text, VALUE_TEXT_BYTES, "%04u-%02u-%02u", year, month,
		     day);
	if (with_time || length >= 7)
		n += snprintf(text + n, VALUE_TEXT_BYTES - (size_t)n,
			      " %02u:%02u:%02u", hour, minute, second);
	if (length == 11)
		n += snprintf(text + n, VALUE_TEXT_BYTES - (size_t)n, ".%06u",
			      micro);
	return text_span(text, n);
}

static struct span time_text(struct cursor *c, char text[VALUE_TEXT_BYTES])
{
	uint64_t length = cursor_uint(c, 1), hours = 0;
	const uint8_t *at = cursor_take(c, length);
	unsigned minute = 0, second = 0;
	bool negative = false;
	struct cursor d;
	int n;

	if (!at || (length && length != 8 && length != 12)) {
		c->bad = true;
		return (struct span){ NULL, 0 };
	}
	d = cursor_of(at, length);
	if (length) {
		negative = cursor_uint(&d, 1) != 0;
		hours = cursor_uint(&d, 4) * 24;
		hours += cursor_uint(&d, 1);
		minute = (unsigned)cursor_uint(&d, 1);
		second = (unsigned)cursor_uint(&d, 1);
	}
	n = snprintf(text, VALUE_TEXT_BYTES, "%s%02" PRIu64 ":%02u:%02u",
		     negative ? "-" : "", hours, minute, second);
	if (length == 12)
		n += snprintf(text + n, VALUE_TEXT_BYTES - (size_t)n, ".%06u",
			      (unsigned)cursor_uint(&d, 4));
	return text_span(text, n);
}

struct span mysql_value_text(struct cursor *c, unsigned code,
			     char text[VALUE_TEXT_BYTES])
{
	unsigned type = code & 0xff;

	switch (type) {
	case TYPE_NULL:
		return null_text;
	case TYPE_TINY:
		return integer_text(c, 1, code, text);
	case TYPE_SHORT:
	case TYPE_YEAR:
		return integer_text(c, 2, code, text);
	case TYPE_LONG:
	case TYPE_INT24:
		return integer_text(c, 4, code, text);
	case TYPE_LONGLONG:
		return integer_text(c, 8, code, text);
	case TYPE_FLOAT:
	case TYPE_DOUBLE:
		return real_text(c, type == TYPE_DOUBLE, text);
	case TYPE_DATE:
	case TYPE_NEWDATE:
		return date_text(c, false, text);
	case TYPE_TIMESTAMP:
	case TYPE_DATETIME:
	case TYPE_TIMESTAMP2:
	case TYPE_DATETIME2:
		return date_text(c, true, text);
	case TYPE_TIME:
	case TYPE_TIME2:
		return time_text(c, text);
	case TYPE_DECIMAL:
	case TYPE_VARCHAR:
	case TYPE_BIT:
	case TYPE_VECTOR:
		return cursor_string(c);
	default:
		if (type >= TYPE_STRINGS)
			return cursor_string(c);
		c->bad = true;
		return (struct span){ NULL, 0 };
	}
}

/* The string's beginning where the message was cut inside it. */
static struct span cut_string(struct cursor c)
{
	uint64_t length = cursor_lenenc(&c);

	if (c.bad || length < cursor_left(&c))
		return (struct span){ NULL, 0 };
	return (struct span){ (const char *)c.at, cursor_left(&c) };
}

static void give_value(struct mysql *my, uint64_t column, struct span value)
{
	size_t index = my->columns.set_first + (size_t)column;

	if (!value.bytes || index >= my->exchange.column_count)
		return;
	if (value.length > VALUE_BYTES_MAX)
		value.length = VALUE_BYTES_MAX;
	my->observer->value(my->observer->context, &my->exchange, (int)index,
			    value);
}

static void text_values(struct mysql *my, const struct message *row)
{
	struct cursor c = cursor_of(row->bytes, row->kept);

	for (uint64_t i = 0; i < my->columns.set_total && cursor_left(&c);
	     i++) {
		struct cursor before = c;
		struct span value;

		if (*c.at == 0xfb) {
			cursor_uint(&c, 1);
			continue;
		}
		value = cursor_string(&c);
		if (c.bad && row->kept < row->length)
			value = cut_string(before);
		give_value(my, i, value);
		if (c.bad)
			return;
	}
}

/* Bit `i` of a row's or an execution's map of NULLs. */
static bool is_null(const uint8_t *nulls, uint64_t i)
{
	return nulls[i / 8] >> (i % 8) & 1;
}

static unsigned code_at(const struct buffer *codes, uint64_t i)
{
	uint16_t code;

	memcpy(&code, codes->bytes + i * sizeof(code), sizeof(code));
	return code;
}

/* Reads a binary row; `give`: to the observer.  True: it fits exactly. */
static bool binary_values(struct mysql *my, const struct message *row,
			  bool give)
{
	const struct columns *columns = &my->columns;
	uint64_t count = columns->codes.length / sizeof(uint16_t);
	struct cursor c = cursor_of(row->bytes, row->kept);
	char text[VALUE_TEXT_BYTES];
	const uint8_t *nulls;

	/* Two bits of the map stand for nothing. */
	if (cursor_uint(&c, 1) != 0 || count != columns->set_total)
		return false;
	nulls = cursor_take(&c, (count + 2 + 7) / 8);
	if (!nulls || nulls[0] & 3)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct cursor before = c;
		unsigned code = code_at(&columns->codes, i);
		struct span value;

		if (is_null(nulls, i + 2))
			continue;
		value = mysql_value_text(&c, code, text);
		if (c.bad && row->kept < row->length &&
		    (code & 0xff) >= TYPE_STRINGS)
			value = cut_string(before);
		if (give)
			give_value(my, i, value);
		if (c.bad)
			return false;
	}
	return !cursor_left(&c);
}

void mysql_row_values(struct mysql *my, const struct message *row)
{
	if (my->response.binary)
		binary_values(my, row, true);
	else
		text_values(my, row);
}

void mysql_unit_values(struct mysql *my, const struct message *row)
{
	struct cursor c = cursor_of(row->bytes, row->kept);
	uint64_t id = 0, affected = 0;
	const uint8_t *nulls;

	cursor_uint(&c, 1);
	nulls = cursor_take(&c, (UNIT_COLUMNS + 2 + 7) / 8);
	if (!nulls || my->columns.set_total != UNIT_COLUMNS)
		return;
	if (!is_null(nulls, 2))
		id = cursor_uint(&c, 8);
	if (!is_null(nulls, 3))
		affected = cursor_uint(&c, 8);
	if (c.bad || cursor_left(&c) || affected > INT32_MAX)
		return;
	if (id)
		my->response.insert_id = id;
	if (my->response.affected < 0)
		my->response.affected = 0;
	my->response.affected += (int64_t)affected;
}

bool mysql_row_is_text(const struct mysql *my, const uint8_t *row,
		       size_t length)
{
	struct cursor c = cursor_of(row, length);

	for (uint64_t i = 0; i < my->columns.set_total; i++) {
		if (cursor_left(&c) && *c.at == 0xfb)
			cursor_uint(&c, 1);
		else
			cursor_string(&c);
		if (c.bad)
			return false;
	}
	return !cursor_left(&c);
}

bool mysql_row_is_binary(struct mysql *my, const uint8_t *row, size_t length)
{
	return binary_values(my, &(struct message){ .bytes = row,
						    .kept = length,
						    .length = length },
			     false);
}

/* One more decoded parameter; beyond the bounds it is dropped. */
static void keep_parameter(struct command *command, struct span value)
{
	struct piece_of piece = { .at = (uint32_t)command->values.length };

	if (command->pieces.length / sizeof(piece) >= EXCHANGE_PARAMETERS_MAX)
		return;
	if (value.length > VALUE_BYTES_MAX)
		value.length = VALUE_BYTES_MAX;
	if (command->values.length + value.length > PARAMETERS_BYTES_MAX)
		value.length = 0;
	piece.length = (uint32_t)value.length & INT32_MAX;
	if (buffer_append(&command->values, value.bytes, value.length))
		buffer_append(&command->pieces, &piece, sizeof(piece));
}

/* "name=value", one piece. */
static void keep_attribute(struct command *command, struct span name,
			   struct span value)
{
	struct piece_of piece = { .at = (uint32_t)command->values.length };
	size_t count = command->pieces.length / sizeof(piece);

	if (count >= QUERY_ATTRIBUTES_MAX || !name.bytes || !value.bytes ||
	    command->values.length + name.length + 1 + value.length >
		    PARAMETERS_BYTES_MAX)
		return;
	buffer_append(&command->values, name.bytes, name.length);
	buffer_append(&command->values, "=", 1);
	buffer_append(&command->values, value.bytes, value.length);
	piece.length = (uint32_t)(command->values.length - piece.at) &
		       INT32_MAX;
	buffer_append(&command->pieces, &piece, sizeof(piece));
}

/*
 * With CLIENT_QUERY_ATTRIBUTES a statement's text stands behind named values.
 * Their form is unmistakable: how many there are, and then the byte 1, which
 * no statement has second.
 */
void mysql_query_attributes(struct mysql *my, struct command *command,
			    struct cursor *c)
{
	struct cursor a = *c, types;
	uint64_t count = cursor_lenenc(&a), sets = cursor_lenenc(&a), i;
	const uint8_t *nulls;
	char text[VALUE_TEXT_BYTES];

	if ((my->capabilities_known &&
	     !(my->capabilities & CLIENT_QUERY_ATTRIBUTES)) ||
	    a.bad || sets != 1)
		return;
	if (!count) {
		*c = a;
		return;
	}
	nulls = cursor_take(&a, (count + 7) / 8);
	if (cursor_uint(&a, 1) != 1)
		return;
	types = a;
	for (i = 0; i < count && !a.bad; i++) {
		cursor_uint(&a, 2);
		cursor_string(&a);
	}
	for (i = 0; i < count && !a.bad; i++) {
		uint16_t type = (uint16_t)cursor_uint(&types, 2);
		struct span name = cursor_string(&types), value = null_text;

		if (!is_null(nulls, i))
			value = mysql_value_text(&a, type, text);
		if (!a.bad)
			keep_attribute(command, name, value);
	}
	if (a.bad)
		command->values.length = command->pieces.length = 0;
	else
		*c = a;
}

static const struct long_data *find_long(const struct statement *statement,
					 uint64_t parameter)
{
	for (unsigned i = 0; statement && i < statement->long_count; i++)
		if (statement->long_data[i].parameter == parameter)
			return &statement->long_data[i];
	return NULL;
}

/* The types, and the names of attributes, in front of the values. */
static void read_types(struct cursor *c, uint64_t count, bool attributes,
		       struct buffer *types)
{
	types->length = 0;
	for (uint64_t i = 0; i < count && !c->bad; i++) {
		uint16_t code = (uint16_t)cursor_uint(c, 2);

		if (attributes)
			cursor_string(c);
		if (!c->bad)
			buffer_append(types, &code, sizeof(code));
	}
}

/* `count` values of those types; one sent before by itself is not here. */
static void read_values(struct command *command,
			const struct statement *statement, struct cursor *c,
			const struct buffer *types, const uint8_t *nulls,
			uint64_t count)
{
	char text[VALUE_TEXT_BYTES];

	for (uint64_t i = 0; i < count && !c->bad; i++) {
		const struct long_data *data = find_long(statement, i);
		struct span value = null_text;

		if (i >= types->length / sizeof(uint16_t)) {
			c->bad = true;
			return;
		}
		if (!is_null(nulls, i) && data)
			value = (struct span){
				(const char *)data->bytes.bytes,
				data->bytes.length };
		else if (!is_null(nulls, i))
			value = mysql_value_text(c, code_at(types, i), text);
		if (!c->bad)
			keep_parameter(command, value);
	}
}

/*
 * The parameters behind COM_STMT_EXECUTE's fixed fields, with the number of
 * them in front or without (CLIENT_QUERY_ATTRIBUTES).  The first
 * `statement->parameters` are the statement's, the others attributes.
 * True: they fill the message exactly, or all there is of it.
 */
static bool read_parameters(struct command *command,
			    struct statement *statement, struct cursor c,
			    bool attributes, bool cut)
{
	uint64_t count = statement ? statement->parameters : 0;
	struct buffer fresh = { NULL, 0, 0 }, *types = &fresh;
	const uint8_t *nulls;
	bool fits = false;

	command->values.length = command->pieces.length = 0;
	if (attributes) {
		uint64_t told = cursor_lenenc(&c);

		if (told < count || told > PARAMETER_TYPES_MAX)
			return false;
		if (!statement)
			count = told;
		if (!told)
			return !c.bad && !cursor_left(&c);
		nulls = cursor_take(&c, (told + 7) / 8);
		if (cursor_uint(&c, 1) == 1)
			read_types(&c, told, true, types);
		else if (statement)
			types = &statement->types;
		if (types->length / sizeof(uint16_t) < told && !cut)
			c.bad = true;
		fits = told > count;
	} else {
		if (!count)
			return !cursor_left(&c);
		nulls = cursor_take(&c, (count + 7) / 8);
		if (cursor_uint(&c, 1) == 1)
			read_types(&c, count, false, types);
		else if (statement)
			types = &statement->types;
	}
	read_values(command, statement, &c, types, nulls, count);
	/* Values of attributes may follow; the statement's own come first. */
	fits = !c.bad && (fits || !cursor_left(&c));
	if ((fits || cut) && statement && types == &fresh && fresh.length) {
		buffer_free(&statement->types);
		statement->types = fresh;
	} else {
		buffer_free(&fresh);
	}
	return fits || cut;
}

/* COM_STMT_BULK_EXECUTE: rows of parameters, an indicator before each. */
static void read_bulk(struct command *command, struct statement *statement,
		      struct cursor c)
{
	char text[VALUE_TEXT_BYTES];
	bool typed;

	command->bulk_flags = (uint16_t)cursor_uint(&c, 2);
	typed = command->bulk_flags & BULK_SENDS_TYPES;
	if (!statement->parameters)
		return;
	if (typed)
		read_types(&c, statement->parameters, false,
			   &statement->types);
	if (statement->types.length / sizeof(uint16_t) <
	    statement->parameters)
		return;
	for (uint64_t i = 0; cursor_left(&c) && !c.bad; i++) {
		unsigned code = code_at(&statement->types,
					i % statement->parameters);
		uint64_t indicator = cursor_uint(&c, 1);
		struct span value = null_text;

		/* Neither a value nor NULL: the column's default. */
		if (indicator > INDICATOR_NULL)
			value = default_text;
		if (indicator == INDICATOR_NONE)
			value = mysql_value_text(&c, code, text);
		if (c.bad)
			return;
		keep_parameter(command, value);
		command->bulk_sets += (i + 1) % statement->parameters == 0;
	}
}

void mysql_parameters(struct mysql *my, struct command *command,
		      struct statement *statement,
		      const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	bool cut = message->holed || message->kept < message->length;
	bool attributes = my->capabilities_known &&
			  my->capabilities & CLIENT_QUERY_ATTRIBUTES;

	cursor_uint(&c, 5); /* the command, the statement's id */
	if (command->code == COM_STMT_BULK_EXECUTE) {
		if (statement)
			read_bulk(command, statement, c);
		return;
	}
	cursor_uint(&c, 5); /* flags, iterations */
	if (c.bad)
		return;
	/* What fits the message's length is what was meant. */
	if (!read_parameters(command, statement, c, attributes, cut) &&
	    !read_parameters(command, statement, c, !attributes, false))
		command->values.length = command->pieces.length = 0;
}
