/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sql_text.c - a statement's text, read once for all who send it.
 */
#include "parsers/sql_text.h"

#include <stdlib.h>

#define TEXTS_MAX	256	   /* statements remembered */
#define TEXTS_BYTES_MAX (4u << 20) /* of them */
#define TEXT_BYTES_MAX	(64u << 10) /* of one; a larger one comes once */

static void free_text(struct text_entry *entry)
{
	free((struct sql_text *)entry);
}

static struct text_cache cache = {
	.count_max = TEXTS_MAX,
	.bytes_max = TEXTS_BYTES_MAX,
	.free = free_text,
};

void sql_text_open(void)
{
	text_cache_open(&cache);
}

void sql_text_close(void)
{
	text_cache_close(&cache);
}

static struct sql_text *read_text(struct span text, unsigned flags)
{
	size_t size = sizeof(struct sql_text) + text.length +
		      2 * SQL_ROOM(text.length);
	struct sql_text *read = malloc(size);
	char *shown, *masked;

	if (!read)
		return NULL;
	read->entry = (struct text_entry){ .flags = flags };
	read->entry.text = (struct span){ read->bytes, text.length };
	memcpy(read->bytes, text.bytes, text.length);
	shown = read->bytes + text.length;
	read->shown = (struct span){
		shown, sql_redact(text.bytes, text.length, flags, shown) };
	masked = shown + read->shown.length;
	read->masked = (struct span){
		masked, sql_mask(text.bytes, text.length, flags, masked) };
	sql_describe(&read->description, text.bytes, text.length, flags);
	if (size <= TEXT_BYTES_MAX)
		text_cache_keep(&cache, &read->entry, size);
	return read;
}

struct sql_text *sql_text_hold(struct span text, unsigned flags)
{
	struct text_entry *found = text_cache_find(&cache, text, flags);
	struct sql_text *held = found ? (struct sql_text *)found :
					read_text(text, flags);

	if (held)
		text_cache_hold(&held->entry);
	return held;
}

void sql_text_release(struct sql_text *text)
{
	if (text)
		text_cache_release(&cache, &text->entry);
}
