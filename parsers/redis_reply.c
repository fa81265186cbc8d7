/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * redis_reply.c - replies of any type, nested, streamed, pushed.
 *
 * A reply is read piecewise.  Of a string its beginning is kept, of an
 * aggregate the beginning of its text as JSON; nothing is kept twice.
 */
#include "parsers/redis.h"

#include <stdio.h>
#include <string.h>

#include "parsers/cursor.h"

static struct step step_of(enum outcome outcome, size_t used)
{
	return (struct step){ outcome, used };
}

void redis_reply_reset(struct reply *reply)
{
	buffer_reset(&reply->text);
	reply->type = 0;
	reply->null = false;
	reply->elements = reply->length = 0;
	reply->number = 0;
}

/* Text of which as much is kept as fits. */
static void put(struct reply *reply, const char *bytes, size_t length)
{
	reply->length += length;
	buffer_gather(&reply->text, bytes, length, VALUE_BYTES_MAX);
}

static void put_quoted(struct reply *reply, struct span bytes, uint64_t length)
{
	char escape[8];

	put(reply, "\"", 1);
	for (size_t i = 0; i < bytes.length; i++) {
		size_t run = i;

		while (run < bytes.length && bytes.bytes[run] != '"' &&
		       bytes.bytes[run] != '\\' &&
		       (unsigned char)bytes.bytes[run] >= 0x20)
			run++;
		put(reply, bytes.bytes + i, run - i);
		i = run;
		if (i == bytes.length)
			break;
		if (bytes.bytes[i] == '\n')
			put(reply, "\\n", 2);
		else if (bytes.bytes[i] == '\r')
			put(reply, "\\r", 2);
		else if (bytes.bytes[i] == '\t')
			put(reply, "\\t", 2);
		else if ((unsigned char)bytes.bytes[i] >= 0x20)
			put(reply, (char[]){ '\\', bytes.bytes[i] }, 2);
		else
			put(reply, escape, (size_t)snprintf(
				escape, sizeof(escape), "\\u%04x",
				(unsigned char)bytes.bytes[i]));
	}
	/* What was not kept of it. */
	reply->length += length - bytes.length;
	put(reply, "\"", 1);
}

static void put_separator(struct reply *reply, const struct level *level)
{
	if (!level->index)
		return;
	if (level->type == '%' && level->index & 1)
		put(reply, ": ", 2);
	else
		put(reply, ", ", 2);
}

void redis_reply_leaf(struct reply *reply, const struct level *level, char type,
		      struct span bytes, uint64_t length)
{
	bool key;

	if (!level) {
		reply->type = type;
		reply->null = type == '_';
		reply->length = length;
		buffer_gather(&reply->text, bytes.bytes, bytes.length,
			      VALUE_BYTES_MAX);
	}
	if (type == ':')
		redis_number((const uint8_t *)bytes.bytes, bytes.length,
			     &reply->number);
	if (!level)
		return;
	put_separator(reply, level);
	key = level->type == '%' && !(level->index & 1);
	if (!key && type == '_')
		put(reply, "null", 4);
	else if (!key && type == '#')
		put(reply, span_is(bytes, "t") ? "true" : "false",
		    span_is(bytes, "t") ? 4 : 5);
	else if (!key && strchr(":,(", type))
		put(reply, bytes.bytes, bytes.length);
	else
		put_quoted(reply, bytes, length);
}

void redis_reply_open(struct reply *reply, const struct level *level,
		      char type, uint64_t count)
{
	if (level) {
		put_separator(reply, level);
	} else {
		reply->type = type;
		reply->elements = count;
	}
	put(reply, type == '%' ? "{" : "[", 1);
}

void redis_reply_close(struct reply *reply, const struct level *level,
		       char type, uint64_t count)
{
	if (!level)
		reply->elements = type == '%' ? count / 2 : count;
	put(reply, type == '%' ? "}" : "]", 1);
}

const char *redis_reply_type(const struct reply *reply)
{
	switch (reply->type) {
	case '+':
		return "simple";
	case '-':
	case '!':
		return "error";
	case ':':
		return "int";
	case '$':
		return "bulk";
	case '*':
		return "array";
	case '_':
		return "null";
	case '#':
		return "bool";
	case ',':
		return "double";
	case '(':
		return "bignum";
	case '=':
		return "verbatim";
	case '%':
		return "map";
	case '~':
		return "set";
	case '>':
		return "push";
	default:
		return "none";
	}
}

/* What an element stands in; NULL: it is the reply itself. */
static struct level *current_level(struct redis *redis)
{
	return redis->depth ? &redis->levels[redis->depth - 1] : NULL;
}

/* What it stands in where EXEC's element is the reply. */
static struct level *element_level(struct redis *redis)
{
	return redis->depth > 1 ? &redis->levels[redis->depth - 1] : NULL;
}

static void end_reply(struct redis *redis)
{
	redis->flows[SIDE_SERVER].place = PLACE_START;
	redis->tied = false;
	redis_answer_end(redis);
}

static void close_level(struct redis *redis)
{
	struct level level = redis->levels[--redis->depth];

	redis_reply_close(&redis->reply, current_level(redis), level.type,
			  level.index);
	if (redis->tied && redis->depth)
		redis_reply_close(&redis->element, element_level(redis),
				  level.type, level.index);
}

/* An element is whole; so may be what it stands in.  `end`: stream offset. */
static void end_element(struct redis *redis, uint64_t end)
{
	struct level *level;

	while ((level = current_level(redis))) {
		if (redis->tied && redis->depth == 1) {
			redis_answer_element(redis, end - redis->element_at,
					     redis->flows[SIDE_SERVER].last_ns);
			redis->element_at = end;
		}
		level->index++;
		if (level->streamed || --level->left)
			return;
		if (level->type == '|') {
			redis->depth--;
			return; /* what they are attributes of comes next */
		}
		if (level->hidden)
			redis->depth--;
		else
			close_level(redis);
	}
	end_reply(redis);
}

static void pass_value(struct redis *redis, const struct level *level,
		       char type, struct span bytes)
{
	const struct request *request = redis->pending;

	if (!strchr("$=+", type))
		return;
	if (redis->subject == SUBJECT_PUSH && level && redis->depth == 1)
		redis_report_push_value(redis, level->index, bytes);
	if (!redis->observer.value || redis->subject != SUBJECT_REQUEST)
		return;
	if (redis->tied) {
		request = redis->queued;
		level = element_level(redis);
	}
	/* A status is no value. */
	if (request && (level || type != '+'))
		redis_report_value(redis, request, level ? level->index : 0,
				   bytes);
}

static void leaf(struct redis *redis, char type, struct span bytes,
		 uint64_t length, uint64_t end)
{
	struct level *level = current_level(redis);

	/* A verbatim string's first four bytes say its format. */
	if (type == '=' && bytes.length >= 4) {
		bytes.bytes += 4;
		bytes.length -= 4;
		length -= 4;
	}
	if (!level || !level->hidden) {
		pass_value(redis, level, type, bytes);
		redis_reply_leaf(&redis->reply, level, type, bytes, length);
		if (redis->tied)
			redis_reply_leaf(&redis->element, element_level(redis),
					 type, bytes, length);
	}
	end_element(redis, end);
}

/* An aggregate's header; false: too deep. */
static bool open_level(struct redis *redis, char type, bool streamed,
		       uint64_t count, uint64_t end)
{
	struct level *above = current_level(redis), *level;
	bool hidden = type == '|' || (above && above->hidden);
	bool pairs = type == '%' || type == '|';

	if (redis->depth == REDIS_DEPTH_MAX)
		return false;
	if (!hidden) {
		redis_reply_open(&redis->reply, above, type, count);
		if (redis->tied)
			redis_reply_open(&redis->element, element_level(redis),
					 type, count);
	}
	if (!redis->depth && type == '*' &&
	    redis->subject == SUBJECT_REQUEST && redis->pending->command &&
	    redis->pending->command->kind == REDIS_EXEC && count &&
	    count == redis->queued_count) {
		redis->tied = true;
		redis->element_at = end;
		redis_reply_reset(&redis->element);
	}
	level = &redis->levels[redis->depth++];
	*level = (struct level){
		.type = type,
		.streamed = streamed,
		.hidden = hidden,
		.left = pairs ? 2 * count : count,
	};
	if (streamed || count)
		return true;
	if (type == '|') {
		redis->depth--;
		return true;
	}
	if (hidden)
		redis->depth--;
	else
		close_level(redis);
	end_element(redis, end);
	return true;
}

/* "." ends an aggregate whose length was not told. */
static bool end_streamed(struct redis *redis, uint64_t end)
{
	struct level *level = current_level(redis);

	if (!level || !level->streamed)
		return false;
	if (level->type == '|') {
		redis->depth--;
		return true;
	}
	if (level->hidden)
		redis->depth--;
	else
		close_level(redis);
	end_element(redis, end);
	return true;
}

static void begin_body(struct redis *redis, char type, uint64_t length)
{
	struct flow *flow = &redis->flows[SIDE_SERVER];

	flow->place = PLACE_BODY;
	flow->length = length;
	flow->left = length + 2;
	flow->holed = false;
	buffer_reset(&flow->body);
	redis->body_type = type;
}

/* A string's header, or a chunk's of a streamed one. */
static bool string_header(struct redis *redis, char type, struct span rest,
			  uint64_t end)
{
	struct span none = { "", 0 };
	int64_t length;

	if (type == '$' && span_is(rest, "?")) {
		redis->in_chunks = true;
		redis->chunks_length = 0;
		buffer_reset(&redis->chunks);
		return true;
	}
	if (!redis_number((const uint8_t *)rest.bytes, rest.length, &length) ||
	    length < (type == '$' ? -1 : 0) ||
	    length > (int64_t)REDIS_BULK_MAX)
		return false;
	if (length < 0) {
		leaf(redis, '_', none, 0, end);
		return true;
	}
	if (type != ';' || length) {
		begin_body(redis, type, (uint64_t)length);
		return true;
	}
	redis->in_chunks = false;
	leaf(redis, '$', redis->chunks.length ? buffer_span(&redis->chunks) :
						none,
	     redis->chunks_length, end);
	return true;
}

/* May a line of that type say so?  Texts may say anything. */
static bool is_scalar(char type, struct span text)
{
	size_t at = strchr(":(", type) && text.length &&
		    (*text.bytes == '-' || *text.bytes == '+');

	switch (type) {
	case '_':
		return !text.length;
	case '#':
		return span_is(text, "t") || span_is(text, "f");
	case ',':
	case ':':
	case '(':
		if (at == text.length)
			return false;
		for (; at < text.length; at++)
			if (!text.bytes[at] ||
			    !strchr(type == ',' ? "0123456789+-.eEinfa" :
						  "0123456789", text.bytes[at]))
				return false;
		return true;
	default:
		return true;
	}
}

/* A line of a reply; false: it is none. */
static bool take_line(struct redis *redis, struct span line, uint64_t end)
{
	char type = line.length ? line.bytes[0] : 0;
	struct span rest = { line.bytes + 1, line.length - 1 };
	int64_t count;

	if (redis->in_chunks && type != ';')
		return false;
	switch (type) {
	case ':':
	case '#':
	case ',':
	case '(':
	case '+':
	case '-':
	case '_':
		if (!is_scalar(type, rest))
			return false;
		count = (int64_t)rest.length;
		if (rest.length > VALUE_BYTES_MAX)
			rest.length = VALUE_BYTES_MAX;
		leaf(redis, type, rest, (uint64_t)count, end);
		return true;
	case ';':
		if (!redis->in_chunks)
			return false;
		/* fall through */
	case '$':
	case '=':
	case '!':
		return string_header(redis, type, rest, end);
	case '*':
	case '~':
	case '>':
	case '%':
	case '|':
		if (span_is(rest, "?"))
			return open_level(redis, type, true, 0, end);
		if (!redis_number((const uint8_t *)rest.bytes, rest.length,
				  &count) ||
		    count < -1 || count > REDIS_COUNT_MAX)
			return false;
		if (count >= 0)
			return open_level(redis, type, false, (uint64_t)count,
					  end);
		leaf(redis, '_', (struct span){ "", 0 }, 0, end);
		return true;
	case '.':
		return end_streamed(redis, end);
	default:
		return false;
	}
}

static struct step take_body(struct redis *redis, const struct window *window,
			     size_t at)
{
	struct flow *flow = &redis->flows[SIDE_SERVER];
	struct span bytes;
	size_t used;

	if (redis_body(flow, window, at, &used, &bytes)) {
		flow->place = PLACE_HEADER;
		if (redis->body_type == ';') {
			redis->chunks_length += flow->length;
			buffer_gather(&redis->chunks, bytes.bytes, bytes.length,
				      VALUE_BYTES_MAX);
		} else {
			leaf(redis, redis->body_type, bytes, flow->length,
			     window->offset + at + used);
		}
	}
	return step_of(used ? PARSE_TOOK : PARSE_LOST, used);
}

static struct step start_reply(struct redis *redis, const struct window *window,
			       size_t at)
{
	size_t drop = 0;

	switch (redis_answer_begin(redis, window, at, &drop)) {
	case BEGIN_MORE:
		return step_of(PARSE_MORE, 0);
	case BEGIN_WAIT:
		return step_of(PARSE_WAIT, 0);
	case BEGIN_DROP:
		return step_of(PARSE_TOOK, drop);
	case BEGIN_DONE:
		return step_of(PARSE_DONE, 0);
	case BEGIN_HERE:
		break;
	}
	redis->depth = 0;
	redis->in_chunks = redis->tied = false;
	redis_reply_reset(&redis->reply);
	redis->flows[SIDE_SERVER].place = PLACE_HEADER;
	return step_of(PARSE_TOOK, 0);
}

static void count_bytes(struct redis *redis, const struct window *window,
			size_t at, size_t length)
{
	if (redis->subject == SUBJECT_REQUEST && redis->pending)
		pending_response(&redis->pending->pending, window, at, length);
	else if (redis->subject == SUBJECT_PUSH)
		pending_response(&redis->push, window, at, length);
}

static struct step server_unit(struct redis *redis, const struct window *window,
			       size_t at)
{
	struct flow *flow = &redis->flows[SIDE_SERVER];
	struct span line;
	struct step step = { PARSE_TOOK, 0 };
	size_t next;

	if (flow->place == PLACE_START || flow->place == PLACE_UNSYNCED) {
		step = start_reply(redis, window, at);
		if (step.outcome != PARSE_TOOK || step.used)
			return step;
	}
	if (flow->place == PLACE_BODY) {
		size_t have = window->length - at;

		next = at + (have > flow->left ? (size_t)flow->left : have);
	} else if (!redis_line(window, at, &line, &next)) {
		return step_of(PARSE_MORE, 0);
	}
	/* Before the reply ends: its report needs them. */
	flow->last_ns = window_last_ns(window, next - 1);
	count_bytes(redis, window, at, next - at);
	if (flow->place == PLACE_BODY)
		return take_body(redis, window, at);
	if (!take_line(redis, line, window->offset + next))
		return step_of(PARSE_LOST, 0);
	return step_of(PARSE_TOOK, next - at);
}

struct step redis_server(struct redis *redis, const struct window *window)
{
	struct step step = { PARSE_TOOK, 0 };
	size_t at = 0;

	while (at < window->length) {
		step = server_unit(redis, window, at);
		if (step.outcome != PARSE_TOOK)
			break;
		at += step.used;
	}
	if (at)
		return step_of(PARSE_TOOK, at);
	/* A line that a window can't hold is none. */
	if (step.outcome == PARSE_MORE && window->length >= PARSER_WINDOW_MAX)
		step = step_of(PARSE_LOST, 0);
	if (step.outcome == PARSE_LOST) {
		redis->flows[SIDE_SERVER].place = PLACE_UNSYNCED;
		redis_answer_server_gap(redis, 0);
	}
	return step;
}

enum verdict redis_shape_reply(const uint8_t *bytes, size_t length)
{
	struct window window = { .bytes = bytes, .length = length };
	struct span line, rest;
	int64_t number;
	size_t next;

	if (!length)
		return PROBE_MORE;
	if (!strchr("+-:$*_#,(!=%~>|", bytes[0]) || !bytes[0])
		return PROBE_NO;
	if (!redis_line(&window, 0, &line, &next)) {
		for (size_t i = 1; i + 1 < length; i++)
			if (bytes[i] < 0x20 || bytes[i] >= 0x7f)
				return PROBE_NO;
		return PROBE_MORE;
	}
	/* Each line ends with CR LF, and a server's text is printable. */
	if (next < 3 || bytes[next - 2] != '\r')
		return PROBE_NO;
	/* Errors begin with a word in capitals: not the rest of a text. */
	if (bytes[0] == '-' && (bytes[1] < 'A' || bytes[1] > 'Z' ||
				(next > 4 && bytes[2] != ' ' &&
				 (bytes[2] < 'A' || bytes[2] > 'Z'))))
		return PROBE_NO;
	rest = (struct span){ line.bytes + 1, line.length - 1 };
	if (strchr("+-:_#,(", bytes[0])) {
		for (size_t i = 1; i < line.length; i++)
			if ((uint8_t)line.bytes[i] < 0x20)
				return PROBE_NO;
		return is_scalar(line.bytes[0], rest) ? PROBE_YES : PROBE_NO;
	}
	if (span_is(rest, "?"))
		return PROBE_YES;
	if (!redis_number(bytes + 1, line.length - 1, &number))
		return PROBE_NO;
	if (number < -1 || number > (int64_t)REDIS_BULK_MAX)
		return PROBE_NO;
	/* The string's end shows whether it is one. */
	if (strchr("$=!", bytes[0]) && number >= 0 &&
	    length - next >= (uint64_t)number + 2 &&
	    (bytes[next + number] != '\r' || bytes[next + number + 1] != '\n'))
		return PROBE_NO;
	if (strchr("*~>%|", bytes[0]) && number > 0 && next < length)
		return strchr("+-:$*_#,(!=%~>|", bytes[next]) && bytes[next] ?
		       PROBE_YES : PROBE_NO;
	return PROBE_YES;
}
