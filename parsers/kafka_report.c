/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kafka_report.c - a request and its response become an exchange.
 *
 * Source of the keys: https://opentelemetry.io/docs/specs/semconv/messaging/
 */
#include "parsers/kafka.h"

#include <stdio.h>

struct span kafka_span(const struct kafka_request *request,
		       struct kafka_kept kept)
{
	if (!kept.there)
		return (struct span){ NULL, 0 };
	return (struct span){ kept.length ?
			(const char *)request->text.bytes + kept.at : "",
			kept.length };
}

static const char *operation_of(int api, char unnamed[KAFKA_UNNAMED_BYTES])
{
	const struct kafka_api *known = kafka_api_of(api);

	if (known)
		return known->name;
	if (api == KAFKA_UNKNOWN)
		return "UNKNOWN";
	if (api == KAFKA_TOKEN)
		return "SaslToken";
	snprintf(unnamed, KAFKA_UNNAMED_BYTES, "API_??? (%d)", api);
	return unnamed;
}

static void describe_messaging(const struct kafka_request *request,
			       struct exchange *exchange)
{
	static const char destination[] = "messaging.destination.name";
	int64_t partitions = request->partitions[SIDE_CLIENT];
	bool counts = request->api == KAFKA_PRODUCE ||
		      request->api == KAFKA_FETCH;

	exchange_text(exchange, "messaging.system", span_string("kafka"));
	exchange_text(exchange, "messaging.operation.name",
		      span_string(exchange->operation));
	if (counts)
		exchange_text(exchange, "messaging.operation.type",
			      span_string(request->api == KAFKA_PRODUCE ?
						  "send" : "receive"));
	exchange_text(exchange, "messaging.client.id",
		      kafka_span(request, request->client));
	for (size_t i = 0; i < request->name_count; i++) {
		struct span name = kafka_span(request, request->names[i]);

		exchange->targets[exchange->target_count++] = name;
		exchange_text(exchange, destination, name);
	}
	for (size_t i = 0; i < request->group_count && !request->not_group; i++)
		exchange_text(exchange, "messaging.consumer.group.name",
			      kafka_span(request, request->groups[i]));
	if (counts && !request->uncounted && !request->pending.damaged)
		exchange_number(exchange, "messaging.batch.message_count",
				request->messages);
	if (!partitions)
		partitions = request->partitions[SIDE_SERVER];
	if (partitions)
		exchange_number(exchange, "kafka.partitions", partitions);
}

static void describe_error(const struct kafka_request *request,
			   struct exchange *exchange)
{
	if (!request->has_error)
		return;
	exchange->status = request->error;
	exchange->failed = request->error != 0;
	exchange_number(exchange, "kafka.error_code", request->error);
	if (!exchange->failed)
		return;
	exchange->status_name =
		span_string(kafka_error_name(request->error));
	exchange->message = kafka_span(request, request->message);
}

void kafka_describe(const struct kafka_request *request,
		    char unnamed[KAFKA_UNNAMED_BYTES],
		    struct exchange *exchange)
{
	exchange_reset(exchange, "kafka", FAMILY_OTHER);
	exchange->operation = operation_of(request->api, unnamed);
	describe_messaging(request, exchange);
	if (request->api >= 0) {
		exchange_number(exchange, "kafka.api.key", request->api);
		exchange_number(exchange, "kafka.api.version",
				request->version);
	}
	if (request->api != KAFKA_TOKEN)
		exchange_number(exchange, "kafka.correlation_id",
				request->correlation);
	exchange_text(exchange, "kafka.transactional_id",
		      kafka_span(request, request->transaction));
	exchange_text(exchange, "kafka.sasl.mechanism",
		      kafka_span(request, request->mechanism));
	if (exchange->target_count)
		exchange->subject = exchange->targets[0];
	else if (request->group_count)
		exchange->subject = kafka_span(request, request->groups[0]);
	describe_error(request, exchange);
	pending_describe(&request->pending, exchange);
}
