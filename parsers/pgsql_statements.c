/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgsql_statements.c - prepared statements, portals, and their columns.
 *
 * Tables by name, latest used first, bounded; what was forgotten is executed
 * as an unknown statement.  A request holds what it was sent with, whatever a
 * later one does to the name.
 */
#include "parsers/pgsql.h"

#include <stdlib.h>
#include <utlist.h>

bool pgsql_keep(struct pgsql *pg, struct buffer *buffer, const void *bytes,
		size_t length)
{
	size_t room = buffer->room;
	bool kept = buffer_append(buffer, bytes, length);

	pg->held_bytes += buffer->room - room;
	return kept;
}

static void release(struct pgsql *pg, struct buffer *buffer)
{
	pg->held_bytes -= buffer->room;
	buffer_free(buffer);
}

static size_t columns_bytes(const struct columns *columns)
{
	return columns->names.room + columns->list.room;
}

struct statement *pgsql_statement_new(struct pgsql *pg, struct span name)
{
	struct statement *statement = calloc(1, sizeof(*statement));

	if (!statement)
		return NULL;
	statement->references = 1;
	statement->epoch = pg->epoch;
	pg->held_bytes += sizeof(*statement);
	if (pgsql_keep(pg, &statement->name, name.bytes, name.length))
		return statement;
	pgsql_statement_drop(pg, statement);
	return NULL;
}

void pgsql_statement_drop(struct pgsql *pg, struct statement *statement)
{
	if (!statement || --statement->references)
		return;
	release(pg, &statement->name);
	release(pg, &statement->text);
	release(pg, &statement->types);
	pgsql_columns_free(&statement->columns);
	pg->held_bytes -= sizeof(*statement);
	free(statement);
}

struct statement *pgsql_statement_hold(struct statement *statement)
{
	if (statement)
		statement->references++;
	return statement;
}

static bool is_named(const struct buffer *buffer, struct span name)
{
	return buffer->length == name.length &&
	       (!name.length ||
		!memcmp(buffer->bytes, name.bytes, name.length));
}

void pgsql_statement_unlist(struct pgsql *pg, struct statement *statement)
{
	if (!statement || !statement->listed)
		return;
	DL_DELETE2(pg->statements, statement, previous, next);
	statement->listed = false;
	pg->statement_count--;
	pgsql_statement_drop(pg, statement);
}

static size_t statement_bytes(const struct statement *statement)
{
	return sizeof(*statement) + statement->name.room +
	       statement->text.room + statement->types.room +
	       columns_bytes(&statement->columns);
}

void pgsql_statement_list(struct pgsql *pg, struct statement *statement)
{
	struct span name = buffer_span(&statement->name);
	struct statement *each = pgsql_statement_find(pg, name);
	size_t bytes = 0;

	statement->replaces = each != NULL;
	pgsql_statement_unlist(pg, each);
	DL_PREPEND2(pg->statements, statement, previous, next);
	statement->listed = true;
	pg->statement_count++;
	pgsql_statement_hold(statement);
	DL_FOREACH2(pg->statements, each, next)
		bytes += statement_bytes(each);
	while (pg->statement_count > PGSQL_STATEMENTS_MAX ||
	       (bytes > PGSQL_STATEMENTS_BYTES_MAX &&
		pg->statement_count > 1)) {
		each = pg->statements->previous;
		bytes -= statement_bytes(each);
		pgsql_statement_unlist(pg, each);
	}
}

struct statement *pgsql_statement_find(struct pgsql *pg, struct span name)
{
	struct statement *each;

	DL_FOREACH2(pg->statements, each, next)
		if (is_named(&each->name, name))
			break;
	if (each && each != pg->statements) {
		DL_DELETE2(pg->statements, each, previous, next);
		DL_PREPEND2(pg->statements, each, previous, next);
	}
	return each;
}

struct portal *pgsql_portal_new(struct pgsql *pg, struct span name)
{
	struct portal *portal = calloc(1, sizeof(*portal));

	if (!portal)
		return NULL;
	portal->references = 1;
	pg->held_bytes += sizeof(*portal);
	if (pgsql_keep(pg, &portal->name, name.bytes, name.length))
		return portal;
	pgsql_portal_drop(pg, portal);
	return NULL;
}

void pgsql_portal_drop(struct pgsql *pg, struct portal *portal)
{
	if (!portal || --portal->references)
		return;
	release(pg, &portal->name);
	release(pg, &portal->values);
	release(pg, &portal->formats);
	pgsql_statement_drop(pg, portal->statement);
	pgsql_columns_free(&portal->columns);
	pg->held_bytes -= sizeof(*portal);
	free(portal);
}

struct portal *pgsql_portal_hold(struct portal *portal)
{
	if (portal)
		portal->references++;
	return portal;
}

void pgsql_portal_unlist(struct pgsql *pg, struct portal *portal)
{
	if (!portal || !portal->listed)
		return;
	DL_DELETE2(pg->portals, portal, previous, next);
	portal->listed = false;
	pg->portal_count--;
	pgsql_portal_drop(pg, portal);
}

void pgsql_portal_list(struct pgsql *pg, struct portal *portal)
{
	struct span name = buffer_span(&portal->name);

	pgsql_portal_unlist(pg, pgsql_portal_find(pg, name));
	DL_PREPEND2(pg->portals, portal, previous, next);
	portal->listed = true;
	pg->portal_count++;
	pgsql_portal_hold(portal);
	if (pg->portal_count > PGSQL_PORTALS_MAX)
		pgsql_portal_unlist(pg, pg->portals->previous);
}

struct portal *pgsql_portal_find(struct pgsql *pg, struct span name)
{
	struct portal *each;

	DL_FOREACH2(pg->portals, each, next)
		if (is_named(&each->name, name))
			break;
	return each;
}

void pgsql_forget_all(struct pgsql *pg)
{
	while (pg->portals)
		pgsql_portal_unlist(pg, pg->portals);
	while (pg->statements)
		pgsql_statement_unlist(pg, pg->statements);
}

void pgsql_forget_changed(struct pgsql *pg)
{
	struct span none = { "", 0 };

	while (pg->portals)
		pgsql_portal_unlist(pg, pg->portals);
	pgsql_statement_unlist(pg, pgsql_statement_find(pg, none));
	pg->epoch++;
	pg->unseen = true;
}

void pgsql_doubt_names(struct pgsql *pg)
{
	if (pg->unseen)
		pg->epoch_known = pg->epoch;
}

bool pgsql_is_current(const struct pgsql *pg,
		      const struct statement *statement)
{
	return statement->epoch >= pg->epoch_known;
}

void pgsql_columns_clear(struct columns *columns)
{
	buffer_reset(&columns->names);
	buffer_reset(&columns->list);
	columns->total = 0;
	columns->set_first = 0;
	columns->known = false;
}

void pgsql_columns_free(struct columns *columns)
{
	buffer_free(&columns->names);
	buffer_free(&columns->list);
}

void pgsql_columns_copy(struct columns *to, const struct columns *from)
{
	pgsql_columns_clear(to);
	if (!buffer_append(&to->names, from->names.bytes, from->names.length) ||
	    !buffer_append(&to->list, from->list.bytes, from->list.length))
		return;
	to->total = from->total;
	to->set_first = from->set_first;
	to->known = from->known;
}

size_t pgsql_column_count(const struct columns *columns)
{
	return columns->list.length / sizeof(struct column);
}

const struct column *pgsql_column(const struct columns *columns, size_t index)
{
	if (index >= pgsql_column_count(columns))
		return NULL;
	return (const struct column *)columns->list.bytes + index;
}

/* Fields of a RowDescription behind a column's name, in bytes. */
#define COLUMN_TABLE_BYTES 6 /* its table's OID, its number there */

void pgsql_columns_read(struct columns *columns, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	uint64_t count = cursor_uint_be(&c, 2);

	columns->set_first = pgsql_column_count(columns);
	columns->total += count;
	columns->known = true;
	for (uint64_t i = 0; i < count; i++) {
		struct span name = cursor_nul_string(&c);
		struct column column = { .type = 0 };

		cursor_take(&c, COLUMN_TABLE_BYTES);
		column.type = (uint32_t)cursor_uint_be(&c, 4);
		cursor_take(&c, 6); /* its length and modifier */
		column.binary = cursor_uint_be(&c, 2) == 1;
		if (c.bad || pgsql_column_count(columns) >= PGSQL_COLUMNS_MAX)
			return;
		if (name.length <= PGSQL_NAMES_BYTES - columns->names.length) {
			column.name = (struct text_piece){
				(uint32_t)columns->names.length,
				(uint32_t)name.length };
			if (!buffer_append(&columns->names, name.bytes,
					   name.length))
				return;
		}
		if (!buffer_append(&columns->list, &column, sizeof(column)))
			return;
	}
}
