/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kafka.h - inside of the Kafka parser: what messages hold, and its walker.
 *
 * Sources: https://kafka.apache.org/protocol (request and response headers,
 * "Protocol Primitive Types", record batches), KIP-482 (tagged fields).
 */
#ifndef DATASNOOP_PARSERS_KAFKA_H
#define DATASNOOP_PARSERS_KAFKA_H

#include "parsers/buffer.h"
#include "parsers/parser.h"
#include "parsers/pending.h"

#define KAFKA_VERSION_NONE 127 /* as a version: never, or always below */

/* An API of the protocol. */
struct kafka_api {
	const char *name;
	int max_version;   /* known here; later ones are named, not read */
	int flexible_from; /* first version with tagged fields */
	const char *request, *response; /* schemas; NULL: not read */
};

/* The API of that key; NULL: unknown. */
const struct kafka_api *kafka_api_of(int key);
/* An error code's name, -1 included; NULL: none, or no error. */
const char *kafka_error_name(int code);

/* What a field of a schema is good for: the letter behind its `=`. */
enum kafka_role {
	KAFKA_TOPIC = 'T',
	KAFKA_PARTITION = 'P',
	KAFKA_GROUP = 'G',
	KAFKA_KEY_TYPE = 'K', /* of FindCoordinator: 0 is a group's */
	KAFKA_TRANSACTION = 'X',
	KAFKA_MECHANISM = 'S',
	KAFKA_ACKS = 'A',
	KAFKA_ERROR = 'E',
	KAFKA_MESSAGE = 'M',
	KAFKA_RECORDS = 'r' /* so many records; -1: they can't be counted */
};

#define KAFKA_DEPTH_MAX 4 /* arrays in arrays, as schemas have them */

/* A place in a message of some schema; reads on from unit to unit. */
struct kafka_walk {
	const char *at; /* in the schema; NULL: at its end */
	bool open;	/* ... which is not the message's end */
	int version;
	bool flexible;
	unsigned depth;
	struct {
		const char *start; /* of the element's fields */
		uint64_t left;	   /* elements, this one included */
	} arrays[KAFKA_DEPTH_MAX];
	uint64_t tags;	  /* tagged fields that come next */
	uint64_t records; /* bytes of record batches that come next */
	/* A field with a role; text of a string, number of others. */
	void (*found)(void *context, enum kafka_role role, struct span text,
		      int64_t number);
	void *context;
};

enum kafka_went { KAFKA_WENT, KAFKA_SHORT, KAFKA_BROKEN };

/*
 * kafka_walk_step - the next field
 * @used: out: bytes that it took; may be 0 with KAFKA_WENT at the end only
 * @skip: out: bytes behind them to pass over
 *
 * KAFKA_SHORT: it needs more bytes; KAFKA_BROKEN: it is not of the schema.
 * When walk->at is NULL all has been read.
 */
enum kafka_went kafka_walk_step(struct kafka_walk *walk, const uint8_t *bytes,
				size_t length, size_t *used, uint64_t *skip);

/* kafka_report.c */

#define KAFKA_GROUPS_MAX    4  /* told of a request */
#define KAFKA_UNNAMED_BYTES 24 /* "API_??? (-32768)" and a NUL */

/* What is no API, in a request's place for one. */
#define KAFKA_TOKEN   -1 /* of SASL, bare: after SaslHandshake 0 */
#define KAFKA_UNKNOWN -2 /* the request was not seen */

#define KAFKA_PRODUCE	     0
#define KAFKA_FETCH	     1
#define KAFKA_CONTROLLED_SHUTDOWN 7
#define KAFKA_SASL_HANDSHAKE 17
#define KAFKA_API_VERSIONS   18

struct kafka_kept {
	uint16_t at, length;
	bool there;
};

struct kafka_request {
	struct pending pending;
	struct kafka_request *prev, *next;
	int api, version;
	int32_t correlation;
	bool exposed;	 /* its response may have been in a gap */
	bool unanswered; /* acks=0: no response follows */
	bool has_error;	 /* error is what the response says */
	bool not_group;	 /* the coordinator of something else */
	bool uncounted;	 /* compressed messages of the first formats */
	int error;
	int64_t messages, partitions[SIDES];
	struct buffer text; /* what the following point into */
	struct kafka_kept client, transaction, mechanism, message;
	struct kafka_kept names[EXCHANGE_TARGETS_MAX];
	struct kafka_kept groups[KAFKA_GROUPS_MAX];
	size_t name_count, group_count;
};

/* Text that was kept; NULL: none was. */
struct span kafka_span(const struct kafka_request *request,
		       struct kafka_kept kept);
/*
 * kafka_describe - the request and what its response said, in the exchange
 * @unnamed: room for the name of an API that has none; the exchange borrows it
 */
void kafka_describe(const struct kafka_request *request,
		    char unnamed[KAFKA_UNNAMED_BYTES],
		    struct exchange *exchange);

#endif
