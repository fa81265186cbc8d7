/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exchange.h - a request and its response, as a parser reports it.
 *
 * Spans borrow the parser's memory and are dead when the report returns.
 * A field that is not known says so (NULL, -1, 0 ns): sinks leave it out.
 */
#ifndef DATASNOOP_PARSERS_EXCHANGE_H
#define DATASNOOP_PARSERS_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXCHANGE_TARGETS_MAX 16	     /* tables named of one statement */
#define EXCHANGE_COLUMNS_MAX 256     /* columns named of one result */
#define EXCHANGE_PARAMETERS_MAX 256  /* parameters decoded of one execution */
#define STATEMENT_BYTES_MAX 65536    /* of a statement kept; the rest is cut */
#define VALUE_BYTES_MAX 4096	     /* of a value handed on */
#define EXCHANGE_ATTRIBUTES_MAX 96   /* a protocol's own fields */

struct span {
	const char *bytes; /* not terminated; NULL: not known */
	size_t length;
};

/* What a record's keys begin with: those of OpenTelemetry differ so far. */
enum exchange_family {
	FAMILY_DATABASE, /* db.system.name, db.operation.name, ... */
	FAMILY_OTHER	 /* network.protocol.name; the rest are attributes */
};

enum attribute_kind {
	ATTRIBUTE_TEXT,
	ATTRIBUTE_NUMBER,
	ATTRIBUTE_REAL,
	ATTRIBUTE_BOOL
};

/* A field that one protocol has, under its key in JSON. */
struct attribute {
	const char *key; /* static; the same key again makes a list */
	enum attribute_kind kind;
	bool value; /* holds payload: shown with --show-values only */
	struct span text;
	int64_t number; /* of a bool: 0 or 1 */
	double real;
};

/*
 * The long lists of an exchange: it has them from exchange_reset() to
 * exchange_done() alone, as a connection is idle most of the time.
 */
struct exchange_lists {
	struct span columns[EXCHANGE_COLUMNS_MAX];
	struct span parameters[EXCHANGE_PARAMETERS_MAX];
	struct attribute attributes[EXCHANGE_ATTRIBUTES_MAX];
	struct exchange_lists *next; /* of those that nobody has */
};

struct exchange {
	struct exchange_lists *lists; /* owned; NULL: none */
	const char *system;	/* "mysql": the protocol, static */
	enum exchange_family family;
	/* What the protocol carries: "llm", "grpc"; static; NULL: itself. */
	const char *application;
	/* "SELECT", "COM_PING", "GET"; as the protocol spells it; never NULL */
	const char *operation;
	/* What it is about, where there is no statement: a key, a name. */
	struct span subject;
	bool prepares;		/* the statement is prepared, not executed */
	/*
	 * The request in one text: as sent, with its literals; NULL: none.
	 * Of FAMILY_OTHER what a line of text shows, in JSON it has no key.
	 */
	struct span statement;
	struct span masked;	/* the statement with its literals as `?` */
	bool statement_cut;	/* longer than STATEMENT_BYTES_MAX */
	bool statement_known;	/* false: an execution of a statement prepared
				   before the start */
	struct span namespace;	/* current database */
	struct span user;	/* of the login, with operation "LOGIN" */
	struct span targets[EXCHANGE_TARGETS_MAX]; /* tables, collections, keys */
	size_t target_count;
	struct span *columns;	 /* "table.column", of origin */
	size_t column_count;	 /* of columns[] */
	uint64_t columns_total;	 /* in the result set */
	struct span *parameters; /* decoded, as text */
	size_t parameter_count;
	bool failed;
	int64_t status;		/* protocol's error code; 0 success; -1 unknown */
	struct span status_name; /* a code that is a word: "WRONGTYPE" */
	struct span sqlstate;	/* five characters, of an error */
	struct span message;	/* the server's error text */
	int64_t rows;		/* returned; -1: no result set */
	int64_t affected;	/* -1: not told */
	uint32_t results;	/* result sets and OKs of a multi-result; >= 1 */
	uint64_t request_bytes;	/* on the stream, protocol headers included */
	uint64_t response_bytes;
	uint64_t start_ns;	/* CLOCK_MONOTONIC: request's first byte */
	uint64_t first_byte_ns; /* response's first byte */
	uint64_t end_ns;	/* response's last byte */
	uint32_t tid;		/* thread that moved the request */
	bool complete;		/* no byte of it is missing */
	uint64_t missed_bytes;	/* known to be missing from it */
	struct attribute *attributes;
	size_t attribute_count;
};

/* A string of C as a span; NULL: not known. */
struct span span_string(const char *text);
bool span_is(struct span span, const char *text);
/* Letters of ASCII in any case. */
bool span_is_nocase(struct span span, const char *text);

/*
 * exchange_reset - all fields unknown, but for what every exchange has
 * @exchange: zeroed before the first time; exchange_done() follows the last
 * @system: the parser's name
 *
 * complete, statement_known and results == 1 are set; operation is "".
 * columns[], parameters[] and attributes[] have room for their MAX; out of
 * memory exchange_is_void().
 */
void exchange_reset(struct exchange *exchange, const char *system,
		    enum exchange_family family);

/*
 * exchange_done - it was reported, or will not be: its lists are given back
 *
 * Done again it stays as it is.  Of no use before another exchange_reset().
 */
void exchange_done(struct exchange *exchange);
/* Has it no lists?  What was put there is nowhere: not to be reported. */
bool exchange_is_void(const struct exchange *exchange);

/*
 * Appends an attribute; what does not fit EXCHANGE_ATTRIBUTES_MAX is left
 * out.  Text is borrowed; one that is not known (bytes NULL) is left out.
 */
void exchange_text(struct exchange *exchange, const char *key,
		   struct span text);
/* Text that holds payload: shown with --show-values only. */
void exchange_payload(struct exchange *exchange, const char *key,
		      struct span text);
void exchange_number(struct exchange *exchange, const char *key,
		     int64_t number);
void exchange_real(struct exchange *exchange, const char *key, double real);
void exchange_bool(struct exchange *exchange, const char *key, bool truth);

#endif
