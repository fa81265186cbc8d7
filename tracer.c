/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tracer.c - main(): options -> pipeline -> loop -> summary.
 */
#include <errno.h>
#include <poll.h>
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
#include "sinks/pcapng.h"
#include "sinks/sink.h"
#include "streams/connection.h"
#include "streams/pcap.h"

#define LOOK_NS		    1000000000ULL /* between looks for the dead */
/* On a host that is busy the reader must come first, or the buffer fills. */
#define NICE		    -10
#define STREAM_BYTES_MAX    (4ULL << 20)   /* untaken, of one direction, */
#define STREAM_RINGS_MAX    2		   /* and what one drain may bring */
#define STREAMS_BYTES_MAX   (256ULL << 20) /* of all */
#define CONNECTIONS_FACTOR  4 /* of --max-connections: ended ones linger */
/* A server is done before its client's end is known: behind --flush-ms. */
#define HOLD_MS		    100
#define HOLD_BYTES_MAX	    (1U << 20) /* of one direction */
#define QUIET_MS	    1000 /* a pipe without input: what is late is lost */

struct tracer {
	struct options options;
	struct account account;
	struct capture *capture; /* one of these two */
	struct offline *offline;
	struct connection_table *connections;
	struct conversation_settings conversations;
	struct filter *filter;
	const struct sink_operations *sinks;
	struct sink *sink;
	struct pcapng_writer *writer; /* -w; NULL: none */
	uint64_t wall_ns; /* added to the times of bytes: CLOCK_REALTIME */
	uint64_t end_ns;  /* CLOCK_MONOTONIC: reading or tracing ends */
	int error;	  /* of the sink: -errno */
	int write_error;  /* of the writer: -errno */
	bool write_failed; /* by that, and it was told */
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

/* Nobody wants to hear of it any more: live, the kernel is told to stop. */
static void ignore(struct tracer *tracer, struct connection *connection)
{
	if (!tracer->capture || connection->closed || connection->ignored)
		return;
	connection->ignored = true;
	capture_ignore(tracer->capture, connection->object,
		       connection->process.pid, connection->id);
}

/* Does a record of TLS come next (RFC 8446, 5.1)?  What is in it is not. */
static bool tls_follows(struct stream *stream)
{
	struct window window;
	uint64_t gap;

	return stream_head(stream, &window, &gap) == STREAM_BYTES &&
	       window.length >= 3 && window.bytes[0] >= 20 &&
	       window.bytes[0] <= 23 && window.bytes[1] == 3 &&
	       window.bytes[2] <= 4;
}

/*
 * Nobody reads it: is it still to be written?  With -w all that the filters
 * let through is, and of those -P is one: what is of no protocol is no choice.
 */
static bool is_written(const struct tracer *tracer,
		       const struct connection *connection)
{
	return tracer->writer && !tracer->options.protocol_count &&
	       filter_takes(tracer->filter, connection);
}

/* Is its process in a container that was chosen?  Else it is left alone. */
static bool take_process(struct tracer *tracer, struct connection *c)
{
	bool for_all;

	if (filter_takes_process(tracer->filter, &c->process, &for_all))
		return true;
	ignore(tracer, c);
	if (tracer->capture && for_all)
		capture_ignore_cgroup(tracer->capture, c->process.cgroup_id);
	return false;
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
	if (c && ((const struct batch *)record)->kind == BATCH_OPEN &&
	    take_process(tracer, c))
		filter_client_seen(tracer->filter, c->id, &c->local,
				   &c->remote);
}

/* Now, as the records' timestamps count: a file has a time of its own. */
static uint64_t record_clock_ns(const struct tracer *tracer)
{
	return tracer->offline ? offline_time(tracer->offline) :
				 clock_ns(CLOCK_REALTIME);
}

/* The connection can no longer show what its other end sees. */
static void end_gone(struct tracer *tracer, const struct connection *connection)
{
	filter_client_gone(tracer->filter, connection->id, &connection->local,
			   &connection->remote, record_clock_ns(tracer));
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
		.role = !connection->process.pid ? ROLE_UNKNOWN :
			client			 ? ROLE_CLIENT :
						   ROLE_SERVER,
		.client = client ? connection->local : connection->remote,
		.server = client ? connection->remote : connection->local,
		.peer_pid = connection->peer_pid,
		.address_inferred = connection->address_inferred,
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
	if (!tracer->options.no_records && !tracer->error &&
	    filter_passes(tracer->filter, &record))
		tracer->error = tracer->sinks->record(tracer->sink, &record);
	return true;
}

/* Is the other end on this host?  With its own address as well it is. */
static bool is_local(const struct connection *c)
{
	if (c->local.socket && c->remote.socket)
		return true;
	return *c->remote.address &&
	       (!strcmp(c->remote.address, c->local.address) ||
		!strncmp(c->remote.address, "127.", 4));
}

static uint64_t untaken(struct stream *stream)
{
	struct window window;
	uint64_t gap;

	if (stream_head(stream, &window, &gap) == STREAM_NONE)
		return 0;
	return stream_told(stream) - window.offset;
}

/*
 * Is it a server's connection whose client may yet turn up?
 *
 * What a call of the client moves is known when it returns: the server can be
 * done before.  Asked of each connection in its first moments alone; then it
 * is read, and shown, as one whose client is not traced.
 */
static bool is_held(const struct tracer *tracer, struct connection *c)
{
	const struct options *options = &tracer->options;
	uint64_t now;

	if (!tracer->capture || c->closed || c->ignored ||
	    options->both_ends || options->pid_count == 1 ||
	    conversation_traced(c->conversation) != SIDE_SERVER || !is_local(c))
		return false;
	now = clock_ns(CLOCK_MONOTONIC);
	if (!c->held_ns)
		c->held_ns = now;
	return now - c->held_ns < (options->flush_ms + HOLD_MS) * 1000000ULL &&
	       untaken(c->streams[BATCH_IN]) <= HOLD_BYTES_MAX &&
	       untaken(c->streams[BATCH_OUT]) <= HOLD_BYTES_MAX;
}

/* The server's end is not read where the client's, traced too, tells all. */
static void mute_mirrored(struct tracer *tracer, struct connection *connection)
{
	enum side traced = conversation_traced(connection->conversation);
	struct record record;
	bool mirrored;

	if (traced != SIDE_SERVER)
		return;
	record = record_of(tracer, connection, traced, NULL);
	record.timestamp_ns = record_clock_ns(tracer);
	mirrored = filter_mirrored(tracer->filter, &record);
	conversation_mute(connection->conversation, mirrored);
	if (!mirrored)
		return;
	ignore(tracer, connection);
	/* No more will come than what is under way. */
	if (connection->ignored)
		conversation_leave(connection->conversation, connection);
}

/* Once a second: what only waits for bytes that may never come. */
static void on_rest(void *context, struct connection *connection)
{
	(void)context;
	if (connection->conversation)
		conversation_rest(connection->conversation, connection);
}

static void on_news(void *context, struct connection *connection)
{
	struct tracer *tracer = context;

	if (connection->conversation &&
	    conversation_over(connection->conversation) &&
	    (tls_follows(connection->streams[BATCH_IN]) ||
	     tls_follows(connection->streams[BATCH_OUT])))
		ignore(tracer, connection);
	if (tracer->writer && filter_takes(tracer->filter, connection))
		pcapng_writer_take(tracer->writer, connection);
	if (!connection->conversation)
		connection->conversation =
			conversation_new(&tracer->conversations);
	if (!connection->conversation)
		return;
	conversation_identify(connection->conversation, connection);
	mute_mirrored(tracer, connection);
	connection->held = is_held(tracer, connection);
	if (connection->held)
		return;
	conversation_run(connection->conversation, connection);
	if (connection->closed || conversation_over(connection->conversation))
		end_gone(tracer, connection);
	if (conversation_over(connection->conversation) &&
	    !is_written(tracer, connection))
		ignore(tracer, connection);
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
	if (!options->read_file)
		tracer->wall_ns = clock_ns(CLOCK_REALTIME) -
				  clock_ns(CLOCK_MONOTONIC);
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

/* From here on the time of -d counts. */
static void start_clock(struct tracer *tracer)
{
	double seconds = tracer->options.duration_s;

	tracer->end_ns = UINT64_MAX;
	if (seconds > 0)
		tracer->end_ns = clock_ns(CLOCK_MONOTONIC) +
				 (uint64_t)(seconds * 1e9);
}

/* What -w could not do; once.  Nobody reads what goes to a pipe: no error. */
static void take_write_error(struct tracer *tracer, int error)
{
	const char *path = tracer->options.write_file;
	bool is_output = !strcmp(path, "-");

	if (!error || tracer->write_error)
		return;
	tracer->write_error = error;
	tracer->write_failed = !is_output || error != -EPIPE;
	if (tracer->write_failed)
		fprintf(stderr, "datasnoop: write %s: %s\n",
			is_output ? "standard output" : path,
			strerror(-error));
}

/* Its buffer was written now and then: did that go well? */
static void check_writer(struct tracer *tracer)
{
	if (tracer->writer)
		take_write_error(tracer, pcapng_writer_error(tracer->writer));
}

/* The file for -w; 0, or 1 when it cannot be. */
static int open_writer(struct tracer *tracer)
{
	const char *path = tracer->options.write_file;

	if (path)
		take_write_error(tracer, pcapng_writer_open(
						 &tracer->writer, path,
						 &tracer->account,
						 tracer->wall_ns));
	return tracer->write_error ? 1 : 0;
}

/*
 * Is it time to end: a signal, -d, a sink that takes nothing more, or a file
 * that does so when there is no sink?
 */
static bool is_over(const struct tracer *tracer)
{
	return stopped || tracer->error ||
	       (tracer->write_error && tracer->options.no_records) ||
	       clock_ns(CLOCK_MONOTONIC) >= tracer->end_ns;
}

static void pass(struct tracer *tracer)
{
	connection_table_pass(tracer->connections, false, on_news, tracer);
}

static void flush(struct tracer *tracer)
{
	if (!tracer->error)
		tracer->error = tracer->sinks->flush(tracer->sink);
	if (tracer->writer)
		take_write_error(tracer, pcapng_writer_flush(tracer->writer));
}

/* Passes until a signal, the time, or a sink that takes nothing more. */
static void run(struct tracer *tracer)
{
	uint64_t looked = clock_ns(CLOCK_MONOTONIC), now;
	int more = 0;

	start_clock(tracer);
	while (!is_over(tracer)) {
		now = clock_ns(CLOCK_MONOTONIC);
		if (now - looked > LOOK_NS) {
			connection_table_drop_dead(tracer->connections);
			connection_table_each(tracer->connections, on_rest,
					      tracer);
			looked = now;
		}
		if (more <= 0)
			capture_wait(tracer->capture);
		more = capture_pass(tracer->capture);
		pass(tracer);
		flush(tracer);
	}
}

/* The end of the input: last records, the account, the sink's last word. */
static int finish(struct tracer *tracer)
{
	struct rusage usage;
	int error;

	getrusage(RUSAGE_SELF, &usage);
	tracer->account.resident_peak_bytes =
		(uint64_t)usage.ru_maxrss * 1024;
	connection_table_pass(tracer->connections, true, on_news, tracer);
	if (tracer->writer)
		take_write_error(tracer, pcapng_writer_close(tracer->writer));
	tracer->writer = NULL;
	if (!tracer->error)
		tracer->error = tracer->sinks->summary(tracer->sink,
						       &tracer->account);
	error = tracer->sinks->close(tracer->sink);
	if (!tracer->error)
		tracer->error = error;
	sink_account_words(stderr, &tracer->account);
	if (tracer->error && tracer->error != -EPIPE) {
		fprintf(stderr, "datasnoop: write standard output: %s\n",
			strerror(-tracer->error));
		return 1;
	}
	return tracer->write_failed ? 1 : 0;
}

static int finish_capture(struct tracer *tracer)
{
	struct counters counters;

	capture_stop(tracer->capture, &counters);
	account_kernel(&tracer->account, &counters);
	tracer->account.map_bytes = capture_memory(tracer->capture);
	tracer->account.io_uring_processes =
		capture_io_uring_processes(tracer->capture);
	return finish(tracer);
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
	if (open_writer(tracer))
		return 1;
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
	return finish_capture(tracer);
}

/* A connection of a process that the file names: as on_record() live. */
static void on_opened(void *context, const struct connection *c)
{
	struct tracer *tracer = context;

	filter_client_seen(tracer->filter, c->id, &c->local, &c->remote);
}

/* The input, a pipe, has nothing now: show what there is, wait for more. */
static bool on_wait(void *context, int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	struct tracer *tracer = context;

	pass(tracer);
	flush(tracer);
	if (!poll(&poller, 1, QUIET_MS) && tracer->offline)
		offline_settle(tracer->offline);
	return !is_over(tracer);
}

/* A capture file; what could be read of a damaged one counts. */
static int read_file(struct tracer *tracer)
{
	const char *path = tracer->options.read_file;
	const char *name = strcmp(path, "-") ? path : "standard input";
	const struct offline_settings settings = {
		.connections = tracer->connections,
		.account = &tracer->account,
		.bound = tracer->options.max_connections,
		.opened = on_opened,
		.wait = on_wait,
		.warning = on_warning,
		.context = tracer,
	};
	enum offline_status status = OFFLINE_MORE;
	char text[512];
	int failed;

	start_clock(tracer);
	if (offline_open(&tracer->offline, path, &settings, text,
			 sizeof(text))) {
		fprintf(stderr, "datasnoop: read %s: %s\n", name, text);
		return 1;
	}
	if (open_writer(tracer))
		return 1;
	while (status == OFFLINE_MORE && !is_over(tracer)) {
		status = offline_read(tracer->offline);
		pass(tracer);
		check_writer(tracer);
	}
	offline_end(tracer->offline);
	if (status == OFFLINE_FAILED)
		fprintf(stderr, "datasnoop: read %s: %s\n", name,
			offline_error(tracer->offline));
	failed = finish(tracer);
	return failed || status == OFFLINE_FAILED;
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
	status = tracer.options.read_file ? read_file(&tracer) :
					    trace(&tracer);
	connection_table_free(tracer.connections);
	offline_free(tracer.offline);
	filter_free(tracer.filter);
	capture_free(tracer.capture);
	return status;
}
