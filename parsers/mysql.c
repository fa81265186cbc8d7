/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql.c - MySQL and MariaDB: packets, messages, and finding them again.
 *
 * Both sides' packets are counted by their headers, so a gap inside a packet
 * is skipped in step.  After any other gap a side is UNSYNCED until a packet
 * is recognised by its content (mysql_shape.c); which request a response then
 * answers is told by time (mysql_align.c).
 * No byte is kept but a message's first MESSAGE_KEPT_BYTES, and only when the
 * message does not lie whole in the window.
 */
#include "parsers/mysql.h"

#include <stdlib.h>

static struct step step_of(enum outcome outcome, size_t used)
{
	return (struct step){ outcome, used };
}

static void deliver(struct mysql *my, enum side side,
		    const struct message *message)
{
	my->forced[side] = false;
	if (side == SIDE_SERVER)
		my->answered = true;
	if (side == SIDE_CLIENT)
		mysql_client_message(my, message);
	else
		mysql_server_message(my, message);
}

/* The message that was gathered is whole, or all of it that will come. */
static void deliver_gathered(struct mysql *my, enum side side)
{
	struct flow *flow = &my->flows[side];
	struct message message = flow->message;

	message.bytes = flow->gathered.bytes;
	message.kept = flow->gathered.length;
	message.last_sequence = flow->sequence;
	flow->inside = false;
	flow->place = FLOW_HEADER;
	flow->message = (struct message){ 0 };
	deliver(my, side, &message);
	buffer_reset(&flow->gathered);
}

static void end_packet(struct mysql *my, enum side side)
{
	struct flow *flow = &my->flows[side];

	if (flow->continues) {
		flow->inside = true;
		flow->place = FLOW_HEADER;
	} else {
		deliver_gathered(my, side);
	}
}

/* A packet of a message that does not lie whole in the window, or the last. */
static void begin_packet(struct flow *flow, const struct window *window,
			 uint32_t length)
{
	struct message *message = &flow->message;

	if (!flow->inside) {
		*message = (struct message){
			.first_sequence = window->bytes[3],
			.first_ns = window_first_ns(window, 0),
			.sent_ns = window_last_ns(window, 0),
			.tid = window_tid(window, 0),
		};
		flow->gathered.length = 0;
	}
	flow->sequence = window->bytes[3];
	flow->continues = length == MYSQL_PACKET_MAX;
	flow->inside = true;
	flow->body_left = length;
	flow->place = FLOW_BODY;
	message->length += length;
	message->wire_bytes += MYSQL_HEADER_BYTES + (uint64_t)length;
	message->last_ns = window_last_ns(window, MYSQL_HEADER_BYTES - 1);
}

/* Takes the header, or the packet with it when it is the message. */
static struct step take_header(struct mysql *my, enum side side,
			       const struct window *window)
{
	struct flow *flow = &my->flows[side];
	const uint8_t *at = window->bytes;
	uint32_t length = at[0] | at[1] << 8 | (uint32_t)at[2] << 16;
	size_t whole = MYSQL_HEADER_BYTES + (size_t)length;

	if (flow->inside || length == MYSQL_PACKET_MAX ||
	    window->length < whole) {
		begin_packet(flow, window, length);
		if (!length)
			end_packet(my, side);
		return step_of(PARSE_TOOK, MYSQL_HEADER_BYTES);
	}
	flow->sequence = at[3];
	deliver(my, side, &(struct message){
		.bytes = at + MYSQL_HEADER_BYTES,
		.kept = length,
		.length = length,
		.first_sequence = at[3],
		.last_sequence = at[3],
		.wire_bytes = whole,
		.first_ns = window_first_ns(window, 0),
		.last_ns = window_last_ns(window, whole - 1),
		.sent_ns = window_last_ns(window, 0),
		.tid = window_tid(window, 0),
	});
	return step_of(PARSE_TOOK, whole);
}

static struct step take_body(struct mysql *my, enum side side,
			     const struct window *window)
{
	struct flow *flow = &my->flows[side];
	size_t length = window->length, keep;

	if (length > flow->body_left)
		length = (size_t)flow->body_left;
	keep = MESSAGE_KEPT_BYTES - flow->gathered.length;
	if (keep > length)
		keep = length;
	/* Behind a hole nothing is kept: what is kept is a prefix. */
	if (!flow->message.holed &&
	    !buffer_append(&flow->gathered, window->bytes, keep))
		flow->message.holed = true;
	flow->body_left -= length;
	flow->message.last_ns = window_last_ns(window, length - 1);
	if (!flow->body_left)
		end_packet(my, side);
	return step_of(PARSE_TOOK, length);
}

/* Bytes at the window's start that the same batch brought. */
static size_t first_mark(const struct window *window)
{
	for (size_t i = 0; i < window->mark_count; i++)
		if (window_mark_end(window, i))
			return window_mark_end(window, i);
	return window->length;
}

/* A login may go on in the bytes that the client lost. */
static void damage_talk(struct mysql *my)
{
	struct command *last = mysql_command_at(my, my->command_count - 1);

	if (my->command_count && (last->code == COMMAND_LOGIN ||
				  last->code == COM_CHANGE_USER))
		last->damaged = true;
}

static void lose_step(struct mysql *my, enum side side)
{
	struct command *head = mysql_head(my);

	my->flows[side].place = FLOW_UNSYNCED;
	my->flows[side].inside = false;
	if (side == SIDE_CLIENT) {
		my->client_gap = true;
		mysql_align_settle(my, false);
		damage_talk(my);
		return;
	}
	my->response_lost = my->doubt = true;
	my->stray_eof = false;
	if (!my->response.started || !head || my->held)
		return;
	head->damaged = true;
	if (head->pairing == PAIRING_OPEN)
		head->pairing = PAIRING_UNSURE;
}

/* Does the client's packet continue its last request: login, file content? */
static bool continues_request(struct mysql *my, uint8_t sequence)
{
	struct command *last = mysql_command_at(my, my->command_count - 1);

	if (!last || !my->command_count)
		return false;
	if (last->has_file && !last->file_ended)
		return sequence == (uint8_t)(last->last_sequence + 1);
	if (!sequence)
		return false;
	return last->code == COMMAND_LOGIN || last->code == COM_CHANGE_USER ||
	       last->code == COM_QUERY;
}

/* A request or a part of one must begin here. */
static struct step client_header(struct mysql *my, const struct window *window)
{
	const uint8_t *at = window->bytes;
	bool login = !my->commanded &&
		     mysql_shape_login(at, window->length) != SHAPE_NO;

	if (!login && !continues_request(my, at[3])) {
		if (window->length < MYSQL_HEADER_BYTES + 1)
			return step_of(PARSE_MORE, 0);
		if (at[3] || (!at[0] && !at[1] && !at[2])) {
			lose_step(my, SIDE_CLIENT);
			return step_of(PARSE_LOST, 0);
		}
	}
	if (!continues_request(my, at[3]))
		mysql_align_next(my, window);
	if (!continues_request(my, at[3]) && !my->forced[SIDE_CLIENT] &&
	    mysql_client_must_wait(my, at, window->length))
		return step_of(PARSE_WAIT, 0);
	if (my->forced[SIDE_CLIENT] && my->command_count == COMMANDS_MAX)
		mysql_report(my);
	return take_header(my, SIDE_CLIENT, window);
}

/*
 * No response is being read: is there a request for what comes?  Returns false
 * when *step says all.
 */
static bool find_request(struct mysql *my, const struct window *window,
			 struct step *step)
{
	struct command *head = mysql_head(my);
	uint64_t ns = window_last_ns(window, 0);
	bool orphan = head && ns && ns < head->start_ns;

	if (!head && !my->forced[SIDE_SERVER]) {
		*step = step_of(PARSE_WAIT, 0);
		return false;
	}
	if (head && !orphan)
		return true;
	if (my->client_missed) {
		head = mysql_push_front(my);
		if (head) {
			head->code = COMMAND_UNKNOWN;
			head->missed = my->client_missed;
			head->damaged = true;
			head->answer_sequence = 1;
			head->start_ns = window_first_ns(window, 0);
			my->client_missed = 0;
			return true;
		}
	}
	/* What answers a request from before the start: dropped quietly. */
	my->forced[SIDE_SERVER] = false;
	my->flows[SIDE_SERVER].place = FLOW_UNSYNCED;
	*step = step_of(PARSE_TOOK, first_mark(window));
	return false;
}

/* What the packet's number says: is it the one that comes next? */
static enum outcome check_sequence(struct mysql *my, uint8_t sequence,
				   uint8_t first, uint64_t offset)
{
	struct flow *flow = &my->flows[SIDE_SERVER];
	struct command *head = mysql_head(my);
	/* How many packets the server is ahead of what was read. */
	uint8_t ahead = (uint8_t)(sequence - head->last_sequence - 1);
	bool talks = head->code == COMMAND_LOGIN ||
		     head->code == COM_CHANGE_USER;
	/* What is waited for would have come before another request. */
	bool lost = my->forced[SIDE_SERVER] || my->client_gap ||
		    mysql_command_at(my, 1);

	if (my->response.phase == PHASE_FILE) {
		if (!head->file_ended && !lost)
			return PARSE_WAIT;
		head->damaged |= !head->file_ended;
		return PARSE_TOOK;
	}
	if (my->response.started && sequence == (uint8_t)(flow->sequence + 1))
		return PARSE_TOOK;
	if (!my->response.started && sequence == head->answer_sequence)
		return PARSE_TOOK;
	if (my->response.started && mysql_frames_start(my, offset, sequence))
		return PARSE_TOOK;
	/* An error that nobody asked for: shutdown, kill, time-out. */
	if (!my->response.started && first == 0xff)
		return PARSE_TOOK;
	if (!talks)
		return PARSE_LOST;
	if (!ahead || ahead >= 128 || lost)
		return PARSE_TOOK;
	return PARSE_WAIT;
}

/* An EOF that ends the definitions of a response already reported. */
static bool is_stray_eof(const struct mysql *my, const struct window *window)
{
	const uint8_t *at = window->bytes;
	const struct flow *flow = &my->flows[SIDE_SERVER];

	return my->stray_eof && at[0] == 5 && !at[1] && !at[2] &&
	       at[3] == (uint8_t)(flow->sequence + 1) && at[4] == 0xfe;
}

/* An error right behind the greeting, where the client's login would be? */
static bool is_refusal(const struct mysql *my, const struct window *window)
{
	const struct flow *flow = &my->flows[SIDE_SERVER];

	return my->greeted && !my->commanded && !flow->sequence &&
	       window->length > MYSQL_HEADER_BYTES && window->bytes[3] == 1 &&
	       window->bytes[4] == 0xff;
}

static struct step synchronise_server(struct mysql *my,
				      const struct window *window);

static struct step server_header(struct mysql *my, const struct window *window)
{
	const uint8_t *at = window->bytes;
	struct step step;

	if (window->length < MYSQL_HEADER_BYTES + 1 &&
	    (window->length < MYSQL_HEADER_BYTES || at[0] || at[1] || at[2]))
		return step_of(PARSE_MORE, 0);
	if (!my->response.started &&
	    (is_stray_eof(my, window) || is_refusal(my, window)))
		return take_header(my, SIDE_SERVER, window);
	if (!my->response.started && !find_request(my, window, &step))
		return step;
	if (!my->response.started)
		mysql_align_watch(my, window);
	if (!my->response.started &&
	    (my->doubt || mysql_head(my)->after_gap))
		mysql_align_begin(my, window);
	switch (check_sequence(my, at[3], at[0] | at[1] | at[2] ? at[4] : 0,
			       window->offset)) {
	case PARSE_WAIT:
		return step_of(PARSE_WAIT, 0);
	case PARSE_LOST:
		lose_step(my, SIDE_SERVER);
		return synchronise_server(my, window);
	default:
		return take_header(my, SIDE_SERVER, window);
	}
}

/* Does another batch begin at that byte? */
static bool is_border(const struct window *window, size_t at)
{
	for (size_t i = 0; i < window->mark_count; i++)
		if (window_mark_end(window, i) >= at)
			return window_mark_end(window, i) == at;
	return !window->mark_count;
}

struct shapes {
	enum shape row, response;
};

/*
 * Does a row stand there?  After a later request the rest of a response does
 * not come.
 */
static enum shape row_at(struct mysql *my, const struct window *window,
			 size_t at)
{
	size_t end = window->length, mark_end = 0;
	enum shape shape;

	for (size_t i = 0; i < window->mark_count && !my->pipelined; i++) {
		if (mark_end > at && mysql_align_answered(
					     my, window->marks[i].last_ns)) {
			end = mark_end;
			break;
		}
		mark_end = window_mark_end(window, i);
	}
	if (end > window->length)
		end = window->length;
	shape = mysql_shape_row(my, window->bytes + at, end - at);
	return shape == SHAPE_SHORT && end < window->length ? SHAPE_NO : shape;
}

/* What the bytes `at` the window's offset may be, of what can come now. */
static struct shapes shapes_at(struct mysql *my, const struct window *window,
			       size_t at)
{
	struct shapes shapes = { SHAPE_NO, SHAPE_NO };
	const struct command *next =
		mysql_align_answered(my, window_last_ns(window, at));

	if (my->response.started && my->response.phase == PHASE_ROWS &&
	    (!next || my->pipelined))
		shapes.row = row_at(my, window, at);
	if (my->response.started && my->response.phase == PHASE_EVENTS)
		shapes.row = mysql_shape_event(window->bytes + at,
					       window->length - at);
	/* Unless requests are pipelined, a response begins a batch. */
	if (at && !my->pipelined && !is_border(window, at))
		return shapes;
	/* It needs a request, one that may not have been read yet. */
	if (next ||
	    (!my->response.started && my->client_missed) ||
	    (my->response.started && !mysql_command_at(my, 1) &&
	     !my->forced[SIDE_SERVER]))
		shapes.response = mysql_shape_response(window->bytes + at,
						       window->length - at,
						       next ?
						       next->answer_sequence :
						       1);
	return shapes;
}

static enum shape client_shape(const struct mysql *my, const uint8_t *bytes,
			       size_t length)
{
	enum shape login = my->commanded ? SHAPE_NO :
			   mysql_shape_login(bytes, length);
	enum shape request = mysql_shape_request(bytes, length);

	return login > request ? login : request;
}

/* Begun in mid-connection, a client may be one that compresses. */
static enum shape framed_shape(const struct mysql *my, const uint8_t *bytes,
			       size_t length)
{
	if (!mysql_frames_possible(my))
		return SHAPE_NO;
	return mysql_frames_shape(SIDE_CLIENT, bytes, length);
}

/*
 * A request inside a batch is looked for by its text alone: short commands are
 * mostly zeros, and so is much else.
 */
static enum shape later_request(const struct mysql *my,
				const struct window *window, size_t at)
{
	const uint8_t *bytes = window->bytes + at;
	size_t left = window->length - at;

	if (at && !is_border(window, at) &&
	    (left <= MYSQL_HEADER_BYTES ||
	     (bytes[4] != COM_QUERY && bytes[4] != COM_STMT_PREPARE)))
		return left <= MYSQL_HEADER_BYTES ? SHAPE_SHORT : SHAPE_NO;
	return client_shape(my, bytes, left);
}

/*
 * Where a message begins: the first place that is sure, or else (*sure false)
 * the first that may be one; the window's length: nowhere.
 */
static size_t find_message(struct mysql *my, enum side side,
			   const struct window *window, bool *sure)
{
	size_t at, unsure = window->length;

	for (at = 0; at < window->length; at++) {
		enum shape shape;

		if (side == SIDE_CLIENT) {
			enum shape framed = framed_shape(
				my, window->bytes + at, window->length - at);

			shape = later_request(my, window, at);
			if (shape < framed)
				shape = framed;
		} else {
			struct shapes both = shapes_at(my, window, at);

			shape = both.row > both.response ? both.row :
							   both.response;
		}
		if (sure)
			*sure = shape == SHAPE_YES;
		if (shape == SHAPE_YES)
			return at;
		if (shape == SHAPE_SHORT && unsure == window->length)
			unsure = at;
	}
	return unsure;
}

/* A beginning that may be one is waited for, unless a sure one follows. */
static struct step unsure_step(struct mysql *my, enum side side,
			       const struct window *window, bool may_be)
{
	bool sure = false;

	if (!may_be)
		return step_of(PARSE_LOST, 0);
	find_message(my, side, window, &sure);
	return step_of(sure ? PARSE_LOST : PARSE_MORE, 0);
}

/* The first answer to a login may be many things; its number tells. */
static bool opens_login(struct mysql *my, const struct window *window)
{
	const struct command *head = mysql_head(my);

	return !my->answered && !my->response.started && head &&
	       head->code == COMMAND_LOGIN &&
	       (window->length < MYSQL_HEADER_BYTES ||
		window->bytes[3] == head->answer_sequence);
}

static struct step synchronise_server(struct mysql *my,
				      const struct window *window)
{
	struct flow *flow = &my->flows[SIDE_SERVER];
	uint64_t ns = window_last_ns(window, 0);
	struct shapes shapes;
	struct step step;

	if (!my->answered && !my->greeted && !my->response.started) {
		switch (mysql_shape_greeting(window->bytes, window->length)) {
		case SHAPE_YES:
			flow->place = FLOW_HEADER;
			return take_header(my, SIDE_SERVER, window);
		case SHAPE_SHORT:
			return step_of(PARSE_MORE, 0);
		default:
			break;
		}
	}
	if (my->from_start && !my->answered && !my->commanded) {
		switch (mysql_shape_refusal(window->bytes, window->length)) {
		case SHAPE_YES:
			flow->place = FLOW_HEADER;
			return take_header(my, SIDE_SERVER, window);
		case SHAPE_SHORT:
			return step_of(PARSE_MORE, 0);
		default:
			break;
		}
	}
	if (!my->response.started && !find_request(my, window, &step))
		return step;
	if (opens_login(my, window)) {
		flow->place = FLOW_HEADER;
		return server_header(my, window);
	}
	shapes = shapes_at(my, window, 0);
	if (shapes.row == SHAPE_YES) {
		mysql_head(my)->missed += my->server_missed;
		my->server_missed = 0;
		flow->place = FLOW_HEADER;
		return take_header(my, SIDE_SERVER, window);
	}
	if (shapes.response == SHAPE_YES) {
		if (!mysql_align_answered(my, ns))
			return step_of(PARSE_WAIT, 0);
		flow->place = FLOW_HEADER;
		mysql_align_begin(my, window);
		return take_header(my, SIDE_SERVER, window);
	}
	return unsure_step(my, SIDE_SERVER, window,
			   shapes.row == SHAPE_SHORT ||
				   shapes.response == SHAPE_SHORT);
}

static struct step synchronise_client(struct mysql *my,
				      const struct window *window)
{
	enum shape shape = client_shape(my, window->bytes, window->length);

	if (shape == SHAPE_NO)
		shape = framed_shape(my, window->bytes, window->length);
	switch (shape) {
	case SHAPE_YES:
		my->flows[SIDE_CLIENT].place = FLOW_HEADER;
		my->flows[SIDE_CLIENT].at_gap =
			my->flows[SIDE_CLIENT].last_ns == UINT64_MAX ||
			my->flows[SIDE_CLIENT].last_ns >=
				window_first_ns(window, 0);
		return client_header(my, window);
	default:
		return unsure_step(my, SIDE_CLIENT, window,
				   shape == SHAPE_SHORT);
	}
}

static struct step parse_side(struct mysql *my, enum side side,
			      const struct window *window)
{
	struct flow *flow = &my->flows[side];

	if (side == SIDE_SERVER && my->held) {
		/* Another response in the same batch: to whose request? */
		bool more = window_first_ns(window, 0) <= flow->last_ns &&
			    !is_stray_eof(my, window);

		if (!my->forced[SIDE_SERVER] && !more)
			return step_of(PARSE_WAIT, 0);
		my->forced[SIDE_SERVER] = false;
		mysql_align_settle(my, false);
	}
	if (flow->place == FLOW_BODY)
		return take_body(my, side, window);
	if (flow->place == FLOW_UNSYNCED)
		return side == SIDE_CLIENT ? synchronise_client(my, window) :
					     synchronise_server(my, window);
	if (window->length < MYSQL_HEADER_BYTES)
		return step_of(PARSE_MORE, 0);
	if (flow->inside && window->bytes[3] == (uint8_t)(flow->sequence + 1))
		return take_header(my, side, window);
	if (flow->inside) {
		flow->message.holed = true;
		deliver_gathered(my, side);
		lose_step(my, side);
		return step_of(PARSE_LOST, 0);
	}
	return side == SIDE_CLIENT ? client_header(my, window) :
				     server_header(my, window);
}

struct step mysql_parse_packets(struct mysql *my, enum side side,
				const struct window *window)
{
	struct flow *flow = &my->flows[side];
	struct step step;
	uint64_t ns;

	if (!window->length)
		return step_of(PARSE_MORE, 0);
	if (!flow->begun && window->offset) {
		/* What came before was dropped untold. */
		flow->last_ns = UINT64_MAX;
		my->doubt |= side == SIDE_SERVER;
	}
	flow->begun = true;
	step = parse_side(my, side, window);
	if (step.outcome == PARSE_TOOK) {
		ns = window_last_ns(window, step.used - 1);
		flow->last_ns = ns ? ns : UINT64_MAX;
	}
	return step;
}

static struct step mysql_parse(void *state, enum side side,
			       const struct window *window)
{
	struct mysql *my = state;

	if (!my->done && mysql_frames_begin(my, side, window))
		return mysql_frames_parse(my, side, window);
	if (my->done)
		return step_of(PARSE_DONE, window->length);
	return mysql_parse_packets(my, side, window);
}

size_t mysql_resync_packets(struct mysql *my, enum side side,
			    const struct window *window)
{
	size_t drop;

	if (my->flows[side].place != FLOW_UNSYNCED)
		return 0;
	drop = find_message(my, side, window, NULL);
	my->dropped = drop;
	my->dropped_ns = drop ? window_last_ns(window, drop - 1) : 0;
	return drop;
}

static size_t mysql_resync(void *state, enum side side,
			   const struct window *window)
{
	struct mysql *my = state;

	if (my->done)
		return 0;
	if (my->frames)
		return mysql_frames_resync(my, side, window);
	return mysql_resync_packets(my, side, window);
}

/* `missed` bytes of the packet that is being read will not come. */
static void skip_body(struct mysql *my, enum side side, uint64_t missed)
{
	struct flow *flow = &my->flows[side];

	flow->message.holed = true;
	flow->message.missed += missed;
	flow->body_left -= missed;
	if (!flow->body_left)
		end_packet(my, side);
}

void mysql_gap_packets(struct mysql *my, enum side side, uint64_t missed,
		       bool exact)
{
	struct flow *flow = &my->flows[side];
	struct command *last;

	/* What resync() has dropped was there to be seen. */
	flow->last_ns = missed == my->dropped && my->dropped_ns ?
		my->dropped_ns : UINT64_MAX;
	flow->begun = true;
	my->dropped = 0;
	if (exact && flow->place == FLOW_BODY && missed <= flow->body_left) {
		skip_body(my, side, missed);
		return;
	}
	if (flow->place == FLOW_BODY || flow->inside) {
		uint64_t known = flow->place == FLOW_BODY ? flow->body_left : 0;

		if (known > missed)
			known = missed;
		flow->message.holed = true;
		flow->message.missed += known;
		missed -= known;
		deliver_gathered(my, side);
	}
	lose_step(my, side);
	if (side == SIDE_SERVER) {
		if (my->commanded)
			my->server_missed += missed;
		return;
	}
	if (my->commanded)
		my->client_missed += missed;
	last = mysql_command_at(my, my->command_count - 1);
	if (my->command_count && last->has_file && !last->file_ended) {
		last->file_ended = last->damaged = true;
		last->missed += missed;
		my->client_missed = 0;
	}
}

static void mysql_gap(void *state, enum side side, uint64_t missed)
{
	struct mysql *my = state;

	if (my->done)
		return;
	if (my->frames) {
		mysql_frames_gap(my, side, missed);
		return;
	}
	if (!missed) {
		my->forced[side] = true;
		return;
	}
	mysql_gap_packets(my, side, missed, true);
	/* The gap has cut the login's OK, and what came behind it. */
	if (my->frames)
		mysql_frames_lose(my, side);
}

static void *mysql_open(bool from_start, const struct observer *observer)
{
	struct mysql *my = calloc(1, sizeof(*my));

	if (!my)
		return NULL;
	sql_text_open();
	my->observer = observer;
	my->from_start = from_start;
	mysql_response_reset(my);
	return my;
}

/* Reports what was asked and not answered, in order. */
static void close_pending(struct mysql *my)
{
	struct flow *client = &my->flows[SIDE_CLIENT];
	struct flow *server = &my->flows[SIDE_SERVER];
	struct command *head;

	if (client->inside) {
		client->message.holed = true;
		deliver_gathered(my, SIDE_CLIENT);
	}
	if (server->inside && mysql_head(my)) {
		server->message.holed = true;
		deliver_gathered(my, SIDE_SERVER);
	}
	mysql_align_close(my);
	while ((head = mysql_head(my))) {
		/* A binary log has no end but the connection's. */
		if (!mysql_is_silent(head) &&
		    (my->response.phase != PHASE_EVENTS ||
		     my->server_missed)) {
			head->damaged = true;
			head->missed += my->server_missed;
			my->server_missed = 0;
		}
		mysql_report(my);
	}
}

static void mysql_close(void *state)
{
	struct mysql *my = state;

	if (!my->done)
		mysql_frames_close(my);
	/* What is pending may end a login, and begin frames. */
	close_pending(my);
	mysql_frames_free(my);
	for (size_t i = 0; i < my->command_room; i++) {
		buffer_free(&my->commands[i].text);
		buffer_free(&my->commands[i].values);
		buffer_free(&my->commands[i].pieces);
	}
	free(my->commands);
	mysql_statements_clear(my);
	mysql_columns_free(&my->columns);
	exchange_done(&my->exchange);
	buffer_free(&my->flows[SIDE_CLIENT].gathered);
	buffer_free(&my->flows[SIDE_SERVER].gathered);
	buffer_free(&my->response.error);
	buffer_free(&my->namespace);
	sql_text_release(my->text);
	buffer_free(&my->names);
	free(my);
	sql_text_close();
}

const struct parser mysql_parser = {
	.name = "mysql",
	.probe = mysql_probe,
	.open = mysql_open,
	.parse = mysql_parse,
	.resync = mysql_resync,
	.gap = mysql_gap,
	.close = mysql_close,
};
