/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * amqp.h - inside of the AMQP parser: the methods of AMQP 0-9-1.
 *
 * Source: https://www.rabbitmq.com/amqp-0-9-1-reference and the specification
 * AMQP 0-9-1 (section 2.3, frames; 4.2, their format), RabbitMQ's extensions.
 */
#ifndef DATASNOOP_PARSERS_AMQP_H
#define DATASNOOP_PARSERS_AMQP_H

#include "parsers/cursor.h"
#include "parsers/exchange.h"
#include "parsers/parser.h"

/* Who sends a method. */
#define AMQP_BY_CLIENT 1u
#define AMQP_BY_SERVER 2u

struct amqp_method {
	uint16_t class, method;
	unsigned by;
	bool content;	   /* a content header and a body follow */
	uint16_t answers;  /* the method of its class that it answers; 0 */
	bool asks;	   /* is answered, unless it says no-wait */
	const char *class_name, *name;
	const char *arguments; /* see amqp_methods.c */
};

/* What of a method's arguments is told; bytes NULL, -1: it has none. */
struct amqp_arguments {
	struct span exchange, queue, routing_key, vhost, consumer, mechanism;
	struct span user, reply_text;
	int64_t reply_code, message_count, consumer_count, delivery_tag;
	uint16_t class, method; /* that a Close is about; 0: none */
	bool no_wait;
};

/* NULL: unknown. */
const struct amqp_method *amqp_method_of(unsigned class, unsigned method);
/*
 * Reads the arguments; text borrows the bytes.  False: they are not the
 * method's.  Secrets are passed over.
 */
bool amqp_arguments_read(const struct amqp_method *method, struct cursor *c,
			 struct amqp_arguments *arguments);

#endif
