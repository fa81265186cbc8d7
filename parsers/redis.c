/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * redis.c - RESP: windows, gaps, which end is which.
 */
#include "parsers/redis.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct request *redis_request_new(struct redis *redis)
{
	struct request *request = redis->spare, *fresh;

	if (!request)
		return calloc(1, sizeof(*request));
	fresh = request;
	DL_DELETE(redis->spare, fresh);
	redis->spares--;
	*request = (struct request){
		.text = request->text,
		.arguments = request->arguments,
	};
	return request;
}

void redis_request_free(struct redis *redis, struct request *request)
{
	redis->held_bytes -= request->text.length;
	if (redis->described == request) {
		redis->described = NULL;
		exchange_done(&redis->exchange);
	}
	if (redis->spares < REDIS_SPARE_MAX) {
		buffer_reset(&request->text);
		buffer_reset(&request->arguments);
		DL_PREPEND(redis->spare, request);
		redis->spares++;
		return;
	}
	buffer_free(&request->text);
	buffer_free(&request->arguments);
	free(request);
}

bool redis_argument(const struct request *request, size_t index,
		    struct redis_argument *argument, struct span *bytes)
{
	if ((index + 1) * sizeof(*argument) > request->arguments.length)
		return false;
	memcpy(argument, request->arguments.bytes + index * sizeof(*argument),
	       sizeof(*argument));
	*bytes = (struct span){ argument->kept ? (const char *)
				request->text.bytes + argument->at : "",
				argument->kept };
	return true;
}

bool redis_argument_is(const struct request *request, size_t index,
		       const char *word)
{
	struct redis_argument argument;
	struct span bytes;

	return redis_argument(request, index, &argument, &bytes) &&
	       argument.length == bytes.length && span_is_nocase(bytes, word);
}

static void *redis_open(bool from_start, const struct observer *observer)
{
	struct redis *redis = calloc(1, sizeof(*redis));

	if (!redis)
		return NULL;
	redis->observer = *observer;
	redis->flows[SIDE_CLIENT].place = PLACE_START;
	redis->flows[SIDE_SERVER].place = PLACE_START;
	redis->began = redis->from_start = from_start;
	if (from_start)
		strcpy(redis->database, "0");
	else
		redis->doubt = redis->doubt_seen = true;
	return redis;
}

static struct step redis_parse(void *state, enum side side,
			       const struct window *window)
{
	struct redis *redis = state;

	if (redis->replicating)
		return (struct step){ PARSE_DONE, 0 };
	return side == SIDE_CLIENT ? redis_client(redis, window) :
				     redis_server(redis, window);
}

/* Does a line, or a mark, begin at `at`? */
static bool is_border(const struct window *window, size_t at)
{
	if (!at || window->bytes[at - 1] == '\n')
		return true;
	for (size_t i = 0; i < window->mark_count; i++)
		if (window_mark_end(window, i) >= at)
			return window_mark_end(window, i) == at;
	return false;
}

static enum verdict shape_at(const struct redis *redis, enum side side,
			     const struct window *window, size_t at)
{
	const uint8_t *bytes = window->bytes + at;
	size_t length = window->length - at;
	enum verdict verdict;

	if (side == SIDE_SERVER)
		return redis_shape_reply(bytes, length);
	verdict = redis_shape_command(bytes, length, true);
	if (verdict == PROBE_NO && redis->used_inline)
		verdict = redis_shape_inline(bytes, length);
	return verdict;
}

static size_t redis_resync(void *state, enum side side,
			   const struct window *window)
{
	struct redis *redis = state;
	size_t at = 0;

	if (redis->flows[side].place != PLACE_UNSYNCED &&
	    redis->flows[side].place != PLACE_START)
		return 0;
	while (at < window->length &&
	       (!is_border(window, at) ||
		shape_at(redis, side, window, at) == PROBE_NO))
		at++;
	if (at < window->length)
		redis->flows[side].place = PLACE_START;
	if (at && side == SIDE_SERVER)
		redis_answer_pass(redis, window, at);
	redis->flows[side].dropped = at;
	if (at)
		redis->flows[side].dropped_ns = window_last_ns(window, at - 1);
	return at;
}

static void redis_gap(void *state, enum side side, uint64_t missed)
{
	struct redis *redis = state;

	if (!missed)
		redis->flows[side].forced = true;
	else if (side == SIDE_CLIENT)
		redis_answer_client_gap(redis, missed);
	else
		redis_answer_server_gap(redis, missed);
}

static void free_requests(struct request *list)
{
	struct request *request, *next;

	DL_FOREACH_SAFE(list, request, next) {
		buffer_free(&request->text);
		buffer_free(&request->arguments);
		free(request);
	}
}

static void redis_close(void *state)
{
	struct redis *redis = state;

	redis_answer_close(redis);
	if (redis->current)
		redis_request_free(redis, redis->current);
	free_requests(redis->spare);
	for (int side = 0; side < SIDES; side++)
		buffer_free(&redis->flows[side].body);
	buffer_free(&redis->reply.text);
	buffer_free(&redis->element.text);
	buffer_free(&redis->chunks);
	buffer_free(&redis->push_channel);
	exchange_done(&redis->exchange);
	buffer_free(&redis->statement);
	buffer_free(&redis->masked);
	free(redis);
}

/*
 * How sure is it that these are commands, answered by those?  Inline commands
 * look like memcached's and POP3's: only with RESP's answer to them, by a
 * server that did not speak first.
 */
static enum verdict probe_ends(const struct window *client,
			       const struct window *server, bool from_start)
{
	enum verdict command, reply;
	bool server_first = server->length && client->length &&
			    window_first_ns(server, 0) <
			    window_first_ns(client, 0);

	if (!client->length)
		return server->length ? PROBE_NO : PROBE_MORE;
	reply = redis_shape_reply(server->bytes, server->length);
	command = redis_shape_command(client->bytes, client->length, false);
	if (command == PROBE_YES)
		return reply == PROBE_NO ? PROBE_NO : PROBE_YES;
	if (command == PROBE_MORE)
		return reply == PROBE_NO ? PROBE_NO : PROBE_MORE;
	if (redis_shape_command(client->bytes, client->length, true) ==
	    PROBE_YES)
		return server_first ? PROBE_NO : reply;
	command = redis_shape_inline(client->bytes, client->length);
	if (command == PROBE_NO || server_first || !from_start)
		return PROBE_NO;
	return command == PROBE_YES ? reply : reply == PROBE_NO ? PROBE_NO :
								 PROBE_MORE;
}

/* Messages of a subscription look like a command that is not known. */
static enum verdict redis_probe(const struct opening *opening,
				bool *client_out)
{
	enum verdict out = probe_ends(&opening->out, &opening->in,
				      opening->from_start);
	enum verdict in = probe_ends(&opening->in, &opening->out,
				     opening->from_start);

	if (out == PROBE_YES || in == PROBE_YES) {
		*client_out = out == PROBE_YES;
		/* An array of a reply may begin with a command's name. */
		if (out == PROBE_YES && in == PROBE_YES)
			*client_out = window_first_ns(&opening->out, 0) <=
				      window_first_ns(&opening->in, 0);
		return PROBE_YES;
	}
	return out == PROBE_MORE || in == PROBE_MORE ? PROBE_MORE : PROBE_NO;
}

const struct parser redis_parser = {
	.name = "redis",
	.probe = redis_probe,
	.open = redis_open,
	.parse = redis_parse,
	.resync = redis_resync,
	.gap = redis_gap,
	.close = redis_close,
};
