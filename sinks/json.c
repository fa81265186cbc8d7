/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json.c - one JSON object a line (NDJSON).
 *
 * Keys are those of OpenTelemetry's semantic conventions where they have one;
 * a key whose value is not known is absent.  Objects gather in one buffer
 * that is written when it is large enough, or when told.  They are written
 * there in place: a generator that is called for each token takes longer than
 * all that comes before it.
 * Source: https://opentelemetry.io/docs/specs/semconv/database/; RFC 8259.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sinks/escape.h"
#include "sinks/sink.h"

#define WRITE_BYTES   65536 /* gathered before a write */
#define NS_PER_SECOND 1000000000

struct sink {
	FILE *file;
	bool show_values;
	bool terminal; /* somebody looks on: each line at once */
	struct line out;      /* whole objects, not written yet */
	struct line unquoted; /* a message without its quotes' content */
	time_t second;	      /* that `clock` tells */
	char clock[32];
};

static void put(struct sink *sink, const char *text)
{
	line_put(&sink->out, text, strlen(text));
}

/* Behind another one: begin_object() has put the first. */
static void put_key(struct sink *sink, const char *key)
{
	size_t length = strlen(key);
	char *at = line_room(&sink->out, length + 4);

	if (!at)
		return;
	memcpy(at, ",\"", 2);
	memcpy(at + 2, key, length);
	memcpy(at + 2 + length, "\":", 2);
}

static void put_text(struct sink *sink, struct span text)
{
	escape_json(&sink->out, text);
}

/* Strings that are empty are not known: their key is left out. */
static void put_string(struct sink *sink, const char *key, const char *text)
{
	if (!text || !*text)
		return;
	put_key(sink, key);
	put_text(sink, (struct span){text, strlen(text)});
}

static void put_span(struct sink *sink, const char *key, struct span span)
{
	if (!span.bytes || !span.length)
		return;
	put_key(sink, key);
	put_text(sink, span);
}

static void put_spans(struct sink *sink, const char *key,
		      const struct span *spans, size_t count)
{
	size_t i;

	put_key(sink, key);
	put(sink, "[");
	for (i = 0; i < count; i++) {
		if (i)
			put(sink, ",");
		put_text(sink, spans[i]);
	}
	put(sink, "]");
}

static void put_number(struct sink *sink, const char *key, uint64_t number)
{
	put_key(sink, key);
	line_number(&sink->out, number, 1);
}

/* A number that is a name: conventions have it as a string. */
static void put_code(struct sink *sink, const char *key, uint64_t code)
{
	put_key(sink, key);
	put(sink, "\"");
	line_number(&sink->out, code, 1);
	put(sink, "\"");
}

static void put_signed(struct sink *sink, int64_t number)
{
	uint64_t size = number;

	if (number < 0) {
		put(sink, "-");
		size = -size;
	}
	line_number(&sink->out, size, 1);
}

/* With a point where it would be read as an integer else. */
static void put_real(struct sink *sink, double real)
{
	char text[32];

	if (!isfinite(real)) { /* no number of JSON's */
		put(sink, "null");
		return;
	}
	snprintf(text, sizeof(text), "%.20g", real);
	put(sink, text);
	if (strspn(text, "0123456789-") == strlen(text)) {
		put(sink, ".");
		line_number(&sink->out, 0, 1);
	}
}

static void put_bool(struct sink *sink, const char *key, bool value)
{
	put_key(sink, key);
	put(sink, value ? "true" : "false");
}

/* Milliseconds with microseconds behind the point, in no locale's manner. */
static void put_ms(struct sink *sink, const char *key, uint64_t from_ns,
		   uint64_t to_ns)
{
	uint64_t us = (to_ns - from_ns) / 1000;

	if (!from_ns || to_ns < from_ns)
		return;
	put_key(sink, key);
	line_number(&sink->out, us / 1000, 1);
	put(sink, ".");
	line_number(&sink->out, us % 1000, 3);
}

/* RFC 3339, UTC, microseconds. */
static void put_timestamp(struct sink *sink, uint64_t timestamp_ns)
{
	time_t second = timestamp_ns / NS_PER_SECOND;
	struct tm tm;

	if (!timestamp_ns)
		return;
	/* The calendar is asked once a second, not for each record. */
	if (!*sink->clock || second != sink->second) {
		if (!gmtime_r(&second, &tm))
			return;
		strftime(sink->clock, sizeof(sink->clock),
			 "%Y-%m-%dT%H:%M:%S.", &tm);
		sink->second = second;
	}
	put_key(sink, "timestamp");
	put(sink, "\"");
	put(sink, sink->clock);
	line_number(&sink->out, timestamp_ns % NS_PER_SECOND / 1000, 6);
	put(sink, "Z\"");
}

static void put_process(struct sink *sink, const struct record *record)
{
	const struct process *process = record->process;

	if (process->pid)
		put_number(sink, "process.pid", process->pid);
	if (record->exchange->tid)
		put_number(sink, "thread.id", record->exchange->tid);
	put_string(sink, "process.executable.name", process->executable);
	put_string(sink, "process.command", process->comm);
	put_string(sink, "process.command_line", process->command_line);
	put_string(sink, "user.name", process->user);
	put_string(sink, "process.linux.cgroup", process->cgroup);
	put_string(sink, "container.id", process->container);
	put_string(sink, "container.runtime", process->runtime);
	put_string(sink, "k8s.pod.uid", process->pod);
	if (record->role != ROLE_UNKNOWN)
		put_string(sink, "datasnoop.role",
			   record->role == ROLE_SERVER ? "server" : "client");
	put_string(sink, "tls.library", record->tls);
}

static void put_endpoint(struct sink *sink, const struct endpoint *end,
			 const char *address_key, const char *port_key)
{
	put_string(sink, address_key, end->address);
	if (end->port)
		put_number(sink, port_key, end->port);
}

static void put_network(struct sink *sink, const struct record *record)
{
	const struct endpoint *client = &record->client;
	const struct endpoint *server = &record->server;

	if (client->port || server->port)
		put_string(sink, "network.transport", "tcp");
	else if (*client->address || *server->address)
		put_string(sink, "network.transport", "unix");
	if (record->address_inferred)
		put_bool(sink, "datasnoop.address_inferred", true);
	if (record->peer_pid)
		put_number(sink, "datasnoop.peer.pid", record->peer_pid);
	put_endpoint(sink, client, "client.address", "client.port");
	put_endpoint(sink, server, "server.address", "server.port");
}

static void put_parameters(struct sink *sink, const struct exchange *exchange)
{
	char key[48];
	size_t i;

	for (i = 0; i < exchange->parameter_count; i++) {
		if (!exchange->parameters[i].bytes)
			continue;
		snprintf(key, sizeof(key), "db.query.parameter.%zu", i);
		put_key(sink, key);
		put_text(sink, exchange->parameters[i]);
	}
}

static void put_attribute(struct sink *sink, const struct attribute *attribute)
{
	switch (attribute->kind) {
	case ATTRIBUTE_TEXT:
		put_text(sink, attribute->text);
		break;
	case ATTRIBUTE_NUMBER:
		put_signed(sink, attribute->number);
		break;
	case ATTRIBUTE_REAL:
		put_real(sink, attribute->real);
		break;
	case ATTRIBUTE_BOOL:
		put(sink, attribute->number ? "true" : "false");
		break;
	}
}

/* How many attributes from `first` on have its key. */
static size_t count_key(const struct exchange *exchange, size_t first)
{
	const struct attribute *attributes = exchange->attributes;
	size_t count = 0;

	for (size_t i = first; i < exchange->attribute_count; i++)
		count += !strcmp(attributes[i].key, attributes[first].key);
	return count;
}

static bool key_was_put(const struct exchange *exchange, size_t index)
{
	const struct attribute *attributes = exchange->attributes;

	for (size_t i = 0; i < index; i++)
		if (!strcmp(attributes[i].key, attributes[index].key))
			return true;
	return false;
}

/* The values of the key of the attribute at `first`, which is the first. */
static void put_list(struct sink *sink, const struct exchange *exchange,
		     size_t first)
{
	const struct attribute *attributes = exchange->attributes;

	put(sink, "[");
	for (size_t i = first; i < exchange->attribute_count; i++) {
		if (strcmp(attributes[i].key, attributes[first].key))
			continue;
		if (i != first)
			put(sink, ",");
		put_attribute(sink, &attributes[i]);
	}
	put(sink, "]");
}

/* What one protocol has: a key that comes several times holds a list. */
static void put_attributes(struct sink *sink, const struct exchange *exchange)
{
	const struct attribute *attributes = exchange->attributes;

	for (size_t i = 0; i < exchange->attribute_count; i++) {
		if ((attributes[i].value && !sink->show_values) ||
		    key_was_put(exchange, i))
			continue;
		put_key(sink, attributes[i].key);
		if (count_key(exchange, i) > 1)
			put_list(sink, exchange, i);
		else
			put_attribute(sink, &attributes[i]);
	}
}

static void put_query(struct sink *sink, const struct exchange *exchange)
{
	put_string(sink, "datasnoop.application", exchange->application);
	if (exchange->family == FAMILY_OTHER) {
		put_string(sink, "network.protocol.name", exchange->system);
		put_string(sink, "datasnoop.operation", exchange->operation);
		return;
	}
	put_string(sink, "db.system.name", exchange->system);
	put_span(sink, "db.namespace", exchange->namespace);
	put_string(sink, "db.operation.name", exchange->operation);
	if (exchange->target_count)
		put_span(sink, "db.collection.name", exchange->targets[0]);
	if (exchange->target_count > 1)
		put_spans(sink, "datasnoop.collections", exchange->targets,
			  exchange->target_count);
	put_span(sink, "db.query.text",
		 sink->show_values ? exchange->statement : exchange->masked);
	if (exchange->statement_cut)
		put_bool(sink, "datasnoop.query.cut", true);
	if (!exchange->statement_known && !exchange->statement.bytes)
		put_bool(sink, "datasnoop.query.known", false);
	if (sink->show_values)
		put_parameters(sink, exchange);
	put_span(sink, "datasnoop.db.user", exchange->user);
}

static void put_error(struct sink *sink, const struct exchange *exchange)
{
	struct span message = exchange->message;

	if (exchange->family == FAMILY_DATABASE && exchange->status_name.bytes)
		put_span(sink, "db.response.status_code",
			 exchange->status_name);
	else if (exchange->family == FAMILY_DATABASE && exchange->status >= 0)
		put_code(sink, "db.response.status_code", exchange->status);
	put_span(sink, "datasnoop.sqlstate", exchange->sqlstate);
	if (!exchange->failed)
		return;
	if (exchange->status_name.bytes)
		put_span(sink, "error.type", exchange->status_name);
	else if (exchange->status > 0)
		put_code(sink, "error.type", exchange->status);
	else
		put_string(sink, "error.type", "_OTHER");
	if (message.bytes && !sink->show_values) {
		line_clear(&sink->unquoted);
		escape_message(&sink->unquoted, message);
		message = (struct span){sink->unquoted.bytes,
					sink->unquoted.length};
	}
	put_span(sink, "error.message", message);
}

static void put_response(struct sink *sink, const struct exchange *exchange)
{
	if (exchange->rows >= 0)
		put_number(sink, "db.response.returned_rows", exchange->rows);
	if (exchange->affected >= 0)
		put_number(sink, "datasnoop.affected_rows", exchange->affected);
	put_error(sink, exchange);
	if (exchange->results > 1)
		put_number(sink, "datasnoop.results", exchange->results);
	if (exchange->column_count)
		put_spans(sink, "datasnoop.columns", exchange->columns,
			  exchange->column_count);
	if (exchange->columns_total)
		put_number(sink, "datasnoop.columns_total",
			   exchange->columns_total);
	put_number(sink, "datasnoop.request.bytes", exchange->request_bytes);
	put_number(sink, "datasnoop.response.bytes", exchange->response_bytes);
	put_ms(sink, "datasnoop.duration_ms", exchange->start_ns,
	       exchange->end_ns);
	put_ms(sink, "datasnoop.first_byte_ms", exchange->start_ns,
	       exchange->first_byte_ns);
	put_bool(sink, "datasnoop.complete", exchange->complete);
	put_number(sink, "datasnoop.missed_bytes", exchange->missed_bytes);
}

/* Hands what has gathered to the file; what cannot be written is dropped. */
static int drain(struct sink *sink)
{
	size_t length = sink->out.length;

	if (!length)
		return 0;
	sink->out.length = 0;
	errno = 0;
	if (fwrite(sink->out.bytes, 1, length, sink->file) != length)
		return errno ? -errno : -EIO;
	return 0;
}

static int json_flush(struct sink *sink)
{
	int error = drain(sink);

	errno = 0;
	if (fflush(sink->file) && !error)
		error = errno ? -errno : -EIO;
	return error;
}

/* The first key of each is its event's name; the length of `out` before. */
static size_t begin_object(struct sink *sink, const char *event)
{
	size_t start = sink->out.length;

	put(sink, "{\"event.name\":\"");
	put(sink, event);
	put(sink, "\"");
	return start;
}

/* Ends an object that began at `start`; one that lacks bytes is taken back. */
static int end_object(struct sink *sink, size_t start)
{
	bool failed;

	put(sink, "}\n");
	failed = sink->out.failed || sink->unquoted.failed;
	sink->out.failed = sink->unquoted.failed = false;
	if (failed) {
		sink->out.length = start;
		return -ENOMEM;
	}
	if (sink->terminal)
		return json_flush(sink);
	return sink->out.length >= WRITE_BYTES ? drain(sink) : 0;
}

static int json_record(struct sink *sink, const struct record *record)
{
	size_t start = begin_object(sink, "datasnoop.exchange");

	put_timestamp(sink, record->timestamp_ns);
	put_process(sink, record);
	put_network(sink, record);
	put_query(sink, record->exchange);
	put_attributes(sink, record->exchange);
	put_response(sink, record->exchange);
	return end_object(sink, start);
}

/* Losses that have not happened are told where users look for them. */
static bool loss_is_told(const struct account *account, enum batch_loss reason)
{
	return account->lost[reason] || reason == LOSS_BUFFER_FULL ||
	       reason == LOSS_UNREADABLE || reason == LOSS_OVER_LIMIT ||
	       reason == LOSS_MAP_FULL;
}

static void put_bytes_account(struct sink *sink, const struct account *account)
{
	uint64_t lost = account_lost(account);
	enum batch_loss reason;
	char key[48];

	put_number(sink, "capture.bytes_seen", account->bytes_seen);
	put_number(sink, "capture.bytes_delivered", account->bytes_delivered);
	put_number(sink, "capture.bytes_lost", lost);
	for (reason = LOSS_NONE; reason < LOSS_REASONS; reason++) {
		if (!loss_is_told(account, reason))
			continue;
		snprintf(key, sizeof(key), "capture.lost.%s",
			 account_loss_name(reason));
		put_number(sink, key, account->lost[reason]);
	}
	put_bool(sink, "capture.balanced",
		 account->bytes_seen == account->bytes_delivered + lost);
}

/* What was read, of a capture file. */
static void put_packets(struct sink *sink, const struct account *account)
{
	put_number(sink, "capture.packets", account->packets);
	put_number(sink, "capture.packets_tcp", account->packets_tcp);
	put_number(sink, "capture.packets_other", account->packets_other);
	put_number(sink, "capture.packets_bad", account->packets_bad);
	put_number(sink, "capture.packets_stray", account->packets_stray);
	put_number(sink, "capture.packets_cut", account->packets_cut);
	put_number(sink, "capture.packets_fragments",
		   account->packets_fragments);
	put_number(sink, "capture.fragments_dropped",
		   account->fragments_dropped);
}

static int json_summary(struct sink *sink, const struct account *account)
{
	size_t start = begin_object(sink, "datasnoop.summary");

	if (account->offline) {
		put_packets(sink, account);
	} else {
		put_number(sink, "capture.fragments", account->fragments);
		put_number(sink, "capture.batches", account->batches);
		put_number(sink, "capture.batch_bytes", account->batch_bytes);
	}
	put_bytes_account(sink, account);
	put_number(sink, "capture.connections", account->connections);
	put_number(sink, "capture.connections_refused",
		   account->connections_refused);
	put_number(sink, "capture.exchanges", account->exchanges);
	put_number(sink, "capture.exchanges_incomplete",
		   account->exchanges_incomplete);
	put_number(sink, "capture.fragments_direct",
		   account->fragments_direct);
	put_number(sink, "capture.exchanges_mirrored",
		   account->exchanges_mirrored);
	put_number(sink, "capture.bytes_mirrored", account->bytes_mirrored);
	put_number(sink, "capture.bytes_unparsed", account->bytes_unparsed);
	if (account->writing) {
		put_number(sink, "capture.packets_written",
			   account->packets_written);
		put_number(sink, "capture.bytes_written",
			   account->bytes_written);
		put_number(sink, "capture.bytes_unwritten",
			   account->bytes_unwritten);
	}
	put_number(sink, "capture.peeked_bytes", account->peeked_bytes);
	put_number(sink, "capture.calls_unknown", account->calls_unknown);
	put_number(sink, "capture.calls_foreign", account->calls_foreign);
	put_number(sink, "capture.io_uring_processes",
		   account->io_uring_processes);
	put_number(sink, "capture.records_bad", account->records_bad);
	put_number(sink, "capture.parser_errors", account->parser_errors);
	put_number(sink, "capture.memory_peak_bytes",
		   account->memory_peak_bytes);
	put_number(sink, "capture.resident_peak_bytes",
		   account->resident_peak_bytes);
	put_number(sink, "capture.map_bytes", account->map_bytes);
	return end_object(sink, start);
}

static int json_close(struct sink *sink)
{
	int error = json_flush(sink);

	line_free(&sink->out);
	line_free(&sink->unquoted);
	free(sink);
	return error;
}

static struct sink *json_open(FILE *file, bool show_values)
{
	struct sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return NULL;
	sink->file = file;
	sink->show_values = show_values;
	sink->terminal = isatty(fileno(file));
	return sink;
}

const struct sink_operations json_sink = {
	.name = "json",
	.open = json_open,
	.record = json_record,
	.summary = json_summary,
	.flush = json_flush,
	.close = json_close,
};
