/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_multipart.h - what the parts of an upload are called.
 *
 * multipart/form-data (RFC 7578, RFC 2046 section 5.1): the fields' names and
 * the files' names; what is in them is not looked at.
 */
#ifndef DATASNOOP_PARSERS_HTTP_MULTIPART_H
#define DATASNOOP_PARSERS_HTTP_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parsers/exchange.h"

#define HTTP_PARTS_MAX	     16	  /* parts named; the others are counted */
#define HTTP_PART_NAME_MAX   128  /* bytes of a name kept */
#define HTTP_PART_LINE_MAX   1024 /* bytes of a part's header line read */
#define HTTP_BOUNDARY_MAX    70	  /* bytes: RFC 2046 section 5.1.1 */

struct http_multipart;

/*
 * http_multipart_new - for a body of that Content-Type
 *
 * NULL: it is no multipart/form-data, it has no boundary, or out of memory.
 */
struct http_multipart *http_multipart_new(struct span content_type);
/* More of the body, decoded; pieces of any size, in order. */
void http_multipart_feed(struct http_multipart *multipart,
			 const uint8_t *bytes, size_t length);
/* Parts begun so far. */
uint64_t http_multipart_count(const struct http_multipart *multipart);
/* Names of part `index` < HTTP_PARTS_MAX; bytes NULL: it has none. */
struct span http_multipart_name(const struct http_multipart *multipart,
				unsigned index);
struct span http_multipart_file(const struct http_multipart *multipart,
				unsigned index);
/* NULL is fine. */
void http_multipart_free(struct http_multipart *multipart);

#endif
