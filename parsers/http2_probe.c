/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http2_probe.c - is it HTTP/2, and which end is the client?
 *
 * A client that is seen from its start begins with 24 bytes that nothing else
 * begins with.  In mid-connection frames must look right on both sides, and
 * one side's header fields must tell which it is.
 * Source: RFC 9113 sections 3.4 and 8.3.
 */
#include "parsers/http2.h"

static enum verdict probe_preface(const struct window *window)
{
	size_t length = window->length < HTTP2_PREFACE_BYTES ?
				window->length : HTTP2_PREFACE_BYTES;

	if (!length || memcmp(window->bytes, HTTP2_PREFACE, length))
		return PROBE_NO;
	return length < HTTP2_PREFACE_BYTES ? PROBE_MORE : PROBE_YES;
}

enum verdict http2_probe(const struct opening *opening, bool *client_out)
{
	const struct window *windows[] = { &opening->in, &opening->out };
	struct http2_sight sights[2];
	enum http2_looks looks[2];
	bool more = false;

	for (int out = 0; out < 2; out++) {
		enum verdict verdict = probe_preface(windows[out]);

		*client_out = out;
		if (verdict == PROBE_YES)
			return PROBE_YES;
		more |= verdict == PROBE_MORE;
	}
	for (int out = 0; out < 2; out++) {
		looks[out] = http2_look(windows[out]->bytes,
					windows[out]->length, NULL,
					&sights[out]);
		if (looks[out] == HTTP2_NO_FRAMES)
			return more ? PROBE_MORE : PROBE_NO;
	}
	for (int out = 0; out < 2; out++) {
		enum side side = sights[out].side;

		/* A server may be heard before its client. */
		if (opening->from_start && sights[out].settings_first &&
		    !windows[!out]->length)
			side = SIDE_SERVER;
		if (looks[out] != HTTP2_FRAMES || side == SIDES)
			continue;
		*client_out = (side == SIDE_CLIENT) == (out == 1);
		return PROBE_YES;
	}
	return PROBE_MORE;
}
