/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream.h - one direction of a connection: bytes in order, gaps exact.
 *
 * Bytes come in by stream offset, in any order, repeated or overlapping.
 * They go out contiguous, through a window that the stream owns.  A hole is
 * tentative until the transport has been drained once more behind it
 * (stream_settle); only then is it a gap, and a gap is an event of its own.
 */
#ifndef DATASNOOP_STREAMS_STREAM_H
#define DATASNOOP_STREAMS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "streams/account.h"

/* When the bytes up to `end` moved, and by whom; see window_mark_end(). */
struct mark {
	size_t end;
	uint64_t first_ns; /* CLOCK_MONOTONIC */
	uint64_t last_ns;
	uint32_t tid;
};

/*
 * What a parser reads: borrowed, valid until the stream is next changed.
 * marks[] covers at least [0, length), in ascending order of `end`.
 */
struct window {
	const uint8_t *bytes;
	size_t length;
	const struct mark *marks;
	size_t mark_count;
	uint64_t offset; /* stream offset of bytes[0] */
	size_t mark_base; /* subtracted from each mark's `end` */
};

/* Where mark `index` ends, from the window's start; at most its length. */
size_t window_mark_end(const struct window *window, size_t index);
/* Time of the first fragment of the batch that holds byte `at`; 0: none. */
uint64_t window_first_ns(const struct window *window, size_t at);
/* Time of the last fragment of the batch that holds byte `at`; 0: none. */
uint64_t window_last_ns(const struct window *window, size_t at);
/* Thread that moved byte `at`; 0: not known. */
uint32_t window_tid(const struct window *window, size_t at);

enum stream_has { STREAM_NONE, STREAM_BYTES, STREAM_GAP };

#define STREAM_WINDOW_MAX 65536 /* bytes shown at once by stream_head() */

struct stream;

/* What all streams share.  The owner keeps it until the last is freed. */
struct stream_pool {
	uint64_t held_bytes;  /* allocated for runs of all streams, now */
	uint64_t bound_bytes; /* of held_bytes */
	uint64_t bound_stream_bytes; /* of one stream's bytes not yet taken */
	struct account *account;
	uint64_t pass; /* the transport's pass, raised by the owner */
	/*
	 * Why holes were not filled.  LOSS_NONE: a transport lost them, and
	 * stream_settle() judges by its passes.  Else only a final one does,
	 * with that reason: the source knows more, and calls stream_lose().
	 */
	enum batch_loss hole_loss;
	struct run *spare; /* emptied buffers, for the next stream with bytes */
	unsigned spares;
};
/* Free what the pool keeps for itself; its streams have been freed. */
void stream_pool_clear(struct stream_pool *pool);

/*
 * stream_new - an empty stream whose next byte is at offset 0
 *
 * The kernel counts offsets from the first byte that a probe saw move, so a
 * first piece behind offset 0 has a hole before it like any other piece.
 * NULL: out of memory.
 */
struct stream *stream_new(struct stream_pool *pool);
void stream_free(struct stream *stream);

struct piece {
	const uint8_t *bytes;
	size_t length;
	uint64_t offset;
	uint64_t first_ns, last_ns;
	uint32_t tid;
};

/*
 * stream_add - accept bytes at their offset; what was seen before is ignored
 *
 * Counts what is new in account->bytes_delivered, what does not fit the
 * bounds in account->lost[LOSS_STREAM_FULL] (and remembers it as a gap).
 * Returns the number of new bytes.
 */
size_t stream_add(struct stream *stream, const struct piece *piece);

/* `length` bytes at `offset` will not come, for that reason; counted once. */
void stream_lose(struct stream *stream, uint64_t offset, uint64_t length,
		 enum batch_loss reason);

/* The direction has moved `end` bytes in all: what does not come is lost. */
void stream_expect(struct stream *stream, uint64_t end);

/*
 * stream_settle - turn holes that are older than the last full pass into gaps
 * @final: all holes, the connection or the capture has ended
 *
 * To be called when pool->pass has been drained completely.  A hole is older
 * when something behind it came in an earlier pass.  Its bytes are counted as
 * lost to a full buffer; should they come all the same, they are ignored.
 * After a final call, delivered + lost = stream_told().
 */
void stream_settle(struct stream *stream, bool final);

/* Is there a hole that a later stream_settle() has to judge? */
bool stream_waits(const struct stream *stream);

/*
 * stream_hole - the first hole: bytes [*start, *end) of which nothing is known
 * though something behind them came; false: there is none.
 */
bool stream_hole(const struct stream *stream, uint64_t *start, uint64_t *end);

/*
 * stream_begin - the stream begins at that offset instead of 0
 *
 * For a source that begins in mid-stream and may yet see what came before;
 * can be moved as long as nothing was taken.  False: something was, or the
 * offset lies behind what has come.
 */
bool stream_begin(struct stream *stream, uint64_t offset);

/* The end of the furthest byte that anything was said about. */
uint64_t stream_told(const struct stream *stream);

/*
 * stream_head - what is next: the window, or in *gap the bytes not to come
 *
 * A window shows at most STREAM_WINDOW_MAX bytes, and all there are up to it.
 */
enum stream_has stream_head(struct stream *stream, struct window *window,
			    uint64_t *gap);

/*
 * stream_peek - what there is at an offset that was not taken yet
 *
 * As stream_head(), but nothing changes: a window ends where its run does, and
 * may be longer than STREAM_WINDOW_MAX; of a gap window->offset is set, too.
 * An offset taken already stands for the first that was not.
 */
enum stream_has stream_peek(const struct stream *stream, uint64_t offset,
			    struct window *window, uint64_t *gap);

/* After stream_head() gave a window: is a gap right behind its last byte? */
bool stream_stops(const struct stream *stream);

/* `length` bytes of what stream_head() said have been dealt with. */
void stream_take(struct stream *stream, uint64_t length);

#endif
