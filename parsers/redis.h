/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * redis.h - RESP, the protocol of Redis, Valkey, KeyDB and their like.
 *
 *   redis.c          windows, the queue of requests, gaps, which end is which
 *   redis_request.c  commands: arrays of bulk strings, or inline lines
 *   redis_reply.c    replies of any type, nested, streamed, pushed
 *   redis_push.c     words of messages and acknowledgements
 *   redis_answer.c   which request a reply answers, and what follows from it
 *   redis_report.c   a request and its reply -> an exchange
 *   redis_commands.c where a command has its keys, and its secrets
 *
 * RESP has no request numbers: replies come in the order of the commands.
 * Source: https://redis.io/docs/reference/protocol-spec/ and
 * https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md
 */
#ifndef DATASNOOP_PARSERS_REDIS_H
#define DATASNOOP_PARSERS_REDIS_H

#include "parsers/buffer.h"
#include "parsers/parser.h"
#include "parsers/pending.h"

#define REDIS_NAME_MAX	   31	     /* bytes of a command's name; longest
					known: 20 */
#define REDIS_ARGS_KEPT	   EXCHANGE_PARAMETERS_MAX
#define REDIS_KEPT_MAX	   16384     /* bytes of a command's arguments */
#define REDIS_HELD_MAX	   (1 << 20) /* bytes of arguments of all commands that
					wait; beyond it only names are kept */
#define REDIS_PENDING_MAX  4096	     /* commands not answered yet */
#define REDIS_QUEUED_MAX   1024	     /* commands of a transaction */
#define REDIS_DEPTH_MAX	   32	     /* nesting of a reply; COMMAND needs 7 */
#define REDIS_COUNT_MAX	   INT32_MAX /* elements of an array */
#define REDIS_BULK_MAX	   (1ULL << 32) /* bytes of a string; the server's
					default is 512 MB */
#define REDIS_SPARE_MAX	   64	     /* freed requests kept for the next ones */

/* What a command does to the connection, or where it carries secrets. */
enum redis_kind {
	REDIS_PLAIN,
	REDIS_ACL,
	REDIS_AUTH,
	REDIS_CLIENT,
	REDIS_CONFIG,
	REDIS_DISCARD,
	REDIS_EXEC,
	REDIS_HELLO,
	REDIS_MIGRATE,
	REDIS_MONITOR,
	REDIS_MULTI,
	REDIS_PING,	 /* subscribers get an array */
	REDIS_RESET,
	REDIS_SELECT,
	REDIS_SENTINEL,
	REDIS_SORT,
	REDIS_STREAMS,	 /* keys behind the word STREAMS, in its first half */
	REDIS_SUBSCRIBE, /* answered once for each channel */
	REDIS_SYNC,
	REDIS_UNSUBSCRIBE
};

enum redis_flag {
	REDIS_WORD = 1,	  /* its first argument is the name of a subcommand */
	REDIS_COUNTS = 2, /* its integer says how many were changed */
	REDIS_SHOWN = 4	  /* its arguments are words and numbers of its own */
};

struct redis_command {
	const char *name; /* upper case */
	/*
	 * Places of keys, the name being 0; first 0: none; last < 0: counted
	 * from the end; numkeys: place of their number, they follow it.
	 */
	int8_t first, last, step, numkeys;
	/*
	 * The only type of RESP2's that it answers with, but for nulls and
	 * errors, with no aggregate inside; 0: there are several.
	 */
	char answer;
	uint8_t flags; /* enum redis_flag */
	enum redis_kind kind;
};

/* The command of that name (any case); NULL: not known. */
const struct redis_command *redis_command_find(struct span name);

struct redis_argument {
	uint32_t at;	 /* in struct request's text */
	uint32_t kept;	 /* bytes there */
	uint64_t length; /* bytes on the wire */
};

enum redis_transaction {
	REDIS_ALONE,
	REDIS_QUEUED,	/* the reply was QUEUED */
	REDIS_EXECUTED, /* answered by an element of EXEC's */
	REDIS_ABORTED,	/* a watched key had changed, or a command was wrong */
	REDIS_DISCARDED
};

struct request {
	struct request *prev, *next;
	struct pending pending;
	const struct redis_command *command; /* NULL: not known */
	char name[REDIS_NAME_MAX + 1];	     /* upper case */
	struct buffer text;	 /* of arguments, one behind the other */
	struct buffer arguments; /* struct redis_argument, no name */
	uint64_t argument_count; /* all of them */
	bool is_inline;		 /* a line, not an array */
	bool cut;		 /* arguments were not kept whole */
	bool silent;		 /* no reply comes: CLIENT REPLY */
	bool lost;   /* stands for requests that were not seen */
	bool passed; /* of such: the server has spoken since */
	bool near_lost; /* others of its write may have been lost before it */
	bool unproven; /* its reply may not be its own, see redis_answer.c */
	enum redis_transaction transaction;
	uint64_t replies_due;
	uint64_t replies;
};

/* A reply as it builds up; see redis_reply_leaf() and its neighbours. */
struct reply {
	char type; /* RESP's own: "+-:$*_#,(!=%~>"; 0: none yet */
	bool null;
	uint64_t elements;    /* of an aggregate, pairs of a map; UINT64_MAX:
				 streamed, being counted */
	uint64_t length;      /* bytes of a string, or of text were it whole */
	struct buffer text;   /* the string, or an aggregate as JSON, cut */
	int64_t number;	      /* an integer's; an aggregate's last one's */
};

enum reply_subject {
	SUBJECT_NONE,	 /* no reply is being read */
	SUBJECT_REQUEST, /* of the oldest request */
	SUBJECT_PUSH,	 /* nobody asked */
	SUBJECT_ORPHAN	 /* asked before the start */
};

/* An aggregate that is being read. */
struct level {
	char type;
	bool streamed;
	bool hidden;	 /* attributes are read but not shown */
	uint64_t left;	 /* elements to come */
	uint64_t index;	 /* of the next one */
};

enum place {
	PLACE_UNSYNCED, /* a message's beginning must be found first */
	PLACE_START,
	PLACE_HEADER, /* inside a message, a line is next */
	PLACE_BODY    /* `left` bytes of a string and its CR LF */
};

struct flow {
	enum place place;
	uint64_t left;
	struct buffer body; /* of a string not whole in the window */
	uint64_t length;    /* of that string */
	bool holed;	    /* bytes of it are missing: no more is gathered */
	uint64_t last_ns;   /* when the last byte moved */
	uint64_t dropped;   /* bytes that resync() has dropped, of a client */
	uint64_t dropped_ns; /* when the last of them moved; 0: none */
	bool forced;	    /* a wait was ended */
};

struct redis {
	struct observer observer;
	struct flow flows[SIDES];
	/* the client's side */
	struct request *current;   /* being read */
	uint64_t arguments_due;
	bool from_start;   /* of the connection */
	bool began;	   /* a command was seen */
	bool used_inline;
	bool replies_off;	   /* CLIENT REPLY OFF */
	bool client_gap;	   /* and no command since */
	bool skip_next;		   /* CLIENT REPLY SKIP */
	bool silence_doubt;	   /* CLIENT REPLY ON may have been lost */
	/* the server's side */
	struct reply reply, element; /* of EXEC, for a queued command */
	enum reply_subject subject;
	struct pending push;
	char push_kind[REDIS_NAME_MAX + 1]; /* "message", "invalidate" */
	struct buffer push_channel;
	struct level levels[REDIS_DEPTH_MAX];
	unsigned depth;
	char body_type; /* of the string whose body is read; ';': a chunk */
	bool in_chunks; /* of a streamed string */
	struct buffer chunks;
	uint64_t chunks_length;
	bool tied; /* EXEC's elements answer the queued commands */
	uint64_t element_at; /* stream offset where EXEC's element began */
	/* what is between them; utlist.h's lists */
	struct request *pending;
	size_t pending_count;
	struct request *queued; /* of a transaction */
	size_t queued_count;
	size_t held_bytes;
	struct request *spare;
	size_t spares;
	uint64_t subscriptions;
	bool maybe_subscribed; /* an acknowledgement may have been lost */
	bool monitoring, replicating;
	char database[24]; /* "": not known */
	/* after a loss, see redis_answer.c */
	bool doubt;
	bool doubt_seen; /* the server's bytes have come since */
	bool pipelined;
	uint64_t server_missed;
	struct request *unproven; /* answered, not reported yet */
	/* to report */
	struct exchange exchange;
	const struct request *described;
	struct buffer statement, masked;
};

/* redis.c: a request to fill, NULL: out of memory; and one that is over. */
struct request *redis_request_new(struct redis *redis);
void redis_request_free(struct redis *redis, struct request *request);
/* The argument, 0 the first; false: there is none that was kept. */
bool redis_argument(const struct request *request, size_t index,
		    struct redis_argument *argument, struct span *bytes);
bool redis_argument_is(const struct request *request, size_t index,
		       const char *word);

/*
 * redis_number - the decimal number of a line's `length` bytes, sign included
 *
 * False: it is none, or does not fit.
 */
bool redis_number(const uint8_t *bytes, size_t length, int64_t *number);
/* The line at `at`, without CR LF; false: its end is not in the window. */
bool redis_line(const struct window *window, size_t at, struct span *line,
		size_t *next);
/* As parser.h's parse(), for the client's and the server's side. */
struct step redis_client(struct redis *redis, const struct window *window);
struct step redis_server(struct redis *redis, const struct window *window);
/*
 * redis_body - bytes of a string and its CR LF at `at`
 *
 * What does not lie whole in the window is gathered in flow->body.  Returns
 * true when it is whole: *bytes has its first VALUE_BYTES_MAX; *used is what
 * was taken, 0 with false: it is none, the CR LF is not there.
 */
bool redis_body(struct flow *flow, const struct window *window, size_t at,
		size_t *used, struct span *bytes);

/*
 * redis_shape_command, redis_shape_reply - may a message begin there?
 *
 * PROBE_MORE: as far as can be seen.  A command's name must be known, or
 * `any` word will do.
 */
enum verdict redis_shape_command(const uint8_t *bytes, size_t length, bool any);
enum verdict redis_shape_inline(const uint8_t *bytes, size_t length);
enum verdict redis_shape_reply(const uint8_t *bytes, size_t length);

/* redis_reply.c: what a reply is made of. */
void redis_reply_reset(struct reply *reply);
/* A string or a scalar; `level` is what it stands in, NULL: it is the reply. */
void redis_reply_leaf(struct reply *reply, const struct level *level, char type,
		      struct span bytes, uint64_t length);
void redis_reply_open(struct reply *reply, const struct level *level,
		      char type, uint64_t count);
void redis_reply_close(struct reply *reply, const struct level *level,
		       char type, uint64_t count);
/* "bulk", "array"; never NULL. */
const char *redis_reply_type(const struct reply *reply);

/* redis_push.c */
/* Words that an array begins with when nobody may have asked for it. */
enum redis_word { WORD_SHORT, WORD_MESSAGE, WORD_SUBSCRIBE, WORD_UNSUBSCRIBE,
		  WORD_PONG, WORD_OTHER };
/* The first of the array at `at`; WORD_SHORT: not in the window. */
enum redis_word redis_push_word(const struct window *window, size_t at);
/* Does the array at `at` acknowledge that channel of `request`? */
bool redis_push_acks(const struct request *request, const struct window *window,
		     size_t at, uint64_t *index);

/* redis_answer.c */
/* A command is whole. */
void redis_answer_request(struct redis *redis, struct request *request);
enum begin { BEGIN_HERE, BEGIN_MORE, BEGIN_WAIT, BEGIN_DROP, BEGIN_DONE };
/* A reply begins at `at`: whose is it?  *drop: bytes that are nobody's. */
enum begin redis_answer_begin(struct redis *redis, const struct window *window,
			      size_t at, size_t *drop);
/* The reply is whole. */
void redis_answer_end(struct redis *redis);
/* The first `length` bytes of the server's window are nobody's. */
void redis_answer_pass(struct redis *redis, const struct window *window,
		       size_t length);
/* The next element of EXEC's, of so many bytes, is whole. */
void redis_answer_element(struct redis *redis, uint64_t bytes, uint64_t end_ns);
/* A side's bytes will not come. */
void redis_answer_client_gap(struct redis *redis, uint64_t missed);
void redis_answer_server_gap(struct redis *redis, uint64_t missed);
/* The oldest request is given up: there are too many. */
void redis_answer_give_up(struct redis *redis);
/* The connection has ended. */
void redis_answer_close(struct redis *redis);

/* redis_report.c */
void redis_report(struct redis *redis, struct request *request,
		  const struct reply *reply);
void redis_report_push(struct redis *redis, bool complete);
/* A string of the reply passes, of its element `index`. */
void redis_report_value(struct redis *redis, const struct request *request,
			uint64_t index, struct span value);
/* The same of what nobody asked for. */
void redis_report_push_value(struct redis *redis, uint64_t index,
			     struct span value);

#endif
