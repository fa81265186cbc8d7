/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http1_probe.c - is it HTTP/1.x, and which end is the client?
 *
 * At a connection's start the first bytes tell.  In mid-connection a start
 * line may be found further on; as text of HTTP is carried in other protocols
 * too, it then must have a header field behind it.
 */
#include "parsers/http1.h"

#include <string.h>

/* What a window looks like, as that side's bytes. */
static enum http1_look look_first(enum side side, const struct window *window)
{
	struct http1_start start;
	size_t at = 0;

	while (at < window->length &&
	       (window->bytes[at] == '\r' || window->bytes[at] == '\n'))
		at++;
	if (at == window->length)
		return HTTP1_MORE;
	return http1_look(side, window->bytes + at, window->length - at,
			  &start);
}

/* Is there a start line with a field behind it anywhere? */
static bool look_within(enum side side, const struct window *window)
{
	size_t at = 0;

	while (at < window->length) {
		const uint8_t *bytes = window->bytes + at;
		size_t length = window->length - at;
		const uint8_t *end = memchr(bytes, '\n', length);
		struct http1_start start;

		if (http1_look(side, bytes, length, &start) == HTTP1_YES &&
		    http1_is_field(bytes + start.length,
				   length - start.length))
			return true;
		if (!end)
			return false;
		at += (size_t)(end - bytes) + 1;
	}
	return false;
}

/* The directions as requests and responses; YES: both fit, or one is empty. */
static enum http1_look look_both(const struct window *requests,
				 const struct window *responses)
{
	enum http1_look request = look_first(SIDE_CLIENT, requests);
	enum http1_look response = look_first(SIDE_SERVER, responses);

	if (request == HTTP1_NO || response == HTTP1_NO)
		return HTTP1_NO;
	if (request == HTTP1_YES || response == HTTP1_YES)
		return HTTP1_YES;
	return HTTP1_MORE;
}

static bool look_both_within(const struct window *requests,
			     const struct window *responses)
{
	return look_within(SIDE_CLIENT, requests) ||
	       look_within(SIDE_SERVER, responses);
}

enum verdict http1_probe(const struct opening *opening, bool *client_out)
{
	enum http1_look out = look_both(&opening->out, &opening->in);
	enum http1_look in = look_both(&opening->in, &opening->out);

	*client_out = out == HTTP1_YES;
	if (out == HTTP1_YES || in == HTTP1_YES)
		return PROBE_YES;
	if (!opening->from_start) {
		*client_out = look_both_within(&opening->out, &opening->in);
		if (*client_out ||
		    look_both_within(&opening->in, &opening->out))
			return PROBE_YES;
	}
	if (out == HTTP1_MORE || in == HTTP1_MORE)
		return PROBE_MORE;
	return PROBE_NO;
}
