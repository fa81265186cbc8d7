/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql_queue.c - the ring of requests that have no answer yet.
 *
 * A slot keeps its buffers when its command goes: the next one uses them.
 */
#include "parsers/mysql.h"

#include <stdlib.h>

struct command *mysql_command_at(struct mysql *my, size_t index)
{
	if (index >= my->command_count)
		return NULL;
	return &my->commands[(my->command_first + index) &
			     (my->command_room - 1)];
}

struct command *mysql_head(struct mysql *my)
{
	return mysql_command_at(my, 0);
}

/* Doubles the ring, in order from index 0. */
static bool grow_ring(struct mysql *my)
{
	size_t room = my->command_room ? 2 * my->command_room : 4;
	struct command *commands;

	if (room > COMMANDS_MAX)
		return false;
	commands = calloc(room, sizeof(*commands));
	if (!commands)
		return false;
	/* All old slots move, free ones too: they hold buffers. */
	for (size_t i = 0; i < my->command_room; i++)
		commands[i] = my->commands[(my->command_first + i) %
					   my->command_room];
	free(my->commands);
	my->commands = commands;
	my->command_first = 0;
	my->command_room = room;
	return true;
}

static struct command *clear_command(struct command *command)
{
	struct buffer text = command->text, values = command->values;
	struct buffer pieces = command->pieces;

	buffer_reset(&text);
	buffer_reset(&values);
	buffer_reset(&pieces);
	*command = (struct command){ .text = text, .values = values,
				     .pieces = pieces };
	return command;
}

struct command *mysql_push(struct mysql *my)
{
	if (my->command_count == my->command_room && !grow_ring(my))
		return NULL;
	my->command_count++;
	return clear_command(mysql_command_at(my, my->command_count - 1));
}

struct command *mysql_push_front(struct mysql *my)
{
	if (my->command_count == my->command_room && !grow_ring(my))
		return NULL;
	my->command_first = (my->command_first + my->command_room - 1) %
			    my->command_room;
	my->command_count++;
	return clear_command(mysql_command_at(my, 0));
}

void mysql_pop(struct mysql *my)
{
	if (!my->command_count)
		return;
	clear_command(mysql_head(my));
	my->command_first = (my->command_first + 1) &
			    (my->command_room - 1);
	my->command_count--;
}

bool mysql_is_silent(const struct command *command)
{
	return command->code == COM_QUIT || command->code == COM_STMT_CLOSE ||
	       command->code == COM_STMT_SEND_LONG_DATA;
}

bool mysql_is_dump(unsigned code)
{
	return code == COM_BINLOG_DUMP || code == COM_BINLOG_DUMP_GTID ||
	       code == COM_TABLE_DUMP;
}

void mysql_report_silent(struct mysql *my)
{
	struct command *head;

	while ((head = mysql_head(my)) && mysql_is_silent(head))
		mysql_report(my);
}
