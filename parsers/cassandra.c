/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cassandra.c - CQL's envelopes, paired by their stream, and the segments that
 * version 5 puts them in.
 *
 * Where there are segments their payload goes through the same reading of
 * envelopes as the stream itself does where there are none.
 * Sources: see cassandra.h.
 */
#include "parsers/cassandra.h"

#include <stdlib.h>

#define VERSION_MIN	3
#define VERSION_MAX	5
#define FROM_SERVER	0x80
#define EVENT_STREAM	-1
#define BODY_BYTES_MAX	(256u << 20) /* of an envelope, by specification */
#define WAITS_MAX	8 /* in a row, for the other side, in a segment */

struct head {
	uint8_t version, flags, opcode;
	bool from_server;
	int stream;
	uint32_t length;
};

static struct head head_of(const uint8_t *bytes)
{
	struct cursor c = cursor_of(bytes, CASSANDRA_ENVELOPE_BYTES);
	struct head head;

	head.version = (uint8_t)cursor_uint(&c, 1);
	head.from_server = head.version & FROM_SERVER;
	head.version &= (uint8_t)~FROM_SERVER;
	head.flags = (uint8_t)cursor_uint(&c, 1);
	head.stream = (int16_t)cursor_uint_be(&c, 2);
	head.opcode = (uint8_t)cursor_uint(&c, 1);
	head.length = (uint32_t)cursor_uint_be(&c, 4);
	return head;
}

static bool is_opcode_of(enum side side, uint8_t opcode)
{
	switch (opcode) {
	case CQL_STARTUP: case CQL_OPTIONS: case CQL_QUERY: case CQL_PREPARE:
	case CQL_EXECUTE: case CQL_REGISTER: case CQL_BATCH:
	case CQL_AUTH_RESPONSE:
		return side == SIDE_CLIENT;
	case CQL_ERROR: case CQL_READY: case CQL_AUTHENTICATE:
	case CQL_SUPPORTED: case CQL_RESULT: case CQL_EVENT:
	case CQL_AUTH_CHALLENGE: case CQL_AUTH_SUCCESS:
		return side == SIDE_SERVER;
	default:
		return false;
	}
}

static bool is_head_of(enum side side, const struct head *head)
{
	return head->version >= VERSION_MIN && head->version <= VERSION_MAX &&
	       head->from_server == (side == SIDE_SERVER) &&
	       !(head->flags & ~CQL_FLAGS) &&
	       is_opcode_of(side, head->opcode) &&
	       head->length <= BODY_BYTES_MAX;
}

static struct cassandra_request *find_request(struct cassandra *cassandra,
					      int stream)
{
	struct cassandra_request *request;

	HASH_FIND_INT(cassandra->requests, &stream, request);
	return request;
}

static void finish(struct cassandra *cassandra,
		   struct cassandra_request *request, bool answered)
{
	cassandra_report(cassandra, request, answered);
	cassandra_request_free(request);
}

static void finish_lost(struct cassandra *cassandra,
			struct cassandra_request *request)
{
	HASH_DEL(cassandra->requests, request);
	pending_miss(&request->pending, 0);
	finish(cassandra, request, false);
}

/* A stream's id is free again only when its answer has come. */
static void enqueue(struct cassandra *cassandra,
		    struct cassandra_request *request)
{
	struct cassandra_request *older = find_request(cassandra,
						       request->stream);

	if (!older && HASH_COUNT(cassandra->requests) ==
			      CASSANDRA_REQUESTS_MAX)
		older = cassandra->requests;
	if (older)
		finish_lost(cassandra, older);
	HASH_ADD_INT(cassandra->requests, stream, request);
}

/* [string] of printable characters, as far as it is seen. */
static bool is_string(struct cursor c, unsigned length_bytes, uint64_t max)
{
	uint64_t length = cursor_uint_be(&c, length_bytes);

	if (c.bad || !length || length > max)
		return false;
	for (size_t i = 0; i < length && i < 24 && cursor_left(&c); i++) {
		uint64_t byte = cursor_uint(&c, 1);

		if ((byte < 0x20 && byte != '\t' && byte != '\n' &&
		     byte != '\r') || byte == 0x7f)
			return false;
	}
	return true;
}

static bool request_begins(const struct head *head, struct cursor c)
{
	uint64_t count;

	switch (head->opcode) {
	case CQL_OPTIONS:
		return !head->length;
	case CQL_STARTUP:
	case CQL_REGISTER:
		count = cursor_uint_be(&c, 2);
		return count && count <= 16 && is_string(c, 2, 64);
	case CQL_QUERY:
	case CQL_PREPARE:
		return is_string(c, 4, head->length);
	case CQL_EXECUTE:
		count = cursor_uint_be(&c, 2);
		return count && count <= CASSANDRA_ID_BYTES_MAX &&
		       count + 2 < head->length;
	case CQL_BATCH:
		return cursor_uint(&c, 1) <= 2 && cursor_uint_be(&c, 2) &&
		       cursor_uint(&c, 1) <= 1 && !c.bad;
	default:
		return cursor_uint_be(&c, 4) + 4 == head->length;
	}
}

static bool response_begins(const struct head *head, struct cursor c)
{
	uint64_t number;

	switch (head->opcode) {
	case CQL_READY:
		return !head->length;
	case CQL_RESULT:
		number = cursor_uint_be(&c, 4);
		return number >= 1 && number <= 5;
	case CQL_ERROR:
		number = cursor_uint_be(&c, 4);
		return !c.bad && number <= 0x2500 && !(number & 0xf0);
	case CQL_SUPPORTED:
		number = cursor_uint_be(&c, 2);
		return number && number <= 32 && is_string(c, 2, 64);
	case CQL_AUTHENTICATE:
		return is_string(c, 2, 256);
	case CQL_EVENT:
		return head->stream == EVENT_STREAM && is_string(c, 2, 32);
	default:
		return cursor_uint_be(&c, 4) + 4 == head->length ||
		       head->length == 4;
	}
}

/* Does an envelope of the side begin there, with a body as it should? */
static enum frame_verdict begins(enum side side, const uint8_t *bytes,
				 size_t length)
{
	size_t need = CASSANDRA_ENVELOPE_BYTES, left;
	struct head head;
	struct cursor c;

	if ((bytes[0] & FROM_SERVER) != (side == SIDE_SERVER ? FROM_SERVER : 0))
		return FRAME_NO;
	if ((bytes[0] & ~FROM_SERVER) < VERSION_MIN ||
	    (bytes[0] & ~FROM_SERVER) > VERSION_MAX)
		return FRAME_NO;
	if (length < need)
		return FRAME_MORE;
	head = head_of(bytes);
	if (!is_head_of(side, &head))
		return FRAME_NO;
	left = head.length < 24 ? head.length : 24;
	if (length < need + left)
		return FRAME_MORE;
	if (head.flags & (CQL_COMPRESSED | CQL_PAYLOAD))
		return FRAME_YES;
	if (side == SIDE_SERVER && head.flags & (CQL_TRACED | CQL_WARNINGS))
		return FRAME_YES;
	if (length > need + head.length)
		length = need + head.length;
	c = cursor_of(bytes + need, length - need);
	return (side == SIDE_CLIENT ? request_begins(&head, c) :
				      response_begins(&head, c)) ?
		FRAME_YES : FRAME_NO;
}

static enum frame_verdict sure(void *state, enum side side,
			       const uint8_t *bytes, size_t length)
{
	struct cassandra *cassandra = state;
	enum frame_verdict verdict = begins(side, bytes, length);
	struct head head;

	if (verdict != FRAME_YES)
		return verdict;
	head = head_of(bytes);
	if (cassandra->version && head.version != cassandra->version)
		return FRAME_NO;
	if (side == SIDE_CLIENT || head.stream == EVENT_STREAM)
		return FRAME_YES;
	return find_request(cassandra, head.stream) ? FRAME_YES : FRAME_NO;
}

static enum frame_verdict shape(void *state, enum side side,
				const uint8_t *bytes, size_t length,
				struct frame_shape *out)
{
	struct cassandra *cassandra = state;
	struct head head;

	if (length < CASSANDRA_ENVELOPE_BYTES)
		return FRAME_MORE;
	head = head_of(bytes);
	if (!is_head_of(side, &head))
		return FRAME_NO;
	out->header = CASSANDRA_ENVELOPE_BYTES;
	out->body = head.length;
	/* What follows STARTUP depends on its answer. */
	if (side == SIDE_CLIENT && cassandra->starting)
		return FRAME_WAIT;
	if (side == SIDE_SERVER && head.opcode != CQL_EVENT &&
	    !find_request(cassandra, head.stream))
		return FRAME_WAIT;
	return FRAME_YES;
}

static void begin_answer(struct cassandra *cassandra, const struct head *head)
{
	struct cassandra_answering *a = &cassandra->answering;
	struct cassandra_request *request = NULL;

	if (head->opcode == CQL_EVENT) {
		request = cassandra_request_new(CQL_EVENT, head->stream);
	} else {
		request = find_request(cassandra, head->stream);
		if (request)
			HASH_DEL(cassandra->requests, request);
		else
			request = cassandra_request_new(CQL_NONE, head->stream);
		if (request && request->opcode == CQL_NONE)
			pending_miss(&request->pending, 0);
	}
	if (request)
		request->version = head->version;
	cassandra_answering_begin(cassandra, request, head->flags);
	a->opcode = head->opcode;
	a->version = head->version;
}

static void begin(void *state, enum side side, const uint8_t *header,
		  const struct frame_shape *frame)
{
	struct cassandra *cassandra = state;
	struct head head = head_of(header);
	struct cassandra_request *request;

	(void)frame;
	cassandra->version = head.version;
	cassandra->sides[side].flags = head.flags;
	cassandra->sides[side].body.length = 0;
	cassandra->sides[side].body_cut = cassandra->sides[side].unread = false;
	if (side == SIDE_SERVER) {
		begin_answer(cassandra, &head);
		return;
	}
	request = cassandra_request_new(head.opcode, head.stream);
	if (request)
		request->version = head.version;
	cassandra_asking_begin(cassandra, request, head.flags);
}

static size_t read_unit(struct cassandra *cassandra, enum side side,
			const uint8_t *bytes, size_t length, bool last)
{
	if (side == SIDE_SERVER)
		return cassandra_answering_unit(cassandra, bytes, length, last);
	return cassandra_asking_unit(cassandra, bytes, length, last);
}

/* In version 5 segments are compressed, and no body is. */
static bool is_compressed(const struct cassandra *cassandra, enum side side)
{
	return cassandra->sides[side].flags & CQL_COMPRESSED &&
	       !cassandra->segmented;
}

static size_t unit(void *state, enum side side, const uint8_t *bytes,
		   size_t length, bool last)
{
	struct cassandra *cassandra = state;

	if (!is_compressed(cassandra, side))
		return read_unit(cassandra, side, bytes, length, last);
	if (!buffer_gather(&cassandra->sides[side].body, bytes, length,
			   CASSANDRA_BODY_BYTES_MAX))
		cassandra->sides[side].body_cut = true;
	return length;
}

/* The body that was gathered is read as if it had come so. */
static void read_compressed(struct cassandra *cassandra, enum side side)
{
	struct framed_side *framed = &cassandra->envelopes.sides[side];
	struct buffer *plain = &cassandra->sides[side].plain;
	const struct buffer *body = &cassandra->sides[side].body;
	size_t at = 0, used;

	if (!body->length)
		return;
	if (framed->deaf || cassandra->sides[side].body_cut ||
	    !cassandra_body_open(cassandra->compression, body, plain)) {
		cassandra->sides[side].unread = true;
		return;
	}
	while (at < plain->length && !framed->deaf) {
		used = read_unit(cassandra, side, plain->bytes + at,
				 plain->length - at, true);
		if (!used)
			break;
		at += used;
		at += framed->skip < plain->length - at ?
			(size_t)framed->skip : plain->length - at;
		framed->skip = 0;
	}
	cassandra->sides[side].unread = at < plain->length;
	buffer_reset(plain);
}

static bool is_whole(const struct cassandra *cassandra, enum side side)
{
	return framed_whole(&cassandra->envelopes, side) &&
	       !cassandra->sides[side].unread;
}

static void end_request(struct cassandra *cassandra)
{
	struct cassandra_request *request = cassandra->asking.request;

	cassandra->asking.request = NULL;
	if (!request)
		return;
	framed_traffic(&cassandra->envelopes, SIDE_CLIENT, true,
		       &request->pending);
	if (!is_whole(cassandra, SIDE_CLIENT))
		pending_miss(&request->pending, 0);
	if (request->opcode == CQL_STARTUP) {
		cassandra->compression = request->compression;
		cassandra->starting = request->version >= 5;
	}
	enqueue(cassandra, request);
}

/* Version 5: what follows the answer to STARTUP is in segments. */
static void end_startup(struct cassandra *cassandra, uint8_t opcode)
{
	cassandra->starting = false;
	if (opcode != CQL_READY && opcode != CQL_AUTHENTICATE)
		return;
	cassandra->segmented = true;
	cassandra->segments.sides[SIDE_CLIENT].adrift = false;
	cassandra->segments.sides[SIDE_SERVER].adrift = false;
}

static void end_response(struct cassandra *cassandra)
{
	struct cassandra_answering *a = &cassandra->answering;
	struct cassandra_request *request = a->request;

	if (!request)
		return;
	framed_traffic(&cassandra->envelopes, SIDE_SERVER, false,
		       &request->pending);
	if (!is_whole(cassandra, SIDE_SERVER))
		pending_miss(&request->pending, 0);
	if (request->opcode == CQL_STARTUP && request->version >= 5)
		end_startup(cassandra, a->opcode);
	cassandra_report(cassandra, request, true);
	cassandra_answering_apply(cassandra);
	cassandra_request_free(request);
	a->request = NULL;
}

static bool end(void *state, enum side side)
{
	struct cassandra *cassandra = state;

	if (is_compressed(cassandra, side))
		read_compressed(cassandra, side);
	if (side == SIDE_CLIENT)
		end_request(cassandra);
	else
		end_response(cassandra);
	buffer_reset(&cassandra->sides[side].body);
	return true;
}

static void lost(void *state, enum side side)
{
	struct cassandra *cassandra = state;
	struct cassandra_request *request;

	if (side == SIDE_CLIENT)
		request = cassandra->asking.request;
	else
		request = cassandra->answering.request;
	cassandra->asking.request = side == SIDE_CLIENT ?
		NULL : cassandra->asking.request;
	if (side == SIDE_SERVER) {
		cassandra->answering.request = NULL;
		cassandra->starting = false;
	}
	if (!request)
		return;
	framed_traffic(&cassandra->envelopes, side, side == SIDE_CLIENT,
		       &request->pending);
	pending_miss(&request->pending, 0);
	if (side == SIDE_CLIENT)
		enqueue(cassandra, request);
	else
		finish(cassandra, request, true);
}

static const struct framed_operations envelope_operations = {
	.shape = shape,
	.sure = sure,
	.begin = begin,
	.unit = unit,
	.end = end,
	.lost = lost,
};

/* Segments. */

static enum frame_verdict segment_shape(void *state, enum side side,
					const uint8_t *bytes, size_t length,
					struct frame_shape *out)
{
	struct cassandra *cassandra = state;
	uint32_t uncompressed;
	enum frame_verdict verdict = cassandra_segment_shape(
		cassandra->compression == CQL_LZ4, bytes, length, out,
		&uncompressed);

	if (verdict == FRAME_YES && side == SIDE_SERVER &&
	    !cassandra->requests)
		return FRAME_WAIT;
	return verdict;
}

static enum frame_verdict segment_sure(void *state, enum side side,
				       const uint8_t *bytes, size_t length)
{
	struct cassandra *cassandra = state;
	struct frame_shape out;
	uint32_t uncompressed;

	(void)side;
	return cassandra_segment_shape(cassandra->compression == CQL_LZ4,
				       bytes, length, &out, &uncompressed);
}

static void segment_begin(void *state, enum side side, const uint8_t *header,
			  const struct frame_shape *frame)
{
	struct cassandra *cassandra = state;
	struct frame_shape out;

	cassandra_segment_shape(cassandra->compression == CQL_LZ4, header,
				frame->header, &out,
				&cassandra->sides[side].uncompressed);
	cassandra->sides[side].payload = (uint32_t)frame->body - 4;
	buffer_reset(&cassandra->sides[side].body);
}

static size_t segment_unit(void *state, enum side side, const uint8_t *bytes,
			   size_t length, bool last)
{
	struct cassandra *cassandra = state;

	(void)last;
	buffer_gather(&cassandra->sides[side].body, bytes, length,
		      CASSANDRA_SEGMENT_BYTES_MAX + 4);
	return length;
}

/* Drops bytes of the envelopes' stream of the side. */
static void drop(struct buffer *stream, size_t length)
{
	stream->length -= length;
	memmove(stream->bytes, stream->bytes + length, stream->length);
}

/* What precedes the next envelope; at least so much. */
static void resync_stream(struct cassandra *cassandra, enum side side,
			  struct window *window, size_t at_least)
{
	size_t length = framed_resync(&cassandra->envelopes, side, window);

	if (length < at_least)
		length = at_least;
	if (!length)
		return;
	drop(&cassandra->sides[side].stream, length);
	framed_lose(&cassandra->envelopes, side, length);
}

/* The envelopes that the segments so far hold. */
static void read_stream(struct cassandra *cassandra, enum side side)
{
	struct buffer *stream = &cassandra->sides[side].stream;
	const struct pending *traffic =
		&cassandra->segments.sides[side].traffic;
	unsigned waits = 0;

	while (stream->length) {
		size_t length = stream->length < PARSER_WINDOW_MAX ?
			stream->length : PARSER_WINDOW_MAX;
		struct mark mark = { length, traffic->start_ns,
				     traffic->end_ns, traffic->tid };
		struct window window = { .bytes = stream->bytes,
					 .length = length, .marks = &mark,
					 .mark_count = 1 };
		struct step step = framed_parse(&cassandra->envelopes, side,
						&window);

		if (step.outcome == PARSE_TOOK)
			drop(stream, step.used);
		else if (step.outcome == PARSE_LOST)
			resync_stream(cassandra, side, &window, 1);
		else if (step.outcome == PARSE_WAIT && waits++ < WAITS_MAX)
			framed_gap(&cassandra->envelopes, side, 0);
		else
			return;
	}
}

static bool segment_end(void *state, enum side side)
{
	struct cassandra *cassandra = state;
	uint32_t uncompressed = cassandra->sides[side].uncompressed;
	bool compressed = cassandra->compression == CQL_LZ4;
	struct buffer *plain = &cassandra->sides[side].plain;
	struct buffer *stream = &cassandra->sides[side].stream;

	if (framed_whole(&cassandra->segments, side) &&
	    cassandra_segment_open(&cassandra->sides[side].body, uncompressed,
				   compressed, plain) &&
	    buffer_append(stream, plain->bytes, plain->length)) {
		read_stream(cassandra, side);
	} else {
		/* Its envelopes are missing, to the byte. */
		stream->length = 0;
		framed_gap(&cassandra->envelopes, side,
			   compressed && uncompressed ? uncompressed :
				   cassandra->sides[side].payload);
	}
	buffer_reset(plain);
	buffer_reset(&cassandra->sides[side].body);
	return true;
}

static void segment_lost(void *state, enum side side)
{
	struct cassandra *cassandra = state;

	cassandra->sides[side].stream.length = 0;
	framed_lose(&cassandra->envelopes, side,
		    cassandra->segments.sides[side].traffic.missed);
}

static const struct framed_operations segment_operations = {
	.shape = segment_shape,
	.sure = segment_sure,
	.begin = segment_begin,
	.unit = segment_unit,
	.end = segment_end,
	.lost = segment_lost,
};

static bool is_segment(const uint8_t *bytes, size_t length, bool compressed)
{
	struct frame_shape shape_of;
	uint32_t uncompressed;

	return cassandra_segment_shape(compressed, bytes, length, &shape_of,
				       &uncompressed) == FRAME_YES;
}

/* Segments whose beginning was not seen; also says how they are. */
static bool finds_segments(struct cassandra *cassandra,
			   const struct window *window)
{
	bool compressed;

	if (cassandra->version && cassandra->version < 5)
		return false;
	compressed = is_segment(window->bytes, window->length, true);
	if (!compressed &&
	    !is_segment(window->bytes, window->length, false))
		return false;
	cassandra->segmented = true;
	cassandra->compression = compressed ? CQL_LZ4 : CQL_PLAIN;
	return true;
}

static struct framed *layer(struct cassandra *cassandra)
{
	return cassandra->segmented ? &cassandra->segments :
				      &cassandra->envelopes;
}

/* The side that a window's first bytes are of; SIDES: of none. */
static enum verdict probe_window(const struct window *window, enum side *side)
{
	enum verdict all = PROBE_NO;

	if (!window->length)
		return PROBE_NO;
	for (*side = SIDE_CLIENT; *side < SIDES; (*side)++) {
		switch (begins(*side, window->bytes, window->length)) {
		case FRAME_YES:
			return PROBE_YES;
		case FRAME_MORE:
			all = PROBE_MORE;
			break;
		default:
			break;
		}
	}
	return all;
}

/* Segments: the envelope that the first one begins with tells the side. */
static enum verdict probe_segment(const struct window *window, enum side *side)
{
	struct window inner = *window;
	bool plain = is_segment(window->bytes, window->length, false);
	size_t header = plain ? 6 : 8;
	struct cursor c = cursor_of(window->bytes, window->length);
	uint64_t bits = cursor_uint(&c, plain ? 3 : 5);

	if (!plain && !is_segment(window->bytes, window->length, true))
		return PROBE_NO;
	/* Of a compressed block the first bytes are literals, mostly. */
	if (!plain && bits >> 17 & 0x1ffff)
		header += window->length > header &&
			  window->bytes[header] >> 4 == 15 ? 2 : 1;
	if (window->length <= header)
		return PROBE_MORE;
	inner.bytes += header;
	inner.length -= header;
	return probe_window(&inner, side);
}

static enum verdict cassandra_probe(const struct opening *opening,
				    bool *client_out)
{
	const struct window *windows[] = { &opening->out, &opening->in };
	enum verdict all = PROBE_NO, verdict;
	enum side side;

	for (int i = 0; i < 2; i++) {
		verdict = probe_window(windows[i], &side);
		if (verdict == PROBE_NO && windows[i]->length)
			verdict = probe_segment(windows[i], &side);
		if (verdict == PROBE_YES) {
			*client_out = (side == SIDE_CLIENT) == (i == 0);
			return PROBE_YES;
		}
		if (verdict == PROBE_MORE)
			all = PROBE_MORE;
	}
	return all;
}

static void *cassandra_open(bool from_start, const struct observer *observer)
{
	struct cassandra *cassandra = calloc(1, sizeof(*cassandra));

	if (!cassandra)
		return NULL;
	cassandra->observer = observer;
	framed_init(&cassandra->envelopes, &envelope_operations, cassandra,
		    from_start);
	framed_init(&cassandra->segments, &segment_operations, cassandra,
		    false);
	return cassandra;
}

static struct step cassandra_parse(void *state, enum side side,
				   const struct window *window)
{
	struct cassandra *cassandra = state;

	if (!cassandra->segmented &&
	    cassandra->envelopes.sides[side].adrift &&
	    begins(side, window->bytes, window->length) == FRAME_NO)
		finds_segments(cassandra, window);
	return framed_parse(layer(cassandra), side, window);
}

/*
 * A segment's payload holds envelopes, or what looks like one: the segment's
 * header, which precedes it, is looked for at the same time.
 */
static size_t cassandra_resync(void *state, enum side side,
			       const struct window *window)
{
	struct cassandra *cassandra = state;
	size_t at;

	if (cassandra->segmented || !cassandra->envelopes.sides[side].adrift ||
	    (cassandra->version && cassandra->version < 5))
		return framed_resync(layer(cassandra), side, window);
	for (at = 0; at < window->length; at++) {
		struct window rest = { .bytes = window->bytes + at,
				       .length = window->length - at };

		if (finds_segments(cassandra, &rest) ||
		    sure(cassandra, side, rest.bytes, rest.length) != FRAME_NO)
			break;
	}
	return at;
}

static void cassandra_gap(void *state, enum side side, uint64_t missed)
{
	struct cassandra *cassandra = state;

	framed_gap(layer(cassandra), side, missed);
}

static void cassandra_close(void *state)
{
	struct cassandra *cassandra = state;
	struct cassandra_request *request, *next;
	enum side side;

	for (side = SIDE_CLIENT; side < SIDES; side++)
		lost(cassandra, side);
	HASH_ITER(hh, cassandra->requests, request, next)
		finish_lost(cassandra, request);
	for (side = SIDE_CLIENT; side < SIDES; side++) {
		buffer_free(&cassandra->sides[side].body);
		buffer_free(&cassandra->sides[side].plain);
		buffer_free(&cassandra->sides[side].stream);
	}
	for (size_t i = 0; i < CASSANDRA_PREPARED_MAX; i++)
		cassandra_prepared_free(cassandra->prepared[i]);
	cassandra_answering_free(&cassandra->answering);
	exchange_done(&cassandra->exchange);
	framed_free(&cassandra->envelopes);
	framed_free(&cassandra->segments);
	buffer_free(&cassandra->keyspace);
	buffer_free(&cassandra->text);
	buffer_free(&cassandra->shown);
	buffer_free(&cassandra->masked);
	free(cassandra->description);
	free(cassandra);
}

const struct parser cassandra_parser = {
	.name = "cassandra",
	.probe = cassandra_probe,
	.open = cassandra_open,
	.parse = cassandra_parse,
	.resync = cassandra_resync,
	.gap = cassandra_gap,
	.close = cassandra_close,
};
