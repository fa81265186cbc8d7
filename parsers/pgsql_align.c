/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgsql_align.c - which requests does a response answer, and is that sure?
 *
 * While no message is missing, the n-th ReadyForQuery ends the n-th group of
 * requests: they are counted.  Once bytes are lost on either side the count is
 * worth nothing, and only times are left.  They prove a pair where groups are
 * not pipelined, a response being younger than its request and older than the
 * next one, if
 *   - the client's bytes are whole from the request to the next one, and the
 *     response began between the two; or
 *   - the server's bytes are whole from before the request to the response.
 * From a proven pair on they are counted again.  A pair without a proof is
 * reported as incomplete: wrong answers are worse than none.  Times are those
 * of batches, from the first fragment to the last: both ends must agree.  Two
 * responses in one batch are a sign of pipelining: for a while then nothing is
 * proven.
 */
#include "parsers/pgsql.h"

/* Is a response due to the group that begins with it? */
static bool is_answered(const struct request *request)
{
	return request->kind != REQUEST_TERMINATE &&
	       request->kind != REQUEST_CANCEL;
}

/* The next request at or behind `index` that begins a group; NULL: none. */
static struct request *group_from(struct pgsql *pg, size_t *index)
{
	struct request *request;

	while ((request = pgsql_request_at(pg, *index))) {
		++*index;
		if (request->first && is_answered(request))
			return request;
	}
	return NULL;
}

/* The first request of the group that a response at `ns` answers. */
struct request *pgsql_align_answered(struct pgsql *pg, uint64_t ns)
{
	struct request *request, *answered = NULL;
	size_t i = pg->group.started && !pg->group.empty ? 1 : 0;

	while ((request = group_from(pg, &i))) {
		if (ns && request->pending.start_ns > ns)
			continue;
		/* Of those that moved together the first is the next. */
		if (answered && request->together)
			continue;
		answered = request;
		/* Who pipelines may be answered the next; who does not, the
		 * last. */
		if (pg->pipelined || !ns)
			break;
	}
	return answered;
}

/* Only part of a request of the client has come by then. */
bool pgsql_align_is_asking(const struct pgsql *pg, uint64_t ns)
{
	const struct flow *flow = &pg->flows[SIDE_CLIENT];

	return flow->place == FLOW_BODY && flow->message.type != 'd' &&
	       flow->message.type != 'p' && flow->message.first_ns <= ns;
}

/* Is it proven that the response which is being read answers the head? */
static enum pairing prove(struct pgsql *pg)
{
	const struct request *head = pgsql_head(pg), *next;
	size_t i = 1;

	if (pg->pipelined || pg->crowded || head->torn ||
	    !head->pending.start_ns ||
	    !pg->answer_first_ns || head->sent_ns > pg->answer_first_ns)
		return PAIRING_UNSURE;
	if (!pg->group.started &&
	    pg->flows[SIDE_SERVER].last_ns < head->pending.start_ns)
		return PAIRING_TIMED;
	for (; (next = pgsql_request_at(pg, i)); i++)
		if (next->after_gap || next->first)
			break;
	if (next && !next->after_gap &&
	    next->pending.start_ns > pg->answer_last_ns)
		return PAIRING_TIMED;
	if (next || pg->client_gap ||
	    pgsql_align_is_asking(pg, pg->answer_last_ns))
		return PAIRING_UNSURE;
	return PAIRING_OPEN;
}

void pgsql_align_watch(struct pgsql *pg, const struct window *window)
{
	const struct request *head = pgsql_head(pg);
	uint64_t before = pg->ready_ns;

	if (pg->flows[SIDE_SERVER].last_ns == UINT64_MAX)
		return;
	if (before && window_first_ns(window, 0) <= before)
		pg->crowded = PGSQL_CROWDED;
	else if (pg->crowded && head && before < head->pending.start_ns)
		pg->crowded--;
}

/*
 * The server has said nothing since before the first group was sent: then who
 * sent the next one before this response did not wait for the first's.
 */
static void watch_overtaking(struct pgsql *pg)
{
	const struct request *head = pgsql_head(pg), *next;
	size_t i = 1;

	if (!is_answered(head) || pg->group.started ||
	    pg->flows[SIDE_SERVER].last_ns >= head->pending.start_ns)
		return;
	next = group_from(pg, &i);
	if (next && next->sent_ns && next->sent_ns < pg->answer_first_ns)
		pg->pipelined = true;
}

void pgsql_align_sent(struct pgsql *pg)
{
	struct request *tail = pgsql_tail(pg);
	const struct request *before;

	before = pgsql_request_at(pg, pg->request_count - 2);
	if (!tail->first || !is_answered(tail) || !before ||
	    !is_answered(before) || !pgsql_ends_group(before->kind) ||
	    !tail->pending.start_ns ||
	    tail->pending.start_ns > before->sent_ns)
		return;
	tail->together = true;
	pg->crowded = PGSQL_CROWDED;
}

static void set_pairing(struct pgsql *pg, enum pairing pairing)
{
	pg->group.pairing = pairing;
	/* Unless more was lost behind the response. */
	if (pg->flows[SIDE_SERVER].place != FLOW_UNSYNCED)
		pg->doubt = pairing != PAIRING_TIMED;
}

/*
 * Makes the group that is answered the first, reporting those before it, whose
 * responses are lost.  There must be one.
 */
void pgsql_align_begin(struct pgsql *pg, const struct window *window)
{
	const struct request *answered, *head;

	pg->answer_first_ns = window_first_ns(window, 0);
	pg->answer_last_ns = window_last_ns(window, 0);
	if (pgsql_head(pg))
		watch_overtaking(pg);
	while ((head = pgsql_head(pg)) != NULL) {
		answered = pgsql_align_answered(pg, pg->answer_last_ns);
		if (head == answered || !answered)
			break;
		pg->doubt |= is_answered(head);
		pgsql_end_group(pg, is_answered(head));
	}
	pg->server_missed = 0;
	head = pgsql_head(pg);
	if (!head)
		return;
	pg->doubt |= head->after_gap;
	if (pg->doubt && head->kind != REQUEST_UNKNOWN)
		set_pairing(pg, prove(pg));
}

void pgsql_align_count(struct pgsql *pg)
{
	const struct request *next;
	size_t i = 1;

	if (pg->group.pairing != PAIRING_COUNTED || pg->doubt ||
	    pg->group.damaged)
		return;
	next = group_from(pg, &i);
	if (next && next->sent_ns && pg->answer_first_ns &&
	    next->sent_ns < pg->answer_first_ns)
		pg->pipelined = true;
}

void pgsql_align_seen(struct pgsql *pg)
{
	const struct request *request;

	pg->unseen = pg->client_gap;
	for (size_t i = 1; (request = pgsql_request_at(pg, i)); i++)
		pg->unseen |= request->after_gap;
}

void pgsql_align_settle(struct pgsql *pg, bool sure)
{
	if (pg->group.pairing != PAIRING_OPEN || !pg->group.started)
		return;
	set_pairing(pg, sure ? PAIRING_TIMED : PAIRING_UNSURE);
	if (!pg->held)
		return;
	pg->held = false;
	pgsql_end_group(pg, false);
}

void pgsql_align_next(struct pgsql *pg, const struct window *window)
{
	if (!pg->group_open)
		pgsql_align_settle(pg, window_first_ns(window, 0) >
					       pg->answer_last_ns);
}
