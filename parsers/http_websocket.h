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

struct http_websocket;

/*
 * http_websocket_new - after the head of the response 101
 * @target: of the request, masked; copied
 * @extensions: Sec-WebSocket-Extensions of the response; bytes NULL: none
 *
 * NULL: out of memory.
 */
struct http_websocket *http_websocket_new(const struct observer *observer,
					  struct span target,
					  struct span extensions);
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
