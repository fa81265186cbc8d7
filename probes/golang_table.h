/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * golang_table.h - the table of functions in a Go program (.gopclntab).
 *
 * The runtime needs it for its stack traces, so that it is there when symbols
 * and section headers are not.
 */
#ifndef DATASNOOP_PROBES_GOLANG_TABLE_H
#define DATASNOOP_PROBES_GOLANG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* By the release of Go that brought the layout; 1.20 is laid out as 1.18. */
enum golang_layout { GOLANG_1_2, GOLANG_1_16, GOLANG_1_18 };

struct golang_table {
	const uint8_t *bytes; /* borrowed */
	size_t length;
	enum golang_layout layout;
	uint64_t count;	    /* of functions */
	uint64_t text;	    /* address that entries are relative to, or 0 */
	uint64_t names;	    /* offsets in bytes: of the functions' names, */
	uint64_t functions; /* of the sorted entries, */
	uint64_t records;   /* and of what their records are relative to */
};

#define GOLANG_TEXT_OFFSET 24 /* in the table, of `text` */

/*
 * golang_table_open - does a table begin at bytes?
 * @length: that are known to be there; the table may end before
 *
 * Checks all that can be checked without looking at each function.  In a
 * position-independent program table->text may be 0 until it is relocated.
 */
bool golang_table_open(struct golang_table *table, const uint8_t *bytes,
		       size_t length);

/*
 * golang_table_search - the first table in bytes, as by its magic number
 * @offset: where to begin, a multiple of 8; where it was found
 */
bool golang_table_search(struct golang_table *table, const uint8_t *bytes,
			 size_t length, size_t *offset);

/*
 * golang_table_find - address of a function and of the one behind it
 *
 * False: there is none of that name, or more than one.
 */
bool golang_table_find(const struct golang_table *table, const char *name,
		       uint64_t *address, uint64_t *end);

#endif
