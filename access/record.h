/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record.h - an exchange and whose it is.
 */
#ifndef DATASNOOP_ACCESS_RECORD_H
#define DATASNOOP_ACCESS_RECORD_H

#include <stdint.h>

#include "parsers/exchange.h"
#include "streams/connection.h"

enum role { ROLE_UNKNOWN, ROLE_CLIENT, ROLE_SERVER };

/* An exchange and whose it is; everything borrowed, dead after the call. */
struct record {
	const struct process *process;
	const char *tls;	/* "openssl"; NULL: plain */
	enum role role;
	struct endpoint client; /* address "" when not known */
	struct endpoint server;
	uint32_t peer_pid; /* AF_UNIX: the process at the other end; 0: unknown */
	bool address_inferred; /* the addresses are a guess */
	const struct exchange *exchange;
	uint64_t timestamp_ns;	/* CLOCK_REALTIME of the request's first byte */
};

#endif
