/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memcached_report.c - a request and its response -> an exchange.
 *
 * A line names keys and numbers, no value but incr's; values are in the data
 * blocks, of which nothing is in the statement.
 */
#include "parsers/memcached.h"

#include <string.h>

static struct span key_of(const struct cached *request, size_t index)
{
	return (struct span){
		(const char *)request->line.bytes + request->keys[index].at,
		request->keys[index].length,
	};
}

static void describe(struct memcached *mc, const struct cached *request)
{
	struct exchange *exchange = &mc->exchange;

	exchange_reset(exchange, memcached_parser.name, FAMILY_DATABASE);
	exchange->operation = request->name;
	exchange->statement_cut = request->cut;
	if (request->kind != MEMCACHED_UNKNOWN)
		exchange->statement = buffer_span(&request->line);
	exchange->masked = exchange->statement;
	for (size_t i = 0; i < request->key_count; i++)
		exchange->targets[i] = exchange->columns[i] =
			key_of(request, i);
	exchange->target_count = request->key_count;
}

void memcached_value(struct memcached *mc, const struct cached *request,
		     int column, struct span value)
{
	struct exchange *exchange = &mc->exchange;

	if (!mc->observer.value || !value.length)
		return;
	describe(mc, request);
	if (column < 0) {
		exchange->columns[0] = span_string("value");
		column = 0;
	}
	exchange->column_count = request->key_count ? request->key_count : 1;
	exchange->columns_total = exchange->column_count;
	mc->observer.value(mc->observer.context, exchange, column, value);
}

static bool is_get(const struct cached *request)
{
	return request->kind == MEMCACHED_GET ||
	       request->kind == MEMCACHED_GAT ||
	       !strncmp(request->name, "get", 3) ||
	       !strncmp(request->name, "gat", 3) ||
	       !strcmp(request->name, "mg");
}

static void describe_response(struct exchange *exchange,
			      const struct cached *request)
{
	if (request->response[0]) {
		exchange_text(exchange, "memcached.response",
			      span_string(request->response));
		exchange->status = request->status >= 0 ? request->status :
				   request->failed ? -1 : 0;
	}
	exchange->failed = request->failed;
	if (request->failed) {
		exchange->status_name = span_string(request->response);
		exchange->message = buffer_span(&request->message);
	}
	if (is_get(request) && request->response[0] && !request->failed) {
		exchange->rows = (int64_t)request->hits;
		exchange_number(exchange, "memcached.read_bytes",
				(int64_t)request->read_bytes);
	} else if (request->lines) {
		exchange->rows = (int64_t)request->lines;
	}
}

void memcached_report(struct memcached *mc, struct cached *request)
{
	struct exchange *exchange = &mc->exchange;

	describe(mc, request);
	if (request->value.length && mc->observer.value)
		mc->observer.value(mc->observer.context, exchange, -1,
				   buffer_span(&request->value));
	/* Values that were read: of which keys. */
	if (request->hits) {
		exchange->column_count = request->key_count;
		exchange->columns_total = request->keys_total;
	}
	if (request->keys_total)
		exchange_number(exchange, "memcached.keys",
				(int64_t)request->keys_total);
	if (request->stores) {
		exchange_number(exchange, "memcached.value.length",
				(int64_t)request->value_length);
		exchange_payload(exchange, "memcached.value",
				 buffer_span(&request->value));
	}
	if (request->silent || request->quiet)
		exchange_bool(exchange, "memcached.quiet", true);
	describe_response(exchange, request);
	pending_describe(&request->pending, exchange);
	mc->observer.exchange(mc->observer.context, exchange);
	exchange_done(exchange);
}
