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

struct span {
	const char *bytes; /* not terminated; NULL: not known */
	size_t length;
};

struct exchange {
	const char *system;	/* "mysql": the parser's name, static */
	const char *operation;	/* "SELECT", "COM_PING"; upper case; never NULL */
	struct span statement;	/* as sent, with its literals; NULL: none */
	struct span masked;	/* the statement with its literals as `?` */
	bool statement_cut;	/* longer than STATEMENT_BYTES_MAX */
	bool statement_known;	/* false: an execution of a statement prepared
				   before the start */
	struct span namespace;	/* current database */
	struct span user;	/* of the login, with operation "LOGIN" */
	struct span targets[EXCHANGE_TARGETS_MAX]; /* tables, collections, keys */
	size_t target_count;
	struct span columns[EXCHANGE_COLUMNS_MAX]; /* "table.column", of origin */
	size_t column_count;	 /* of columns[] */
	uint64_t columns_total;	 /* in the result set */
	struct span parameters[EXCHANGE_PARAMETERS_MAX]; /* decoded, as text */
	size_t parameter_count;
	bool failed;
	int64_t status;		/* protocol's error code; 0 success; -1 unknown */
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
};

#endif
