/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgsql_client.c - messages of the client become requests in the queue.
 *
 * What a request names, a statement or a portal, is looked up when it is read:
 * the client may have another meaning for the name before the answer comes.
 */
#include "parsers/pgsql.h"

bool pgsql_client_must_wait(struct pgsql *pg)
{
	const struct request *tail = pgsql_tail(pg);

	/* One place stays free for a response without a request. */
	if (pg->request_count >= PGSQL_REQUESTS_MAX - 1 ||
	    (pg->held_bytes > PGSQL_HELD_BYTES_MAX && tail))
		return true;
	/* Is what comes next encrypted? */
	return tail && (tail->kind == REQUEST_SSL || tail->kind == REQUEST_GSS);
}

static struct request *push(struct pgsql *pg, enum request_kind kind,
			    const struct message *message)
{
	struct request *request = pgsql_push(pg, kind);

	if (!request)
		return NULL;
	request->pending = (struct pending){
		.request_bytes = message->wire_bytes,
		.start_ns = message->first_ns,
		.tid = message->tid,
		.damaged = message->holed,
		.missed = message->missed,
	};
	request->sent_ns = message->sent_ns;
	pgsql_align_sent(pg);
	request->after_gap = pg->client_gap;
	request->torn = pg->client_gap && message->first_ns &&
			message->first_ns <= pg->client_dropped_ns;
	pg->client_gap = false;
	return request;
}

/*
 * What has no name was sent in the same group: behind a gap it was lost.
 * @name: of the statement or portal that the request is about
 */
static void check_group(struct request *request, struct span name)
{
	if (request && request->first && request->after_gap && !name.length)
		request->pending.damaged = true;
}

static void keep_text(struct pgsql *pg, struct statement *statement,
		      struct span text, const struct message *message)
{
	statement->cut = message->holed;
	if (text.length > STATEMENT_BYTES_MAX) {
		text.length = STATEMENT_BYTES_MAX;
		statement->cut = true;
	}
	statement->known = pgsql_keep(pg, &statement->text, text.bytes,
				      text.length);
}

/* A string of the body, cut where the body is: what is there of it. */
static struct span take_text(struct cursor *c)
{
	struct cursor start = *c;
	struct span text = cursor_nul_string(c);

	if (!text.bytes && !start.bad)
		text = cursor_span(&start, cursor_left(&start));
	return text;
}

static void read_query(struct pgsql *pg, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct request *request = push(pg, REQUEST_QUERY, message);
	struct span none = { "", 0 }, text = take_text(&c);

	if (!request)
		return;
	/* A Query destroys the statement without a name. */
	pgsql_statement_unlist(pg, pgsql_statement_find(pg, none));
	request->statement = pgsql_statement_new(pg, none);
	if (request->statement)
		keep_text(pg, request->statement, text, message);
}

static void read_parse(struct pgsql *pg, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct request *request = push(pg, REQUEST_PARSE, message);
	struct span name = cursor_nul_string(&c), text = take_text(&c);
	struct statement *statement;
	uint64_t count;

	if (!request || !name.bytes)
		return;
	statement = pgsql_statement_new(pg, name);
	if (!statement)
		return;
	request->statement = statement;
	keep_text(pg, statement, text, message);
	statement->cut |= c.bad;
	count = cursor_uint_be(&c, 2);
	for (uint64_t i = 0; i < count && !c.bad; i++) {
		uint32_t type = (uint32_t)cursor_uint_be(&c, 4);

		if (c.bad || !pgsql_keep(pg, &statement->types, &type,
					 sizeof(type)))
			break;
	}
	pgsql_statement_list(pg, statement);
}

static void keep_bind(struct pgsql *pg, struct portal *portal,
		      struct cursor *c)
{
	struct cursor values = *c;
	uint64_t count = cursor_uint_be(c, 2);

	cursor_take(c, 2 * count);
	count = cursor_uint_be(c, 2);
	while (count-- && !c->bad) {
		int32_t length = (int32_t)cursor_uint_be(c, 4);

		if (length > 0)
			cursor_take(c, (uint64_t)length);
	}
	portal->cut = c->bad;
	pgsql_keep(pg, &portal->values, values.at,
		   (size_t)((c->bad ? c->end : c->at) - values.at));
	count = cursor_uint_be(c, 2);
	for (uint64_t i = 0; i < count && i < PGSQL_COLUMNS_MAX; i++) {
		uint16_t format = (uint16_t)cursor_uint_be(c, 2);

		if (c->bad || !pgsql_keep(pg, &portal->formats, &format,
					  sizeof(format)))
			return;
	}
}

static void read_bind(struct pgsql *pg, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct request *request = push(pg, REQUEST_BIND, message);
	struct span name = cursor_nul_string(&c);
	struct span statement = cursor_nul_string(&c);

	check_group(request, statement);
	if (!request || !statement.bytes)
		return;
	request->portal = pgsql_portal_new(pg, name);
	if (!request->portal)
		return;
	request->portal->statement =
		pgsql_statement_hold(pgsql_statement_find(pg, statement));
	keep_bind(pg, request->portal, &c);
	pgsql_portal_list(pg, request->portal);
}

static void read_describe(struct pgsql *pg, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct request *request = push(pg, REQUEST_DESCRIBE, message);
	uint64_t kind = cursor_uint(&c, 1);
	struct span name = cursor_nul_string(&c);

	check_group(request, name);
	if (!request || !name.bytes)
		return;
	if (kind == 'S')
		request->statement = pgsql_statement_hold(
			pgsql_statement_find(pg, name));
	else
		request->portal = pgsql_portal_hold(
			pgsql_portal_find(pg, name));
}

static void read_execute(struct pgsql *pg, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct request *request = push(pg, REQUEST_EXECUTE, message);
	struct span name = cursor_nul_string(&c);

	check_group(request, name);
	if (!request || !name.bytes)
		return;
	request->portal = pgsql_portal_hold(pgsql_portal_find(pg, name));
	if (request->portal)
		request->statement =
			pgsql_statement_hold(request->portal->statement);
}

static void read_close(struct pgsql *pg, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	uint64_t kind = cursor_uint(&c, 1);
	struct span name = cursor_nul_string(&c);

	push(pg, REQUEST_CLOSE, message);
	if (!name.bytes)
		return;
	if (kind == 'S')
		pgsql_statement_unlist(pg, pgsql_statement_find(pg, name));
	else
		pgsql_portal_unlist(pg, pgsql_portal_find(pg, name));
}

static void read_function(struct pgsql *pg, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct request *request = push(pg, REQUEST_FUNCTION, message);

	if (request)
		request->number = (uint32_t)cursor_uint_be(&c, 4);
}

/* Adds a message to a request that it continues. */
static void continue_request(struct request *request,
			     const struct message *message)
{
	request->pending.request_bytes += message->wire_bytes;
	request->pending.damaged |= message->holed;
	request->pending.missed += message->missed;
}

/* Passwords, SASL and GSS data: counted, never looked at. */
static void read_password(struct pgsql *pg, const struct message *message)
{
	struct request *tail = pgsql_tail(pg);

	if (tail && tail->kind == REQUEST_LOGIN)
		continue_request(tail, message);
}

/*
 * Content of COPY FROM STDIN, of a standby's reports, or its end.  A Sync that
 * a client sent before it knew of the copying is ignored by the server.
 */
static void read_copy(struct pgsql *pg, const struct message *message)
{
	struct request *tail = pgsql_tail(pg);

	while (tail && tail->kind == REQUEST_SYNC && !tail->first) {
		pgsql_pop_tail(pg);
		pg->group_open = true;
		tail = pgsql_tail(pg);
	}
	if (!tail || (tail->kind != REQUEST_QUERY &&
		      tail->kind != REQUEST_EXECUTE))
		return;
	continue_request(tail, message);
	tail->copy_ended = message->type != 'd';
	if (tail->copy_ended)
		return;
	tail->copied++;
	tail->copied_bytes += message->length;
	if (tail == pgsql_head(pg) && pg->response.copy == COPY_IN) {
		pgsql_describe(pg);
		pgsql_value(pg, -1, (struct span){
			(const char *)message->bytes, message->kept });
	}
}

/* Reports at once a request that gets no answer, unless others wait. */
static void settle_silent(struct pgsql *pg)
{
	if (pg->request_count == 1)
		pgsql_end_group(pg, false);
}

static bool keep_string(struct buffer *buffer, struct span text)
{
	return buffer_gather(buffer, text.bytes, text.length, VALUE_BYTES_MAX);
}

static void read_parameters(struct pgsql *pg, struct request *login,
			    struct cursor *c)
{
	for (;;) {
		struct span key = cursor_nul_string(c), value;

		if (!key.length)
			break;
		value = cursor_nul_string(c);
		if (c->bad)
			break;
		if (span_is(key, "user"))
			keep_string(&login->user, value);
		else if (span_is(key, "database"))
			keep_string(&login->database, value);
		else if (span_is(key, "application_name"))
			keep_string(&login->application, value);
		else if (span_is(key, "replication"))
			keep_string(&login->replication, value);
	}
	if (!login->database.length)
		keep_string(&login->database, buffer_span(&login->user));
	buffer_reset(&pg->database);
	buffer_append(&pg->database, login->database.bytes,
		      login->database.length);
}

/* Protocol 2.0: fields of fixed size; nothing behind it is read. */
static void read_version2(struct pgsql *pg, struct request *login,
			  struct cursor *c)
{
	static const unsigned sizes[] = { 64, 32 }; /* database, user */
	struct buffer *fields[] = { &login->database, &login->user };

	for (int i = 0; i < 2; i++) {
		struct span field = cursor_span(c, sizes[i]);

		if (field.bytes)
			field.length = strnlen(field.bytes, field.length);
		keep_string(fields[i], field);
	}
	login->pending.damaged = true;
	pg->done = true;
	pgsql_end_group(pg, false);
}

static void read_startup(struct pgsql *pg, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	uint32_t code = (uint32_t)cursor_uint_be(&c, 4);
	struct request *request;
	enum request_kind kind = code == PGSQL_SSL_CODE ? REQUEST_SSL :
				 code == PGSQL_GSS_CODE ? REQUEST_GSS :
				 code == PGSQL_CANCEL_CODE ? REQUEST_CANCEL :
							     REQUEST_LOGIN;

	request = push(pg, kind, message);
	if (!request)
		return;
	request->number = code;
	if (kind == REQUEST_CANCEL)
		settle_silent(pg);
	if (kind != REQUEST_LOGIN)
		return;
	pg->tagged = true;
	if (code >> 16 == 2)
		read_version2(pg, request, &c);
	else
		read_parameters(pg, request, &c);
}

void pgsql_client_message(struct pgsql *pg, const struct message *message)
{
	switch (message->type) {
	case 0:
		read_startup(pg, message);
		break;
	case 'Q':
		read_query(pg, message);
		break;
	case 'P':
		read_parse(pg, message);
		break;
	case 'B':
		read_bind(pg, message);
		break;
	case 'D':
		read_describe(pg, message);
		break;
	case 'E':
		read_execute(pg, message);
		break;
	case 'C':
		read_close(pg, message);
		break;
	case 'F':
		read_function(pg, message);
		break;
	case 'S':
		push(pg, REQUEST_SYNC, message);
		break;
	case 'X':
		push(pg, REQUEST_TERMINATE, message);
		settle_silent(pg);
		break;
	case 'p':
		read_password(pg, message);
		break;
	case 'd':
	case 'c':
	case 'f':
		read_copy(pg, message);
		break;
	default: /* Flush */
		break;
	}
}
