/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_registry.c - what is spoken over HTTP, in the order of asking.
 */
#include "parsers/http.h"

#include <string.h>

const struct http_application *const http_applications[] = {
	&http_grpc,
	&http_llm,
	&http_mcp,
	&http_clickhouse,
	&http_elasticsearch,
	NULL,
};

const struct http_application *http_application_find(const char *name)
{
	const struct http_application *const *a;

	for (a = http_applications; *a; a++)
		if (!strcmp((*a)->name, name))
			return *a;
	return NULL;
}
