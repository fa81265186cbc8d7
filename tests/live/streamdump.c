/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * streamdump.c - the capture without parsers: each connection's bytes to files.
 *
 *   streamdump DIR [options of datasnoop]
 *
 * DIR/PID.N.in and DIR/PID.N.out get the bytes of the Nth connection of
 * process PID, DIR/PID.N.gaps a line "in BYTES LENGTH" for each gap: so many
 * bytes of the file come before it,
 * DIR/PID.N.about its addresses, and if they are inferred.  Standard error says when tracing has begun,
 * as datasnoop does; standard output gets the account, as with --json.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "options.h"
#include "probes/capture.h"
#include "sinks/sink.h"
#include "streams/connection.h"

#define CONNECTIONS_MAX 4096
#define SLICES		32 /* of capture_pass(), while more is to come */

struct named {
	uint64_t id;
	uint32_t pid;
	unsigned number; /* of its process */
};

static const char *directory;
static struct named names[CONNECTIONS_MAX];
static size_t name_count;
static struct connection_table *table;
static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
	(void)signal;
	stopped = 1;
}

static const struct named *name_of(const struct connection *connection)
{
	struct named *name;
	size_t i;

	for (i = 0; i < name_count; i++)
		if (names[i].id == connection->id)
			return &names[i];
	if (name_count == CONNECTIONS_MAX)
		exit(99);
	name = &names[name_count++];
	name->id = connection->id;
	name->pid = connection->process.pid;
	for (i = 0; i + 1 < name_count; i++)
		name->number += names[i].pid == name->pid;
	return name;
}

static FILE *open_part(const struct connection *connection, const char *part,
		       const char *mode)
{
	const struct named *name = name_of(connection);
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%u.%u.%s", directory, name->pid,
		 name->number, part);
	file = fopen(path, mode);
	if (!file) {
		perror(path);
		exit(99);
	}
	return file;
}

static void dump(const struct connection *connection, int direction)
{
	static const char *const parts[] = {"in", "out"};
	struct stream *stream = connection->streams[direction];
	FILE *bytes, *gaps;
	enum stream_has has;
	struct window window;
	uint64_t gap;

	if (!stream)
		return;
	bytes = open_part(connection, parts[direction], "a");
	gaps = open_part(connection, "gaps", "a");
	while ((has = stream_head(stream, &window, &gap)) != STREAM_NONE) {
		if (has == STREAM_GAP) {
			fprintf(gaps, "%s %ld %lu\n", parts[direction],
				ftell(bytes), gap);
			stream_take(stream, gap);
			continue;
		}
		fwrite(window.bytes, 1, window.length, bytes);
		stream_take(stream, window.length);
	}
	fclose(bytes);
	fclose(gaps);
}

static void on_news(void *context, struct connection *connection)
{
	FILE *about = open_part(connection, "about", "w");

	(void)context;
	fprintf(about, "%s %s:%u %s:%u %s%s\n", connection->process.comm,
		connection->local.address, connection->local.port,
		connection->remote.address, connection->remote.port,
		connection->tls ? connection->tls : "-",
		connection->address_inferred ? " inferred" : "");
	fclose(about);
	dump(connection, BATCH_IN);
	dump(connection, BATCH_OUT);
}

static void on_record(void *context, const void *record, size_t size)
{
	(void)context;
	connection_table_receive(table, record, size);
}

static void on_warning(void *context, const char *message)
{
	(void)context;
	fprintf(stderr, "streamdump: warning: %s\n", message);
}

int main(int argc, char **argv)
{
	static struct options options;
	static struct account account;
	const struct capture_events events = {on_record, on_warning, NULL};
	struct sigaction action = {.sa_handler = on_signal};
	struct counters counters;
	struct capture *capture;
	struct sink *sink;
	char text[4096];
	time_t end;
	unsigned slices = 0;
	int more = 0;

	if (argc < 2)
		return 2;
	directory = argv[1];
	options_parse(&options, argc - 1, argv + 1);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	table = connection_table_new(&account, CONNECTIONS_MAX, 64U << 20,
				     1U << 30);
	if (capture_open(&capture, &options, &events, text, sizeof(text))) {
		fprintf(stderr, "streamdump: %s\n", text);
		return 1;
	}
	capture_describe(capture, text, sizeof(text));
	fprintf(stderr, "streamdump: %s\n", text);
	end = time(NULL) + (options.duration_s > 0 ? options.duration_s : 60);
	while (!stopped && time(NULL) < end) {
		if (more <= 0)
			capture_wait(capture);
		more = capture_pass(capture);
		/* Nothing is to be decided early: one write for much. */
		if (more <= 0 || ++slices % SLICES == 0)
			connection_table_pass(table, false, on_news, NULL);
	}
	capture_stop(capture, &counters);
	account_kernel(&account, &counters);
	connection_table_pass(table, true, on_news, NULL);
	sink = json_sink.open(stdout, false);
	json_sink.summary(sink, &account);
	json_sink.close(sink);
	connection_table_free(table);
	capture_free(capture);
	return 0;
}
