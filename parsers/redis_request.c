/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * redis_request.c - commands: arrays of bulk strings, or inline lines.
 *
 * A command is read piecewise; of its arguments the beginnings are kept, the
 * rest is skipped where it lies.
 */
#include "parsers/redis.h"

#include <string.h>

#include "parsers/cursor.h"

#define WORD "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

static struct step step_of(enum outcome outcome, size_t used)
{
	return (struct step){ outcome, used };
}

/* May a command be called that? */
static bool is_name(struct span word)
{
	if (!word.length || word.length > REDIS_NAME_MAX ||
	    !((word.bytes[0] | 0x20) >= 'a' && (word.bytes[0] | 0x20) <= 'z'))
		return false;
	for (size_t i = 0; i < word.length; i++)
		if (!word.bytes[i] || !strchr(WORD, word.bytes[i]))
			return false;
	return true;
}

static void set_name(struct request *request, struct span word)
{
	if (!is_name(word))
		return; /* operation "UNKNOWN", as at the beginning */
	request->command = redis_command_find(word);
	for (size_t i = 0; i < word.length; i++) {
		char c = word.bytes[i];

		request->name[i] = (char)(c >= 'a' && c <= 'z' ?
					  c - 'a' + 'A' : c);
	}
	request->name[word.length] = '\0';
}

/* Keeps the beginning of an argument, within all the bounds there are. */
static void add_argument(struct redis *redis, struct request *request,
			 struct span bytes, uint64_t length)
{
	size_t keep = bytes.length, left;
	struct redis_argument argument = {
		.at = (uint32_t)request->text.length,
		.length = length,
	};

	request->argument_count++;
	if (request->argument_count > REDIS_ARGS_KEPT) {
		request->cut = true;
		return;
	}
	if (keep > VALUE_BYTES_MAX)
		keep = VALUE_BYTES_MAX;
	left = REDIS_KEPT_MAX - request->text.length;
	if (left > REDIS_HELD_MAX - redis->held_bytes)
		left = REDIS_HELD_MAX - redis->held_bytes;
	if (keep > left)
		keep = left;
	if (!buffer_append(&request->text, bytes.bytes, keep))
		keep = 0;
	argument.kept = (uint32_t)keep;
	redis->held_bytes += keep;
	request->cut |= keep < length;
	buffer_append(&request->arguments, &argument, sizeof(argument));
}

static void add_word(struct redis *redis, struct span bytes, uint64_t length)
{
	if (redis->current->name[0] == '\0') {
		strcpy(redis->current->name, "UNKNOWN");
		if (length == bytes.length)
			set_name(redis->current, bytes);
	} else {
		add_argument(redis, redis->current, bytes, length);
	}
}

static void end_command(struct redis *redis)
{
	struct request *request = redis->current;

	redis->current = NULL;
	redis->flows[SIDE_CLIENT].place = PLACE_START;
	redis_answer_request(redis, request);
}

static unsigned hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10u : 16;
}

/* What stands behind a backslash, within double quotes. */
static uint8_t unescape(struct cursor *c)
{
	static const char from[] = "nrtba", to[] = "\n\r\t\b\a";
	uint8_t byte = (uint8_t)cursor_uint(c, 1);
	const char *at;

	if (byte == 'x' && cursor_left(c) >= 2 && hex_digit(c->at[0]) < 16 &&
	    hex_digit(c->at[1]) < 16) {
		byte = (uint8_t)(hex_digit(c->at[0]) << 4 |
				 hex_digit(c->at[1]));
		cursor_take(c, 2);
		return byte;
	}
	at = byte ? strchr(from, byte) : NULL;
	return at ? (uint8_t)to[at - from] : byte;
}

/* One word of an inline command, quotes taken off; false: none is left. */
static bool inline_word(struct cursor *c, struct buffer *word)
{
	uint8_t quote = 0;

	while (cursor_left(c) && (*c->at == ' ' || *c->at == '\t'))
		c->at++;
	if (!cursor_left(c))
		return false;
	word->length = 0;
	while (cursor_left(c) && (quote || (*c->at != ' ' && *c->at != '\t'))) {
		uint8_t byte = (uint8_t)cursor_uint(c, 1);

		if (!quote && (byte == '"' || byte == '\'')) {
			quote = byte;
			continue;
		}
		if (quote && byte == quote) {
			quote = 0;
			continue;
		}
		if (byte == '\\' && quote == '"' && cursor_left(c))
			byte = unescape(c);
		else if (byte == '\\' && quote && cursor_left(c) &&
			 *c->at == '\'')
			byte = (uint8_t)cursor_uint(c, 1);
		if (!buffer_append(word, &byte, 1))
			return false;
	}
	return true;
}

static void inline_command(struct redis *redis, struct span line)
{
	struct cursor c = cursor_of((const uint8_t *)line.bytes, line.length);
	struct buffer word = { NULL, 0, 0 };

	redis->used_inline = redis->current->is_inline = true;
	while (inline_word(&c, &word))
		add_word(redis, (struct span){ word.bytes ?
					       (const char *)word.bytes : "",
					       word.length }, word.length);
	buffer_free(&word);
}

bool redis_number(const uint8_t *bytes, size_t length, int64_t *number)
{
	bool negative = length && *bytes == '-';
	int64_t value = 0;

	if (length && (*bytes == '-' || *bytes == '+'))
		bytes++, length--;
	if (!length || length > 18)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] < '0' || bytes[i] > '9')
			return false;
		value = value * 10 + (bytes[i] - '0');
	}
	*number = negative ? -value : value;
	return true;
}

bool redis_line(const struct window *window, size_t at, struct span *line,
		size_t *next)
{
	const uint8_t *start = window->bytes + at;
	const uint8_t *end = at < window->length ?
		memchr(start, '\n', window->length - at) : NULL;

	if (!end)
		return false;
	*next = (size_t)(end + 1 - window->bytes);
	*line = (struct span){ (const char *)start, (size_t)(end - start) };
	if (line->length && line->bytes[line->length - 1] == '\r')
		line->length--;
	return true;
}

/* Is the byte `before_end` bytes before the end what it must be? */
static bool end_is(const struct flow *flow, const uint8_t *bytes, size_t length,
		   uint64_t before_end, uint8_t expected)
{
	uint64_t index = flow->left - before_end;

	return flow->left < before_end || index >= length ||
	       bytes[index] == expected;
}

bool redis_body(struct flow *flow, const struct window *window, size_t at,
		size_t *used, struct span *bytes)
{
	const uint8_t *start = window->bytes + at;
	size_t take = window->length - at, content;

	if (take > flow->left)
		take = (size_t)flow->left;
	*used = 0;
	if (!end_is(flow, start, take, 2, '\r') ||
	    !end_is(flow, start, take, 1, '\n'))
		return false;
	*used = take;
	if (take == flow->left && take == flow->length + 2) {
		*bytes = (struct span){ (const char *)start, take - 2 };
		if (bytes->length > VALUE_BYTES_MAX)
			bytes->length = VALUE_BYTES_MAX;
		flow->left = 0;
		return true;
	}
	content = flow->left > 2 ? take : 0;
	if (content > flow->left - 2)
		content = (size_t)(flow->left - 2);
	/* Behind a hole nothing is kept: what is kept is a prefix. */
	if (!flow->holed)
		buffer_gather(&flow->body, start, content, VALUE_BYTES_MAX);
	flow->left -= take;
	*bytes = (struct span){ flow->body.length ?
				(const char *)flow->body.bytes : "",
				flow->body.length };
	return !flow->left;
}

/* A command or the end of one begins; *used 0: outcome says why not. */
static struct step start_command(struct redis *redis,
				 const struct window *window, size_t at)
{
	struct flow *flow = &redis->flows[SIDE_CLIENT];
	struct span line;
	int64_t count;
	size_t next;

	if (redis->pending_count >= REDIS_PENDING_MAX && !flow->forced)
		return step_of(PARSE_WAIT, 0);
	if (!redis_line(window, at, &line, &next))
		return step_of(PARSE_MORE, 0);
	if (!line.length)
		return step_of(PARSE_TOOK, next - at);
	if (redis->pending_count >= REDIS_PENDING_MAX)
		redis_answer_give_up(redis);
	flow->forced = false;
	if (line.bytes[0] != '*') {
		/* Where a capture begins it may be an argument of an array. */
		if (!redis->began ||
		    redis_shape_inline(window->bytes + at, next - at) !=
		    PROBE_YES)
			return step_of(PARSE_LOST, 0);
	} else if (!redis_number((const uint8_t *)line.bytes + 1,
				 line.length - 1, &count) ||
		   count > REDIS_COUNT_MAX) {
		return step_of(PARSE_LOST, 0);
	} else if (count <= 0) {
		return step_of(PARSE_TOOK, next - at);
	}
	redis->current = redis_request_new(redis);
	if (!redis->current)
		return step_of(PARSE_DONE, 0);
	redis->began = true;
	if (line.bytes[0] != '*') {
		inline_command(redis, line);
		redis->arguments_due = 0;
	} else {
		redis->arguments_due = (uint64_t)count;
		flow->place = PLACE_HEADER;
	}
	return step_of(PARSE_TOOK, next - at);
}

static struct step start_argument(struct redis *redis,
				  const struct window *window, size_t at)
{
	struct flow *flow = &redis->flows[SIDE_CLIENT];
	struct span line;
	int64_t length;
	size_t next;

	if (!redis_line(window, at, &line, &next))
		return step_of(PARSE_MORE, 0);
	if (!line.length || line.bytes[0] != '$' ||
	    !redis_number((const uint8_t *)line.bytes + 1, line.length - 1,
			  &length) ||
	    length < 0 || (uint64_t)length > REDIS_BULK_MAX)
		return step_of(PARSE_LOST, 0);
	flow->place = PLACE_BODY;
	flow->length = (uint64_t)length;
	flow->left = (uint64_t)length + 2;
	flow->holed = false;
	buffer_reset(&flow->body);
	return step_of(PARSE_TOOK, next - at);
}

static struct step take_argument(struct redis *redis,
				 const struct window *window, size_t at)
{
	struct flow *flow = &redis->flows[SIDE_CLIENT];
	struct span bytes;
	size_t used;

	if (redis_body(flow, window, at, &used, &bytes)) {
		add_word(redis, bytes, flow->length);
		redis->arguments_due--;
		flow->place = PLACE_HEADER;
	}
	return step_of(used ? PARSE_TOOK : PARSE_LOST, used);
}

static struct step client_unit(struct redis *redis, const struct window *window,
			       size_t at)
{
	switch (redis->flows[SIDE_CLIENT].place) {
	case PLACE_HEADER:
		return start_argument(redis, window, at);
	case PLACE_BODY:
		return take_argument(redis, window, at);
	default:
		return start_command(redis, window, at);
	}
}

/* As much as there is: a call for each command would cost more than it. */
struct step redis_client(struct redis *redis, const struct window *window)
{
	struct step step = { PARSE_TOOK, 0 };
	size_t at = 0, from = 0;

	while (at < window->length) {
		step = client_unit(redis, window, at);
		if (step.outcome != PARSE_TOOK)
			break;
		at += step.used;
		if (!redis->current) {
			from = at;
		} else if (!redis->arguments_due) {
			pending_request(&redis->current->pending, window, from,
					at - from);
			from = at;
			end_command(redis);
		}
	}
	if (redis->current && at > from)
		pending_request(&redis->current->pending, window, from,
				at - from);
	if (at)
		return step_of(PARSE_TOOK, at);
	/* A line that a window can't hold is none. */
	if (step.outcome == PARSE_MORE && window->length >= PARSER_WINDOW_MAX)
		step = step_of(PARSE_LOST, 0);
	if (step.outcome == PARSE_LOST) {
		redis->flows[SIDE_CLIENT].place = PLACE_UNSYNCED;
		redis_answer_client_gap(redis, 0);
	}
	return step;
}

enum verdict redis_shape_inline(const uint8_t *bytes, size_t length)
{
	const uint8_t *end = memchr(bytes, '\n', length);
	size_t line = end ? (size_t)(end - bytes) : length, word = 0;

	if (end && line && bytes[line - 1] == '\r')
		line--;
	for (size_t i = 0; i < line; i++)
		if (bytes[i] < 0x20 && bytes[i] != '\t' &&
		    !(!end && bytes[i] == '\r' && i + 1 == line))
			return PROBE_NO;
	while (word < line && bytes[word] != ' ' && bytes[word] != '\t' &&
	       bytes[word] != '\r')
		word++;
	if (word < line || end)
		return !redis_command_find((struct span){ (const char *)bytes,
							  word }) ? PROBE_NO :
		       end ? PROBE_YES : PROBE_MORE;
	return word <= REDIS_NAME_MAX ? PROBE_MORE : PROBE_NO;
}

/* The number behind `type` at *at, which moves on behind its line. */
static enum verdict shape_count(const uint8_t *bytes, size_t length,
				size_t *at, uint8_t type, int64_t *number)
{
	struct window window = { .bytes = bytes, .length = length };
	struct span line;
	size_t from = *at;

	if (from == length)
		return PROBE_MORE;
	if (bytes[from] != type)
		return PROBE_NO;
	if (!redis_line(&window, from, &line, at)) {
		for (size_t i = from + 1; i < length; i++)
			if ((bytes[i] < '0' || bytes[i] > '9') &&
			    !(bytes[i] == '\r' && i + 1 == length))
				return PROBE_NO;
		return length - from <= 20 ? PROBE_MORE : PROBE_NO;
	}
	if (!redis_number((const uint8_t *)line.bytes + 1, line.length - 1,
			  number) || *number < 1 || *number > REDIS_COUNT_MAX)
		return PROBE_NO;
	return PROBE_YES;
}

enum verdict redis_shape_command(const uint8_t *bytes, size_t length, bool any)
{
	int64_t count, size;
	size_t at = 0;
	enum verdict verdict = shape_count(bytes, length, &at, '*', &count);
	struct span name;

	if (verdict != PROBE_YES)
		return verdict;
	verdict = shape_count(bytes, length, &at, '$', &size);
	if (verdict != PROBE_YES)
		return verdict;
	if (size > REDIS_NAME_MAX)
		return PROBE_NO;
	if (length - at < (uint64_t)size + 2)
		return PROBE_MORE;
	name = (struct span){ (const char *)bytes + at, (size_t)size };
	at += (size_t)size;
	if (bytes[at] != '\r' || bytes[at + 1] != '\n' || !is_name(name))
		return PROBE_NO;
	return any || redis_command_find(name) ? PROBE_YES : PROBE_NO;
}
