/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * text_cache.h - what was found out about texts, kept for the next time.
 *
 * Programs send the same statements over and over, and to read one takes
 * longer than all else that is done for a small exchange.  An entry is known
 * by its text's bytes, and by flags that say how they are to be read; the
 * latest used are kept, for all connections.  One thread's alone.
 */
#ifndef DATASNOOP_PARSERS_TEXT_CACHE_H
#define DATASNOOP_PARSERS_TEXT_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parsers/exchange.h"

#define TEXT_CACHE_BUCKETS 256 /* of lists by hash; a power of two */

/* What is kept of a text begins with this. */
struct text_entry {
	struct span text; /* the entry's own bytes */
	unsigned flags;
	/* The cache's, as is all below. */
	struct text_entry *next, *previous; /* latest used first */
	struct text_entry *next_alike, *previous_alike; /* of a bucket */
	uint32_t hash;
	unsigned holders;
	bool listed;
	size_t bytes;
};

struct text_cache {
	size_t count_max, bytes_max; /* of entries, but that two stay */
	void (*free)(struct text_entry *entry);
	/* The cache's own; zero at first. */
	unsigned users;
	size_t count, bytes;
	struct text_entry *entries, *buckets[TEXT_CACHE_BUCKETS];
};

/* One more, one less that uses it; the last frees all. */
void text_cache_open(struct text_cache *cache);
void text_cache_close(struct text_cache *cache);

/*
 * text_cache_find - the entry of that text and those flags, as the latest used
 *
 * Borrowed until the next text_cache_keep(), or until released if it is held.
 * NULL: there is none.
 */
struct text_entry *text_cache_find(struct text_cache *cache, struct span text,
				   unsigned flags);

/*
 * text_cache_keep - give an entry away to the cache
 * @entry: zero but for its text and flags, of which there is none yet
 * @bytes: of memory that it takes, all in all
 *
 * The longest unused are forgotten for it.
 */
void text_cache_keep(struct text_cache *cache, struct text_entry *entry,
		     size_t bytes);

/* While somebody holds it an entry is there, though it be forgotten. */
void text_cache_hold(struct text_entry *entry);
void text_cache_release(struct text_cache *cache, struct text_entry *entry);

#endif
