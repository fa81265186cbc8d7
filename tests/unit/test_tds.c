/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_tds.c - the parser of SQL Server's TDS on written conversations.
 */
#include "tests/unit/pen.h"

static struct pen pen;	   /* a message's payload, then its packets */
static struct pen packets;

/* The payload in packets of at most `size` bytes of payload each. */
static void send_message(struct recording *r, enum side side, uint8_t type,
			 size_t size)
{
	uint8_t id = 1;

	for (size_t at = 0; at < pen.length || !at; at += size) {
		size_t left = pen.length - at, n = left < size ? left : size;

		pen_be(&packets, 1, type);
		pen_be(&packets, 1, n == left);
		pen_be(&packets, 2, n + 8);
		pen_be(&packets, 2, 51);
		pen_be(&packets, 1, id++);
		pen_be(&packets, 1, 0);
		pen_bytes(&packets, pen.bytes + at, n);
	}
	pen.length = 0;
	pen_send(&packets, r, side);
}

static void utf16(const char *text)
{
	for (; *text; text++)
		pen_le(&pen, 2, (uint8_t)*text);
}

static void headers(void)
{
	pen_le(&pen, 4, 22);
	pen_le(&pen, 4, 18);
	pen_le(&pen, 2, 2);
	pen_le(&pen, 8, 0);
	pen_le(&pen, 4, 1);
}

static void batch(struct recording *r, const char *text)
{
	headers();
	utf16(text);
	send_message(r, SIDE_CLIENT, 1, 4000);
}

static void call(int id, const char *name)
{
	headers();
	if (id) {
		pen_le(&pen, 2, 0xffff);
		pen_le(&pen, 2, (uint64_t)id);
	} else {
		pen_le(&pen, 2, strlen(name));
		utf16(name);
	}
	pen_le(&pen, 2, 0);
}

static void parameter(const char *name, uint8_t flags)
{
	pen_be(&pen, 1, strlen(name));
	utf16(name);
	pen_be(&pen, 1, flags);
}

static void collation(void)
{
	pen_bytes(&pen, "\x09\x04\xd0\x00\x34", 5);
}

static void nvarchar(const char *text)
{
	pen_be(&pen, 1, 0xe7);
	pen_le(&pen, 2, 8000);
	collation();
	pen_le(&pen, 2, 2 * strlen(text));
	utf16(text);
}

static void int4(int number)
{
	pen_bytes(&pen, "\x26\x04\x04", 3);
	pen_le(&pen, 4, (uint64_t)number);
}

static void column(const char *name, const void *type, size_t length)
{
	pen_le(&pen, 4, 0);
	pen_le(&pen, 2, 9);
	pen_bytes(&pen, type, length);
	pen_be(&pen, 1, strlen(name));
	utf16(name);
}

static void done(uint8_t token, unsigned status, uint64_t count)
{
	pen_be(&pen, 1, token);
	pen_le(&pen, 2, status);
	pen_le(&pen, 2, 0xc1);
	pen_le(&pen, 8, count);
}

/* Columns of an int and of an nvarchar. */
static void two_columns(void)
{
	pen_be(&pen, 1, 0x81);
	pen_le(&pen, 2, 2);
	column("id", "\x38", 1);
	column("email", "\xe7\x64\x00\x09\x04\xd0\x00\x34", 8);
}

static void row(int id, const char *text)
{
	pen_be(&pen, 1, text ? 0xd1 : 0xd2);
	if (!text)
		pen_be(&pen, 1, 2); /* the second is null */
	pen_le(&pen, 4, (uint64_t)id);
	if (!text)
		return;
	pen_le(&pen, 2, 2 * strlen(text));
	utf16(text);
}

static void error(unsigned number, const char *text)
{
	pen_be(&pen, 1, 0xaa);
	pen_le(&pen, 2, 4 + 2 + 2 + 2 * strlen(text) + 2 + 4);
	pen_le(&pen, 4, number);
	pen_be(&pen, 1, 1);
	pen_be(&pen, 1, 16);
	pen_le(&pen, 2, strlen(text));
	utf16(text);
	pen_le(&pen, 2, 0);
	pen_le(&pen, 4, 1);
}

static void login(struct recording *r)
{
	static const struct {
		size_t at;
		const char *text;
	} strings[] = { { 36, "host1" }, { 40, "alice" }, { 44, "secret" },
			{ 48, "billing" }, { 68, "shop" } };
	size_t at = 94;

	pen.length = 94;
	memset(pen.bytes, 0, 94);
	memcpy(pen.bytes, "\x8c\0\0\0\4\0\0\x74", 8);
	for (size_t i = 0; i < 5; i++) {
		size_t length = strlen(strings[i].text);

		pen.bytes[strings[i].at] = (uint8_t)at;
		pen.bytes[strings[i].at + 2] = (uint8_t)length;
		utf16(strings[i].text);
		at += 2 * length;
	}
	send_message(r, SIDE_CLIENT, 16, 4000);
	pen_be(&pen, 1, 0xe3);
	pen_le(&pen, 2, 1 + 1 + 8 + 1 + 12);
	pen_be(&pen, 1, 1);
	pen_be(&pen, 1, 4);
	utf16("shop");
	pen_be(&pen, 1, 6);
	utf16("master");
	pen_bytes(&pen, "\xad\x0a\0\1\x74\0\0\4\0\0\0\0\0", 13);
	pen_bytes(&pen, "\xae\4\4\0\0\0abcd\xff", 11);
	done(0xfd, 0, 0);
	send_message(r, SIDE_SERVER, 4, 4000);
}

/* Requests that are answered one by one; nothing of one is in another. */
static struct recording conversation(void)
{
	struct recording r = { .piece_count = 0 };

	batch(&r, "SELECT id, email FROM [dbo].[people] WHERE id < 9");
	two_columns();
	row(1, "a@example.org");
	row(2, NULL);
	row(3, "c@example.org");
	done(0xfd, 0x10, 3);
	send_message(&r, SIDE_SERVER, 4, 40);
	call(10, NULL);
	parameter("", 0);
	nvarchar("UPDATE people SET email = @m WHERE id = @i");
	parameter("", 0);
	nvarchar("@m nvarchar(20), @i int");
	parameter("@m", 0);
	nvarchar("x@example.org");
	parameter("@i", 0);
	int4(-7);
	send_message(&r, SIDE_CLIENT, 3, 4000);
	done(0xff, 0x11, 1);
	pen_be(&pen, 1, 0x79);
	pen_le(&pen, 4, 0);
	done(0xfe, 0, 0);
	send_message(&r, SIDE_SERVER, 4, 4000);
	batch(&r, "SELECT * FROM #nothing");
	error(208, "Invalid object name '#nothing'.");
	done(0xfd, 2, 0);
	send_message(&r, SIDE_SERVER, 4, 4000);
	call(0, "dbo.report");
	parameter("@year", 0);
	int4(2026);
	send_message(&r, SIDE_CLIENT, 3, 4000);
	pen_be(&pen, 1, 0x79);
	pen_le(&pen, 4, (uint64_t)-4);
	done(0xfe, 0, 0);
	send_message(&r, SIDE_SERVER, 4, 4000);
	return r;
}

#define RESULT(rows, affected, results) \
	" rows=" #rows " affected=" #affected " results=" #results
#define SELECTED \
	"\tvalue 0 =\"1\"\n\tvalue 1 =\"a@example.org\"\n" \
	"\tvalue 0 =\"2\"\n\tvalue 0 =\"3\"\n" \
	"\tvalue 1 =\"c@example.org\"\n" \
	"SELECT status=0" RESULT(3, -1, 1) " targets:1 =\"dbo.people\"" \
	" columns:2 =\"id\" =\"email\"" \
	" statement=\"SELECT id, email FROM [dbo].[people] WHERE id < 9\"" \
	" masked=\"SELECT id, email FROM [dbo].[people] WHERE id < ?\"" \
	" tds.request=\"sql_batch\"\n"

START_TEST(conversation_is_told)
{
	struct recording r = conversation();

	pen_expect(&tds_parser, &r,
		   SELECTED
		   "\tvalue -1 =\"x@example.org\"\n\tvalue -1 =\"-7\"\n"
		   "UPDATE status=0" RESULT(-1, 1, 1) " targets:1 =\"people\""
		   " parameters:2 =\"x@example.org\" =\"-7\""
		   " statement=\"UPDATE people SET email = @m WHERE id = @i\""
		   " masked=\"UPDATE people SET email = @m WHERE id = @i\""
		   " tds.request=\"rpc\""
		   " db.stored_procedure.name=\"sp_executesql\""
		   " tds.proc_id=10 tds.return_status=0\n"
		   "SELECT status=208 failed"
		   " message=\"Invalid object name '#nothing'.\""
		   RESULT(-1, -1, 1) " targets:1 =\"#nothing\""
		   " statement=\"SELECT * FROM #nothing\""
		   " masked=\"SELECT * FROM #nothing\""
		   " tds.request=\"sql_batch\" tds.error_state=1\n"
		   "\tvalue -1 =\"2026\"\n"
		   "RPC status=0" RESULT(-1, -1, 1) " parameters:1 =\"2026\""
		   " tds.request=\"rpc\""
		   " db.stored_procedure.name=\"dbo.report\""
		   " tds.return_status=-4\n");
}
END_TEST

START_TEST(laws_hold)
{
	static const size_t gaps[] = { 1, 9, 60, 300 };
	struct recording r = conversation();

	law_cuts(&tds_parser, &r);
	law_truncation(&tds_parser, &r, " namespace=\"");
	for (size_t i = 0; i < 4; i++)
		law_gaps(&tds_parser, &r, gaps[i], " namespace=\"", false);
	law_late_start(&tds_parser, &r, " namespace=\"", false);
	pen_noise(&tds_parser, &r, 2000);
	recording_free(&r);
}
END_TEST

START_TEST(login_tells_no_password)
{
	struct recording r = { .piece_count = 0 };
	char *lines;

	login(&r);
	batch(&r, "CREATE LOGIN bob WITH PASSWORD = 'hidden'");
	done(0xfd, 0, 0);
	send_message(&r, SIDE_SERVER, 4, 4000);
	law_cuts(&tds_parser, &r);
	lines = pen_lines(&tds_parser, &r, 0);
	ck_assert_ptr_null(strstr(lines, "secret"));
	ck_assert_ptr_null(strstr(lines, "hidden"));
	ck_assert_ptr_nonnull(strstr(lines, "LOGIN status=0"));
	ck_assert_ptr_nonnull(strstr(lines, "namespace=\"shop\""
					    " user=\"alice\""));
	ck_assert_ptr_nonnull(strstr(lines, "tds.application=\"billing\""));
	free(lines);
	recording_free(&r);
}
END_TEST

START_TEST(handles_lead_to_statements)
{
	struct recording r = { .piece_count = 0 };
	char *lines;

	call(13, NULL);
	parameter("", 1);
	int4(0);
	parameter("", 0);
	nvarchar("@a int");
	parameter("", 0);
	nvarchar("SELECT name FROM cities WHERE id = @a");
	parameter("@a", 0);
	int4(5);
	send_message(&r, SIDE_CLIENT, 3, 4000);
	pen_be(&pen, 1, 0xac);
	pen_le(&pen, 2, 0);
	pen_be(&pen, 1, 0);
	pen_be(&pen, 1, 1);
	pen_le(&pen, 4, 0);
	pen_le(&pen, 2, 0);
	int4(33);
	done(0xfe, 0, 0);
	send_message(&r, SIDE_SERVER, 4, 4000);
	for (int handle = 33; handle < 35; handle++) {
		call(12, NULL);
		parameter("", 0);
		int4(handle);
		parameter("@a", 0);
		int4(6);
		send_message(&r, SIDE_CLIENT, 3, 4000);
		done(0xfe, 0, 0);
		send_message(&r, SIDE_SERVER, 4, 4000);
	}
	law_cuts(&tds_parser, &r);
	lines = pen_lines(&tds_parser, &r, 0);
	ck_assert_ptr_nonnull(strstr(
		lines, "SELECT status=0" RESULT(-1, -1, 1)
		" targets:1 =\"cities\" parameters:1 =\"6\""));
	ck_assert_ptr_nonnull(strstr(lines, "tds.proc_id=12"
					    " unknown-statement"));
	free(lines);
	recording_free(&r);
}
END_TEST

/* A type as COLMETADATA tells it, a value as ROW has it, and its text. */
static const struct {
	const char *type, *value, *text;
	size_t type_length, value_length;
} typed[] = {
#define TYPED(type, value, text) \
	{ type, value, text, sizeof(type) - 1, sizeof(value) - 1 }
	TYPED("\x30", "\xff", "255"),
	TYPED("\x34", "\xfe\xff", "-2"),
	TYPED("\x7f", "\xff\xff\xff\xff\xff\xff\xff\x7f",
	      "9223372036854775807"),
	TYPED("\x26\x08", "\x04\x2a\0\0\0", "42"),
	TYPED("\x26\x08", "\0", NULL),
	TYPED("\x68\x01", "\x01\x01", "1"),
	TYPED("\x3e", "\0\0\0\0\0\0\xf8\x3f", "1.5"),
	TYPED("\x6d\x04", "\x04\0\0\x20\xc0", "-2.5"),
	TYPED("\x3c", "\0\0\0\0\x10\x27\0\0", "1.0000"),
	TYPED("\x6e\x04", "\x04\xf0\xd8\xff\xff", "-1.0000"),
	TYPED("\x6a\x11\x0a\x02", "\x05\x01\x39\x30\0\0", "123.45"),
	TYPED("\x6a\x11\x0a\x03", "\x05\0\x05\0\0\0", "-0.005"),
	TYPED("\x24\x10", "\x10\x33\x22\x11\0\x55\x44\x77\x66"
	      "\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
	      "00112233-4455-6677-8899-aabbccddeeff"),
	TYPED("\x3d", "\x00\xac\x00\x00\xe0\x37\x01\x00",
	      "2020-07-22 00:04:26.133"),
	TYPED("\x3a", "\x01\x00\x3d\x00", "1900-01-02 01:01:00"),
	TYPED("\x28", "\x03\xdb\x07\x0b", "1980-04-03"),
	TYPED("\x29\x00", "\x03\x3d\x0e\0", "01:00:45"),
	TYPED("\x2a\x03", "\x07\xe8\x03\0\0\x00\x00\x00",
	      "0001-01-01 00:00:01.000"),
	TYPED("\xa7\x0a\0\x09\4\xd0\0\x34", "\3\0abc", "abc"),
	TYPED("\xad\x04\0", "\2\0\x0a\xff", "0x0aff"),
	TYPED("\xe7\xff\xff\x09\4\xd0\0\x34",
	      "\xfe\xff\xff\xff\xff\xff\xff\xff\3\0\0\0a\0b\1\0\0\0\0"
	      "\2\0\0\0c\0\0\0\0\0", "abc"),
	TYPED("\xe7\xff\xff\x09\4\xd0\0\x34",
	      "\xff\xff\xff\xff\xff\xff\xff\xff", NULL),
	TYPED("\x23\xff\xff\xff\x7f\x09\4\xd0\0\x34\x01\1\0t\0",
	      "\x02pp12345678\3\0\0\0xyz", "xyz"),
	TYPED("\x62\x49\x1f\0\0", "\6\0\0\0\x38\0\7\0\0\0", "7"),
	TYPED("\x62\x49\x1f\0\0", "\0\0\0\0", NULL),
	TYPED("\xf1\0", "\xfe\xff\xff\xff\xff\xff\xff\xff\2\0\0\0<\0"
	      "\0\0\0\0", "<"),
};
#define TYPED_COUNT (sizeof(typed) / sizeof(*typed))

START_TEST(values_of_each_type_are_walked)
{
	struct recording r = { .piece_count = 0 };
	char *lines, wanted[4096] = "", *rows;

	batch(&r, "SELECT everything");
	pen_be(&pen, 1, 0x81);
	pen_le(&pen, 2, TYPED_COUNT);
	for (size_t i = 0; i < TYPED_COUNT; i++)
		column("c", typed[i].type, typed[i].type_length);
	for (int n = 0; n < 2; n++) {
		pen_be(&pen, 1, 0xd1);
		for (size_t i = 0; i < TYPED_COUNT; i++) {
			size_t used = strlen(wanted);

			pen_bytes(&pen, typed[i].value, typed[i].value_length);
			if (typed[i].text)
				snprintf(wanted + used, sizeof(wanted) - used,
					 "\tvalue %zu =\"%s\"\n", i,
					 typed[i].text);
		}
	}
	done(0xfd, 0x10, 2);
	send_message(&r, SIDE_SERVER, 4, 31);
	lines = pen_lines(&tds_parser, &r, 0);
	rows = strstr(lines, "SELECT");
	ck_assert_ptr_nonnull(rows);
	ck_assert_ptr_nonnull(strstr(rows, " rows=2 "));
	ck_assert_ptr_null(strstr(rows, "incomplete"));
	*rows = '\0';
	law_same(lines, wanted, "values", 0);
	law_cuts(&tds_parser, &r);
	free(lines);
	recording_free(&r);
}
END_TEST

/* The same kinds of message before TDS 7.2: no headers, shorter tokens. */
START_TEST(old_versions_are_read)
{
	struct recording r = { .piece_count = 0 };

	utf16("DELETE FROM t");
	send_message(&r, SIDE_CLIENT, 1, 4000);
	pen_bytes(&pen, "\xfd\x10\0\xc4\0\5\0\0\0", 9);
	send_message(&r, SIDE_SERVER, 4, 4000);
	pen_expect(&tds_parser, &r,
		   "DELETE status=0" RESULT(-1, 5, 1) " targets:1 =\"t\""
		   " statement=\"DELETE FROM t\" masked=\"DELETE FROM t\""
		   " tds.request=\"sql_batch\"\n");
}
END_TEST

/* PRELOGIN; what it agreed on decides whether something can be read. */
static void prelogin(struct recording *r, uint8_t encryption)
{
	for (int side = 0; side < SIDES; side++) {
		pen_bytes(&pen, "\0\0\x0b\0\6\1\0\x11\0\1\xff\x10\0\0\0\0\0",
			  17);
		pen_be(&pen, 1, encryption);
		send_message(r, (enum side)side, side ? 4 : 18, 4000);
	}
}

START_TEST(encryption_ends_or_pauses_reading)
{
	static const char *const words[] = { "login", "on", "not supported",
					     "required" };

	for (uint8_t encryption = 0; encryption < 4; encryption++) {
		struct recording r = { .piece_count = 0 };
		char *lines, word[64];
		bool reads = encryption == 0 || encryption == 2;

		prelogin(&r, encryption);
		if (encryption != 2) {
			pen_bytes(&pen, "\x16\3\1\0\4abcd", 9);
			send_message(&r, SIDE_CLIENT, 18, 4000);
			pen_bytes(&pen, "\x16\3\3\0\4abcd", 9);
			send_message(&r, SIDE_SERVER, 18, 4000);
			pen_bytes(&pen, "\x17\3\3\0\4abcd", 9);
			pen_send(&pen, &r, SIDE_CLIENT);
			done(0xfd, 0, 0);
			send_message(&r, SIDE_SERVER, 4, 4000);
		}
		batch(&r, "SELECT 1");
		done(0xfd, 0x10, 1);
		send_message(&r, SIDE_SERVER, 4, 4000);
		lines = pen_lines(&tds_parser, &r, 0);
		snprintf(word, sizeof(word), "tds.encryption=\"%s\"",
			 words[encryption]);
		ck_assert_ptr_nonnull(strstr(lines, word));
		ck_assert_int_eq(strstr(lines, "SELECT status=0") != NULL,
				 reads);
		ck_assert_int_eq(strstr(lines, "\nLOGIN status=0") != NULL,
				 encryption == 0);
		ck_assert_ptr_null(strstr(lines, "incomplete"));
		law_cuts(&tds_parser, &r);
		free(lines);
		recording_free(&r);
	}
}
END_TEST

START_TEST(attention_cancels)
{
	struct recording r = { .piece_count = 0 };
	char *lines;

	batch(&r, "WAITFOR DELAY '1:00'");
	send_message(&r, SIDE_CLIENT, 6, 4000);
	done(0xfd, 0x20, 0);
	send_message(&r, SIDE_SERVER, 4, 4000);
	batch(&r, "SELECT 1");
	done(0xfd, 0x10, 1);
	send_message(&r, SIDE_SERVER, 4, 4000);
	lines = pen_lines(&tds_parser, &r, 0);
	ck_assert_ptr_nonnull(strstr(lines, "tds.cancelled=1"));
	ck_assert_ptr_nonnull(strstr(lines, "\nSELECT status=0"));
	ck_assert_ptr_null(strstr(lines, "incomplete"));
	free(lines);
	recording_free(&r);
}
END_TEST

START_TEST(beginnings_are_recognised)
{
	struct recording r = conversation();
	bool client_out = false;

	ck_assert_int_eq(pen_probe(&tds_parser, r.bytes[0], r.length[0], "", 0,
				   &client_out), PROBE_YES);
	ck_assert(client_out);
	ck_assert_int_eq(pen_probe(&tds_parser, r.bytes[1], r.length[1], "", 0,
				   &client_out), PROBE_YES);
	ck_assert(!client_out);
	ck_assert_int_eq(pen_probe(&tds_parser, r.bytes[0], 9, "", 0,
				   &client_out), PROBE_MORE);
	ck_assert_int_eq(pen_probe(&tds_parser,
				   "\1\1\0\x40\0\0\1\0random bytes, of no text"
				   " in two bytes a letter and so on", 64, "",
				   0, &client_out), PROBE_NO);
	ck_assert_int_eq(pen_probe(&tds_parser, "GET / HTTP/1.1\r\n\r\n", 18,
				   "\1\0\0\1\0\0\0\2\0\0\0\0", 12,
				   &client_out), PROBE_NO);
	recording_free(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tds");
	TCase *tcase = tcase_create("tds");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, conversation_is_told);
	tcase_add_test(tcase, laws_hold);
	tcase_add_test(tcase, login_tells_no_password);
	tcase_add_test(tcase, handles_lead_to_statements);
	tcase_add_test(tcase, values_of_each_type_are_walked);
	tcase_add_test(tcase, old_versions_are_read);
	tcase_add_test(tcase, encryption_ends_or_pauses_reading);
	tcase_add_test(tcase, attention_cancels);
	tcase_add_test(tcase, beginnings_are_recognised);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
