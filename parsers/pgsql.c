/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgsql.c - PostgreSQL, protocol 3: messages, and finding them again.
 *
 * Each message has its type and length, so a gap inside one is skipped in
 * step.  After any other gap a side is UNSYNCED until a chain of messages is
 * recognised by its content (pgsql_shape.c); which request a response then
 * answers is told by time (pgsql_align.c).
 * Messages with secrets (passwords, SASL data, cancel keys) are never kept.
 */
#include "parsers/pgsql.h"

#include <stdlib.h>

static struct step step_of(enum outcome outcome, size_t used)
{
	return (struct step){ outcome, used };
}

static uint32_t length_at(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
	       (uint32_t)bytes[2] << 8 | bytes[3];
}

static void deliver(struct pgsql *pg, enum side side,
		    const struct message *message)
{
	bool ignored = pg->flows[side].ignored;

	pg->forced[side] = false;
	pg->flows[side].ignored = false;
	if (side == SIDE_CLIENT)
		pgsql_client_message(pg, message);
	else
		pgsql_server_message(pg, message, ignored);
}

/* How much of a message's body is looked at. */
static size_t bytes_kept(enum side side, uint8_t type)
{
	if (type == 'd')
		return VALUE_BYTES_MAX;
	if (side == SIDE_CLIENT)
		return type == 'p' ? 0 : type == 'F' ? 4 : PGSQL_KEPT_BYTES;
	/* Of an authentication request only its kind; of keys nothing. */
	return type == 'R' ? 4 : type == 'K' ? 0 : PGSQL_KEPT_BYTES;
}

/* The message that was gathered is whole, or all of it that will come. */
static void deliver_gathered(struct pgsql *pg, enum side side)
{
	struct flow *flow = &pg->flows[side];
	struct message message = flow->message;

	message.bytes = flow->gathered.bytes;
	message.kept = flow->gathered.length;
	message.missed += flow->body_left;
	message.holed |= flow->body_left > 0;
	flow->body_left = 0;
	flow->place = FLOW_HEADER;
	deliver(pg, side, &message);
	buffer_reset(&flow->gathered);
}

static struct message message_at(const struct window *window, size_t header,
				 uint64_t length, size_t seen)
{
	return (struct message){
		.type = header == PGSQL_HEADER_BYTES ? window->bytes[0] : 0,
		.length = length,
		.wire_bytes = header + length,
		.first_ns = window_first_ns(window, 0),
		.last_ns = window_last_ns(window, seen - 1),
		.sent_ns = window_last_ns(window, 0),
		.tid = window_tid(window, 0),
	};
}

/* Takes the header, or the message with it where it is whole. */
static struct step take_header(struct pgsql *pg, enum side side,
			       const struct window *window)
{
	struct flow *flow = &pg->flows[side];
	const uint8_t *at = window->bytes;
	uint64_t length = length_at(at + 1) - 4;
	size_t whole = PGSQL_HEADER_BYTES + (size_t)length;
	struct message message;

	flow->keep = bytes_kept(side, at[0]);
	if (window->length >= whole) {
		message = message_at(window, PGSQL_HEADER_BYTES, length, whole);
		message.bytes = at + PGSQL_HEADER_BYTES;
		message.kept = length < flow->keep ? (size_t)length :
						     flow->keep;
		deliver(pg, side, &message);
		return step_of(PARSE_TOOK, whole);
	}
	flow->message = message_at(window, PGSQL_HEADER_BYTES, length,
				   PGSQL_HEADER_BYTES);
	flow->gathered.length = 0;
	flow->body_left = length;
	flow->place = FLOW_BODY;
	return step_of(PARSE_TOOK, PGSQL_HEADER_BYTES);
}

static struct step take_body(struct pgsql *pg, enum side side,
			     const struct window *window)
{
	struct flow *flow = &pg->flows[side];
	size_t length = window->length, keep;

	if (length > flow->body_left)
		length = (size_t)flow->body_left;
	keep = flow->keep - flow->gathered.length;
	if (keep > length)
		keep = length;
	/* Behind a hole nothing is kept: what is kept is a prefix. */
	if (!flow->message.holed &&
	    !buffer_append(&flow->gathered, window->bytes, keep))
		flow->message.holed = true;
	flow->body_left -= length;
	flow->message.last_ns = window_last_ns(window, length - 1);
	if (!flow->body_left)
		deliver_gathered(pg, side);
	return step_of(PARSE_TOOK, length);
}

static void lose_step(struct pgsql *pg, enum side side)
{
	pg->flows[side].place = FLOW_UNSYNCED;
	if (side == SIDE_CLIENT) {
		struct request *tail = pgsql_tail(pg);

		/*
		 * What was lost may have ended the group, or gone on.  Of an
		 * Execute that is told by what answers it.
		 */
		pg->client_gap = true;
		if (tail && ((pg->group_open &&
			      tail->kind != REQUEST_EXECUTE) ||
			     tail->kind == REQUEST_LOGIN ||
			     pg->response.copy == COPY_IN || tail->copied))
			tail->pending.damaged = true;
		pg->group_open = false;
		pgsql_forget_changed(pg);
		if (pg->unmarked)
			pgsql_doubt_names(pg);
		pgsql_align_settle(pg, false);
		return;
	}
	pg->doubt = pg->unmarked = true;
	pg->scs_known = false;
	pgsql_doubt_names(pg);
	if (!pg->group.started || pg->held)
		return;
	pgsql_end_finished(pg);
	pg->group.damaged = true;
	if (pg->group.pairing == PAIRING_OPEN)
		pg->group.pairing = PAIRING_UNSURE;
}

static struct step lost(struct pgsql *pg, enum side side)
{
	lose_step(pg, side);
	return step_of(PARSE_LOST, 0);
}

/* A message without a type: the first of a connection, or behind an 'N'. */
static struct step take_startup(struct pgsql *pg, const struct window *window)
{
	const uint8_t *at = window->bytes;
	struct message message;
	size_t length;

	switch (pgsql_shape_startup(at, window->length)) {
	case SHAPE_NO:
		return lost(pg, SIDE_CLIENT);
	case SHAPE_SHORT:
		return step_of(PARSE_MORE, 0);
	case SHAPE_YES:
		break;
	}
	length = length_at(at);
	message = message_at(window, 4, length - 4, length);
	message.bytes = at + 4;
	message.kept = length - 4;
	deliver(pg, SIDE_CLIENT, &message);
	return step_of(PARSE_TOOK, length);
}

/* What the client sends when its request for TLS is granted. */
static bool is_tls(const struct window *window)
{
	return window->length >= 2 && window->bytes[0] == 0x16 &&
	       window->bytes[1] == 3;
}

/*
 * The client goes on behind its request for encryption, so it was answered: is
 * the answer among the bytes that the server's side has lost?
 */
static bool is_reply_lost(struct pgsql *pg, const struct window *window)
{
	const struct request *head = pgsql_head(pg);

	return pg->server_missed && pg->request_count == 1 &&
	       (head->kind == REQUEST_SSL || head->kind == REQUEST_GSS) &&
	       (is_tls(window) || pgsql_shape_startup(window->bytes,
				       window->length) == SHAPE_YES);
}

static struct step client_header(struct pgsql *pg, const struct window *window)
{
	if (pgsql_client_must_wait(pg) && !pg->forced[SIDE_CLIENT]) {
		if (!is_reply_lost(pg, window))
			return step_of(PARSE_WAIT, 0);
		pgsql_end_group(pg, true);
	}
	if (!pg->tagged && window->length < 2)
		return step_of(PARSE_MORE, 0);
	if (!pg->tagged && is_tls(window)) {
		pg->done = true;
		return step_of(PARSE_DONE, window->length);
	}
	if (pg->tagged || window->bytes[0]) {
		if (window->length < PGSQL_HEADER_BYTES)
			return step_of(PARSE_MORE, 0);
		if (!pgsql_shape_header(SIDE_CLIENT, window->bytes))
			return lost(pg, SIDE_CLIENT);
	}
	pgsql_align_next(pg, window);
	if (pg->forced[SIDE_CLIENT] &&
	    pg->request_count >= PGSQL_REQUESTS_MAX - 1)
		pgsql_end_group(pg, true);
	if (!pg->tagged && !window->bytes[0])
		return take_startup(pg, window);
	pg->tagged = true;
	return take_header(pg, SIDE_CLIENT, window);
}

/*
 * Does the first byte move by itself, as far as can be seen?  The server says
 * no more than its reply of one byte until the client goes on.
 */
static bool is_alone(const struct pgsql *pg, const struct window *window)
{
	uint64_t before = pg->flows[SIDE_SERVER].last_ns;

	return (!window->mark_count || window_mark_end(window, 0) <= 1) &&
	       (before == UINT64_MAX || before < window_first_ns(window, 0));
}

/* Is a single byte due, the answer to SSLRequest or GSSENCRequest? */
static bool awaits_byte(struct pgsql *pg, const struct window *window)
{
	const struct request *head = pgsql_head(pg);
	uint8_t byte = window->bytes[0];

	if (!head || (head->kind != REQUEST_SSL && head->kind != REQUEST_GSS))
		return false;
	/* It answers one that was lost. */
	if (window_last_ns(window, 0) < head->pending.start_ns)
		return false;
	/* Behind a gap it may be the middle of something else. */
	if (pg->unmarked && !is_alone(pg, window))
		return false;
	return byte == 'N' || byte == 'G' || byte == 'S';
}

static struct step take_byte(struct pgsql *pg, const struct window *window)
{
	struct message message = message_at(window, 1, 0, 1);

	message.bytes = window->bytes;
	message.kept = 1;
	deliver(pg, SIDE_SERVER, &message);
	return step_of(pg->done ? PARSE_DONE : PARSE_TOOK, 1);
}

/* Is what the server says no answer, but told at any time? */
static bool is_asynchronous(uint8_t type)
{
	return type == 'N' || type == 'S' || type == 'A';
}

/*
 * No response is being read: is there a request for what comes?  Returns false
 * when *step says all, with PARSE_TOOK and 0: it answers nothing that was seen.
 */
static bool find_request(struct pgsql *pg, const struct window *window,
			 struct step *step)
{
	struct request *head = pgsql_head(pg);
	uint64_t ns = window_last_ns(window, 0);
	uint8_t type = window->bytes[0];

	if (head && !(ns && ns < head->pending.start_ns))
		return true;
	*step = step_of(PARSE_TOOK, 0);
	if (is_asynchronous(type))
		return false;
	if (!head && !pg->forced[SIDE_SERVER]) {
		*step = step_of(PARSE_WAIT, 0);
		return false;
	}
	pg->forced[SIDE_SERVER] = false;
	if (!pg->client_missed)
		return false;
	head = pgsql_push_front(pg, REQUEST_UNKNOWN);
	if (!head)
		return false;
	pending_miss(&head->pending, pg->client_missed);
	head->pending.start_ns = window_first_ns(window, 0);
	pg->client_missed = 0;
	return true;
}

/* Does a response to the first group answer more than one Execute? */
static bool has_many(struct pgsql *pg)
{
	const struct request *request;
	unsigned count = 0;

	for (size_t i = 0; (request = pgsql_request_at(pg, i)); i++) {
		if (i && request->first)
			break;
		count += request->kind == REQUEST_EXECUTE;
	}
	return count > 1;
}

/* A response to the first group begins. */
static void begin_group(struct pgsql *pg)
{
	const struct request *head = pgsql_head(pg);
	struct group *group = &pg->group;

	group->started = true;
	group->late = pg->unmarked;
	group->damaged |= pg->unmarked && has_many(pg);
	group->headless = head->after_gap && (!pgsql_ends_group(head->kind) ||
					      head->kind == REQUEST_SYNC);
	if (!pg->doubt && !group->headless && head->kind != REQUEST_UNKNOWN)
		pgsql_align_seen(pg);
}

static struct step server_header(struct pgsql *pg, const struct window *window)
{
	struct flow *flow = &pg->flows[SIDE_SERVER];
	uint8_t type = window->bytes[0];
	struct step step = { PARSE_TOOK, 0 };
	bool found = true, forced = pg->forced[SIDE_SERVER];

	if (!pg->group.started && awaits_byte(pg, window)) {
		pg->group.started = true;
		return take_byte(pg, window);
	}
	if (window->length < PGSQL_HEADER_BYTES)
		return step_of(PARSE_MORE, 0);
	if (!pgsql_shape_header(SIDE_SERVER, window->bytes))
		return lost(pg, SIDE_SERVER);
	if (!pg->group.started)
		found = find_request(pg, window, &step);
	else if (!pg->request_count && pg->group_open &&
		 !is_asynchronous(type) && !forced)
		return step_of(PARSE_WAIT, 0);
	if (!found && step.outcome != PARSE_TOOK)
		return step;
	if (!pg->group.started && pg->doubt && !forced &&
	    pgsql_align_is_asking(pg, window_first_ns(window, 0)))
		return step_of(PARSE_WAIT, 0);
	/* A notification needs no request, nor does the last word. */
	flow->ignored = !found && type != 'A' && type != 'E' && type != 'S';
	if (found && !pg->group.started && !is_asynchronous(type)) {
		/* What was dropped before may be of the same response. */
		if (flow->place != FLOW_UNSYNCED)
			pgsql_align_watch(pg, window);
		pg->answer_first_ns = window_first_ns(window, 0);
		pg->answer_last_ns = window_last_ns(window, 0);
		if (pg->doubt || pgsql_head(pg)->after_gap)
			pgsql_align_begin(pg, window);
		/* The byte before this one is older than the request. */
		if (pgsql_head(pg)->pending.start_ns > flow->last_ns)
			pg->unmarked = false;
		begin_group(pg);
	}
	flow->place = FLOW_HEADER;
	return take_header(pg, SIDE_SERVER, window);
}

/*
 * Nothing follows on the client's last word that would make it sure: what
 * moved by itself and is that, to the last byte, is taken for it.  Returns
 * where it begins; the window's length: it is not there.
 */
static size_t find_farewell(const struct window *window)
{
	size_t at = 0, i = 0;

	while (at < window->length &&
	       !pgsql_shape_farewell(window->bytes + at, window->length - at))
		at = i < window->mark_count ? window_mark_end(window, i++) :
					      window->length;
	return at;
}

/*
 * Where a message begins: the first place that is sure, or else (*sure false)
 * the first that may be one; the window's length: nowhere.
 */
static size_t find_message(struct pgsql *pg, enum side side,
			   const struct window *window, bool *sure)
{
	size_t at, unsure = window->length;
	bool may_login = side == SIDE_CLIENT && !pg->tagged;

	*sure = true;
	for (at = 0; at < window->length; at++) {
		const uint8_t *bytes = window->bytes + at;
		size_t left = window->length - at;
		enum shape shape = pgsql_shape_chain(side, bytes, left);

		if (may_login && shape == SHAPE_NO)
			shape = pgsql_shape_startup(bytes, left);
		if (shape == SHAPE_YES)
			return at;
		/* A window that is full will not show more of it. */
		if (shape == SHAPE_SHORT && unsure == window->length &&
		    (at || window->length < PARSER_WINDOW_MAX))
			unsure = at;
	}
	at = side == SIDE_CLIENT ? find_farewell(window) : window->length;
	*sure = at < window->length;
	return *sure ? at : unsure;
}

/* What goes on behind a gap in the response that is being read, or does not. */
static bool is_later_response(struct pgsql *pg, const struct window *window)
{
	const struct request *later =
		pgsql_align_answered(pg, window_last_ns(window, 0));

	return pg->group.started && later && !pg->pipelined;
}

static struct step synchronise(struct pgsql *pg, enum side side,
			       const struct window *window)
{
	struct flow *flow = &pg->flows[side];
	bool sure;
	size_t at = find_message(pg, side, window, &sure);

	/* A reply of one byte is not looked for in its middle. */
	if (side == SIDE_SERVER && !pg->group.started &&
	    awaits_byte(pg, window))
		at = 0, sure = true;
	if (at || window->length == PARSER_WINDOW_MAX)
		if (at || !sure)
			return step_of(PARSE_LOST, 0);
	if (!sure)
		return step_of(PARSE_MORE, 0);
	if (side == SIDE_SERVER && is_later_response(pg, window))
		pgsql_end_group(pg, true);
	if (side == SIDE_CLIENT) {
		flow->place = FLOW_HEADER;
		return client_header(pg, window);
	}
	return server_header(pg, window);
}

static struct step parse_side(struct pgsql *pg, enum side side,
			      const struct window *window)
{
	struct flow *flow = &pg->flows[side];

	if (side == SIDE_SERVER && pg->held) {
		if (!pg->forced[SIDE_SERVER])
			return step_of(PARSE_WAIT, 0);
		pg->forced[SIDE_SERVER] = false;
		pgsql_align_settle(pg, false);
	}
	if (flow->place == FLOW_BODY)
		return take_body(pg, side, window);
	if (flow->place == FLOW_UNSYNCED)
		return synchronise(pg, side, window);
	return side == SIDE_CLIENT ? client_header(pg, window) :
				     server_header(pg, window);
}

static struct step pgsql_parse(void *state, enum side side,
			       const struct window *window)
{
	struct pgsql *pg = state;
	struct flow *flow = &pg->flows[side];
	struct step step;
	uint64_t ns;

	if (pg->done)
		return step_of(PARSE_DONE, window->length);
	if (!window->length)
		return step_of(PARSE_MORE, 0);
	if (!flow->begun && window->offset) {
		/* What came before was dropped untold. */
		flow->last_ns = UINT64_MAX;
		pg->doubt |= side == SIDE_SERVER;
	}
	flow->begun = true;
	step = parse_side(pg, side, window);
	if (step.outcome == PARSE_TOOK) {
		ns = window_last_ns(window, step.used - 1);
		flow->last_ns = ns ? ns : UINT64_MAX;
	}
	return step;
}

static size_t pgsql_resync(void *state, enum side side,
			   const struct window *window)
{
	struct pgsql *pg = state;
	bool sure;
	size_t drop;

	if (pg->done || pg->flows[side].place != FLOW_UNSYNCED)
		return 0;
	if (side == SIDE_SERVER && !pg->group.started && window->length &&
	    awaits_byte(pg, window))
		return 0;
	drop = find_message(pg, side, window, &sure);
	pg->dropped = drop;
	pg->dropped_ns = drop ? window_last_ns(window, drop - 1) : 0;
	return drop;
}

static void pgsql_gap(void *state, enum side side, uint64_t missed)
{
	struct pgsql *pg = state;
	struct flow *flow = &pg->flows[side];

	if (pg->done)
		return;
	if (!missed) {
		pg->forced[side] = true;
		return;
	}
	/* What resync() has dropped was there to be seen. */
	flow->last_ns = missed == pg->dropped && pg->dropped_ns ?
		pg->dropped_ns : UINT64_MAX;
	if (side == SIDE_CLIENT)
		pg->client_dropped_ns = flow->last_ns == UINT64_MAX ?
			0 : flow->last_ns;
	flow->begun = true;
	pg->dropped = 0;
	if (flow->place == FLOW_BODY) {
		uint64_t here = missed < flow->body_left ? missed :
							   flow->body_left;

		flow->message.holed = true;
		flow->message.missed += here;
		flow->body_left -= here;
		if (!flow->body_left)
			deliver_gathered(pg, side);
		if (missed == here)
			return;
		missed -= here;
	}
	lose_step(pg, side);
	if (side == SIDE_CLIENT && pg->tagged)
		pg->client_missed += missed;
	if (side == SIDE_CLIENT)
		return;
	if (pg->group.started)
		pg->response.pending.missed += missed;
	else if (pg->request_count)
		pg->server_missed += missed;
}

static void *pgsql_open(bool from_start, const struct observer *observer)
{
	struct pgsql *pg = calloc(1, sizeof(*pg));

	if (!pg)
		return NULL;
	pg->observer = observer;
	pg->epoch = 1;
	pg->unmarked = pg->client_gap = !from_start;
	for (int side = 0; side < SIDES; side++)
		pg->flows[side].place = from_start ? FLOW_HEADER :
						     FLOW_UNSYNCED;
	pgsql_describe_open();
	pgsql_response_reset(pg);
	return pg;
}

/* Reports what was asked and not answered, in order. */
static void close_pending(struct pgsql *pg)
{
	const struct request *head;

	for (int side = 0; side < SIDES; side++)
		if (pg->flows[side].place == FLOW_BODY &&
		    (side == SIDE_CLIENT || pg->group.started))
			deliver_gathered(pg, (enum side)side);
	pgsql_align_settle(pg, false);
	while ((head = pgsql_head(pg)))
		pgsql_end_group(pg, head->kind != REQUEST_TERMINATE);
}

static void pgsql_close(void *state)
{
	struct pgsql *pg = state;

	close_pending(pg);
	pgsql_response_reset(pg);
	pgsql_forget_all(pg);
	pgsql_columns_free(&pg->columns);
	exchange_done(&pg->exchange);
	free(pg->requests);
	for (int side = 0; side < SIDES; side++)
		buffer_free(&pg->flows[side].gathered);
	buffer_free(&pg->response.texts);
	buffer_free(&pg->database);
	buffer_free(&pg->parameters);
	buffer_free(&pg->value);
	pgsql_describe_close();
	free(pg);
}

const struct parser pgsql_parser = {
	.name = "postgresql",
	.probe = pgsql_probe,
	.open = pgsql_open,
	.parse = pgsql_parse,
	.resync = pgsql_resync,
	.gap = pgsql_gap,
	.close = pgsql_close,
};
