/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linked.c - has a program or library of any name a TLS library linked in?
 *
 * Each file that any process has mapped is looked at once, so the look must be
 * cheap: a search for a few names through the string tables, first the one
 * that the loader uses, then the one for debuggers, and for a file that was
 * stripped of it, through its constants: OpenSSL and BoringSSL name their
 * source files in their error messages.  Nothing in the file is believed
 * beyond the bounds below.
 *
 * Source: elf(5).
 */
#include "probes/linked.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MIN	   (96 << 10)  /* Mbed TLS, the smallest, is more */
#define STRIPPED_BYTES_MIN (1 << 20)   /* OpenSSL and its cryptography */
#define SECTIONS_MAX	   4096
#define NAMES_BYTES_MAX	   (128 << 20) /* of a table, that are searched */
#define CONSTANTS_BYTES_MAX (32 << 20)
#define CHUNK_BYTES	   (256 << 10)
#define OVERLAP_BYTES	   64	       /* more than the longest word */

/* A word is found where the byte behind it is NUL, when `whole`. */
struct word {
	const char *text;
	bool whole;
};

static const struct word functions[] = {
	{"SSL_read", true}, /* and wolfSSL_read: tables share endings */
	{"gnutls_record_recv", true},
	{"mbedtls_ssl_read", true},
	{"s2n_recv", true},
	{NULL, false},
};

static const struct word sources[] = {
	{"ssl/ssl_lib.c", false}, /* and ssl_lib.cc */
	{NULL, false},
};

static const struct word go_sections[] = {
	{".gopclntab", false},
	{".go.buildinfo", false}, /* where the linker merged the other */
	{NULL, false},
};

struct object {
	int fd;
	uint64_t size;
	Elf64_Shdr *sections;
	unsigned count;
	unsigned names; /* section index of the sections' names */
};

static bool has_word(const uint8_t *bytes, size_t length,
		     const struct word *words)
{
	for (; words->text; words++) {
		size_t size = strlen(words->text) + words->whole;

		if (memmem(bytes, length, words->text, size))
			return true;
	}
	return false;
}

/* Is one of the words in a section, or in the first `limit` bytes of it? */
static bool search(const struct object *object, unsigned index, uint64_t limit,
		   const struct word *words)
{
	const Elf64_Shdr *section;
	uint64_t left, at;
	uint8_t *chunk;
	size_t kept = 0;
	bool found = false;

	if (index >= object->count)
		return false;
	section = &object->sections[index];
	if (section->sh_type == SHT_NOBITS ||
	    section->sh_offset >= object->size)
		return false;
	left = object->size - section->sh_offset;
	if (left > section->sh_size)
		left = section->sh_size;
	if (left > limit)
		left = limit;
	chunk = malloc(OVERLAP_BYTES + CHUNK_BYTES);
	for (at = section->sh_offset; chunk && left && !found;) {
		size_t want = left < CHUNK_BYTES ? left : CHUNK_BYTES;
		ssize_t got = pread(object->fd, chunk + kept, want, at);

		if (got <= 0)
			break;
		found = has_word(chunk, kept + got, words);
		at += got;
		left -= got;
		got += kept;
		kept = got < OVERLAP_BYTES ? got : OVERLAP_BYTES;
		memmove(chunk, chunk + got - kept, kept);
	}
	free(chunk);
	return found;
}

/* The names of a table of symbols; false too when there is no such table. */
static bool search_names(const struct object *object, unsigned type)
{
	for (unsigned i = 0; i < object->count; i++)
		if (object->sections[i].sh_type == type &&
		    search(object, object->sections[i].sh_link,
			   NAMES_BYTES_MAX, functions))
			return true;
	return false;
}

static bool has_table(const struct object *object, unsigned type)
{
	for (unsigned i = 0; i < object->count; i++)
		if (object->sections[i].sh_type == type)
			return true;
	return false;
}

/* What is loaded and is neither written to nor run. */
static bool search_constants(const struct object *object)
{
	for (unsigned i = 0; i < object->count; i++) {
		const Elf64_Shdr *section = &object->sections[i];

		if (section->sh_type == SHT_PROGBITS &&
		    (section->sh_flags &
		     (SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR)) == SHF_ALLOC &&
		    search(object, i, CONSTANTS_BYTES_MAX, sources))
			return true;
	}
	return false;
}

static bool read_sections(struct object *object)
{
	Elf64_Ehdr header;
	size_t size;

	if (pread(object->fd, &header, sizeof(header), 0) != sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_shentsize != sizeof(Elf64_Shdr) ||
	    !header.e_shnum || header.e_shnum > SECTIONS_MAX)
		return false;
	size = (size_t)header.e_shnum * sizeof(Elf64_Shdr);
	object->sections = malloc(size);
	if (!object->sections ||
	    pread(object->fd, object->sections, size, header.e_shoff) !=
		    (ssize_t)size)
		return false;
	object->count = header.e_shnum;
	object->names = header.e_shstrndx;
	return true;
}

static enum linked look(const struct object *object)
{
	if (search_names(object, SHT_DYNSYM))
		return LINKED_SYMBOLS;
	if (search(object, object->names, NAMES_BYTES_MAX, go_sections))
		return LINKED_GO;
	if (search_names(object, SHT_SYMTAB))
		return LINKED_SYMBOLS;
	if (object->size >= STRIPPED_BYTES_MIN &&
	    !has_table(object, SHT_SYMTAB) && search_constants(object))
		return LINKED_STRIPPED;
	return LINKED_NONE;
}

enum linked linked_look(const char *opened)
{
	struct object object = {0};
	enum linked linked = LINKED_NONE;
	struct stat status;

	/* O_NONBLOCK: a fifo in a container must not stop the tracer. */
	object.fd = open(opened,
			 O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (object.fd < 0)
		return LINKED_NONE;
	if (!fstat(object.fd, &status) && S_ISREG(status.st_mode) &&
	    status.st_size >= FILE_BYTES_MIN) {
		object.size = status.st_size;
		if (read_sections(&object))
			linked = look(&object);
	}
	free(object.sections);
	close(object.fd);
	return linked;
}
