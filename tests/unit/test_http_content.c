/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_http_content.c - a body's codings undone, within their bounds.
 */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include "parsers/buffer.h"
#include "parsers/http_content.h"
#include "tests/unit/suite.h"

#define TEXT_BYTES 100000

static void gather(void *context, const uint8_t *bytes, size_t length)
{
	ck_assert_uint_gt(length, 0);
	ck_assert(buffer_append(context, bytes, length));
}

static void count(void *context, const uint8_t *bytes, size_t length)
{
	(void)bytes;
	*(uint64_t *)context += length;
}

/* Text that compresses about as text does. */
static struct buffer text(size_t length)
{
	struct buffer out = { NULL, 0, 0 };
	uint32_t seed = 7;

	while (out.length < length) {
		char word[16];

		seed = seed * 1664525 + 1013904223;
		buffer_append(&out, word,
			      (size_t)snprintf(word, sizeof(word), "w%u ",
					       seed >> 20));
	}
	return out;
}

static struct buffer deflate_with(const struct buffer *in, int window_bits)
{
	struct buffer out = { NULL, 0, 0 };
	z_stream z = { .next_in = in->bytes, .avail_in = (uInt)in->length };

	ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8,
				      Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert(buffer_reserve(&out, deflateBound(&z, in->length) + 64));
	z.next_out = out.bytes;
	z.avail_out = (uInt)out.room;
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	out.length = z.total_out;
	deflateEnd(&z);
	return out;
}

static struct buffer encode(const struct buffer *in, const char *coding)
{
	struct buffer out = { NULL, 0, 0 };
	size_t length;

	if (strstr(coding, "gzip"))
		return deflate_with(in, 16 + MAX_WBITS);
	if (!strcmp(coding, "deflate"))
		return deflate_with(in, MAX_WBITS);
	if (!strcmp(coding, "raw"))
		return deflate_with(in, -MAX_WBITS);
	ck_assert(buffer_reserve(&out, 2 * in->length + 1024));
	length = out.room;
	if (!strcmp(coding, "br"))
		ck_assert(BrotliEncoderCompress(5, 22, BROTLI_MODE_TEXT,
						in->length, in->bytes, &length,
						out.bytes));
	else
		length = ZSTD_compress(out.bytes, out.room, in->bytes,
				       in->length, 3);
	out.length = length;
	return out;
}

static enum http_content_state decode(const char *codings,
				      const struct buffer *in, size_t piece,
				      struct buffer *out, const char **trouble)
{
	struct http_content *content =
		http_content_new(span_string(codings), gather, out);
	enum http_content_state state = HTTP_CONTENT_FINE;

	ck_assert_ptr_nonnull(content);
	for (size_t at = 0; at < in->length; at += piece) {
		size_t length = in->length - at < piece ? in->length - at :
							  piece;
		uint8_t *copy = malloc(length);

		memcpy(copy, in->bytes + at, length);
		state = http_content_feed(content, copy, length);
		free(copy);
	}
	ck_assert_uint_eq(http_content_size(content), out->length);
	*trouble = http_content_trouble(content);
	http_content_free(content);
	return state;
}

static void assert_same(const struct buffer *a, const struct buffer *b)
{
	ck_assert_uint_eq(a->length, b->length);
	ck_assert(!memcmp(a->bytes, b->bytes, a->length));
}

static const struct {
	const char *made, *named;
} codings[] = {
	{ "gzip", "gzip" }, { "gzip", "X-GZIP" }, { "deflate", "deflate" },
	{ "raw", "deflate" }, { "br", "br" }, { "zstd", "zstd" },
};

START_TEST(each_coding_in_any_pieces)
{
	static const size_t pieces[] = { 1, 2, 3, 100, 4096, SIZE_MAX / 2 };
	struct buffer plain = text(TEXT_BYTES);
	struct buffer coded = encode(&plain, codings[_i].made);

	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		struct buffer out = { NULL, 0, 0 };
		const char *trouble;

		ck_assert_int_eq(decode(codings[_i].named, &coded, pieces[i],
					&out, &trouble), HTTP_CONTENT_FINE);
		ck_assert_ptr_null(trouble);
		assert_same(&out, &plain);
		buffer_free(&out);
	}
	buffer_free(&coded);
	buffer_free(&plain);
}
END_TEST

START_TEST(what_was_cut_is_decoded_as_far)
{
	struct buffer plain = text(TEXT_BYTES), out = { NULL, 0, 0 };
	struct buffer coded = encode(&plain, codings[_i].made);
	const char *trouble;

	coded.length /= 2;
	ck_assert_int_eq(decode(codings[_i].named, &coded, 777, &out,
				&trouble), HTTP_CONTENT_FINE);
	ck_assert_uint_lt(out.length, plain.length);
	ck_assert(!out.length ||
		  !memcmp(out.bytes, plain.bytes, out.length));
	buffer_free(&out);
	buffer_free(&coded);
	buffer_free(&plain);
}
END_TEST

START_TEST(chains_of_codings)
{
	struct buffer plain = text(TEXT_BYTES), out = { NULL, 0, 0 };
	struct buffer one = encode(&plain, "br");
	struct buffer two = encode(&one, "gzip");
	struct buffer three = encode(&two, "zstd");
	const char *trouble;

	ck_assert_int_eq(decode("br,\tgzip , identity,zstd", &three, 50, &out,
				&trouble), HTTP_CONTENT_FINE);
	assert_same(&out, &plain);
	out.length = 0;
	ck_assert_int_eq(decode("gzip, gzip, gzip, gzip, gzip", &three, 50,
				&out, &trouble), HTTP_CONTENT_UNKNOWN);
	ck_assert_str_eq(trouble, "unknown coding");
	ck_assert_uint_eq(out.length, 0);
	buffer_free(&out);
	buffer_free(&three);
	buffer_free(&two);
	buffer_free(&one);
	buffer_free(&plain);
}
END_TEST

START_TEST(members_of_gzip_and_padding)
{
	struct buffer plain = text(1000), out = { NULL, 0, 0 };
	struct buffer coded = encode(&plain, "gzip");
	size_t length = coded.length;
	const char *trouble;

	for (int twice = 0; twice < 2; twice++) {
		struct buffer pair = { NULL, 0, 0 };

		buffer_append(&pair, coded.bytes, length);
		buffer_append(&pair, twice ? coded.bytes :
				     (const uint8_t *)"\0\0\0\0",
			      twice ? length : 4);
		out.length = 0;
		ck_assert_int_eq(decode("gzip", &pair, SIZE_MAX / 2, &out,
					&trouble), HTTP_CONTENT_FINE);
		ck_assert_uint_eq(out.length, plain.length << twice);
		buffer_free(&pair);
	}
	buffer_free(&out);
	buffer_free(&coded);
	buffer_free(&plain);
}
END_TEST

START_TEST(what_is_no_such_coding)
{
	static const char *const names[] = { "gzip", "deflate", "br", "zstd",
					     "compress", "aes128gcm" };
	struct buffer plain = { NULL, 0, 0 }, out = { NULL, 0, 0 };
	const char *trouble;

	for (int i = 0; i < 200; i++)
		buffer_append(&plain, "\xff\xfe{\"a\":1}", 9);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		enum http_content_state state =
			decode(names[i], &plain, 10, &out, &trouble);

		ck_assert_int_eq(state, i < 4 ? HTTP_CONTENT_CORRUPT :
						HTTP_CONTENT_UNKNOWN);
		ck_assert_ptr_nonnull(trouble);
		out.length = 0;
	}
	buffer_free(&out);
	buffer_free(&plain);
}
END_TEST

/* Zeros: 1000 for each byte sent. */
START_TEST(bombs_are_not_expanded)
{
	static const char *const names[] = { "gzip", "deflate", "br", "zstd" };
	struct buffer zeros = { NULL, 0, 0 };

	ck_assert(buffer_reserve(&zeros, 32 << 20));
	memset(zeros.bytes, 0, 32 << 20);
	zeros.length = 32 << 20;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct buffer bomb = encode(&zeros, names[i]);
		uint64_t out = 0;
		struct http_content *content = http_content_new(
			span_string(names[i]), count, &out);

		ck_assert_int_eq(http_content_feed(content, bomb.bytes,
						   bomb.length),
				 HTTP_CONTENT_LIMIT);
		ck_assert_str_eq(http_content_trouble(content), "limit");
		ck_assert_uint_le(out, HTTP_EXPANSION_FREE_BYTES +
					       HTTP_EXPANSION_MAX *
						       bomb.length);
		http_content_free(content);
		buffer_free(&bomb);
	}
	buffer_free(&zeros);
}
END_TEST

/* A bomb in a bomb: the inner one is held to the same bounds. */
START_TEST(chained_bombs)
{
	struct buffer zeros = { NULL, 0, 0 };
	struct buffer one, two;
	uint64_t out = 0;
	struct http_content *content =
		http_content_new(span_string("gzip, gzip"), count, &out);

	ck_assert(buffer_reserve(&zeros, 64 << 20));
	memset(zeros.bytes, 0, 64 << 20);
	zeros.length = 64 << 20;
	one = encode(&zeros, "gzip");
	two = encode(&one, "gzip");
	ck_assert_uint_lt(two.length, 2000);
	ck_assert_int_eq(http_content_feed(content, two.bytes, two.length),
			 HTTP_CONTENT_LIMIT);
	ck_assert_uint_le(out, 2 * HTTP_EXPANSION_FREE_BYTES);
	http_content_free(content);
	buffer_free(&two);
	buffer_free(&one);
	buffer_free(&zeros);
}
END_TEST

/* Decoders hold what they need and give it back. */
START_TEST(memory_of_all_decoders_is_bounded)
{
	struct buffer plain = text(6 << 20);
	struct buffer coded = encode(&plain, "br");
	struct http_content *list[400];
	size_t refused = 0;

	for (int round = 0; round < 2; round++) {
		uint64_t out = 0;

		refused = 0;
		for (size_t i = 0; i < 400; i++) {
			list[i] = http_content_new(span_string("br"), count,
						   &out);
			refused += http_content_feed(list[i], coded.bytes,
						     20000) ==
				   HTTP_CONTENT_MEMORY;
		}
		for (size_t i = 0; i < 400; i++)
			http_content_free(list[i]);
		ck_assert_uint_gt(refused, 0);
		ck_assert_uint_lt(refused, 390);
	}
	buffer_free(&coded);
	buffer_free(&plain);
}
END_TEST

START_TEST(identity_is_none)
{
	ck_assert(http_content_is_identity(span_string(NULL)));
	ck_assert(http_content_is_identity(span_string("")));
	ck_assert(http_content_is_identity(span_string("identity, Identity")));
	ck_assert(!http_content_is_identity(span_string("identity, gzip")));
	ck_assert(!http_content_is_identity(span_string("sdch")));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http content");
	TCase *t = tcase_create("codings");
	size_t all = sizeof(codings) / sizeof(*codings);

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, each_coding_in_any_pieces, 0, all);
	tcase_add_loop_test(t, what_was_cut_is_decoded_as_far, 0, all);
	tcase_add_test(t, chains_of_codings);
	tcase_add_test(t, members_of_gzip_and_padding);
	tcase_add_test(t, what_is_no_such_coding);
	tcase_add_test(t, bombs_are_not_expanded);
	tcase_add_test(t, chained_bombs);
	tcase_add_test(t, memory_of_all_decoders_is_bounded);
	tcase_add_test(t, identity_is_none);
	suite_add_tcase(s, t);
	return suite_run(s);
}
