/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cassandra_report.c - a request and its answer become an exchange.
 */
#include "parsers/cassandra.h"

#include <stdio.h>
#include <stdlib.h>

struct cassandra_request *cassandra_request_new(uint8_t opcode, int stream)
{
	struct cassandra_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->opcode = opcode;
	request->stream = stream;
	request->statement_known = true;
	request->consistency = -1;
	return request;
}

void cassandra_request_free(struct cassandra_request *request)
{
	buffer_free(&request->statement);
	buffer_free(&request->names);
	buffer_free(&request->values);
	free(request);
}

struct span cassandra_span(const struct buffer *buffer,
			   struct cassandra_kept kept)
{
	if (!kept.there)
		return (struct span){ NULL, 0 };
	return (struct span){ kept.length ?
			(const char *)buffer->bytes + kept.at : "",
			kept.length };
}

struct cassandra_kept cassandra_keep(struct buffer *buffer, struct span text)
{
	struct cassandra_kept kept = { (uint32_t)buffer->length,
				       (uint32_t)text.length, true };

	if (buffer->length + text.length > CASSANDRA_NAMES_BYTES ||
	    !buffer_append(buffer, text.bytes, text.length))
		kept = (struct cassandra_kept){ 0, 0, false };
	return kept;
}

static const char *const opcode_names[] = {
	[CQL_ERROR] = "ERROR", [CQL_STARTUP] = "STARTUP",
	[CQL_READY] = "READY", [CQL_AUTHENTICATE] = "AUTHENTICATE",
	[CQL_OPTIONS] = "OPTIONS", [CQL_SUPPORTED] = "SUPPORTED",
	[CQL_QUERY] = "QUERY", [CQL_RESULT] = "RESULT",
	[CQL_PREPARE] = "PREPARE", [CQL_EXECUTE] = "EXECUTE",
	[CQL_REGISTER] = "REGISTER", [CQL_EVENT] = "EVENT",
	[CQL_BATCH] = "BATCH", [CQL_AUTH_CHALLENGE] = "AUTH_CHALLENGE",
	[CQL_AUTH_RESPONSE] = "AUTH_RESPONSE",
	[CQL_AUTH_SUCCESS] = "AUTH_SUCCESS",
};

static const char *opcode_name(struct cassandra *cassandra, uint8_t opcode)
{
	if (opcode == CQL_NONE)
		return "UNKNOWN";
	if (opcode < sizeof(opcode_names) / sizeof(*opcode_names) &&
	    opcode_names[opcode])
		return opcode_names[opcode];
	snprintf(cassandra->unnamed, sizeof(cassandra->unnamed),
		 "OPCODE_??? (0x%02x)", opcode);
	return cassandra->unnamed;
}

static const char *error_name(int64_t code)
{
	static const struct {
		int64_t code;
		const char *name;
	} errors[] = {
		{ 0x0000, "SERVER_ERROR" }, { 0x000a, "PROTOCOL_ERROR" },
		{ 0x0100, "BAD_CREDENTIALS" }, { 0x1000, "UNAVAILABLE" },
		{ 0x1001, "OVERLOADED" }, { 0x1002, "IS_BOOTSTRAPPING" },
		{ 0x1003, "TRUNCATE_ERROR" }, { 0x1100, "WRITE_TIMEOUT" },
		{ 0x1200, "READ_TIMEOUT" }, { 0x1300, "READ_FAILURE" },
		{ 0x1400, "FUNCTION_FAILURE" }, { 0x1500, "WRITE_FAILURE" },
		{ 0x1600, "CDC_WRITE_FAILURE" },
		{ 0x1700, "CAS_WRITE_UNKNOWN" }, { 0x2000, "SYNTAX_ERROR" },
		{ 0x2100, "UNAUTHORIZED" }, { 0x2200, "INVALID" },
		{ 0x2300, "CONFIG_ERROR" }, { 0x2400, "ALREADY_EXISTS" },
		{ 0x2500, "UNPREPARED" },
	};

	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (errors[i].code == code)
			return errors[i].name;
	return NULL;
}

/* CQL's $$text$$ as a string that sql.h knows; lengths stay as they are. */
static void to_sql(struct buffer *text)
{
	uint8_t *bytes = text->bytes;
	bool inside = false;
	char quote = '\0';

	for (size_t i = 0; i + 1 < text->length; i++) {
		if (!inside && (bytes[i] == '\'' || bytes[i] == '"') &&
		    (!quote || quote == (char)bytes[i]))
			quote = quote ? '\0' : (char)bytes[i];
		if (inside && bytes[i] == '\'')
			bytes[i] = ' ';
		if (quote || bytes[i] != '$' || bytes[i + 1] != '$')
			continue;
		bytes[i] = inside ? ' ' : '\'';
		bytes[i + 1] = inside ? '\'' : ' ';
		inside = !inside;
		i++;
	}
}

/* The statement's two texts, its verb and its tables. */
static void describe_statement(struct cassandra *cassandra,
			       struct span statement)
{
	struct exchange *exchange = &cassandra->exchange;
	struct buffer *text = &cassandra->text;
	struct sql_description *d;

	text->length = 0;
	if (!cassandra->description)
		cassandra->description = malloc(sizeof(*d));
	d = cassandra->description;
	if (!d || !statement.length ||
	    !buffer_append(text, statement.bytes, statement.length) ||
	    !buffer_reserve(&cassandra->shown, SQL_ROOM(text->length)) ||
	    !buffer_reserve(&cassandra->masked, SQL_ROOM(text->length)))
		return;
	exchange->statement.bytes = (char *)cassandra->shown.bytes;
	exchange->statement.length = sql_redact(
		(char *)text->bytes, text->length, SQL_NO_BACKSLASH,
		(char *)cassandra->shown.bytes);
	to_sql(text);
	sql_describe(d, (char *)text->bytes, text->length, SQL_NO_BACKSLASH);
	exchange->masked.bytes = (char *)cassandra->masked.bytes;
	exchange->masked.length = sql_mask(
		(char *)text->bytes, text->length, SQL_NO_BACKSLASH,
		(char *)cassandra->masked.bytes);
	for (size_t i = 0; i < d->table_count; i++)
		exchange->targets[exchange->target_count++] = d->tables[i];
}

static void describe_request(struct cassandra *cassandra,
			     const struct cassandra_request *request)
{
	struct exchange *exchange = &cassandra->exchange;
	struct span statement = buffer_span(&request->statement);
	const struct cassandra_prepared *prepared = NULL;

	exchange->operation = opcode_name(cassandra, request->opcode);
	exchange->statement_cut = request->statement_cut;
	exchange->statement_known = request->statement_known;
	exchange_text(exchange, "cassandra.request",
		      span_string(exchange->operation));
	if (request->opcode == CQL_EXECUTE) {
		prepared = cassandra_prepared_of(cassandra, request->id,
						 request->id_length);
		exchange->statement_known = prepared != NULL;
	}
	if (prepared) {
		statement = buffer_span(&prepared->text);
		exchange->statement_cut = prepared->text_cut;
	}
	describe_statement(cassandra, statement);
	exchange->prepares = request->opcode == CQL_PREPARE;
	if ((request->opcode == CQL_QUERY || request->opcode == CQL_EXECUTE) &&
	    exchange->statement.bytes && cassandra->description->operation[0])
		exchange->operation = cassandra->description->operation;
	if (request->opcode == CQL_AUTH_RESPONSE)
		exchange->operation = "LOGIN";
	exchange->user = cassandra_span(&request->names, request->user);
	for (size_t i = 0; i < request->parameter_count; i++)
		exchange->parameters[i] = cassandra_span(
			&request->values, request->parameters[i]);
	exchange->parameter_count = request->parameter_count;
}

static void describe_ids(struct cassandra *cassandra,
			 const struct cassandra_request *request)
{
	static const char *const levels[] = {
		"any", "one", "two", "three", "quorum", "all", "local_quorum",
		"each_quorum", "serial", "local_serial", "local_one",
	};
	struct exchange *exchange = &cassandra->exchange;

	if (request->version)
		exchange_number(exchange, "cassandra.version",
				request->version);
	exchange_number(exchange, "cassandra.stream", request->stream);
	if (request->consistency >= 0 &&
	    request->consistency <
		    (int)(sizeof(levels) / sizeof(*levels)))
		exchange_text(exchange, "cassandra.consistency.level",
			      span_string(levels[request->consistency]));
	if (request->opcode == CQL_BATCH && request->statements)
		exchange_number(exchange, "db.operation.batch.size",
				request->statements);
}

static bool is_target(const struct exchange *exchange, struct span name)
{
	for (size_t i = 0; i < exchange->target_count; i++) {
		struct span target = exchange->targets[i];

		/* By its own name, or behind that of its keyspace. */
		if (target.length >= name.length &&
		    !memcmp(target.bytes + target.length - name.length,
			    name.bytes, name.length))
			return true;
	}
	return false;
}

static void describe_columns(struct cassandra *cassandra)
{
	const struct cassandra_columns *columns = cassandra->answering.shown;
	struct exchange *exchange = &cassandra->exchange;
	struct span table = cassandra_span(&columns->names, columns->table);

	for (size_t i = 0; i < columns->count; i++)
		exchange->columns[i] = cassandra_span(
			&columns->names, columns->columns[i].name);
	exchange->column_count = columns->count;
	exchange->columns_total = columns->total;
	if (table.length && !is_target(exchange, table) &&
	    exchange->target_count < EXCHANGE_TARGETS_MAX)
		exchange->targets[exchange->target_count++] = table;
	if (!exchange->namespace.length)
		exchange->namespace = cassandra_span(&columns->names,
						     columns->keyspace);
}

static void describe_answer(struct cassandra *cassandra)
{
	const struct cassandra_answering *a = &cassandra->answering;
	struct exchange *exchange = &cassandra->exchange;
	struct span keyspace = cassandra_span(&a->names, a->set_keyspace);

	exchange_text(exchange, "cassandra.response",
		      span_string(opcode_name(cassandra, a->opcode)));
	exchange->rows = a->rows;
	exchange->status = 0;
	if (keyspace.length)
		exchange->namespace = keyspace;
	describe_columns(cassandra);
	exchange_text(exchange, "cassandra.event",
		      cassandra_span(&a->names, a->event));
	exchange_text(exchange, "cassandra.change",
		      cassandra_span(&a->names, a->change));
	if (a->error < 0)
		return;
	exchange->failed = true;
	exchange->status = a->error;
	exchange->message = cassandra_span(&a->names, a->message);
	exchange_text(exchange, "cassandra.error",
		      span_string(error_name(a->error)));
}

void cassandra_describe(struct cassandra *cassandra,
			const struct cassandra_request *request, bool answered)
{
	struct exchange *exchange = &cassandra->exchange;

	exchange_reset(exchange, "cassandra", FAMILY_DATABASE);
	exchange->namespace = buffer_span(&cassandra->keyspace);
	describe_request(cassandra, request);
	describe_ids(cassandra, request);
	if (answered)
		describe_answer(cassandra);
	pending_describe(&request->pending, exchange);
}

void cassandra_tell_value(struct cassandra *cassandra, int column,
			  struct span text)
{
	const struct observer *observer = cassandra->observer;

	if (!observer->value || !text.bytes)
		return;
	if (text.length > VALUE_BYTES_MAX)
		text.length = VALUE_BYTES_MAX;
	observer->value(observer->context, &cassandra->exchange, column, text);
}

void cassandra_report(struct cassandra *cassandra,
		      const struct cassandra_request *request, bool answered)
{
	struct exchange *exchange = &cassandra->exchange;

	cassandra_describe(cassandra, request, answered);
	for (size_t i = 0; i < exchange->parameter_count; i++)
		cassandra_tell_value(cassandra, -1, exchange->parameters[i]);
	cassandra->observer->exchange(cassandra->observer->context, exchange);
	exchange_done(exchange);
	cassandra->answering.described = false;
}
