/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tds.c - SQL Server's TDS 7 and 8: packets, and whose answer is whose.
 *
 * One request is answered at a time; an attention signal cancels it.  Where
 * PRELOGIN agreed to encrypt all, nothing readable follows; where the login
 * alone is encrypted, its records are passed over.  Sessions multiplexed with
 * MARS (SMP packets) are recognised and left alone.
 * Sources: see tds.h; [MC-SMP] 2.2.
 */
#include "parsers/tds.h"

#include <stdlib.h>
#include <utlist.h>

#define HEADER_BYTES	8
#define PACKET_BYTES_MAX 32767
#define STATUS_END	0x01 /* of the message */
#define STATUS_BITS	0x1f /* all that are defined */
#define TLS_HEADER_BYTES 5
#define TLS_FIRST	0x14 /* types of records */
#define TLS_LAST	0x17
#define SMP_ID		0x53
#define BEGINNING_BYTES 30 /* of a message, to be sure of it */

static void dequeue(struct tds *tds, struct tds_request *request)
{
	DL_DELETE(tds->requests, request);
	tds->request_count--;
}

static void finish(struct tds *tds, struct tds_request *request, bool answered)
{
	tds_report(tds, request, answered);
	tds_request_free(request);
}

static void finish_lost(struct tds *tds, struct tds_request *request)
{
	dequeue(tds, request);
	pending_miss(&request->pending, 0);
	finish(tds, request, false);
}

static void enqueue(struct tds *tds, struct tds_request *request)
{
	struct tds_request *older, *next;

	/* One at a time: what was not answered by now lost its answer. */
	DL_FOREACH_SAFE(tds->requests, older, next)
		if (older->exposed && older != tds->answering.request)
			finish_lost(tds, older);
	if (tds->request_count == TDS_REQUESTS_MAX) {
		if (tds->requests == tds->answering.request)
			tds->answering.request = NULL;
		finish_lost(tds, tds->requests);
	}
	request->exposed = tds->framed.sides[SIDE_SERVER].adrift;
	DL_APPEND(tds->requests, request);
	tds->request_count++;
}

static bool is_tls(const uint8_t *bytes, size_t length)
{
	return length >= 2 && bytes[0] >= TLS_FIRST && bytes[0] <= TLS_LAST &&
	       bytes[1] == 3;
}

static bool is_type_of(enum side side, uint8_t type)
{
	if (type == TDS_PRELOGIN)
		return true; /* the server's TLS handshake has it as well */
	if (side == SIDE_SERVER)
		return type == TDS_RESPONSE;
	return type == TDS_SQL_BATCH || type == TDS_RPC ||
	       type == TDS_ATTENTION || type == TDS_BULK ||
	       type == TDS_FEDAUTH || type == TDS_TRANSACTION ||
	       type == TDS_LOGIN || type == TDS_SSPI;
}

/* A record of TLS outside of any packet. */
static enum frame_verdict tls_shape(const struct tds *tds,
				    const uint8_t *bytes, size_t length,
				    struct frame_shape *out)
{
	if (tds->encryption != TDS_ENCRYPT_OFF)
		return FRAME_END;
	if (length < TLS_HEADER_BYTES)
		return FRAME_MORE;
	out->header = TLS_HEADER_BYTES;
	out->body = (uint64_t)bytes[3] << 8 | bytes[4];
	return FRAME_YES;
}

static enum frame_verdict shape(void *state, enum side side,
				const uint8_t *bytes, size_t length,
				struct frame_shape *out)
{
	struct tds *tds = state;
	size_t size;

	if (bytes[0] == SMP_ID)
		return FRAME_END;
	if (is_tls(bytes, length))
		return tls_shape(tds, bytes, length, out);
	if (length < HEADER_BYTES)
		return is_type_of(side, bytes[0]) || bytes[0] >= TLS_FIRST ?
			FRAME_MORE : FRAME_NO;
	size = (size_t)bytes[2] << 8 | bytes[3];
	if (!is_type_of(side, bytes[0]) || bytes[1] & ~STATUS_BITS ||
	    size < HEADER_BYTES || size > PACKET_BYTES_MAX)
		return FRAME_NO;
	out->header = HEADER_BYTES;
	out->body = size - HEADER_BYTES;
	if (side == SIDE_SERVER && bytes[0] == TDS_RESPONSE &&
	    !tds->packets[side].inside && !tds->requests && !tds->attentions)
		return FRAME_WAIT;
	return FRAME_YES;
}

/* Does a message begin there, with a packet's header and what must follow? */
static enum frame_verdict begins(enum side side, const uint8_t *bytes,
				 size_t length)
{
	size_t size;

	if (!is_type_of(side, bytes[0]))
		return FRAME_NO;
	if (length < HEADER_BYTES)
		return FRAME_MORE;
	size = (size_t)bytes[2] << 8 | bytes[3];
	if (bytes[1] & ~STATUS_BITS || size <= HEADER_BYTES ||
	    size > PACKET_BYTES_MAX || bytes[6] > 1 || bytes[7])
		return FRAME_NO;
	if (length < size && length < HEADER_BYTES + BEGINNING_BYTES)
		return FRAME_MORE;
	if (length > size)
		length = size;
	bytes += HEADER_BYTES;
	length -= HEADER_BYTES;
	if (side == SIDE_SERVER)
		return tds_answering_begins(bytes, length) ? FRAME_YES :
							     FRAME_NO;
	return tds_asking_begins(bytes[-HEADER_BYTES], bytes, length) ?
		FRAME_YES : FRAME_NO;
}

static enum frame_verdict sure(void *state, enum side side,
			       const uint8_t *bytes, size_t length)
{
	(void)state;
	return begins(side, bytes, length);
}

static void begin_answer(struct tds *tds)
{
	struct tds_request *request = tds->requests;

	if (!request && !tds->attentions) {
		request = tds_request_new(0);
		if (request) {
			pending_miss(&request->pending, 0);
			DL_APPEND(tds->requests, request);
			tds->request_count++;
		}
	}
	if (request)
		request->exposed = false;
	tds_answering_begin(tds, request);
}

static void begin(void *state, enum side side, const uint8_t *header,
		  const struct frame_shape *frame)
{
	struct tds *tds = state;
	bool first = !tds->packets[side].inside;

	if (frame->header == TLS_HEADER_BYTES) {
		tds->packets[side].type = 0;
		tds->packets[side].ends = true;
		if (side == SIDE_CLIENT && header[0] == TLS_LAST && first)
			tds_asking_begin(tds, TDS_LOGIN);
		framed_give_up(&tds->framed, side);
		return;
	}
	tds->packets[side].type = header[0];
	tds->packets[side].ends = header[1] & STATUS_END;
	tds->packets[side].inside = true;
	if (!first) {
		if (side == SIDE_CLIENT && tds->asking.request)
			tds->asking.request->packets++;
		return;
	}
	if (side == SIDE_SERVER && header[0] == TDS_RESPONSE)
		begin_answer(tds);
	else if (side == SIDE_CLIENT)
		tds_asking_begin(tds, header[0]);
}

/* In a TLS handshake inside of packets nothing is of interest. */
static bool is_handshake(const struct tds *tds, enum side side)
{
	return tds->packets[side].type == TDS_PRELOGIN &&
	       (side == SIDE_SERVER || tds->encryption >= 0);
}

static size_t unit(void *state, enum side side, const uint8_t *bytes,
		   size_t length, bool last)
{
	struct tds *tds = state;

	if (is_handshake(tds, side))
		return length;
	if (side == SIDE_SERVER)
		return tds_answering_unit(tds, bytes, length, last);
	return tds->asking.request ?
		tds_asking_unit(tds, bytes, length, last) : length;
}

/* The rest of a login that takes several messages: part of its exchange. */
static bool continues_login(const struct tds *tds, uint8_t type)
{
	return (type == TDS_SSPI || type == TDS_FEDAUTH) && tds->requests &&
	       tds->requests->prev->type == TDS_LOGIN;
}

static void end_request(struct tds *tds)
{
	struct tds_request *request = tds->asking.request;
	bool whole = framed_whole(&tds->framed, SIDE_CLIENT) ||
		     !tds->packets[SIDE_CLIENT].type;

	tds->asking.request = NULL;
	if (!request)
		return;
	if (is_handshake(tds, SIDE_CLIENT)) {
		tds_request_free(request);
		return;
	}
	if (continues_login(tds, request->type)) {
		framed_traffic(&tds->framed, SIDE_CLIENT, true,
			       &tds->requests->prev->pending);
		tds_request_free(request);
		return;
	}
	if (request->type == TDS_ATTENTION) {
		tds->attentions++;
		if (tds->requests)
			tds->requests->prev->cancelled = true;
		tds_request_free(request);
		return;
	}
	framed_traffic(&tds->framed, SIDE_CLIENT, true, &request->pending);
	if (!whole)
		pending_miss(&request->pending, 0);
	enqueue(tds, request);
}

/* What the answer has changed for the connection. */
static void apply_answer(struct tds *tds, bool whole)
{
	struct tds_answering *a = &tds->answering;

	if (a->encryption >= 0)
		tds->encryption = a->encryption;
	/* Of a damaged answer it is not known: it may have been said. */
	if (tds->attentions && (a->attention || !whole))
		tds->attentions--;
}

static void end_response(struct tds *tds)
{
	struct tds_answering *a = &tds->answering;
	struct tds_request *request = a->request;
	bool whole = framed_whole(&tds->framed, SIDE_SERVER) &&
		     (a->place == ANSWERING_TOKEN ||
		      a->place == ANSWERING_NOTHING);

	apply_answer(tds, whole);
	if (!request)
		return;
	framed_traffic(&tds->framed, SIDE_SERVER, false, &request->pending);
	if (!whole)
		pending_miss(&request->pending, 0);
	/* The server asks for more of the login. */
	if (a->authenticates && !a->done && !a->error)
		return;
	dequeue(tds, request);
	finish(tds, request, true);
	tds_answering_clear(a);
}

static bool end(void *state, enum side side)
{
	struct tds *tds = state;

	if (!tds->packets[side].ends)
		return false;
	tds->packets[side].inside = false;
	if (side == SIDE_CLIENT)
		end_request(tds);
	else if (tds->packets[side].type == TDS_RESPONSE)
		end_response(tds);
	return true;
}

static void lost(void *state, enum side side)
{
	struct tds *tds = state;
	struct tds_request *request;

	tds->packets[side].inside = false;
	if (side == SIDE_CLIENT) {
		request = tds->asking.request;
		tds->asking.request = NULL;
		if (!request)
			return;
		framed_traffic(&tds->framed, side, true, &request->pending);
		pending_miss(&request->pending, 0);
		enqueue(tds, request);
		return;
	}
	request = tds->answering.request;
	if (request) {
		framed_traffic(&tds->framed, side, false, &request->pending);
		pending_miss(&request->pending, 0);
		dequeue(tds, request);
		finish(tds, request, true);
	}
	tds_answering_clear(&tds->answering);
	DL_FOREACH(tds->requests, request)
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

static enum verdict probe_as(const struct window *client,
			     const struct window *server)
{
	enum frame_verdict verdict = FRAME_NO;

	if (client->length)
		verdict = begins(SIDE_CLIENT, client->bytes, client->length);
	if (verdict == FRAME_NO && server->length)
		verdict = begins(SIDE_SERVER, server->bytes, server->length);
	return verdict == FRAME_YES ? PROBE_YES :
	       verdict == FRAME_MORE ? PROBE_MORE : PROBE_NO;
}

static enum verdict tds_probe(const struct opening *opening, bool *client_out)
{
	enum verdict out = probe_as(&opening->out, &opening->in), in;

	*client_out = out == PROBE_YES;
	if (out == PROBE_YES)
		return PROBE_YES;
	in = probe_as(&opening->in, &opening->out);
	if (in == PROBE_YES)
		return PROBE_YES;
	return out == PROBE_MORE || in == PROBE_MORE ? PROBE_MORE : PROBE_NO;
}

static void *tds_open(bool from_start, const struct observer *observer)
{
	struct tds *tds = calloc(1, sizeof(*tds));

	if (!tds)
		return NULL;
	tds->observer = observer;
	tds->encryption = -1;
	framed_init(&tds->framed, &operations, tds, from_start);
	return tds;
}

static struct step tds_parse(void *state, enum side side,
			     const struct window *window)
{
	struct tds *tds = state;

	return framed_parse(&tds->framed, side, window);
}

static size_t tds_resync(void *state, enum side side,
			 const struct window *window)
{
	struct tds *tds = state;

	return framed_resync(&tds->framed, side, window);
}

static void tds_gap(void *state, enum side side, uint64_t missed)
{
	struct tds *tds = state;

	framed_gap(&tds->framed, side, missed);
}

static void tds_close(void *state)
{
	struct tds *tds = state;

	lost(tds, SIDE_SERVER);
	lost(tds, SIDE_CLIENT);
	while (tds->requests)
		finish_lost(tds, tds->requests);
	for (size_t i = 0; i < tds->prepared_count; i++)
		buffer_free(&tds->prepared[i].text);
	buffer_free(&tds->asking.value.bytes);
	buffer_free(&tds->database);
	buffer_free(&tds->text);
	buffer_free(&tds->shown);
	buffer_free(&tds->masked);
	free(tds->description);
	framed_free(&tds->framed);
	exchange_done(&tds->exchange);
	free(tds);
}

const struct parser tds_parser = {
	.name = "mssql",
	.probe = tds_probe,
	.open = tds_open,
	.parse = tds_parse,
	.resync = tds_resync,
	.gap = tds_gap,
	.close = tds_close,
};
