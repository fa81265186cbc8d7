/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_transaction.h - what is kept of a request and its response until both
 * are whole; shared by http_transaction.c, http_describe.c, http_target.c and
 * http_secret.c.
 */
#ifndef DATASNOOP_PARSERS_HTTP_TRANSACTION_H
#define DATASNOOP_PARSERS_HTTP_TRANSACTION_H

#include "parsers/buffer.h"
#include "parsers/http.h"
#include "parsers/http_content.h"
#include "parsers/http_multipart.h"
#include "parsers/sse.h"

#define HTTP_TARGET_BYTES_MAX  16384 /* kept of a target; servers take 8 KiB */
#define HTTP_FIELD_BYTES_MAX   512   /* kept of any other field */
#define HTTP_KEPT_BYTES_MAX    32768 /* of all that is kept of a transaction */
#define HTTP_COOKIES_MAX       8     /* named, of each side */
#define HTTP_INTERIM_MAX       8     /* 1xx told; a server sends one or two */
#define HTTP_NOTES_MAX	       4     /* of the framing */
#define HTTP_CANDIDATES_MAX    8     /* applications that may be it */

/* Text in the transaction's buffer, which moves as it grows. */
struct http_text {
	uint32_t at, length;
	bool known;
};

struct http_side {
	bool head; /* the request's, or a final response's, has come */
	bool incomplete; /* headers may be missing from it */
	bool chunked;
	bool body_over; /* nobody is shown more of this body */
	struct http_text type, coding;
	struct http_text cookies[HTTP_COOKIES_MAX];
	unsigned cookie_count;
	uint64_t body_bytes; /* as framed, not decoded */
	uint64_t gap_bytes;  /* lost where content was due */
	struct http_content *content; /* NULL: nothing to decode so far */
	bool coded;
	struct buffer sample; /* of readable content: for the classifier */
	bool sampled;
};

struct http_note {
	const char *key, *text; /* static */
};

struct http_candidate {
	const struct http_application *application;
	void *state;
};

struct http_transaction {
	const struct observer *observer;
	const char *system, *version;
	struct pending pending;
	struct buffer text;
	struct http_side sides[SIDES];
	/* of the request */
	struct http_text method, target, scheme, authority, agent;
	struct http_text auth_scheme, auth_user, proxy_scheme, api_key, upgrade;
	bool target_cut;
	struct http_multipart *multipart; /* NULL: no such upload */
	/* of the response */
	unsigned status;
	struct http_text reason;
	unsigned interim[HTTP_INTERIM_MAX];
	unsigned interim_count;
	bool streams; /* its content is a stream of events */
	struct sse events;
	uint32_t stream;	 /* HTTP/2's; 0: none */
	int64_t reset;		 /* -1: it was not */
	struct http_note notes[HTTP_NOTES_MAX];
	unsigned note_count;
	struct http_candidate candidates[HTTP_CANDIDATES_MAX];
	unsigned candidate_count;
};

/* The text, borrowed until more is kept; bytes NULL: not known. */
struct span http_text_span(const struct http_transaction *transaction,
			   struct http_text text);

/*
 * Fills the exchange, all but complete; `masked` is scratch that holds what
 * the exchange borrows of it.
 */
void http_describe(const struct http_transaction *transaction,
		   struct exchange *exchange, struct buffer *masked);

/*
 * http_target_keep - append a target without the secrets in it
 *
 * The values of parameters that hold keys, tokens, passwords and signatures
 * by their name become `?`, in the path, as the password before an `@`, `***`.
 * At most `bound` bytes; false: cut.
 */
bool http_target_keep(struct buffer *buffer, struct span target, size_t bound);
/* Append it with the values of all parameters, and the fragment, as `?`. */
void http_target_mask(struct buffer *buffer, struct span target);
/* The path in a target of any form; bytes NULL: it has none. */
struct span http_target_path(struct span target);
/* What is between `?` and `#`; bytes NULL: nothing. */
struct span http_target_query(struct span target);

/* Does a parameter of that name hold a key, a token, a password? */
bool http_parameter_is_secret(struct span name);
/* The scheme of credentials if it is one of those known, else "other". */
const char *http_auth_scheme(struct span credentials);
/*
 * http_auth_user - the user's name of Basic credentials (RFC 7617)
 *
 * Appended to `buffer`, at most `bound` bytes; false: there is none.
 */
bool http_auth_user(struct buffer *buffer, struct span credentials,
		    size_t bound);
/* Is a header of that name one that holds a key of an API? */
bool http_header_is_key(struct span name);

#endif
