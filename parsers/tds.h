/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tds.h - inside of the parser of TDS, Microsoft SQL Server's protocol.
 *
 * Source: [MS-TDS], https://learn.microsoft.com/openspecs/windows_protocols/
 * ms-tds: 2.2.3 packets, 2.2.5 data types, 2.2.6 client messages, 2.2.7 the
 * server's tokens.
 */
#ifndef DATASNOOP_PARSERS_TDS_H
#define DATASNOOP_PARSERS_TDS_H

#include "parsers/cursor.h"
#include "parsers/framed.h"
#include "parsers/sql.h"

#define TDS_COLUMNS_MAX	 4096  /* of a result: what the server allows */
#define TDS_NAMES_BYTES	 16384 /* of names kept of an exchange */
#define TDS_PREPARED_MAX 256   /* statements remembered by handle */
#define TDS_REQUESTS_MAX 16    /* waiting for their responses */
#define TDS_VERSION_71	 0x71000001u
#define TDS_VERSION_72	 0x72090002u /* from which on headers are sent */

/* A data type as TYPE_INFO tells it. */
struct tds_type {
	uint8_t id;
	uint8_t scale;
	uint32_t size; /* of a fixed type, else the longest value */
	enum {
		TDS_FIXED,
		TDS_BYTE,   /* a length of 1 byte; 0: null */
		TDS_SHORT,  /* of 2 bytes; 0xffff: null */
		TDS_LONG,   /* of 4 bytes; 0xffffffff: null, 0 of a variant */
		TDS_POINTED, /* behind a text pointer; no pointer: null */
		TDS_CHUNKED /* in chunks */
	} form;
};

/*
 * tds_type_read - TYPE_INFO; the cursor is bad when it is short
 * @column: of a result's column, not of a parameter
 *
 * False: a type that is not known, or a table.
 */
bool tds_type_read(struct tds_type *type, struct cursor *c, bool column);
/* Behind the TYPE_INFO of a text or image column: its table's name. */
void tds_table_skip(const struct tds_type *type, struct cursor *c,
		    uint32_t version);

/* A value on its way: its first bytes gather, the others are skipped. */
struct tds_value {
	struct tds_type type;
	enum { VALUE_PREFIX, VALUE_CHUNK, VALUE_DATA } place;
	uint64_t left; /* of the chunk */
	size_t bound;  /* bytes of it to gather */
	bool null, cut;
	struct buffer bytes;
};

void tds_value_begin(struct tds_value *value, const struct tds_type *type,
		     size_t bound);

/* Takes what there is of the value; the cursor moves on.  True: all of it. */
bool tds_value_take(struct tds_value *value, struct cursor *c);
/* Appends the value as text; nothing for null. */
void tds_value_text(const struct tds_value *value, struct buffer *out);

/* Appends UTF-16 as UTF-8, up to `bound` bytes in all.  False: cut. */
bool tds_utf8(struct buffer *out, const uint8_t *bytes, size_t length,
	      size_t bound);

struct tds_kept {
	uint32_t at, length;
	bool there;
};

struct tds_request {
	struct tds_request *prev, *next;
	struct pending pending;
	uint8_t type;		/* of its packets; 0: not seen */
	unsigned packets;	/* that the request is of */
	bool exposed;		/* its response may be in a gap */
	bool cancelled;		/* by an attention signal */
	struct buffer statement; /* UTF-8 */
	bool statement_cut, statement_known;
	struct buffer names;	/* what the following point into */
	struct tds_kept procedure, user, database, application, host;
	int procedure_id;	/* 0: named */
	unsigned calls;		/* of a message of several */
	bool has_handle;
	uint32_t handle;	/* of a prepared statement */
	uint16_t transaction;	/* which request to the manager */
	struct buffer values;	/* parameters as text */
	struct tds_kept parameters[EXCHANGE_PARAMETERS_MAX];
	size_t parameter_count;
};

/* The client's message that is being read. */
struct tds_asking {
	struct tds_request *request; /* NULL: of no interest */
	enum {
		ASKING_HEADERS,
		ASKING_TEXT,
		ASKING_LOGIN,
		ASKING_TRANSACTION,
		ASKING_CALL,
		ASKING_PARAMETER,
		ASKING_VALUE,
		ASKING_NOTHING
	} place;
	unsigned parameter; /* its number in the call */
	struct tds_value value;
};

struct tds_column {
	struct tds_type type;
	int index; /* in the exchange; -1: not there */
};

/* The server's message that is being read. */
struct tds_answering {
	struct tds_request *request;
	enum {
		ANSWERING_TOKEN,
		ANSWERING_COLUMN,
		ANSWERING_VALUE,
		ANSWERING_RETURN,
		ANSWERING_FEATURE,
		ANSWERING_PRELOGIN,
		ANSWERING_NOTHING
	} place;
	struct tds_column *columns; /* of the result at hand */
	size_t column_count, column;
	bool with_nulls; /* the row has a bitmap: */
	uint8_t nulls[TDS_COLUMNS_MAX / 8];
	struct tds_value value;
	struct buffer names;	 /* of columns, and the message */
	struct tds_kept columns_kept[EXCHANGE_COLUMNS_MAX];
	size_t kept_count;
	uint64_t columns_total;
	struct tds_kept message;
	uint32_t error, state;
	int64_t rows, affected, return_status;
	unsigned results;
	bool selects;	 /* the statement at hand has a result set */
	bool attention;	 /* acknowledged */
	bool done, authenticates, has_status;
	bool described;	   /* tds->exchange is this one's */
	unsigned returned; /* values */
	int encryption;	 /* of PRELOGIN; -1: not told */
};

struct tds_prepared {
	uint32_t handle;
	struct buffer text;
};

struct tds {
	struct framed framed;
	const struct observer *observer;
	struct tds_request *requests; /* oldest first */
	size_t request_count;
	struct {
		uint8_t type;
		bool ends; /* the message, with this packet */
		bool inside; /* a message */
	} packets[SIDES];
	struct tds_asking asking;
	struct tds_answering answering;
	uint32_t version; /* 0: not known */
	int encryption;	  /* as PRELOGIN agreed; -1: not known */
	unsigned attentions; /* not acknowledged */
	struct buffer database;
	struct tds_prepared prepared[TDS_PREPARED_MAX];
	size_t prepared_count, prepared_next;
	struct sql_description *description;
	struct buffer text, shown, masked; /* of the statement at hand */
	struct exchange exchange;
};

/* Encryption in PRELOGIN. */
#define TDS_ENCRYPT_OFF	  0 /* the login alone is encrypted */
#define TDS_ENCRYPT_ON	  1
#define TDS_ENCRYPT_NONE  2 /* not supported */
#define TDS_ENCRYPT_NEEDS 3

/* Types of packets. */
enum tds_packet {
	TDS_SQL_BATCH = 1,
	TDS_RPC = 3,
	TDS_RESPONSE = 4,
	TDS_ATTENTION = 6,
	TDS_BULK = 7,
	TDS_FEDAUTH = 8,
	TDS_TRANSACTION = 14,
	TDS_LOGIN = 16,
	TDS_SSPI = 17,
	TDS_PRELOGIN = 18
};

/* tds_request.c: units of the client's messages, see framed.h. */
void tds_asking_begin(struct tds *tds, uint8_t type);
size_t tds_asking_unit(struct tds *tds, const uint8_t *bytes, size_t length,
		       bool last);
/* Where the statement, the handle, the values of a known call stand. */
struct tds_procedure {
	const char *name;
	int text, handle, values; /* parameters' numbers; -1: none */
	bool prepares;
	bool executes; /* by handle */
};
/* The procedure of that number or name; NULL: an ordinary one. */
const struct tds_procedure *tds_procedure_of(const struct tds_request *request);
/* Does a client's message begin so?  Needs at most 30 bytes. */
bool tds_asking_begins(uint8_t type, const uint8_t *bytes, size_t length);

/* tds_response.c: the same of the server's. */
void tds_answering_begin(struct tds *tds, struct tds_request *request);
size_t tds_answering_unit(struct tds *tds, const uint8_t *bytes,
			  size_t length, bool last);
bool tds_answering_begins(const uint8_t *bytes, size_t length);
void tds_answering_clear(struct tds_answering *answering);

/* tds_report.c */
struct tds_request *tds_request_new(uint8_t type);
void tds_request_free(struct tds_request *request);
struct span tds_span(const struct buffer *buffer, struct tds_kept kept);
/* Keeps UTF-16 as UTF-8. */
struct tds_kept tds_keep(struct buffer *buffer, const uint8_t *bytes,
			 size_t length);
/* Puts the statement, the columns and the rest in tds->exchange. */
void tds_describe(struct tds *tds, const struct tds_request *request,
		  bool answered);
/* Reports the request with what the answer said, if it was answered. */
void tds_report(struct tds *tds, const struct tds_request *request,
		bool answered);
/* A value of a row, or a parameter (column -1), to who listens. */
void tds_tell_value(struct tds *tds, int column, struct span text);

#endif
