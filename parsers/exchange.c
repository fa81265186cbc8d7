/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exchange.c - fills the fields of an exchange.
 */
#include "parsers/exchange.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Kept for the next exchanges: 0.1 MB, which stays in the processor's cache. */
#define SPARES_MAX 8

static struct exchange_lists *spare;
static unsigned spares;
/* Where an exchange without lists puts what it has: nobody reads it. */
static struct exchange_lists nowhere;

struct span span_string(const char *text)
{
	return (struct span){ text, text ? strlen(text) : 0 };
}

bool span_is(struct span span, const char *text)
{
	return span.bytes && span.length == strlen(text) &&
	       !memcmp(span.bytes, text, span.length);
}

bool span_is_nocase(struct span span, const char *text)
{
	return span.bytes && span.length == strlen(text) &&
	       !strncasecmp(span.bytes, text, span.length);
}

static void use_lists(struct exchange *exchange, struct exchange_lists *lists)
{
	exchange->lists = lists;
	if (!lists)
		lists = &nowhere;
	exchange->columns = lists->columns;
	exchange->parameters = lists->parameters;
	exchange->attributes = lists->attributes;
}

static void take_lists(struct exchange *exchange)
{
	struct exchange_lists *lists = spare;

	if (lists) {
		spare = lists->next;
		spares--;
	} else {
		lists = malloc(sizeof(*lists));
	}
	use_lists(exchange, lists);
}

void exchange_done(struct exchange *exchange)
{
	struct exchange_lists *lists = exchange->lists;

	use_lists(exchange, NULL);
	exchange->column_count = exchange->parameter_count =
		exchange->attribute_count = 0;
	if (!lists)
		return;
	if (spares == SPARES_MAX) {
		free(lists);
		return;
	}
	lists->next = spare;
	spare = lists;
	spares++;
}

bool exchange_is_void(const struct exchange *exchange)
{
	return !exchange->lists;
}

void exchange_reset(struct exchange *exchange, const char *system,
		    enum exchange_family family)
{
	if (!exchange->lists)
		take_lists(exchange);
	/* The arrays are large: what their counts say is in use is enough. */
	exchange->system = system;
	exchange->family = family;
	exchange->application = NULL;
	exchange->operation = "";
	exchange->subject = exchange->statement = exchange->masked =
		exchange->namespace = exchange->user = exchange->status_name =
			exchange->sqlstate = exchange->message =
				(struct span){ NULL, 0 };
	exchange->prepares = exchange->statement_cut = false;
	exchange->statement_known = true;
	exchange->target_count = exchange->column_count =
		exchange->parameter_count = exchange->attribute_count = 0;
	exchange->columns_total = 0;
	exchange->failed = false;
	exchange->status = exchange->rows = exchange->affected = -1;
	exchange->results = 1;
	exchange->request_bytes = exchange->response_bytes = 0;
	exchange->start_ns = exchange->first_byte_ns = exchange->end_ns = 0;
	exchange->tid = 0;
	exchange->complete = true;
	exchange->missed_bytes = 0;
}

/* The next attribute, emptied; NULL: there are too many. */
static struct attribute *attribute_add(struct exchange *exchange,
				       const char *key,
				       enum attribute_kind kind)
{
	struct attribute *attribute;

	if (exchange->attribute_count == EXCHANGE_ATTRIBUTES_MAX)
		return NULL;
	attribute = &exchange->attributes[exchange->attribute_count++];
	*attribute = (struct attribute){ .key = key, .kind = kind };
	return attribute;
}

void exchange_text(struct exchange *exchange, const char *key,
		   struct span text)
{
	struct attribute *attribute = text.bytes ?
		attribute_add(exchange, key, ATTRIBUTE_TEXT) : NULL;

	if (attribute)
		attribute->text = text;
}

void exchange_payload(struct exchange *exchange, const char *key,
		      struct span text)
{
	struct attribute *attribute = text.bytes ?
		attribute_add(exchange, key, ATTRIBUTE_TEXT) : NULL;

	if (!attribute)
		return;
	attribute->text = text;
	attribute->value = true;
}

void exchange_number(struct exchange *exchange, const char *key,
		     int64_t number)
{
	struct attribute *attribute =
		attribute_add(exchange, key, ATTRIBUTE_NUMBER);

	if (attribute)
		attribute->number = number;
}

void exchange_real(struct exchange *exchange, const char *key, double real)
{
	struct attribute *attribute =
		attribute_add(exchange, key, ATTRIBUTE_REAL);

	if (attribute)
		attribute->real = real;
}

void exchange_bool(struct exchange *exchange, const char *key, bool truth)
{
	struct attribute *attribute =
		attribute_add(exchange, key, ATTRIBUTE_BOOL);

	if (attribute)
		attribute->number = truth;
}
