/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_http2_frame.c - HTTP/2's frames and header blocks, one by one.
 *
 * Vectors made by others are read in place, beside the checkout, as the
 * parser reads them; where they are not, those tests say so and pass.
 */
#define _GNU_SOURCE
#include <check.h>
#include <glob.h>
#include <stdio.h>

#include "parsers/http2.h"
#include "parsers/json_reader.h"
#include "tests/unit/suite.h"

#define VECTORS "../shared/corpus/"

struct bytes {
	uint8_t at[65536];
	size_t length;
};

static void from_hex(struct bytes *bytes, const char *hex, size_t length)
{
	bytes->length = 0;
	for (size_t i = 0; i + 1 < length; i += 2) {
		char two[3] = { hex[i], hex[i + 1], '\0' };

		bytes->at[bytes->length++] = (uint8_t)strtoul(two, NULL, 16);
	}
}

static struct span span_of(const struct bytes *bytes)
{
	return (struct span){ (const char *)bytes->at, bytes->length };
}

/* A line of a file of vectors. */
struct line {
	struct bytes wire;
	struct buffer fields; /* names and values, each with a NUL behind */
	struct { char path[JSON_KEY_MAX * 4]; int64_t number; } numbers[32];
	size_t number_count;
	struct buffer text;   /* data or fragment */
};

static void take_event(void *context, struct json_reader *reader,
		       const struct json_event *event)
{
	struct line *line = context;

	(void)reader;
	if (event->kind == JSON_STRING && !strcmp(event->path, "wire"))
		from_hex(&line->wire, event->text.bytes, event->text.length);
	if (event->kind == JSON_STRING && !strcmp(event->path, "headers[][]")) {
		struct span text = event->text;

		/* http.h: without white space around it. */
		while (text.length && text.bytes[text.length - 1] == ' ')
			text.length--;
		buffer_append(&line->fields, text.bytes, text.length);
		buffer_append(&line->fields, "", 1);
	}
	if (event->kind == JSON_STRING &&
	    (strstr(event->path, "header_block_fragment") ||
	     strstr(event->path, "payload.data")))
		buffer_append(&line->text, event->text.bytes,
			      event->text.length);
	if (event->kind == JSON_NUMBER && line->number_count < 32) {
		snprintf(line->numbers[line->number_count].path,
			 sizeof(line->numbers[0].path), "%s", event->path);
		line->numbers[line->number_count++].number = event->number;
	}
}

static bool read_line(FILE *file, struct line *line)
{
	struct json_reader *reader = json_reader_new(take_event, line);
	char *text = NULL;
	size_t room = 0;
	ssize_t length = getline(&text, &room, file);

	line->fields.length = line->text.length = 0;
	line->number_count = 0;
	if (length > 1)
		ck_assert(json_reader_feed(reader, text, (size_t)length));
	json_reader_free(reader);
	free(text);
	return length > 1;
}

static void line_free(struct line *line)
{
	buffer_free(&line->fields);
	buffer_free(&line->text);
	free(line);
}

static FILE *expected_of(const char *path)
{
	char name[512];

	snprintf(name, sizeof(name), "%.*s.expected",
		 (int)(strlen(path) - strlen(".jsonl")), path);
	return fopen(name, "r");
}

/* The fields as take_event() writes the expected ones. */
static void write_fields(const struct http2_fields *fields,
			 struct buffer *out)
{
	for (size_t i = 0; i < fields->count; i++) {
		const struct http_header *h = &fields->headers[i];

		buffer_append(out, h->name.bytes, h->name.length);
		buffer_append(out, "", 1);
		buffer_append(out, h->value.bytes, h->value.length);
		buffer_append(out, "", 1);
	}
}

static void check_story(const char *path)
{
	FILE *wire = fopen(path, "r"), *expected = expected_of(path);
	struct http2_fields *fields = calloc(1, sizeof(*fields));
	struct http2_table *table = http2_table_new();
	struct line *in = calloc(1, sizeof(*in));
	struct line *out = calloc(1, sizeof(*out));
	unsigned blocks = 0;

	ck_assert(wire && expected && fields && table && in && out);
	while (read_line(wire, in) && read_line(expected, out)) {
		struct buffer found = { NULL, 0, 0 };

		ck_assert(http2_block_is_formed(span_of(&in->wire)));
		ck_assert(http2_table_read(table, span_of(&in->wire), fields));
		ck_assert(!fields->incomplete);
		write_fields(fields, &found);
		ck_assert_msg(found.length == out->fields.length &&
			      !memcmp(found.bytes, out->fields.bytes,
				      found.length),
			      "%s block %u", path, blocks);
		buffer_free(&found);
		blocks++;
	}
	ck_assert_uint_gt(blocks, 0);
	http2_fields_free(fields);
	http2_table_free(table);
	free(fields);
	line_free(in);
	line_free(out);
	fclose(wire);
	fclose(expected);
}

START_TEST(stories_of_header_blocks)
{
	glob_t found;

	if (glob(VECTORS "hpack/*.jsonl", 0, NULL, &found)) {
		puts("skipped: no " VECTORS "hpack");
		return;
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_story(found.gl_pathv[i]);
	globfree(&found);
}
END_TEST

/* What the vector says under a key that ends so; -1: nothing. */
static int64_t number_of(const struct line *line, const char *end)
{
	for (size_t i = 0; i < line->number_count; i++) {
		const char *path = line->numbers[i].path;
		size_t length = strlen(path), tail = strlen(end);

		if (length >= tail && !strcmp(path + length - tail, end))
			return line->numbers[i].number;
	}
	return -1;
}

static void same_if_told(const struct line *line, const char *end,
			 uint64_t found)
{
	int64_t told = number_of(line, end);

	if (told >= 0)
		ck_assert_msg((uint64_t)told == found, "%s: %lld, not %llu",
			      end, (long long)told, (unsigned long long)found);
}

START_TEST(frames_one_by_one)
{
	FILE *wire = fopen(VECTORS "http2/frames-normal.jsonl", "r");
	FILE *expected = wire ? expected_of(VECTORS
					    "http2/frames-normal.jsonl") : NULL;
	struct line *in = calloc(1, sizeof(*in));
	struct line *out = calloc(1, sizeof(*out));
	unsigned count = 0;

	if (!expected)
		puts("skipped: no " VECTORS "http2/frames-normal.jsonl");
	while (expected && read_line(wire, in) && read_line(expected, out)) {
		struct cursor c = cursor_of(in->wire.at, in->wire.length);
		struct http2_payload fields;
		struct http2_frame frame;

		ck_assert(http2_frame_read(&c, &frame));
		ck_assert(http2_frame_is_lawful(&frame));
		ck_assert(http2_payload_read(
			&frame, cursor_span(&c, frame.length), &fields));
		ck_assert_uint_eq(cursor_left(&c), 0);
		same_if_told(out, "frame.length", frame.length);
		same_if_told(out, "frame.type", frame.type);
		same_if_told(out, "frame.flags", frame.flags);
		same_if_told(out, "stream_identifier", frame.stream);
		same_if_told(out, "padding_length", fields.padding);
		same_if_told(out, "promised_stream_id", fields.promised);
		same_if_told(out, "last_stream_id", fields.last);
		same_if_told(out, "error_code", fields.error);
		if (out->text.length)
			ck_assert(fields.data.length == out->text.length &&
				  !memcmp(fields.data.bytes, out->text.bytes,
					  out->text.length));
		count++;
	}
	ck_assert(!expected || count);
	line_free(in);
	line_free(out);
	if (wire)
		fclose(wire);
	if (expected)
		fclose(expected);
}
END_TEST

/* Reads a block in hex: "name=value;" for each, "!" when some are unknown. */
static const char *read_block(struct http2_table *table, const char *hex,
			      bool *good)
{
	static char text[4096];
	struct http2_fields *fields = calloc(1, sizeof(*fields));
	struct bytes *block = calloc(1, sizeof(*block));
	size_t n = 0;

	from_hex(block, hex, strlen(hex));
	*good = http2_table_read(table, span_of(block), fields);
	*text = '\0';
	for (size_t i = 0; i < fields->count; i++) {
		const struct http_header *h = &fields->headers[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "%.*s=%.*s;", (int)h->name.length,
				      h->name.bytes, (int)h->value.length,
				      h->value.bytes);
	}
	if (fields->incomplete)
		snprintf(text + n, sizeof(text) - n, "!");
	http2_fields_free(fields);
	free(fields);
	free(block);
	return text;
}

/* RFC 7541, not its examples: what a table that was not seen leaves known. */
START_TEST(unknown_entries_are_not_guessed)
{
	static const struct {
		const char *block, *fields;
	} steps[] = {
		/* :method GET, then an entry from before. */
		{ "82be", ":method=GET;!" },
		/* Added: "a: 1"; it is 62 now, what was before is 63. */
		{ "40016101" "31", "a=1;" },
		{ "be", "a=1;" },
		{ "bf", "!" },
		/* Added with the name of 63, which isn't known: 62 has none. */
		{ "7f000132", "!" },
		{ "be", "!" },
		{ "bf", "a=1;" },
		{ "c0", "!" },
		/* Not added, with a name not known, and one known. */
		{ "0f310133", "!" },
		{ "0f300134", "a=4;" },
		/* The table emptied: nothing is known again. */
		{ "20", "" },
		{ "be", "!" },
	};
	struct http2_table *table = http2_table_new();
	bool good;

	ck_assert(http2_table_forget(table));
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		const char *found = read_block(table, steps[i].block, &good);

		ck_assert_msg(good && !strcmp(found, steps[i].fields),
			      "step %zu: %s", i, found);
	}
	http2_table_free(table);
}
END_TEST

START_TEST(malformed_blocks_are_refused)
{
	static const char *const blocks[] = {
		"80",		   /* index 0 */
		"40",		   /* no name */
		"4001",		   /* name cut */
		"400161",	   /* no value */
		"40016105" "31",   /* value cut */
		"ffffffffffffffff", /* an index without end */
		"8220",		   /* a size behind a field */
		"4081ff0131",	   /* Huffman's end in a name's middle */
	};
	struct http2_table *table = http2_table_new();
	bool good;

	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
		const char *found = read_block(table, blocks[i], &good);

		ck_assert_msg(!good && strchr(found, '!'), "%s: %s", blocks[i],
			      found);
		/* It goes on with what needs no table. */
		ck_assert_str_eq(read_block(table, "88", &good),
				 ":status=200;");
		ck_assert(good);
	}
	http2_table_free(table);
}
END_TEST

/* A few bytes that would grow to more than a head may be. */
START_TEST(expansion_is_bounded)
{
	struct http2_fields *fields = calloc(1, sizeof(*fields));
	struct http2_table *table = http2_table_new();
	struct bytes *block = calloc(1, sizeof(*block));

	/* "x: " and 3,000 bytes, added; then 2,000 references to it. */
	from_hex(block, "4001787fb916", 12);
	memset(block->at + block->length, 'v', 0x7f + 0x39 + (0x16 << 7));
	block->length += 0x7f + 0x39 + (0x16 << 7);
	memset(block->at + block->length, 0xbe, 2000);
	block->length += 2000;
	ck_assert(http2_table_read(table, span_of(block), fields));
	ck_assert(fields->incomplete);
	ck_assert_uint_ge(fields->count, 2);
	ck_assert_uint_le(fields->text.length, HTTP_HEAD_BYTES_MAX);
	http2_fields_free(fields);
	http2_table_free(table);
	free(fields);
	free(block);
}
END_TEST

START_TEST(names_come_in_lower_case)
{
	struct http2_table *table = http2_table_new();
	bool good;

	ck_assert_str_eq(read_block(table, "000241420220" "31", &good),
			 "ab=1;");
	http2_table_free(table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http2 frames");
	TCase *tcase = tcase_create("frames");

	tcase_add_test(tcase, stories_of_header_blocks);
	tcase_add_test(tcase, frames_one_by_one);
	tcase_add_test(tcase, unknown_entries_are_not_guessed);
	tcase_add_test(tcase, malformed_blocks_are_refused);
	tcase_add_test(tcase, expansion_is_bounded);
	tcase_add_test(tcase, names_come_in_lower_case);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
