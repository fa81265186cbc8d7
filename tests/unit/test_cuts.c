/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cuts.c - however a capture's bytes are cut, the exchanges are the same.
 *
 * Each connection without a gap is given to the parser that recognises it, as
 * it came, byte by byte, and cut once at every byte.
 */
#define _GNU_SOURCE
#include <check.h>

#include "parsers/http.h"
#include "tests/unit/captures.h"
#include "tests/unit/suite.h"

#define EVERY_CUT_BYTES 3000 /* a longer connection is cut at fewer places */
#define CUTS_MAX	1200 /* of one side of such a one */
#define BYTEWISE_BYTES	60000 /* a longer one is cut in pieces of 7 */

static struct capture_files files;

static void same(const char *lines, const char *whole, const char *what,
		 size_t at)
{
	size_t i = 0;

	if (!strcmp(lines, whole))
		return;
	while (lines[i] == whole[i])
		i++;
	while (i && lines[i - 1] != '\n')
		i--;
	ck_abort_msg("%s, cut at %zu: %.300s\nexpected: %.300s", what, at,
		     lines + i, whole + i);
}

static void cut_everywhere(const struct recording *r,
			   const struct parser *parser, const char *what)
{
	struct drive d = { .recording = r, .parser = parser, .values = true };
	char *whole = drive_lines(&d), *lines;
	size_t bytes = r->length[0] + r->length[1];

	d.cut = bytes > BYTEWISE_BYTES ? 7 : 1;
	lines = drive_lines(&d);
	same(lines, whole, what, 0);
	free(lines);
	d.cut = 0;
	for (int side = 0; side < SIDES; side++) {
		size_t step = bytes > EVERY_CUT_BYTES ?
			r->length[side] / CUTS_MAX * bytes /
				EVERY_CUT_BYTES + 1 : 1;

		for (size_t at = 1; at < r->length[side]; at += step) {
			d.cut_at[SIDE_CLIENT] = d.cut_at[SIDE_SERVER] = 0;
			d.cut_at[side] = at;
			lines = drive_lines(&d);
			same(lines, whole, what, at);
			free(lines);
		}
	}
	free(whole);
}

static void check_connection(void *context, const struct recording *r,
			     const struct parser *parser, const char *path)
{
	(void)context;
	cut_everywhere(r, parser, path);
}

START_TEST(cuts_change_nothing)
{
	captures_visit(files.paths[_i], check_connection, NULL);
}
END_TEST

/* All that is spoken in the connections, a line each. */
static void note_connection(void *context, const struct recording *r,
			    const struct parser *parser, const char *path)
{
	struct drive d = { .recording = r, .parser = parser };
	char *lines = drive_lines(&d);

	(void)path;
	fprintf(context, "%s\n%s", parser->name, lines);
	free(lines);
}

/* None is left out above: parsers, and what is spoken over HTTP. */
START_TEST(everything_is_spoken)
{
	char *spoken = NULL, word[64];
	size_t length = 0;
	FILE *out = open_memstream(&spoken, &length);

	ck_assert_ptr_nonnull(out);
	fputc('\n', out);
	for (size_t i = 0; i < files.count; i++)
		captures_visit(files.paths[i], note_connection, out);
	fclose(out);
	for (const struct parser *const *p = parser_registry; *p; p++) {
		snprintf(word, sizeof(word), "\n%s\n", (*p)->name);
		ck_assert_msg(strstr(spoken, word), "no %s", (*p)->name);
	}
	for (size_t i = 0; http_applications[i]; i++) {
		snprintf(word, sizeof(word), " application=%s ",
			 http_applications[i]->name);
		ck_assert_msg(strstr(spoken, word), "no %s", word);
	}
	free(spoken);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cuts");
	TCase *cuts = tcase_create("cuts");
	int failed;

	files = captures_find();
	tcase_set_timeout(cuts, 120);
	tcase_add_loop_test(cuts, cuts_change_nothing, 0, (int)files.count);
	tcase_add_test(cuts, everything_is_spoken);
	suite_add_tcase(s, cuts);
	failed = suite_run(s);
	free(files.paths);
	return failed;
}
