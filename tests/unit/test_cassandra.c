/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_cassandra.c - the parser of Cassandra's CQL protocol on written
 * conversations, of each version and compression.
 */
#include <lz4.h>
#include <snappy-c.h>
#include <zlib.h>

#include "tests/unit/pen.h"

enum opcode {
	ERROR = 0, STARTUP = 1, READY = 2, AUTHENTICATE = 3, OPTIONS = 5,
	SUPPORTED = 6, QUERY = 7, RESULT = 8, PREPARE = 9, EXECUTE = 10,
	EVENT = 12, BATCH = 13, AUTH_RESPONSE = 15, AUTH_SUCCESS = 16
};

static enum { PLAIN, LZ4, SNAPPY } compression;
static unsigned version = 4;
static bool segmented;
static struct pen pen; /* a body */
static struct pen out; /* what is sent */
static struct pen wrapped;

static uint32_t check24(uint64_t bits, unsigned bytes)
{
	uint32_t crc = 0x875060;

	for (unsigned i = 0; i < bytes; i++) {
		crc ^= (uint32_t)(bits >> 8 * i & 0xff) << 16;
		for (int bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc & 0x800000 ? 0x1974f0b : 0);
	}
	return crc & 0xffffff;
}

/* The envelopes written so far, in segments of at most `size` bytes. */
static void wrap(size_t size)
{
	static char packed[1 << 18];

	for (size_t at = 0; at < out.length; at += size) {
		size_t n = out.length - at < size ? out.length - at : size;
		const uint8_t *payload = out.bytes + at;
		unsigned head = compression == LZ4 ? 5 : 3;
		uint64_t bits = n, self = n == out.length;
		uLong crc = crc32(0, (const uint8_t *)"\xfa\x2d\x55\xca", 4);

		if (compression == LZ4) {
			int length = LZ4_compress_default(
				(const char *)payload, packed, (int)n,
				sizeof(packed));

			bits = (uint64_t)length | (uint64_t)n << 17;
			payload = (uint8_t *)packed;
			n = (size_t)length;
		}
		bits |= self << (compression == LZ4 ? 34 : 17);
		pen_le(&wrapped, head, bits);
		pen_le(&wrapped, 3, check24(bits, head));
		pen_bytes(&wrapped, payload, n);
		pen_le(&wrapped, 4, crc32(crc, payload, (uInt)n));
	}
	out.length = 0;
}

/* The body as it is sent; true: compressed. */
static bool pack(void)
{
	static char packed[1 << 18];
	size_t length = sizeof(packed);

	if (compression == PLAIN || segmented || !pen.length)
		return false;
	if (compression == LZ4) {
		length = (size_t)LZ4_compress_default(
			(char *)pen.bytes, packed + 4, (int)pen.length,
			sizeof(packed) - 4) + 4;
		for (int i = 0; i < 4; i++)
			packed[i] = (char)(pen.length >> (24 - 8 * i));
	} else {
		snappy_compress((char *)pen.bytes, pen.length, packed,
				&length);
	}
	memcpy(pen.bytes, packed, length);
	pen.length = length;
	return true;
}

/* The body becomes an envelope. */
static void envelope(enum side side, int stream, enum opcode opcode)
{
	bool packed = opcode != STARTUP && pack();

	pen_be(&out, 1, version | (side == SIDE_SERVER ? 0x80 : 0));
	pen_be(&out, 1, packed);
	pen_be(&out, 2, (uint64_t)stream);
	pen_be(&out, 1, opcode);
	pen_be(&out, 4, pen.length);
	pen_bytes(&out, pen.bytes, pen.length);
	pen.length = 0;
}

static void flush(struct recording *r, enum side side)
{
	if (!segmented) {
		pen_send(&out, r, side);
		return;
	}
	wrap(70000);
	pen_send(&wrapped, r, side);
}

static void send_envelope(struct recording *r, enum side side, int stream,
			  enum opcode opcode)
{
	envelope(side, stream, opcode);
	flush(r, side);
}

static void speak(unsigned of_version)
{
	version = of_version;
	compression = PLAIN;
	segmented = false;
}

static void string(const char *text)
{
	pen_be(&pen, 2, strlen(text));
	pen_text(&pen, text);
}

static void long_string(const char *text)
{
	pen_be(&pen, 4, strlen(text));
	pen_text(&pen, text);
}

/* Consistency ONE, and flags. */
static void parameters(unsigned flags)
{
	pen_be(&pen, 2, 1);
	pen_be(&pen, version >= 5 ? 4 : 1, flags);
}

static void query(struct recording *r, int stream, const char *text)
{
	long_string(text);
	parameters(0);
	send_envelope(r, SIDE_CLIENT, stream, QUERY);
}

/* Metadata of two columns, and their rows. */
static void metadata(void)
{
	pen_be(&pen, 4, 1);
	pen_be(&pen, 4, 2);
	string("shop");
	string("people");
	string("id");
	pen_be(&pen, 2, 9);
	string("email");
	pen_be(&pen, 2, 13);
}

static void cells(unsigned rows)
{
	pen_be(&pen, 4, rows);
	for (unsigned i = 0; i < rows; i++) {
		pen_be(&pen, 4, 4);
		pen_be(&pen, 4, i + 1);
		if (i == 1)
			pen_be(&pen, 4, UINT32_MAX);
		else
			long_string("a@example.org");
	}
}

static void answer_rows(struct recording *r, int stream, unsigned rows)
{
	pen_be(&pen, 4, 2);
	metadata();
	cells(rows);
	send_envelope(r, SIDE_SERVER, stream, RESULT);
}

static void answer_void(struct recording *r, int stream)
{
	pen_be(&pen, 4, 1);
	send_envelope(r, SIDE_SERVER, stream, RESULT);
}

static void prepare(struct recording *r, int stream)
{
	long_string("SELECT id, email FROM people WHERE id = ?");
	if (version >= 5)
		pen_be(&pen, 4, 0);
	send_envelope(r, SIDE_CLIENT, stream, PREPARE);
	pen_be(&pen, 4, 4);
	string("0123456789abcdef");
	if (version >= 5)
		string("fedcba9876543210");
	pen_be(&pen, 4, 1);
	pen_be(&pen, 4, 1);
	if (version >= 4) {
		pen_be(&pen, 4, 1);
		pen_be(&pen, 2, 0);
	}
	string("shop");
	string("people");
	string("id");
	pen_be(&pen, 2, 9);
	metadata();
	send_envelope(r, SIDE_SERVER, stream, RESULT);
}

/* Skips the metadata of the result. */
static void execute(struct recording *r, int stream)
{
	string("0123456789abcdef");
	if (version >= 5)
		string("fedcba9876543210");
	parameters(3);
	pen_be(&pen, 2, 1);
	pen_be(&pen, 4, 4);
	pen_be(&pen, 4, 77);
	send_envelope(r, SIDE_CLIENT, stream, EXECUTE);
	pen_be(&pen, 4, 2);
	pen_be(&pen, 4, 4);
	pen_be(&pen, 4, 2);
	cells(1);
	send_envelope(r, SIDE_SERVER, stream, RESULT);
}

static void startup(struct recording *r)
{
	static const char *const names[] = { NULL, "lz4", "snappy" };

	pen_be(&pen, 2, compression ? 2 : 1);
	string("CQL_VERSION");
	string("3.0.0");
	if (compression) {
		string("COMPRESSION");
		string(names[compression]);
	}
	send_envelope(r, SIDE_CLIENT, 0, STARTUP);
	string("org.apache.cassandra.auth.PasswordAuthenticator");
	send_envelope(r, SIDE_SERVER, 0, AUTHENTICATE);
	segmented = version >= 5;
	pen_be(&pen, 4, 13);
	pen_bytes(&pen, "\0alice\0secret", 13);
	send_envelope(r, SIDE_CLIENT, 0, AUTH_RESPONSE);
	pen_be(&pen, 4, UINT32_MAX);
	send_envelope(r, SIDE_SERVER, 0, AUTH_SUCCESS);
}

/* Requests that are answered one by one; nothing of one is in another. */
static void ask(struct recording *r)
{
	query(r, 1, "SELECT id, email FROM shop.people WHERE id IN (1, 2)");
	answer_rows(r, 1, 3);
	query(r, 2, "INSERT INTO people (id) VALUES (5)");
	answer_void(r, 2);
	query(r, 3, "SELECT 'oops");
	pen_be(&pen, 4, 0x2000);
	string("line 1:7 mismatched input");
	send_envelope(r, SIDE_SERVER, 3, ERROR);
	pen_be(&pen, 1, 0);
	pen_be(&pen, 2, 2);
	for (int i = 0; i < 2; i++) {
		pen_be(&pen, 1, 0);
		long_string("DELETE FROM carts WHERE id = ?");
		pen_be(&pen, 2, 1);
		long_string("x");
	}
	pen_be(&pen, 2, 1);
	pen_be(&pen, version >= 5 ? 4 : 1, 0);
	send_envelope(r, SIDE_CLIENT, 4, BATCH);
	answer_void(r, 4);
}

static struct recording conversation(unsigned of_version)
{
	struct recording r = { .piece_count = 0 };

	speak(of_version);
	ask(&r);
	return r;
}

#define REQUEST(name) " cassandra.request=\"" name "\" cassandra.version=4" \
	" cassandra.stream="
#define RESULTED " cassandra.consistency.level=\"one\"" \
	" cassandra.response=\"RESULT\"\n"
#define COUNTS(rows) " rows=" #rows " affected=-1 results=1"
#define COLUMNS " columns:2 =\"people.id\" =\"people.email\""

START_TEST(conversation_is_told)
{
	struct recording r = conversation(4);

	pen_expect(&cassandra_parser, &r,
		   "\tvalue 0 =\"1\"\n\tvalue 1 =\"a@example.org\"\n"
		   "\tvalue 0 =\"2\"\n\tvalue 0 =\"3\"\n"
		   "\tvalue 1 =\"a@example.org\"\n"
		   "SELECT status=0" COUNTS(3) " namespace=\"shop\""
		   " targets:1 =\"shop.people\"" COLUMNS
		   " statement=\"SELECT id, email FROM shop.people WHERE id IN"
		   " (1, 2)\" masked=\"SELECT id, email FROM shop.people WHERE"
		   " id IN (?, ?)\"" REQUEST("QUERY") "1" RESULTED
		   "INSERT status=0" COUNTS(-1) " targets:1 =\"people\""
		   " statement=\"INSERT INTO people (id) VALUES (5)\""
		   " masked=\"INSERT INTO people (id) VALUES (?)\""
		   REQUEST("QUERY") "2" RESULTED
		   "SELECT status=8192 failed"
		   " message=\"line 1:7 mismatched input\"" COUNTS(-1)
		   " statement=\"SELECT 'oops\" masked=\"SELECT ?\""
		   REQUEST("QUERY") "3 cassandra.consistency.level=\"one\""
		   " cassandra.response=\"ERROR\""
		   " cassandra.error=\"SYNTAX_ERROR\"\n"
		   "\tvalue -1 =\"x\"\n\tvalue -1 =\"x\"\n"
		   "BATCH status=0" COUNTS(-1) " targets:1 =\"carts\""
		   " parameters:2 =\"x\" =\"x\""
		   " statement=\"DELETE FROM carts WHERE id = ?; DELETE FROM"
		   " carts WHERE id = ?\" masked=\"DELETE FROM carts WHERE id"
		   " = ?; DELETE FROM carts WHERE id = ?\"" REQUEST("BATCH")
		   "4 db.operation.batch.size=2"
		   " cassandra.response=\"RESULT\"\n");
}
END_TEST

START_TEST(laws_hold)
{
	static const size_t gaps[] = { 1, 5, 9, 30, 100 };
	struct recording r = conversation(3 + (unsigned)_i);

	law_cuts(&cassandra_parser, &r);
	law_truncation(&cassandra_parser, &r, " namespace=\"");
	for (size_t i = 0; i < 5; i++)
		law_gaps(&cassandra_parser, &r, gaps[i], " namespace=\"", false);
	law_late_start(&cassandra_parser, &r, " namespace=\"", false);
	pen_noise(&cassandra_parser, &r, 1000);
	recording_free(&r);
}
END_TEST

/* Every version and compression gives what version 4 gives. */
static const struct {
	unsigned version;
	int compression;
} ways[] = { { 3, PLAIN }, { 3, LZ4 }, { 4, LZ4 }, { 4, SNAPPY },
	     { 5, PLAIN }, { 5, LZ4 } };

START_TEST(ways_of_sending_change_nothing)
{
	struct recording r = { .piece_count = 0 };
	char *lines, *at;

	version = ways[_i].version;
	compression = (unsigned)ways[_i].compression;
	segmented = false;
	startup(&r);
	prepare(&r, 7);
	execute(&r, 7);
	ask(&r);
	lines = pen_lines(&cassandra_parser, &r, 0);
	ck_assert_ptr_null(strstr(lines, "incomplete"));
	ck_assert_ptr_null(strstr(lines, "secret"));
	at = strstr(lines, "STARTUP status=0");
	ck_assert_ptr_nonnull(at);
	at = strstr(at, "LOGIN status=0");
	ck_assert_ptr_nonnull(at);
	ck_assert_ptr_nonnull(strstr(at, " user=\"alice\""));
	at = strstr(at, "PREPARE status=0");
	ck_assert_ptr_nonnull(at);
	at = strstr(at, "\tvalue 0 =\"1\"\n\tvalue 1 =\"a@example.org\"\n"
			"\tvalue -1 =\"77\"\n"
			"SELECT status=0" COUNTS(1) " namespace=\"shop\""
			" targets:1 =\"people\"" COLUMNS
			" parameters:1 =\"77\" statement=\"SELECT id, email"
			" FROM people WHERE id = ?\"");
	ck_assert_msg(at != NULL, "%s", lines);
	at = strstr(at, "SELECT status=0" COUNTS(3));
	ck_assert_ptr_nonnull(at);
	ck_assert_ptr_nonnull(strstr(at, "INSERT status=0"));
	ck_assert_ptr_nonnull(strstr(at, "SYNTAX_ERROR"));
	ck_assert_ptr_nonnull(strstr(at, "BATCH status=0"));
	law_cuts(&cassandra_parser, &r);
	pen_noise(&cassandra_parser, &r, 500);
	free(lines);
	recording_free(&r);
}
END_TEST

/* A gap in segments costs the segments that it touches. */
START_TEST(segments_are_found_again)
{
	static const size_t gaps[] = { 1, 6, 40, 150 };
	struct recording r = { .piece_count = 0 };

	version = 5;
	compression = _i ? LZ4 : PLAIN;
	segmented = true;
	ask(&r);
	for (size_t i = 0; i < 4; i++)
		law_gaps(&cassandra_parser, &r, gaps[i], " namespace=\"", false);
	recording_free(&r);
}
END_TEST

/* Answers overtake one another; an event belongs to nobody. */
START_TEST(streams_are_paired_by_number)
{
	struct recording r = { .piece_count = 0 };
	char *lines, *at;

	speak(4);
	query(&r, 10, "SELECT a FROM one");
	query(&r, 11, "SELECT b FROM two");
	answer_void(&r, 11);
	string("SCHEMA_CHANGE");
	string("DROPPED");
	string("TABLE");
	string("shop");
	string("three");
	send_envelope(&r, SIDE_SERVER, -1, EVENT);
	answer_void(&r, 10);
	law_cuts(&cassandra_parser, &r);
	lines = pen_lines(&cassandra_parser, &r, 0);
	ck_assert_ptr_null(strstr(lines, "incomplete"));
	at = strstr(lines, "targets:1 =\"two\"");
	ck_assert_ptr_nonnull(at);
	at = strstr(at, "cassandra.event=\"SCHEMA_CHANGE\""
			" cassandra.change=\"DROPPED\"");
	ck_assert_ptr_nonnull(at);
	ck_assert_ptr_nonnull(strstr(at, "targets:1 =\"one\""));
	free(lines);
	recording_free(&r);
}
END_TEST

START_TEST(keyspace_is_followed)
{
	struct recording r = { .piece_count = 0 };
	char *lines;

	speak(4);
	query(&r, 1, "USE shop");
	pen_be(&pen, 4, 3);
	string("shop");
	send_envelope(&r, SIDE_SERVER, 1, RESULT);
	query(&r, 1, "CREATE ROLE bob WITH PASSWORD = 'hidden'");
	answer_void(&r, 1);
	query(&r, 1, "INSERT INTO t (a) VALUES ($$it's me$$)");
	answer_void(&r, 1);
	lines = pen_lines(&cassandra_parser, &r, 0);
	ck_assert_ptr_null(strstr(lines, "hidden"));
	ck_assert_ptr_nonnull(strstr(lines, "USE status=0" COUNTS(-1)
					    " namespace=\"shop\""));
	ck_assert_ptr_nonnull(strstr(lines, "INSERT status=0" COUNTS(-1)
					    " namespace=\"shop\""));
	ck_assert_ptr_nonnull(strstr(lines, "masked=\"INSERT INTO t (a) VALUES"
					    " ("));
	ck_assert_ptr_null(strstr(strstr(lines, "masked=\"INSERT"), "me"));
	free(lines);
	recording_free(&r);
}
END_TEST

/* A cell and a statement longer than any window. */
START_TEST(long_ones_are_passed_over)
{
	struct recording r = { .piece_count = 0 };
	static char statement[100001], cell[150000];
	char *lines;

	for (unsigned v = 4; v <= 5; v++) {
		speak(v);
		segmented = v == 5;
		memset(statement, 'a', 100000);
		memcpy(statement, "SELECT ", 7);
		query(&r, 1, statement);
		pen_be(&pen, 4, 2);
		metadata();
		pen_be(&pen, 4, 1);
		pen_be(&pen, 4, 4);
		pen_be(&pen, 4, 9);
		pen_be(&pen, 4, sizeof(cell));
		pen_bytes(&pen, cell, sizeof(cell));
		send_envelope(&r, SIDE_SERVER, 1, RESULT);
		for (size_t cut = 1000; cut < 200000; cut *= 3) {
			lines = pen_lines(&cassandra_parser, &r, cut);
			ck_assert_ptr_nonnull(strstr(lines, COUNTS(1)));
			ck_assert_ptr_nonnull(strstr(lines, " cut "));
			ck_assert_ptr_null(strstr(lines, "incomplete"));
			free(lines);
		}
		recording_free(&r);
	}
}
END_TEST

START_TEST(beginnings_are_recognised)
{
	struct recording r = conversation(4);
	bool client_out = false;
	static const struct {
		const char *bytes;
		size_t length;
	} others[] = {
		{ "\4\0\0\1\7\0\0\0\x10\0\0\0\x10\1\2\3\4\5\6\7\0\1\2\3\4",
		  25 },
		{ "\4\0\0\1\x13\0\0\0\0", 9 },
		{ "\3\0\0\x0b\6\xe0\0\0\0\0\0", 11 }, /* TPKT */
		{ "GET / HTTP/1.1\r\n\r\n", 18 },
		{ "\0\0\0\x20\0\1\0\4\0\0\0\1\0\4test", 18 },
	};

	ck_assert_int_eq(pen_probe(&cassandra_parser, r.bytes[0], r.length[0],
				   "", 0, &client_out), PROBE_YES);
	ck_assert(client_out);
	ck_assert_int_eq(pen_probe(&cassandra_parser, r.bytes[1], r.length[1],
				   "", 0, &client_out), PROBE_YES);
	ck_assert(!client_out);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		ck_assert_int_eq(pen_probe(&cassandra_parser, others[i].bytes,
					   others[i].length, "", 0,
					   &client_out), PROBE_NO);
	recording_free(&r);
	for (int i = 0; i < 2; i++) {
		version = 5;
		compression = i ? LZ4 : PLAIN;
		segmented = true;
		ask(&r);
		ck_assert_int_eq(pen_probe(&cassandra_parser, "", 0,
					   r.bytes[0], r.length[0],
					   &client_out), PROBE_YES);
		ck_assert(!client_out);
		recording_free(&r);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cassandra");
	TCase *tcase = tcase_create("cassandra");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, conversation_is_told);
	tcase_add_loop_test(tcase, laws_hold, 0, 2);
	tcase_add_loop_test(tcase, ways_of_sending_change_nothing, 0, 6);
	tcase_add_loop_test(tcase, segments_are_found_again, 0, 2);
	tcase_add_test(tcase, streams_are_paired_by_number);
	tcase_add_test(tcase, keyspace_is_followed);
	tcase_add_test(tcase, long_ones_are_passed_over);
	tcase_add_test(tcase, beginnings_are_recognised);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
