/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cassandra.h - inside of the parser of Cassandra's CQL protocol, versions 3
 * to 5.
 *
 * Source: https://github.com/apache/cassandra/tree/trunk/doc
 * native_protocol_v3.spec, native_protocol_v4.spec, native_protocol_v5.spec.
 */
#ifndef DATASNOOP_PARSERS_CASSANDRA_H
#define DATASNOOP_PARSERS_CASSANDRA_H

#include <uthash.h>

#include "parsers/cursor.h"
#include "parsers/framed.h"
#include "parsers/sql.h"

#define CASSANDRA_REQUESTS_MAX	 2048	/* on streams of a connection */
#define CASSANDRA_PREPARED_MAX	 256	/* statements remembered by id */
#define CASSANDRA_ID_BYTES_MAX	 64	/* of a prepared statement's id */
#define CASSANDRA_NAMES_BYTES	 16384	/* of names kept of a result */
#define CASSANDRA_TYPE_DEPTH_MAX 8	/* of types in types */
#define CASSANDRA_BODY_BYTES_MAX (1u << 20) /* of a compressed body */
#define CASSANDRA_PLAIN_BYTES_MAX (4u << 20) /* of it, decompressed */

#define CASSANDRA_ENVELOPE_BYTES 9	/* the header */
#define CASSANDRA_SEGMENT_BYTES_MAX 131071 /* of payload, by its 17 bits */

enum cassandra_opcode {
	CQL_ERROR = 0x00,
	CQL_STARTUP = 0x01,
	CQL_READY = 0x02,
	CQL_AUTHENTICATE = 0x03,
	CQL_OPTIONS = 0x05,
	CQL_SUPPORTED = 0x06,
	CQL_QUERY = 0x07,
	CQL_RESULT = 0x08,
	CQL_PREPARE = 0x09,
	CQL_EXECUTE = 0x0a,
	CQL_REGISTER = 0x0b,
	CQL_EVENT = 0x0c,
	CQL_BATCH = 0x0d,
	CQL_AUTH_CHALLENGE = 0x0e,
	CQL_AUTH_RESPONSE = 0x0f,
	CQL_AUTH_SUCCESS = 0x10,
	CQL_NONE = 0xff
};

/* Flags of an envelope. */
#define CQL_COMPRESSED 0x01
#define CQL_TRACED     0x02
#define CQL_PAYLOAD    0x04
#define CQL_WARNINGS   0x08
#define CQL_FLAGS      0x1f /* all that are defined */

enum cassandra_compression { CQL_PLAIN, CQL_LZ4, CQL_SNAPPY };

struct cassandra_kept {
	uint32_t at, length;
	bool there;
};

struct cassandra_column {
	struct cassandra_kept name; /* "table.column" */
	uint16_t type;
};

struct cassandra_columns {
	struct buffer names;
	struct cassandra_kept keyspace, table; /* of the first */
	struct cassandra_column columns[EXCHANGE_COLUMNS_MAX];
	size_t count;
	uint64_t total;
};

struct cassandra_prepared {
	uint8_t id[CASSANDRA_ID_BYTES_MAX];
	size_t id_length;
	struct buffer text;
	bool text_cut;
	struct cassandra_columns binds, columns;
};

struct cassandra_request {
	UT_hash_handle hh;
	int stream; /* the key */
	struct pending pending;
	uint8_t opcode, version;
	struct buffer statement;
	bool statement_cut, statement_known;
	uint8_t id[CASSANDRA_ID_BYTES_MAX]; /* of what is executed */
	size_t id_length;
	unsigned statements;	/* of a batch */
	int consistency;	/* -1: not told */
	struct buffer names;	/* user, compression */
	struct cassandra_kept user;
	struct buffer values;	/* as text */
	struct cassandra_kept parameters[EXCHANGE_PARAMETERS_MAX];
	size_t parameter_count;
	enum cassandra_compression compression; /* of STARTUP */
};

/* The envelope of the client's that is being read. */
struct cassandra_asking {
	struct cassandra_request *request;
	enum {
		ASK_PAYLOAD,
		ASK_TEXT_LENGTH,
		ASK_TEXT,
		ASK_ID,
		ASK_PARAMETERS,
		ASK_VALUE,
		ASK_BATCH,
		ASK_BATCH_STATEMENT,
		ASK_BATCH_END,
		ASK_WHOLE,
		ASK_NOTHING
	} place;
	uint64_t text_left;
	unsigned values_left, statements_left;
	bool named; /* values come with their names */
};

/* The envelope of the server's that is being read. */
struct cassandra_answering {
	struct cassandra_request *request;
	uint8_t opcode, flags, version;
	enum {
		TELL_PREFIX,
		TELL_BODY,
		TELL_METADATA,
		TELL_COLUMN,
		TELL_ROWS,
		TELL_CELL,
		TELL_NOTHING
	} place;
	int kind; /* of a RESULT; 0: not known */
	struct cassandra_columns columns, binds;
	bool reads_binds;     /* of PREPARED's two sets the first */
	bool without_metadata;
	bool global_table;    /* told once for all columns */
	struct cassandra_kept keyspace, table; /* in the columns' names */
	uint64_t columns_left;
	uint64_t column;      /* of the cell */
	uint64_t cells_left;
	const struct cassandra_columns *shown; /* these, or of the prepared */
	bool described;	      /* cassandra->exchange is this one's */
	int64_t rows;
	int64_t error;	      /* -1: none */
	struct buffer names;  /* what these point into */
	struct cassandra_kept message, set_keyspace, change, event;
	uint8_t id[CASSANDRA_ID_BYTES_MAX];
	size_t id_length;
};

struct cassandra {
	struct framed envelopes, segments;
	const struct observer *observer;
	struct cassandra_request *requests; /* hash by stream, oldest first */
	struct cassandra_asking asking;
	struct cassandra_answering answering;
	uint8_t version; /* seen last; 0: none */
	enum cassandra_compression compression;
	bool starting;	 /* STARTUP of version 5 waits for its answer */
	bool segmented;	 /* from here on */
	struct {
		uint8_t flags;
		struct buffer body;	/* compressed, or a segment's payload */
		bool body_cut;
		struct buffer plain;	/* decompressed */
		bool unread;		/* the body could not be read */
		/* of a segment */
		struct buffer stream;	/* envelopes that are not read yet */
		uint32_t payload, uncompressed;
	} sides[SIDES];
	struct buffer keyspace;
	struct cassandra_prepared *prepared[CASSANDRA_PREPARED_MAX];
	size_t prepared_next;
	struct sql_description *description;
	struct buffer text, shown, masked;
	char unnamed[24];
	struct exchange exchange;
};

/* cassandra_request.c */
void cassandra_asking_begin(struct cassandra *cassandra,
			    struct cassandra_request *request, uint8_t flags);
size_t cassandra_asking_unit(struct cassandra *cassandra, const uint8_t *bytes,
			     size_t length, bool last);
struct cassandra_prepared *
cassandra_prepared_of(const struct cassandra *cassandra, const uint8_t *id,
		      size_t length);

/* cassandra_result.c */
void cassandra_answering_begin(struct cassandra *cassandra,
			       struct cassandra_request *request,
			       uint8_t flags);
size_t cassandra_answering_unit(struct cassandra *cassandra,
				const uint8_t *bytes, size_t length, bool last);
/* The answer is whole: remembers a prepared statement, the keyspace. */
void cassandra_answering_apply(struct cassandra *cassandra);
void cassandra_answering_free(struct cassandra_answering *answering);
/* NULL is fine. */
void cassandra_prepared_free(struct cassandra_prepared *prepared);

/* cassandra_values.c */
/* Appends the value of that type as text; types of types as they are. */
void cassandra_value_text(uint16_t type, struct span value,
			  struct buffer *out);
/* A type's option; its id.  Bad when it is short, or too deep. */
uint16_t cassandra_type_read(struct cursor *c, unsigned depth);
/* [string], [long string], [short bytes] */
struct span cassandra_string(struct cursor *c);

/* cassandra_segment.c */
enum frame_verdict cassandra_segment_shape(bool compressed,
					   const uint8_t *bytes, size_t length,
					   struct frame_shape *shape,
					   uint32_t *uncompressed);
/* Checks a whole segment's payload and its trailer; decompresses it. */
bool cassandra_segment_open(const struct buffer *body, uint32_t uncompressed,
			    bool compressed, struct buffer *plain);
/* Decompresses a body of versions 3 and 4. */
bool cassandra_body_open(enum cassandra_compression compression,
			 const struct buffer *body, struct buffer *plain);

/* cassandra_report.c */
struct cassandra_request *cassandra_request_new(uint8_t opcode, int stream);
void cassandra_request_free(struct cassandra_request *request);
struct span cassandra_span(const struct buffer *buffer,
			   struct cassandra_kept kept);
struct cassandra_kept cassandra_keep(struct buffer *buffer, struct span text);
void cassandra_describe(struct cassandra *cassandra,
			const struct cassandra_request *request, bool answered);
void cassandra_report(struct cassandra *cassandra,
		      const struct cassandra_request *request, bool answered);
void cassandra_tell_value(struct cassandra *cassandra, int column,
			  struct span text);

#endif
