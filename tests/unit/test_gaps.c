/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_gaps.c - a gap in a capture spoils the exchanges that touch it.
 *
 * Of each connection of each capture bytes are taken away, one or many, at
 * borders of pieces and in their middles.  Then:
 *
 * - What ended before the gap's turn (laws.h) is told as without the gap.
 * - What began behind it is told, at the same times.  It may say less, never
 *   anything else: a gap may take what later messages refer to (a prepared
 *   statement, HPACK's table, the login's capabilities, a subscription).
 * - What is told as complete was so: at the same times, with the same fields.
 *   Whom an answer belongs to is never guessed.
 */
#define _GNU_SOURCE
#include <check.h>

#include "tests/unit/captures.h"
#include "tests/unit/laws.h"

#define GAPS_MAX  16	/* places of one connection, five gaps at each */
#define BYTES_MAX 60000 /* a longer connection is left out: slow */

static struct capture_files files;
static size_t gaps_tried;

struct torn {
	const struct parser *parser;
	const struct recording *recording;
	struct drive_gap gap;
	const char *path;
	char *whole, *lines;
};

#define TORN_SAY(torn, truth, what, line)                                  \
	ck_assert_msg(truth, "%s: %s, side %d gap %zu+%zu: %s: %s\n%.2000s", \
		      (torn)->path, (torn)->parser->name,		   \
		      (torn)->gap.side, (torn)->gap.at,			   \
		      (torn)->gap.length, what, line, (torn)->lines)

/* The next of a line's words; blanks in quotes are no ends.  NULL: none. */
static char *next_word(char **rest)
{
	char *word = *rest;
	bool quoted = false;
	size_t i = 0;

	if (!word || !*word)
		return NULL;
	for (; word[i] && (quoted || word[i] != ' '); i++)
		quoted ^= word[i] == '"';
	*rest = word + i;
	if (word[i]) {
		word[i] = '\0';
		++*rest;
	}
	return word;
}

/* Sums over a connection, and the place in it, are of what was seen. */
static bool is_of_connection(const char *word, size_t length)
{
	static const char *const keys[] = {
		"amqp.index", "amqp.response.index",
		"datasnoop.websocket.client.messages",
		"datasnoop.websocket.client.size",
		"datasnoop.websocket.server.messages",
		"datasnoop.websocket.server.size",
		"datasnoop.websocket.pings",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (strlen(keys[i]) == length &&
		    !strncmp(word, keys[i], length))
			return true;
	return false;
}

/* A text may have been cut: its beginning says no other thing. */
static bool is_beginning(const char *word, const char *of)
{
	size_t length = strlen(word);

	if (length && word[length - 1] == '"')
		length--;
	return !strncmp(word, of, length);
}

/* Is it one of a line's words?  `room`: for a copy of the line. */
static bool bears_out(const char *line, const char *word, char *room)
{
	char *rest = room, *other;

	strcpy(room, line);
	while ((other = next_word(&rest)))
		if (is_beginning(word, other))
			return true;
	return false;
}

/* The first word of `line` that `truth` does not bear out; NULL: none. */
static const char *first_lie(const char *line, const char *truth, char *rooms)
{
	size_t room = strlen(line) > strlen(truth) ? strlen(line) :
						     strlen(truth);
	char *rest = rooms, *word;

	strcpy(rooms, line);
	next_word(&rest); /* the operation's name */
	while ((word = next_word(&rest))) {
		size_t key = strcspn(word, "=");

		if (!word[key] || !key || !strcmp(word + key, "=-1") ||
		    is_of_connection(word, key))
			continue;
		if (!bears_out(truth, word, rooms + room + 1))
			return word;
	}
	return NULL;
}

static unsigned long time_of(const char *line, int which)
{
	unsigned long us[3] = { 0, 0, 0 };
	const char *at = strstr(line, " us=");

	if (at)
		sscanf(at, " us=%lu/%lu/%lu", &us[0], &us[1], &us[2]);
	return us[which];
}

/* Did they begin or end at the same time? */
static bool is_same(const char *a, const char *b)
{
	return (time_of(a, 0) && time_of(a, 0) == time_of(b, 0)) ||
	       (time_of(a, 2) && time_of(a, 2) == time_of(b, 2));
}

/* A complete line is true of an exchange that there was. */
static void check_complete(const struct torn *t, const char *line)
{
	char *copy = strdup(t->whole), *rest = copy, *truth;
	char *rooms = malloc(2 * (strlen(t->whole) + strlen(line) + 2));
	char lie[256] = "none at that time";
	bool found = false;

	while (!found && (truth = strsep(&rest, "\n")) && *truth) {
		const char *first;

		if (!is_same(line, truth))
			continue;
		first = first_lie(line, truth, rooms);
		found = !first;
		if (first)
			snprintf(lie, sizeof(lie), "untrue: %s", first);
	}
	TORN_SAY(t, found, lie, line);
	free(rooms);
	free(copy);
}

/* An exchange that does not touch the gap is told. */
static void check_told(const struct torn *t, const char *line, bool before)
{
	char *copy = strdup(t->lines), *rest = copy, *told;
	bool found = false;

	while (!found && (told = strsep(&rest, "\n")) && *told)
		found = before ? !strcmp(told, line) : is_same(told, line);
	TORN_SAY(t, found, before ? "changed before the gap" :
				    "not told behind the gap", line);
	free(copy);
}

static void check_gap(struct torn *t)
{
	const struct recording *r = t->recording;
	struct drive d = { .recording = r, .parser = t->parser,
			   .gaps = { t->gap }, .gap_count = 1 };
	size_t end = t->gap.at + t->gap.length;
	unsigned first = law_turn(r, law_piece(r, t->gap.side, t->gap.at));
	unsigned last = law_turn(r, law_piece(r, t->gap.side, end));
	unsigned begin, until;
	char *copy, *rest, *line;

	t->lines = drive_lines(&d);
	copy = rest = strdup(t->whole);
	while ((line = strsep(&rest, "\n")) && *line) {
		law_turns(r, line, &begin, &until);
		if (until < first)
			check_told(t, line, true);
		if (begin > last)
			check_told(t, line, false);
	}
	free(copy);
	copy = rest = strdup(t->lines);
	while ((line = strsep(&rest, "\n")) && *line)
		if (!strstr(line, " incomplete "))
			check_complete(t, line);
	free(copy);
	free(t->lines);
}

static void check_connection(void *context, const struct recording *r,
			     const struct parser *parser, const char *path)
{
	struct drive d = { .recording = r, .parser = parser };
	struct torn t = { .parser = parser, .recording = r, .path = path };
	size_t step = 1 + r->piece_count / GAPS_MAX;

	(void)context;
	if (r->length[0] + r->length[1] > BYTES_MAX)
		return;
	t.whole = drive_lines(&d);
	for (size_t i = 0; i < r->piece_count; i += step) {
		const struct drive_piece *p = &r->pieces[i];
		const struct drive_gap gaps[] = {
			{ p->side, p->at, 1 },
			{ p->side, p->at, p->length },
			{ p->side, p->at + p->length / 2, 1 },
			{ p->side, p->at + p->length / 2,
			  p->length - p->length / 2 },
			{ p->side, p->at + p->length / 3, p->length },
		};

		for (size_t g = 0; g < sizeof(gaps) / sizeof(*gaps); g++) {
			t.gap = gaps[g];
			if (t.gap.length > r->length[p->side] - t.gap.at)
				t.gap.length = r->length[p->side] - t.gap.at;
			check_gap(&t);
			gaps_tried++;
		}
	}
	free(t.whole);
}

START_TEST(gaps_spoil_what_they_touch)
{
	captures_visit(files.paths[_i], check_connection, NULL);
}
END_TEST

/* A file without a connection that is known has none: others have. */
START_TEST(gaps_are_tried)
{
	for (size_t i = 0; i < files.count && !gaps_tried; i++)
		captures_visit(files.paths[i], check_connection, NULL);
	ck_assert_uint_gt(gaps_tried, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gaps");
	TCase *gaps = tcase_create("gaps");
	int failed;

	files = captures_find();
	tcase_set_timeout(gaps, 120);
	tcase_add_loop_test(gaps, gaps_spoil_what_they_touch, 0,
			    (int)files.count);
	tcase_add_test(gaps, gaps_are_tried);
	suite_add_tcase(s, gaps);
	failed = suite_run(s);
	free(files.paths);
	return failed;
}
