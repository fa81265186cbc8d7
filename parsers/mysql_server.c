/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql_server.c - the server's messages: the response to the first command.
 *
 * What a message is follows from its first byte, its length and what came
 * before, never from the capabilities alone: they are not known when the
 * tracer starts in mid-connection, and proxies answer otherwise than they
 * said.  An EOF (0xfe, shorter than 7 bytes) and an OK in its place (0xfe, 7
 * and more) tell each other apart.
 */
#include "parsers/mysql.h"

#include <stdlib.h>

#define EOF_LENGTH_MAX 6	 /* an OK has 7 bytes at least */
#define ERROR_PROGRESS 0xffff	 /* MariaDB's report of progress, no error */
#define ERROR_BYTES_MAX 1024	 /* of an error's text kept; servers send 512 */
#define TRACK_SCHEMA 1
#define COLUMN_FIXED_BYTES 12 /* behind the names of a definition */

void mysql_response_reset(struct mysql *my)
{
	struct response *response = &my->response;
	struct buffer error = response->error;

	buffer_reset(&error);
	*response = (struct response){
		.error = error,
		.status = -1,
		.rows = -1,
		.affected = -1,
	};
	mysql_columns_clear(&my->columns);
}

/* Session-track data at the end of an OK: is there a new database in it? */
static void read_session_track(struct mysql *my, struct cursor c)
{
	struct span all;

	cursor_string(&c); /* info */
	all = cursor_string(&c);
	if (c.bad)
		return;
	c = cursor_of((const uint8_t *)all.bytes, all.length);
	while (cursor_left(&c) && !c.bad) {
		uint64_t type = cursor_uint(&c, 1);
		struct span data = cursor_string(&c);

		if (!c.bad && type == TRACK_SCHEMA) {
			struct cursor d = cursor_of(
				(const uint8_t *)data.bytes, data.length);
			struct span name = cursor_string(&d);

			if (!d.bad)
				mysql_set_namespace(my, name.bytes,
						    name.length);
		}
	}
}

/* A login has succeeded: its database is the current one from now on. */
static void end_login(struct mysql *my, const struct command *login)
{
	const struct piece_of *pieces =
		(const struct piece_of *)login->pieces.bytes;

	if (!login->damaged && login->pieces.length >= 2 * sizeof(*pieces))
		mysql_set_namespace(my, pieces[1].length ?
					login->values.bytes + pieces[1].at :
					NULL, pieces[1].length);
	if (login->code == COMMAND_LOGIN)
		mysql_frames_agreed(my);
}

static void end_response(struct mysql *my)
{
	struct command *head = mysql_head(my);

	if (!my->response.failed) {
		my->response.status = 0;
		if (head->code == COMMAND_LOGIN ||
		    head->code == COM_CHANGE_USER)
			end_login(my, head);
		if (head->code == COM_INIT_DB)
			mysql_set_namespace(my, head->text.bytes,
					    head->text.length);
	}
	mysql_align_end(my);
}

/* A result set or an OK is complete; do others follow? */
static void end_result(struct mysql *my, uint16_t status)
{
	my->status = status;
	my->response.results++;
	if (status & STATUS_MORE_RESULTS)
		my->response.phase = PHASE_FIRST;
	else
		end_response(my);
}

/* An OK packet, 0x00 or, ending a result set, 0xfe. */
static void read_ok(struct mysql *my, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	bool ends_rows = cursor_uint(&c, 1) == 0xfe;
	uint64_t affected = cursor_lenenc(&c), insert_id;
	uint16_t status, warnings;

	insert_id = cursor_lenenc(&c);
	status = (uint16_t)cursor_uint(&c, 2);
	warnings = (uint16_t)cursor_uint(&c, 2);
	if (!c.bad) {
		my->response.warnings = warnings;
		if (insert_id)
			my->response.insert_id = insert_id;
	}
	if (!c.bad && status & STATUS_SESSION_CHANGED)
		read_session_track(my, c);
	if (!c.bad && !ends_rows && affected <= INT64_MAX) {
		if (my->response.affected < 0)
			my->response.affected = 0;
		my->response.affected += (int64_t)affected;
	}
	end_result(my, c.bad ? 0 : status);
}

static uint16_t eof_status(const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);

	cursor_uint(&c, 3); /* 0xfe, warnings */
	return (uint16_t)cursor_uint(&c, 2);
}

static uint64_t eof_warnings(const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);

	cursor_uint(&c, 1);
	return cursor_uint(&c, 2);
}

static bool is_eof(const struct message *message)
{
	return message->kept && message->bytes[0] == 0xfe &&
	       message->length <= EOF_LENGTH_MAX;
}

static bool is_progress(const struct message *message)
{
	return message->kept >= 3 && message->bytes[0] == 0xff &&
	       message->bytes[1] == 0xff && message->bytes[2] == 0xff;
}

/* EOF, or OK with the EOF's first byte: the end of rows or definitions. */
static void read_end(struct mysql *my, const struct message *message)
{
	if (!is_eof(message)) {
		read_ok(my, message);
		return;
	}
	my->response.warnings = eof_warnings(message);
	end_result(my, eof_status(message));
}

static void read_error(struct mysql *my, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct response *response = &my->response;
	size_t length;

	cursor_uint(&c, 1);
	response->failed = true;
	response->status = (int64_t)cursor_uint(&c, 2);
	if (cursor_left(&c) >= 6 && *c.at == '#') {
		cursor_uint(&c, 1);
		memcpy(response->sqlstate, cursor_take(&c, 5), 5);
		response->has_sqlstate = true;
	}
	length = cursor_left(&c);
	if (length > ERROR_BYTES_MAX)
		length = ERROR_BYTES_MAX;
	buffer_append(&response->error, c.at, length);
	if (!response->results)
		response->results = 1;
	end_response(my);
}

/* Text into the columns' names; length 0 when they are full. */
static struct piece_of keep_name(struct columns *columns, struct span name)
{
	struct piece_of piece = { .at = (uint32_t)columns->names.length };

	if (columns->names.length + name.length <= COLUMN_NAMES_BYTES &&
	    buffer_append(&columns->names, name.bytes, name.length))
		piece.length = (uint32_t)name.length;
	return piece;
}

static bool piece_is(const struct columns *columns, struct piece_of piece,
		     struct span name)
{
	return piece.length == name.length &&
	       (!name.length || !memcmp(columns->names.bytes + piece.at,
					name.bytes, name.length));
}

static void keep_origin(struct columns *columns, struct span schema,
			struct span table)
{
	struct origin *origin = columns->origins;

	for (size_t i = 0; i < columns->origin_count; i++, origin++)
		if (piece_is(columns, origin->table, table) &&
		    piece_is(columns, origin->schema, schema))
			return;
	if (columns->origin_count == EXCHANGE_TARGETS_MAX)
		return;
	origin->schema = keep_name(columns, schema);
	origin->table = keep_name(columns, table);
	if (origin->table.length)
		columns->origin_count++;
}

/* "table.column" of origin, or the alias when there is no origin. */
static void keep_column(struct columns *columns, struct span table,
			struct span column, struct span alias)
{
	struct piece_of name, tail;

	if (columns->pieces.length / sizeof(name) >= EXCHANGE_COLUMNS_MAX)
		return;
	if (!table.length || !column.length) {
		name = keep_name(columns, alias);
		name.alias = 1;
	} else {
		name = keep_name(columns, table);
		keep_name(columns, (struct span){ ".", 1 });
		tail = keep_name(columns, column);
		name.length = tail.length ?
			tail.at + tail.length - name.at : 0u;
	}
	buffer_append(&columns->pieces, &name, sizeof(name));
}

/* A column definition of protocol 4.1; `types` false: names alone. */
static void read_definition(struct mysql *my, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct columns *columns = &my->columns;
	struct span schema, table, alias, column;
	uint16_t code, flags;

	cursor_string(&c); /* catalog */
	schema = cursor_string(&c);
	cursor_string(&c); /* table's alias */
	table = cursor_string(&c);
	alias = cursor_string(&c);
	column = cursor_string(&c);
	columns->total++;
	columns->set_total++;
	if (c.bad)
		return;
	/* MariaDB's extended type names, when what follows isn't the rest. */
	if (my->capabilities_known ?
	    my->capabilities & MARIADB_EXTENDED_TYPES :
	    *message->bytes && cursor_left(&c) > COLUMN_FIXED_BYTES + 1 &&
	    (*c.at != COLUMN_FIXED_BYTES ||
	     c.at[*c.at + 1] == COLUMN_FIXED_BYTES))
		cursor_string(&c);
	cursor_lenenc(&c); /* 12: length of what follows */
	cursor_uint(&c, 2);
	cursor_uint(&c, 4);
	code = (uint16_t)cursor_uint(&c, 1);
	flags = (uint16_t)cursor_uint(&c, 2);
	if (flags & 0x20)
		code |= CODE_UNSIGNED;
	keep_column(columns, table, column, alias);
	if (table.length)
		keep_origin(columns, schema, table);
	if (columns->codes.length / sizeof(code) < COLUMN_TYPES_MAX)
		buffer_append(&columns->codes, &code, sizeof(code));
}

static void begin_set(struct mysql *my)
{
	struct columns *columns = &my->columns;

	columns->set_first = columns->pieces.length / sizeof(struct piece_of);
	columns->set_total = 0;
	columns->codes.length = 0;
}

/* The definitions are read: the exchange's columns are known. */
static void begin_rows(struct mysql *my)
{
	struct command *head = mysql_head(my);
	struct statement *statement;

	my->response.phase = PHASE_ROWS;
	if (my->response.rows < 0)
		my->response.rows = 0;
	if (head->code == COM_STMT_EXECUTE) {
		statement = mysql_statement_find(my, head->statement_id);
		if (statement)
			mysql_statement_define(my, statement);
	}
	if (my->observer && my->observer->value)
		mysql_describe(my);
}

/*
 * The number of columns, and whether their definitions follow: a byte behind
 * it from MariaDB, before it from MySQL.
 */
static void read_column_count(struct mysql *my, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	uint64_t count = cursor_lenenc(&c), first = count;
	bool follow = true;
	struct statement *statement;

	if (cursor_left(&c) && !c.bad) {
		uint64_t second = cursor_lenenc(&c);

		if (first > 1) {
			follow = second != 0;
		} else if (second) {
			follow = first != 0;
			count = second;
		} else {
			follow = false;
		}
	}
	begin_set(my);
	my->response.binary = false;
	my->response.binary_known = mysql_head(my)->code != COMMAND_UNKNOWN;
	if (mysql_head(my)->code == COM_STMT_EXECUTE ||
	    mysql_head(my)->code == COM_STMT_BULK_EXECUTE)
		my->response.binary = true;
	my->response.phase = PHASE_DEFINITIONS;
	my->response.definitions_left = count;
	if (follow && count)
		return;
	statement = mysql_statement_find(my, mysql_head(my)->statement_id);
	if (statement && mysql_head(my)->code != COM_QUERY)
		mysql_statement_recall(my, statement);
	my->response.phase = PHASE_METADATA_END;
}

/* COM_STMT_PREPARE's OK: an id, and how many definitions follow. */
static void read_prepared(struct mysql *my, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct response *response = &my->response;
	struct statement *statement;
	uint64_t columns;

	cursor_uint(&c, 1);
	response->statement_id = (uint32_t)cursor_uint(&c, 4);
	columns = cursor_uint(&c, 2);
	response->parameters_left = cursor_uint(&c, 2);
	cursor_uint(&c, 3); /* filler, warnings */
	response->results = 1;
	if (c.bad) {
		end_response(my);
		return;
	}
	if (cursor_left(&c) && !*c.at)
		columns = response->parameters_left = 0;
	response->parameter_count = (uint16_t)response->parameters_left;
	response->definitions_left = response->parameters_left + columns;
	statement = mysql_statement_add(my, response->statement_id,
					mysql_head(my));
	if (statement) {
		struct cursor count = cursor_of(message->bytes + 7, 2);

		statement->parameters = (uint16_t)cursor_uint(&count, 2);
	}
	begin_set(my);
	response->phase = PHASE_PREPARED;
	if (!response->definitions_left)
		end_response(my);
}

static void end_prepared(struct mysql *my)
{
	struct statement *statement =
		mysql_statement_find(my, my->response.statement_id);

	if (statement)
		mysql_statement_define(my, statement);
	end_response(my);
}

/*
 * Definitions of parameters, then of columns; each group may end in an EOF.
 * Where it is not known whether it does, the last group's EOF is awaited by
 * nobody and swallowed when it comes.
 */
static void read_prepared_definition(struct mysql *my,
				     const struct message *message)
{
	struct response *response = &my->response;

	if (is_eof(message)) {
		my->eof_mode = EOF_CLASSIC;
		if (!response->definitions_left)
			end_prepared(my);
		return;
	}
	if (!response->definitions_left) {
		end_prepared(my);
		return;
	}
	response->definitions_left--;
	if (response->parameters_left)
		response->parameters_left--;
	else
		read_definition(my, message);
	if (response->definitions_left || my->eof_mode == EOF_CLASSIC)
		return;
	if (my->eof_mode == EOF_UNKNOWN)
		my->stray_eof = true;
	end_prepared(my);
}

/* LOGIN and CHANGE_USER: until OK or an error all is talk of plugins. */
static void read_auth(struct mysql *my, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);

	my->response.results = 0;
	if (message->bytes[0] == 0x00) {
		read_ok(my, message);
	} else if (cursor_uint(&c, 1) == 0xfe && cursor_left(&c)) {
		/* An AuthSwitchRequest; its data is the server's scramble. */
		mysql_set_plugin(my->switched, cursor_nul_string(&c));
	}
}

static void read_field_list(struct mysql *my, const struct message *message)
{
	if (message->bytes[0] == 0xfe)
		read_end(my, message);
	else
		read_definition(my, message);
}

/* An event behind an OK byte: counted, not read.  An EOF ends the log. */
static void read_event(struct mysql *my, const struct message *message)
{
	if (is_eof(message))
		read_end(my, message);
	else
		my->response.events++;
}

/* The first message of a response, or of a further result. */
static void read_first(struct mysql *my, const struct message *message)
{
	struct command *head = mysql_head(my);
	uint8_t first = message->bytes[0];

	switch (head->code) {
	case COMMAND_LOGIN:
	case COM_CHANGE_USER:
		read_auth(my, message);
		return;
	case COM_FIELD_LIST:
		read_field_list(my, message);
		return;
	case COM_STATISTICS:
		my->response.results = 1;
		end_response(my);
		return;
	case COM_STMT_PREPARE:
		read_prepared(my, message);
		return;
	case COM_BINLOG_DUMP:
	case COM_BINLOG_DUMP_GTID:
	case COM_TABLE_DUMP:
		my->response.phase = PHASE_EVENTS;
		read_event(my, message);
		return;
	}
	if (first == 0x00 && message->length != 2)
		read_ok(my, message);
	else if (first == 0xfe)
		read_end(my, message);
	else if (first == 0xfb)
		my->response.phase = PHASE_FILE;
	else
		read_column_count(my, message);
}

static void read_row(struct mysql *my, const struct message *message)
{
	struct response *response = &my->response;

	response->rows++;
	if (!response->binary_known && message->kept == message->length) {
		response->binary = !mysql_row_is_text(my, message->bytes,
						      message->kept);
		response->binary_known = true;
	}
	if (mysql_head(my)->bulk_flags & BULK_UNIT_RESULTS)
		mysql_unit_values(my, message);
	if (my->observer && my->observer->value)
		mysql_row_values(my, message);
}

static void read_row_or_end(struct mysql *my, const struct message *message)
{
	if (message->bytes[0] == 0xfe && message->length < MYSQL_PACKET_MAX)
		read_end(my, message);
	else
		read_row(my, message);
}

static void read_metadata_end(struct mysql *my, const struct message *message)
{
	if (!is_eof(message)) {
		if (my->eof_mode == EOF_UNKNOWN)
			my->eof_mode = EOF_DEPRECATED;
		begin_rows(my);
		read_row_or_end(my, message);
		return;
	}
	my->eof_mode = EOF_CLASSIC;
	begin_rows(my);
	if (eof_status(message) & STATUS_CURSOR_EXISTS)
		end_result(my, eof_status(message));
}

/* COM_STMT_FETCH has rows alone, of columns defined by the execution. */
static void begin_fetch(struct mysql *my)
{
	struct command *head = mysql_head(my);
	struct statement *statement =
		mysql_statement_find(my, head->statement_id);

	begin_set(my);
	if (statement)
		mysql_statement_recall(my, statement);
	my->response.binary = my->response.binary_known = true;
	begin_rows(my);
}

/* Bytes that only count: the rest of a message whose start was lost. */
static void read_headless(struct mysql *my)
{
	struct response *response = &my->response;

	switch (response->phase) {
	case PHASE_ROWS:
		response->rows++;
		break;
	case PHASE_EVENTS:
		response->events++;
		break;
	case PHASE_DEFINITIONS:
		my->columns.total++;
		my->columns.set_total++;
		if (!--response->definitions_left)
			response->phase = PHASE_METADATA_END;
		break;
	case PHASE_PREPARED:
		if (response->definitions_left)
			response->definitions_left--;
		if (response->parameters_left)
			response->parameters_left--;
		if (!response->definitions_left &&
		    my->eof_mode != EOF_CLASSIC)
			end_prepared(my);
		break;
	case PHASE_METADATA_END:
		begin_rows(my);
		break;
	default:
		/* What the response is was in those bytes. */
		mysql_align_end(my);
	}
}

static void read_message(struct mysql *my, const struct message *message)
{
	struct response *response = &my->response;

	if (!message->kept) {
		/* An empty packet: a row of no columns does not exist. */
		if (message->holed)
			read_headless(my);
		return;
	}
	if (is_progress(message))
		return;
	if (message->bytes[0] == 0xff) {
		read_error(my, message);
		return;
	}
	switch (response->phase) {
	case PHASE_FIRST:
	case PHASE_FILE:
		read_first(my, message);
		break;
	case PHASE_DEFINITIONS:
		read_definition(my, message);
		if (!--response->definitions_left)
			response->phase = PHASE_METADATA_END;
		break;
	case PHASE_METADATA_END:
		read_metadata_end(my, message);
		break;
	case PHASE_ROWS:
		read_row_or_end(my, message);
		break;
	case PHASE_EVENTS:
		read_event(my, message);
		break;
	case PHASE_PREPARED:
		read_prepared_definition(my, message);
		break;
	}
}

/* The server's greeting, seen on a connection that is not encrypted. */
static void read_greeting(struct mysql *my, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	uint64_t low;

	my->greeted = true;
	if (cursor_uint(&c, 1) != 10)
		return;
	cursor_nul_string(&c);
	cursor_take(&c, 4 + 8 + 1);
	low = cursor_uint(&c, 2);
	cursor_uint(&c, 3);
	low |= cursor_uint(&c, 2) << 16;
	cursor_take(&c, 1 + 6);
	my->server_capabilities = low;
	if (!(low & CLIENT_MYSQL))
		my->server_capabilities |= cursor_uint(&c, 4) << 32;
	if (c.bad)
		my->server_capabilities = UINT64_MAX;
	mysql_agree(my);
}

/* An error before the client has spoken answers its connecting. */
static struct command *push_refused(struct mysql *my,
				    const struct message *message)
{
	struct command *command = mysql_push(my);

	if (!command)
		return NULL;
	command->code = COMMAND_CONNECT;
	command->answer_sequence = message->first_sequence;
	command->start_ns = command->sent_ns = message->first_ns;
	command->tid = message->tid;
	return command;
}

void mysql_server_message(struct mysql *my, const struct message *message)
{
	struct response *response = &my->response;
	struct command *head = mysql_head(my);

	my->response_lost = false;
	if (!response->started && my->stray_eof) {
		my->stray_eof = false;
		if (is_eof(message) && message->first_sequence > 1) {
			my->eof_mode = EOF_CLASSIC;
			return;
		}
	}
	if (!head && message->kept && message->bytes[0] == 0xff &&
	    !my->commanded)
		head = push_refused(my, message);
	if (!head) {
		if (message->kept && message->bytes[0] == 10)
			read_greeting(my, message);
		return;
	}
	if (!message->first_sequence && !my->greeted && message->kept &&
	    message->bytes[0] == 10 && !response->started) {
		read_greeting(my, message);
		return;
	}
	if (!response->started) {
		response->started = true;
		response->first_ns = message->first_ns;
		if (head->code == COM_STMT_FETCH)
			begin_fetch(my);
	}
	response->bytes += message->wire_bytes;
	response->last_ns = message->last_ns;
	head->damaged |= message->holed;
	head->missed += message->missed;
	read_message(my, message);
}
