/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * laws.h - what holds for each parser on each recording, whatever it holds.
 *
 * Piece n of a recording moved at n us (drive.h), so a line's times tell
 * which pieces it came from.  A turn is the client's pieces up to the
 * server's, and the server's up to the client's next.
 */
#ifndef DATASNOOP_TESTS_UNIT_LAWS_H
#define DATASNOOP_TESTS_UNIT_LAWS_H

#include "tests/unit/drive.h"
#include "tests/unit/suite.h"

static inline size_t law_step(const struct recording *r, int side)
{
	return suite_stride(r->length[side]);
}

/* check's own messages are too short for whole conversations. */
static inline void law_same(const char *lines, const char *expected,
			    const char *what, size_t at)
{
	size_t i = 0;

	if (!strcmp(lines, expected))
		return;
	while (lines[i] == expected[i])
		i++;
	while (i && lines[i - 1] != '\n')
		i--;
	ck_abort_msg("%s at %zu: %.300s\nexpected: %.300s", what, at,
		     lines + i, expected + i);
}

static inline char *law_file(const char *path)
{
	char *text = NULL;
	size_t room = 0;
	FILE *file = fopen(path, "r");

	ck_assert_msg(file != NULL, "no %s", path);
	ck_assert_int_gt(getdelim(&text, &room, '\0', file), 0);
	fclose(file);
	return text;
}

/* The lines are those of `path`. */
static inline void law_expected(const struct parser *parser,
				const struct recording *r, const char *path)
{
	struct drive d = { .recording = r, .parser = parser, .values = true };
	char *expected = law_file(path), *lines = drive_lines(&d);

	law_same(lines, expected, path, 0);
	free(lines);
	free(expected);
}

/*
 * All of the client's bytes may be read before the server's.  `values`: they
 * too come in the same pieces and order.
 */
static inline void law_client_first(const struct parser *parser,
				    const struct recording *r, bool values)
{
	struct drive d = { .recording = r, .parser = parser, .values = values };
	char *expected = drive_lines(&d), *lines;

	d.client_first = true;
	lines = drive_lines(&d);
	law_same(lines, expected, "client first", 0);
	free(lines);
	free(expected);
}

/* The same at each cut, and in pieces of any size. */
static inline void law_cuts(const struct parser *parser,
			    const struct recording *r)
{
	static const size_t sizes[] = { 1, 2, 3, 5, 7, 64 };
	struct drive d = { .recording = r, .parser = parser, .values = true };
	char *whole = drive_lines(&d), *lines;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		d.cut = sizes[i];
		lines = drive_lines(&d);
		law_same(lines, whole, "pieces", sizes[i]);
		free(lines);
	}
	d.cut = 0;
	for (int side = 0; side < SIDES; side++) {
		size_t every = law_step(r, side);

		for (size_t at = 1; at < r->length[side]; at += every) {
			d.cut_at[side] = at;
			lines = drive_lines(&d);
			law_same(lines, whole, "cut", at);
			free(lines);
		}
		d.cut_at[side] = 0;
	}
	free(whole);
}

/* The turn of piece `index`. */
static inline unsigned law_turn(const struct recording *r, size_t index)
{
	enum side before = SIDE_SERVER;
	unsigned turn = 0;

	for (size_t i = 0; i <= index && i < r->piece_count; i++) {
		turn += r->pieces[i].side == SIDE_CLIENT &&
			before == SIDE_SERVER;
		before = r->pieces[i].side;
	}
	return turn;
}

/* The turns in which a line's exchange began and ended. */
static inline void law_turns(const struct recording *r, const char *line,
			     unsigned *first, unsigned *last)
{
	const char *at = strstr(line, " us=");
	unsigned long us[3] = { 0, 0, 0 };

	ck_assert_msg(at && sscanf(at, " us=%lu/%lu/%lu", &us[0], &us[1],
				   &us[2]) == 3, "%s", line);
	if (!us[0])
		us[0] = us[1];
	if (!us[2])
		us[2] = us[0];
	*first = law_turn(r, us[0] - 1);
	*last = law_turn(r, us[2] - 1);
}

/*
 * Removes what a parser can't know behind a gap.  Inlined, gcc 12 takes the
 * text of open_memstream() for a local variable's.
 */
static __attribute__((noinline, unused)) void
law_strip(char *lines, const char *key)
{
	char *at, *end;

	while ((at = strstr(lines, key))) {
		end = strchr(at + strlen(key), '"');
		memmove(at, end + 1, strlen(end + 1) + 1);
	}
}

/*
 * Is `line` what `told` begins with?  `doubts`: but for its times and sizes,
 * when it is called incomplete.
 */
static inline bool law_is(const char *told, const char *line, bool doubts)
{
	size_t length = strlen(line), text = (size_t)(strstr(line, " bytes=") -
						      line);

	if (!strncmp(told, line, length) && told[length] == '\n')
		return true;
	return doubts && !strncmp(told, line, text) &&
	       !strncmp(told + text, " incomplete ", 12);
}

/*
 * May a line be passed over?  One that is incomplete; with `doubts` also one
 * that says, as complete, what another in `whole` says.
 */
static inline bool law_passes(const char *line, const char *whole, bool doubts)
{
	size_t length = strcspn(line, "\n");
	const char *bytes = strstr(line, " bytes=");

	if (memmem(line, length, " incomplete ", 12))
		return true;
	return doubts && bytes && bytes < line + length &&
	       memmem(whole, strlen(whole), line, (size_t)(bytes - line));
}

/* The line of that kind, behind such as pass; NULL: none. */
static inline char *law_find(char *from, const char *line, const char *whole,
			     bool doubts)
{
	while (*from && !law_is(from, line, doubts)) {
		if (!law_passes(from, whole, doubts))
			return NULL;
		from = strchr(from, '\n') + 1;
	}
	return *from ? from : NULL;
}

/*
 * Each complete line of `lines` is one of `whole`, in order; each of `whole`
 * outside the turns from `first` to `last` is there.  `doubts`: it may be
 * called incomplete, where nothing proves that the gap has not touched it.
 */
static inline void law_others(const struct recording *r, char *whole,
			      char *lines, unsigned first, unsigned last,
			      bool doubts, const char *what)
{
	char *copy = strdup(whole), *rest = copy, *line, *from = lines;

	while ((line = strsep(&rest, "\n")) && *line) {
		unsigned begin, end;
		char *found = law_find(from, line, whole, doubts);

		law_turns(r, line, &begin, &end);
		if (found)
			from = strchr(found, '\n') + 1;
		else
			ck_assert_msg(end >= first && begin <= last,
				      "%s: lost: %s\nin: %.600s", what, line,
				      lines);
	}
	for (; *from; from = strchr(from, '\n') + 1)
		ck_assert_msg(law_passes(from, whole, doubts),
			      "%s: invented: %.300s", what, from);
	free(copy);
}

static inline size_t law_piece(const struct recording *r, enum side side,
			       size_t at)
{
	size_t i = 0;

	while (i + 1 < r->piece_count &&
	       (r->pieces[i].side != side ||
		r->pieces[i].at + r->pieces[i].length <= at))
		i++;
	return i;
}

/*
 * A gap of `length` bytes at each place: what does not touch it is right.  It
 * touches the bytes next to it too, where it ends nobody knows, unless they may
 * be doubted.  `key`: a field to be ignored, " namespace=\"".
 */
static inline void law_gaps(const struct parser *parser,
			    const struct recording *r, size_t length,
			    const char *key, bool doubts)
{
	struct drive d = { .recording = r, .parser = parser };
	char *whole = drive_lines(&d), *lines, what[80];

	law_strip(whole, key);
	for (int side = 0; side < SIDES; side++) {
		size_t every = law_step(r, side);

		for (size_t at = 0; at < r->length[side]; at += every) {
			size_t end = at + length < r->length[side] ?
				at + length : r->length[side];

			d.gaps[0] = (struct drive_gap){ (enum side)side, at,
							end - at };
			d.gap_count = 1;
			lines = drive_lines(&d);
			law_strip(lines, key);
			snprintf(what, sizeof(what), "side %d gap %zu-%zu",
				 side, at, end);
			law_others(r, whole, lines,
				   law_turn(r, law_piece(r, (enum side)side,
							 at)),
				   law_turn(r, law_piece(r, (enum side)side,
							 end - doubts)), doubts,
				   what);
			free(lines);
		}
	}
	free(whole);
}

/*
 * A byte of the server's is lost, at each place: its exchange is there still,
 * and it alone is incomplete.  `exact`: no byte is a check sum of the
 * transport's, whose loss costs nothing.
 */
static inline void law_marked(const struct parser *parser,
			      const struct recording *r, bool exact)
{
	struct drive base = { .recording = r, .parser = parser };
	size_t every = law_step(r, SIDE_SERVER);

	drive_run(&base);
	/* Of the first bytes nothing is known but that they are lost. */
	for (size_t at = 12; at < r->length[SIDE_SERVER]; at += every) {
		struct drive d = { .recording = r, .parser = parser };

		d.gaps[0] = (struct drive_gap){ SIDE_SERVER, at, 1 };
		d.gap_count = 1;
		drive_run(&d);
		ck_assert_msg(d.exchanges == base.exchanges,
			      "gap at %zu: %zu exchanges", at, d.exchanges);
		/* Before the client's first word nothing is asked. */
		if (law_turn(r, law_piece(r, SIDE_SERVER, at)))
			ck_assert_msg(d.incomplete == 1 ||
					      (!exact && !d.incomplete),
				      "gap at %zu: %zu incomplete", at,
				      d.incomplete);
	}
}

/* One side ends anywhere: what was complete before is as it was. */
static inline void law_truncation(const struct parser *parser,
				  const struct recording *r, const char *key)
{
	struct drive d = { .recording = r, .parser = parser };
	char *whole = drive_lines(&d), *lines, *line, *rest;

	law_strip(whole, key);
	for (int side = 0; side < SIDES; side++) {
		size_t every = law_step(r, side);

		for (size_t at = 0; at < r->length[side]; at += every) {
			d.gaps[0] = (struct drive_gap){
				(enum side)side, at, r->length[side] - at };
			d.gap_count = 1;
			lines = drive_lines(&d);
			law_strip(lines, key);
			for (rest = lines; (line = strsep(&rest, "\n"));)
				ck_assert_msg(strstr(line, " incomplete ") ||
					      strstr(whole, line),
					      "side %d cut at %zu: %s", side,
					      at, line);
			free(lines);
		}
	}
	free(whole);
}

/* A capture that begins at any byte of one side ends as the whole one does. */
static inline void law_late_start(const struct parser *parser,
				  const struct recording *r, const char *key,
				  bool doubts)
{
	struct drive d = { .recording = r, .parser = parser };
	char *whole = drive_lines(&d), *lines, what[80];

	law_strip(whole, key);
	for (int side = 0; side < SIDES; side++) {
		size_t every = law_step(r, side);

		for (size_t at = 1; at < r->length[side]; at += every) {
			size_t piece = law_piece(r, (enum side)side, at);

			d.skip[side] = at;
			/* The other side's bytes from that time on. */
			d.skip[!side] = 0;
			for (size_t i = 0; i < piece; i++)
				if (r->pieces[i].side != (enum side)side)
					d.skip[!side] = r->pieces[i].at +
							r->pieces[i].length;
			lines = drive_lines(&d);
			law_strip(lines, key);
			snprintf(what, sizeof(what), "side %d starts at %zu",
				 side, at);
			law_others(r, whole, lines, 0, law_turn(r, piece),
				   doubts, what);
			free(lines);
		}
		d.skip[side] = 0;
	}
	free(whole);
}

#endif
