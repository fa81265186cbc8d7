/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http2.h - what the files of the HTTP/2 parser share.
 *
 *   http2.c         the parser: lanes of frames, gaps, resynchronisation
 *   http2_streams.c streams, their transactions, when they are over
 *   http2_frame.c   the frames' layout, and what looks like one
 *   http2_hpack.c   header blocks -> fields, with what is unknown said
 *   http2_probe.c   is it HTTP/2, and which end is the client?
 *
 * Sources: RFC 9113 (HTTP/2), RFC 7541 (HPACK), RFC 7540 section 3.2 (upgrade
 * from HTTP/1.1).
 */
#ifndef DATASNOOP_PARSERS_HTTP2_H
#define DATASNOOP_PARSERS_HTTP2_H

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "parsers/buffer.h"
#include "parsers/cursor.h"
#include "parsers/http.h"

#define HTTP2_PREFACE	    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define HTTP2_PREFACE_BYTES (sizeof(HTTP2_PREFACE) - 1)
#define HTTP2_HEADER_BYTES  9u /* of a frame, before its payload */

/*
 * The longest frame that a receiver must accept (RFC 9113 section 4.2); what
 * is longer needs its permission, and is no help in finding frames again.
 */
#define HTTP2_FRAME_BYTES_MAX 16384
/* Of a header block in HPACK's form, CONTINUATIONs included; cut behind. */
#define HTTP2_BLOCK_BYTES_MAX 65536
/*
 * Of a direction's HPACK table, in bytes as RFC 7541 section 4.1 counts them:
 * browsers announce 65536, others the default of 4096.  An encoder with a
 * larger one has older entries unknown here.
 */
#define HTTP2_TABLE_BYTES_MAX 65536
/* Open at once on a connection, usually 100 to 250; the oldest makes room. */
#define HTTP2_STREAMS_MAX 1024
/* Streams ended early of late, whose frames may still be under way. */
#define HTTP2_RECENT_MAX 64
/*
 * A stream whose frames may have been lost is given up when so many younger
 * ones have come to their end while it was silent.
 */
#define HTTP2_OVERTAKEN_MAX 16

enum http2_type {
	HTTP2_DATA,
	HTTP2_HEADERS,
	HTTP2_PRIORITY,
	HTTP2_RST_STREAM,
	HTTP2_SETTINGS,
	HTTP2_PUSH_PROMISE,
	HTTP2_PING,
	HTTP2_GOAWAY,
	HTTP2_WINDOW_UPDATE,
	HTTP2_CONTINUATION,
	HTTP2_ALTSVC,		 /* RFC 7838 */
	HTTP2_ORIGIN = 12,	 /* RFC 8336 */
	HTTP2_PRIORITY_UPDATE = 16 /* RFC 9218 */
};

#define HTTP2_ACK	  0x01 /* of SETTINGS and PING */
#define HTTP2_END_STREAM  0x01
#define HTTP2_END_HEADERS 0x04
#define HTTP2_PADDED	  0x08
#define HTTP2_HAS_PRIORITY 0x20

struct http2_frame {
	uint32_t length; /* of the payload */
	uint8_t type, flags;
	uint32_t stream;
};

/* The fields of a payload that this parser has a use for. */
struct http2_payload {
	struct span data;  /* header block fragment, or content; not padding */
	uint32_t padding;  /* bytes at the payload's end */
	uint32_t promised; /* stream, of PUSH_PROMISE */
	uint32_t last;	   /* stream, of GOAWAY */
	uint32_t error;	   /* code, of RST_STREAM and GOAWAY */
};

/*
 * http2_frame_read - a frame's header off the cursor
 *
 * False: fewer than HTTP2_HEADER_BYTES, the cursor is bad.
 */
bool http2_frame_read(struct cursor *c, struct http2_frame *frame);
/* Does its header keep the rules of RFC 9113 section 6? */
bool http2_frame_is_lawful(const struct http2_frame *frame);
/*
 * http2_payload_read - a frame's payload, which must be whole
 *
 * False: malformed.  Spans borrow the payload.
 */
bool http2_payload_read(const struct http2_frame *frame, struct span payload,
			struct http2_payload *fields);

enum http2_looks { HTTP2_NO_FRAMES, HTTP2_TOO_SHORT, HTTP2_FRAMES };

/* What http2_look() found out on its way. */
struct http2_sight {
	bool settings_first; /* begins as a server does */
	enum side side;	     /* who sends it; SIDES: it doesn't show */
};

struct http2;

/*
 * http2_look - do frames begin with the first of these bytes?
 * @h2: the connection they are of; NULL: nothing is known of it
 * @sight: NULL: of no interest
 *
 * TOO_SHORT: frames so far, but too few to tell.  A single frame counts when
 * it is of no accidental form and ends where the bytes end.
 */
enum http2_looks http2_look(const uint8_t *bytes, size_t length,
			    struct http2 *h2, struct http2_sight *sight);

/* A direction's HPACK table. */
struct http2_table;

/* The fields of a header block, pseudo-header fields included. */
struct http2_fields {
	struct http_header headers[HTTP_HEADERS_MAX];
	size_t count;
	bool incomplete; /* there are others, not known or not kept */
	/* inside */
	struct buffer text;
	struct {
		size_t name, name_length, value, value_length;
	} places[HTTP_HEADERS_MAX];
};

/*
 * http2_table_new - the table at a connection's start, empty
 *
 * NULL: out of memory.
 */
struct http2_table *http2_table_new(void);
void http2_table_free(struct http2_table *table);
/*
 * http2_table_forget - header blocks were not seen, its entries are not known
 *
 * HPACK counts from the newest entry: what is added from now on can be
 * referred to, and is.  False: out of memory, the table is as it was.
 */
bool http2_table_forget(struct http2_table *table);
/*
 * http2_table_read - a header block's fields
 *
 * Fields that refer to what is not known are left out and said to be missing.
 * Strings live until the fields are next used.  False: the block is malformed,
 * or memory is out; what came before is there, the table forgotten.
 */
bool http2_table_read(struct http2_table *table, struct span block,
		      struct http2_fields *fields);
void http2_fields_free(struct http2_fields *fields);
/* Is it well-formed, as far as can be said without a table?  Not empty. */
bool http2_block_is_formed(struct span block);
/* The fields as a head; borrows them. */
struct http_head http2_head(struct http2_fields *fields);

/* One request and its response. */
struct http2_stream {
	uint32_t id;
	struct http_transaction *transaction;
	bool ended[SIDES];  /* that side has said END_STREAM */
	bool damaged[SIDES]; /* frames of it may be among those not seen */
	unsigned overtaken; /* by younger ones, since it last moved */
	UT_hash_handle hh;
};

enum http2_phase {
	HTTP2_AT_START,	  /* nothing seen */
	HTTP2_AT_FRAME,	  /* a frame begins here */
	HTTP2_IN_PAYLOAD, /* of DATA, or of what is skipped */
	HTTP2_ASTRAY	  /* a frame's beginning must be found */
};

/* One direction. */
struct http2_lane {
	enum http2_phase phase;
	bool peeked; /* AT_FRAME: `frame` begins here, its payload to come */
	struct http2_frame frame;
	uint32_t left;	  /* IN_PAYLOAD: bytes to come, padding included */
	uint32_t padding; /* of those */
	bool skip;	  /* they are of no use */
	struct http2_table *table;
	/* HEADERS or PUSH_PROMISE whose CONTINUATION is to come */
	struct buffer block;
	bool block_open, block_lost, block_ends_stream;
	uint32_t block_stream;
	uint32_t block_promised; /* 0: HEADERS */
};

struct http2 {
	struct observer observer;
	struct http2_lane lanes[SIDES];
	struct http2_stream *streams; /* uthash by id; in order of beginning */
	/* Both sides have ended it; a RST_STREAM may be the next frame. */
	struct http2_stream *closing;
	uint32_t last_stream;	/* the highest of the client's requests */
	uint32_t highest;	/* of any */
	bool partial; /* streams may have begun without being seen */
	uint32_t recent[HTTP2_RECENT_MAX]; /* ended early */
	size_t recent_count; /* ever; the latest are kept */
	struct http2_fields fields;
};

/* The stream of that number; NULL: none. */
struct http2_stream *http2_stream_find(struct http2 *h2, uint32_t id);
/*
 * http2_stream_begin - a new one, of a number that is not there
 * @transaction: its own from now on; NULL: a new one
 *
 * At the bound the oldest is reported as it is.  NULL: out of memory, and the
 * transaction has been reported.
 */
struct http2_stream *http2_stream_begin(struct http2 *h2, uint32_t id,
					struct http_transaction *transaction);
/* Has it ended of late, perhaps unknown to one of the sides? */
bool http2_stream_is_recent(const struct http2 *h2, uint32_t id);
/* A side has said END_STREAM. */
void http2_stream_end(struct http2 *h2, struct http2_stream *stream,
		      enum side side);
/* RST_STREAM; error -1: with a code that was not seen. */
void http2_stream_reset(struct http2 *h2, struct http2_stream *stream,
			int64_t error);
/* Reports the stream that waited for a RST_STREAM. */
void http2_stream_settle(struct http2 *h2);
/* Reports and frees it. */
void http2_stream_finish(struct http2 *h2, struct http2_stream *stream,
			 bool complete);
/* So much of a side is missing that any open stream may be concerned. */
void http2_streams_miss(struct http2 *h2, enum side side);
/* GOAWAY of a side: the other's streams behind `last` will not be answered. */
void http2_streams_refuse(struct http2 *h2, enum side side, uint32_t last);
/* The connection has ended. */
void http2_streams_close(struct http2 *h2);

/* parser.h's probe(). */
enum verdict http2_probe(const struct opening *opening, bool *client_out);

/*
 * http2_open_upgraded - the state behind HTTP/1.1's 101 to `Upgrade: h2c`
 * @upgraded: the request that asked for it, head and body given: it is stream
 *	1, its response comes in HTTP/2; the parser's own from now on
 *
 * For http2_parser.parse(), resync(), gap(), close().  NULL: out of memory, and
 * the transaction has been reported.
 */
void *http2_open_upgraded(const struct observer *observer,
			  struct http_transaction *upgraded);

#endif
