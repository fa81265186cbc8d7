/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tracer.c - main(): options -> pipeline -> loop -> summary.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "access/filter.h"
#include "options.h"
#include "parsers/conversation.h"
#include "probes/capture.h"
#include "probes/doctor.h"
#include "probes/privileges.h"
#include "sinks/sink.h"
#include "streams/connection.h"

#define PASS_MS		    5	/* between looks at the buffers */
#define LOOK_NS		    1000000000ULL /* between looks for the dead */
/* On a host that is busy the reader must come first, or the buffer fills. */
#define NICE		    -10
#define STREAM_BYTES_MAX    (4ULL << 20)   /* untaken, of one direction, */
#define STREAM_RINGS_MAX    2		   /* and what one drain may bring */
#define STREAMS_BYTES_MAX   (256ULL << 20) /* of all */
#define CONNECTIONS_FACTOR  4 /* of --max-connections: ended ones linger */

struct tracer {
	struct options options;
	struct account account;
	struct capture *capture;
	struct connection_table *connections;
	struct conversation_settings conversations;
	struct filter *filter;
	const struct sink_operations *sinks;
	struct sink *sink;
	uint64_t wall_ns; /* CLOCK_REALTIME less CLOCK_MONOTONIC */
	int error;	  /* of the sink: -errno */
};

static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
	(void)signal;
	stopped = 1;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void on_warning(void *context, const char *message)
{
	struct tracer *tracer = context;

	if (!tracer->options.quiet)
		fprintf(stderr, "datasnoop: warning: %s\n", message);
}

static void on_record(void *context, const void *record, size_t size)
{
	struct tracer *tracer = context;

	struct connection *c =
		connection_table_receive(tracer->connections, record, size);

	/*
	 * Which end is the client's is not known yet, and need not be: only a
	 * server's record asks whether the other end is traced as well.
	 */
	if (c && ((const struct batch *)record)->kind == BATCH_OPEN)
		filter_client_seen(tracer->filter, c->id, &c->local,
				   &c->remote);
}

/* The connection can no longer show what its other end sees. */
static void end_gone(struct tracer *tracer, const struct connection *connection)
{
	filter_client_gone(tracer->filter, connection->id, &connection->local,
			   &connection->remote, clock_ns(CLOCK_REALTIME));
}

/* Whose an exchange of that connection is; `exchange` may be NULL. */
static struct record record_of(const struct tracer *tracer,
			       const struct connection *connection,
			       enum side traced,
			       const struct exchange *exchange)
{
	bool client = traced == SIDE_CLIENT;
	struct record record = {
		.process = &connection->process,
		.tls = connection->tls,
		.role = client ? ROLE_CLIENT : ROLE_SERVER,
		.client = client ? connection->local : connection->remote,
		.server = client ? connection->remote : connection->local,
		.exchange = exchange,
	};

	if (exchange && exchange->start_ns)
		record.timestamp_ns = exchange->start_ns + tracer->wall_ns;
	return record;
}

/* An exchange was rebuilt: is it shown?  Then show it. */
static bool on_exchange(void *context, const struct connection *connection,
			enum side traced, const struct exchange *exchange)
{
	struct tracer *tracer = context;
	struct record record =
		record_of(tracer, connection, traced, exchange);

	if (filter_mirrored(tracer->filter, &record))
		return false;
	if (filter_passes(tracer->filter, &record) && !tracer->error)
		tracer->error = tracer->sinks->record(tracer->sink, &record);
	return true;
}

/* The server's end is not read where the client's, traced too, tells all. */
static void mute_mirrored(struct tracer *tracer,
			  const struct connection *connection)
{
	enum side traced = conversation_traced(connection->conversation);
	struct record record;

	if (traced != SIDE_SERVER)
		return;
	record = record_of(tracer, connection, traced, NULL);
	record.timestamp_ns = clock_ns(CLOCK_REALTIME);
	conversation_mute(connection->conversation,
			  filter_mirrored(tracer->filter, &record));
}

static void on_news(void *context, struct connection *connection)
{
	struct tracer *tracer = context;

	if (!connection->conversation)
		connection->conversation =
			conversation_new(&tracer->conversations);
	if (!connection->conversation)
		return;
	mute_mirrored(tracer, connection);
	conversation_run(connection->conversation, connection);
	if (connection->closed || conversation_over(connection->conversation))
		end_gone(tracer, connection);
	if (!connection->closed)
		return;
	conversation_end(connection->conversation, connection);
	connection->conversation = NULL;
}

static int open_pipeline(struct tracer *tracer)
{
	const struct options *options = &tracer->options;

	tracer->conversations = (struct conversation_settings){
		.parsers = options->protocols,
		.parser_count = options->protocol_count,
		.exchange = on_exchange,
		.context = tracer,
		.account = &tracer->account,
	};
	tracer->connections = connection_table_new(
		&tracer->account,
		(size_t)options->max_connections * CONNECTIONS_FACTOR,
		STREAM_BYTES_MAX +
			(uint64_t)options->ring_bytes * STREAM_RINGS_MAX,
		STREAMS_BYTES_MAX +
			(uint64_t)options->ring_bytes * STREAM_RINGS_MAX);
	tracer->filter = filter_new(options);
	tracer->sinks = options->json ? &json_sink : &text_sink;
	tracer->sink = tracer->sinks->open(stdout, options->show_values);
	tracer->wall_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	return tracer->connections && tracer->filter && tracer->sink ? 0 :
								       -ENOMEM;
}

static void handle_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN); /* seen as EPIPE, and then quiet */
}

/* Passes until a signal, the time, or a sink that takes nothing more. */
static void run(struct tracer *tracer)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), looked = now;
	uint64_t end = UINT64_MAX;

	if (tracer->options.duration_s > 0)
		end = now + (uint64_t)(tracer->options.duration_s * 1e9);
	for (; !stopped && !tracer->error && now < end;
	     now = clock_ns(CLOCK_MONOTONIC)) {
		if (now - looked > LOOK_NS) {
			connection_table_drop_dead(tracer->connections);
			looked = now;
		}
		capture_wait(tracer->capture, PASS_MS);
		capture_pass(tracer->capture);
		connection_table_pass(tracer->connections, false, on_news,
				      tracer);
		if (!tracer->error)
			tracer->error = tracer->sinks->flush(tracer->sink);
	}
}

/* The end of the capture: last records, the account, the sink's last word. */
static int finish(struct tracer *tracer)
{
	struct counters counters;
	struct rusage usage;
	int error;

	capture_stop(tracer->capture, &counters);
	account_kernel(&tracer->account, &counters);
	tracer->account.map_bytes = capture_memory(tracer->capture);
	getrusage(RUSAGE_SELF, &usage);
	tracer->account.resident_peak_bytes =
		(uint64_t)usage.ru_maxrss * 1024;
	connection_table_pass(tracer->connections, true, on_news, tracer);
	if (!tracer->error)
		tracer->error = tracer->sinks->summary(tracer->sink,
						       &tracer->account);
	error = tracer->sinks->close(tracer->sink);
	if (!tracer->error)
		tracer->error = error;
	sink_account_words(stderr, &tracer->account);
	if (!tracer->error || tracer->error == -EPIPE)
		return 0;
	fprintf(stderr, "datasnoop: write standard output: %s\n",
		strerror(-tracer->error));
	return 1;
}

static int trace(struct tracer *tracer)
{
	const struct capture_events events = {on_record, on_warning, tracer};
	char text[4096];

	if (capture_open(&tracer->capture, &tracer->options, &events, text,
			 sizeof(text))) {
		fprintf(stderr, "datasnoop: %s\n", text);
		return 1;
	}
	if (setpriority(PRIO_PROCESS, 0, NICE))
		on_warning(tracer, "no right to raise its priority: where the "
				   "host is busy more may be lost");
	if (privileges_drop())
		on_warning(tracer, "privileges could not be dropped");
	if (!tracer->options.quiet) {
		capture_describe(tracer->capture, text, sizeof(text));
		fprintf(stderr, "datasnoop: %s; Ctrl-C ends\n", text);
	}
	run(tracer);
	return finish(tracer);
}

int main(int argc, char **argv)
{
	static struct tracer tracer;
	int status;

	options_parse(&tracer.options, argc, argv);
	if (tracer.options.doctor)
		return doctor_print(stdout, &tracer.options);
	handle_signals();
	if (open_pipeline(&tracer)) {
		fprintf(stderr, "datasnoop: out of memory\n");
		return 1;
	}
	status = trace(&tracer);
	connection_table_free(tracer.connections);
	filter_free(tracer.filter);
	capture_free(tracer.capture);
	return status;
}
