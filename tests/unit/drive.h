/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drive.h - feed a recorded conversation to a parser, as parser.h's law says.
 *
 * A recording is pieces of both sides in the order in which they moved.  They
 * are given in cuts, with gaps, each window in an exact-size allocation, so
 * that a sanitizer sees a read past its end; a broken law aborts.  Exchanges
 * come out as lines of text.  Shared by the unit tests and the fuzz target.
 */
#ifndef DATASNOOP_TESTS_UNIT_DRIVE_H
#define DATASNOOP_TESTS_UNIT_DRIVE_H

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parsers/parser.h"
#include "parsers/sql.h"

#define DRIVE_GAPS_MAX 16
#define DRIVE_NUDGES_MAX 8
#define DRIVE_DEFLATE_MAX 1032 /* bytes that one of DEFLATE's can become */

#define DRIVE_LAW(truth)                                                   \
	do {                                                               \
		if (!(truth)) {                                            \
			fprintf(stderr, "%s:%d: law broken: %s\n",         \
				__FILE__, __LINE__, #truth);               \
			abort();                                           \
		}                                                          \
	} while (0)

struct drive_piece {
	enum side side;
	size_t at, length; /* in the side's bytes */
	uint64_t ns;
};

struct recording {
	uint8_t *bytes[SIDES];
	size_t length[SIDES];
	struct drive_piece *pieces;
	size_t piece_count;
};

struct drive_gap {
	enum side side;
	size_t at, length;
};

struct drive {
	const struct recording *recording;
	const struct parser *parser;
	size_t cut;	      /* pieces in cuts of so many bytes; 0: whole */
	size_t cut_at[SIDES]; /* and one cut there; 0: none */
	size_t skip[SIDES];   /* begin there: started in mid-connection */
	bool client_first;    /* all of the client's bytes, then the server's */
	bool values;	      /* print values too */
	bool brief;	      /* no times, no bytes: to compare with an edit */
	struct drive_gap gaps[DRIVE_GAPS_MAX];
	unsigned gap_count;
	/* out */
	FILE *out;
	size_t exchanges, incomplete;
	/* inside */
	void *state;
	struct {
		size_t given, taken, untold;
		bool resync, waits, lost;
		size_t lost_at;
	} lanes[SIDES];
};

static inline void recording_add(struct recording *r, enum side side,
				 const void *bytes, size_t length, uint64_t ns)
{
	size_t at = r->length[side];

	if (!length)
		return;
	r->bytes[side] = realloc(r->bytes[side], at + length);
	r->pieces = realloc(r->pieces,
			    (r->piece_count + 1) * sizeof(*r->pieces));
	DRIVE_LAW(r->bytes[side] && r->pieces);
	memcpy(r->bytes[side] + at, bytes, length);
	r->length[side] += length;
	r->pieces[r->piece_count++] =
		(struct drive_piece){ side, at, length, ns };
}

static inline void recording_free(struct recording *r)
{
	free(r->bytes[0]);
	free(r->bytes[1]);
	free(r->pieces);
	*r = (struct recording){ .piece_count = 0 };
}

/* Lines "C hex" and "S hex"; others are comments.  Piece n moved at n us. */
static inline bool recording_load(struct recording *r, const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t length;

	*r = (struct recording){ .piece_count = 0 };
	if (!file)
		return false;
	while ((length = getline(&line, &room, file)) > 0) {
		enum side side = line[0] == 'S' ? SIDE_SERVER : SIDE_CLIENT;
		size_t n = 0;

		if ((line[0] != 'C' && line[0] != 'S') || line[1] != ' ')
			continue;
		for (char *at = line + 2; isxdigit((unsigned char)at[0]) &&
					  isxdigit((unsigned char)at[1]);
		     at += 2) {
			char hex[3] = { at[0], at[1], '\0' };

			line[n++] = (char)strtoul(hex, NULL, 16);
		}
		recording_add(r, side, line, n, 1000 * (r->piece_count + 1));
	}
	free(line);
	fclose(file);
	return true;
}

static inline void drive_text(FILE *out, const char *name, struct span span)
{
	if (!span.bytes)
		return;
	fprintf(out, " %s=\"", name);
	for (size_t i = 0; i < span.length; i++) {
		unsigned char c = (unsigned char)span.bytes[i];

		if (i == 200 && span.length > 256) {
			fprintf(out, "...%zu", span.length);
			break;
		}
		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static inline void drive_list(FILE *out, const char *name,
			      const struct span *spans, size_t count)
{
	if (count)
		fprintf(out, " %s:%zu", name, count);
	for (size_t i = 0; i < count; i++)
		drive_text(out, "", spans[i]);
}

static inline void drive_attributes(FILE *out, const struct exchange *e)
{
	for (size_t i = 0; i < e->attribute_count; i++) {
		const struct attribute *a = &e->attributes[i];

		if (a->kind == ATTRIBUTE_TEXT)
			drive_text(out, a->key, a->text);
		else if (a->kind == ATTRIBUTE_REAL)
			fprintf(out, " %s=%g", a->key, a->real);
		else
			fprintf(out, " %s=%" PRId64, a->key, a->number);
		if (a->value)
			fputs("(value)", out);
	}
}

/* No literal in quotes is left in what may be shown. */
static inline void drive_masked(struct span masked)
{
	struct sql_lexer lexer = sql_lexer_of(masked.bytes, masked.length, 0);
	struct sql_token token;

	while ((token = sql_lexer_next(&lexer)).kind != SQL_END)
		DRIVE_LAW(token.kind != SQL_STRING);
}

static inline void drive_exchange(void *context, const struct exchange *e)
{
	struct drive *d = context;
	FILE *out = d->out;

	d->exchanges++;
	d->incomplete += !e->complete;
	DRIVE_LAW(e->system && e->operation && e->results >= 1);
	DRIVE_LAW(e->target_count <= EXCHANGE_TARGETS_MAX);
	DRIVE_LAW(e->column_count <= EXCHANGE_COLUMNS_MAX);
	DRIVE_LAW(e->column_count <= e->columns_total);
	DRIVE_LAW(e->parameter_count <= EXCHANGE_PARAMETERS_MAX);
	DRIVE_LAW(e->attribute_count <= EXCHANGE_ATTRIBUTES_MAX);
	if (e->masked.bytes && !strcmp(e->system, "mysql"))
		drive_masked(e->masked);
	if (!out)
		return;
	fprintf(out, "%s status=%" PRId64 "%s", e->operation, e->status,
		e->failed ? " failed" : "");
	if (e->application)
		fprintf(out, " application=%s", e->application);
	drive_text(out, "status-name", e->status_name);
	drive_text(out, "sqlstate", e->sqlstate);
	drive_text(out, "message", e->message);
	fprintf(out, " rows=%" PRId64 " affected=%" PRId64 " results=%u",
		e->rows, e->affected, e->results);
	drive_text(out, "namespace", e->namespace);
	drive_text(out, "user", e->user);
	drive_list(out, "targets", e->targets, e->target_count);
	drive_list(out, "columns", e->columns, e->column_count);
	drive_list(out, "parameters", e->parameters, e->parameter_count);
	drive_text(out, "statement", e->statement);
	drive_text(out, "masked", e->masked);
	drive_attributes(out, e);
	if (!e->statement_known)
		fputs(" unknown-statement", out);
	if (e->statement_cut)
		fputs(" cut", out);
	if (!e->complete)
		fprintf(out, " incomplete missed=%" PRIu64, e->missed_bytes);
	if (!d->brief)
		fprintf(out, " bytes=%" PRIu64 "/%" PRIu64 " us=%" PRIu64
			"/%" PRIu64 "/%" PRIu64 " tid=%u", e->request_bytes,
			e->response_bytes, e->start_ns / 1000,
			e->first_byte_ns / 1000, e->end_ns / 1000, e->tid);
	fputc('\n', out);
}

static inline void drive_value(void *context, const struct exchange *e,
			       int column, struct span value)
{
	struct drive *d = context;

	DRIVE_LAW(column >= -1 && (column < 0 ||
				   (size_t)column < e->column_count));
	DRIVE_LAW(value.length <= VALUE_BYTES_MAX);
	if (!d->out || !d->values)
		return;
	fprintf(d->out, "\tvalue %d", column);
	drive_text(d->out, "", value);
	fputc('\n', d->out);
}

static inline const struct drive_gap *drive_gap_ahead(const struct drive *d,
						      enum side side)
{
	const struct drive_gap *next = NULL;

	for (unsigned i = 0; i < d->gap_count; i++)
		if (d->gaps[i].side == side && d->gaps[i].length &&
		    d->gaps[i].at >= d->lanes[side].taken &&
		    (!next || d->gaps[i].at < next->at))
			next = &d->gaps[i];
	return next;
}

/* The end of what may be shown; a gap that has been reached stops it. */
static inline size_t drive_end(const struct drive *d, enum side side)
{
	const struct drive_gap *gap = drive_gap_ahead(d, side);
	size_t end = d->lanes[side].given;

	if (gap && gap->at < end)
		end = gap->at;
	if (end - d->lanes[side].taken > PARSER_WINDOW_MAX)
		end = d->lanes[side].taken + PARSER_WINDOW_MAX;
	return end;
}

static inline bool drive_at_gap(const struct drive *d, enum side side)
{
	const struct drive_gap *gap = drive_gap_ahead(d, side);

	return gap && gap->at == d->lanes[side].taken &&
	       gap->at < d->lanes[side].given;
}

/* An exact-size copy of the window, its marks too. */
struct drive_window {
	struct window window;
	uint8_t *bytes;
	struct mark *marks;
};

static inline struct drive_window drive_window(const struct drive *d,
					       enum side side)
{
	const struct recording *r = d->recording;
	size_t from = d->lanes[side].taken, end = drive_end(d, side);
	struct drive_window w = { .bytes = malloc(end - from ? end - from : 1),
				  .marks = NULL };
	size_t count = 0;

	DRIVE_LAW(w.bytes);
	memcpy(w.bytes, r->bytes[side] + from, end - from);
	for (size_t i = 0; i < r->piece_count; i++) {
		const struct drive_piece *p = &r->pieces[i];

		if (p->side != side || p->at + p->length <= from ||
		    p->at >= end)
			continue;
		w.marks = realloc(w.marks, (count + 1) * sizeof(*w.marks));
		DRIVE_LAW(w.marks);
		w.marks[count++] = (struct mark){
			.end = p->at + p->length < end ?
				p->at + p->length - from : end - from,
			.first_ns = p->ns,
			.last_ns = p->ns,
			.tid = side == SIDE_CLIENT ? 7 : 8,
		};
	}
	w.window = (struct window){
		.bytes = w.bytes,
		.length = end - from,
		.marks = w.marks,
		.mark_count = count,
		.offset = from,
	};
	return w;
}

static inline void drive_window_free(struct drive_window *w)
{
	free(w->bytes);
	free(w->marks);
}

static inline void drive_resync(struct drive *d, enum side side,
				struct window *window, size_t at_least)
{
	size_t drop = d->parser->resync(d->state, side, window);

	DRIVE_LAW(drop <= window->length);
	if (drop < at_least)
		drop = at_least;
	d->lanes[side].resync = drop == window->length;
	d->lanes[side].taken += drop;
	if (drop)
		d->parser->gap(d->state, side, drop);
}

static inline void drive_jump(struct drive *d, enum side side)
{
	const struct drive_gap *gap = drive_gap_ahead(d, side);
	uint64_t missed = gap->length + d->lanes[side].untold;

	d->lanes[side].taken = gap->at + gap->length;
	if (d->lanes[side].given < d->lanes[side].taken)
		d->lanes[side].given = d->lanes[side].taken;
	d->lanes[side].untold = 0;
	d->lanes[side].resync = true;
	d->lanes[!side].waits = false;
	d->parser->gap(d->state, side, missed);
}

enum drive_went { DRIVE_STUCK, DRIVE_WENT, DRIVE_DONE };

/* One step of a side. */
static inline enum drive_went drive_step(struct drive *d, enum side side)
{
	struct drive_window w;
	struct step step;
	size_t at = d->lanes[side].taken, length;
	bool again;

	if (drive_at_gap(d, side)) {
		drive_jump(d, side);
		return DRIVE_WENT;
	}
	if (at == drive_end(d, side) || d->lanes[side].waits)
		return DRIVE_STUCK;
	w = drive_window(d, side);
	length = w.window.length;
	if (d->lanes[side].resync) {
		drive_resync(d, side, &w.window, 0);
		drive_window_free(&w);
		return DRIVE_WENT;
	}
	step = d->parser->parse(d->state, side, &w.window);
	switch (step.outcome) {
	case PARSE_TOOK:
		DRIVE_LAW(step.used && step.used <= length);
		d->lanes[side].taken += step.used;
		break;
	case PARSE_LOST:
		DRIVE_LAW(!step.used);
		again = d->lanes[side].lost && d->lanes[side].lost_at == at;
		d->lanes[side].lost = true;
		d->lanes[side].lost_at = at;
		drive_resync(d, side, &w.window, again ? 1 : 0);
		break;
	case PARSE_MORE:
		DRIVE_LAW(!step.used && length < PARSER_WINDOW_MAX);
		drive_window_free(&w);
		if (drive_gap_ahead(d, side) &&
		    drive_gap_ahead(d, side)->at == at + length &&
		    d->lanes[side].given > at + length) {
			d->lanes[side].untold += length;
			d->lanes[side].taken += length;
			return DRIVE_WENT;
		}
		return DRIVE_STUCK;
	case PARSE_WAIT:
		DRIVE_LAW(!step.used);
		d->lanes[side].waits = true;
		drive_window_free(&w);
		return DRIVE_STUCK;
	case PARSE_DONE:
		DRIVE_LAW(step.used <= length);
		drive_window_free(&w);
		return DRIVE_DONE;
	}
	drive_window_free(&w);
	d->lanes[!side].waits = false;
	return DRIVE_WENT;
}

/* When the next byte of a side moved. */
static inline uint64_t drive_time(const struct drive *d, enum side side)
{
	const struct recording *r = d->recording;

	for (size_t i = 0; i < r->piece_count; i++)
		if (r->pieces[i].side == side &&
		    r->pieces[i].at + r->pieces[i].length >
			    d->lanes[side].taken)
			return r->pieces[i].ns;
	return UINT64_MAX;
}

static inline bool drive_has(const struct drive *d, enum side side)
{
	return d->lanes[side].taken < drive_end(d, side);
}

/*
 * Both sides as far as they go, the older bytes first, gaps when the other
 * side is dumb.  False: nothing more to read.
 */
static inline bool drive_pump(struct drive *d, bool closed)
{
	unsigned nudges = 0;

	for (;;) {
		enum side older = drive_time(d, SIDE_SERVER) <
						  drive_time(d, SIDE_CLIENT) ?
					  SIDE_SERVER : SIDE_CLIENT;
		enum drive_went went = DRIVE_STUCK;
		size_t before = d->lanes[0].taken + d->lanes[1].taken;

		if (drive_has(d, older))
			went = drive_step(d, older);
		if (went == DRIVE_STUCK && drive_has(d, !older))
			went = drive_step(d, !older);
		if (went == DRIVE_STUCK && drive_at_gap(d, SIDE_CLIENT))
			went = drive_step(d, SIDE_CLIENT);
		if (went == DRIVE_STUCK && drive_at_gap(d, SIDE_SERVER))
			went = drive_step(d, SIDE_SERVER);
		if (went == DRIVE_DONE)
			return false;
		if (d->lanes[0].taken + d->lanes[1].taken > before)
			nudges = 0;
		if (went == DRIVE_WENT)
			continue;
		if (!d->lanes[0].waits && !d->lanes[1].waits)
			return true;
		if (!(d->lanes[0].waits && d->lanes[1].waits) && !closed)
			return true;
		DRIVE_LAW(++nudges <= DRIVE_NUDGES_MAX);
		d->parser->gap(d->state, d->lanes[older].waits ? older :
								 !older, 0);
		d->lanes[0].waits = d->lanes[1].waits = false;
	}
}

/* Gives a piece of the recording in cuts; false: the parser is done. */
static inline bool drive_give(struct drive *d, const struct drive_piece *p)
{
	size_t *given = &d->lanes[p->side].given, end = p->at + p->length;

	/* A gap may have carried it further than this piece. */
	while (*given < end) {
		size_t next = end, cut = d->cut_at[p->side];

		if (d->cut && next - *given > d->cut)
			next = *given + d->cut;
		if (cut > *given && cut < next)
			next = cut;
		*given = next;
		if (!drive_pump(d, false))
			return false;
	}
	return true;
}

/* The whole recording through the parser, to the end. */
static inline void drive_run(struct drive *d)
{
	const struct recording *r = d->recording;
	struct observer observer = { drive_exchange, drive_value, d };
	bool goes_on = true;

	memset(d->lanes, 0, sizeof(d->lanes));
	for (int side = 0; side < SIDES; side++)
		d->lanes[side].given = d->lanes[side].taken = d->skip[side];
	d->exchanges = d->incomplete = 0;
	d->state = d->parser->open(!d->skip[0] && !d->skip[1], &observer);
	DRIVE_LAW(d->state);
	for (int pass = 0; pass < 2 && goes_on; pass++) {
		for (size_t i = 0; i < r->piece_count && goes_on; i++) {
			if (d->client_first && (int)r->pieces[i].side != pass)
				continue;
			if (d->client_first || !pass)
				goes_on = drive_give(d, &r->pieces[i]);
		}
	}
	if (goes_on)
		drive_pump(d, true);
	if (goes_on && d->parser->quiet)
		d->parser->quiet(d->state);
	d->parser->close(d->state);
	/* Each has a byte of its own at least, of what may be compressed. */
	DRIVE_LAW(d->exchanges <= DRIVE_DEFLATE_MAX *
					  (r->length[0] + r->length[1]));
}

/*
 * drive_run with the lines in a string, the caller's to free.  Inlined, gcc 12
 * takes the string for the pointer that open_memstream() was given.
 */
static __attribute__((noinline, unused)) char *drive_lines(struct drive *d)
{
	char *text = NULL;
	size_t length = 0;

	d->out = open_memstream(&text, &length);
	DRIVE_LAW(d->out);
	drive_run(d);
	fclose(d->out);
	d->out = NULL;
	return text;
}

#endif
