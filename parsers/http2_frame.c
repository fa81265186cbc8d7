/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http2_frame.c - the layout of HTTP/2's frames, and what looks like one.
 *
 * Source: RFC 9113 sections 4 and 6.
 */
#include "parsers/http2.h"

#define STREAM_BITS 0x7fffffffu /* the 32nd is reserved */

/* What a kind of frame may look like. */
struct rule {
	uint8_t flags;		    /* that have a meaning */
	bool on_stream, on_connection; /* stream number not 0, or 0 */
	uint32_t shortest;	    /* payload, bytes */
	uint32_t fixed;		    /* its only length; 0: any */
	unsigned weight;	    /* how little it looks so by accident */
};

static const struct rule rules[] = {
	[HTTP2_DATA] = { HTTP2_END_STREAM | HTTP2_PADDED, true, false, 0, 0,
			 1 },
	[HTTP2_HEADERS] = { HTTP2_END_STREAM | HTTP2_END_HEADERS |
			    HTTP2_PADDED | HTTP2_HAS_PRIORITY,
			    true, false, 0, 0, 3 },
	[HTTP2_PRIORITY] = { 0, true, false, 5, 5, 2 },
	[HTTP2_RST_STREAM] = { 0, true, false, 4, 4, 2 },
	[HTTP2_SETTINGS] = { HTTP2_ACK, false, true, 0, 0, 2 },
	[HTTP2_PUSH_PROMISE] = { HTTP2_END_HEADERS | HTTP2_PADDED, true, false,
				 4, 0, 2 },
	[HTTP2_PING] = { HTTP2_ACK, false, true, 8, 8, 2 },
	[HTTP2_GOAWAY] = { 0, false, true, 8, 0, 2 },
	[HTTP2_WINDOW_UPDATE] = { 0, true, true, 4, 4, 2 },
	[HTTP2_CONTINUATION] = { HTTP2_END_HEADERS, true, false, 0, 0, 1 },
	[HTTP2_ALTSVC] = { 0, true, true, 2, 0, 1 },
	[HTTP2_ORIGIN] = { 0, false, true, 0, 0, 1 },
	[HTTP2_PRIORITY_UPDATE] = { 0, false, true, 4, 0, 1 },
};

#define RULE_COUNT (sizeof(rules) / sizeof(*rules))

/* Frames of that weight in a row are no accident. */
#define WEIGHT_ENOUGH 5
/* One that ends where the bytes end. */
#define WEIGHT_ALONE 2
/* Stream numbers so far ahead of the highest seen are not believed. */
#define STREAMS_AHEAD 8192

static const struct rule *rule_of(const struct http2_frame *frame)
{
	const struct rule *rule = frame->type < RULE_COUNT ?
					  &rules[frame->type] : NULL;

	return rule && (rule->on_stream || rule->on_connection) ? rule : NULL;
}

bool http2_frame_read(struct cursor *c, struct http2_frame *frame)
{
	frame->length = cursor_uint_be(c, 3);
	frame->type = cursor_uint(c, 1);
	frame->flags = cursor_uint(c, 1);
	frame->stream = cursor_uint_be(c, 4) & STREAM_BITS;
	return !c->bad;
}

bool http2_frame_is_lawful(const struct http2_frame *frame)
{
	const struct rule *rule = rule_of(frame);

	if (!rule)
		return true;
	if (frame->stream ? !rule->on_stream : !rule->on_connection)
		return false;
	if (rule->fixed && frame->length != rule->fixed)
		return false;
	if (frame->type == HTTP2_SETTINGS &&
	    (frame->length % 6 || (frame->flags & HTTP2_ACK && frame->length)))
		return false;
	return frame->length >= rule->shortest;
}

bool http2_payload_read(const struct http2_frame *frame, struct span payload,
			struct http2_payload *fields)
{
	struct cursor c = cursor_of((const uint8_t *)payload.bytes,
				    payload.length);
	bool padded = frame->type == HTTP2_DATA ||
		      frame->type == HTTP2_HEADERS ||
		      frame->type == HTTP2_PUSH_PROMISE;

	*fields = (struct http2_payload){ .padding = 0 };
	if (padded && frame->flags & HTTP2_PADDED)
		fields->padding = cursor_uint(&c, 1);
	switch (frame->type) {
	case HTTP2_HEADERS:
		if (frame->flags & HTTP2_HAS_PRIORITY)
			cursor_take(&c, 5);
		break;
	case HTTP2_PUSH_PROMISE:
		fields->promised = cursor_uint_be(&c, 4) & STREAM_BITS;
		break;
	case HTTP2_GOAWAY:
		fields->last = cursor_uint_be(&c, 4) & STREAM_BITS;
		fields->error = cursor_uint_be(&c, 4);
		break;
	case HTTP2_RST_STREAM:
		fields->error = cursor_uint_be(&c, 4);
		break;
	}
	if (c.bad || fields->padding > cursor_left(&c))
		return false;
	fields->data = cursor_span(&c, cursor_left(&c) - fields->padding);
	return true;
}

/* Is the value one that RFC 9113 section 6.5.2 allows? */
static bool setting_looks_right(uint64_t id, uint64_t value)
{
	switch (id) {
	case 0:
		return false;
	case 2: /* ENABLE_PUSH */
		return value <= 1;
	case 4: /* INITIAL_WINDOW_SIZE */
		return value <= STREAM_BITS;
	case 5: /* MAX_FRAME_SIZE */
		return value >= HTTP2_FRAME_BYTES_MAX && value < 1 << 24;
	}
	return true;
}

static bool settings_look_right(struct span payload)
{
	struct cursor c = cursor_of((const uint8_t *)payload.bytes,
				    payload.length);
	bool right = true;

	while (cursor_left(&c) && right) {
		uint64_t id = cursor_uint_be(&c, 2);

		right = setting_looks_right(id, cursor_uint_be(&c, 4));
	}
	return right && !c.bad;
}

/* Does a payload that is whole look as the frame's type says? */
static bool payload_looks_right(const struct http2_frame *frame,
				struct span payload)
{
	struct http2_payload fields;
	struct cursor c;

	if (!http2_payload_read(frame, payload, &fields))
		return false;
	switch (frame->type) {
	case HTTP2_HEADERS:
	case HTTP2_PUSH_PROMISE:
		return !(frame->flags & HTTP2_END_HEADERS) ||
		       http2_block_is_formed(fields.data);
	case HTTP2_SETTINGS:
		return settings_look_right(payload);
	case HTTP2_RST_STREAM:
	case HTTP2_GOAWAY:
		return fields.error < 64; /* 14 are defined */
	case HTTP2_WINDOW_UPDATE:
		c = cursor_of((const uint8_t *)payload.bytes, payload.length);
		return cursor_uint_be(&c, 4) - 1 < STREAM_BITS;
	}
	return true;
}

static bool header_looks_right(const struct http2_frame *frame,
			       const uint8_t *header, const struct http2 *h2)
{
	const struct rule *rule = rule_of(frame);

	return rule && http2_frame_is_lawful(frame) && !(header[5] & 0x80) &&
	       !(frame->flags & ~rule->flags) &&
	       frame->length <= HTTP2_FRAME_BYTES_MAX &&
	       (!h2 || !h2->highest ||
		frame->stream <= h2->highest + STREAMS_AHEAD);
}

/*
 * May it be the first?  Nine bytes that look like DATA's header are found in
 * other data; of a stream whose beginning was lost there is nothing to win.
 */
static bool may_be_first(const struct http2_frame *frame, struct http2 *h2)
{
	if (frame->type == HTTP2_CONTINUATION)
		return false;
	return frame->type != HTTP2_DATA || !h2 ||
	       http2_stream_find(h2, frame->stream);
}

/* Whose header block is it?  SIDES: its fields don't say. */
static enum side side_of(const struct http2_frame *frame, struct span payload)
{
	struct http2_payload content;
	struct http2_fields *fields;
	struct http2_table *table;
	enum side side = SIDES;

	if (frame->type == HTTP2_PUSH_PROMISE)
		return SIDE_SERVER;
	if (frame->type != HTTP2_HEADERS ||
	    !http2_payload_read(frame, payload, &content))
		return SIDES;
	table = http2_table_new();
	fields = calloc(1, sizeof(*fields));
	if (table && fields) {
		struct http_head head;

		http2_table_read(table, content.data, fields);
		head = http2_head(fields);
		if (head.status)
			side = SIDE_SERVER;
		else if (head.method.bytes || head.target.bytes ||
			 head.scheme.bytes)
			side = SIDE_CLIENT;
		http2_fields_free(fields);
	}
	free(fields);
	http2_table_free(table);
	return side;
}

/* A frame of that stream behind one of the same is less of an accident. */
static unsigned weight_of(const struct http2_frame *frame, bool whole,
			  uint32_t before)
{
	unsigned weight = whole ? rules[frame->type].weight : 1;

	return weight + (frame->type == HTTP2_DATA && frame->stream == before);
}

/* What looks so far, with that weight, and these bytes behind it. */
static enum http2_looks looks_so_far(unsigned weight, const struct cursor *c)
{
	/* Lengths begin with a zero. */
	if (cursor_left(c) && *c->at)
		return HTTP2_NO_FRAMES;
	if (weight >= WEIGHT_ENOUGH ||
	    (weight >= WEIGHT_ALONE && !cursor_left(c)))
		return HTTP2_FRAMES;
	return HTTP2_TOO_SHORT;
}

enum http2_looks http2_look(const uint8_t *bytes, size_t length,
			    struct http2 *h2, struct http2_sight *sight)
{
	struct cursor c = cursor_of(bytes, length);
	struct http2_frame frame = { .stream = 0 };
	unsigned weight = 0;

	if (sight)
		*sight = (struct http2_sight){ .side = SIDES };
	while (cursor_left(&c) >= HTTP2_HEADER_BYTES) {
		const uint8_t *header = c.at;
		uint32_t before = frame.stream;
		struct span payload;

		http2_frame_read(&c, &frame);
		if (!header_looks_right(&frame, header, h2) ||
		    (!weight && !may_be_first(&frame, h2)))
			return HTTP2_NO_FRAMES;
		payload = cursor_span(&c, frame.length);
		if (!payload.bytes)
			return weight + weight_of(&frame, false, before) >=
					       WEIGHT_ENOUGH ?
				       HTTP2_FRAMES : HTTP2_TOO_SHORT;
		if (!payload_looks_right(&frame, payload))
			return HTTP2_NO_FRAMES;
		if (sight && !weight)
			sight->settings_first =
				frame.type == HTTP2_SETTINGS &&
				!(frame.flags & HTTP2_ACK);
		if (sight && sight->side == SIDES)
			sight->side = side_of(&frame, payload);
		weight += weight_of(&frame, true, before);
	}
	return looks_so_far(weight, &c);
}
