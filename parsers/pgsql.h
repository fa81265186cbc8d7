/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgsql.h - what the files of the PostgreSQL parser share; no other's affair.
 *
 *   pgsql.c            bytes -> messages, resynchronising, the interface
 *   pgsql_queue.c      the requests that wait for their responses
 *   pgsql_align.c      which of them a response answers, how sure that is
 *   pgsql_client.c     messages of the client -> requests in the queue
 *   pgsql_server.c     messages of the server -> the first request's response
 *   pgsql_report.c     a request and its response -> an exchange
 *   pgsql_values.c     fields of rows and parameters -> text
 *   pgsql_statements.c prepared statements and portals of a connection
 *   pgsql_describe.c   a statement's text -> verb, tables, what may be shown
 *   pgsql_shape.c      what bytes look like, for probe() and resync()
 *
 * A request is one message of the client.  Requests up to a ReadyForQuery make
 * a group: a Query is one by itself, of the extended protocol a group ends with
 * a Sync.  An exchange is a Query, or an Execute with the Parse, Bind and
 * Describe before it; a Parse of a name, or one that is not executed, is one
 * of its own.
 * Source: PostgreSQL documentation, chapter "Frontend/Backend Protocol",
 * https://www.postgresql.org/docs/current/protocol.html, sections "Message
 * Flow" and "Message Formats".
 */
#ifndef DATASNOOP_PARSERS_PGSQL_H
#define DATASNOOP_PARSERS_PGSQL_H

#include "parsers/buffer.h"
#include "parsers/cursor.h"
#include "parsers/parser.h"
#include "parsers/pending.h"

#define PGSQL_HEADER_BYTES   5 /* a type, and a length that includes itself */
#define PGSQL_STARTUP_MAX    10000 /* bytes of a startup message */
#define PGSQL_KEPT_BYTES     (STATEMENT_BYTES_MAX + 4096) /* of a message */
#define PGSQL_REQUESTS_MAX   512   /* pipelined; beyond, the client waits */
#define PGSQL_HELD_BYTES_MAX (4u << 20) /* of texts and values; the same */
#define PGSQL_STATEMENTS_MAX 256   /* prepared ones, the latest used */
#define PGSQL_STATEMENTS_BYTES_MAX (1u << 20) /* of them, columns included */
#define PGSQL_PORTALS_MAX    64	   /* the latest used */
#define PGSQL_COLUMNS_MAX    1664  /* of a result: PostgreSQL's own limit */
#define PGSQL_NAMES_BYTES    32768 /* of names of one response's columns */
#define PGSQL_VALUES_BYTES   65536 /* of an execution's parameters, decoded */
#define PGSQL_NOTICES_MAX    8	   /* told of one response */
#define PGSQL_TAGS_MAX	     16	   /* told of one response */
#define PGSQL_TEXTS_BYTES    16384 /* of tags, notices, messages of one */

/* In place of a version in a startup message; 3.0 is 3 << 16. */
#define PGSQL_CANCEL_CODE 80877102u
#define PGSQL_SSL_CODE	  80877103u
#define PGSQL_GSS_CODE	  80877104u

struct message {
	uint8_t type;	      /* 0: a startup message or a single byte */
	const uint8_t *bytes; /* the body's first `kept` bytes */
	size_t kept;
	uint64_t length;	/* of the body */
	uint64_t wire_bytes;	/* header included */
	uint64_t missed;	/* of the body, lost */
	bool holed;
	uint64_t first_ns, last_ns;
	uint64_t sent_ns; /* when its first byte moved, at the latest */
	uint32_t tid;
};

enum flow_place {
	FLOW_UNSYNCED, /* no message boundary known */
	FLOW_HEADER,   /* a message is next */
	FLOW_BODY      /* inside a message's body */
};

struct flow {
	enum flow_place place;
	uint64_t body_left;
	size_t keep;	  /* of the message's body, at most */
	bool ignored;	  /* the message answers nothing that was seen */
	bool begun;	  /* a window of it has been seen */
	uint64_t last_ns; /* when the byte before the window moved, at the
			     latest; UINT64_MAX: it was lost */
	struct message message; /* as far as read; bytes unused */
	struct buffer gathered;
};

/* A piece of a buffer that may move. */
struct text_piece {
	uint32_t at, length;
};

struct column {
	struct text_piece name; /* of columns->names; length 0: not kept */
	uint32_t type;		/* OID */
	bool binary;
};

/* The columns of all result sets of a response, or of a statement. */
struct columns {
	struct buffer names;
	struct buffer list; /* struct column[] */
	uint64_t total;
	size_t set_first; /* index of the current set's first */
	bool known;
};

/* A prepared statement, or a Query's text.  Counted references. */
struct statement {
	unsigned references;
	struct statement *next, *previous; /* in the table, latest used first */
	bool listed;
	struct buffer name, text;
	struct buffer types; /* uint32_t[]: OIDs of parameters */
	bool known, cut;     /* of the text */
	bool replaces;	     /* another had its name when it was parsed */
	unsigned epoch;	     /* pg->epoch when it was parsed; 0: it may not be
				prepared, the answer was lost */
	struct columns columns;
};

/* A statement bound to its parameters.  Counted references. */
struct portal {
	unsigned references;
	struct portal *next, *previous;
	bool listed;
	struct buffer name;
	struct buffer values; /* a Bind's, from the parameters' formats on */
	bool cut;	      /* values are not whole */
	struct buffer formats; /* uint16_t[]: of results */
	struct statement *statement; /* NULL: not known */
	struct columns columns;
};

enum request_kind {
	REQUEST_LOGIN,
	REQUEST_SSL,
	REQUEST_GSS,
	REQUEST_QUERY,
	REQUEST_FUNCTION,
	REQUEST_PARSE,
	REQUEST_BIND,
	REQUEST_DESCRIBE,
	REQUEST_EXECUTE,
	REQUEST_CLOSE,
	REQUEST_SYNC,
	REQUEST_TERMINATE,
	REQUEST_CANCEL,
	REQUEST_UNKNOWN /* a response whose request was lost */
};

/* How sure is it that a response answers a group of requests? */
enum pairing {
	PAIRING_COUNTED, /* nothing was lost since it was sure */
	PAIRING_TIMED,	 /* their times and their neighbours' leave no other */
	PAIRING_OPEN,	 /* what the client sends next will tell */
	PAIRING_UNSURE
};

struct request {
	enum request_kind kind;
	struct pending pending;
	uint64_t sent_ns;   /* when its first byte moved, at the latest */
	bool first;	    /* of a group */
	bool after_gap;	    /* requests may have been lost right before it */
	bool together;	    /* it moved with the group before it */
	bool torn;	    /* it moved with what was lost before it */
	struct statement *statement; /* owned references; NULL: none */
	struct portal *portal;
	uint32_t number;    /* a function's OID, a version */
	uint64_t copied;    /* CopyData messages of the client */
	uint64_t copied_bytes;
	bool copy_ended;    /* by CopyDone or CopyFail */
	struct buffer user, database, application, replication;
};

enum copy_kind { COPY_NONE, COPY_IN, COPY_OUT, COPY_BOTH };

/* The exchange whose response is being read. */
struct response {
	struct pending pending; /* of requests folded into it, too */
	bool finished;		/* report it before what comes next */
	bool described;		/* pg->exchange says what the request does */
	struct statement *prepared; /* parsed, but not yet executed; owned */
	bool bound;		/* its statement and parameters were found */
	bool failed, fatal, skipped, suspended;
	int64_t rows, affected;
	int64_t set_rows;  /* of the current result; -1: no rows described */
	uint32_t results;
	enum copy_kind copy;
	uint64_t copied, copied_bytes; /* CopyData messages of the server */
	int64_t copy_rows; /* as the tag says; -1: not told */
	char sqlstate[5];
	bool has_sqlstate;
	char reply;	   /* to SSLRequest, GSSENCRequest */
	const char *authentication;
	struct buffer texts; /* text of all pieces below */
	struct text_piece message, severity;
	struct text_piece tags[PGSQL_TAGS_MAX];
	unsigned tag_count;
	struct text_piece notices[PGSQL_NOTICES_MAX];
	struct text_piece notice_states[PGSQL_NOTICES_MAX];
	unsigned notice_count;
};

/* The group that is being answered. */
struct group {
	bool started;
	bool failed; /* all requests up to the Sync are skipped */
	bool empty;  /* its requests are answered; others of it were lost */
	bool damaged; /* response bytes of it were lost */
	bool late; /* the response's beginning may have been lost */
	bool headless; /* requests of it may have been lost before the first */
	enum pairing pairing;
};

struct pgsql {
	const struct observer *observer;
	bool done;	/* nothing more can be read here */
	bool tagged;	/* the client has sent a message with a type */
	bool scs_known, scs; /* standard_conforming_strings, as reported */
	unsigned epoch;	     /* one more behind each gap of the client */
	unsigned epoch_known; /* names of statements from before it may have
				 been given to others */
	bool unseen;	     /* answers to lost requests may be to come */
	struct buffer database;
	struct flow flows[SIDES];
	struct request *requests; /* ring of request_room */
	size_t request_first, request_count, request_room;
	size_t held_bytes; /* of statements and portals */
	bool pipelined;	  /* requests overtake responses here */
	bool client_gap;  /* requests may have been lost behind the last */
	bool group_open;  /* the last request of the queue ends no group */
	bool doubt;	  /* responses may have been lost: times must tell */
	unsigned crowded; /* responses to go until times are trusted again */
	uint64_t ready_ns; /* when the last ReadyForQuery moved */
	bool held;	  /* the first group's response is whole, and open */
	uint64_t answer_first_ns, answer_last_ns; /* when a response began */
	size_t dropped;	  /* bytes that resync() told the caller to drop */
	uint64_t dropped_ns; /* and when the last of them moved */
	uint64_t client_dropped_ns; /* the same of the client's last gap; 0:
				       none was seen of it */
	bool forced[SIDES]; /* gap(side, 0): do not wait for the other side */
	uint64_t client_missed; /* bytes that belong to no known request */
	uint64_t server_missed;
	bool unmarked;	  /* the response began behind a gap */
	struct group group;
	struct response response;
	struct columns columns; /* the response's */
	struct statement *statements;
	struct portal *portals;
	size_t statement_count, portal_count;
	struct exchange exchange;
	struct buffer parameters; /* their text */
	struct buffer value;	  /* one field's text */
};

/* pgsql_queue.c */
struct request *pgsql_request_at(struct pgsql *pg, size_t index);
struct request *pgsql_head(struct pgsql *pg);
struct request *pgsql_tail(struct pgsql *pg);
/* A new last request, empty; NULL: out of memory or no room. */
struct request *pgsql_push(struct pgsql *pg, enum request_kind kind);
/* The same before all others. */
struct request *pgsql_push_front(struct pgsql *pg, enum request_kind kind);
/* Frees the first, the last. */
void pgsql_pop(struct pgsql *pg);
void pgsql_pop_tail(struct pgsql *pg);
/* Does a ReadyForQuery, or the like, follow on it? */
bool pgsql_ends_group(enum request_kind kind);
/* Is it one that is reported by itself? */
bool pgsql_is_told(enum request_kind kind);

/* pgsql_statements.c */
struct statement *pgsql_statement_new(struct pgsql *pg, struct span name);
void pgsql_statement_drop(struct pgsql *pg, struct statement *statement);
struct statement *pgsql_statement_hold(struct statement *statement);
/* Makes it the one of its name, and forgets the longest unused when full. */
void pgsql_statement_list(struct pgsql *pg, struct statement *statement);
void pgsql_statement_unlist(struct pgsql *pg, struct statement *statement);
struct statement *pgsql_statement_find(struct pgsql *pg, struct span name);
/* The same for portals. */
struct portal *pgsql_portal_new(struct pgsql *pg, struct span name);
void pgsql_portal_drop(struct pgsql *pg, struct portal *portal);
struct portal *pgsql_portal_hold(struct portal *portal);
void pgsql_portal_list(struct pgsql *pg, struct portal *portal);
void pgsql_portal_unlist(struct pgsql *pg, struct portal *portal);
struct portal *pgsql_portal_find(struct pgsql *pg, struct span name);
/* Appends to a buffer of theirs, counted in pg->held_bytes; false: OOM. */
bool pgsql_keep(struct pgsql *pg, struct buffer *buffer, const void *bytes,
		size_t length);
void pgsql_forget_all(struct pgsql *pg);
/* Requests were lost: forgets what each of them may have changed. */
void pgsql_forget_changed(struct pgsql *pg);
/* One of them, or an answer to it, may have named another statement. */
void pgsql_doubt_names(struct pgsql *pg);
/* Is it what the statement's name still stands for, as far as is known? */
bool pgsql_is_current(const struct pgsql *pg,
		      const struct statement *statement);
void pgsql_columns_clear(struct columns *columns);
void pgsql_columns_free(struct columns *columns);
void pgsql_columns_copy(struct columns *to, const struct columns *from);
size_t pgsql_column_count(const struct columns *columns);
/* Column of all sets by index; NULL: none such. */
const struct column *pgsql_column(const struct columns *columns, size_t index);
/* Appends the result set that a RowDescription's body describes. */
void pgsql_columns_read(struct columns *columns, const struct message *message);

/* pgsql_align.c; see there */
struct request *pgsql_align_answered(struct pgsql *pg, uint64_t ns);
/* A response begins where the window does: finds its group, see there. */
void pgsql_align_begin(struct pgsql *pg, const struct window *window);
/* A request has been queued: did it move together with the one before it? */
void pgsql_align_sent(struct pgsql *pg);
/* To be told of every response that begins. */
void pgsql_align_watch(struct pgsql *pg, const struct window *window);
#define PGSQL_CROWDED 8 /* responses that must come singly, then */
/* Has the client begun a request by then whose end is not read yet? */
bool pgsql_align_is_asking(const struct pgsql *pg, uint64_t ns);
/* The client's next message begins here, nothing was lost before it. */
void pgsql_align_next(struct pgsql *pg, const struct window *window);
void pgsql_align_settle(struct pgsql *pg, bool sure);
/* The first group's response is sure: what was lost before it is answered. */
void pgsql_align_seen(struct pgsql *pg);
/* A response was counted: did the client overtake it? */
void pgsql_align_count(struct pgsql *pg);

/* pgsql_client.c */
bool pgsql_client_must_wait(struct pgsql *pg);
void pgsql_client_message(struct pgsql *pg, const struct message *message);

/* pgsql_server.c */
/* @ignored: it answers nothing that was seen */
void pgsql_server_message(struct pgsql *pg, const struct message *message,
			  bool ignored);
/* Reports what is answered, and of which what follows is no part. */
void pgsql_end_finished(struct pgsql *pg);
/* The first group gets no response, or no more of it: reports what it asked. */
void pgsql_end_group(struct pgsql *pg, bool damaged);

/* pgsql_report.c */
void pgsql_response_reset(struct pgsql *pg);
/* Is it known that the response answers the first request? */
bool pgsql_is_sure(const struct pgsql *pg);
/* The request's bytes and times become part of the response's exchange. */
void pgsql_fold(struct pgsql *pg, const struct request *request);
/* Fills pg->exchange with what the first request and the columns say. */
void pgsql_describe(struct pgsql *pg);
/* Reports the response as the first request's, which stays. */
void pgsql_report(struct pgsql *pg);
/* Reports a statement that was parsed, and not executed with it. */
void pgsql_report_prepared(struct pgsql *pg);
void pgsql_report_notification(struct pgsql *pg, const struct message *message);
/* An ErrorResponse that nobody asked for. */
void pgsql_report_fatal(struct pgsql *pg, const struct message *message);
/* Keeps text for the response; length 0: no room, or empty. */
struct text_piece pgsql_text(struct pgsql *pg, struct span text);
/* One value that passes; -1: of a parameter, of COPY. */
void pgsql_value(struct pgsql *pg, int column, struct span value);

/* pgsql_values.c */
/*
 * pgsql_value_text - a field in binary format as text
 * @type: its OID; 0: not known
 * @out: emptied and filled; may be read until it next changes
 *
 * A type that is not known, or a field that is not that type's, is told as
 * text when it is, else as \x and hex digits.  At most VALUE_BYTES_MAX.
 * Source: PostgreSQL's *send functions, src/backend/utils/adt.
 */
struct span pgsql_value_text(struct span field, uint32_t type,
			     struct buffer *out);
/* Gives the fields of a DataRow to the observer. */
void pgsql_row_values(struct pgsql *pg, const struct message *row);
/* The portal's parameters as text, into pg->exchange. */
void pgsql_parameters(struct pgsql *pg, const struct portal *portal);

/* pgsql_describe.c */
struct pgsql_description {
	char operation[24]; /* upper case; "": no verb found */
	struct span shown;  /* the text, its passwords as '?' */
	struct span masked; /* its literals as ?, comments emptied */
	struct span targets[EXCHANGE_TARGETS_MAX];
	size_t target_count;
	size_t statements; /* in the text, divided by semicolons */
};

/* One more, one less parser that uses descriptions; the last frees all. */
void pgsql_describe_open(void);
void pgsql_describe_close(void);
/*
 * pgsql_description - of a text, remembered from the last time if it can be
 * @conforming: a backslash in '...' is known to be one (standard_...strings)
 * @cut: the text's end is missing
 *
 * Borrowed until the next call.  NULL: out of memory.  One thread's alone.
 */
const struct pgsql_description *pgsql_description(struct span text,
						  bool conforming, bool cut);

/* pgsql_shape.c */
enum shape { SHAPE_NO, SHAPE_SHORT, SHAPE_YES };

/* Is the type one of that side's, the length one that it may have? */
bool pgsql_shape_header(enum side side, const uint8_t *header);
/* Does a chain of whole messages of that side begin here? */
enum shape pgsql_shape_chain(enum side side, const uint8_t *bytes,
			     size_t length);
/* Are they whole messages of a client, up to a Terminate at the end? */
bool pgsql_shape_farewell(const uint8_t *bytes, size_t length);
/* A StartupMessage, SSLRequest, GSSENCRequest or CancelRequest? */
enum shape pgsql_shape_startup(const uint8_t *bytes, size_t length);
enum verdict pgsql_probe(const struct opening *opening, bool *client_out);

#endif
