/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http1_queue.c - which response answers which request.
 *
 * Responses come in the order of the requests (RFC 9112 section 9.3.2), so a
 * queue would do if every byte were seen.  Where some were not, time helps: an
 * answer that had come before a request was sent is not its answer, and a
 * client that doesn't pipeline sends its next request when it has its answer.
 * One that does is believed to send its next ones when it has all answers, as
 * long as nothing shows that it overlaps them; then nothing can be believed any
 * more.  What is not proven is told as incomplete.
 */
#include "parsers/http1.h"

#include <stdlib.h>

#include <utlist.h>

static struct http1_entry *entry_new(struct http1 *h, const char *version)
{
	struct http1_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->transaction = http_transaction_new(h->observer, "http",
						  version);
	if (!entry->transaction) {
		free(entry);
		return NULL;
	}
	h->queued++;
	return entry;
}

/* Tells it and takes it out; no lane is in it any more. */
static void entry_tell(struct http1 *h, struct http1_entry *entry)
{
	bool complete = entry->done[SIDE_CLIENT] && entry->done[SIDE_SERVER] &&
			!entry->unproven;

	for (int side = 0; side < SIDES; side++)
		if (h->lanes[side].entry == entry)
			h->lanes[side].entry = NULL;
	DL_DELETE(h->queue, entry);
	h->queued--;
	/* A switched connection may have taken it. */
	if (entry->transaction)
		http_transaction_finish(entry->transaction, complete);
	free(entry);
}

void http1_queue_done(struct http1 *h, struct http1_entry *entry,
		      enum side side)
{
	entry->done[side] = true;
	h->answers += side == SIDE_SERVER;
	if (h->lanes[side].entry == entry)
		h->lanes[side].entry = NULL;
	if (entry->done[!side])
		entry_tell(h, entry);
}

/* The oldest whose response is not whole; NULL: none. */
static struct http1_entry *first_open(const struct http1 *h)
{
	struct http1_entry *entry;

	DL_FOREACH(h->queue, entry)
		if (!entry->done[SIDE_SERVER])
			return entry;
	return NULL;
}

void http1_queue_lose_requests(struct http1 *h)
{
	const struct http1_lane *lane = &h->lanes[SIDE_CLIENT];
	const struct http1_entry *entry;
	uint64_t proof = h->answers;

	DL_FOREACH(h->queue, entry)
		proof += !entry->done[SIDE_SERVER];
	/* One more, unless it is the rest of one that is known to be lost. */
	proof += !lane->entry && !lane->adrift;
	if (!h->client_lost || proof > h->client_proof)
		h->client_proof = proof;
	if (h->server_lost)
		h->client_proof = 0;
	h->client_lost = true;
}

void http1_queue_lose_answers(struct http1 *h)
{
	struct http1_entry *entry;

	h->server_lost = true;
	h->client_proof = 0;
	DL_FOREACH(h->queue, entry)
		entry->proof = 0;
}

/* From `entry` on pairs are not to be believed. */
static void doubt_from(struct http1 *h, struct http1_entry *entry)
{
	h->behind = true;
	for (; entry; entry = entry->next)
		entry->behind = true;
}

/* From `entry` on they are, up to the next hole. */
static void believe_from(struct http1 *h, struct http1_entry *entry)
{
	do {
		entry->behind = false;
		entry = entry->next;
	} while (entry && entry->before_ns != HTTP1_IN_HOLE);
	h->behind = h->queue->prev->behind;
}

/*
 * Who sends a request when an answer has come that is younger than all it had
 * sent before has all answers, unless it is known to overlap them.
 */
static void realign(struct http1 *h, uint64_t ns)
{
	struct http1_entry *entry, *fresh = NULL;

	DL_FOREACH(h->queue, entry)
		if (!entry->done[SIDE_SERVER] && entry->behind &&
		    !entry->unproven && entry->start_ns <= ns &&
		    entry->before_ns < h->answer_ns &&
		    h->answer_ns < entry->start_ns)
			fresh = entry;
	if (!fresh)
		return;
	/* An answer that has not come either proves that it does. */
	if (h->answers < fresh->proof)
		h->overlaps = h->pipelines = true;
	if (h->overlaps)
		return;
	while (h->queue != fresh) {
		h->answers += !h->queue->done[SIDE_SERVER];
		entry_tell(h, h->queue);
	}
	believe_from(h, fresh);
}

struct http1_entry *http1_queue_request(struct http1 *h,
					const struct window *window, size_t at,
					const char *version)
{
	uint64_t ns = window_first_ns(window, at);
	uint64_t before_ns = h->lanes[SIDE_CLIENT].last_ns;
	struct http1_entry *entry, *oldest = h->queue;

	if (h->queued >= HTTP1_PIPELINE_MAX) {
		if (oldest == h->lanes[SIDE_SERVER].entry)
			oldest = oldest->next;
		entry_tell(h, oldest);
		http1_queue_lose_answers(h);
	}
	entry = entry_new(h, version);
	if (!entry)
		return NULL;
	entry->start_ns = ns;
	entry->before_ns = before_ns;
	/* Its first byte came with the last of another. */
	if (before_ns != HTTP1_IN_HOLE && ns <= before_ns)
		h->pipelines = true;
	entry->behind = h->behind = h->behind || h->client_lost;
	entry->proof = h->client_proof;
	DL_APPEND(h->queue, entry);
	h->asked = true;
	h->client_lost = false;
	h->client_lost_bytes = 0;
	return entry;
}

/* The request was not seen, the response is: it goes before all others. */
static struct http1_entry *orphan_new(struct http1 *h, const char *version,
				      uint64_t ns)
{
	struct http1_entry *entry = entry_new(h, version);

	if (!entry)
		return NULL;
	entry->done[SIDE_CLIENT] = true;
	DL_PREPEND(h->queue, entry);
	h->answer_ns = ns;
	if (h->client_lost)
		http_transaction_missed(entry->transaction, SIDE_CLIENT,
					h->client_lost_bytes);
	h->client_lost_bytes = 0;
	return entry;
}

/* Requests without a whole answer that had been sent by `ns`. */
static uint64_t sent_by(struct http1 *h, uint64_t ns)
{
	struct http1_entry *entry = first_open(h);
	uint64_t count = 0;

	for (; entry && entry->start_ns <= ns; entry = entry->next) {
		/* Two at once. */
		if (count && entry->start_ns == entry->prev->start_ns)
			h->pipelines = true;
		count++;
	}
	return count;
}

/*
 * Responses may have been lost before this one, which came at `ns`.  Without
 * pipelining it is the last request's that had been sent by then; the others'
 * are the lost ones.  With it there is no telling, unless what is missing is
 * too short for a response.
 */
static void skip_lost(struct http1 *h, uint64_t ns)
{
	uint64_t damaged = h->server_damaged_bytes;
	uint64_t hidden = h->server_hidden_bytes;
	uint64_t least = damaged != 0;
	uint64_t most = least + damaged / HTTP1_RESPONSE_BYTES_MIN;
	uint64_t before_ns = h->lanes[SIDE_SERVER].last_ns;
	uint64_t sent = sent_by(h, ns), skip;
	/* The rest were sent when what is missing had come. */
	uint64_t exposed = before_ns < ns ? sent_by(h, before_ns) : sent;
	struct http1_entry *entry = first_open(h), *next;
	bool room = hidden + damaged >= 2 || before_ns != HTTP1_IN_HOLE;

	h->server_lost = false;
	h->server_damaged_bytes = h->server_hidden_bytes = 0;
	/* The rest of a lost answer has come too. */
	if (before_ns < ns && before_ns > h->answer_ns)
		h->answer_ns = before_ns;
	if (!sent)
		return;
	/* The last byte of one, and the first of another. */
	if (hidden >= 2)
		most += 1 + (hidden - 2) / HTTP1_RESPONSE_BYTES_MIN;
	skip = exposed < sent ? exposed : sent - 1;
	if (skip > most)
		h->pipelines = true;
	if (h->pipelines && least < skip)
		skip = least;
	if (damaged)
		http_transaction_missed(entry->transaction, SIDE_SERVER,
					damaged);
	for (; sent--; entry = next) {
		next = entry->next;
		/* An interim response may be missing too. */
		if (skip || (h->pipelines && most > least) ||
		    (room && entry->start_ns <= before_ns))
			entry->unproven = true;
		if (h->pipelines && most > least)
			doubt_from(h, entry);
		if (!skip)
			continue;
		skip--;
		http1_queue_done(h, entry, SIDE_SERVER);
	}
}

/* How the client sends, as an answer to `entry` begins at `ns`. */
static void note_pipelining(struct http1 *h, const struct http1_entry *entry,
			    uint64_t ns)
{
	const struct http1_entry *later = entry->next;

	if (!later || entry->continued || !later->start_ns ||
	    later->start_ns > ns)
		return;
	h->pipelines = true;
	if (entry->start_ns >= h->answer_ns)
		return;
	while (later && later->start_ns <= h->answer_ns)
		later = later->next;
	if (later && later->start_ns < ns)
		h->overlaps = true;
}

struct http1_entry *http1_queue_response(struct http1 *h,
					 const struct window *window,
					 size_t at,
					 const struct http1_start *start,
					 bool *wait)
{
	uint64_t first = window_first_ns(window, at);
	uint64_t last = window_last_ns(window, at);
	uint64_t before_ns = h->lanes[SIDE_SERVER].last_ns;
	struct http1_entry *entry;

	*wait = false;
	/* It came with the last byte of another. */
	if (before_ns != HTTP1_IN_HOLE && first <= before_ns &&
	    !(h->queue && h->queue->continued))
		h->pipelines = true;
	if (h->server_lost)
		skip_lost(h, last);
	realign(h, last);
	entry = first_open(h);
	if (!entry) {
		*wait = !h->impatient && !h->client_lost &&
			(h->from_start || h->asked);
		return *wait ? NULL : orphan_new(h, start->version, last);
	}
	/* An entry of an interim response keeps its final one. */
	if (!entry->continued && entry->start_ns && last &&
	    last < entry->start_ns)
		return orphan_new(h, start->version, last);
	note_pipelining(h, entry, first);
	if (!entry->continued && entry->behind)
		entry->unproven = true;
	h->answer_ns = last;
	return entry;
}

void http1_queue_close(struct http1 *h)
{
	while (h->queue) {
		struct http1_entry *entry = h->queue;

		/* Its body was called off by the answer: RFC 9110 10.1.1. */
		if (entry->expects && !entry->continued && entry->answered &&
		    entry->done[SIDE_SERVER])
			entry->done[SIDE_CLIENT] = true;
		entry_tell(h, entry);
	}
}
