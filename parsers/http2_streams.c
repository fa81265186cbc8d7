/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http2_streams.c - HTTP/2's streams, and when one of them is over.
 *
 * A stream is over when both sides have said END_STREAM.  Some servers send
 * RST_STREAM behind that, which belongs to the exchange: so a stream that its
 * server ended last is reported with the next frame of either side.
 * Source: RFC 9113 sections 5.1, 6.4, 6.8 and 8.1.
 */
#include "parsers/http2.h"

struct http2_stream *http2_stream_find(struct http2 *h2, uint32_t id)
{
	struct http2_stream *stream;

	HASH_FIND(hh, h2->streams, &id, sizeof(id), stream);
	return stream;
}

struct http2_stream *http2_stream_begin(struct http2 *h2, uint32_t id,
					struct http_transaction *transaction)
{
	struct http2_stream *stream = calloc(1, sizeof(*stream));

	if (!transaction)
		transaction = http_transaction_new(&h2->observer, "http", "2");
	if (!stream || !transaction) {
		if (transaction)
			http_transaction_finish(transaction, false);
		free(stream);
		return NULL;
	}
	if (HASH_COUNT(h2->streams) >= HTTP2_STREAMS_MAX)
		http2_stream_finish(h2, h2->streams, false);
	stream->id = id;
	stream->transaction = transaction;
	http_transaction_stream(transaction, id, -1);
	HASH_ADD(hh, h2->streams, id, sizeof(stream->id), stream);
	if (id > h2->highest)
		h2->highest = id;
	return stream;
}

bool http2_stream_is_recent(const struct http2 *h2, uint32_t id)
{
	size_t count = h2->recent_count < HTTP2_RECENT_MAX ?
			       h2->recent_count : HTTP2_RECENT_MAX;

	for (size_t i = 0; i < count; i++)
		if (h2->recent[i] == id)
			return true;
	return false;
}

static void remember(struct http2 *h2, uint32_t id)
{
	h2->recent[h2->recent_count++ % HTTP2_RECENT_MAX] = id;
}

/* Gives up streams that were overtaken too often: their end was lost. */
static void give_up(struct http2 *h2, const struct http2_stream *younger)
{
	struct http2_stream *stream, *next;
	uint32_t id = younger->id;

	HASH_ITER(hh, h2->streams, stream, next) {
		if (stream->id >= id || !(stream->damaged[SIDE_CLIENT] ||
					  stream->damaged[SIDE_SERVER]))
			continue;
		if (++stream->overtaken > HTTP2_OVERTAKEN_MAX)
			http2_stream_finish(h2, stream, false);
	}
}

void http2_stream_finish(struct http2 *h2, struct http2_stream *stream,
			 bool complete)
{
	if (h2->closing == stream)
		h2->closing = NULL;
	HASH_DEL(h2->streams, stream);
	http_transaction_finish(stream->transaction, complete);
	free(stream);
}

/* It has run its course. */
static void complete(struct http2 *h2, struct http2_stream *stream)
{
	if (h2->partial)
		give_up(h2, stream);
	http2_stream_finish(h2, stream, true);
}

void http2_stream_settle(struct http2 *h2)
{
	if (h2->closing)
		complete(h2, h2->closing);
}

/* Is there an end of the request to wait for? */
static bool may_end(const struct http2_stream *stream)
{
	return !stream->ended[SIDE_CLIENT] && !stream->damaged[SIDE_CLIENT] &&
	       http_transaction_has_head(stream->transaction, SIDE_CLIENT);
}

void http2_stream_end(struct http2 *h2, struct http2_stream *stream,
		      enum side side)
{
	stream->ended[side] = true;
	if (side == SIDE_CLIENT) {
		if (stream->ended[SIDE_SERVER])
			complete(h2, stream);
		return;
	}
	if (may_end(stream))
		return;
	if (!stream->ended[SIDE_CLIENT])
		remember(h2, stream->id);
	http2_stream_settle(h2);
	h2->closing = stream;
}

void http2_stream_reset(struct http2 *h2, struct http2_stream *stream,
			int64_t error)
{
	remember(h2, stream->id);
	http_transaction_stream(stream->transaction, stream->id, error);
	if (error >= 0)
		complete(h2, stream);
	else
		http2_stream_finish(h2, stream, false);
}

void http2_streams_miss(struct http2 *h2, enum side side)
{
	struct http2_stream *stream, *next;

	h2->partial = true;
	HASH_ITER(hh, h2->streams, stream, next) {
		if (stream->ended[side])
			continue;
		stream->damaged[side] = true;
		http_transaction_missed(stream->transaction, side, 0);
	}
}

void http2_streams_refuse(struct http2 *h2, enum side side, uint32_t last)
{
	struct http2_stream *stream, *next;
	/* The client's streams have odd numbers. */
	uint32_t parity = side == SIDE_SERVER;

	HASH_ITER(hh, h2->streams, stream, next) {
		if (stream->id <= last || (stream->id & 1) != parity)
			continue;
		http_transaction_note(stream->transaction,
				      "datasnoop.http.refused", "goaway");
		http2_stream_finish(h2, stream, true);
	}
}

void http2_streams_close(struct http2 *h2)
{
	struct http2_stream *stream, *next;

	http2_stream_settle(h2);
	HASH_ITER(hh, h2->streams, stream, next)
		http2_stream_finish(h2, stream, false);
}
