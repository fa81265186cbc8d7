/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * framed.h - a connection whose two sides consist of frames that tell their
 * length in a header.
 *
 * Does for a parser what all such protocols need: keeps count of the frames,
 * so that a gap inside one is skipped in step; finds a frame again after any
 * other gap; and gives a frame's body to the parser in units, of which only
 * the one that is not whole yet is kept (FRAMED_UNIT_MAX bytes at most).  The
 * parser's parse(), resync() and gap() are one call each.
 */
#ifndef DATASNOOP_PARSERS_FRAMED_H
#define DATASNOOP_PARSERS_FRAMED_H

#include "parsers/buffer.h"
#include "parsers/parser.h"
#include "parsers/pending.h"

/* Bytes: no unit needs more; what does is given up, its message skipped. */
#define FRAMED_UNIT_MAX 65536

enum frame_verdict {
	FRAME_NO,   /* no frame begins here */
	FRAME_MORE, /* cannot be told from so few bytes (fewer than 64) */
	FRAME_YES,
	FRAME_WAIT, /* a frame, but the other side's bytes come first */
	FRAME_END   /* nothing that could be read follows: PARSE_DONE */
};

struct frame_shape {
	size_t header; /* bytes, taken at once; 1 to 64 */
	uint64_t body;
};

struct framed_operations {
	/* In step: the frame that begins at bytes[0]; changes no state. */
	enum frame_verdict (*shape)(void *state, enum side side,
				    const uint8_t *bytes, size_t length,
				    struct frame_shape *shape);
	/*
	 * Out of step: does a frame begin at bytes[0]?  Must be sure of it;
	 * MORE for fewer than 64 bytes only.
	 */
	enum frame_verdict (*sure)(void *state, enum side side,
				   const uint8_t *bytes, size_t length);
	/* A frame has begun. */
	void (*begin)(void *state, enum side side, const uint8_t *header,
		      const struct frame_shape *shape);
	/*
	 * A unit of the body: how many bytes it took, 0: it needs more, or
	 * framed_give_up() was called.  `last`: the frame ends with them.
	 * framed_skip() passes over bytes behind it.
	 */
	size_t (*unit)(void *state, enum side side, const uint8_t *bytes,
		       size_t length, bool last);
	/* The frame has ended.  True: and the message with it. */
	bool (*end)(void *state, enum side side);
	/*
	 * Out of step from here on.  A message that had begun will not be
	 * ended; frames and messages may be missing.
	 */
	void (*lost)(void *state, enum side side);
};

/* One side. */
struct framed_side {
	struct buffer carry;	/* of a unit that is not whole yet */
	uint64_t left;		/* of the frame's body, not taken yet */
	uint64_t skip;		/* of the message, behind the last unit */
	uint64_t taken;		/* bytes in all, to notice progress */
	uint64_t waited_at;	/* the other side's `taken` at a WAIT */
	bool inside;		/* a frame */
	bool deaf;		/* the message's rest is not read */
	bool adrift;		/* out of step */
	bool waited, forced;
	struct pending traffic; /* of the message so far, frames and all */
};

struct framed {
	const struct framed_operations *operations;
	void *state; /* the first argument of each operation */
	struct framed_side sides[SIDES];
};

void framed_init(struct framed *framed,
		 const struct framed_operations *operations, void *state,
		 bool from_start);
void framed_free(struct framed *framed);

/* As the functions of struct parser. */
struct step framed_parse(struct framed *framed, enum side side,
			 const struct window *window);
size_t framed_resync(struct framed *framed, enum side side,
		     const struct window *window);
void framed_gap(struct framed *framed, enum side side, uint64_t missed);

/*
 * framed_lose - the side is out of step, whatever its frame's header said
 * @missed: bytes that are known not to come
 */
void framed_lose(struct framed *framed, enum side side, uint64_t missed);

/* From unit(): the message's next `length` bytes are of no interest. */
void framed_skip(struct framed *framed, enum side side, uint64_t length);
/* From unit(), begin(): the rest of the message is not to be read. */
void framed_give_up(struct framed *framed, enum side side);
/* In end(): was the message read to its end?  False: cut or not understood. */
bool framed_whole(const struct framed *framed, enum side side);
/*
 * framed_traffic - add the message's times and bytes to its exchange
 * @asks: they are of the request, not of the response
 *
 * From end() and lost().
 */
void framed_traffic(const struct framed *framed, enum side side, bool asks,
		    struct pending *pending);

#endif
