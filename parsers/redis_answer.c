/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * redis_answer.c - which request a reply answers, and what follows from it.
 *
 * Replies come in the order of the commands, so the oldest request is
 * answered, as long as no byte was lost.  After a loss that is in doubt until
 * a turn begins: a request sent after the last byte of the server that came
 * before its reply.  What was asked before that turn is reported without a
 * reply, as incomplete; no reply is given to a request on a guess.
 * What such a request may have changed (the database, the subscriptions, the
 * outcome of a transaction) is not known from then on.
 * Where clients do not pipeline, a reply behind a gap answers the last
 * request; that is proven when nothing follows it.
 */
#include "parsers/redis.h"

#include <string.h>
#include <utlist.h>

static bool kind_is(const struct request *request, enum redis_kind kind)
{
	return request && request->command && request->command->kind == kind;
}

static bool is_ack_kind(const struct request *request)
{
	return kind_is(request, REDIS_SUBSCRIBE) ||
	       kind_is(request, REDIS_UNSUBSCRIBE);
}

/* A queued command is over, with the outcome that was set. */
static void end_queued(struct redis *redis, struct request *request)
{
	DL_DELETE(redis->queued, request);
	redis->queued_count--;
	/* EXEC's or DISCARD's reply says what became of it. */
	request->pending.end_ns = redis->flows[SIDE_SERVER].last_ns;
	if (request->transaction == REDIS_QUEUED ||
	    request->transaction == REDIS_EXECUTED)
		pending_miss(&request->pending, 0);
	/* Who knows whether it was executed. */
	if (request->pending.damaged && kind_is(request, REDIS_SELECT))
		redis->database[0] = '\0';
	redis_report(redis, request, NULL);
	redis_request_free(redis, request);
}

/* What is in the list is over, with that outcome. */
static void end_transaction(struct redis *redis, enum redis_transaction how)
{
	struct request *request, *next;

	DL_FOREACH_SAFE(redis->queued, request, next) {
		request->transaction = how;
		end_queued(redis, request);
	}
}

/* What a request may have changed whose reply is not known. */
static void forget(struct redis *redis, const struct request *request)
{
	bool any = request->lost;

	if (any || kind_is(request, REDIS_SELECT) ||
	    kind_is(request, REDIS_RESET))
		redis->database[0] = '\0';
	if (any || is_ack_kind(request) || kind_is(request, REDIS_RESET))
		redis->maybe_subscribed = true;
	if (any || kind_is(request, REDIS_EXEC) ||
	    kind_is(request, REDIS_DISCARD) || kind_is(request, REDIS_RESET))
		end_transaction(redis, REDIS_QUEUED);
}

/* Reported without a reply: it was lost, or never came. */
static void report_unanswered(struct redis *redis, struct request *request)
{
	if (!request->silent)
		request->pending.damaged = true;
	forget(redis, request);
	if (request->name[0])
		redis_report(redis, request, NULL);
	redis_request_free(redis, request);
}

static void drop_head(struct redis *redis)
{
	struct request *head = redis->pending;

	DL_DELETE(redis->pending, head);
	redis->pending_count--;
	if (redis->server_missed && !head->silent) {
		pending_miss(&head->pending, redis->server_missed);
		redis->server_missed = 0;
	}
	report_unanswered(redis, head);
}

/* Requests without a reply are over when they are the oldest. */
static void flush_silent(struct redis *redis)
{
	while (redis->pending && redis->pending->silent)
		drop_head(redis);
}

/* Nothing, or something, came behind the reply whose request was in doubt. */
static void resolve_unproven(struct redis *redis, bool proven)
{
	struct request *request = redis->unproven;

	if (!request)
		return;
	redis->unproven = NULL;
	if (!proven) {
		pending_miss(&request->pending, 0);
		forget(redis, request);
		redis->doubt = redis->doubt_seen = true;
	}
	redis_report(redis, request, &redis->reply);
	redis_request_free(redis, request);
}

/* What was lost may have been a CLIENT REPLY. */
static void doubt_silence(struct redis *redis)
{
	redis->silence_doubt = redis->replies_off;
	redis->skip_next = false;
}

/* The server answers what was not seen: it may have ended the silence. */
static void end_silence(struct redis *redis)
{
	if (redis->silence_doubt)
		redis->replies_off = redis->silence_doubt = false;
}

/* CLIENT REPLY ON|OFF|SKIP: is this request to be answered? */
static bool is_silent(struct redis *redis, const struct request *request)
{
	bool skip = redis->skip_next;

	redis->skip_next = false;
	if (kind_is(request, REDIS_CLIENT) &&
	    redis_argument_is(request, 0, "REPLY")) {
		redis->silence_doubt = false;
		if (redis_argument_is(request, 1, "OFF"))
			redis->replies_off = true;
		else if (redis_argument_is(request, 1, "ON"))
			redis->replies_off = skip = false;
		else if (redis_argument_is(request, 1, "SKIP"))
			redis->skip_next = skip = true;
	}
	return redis->replies_off || skip;
}

void redis_answer_request(struct redis *redis, struct request *request)
{
	uint64_t start = request->pending.start_ns;
	uint64_t dropped = redis->flows[SIDE_CLIENT].dropped_ns;

	if (start > redis->flows[SIDE_SERVER].last_ns)
		resolve_unproven(redis, true);
	/* Which command it was, or what of CLIENT's, a hole has taken. */
	request->lost = request->pending.damaged &&
			(!request->command || kind_is(request, REDIS_CLIENT));
	if (request->lost)
		doubt_silence(redis);
	else
		request->silent = is_silent(redis, request);
	if (request->silent && redis->silence_doubt)
		pending_miss(&request->pending, 0);
	request->near_lost = redis->client_gap &&
			     (!dropped || start <= dropped);
	redis->client_gap = false;
	request->replies_due = 1;
	if (is_ack_kind(request) && request->argument_count)
		request->replies_due = request->argument_count;
	DL_APPEND(redis->pending, request);
	redis->pending_count++;
	flush_silent(redis);
}

void redis_answer_give_up(struct redis *redis)
{
	if (redis->subject == SUBJECT_REQUEST)
		redis->subject = SUBJECT_ORPHAN;
	drop_head(redis);
}

/* Is it a line of MONITOR's: +1339518083.107412 [0 ...? */
static bool is_monitor(const struct redis *redis, const struct window *window,
		       size_t at)
{
	return redis->monitoring && window->bytes[at] == '+' &&
	       at + 1 < window->length && window->bytes[at + 1] >= '0' &&
	       window->bytes[at + 1] <= '9';
}

/* Bytes from `at` to the end of the mark that they are in. */
static size_t rest_of_mark(const struct window *window, size_t at)
{
	for (size_t i = 0; i < window->mark_count; i++)
		if (window_mark_end(window, i) > at)
			return window_mark_end(window, i) - at;
	return window->length - at;
}

/*
 * The request whose reply begins at `at`, where none before it counts any
 * more: the first of a turn; NULL: not to be told.  Behind requests that were
 * lost that takes a byte of the server's between them and it.
 */
static struct request *first_of_turn(const struct redis *redis,
				     const struct window *window, size_t at)
{
	uint64_t now = window_first_ns(window, at);
	uint64_t last = redis->flows[SIDE_SERVER].last_ns;
	struct request *request, *found = NULL;
	bool blocked = !redis->doubt_seen && redis->pipelined;

	DL_FOREACH(redis->pending, request) {
		uint64_t start = request->pending.start_ns;

		if (request->lost)
			blocked |= !request->passed;
		if (request->lost || request->silent || blocked ||
		    start <= last || start > now)
			continue;
		/* Others were sent with it: what was lost too, maybe. */
		if (request->near_lost &&
		    (redis->pipelined ||
		     (request->next && request->next->pending.start_ns <= now)))
			return NULL;
		/* Where a capture begins, others may have come before two. */
		if (!last && found && !redis->from_start)
			return NULL;
		if (last && redis->doubt_seen)
			return request;
		found = request;
	}
	return blocked ? NULL : found;
}

/* Is it an acknowledgement, and of a request that waits? */
static bool is_acknowledged(const struct redis *redis,
			    const struct window *window, size_t at)
{
	const struct request *asker = redis->doubt ?
		first_of_turn(redis, window, at) : redis->pending;
	uint64_t index;

	return asker && window_last_ns(window, at) >= asker->pending.start_ns &&
	       redis_push_acks(asker, window, at, &index);
}

static bool is_asked(const struct redis *redis, const struct window *window,
		     size_t at)
{
	return redis->pending && window_last_ns(window, at) >=
					 redis->pending->pending.start_ns;
}

/* Did nobody ask for what begins there? */
static enum verdict is_push(const struct redis *redis,
			    const struct window *window, size_t at)
{
	bool subscribed = redis->subscriptions || redis->maybe_subscribed ||
			  redis->doubt;
	enum redis_word word;

	if (redis->monitoring && window->bytes[at] == '+' &&
	    at + 1 == window->length)
		return PROBE_MORE;
	if (is_monitor(redis, window, at))
		return PROBE_YES;
	if (window->bytes[at] != '>' && window->bytes[at] != '*')
		return PROBE_NO;
	if (window->bytes[at] == '*' && !subscribed &&
	    is_asked(redis, window, at))
		return PROBE_NO;
	word = redis_push_word(window, at);
	if (word == WORD_SHORT)
		return PROBE_MORE;
	if ((word == WORD_SUBSCRIBE || word == WORD_UNSUBSCRIBE) &&
	    is_acknowledged(redis, window, at))
		return PROBE_NO;
	if (window->bytes[at] == '>')
		return PROBE_YES;
	/* UNSUBSCRIBE of all channels is confirmed for each of them. */
	return word == WORD_MESSAGE ||
	       (word == WORD_UNSUBSCRIBE && subscribed) ||
	       (word == WORD_SUBSCRIBE && redis->doubt) ?
	       PROBE_YES : PROBE_NO;
}

void redis_answer_pass(struct redis *redis, const struct window *window,
		       size_t length)
{
	uint64_t now = window_last_ns(window, length - 1);
	struct request *request;

	redis->doubt_seen = redis->doubt;
	redis->flows[SIDE_SERVER].last_ns = now;
	/* What stands before a request of now was answered. */
	DL_FOREACH(redis->pending, request)
		if (request->lost &&
		    (!request->next || request->next->pending.start_ns <= now))
			request->passed = true;
}

/* May what begins there be the reply of that command? */
static bool may_answer(const struct request *request,
		       const struct window *window, size_t at)
{
	static const char pairs[] = "*~%";
	const uint8_t *bytes = window->bytes + at;
	char answer = request->command ? request->command->answer : 0;
	uint64_t index;

	if (redis_shape_reply(bytes, window->length - at) == PROBE_NO)
		return false;
	if (*bytes == '-' || *bytes == '_')
		return true;
	if (is_ack_kind(request))
		return redis_push_acks(request, window, at, &index);
	/* A subscriber's ends in a string, which is none by itself. */
	if (kind_is(request, REDIS_PING))
		return *bytes == (request->argument_count ? '$' : '+') ||
		       redis_push_word(window, at) == WORD_PONG;
	return !answer || *bytes == (uint8_t)answer ||
	       (answer == '*' && strchr(pairs, *bytes)) ||
	       (answer == '$' && *bytes == ',');
}

/*
 * After a loss: where a turn begins the doubt is over.  Else the bytes up to
 * the next mark, or to a message that nobody asked for, are nobody's.
 */
static bool settle(struct redis *redis, const struct window *window, size_t at,
		   size_t *drop)
{
	struct request *first = first_of_turn(redis, window, at);
	size_t rest = rest_of_mark(window, at);
	uint64_t index;

	if (first && may_answer(first, window, at)) {
		while (redis->pending != first)
			drop_head(redis);
		first->unproven = !redis->doubt_seen || first->near_lost ||
				  !redis->flows[SIDE_SERVER].last_ns;
		/* The rest of an aggregate may look like a whole reply. */
		if (!redis->doubt_seen && !(first->command &&
					    first->command->answer))
			pending_miss(&first->pending, 0);
		/* Acknowledgements before this one were lost. */
		if (redis_push_acks(first, window, at, &index) && index) {
			pending_miss(&first->pending, 0);
			first->replies_due -= index;
		}
		redis->doubt = redis->doubt_seen = false;
		redis->server_missed = 0;
		return true;
	}
	for (*drop = 1; *drop < rest; ++*drop)
		if (window->bytes[at + *drop - 1] == '\n' &&
		    is_push(redis, window, at + *drop) == PROBE_YES)
			break;
	redis_answer_pass(redis, window, at + *drop);
	end_silence(redis);
	return false;
}

/* The oldest request's, or of a request that was not seen. */
static enum begin begin_answer(struct redis *redis, const struct window *window,
			       size_t at)
{
	struct flow *flow = &redis->flows[SIDE_SERVER];
	struct request *head = redis->pending;
	uint64_t ns = window_last_ns(window, at);

	if (!head && !flow->forced)
		return BEGIN_WAIT;
	flow->forced = false;
	if (!head || (ns && ns < head->pending.start_ns)) {
		redis->subject = SUBJECT_ORPHAN;
		end_silence(redis);
		return BEGIN_HERE;
	}
	redis->subject = SUBJECT_REQUEST;
	if (kind_is(head, REDIS_SYNC) && window->bytes[at] == '$') {
		/* The database itself, then all writes, follow. */
		redis->replicating = true;
		pending_response(&head->pending, window, at, 1);
		redis_reply_reset(&redis->reply);
		redis->reply.type = '$';
		redis_answer_end(redis);
		return BEGIN_DONE;
	}
	return BEGIN_HERE;
}

/*
 * What nobody is known to have asked for may be the answer of a request that
 * was lost: an acknowledgement, or an array that begins with a message's word.
 */
static void begin_push(struct redis *redis, const struct window *window,
		       size_t at)
{
	bool monitor = is_monitor(redis, window, at);
	enum redis_word word = monitor ? WORD_OTHER :
					 redis_push_word(window, at);

	redis->subject = SUBJECT_PUSH;
	redis->push = (struct pending){ 0 };
	strcpy(redis->push_kind, monitor ? "monitor" : "");
	redis->push_channel.length = 0;
	if (redis->doubt &&
	    (word == WORD_SUBSCRIBE || word == WORD_UNSUBSCRIBE)) {
		pending_miss(&redis->push, 0);
		redis_answer_pass(redis, window, at + 1);
	} else if (window->bytes[at] == '*' && !redis->subscriptions &&
		   is_asked(redis, window, at)) {
		pending_miss(&redis->push, 0);
	}
}

enum begin redis_answer_begin(struct redis *redis, const struct window *window,
			      size_t at, size_t *drop)
{
	struct request *head;

	if (redis->replicating)
		return BEGIN_DONE;
	/* The reply that is kept is about to be overwritten. */
	head = redis->pending;
	resolve_unproven(redis, head && head->pending.start_ns >
					  redis->flows[SIDE_SERVER].last_ns);
	if (kind_is(head, REDIS_SYNC) && window->bytes[at] == '\n') {
		*drop = 1;
		return BEGIN_DROP;
	}
	/* Requests were lost behind those that have been answered. */
	if (head && head->lost && !redis->doubt) {
		redis->doubt = true;
		redis->doubt_seen = false;
	}
	switch (is_push(redis, window, at)) {
	case PROBE_MORE:
		return BEGIN_MORE;
	case PROBE_YES:
		begin_push(redis, window, at);
		return BEGIN_HERE;
	case PROBE_NO:
		break;
	}
	if (redis->doubt && !head && !redis->flows[SIDE_SERVER].forced)
		return BEGIN_WAIT;
	redis->flows[SIDE_SERVER].forced &= !redis->doubt;
	if (redis->doubt && !settle(redis, window, at, drop))
		return BEGIN_DROP;
	return begin_answer(redis, window, at);
}

static void keep_database(struct redis *redis, const struct request *request)
{
	struct redis_argument argument;
	struct span name;

	redis->database[0] = '\0';
	if (redis_argument(request, 0, &argument, &name) &&
	    name.length < sizeof(redis->database) &&
	    !request->pending.damaged) {
		memcpy(redis->database, name.bytes, name.length);
		redis->database[name.length] = '\0';
	}
}

/* An acknowledgement ends with the count of them. */
static void count_subscriptions(struct redis *redis)
{
	redis->subscriptions = redis->reply.number > 0 ?
		(uint64_t)redis->reply.number : 0;
	redis->maybe_subscribed = false;
}

/* What a reply changes for those that come. */
static void follow(struct redis *redis, const struct request *request,
		   const struct reply *reply)
{
	bool failed = reply->type == '-' || reply->type == '!';

	if (!request->command || failed)
		return;
	switch (request->command->kind) {
	case REDIS_SELECT:
		keep_database(redis, request);
		break;
	case REDIS_RESET:
		strcpy(redis->database, "0");
		redis->subscriptions = 0;
		redis->maybe_subscribed = redis->monitoring = false;
		end_transaction(redis, request->unproven ? REDIS_QUEUED :
							   REDIS_DISCARDED);
		break;
	case REDIS_SUBSCRIBE:
	case REDIS_UNSUBSCRIBE:
		count_subscriptions(redis);
		break;
	case REDIS_PING:
		break;
	case REDIS_MONITOR:
		redis->monitoring = true;
		break;
	case REDIS_SYNC:
		redis->replicating = true;
		break;
	default:
		/* RESP2's subscribers may ask nothing else. */
		redis->maybe_subscribed = false;
		break;
	}
}

/* MULTI's commands are over when EXEC or DISCARD is answered. */
static void follow_transaction(struct redis *redis,
			       const struct request *request)
{
	bool failed = redis->reply.type == '-';

	if (request->unproven && (kind_is(request, REDIS_EXEC) ||
				  kind_is(request, REDIS_DISCARD)))
		end_transaction(redis, REDIS_QUEUED);
	else if (kind_is(request, REDIS_EXEC))
		end_transaction(redis, failed || redis->reply.null ?
				REDIS_ABORTED : REDIS_EXECUTED);
	else if (kind_is(request, REDIS_DISCARD) && !failed)
		end_transaction(redis, REDIS_DISCARDED);
}

static void end_answer(struct redis *redis)
{
	struct request *head = redis->pending, *next = head->next;
	const struct reply *reply = &redis->reply;
	bool queued = reply->type == '+' &&
		      span_is(buffer_span(&reply->text), "QUEUED") &&
		      redis->queued_count < REDIS_QUEUED_MAX;

	head->replies++;
	if (!queued)
		follow(redis, head, reply);
	if (--head->replies_due && reply->type != '-')
		return;
	if (next && next->pending.start_ns < head->pending.first_byte_ns)
		redis->pipelined = true;
	DL_DELETE(redis->pending, head);
	redis->pending_count--;
	if (queued) {
		if (head->unproven)
			pending_miss(&head->pending, 0);
		head->transaction = REDIS_QUEUED;
		DL_APPEND(redis->queued, head);
		redis->queued_count++;
		return;
	}
	follow_transaction(redis, head);
	if (head->unproven) {
		redis->unproven = head;
		return;
	}
	redis_report(redis, head, reply);
	redis_request_free(redis, head);
}

void redis_answer_end(struct redis *redis)
{
	enum reply_subject subject = redis->subject;

	redis->subject = SUBJECT_NONE;
	if (subject == SUBJECT_PUSH) {
		if (strstr(redis->push_kind, "subscribe"))
			count_subscriptions(redis);
		redis_report_push(redis, true);
	} else if (subject == SUBJECT_REQUEST) {
		end_answer(redis);
	}
	flush_silent(redis);
}

void redis_answer_element(struct redis *redis, uint64_t bytes, uint64_t end_ns)
{
	struct request *request = redis->queued;

	if (!request)
		return;
	DL_DELETE(redis->queued, request);
	redis->queued_count--;
	request->transaction = REDIS_EXECUTED;
	request->pending.response_bytes += bytes;
	request->pending.end_ns = end_ns;
	if (redis->pending->unproven)
		pending_miss(&request->pending, 0);
	follow(redis, request, &redis->element);
	redis_report(redis, request, &redis->element);
	redis_request_free(redis, request);
	redis_reply_reset(&redis->element);
}

/* Stands for the requests that were lost behind those that are pending. */
static void add_lost(struct redis *redis, uint64_t missed)
{
	struct request *last = redis->pending ? redis->pending->prev : NULL;
	struct request *lost = redis->current;

	redis->current = NULL;
	if (!lost && last && last->lost) {
		pending_miss(&last->pending, missed);
		last->passed = false;
		return;
	}
	if (!lost)
		lost = redis_request_new(redis);
	if (!lost)
		return;
	/* Before the first command there is nothing to tell of. */
	if (!lost->name[0] && redis->began)
		strcpy(lost->name, "UNKNOWN");
	lost->lost = lost->cut = true;
	pending_miss(&lost->pending, missed);
	DL_APPEND(redis->pending, lost);
	redis->pending_count++;
}

void redis_answer_client_gap(struct redis *redis, uint64_t missed)
{
	struct flow *flow = &redis->flows[SIDE_CLIENT];

	/* What resync() has dropped was there to be seen. */
	if (missed != flow->dropped)
		flow->dropped_ns = 0;
	flow->dropped = 0;
	if (flow->place == PLACE_BODY && missed < flow->left) {
		flow->left -= missed;
		flow->holed = redis->current->cut = true;
		pending_miss(&redis->current->pending, missed);
		return;
	}
	flow->place = PLACE_UNSYNCED;
	doubt_silence(redis);
	redis->client_gap = true;
	add_lost(redis, missed);
}

void redis_answer_server_gap(struct redis *redis, uint64_t missed)
{
	struct flow *flow = &redis->flows[SIDE_SERVER];
	struct request *head = redis->pending;

	if (flow->place == PLACE_BODY && missed < flow->left) {
		flow->left -= missed;
		flow->holed = true;
		if (redis->subject == SUBJECT_REQUEST)
			pending_miss(&head->pending, missed);
		else if (redis->subject == SUBJECT_PUSH)
			pending_miss(&redis->push, missed);
		if (redis->tied && redis->queued)
			pending_miss(&redis->queued->pending, missed);
		return;
	}
	flow->place = PLACE_UNSYNCED;
	if (!redis->doubt)
		redis->doubt_seen = false;
	redis->doubt = true;
	if (redis->unproven)
		resolve_unproven(redis, true);
	if (redis->subject == SUBJECT_REQUEST) {
		pending_miss(&head->pending, missed);
		missed = 0;
		drop_head(redis);
	} else if (redis->subject == SUBJECT_PUSH) {
		pending_miss(&redis->push, missed);
		redis_report_push(redis, false);
	}
	redis->subject = SUBJECT_NONE;
	redis->server_missed += missed;
}

void redis_answer_close(struct redis *redis)
{
	if (redis->subject == SUBJECT_PUSH) {
		pending_miss(&redis->push, 0);
		redis_report_push(redis, false);
	}
	resolve_unproven(redis, true);
	while (redis->pending)
		drop_head(redis);
	end_transaction(redis, REDIS_QUEUED);
	if (redis->current && redis->current->name[0]) {
		redis->current->cut = true;
		report_unanswered(redis, redis->current);
		redis->current = NULL;
	}
}
