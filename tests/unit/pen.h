/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pen.h - writes conversations for a parser's tests, and asks the parser.
 */
#ifndef DATASNOOP_TESTS_UNIT_PEN_H
#define DATASNOOP_TESTS_UNIT_PEN_H

#include "tests/unit/laws.h"

/* A message in the making. */
struct pen {
	uint8_t bytes[1 << 18];
	size_t length;
};

static inline void pen_bytes(struct pen *pen, const void *bytes, size_t length)
{
	ck_assert(pen->length + length <= sizeof(pen->bytes));
	memcpy(pen->bytes + pen->length, bytes, length);
	pen->length += length;
}

static inline void pen_text(struct pen *pen, const char *text)
{
	pen_bytes(pen, text, strlen(text));
}

/* An integer of so many bytes in network order. */
static inline void pen_be(struct pen *pen, unsigned bytes, uint64_t value)
{
	while (bytes--) {
		uint8_t byte = (uint8_t)(value >> (8 * bytes));

		pen_bytes(pen, &byte, 1);
	}
}

/* The same with its least significant byte first. */
static inline void pen_le(struct pen *pen, unsigned bytes, uint64_t value)
{
	for (; bytes--; value >>= 8)
		pen_be(pen, 1, value & 0xff);
}

/* Overwrites four bytes with a length, in network order. */
static inline void pen_fill(struct pen *pen, size_t at, size_t length)
{
	for (int i = 0; i < 4; i++)
		pen->bytes[at + i] = (uint8_t)(length >> (24 - 8 * i));
}

/* What was written becomes a piece of the side; the pen is empty again. */
static inline void pen_send(struct pen *pen, struct recording *r,
			    enum side side)
{
	recording_add(r, side, pen->bytes, pen->length,
		      1000 * (r->piece_count + 1));
	pen->length = 0;
}

/* The lines of a conversation, in pieces of `cut` bytes; 0: whole. */
static inline char *pen_lines(const struct parser *parser,
			      const struct recording *r, size_t cut)
{
	struct drive d = { .recording = r, .parser = parser, .cut = cut,
			   .values = true };

	return drive_lines(&d);
}

/* The lines, without times, are these; frees the recording. */
static inline void pen_expect(const struct parser *parser,
			      struct recording *r, const char *expected)
{
	struct drive d = { .recording = r, .parser = parser, .brief = true,
			   .values = true };
	char *lines = drive_lines(&d);

	law_same(lines, expected, "conversation", 0);
	free(lines);
	recording_free(r);
}

/* A number below `below`; the same ones in each run. */
static inline size_t pen_random(size_t below)
{
	static uint32_t random = 1;

	random = random * 1664525u + 1013904223u;
	return (random >> 8) % below;
}

/* Bytes changed here and there, cuts and gaps: no law of drive.h is broken. */
static inline void pen_noise(const struct parser *parser,
			     const struct recording *r, unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++) {
		struct recording noisy = { .piece_count = 0 };
		struct drive d = { .recording = &noisy, .parser = parser,
				   .values = true };
		enum side side;
		size_t at;

		for (size_t i = 0; i < r->piece_count; i++) {
			const struct drive_piece *p = &r->pieces[i];

			recording_add(&noisy, p->side,
				      r->bytes[p->side] + p->at, p->length,
				      p->ns);
		}
		for (size_t i = pen_random(12) + 1; i; i--) {
			side = (enum side)pen_random(2);
			at = pen_random(noisy.length[side]);
			noisy.bytes[side][at] = (uint8_t)(
				i & 1 ? pen_random(256) : 0xff);
		}
		d.cut = pen_random(90);
		side = (enum side)pen_random(2);
		at = pen_random(noisy.length[side]);
		d.gap_count = (unsigned)pen_random(2);
		d.gaps[0] = (struct drive_gap){
			side, at, 1 + pen_random(noisy.length[side] - at) };
		free(drive_lines(&d));
		recording_free(&noisy);
	}
}

/* What the parser says of the two directions' first bytes. */
static inline enum verdict pen_probe(const struct parser *parser,
				     const void *out, size_t out_length,
				     const void *in, size_t in_length,
				     bool *client_out)
{
	struct opening opening = {
		.out = { .bytes = out, .length = out_length },
		.in = { .bytes = in, .length = in_length },
		.from_start = true,
	};

	return parser->probe(&opening, client_out);
}

#endif
