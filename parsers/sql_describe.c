/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sql_describe.c - a statement's main verb and the tables that it names.
 *
 * Follows the clauses in which tables stand, at each depth of parentheses, and
 * understands no expression.  Names of common table expressions and DUAL are
 * no tables; FROM inside EXTRACT(), TRIM(), SUBSTRING() introduces none.
 */
#include "parsers/sql.h"

#include <string.h>
#include <strings.h>

#define DEPTH_MAX  64 /* of parentheses; tables deeper than that are not seen */
#define CTES_MAX   16 /* names of common table expressions remembered */

enum expect {
	EXPECT_NOTHING,
	EXPECT_TABLE, /* a name, or a derived table; name( is a function */
	EXPECT_NAMED  /* a name, which a list of columns may follow */
};

struct level {
	enum expect expect;
	bool list;     /* in a list of tables: a comma brings another */
	bool function; /* of a function whose arguments may hold FROM */
};

struct describe {
	struct sql_description *out;
	struct sql_lexer lexer;
	struct sql_token token, next; /* blanks and comments left out */
	struct level levels[DEPTH_MAX];
	unsigned depth;
	struct span ctes[CTES_MAX];
	unsigned cte_count;
	char verb[SQL_OPERATION_BYTES]; /* of the statement being read */
	bool with;    /* between WITH and the main verb */
	bool recorded; /* out->operation is the first statement's */
	bool joined;  /* a JOIN has been seen since the verb */
	bool objects; /* SHOW: the next FROM names a table */
	bool on_table; /* the next ON names a table */
	bool alias_next; /* the last table's alias may come */
	bool named_ctes; /* at depth 0 behind WITH: a name is a CTE's */
};

static void advance(struct describe *d)
{
	d->token = d->next;
	do
		d->next = sql_lexer_next(&d->lexer);
	while (d->next.kind == SQL_SPACE || d->next.kind == SQL_COMMENT ||
	       d->next.kind == SQL_HINT || d->next.kind == SQL_DELIMITER);
}

static bool is_punctuation(const struct sql_token *token, char c)
{
	return token->kind == SQL_PUNCTUATION && *token->at == c;
}

static bool is_name(const struct sql_token *token)
{
	return token->kind == SQL_WORD || token->kind == SQL_QUOTED;
}

static bool is_one_of(const struct sql_token *token, const char *const *words)
{
	for (; *words; words++)
		if (sql_token_is(token, *words))
			return true;
	return false;
}

static bool verb_is(const struct describe *d, const char *verb)
{
	return *d->verb == *verb && !strcmp(d->verb, verb);
}

static bool verb_among(const struct describe *d, const char *const *verbs)
{
	for (; *verbs; verbs++)
		if (verb_is(d, *verbs))
			return true;
	return false;
}

/* Appends a name without its quotes to out->names; false: no room. */
static bool keep_name(struct sql_description *out, const struct sql_token *name)
{
	const char *at = name->at, *end = at + name->length;
	bool quoted = name->kind == SQL_QUOTED;

	if (out->names_used + name->length + 1 > sizeof(out->names))
		return false;
	if (quoted) {
		at++;
		end -= end > at && end[-1] == '`';
	}
	while (at < end) {
		out->names[out->names_used++] = *at;
		at += quoted && *at == '`' && end - at > 1 ? 2 : 1;
	}
	return true;
}

static bool same(struct span a, struct span b)
{
	return a.length == b.length && !strncasecmp(a.bytes, b.bytes, a.length);
}

static void add_table(struct describe *d, size_t start)
{
	static const struct span dual = { "DUAL", 4 };
	struct sql_description *out = d->out;
	struct span table = { out->names + start, out->names_used - start };
	bool known = !table.length || same(table, dual) ||
		     out->table_count == EXCHANGE_TARGETS_MAX;
	size_t i;

	for (i = 0; i < d->cte_count && !known; i++)
		known = same(table, d->ctes[i]);
	for (i = 0; i < out->table_count && !known; i++)
		known = same(table, out->tables[i]);
	d->alias_next = !known;
	if (known) {
		out->names_used = start;
		return;
	}
	out->aliases[out->table_count] = (struct span){ NULL, 0 };
	out->tables[out->table_count++] = table;
}

/* What stands behind a table: an alias, or a keyword that is none's name. */
static void take_alias(struct describe *d)
{
	struct sql_description *out = d->out;
	size_t start = out->names_used;

	if (sql_token_is(&d->token, "AS"))
		return;
	d->alias_next = false;
	if (out->table_count && keep_name(out, &d->token))
		out->aliases[out->table_count - 1] = (struct span){
			out->names + start, out->names_used - start };
}

/* A table's name begins at the token; takes name, name.name, name.* */
static void take_table(struct describe *d, bool functions)
{
	struct sql_description *out = d->out;
	size_t start = out->names_used;
	bool kept = keep_name(out, &d->token);

	while (is_punctuation(&d->next, '.')) {
		advance(d);
		if (!is_name(&d->next))
			break;
		advance(d);
		kept = kept && out->names_used < sizeof(out->names);
		if (kept)
			out->names[out->names_used++] = '.';
		kept = kept && keep_name(out, &d->token);
	}
	if (!kept || is_punctuation(&d->next, '*') ||
	    (functions && is_punctuation(&d->next, '('))) {
		out->names_used = start;
		return;
	}
	add_table(d, start);
}

static void take_cte(struct describe *d)
{
	size_t start = d->out->names_used;

	if (d->cte_count == CTES_MAX || !keep_name(d->out, &d->token))
		return;
	d->ctes[d->cte_count++] = (struct span){ d->out->names + start,
						 d->out->names_used - start };
}

static void expect(struct describe *d, enum expect what, bool list)
{
	d->levels[d->depth].expect = what;
	d->levels[d->depth].list = list;
}

static void copy_verb(char verb[SQL_OPERATION_BYTES],
		      const struct sql_token *token)
{
	size_t i, length = token->length;

	if (length >= SQL_OPERATION_BYTES)
		length = SQL_OPERATION_BYTES - 1;
	for (i = 0; i < length; i++) {
		char c = token->at[i];

		verb[i] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
	}
	verb[length] = '\0';
}

/* The first word of a statement, or the verb behind WITH. */
static void begin_statement(struct describe *d)
{
	static const char *const tables[] = { "UPDATE", "TRUNCATE", NULL };
	static const char *const named[] = { "INSERT", "REPLACE", "HANDLER",
					     "DESC", "DESCRIBE", "EXPLAIN",
					     NULL };

	if (sql_token_is(&d->token, "WITH")) {
		d->with = d->named_ctes = true;
		copy_verb(d->verb, &d->token);
		return;
	}
	copy_verb(d->verb, &d->token);
	d->with = false;
	if (!d->recorded)
		memcpy(d->out->operation, d->verb, sizeof(d->verb));
	d->recorded = true;
	d->objects = d->on_table = d->joined = false;
	if (verb_among(d, tables))
		expect(d, EXPECT_NAMED, true);
	else if (verb_among(d, named))
		expect(d, EXPECT_NAMED, false);
	else if (verb_is(d, "GRANT") || verb_is(d, "REVOKE"))
		d->on_table = true;
	else if (verb_is(d, "USE") && is_name(&d->next)) {
		size_t start = d->out->names_used;

		advance(d);
		if (keep_name(d->out, &d->token))
			d->out->database = (struct span){
				d->out->names + start,
				d->out->names_used - start };
	}
}

static bool is_from_function(const struct sql_token *token)
{
	static const char *const names[] = { "EXTRACT", "TRIM", "SUBSTRING",
					     "SUBSTR", "MID", "LTRIM", "RTRIM",
					     "OVERLAY", NULL };

	return is_one_of(token, names);
}

/* FROM: which verb's decides what follows. */
static void on_from(struct describe *d)
{
	if (d->levels[d->depth].function)
		return;
	if (verb_is(d, "SHOW") && !d->objects)
		return;
	if (verb_is(d, "SHOW")) {
		expect(d, EXPECT_NAMED, false);
		d->objects = false;
		return;
	}
	if (verb_is(d, "PREPARE") || verb_is(d, "REVOKE"))
		return;
	expect(d, EXPECT_TABLE, true);
}

/* TABLE, TABLES: a table's own statement, or LOAD DATA ... INTO TABLE. */
static void on_table_word(struct describe *d)
{
	static const char *const verbs[] = {
		"CREATE", "ALTER", "DROP", "TRUNCATE", "LOCK", "ANALYZE",
		"OPTIMIZE", "CHECK", "REPAIR", "CHECKSUM", "RENAME", "LOAD",
		"FLUSH", NULL
	};

	if (verb_among(d, verbs) ||
	    (verb_is(d, "SHOW") && sql_token_is(&d->token, "TABLE")))
		expect(d, EXPECT_NAMED, !verb_is(d, "CREATE"));
	/* SHOW TABLE STATUS names a database, not a table. */
	if (sql_token_is(&d->next, "STATUS"))
		expect(d, EXPECT_NOTHING, false);
}

/* The words of statements that define, one verb each. */
static bool on_definition_word(struct describe *d)
{
	static const char *const columns[] = { "COLUMNS", "FIELDS", "INDEX",
					       "INDEXES", "KEYS", NULL };

	if (sql_token_is(&d->token, "TABLE") ||
	    sql_token_is(&d->token, "TABLES")) {
		on_table_word(d);
	} else if (verb_is(d, "SHOW") && is_one_of(&d->token, columns)) {
		d->objects = true;
	} else if ((verb_is(d, "CREATE") || verb_is(d, "DROP")) &&
		   !d->depth && (sql_token_is(&d->token, "INDEX") ||
				 sql_token_is(&d->token, "TRIGGER"))) {
		d->on_table = true;
	} else if (d->on_table && sql_token_is(&d->token, "ON")) {
		d->on_table = false;
		expect(d, EXPECT_NAMED, false);
		if (sql_token_is(&d->next, "TABLE"))
			advance(d);
	} else if ((verb_is(d, "CREATE") && sql_token_is(&d->token, "LIKE")) ||
		   (verb_is(d, "RENAME") && sql_token_is(&d->token, "TO"))) {
		expect(d, EXPECT_NAMED, verb_is(d, "RENAME"));
	} else {
		return false;
	}
	return true;
}

/* DELETE FROM a, b USING t ...: what stood before names aliases of t. */
static void on_using(struct describe *d)
{
	if (!verb_is(d, "DELETE") || d->depth || d->joined)
		return;
	d->out->table_count = 0;
	expect(d, EXPECT_TABLE, true);
}

static void on_word(struct describe *d)
{
	static const char *const ends[] = { "WHERE", "SET", "GROUP", "ORDER",
					    "HAVING", "LIMIT", "VALUES",
					    "VALUE", "UNION", "EXCEPT",
					    "INTERSECT", "WINDOW", "PROCEDURE",
					    "FOR", "SELECT", "RETURNING",
					    NULL };
	struct level *level = &d->levels[d->depth];
	static const char *const verbs[] = { "SELECT", "UPDATE", "DELETE",
					     "INSERT", "REPLACE", NULL };

	if (d->with && !d->depth && is_one_of(&d->token, verbs)) {
		begin_statement(d);
	} else if (sql_token_is(&d->token, "FROM")) {
		on_from(d);
	} else if (sql_token_is(&d->token, "JOIN") ||
		   (level->list && sql_token_is(&d->token, "STRAIGHT_JOIN"))) {
		d->joined = true;
		expect(d, EXPECT_TABLE, true);
	} else if (sql_token_is(&d->token, "INTO")) {
		expect(d, EXPECT_NAMED, false);
	} else if (sql_token_is(&d->token, "USING")) {
		on_using(d);
	} else if (is_one_of(&d->token, ends)) {
		expect(d, EXPECT_NOTHING, false);
	} else {
		on_definition_word(d);
	}
}

/* Words that may stand between a clause's keyword and the table. */
static bool is_modifier(const struct sql_token *token)
{
	static const char *const words[] = {
		"INTO", "FROM", "TABLE", "TABLES", "ONLY", "LATERAL", "IGNORE",
		"LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK", "IF",
		"NOT", "EXISTS", "LOCAL", "NO_WRITE_TO_BINLOG", "CONCURRENT",
		"FUNCTION", NULL
	};

	return is_one_of(token, words);
}

/* Words that say that no table follows after all. */
static bool is_no_table(const struct sql_token *token)
{
	static const char *const words[] = {
		"SELECT", "WITH", "VALUES", "OUTFILE", "DUMPFILE", "SET",
		"DELETE", "INSERT", "UPDATE", "REPLACE", "FORMAT", "EXTENDED",
		"PARTITIONS", "ANALYZE", "WHERE", "FOR", "INDEX", NULL
	};

	return is_one_of(token, words);
}

/* The token where a table was expected. */
static void on_expected(struct describe *d)
{
	struct level *level = &d->levels[d->depth];
	bool functions = level->expect == EXPECT_TABLE;

	if (is_modifier(&d->token))
		return;
	if (is_no_table(&d->token)) {
		level->expect = EXPECT_NOTHING;
		if (verb_is(d, "EXPLAIN") || verb_is(d, "DESC") ||
		    verb_is(d, "DESCRIBE"))
			expect(d, sql_token_is(&d->token, "UPDATE") ?
			       EXPECT_NAMED : EXPECT_NOTHING, false);
		return;
	}
	level->expect = EXPECT_NOTHING;
	take_table(d, functions);
}

static void open_parenthesis(struct describe *d, const struct sql_token *before)
{
	struct level level = { .function = is_from_function(before) };
	struct level *outer;

	if (d->depth >= DEPTH_MAX) {
		d->depth++;
		return;
	}
	outer = &d->levels[d->depth];
	if (outer->expect == EXPECT_TABLE) {
		level.expect = EXPECT_TABLE;
		level.list = true;
	}
	outer->expect = EXPECT_NOTHING;
	if (++d->depth < DEPTH_MAX)
		d->levels[d->depth] = level;
}

static void end_statement(struct describe *d)
{
	d->verb[0] = '\0';
	d->with = d->named_ctes = false;
	d->depth = 0;
	memset(&d->levels[0], 0, sizeof(d->levels[0]));
}

static void on_punctuation(struct describe *d, const struct sql_token *before)
{
	struct level *level;

	if (is_punctuation(&d->token, '(')) {
		open_parenthesis(d, before);
		return;
	}
	if (is_punctuation(&d->token, ')')) {
		d->depth -= d->depth > 0;
		return;
	}
	if (is_punctuation(&d->token, ';')) {
		end_statement(d);
		return;
	}
	if (d->depth >= DEPTH_MAX)
		return;
	level = &d->levels[d->depth];
	if (is_punctuation(&d->token, ',')) {
		if (level->list)
			level->expect = EXPECT_TABLE;
		d->named_ctes = d->with && !d->depth;
	} else if (!is_punctuation(&d->token, '*')) {
		level->expect = EXPECT_NOTHING;
	}
}

/* A word or a quoted name. */
static void on_name(struct describe *d, const struct sql_token *before)
{
	/* @from, t.from: no keywords. */
	if (is_punctuation(before, '@') || is_punctuation(before, '.'))
		return;
	if (!d->verb[0]) {
		if (d->token.kind == SQL_WORD)
			begin_statement(d);
		return;
	}
	if (d->named_ctes && !d->depth) {
		if (sql_token_is(&d->token, "RECURSIVE"))
			return;
		d->named_ctes = false;
		take_cte(d);
		return;
	}
	if (d->alias_next)
		take_alias(d);
	if (d->levels[d->depth].expect != EXPECT_NOTHING)
		on_expected(d);
	else if (d->token.kind == SQL_WORD)
		on_word(d);
}

void sql_describe(struct sql_description *description, const char *text,
		  size_t length, unsigned flags)
{
	struct describe d = { .out = description };
	struct sql_token before = { .kind = SQL_END };

	description->operation[0] = '\0';
	description->table_count = 0;
	description->names_used = 0;
	description->database = (struct span){ NULL, 0 };
	d.lexer = sql_lexer_of(text, length, flags);
	advance(&d);
	for (advance(&d); d.token.kind != SQL_END; advance(&d)) {
		if (d.token.kind == SQL_PUNCTUATION) {
			d.alias_next = false;
			on_punctuation(&d, &before);
		} else if (d.depth < DEPTH_MAX && is_name(&d.token)) {
			on_name(&d, &before);
		} else if (d.depth < DEPTH_MAX && d.token.kind == SQL_STRING) {
			d.levels[d.depth].expect = EXPECT_NOTHING;
		}
		before = d.token;
	}
}
