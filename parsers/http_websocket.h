/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_websocket.h - what a connection speaks after `Upgrade: websocket`.
 *
 * Each message is an exchange of system "websocket", as either side sends when
 * it likes: operation TEXT or BINARY, the request's target as its subject.
 * Pings and pongs are counted and told, with the messages' totals, in the one
 * exchange CLOSE that ends the connection.
 * Sources: RFC 6455, RFC 7692 (permessage-deflate).
 */
#ifndef DATASNOOP_PARSERS_HTTP_WEBSOCKET_H
#define DATASNOOP_PARSERS_HTTP_WEBSOCKET_H

#include "parsers/parser.h"

/* What a side may make use of when nobody knows what was agreed upon. */
#define HTTP_WEBSOCKET_ANY "permessage-deflate"

struct http_websocket;

/*
 * http_websocket_new - after the head of the response 101
 * @target: of the request, masked; copied
 * @extensions: Sec-WebSocket-Extensions of the response; bytes NULL: none;
 *	HTTP_WEBSOCKET_ANY if it was not seen
 *
 * NULL: out of memory.
 */
struct http_websocket *http_websocket_new(const struct observer *observer,
					  struct span target,
					  struct span extensions);
/*
 * http_websocket_find - where frames begin in bytes that may be WebSocket's
 * @side: who sent them
 * @unseen: what comes before the first byte was not seen; else they begin
 *	there or nowhere, and what there is of the first one may do
 *
 * `length`: nowhere.
 */
size_t http_websocket_find(enum side side, const struct window *window,
			   bool unseen);
/* Where that side's frames begin was not seen: resync() has to find them. */
void http_websocket_unseen(struct http_websocket *ws, enum side side);
/* As in parser.h; DONE once both sides have said goodbye. */
struct step http_websocket_parse(struct http_websocket *ws, enum side side,
				 const struct window *window);
size_t http_websocket_resync(struct http_websocket *ws, enum side side,
			     const struct window *window);
void http_websocket_gap(struct http_websocket *ws, enum side side,
			uint64_t missed);
/* Tells what is pending, and the end; frees it. */
void http_websocket_close(struct http_websocket *ws);

#endif
