/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pending.c - what every parser keeps of a request until its response is whole.
 */
#include "parsers/pending.h"

void pending_request(struct pending *pending, const struct window *window,
		     size_t at, size_t length)
{
	if (!length)
		return;
	if (!pending->request_bytes) {
		pending->start_ns = window_first_ns(window, at);
		pending->tid = window_tid(window, at);
	}
	pending->request_bytes += length;
}

void pending_response(struct pending *pending, const struct window *window,
		      size_t at, size_t length)
{
	if (!length)
		return;
	if (!pending->response_bytes)
		pending->first_byte_ns = window_first_ns(window, at);
	pending->response_bytes += length;
	pending->end_ns = window_last_ns(window, at + length - 1);
}

void pending_miss(struct pending *pending, uint64_t missed)
{
	pending->damaged = true;
	pending->missed += missed;
}

void pending_describe(const struct pending *pending,
		      struct exchange *exchange)
{
	exchange->request_bytes = pending->request_bytes;
	exchange->response_bytes = pending->response_bytes;
	exchange->start_ns = pending->start_ns;
	exchange->first_byte_ns = pending->first_byte_ns;
	exchange->end_ns = pending->end_ns;
	exchange->tid = pending->tid;
	exchange->complete = !pending->damaged;
	exchange->missed_bytes = pending->missed;
}
