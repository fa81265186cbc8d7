/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_json_reader.c - paths and values, at every cut, and hostile JSON.
 */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parsers/json_reader.h"
#include "tests/unit/suite.h"

static const char *capture_path; /* container whose text is kept */

static void on_event(void *context, struct json_reader *reader,
		     const struct json_event *event)
{
	static const char *const kinds[] = {
		[JSON_OBJECT] = "{", [JSON_ARRAY] = "[", [JSON_END] = ".",
		[JSON_STRING] = "s", [JSON_NUMBER] = "n", [JSON_BOOL] = "b",
		[JSON_NULL] = "-",
	};
	FILE *out = context;

	if (capture_path && !strcmp(event->path, capture_path) &&
	    (event->kind == JSON_OBJECT || event->kind == JSON_ARRAY))
		json_reader_capture(reader);
	fprintf(out, "%s %s", kinds[event->kind], event->path);
	if (event->kind == JSON_NUMBER)
		fprintf(out, " %lld %g", (long long)event->number, event->real);
	if (event->text.bytes && event->text.length < 100)
		fprintf(out, " <%.*s>", (int)event->text.length,
			event->text.bytes);
	else if (event->text.bytes)
		fprintf(out, " %zu of %llu%s", event->text.length,
			(unsigned long long)event->length,
			event->cut ? " cut" : "");
	fputc('\n', out);
}

/* Events of the text in pieces; the last line says how it ended. */
static char *told(const char *bytes, size_t length, size_t piece, size_t cut)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct json_reader *reader = json_reader_new(on_event, out);

	for (size_t at = 0; at < length;) {
		size_t n = length - at;
		uint8_t *copy;

		if (piece && n > piece)
			n = piece;
		if (cut > at && cut < at + n)
			n = cut - at;
		copy = malloc(n);
		memcpy(copy, bytes + at, n);
		json_reader_feed(reader, copy, n);
		free(copy);
		at += n;
	}
	fputs(json_reader_failed(reader) ? "failed" :
	      json_reader_at_end(reader) ? "end" : "more", out);
	json_reader_free(reader);
	fclose(out);
	return text;
}

static void assert_told(const char *json, const char *expected)
{
	size_t length = strlen(json);

	for (size_t cut = 0; cut < length; cut++) {
		char *text = told(json, length, 0, cut);

		ck_assert_str_eq(text, expected);
		free(text);
	}
	for (size_t piece = 1; piece < 4; piece++) {
		char *text = told(json, length, piece, 0);

		ck_assert_str_eq(text, expected);
		free(text);
	}
}

static const struct {
	const char *json, *told;
} texts[] = {
	{ "{\"a\":1,\"b\":{\"c\":\"x\"},\"d\":[true,null,[]]}",
	  "{ \nn a 1 1 <1>\n{ b\ns b.c <x>\n. b\n[ d\nb d[] <true>\n"
	  "- d[] <null>\n[ d[]\n. d[]\n. d\n. \nend" },
	{ "[{\"a\":[{\"b\":1.5e2}]},-7]",
	  "[ \n{ []\n[ [].a\n{ [].a[]\nn [].a[].b 150 150 <1.5e2>\n"
	  ". [].a[]\n. [].a\n. []\nn [] -7 -7 <-7>\n. \nend" },
	{ "{\"a\\u0062\":\"\\\"\\\\\\/\\n\\u00e9\\ud83d\\ude00\"}",
	  "{ \ns ab <\"\\/\n\xc3\xa9\xf0\x9f\x98\x80>\n. \nend" },
	{ "{\"a.b\":1,\"c[]\":2,\"\":3}",
	  "{ \nn a~b 1 1 <1>\nn c?? 2 2 <2>\nn  3 3 <3>\n. \nend" },
	{ " {\"a\" : \"\" } \r\n{\"b\":2}\n",
	  "{ \ns a <>\n. \n{ \nn b 2 2 <2>\n. \nend" },
	{ "{\"a\":99999999999999999999,\"b\":-1e300}",
	  "{ \nn a 9223372036854775807 1e+20 <99999999999999999999>\n"
	  "n b -9223372036854775808 -1e+300 <-1e300>\n. \nend" },
	{ "{\"a\":\"\xff\xfe\x80\"}", "{ \ns a <\xff\xfe\x80>\n. \nend" },
	{ "{\"a\":\"x", "{ \nmore" },
	{ "{\"a\":tru", "{ \nmore" },
};

START_TEST(texts_give_what_is_expected)
{
	assert_told(texts[_i].json, texts[_i].told);
}
END_TEST

static const char *const wrong[] = {
	"nonsense", "{\"a\":}", "{a:1}", "[1,]", "{\"a\" 1}", "]", "[1}",
	"{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":\"\x01\"}",
	"\xef\xbb{}", "// comment\n{}", "[00x]",
};

START_TEST(what_is_no_json_fails)
{
	size_t length = strlen(wrong[_i]);

	for (size_t piece = 0; piece <= length; piece++) {
		char *text = told(wrong[_i], length, piece, 0);

		ck_assert_ptr_nonnull(strstr(text, "failed"));
		free(text);
	}
}
END_TEST

START_TEST(containers_are_kept_as_written)
{
	capture_path = "a[].b";
	assert_told("{\"a\":[{\"b\": {\"c\":[1, 2 ],\"d\":\"\\u0041}\"} },"
		    "{\"b\":[ ]}]}",
		    "{ \n[ a\n{ a[]\n{ a[].b\n[ a[].b.c\nn a[].b.c[] 1 1 <1>\n"
		    "n a[].b.c[] 2 2 <2>\n. a[].b.c\ns a[].b.d <A}>\n"
		    ". a[].b <{\"c\":[1, 2 ],\"d\":\"\\u0041}\"}>\n. a[]\n"
		    "{ a[]\n[ a[].b\n. a[].b <[ ]>\n. a[]\n. a\n. \nend");
	capture_path = NULL;
}
END_TEST

static char *repeat(const char *unit, size_t count)
{
	size_t length = strlen(unit);
	char *text = malloc(length * count + 1);

	for (size_t i = 0; i < count; i++)
		memcpy(text + i * length, unit, length);
	text[length * count] = '\0';
	return text;
}

/* Levels without a path are counted and nothing more. */
START_TEST(depth_is_bounded)
{
	static const struct {
		size_t depth;
		const char *ends;
	} depths[] = {
		{ JSON_LEVELS_MAX, "end" },
		{ JSON_LEVELS_MAX + 1, "end" },
		{ JSON_DEPTH_MAX, "end" },
		{ JSON_DEPTH_MAX + 1, "failed" },
		{ 1000000, "failed" },
	};

	for (size_t i = 0; i < sizeof(depths) / sizeof(*depths); i++) {
		char *open = repeat("[", depths[i].depth);
		char *close = repeat("]", depths[i].depth);
		char *json, *text;

		ck_assert_int_gt(asprintf(&json, "%s1%s", open, close), 0);
		for (size_t piece = 0; piece < 2000; piece += 999) {
			text = told(json, strlen(json), piece, 0);
			ck_assert_ptr_nonnull(strstr(text, depths[i].ends));
			ck_assert_uint_lt(strlen(text), 4096);
			free(text);
		}
		free(json);
		free(open);
		free(close);
	}
}
END_TEST

/* Far more than is kept of a string. */
#define STRING_UNITS (2 * JSON_STRING_MAX)

/* A string is cut at a character, what is cut off is counted decoded. */
START_TEST(strings_are_cut_and_counted)
{
	static const struct {
		const char *unit;
		size_t decoded;
	} units[] = {
		{ "a", 1 }, { "\\n", 1 }, { "\\u0041", 1 }, { "\\u00e9", 2 },
		{ "\\u20ac", 3 }, { "\\ud83d\\ude00", 4 }, { "\xc3\xa9", 2 },
		{ "\x80", 1 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		char *body = repeat(units[i].unit, STRING_UNITS), *json, *text;
		unsigned long long kept = 0, length = 0;

		ck_assert_int_gt(asprintf(&json, "[\"%s\",\"x\"]", body), 0);
		for (size_t piece = 0; piece < 3000; piece += 1447) {
			text = told(json, strlen(json), piece, 0);
			ck_assert_int_eq(sscanf(text, "[ \ns [] %llu of %llu",
						&kept, &length), 2);
			ck_assert_uint_eq(length,
					  STRING_UNITS * units[i].decoded);
			ck_assert_uint_le(kept, JSON_STRING_MAX + 16);
			ck_assert_ptr_nonnull(strstr(text, " cut\n"));
			ck_assert_ptr_nonnull(strstr(text, "s [] <x>\n"));
			free(text);
		}
		free(json);
		free(body);
	}
}
END_TEST

START_TEST(numbers_are_bounded)
{
	char *digits = repeat("1", 5000), *json, *text;

	ck_assert_int_gt(asprintf(&json, "[%s]", digits), 0);
	for (size_t piece = 0; piece < 100; piece += 9) {
		text = told(json, strlen(json), piece, 0);
		ck_assert_str_eq(text, "[ \nfailed");
		free(text);
	}
	free(json);
	/* Many short ones are no long one. */
	free(digits);
	digits = repeat("1,", 5000);
	ck_assert_int_gt(asprintf(&json, "[%s2]", digits), 0);
	text = told(json, strlen(json), 1, 0);
	ck_assert_ptr_nonnull(strstr(text, "n [] 2 2 <2>\n. \nend"));
	free(text);
	free(json);
	free(digits);
}
END_TEST

START_TEST(long_keys_match_nothing)
{
	char *key = repeat("k", JSON_KEY_MAX + 1), *json;
	char expected[64 + JSON_KEY_MAX];

	ck_assert_int_gt(asprintf(&json, "{\"%s\":1,\"%s\":2}", key, key + 1),
			 0);
	snprintf(expected, sizeof(expected),
		 "{ \nn ? 1 1 <1>\nn %s 2 2 <2>\n. \nend", key + 1);
	assert_told(json, expected);
	free(json);
	free(key);
}
END_TEST

struct indices {
	char seen[64];
};

static void on_indexed(void *context, struct json_reader *reader,
		       const struct json_event *event)
{
	struct indices *indices = context;
	size_t length = strlen(indices->seen);

	if (event->kind == JSON_NUMBER)
		snprintf(indices->seen + length,
			 sizeof(indices->seen) - length, "%zu.%zu.%zu ",
			 json_reader_index(reader, 0),
			 json_reader_index(reader, 1),
			 json_reader_index(reader, 2));
}

START_TEST(indices_are_those_of_the_path)
{
	static const char json[] = "[{\"a\":[7,8]},[[9],[9,9]]]";
	struct indices indices = { "" };
	struct json_reader *reader = json_reader_new(on_indexed, &indices);

	ck_assert(json_reader_feed(reader, json, strlen(json)));
	ck_assert_str_eq(indices.seen, "0.0.0 0.1.0 1.0.0 1.1.0 1.1.1 ");
	json_reader_free(reader);
}
END_TEST

START_TEST(a_reset_begins_anew)
{
	static const char *const before[] = {
		"{\"a\":", "{\"a\":\"x", "[[[", "nonsense", "12", "\"x\\", "tr",
	};

	for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++) {
		char *text = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&text, &size);
		struct json_reader *reader = json_reader_new(on_event, out);

		json_reader_feed(reader, before[i], strlen(before[i]));
		json_reader_reset(reader);
		fputc('|', out);
		ck_assert(json_reader_feed(reader, "{\"b\":[2]}", 9));
		ck_assert(json_reader_at_end(reader));
		json_reader_free(reader);
		fclose(out);
		ck_assert_ptr_nonnull(strstr(
			text, "|{ \n[ b\nn b[] 2 2 <2>\n. b\n. \n"));
		free(text);
	}
}
END_TEST

int main(void)
{
	Suite *all = suite_create("json_reader");
	TCase *cases = tcase_create("json_reader");

	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, texts_give_what_is_expected, 0,
			    sizeof(texts) / sizeof(*texts));
	tcase_add_loop_test(cases, what_is_no_json_fails, 0,
			    sizeof(wrong) / sizeof(*wrong));
	tcase_add_test(cases, containers_are_kept_as_written);
	tcase_add_test(cases, depth_is_bounded);
	tcase_add_test(cases, strings_are_cut_and_counted);
	tcase_add_test(cases, numbers_are_bounded);
	tcase_add_test(cases, long_keys_match_nothing);
	tcase_add_test(cases, indices_are_those_of_the_path);
	tcase_add_test(cases, a_reset_begins_anew);
	suite_add_tcase(all, cases);
	return suite_run(all);
}
