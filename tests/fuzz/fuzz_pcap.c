/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_pcap.c - any bytes as a capture file, through streams and parsers.
 *
 * Nothing crashes, memory is bounded, and the account balances: each byte that
 * TCP's numbers tell of was delivered or is lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parsers/conversation.h"
#include "streams/pcap.h"

#define CONNECTIONS_MAX 16 /* few: the bound is reached too */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(void *context, struct connection *c)
{
	struct conversation_settings *settings = context;

	if (!c->conversation)
		c->conversation = conversation_new(settings);
	if (!c->conversation)
		abort();
	conversation_run(c->conversation, c);
	if (!c->closed)
		return;
	conversation_end(c->conversation, c);
	c->conversation = NULL;
}

static void demand(bool truth, const char *what)
{
	if (truth)
		return;
	fprintf(stderr, "fuzz_pcap: %s\n", what);
	abort();
}

static void read_all(struct offline *offline, struct connection_table *table,
		     struct conversation_settings *conversations)
{
	while (offline_read(offline) == OFFLINE_MORE) {
		offline_settle(offline);
		connection_table_pass(table, false, visit, conversations);
	}
	offline_end(offline);
	connection_table_pass(table, true, visit, conversations);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct account account = { .packets = 0 };
	struct conversation_settings conversations = { .account = &account };
	struct connection_table *table = connection_table_new(
		&account, 2 * CONNECTIONS_MAX, 1 << 20, 8 << 20);
	const struct offline_settings settings = {
		.connections = table,
		.account = &account,
		.bound = CONNECTIONS_MAX,
	};
	struct offline *offline = NULL;
	char text[256];
	FILE *file;

	file = size ? fmemopen((void *)data, size, "r") : NULL;
	demand(table && (file || !size), "out of memory");
	if (file && !offline_open_file(&offline, file, &settings, text,
				       sizeof(text)))
		read_all(offline, table, &conversations);
	demand(account.bytes_seen ==
		       account.bytes_delivered + account_lost(&account),
	       "the account does not balance");
	demand(account.packets == account.packets_tcp + account.packets_other +
					  account.packets_bad +
					  account.packets_stray +
					  account.packets_fragments,
	       "packets are not all accounted for");
	demand(!account.parser_errors, "a parser broke its law");
	offline_free(offline);
	connection_table_free(table);
	return 0;
}
