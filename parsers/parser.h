/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * parser.h - the interface of a protocol parser, one file a protocol.
 *
 * A parser reads windows of a connection's two streams and reports exchanges:
 * a request and its response.  It owns none of the bytes.  The caller
 * (conversation.c) obeys, and the tests and the fuzz target assert, this law:
 *
 *   outcome  used                meaning; what the caller does
 *   TOOK     0 < used <= length  bytes consumed; calls again
 *   MORE     0                   the window holds less than one step needs;
 *                                waits for more bytes of this side
 *   WAIT     0                   the other side's bytes come first; turns to
 *                                it and comes back
 *   LOST     0                   not this protocol here; the caller asks
 *                                resync(), drops what that says, tells gap()
 *   DONE     <= length           nothing more to read on this connection
 *                                (an encrypted or unknown continuation)
 *
 * MORE with length >= PARSER_WINDOW_MAX is an error of the parser (a window
 * never grows larger): long messages are consumed piecewise.  Short is MORE,
 * never LOST.  Both sides WAITing is ended by the caller with gap(side, 0)
 * on the side whose bytes are older.
 * Nothing in the bytes makes a parser allocate without a cap, recurse without
 * a cap, or abort.
 */
#ifndef DATASNOOP_PARSERS_PARSER_H
#define DATASNOOP_PARSERS_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parsers/exchange.h"
#include "streams/stream.h"

#define PARSER_WINDOW_MAX 65536 /* bytes: no step may need more at once */

/* Who sent the bytes. */
enum side { SIDE_CLIENT, SIDE_SERVER, SIDES };

enum verdict { PROBE_NO, PROBE_MORE, PROBE_YES };

/* The two streams' heads as captured, before anyone knows who is the client. */
struct opening {
	struct window in;  /* towards the traced process; may be empty */
	struct window out; /* from the traced process; may be empty */
	bool from_start;   /* offset 0 of both directions is the connection's */
	bool last;	   /* no more bytes will come: what is likely may do */
};

enum outcome { PARSE_TOOK, PARSE_MORE, PARSE_WAIT, PARSE_LOST, PARSE_DONE };

struct step {
	enum outcome outcome;
	size_t used; /* bytes, of the window given */
};

/* Where a parser reports.  All calls happen inside parse(), gap(), close(). */
struct observer {
	/* A finished exchange; spans in it are dead after the return. */
	void (*exchange)(void *context, const struct exchange *exchange);
	/*
	 * A value as it passes, for a classifier: column is the index into
	 * exchange->columns for a result's value, -1 for a statement's
	 * parameter.  A long value comes in its first VALUE_BYTES_MAX bytes.
	 * NULL: nobody listens.
	 */
	void (*value)(void *context, const struct exchange *exchange, int column,
		      struct span value);
	void *context;
};

struct parser {
	const char *name; /* as in -P, in JSON (db.system.name), in the man page */
	/*
	 * Is this the protocol?  Pure.  On PROBE_YES *client_out says whether
	 * the traced process is the client (its `out` bytes are requests).
	 */
	enum verdict (*probe)(const struct opening *opening, bool *client_out);
	/* A connection's state; NULL when out of memory. */
	void *(*open)(bool from_start, const struct observer *observer);
	struct step (*parse)(void *state, enum side side,
			     const struct window *window);
	/*
	 * After LOST or a gap: bytes to drop until a message may begin again;
	 * >= 0 and <= window->length (0: begin here; length: none in here).
	 */
	size_t (*resync)(void *state, enum side side,
			 const struct window *window);
	/* `missed` bytes of this side will never come (0: see above). */
	void (*gap)(void *state, enum side side, uint64_t missed);
	/*
	 * No byte has come for a second or two: reports what only waits for
	 * bytes that may never come.  NULL: nothing ever does.
	 */
	void (*quiet)(void *state);
	/* The connection has ended: reports what is pending, frees the state. */
	void (*close)(void *state);
};

extern const struct parser mysql_parser;
extern const struct parser mongodb_parser;
extern const struct parser mysql_x_parser;
extern const struct parser memcached_parser;
extern const struct parser mcp_parser;
extern const struct parser pgsql_parser;
extern const struct parser http_parser;
extern const struct parser redis_parser;
extern const struct parser amqp_parser;
extern const struct parser cassandra_parser;
extern const struct parser kafka_parser;
extern const struct parser tds_parser;
extern const struct parser http2_parser;

/* All parsers, in the order in which they are asked; NULL at the end. */
extern const struct parser *const parser_registry[];

/* The parser of that name; NULL: none. */
const struct parser *parser_find(const char *name);

#endif
