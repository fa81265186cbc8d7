/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_parsers.c - any bytes, in any pieces, with any gaps: the law holds.
 *
 * The input is a conversation in small steps: a control byte, then a piece.
 * Bit 7: the server's; bit 6: of the piece, the first half is lost; bits 0-5:
 * its length, 63: what the next byte says times 4.  The first byte chooses how
 * the pieces are cut and where the capture begins.  drive.h aborts when a
 * parser breaks the law of parser.h.
 */
#include "tests/unit/drive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_piece(struct drive *d, struct recording *r, uint8_t control,
		      const uint8_t *bytes, size_t length)
{
	enum side side = control & 0x80 ? SIDE_SERVER : SIDE_CLIENT;

	if (length > 1 && control & 0x40 && d->gap_count < DRIVE_GAPS_MAX)
		d->gaps[d->gap_count++] = (struct drive_gap){
			side, r->length[side], length / 2 };
	recording_add(r, side, bytes, length, 1000 * (r->piece_count + 1));
}

/* A parser that is asked what this is, as captured from either end. */
static void probe(const struct parser *parser, const struct recording *r)
{
	for (int out = 0; out < SIDES; out++) {
		struct opening opening = {
			.in = { .bytes = r->bytes[!out],
				.length = r->length[!out] },
			.out = { .bytes = r->bytes[out],
				 .length = r->length[out] },
			.from_start = r->piece_count & 1,
		};
		bool client_out;

		parser->probe(&opening, &client_out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t cuts[] = { 0, 1, 3, 17 };
	const uint8_t *at = data + 1, *end = data + size;
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r };
	char *text;

	if (!size)
		return 0;
	d.cut = cuts[*data & 3];
	d.client_first = *data & 4;
	while (at < end) {
		uint8_t control = *at++;
		size_t length = control & 0x3f;

		if (length == 0x3f && at < end)
			length = 4 * (size_t)*at++;
		if (length > (size_t)(end - at))
			length = (size_t)(end - at);
		add_piece(&d, &r, control, at, length);
		at += length;
	}
	for (int side = 0; side < SIDES; side++)
		if (*data & 8 << side && r.length[side])
			d.skip[side] = *data >> 5 < r.length[side] ?
					       *data >> 5 : 0;
	for (const struct parser *const *p = parser_registry; *p; p++) {
		probe(*p, &r);
		d.parser = *p;
		d.values = true;
		text = drive_lines(&d);
		free(text);
	}
	recording_free(&r);
	return 0;
}
