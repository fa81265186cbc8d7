/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_http1.c - the HTTP/1.x parser on written and recorded conversations.
 *
 * Recordings: tests/captures/http (see README there).  Found relative to the
 * directory of the sources, from which make runs the tests.
 */
#define _GNU_SOURCE
#include <check.h>

#include "tests/unit/laws.h"

#define C(text) { SIDE_CLIENT, text, sizeof(text) - 1 }
#define S(text) { SIDE_SERVER, text, sizeof(text) - 1 }
#define OK0 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

#define PIECES_MAX 12
#define LINES_MAX  6

struct conversation {
	const char *name;
	/* A hole leaves nothing that would say whose an answer is. */
	bool pipelined;
	struct {
		enum side side;
		const char *bytes;
		size_t length;
	} pieces[PIECES_MAX];
	/*
	 * A line an exchange; of each, parts that it must hold, with `;;`
	 * between, and those after `!!` that it must not.
	 */
	const char *lines[LINES_MAX];
};

static const struct conversation conversations[] = {
	{ "get", false,
	  { C("GET /a/b?x=1&y=two HTTP/1.1\r\nHost: [::1]:8080\r\n"
	      "User-Agent: t/1\r\n\r\n"),
	    S("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	      "Content-Length: 5\r\n\r\nhello"),
	    C("GET /second HTTP/1.1\r\nHost: h\r\n\r\n"),
	    S("HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nno!") },
	  { "GET status=200 rows;; statement=\"/a/b?x=1&y=two\";;"
	    "masked=\"/a/b?x=?&y=?\";;url.path=\"/a/b\";;"
	    "http.request.header.host=\"[::1]:8080\";;"
	    "user_agent.original=\"t/1\";;http.response.body.size=5;;"
	    "url.query=\"x=1&y=two\"(value);;"
	    "network.protocol.version=\"1.1\";;bytes=66/69 us=1/2/2 tid=7"
	    "!!incomplete",
	    "GET status=404 failed;;message=\"Not Found\";;us=3/4/4" } },
	{ "pipelining", true,
	  { C("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"),
	    C("HEAD /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.1\r\n\r\n"),
	    S("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"),
	    S("HTTP/1.1 201 OK\r\nContent-Length: 1\r\n\r\nb"
	      "HTTP/1.1 202 OK\r\nContent-Length: 9\r\n\r\n"
	      "HTTP/1.1 203 OK\r\nContent-Length: 1\r\n\r\nd") },
	  { "GET status=200;;\"/1\"!!incomplete", "GET status=201;;\"/2\"",
	    "HEAD status=202;;\"/3\";;response.body.size=0",
	    "GET status=203;;\"/4\"" } },
	{ "chunked", false,
	  { C("POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
	      "\r\n5;a=\"b\"\r\nhello\r\nA\r\n0123456789\r\n"),
	    C("0\r\nX-Sum: 1\r\n\r\n"),
	    S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
	      "Content-Type: text/plain\r\n\r\n"),
	    S("3\r\nabc\r\n"), S("000\r\n\r\n"),
	    C("GET /d HTTP/1.1\r\n\r\n"), S(OK0) },
	  { "POST;;request.body.size=15;;response.body.size=3;;"
	    "datasnoop.http.request.chunked=1;;"
	    "datasnoop.http.response.chunked=1!!incomplete", "/d" } },
	{ "continue", false,
	  { C("POST /up HTTP/1.1\r\nExpect: 100-continue\r\n"
	      "Content-Length: 4\r\n\r\n"),
	    S("HTTP/1.1 100 Continue\r\n\r\n"),
	    S("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
	    C("body"),
	    S("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n") },
	  { "POST status=201;;datasnoop.http.interim=100;;"
	    "datasnoop.http.interim=103;;request.body.size=4!!incomplete" } },
	{ "called off", true,
	  { C("POST /up HTTP/1.1\r\nExpect: 100-continue\r\n"
	      "Content-Length: 400\r\n\r\n"),
	    S("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"),
	    C("GET /next HTTP/1.1\r\n\r\n"), S(OK0) },
	  { "POST status=417;;request.body.size=0!!incomplete",
	    "GET status=200;;\"/next\"!!incomplete" } },
	{ "no content", false,
	  { C("DELETE /x HTTP/1.1\r\n\r\n"),
	    S("HTTP/1.1 204 No Content\r\n\r\n"),
	    C("GET /y HTTP/1.1\r\nIf-None-Match: \"e\"\r\n\r\n"),
	    S("HTTP/1.1 304 Not Modified\r\n"
	      "Content-Length: 77\r\n\r\n"),
	    C("HEAD /z HTTP/1.1\r\n\r\n"),
	    S("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"),
	    C("GET /e HTTP/1.1\r\n\r\n"), S(OK0) },
	  { "DELETE status=204!!incomplete", "status=304!!incomplete",
	    "HEAD status=200;;response.body.size=0!!incomplete", "/e" } },
	{ "until close", true,
	  { C("GET / HTTP/1.0\r\n\r\n"),
	    S("HTTP/1.0 200 OK\r\n\r\nall "), S("of it") },
	  { "GET status=200;;response.body.size=9;;"
	    "network.protocol.version=\"1.0\"!!incomplete" } },
	{ "lenient", false,
	  { C("\r\n\nGET  /l HTTP/1.1\nHost:h  \nX-Fold: a\n"
	      "\tb\n c\nContent-Length: 2\n\nhi"),
	    S("\r\nHTTP/1.1 200\nContent-Length: 1\n\nx") },
	  { "GET status=200;;header.host=\"h\";;request.body.size=2;;"
	    "response.body.size=1!!malformed" } },
	{ "absolute", false,
	  { C("GET http://joe:pw@h:81?q=1#f HTTP/1.1\r\n\r\n"),
	    S(OK0),
	    C("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), S(OK0) },
	  { "statement=\"http://joe:***@h:81?q=1#f\";;"
	    "masked=\"http://joe:***@h:81?q=?#?\";;host=\"h:81\";;"
	    "url.scheme=\"http\"!!pw", "OPTIONS;;statement=\"*\"" } },
	{ "smuggling", false,
	  { C("POST /s HTTP/1.1\r\nContent-Length: 4\r\n"
	      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
	    S(OK0),
	    C("POST /t HTTP/1.1\r\nContent-Length: 1\r\n"
	      "Content-Length: 2\r\n\r\nx"), S(OK0),
	    C("POST /u HTTP/1.1\r\nContent-Length : 1\r\n\r\nx"),
	    S(OK0),
	    C("POST /v HTTP/1.1\r\nContent-Length: +1\r\n\r\n"),
	    S(OK0) },
	  { "ambiguous=\"content-length and transfer-encoding\"",
	    "ambiguous=\"content-lengths differ\"", "malformed=\"head\"",
	    "malformed=\"content-length\"" } },
	{ "secrets", false,
	  { C("GET /k?key=s3cr3t&n=7&access_token=s3cr3t HTTP/1.1"
	      "\r\nAuthorization: Basic YWRhOnMzY3IzdA==\r\n"
	      "X-Api-Key: s3cr3t\r\nProxy-Authorization: s3cr3t\r\n"
	      "Cookie: sid=s3cr3t; lang=s3cr3t; s3cr3t\r\n\r\n"),
	    S("HTTP/1.1 200 OK\r\nSet-Cookie: sid=s3cr3t; Path=/\r\n"
	      "Content-Length: 0\r\n\r\n"),
	    C("GET /;jsessionid=s3cr3t HTTP/1.1\r\n"
	      "Authorization: Bearer s3cr3t\r\n\r\n"), S(OK0) },
	  { "statement=\"/k?key=?&n=7&access_token=?\";;"
	    "datasnoop.http.auth.scheme=\"Basic\";;"
	    "datasnoop.http.auth.user=\"ada\";;"
	    "datasnoop.http.api_key=\"x-api-key\";;"
	    "datasnoop.http.proxy_auth.scheme=\"other\";;"
	    "datasnoop.http.request.cookie=\"sid\";;"
	    "datasnoop.http.request.cookie=\"lang\";;"
	    "datasnoop.http.response.cookie=\"sid\"!!s3cr3t",
	    "statement=\"/;jsessionid=***\";;masked=\"/;jsessionid=***\";;"
	    "auth.scheme=\"Bearer\"!!s3cr3t" } },
	{ "upload", false,
	  { C("POST /f HTTP/1.1\r\nContent-Length: 171\r\n"
	      "Content-Type: multipart/form-data; boundary=\"x-y\"\r\n"
	      "\r\n--x-y\r\nContent-Disposition: form-data; "
	      "name=\"who\"\r\n\r\nada\r\n--x-y\r\n"
	      "Content-Disposition: form-data; name=\"doc\"; "
	      "filename=\"a b.pdf\"\r\n\r\n%PDF\r\n--x-z\r\n"
	      "--x-y--\r\n..."),
	    S(OK0) },
	  { "multipart.parts=2;;multipart.name=\"who\";;"
	    "multipart.name=\"doc\";;multipart.filename=\"a b.pdf\""
	    "!!ada;;PDF" } },
	{ "events", false,
	  { C("GET /e HTTP/1.1\r\n\r\n"),
	    S("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	      "Transfer-Encoding: chunked\r\n\r\n"
	      "9\r\ndata: a\n\n\r\n"),
	    S("9\r\ndata: b\n\n\r\n0\r\n\r\n") },
	  { "datasnoop.http.sse_events=2;;response.body.size=18" } },
	{ "early answer", true,
	  { C("POST /p HTTP/1.1\r\nContent-Length: 6\r\n\r\nab"),
	    S("HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n"),
	    C("cdef"), C("GET /q HTTP/1.1\r\n\r\n"), S(OK0) },
	  { "POST status=413;;request.body.size=6!!incomplete",
	    "GET status=200;;\"/q\"!!incomplete" } },
	{ "tunnel", true,
	  { C("CONNECT db:3306 HTTP/1.1\r\nHost: db:3306\r\n\r\n"),
	    S("HTTP/1.1 200 Connected\r\n\r\n"),
	    C("GET /inner HTTP/1.1\r\nHost: db\r\n\r\n"), S(OK0) },
	  { "CONNECT status=200;;statement=\"db:3306\"!!incomplete",
	    "GET status=200;;\"/inner\"!!incomplete" } },
	{ "refused tunnel", true,
	  { C("CONNECT db:1 HTTP/1.1\r\n\r\n"),
	    S("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\n"
	      "no"),
	    C("GET /n HTTP/1.1\r\n\r\n"), S(OK0) },
	  { "CONNECT status=403 failed!!incomplete", "\"/n\"!!incomplete" } },
	{ "refused upgrade", true,
	  { C("GET /w HTTP/1.1\r\nUpgrade: websocket\r\n"
	      "Connection: Upgrade\r\n\r\n"), S(OK0),
	    C("GET /x HTTP/1.1\r\n\r\n"), S(OK0) },
	  { "status=200;;datasnoop.http.upgrade=\"websocket\"", "\"/x\"" } },
	{ "unknown upgrade", true,
	  { C("POST /attach HTTP/1.1\r\nUpgrade: tcp\r\n"
	      "Connection: Upgrade\r\n\r\n"),
	    S("HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n"),
	    C("\x01\x02\x03 raw"), S("\x7f raw") },
	  { "POST status=101;;datasnoop.http.upgrade=\"tcp\"!!incomplete" } },
	{ "chunk errors", true,
	  { C("GET /1 HTTP/1.1\r\n\r\n"),
	    S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
	      "\r\nzz\r\nabc\r\n0\r\n\r\n"),
	    C("GET /2 HTTP/1.1\r\n\r\n"), S(OK0) },
	  { "malformed=\"chunk\";; incomplete", "\"/2\"!!incomplete" } },
	{ "junk between", true,
	  { C("GET /1 HTTP/1.1\r\n\r\n"), S(OK0 "junk\r\n"),
	    C("GET /2 HTTP/1.1\r\n\r\n"), S(OK0) },
	  { "\"/1\"!!incomplete", "\"/2\"!!incomplete" } },
	{ "unanswered", true,
	  { C("GET /1 HTTP/1.1\r\n\r\n"), S(OK0),
	    C("GET /2 HTTP/1.1\r\n\r\n") },
	  { "\"/1\"!!incomplete", "GET status=-1;;\"/2\";; incomplete" } },
	{ "head cut", true,
	  { C("POST /t?a=1 HTTP/1.1\r\nHost: localhost\r\nUs"),
	    S("HTTP/1.1 400 Bad Request\r\nDate: x\r\n"
	      "Content-Length: 1") },
	  { "POST status=400;;\"/t?a=1\";;host=\"localhost\";; incomplete" } },
	{ "unasked", false,
	  { S("HTTP/1.1 408 Request Timeout\r\n"
	      "Content-Length: 0\r\n\r\n") },
	  { "UNKNOWN status=408 failed" } },
};
#define CONVERSATION_COUNT (sizeof(conversations) / sizeof(*conversations))

static struct recording record(const struct conversation *conversation)
{
	struct recording r = { .piece_count = 0 };

	for (size_t i = 0; i < PIECES_MAX; i++)
		recording_add(&r, conversation->pieces[i].side,
			      conversation->pieces[i].bytes,
			      conversation->pieces[i].length, 1000 * (i + 1));
	return r;
}

static void assert_parts(const char *line, const char *parts, const char *name)
{
	char *copy = strdup(parts), *none = strstr(copy, "!!"), *at = copy;

	if (none) {
		*none = '\0';
		none += 2;
	}
	for (int wanted = 1; wanted >= 0; wanted--, at = none) {
		while (at && *at) {
			char *next = strstr(at, ";;");

			if (next)
				*next = '\0';
			ck_assert_msg(!!strstr(line, at) == !!wanted,
				      "%s: %s%s: %s", name,
				      wanted ? "no " : "", at, line);
			at = next ? next + 2 : NULL;
		}
	}
	free(copy);
}

static void assert_lines(char *lines, const struct conversation *conversation)
{
	char *rest = lines, *line;
	size_t n = 0;

	for (; (line = strsep(&rest, "\n")) && *line; n++) {
		ck_assert_msg(n < LINES_MAX && conversation->lines[n],
			      "%s: one too many: %s", conversation->name, line);
		assert_parts(line, conversation->lines[n], conversation->name);
	}
	ck_assert_msg(n == LINES_MAX || !conversation->lines[n],
		      "%s: no %s", conversation->name, conversation->lines[n]);
}

START_TEST(tells_what_is_said)
{
	struct recording r = record(&conversations[_i]);
	struct drive d = { .recording = &r, .parser = &http_parser };
	char *lines = drive_lines(&d);

	assert_lines(lines, &conversations[_i]);
	free(lines);
	recording_free(&r);
}
END_TEST

START_TEST(cuts_change_nothing)
{
	struct recording r = record(&conversations[_i]);

	law_cuts(&http_parser, &r);
	recording_free(&r);
}
END_TEST

START_TEST(truncation_keeps_what_was_complete)
{
	struct recording r = record(&conversations[_i]);

	law_truncation(&http_parser, &r, " none=\"");
	recording_free(&r);
}
END_TEST

START_TEST(gaps_spoil_what_they_touch)
{
	static const size_t lengths[] = { 1, 2, 7, 30, 90 };
	struct recording r = record(&conversations[_i]);

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		if (!conversations[_i].pipelined)
			law_gaps(&http_parser, &r, lengths[i], " none=\"", false);
	recording_free(&r);
}
END_TEST

START_TEST(late_start_finds_the_next)
{
	struct recording r = record(&conversations[_i]);

	if (!conversations[_i].pipelined)
		law_late_start(&http_parser, &r, " none=\"", false);
	recording_free(&r);
}
END_TEST

/* With a hole, what is called complete is as it was without. */
START_TEST(gaps_never_pair_wrongly)
{
	static const size_t lengths[] = { 1, 5, 40, 70 };
	struct recording r = record(&conversations[_i]);
	struct drive d = { .recording = &r, .parser = &http_parser,
			   .brief = true };
	char *whole = drive_lines(&d);

	for (size_t i = 0; i < 2 * sizeof(lengths) / sizeof(*lengths); i++) {
		enum side side = i & 1 ? SIDE_SERVER : SIDE_CLIENT;

		for (size_t at = 0; at < r.length[side];
		     at += law_step(&r, side)) {
			size_t length = lengths[i / 2];
			char *lines, *line, *rest;

			if (length > r.length[side] - at)
				length = r.length[side] - at;
			d.gaps[0] = (struct drive_gap){ side, at, length };
			d.gap_count = 1;
			rest = lines = drive_lines(&d);
			while ((line = strsep(&rest, "\n")))
				ck_assert_msg(strstr(line, " incomplete ") ||
					      strstr(whole, line),
					      "%s: side %d gap %zu+%zu: %s",
					      conversations[_i].name, side, at,
					      length, line);
			free(lines);
		}
	}
	free(whole);
	recording_free(&r);
}
END_TEST

static const char *const captures[] = { "curl", "close", "pipeline" };
#define CAPTURE_COUNT (sizeof(captures) / sizeof(*captures))
/* The last of them leaves nothing that would say whose an answer is. */
#define CAPTURE_ALONE (CAPTURE_COUNT - 1)

static struct recording load(const char *name)
{
	struct recording r;
	char path[256];

	snprintf(path, sizeof(path), "tests/captures/http/%s.http", name);
	ck_assert_msg(recording_load(&r, path), "no %s", path);
	return r;
}

START_TEST(captures_give_what_is_expected)
{
	struct recording r = load(captures[_i]);
	char path[256];

	snprintf(path, sizeof(path), "tests/captures/http/%s.expected",
		 captures[_i]);
	law_expected(&http_parser, &r, path);
	recording_free(&r);
}
END_TEST

START_TEST(captures_cut_anywhere)
{
	struct recording r = load(captures[_i]);

	law_cuts(&http_parser, &r);
	law_truncation(&http_parser, &r, " none=\"");
	recording_free(&r);
}
END_TEST

START_TEST(captures_with_gaps)
{
	static const size_t lengths[] = { 1, 50, 700, 3000 };
	struct recording r = load(captures[_i]);

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		law_gaps(&http_parser, &r, lengths[i], " none=\"", false);
	law_late_start(&http_parser, &r, " none=\"", false);
	recording_free(&r);
}
END_TEST

static void add(struct recording *r, enum side side, const char *text)
{
	recording_add(r, side, text, strlen(text),
		      1000 * (r->piece_count + 1));
}

static char *lines_of(struct recording *r)
{
	struct drive d = { .recording = r, .parser = &http_parser,
			   .values = true };
	char *lines = drive_lines(&d);

	recording_free(r);
	return lines;
}

/* A head longer than is kept, headers more than are: the next is right. */
START_TEST(heads_are_bounded)
{
	struct recording r = { .piece_count = 0 };
	char *lines, line[64];

	add(&r, SIDE_CLIENT, "GET /long HTTP/1.1\r\nX: ");
	for (int i = 0; i < 3000; i++)
		add(&r, SIDE_CLIENT, "0123456789012345678901234567890");
	add(&r, SIDE_CLIENT, "\r\n\r\nGET /many HTTP/1.1\r\n");
	for (int i = 0; i < 200; i++) {
		snprintf(line, sizeof(line), "x-%d: %d\r\n", i, i);
		add(&r, SIDE_CLIENT, line);
	}
	add(&r, SIDE_CLIENT, "Content-Length: 2\r\n\r\nab");
	add(&r, SIDE_CLIENT, "GET /next HTTP/1.1\r\n\r\n");
	for (int i = 0; i < 3; i++)
		add(&r, SIDE_SERVER, OK0);
	lines = lines_of(&r);
	ck_assert_ptr_nonnull(strstr(lines, "url.path=\"/long\""));
	ck_assert_ptr_nonnull(strstr(lines, "url.path=\"/many\""));
	ck_assert_ptr_nonnull(strstr(lines, "http.request.body.size=2 "));
	ck_assert_ptr_nonnull(strstr(lines, "GET status=200 rows=-1 "
				"affected=-1 results=1 statement=\"/next\""));
	free(lines);
}
END_TEST

START_TEST(targets_are_bounded)
{
	struct recording r = { .piece_count = 0 };
	char *lines;

	add(&r, SIDE_CLIENT, "GET /a");
	for (int i = 0; i < 2000; i++)
		add(&r, SIDE_CLIENT, "/0123456789");
	add(&r, SIDE_CLIENT, "?token=s3cr3t HTTP/1.1\r\n\r\n");
	add(&r, SIDE_SERVER, OK0);
	lines = lines_of(&r);
	ck_assert_ptr_nonnull(strstr(lines, "...16384\""));
	ck_assert_ptr_nonnull(strstr(lines, " cut "));
	ck_assert_ptr_null(strstr(lines, "s3cr3t"));
	free(lines);
}
END_TEST

/* A server that never answers. */
START_TEST(pipelines_are_bounded)
{
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &http_parser };

	for (int i = 0; i < 1000; i++)
		add(&r, SIDE_CLIENT, "GET / HTTP/1.1\r\n\r\n");
	drive_run(&d);
	ck_assert_int_eq((int)d.exchanges, 1000);
	ck_assert_int_eq((int)d.incomplete, 1000);
	recording_free(&r);
}
END_TEST

/* CONNECT through CONNECT, for ever. */
START_TEST(tunnels_are_bounded)
{
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &http_parser };

	for (int i = 0; i < 20; i++) {
		add(&r, SIDE_CLIENT, "CONNECT a:1 HTTP/1.1\r\n\r\n");
		add(&r, SIDE_SERVER, "HTTP/1.1 200 OK\r\n\r\n");
	}
	drive_run(&d);
	ck_assert_int_eq((int)d.exchanges, 4);
	recording_free(&r);
}
END_TEST

/* Readable content is shown to a classifier, its first bytes. */
START_TEST(values_are_passed)
{
	struct recording r = { .piece_count = 0 };
	char *lines;

	add(&r, SIDE_CLIENT, "POST / HTTP/1.1\r\nContent-Length: 9\r\n"
	    "Content-Type: application/json\r\n\r\n{\"a\":1}\n");
	add(&r, SIDE_SERVER, "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"
	    "Content-Length: 3\r\n\r\nPNG");
	lines = lines_of(&r);
	ck_assert_ptr_nonnull(strstr(lines, "\tvalue -1 =\"{\\x22a"));
	ck_assert_ptr_null(strstr(lines, "\tvalue -1 =\"PNG"));
	free(lines);
}
END_TEST

/* Not by the application and by the transport of the same bytes. */
START_TEST(values_are_passed_once)
{
	static const char question[] =
		"{\"model\":\"m\",\"messages\":"
		"[{\"role\":\"user\",\"content\":\"who?\"}]}";
	struct recording r = { .piece_count = 0 };
	char request[512], *lines, *first;

	snprintf(request, sizeof(request),
		 "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com"
		 "\r\nContent-Type: application/json\r\n"
		 "Content-Length: %zu\r\n\r\n%s", strlen(question),
		 question);
	add(&r, SIDE_CLIENT, request);
	add(&r, SIDE_SERVER, "HTTP/1.1 500 No\r\nContent-Length: 7\r\n"
	    "Content-Type: application/json\r\n\r\n{\"a\":1}");
	lines = lines_of(&r);
	first = strstr(lines, "\tvalue -1 =\"who?\"");
	ck_assert_msg(first != NULL, "%s", lines);
	ck_assert_ptr_null(strstr(lines, "\tvalue -1 =\"{\\x22model"));
	/* Nobody knows this one's texts: its beginning is shown. */
	ck_assert_ptr_nonnull(strstr(lines, "\tvalue -1 =\"{\\x22a"));
	free(lines);
}
END_TEST

/* What follows 101 to h2c is HTTP/2's, and the answer is on stream 1. */
START_TEST(upgrade_to_http2)
{
	static const char settings[] = "\0\0\0\4\0\0\0\0\0";
	/* HEADERS of stream 1 that end it: ":status: 204", indexed. */
	static const char answer[] = "\0\0\1\1\5\0\0\0\1\x89";
	struct recording r = { .piece_count = 0 };
	char *lines;

	add(&r, SIDE_CLIENT, "GET /h2 HTTP/1.1\r\nHost: h\r\n"
	    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
	    "HTTP2-Settings: \r\n\r\n");
	add(&r, SIDE_SERVER, "HTTP/1.1 101 Switching Protocols\r\n"
	    "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
	add(&r, SIDE_CLIENT, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	recording_add(&r, SIDE_CLIENT, settings, sizeof(settings) - 1, 4000);
	recording_add(&r, SIDE_SERVER, settings, sizeof(settings) - 1, 5000);
	recording_add(&r, SIDE_SERVER, answer, sizeof(answer) - 1, 6000);
	lines = lines_of(&r);
	ck_assert_ptr_nonnull(strstr(lines, "GET status=204 "));
	ck_assert_ptr_nonnull(strstr(lines, "statement=\"/h2\""));
	ck_assert_ptr_nonnull(strstr(lines,
				     "datasnoop.http.upgraded=\"h2c\""));
	ck_assert_ptr_null(strstr(lines, "incomplete"));
	free(lines);
}
END_TEST

static enum verdict probe(const char *in, size_t in_length, const char *out,
			  size_t out_length, bool from_start, bool *client_out)
{
	uint8_t *a = malloc(in_length + !in_length);
	uint8_t *b = malloc(out_length + !out_length);
	struct opening opening = { .in = { .bytes = a, .length = in_length },
				   .out = { .bytes = b, .length = out_length },
				   .from_start = from_start };
	enum verdict verdict;

	if (in_length)
		memcpy(a, in, in_length);
	if (out_length)
		memcpy(b, out, out_length);
	verdict = http_parser.probe(&opening, client_out);
	free(a);
	free(b);
	return verdict;
}

START_TEST(probe_knows_both_roles)
{
	static const char request[] = "\r\nGET /x HTTP/1.1\r\nHost: h\r\n";
	static const char response[] = "HTTP/1.1 200 OK\r\nA: b\r\n";
	size_t q = sizeof(request) - 1, a = sizeof(response) - 1;
	bool client_out = false;

	ck_assert_int_eq(probe(response, a, request, q, true, &client_out),
			 PROBE_YES);
	ck_assert(client_out);
	ck_assert_int_eq(probe(request, q, response, a, true, &client_out),
			 PROBE_YES);
	ck_assert(!client_out);
	ck_assert_int_eq(probe(NULL, 0, request, q, true, &client_out),
			 PROBE_YES);
	ck_assert(client_out);
	ck_assert_int_eq(probe(NULL, 0, response, a, true, &client_out),
			 PROBE_YES);
	ck_assert(!client_out);
	for (size_t n = 1; n < 20; n++)
		ck_assert_int_eq(probe(NULL, 0, request, n, true, &client_out),
				 n < 19 ? PROBE_MORE : PROBE_YES);
	for (size_t n = 1; n < a; n++)
		ck_assert_int_eq(probe(response, n, NULL, 0, true, &client_out),
				 n < 17 ? PROBE_MORE : PROBE_YES);
}
END_TEST

START_TEST(probe_in_mid_connection)
{
	static const char rest[] = "rest of a body</html>\nHTTP/1.1 200 OK\r\n"
				   "Date: x\r\n\r\n";
	static const char log[] = "line\nHTTP/1.1 200 OK\r\nno field\r\n";
	bool out = false;

	ck_assert_int_eq(probe(rest, sizeof(rest) - 1, NULL, 0, false, &out),
			 PROBE_YES);
	ck_assert(out);
	ck_assert_int_eq(probe(rest, sizeof(rest) - 1, NULL, 0, true, &out),
			 PROBE_NO);
	ck_assert_int_eq(probe(log, sizeof(log) - 1, NULL, 0, false, &out),
			 PROBE_NO);
}
END_TEST

START_TEST(probe_refuses_others)
{
	static const struct {
		const char *request, *reply;
		size_t request_length, reply_length;
	} others[] = {
#define OTHER(a, b) { a, b, sizeof(a) - 1, sizeof(b) - 1 }
		OTHER("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\0\0\0\4\0"),
		OTHER("OPTIONS rtsp://a RTSP/1.0\r\n", "RTSP/1.0 200 OK\r\n"),
		OTHER("EHLO there\r\n", "220 mail.example.org ESMTP\r\n"),
		OTHER("*1\r\n$4\r\nPING\r\n", "+PONG\r\n"),
		OTHER("GET /\r\n", "<html>\n"),
		OTHER("get key\r\n", "VALUE key 0 1\r\na\r\nEND\r\n"),
		OTHER("Q\0\0\0\x0dSELECT 1\0", "T\0\0\0\x21\0\1"),
		OTHER("\3\0\0\0\3SELECT 1", "\1\0\0\1\1"),
		OTHER("INVITE sip:a SIP/2.0\r\n", "SIP/2.0 100 Trying\r\n"),
#undef OTHER
	};
	bool out;

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		for (int start = 0; start < 2; start++)
			ck_assert_msg(probe(others[i].reply,
					    others[i].reply_length,
					    others[i].request,
					    others[i].request_length, start,
					    &out) == PROBE_NO, "%zu", i);
}
END_TEST

/* Noise in, nothing out, and an end. */
START_TEST(noise_is_survived)
{
	static const char *const words[] = {
		"GET ", "POST /x HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "\r\n",
		"Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n",
		"5\r\n", "0\r\n\r\n", "\n", "hello", "Upgrade: websocket\r\n",
		"HTTP/1.1 101 X\r\n", "CONNECT a:1 HTTP/1.1\r\n", "\x81\5abcde",
		"Content-Encoding: gzip\r\n", "\x1f\x8b\x08", "\0\xff",
		"Content-Type: multipart/form-data; boundary=b\r\n", "--b\r\n",
		"Expect: 100-continue\r\n", "HTTP/1.1 100 C\r\n\r\n", " ",
	};
	uint32_t seed = (uint32_t)_i;

	for (int round = 0; round < 300; round++) {
		struct recording r = { .piece_count = 0 };
		struct drive d = { .recording = &r, .parser = &http_parser };

		for (int i = 0; i < 40; i++) {
			seed = seed * 1664525 + 1013904223;
			add(&r, seed >> 31 ? SIDE_SERVER : SIDE_CLIENT,
			    words[(seed >> 16) %
				  (sizeof(words) / sizeof(*words))]);
		}
		d.cut = seed >> 28;
		d.gaps[0] = (struct drive_gap){ seed >> 30 & 1, seed >> 24 & 63,
						seed >> 20 & 15 };
		d.gap_count = r.length[seed >> 30 & 1] >
					      (seed >> 24 & 63) +
						      (seed >> 20 & 15) ?
				      1 : 0;
		drive_run(&d);
		recording_free(&r);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("http1");
	TCase *t = tcase_create("written");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, tells_what_is_said, 0, CONVERSATION_COUNT);
	tcase_add_loop_test(t, cuts_change_nothing, 0, CONVERSATION_COUNT);
	tcase_add_loop_test(t, truncation_keeps_what_was_complete, 0,
			    CONVERSATION_COUNT);
	tcase_add_loop_test(t, gaps_spoil_what_they_touch, 0,
			    CONVERSATION_COUNT);
	tcase_add_loop_test(t, late_start_finds_the_next, 0,
			    CONVERSATION_COUNT);
	tcase_add_loop_test(t, gaps_never_pair_wrongly, 0, CONVERSATION_COUNT);
	tcase_add_test(t, heads_are_bounded);
	tcase_add_test(t, targets_are_bounded);
	tcase_add_test(t, pipelines_are_bounded);
	tcase_add_test(t, tunnels_are_bounded);
	tcase_add_test(t, values_are_passed);
	tcase_add_test(t, values_are_passed_once);
	tcase_add_test(t, upgrade_to_http2);
	tcase_add_loop_test(t, noise_is_survived, 0, 20);
	tcase_add_test(t, probe_knows_both_roles);
	tcase_add_test(t, probe_in_mid_connection);
	tcase_add_test(t, probe_refuses_others);
	tcase_add_loop_test(t, captures_give_what_is_expected, 0,
			    CAPTURE_COUNT);
	tcase_add_loop_test(t, captures_cut_anywhere, 0, CAPTURE_COUNT);
	tcase_add_loop_test(t, captures_with_gaps, 0, CAPTURE_ALONE);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return suite_run(suite());
}
