/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loss.h - conversations of which bytes of both sides are lost.
 *
 * Each is run once without loss, which is the truth: it has the times and
 * sizes of each exchange, so that no two lines are equal.  Then with gaps: what
 * is called complete must be in the truth as it is; what no gap has touched
 * must be there.
 */
#ifndef DATASNOOP_TESTS_UNIT_LOSS_H
#define DATASNOOP_TESTS_UNIT_LOSS_H

#include "tests/unit/laws.h"

#define EXCHANGES_MAX 16
#define BORDERS_MAX   256

/* With a sanitizer each of so many pairs of gaps. */
#define LOSS_EVERY (SUITE_SANITIZED ? 13u : 1u)

/* A conversation with its packets' borders and its exchanges' places. */
struct talk {
	const struct parser *parser;
	struct recording r;
	uint64_t ns;
	bool batched; /* a response moves at once, not by packets */
	bool unmarked; /* no response says where it begins: what is lost right
			  before it may have been of it */
	size_t borders[SIDES][BORDERS_MAX], border_count[SIDES];
	size_t starts[EXCHANGES_MAX][SIDES], ends[EXCHANGES_MAX][SIDES];
	size_t count;
};

/* What is between two places of a side. */
struct range {
	size_t from, to;
};

/* A packet of a side, with its head. */
static inline void talk_add(struct talk *t, enum side side, const void *bytes,
			    size_t length)
{
	struct recording *r = &t->r;
	bool joins = t->batched && r->piece_count &&
		     r->pieces[r->piece_count - 1].side == side;

	ck_assert_uint_lt(t->border_count[side], BORDERS_MAX);
	t->borders[side][t->border_count[side]++] = r->length[side];
	t->ns += 1000;
	recording_add(r, side, bytes, length, t->ns);
	if (joins) {
		r->piece_count--;
		r->pieces[r->piece_count - 1].length += length;
	}
}

/* An exchange begins with what is said next, and ends with what was said. */
static inline void talk_begin(struct talk *t)
{
	ck_assert_uint_lt(t->count, EXCHANGES_MAX);
	for (int side = 0; side < SIDES; side++)
		t->starts[t->count][side] = t->r.length[side];
}

static inline void talk_end(struct talk *t)
{
	for (int side = 0; side < SIDES; side++)
		t->ends[t->count][side] = t->r.length[side];
	t->count++;
}

/* The ends of both sides are borders too. */
static inline void talk_finish(struct talk *t)
{
	for (int side = 0; side < SIDES; side++)
		t->borders[side][t->border_count[side]++] = t->r.length[side];
}

/* The exchange's own lines are those with its request's time. */
static inline const char *line_of(const char *lines, const struct talk *t,
				  size_t n)
{
	char key[32];
	const char *at;

	for (size_t i = 0; i < t->r.piece_count; i++)
		if (t->r.pieces[i].side == SIDE_CLIENT &&
		    t->r.pieces[i].at == t->starts[n][SIDE_CLIENT])
			snprintf(key, sizeof(key), " us=%" PRIu64 "/",
				 t->r.pieces[i].ns / 1000);
	at = strstr(lines, key);
	while (at && at > lines && at[-1] != '\n')
		at--;
	return at;
}

static inline bool is_touched(const struct talk *t, size_t n, enum side side,
			      struct range gap)
{
	size_t to = gap.to + (t->unmarked && side == SIDE_SERVER);

	return gap.from < gap.to && t->starts[n][side] < to &&
	       gap.from < t->ends[n][side];
}

/* Both gaps are before the exchange, or both behind it. */
static inline bool is_aside(const struct talk *t, size_t n,
			    const struct range gaps[SIDES])
{
	bool before = true, behind = true;

	for (int side = 0; side < SIDES; side++) {
		if (gaps[side].from == gaps[side].to)
			continue;
		before = before && gaps[side].to <= t->starts[n][side];
		behind = behind && gaps[side].from >= t->ends[n][side];
	}
	return before || behind;
}

/* What is complete is in the truth, word for word. */
static inline void assert_no_lie(const char *lines, const char *truth,
				 const char *what)
{
	char *copy = strdup(lines), *rest = copy, *line;

	while ((line = strsep(&rest, "\n")) && *line)
		ck_assert_msg(strstr(line, " incomplete ") ||
				      strstr(truth, line),
			      "%s: not true: %.300s\nin:\n%.900s", what, line,
			      lines);
	free(copy);
}

static inline void assert_right(const struct talk *t, const char *truth,
				const char *lines,
				const struct range gaps[SIDES],
				const char *what)
{
	bool one_sided = gaps[0].from == gaps[0].to ||
			 gaps[1].from == gaps[1].to;

	assert_no_lie(lines, truth, what);
	for (size_t n = 0; n < t->count; n++) {
		const char *line = line_of(truth, t, n);
		size_t length = strcspn(line, "\n");
		bool whole = !is_touched(t, n, SIDE_CLIENT, gaps[0]) &&
			     !is_touched(t, n, SIDE_SERVER, gaps[1]);

		if (!whole || !(one_sided || is_aside(t, n, gaps)))
			continue;
		ck_assert_msg(memmem(lines, strlen(lines), line, length),
			      "%s: missing: %.*s\nin:\n%.900s", what,
			      (int)length, line, lines);
	}
}

static inline char *run_gaps(const struct parser *parser,
			     const struct recording *r,
			     const struct range gaps[SIDES], bool client_first)
{
	struct drive d = { .recording = r, .parser = parser,
			   .client_first = client_first };

	for (int side = 0; side < SIDES; side++)
		if (gaps[side].from < gaps[side].to)
			d.gaps[d.gap_count++] = (struct drive_gap){
				(enum side)side, gaps[side].from,
				gaps[side].to - gaps[side].from };
	return drive_lines(&d);
}

static inline void check_gaps(const struct talk *t, const char *truth,
			      const struct range gaps[SIDES])
{
	char *lines = run_gaps(t->parser, &t->r, gaps, false), what[96];

	snprintf(what, sizeof(what), "client %zu-%zu server %zu-%zu",
		 gaps[0].from, gaps[0].to, gaps[1].from, gaps[1].to);
	assert_right(t, truth, lines, gaps, what);
	free(lines);
}

/*
 * Every gap of the server's whole packets with that of the client's.  `nth`
 * counts them over the calls, from a number below LOSS_EVERY.
 */
static inline void check_server_gaps(const struct talk *t, const char *truth,
				     struct range client, unsigned *nth)
{
	const size_t *borders = t->borders[SIDE_SERVER];
	size_t count = t->border_count[SIDE_SERVER];

	for (size_t from = 0; from < count; from++) {
		for (size_t to = from; to < count; to++) {
			const struct range gaps[SIDES] = {
				client, { borders[from], borders[to] } };

			if (from == to && from)
				continue;
			if (!(++*nth % LOSS_EVERY))
				check_gaps(t, truth, gaps);
		}
	}
}

/* Every gap of the one side's whole packets with every of the other's. */
static inline void talk_with_gaps(struct talk *t)
{
	const size_t *borders = t->borders[SIDE_CLIENT];
	static const struct range none[SIDES];
	char *truth = run_gaps(t->parser, &t->r, none, false);
	unsigned nth = 0;

	ck_assert_ptr_null(strstr(truth, "incomplete"));
	for (size_t from = 0; from < t->border_count[SIDE_CLIENT]; from++) {
		for (size_t to = from; to < t->border_count[SIDE_CLIENT];
		     to++) {
			const struct range gap = { borders[from], borders[to] };

			if (from != to || !from)
				check_server_gaps(t, truth, gap, &nth);
		}
	}
	free(truth);
	recording_free(&t->r);
}

#endif
