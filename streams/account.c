/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * account.c - sums and names of the capture's account.
 */
#include <stddef.h>

#include "streams/account.h"

uint64_t account_lost(const struct account *account)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < LOSS_REASONS; i++)
		sum += account->lost[i];
	return sum;
}

const char *account_loss_name(enum batch_loss reason)
{
	static const char *const names[LOSS_REASONS] = {
		[LOSS_NONE] = "none",
		[LOSS_BUFFER_FULL] = "buffer_full",
		[LOSS_UNREADABLE] = "unreadable",
		[LOSS_OVER_LIMIT] = "over_limit",
		[LOSS_MAP_FULL] = "map_full",
		[LOSS_NO_ENTRY] = "no_entry",
		[LOSS_ZERO_COPY] = "zero_copy",
		[LOSS_STREAM_FULL] = "stream_full",
		[LOSS_NOT_IN_FILE] = "not_in_file",
		[LOSS_SNAP_LENGTH] = "snap_length",
	};

	if ((unsigned)reason >= LOSS_REASONS || !names[reason])
		return "unknown";
	return names[reason];
}

void account_kernel(struct account *account, const struct counters *counters)
{
	int reason;

	account->fragments = counters->fragments;
	account->bytes_seen = counters->bytes_seen;
	account->batches = counters->batches;
	account->batch_bytes = counters->batch_bytes;
	account->fragments_direct = counters->direct;
	account->calls_unknown = counters->unknown;
	account->calls_foreign = counters->foreign;
	for (reason = 0; reason < LOSS_REASONS; reason++) {
		account->kernel_lost[reason] = counters->lost[reason];
		account->lost[reason] += counters->hidden[reason];
	}
}
