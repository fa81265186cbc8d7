/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_transaction.c - a request and its response, put together.
 *
 * Of heads only what an exchange tells is copied, in one bounded buffer, and
 * secrets are left behind here: what is not kept can't be shown.  Bodies pass
 * through to those who asked for them; where nobody did they are counted and
 * not touched.
 * Source: RFC 9110.
 */
#include "parsers/http_transaction.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct span http_text_span(const struct http_transaction *transaction,
			   struct http_text text)
{
	const char *bytes = (const char *)transaction->text.bytes;

	if (!text.known)
		return (struct span){ NULL, 0 };
	if (!text.length)
		return (struct span){ "", 0 };
	return (struct span){ bytes + text.at, text.length };
}

struct span http_header(const struct http_head *head, const char *name)
{
	for (size_t i = 0; i < head->header_count; i++)
		if (span_is(head->headers[i].name, name))
			return head->headers[i].value;
	return (struct span){ NULL, 0 };
}

/* What was appended to the text since it was `at` bytes long. */
static struct http_text text_since(const struct http_transaction *transaction,
				   size_t at)
{
	return (struct http_text){ (uint32_t)at,
				   (uint32_t)(transaction->text.length - at),
				   true };
}

/* Keeps a field, cut to `most` bytes. */
static struct http_text keep_most(struct http_transaction *transaction,
				  struct span span, size_t most)
{
	size_t at = transaction->text.length;

	if (!span.bytes)
		return (struct http_text){ 0, 0, false };
	if (span.length > most)
		span.length = most;
	buffer_gather(&transaction->text, span.bytes, span.length,
		      HTTP_KEPT_BYTES_MAX);
	return text_since(transaction, at);
}

static struct http_text keep(struct http_transaction *transaction,
			     struct span span)
{
	return keep_most(transaction, span, HTTP_FIELD_BYTES_MAX);
}

struct http_transaction *http_transaction_new(const struct observer *observer,
					      const char *system,
					      const char *version)
{
	struct http_transaction *transaction = calloc(1, sizeof(*transaction));

	if (!transaction)
		return NULL;
	transaction->observer = observer;
	transaction->system = system;
	transaction->version = version;
	transaction->reset = -1;
	return transaction;
}

void http_transaction_moved(struct http_transaction *transaction,
			    enum side side, const struct window *window,
			    size_t at, size_t length)
{
	if (side == SIDE_CLIENT)
		pending_request(&transaction->pending, window, at, length);
	else
		pending_response(&transaction->pending, window, at, length);
}

/* The name of a cookie: what precedes the first `=` (RFC 6265). */
static void keep_cookie(struct http_transaction *transaction,
			struct http_side *side, struct span cookie)
{
	const char *equals;

	while (cookie.length && *cookie.bytes == ' ') {
		cookie.bytes++;
		cookie.length--;
	}
	equals = cookie.length ? memchr(cookie.bytes, '=', cookie.length) :
				 NULL;
	/* Without a name all of it is the value. */
	if (!equals || side->cookie_count == HTTP_COOKIES_MAX)
		return;
	cookie.length = (size_t)(equals - cookie.bytes);
	side->cookies[side->cookie_count++] = keep(transaction, cookie);
}

/* Cookie: a=1; b=2 */
static void keep_cookies(struct http_transaction *transaction,
			 struct http_side *side, struct span list)
{
	while (list.length) {
		const char *end = memchr(list.bytes, ';', list.length);
		size_t length = end ? (size_t)(end - list.bytes) : list.length;

		keep_cookie(transaction, side,
			    (struct span){ list.bytes, length });
		length += end != NULL;
		list.bytes += length;
		list.length -= length;
	}
}

/* Appends a coding of a list, or of another list of the same. */
static void keep_coding(struct http_transaction *transaction,
			struct http_side *side, struct span codings)
{
	struct span before = http_text_span(transaction, side->coding);
	char list[HTTP_FIELD_BYTES_MAX];
	size_t room = sizeof(list) - 2, length = 0;

	if (before.length > room || codings.length > room - before.length)
		return;
	if (before.length) {
		memcpy(list, before.bytes, before.length);
		length = before.length;
		list[length++] = ',';
		list[length++] = ' ';
	}
	memcpy(list + length, codings.bytes, codings.length);
	length += codings.length;
	side->coding = keep(transaction, (struct span){ list, length });
}

/*
 * Codings of Transfer-Encoding other than chunked were applied last: RFC 9112
 * section 6.1.  "gzip, chunked" leaves "gzip".
 */
static void keep_transfer(struct http_transaction *transaction,
			  struct http_side *side, struct span list)
{
	while (list.length) {
		const char *end = memchr(list.bytes, ',', list.length);
		size_t length = end ? (size_t)(end - list.bytes) : list.length;
		struct span coding = { list.bytes, length };

		while (coding.length && strchr(" \t", *coding.bytes)) {
			coding.bytes++;
			coding.length--;
		}
		while (coding.length &&
		       strchr(" \t", coding.bytes[coding.length - 1]))
			coding.length--;
		if (span_is_nocase(coding, "chunked"))
			side->chunked = true;
		else if (coding.length)
			keep_coding(transaction, side, coding);
		length += end != NULL;
		list.bytes += length;
		list.length -= length;
	}
}

static void keep_credentials(struct http_transaction *transaction,
			     struct span credentials)
{
	size_t at;

	transaction->auth_scheme = keep(transaction,
		span_string(http_auth_scheme(credentials)));
	at = transaction->text.length;
	if (http_auth_user(&transaction->text, credentials,
			   HTTP_KEPT_BYTES_MAX))
		transaction->auth_user = text_since(transaction, at);
	else
		transaction->text.length = at;
}

static void keep_request_header(struct http_transaction *transaction,
				const struct http_header *header)
{
	struct http_side *side = &transaction->sides[SIDE_CLIENT];

	if (span_is(header->name, "user-agent"))
		transaction->agent = keep(transaction, header->value);
	else if (span_is(header->name, "authorization"))
		keep_credentials(transaction, header->value);
	else if (span_is(header->name, "proxy-authorization"))
		transaction->proxy_scheme = keep(transaction,
			span_string(http_auth_scheme(header->value)));
	else if (span_is(header->name, "cookie"))
		keep_cookies(transaction, side, header->value);
	else if (span_is(header->name, "upgrade"))
		transaction->upgrade = keep(transaction, header->value);
	else if (http_header_is_key(header->name))
		transaction->api_key = keep(transaction, header->name);
}

/* What both kinds of heads have. */
static void keep_common(struct http_transaction *transaction,
			enum side which, const struct http_head *head)
{
	struct http_side *side = &transaction->sides[which];

	for (size_t i = 0; i < head->header_count; i++) {
		const struct http_header *header = &head->headers[i];

		if (span_is(header->name, "content-type"))
			side->type = keep(transaction, header->value);
		else if (span_is(header->name, "content-encoding"))
			keep_coding(transaction, side, header->value);
		else if (which == SIDE_CLIENT)
			keep_request_header(transaction, header);
		else if (span_is(header->name, "set-cookie"))
			keep_cookie(transaction, side, header->value);
	}
	for (size_t i = 0; i < head->header_count; i++)
		if (span_is(head->headers[i].name, "transfer-encoding"))
			keep_transfer(transaction, side,
				      head->headers[i].value);
	side->head = true;
	side->incomplete = head->incomplete;
	side->coded = !http_content_is_identity(
		http_text_span(transaction, side->coding));
}

/* May a person read it?  Then a classifier should. */
static bool type_is_readable(struct span type)
{
	static const char *const readable[] = {
		"json", "xml", "x-www-form-urlencoded", "javascript",
		"graphql", "ndjson", "yaml", "csv",
	};
	const char *end = type.bytes ? memchr(type.bytes, ';', type.length) :
				       NULL;

	if (end)
		type.length = (size_t)(end - type.bytes);
	if (type.length >= 5 && !strncasecmp(type.bytes, "text/", 5))
		return true;
	for (size_t i = 0; i < sizeof(readable) / sizeof(*readable); i++) {
		size_t length = strlen(readable[i]);

		for (size_t at = 0; at + length <= type.length; at++)
			if (!strncasecmp(type.bytes + at, readable[i], length))
				return true;
	}
	return false;
}

static void expect_body(struct http_transaction *transaction,
			enum side which)
{
	struct http_side *side = &transaction->sides[which];
	struct span type = http_text_span(transaction, side->type);

	side->sampled = transaction->observer->value && type_is_readable(type);
	if (which == SIDE_CLIENT)
		transaction->multipart = http_multipart_new(type);
	else
		transaction->streams = type.length >= 17 &&
			!strncasecmp(type.bytes, "text/event-stream", 17);
}

static void drop_candidates(struct http_transaction *transaction)
{
	for (unsigned i = 0; i < transaction->candidate_count; i++)
		transaction->candidates[i].application->close(
			transaction->candidates[i].state);
	transaction->candidate_count = 0;
}

static void ask_applications(struct http_transaction *transaction,
			     const struct http_head *request)
{
	const struct http_application *const *a;

	for (a = http_applications; *a; a++) {
		enum http_match match = (*a)->match(request);
		struct http_candidate *candidate;

		if (match == HTTP_NO)
			continue;
		if (match == HTTP_YES)
			drop_candidates(transaction);
		if (transaction->candidate_count == HTTP_CANDIDATES_MAX)
			return;
		candidate = &transaction->candidates[
			transaction->candidate_count];
		candidate->application = *a;
		candidate->state = (*a)->open(request, transaction->observer);
		transaction->candidate_count += candidate->state != NULL;
		if (match == HTTP_YES)
			return;
	}
}

static void take_request(struct http_transaction *transaction,
			 const struct http_head *head)
{
	size_t at;

	if (transaction->sides[SIDE_CLIENT].head)
		return;
	transaction->method = keep(transaction, head->method);
	/* The exchange's operation is a string of C. */
	buffer_append(&transaction->text, "", 1);
	at = transaction->text.length;
	if (head->target.bytes) {
		transaction->target_cut = !http_target_keep(
			&transaction->text, head->target,
			at + HTTP_TARGET_BYTES_MAX);
		transaction->target = text_since(transaction, at);
	}
	transaction->scheme = keep(transaction, head->scheme);
	transaction->authority = keep(transaction, head->authority);
	keep_common(transaction, SIDE_CLIENT, head);
	expect_body(transaction, SIDE_CLIENT);
	ask_applications(transaction, head);
}

static void take_response(struct http_transaction *transaction,
			  const struct http_head *head)
{
	/* 101 is the last of HTTP/1's answers on its connection. */
	if (head->status >= 100 && head->status < 200 && head->status != 101) {
		if (transaction->interim_count < HTTP_INTERIM_MAX)
			transaction->interim[transaction->interim_count++] =
				head->status;
		return;
	}
	if (transaction->sides[SIDE_SERVER].head)
		return;
	transaction->status = head->status;
	transaction->reason = keep(transaction, head->reason);
	keep_common(transaction, SIDE_SERVER, head);
	expect_body(transaction, SIDE_SERVER);
	for (unsigned i = 0; i < transaction->candidate_count; i++) {
		struct http_candidate *c = &transaction->candidates[i];

		if (c->application->response)
			c->application->response(c->state, head);
	}
}

void http_transaction_head(struct http_transaction *transaction,
			   enum side side, const struct http_head *head)
{
	if (head->incomplete)
		transaction->pending.damaged = true;
	if (side == SIDE_CLIENT)
		take_request(transaction, head);
	else
		take_response(transaction, head);
}

void http_transaction_trailers(struct http_transaction *transaction,
			       enum side side, const struct http_head *head)
{
	if (head->incomplete)
		transaction->pending.damaged = true;
	for (unsigned i = 0; i < transaction->candidate_count; i++) {
		struct http_candidate *c = &transaction->candidates[i];

		if (c->application->trailers)
			c->application->trailers(c->state, side, head);
	}
}

/* Content of a side, decoded, to all who asked. */
static void pass_content(struct http_transaction *transaction, enum side which,
			 const uint8_t *bytes, size_t length)
{
	struct http_side *side = &transaction->sides[which];

	if (side->sampled)
		side->sampled = buffer_gather(&side->sample, bytes, length,
					      VALUE_BYTES_MAX);
	if (which == SIDE_CLIENT && transaction->multipart)
		http_multipart_feed(transaction->multipart, bytes, length);
	if (which == SIDE_SERVER && transaction->streams)
		sse_feed(&transaction->events, NULL, bytes, length);
	for (unsigned i = 0; i < transaction->candidate_count; i++) {
		struct http_candidate *c = &transaction->candidates[i];

		if (c->application->body)
			c->application->body(c->state, which, bytes, length);
	}
}

static void pass_request(void *context, const uint8_t *bytes, size_t length)
{
	pass_content(context, SIDE_CLIENT, bytes, length);
}

static void pass_response(void *context, const uint8_t *bytes, size_t length)
{
	pass_content(context, SIDE_SERVER, bytes, length);
}

/* Nobody is shown more of that side's body. */
static void end_content(struct http_transaction *transaction, enum side which)
{
	struct http_side *side = &transaction->sides[which];

	if (side->body_over)
		return;
	side->body_over = true;
	for (unsigned i = 0; i < transaction->candidate_count; i++) {
		struct http_candidate *c = &transaction->candidates[i];

		if (c->application->gap)
			c->application->gap(c->state, which);
	}
}

static void decode(struct http_transaction *transaction, enum side which,
		   const uint8_t *bytes, size_t length)
{
	struct http_side *side = &transaction->sides[which];

	if (!side->content)
		side->content = http_content_new(
			http_text_span(transaction, side->coding),
			which == SIDE_CLIENT ? pass_request : pass_response,
			transaction);
	if (!side->content ||
	    http_content_feed(side->content, bytes, length) !=
		    HTTP_CONTENT_FINE)
		end_content(transaction, which);
}

void http_transaction_body(struct http_transaction *transaction,
			   enum side which, const uint8_t *bytes,
			   size_t length)
{
	struct http_side *side = &transaction->sides[which];

	side->body_bytes += length;
	if (side->body_over || !length)
		return;
	if (side->coded)
		decode(transaction, which, bytes, length);
	else
		pass_content(transaction, which, bytes, length);
}

void http_transaction_missed(struct http_transaction *transaction,
			     enum side which, uint64_t missed)
{
	pending_miss(&transaction->pending, missed);
	if (!transaction->sides[which].head)
		return;
	transaction->sides[which].gap_bytes += missed;
	end_content(transaction, which);
}

void http_transaction_stream(struct http_transaction *transaction,
			     uint32_t stream, int64_t reset)
{
	transaction->stream = stream;
	transaction->reset = reset;
}

void http_transaction_note(struct http_transaction *transaction,
			   const char *key, const char *text)
{
	for (unsigned i = 0; i < transaction->note_count; i++)
		if (transaction->notes[i].key == key &&
		    transaction->notes[i].text == text)
			return;
	if (transaction->note_count < HTTP_NOTES_MAX)
		transaction->notes[transaction->note_count++] =
			(struct http_note){ key, text };
}

bool http_transaction_has_head(const struct http_transaction *transaction,
			       enum side side)
{
	return transaction->sides[side].head;
}

struct span http_transaction_method(const struct http_transaction *transaction)
{
	return http_text_span(transaction, transaction->method);
}

/* The samples of both bodies, to a classifier, unless `owner` told of them. */
static void report_samples(const struct http_transaction *transaction,
			   const struct http_candidate *owner,
			   const struct exchange *exchange)
{
	const struct observer *observer = transaction->observer;

	for (int side = 0; side < SIDES; side++) {
		struct span sample =
			buffer_span(&transaction->sides[side].sample);

		if (owner && owner->application->told &&
		    owner->application->told(owner->state, (enum side)side))
			continue;
		if (sample.bytes && observer->value)
			observer->value(observer->context, exchange, -1,
					sample);
	}
}

static void report(struct http_transaction *transaction, bool complete)
{
	struct buffer masked = { NULL, 0, 0 };
	const struct http_candidate *owner = NULL;
	struct exchange exchange = { .lists = NULL };

	http_describe(transaction, &exchange, &masked);
	exchange.complete = exchange.complete && complete &&
			    transaction->sides[SIDE_CLIENT].head &&
			    transaction->sides[SIDE_SERVER].head;
	for (unsigned i = 0; i < transaction->candidate_count; i++) {
		struct http_candidate *c = &transaction->candidates[i];

		if (!c->application->finish(c->state, &exchange))
			continue;
		if (!exchange.application)
			exchange.application = c->application->name;
		owner = c;
		break;
	}
	report_samples(transaction, owner, &exchange);
	transaction->observer->exchange(transaction->observer->context,
					&exchange);
	exchange_done(&exchange);
	buffer_free(&masked);
}

void http_transaction_finish(struct http_transaction *transaction,
			     bool complete)
{
	if (transaction->sides[SIDE_CLIENT].head ||
	    transaction->sides[SIDE_SERVER].head ||
	    transaction->interim_count)
		report(transaction, complete);
	drop_candidates(transaction);
	for (int side = 0; side < SIDES; side++) {
		http_content_free(transaction->sides[side].content);
		buffer_free(&transaction->sides[side].sample);
	}
	http_multipart_free(transaction->multipart);
	buffer_free(&transaction->text);
	free(transaction);
}
