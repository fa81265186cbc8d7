/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seeds.c - capture files into the seeds of the fuzzers.
 *
 *	seeds DIRECTORY
 *
 * Writes DIRECTORY/parsers/N, the connections of all captures there are (see
 * captures.h) as conversation_input.h says, and DIRECTORY/pcap/N, the small
 * ones of the files themselves.  Of a long connection the beginning and some
 * later parts are taken, each from the beginning of a piece.
 */
#include <errno.h>
#include <sys/stat.h>

#include "tests/fuzz/conversation_input.h"
#include "tests/unit/captures.h"

#define SEED_PARTS_MAX 3
#define SEED_PCAP_BYTES_MAX 16384 /* of a capture file: to be quick */

static const char *directory;

static FILE *seed_open(const char *kind)
{
	static unsigned number;
	char path[CAPTURES_PATH_BYTES];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/%04u", directory, kind, number++);
	file = fopen(path, "w");
	if (!file) {
		fprintf(stderr, "seeds: create %s: %s\n", path,
			strerror(errno));
		exit(EXIT_FAILURE);
	}
	return file;
}

/* A piece, in as many as its length needs; the bytes that it took. */
static size_t put_piece(FILE *file, const struct recording *r,
			const struct drive_piece *p)
{
	int side = p->side == SIDE_SERVER ? INPUT_SERVER : 0;
	size_t at = p->at, end = at + p->length, written = 0;

	while (at < end) {
		size_t n = end - at;

		if (n < INPUT_LONG) {
			fputc(side | (int)n, file);
		} else {
			n /= INPUT_UNIT_BYTES;
			n = n > UINT8_MAX ? UINT8_MAX : n;
			fputc(side | INPUT_LONG, file);
			fputc((int)n, file);
			n *= INPUT_UNIT_BYTES;
			written++;
		}
		fwrite(r->bytes[p->side] + at, 1, n, file);
		at += n;
		written += n + 1;
	}
	return written;
}

static void put_connection(void *context, const struct recording *r,
			   const struct parser *parser, const char *path)
{
	size_t i = 0, place = 0;

	(void)context;
	(void)path;
	while (parser_registry[place] != parser)
		place++;
	for (int part = 0; part < SEED_PARTS_MAX && i < r->piece_count;
	     part++) {
		FILE *file = seed_open("parsers");
		size_t written = INPUT_HEAD_BYTES;

		fputc(0, file);
		fputc((int)place, file);
		while (i < r->piece_count && written < INPUT_BYTES_MAX)
			written += put_piece(file, r, &r->pieces[i++]);
		fclose(file);
	}
}

static void put_file(const char *path)
{
	char buffer[SEED_PCAP_BYTES_MAX];
	FILE *in = fopen(path, "r"), *out;
	size_t length;

	if (!in)
		return;
	length = fread(buffer, 1, sizeof(buffer), in);
	if (feof(in)) {
		out = seed_open("pcap");
		fwrite(buffer, 1, length, out);
		fclose(out);
	}
	fclose(in);
}

static void make_directory(const char *kind)
{
	char path[CAPTURES_PATH_BYTES];

	snprintf(path, sizeof(path), "%s/%s", directory, kind);
	if (mkdir(path, 0755) && errno != EEXIST) {
		fprintf(stderr, "seeds: create %s: %s\n", path,
			strerror(errno));
		exit(EXIT_FAILURE);
	}
}

int main(int argc, char **argv)
{
	struct capture_files files;

	if (argc != 2) {
		fputs("usage: seeds DIRECTORY\n", stderr);
		return 2;
	}
	directory = argv[1];
	make_directory("");
	make_directory("parsers");
	make_directory("pcap");
	files = captures_find();
	for (size_t i = 0; i < files.count; i++) {
		captures_visit(files.paths[i], put_connection, NULL);
		if (strstr(files.paths[i], ".pcap"))
			put_file(files.paths[i]);
	}
	free(files.paths);
	return 0;
}
