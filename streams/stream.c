/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream.c - one direction of a connection: bytes in order, gaps exact.
 *
 * A stream is a sorted list of runs that do not overlap.  A run is either
 * bytes or a definite gap; what lies between two runs, or before the first,
 * is a hole that may still be filled.  In the usual case there is one run, at
 * the head: bytes are appended to its buffer and taken off its front, and no
 * memory is allocated for a single piece.
 */
#include <stdlib.h>
#include <string.h>

#include "streams/stream.h"

#define RUN_BYTES_MIN 256    /* first allocation of a run's buffer */
#define RUN_MARKS_MIN 4	     /* likewise of its marks */
#define POOL_SPARES_MAX 32   /* emptied runs kept, of a pool */
#define RUN_SHRINK_BYTES (4 * STREAM_WINDOW_MAX) /* smaller ones are kept */
/* In a backlog, marks of less than so many bytes are joined: see run_mark(). */
#define MARKS_FINE_MAX 1024
#define MARK_COARSE_BYTES 64

struct run {
	struct run *previous, *next;
	uint64_t offset; /* of its first byte not yet taken */
	uint64_t length;
	uint64_t pass; /* in which its first byte came, or the loss was told */
	bool lost;
	uint8_t *bytes; /* &bytes[start] is at `offset` */
	size_t start, capacity;
	struct mark *marks; /* `end` is a stream offset in here */
	size_t first_mark, mark_count, mark_capacity;
};

struct stream {
	struct stream_pool *pool;
	struct run *first, *last;
	uint64_t start; /* offset of its first byte */
	uint64_t next;	/* offset of the first byte not yet taken */
	uint64_t told;
	uint64_t held; /* bytes in runs, of this stream */
};

/* realloc() within the pool's bound, unless forced; NULL: `memory` stays. */
static void *pool_resize(struct stream_pool *pool, void *memory, size_t old,
			 size_t size, bool force)
{
	void *resized;

	if (!force && size > old &&
	    pool->held_bytes + (size - old) > pool->bound_bytes)
		return NULL;
	resized = realloc(memory, size);
	if (!resized)
		return NULL;
	pool->held_bytes = pool->held_bytes - old + size;
	if (pool->held_bytes > pool->account->memory_peak_bytes)
		pool->account->memory_peak_bytes = pool->held_bytes;
	return resized;
}

static void pool_free(struct stream_pool *pool, void *memory, size_t size)
{
	free(memory);
	if (memory)
		pool->held_bytes -= size;
}

static uint64_t run_end(const struct run *run)
{
	return run->offset + run->length;
}

/* Memory of a run and its buffers. */
static size_t run_size(const struct run *run)
{
	return sizeof(*run) + run->capacity +
	       run->mark_capacity * sizeof(*run->marks);
}

/*
 * A run that was emptied before, with its buffers; NULL: none.
 *
 * A busy stream is emptied at the end of each pass: without this it would
 * grow its buffer from nothing two hundred times a second.
 */
static struct run *run_spare(struct stream_pool *pool, bool lost)
{
	struct run *run = pool->spare;

	if (lost || !run ||
	    pool->held_bytes + run_size(run) > pool->bound_bytes)
		return NULL;
	pool->spare = run->next;
	pool->spares--;
	pool->held_bytes += run_size(run);
	return run;
}

void stream_pool_clear(struct stream_pool *pool)
{
	struct run *run;

	while ((run = pool->spare)) {
		pool->spare = run->next;
		free(run->bytes);
		free(run->marks);
		free(run);
	}
	pool->spares = 0;
}

/* A new, empty run behind `previous` (NULL: at the front); NULL: no memory. */
static struct run *run_new(struct stream *stream, struct run *previous,
			   uint64_t offset, bool lost)
{
	struct run *run = run_spare(stream->pool, lost), kept = { 0 };

	if (run)
		kept = *run;
	else
		run = pool_resize(stream->pool, NULL, 0, sizeof(*run), lost);
	if (!run)
		return NULL;
	*run = (struct run){
		.bytes = kept.bytes,
		.capacity = kept.capacity,
		.marks = kept.marks,
		.mark_capacity = kept.mark_capacity,
		.previous = previous,
		.next = previous ? previous->next : stream->first,
		.offset = offset,
		.pass = stream->pool->pass,
		.lost = lost,
	};
	*(previous ? &previous->next : &stream->first) = run;
	*(run->next ? &run->next->previous : &stream->last) = run;
	return run;
}

static void run_remove(struct stream *stream, struct run *run)
{
	struct stream_pool *pool = stream->pool;

	*(run->previous ? &run->previous->next : &stream->first) = run->next;
	*(run->next ? &run->next->previous : &stream->last) = run->previous;
	if (!run->lost && pool->spares < POOL_SPARES_MAX) {
		pool->held_bytes -= run_size(run);
		run->next = pool->spare;
		pool->spare = run;
		pool->spares++;
		return;
	}
	pool_free(pool, run->bytes, run->capacity);
	pool_free(pool, run->marks, run->mark_capacity * sizeof(*run->marks));
	pool_free(pool, run, sizeof(*run));
}

/* Move what is left of the buffer to its beginning. */
static void run_compact(struct run *run)
{
	if (run->start && run->length)
		memmove(run->bytes, run->bytes + run->start, run->length);
	run->start = 0;
}

/*
 * Room for `length` more bytes; returns how many there is room for.
 *
 * The buffer is compacted only when at least as much was taken as is moved,
 * and else grows by half at least: no byte is moved more than a few times.
 */
static size_t run_reserve(struct stream *stream, struct run *run,
			  size_t length, bool force)
{
	size_t need, want;
	uint8_t *bytes;

	if (run->start >= run->length)
		run_compact(run);
	need = run->start + run->length + length;
	if (need <= run->capacity)
		return length;
	want = run->capacity + run->capacity / 2;
	if (want < RUN_BYTES_MIN)
		want = RUN_BYTES_MIN;
	if (want < need)
		want = need;
	bytes = pool_resize(stream->pool, run->bytes, run->capacity, want,
			    force);
	if (!bytes && want > need) {
		want = need;
		bytes = pool_resize(stream->pool, run->bytes, run->capacity,
				    want, force);
	}
	if (bytes) {
		run->bytes = bytes;
		run->capacity = want;
		return length;
	}
	run_compact(run);
	if (length > run->capacity - run->length)
		length = run->capacity - run->length;
	return length;
}

/* Room for one more mark; false: out of memory. */
static bool run_reserve_mark(struct stream *stream, struct run *run)
{
	size_t used = run->mark_count - run->first_mark;
	size_t size = sizeof(*run->marks), want;
	struct mark *marks;

	if (run->mark_count < run->mark_capacity)
		return true;
	if (run->first_mark && run->first_mark >= used) {
		memmove(run->marks, run->marks + run->first_mark, used * size);
		run->first_mark = 0;
		run->mark_count = used;
		return true;
	}
	want = run->mark_capacity ? 2 * run->mark_capacity : RUN_MARKS_MIN;
	marks = pool_resize(stream->pool, run->marks,
			    run->mark_capacity * size, want * size, true);
	if (!marks)
		return false;
	run->marks = marks;
	run->mark_capacity = want;
	return true;
}

/*
 * The bytes up to the run's end, not marked so far, moved at those times.
 *
 * Marks are not refused for the pool's bound, they are counted: thousands of
 * tiny pieces that nobody takes share marks, so that marks stay below the
 * size of the bytes, and building a window's marks stays cheap.
 */
static void run_mark(struct stream *stream, struct run *run,
		     const struct mark *mark)
{
	size_t used = run->mark_count - run->first_mark, before = 0;
	struct mark *last = used ? &run->marks[run->mark_count - 1] : NULL;
	size_t end = (size_t)run_end(run);

	if (used > 1)
		before = last[-1].end;
	else if (used)
		before = (size_t)run->offset;
	if (last && ((last->first_ns == mark->first_ns &&
		      last->last_ns == mark->last_ns &&
		      last->tid == mark->tid) ||
		     (used >= MARKS_FINE_MAX &&
		      last->end - before < MARK_COARSE_BYTES) ||
		     !run_reserve_mark(stream, run))) {
		last->end = end;
		last->last_ns = mark->last_ns;
		return;
	}
	if (!last && !run_reserve_mark(stream, run))
		return;
	run->marks[run->mark_count] = *mark;
	run->marks[run->mark_count++].end = end;
}

/* Put bytes behind the run's last; returns how many had room. */
static size_t run_append(struct stream *stream, struct run *run,
			 const uint8_t *bytes, size_t length,
			 const struct mark *mark, bool force)
{
	length = run_reserve(stream, run, length, force);
	if (!length)
		return 0;
	memcpy(run->bytes + run->start + run->length, bytes, length);
	run->length += length;
	run_mark(stream, run, mark);
	return length;
}

/* Take bytes off the run's front. */
static void run_drop(struct stream *stream, struct run *run, uint64_t length)
{
	uint8_t *bytes;
	size_t keep;

	while (run->first_mark < run->mark_count &&
	       run->marks[run->first_mark].end - (size_t)run->offset <= length)
		run->first_mark++;
	run->offset += length;
	run->length -= length;
	if (run->lost)
		return;
	run->start += length;
	if (run->capacity <= RUN_SHRINK_BYTES ||
	    run->length >= run->capacity / 8)
		return;
	run_compact(run);
	keep = run->length < RUN_SHRINK_BYTES / 2 ? RUN_SHRINK_BYTES :
						     2 * run->length;
	bytes = pool_resize(stream->pool, run->bytes, run->capacity, keep,
			    true);
	if (!bytes)
		return;
	run->bytes = bytes;
	run->capacity = keep;
}

struct stream *stream_new(struct stream_pool *pool)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (stream)
		stream->pool = pool;
	return stream;
}

void stream_free(struct stream *stream)
{
	if (!stream)
		return;
	while (stream->first)
		run_remove(stream, stream->first);
	free(stream);
}

/*
 * A hole, or a part of it right behind `run`, becomes a gap and is counted.
 * Out of memory: it stays a hole, and a later stream_settle() tries again.
 */
static void stream_gap(struct stream *stream, struct run *run,
		       uint64_t offset, uint64_t length,
		       enum batch_loss reason)
{
	struct run *next;

	if (!run || !run->lost || run_end(run) != offset)
		run = run_new(stream, run, offset, true);
	if (!run)
		return;
	run->length += length;
	stream->pool->account->lost[reason] += length;
	next = run->next;
	if (next && next->lost && next->offset == run_end(run)) {
		if (run->pass > next->pass)
			run->pass = next->pass;
		run->length += next->length;
		run_remove(stream, next);
	}
}

/*
 * Store bytes [offset, offset + length) of the piece, which fit the hole
 * behind `run`.  What is over a bound becomes a gap.
 */
static size_t stream_store(struct stream *stream, struct run *run,
			   const struct piece *piece, uint64_t offset,
			   size_t length)
{
	struct stream_pool *pool = stream->pool;
	const uint8_t *bytes = piece->bytes + (offset - piece->offset);
	const struct mark mark = { .first_ns = piece->first_ns,
				   .last_ns = piece->last_ns,
				   .tid = piece->tid };
	struct run *before = run;
	size_t stored = 0, fits = 0;

	if (stream->held < pool->bound_stream_bytes)
		fits = pool->bound_stream_bytes - stream->held;
	if (fits > length)
		fits = length;
	if (!run || run->lost || run_end(run) != offset)
		run = fits ? run_new(stream, run, offset, false) : NULL;
	if (run)
		stored = run_append(stream, run, bytes, fits, &mark, false);
	if (run && !run->length) {
		run_remove(stream, run);
		run = NULL;
	}
	stream->held += stored;
	pool->account->bytes_delivered += stored;
	if (stored < length)
		stream_gap(stream, run ? run : before, offset + stored,
			   length - stored, LOSS_STREAM_FULL);
	return stored;
}

/* The last run that does not begin behind `offset`; NULL: none. */
static struct run *stream_find(const struct stream *stream, uint64_t offset)
{
	struct run *run = stream->last;

	while (run && run->offset > offset)
		run = run->previous;
	return run;
}

/*
 * Deal with those parts of [offset, end) that nothing is known of yet: store
 * them from the piece, or (NULL) make them a gap.  Returns bytes stored.
 */
static size_t stream_cover(struct stream *stream, const struct piece *piece,
			   uint64_t offset, uint64_t end,
			   enum batch_loss reason)
{
	struct run *run, *next;
	size_t stored = 0;
	uint64_t stop;

	if (stream->told < end)
		stream->told = end;
	if (offset < stream->next)
		offset = stream->next;
	while (offset < end) {
		run = stream_find(stream, offset);
		if (run && offset < run_end(run)) {
			offset = run_end(run);
			continue;
		}
		next = run ? run->next : stream->first;
		stop = next && next->offset < end ? next->offset : end;
		if (piece)
			stored += stream_store(stream, run, piece, offset,
					       stop - offset);
		else
			stream_gap(stream, run, offset, stop - offset, reason);
		offset = stop;
	}
	return stored;
}

size_t stream_add(struct stream *stream, const struct piece *piece)
{
	uint64_t end;

	if (__builtin_add_overflow(piece->offset, piece->length, &end))
		return 0;
	return stream_cover(stream, piece, piece->offset, end, LOSS_NONE);
}

void stream_lose(struct stream *stream, uint64_t offset, uint64_t length,
		 enum batch_loss reason)
{
	uint64_t end;

	if (!__builtin_add_overflow(offset, length, &end))
		stream_cover(stream, NULL, offset, end, reason);
}

void stream_expect(struct stream *stream, uint64_t end)
{
	if (stream->told < end)
		stream->told = end;
}

void stream_settle(struct stream *stream, bool final)
{
	struct run *run = stream->last, *previous;
	uint64_t end = run ? run_end(run) : stream->next;
	enum batch_loss reason = stream->pool->hole_loss;
	bool old = final;

	if (reason != LOSS_NONE && !final)
		return;
	if (reason == LOSS_NONE)
		reason = LOSS_BUFFER_FULL;
	if (final && end < stream->told)
		stream_gap(stream, run, end, stream->told - end, reason);
	for (run = stream->last; run; run = previous) {
		previous = run->previous;
		end = previous ? run_end(previous) : stream->next;
		old = old || run->pass < stream->pool->pass;
		if (old && end < run->offset)
			stream_gap(stream, previous, end, run->offset - end,
				   reason);
	}
}

bool stream_hole(const struct stream *stream, uint64_t *start, uint64_t *end)
{
	const struct run *run;

	*start = stream->next;
	for (run = stream->first; run; run = run->next) {
		if (run->offset != *start) {
			*end = run->offset;
			return true;
		}
		*start = run_end(run);
	}
	return false;
}

bool stream_waits(const struct stream *stream)
{
	uint64_t start, end;

	return stream->pool->hole_loss == LOSS_NONE &&
	       stream_hole(stream, &start, &end);
}

bool stream_begin(struct stream *stream, uint64_t offset)
{
	if (stream->next != stream->start ||
	    (stream->first && stream->first->offset < offset))
		return false;
	stream->start = stream->next = offset;
	if (stream->told < offset)
		stream->told = offset;
	return true;
}

uint64_t stream_told(const struct stream *stream)
{
	return stream->told;
}

/*
 * Runs of bytes that touch become one at the head, as far as a window shows:
 * no byte is copied for that more than once.
 */
static void stream_gather(struct stream *stream)
{
	struct run *first = stream->first, *next;
	const struct mark *mark;
	size_t length, room;

	while ((next = first->next) && !next->lost &&
	       next->offset == run_end(first) &&
	       first->length < STREAM_WINDOW_MAX) {
		mark = next->marks + next->first_mark;
		length = next->length;
		if (next->first_mark < next->mark_count)
			length = mark->end - (size_t)next->offset;
		else
			mark = &(const struct mark){ .end = 0 };
		room = STREAM_WINDOW_MAX - first->length;
		if (length > room)
			length = room;
		length = run_append(stream, first, next->bytes + next->start,
				    length, mark, true);
		if (!length)
			return;
		run_drop(stream, next, length);
		if (!next->length)
			run_remove(stream, next);
	}
}

enum stream_has stream_head(struct stream *stream, struct window *window,
			    uint64_t *gap)
{
	struct run *run = stream->first;

	*window = (struct window){ .offset = stream->next };
	*gap = 0;
	if (!run || run->offset != stream->next)
		return STREAM_NONE;
	if (run->lost) {
		*gap = run->length;
		return STREAM_GAP;
	}
	stream_gather(stream);
	window->bytes = run->bytes + run->start;
	window->length = run->length;
	if (window->length > STREAM_WINDOW_MAX)
		window->length = STREAM_WINDOW_MAX;
	window->marks = run->marks + run->first_mark;
	window->mark_count = run->mark_count - run->first_mark;
	window->mark_base = (size_t)run->offset;
	return STREAM_BYTES;
}

/* The first of the run's marks that ends behind that offset. */
static size_t run_mark_at(const struct run *run, uint64_t offset)
{
	size_t low = run->first_mark, high = run->mark_count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (run->marks[middle].end > (size_t)offset)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

enum stream_has stream_peek(const struct stream *stream, uint64_t offset,
			    struct window *window, uint64_t *gap)
{
	const struct run *run;
	uint64_t skipped;
	size_t mark;

	if (offset < stream->next)
		offset = stream->next;
	*window = (struct window){ .offset = offset };
	*gap = 0;
	run = stream_find(stream, offset);
	if (!run || offset >= run_end(run))
		return STREAM_NONE;
	skipped = offset - run->offset;
	if (run->lost) {
		*gap = run->length - skipped;
		return STREAM_GAP;
	}
	mark = run_mark_at(run, offset);
	window->bytes = run->bytes + run->start + skipped;
	window->length = run->length - skipped;
	window->marks = run->marks + mark;
	window->mark_count = run->mark_count - mark;
	window->mark_base = (size_t)offset;
	return STREAM_BYTES;
}

bool stream_stops(const struct stream *stream)
{
	const struct run *run = stream->first;

	return run && !run->lost && run->length <= STREAM_WINDOW_MAX &&
	       run->next && run->next->lost &&
	       run->next->offset == run_end(run);
}

void stream_take(struct stream *stream, uint64_t length)
{
	struct run *run = stream->first;

	if (!run || run->offset != stream->next)
		return;
	if (length > run->length)
		length = run->length;
	run_drop(stream, run, length);
	stream->next += length;
	if (!run->lost)
		stream->held -= length;
	if (!run->length)
		run_remove(stream, run);
}

/* The mark of byte `at`; NULL: none. */
static const struct mark *window_mark(const struct window *window, size_t at)
{
	size_t low = 0, high = window->mark_count, middle;

	/* Mostly it is asked of a message at the window's beginning. */
	if (high && window->marks[0].end - window->mark_base > at)
		return &window->marks[0];
	while (low < high) {
		middle = low + (high - low) / 2;
		if (window->marks[middle].end - window->mark_base > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low < window->mark_count ? &window->marks[low] : NULL;
}

size_t window_mark_end(const struct window *window, size_t index)
{
	size_t end = window->marks[index].end - window->mark_base;

	return end < window->length ? end : window->length;
}

uint64_t window_first_ns(const struct window *window, size_t at)
{
	const struct mark *mark = window_mark(window, at);

	return mark ? mark->first_ns : 0;
}

uint64_t window_last_ns(const struct window *window, size_t at)
{
	const struct mark *mark = window_mark(window, at);

	return mark ? mark->last_ns : 0;
}

uint32_t window_tid(const struct window *window, size_t at)
{
	const struct mark *mark = window_mark(window, at);

	return mark ? mark->tid : 0;
}
