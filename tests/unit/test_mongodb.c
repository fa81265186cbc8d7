/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mongodb.c - MongoDB's protocol on recorded and on written
 * conversations, and on vectors of others where they are at hand.
 *
 * Recordings: tests/captures/mongodb (see README there).
 */
#define _GNU_SOURCE
#include "tests/unit/recorded.h"

#define VECTORS	 "../shared/corpus/mongodb/pixie-opmsg-vectors"

static const char *const captures[] = {
	"plain", "legacy", "sections", "snappied", "zlibbed", "zstded",
	"large",
};
#define SMALL 6 /* of them, without `large` */

static const struct recorded recordings = {
	.parser = &mongodb_parser,
	.folder = "tests/captures/mongodb",
	.ending = "mongodb",
	.names = captures,
	.count = COUNT(captures),
	.cut = SMALL,
	.truncated = SMALL,
	.torn = SMALL,
	.gaps = { 1, 2, 17, 90 },
	.forgot = " namespace=\"-",
};

START_TEST(secrets_stay_inside)
{
	char *lines = recorded_lines("plain");

	ck_assert_ptr_nonnull(strstr(lines, "createUser "));
	ck_assert_ptr_nonnull(strstr(lines, "saslContinue "));
	ck_assert_ptr_null(strstr(lines, "hunter"));
	free(lines);
}
END_TEST

/* No literal of a statement is in its masked form. */
START_TEST(masked_statements_hold_no_values)
{
	static const char *const values[] = { "Ada", "18", "secret" };
	struct recording r = recorded_load(captures[_i]);
	struct drive d = { .recording = &r, .parser = &mongodb_parser };
	char *lines = drive_lines(&d), *line, *rest = lines;

	while ((line = strsep(&rest, "\n")) && *line) {
		char *masked = strstr(line, " masked=\"");
		char *end = masked ? strstr(masked, " mongodb.") : NULL;

		if (!end)
			continue;
		*end = '\0';
		for (int i = 0; i < COUNT(values); i++)
			ck_assert_msg(!strstr(masked, values[i]), "%s", masked);
	}
	free(lines);
	recording_free(&r);
}
END_TEST

static size_t put_message(uint8_t *to, uint32_t id, uint32_t response_to,
			  uint32_t opcode, const void *body, size_t length)
{
	uint32_t words[4] = { (uint32_t)(16 + length), id, response_to,
			      opcode };

	for (int i = 0; i < 16; i++)
		to[i] = (uint8_t)(words[i / 4] >> 8 * (i % 4));
	memcpy(to + 16, body, length);
	return 16 + length;
}

static const char ping[] =
	"\0\0\0\0\0" "\x1e\0\0\0" "\x10ping\0\1\0\0\0" "\2$db\0\6\0\0\0admin\0";
static const char pong[] =
	"\0\0\0\0\0" "\x11\0\0\0" "\1ok\0\0\0\0\0\0\0\xf0\x3f";
#define PING_BYTES sizeof(ping)
#define PONG_BYTES sizeof(pong)

/* Decompression ends where the message said that it would. */
START_TEST(expansion_is_bounded)
{
	/* zlib of 1000 zeros, announced as 10 bytes of OP_MSG */
	static const uint8_t bomb[] = {
		0xdd, 7, 0, 0, 10, 0, 0, 0, 2, 0x78, 0x9c, 0x63, 0x60, 0x18,
		0x05, 0xa3, 0x60, 0x14, 0x0c, 0x37, 0x00, 0x00, 0x03, 0xe8,
		0x00, 0x01
	};
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &mongodb_parser };
	uint8_t bytes[256];
	char *lines;

	recording_add(&r, SIDE_CLIENT, bytes,
		      put_message(bytes, 1, 0, 2012, bomb, sizeof(bomb)),
		      1000);
	recording_add(&r, SIDE_CLIENT, bytes,
		      put_message(bytes, 2, 0, 2013, ping, PING_BYTES), 2000);
	recording_add(&r, SIDE_SERVER, bytes,
		      put_message(bytes, 9, 2, 2013, pong, PONG_BYTES), 3000);
	lines = drive_lines(&d);
	ck_assert_uint_eq(d.exchanges, 2);
	ck_assert_uint_eq(d.incomplete, 1);
	ck_assert_ptr_nonnull(strstr(lines, "ping status=0"));
	free(lines);
	recording_free(&r);
}
END_TEST

/* Lengths inside a document that leave it: no more than the message is lost. */
START_TEST(hostile_documents_cost_only_themselves)
{
	struct recording r;
	struct drive d = { .recording = &r, .parser = &mongodb_parser };

	for (size_t at = 5; at < PING_BYTES; at++) {
		for (int value = 0; value < 256; value += 51) {
			uint8_t body[PING_BYTES], bytes[256];

			r = (struct recording){ .piece_count = 0 };
			memcpy(body, ping, PING_BYTES);
			body[at] = (uint8_t)value;
			recording_add(&r, SIDE_CLIENT, bytes,
				      put_message(bytes, 1, 0, 2013, body,
						  PING_BYTES), 1000);
			recording_add(&r, SIDE_SERVER, bytes,
				      put_message(bytes, 8, 1, 2013, pong,
						  PONG_BYTES), 2000);
			recording_add(&r, SIDE_CLIENT, bytes,
				      put_message(bytes, 2, 0, 2013, ping,
						  PING_BYTES), 3000);
			recording_add(&r, SIDE_SERVER, bytes,
				      put_message(bytes, 9, 2, 2013, pong,
						  PONG_BYTES), 4000);
			free(drive_lines(&d));
			ck_assert_uint_eq(d.exchanges, 2);
			ck_assert_uint_le(d.incomplete, 1);
			recording_free(&r);
		}
	}
}
END_TEST

START_TEST(unanswered_requests_are_bounded)
{
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &mongodb_parser };
	uint8_t bytes[256], *many = malloc(3000 * 256);
	size_t length = 0;

	ck_assert_ptr_nonnull(many);
	for (uint32_t i = 1; i <= 3000; i++)
		length += put_message(many + length, i, 0, 2013, ping,
				      PING_BYTES);
	recording_add(&r, SIDE_CLIENT, many, length, 1000);
	recording_add(&r, SIDE_SERVER, bytes,
		      put_message(bytes, 9, 3000, 2013, pong, PONG_BYTES),
		      2000);
	free(drive_lines(&d));
	ck_assert_uint_eq(d.exchanges, 3000);
	ck_assert_uint_eq(d.incomplete, 2999);
	free(many);
	recording_free(&r);
}
END_TEST

/* A number that is used again while its first response is coming. */
START_TEST(numbers_may_be_used_again)
{
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &mongodb_parser };
	uint8_t bytes[256];
	size_t length = put_message(bytes, 1, 0, 2013, ping, PING_BYTES);
	char *lines;

	recording_add(&r, SIDE_CLIENT, bytes, length, 1000);
	length = put_message(bytes, 9, 1, 2013, pong, PONG_BYTES);
	recording_add(&r, SIDE_SERVER, bytes, 20, 2000);
	length = put_message(bytes, 1, 0, 2013, ping, PING_BYTES);
	recording_add(&r, SIDE_CLIENT, bytes, length, 3000);
	length = put_message(bytes, 9, 1, 2013, pong, PONG_BYTES);
	recording_add(&r, SIDE_SERVER, bytes + 20, length - 20, 4000);
	recording_add(&r, SIDE_SERVER, bytes, length, 5000);
	lines = drive_lines(&d);
	ck_assert_uint_eq(d.exchanges, 2);
	ck_assert_uint_eq(d.incomplete, 0);
	free(lines);
	recording_free(&r);
}
END_TEST

static enum verdict probe(const struct recording *r, enum side out,
			  bool *client_out)
{
	struct opening opening = {
		.in = { .bytes = r->bytes[!out], .length = r->length[!out] },
		.out = { .bytes = r->bytes[out], .length = r->length[out] },
	};

	return mongodb_parser.probe(&opening, client_out);
}

START_TEST(detection_is_by_content)
{
	static const char http[] = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
	struct recording r = recorded_load(captures[_i]), other = { .piece_count = 0 };
	bool client_out;

	ck_assert_int_eq(probe(&r, SIDE_CLIENT, &client_out), PROBE_YES);
	ck_assert(client_out);
	ck_assert_int_eq(probe(&r, SIDE_SERVER, &client_out), PROBE_YES);
	ck_assert(!client_out);
	recording_add(&other, SIDE_CLIENT, http, strlen(http), 1000);
	ck_assert_int_eq(probe(&other, SIDE_CLIENT, &client_out), PROBE_NO);
	recording_free(&other);
	recording_free(&r);
}
END_TEST

/* The text behind `key` in a line of JSON, up to the quote; "": none. */
static void field(const char *line, const char *key, char *value, size_t size)
{
	const char *at = strstr(line, key), *end;

	*value = '\0';
	if (!at)
		return;
	at += strlen(key);
	end = strchr(at, '"');
	if (end && (size_t)(end - at) < size)
		snprintf(value, size, "%.*s", (int)(end - at), at);
}

/* One vector: a whole message, or none at all. */
static void check_vector(const char *hex, const char *id, const char *expect)
{
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &mongodb_parser };
	uint8_t bytes[1024], asked[256];
	size_t length = 0;
	uint32_t to;
	char *lines;
	unsigned byte;

	while (length < sizeof(bytes) && sscanf(hex, "%2x", &byte) == 1) {
		bytes[length++] = (uint8_t)byte;
		hex += 2;
	}
	to = length < 12 ? 0 : bytes[8] | bytes[9] << 8 | bytes[10] << 16 |
	     (uint32_t)bytes[11] << 24;
	if (to)
		recording_add(&r, SIDE_CLIENT, asked,
			      put_message(asked, to, 0, 2013, ping,
					  PING_BYTES), 1000);
	recording_add(&r, to ? SIDE_SERVER : SIDE_CLIENT, bytes, length, 2000);
	if (!to)
		recording_add(&r, SIDE_SERVER, asked,
			      put_message(asked, 99, length < 8 ? 1 :
					  bytes[4] | bytes[5] << 8 |
					  bytes[6] << 16 |
					  (uint32_t)bytes[7] << 24, 2013, pong,
					  PONG_BYTES), 3000);
	lines = drive_lines(&d);
	if (!strcmp(expect, "valid"))
		ck_assert_msg(d.exchanges > d.incomplete && strstr(lines,
			      "status=0"), "%s: %s", id, lines);
	else if (!strstr(expect, "tolerant"))
		ck_assert_msg(d.exchanges == d.incomplete, "%s: %s", id, lines);
	free(lines);
	recording_free(&r);
}

START_TEST(vectors_of_others)
{
	FILE *vectors = fopen(VECTORS ".jsonl", "r");
	FILE *expected = fopen(VECTORS ".expected", "r");
	char *line = NULL, *wanted = NULL, id[128], other[128], hex[2048];
	char expect[256];
	size_t room = 0, more = 0, count = 0;

	if (vectors && expected) {
		while (getline(&wanted, &more, expected) > 0) {
			field(wanted, "\"id\": \"", id, sizeof(id));
			field(wanted, "\"expect\": \"", expect,
			      sizeof(expect));
			rewind(vectors);
			while (getline(&line, &room, vectors) > 0) {
				field(line, "\"id\": \"", other,
				      sizeof(other));
				if (strcmp(id, other))
					continue;
				field(line, "\"hex\": \"", hex, sizeof(hex));
				check_vector(hex, id, expect);
				count++;
			}
		}
		ck_assert_uint_gt(count, 0);
	} else {
		printf("vectors_of_others: skipped, no %s\n", VECTORS);
	}
	free(line);
	free(wanted);
	if (vectors)
		fclose(vectors);
	if (expected)
		fclose(expected);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mongodb");
	TCase *tc = tcase_create("mongodb");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, masked_statements_hold_no_values, 0, SMALL);
	tcase_add_loop_test(tc, detection_is_by_content, 0, COUNT(captures));
	tcase_add_test(tc, secrets_stay_inside);
	tcase_add_test(tc, expansion_is_bounded);
	tcase_add_test(tc, hostile_documents_cost_only_themselves);
	tcase_add_test(tc, unanswered_requests_are_bounded);
	tcase_add_test(tc, numbers_may_be_used_again);
	tcase_add_test(tc, vectors_of_others);
	suite_add_tcase(suite, recorded_tests(&recordings));
	suite_add_tcase(suite, tc);
	return suite_run(suite);
}
