/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgsql_describe.c - a statement's text: its verb, its tables, what of it may
 * be shown.
 *
 * PostgreSQL's own scanner (libpg-query) finds literals and comments.  Where it
 * gives up, at a literal that the text's end cuts, what precedes is scanned
 * again and the rest is masked as a whole.  Its parser finds tables; it is
 * asked once for each shape of a statement (the text with its literals masked),
 * and not for one of many tokens: its trees are nested as deeply as a text is
 * long, and cost the square of that.  Where it is not asked, or does not
 * understand, parsers/sql.h reads the masked text.
 * All are remembered by their text, the latest used, for all connections.
 * Source: PostgreSQL documentation, "SQL Syntax: Lexical Structure";
 * https://github.com/pganalyze/libpg_query
 */
#include "parsers/pgsql.h"
#include "parsers/sql.h"
#include "parsers/text_cache.h"

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdlib.h>
#include <strings.h>

#define TOKENS_PARSED_MAX 1500 /* of a statement given to the parser; 3 ms */
#define DEPTH_MAX	  512  /* of its tree looked at */
#define NAMES_BYTES	  4096 /* of targets of a statement */
#define CTES_MAX	  16   /* names of common table expressions */
#define TEXTS_MAX	  512  /* statements remembered */
#define TEXTS_BYTES_MAX	  (4u << 20) /* of them */

/* A text, and what is known of it; of a shape only the tables. */
struct entry {
	struct text_entry known;
	struct buffer text, shown, masked, names;
	struct text_piece targets[EXCHANGE_TARGETS_MAX];
	struct pgsql_description description;
};

enum entry_flag {
	ENTRY_CONFORMING = 1, /* see pgsql_description() */
	ENTRY_CUT = 2,
	ENTRY_SHAPE = 4 /* the text is a masked one */
};

static size_t entry_bytes(const struct entry *entry)
{
	return sizeof(*entry) + entry->text.room + entry->shown.room +
	       entry->masked.room + entry->names.room;
}

static void free_entry(struct text_entry *known)
{
	struct entry *entry = (struct entry *)known;

	buffer_free(&entry->text);
	buffer_free(&entry->shown);
	buffer_free(&entry->masked);
	buffer_free(&entry->names);
	free(entry);
}

static struct text_cache cache = {
	.count_max = TEXTS_MAX,
	.bytes_max = TEXTS_BYTES_MAX,
	.free = free_entry,
};

void pgsql_describe_open(void)
{
	text_cache_open(&cache);
}

void pgsql_describe_close(void)
{
	text_cache_close(&cache);
}

static struct entry *find_entry(struct span text, unsigned flags)
{
	return (struct entry *)text_cache_find(&cache, text, flags);
}

/* An entry for the text, in no list yet; NULL: out of memory. */
static struct entry *new_entry(struct span text, unsigned flags)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	/* The scanner and the parser want a NUL at the end. */
	if (buffer_append(&entry->text, text.bytes, text.length) &&
	    buffer_append(&entry->text, "", 1)) {
		entry->text.length--;
		entry->known.text = buffer_span(&entry->text);
		entry->known.flags = flags;
		return entry;
	}
	buffer_free(&entry->text);
	free(entry);
	return NULL;
}

static void keep_entry(struct entry *entry)
{
	text_cache_keep(&cache, &entry->known, entry_bytes(entry));
}

/* The tokens of a text, as far as they are sure. */
struct scan {
	PgQuery__ScanResult *result; /* NULL: none */
	size_t sure;		     /* bytes of the text that they cover */
	bool whole;		     /* the scanner understood all of it */
};

static PgQuery__ScanResult *scan_once(const char *text, size_t *error_at)
{
	PgQueryScanResult scanned = pg_query_scan(text);
	PgQuery__ScanResult *result = NULL;

	*error_at = 0;
	if (scanned.error && scanned.error->cursorpos > 0)
		*error_at = (size_t)scanned.error->cursorpos - 1;
	if (!scanned.error)
		result = pg_query__scan_result__unpack(
			NULL, scanned.pbuf.len, (uint8_t *)scanned.pbuf.data);
	pg_query_free_scan_result(scanned);
	return result;
}

/* A place told in characters of UTF-8, as bytes. */
static size_t byte_of(const char *text, size_t length, size_t character)
{
	size_t at = 0;

	while (at < length && character) {
		at++;
		while (at < length && ((uint8_t)text[at] & 0xc0) == 0x80)
			at++;
		character--;
	}
	return at;
}

/*
 * Scans the text, or what of it is before the literal that has no end.  A
 * prefix that scans without an error is right, wherever it was cut.
 */
static struct scan scan_text(struct buffer *text)
{
	struct scan scan = { .sure = text->length, .whole = true };
	size_t character;
	char kept;

	scan.result = scan_once((char *)text->bytes, &character);
	if (scan.result)
		return scan;
	scan.whole = false;
	scan.sure = byte_of((char *)text->bytes, text->length, character);
	kept = (char)text->bytes[scan.sure];
	text->bytes[scan.sure] = '\0';
	scan.result = scan_once((char *)text->bytes, &character);
	text->bytes[scan.sure] = (uint8_t)kept;
	if (!scan.result)
		scan.sure = 0;
	return scan;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * Token `index` of the text.  It reaches up to the white space before the next
 * one: of U&'...' the scanner tells no end.
 */
static struct span token_span(const struct buffer *text,
			      const struct scan *scan, size_t index)
{
	const PgQuery__ScanToken *const *tokens =
		(const PgQuery__ScanToken *const *)scan->result->tokens;
	size_t start = (size_t)tokens[index]->start, end = scan->sure;

	if (index + 1 < scan->result->n_tokens)
		end = (size_t)tokens[index + 1]->start;
	if (tokens[index]->start < 0 || end > scan->sure || end < start)
		return (struct span){ NULL, 0 };
	while (end > start && is_space(text->bytes[end - 1]))
		end--;
	return (struct span){ (char *)text->bytes + start, end - start };
}

static bool is_literal(const PgQuery__ScanToken *token)
{
	switch (token->token) {
	case PG_QUERY__TOKEN__SCONST:
	case PG_QUERY__TOKEN__USCONST:
	case PG_QUERY__TOKEN__BCONST:
	case PG_QUERY__TOKEN__XCONST:
	case PG_QUERY__TOKEN__ICONST:
	case PG_QUERY__TOKEN__FCONST:
		return true;
	default:
		return false;
	}
}

static bool is_comment(const PgQuery__ScanToken *token)
{
	return token->token == PG_QUERY__TOKEN__SQL_COMMENT ||
	       token->token == PG_QUERY__TOKEN__C_COMMENT;
}

static bool is_word(const PgQuery__ScanToken *token)
{
	return token->token == PG_QUERY__TOKEN__IDENT ||
	       token->keyword_kind != PG_QUERY__KEYWORD_KIND__NO_KEYWORD;
}

/*
 * With standard_conforming_strings off, '\'' goes on behind its second quote:
 * where that is not known to be on, such a literal ends what is sure.
 */
static bool is_ambiguous(struct span literal)
{
	return literal.length && *literal.bytes == '\'' &&
	       memchr(literal.bytes, '\\', literal.length);
}

/* Where passwords stand: behind a word that ends so, or CONNECTION. */
struct secret {
	bool expected;
	unsigned depth; /* of parentheses behind the word: IN ('a', 'b') */
};

static bool ends_in(struct span text, const char *tail)
{
	size_t size = strlen(tail);

	if (text.length && text.bytes[text.length - 1] == '"')
		text.length--;
	return text.length >= size &&
	       !strncasecmp(text.bytes + text.length - size, tail, size);
}

static bool contains(struct span text, const char *word)
{
	size_t size = strlen(word);

	for (size_t i = 0; i + size <= text.length; i++)
		if (!strncasecmp(text.bytes + i, word, size))
			return true;
	return false;
}

static void follow_word(struct secret *secret, struct span word)
{
	static const char *const passes[] = {
		"ENCRYPTED", "UNENCRYPTED", "IN", "IS", "NOT", "LIKE", "ILIKE",
		"DISTINCT", "FROM", "ANY", "TO", "DEFAULT", NULL
	};

	if (ends_in(word, "PASSWORD") || ends_in(word, "PASSWD") ||
	    ends_in(word, "CONNECTION")) {
		secret->expected = true;
		secret->depth = 0;
		return;
	}
	for (size_t i = 0; passes[i]; i++)
		if (span_is_nocase(word, passes[i]))
			return;
	secret->expected = secret->expected && secret->depth;
}

/* Follows the tokens; true for a literal that is, or holds, a password. */
static bool is_secret(struct secret *secret, const PgQuery__ScanToken *token,
		      struct span text)
{
	bool expected = secret->expected;

	if (is_literal(token))
		return expected || contains(text, "passw");
	if (is_word(token)) {
		follow_word(secret, text);
		return false;
	}
	switch (text.length == 1 ? *text.bytes : 0) {
	case '(':
		secret->depth += secret->expected;
		break;
	case ')':
		if (secret->depth)
			secret->depth--;
		secret->expected = secret->expected && secret->depth;
		break;
	case ',':
	case ';':
		secret->expected = secret->expected && secret->depth &&
				   *text.bytes == ',';
		break;
	default:
		break;
	}
	return is_comment(token) && contains(text, "passw");
}

static void put(struct buffer *out, const void *bytes, size_t length)
{
	buffer_append(out, bytes, length);
}

/* May a sign behind that token be a number's own? */
static bool takes_sign(const PgQuery__ScanToken *before, struct span text)
{
	if (!before)
		return false;
	if (before->keyword_kind == PG_QUERY__KEYWORD_KIND__RESERVED_KEYWORD)
		return true;
	if (is_word(before) || is_literal(before) ||
	    before->token == PG_QUERY__TOKEN__PARAM)
		return false;
	return text.length && !strchr(")]", *text.bytes);
}

/* What one reads of the tokens before. */
struct masking {
	const PgQuery__ScanToken *last, *before; /* comments left out */
	struct span last_text, before_text;
	size_t copied; /* up to there the text has been dealt with */
	struct secret secret;
};

/* Swallows the sign, already written, of the number that comes now. */
static void drop_sign(struct buffer *masked, const struct masking *m,
		      struct span text)
{
	if (m->last && m->last_text.length == 1 &&
	    strchr("+-", *m->last_text.bytes) && text.length &&
	    (*text.bytes == '.' || (*text.bytes >= '0' && *text.bytes <= '9'))
	    && takes_sign(m->before, m->before_text) && masked->length &&
	    masked->bytes[masked->length - 1] == (uint8_t)*m->last_text.bytes)
		masked->length--;
}

static void put_token(struct entry *entry, struct masking *m,
		      const PgQuery__ScanToken *token, struct span text)
{
	bool secret = is_secret(&m->secret, token, text);

	if (is_comment(token)) {
		put(&entry->masked, token->token ==
		    PG_QUERY__TOKEN__SQL_COMMENT ? "-- ?" : "/* ? */",
		    token->token == PG_QUERY__TOKEN__SQL_COMMENT ? 4 : 7);
		put(&entry->shown, secret ? "/* ? */" : text.bytes,
		    secret ? 7 : text.length);
		return;
	}
	if (is_literal(token)) {
		drop_sign(&entry->masked, m, text);
		put(&entry->masked, "?", 1);
	} else {
		put(&entry->masked, text.bytes, text.length);
	}
	put(&entry->shown, secret ? "'?'" : text.bytes,
	    secret ? 3 : text.length);
	m->before = m->last;
	m->before_text = m->last_text;
	m->last = token;
	m->last_text = text;
}

/* What is not known to be whole tokens is masked, all of it. */
static void put_rest(struct entry *entry, const struct masking *m)
{
	struct span rest = { (char *)entry->text.bytes + m->copied,
			     entry->text.length - m->copied };

	while (rest.length && is_space((uint8_t)*rest.bytes)) {
		put(&entry->masked, rest.bytes, 1);
		put(&entry->shown, rest.bytes++, 1);
		rest.length--;
	}
	if (!rest.length)
		return;
	put(&entry->masked, "?", 1);
	if (m->secret.expected || contains(rest, "passw"))
		put(&entry->shown, "'?'", 3);
	else
		put(&entry->shown, rest.bytes, rest.length);
}

/* The two texts; false: not all of the tokens can be relied upon. */
static bool mask_text(struct entry *entry, const struct scan *scan)
{
	struct masking m = { .last = NULL };
	bool sure = scan->whole;

	for (size_t i = 0; scan->result && i < scan->result->n_tokens; i++) {
		const PgQuery__ScanToken *token = scan->result->tokens[i];
		struct span text = token_span(&entry->text, scan, i);
		size_t start = (size_t)token->start;

		if (!text.bytes || start < m.copied ||
		    (!(entry->known.flags & ENTRY_CONFORMING) &&
		     token->token == PG_QUERY__TOKEN__SCONST &&
		     is_ambiguous(text))) {
			sure = false;
			break;
		}
		put(&entry->masked, entry->text.bytes + m.copied,
		    start - m.copied);
		put(&entry->shown, entry->text.bytes + m.copied,
		    start - m.copied);
		put_token(entry, &m, token, text);
		m.copied = start + text.length;
	}
	if (sure && m.copied < entry->text.length) {
		put(&entry->masked, entry->text.bytes + m.copied,
		    entry->text.length - m.copied);
		put(&entry->shown, entry->text.bytes + m.copied,
		    entry->text.length - m.copied);
		m.copied = entry->text.length;
	}
	put_rest(entry, &m);
	return sure;
}

static void copy_verb(char *to, size_t size, struct span word)
{
	size_t i;

	for (i = 0; i < word.length && i + 1 < size; i++)
		to[i] = word.bytes[i] >= 'a' && word.bytes[i] <= 'z' ?
			(char)(word.bytes[i] - 32) : word.bytes[i];
	to[i] = '\0';
}

/* Is it what follows the common table expressions of a WITH? */
static bool is_main_verb(struct span word)
{
	return span_is_nocase(word, "SELECT") ||
	       span_is_nocase(word, "INSERT") ||
	       span_is_nocase(word, "UPDATE") ||
	       span_is_nocase(word, "DELETE") ||
	       span_is_nocase(word, "MERGE") ||
	       span_is_nocase(word, "VALUES") || span_is_nocase(word, "TABLE");
}

/* The verb, of WITH the main one's; how many statements; RETURNING. */
static void read_words(struct entry *entry, const struct scan *scan)
{
	struct pgsql_description *d = &entry->description;
	bool with = false, began = false;
	int depth = 0;

	for (size_t i = 0; scan->result && i < scan->result->n_tokens; i++) {
		const PgQuery__ScanToken *token = scan->result->tokens[i];
		struct span text = token_span(&entry->text, scan, i);

		if (!text.bytes || is_comment(token))
			continue;
		depth += text.length == 1 && *text.bytes == '(';
		depth -= text.length == 1 && *text.bytes == ')';
		if (token->token == PG_QUERY__TOKEN__ASCII_59) {
			began = false;
			continue;
		}
		d->statements += !began;
		began = true;
		if (!is_word(token) || d->statements > 1)
			continue;
		if (!d->operation[0])
			with = span_is_nocase(text, "WITH");
		if (!d->operation[0] ||
		    (with && !depth && is_main_verb(text))) {
			with &= !is_main_verb(text);
			copy_verb(d->operation, sizeof(d->operation), text);
		}
	}
}

/* Where tables of a tree go. */
struct walk {
	struct entry *entry;
	const char *ctes[CTES_MAX]; /* borrow the tree */
	size_t cte_count;
	bool tables; /* the second time: names of CTEs are known */
	unsigned depth;
};

static void add_name(struct entry *entry, const char *schema,
		     const char *table)
{
	struct pgsql_description *d = &entry->description;
	size_t at = entry->names.length, length;
	size_t schema_length = schema ? strlen(schema) : 0;

	length = strlen(table) + schema_length + (schema_length > 0);
	if (d->target_count == EXCHANGE_TARGETS_MAX ||
	    length > NAMES_BYTES - at || !strlen(table))
		return;
	if (schema_length) {
		put(&entry->names, schema, schema_length);
		put(&entry->names, ".", 1);
	}
	put(&entry->names, table, strlen(table));
	if (entry->names.length != at + length)
		return;
	for (size_t i = 0; i < d->target_count; i++) {
		if (entry->targets[i].length == length &&
		    !memcmp(entry->names.bytes + entry->targets[i].at,
			    entry->names.bytes + at, length)) {
			entry->names.length = at;
			return;
		}
	}
	entry->targets[d->target_count++] =
		(struct text_piece){ (uint32_t)at, (uint32_t)length };
}

static void add_cte(struct walk *walk, const PgQuery__CommonTableExpr *cte)
{
	if (walk->cte_count < CTES_MAX)
		walk->ctes[walk->cte_count++] = cte->ctename;
}

static void add_range(struct walk *walk, const PgQuery__RangeVar *range)
{
	bool qualified = range->schemaname && *range->schemaname;

	for (size_t i = 0; i < walk->cte_count && !qualified; i++)
		if (!strcmp(walk->ctes[i], range->relname))
			return;
	add_name(walk->entry, range->schemaname, range->relname);
}

/* DROP TABLE and the like: lists of the parts of names. */
static void add_dropped(struct walk *walk, const PgQuery__DropStmt *drop)
{
	if (drop->remove_type != PG_QUERY__OBJECT_TYPE__OBJECT_TABLE &&
	    drop->remove_type != PG_QUERY__OBJECT_TYPE__OBJECT_VIEW &&
	    drop->remove_type != PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW &&
	    drop->remove_type != PG_QUERY__OBJECT_TYPE__OBJECT_FOREIGN_TABLE)
		return;
	for (size_t i = 0; i < drop->n_objects; i++) {
		const PgQuery__Node *node = drop->objects[i];
		const char *parts[2] = { NULL, NULL };

		if (node->node_case != PG_QUERY__NODE__NODE_LIST)
			continue;
		for (size_t k = 0; k < node->list->n_items; k++) {
			const PgQuery__Node *item = node->list->items[k];

			if (item->node_case != PG_QUERY__NODE__NODE_STRING)
				continue;
			parts[0] = parts[1];
			parts[1] = item->string->sval;
		}
		if (parts[1])
			add_name(walk->entry, parts[0], parts[1]);
	}
}

static void walk_message(struct walk *walk, const ProtobufCMessage *message);

/* Messages in one field of a message, whatever their number. */
static void walk_field(struct walk *walk, const ProtobufCMessage *message,
		       const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *)message;
	const void *member = base + field->offset;
	uint32_t chosen;
	size_t count;

	if (field->type != PROTOBUF_C_TYPE_MESSAGE)
		return;
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		memcpy(&count, base + field->quantifier_offset, sizeof(count));
		for (size_t i = 0; i < count; i++)
			walk_message(walk, (*(ProtobufCMessage *const *const *)
						    member)[i]);
		return;
	}
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		memcpy(&chosen, base + field->quantifier_offset,
		       sizeof(chosen));
		if (chosen != field->id)
			return;
	}
	walk_message(walk, *(ProtobufCMessage *const *)member);
}

/* Recurses as deep as the tree, DEPTH_MAX at most. */
static void walk_message(struct walk *walk, const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *descriptor;

	if (!message || walk->depth == DEPTH_MAX)
		return;
	descriptor = message->descriptor;
	if (!walk->tables &&
	    descriptor == &pg_query__common_table_expr__descriptor)
		add_cte(walk, (const PgQuery__CommonTableExpr *)message);
	if (walk->tables && descriptor == &pg_query__range_var__descriptor)
		add_range(walk, (const PgQuery__RangeVar *)message);
	if (walk->tables && descriptor == &pg_query__drop_stmt__descriptor)
		add_dropped(walk, (const PgQuery__DropStmt *)message);
	walk->depth++;
	for (unsigned i = 0; i < descriptor->n_fields; i++)
		walk_field(walk, message, &descriptor->fields[i]);
	walk->depth--;
}

/* The parser's word; false: it does not understand the text. */
static bool parse_targets(struct entry *entry)
{
	PgQueryProtobufParseResult parsed =
		pg_query_parse_protobuf((char *)entry->text.bytes);
	PgQuery__ParseResult *tree = NULL;
	struct walk walk = { .entry = entry };

	if (!parsed.error)
		tree = pg_query__parse_result__unpack(
			NULL, parsed.parse_tree.len,
			(uint8_t *)parsed.parse_tree.data);
	pg_query_free_protobuf_parse_result(parsed);
	if (!tree)
		return false;
	walk_message(&walk, &tree->base);
	walk.tables = true;
	walk_message(&walk, &tree->base);
	pg_query__parse_result__free_unpacked(tree, NULL);
	return true;
}

/* By sql.h: it reads MySQL's dialect, where names in "..." are in `...`. */
static void guess_targets(struct entry *entry)
{
	static struct sql_description guess;
	char *text = malloc(entry->masked.length + 1);

	if (!text)
		return;
	for (size_t i = 0; i < entry->masked.length; i++)
		text[i] = entry->masked.bytes[i] == '"' ? '`' :
			  (char)entry->masked.bytes[i];
	sql_describe(&guess, text, entry->masked.length, 0);
	for (size_t i = 0; i < guess.table_count; i++) {
		struct span table = guess.tables[i];
		char name[SQL_NAMES_BYTES];

		if (table.length >= sizeof(name) ||
		    memchr(table.bytes, '?', table.length))
			continue;
		memcpy(name, table.bytes, table.length);
		name[table.length] = '\0';
		add_name(entry, NULL, name);
	}
	if (!entry->description.operation[0])
		copy_verb(entry->description.operation,
			  sizeof(entry->description.operation),
			  span_string(guess.operation));
	free(text);
}

static void copy_targets(struct entry *to, const struct entry *from)
{
	put(&to->names, from->names.bytes, from->names.length);
	if (to->names.length != from->names.length)
		return;
	memcpy(to->targets, from->targets, sizeof(to->targets));
	to->description.target_count = from->description.target_count;
}

/* What is found of one statement holds for all of its shape. */
static void find_targets(struct entry *entry, bool parse)
{
	struct span shape_text = buffer_span(&entry->masked);
	struct entry *shape = find_entry(shape_text, ENTRY_SHAPE);

	if (!shape_text.length)
		return;
	if (shape) {
		copy_targets(entry, shape);
		return;
	}
	if (!parse || !parse_targets(entry))
		guess_targets(entry);
	shape = new_entry(shape_text, ENTRY_SHAPE);
	if (!shape)
		return;
	copy_targets(shape, entry);
	keep_entry(shape);
}

static void describe(struct entry *entry)
{
	struct pgsql_description *d = &entry->description;
	struct scan scan = scan_text(&entry->text);
	bool sure = mask_text(entry, &scan);
	size_t tokens = scan.result ? scan.result->n_tokens : 0;

	read_words(entry, &scan);
	if (scan.result)
		pg_query__scan_result__free_unpacked(scan.result, NULL);
	find_targets(entry, sure && !(entry->known.flags & ENTRY_CUT) &&
				    tokens <= TOKENS_PARSED_MAX);
	d->shown = buffer_span(&entry->shown);
	d->masked = buffer_span(&entry->masked);
	for (size_t i = 0; i < d->target_count; i++)
		d->targets[i] = (struct span){
			(char *)entry->names.bytes + entry->targets[i].at,
			entry->targets[i].length };
}

const struct pgsql_description *pgsql_description(struct span text,
						  bool conforming, bool cut)
{
	unsigned flags = (conforming ? ENTRY_CONFORMING : 0) |
			 (cut ? ENTRY_CUT : 0);
	struct entry *entry = find_entry(text, flags);

	if (entry)
		return &entry->description;
	entry = new_entry(text, flags);
	if (!entry)
		return NULL;
	describe(entry);
	keep_entry(entry);
	return &entry->description;
}
