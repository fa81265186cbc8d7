/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tds_request.c - what the client of a SQL Server asks: batches, calls, logins.
 */
#include "parsers/tds.h"

#include <strings.h>

#define LOGIN_FIXED_BYTES 94	/* of LOGIN7, before its strings */
#define LOGIN_VERSION_AT  4
#define HEADERS_BYTES_MAX 1024	/* of ALL_HEADERS that are believed */
#define HEADER_TYPE_MAX	  3
#define NAME_CHARS_MAX	  128	/* of an object's name, per part; four parts */
#define RPC_BATCH_FLAG	  0xff
#define RPC_NO_EXEC_FLAG  0xfe
#define RPC_OLD_FLAG	  0x80	/* before TDS 7.2 */

/* By number, 0 is none.  [MS-TDS] 2.2.6.6. */
static const struct tds_procedure procedures[] = {
	{ "", -1, -1, -1, false, false },
	{ "sp_cursor", -1, -1, -1, false, false },
	{ "sp_cursoropen", 1, -1, 6, false, false },
	{ "sp_cursorprepare", 2, 0, -1, true, false },
	{ "sp_cursorexecute", -1, 0, 5, false, true },
	{ "sp_cursorprepexec", 3, 0, 7, false, false },
	{ "sp_cursorunprepare", -1, 0, -1, false, false },
	{ "sp_cursorfetch", -1, -1, -1, false, false },
	{ "sp_cursoroption", -1, -1, -1, false, false },
	{ "sp_cursorclose", -1, -1, -1, false, false },
	{ "sp_executesql", 0, -1, 2, false, false },
	{ "sp_prepare", 2, 0, -1, true, false },
	{ "sp_execute", -1, 0, 1, false, true },
	{ "sp_prepexec", 2, 0, 3, false, false },
	{ "sp_prepexecrpc", -1, 0, 2, false, false },
	{ "sp_unprepare", -1, 0, -1, false, false },
};
#define PROCEDURES ((int)(sizeof(procedures) / sizeof(*procedures)))

const struct tds_procedure *tds_procedure_of(const struct tds_request *request)
{
	struct span name = tds_span(&request->names, request->procedure);

	if (request->procedure_id)
		return request->procedure_id < PROCEDURES ?
			&procedures[request->procedure_id] : NULL;
	for (int i = 1; i < PROCEDURES && name.bytes; i++)
		if (span_is_nocase(name, procedures[i].name))
			return &procedures[i];
	return NULL;
}

void tds_asking_begin(struct tds *tds, uint8_t type)
{
	struct tds_asking *asking = &tds->asking;

	asking->request = tds_request_new(type);
	asking->parameter = 0;
	asking->place = ASKING_NOTHING;
	if (!asking->request)
		return;
	if (type == TDS_SQL_BATCH || type == TDS_RPC || type == TDS_TRANSACTION)
		asking->place = ASKING_HEADERS;
	else if (type == TDS_LOGIN)
		asking->place = ASKING_LOGIN;
}

/*
 * The length of ALL_HEADERS that begin there, 0: none do.  They begin with
 * their length and that of the first header; its type is next.
 */
static size_t headers_length(const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	uint64_t total = cursor_uint(&c, 4), first = cursor_uint(&c, 4);
	uint64_t type = cursor_uint(&c, 2);

	if (c.bad || total > HEADERS_BYTES_MAX || first < 6 ||
	    first > total - 4 || total < 10 || !type || type > HEADER_TYPE_MAX)
		return 0;
	return (size_t)total;
}

static size_t read_headers(struct tds *tds, const uint8_t *bytes,
			   size_t length, bool last)
{
	struct tds_asking *asking = &tds->asking;
	uint8_t type = asking->request->type;
	size_t headers;

	if (length < 10 && !last)
		return 0;
	headers = headers_length(bytes, length);
	if (!tds->version)
		tds->version = headers ? TDS_VERSION_72 : TDS_VERSION_71;
	asking->place = type == TDS_SQL_BATCH ? ASKING_TEXT :
			type == TDS_RPC ? ASKING_CALL : ASKING_TRANSACTION;
	if (headers > length) {
		framed_skip(&tds->framed, SIDE_CLIENT, headers - length);
		return length;
	}
	if (headers)
		return headers;
	/* A message without them: read on at once. */
	return tds_asking_unit(tds, bytes, length, last);
}

static void add_text(struct tds_request *request, const uint8_t *bytes,
		     size_t length)
{
	if (!tds_utf8(&request->statement, bytes, length, STATEMENT_BYTES_MAX))
		request->statement_cut = true;
}

/* Whole characters; a pair is not torn. */
static size_t read_text(struct tds *tds, const uint8_t *bytes, size_t length,
			bool last)
{
	struct tds_request *request = tds->asking.request;
	size_t whole = length & ~(size_t)1;
	bool ends = last && tds->packets[SIDE_CLIENT].ends;

	if (whole >= 2 && (bytes[whole - 1] & 0xfc) == 0xd8 && !ends)
		whole -= 2;
	if (!request->statement_cut)
		add_text(request, bytes, whole);
	return ends && whole != length ? length : whole;
}

/* A string of LOGIN7 by its offset and length in characters. */
static struct tds_kept login_text(struct tds_request *request,
				  const uint8_t *bytes, size_t length,
				  size_t at)
{
	struct cursor c = cursor_of(bytes + at, 4);
	size_t offset = (size_t)cursor_uint(&c, 2);
	size_t size = 2 * (size_t)cursor_uint(&c, 2);

	if (!size || offset > length || size > length - offset)
		return (struct tds_kept){ 0, 0, false };
	return tds_keep(&request->names, bytes + offset, size);
}

/* Host, user, application, database; the password and tokens are not read. */
static size_t read_login(struct tds *tds, const uint8_t *bytes, size_t length,
			 bool last)
{
	struct tds_request *request = tds->asking.request;
	struct cursor c = cursor_of(bytes, length);

	if (!last)
		return 0;
	tds->asking.place = ASKING_NOTHING;
	if (length < LOGIN_FIXED_BYTES)
		return length;
	cursor_take(&c, LOGIN_VERSION_AT);
	tds->version = (uint32_t)cursor_uint(&c, 4);
	request->host = login_text(request, bytes, length, 36);
	request->user = login_text(request, bytes, length, 40);
	request->application = login_text(request, bytes, length, 48);
	request->database = login_text(request, bytes, length, 68);
	return length;
}

static size_t read_transaction(struct tds *tds, const uint8_t *bytes,
			       size_t length)
{
	struct cursor c = cursor_of(bytes, length);

	tds->asking.request->transaction = (uint16_t)cursor_uint(&c, 2);
	if (c.bad)
		return 0;
	tds->asking.place = ASKING_NOTHING;
	return 2;
}

/* The procedure's name or number, and the call's options. */
static size_t read_call(struct tds *tds, const uint8_t *bytes, size_t length)
{
	struct tds_request *request = tds->asking.request;
	struct cursor c = cursor_of(bytes, length);
	uint64_t size = cursor_uint(&c, 2);
	struct span name = { NULL, 0 };
	int id = 0;

	if (!c.bad && size != 0xffff && size > 4 * NAME_CHARS_MAX + 3) {
		framed_give_up(&tds->framed, SIDE_CLIENT);
		return 0;
	}
	if (size == 0xffff)
		id = (int)cursor_uint(&c, 2);
	else
		name = cursor_span(&c, 2 * size);
	cursor_take(&c, 2);
	if (c.bad)
		return 0;
	tds->asking.place = ASKING_PARAMETER;
	tds->asking.parameter = 0;
	if (request->calls++)
		return (size_t)(c.at - bytes);
	request->procedure_id = id;
	if (name.bytes)
		request->procedure = tds_keep(&request->names,
					      (const uint8_t *)name.bytes,
					      name.length);
	return (size_t)(c.at - bytes);
}

/* What a parameter of the call is for. */
static bool is_statement(const struct tds_asking *asking)
{
	const struct tds_procedure *known = tds_procedure_of(asking->request);

	return known && asking->request->calls == 1 &&
	       known->text == (int)asking->parameter;
}

/* A parameter's name, flags and type; or the next call's beginning. */
static size_t read_parameter(struct tds *tds, const uint8_t *bytes,
			     size_t length)
{
	struct tds_asking *asking = &tds->asking;
	struct cursor c = cursor_of(bytes, length);
	uint64_t size = cursor_uint(&c, 1);
	struct tds_type type;

	if (size == RPC_BATCH_FLAG || size == RPC_NO_EXEC_FLAG ||
	    (size == RPC_OLD_FLAG && tds->version < TDS_VERSION_72)) {
		asking->place = ASKING_CALL;
		return 1;
	}
	cursor_take(&c, 2 * size + 1);
	if (c.bad)
		return 0;
	if (!tds_type_read(&type, &c, false) && !c.bad) {
		framed_give_up(&tds->framed, SIDE_CLIENT);
		return 0;
	}
	if (c.bad)
		return 0;
	tds_value_begin(&asking->value, &type,
			is_statement(asking) ? 2 * STATEMENT_BYTES_MAX :
					       VALUE_BYTES_MAX);
	asking->place = ASKING_VALUE;
	return (size_t)(c.at - bytes);
}

static void keep_parameter(struct tds_request *request,
			   const struct tds_value *value)
{
	struct tds_kept *kept =
		&request->parameters[request->parameter_count];

	if (request->parameter_count == EXCHANGE_PARAMETERS_MAX ||
	    request->values.length >= STATEMENT_BYTES_MAX)
		return;
	kept->at = (uint32_t)request->values.length;
	tds_value_text(value, &request->values);
	kept->length = (uint32_t)(request->values.length - kept->at);
	kept->there = !value->null;
	request->parameter_count++;
}

/* A value that has come whole. */
static void take_value(struct tds_asking *asking)
{
	struct tds_request *request = asking->request;
	const struct tds_procedure *known = tds_procedure_of(request);
	struct tds_value *value = &asking->value;
	struct cursor c = cursor_of(value->bytes.bytes, value->bytes.length);
	int number = (int)asking->parameter++;

	if (known && number == known->handle && request->calls == 1 &&
	    value->bytes.length == 4) {
		request->handle = (uint32_t)cursor_uint(&c, 4);
		request->has_handle = true;
	}
	if (known && number == known->text && request->calls == 1) {
		tds_value_text(value, &request->statement);
		request->statement_cut = value->cut ||
			request->statement.length > STATEMENT_BYTES_MAX;
		if (request->statement_cut &&
		    request->statement.length > STATEMENT_BYTES_MAX)
			request->statement.length = STATEMENT_BYTES_MAX;
	} else if (!known || (known->values >= 0 && number >= known->values)) {
		keep_parameter(request, value);
	}
}

static size_t read_value(struct tds *tds, const uint8_t *bytes, size_t length)
{
	struct tds_asking *asking = &tds->asking;
	struct cursor c = cursor_of(bytes, length);

	if (!tds_value_take(&asking->value, &c))
		return (size_t)(c.at - bytes);
	take_value(asking);
	asking->place = ASKING_PARAMETER;
	/* A value may have no bytes at all. */
	return c.at == bytes ? read_parameter(tds, bytes, length) :
			       (size_t)(c.at - bytes);
}

size_t tds_asking_unit(struct tds *tds, const uint8_t *bytes, size_t length,
		       bool last)
{
	switch (tds->asking.place) {
	case ASKING_HEADERS:
		return read_headers(tds, bytes, length, last);
	case ASKING_TEXT:
		return read_text(tds, bytes, length, last);
	case ASKING_LOGIN:
		return read_login(tds, bytes, length,
				  last && tds->packets[SIDE_CLIENT].ends);
	case ASKING_TRANSACTION:
		return read_transaction(tds, bytes, length);
	case ASKING_CALL:
		return read_call(tds, bytes, length);
	case ASKING_PARAMETER:
		return read_parameter(tds, bytes, length);
	case ASKING_VALUE:
		return read_value(tds, bytes, length);
	case ASKING_NOTHING:
		break;
	}
	return length;
}

/* Text of UTF-16: of printable ASCII here, as far as it is seen. */
static bool is_ascii(const uint8_t *bytes, size_t length, size_t chars)
{
	for (size_t i = 0; i < chars && 2 * i + 1 < length; i++) {
		bool space = bytes[2 * i] == '\t' || bytes[2 * i] == '\n' ||
			     bytes[2 * i] == '\r';

		if (bytes[2 * i + 1] || (!space && (bytes[2 * i] < 0x20 ||
						    bytes[2 * i] >= 0x7f)))
			return false;
	}
	return length >= 2;
}

static bool login_begins(const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	uint64_t total = cursor_uint(&c, 4), version = cursor_uint(&c, 4);

	return !c.bad && total >= LOGIN_FIXED_BYTES && total <= 1 << 17 &&
	       version >> 24 >= 0x70 && version >> 24 <= 0x74;
}

/*
 * PRELOGIN's options: a number, an offset and a length each.  The first is
 * always the version's.
 */
static bool prelogin_begins(const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	uint64_t option = cursor_uint(&c, 1), at = cursor_uint_be(&c, 2);
	uint64_t size = cursor_uint_be(&c, 2), next = cursor_uint(&c, 1);

	return !c.bad && option == 0 && size == 6 && at >= 6 && at <= 128 &&
	       (next <= 7 || next == 0xff);
}

bool tds_asking_begins(uint8_t type, const uint8_t *bytes, size_t length)
{
	size_t headers = headers_length(bytes, length);
	struct cursor c;
	uint64_t size;

	if (type == TDS_LOGIN)
		return login_begins(bytes, length);
	if (type == TDS_PRELOGIN)
		return prelogin_begins(bytes, length);
	if (headers)
		return type == TDS_SQL_BATCH || type == TDS_RPC ||
		       type == TDS_TRANSACTION;
	if (type == TDS_SQL_BATCH)
		return is_ascii(bytes, length, 8);
	if (type != TDS_RPC)
		return false;
	c = cursor_of(bytes, length);
	size = cursor_uint(&c, 2);
	if (size == 0xffff)
		size = cursor_uint(&c, 2);
	else if (!size || size > NAME_CHARS_MAX ||
		 !is_ascii(c.at, cursor_left(&c), (size_t)size))
		return false;
	else
		return true;
	return !c.bad && size && size < PROCEDURES;
}
