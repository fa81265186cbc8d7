/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_sinks_account.c - the account at the end, in words and as JSON.
 */
#include <check.h>
#include <string.h>

#include "sinks/sink.h"
#include "tests/unit/suite.h"

static struct account account;

static void fill_account(void)
{
	account = (struct account){
		.fragments = 118000,
		.bytes_seen = 1234567,
		.batches = 1,
		.batch_bytes = 1300000,
		.bytes_delivered = 1234067,
		.lost = {[LOSS_BUFFER_FULL] = 400, [LOSS_NO_ENTRY] = 100},
		.peeked_bytes = 5,
		.connections = 14,
		.exchanges = 12345,
		.exchanges_incomplete = 3,
		.fragments_direct = 3,
		.exchanges_mirrored = 2,
		.bytes_mirrored = 7,
		.bytes_unparsed = 6,
		.memory_peak_bytes = 7,
		.calls_unknown = 1,
		.records_bad = 8,
		.parser_errors = 1,
		.resident_peak_bytes = 8 << 20,
		.map_bytes = 9 << 20,
	};
}

static char *summary_of(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	struct sink *sink = json_sink.open(file, false);

	ck_assert_int_eq(json_sink.summary(sink, &account), 0);
	ck_assert_int_eq(json_sink.close(sink), 0);
	fclose(file);
	return text;
}

START_TEST(test_json_summary)
{
	char *text;

	fill_account();
	text = summary_of();
	ck_assert_str_eq(
		text,
		"{\"event.name\":\"datasnoop.summary\","
		"\"capture.fragments\":118000,\"capture.batches\":1,"
		"\"capture.batch_bytes\":1300000,"
		"\"capture.bytes_seen\":1234567,"
		"\"capture.bytes_delivered\":1234067,"
		"\"capture.bytes_lost\":500,\"capture.lost.buffer_full\":400,"
		"\"capture.lost.unreadable\":0,\"capture.lost.over_limit\":0,"
		"\"capture.lost.map_full\":0,\"capture.lost.no_entry\":100,"
		"\"capture.balanced\":true,\"capture.connections\":14,"
		"\"capture.connections_refused\":0,"
		"\"capture.exchanges\":12345,"
		"\"capture.exchanges_incomplete\":3,"
		"\"capture.fragments_direct\":3,"
		"\"capture.exchanges_mirrored\":2,\"capture.bytes_mirrored\":7,"
		"\"capture.bytes_unparsed\":6,\"capture.peeked_bytes\":5,"
		"\"capture.calls_unknown\":1,\"capture.calls_foreign\":0,"
		"\"capture.io_uring_processes\":0,\"capture.records_bad\":8,"
		"\"capture.parser_errors\":1,"
		"\"capture.memory_peak_bytes\":7,"
		"\"capture.resident_peak_bytes\":8388608,"
		"\"capture.map_bytes\":9437184}\n");
	free(text);
	account.bytes_seen++;
	text = summary_of();
	ck_assert_ptr_nonnull(strstr(text, "\"capture.balanced\":false"));
	free(text);
}
END_TEST

static char *words_of(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	sink_account_words(file, &account);
	fclose(file);
	return text;
}

START_TEST(test_words)
{
	char *text;

	fill_account();
	text = words_of();
	ck_assert_str_eq(
		text,
		"datasnoop: 12,345 exchanges (3 incomplete) on 14 connections"
		"\n"
		"datasnoop: 1,234,567 bytes seen = 1,234,067 delivered"
		" + 500 lost\n"
		"datasnoop: lost: 400 buffer_full (raise --ring-mb),"
		" 100 no_entry\n"
		"datasnoop: 118,000 fragments came as 1,300,000 bytes"
		" in 1 batch\n"
		"datasnoop: memory: 9.0 MB of kernel maps, 0.0 MB of"
		" streams at most, 8.0 MB resident at most\n"
		"datasnoop: 3 fragments were sent one by one: more"
		" connections than --max-connections\n"
		"datasnoop: 7 bytes delivered were the server's end of"
		" connections shown from the client's\n"
		"datasnoop: 6 bytes delivered were of no known protocol\n"
		"datasnoop: 1 call moved bytes whose number could not be"
		" read\n"
		"datasnoop: mistakes of its own: 8 malformed records,"
		" 1 parser stopped\n");
	free(text);

	account = (struct account){.exchanges = 1, .connections = 1};
	text = words_of();
	ck_assert_str_eq(
		text, "datasnoop: 1 exchange on 1 connection\n"
		      "datasnoop: 0 bytes seen = 0 delivered + 0 lost\n"
		      "datasnoop: 0 fragments came as 0 bytes in 0 batches\n"
			 "datasnoop: memory: 0.0 MB of kernel maps, 0.0 MB of"
			 " streams at most, 0.0 MB resident at most\n");
	free(text);
}
END_TEST

START_TEST(test_words_unbalanced)
{
	char *text;

	fill_account();
	account.bytes_seen += 1000;
	text = words_of();
	ck_assert_ptr_nonnull(strstr(text, "seen != 1,234,067"));
	ck_assert_ptr_nonnull(strstr(text, "the account does not close: 1,000"
					   " bytes seen are neither"));
	free(text);
	account.bytes_seen -= 1001;
	text = words_of();
	ck_assert_ptr_nonnull(strstr(text, "the account does not close: 1"
					   " bytes delivered or lost were"));
	free(text);
}
END_TEST

START_TEST(test_loss_names)
{
	int reason;

	for (reason = 0; reason < LOSS_REASONS; reason++)
		ck_assert_str_ne(account_loss_name(reason), "unknown");
	ck_assert_str_eq(account_loss_name(LOSS_BUFFER_FULL), "buffer_full");
	ck_assert_str_eq(account_loss_name(LOSS_REASONS), "unknown");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sinks_account");
	TCase *cases = tcase_create("all");

	tcase_add_test(cases, test_json_summary);
	tcase_add_test(cases, test_words);
	tcase_add_test(cases, test_words_unbalanced);
	tcase_add_test(cases, test_loss_names);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
