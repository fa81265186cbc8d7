/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cassandra_result.c - what Cassandra answers: columns, rows, errors, events.
 *
 * Rows are walked cell by cell; no more is kept than the cell at hand.
 */
#include "parsers/cassandra.h"

#include <stdlib.h>

enum kind {
	KIND_VOID = 1,
	KIND_ROWS = 2,
	KIND_SET_KEYSPACE = 3,
	KIND_PREPARED = 4,
	KIND_SCHEMA_CHANGE = 5
};

/* Flags of a result's metadata. */
#define GLOBAL_TABLE 0x01
#define HAS_PAGES    0x02
#define NO_METADATA  0x04
#define NEW_METADATA 0x08

#define COLUMNS_MAX 65536 /* of a result; more is no result */

static void columns_free(struct cassandra_columns *columns)
{
	buffer_free(&columns->names);
	*columns = (struct cassandra_columns){ .count = 0 };
}

void cassandra_answering_free(struct cassandra_answering *answering)
{
	columns_free(&answering->columns);
	columns_free(&answering->binds);
	buffer_free(&answering->names);
}

void cassandra_prepared_free(struct cassandra_prepared *prepared)
{
	if (!prepared)
		return;
	buffer_free(&prepared->text);
	columns_free(&prepared->binds);
	columns_free(&prepared->columns);
	free(prepared);
}

void cassandra_answering_begin(struct cassandra *cassandra,
			       struct cassandra_request *request,
			       uint8_t flags)
{
	struct cassandra_answering *a = &cassandra->answering;

	columns_free(&a->columns);
	columns_free(&a->binds);
	buffer_reset(&a->names);
	a->request = request;
	a->flags = flags;
	a->place = TELL_PREFIX;
	a->kind = 0;
	a->cells_left = a->column = a->columns_left = 0;
	a->shown = &a->columns;
	a->described = a->reads_binds = a->without_metadata = false;
	a->rows = a->error = -1;
	a->message.there = a->set_keyspace.there = a->change.there =
		a->event.there = false;
	a->id_length = 0;
}

/* Tracing id, warnings, custom payload: what the flags say is there. */
static size_t read_prefix(struct cassandra_answering *a, const uint8_t *bytes,
			  size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	uint64_t count;

	if (a->flags & CQL_TRACED)
		cursor_take(&c, 16);
	if (a->flags & CQL_WARNINGS)
		for (count = cursor_uint_be(&c, 2); count && !c.bad; count--)
			cassandra_string(&c);
	if (a->flags & CQL_PAYLOAD) {
		for (count = cursor_uint_be(&c, 2); count && !c.bad; count--) {
			int32_t size;

			cassandra_string(&c);
			size = (int32_t)cursor_uint_be(&c, 4);
			cursor_take(&c, size > 0 ? (uint64_t)size : 0);
		}
	}
	if (c.bad)
		return 0;
	a->place = TELL_BODY;
	return (size_t)(c.at - bytes);
}

static size_t read_error(struct cassandra_answering *a, const uint8_t *bytes,
			 size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	uint64_t code = cursor_uint_be(&c, 4);
	struct span message = cassandra_string(&c);

	if (c.bad)
		return 0;
	a->error = (int64_t)code;
	a->message = cassandra_keep(&a->names, message);
	a->place = TELL_NOTHING;
	return (size_t)(c.at - bytes);
}

/* An event's type; of a change of the schema what was done to what. */
static size_t read_event(struct cassandra_answering *a, const uint8_t *bytes,
			 size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	struct span event = cassandra_string(&c), change = cassandra_string(&c);

	if (c.bad)
		return 0;
	a->event = cassandra_keep(&a->names, event);
	a->change = cassandra_keep(&a->names, change);
	a->place = TELL_NOTHING;
	return (size_t)(c.at - bytes);
}

/* Which result; and what of it is no set of columns. */
static size_t read_kind(struct cassandra_answering *a, const uint8_t *bytes,
			size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	uint64_t kind = cursor_uint_be(&c, 4);
	struct span text = { NULL, 0 };

	if (kind == KIND_SET_KEYSPACE || kind == KIND_SCHEMA_CHANGE ||
	    kind == KIND_PREPARED)
		text = cassandra_string(&c);
	if (kind == KIND_PREPARED && a->version >= 5)
		cassandra_string(&c);
	if (c.bad)
		return 0;
	a->kind = (int)kind;
	a->place = kind == KIND_ROWS || kind == KIND_PREPARED ? TELL_METADATA :
								TELL_NOTHING;
	if (kind == KIND_SET_KEYSPACE)
		a->set_keyspace = cassandra_keep(&a->names, text);
	if (kind == KIND_SCHEMA_CHANGE)
		a->change = cassandra_keep(&a->names, text);
	if (kind == KIND_PREPARED) {
		a->reads_binds = true;
		a->id_length = text.length < CASSANDRA_ID_BYTES_MAX ?
			text.length : CASSANDRA_ID_BYTES_MAX;
		if (a->id_length)
			memcpy(a->id, text.bytes, a->id_length);
	}
	return (size_t)(c.at - bytes);
}

static size_t read_body(struct cassandra_answering *a, const uint8_t *bytes,
			size_t length)
{
	switch (a->opcode) {
	case CQL_ERROR:
		return read_error(a, bytes, length);
	case CQL_EVENT:
		return read_event(a, bytes, length);
	case CQL_RESULT:
		return read_kind(a, bytes, length);
	default:
		a->place = TELL_NOTHING;
		return length;
	}
}

static struct cassandra_columns *columns_at_hand(struct cassandra_answering *a)
{
	return a->reads_binds ? &a->binds : &a->columns;
}

/* All columns of a set are read. */
static void end_columns(struct cassandra_answering *a)
{
	if (a->kind == KIND_ROWS) {
		a->place = TELL_ROWS;
	} else if (a->reads_binds) {
		a->reads_binds = false;
		a->place = TELL_METADATA;
	} else {
		a->place = TELL_NOTHING;
	}
}

/* The table that all columns are of. */
static void read_global(struct cassandra_answering *a, struct cursor *c)
{
	struct cassandra_columns *columns = columns_at_hand(a);
	struct span keyspace = cassandra_string(c), table = cassandra_string(c);

	if (c->bad)
		return;
	columns->keyspace = cassandra_keep(&columns->names, keyspace);
	columns->table = cassandra_keep(&columns->names, table);
}

static size_t read_metadata(struct cassandra *cassandra, const uint8_t *bytes,
			    size_t length)
{
	struct cassandra_answering *a = &cassandra->answering;
	struct cursor c = cursor_of(bytes, length);
	uint64_t flags = cursor_uint_be(&c, 4), count = cursor_uint_be(&c, 4);
	int32_t paging = 0;

	if (a->reads_binds && a->version >= 4)
		cursor_take(&c, 2 * cursor_uint_be(&c, 4));
	if (flags & HAS_PAGES && !a->reads_binds)
		paging = (int32_t)cursor_uint_be(&c, 4);
	cursor_take(&c, paging > 0 ? (uint64_t)paging : 0);
	if (flags & NEW_METADATA && !a->reads_binds)
		cassandra_string(&c);
	if (!c.bad && count > COLUMNS_MAX) {
		framed_give_up(&cassandra->envelopes, SIDE_SERVER);
		return 0;
	}
	a->global_table = flags & GLOBAL_TABLE;
	a->without_metadata = flags & NO_METADATA;
	if (a->global_table && !a->without_metadata)
		read_global(a, &c);
	if (c.bad)
		return 0;
	columns_at_hand(a)->total = count;
	a->columns_left = a->without_metadata ? 0 : count;
	a->place = TELL_COLUMN;
	if (!a->columns_left)
		end_columns(a);
	return (size_t)(c.at - bytes);
}

/* "table.column" */
static struct cassandra_kept keep_column(struct buffer *names,
					 struct span table, struct span name)
{
	struct cassandra_kept kept = { (uint32_t)names->length, 0, true };

	if (names->length + table.length + name.length + 1 >
	    CASSANDRA_NAMES_BYTES)
		return (struct cassandra_kept){ 0, 0, true };
	buffer_append(names, table.bytes, table.length);
	buffer_append(names, ".", 1);
	buffer_append(names, name.bytes, name.length);
	kept.length = (uint32_t)(names->length - kept.at);
	return kept;
}

static size_t read_column(struct cassandra_answering *a, const uint8_t *bytes,
			  size_t length)
{
	struct cassandra_columns *columns = columns_at_hand(a);
	struct cursor c = cursor_of(bytes, length);
	struct span keyspace = { NULL, 0 }, table = { NULL, 0 }, name;
	char global[256];
	uint16_t type;

	if (!a->global_table) {
		keyspace = cassandra_string(&c);
		table = cassandra_string(&c);
	}
	name = cassandra_string(&c);
	type = cassandra_type_read(&c, 0);
	if (c.bad)
		return 0;
	if (a->global_table) {
		/* A copy: the names may move while they are appended to. */
		table = cassandra_span(&columns->names, columns->table);
		if (table.length > sizeof(global))
			table.length = sizeof(global);
		if (table.length)
			memcpy(global, table.bytes, table.length);
		table.bytes = global;
	} else if (!columns->table.there) {
		columns->keyspace = cassandra_keep(&columns->names, keyspace);
		columns->table = cassandra_keep(&columns->names, table);
	}
	if (columns->count < EXCHANGE_COLUMNS_MAX)
		columns->columns[columns->count++] = (struct cassandra_column){
			keep_column(&columns->names, table, name), type };
	if (!--a->columns_left)
		end_columns(a);
	return (size_t)(c.at - bytes);
}

static size_t read_rows(struct cassandra *cassandra, const uint8_t *bytes,
			size_t length)
{
	struct cassandra_answering *a = &cassandra->answering;
	struct cursor c = cursor_of(bytes, length);
	uint64_t count = cursor_uint_be(&c, 4);
	const struct cassandra_prepared *prepared;

	if (c.bad)
		return 0;
	if (count > INT32_MAX) {
		framed_give_up(&cassandra->envelopes, SIDE_SERVER);
		return 0;
	}
	a->rows = (int64_t)count;
	/* Without them the columns are those told at the preparation. */
	prepared = a->request && a->without_metadata ?
		cassandra_prepared_of(cassandra, a->request->id,
				      a->request->id_length) : NULL;
	if (prepared && prepared->columns.total == a->columns.total)
		a->shown = &prepared->columns;
	a->cells_left = count * a->columns.total;
	a->place = a->cells_left ? TELL_CELL : TELL_NOTHING;
	return 4;
}

static void tell_cell(struct cassandra *cassandra, struct span value)
{
	struct cassandra_answering *a = &cassandra->answering;

	if (!cassandra->observer->value || !a->request ||
	    a->column >= a->shown->count)
		return;
	if (!a->described)
		cassandra_describe(cassandra, a->request, true);
	a->described = true;
	cassandra->text.length = 0;
	cassandra_value_text(a->shown->columns[a->column].type, value,
			     &cassandra->text);
	cassandra_tell_value(cassandra, (int)a->column,
			     buffer_span(&cassandra->text));
}

/* A cell; the first bytes of a long one. */
static size_t read_cell(struct cassandra *cassandra, const uint8_t *bytes,
			size_t length)
{
	struct cassandra_answering *a = &cassandra->answering;
	struct cursor c = cursor_of(bytes, length);
	int32_t size = (int32_t)cursor_uint_be(&c, 4);
	uint64_t kept = size > VALUE_BYTES_MAX ? VALUE_BYTES_MAX :
			size > 0 ? (uint64_t)size : 0;
	struct span value = cursor_span(&c, kept);

	if (c.bad)
		return 0;
	if (size > 0)
		tell_cell(cassandra, value);
	if (size > VALUE_BYTES_MAX)
		framed_skip(&cassandra->envelopes, SIDE_SERVER,
			    (uint64_t)size - kept);
	a->column = (a->column + 1) % a->columns.total;
	if (!--a->cells_left)
		a->place = TELL_NOTHING;
	return (size_t)(c.at - bytes);
}

size_t cassandra_answering_unit(struct cassandra *cassandra,
				const uint8_t *bytes, size_t length, bool last)
{
	struct cassandra_answering *a = &cassandra->answering;
	size_t used;

	(void)last;
	switch (a->place) {
	case TELL_PREFIX:
		used = read_prefix(a, bytes, length);
		/* Without flags it has no bytes. */
		return used || a->place == TELL_PREFIX ?
			used : read_body(a, bytes, length);
	case TELL_BODY:
		return read_body(a, bytes, length);
	case TELL_METADATA:
		return read_metadata(cassandra, bytes, length);
	case TELL_COLUMN:
		return read_column(a, bytes, length);
	case TELL_ROWS:
		return read_rows(cassandra, bytes, length);
	case TELL_CELL:
		return read_cell(cassandra, bytes, length);
	case TELL_NOTHING:
		break;
	}
	return length;
}

/* The statement behind the id, in the place of the oldest if need be. */
static void remember(struct cassandra *cassandra)
{
	struct cassandra_answering *a = &cassandra->answering;
	const struct cassandra_request *request = a->request;
	struct cassandra_prepared *p;

	p = cassandra_prepared_of(cassandra, a->id, a->id_length);
	if (!p) {
		struct cassandra_prepared **slot =
			&cassandra->prepared[cassandra->prepared_next];

		if (!*slot)
			*slot = calloc(1, sizeof(**slot));
		p = *slot;
		if (!p)
			return;
		cassandra->prepared_next = (cassandra->prepared_next + 1) %
					   CASSANDRA_PREPARED_MAX;
	}
	memcpy(p->id, a->id, a->id_length);
	p->id_length = a->id_length;
	p->text.length = 0;
	p->text_cut = request->statement_cut;
	buffer_append(&p->text, request->statement.bytes,
		      request->statement.length);
	columns_free(&p->binds);
	columns_free(&p->columns);
	p->binds = a->binds;
	p->columns = a->columns;
	a->binds = a->columns = (struct cassandra_columns){ .count = 0 };
}

void cassandra_answering_apply(struct cassandra *cassandra)
{
	struct cassandra_answering *a = &cassandra->answering;
	struct span keyspace = cassandra_span(&a->names, a->set_keyspace);

	if (keyspace.bytes) {
		cassandra->keyspace.length = 0;
		buffer_append(&cassandra->keyspace, keyspace.bytes,
			      keyspace.length);
	}
	if (a->kind == KIND_PREPARED && a->place == TELL_NOTHING &&
	    a->request && a->request->opcode == CQL_PREPARE && a->id_length)
		remember(cassandra);
}
