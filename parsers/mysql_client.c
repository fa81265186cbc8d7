/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql_client.c - the client's messages: logins, commands, their parts.
 *
 * Each message becomes a command at the queue's end, or belongs to the last
 * one.  Passwords and scrambles are stepped over and kept nowhere.
 */
#include "parsers/mysql.h"

#define BINLOG_NAME_MAX 512 /* bytes of a file's name, FN_REFLEN */

static bool is_statement_command(uint8_t code)
{
	return code == COM_STMT_EXECUTE || code == COM_STMT_SEND_LONG_DATA ||
	       code == COM_STMT_CLOSE || code == COM_STMT_RESET ||
	       code == COM_STMT_FETCH || code == COM_STMT_BULK_EXECUTE;
}

bool mysql_client_must_wait(struct mysql *my, const uint8_t *packet,
			    size_t length)
{
	struct command *command;

	/* One place stays free for a response without a request. */
	if (my->command_count >= COMMANDS_MAX - 1)
		return true;
	if (mysql_frames_pending(my))
		return true;
	/* A statement's parameters are known when its prepare is answered. */
	if (length <= MYSQL_HEADER_BYTES || my->response_lost || packet[3] ||
	    !is_statement_command(packet[MYSQL_HEADER_BYTES]))
		return false;
	for (size_t i = 0; (command = mysql_command_at(my, i)); i++)
		if (command->code == COM_STMT_PREPARE)
			return true;
	return false;
}

static void keep_text(struct command *command, const uint8_t *bytes,
		      size_t length, const struct message *message)
{
	if (length > STATEMENT_BYTES_MAX) {
		length = STATEMENT_BYTES_MAX;
		command->text_cut = true;
	}
	command->text.length = 0;
	command->text_known = buffer_append(&command->text, bytes, length);
	if (message->kept < message->length || message->holed)
		command->text_cut = true;
}

/* User and database, one piece each: pieces[0], pieces[1]. */
static void keep_login(struct command *command, struct span user,
		       struct span database)
{
	const struct span names[2] = { user, database };

	for (int i = 0; i < 2; i++) {
		struct piece_of piece = {
			.at = (uint32_t)command->values.length,
			.length = (uint32_t)names[i].length & INT32_MAX,
		};

		if (!buffer_append(&command->values, names[i].bytes,
				   names[i].length))
			piece.length = 0;
		buffer_append(&command->pieces, &piece, sizeof(piece));
	}
}

/* Steps over the answer to the server's scramble. */
static void skip_auth(struct cursor *c, uint64_t capabilities)
{
	if (capabilities & CLIENT_LENENC_AUTH)
		cursor_string(c);
	else if (capabilities & CLIENT_SECURE_CONNECTION)
		cursor_take(c, cursor_uint(c, 1));
	else
		cursor_nul_string(c);
}

void mysql_agree(struct mysql *my)
{
	if (my->greeted && my->capabilities_known)
		my->capabilities &= my->server_capabilities;
	if (my->capabilities_known)
		my->eof_mode = my->capabilities & CLIENT_DEPRECATE_EOF ?
			EOF_DEPRECATED : EOF_CLASSIC;
}

/* What comes from a peer and does not look like a name is not one. */
void mysql_set_plugin(char plugin[PLUGIN_BYTES_MAX], struct span name)
{
	plugin[0] = '\0';
	if (!name.length || name.length >= PLUGIN_BYTES_MAX)
		return;
	for (size_t i = 0; i < name.length; i++)
		if (name.bytes[i] <= ' ' || name.bytes[i] >= 0x7f)
			return;
	memcpy(plugin, name.bytes, name.length);
	plugin[name.length] = '\0';
}

static void read_login(struct mysql *my, struct command *command,
		       const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct span user, database = { NULL, 0 };
	uint64_t capabilities = cursor_uint(&c, 2), extended;

	if (!(capabilities & CLIENT_PROTOCOL_41)) {
		cursor_take(&c, 3);
		user = cursor_nul_string(&c);
		keep_login(command, user, database);
		return;
	}
	capabilities |= cursor_uint(&c, 2) << 16;
	cursor_take(&c, 4 + 1 + 19);
	extended = cursor_uint(&c, 4);
	if (!(capabilities & CLIENT_MYSQL))
		capabilities |= extended << 32;
	if (capabilities & CLIENT_SSL && message->length == 32) {
		/* All else is encrypted. */
		my->done = true;
		return;
	}
	user = cursor_nul_string(&c);
	skip_auth(&c, capabilities);
	if (capabilities & CLIENT_CONNECT_WITH_DB)
		database = cursor_nul_string(&c);
	keep_login(command, user, database);
	if (capabilities & CLIENT_PLUGIN_AUTH)
		mysql_set_plugin(my->plugin, cursor_nul_string(&c));
	my->capabilities = capabilities;
	my->capabilities_known = !message->holed;
	mysql_agree(my);
}

/* COM_CHANGE_USER: user, scramble, database. */
static void read_change_user(struct mysql *my, struct command *command,
			     struct cursor *c)
{
	struct span user = cursor_nul_string(c);

	if (!my->capabilities_known ||
	    my->capabilities & CLIENT_SECURE_CONNECTION)
		cursor_take(c, cursor_uint(c, 1));
	else
		cursor_nul_string(c);
	keep_login(command, user, cursor_nul_string(c));
	cursor_uint(c, 2); /* character set */
	my->switched[0] = '\0';
	mysql_set_plugin(my->plugin, cursor_nul_string(c));
}

/*
 * COM_BINLOG_DUMP: the position, flags, the replica's id, the file; with _GTID
 * the file's name stands behind its length, and the position behind it.
 */
static void read_dump(struct command *command, struct cursor *c)
{
	bool gtid = command->code == COM_BINLOG_DUMP_GTID;
	struct span file;

	if (gtid)
		cursor_take(c, 2 + 4); /* flags, the replica's id */
	else
		cursor_take(c, 4 + 2 + 4);
	file = gtid ? cursor_span(c, cursor_uint(c, 4)) :
		      cursor_span(c, cursor_left(c));
	if (file.bytes && file.length <= BINLOG_NAME_MAX)
		buffer_append(&command->text, file.bytes, file.length);
}

/* SEND_LONG_DATA: a parameter's value, in pieces that add up. */
static void read_long_data(struct mysql *my, struct command *command,
			   struct cursor *c)
{
	struct statement *statement = mysql_statement_find(
		my, command->statement_id);
	uint16_t parameter = (uint16_t)cursor_uint(c, 2);
	struct long_data *data = NULL;
	size_t length = cursor_left(c);

	if (!statement || c->bad)
		return;
	for (unsigned i = 0; i < statement->long_count; i++)
		if (statement->long_data[i].parameter == parameter)
			data = &statement->long_data[i];
	if (!data) {
		if (statement->long_count == LONG_DATA_MAX)
			return;
		data = &statement->long_data[statement->long_count++];
		data->parameter = parameter;
		data->bytes.length = 0;
	}
	if (length > VALUE_BYTES_MAX - data->bytes.length)
		length = VALUE_BYTES_MAX - data->bytes.length;
	buffer_append(&data->bytes, c->at, length);
}

/* A command of the COM_STMT_ family but PREPARE; an id comes first. */
static void read_statement(struct mysql *my, struct command *command,
			   struct cursor *c, const struct message *message)
{
	struct statement *statement;

	command->statement_id = (uint32_t)cursor_uint(c, 4);
	statement = mysql_statement_find(my, command->statement_id);
	switch (command->code) {
	case COM_STMT_EXECUTE:
	case COM_STMT_BULK_EXECUTE:
		if (statement) {
			command->parameters = statement->parameters;
			command->text_cut = statement->cut;
			command->text_known = statement->known &&
				buffer_append(&command->text,
					      statement->text.bytes,
					      statement->text.length);
		}
		mysql_parameters(my, command, statement, message);
		if (statement)
			mysql_statement_reset(statement);
		break;
	case COM_STMT_FETCH:
		if (statement) {
			command->text_cut = statement->cut;
			command->text_known = statement->known &&
				buffer_append(&command->text,
					      statement->text.bytes,
					      statement->text.length);
		}
		break;
	case COM_STMT_SEND_LONG_DATA:
		read_long_data(my, command, c);
		break;
	case COM_STMT_RESET:
		if (statement)
			mysql_statement_reset(statement);
		break;
	case COM_STMT_CLOSE:
		mysql_statement_forget(my, command->statement_id);
		break;
	}
}

static void read_command(struct mysql *my, struct command *command,
			 const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);

	command->code = (unsigned)cursor_uint(&c, 1);
	if (c.bad) {
		/* Lost before its first byte: an answer will tell something. */
		command->code = COMMAND_UNKNOWN;
		return;
	}
	switch (command->code) {
	case COM_QUERY:
		mysql_query_attributes(my, command, &c);
		keep_text(command, c.at, cursor_left(&c), message);
		break;
	case COM_STMT_PREPARE:
		keep_text(command, c.at, cursor_left(&c), message);
		break;
	case COM_INIT_DB:
		buffer_append(&command->text, c.at, cursor_left(&c));
		break;
	case COM_FIELD_LIST: {
		struct span table = cursor_nul_string(&c);

		buffer_append(&command->text, table.bytes, table.length);
		break;
	}
	case COM_CHANGE_USER:
		read_change_user(my, command, &c);
		mysql_statements_clear(my);
		break;
	case COM_RESET_CONNECTION:
		mysql_statements_clear(my);
		break;
	case COM_BINLOG_DUMP:
	case COM_BINLOG_DUMP_GTID:
		read_dump(command, &c);
		break;
	default:
		if (is_statement_command((uint8_t)command->code))
			read_statement(my, command, &c, message);
	}
}

/* A further packet of the last request: of its login, of a file. */
static void continue_command(struct command *last,
			     const struct message *message)
{
	last->last_sequence = message->last_sequence;
	last->request_bytes += message->wire_bytes;
	last->missed += message->missed;
	last->damaged |= message->holed;
	if (last->code != COM_QUERY)
		return;
	last->has_file = true;
	last->file_ended = !message->length;
}

static bool is_continuation(struct mysql *my, const struct message *message)
{
	struct command *last = mysql_command_at(my, my->command_count - 1);

	if (!my->command_count)
		return false;
	return message->first_sequence ||
	       (last->has_file && !last->file_ended);
}

void mysql_client_message(struct mysql *my, const struct message *message)
{
	struct command *command;
	const struct command *last =
		mysql_command_at(my, my->command_count - 1);
	bool login = !my->commanded && message->first_sequence;
	bool crowded = last && message->first_ns &&
		       message->first_ns <= last->sent_ns;

	if (!login && is_continuation(my, message)) {
		continue_command(mysql_command_at(my, my->command_count - 1),
				 message);
		return;
	}
	my->commanded = true;
	command = mysql_push(my);
	if (!command) {
		my->client_gap = true;
		return;
	}
	command->last_sequence = message->last_sequence;
	command->answer_sequence =
		mysql_frames_answer(my, message->last_sequence);
	command->request_bytes = message->wire_bytes;
	command->start_ns = message->first_ns;
	command->sent_ns = message->sent_ns;
	command->after_gap = my->client_gap;
	if (my->client_gap)
		mysql_statements_unbind(my);
	command->tid = message->tid;
	command->missed = message->missed;
	command->damaged = message->holed;
	if (login) {
		command->code = COMMAND_LOGIN;
		read_login(my, command, message);
		if (my->done)
			mysql_pop(my);
	} else {
		read_command(my, command, message);
	}
	/* No answer will prove that it is none of a larger one's bytes. */
	command->near_gap = my->flows[SIDE_CLIENT].at_gap;
	if (command->near_gap && mysql_is_silent(command))
		command->damaged = true;
	my->flows[SIDE_CLIENT].at_gap = false;
	/* What lost its first byte may be one that gets no response. */
	command->after_gap |= command->code == COMMAND_UNKNOWN;
	if (crowded && !mysql_is_silent(command))
		my->crowded = CROWDED_RESPONSES;
	if (!mysql_is_silent(command))
		my->client_gap = command->code == COMMAND_UNKNOWN;
	mysql_report_silent(my);
}
