/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kafka.c - Kafka: requests and responses, paired by correlation id.
 *
 * A response does not say what it is: without its request it cannot be read,
 * and is reported as UNKNOWN.  The token of an authentication is passed over
 * unread.
 * Sources: see kafka.h.
 */
#include "parsers/kafka.h"

#include <stdlib.h>
#include <utlist.h>

#include "parsers/cursor.h"
#include "parsers/framed.h"

#define MESSAGE_BYTES_MAX (1u << 30) /* larger: not a message's length */
/* Bytes, socket.request.max.bytes' default: of a request to be sure of. */
#define REQUEST_BYTES_SURE (100u << 20)
#define CLIENT_BYTES_MAX   249	/* of a client id to be sure of */
#define VERSIONS_AHEAD	   4	/* unknown later versions to be sure of */
#define CORRELATIONS_AHEAD (1 << 20) /* of the last id, to be sure of */
#define REQUESTS_MAX	   256	/* waiting on a connection */
#define TEXT_BYTES_MAX	   4096 /* of names kept of a request */
#define HEAD_BYTES	   14	/* of a request, up to its client id */

/* The message of a side that is being read. */
struct reading {
	struct kafka_request *request; /* NULL: not known yet */
	struct kafka_walk walk;
	enum { READ_HEAD, READ_TAGS, READ_BODY, READ_NOTHING } place;
	enum side side;
};

struct kafka {
	struct framed framed;
	const struct observer *observer;
	struct kafka_request *requests; /* oldest first */
	size_t request_count;
	struct reading readings[SIDES];
	bool asked;	      /* a request was read, its id was: */
	int32_t last_correlation;
	bool tokens;	      /* of SASL, bare, follow */
	char unnamed[KAFKA_UNNAMED_BYTES];
	struct exchange exchange;
};

/* Keeps a text of a request; one that does not fit the bound is left out. */
static struct kafka_kept keep(struct kafka_request *request, struct span text)
{
	struct kafka_kept piece = { (uint16_t)request->text.length,
				    (uint16_t)text.length, true };

	if (request->text.length + text.length > TEXT_BYTES_MAX ||
	    !buffer_append(&request->text, text.bytes, text.length))
		piece = (struct kafka_kept){ 0, 0, false };
	return piece;
}

static bool is_kept(const struct kafka_request *request,
		    const struct kafka_kept *pieces, size_t count,
		    struct span text)
{
	for (size_t i = 0; i < count; i++) {
		struct span kept = kafka_span(request, pieces[i]);

		if (kept.length == text.length &&
		    !memcmp(kept.bytes, text.bytes, text.length))
			return true;
	}
	return false;
}

static void keep_name(struct kafka_request *request, struct kafka_kept *pieces,
		      size_t *count, size_t max, struct span text)
{
	struct kafka_kept piece;

	if (*count == max || !text.length ||
	    is_kept(request, pieces, *count, text))
		return;
	piece = keep(request, text);
	if (piece.there)
		pieces[(*count)++] = piece;
}

static void found_name(struct kafka_request *request, enum kafka_role role,
		       struct span text)
{
	switch (role) {
	case KAFKA_TOPIC:
		keep_name(request, request->names, &request->name_count,
			  EXCHANGE_TARGETS_MAX, text);
		break;
	case KAFKA_GROUP:
		keep_name(request, request->groups, &request->group_count,
			  KAFKA_GROUPS_MAX, text);
		break;
	case KAFKA_TRANSACTION:
		if (!request->transaction.there && text.length)
			request->transaction = keep(request, text);
		break;
	case KAFKA_MECHANISM:
		request->mechanism = keep(request, text);
		break;
	case KAFKA_MESSAGE:
		if (!request->message.there && text.length)
			request->message = keep(request, text);
		break;
	default:
		break;
	}
}

/* A field of interest, from the walker. */
static void found(void *context, enum kafka_role role, struct span text,
		  int64_t number)
{
	struct reading *reading = context;
	struct kafka_request *request = reading->request;

	switch (role) {
	case KAFKA_PARTITION:
		request->partitions[reading->side]++;
		break;
	case KAFKA_KEY_TYPE:
		request->not_group = number != 0;
		break;
	case KAFKA_ACKS:
		request->unanswered = number == 0;
		break;
	case KAFKA_ERROR:
		if (!request->has_error || !request->error)
			request->error = (int)number;
		request->has_error = true;
		break;
	case KAFKA_RECORDS:
		if (number < 0)
			request->uncounted = true;
		else
			request->messages += number;
		break;
	default:
		found_name(request, role, text);
	}
}

/* Reports a request that is not in the queue any more; frees it. */
static void finish(struct kafka *kafka, struct kafka_request *request)
{
	kafka_describe(request, kafka->unnamed, &kafka->exchange);
	kafka->observer->exchange(kafka->observer->context, &kafka->exchange);
	exchange_done(&kafka->exchange);
	buffer_free(&request->text);
	free(request);
}

static void dequeue(struct kafka *kafka, struct kafka_request *request)
{
	DL_DELETE(kafka->requests, request);
	kafka->request_count--;
}

static void enqueue(struct kafka *kafka, struct kafka_request *request)
{
	struct kafka_request *oldest = kafka->requests;

	if (kafka->request_count == REQUESTS_MAX) {
		dequeue(kafka, oldest);
		pending_miss(&oldest->pending, 0);
		finish(kafka, oldest);
	}
	DL_APPEND(kafka->requests, request);
	kafka->request_count++;
}

static struct kafka_request *find_request(struct kafka *kafka,
					  int32_t correlation)
{
	struct kafka_request *request;

	DL_FOREACH(kafka->requests, request)
		if (request->correlation == correlation &&
		    request->api != KAFKA_TOKEN)
			return request;
	return NULL;
}

static bool is_text(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i] < 0x20 || bytes[i] >= 0x7f)
			return false;
	return true;
}

struct head {
	uint32_t length;
	int api, version;
	int32_t correlation;
	int client_length; /* -1: null */
};

static struct head head_of(const uint8_t *bytes)
{
	struct cursor c = cursor_of(bytes, HEAD_BYTES);
	struct head head;

	head.length = (uint32_t)cursor_uint_be(&c, 4);
	head.api = (int16_t)cursor_uint_be(&c, 2);
	head.version = (int16_t)cursor_uint_be(&c, 2);
	head.correlation = (int32_t)cursor_uint_be(&c, 4);
	head.client_length = (int16_t)cursor_uint_be(&c, 2);
	return head;
}

/*
 * Does a request's header stand there?  *weak: it names no client, so that
 * other protocols' bytes may look so as well.
 */
static enum frame_verdict request_shape(const uint8_t *bytes, size_t length,
					bool *weak)
{
	const struct kafka_api *api;
	struct head head;
	size_t seen;

	*weak = true;
	if (length && bytes[0] > REQUEST_BYTES_SURE >> 24)
		return FRAME_NO;
	if (length < HEAD_BYTES)
		return FRAME_MORE;
	head = head_of(bytes);
	api = kafka_api_of(head.api);
	if (!api || head.version < 0 ||
	    head.version > api->max_version + VERSIONS_AHEAD ||
	    head.length < HEAD_BYTES - 4 || head.length > REQUEST_BYTES_SURE ||
	    head.correlation < 0 || head.client_length < -1 ||
	    head.client_length > CLIENT_BYTES_MAX ||
	    head.client_length > (int)head.length - (HEAD_BYTES - 4))
		return FRAME_NO;
	if (head.client_length <= 0)
		return FRAME_YES;
	seen = length - HEAD_BYTES;
	if (seen > (size_t)head.client_length)
		seen = (size_t)head.client_length;
	if (!is_text(bytes + HEAD_BYTES, seen))
		return FRAME_NO;
	*weak = false;
	return seen || length >= 64 ? FRAME_YES : FRAME_MORE;
}

/* Correlation ids count up: by how much, where some connections share them? */
static bool follows(const struct kafka *kafka, int32_t correlation)
{
	return !kafka->asked ||
	       (correlation > kafka->last_correlation &&
		correlation - kafka->last_correlation <= CORRELATIONS_AHEAD);
}

static enum frame_verdict client_sure(struct kafka *kafka,
				      const uint8_t *bytes, size_t length)
{
	bool weak;
	enum frame_verdict verdict = request_shape(bytes, length, &weak);

	if (verdict == FRAME_YES &&
	    (weak || !follows(kafka, head_of(bytes).correlation)))
		return FRAME_NO;
	return verdict;
}

/* A field that no answer has: the bytes are something else's. */
static void doubt(void *context, enum kafka_role role, struct span text,
		  int64_t number)
{
	bool *doubtful = context;

	if ((role == KAFKA_TOPIC || role == KAFKA_GROUP) &&
	    (!text.length || !is_text((const uint8_t *)text.bytes,
				      text.length)))
		*doubtful = true;
	if (role == KAFKA_ERROR && number && !kafka_error_name((int)number))
		*doubtful = true;
}

/*
 * Does the body that begins at the cursor read as an answer to the request?
 * `whole`: it ends with the cursor's bytes.
 */
static enum frame_verdict reads_as_answer(const struct kafka_request *request,
					  struct cursor c, bool whole)
{
	const struct kafka_api *api = kafka_api_of(request->api);
	enum kafka_went went = KAFKA_WENT;
	bool doubtful = false;
	struct kafka_walk walk = { .version = request->version,
				   .found = doubt, .context = &doubtful };

	if (!api || !api->response || request->version > api->max_version)
		return FRAME_YES;
	walk.at = api->response;
	walk.flexible = request->version >= api->flexible_from;
	if (walk.flexible && request->api != KAFKA_API_VERSIONS)
		walk.tags = cursor_uint(&c, 1);
	if (walk.tags & 0x80)
		return FRAME_NO;
	while (went == KAFKA_WENT && walk.at && !doubtful) {
		uint64_t skip;
		size_t used;

		went = kafka_walk_step(&walk, c.at, cursor_left(&c), &used,
				       &skip);
		cursor_take(&c, used);
		if (skip > cursor_left(&c))
			return whole ? FRAME_NO : FRAME_YES;
		cursor_take(&c, skip);
	}
	if (doubtful || went == KAFKA_BROKEN || (went == KAFKA_SHORT && whole))
		return FRAME_NO;
	if (walk.at || walk.open)
		return FRAME_YES;
	/* At the end: an empty list of tagged fields, or some of them. */
	if (!walk.flexible)
		return whole && !cursor_left(&c) ? FRAME_YES : FRAME_NO;
	return cursor_left(&c) && (!*c.at == (cursor_left(&c) == 1)) ?
		FRAME_YES : FRAME_NO;
}

/* Out of step: the answer to a request that waits for one. */
static enum frame_verdict server_sure(struct kafka *kafka,
				      const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	const struct kafka_request *request;
	uint64_t size;
	bool whole;

	if (length && bytes[0] > MESSAGE_BYTES_MAX >> 24)
		return FRAME_NO;
	if (length < 8)
		return FRAME_MORE;
	size = cursor_uint_be(&c, 4);
	request = find_request(kafka, (int32_t)cursor_uint_be(&c, 4));
	if (!request || size < 4 || size > MESSAGE_BYTES_MAX)
		return FRAME_NO;
	whole = size <= length - 4;
	if (!whole && length < 64)
		return FRAME_MORE;
	if (whole)
		c.end = bytes + 4 + size;
	return reads_as_answer(request, c, whole);
}

static enum frame_verdict sure(void *state, enum side side,
			       const uint8_t *bytes, size_t length)
{
	return side == SIDE_CLIENT ? client_sure(state, bytes, length) :
				     server_sure(state, bytes, length);
}

static bool is_token_next(const struct kafka *kafka)
{
	return kafka->requests && kafka->requests->api == KAFKA_TOKEN;
}

static enum frame_verdict shape(void *state, enum side side,
				const uint8_t *bytes, size_t length,
				struct frame_shape *out)
{
	struct kafka *kafka = state;
	struct cursor c = cursor_of(bytes, length);
	uint64_t size = cursor_uint_be(&c, 4);
	int32_t correlation;

	if (c.bad)
		return FRAME_MORE;
	out->header = 4;
	out->body = size;
	if (size > MESSAGE_BYTES_MAX)
		return FRAME_NO;
	if (side == SIDE_CLIENT)
		return size >= 8 || kafka->tokens ? FRAME_YES : FRAME_NO;
	if (is_token_next(kafka))
		return FRAME_YES;
	if (size < 4)
		return FRAME_NO;
	correlation = (int32_t)cursor_uint_be(&c, 4);
	if (c.bad)
		return FRAME_MORE;
	return find_request(kafka, correlation) ? FRAME_YES : FRAME_WAIT;
}

static void begin(void *state, enum side side, const uint8_t *header,
		  const struct frame_shape *frame)
{
	struct kafka *kafka = state;
	struct reading *reading = &kafka->readings[side];

	(void)header;
	(void)frame;
	*reading = (struct reading){ .place = READ_HEAD, .side = side };
}

static struct kafka_request *new_request(int api, int version,
					 int32_t correlation)
{
	struct kafka_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->api = api;
	request->version = version;
	request->correlation = correlation;
	return request;
}

/* The body is to be read by its schema, unless none is known. */
static void begin_walk(struct reading *reading, const char *schema, int version)
{
	const struct kafka_api *api = kafka_api_of(reading->request->api);

	reading->walk = (struct kafka_walk){
		.at = schema,
		.version = version,
		.flexible = api && version >= api->flexible_from,
		.found = found,
		.context = reading,
	};
	reading->place = schema && version <= api->max_version ? READ_BODY :
								 READ_NOTHING;
}

/* The request's header; 0: it is not whole yet. */
static size_t read_request_head(struct kafka *kafka, struct reading *reading,
				const uint8_t *bytes, size_t length, bool last)
{
	struct cursor c = cursor_of(bytes, length);
	int api = (int16_t)cursor_uint_be(&c, 2);
	int version = (int16_t)cursor_uint_be(&c, 2);
	int32_t correlation = (int32_t)cursor_uint_be(&c, 4);
	const struct kafka_api *known = kafka_api_of(api);
	int client_length = -1;
	struct span client = { NULL, 0 };

	if (api != KAFKA_CONTROLLED_SHUTDOWN || version > 0)
		client_length = (int16_t)cursor_uint_be(&c, 2);
	if (client_length > 0)
		client = cursor_span(&c, (uint64_t)client_length);
	if (c.bad && !last)
		return 0;
	if (kafka->tokens && (c.bad || !known)) {
		reading->request = new_request(KAFKA_TOKEN, 0, 0);
		reading->place = READ_NOTHING;
		return length;
	}
	if (c.bad) {
		framed_give_up(&kafka->framed, SIDE_CLIENT);
		return 0;
	}
	kafka->tokens = kafka->tokens && !known;
	reading->request = new_request(api, version, correlation);
	reading->place = READ_NOTHING;
	if (!reading->request)
		return (size_t)(c.at - bytes);
	kafka->asked = true;
	kafka->last_correlation = correlation;
	if (client.length)
		reading->request->client = keep(reading->request, client);
	if (known) {
		begin_walk(reading, known->request, version);
		/* The header's tagged fields come first. */
		if (reading->walk.flexible)
			reading->place = READ_TAGS;
	}
	return (size_t)(c.at - bytes);
}

/* The correlation id; what was asked before and lost its answer is told. */
static size_t read_response_head(struct kafka *kafka, struct reading *reading,
				 const uint8_t *bytes, size_t length, bool last)
{
	struct cursor c = cursor_of(bytes, length);
	int32_t correlation = (int32_t)cursor_uint_be(&c, 4);
	struct kafka_request *request, *older, *next;
	const struct kafka_api *api;

	if (c.bad) {
		if (last)
			framed_give_up(&kafka->framed, SIDE_SERVER);
		return 0;
	}
	request = find_request(kafka, correlation);
	reading->place = READ_NOTHING;
	if (!request) {
		reading->request = new_request(KAFKA_UNKNOWN, 0, correlation);
		if (reading->request)
			pending_miss(&reading->request->pending, 0);
		return 4;
	}
	DL_FOREACH_SAFE(kafka->requests, older, next) {
		if (older == request)
			break;
		if (!older->exposed)
			continue;
		dequeue(kafka, older);
		pending_miss(&older->pending, 0);
		finish(kafka, older);
	}
	dequeue(kafka, request);
	reading->request = request;
	api = kafka_api_of(request->api);
	if (!api)
		return 4;
	begin_walk(reading, api->response, request->version);
	if (reading->walk.flexible && request->api != KAFKA_API_VERSIONS)
		reading->place = READ_TAGS;
	return 4;
}

/* The count of a header's tagged fields; the walker passes over them. */
static size_t read_tags(struct kafka *kafka, struct reading *reading,
			const uint8_t *bytes, size_t length, bool last)
{
	uint64_t count = 0;
	size_t at = 0;

	while (at < length && at < 5 && bytes[at] & 0x80)
		at++;
	if (at == 5 || (at == length && last)) {
		framed_give_up(&kafka->framed, reading->side);
		return 0;
	}
	if (at == length)
		return 0;
	for (size_t i = at + 1; i > 0; i--)
		count = count << 7 | (bytes[i - 1] & 0x7f);
	reading->walk.tags = count;
	reading->place = READ_BODY;
	if (!reading->walk.at ||
	    reading->walk.version >
		    kafka_api_of(reading->request->api)->max_version)
		reading->place = READ_NOTHING;
	return at + 1;
}

static size_t read_body(struct kafka *kafka, struct reading *reading,
			const uint8_t *bytes, size_t length)
{
	uint64_t skip;
	size_t used;

	switch (kafka_walk_step(&reading->walk, bytes, length, &used, &skip)) {
	case KAFKA_SHORT:
		return 0;
	case KAFKA_BROKEN:
		framed_give_up(&kafka->framed, reading->side);
		return 0;
	case KAFKA_WENT:
		break;
	}
	if (!reading->walk.at)
		reading->place = READ_NOTHING;
	if (!used && skip) {
		used = skip < length ? (size_t)skip : length;
		skip -= used;
	}
	if (skip)
		framed_skip(&kafka->framed, reading->side, skip);
	return used || reading->walk.at ? used : length;
}

static size_t unit(void *state, enum side side, const uint8_t *bytes,
		   size_t length, bool last)
{
	struct kafka *kafka = state;
	struct reading *reading = &kafka->readings[side];

	switch (reading->place) {
	case READ_HEAD:
		return side == SIDE_CLIENT ?
			read_request_head(kafka, reading, bytes, length, last) :
			read_response_head(kafka, reading, bytes, length, last);
	case READ_TAGS:
		return read_tags(kafka, reading, bytes, length, last);
	case READ_BODY:
		return read_body(kafka, reading, bytes, length);
	case READ_NOTHING:
		break;
	}
	return length;
}

static void end_request(struct kafka *kafka, struct reading *reading)
{
	struct kafka_request *request = reading->request;

	if (request && request->api == KAFKA_SASL_HANDSHAKE &&
	    request->version == 0)
		kafka->tokens = true;
	if (!request)
		request = new_request(kafka->tokens ? KAFKA_TOKEN :
						      KAFKA_UNKNOWN, 0, 0);
	if (!request)
		return;
	framed_traffic(&kafka->framed, SIDE_CLIENT, true,
		       &request->pending);
	if (!framed_whole(&kafka->framed, SIDE_CLIENT))
		pending_miss(&request->pending, 0);
	if (request->unanswered || request->api == KAFKA_UNKNOWN)
		finish(kafka, request);
	else
		enqueue(kafka, request);
}

static void end_response(struct kafka *kafka, struct reading *reading)
{
	struct kafka_request *request = reading->request;

	if (!request && is_token_next(kafka)) {
		request = kafka->requests;
		dequeue(kafka, request);
	}
	if (!request)
		return;
	framed_traffic(&kafka->framed, SIDE_SERVER, false,
		       &request->pending);
	if (!framed_whole(&kafka->framed, SIDE_SERVER))
		pending_miss(&request->pending, 0);
	finish(kafka, request);
}

static bool end(void *state, enum side side)
{
	struct kafka *kafka = state;
	struct reading *reading = &kafka->readings[side];

	if (side == SIDE_CLIENT)
		end_request(kafka, reading);
	else
		end_response(kafka, reading);
	*reading = (struct reading){ .place = READ_NOTHING, .side = side };
	return true;
}

/*
 * The request that was being read may be answered all the same; answers that
 * were due may have been in the gap.
 */
static void lost(void *state, enum side side)
{
	struct kafka *kafka = state;
	struct reading *reading = &kafka->readings[side];
	struct kafka_request *request = reading->request;

	if (request) {
		pending_miss(&request->pending, 0);
		framed_traffic(&kafka->framed, side, side == SIDE_CLIENT,
			       &request->pending);
		if (side == SIDE_CLIENT && !request->unanswered)
			enqueue(kafka, request);
		else
			finish(kafka, request);
	}
	*reading = (struct reading){ .place = READ_NOTHING, .side = side };
	if (side == SIDE_CLIENT)
		return;
	DL_FOREACH(kafka->requests, request)
		request->exposed = true;
}

static const struct framed_operations operations = {
	.shape = shape,
	.sure = sure,
	.begin = begin,
	.unit = unit,
	.end = end,
	.lost = lost,
};

/* Does the other side's first frame answer the request? */
static enum verdict answers(const struct window *request,
			    const struct window *response)
{
	if (response->length < 8)
		return PROBE_MORE;
	return memcmp(request->bytes + 8, response->bytes + 4, 4) ? PROBE_NO :
								    PROBE_YES;
}

static enum verdict probe_as(const struct window *client,
			     const struct window *server)
{
	bool weak;

	if (!client->length)
		return PROBE_NO;
	switch (request_shape(client->bytes, client->length, &weak)) {
	case FRAME_NO:
		return PROBE_NO;
	case FRAME_YES:
		return weak ? answers(client, server) : PROBE_YES;
	default:
		return PROBE_MORE;
	}
}

static enum verdict kafka_probe(const struct opening *opening, bool *client_out)
{
	enum verdict out = probe_as(&opening->out, &opening->in);
	enum verdict in = out == PROBE_YES ? PROBE_NO :
		probe_as(&opening->in, &opening->out);

	*client_out = out == PROBE_YES;
	if (out == PROBE_YES || in == PROBE_YES)
		return PROBE_YES;
	return out == PROBE_MORE || in == PROBE_MORE ? PROBE_MORE : PROBE_NO;
}

static void *kafka_open(bool from_start, const struct observer *observer)
{
	struct kafka *kafka = calloc(1, sizeof(*kafka));

	if (!kafka)
		return NULL;
	kafka->observer = observer;
	framed_init(&kafka->framed, &operations, kafka, from_start);
	return kafka;
}

static struct step kafka_parse(void *state, enum side side,
			       const struct window *window)
{
	struct kafka *kafka = state;

	return framed_parse(&kafka->framed, side, window);
}

static size_t kafka_resync(void *state, enum side side,
			   const struct window *window)
{
	struct kafka *kafka = state;

	return framed_resync(&kafka->framed, side, window);
}

static void kafka_gap(void *state, enum side side, uint64_t missed)
{
	struct kafka *kafka = state;

	framed_gap(&kafka->framed, side, missed);
}

static void kafka_close(void *state)
{
	struct kafka *kafka = state;
	struct kafka_request *request, *next;
	enum side side;

	for (side = SIDE_CLIENT; side < SIDES; side++)
		lost(kafka, side);
	DL_FOREACH_SAFE(kafka->requests, request, next) {
		dequeue(kafka, request);
		pending_miss(&request->pending, 0);
		finish(kafka, request);
	}
	framed_free(&kafka->framed);
	free(kafka);
}

const struct parser kafka_parser = {
	.name = "kafka",
	.probe = kafka_probe,
	.open = kafka_open,
	.parse = kafka_parse,
	.resync = kafka_resync,
	.gap = kafka_gap,
	.close = kafka_close,
};
