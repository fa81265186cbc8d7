/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_content.h - a body's codings undone, as far as that is safe.
 *
 * gzip (x-gzip), deflate (with zlib's header as RFC 9110 section 8.4.1.2 asks,
 * and without as some servers send it), br and zstd, chained in any order
 * (section 8.4).  What comes out is bounded, in relation to what went in and
 * absolutely, and the memory of all decoders together is.
 */
#ifndef DATASNOOP_PARSERS_HTTP_CONTENT_H
#define DATASNOOP_PARSERS_HTTP_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parsers/exchange.h"

#define HTTP_CODINGS_MAX 4 /* chained; more than two are an attack */
/* Bytes out for a byte in: deflate itself ends at 1032, text at about 100. */
#define HTTP_EXPANSION_MAX 256
#define HTTP_EXPANSION_FREE_BYTES (1 << 20) /* out, before that is asked */
/* Decoded of one body: a second's work of a decoder or so. */
#define HTTP_DECODED_BYTES_MAX (256ULL << 20)
/* Of all decoders together: sixteen of brotli's largest windows. */
#define HTTP_DECODERS_BYTES_MAX (256UL << 20)

enum http_content_state {
	HTTP_CONTENT_FINE,
	HTTP_CONTENT_UNKNOWN, /* a coding of no known name, or too many */
	HTTP_CONTENT_CORRUPT, /* the bytes are not of that coding */
	HTTP_CONTENT_LIMIT,   /* it would expand beyond the bounds */
	HTTP_CONTENT_MEMORY   /* no memory for a decoder, or too much of it */
};

struct http_content;

/* Are these codings none at all: "", "identity"? */
bool http_content_is_identity(struct span codings);

/*
 * http_content_new - undo `codings`, a list in the order they were applied
 * @piece: gets the content in order, in pieces of any size
 *
 * NULL: out of memory.
 */
struct http_content *
http_content_new(struct span codings,
		 void (*piece)(void *context, const uint8_t *bytes,
			       size_t length),
		 void *context);
/*
 * http_content_feed - more of the coded body
 *
 * Anything but HTTP_CONTENT_FINE is final: nothing more comes out.
 */
enum http_content_state http_content_feed(struct http_content *content,
					  const uint8_t *bytes, size_t length);
/* Bytes that have come out. */
uint64_t http_content_size(const struct http_content *content);
/* Why no more comes out, in a word ("corrupt"); NULL: all is fine. */
const char *http_content_trouble(const struct http_content *content);
/* NULL is fine. */
void http_content_free(struct http_content *content);

#endif
