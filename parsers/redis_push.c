/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * redis_push.c - words of messages and acknowledgements.
 *
 * What a subscriber is sent are arrays that begin with a word.  An
 * acknowledgement names its command, in lower case, and the channel.
 * Source: https://redis.io/docs/develop/pubsub/#format-of-pushed-messages
 */
#include "parsers/redis.h"

#include <string.h>

/* A string of at most `most` bytes at *at, which moves on. */
static enum verdict take_string(const struct window *window, size_t *at,
				size_t most, struct span *string)
{
	struct span line;
	int64_t length;
	size_t next;

	if (*at == window->length)
		return PROBE_MORE;
	if (window->bytes[*at] != '$')
		return PROBE_NO;
	if (!redis_line(window, *at, &line, &next))
		return PROBE_MORE;
	if (!redis_number((const uint8_t *)line.bytes + 1, line.length - 1,
			  &length) || length < 0 || (uint64_t)length > most)
		return PROBE_NO;
	if (window->length - next < (size_t)length + 2)
		return PROBE_MORE;
	*string = (struct span){ (const char *)window->bytes + next,
				 (size_t)length };
	*at = next + (size_t)length + 2;
	return PROBE_YES;
}

/* The array's first word; *at moves behind it. */
static enum redis_word take_word(const struct window *window, size_t *at,
				 struct span *name)
{
	static const struct {
		const char *name;
		enum redis_word word;
	} words[] = {
		{ "message", WORD_MESSAGE },
		{ "pmessage", WORD_MESSAGE },
		{ "smessage", WORD_MESSAGE },
		{ "subscribe", WORD_SUBSCRIBE },
		{ "psubscribe", WORD_SUBSCRIBE },
		{ "ssubscribe", WORD_SUBSCRIBE },
		{ "unsubscribe", WORD_UNSUBSCRIBE },
		{ "punsubscribe", WORD_UNSUBSCRIBE },
		{ "sunsubscribe", WORD_UNSUBSCRIBE },
		{ "pong", WORD_PONG },
	};
	struct span line;
	enum verdict verdict;
	int64_t count;

	if (!redis_line(window, *at, &line, at))
		return WORD_SHORT;
	if (!redis_number((const uint8_t *)line.bytes + 1, line.length - 1,
			  &count) || count < 2)
		return WORD_OTHER;
	verdict = take_string(window, at, REDIS_NAME_MAX, name);
	if (verdict != PROBE_YES)
		return verdict == PROBE_MORE ? WORD_SHORT : WORD_OTHER;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (span_is(*name, words[i].name))
			return words[i].word;
	return WORD_OTHER;
}

enum redis_word redis_push_word(const struct window *window, size_t at)
{
	struct span name;

	return take_word(window, &at, &name);
}

bool redis_push_acks(const struct request *request, const struct window *window,
		     size_t at, uint64_t *index)
{
	struct redis_argument argument;
	struct span name, channel, text;
	enum redis_word word = take_word(window, &at, &name);
	size_t count = request->arguments.length / sizeof(argument);

	*index = 0;
	if ((word != WORD_SUBSCRIBE && word != WORD_UNSUBSCRIBE) ||
	    !span_is_nocase(name, request->name))
		return false;
	/* Of all channels there are, or of ones that are not known. */
	if (!count || request->cut ||
	    take_string(window, &at, PARSER_WINDOW_MAX, &channel) != PROBE_YES)
		return true;
	for (; *index < count; ++*index)
		if (redis_argument(request, *index, &argument, &text) &&
		    text.length == channel.length &&
		    !memcmp(text.bytes, channel.bytes, text.length))
			return true;
	*index = 0;
	return false;
}
