/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql_report.c - a command and its response become an exchange.
 */
#define _GNU_SOURCE /* memrchr, memmem */
#include "parsers/mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

size_t mysql_column_names(const struct columns *columns)
{
	return columns->pieces.length / sizeof(struct piece_of);
}

void mysql_columns_clear(struct columns *columns)
{
	buffer_reset(&columns->names);
	buffer_reset(&columns->pieces);
	buffer_reset(&columns->codes);
	columns->origin_count = 0;
	columns->total = columns->set_total = 0;
	columns->set_first = 0;
}

void mysql_columns_free(struct columns *columns)
{
	buffer_free(&columns->names);
	buffer_free(&columns->pieces);
	buffer_free(&columns->codes);
}

size_t mysql_columns_bytes(const struct columns *columns)
{
	return columns->names.room + columns->pieces.room +
	       columns->codes.room;
}

void mysql_set_namespace(struct mysql *my, const void *name, size_t length)
{
	my->namespace.length = 0;
	my->namespace_known = buffer_append(&my->namespace, name, length);
}

static struct span span_of(const struct buffer *buffer, struct piece_of piece)
{
	if (!piece.length)
		return (struct span){ NULL, 0 };
	return (struct span){ (const char *)buffer->bytes + piece.at,
			      piece.length };
}

static bool same_name(struct span a, struct span b)
{
	return a.length == b.length &&
	       (!a.length || !strncasecmp(a.bytes, b.bytes, a.length));
}

static struct span namespace_of(const struct mysql *my)
{
	if (!my->namespace_known || !my->namespace.length)
		return (struct span){ NULL, 0 };
	return (struct span){ (const char *)my->namespace.bytes,
			      my->namespace.length };
}

/* Names as in the protocol's documentation; codes without one: gaps. */
static const char *const command_names[] = {
	[0x00] = "COM_SLEEP",
	[COM_QUIT] = "COM_QUIT",
	[COM_INIT_DB] = "COM_INIT_DB",
	[COM_QUERY] = "COM_QUERY",
	[COM_FIELD_LIST] = "COM_FIELD_LIST",
	[0x05] = "COM_CREATE_DB",
	[0x06] = "COM_DROP_DB",
	[0x07] = "COM_REFRESH",
	[0x08] = "COM_SHUTDOWN",
	[COM_STATISTICS] = "COM_STATISTICS",
	[0x0a] = "COM_PROCESS_INFO",
	[0x0b] = "COM_CONNECT",
	[0x0c] = "COM_PROCESS_KILL",
	[0x0d] = "COM_DEBUG",
	[0x0e] = "COM_PING",
	[0x0f] = "COM_TIME",
	[0x10] = "COM_DELAYED_INSERT",
	[COM_CHANGE_USER] = "COM_CHANGE_USER",
	[COM_BINLOG_DUMP] = "COM_BINLOG_DUMP",
	[COM_TABLE_DUMP] = "COM_TABLE_DUMP",
	[0x14] = "COM_CONNECT_OUT",
	[COM_REGISTER_SLAVE] = "COM_REGISTER_SLAVE",
	[COM_STMT_PREPARE] = "PREPARE",
	[COM_STMT_EXECUTE] = "COM_STMT_EXECUTE",
	[COM_STMT_SEND_LONG_DATA] = "COM_STMT_SEND_LONG_DATA",
	[COM_STMT_CLOSE] = "COM_STMT_CLOSE",
	[COM_STMT_RESET] = "COM_STMT_RESET",
	[0x1b] = "COM_SET_OPTION",
	[COM_STMT_FETCH] = "COM_STMT_FETCH",
	[0x1d] = "COM_DAEMON",
	[COM_BINLOG_DUMP_GTID] = "COM_BINLOG_DUMP_GTID",
	[COM_RESET_CONNECTION] = "COM_RESET_CONNECTION",
	[0x20] = "COM_CLONE",
};

static const char *command_name(struct mysql *my, unsigned code)
{
	if (code == COMMAND_LOGIN)
		return "LOGIN";
	if (code == COMMAND_CONNECT)
		return "CONNECT";
	if (code == COMMAND_UNKNOWN)
		return "UNKNOWN";
	if (code == COM_STMT_BULK_EXECUTE)
		return "COM_STMT_BULK_EXECUTE";
	if (code < sizeof(command_names) / sizeof(*command_names) &&
	    command_names[code])
		return command_names[code];
	snprintf(my->unnamed, sizeof(my->unnamed), "COM_??? (0x%02x)",
		 code & 0xff);
	return my->unnamed;
}

static bool is_unsure(const struct command *head)
{
	return head->pairing == PAIRING_OPEN ||
	       head->pairing == PAIRING_UNSURE;
}

static bool is_complete(const struct command *head)
{
	return !head->damaged && !is_unsure(head);
}

static bool is_execution(unsigned code)
{
	return code == COM_STMT_EXECUTE || code == COM_STMT_BULK_EXECUTE;
}

static bool is_login(const struct command *head)
{
	return head->code == COMMAND_LOGIN || head->code == COM_CHANGE_USER;
}

/* The pieces of a login, as mysql_client.c keeps them. */
enum login_part { LOGIN_USER, LOGIN_DATABASE };

static struct span login_part(const struct command *head, enum login_part part)
{
	const struct piece_of *pieces =
		(const struct piece_of *)head->pieces.bytes;

	if (head->pieces.length / sizeof(*pieces) <= part)
		return (struct span){ NULL, 0 };
	return span_of(&head->values, pieces[part]);
}

static bool has_statement(unsigned code)
{
	return code == COM_QUERY || code == COM_STMT_PREPARE ||
	       code == COM_STMT_FETCH || is_execution(code);
}

static unsigned sql_flags(const struct mysql *my)
{
	return my->status & STATUS_NO_BACKSLASH ? SQL_NO_BACKSLASH : 0;
}

static void forget_text(struct mysql *my)
{
	sql_text_release(my->text);
	my->text = NULL;
}

/* The statement's two texts, its verb and its tables. */
static void describe_statement(struct mysql *my, const struct command *head)
{
	struct exchange *exchange = &my->exchange;

	if (!head->text.length)
		return;
	my->text = sql_text_hold(buffer_span(&head->text), sql_flags(my));
	if (!my->text)
		return;
	exchange->statement = my->text->shown;
	exchange->masked = my->text->masked;
	exchange->statement_cut = head->text_cut;
	if ((head->code == COM_QUERY || is_execution(head->code)) &&
	    my->text->description.operation[0])
		exchange->operation = my->text->description.operation;
}

/* Adds a target unless it is there. */
static void add_target(struct exchange *exchange, struct span target)
{
	for (size_t i = 0; i < exchange->target_count; i++)
		if (same_name(exchange->targets[i], target))
			return;
	if (exchange->target_count < EXCHANGE_TARGETS_MAX)
		exchange->targets[exchange->target_count++] = target;
}

/*
 * The database, when it was not seen being chosen: the statement names a table
 * without one, and a column comes from a table of that name.
 */
static void learn_namespace(struct mysql *my, size_t named)
{
	const struct columns *columns = &my->columns;

	if (my->namespace_known || !is_complete(mysql_head(my)))
		return;
	for (size_t i = 0; i < columns->origin_count; i++) {
		const struct origin *origin = &columns->origins[i];
		struct span table = span_of(&columns->names, origin->table);
		struct span schema = span_of(&columns->names, origin->schema);

		for (size_t j = 0; j < named && schema.length; j++) {
			if (!same_name(my->text->description.tables[j], table))
				continue;
			mysql_set_namespace(my, schema.bytes, schema.length);
			return;
		}
	}
}

/*
 * MariaDB gives a view's alias for the origin of its columns.  The name behind
 * the alias, without schema; length 0: the table is what it says.
 */
static struct span name_behind(const struct mysql *my, struct span table)
{
	const struct sql_description *d =
		my->text ? &my->text->description : NULL;
	size_t count = d ? d->table_count : 0, found;
	struct span none = { NULL, 0 };

	for (size_t i = 0; i < count; i++)
		if (same_name(d->tables[i], table))
			return none;
	for (found = 0; found < count; found++) {
		struct span name = d->tables[found];
		const char *dot = memrchr(name.bytes, '.', name.length);

		if (!same_name(d->aliases[found], table))
			continue;
		if (dot) {
			name.length -= (size_t)(dot + 1 - name.bytes);
			name.bytes = dot + 1;
		}
		return name;
	}
	return none;
}

/* "table", or "schema.table" where the schema is not the current database. */
static void add_origin(struct mysql *my, const struct origin *origin)
{
	const struct columns *columns = &my->columns;
	struct span schema = span_of(&columns->names, origin->schema);
	struct span table = span_of(&columns->names, origin->table);
	size_t start = my->names.length;

	if (name_behind(my, table).length)
		return; /* the statement's own name of it is added */
	if (!schema.length || same_name(schema, namespace_of(my)) ||
	    my->names.room - start < schema.length + 1 + table.length) {
		add_target(&my->exchange, table);
		return;
	}
	buffer_append(&my->names, schema.bytes, schema.length);
	buffer_append(&my->names, ".", 1);
	buffer_append(&my->names, table.bytes, table.length);
	add_target(&my->exchange,
		   (struct span){ (char *)my->names.bytes + start,
				  my->names.length - start });
}

/* A table of the statement, without the schema when it is the current one. */
static void add_named(struct mysql *my, struct span table)
{
	struct span current = namespace_of(my);

	if (current.length && table.length > current.length + 1 &&
	    table.bytes[current.length] == '.' &&
	    !strncasecmp(table.bytes, current.bytes, current.length)) {
		table.bytes += current.length + 1;
		table.length -= current.length + 1;
	}
	add_target(&my->exchange, table);
}

static void describe_targets(struct mysql *my, const struct command *head)
{
	struct exchange *exchange = &my->exchange;
	const struct columns *columns = &my->columns;
	size_t named = my->text ? my->text->description.table_count : 0;

	learn_namespace(my, named);
	exchange->namespace = namespace_of(my);
	/* The one that was asked for, also when it was refused. */
	if (head->code == COM_INIT_DB && head->text.length)
		exchange->namespace = exchange->subject =
			buffer_span(&head->text);
	if (is_login(head) && login_part(head, LOGIN_DATABASE).length)
		exchange->namespace = login_part(head, LOGIN_DATABASE);
	for (size_t i = 0; i < columns->origin_count; i++)
		add_origin(my, &columns->origins[i]);
	for (size_t i = 0; i < named; i++)
		add_named(my, my->text->description.tables[i]);
	if (head->code == COM_FIELD_LIST && head->text.length &&
	    !columns->origin_count)
		add_named(my, (struct span){ (char *)head->text.bytes,
					     head->text.length });
}

/*
 * Does the masked statement show that text anyway, as one token or several, or
 * as the name in backquotes?
 */
static bool is_shown(const struct mysql *my, struct span text)
{
	struct span masked = my->exchange.masked;
	struct sql_lexer lexer, rest;
	struct sql_token token;
	const char *end;

	if (!memmem(masked.bytes, masked.length, text.bytes, text.length))
		return false;
	lexer = sql_lexer_of(masked.bytes, masked.length, 0);
	while ((token = sql_lexer_next(&lexer)).kind != SQL_END) {
		if (token.kind == SQL_QUOTED &&
		    token.length == text.length + 2 &&
		    !memcmp(token.at + 1, text.bytes, text.length))
			return true;
		if ((size_t)(lexer.end - token.at) < text.length ||
		    memcmp(token.at, text.bytes, text.length))
			continue;
		end = token.at + text.length;
		for (rest = lexer; rest.at < end;)
			sql_lexer_next(&rest);
		if (rest.at == end)
			return true;
	}
	return false;
}

/*
 * A column without origin is named after its expression, and after a literal
 * by what the literal says: no sink could tell that from a name.  So nothing
 * is shown of it that the masked statement does not show, and nothing when
 * the statement is not known to be this one, whole.
 */
static struct span mask_alias(struct mysql *my, const struct command *head,
			      struct span alias)
{
	struct span hidden = { alias.length ? "?" : NULL, !!alias.length };
	struct span masked = { (char *)my->names.bytes + my->names.length, 0 };

	if (!alias.length || !my->exchange.masked.bytes || head->text_cut ||
	    !head->text_known || is_unsure(head) ||
	    my->names.room - my->names.length < SQL_ROOM(alias.length))
		return hidden;
	if (is_shown(my, alias))
		return alias;
	masked.length = sql_mask(alias.bytes, alias.length,
				 sql_flags(my), (char *)masked.bytes);
	if (!is_shown(my, masked))
		return hidden;
	my->names.length += masked.length;
	return masked;
}

/* "alias.column" of a view as "view.column". */
static struct span resolve_column(struct mysql *my, struct span name)
{
	const char *dot = name.length ? memchr(name.bytes, '.', name.length) :
					NULL;
	struct span table = { name.bytes,
			      dot ? (size_t)(dot - name.bytes) : 0 };
	struct span behind = name_behind(my, table);
	size_t start = my->names.length, tail = name.length - table.length;

	if (!behind.length ||
	    my->names.room - start < behind.length + tail)
		return name;
	buffer_append(&my->names, behind.bytes, behind.length);
	buffer_append(&my->names, dot, tail);
	return (struct span){ (char *)my->names.bytes + start,
			      behind.length + tail };
}

static void describe_columns(struct mysql *my, const struct command *head)
{
	struct exchange *exchange = &my->exchange;
	const struct columns *columns = &my->columns;
	const struct piece_of *pieces =
		(const struct piece_of *)columns->pieces.bytes;

	exchange->column_count = mysql_column_names(columns);
	exchange->columns_total = columns->total;
	for (size_t i = 0; i < exchange->column_count; i++) {
		struct span name = span_of(&columns->names, pieces[i]);

		exchange->columns[i] = pieces[i].alias ?
			mask_alias(my, head, name) : resolve_column(my, name);
	}
}

static void describe_parameters(struct mysql *my, const struct command *head)
{
	struct exchange *exchange = &my->exchange;
	const struct piece_of *pieces =
		(const struct piece_of *)head->pieces.bytes;

	exchange->parameter_count = head->pieces.length / sizeof(*pieces);
	for (size_t i = 0; i < exchange->parameter_count; i++) {
		exchange->parameters[i] = pieces[i].length ?
			span_of(&head->values, pieces[i]) :
			(struct span){ "", 0 };
		if (my->observer && my->observer->value)
			my->observer->value(my->observer->context, exchange,
					    -1, exchange->parameters[i]);
	}
}

/* All that the request says; the response may not have begun. */
static void describe_request(struct mysql *my, const struct command *head)
{
	struct exchange *exchange = &my->exchange;

	exchange_reset(exchange, "mysql", FAMILY_DATABASE);
	exchange->operation = command_name(my, head->code);
	exchange->statement = exchange->masked = (struct span){ NULL, 0 };
	exchange->statement_cut = false;
	exchange->statement_known = head->text_known ||
				    !(is_execution(head->code) ||
				      head->code == COM_STMT_FETCH);
	exchange->user = exchange->subject = (struct span){ NULL, 0 };
	exchange->prepares = head->code == COM_STMT_PREPARE;
	exchange->target_count = 0;
	exchange->parameter_count = 0;
	exchange->failed = false;
	exchange->status = -1;
	exchange->sqlstate = exchange->message = (struct span){ NULL, 0 };
	exchange->rows = exchange->affected = -1;
	exchange->results = 1;
	exchange->request_bytes = head->request_bytes;
	exchange->start_ns = head->start_ns;
	exchange->tid = head->tid;
	exchange->complete = is_complete(head);
	exchange->missed_bytes = head->missed;
	forget_text(my);
	if (has_statement(head->code))
		describe_statement(my, head);
	if (is_login(head))
		exchange->user = exchange->subject =
			login_part(head, LOGIN_USER);
	if (mysql_is_dump(head->code))
		exchange->subject = buffer_span(&head->text);
}

void mysql_describe(struct mysql *my)
{
	const struct command *head = mysql_head(my);

	if (!my->response.described)
		describe_request(my, head);
	my->exchange.target_count = my->exchange.column_count = 0;
	/*
	 * Room for all names at once, and none is appended beyond it: they
	 * must not move while the others come.
	 */
	my->names.length = 0;
	if (buffer_reserve(&my->names,
			   SQL_ROOM(2 * my->columns.names.length) +
				   SQL_ROOM(0) * EXCHANGE_COLUMNS_MAX)) {
		describe_columns(my, head);
		describe_targets(my, head);
	}
	if (!my->response.described && is_execution(head->code))
		describe_parameters(my, head);
	my->response.described = true;
}

/* Text sent before a query, by name; a login's plugin. */
static void describe_named(struct mysql *my, const struct command *head)
{
	struct exchange *exchange = &my->exchange;
	const struct piece_of *pieces =
		(const struct piece_of *)head->pieces.bytes;
	size_t count = head->pieces.length / sizeof(*pieces);

	if (is_login(head) && my->plugin[0])
		exchange_text(exchange, "mysql.auth_plugin",
			      span_string(my->plugin));
	if (is_login(head) && my->switched[0])
		exchange_text(exchange, "mysql.auth_switched_to",
			      span_string(my->switched));
	for (size_t i = 0; i < count && head->code == COM_QUERY; i++)
		exchange_payload(exchange, "mysql.query_attributes",
				 span_of(&head->values, pieces[i]));
}

/* What only MySQL has; all of it is known when the response is. */
static void describe_own(struct mysql *my, const struct command *head)
{
	struct exchange *exchange = &my->exchange;
	const struct response *response = &my->response;

	exchange->attribute_count = 0;
	describe_named(my, head);
	if (is_execution(head->code) || head->code == COM_STMT_FETCH)
		exchange_number(exchange, "mysql.statement_id",
				head->statement_id);
	if (head->code == COM_STMT_PREPARE && response->results &&
	    !response->failed) {
		exchange_number(exchange, "mysql.statement_id",
				response->statement_id);
		exchange_number(exchange, "mysql.parameters",
				response->parameter_count);
	}
	if (head->bulk_sets)
		exchange_number(exchange, "mysql.bulk_sets",
				(int64_t)head->bulk_sets);
	if (response->insert_id && response->insert_id <= INT64_MAX)
		exchange_number(exchange, "mysql.insert_id",
				(int64_t)response->insert_id);
	if (response->warnings)
		exchange_number(exchange, "mysql.warnings",
				(int64_t)response->warnings);
	if (mysql_is_dump(head->code))
		exchange_number(exchange, "mysql.binlog_events",
				(int64_t)response->events);
}

static void describe_response(struct mysql *my, const struct command *head)
{
	struct exchange *exchange = &my->exchange;
	struct response *response = &my->response;

	exchange->failed = response->failed;
	exchange->status = mysql_is_silent(head) ? -1 : response->status;
	if (response->has_sqlstate)
		exchange->sqlstate = (struct span){ response->sqlstate, 5 };
	if (response->failed)
		exchange->message = (struct span){
			(const char *)response->error.bytes,
			response->error.length };
	exchange->rows = response->rows;
	if (head->code == COM_QUERY || is_execution(head->code) ||
	    head->code == COM_INIT_DB || head->code == COMMAND_UNKNOWN)
		exchange->affected = response->affected;
	/* Results of a bulk execution's sets are no rows that were read. */
	if (head->bulk_flags & BULK_UNIT_RESULTS)
		exchange->rows = -1;
	exchange->results = response->results ? response->results : 1;
	exchange->response_bytes = response->bytes;
	exchange->first_byte_ns = response->first_ns;
	exchange->end_ns = response->last_ns;
	exchange->complete = is_complete(head);
	exchange->missed_bytes = head->missed;
	exchange->request_bytes = head->request_bytes;
	describe_own(my, head);
}

/* USE, in a statement, as far as it is known to have succeeded. */
static void follow_use(struct mysql *my, const struct command *head)
{
	struct exchange *exchange = &my->exchange;

	if (head->code != COM_QUERY || !my->text ||
	    !my->text->description.database.length)
		return;
	if (!exchange->status && is_complete(head)) {
		mysql_set_namespace(my, my->text->description.database.bytes,
				    my->text->description.database.length);
		exchange->namespace = namespace_of(my);
	} else if (exchange->status <= 0 && !is_complete(head)) {
		my->namespace_known = false;
	}
}

/*
 * Forgets what an unsure response has taught, and what a request may have
 * changed whose response, or whose text, is not known.
 */
static void distrust(struct mysql *my, const struct command *head)
{
	bool unsure = is_unsure(head);
	struct statement *statement;

	if (mysql_is_silent(head) || !(head->damaged || unsure))
		return;
	if (head->code == COMMAND_UNKNOWN ||
	    (head->code == COM_QUERY && head->text_cut) ||
	    head->code == COMMAND_LOGIN || head->code == COM_CHANGE_USER ||
	    head->code == COM_INIT_DB)
		my->namespace_known = false;
	if (unsure && head->code == COM_STMT_PREPARE)
		mysql_statement_forget(my, my->response.statement_id);
	statement = NULL;
	if (head->code == COM_STMT_PREPARE && my->response.started)
		statement = mysql_statement_find(my, my->response.statement_id);
	else if (is_execution(head->code))
		statement = mysql_statement_find(my, head->statement_id);
	if (statement)
		mysql_columns_clear(&statement->columns);
}

static void report_one(struct mysql *my)
{
	const struct command *head = mysql_head(my);
	struct exchange *exchange = &my->exchange;

	if (!head)
		return;
	my->held = false;
	if (head->after_gap && !my->response.started)
		my->namespace_known = false;
	distrust(my, head);
	mysql_describe(my);
	describe_response(my, head);
	follow_use(my, head);
	if (my->observer && my->observer->exchange)
		my->observer->exchange(my->observer->context, exchange);
	exchange_done(exchange);
	mysql_pop(my);
	mysql_response_reset(my);
	forget_text(my);
	buffer_reset(&my->names);
}

void mysql_report(struct mysql *my)
{
	const struct command *head;

	report_one(my);
	while ((head = mysql_head(my)) && mysql_is_silent(head))
		report_one(my);
}
