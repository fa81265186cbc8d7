/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * amqp.c - AMQP 0-9-1: an exchange is a method, with its content, and the
 * method that answers it if one does.
 *
 * Either side may ask: of Connection.Start, Tune and deliveries the "request"
 * is the server's.  Channels are interleaved frame by frame.  Other versions
 * of AMQP are recognised and left alone; heartbeats are not told.
 * Sources: see amqp.h.
 */
#include "parsers/amqp.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "parsers/framed.h"

#define FRAME_HEADER_BYTES 7
#define FRAME_END_OCTET	   0xce
#define FRAME_BYTES_MAX	   (16u << 20) /* of a frame; negotiated: 128 KB */
#define GREETING	   "AMQP\0\0\x09\x01"
#define GREETING_BYTES	   8
#define METHOD_HEAD_BYTES  (FRAME_HEADER_BYTES + 4)
#define CALLS_MAX	   512 /* waiting for an answer or for content */
#define NAME_BYTES_MAX	   128 /* "Class.Method", of the longest */
#define NAMES_BYTES_MAX	   4096 /* of texts kept of a call */
#define CHANNEL_SURE_MAX   4095 /* of a frame to be sure of; usual: 2047 */

enum frame_type {
	TYPE_METHOD = 1,
	TYPE_HEADER = 2,
	TYPE_BODY = 3,
	TYPE_HEARTBEAT = 8
};

struct kept {
	uint16_t at, length;
	bool there;
};

/* A method that waits for its answer or its content. */
struct call {
	struct call *prev, *next;
	struct pending pending;
	enum side by;
	uint16_t channel;
	const struct amqp_method *method, *answer; /* answer: NULL: none */
	uint64_t index, answer_index;
	bool waits;	     /* for an answer */
	bool exposed;	     /* the answer may have been in a gap */
	bool reads;	     /* content comes, from: */
	enum side reads_from;
	bool has_header;     /* of the content: body_left is known */
	uint64_t body_bytes, body_left;
	struct buffer text;  /* what the following point into */
	struct kept exchange, queue, routing_key, vhost, consumer, mechanism;
	struct kept user, reply_text, content_type;
	int64_t reply_code, message_count, consumer_count, delivery_tag;
	struct buffer body;  /* its first VALUE_BYTES_MAX bytes */
};

struct amqp {
	struct framed framed;
	const struct observer *observer;
	struct call *calls; /* oldest first */
	size_t call_count;
	uint64_t index; /* methods seen, of both sides */
	struct {
		uint8_t type;
		uint16_t channel;
		struct call *call; /* that its method began or answered */
	} frames[SIDES];
	char operation[NAME_BYTES_MAX];
	struct exchange exchange;
};

static struct span span_of(const struct call *call, struct kept kept)
{
	if (!kept.there)
		return (struct span){ NULL, 0 };
	return (struct span){ kept.length ?
			(const char *)call->text.bytes + kept.at : "",
			kept.length };
}

/* Keeps a text, the later one if it is not empty. */
static void keep(struct call *call, struct kept *kept, struct span text)
{
	if (!text.bytes || (kept->there && !text.length) ||
	    call->text.length + text.length > NAMES_BYTES_MAX)
		return;
	*kept = (struct kept){ (uint16_t)call->text.length,
			       (uint16_t)text.length, true };
	if (!buffer_append(&call->text, text.bytes, text.length))
		kept->there = false;
}

static void keep_number(int64_t *kept, int64_t number)
{
	if (number >= 0)
		*kept = number;
}

static void keep_arguments(struct call *call, const struct amqp_arguments *a)
{
	keep(call, &call->exchange, a->exchange);
	keep(call, &call->queue, a->queue);
	keep(call, &call->routing_key, a->routing_key);
	keep(call, &call->vhost, a->vhost);
	keep(call, &call->consumer, a->consumer);
	keep(call, &call->mechanism, a->mechanism);
	keep(call, &call->user, a->user);
	keep(call, &call->reply_text, a->reply_text);
	keep_number(&call->reply_code, a->reply_code);
	keep_number(&call->message_count, a->message_count);
	keep_number(&call->consumer_count, a->consumer_count);
	keep_number(&call->delivery_tag, a->delivery_tag);
}

static void describe_method(const struct call *call, struct exchange *exchange)
{
	const struct amqp_method *method = call->method;

	exchange_text(exchange, "messaging.system", span_string("amqp"));
	exchange_text(exchange, "messaging.operation.name",
		      span_string(method->name));
	exchange_text(exchange, "amqp.class", span_string(method->class_name));
	exchange_text(exchange, "amqp.method", span_string(method->name));
	exchange_number(exchange, "amqp.channel", call->channel);
	exchange_text(exchange, "amqp.sender",
		      span_string(call->by == SIDE_CLIENT ? "client" :
							    "server"));
	exchange_number(exchange, "amqp.index", (int64_t)call->index);
	if (!call->answer)
		return;
	exchange_text(exchange, "amqp.response.method",
		      span_string(call->answer->name));
	exchange_number(exchange, "amqp.response.index",
			(int64_t)call->answer_index);
}

static void describe_number(struct exchange *exchange, const char *key,
			    int64_t number)
{
	if (number >= 0)
		exchange_number(exchange, key, number);
}

/* Names that are empty stand for a default: they are left out. */
static void describe_text(struct exchange *exchange, const char *key,
			  struct span text)
{
	if (text.length)
		exchange_text(exchange, key, text);
}

static void describe_names(const struct call *call, struct exchange *exchange)
{
	struct span name = span_of(call, call->exchange);
	struct span queue = span_of(call, call->queue);

	describe_text(exchange, "amqp.exchange", name);
	describe_text(exchange, "amqp.queue", queue);
	describe_text(exchange, "amqp.routing_key",
		      span_of(call, call->routing_key));
	describe_text(exchange, "amqp.vhost", span_of(call, call->vhost));
	describe_text(exchange, "amqp.consumer_tag",
		      span_of(call, call->consumer));
	describe_text(exchange, "amqp.mechanism",
		      span_of(call, call->mechanism));
	describe_text(exchange, "amqp.user", span_of(call, call->user));
	exchange->user = span_of(call, call->user);
	/* The default exchange has no name and delivers to the queue named. */
	if (name.bytes && !name.length && call->routing_key.there)
		name = span_of(call, call->routing_key);
	if (!name.length)
		name = queue;
	if (!name.length)
		return;
	exchange_text(exchange, "messaging.destination.name", name);
	exchange->targets[exchange->target_count++] = name;
	exchange->subject = name;
}

static void describe_content(const struct call *call,
			     struct exchange *exchange)
{
	if (!call->has_header)
		return;
	exchange_number(exchange, "messaging.message.body.size",
			(int64_t)call->body_bytes);
	exchange_text(exchange, "amqp.content_type",
		      span_of(call, call->content_type));
	exchange_payload(exchange, "amqp.body", buffer_span(&call->body));
}

static void report(struct amqp *amqp, const struct call *call)
{
	const struct observer *observer = amqp->observer;
	struct exchange *exchange = &amqp->exchange;
	struct span body = buffer_span(&call->body);

	exchange_reset(exchange, "amqp", FAMILY_OTHER);
	snprintf(amqp->operation, sizeof(amqp->operation), "%s.%s",
		 call->method->class_name, call->method->name);
	exchange->operation = amqp->operation;
	describe_method(call, exchange);
	describe_names(call, exchange);
	describe_content(call, exchange);
	describe_number(exchange, "amqp.message_count", call->message_count);
	describe_number(exchange, "amqp.consumer_count", call->consumer_count);
	describe_number(exchange, "amqp.delivery_tag", call->delivery_tag);
	describe_number(exchange, "amqp.reply_code", call->reply_code);
	if (call->reply_code >= 0)
		exchange->status = call->reply_code;
	else if (call->answer)
		exchange->status = 0;
	/* 200 is the one code of success (specification, 1.2). */
	exchange->failed = call->reply_code > 200;
	exchange->message = span_of(call, call->reply_text);
	exchange_text(exchange, "amqp.reply_text", exchange->message);
	pending_describe(&call->pending, exchange);
	if (observer->value && body.bytes)
		observer->value(observer->context, exchange, -1, body);
	observer->exchange(observer->context, exchange);
	exchange_done(exchange);
}

static void finish(struct amqp *amqp, struct call *call)
{
	DL_DELETE(amqp->calls, call);
	amqp->call_count--;
	report(amqp, call);
	buffer_free(&call->text);
	buffer_free(&call->body);
	free(call);
}

static void finish_lost(struct amqp *amqp, struct call *call)
{
	pending_miss(&call->pending, 0);
	finish(amqp, call);
}

static struct call *new_call(struct amqp *amqp, enum side by, uint16_t channel,
			     const struct amqp_method *method)
{
	struct call *call;

	if (amqp->call_count == CALLS_MAX)
		finish_lost(amqp, amqp->calls);
	call = calloc(1, sizeof(*call));
	if (!call)
		return NULL;
	call->by = call->reads_from = by;
	call->channel = channel;
	call->method = method;
	call->reply_code = call->message_count = call->consumer_count =
		call->delivery_tag = -1;
	call->index = amqp->index;
	DL_APPEND(amqp->calls, call);
	amqp->call_count++;
	return call;
}

/*
 * Whom a method of the side answers: the oldest whose answer is not lost.  If
 * all may be, the last, as a channel's calls usually wait for one another.
 */
static struct call *find_asking(struct amqp *amqp, enum side side,
				uint16_t channel,
				const struct amqp_method *answer)
{
	struct call *call, *exposed = NULL;

	DL_FOREACH(amqp->calls, call) {
		if (!call->waits || call->by == side ||
		    call->channel != channel ||
		    call->method->class != answer->class ||
		    call->method->method != answer->answers)
			continue;
		if (!call->exposed)
			return call;
		exposed = call;
	}
	return exposed;
}

static struct call *find_reading(struct amqp *amqp, enum side side,
				 uint16_t channel)
{
	struct call *call;

	DL_FOREACH(amqp->calls, call)
		if (call->reads && call->reads_from == side &&
		    call->channel == channel)
			return call;
	return NULL;
}

/* Content that its side began and now leaves for another method. */
static void end_reading(struct amqp *amqp, enum side side, uint16_t channel)
{
	struct call *call = find_reading(amqp, side, channel);

	if (call)
		finish_lost(amqp, call);
}

/* Those of the channel that asked before and whose answers were lost. */
static void finish_exposed(struct amqp *amqp, const struct call *until)
{
	struct call *call, *next;

	DL_FOREACH_SAFE(amqp->calls, call, next) {
		if (call == until)
			break;
		if (call->waits && call->exposed && call->by == until->by &&
		    call->channel == until->channel)
			finish_lost(amqp, call);
	}
}

/* A Close by the server names the method that failed: that is its answer. */
static void fail_asking(struct amqp *amqp, enum side side, uint16_t channel,
			const struct amqp_arguments *arguments)
{
	struct call *call;

	DL_FOREACH(amqp->calls, call)
		if (call->waits && call->by != side &&
		    call->channel == channel &&
		    call->method->class == arguments->class &&
		    call->method->method == arguments->method)
			break;
	if (!call || !arguments->class)
		return;
	keep_number(&call->reply_code, arguments->reply_code);
	keep(call, &call->reply_text, arguments->reply_text);
	framed_traffic(&amqp->framed, side, false, &call->pending);
	finish(amqp, call);
}

static struct call *take_answer(struct amqp *amqp, enum side side,
				uint16_t channel,
				const struct amqp_method *method)
{
	struct call *call = find_asking(amqp, side, channel, method);

	if (!call) {
		call = new_call(amqp, side, channel, method);
		if (call)
			pending_miss(&call->pending, 0);
		return call;
	}
	finish_exposed(amqp, call);
	call->waits = false;
	call->answer = method;
	call->answer_index = amqp->index;
	call->reads_from = side;
	return call;
}

/* A whole method frame's payload. */
static void take_method(struct amqp *amqp, enum side side,
			const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	unsigned class = (unsigned)cursor_uint_be(&c, 2);
	const struct amqp_method *method =
		amqp_method_of(class, (unsigned)cursor_uint_be(&c, 2));
	uint16_t channel = amqp->frames[side].channel;
	struct amqp_arguments arguments;
	struct call *call;
	bool whole;

	if (!method) {
		framed_give_up(&amqp->framed, side);
		return;
	}
	whole = amqp_arguments_read(method, &c, &arguments);
	amqp->index++;
	end_reading(amqp, side, channel);
	if (method->answers) {
		call = take_answer(amqp, side, channel, method);
	} else {
		fail_asking(amqp, side, channel, &arguments);
		call = new_call(amqp, side, channel, method);
		if (call)
			call->waits = method->asks && !arguments.no_wait;
		if (call)
			call->exposed = amqp->framed.sides[!side].adrift;
	}
	if (!call)
		return;
	keep_arguments(call, &arguments);
	if (!whole)
		pending_miss(&call->pending, 0);
	call->reads = method->content;
	amqp->frames[side].call = call;
}

/* A content header's payload; of the properties the type alone is read. */
static void take_content_header(struct amqp *amqp, enum side side,
				const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	struct call *call = find_reading(amqp, side,
					 amqp->frames[side].channel);
	struct span type;

	if (!call || call->has_header)
		return;
	cursor_take(&c, 4);
	call->body_bytes = call->body_left = cursor_uint_be(&c, 8);
	call->has_header = !c.bad;
	if (c.bad)
		pending_miss(&call->pending, 0);
	if (cursor_uint_be(&c, 2) & 0x8000) {
		type = cursor_span(&c, cursor_uint(&c, 1));
		keep(call, &call->content_type, type);
	}
}

/* Some of a body frame's payload. */
static void take_body(struct amqp *amqp, enum side side, const uint8_t *bytes,
		      size_t length)
{
	struct call *call = find_reading(amqp, side,
					 amqp->frames[side].channel);

	if (!call)
		return;
	if (length > call->body_left) {
		pending_miss(&call->pending, 0);
		length = (size_t)call->body_left;
	}
	call->body_left -= length;
	buffer_gather(&call->body, bytes, length, VALUE_BYTES_MAX);
}

static size_t unit(void *state, enum side side, const uint8_t *bytes,
		   size_t length, bool last)
{
	struct amqp *amqp = state;
	uint8_t type = amqp->frames[side].type;
	size_t payload = last ? length - 1 : length;

	if (last && bytes[payload] != FRAME_END_OCTET) {
		framed_give_up(&amqp->framed, side);
		return 0;
	}
	if (type == TYPE_BODY) {
		take_body(amqp, side, bytes, payload);
		return length;
	}
	if (!last)
		return 0;
	if (type == TYPE_METHOD)
		take_method(amqp, side, bytes, payload);
	else if (type == TYPE_HEADER)
		take_content_header(amqp, side, bytes, payload);
	return length;
}

/* The frame could not be read: a gap is in it, or it is too large. */
static void end_unread(struct amqp *amqp, enum side side)
{
	struct call *call = find_reading(amqp, side,
					 amqp->frames[side].channel), *next;

	if (call) {
		framed_traffic(&amqp->framed, side, side == call->by,
			       &call->pending);
		finish_lost(amqp, call);
	}
	if (amqp->frames[side].type != TYPE_METHOD)
		return;
	/* It may have been an answer on its channel. */
	DL_FOREACH_SAFE(amqp->calls, call, next)
		if (call->waits && call->by != side &&
		    call->channel == amqp->frames[side].channel)
			call->exposed = true;
}

static bool end(void *state, enum side side)
{
	struct amqp *amqp = state;
	uint8_t type = amqp->frames[side].type;
	struct call *call = type == TYPE_METHOD ? amqp->frames[side].call :
		find_reading(amqp, side, amqp->frames[side].channel);
	bool content;

	if (!type || type == TYPE_HEARTBEAT)
		return true;
	if (!framed_whole(&amqp->framed, side)) {
		end_unread(amqp, side);
		return true;
	}
	if (!call)
		return true;
	framed_traffic(&amqp->framed, side, side == call->by, &call->pending);
	content = call->reads && !(call->has_header && !call->body_left);
	if (!content)
		call->reads = false;
	if (!content && !call->waits)
		finish(amqp, call);
	return true;
}

static void begin(void *state, enum side side, const uint8_t *header,
		  const struct frame_shape *frame)
{
	struct amqp *amqp = state;

	amqp->frames[side].call = NULL;
	amqp->frames[side].type = 0; /* of the greeting */
	if (!frame->body)
		return;
	amqp->frames[side].type = header[0];
	amqp->frames[side].channel = (uint16_t)(header[1] << 8 | header[2]);
}

static void lost(void *state, enum side side)
{
	struct amqp *amqp = state;
	struct call *call, *next;

	DL_FOREACH_SAFE(amqp->calls, call, next) {
		if (call->reads && call->reads_from == side)
			finish_lost(amqp, call);
		else if (call->waits && call->by != side)
			call->exposed = true;
	}
	amqp->frames[side].call = NULL;
}

static uint32_t frame_size(const uint8_t *bytes)
{
	struct cursor c = cursor_of(bytes + 3, 4);

	return (uint32_t)cursor_uint_be(&c, 4);
}

static const struct amqp_method *method_at(const uint8_t *bytes)
{
	struct cursor c = cursor_of(bytes + FRAME_HEADER_BYTES, 4);
	unsigned class = (unsigned)cursor_uint_be(&c, 2);

	return amqp_method_of(class, (unsigned)cursor_uint_be(&c, 2));
}

static bool is_sent_by(const struct amqp_method *method, enum side side)
{
	return method->by & (side == SIDE_CLIENT ? AMQP_BY_CLIENT :
						   AMQP_BY_SERVER);
}

/* The bytes that say which protocol follows; of any version of AMQP. */
static enum frame_verdict is_greeting(const uint8_t *bytes, size_t length)
{
	size_t seen = length < 4 ? length : 4;

	if (!length || memcmp(bytes, "AMQP", seen))
		return FRAME_NO;
	if (length < GREETING_BYTES)
		return FRAME_MORE;
	return bytes[4] < 4 && bytes[5] < 2 && bytes[6] < 10 && bytes[7] < 10 ?
		FRAME_YES : FRAME_NO;
}

static enum frame_verdict shape(void *state, enum side side,
				const uint8_t *bytes, size_t length,
				struct frame_shape *out)
{
	const struct amqp_method *method;
	enum frame_verdict greeting = is_greeting(bytes, length);
	uint32_t size;

	if (greeting == FRAME_MORE)
		return FRAME_MORE;
	if (greeting == FRAME_YES) {
		/* A server says it to refuse the client's version. */
		out->header = GREETING_BYTES;
		return side == SIDE_CLIENT &&
				!memcmp(bytes, GREETING, GREETING_BYTES) ?
			FRAME_YES : FRAME_END;
	}
	if (length < FRAME_HEADER_BYTES)
		return FRAME_MORE;
	size = frame_size(bytes);
	out->header = FRAME_HEADER_BYTES;
	out->body = (uint64_t)size + 1;
	if (size > FRAME_BYTES_MAX)
		return FRAME_NO;
	if (bytes[0] == TYPE_HEADER || bytes[0] == TYPE_BODY ||
	    bytes[0] == TYPE_HEARTBEAT)
		return FRAME_YES;
	if (bytes[0] != TYPE_METHOD || size < 4)
		return FRAME_NO;
	if (length < METHOD_HEAD_BYTES)
		return FRAME_MORE;
	method = method_at(bytes);
	if (method && method->answers &&
	    !find_asking(state, side, (uint16_t)(bytes[1] << 8 | bytes[2]),
			 method))
		return FRAME_WAIT;
	return FRAME_YES;
}

/* Does a frame begin there that the side may send?  Content does not count. */
static enum frame_verdict sure(void *state, enum side side,
			       const uint8_t *bytes, size_t length)
{
	const struct amqp_method *method;
	uint32_t size;

	(void)state;
	if (side == SIDE_CLIENT && is_greeting(bytes, length) != FRAME_NO)
		return is_greeting(bytes, length);
	if (bytes[0] != TYPE_METHOD)
		return FRAME_NO;
	if (length < METHOD_HEAD_BYTES)
		return FRAME_MORE;
	size = frame_size(bytes);
	method = method_at(bytes);
	if (!method || !is_sent_by(method, side) || size < 4 ||
	    size > FRAME_BYTES_MAX ||
	    (bytes[1] << 8 | bytes[2]) > CHANNEL_SURE_MAX)
		return FRAME_NO;
	if (length >= FRAME_HEADER_BYTES + (size_t)size + 1 &&
	    bytes[FRAME_HEADER_BYTES + size] != FRAME_END_OCTET)
		return FRAME_NO;
	return FRAME_YES;
}

static const struct framed_operations operations = {
	.shape = shape,
	.sure = sure,
	.begin = begin,
	.unit = unit,
	.end = end,
	.lost = lost,
};

/*
 * Who sends frames like these?  In *by the sides that may; walks on until one
 * is left.
 */
static enum verdict probe_frames(const struct window *window, unsigned *by)
{
	size_t at = 0;

	*by = AMQP_BY_CLIENT | AMQP_BY_SERVER;
	while (at < window->length && (*by & (*by - 1))) {
		const uint8_t *bytes = window->bytes + at;
		size_t left = window->length - at;
		const struct amqp_method *method;
		uint32_t size;

		if (left < FRAME_HEADER_BYTES)
			return PROBE_MORE;
		size = frame_size(bytes);
		if ((bytes[0] != TYPE_METHOD && bytes[0] != TYPE_HEADER &&
		     bytes[0] != TYPE_BODY && bytes[0] != TYPE_HEARTBEAT) ||
		    (bytes[1] << 8 | bytes[2]) > CHANNEL_SURE_MAX ||
		    size > PARSER_WINDOW_MAX)
			return PROBE_NO;
		if (left < FRAME_HEADER_BYTES + (size_t)size + 1)
			return PROBE_MORE;
		if (bytes[FRAME_HEADER_BYTES + size] != FRAME_END_OCTET)
			return PROBE_NO;
		method = bytes[0] == TYPE_METHOD && size >= 4 ?
			method_at(bytes) : NULL;
		if (bytes[0] == TYPE_METHOD && !method)
			return PROBE_NO;
		if (method)
			*by &= method->by;
		at += FRAME_HEADER_BYTES + (size_t)size + 1;
	}
	return *by & (*by - 1) ? PROBE_MORE : PROBE_YES;
}

static enum verdict probe_window(const struct window *window, bool out,
				 bool *client_out)
{
	enum verdict verdict;
	unsigned by;

	if (!window->length)
		return PROBE_NO;
	switch (is_greeting(window->bytes, window->length)) {
	case FRAME_YES:
		*client_out = out;
		return PROBE_YES;
	case FRAME_MORE:
		return PROBE_MORE;
	default:
		break;
	}
	verdict = probe_frames(window, &by);
	*client_out = out == (by == AMQP_BY_CLIENT);
	return verdict;
}

static enum verdict amqp_probe(const struct opening *opening, bool *client_out)
{
	enum verdict out = probe_window(&opening->out, true, client_out), in;

	if (out == PROBE_YES)
		return PROBE_YES;
	in = probe_window(&opening->in, false, client_out);
	if (in == PROBE_YES)
		return PROBE_YES;
	return out == PROBE_MORE || in == PROBE_MORE ? PROBE_MORE : PROBE_NO;
}

static void *amqp_open(bool from_start, const struct observer *observer)
{
	struct amqp *amqp = calloc(1, sizeof(*amqp));

	if (!amqp)
		return NULL;
	amqp->observer = observer;
	framed_init(&amqp->framed, &operations, amqp, from_start);
	return amqp;
}

static struct step amqp_parse(void *state, enum side side,
			      const struct window *window)
{
	struct amqp *amqp = state;

	return framed_parse(&amqp->framed, side, window);
}

static size_t amqp_resync(void *state, enum side side,
			  const struct window *window)
{
	struct amqp *amqp = state;

	return framed_resync(&amqp->framed, side, window);
}

static void amqp_gap(void *state, enum side side, uint64_t missed)
{
	struct amqp *amqp = state;

	framed_gap(&amqp->framed, side, missed);
}

static void amqp_close(void *state)
{
	struct amqp *amqp = state;

	while (amqp->calls)
		finish_lost(amqp, amqp->calls);
	framed_free(&amqp->framed);
	free(amqp);
}

const struct parser amqp_parser = {
	.name = "amqp",
	.probe = amqp_probe,
	.open = amqp_open,
	.parse = amqp_parse,
	.resync = amqp_resync,
	.gap = amqp_gap,
	.close = amqp_close,
};
