/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_http2.c - the HTTP/2 parser on recorded conversations.
 *
 * Recordings: tests/captures/http2 (see README there).
 */
#define _GNU_SOURCE
#include "tests/unit/recorded.h"

static const char *const captures[] = {
	"assets", "curl", "grpc", "head", "padding", "push", "table",
	"trailers",
};

static const struct recorded recordings = {
	.parser = &http2_parser,
	.folder = "tests/captures/http2",
	.ending = "http2",
	.names = captures,
	.count = COUNT(captures),
	.ordered = COUNT(captures),
	.cut = COUNT(captures),
};

static struct drive drive_of(const struct recording *r)
{
	return (struct drive){ .recording = r, .parser = &http2_parser };
}

START_TEST(what_is_secret_is_not_told)
{
	char *lines = recorded_lines(captures[_i]);

	ck_assert_ptr_null(strstr(lines, "not-to-be-seen"));
	free(lines);
}
END_TEST

/* The next line, or NULL; *text moves on. */
static char *next_line(char **text)
{
	char *line = *text, *end;

	if (!line || !*line)
		return NULL;
	end = strchr(line, '\n');
	ck_assert_ptr_nonnull(end);
	*end = '\0';
	*text = end + 1;
	return line;
}

/* ` key...` up to the next blank, as a string of its own; NULL: not there. */
static char *word_of(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at ? strndup(at, strcspn(at + 1, " ") + 1) : NULL;
}

/* Is there a line in the text with both words? */
static bool has_line(const char *text, const char *one, const char *other)
{
	char *copy = strdup(text), *rest = copy, *line;
	bool found = false;

	while (!found && (line = next_line(&rest)))
		found = strstr(line, one) && strstr(line, other);
	free(copy);
	return found;
}

/* An exchange that is not complete names no path but its stream's own. */
static void assert_path(const char *line, const char *whole)
{
	char *path = word_of(line, " statement=");
	char *stream = word_of(line, " datasnoop.http.stream=");

	ck_assert_ptr_nonnull(stream);
	if (path)
		ck_assert_msg(has_line(whole, path, stream), "not so: %s",
			      line);
	free(path);
	free(stream);
}

/* Every exchange that is said to be complete is one of the whole's. */
static void assert_subset(const char *lines, const char *whole,
			  const char *what, size_t at)
{
	char *copy = strdup(lines), *rest = copy, *line;

	while ((line = next_line(&rest))) {
		if (strstr(line, " incomplete "))
			assert_path(line, whole);
		else if (!strstr(whole, line))
			ck_abort_msg("%s at %zu invents: %.400s", what, at,
				     line);
	}
	free(copy);
}

/* Bytes lost anywhere: what is told complete is right. */
START_TEST(gaps_invent_nothing)
{
	static const size_t lengths[] = { 1, 9, 40, 1000 };
	struct recording r = recorded_load(captures[_i]);
	struct drive whole = drive_of(&r);
	char *all;

	whole.brief = true;
	all = drive_lines(&whole);
	for (size_t n = 0; n < 4 * SIDES; n++) {
		int side = n & 1;
		size_t length = lengths[n / 2];

		for (size_t at = 0; at < r.length[side];
		     at += 3 * law_step(&r, side)) {
			struct drive d = whole;
			char *lines;

			d.gaps[0] = (struct drive_gap){ side, at, length };
			d.gap_count = 1;
			lines = drive_lines(&d);
			assert_subset(lines, all, captures[_i], at);
			free(lines);
		}
	}
	free(all);
	recording_free(&r);
}
END_TEST

/* Begun anywhere: no path, no method, no status that was not there. */
START_TEST(starting_late_invents_nothing)
{
	struct recording r = recorded_load(captures[_i]);
	struct drive whole = drive_of(&r);
	char *all;

	whole.brief = true;
	all = drive_lines(&whole);
	for (size_t at = 1; at < r.length[SIDE_CLIENT];
	     at += law_step(&r, SIDE_CLIENT)) {
		struct drive d = whole;
		char *lines;

		d.skip[SIDE_CLIENT] = at;
		d.skip[SIDE_SERVER] = at < r.length[SIDE_SERVER] ? at : 1;
		lines = drive_lines(&d);
		assert_subset(lines, all, captures[_i], at);
		free(lines);
	}
	free(all);
	recording_free(&r);
}
END_TEST

/* After a gap in an answer's content the next exchanges are complete. */
START_TEST(gap_in_content_costs_one_exchange)
{
	struct recording r = recorded_load("grpc");
	struct drive d = drive_of(&r);
	const uint8_t *content = memmem(r.bytes[SIDE_SERVER],
					r.length[SIDE_SERVER], "Ada Ada ", 8);
	char *lines;

	ck_assert_ptr_nonnull(content);
	d.gaps[0] = (struct drive_gap){
		SIDE_SERVER, (size_t)(content - r.bytes[SIDE_SERVER]), 20 };
	d.gap_count = 1;
	lines = drive_lines(&d);
	ck_assert_uint_eq(d.exchanges, 7);
	ck_assert_uint_eq(d.incomplete, 1);
	ck_assert_ptr_nonnull(strstr(lines, "incomplete missed=20"));
	free(lines);
	recording_free(&r);
}
END_TEST

/* A lost request's fields are gone with it, and those that refer to them. */
START_TEST(lost_table_is_said)
{
	struct recording r = recorded_load("grpc");
	struct drive d = drive_of(&r);
	char *lines, *rest, *line;

	/* The preface, SETTINGS, and most of the first request. */
	d.skip[SIDE_CLIENT] = 300;
	lines = rest = drive_lines(&d);
	ck_assert_uint_ge(d.exchanges, 6);
	/* What could not be known is not there, what could be is. */
	while ((line = next_line(&rest)))
		if (strstr(line, "application=grpc"))
			ck_assert_ptr_null(strstr(line, "user_agent"));
	free(lines);
	recording_free(&r);
}
END_TEST

static enum verdict probe(const struct recording *r, enum side out,
			  size_t length, bool from_start, bool *client_out)
{
	struct opening opening = { .from_start = from_start };
	struct window *windows[] = {
		[SIDE_CLIENT] = out == SIDE_CLIENT ? &opening.out : &opening.in,
		[SIDE_SERVER] = out == SIDE_CLIENT ? &opening.in : &opening.out,
	};

	for (int side = 0; side < SIDES; side++) {
		windows[side]->bytes = r->bytes[side];
		windows[side]->length = length < r->length[side] ?
						length : r->length[side];
	}
	return http2_parser.probe(&opening, client_out);
}

START_TEST(probe_knows_it_and_who_is_who)
{
	struct recording r = recorded_load(captures[_i]);

	for (int out = 0; out < SIDES; out++) {
		bool client_out = !(out == SIDE_CLIENT);

		for (size_t n = 1; n < 24; n++)
			ck_assert_int_ne(probe(&r, out, n, true, &client_out),
					 PROBE_NO);
		ck_assert_int_eq(probe(&r, out, 24, true, &client_out),
				 PROBE_YES);
		ck_assert_int_eq(client_out, out == SIDE_CLIENT);
	}
	recording_free(&r);
}
END_TEST

START_TEST(probe_leaves_others_alone)
{
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PRI ",
		"PRIVMSG #a :b\r\n",
		"*1\r\n$4\r\nPING\r\n", "SSH-2.0-OpenSSH_9.2p1\r\n",
	};
	/* PostgreSQL's SSLRequest, Kafka's ApiVersions, MySQL, MongoDB. */
	static const uint8_t bytes[][24] = {
		{ 0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f },
		{ 0, 0, 0, 0x14, 0, 18, 0, 0, 0, 0, 0, 1, 0, 4, 'a', 'b' },
		{ 0x4a, 0, 0, 0, 10, '8', '.', '0', '.', '3', '6', 0 },
		{ 0x3a, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xdd, 7, 0, 0 },
		{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
	};
	bool client_out;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct opening opening = {
			.out = { .bytes = (const uint8_t *)texts[i],
				 .length = strlen(texts[i]) },
			.from_start = true,
		};

		ck_assert_int_eq(http2_parser.probe(&opening, &client_out),
				 strcmp(texts[i], "PRI ") ? PROBE_NO :
							    PROBE_MORE);
	}
	for (size_t i = 0; i < sizeof(bytes) / sizeof(*bytes); i++) {
		struct opening opening = { .in = { .bytes = bytes[i],
						   .length = 24 } };

		ck_assert_int_eq(http2_parser.probe(&opening, &client_out),
				 PROBE_NO);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http2");
	TCase *tcase = tcase_create("captures");

	suite_add_tcase(suite, recorded_tests(&recordings));
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, what_is_secret_is_not_told, 0,
			    COUNT(captures));
	tcase_add_loop_test(tcase, gaps_invent_nothing, 0, COUNT(captures));
	tcase_add_loop_test(tcase, starting_late_invents_nothing, 0,
			    COUNT(captures));
	tcase_add_loop_test(tcase, probe_knows_it_and_who_is_who, 0,
			    COUNT(captures));
	tcase_add_test(tcase, gap_in_content_costs_one_exchange);
	tcase_add_test(tcase, lost_table_is_said);
	tcase_add_test(tcase, probe_leaves_others_alone);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
