/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http.h - what HTTP/1.x and HTTP/2 have in common, and what they carry.
 *
 *   http1.c, http2.c   framing -> heads, bodies, trailers of a transaction
 *   http_transaction.c a request and its response -> an exchange
 *   http_content.c     Content-Encoding: gzip, deflate, br, zstd -> the content
 *   http_*.c           applications that speak over HTTP, one file each
 *
 * Names and meaning of fields: RFC 9110; keys: OpenTelemetry's semantic
 * conventions for HTTP.
 */
#ifndef DATASNOOP_PARSERS_HTTP_H
#define DATASNOOP_PARSERS_HTTP_H

#include "parsers/parser.h"
#include "parsers/pending.h"

#define HTTP_HEADERS_MAX    128	  /* of a head; those behind are dropped */
#define HTTP_HEAD_BYTES_MAX 65536 /* of a head; a longer one is LOST */

struct http_header {
	struct span name;  /* lower case */
	struct span value; /* without white space around it */
};

/* A head as it stands on the wire; everything borrowed for the call. */
struct http_head {
	struct span method; /* of a request */
	/*
	 * As sent: origin-form, absolute-form, authority-form or "*";
	 * bytes NULL: not known (HPACK's table was not seen from the start).
	 */
	struct span target;
	struct span authority; /* :authority, else Host */
	struct span scheme;    /* HTTP/2's, or of an absolute-form */
	unsigned status;       /* of a response; 0: a request, or not known */
	struct span reason;    /* HTTP/1's reason phrase */
	const struct http_header *headers;
	size_t header_count;
	bool incomplete; /* headers may be missing from it */
};

/* The value of the first header of that name (lower case); NULL: none. */
struct span http_header(const struct http_head *head, const char *name);

/*
 * What is spoken over HTTP: LLM APIs, MCP, gRPC, Elasticsearch, ClickHouse.
 *
 * match() is asked, in the registry's order, when the request's head is there.
 * Of those that say HTTP_MAYBE all are given the bodies, and the first whose
 * finish() says true has the exchange; one that says HTTP_YES is the only one.
 * Bodies come decoded, in order, in pieces of any size; after gap() no more of
 * that side's body comes.  Any callback but match, open, finish and close may
 * be NULL.
 */
enum http_match { HTTP_NO, HTTP_MAYBE, HTTP_YES };

struct http_application {
	const char *name; /* exchange->application, as in -P; static */
	enum http_match (*match)(const struct http_head *request);
	/* The state of one transaction; the head is borrowed.  NULL: OOM. */
	void *(*open)(const struct http_head *request,
		      const struct observer *observer);
	void (*response)(void *state, const struct http_head *head);
	void (*body)(void *state, enum side side, const uint8_t *bytes,
		     size_t length);
	void (*trailers)(void *state, enum side side,
			 const struct http_head *head);
	/* The rest of that side's body is not to be had. */
	void (*gap)(void *state, enum side side);
	/*
	 * The transaction is over: adds to the exchange what it knows, and
	 * may change operation, system, family, statement, masked, subject,
	 * targets, rows, status, failed.  Spans live until close().  False: not
	 * its own after all, the exchange is as it was.
	 */
	bool (*finish)(void *state, struct exchange *exchange);
	/*
	 * After finish(): has it handed that side's texts to the observer?  Else
	 * the beginning of the body will be.
	 */
	bool (*told)(const void *state, enum side side);
	void (*close)(void *state);
};

extern const struct http_application http_grpc;
extern const struct http_application http_clickhouse;
extern const struct http_application http_elasticsearch;
extern const struct http_application http_llm;
extern const struct http_application http_mcp;

/* All applications in the order of asking; NULL at the end. */
extern const struct http_application *const http_applications[];
/* The application of that name; NULL: none. */
const struct http_application *http_application_find(const char *name);

/* A request and its response, fed by http1.c and http2.c. */
struct http_transaction;

/*
 * http_transaction_new - one that has not begun
 * @system: "http", the parser's name
 * @version: "1.0", "1.1", "2"; static
 *
 * NULL: out of memory.
 */
struct http_transaction *http_transaction_new(const struct observer *observer,
					      const char *system,
					      const char *version);
/* `length` bytes at `at` of the side's window are of it, framing included. */
void http_transaction_moved(struct http_transaction *transaction,
			    enum side side, const struct window *window,
			    size_t at, size_t length);
/*
 * A head: of the client's side the request's, of the server's a response's,
 * interim ones (1xx) first.  What is kept of it is copied.
 */
void http_transaction_head(struct http_transaction *transaction,
			   enum side side, const struct http_head *head);
/* Content as framed: chunks' and frames' data, not decoded yet. */
void http_transaction_body(struct http_transaction *transaction,
			   enum side side, const uint8_t *bytes,
			   size_t length);
void http_transaction_trailers(struct http_transaction *transaction,
			       enum side side, const struct http_head *head);
/* Bytes of that side will not come; 0: how many is not known. */
void http_transaction_missed(struct http_transaction *transaction,
			     enum side side, uint64_t missed);
/* HTTP/2's stream, and why it was reset (RFC 9113 section 7); -1: it was not. */
void http_transaction_stream(struct http_transaction *transaction,
			     uint32_t stream, int64_t reset);
/* Something about its framing that should be known; both static. */
void http_transaction_note(struct http_transaction *transaction,
			   const char *key, const char *text);
/* Has a request, or a final response, head come? */
bool http_transaction_has_head(const struct http_transaction *transaction,
			       enum side side);
/* The method of its request, NULL: not known.  For HEAD and CONNECT. */
struct span http_transaction_method(const struct http_transaction *transaction);
/* Reports it to the observer, if anything of it was seen, and frees it. */
void http_transaction_finish(struct http_transaction *transaction,
			     bool complete);

#endif
