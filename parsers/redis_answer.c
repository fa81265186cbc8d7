/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * redis_answer.c - which request a reply answers, and what follows from it.
 *
 * Replies come in the order of the commands, so the oldest request is
 * answered, as long as no byte was lost.  After a loss that is in doubt until
 * a turn begins: a request sent after the last byte of the server that came
 * before its reply.  What was asked before that turn is reported without a
 * reply, as incomplete; no reply is given to a request on a guess.
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

/* Reported without a reply: it was lost, or never came. */
static void report_unanswered(struct redis *redis, struct request *request)
{
	if (!request->silent)
		request->pending.damaged = true;
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
	if (!proven)
		pending_miss(&request->pending, 0);
	redis_report(redis, request, &redis->reply);
	redis_request_free(redis, request);
}

/* CLIENT REPLY ON|OFF|SKIP: is this request to be answered? */
static bool is_silent(struct redis *redis, const struct request *request)
{
	bool skip = redis->skip_next;

	redis->skip_next = false;
	if (kind_is(request, REDIS_CLIENT) &&
	    redis_argument_is(request, 0, "REPLY")) {
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

	if (start > redis->flows[SIDE_SERVER].last_ns)
		resolve_unproven(redis, true);
	request->silent = is_silent(redis, request);
	request->replies_due = 1;
	if ((kind_is(request, REDIS_SUBSCRIBE) ||
	     kind_is(request, REDIS_UNSUBSCRIBE)) && request->argument_count)
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

/* Words that an array begins with when nobody asked for it. */
enum word { WORD_NONE, WORD_SHORT, WORD_MESSAGE, WORD_SUBSCRIBE,
	    WORD_UNSUBSCRIBE, WORD_OTHER };

static enum word first_word(const struct window *window, size_t at)
{
	static const struct {
		const char *name;
		enum word word;
	} words[] = {
		{ "message", WORD_MESSAGE },
		{ "pmessage", WORD_MESSAGE },
		{ "smessage", WORD_MESSAGE },
		{ "subscribe", WORD_SUBSCRIBE },
		{ "psubscribe", WORD_SUBSCRIBE },
		{ "ssubscribe", WORD_SUBSCRIBE },
		{ "unsubscribe", WORD_UNSUBSCRIBE },
		{ "punsubscribe", WORD_UNSUBSCRIBE },
		{ "sunsubscribe", WORD_UNSUBSCRIBE },
	};
	struct span line;
	int64_t length;

	if (!redis_line(window, at, &line, &at))
		return WORD_SHORT;
	if (at == window->length)
		return WORD_SHORT;
	if (window->bytes[at] != '$')
		return WORD_OTHER;
	if (!redis_line(window, at, &line, &at))
		return WORD_SHORT;
	if (!redis_number((const uint8_t *)line.bytes + 1, line.length - 1,
			  &length) || length < 0 || length > REDIS_NAME_MAX)
		return WORD_OTHER;
	if (window->length - at < (size_t)length)
		return WORD_SHORT;
	line = (struct span){ (const char *)window->bytes + at,
			      (size_t)length };
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (span_is(line, words[i].name))
			return words[i].word;
	return WORD_OTHER;
}

/* Is it a line of MONITOR's: +1339518083.107412 [0 ...? */
static bool is_monitor(const struct redis *redis, const struct window *window,
		       size_t at)
{
	return redis->monitoring && window->bytes[at] == '+' &&
	       at + 1 < window->length && window->bytes[at + 1] >= '0' &&
	       window->bytes[at + 1] <= '9';
}

/* Did nobody ask for what begins there? */
static enum verdict is_push(const struct redis *redis,
			    const struct window *window, size_t at)
{
	const struct request *head = redis->pending;
	bool asked = head &&
		     window_last_ns(window, at) >= head->pending.start_ns;
	enum word word;

	if (redis->monitoring && window->bytes[at] == '+' &&
	    at + 1 == window->length)
		return PROBE_MORE;
	if (is_monitor(redis, window, at))
		return PROBE_YES;
	if (window->bytes[at] != '>' && window->bytes[at] != '*')
		return PROBE_NO;
	if (window->bytes[at] == '*' && asked && !redis->subscriptions)
		return PROBE_NO;
	word = first_word(window, at);
	if (word == WORD_SHORT)
		return PROBE_MORE;
	if (asked && word == WORD_SUBSCRIBE && kind_is(head, REDIS_SUBSCRIBE))
		return PROBE_NO;
	if (asked && word == WORD_UNSUBSCRIBE &&
	    kind_is(head, REDIS_UNSUBSCRIBE))
		return PROBE_NO;
	if (window->bytes[at] == '>')
		return PROBE_YES;
	/* UNSUBSCRIBE of all channels is confirmed for each of them. */
	return word == WORD_MESSAGE ||
	       (word == WORD_UNSUBSCRIBE && redis->subscriptions) ?
	       PROBE_YES : PROBE_NO;
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
		/* Where a capture begins, others may have come before two. */
		if (!last && found)
			return NULL;
		if (last && redis->doubt_seen)
			return request;
		found = request;
	}
	return blocked ? NULL : found;
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

	if (redis_shape_reply(bytes, window->length - at) == PROBE_NO)
		return false;
	return !answer || *bytes == '-' || *bytes == '_' ||
	       *bytes == (uint8_t)answer ||
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

	if (first && may_answer(first, window, at)) {
		while (redis->pending != first)
			drop_head(redis);
		first->unproven = !redis->doubt_seen ||
				  !redis->flows[SIDE_SERVER].last_ns;
		/* The rest of an aggregate may look like a whole reply. */
		if (!redis->doubt_seen && !(first->command &&
					    first->command->answer))
			pending_miss(&first->pending, 0);
		redis->doubt = redis->doubt_seen = false;
		redis->server_missed = 0;
		return true;
	}
	for (*drop = 1; *drop < rest; ++*drop)
		if (window->bytes[at + *drop - 1] == '\n' &&
		    is_push(redis, window, at + *drop) == PROBE_YES)
			break;
	redis_answer_pass(redis, window, at + *drop);
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
	switch (is_push(redis, window, at)) {
	case PROBE_MORE:
		return BEGIN_MORE;
	case PROBE_YES:
		redis->subject = SUBJECT_PUSH;
		redis->push = (struct pending){ 0 };
		strcpy(redis->push_kind, is_monitor(redis, window, at) ?
						 "monitor" : "");
		redis->push_channel.length = 0;
		return BEGIN_HERE;
	case PROBE_NO:
		break;
	}
	/* Requests were lost behind those that have been answered. */
	if (head && head->lost && !redis->doubt) {
		redis->doubt = true;
		redis->doubt_seen = false;
	}
	if (redis->doubt && !head && !redis->flows[SIDE_SERVER].forced)
		return BEGIN_WAIT;
	redis->flows[SIDE_SERVER].forced &= !redis->doubt;
	if (redis->doubt && !settle(redis, window, at, drop))
		return BEGIN_DROP;
	return begin_answer(redis, window, at);
}

/* What is in the list is over, with that outcome. */
static void end_transaction(struct redis *redis, enum redis_transaction how)
{
	struct request *request, *next;

	DL_FOREACH_SAFE(redis->queued, request, next) {
		DL_DELETE(redis->queued, request);
		request->transaction = how;
		if (how == REDIS_EXECUTED || how == REDIS_QUEUED)
			pending_miss(&request->pending, 0);
		redis_report(redis, request, NULL);
		redis_request_free(redis, request);
	}
	redis->queued_count = 0;
}

static void keep_database(struct redis *redis, const struct request *request)
{
	struct redis_argument argument;
	struct span name;

	if (redis_argument(request, 0, &argument, &name) &&
	    name.length < sizeof(redis->database)) {
		memcpy(redis->database, name.bytes, name.length);
		redis->database[name.length] = '\0';
	}
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
		redis->monitoring = false;
		end_transaction(redis, REDIS_DISCARDED);
		break;
	case REDIS_SUBSCRIBE:
	case REDIS_UNSUBSCRIBE:
		redis->subscriptions = reply->number > 0 ?
			(uint64_t)reply->number : 0;
		break;
	case REDIS_MONITOR:
		redis->monitoring = true;
		break;
	case REDIS_SYNC:
		redis->replicating = true;
		break;
	default:
		break;
	}
}

/* MULTI's commands are over when EXEC or DISCARD is answered. */
static void follow_transaction(struct redis *redis,
			       const struct request *request)
{
	bool failed = redis->reply.type == '-';

	if (kind_is(request, REDIS_EXEC))
		end_transaction(redis, failed || redis->reply.null ?
				REDIS_ABORTED : REDIS_EXECUTED);
	else if (kind_is(request, REDIS_DISCARD) && !failed)
		end_transaction(redis, REDIS_DISCARDED);
}

static void end_answer(struct redis *redis)
{
	struct request *head = redis->pending, *next = head->next;
	const struct reply *reply = &redis->reply;

	head->replies++;
	follow(redis, head, reply);
	if (--head->replies_due && reply->type != '-')
		return;
	if (next && next->pending.start_ns < head->pending.first_byte_ns)
		redis->pipelined = true;
	DL_DELETE(redis->pending, head);
	redis->pending_count--;
	if (reply->type == '+' && span_is(buffer_span(&reply->text),
					  "QUEUED") && !head->unproven &&
	    redis->queued_count < REDIS_QUEUED_MAX) {
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
	if (subject == SUBJECT_PUSH)
		redis_report_push(redis, true);
	else if (subject == SUBJECT_REQUEST)
		end_answer(redis);
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

	if (flow->place == PLACE_BODY && missed < flow->left) {
		flow->left -= missed;
		flow->holed = redis->current->cut = true;
		pending_miss(&redis->current->pending, missed);
		return;
	}
	flow->place = PLACE_UNSYNCED;
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
