/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http1_queue.c - which response answers which request.
 *
 * Responses come in the order of the requests (RFC 9112 section 9.3.2), so a
 * queue would do if every byte were seen.  Where some were not, time helps: an
 * answer that had come before a request was sent is not its answer, and a
 * client that doesn't pipeline sends its next request when it has its answer.
 * What neither proves is told as incomplete.
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
	const struct http1_entry *entry;

	h->client_lost = true;
	h->client_proof = h->answers;
	DL_FOREACH(h->queue, entry)
		h->client_proof += !entry->done[SIDE_SERVER];
	/* That of a request which is there in part, or of a lost one. */
	if (!h->lanes[SIDE_CLIENT].entry)
		h->client_proof++;
}

/*
 * How many responses were lost is not known: nor is it for what is sent while
 * some seem to be due.  Who sends another request when an answer has come that
 * is younger than all of them has them all, most likely.
 */
static bool is_adrift(struct http1 *h, uint64_t ns)
{
	if (!h->queue || !h->queue->prev->adrift)
		return false;
	if (h->queue->prev->start_ns < h->answer_ns && h->answer_ns < ns &&
	    !h->lanes[SIDE_SERVER].entry)
		while (h->queue)
			entry_tell(h, h->queue);
	return true;
}

struct http1_entry *http1_queue_request(struct http1 *h,
					const struct window *window, size_t at,
					const char *version)
{
	uint64_t ns = window_first_ns(window, at);
	bool adrift = is_adrift(h, ns);
	struct http1_entry *entry, *oldest = h->queue;

	if (h->queued >= HTTP1_PIPELINE_MAX) {
		if (oldest == h->lanes[SIDE_SERVER].entry)
			oldest = oldest->next;
		entry_tell(h, oldest);
		h->server_lost = true;
	}
	entry = entry_new(h, version);
	if (!entry)
		return NULL;
	entry->start_ns = ns;
	entry->adrift = entry->unproven = adrift;
	/* When all before it have been answered, so has what was lost. */
	entry->behind_gap = h->client_lost || (h->queue &&
					       h->queue->prev->behind_gap);
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
static void skip_lost(struct http1 *h, uint64_t ns, unsigned status)
{
	uint64_t damaged = h->server_damaged_bytes;
	uint64_t hidden = h->server_hidden_bytes;
	uint64_t least = damaged != 0;
	uint64_t most = least + damaged / HTTP1_RESPONSE_BYTES_MIN;
	uint64_t sent = sent_by(h, ns), skip;
	struct http1_entry *entry = first_open(h), *next;

	h->server_lost = false;
	h->server_damaged_bytes = h->server_hidden_bytes = 0;
	if (!sent)
		return;
	/* The last byte of one, and the first of another. */
	if (hidden >= 2)
		most += 1 + (hidden - 2) / HTTP1_RESPONSE_BYTES_MIN;
	if (sent - 1 > most)
		h->pipelines = true;
	skip = h->pipelines && least < sent - 1 ? least : sent - 1;
	if (damaged)
		http_transaction_missed(entry->transaction, SIDE_SERVER,
					damaged);
	for (; sent--; entry = next) {
		next = entry->next;
		/* An interim response may be missing too. */
		if (skip || (h->pipelines && most > least) ||
		    (hidden + damaged >= 2 && entry->expects &&
		     !entry->continued && status >= 200))
			entry->unproven = true;
		entry->adrift |= h->pipelines && most > least;
		if (!skip)
			continue;
		skip--;
		http1_queue_done(h, entry, SIDE_SERVER);
	}
}

struct http1_entry *http1_queue_response(struct http1 *h,
					 const struct window *window,
					 size_t at,
					 const struct http1_start *start,
					 bool *wait)
{
	uint64_t first = window_first_ns(window, at);
	uint64_t last = window_last_ns(window, at);
	struct http1_entry *entry;

	*wait = false;
	if (h->server_lost)
		skip_lost(h, last, start->status);
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
	if (entry->next && entry->next->start_ns &&
	    entry->next->start_ns <= first)
		h->pipelines = true;
	if (!entry->continued && entry->behind_gap &&
	    (h->pipelines || h->answers < entry->proof ||
	     h->answer_ns > entry->start_ns))
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
