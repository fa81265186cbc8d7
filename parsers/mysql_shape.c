/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql_shape.c - what bytes look like: is it MySQL, does a message begin?
 *
 * Used where no count of bytes tells: for probe(), at a start in
 * mid-connection, and after a gap.  Each test asks for more than a header:
 * SHAPE_YES is wrong with a chance below 2^-30 on random bytes.
 */
#include "parsers/mysql.h"

#include <strings.h>

#define GREETING_VERSION_MAX 64	   /* bytes of a server's version */
#define LOGIN_BYTES_MAX	     16384 /* of a HandshakeResponse, attributes in */
#define LOGIN_USER_MAX	     256   /* bytes of a user's name */
#define ROW_WAIT_MAX	     16384 /* a row longer than that isn't waited for */
#define OK_BYTES_MAX	     4096  /* of an OK with its texts */
#define STATUS_UNUSED	     0x0004 /* a flag that no server sets */
#define TEXT_SEEN_MIN	     16	   /* of a statement that the window cuts */
#define BINLOG_NAME_MAX	     512   /* bytes of a binary log's name */
#define REFUSAL_TEXT_MIN     4	   /* bytes of what a server's error says */
#define ERROR_CODE_MIN	     1000  /* of a server's errors */
#define ERROR_CODE_MAX	     16000
#define SHORT_REQUESTS_MAX   4	   /* that are looked through in a row */
#define SEMI_SYNC_MARK	     0xef
#define EVENT_SIZE_AT	     9	   /* of an event's header: its size */

static uint32_t packet_length(const uint8_t *bytes)
{
	return bytes[0] | bytes[1] << 8 | (uint32_t)bytes[2] << 16;
}

static enum shape least(enum shape a, enum shape b)
{
	return a < b ? a : b;
}

static bool is_printable(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((bytes[i] < 0x20 && bytes[i] != '\t' && bytes[i] != '\n' &&
		     bytes[i] != '\r') || bytes[i] == 0x7f)
			return false;
	return true;
}

/* Do statements begin with that word? */
static bool is_verb(const struct sql_token *token)
{
	static const char *const verbs[] = {
		"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH",
		"SET", "SHOW", "BEGIN", "START", "COMMIT", "ROLLBACK", "CALL",
		"CREATE", "ALTER", "DROP", "TRUNCATE", "USE", "EXPLAIN",
		"DESC", "DESCRIBE", "LOCK", "UNLOCK", "GRANT", "REVOKE",
		"ANALYZE", "OPTIMIZE", "CHECK", "CHECKSUM", "REPAIR", "LOAD",
		"PREPARE", "EXECUTE", "DEALLOCATE", "SAVEPOINT", "RELEASE",
		"XA", "KILL", "FLUSH", "HANDLER", "DO", "RENAME", "RESET",
		"CHANGE", "STOP", "PURGE", "BINLOG", "VALUES", "TABLE",
		"SIGNAL", "INSTALL", "UNINSTALL", "CACHE", "HELP", "BACKUP",
		"CLONE", "SHUTDOWN", "IMPORT", NULL
	};

	for (size_t i = 0; verbs[i]; i++)
		if (sql_token_is(token, verbs[i]))
			return true;
	return false;
}

/*
 * A statement at the start of `length` bytes seen, of `whole`: blanks and
 * comments, opening parentheses, then a verb.
 */
static enum shape shape_statement(const uint8_t *bytes, size_t length,
				  size_t whole)
{
	struct sql_lexer lexer;
	struct sql_token token;

	/* Query attributes: none of them, one set. */
	if (length >= 2 && bytes[0] < 0x20 && bytes[1] == 1) {
		if (bytes[0])
			return length >= TEXT_SEEN_MIN || length == whole ?
				SHAPE_YES : SHAPE_SHORT;
		bytes += 2;
		length -= 2;
		whole -= 2;
	}
	if (!is_printable(bytes, length < 64 ? length : 64))
		return SHAPE_NO;
	if (length < whole && length < TEXT_SEEN_MIN)
		return SHAPE_SHORT;
	lexer = sql_lexer_of((const char *)bytes, length, 0);
	do
		token = sql_lexer_next(&lexer);
	while (token.kind == SQL_SPACE || token.kind == SQL_COMMENT ||
	       token.kind == SQL_DELIMITER ||
	       (token.kind == SQL_PUNCTUATION && *token.at == '('));
	return is_verb(&token) ? SHAPE_YES : SHAPE_NO;
}

/* Commands whose payload has one length: that, code included; else 0. */
static uint32_t fixed_length(uint8_t code)
{
	switch (code) {
	case COM_QUIT:
	case COM_STATISTICS:
	case 0x0a: /* COM_PROCESS_INFO */
	case 0x0d: /* COM_DEBUG */
	case 0x0e: /* COM_PING */
	case COM_RESET_CONNECTION:
		return 1;
	case 0x1b: /* COM_SET_OPTION */
		return 3;
	case 0x0c: /* COM_PROCESS_KILL */
	case COM_STMT_CLOSE:
	case COM_STMT_RESET:
		return 5;
	case COM_STMT_FETCH:
		return 9;
	default:
		return 0;
	}
}

/* A replica's wish for a binary log, or its registration: all of it. */
static enum shape shape_replica(const uint8_t *payload, size_t seen,
				uint32_t length)
{
	struct cursor c = cursor_of(payload + 1, seen - 1);
	struct span file;

	if (length < 11 || length > LOGIN_BYTES_MAX)
		return SHAPE_NO;
	if (seen < length)
		return SHAPE_SHORT;
	switch (payload[0]) {
	case COM_BINLOG_DUMP:
		cursor_take(&c, 4 + 2 + 4);
		file = cursor_span(&c, cursor_left(&c));
		break;
	case COM_BINLOG_DUMP_GTID:
		cursor_take(&c, 2 + 4);
		file = cursor_span(&c, cursor_uint(&c, 4));
		cursor_take(&c, 8);
		cursor_take(&c, cursor_uint(&c, 4));
		break;
	default: /* COM_REGISTER_SLAVE: host, user, password */
		cursor_take(&c, 4);
		file = cursor_span(&c, cursor_uint(&c, 1));
		cursor_span(&c, cursor_uint(&c, 1));
		cursor_span(&c, cursor_uint(&c, 1));
		cursor_take(&c, 2 + 4 + 4);
	}
	return !c.bad && !cursor_left(&c) && file.length <= BINLOG_NAME_MAX &&
	       is_printable((const uint8_t *)file.bytes, file.length) ?
		SHAPE_YES : SHAPE_NO;
}

/* The payload of a request: `seen` of `length` bytes. */
static enum shape shape_payload(const uint8_t *payload, size_t seen,
				uint32_t length)
{
	uint32_t fixed = fixed_length(payload[0]);
	size_t name = seen - 1;

	if (fixed)
		return fixed != length ? SHAPE_NO :
		       seen < length ? SHAPE_SHORT : SHAPE_YES;
	switch (payload[0]) {
	case COM_QUERY:
	case COM_STMT_PREPARE:
		if (length < 2)
			return SHAPE_NO;
		return shape_statement(payload + 1, seen - 1, length - 1);
	case COM_INIT_DB:
	case COM_FIELD_LIST:
		if (length < 2 || length > 512)
			return SHAPE_NO;
		/* A table's name may end in a NUL and a pattern. */
		if (payload[0] == COM_FIELD_LIST)
			name = strnlen((const char *)payload + 1, seen - 1);
		if ((seen > 1 && !name) || !is_printable(payload + 1, name))
			return SHAPE_NO;
		return seen < length ? SHAPE_SHORT : SHAPE_YES;
	case COM_STMT_EXECUTE:
		if (length < 10)
			return SHAPE_NO;
		if (seen < 10)
			return SHAPE_SHORT;
		/* flags, and the number of iterations, always 1 */
		return payload[5] <= 0x0f && payload[6] == 1 && !payload[7] &&
		       !payload[8] && !payload[9] ? SHAPE_YES : SHAPE_NO;
	case COM_STMT_BULK_EXECUTE:
		if (length < 7)
			return SHAPE_NO;
		if (seen < 7)
			return SHAPE_SHORT;
		return !(payload[5] & 0x3f) && !payload[6] ? SHAPE_YES :
							     SHAPE_NO;
	case COM_STMT_SEND_LONG_DATA:
		if (length < 7)
			return SHAPE_NO;
		return seen < length ? SHAPE_SHORT : SHAPE_YES;
	case COM_BINLOG_DUMP:
	case COM_BINLOG_DUMP_GTID:
	case COM_REGISTER_SLAVE:
		return shape_replica(payload, seen, length);
	case COM_CHANGE_USER:
		if (length < 4 || length > LOGIN_BYTES_MAX)
			return SHAPE_NO;
		if (seen < length)
			return SHAPE_SHORT;
		return memchr(payload + 1, 0, length - 1) &&
		       is_printable(payload + 1,
				    strnlen((const char *)payload + 1,
					    length - 1)) ?
			SHAPE_YES : SHAPE_NO;
	default:
		return SHAPE_NO;
	}
}

/* One request; *end: bytes of it, where it is one. */
static enum shape shape_request(const uint8_t *bytes, size_t length,
				size_t *end)
{
	uint32_t payload;
	size_t seen;
	enum shape shape;

	if (length >= 4 && bytes[3])
		return SHAPE_NO;
	if (length <= MYSQL_HEADER_BYTES)
		return SHAPE_SHORT;
	payload = packet_length(bytes);
	if (!payload)
		return SHAPE_NO;
	*end = MYSQL_HEADER_BYTES + (size_t)payload;
	seen = (length < *end ? length : *end) - MYSQL_HEADER_BYTES;
	shape = shape_payload(bytes + MYSQL_HEADER_BYTES, seen, payload);
	if (shape == SHAPE_SHORT && length >= PARSER_WINDOW_MAX / 2)
		return SHAPE_NO;
	/* What follows is another request, or the rest of this one. */
	if (shape == SHAPE_YES && length >= *end + MYSQL_HEADER_BYTES &&
	    payload != MYSQL_PACKET_MAX && bytes[*end + 3] > 3)
		return SHAPE_NO;
	return shape;
}

/* Short commands are mostly zeros: what follows them must be requests too. */
enum shape mysql_shape_request(const uint8_t *bytes, size_t length)
{
	size_t end = 0;
	enum shape first = shape_request(bytes, length, &end), next = first;

	for (unsigned i = 0; i < SHORT_REQUESTS_MAX && next == SHAPE_YES &&
			     length > end &&
			     fixed_length(bytes[MYSQL_HEADER_BYTES]); i++) {
		if (bytes[MYSQL_HEADER_BYTES] == COM_QUIT)
			return SHAPE_NO;
		bytes += end;
		length -= end;
		next = shape_request(bytes, length, &end);
	}
	return next == SHAPE_NO ? SHAPE_NO : first;
}

enum shape mysql_shape_login(const uint8_t *bytes, size_t length)
{
	const uint8_t *user;
	uint32_t payload;
	size_t left;

	if (length >= 4 && (bytes[3] < 1 || bytes[3] > 2))
		return SHAPE_NO;
	if (length >= 4 && (packet_length(bytes) < 32 ||
			    packet_length(bytes) > LOGIN_BYTES_MAX))
		return SHAPE_NO;
	if (length >= 6 && !(bytes[5] & CLIENT_PROTOCOL_41 >> 8))
		return SHAPE_NO;
	for (size_t i = 13; i < 13 + 19 && i < length; i++)
		if (bytes[i])
			return SHAPE_NO;
	if (length < 36)
		return SHAPE_SHORT;
	payload = packet_length(bytes);
	if (payload == 32)
		return bytes[5] & CLIENT_SSL >> 8 ? SHAPE_YES : SHAPE_NO;
	user = bytes + 36;
	left = length - 36;
	if (left > LOGIN_USER_MAX)
		left = LOGIN_USER_MAX;
	if (left > payload - 32)
		left = payload - 32;
	if (!is_printable(user, strnlen((const char *)user, left)))
		return SHAPE_NO;
	if (memchr(user, 0, left))
		return SHAPE_YES;
	return left < LOGIN_USER_MAX && left < payload - 32 ? SHAPE_SHORT :
							       SHAPE_NO;
}

enum shape mysql_shape_greeting(const uint8_t *bytes, size_t length)
{
	size_t version, left;

	if (length >= 4 && (bytes[3] || bytes[1] > 1 || bytes[2] ||
			    packet_length(bytes) < 30))
		return SHAPE_NO;
	if (length >= 5 && bytes[4] != 10)
		return SHAPE_NO;
	if (length <= 5)
		return SHAPE_SHORT;
	left = length - 5;
	version = strnlen((const char *)bytes + 5, left);
	if (!version || version > GREETING_VERSION_MAX ||
	    !is_printable(bytes + 5, version))
		return SHAPE_NO;
	/* Behind it: thread, 8 bytes of scramble, a zero. */
	if (left < version + 1 + 4 + 8 + 1)
		return SHAPE_SHORT;
	return bytes[5 + version + 1 + 4 + 8] ? SHAPE_NO : SHAPE_YES;
}

enum shape mysql_shape_refusal(const uint8_t *bytes, size_t length)
{
	uint32_t payload;
	unsigned code;

	if (length >= 4 && (bytes[3] || bytes[1] > 1 || bytes[2] ||
			    packet_length(bytes) < 3 + REFUSAL_TEXT_MIN))
		return SHAPE_NO;
	if (length >= 5 && bytes[4] != 0xff)
		return SHAPE_NO;
	if (length < 7)
		return SHAPE_SHORT;
	payload = packet_length(bytes);
	code = bytes[5] | (unsigned)bytes[6] << 8;
	if (code < ERROR_CODE_MIN || code > ERROR_CODE_MAX ||
	    length > MYSQL_HEADER_BYTES + payload ||
	    !is_printable(bytes + 7, length - 7))
		return SHAPE_NO;
	return length < MYSQL_HEADER_BYTES + payload ? SHAPE_SHORT : SHAPE_YES;
}

enum shape mysql_shape_event(const uint8_t *bytes, size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	uint32_t payload;
	uint64_t size;

	if (length >= 5 && bytes[4])
		return SHAPE_NO;
	payload = (uint32_t)cursor_uint(&c, 3);
	cursor_uint(&c, 1 + 1);
	/* A semi-synchronous replica's are marked so, and numbered. */
	if (cursor_left(&c) && *c.at == SEMI_SYNC_MARK)
		cursor_uint(&c, 2);
	cursor_take(&c, EVENT_SIZE_AT);
	size = cursor_uint(&c, 4);
	if (c.bad)
		return SHAPE_SHORT;
	return size + 1 == payload || size + 3 == payload ? SHAPE_YES :
							    SHAPE_NO;
}

/* An OK: two numbers, status, warnings, texts; a PREPARE's: 12 bytes. */
static enum shape shape_ok(const uint8_t *payload, size_t seen, uint32_t length)
{
	struct cursor c = cursor_of(payload + 1, seen - 1), text;
	uint16_t status;

	if (length < 7 || length > OK_BYTES_MAX)
		return SHAPE_NO;
	if (seen < length)
		return SHAPE_SHORT;
	if ((length == 12 || length == 13) && !payload[9])
		return SHAPE_YES;
	cursor_lenenc(&c);
	cursor_lenenc(&c);
	status = (uint16_t)cursor_uint(&c, 2);
	cursor_uint(&c, 2);
	if (c.bad || status & STATUS_UNUSED)
		return SHAPE_NO;
	text = c;
	while (cursor_left(&text) && !text.bad)
		cursor_string(&text);
	return !text.bad || is_printable(c.at, cursor_left(&c)) ? SHAPE_YES :
								  SHAPE_NO;
}

static enum shape shape_error(const uint8_t *payload, size_t seen,
			      uint32_t length)
{
	if (length < 9 || length > OK_BYTES_MAX)
		return SHAPE_NO;
	if (seen < 9)
		return SHAPE_SHORT;
	if (payload[3] != '#')
		return SHAPE_NO;
	for (int i = 4; i < 9; i++)
		if (payload[i] < '0' || payload[i] > 'Z')
			return SHAPE_NO;
	return SHAPE_YES;
}

/* The number of columns; the first definition tells that it is one. */
static enum shape shape_count(const uint8_t *bytes, size_t length)
{
	static const uint8_t def[] = { 3, 'd', 'e', 'f' };
	uint32_t payload = packet_length(bytes);
	size_t end = MYSQL_HEADER_BYTES + payload;
	uint8_t second = bytes[3] + 1;

	if (payload > 4 || (bytes[4] < 0xfb && payload > 2))
		return SHAPE_NO;
	if (length < end + MYSQL_HEADER_BYTES + sizeof(def))
		return length > end + 3 && bytes[end + 3] != second ?
			SHAPE_NO : SHAPE_SHORT;
	if (bytes[end + 3] != second)
		return SHAPE_NO;
	if (!memcmp(bytes + end + MYSQL_HEADER_BYTES, def, sizeof(def)))
		return SHAPE_YES;
	/* Without definitions: the number, and a byte that says so. */
	return payload == 2 && (!bytes[4] || !bytes[5]) ? SHAPE_YES : SHAPE_NO;
}

enum shape mysql_shape_response(const uint8_t *bytes, size_t length,
				uint8_t sequence)
{
	static const uint8_t uptime[] = "Uptime: ";
	uint32_t payload;
	size_t seen;

	if (length >= 4 && bytes[3] != sequence)
		return SHAPE_NO;
	if (length <= MYSQL_HEADER_BYTES)
		return SHAPE_SHORT;
	payload = packet_length(bytes);
	if (!payload)
		return SHAPE_NO;
	seen = length - MYSQL_HEADER_BYTES;
	switch (bytes[4]) {
	case 0x00:
		return payload == 2 ?
			shape_count(bytes, length) :
			shape_ok(bytes + 4, seen < payload ? seen : payload,
				 payload);
	case 0xff:
		return shape_error(bytes + 4, seen, payload);
	case 0xfe:
		if (payload != 5)
			return SHAPE_NO;
		return seen < 5 ? SHAPE_SHORT : SHAPE_YES;
	case 'U':
		if (payload > 2 && payload <= OK_BYTES_MAX)
			return memcmp(bytes + 4, uptime,
				      seen < 8 ? seen : 8) ? SHAPE_NO :
			       seen < 8 ? SHAPE_SHORT : SHAPE_YES;
		break;
	}
	if (bytes[4] == 0xfb)
		return SHAPE_NO;
	return shape_count(bytes, length);
}

/* What a text row's fields say, as far as `seen`: do they fit `length`? */
static enum shape shape_text_row(const struct mysql *my, const uint8_t *row,
				 size_t seen, uint32_t length)
{
	struct cursor c = cursor_of(row, seen);
	uint64_t left = length;

	if (seen == length)
		return mysql_row_is_text(my, row, length) ? SHAPE_YES :
							    SHAPE_NO;
	for (uint64_t i = 0; i < my->columns.set_total; i++) {
		const uint8_t *start = c.at;
		uint64_t size = 0;

		if (!cursor_left(&c))
			return SHAPE_SHORT;
		if (*c.at == 0xfb)
			cursor_uint(&c, 1);
		else
			size = cursor_lenenc(&c);
		if (c.bad)
			return *start == 0xff ? SHAPE_NO : SHAPE_SHORT;
		size += (uint64_t)(c.at - start);
		if (size > left)
			return SHAPE_NO;
		left -= size;
		if (size > (uint64_t)(c.end - start))
			return SHAPE_SHORT;
		c.at = start + size;
	}
	return SHAPE_NO;
}

enum shape mysql_shape_row(struct mysql *my, const uint8_t *bytes,
			   size_t length)
{
	uint32_t payload;
	size_t end, seen;
	enum shape shape;

	if (length <= MYSQL_HEADER_BYTES)
		return SHAPE_SHORT;
	payload = packet_length(bytes);
	end = MYSQL_HEADER_BYTES + (size_t)payload;
	seen = length - MYSQL_HEADER_BYTES;
	if (!payload || payload == MYSQL_PACKET_MAX || !my->columns.set_total)
		return SHAPE_NO;
	if (seen > payload)
		seen = payload;
	if (bytes[4] == 0xff)
		return shape_error(bytes + 4, seen, payload);
	if (bytes[4] == 0xfe) {
		if (payload != 5 && (payload < 7 || payload > OK_BYTES_MAX))
			return SHAPE_NO;
		if (seen < 5)
			return SHAPE_SHORT;
		return payload == 5 || (!bytes[5] && !bytes[6]) ? SHAPE_YES :
								  SHAPE_NO;
	}
	if (seen < payload && payload > ROW_WAIT_MAX)
		return SHAPE_NO;
	if (!my->response.binary)
		shape = shape_text_row(my, bytes + 4, seen, payload);
	else if (bytes[4])
		shape = SHAPE_NO;
	else if (seen < payload)
		shape = SHAPE_SHORT;
	else
		shape = mysql_row_is_binary(my, bytes + 4, payload) ?
			SHAPE_YES : SHAPE_NO;
	if (shape == SHAPE_YES && length >= end + MYSQL_HEADER_BYTES &&
	    bytes[end + 3] != (uint8_t)(bytes[3] + 1))
		return SHAPE_NO;
	return shape;
}

/* The window from byte `at` on, as far as shapes look at it. */
static enum shape response_at(const struct window *server, size_t at)
{
	return mysql_shape_response(server->bytes + at, server->length - at,
				    1);
}

/* The first byte of `server` that moved no earlier than `ns`. */
static size_t first_since(const struct window *server, uint64_t ns)
{
	size_t at = 0;

	for (size_t i = 0; i < server->mark_count; i++) {
		if (!ns || server->marks[i].last_ns >= ns)
			return at;
		at = window_mark_end(server, i);
	}
	return server->mark_count ? server->length : 0;
}

/* Were `client` the client: is it MySQL? */
static enum shape shape_of_roles(const struct window *client,
				 const struct window *server, bool from_start)
{
	enum shape request, framed, login;
	enum shape greeting = SHAPE_NO, refusal = SHAPE_NO;
	size_t at;

	if (server->length) {
		greeting = mysql_shape_greeting(server->bytes, server->length);
		if (from_start)
			refusal = mysql_shape_refusal(server->bytes,
						      server->length);
		if (greeting == SHAPE_YES || refusal == SHAPE_YES)
			return SHAPE_YES;
		if (greeting == SHAPE_NO)
			greeting = refusal;
	}
	if (!client->length)
		return from_start && greeting == SHAPE_NO && server->length ?
			SHAPE_NO : SHAPE_SHORT;
	login = mysql_shape_login(client->bytes, client->length);
	if (login == SHAPE_YES)
		return SHAPE_YES;
	request = mysql_shape_request(client->bytes, client->length);
	framed = mysql_frames_shape(SIDE_CLIENT, client->bytes,
				    client->length);
	if (request == SHAPE_NO && framed == SHAPE_NO)
		return login;
	if (!server->length)
		return SHAPE_SHORT;
	at = first_since(server, window_first_ns(client, 0));
	if (at >= server->length)
		return SHAPE_SHORT;
	request = least(request, response_at(server, at));
	framed = least(framed, mysql_frames_shape(SIDE_SERVER,
						  server->bytes + at,
						  server->length - at));
	return request > framed ? request : framed;
}

enum verdict mysql_probe(const struct opening *opening, bool *client_out)
{
	enum shape out = shape_of_roles(&opening->out, &opening->in,
					opening->from_start);
	enum shape in = shape_of_roles(&opening->in, &opening->out,
				       opening->from_start);

	if (out == SHAPE_YES || in == SHAPE_YES) {
		*client_out = out == SHAPE_YES;
		return PROBE_YES;
	}
	return out == SHAPE_NO && in == SHAPE_NO ? PROBE_NO : PROBE_MORE;
}
