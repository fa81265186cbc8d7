/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * golang_table.c - the table of functions in a Go program (.gopclntab).
 *
 * All numbers in it are somebody else's: each is read through get(), which
 * never leaves the bytes, and no sum of two wraps.
 *
 * Source: Go's src/debug/gosym/pclntab.go; for 1.16 and 1.18 also
 * src/runtime/symtab.go (pcHeader) of those releases.
 */
#include "probes/golang_table.h"

#include <string.h>

#define HEADER_BYTES 8 /* magic number, 0, 0, quantum, size of a pointer */
#define WORD 8

static const struct {
	uint32_t magic;
	enum golang_layout layout;
} magics[] = {
	{0xfffffffb, GOLANG_1_2},
	{0xfffffffa, GOLANG_1_16},
	{0xfffffff0, GOLANG_1_18},
	{0xfffffff1, GOLANG_1_18},
};

/* A number of 4 or 8 bytes, little-endian as this machine's. */
static bool get(const struct golang_table *table, uint64_t at, unsigned size,
		uint64_t *value)
{
	uint32_t half;

	if (at > table->length || table->length - at < size)
		return false;
	if (size == WORD) {
		memcpy(value, table->bytes + at, WORD);
		return true;
	}
	memcpy(&half, table->bytes + at, sizeof(half));
	*value = half;
	return true;
}

static unsigned entry_size(const struct golang_table *table)
{
	return table->layout == GOLANG_1_18 ? 4 : WORD;
}

/* Offsets of the parts, as the header tells them. */
static bool read_header(struct golang_table *table)
{
	unsigned names, functions;

	if (!get(table, HEADER_BYTES, WORD, &table->count))
		return false;
	table->text = 0;
	if (table->layout == GOLANG_1_2) {
		table->names = table->records = 0;
		table->functions = HEADER_BYTES + WORD;
		return true;
	}
	/* In words behind the header: 1.18 has put `text` before them. */
	names = table->layout == GOLANG_1_18 ? 3 : 2;
	functions = names + 4;
	if (!get(table, HEADER_BYTES + names * WORD, WORD, &table->names) ||
	    !get(table, HEADER_BYTES + functions * WORD, WORD,
		 &table->functions))
		return false;
	table->records = table->functions;
	return table->layout != GOLANG_1_18 ||
	       get(table, GOLANG_TEXT_OFFSET, WORD, &table->text);
}

bool golang_table_open(struct golang_table *table, const uint8_t *bytes,
		       size_t length)
{
	uint32_t magic;
	size_t i, kinds = sizeof(magics) / sizeof(magics[0]);

	if (length < HEADER_BYTES + WORD || bytes[4] || bytes[5] ||
	    bytes[6] != 1 || bytes[7] != WORD)
		return false;
	memcpy(&magic, bytes, sizeof(magic));
	for (i = 0; i < kinds && magics[i].magic != magic; i++)
		;
	if (i == kinds)
		return false;
	table->bytes = bytes;
	table->length = length;
	table->layout = magics[i].layout;
	if (!read_header(table) || !table->count ||
	    table->names >= length || table->functions >= length)
		return false;
	/* Entries and records' offsets in pairs, and the last one's end. */
	return table->count <
	       (length - table->functions) / (2 * entry_size(table));
}

bool golang_table_search(struct golang_table *table, const uint8_t *bytes,
			 size_t length, size_t *offset)
{
	for (; *offset < length; *offset += 8) {
		if (golang_table_open(table, bytes + *offset,
				      length - *offset))
			return true;
	}
	return false;
}

/* Address of the function of that index; of the last one's end. */
static bool address_of(const struct golang_table *table, uint64_t index,
		       uint64_t *address)
{
	unsigned size = entry_size(table);

	if (!get(table, table->functions + index * 2 * size, size, address))
		return false;
	*address += table->text;
	return true;
}

/* The name of the function of that index: not ended within the table, NULL. */
static const char *name_of(const struct golang_table *table, uint64_t index)
{
	unsigned size = entry_size(table);
	uint64_t record, name;

	if (!get(table, table->functions + (index * 2 + 1) * size, size,
		 &record) ||
	    record > table->length ||
	    !get(table, table->records + record + size, 4, &name))
		return NULL;
	name += table->names;
	if (name >= table->length ||
	    !memchr(table->bytes + name, '\0', table->length - name))
		return NULL;
	return (const char *)table->bytes + name;
}

bool golang_table_find(const struct golang_table *table, const char *name,
		       uint64_t *address, uint64_t *end)
{
	uint64_t found = table->count;

	for (uint64_t i = 0; i < table->count; i++) {
		const char *other = name_of(table, i);

		if (!other || strcmp(other, name))
			continue;
		if (found != table->count)
			return false;
		found = i;
	}
	return found != table->count && address_of(table, found, address) &&
	       address_of(table, found + 1, end);
}
