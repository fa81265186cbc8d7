/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tds_response.c - the server's answer: a stream of tokens, read one by one.
 *
 * A message may be of any length: rows are walked value by value, and no more
 * is kept than the value at hand.
 */
#include "parsers/tds.h"

#include <stdlib.h>

enum token {
	TOKEN_OFFSET = 0x78,
	TOKEN_RETURNSTATUS = 0x79,
	TOKEN_COLMETADATA = 0x81,
	TOKEN_TABNAME = 0xa4,
	TOKEN_COLINFO = 0xa5,
	TOKEN_ORDER = 0xa9,
	TOKEN_ERROR = 0xaa,
	TOKEN_INFO = 0xab,
	TOKEN_RETURNVALUE = 0xac,
	TOKEN_LOGINACK = 0xad,
	TOKEN_FEATUREEXTACK = 0xae,
	TOKEN_ROW = 0xd1,
	TOKEN_NBCROW = 0xd2,
	TOKEN_ENVCHANGE = 0xe3,
	TOKEN_SESSIONSTATE = 0xe4,
	TOKEN_SSPI = 0xed,
	TOKEN_FEDAUTHINFO = 0xee,
	TOKEN_DONE = 0xfd,
	TOKEN_DONEPROC = 0xfe,
	TOKEN_DONEINPROC = 0xff
};

#define DONE_ERROR	0x0002
#define DONE_COUNT	0x0010
#define DONE_ATTENTION	0x0020
#define DONE_SERVER_ERROR 0x0100
#define DONE_BITS	0x0137 /* all that are defined */
#define NO_METADATA	0xffff
#define ENVCHANGE_DATABASE 1
#define PRELOGIN_ENCRYPTION 1
#define PRELOGIN_END	0xff

void tds_answering_clear(struct tds_answering *answering)
{
	free(answering->columns);
	buffer_free(&answering->value.bytes);
	buffer_free(&answering->names);
	*answering = (struct tds_answering){ .columns = NULL };
}

void tds_answering_begin(struct tds *tds, struct tds_request *request)
{
	struct tds_answering *answering = &tds->answering;

	tds_answering_clear(answering);
	answering->request = request;
	answering->rows = answering->affected = -1;
	answering->encryption = -1;
	answering->place = request && request->type == TDS_PRELOGIN ?
		ANSWERING_PRELOGIN : ANSWERING_TOKEN;
}

/* As columns of TDS 7.2 and later are; so are those not known. */
static bool is_late(const struct tds *tds)
{
	return !tds->version || tds->version >= TDS_VERSION_72;
}

static void give_up(struct tds *tds)
{
	framed_give_up(&tds->framed, SIDE_SERVER);
}

/* The number of columns; NO_METADATA: those of the last time. */
static void take_colmetadata(struct tds *tds, struct cursor *c)
{
	struct tds_answering *a = &tds->answering;
	uint64_t count = cursor_uint(c, 2);

	if (c->bad)
		return;
	a->selects = true;
	a->described = false;
	a->results++;
	if (a->rows < 0)
		a->rows = 0;
	if (count == NO_METADATA)
		return;
	free(a->columns);
	a->column_count = a->column = 0;
	a->columns = NULL;
	if (count > TDS_COLUMNS_MAX) {
		give_up(tds);
		return;
	}
	a->columns = calloc(count + 1, sizeof(*a->columns));
	if (!a->columns) {
		give_up(tds);
		return;
	}
	a->column_count = count;
	a->columns_total += count;
	if (count)
		a->place = ANSWERING_COLUMN;
}

static size_t read_column(struct tds *tds, const uint8_t *bytes, size_t length)
{
	struct tds_answering *a = &tds->answering;
	struct tds_column *column = &a->columns[a->column];
	struct cursor c = cursor_of(bytes, length);
	struct span name;
	bool known;

	cursor_take(&c, is_late(tds) ? 6 : 4);
	known = tds_type_read(&column->type, &c, true);
	if (!known && !c.bad) {
		give_up(tds);
		return 0;
	}
	tds_table_skip(&column->type, &c, is_late(tds) ? TDS_VERSION_72 :
						     TDS_VERSION_71);
	name = cursor_span(&c, 2 * cursor_uint(&c, 1));
	if (c.bad)
		return 0;
	column->index = -1;
	if (a->kept_count < EXCHANGE_COLUMNS_MAX) {
		column->index = (int)a->kept_count;
		a->columns_kept[a->kept_count++] =
			tds_keep(&a->names, (const uint8_t *)name.bytes,
				 name.length);
	}
	if (++a->column == a->column_count)
		a->place = ANSWERING_TOKEN;
	return (size_t)(c.at - bytes);
}

static void end_row(struct tds_answering *a)
{
	a->rows++;
	a->place = ANSWERING_TOKEN;
}

/* The next value of the row that is not null, or the row's end. */
static void next_value(struct tds_answering *a)
{
	while (a->column < a->column_count && a->with_nulls &&
	       a->nulls[a->column / 8] >> (a->column % 8) & 1)
		a->column++;
	if (a->column == a->column_count) {
		end_row(a);
		return;
	}
	tds_value_begin(&a->value, &a->columns[a->column].type,
			VALUE_BYTES_MAX);
	a->place = ANSWERING_VALUE;
}

static void take_row(struct tds *tds, struct cursor *c, bool with_nulls)
{
	struct tds_answering *a = &tds->answering;
	size_t size = (a->column_count + 7) / 8;
	const uint8_t *nulls = with_nulls ? cursor_take(c, size) : NULL;

	if (c->bad)
		return;
	if (!a->columns) {
		give_up(tds);
		return;
	}
	if (nulls && size)
		memcpy(a->nulls, nulls, size);
	a->with_nulls = with_nulls;
	a->column = 0;
	next_value(a);
}

/* The value at hand to who listens, with what is known of the exchange. */
static void tell_value(struct tds *tds)
{
	struct tds_answering *a = &tds->answering;
	int index = a->columns[a->column].index;

	if (a->value.null || index < 0 || !tds->observer->value || !a->request)
		return;
	if (!a->described)
		tds_describe(tds, a->request, true);
	a->described = true;
	tds->text.length = 0;
	tds_value_text(&a->value, &tds->text);
	tds_tell_value(tds, index, buffer_span(&tds->text));
}

static size_t read_token(struct tds *tds, const uint8_t *bytes, size_t length);

static size_t read_value(struct tds *tds, const uint8_t *bytes, size_t length)
{
	struct tds_answering *a = &tds->answering;
	struct cursor c = cursor_of(bytes, length);

	while (tds_value_take(&a->value, &c)) {
		tell_value(tds);
		a->column++;
		next_value(a);
		if (a->place != ANSWERING_VALUE)
			break;
	}
	/* Values without a byte: the token behind them is next. */
	return c.at == bytes && a->place == ANSWERING_TOKEN ?
		read_token(tds, bytes, length) : (size_t)(c.at - bytes);
}

static void keep_message(struct tds_answering *a, struct cursor *c)
{
	uint64_t number = cursor_uint(c, 4), state = cursor_uint(c, 1);
	struct span text;

	cursor_take(c, 1);
	text = cursor_span(c, 2 * cursor_uint(c, 2));
	if (c->bad || a->error)
		return;
	a->described = false; /* names may move */
	a->error = (uint32_t)number;
	a->state = (uint32_t)state;
	a->message = tds_keep(&a->names, (const uint8_t *)text.bytes,
			      text.length);
}

static void take_envchange(struct tds *tds, struct cursor *c)
{
	struct span name;

	if (cursor_uint(c, 1) != ENVCHANGE_DATABASE)
		return;
	name = cursor_span(c, 2 * cursor_uint(c, 1));
	if (c->bad)
		return;
	tds->database.length = 0;
	tds_utf8(&tds->database, (const uint8_t *)name.bytes, name.length,
		 4 * 256);
}

/* The version that both will speak, in network order here. */
static void take_loginack(struct tds *tds, struct cursor *c)
{
	uint64_t version;

	cursor_take(c, 1);
	version = cursor_uint_be(c, 4);
	if (!c->bad && version >> 24 >= 0x70)
		tds->version = (uint32_t)version;
}

/* Tokens that tell their length. */
static void take_sized(struct tds *tds, unsigned token, struct cursor *c)
{
	bool wide = token == TOKEN_FEDAUTHINFO || token == TOKEN_SESSIONSTATE;
	uint64_t size = cursor_uint(c, wide ? 4 : 2);
	struct cursor inside;
	const uint8_t *bytes;

	if (c->bad)
		return;
	if (token == TOKEN_SSPI || token == TOKEN_FEDAUTHINFO)
		tds->answering.authenticates = true;
	/* Of no interest, and of any length. */
	if (token != TOKEN_ERROR && token != TOKEN_ENVCHANGE &&
	    token != TOKEN_LOGINACK) {
		size_t here = cursor_left(c) < size ? cursor_left(c) :
						      (size_t)size;

		cursor_take(c, here);
		framed_skip(&tds->framed, SIDE_SERVER, size - here);
		return;
	}
	bytes = cursor_take(c, size);
	if (c->bad)
		return;
	inside = cursor_of(bytes, (size_t)size);
	if (token == TOKEN_ERROR)
		keep_message(&tds->answering, &inside);
	else if (token == TOKEN_ENVCHANGE)
		take_envchange(tds, &inside);
	else
		take_loginack(tds, &inside);
}

static void take_done(struct tds *tds, struct cursor *c)
{
	struct tds_answering *a = &tds->answering;
	uint64_t status = cursor_uint(c, 2), count;

	cursor_take(c, 2);
	count = cursor_uint(c, is_late(tds) ? 8 : 4);
	if (c->bad)
		return;
	a->done = true;
	if (status & DONE_ATTENTION)
		a->attention = true;
	if (status & (DONE_ERROR | DONE_SERVER_ERROR) && !a->error)
		a->error = UINT32_MAX;
	if (status & DONE_COUNT && !a->selects && count <= INT64_MAX / 2) {
		if (a->affected < 0)
			a->affected = 0;
		if (a->affected < INT64_MAX / 2)
			a->affected += (int64_t)count;
		a->results++;
	}
	a->selects = false;
}

/* An output parameter: the handle of what was prepared is one. */
static void take_returnvalue(struct tds *tds, struct cursor *c)
{
	struct tds_answering *a = &tds->answering;
	struct tds_type type;

	cursor_take(c, 2);
	cursor_take(c, 2 * cursor_uint(c, 1));
	cursor_take(c, is_late(tds) ? 7 : 5);
	if (!tds_type_read(&type, c, false) && !c->bad) {
		give_up(tds);
		return;
	}
	if (c->bad)
		return;
	tds_value_begin(&a->value, &type, VALUE_BYTES_MAX);
	a->place = ANSWERING_RETURN;
}

/* A feature's number, and what is said of it; the last is 0xff. */
static size_t read_feature(struct tds *tds, const uint8_t *bytes,
			   size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	uint64_t id = cursor_uint(&c, 1), size;

	if (id == 0xff) {
		tds->answering.place = ANSWERING_TOKEN;
		return 1;
	}
	size = cursor_uint(&c, 4);
	if (c.bad)
		return 0;
	framed_skip(&tds->framed, SIDE_SERVER, size);
	return (size_t)(c.at - bytes);
}

static void take_token(struct tds *tds, unsigned token, struct cursor *c)
{
	struct tds_answering *a = &tds->answering;
	uint64_t number;

	switch (token) {
	case TOKEN_COLMETADATA:
		take_colmetadata(tds, c);
		break;
	case TOKEN_ROW:
	case TOKEN_NBCROW:
		take_row(tds, c, token == TOKEN_NBCROW);
		break;
	case TOKEN_DONE:
	case TOKEN_DONEPROC:
	case TOKEN_DONEINPROC:
		take_done(tds, c);
		break;
	case TOKEN_RETURNVALUE:
		take_returnvalue(tds, c);
		break;
	case TOKEN_RETURNSTATUS:
		number = cursor_uint(c, 4);
		if (c->bad)
			break;
		a->return_status = (int32_t)number;
		a->has_status = true;
		break;
	case TOKEN_OFFSET:
		cursor_take(c, 4);
		break;
	case TOKEN_FEATUREEXTACK:
		a->place = ANSWERING_FEATURE;
		break;
	case TOKEN_TABNAME: case TOKEN_COLINFO: case TOKEN_ORDER:
	case TOKEN_ERROR: case TOKEN_INFO: case TOKEN_LOGINACK:
	case TOKEN_ENVCHANGE: case TOKEN_SESSIONSTATE: case TOKEN_SSPI:
	case TOKEN_FEDAUTHINFO:
		take_sized(tds, token, c);
		break;
	default:
		give_up(tds);
	}
}

static size_t read_token(struct tds *tds, const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	unsigned token = (unsigned)cursor_uint(&c, 1);

	if (c.bad)
		return 0;
	take_token(tds, token, &c);
	return c.bad ? 0 : (size_t)(c.at - bytes);
}

/* Remembers the statement behind the handle, which is returned first. */
static void remember(struct tds *tds)
{
	const struct tds_request *request = tds->answering.request;
	const struct tds_procedure *known =
		request ? tds_procedure_of(request) : NULL;
	struct tds_value *value = &tds->answering.value;
	struct cursor c = cursor_of(value->bytes.bytes, value->bytes.length);
	struct tds_prepared *slot;
	uint32_t handle;

	if (tds->answering.returned++ || !known || known->text < 0 ||
	    known->handle < 0 ||
	    value->bytes.length != 4 || !request->statement.length ||
	    request->statement_cut)
		return;
	handle = (uint32_t)cursor_uint(&c, 4);
	for (size_t i = 0; i < tds->prepared_count; i++)
		if (tds->prepared[i].handle == handle)
			return;
	slot = &tds->prepared[tds->prepared_next];
	tds->prepared_next = (tds->prepared_next + 1) % TDS_PREPARED_MAX;
	if (tds->prepared_count < TDS_PREPARED_MAX)
		tds->prepared_count++;
	slot->handle = handle;
	slot->text.length = 0;
	buffer_append(&slot->text, request->statement.bytes,
		      request->statement.length);
}

static size_t read_return(struct tds *tds, const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);

	if (tds_value_take(&tds->answering.value, &c)) {
		remember(tds);
		tds->answering.place = ANSWERING_TOKEN;
		if (c.at == bytes)
			return read_token(tds, bytes, length);
	}
	return (size_t)(c.at - bytes);
}

/* The options of PRELOGIN, of which the encryption's matters. */
static size_t read_prelogin(struct tds *tds, const uint8_t *bytes,
			    size_t length, bool last)
{
	struct cursor c = cursor_of(bytes, length);

	if (!last)
		return 0;
	tds->answering.done = true;
	tds->answering.place = ANSWERING_NOTHING;
	while (!c.bad) {
		uint64_t option = cursor_uint(&c, 1);
		uint64_t at = cursor_uint_be(&c, 2);
		uint64_t size = cursor_uint_be(&c, 2);

		if (option == PRELOGIN_END)
			break;
		if (option == PRELOGIN_ENCRYPTION && size == 1 && at < length)
			tds->answering.encryption = bytes[at];
	}
	return length;
}

size_t tds_answering_unit(struct tds *tds, const uint8_t *bytes,
			  size_t length, bool last)
{
	switch (tds->answering.place) {
	case ANSWERING_TOKEN:
		return read_token(tds, bytes, length);
	case ANSWERING_COLUMN:
		return read_column(tds, bytes, length);
	case ANSWERING_VALUE:
		return read_value(tds, bytes, length);
	case ANSWERING_RETURN:
		return read_return(tds, bytes, length);
	case ANSWERING_FEATURE:
		return read_feature(tds, bytes, length);
	case ANSWERING_PRELOGIN:
		return read_prelogin(tds, bytes, length,
				     last && tds->packets[SIDE_SERVER].ends);
	case ANSWERING_NOTHING:
		break;
	}
	return length;
}

bool tds_answering_begins(const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	unsigned token = (unsigned)cursor_uint(&c, 1);
	uint64_t value = cursor_uint(&c, 2), first = cursor_uint(&c, 1);

	if (c.bad)
		return false;
	switch (token) {
	case TOKEN_COLMETADATA:
		return value && (value <= TDS_COLUMNS_MAX ||
				 value == NO_METADATA);
	case TOKEN_DONE: case TOKEN_DONEPROC: case TOKEN_DONEINPROC:
		return !(value & ~(uint64_t)DONE_BITS) && length >= 9;
	case TOKEN_ENVCHANGE:
		return value >= 3 && first && first <= 20;
	case TOKEN_ERROR: case TOKEN_INFO:
		return value >= 12;
	case TOKEN_LOGINACK:
		return value >= 8 && first <= 1;
	case TOKEN_RETURNSTATUS:
		return length > 5 && (bytes[5] == TOKEN_RETURNVALUE ||
				      bytes[5] >= TOKEN_DONE);
	case TOKEN_ORDER: case TOKEN_TABNAME: case TOKEN_SSPI:
		return value <= length;
	default:
		return false;
	}
}
