/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * registry.c - all parsers, in the order in which they are asked.
 */
#include "parsers/parser.h"

#include <string.h>

const struct parser *const parser_registry[] = {
	&mysql_parser,
	&mysql_x_parser,
	&pgsql_parser,
	&http_parser,
	&http2_parser,
	&redis_parser,
	&memcached_parser,
	&mongodb_parser,
	&mcp_parser,
	&amqp_parser,
	&tds_parser,
	&cassandra_parser,
	&kafka_parser,
	NULL,
};

const struct parser *parser_find(const char *name)
{
	for (const struct parser *const *p = parser_registry; *p; p++)
		if (!strcmp((*p)->name, name))
			return *p;
	return NULL;
}
