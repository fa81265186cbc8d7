/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sql.h - what a statement's text says, and what of it may be shown.
 *
 * One lexer of MySQL's and MariaDB's dialect, no grammar: it is right about
 * where literals begin and end, and good about tables.  "..." is taken for a
 * string, never for an identifier: with ANSI_QUOTES names are masked, no value
 * is shown.  Text is read as ASCII-compatible; in GBK or SJIS a second byte
 * that equals a backslash is taken for one.
 * Source: MariaDB and MySQL reference manuals, "Language Structure".
 */
#ifndef DATASNOOP_PARSERS_SQL_H
#define DATASNOOP_PARSERS_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "parsers/exchange.h"

#define SQL_NAMES_BYTES 4096   /* of table names kept of a statement */
#define SQL_OPERATION_BYTES 24 /* the longest verb, and its NUL */

/* The sql_mode NO_BACKSLASH_ESCAPES is on: \ is a character like others. */
#define SQL_NO_BACKSLASH 1u

/* Room that sql_mask() and sql_redact() need at most. */
#define SQL_ROOM(length) (2 * (length) + 8)

enum sql_kind {
	SQL_END,
	SQL_SPACE,
	SQL_COMMENT,
	SQL_HINT,	/* an optimizer hint, delimiters included */
	SQL_DELIMITER,	/* begin or end of an executable comment */
	SQL_WORD,	/* a keyword or a bare identifier */
	SQL_QUOTED,	/* an identifier in backquotes */
	SQL_STRING,	/* with its introducer: N'..', x'..', _utf8'..' */
	SQL_NUMBER,
	SQL_PUNCTUATION /* one character */
};

struct sql_token {
	enum sql_kind kind;
	const char *at; /* borrows the text */
	size_t length;
};

struct sql_lexer {
	const char *at, *end;
	unsigned flags;	 /* SQL_NO_BACKSLASH */
	bool executable; /* inside an executable comment */
	bool after_dot;	 /* what follows is a name, whatever it looks like */
};

struct sql_lexer sql_lexer_of(const char *text, size_t length, unsigned flags);
/* The next token; SQL_END at the end, for ever.  Every byte is in a token. */
struct sql_token sql_lexer_next(struct sql_lexer *lexer);
/* Is the token, as long as `word`, that word?  See sql_token_is(). */
bool sql_token_spells(const struct sql_token *token, const char *word);

/*
 * Is the token that word, letters of any case?  `word` in upper case.
 *
 * Asked of each token many times: most are told apart here, by length and
 * first letter, whose cases differ in 0x20.
 */
static inline bool sql_token_is(const struct sql_token *token, const char *word)
{
	return token->kind == SQL_WORD && token->length &&
	       !((token->at[0] ^ word[0]) & ~0x20) &&
	       strlen(word) == token->length && sql_token_spells(token, word);
}

/*
 * sql_mask - the statement's shape: literals as `?`, comments emptied
 * @out: room for SQL_ROOM(length) bytes; not terminated
 *
 * A literal that the text's end cuts is masked to the end.  Returns the length.
 */
size_t sql_mask(const char *text, size_t length, unsigned flags, char *out);

/* Like sql_mask, but replaces only passwords, by '?'. */
size_t sql_redact(const char *text, size_t length, unsigned flags, char *out);

struct sql_description {
	char operation[SQL_OPERATION_BYTES]; /* upper case; "": no verb found */
	struct span tables[EXCHANGE_TARGETS_MAX]; /* "t" or "db.t", unquoted */
	struct span aliases[EXCHANGE_TARGETS_MAX]; /* length 0: none seen */
	size_t table_count;
	struct span database; /* of USE; bytes NULL: none */
	char names[SQL_NAMES_BYTES]; /* what the spans point into */
	size_t names_used;
};

/* sql_describe - the main verb of the first statement, the tables of all */
void sql_describe(struct sql_description *description, const char *text,
		  size_t length, unsigned flags);

#endif
