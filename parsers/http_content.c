/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_content.c - a body's codings undone, as far as that is safe.
 *
 * A chain of stages, each a decoder of a library with a buffer for what comes
 * out of it; the last coding applied is the first stage.  Every stage's output
 * is held to the bounds, as a chain of bombs would else multiply.
 * Source: RFC 9110 section 8.4, RFC 1950 to 1952, RFC 7932, RFC 8878.
 */
#include "parsers/http_content.h"

#include <stdlib.h>
#include <string.h>

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#define PIECE_BYTES 16384 /* decoded at once */
/* RFC 8878 section 3.1.1.1.2 asks decoders for 8 MiB; RFC 9659 for no more. */
#define ZSTD_WINDOW_LOG 23
/* inflate's state and window, as zconf.h tells. */
#define INFLATE_BYTES 49152
/* A word that brotli's allocations begin with, to know how large they are. */
#define HEADER_BYTES 16

enum coding {
	CODING_UNKNOWN,
	CODING_IDENTITY,
	CODING_GZIP,
	CODING_DEFLATE,
	CODING_BROTLI,
	CODING_ZSTD
};

struct stage {
	enum coding coding;
	bool ended; /* the coded stream has, what follows is padding */
	size_t held; /* bytes of memory accounted for */
	z_stream zlib;
	bool zlib_open;
	uint8_t start[2]; /* of deflate: tell which of both forms it is */
	unsigned start_length;
	BrotliDecoderState *brotli;
	ZSTD_DStream *zstd;
	uint64_t out_bytes;
	uint8_t *out; /* PIECE_BYTES */
};

struct http_content {
	struct stage stages[HTTP_CODINGS_MAX];
	unsigned stage_count;
	enum http_content_state state;
	uint64_t in_bytes, out_bytes;
	void (*piece)(void *context, const uint8_t *bytes, size_t length);
	void *context;
};

/* Of all decoders of the process, which has one thread that parses. */
static size_t held_bytes;

static bool hold(size_t bytes)
{
	if (bytes > HTTP_DECODERS_BYTES_MAX - held_bytes)
		return false;
	held_bytes += bytes;
	return true;
}

static void *brotli_allocate(void *opaque, size_t size)
{
	uint8_t *block;

	(void)opaque;
	if (size > HTTP_DECODERS_BYTES_MAX || !hold(size + HEADER_BYTES))
		return NULL;
	block = malloc(size + HEADER_BYTES);
	if (!block) {
		held_bytes -= size + HEADER_BYTES;
		return NULL;
	}
	memcpy(block, &size, sizeof(size));
	return block + HEADER_BYTES;
}

static void brotli_release(void *opaque, void *address)
{
	uint8_t *block = address;
	size_t size;

	(void)opaque;
	if (!block)
		return;
	block -= HEADER_BYTES;
	memcpy(&size, block, sizeof(size));
	held_bytes -= size + HEADER_BYTES;
	free(block);
}

static enum coding coding_of(struct span name)
{
	if (span_is_nocase(name, "gzip") || span_is_nocase(name, "x-gzip"))
		return CODING_GZIP;
	if (span_is_nocase(name, "deflate"))
		return CODING_DEFLATE;
	if (span_is_nocase(name, "br"))
		return CODING_BROTLI;
	if (span_is_nocase(name, "zstd"))
		return CODING_ZSTD;
	if (!name.length || span_is_nocase(name, "identity"))
		return CODING_IDENTITY;
	return CODING_UNKNOWN;
}

/* Takes the last name off a list; false: none is left. */
static bool last_coding(struct span *list, enum coding *coding)
{
	size_t at = list->length;
	struct span name;

	if (!list->bytes || !at)
		return false;
	while (at && list->bytes[at - 1] != ',')
		at--;
	name = (struct span){ list->bytes + at, list->length - at };
	list->length = at ? at - 1 : 0;
	while (name.length && strchr(" \t", *name.bytes)) {
		name.bytes++;
		name.length--;
	}
	while (name.length && strchr(" \t", name.bytes[name.length - 1]))
		name.length--;
	*coding = coding_of(name);
	return true;
}

bool http_content_is_identity(struct span codings)
{
	enum coding coding;

	while (last_coding(&codings, &coding))
		if (coding != CODING_IDENTITY)
			return false;
	return true;
}

static bool stage_open_zlib(struct stage *stage, int window_bits)
{
	if (!stage->held && !hold(INFLATE_BYTES))
		return false;
	stage->held = INFLATE_BYTES;
	stage->zlib_open = inflateInit2(&stage->zlib, window_bits) == Z_OK;
	return stage->zlib_open;
}

static bool stage_open(struct stage *stage, enum coding coding)
{
	stage->coding = coding;
	stage->out = malloc(PIECE_BYTES);
	if (!stage->out)
		return false;
	switch (coding) {
	case CODING_GZIP:
		return stage_open_zlib(stage, 16 + MAX_WBITS);
	case CODING_BROTLI:
		stage->brotli = BrotliDecoderCreateInstance(
			brotli_allocate, brotli_release, NULL);
		return stage->brotli != NULL;
	case CODING_ZSTD:
		stage->zstd = ZSTD_createDStream();
		return stage->zstd &&
		       !ZSTD_isError(ZSTD_DCtx_setParameter(
			       stage->zstd, ZSTD_d_windowLogMax,
			       ZSTD_WINDOW_LOG));
	default:
		return true; /* deflate: opened when its form is known */
	}
}

struct http_content *
http_content_new(struct span codings,
		 void (*piece)(void *context, const uint8_t *bytes,
			       size_t length),
		 void *context)
{
	struct http_content *content = calloc(1, sizeof(*content));
	enum coding coding;

	if (!content)
		return NULL;
	content->piece = piece;
	content->context = context;
	while (content->state == HTTP_CONTENT_FINE &&
	       last_coding(&codings, &coding)) {
		if (coding == CODING_IDENTITY)
			continue;
		if (coding == CODING_UNKNOWN ||
		    content->stage_count == HTTP_CODINGS_MAX)
			content->state = HTTP_CONTENT_UNKNOWN;
		else if (!stage_open(&content->stages[content->stage_count++],
				     coding))
			content->state = HTTP_CONTENT_MEMORY;
	}
	return content;
}

static enum http_content_state feed_stage(struct http_content *content,
					  unsigned index, const uint8_t *bytes,
					  size_t length);

/* `length` bytes have come out of a stage's decoder. */
static enum http_content_state pass_on(struct http_content *content,
				       unsigned index, size_t length)
{
	struct stage *stage = &content->stages[index];

	if (!length)
		return HTTP_CONTENT_FINE;
	stage->out_bytes += length;
	if (stage->out_bytes > HTTP_DECODED_BYTES_MAX ||
	    (stage->out_bytes > HTTP_EXPANSION_FREE_BYTES &&
	     stage->out_bytes / HTTP_EXPANSION_MAX > content->in_bytes))
		return HTTP_CONTENT_LIMIT;
	return feed_stage(content, index + 1, stage->out, length);
}

/*
 * After a member of gzip another may follow (RFC 1952 section 2.2); anything
 * else is padding.
 */
static bool next_member(struct stage *stage)
{
	stage->ended = stage->coding != CODING_GZIP ||
		       !stage->zlib.avail_in || *stage->zlib.next_in != 0x1f ||
		       inflateReset(&stage->zlib) != Z_OK;
	return !stage->ended;
}

static enum http_content_state feed_zlib(struct http_content *content,
					 unsigned index, const uint8_t *bytes,
					 size_t length)
{
	struct stage *stage = &content->stages[index];
	enum http_content_state state = HTTP_CONTENT_FINE;
	z_stream *zlib = &stage->zlib;
	int result;

	zlib->next_in = (Bytef *)(uintptr_t)bytes;
	zlib->avail_in = (uInt)length;
	do {
		zlib->next_out = stage->out;
		zlib->avail_out = PIECE_BYTES;
		result = inflate(zlib, Z_NO_FLUSH);
		if (result != Z_OK && result != Z_STREAM_END &&
		    result != Z_BUF_ERROR)
			return result == Z_MEM_ERROR ? HTTP_CONTENT_MEMORY :
						       HTTP_CONTENT_CORRUPT;
		state = pass_on(content, index, PIECE_BYTES - zlib->avail_out);
		if (result == Z_STREAM_END && !next_member(stage))
			break;
	} while (state == HTTP_CONTENT_FINE &&
		 (zlib->avail_in || !zlib->avail_out));
	return state;
}

/* Its first two bytes tell zlib's header: RFC 1950 section 2.2. */
static enum http_content_state feed_deflate(struct http_content *content,
					    unsigned index,
					    const uint8_t *bytes,
					    size_t length)
{
	struct stage *stage = &content->stages[index];
	enum http_content_state state;
	bool header;

	while (length && stage->start_length < 2) {
		stage->start[stage->start_length++] = *bytes++;
		length--;
	}
	if (stage->start_length < 2)
		return HTTP_CONTENT_FINE;
	if (!stage->zlib_open) {
		header = (stage->start[0] & 0x0f) == Z_DEFLATED &&
			 (stage->start[0] << 8 | stage->start[1]) % 31 == 0;
		if (!stage_open_zlib(stage, header ? MAX_WBITS : -MAX_WBITS))
			return HTTP_CONTENT_MEMORY;
		state = feed_zlib(content, index, stage->start, 2);
		if (state != HTTP_CONTENT_FINE || stage->ended)
			return state;
	}
	return length ? feed_zlib(content, index, bytes, length) :
			HTTP_CONTENT_FINE;
}

/* Codes of want of memory are the lowest. */
static enum http_content_state brotli_failure(const BrotliDecoderState *brotli)
{
	return BrotliDecoderGetErrorCode(brotli) <=
			       BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES ?
		       HTTP_CONTENT_MEMORY :
		       HTTP_CONTENT_CORRUPT;
}

static enum http_content_state feed_brotli(struct http_content *content,
					   unsigned index,
					   const uint8_t *bytes, size_t length)
{
	struct stage *stage = &content->stages[index];
	enum http_content_state state;
	BrotliDecoderResult result;

	do {
		size_t room = PIECE_BYTES;
		uint8_t *out = stage->out;

		result = BrotliDecoderDecompressStream(
			stage->brotli, &length, &bytes, &room, &out, NULL);
		if (result == BROTLI_DECODER_RESULT_ERROR)
			return brotli_failure(stage->brotli);
		state = pass_on(content, index, PIECE_BYTES - room);
		stage->ended = result == BROTLI_DECODER_RESULT_SUCCESS;
	} while (state == HTTP_CONTENT_FINE &&
		 result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
	return state;
}

static enum http_content_state feed_zstd(struct http_content *content,
					 unsigned index, const uint8_t *bytes,
					 size_t length)
{
	struct stage *stage = &content->stages[index];
	ZSTD_inBuffer in = { bytes, length, 0 };
	enum http_content_state state;
	ZSTD_outBuffer out;
	size_t result, size;

	do {
		out = (ZSTD_outBuffer){ stage->out, PIECE_BYTES, 0 };
		result = ZSTD_decompressStream(stage->zstd, &out, &in);
		if (ZSTD_isError(result))
			return HTTP_CONTENT_CORRUPT;
		/* It takes its window when it has read the frame's header. */
		size = ZSTD_sizeof_DStream(stage->zstd);
		if (size > stage->held && !hold(size - stage->held))
			return HTTP_CONTENT_MEMORY;
		if (size > stage->held)
			stage->held = size;
		state = pass_on(content, index, out.pos);
	} while (state == HTTP_CONTENT_FINE &&
		 (in.pos < in.size || out.pos == out.size));
	return state;
}

/* Recursion is as deep as the chain is long: HTTP_CODINGS_MAX. */
static enum http_content_state feed_stage(struct http_content *content,
					  unsigned index, const uint8_t *bytes,
					  size_t length)
{
	struct stage *stage = &content->stages[index];

	if (index == content->stage_count) {
		content->out_bytes += length;
		content->piece(content->context, bytes, length);
		return HTTP_CONTENT_FINE;
	}
	if (stage->ended)
		return HTTP_CONTENT_FINE;
	switch (stage->coding) {
	case CODING_GZIP:
		return feed_zlib(content, index, bytes, length);
	case CODING_DEFLATE:
		return feed_deflate(content, index, bytes, length);
	case CODING_BROTLI:
		return feed_brotli(content, index, bytes, length);
	default:
		return feed_zstd(content, index, bytes, length);
	}
}

static void stage_close(struct stage *stage)
{
	if (stage->zlib_open)
		inflateEnd(&stage->zlib);
	if (stage->brotli)
		BrotliDecoderDestroyInstance(stage->brotli);
	ZSTD_freeDStream(stage->zstd);
	free(stage->out);
	held_bytes -= stage->held;
	*stage = (struct stage){ .coding = CODING_UNKNOWN };
}

/* What won't go on gives its memory back at once. */
static void content_close(struct http_content *content)
{
	for (unsigned i = 0; i < content->stage_count; i++)
		stage_close(&content->stages[i]);
	content->stage_count = 0;
}

enum http_content_state http_content_feed(struct http_content *content,
					  const uint8_t *bytes, size_t length)
{
	if (content->state != HTTP_CONTENT_FINE || !length)
		return content->state;
	content->in_bytes += length;
	content->state = feed_stage(content, 0, bytes, length);
	if (content->state != HTTP_CONTENT_FINE)
		content_close(content);
	return content->state;
}

uint64_t http_content_size(const struct http_content *content)
{
	return content->out_bytes;
}

const char *http_content_trouble(const struct http_content *content)
{
	switch (content->state) {
	case HTTP_CONTENT_FINE:
		break;
	case HTTP_CONTENT_UNKNOWN:
		return "unknown coding";
	case HTTP_CONTENT_CORRUPT:
		return "corrupt";
	case HTTP_CONTENT_LIMIT:
		return "limit";
	case HTTP_CONTENT_MEMORY:
		return "memory";
	}
	return NULL;
}

void http_content_free(struct http_content *content)
{
	if (!content)
		return;
	content_close(content);
	free(content);
}
