/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql_compress.c - frames of the compressed protocol -> packets.
 *
 * A frame has a header of 7 bytes: its length, a number of its own, and the
 * length that it has uncompressed, 0 when it is as it is.  Packets lie in
 * frames as they come, their borders are not the frames'; but one that begins
 * a frame may take the frame's number for its own.  Each side has a
 * lane: the frames' contents, as far as the packets' reader has not taken
 * them, driven as conversation.c drives the streams of others.
 * Frames are decompressed in chunks of one size, so that how the bytes came
 * changes nothing.  What a gap takes from a compressed frame is known to the
 * byte, by the length that the header tells; behind a lost header a frame is
 * found again where a request or a response begins.  Bytes of exchanges are
 * counted uncompressed.
 * Source: MySQL source documentation, "Compression"; MariaDB Knowledge Base,
 * "Protocol Differences Between MariaDB & MySQL", "0-packet".
 */
#include "parsers/mysql.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define FRAME_HEADER_BYTES 7
#define FRAME_LEAST_BYTES  5	 /* a packet's header and its first byte */
#define CHUNK_BYTES	   16384 /* of a frame, decompressed at once */
#define LANE_MARKS_MAX	   128	 /* times kept; beyond, the last is widened */
#define LANE_SHIFT_BYTES   32768 /* taken ones, until the rest is moved */
#define PEEK_BYTES	   1024	 /* decompressed to see what a frame holds */
#define ZSTD_WINDOW_LOG	   24	 /* 16 MB, what the longest frame can need */
#define ZSTD_KEPT_BYTES	   (1u << 20) /* a larger decoder is given back */
#define STEPS_FORCED_MAX   4	 /* without a byte taken, before it is left */

enum frame_place { FRAME_UNSYNCED, FRAME_HEADER, FRAME_BODY };

struct lane {
	enum frame_place place;
	uint8_t sequence;    /* this frame's number */
	uint64_t starts;     /* the offset of the first byte that it holds */
	uint32_t body_left;  /* bytes of this frame to come */
	uint32_t plain_left; /* of what it holds, not yet in `plain` */
	bool packed;	     /* it is compressed */
	bool begun;	     /* its first chunk has been looked at */
	bool cut;	     /* bytes are missing behind the chunk */
	bool broken;	     /* it cannot be read further */
	struct buffer chunk; /* of its body, gathered */
	size_t chunk_used;
	bool chunk_ready; /* complete: no byte is taken before it is used */
	bool pending;	  /* the decoder has more to give than had room */
	struct mark chunk_mark;
	z_stream *zlib;
	ZSTD_DStream *zstd;
	bool is_zstd;
	struct buffer plain; /* packets; `taken` bytes are done with */
	size_t taken;
	uint64_t offset; /* of the first byte not taken */
	struct mark marks[LANE_MARKS_MAX];
	size_t mark_count;
	uint64_t gap;	/* bytes that will not come behind `plain` */
	bool gap_exact; /* neither more nor less */
	bool resync, waits;
	bool forced; /* the other side's bytes will not come */
	bool lost;
	uint64_t lost_at;
};

struct frames {
	struct lane lanes[SIDES];
};

static struct step step_of(enum outcome outcome, size_t used)
{
	return (struct step){ outcome, used };
}

/* Begins a decoder, or begins it anew; false: out of memory. */
static bool codec_begin(struct lane *lane)
{
	if (lane->is_zstd) {
		if (!lane->zstd)
			lane->zstd = ZSTD_createDStream();
		return lane->zstd &&
		       !ZSTD_isError(ZSTD_DCtx_reset(
			lane->zstd, ZSTD_reset_session_and_parameters)) &&
		       !ZSTD_isError(ZSTD_DCtx_setParameter(
			       lane->zstd, ZSTD_d_windowLogMax,
			       ZSTD_WINDOW_LOG));
	}
	if (lane->zlib)
		return inflateReset(lane->zlib) == Z_OK;
	lane->zlib = calloc(1, sizeof(*lane->zlib));
	if (!lane->zlib)
		return false;
	if (inflateInit(lane->zlib) == Z_OK)
		return true;
	free(lane->zlib);
	lane->zlib = NULL;
	return false;
}

static void codec_free(struct lane *lane)
{
	if (lane->zlib)
		inflateEnd(lane->zlib);
	free(lane->zlib);
	ZSTD_freeDStream(lane->zstd);
	lane->zlib = NULL;
	lane->zstd = NULL;
}

/* Gives back what one large frame made it grow to. */
static void codec_trim(struct lane *lane)
{
	if (!lane->zstd || ZSTD_sizeof_DStream(lane->zstd) <= ZSTD_KEPT_BYTES)
		return;
	ZSTD_freeDStream(lane->zstd);
	lane->zstd = NULL;
}

/* Some of the chunk into `out`; *made bytes.  False: it is no such data. */
static bool codec_run(struct lane *lane, const uint8_t *in, size_t length,
		      size_t *used, uint8_t *out, size_t room, size_t *made)
{
	ZSTD_inBuffer source = { in, length, 0 };
	ZSTD_outBuffer target = { out, room, 0 };
	int result;

	if (lane->is_zstd) {
		bool failed = ZSTD_isError(ZSTD_decompressStream(
			lane->zstd, &target, &source));

		*used = source.pos;
		*made = target.pos;
		return !failed;
	}
	lane->zlib->next_in = (Bytef *)in;
	lane->zlib->avail_in = (uInt)length;
	lane->zlib->next_out = out;
	lane->zlib->avail_out = (uInt)room;
	result = inflate(lane->zlib, Z_SYNC_FLUSH);
	*used = length - lane->zlib->avail_in;
	*made = room - lane->zlib->avail_out;
	return result == Z_OK || result == Z_STREAM_END ||
	       result == Z_BUF_ERROR;
}

static bool is_zstd_magic(const uint8_t *bytes)
{
	return bytes[0] == 0x28 && bytes[1] == 0xb5 && bytes[2] == 0x2f &&
	       bytes[3] == 0xfd;
}

/* RFC 1950, 2.2: deflate with a window of 32 KB, and the check bits. */
static bool is_zlib_magic(const uint8_t *bytes)
{
	return bytes[0] == 0x78 && !(bytes[1] & 0x20) &&
	       (bytes[0] << 8 | bytes[1]) % 31 == 0;
}

static uint32_t read_length(const uint8_t *bytes)
{
	return bytes[0] | bytes[1] << 8 | (uint32_t)bytes[2] << 16;
}

/* The beginning of what a compressed frame's body holds; 0: no such data. */
static size_t peek(const uint8_t *body, size_t length, uint8_t out[PEEK_BYTES])
{
	struct lane lane = { .is_zstd = is_zstd_magic(body) };
	size_t used, made = 0;

	if (codec_begin(&lane) &&
	    !codec_run(&lane, body, length, &used, out, PEEK_BYTES, &made))
		made = 0;
	codec_free(&lane);
	return made;
}

/* The first packet of a response has its first frame's number. */
static enum shape shape_packets(enum side side, uint8_t sequence,
				const uint8_t *bytes, size_t length)
{
	if (side == SIDE_CLIENT)
		return mysql_shape_request(bytes, length);
	return mysql_shape_response(bytes, length, sequence);
}

enum shape mysql_frames_shape(enum side side, const uint8_t *bytes,
			      size_t length)
{
	const uint8_t *body = bytes + FRAME_HEADER_BYTES;
	uint8_t plain[PEEK_BYTES];
	uint32_t size, whole;
	size_t left;

	/* A request's is the first frame, a response's follow those. */
	if (length > 3 && (!bytes[3] != (side == SIDE_CLIENT) ||
			   read_length(bytes) < FRAME_LEAST_BYTES))
		return SHAPE_NO;
	if (length < FRAME_HEADER_BYTES)
		return SHAPE_SHORT;
	size = read_length(bytes);
	whole = read_length(bytes + 4);
	/* What would not have become shorter is sent as it is. */
	if (whole && whole <= size)
		return SHAPE_NO;
	if (length < FRAME_HEADER_BYTES + 4)
		return SHAPE_SHORT;
	left = length - FRAME_HEADER_BYTES;
	if (left > size)
		left = size;
	if (!whole)
		return shape_packets(side, bytes[3], body, left);
	if (!is_zlib_magic(body) && !is_zstd_magic(body))
		return SHAPE_NO;
	left = peek(body, left, plain);
	if (!left)
		return length < FRAME_HEADER_BYTES + (size_t)size &&
				       length < PEEK_BYTES ?
			SHAPE_SHORT : SHAPE_NO;
	return shape_packets(side, bytes[3], plain, left);
}

/* Where a frame begins in the window; its length: nowhere. */
static size_t frames_find(enum side side, const struct window *window)
{
	size_t unsure = window->length;

	for (size_t at = 0; at < window->length; at++) {
		enum shape shape = mysql_frames_shape(
			side, window->bytes + at, window->length - at);

		if (shape == SHAPE_YES)
			return at;
		if (shape == SHAPE_SHORT && unsure == window->length)
			unsure = at;
	}
	return unsure;
}

/* Lanes: what the frames hold, as windows for the packets' reader. */

static void lane_mark(struct lane *lane)
{
	struct mark mark = lane->chunk_mark;
	struct mark *last;

	mark.end = lane->plain.length;
	if (lane->mark_count < LANE_MARKS_MAX) {
		lane->marks[lane->mark_count++] = mark;
		return;
	}
	last = &lane->marks[LANE_MARKS_MAX - 1];
	last->end = mark.end;
	last->last_ns = mark.last_ns;
}

/* The first `length` bytes are done with. */
static void lane_take(struct lane *lane, size_t length)
{
	size_t passed = 0, left;

	lane->taken += length;
	lane->offset += length;
	left = lane->plain.length - lane->taken;
	while (passed < lane->mark_count &&
	       lane->marks[passed].end <= lane->taken)
		passed++;
	lane->mark_count -= passed;
	memmove(lane->marks, lane->marks + passed,
		lane->mark_count * sizeof(*lane->marks));
	if (left && lane->taken < LANE_SHIFT_BYTES)
		return;
	if (left)
		memmove(lane->plain.bytes, lane->plain.bytes + lane->taken,
			left);
	for (size_t i = 0; i < lane->mark_count; i++)
		lane->marks[i].end -= lane->taken;
	lane->taken = 0;
	lane->plain.length = left;
	if (!left)
		buffer_reset(&lane->plain);
}

static struct window lane_window(const struct lane *lane)
{
	return (struct window){
		.bytes = buffer_at(&lane->plain, lane->taken),
		.length = lane->plain.length - lane->taken,
		.marks = lane->marks,
		.mark_count = lane->mark_count,
		.offset = lane->offset,
		.mark_base = lane->taken,
	};
}

static void lane_gap(struct lane *lane, uint64_t missed, bool exact)
{
	if (!missed)
		return;
	lane->gap_exact = lane->gap ? lane->gap_exact && exact : exact;
	lane->gap += missed;
}

/* The chunk is used up; at a frame's end so is the frame. */
static void chunk_end(struct lane *lane)
{
	lane->chunk.length = lane->chunk_used = 0;
	lane->chunk_ready = lane->pending = false;
	lane->broken |= lane->cut;
	if (lane->place != FRAME_BODY || (lane->body_left && !lane->broken))
		return;
	/* What the header promised, and nothing brought. */
	lane_gap(lane, lane->plain_left, true);
	lane->plain_left = 0;
	if (lane->body_left)
		return;
	codec_trim(lane);
	lane->place = FRAME_HEADER;
}

/* The first bytes of a frame's body are there: how is it compressed? */
static void frame_open(struct lane *lane)
{
	lane->begun = true;
	lane->starts = lane->offset + lane->plain.length - lane->taken;
	if (!lane->packed)
		return;
	lane->is_zstd = lane->chunk.length >= 4 &&
			is_zstd_magic(lane->chunk.bytes);
	lane->broken = !codec_begin(lane);
}

/* Moves what the chunk holds into `plain`, as far as that has room. */
static bool lane_fill(struct lane *lane)
{
	size_t room = PARSER_WINDOW_MAX - (lane->plain.length - lane->taken);
	size_t used, made, left = lane->chunk.length - lane->chunk_used;
	const uint8_t *in = buffer_at(&lane->chunk, lane->chunk_used);

	if (!lane->chunk_ready || !room)
		return false;
	if (!lane->begun && left)
		frame_open(lane);
	if (room > lane->plain_left)
		room = lane->plain_left;
	if (!room || (!left && !lane->pending) || lane->broken) {
		/* Nothing is left, or it is more than was promised. */
		chunk_end(lane);
		return true;
	}
	if (!buffer_reserve(&lane->plain, lane->plain.length + room)) {
		lane->broken = true;
		chunk_end(lane);
		return true;
	}
	if (lane->packed) {
		lane->broken = !codec_run(lane, in, left, &used,
					  lane->plain.bytes +
						  lane->plain.length,
					  room, &made);
	} else {
		used = made = left < room ? left : room;
		memcpy(lane->plain.bytes + lane->plain.length, in, made);
	}
	lane->chunk_used += used;
	lane->plain.length += made;
	lane->plain_left -= (uint32_t)made;
	lane->pending = made == room;
	if (made)
		lane_mark(lane);
	if (lane->broken || !lane->plain_left || (!made && !used) ||
	    (lane->chunk_used == lane->chunk.length && !lane->pending))
		chunk_end(lane);
	return true;
}

/* Bytes that the packets' reader may drop to find a message again. */
static void lane_resync(struct mysql *my, enum side side,
			const struct window *window, size_t least)
{
	struct lane *lane = &my->frames->lanes[side];
	size_t drop = mysql_resync_packets(my, side, window);

	if (drop < least)
		drop = least;
	lane->resync = drop == window->length;
	lane_take(lane, drop);
	if (drop)
		mysql_gap_packets(my, side, drop, true);
}

/* Told when all that came before the gap has been read, or cannot be. */
static bool lane_tell_gap(struct mysql *my, enum side side)
{
	struct lane *lane = &my->frames->lanes[side];
	uint64_t missed = lane->gap;

	if (!missed || lane->chunk_ready)
		return false;
	missed += lane->plain.length - lane->taken;
	lane_take(lane, lane->plain.length - lane->taken);
	lane->gap = 0;
	lane->offset += missed;
	lane->resync = true;
	mysql_gap_packets(my, side, missed, lane->gap_exact);
	return true;
}

/* One step of the packets' reader; false: it needs bytes of a side. */
static bool lane_step(struct mysql *my, enum side side)
{
	struct lane *lane = &my->frames->lanes[side];
	struct window window = lane_window(lane);
	struct step step;
	bool again;

	lane->waits = false;
	if (!window.length)
		return lane_tell_gap(my, side);
	if (lane->resync) {
		lane_resync(my, side, &window, 0);
		return true;
	}
	step = mysql_parse_packets(my, side, &window);
	switch (step.outcome) {
	case PARSE_TOOK:
		lane_take(lane, step.used);
		return true;
	case PARSE_LOST:
		again = lane->lost && lane->lost_at == lane->offset;
		lane->lost = true;
		lane->lost_at = lane->offset;
		lane_resync(my, side, &window, again);
		return true;
	case PARSE_MORE:
		return lane_tell_gap(my, side);
	case PARSE_WAIT:
		lane->waits = true;
		return false;
	default:
		my->done = true;
		return false;
	}
}

/* A side as far as it goes by itself; true: it went. */
static bool lane_run(struct mysql *my, enum side side)
{
	struct lane *lane = &my->frames->lanes[side];
	unsigned forced = 0;
	bool went = false;

	while (!my->done) {
		if (lane_step(my, side) || (!lane->waits && lane_fill(lane))) {
			forced = 0;
			went = true;
		} else if (lane->waits && lane->forced &&
			   forced++ < STEPS_FORCED_MAX) {
			my->forced[side] = true;
		} else {
			break;
		}
	}
	return went;
}

static void run_lanes(struct mysql *my)
{
	bool went = true;

	while (went && !my->done) {
		went = lane_run(my, SIDE_CLIENT);
		went |= lane_run(my, SIDE_SERVER);
	}
}

static struct step take_header(struct lane *lane, const struct window *window)
{
	uint32_t size, whole;

	if (window->length < FRAME_HEADER_BYTES)
		return step_of(PARSE_MORE, 0);
	size = read_length(window->bytes);
	whole = read_length(window->bytes + 4);
	if (!size) {
		lane->place = FRAME_UNSYNCED;
		return step_of(PARSE_LOST, 0);
	}
	lane->place = FRAME_BODY;
	lane->sequence = window->bytes[3];
	lane->packed = whole != 0;
	lane->body_left = size;
	lane->plain_left = whole ? whole : size;
	lane->begun = lane->cut = lane->broken = false;
	return step_of(PARSE_TOOK, FRAME_HEADER_BYTES);
}

static struct step take_body(struct lane *lane, const struct window *window)
{
	size_t length = CHUNK_BYTES - lane->chunk.length;
	struct mark *mark = &lane->chunk_mark;

	if (length > lane->body_left)
		length = lane->body_left;
	if (length > window->length)
		length = window->length;
	if (!lane->chunk.length) {
		mark->first_ns = window_first_ns(window, 0);
		mark->tid = window_tid(window, 0);
	}
	mark->last_ns = window_last_ns(window, length - 1);
	if (!lane->broken &&
	    !buffer_append(&lane->chunk, window->bytes, length))
		lane->broken = true;
	lane->body_left -= (uint32_t)length;
	lane->chunk_ready = lane->chunk.length == CHUNK_BYTES ||
			    !lane->body_left;
	return step_of(PARSE_TOOK, length);
}

static struct step synchronise(struct lane *lane, enum side side,
			       const struct window *window)
{
	switch (mysql_frames_shape(side, window->bytes, window->length)) {
	case SHAPE_YES:
		lane->place = FRAME_HEADER;
		return take_header(lane, window);
	case SHAPE_SHORT:
		if (window->length < PARSER_WINDOW_MAX)
			return step_of(PARSE_MORE, 0);
		return step_of(PARSE_LOST, 0);
	default:
		return step_of(PARSE_LOST, 0);
	}
}

static bool frames_start(struct mysql *my)
{
	my->frames = calloc(1, sizeof(*my->frames));
	if (!my->frames) {
		my->done = true;
		return false;
	}
	my->framing = FRAMING_FRAMES;
	return true;
}

/* Begun in mid-connection, at a client's frame; the server's may be cut. */
static bool frames_start_late(struct mysql *my)
{
	if (!frames_start(my))
		return false;
	my->frames->lanes[SIDE_CLIENT].place = FRAME_HEADER;
	my->frames->lanes[SIDE_CLIENT].offset = 1;
	my->frames->lanes[SIDE_SERVER].offset = 1;
	return true;
}

static bool frames_start_agreed(struct mysql *my)
{
	if (!frames_start(my))
		return false;
	my->frames->lanes[SIDE_CLIENT].place = FRAME_HEADER;
	if (!my->response_lost)
		my->frames->lanes[SIDE_SERVER].place = FRAME_HEADER;
	return true;
}

bool mysql_frames_possible(const struct mysql *my)
{
	/* No packet looks like a frame: COM_SLEEP is no client's. */
	return my->framing == FRAMING_MAYBE ||
	       my->framing == FRAMING_DOUBTFUL ||
	       (my->framing == FRAMING_UNKNOWN && !my->capabilities_known);
}

bool mysql_frames_pending(struct mysql *my)
{
	const struct command *head = mysql_head(my);

	return my->framing == FRAMING_UNKNOWN && head &&
	       head->code == COMMAND_LOGIN && my->capabilities_known &&
	       my->capabilities & (CLIENT_COMPRESS | CLIENT_ZSTD);
}

void mysql_frames_agreed(struct mysql *my)
{
	if (my->framing != FRAMING_UNKNOWN || !my->capabilities_known)
		return;
	my->framing = FRAMING_NONE;
	if (!(my->capabilities & (CLIENT_COMPRESS | CLIENT_ZSTD)))
		return;
	/* Without the greeting it is the client's wish alone. */
	if (my->greeted)
		frames_start_agreed(my);
	else
		my->framing = FRAMING_MAYBE;
}

/* The client's first bytes behind a login: did the server agree? */
static struct step decide(struct mysql *my, enum side side,
			  const struct window *window)
{
	enum shape shape = SHAPE_NO;

	if (side == SIDE_SERVER && !my->forced[side])
		return step_of(PARSE_WAIT, 0);
	if (side == SIDE_CLIENT)
		shape = mysql_frames_shape(side, window->bytes,
					   window->length);
	if (shape == SHAPE_SHORT)
		return step_of(PARSE_MORE, 0);
	if (shape == SHAPE_YES && frames_start_agreed(my))
		return mysql_frames_parse(my, side, window);
	/* Behind a gap a request may be what is left of a frame. */
	my->framing = my->flows[SIDE_CLIENT].place == FLOW_UNSYNCED ?
		FRAMING_DOUBTFUL : FRAMING_NONE;
	return my->done ? step_of(PARSE_DONE, window->length) :
			  mysql_parse_packets(my, side, window);
}

/* The first bytes of a connection whose beginning was not seen. */
static struct step decide_late(struct mysql *my, const struct window *window)
{
	if (mysql_frames_shape(SIDE_CLIENT, window->bytes, window->length) ==
		    SHAPE_YES && frames_start_late(my))
		return mysql_frames_parse(my, SIDE_CLIENT, window);
	return my->done ? step_of(PARSE_DONE, window->length) :
			  mysql_parse_packets(my, SIDE_CLIENT, window);
}

bool mysql_frames_begin(struct mysql *my, enum side side,
			const struct window *window)
{
	/* The login's answer is lost: what comes next must tell. */
	if (side == SIDE_CLIENT && mysql_frames_pending(my) &&
	    (my->forced[side] || my->response_lost) &&
	    my->flows[side].place == FLOW_HEADER && !my->flows[side].inside &&
	    window->length >= MYSQL_HEADER_BYTES && !window->bytes[3])
		my->framing = FRAMING_MAYBE;
	if (my->frames || my->framing == FRAMING_MAYBE)
		return true;
	return side == SIDE_CLIENT && mysql_frames_possible(my) &&
	       my->flows[side].place != FLOW_BODY && !my->flows[side].inside;
}

struct step mysql_frames_parse(struct mysql *my, enum side side,
			       const struct window *window)
{
	struct lane *lane;
	struct step step;

	if (my->framing == FRAMING_MAYBE)
		return decide(my, side, window);
	if (my->framing != FRAMING_FRAMES)
		return decide_late(my, window);
	lane = &my->frames->lanes[side];
	run_lanes(my);
	if (my->done)
		return step_of(PARSE_DONE, window->length);
	if (lane->waits || lane->chunk_ready || lane->gap)
		return step_of(PARSE_WAIT, 0);
	if (!window->length)
		return step_of(PARSE_MORE, 0);
	if (lane->place == FRAME_UNSYNCED)
		step = synchronise(lane, side, window);
	else if (lane->place == FRAME_HEADER)
		step = take_header(lane, window);
	else
		step = take_body(lane, window);
	if (step.outcome == PARSE_TOOK) {
		lane->forced = false;
		run_lanes(my);
	}
	return step;
}

uint8_t mysql_frames_answer(const struct mysql *my, uint8_t sequence)
{
	if (my->frames)
		sequence = my->frames->lanes[SIDE_CLIENT].sequence;
	return sequence + 1;
}

bool mysql_frames_start(const struct mysql *my, uint64_t offset,
			uint8_t sequence)
{
	const struct lane *lane;

	if (!my->frames)
		return false;
	lane = &my->frames->lanes[SIDE_SERVER];
	return lane->begun && lane->starts == offset &&
	       lane->sequence == sequence;
}

size_t mysql_frames_resync(struct mysql *my, enum side side,
			   const struct window *window)
{
	if (my->frames->lanes[side].place != FRAME_UNSYNCED)
		return 0;
	return frames_find(side, window);
}

void mysql_frames_gap(struct mysql *my, enum side side, uint64_t missed)
{
	struct lane *lane = &my->frames->lanes[side];
	bool inside = lane->place == FRAME_BODY && missed <= lane->body_left;

	if (!missed) {
		lane->forced = true;
		return;
	}
	lane->chunk_ready |= lane->place == FRAME_BODY && !lane->broken;
	if (inside && !lane->packed) {
		lane->body_left -= (uint32_t)missed;
		lane->plain_left -= (uint32_t)missed;
		lane_gap(lane, missed, true);
	} else if (inside) {
		/* Behind a hole nothing can be decompressed. */
		lane->body_left -= (uint32_t)missed;
		lane->cut = true;
	} else {
		/* Of a frame that goes on in the gap its chunk remains. */
		lane_gap(lane, missed, false);
		lane->place = FRAME_UNSYNCED;
		lane->body_left = 0;
	}
	/* A broken one has an end as well. */
	lane->chunk_ready |= inside && !lane->body_left;
	run_lanes(my);
}

void mysql_frames_lose(struct mysql *my, enum side side)
{
	my->frames->lanes[side].place = FRAME_UNSYNCED;
}

void mysql_frames_close(struct mysql *my)
{
	if (!my->frames)
		return;
	for (int side = 0; side < SIDES; side++) {
		struct lane *lane = &my->frames->lanes[side];

		lane->chunk_ready |= lane->place == FRAME_BODY;
		lane->forced = true;
	}
	run_lanes(my);
}

void mysql_frames_free(struct mysql *my)
{
	if (!my->frames)
		return;
	for (int side = 0; side < SIDES; side++) {
		struct lane *lane = &my->frames->lanes[side];

		codec_free(lane);
		buffer_free(&lane->chunk);
		buffer_free(&lane->plain);
	}
	free(my->frames);
	my->frames = NULL;
}
