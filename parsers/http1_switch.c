/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http1_switch.c - what a connection speaks after 101, or after CONNECT.
 *
 * WebSocket and HTTP/2 (RFC 7540 section 3.2) by what the response names; any
 * other protocol, and what passes through a tunnel, by its first bytes, as
 * conversation.c finds out what a connection speaks.
 */
#include "parsers/http1.h"

#include <stdlib.h>

#include "parsers/http2.h"
#include "parsers/http_transaction.h"
#include "parsers/http_websocket.h"

#define TUNNEL_HEAD_BYTES 4096 /* of each side, to know a protocol by */

enum switch_kind {
	SWITCH_UNKNOWN,	  /* to be found out */
	SWITCH_WEBSOCKET,
	SWITCH_PARSER,	  /* another one's */
	SWITCH_OVER	  /* nobody's */
};

struct http1_switch {
	enum switch_kind kind;
	struct http_websocket *websocket;
	const struct parser *parser;
	void *state;
	bool reversed; /* who was the client here is the server there */
	struct buffer heads[SIDES];
	struct mark marks[SIDES];
};

static struct http1_switch *open_websocket(struct http1 *h,
					   struct http1_entry *entry,
					   struct span extensions)
{
	struct http1_switch *other = calloc(1, sizeof(*other));
	struct buffer masked = { NULL, 0, 0 };

	h->other = other;
	if (!other)
		return NULL;
	/* Of another's request it would be a lie in each message. */
	if (!entry->unproven)
		http_target_mask(&masked,
				 http_text_span(entry->transaction,
						entry->transaction->target));
	other->websocket = http_websocket_new(h->observer,
					      buffer_span(&masked),
					      extensions);
	other->kind = other->websocket ? SWITCH_WEBSOCKET : SWITCH_OVER;
	if (other->websocket && h->lanes[SIDE_CLIENT].adrift)
		http_websocket_unseen(other->websocket, SIDE_CLIENT);
	buffer_free(&masked);
	return other;
}

bool http1_switch_open(struct http1 *h, struct http1_entry *entry,
		       const struct http1_head *response)
{
	struct span upgrade = http_header(&response->head, "upgrade");
	struct span extensions = http_header(&response->head,
					     "sec-websocket-extensions");
	bool switching = response->head.status == 101;
	struct http1_switch *other;

	/* Where the answer is cut, what was asked for must do. */
	if (response->head.incomplete && !upgrade.bytes)
		upgrade = http_text_span(entry->transaction,
					 entry->transaction->upgrade);
	if (response->head.incomplete && !extensions.bytes)
		extensions = span_string(HTTP_WEBSOCKET_ANY);
	if (switching && span_is_nocase(upgrade, "websocket")) {
		open_websocket(h, entry, extensions);
		return false;
	}
	other = h->other = calloc(1, sizeof(*other));
	if (!other)
		return false;
	if (switching && span_is_nocase(upgrade, "h2c")) {
		http_transaction_note(entry->transaction,
				      "datasnoop.http.upgraded", "h2c");
		/* The stream that takes it over does not know. */
		if (entry->unproven)
			http_transaction_missed(entry->transaction,
						SIDE_CLIENT, 0);
		other->parser = &http2_parser;
		other->state = http2_open_upgraded(h->observer,
						   entry->transaction);
		other->kind = other->state ? SWITCH_PARSER : SWITCH_OVER;
		return true;
	}
	return false;
}

size_t http1_switch_guess(struct http1 *h, enum side side,
			  const struct window *window, bool unseen)
{
	struct http1_entry *entry = h->queue ? h->queue->prev : NULL;
	struct http1_switch *other;
	size_t at;

	if (!entry || !entry->upgrades || !entry->done[SIDE_CLIENT] ||
	    entry->answered ||
	    !span_is_nocase(http_text_span(entry->transaction,
					   entry->transaction->upgrade),
			    "websocket"))
		return window->length;
	at = http_websocket_find(side, window, unseen);
	if (at == window->length)
		return at;
	other = open_websocket(h, entry, span_string(HTTP_WEBSOCKET_ANY));
	if (other && other->websocket) {
		http_websocket_unseen(other->websocket, SIDE_SERVER);
		if (unseen && side == SIDE_CLIENT)
			http_websocket_unseen(other->websocket, side);
	}
	entry->unproven = true;
	http1_queue_close(h);
	return at;
}

/* The head of one side's bytes, as an opening's window. */
static struct window head_window(const struct http1_switch *other,
				 enum side side)
{
	return (struct window){
		.bytes = other->heads[side].bytes,
		.length = other->heads[side].length,
		.marks = &other->marks[side],
		.mark_count = other->heads[side].length ? 1 : 0,
	};
}

/* Asks each parser; true: one knows it, and is open. */
static enum verdict ask_parsers(struct http1 *h, struct http1_switch *other)
{
	struct opening opening = {
		.in = head_window(other, SIDE_SERVER),
		.out = head_window(other, SIDE_CLIENT),
		.from_start = true,
	};
	enum verdict all = PROBE_NO;

	for (const struct parser *const *p = parser_registry; *p; p++) {
		bool client_out = true;
		enum verdict verdict = (*p)->probe(&opening, &client_out);

		if (verdict == PROBE_MORE)
			all = PROBE_MORE;
		if (verdict != PROBE_YES)
			continue;
		if (*p == &http_parser && h->depth + 1 >= HTTP1_DEPTH_MAX)
			return PROBE_NO;
		other->parser = *p;
		other->reversed = !client_out;
		other->state = (*p)->open(true, h->observer);
		if (!other->state)
			return PROBE_NO;
		if (*p == &http_parser)
			((struct http1 *)other->state)->depth = h->depth + 1;
		return PROBE_YES;
	}
	return all;
}

/* One more look at the bytes of a tunnel. */
static void find_out(struct http1 *h, enum side side,
		     const struct window *window)
{
	struct http1_switch *other = h->other;
	struct buffer *head = &other->heads[side];
	bool full;

	head->length = 0;
	full = !buffer_gather(head, window->bytes, window->length,
			      TUNNEL_HEAD_BYTES);
	other->marks[side] = (struct mark){
		.end = head->length,
		.first_ns = window_first_ns(window, 0),
		.last_ns = window_last_ns(window, 0),
		.tid = window_tid(window, 0),
	};
	switch (ask_parsers(h, other)) {
	case PROBE_YES:
		other->kind = SWITCH_PARSER;
		break;
	case PROBE_MORE:
		if (full)
			other->kind = SWITCH_OVER;
		break;
	case PROBE_NO:
		other->kind = SWITCH_OVER;
		break;
	}
	if (other->kind == SWITCH_UNKNOWN)
		return;
	buffer_free(&other->heads[SIDE_CLIENT]);
	buffer_free(&other->heads[SIDE_SERVER]);
}

static enum side inner_side(const struct http1_switch *other, enum side side)
{
	if (!other->reversed)
		return side;
	return side == SIDE_CLIENT ? SIDE_SERVER : SIDE_CLIENT;
}

struct step http1_switch_parse(struct http1 *h, enum side side,
			       const struct window *window)
{
	struct http1_switch *other = h->other;

	if (other->kind == SWITCH_UNKNOWN)
		find_out(h, side, window);
	switch (other->kind) {
	case SWITCH_UNKNOWN:
		return (struct step){ PARSE_MORE, 0 };
	case SWITCH_WEBSOCKET:
		return http_websocket_parse(other->websocket, side, window);
	case SWITCH_PARSER:
		return other->parser->parse(other->state,
					    inner_side(other, side), window);
	case SWITCH_OVER:
		break;
	}
	return (struct step){ PARSE_DONE, window->length };
}

size_t http1_switch_resync(struct http1 *h, enum side side,
			   const struct window *window)
{
	struct http1_switch *other = h->other;

	if (other->kind == SWITCH_WEBSOCKET)
		return http_websocket_resync(other->websocket, side, window);
	if (other->kind == SWITCH_PARSER)
		return other->parser->resync(other->state,
					     inner_side(other, side), window);
	return 0;
}

void http1_switch_quiet(struct http1 *h)
{
	struct http1_switch *other = h->other;

	if (other && other->kind == SWITCH_PARSER && other->parser->quiet)
		other->parser->quiet(other->state);
}

void http1_switch_gap(struct http1 *h, enum side side, uint64_t missed)
{
	struct http1_switch *other = h->other;

	if (other->kind == SWITCH_WEBSOCKET)
		http_websocket_gap(other->websocket, side, missed);
	else if (other->kind == SWITCH_PARSER)
		other->parser->gap(other->state, inner_side(other, side),
				   missed);
	else if (missed)
		other->kind = SWITCH_OVER;
}

void http1_switch_close(struct http1 *h)
{
	struct http1_switch *other = h->other;

	if (!other)
		return;
	if (other->websocket)
		http_websocket_close(other->websocket);
	if (other->state)
		other->parser->close(other->state);
	buffer_free(&other->heads[SIDE_CLIENT]);
	buffer_free(&other->heads[SIDE_SERVER]);
	free(other);
}
