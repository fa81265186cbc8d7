/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgsql_server.c - messages of the server make the first request's response.
 */
#include "parsers/pgsql.h"

#include <stdlib.h>

/* Nothing of a result follows a tag but its row count: "INSERT 0 5". */
struct tag {
	struct span word; /* first word */
	int64_t count;	  /* last number; -1: none */
};

static struct tag read_tag(struct span text)
{
	const char *space = memchr(text.bytes, ' ', text.length);
	const char *last = memrchr(text.bytes, ' ', text.length);
	const char *end = text.bytes + text.length;
	struct tag tag = { text, -1 };

	if (space)
		tag.word.length = (size_t)(space - text.bytes);
	if (!last || end - last > 19 || end - last < 2)
		return tag;
	tag.count = 0;
	for (const char *at = last + 1; at < end; at++) {
		if (*at < '0' || *at > '9') {
			tag.count = -1;
			break;
		}
		tag.count = 10 * tag.count + (*at - '0');
	}
	return tag;
}

static void add_count(int64_t *to, int64_t count)
{
	if (*to < 0)
		*to = 0;
	if (__builtin_add_overflow(*to, count, to))
		*to = INT64_MAX;
}

static void read_complete(struct pgsql *pg, const struct message *message)
{
	struct response *response = &pg->response;
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct span text = cursor_nul_string(&c);
	struct tag tag;

	response->results++;
	if (!text.bytes || !text.length)
		return;
	if (response->tag_count < PGSQL_TAGS_MAX)
		response->tags[response->tag_count++] = pgsql_text(pg, text);
	tag = read_tag(text);
	/* The end of what the client sends is lost, or all of it. */
	if ((response->copy == COPY_IN || response->copy == COPY_BOTH) &&
	    !pgsql_head(pg)->copy_ended)
		pg->group.damaged = true;
	if (tag.count >= 0 && response->copy != COPY_NONE)
		response->copy_rows = tag.count;
	if (tag.count >= 0 && !span_is(tag.word, "SELECT") &&
	    !span_is(tag.word, "FETCH") && response->copy != COPY_OUT)
		add_count(&response->affected, tag.count);
	if (span_is(tag.word, "SELECT") && response->set_rows < 0 &&
	    pgsql_head(pg)->kind == REQUEST_EXECUTE)
		add_count(&response->rows, 0);
	response->set_rows = -1;
}

static void read_error(struct pgsql *pg, const struct message *message)
{
	struct response *response = &pg->response;
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct span severity = { NULL, 0 };
	uint8_t field;

	response->failed = true;
	while ((field = (uint8_t)cursor_uint(&c, 1))) {
		struct span text = cursor_nul_string(&c);

		if (c.bad)
			break;
		if (field == 'V' || (field == 'S' && !severity.bytes))
			severity = text;
		if (field == 'M')
			response->message = pgsql_text(pg, text);
		if (field == 'C' && text.length == sizeof(response->sqlstate)) {
			memcpy(response->sqlstate, text.bytes, text.length);
			response->has_sqlstate = true;
		}
	}
	response->severity = pgsql_text(pg, severity);
	response->fatal = span_is(severity, "FATAL") ||
			  span_is(severity, "PANIC");
}

static void read_notice(struct pgsql *pg, const struct message *message)
{
	struct response *response = &pg->response;
	struct cursor c = cursor_of(message->bytes, message->kept);
	unsigned index = response->notice_count;
	uint8_t field;

	if (index == PGSQL_NOTICES_MAX)
		return;
	response->notices[index] = (struct text_piece){ 0, 0 };
	response->notice_states[index] = (struct text_piece){ 0, 0 };
	while ((field = (uint8_t)cursor_uint(&c, 1))) {
		struct span text = cursor_nul_string(&c);

		if (c.bad)
			break;
		if (field == 'M')
			response->notices[index] = pgsql_text(pg, text);
		if (field == 'C')
			response->notice_states[index] = pgsql_text(pg, text);
	}
	response->notice_count++;
}

static void read_status(struct pgsql *pg, const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct span key = cursor_nul_string(&c);
	struct span value = cursor_nul_string(&c);

	if (!value.bytes || !span_is(key, "standard_conforming_strings"))
		return;
	pg->scs_known = true;
	pg->scs = span_is(value, "on");
}

static void read_authentication(struct pgsql *pg,
				const struct message *message)
{
	static const char *const names[] = {
		[2] = "kerberos", [3] = "cleartext", [4] = "crypt",
		[5] = "md5", [6] = "scm", [7] = "gss", [9] = "sspi",
		[10] = "sasl",
	};
	struct cursor c = cursor_of(message->bytes, message->kept);
	uint64_t kind = cursor_uint_be(&c, 4);

	if (c.bad)
		return;
	if (!kind && !pg->response.authentication)
		pg->response.authentication = "trust";
	else if (kind < sizeof(names) / sizeof(*names) && names[kind])
		pg->response.authentication = names[kind];
}

/* The types of a statement's parameters, as the server has found them. */
static void read_parameter_types(struct pgsql *pg,
				 const struct message *message)
{
	struct cursor c = cursor_of(message->bytes, message->kept);
	struct request *head = pgsql_head(pg);
	uint64_t count = cursor_uint_be(&c, 2);
	struct statement *statement = head->statement;

	if (head->kind != REQUEST_DESCRIBE || !statement)
		return;
	statement->types.length = 0;
	for (uint64_t i = 0; i < count && !c.bad; i++) {
		uint32_t type = (uint32_t)cursor_uint_be(&c, 4);

		if (!c.bad)
			pgsql_keep(pg, &statement->types, &type, sizeof(type));
	}
}

static void read_columns(struct pgsql *pg, const struct message *message)
{
	struct request *head = pgsql_head(pg);
	struct columns *columns = &pg->columns;

	if (head->kind == REQUEST_DESCRIBE && head->statement)
		columns = &head->statement->columns;
	if (head->kind == REQUEST_DESCRIBE && head->portal)
		columns = &head->portal->columns;
	if (columns != &pg->columns || message->type == 'n')
		pgsql_columns_clear(columns);
	columns->known = true;
	if (message->type == 'n')
		return;
	pgsql_columns_read(columns, message);
	if (head->kind == REQUEST_DESCRIBE)
		return;
	pg->response.set_rows = 0;
	add_count(&pg->response.rows, 0);
	pg->response.described = false;
}

static void read_row(struct pgsql *pg, const struct message *message)
{
	/* Of a Query the description of its rows came first, or was lost. */
	if (pg->response.set_rows < 0 &&
	    pgsql_head(pg)->kind != REQUEST_EXECUTE)
		pg->group.damaged = true;
	pgsql_describe(pg);
	add_count(&pg->response.rows, 1);
	add_count(&pg->response.set_rows, 1);
	pgsql_row_values(pg, message);
}

static void read_copy_data(struct pgsql *pg, const struct message *message)
{
	pg->response.copied++;
	pg->response.copied_bytes += message->length;
	if (pg->response.copy != COPY_OUT)
		return;
	pgsql_describe(pg);
	pgsql_value(pg, -1, (struct span){ (const char *)message->bytes,
					   message->kept });
}

/* Takes the first request off the queue; was it the last seen of its group? */
static void pop_head(struct pgsql *pg)
{
	const struct request *head;

	pgsql_pop(pg);
	head = pgsql_head(pg);
	pg->group.empty = head ? head->first : !pg->group_open;
}

/* The same, its bytes are of the exchange that follows. */
static void fold_head(struct pgsql *pg)
{
	/* One that was lost stands for all of its group. */
	if (pgsql_head(pg)->kind == REQUEST_UNKNOWN)
		return;
	pgsql_fold(pg, pgsql_head(pg));
	pop_head(pg);
}

/* What was whole before this message, and is not the last of its group. */
static void report_finished(struct pgsql *pg, uint8_t type)
{
	struct response *response = &pg->response;
	const struct statement *prepared = response->prepared;

	/* Only the last answer shows that there are none too many. */
	if (response->finished) {
		pg->group.damaged |= pg->group.headless;
		pgsql_report(pg);
		pgsql_response_reset(pg);
		pop_head(pg);
	} else if (prepared && strchr("12E", type) &&
		   (prepared->name.length || type == '1')) {
		pg->group.damaged |= pg->group.headless;
		pgsql_report_prepared(pg);
		pgsql_response_reset(pg);
	}
}

void pgsql_end_finished(struct pgsql *pg)
{
	const struct request *next = pgsql_request_at(pg, 1);

	/* A ReadyForQuery would be, as the answer to the Sync or the end of an
	 * error. */
	if (pg->response.finished && !pg->group.failed && next &&
	    !next->first && next->kind != REQUEST_SYNC)
		report_finished(pg, 0);
}

/*
 * A Parse failed, or its answer was lost: a name that was in use is not given
 * to another.
 */
static void doubt_parse(struct pgsql *pg, struct statement *statement)
{
	if (!statement)
		return;
	if (pg->group.failed || (statement->replaces && statement->name.length))
		pgsql_statement_unlist(pg, statement);
	else
		statement->epoch = 0;
}

/* One request is told, or was skipped, or lost; true: it ended the group. */
static bool end_request(struct pgsql *pg)
{
	struct response *response = &pg->response;
	struct request *head = pgsql_head(pg), *next;
	bool ends = pgsql_ends_group(head->kind);

	if (response->finished) {
		next = pgsql_request_at(pg, 1);
		ends |= next && next->kind == REQUEST_SYNC && !next->first;
		if (ends && !pgsql_ends_group(head->kind))
			pgsql_fold(pg, next);
		pgsql_report(pg);
		pgsql_response_reset(pg);
		if (ends && !pgsql_ends_group(head->kind))
			pgsql_pop(pg);
	} else if (response->prepared && head->kind != REQUEST_EXECUTE) {
		pgsql_fold(pg, head);
		if (ends) {
			pgsql_report_prepared(pg);
			pgsql_response_reset(pg);
		}
	} else if (pgsql_is_told(head->kind)) {
		response->skipped = pg->group.failed;
		pg->group.damaged |= head->kind == REQUEST_EXECUTE &&
				     !pg->group.failed;
		pgsql_report(pg);
		pgsql_response_reset(pg);
	} else {
		if (head->kind == REQUEST_PARSE)
			doubt_parse(pg, head->statement);
		pgsql_fold(pg, head);
	}
	pgsql_pop(pg);
	return ends;
}

void pgsql_end_group(struct pgsql *pg, bool damaged)
{
	struct request *head;
	bool ended = false;

	pg->group.damaged |= damaged;
	if (damaged && !pg->group.started) {
		pg->response.pending.missed += pg->server_missed;
		pg->server_missed = 0;
	}
	while (!ended && !pg->group.empty && (head = pgsql_head(pg))) {
		ended = end_request(pg);
		head = pgsql_head(pg);
		ended |= head && head->first;
	}
	pgsql_response_reset(pg);
	pg->group = (struct group){ .pairing = PAIRING_COUNTED };
	head = pgsql_head(pg);
	if (head && (head->kind == REQUEST_TERMINATE ||
		     head->kind == REQUEST_CANCEL)) {
		pgsql_report(pg);
		pgsql_response_reset(pg);
		pgsql_pop(pg);
	}
}

/* The server was asked for this answer, so a Query, a Sync or so was sent. */
static bool has_end(struct pgsql *pg)
{
	const struct request *request;

	for (size_t i = 0; (request = pgsql_request_at(pg, i)); i++) {
		if (i && request->first)
			return false;
		if (pgsql_ends_group(request->kind))
			return true;
	}
	return false;
}

static void read_ready(struct pgsql *pg)
{
	pg->group.damaged |= !pg->group.empty && !has_end(pg);
	pg->unmarked = false;
	pgsql_align_count(pg);
	if (pg->group.pairing == PAIRING_OPEN)
		pg->held = true;
	else
		pgsql_end_group(pg, false);
}

/* What the error belongs to is made the first; the rest will be skipped. */
static void fail(struct pgsql *pg, const struct message *message)
{
	struct request *head = pgsql_head(pg), *execute = NULL;

	for (size_t i = 0; (execute = pgsql_request_at(pg, i)); i++)
		if (execute->kind == REQUEST_EXECUTE || (i && execute->first))
			break;
	if (execute && execute->kind == REQUEST_EXECUTE &&
	    (execute == head || !execute->first)) {
		while (pgsql_head(pg)->kind != REQUEST_EXECUTE) {
			head = pgsql_head(pg);
			if (head->kind == REQUEST_PARSE)
				pgsql_statement_unlist(pg, head->statement);
			fold_head(pg);
		}
	}
	/* It may be the failure of one that was lost. */
	pg->group.damaged |= pg->group.headless;
	head = pgsql_head(pg);
	read_error(pg, message);
	pg->group.failed = !pgsql_ends_group(head->kind);
	if (head->kind == REQUEST_PARSE)
		pgsql_statement_unlist(pg, head->statement);
	if (!pgsql_ends_group(head->kind) || head->kind == REQUEST_SYNC)
		pg->response.finished = true;
	/* No ReadyForQuery follows. */
	if (pg->response.fatal || head->kind == REQUEST_LOGIN ||
	    head->kind == REQUEST_SSL || head->kind == REQUEST_GSS)
		pgsql_end_group(pg, false);
}

static void read_copying(struct pgsql *pg, uint8_t type)
{
	pg->response.copy = type == 'G' ? COPY_IN :
			    type == 'H' ? COPY_OUT : COPY_BOTH;
	pgsql_describe(pg);
}

/* The reply to SSLRequest or GSSENCRequest. */
static void read_reply(struct pgsql *pg, const struct message *message)
{
	pg->response.reply = message->kept ? (char)message->bytes[0] : 0;
	pg->done = pg->response.reply != 'N';
	pgsql_end_group(pg, false);
}

/* The kind of request that a message of that type answers; UNKNOWN: any. */
static enum request_kind kind_answered(uint8_t type)
{
	switch (type) {
	case '1':
		return REQUEST_PARSE;
	case '2':
		return REQUEST_BIND;
	case '3':
		return REQUEST_CLOSE;
	case 't':
	case 'n':
		return REQUEST_DESCRIBE;
	case 'V':
		return REQUEST_FUNCTION;
	default:
		return REQUEST_UNKNOWN;
	}
}

/* Is the message one that the first request may be answered by, now? */
static bool is_expected(const struct request *head, uint8_t type)
{
	enum request_kind kind = kind_answered(type);

	if (head->kind == REQUEST_UNKNOWN)
		return true;
	if (kind != REQUEST_UNKNOWN)
		return head->kind == kind;
	switch (type) {
	case 'R':
	case 'K':
	case 'v':
		return head->kind == REQUEST_LOGIN;
	case 'T':
		return head->kind == REQUEST_DESCRIBE ||
		       head->kind == REQUEST_QUERY;
	case 's':
		return head->kind == REQUEST_EXECUTE;
	case 'D':
	case 'C':
	case 'I':
	case 'G':
	case 'H':
	case 'W':
	case 'd':
	case 'c':
		return head->kind == REQUEST_EXECUTE ||
		       head->kind == REQUEST_QUERY;
	case 'Z':
		return head->kind != REQUEST_SSL && head->kind != REQUEST_GSS;
	default:
		return true;
	}
}

/* How the first request is answered; what ends it is taken from the queue. */
static void read_answer(struct pgsql *pg, const struct message *message)
{
	struct request *head = pgsql_head(pg);
	struct response *response = &pg->response;

	switch (message->type) {
	case '1':
		pgsql_statement_drop(pg, response->prepared);
		response->prepared = pgsql_statement_hold(head->statement);
		fold_head(pg);
		break;
	case '2':
		pgsql_statement_drop(pg, response->prepared);
		response->prepared = NULL;
		response->bound = true;
		fold_head(pg);
		break;
	case '3':
		fold_head(pg);
		break;
	case 't':
		read_parameter_types(pg, message);
		break;
	case 'T':
	case 'n':
		read_columns(pg, message);
		if (head->kind == REQUEST_DESCRIBE)
			fold_head(pg);
		break;
	case 'D':
		read_row(pg, message);
		break;
	case 'C':
	case 'I':
	case 's':
		response->suspended = message->type == 's';
		if (message->type == 'C')
			read_complete(pg, message);
		else
			response->results += message->type == 'I';
		response->finished = head->kind == REQUEST_EXECUTE;
		break;
	case 'G':
	case 'H':
	case 'W':
		read_copying(pg, message->type);
		break;
	case 'd':
		read_copy_data(pg, message);
		break;
	case 'R':
		read_authentication(pg, message);
		break;
	default: /* CopyDone, BackendKeyData, FunctionCallResponse, ... */
		break;
	}
}

/* Bytes of the response as a whole, or of the exchange that goes on in it. */
static void count_bytes(struct pgsql *pg, const struct message *message)
{
	struct pending *pending = &pg->response.pending;

	if (!pending->response_bytes)
		pending->first_byte_ns = message->first_ns;
	pending->response_bytes += message->wire_bytes;
	pending->end_ns = message->last_ns;
	pending->damaged |= message->holed;
	pending->missed += message->missed;
}

/* What may come at any time; true: that is all to be said of it. */
static bool read_asynchronous(struct pgsql *pg, const struct message *message)
{
	bool ours = pgsql_head(pg) && pg->group.started && !pg->held;

	switch (message->type) {
	case 'A':
		pgsql_report_notification(pg, message);
		return true;
	case 'S':
		read_status(pg, message);
		if (ours)
			count_bytes(pg, message);
		return true;
	case 'N':
		if (!pgsql_head(pg) || pg->held)
			return true;
		count_bytes(pg, message);
		read_notice(pg, message);
		return true;
	default:
		return false;
	}
}

/*
 * A statement is prepared or closed: unless by a request that was seen, its
 * name may stand for another now.
 */
static void watch_names(struct pgsql *pg, const struct message *message,
			bool ignored)
{
	const struct group *group = &pg->group;
	const struct request *head = pgsql_head(pg);

	if (message->type != '1' && message->type != '3')
		return;
	if (ignored || !group->started || group->damaged || group->headless ||
	    !head || head->kind == REQUEST_UNKNOWN || !pgsql_is_sure(pg))
		pgsql_doubt_names(pg);
}

void pgsql_server_message(struct pgsql *pg, const struct message *message,
			  bool ignored)
{
	struct request *head = pgsql_head(pg);

	if (pg->unseen)
		watch_names(pg, message, ignored);
	if (ignored)
		return;
	if (message->type == 0) {
		count_bytes(pg, message);
		read_reply(pg, message);
		return;
	}
	if (message->type == 'E' && (!head || !pg->group.started)) {
		pgsql_report_fatal(pg, message);
		return;
	}
	if (read_asynchronous(pg, message) || !pg->group.started)
		return;
	if (message->type != 'Z')
		report_finished(pg, message->type);
	head = pgsql_head(pg);
	count_bytes(pg, message);
	if (message->type == 'Z') {
		pg->ready_ns = message->last_ns;
		read_ready(pg);
	} else if (!head || pg->group.empty) {
		pg->group.damaged = true;
	} else if (message->type == 'E') {
		fail(pg, message);
	} else if (is_expected(head, message->type)) {
		read_answer(pg, message);
	} else {
		pg->group.damaged = true;
	}
}
