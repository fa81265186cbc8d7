/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mongodb_inflate.c - OP_COMPRESSED: snappy, zlib, zstd.
 *
 * zlib and zstd come out piecewise, in a small buffer.  A block of snappy's
 * can't: it is gathered, and both its sizes are bounded.  What comes out is at
 * most what the message announced.
 */
#include "parsers/mongodb.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define PIECE_BYTES 16384 /* that come out at once */
#define WINDOW_LOG_MAX 23 /* of zstd: 8 MB, all its normal levels' */

enum compressor { COMPRESSOR_NOOP, COMPRESSOR_SNAPPY, COMPRESSOR_ZLIB,
		  COMPRESSOR_ZSTD };

struct inflater {
	enum compressor compressor;
	uint64_t left; /* bytes that may still come out */
	struct buffer block;
	z_stream zlib;
	ZSTD_DStream *zstd;
	uint8_t piece[PIECE_BYTES];
};

const char *inflater_name(uint8_t compressor)
{
	static const char *const names[] = { "noop", "snappy", "zlib",
					     "zstd" };

	return compressor <= COMPRESSOR_ZSTD ? names[compressor] : NULL;
}

struct inflater *inflater_new(uint8_t compressor, uint64_t size)
{
	struct inflater *inflater;

	if (!inflater_name(compressor))
		return NULL;
	inflater = calloc(1, sizeof(*inflater));
	if (!inflater)
		return NULL;
	inflater->compressor = (enum compressor)compressor;
	inflater->left = size;
	if (compressor == COMPRESSOR_ZLIB &&
	    inflateInit(&inflater->zlib) != Z_OK) {
		free(inflater);
		return NULL;
	}
	if (compressor == COMPRESSOR_ZSTD) {
		inflater->zstd = ZSTD_createDStream();
		if (!inflater->zstd) {
			free(inflater);
			return NULL;
		}
		ZSTD_DCtx_setParameter(inflater->zstd, ZSTD_d_windowLogMax,
				       WINDOW_LOG_MAX);
	}
	return inflater;
}

void inflater_free(struct inflater *inflater)
{
	if (!inflater)
		return;
	if (inflater->compressor == COMPRESSOR_ZLIB)
		inflateEnd(&inflater->zlib);
	ZSTD_freeDStream(inflater->zstd);
	buffer_free(&inflater->block);
	free(inflater);
}

struct output {
	struct inflater *inflater;
	void (*put)(void *context, const uint8_t *bytes, size_t length);
	void *context;
};

/* False: more came out than was announced. */
static bool put_piece(const struct output *out, const uint8_t *bytes,
		      size_t length)
{
	bool fits = length <= out->inflater->left;

	if (!fits)
		length = (size_t)out->inflater->left;
	out->inflater->left -= length;
	if (length)
		out->put(out->context, bytes, length);
	return fits;
}

static bool feed_zlib(const struct output *out, const uint8_t *bytes,
		      size_t length)
{
	struct inflater *inflater = out->inflater;
	z_stream *z = &inflater->zlib;
	int status = Z_OK;

	z->next_in = (uint8_t *)bytes;
	z->avail_in = (unsigned)length;
	do {
		z->next_out = inflater->piece;
		z->avail_out = PIECE_BYTES;
		status = inflate(z, Z_NO_FLUSH);
		if (status != Z_OK && status != Z_STREAM_END &&
		    status != Z_BUF_ERROR)
			return false;
		if (!put_piece(out, inflater->piece,
			       PIECE_BYTES - z->avail_out))
			return false;
	} while (status == Z_OK && (z->avail_in || !z->avail_out));
	return true;
}

static bool feed_zstd(const struct output *out, const uint8_t *bytes,
		      size_t length)
{
	struct inflater *inflater = out->inflater;
	ZSTD_inBuffer in = { bytes, length, 0 };
	ZSTD_outBuffer piece;

	do {
		piece = (ZSTD_outBuffer){ inflater->piece, PIECE_BYTES, 0 };
		if (ZSTD_isError(ZSTD_decompressStream(inflater->zstd, &piece,
						       &in)) ||
		    !put_piece(out, inflater->piece, piece.pos))
			return false;
	} while (in.pos < in.size || piece.pos == PIECE_BYTES);
	return true;
}

static bool feed_snappy(const struct output *out, const uint8_t *bytes,
			size_t length, bool last)
{
	struct inflater *inflater = out->inflater;
	const char *block;
	size_t size;
	char *content;
	bool good;

	if (!buffer_gather(&inflater->block, bytes, length,
			   MONGODB_COMPRESSED_MAX))
		return false;
	if (!last)
		return true;
	block = (const char *)inflater->block.bytes;
	if (!inflater->block.length ||
	    snappy_uncompressed_length(block, inflater->block.length, &size) !=
		    SNAPPY_OK ||
	    size > inflater->left)
		return false;
	content = malloc(size ? size : 1);
	if (!content)
		return false;
	good = snappy_uncompress(block, inflater->block.length, content,
				 &size) == SNAPPY_OK &&
	       put_piece(out, (const uint8_t *)content, size);
	free(content);
	return good;
}

bool inflater_feed(struct inflater *inflater, const uint8_t *bytes,
		   size_t length, bool last,
		   void (*put)(void *context, const uint8_t *bytes,
			       size_t length), void *context)
{
	const struct output out = { inflater, put, context };

	switch (inflater->compressor) {
	case COMPRESSOR_NOOP:
		return put_piece(&out, bytes, length);
	case COMPRESSOR_SNAPPY:
		return feed_snappy(&out, bytes, length, last);
	case COMPRESSOR_ZLIB:
		return feed_zlib(&out, bytes, length);
	case COMPRESSOR_ZSTD:
		return feed_zstd(&out, bytes, length);
	}
	return false;
}
