/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sinks.c - the table and the JSON lines.
 */
#include <check.h>
#include <errno.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <yajl/yajl_tree.h>

#include "sinks/escape.h"
#include "sinks/sink.h"
#include "tests/unit/suite.h"

#define SPAN(text) ((struct span){(text), sizeof(text) - 1})

static struct process process;
static struct exchange exchange;
static struct exchange_lists lists;
static struct record record;

static void setup(void)
{
	setenv("TZ", "UTC", 1);
	process = (struct process){.pid = 4121,
				   .comm = "support-bot",
				   .executable = "python3",
				   .user = "bot"};
	lists = (struct exchange_lists){
		.columns = {SPAN("customers.id"), SPAN("customers.name")},
	};
	exchange = (struct exchange){
		.lists = &lists,
		.columns = lists.columns,
		.parameters = lists.parameters,
		.attributes = lists.attributes,
		.system = "mysql",
		.operation = "SELECT",
		.statement = SPAN("SELECT id,\n\t name FROM customers"
				  " WHERE card = '4111'"),
		.masked = SPAN("SELECT id,\n\t name FROM customers"
			       " WHERE card = ?"),
		.statement_known = true,
		.namespace = SPAN("shop"),
		.targets = {SPAN("customers")},
		.target_count = 1,
		.column_count = 2,
		.columns_total = 2,
		.rows = 50,
		.affected = -1,
		.results = 1,
		.request_bytes = 88,
		.response_bytes = 5056,
		.start_ns = 1000000000,
		.first_byte_ns = 1000840000,
		.end_ns = 1001210000,
		.tid = 4125,
		.complete = true,
	};
	record = (struct record){
		.process = &process,
		.tls = "openssl",
		.role = ROLE_CLIENT,
		.client = {"127.0.0.1", 51544, 0},
		.server = {"127.0.0.1", 3306, 0},
		.exchange = &exchange,
		/* 2026-11-22T10:02:03.114502Z */
		.timestamp_ns = 1795341723114502000,
	};
}

/* What a sink writes of `record`, to be freed. */
static char *written(const struct sink_operations *operations, bool show_values)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	struct sink *sink = operations->open(file, show_values);

	ck_assert_int_eq(operations->record(sink, &record), 0);
	ck_assert_int_eq(operations->close(sink), 0);
	ck_assert_int_eq(fclose(file), 0);
	return text;
}

/* The table's line of `record`, without the header. */
static const char *row_of(const char *text)
{
	const char *row = strchr(text, '\n');

	ck_assert_ptr_nonnull(row);
	ck_assert_int_eq(strchr(row + 1, '\n')[1], '\0');
	return row + 1;
}

#define assert_row(show_values, expected)                                      \
	do {                                                                   \
		char *row_text = written(&text_sink, show_values);             \
		ck_assert_str_eq(row_of(row_text), expected);                  \
		free(row_text);                                                \
	} while (0)

#define LEFT                                                                   \
	"10:02:03.114  4121  support-bot  openssl mysql  "                     \
	"127.0.0.1:3306  1.21  50   -              "

START_TEST(test_table)
{
	char *text = written(&text_sink, false);

	ck_assert_str_eq(
		text,
		"TIME          PID   COMM         TLS     PROTO  "
		"PEER            MS    ROWS SENSITIVE      OPERATION\n" LEFT
		"SELECT id, name FROM customers WHERE card = ?\n");
	free(text);
	assert_row(true, LEFT "SELECT id, name FROM customers"
			      " WHERE card = '4111'\n");
}
END_TEST

START_TEST(test_table_unknown)
{
	record.tls = NULL;
	record.role = ROLE_UNKNOWN;
	record.server.address[0] = '\0';
	record.timestamp_ns = 0;
	exchange.rows = -1;
	exchange.end_ns = 0;
	exchange.masked = (struct span){0};
	assert_row(false, "-             4121  support-bot  -       mysql  "
			  "-               -     -    -              SELECT\n");
}
END_TEST

START_TEST(test_table_peers)
{
	static const struct {
		enum role role;
		struct endpoint client, server;
		const char *peer;
	} cases[] = {
		{ROLE_CLIENT,
		 {"1.2.3.4", 5, 0},
		 {"::1", 3306, 0},
		 " [::1]:3306      1.21"},
		{ROLE_SERVER,
		 {"10.0.0.1", 5, 0},
		 {"::1", 3306, 0},
		 " <10.0.0.1:5     1.21"},
		{ROLE_SERVER,
		 {"2001:db8::7", 50123, 0},
		 {"::1", 3306, 0},
		 " <[2001:db8::7]:50123 1.21 50 "},
		{ROLE_CLIENT,
		 {"", 0, 0},
		 {"/run/my:sql.sock", 0, 0},
		 " /run/my:sql.sock 1.21 "},
		{ROLE_SERVER, {"", 0, 0}, {"", 0, 0}, " <-              1.21"},
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text;

		record.role = cases[i].role;
		record.client = cases[i].client;
		record.server = cases[i].server;
		text = written(&text_sink, false);
		ck_assert_msg(strstr(text, cases[i].peer), "%s in\n%s",
			      cases[i].peer, text);
		/* However long the peer, the last column is in its place. */
		ck_assert_int_eq(strstr(row_of(text), "SELECT") - row_of(text),
				 strlen(LEFT));
		free(text);
	}
}
END_TEST

START_TEST(test_table_durations)
{
	static const struct {
		uint64_t ns;
		const char *words;
	} cases[] = {{0, " 0.00 "},
		     {4999, " 0.00 "},
		     {5000, " 0.01 "}, /* 0.005 as a double is above it, */
		     {15000, " 0.01 "}, /* 0.015 is below, */
		     {125000, " 0.12 "}, /* and 0.125 is what it says */
		     {1090000, " 1.09 "},
		     {99990000, " 99.99 "},
		     {99995001, " 100.00 "},
		     {100040000, " 100.0 "},
		     {12345600000, " 12346 "}};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text;

		exchange.end_ns = exchange.start_ns + cases[i].ns;
		text = written(&text_sink, false);
		ck_assert_msg(strstr(text, cases[i].words), "%s", text);
		free(text);
	}
}
END_TEST

START_TEST(test_table_error)
{
	exchange.failed = true;
	exchange.status = 1146;
	exchange.sqlstate = SPAN("42S02");
	exchange.message = SPAN("Table 'shop.nope' doesn't exist");
	exchange.rows = -1;
	exchange.masked = SPAN("SELECT 1");
	assert_row(false, "10:02:03.114  4121  support-bot  openssl mysql  "
			  "127.0.0.1:3306  1.21  -    -              "
			  "ERROR 1146 (42S02) Table '?' doesn't exist: "
			  "SELECT 1\n");
	exchange.status = -1;
	exchange.sqlstate = exchange.message = (struct span){0};
	assert_row(true, "10:02:03.114  4121  support-bot  openssl mysql  "
			 "127.0.0.1:3306  1.21  -    -              "
			 "ERROR: SELECT id, name FROM customers "
			 "WHERE card = '4111'\n");
}
END_TEST

START_TEST(test_table_incomplete)
{
	exchange.masked = SPAN("SELECT 1");
	exchange.complete = false;
	exchange.missed_bytes = 412;
	assert_row(false, LEFT "! SELECT 1 [incomplete: 412 bytes missed]\n");
	exchange.missed_bytes = 0;
	exchange.statement_cut = true;
	assert_row(false, LEFT "! SELECT 1... [incomplete]\n");
}
END_TEST

START_TEST(test_table_parameters)
{
	exchange.parameters[0] = SPAN("a@b.example");
	exchange.parameters[2] = SPAN("7");
	exchange.parameter_count = 3;
	exchange.statement = exchange.masked = SPAN("CALL f(?, ?, ?)");
	assert_row(true, LEFT "CALL f(?, ?, ?) [a@b.example, ?, 7]\n");
	assert_row(false, LEFT "CALL f(?, ?, ?)\n");
}
END_TEST

START_TEST(test_table_operations)
{
	exchange.operation = "PREPARE";
	exchange.prepares = true;
	exchange.masked = SPAN("SELECT ?");
	assert_row(false, LEFT "PREPARE SELECT ?\n");
	exchange.prepares = false;
	exchange.masked = SPAN("prepare s from ?");
	assert_row(false, LEFT "prepare s from ?\n");
	exchange.operation = "COM_INIT_DB";
	exchange.masked = (struct span){0};
	exchange.subject = SPAN("shop");
	assert_row(false, LEFT "COM_INIT_DB shop\n");
	exchange.subject = (struct span){0};
	exchange.operation = "COM_PING";
	assert_row(false, LEFT "COM_PING\n");
}
END_TEST

/* Each field that is captured or belongs to somebody else. */
static void fill_with(struct span bad)
{
	snprintf(process.comm, sizeof(process.comm), "%.*s", (int)bad.length,
		 bad.bytes);
	snprintf(process.executable, sizeof(process.executable), "%.*s",
		 (int)bad.length, bad.bytes);
	snprintf(process.user, sizeof(process.user), "%.*s", (int)bad.length,
		 bad.bytes);
	snprintf(record.server.address, sizeof(record.server.address), "%.*s",
		 (int)bad.length, bad.bytes);
	exchange.statement = exchange.masked = exchange.namespace = bad;
	exchange.user = exchange.targets[0] = exchange.columns[0] = bad;
	exchange.parameters[0] = bad;
	exchange.parameter_count = 1;
	exchange.sqlstate = exchange.message = bad;
	exchange.failed = true;
}

static const char *const hostile[] = {
	"\x1b[2J",
	"\x1b]0;owned\a",
	"a\rb\bc\x7f",
	"\xc2\x9b"
	"31m",
	"\x9b"
	"31m",
	"\xe2\x80\xae"
	"dlrow",
	"\xe2\x80\xaa",
	"\xe2\x81\xa6x",
	"\xe2\x81\xa9",
	"\xc0\xaf",
	"\xed\xa0\x80",
	"\xf4\x90\x80\x80",
	"\xe2\x82",
	"\xff\xfe",
	"\xf3\xa0\x81\x81",
	"\xe2\x80\xa8",
	"\xef\xbb\xbf",
};

/* Nothing but printable ASCII and line ends may be left of those. */
static void assert_clean(const char *text)
{
	const char *at;

	for (at = text; *at; at++)
		ck_assert_msg((*at >= 0x20 && *at < 0x7f) || *at == '\n',
			      "byte %02x in %s", (unsigned char)*at, text);
}

START_TEST(test_table_hostile)
{
	char *text;

	fill_with((struct span){hostile[_i], strlen(hostile[_i])});
	text = written(&text_sink, true);
	assert_clean(text);
	ck_assert_ptr_nonnull(strchr(text, '\\'));
	row_of(text);
	free(text);
}
END_TEST

START_TEST(test_escape_text)
{
	static const struct {
		struct span in;
		bool fold;
		const char *out;
		size_t columns;
	} cases[] = {
		{SPAN("\x1b[0m"), false, "\\x1b[0m", 7},
		{SPAN("a\0b"), false, "a\\x00b", 6},
		{SPAN("a\\x1b"), false, "a\\\\x1b", 6},
		{SPAN("\x9b"), false, "\\x9b", 4},
		{SPAN("\xc2\x9b"), false, "\\u009b", 6},
		{SPAN("\xe2\x80\xae"), false, "\\u202e", 6},
		{SPAN("\xf3\xa0\x81\x81"), false, "\\U000e0041", 10},
		{SPAN("\xe2\x82"), false, "\\xe2\\x82", 8},
		{SPAN("\xe0\x80\xaf"), false, "\\xe0\\x80\\xaf", 12},
		{SPAN("\xf0\x80\x80\xaf"), false, "\\xf0\\x80\\x80\\xaf", 16},
		{SPAN("M\xc3\xbcller"), false, "M\xc3\xbcller", 6},
		{SPAN("u\xcc\x88"), false, "u\xcc\x88", 1},
		{SPAN("\xe6\xbc\xa2"), false, "\xe6\xbc\xa2", 2},
		{SPAN("\xf0\x9f\x98\x80"), false, "\xf0\x9f\x98\x80", 2},
		{SPAN(" \ta \r\n b\v"), true, "a b", 3},
		{SPAN("a\tb"), false, "a\\x09b", 6},
		{SPAN(""), true, "", 0},
	};
	struct line line = {0};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		line_clear(&line);
		escape_text(&line, cases[i].in, cases[i].fold);
		ck_assert_int_eq(line.columns, cases[i].columns);
		line_put(&line, "", 1);
		ck_assert_str_eq(line.bytes, cases[i].out);
	}
	line_free(&line);
}
END_TEST

START_TEST(test_line_cut)
{
	struct line line = {0};

	/* A character of two columns is not cut in two. */
	escape_text(&line, SPAN("abc\xe6\xbc\xa2\xe6\xbc\xa2z"), false);
	ck_assert_int_eq(line.columns, 8);
	line_cut(&line, 8);
	ck_assert_int_eq(line.columns, 8);
	line_cut(&line, 7);
	ck_assert_int_eq(line.columns, 6);
	ck_assert_mem_eq(line.bytes, "abc...", 6);
	line_cut(&line, 4);
	ck_assert_int_eq(line.length, 4);
	ck_assert_mem_eq(line.bytes, "a...", 4);
	line_cut(&line, 2);
	ck_assert_int_eq(line.length, 2);
	ck_assert_mem_eq(line.bytes, "..", 2);
	line_free(&line);
}
END_TEST

START_TEST(test_escape_message)
{
	static const struct {
		struct span in;
		const char *out;
	} cases[] = {
		{SPAN("Unknown command"), "Unknown command"},
		{SPAN("Table 'shop.t' doesn't exist"),
		 "Table '?' doesn't exist"},
		{SPAN("Can't find file"), "Can't find file"},
		{SPAN("Duplicate entry 'a@b.c' for key 'email'"),
		 "Duplicate entry '?'"},
		{SPAN("near 'x WHERE m='a@b'' at line 1"),
		 "near '?' at line 1"},
		{SPAN("near 'n='O'Brien'' at line 1"), "near '?' at line 1"},
		{SPAN("near \"card=4111\" at line 1"), "near '?' at line 1"},
		{SPAN("near 'm='a' and n='4111"), "near '?'"},
		{SPAN("near '4111"), "near '?'"},
		{SPAN("near '"), "near '?'"},
		{SPAN("'"), "'?'"},
		{SPAN("''"), "'?'"},
		{SPAN(""), ""},
	};
	struct line line = {0};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		line_clear(&line);
		escape_message(&line, cases[i].in);
		line_put(&line, "", 1);
		ck_assert_str_eq(line.bytes, cases[i].out);
	}
	line_free(&line);
}
END_TEST

static char terminal_text[8192];

/* What a terminal of that width is given of `record`. */
static const char *shown(const struct sink_operations *operations,
			 unsigned short columns)
{
	struct winsize size = {.ws_row = 24, .ws_col = columns};
	struct sink *sink;
	int master, slave;
	ssize_t length;
	FILE *file;

	ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, &size), 0);
	file = fdopen(slave, "w");
	setvbuf(file, NULL, _IOFBF, BUFSIZ);
	sink = operations->open(file, false);
	ck_assert_int_eq(operations->record(sink, &record), 0);
	/* No flush, whatever the file's buffer: a terminal has it at once. */
	length = read(master, terminal_text, sizeof(terminal_text) - 1);
	ck_assert_int_gt(length, 0);
	while (length < (ssize_t)sizeof(terminal_text) - 1 &&
	       (terminal_text[length - 1] != '\n' ||
		(operations == &text_sink &&
		 memchr(terminal_text, '\n', length) ==
			 terminal_text + length - 1)))
		length += read(master, terminal_text + length,
			       sizeof(terminal_text) - 1 - length);
	terminal_text[length] = '\0';
	operations->close(sink);
	fclose(file);
	close(master);
	return terminal_text;
}

START_TEST(test_terminal_width)
{
	const char *text = shown(&text_sink, 120),
		   *row = strchr(text, '\n') + 1;

	ck_assert_int_eq(strcspn(text, "\r"), strlen(LEFT "OPERATION"));
	ck_assert_int_eq(strcspn(row, "\r"), 120);
	ck_assert_ptr_nonnull(strstr(row, "SELECT id, name FROM custom...\r"));

	exchange.complete = false;
	exchange.missed_bytes = 7;
	row = strchr(shown(&text_sink, 125), '\n') + 1;
	ck_assert_int_eq(strcspn(row, "\r"), 125);
	ck_assert_ptr_nonnull(
		strstr(row, "! S... [incomplete: 7 bytes missed]\r"));
}
END_TEST

START_TEST(test_terminal_narrow)
{
	const char *text = shown(&text_sink, 80), *row = strchr(text, '\n') + 1;

	ck_assert_ptr_null(strstr(text, "SENSITIVE"));
	ck_assert_ptr_null(strstr(text, "openssl"));
	ck_assert_int_eq(strcspn(row, "\r"), 80);
	ck_assert_ptr_nonnull(strstr(row, "50   SELECT id, name F...\r"));
	row = strchr(shown(&text_sink, 20), '\n') + 1;
	ck_assert_int_eq(strcspn(row, "\r"), 20);
}
END_TEST

START_TEST(test_terminal_json)
{
	const char *text = shown(&json_sink, 80);

	ck_assert_ptr_nonnull(strstr(text, "\"datasnoop.missed_bytes\":0}"));
}
END_TEST

static yajl_val value_of(yajl_val object, const char *key)
{
	const char *path[] = {key, NULL};

	return yajl_tree_get(object, path, yajl_t_any);
}

/* The one object of a line; yajl refuses what is not UTF-8. */
static yajl_val parsed(const char *text)
{
	char error[256] = "";
	yajl_val object = yajl_tree_parse(text, error, sizeof(error));

	ck_assert_msg(object != NULL, "%s in %s", error, text);
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	return object;
}

START_TEST(test_json)
{
	char *text = written(&json_sink, false);

	ck_assert_str_eq(
		text,
		"{\"event.name\":\"datasnoop.exchange\","
		"\"timestamp\":\"2026-11-22T10:02:03.114502Z\","
		"\"process.pid\":4121,\"thread.id\":4125,"
		"\"process.executable.name\":\"python3\","
		"\"process.command\":\"support-bot\",\"user.name\":\"bot\","
		"\"datasnoop.role\":\"client\",\"tls.library\":\"openssl\","
		"\"network.transport\":\"tcp\","
		"\"client.address\":\"127.0.0.1\",\"client.port\":51544,"
		"\"server.address\":\"127.0.0.1\",\"server.port\":3306,"
		"\"db.system.name\":\"mysql\",\"db.namespace\":\"shop\","
		"\"db.operation.name\":\"SELECT\","
		"\"db.collection.name\":\"customers\","
		"\"db.query.text\":\"SELECT id,\\n\\t name FROM customers"
		" WHERE card = ?\","
		"\"db.response.returned_rows\":50,"
		"\"db.response.status_code\":\"0\","
		"\"datasnoop.columns\":[\"customers.id\",\"customers.name\"],"
		"\"datasnoop.columns_total\":2,"
		"\"datasnoop.request.bytes\":88,"
		"\"datasnoop.response.bytes\":5056,"
		"\"datasnoop.duration_ms\":1.210,"
		"\"datasnoop.first_byte_ms\":0.840,"
		"\"datasnoop.complete\":true,\"datasnoop.missed_bytes\":0}\n");
	free(text);
}
END_TEST

START_TEST(test_json_unknown)
{
	static const char *const absent[] = {
		"timestamp",
		"thread.id",
		"process.executable.name",
		"user.name",
		"container.id",
		"datasnoop.role",
		"tls.library",
		"network.transport",
		"client.address",
		"client.port",
		"server.address",
		"server.port",
		"db.namespace",
		"db.collection.name",
		"datasnoop.collections",
		"db.query.text",
		"datasnoop.query.cut",
		"datasnoop.db.user",
		"db.response.returned_rows",
		"datasnoop.affected_rows",
		"db.response.status_code",
		"datasnoop.sqlstate",
		"error.type",
		"error.message",
		"datasnoop.results",
		"datasnoop.columns",
		"datasnoop.columns_total",
		"datasnoop.duration_ms",
		"datasnoop.first_byte_ms",
		"db.query.parameter.0",
	};
	char *text;
	yajl_val object;
	size_t i;

	process = (struct process){.pid = 1, .comm = "x"};
	exchange = (struct exchange){.system = "mysql",
				     .operation = "COM_PING",
				     .status = -1,
				     .rows = -1,
				     .affected = -1,
				     .results = 1};
	record = (struct record){.process = &process, .exchange = &exchange};
	text = written(&json_sink, true);
	object = parsed(text);
	for (i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		ck_assert_msg(!value_of(object, absent[i]), "%s", absent[i]);
	ck_assert(YAJL_IS_FALSE(value_of(object, "datasnoop.query.known")));
	ck_assert(YAJL_IS_FALSE(value_of(object, "datasnoop.complete")));
	yajl_tree_free(object);
	free(text);
}
END_TEST

static void assert_json_string(yajl_val object, const char *key,
			       const char *expected)
{
	yajl_val value = value_of(object, key);

	ck_assert_msg(YAJL_IS_STRING(value), "%s is no string", key);
	ck_assert_str_eq(YAJL_GET_STRING(value), expected);
}

START_TEST(test_json_error)
{
	char *text;
	yajl_val object;

	exchange.failed = true;
	exchange.status = 1062;
	exchange.sqlstate = SPAN("23000");
	exchange.message = SPAN("Duplicate entry 'a@b.c' for key 'email'");
	exchange.targets[1] = SPAN("orders");
	exchange.target_count = 2;
	exchange.results = 3;
	exchange.affected = 0;
	exchange.statement_cut = true;
	exchange.parameters[1] = SPAN("a@b.c");
	exchange.parameter_count = 2;
	text = written(&json_sink, false);
	ck_assert_ptr_null(strstr(text, "a@b.c"));
	ck_assert_ptr_null(strstr(text, "4111"));
	ck_assert_ptr_nonnull(strstr(text, "\"datasnoop.collections\":"
					   "[\"customers\",\"orders\"]"));
	ck_assert_ptr_nonnull(strstr(text, "\"datasnoop.results\":3"));
	ck_assert_ptr_nonnull(strstr(text, "\"datasnoop.affected_rows\":0"));
	ck_assert_ptr_nonnull(strstr(text, "\"datasnoop.query.cut\":true"));
	object = parsed(text);
	assert_json_string(object, "error.type", "1062");
	assert_json_string(object, "db.response.status_code", "1062");
	assert_json_string(object, "datasnoop.sqlstate", "23000");
	assert_json_string(object, "error.message", "Duplicate entry '?'");
	yajl_tree_free(object);
	free(text);

	text = written(&json_sink, true);
	object = parsed(text);
	assert_json_string(object, "error.message", exchange.message.bytes);
	assert_json_string(object, "db.query.text", exchange.statement.bytes);
	assert_json_string(object, "db.query.parameter.1", "a@b.c");
	ck_assert_ptr_null(value_of(object, "db.query.parameter.0"));
	yajl_tree_free(object);
	free(text);
}
END_TEST

START_TEST(test_json_hostile)
{
	struct span bad = {hostile[_i], strlen(hostile[_i])};
	char *text;

	fill_with(bad);
	text = written(&json_sink, true);
	yajl_tree_free(parsed(text));
	for (char *at = text; *at; at++) /* U+FFFD is what may be left */
		if (!strncmp(at, "\xef\xbf\xbd", 3))
			memset(at, '?', 3);
	assert_clean(text);
	free(text);
}
END_TEST

START_TEST(test_json_characters)
{
	char *text;
	yajl_val object;

	exchange.statement = SPAN("a\"\\\x01\0/M\xc3\xbc\xf0\x9f\x98\x80\x80"
				  "\xf3\xa0\x81\x81");
	text = written(&json_sink, true);
	ck_assert_ptr_nonnull(strstr(text, "\"a\\\"\\\\\\u0001\\u0000/M\xc3\xbc"
					   "\xf0\x9f\x98\x80\xef\xbf\xbd"
					   "\\udb40\\udc41\""));
	object = parsed(text);
	yajl_tree_free(object);
	free(text);
}
END_TEST

/* All the bytes of a file that many records went through. */
START_TEST(test_json_many)
{
	char *text = NULL, *at;
	size_t size = 0, lines = 0, i;
	FILE *file = open_memstream(&text, &size);
	struct sink *sink = json_sink.open(file, false);

	for (i = 0; i < 1000; i++) {
		exchange.rows = i;
		ck_assert_int_eq(json_sink.record(sink, &record), 0);
	}
	ck_assert_int_eq(json_sink.flush(sink), 0);
	for (at = text; (at = strchr(at, '\n')); at++) {
		char rows[64];

		snprintf(rows, sizeof(rows), "returned_rows\":%zu,", lines++);
		ck_assert_ptr_nonnull(strstr(text, rows));
	}
	ck_assert_int_eq(lines, 1000);
	ck_assert_int_eq(json_sink.close(sink), 0);
	fclose(file);
	free(text);
}
END_TEST

static const struct sink_operations *const sinks[] = {&text_sink, &json_sink};

START_TEST(test_no_space)
{
	FILE *file = fopen("/dev/full", "w");
	struct sink *sink = sinks[_i]->open(file, false);

	ck_assert_int_eq(sinks[_i]->record(sink, &record), 0);
	ck_assert_int_eq(sinks[_i]->flush(sink), -ENOSPC);
	sinks[_i]->close(sink);
	fclose(file);
}
END_TEST

START_TEST(test_broken_pipe)
{
	struct sink *sink;
	FILE *file;
	int ends[2], error = 0, i;

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(ends), 0);
	close(ends[0]);
	file = fdopen(ends[1], "w");
	sink = sinks[_i]->open(file, false);
	for (i = 0; i < 1000 && !error; i++)
		error = sinks[_i]->record(sink, &record);
	ck_assert_int_eq(error, -EPIPE);
	sinks[_i]->close(sink);
	fclose(file);
}
END_TEST

#define HOSTILE_COUNT ((int)(sizeof(hostile) / sizeof(hostile[0])))

static Suite *suite(void)
{
	Suite *all = suite_create("sinks");
	TCase *cases = tcase_create("all");

	tcase_add_checked_fixture(cases, setup, NULL);
	tcase_add_test(cases, test_table);
	tcase_add_test(cases, test_table_unknown);
	tcase_add_test(cases, test_table_peers);
	tcase_add_test(cases, test_table_durations);
	tcase_add_test(cases, test_table_error);
	tcase_add_test(cases, test_table_incomplete);
	tcase_add_test(cases, test_table_parameters);
	tcase_add_test(cases, test_table_operations);
	tcase_add_loop_test(cases, test_table_hostile, 0, HOSTILE_COUNT);
	tcase_add_test(cases, test_escape_text);
	tcase_add_test(cases, test_line_cut);
	tcase_add_test(cases, test_escape_message);
	tcase_add_test(cases, test_terminal_width);
	tcase_add_test(cases, test_terminal_narrow);
	tcase_add_test(cases, test_terminal_json);
	tcase_add_test(cases, test_json);
	tcase_add_test(cases, test_json_unknown);
	tcase_add_test(cases, test_json_error);
	tcase_add_loop_test(cases, test_json_hostile, 0, HOSTILE_COUNT);
	tcase_add_test(cases, test_json_characters);
	tcase_add_test(cases, test_json_many);
	tcase_add_loop_test(cases, test_no_space, 0, 2);
	tcase_add_loop_test(cases, test_broken_pipe, 0, 2);
	suite_add_tcase(all, cases);
	return all;
}

int main(void)
{
	return suite_run(suite());
}
