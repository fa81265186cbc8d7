/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memcached_text.c - lines and the data blocks behind them.
 *
 * A line is read whole, a data block is skipped where it lies but for its
 * beginning.
 */
#include "parsers/memcached.h"

#include <string.h>

#define WORDS_MAX 8 /* words looked at that are no keys */

static const struct command {
	const char *name;
	enum memcached_kind kind;
} commands[] = {
	{ "get", MEMCACHED_GET },
	{ "gets", MEMCACHED_GET },
	{ "gat", MEMCACHED_GAT },
	{ "gats", MEMCACHED_GAT },
	{ "set", MEMCACHED_STORE },
	{ "add", MEMCACHED_STORE },
	{ "replace", MEMCACHED_STORE },
	{ "append", MEMCACHED_STORE },
	{ "prepend", MEMCACHED_STORE },
	{ "cas", MEMCACHED_STORE },
	{ "delete", MEMCACHED_KEY },
	{ "incr", MEMCACHED_KEY },
	{ "decr", MEMCACHED_KEY },
	{ "touch", MEMCACHED_KEY },
	{ "mg", MEMCACHED_META },
	{ "ms", MEMCACHED_META_STORE },
	{ "md", MEMCACHED_META },
	{ "ma", MEMCACHED_META },
	{ "mn", MEMCACHED_META_NOOP },
	{ "me", MEMCACHED_META_DEBUG },
	{ "stats", MEMCACHED_LINES },
	{ "version", MEMCACHED_PLAIN },
	{ "verbosity", MEMCACHED_PLAIN },
	{ "flush_all", MEMCACHED_PLAIN },
	{ "cache_memlimit", MEMCACHED_PLAIN },
	{ "slabs", MEMCACHED_PLAIN },
	{ "lru", MEMCACHED_PLAIN },
	{ "lru_crawler", MEMCACHED_LINES },
	{ "watch", MEMCACHED_WATCH },
	{ "shutdown", MEMCACHED_QUIT },
	{ "quit", MEMCACHED_QUIT },
};

/* What one line answers a command with; those of errors come last. */
static const char *const responses[] = {
	"STORED", "NOT_STORED", "EXISTS", "NOT_FOUND", "DELETED", "TOUCHED",
	"OK", "RESET", "VERSION", "BUSY", "BADCLASS", "NOSPARE", "NOTFULL",
	"UNSAFE", "SAME", "HD", "EN", "NF", "NS", "EX", "MN", "ME", "VA",
	"VALUE", "END", "STAT", "ERROR", "CLIENT_ERROR", "SERVER_ERROR",
};

static struct step step_of(enum outcome outcome, size_t used)
{
	return (struct step){ outcome, used };
}

static bool take_line(const struct window *window, struct span *line,
		      size_t *next)
{
	const uint8_t *end = memchr(window->bytes, '\n', window->length);

	if (!end)
		return false;
	*next = (size_t)(end + 1 - window->bytes);
	*line = (struct span){ (const char *)window->bytes, *next - 1 };
	if (line->length && line->bytes[line->length - 1] == '\r')
		line->length--;
	return true;
}

/* The word at *at, which moves on behind it; length 0: there is none. */
static struct span next_word(struct span line, size_t *at)
{
	size_t start;

	while (*at < line.length && line.bytes[*at] == ' ')
		++*at;
	start = *at;
	while (*at < line.length && line.bytes[*at] != ' ')
		++*at;
	return (struct span){ line.bytes + start, *at - start };
}

static bool number_of(struct span word, uint64_t *number)
{
	*number = 0;
	if (!word.length || word.length > 18)
		return false;
	for (size_t i = 0; i < word.length; i++) {
		if (word.bytes[i] < '0' || word.bytes[i] > '9')
			return false;
		*number = *number * 10 + (uint64_t)(word.bytes[i] - '0');
	}
	return true;
}

static const struct command *find_command(struct span word)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (span_is(word, commands[i].name))
			return &commands[i];
	return NULL;
}

/* The key is where it stands in the line; so many bytes of it are kept. */
static void add_key(struct cached *request, struct span line, struct span word)
{
	size_t at = (size_t)(word.bytes - line.bytes);

	request->keys_total++;
	if (request->key_count == EXCHANGE_TARGETS_MAX ||
	    at + word.length > request->line.length)
		return;
	request->keys[request->key_count++] = (struct memcached_key){
		(uint32_t)at, (uint32_t)word.length };
}

/* The flags of a meta command: is it quiet, which is its opaque? */
static void take_flags(struct cached *request, struct span line, size_t at)
{
	struct span word;

	while ((word = next_word(line, &at)).length) {
		if (word.bytes[0] == 'q' && word.length == 1)
			request->quiet = true;
		if (word.bytes[0] == 'O' && word.length > 1 &&
		    word.length - 1 <= MEMCACHED_TOKEN_MAX)
			memcpy(request->token, word.bytes + 1,
			       word.length - 1);
	}
}

/*
 * The arguments of a command.  *data: bytes of the block behind the line.
 * False: no command looks so.
 */
static bool take_arguments(struct cached *request, struct span line, size_t at,
			   uint64_t *data)
{
	struct span words[WORDS_MAX], word;
	size_t count = 0, from = at;

	if (request->kind == MEMCACHED_GAT)
		next_word(line, &at);
	if (request->kind == MEMCACHED_GET || request->kind == MEMCACHED_GAT) {
		while ((word = next_word(line, &at)).length)
			add_key(request, line, word);
		return request->keys_total;
	}
	while (count < WORDS_MAX) {
		words[count] = next_word(line, &at);
		if (!words[count].length)
			break;
		count++;
	}
	if (count && span_is(words[count - 1], "noreply"))
		request->silent = true;
	switch (request->kind) {
	case MEMCACHED_STORE:
		if (count < 4 || !number_of(words[3], data))
			return false;
		request->stores = true;
		add_key(request, line, words[0]);
		return *data <= MEMCACHED_VALUE_MAX;
	case MEMCACHED_META_STORE:
		if (count < 2 || !number_of(words[1], data))
			return false;
		request->stores = true;
		add_key(request, line, words[0]);
		take_flags(request, line, from);
		return *data <= MEMCACHED_VALUE_MAX;
	case MEMCACHED_META:
		take_flags(request, line, from);
		/* fall through */
	case MEMCACHED_META_DEBUG:
	case MEMCACHED_KEY:
		if (!count)
			return false;
		add_key(request, line, words[0]);
		return true;
	case MEMCACHED_QUIT:
		request->silent = true;
		return true;
	default:
		return true;
	}
}

/* May a command be called that, one of a later version say? */
static bool is_name(struct span word)
{
	for (size_t i = 0; i < word.length; i++)
		if ((word.bytes[i] < 'a' || word.bytes[i] > 'z') &&
		    word.bytes[i] != '_')
			return false;
	return word.length && word.length <= MEMCACHED_NAME_MAX;
}

static struct step start_command(struct memcached *mc,
				 const struct window *window)
{
	const struct command *command;
	struct cached *request;
	struct span line, word;
	size_t next, at = 0;
	uint64_t data = 0;
	bool first = !mc->began || (!mc->pending && !mc->flows[1].last_ns);

	if (!take_line(window, &line, &next))
		return step_of(PARSE_MORE, 0);
	word = next_word(line, &at);
	if (!word.length)
		return step_of(PARSE_TOOK, next);
	command = find_command(word);
	if (!command && (!mc->began || !is_name(word)))
		return step_of(PARSE_LOST, 0);
	request = memcached_new(mc);
	if (!request)
		return step_of(PARSE_DONE, 0);
	request->kind = command ? command->kind : MEMCACHED_UNKNOWN;
	memcpy(request->name, word.bytes, word.length);
	request->cut = !memcached_keep(mc, &request->line, line.bytes,
				       line.length, MEMCACHED_LINE_KEPT);
	pending_request(&request->pending, window, 0, next);
	if (!take_arguments(request, line, at, &data))
		request->kind = MEMCACHED_UNKNOWN;
	if (!request->stores || request->kind == MEMCACHED_UNKNOWN) {
		request->stores = false;
		memcached_request(mc, request);
		return step_of(PARSE_TOOK, next);
	}
	/* With a password file, the first set carries name and password. */
	request->secret = first && span_is(word, "set");
	request->value_length = data;
	mc->current = request;
	memcached_begin_data(&mc->flows[SIDE_CLIENT], data, 2);
	return step_of(PARSE_TOOK, next);
}

/* "name password", as an authentication's value is. */
static bool is_password(struct span value)
{
	const char *space = memchr(value.bytes, ' ', value.length);

	return space && space > value.bytes &&
	       space + 1 < value.bytes + value.length &&
	       !memchr(space + 1, ' ',
		       value.length - (size_t)(space + 1 - value.bytes));
}

struct step memcached_text_client(struct memcached *mc,
				  const struct window *window)
{
	struct cached_flow *flow = &mc->flows[SIDE_CLIENT];
	struct cached *request = mc->current;
	struct span bytes;
	size_t used;

	if (!flow->in_data)
		return start_command(mc, window);
	if (memcached_data(flow, window, 2, &used, &bytes)) {
		request->secret = request->secret && is_password(bytes);
		if (!request->secret)
			memcached_keep(mc, &request->value, bytes.bytes,
				       bytes.length, VALUE_BYTES_MAX);
		mc->current = NULL;
		pending_request(&request->pending, window, 0, used);
		memcached_request(mc, request);
	} else if (used) {
		pending_request(&request->pending, window, 0, used);
	}
	return step_of(used ? PARSE_TOOK : PARSE_LOST, used);
}

/* The column of the key that a VALUE line names; -1: none of its own. */
static int column_of(const struct cached *request, struct span key)
{
	for (size_t i = 0; i < request->key_count; i++)
		if (request->keys[i].length == key.length &&
		    !memcmp(request->line.bytes + request->keys[i].at,
			    key.bytes, key.length))
			return (int)i;
	return -1;
}

/* VALUE key flags bytes [cas], VA bytes flags: a data block follows. */
static bool take_value(struct memcached *mc, struct span line, struct span word)
{
	struct cached *head = mc->pending;
	bool meta = span_is(word, "VA");
	size_t at = word.length;
	struct span first = next_word(line, &at), key = first;
	uint64_t length;

	if (!meta) {
		next_word(line, &at);
		first = next_word(line, &at);
	}
	if (!number_of(first, &length) || length > MEMCACHED_VALUE_MAX)
		return false;
	head->hits++;
	head->read_bytes += length;
	mc->column = meta ? head->key_count ? 0 : -1 : column_of(head, key);
	mc->value_ends = meta;
	memcached_begin_data(&mc->flows[SIDE_SERVER], length, 2);
	return true;
}

static bool is_error(struct span word)
{
	return span_is(word, "ERROR") || span_is(word, "CLIENT_ERROR") ||
	       span_is(word, "SERVER_ERROR");
}

/* Does a line of the response to that command go on with others? */
static bool goes_on(const struct cached *head, struct span word)
{
	if (is_error(word) || span_is(word, "END"))
		return false;
	switch (head->kind) {
	case MEMCACHED_GET:
	case MEMCACHED_GAT:
		return true;
	case MEMCACHED_LINES:
		return !span_is(word, "OK") && !span_is(word, "RESET") &&
		       !span_is(word, "BUSY") && !span_is(word, "EN");
	default:
		return false;
	}
}

static void keep_response(struct memcached *mc, struct cached *head,
			  struct span line, struct span word)
{
	size_t length = word.length < MEMCACHED_NAME_MAX ?
		word.length : MEMCACHED_NAME_MAX;

	/* The first line says it all; a value is more than the END behind. */
	if (head->response[0] && !is_error(word))
		return;
	memcpy(head->response, word.bytes, length);
	head->response[length] = '\0';
	head->failed = is_error(word);
	if (head->failed)
		memcached_keep(mc, &head->message, line.bytes, line.length,
			       VALUE_BYTES_MAX);
}

/* A quiet command is passed over by what can't be its response. */
static bool is_for_another(const struct cached *head, struct span line,
			   struct span word)
{
	struct span flag;
	size_t at = word.length;

	if (!head->quiet || !head->next)
		return false;
	if (span_is(word, "MN"))
		return head->kind != MEMCACHED_META_NOOP;
	if (word.length != 2)
		return true;
	if (!head->token[0])
		return false;
	while ((flag = next_word(line, &at)).length)
		if (flag.bytes[0] == 'O')
			return !span_is((struct span){ flag.bytes + 1,
						       flag.length - 1 },
					head->token);
	return false;
}

/* Of several quiet commands without an opaque any may have been meant. */
static void mark_ambiguous(struct cached *head)
{
	if (!head->quiet || head->token[0] || !head->next ||
	    !head->next->quiet)
		return;
	for (; head && head->quiet; head = head->next)
		head->pending.damaged = true;
}

static struct step take_response(struct memcached *mc,
				 const struct window *window)
{
	struct cached *head;
	struct span line, word;
	struct step step;
	size_t next, at = 0;

	if (!take_line(window, &line, &next))
		return step_of(PARSE_MORE, 0);
	word = next_word(line, &at);
	while (!mc->answering && is_for_another(mc->pending, line, word))
		memcached_drop_head(mc, true);
	if (mc->pending->lost && !mc->answering &&
	    !memcached_turn(mc, window, &step))
		return step;
	head = mc->pending;
	if (!mc->answering)
		mark_ambiguous(head);
	if (!mc->answering && head->kind != MEMCACHED_LINES &&
	    memcached_text_response(window->bytes, next) != PROBE_YES)
		return step_of(PARSE_LOST, 0);
	mc->answering = true;
	pending_response(&head->pending, window, 0, next);
	keep_response(mc, head, line, word);
	if (span_is(word, "VALUE") || span_is(word, "VA"))
		return take_value(mc, line, word) ?
		       step_of(PARSE_TOOK, next) : step_of(PARSE_LOST, 0);
	if (goes_on(head, word)) {
		head->lines++;
		return step_of(PARSE_TOOK, next);
	}
	memcached_answered(mc);
	return step_of(PARSE_TOOK, next);
}

struct step memcached_text_server(struct memcached *mc,
				  const struct window *window)
{
	struct cached_flow *flow = &mc->flows[SIDE_SERVER];
	struct cached *head = mc->pending;
	struct step step;
	struct span bytes;
	size_t used;
	bool whole;

	if (!flow->in_data) {
		if (!mc->answering && !memcached_turn(mc, window, &step))
			return step;
		return take_response(mc, window);
	}
	whole = memcached_data(flow, window, 2, &used, &bytes);
	if (!used)
		return step_of(PARSE_LOST, 0);
	/* Its request was given up. */
	if (!mc->answering)
		return step_of(PARSE_TOOK, used);
	pending_response(&head->pending, window, 0, used);
	if (whole) {
		memcached_value(mc, head, mc->column, bytes);
		if (mc->value_ends)
			memcached_answered(mc);
	}
	return step_of(PARSE_TOOK, used);
}

/* Is it text, up to its line's end or the window's? */
static bool is_text(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length && bytes[i] != '\n'; i++)
		if ((bytes[i] < 0x20 && bytes[i] != '\r') || bytes[i] == 0x7f)
			return false;
	return true;
}

enum verdict memcached_text_command(const uint8_t *bytes, size_t length)
{
	struct window window = { .bytes = bytes, .length = length };
	struct cached request = { .kind = MEMCACHED_UNKNOWN };
	const struct command *command;
	struct span line = { (const char *)bytes, length }, word;
	size_t next, at = 0;
	uint64_t data;

	if (!is_text(bytes, length))
		return PROBE_NO;
	if (!take_line(&window, &line, &next)) {
		word = next_word(line, &at);
		if (at < line.length)
			return find_command(word) ? PROBE_MORE : PROBE_NO;
		for (size_t i = 0; i < sizeof(commands) / sizeof(*commands);
		     i++)
			if (!strncmp(commands[i].name, word.bytes,
				     word.length))
				return PROBE_MORE;
		return PROBE_NO;
	}
	word = next_word(line, &at);
	command = find_command(word);
	if (!command || word.bytes != (const char *)bytes)
		return PROBE_NO;
	request.kind = command->kind;
	return take_arguments(&request, line, at, &data) ? PROBE_YES : PROBE_NO;
}

bool memcached_text_named(const uint8_t *bytes, size_t length)
{
	struct window window = { .bytes = bytes, .length = length };
	struct span line, word;
	size_t next, at = 0;

	if (!is_text(bytes, length) || !take_line(&window, &line, &next))
		return false;
	word = next_word(line, &at);
	return word.bytes == line.bytes && find_command(word);
}

enum verdict memcached_text_response(const uint8_t *bytes, size_t length)
{
	struct window window = { .bytes = bytes, .length = length };
	struct span line = { (const char *)bytes, length }, word;
	size_t next, at = 0, count = sizeof(responses) / sizeof(*responses);
	bool ends = take_line(&window, &line, &next);
	uint64_t number;

	if (!is_text(bytes, length))
		return PROBE_NO;
	word = next_word(line, &at);
	if (!word.length || word.bytes != (const char *)bytes)
		return PROBE_NO;
	/* What incr and decr say: a number, and blanks of an old value. */
	if (number_of(word, &number))
		return ends && next_word(line, &at).length ? PROBE_NO :
		       ends ? PROBE_YES : PROBE_MORE;
	for (size_t i = 0; i < count; i++) {
		if (span_is(word, responses[i]))
			return ends ? PROBE_YES : PROBE_MORE;
		if (!ends && at == line.length &&
		    word.length < strlen(responses[i]) &&
		    !strncmp(responses[i], word.bytes, word.length))
			return PROBE_MORE;
	}
	return PROBE_NO;
}

bool memcached_may_answer(const struct cached *request, const uint8_t *bytes,
			  size_t length)
{
	struct span line = { (const char *)bytes, length };
	size_t at = 0;
	struct span word = next_word(line, &at);
	bool value;

	if (request->kind == MEMCACHED_BINARY ||
	    request->kind == MEMCACHED_LINES)
		return true;
	if (memcached_text_response(bytes, length) == PROBE_NO)
		return false;
	value = span_is(word, "VALUE") || (word.length >= 3 &&
					   !strncmp(word.bytes, "END", 3));
	return is_error(word) || value == (request->kind == MEMCACHED_GET ||
					   request->kind == MEMCACHED_GAT);
}
