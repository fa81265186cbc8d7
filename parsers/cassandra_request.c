/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cassandra_request.c - what a client of Cassandra asks, and with which values.
 */
#include "parsers/cassandra.h"

#define TEXT_TYPE 0x0d /* VARCHAR, of values whose type is not known */

/* Flags of a query's parameters. */
#define HAS_VALUES 0x01
#define HAS_NAMES  0x40

/* Where a body's reading begins, behind a custom payload. */
static void begin_body(struct cassandra_asking *asking)
{
	switch (asking->request->opcode) {
	case CQL_QUERY:
	case CQL_PREPARE:
		asking->place = ASK_TEXT_LENGTH;
		break;
	case CQL_EXECUTE:
		asking->place = ASK_ID;
		break;
	case CQL_BATCH:
		asking->place = ASK_BATCH;
		break;
	case CQL_STARTUP:
	case CQL_AUTH_RESPONSE:
		asking->place = ASK_WHOLE;
		break;
	default:
		asking->place = ASK_NOTHING;
	}
}

void cassandra_asking_begin(struct cassandra *cassandra,
			    struct cassandra_request *request, uint8_t flags)
{
	struct cassandra_asking *asking = &cassandra->asking;

	*asking = (struct cassandra_asking){ .request = request,
					     .place = ASK_NOTHING };
	if (!request)
		return;
	begin_body(asking);
	if (flags & CQL_PAYLOAD)
		asking->place = ASK_PAYLOAD;
}

struct cassandra_prepared *
cassandra_prepared_of(const struct cassandra *cassandra, const uint8_t *id,
		      size_t length)
{
	for (size_t i = 0; i < CASSANDRA_PREPARED_MAX; i++) {
		struct cassandra_prepared *p = cassandra->prepared[i];

		if (p && p->id_length == length && !memcmp(p->id, id, length))
			return p;
	}
	return NULL;
}

/* [bytes map]: names and values of an extension. */
static size_t read_payload(struct cassandra *cassandra, const uint8_t *bytes,
			   size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	uint64_t count = cursor_uint_be(&c, 2);

	while (count-- && !c.bad) {
		int32_t size;

		cassandra_string(&c);
		size = (int32_t)cursor_uint_be(&c, 4);
		cursor_take(&c, size > 0 ? (uint64_t)size : 0);
	}
	if (c.bad)
		return 0;
	begin_body(&cassandra->asking);
	return (size_t)(c.at - bytes);
}

static void end_text(struct cassandra_asking *asking)
{
	uint8_t opcode = asking->request->opcode;

	asking->place = opcode == CQL_QUERY ? ASK_PARAMETERS :
			opcode == CQL_BATCH ? ASK_BATCH_END : ASK_NOTHING;
}

static size_t read_text_length(struct cassandra *cassandra,
			       const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	uint64_t size = cursor_uint_be(&c, 4);

	if (c.bad)
		return 0;
	if (size > INT32_MAX) {
		framed_give_up(&cassandra->envelopes, SIDE_CLIENT);
		return 0;
	}
	cassandra->asking.text_left = size;
	cassandra->asking.place = ASK_TEXT;
	if (!size)
		end_text(&cassandra->asking);
	return 4;
}

static size_t read_text(struct cassandra *cassandra, const uint8_t *bytes,
			size_t length)
{
	struct cassandra_asking *asking = &cassandra->asking;
	struct cassandra_request *request = asking->request;

	if (length > asking->text_left)
		length = (size_t)asking->text_left;
	if (!buffer_gather(&request->statement, bytes, length,
			   STATEMENT_BYTES_MAX))
		request->statement_cut = true;
	asking->text_left -= length;
	if (!asking->text_left)
		end_text(asking);
	return length;
}

static void keep_id(struct cassandra_request *request, struct span id)
{
	request->id_length = id.length < CASSANDRA_ID_BYTES_MAX ?
		id.length : CASSANDRA_ID_BYTES_MAX;
	if (request->id_length)
		memcpy(request->id, id.bytes, request->id_length);
}

/* What is executed; in version 5 the id of its result's columns follows. */
static size_t read_id(struct cassandra *cassandra, const uint8_t *bytes,
		      size_t length)
{
	struct cassandra_asking *asking = &cassandra->asking;
	struct cursor c = cursor_of(bytes, length);
	struct span id = cassandra_string(&c);

	if (asking->request->version >= 5)
		cassandra_string(&c);
	if (c.bad)
		return 0;
	keep_id(asking->request, id);
	asking->place = ASK_PARAMETERS;
	return (size_t)(c.at - bytes);
}

static size_t read_parameters(struct cassandra *cassandra,
			      const uint8_t *bytes, size_t length)
{
	struct cassandra_asking *asking = &cassandra->asking;
	struct cursor c = cursor_of(bytes, length);
	uint64_t consistency = cursor_uint_be(&c, 2);
	uint64_t flags = cursor_uint_be(&c, asking->request->version >= 5 ?
						    4 : 1);
	uint64_t count = flags & HAS_VALUES ? cursor_uint_be(&c, 2) : 0;

	if (c.bad)
		return 0;
	asking->request->consistency = (int)consistency;
	asking->values_left = (unsigned)count;
	asking->named = flags & HAS_NAMES;
	asking->place = count ? ASK_VALUE : ASK_NOTHING;
	return (size_t)(c.at - bytes);
}

/* The type of the value at hand, if the statement's preparation told it. */
static uint16_t bound_type(const struct cassandra *cassandra,
			   const struct cassandra_request *request)
{
	const struct cassandra_prepared *p = request->id_length ?
		cassandra_prepared_of(cassandra, request->id,
				      request->id_length) : NULL;

	return p && request->parameter_count < p->binds.count ?
		p->binds.columns[request->parameter_count].type : TEXT_TYPE;
}

static void keep_value(struct cassandra *cassandra, struct span value,
		       bool null)
{
	struct cassandra_request *request = cassandra->asking.request;
	struct cassandra_kept *kept;
	uint16_t type = bound_type(cassandra, request);

	if (request->parameter_count == EXCHANGE_PARAMETERS_MAX ||
	    request->values.length >= STATEMENT_BYTES_MAX)
		return;
	kept = &request->parameters[request->parameter_count++];
	kept->at = (uint32_t)request->values.length;
	if (!null)
		cassandra_value_text(type, value, &request->values);
	kept->length = (uint32_t)(request->values.length - kept->at);
	kept->there = !null;
}

/* A value with its name, if it has one; the first bytes of a long one. */
static size_t read_value(struct cassandra *cassandra, const uint8_t *bytes,
			 size_t length)
{
	struct cassandra_asking *asking = &cassandra->asking;
	struct cursor c = cursor_of(bytes, length);
	struct span value = { NULL, 0 };
	int32_t size;
	uint64_t kept;

	if (asking->named)
		cassandra_string(&c);
	size = (int32_t)cursor_uint_be(&c, 4);
	kept = size > VALUE_BYTES_MAX ? VALUE_BYTES_MAX :
	       size > 0 ? (uint64_t)size : 0;
	value = cursor_span(&c, kept);
	if (c.bad)
		return 0;
	keep_value(cassandra, value, size < 0);
	if (size > VALUE_BYTES_MAX)
		framed_skip(&cassandra->envelopes, SIDE_CLIENT,
			    (uint64_t)size - kept);
	if (!--asking->values_left)
		asking->place = asking->statements_left ? ASK_BATCH_STATEMENT :
							  ASK_NOTHING;
	return (size_t)(c.at - bytes);
}

/* A batch: its type, how many statements. */
static size_t read_batch(struct cassandra *cassandra, const uint8_t *bytes,
			 size_t length)
{
	struct cassandra_asking *asking = &cassandra->asking;
	struct cursor c = cursor_of(bytes, length);

	cursor_take(&c, 1);
	asking->statements_left = (unsigned)cursor_uint_be(&c, 2);
	if (c.bad)
		return 0;
	asking->request->statements = asking->statements_left;
	asking->place = asking->statements_left ? ASK_BATCH_STATEMENT :
						  ASK_NOTHING;
	return 3;
}

/* Statements of a batch are joined: "...; ..." */
static void join_statement(struct cassandra_request *request)
{
	if (request->statement.length &&
	    !buffer_gather(&request->statement, "; ", 2, STATEMENT_BYTES_MAX))
		request->statement_cut = true;
}

/* One of a batch: its text follows, or the id of a prepared one. */
static size_t read_batch_statement(struct cassandra *cassandra,
				   const uint8_t *bytes, size_t length)
{
	struct cassandra_asking *asking = &cassandra->asking;
	struct cassandra_request *request = asking->request;
	const struct cassandra_prepared *prepared;
	struct cursor c = cursor_of(bytes, length);
	struct span id;

	if (!cursor_uint(&c, 1)) {
		asking->text_left = cursor_uint_be(&c, 4);
		if (c.bad)
			return 0;
		join_statement(request);
		asking->place = asking->text_left ? ASK_TEXT : ASK_BATCH_END;
		return (size_t)(c.at - bytes);
	}
	id = cassandra_string(&c);
	if (c.bad)
		return 0;
	prepared = cassandra_prepared_of(cassandra,
					 (const uint8_t *)id.bytes, id.length);
	if (prepared) {
		join_statement(request);
		if (!buffer_gather(&request->statement, prepared->text.bytes,
				   prepared->text.length, STATEMENT_BYTES_MAX))
			request->statement_cut = true;
	} else {
		request->statement_known = false;
	}
	asking->place = ASK_BATCH_END;
	return (size_t)(c.at - bytes);
}

/* Behind a statement of a batch: how many values it has. */
static size_t read_batch_end(struct cassandra *cassandra,
			     const uint8_t *bytes, size_t length)
{
	struct cassandra_asking *asking = &cassandra->asking;
	struct cursor c = cursor_of(bytes, length);

	asking->values_left = (unsigned)cursor_uint_be(&c, 2);
	if (c.bad)
		return 0;
	asking->statements_left--;
	asking->place = asking->values_left ? ASK_VALUE :
			asking->statements_left ? ASK_BATCH_STATEMENT :
						  ASK_NOTHING;
	return 2;
}

/* The compression that the client chooses; [string map]. */
static void read_startup(struct cassandra_request *request, struct cursor c)
{
	uint64_t count = cursor_uint_be(&c, 2);

	while (count-- && !c.bad) {
		struct span key = cassandra_string(&c);
		struct span value = cassandra_string(&c);

		if (c.bad || !span_is_nocase(key, "COMPRESSION"))
			continue;
		if (span_is_nocase(value, "lz4"))
			request->compression = CQL_LZ4;
		else if (span_is_nocase(value, "snappy"))
			request->compression = CQL_SNAPPY;
	}
}

/* Of SASL PLAIN's answer, identity NUL user NUL password, the user. */
static void read_user(struct cassandra_request *request, struct cursor c)
{
	struct span user;

	cursor_take(&c, 4);
	cursor_nul_string(&c);
	user = cursor_nul_string(&c);
	if (!c.bad && user.length)
		request->user = cassandra_keep(&request->names, user);
}

static size_t read_whole(struct cassandra *cassandra, const uint8_t *bytes,
			 size_t length, bool last)
{
	struct cassandra_request *request = cassandra->asking.request;
	struct cursor c = cursor_of(bytes, length);

	if (!last)
		return 0;
	if (request->opcode == CQL_STARTUP)
		read_startup(request, c);
	else
		read_user(request, c);
	cassandra->asking.place = ASK_NOTHING;
	return length;
}

size_t cassandra_asking_unit(struct cassandra *cassandra, const uint8_t *bytes,
			     size_t length, bool last)
{
	switch (cassandra->asking.place) {
	case ASK_PAYLOAD:
		return read_payload(cassandra, bytes, length);
	case ASK_TEXT_LENGTH:
		return read_text_length(cassandra, bytes, length);
	case ASK_TEXT:
		return read_text(cassandra, bytes, length);
	case ASK_ID:
		return read_id(cassandra, bytes, length);
	case ASK_PARAMETERS:
		return read_parameters(cassandra, bytes, length);
	case ASK_VALUE:
		return read_value(cassandra, bytes, length);
	case ASK_BATCH:
		return read_batch(cassandra, bytes, length);
	case ASK_BATCH_STATEMENT:
		return read_batch_statement(cassandra, bytes, length);
	case ASK_BATCH_END:
		return read_batch_end(cassandra, bytes, length);
	case ASK_WHOLE:
		return read_whole(cassandra, bytes, length, last);
	case ASK_NOTHING:
		break;
	}
	return length;
}
