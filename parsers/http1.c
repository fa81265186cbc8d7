/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http1.c - HTTP/1.x: a parser for conversation.c.
 *
 * Each direction is a lane with a phase.  A start line is read when it is
 * whole; all else is consumed as it comes, heads into a bounded buffer, bodies
 * without being kept.  A gap inside a body or chunk of known length is stepped
 * over exactly; after any other the next start line is looked for.
 * Source: RFC 9112.
 */
#include "parsers/http1.h"

#include <stdlib.h>
#include <string.h>

#define MALFORMED "datasnoop.http.malformed"
#define AMBIGUOUS "datasnoop.http.ambiguous"

static const struct step MORE = { PARSE_MORE, 0 };
static const struct step LOST = { PARSE_LOST, 0 };

/* The part of a window that is not consumed yet. */
struct view {
	const struct window *window;
	size_t at;
	const uint8_t *bytes;
	size_t length;
};

static void *http1_open(bool from_start, const struct observer *observer)
{
	struct http1 *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->observer = observer;
	h->from_start = from_start;
	h->lanes[SIDE_CLIENT].unseen = h->lanes[SIDE_SERVER].unseen =
		!from_start;
	return h;
}

/* `length` bytes of the view are the lane's message's. */
static struct step took(struct http1 *h, enum side side,
			const struct view *view, size_t length)
{
	struct http1_lane *lane = &h->lanes[side];

	if (length)
		lane->last_ns = window_last_ns(view->window,
					       view->at + length - 1);
	if (lane->entry)
		http_transaction_moved(lane->entry->transaction, side,
				       view->window, view->at, length);
	return (struct step){ PARSE_TOOK, length };
}

static void note(struct http1_lane *lane, const char *key, const char *text)
{
	if (lane->entry)
		http_transaction_note(lane->entry->transaction, key, text);
}

/* The lane's message has ended. */
static void end_message(struct http1 *h, enum side side)
{
	struct http1_lane *lane = &h->lanes[side];
	struct http1_entry *entry = lane->entry;
	bool hold = entry && side == SIDE_CLIENT && !entry->answered &&
		    (entry->connects || entry->upgrades);

	lane->phase = hold ? HTTP1_HELD : HTTP1_AT_START;
	lane->doubtful = false;
	lane->left = 0;
	buffer_reset(&lane->head);
	if (entry)
		http1_queue_done(h, entry, side);
}

/* The client need not wait any longer to know what it may send. */
static void release_client(struct http1 *h)
{
	if (h->lanes[SIDE_CLIENT].phase == HTTP1_HELD)
		h->lanes[SIDE_CLIENT].phase = HTTP1_AT_START;
}

/* The lane's message goes on, but nobody can say where it ends. */
static void lose_message(struct http1 *h, enum side side)
{
	struct http1_lane *lane = &h->lanes[side];

	if (lane->entry)
		lane->entry->unproven = true;
	if (side == SIDE_CLIENT) {
		http1_queue_lose_requests(h);
	} else {
		http1_queue_lose_answers(h);
		release_client(h);
	}
	end_message(h, side);
	lane->phase = HTTP1_AT_START;
	lane->adrift = true;
}

/* What two readers may disagree about is said. */
static void note_framing(struct http1_lane *lane,
			 const struct http1_head *head)
{
	if (head->malformed)
		note(lane, MALFORMED, "head");
	if (head->length_bad)
		note(lane, MALFORMED, "content-length");
	if (head->transfer && head->length_known)
		note(lane, AMBIGUOUS, "content-length and transfer-encoding");
	if (head->length_differs)
		note(lane, AMBIGUOUS, "content-lengths differ");
	if (head->transfer && !head->chunked)
		note(lane, AMBIGUOUS, "transfer-encoding without chunked");
	if (head->transfer && head->start.version &&
	    !strcmp(head->start.version, "1.0"))
		note(lane, AMBIGUOUS, "transfer-encoding in HTTP/1.0");
}

/* RFC 9112 section 6.3, from its third rule on. */
static void expect_body(struct http1 *h, enum side side,
			const struct http1_head *head)
{
	struct http1_lane *lane = &h->lanes[side];

	buffer_reset(&lane->head);
	lane->line = 0;
	if (head->chunked) {
		lane->phase = HTTP1_AT_CHUNK;
	} else if (head->length_known && !head->transfer) {
		lane->phase = HTTP1_IN_LENGTH;
		lane->left = head->length;
		if (!lane->left)
			end_message(h, side);
	} else if (side == SIDE_SERVER) {
		lane->phase = HTTP1_UNTIL_CLOSE;
	} else if (head->transfer) {
		lose_message(h, side);
	} else {
		end_message(h, side);
	}
}

static void take_request(struct http1 *h, struct http1_head *head)
{
	struct http1_lane *lane = &h->lanes[SIDE_CLIENT];
	struct http1_entry *entry = lane->entry;

	/* Behind a hole: what there is of a method is not the method. */
	if (lane->cut && !http1_method_is_known(head->head.method)) {
		head->head.method = (struct span){ NULL, 0 };
		entry->unproven = true;
	}
	http_transaction_head(entry->transaction, SIDE_CLIENT, &head->head);
	note_framing(lane, head);
	entry->connects = span_is(head->head.method, "CONNECT");
	entry->upgrades = head->upgrades;
	entry->expects = head->expects;
	lane->doubtful = head->expects;
	/* What follows CONNECT is the tunnel's: RFC 9110 section 9.3.6. */
	if (entry->connects)
		end_message(h, SIDE_CLIENT);
	else
		expect_body(h, SIDE_CLIENT, head);
}

/* The connection changes hands. */
static void switch_over(struct http1 *h, const struct http1_head *head)
{
	struct http1_entry *entry = h->lanes[SIDE_SERVER].entry;

	/* What is left of a request that is not whole isn't HTTP/1.x's. */
	if (h->lanes[SIDE_CLIENT].entry == entry) {
		entry->unproven = true;
		end_message(h, SIDE_CLIENT);
		h->lanes[SIDE_CLIENT].adrift = true;
	}
	if (http1_switch_open(h, entry, head))
		entry->transaction = NULL;
	else
		http_transaction_head(entry->transaction, SIDE_SERVER,
				      &head->head);
	release_client(h);
	end_message(h, SIDE_SERVER);
}

static void take_response(struct http1 *h, const struct http1_head *head)
{
	struct http1_lane *lane = &h->lanes[SIDE_SERVER];
	struct http1_entry *entry = lane->entry;
	unsigned status = head->head.status;
	struct span method = http_transaction_method(entry->transaction);
	bool known = method.bytes != NULL, bodiless = span_is(method, "HEAD");

	note_framing(lane, head);
	entry->answered = status >= 200 || status == 101;
	if (status == 101 ||
	    (entry->connects && status >= 200 && status < 300)) {
		switch_over(h, head);
		return;
	}
	http_transaction_head(entry->transaction, SIDE_SERVER, &head->head);
	if (status < 200) {
		entry->continued = true;
		lane->entry = NULL;
		lane->phase = HTTP1_AT_START;
		buffer_reset(&lane->head);
		return;
	}
	release_client(h);
	/* Was it HEAD?  Who can't say which request it was can't know. */
	lane->doubtful = !known || entry->unproven;
	if (status == 204 || status == 304 || bodiless)
		end_message(h, SIDE_SERVER);
	else
		expect_body(h, SIDE_SERVER, head);
}

/* The head in the lane's buffer is whole, or cut where it ends. */
static void end_head(struct http1 *h, enum side side, bool whole)
{
	struct http1_lane *lane = &h->lanes[side];
	struct http1_head head;

	http1_head_read(&head, side, &lane->head, false, whole);
	if (!whole && side == SIDE_SERVER && head.head.status == 101) {
		switch_over(h, &head);
	} else if (!whole) {
		http_transaction_head(lane->entry->transaction, side,
				      &head.head);
		lose_message(h, side);
	} else if (side == SIDE_CLIENT) {
		take_request(h, &head);
	} else {
		take_response(h, &head);
	}
}

static void end_trailers(struct http1 *h, enum side side, bool whole)
{
	struct http1_lane *lane = &h->lanes[side];
	struct http1_head head;

	http1_head_read(&head, side, &lane->head, true, whole);
	if (head.malformed)
		note(lane, MALFORMED, "trailers");
	if (lane->entry && head.head.header_count)
		http_transaction_trailers(lane->entry->transaction, side,
					  &head.head);
	if (whole)
		end_message(h, side);
	else
		lose_message(h, side);
}

/* Empty lines before a start line are none of it: RFC 9112 section 2.2. */
static size_t empty_lines(const struct view *view)
{
	size_t n = 0;

	while (n < view->length &&
	       (view->bytes[n] == '\r' || view->bytes[n] == '\n'))
		n++;
	return n;
}

static struct step step_start(struct http1 *h, enum side side,
			      const struct view *view)
{
	struct http1_lane *lane = &h->lanes[side];
	size_t empty = empty_lines(view);
	struct http1_start start;
	bool wait = false;

	if (empty) {
		lane->unseen = false;
		return (struct step){ PARSE_TOOK, empty };
	}
	switch (http1_look(side, view->bytes, view->length, &start)) {
	case HTTP1_NO:
		if (side == SIDE_CLIENT && !view->at && !lane->adrift &&
		    !http1_switch_guess(h, side, view->window, false))
			return http1_switch_parse(h, side, view->window);
		return LOST;
	case HTTP1_MORE:
		return view->length >= PARSER_WINDOW_MAX ? LOST : MORE;
	case HTTP1_YES:
		if (lane->unseen &&
		    http1_find(side, view->bytes, view->length, true))
			return LOST;
		break;
	}
	if (side == SIDE_CLIENT)
		lane->entry = http1_queue_request(h, view->window, view->at,
						  start.version);
	else
		lane->entry = http1_queue_response(h, view->window, view->at,
						   &start, &wait);
	if (wait)
		return (struct step){ PARSE_WAIT, 0 };
	if (!lane->entry)
		return (struct step){ PARSE_DONE, 0 };
	lane->phase = HTTP1_IN_HEAD;
	lane->cut = lane->unseen;
	lane->unseen = lane->adrift = false;
	lane->line = start.length;
	/* A line of a window's size leaves room for a few headers no more. */
	buffer_gather(&lane->head, view->bytes, start.length,
		      HTTP_HEAD_BYTES_MAX);
	return took(h, side, view, start.length);
}

/* A line, or the part of it that is there, of a head or of trailers. */
static struct step step_head(struct http1 *h, enum side side,
			     const struct view *view)
{
	struct http1_lane *lane = &h->lanes[side];
	bool trailers = lane->phase == HTTP1_IN_TRAILERS;
	const uint8_t *end = memchr(view->bytes, '\n', view->length);
	size_t length = end ? (size_t)(end - view->bytes) + 1 : view->length;
	struct step step = took(h, side, view, length);
	size_t line;

	if (!buffer_gather(&lane->head, view->bytes, length,
			   HTTP_HEAD_BYTES_MAX)) {
		if (trailers)
			end_trailers(h, side, false);
		else
			end_head(h, side, false);
		return step;
	}
	if (!end)
		return step;
	line = lane->head.length - lane->line;
	if (line > 2 || (line == 2 && lane->head.bytes[lane->line] != '\r'))
		lane->line = lane->head.length;
	else if (trailers)
		end_trailers(h, side, true);
	else
		end_head(h, side, true);
	return step;
}

/*
 * Where a body is due that need not be sent, another message may begin.
 * MORE: not to be told yet.
 */
static enum http1_look look_instead(const struct http1 *h, enum side side,
				    const struct view *view)
{
	const struct http1_lane *lane = &h->lanes[side];
	struct http1_start start;

	if (!lane->doubtful ||
	    (side == SIDE_CLIENT &&
	     (!lane->entry->answered || lane->entry->continued)))
		return HTTP1_NO;
	if (view->length >= PARSER_WINDOW_MAX)
		return HTTP1_NO;
	return http1_look(side, view->bytes, view->length, &start);
}

static struct step step_body(struct http1 *h, enum side side,
			     const struct view *view)
{
	struct http1_lane *lane = &h->lanes[side];
	size_t length = view->length;
	struct step step;

	if (lane->phase != HTTP1_UNTIL_CLOSE && length > lane->left)
		length = lane->left;
	step = took(h, side, view, length);
	if (lane->entry)
		http_transaction_body(lane->entry->transaction, side,
				      view->bytes, length);
	if (lane->phase == HTTP1_UNTIL_CLOSE)
		return step;
	lane->left -= length;
	if (lane->left)
		return step;
	if (lane->phase == HTTP1_IN_CHUNK)
		lane->phase = HTTP1_BEHIND_CHUNK;
	else
		end_message(h, side);
	return step;
}

/* chunk-size [ chunk-ext ] CRLF; false: it is none. */
static bool chunk_size(const uint8_t *bytes, size_t length, uint64_t *size)
{
	size_t n = 0;

	for (*size = 0; n < length; n++) {
		uint8_t lower = bytes[n] | 0x20;
		uint64_t digit;

		if (bytes[n] >= '0' && bytes[n] <= '9')
			digit = bytes[n] - '0';
		else if (lower >= 'a' && lower <= 'f')
			digit = lower - 'a' + 10;
		else
			break;
		if (*size > INT64_MAX >> 4)
			return false;
		*size = *size << 4 | digit;
	}
	return n && (n == length || strchr("; \t\r\n", bytes[n]));
}

static struct step step_chunk(struct http1 *h, enum side side,
			      const struct view *view)
{
	struct http1_lane *lane = &h->lanes[side];
	const uint8_t *end = memchr(view->bytes, '\n', view->length);
	size_t length = end ? (size_t)(end - view->bytes) + 1 : view->length;
	uint64_t size;

	if (!end && length < HTTP1_CHUNK_LINE_MAX &&
	    chunk_size(view->bytes, length, &size))
		return MORE;
	if (!end || length > HTTP1_CHUNK_LINE_MAX ||
	    !chunk_size(view->bytes, length, &size)) {
		note(lane, MALFORMED, "chunk");
		lose_message(h, side);
		return LOST;
	}
	lane->left = size;
	lane->phase = size ? HTTP1_IN_CHUNK : HTTP1_IN_TRAILERS;
	return took(h, side, view, length);
}

/* The end of line behind a chunk's data. */
static struct step step_chunk_end(struct http1 *h, enum side side,
				  const struct view *view)
{
	struct http1_lane *lane = &h->lanes[side];
	size_t length = *view->bytes == '\r' ? 2 : 1;

	if (length > view->length)
		return MORE;
	if (view->bytes[length - 1] != '\n') {
		note(lane, MALFORMED, "chunk");
		lose_message(h, side);
		return LOST;
	}
	lane->phase = HTTP1_AT_CHUNK;
	return took(h, side, view, length);
}

static struct step step(struct http1 *h, enum side side,
			const struct view *view)
{
	struct http1_lane *lane = &h->lanes[side];

	switch (lane->phase) {
	case HTTP1_AT_START:
		return step_start(h, side, view);
	case HTTP1_IN_HEAD:
	case HTTP1_IN_TRAILERS:
		return step_head(h, side, view);
	case HTTP1_HELD:
		return (struct step){ PARSE_WAIT, 0 };
	default:
		break;
	}
	switch (look_instead(h, side, view)) {
	case HTTP1_YES:
		end_message(h, side);
		return step_start(h, side, view);
	case HTTP1_MORE:
		return MORE;
	case HTTP1_NO:
		lane->doubtful = false;
		break;
	}
	if (lane->phase == HTTP1_AT_CHUNK)
		return step_chunk(h, side, view);
	if (lane->phase == HTTP1_BEHIND_CHUNK)
		return step_chunk_end(h, side, view);
	return step_body(h, side, view);
}

/*
 * As far as the window goes, but not beyond a message: the other side's bytes
 * may be older than the next one.
 */
static struct step http1_parse(void *state, enum side side,
			       const struct window *window)
{
	struct http1 *h = state;
	struct http1_lane *lane = &h->lanes[side];
	size_t used = 0;

	lane->dropping = false;
	if (h->other)
		return http1_switch_parse(h, side, window);
	do {
		struct view view = { window, used, window->bytes + used,
				     window->length - used };
		struct step next = step(h, side, &view);

		if (next.outcome != PARSE_TOOK) {
			if (used)
				break;
			return next;
		}
		used += next.used;
	} while (used < window->length && lane->phase != HTTP1_AT_START &&
		 !h->other);
	if (side == SIDE_SERVER)
		h->impatient = false;
	return (struct step){ PARSE_TOOK, used };
}

static size_t http1_resync(void *state, enum side side,
			   const struct window *window)
{
	struct http1 *h = state;
	struct http1_lane *lane = &h->lanes[side];
	size_t at;

	if (h->other)
		return http1_switch_resync(h, side, window);
	lane->dropping = true;
	if (lane->phase != HTTP1_AT_START)
		return 0;
	at = http1_find(side, window->bytes, window->length, lane->unseen);
	if (at == window->length &&
	    http1_switch_guess(h, side, window, true) < at)
		return http1_switch_resync(h, side, window);
	/* An answer that it waits for was lost, most likely. */
	if (at == window->length && side == SIDE_SERVER)
		release_client(h);
	lane->adrift = lane->adrift || at == window->length;
	if (!at)
		return 0;
	lane->last_ns = window_last_ns(window, at - 1);
	/* The rest of a method may look like the beginning of another. */
	lane->unseen = lane->unseen &&
		       http1_is_token_byte(window->bytes[at - 1]);
	return at;
}

/* So many bytes will not come where a message might have begun. */
static void lose_start(struct http1 *h, enum side side, uint64_t missed)
{
	h->lanes[side].unseen = true;
	if (side == SIDE_CLIENT) {
		http1_queue_lose_requests(h);
		h->client_lost_bytes += missed;
	} else {
		http1_queue_lose_answers(h);
		release_client(h);
		h->server_damaged_bytes += missed;
	}
	h->lanes[side].adrift = true;
}

/* A gap in a body or chunk of known length, and perhaps beyond it. */
static void gap_known(struct http1 *h, enum side side, uint64_t missed)
{
	struct http1_lane *lane = &h->lanes[side];
	uint64_t inside = missed < lane->left ? missed : lane->left;
	bool chunk = lane->phase == HTTP1_IN_CHUNK;

	if (lane->entry)
		http_transaction_missed(lane->entry->transaction, side,
					inside);
	lane->left -= inside;
	if (lane->left)
		return;
	if (chunk && inside == missed) {
		lane->phase = HTTP1_BEHIND_CHUNK;
		return;
	}
	if (!chunk) {
		end_message(h, side);
		if (missed > inside)
			lose_start(h, side, missed - inside);
		return;
	}
	lane->unseen = true;
	if (side == SIDE_SERVER)
		h->server_hidden_bytes += missed - inside;
	lose_message(h, side);
}

static void http1_gap(void *state, enum side side, uint64_t missed)
{
	struct http1 *h = state;
	struct http1_lane *lane = &h->lanes[side];
	/* Of a body that need not be there nothing had come. */
	bool doubtful = lane->doubtful && side == SIDE_SERVER;

	if (h->other) {
		http1_switch_gap(h, side, missed);
		return;
	}
	if (!missed) {
		if (lane->phase == HTTP1_HELD)
			lane->phase = HTTP1_AT_START;
		else if (side == SIDE_SERVER)
			h->impatient = true;
		return;
	}
	/* What resync() had dropped began no message. */
	if (lane->dropping && lane->phase == HTTP1_AT_START) {
		lane->dropping = false;
		return;
	}
	lane->doubtful = false;
	lane->last_ns = HTTP1_IN_HOLE;
	switch (lane->phase) {
	case HTTP1_AT_START:
	case HTTP1_HELD:
		lane->phase = HTTP1_AT_START;
		lose_start(h, side, missed);
		return;
	case HTTP1_IN_LENGTH:
	case HTTP1_IN_CHUNK:
		if (doubtful)
			break;
		gap_known(h, side, missed);
		return;
	default:
		break;
	}
	if (lane->entry)
		http_transaction_missed(lane->entry->transaction, side,
					missed);
	if (lane->phase == HTTP1_UNTIL_CLOSE && !doubtful)
		return;
	lane->unseen = true;
	if (side == SIDE_SERVER)
		h->server_hidden_bytes += missed;
	if (lane->phase == HTTP1_IN_HEAD)
		end_head(h, side, false);
	else
		lose_message(h, side);
	if (h->other)
		http1_switch_gap(h, side, missed);
}

static void http1_close(void *state)
{
	struct http1 *h = state;

	for (int side = 0; side < SIDES; side++) {
		if (h->lanes[side].phase == HTTP1_IN_HEAD)
			end_head(h, side, false);
		else if (h->lanes[side].phase == HTTP1_UNTIL_CLOSE)
			end_message(h, side);
	}
	http1_queue_close(h);
	http1_switch_close(h);
	for (int side = 0; side < SIDES; side++)
		buffer_free(&h->lanes[side].head);
	free(h);
}

static void http1_quiet(void *state)
{
	http1_switch_quiet(state);
}

const struct parser http_parser = {
	.name = "http",
	.probe = http1_probe,
	.open = http1_open,
	.parse = http1_parse,
	.resync = http1_resync,
	.gap = http1_gap,
	.quiet = http1_quiet,
	.close = http1_close,
};
