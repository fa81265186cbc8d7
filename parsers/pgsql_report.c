/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgsql_report.c - a request and its response become an exchange.
 */
#include "parsers/pgsql.h"

#include <stdio.h>

void pgsql_response_reset(struct pgsql *pg)
{
	struct buffer texts = pg->response.texts;

	buffer_reset(&texts);
	pgsql_statement_drop(pg, pg->response.prepared);
	pg->response = (struct response){ .rows = -1, .affected = -1,
					  .set_rows = -1, .copy_rows = -1,
					  .texts = texts };
	pgsql_columns_clear(&pg->columns);
}

void pgsql_fold(struct pgsql *pg, const struct request *request)
{
	struct pending *to = &pg->response.pending;
	const struct pending *from = &request->pending;

	if (!to->request_bytes) {
		to->start_ns = from->start_ns;
		to->tid = from->tid;
	}
	to->request_bytes += from->request_bytes;
	to->missed += from->missed;
	to->damaged |= from->damaged;
}

struct text_piece pgsql_text(struct pgsql *pg, struct span text)
{
	struct buffer *texts = &pg->response.texts;
	size_t at = texts->length;

	buffer_gather(texts, text.bytes, text.length, PGSQL_TEXTS_BYTES);
	return (struct text_piece){ (uint32_t)at,
				    (uint32_t)(texts->length - at) };
}

void pgsql_value(struct pgsql *pg, int column, struct span value)
{
	if (!pg->observer || !pg->observer->value || !value.bytes)
		return;
	if (value.length > VALUE_BYTES_MAX)
		value.length = VALUE_BYTES_MAX;
	pg->observer->value(pg->observer->context, &pg->exchange, column,
			    value);
}

static struct span piece_span(const struct buffer *buffer,
			      struct text_piece piece)
{
	if (!piece.length)
		return (struct span){ NULL, 0 };
	return (struct span){ (const char *)buffer->bytes + piece.at,
			      piece.length };
}

static const char *kind_name(enum request_kind kind)
{
	static const char *const names[] = {
		[REQUEST_LOGIN] = "LOGIN",
		[REQUEST_SSL] = "SSL_REQUEST",
		[REQUEST_GSS] = "GSSENC_REQUEST",
		[REQUEST_QUERY] = "QUERY",
		[REQUEST_FUNCTION] = "FUNCTION_CALL",
		[REQUEST_PARSE] = "PREPARE",
		[REQUEST_BIND] = "BIND",
		[REQUEST_DESCRIBE] = "DESCRIBE",
		[REQUEST_EXECUTE] = "EXECUTE",
		[REQUEST_CLOSE] = "CLOSE",
		[REQUEST_SYNC] = "SYNC",
		[REQUEST_TERMINATE] = "TERMINATE",
		[REQUEST_CANCEL] = "CANCEL",
		[REQUEST_UNKNOWN] = "UNKNOWN",
	};

	return names[kind];
}

/* The statement's two texts, its verb and its tables. */
static void describe_statement(struct pgsql *pg,
			       const struct statement *statement,
			       const char *command)
{
	bool prepares = !strcmp(command, "parse");
	struct exchange *exchange = &pg->exchange;
	const struct pgsql_description *description;
	struct span text;

	exchange->prepares = prepares;
	exchange->statement_known = statement && statement->known;
	exchange_text(exchange, "postgresql.command", span_string(command));
	if (!statement || !statement->known)
		return;
	exchange->statement_cut = statement->cut;
	exchange_text(exchange, "postgresql.statement",
		      buffer_span(&statement->name));
	text = buffer_span(&statement->text);
	if (!text.length)
		return;
	description = pgsql_description(text, pg->scs_known && pg->scs,
					statement->cut);
	if (!description)
		return;
	exchange->statement = description->shown;
	exchange->masked = description->masked;
	if (description->operation[0] && !prepares)
		exchange->operation = description->operation;
	exchange->target_count = description->target_count;
	memcpy(exchange->targets, description->targets,
	       description->target_count * sizeof(*exchange->targets));
}

/* Columns as the last Describe told of the portal, or of its statement. */
static const struct columns *columns_of(struct pgsql *pg,
					const struct request *head)
{
	const struct portal *portal = head->portal;

	if (pg->columns.known || head->kind != REQUEST_EXECUTE ||
	    pg->response.failed || pg->response.skipped)
		return &pg->columns;
	if (portal && portal->columns.known)
		return &portal->columns;
	if (head->statement && head->statement->columns.known)
		return &head->statement->columns;
	return &pg->columns;
}

static void describe_columns(struct pgsql *pg, const struct request *head)
{
	struct exchange *exchange = &pg->exchange;
	const struct columns *columns = columns_of(pg, head);
	size_t count = pgsql_column_count(columns);

	if (columns != &pg->columns) {
		pgsql_columns_copy(&pg->columns, columns);
		columns = &pg->columns;
		count = pgsql_column_count(columns);
	}
	exchange->columns_total = columns->total > count ? columns->total :
							   count;
	exchange->column_count = count < EXCHANGE_COLUMNS_MAX ?
		count : EXCHANGE_COLUMNS_MAX;
	for (size_t i = 0; i < exchange->column_count; i++)
		exchange->columns[i] = piece_span(
			&columns->names, pgsql_column(columns, i)->name);
}

static void describe_login(struct pgsql *pg, const struct request *head)
{
	static const char *const versions[] = { "2.0", "3.0", "3.1", "3.2" };
	struct exchange *exchange = &pg->exchange;
	uint32_t major = head->number >> 16, minor = head->number & 0xffff;

	exchange->user = exchange->subject = buffer_span(&head->user);
	exchange->namespace = buffer_span(&head->database);
	exchange_text(exchange, "postgresql.application_name",
		      buffer_span(&head->application));
	exchange_text(exchange, "postgresql.replication",
		      buffer_span(&head->replication));
	exchange_text(exchange, "postgresql.protocol_version",
		      span_string(major == 2 ? versions[0] :
				  minor <= 2 ? versions[1 + minor] : "3"));
}

/*
 * An Execute's statement is known by a name.  What had it before a gap is not
 * told if the name may stand for another now, or for none: it failed then.
 */
static void check_name(struct pgsql *pg, struct request *head)
{
	const struct statement *statement = head->statement;
	bool fails = pg->response.failed && !pg->response.bound;

	if (head->kind != REQUEST_EXECUTE || !statement ||
	    (pgsql_is_current(pg, statement) &&
	     !(fails && statement->epoch != pg->epoch)))
		return;
	pgsql_statement_drop(pg, head->statement);
	head->statement = NULL;
	if (!head->portal)
		return;
	pgsql_statement_drop(pg, head->portal->statement);
	head->portal->statement = NULL;
}

void pgsql_describe(struct pgsql *pg)
{
	struct request *head = pgsql_head(pg);
	struct exchange *exchange = &pg->exchange;

	if (pg->response.described)
		return;
	pg->response.described = true;
	check_name(pg, head);
	exchange_reset(exchange, "postgresql", FAMILY_DATABASE);
	exchange->operation = kind_name(head->kind);
	exchange->status = -1;
	exchange->rows = exchange->affected = -1;
	exchange->namespace = buffer_span(&pg->database);
	exchange->user = (struct span){ NULL, 0 };
	switch (head->kind) {
	case REQUEST_LOGIN:
		describe_login(pg, head);
		break;
	case REQUEST_QUERY:
		describe_statement(pg, head->statement, "query");
		break;
	case REQUEST_EXECUTE:
		describe_statement(pg, head->statement, "execute");
		break;
	case REQUEST_PARSE:
		describe_statement(pg, head->statement, "parse");
		break;
	case REQUEST_FUNCTION:
		exchange_number(exchange, "postgresql.function", head->number);
		break;
	default:
		break;
	}
	describe_columns(pg, head);
	if (head->kind == REQUEST_EXECUTE && head->portal)
		pgsql_parameters(pg, head->portal);
}

static void describe_error(struct pgsql *pg)
{
	struct exchange *exchange = &pg->exchange;
	const struct response *response = &pg->response;

	exchange->failed = response->failed || response->skipped;
	if (!response->failed)
		return;
	exchange->status = -1;
	exchange->message = piece_span(&response->texts, response->message);
	if (response->has_sqlstate)
		exchange->sqlstate = exchange->status_name = (struct span){
			response->sqlstate, sizeof(response->sqlstate) };
	exchange_text(exchange, "postgresql.severity",
		      piece_span(&response->texts, response->severity));
}

static void describe_copy(struct pgsql *pg, const struct request *head)
{
	static const char *const names[] = { NULL, "in", "out", "both" };
	struct exchange *exchange = &pg->exchange;
	const struct response *response = &pg->response;

	if (response->copy == COPY_NONE)
		return;
	exchange_text(exchange, "postgresql.copy",
		      span_string(names[response->copy]));
	if (response->copy_rows >= 0)
		exchange_number(exchange, "postgresql.copy.rows",
				response->copy_rows);
	exchange_number(exchange, "postgresql.copy.messages",
			(int64_t)(response->copied + head->copied));
	exchange_number(exchange, "postgresql.copy.bytes",
			(int64_t)(response->copied_bytes +
				  head->copied_bytes));
	/* One message is one row, but for the frame of the binary format. */
	if (response->copy == COPY_OUT)
		exchange->rows = response->copy_rows >= 0 ?
			response->copy_rows : (int64_t)response->copied;
}

static void describe_details(struct pgsql *pg, const struct request *head)
{
	struct exchange *exchange = &pg->exchange;
	const struct response *response = &pg->response;

	for (unsigned i = 0; i < response->tag_count; i++)
		exchange_text(exchange, "postgresql.tag",
			      piece_span(&response->texts, response->tags[i]));
	if (response->suspended)
		exchange_bool(exchange, "postgresql.suspended", true);
	if (response->skipped)
		exchange_bool(exchange, "postgresql.skipped", true);
	describe_copy(pg, head);
	for (unsigned i = 0; i < response->notice_count; i++) {
		exchange_text(exchange, "postgresql.notice.sqlstate",
			      piece_span(&response->texts,
					 response->notice_states[i]));
		exchange_payload(exchange, "postgresql.notice.message",
				 piece_span(&response->texts,
					    response->notices[i]));
	}
	exchange_text(exchange, "postgresql.authentication",
		      span_string(response->authentication));
	if (response->reply)
		exchange_text(exchange, "postgresql.reply",
			      (struct span){ &response->reply, 1 });
}

bool pgsql_is_sure(const struct pgsql *pg)
{
	return pg->group.pairing != PAIRING_OPEN &&
	       pg->group.pairing != PAIRING_UNSURE;
}

static void send_exchange(struct pgsql *pg)
{
	if (pg->observer && pg->observer->exchange)
		pg->observer->exchange(pg->observer->context, &pg->exchange);
	exchange_done(&pg->exchange);
	pg->response.described = false;
}

static bool is_answered(const struct pgsql *pg, const struct request *head)
{
	return head->kind != REQUEST_TERMINATE &&
	       head->kind != REQUEST_CANCEL && !pg->response.skipped &&
	       pg->group.started && !pg->group.damaged &&
	       !(pg->group.late && !pg->response.results);
}

static void report_as(struct pgsql *pg, const struct request *head)
{
	struct exchange *exchange = &pg->exchange;
	const struct response *response = &pg->response;

	if (is_answered(pg, head))
		exchange->status = 0;
	exchange->rows = response->rows;
	exchange->affected = response->affected;
	exchange->results = response->results ? response->results : 1;
	describe_error(pg);
	describe_details(pg, head);
	pending_describe(&response->pending, exchange);
	exchange->complete = !response->pending.damaged &&
			     !pg->group.damaged && !pg->group.late &&
			     pgsql_is_sure(pg);
	if (head->after_gap && !pgsql_is_sure(pg))
		exchange->namespace = (struct span){ NULL, 0 };
	send_exchange(pg);
}

void pgsql_report(struct pgsql *pg)
{
	struct request *head = pgsql_head(pg);

	pgsql_fold(pg, head);
	pgsql_describe(pg);
	report_as(pg, head);
}

void pgsql_report_prepared(struct pgsql *pg)
{
	struct request parse = { .kind = REQUEST_PARSE };
	const struct statement *statement = pg->response.prepared;
	struct exchange *exchange = &pg->exchange;

	exchange_reset(exchange, "postgresql", FAMILY_DATABASE);
	exchange->operation = kind_name(REQUEST_PARSE);
	exchange->namespace = buffer_span(&pg->database);
	describe_statement(pg, statement, "parse");
	pgsql_columns_copy(&pg->columns, &statement->columns);
	describe_columns(pg, &parse);
	report_as(pg, &parse);
}

void pgsql_report_notification(struct pgsql *pg, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct exchange *exchange = &pg->exchange;
	struct span channel;

	cursor_take(&c, 4); /* the process that notifies */
	channel = cursor_nul_string(&c);
	exchange_reset(exchange, "postgresql", FAMILY_DATABASE);
	exchange->operation = "NOTIFICATION";
	exchange->status = exchange->rows = exchange->affected = -1;
	exchange->namespace = buffer_span(&pg->database);
	exchange->subject = channel;
	exchange_text(exchange, "postgresql.channel", channel);
	exchange_payload(exchange, "postgresql.payload",
			 cursor_nul_string(&c));
	exchange->response_bytes = message->wire_bytes;
	exchange->start_ns = exchange->first_byte_ns = message->first_ns;
	exchange->end_ns = message->last_ns;
	exchange->tid = message->tid;
	exchange->complete = !message->holed;
	exchange->missed_bytes = message->missed;
	send_exchange(pg);
}

void pgsql_report_fatal(struct pgsql *pg, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct exchange *exchange = &pg->exchange;
	struct span severity = { NULL, 0 };
	uint8_t field;

	exchange_reset(exchange, "postgresql", FAMILY_DATABASE);
	exchange->operation = "ERROR";
	exchange->failed = true;
	exchange->status = exchange->rows = exchange->affected = -1;
	while ((field = (uint8_t)cursor_uint(&c, 1))) {
		struct span text = cursor_nul_string(&c);

		if (c.bad)
			break;
		if (field == 'V' || (field == 'S' && !severity.bytes))
			severity = text;
		else if (field == 'M')
			exchange->message = text;
		else if (field == 'C')
			exchange->sqlstate = exchange->status_name = text;
	}
	/* Others answer a request from before the start. */
	if (!span_is(severity, "FATAL") && !span_is(severity, "PANIC"))
		return;
	exchange_text(exchange, "postgresql.severity", severity);
	exchange->namespace = buffer_span(&pg->database);
	exchange->response_bytes = message->wire_bytes;
	exchange->start_ns = exchange->first_byte_ns = message->first_ns;
	exchange->end_ns = message->last_ns;
	exchange->tid = message->tid;
	/* Behind a gap it may be the answer to what was lost. */
	exchange->complete = !message->holed && !pg->client_gap &&
			     !pg->doubt && !pg->unmarked;
	exchange->missed_bytes = message->missed;
	send_exchange(pg);
}
