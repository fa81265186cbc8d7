/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sql_text.h - a statement's text, read once for all who send it.
 */
#ifndef DATASNOOP_PARSERS_SQL_TEXT_H
#define DATASNOOP_PARSERS_SQL_TEXT_H

#include "parsers/sql.h"
#include "parsers/text_cache.h"

struct sql_text {
	struct text_entry entry;
	struct span shown;  /* as of sql_redact() */
	struct span masked; /* as of sql_mask() */
	struct sql_description description;
	char bytes[]; /* the text, the other two */
};

/* One more, one less parser that uses them; the last frees all. */
void sql_text_open(void);
void sql_text_close(void);

/*
 * sql_text_hold - what sql.h says of a text, remembered or found out
 * @flags: SQL_NO_BACKSLASH
 *
 * There until it is released.  NULL: out of memory.
 */
struct sql_text *sql_text_hold(struct span text, unsigned flags);
void sql_text_release(struct sql_text *text);

#endif
