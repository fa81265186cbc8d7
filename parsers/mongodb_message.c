/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mongodb_message.c - what stands in a message of each opcode.
 *
 * Source: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
 * and https://www.mongodb.com/docs/manual/legacy-opcodes/
 */
#include "parsers/mongodb.h"

#include <string.h>

#include "parsers/cursor.h"

#define FLAG_CHECKSUM	  1u
#define FLAG_MORE_TO_COME 2u
#define FLAG_EXHAUST	  (1u << 16)
#define FLAGS_REQUIRED	  0xffffu /* of them unknown ones are an error */
#define REPLY_FAILED	  2u	  /* of OP_REPLY: QueryFailure */
#define CHECKSUM_BYTES	  4
#define NAME_CHARACTERS                                                    \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$"

static void need(struct message *message, size_t bytes)
{
	message->stage = STAGE_FIXED;
	message->need = bytes;
	message->scratch.length = 0;
}

static void start_scan(struct message *message, enum scan_kind root)
{
	message->stage = STAGE_SCAN;
	scan_start(&message->scan, root);
}

void message_start(struct mongodb *mongo, enum side side)
{
	struct message *message = &mongo->flows[side].message;

	message->flags = 0;
	message->in_sequence = false;
	message->documents = 0;
	message->body_cut = false;
	message->scratch.length = message->body.length = 0;
	if (message->opcode == OP_KILL_CURSORS)
		message->stage = STAGE_SKIP;
	else
		need(message, message->opcode == OP_REPLY ? 20 : 4);
}

static void copy(char *to, size_t size, struct span from)
{
	size_t length = from.length < size ? from.length : size - 1;

	memcpy(to, from.bytes, length);
	to[length] = '\0';
}

/* "database.collection", "database.$cmd" of a command. */
static void take_space(struct message *message)
{
	struct mongo_request *request = message->request;
	struct span space = buffer_span(&message->scratch);
	const char *dot = space.length ? memchr(space.bytes, '.',
						space.length) : NULL;

	if (!dot)
		return;
	copy(request->database, sizeof(request->database),
	     (struct span){ space.bytes, (size_t)(dot - space.bytes) });
	copy(request->collection, sizeof(request->collection),
	     (struct span){ dot + 1,
			    space.length - 1 -
			    (size_t)(dot - space.bytes) });
	if (message->opcode == OP_QUERY &&
	    !strncmp(request->collection, "$cmd", 4)) {
		request->collection[0] = '\0';
		return;
	}
	request->legacy_find = message->opcode == OP_QUERY;
	strcpy(request->name, message->opcode == OP_QUERY ? "find" :
			      message->opcode == OP_GET_MORE ? "getMore" :
			      message->opcode == OP_INSERT ? "insert" :
			      message->opcode == OP_UPDATE ? "update" :
							     "delete");
}

/* The name is whole: what follows? */
static void after_space(struct message *message)
{
	if (message->opcode == OP_MSG) {
		message->stage = STAGE_COUNT;
		message->scratch.length = 0;
		return;
	}
	take_space(message);
	switch (message->opcode) {
	case OP_QUERY:
		need(message, 8); /* skip and return */
		break;
	case OP_UPDATE:
	case OP_DELETE:
		need(message, 4); /* flags */
		break;
	case OP_INSERT:
		start_scan(message, SCAN_COMMAND);
		break;
	default:
		message->stage = STAGE_SKIP;
		break;
	}
}

static void take_reply_head(struct message *message)
{
	struct cursor c = cursor_of(message->scratch.bytes,
				    message->scratch.length);
	struct mongo_request *request = message->request;
	uint32_t flags = (uint32_t)cursor_uint(&c, 4);

	request->reply.seen = true;
	request->reply.cursor = (int64_t)cursor_uint(&c, 8);
	cursor_uint(&c, 4);
	request->reply.failed = flags & REPLY_FAILED;
	if (request->legacy_find || request->opcode == OP_GET_MORE)
		request->reply.documents = (int64_t)cursor_uint(&c, 4);
	start_scan(message, SCAN_ANSWER);
}

static void take_flags(struct message *message)
{
	struct cursor c = cursor_of(message->scratch.bytes,
				    message->scratch.length);
	uint32_t flags = (uint32_t)cursor_uint(&c, 4);

	message->flags = flags;
	if (flags & FLAGS_REQUIRED & ~(FLAG_CHECKSUM | FLAG_MORE_TO_COME)) {
		message->stage = STAGE_BAD;
		return;
	}
	message->stage = STAGE_KIND;
}

static bool is_request(const struct message *message)
{
	return message->side == SIDE_CLIENT;
}

static void take_fixed(struct message *message)
{
	bool second = message->request->database[0];

	switch (message->opcode) {
	case OP_MSG:
		take_flags(message);
		break;
	case OP_REPLY:
		take_reply_head(message);
		break;
	case OP_UPDATE:
	case OP_DELETE:
	case OP_QUERY:
		if (second) {
			start_scan(message, SCAN_COMMAND);
			break;
		}
		/* fall through */
	default:
		message->stage = STAGE_SPACE;
		message->scratch.length = 0;
		break;
	}
}

static size_t feed_fixed(struct message *message, const uint8_t *bytes,
			 size_t length)
{
	size_t take = message->need - message->scratch.length;

	if (take > length)
		take = length;
	if (!buffer_append(&message->scratch, bytes, take))
		message->stage = STAGE_BAD;
	else if (message->scratch.length == message->need)
		take_fixed(message);
	return take;
}

static size_t feed_space(struct message *message, const uint8_t *bytes,
			 size_t length)
{
	const uint8_t *nul = memchr(bytes, 0, length);
	size_t take = nul ? (size_t)(nul - bytes) : length;

	if (!buffer_gather(&message->scratch, bytes, take, MONGODB_SPACE_MAX))
		message->stage = STAGE_BAD;
	else if (nul)
		after_space(message);
	return take + (nul != NULL);
}

/* Bytes behind the last section. */
static uint64_t tail(const struct message *message)
{
	return message->flags & FLAG_CHECKSUM ? CHECKSUM_BYTES : 0;
}

static size_t feed_kind(struct message *message, uint8_t kind)
{
	if (message->content <= tail(message)) {
		message->stage = message->content == tail(message) ?
			STAGE_SKIP : STAGE_BAD;
	} else if (!kind) {
		message->request->reply.seen |= !is_request(message);
		start_scan(message, is_request(message) ? SCAN_COMMAND :
							   SCAN_ANSWER);
	} else if (kind == 1) {
		message->stage = STAGE_SIZE;
		message->scratch.length = 0;
	} else {
		message->stage = STAGE_BAD;
	}
	return 1;
}

/* A size of 4 bytes; false: not whole yet. */
static bool gather_size(struct message *message, const uint8_t *bytes,
			size_t length, size_t *take, uint64_t *size)
{
	struct cursor c;

	*take = 4 - message->scratch.length;
	if (*take > length)
		*take = length;
	if (!buffer_append(&message->scratch, bytes, *take)) {
		message->stage = STAGE_BAD;
		return false;
	}
	if (message->scratch.length < 4)
		return false;
	c = cursor_of(message->scratch.bytes, 4);
	*size = cursor_uint(&c, 4);
	message->scratch.length = 0;
	return true;
}

static size_t feed_size(struct message *message, const uint8_t *bytes,
			size_t length)
{
	uint64_t size;
	size_t take;

	if (!gather_size(message, bytes, length, &take, &size))
		return take;
	message->stage = STAGE_BAD;
	/* At least an identifier of one byte; and no more than there is. */
	if (size < 6 || size - 4 + tail(message) > message->content - take)
		return take;
	message->sequence_left = size - 4;
	message->in_sequence = true;
	message->stage = STAGE_SPACE;
	return take;
}

static size_t feed_count(struct message *message, const uint8_t *bytes,
			 size_t length)
{
	uint64_t size;
	size_t take;

	if (!gather_size(message, bytes, length, &take, &size))
		return take;
	if (size < 5 || size - 4 > message->sequence_left - take) {
		message->stage = STAGE_BAD;
		return take;
	}
	message->request->documents++;
	message->skip = size - 4;
	message->stage = STAGE_SKIP;
	return take;
}

static size_t feed_skip(struct message *message, size_t length)
{
	if (!message->in_sequence)
		return length;
	if (length > message->skip)
		length = (size_t)message->skip;
	message->skip -= length;
	if (!message->skip)
		message->stage = STAGE_COUNT;
	return length;
}

/* A document has ended: what comes behind it? */
static void after_document(struct message *message)
{
	message->documents++;
	if (message->opcode == OP_MSG) {
		message->stage = STAGE_KIND;
	} else if (message->opcode == OP_REPLY) {
		message->stage = STAGE_SKIP;
	} else if (message->opcode == OP_INSERT) {
		message->request->documents++;
		start_scan(message, SCAN_COMMAND);
	} else {
		message->stage = STAGE_SKIP;
	}
}

static size_t feed_scan(struct mongodb *mongo, struct message *message,
			const uint8_t *bytes, size_t length)
{
	size_t take = scan_feed(mongo, message, bytes, length);

	/* The documents that an insert sends are data, not its text. */
	if (is_request(message) && !message->documents &&
	    message->opcode != OP_INSERT &&
	    !buffer_gather(&message->body, bytes, take, MONGODB_DOCUMENT_KEPT))
		message->body_cut = true;
	if (message->scan.state == SCAN_BAD)
		message->stage = STAGE_BAD;
	else if (message->scan.state == SCAN_DONE)
		after_document(message);
	return take;
}

static size_t feed_stage(struct mongodb *mongo, struct message *message,
			 const uint8_t *bytes, size_t length)
{
	switch (message->stage) {
	case STAGE_FIXED:
		return feed_fixed(message, bytes, length);
	case STAGE_SPACE:
		return feed_space(message, bytes, length);
	case STAGE_KIND:
		return feed_kind(message, bytes[0]);
	case STAGE_SIZE:
		return feed_size(message, bytes, length);
	case STAGE_COUNT:
		return feed_count(message, bytes, length);
	case STAGE_SCAN:
		return feed_scan(mongo, message, bytes, length);
	case STAGE_SKIP:
		return feed_skip(message, length);
	case STAGE_BAD:
		break;
	}
	return length;
}

void message_feed(struct mongodb *mongo, enum side side, const uint8_t *bytes,
		  size_t length)
{
	struct message *message = &mongo->flows[side].message;

	while (length) {
		bool in_sequence = message->in_sequence;
		size_t part = length, take;

		if (in_sequence && part > message->sequence_left)
			part = (size_t)message->sequence_left;
		take = feed_stage(mongo, message, bytes, part);
		bytes += take;
		length -= take;
		message->content -= take < message->content ?
			take : message->content;
		if (!in_sequence)
			continue;
		message->sequence_left -= take;
		if (message->sequence_left)
			continue;
		/* A document that its section cut off is wrong. */
		message->in_sequence = false;
		message->stage = message->stage == STAGE_COUNT &&
				 !message->scratch.length ? STAGE_KIND :
							    STAGE_BAD;
	}
}

bool message_end(struct mongodb *mongo, enum side side)
{
	struct message *message = &mongo->flows[side].message;
	struct mongo_request *request = message->request;
	bool whole;

	switch (message->opcode) {
	case OP_MSG:
		whole = message->documents &&
			message->stage == (tail(message) ? STAGE_SKIP :
							    STAGE_KIND);
		break;
	case OP_INSERT:
		whole = message->documents &&
			message->scan.state == SCAN_LENGTH;
		break;
	case OP_REPLY:
		whole = message->stage == STAGE_SKIP ||
			(message->stage == STAGE_SCAN &&
			 message->scan.state == SCAN_LENGTH);
		break;
	default:
		whole = message->stage == STAGE_SKIP;
		break;
	}
	if (message->opcode == OP_KILL_CURSORS)
		strcpy(request->name, "killCursors");
	if (is_request(message)) {
		request->unanswered = message->flags & FLAG_MORE_TO_COME ||
				      message->opcode == OP_INSERT ||
				      message->opcode == OP_UPDATE ||
				      message->opcode == OP_DELETE ||
				      message->opcode == OP_KILL_CURSORS;
		request->cut = message->body_cut || message->damaged || !whole;
		shape_command(request, &message->body);
	} else {
		request->reply.more = message->flags & FLAG_MORE_TO_COME;
	}
	return whole;
}

static bool name_is(const struct message *message, const char *name)
{
	return !strcmp(message->scan.name, name);
}

/* The command's name is that of its first field, as far as it is one. */
static void take_command(struct message *message, struct span collection)
{
	struct mongo_request *request = message->request;
	const struct scan *scan = &message->scan;

	if (!scan->first || request->name[0] || message->documents ||
	    request->legacy_find)
		return;
	strcpy(request->name, "UNKNOWN");
	if (!scan->name_length || scan->name_length > MONGODB_NAME_MAX ||
	    scan->name[strspn(scan->name, NAME_CHARACTERS)])
		return;
	strcpy(request->name, scan->name);
	/* What eval is given is code. */
	if (collection.length && !strstr(scan->name, "eval"))
		copy(request->collection, sizeof(request->collection),
		     collection);
}

void message_string(struct message *message, enum scan_kind kind,
		    struct span text)
{
	struct mongo_request *request = message->request;

	if (kind == SCAN_COMMAND) {
		take_command(message, text);
		if (name_is(message, "$db") && text.length)
			copy(request->database, sizeof(request->database),
			     text);
		else if (name_is(message, "collection") && text.length &&
			 !strcmp(request->name, "getMore"))
			copy(request->collection, sizeof(request->collection),
			     text);
		return;
	}
	if ((kind != SCAN_ANSWER && kind != SCAN_WRITE_ERROR) || !text.length)
		return;
	if (name_is(message, "errmsg") || name_is(message, "$err")) {
		request->reply.message.length = 0;
		buffer_gather(&request->reply.message, text.bytes, text.length,
			      MONGODB_TEXT_MAX);
	} else if (name_is(message, "codeName")) {
		copy(request->reply.code_name,
		     sizeof(request->reply.code_name), text);
	}
}

void message_number(struct message *message, enum scan_kind kind,
		    double number, int64_t integer)
{
	struct mongo_request *request = message->request;
	struct mongodb_reply *reply = &request->reply;

	if (kind == SCAN_COMMAND) {
		take_command(message, (struct span){ "", 0 });
		return;
	}
	if (kind == SCAN_CURSOR && name_is(message, "id"))
		reply->cursor = integer;
	if (kind == SCAN_WRITE_ERROR && name_is(message, "code"))
		reply->code = integer;
	/* Where the result's documents follow, this is one of them. */
	if (kind != SCAN_ANSWER || (request->legacy_find && !reply->failed))
		return;
	if (name_is(message, "ok")) {
		reply->ok_seen = true;
		reply->ok = number;
	} else if (name_is(message, "code")) {
		reply->code = integer;
	} else if (name_is(message, "n")) {
		reply->n = integer;
	} else if (name_is(message, "nModified")) {
		reply->modified = integer;
	}
}

bool message_descends(struct message *message, enum scan_kind level,
		      enum scan_kind *into)
{
	bool array = message->scan.type == 0x04;

	if (level == SCAN_COMMAND) {
		*into = SCAN_COUNTED;
		return array && (name_is(message, "documents") ||
				 name_is(message, "updates") ||
				 name_is(message, "deletes"));
	}
	if (level == SCAN_ANSWER && !array && name_is(message, "cursor")) {
		*into = SCAN_CURSOR;
		return true;
	}
	if (level == SCAN_ANSWER && array && name_is(message, "writeErrors")) {
		*into = SCAN_WRITE_ERRORS;
		return true;
	}
	if (level == SCAN_CURSOR && array && (name_is(message, "firstBatch") ||
					      name_is(message, "nextBatch"))) {
		*into = SCAN_BATCH;
		if (message->request->reply.documents < 0)
			message->request->reply.documents = 0;
		return true;
	}
	*into = SCAN_WRITE_ERROR;
	return level == SCAN_WRITE_ERRORS && !array;
}

void message_document(struct mongodb *mongo, struct message *message,
		      const uint8_t *bytes, size_t length)
{
	struct mongo_request *request = message->request;

	request->reply.documents++;
	if (bytes)
		shape_values(mongo, request, bytes, length);
}

void message_counted(struct message *message, enum scan_kind kind)
{
	if (kind == SCAN_COUNTED)
		message->request->documents++;
	else
		message->request->reply.write_errors++;
}
