/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filter.h - which exchanges are shown, and from which of their two ends.
 */
#ifndef DATASNOOP_ACCESS_FILTER_H
#define DATASNOOP_ACCESS_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "streams/connection.h"

struct record;
struct filter;

/* Connections remembered at once, both ends, ended ones among them. */
#define FILTER_CLIENTS_MAX 32768

/*
 * How long a client's connection is remembered after its end: the server's
 * last exchanges of it are often heard later.
 */
#define FILTER_LINGER_NS 1000000000ULL

/* A filter after the user's choice, borrowed; NULL: out of memory. */
struct filter *filter_new(const struct options *options);
void filter_free(struct filter *filter);

/*
 * filter_passes - is it one of those that the user chose to see?
 *
 * By -x, --min-ms, --port and -P, of a capture file by -p, -c and -u too.  An
 * exchange whose duration is not known
 * does not pass --min-ms, one whose ports are not known does not pass --port.
 */
bool filter_passes(const struct filter *filter, const struct record *record);

/*
 * filter_takes - is the connection one of those that the user chose?
 *
 * By --port, of a capture file by -p, -c and -u too: what is written with -w.
 */
bool filter_takes(const struct filter *filter,
		  const struct connection *connection);

/*
 * filter_takes_process - is the process in a container and a control group
 * that the user chose?
 * @for_all: set when it is not, and so no process of that control group is:
 *	then the kernel may be told to leave them all alone
 */
bool filter_takes_process(const struct filter *filter,
			  const struct process *process, bool *for_all);

/*
 * filter_client_seen - a traced process has that end of a connection
 * @id: of the connection; telling it again changes nothing
 * @client: the process's own address, where it is the client
 *
 * Best told of each connection as soon as its addresses are known: the server
 * is done with an exchange before its client is.  A server told of in that way
 * does no harm, its addresses are the other way round.  Does nothing while an
 * address is not known.  Where the bound is reached the connection is not
 * remembered (its exchanges may then show twice, never not at all) and
 * filter_clients_refused() counts it.
 */
void filter_client_seen(struct filter *filter, uint64_t id,
			const struct endpoint *client,
			const struct endpoint *server);

/*
 * filter_client_gone - that connection has ended
 * @now_ns: CLOCK_REALTIME
 *
 * Forgets it after FILTER_LINGER_NS; not at all if another connection with
 * the same addresses has been seen since.
 */
void filter_client_gone(struct filter *filter, uint64_t id,
			const struct endpoint *client,
			const struct endpoint *server, uint64_t now_ns);

/*
 * filter_mirrored - is it the server's side of what a traced client shows?
 *
 * False for all with --both-ends, and where an address is not known.
 */
bool filter_mirrored(const struct filter *filter, const struct record *record);

/* Client connections remembered now; turned away at the bound so far. */
size_t filter_clients(const struct filter *filter);
uint64_t filter_clients_refused(const struct filter *filter);

#endif
