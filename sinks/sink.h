/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sink.h - where records go: text, JSON, ... one file each behind this.
 */
#ifndef DATASNOOP_SINKS_SINK_H
#define DATASNOOP_SINKS_SINK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "access/record.h"
#include "streams/account.h"

struct sink;

struct sink_operations {
	const char *name; /* as in the man page */
	/*
	 * Opens on `file`, which stays the caller's.  show_values: statements
	 * and parameters with their literals.  NULL: out of memory.
	 */
	struct sink *(*open)(FILE *file, bool show_values);
	int (*record)(struct sink *sink, const struct record *record);
	/* The account, once, at the end. */
	int (*summary)(struct sink *sink, const struct account *account);
	/* Everything given so far is written out.  0 or -errno. */
	int (*flush)(struct sink *sink);
	/* Flushes and frees.  0 or -errno: ENOSPC is seen here at the latest. */
	int (*close)(struct sink *sink);
};

extern const struct sink_operations text_sink;
extern const struct sink_operations json_sink;

/*
 * sink_account_words - the account in words, for standard error.
 * Several lines, each beginning "datasnoop: "; loss named by reason; says so
 * plainly when the account does not close (seen != delivered + lost).
 */
void sink_account_words(FILE *file, const struct account *account);

#endif
