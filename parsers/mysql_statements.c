/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql_statements.c - the prepared statements of a connection, bounded.
 *
 * STATEMENTS_MAX of them, STATEMENTS_BYTES_MAX in all; the longest unused goes
 * first.  What was forgotten is executed as an unknown statement.
 */
#include "parsers/mysql.h"

#include <stdlib.h>

#define LAST_PREPARED 0xffffffffu /* MariaDB: the id of the last prepared */

struct statements {
	struct statement *slots[STATEMENTS_MAX];
	size_t count;
	uint64_t uses;
	uint32_t last_id;
};

static void free_statement(struct statement *statement)
{
	buffer_free(&statement->text);
	buffer_free(&statement->types);
	mysql_columns_free(&statement->columns);
	for (unsigned i = 0; i < LONG_DATA_MAX; i++)
		buffer_free(&statement->long_data[i].bytes);
	free(statement);
}

static size_t statement_bytes(const struct statement *statement)
{
	return sizeof(*statement) + statement->text.room +
	       statement->types.room + mysql_columns_bytes(&statement->columns);
}

static size_t find_slot(const struct statements *all, uint32_t id)
{
	size_t slot = 0;

	while (slot < all->count && all->slots[slot]->id != id)
		slot++;
	return slot;
}

static void free_slot(struct statements *all, size_t slot)
{
	free_statement(all->slots[slot]);
	all->slots[slot] = all->slots[--all->count];
}

struct statement *mysql_statement_find(struct mysql *my, uint32_t id)
{
	struct statements *all = my->statements;
	size_t slot;

	if (!all)
		return NULL;
	slot = find_slot(all, id == LAST_PREPARED ? all->last_id : id);
	if (slot == all->count)
		return NULL;
	all->slots[slot]->used = ++all->uses;
	return all->slots[slot];
}

/* Room for one more, within both bounds. */
static void make_room(struct statements *all)
{
	for (;;) {
		size_t bytes = 0, oldest = 0;

		for (size_t i = 0; i < all->count; i++) {
			bytes += statement_bytes(all->slots[i]);
			if (all->slots[i]->used < all->slots[oldest]->used)
				oldest = i;
		}
		if (!all->count || (all->count < STATEMENTS_MAX &&
				    bytes < STATEMENTS_BYTES_MAX))
			return;
		free_slot(all, oldest);
	}
}

struct statement *mysql_statement_add(struct mysql *my, uint32_t id,
				      const struct command *prepare)
{
	struct statements *all = my->statements;
	struct statement *statement;

	if (!all)
		all = my->statements = calloc(1, sizeof(*all));
	if (!all)
		return NULL;
	mysql_statement_forget(my, id);
	make_room(all);
	statement = calloc(1, sizeof(*statement));
	if (!statement)
		return NULL;
	statement->id = all->last_id = id;
	statement->used = ++all->uses;
	statement->cut = prepare->text_cut;
	/* Half a statement, its end lost, would name the wrong things. */
	statement->known = !(prepare->damaged && prepare->text_cut) &&
			   buffer_append(&statement->text, prepare->text.bytes,
					 prepare->text.length);
	all->slots[all->count++] = statement;
	return statement;
}

void mysql_statement_forget(struct mysql *my, uint32_t id)
{
	struct statements *all = my->statements;
	size_t slot;

	if (!all)
		return;
	slot = find_slot(all, id == LAST_PREPARED ? all->last_id : id);
	if (slot < all->count)
		free_slot(all, slot);
}

void mysql_statements_clear(struct mysql *my)
{
	struct statements *all = my->statements;

	while (all && all->count)
		free_slot(all, 0);
	free(all);
	my->statements = NULL;
}

void mysql_statement_reset(struct statement *statement)
{
	for (unsigned i = 0; i < statement->long_count; i++)
		buffer_reset(&statement->long_data[i].bytes);
	statement->long_count = 0;
}

void mysql_statements_unbind(struct mysql *my)
{
	struct statements *all = my->statements;

	for (size_t i = 0; all && i < all->count; i++) {
		mysql_statement_reset(all->slots[i]);
		all->slots[i]->types.length = 0;
	}
}

static void copy_buffer(struct buffer *to, const struct buffer *from)
{
	to->length = 0;
	buffer_append(to, from->bytes, from->length);
}

static void copy_columns(struct columns *to, const struct columns *from)
{
	copy_buffer(&to->names, &from->names);
	copy_buffer(&to->pieces, &from->pieces);
	copy_buffer(&to->codes, &from->codes);
	memcpy(to->origins, from->origins, sizeof(to->origins));
	to->origin_count = from->origin_count;
	to->total = from->total;
	to->set_total = from->set_total;
	to->set_first = from->set_first;
}

void mysql_statement_define(struct mysql *my, struct statement *statement)
{
	copy_columns(&statement->columns, &my->columns);
}

void mysql_statement_recall(struct mysql *my, struct statement *statement)
{
	copy_columns(&my->columns, &statement->columns);
}
