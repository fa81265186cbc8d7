/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conversation.h - drives a parser over a connection's two streams.
 *
 * Finds out which protocol a connection speaks and which end is the client,
 * then gives the parser windows, gaps and the end, as parser.h's law says.
 * Every byte of a side either was taken by the parser or is told to its
 * gap(): not captured, dropped for resync(), or cut off by a gap in the
 * middle of a step.  gap(side, 0) is said only to end a wait: of both sides
 * for each other, or of one for a side that has ended.
 */
#ifndef DATASNOOP_PARSERS_CONVERSATION_H
#define DATASNOOP_PARSERS_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>

#include "parsers/parser.h"
#include "streams/connection.h"

/*
 * Where a connection's first bytes are of no enabled protocol, the capture
 * may have begun in mid-message: the heads are looked at so many times, a
 * batch further on each, before the connection is left alone.
 */
#define CONVERSATION_PROBES_MAX 16

/* Shared by all conversations; borrowed until the last has ended. */
struct conversation_settings {
	const struct parser *const *parsers; /* enabled, in order of asking */
	size_t parser_count; /* 0: all of parser_registry */
	/*
	 * A finished exchange; `traced` is the side of the traced process.
	 * Borrowed, dead after the return.  False: somebody else tells the
	 * same, so it counts as mirrored.
	 */
	bool (*exchange)(void *context, const struct connection *connection,
			 enum side traced, const struct exchange *exchange);
	/* A value as it passes (see struct observer); NULL: nobody listens. */
	void (*value)(void *context, const struct connection *connection,
		      const struct exchange *exchange, int column,
		      struct span value);
	void *context;
	struct account *account; /* exchanges, bytes_unparsed, parser_errors */
};

struct conversation;

/* A conversation at its beginning; NULL: out of memory. */
struct conversation *
conversation_new(const struct conversation_settings *settings);

/*
 * conversation_identify - find out which protocol it is, and who is the client
 *
 * As far as the bytes tell that are there now; none of a message is taken.
 * conversation_run() does it as well.
 */
void conversation_identify(struct conversation *conversation,
			   struct connection *connection);

/*
 * conversation_run - deal with what the connection's streams hold now
 *
 * To be called at the end of a pass, when holes have been settled.  When the
 * connection is closed nothing is waited for any more.
 */
void conversation_run(struct conversation *conversation,
		      struct connection *connection);

/*
 * conversation_rest - to be called about once a second
 *
 * A parser whose connection has had no bytes between two calls is told so, by
 * quiet() and once: the last response of a connection that stays open is not
 * to wait for the next.
 */
void conversation_rest(struct conversation *conversation,
		       struct connection *connection);

/* Is it left alone: of no enabled protocol, or its parser is done? */
bool conversation_over(const struct conversation *conversation);

/* The traced process's side; SIDES: not known yet. */
enum side conversation_traced(const struct conversation *conversation);

/*
 * conversation_mute - stop or resume parsing: somebody else tells the same
 *
 * Bytes are dropped and counted in bytes_mirrored.  Unmuted, the conversation
 * goes on at the next message.
 */
void conversation_mute(struct conversation *conversation, bool muted);

/*
 * conversation_leave - nothing of it will be read any more
 *
 * The parser is closed, and its memory freed: what is pending is reported, of
 * one that is muted counted as mirrored.  conversation_over() from then on.
 */
void conversation_leave(struct conversation *conversation,
			struct connection *connection);

/* The parser reports what is pending; frees.  NULL is fine. */
void conversation_end(struct conversation *conversation,
		      struct connection *connection);

#endif
