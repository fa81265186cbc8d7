/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_parsers.c - any bytes, in any pieces, with any gaps: the law holds.
 *
 * The input is a conversation in small steps (conversation_input.h).  It
 * chooses the parser, so that a run costs one parser's time.  drive.h aborts
 * when a parser breaks the law of parser.h.
 */
#include "tests/fuzz/conversation_input.h"
#include "tests/unit/drive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_piece(struct drive *d, struct recording *r, uint8_t control,
		      const uint8_t *bytes, size_t length)
{
	enum side side = control & INPUT_SERVER ? SIDE_SERVER : SIDE_CLIENT;

	if (length > 1 && control & INPUT_TORN &&
	    d->gap_count < DRIVE_GAPS_MAX)
		d->gaps[d->gap_count++] = (struct drive_gap){
			side, r->length[side], length / 2 };
	recording_add(r, side, bytes, length, 1000 * (r->piece_count + 1));
}

static void add_pieces(struct drive *d, struct recording *r,
		       const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		uint8_t control = *at++;
		size_t length = control & INPUT_LENGTH_MASK;

		if (length == INPUT_LONG && at < end)
			length = INPUT_UNIT_BYTES * (size_t)*at++;
		if (length > (size_t)(end - at))
			length = (size_t)(end - at);
		add_piece(d, r, control, at, length);
		at += length;
	}
}

/* An exact-size copy of a side's beginning. */
static struct window head(const struct recording *r, enum side side,
			  struct mark *mark)
{
	size_t length = r->length[side];
	uint8_t *copy = malloc(length ? length : 1);

	DRIVE_LAW(copy);
	if (length)
		memcpy(copy, r->bytes[side], length);
	*mark = (struct mark){ .end = length, .first_ns = 1, .last_ns = 1 };
	return (struct window){ .bytes = copy, .length = length,
				.marks = mark, .mark_count = length > 0 };
}

/* Asked what this is, as captured from either end; true: it is the parser's. */
static bool probe(const struct parser *parser, const struct recording *r)
{
	bool yes = false;

	for (int out = 0; out < SIDES; out++) {
		struct mark marks[SIDES];
		struct opening opening = {
			.in = head(r, (enum side)!out, &marks[0]),
			.out = head(r, (enum side)out, &marks[1]),
			.from_start = r->piece_count & 1,
			.last = r->piece_count & 2,
		};
		bool client_out;

		yes |= parser->probe(&opening, &client_out) == PROBE_YES;
		free((void *)opening.in.bytes);
		free((void *)opening.out.bytes);
	}
	return yes;
}

static void run(struct drive *d, const struct parser *parser)
{
	d->parser = parser;
	free(drive_lines(d));
}

static void run_chosen(struct drive *d, size_t choice)
{
	const struct parser *const *p = parser_registry;

	for (size_t i = 0; *p && i < choice; i++)
		p++;
	if (*p) {
		probe(*p, d->recording);
		run(d, *p);
		return;
	}
	for (p = parser_registry; *p; p++)
		if (probe(*p, d->recording))
			run(d, *p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t cuts[] = { 0, 1, 3, 17 };
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .values = true };
	size_t late;

	if (size < INPUT_HEAD_BYTES)
		return 0;
	d.cut = cuts[data[0] & INPUT_CUT_MASK];
	d.client_first = data[0] & INPUT_CLIENT_FIRST;
	late = data[0] >> INPUT_LATE_SHIFT;
	add_pieces(&d, &r, data + INPUT_HEAD_BYTES, data + size);
	for (int side = 0; side < SIDES; side++)
		if (data[0] & INPUT_LATE << side && late < r.length[side])
			d.skip[side] = late;
	run_chosen(&d, data[1] & INPUT_PARSER_MASK);
	recording_free(&r);
	return 0;
}
