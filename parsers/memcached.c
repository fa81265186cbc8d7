/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memcached.c - which end is which, the queue of requests, gaps.
 *
 * The text protocol answers in order and without numbers: after a loss a
 * response is a request's only where a turn begins, a request sent after the
 * last byte of the server that came before.  The binary protocol has opaques.
 */
#include "parsers/memcached.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct cached *memcached_new(struct memcached *mc)
{
	struct cached *request = calloc(1, sizeof(*request));

	if (request)
		request->status = -1;
	mc->began |= request != NULL;
	return request;
}

void memcached_free(struct memcached *mc, struct cached *request)
{
	mc->held_bytes -= request->line.length + request->value.length +
			  request->message.length;
	buffer_free(&request->line);
	buffer_free(&request->value);
	buffer_free(&request->message);
	free(request);
}

bool memcached_keep(struct memcached *mc, struct buffer *buffer,
		    const void *bytes, size_t length, size_t bound)
{
	size_t room = MEMCACHED_HELD_MAX - mc->held_bytes;
	size_t before = buffer->length;
	bool whole;

	if (bound > before + room)
		bound = before + room;
	whole = buffer_gather(buffer, bytes, length, bound);
	mc->held_bytes += buffer->length - before;
	return whole;
}

static void report(struct memcached *mc, struct cached *request)
{
	if (request->name[0])
		memcached_report(mc, request);
	memcached_free(mc, request);
}

void memcached_drop_head(struct memcached *mc, bool unasked)
{
	struct cached *head = mc->pending;

	DL_DELETE(mc->pending, head);
	mc->pending_count--;
	mc->answering = false;
	if (!head->silent && !(head->quiet && unasked)) {
		pending_miss(&head->pending, mc->server_missed);
		mc->server_missed = 0;
	}
	report(mc, head);
}

static void flush_silent(struct memcached *mc)
{
	while (mc->pending && mc->pending->silent)
		memcached_drop_head(mc, false);
}

/* Nothing, or something, came behind the response that was in doubt. */
static void resolve_unproven(struct memcached *mc, bool proven)
{
	struct cached *request = mc->unproven;

	mc->unproven = NULL;
	if (!request)
		return;
	if (!proven)
		request->pending.damaged = mc->doubt = mc->doubt_seen = true;
	report(mc, request);
}

void memcached_request(struct memcached *mc, struct cached *request)
{
	if (request->pending.start_ns > mc->flows[SIDE_SERVER].last_ns)
		resolve_unproven(mc, true);
	request->near_lost = mc->near_lost;
	mc->near_lost = false;
	DL_APPEND(mc->pending, request);
	mc->pending_count++;
	flush_silent(mc);
}

void memcached_answered(struct memcached *mc)
{
	struct cached *head = mc->pending, *next = head->next;

	if (next && next->pending.start_ns < head->pending.first_byte_ns)
		mc->pipelined = true;
	DL_DELETE(mc->pending, head);
	mc->pending_count--;
	mc->answering = false;
	if (head->kind == MEMCACHED_WATCH && !head->failed)
		mc->watching = true;
	if (head->unproven)
		mc->unproven = head;
	else
		report(mc, head);
	flush_silent(mc);
}

/* The request whose response begins now, where a turn begins; NULL: none. */
static struct cached *first_of_turn(const struct memcached *mc,
				    const struct window *window)
{
	uint64_t now = window_first_ns(window, 0);
	uint64_t last = mc->flows[SIDE_SERVER].last_ns;
	bool blocked = !mc->doubt_seen && mc->pipelined;
	struct cached *request, *found = NULL;

	DL_FOREACH(mc->pending, request) {
		uint64_t start = request->pending.start_ns;

		if (request->lost)
			blocked |= !request->passed;
		if (request->lost || request->silent || blocked ||
		    start <= last || start > now)
			continue;
		/* Others were sent with it: what was lost too, maybe. */
		if (request->near_lost &&
		    (mc->pipelined ||
		     (request->next && request->next->pending.start_ns <= now)))
			return NULL;
		/* Where a capture begins, others may have come before two. */
		if (!last && found)
			return NULL;
		if (last && mc->doubt_seen)
			return request;
		found = request;
	}
	return blocked ? NULL : found;
}

void memcached_pass(struct memcached *mc, const struct window *window,
		    size_t length)
{
	uint64_t now = window_last_ns(window, length - 1);
	struct cached *request;

	mc->doubt_seen = mc->doubt;
	mc->flows[SIDE_SERVER].last_ns = now;
	DL_FOREACH(mc->pending, request)
		if (request->lost &&
		    (!request->next || request->next->pending.start_ns <= now))
			request->passed = true;
}

/* After a loss: does a turn begin here? */
static bool settle(struct memcached *mc, const struct window *window)
{
	struct cached *first = first_of_turn(mc, window);

	if (!first || !memcached_may_answer(first, window->bytes,
					    window->length))
		return false;
	while (mc->pending != first)
		memcached_drop_head(mc, false);
	first->unproven = !mc->doubt_seen || first->near_lost ||
			  !mc->flows[SIDE_SERVER].last_ns;
	/* What is there may be the rest of more; a value's line is whole. */
	if (!mc->doubt_seen &&
	    (first->keys_total != 1 || window->bytes[0] != 'V'))
		first->pending.damaged = true;
	mc->doubt = mc->doubt_seen = false;
	mc->server_missed = 0;
	return true;
}

static size_t first_mark(const struct window *window)
{
	for (size_t i = 0; i < window->mark_count; i++)
		if (window_mark_end(window, i))
			return window_mark_end(window, i);
	return window->length;
}

bool memcached_turn(struct memcached *mc, const struct window *window,
		    struct step *step)
{
	struct cached_flow *flow = &mc->flows[SIDE_SERVER];
	struct cached *head = mc->pending;
	bool forced = flow->forced;

	resolve_unproven(mc, head && head->pending.start_ns > flow->last_ns);
	if (head && head->lost && !mc->doubt) {
		mc->doubt = true;
		mc->doubt_seen = false;
	}
	if (!head && !forced) {
		*step = (struct step){ PARSE_WAIT, 0 };
		return false;
	}
	flow->forced = false;
	if (head && mc->doubt && settle(mc, window))
		return true;
	if (head && !mc->doubt &&
	    window_last_ns(window, 0) >= head->pending.start_ns)
		return true;
	*step = (struct step){ PARSE_TOOK, first_mark(window) };
	memcached_pass(mc, window, step->used);
	return false;
}

void memcached_begin_data(struct cached_flow *flow, uint64_t length,
			  unsigned trailer)
{
	flow->in_data = true;
	flow->length = length;
	flow->left = length + trailer;
	flow->holed = false;
	buffer_reset(&flow->data);
}

bool memcached_data(struct cached_flow *flow, const struct window *window,
		    unsigned trailer, size_t *used, struct span *bytes)
{
	static const char crlf[] = "\r\n";
	size_t take = window->length, content;

	if (take > flow->left)
		take = (size_t)flow->left;
	*used = 0;
	for (unsigned i = 0; i < trailer; i++) {
		uint64_t from_end = trailer - i;

		if (flow->left >= from_end && flow->left - from_end < take &&
		    window->bytes[flow->left - from_end] != crlf[i])
			return false;
	}
	*used = take;
	content = flow->left > trailer ? take : 0;
	if (content > flow->left - trailer)
		content = (size_t)(flow->left - trailer);
	if (take == flow->left && flow->left == flow->length + trailer) {
		*bytes = (struct span){ (const char *)window->bytes,
					content < VALUE_BYTES_MAX ?
					content : VALUE_BYTES_MAX };
	} else {
		/* Behind a hole nothing is kept. */
		if (!flow->holed)
			buffer_gather(&flow->data, window->bytes, content,
				      VALUE_BYTES_MAX);
		*bytes = (struct span){ flow->data.length ?
					(const char *)flow->data.bytes : "",
					flow->data.length };
	}
	flow->left -= take;
	flow->in_data = flow->left;
	return !flow->left;
}

static void *memcached_open(bool from_start, const struct observer *observer)
{
	struct memcached *mc = calloc(1, sizeof(*mc));

	if (!mc)
		return NULL;
	mc->observer = *observer;
	mc->began = mc->fresh = from_start;
	mc->doubt = mc->doubt_seen = !from_start;
	return mc;
}

/* Stands for the requests that were lost. */
static void add_lost(struct memcached *mc, uint64_t missed)
{
	struct cached *last = mc->pending ? mc->pending->prev : NULL;
	struct cached *lost = mc->current;
	bool began = mc->began;

	mc->current = NULL;
	if (!lost && last && last->lost) {
		pending_miss(&last->pending, missed);
		last->passed = false;
		return;
	}
	if (!lost)
		lost = memcached_new(mc);
	mc->began = began;
	if (!lost)
		return;
	/* Before the first command there is nothing to tell of. */
	if (!lost->name[0] && began)
		strcpy(lost->name, "unknown");
	lost->lost = lost->cut = true;
	lost->silent = lost->quiet = false;
	pending_miss(&lost->pending, missed);
	DL_APPEND(mc->pending, lost);
	mc->pending_count++;
}

static void memcached_gap(void *state, enum side side, uint64_t missed)
{
	struct memcached *mc = state;
	struct cached_flow *flow = &mc->flows[side];
	struct cached *owner = side == SIDE_CLIENT ? mc->current :
			       mc->answering ? mc->pending : NULL;

	if (!missed) {
		flow->forced = true;
		return;
	}
	mc->fresh = false;
	if (flow->in_data && missed < flow->left) {
		flow->left -= missed;
		flow->holed = true;
		if (owner)
			pending_miss(&owner->pending, missed);
		return;
	}
	flow->in_data = false;
	flow->unsynced = true;
	if (side == SIDE_CLIENT) {
		add_lost(mc, missed);
		return;
	}
	if (!mc->doubt)
		mc->doubt_seen = false;
	mc->doubt = true;
	resolve_unproven(mc, true);
	mc->server_missed += missed;
	/* Also between the packets of one response. */
	if (owner || (mc->pending && mc->pending->pending.response_bytes))
		memcached_drop_head(mc, false);
}

static enum verdict text_shape(enum side side, const uint8_t *bytes,
			       size_t length)
{
	return side == SIDE_SERVER ? memcached_text_response(bytes, length) :
				     memcached_text_command(bytes, length);
}

/* Which of the protocols is it?  PROBE_NO: a message's middle, neither. */
static enum verdict decide(struct memcached *mc, enum side side,
			   const uint8_t *bytes, size_t length)
{
	enum verdict binary, text;

	if (mc->decided)
		return PROBE_YES;
	binary = memcached_binary_shape(side, bytes, length);
	text = mc->fresh ? PROBE_YES : text_shape(side, bytes, length);
	mc->binary = binary == PROBE_YES;
	mc->decided = binary == PROBE_YES ||
		      (binary == PROBE_NO && text == PROBE_YES);
	if (mc->decided)
		return PROBE_YES;
	return binary == PROBE_MORE || text == PROBE_MORE ? PROBE_MORE :
							    PROBE_NO;
}

static struct step memcached_parse(void *state, enum side side,
				   const struct window *window)
{
	struct memcached *mc = state;
	struct cached_flow *flow = &mc->flows[side];
	struct step step;

	if (mc->watching)
		return (struct step){ PARSE_DONE, 0 };
	switch (decide(mc, side, window->bytes, window->length)) {
	case PROBE_MORE:
		if (window->length < PARSER_WINDOW_MAX)
			return (struct step){ PARSE_MORE, 0 };
		/* fall through */
	case PROBE_NO:
		flow->unsynced = true;
		return (struct step){ PARSE_LOST, 0 };
	case PROBE_YES:
		break;
	}
	if (side == SIDE_CLIENT && mc->pending_count >= MEMCACHED_PENDING_MAX) {
		if (!flow->forced)
			return (struct step){ PARSE_WAIT, 0 };
		memcached_drop_head(mc, false);
	}
	if (side == SIDE_CLIENT) {
		flow->forced = false;
		step = mc->binary ? memcached_binary_client(mc, window) :
				    memcached_text_client(mc, window);
	} else {
		step = mc->binary ? memcached_binary_server(mc, window) :
				    memcached_text_server(mc, window);
	}
	if (step.outcome == PARSE_MORE && window->length >= PARSER_WINDOW_MAX)
		step.outcome = PARSE_LOST;
	if (step.outcome == PARSE_TOOK && step.used && side == SIDE_SERVER)
		flow->last_ns = window_last_ns(window, step.used - 1);
	if (step.outcome != PARSE_LOST)
		return step;
	flow->in_data = false;
	flow->unsynced = true;
	if (side == SIDE_CLIENT && mc->current)
		add_lost(mc, 0);
	if (side == SIDE_SERVER) {
		mc->doubt = true;
		if (mc->answering)
			memcached_drop_head(mc, false);
	}
	return step;
}

/* Does a line, or a mark, begin at `at`? */
static bool is_border(const struct window *window, size_t at)
{
	if (!at || window->bytes[at - 1] == '\n')
		return true;
	for (size_t i = 0; i < window->mark_count; i++)
		if (window_mark_end(window, i) >= at)
			return window_mark_end(window, i) == at;
	return false;
}

/*
 * Did a write begin at `at`?  Where a gap ends, nobody knows; behind what was
 * dropped since, time tells.
 */
static bool is_write(const struct cached_flow *flow,
		     const struct window *window, size_t at)
{
	uint64_t before = at ? window_last_ns(window, at - 1) :
			  window->offset == flow->dropped_to ?
			  flow->dropped_ns : 0;

	return before && window_first_ns(window, at) > before;
}

/* What a client writes first is a command, even if the server refuses it. */
static enum verdict shape_at(const struct memcached *mc, enum side side,
			     const struct window *window, size_t at)
{
	const uint8_t *bytes = window->bytes + at;
	size_t length = window->length - at;
	enum verdict verdict = text_shape(side, bytes, length);

	if (verdict == PROBE_NO && side == SIDE_CLIENT &&
	    is_write(&mc->flows[side], window, at) &&
	    memcached_text_named(bytes, length))
		verdict = PROBE_YES;
	return verdict;
}

static size_t memcached_resync(void *state, enum side side,
			       const struct window *window)
{
	struct memcached *mc = state;
	struct cached_flow *flow = &mc->flows[side];
	size_t at;

	if (!flow->unsynced)
		return 0;
	for (at = 0; at < window->length; at++) {
		const uint8_t *bytes = window->bytes + at;
		size_t length = window->length - at;

		if ((mc->binary || !mc->decided) &&
		    memcached_binary_shape(side, bytes, length) != PROBE_NO)
			break;
		if (!mc->binary && is_border(window, at) &&
		    shape_at(mc, side, window, at) != PROBE_NO)
			break;
	}
	if (at < window->length)
		flow->unsynced = false;
	if (at < window->length && side == SIDE_CLIENT)
		mc->near_lost = !is_write(flow, window, at);
	if (at) {
		flow->dropped_to = window->offset + at;
		flow->dropped_ns = window_last_ns(window, at - 1);
	}
	if (at && side == SIDE_SERVER)
		memcached_pass(mc, window, at);
	return at;
}

static void memcached_close(void *state)
{
	struct memcached *mc = state;

	resolve_unproven(mc, true);
	while (mc->pending)
		memcached_drop_head(mc, false);
	if (mc->current) {
		mc->current->pending.damaged = mc->current->cut = true;
		report(mc, mc->current);
	}
	for (int side = 0; side < SIDES; side++)
		buffer_free(&mc->flows[side].data);
	exchange_done(&mc->exchange);
	free(mc);
}

static enum verdict probe_ends(const struct window *client,
			       const struct window *server)
{
	enum verdict command, response = PROBE_MORE;

	if (!client->length)
		return server->length ? PROBE_NO : PROBE_MORE;
	if (client->bytes[0] == 0x80) {
		command = memcached_binary_shape(SIDE_CLIENT, client->bytes,
						 client->length);
		if (server->length)
			response = memcached_binary_shape(SIDE_SERVER,
							  server->bytes,
							  server->length);
		return response == PROBE_NO ? PROBE_NO : command;
	}
	command = memcached_text_command(client->bytes, client->length);
	if (server->length)
		response = memcached_text_response(server->bytes,
						   server->length);
	/* Its lines are few words: the answer must be memcached's too. */
	return command == PROBE_YES ? response :
	       response == PROBE_NO ? PROBE_NO : command;
}

static enum verdict memcached_probe(const struct opening *opening,
				    bool *client_out)
{
	enum verdict out = probe_ends(&opening->out, &opening->in);
	enum verdict in = probe_ends(&opening->in, &opening->out);

	*client_out = out == PROBE_YES;
	if (out == PROBE_YES || in == PROBE_YES)
		return PROBE_YES;
	return out == PROBE_MORE || in == PROBE_MORE ? PROBE_MORE : PROBE_NO;
}

const struct parser memcached_parser = {
	.name = "memcached",
	.probe = memcached_probe,
	.open = memcached_open,
	.parse = memcached_parse,
	.resync = memcached_resync,
	.gap = memcached_gap,
	.close = memcached_close,
};
