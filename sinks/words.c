/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * words.c - the account in words, for people.
 */
#include <inttypes.h>
#include <string.h>

#include "sinks/sink.h"

#define GROUPED_BYTES 32 /* of a number with separators: 26, and its end */

struct grouped {
	char text[GROUPED_BYTES];
};

/* 1234567 as "1,234,567", whatever the locale. */
static struct grouped grouped(uint64_t number)
{
	struct grouped out = {""};
	char digits[24];
	size_t length, i, at = 0;

	length = snprintf(digits, sizeof(digits), "%" PRIu64, number);
	for (i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			out.text[at++] = ',';
		out.text[at++] = digits[i];
	}
	return out;
}

static const char *plural(uint64_t number)
{
	return number == 1 ? "" : "s";
}

/* What to do against a loss; "": nothing on the command line helps. */
static const char *advice(enum batch_loss reason)
{
	switch (reason) {
	case LOSS_BUFFER_FULL:
		return " (raise --ring-mb)";
	case LOSS_OVER_LIMIT:
		return " (raise --max-capture)";
	case LOSS_MAP_FULL:
		return " (raise --max-connections)";
	case LOSS_UNREADABLE:
		return " (pages not in memory)";
	case LOSS_STREAM_FULL:
		return " (user space at its bound; narrow with -p, -c or -u)";
	case LOSS_SNAP_LENGTH:
		return " (capture whole packets: tcpdump -s 0)";
	case LOSS_ZERO_COPY:
		return " (sendfile, splice: never in the process's memory)";
	default:
		return "";
	}
}

static void tell_exchanges(FILE *file, const struct account *account)
{
	fprintf(file, "datasnoop: %s exchange%s",
		grouped(account->exchanges).text, plural(account->exchanges));
	if (account->exchanges_incomplete)
		fprintf(file, " (%s incomplete)",
			grouped(account->exchanges_incomplete).text);
	fprintf(file, " on %s connection%s", grouped(account->connections).text,
		plural(account->connections));
	if (account->connections_refused)
		fprintf(file, ", %s more refused",
			grouped(account->connections_refused).text);
	fputc('\n', file);
}

static void tell_bytes(FILE *file, const struct account *account)
{
	uint64_t told = account->bytes_delivered + account_lost(account);

	fprintf(file, "datasnoop: %s bytes seen %s %s delivered + %s lost\n",
		grouped(account->bytes_seen).text,
		account->bytes_seen == told ? "=" : "!=",
		grouped(account->bytes_delivered).text,
		grouped(account_lost(account)).text);
	if (account->bytes_seen > told)
		fprintf(file,
			"datasnoop: the account does not close: %s bytes seen "
			"are neither delivered nor lost\n",
			grouped(account->bytes_seen - told).text);
	else if (account->bytes_seen < told)
		fprintf(file,
			"datasnoop: the account does not close: %s bytes "
			"delivered or lost were never seen\n",
			grouped(told - account->bytes_seen).text);
}

static void tell_losses(FILE *file, const struct account *account)
{
	const char *before = "datasnoop: lost: ";
	enum batch_loss reason;

	if (!account_lost(account))
		return;
	for (reason = LOSS_NONE; reason < LOSS_REASONS; reason++) {
		if (!account->lost[reason])
			continue;
		fprintf(file, "%s%s %s%s", before,
			grouped(account->lost[reason]).text,
			account_loss_name(reason), advice(reason));
		before = ", ";
	}
	fputc('\n', file);
}

/* How the bytes came: in packets of a file, or in batches. */
static void tell_transport(FILE *file, const struct account *account)
{
	if (account->offline)
		fprintf(file,
			"datasnoop: %s packet%s read, %s of them TCP\n",
			grouped(account->packets).text,
			plural(account->packets),
			grouped(account->packets_tcp).text);
	else
		fprintf(file,
			"datasnoop: %s fragment%s came as %s bytes in %s "
			"batch%s\n",
			grouped(account->fragments).text,
			plural(account->fragments),
			grouped(account->batch_bytes).text,
			grouped(account->batches).text,
			account->batches == 1 ? "" : "es");
}

/* Packets of a file that could not be used, or not whole. */
static void tell_packets(FILE *file, const struct account *account)
{
	const struct {
		uint64_t count;
		const char *what;
	} troubles[] = {
		{account->packets_cut, "cut by the snap length"},
		{account->packets_bad, "malformed or cut in a header"},
		{account->fragments_dropped, "IP fragments of no whole"},
		{account->packets_stray, "of no sequence that is known"},
	};
	const char *before = "datasnoop: packets ";
	size_t i;

	for (i = 0; i < sizeof(troubles) / sizeof(*troubles); i++) {
		if (!troubles[i].count)
			continue;
		fprintf(file, "%s%s: %s", before, troubles[i].what,
			grouped(troubles[i].count).text);
		before = ", ";
	}
	if (*before == ',')
		fputc('\n', file);
}

/* The file that was written. */
static void tell_written(FILE *file, const struct account *account)
{
	if (!account->writing)
		return;
	fprintf(file, "datasnoop: %s bytes written in %s packet%s",
		grouped(account->bytes_written).text,
		grouped(account->packets_written).text,
		plural(account->packets_written));
	if (account->bytes_unwritten)
		fprintf(file, ", %s more could not be written",
			grouped(account->bytes_unwritten).text);
	fputc('\n', file);
}

/* What should not be, and is said only when it is. */
static void tell_troubles(FILE *file, const struct account *account)
{
	if (account->fragments_direct)
		fprintf(file,
			"datasnoop: %s fragment%s sent one by one: more "
			"connections than --max-connections\n",
			grouped(account->fragments_direct).text,
			account->fragments_direct == 1 ? " was" : "s were");
	if (account->bytes_mirrored)
		fprintf(file,
			"datasnoop: %s bytes delivered were the server's end "
			"of connections shown from the client's\n",
			grouped(account->bytes_mirrored).text);
	if (account->bytes_unparsed)
		fprintf(file,
			"datasnoop: %s bytes delivered were of no known "
			"protocol\n",
			grouped(account->bytes_unparsed).text);
	if (account->calls_unknown)
		fprintf(file,
			"datasnoop: %s call%s moved bytes whose number could "
			"not be read\n",
			grouped(account->calls_unknown).text,
			plural(account->calls_unknown));
	if (account->calls_foreign)
		fprintf(file,
			"datasnoop: %s call%s of 32-bit programs on plain "
			"sockets or files not looked at\n",
			grouped(account->calls_foreign).text,
			account->calls_foreign == 1 ? " was" : "s were");
	if (account->io_uring_processes)
		fprintf(file,
			"datasnoop: %s process%s io_uring, and may move unseen "
			"bytes with it\n",
			grouped(account->io_uring_processes).text,
			account->io_uring_processes == 1 ? " uses" : "es use");
	if (account->records_bad || account->parser_errors)
		fprintf(file,
			"datasnoop: mistakes of its own: %s malformed "
			"record%s, %s parser%s stopped\n",
			grouped(account->records_bad).text,
			plural(account->records_bad),
			grouped(account->parser_errors).text,
			plural(account->parser_errors));
}

/* In MB, with one digit behind the point. */
static double megabytes(uint64_t bytes)
{
	return bytes / 1048576.0;
}

static void tell_memory(FILE *file, const struct account *account)
{
	fprintf(file,
		"datasnoop: memory: %.1f MB of kernel maps, %.1f MB of "
		"streams at most, %.1f MB resident at most\n",
		megabytes(account->map_bytes),
		megabytes(account->memory_peak_bytes),
		megabytes(account->resident_peak_bytes));
}

void sink_account_words(FILE *file, const struct account *account)
{
	tell_exchanges(file, account);
	tell_bytes(file, account);
	tell_losses(file, account);
	tell_transport(file, account);
	tell_packets(file, account);
	tell_written(file, account);
	tell_memory(file, account);
	tell_troubles(file, account);
}
