/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_describe.c - what is known of a transaction, as an exchange.
 *
 * Keys are OpenTelemetry's where it has one (url.*, http.*, user_agent.*,
 * network.protocol.version); datasnoop.http.* are our own.
 * Source: https://opentelemetry.io/docs/specs/semconv/registry/attributes/http/
 */
#include "parsers/http_transaction.h"

#define PART_NAME  "datasnoop.http.multipart.name"
#define PART_FILE  "datasnoop.http.multipart.filename"
#define PART_COUNT "datasnoop.http.multipart.parts"

/* The keys of what both sides have. */
struct side_keys {
	const char *type, *coding, *size, *decoded, *trouble, *gap, *chunked,
		*cookie;
};

static const struct side_keys keys[SIDES] = {
	[SIDE_CLIENT] = {
		"http.request.header.content-type",
		"http.request.header.content-encoding",
		"http.request.body.size",
		"datasnoop.http.request.body.decoded_size",
		"datasnoop.http.request.body.not_decoded",
		"datasnoop.http.request.body.missed",
		"datasnoop.http.request.chunked",
		"datasnoop.http.request.cookie",
	},
	[SIDE_SERVER] = {
		"http.response.header.content-type",
		"http.response.header.content-encoding",
		"http.response.body.size",
		"datasnoop.http.response.body.decoded_size",
		"datasnoop.http.response.body.not_decoded",
		"datasnoop.http.response.body.missed",
		"datasnoop.http.response.chunked",
		"datasnoop.http.response.cookie",
	},
};

static void describe_side(const struct http_transaction *t, enum side which,
			  struct exchange *exchange)
{
	const struct http_side *side = &t->sides[which];
	const struct side_keys *key = &keys[which];
	const char *trouble = NULL;

	if (!side->head)
		return;
	exchange_text(exchange, key->type, http_text_span(t, side->type));
	exchange_text(exchange, key->coding, http_text_span(t, side->coding));
	if (side->chunked)
		exchange_bool(exchange, key->chunked, true);
	exchange_number(exchange, key->size, (int64_t)side->body_bytes);
	if (side->content) {
		exchange_number(exchange, key->decoded,
				(int64_t)http_content_size(side->content));
		trouble = http_content_trouble(side->content);
	}
	if (trouble)
		exchange_text(exchange, key->trouble, span_string(trouble));
	if (side->gap_bytes)
		exchange_number(exchange, key->gap, (int64_t)side->gap_bytes);
	for (unsigned i = 0; i < side->cookie_count; i++)
		exchange_text(exchange, key->cookie,
			      http_text_span(t, side->cookies[i]));
}

static void describe_parts(const struct http_multipart *multipart,
			   struct exchange *exchange)
{
	uint64_t count = http_multipart_count(multipart);

	exchange_number(exchange, PART_COUNT, (int64_t)count);
	for (unsigned i = 0; i < count && i < HTTP_PARTS_MAX; i++) {
		exchange_text(exchange, PART_NAME,
			      http_multipart_name(multipart, i));
		exchange_text(exchange, PART_FILE,
			      http_multipart_file(multipart, i));
	}
}

static void describe_target(const struct http_transaction *t,
			    struct exchange *exchange, struct buffer *masked)
{
	struct span target = http_text_span(t, t->target);

	if (!target.bytes) {
		if (t->sides[SIDE_CLIENT].head)
			exchange_bool(exchange, "datasnoop.http.target.unknown",
				      true);
		return;
	}
	http_target_mask(masked, target);
	exchange->statement = target;
	exchange->statement_cut = t->target_cut;
	exchange->masked = buffer_span(masked);
	exchange_text(exchange, "datasnoop.http.target", exchange->masked);
	exchange_payload(exchange, "url.original", target);
	exchange_text(exchange, "url.path", http_target_path(target));
	exchange_payload(exchange, "url.query", http_target_query(target));
}

static void describe_request(const struct http_transaction *t,
			     struct exchange *exchange, struct buffer *masked)
{
	struct span method = http_text_span(t, t->method);

	exchange->operation = "UNKNOWN";
	/* Kept with a NUL behind it, but for want of memory. */
	if (method.length && t->method.at + method.length < t->text.length &&
	    !method.bytes[method.length])
		exchange->operation = method.bytes;
	exchange_text(exchange, "http.request.method", method);
	describe_target(t, exchange, masked);
	exchange_text(exchange, "url.scheme", http_text_span(t, t->scheme));
	exchange_text(exchange, "http.request.header.host",
		      http_text_span(t, t->authority));
	exchange_text(exchange, "user_agent.original",
		      http_text_span(t, t->agent));
	exchange_text(exchange, "datasnoop.http.auth.scheme",
		      http_text_span(t, t->auth_scheme));
	exchange_text(exchange, "datasnoop.http.auth.user",
		      http_text_span(t, t->auth_user));
	exchange_text(exchange, "datasnoop.http.proxy_auth.scheme",
		      http_text_span(t, t->proxy_scheme));
	exchange_text(exchange, "datasnoop.http.api_key",
		      http_text_span(t, t->api_key));
	exchange_text(exchange, "datasnoop.http.upgrade",
		      http_text_span(t, t->upgrade));
	describe_side(t, SIDE_CLIENT, exchange);
	if (t->multipart)
		describe_parts(t->multipart, exchange);
}

static void describe_response(const struct http_transaction *t,
			      struct exchange *exchange)
{
	for (unsigned i = 0; i < t->interim_count; i++)
		exchange_number(exchange, "datasnoop.http.interim",
				t->interim[i]);
	if (t->status) {
		exchange->status = t->status;
		exchange->failed = t->status >= 400;
		exchange_number(exchange, "http.response.status_code",
				t->status);
	}
	exchange_text(exchange, "datasnoop.http.reason",
		      http_text_span(t, t->reason));
	if (exchange->failed && t->reason.length)
		exchange->message = http_text_span(t, t->reason);
	describe_side(t, SIDE_SERVER, exchange);
	if (t->streams)
		exchange_number(exchange, "datasnoop.http.sse_events",
				(int64_t)t->events.events);
}

void http_describe(const struct http_transaction *transaction,
		   struct exchange *exchange, struct buffer *masked)
{
	const struct http_transaction *t = transaction;

	exchange_reset(exchange, t->system, FAMILY_OTHER);
	pending_describe(&t->pending, exchange);
	exchange_text(exchange, "network.protocol.version",
		      span_string(t->version));
	describe_request(t, exchange, masked);
	describe_response(t, exchange);
	if (t->stream)
		exchange_number(exchange, "datasnoop.http.stream", t->stream);
	/* NO_ERROR stops an upload that isn't needed: RFC 9113 section 8.1. */
	if (t->reset >= 0) {
		exchange_number(exchange, "datasnoop.http.reset", t->reset);
		exchange->failed = exchange->failed || t->reset > 0;
	}
	for (unsigned i = 0; i < t->note_count; i++)
		exchange_text(exchange, t->notes[i].key,
			      span_string(t->notes[i].text));
}
