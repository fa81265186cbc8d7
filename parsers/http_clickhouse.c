/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_clickhouse.c - ClickHouse's HTTP interface: who asks what of which
 * database, and how many rows came back.
 *
 * The statement stands in the parameter `query`, in the request's body, or
 * begins in the one and ends in the other; of an INSERT the rest of the body
 * is data, which is no part of it.  Told by X-ClickHouse-* headers, of the
 * request or of the response; a port or a path alone proves nothing.
 * Source: https://clickhouse.com/docs/en/interfaces/http
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "parsers/buffer.h"
#include "parsers/http.h"
#include "parsers/json_reader.h"
#include "parsers/sql.h"

#define NAME_BYTES_MAX	  128 /* of a database, a user, a format */
#define ERROR_BYTES_MAX	  512 /* of an exception's text */

struct clickhouse {
	bool proven;
	bool data;	       /* the request's body is no part of it */
	struct buffer text;    /* the statement */
	bool cut;	       /* it is longer */
	char database[NAME_BYTES_MAX], user[NAME_BYTES_MAX];
	char format[NAME_BYTES_MAX]; /* of the response */
	int64_t code;	       /* of an exception; -1: none was told */
	int64_t result_rows, written_rows; /* of the summary; -1: not told */
	uint64_t lines;	       /* of the response's body */
	int64_t json_rows;     /* what a body in JSON says; -1: nothing */
	bool body_lost;
	struct buffer error;   /* how the response's body begins */
	struct json_reader *json;
	struct sql_description description;
	char *masked, *redacted;
};

static bool begins_with(struct span text, const char *prefix)
{
	size_t length = strlen(prefix);

	return text.length >= length &&
	       !strncasecmp(text.bytes, prefix, length);
}

static bool has_headers(const struct http_head *head)
{
	for (size_t i = 0; i < head->header_count; i++)
		if (begins_with(head->headers[i].name, "x-clickhouse-"))
			return true;
	return false;
}

/* A parameter of the target, still encoded; bytes NULL: it has none such. */
static struct span parameter(struct span target, const char *name)
{
	size_t length = strlen(name);
	const char *end = target.bytes + target.length;
	const char *at = target.length ?
		memchr(target.bytes, '?', target.length) : NULL;

	while (at && at + 1 < end) {
		const char *next, *stop;

		at++;
		next = memchr(at, '&', (size_t)(end - at));
		stop = next ? next : end;

		if ((size_t)(stop - at) > length && at[length] == '=' &&
		    !memcmp(at, name, length)) {
			at += length + 1;
			return (struct span){ at, (size_t)(stop - at) };
		}
		at = next;
	}
	return (struct span){ NULL, 0 };
}

static enum http_match clickhouse_match(const struct http_head *request)
{
	struct span target = request->target;

	if (has_headers(request))
		return HTTP_YES;
	if (!target.bytes || !(span_is(request->method, "POST") ||
			       span_is(request->method, "GET")))
		return HTTP_NO;
	if (parameter(target, "query").bytes ||
	    parameter(target, "database").bytes)
		return HTTP_MAYBE;
	if (span_is(request->method, "POST") &&
	    (span_is(target, "/") || begins_with(target, "/?")))
		return HTTP_MAYBE;
	return HTTP_NO;
}

static int hex_of(char c)
{
	if (!isxdigit((unsigned char)c))
		return -1;
	return isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Appends percent-encoded text decoded; false: cut to `bound`. */
static bool append_decoded(struct buffer *buffer, struct span text,
			   size_t bound)
{
	for (size_t i = 0; i < text.length; i++) {
		char c = text.bytes[i] == '+' ? ' ' : text.bytes[i];

		if (c == '%' && i + 2 < text.length &&
		    hex_of(text.bytes[i + 1]) >= 0 &&
		    hex_of(text.bytes[i + 2]) >= 0) {
			c = (char)(hex_of(text.bytes[i + 1]) << 4 |
				   hex_of(text.bytes[i + 2]));
			i += 2;
		}
		if (!buffer_gather(buffer, &c, 1, bound))
			return false;
	}
	return true;
}

static void keep_name(char *name, struct span text)
{
	if (!text.length || text.length >= NAME_BYTES_MAX)
		return;
	memcpy(name, text.bytes, text.length);
	name[text.length] = '\0';
}

/* The header's value, else the parameter's. */
static void keep_either(char *name, const struct http_head *request,
			const char *header, const char *key)
{
	struct buffer decoded = { NULL, 0, 0 };

	keep_name(name, http_header(request, header));
	if (!*name && append_decoded(&decoded, parameter(request->target, key),
				     NAME_BYTES_MAX))
		keep_name(name, buffer_span(&decoded));
	buffer_free(&decoded);
}

static bool is_insert(const struct buffer *text)
{
	struct sql_lexer lexer = sql_lexer_of((const char *)text->bytes,
					      text->length, 0);
	struct sql_token token;

	do {
		token = sql_lexer_next(&lexer);
	} while (token.kind == SQL_SPACE || token.kind == SQL_COMMENT);
	return sql_token_is(&token, "INSERT");
}

static void take_event(void *context, struct json_reader *reader,
		       const struct json_event *event)
{
	struct clickhouse *ch = context;

	(void)reader;
	if (event->kind == JSON_NUMBER && !strcmp(event->path, "rows"))
		ch->json_rows = event->number;
}

static void clickhouse_close(void *state)
{
	struct clickhouse *ch = state;

	buffer_free(&ch->text);
	buffer_free(&ch->error);
	json_reader_free(ch->json);
	free(ch->masked);
	free(ch->redacted);
	free(ch);
}

static void *clickhouse_open(const struct http_head *request,
			     const struct observer *observer)
{
	struct clickhouse *ch = calloc(1, sizeof(*ch));
	struct span query = parameter(request->target, "query");

	(void)observer;
	if (!ch)
		return NULL;
	ch->proven = has_headers(request);
	ch->code = ch->result_rows = ch->written_rows = ch->json_rows = -1;
	keep_either(ch->database, request, "x-clickhouse-database", "database");
	keep_either(ch->user, request, "x-clickhouse-user", "user");
	ch->cut = !append_decoded(&ch->text, query, STATEMENT_BYTES_MAX);
	if (ch->text.length) {
		ch->data = is_insert(&ch->text);
		buffer_append(&ch->text, "\n", 1);
	}
	/* In blocks of ClickHouse's own making. */
	if (span_is(parameter(request->target, "decompress"), "1"))
		ch->data = true;
	return ch;
}

/* A decimal number behind quotes, colons and blanks; -1: there is none. */
static int64_t number_at(struct span text)
{
	int64_t number = -1;
	size_t i = 0;

	while (i < text.length && strchr("\": ", text.bytes[i]))
		i++;
	for (; i < text.length && isdigit((unsigned char)text.bytes[i]); i++) {
		if (number > (INT64_MAX - 9) / 10)
			return -1;
		number = 10 * (number < 0 ? 0 : number) + text.bytes[i] - '0';
	}
	return number;
}

/* "key":"123" of the summary, which is flat; -1: not there. */
static int64_t summary_number(struct span summary, const char *key)
{
	const char *at = summary.length ?
		memmem(summary.bytes, summary.length, key, strlen(key)) : NULL;

	if (!at)
		return -1;
	at += strlen(key);
	return number_at((struct span){
		at, summary.length - (size_t)(at - summary.bytes) });
}

static void clickhouse_response(void *state, const struct http_head *head)
{
	struct clickhouse *ch = state;
	struct span summary = http_header(head, "x-clickhouse-summary");
	struct span code = http_header(head, "x-clickhouse-exception-code");

	ch->proven |= has_headers(head);
	ch->result_rows = summary_number(summary, "\"result_rows\"");
	ch->written_rows = summary_number(summary, "\"written_rows\"");
	ch->code = number_at(code);
	keep_name(ch->format, http_header(head, "x-clickhouse-format"));
	if (ch->proven && (!strcmp(ch->format, "JSON") ||
			   !strcmp(ch->format, "JSONCompact") ||
			   !strcmp(ch->format, "JSONStrings")))
		ch->json = json_reader_new(take_event, ch);
}

static void clickhouse_body(void *state, enum side side, const uint8_t *bytes,
			    size_t length)
{
	struct clickhouse *ch = state;
	const uint8_t *at = bytes, *end = bytes + length;

	if (side == SIDE_CLIENT) {
		if (!ch->data &&
		    !buffer_gather(&ch->text, bytes, length,
				   STATEMENT_BYTES_MAX))
			ch->cut = true;
		return;
	}
	if (!ch->proven)
		return;
	buffer_gather(&ch->error, bytes, length, ERROR_BYTES_MAX);
	if (ch->json) {
		json_reader_feed(ch->json, bytes, length);
		return;
	}
	for (; (at = memchr(at, '\n', (size_t)(end - at))); at++)
		ch->lines++;
}

static void clickhouse_gap(void *state, enum side side)
{
	struct clickhouse *ch = state;

	if (side == SIDE_CLIENT && !ch->data)
		ch->cut = true;
	else if (side == SIDE_SERVER)
		ch->body_lost = true;
}

/* Rows in the body of a format that has a line for each; -1: it has not. */
static int64_t rows_in_lines(const struct clickhouse *ch)
{
	static const struct {
		const char *format;
		int64_t titles; /* lines that hold none */
	} formats[] = {
		{ "TabSeparated", 0 }, { "TSV", 0 }, { "TabSeparatedRaw", 0 },
		{ "TSVRaw", 0 }, { "TabSeparatedWithNames", 1 },
		{ "TSVWithNames", 1 }, { "TabSeparatedWithNamesAndTypes", 2 },
		{ "TSVWithNamesAndTypes", 2 }, { "JSONEachRow", 0 },
		{ "NDJSON", 0 }, { "JSONLines", 0 },
		{ "JSONCompactEachRow", 0 }, { "JSONStringsEachRow", 0 },
		{ "JSONCompactEachRowWithNamesAndTypes", 2 },
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (!strcmp(ch->format, formats[i].format))
			return (int64_t)ch->lines < formats[i].titles ? 0 :
				(int64_t)ch->lines - formats[i].titles;
	return -1;
}

/* The summary may be sent before the rows are: a body knows better. */
static int64_t rows_of(const struct clickhouse *ch)
{
	int64_t rows = ch->json ? ch->json_rows : rows_in_lines(ch);

	if (rows >= 0 && !ch->body_lost)
		return rows;
	return ch->result_rows > 0 ? ch->result_rows : -1;
}

/* Behind "FORMAT name" of an INSERT data begin, which are no SQL. */
static size_t without_data(const struct buffer *text)
{
	struct sql_lexer lexer = sql_lexer_of((const char *)text->bytes,
					      text->length, 0);
	bool format = false;
	struct sql_token token;

	if (!is_insert(text))
		return text->length;
	while ((token = sql_lexer_next(&lexer)).kind != SQL_END) {
		if (format && token.kind != SQL_SPACE)
			return (size_t)(token.at + token.length -
					(const char *)text->bytes);
		if (sql_token_is(&token, "VALUES"))
			break;
		format |= sql_token_is(&token, "FORMAT");
	}
	return text->length;
}

static void describe_statement(struct clickhouse *ch,
			       struct exchange *exchange)
{
	const char *text = (const char *)ch->text.bytes;
	size_t length = without_data(&ch->text);

	while (length && isspace((unsigned char)text[length - 1]))
		length--;
	exchange->statement = exchange->masked = (struct span){ NULL, 0 };
	exchange->statement_cut = ch->cut;
	ch->masked = length ? malloc(SQL_ROOM(length)) : NULL;
	ch->redacted = length ? malloc(SQL_ROOM(length)) : NULL;
	if (!ch->masked || !ch->redacted)
		return;
	exchange->masked = (struct span){
		ch->masked, sql_mask(text, length, 0, ch->masked) };
	exchange->statement = (struct span){
		ch->redacted, sql_redact(text, length, 0, ch->redacted) };
	sql_describe(&ch->description, text, length, 0);
	if (*ch->description.operation)
		exchange->operation = ch->description.operation;
	exchange->target_count = ch->description.table_count;
	memcpy(exchange->targets, ch->description.tables,
	       ch->description.table_count * sizeof(struct span));
}

/* "Code: 60. DB::Exception: Table ... (UNKNOWN_TABLE) (version ...)" */
static void describe_error(struct clickhouse *ch, struct exchange *exchange)
{
	struct span text = buffer_span(&ch->error);
	const char *open, *close;

	if (ch->code < 0 && begins_with(text, "Code: "))
		ch->code = summary_number(text, "Code: ");
	if (ch->code <= 0 && exchange->status < 400) {
		exchange->status = exchange->status < 0 ? -1 : 0;
		return;
	}
	exchange->failed = true;
	if (ch->code > 0)
		exchange->status = ch->code;
	while (text.length && text.bytes[text.length - 1] == '\n')
		text.length--;
	exchange->message = text;
	open = text.length ? memmem(text.bytes, text.length, ") (version", 10) :
			     NULL;
	close = open;
	while (open && open > text.bytes && *open != '(')
		open--;
	if (open && *open == '(')
		exchange->status_name = (struct span){
			open + 1, (size_t)(close - open) - 1 };
}

/* The target as sent holds the statement, and a password may stand in it. */
static void drop_target(struct exchange *exchange)
{
	size_t kept = 0;

	for (size_t i = 0; i < exchange->attribute_count; i++) {
		const char *key = exchange->attributes[i].key;

		if (!strcmp(key, "url.original") || !strcmp(key, "url.query"))
			continue;
		exchange->attributes[kept++] = exchange->attributes[i];
	}
	exchange->attribute_count = kept;
}

static bool clickhouse_finish(void *state, struct exchange *exchange)
{
	struct clickhouse *ch = state;

	if (!ch->proven)
		return false;
	exchange->system = "clickhouse";
	exchange->family = FAMILY_DATABASE;
	drop_target(exchange);
	describe_statement(ch, exchange);
	describe_error(ch, exchange);
	if (*ch->database)
		exchange->namespace = span_string(ch->database);
	if (*ch->user)
		exchange->user = span_string(ch->user);
	if (*ch->format)
		exchange_text(exchange, "datasnoop.clickhouse.format",
			      span_string(ch->format));
	if (!exchange->failed && is_insert(&ch->text))
		exchange->affected = ch->written_rows;
	else if (!exchange->failed)
		exchange->rows = rows_of(ch);
	return true;
}

const struct http_application http_clickhouse = {
	.name = "clickhouse",
	.match = clickhouse_match,
	.open = clickhouse_open,
	.response = clickhouse_response,
	.body = clickhouse_body,
	.gap = clickhouse_gap,
	.finish = clickhouse_finish,
	.close = clickhouse_close,
};
