/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcapng_file.c - blocks of a pcapng file, buffered, and what became of them.
 *
 * Blocks are put into one buffer, whole; so what a failed write() left behind
 * can be cut off, and the file stays one that others read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "sinks/pcapng_file.h"
#include "streams/pcapng.h"

#define BUFFER_BYTES  (256 << 10) /* a write() each; more than any block */
#define BLOCK_SECTION	0x0a0d0d0a
#define BLOCK_INTERFACE 1
#define BLOCK_PACKET	6
#define OPTION_COMMENT	1
#define OPTION_NAME	2 /* of an interface; of a packet, its flags */
#define OPTION_FLAGS	2
#define OPTION_DESCRIPTION 3 /* of an interface; of a section, its system */
#define OPTION_SYSTEM	3
#define OPTION_APPLICATION 4
#define OPTION_RESOLUTION  9
#define LINK_TYPE_RAW	101
#define FLAG_INBOUND	1
#define FLAG_OUTBOUND	2
/* Of a packet's block, without its bytes: 32, options 20, their padding. */
#define PACKET_BLOCK_BYTES 64
#define TEXT_BYTES_MAX	   256 /* of names and descriptions */

_Static_assert(BUFFER_BYTES > 65536 + PCAPNG_NOTE_BYTES_MAX + 512,
	       "an IP packet with its comment fits");

struct pcapng_file {
	struct account *account;
	int fd;
	bool regular;
	off_t good; /* of a regular file: so much was written, whole blocks */
	int error;  /* -errno; nothing is written any more */
	size_t length;
	size_t block;	    /* where the block being made begins */
	uint64_t packets, bytes; /* in the buffer, of payload */
	uint8_t buffer[BUFFER_BYTES];
};

/* ---- blocks, in the host's byte order ---- */

static void put(struct pcapng_file *file, const void *bytes, size_t length)
{
	if (length)
		memcpy(file->buffer + file->length, bytes, length);
	file->length += length;
}

static void put_u32(struct pcapng_file *file, uint32_t value)
{
	put(file, &value, sizeof(value));
}

static void put_padding(struct pcapng_file *file, size_t length)
{
	static const uint8_t zeros[4];

	put(file, zeros, -length & 3);
}

static void put_option(struct pcapng_file *file, uint16_t code,
		       const void *value, size_t length)
{
	uint16_t head[2] = { code, (uint16_t)length };

	put(file, head, sizeof(head));
	put(file, value, length);
	put_padding(file, length);
}

static void put_text(struct pcapng_file *file, uint16_t code, const char *text)
{
	put_option(file, code, text, strnlen(text, TEXT_BYTES_MAX));
}

/* The block, of at most `room` bytes, fits the buffer. */
static void block_begin(struct pcapng_file *file, uint32_t type, size_t room)
{
	if (file->length + room > BUFFER_BYTES)
		pcapng_file_flush(file);
	file->block = file->length;
	put_u32(file, type);
	put_u32(file, 0);
}

static void block_end(struct pcapng_file *file)
{
	uint32_t length = (uint32_t)(file->length - file->block) + 4;

	put_u32(file, length);
	memcpy(file->buffer + file->block + 4, &length, sizeof(length));
}

static void put_section(struct pcapng_file *file)
{
	static const uint32_t head[] = { 0x1a2b3c4d, 1, UINT32_MAX,
					 UINT32_MAX };
	char text[TEXT_BYTES_MAX];
	struct utsname system;

	block_begin(file, BLOCK_SECTION, 1024);
	put(file, head, sizeof(head));
	if (!uname(&system)) {
		snprintf(text, sizeof(text), "%s %s", system.sysname,
			 system.release);
		put_text(file, OPTION_SYSTEM, text);
	}
	put_text(file, OPTION_APPLICATION,
		 PCAPNG_APPLICATION " " DATASNOOP_VERSION);
	put_option(file, 0, NULL, 0);
	block_end(file);
}

void pcapng_file_interface(struct pcapng_file *file, const char *name,
			   const char *description)
{
	const uint8_t nanoseconds = 9;

	block_begin(file, BLOCK_INTERFACE, 1024);
	put_u32(file, LINK_TYPE_RAW);
	put_u32(file, 0); /* no snap length */
	put_text(file, OPTION_NAME, name);
	put_text(file, OPTION_DESCRIPTION, description);
	put_option(file, OPTION_RESOLUTION, &nanoseconds, 1);
	put_option(file, 0, NULL, 0);
	block_end(file);
}

void pcapng_file_packet(struct pcapng_file *file,
			const struct pcapng_packet *packet)
{
	size_t length = packet->header_length + packet->length;
	uint32_t flags = packet->outbound ? FLAG_OUTBOUND : FLAG_INBOUND;

	block_begin(file, BLOCK_PACKET,
		    PACKET_BLOCK_BYTES + length + packet->comment_length);
	put_u32(file, packet->interface);
	put_u32(file, (uint32_t)(packet->time_ns >> 32));
	put_u32(file, (uint32_t)packet->time_ns);
	put_u32(file, (uint32_t)length);
	put_u32(file, (uint32_t)length);
	put(file, packet->header, packet->header_length);
	put(file, packet->data, packet->length);
	put_padding(file, length);
	if (packet->comment_length)
		put_option(file, OPTION_COMMENT, packet->comment,
			   packet->comment_length);
	put_option(file, OPTION_FLAGS, &flags, sizeof(flags));
	put_option(file, 0, NULL, 0);
	block_end(file);
	file->packets++;
	file->bytes += packet->length;
}

/* ---- the file ---- */

/* Cut off what a failed write() left behind the last whole block. */
static void cut(struct pcapng_file *file)
{
	if (file->regular && !ftruncate(file->fd, file->good))
		lseek(file->fd, file->good, SEEK_SET);
}

static int write_all(struct pcapng_file *file)
{
	size_t at = 0;
	ssize_t done;

	while (at < file->length) {
		done = write(file->fd, file->buffer + at, file->length - at);
		if (done > 0)
			at += (size_t)done;
		else if (!done || errno != EINTR)
			return done ? -errno : -EIO;
	}
	return 0;
}

int pcapng_file_flush(struct pcapng_file *file)
{
	struct account *account = file->account;

	if (!file->length)
		return file->error;
	if (!file->error) {
		file->error = write_all(file);
		if (file->error)
			cut(file);
	}
	if (file->error) {
		account->bytes_unwritten += file->bytes;
	} else {
		file->good += (off_t)file->length;
		account->packets_written += file->packets;
		account->bytes_written += file->bytes;
	}
	file->length = 0;
	file->packets = file->bytes = 0;
	return file->error;
}

int pcapng_file_error(const struct pcapng_file *file)
{
	return file->error;
}

/* Open the path, emptied and private; -errno. */
static int open_private(const char *path, bool *regular)
{
	struct stat status;
	int fd, error;

	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	*regular = !fstat(fd, &status) && S_ISREG(status.st_mode);
	if (!*regular || (!fchmod(fd, 0600) && !ftruncate(fd, 0)))
		return fd;
	error = -errno;
	close(fd);
	return error;
}

int pcapng_file_open(struct pcapng_file **result, const char *path,
		     struct account *account)
{
	struct pcapng_file *file = calloc(1, sizeof(*file));
	struct stat status;

	if (!file)
		return -ENOMEM;
	file->account = account;
	if (strcmp(path, "-")) {
		file->fd = open_private(path, &file->regular);
	} else {
		file->fd = STDOUT_FILENO;
		file->regular = !fstat(file->fd, &status) &&
				S_ISREG(status.st_mode);
		if (file->regular)
			file->good = lseek(file->fd, 0, SEEK_CUR);
	}
	if (file->fd < 0) {
		int error = file->fd;

		free(file);
		return error;
	}
	put_section(file);
	account->writing = true;
	*result = file;
	return 0;
}

int pcapng_file_close(struct pcapng_file *file)
{
	int error = pcapng_file_flush(file);

	/* A file system of the network may tell of a full disk only now. */
	if (file->fd != STDOUT_FILENO && close(file->fd) && !error)
		error = -errno;
	free(file);
	return error;
}
