/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mcp.c - the Model Context Protocol, over a stream and over HTTP.
 *
 * Messages of ../shared/corpus/mcp are read in place, where they are.
 */
#define _GNU_SOURCE
#include <check.h>

#include "parsers/http.h"
#include "parsers/json_reader.h"
#include "parsers/jsonrpc.h"
#include "tests/unit/drive.h"
#include "tests/unit/laws.h"

#define CORPUS "../shared/corpus/mcp/mcp-jsonrpc-a"

/* "C json" and "S json" as lines of a conversation. */
static struct recording recording_of(const char *const *lines)
{
	struct recording r = { .piece_count = 0 };

	for (; *lines; lines++) {
		enum side side = **lines == 'S' ? SIDE_SERVER : SIDE_CLIENT;
		char *line;

		DRIVE_LAW(asprintf(&line, "%s\n", *lines + 2) > 0);
		recording_add(&r, side, line, strlen(line),
			      1000 * (r.piece_count + 1));
		free(line);
	}
	return r;
}

static const char *const session[] = {
	"C {\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{"
	"\"protocolVersion\":\"2025-06-18\",\"capabilities\":{},"
	"\"clientInfo\":{\"name\":\"agent\",\"version\":\"1.0\"}}}",
	"S {\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":"
	"\"2025-03-26\",\"capabilities\":{\"tools\":{}},\"serverInfo\":{"
	"\"name\":\"files\",\"version\":\"0.3\"}}}",
	"C {\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}",
	"C {\"method\":\"tools/list\",\"id\":1,\"jsonrpc\":\"2.0\"}",
	"S {\"result\":{\"tools\":[{\"name\":\"read\",\"inputSchema\":{}},"
	"{\"name\":\"write\"}]},\"jsonrpc\":\"2.0\",\"id\":1}",
	"C {\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"tools/call\","
	"\"params\":{\"name\":\"read\",\"arguments\":{\"path\": \"/etc/x\"}}}",
	"C {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"resources/read\","
	"\"params\":{\"uri\":\"file:///a\"}}",
	"S {\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"sampling/createMessage\","
	"\"params\":{\"messages\":[{\"role\":\"user\",\"content\":{\"type\":"
	"\"text\",\"text\":\"Sum up\"}}],\"maxTokens\":5}}",
	"S {\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32002,"
	"\"message\":\"Resource not found\"}}",
	"C {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{\"role\":\"assistant\","
	"\"content\":{\"type\":\"text\",\"text\":\"Short\"}}}",
	"S {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\","
	"\"params\":{\"level\":\"info\",\"data\":\"x\"}}",
	"S {\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{\"content\":[{"
	"\"type\":\"text\",\"text\":\"root:x\"},{\"type\":\"text\","
	"\"text\":\"two\"}],\"isError\":true}}",
	"C {\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"prompts/get\","
	"\"params\":{\"name\":\"review\",\"arguments\":{\"a\":\"b\"}}}",
	NULL
};

static const char session_told[] =
	"initialize status=0 rows=-1 affected=-1 results=1"
	" statement=\"initialize\" masked=\"initialize\""
	" datasnoop.mcp.sender=\"client\" datasnoop.mcp.message=\"request\""
	" jsonrpc.request.id=\"0\" mcp.method.name=\"initialize\""
	" datasnoop.mcp.client.name=\"agent\""
	" datasnoop.mcp.client.version=\"1.0\""
	" mcp.protocol.version=\"2025-03-26\""
	" datasnoop.mcp.server.name=\"files\""
	" datasnoop.mcp.server.version=\"0.3\" bytes=153/141 us=1/2/2 tid=7\n"
	"notifications/initialized status=-1 rows=-1 affected=-1 results=1"
	" statement=\"notifications/initialized\""
	" masked=\"notifications/initialized\""
	" datasnoop.mcp.sender=\"client\""
	" datasnoop.mcp.message=\"notification\""
	" mcp.method.name=\"notifications/initialized\""
	" bytes=55/0 us=3/0/3 tid=7\n"
	"tools/list status=0 rows=-1 affected=-1 results=1"
	" statement=\"tools/list\" masked=\"tools/list\""
	" datasnoop.mcp.sender=\"client\" datasnoop.mcp.message=\"request\""
	" jsonrpc.request.id=\"1\" mcp.method.name=\"tools/list\""
	" datasnoop.mcp.result.items=2 datasnoop.mcp.result.names=\"read\""
	" datasnoop.mcp.result.names=\"write\" bytes=47/96 us=4/5/5 tid=7\n"
	"resources/read status=-1 failed status-name=\"-32002\""
	" message=\"Resource not found\" rows=-1 affected=-1 results=1"
	" targets:1 =\"file:///a\" statement=\"resources/read file:///a\""
	" masked=\"resources/read file:///a\""
	" datasnoop.mcp.sender=\"client\" datasnoop.mcp.message=\"request\""
	" jsonrpc.request.id=\"2\" mcp.method.name=\"resources/read\""
	" mcp.resource.uri=\"file:///a\""
	" rpc.response.status_code=\"-32002\" bytes=80/80 us=7/9/9 tid=7\n"
	"\tvalue -1 =\"Sum up\"\n"
	"\tvalue 0 =\"Short\"\n"
	"sampling/createMessage status=0 rows=-1 affected=-1 results=1"
	" columns:1 =\"result\""
	" statement=\"sampling/createMessage\""
	" masked=\"sampling/createMessage\""
	" datasnoop.mcp.sender=\"server\" datasnoop.mcp.message=\"request\""
	" jsonrpc.request.id=\"9\" mcp.method.name=\"sampling/createMessage\""
	" datasnoop.mcp.request.text_bytes=6"
	" datasnoop.mcp.request.text=\"Sum up\"(value)"
	" datasnoop.mcp.result.text_bytes=5"
	" datasnoop.mcp.result.text=\"Short\"(value)"
	" bytes=155/96 us=8/10/10 tid=8\n"
	"notifications/message status=-1 rows=-1 affected=-1 results=1"
	" statement=\"notifications/message\""
	" masked=\"notifications/message\""
	" datasnoop.mcp.sender=\"server\""
	" datasnoop.mcp.message=\"notification\""
	" mcp.method.name=\"notifications/message\""
	" bytes=88/0 us=11/0/11 tid=8\n"
	"\tvalue -1 =\"{\\x22path\\x22: \\x22/etc/x\\x22}\"\n"
	"\tvalue 0 =\"root:x\\x0atwo\"\n"
	"tools/call status=0 failed status-name=\"tool_error\" rows=-1"
	" affected=-1 results=1 targets:1 =\"read\" columns:1 =\"result\""
	" statement=\"tools/call read {\\x22path\\x22: \\x22/etc/x\\x22}\""
	" masked=\"tools/call read\""
	" datasnoop.mcp.sender=\"client\" datasnoop.mcp.message=\"request\""
	" jsonrpc.request.id=\"1\" mcp.method.name=\"tools/call\""
	" gen_ai.operation.name=\"execute_tool\" gen_ai.tool.name=\"read\""
	" gen_ai.tool.call.arguments=\"{\\x22path\\x22: \\x22/etc/x\\x22}\""
	"(value) datasnoop.mcp.result.items=2"
	" datasnoop.mcp.result.text_bytes=9"
	" gen_ai.tool.call.result=\"root:x\\x0atwo\"(value)"
	" bytes=105/126 us=6/12/12 tid=7\n"
	"\tvalue -1 =\"{\\x22a\\x22:\\x22b\\x22}\"\n"
	"prompts/get status=-1 rows=-1 affected=-1 results=1"
	" targets:1 =\"review\""
	" statement=\"prompts/get review {\\x22a\\x22:\\x22b\\x22}\""
	" masked=\"prompts/get review\" datasnoop.mcp.sender=\"client\""
	" datasnoop.mcp.message=\"request\" jsonrpc.request.id=\"3\""
	" mcp.method.name=\"prompts/get\" gen_ai.prompt.name=\"review\""
	" gen_ai.tool.call.arguments=\"{\\x22a\\x22:\\x22b\\x22}\"(value)"
	" incomplete missed=0 bytes=97/0 us=13/0/0 tid=7\n";

static char *lines_of(const struct recording *r, struct drive d)
{
	d.recording = r;
	d.parser = &mcp_parser;
	d.values = true;
	return drive_lines(&d);
}

START_TEST(a_session_is_told)
{
	struct recording r = recording_of(session);
	char *lines = lines_of(&r, (struct drive){ .cut = 0 });

	law_same(lines, session_told, "session", 0);
	free(lines);
	recording_free(&r);
}
END_TEST

START_TEST(cuts_change_nothing)
{
	static const size_t sizes[] = { 1, 2, 3, 5, 7, 64 };
	struct recording r = recording_of(session);
	char *lines;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		lines = lines_of(&r, (struct drive){ .cut = sizes[i] });
		law_same(lines, session_told, "pieces", sizes[i]);
		free(lines);
	}
	for (int side = 0; side < SIDES; side++) {
		for (size_t at = 1; at < r.length[side]; at++) {
			struct drive d = { .cut = 0 };

			d.cut_at[side] = at;
			lines = lines_of(&r, d);
			law_same(lines, session_told, "cut", at);
			free(lines);
		}
	}
	recording_free(&r);
}
END_TEST

/* The lines of the session that each exchange but the last is made of. */
static const int made_of[][2] = {
	{ 0, 1 }, { 2, 2 }, { 3, 4 }, { 6, 8 }, { 7, 9 }, { 10, 10 }, { 5, 11 },
};

static bool touches(const struct recording *r, int line,
		    const struct drive_gap *gap)
{
	const struct drive_piece *piece = &r->pieces[line];

	return piece->side == gap->side && piece->at < gap->at + gap->length &&
	       gap->at < piece->at + piece->length;
}

/* All exchanges that the gap does not touch are as they were. */
static void assert_others_right(const struct recording *r, const char *lines,
				const struct drive_gap *gap)
{
	char *copy = strdup(session_told), *rest = copy, *line;
	size_t i = 0;

	while (i < sizeof(made_of) / sizeof(*made_of) &&
	       (line = strsep(&rest, "\n"))) {
		if (*line == '\t')
			continue;
		ck_assert_msg(touches(r, made_of[i][0], gap) ||
				      touches(r, made_of[i][1], gap) ||
				      strstr(lines, line),
			      "gap at %zu of %zu: no %s in %s", gap->at,
			      gap->length, line, lines);
		i++;
	}
	free(copy);
}

/* Is each complete line one of the whole's? */
static void assert_none_invented(const char *whole, char *lines, size_t at)
{
	char *rest = lines, *line;

	while ((line = strsep(&rest, "\n")))
		ck_assert_msg(strstr(line, " incomplete ") ||
				      strstr(whole, line),
			      "gap at %zu invented: %s", at, line);
}

START_TEST(gaps_spoil_what_they_touch)
{
	struct recording r = recording_of(session);

	for (int side = 0; side < SIDES; side++) {
		for (size_t at = 0; at < r.length[side]; at++) {
			struct drive d = { .gap_count = 1 };
			size_t length = at % 3 ? at % 70 + 1 : 1;
			char *lines;

			if (length > r.length[side] - at)
				length = r.length[side] - at;
			d.gaps[0] = (struct drive_gap){ (enum side)side, at,
							length };
			lines = lines_of(&r, d);
			assert_others_right(&r, lines, &d.gaps[0]);
			assert_none_invented(session_told, lines, at);
			free(lines);
		}
	}
	recording_free(&r);
}
END_TEST

START_TEST(the_client_may_be_read_first)
{
	struct recording r = recording_of(session);
	char *lines = lines_of(&r, (struct drive){ .client_first = true });
	static const char *const parts[] = {
		"sampling/createMessage status=0", "Short", "us=8/10/10",
		"tools/call status=0 failed",
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		ck_assert_ptr_nonnull(strstr(lines, parts[i]));
	ck_assert_ptr_null(strstr(lines, "response status"));
	free(lines);
	recording_free(&r);
}
END_TEST

/* The request was before the capture; another with its id comes later. */
START_TEST(a_response_alone_pairs_with_no_later_request)
{
	static const char *const lines[] = {
		"S {\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}",
		"C {\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"ping\"}",
		"S {\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}",
		NULL
	};
	struct recording r = recording_of(lines);
	char *told = lines_of(&r, (struct drive){ .brief = true });

	law_same(told, "response status=0 rows=-1 affected=-1 results=1"
			  " statement=\"response\" masked=\"response\""
			  " datasnoop.mcp.sender=\"server\""
			  " datasnoop.mcp.message=\"response\""
			  " jsonrpc.request.id=\"5\" incomplete missed=0\n"
			  "ping status=0 rows=-1 affected=-1 results=1"
			  " statement=\"ping\" masked=\"ping\""
			  " datasnoop.mcp.sender=\"client\""
			  " datasnoop.mcp.message=\"request\""
			  " jsonrpc.request.id=\"5\""
			  " mcp.method.name=\"ping\"\n", "alone", 0);
	free(told);
	recording_free(&r);
}
END_TEST

START_TEST(batches_are_taken_apart)
{
	static const char *const lines[] = {
		"C [{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"},"
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"},"
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}]",
		"S [{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[]}},"
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}]",
		NULL
	};
	struct recording r = recording_of(lines);
	struct drive d = { .recording = &r, .parser = &mcp_parser };
	char *told = drive_lines(&d);

	ck_assert_uint_eq(d.exchanges, 3);
	ck_assert_uint_eq(d.incomplete, 0);
	ck_assert_ptr_nonnull(strstr(told, "ping status=0"));
	ck_assert_ptr_nonnull(strstr(told, "tools/list status=0"));
	ck_assert_ptr_nonnull(strstr(told, "notifications/x status=-1"));
	free(told);
	recording_free(&r);
}
END_TEST

/* Lines that are no messages, and one that never ends, between others. */
START_TEST(noise_is_passed_over)
{
	static const char *const noise[] = {
		"C {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
		"S Server started", "S ", "S {\"level\":\"info\"}",
		"S [[[[[[", "S {\"jsonrpc\":\"2.0\",\"id\":1,\"resul",
		"S {\"jsonrpc\":\"1.0\",\"id\":1,\"result\":{}}",
		"S {\"jsonrpc\":\"2.0\",\"id\":1}",
		"S {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":1}}",
		NULL
	};
	struct recording r = recording_of(noise);
	struct drive d = { .recording = &r, .parser = &mcp_parser };
	char *told;

	for (d.cut = 0; d.cut < 3; d.cut++) {
		told = drive_lines(&d);
		ck_assert_uint_eq(d.exchanges, 1);
		ck_assert_uint_eq(d.incomplete, 0);
		ck_assert_ptr_nonnull(strstr(told, "us=1/9/9"));
		free(told);
	}
	recording_free(&r);
}
END_TEST

/* What is kept of requests nobody answers, and of answers to nobody. */
START_TEST(what_waits_is_bounded)
{
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &mcp_parser };
	char line[128];

	for (int i = 0; i < 2000; i++) {
		int n = snprintf(line, sizeof(line),
				 "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":"
				 "\"ping\"}\n", i);

		recording_add(&r, SIDE_CLIENT, line, (size_t)n, 1000 + i);
		n = snprintf(line, sizeof(line),
			     "{\"jsonrpc\":\"2.0\",\"id\":%d,\"result\":{}}\n",
			     i + 100000);
		recording_add(&r, SIDE_SERVER, line, (size_t)n, 1000 + i);
	}
	drive_run(&d);
	ck_assert_uint_eq(d.exchanges, 4000);
	ck_assert_uint_eq(d.incomplete, 4000);
	recording_free(&r);
}
END_TEST

static enum verdict probe(const char *in, const char *out, bool from_start,
			  bool *client_out)
{
	struct opening opening = {
		.in = { .bytes = (const uint8_t *)in, .length = strlen(in) },
		.out = { .bytes = (const uint8_t *)out,
			 .length = strlen(out) },
		.from_start = from_start,
	};

	return mcp_parser.probe(&opening, client_out);
}

#define CALL   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}\n"
#define ANSWER "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n"
#define ASKED  "{\"id\":1,\"method\":\"roots/list\",\"jsonrpc\":\"2.0\"}\n"
#define PING   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n"

START_TEST(openings_are_recognised)
{
	static const struct {
		const char *in, *out;
		bool from_start;
		enum verdict verdict;
		bool client_out;
	} openings[] = {
		{ "", CALL, true, PROBE_YES, true },
		{ CALL, "", true, PROBE_YES, false },
		{ ASKED, "", true, PROBE_YES, true },
		{ "", ASKED, true, PROBE_YES, false },
		{ "", "[" CALL, true, PROBE_YES, true },
		{ ANSWER, CALL, false, PROBE_YES, true },
		{ "", "ult\":{}}\n" CALL, false, PROBE_YES, true },
		{ "", "ult\":{}}", false, PROBE_MORE, false },
		{ ANSWER, "", true, PROBE_MORE, false },
		{ ANSWER, PING, true, PROBE_YES, true },
		{ PING, ANSWER, true, PROBE_YES, false },
		{ "", "{", true, PROBE_MORE, false },
		{ "", "{\"jsonrpc\":\"2.0\",\"me", true, PROBE_MORE, false },
		{ "", "", true, PROBE_MORE, false },
		{ "", "{\"jsonrpc\":\"2.0\",\"method\":\"eth_call\"}\n",
		  true, PROBE_NO, false },
		{ "", "{\"a\":1}\n", true, PROBE_NO, false },
		{ "", "{\"jsonrpc\":\"1.0\",\"method\":\"ping\"}\n", true,
		  PROBE_NO, false },
		{ "", "Content-Length: 2\r\n\r\n" CALL, true, PROBE_NO,
		  false },
		{ "", "GET / HTTP/1.1\r\n", true, PROBE_NO, false },
		{ "\x16\x03\x01", "", true, PROBE_NO, false },
		{ "x", CALL, true, PROBE_NO, false },
	};

	for (size_t i = 0; i < sizeof(openings) / sizeof(*openings); i++) {
		bool client_out = false;
		enum verdict verdict = probe(openings[i].in, openings[i].out,
					     openings[i].from_start,
					     &client_out);

		ck_assert_msg(verdict == openings[i].verdict, "opening %zu: %d",
			      i, verdict);
		if (verdict == PROBE_YES)
			ck_assert_msg(client_out == openings[i].client_out,
				      "opening %zu", i);
	}
}
END_TEST

/* One direction in growing heads: never a false no. */
START_TEST(a_short_head_is_no_reason)
{
	char head[sizeof(CALL)];

	for (size_t n = 1; n < sizeof(CALL); n++) {
		bool client_out = false;
		enum verdict verdict;

		memcpy(head, CALL, n);
		head[n] = '\0';
		verdict = probe("", head, true, &client_out);
		ck_assert_msg(verdict != PROBE_NO, "%zu bytes", n);
	}
}
END_TEST

struct http_case {
	const char *method, *target, *type, *accept, *session, *request;
	unsigned status;
	const char *answer_type, *answer;
};

static struct http_head head_of(const struct http_case *c, enum side side,
				struct http_header headers[4])
{
	struct http_head head = { .headers = headers };

	if (side == SIDE_CLIENT) {
		head.method = span_string(c->method);
		head.target = span_string(c->target);
	} else {
		head.status = c->status;
	}
	headers[head.header_count++] = (struct http_header){
		span_string("content-type"),
		span_string(side == SIDE_CLIENT ? c->type : c->answer_type) };
	if (side == SIDE_CLIENT && c->accept)
		headers[head.header_count++] = (struct http_header){
			span_string("accept"), span_string(c->accept) };
	if (side == SIDE_CLIENT && c->session)
		headers[head.header_count++] = (struct http_header){
			span_string("mcp-session-id"),
			span_string(c->session) };
	return head;
}

static void give(void *state, enum side side, const char *body, size_t piece)
{
	size_t length = strlen(body);

	for (size_t at = 0; at < length;) {
		size_t n = piece && length - at > piece ? piece : length - at;
		uint8_t *copy = malloc(n);

		DRIVE_LAW(copy);
		memcpy(copy, body + at, n);
		http_mcp.body(state, side, copy, n);
		free(copy);
		at += n;
	}
}

static char *told_over_http(const struct http_case *c, size_t piece)
{
	struct http_header headers[SIDES][4];
	struct http_head request = head_of(c, SIDE_CLIENT,
					   headers[SIDE_CLIENT]);
	struct http_head response = head_of(c, SIDE_SERVER,
					    headers[SIDE_SERVER]);
	struct observer observer = { .value = NULL };
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	struct drive d = { .brief = true };
	char *text = NULL;
	size_t size = 0;
	void *state;

	d.out = open_memstream(&text, &size);
	DRIVE_LAW(d.out && exchange);
	exchange_reset(exchange, "http", FAMILY_OTHER);
	exchange->operation = "POST";
	exchange->status = c->status;
	if (http_mcp.match(&request) == HTTP_NO) {
		fputs("no match\n", d.out);
		goto out;
	}
	state = http_mcp.open(&request, &observer);
	DRIVE_LAW(state);
	give(state, SIDE_CLIENT, c->request, piece);
	http_mcp.response(state, &response);
	give(state, SIDE_SERVER, c->answer, piece);
	if (http_mcp.finish(state, exchange))
		drive_exchange(&d, exchange);
	else
		fputs("declined\n", d.out);
	http_mcp.close(state);
out:
	fclose(d.out);
	exchange_done(exchange);
	free(exchange);
	return text;
}

#define JSON "application/json"
#define SSE  "text/event-stream"
#define BOTH "application/json, text/event-stream"

static const struct {
	struct http_case given;
	const char *told[8]; /* parts, in order */
} http_cases[] = {
	{ { "POST", "/mcp", JSON, BOTH, NULL,
	    "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\","
	    "\"params\":{\"name\":\"add\",\"arguments\":{\"a\":1}}}",
	    200, JSON,
	    "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"content\":"
	    "[{\"type\":\"text\",\"text\":\"2\"}]}}" },
	  { "tools/call status=200 rows", "masked=\"tools/call add\"",
	    "gen_ai.tool.name=\"add\"", "gen_ai.tool.call.result=\"2\"(value)",
	    "server.messages=1" } },
	{ { "POST", "/mcp", JSON, BOTH, "0123456789abcdef0123456789abcdef",
	    "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\","
	    "\"params\":{\"name\":\"add\"}}",
	    200, SSE,
	    "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":"
	    "\"notifications/progress\",\"params\":{}}\n\n"
	    "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
	    "\"elicitation/create\",\"params\":{\"message\":\"Who?\"}}\n\n"
	    "id: 4\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"id\":7,\"error\":"
	    "{\"code\":-32602,\"message\":\"Bad\"}}\n\n" },
	  { "tools/call status=200 failed status-name=\"-32602\"",
	    "message=\"Bad\"", "server.messages=3",
	    "server.methods=\"notifications/progress\"",
	    "server.methods=\"elicitation/create\"",
	    "mcp.session.id=\"01234567...\"" } },
	{ { "POST", "/mcp", JSON, BOTH, NULL,
	    "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
	    "\"params\":{\"name\":\"a\"}},{\"jsonrpc\":\"2.0\",\"id\":2,"
	    "\"method\":\"tools/call\",\"params\":{\"name\":\"b\"}}]",
	    200, JSON,
	    "[{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"isError\":true}},"
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}]" },
	  { "tools/call status=200 failed", "gen_ai.tool.name=\"a\"",
	    "mcp.batch=2", "mcp.method.name=\"tools/call\"",
	    "gen_ai.tool.name=\"b\"" } },
	{ { "POST", "/messages/?session_id=9", JSON, NULL, NULL,
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}",
	    202, "text/plain", "Accepted" },
	  { "tools/list status=202" } },
	{ { "GET", "/sse", NULL, SSE, NULL, "", 200, SSE,
	    "event: endpoint\ndata: /messages/?session_id=9\n\n"
	    "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":"
	    "{\"tools\":[{\"name\":\"add\"}]}}\n\n" },
	  { "POST status=200", "mcp.message=\"response\"",
	    "result.names=\"add\"", "transport=\"sse\"" } },
	{ { "GET", "/mcp", NULL, SSE, "x", "", 405, "text/plain", "No" },
	  { "POST status=405", "mcp.session.id=\"...\"" } },
	{ { "DELETE", "/mcp", NULL, NULL, "abcdef", "", 200, NULL, "" },
	  { "mcp.session.id=\"ab...\"" } },
	{ { "POST", "/mcp", JSON, BOTH, NULL,
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"roots\":[{\"uri\":"
	    "\"file:///r\"}]}}", 202, NULL, "" },
	  { "declined" } },
	{ { "POST", "/rpc", JSON, NULL, NULL,
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_call\"}", 200,
	    JSON, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x\"}" },
	  { "declined" } },
	{ { "POST", "/x", JSON, NULL, NULL, "{\"a\":{\"method\":\"ping\"}}",
	    200, JSON, "{}" },
	  { "declined" } },
	{ { "GET", "/events", NULL, SSE, NULL, "", 200, SSE,
	    "data: {\"a\":1}\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":"
	    "\"ping\",\"id\":1}\n\n" },
	  { "declined" } },
	{ { "POST", "/x", "text/html", NULL, NULL, "", 200, NULL, "" },
	  { "no match" } },
	{ { "GET", "/x", NULL, "text/html", NULL, "", 200, NULL, "" },
	  { "no match" } },
};

START_TEST(http_is_told)
{
	char *whole = told_over_http(&http_cases[_i].given, 0), *lines;
	const char *at = whole;

	for (int i = 0; i < 8 && http_cases[_i].told[i]; i++) {
		at = strstr(at, http_cases[_i].told[i]);
		ck_assert_msg(at != NULL, "no %s in: %s",
			      http_cases[_i].told[i], whole);
	}
	ck_assert_ptr_null(strstr(whole, "0123456789"));
	for (size_t piece = 1; piece < 9; piece++) {
		lines = told_over_http(&http_cases[_i].given, piece);
		law_same(lines, whole, "pieces", piece);
		free(lines);
	}
	free(whole);
}
END_TEST

/* A member of an object of the corpus: `"key": "value"`. */
struct finder {
	const char *key;
	char value[4096];
};

static void on_member(void *context, struct json_reader *reader,
		      const struct json_event *event)
{
	struct finder *finder = context;

	(void)reader;
	if (event->text.bytes && !strcmp(event->path, finder->key))
		snprintf(finder->value, sizeof(finder->value), "%.*s",
			 (int)event->text.length, event->text.bytes);
}

static struct finder member(const char *line, const char *key)
{
	struct finder finder = { key, "" };
	struct json_reader *reader = json_reader_new(on_member, &finder);

	DRIVE_LAW(json_reader_feed(reader, line, strlen(line)));
	json_reader_free(reader);
	return finder;
}

static void on_message(void *context, struct jsonrpc_message *message)
{
	struct jsonrpc_message **last = context;

	jsonrpc_message_free(*last);
	*last = message;
}

static void assert_message(const char *raw, const char *expected)
{
	static const char *const kinds[] = {
		[JSONRPC_REQUEST] = "request",
		[JSONRPC_NOTIFICATION] = "notification",
		[JSONRPC_RESPONSE] = "response",
	};
	struct jsonrpc_message *message = NULL;
	struct jsonrpc *rpc = jsonrpc_new(on_message, &message);
	struct finder tool = member(expected, "tool");
	struct finder uri = member(expected, "uri");

	ck_assert(jsonrpc_feed(rpc, raw, strlen(raw)));
	ck_assert_ptr_nonnull(message);
	ck_assert_str_eq(kinds[message->kind], member(expected, "kind").value);
	ck_assert_str_eq(message->method, member(expected, "method").value);
	ck_assert_str_eq(message->id, member(expected, "rpc_id").value);
	if (tool.value[0])
		ck_assert_str_eq(message->name, tool.value);
	if (uri.value[0])
		ck_assert_str_eq(message->uri, uri.value);
	if (message->method[0])
		ck_assert_int_ne(mcp_sender_of(message->method), MCP_FOREIGN);
	jsonrpc_message_free(message);
	jsonrpc_free(rpc);
}

START_TEST(messages_of_the_corpus_are_read)
{
	FILE *raw = fopen(CORPUS ".jsonl", "r");
	FILE *expected = fopen(CORPUS ".expected", "r");
	char *line = NULL, *answer = NULL;
	size_t room = 0, answer_room = 0, count = 0;

	if (!raw || !expected) {
		fprintf(stderr, "test_mcp: no %s: not compared\n", CORPUS);
		return;
	}
	while (getline(&line, &room, raw) > 0) {
		ck_assert_int_gt(getline(&answer, &answer_room, expected), 0);
		ck_assert_str_eq(member(line, "id").value,
				 member(answer, "id").value);
		assert_message(member(line, "raw").value, answer);
		count++;
	}
	ck_assert_uint_gt(count, 0);
	free(line);
	free(answer);
	fclose(raw);
	fclose(expected);
}
END_TEST

int main(void)
{
	Suite *all = suite_create("mcp");
	TCase *cases = tcase_create("mcp");

	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, a_session_is_told);
	tcase_add_test(cases, cuts_change_nothing);
	tcase_add_test(cases, gaps_spoil_what_they_touch);
	tcase_add_test(cases, the_client_may_be_read_first);
	tcase_add_test(cases, a_response_alone_pairs_with_no_later_request);
	tcase_add_test(cases, batches_are_taken_apart);
	tcase_add_test(cases, noise_is_passed_over);
	tcase_add_test(cases, what_waits_is_bounded);
	tcase_add_test(cases, openings_are_recognised);
	tcase_add_test(cases, a_short_head_is_no_reason);
	tcase_add_loop_test(cases, http_is_told, 0,
			    sizeof(http_cases) / sizeof(*http_cases));
	tcase_add_test(cases, messages_of_the_corpus_are_read);
	suite_add_tcase(all, cases);
	return suite_run(all);
}
