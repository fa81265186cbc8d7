/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_http1_loss.c - HTTP/1.x where bytes were lost: whose answer is it?
 *
 * An answer is never given to another's request as if that were known, and
 * what begins behind the loss is told.
 */
#define _GNU_SOURCE
#include <check.h>

#include "tests/unit/drive.h"
#include "tests/unit/suite.h"

#define OK(reason) "HTTP/1.1 200 " reason "\r\nContent-Length: 0\r\n\r\n"
#define GET(path)  "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static void add(struct recording *r, enum side side, const char *text)
{
	recording_add(r, side, text, strlen(text),
		      1000 * (r->piece_count + 1));
}

/* Without `length` bytes from the first `text` of that side; frees it. */
static char *lines_without(struct recording *r, enum side side,
			   const char *text, size_t length)
{
	struct drive d = { .recording = r, .parser = &http_parser,
			   .gap_count = 1 };
	const uint8_t *at = memmem(r->bytes[side], r->length[side], text,
				   strlen(text));
	char *lines;

	ck_assert_msg(at != NULL, "no %s", text);
	d.gaps[0] = (struct drive_gap){
		side, (size_t)(at - r->bytes[side]), length };
	lines = drive_lines(&d);
	recording_free(r);
	return lines;
}

/* Is there a line with both, and is it complete? */
static void assert_pair(const char *lines, const char *request,
			const char *reason, bool complete)
{
	char *copy = strdup(lines), *rest = copy, *line;
	bool found = false;

	while ((line = strsep(&rest, "\n")))
		found = found || (strstr(line, request) &&
				  strstr(line, reason) &&
				  !strstr(line, " incomplete ") == complete);
	ck_assert_msg(found, "no %s %s %s in: %.2000s", request, reason,
		      complete ? "complete" : "incomplete", lines);
	free(copy);
}

static void assert_no_pair(const char *lines, const char *request,
			   const char *reason)
{
	char *copy = strdup(lines), *rest = copy, *line;

	while ((line = strsep(&rest, "\n")))
		ck_assert_msg(!strstr(line, request) ||
			      !strstr(line, reason) ||
			      strstr(line, " incomplete "),
			      "%s", line);
	free(copy);
}

/* Requests that were lost were sent with the one that was seen. */
START_TEST(answers_of_lost_requests_are_not_the_next_ones)
{
	struct recording r = { .piece_count = 0 };
	char *lines;

	add(&r, SIDE_CLIENT, GET("/1") GET("/2"));
	add(&r, SIDE_SERVER, OK("one") OK("two"));
	add(&r, SIDE_CLIENT, GET("/3") "DELETE /4 HTTP/1.1\r\n\r\n");
	add(&r, SIDE_SERVER, OK("three") OK("four"));
	add(&r, SIDE_CLIENT, GET("/5"));
	add(&r, SIDE_SERVER, OK("five"));
	lines = lines_without(&r, SIDE_CLIENT, "GET /2",
			      strlen(GET("/2") GET("/3")));
	assert_pair(lines, "\"/1\"", "\"one\"", true);
	assert_no_pair(lines, "DELETE", "\"three\"");
	/* All had been answered when it was sent. */
	assert_pair(lines, "\"/5\"", "\"five\"", true);
	free(lines);
}
END_TEST

/* A client that does not wait leaves nothing that would say it. */
START_TEST(overlapping_requests_are_not_believed_again)
{
	struct recording r = { .piece_count = 0 };
	char *lines;

	add(&r, SIDE_CLIENT, GET("/1"));
	add(&r, SIDE_CLIENT, GET("/2"));
	add(&r, SIDE_SERVER, OK("one"));
	add(&r, SIDE_CLIENT, GET("/3"));
	add(&r, SIDE_SERVER, OK("two"));
	add(&r, SIDE_CLIENT, GET("/4"));
	add(&r, SIDE_SERVER, OK("three"));
	add(&r, SIDE_CLIENT, GET("/5"));
	add(&r, SIDE_SERVER, OK("four"));
	add(&r, SIDE_CLIENT, GET("/6"));
	add(&r, SIDE_SERVER, OK("five"));
	add(&r, SIDE_SERVER, OK("six"));
	lines = lines_without(&r, SIDE_CLIENT, "GET /4", strlen(GET("/4")));
	assert_pair(lines, "\"/2\"", "\"two\"", true);
	assert_no_pair(lines, "\"/5\"", "\"four\"");
	assert_no_pair(lines, "\"/6\"", "\"five\"");
	free(lines);
}
END_TEST

/* What is due before the final answer may be what is missing. */
START_TEST(an_interim_answer_may_be_lost)
{
	static const char interim[] = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n";
	struct recording r = { .piece_count = 0 };
	char *lines;

	add(&r, SIDE_CLIENT, GET("/1"));
	add(&r, SIDE_SERVER, OK("one"));
	add(&r, SIDE_CLIENT, GET("/2"));
	add(&r, SIDE_SERVER, interim);
	add(&r, SIDE_SERVER, OK("two"));
	add(&r, SIDE_CLIENT, GET("/3"));
	add(&r, SIDE_SERVER, OK("three"));
	lines = lines_without(&r, SIDE_SERVER, interim, strlen(interim));
	assert_pair(lines, "\"/2\"", "\"two\"", false);
	assert_pair(lines, "\"/3\"", "\"three\"", true);
	free(lines);
}
END_TEST

/* "TE" of a DELETE whose first letters came with the loss and before. */
START_TEST(the_rest_of_a_method_is_none)
{
	struct recording r = { .piece_count = 0 };
	char *lines;

	add(&r, SIDE_CLIENT, GET("/1"));
	add(&r, SIDE_SERVER, OK("one"));
	add(&r, SIDE_CLIENT, "DELET");
	add(&r, SIDE_CLIENT, "E /2 HTTP/1.1\r\n\r\n");
	add(&r, SIDE_SERVER, OK("two"));
	lines = lines_without(&r, SIDE_CLIENT, "DELET", 1);
	ck_assert_ptr_null(strstr(lines, "TE status"));
	assert_pair(lines, "\"/2\"", "\"two\"", false);
	free(lines);
}
END_TEST

/* Of a lost HEAD the answer has no body, though it tells the size of one. */
START_TEST(a_body_of_an_unseen_request_may_not_be_there)
{
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &http_parser,
			   .gap_count = 2 };
	char *lines;

	add(&r, SIDE_CLIENT, GET("/1"));
	add(&r, SIDE_SERVER, OK("one"));
	add(&r, SIDE_CLIENT, "HEAD /2 HTTP/1.1\r\n\r\n");
	add(&r, SIDE_SERVER, "HTTP/1.1 200 two\r\nContent-Length: 300\r\n\r\n");
	add(&r, SIDE_CLIENT, GET("/3"));
	add(&r, SIDE_SERVER, OK("three"));
	add(&r, SIDE_CLIENT, GET("/4"));
	add(&r, SIDE_SERVER, OK("four"));
	d.gaps[0] = (struct drive_gap){ SIDE_CLIENT, r.pieces[2].at, 10 };
	d.gaps[1] = (struct drive_gap){ SIDE_SERVER, r.pieces[5].at, 6 };
	lines = drive_lines(&d);
	assert_pair(lines, "\"/3\"", "us=5/", false);
	assert_pair(lines, "\"/4\"", "\"four\"", true);
	free(lines);
	recording_free(&r);
}
END_TEST

/* Two holes in one upload hide one request, not two. */
START_TEST(the_rest_of_a_lost_request_is_no_other)
{
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &http_parser,
			   .gap_count = 2 };
	char *lines;

	add(&r, SIDE_CLIENT, GET("/1"));
	add(&r, SIDE_SERVER, OK("one"));
	add(&r, SIDE_CLIENT, "POST /2 HTTP/1.1\r\nContent-Length: 26\r\n\r\n"
	    "abcdefghijklmnopqrstuvwxyz");
	add(&r, SIDE_SERVER, OK("two"));
	add(&r, SIDE_CLIENT, GET("/3"));
	add(&r, SIDE_SERVER, OK("three"));
	d.gaps[0] = (struct drive_gap){ SIDE_CLIENT, r.pieces[2].at, 10 };
	d.gaps[1] = (struct drive_gap){ SIDE_CLIENT, r.pieces[4].at - 9, 4 };
	lines = drive_lines(&d);
	assert_pair(lines, "\"/3\"", "\"three\"", true);
	free(lines);
	recording_free(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http1_loss");
	TCase *t = tcase_create("loss");

	tcase_add_test(t, answers_of_lost_requests_are_not_the_next_ones);
	tcase_add_test(t, overlapping_requests_are_not_believed_again);
	tcase_add_test(t, an_interim_answer_may_be_lost);
	tcase_add_test(t, the_rest_of_a_method_is_none);
	tcase_add_test(t, a_body_of_an_unseen_request_may_not_be_there);
	tcase_add_test(t, the_rest_of_a_lost_request_is_no_other);
	suite_add_tcase(s, t);
	return suite_run(s);
}
