/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_text_cache.c - texts are remembered, bounded, and there while held.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parsers/sql_text.h"
#include "parsers/text_cache.h"
#include "tests/unit/suite.h"

struct word {
	struct text_entry entry;
	char bytes[32];
};

static unsigned freed;

static void free_word(struct text_entry *entry)
{
	freed++;
	free(entry);
}

static struct text_cache cache;

static void setup(void)
{
	freed = 0;
	cache = (struct text_cache){
		.count_max = 3, .bytes_max = 100, .free = free_word};
	text_cache_open(&cache);
}

static struct text_entry *keep(const char *text, unsigned flags, size_t bytes)
{
	struct word *word = calloc(1, sizeof(*word));

	snprintf(word->bytes, sizeof(word->bytes), "%s", text);
	word->entry.text = span_string(word->bytes);
	word->entry.flags = flags;
	text_cache_keep(&cache, &word->entry, bytes);
	return &word->entry;
}

static struct text_entry *find(const char *text, unsigned flags)
{
	return text_cache_find(&cache, span_string(text), flags);
}

START_TEST(test_find)
{
	struct text_entry *first = keep("SELECT 1", 0, 10);
	struct text_entry *other = keep("SELECT 1", 1, 10);
	struct text_entry *longer = keep("SELECT 1 FROM t", 0, 10);

	ck_assert_ptr_eq(find("SELECT 1", 0), first);
	ck_assert_ptr_eq(find("SELECT 1", 1), other);
	ck_assert_ptr_eq(find("SELECT 1 FROM t", 0), longer);
	ck_assert_ptr_null(find("SELECT 1 FROM u", 0));
	ck_assert_ptr_null(find("SELECT 1 FROM ", 0));
	ck_assert_ptr_null(find("SELECT 2", 0));
	ck_assert_ptr_null(find("", 0));
	text_cache_close(&cache);
	ck_assert_uint_eq(freed, 3);
}
END_TEST

START_TEST(test_latest_used_stay)
{
	keep("a", 0, 10);
	keep("b", 0, 10);
	keep("c", 0, 10);
	ck_assert_ptr_nonnull(find("a", 0));
	keep("d", 0, 10);
	ck_assert_uint_eq(freed, 1);
	ck_assert_ptr_nonnull(find("a", 0));
	ck_assert_ptr_null(find("b", 0));
	ck_assert_ptr_nonnull(find("c", 0));
	ck_assert_ptr_nonnull(find("d", 0));
	text_cache_close(&cache);
	ck_assert_uint_eq(freed, 4);
}
END_TEST

START_TEST(test_bytes_are_bounded)
{
	keep("a", 0, 60);
	keep("b", 0, 30);
	keep("c", 0, 30);
	ck_assert_uint_eq(cache.bytes, 60);
	ck_assert_ptr_null(find("a", 0));
	/* The two latest stay, however large: they may be in use. */
	keep("d", 0, 1000);
	ck_assert_ptr_null(find("b", 0));
	ck_assert_ptr_nonnull(find("c", 0));
	ck_assert_ptr_nonnull(find("d", 0));
	text_cache_close(&cache);
	ck_assert_uint_eq(cache.bytes, 0);
}
END_TEST

START_TEST(test_held)
{
	struct text_entry *held = keep("held", 0, 10);

	text_cache_hold(held);
	text_cache_hold(held);
	keep("b", 0, 10);
	keep("c", 0, 10);
	keep("d", 0, 10);
	ck_assert_ptr_null(find("held", 0));
	ck_assert_uint_eq(freed, 0);
	text_cache_release(&cache, held);
	ck_assert_uint_eq(freed, 0);
	ck_assert_int_eq(memcmp(held->text.bytes, "held", 4), 0);
	text_cache_release(&cache, held);
	ck_assert_uint_eq(freed, 1);
	/* What is listed still stays when it is released. */
	held = find("c", 0);
	text_cache_hold(held);
	text_cache_release(&cache, held);
	ck_assert_ptr_eq(find("c", 0), held);
	text_cache_close(&cache);
	ck_assert_uint_eq(freed, 4);
}
END_TEST

START_TEST(test_users)
{
	text_cache_open(&cache);
	keep("a", 0, 10);
	text_cache_close(&cache);
	ck_assert_ptr_nonnull(find("a", 0));
	text_cache_close(&cache);
	ck_assert_uint_eq(freed, 1);
}
END_TEST

#define QUERY "SELECT c FROM t WHERE password='x' AND id=7"

static void assert_span(struct span span, const char *text)
{
	ck_assert_uint_eq(span.length, strlen(text));
	ck_assert_int_eq(memcmp(span.bytes, text, span.length), 0);
}

static void assert_query(const struct sql_text *text)
{
	assert_span(text->shown, "SELECT c FROM t WHERE password='?' AND id=7");
	assert_span(text->masked, "SELECT c FROM t WHERE password=? AND id=?");
	ck_assert_str_eq(text->description.operation, "SELECT");
	ck_assert_uint_eq(text->description.table_count, 1);
	assert_span(text->description.tables[0], "t");
}

START_TEST(test_sql_text)
{
	struct sql_text *text, *again, *other;
	char query[64];

	sql_text_open();
	text = sql_text_hold(span_string(QUERY), 0);
	assert_query(text);
	again = sql_text_hold(span_string(QUERY), 0);
	ck_assert_ptr_eq(text, again);
	sql_text_release(again);
	/* Others come and go, more than are remembered. */
	for (int i = 0; i < 2000; i++) {
		snprintf(query, sizeof(query), "DELETE FROM u%d", i);
		other = sql_text_hold(span_string(query), 0);
		ck_assert_str_eq(other->description.operation, "DELETE");
		sql_text_release(other);
	}
	assert_query(text);
	again = sql_text_hold(span_string(QUERY), 0);
	ck_assert_ptr_ne(text, again);
	assert_query(again);
	sql_text_release(again);
	sql_text_release(text);
	sql_text_close();
}
END_TEST

START_TEST(test_sql_text_flags)
{
	const char *query = "SELECT 'a\\', 'cc' FROM t";
	struct sql_text *escaped, *plain;

	sql_text_open();
	escaped = sql_text_hold(span_string(query), 0);
	plain = sql_text_hold(span_string(query), SQL_NO_BACKSLASH);
	assert_span(escaped->masked, "SELECT ?cc?");
	assert_span(plain->masked, "SELECT ?, ? FROM t");
	sql_text_release(escaped);
	sql_text_release(plain);
	sql_text_close();
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("text cache");
	TCase *cases = tcase_create("all");

	tcase_add_checked_fixture(cases, setup, NULL);
	tcase_add_test(cases, test_find);
	tcase_add_test(cases, test_latest_used_stay);
	tcase_add_test(cases, test_bytes_are_bounded);
	tcase_add_test(cases, test_held);
	tcase_add_test(cases, test_users);
	tcase_add_test(cases, test_sql_text);
	tcase_add_test(cases, test_sql_text_flags);
	suite_add_tcase(all, cases);
	return all;
}

int main(void)
{
	return suite_run(suite());
}
