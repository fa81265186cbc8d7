/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_websocket.c - WebSocket's frames -> messages.
 *
 * Payload is not kept but for a message's first VALUE_BYTES_MAX bytes; what is
 * not compressed is not even unmasked behind those.  A gap inside a frame is
 * stepped over exactly; after another a chain of frames is looked for, and
 * what may be no message is not told as complete.
 * Sources: RFC 6455 section 5, RFC 7692 section 7.
 */
#include "parsers/http_websocket.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "parsers/buffer.h"
#include "parsers/cursor.h"
#include "parsers/http_content.h"
#include "parsers/pending.h"

#define CONTROL_BYTES_MAX 125  /* of its payload: RFC 6455 section 5.5 */
#define UNMASK_BYTES	  4096 /* unmasked, or inflated, at once */
#define CHAIN_FRAMES	  8    /* in a row; no accident */
#define TARGET_BYTES_MAX  1024 /* kept of the request's target */

enum opcode {
	OPCODE_CONTINUATION = 0,
	OPCODE_TEXT = 1,
	OPCODE_BINARY = 2,
	OPCODE_CLOSE = 8,
	OPCODE_PING = 9,
	OPCODE_PONG = 10
};

struct frame {
	bool fin, compressed, masked;
	unsigned opcode;
	uint8_t mask[4];
	uint64_t length; /* of the payload */
	size_t header;	 /* bytes */
};

enum frame_look { FRAME_NO, FRAME_MORE, FRAME_YES };

/* What bytes behind a hole look like. */
enum chain {
	CHAIN_NO,
	CHAIN_BEGINS, /* a frame, as far as it goes */
	CHAIN_LIKELY, /* one frame, no more */
	CHAIN_SURE
};

/* A message whose frames are coming. */
struct message {
	bool open, compressed;
	unsigned opcode;
	uint64_t frames, size, decoded;
	struct pending pending;
	struct buffer sample;
	const char *trouble; /* static; why it is not decoded */
};

struct lane {
	bool in_payload, astray, behind_gap, dropping;
	bool unseen; /* resync() is to be asked first */
	enum chain chain; /* found behind a hole and not believed yet */
	bool guessed;	  /* the next message may be none */
	struct frame frame;
	uint64_t at; /* bytes of the frame's payload dealt with */
	struct message message;
	uint8_t control[CONTROL_BYTES_MAX];
	size_t control_length;
	bool control_lost; /* some of it */
	bool takeover; /* one context for all messages: RFC 7692 7.1.1 */
	bool context_lost, inflating;
	z_stream zlib;
	uint64_t messages, bytes, pings;
	bool closed;
};

struct http_websocket {
	const struct observer *observer;
	struct buffer target;
	bool deflate; /* permessage-deflate was agreed upon */
	struct lane lanes[SIDES];
	struct pending closing;
	int64_t close_code; /* of who said goodbye first; -1: none */
	struct buffer close_reason;
	bool told;
};

static bool names(struct span list, const char *word)
{
	size_t length = strlen(word);

	for (size_t at = 0; at + length <= list.length; at++)
		if (!memcmp(list.bytes + at, word, length))
			return true;
	return false;
}

struct http_websocket *http_websocket_new(const struct observer *observer,
					  struct span target,
					  struct span extensions)
{
	struct http_websocket *ws = calloc(1, sizeof(*ws));

	if (!ws)
		return NULL;
	ws->observer = observer;
	ws->close_code = -1;
	buffer_gather(&ws->target, target.bytes, target.length,
		      TARGET_BYTES_MAX);
	ws->deflate = names(extensions, "permessage-deflate");
	ws->lanes[SIDE_CLIENT].takeover =
		!names(extensions, "client_no_context_takeover");
	ws->lanes[SIDE_SERVER].takeover =
		!names(extensions, "server_no_context_takeover");
	return ws;
}

/* RFC 6455 section 5.2; the frame's header is all that is looked at. */
static enum frame_look frame_read(const uint8_t *bytes, size_t length,
				  bool deflate, struct frame *frame)
{
	struct cursor c = cursor_of(bytes, length);
	unsigned first = (unsigned)cursor_uint(&c, 1);
	unsigned second = (unsigned)cursor_uint(&c, 1);
	const uint8_t *mask;

	frame->fin = first & 0x80;
	frame->compressed = first & 0x40;
	frame->opcode = first & 0x0f;
	frame->masked = second & 0x80;
	frame->length = second & 0x7f;
	if (frame->length == 126)
		frame->length = cursor_uint_be(&c, 2);
	else if (frame->length == 127)
		frame->length = cursor_uint_be(&c, 8);
	mask = frame->masked ? cursor_take(&c, sizeof(frame->mask)) : NULL;
	if (mask)
		memcpy(frame->mask, mask, sizeof(frame->mask));
	if ((first & 0x30) || (frame->compressed && !deflate) ||
	    (frame->opcode > OPCODE_BINARY && frame->opcode < OPCODE_CLOSE) ||
	    frame->opcode > OPCODE_PONG ||
	    (frame->opcode >= OPCODE_CLOSE &&
	     (!frame->fin || frame->compressed || (second & 0x7f) > 125)))
		return FRAME_NO;
	if (c.bad)
		return FRAME_MORE;
	frame->header = length - cursor_left(&c);
	return frame->length >> 63 ? FRAME_NO : FRAME_YES;
}

static void describe_message(const struct http_websocket *ws, enum side side,
			     struct exchange *exchange)
{
	const struct message *m = &ws->lanes[side].message;

	exchange_reset(exchange, "websocket", FAMILY_OTHER);
	pending_describe(&m->pending, exchange);
	exchange->operation = m->opcode == OPCODE_TEXT	 ? "TEXT" :
			      m->opcode == OPCODE_BINARY ? "BINARY" :
							   "UNKNOWN";
	exchange->subject = buffer_span(&ws->target);
	exchange_text(exchange, "datasnoop.http.target", exchange->subject);
	exchange_text(exchange, "datasnoop.websocket.sender",
		      span_string(side == SIDE_CLIENT ? "client" : "server"));
	exchange_number(exchange, "datasnoop.websocket.size",
			(int64_t)m->size);
	exchange_number(exchange, "datasnoop.websocket.frames",
			(int64_t)m->frames);
	if (m->compressed && !m->trouble)
		exchange_number(exchange, "datasnoop.websocket.decoded_size",
				(int64_t)m->decoded);
	if (m->trouble)
		exchange_text(exchange, "datasnoop.websocket.not_decoded",
			      span_string(m->trouble));
	if (m->opcode != OPCODE_TEXT)
		return;
	exchange_payload(exchange, "datasnoop.websocket.text",
			 buffer_span(&m->sample));
}

/* The lane's message is whole, or as whole as it will be. */
static void tell_message(struct http_websocket *ws, enum side side)
{
	struct message *m = &ws->lanes[side].message;
	const struct observer *observer = ws->observer;
	struct span sample = buffer_span(&m->sample);
	struct exchange exchange = { .lists = NULL };

	describe_message(ws, side, &exchange);
	if (sample.bytes && observer->value)
		observer->value(observer->context, &exchange, -1, sample);
	observer->exchange(observer->context, &exchange);
	exchange_done(&exchange);
	ws->lanes[side].messages++;
	ws->lanes[side].bytes += m->size;
	buffer_free(&m->sample);
	*m = (struct message){ .open = false };
}

static void tell_close(struct http_websocket *ws, bool complete)
{
	const struct lane *client = &ws->lanes[SIDE_CLIENT];
	const struct lane *server = &ws->lanes[SIDE_SERVER];
	struct exchange exchange = { .lists = NULL };

	if (ws->told)
		return;
	ws->told = true;
	exchange_reset(&exchange, "websocket", FAMILY_OTHER);
	pending_describe(&ws->closing, &exchange);
	exchange.operation = "CLOSE";
	exchange.subject = buffer_span(&ws->target);
	exchange.status = ws->close_code;
	/* Normal, going away, no code given: RFC 6455 section 7.4.1. */
	exchange.failed = ws->close_code > 1001 && ws->close_code != 1005;
	exchange.message = buffer_span(&ws->close_reason);
	exchange.complete = exchange.complete && complete;
	exchange_text(&exchange, "datasnoop.http.target", exchange.subject);
	if (ws->close_code >= 0)
		exchange_number(&exchange, "datasnoop.websocket.close_code",
				ws->close_code);
	exchange_number(&exchange, "datasnoop.websocket.client.messages",
			(int64_t)client->messages);
	exchange_number(&exchange, "datasnoop.websocket.client.size",
			(int64_t)client->bytes);
	exchange_number(&exchange, "datasnoop.websocket.server.messages",
			(int64_t)server->messages);
	exchange_number(&exchange, "datasnoop.websocket.server.size",
			(int64_t)server->bytes);
	exchange_number(&exchange, "datasnoop.websocket.pings",
			(int64_t)(client->pings + server->pings));
	ws->observer->exchange(ws->observer->context, &exchange);
	exchange_done(&exchange);
}

/* An exchange needs a time though nobody asked for what the server sends. */
static void message_moved(struct pending *pending, enum side side,
			  const struct window *window, size_t at, size_t length)
{
	if (side == SIDE_CLIENT) {
		pending_request(pending, window, at, length);
		return;
	}
	if (!pending->response_bytes && !pending->start_ns && length) {
		pending->start_ns = window_first_ns(window, at);
		pending->tid = window_tid(window, at);
	}
	pending_response(pending, window, at, length);
}

/* The context that later messages refer to is not known any more. */
static void lose_context(struct lane *lane, const char *why)
{
	lane->message.trouble = why;
	if (lane->takeover)
		lane->context_lost = true;
}

static void inflate_piece(struct lane *lane, const uint8_t *bytes,
			  size_t length)
{
	struct message *m = &lane->message;
	uint8_t out[UNMASK_BYTES];
	z_stream *zlib = &lane->zlib;
	int result;

	zlib->next_in = (Bytef *)(uintptr_t)bytes;
	zlib->avail_in = (uInt)length;
	do {
		zlib->next_out = out;
		zlib->avail_out = sizeof(out);
		result = inflate(zlib, Z_SYNC_FLUSH);
		if (result != Z_OK && result != Z_BUF_ERROR &&
		    result != Z_STREAM_END) {
			lose_context(lane, "corrupt");
			return;
		}
		m->decoded += sizeof(out) - zlib->avail_out;
		buffer_gather(&m->sample, out, sizeof(out) - zlib->avail_out,
			      VALUE_BYTES_MAX);
		if (m->decoded > HTTP_DECODED_BYTES_MAX ||
		    (m->decoded > HTTP_EXPANSION_FREE_BYTES &&
		     m->decoded / HTTP_EXPANSION_MAX > m->size)) {
			lose_context(lane, "limit");
			return;
		}
		/* A last block inside a message: RFC 7692 section 7.2.3.5. */
		if (result == Z_STREAM_END && inflateReset(zlib) != Z_OK)
			return;
	} while (zlib->avail_in || !zlib->avail_out);
}

/* A compressed message begins: an inflater for it, with its context. */
static void begin_inflate(struct lane *lane)
{
	if (lane->context_lost) {
		lane->message.trouble = "context lost";
		return;
	}
	if (!lane->inflating)
		lane->inflating = inflateInit2(&lane->zlib, -MAX_WBITS) ==
				  Z_OK;
	else if (!lane->takeover)
		inflateReset(&lane->zlib);
	if (!lane->inflating)
		lose_context(lane, "memory");
}

/* A data frame begins. */
static void begin_data(struct http_websocket *ws, struct lane *lane)
{
	struct message *m = &lane->message;

	if (!m->open) {
		*m = (struct message){ .open = true,
				       .opcode = lane->frame.opcode,
				       .compressed = lane->frame.compressed };
		m->pending.damaged = lane->guessed;
		lane->guessed = false;
		/* Its beginning was lost, and whether it is compressed. */
		if (lane->frame.opcode == OPCODE_CONTINUATION) {
			m->pending.damaged = true;
			if (ws->deflate)
				lose_context(lane, "context lost");
		}
		if (m->compressed)
			begin_inflate(lane);
	}
	m->frames++;
}

static void take_close(struct http_websocket *ws, enum side side)
{
	struct lane *lane = &ws->lanes[side];
	struct cursor c = cursor_of(lane->control, lane->control_length);

	lane->closed = true;
	if (lane->guessed || lane->control_lost)
		ws->closing.damaged = true;
	if (ws->close_code < 0 && !lane->control_lost) {
		ws->close_code = lane->control_length >= 2 ?
			(int64_t)cursor_uint_be(&c, 2) : 1005;
		buffer_append(&ws->close_reason, c.at, cursor_left(&c));
	}
	if (ws->lanes[!side].closed)
		tell_close(ws, true);
}

/* The frame's payload has ended. */
static void end_frame(struct http_websocket *ws, enum side side)
{
	static const uint8_t tail[] = { 0, 0, 0xff, 0xff };
	struct lane *lane = &ws->lanes[side];
	struct message *m = &lane->message;

	lane->in_payload = false;
	switch (lane->frame.opcode) {
	case OPCODE_CLOSE:
		take_close(ws, side);
		break;
	case OPCODE_PING:
	case OPCODE_PONG:
		lane->pings += lane->frame.opcode == OPCODE_PING;
		break;
	default:
		if (!lane->frame.fin)
			break;
		if (m->compressed && !m->trouble)
			inflate_piece(lane, tail, sizeof(tail));
		tell_message(ws, side);
		break;
	}
}

/* The lane's frames are lost: what was coming is told as it is. */
static void go_astray(struct http_websocket *ws, enum side side)
{
	struct lane *lane = &ws->lanes[side];

	if (lane->message.compressed)
		lane->message.trouble = "context lost";
	lane->context_lost = lane->context_lost ||
			     (ws->deflate && lane->takeover);
	lane->in_payload = lane->guessed = false;
	lane->chain = CHAIN_NO;
	lane->astray = true;
	if (!lane->message.open)
		return;
	lane->message.pending.damaged = true;
	tell_message(ws, side);
}

static struct step step_header(struct http_websocket *ws, enum side side,
			       const struct window *window)
{
	struct lane *lane = &ws->lanes[side];
	struct message *m = &lane->message;
	bool data, first;

	switch (frame_read(window->bytes, window->length, ws->deflate,
			   &lane->frame)) {
	case FRAME_MORE:
		return (struct step){ PARSE_MORE, 0 };
	case FRAME_YES:
		break;
	case FRAME_NO:
		go_astray(ws, side);
		return (struct step){ PARSE_LOST, 0 };
	}
	data = lane->frame.opcode <= OPCODE_BINARY;
	first = lane->frame.opcode != OPCODE_CONTINUATION;
	if (data && first == m->open && !(lane->behind_gap && !first)) {
		go_astray(ws, side);
		return (struct step){ PARSE_LOST, 0 };
	}
	lane->astray = false;
	lane->behind_gap = lane->behind_gap && !data;
	lane->in_payload = true;
	lane->at = 0;
	lane->control_length = 0;
	lane->control_lost = false;
	if (data)
		begin_data(ws, lane);
	if (data)
		message_moved(&m->pending, side, window, 0,
			      lane->frame.header);
	else if (lane->frame.opcode == OPCODE_CLOSE)
		message_moved(&ws->closing, side, window, 0,
			      lane->frame.header);
	if (!lane->frame.length)
		end_frame(ws, side);
	return (struct step){ PARSE_TOOK, lane->frame.header };
}

static void unmask(const struct frame *frame, uint64_t at,
		   const uint8_t *from, uint8_t *to, size_t length)
{
	for (size_t i = 0; i < length; i++)
		to[i] = frame->masked ? from[i] ^ frame->mask[(at + i) & 3] :
					from[i];
}

/* `length` bytes of a data frame's payload. */
static void take_data(struct lane *lane, const uint8_t *bytes, size_t length)
{
	struct message *m = &lane->message;
	uint8_t plain[UNMASK_BYTES];

	m->size += length;
	for (size_t at = 0; at < length && !m->trouble;) {
		size_t piece = length - at;

		if (!m->compressed && m->sample.length >= VALUE_BYTES_MAX)
			return;
		if (piece > sizeof(plain))
			piece = sizeof(plain);
		unmask(&lane->frame, lane->at + at, bytes + at, plain, piece);
		if (m->compressed)
			inflate_piece(lane, plain, piece);
		else
			buffer_gather(&m->sample, plain, piece,
				      VALUE_BYTES_MAX);
		at += piece;
	}
}

static struct step step_payload(struct http_websocket *ws, enum side side,
				const struct window *window)
{
	struct lane *lane = &ws->lanes[side];
	uint64_t left = lane->frame.length - lane->at;
	size_t length = left < window->length ? (size_t)left : window->length;

	if (lane->frame.opcode <= OPCODE_BINARY) {
		message_moved(&lane->message.pending, side, window, 0, length);
		take_data(lane, window->bytes, length);
	} else {
		if (lane->frame.opcode == OPCODE_CLOSE)
			message_moved(&ws->closing, side, window, 0, length);
		/* Its whole payload fits: frame_read() saw to that. */
		unmask(&lane->frame, lane->at, window->bytes,
		       lane->control + lane->control_length, length);
		lane->control_length += length;
	}
	lane->at += length;
	if (lane->at == lane->frame.length)
		end_frame(ws, side);
	return (struct step){ PARSE_TOOK, length };
}

/* Did a piece of the stream end here? */
static bool is_border(const struct window *window, size_t at)
{
	for (size_t i = 0; at && i < window->mark_count; i++)
		if (window_mark_end(window, i) >= at)
			return window_mark_end(window, i) == at;
	return true;
}

/*
 * Do frames follow each other from here on as they should?  Senders write whole
 * frames: few are believed where a piece begins, elsewhere some that end where
 * a piece does, but not the first of them: by accident it may be the end of
 * another.
 */
static enum chain chain_at(bool deflate, enum side side,
			   const struct window *window, size_t start)
{
	size_t at = start;
	unsigned frames = 0;
	bool ends = false;
	struct frame frame;

	while (frames < CHAIN_FRAMES && at < window->length) {
		size_t left = window->length - at;
		enum frame_look look = frame_read(window->bytes + at, left,
						  deflate, &frame);

		if (look == FRAME_NO ||
		    (left > 1 && frame.masked != (side == SIDE_CLIENT)))
			return CHAIN_NO;
		if (look == FRAME_MORE || frame.length > left - frame.header)
			break;
		at += frame.header + (size_t)frame.length;
		ends = ends || (frames++ && is_border(window, at));
	}
	if (!is_border(window, start))
		return ends || frames == CHAIN_FRAMES ? CHAIN_LIKELY : CHAIN_NO;
	if (frames > 1)
		return CHAIN_SURE;
	if (at == window->length)
		return CHAIN_LIKELY;
	/* What there is of one may be waited for. */
	return window->length < PARSER_WINDOW_MAX ? CHAIN_BEGINS : CHAIN_NO;
}

/* Where the first such chain begins, or else one that may go on. */
static size_t find_chain(bool deflate, enum side side,
			 const struct window *window, enum chain *chain)
{
	size_t begins = window->length;

	for (size_t at = 0; at < window->length; at++) {
		*chain = chain_at(deflate, side, window, at);
		if (*chain == CHAIN_LIKELY || *chain == CHAIN_SURE)
			return at;
		if (*chain == CHAIN_BEGINS && begins == window->length)
			begins = at;
	}
	*chain = begins < window->length ? CHAIN_BEGINS : CHAIN_NO;
	return begins;
}

size_t http_websocket_find(enum side side, const struct window *window,
			   bool unseen)
{
	struct frame frame;
	enum chain chain;

	if (unseen) {
		size_t at = find_chain(true, side, window, &chain);

		return chain == CHAIN_BEGINS ? window->length : at;
	}
	if (frame_read(window->bytes, window->length, true, &frame) ==
		    FRAME_NO ||
	    frame.opcode == OPCODE_CONTINUATION ||
	    (window->length > 1 && frame.masked != (side == SIDE_CLIENT)))
		return window->length;
	return 0;
}

size_t http_websocket_resync(struct http_websocket *ws, enum side side,
			     const struct window *window)
{
	struct lane *lane = &ws->lanes[side];

	lane->dropping = true;
	lane->unseen = false;
	if (!lane->astray)
		return 0;
	return find_chain(ws->deflate, side, window, &lane->chain);
}

/* Frames were found behind a hole: may they be read?  TOOK: they may. */
static enum outcome try_chain(struct http_websocket *ws, enum side side,
			      const struct window *window)
{
	struct lane *lane = &ws->lanes[side];

	if (lane->chain == CHAIN_BEGINS) {
		size_t at = find_chain(ws->deflate, side, window,
				       &lane->chain);

		if (at || lane->chain == CHAIN_NO)
			return PARSE_LOST;
		if (lane->chain == CHAIN_BEGINS)
			return PARSE_MORE;
	}
	lane->behind_gap = true;
	lane->guessed = lane->chain == CHAIN_LIKELY;
	lane->chain = CHAIN_NO;
	return PARSE_TOOK;
}

struct step http_websocket_parse(struct http_websocket *ws, enum side side,
				 const struct window *window)
{
	struct lane *lane = &ws->lanes[side];

	lane->dropping = false;
	if (ws->told)
		return (struct step){ PARSE_DONE, 0 };
	if (lane->unseen)
		return (struct step){ PARSE_LOST, 0 };
	if (lane->in_payload)
		return step_payload(ws, side, window);
	if (lane->chain != CHAIN_NO) {
		enum outcome outcome = try_chain(ws, side, window);

		if (outcome != PARSE_TOOK)
			return (struct step){ outcome, 0 };
	}
	return step_header(ws, side, window);
}

void http_websocket_unseen(struct http_websocket *ws, enum side side)
{
	go_astray(ws, side);
	ws->lanes[side].unseen = true;
}

void http_websocket_gap(struct http_websocket *ws, enum side side,
			uint64_t missed)
{
	struct lane *lane = &ws->lanes[side];
	struct message *m = &lane->message;
	uint64_t left = lane->frame.length - lane->at;
	bool inside = lane->in_payload && missed <= left;
	bool control = inside && lane->frame.opcode > OPCODE_BINARY;
	bool drop = lane->dropping;

	lane->dropping = false;
	if (!missed || (drop && lane->astray))
		return;
	if (m->open && !control)
		pending_miss(&m->pending, missed);
	if (!inside) {
		go_astray(ws, side);
		return;
	}
	lane->at += missed;
	if (control) {
		lane->control_lost = true;
	} else {
		if (m->compressed)
			lose_context(lane, "context lost");
		m->size += missed;
	}
	if (lane->at == lane->frame.length)
		end_frame(ws, side);
}

void http_websocket_close(struct http_websocket *ws)
{
	for (int side = 0; side < SIDES; side++) {
		struct lane *lane = &ws->lanes[side];

		if (lane->message.open) {
			lane->message.pending.damaged = true;
			tell_message(ws, side);
		}
		if (lane->inflating)
			inflateEnd(&lane->zlib);
	}
	/* Without a goodbye of both it has not ended as it should. */
	tell_close(ws, false);
	buffer_free(&ws->target);
	buffer_free(&ws->close_reason);
	free(ws);
}
