/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conversation.c - drives a parser over a connection's two streams.
 *
 * The two sides' bytes are given in the order of their times, as far as the
 * batches tell it; a parser that needs another order says WAIT.  A parser is
 * code that reads what strangers send: one that breaks parser.h's law is
 * closed and counted, and the connection is left alone.
 */
#include <stdlib.h>

#include "parsers/conversation.h"

_Static_assert(STREAM_WINDOW_MAX == PARSER_WINDOW_MAX,
	       "a window shows what a step may need, and no more");

/* gap(side, 0) so many times in a row, and still no byte taken: broken. */
#define NUDGES_MAX 8

enum phase {
	PHASE_PROBE, /* of no known protocol so far */
	PHASE_PARSE,
	PHASE_OVER /* unknown, or the parser is done: bytes are dropped */
};

enum readiness { SIDE_READY, SIDE_NEEDS_MORE, SIDE_WAITS };

/* One side of the conversation, as the parser sees it. */
struct lane {
	enum readiness readiness;
	bool resync;	 /* a message's beginning must be found first */
	bool lost;	 /* the parser was LOST, last at stream offset: */
	uint64_t lost_at;
	uint64_t untold; /* bytes dropped before a gap, told with it */
	/* what is next; valid until the stream changes */
	enum stream_has has;
	struct window window;
	uint64_t gap;
};

struct conversation {
	const struct conversation_settings *settings;
	struct connection *connection; /* while running */
	enum phase phase;
	unsigned probes;
	bool from_start;
	bool client_out; /* the traced process is the client */
	bool muted;
	bool active; /* bytes have come since conversation_rest() */
	bool rested; /* and the parser was told since that none have */
	const struct parser *parser;
	void *state;
	struct observer observer;
	struct lane lanes[SIDES];
	unsigned nudges;
};

static void report_exchange(void *context, const struct exchange *exchange)
{
	struct conversation *conversation = context;
	const struct conversation_settings *s = conversation->settings;
	enum side traced = conversation->client_out ? SIDE_CLIENT : SIDE_SERVER;

	if (exchange_is_void(exchange)) {
		s->account->parser_errors++;
		return;
	}
	/* Muted: this one was begun before. */
	if (conversation->muted ||
	    (s->exchange && !s->exchange(s->context, conversation->connection,
					 traced, exchange))) {
		s->account->exchanges_mirrored++;
		return;
	}
	s->account->exchanges++;
	if (!exchange->complete)
		s->account->exchanges_incomplete++;
}

static void report_value(void *context, const struct exchange *exchange,
			 int column, struct span value)
{
	struct conversation *conversation = context;
	const struct conversation_settings *s = conversation->settings;

	s->value(s->context, conversation->connection, exchange, column,
		 value);
}

struct conversation *
conversation_new(const struct conversation_settings *settings)
{
	struct conversation *conversation = calloc(1, sizeof(*conversation));

	if (!conversation)
		return NULL;
	conversation->settings = settings;
	conversation->from_start = true;
	conversation->observer = (struct observer){
		.exchange = report_exchange,
		.value = settings->value ? report_value : NULL,
		.context = conversation,
	};
	return conversation;
}

static struct stream *side_stream(const struct conversation *conversation,
				  enum side side)
{
	bool out = (side == SIDE_CLIENT) == conversation->client_out;

	return conversation->connection->streams[out ? BATCH_OUT : BATCH_IN];
}

/* See what is next on a side. */
static void lane_look(struct conversation *conversation, enum side side)
{
	struct lane *lane = &conversation->lanes[side];

	lane->has = stream_head(side_stream(conversation, side), &lane->window,
				&lane->gap);
}

static void lane_take(struct conversation *conversation, enum side side,
		      uint64_t length)
{
	if (length)
		conversation->nudges = 0;
	stream_take(side_stream(conversation, side), length);
	lane_look(conversation, side);
}

/* No parser from here on, for whatever reason. */
static void conversation_close(struct conversation *conversation)
{
	if (conversation->state)
		conversation->parser->close(conversation->state);
	conversation->state = NULL;
	conversation->phase = PHASE_OVER;
}

static void conversation_fail(struct conversation *conversation)
{
	conversation->settings->account->parser_errors++;
	conversation_close(conversation);
}

/* Ask each enabled parser; PROBE_YES: conversation->parser is the one. */
static enum verdict ask_parsers(struct conversation *conversation,
				const struct opening *opening)
{
	const struct conversation_settings *s = conversation->settings;
	const struct parser *const *parsers = s->parsers;
	size_t count = s->parser_count, i;
	enum verdict verdict, all = PROBE_NO;

	if (!count)
		for (parsers = parser_registry; parsers[count]; count++)
			;
	for (i = 0; i < count; i++) {
		bool client_out = false;

		verdict = parsers[i]->probe(opening, &client_out);
		if (verdict == PROBE_YES) {
			conversation->parser = parsers[i];
			conversation->client_out = client_out;
			return PROBE_YES;
		}
		if (verdict == PROBE_MORE)
			all = PROBE_MORE;
	}
	return all;
}

static bool is_enabled(const struct conversation_settings *settings,
		       const struct parser *parser)
{
	size_t i;

	for (i = 0; i < settings->parser_count; i++)
		if (settings->parsers[i] == parser)
			return true;
	return !settings->parser_count;
}

/* Is it of a protocol that is known, but not enabled? */
static bool is_anothers(const struct conversation *conversation,
			const struct opening *opening)
{
	const struct parser *const *parser;
	bool client_out;

	for (parser = parser_registry; *parser; parser++)
		if (!is_enabled(conversation->settings, *parser) &&
		    (*parser)->probe(opening, &client_out) == PROBE_YES)
			return true;
	return false;
}

/* Could the window of a direction be larger the next time? */
static bool may_grow(const struct connection *connection,
		     const struct stream *stream, const struct window *window)
{
	return !connection->closed && window->length < PARSER_WINDOW_MAX &&
	       !stream_stops(stream);
}

/* Drop one direction's first batch, the older one: it began no message. */
static void skip_batch(struct conversation *conversation,
		       const struct opening *opening)
{
	const struct window *in = &opening->in, *out = &opening->out;
	const struct window *older = in;
	uint64_t length;

	if (!in->length || (out->length && window_first_ns(out, 0) <
						   window_first_ns(in, 0)))
		older = out;
	length = older->mark_count ? window_mark_end(older, 0) : older->length;
	stream_take(conversation->connection
			    ->streams[older == in ? BATCH_IN : BATCH_OUT],
		    length);
	conversation->settings->account->bytes_unparsed += length;
	conversation->from_start = false;
}

/* Look at both heads once; false: nothing can be said before more bytes. */
static bool conversation_probe(struct conversation *conversation)
{
	enum verdict verdict;
	struct connection *c = conversation->connection;
	struct stream *in = c->streams[BATCH_IN], *out = c->streams[BATCH_OUT];
	struct opening opening = { .from_start = false };
	enum stream_has has_in, has_out;
	uint64_t gap_in, gap_out;

	if (c->midstream)
		conversation->from_start = false;
	has_in = stream_head(in, &opening.in, &gap_in);
	has_out = stream_head(out, &opening.out, &gap_out);
	if (has_in == STREAM_GAP || has_out == STREAM_GAP) {
		stream_take(in, gap_in);
		stream_take(out, gap_out);
		conversation->from_start = false;
		return true;
	}
	if (has_in == STREAM_NONE && has_out == STREAM_NONE)
		return false;
	opening.from_start = conversation->from_start;
	opening.last = c->closed;
	verdict = ask_parsers(conversation, &opening);
	if (verdict != PROBE_YES && is_anothers(conversation, &opening)) {
		conversation->phase = PHASE_OVER;
		return true;
	}
	switch (verdict) {
	case PROBE_YES:
		conversation->state = conversation->parser->open(
			conversation->from_start, &conversation->observer);
		conversation->phase = conversation->state ? PHASE_PARSE :
							    PHASE_OVER;
		return true;
	case PROBE_MORE:
		if (may_grow(c, in, &opening.in) &&
		    may_grow(c, out, &opening.out))
			return false;
		break;
	case PROBE_NO:
		break;
	}
	if (++conversation->probes >= CONVERSATION_PROBES_MAX)
		conversation->phase = PHASE_OVER;
	else
		skip_batch(conversation, &opening);
	return true;
}

/* A gap is next on this side: tell of it, then look for a message. */
static void step_gap(struct conversation *conversation, enum side side)
{
	struct lane *lane = &conversation->lanes[side];
	uint64_t missed = lane->gap + lane->untold;

	lane->untold = 0;
	lane->resync = true;
	lane_take(conversation, side, lane->gap);
	conversation->parser->gap(conversation->state, side, missed);
}

/* Drop what precedes the next message's beginning. */
static void step_resync(struct conversation *conversation, enum side side,
			size_t at_least)
{
	const struct parser *parser = conversation->parser;
	struct lane *lane = &conversation->lanes[side];
	size_t length = lane->window.length, drop;

	if (lane->untold)
		parser->gap(conversation->state, side, lane->untold);
	lane->untold = 0;
	drop = parser->resync(conversation->state, side, &lane->window);
	if (drop > length) {
		conversation_fail(conversation);
		return;
	}
	if (drop < at_least)
		drop = at_least;
	lane->resync = drop == length;
	if (!drop)
		return;
	lane_take(conversation, side, drop);
	parser->gap(conversation->state, side, drop);
}

/*
 * The parser is LOST.  If it is so again where resync() told it to begin, one
 * byte is dropped against its word: there must be an end.
 */
static void step_lost(struct conversation *conversation, enum side side)
{
	struct lane *lane = &conversation->lanes[side];
	bool again = lane->lost && lane->lost_at == lane->window.offset;

	lane->lost = true;
	lane->lost_at = lane->window.offset;
	step_resync(conversation, side, again ? 1 : 0);
}

/* The parser wants more bytes than are there. */
static void step_more(struct conversation *conversation, enum side side)
{
	struct lane *lane = &conversation->lanes[side];
	size_t length = lane->window.length;

	lane->readiness = SIDE_NEEDS_MORE;
	if (!stream_stops(side_stream(conversation, side)))
		return;
	lane->readiness = SIDE_READY; /* for the gap */
	lane->untold += length;
	lane_take(conversation, side, length);
}

/* Does the step keep parser.h's law? */
static bool step_is_lawful(const struct step *step, size_t length)
{
	switch (step->outcome) {
	case PARSE_TOOK:
		return step->used && step->used <= length;
	case PARSE_MORE:
		return !step->used && length < PARSER_WINDOW_MAX;
	case PARSE_WAIT:
	case PARSE_LOST:
		return !step->used;
	case PARSE_DONE:
		return step->used <= length;
	}
	return false;
}

/* One step of the parser; the other side may be waiting for its progress. */
static void step_parse(struct conversation *conversation, enum side side)
{
	struct lane *lane = &conversation->lanes[side];
	struct lane *other = &conversation->lanes[!side];
	struct step step;

	step = conversation->parser->parse(conversation->state, side,
					   &lane->window);
	if (!step_is_lawful(&step, lane->window.length)) {
		conversation_fail(conversation);
		return;
	}
	switch (step.outcome) {
	case PARSE_MORE:
		step_more(conversation, side);
		return;
	case PARSE_WAIT:
		lane->readiness = SIDE_WAITS;
		return;
	case PARSE_LOST:
		step_lost(conversation, side);
		break;
	case PARSE_TOOK:
		lane_take(conversation, side, step.used);
		break;
	case PARSE_DONE:
		lane_take(conversation, side, step.used);
		conversation_close(conversation);
		break;
	}
	if (other->readiness == SIDE_WAITS)
		other->readiness = SIDE_READY;
}

/* When the first byte of a side's window moved. */
static uint64_t lane_time(const struct lane *lane)
{
	return window_first_ns(&lane->window, 0);
}

/*
 * Whose turn it is: of the sides with bytes the older.  A gap has no time; it
 * is told when the other side has nothing more to say, as the rest of an
 * answer should not be taken for an answer to what was lost.
 */
static enum side next_side(const struct conversation *conversation)
{
	const struct lane *lanes = conversation->lanes;
	bool ready[SIDES], bytes[SIDES];
	enum side side;

	for (side = SIDE_CLIENT; side < SIDES; side++) {
		ready[side] = lanes[side].has != STREAM_NONE &&
			      lanes[side].readiness == SIDE_READY;
		bytes[side] = ready[side] && lanes[side].has == STREAM_BYTES;
	}
	if (bytes[SIDE_CLIENT] && bytes[SIDE_SERVER])
		return lane_time(&lanes[SIDE_SERVER]) <
				       lane_time(&lanes[SIDE_CLIENT]) ?
			       SIDE_SERVER :
			       SIDE_CLIENT;
	for (side = SIDE_CLIENT; side < SIDES; side++)
		if (bytes[side])
			return side;
	for (side = SIDE_CLIENT; side < SIDES; side++)
		if (ready[side])
			return side;
	return SIDES;
}

/*
 * No side can go on.  Ends a wait that nothing else will end: both sides wait
 * for each other, or one waits for a side that has ended.  False: it is right
 * to wait for more bytes.
 */
static bool conversation_nudge(struct conversation *conversation)
{
	struct lane *lanes = conversation->lanes;
	bool client = lanes[SIDE_CLIENT].readiness == SIDE_WAITS;
	bool server = lanes[SIDE_SERVER].readiness == SIDE_WAITS;
	enum side side = client ? SIDE_CLIENT : SIDE_SERVER;

	if (!client && !server)
		return false;
	if (!(client && server) && !conversation->connection->closed)
		return false;
	if (++conversation->nudges > NUDGES_MAX) {
		conversation_fail(conversation);
		return false;
	}
	if (client && server &&
	    lane_time(&lanes[SIDE_SERVER]) < lane_time(&lanes[SIDE_CLIENT]))
		side = SIDE_SERVER;
	conversation->parser->gap(conversation->state, side, 0);
	if (client)
		lanes[SIDE_CLIENT].readiness = SIDE_READY;
	if (server)
		lanes[SIDE_SERVER].readiness = SIDE_READY;
	return true;
}

static void conversation_parse(struct conversation *conversation)
{
	struct lane *lanes = conversation->lanes;
	enum side side;

	for (side = SIDE_CLIENT; side < SIDES; side++) {
		lanes[side].readiness = SIDE_READY;
		lane_look(conversation, side);
	}
	conversation->nudges = 0;
	while (conversation->phase == PHASE_PARSE) {
		side = next_side(conversation);
		if (side == SIDES) {
			if (!conversation_nudge(conversation))
				return;
		} else if (lanes[side].has == STREAM_GAP) {
			step_gap(conversation, side);
			if (lanes[!side].readiness == SIDE_WAITS)
				lanes[!side].readiness = SIDE_READY;
		} else if (lanes[side].resync) {
			step_resync(conversation, side, 0);
		} else {
			step_parse(conversation, side);
		}
	}
}

/*
 * Take all there is of a direction whose bytes nobody reads.  The bytes, gaps
 * included; those that were there are added to *count.
 */
static uint64_t discard(struct stream *stream, uint64_t *count)
{
	struct window window;
	uint64_t gap, total = 0;

	while (stream_head(stream, &window, &gap) != STREAM_NONE) {
		*count += window.length;
		total += window.length + gap;
		stream_take(stream, window.length + gap);
	}
	return total;
}

static void conversation_discard(struct conversation *conversation)
{
	struct stream **streams = conversation->connection->streams;
	struct account *account = conversation->settings->account;
	uint64_t *count = conversation->muted ? &account->bytes_mirrored :
						&account->bytes_unparsed;

	discard(streams[BATCH_IN], count);
	discard(streams[BATCH_OUT], count);
}

/* Muted: the parser is told of what it did not see when it hears again. */
static void conversation_skip(struct conversation *conversation)
{
	struct account *account = conversation->settings->account;
	enum side side;

	for (side = SIDE_CLIENT; side < SIDES; side++) {
		struct lane *lane = &conversation->lanes[side];
		uint64_t skipped = discard(side_stream(conversation, side),
					   &account->bytes_mirrored);

		lane->untold += skipped;
		lane->resync = lane->resync || skipped;
	}
}

void conversation_identify(struct conversation *conversation,
			   struct connection *connection)
{
	conversation->connection = connection;
	while (conversation->phase == PHASE_PROBE &&
	       conversation_probe(conversation))
		;
	conversation->connection = NULL;
}

void conversation_run(struct conversation *conversation,
		      struct connection *connection)
{
	conversation_identify(conversation, connection);
	conversation->connection = connection;
	conversation->active = true;
	conversation->rested = false;
	if (conversation->phase == PHASE_PARSE) {
		if (conversation->muted)
			conversation_skip(conversation);
		else
			conversation_parse(conversation);
	}
	if (conversation->phase == PHASE_OVER)
		conversation_discard(conversation);
	conversation->connection = NULL;
}

enum side conversation_traced(const struct conversation *conversation)
{
	if (conversation->phase != PHASE_PARSE)
		return SIDES;
	return conversation->client_out ? SIDE_CLIENT : SIDE_SERVER;
}

void conversation_mute(struct conversation *conversation, bool muted)
{
	conversation->muted = muted;
}

void conversation_rest(struct conversation *conversation,
		       struct connection *connection)
{
	bool active = conversation->active;

	conversation->active = false;
	if (active || conversation->rested ||
	    conversation->phase != PHASE_PARSE || !conversation->parser->quiet)
		return;
	conversation->rested = true;
	conversation->connection = connection;
	conversation->parser->quiet(conversation->state);
	conversation->connection = NULL;
}

bool conversation_over(const struct conversation *conversation)
{
	return conversation->phase == PHASE_OVER;
}

void conversation_leave(struct conversation *conversation,
			struct connection *connection)
{
	conversation->connection = connection;
	conversation_close(conversation);
	conversation->connection = NULL;
}

void conversation_end(struct conversation *conversation,
		      struct connection *connection)
{
	if (!conversation)
		return;
	conversation->connection = connection;
	conversation_close(conversation);
	free(conversation);
}
