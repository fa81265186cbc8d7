/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_kafka.c - the Kafka parser on written conversations, and on vectors
 * made by others where they are at hand.
 */
#include "tests/unit/pen.h"

#include <yajl/yajl_tree.h>

#define VECTORS "../shared/corpus/kafka/pixie-vectors"

static struct pen pen;

/* A request's header; `flexible` with no tagged fields. */
static void request(int api, int version, uint32_t correlation,
		    const char *client, bool flexible)
{
	pen_be(&pen, 4, 0);
	pen_be(&pen, 2, (uint64_t)api);
	pen_be(&pen, 2, (uint64_t)version);
	pen_be(&pen, 4, correlation);
	pen_be(&pen, 2, client ? strlen(client) : 0xffff);
	if (client)
		pen_text(&pen, client);
	if (flexible)
		pen_be(&pen, 1, 0);
}

static void response(uint32_t correlation)
{
	pen_be(&pen, 4, 0);
	pen_be(&pen, 4, correlation);
}

static void send_frame(struct recording *r, enum side side)
{
	size_t length = pen.length - 4;

	for (int i = 0; i < 4; i++)
		pen.bytes[i] = (uint8_t)(length >> (24 - 8 * i));
	pen_send(&pen, r, side);
}

static void string(const char *text)
{
	pen_be(&pen, 2, strlen(text));
	pen_text(&pen, text);
}

static void compact(const char *text)
{
	pen_be(&pen, 1, strlen(text) + 1);
	pen_text(&pen, text);
}

/* A batch of the format of Kafka 0.11 and later. */
static void batch(uint32_t count, size_t bytes, unsigned attributes)
{
	static const uint8_t zeros[4096];

	pen_be(&pen, 8, 0);
	pen_be(&pen, 4, 49 + bytes);
	pen_be(&pen, 4, 0);
	pen_be(&pen, 1, 2);
	pen_be(&pen, 4, 0xdeadbeef);
	pen_be(&pen, 2, attributes);
	pen_bytes(&pen, zeros, 34);
	pen_be(&pen, 4, count);
	for (; bytes > sizeof(zeros); bytes -= sizeof(zeros))
		pen_bytes(&pen, zeros, sizeof(zeros));
	pen_bytes(&pen, zeros, bytes);
}

static void produce_v9(struct recording *r, uint32_t correlation, int acks,
		       const char *topic, size_t bytes)
{
	request(0, 9, correlation, "producer-1", true);
	pen_be(&pen, 1, 0); /* no transaction */
	pen_be(&pen, 2, (uint64_t)acks);
	pen_be(&pen, 4, 1500);
	pen_be(&pen, 1, 2);
	compact(topic);
	pen_be(&pen, 1, 3); /* two partitions */
	for (int i = 0; i < 2; i++) {
		size_t length = 61 + bytes + 1; /* and one for its code */

		pen_be(&pen, 4, (uint64_t)i);
		pen_be(&pen, 1, (length & 0x7f) | 0x80);
		pen_be(&pen, 1, (length >> 7 & 0x7f) | 0x80);
		pen_be(&pen, 1, length >> 14);
		batch(5, bytes, 0x04);
		pen_be(&pen, 1, 0);
	}
	pen_be(&pen, 1, 0);
	pen_be(&pen, 1, 0);
	send_frame(r, SIDE_CLIENT);
}

static void produced_v9(struct recording *r, uint32_t correlation,
			const char *topic, int error)
{
	response(correlation);
	pen_be(&pen, 1, 0);
	pen_be(&pen, 1, 2);
	compact(topic);
	pen_be(&pen, 1, 3);
	for (unsigned i = 0; i < 2; i++) {
		pen_be(&pen, 4, i);
		pen_be(&pen, 2, i ? (uint64_t)error : 0);
		pen_be(&pen, 8, 17);
		pen_be(&pen, 8, ~0ull);
		pen_be(&pen, 8, 0);
		pen_be(&pen, 1, 1); /* no record errors */
		pen_be(&pen, 1, 0);
		pen_be(&pen, 1, 0);
	}
	pen_be(&pen, 1, 0);
	pen_be(&pen, 4, 0);
	pen_be(&pen, 1, 0);
	send_frame(r, SIDE_SERVER);
}

static void fetch_v4(struct recording *r, uint32_t correlation)
{
	request(1, 4, correlation, "consumer-1", false);
	pen_be(&pen, 4, 0xffffffff);
	pen_be(&pen, 4, 500);
	pen_be(&pen, 4, 1);
	pen_be(&pen, 4, 1 << 20);
	pen_be(&pen, 1, 0);
	pen_be(&pen, 4, 1);
	string("orders");
	pen_be(&pen, 4, 1);
	pen_be(&pen, 4, 0);
	pen_be(&pen, 8, 42);
	pen_be(&pen, 4, 1 << 20);
	send_frame(r, SIDE_CLIENT);
}

/* Two batches, a control batch, and the beginning of another. */
static void fetched_v4(struct recording *r, uint32_t correlation)
{
	size_t start, length;

	response(correlation);
	pen_be(&pen, 4, 0);
	pen_be(&pen, 4, 1);
	string("orders");
	pen_be(&pen, 4, 1);
	pen_be(&pen, 4, 0);
	pen_be(&pen, 2, 0);
	pen_be(&pen, 8, 100);
	pen_be(&pen, 8, 100);
	pen_be(&pen, 4, 0); /* no aborted transactions */
	start = pen.length;
	pen_be(&pen, 4, 0);
	batch(7, 300, 0);
	batch(3, 40, 0);
	batch(1, 6, 0x20);
	batch(9, 0, 0);
	pen.length -= 11;
	length = pen.length - start - 4;
	for (int i = 0; i < 4; i++)
		pen.bytes[start + i] = (uint8_t)(length >> (24 - 8 * i));
	send_frame(r, SIDE_SERVER);
}

/* A set of messages of the first formats, one of them compressed or none. */
static void produce_v2(struct recording *r, uint32_t correlation,
		       unsigned compression)
{
	request(0, 2, correlation, "old", false);
	pen_be(&pen, 2, 1);
	pen_be(&pen, 4, 1500);
	pen_be(&pen, 4, 1);
	string("logs");
	pen_be(&pen, 4, 1);
	pen_be(&pen, 4, 0);
	pen_be(&pen, 4, 3 * 28);
	for (int i = 0; i < 3; i++) {
		pen_be(&pen, 8, (uint64_t)i);
		pen_be(&pen, 4, 16);
		pen_be(&pen, 4, 0);
		pen_be(&pen, 1, 0);
		pen_be(&pen, 1, i == 2 ? compression : 0);
		pen_be(&pen, 4, 0xffffffff);
		pen_be(&pen, 4, 2);
		pen_text(&pen, "ab");
	}
	send_frame(r, SIDE_CLIENT);
}

static void produced_v2(struct recording *r, uint32_t correlation)
{
	response(correlation);
	pen_be(&pen, 4, 1);
	string("logs");
	pen_be(&pen, 4, 1);
	pen_be(&pen, 4, 0);
	pen_be(&pen, 2, 0);
	pen_be(&pen, 8, 1);
	pen_be(&pen, 8, 1);
	pen_be(&pen, 4, 0);
	send_frame(r, SIDE_SERVER);
}

static void join(struct recording *r, uint32_t correlation)
{
	request(11, 7, correlation, "consumer-1", true);
	compact("billing");
	pen_be(&pen, 4, 45000);
	send_frame(r, SIDE_CLIENT);
}

static void joined(struct recording *r, uint32_t correlation, int error)
{
	response(correlation);
	pen_be(&pen, 1, 0);
	pen_be(&pen, 4, 0);
	pen_be(&pen, 2, (uint64_t)error);
	pen_be(&pen, 4, 1);
	compact("consumer");
	compact("range");
	compact("member-1");
	compact("member-1");
	pen_be(&pen, 1, 1); /* members: none */
	pen_be(&pen, 1, 0);
	send_frame(r, SIDE_SERVER);
}

static struct recording conversation(void)
{
	struct recording r = { .piece_count = 0 };

	produce_v9(&r, 1, -1, "orders", 100);
	produced_v9(&r, 1, "orders", 0);
	fetch_v4(&r, 2);
	fetched_v4(&r, 2);
	join(&r, 3);
	joined(&r, 3, 79);
	produce_v9(&r, 4, 1, "orders", 20);
	produced_v9(&r, 4, "orders", 3);
	join(&r, 5);
	joined(&r, 5, -1);
	return r;
}

#define NOTHING " rows=-1 affected=-1 results=1"
#define OF(operation) " messaging.system=\"kafka\"" \
	" messaging.operation.name=\"" operation "\""
#define IDS(api, version, id) " kafka.api.key=" #api \
	" kafka.api.version=" #version " kafka.correlation_id=" #id
#define ORDERS " targets:1 =\"orders\""
#define SENT OF("Produce") " messaging.operation.type=\"send\"" \
	" messaging.client.id=\"producer-1\"" \
	" messaging.destination.name=\"orders\"" \
	" messaging.batch.message_count=10 kafka.partitions=2"
#define JOINED OF("JoinGroup") " messaging.client.id=\"consumer-1\"" \
	" messaging.consumer.group.name=\"billing\""

START_TEST(conversation_is_told)
{
	struct recording r = conversation();

	pen_expect(&kafka_parser, &r,
	       "Produce status=0" NOTHING ORDERS SENT IDS(0, 9, 1)
	       " kafka.error_code=0\n"
	       "Fetch status=0" NOTHING ORDERS OF("Fetch")
	       " messaging.operation.type=\"receive\""
	       " messaging.client.id=\"consumer-1\""
	       " messaging.destination.name=\"orders\""
	       " messaging.batch.message_count=10 kafka.partitions=1"
	       IDS(1, 4, 2) " kafka.error_code=0\n"
	       "JoinGroup status=79 failed status-name=\"MEMBER_ID_REQUIRED\""
	       NOTHING JOINED IDS(11, 7, 3) " kafka.error_code=79\n"
	       "Produce status=3 failed"
	       " status-name=\"UNKNOWN_TOPIC_OR_PARTITION\"" NOTHING ORDERS
	       SENT IDS(0, 9, 4) " kafka.error_code=3\n"
	       "JoinGroup status=-1 failed"
	       " status-name=\"UNKNOWN_SERVER_ERROR\"" NOTHING JOINED
	       IDS(11, 7, 5) " kafka.error_code=-1\n");
}
END_TEST

START_TEST(laws_hold)
{
	struct recording r = conversation();

	law_cuts(&kafka_parser, &r);
	law_truncation(&kafka_parser, &r, " no=\"");
	law_gaps(&kafka_parser, &r, 1, " no=\"", false);
	law_gaps(&kafka_parser, &r, 9, " no=\"", false);
	law_gaps(&kafka_parser, &r, 200, " no=\"", false);
	law_late_start(&kafka_parser, &r, " no=\"", false);
	pen_noise(&kafka_parser, &r, 2000);
	recording_free(&r);
}
END_TEST

/* Requests sent ahead, answered in another order; acks=0 has no answer. */
START_TEST(pipelined_requests_are_paired_by_id)
{
	struct recording r = { .piece_count = 0 };

	join(&r, 10);
	produce_v2(&r, 11, 0);
	produce_v9(&r, 12, 0, "orders", 9);
	produce_v2(&r, 13, 2);
	produced_v2(&r, 13);
	produced_v2(&r, 11);
	joined(&r, 10, 0);
	pen_expect(&kafka_parser, &r,
	       "Produce status=-1" NOTHING ORDERS SENT IDS(0, 9, 12) "\n"
	       "Produce status=0" NOTHING " targets:1 =\"logs\"" OF("Produce")
	       " messaging.operation.type=\"send\" messaging.client.id=\"old\""
	       " messaging.destination.name=\"logs\" kafka.partitions=1"
	       IDS(0, 2, 13) " kafka.error_code=0\n"
	       "Produce status=0" NOTHING " targets:1 =\"logs\"" OF("Produce")
	       " messaging.operation.type=\"send\" messaging.client.id=\"old\""
	       " messaging.destination.name=\"logs\""
	       " messaging.batch.message_count=3 kafka.partitions=1"
	       IDS(0, 2, 11) " kafka.error_code=0\n"
	       "JoinGroup status=0" NOTHING JOINED IDS(11, 7, 10)
	       " kafka.error_code=0\n");
}
END_TEST

START_TEST(tokens_stay_inside)
{
	struct recording r = { .piece_count = 0 };

	request(17, 0, 1, "c", false);
	string("PLAIN");
	send_frame(&r, SIDE_CLIENT);
	response(1);
	pen_be(&pen, 2, 0);
	send_frame(&r, SIDE_SERVER);
	pen_be(&pen, 4, 0);
	pen_bytes(&pen, "\0alice\0secret", 13);
	send_frame(&r, SIDE_CLIENT);
	pen_be(&pen, 4, 0);
	send_frame(&r, SIDE_SERVER);
	request(36, 2, 2, "c", true);
	pen_be(&pen, 1, 14);
	pen_bytes(&pen, "\0alice\0secret", 13);
	pen_be(&pen, 1, 0);
	send_frame(&r, SIDE_CLIENT);
	response(2);
	pen_be(&pen, 1, 0);
	pen_be(&pen, 2, 58);
	compact("no");
	send_frame(&r, SIDE_SERVER);
	law_cuts(&kafka_parser, &r);
	pen_expect(&kafka_parser, &r,
	       "SaslHandshake status=0" NOTHING OF("SaslHandshake")
	       " messaging.client.id=\"c\"" IDS(17, 0, 1)
	       " kafka.sasl.mechanism=\"PLAIN\" kafka.error_code=0\n"
	       "SaslToken status=-1" NOTHING OF("SaslToken") "\n"
	       "SaslAuthenticate status=58 failed"
	       " status-name=\"SASL_AUTHENTICATION_FAILED\" message=\"no\""
	       NOTHING OF("SaslAuthenticate") " messaging.client.id=\"c\""
	       IDS(36, 2, 2) " kafka.error_code=58\n");
}
END_TEST

/* An old broker answers ApiVersions 3 in the format of version 0. */
START_TEST(unsupported_version_is_read)
{
	struct recording r = { .piece_count = 0 };

	request(18, 3, 0, NULL, true);
	compact("lib");
	compact("1.0");
	pen_be(&pen, 1, 0);
	send_frame(&r, SIDE_CLIENT);
	response(0);
	pen_be(&pen, 2, 35);
	pen_be(&pen, 4, 0);
	send_frame(&r, SIDE_SERVER);
	pen_expect(&kafka_parser, &r,
	       "ApiVersions status=35 failed"
	       " status-name=\"UNSUPPORTED_VERSION\"" NOTHING
	       OF("ApiVersions") IDS(18, 3, 0) " kafka.error_code=35\n");
}
END_TEST

/* Records larger than any window are passed over, their loss too. */
START_TEST(large_records_are_passed_over)
{
	struct recording r = { .piece_count = 0 };
	struct drive d = { .recording = &r, .parser = &kafka_parser };

	produce_v9(&r, 1, 1, "orders", 50000);
	produced_v9(&r, 1, "orders", 0);
	for (size_t cut = 900; cut < 70000; cut = cut * 2 + 1) {
		char *lines = pen_lines(&kafka_parser, &r, cut);

		ck_assert_ptr_nonnull(strstr(lines, "message_count=10 "));
		free(lines);
	}
	d.gaps[0] = (struct drive_gap){ SIDE_CLIENT, 30000, 5000 };
	d.gap_count = 1;
	drive_run(&d);
	ck_assert_uint_eq(d.exchanges, 1);
	ck_assert_uint_eq(d.incomplete, 1);
	recording_free(&r);
}
END_TEST

START_TEST(answer_to_the_unseen_is_unknown)
{
	struct recording r = { .piece_count = 0 };
	char *lines;

	joined(&r, 7, 0);
	join(&r, 8);
	joined(&r, 8, 0);
	lines = pen_lines(&kafka_parser, &r, 0);
	ck_assert_ptr_nonnull(strstr(lines, "UNKNOWN status=-1"));
	ck_assert_ptr_nonnull(strstr(lines, "JoinGroup status=0"));
	free(lines);
	recording_free(&r);
}
END_TEST

/* Everything that begins like a request of others is refused. */
START_TEST(others_are_refused)
{
	static const struct {
		const char *what, *bytes;
		size_t length;
	} others[] = {
		{ "PostgreSQL's start", "\0\0\0\x54\0\3\0\0user\0postgres\0"
		  "database\0shop\0application_name\0psql\0client_encoding\0"
		  "UTF8\0\0", 84 },
		{ "PostgreSQL's SSLRequest", "\0\0\0\x08\x04\xd2\x16\x2f", 8 },
		{ "HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27 },
		{ "HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4", 28 },
		{ "zeros", "\0\0\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
		  22 },
		{ "TLS", "\x16\3\1\0\x40\1\0\0\x3c\3\3abcdefghijk", 22 },
		{ "MongoDB", "\x30\0\0\0\1\0\0\0\0\0\0\0\xdd\7\0\0\0\0\0\0",
		  20 },
		{ "an unknown API", "\0\0\0\x20\1\1\0\1\0\0\0\1\0\4test", 18 },
		{ "a version too late", "\0\0\0\x20\0\1\0\x63\0\0\0\1\0\4test",
		  18 },
		{ "no text", "\0\0\0\x20\0\1\0\4\0\0\0\1\0\4te\1t", 18 },
	};
	bool client_out;

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		ck_assert_msg(pen_probe(&kafka_parser, others[i].bytes,
					others[i].length, "", 0, &client_out) !=
				      PROBE_YES, "%s", others[i].what);
		ck_assert_msg(pen_probe(&kafka_parser, "", 0, others[i].bytes,
					others[i].length, &client_out) !=
				      PROBE_YES, "%s", others[i].what);
	}
}
END_TEST

START_TEST(both_ends_are_told_apart)
{
	struct recording r = conversation(), weak = { .piece_count = 0 };
	bool client_out = false;

	ck_assert_int_eq(pen_probe(&kafka_parser, r.bytes[0], r.length[0],
				   "", 0, &client_out), PROBE_YES);
	ck_assert(client_out);
	ck_assert_int_eq(pen_probe(&kafka_parser, "", 0, r.bytes[0],
				   r.length[0], &client_out), PROBE_YES);
	ck_assert(!client_out);
	request(18, 0, 77, NULL, false);
	send_frame(&weak, SIDE_CLIENT);
	ck_assert_int_eq(pen_probe(&kafka_parser, weak.bytes[0],
				   weak.length[0], "", 0, &client_out),
			 PROBE_MORE);
	ck_assert_int_eq(pen_probe(&kafka_parser, weak.bytes[0],
				   weak.length[0], "\0\0\0\x0a\0\0\0\x4d", 8,
				   &client_out), PROBE_YES);
	ck_assert_int_eq(pen_probe(&kafka_parser, weak.bytes[0],
				   weak.length[0], "\0\0\0\x0a\0\0\0\x4e", 8,
				   &client_out), PROBE_MORE);
	recording_free(&r);
	recording_free(&weak);
}
END_TEST

static long long field_number(yajl_val object, const char *name)
{
	yajl_val value = yajl_tree_get(object, (const char *[]){ name, NULL },
				       yajl_t_number);

	return value ? YAJL_GET_INTEGER(value) : -1;
}

static char *field_text(yajl_val object, const char *name)
{
	yajl_val value = yajl_tree_get(object, (const char *[]){ name, NULL },
				       yajl_t_string);

	return value ? YAJL_GET_STRING(value) : NULL;
}

static void add_hex(struct recording *r, enum side side, const char *hex)
{
	for (; hex[0] && hex[1]; hex += 2) {
		char digits[3] = { hex[0], hex[1], '\0' };

		pen_be(&pen, 1, strtoul(digits, NULL, 16));
	}
	pen_send(&pen, r, side);
}

/* The answers that the vectors' own file expects, request by request. */
static void check_expected(const char *lines)
{
	FILE *file = fopen(VECTORS ".expected", "r");
	char *line = NULL, wanted[256];
	size_t room = 0, requests = 0;

	ck_assert_ptr_nonnull(file);
	while (getline(&line, &room, file) > 0) {
		yajl_val object = yajl_tree_parse(line, NULL, 0);

		ck_assert_ptr_nonnull(object);
		if (!strcmp(field_text(object, "kind"), "request")) {
			snprintf(wanted, sizeof(wanted),
				 " messaging.operation.name=\"%s\"",
				 field_text(object, "api"));
			ck_assert_ptr_nonnull(strstr(lines, wanted));
			snprintf(wanted, sizeof(wanted),
				 " messaging.client.id=\"%s\"",
				 field_text(object, "client_id"));
			ck_assert_ptr_nonnull(strstr(lines, wanted));
			snprintf(wanted, sizeof(wanted), " kafka.api.key=%lld"
				 " kafka.api.version=%lld"
				 " kafka.correlation_id=%lld",
				 field_number(object, "api_key"),
				 field_number(object, "api_version"),
				 field_number(object, "correlation_id"));
			ck_assert_ptr_nonnull(strstr(lines, wanted));
			requests++;
		}
		yajl_tree_free(object);
	}
	ck_assert_uint_eq(requests, 3);
	free(line);
	fclose(file);
}

START_TEST(vectors_of_others_are_read)
{
	FILE *file = fopen(VECTORS ".jsonl", "r");
	struct recording r = { .piece_count = 0 };
	char *line = NULL, *lines;
	size_t room = 0;

	if (!file)
		return; /* the corpus is not at hand */
	while (getline(&line, &room, file) > 0) {
		yajl_val object = yajl_tree_parse(line, NULL, 0);

		ck_assert_ptr_nonnull(object);
		add_hex(&r, strstr(field_text(object, "id"), "Request") ?
				SIDE_CLIENT : SIDE_SERVER,
			field_text(object, "hex"));
		yajl_tree_free(object);
	}
	free(line);
	fclose(file);
	lines = pen_lines(&kafka_parser, &r, 0);
	ck_assert_ptr_null(strstr(lines, "incomplete"));
	check_expected(lines);
	law_cuts(&kafka_parser, &r);
	free(lines);
	recording_free(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kafka");
	TCase *tcase = tcase_create("kafka");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, conversation_is_told);
	tcase_add_test(tcase, laws_hold);
	tcase_add_test(tcase, pipelined_requests_are_paired_by_id);
	tcase_add_test(tcase, tokens_stay_inside);
	tcase_add_test(tcase, unsupported_version_is_read);
	tcase_add_test(tcase, large_records_are_passed_over);
	tcase_add_test(tcase, answer_to_the_unseen_is_unknown);
	tcase_add_test(tcase, others_are_refused);
	tcase_add_test(tcase, both_ends_are_told_apart);
	tcase_add_test(tcase, vectors_of_others_are_read);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
