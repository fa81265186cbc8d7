/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * redis_report.c - a request and its reply -> an exchange.
 *
 * The statement is the command as one would type it.  Masked, keys and
 * channels are kept, as names of tables are; other arguments are `?`.
 * Passwords are `?` in both, and replies that hold them are not shown.
 */
#include "parsers/redis.h"

#include <stdio.h>
#include <string.h>

/* Places of a request's keys; the command's name is 0. */
struct keys {
	uint64_t first, last, step;   /* first 0: none */
	uint64_t first2, last2;	      /* those that are counted or marked */
};

static bool kind_is(const struct request *request, enum redis_kind kind)
{
	return request->command && request->command->kind == kind;
}

/* The index of an argument that is that word, from `from` on; the count. */
static uint64_t find_word(const struct request *request, size_t from,
			  const char *word)
{
	size_t i, kept = request->arguments.length /
			 sizeof(struct redis_argument);

	for (i = from; i < kept; i++)
		if (redis_argument_is(request, i, word))
			return i;
	return request->argument_count;
}

static void counted_keys(const struct request *request, struct keys *keys)
{
	uint64_t place = (uint64_t)request->command->numkeys;
	struct redis_argument argument;
	struct span text;
	int64_t count;

	if (redis_argument(request, place - 1, &argument, &text) &&
	    redis_number((const uint8_t *)text.bytes, text.length, &count) &&
	    count > 0 && (uint64_t)count <= request->argument_count) {
		keys->first2 = place + 1;
		keys->last2 = place + (uint64_t)count;
	}
}

static struct keys find_keys(const struct request *request)
{
	const struct redis_command *command = request->command;
	struct keys keys = { 0, 0, 1, 0, 0 };
	uint64_t total = request->argument_count + 1, at;

	if (!command)
		return keys;
	if (command->first) {
		keys.first = (uint64_t)command->first;
		keys.last = command->last < 0 ?
			total - (uint64_t)-command->last :
			(uint64_t)command->last;
		keys.step = (uint64_t)command->step;
	}
	if (command->numkeys)
		counted_keys(request, &keys);
	switch (command->kind) {
	case REDIS_STREAMS:
		at = find_word(request, 0, "STREAMS") + 1;
		keys.first2 = at + 1;
		keys.last2 = at < total ? at + (total - 1 - at) / 2 : 0;
		break;
	case REDIS_SORT:
		keys.first2 = keys.last2 = find_word(request, 1, "STORE") + 2;
		break;
	case REDIS_MIGRATE:
		keys.first2 = find_word(request, 3, "KEYS") + 2;
		keys.last2 = total - 1;
		break;
	default:
		break;
	}
	return keys;
}

static bool is_key(const struct keys *keys, size_t index)
{
	uint64_t place = index + 1;

	return (keys->first && place >= keys->first && place <= keys->last &&
		(place - keys->first) % keys->step == 0) ||
	       (keys->first2 && place >= keys->first2 && place <= keys->last2);
}

static bool contains(struct span text, const char *word)
{
	size_t length = strlen(word);

	for (size_t i = 0; i + length <= text.length; i++)
		if (span_is_nocase((struct span){ text.bytes + i, length },
				   word))
			return true;
	return false;
}

/* Is the argument before it the name of a setting that holds a password? */
static bool follows_password(const struct request *request, size_t index)
{
	struct redis_argument argument;
	struct span name;

	return index && redis_argument(request, index - 1, &argument, &name) &&
	       (contains(name, "pass") || contains(name, "auth"));
}

/*
 * Does that argument hold a secret?
 * Source: https://redis.io/docs/management/security/acl/ and the pages of the
 * commands.
 */
static bool is_secret(const struct request *request, size_t index,
		      struct span text)
{
	if (!request->command)
		return strstr(request->name, "AUTH") != NULL;
	switch (request->command->kind) {
	case REDIS_AUTH:
		return index || request->argument_count != 2;
	case REDIS_HELLO:
		return index >= 2 &&
		       redis_argument_is(request, index - 2, "AUTH");
	case REDIS_CONFIG:
	case REDIS_SENTINEL:
		return index >= 2 && follows_password(request, index);
	case REDIS_ACL:
		return index >= 2 && text.length &&
		       strchr("><#!", text.bytes[0]) && text.bytes[0];
	case REDIS_MIGRATE:
		return index > 4 &&
		       (redis_argument_is(request, index - 1, "AUTH") ||
			redis_argument_is(request, index - 2, "AUTH2"));
	default:
		return false;
	}
}

/* CONFIG GET, ACL GETUSER and their like tell passwords, or hashes of them. */
static bool reply_is_secret(const struct request *request)
{
	return kind_is(request, REDIS_ACL) || kind_is(request, REDIS_CONFIG) ||
	       kind_is(request, REDIS_SENTINEL);
}

/* Is it a word of the command's grammar, to be shown in its masked form? */
static bool is_word(const struct request *request, size_t index,
		    struct span text)
{
	if (!request->command)
		return false;
	if (request->command->flags & REDIS_SHOWN)
		return true;
	if (index || !(request->command->flags & REDIS_WORD) ||
	    !text.length || text.length > REDIS_NAME_MAX)
		return false;
	for (size_t i = 0; i < text.length; i++)
		if ((text.bytes[i] | 0x20) < 'a' ||
		    (text.bytes[i] | 0x20) > 'z')
			return text.bytes[i] == '-';
	return true;
}

static bool put(struct buffer *out, const char *bytes, size_t length)
{
	return buffer_gather(out, bytes, length, STATEMENT_BYTES_MAX);
}

static bool is_plain(struct span text)
{
	for (size_t i = 0; i < text.length; i++) {
		unsigned char c = (unsigned char)text.bytes[i];

		if (c <= ' ' || c == '"' || c == '\\' || c == '\'' || c == 0x7f)
			return false;
	}
	return text.length;
}

/* An argument as it would be typed; bytes above ASCII are left as they are. */
static bool put_argument(struct buffer *out, struct span text)
{
	static const char from[] = "\n\r\t\"\\", to[] = "nrt\"\\";
	bool whole = put(out, " ", 1);

	if (is_plain(text))
		return put(out, text.bytes, text.length) && whole;
	whole &= put(out, "\"", 1);
	for (size_t i = 0; i < text.length; i++) {
		char c = text.bytes[i], escape[8];
		const char *at = c ? strchr(from, c) : NULL;

		if (at)
			whole &= put(out, (char[]){ '\\', to[at - from] }, 2);
		else if ((unsigned char)c >= 0x20 && c != 0x7f)
			whole &= put(out, &c, 1);
		else
			whole &= put(out, escape, (size_t)snprintf(
				escape, sizeof(escape), "\\x%02x",
				(unsigned char)c));
	}
	return put(out, "\"", 1) && whole;
}

static void name_target(struct exchange *exchange, struct span name)
{
	if (exchange->target_count < EXCHANGE_TARGETS_MAX)
		exchange->targets[exchange->target_count++] = name;
}

static void describe_argument(struct redis *redis,
			      const struct request *request, size_t index,
			      const struct keys *keys)
{
	struct exchange *exchange = &redis->exchange;
	struct redis_argument argument;
	struct span text, shown;
	bool key = is_key(keys, index), secret, whole;

	redis_argument(request, index, &argument, &text);
	secret = !key && is_secret(request, index, text);
	shown = secret ? (struct span){ NULL, 0 } : text;
	if (key)
		name_target(exchange, text);
	if (exchange->parameter_count < EXCHANGE_PARAMETERS_MAX)
		exchange->parameters[exchange->parameter_count++] = shown;
	whole = secret ? put(&redis->statement, " ?", 2) :
			 put_argument(&redis->statement, text);
	if (key || is_word(request, index, text))
		whole &= put_argument(&redis->masked, text);
	else
		whole &= put(&redis->masked, " ?", 2);
	exchange->statement_cut |= !whole;
}

static void describe_user(struct redis *redis, const struct request *request)
{
	struct redis_argument argument;
	struct span text;
	size_t index = 0;

	if (kind_is(request, REDIS_HELLO))
		index = (size_t)find_word(request, 0, "AUTH") + 1;
	else if (!kind_is(request, REDIS_AUTH) || request->argument_count != 2)
		return;
	if (redis_argument(request, index, &argument, &text))
		redis->exchange.user = text;
}

/* What the request says; done once for it, the reply comes on top. */
static void describe_request(struct redis *redis, const struct request *request)
{
	struct exchange *exchange = &redis->exchange;
	struct keys keys = find_keys(request);
	size_t kept = request->arguments.length /
		      sizeof(struct redis_argument);

	if (redis->described == request)
		return;
	redis->described = request;
	exchange_reset(exchange, redis_parser.name, FAMILY_DATABASE);
	exchange->operation = request->name;
	exchange->statement_cut = request->cut;
	redis->statement.length = redis->masked.length = 0;
	put(&redis->statement, request->name, strlen(request->name));
	put(&redis->masked, request->name, strlen(request->name));
	for (size_t i = 0; i < kept; i++)
		describe_argument(redis, request, i, &keys);
	exchange->statement = buffer_span(&redis->statement);
	exchange->masked = buffer_span(&redis->masked);
	if (redis->database[0])
		exchange->namespace = span_string(redis->database);
	describe_user(redis, request);
	/* A value's origin is its key; a reply of no key has one too. */
	for (size_t i = 0; i < exchange->target_count; i++)
		exchange->columns[i] = exchange->targets[i];
	if (!exchange->target_count)
		exchange->columns[0] = span_string(request->name);
}

static void pass_arguments(struct redis *redis, const struct request *request)
{
	struct keys keys = find_keys(request);
	struct redis_argument argument;
	struct span text;

	if (!redis->observer.value)
		return;
	for (size_t i = 0; redis_argument(request, i, &argument, &text); i++)
		if (text.length && !is_key(&keys, i) &&
		    !is_word(request, i, text) && !is_secret(request, i, text))
			redis->observer.value(redis->observer.context,
					      &redis->exchange, -1, text);
}

void redis_report_value(struct redis *redis, const struct request *request,
			uint64_t index, struct span value)
{
	struct exchange *exchange = &redis->exchange;
	int column = 0;

	if (reply_is_secret(request) || !value.length)
		return;
	describe_request(redis, request);
	exchange->column_count = exchange->target_count ?
		exchange->target_count : 1;
	exchange->columns_total = exchange->column_count;
	if (!strcmp(request->name, "MGET") && index < exchange->column_count)
		column = (int)index;
	redis->observer.value(redis->observer.context, exchange, column, value);
}

/* -MOVED 3999 127.0.0.1:6381: where the key is. */
static void describe_redirect(struct exchange *exchange)
{
	struct span text = exchange->message;
	const char *space, *end = text.bytes + text.length;
	int64_t slot;

	if (!span_is(exchange->status_name, "MOVED") &&
	    !span_is(exchange->status_name, "ASK"))
		return;
	text.bytes += exchange->status_name.length;
	if (text.bytes == end)
		return;
	text.bytes++;
	space = memchr(text.bytes, ' ', (size_t)(end - text.bytes));
	if (!space || !redis_number((const uint8_t *)text.bytes,
				    (size_t)(space - text.bytes), &slot))
		return;
	exchange_number(exchange, "redis.redirect.slot", slot);
	exchange_text(exchange, "redis.redirect.address",
		      (struct span){ space + 1, (size_t)(end - space - 1) });
}

static void describe_error(struct exchange *exchange, const struct reply *reply)
{
	struct span text = buffer_span(&reply->text);
	size_t word = 0;

	exchange->failed = true;
	exchange->message = text;
	while (word < text.length &&
	       ((text.bytes[word] >= 'A' && text.bytes[word] <= 'Z') ||
		(text.bytes[word] >= '0' && text.bytes[word] <= '9')))
		word++;
	if (!word || (word < text.length && text.bytes[word] != ' '))
		return;
	exchange->status_name = (struct span){ text.bytes, word };
	describe_redirect(exchange);
}

static void describe_reply(struct exchange *exchange,
			   const struct request *request,
			   const struct reply *reply)
{
	exchange_text(exchange, "redis.reply.type",
		      span_string(redis_reply_type(reply)));
	if (reply->type == '-' || reply->type == '!') {
		describe_error(exchange, reply);
		return;
	}
	exchange->status = 0;
	if (reply->type && strchr("*~%>", reply->type))
		exchange->rows = (int64_t)reply->elements;
	else if (reply->type == '$' || reply->type == '=')
		exchange->rows = 1;
	else if (reply->null)
		exchange->rows = 0;
	if (reply->type == ':' && request->command &&
	    request->command->flags & REDIS_COUNTS)
		exchange->affected = reply->number;
	if (reply->null || reply_is_secret(request))
		return;
	exchange_number(exchange, "redis.reply.length",
			(int64_t)reply->length);
	exchange_payload(exchange, "redis.reply",
			 reply->text.length ? buffer_span(&reply->text) :
					      span_string(""));
}

static void describe_transaction(struct exchange *exchange,
				 const struct request *request)
{
	static const char *const names[] = {
		[REDIS_QUEUED] = "queued",
		[REDIS_EXECUTED] = "executed",
		[REDIS_ABORTED] = "aborted",
		[REDIS_DISCARDED] = "discarded",
	};

	if (request->transaction)
		exchange_text(exchange, "redis.transaction",
			      span_string(names[request->transaction]));
}

void redis_report(struct redis *redis, struct request *request,
		  const struct reply *reply)
{
	struct exchange *exchange = &redis->exchange;

	describe_request(redis, request);
	pass_arguments(redis, request);
	exchange->results = request->replies ? (uint32_t)request->replies : 1;
	if (reply)
		describe_reply(exchange, request, reply);
	exchange_number(exchange, "redis.arguments",
			(int64_t)request->argument_count);
	if (request->is_inline)
		exchange_bool(exchange, "redis.inline", true);
	if (request->silent)
		exchange_bool(exchange, "redis.noreply", true);
	describe_transaction(exchange, request);
	pending_describe(&request->pending, exchange);
	redis->observer.exchange(redis->observer.context, exchange);
	exchange_done(exchange);
	redis->described = NULL;
}

static void describe_push(struct redis *redis)
{
	struct exchange *exchange = &redis->exchange;

	redis->described = NULL;
	exchange_reset(exchange, redis_parser.name, FAMILY_DATABASE);
	exchange->operation = "PUSH";
	exchange->subject = span_string(redis->push_kind);
	if (redis->push_channel.length)
		name_target(exchange, buffer_span(&redis->push_channel));
	if (redis->database[0] && !redis->doubt)
		exchange->namespace = span_string(redis->database);
	exchange->columns[0] = span_string("message");
	exchange->column_count = exchange->columns_total = 1;
}

/* kind, channel, message; of pmessage: kind, pattern, channel, message. */
void redis_report_push_value(struct redis *redis, uint64_t index,
			     struct span value)
{
	bool pattern = !strcmp(redis->push_kind, "pmessage");

	if (!index && value.length <= REDIS_NAME_MAX) {
		memcpy(redis->push_kind, value.bytes, value.length);
		redis->push_kind[value.length] = '\0';
	} else if (index == 1 || (index == 2 && pattern)) {
		redis->push_channel.length = 0;
		buffer_append(&redis->push_channel, value.bytes, value.length);
	} else if (index > 1 && value.length && redis->observer.value) {
		describe_push(redis);
		redis->observer.value(redis->observer.context, &redis->exchange,
				      0, value);
	}
}

void redis_report_push(struct redis *redis, bool complete)
{
	struct exchange *exchange = &redis->exchange;
	const struct reply *reply = &redis->reply;

	describe_push(redis);
	exchange_text(exchange, "redis.push.kind", exchange->subject);
	exchange_number(exchange, "redis.reply.length",
			(int64_t)reply->length);
	if (complete)
		exchange->status = 0;
	/* What others asked, MONITOR shows: whatever secrets it holds. */
	if (strcmp(redis->push_kind, "monitor"))
		exchange_payload(exchange, "redis.reply",
				 buffer_span(&reply->text));
	if (!complete)
		pending_miss(&redis->push, 0);
	redis->push.start_ns = redis->push.first_byte_ns;
	pending_describe(&redis->push, exchange);
	redis->observer.exchange(redis->observer.context, exchange);
	exchange_done(exchange);
}
