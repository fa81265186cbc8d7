/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jsonrpc.h - JSON-RPC 2.0 messages as the Model Context Protocol uses them.
 *
 *   mcp.c        over a stream, a line a message: a server's standard streams
 *   http_mcp.c   over HTTP, as JSON or as server-sent events
 *   mcp_report.c a request and its response as an exchange
 *
 * Sources: https://www.jsonrpc.org/specification and
 * https://modelcontextprotocol.io/specification (2024-11-05 to 2025-11-25,
 * and the draft's _meta of requests without a session).
 */
#ifndef DATASNOOP_PARSERS_JSONRPC_H
#define DATASNOOP_PARSERS_JSONRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parsers/buffer.h"
#include "parsers/exchange.h"
#include "parsers/parser.h"

#define JSONRPC_ID_MAX	      96    /* bytes of an id kept, and compared */
#define JSONRPC_NAME_MAX      128   /* bytes of a name, a version, a method */
#define JSONRPC_URI_MAX	      512   /* bytes of a resource's URI kept */
#define JSONRPC_ARGUMENTS_MAX 16384 /* bytes of a call's arguments kept */
#define JSONRPC_TEXT_MAX      16384 /* bytes of a message's texts kept */
#define JSONRPC_ITEMS_MAX     16    /* tools, resources ... listed by name */

enum jsonrpc_kind {
	JSONRPC_NONE, /* no message of JSON-RPC */
	JSONRPC_REQUEST,
	JSONRPC_NOTIFICATION,
	JSONRPC_RESPONSE
};

/* Strings end with NUL; "" is not told. */
struct jsonrpc_message {
	struct jsonrpc_message *next; /* for a list of its owner's */
	enum jsonrpc_kind kind;
	bool version;	/* it says "jsonrpc":"2.0" */
	bool has_id, has_result, has_error, foreign;
	bool id_is_text; /* a string is not the number that looks like it */
	char id[JSONRPC_ID_MAX];
	char method[JSONRPC_NAME_MAX];
	char name[JSONRPC_NAME_MAX]; /* params.name: a tool's, a prompt's */
	char uri[JSONRPC_URI_MAX];
	char protocol[JSONRPC_NAME_MAX]; /* MCP's version */
	char peer[JSONRPC_NAME_MAX];	 /* the sender's name and version */
	char peer_version[JSONRPC_NAME_MAX];
	char error_code[24]; /* a number, as written */
	char error_message[JSONRPC_URI_MAX];
	bool tool_failed; /* result.isError */
	struct buffer arguments; /* params.arguments, as written */
	struct buffer text;	 /* of result.content[], of what is sampled */
	uint64_t text_bytes;
	char items[JSONRPC_ITEMS_MAX][JSONRPC_NAME_MAX];
	uint64_t item_count; /* listed, content parts; may be more */
};

void jsonrpc_message_free(struct jsonrpc_message *message);
/* Are the ids the same, of the same type? */
bool jsonrpc_same_id(const struct jsonrpc_message *a,
		     const struct jsonrpc_message *b);

struct jsonrpc;

/* A whole message; it is given away: to be freed. */
typedef void jsonrpc_handler(void *context, struct jsonrpc_message *message);

/* NULL: out of memory. */
struct jsonrpc *jsonrpc_new(jsonrpc_handler *handler, void *context);
void jsonrpc_free(struct jsonrpc *rpc);
/*
 * jsonrpc_feed - the next bytes; a message, an array of them, or several
 *
 * False: no JSON, not JSON-RPC, or memory is short: nothing more is told
 * until jsonrpc_reset().
 */
bool jsonrpc_feed(struct jsonrpc *rpc, const void *bytes, size_t length);
/* Forgets what was begun: the next byte begins a message. */
void jsonrpc_reset(struct jsonrpc *rpc);
/* What is known of the message that is being read, borrowed; NULL: none. */
const struct jsonrpc_message *jsonrpc_peek(const struct jsonrpc *rpc);

enum mcp_sender { MCP_FOREIGN, MCP_EITHER, MCP_CLIENT, MCP_SERVER };

/* Who of MCP sends this method; MCP_FOREIGN: it is none of MCP's. */
enum mcp_sender mcp_sender_of(const char *method);

/*
 * mcp_describe - a request or notification and its response; one may be NULL
 * @line: what the exchange's statement and masked text borrow, its owner's
 *
 * Adds to the exchange, which was reset; spans borrow the messages.  Sets
 * failed and status_name on an error, leaves status alone.  Values are told
 * to the observer by mcp_tell_values(), when the exchange is whole.
 */
void mcp_describe(struct exchange *exchange, struct buffer *line,
		  const struct jsonrpc_message *request,
		  const struct jsonrpc_message *response);
void mcp_tell_values(const struct observer *observer,
		     const struct exchange *exchange,
		     const struct jsonrpc_message *request,
		     const struct jsonrpc_message *response);

#endif
