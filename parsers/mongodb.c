/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mongodb.c - messages of both sides, requests and their responses.
 *
 * Messages carry their length, and responses the number of their request: a
 * loss costs the messages that it touches and no others.
 */
#include "parsers/mongodb.h"

#include <stdlib.h>
#include <string.h>

#include "parsers/cursor.h"

#define COMPRESSED_HEADER 9 /* bytes behind the message's own header */

struct header {
	uint32_t length;
	int32_t id, response_to;
	uint32_t opcode;
};

static struct step step_of(enum outcome outcome, size_t used)
{
	return (struct step){ outcome, used };
}

void mongo_request_free(struct mongo_request *request)
{
	if (!request)
		return;
	buffer_free(&request->statement);
	buffer_free(&request->masked);
	buffer_free(&request->reply.message);
	free(request);
}

static void forget_reply(struct mongodb_reply *reply)
{
	buffer_free(&reply->message);
	*reply = (struct mongodb_reply){
		.code = -1, .n = -1, .modified = -1, .documents = -1,
	};
}

static struct mongo_request *request_new(const struct message *message)
{
	struct mongo_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->id = message->id;
	request->opcode = message->opcode;
	request->compressor = message->compressor;
	forget_reply(&request->reply);
	return request;
}

static bool is_opcode(enum side side, uint32_t opcode)
{
	switch (opcode) {
	case OP_MSG:
	case OP_COMPRESSED:
		return true;
	case OP_REPLY:
		return side == SIDE_SERVER;
	case OP_UPDATE:
	case OP_INSERT:
	case OP_QUERY:
	case OP_GET_MORE:
	case OP_DELETE:
	case OP_KILL_CURSORS:
		return side == SIDE_CLIENT;
	default:
		return false;
	}
}

static bool take_header(enum side side, struct cursor *c, struct header *header)
{
	uint32_t least = MONGODB_HEADER + 4;

	header->length = (uint32_t)cursor_uint(c, 4);
	header->id = (int32_t)cursor_uint(c, 4);
	header->response_to = (int32_t)cursor_uint(c, 4);
	header->opcode = (uint32_t)cursor_uint(c, 4);
	if (header->opcode == OP_MSG)
		least += 1 + 5;
	else if (header->opcode == OP_QUERY)
		least += 2 + 8 + 5;
	return !c->bad && header->length >= least &&
	       header->length <= MONGODB_MESSAGE_MAX &&
	       is_opcode(side, header->opcode) &&
	       /* Some clients say -1 for none. */
	       (side == SIDE_SERVER || !header->response_to ||
		header->response_to == -1);
}

/* Behind OP_REPLY's flags: cursor, first and number of documents, the first. */
static enum verdict shape_reply(struct cursor *c, uint32_t length)
{
	uint32_t documents, size;

	cursor_take(c, 8 + 4);
	documents = (uint32_t)cursor_uint(c, 4);
	if (!documents)
		return length == MONGODB_HEADER + 20 ? PROBE_YES : PROBE_NO;
	size = (uint32_t)cursor_uint(c, 4);
	if (c->bad)
		return PROBE_MORE;
	return size >= 5 && size <= length - MONGODB_HEADER - 20 &&
	       documents <= length / 5 ? PROBE_YES : PROBE_NO;
}

static enum verdict shape_compressed(enum side side, struct cursor *c,
				     uint32_t opcode)
{
	uint32_t size = (uint32_t)cursor_uint(c, 4);
	uint8_t compressor = (uint8_t)cursor_uint(c, 1);

	if (c->bad)
		return PROBE_MORE;
	return is_opcode(side, opcode) && opcode != OP_COMPRESSED && size &&
	       size <= MONGODB_MESSAGE_MAX && inflater_name(compressor) ?
	       PROBE_YES : PROBE_NO;
}

/* May a message begin there?  What stands behind its header is seen too. */
static enum verdict shape(enum side side, const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	struct header header;
	uint32_t flags, size;
	uint8_t kind;

	if (length < MONGODB_HEADER)
		return length < 4 || bytes[3] <= 2 ? PROBE_MORE : PROBE_NO;
	if (!take_header(side, &c, &header))
		return PROBE_NO;
	flags = (uint32_t)cursor_uint(&c, 4);
	if (c.bad)
		return PROBE_MORE;
	if (header.opcode == OP_COMPRESSED)
		return shape_compressed(side, &c, flags);
	if (header.opcode == OP_REPLY)
		return flags > 15 ? PROBE_NO : shape_reply(&c, header.length);
	if (header.opcode != OP_MSG)
		return flags <= 0xff ? PROBE_YES : PROBE_NO;
	kind = (uint8_t)cursor_uint(&c, 1);
	size = (uint32_t)cursor_uint(&c, 4);
	if (c.bad)
		return PROBE_MORE;
	return !(flags & 0xfffcu) && flags < 1u << 17 && kind <= 1 &&
	       size >= 5 && size <= header.length - MONGODB_HEADER - 5 ?
	       PROBE_YES : PROBE_NO;
}

static void report(struct mongodb *mongo, struct mongo_request *request)
{
	mongodb_report(mongo, request);
	mongo_request_free(request);
}

static void drop_oldest(struct mongodb *mongo)
{
	struct mongo_request *oldest = mongo->pending;

	HASH_DEL(mongo->pending, oldest);
	oldest->pending.damaged = true;
	report(mongo, oldest);
}

static void end_request(struct mongodb *mongo, struct mongo_request *request)
{
	struct mongo_request *same;

	if (request->unanswered) {
		report(mongo, request);
		return;
	}
	/* A number in use again: the older got no response. */
	HASH_FIND_INT(mongo->pending, &request->id, same);
	if (same) {
		HASH_DEL(mongo->pending, same);
		same->pending.damaged = true;
		report(mongo, same);
	}
	if (HASH_COUNT(mongo->pending) >= MONGODB_PENDING_MAX)
		drop_oldest(mongo);
	HASH_ADD_INT(mongo->pending, id, request);
}

/* An exhaust cursor's responses go on: each answers the one before it. */
static void end_response(struct mongodb *mongo, struct mongo_request *request,
			 int32_t id)
{
	bool more = request->reply.more && !request->pending.damaged;

	mongodb_report(mongo, request);
	if (!more) {
		mongo_request_free(request);
		return;
	}
	forget_reply(&request->reply);
	request->pending = (struct pending){ 0 };
	request->exhausts = true;
	request->id = id;
	end_request(mongo, request);
}

static void end_message(struct mongodb *mongo, enum side side)
{
	struct mongo_flow *flow = &mongo->flows[side];
	struct message *message = &flow->message;
	struct mongo_request *request = message->request;
	bool whole;

	message->begun = false;
	inflater_free(message->inflater);
	message->inflater = NULL;
	if (!request)
		return;
	whole = message_end(mongo, side) && !message->damaged;
	message->request = NULL;
	if (!whole)
		request->pending.damaged = true;
	if (side == SIDE_CLIENT)
		end_request(mongo, request);
	else
		end_response(mongo, request, message->id);
}

static void put_content(void *context, const uint8_t *bytes, size_t length)
{
	struct mongodb *mongo = context;

	message_feed(mongo, mongo->flows[SIDE_CLIENT].feeding ? SIDE_CLIENT :
		     SIDE_SERVER, bytes, length);
}

/* The request that a response answers; false: *step says what to do. */
static bool find_request(struct mongodb *mongo, struct message *message,
			 const struct window *window, struct step *step)
{
	struct mongo_flow *flow = &mongo->flows[SIDE_SERVER];
	struct mongo_flow *client = &mongo->flows[SIDE_CLIENT];
	uint64_t ns = window_last_ns(window, 0);

	HASH_FIND_INT(mongo->pending, &message->response_to, message->request);
	if (message->request) {
		/* The message's own now: its number may be used again. */
		HASH_DEL(mongo->pending, message->request);
		return true;
	}
	/* The request may come yet, unless later bytes have. */
	if (!flow->forced && client->last_ns <= ns) {
		*step = step_of(PARSE_WAIT, 0);
		return false;
	}
	flow->forced = false;
	if (!client->missed)
		return true;
	/* Of a request that was lost. */
	message->request = request_new(message);
	if (message->request) {
		message->request->id = message->response_to;
		pending_miss(&message->request->pending, client->missed);
	}
	client->missed = 0;
	return true;
}

/* OP_COMPRESSED: what it holds, as shape() has checked. */
static void open_compressed(struct message *message, struct cursor *c)
{
	uint8_t compressor;

	message->opcode = (enum mongodb_opcode)cursor_uint(c, 4);
	message->content = cursor_uint(c, 4);
	compressor = (uint8_t)cursor_uint(c, 1);
	message->compressor = inflater_name(compressor);
	message->inflater = inflater_new(compressor, message->content);
	message->damaged = !message->inflater;
}

static struct step begin_message(struct mongodb *mongo, enum side side,
				 const struct window *window)
{
	struct message *message = &mongo->flows[side].message;
	struct cursor c = cursor_of(window->bytes, window->length);
	struct header header;
	struct step step;
	size_t used = MONGODB_HEADER;

	if (window->length < MONGODB_HEADER)
		return step_of(PARSE_MORE, 0);
	if (!take_header(side, &c, &header))
		return step_of(PARSE_LOST, 0);
	if (mongo->flows[side].doubtful) {
		enum verdict verdict = shape(side, window->bytes,
					     window->length);

		if (verdict != PROBE_YES)
			return step_of(verdict == PROBE_NO ? PARSE_LOST :
							      PARSE_MORE, 0);
	}
	if (header.opcode == OP_COMPRESSED) {
		used += COMPRESSED_HEADER;
		if (header.length < used)
			return step_of(PARSE_LOST, 0);
		if (window->length < used)
			return step_of(PARSE_MORE, 0);
	}
	message->side = side;
	message->id = header.id;
	message->response_to = header.response_to;
	message->opcode = (enum mongodb_opcode)header.opcode;
	message->compressor = NULL;
	message->damaged = false;
	message->content = header.length - MONGODB_HEADER;
	message->request = NULL;
	if (header.opcode == OP_COMPRESSED &&
	    shape(side, window->bytes, window->length) != PROBE_YES)
		return step_of(PARSE_LOST, 0);
	if (side == SIDE_SERVER && !find_request(mongo, message, window, &step))
		return step;
	if (header.opcode == OP_COMPRESSED)
		open_compressed(message, &c);
	if (side == SIDE_CLIENT)
		message->request = request_new(message);
	message->begun = true;
	message->left = header.length - used;
	if (message->request) {
		message_start(mongo, side);
		if (side == SIDE_CLIENT)
			pending_request(&message->request->pending, window, 0,
					used);
		else
			pending_response(&message->request->pending, window, 0,
					 used);
	}
	return step_of(PARSE_TOOK, used);
}

static struct step take_content(struct mongodb *mongo, enum side side,
				const struct window *window)
{
	struct mongo_flow *flow = &mongo->flows[side];
	struct message *message = &flow->message;
	size_t take = window->length;

	if (take > message->left)
		take = (size_t)message->left;
	message->left -= take;
	if (message->request && side == SIDE_CLIENT)
		pending_request(&message->request->pending, window, 0, take);
	else if (message->request)
		pending_response(&message->request->pending, window, 0, take);
	flow->feeding = true;
	if (message->request && !message->damaged) {
		if (!message->inflater)
			message_feed(mongo, side, window->bytes, take);
		else if (!inflater_feed(message->inflater, window->bytes, take,
					!message->left, put_content, mongo))
			message->damaged = true;
	}
	flow->feeding = false;
	if (!message->left)
		end_message(mongo, side);
	return step_of(PARSE_TOOK, take);
}

static struct step mongodb_parse(void *state, enum side side,
				 const struct window *window)
{
	struct mongodb *mongo = state;
	struct mongo_flow *flow = &mongo->flows[side];
	struct step step;

	step = flow->message.begun ? take_content(mongo, side, window) :
				     begin_message(mongo, side, window);
	if (step.outcome == PARSE_TOOK) {
		flow->last_ns = window_last_ns(window, step.used - 1);
		flow->doubtful = false;
	} else if (step.outcome == PARSE_LOST) {
		flow->unsynced = true;
	}
	return step;
}

static size_t mongodb_resync(void *state, enum side side,
			     const struct window *window)
{
	struct mongodb *mongo = state;
	struct mongo_flow *flow = &mongo->flows[side];
	size_t at = 0;

	if (!flow->unsynced)
		return 0;
	while (at < window->length &&
	       shape(side, window->bytes + at, window->length - at) == PROBE_NO)
		at++;
	flow->doubtful = true;
	if (at < window->length)
		flow->unsynced = false;
	return at;
}

static void mongodb_gap(void *state, enum side side, uint64_t missed)
{
	struct mongodb *mongo = state;
	struct mongo_flow *flow = &mongo->flows[side];
	struct message *message = &flow->message;

	if (!missed) {
		flow->forced = true;
		return;
	}
	if (message->begun) {
		message->damaged = true;
		if (message->request)
			pending_miss(&message->request->pending, missed);
		if (missed < message->left) {
			message->left -= missed;
			return;
		}
		missed -= message->left;
		message->left = 0;
		end_message(mongo, side);
		if (!missed)
			return;
	}
	flow->unsynced = true;
	flow->missed += missed;
}

static void *mongodb_open(bool from_start, const struct observer *observer)
{
	struct mongodb *mongo = calloc(1, sizeof(*mongo));

	if (!mongo)
		return NULL;
	mongo->observer = *observer;
	for (int side = 0; side < SIDES; side++)
		mongo->flows[side].doubtful = !from_start;
	return mongo;
}

static void mongodb_close(void *state)
{
	struct mongodb *mongo = state;

	for (int side = 0; side < SIDES; side++) {
		struct message *message = &mongo->flows[side].message;

		if (message->begun) {
			message->damaged = true;
			end_message(mongo, (enum side)side);
		}
		buffer_free(&message->scratch);
		buffer_free(&message->body);
		buffer_free(&message->scan.text);
	}
	while (mongo->pending)
		drop_oldest(mongo);
	buffer_free(&mongo->columns);
	exchange_done(&mongo->exchange);
	free(mongo);
}

/* Where only a server's message is seen, it answers something. */
static enum verdict probe_ends(const struct window *client,
			       const struct window *server)
{
	enum verdict request = PROBE_MORE, response = PROBE_MORE;
	struct cursor c = cursor_of(server->bytes, server->length);
	struct header header;

	if (client->length)
		request = shape(SIDE_CLIENT, client->bytes, client->length);
	if (server->length)
		response = shape(SIDE_SERVER, server->bytes, server->length);
	if (request == PROBE_NO || response == PROBE_NO)
		return PROBE_NO;
	if (request == PROBE_YES)
		return PROBE_YES;
	return response == PROBE_YES && !client->length &&
	       take_header(SIDE_SERVER, &c, &header) && header.response_to ?
	       PROBE_YES : PROBE_MORE;
}

static enum verdict mongodb_probe(const struct opening *opening,
				  bool *client_out)
{
	enum verdict out = probe_ends(&opening->out, &opening->in);
	enum verdict in = probe_ends(&opening->in, &opening->out);

	if (!opening->in.length && !opening->out.length)
		return PROBE_MORE;
	*client_out = out == PROBE_YES;
	if (out == PROBE_YES || in == PROBE_YES)
		return PROBE_YES;
	return out == PROBE_MORE || in == PROBE_MORE ? PROBE_MORE : PROBE_NO;
}

const struct parser mongodb_parser = {
	.name = "mongodb",
	.probe = mongodb_probe,
	.open = mongodb_open,
	.parse = mongodb_parse,
	.resync = mongodb_resync,
	.gap = mongodb_gap,
	.close = mongodb_close,
};
