/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgsql_queue.c - the ring of requests whose responses are not finished.
 */
#include "parsers/pgsql.h"

#include <stdlib.h>

struct request *pgsql_request_at(struct pgsql *pg, size_t index)
{
	if (index >= pg->request_count)
		return NULL;
	return &pg->requests[(pg->request_first + index) % pg->request_room];
}

struct request *pgsql_head(struct pgsql *pg)
{
	return pgsql_request_at(pg, 0);
}

struct request *pgsql_tail(struct pgsql *pg)
{
	return pg->request_count ?
		pgsql_request_at(pg, pg->request_count - 1) : NULL;
}

/* Doubles the ring, in order from index 0. */
static bool grow_ring(struct pgsql *pg)
{
	size_t room = pg->request_room ? 2 * pg->request_room : 4;
	struct request *requests;

	if (room > PGSQL_REQUESTS_MAX)
		return false;
	requests = calloc(room, sizeof(*requests));
	if (!requests)
		return false;
	for (size_t i = 0; i < pg->request_count; i++)
		requests[i] = *pgsql_request_at(pg, i);
	free(pg->requests);
	pg->requests = requests;
	pg->request_first = 0;
	pg->request_room = room;
	return true;
}

static void clear_request(struct pgsql *pg, struct request *request)
{
	pgsql_statement_drop(pg, request->statement);
	pgsql_portal_drop(pg, request->portal);
	buffer_free(&request->user);
	buffer_free(&request->database);
	buffer_free(&request->application);
	buffer_free(&request->replication);
	*request = (struct request){ .kind = REQUEST_UNKNOWN };
}

struct request *pgsql_push(struct pgsql *pg, enum request_kind kind)
{
	struct request *request;

	if (pg->request_count == pg->request_room && !grow_ring(pg))
		return NULL;
	pg->request_count++;
	request = pgsql_tail(pg);
	*request = (struct request){ .kind = kind, .first = !pg->group_open };
	pg->group_open = !pgsql_ends_group(kind);
	return request;
}

struct request *pgsql_push_front(struct pgsql *pg, enum request_kind kind)
{
	if (pg->request_count == pg->request_room && !grow_ring(pg))
		return NULL;
	pg->request_first = (pg->request_first + pg->request_room - 1) %
			    pg->request_room;
	pg->request_count++;
	*pgsql_head(pg) = (struct request){ .kind = kind, .first = true };
	return pgsql_head(pg);
}

void pgsql_pop(struct pgsql *pg)
{
	if (!pg->request_count)
		return;
	clear_request(pg, pgsql_head(pg));
	pg->request_first = (pg->request_first + 1) % pg->request_room;
	pg->request_count--;
}

void pgsql_pop_tail(struct pgsql *pg)
{
	if (!pg->request_count)
		return;
	clear_request(pg, pgsql_tail(pg));
	pg->request_count--;
}

bool pgsql_ends_group(enum request_kind kind)
{
	switch (kind) {
	case REQUEST_PARSE:
	case REQUEST_BIND:
	case REQUEST_DESCRIBE:
	case REQUEST_EXECUTE:
	case REQUEST_CLOSE:
		return false;
	default:
		return true;
	}
}

bool pgsql_is_told(enum request_kind kind)
{
	switch (kind) {
	case REQUEST_PARSE:
	case REQUEST_BIND:
	case REQUEST_DESCRIBE:
	case REQUEST_CLOSE:
	case REQUEST_SYNC:
		return false;
	default:
		return true;
	}
}
