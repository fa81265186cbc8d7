/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pending.h - what every parser keeps of a request until its response is whole.
 *
 * A parser's own struct of a request begins with, or holds, a struct pending;
 * the queue of them is the parser's (utlist.h, uthash.h), with a bound.
 */
#ifndef DATASNOOP_PARSERS_PENDING_H
#define DATASNOOP_PARSERS_PENDING_H

#include "parsers/exchange.h"
#include "streams/stream.h"

struct pending {
	uint64_t request_bytes, response_bytes; /* headers included */
	uint64_t start_ns;	/* request's first byte; 0: not seen */
	uint64_t first_byte_ns; /* response's first and last byte */
	uint64_t end_ns;
	uint32_t tid;		/* thread that moved the request */
	bool damaged;		/* bytes of it are missing, or may be */
	uint64_t missed;	/* known to be */
};

/* `length` bytes at `at` of the window are of the request. */
void pending_request(struct pending *pending, const struct window *window,
		     size_t at, size_t length);
/* `length` bytes at `at` of the window are of the response. */
void pending_response(struct pending *pending, const struct window *window,
		      size_t at, size_t length);
/* So many bytes of it will not come; 0: it is not known how many. */
void pending_miss(struct pending *pending, uint64_t missed);
/* Times, byte counts, completeness into the exchange, after exchange_reset. */
void pending_describe(const struct pending *pending,
		      struct exchange *exchange);

#endif
