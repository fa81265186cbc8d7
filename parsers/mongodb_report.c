/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mongodb_report.c - a request and its response -> an exchange.
 */
#include "parsers/mongodb.h"

#include <string.h>

const char *mongodb_opcode_name(enum mongodb_opcode opcode)
{
	switch (opcode) {
	case OP_REPLY:
		return "OP_REPLY";
	case OP_UPDATE:
		return "OP_UPDATE";
	case OP_INSERT:
		return "OP_INSERT";
	case OP_QUERY:
		return "OP_QUERY";
	case OP_GET_MORE:
		return "OP_GET_MORE";
	case OP_DELETE:
		return "OP_DELETE";
	case OP_KILL_CURSORS:
		return "OP_KILL_CURSORS";
	case OP_COMPRESSED:
		return "OP_COMPRESSED";
	case OP_MSG:
		return "OP_MSG";
	}
	return "OP_???";
}

static void describe_columns(struct mongodb *mongo)
{
	struct exchange *exchange = &mongo->exchange;

	for (size_t i = 0; i < mongo->column_count; i++)
		exchange->columns[i] = (struct span){
			(const char *)mongo->columns.bytes +
				mongo->column_at[i],
			mongo->column_at[i + 1] - mongo->column_at[i],
		};
	exchange->column_count = mongo->column_count;
	exchange->columns_total = mongo->column_count;
}

void mongodb_describe(struct mongodb *mongo,
		      const struct mongo_request *request)
{
	struct exchange *exchange = &mongo->exchange;

	exchange_reset(exchange, mongodb_parser.name, FAMILY_DATABASE);
	exchange->operation = request->name[0] ? request->name : "UNKNOWN";
	exchange->statement = buffer_span(&request->statement);
	exchange->masked = buffer_span(&request->masked);
	exchange->statement_cut = request->cut;
	if (request->database[0])
		exchange->namespace = span_string(request->database);
	if (request->collection[0] && !mongodb_is_secret(request))
		exchange->targets[exchange->target_count++] =
			span_string(request->collection);
	if (mongo->columns_of == request)
		describe_columns(mongo);
}

/* Does `n` of its answer say how many were changed? */
static bool is_write(const struct mongo_request *request)
{
	return !strcmp(request->name, "insert") ||
	       !strcmp(request->name, "update") ||
	       !strcmp(request->name, "delete");
}

static void describe_reply(struct exchange *exchange,
			   const struct mongo_request *request)
{
	const struct mongodb_reply *reply = &request->reply;

	exchange->failed = reply->failed || (reply->ok_seen && !reply->ok) ||
			   reply->write_errors;
	exchange->status = exchange->failed ? reply->code : 0;
	if (exchange->failed) {
		if (reply->code_name[0])
			exchange->status_name = span_string(reply->code_name);
		/* What a login says may hold what was sent. */
		if (!mongodb_is_secret(request))
			exchange->message = buffer_span(&reply->message);
	}
	exchange->rows = reply->documents;
	if (is_write(request))
		exchange->affected = reply->modified >= 0 ? reply->modified :
							    reply->n;
	else if (reply->n >= 0)
		exchange_number(exchange, "mongodb.n", reply->n);
	if (reply->cursor)
		exchange_number(exchange, "mongodb.cursor_id", reply->cursor);
	if (reply->write_errors)
		exchange_number(exchange, "mongodb.write_errors",
				(int64_t)reply->write_errors);
}

void mongodb_report(struct mongodb *mongo, struct mongo_request *request)
{
	struct exchange *exchange = &mongo->exchange;

	mongodb_describe(mongo, request);
	exchange_text(exchange, "mongodb.opcode",
		      span_string(mongodb_opcode_name(request->opcode)));
	exchange_number(exchange, "mongodb.request_id", request->id);
	exchange_text(exchange, "mongodb.compressor",
		      span_string(request->compressor));
	if (request->documents)
		exchange_number(exchange, "mongodb.documents",
				(int64_t)request->documents);
	if (request->exhausts || request->reply.more)
		exchange_bool(exchange, "mongodb.exhaust", true);
	if (request->unanswered)
		exchange_bool(exchange, "mongodb.unacknowledged", true);
	if (request->reply.seen)
		describe_reply(exchange, request);
	pending_describe(&request->pending, exchange);
	mongo->observer.exchange(mongo->observer.context, exchange);
	exchange_done(exchange);
	if (mongo->columns_of == request)
		mongo->columns_of = NULL;
}
