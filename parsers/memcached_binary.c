/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memcached_binary.c - packets of a header of 24 bytes and a body.
 *
 * A response has its request's opcode and opaque; quiet requests may have
 * none.  Of a body, extras and key are read whole, the value is skipped but
 * for its beginning.
 */
#include "parsers/memcached.h"

#include <string.h>

#include "parsers/cursor.h"

#define OPCODE_QUITQ	 0x17
#define OPCODE_STAT	 0x10
#define OPCODE_SASL_LIST 0x20
#define OPCODE_SASL_STEP 0x22
#define STATUS_MISS	 1
#define STATUS_EXISTS	 2
#define STATUS_NOT_STORED 5
#define STATUS_LAST	  0x86

static const struct opcode {
	const char *name;
	bool quiet, stores;
} opcodes[] = {
	{ "get", false, false },	{ "set", false, true },
	{ "add", false, true },		{ "replace", false, true },
	{ "delete", false, false },	{ "incr", false, false },
	{ "decr", false, false },	{ "quit", false, false },
	{ "flush", false, false },	{ "getq", true, false },
	{ "noop", false, false },	{ "version", false, false },
	{ "getk", false, false },	{ "getkq", true, false },
	{ "append", false, true },	{ "prepend", false, true },
	{ "stat", false, false },	{ "setq", true, true },
	{ "addq", true, true },		{ "replaceq", true, true },
	{ "deleteq", true, false },	{ "incrq", true, false },
	{ "decrq", true, false },	{ "quitq", true, false },
	{ "flushq", true, false },	{ "appendq", true, true },
	{ "prependq", true, true },	{ "verbosity", false, false },
	{ "touch", false, false },	{ "gat", false, false },
	{ "gatq", true, false },	{ NULL, false, false },
	{ "sasl_list", false, false },	{ "sasl_auth", false, false },
	{ "sasl_step", false, false },	{ "gatk", false, false },
	{ "gatkq", true, false },
};
#define OPCODES (sizeof(opcodes) / sizeof(*opcodes))

struct header {
	uint8_t opcode, extras;
	uint16_t key, status;
	uint32_t body, opaque;
};

static struct step step_of(enum outcome outcome, size_t used)
{
	return (struct step){ outcome, used };
}

static bool is_sasl(uint8_t opcode)
{
	return opcode >= OPCODE_SASL_LIST && opcode <= OPCODE_SASL_STEP;
}

/* False: no packet looks so. */
static bool take_header(enum side side, struct cursor *c, struct header *header)
{
	uint8_t magic = (uint8_t)cursor_uint_be(c, 1);
	uint8_t type;

	header->opcode = (uint8_t)cursor_uint_be(c, 1);
	header->key = (uint16_t)cursor_uint_be(c, 2);
	header->extras = (uint8_t)cursor_uint_be(c, 1);
	type = (uint8_t)cursor_uint_be(c, 1);
	header->status = (uint16_t)cursor_uint_be(c, 2);
	header->body = (uint32_t)cursor_uint_be(c, 4);
	header->opaque = (uint32_t)cursor_uint_be(c, 4);
	cursor_take(c, 8);
	return !c->bad && magic == (side ? 0x81 : 0x80) && !type &&
	       header->opcode < OPCODES && opcodes[header->opcode].name &&
	       header->key <= MEMCACHED_KEY_MAX &&
	       (!header->extras || header->extras == 4 ||
		(!side && (header->extras == 8 || header->extras == 20))) &&
	       (!side || header->status <= STATUS_LAST) &&
	       header->body <= MEMCACHED_VALUE_MAX &&
	       header->body >= (uint32_t)header->key + header->extras;
}

enum verdict memcached_binary_shape(enum side side, const uint8_t *bytes,
				    size_t length)
{
	struct cursor c = cursor_of(bytes, length);
	struct header header;

	if (length && bytes[0] != (side ? 0x81 : 0x80))
		return PROBE_NO;
	if (length < MEMCACHED_HEADER)
		return PROBE_MORE;
	return take_header(side, &c, &header) ? PROBE_YES : PROBE_NO;
}

/* Keeps "name key", as the text protocol would say it. */
static void describe(struct memcached *mc, struct cached *request,
		     const struct header *header, struct span key)
{
	const struct opcode *opcode = &opcodes[header->opcode];

	strcpy(request->name, opcode->name);
	memcached_keep(mc, &request->line, opcode->name, strlen(opcode->name),
		       MEMCACHED_LINE_KEPT);
	if (!key.length)
		return;
	memcached_keep(mc, &request->line, " ", 1, MEMCACHED_LINE_KEPT);
	request->keys_total = 1;
	if (memcached_keep(mc, &request->line, key.bytes, key.length,
			   MEMCACHED_LINE_KEPT))
		request->keys[request->key_count++] = (struct memcached_key){
			(uint32_t)(request->line.length - key.length),
			(uint32_t)key.length };
}

static void end_request(struct memcached *mc, struct span value)
{
	struct cached *request = mc->current;

	mc->current = NULL;
	/* A mechanism's name is the key, what follows are credentials. */
	if (!is_sasl(request->opcode) && request->stores)
		memcached_keep(mc, &request->value, value.bytes, value.length,
			       VALUE_BYTES_MAX);
	memcached_request(mc, request);
}

static struct step start_request(struct memcached *mc,
				 const struct window *window)
{
	struct cursor c = cursor_of(window->bytes, window->length);
	struct header header;
	struct cached *request;
	struct span key;
	size_t used;

	if (window->length < MEMCACHED_HEADER)
		return step_of(window->bytes[0] == 0x80 ? PARSE_MORE :
							   PARSE_LOST, 0);
	if (!take_header(SIDE_CLIENT, &c, &header))
		return step_of(PARSE_LOST, 0);
	cursor_take(&c, header.extras);
	key = cursor_span(&c, header.key);
	if (c.bad)
		return step_of(PARSE_MORE, 0);
	request = memcached_new(mc);
	if (!request)
		return step_of(PARSE_DONE, 0);
	used = (size_t)(c.at - window->bytes);
	request->kind = MEMCACHED_BINARY;
	request->opcode = header.opcode;
	request->opaque = header.opaque;
	request->quiet = opcodes[header.opcode].quiet;
	request->stores = opcodes[header.opcode].stores;
	request->silent = header.opcode == OPCODE_QUITQ;
	request->value_length = header.body - header.key - header.extras;
	describe(mc, request, &header, key);
	pending_request(&request->pending, window, 0, used);
	mc->current = request;
	if (request->value_length)
		memcached_begin_data(&mc->flows[SIDE_CLIENT],
				     request->value_length, 0);
	else
		end_request(mc, (struct span){ "", 0 });
	return step_of(PARSE_TOOK, used);
}

struct step memcached_binary_client(struct memcached *mc,
				    const struct window *window)
{
	struct cached_flow *flow = &mc->flows[SIDE_CLIENT];
	struct span bytes;
	size_t used;
	bool whole;

	if (!flow->in_data)
		return start_request(mc, window);
	whole = memcached_data(flow, window, 0, &used, &bytes);
	pending_request(&mc->current->pending, window, 0, used);
	if (whole)
		end_request(mc, bytes);
	return step_of(PARSE_TOOK, used);
}

static const char *status_name(uint16_t status)
{
	switch (status) {
	case 0:
		return "OK";
	case STATUS_MISS:
		return "NOT_FOUND";
	case STATUS_EXISTS:
		return "EXISTS";
	case 3:
		return "TOO_LARGE";
	case 4:
		return "INVALID";
	case STATUS_NOT_STORED:
		return "NOT_STORED";
	case 6:
		return "NON_NUMERIC";
	case 0x20:
		return "AUTH_ERROR";
	case 0x21:
		return "AUTH_CONTINUE";
	case 0x81:
		return "UNKNOWN";
	case 0x82:
		return "NO_MEMORY";
	default:
		return "ERROR";
	}
}

/* A value has come, or all that the response has to say. */
static void end_response(struct memcached *mc, struct span value)
{
	struct cached *head = mc->pending;
	bool reads = !head->stores && !is_sasl(head->opcode) &&
		     head->opcode != OPCODE_STAT;

	if (reads && value.length)
		memcached_value(mc, head, head->key_count ? 0 : -1, value);
	if (mc->value_ends)
		memcached_answered(mc);
	else
		mc->answering = false;
}

/* Was it asked before the loss, so that its response may be gone? */
static bool may_be_lost(const struct memcached *mc,
			const struct cached *request)
{
	return mc->doubt && (!mc->doubt_seen ||
			     request->pending.start_ns <=
				     mc->flows[SIDE_SERVER].last_ns);
}

/* The request that a response answers becomes the head; false: none does. */
static bool find_head(struct memcached *mc, const struct header *header,
		      uint64_t ns)
{
	struct cached *request = mc->pending;

	while (request && (request->opcode != header->opcode ||
			   request->opaque != header->opaque ||
			   request->lost))
		request = request->next;
	if (!request || (ns && ns < request->pending.start_ns))
		return false;
	/*
	 * An opaque that clients don't use proves nothing after a loss, and
	 * of several packets the first may have been lost.
	 */
	if (mc->doubt && (!header->opaque ||
			  (header->opcode == OPCODE_STAT &&
			   may_be_lost(mc, request))))
		request->pending.damaged = true;
	while (mc->pending != request)
		memcached_drop_head(mc, !may_be_lost(mc, mc->pending));
	mc->doubt = false;
	mc->server_missed = 0;
	return true;
}

static struct step start_response(struct memcached *mc,
				  const struct window *window)
{
	struct cursor c = cursor_of(window->bytes, window->length);
	struct cached_flow *flow = &mc->flows[SIDE_SERVER];
	struct header header;
	struct cached *head;
	uint64_t length;
	size_t used;
	bool asked;

	if (window->length < MEMCACHED_HEADER)
		return step_of(window->bytes[0] == 0x81 ? PARSE_MORE :
							   PARSE_LOST, 0);
	if (!take_header(SIDE_SERVER, &c, &header))
		return step_of(PARSE_LOST, 0);
	cursor_take(&c, header.extras);
	cursor_take(&c, header.key);
	if (c.bad)
		return step_of(PARSE_MORE, 0);
	asked = find_head(mc, &header, window_last_ns(window, 0));
	if (!asked && !mc->pending && !flow->forced)
		return step_of(PARSE_WAIT, 0);
	flow->forced = false;
	used = (size_t)(c.at - window->bytes);
	length = header.body - header.key - header.extras;
	mc->answering = asked;
	if (length)
		memcached_begin_data(flow, length, 0);
	if (!asked) {
		memcached_pass(mc, window, used);
		return step_of(PARSE_TOOK, used);
	}
	head = mc->pending;
	pending_response(&head->pending, window, 0, used);
	head->status = header.status;
	strcpy(head->response, status_name(header.status));
	head->failed = header.status && header.status != STATUS_MISS &&
		       header.status != STATUS_EXISTS &&
		       header.status != STATUS_NOT_STORED;
	head->lines += header.opcode == OPCODE_STAT && header.key;
	if (!header.status && !strncmp(head->name, "g", 1)) {
		head->hits++;
		head->read_bytes += length;
	}
	/* STAT's responses end with one that has no key. */
	mc->value_ends = header.opcode != OPCODE_STAT || !header.key;
	if (!length)
		end_response(mc, (struct span){ "", 0 });
	return step_of(PARSE_TOOK, used);
}

struct step memcached_binary_server(struct memcached *mc,
				    const struct window *window)
{
	struct cached_flow *flow = &mc->flows[SIDE_SERVER];
	struct span bytes;
	size_t used;
	bool whole;

	if (!flow->in_data)
		return start_response(mc, window);
	whole = memcached_data(flow, window, 0, &used, &bytes);
	if (!mc->answering)
		return step_of(PARSE_TOOK, used);
	pending_response(&mc->pending->pending, window, 0, used);
	/* What is wrong is told in words where a value would be. */
	if (whole && mc->pending->failed)
		memcached_keep(mc, &mc->pending->message, bytes.bytes,
			       bytes.length, VALUE_BYTES_MAX);
	if (whole)
		end_response(mc, mc->pending->failed ?
			     (struct span){ "", 0 } : bytes);
	return step_of(PARSE_TOOK, used);
}
