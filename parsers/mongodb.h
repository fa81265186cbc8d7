/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mongodb.h - the MongoDB wire protocol.
 *
 *   mongodb.c          messages of both sides, requests and their responses
 *   mongodb_message.c  what stands in a message of each opcode
 *   mongodb_scan.c     BSON as it passes, without keeping it
 *   mongodb_inflate.c  OP_COMPRESSED
 *   mongodb_shape.c    a command as text, with and without its values
 *   mongodb_report.c   a request and its response -> an exchange
 *
 * A message is read as it comes, of any size: what is kept of it is a command
 * to be shown, and one document of a result at a time.
 * Source: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
 * and https://bsonspec.org/spec.html
 */
#ifndef DATASNOOP_PARSERS_MONGODB_H
#define DATASNOOP_PARSERS_MONGODB_H

#include <uthash.h>

#include "parsers/buffer.h"
#include "parsers/parser.h"
#include "parsers/pending.h"

#define MONGODB_HEADER	      16
#define MONGODB_MESSAGE_MAX   (48000000 + 16384) /* bytes; the server's bound
						    and its headers */
#define MONGODB_NAME_MAX      63    /* bytes of a command's name, of a field's
				       that is looked for */
#define MONGODB_SPACE_MAX     255   /* bytes of "database.collection" */
#define MONGODB_TEXT_MAX      1024  /* bytes of a string that is looked for */
#define MONGODB_PENDING_MAX   1024  /* requests not answered yet */
#define MONGODB_DOCUMENT_KEPT 65536 /* bytes of a document looked into */
#define MONGODB_COMPRESSED_MAX (4 << 20) /* bytes of snappy's blocks, which
					    can't be had piecewise */
#define MONGODB_NESTING_MAX   32 /* of a document shown; deeper is `...` */

enum mongodb_opcode {
	OP_REPLY = 1,
	OP_UPDATE = 2001,
	OP_INSERT = 2002,
	OP_QUERY = 2004,
	OP_GET_MORE = 2005,
	OP_DELETE = 2006,
	OP_KILL_CURSORS = 2007,
	OP_COMPRESSED = 2012,
	OP_MSG = 2013
};

/* What the scan of a document looks for; levels below the root too. */
enum scan_kind {
	SCAN_COMMAND,	   /* a request's document */
	SCAN_ANSWER,	   /* a response's */
	SCAN_CURSOR,	   /* cursor: { firstBatch, nextBatch } */
	SCAN_BATCH,	   /* documents of a result */
	SCAN_COUNTED,	   /* documents, updates, deletes: how many */
	SCAN_WRITE_ERRORS, /* the first of them */
	SCAN_WRITE_ERROR
};

struct scan_level {
	enum scan_kind kind;
	uint64_t end; /* offset in what is fed, behind its last byte */
};

#define SCAN_LEVELS 4

enum scan_state {
	SCAN_LENGTH,
	SCAN_TYPE,
	SCAN_NAME,
	SCAN_VALUE,  /* of fixed size */
	SCAN_SIZE,   /* of what follows */
	SCAN_STRING,
	SCAN_DOCUMENT, /* kept whole */
	SCAN_SKIP,
	SCAN_REGEX,
	SCAN_DONE,
	SCAN_BAD
};

struct mongodb;

/* A document as it passes. */
struct scan {
	enum scan_state state;
	struct scan_level levels[SCAN_LEVELS];
	unsigned depth;
	enum scan_kind root;
	uint64_t offset; /* bytes fed */
	uint8_t type;
	char name[MONGODB_NAME_MAX + 1];
	size_t name_length; /* may be longer than what is kept */
	uint8_t fixed[16];
	size_t fixed_have, fixed_need;
	uint64_t left; /* bytes to skip, of a string, of a document */
	unsigned nuls; /* of a regular expression's two strings */
	struct buffer text;
	bool first; /* the root's first element is next */
};

struct mongodb_reply {
	bool seen;
	bool failed;
	double ok;
	bool ok_seen;
	int64_t code; /* -1: none */
	char code_name[MONGODB_NAME_MAX + 1];
	struct buffer message;
	int64_t n, modified; /* -1: not told */
	int64_t documents;   /* returned; -1: no cursor */
	int64_t cursor;
	uint64_t write_errors;
	bool more; /* of an exhaust cursor: another response follows */
};

struct mongo_request {
	int32_t id; /* the key */
	UT_hash_handle hh;
	struct pending pending;
	enum mongodb_opcode opcode;
	const char *compressor; /* NULL: none */
	char name[MONGODB_NAME_MAX + 1];
	char database[MONGODB_SPACE_MAX + 1];
	char collection[MONGODB_SPACE_MAX + 1];
	struct buffer statement, masked;
	bool cut;
	bool legacy_find; /* the reply's documents are the result */
	bool unanswered;  /* no response is due */
	bool exhausts;	  /* its response was one of several */
	uint64_t documents; /* sent with it */
	struct mongodb_reply reply;
};

enum message_stage {
	STAGE_FIXED,	/* `need` bytes in scratch */
	STAGE_SPACE,	/* a collection's full name, a section's identifier */
	STAGE_KIND,	/* of a section */
	STAGE_SIZE,	/* of a section of documents */
	STAGE_COUNT,	/* the size of a document in it */
	STAGE_SCAN,	/* a document */
	STAGE_SKIP,	/* the rest of it, or of the message */
	STAGE_BAD
};

/* A message that is being read. */
struct message {
	bool begun;
	enum side side;
	uint64_t left;	  /* bytes of it on the wire */
	uint64_t content; /* bytes of it to be fed, decompressed */
	int32_t id, response_to;
	enum mongodb_opcode opcode;
	const char *compressor;
	uint32_t flags;
	bool damaged;
	enum message_stage stage;
	struct buffer scratch;
	size_t need;
	uint64_t sequence_left; /* bytes of a section of documents */
	uint64_t skip;		/* bytes of one of them */
	bool in_sequence;
	unsigned documents; /* scanned so far */
	struct scan scan;
	struct buffer body;   /* the command's document */
	bool body_cut;
	struct inflater *inflater;
	struct mongo_request *request; /* being built, or answered */
};

struct mongo_flow {
	bool unsynced, forced;
	bool doubtful; /* a message may begin here, or not */
	bool feeding; /* its content is being decompressed */
	struct message message;
	uint64_t last_ns;
	uint64_t missed;
};

struct mongodb {
	struct observer observer;
	struct mongo_flow flows[SIDES];
	struct mongo_request *pending; /* uthash, in order of arrival */
	struct exchange exchange;
	struct buffer columns;	     /* names, one behind the other */
	size_t column_at[EXCHANGE_COLUMNS_MAX + 1];
	size_t column_count;
	const struct mongo_request *columns_of;
};

/* mongodb_message.c: a message's content, in pieces of any size. */
void message_start(struct mongodb *mongo, enum side side);
void message_feed(struct mongodb *mongo, enum side side, const uint8_t *bytes,
		  size_t length);
/* All of it was fed, or will be; false: it was no message. */
bool message_end(struct mongodb *mongo, enum side side);

/* mongodb_scan.c: `root` is SCAN_COMMAND or SCAN_ANSWER. */
void scan_start(struct scan *scan, enum scan_kind root);
/*
 * scan_feed - the next bytes of a document; returns how many belong to it
 *
 * state SCAN_DONE: it has ended; SCAN_BAD: it is none, and nothing is taken.
 */
size_t scan_feed(struct mongodb *mongo, struct message *message,
		 const uint8_t *bytes, size_t length);

/* What the scan has found; in mongodb_message.c. */
void message_string(struct message *message, enum scan_kind kind,
		    struct span text);
void message_number(struct message *message, enum scan_kind kind,
		    double number, int64_t integer);
/* Is the array or document `name` of that level looked into? */
bool message_descends(struct message *message, enum scan_kind level,
		      enum scan_kind *into);
/* A document of a result, whole; NULL: larger than what is looked into. */
void message_document(struct mongodb *mongo, struct message *message,
		      const uint8_t *bytes, size_t length);
/* An element of a SCAN_COUNTED or SCAN_WRITE_ERRORS array. */
void message_counted(struct message *message, enum scan_kind kind);

/* mongodb_inflate.c */
struct inflater;
/* `size`: bytes of content as announced.  NULL: unknown, or out of memory. */
struct inflater *inflater_new(uint8_t compressor, uint64_t size);
const char *inflater_name(uint8_t compressor);
/*
 * inflater_feed - compressed bytes in, content out to put()
 *
 * No more than the size announced comes out.  False: broken.
 */
bool inflater_feed(struct inflater *inflater, const uint8_t *bytes,
		   size_t length, bool last,
		   void (*put)(void *context, const uint8_t *bytes,
			       size_t length), void *context);
void inflater_free(struct inflater *inflater);

/* mongodb_shape.c */
/*
 * shape_command - a command's document as text, both ways
 *
 * Passwords are `?` in both.  Hostile documents end where they are wrong.
 */
void shape_command(struct mongo_request *request, const struct buffer *body);
/* Strings and numbers of a document, to the observer, with their columns. */
void shape_values(struct mongodb *mongo, const struct mongo_request *request,
		  const uint8_t *bytes, size_t length);
/* Is it a step of a login, or does it set a password? */
bool mongodb_is_secret(const struct mongo_request *request);

/* mongodb_report.c */
void mongodb_describe(struct mongodb *mongo,
		      const struct mongo_request *request);
void mongodb_report(struct mongodb *mongo, struct mongo_request *request);
const char *mongodb_opcode_name(enum mongodb_opcode opcode);

/* mongodb.c */
void mongo_request_free(struct mongo_request *request);

#endif
