/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * text_cache.c - what was found out about texts, kept for the next time.
 */
#include "parsers/text_cache.h"

#include <string.h>
#include <utlist.h>

/* Eight bytes at once: it is asked of each statement, whole. */
static uint32_t hash_of(struct span text, unsigned flags)
{
	uint64_t hash = flags + 1, word;
	size_t at = 0, left;

	while ((left = text.length - at)) {
		if (left > sizeof(word))
			left = sizeof(word);
		word = 0;
		memcpy(&word, text.bytes + at, left);
		/* An odd factor with bits all over: 2^64 / golden ratio. */
		hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 32;
		at += left;
	}
	return (uint32_t)hash;
}

static struct text_entry **bucket_of(struct text_cache *cache, uint32_t hash)
{
	return &cache->buckets[hash % TEXT_CACHE_BUCKETS];
}

static void forget(struct text_cache *cache, struct text_entry *entry)
{
	struct text_entry **bucket = bucket_of(cache, entry->hash);

	DL_DELETE2(cache->entries, entry, previous, next);
	DL_DELETE2(*bucket, entry, previous_alike, next_alike);
	cache->count--;
	cache->bytes -= entry->bytes;
	entry->listed = false;
	if (!entry->holders)
		cache->free(entry);
}

void text_cache_open(struct text_cache *cache)
{
	cache->users++;
}

void text_cache_close(struct text_cache *cache)
{
	if (--cache->users)
		return;
	while (cache->entries)
		forget(cache, cache->entries);
}

struct text_entry *text_cache_find(struct text_cache *cache, struct span text,
				   unsigned flags)
{
	uint32_t hash = hash_of(text, flags);
	struct text_entry *each;

	DL_FOREACH2(*bucket_of(cache, hash), each, next_alike)
		if (each->hash == hash && each->flags == flags &&
		    each->text.length == text.length && text.length &&
		    !memcmp(each->text.bytes, text.bytes, text.length))
			break;
	if (each && each != cache->entries) {
		DL_DELETE2(cache->entries, each, previous, next);
		DL_PREPEND2(cache->entries, each, previous, next);
	}
	return each;
}

void text_cache_keep(struct text_cache *cache, struct text_entry *entry,
		     size_t bytes)
{
	struct text_entry **bucket;

	entry->hash = hash_of(entry->text, entry->flags);
	entry->bytes = bytes;
	entry->listed = true;
	bucket = bucket_of(cache, entry->hash);
	DL_PREPEND2(cache->entries, entry, previous, next);
	DL_PREPEND2(*bucket, entry, previous_alike, next_alike);
	cache->count++;
	cache->bytes += bytes;
	while (cache->count > cache->count_max ||
	       (cache->bytes > cache->bytes_max && cache->count > 2))
		forget(cache, cache->entries->previous);
}

void text_cache_hold(struct text_entry *entry)
{
	entry->holders++;
}

void text_cache_release(struct text_cache *cache, struct text_entry *entry)
{
	if (!--entry->holders && !entry->listed)
		cache->free(entry);
}
