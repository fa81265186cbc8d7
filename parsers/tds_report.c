/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tds_report.c - a request to a SQL Server and its answer become an exchange.
 */
#include "parsers/tds.h"

#include <stdlib.h>

#define HASH_STAND_IN 0xff /* no byte of UTF-8: see to_sql() */

struct tds_request *tds_request_new(uint8_t type)
{
	struct tds_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->type = type;
	request->statement_known = true;
	request->packets = 1;
	return request;
}

void tds_request_free(struct tds_request *request)
{
	buffer_free(&request->statement);
	buffer_free(&request->names);
	buffer_free(&request->values);
	free(request);
}

struct span tds_span(const struct buffer *buffer, struct tds_kept kept)
{
	if (!kept.there)
		return (struct span){ NULL, 0 };
	return (struct span){ kept.length ?
			(const char *)buffer->bytes + kept.at : "",
			kept.length };
}

struct tds_kept tds_keep(struct buffer *buffer, const uint8_t *bytes,
			 size_t length)
{
	struct tds_kept kept = { (uint32_t)buffer->length, 0, true };

	tds_utf8(buffer, bytes, length, TDS_NAMES_BYTES);
	kept.length = (uint32_t)(buffer->length - kept.at);
	return kept;
}

/*
 * Transact-SQL for the lexer of sql.h: [name] becomes `name`, and the # of a
 * temporary table's name a byte that is a letter.  Lengths stay as they are.
 */
static void to_sql(struct buffer *text)
{
	char quote = '\0';

	for (size_t i = 0; i < text->length; i++) {
		char c = (char)text->bytes[i];

		if (quote) {
			if (c == quote)
				quote = '\0';
			if (c == ']' && !quote)
				text->bytes[i] = '`';
		} else if (c == '\'' || c == '"') {
			quote = c;
		} else if (c == '[') {
			quote = ']';
			text->bytes[i] = '`';
		} else if (c == '#') {
			text->bytes[i] = HASH_STAND_IN;
		} else if (c == '`') {
			text->bytes[i] = ' ';
		}
	}
}

/* The way back. */
static void from_sql(uint8_t *bytes, size_t length)
{
	bool inside = false;

	for (size_t i = 0; i < length; i++) {
		if (bytes[i] == HASH_STAND_IN)
			bytes[i] = '#';
		if (bytes[i] != '`')
			continue;
		bytes[i] = inside ? ']' : '[';
		inside = !inside;
	}
}

/* Table names of the description without their brackets. */
static void describe_tables(struct tds *tds)
{
	struct sql_description *d = tds->description;
	struct exchange *exchange = &tds->exchange;

	for (size_t i = 0; i < d->names_used; i++)
		if ((uint8_t)d->names[i] == HASH_STAND_IN)
			d->names[i] = '#';
	for (size_t i = 0; i < d->table_count; i++)
		exchange->targets[exchange->target_count++] = d->tables[i];
}

/* The statement's two texts, its verb and its tables. */
static void describe_statement(struct tds *tds, struct span statement)
{
	struct exchange *exchange = &tds->exchange;
	struct buffer *text = &tds->text;
	unsigned flags = SQL_NO_BACKSLASH;

	text->length = 0;
	if (!tds->description)
		tds->description = malloc(sizeof(*tds->description));
	if (!statement.length || !tds->description ||
	    !buffer_append(text, statement.bytes, statement.length) ||
	    !buffer_reserve(&tds->shown, SQL_ROOM(text->length)) ||
	    !buffer_reserve(&tds->masked, SQL_ROOM(text->length)))
		return;
	to_sql(text);
	sql_describe(tds->description, (char *)text->bytes, text->length,
		     flags);
	exchange->statement.length = sql_redact(
		(char *)text->bytes, text->length, flags,
		(char *)tds->shown.bytes);
	exchange->masked.length = sql_mask((char *)text->bytes, text->length,
					   flags, (char *)tds->masked.bytes);
	from_sql(tds->shown.bytes, exchange->statement.length);
	from_sql(tds->masked.bytes, exchange->masked.length);
	exchange->statement.bytes = (char *)tds->shown.bytes;
	exchange->masked.bytes = (char *)tds->masked.bytes;
	if (tds->description->operation[0])
		exchange->operation = tds->description->operation;
	describe_tables(tds);
}

static struct span prepared_text(const struct tds *tds, uint32_t handle)
{
	for (size_t i = 0; i < tds->prepared_count; i++)
		if (tds->prepared[i].handle == handle)
			return buffer_span(&tds->prepared[i].text);
	return (struct span){ NULL, 0 };
}

static void describe_call(struct tds *tds, const struct tds_request *request)
{
	const struct tds_procedure *known = tds_procedure_of(request);
	struct exchange *exchange = &tds->exchange;
	struct span name = known ? span_string(known->name) :
		tds_span(&request->names, request->procedure);
	struct span statement = buffer_span(&request->statement);

	exchange->subject = name;
	if (known && known->executes && request->has_handle) {
		statement = prepared_text(tds, request->handle);
		exchange->statement_known = statement.bytes != NULL;
	}
	exchange->prepares = known && known->prepares;
	describe_statement(tds, statement);
	if (exchange->prepares)
		exchange->operation = "PREPARE";
	exchange_text(exchange, "db.stored_procedure.name", name);
	if (request->procedure_id)
		exchange_number(exchange, "tds.proc_id",
				request->procedure_id);
	if (request->calls > 1)
		exchange_number(exchange, "tds.calls", request->calls);
	for (size_t i = 0; i < request->parameter_count; i++)
		exchange->parameters[i] = tds_span(&request->values,
						   request->parameters[i]);
	exchange->parameter_count = request->parameter_count;
}

static const char *transaction_name(unsigned number)
{
	switch (number) {
	case 0:
		return "TM_GET_DTC_ADDRESS";
	case 1:
		return "TM_PROPAGATE_XACT";
	case 5:
		return "TM_BEGIN_XACT";
	case 6:
		return "TM_PROMOTE_XACT";
	case 7:
		return "TM_COMMIT_XACT";
	case 8:
		return "TM_ROLLBACK_XACT";
	case 9:
		return "TM_SAVE_XACT";
	default:
		return "TM_???";
	}
}

static void describe_login(struct tds *tds, const struct tds_request *request)
{
	struct exchange *exchange = &tds->exchange;
	const struct buffer *names = &request->names;
	struct span database = tds_span(names, request->database);

	exchange->user = tds_span(names, request->user);
	if (database.length)
		exchange->namespace = database;
	exchange_text(exchange, "tds.application",
		      tds_span(names, request->application));
	exchange_text(exchange, "tds.host", tds_span(names, request->host));
}

static void describe_request(struct tds *tds,
			     const struct tds_request *request)
{
	static const char *const operations[] = {
		[TDS_SQL_BATCH] = "SQL_BATCH", [TDS_RPC] = "RPC",
		[TDS_ATTENTION] = "ATTENTION", [TDS_BULK] = "BULK_LOAD",
		[TDS_FEDAUTH] = "FEDAUTH", [TDS_LOGIN] = "LOGIN",
		[TDS_SSPI] = "SSPI", [TDS_PRELOGIN] = "PRELOGIN",
	};
	static const char *const names[] = {
		[TDS_SQL_BATCH] = "sql_batch", [TDS_RPC] = "rpc",
		[TDS_ATTENTION] = "attention", [TDS_BULK] = "bulk_load",
		[TDS_FEDAUTH] = "fedauth", [TDS_TRANSACTION] = "transaction",
		[TDS_LOGIN] = "login", [TDS_SSPI] = "sspi",
		[TDS_PRELOGIN] = "prelogin",
	};
	struct exchange *exchange = &tds->exchange;

	exchange->operation = request->type ? operations[request->type] :
					      "UNKNOWN";
	if (request->type == TDS_TRANSACTION)
		exchange->operation = transaction_name(request->transaction);
	if (request->type)
		exchange_text(exchange, "tds.request",
			      span_string(names[request->type]));
	if (request->type == TDS_SQL_BATCH)
		describe_statement(tds, buffer_span(&request->statement));
	else if (request->type == TDS_RPC)
		describe_call(tds, request);
	else if (request->type == TDS_LOGIN)
		describe_login(tds, request);
	if (exchange->statement.bytes)
		exchange->statement_cut = request->statement_cut;
	if (request->packets > 1)
		exchange_number(exchange, "tds.packets", request->packets);
	if (request->cancelled)
		exchange_bool(exchange, "tds.cancelled", true);
}

static void describe_answer(struct tds *tds)
{
	struct tds_answering *a = &tds->answering;
	struct exchange *exchange = &tds->exchange;

	exchange->rows = a->rows;
	exchange->affected = a->affected;
	exchange->results = a->results > 1 ? a->results : 1;
	if (a->done)
		exchange->status = 0;
	if (a->error) {
		exchange->failed = true;
		exchange->status = a->error == UINT32_MAX ? -1 :
							    (int64_t)a->error;
		exchange->message = tds_span(&a->names, a->message);
		exchange_number(exchange, "tds.error_state", a->state);
	}
	for (size_t i = 0; i < a->kept_count; i++)
		exchange->columns[i] = tds_span(&a->names, a->columns_kept[i]);
	exchange->column_count = a->kept_count;
	exchange->columns_total = a->columns_total;
	if (a->has_status)
		exchange_number(exchange, "tds.return_status",
				a->return_status);
}

static void describe_encryption(struct tds *tds)
{
	static const char *const words[] = { "login", "on", "not supported",
					     "required" };
	int encryption = tds->answering.encryption;

	if (encryption >= 0 && encryption <= TDS_ENCRYPT_NEEDS)
		exchange_text(&tds->exchange, "tds.encryption",
			      span_string(words[encryption]));
}

void tds_describe(struct tds *tds, const struct tds_request *request,
		  bool answered)
{
	struct exchange *exchange = &tds->exchange;

	exchange_reset(exchange, "mssql", FAMILY_DATABASE);
	exchange->namespace = buffer_span(&tds->database);
	describe_request(tds, request);
	if (answered)
		describe_answer(tds);
	if (answered && request->type == TDS_PRELOGIN)
		describe_encryption(tds);
	pending_describe(&request->pending, exchange);
}

void tds_tell_value(struct tds *tds, int column, struct span text)
{
	const struct observer *observer = tds->observer;

	if (!observer->value || !text.bytes)
		return;
	if (text.length > VALUE_BYTES_MAX)
		text.length = VALUE_BYTES_MAX;
	observer->value(observer->context, &tds->exchange, column, text);
}

void tds_report(struct tds *tds, const struct tds_request *request,
		bool answered)
{
	tds_describe(tds, request, answered);
	for (size_t i = 0; i < tds->exchange.parameter_count; i++)
		tds_tell_value(tds, -1, tds->exchange.parameters[i]);
	tds->observer->exchange(tds->observer->context, &tds->exchange);
	exchange_done(&tds->exchange);
	tds->answering.described = false;
}
