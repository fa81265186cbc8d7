/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memcached.h - memcached: the text protocol with its meta commands, and the
 * binary protocol.
 *
 *   memcached.c         which end is which, the queue of requests, gaps
 *   memcached_text.c    lines and the data blocks behind them
 *   memcached_binary.c  packets of a header of 24 bytes and a body
 *   memcached_report.c  a request and its response -> an exchange
 *
 * Source: https://github.com/memcached/memcached/blob/master/doc/protocol.txt
 * and https://github.com/memcached/memcached/wiki/BinaryProtocolRevamped
 */
#ifndef DATASNOOP_PARSERS_MEMCACHED_H
#define DATASNOOP_PARSERS_MEMCACHED_H

#include "parsers/buffer.h"
#include "parsers/parser.h"
#include "parsers/pending.h"

#define MEMCACHED_NAME_MAX    15	/* bytes of a command's name; longest
					   known: 14 */
#define MEMCACHED_KEY_MAX     250	/* bytes, the protocol's own bound */
#define MEMCACHED_LINE_KEPT   8192	/* bytes of a line of many keys */
#define MEMCACHED_PENDING_MAX 2048	/* requests not answered yet */
#define MEMCACHED_HELD_MAX    (1 << 20) /* bytes kept of all of them */
#define MEMCACHED_VALUE_MAX   (1U << 30) /* bytes of a value: items larger than
					    that can't be configured */
#define MEMCACHED_TOKEN_MAX   32	/* bytes of a meta command's opaque */
#define MEMCACHED_HEADER      24	/* bytes of a binary header */

/* How a command is read and answered. */
enum memcached_kind {
	MEMCACHED_UNKNOWN,
	MEMCACHED_STORE, /* key flags exptime bytes [noreply]; data */
	MEMCACHED_GET,	 /* keys; values, END */
	MEMCACHED_GAT,	 /* exptime keys; values, END */
	MEMCACHED_KEY,	 /* key ...; one line */
	MEMCACHED_PLAIN, /* no key; one line */
	MEMCACHED_LINES, /* lines, END */
	MEMCACHED_QUIT,	 /* no answer */
	MEMCACHED_WATCH, /* lines for ever */
	MEMCACHED_META,	 /* mg md ma: key flags */
	MEMCACHED_META_STORE, /* ms: key bytes flags; data */
	MEMCACHED_META_DEBUG, /* me: key */
	MEMCACHED_META_NOOP,  /* mn */
	MEMCACHED_BINARY
};

struct memcached_key {
	uint32_t at, length; /* in struct cached's line */
};

struct cached {
	struct cached *prev, *next;
	struct pending pending;
	enum memcached_kind kind;
	char name[MEMCACHED_NAME_MAX + 1];
	struct buffer line;  /* as sent; a binary one's name and key */
	struct memcached_key keys[EXCHANGE_TARGETS_MAX];
	size_t key_count;    /* of keys[] */
	uint64_t keys_total;
	struct buffer value; /* of a store, its beginning */
	uint64_t value_length;
	bool stores;
	bool secret; /* its value is a password */
	bool cut;
	bool quiet;  /* answered only if something is to be said */
	bool silent; /* never answered */
	bool lost;   /* stands for requests that were not seen */
	bool passed; /* of such: the server has spoken since */
	bool near_lost; /* others of its write may have been lost before it */
	bool unproven;
	char token[MEMCACHED_TOKEN_MAX + 1]; /* a meta command's opaque */
	uint8_t opcode;			     /* of a binary one */
	uint32_t opaque;
	/* the response */
	char response[MEMCACHED_NAME_MAX + 1]; /* its first word; "": none */
	struct buffer message;
	bool failed;
	int64_t status; /* a binary one's */
	uint64_t hits;	/* values that came */
	uint64_t lines; /* of STAT and its like */
	uint64_t read_bytes; /* of values */
};

struct cached_flow {
	bool unsynced;
	bool in_data;	 /* `left` bytes of a data block and its CR LF */
	uint64_t left;
	struct buffer data;
	uint64_t length;
	bool holed;
	bool forced;
	uint64_t last_ns;
	uint64_t dropped_to; /* stream offset behind what resync() dropped */
	uint64_t dropped_ns; /* when the last byte of that moved */
};

struct memcached {
	struct observer observer;
	struct cached_flow flows[SIDES];
	bool binary;
	bool decided; /* binary says which it is */
	bool fresh; /* from the connection's first byte on, none is lost */
	bool began;
	bool near_lost; /* where the client's side begins again, a write may not
			   have begun */
	struct cached *current; /* whose data block is being read */
	bool answering;		/* a response of the head has begun */
	int column;		/* of the value that is read; -1: no key's */
	bool value_ends;	/* with this value the response is whole */
	struct cached *pending;
	size_t pending_count;
	size_t held_bytes;
	bool watching;
	/* after a loss */
	bool doubt, doubt_seen, pipelined;
	uint64_t server_missed;
	struct cached *unproven;
	struct exchange exchange;
};

/* memcached.c */
struct cached *memcached_new(struct memcached *mc);
void memcached_free(struct memcached *mc, struct cached *request);
/* Keeps bytes of it within all bounds; false: cut. */
bool memcached_keep(struct memcached *mc, struct buffer *buffer,
		    const void *bytes, size_t length, size_t bound);
/* A request is whole. */
void memcached_request(struct memcached *mc, struct cached *request);
/* The head's response is whole. */
void memcached_answered(struct memcached *mc);
/*
 * The head gets no response: it was lost, or, where another response has come
 * instead, a quiet request had nothing to say (`unasked`).
 */
void memcached_drop_head(struct memcached *mc, bool unasked);
/*
 * memcached_turn - whose is the response that begins at the window's start?
 *
 * False: nobody's; *step says what to do.
 */
bool memcached_turn(struct memcached *mc, const struct window *window,
		    struct step *step);
/* `length` bytes at the start of the server's window are nobody's. */
void memcached_pass(struct memcached *mc, const struct window *window,
		    size_t length);
/*
 * memcached_data - bytes of a data block at the window's start
 * @trailer: bytes behind it, CR LF, that must be there: 2 or 0
 *
 * As redis_body(): true: whole, *bytes its beginning; *used 0: it is none.
 */
bool memcached_data(struct cached_flow *flow, const struct window *window,
		    unsigned trailer, size_t *used, struct span *bytes);
void memcached_begin_data(struct cached_flow *flow, uint64_t length,
			  unsigned trailer);

/* memcached_text.c */
struct step memcached_text_client(struct memcached *mc,
				  const struct window *window);
struct step memcached_text_server(struct memcached *mc,
				  const struct window *window);
/* May a request, a response begin there? */
enum verdict memcached_text_command(const uint8_t *bytes, size_t length);
enum verdict memcached_text_response(const uint8_t *bytes, size_t length);
/* Does a line begin there with a command's name, whatever follows? */
bool memcached_text_named(const uint8_t *bytes, size_t length);
/* Is that the response's first word of a command of that kind? */
bool memcached_may_answer(const struct cached *request, const uint8_t *bytes,
			  size_t length);

/* memcached_binary.c */
struct step memcached_binary_client(struct memcached *mc,
				    const struct window *window);
struct step memcached_binary_server(struct memcached *mc,
				    const struct window *window);
enum verdict memcached_binary_shape(enum side side, const uint8_t *bytes,
				    size_t length);

/* memcached_report.c */
void memcached_report(struct memcached *mc, struct cached *request);
void memcached_value(struct memcached *mc, const struct cached *request,
		     int column, struct span value);

#endif
