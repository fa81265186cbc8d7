/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter.c - which exchanges are shown, and from which of their two ends.
 */
#include <stdlib.h>
#include <string.h>

/* An entry that finds no memory is not added, and has no table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "access/filter.h"
#include "access/record.h"
#include "streams/container.h"

#define NS_PER_MS 1000000.0

/* The key; zeroed first: bytes behind an address count too. */
struct ends {
	struct endpoint client, server;
};

struct client {
	struct ends ends;
	uint64_t id;
	uint64_t ended_ns; /* CLOCK_REALTIME; 0: it lives */
	UT_hash_handle hh;
	struct client *prev, *next; /* of the ended ones, oldest first */
};

struct filter {
	const struct options *options;
	struct client *clients; /* by ends */
	struct client *ended;
	uint64_t refused;
};

struct filter *filter_new(const struct options *options)
{
	struct filter *filter = calloc(1, sizeof(*filter));

	if (filter)
		filter->options = options;
	return filter;
}

static void forget(struct filter *filter, struct client *client)
{
	if (client->ended_ns)
		DL_DELETE(filter->ended, client);
	HASH_DEL(filter->clients, client);
	free(client);
}

void filter_free(struct filter *filter)
{
	if (!filter)
		return;
	while (filter->clients)
		forget(filter, filter->clients);
	free(filter);
}

static bool port_chosen(const struct options *options,
			const struct endpoint *one,
			const struct endpoint *other)
{
	unsigned i;

	for (i = 0; i < options->port_count; i++)
		if (options->ports[i] == one->port ||
		    options->ports[i] == other->port)
			return true;
	return !options->port_count;
}

static bool protocol_chosen(const struct options *options,
			    const struct exchange *exchange)
{
	const char *application = exchange->application;
	unsigned i;

	for (i = 0; i < options->shown_count; i++)
		if (!strcmp(options->shown[i], exchange->system) ||
		    (application && !strcmp(options->shown[i], application)))
			return true;
	return !options->shown_count;
}

/* The kernel lets a process through whose control group tells too little. */
static bool group_chosen(const struct options *options,
			 const struct process *process)
{
	bool container = !options->container_count;
	bool cgroup = !options->cgroup_count;
	unsigned i;

	for (i = 0; i < options->container_count; i++)
		container = container ||
			    container_matches(process->container,
					      options->containers[i]);
	for (i = 0; i < options->cgroup_count; i++)
		cgroup = cgroup || container_within(process->cgroup,
						    options->cgroups[i]);
	return container && cgroup;
}

bool filter_takes_process(const struct filter *filter,
			  const struct process *process, bool *for_all)
{
	const struct options *options = filter->options;
	bool chosen = group_chosen(options, process);

	/* No container's processes are all in a group that names none. */
	*for_all = !chosen && process->cgroup[0] &&
		   (!options->container_count || process->cgroup_tells);
	return chosen;
}

/*
 * Of a capture file the processes are known only here, where it names them;
 * a live capture's are chosen in the kernel.
 */
static bool process_chosen(const struct options *options,
			   const struct process *process)
{
	bool pid = !options->pid_count, comm = !options->comm_count;
	bool user = !options->uid_count;
	unsigned i;

	if (!group_chosen(options, process))
		return false;
	if (!options->read_file)
		return true;
	if (!process->pid)
		return pid && comm && user;
	for (i = 0; i < options->pid_count; i++)
		pid = pid || options->pids[i] == process->pid;
	for (i = 0; i < options->comm_count; i++)
		comm = comm || !strcmp(options->comms[i], process->comm);
	for (i = 0; i < options->uid_count; i++)
		user = user || options->uids[i] == process->uid;
	return pid && comm && user;
}

static bool slow_enough(const struct options *options,
			const struct exchange *exchange)
{
	if (options->min_ms <= 0)
		return true;
	if (!exchange->start_ns || exchange->end_ns < exchange->start_ns)
		return false;
	return (exchange->end_ns - exchange->start_ns) / NS_PER_MS >=
	       options->min_ms;
}

bool filter_takes(const struct filter *filter,
		  const struct connection *connection)
{
	return port_chosen(filter->options, &connection->local,
			   &connection->remote) &&
	       process_chosen(filter->options, &connection->process);
}

bool filter_passes(const struct filter *filter, const struct record *record)
{
	const struct options *options = filter->options;

	if (options->errors_only && !record->exchange->failed)
		return false;
	return slow_enough(options, record->exchange) &&
	       protocol_chosen(options, record->exchange) &&
	       process_chosen(options, record->process) &&
	       port_chosen(options, &record->client, &record->server);
}

/*
 * A server that listens on :: has an IPv6 socket and names an IPv4 client as
 * ::ffff:192.0.2.1, the client itself does not (RFC 4291, 2.5.5.2).
 */
static void copy_endpoint(struct endpoint *to, const struct endpoint *from)
{
	const char *address = from->address;

	if (!strncmp(address, "::ffff:", 7) && strchr(address, '.'))
		address += 7;
	memcpy(to->address, address, strnlen(address, sizeof(to->address) - 1));
	to->port = from->port;
	to->socket = from->socket;
}

/* The key of a connection; false: not all of its addresses are known. */
static bool make_ends(struct ends *ends, const struct endpoint *client,
		      const struct endpoint *server)
{
	memset(ends, 0, sizeof(*ends));
	copy_endpoint(&ends->client, client);
	copy_endpoint(&ends->server, server);
	if (ends->client.socket && ends->server.socket)
		return true;
	return *ends->client.address && *ends->server.address &&
	       ends->client.port && ends->server.port;
}

static struct client *find(const struct filter *filter, const struct ends *ends)
{
	struct client *client;

	HASH_FIND(hh, filter->clients, ends, sizeof(*ends), client);
	return client;
}

/* It lives (again): no longer among the ended. */
static void revive(struct filter *filter, struct client *client, uint64_t id)
{
	if (client->id == id)
		return; /* told late, of one that has ended meanwhile */
	if (client->ended_ns)
		DL_DELETE(filter->ended, client);
	client->ended_ns = 0;
	client->id = id;
}

/* False: at the bound, with none that has ended, or out of memory. */
static bool remember(struct filter *filter, uint64_t id,
		     const struct ends *ends)
{
	struct client *client;

	if (HASH_COUNT(filter->clients) >= FILTER_CLIENTS_MAX) {
		if (!filter->ended)
			return false;
		forget(filter, filter->ended);
	}
	client = calloc(1, sizeof(*client));
	if (!client)
		return false;
	client->ends = *ends;
	client->id = id;
	HASH_ADD(hh, filter->clients, ends, sizeof(client->ends), client);
	if (client->hh.tbl)
		return true;
	free(client);
	return false;
}

void filter_client_seen(struct filter *filter, uint64_t id,
			const struct endpoint *client_end,
			const struct endpoint *server_end)
{
	struct client *client;
	struct ends ends;

	if (!make_ends(&ends, client_end, server_end))
		return;
	client = find(filter, &ends);
	if (client) {
		revive(filter, client, id);
		return;
	}
	if (!remember(filter, id, &ends))
		filter->refused++;
}

static bool lingers(const struct client *client, uint64_t now_ns)
{
	return !client->ended_ns ||
	       now_ns <= client->ended_ns + FILTER_LINGER_NS;
}

void filter_client_gone(struct filter *filter, uint64_t id,
			const struct endpoint *client_end,
			const struct endpoint *server_end, uint64_t now_ns)
{
	struct client *client;
	struct ends ends;

	while (filter->ended && !lingers(filter->ended, now_ns))
		forget(filter, filter->ended);
	if (!make_ends(&ends, client_end, server_end))
		return;
	client = find(filter, &ends);
	if (!client || client->id != id || client->ended_ns)
		return;
	client->ended_ns = now_ns ? now_ns : 1;
	DL_APPEND(filter->ended, client);
}

bool filter_mirrored(const struct filter *filter, const struct record *record)
{
	const struct client *client;
	struct ends ends;

	if (filter->options->both_ends || record->role != ROLE_SERVER ||
	    !make_ends(&ends, &record->client, &record->server))
		return false;
	client = find(filter, &ends);
	return client && lingers(client, record->timestamp_ns);
}

size_t filter_clients(const struct filter *filter)
{
	return HASH_COUNT(filter->clients);
}

uint64_t filter_clients_refused(const struct filter *filter)
{
	return filter->refused;
}
