/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * turns.h - written conversations, what is lost of them, what must be told.
 *
 * Turns are texts, the client's first; a turn's bytes move at once.
 */
#ifndef DATASNOOP_TESTS_UNIT_TURNS_H
#define DATASNOOP_TESTS_UNIT_TURNS_H

#include "tests/unit/laws.h"

#define TURNS_MAX  8
#define TURN_BYTES 256

/*
 * Of what is expected each must be (or, behind a "!", must not be) the parts of
 * one line, " & " between them, the operation first.
 */
struct turns_case {
	const char *turns[TURNS_MAX]; /* "": a side has nothing to say */
	const char *lost;	      /* the first such bytes are; NULL: none */
	size_t length;		      /* of them; 0: all */
	const char *expected[4];
};

/* What a client sends for a turn's text, into TURN_BYTES; returns its length. */
typedef size_t (*turns_write)(char *out, const char *text);

static inline size_t turns_plain(char *out, const char *text)
{
	size_t length = strlen(text);

	ck_assert_uint_lt(length, TURN_BYTES);
	memcpy(out, text, length);
	return length;
}

/* Has a line of `lines` all the parts of `parts`? */
static inline bool turns_told(const char *lines, const char *parts)
{
	char *copy = strdup(lines), *rest = copy, *line;
	bool told = false;

	while (!told && (line = strsep(&rest, "\n"))) {
		char *wanted = strdup(parts), *part, *next;
		size_t name = strcspn(wanted, " ");

		told = !strncmp(line, wanted, name) && line[name] == ' ';
		for (part = strstr(wanted, " & "); part && told; part = next) {
			part += 3;
			next = strstr(part, " & ");
			if (next)
				*next = '\0';
			told = strstr(line, part);
			if (next)
				*next = ' ';
		}
		free(wanted);
	}
	free(copy);
	return told;
}

/* The first such bytes of either side; a client's are as it writes them. */
static inline struct drive_gap turns_gap(const struct recording *r,
					 const struct turns_case *c,
					 turns_write write)
{
	char text[SIDES][TURN_BYTES];
	size_t length[SIDES];

	length[SIDE_CLIENT] = write(text[SIDE_CLIENT], c->lost);
	length[SIDE_SERVER] = turns_plain(text[SIDE_SERVER], c->lost);
	for (int side = 0; side < SIDES; side++) {
		const uint8_t *at = memmem(r->bytes[side], r->length[side],
					   text[side], length[side]);

		if (at)
			return (struct drive_gap){
				(enum side)side,
				(size_t)(at - r->bytes[side]),
				c->length ? c->length : length[side] };
	}
	ck_abort_msg("no such bytes: %s", c->lost);
}

static inline void turns_check(const struct parser *parser,
			       const struct turns_case *c, turns_write write)
{
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = parser };
	char *lines, turn[TURN_BYTES];

	for (size_t i = 0; i < TURNS_MAX && c->turns[i]; i++) {
		size_t length = (i & 1 ? turns_plain : write)(turn,
							      c->turns[i]);

		recording_add(&r, i & 1 ? SIDE_SERVER : SIDE_CLIENT, turn,
			      length, 1000 * (i + 1));
	}
	if (c->lost)
		d.gaps[d.gap_count++] = turns_gap(&r, c, write);
	lines = drive_lines(&d);
	for (int i = 0; i < 4 && c->expected[i]; i++) {
		bool not = c->expected[i][0] == '!';

		ck_assert_msg(turns_told(lines, c->expected[i] + not) != not,
			      "%s\nin: %s", c->expected[i], lines);
	}
	free(lines);
	recording_free(&r);
}

#endif
