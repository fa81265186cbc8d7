/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http1.h - what the files of the HTTP/1.x parser share.
 *
 *   http1.c         the parser: lanes, bodies, gaps
 *   http1_queue.c   which response answers which request
 *   http1_head.c    start lines and header fields
 *   http1_probe.c   is it HTTP/1.x, and which end is the client?
 *   http1_switch.c  what a connection speaks after 101, or after CONNECT
 *
 * Sources: RFC 9112 (HTTP/1.1), RFC 9110 (its semantics).
 */
#ifndef DATASNOOP_PARSERS_HTTP1_H
#define DATASNOOP_PARSERS_HTTP1_H

#include "parsers/buffer.h"
#include "parsers/http.h"

/* Requests of a connection without an answer; beyond, the oldest is told. */
#define HTTP1_PIPELINE_MAX 128
/* Bytes of the line before a chunk, with extensions; servers take 4 KiB. */
#define HTTP1_CHUNK_LINE_MAX 4096
/* Bytes of a method: the longest registered, UPDATEREDIRECTREF, has 17. */
#define HTTP1_METHOD_MAX 32
/* A response can't be shorter: "HTTP/1.1 200" and two ends of line. */
#define HTTP1_RESPONSE_BYTES_MIN 14
/* CONNECT in CONNECT; each has a parser's state. */
#define HTTP1_DEPTH_MAX 4

enum http1_look { HTTP1_NO, HTTP1_MORE, HTTP1_YES };

/* A start line; spans borrow it. */
struct http1_start {
	struct span method, target; /* of a request */
	unsigned status;	    /* of a response */
	struct span reason;
	const char *version; /* static */
	bool malformed;	     /* to be told, but its parts are clear */
	size_t length;	     /* bytes, its end included */
};

/*
 * http1_look - does a start line begin here?
 * @side: a request line of the client, a status line of the server
 *
 * MORE: so far it may be one, the line's end is not there.
 */
enum http1_look http1_look(enum side side, const uint8_t *bytes, size_t length,
			   struct http1_start *start);
/*
 * http1_find - where a start line begins, or may begin with what follows
 * @unseen: what comes before the first byte was not seen
 *
 * Nothing but its own form tells it, as a body need not end with a line; so
 * a method must be a registered one.  `length`: there is none.
 */
size_t http1_find(enum side side, const uint8_t *bytes, size_t length,
		  bool unseen);
/* Is it one in use?  Another, behind a hole, may be the rest of one ("ET"). */
bool http1_method_is_known(struct span method);
/* May a method hold it? */
bool http1_is_token_byte(uint8_t c);
/* Does a whole header field stand here? */
bool http1_is_field(const uint8_t *bytes, size_t length);

/* A head, and what it says about the body behind it. */
struct http1_head {
	struct http_head head; /* its headers are these: */
	struct http_header headers[HTTP_HEADERS_MAX];
	struct http1_start start;
	bool malformed;
	bool transfer;	/* Transfer-Encoding ... */
	bool chunked;	/* ... of which chunked is the last */
	bool length_known, length_bad, length_differs; /* Content-Length */
	uint64_t length;
	bool expects;  /* 100-continue */
	bool upgrades; /* Upgrade */
};

/*
 * http1_head_read - header fields, behind a start line or as trailers
 * @text: the lines, the start line first if there is one; changed in place:
 *	names are made lower-case, folded lines unfolded
 * @whole: the empty line at its end has come; else the last line is left out,
 *	as it may be cut, and the head is incomplete
 */
void http1_head_read(struct http1_head *head, enum side side,
		     struct buffer *text, bool trailers, bool whole);

/* A request and its response, in the order of the requests. */
struct http1_entry {
	struct http_transaction *transaction;
	uint64_t start_ns;   /* of its request; 0: not seen */
	bool done[SIDES];    /* that side's message has ended */
	bool unproven;	     /* its response may be another's */
	/*
	 * Behind a hole that took requests, or answers, of which nobody knows
	 * how many: so many answers in all must have come before it was sent,
	 * and it must have begun something new, if it is to be believed.
	 */
	bool behind;
	uint64_t proof;
	uint64_t before_ns; /* when the client's byte before it moved */
	bool expects;	     /* it waits for 100 before its body */
	bool continued;	     /* that has come */
	bool answered;	     /* a final response's head has come */
	bool connects, upgrades;
	struct http1_entry *prev, *next;
};

enum http1_phase {
	HTTP1_AT_START, /* a start line is due */
	HTTP1_IN_HEAD,
	HTTP1_IN_LENGTH, /* a body of known length */
	HTTP1_AT_CHUNK,	 /* a chunk's size is due */
	HTTP1_IN_CHUNK,
	HTTP1_BEHIND_CHUNK, /* its end of line */
	HTTP1_IN_TRAILERS,
	HTTP1_UNTIL_CLOSE, /* a body that ends with the connection */
	HTTP1_HELD	   /* the answer says what comes next */
};

/* The time of a byte that was not seen: later than any. */
#define HTTP1_IN_HOLE UINT64_MAX

/* One direction. */
struct http1_lane {
	enum http1_phase phase;
	bool unseen; /* what comes before the next byte was not seen */
	bool adrift; /* where a message begins is to be found */
	uint64_t left; /* bytes of a body or a chunk */
	struct buffer head;
	size_t line; /* where its last line begins */
	struct http1_entry *entry; /* whose message it is in; AT_START: NULL */
	bool doubtful; /* the body may not be there at all */
	bool cut;      /* the start line may have lost its beginning */
	bool dropping; /* resync() was asked: the next gap is bytes dropped */
	uint64_t last_ns; /* of the last byte; HTTP1_IN_HOLE: it is missing */
};

struct http1_switch;

struct http1 {
	const struct observer *observer;
	struct http1_lane lanes[SIDES];
	struct http1_entry *queue; /* utlist, the oldest request first */
	unsigned queued;
	bool from_start;
	bool asked;	  /* a request has been seen */
	bool pipelines;	  /* requests are sent before answers have come */
	bool overlaps;	  /* and more when some of the answers have come */
	bool behind;	  /* the next request will be: see struct http1_entry */
	bool impatient;	  /* the other side has nothing to say any more */
	/* requests may be missing since the last one, of so many bytes */
	bool client_lost;
	uint64_t client_lost_bytes;
	uint64_t client_proof; /* for the next request; 0: not to be counted */
	uint64_t answers;      /* that have ended */
	uint64_t answer_ns;    /* when the last one came */
	/*
	 * Responses may be missing: one of which a start was due where
	 * `damaged` bytes are missing, and those in `hidden` bytes.
	 */
	bool server_lost;
	uint64_t server_damaged_bytes, server_hidden_bytes;
	unsigned depth;		    /* of CONNECT in CONNECT */
	struct http1_switch *other; /* NULL: it still speaks HTTP/1.x */
};

/* A request has begun; NULL: out of memory. */
struct http1_entry *http1_queue_request(struct http1 *h,
					const struct window *window, size_t at,
					const char *version);
/*
 * http1_queue_response - whose response begins at `at` of the window
 *
 * NULL with *wait: its request has to be read first; else out of memory.
 */
struct http1_entry *http1_queue_response(struct http1 *h,
					 const struct window *window,
					 size_t at,
					 const struct http1_start *start,
					 bool *wait);
/* Requests, or the rest of one, were lost. */
void http1_queue_lose_requests(struct http1 *h);
/* Answers, or the rest of one, were lost. */
void http1_queue_lose_answers(struct http1 *h);
/* A side's message has ended; tells the entry when both have. */
void http1_queue_done(struct http1 *h, struct http1_entry *entry,
		      enum side side);
/* Tells all there are, as the connection has ended. */
void http1_queue_close(struct http1 *h);

/*
 * http1_switch_open - the connection speaks something else from here on
 * @entry: whose answer said so; 101 or a success of CONNECT
 * @response: its head
 *
 * True: the entry's transaction has found another owner.
 */
bool http1_switch_open(struct http1 *h, struct http1_entry *entry,
		       const struct http1_head *response);
/*
 * http1_switch_guess - WebSocket's frames, where the answer 101 was lost
 * @unseen: what comes before the first byte was not seen, or is not known
 *
 * Where they begin: the connection has been switched; `length`: nowhere.
 */
size_t http1_switch_guess(struct http1 *h, enum side side,
			  const struct window *window, bool unseen);
/* As in parser.h. */
struct step http1_switch_parse(struct http1 *h, enum side side,
			       const struct window *window);
size_t http1_switch_resync(struct http1 *h, enum side side,
			   const struct window *window);
/* See struct parser's quiet(); nothing was switched: does nothing. */
void http1_switch_quiet(struct http1 *h);
void http1_switch_gap(struct http1 *h, enum side side, uint64_t missed);
void http1_switch_close(struct http1 *h);

/* parser.h's probe(). */
enum verdict http1_probe(const struct opening *opening, bool *client_out);

#endif
