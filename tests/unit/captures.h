/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * captures.h - the connections of capture files, as recordings.
 *
 * Files are the captures of others, read where they are (the directory in
 * CORPUS, or ../shared/corpus; absent: none), and the recordings of
 * tests/captures.  Shared by the unit tests and the maker of fuzz seeds.
 */
#ifndef DATASNOOP_TESTS_UNIT_CAPTURES_H
#define DATASNOOP_TESTS_UNIT_CAPTURES_H

#include <dirent.h>

#include "streams/pcap.h"
#include "tests/unit/drive.h"

#define CAPTURES_CORPUS	      "../shared/corpus"
#define CAPTURES_RECORDINGS   "tests/captures"
#define CAPTURES_PATH_BYTES   1024
#define CAPTURES_CONNECTIONS  256 /* of one capture file */

/* Any connection of a file whose protocol a parser recognises. */
typedef void (*capture_visit)(void *context, const struct recording *recording,
			      const struct parser *parser, const char *path);

struct capture_piece {
	unsigned direction;
	size_t at, length; /* in the direction's bytes */
	uint64_t ns;
	size_t order;
};

struct capture_connection {
	uint64_t id;
	bool holed;	   /* bytes are missing in the file */
	uint8_t *bytes[2]; /* by enum batch_direction */
	size_t length[2];
	struct capture_piece *pieces;
	size_t piece_count;
};

struct capture {
	struct capture_connection connections[CAPTURES_CONNECTIONS];
	size_t count;
};

struct capture_files {
	char (*paths)[CAPTURES_PATH_BYTES];
	size_t count;
};

static inline struct capture_connection *capture_find(struct capture *capture,
						      uint64_t id)
{
	for (size_t i = 0; i < capture->count; i++)
		if (capture->connections[i].id == id)
			return &capture->connections[i];
	if (capture->count == CAPTURES_CONNECTIONS)
		return NULL;
	capture->connections[capture->count] =
		(struct capture_connection){ .id = id };
	return &capture->connections[capture->count++];
}

static inline void capture_add(struct capture_connection *c,
			       unsigned direction, const uint8_t *bytes,
			       size_t length, uint64_t ns)
{
	size_t at = c->length[direction];

	c->bytes[direction] = realloc(c->bytes[direction], at + length);
	c->pieces = realloc(c->pieces,
			    (c->piece_count + 1) * sizeof(*c->pieces));
	DRIVE_LAW(c->bytes[direction] && c->pieces);
	memcpy(c->bytes[direction] + at, bytes, length);
	c->length[direction] += length;
	c->pieces[c->piece_count] = (struct capture_piece){
		direction, at, length, ns, c->piece_count };
	c->piece_count++;
}

/* All that a connection holds at the moment. */
static inline void capture_see(void *context, struct connection *connection)
{
	struct capture_connection *c = capture_find(context, connection->id);
	struct window window;
	enum stream_has has;
	uint64_t gap;

	for (unsigned d = 0; d < 2 && c; d++) {
		struct stream *stream = connection->streams[d];

		while (stream && (has = stream_head(stream, &window, &gap)) !=
					 STREAM_NONE) {
			size_t at = 0;

			c->holed |= has == STREAM_GAP;
			for (size_t i = 0; i < window.mark_count; i++) {
				size_t end = window_mark_end(&window, i);

				if (end > at)
					capture_add(c, d, window.bytes + at,
						    end - at,
						    window.marks[i].last_ns);
				at = end > at ? end : at;
			}
			stream_take(stream, has == STREAM_GAP ?
						    gap : window.length);
		}
	}
}

/* A capture file into `capture`, which is empty. */
static inline void capture_read(struct capture *capture, const char *path)
{
	struct account account = { .connections = 0 };
	struct connection_table *table =
		connection_table_new(&account, CAPTURES_CONNECTIONS, 8 << 20,
				     64 << 20);
	const struct offline_settings settings = {
		.connections = table,
		.account = &account,
		.bound = CAPTURES_CONNECTIONS,
	};
	enum offline_status status = OFFLINE_MORE;
	struct offline *offline;
	char text[512];

	DRIVE_LAW(table);
	DRIVE_LAW(!offline_open(&offline, path, &settings, text,
				sizeof(text)));
	while (status == OFFLINE_MORE) {
		status = offline_read(offline);
		connection_table_pass(table, false, capture_see, capture);
	}
	offline_end(offline);
	connection_table_pass(table, true, capture_see, capture);
	connection_table_free(table);
	offline_free(offline);
}

static inline void capture_free(struct capture *capture)
{
	for (size_t i = 0; i < capture->count; i++) {
		free(capture->connections[i].bytes[0]);
		free(capture->connections[i].bytes[1]);
		free(capture->connections[i].pieces);
	}
	free(capture);
}

static inline int capture_by_time(const void *a, const void *b)
{
	const struct capture_piece *p = a, *q = b;

	if (p->ns != q->ns)
		return p->ns < q->ns ? -1 : 1;
	return p->order < q->order ? -1 : p->order > q->order;
}

/*
 * As a recording, pieces in the order of their times, side out being
 * BATCH_OUT's.  Pieces of a side stay in order, whatever their times say.
 */
static inline struct recording capture_recording(struct capture_connection *c,
						 enum side out)
{
	struct recording r = { .piece_count = 0 };

	qsort(c->pieces, c->piece_count, sizeof(*c->pieces), capture_by_time);
	for (size_t i = 0; i < c->piece_count; i++) {
		const struct capture_piece *p = &c->pieces[i];
		enum side side = p->direction == BATCH_OUT ? out :
				 out == SIDE_CLIENT	   ? SIDE_SERVER :
							     SIDE_CLIENT;

		recording_add(&r, side, c->bytes[p->direction] + r.length[side],
			      p->length, 1000 * (i + 1));
	}
	return r;
}

static inline struct window capture_window(const struct recording *r,
					   enum side side, struct mark *mark)
{
	size_t length = r->length[side];

	if (length > STREAM_WINDOW_MAX)
		length = STREAM_WINDOW_MAX;
	*mark = (struct mark){ .end = length };
	for (size_t i = 0; i < r->piece_count && !mark->last_ns; i++)
		if (r->pieces[i].side == side)
			mark->first_ns = mark->last_ns = r->pieces[i].ns;
	return (struct window){ .bytes = r->bytes[side], .length = length,
				.marks = mark, .mark_count = 1 };
}

/* Who recognises it as one whose `out` bytes are the client's; NULL: none. */
static inline const struct parser *capture_parser(const struct recording *r,
						  bool *client_out)
{
	struct mark marks[SIDES];
	struct opening opening = {
		.in = capture_window(r, SIDE_SERVER, &marks[0]),
		.out = capture_window(r, SIDE_CLIENT, &marks[1]),
		.from_start = true,
	};

	for (const struct parser *const *p = parser_registry; *p; p++)
		if ((*p)->probe(&opening, client_out) == PROBE_YES)
			return *p;
	return NULL;
}

static inline void capture_visit_connection(struct capture_connection *c,
					    const char *path,
					    capture_visit visit, void *context)
{
	struct recording r = capture_recording(c, SIDE_CLIENT);
	bool client_out = true;
	const struct parser *parser = capture_parser(&r, &client_out);

	if (parser && !client_out) {
		recording_free(&r);
		r = capture_recording(c, SIDE_SERVER);
	}
	if (parser)
		visit(context, &r, parser, path);
	recording_free(&r);
}

/*
 * Each connection of a file of captures_find() that has no gap and whose
 * protocol is recognised.
 */
static inline void captures_visit(const char *path, capture_visit visit,
				  void *context)
{
	struct capture *capture;
	struct recording r;
	bool client_out;

	if (!strstr(path, ".pcap")) {
		const struct parser *parser;

		DRIVE_LAW(recording_load(&r, path));
		parser = capture_parser(&r, &client_out);
		if (parser && client_out)
			visit(context, &r, parser, path);
		recording_free(&r);
		return;
	}
	capture = calloc(1, sizeof(*capture));
	DRIVE_LAW(capture);
	capture_read(capture, path);
	for (size_t i = 0; i < capture->count; i++)
		if (!capture->connections[i].holed)
			capture_visit_connection(&capture->connections[i],
						 path, visit, context);
	capture_free(capture);
}

/* Captures of the corpus are .pcap, .pcapng; recordings are what is neither
 * a program, an expectation nor a text. */
static inline bool capture_is_one(const char *folder, const char *name)
{
	static const char *const others[] = { ".py", ".expected", ".case" };
	const char *dot = strrchr(name, '.');

	if (!dot || dot == name)
		return false;
	if (strncmp(folder, CAPTURES_RECORDINGS, strlen(CAPTURES_RECORDINGS)))
		return !strcmp(dot, ".pcap") || !strcmp(dot, ".pcapng");
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (!strcmp(dot, others[i]))
			return false;
	return true;
}

static inline void captures_add(struct capture_files *files,
				const char *folder, bool deeper)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort);
	char path[CAPTURES_PATH_BYTES];

	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;

		snprintf(path, sizeof(path), "%s/%s", folder, name);
		if (capture_is_one(folder, name)) {
			files->paths = realloc(files->paths,
					       (files->count + 1) *
						       sizeof(*files->paths));
			DRIVE_LAW(files->paths);
			memcpy(files->paths[files->count++], path,
			       sizeof(path));
		} else if (deeper && !strchr(name, '.')) {
			captures_add(files, path, false);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

/* Files of both folders; the caller frees .paths. */
static inline struct capture_files captures_find(void)
{
	const char *corpus = getenv("CORPUS");
	struct capture_files files = { .count = 0 };

	captures_add(&files, corpus ? corpus : CAPTURES_CORPUS, true);
	captures_add(&files, CAPTURES_RECORDINGS, true);
	return files;
}

#endif
