/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sql.c - the lexer, and the two texts of a statement that may be shown.
 *
 * One pass, no memory of its own.  When in doubt a byte is part of a literal:
 * the cost of a wrong guess is a `?` too many, never a value too many.
 */
#include "parsers/sql.h"

#include <string.h>
#include <strings.h>

/* What a byte is, looked up: each is asked several times. */
enum byte_class { BYTE_SPACE = 1, BYTE_DIGIT = 2, BYTE_HEX = 4, BYTE_WORD = 8 };

/* Of an unquoted name; beyond ASCII all are letters. */
static const uint8_t byte_classes[256] = {
	['\t' ... '\r'] = BYTE_SPACE,
	[' '] = BYTE_SPACE,
	['0' ... '9'] = BYTE_DIGIT | BYTE_HEX | BYTE_WORD,
	['a' ... 'f'] = BYTE_HEX | BYTE_WORD,
	['A' ... 'F'] = BYTE_HEX | BYTE_WORD,
	['g' ... 'z'] = BYTE_WORD,
	['G' ... 'Z'] = BYTE_WORD,
	['_'] = BYTE_WORD,
	['$'] = BYTE_WORD,
	[0x80 ... 0xff] = BYTE_WORD,
};

static bool is_space(char c)
{
	return byte_classes[(unsigned char)c] & BYTE_SPACE;
}

static bool is_digit(char c)
{
	return byte_classes[(unsigned char)c] & BYTE_DIGIT;
}

static bool is_hex(char c)
{
	return byte_classes[(unsigned char)c] & BYTE_HEX;
}

static bool is_word(char c)
{
	return byte_classes[(unsigned char)c] & BYTE_WORD;
}

struct sql_lexer sql_lexer_of(const char *text, size_t length, unsigned flags)
{
	/* C has no offset from nowhere, not even 0. */
	return (struct sql_lexer){ .at = text,
				   .end = text ? text + length : NULL,
				   .flags = flags };
}

bool sql_token_spells(const struct sql_token *token, const char *word)
{
	return !strncasecmp(token->at, word, token->length);
}

static char peek(const struct sql_lexer *lexer, const char *at, size_t ahead)
{
	return (size_t)(lexer->end - at) > ahead ? at[ahead] : '\0';
}

/* Behind the quote that ends what begins at `at`; the end when none does. */
static const char *skip_quoted(const struct sql_lexer *lexer, const char *at)
{
	char quote = *at++;
	bool escapes = quote != '`' && !(lexer->flags & SQL_NO_BACKSLASH);

	while (at < lexer->end) {
		if (*at == '\\' && escapes) {
			at += lexer->end - at > 1 ? 2 : 1;
		} else if (*at != quote) {
			at++;
		} else if (peek(lexer, at, 1) == quote) {
			at += 2;
		} else {
			return at + 1;
		}
	}
	return lexer->end;
}

static const char *skip_line(const struct sql_lexer *lexer, const char *at)
{
	const char *eol = memchr(at, '\n', (size_t)(lexer->end - at));

	return eol ? eol : lexer->end;
}

/* A comment, or the opening of an executable one, at a slash and a star. */
static enum sql_kind lex_comment(struct sql_lexer *lexer, const char **after)
{
	const char *at = lexer->at + 2;
	enum sql_kind kind = SQL_COMMENT;

	if (peek(lexer, at, 0) == '!' ||
	    (peek(lexer, at, 0) == 'M' && peek(lexer, at, 1) == '!')) {
		at += *at == 'M' ? 2 : 1;
		while (at < lexer->end && is_digit(*at))
			at++;
		lexer->executable = true;
		*after = at;
		return SQL_DELIMITER;
	}
	if (peek(lexer, at, 0) == '+')
		kind = SQL_HINT;
	for (; lexer->end - at >= 2; at++) {
		if (at[0] == '*' && at[1] == '/') {
			*after = at + 2;
			return kind;
		}
	}
	*after = lexer->end;
	return SQL_COMMENT;
}

/* Digits of a fraction and an exponent behind an integer part, if any. */
static const char *skip_fraction(const struct sql_lexer *lexer, const char *at)
{
	const char *exponent;

	if (peek(lexer, at, 0) == '.')
		for (at++; at < lexer->end && is_digit(*at);)
			at++;
	if ((peek(lexer, at, 0) | 32) != 'e')
		return at;
	exponent = at + 1;
	if (peek(lexer, exponent, 0) == '+' || peek(lexer, exponent, 0) == '-')
		exponent++;
	if (!is_digit(peek(lexer, exponent, 0)))
		return at;
	while (exponent < lexer->end && is_digit(*exponent))
		exponent++;
	return exponent;
}

/* Is it 0x1f or 0b01, all of it? */
static bool is_radix(const char *at, size_t length)
{
	if (length < 3 || at[0] != '0' || (at[1] != 'x' && at[1] != 'b'))
		return false;
	for (size_t i = 2; i < length; i++)
		if (!is_hex(at[i]) || (at[1] == 'b' && at[i] > '1'))
			return false;
	return true;
}

/* A word, a number, or a string behind its introducer. */
static enum sql_kind lex_word(struct sql_lexer *lexer, const char **after)
{
	const char *start = lexer->at, *at = start, *digits = start;
	size_t length;
	char quote;

	while (at < lexer->end && is_word(*at))
		at++;
	length = (size_t)(at - start);
	*after = at;
	if (lexer->after_dot)
		return SQL_WORD;
	while (digits < at && is_digit(*digits))
		digits++;
	if (is_radix(start, length))
		return SQL_NUMBER;
	if (digits > start && (digits == at || (*digits | 32) == 'e')) {
		const char *end = skip_fraction(lexer, digits);

		if (end >= at) {
			*after = end;
			return SQL_NUMBER;
		}
	}
	quote = peek(lexer, at, 0);
	if ((quote == '\'' || quote == '"') &&
	    (*start == '_' || (length == 1 && strchr("nNxXbB", *start)))) {
		*after = skip_quoted(lexer, at);
		return SQL_STRING;
	}
	return SQL_WORD;
}

static bool starts_comment_line(const struct sql_lexer *lexer)
{
	const char *at = lexer->at;

	if (*at == '#')
		return true;
	/* `--` needs a space behind it: 5--1 is a difference. */
	return *at == '-' && peek(lexer, at, 1) == '-' &&
	       (lexer->end - at == 2 || is_space(at[2]) ||
		(unsigned char)at[2] < 0x20);
}

static enum sql_kind lex(struct sql_lexer *lexer, const char **after)
{
	const char *at = lexer->at;

	*after = at + 1;
	if (is_space(*at)) {
		while (*after < lexer->end && is_space(**after))
			(*after)++;
		return SQL_SPACE;
	}
	if (is_word(*at))
		return lex_word(lexer, after);
	if (starts_comment_line(lexer)) {
		*after = skip_line(lexer, at);
		return SQL_COMMENT;
	}
	if (*at == '/' && peek(lexer, at, 1) == '*')
		return lex_comment(lexer, after);
	if (*at == '*' && peek(lexer, at, 1) == '/' && lexer->executable) {
		lexer->executable = false;
		*after = at + 2;
		return SQL_DELIMITER;
	}
	if (*at == '\'' || *at == '"' || *at == '`') {
		*after = skip_quoted(lexer, at);
		return *at == '`' ? SQL_QUOTED : SQL_STRING;
	}
	if (*at == '.' && !lexer->after_dot && is_digit(peek(lexer, at, 1))) {
		*after = skip_fraction(lexer, at);
		return SQL_NUMBER;
	}
	return SQL_PUNCTUATION;
}

struct sql_token sql_lexer_next(struct sql_lexer *lexer)
{
	struct sql_token token = { .at = lexer->at };
	const char *after = lexer->at;

	if (lexer->at == lexer->end)
		return token;
	token.kind = lex(lexer, &after);
	token.length = (size_t)(after - lexer->at);
	lexer->at = after;
	/* In `t.1` and t.5x a name follows; so does one in `a`.5, a.5. */
	if (token.kind == SQL_WORD || token.kind == SQL_QUOTED)
		lexer->after_dot = after < lexer->end && *after == '.';
	else if (token.kind != SQL_PUNCTUATION || *token.at != '.')
		lexer->after_dot = false;
	return token;
}

/*
 * Where passwords stand.  WORD: behind a name that ends in PASSWORD, up to
 * what it is compared with or assigned; CALL: in PASSWORD(...); SET: behind
 * SET PASSWORD, up to the `=`; CLAUSE: behind IDENTIFIED, up to the next user.
 */
enum secret_place {
	SECRET_NONE,
	SECRET_WORD,
	SECRET_CALL,
	SECRET_SET,
	SECRET_CLAUSE
};

struct secret {
	enum secret_place place;
	unsigned depth; /* of parentheses in SECRET_CALL */
	bool after_set; /* the last word was SET */
};

static bool ends_in(const struct sql_token *token, const char *tail)
{
	size_t length = token->length, size = strlen(tail);

	if (token->kind == SQL_QUOTED && length && token->at[length - 1] == '`')
		length--;
	return length >= size &&
	       !strncasecmp(token->at + length - size, tail, size);
}

static bool is_any(const struct sql_token *token, const char *const *words)
{
	for (; *words; words++)
		if (sql_token_is(token, *words))
			return true;
	return false;
}

static void secret_word(struct secret *secret, const struct sql_token *token)
{
	static const char *const ends[] = { "REQUIRE", "ACCOUNT", "COMMENT",
					    "ATTRIBUTE", NULL };
	static const char *const passes[] = { "BY", "IN", "IS", "NOT", "LIKE",
					      "AS", "VALUE", "BINARY", NULL };
	bool set = secret->after_set;

	secret->after_set = sql_token_is(token, "SET");
	if (secret->place == SECRET_CALL)
		return;
	if (sql_token_is(token, "IDENTIFIED")) {
		secret->place = SECRET_CLAUSE;
	} else if (secret->place == SECRET_CLAUSE) {
		if (is_any(token, ends))
			secret->place = SECRET_NONE;
	} else if (ends_in(token, "PASSWORD") || ends_in(token, "PASSWD")) {
		secret->place = set ? SECRET_SET : SECRET_WORD;
	} else if (secret->place == SECRET_WORD && !is_any(token, passes)) {
		secret->place = SECRET_NONE;
	}
}

static void secret_punctuation(struct secret *secret, char c)
{
	if (c == ';') {
		secret->place = SECRET_NONE;
	} else if (secret->place == SECRET_CALL) {
		if (c == '(')
			secret->depth++;
		else if (c == ')' && !--secret->depth)
			secret->place = SECRET_NONE;
	} else if (secret->place == SECRET_WORD) {
		if (c == '(') {
			secret->place = SECRET_CALL;
			secret->depth = 1;
		} else if (c == ',' || c == ')') {
			secret->place = SECRET_NONE;
		}
	} else if (secret->place == SECRET_SET && c == '=') {
		secret->place = SECRET_CLAUSE;
	} else if (secret->place == SECRET_CLAUSE && c == ',') {
		secret->place = SECRET_NONE;
	}
}

/* Follows the tokens; true for a literal that is a password. */
static bool secret_token(struct secret *secret, const struct sql_token *token)
{
	switch (token->kind) {
	case SQL_WORD:
	case SQL_QUOTED:
		secret_word(secret, token);
		return false;
	case SQL_PUNCTUATION:
		secret_punctuation(secret, *token->at);
		/* `SET @x = ..., password = ...` is an assignment like any. */
		secret->after_set = false;
		return false;
	case SQL_STRING:
	case SQL_NUMBER:
		secret->after_set = false;
		/* SET PASSWORD FOR names a user; `=` comes before the word. */
		if (secret->place == SECRET_WORD) {
			secret->place = SECRET_NONE;
			return true;
		}
		return secret->place == SECRET_CALL ||
		       secret->place == SECRET_CLAUSE;
	default:
		return false;
	}
}

struct output {
	char *bytes;
	size_t length;
};

static void put(struct output *out, const char *text, size_t length)
{
	memcpy(out->bytes + out->length, text, length);
	out->length += length;
}

/* Behind these words a sign belongs to the number. */
static bool takes_operand(const struct sql_token *token)
{
	static const char *const words[] = {
		"SELECT", "WHERE", "AND", "OR", "NOT", "XOR", "BETWEEN",
		"LIMIT", "OFFSET", "THEN", "ELSE", "WHEN", "CASE", "IN", "BY",
		"SET", "VALUES", "LIKE", "RETURN", "DIV", "MOD", "ON",
		"HAVING", "INTERVAL", "DEFAULT", "ALL", "DISTINCT", "RETURNING",
		NULL
	};

	return is_any(token, words);
}

/* May a sign behind that token be a number's own? */
static bool sign_is_unary(const struct sql_token *before)
{
	switch (before->kind) {
	case SQL_WORD:
		return takes_operand(before);
	case SQL_QUOTED:
	case SQL_STRING:
	case SQL_NUMBER:
		return false;
	case SQL_PUNCTUATION:
		return *before->at != ')' && *before->at != '?';
	default:
		return true;
	}
}

static void put_comment(struct output *out, const struct sql_token *token)
{
	size_t opening = *token->at == '#' ? 1 : 2;
	size_t closing = 0, i;

	if (*token->at == '/' && token->length >= 4 &&
	    !memcmp(token->at + token->length - 2, "*/", 2))
		closing = 2;
	for (i = opening; i + closing < token->length; i++)
		if (!is_space(token->at[i]))
			break;
	if (i + closing >= token->length) {
		put(out, token->at, token->length);
		return;
	}
	put(out, token->at, opening);
	put(out, " ?", 2);
	if (*token->at == '/')
		put(out, " */", 3);
}

/* Swallows the sign, already written, of the number that comes now. */
static void drop_sign(struct output *out, const struct sql_token *sign,
		      const struct sql_token *before)
{
	if (sign->kind == SQL_PUNCTUATION && sign->length == 1 &&
	    (*sign->at == '-' || *sign->at == '+') && sign_is_unary(before) &&
	    out->length && out->bytes[out->length - 1] == *sign->at)
		out->length--;
}

/* Like put, with literals as `?`, and comments' texts too. */
static void put_masked(struct output *out, const char *text, size_t length,
		       unsigned flags);

/* Names and numbers of a hint mean something, its values are literals. */
static void put_hint(struct output *out, const struct sql_token *token,
		     unsigned flags)
{
	/* No hint lies in a hint: what would end it ends the outer one. */
	put(out, token->at, 3);
	put_masked(out, token->at + 3, token->length - 5, flags);
	put(out, "*/", 2);
}

static void put_masked(struct output *out, const char *text, size_t length,
		       unsigned flags)
{
	struct sql_lexer lexer = sql_lexer_of(text, length, flags);
	struct sql_token before = { .kind = SQL_END }, last = before, token;

	while ((token = sql_lexer_next(&lexer)).kind != SQL_END) {
		switch (token.kind) {
		case SQL_COMMENT:
			put_comment(out, &token);
			continue;
		case SQL_HINT:
			put_hint(out, &token, flags);
			continue;
		case SQL_NUMBER:
			drop_sign(out, &last, &before);
			put(out, "?", 1);
			break;
		case SQL_STRING:
			put(out, "?", 1);
			break;
		default:
			put(out, token.at, token.length);
			break;
		}
		if (token.kind != SQL_SPACE) {
			before = last;
			last = token;
		}
	}
}

size_t sql_mask(const char *text, size_t length, unsigned flags, char *out)
{
	struct output output = { out, 0 };

	put_masked(&output, text, length, flags);
	return output.length;
}

/* Every secret stands behind a name with PASSW in it, or IDENTIFIED. */
static bool may_hold_secret(const char *text, size_t length)
{
	static const char *const words[] = { "PASSW", "IDENTIFIED" };

	for (size_t i = 0; i < length; i++)
		for (size_t w = 0; w < 2; w++)
			if ((text[i] & ~0x20) == *words[w] &&
			    length - i >= strlen(words[w]) &&
			    !strncasecmp(text + i, words[w], strlen(words[w])))
				return true;
	return false;
}

size_t sql_redact(const char *text, size_t length, unsigned flags, char *out)
{
	struct sql_lexer lexer = sql_lexer_of(text, length, flags);
	struct output output = { out, 0 };
	struct secret secret = { .place = SECRET_NONE };
	struct sql_token token;

	if (!may_hold_secret(text, length)) {
		put(&output, text, length);
		return output.length;
	}
	while ((token = sql_lexer_next(&lexer)).kind != SQL_END) {
		if (secret_token(&secret, &token))
			put(&output, "'?'", 3);
		else
			put(&output, token.at, token.length);
	}
	return output.length;
}
