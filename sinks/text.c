/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * text.c - the table: a line an exchange, cut to the terminal's width.
 *
 * Everything captured goes through escape_text(), names of processes and
 * tables too.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "sinks/escape.h"
#include "sinks/sink.h"

#define NARROW_COLUMNS 110 /* below, the columns that can be missed are */
#define NS_PER_MS      1000000
#define NS_PER_SECOND  1000000000

enum column {
	COLUMN_TIME,
	COLUMN_PID,
	COLUMN_COMM,
	COLUMN_TLS,
	COLUMN_PROTO,
	COLUMN_PEER,
	COLUMN_MS,
	COLUMN_ROWS,
	COLUMN_SENSITIVE,
	COLUMN_OPERATION,
	COLUMNS
};

static const struct {
	const char *title;
	unsigned width; /* with the space behind; 0: to the end of the line */
	bool wide_only; /* left out on a narrow terminal */
} columns[COLUMNS] = {
	[COLUMN_TIME] = {"TIME", 14, false},
	[COLUMN_PID] = {"PID", 6, false},
	[COLUMN_COMM] = {"COMM", 13, false},
	[COLUMN_TLS] = {"TLS", 8, true},
	[COLUMN_PROTO] = {"PROTO", 7, true},
	[COLUMN_PEER] = {"PEER", 16, false},
	[COLUMN_MS] = {"MS", 6, false},
	[COLUMN_ROWS] = {"ROWS", 5, false},
	[COLUMN_SENSITIVE] = {"SENSITIVE", 15, true},
	[COLUMN_OPERATION] = {"OPERATION", 0, false},
};

struct sink {
	FILE *file;
	bool show_values;
	bool terminal;
	bool headed;	      /* the header has been written */
	bool narrow;	      /* in its narrow form */
	time_t second;	      /* that `clock` tells */
	char clock[32];
	struct line line;     /* reused from record to record */
	struct line cell;     /* the part of it that is made apart */
	struct line unquoted; /* raw: a message without its quotes' content */
};

static struct span span_of(const char *text)
{
	return (struct span){text, strlen(text)};
}

/* Columns of the terminal; 0: it is none, or does not say. */
static unsigned terminal_columns(const struct sink *sink)
{
	struct winsize size;

	if (!sink->terminal || ioctl(fileno(sink->file), TIOCGWINSZ, &size))
		return 0;
	return size.ws_col;
}

static void put(struct line *line, const char *text)
{
	line_put(line, text, strlen(text));
}

static void put_time(struct sink *sink, uint64_t timestamp_ns)
{
	time_t second = timestamp_ns / NS_PER_SECOND;
	struct line *line = &sink->line;
	struct tm tm;

	/* The calendar is asked once a second, not for each record. */
	if (timestamp_ns && (!*sink->clock || second != sink->second)) {
		if (!localtime_r(&second, &tm))
			timestamp_ns = 0;
		else if (strftime(sink->clock, sizeof(sink->clock),
				  "%H:%M:%S.", &tm))
			sink->second = second;
	}
	if (!timestamp_ns) {
		put(line, "-");
		return;
	}
	put(line, sink->clock);
	line_number(line, timestamp_ns % NS_PER_SECOND / NS_PER_MS, 3);
}

static void put_endpoint(struct line *line, const struct endpoint *end)
{
	bool brackets = end->address[0] != '/' && strchr(end->address, ':');

	line_put(line, "[", brackets);
	escape_text(line, span_of(end->address), false);
	line_put(line, "]", brackets);
	if (end->port) {
		line_put(line, ":", 1);
		line_number(line, end->port, 1);
	}
}

/* Who is at the other end; "<" where that is the one who asks. */
static void put_peer(struct line *line, const struct record *record)
{
	bool server = record->role == ROLE_SERVER;
	const struct endpoint *peer =
		server ? &record->client : &record->server;

	line_put(line, "<", server);
	if (*peer->address)
		put_endpoint(line, peer);
	else
		line_put(line, "-", 1);
}

/* Milliseconds, with fewer digits behind the point the more there are. */
static void put_duration(struct line *line, const struct exchange *exchange)
{
	uint64_t ns = exchange->end_ns - exchange->start_ns, units;
	unsigned digits = ns < 100 * NS_PER_MS ? 2 : ns < 1000 * NS_PER_MS;
	unsigned per_ms = digits == 2 ? 100 : digits ? 10 : 1;
	unsigned unit_ns = NS_PER_MS / per_ms;

	if (!exchange->start_ns || exchange->end_ns < exchange->start_ns) {
		put(line, "-");
		return;
	}
	if (ns % unit_ns == unit_ns / 2) {
		/* Halves, which only microseconds have often, as C has them. */
		line_print(line, "%.*f", (int)digits, ns / (double)NS_PER_MS);
		return;
	}
	units = (ns + unit_ns / 2) / unit_ns;
	line_number(line, units / per_ms, 1);
	if (digits) {
		put(line, ".");
		line_number(line, units % per_ms, digits);
	}
}

static void put_error(struct sink *sink, const struct exchange *exchange)
{
	struct line *line = &sink->cell;
	struct span message = exchange->message;

	line_print(line, "ERROR");
	if (exchange->status_name.bytes) {
		line_put(line, " ", 1);
		escape_text(line, exchange->status_name, true);
	} else if (exchange->status > 0) {
		line_print(line, " %" PRId64, exchange->status);
	}
	if (exchange->sqlstate.bytes) {
		line_print(line, " (");
		escape_text(line, exchange->sqlstate, true);
		line_print(line, ")");
	}
	if (message.bytes && message.length) {
		if (!sink->show_values) {
			line_clear(&sink->unquoted);
			escape_message(&sink->unquoted, message);
			message = (struct span){sink->unquoted.bytes,
						sink->unquoted.length};
		}
		line_put(line, " ", 1);
		escape_text(line, message, true);
	}
	line_print(line, ": ");
}

static void put_parameters(struct line *line, const struct exchange *exchange)
{
	size_t i;

	for (i = 0; i < exchange->parameter_count; i++) {
		line_print(line, i ? ", " : " [");
		if (exchange->parameters[i].bytes)
			escape_text(line, exchange->parameters[i], true);
		else
			line_put(line, "?", 1);
	}
	if (i)
		line_put(line, "]", 1);
}

/* A statement of SQL has its verb, a target of HTTP has none. */
static bool begins_with_operation(const struct exchange *exchange,
				  struct span statement)
{
	size_t length = strlen(exchange->operation);

	return exchange->family == FAMILY_DATABASE || exchange->application ||
	       (statement.length >= length &&
		!strncasecmp(statement.bytes, exchange->operation, length));
}

static void put_statement(struct sink *sink, const struct exchange *exchange)
{
	struct line *line = &sink->cell;
	const struct span *statement =
		sink->show_values ? &exchange->statement : &exchange->masked;

	if (statement->bytes) {
		if (exchange->prepares)
			line_print(line, "PREPARE ");
		if (!begins_with_operation(exchange, *statement))
			line_print(line, "%s ", exchange->operation);
		escape_text(line, *statement, true);
		if (exchange->statement_cut)
			line_print(line, "...");
	} else {
		escape_text(line, span_of(exchange->operation), true);
		if (exchange->subject.bytes) {
			line_put(line, " ", 1);
			escape_text(line, exchange->subject, true);
		}
	}
	if (sink->show_values)
		put_parameters(line, exchange);
}

/* The last column; `room` columns are left for it, 0: as many as it takes. */
static void put_operation(struct sink *sink, const struct exchange *exchange,
			  size_t room)
{
	struct line *cell = &sink->cell;
	char missed[64] = "";

	if (!exchange->complete && exchange->missed_bytes)
		snprintf(missed, sizeof(missed),
			 " [incomplete: %" PRIu64 " bytes missed]",
			 exchange->missed_bytes);
	else if (!exchange->complete)
		snprintf(missed, sizeof(missed), " [incomplete]");
	line_clear(cell);
	if (*missed)
		line_print(cell, "! ");
	if (exchange->failed)
		put_error(sink, exchange);
	put_statement(sink, exchange);
	/* What was missed is told though the statement be cut for it. */
	if (room > strlen(missed))
		line_cut(cell, room - strlen(missed));
	put(cell, missed);
	if (room)
		line_cut(cell, room);
}

static void put_cell(struct sink *sink, const struct record *record,
		     enum column column)
{
	const struct exchange *exchange = record->exchange;
	struct line *line = &sink->line;

	switch (column) {
	case COLUMN_TIME:
		put_time(sink, record->timestamp_ns);
		break;
	case COLUMN_PID:
		if (record->process->pid)
			line_number(line, record->process->pid, 1);
		else
			line_put(line, "-", 1);
		break;
	case COLUMN_COMM:
		escape_text(line, span_of(*record->process->comm ?
			    record->process->comm : "-"), false);
		break;
	case COLUMN_TLS:
		put(line, record->tls ? record->tls : "-");
		break;
	case COLUMN_PROTO:
		put(line, exchange->application ? exchange->application :
						  exchange->system);
		break;
	case COLUMN_PEER:
		put_peer(line, record);
		break;
	case COLUMN_MS:
		put_duration(line, exchange);
		break;
	case COLUMN_ROWS:
		if (exchange->rows < 0)
			line_put(line, "-", 1);
		else
			line_number(line, exchange->rows, 1);
		break;
	default: /* SENSITIVE: nothing is classified */
		line_put(line, "-", 1);
		break;
	}
}

/* Ends the line and writes it; a terminal gets it at once. */
static int write_line(struct sink *sink)
{
	struct line *line = &sink->line;

	line_put(line, "\n", 1);
	if (line->failed || sink->cell.failed || sink->unquoted.failed)
		return -ENOMEM;
	errno = 0;
	if (fwrite(line->bytes, 1, line->length, sink->file) != line->length ||
	    (sink->terminal && fflush(sink->file)))
		return errno ? -errno : -EIO;
	return 0;
}

static int write_header(struct sink *sink, unsigned width)
{
	struct line *line = &sink->line;
	size_t start = 0;
	enum column i;

	sink->headed = true;
	line_clear(line);
	for (i = 0; i < COLUMNS; i++) {
		if (sink->narrow && columns[i].wide_only)
			continue;
		line_print(line, "%s", columns[i].title);
		start += columns[i].width;
		if (columns[i].width)
			line_pad(line, start);
	}
	if (width)
		line_cut(line, width);
	return write_line(sink);
}

static int text_record(struct sink *sink, const struct record *record)
{
	unsigned width = terminal_columns(sink);
	bool narrow = width && width < NARROW_COLUMNS;
	struct line *line = &sink->line;
	size_t start = 0;
	enum column i;
	int error = 0;

	if (!sink->headed || narrow != sink->narrow) {
		sink->narrow = narrow;
		error = write_header(sink, width);
	}
	line_clear(line);
	for (i = 0; i < COLUMN_OPERATION; i++) {
		if (narrow && columns[i].wide_only)
			continue;
		put_cell(sink, record, i);
		/* A long cell takes from the space behind the next ones. */
		start += columns[i].width;
		line_pad(line, start);
	}
	put_operation(sink, record->exchange,
		      width > line->columns ? width - line->columns : 0);
	line_put(line, sink->cell.bytes, sink->cell.length);
	line->columns -= sink->cell.length - sink->cell.columns;
	if (width)
		line_cut(line, width);
	return error ? error : write_line(sink);
}

/* The table ends without one: the account in words is sink_account_words(). */
static int text_summary(struct sink *sink, const struct account *account)
{
	(void)sink;
	(void)account;
	return 0;
}

static int text_flush(struct sink *sink)
{
	errno = 0;
	return fflush(sink->file) ? -(errno ? errno : EIO) : 0;
}

static int text_close(struct sink *sink)
{
	int error = text_flush(sink);

	line_free(&sink->line);
	line_free(&sink->cell);
	line_free(&sink->unquoted);
	free(sink);
	return error;
}

static struct sink *text_open(FILE *file, bool show_values)
{
	struct sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return NULL;
	sink->file = file;
	sink->show_values = show_values;
	sink->terminal = isatty(fileno(file));
	return sink;
}

const struct sink_operations text_sink = {
	.name = "text",
	.open = text_open,
	.record = text_record,
	.summary = text_summary,
	.flush = text_flush,
	.close = text_close,
};
