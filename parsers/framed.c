/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * framed.c - a connection whose two sides consist of frames with a length.
 */
#include "parsers/framed.h"

#include <string.h>

static struct step step_of(enum outcome outcome, size_t used)
{
	return (struct step){ outcome, used };
}

void framed_init(struct framed *framed,
		 const struct framed_operations *operations, void *state,
		 bool from_start)
{
	*framed = (struct framed){ .operations = operations, .state = state };
	framed->sides[SIDE_CLIENT].adrift = !from_start;
	framed->sides[SIDE_SERVER].adrift = !from_start;
}

void framed_free(struct framed *framed)
{
	buffer_free(&framed->sides[SIDE_CLIENT].carry);
	buffer_free(&framed->sides[SIDE_SERVER].carry);
}

void framed_skip(struct framed *framed, enum side side, uint64_t length)
{
	framed->sides[side].skip = length;
}

void framed_give_up(struct framed *framed, enum side side)
{
	framed->sides[side].deaf = true;
}

bool framed_whole(const struct framed *framed, enum side side)
{
	const struct framed_side *s = &framed->sides[side];

	return !s->deaf && !s->carry.length && !s->skip;
}

void framed_traffic(const struct framed *framed, enum side side, bool asks,
		    struct pending *pending)
{
	const struct pending *traffic = &framed->sides[side].traffic;

	if (traffic->damaged)
		pending_miss(pending, traffic->missed);
	if (!traffic->request_bytes)
		return;
	if (asks) {
		if (!pending->request_bytes) {
			pending->start_ns = traffic->start_ns;
			pending->tid = traffic->tid;
		}
		pending->request_bytes += traffic->request_bytes;
		return;
	}
	if (!pending->response_bytes)
		pending->first_byte_ns = traffic->first_byte_ns;
	pending->response_bytes += traffic->response_bytes;
	pending->end_ns = traffic->end_ns;
}

static void count_traffic(struct framed_side *s, const struct window *window,
			  size_t at, size_t length)
{
	pending_request(&s->traffic, window, at, length);
	pending_response(&s->traffic, window, at, length);
	s->taken += length;
}

static void forget_message(struct framed_side *s)
{
	buffer_reset(&s->carry);
	s->skip = 0;
	s->deaf = false;
	s->traffic = (struct pending){ 0 };
}

static void end_frame(struct framed *framed, enum side side)
{
	struct framed_side *s = &framed->sides[side];

	s->inside = false;
	if (framed->operations->end(framed->state, side))
		forget_message(s);
}

/* Units of these bytes as far as they go; how many bytes were dealt with. */
static size_t run_units(struct framed *framed, enum side side,
			const uint8_t *bytes, size_t length, bool last)
{
	struct framed_side *s = &framed->sides[side];
	size_t at = 0, used;

	while (at < length && !s->deaf) {
		if (s->skip) {
			used = s->skip < length - at ? s->skip : length - at;
			s->skip -= used;
		} else {
			used = framed->operations->unit(framed->state, side,
							bytes + at,
							length - at, last);
		}
		if (!used)
			break;
		at += used;
	}
	return at;
}

/* Bytes behind a unit that is not whole yet. */
static void feed_carry(struct framed *framed, enum side side,
		       const uint8_t *bytes, size_t length, bool last)
{
	struct framed_side *s = &framed->sides[side];
	struct buffer *carry = &s->carry;
	size_t used;

	while (length && !s->deaf) {
		size_t room = FRAMED_UNIT_MAX - carry->length;
		size_t piece = length < room ? length : room;

		if (!buffer_append(carry, bytes, piece)) {
			s->deaf = true;
			return;
		}
		bytes += piece;
		length -= piece;
		used = run_units(framed, side, carry->bytes, carry->length,
				 last && !length);
		if (!used && carry->length == FRAMED_UNIT_MAX)
			s->deaf = true;
		carry->length -= used;
		memmove(carry->bytes, carry->bytes + used, carry->length);
	}
}

static void feed(struct framed *framed, enum side side, const uint8_t *bytes,
		 size_t length, bool last)
{
	struct framed_side *s = &framed->sides[side];

	if (!s->carry.length) {
		size_t used = run_units(framed, side, bytes, length, last);

		bytes += used;
		length -= used;
		if (length && !s->deaf &&
		    (length >= FRAMED_UNIT_MAX ||
		     !buffer_append(&s->carry, bytes, length)))
			s->deaf = true;
		return;
	}
	feed_carry(framed, side, bytes, length, last);
}

static struct step take_body(struct framed *framed, enum side side,
			     const struct window *window)
{
	struct framed_side *s = &framed->sides[side];
	size_t length = s->left < window->length ? s->left : window->length;

	s->left -= length;
	count_traffic(s, window, 0, length);
	feed(framed, side, window->bytes, length, !s->left);
	if (!s->left)
		end_frame(framed, side);
	return step_of(PARSE_TOOK, length);
}

static struct step take_header(struct framed *framed, enum side side,
			       const struct window *window,
			       const struct frame_shape *shape)
{
	struct framed_side *s = &framed->sides[side];

	if (window->length < shape->header)
		return step_of(PARSE_MORE, 0);
	s->inside = true;
	s->forced = s->waited = false;
	s->left = shape->body;
	count_traffic(s, window, 0, shape->header);
	framed->operations->begin(framed->state, side, window->bytes, shape);
	if (!s->left)
		end_frame(framed, side);
	return step_of(PARSE_TOOK, shape->header);
}

static void go_adrift(struct framed *framed, enum side side)
{
	struct framed_side *s = &framed->sides[side];

	framed->operations->lost(framed->state, side);
	s->inside = false;
	s->left = 0;
	s->adrift = true;
	forget_message(s);
}

/*
 * A wait is over when the other side has moved since, or cannot move.  Out of
 * step it is not waited for: what comes next may be younger than this.
 */
static bool may_wait(struct framed *framed, enum side side)
{
	struct framed_side *s = &framed->sides[side];
	uint64_t other = framed->sides[!side].taken;

	if (s->forced || framed->sides[!side].adrift ||
	    (s->waited && s->waited_at != other))
		return false;
	s->waited = true;
	s->waited_at = other;
	return true;
}

struct step framed_parse(struct framed *framed, enum side side,
			 const struct window *window)
{
	const struct framed_operations *o = framed->operations;
	struct framed_side *s = &framed->sides[side];
	struct frame_shape shape = { 0, 0 };
	enum frame_verdict verdict;

	if (s->inside)
		return take_body(framed, side, window);
	if (s->adrift) {
		verdict = o->sure(framed->state, side, window->bytes,
				  window->length);
		if (verdict == FRAME_NO)
			return step_of(PARSE_LOST, 0);
		if (verdict == FRAME_MORE)
			return step_of(PARSE_MORE, 0);
	}
	verdict = o->shape(framed->state, side, window->bytes, window->length,
			   &shape);
	if (verdict == FRAME_MORE)
		return step_of(PARSE_MORE, 0);
	if (verdict == FRAME_END)
		return step_of(PARSE_DONE, 0);
	if (verdict == FRAME_WAIT && may_wait(framed, side))
		return step_of(PARSE_WAIT, 0);
	if (verdict == FRAME_NO) {
		if (!s->adrift)
			go_adrift(framed, side);
		return step_of(PARSE_LOST, 0);
	}
	s->adrift = false;
	return take_header(framed, side, window, &shape);
}

size_t framed_resync(struct framed *framed, enum side side,
		     const struct window *window)
{
	size_t at;

	if (!framed->sides[side].adrift)
		return 0;
	for (at = 0; at < window->length; at++)
		if (framed->operations->sure(framed->state, side,
					     window->bytes + at,
					     window->length - at) != FRAME_NO)
			break;
	return at;
}

/* `missed` bytes of the frame's body are not there. */
static void skip_gap(struct framed *framed, enum side side, uint64_t missed)
{
	struct framed_side *s = &framed->sides[side];

	s->left -= missed;
	s->taken += missed;
	pending_miss(&s->traffic, missed);
	if (!s->carry.length && s->skip >= missed)
		s->skip -= missed;
	else
		s->deaf = true;
	if (!s->left)
		end_frame(framed, side);
}

void framed_lose(struct framed *framed, enum side side, uint64_t missed)
{
	framed->sides[side].taken += missed;
	pending_miss(&framed->sides[side].traffic, missed);
	go_adrift(framed, side);
}

void framed_gap(struct framed *framed, enum side side, uint64_t missed)
{
	struct framed_side *s = &framed->sides[side];

	if (!missed) {
		s->forced = true;
		return;
	}
	if (s->inside && missed <= s->left) {
		skip_gap(framed, side, missed);
		return;
	}
	framed_lose(framed, side, missed);
}
