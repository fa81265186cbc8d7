/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http2.c - HTTP/2: frames of two lanes -> transactions of many streams.
 *
 * DATA is passed on as it comes, of a frame or a part of one; all else is read
 * when the frame is whole.  A gap inside a frame whose header was seen costs
 * that frame; any other costs the lane its place, its HPACK table, and every
 * open stream that side's completeness.  Where frames begin is then found by
 * how they look (http2_look), never by hope.
 *
 * What precedes the capture is not known, and said so: streams without a
 * request, fields without a name.
 * Source: RFC 9113.
 */
#include "parsers/http2.h"

/* The longest frame that a window can hold whole. */
#define WHOLE_BYTES_MAX (PARSER_WINDOW_MAX - HTTP2_HEADER_BYTES - 1)

static const struct step step_more = { PARSE_MORE, 0 };
static const struct step step_lost = { PARSE_LOST, 0 };
static const struct step step_wait = { PARSE_WAIT, 0 };

static void *http2_new(bool from_start, const struct observer *observer)
{
	struct http2 *h2 = calloc(1, sizeof(*h2));

	if (!h2)
		return NULL;
	h2->observer = *observer;
	h2->partial = !from_start;
	for (int side = 0; side < SIDES; side++)
		h2->lanes[side].table = http2_table_new();
	if (h2->lanes[SIDE_CLIENT].table && h2->lanes[SIDE_SERVER].table)
		return h2;
	http2_table_free(h2->lanes[SIDE_CLIENT].table);
	http2_table_free(h2->lanes[SIDE_SERVER].table);
	free(h2);
	return NULL;
}

void *http2_open_upgraded(const struct observer *observer,
			  struct http_transaction *upgraded)
{
	struct http2 *h2 = http2_new(true, observer);
	struct http2_stream *stream;

	if (!h2) {
		http_transaction_finish(upgraded, false);
		return NULL;
	}
	h2->last_stream = 1;
	stream = http2_stream_begin(h2, 1, upgraded);
	if (stream)
		http2_stream_end(h2, stream, SIDE_CLIENT);
	return h2;
}

/* The end of a header block is not to be had: nor is what it adds. */
static void drop_block(struct http2_lane *lane)
{
	buffer_reset(&lane->block);
	lane->block_open = false;
	http2_table_forget(lane->table);
}

/* Bytes are not to be had, and where frames begin is not known any more. */
static void go_astray(struct http2 *h2, enum side side)
{
	struct http2_lane *lane = &h2->lanes[side];

	if (lane->phase != HTTP2_ASTRAY) {
		lane->phase = HTTP2_ASTRAY;
		lane->peeked = false;
		drop_block(lane);
	}
	if (side == SIDE_SERVER)
		http2_stream_settle(h2);
	http2_streams_miss(h2, side);
}

/*
 * Whose frame is it?  NULL: of no stream that is of interest.  A stream whose
 * beginning may have been lost begins here.
 */
static struct http2_stream *frame_stream(struct http2 *h2, enum side side,
					 const struct http2_frame *frame)
{
	struct http2_stream *stream = http2_stream_find(h2, frame->stream);
	bool request;

	if (stream) {
		stream->overtaken = 0;
		return stream;
	}
	request = side == SIDE_CLIENT && frame->type == HTTP2_HEADERS &&
		  frame->stream & 1 && frame->stream > h2->last_stream;
	if (request)
		h2->last_stream = frame->stream;
	if ((frame->type != HTTP2_HEADERS && frame->type != HTTP2_DATA) ||
	    http2_stream_is_recent(h2, frame->stream) ||
	    (!request && !h2->partial))
		return NULL;
	stream = http2_stream_begin(h2, frame->stream, NULL);
	if (!stream)
		return NULL;
	if (frame->type == HTTP2_DATA) {
		stream->damaged[side] = true;
		http_transaction_missed(stream->transaction, side, 0);
	}
	return stream;
}

/* A head that has no pseudo-header fields follows a body. */
static bool is_trailers(const struct http_transaction *transaction,
			enum side side, const struct http_head *head,
			bool ends_stream)
{
	if (http_transaction_has_head(transaction, side))
		return true;
	return ends_stream && !head->incomplete && !head->status &&
	       !head->method.bytes && !head->target.bytes;
}

static void give_head(struct http2 *h2, struct http2_stream *stream,
		      enum side side, bool ends_stream)
{
	struct http_head head = http2_head(&h2->fields);

	if (is_trailers(stream->transaction, side, &head, ends_stream))
		http_transaction_trailers(stream->transaction, side, &head);
	else
		http_transaction_head(stream->transaction, side, &head);
}

/* PUSH_PROMISE: the server has made the client's request itself. */
static void promise_head(struct http2 *h2, uint32_t id)
{
	struct http2_stream *stream = http2_stream_find(h2, id);

	if (!stream)
		return;
	http_transaction_note(stream->transaction, "datasnoop.http.pushed",
			      "true");
	give_head(h2, stream, SIDE_CLIENT, false);
	http2_stream_end(h2, stream, SIDE_CLIENT);
}

/* A header block is whole, or all of it that there will be. */
static void end_block(struct http2 *h2, enum side side)
{
	struct http2_lane *lane = &h2->lanes[side];
	struct http2_stream *stream =
		http2_stream_find(h2, lane->block_stream);

	lane->block_open = false;
	http2_table_read(lane->table, buffer_span(&lane->block), &h2->fields);
	if (lane->block_lost) {
		h2->fields.incomplete = true;
		http2_table_forget(lane->table);
	}
	buffer_reset(&lane->block);
	if (lane->block_promised) {
		promise_head(h2, lane->block_promised);
		return;
	}
	if (!stream)
		return;
	give_head(h2, stream, side, lane->block_ends_stream);
	if (lane->block_ends_stream)
		http2_stream_end(h2, stream, side);
}

static void add_fragment(struct http2 *h2, enum side side,
			 const struct http2_frame *frame, struct span fragment)
{
	struct http2_lane *lane = &h2->lanes[side];

	if (!lane->block_lost &&
	    !buffer_gather(&lane->block, fragment.bytes, fragment.length,
			   HTTP2_BLOCK_BYTES_MAX))
		lane->block_lost = true;
	if (frame->flags & HTTP2_END_HEADERS)
		end_block(h2, side);
}

/* HEADERS or PUSH_PROMISE. */
static void begin_block(struct http2 *h2, enum side side,
			const struct http2_frame *frame, uint32_t promised)
{
	struct http2_lane *lane = &h2->lanes[side];

	buffer_reset(&lane->block);
	lane->block_open = true;
	lane->block_lost = false;
	lane->block_stream = frame->stream;
	lane->block_promised = promised;
	lane->block_ends_stream = frame->type == HTTP2_HEADERS &&
				  frame->flags & HTTP2_END_STREAM;
}

/* The bytes of a promise are the request's. */
static void take_promise(struct http2 *h2, const struct http2_frame *frame,
			 uint32_t promised, const struct window *window)
{
	struct http2_stream *stream;

	if (http2_stream_find(h2, promised))
		return;
	stream = http2_stream_begin(h2, promised, NULL);
	if (stream)
		http_transaction_moved(stream->transaction, SIDE_CLIENT,
				       window, 0,
				       HTTP2_HEADER_BYTES + frame->length);
}

/* A whole frame that is not DATA.  False: its payload is malformed. */
static bool take_frame(struct http2 *h2, enum side side,
		       const struct http2_frame *frame,
		       const struct window *window,
		       struct http2_stream *stream)
{
	struct span payload = { (const char *)window->bytes +
				HTTP2_HEADER_BYTES, frame->length };
	struct http2_payload fields;

	if (!http2_payload_read(frame, payload, &fields))
		return false;
	switch (frame->type) {
	case HTTP2_HEADERS:
		begin_block(h2, side, frame, 0);
		add_fragment(h2, side, frame, fields.data);
		break;
	case HTTP2_PUSH_PROMISE:
		if (side != SIDE_SERVER || !fields.promised)
			return false;
		take_promise(h2, frame, fields.promised, window);
		begin_block(h2, side, frame, fields.promised);
		add_fragment(h2, side, frame, fields.data);
		break;
	case HTTP2_CONTINUATION:
		add_fragment(h2, side, frame, fields.data);
		break;
	case HTTP2_RST_STREAM:
		if (stream)
			http2_stream_reset(h2, stream, fields.error);
		break;
	case HTTP2_GOAWAY:
		http2_streams_refuse(h2, side, fields.last);
		break;
	}
	return true;
}

/* The payload being read has come to its end. */
static void end_payload(struct http2 *h2, enum side side)
{
	struct http2_lane *lane = &h2->lanes[side];
	const struct http2_frame *frame = &lane->frame;
	struct http2_stream *stream = http2_stream_find(h2, frame->stream);

	lane->phase = HTTP2_AT_FRAME;
	lane->peeked = false;
	if (frame->type == HTTP2_DATA && stream &&
	    frame->flags & HTTP2_END_STREAM)
		http2_stream_end(h2, stream, side);
}

/* A piece of the payload, of any size, at `at` of the window. */
static size_t take_payload(struct http2 *h2, enum side side,
			   const struct window *window, size_t at)
{
	struct http2_lane *lane = &h2->lanes[side];
	size_t length = window->length - at, content;
	struct http2_stream *stream;

	if (length > lane->left)
		length = lane->left;
	content = lane->left - lane->padding;
	if (content > length)
		content = length;
	stream = http2_stream_find(h2, lane->frame.stream);
	if (stream) {
		stream->overtaken = 0;
		http_transaction_moved(stream->transaction, side, window, at,
				       length);
		if (!lane->skip)
			http_transaction_body(stream->transaction, side,
					      window->bytes + at, content);
	}
	lane->left -= length;
	if (lane->padding > lane->left)
		lane->padding = lane->left;
	if (!lane->left)
		end_payload(h2, side);
	return length;
}

static void begin_payload(struct http2_lane *lane, uint32_t left,
			  uint32_t padding, bool skip)
{
	lane->phase = HTTP2_IN_PAYLOAD;
	lane->left = left;
	lane->padding = padding;
	lane->skip = skip;
}

/* DATA: its header, and how much of it is padding, then what there is. */
static struct step parse_data(struct http2 *h2, enum side side,
			      const struct window *window,
			      struct http2_stream *stream)
{
	struct http2_lane *lane = &h2->lanes[side];
	bool padded = lane->frame.flags & HTTP2_PADDED;
	size_t used = HTTP2_HEADER_BYTES + padded;
	uint32_t padding = 0;

	if (padded && !lane->frame.length)
		return step_lost;
	if (window->length < used)
		return step_more;
	if (padded)
		padding = window->bytes[HTTP2_HEADER_BYTES];
	if (padding > lane->frame.length - padded)
		return step_lost;
	begin_payload(lane, lane->frame.length - padded, padding, false);
	if (stream)
		http_transaction_moved(stream->transaction, side, window, 0,
				       used);
	if (lane->left)
		used += take_payload(h2, side, window, used);
	else
		end_payload(h2, side);
	return (struct step){ PARSE_TOOK, used };
}

/*
 * A frame of a kind not known, which says nothing, or one that no window can
 * hold: its contents are skipped, as a header block they are lost.
 */
static struct step parse_skipped(struct http2 *h2, enum side side,
				 const struct window *window,
				 struct http2_stream *stream)
{
	struct http2_lane *lane = &h2->lanes[side];
	const struct http2_frame *frame = &lane->frame;

	if (frame->type == HTTP2_HEADERS)
		begin_block(h2, side, frame, 0);
	if (frame->type == HTTP2_PUSH_PROMISE)
		drop_block(lane);
	if (frame->type == HTTP2_HEADERS || frame->type == HTTP2_CONTINUATION) {
		lane->block_lost = true;
		add_fragment(h2, side, frame, (struct span){ NULL, 0 });
	}
	if (stream && http2_stream_find(h2, frame->stream))
		http_transaction_moved(stream->transaction, side, window, 0,
				       HTTP2_HEADER_BYTES);
	begin_payload(lane, frame->length, 0, true);
	if (!lane->left)
		end_payload(h2, side);
	return (struct step){ PARSE_TOOK, HTTP2_HEADER_BYTES };
}

/* Any other frame, when it is whole. */
static struct step parse_whole(struct http2 *h2, enum side side,
			       const struct window *window,
			       struct http2_stream *stream)
{
	struct http2_lane *lane = &h2->lanes[side];
	size_t whole = HTTP2_HEADER_BYTES + lane->frame.length;
	bool counts = lane->frame.type == HTTP2_HEADERS ||
		      lane->frame.type == HTTP2_CONTINUATION ||
		      lane->frame.type == HTTP2_RST_STREAM;

	if (window->length < whole)
		return step_more;
	if (stream && counts)
		http_transaction_moved(stream->transaction, side, window, 0,
				       whole);
	lane->peeked = false;
	if (!take_frame(h2, side, &lane->frame, window, stream))
		return step_lost;
	return (struct step){ PARSE_TOOK, whole };
}

/* Is it an answer to a request that will be read in a moment? */
static bool runs_ahead(const struct http2 *h2, enum side side,
		       const struct http2_frame *frame)
{
	return side == SIDE_SERVER && !h2->partial && frame->stream & 1 &&
	       frame->stream > h2->last_stream &&
	       (frame->type == HTTP2_HEADERS ||
		frame->type == HTTP2_RST_STREAM);
}

/* CONTINUATION comes behind its HEADERS, and nothing else may come there. */
static bool is_in_order(const struct http2_lane *lane)
{
	if (lane->frame.type == HTTP2_CONTINUATION)
		return lane->block_open &&
		       lane->frame.stream == lane->block_stream;
	return !lane->block_open;
}

static struct step parse_frame(struct http2 *h2, enum side side,
			       const struct window *window)
{
	struct http2_lane *lane = &h2->lanes[side];
	const struct http2_frame *frame = &lane->frame;
	struct cursor c = cursor_of(window->bytes, window->length);
	struct http2_stream *stream = NULL;

	if (!http2_frame_read(&c, &lane->frame))
		return step_more;
	if (!http2_frame_is_lawful(frame) || !is_in_order(lane))
		return step_lost;
	if (runs_ahead(h2, side, frame))
		return step_wait;
	lane->peeked = true;
	if (h2->closing && (side == SIDE_CLIENT ||
			    frame->type != HTTP2_RST_STREAM ||
			    frame->stream != h2->closing->id))
		http2_stream_settle(h2);
	if (frame->type <= HTTP2_CONTINUATION && frame->stream)
		stream = frame_stream(h2, side, frame);
	if (frame->type == HTTP2_DATA)
		return parse_data(h2, side, window, stream);
	if (frame->type > HTTP2_CONTINUATION ||
	    frame->length > WHOLE_BYTES_MAX)
		return parse_skipped(h2, side, window, stream);
	return parse_whole(h2, side, window, stream);
}

/* The connection preface of either side, or the middle of something. */
static struct step parse_start(struct http2 *h2, enum side side,
			       const struct window *window)
{
	struct http2_lane *lane = &h2->lanes[side];
	size_t length = window->length < HTTP2_PREFACE_BYTES ?
				window->length : HTTP2_PREFACE_BYTES;
	struct http2_sight sight;

	if (side == SIDE_CLIENT &&
	    !memcmp(window->bytes, HTTP2_PREFACE, length)) {
		if (length < HTTP2_PREFACE_BYTES)
			return step_more;
		lane->phase = HTTP2_AT_FRAME;
		return (struct step){ PARSE_TOOK, length };
	}
	if (side == SIDE_SERVER) {
		enum http2_looks looks = http2_look(
			window->bytes, window->length, NULL, &sight);

		if (looks == HTTP2_TOO_SHORT && !sight.settings_first &&
		    window->length < PARSER_WINDOW_MAX)
			return step_more;
		if (looks != HTTP2_NO_FRAMES && sight.settings_first) {
			lane->phase = HTTP2_AT_FRAME;
			return parse_frame(h2, side, window);
		}
	}
	go_astray(h2, side);
	return step_lost;
}

/* Frames may begin here: do they? */
static struct step parse_astray(struct http2 *h2, enum side side,
				const struct window *window)
{
	switch (http2_look(window->bytes, window->length, h2, NULL)) {
	case HTTP2_NO_FRAMES:
		return step_lost;
	case HTTP2_TOO_SHORT:
		return window->length < PARSER_WINDOW_MAX ? step_more :
							    step_lost;
	case HTTP2_FRAMES:
		break;
	}
	h2->lanes[side].phase = HTTP2_AT_FRAME;
	return parse_frame(h2, side, window);
}

static struct step http2_parse(void *state, enum side side,
			       const struct window *window)
{
	struct http2 *h2 = state;
	struct step step = step_lost;

	switch (h2->lanes[side].phase) {
	case HTTP2_AT_START:
		step = parse_start(h2, side, window);
		break;
	case HTTP2_AT_FRAME:
		step = parse_frame(h2, side, window);
		break;
	case HTTP2_IN_PAYLOAD:
		return (struct step){ PARSE_TOOK,
				      take_payload(h2, side, window, 0) };
	case HTTP2_ASTRAY:
		step = parse_astray(h2, side, window);
		break;
	}
	if (step.outcome == PARSE_LOST)
		go_astray(h2, side);
	return step;
}

static size_t http2_resync(void *state, enum side side,
			   const struct window *window)
{
	struct http2 *h2 = state;
	size_t at = 0;

	if (h2->lanes[side].phase != HTTP2_ASTRAY)
		return 0;
	while (at < window->length &&
	       http2_look(window->bytes + at, window->length - at,
			  h2, NULL) == HTTP2_NO_FRAMES)
		at++;
	return at;
}

/* Bytes of a payload, whose end is known all the same. */
static void miss_payload(struct http2 *h2, enum side side, uint32_t missed)
{
	struct http2_lane *lane = &h2->lanes[side];
	struct http2_stream *stream =
		http2_stream_find(h2, lane->frame.stream);

	if (stream)
		http_transaction_missed(stream->transaction, side, missed);
	lane->left -= missed;
	if (lane->padding > lane->left)
		lane->padding = lane->left;
	if (!lane->left)
		end_payload(h2, side);
}

/* A frame whose header was seen, and not yet taken, is lost. */
static void miss_frame(struct http2 *h2, enum side side, uint32_t missed)
{
	struct http2_lane *lane = &h2->lanes[side];
	const struct http2_frame *frame = &lane->frame;
	struct http2_stream *stream = http2_stream_find(h2, frame->stream);

	if (stream && (frame->type == HTTP2_DATA ||
		       frame->type == HTTP2_HEADERS ||
		       frame->type == HTTP2_CONTINUATION))
		http_transaction_missed(stream->transaction, side, missed);
	begin_payload(lane, HTTP2_HEADER_BYTES + frame->length - missed, 0,
		      true);
	switch (frame->type) {
	case HTTP2_HEADERS:
		begin_block(h2, side, frame, 0);
		/* Fall through. */
	case HTTP2_CONTINUATION:
		lane->block_lost = true;
		add_fragment(h2, side, frame, (struct span){ NULL, 0 });
		break;
	case HTTP2_PUSH_PROMISE:
		drop_block(lane);
		break;
	case HTTP2_RST_STREAM:
		if (stream)
			http2_stream_reset(h2, stream, -1);
		break;
	}
	if (!lane->left)
		end_payload(h2, side);
}

static void http2_gap(void *state, enum side side, uint64_t missed)
{
	struct http2 *h2 = state;
	struct http2_lane *lane = &h2->lanes[side];

	/* The other side's bytes do not come: nothing is waited for again. */
	if (!missed) {
		h2->partial = true;
		return;
	}
	if (lane->phase == HTTP2_IN_PAYLOAD && missed <= lane->left)
		miss_payload(h2, side, (uint32_t)missed);
	else if (lane->phase == HTTP2_AT_FRAME && lane->peeked &&
		 missed <= HTTP2_HEADER_BYTES + lane->frame.length)
		miss_frame(h2, side, (uint32_t)missed);
	else
		go_astray(h2, side);
}

static void http2_close(void *state)
{
	struct http2 *h2 = state;

	http2_streams_close(h2);
	for (int side = 0; side < SIDES; side++) {
		http2_table_free(h2->lanes[side].table);
		buffer_free(&h2->lanes[side].block);
	}
	http2_fields_free(&h2->fields);
	free(h2);
}

/* A reset behind the last frame of a response would have come by now. */
static void http2_quiet(void *state)
{
	http2_stream_settle(state);
}

const struct parser http2_parser = {
	.name = "http2",
	.probe = http2_probe,
	.open = http2_new,
	.parse = http2_parse,
	.resync = http2_resync,
	.gap = http2_gap,
	.quiet = http2_quiet,
	.close = http2_close,
};
