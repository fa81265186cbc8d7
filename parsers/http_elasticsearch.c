/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_elasticsearch.c - Elasticsearch and OpenSearch: which operation on which
 * indices, how many documents came back.
 *
 * A path of their shape makes it possible; a header that names the product, or
 * a JSON answer of their shape, proves it.  Of a query the JSON is told with
 * all values as `?`; of bodies that are documents, counts only.
 * Sources: https://www.elastic.co/docs/api/doc/elasticsearch/ and
 * https://docs.opensearch.org/latest/api-reference/; names of operations:
 * OpenTelemetry's semantic conventions for Elasticsearch.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

#include "parsers/buffer.h"
#include "parsers/http.h"
#include "parsers/json_reader.h"

#define PATH_BYTES_MAX	 1024 /* of a path; longer ones are not theirs */
#define SEGMENTS_MAX	 8    /* of a path; what is behind says nothing here */
#define NAMES_BYTES_MAX	 2048 /* of indices named in bodies */
#define ERROR_BYTES_MAX	 512  /* of an error's type, and of its reason */
#define OPERATION_BYTES	 80   /* its NUL included */

enum product { PRODUCT_UNKNOWN, ELASTICSEARCH, OPENSEARCH };

/* What of an answer is only found there. */
#define SHAPE_TOOK   0x01
#define SHAPE_RESULT 0x02 /* hits, items, responses */
#define SHAPE_SURE   0x04 /* _shards, root_cause, _index with _id ... */

struct elasticsearch {
	enum product product; /* as somebody named it */
	unsigned shape;
	bool endpoint; /* the path has one of theirs */
	bool plugins;  /* of OpenSearch's */
	char path[PATH_BYTES_MAX + 1];
	char operation[OPERATION_BYTES];
	struct span indices; /* of the path: "a,b"; length 0: none */
	struct span names[EXCHANGE_TARGETS_MAX]; /* in name_text, by offset */
	size_t name_at[EXCHANGE_TARGETS_MAX], name_count;
	struct buffer name_text;
	bool bulk;
	bool source_next, in_source; /* of a bulk: lines that are documents */
	bool asks; /* the request's body is a query */
	struct buffer query;
	bool query_cut;
	struct buffer masked;
	struct json_reader *readers[SIDES];
	bool lost[SIDES];
	/* of the answer; -1: not told */
	int64_t took_ms, hits, total, items, item_errors, docs, found, count;
	int64_t changed;
	struct buffer error, reason;
};

/* An endpoint, and what an operation on it is called. */
static const struct {
	const char *segment, *operation;
	bool asks; /* with a body that is a query */
	bool next; /* named with the segment behind it */
} endpoints[] = {
	{ "_search", "search", true, false },
	{ "_async_search", "async_search.submit", true, false },
	{ "_msearch", "msearch", true, false },
	{ "_count", "count", true, false },
	{ "_explain", "explain", true, false },
	{ "_validate", "indices.validate_query", true, false },
	{ "_knn_search", "knn_search", true, false },
	{ "_eql", "eql.search", true, false },
	{ "_sql", "sql.query", true, false },
	{ "_query", "esql.query", true, false },
	{ "_delete_by_query", "delete_by_query", true, false },
	{ "_update_by_query", "update_by_query", true, false },
	{ "_reindex", "reindex", true, false },
	{ "_bulk", "bulk", false, false },
	{ "_mget", "mget", true, false },
	{ "_create", "create", false, false },
	{ "_update", "update", false, false },
	{ "_source", "get_source", false, false },
	{ "_termvectors", "termvectors", false, false },
	{ "_pit", "open_point_in_time", false, false },
	{ "_mapping", "indices.mapping", false, false },
	{ "_mappings", "indices.mapping", false, false },
	{ "_settings", "indices.settings", false, false },
	{ "_alias", "indices.alias", false, false },
	{ "_aliases", "indices.update_aliases", false, false },
	{ "_refresh", "indices.refresh", false, false },
	{ "_flush", "indices.flush", false, false },
	{ "_forcemerge", "indices.forcemerge", false, false },
	{ "_stats", "indices.stats", false, false },
	{ "_open", "indices.open", false, false },
	{ "_close", "indices.close", false, false },
	{ "_rollover", "indices.rollover", false, false },
	{ "_template", "indices.template", false, false },
	{ "_index_template", "indices.index_template", false, false },
	{ "_data_stream", "indices.data_stream", false, false },
	{ "_cat", "cat", false, true },
	{ "_cluster", "cluster", false, true },
	{ "_nodes", "nodes", false, true },
	{ "_snapshot", "snapshot", false, true },
	{ "_ingest", "ingest", false, true },
	{ "_tasks", "tasks", false, true },
	{ "_security", "security", false, true },
	{ "_plugins", "plugins", false, true },
};

#define ENDPOINT_COUNT (sizeof(endpoints) / sizeof(*endpoints))

static bool begins_with(struct span text, const char *prefix)
{
	size_t length = strlen(prefix);

	return text.length >= length &&
	       !strncasecmp(text.bytes, prefix, length);
}

static bool contains(struct span text, const char *word)
{
	return text.length &&
	       memmem(text.bytes, text.length, word, strlen(word));
}

/* Who do the headers say it is? */
static enum product product_of(const struct http_head *head)
{
	struct span agent = http_header(head, "user-agent");

	if (begins_with(agent, "opensearch"))
		return OPENSEARCH;
	if (http_header(head, "x-elastic-product").bytes ||
	    http_header(head, "x-elastic-client-meta").bytes ||
	    begins_with(agent, "elasticsearch") ||
	    begins_with(agent, "elastic-transport") ||
	    contains(http_header(head, "content-type"),
		     "vnd.elasticsearch+") ||
	    contains(http_header(head, "accept"), "vnd.elasticsearch+"))
		return ELASTICSEARCH;
	return PRODUCT_UNKNOWN;
}

/* The path in segments, in place: each ends with a NUL. */
static unsigned split_path(char *path, char **segments)
{
	unsigned count = 0;
	char *save = NULL, *segment;

	for (segment = strtok_r(path, "/", &save);
	     segment && count < SEGMENTS_MAX;
	     segment = strtok_r(NULL, "/", &save))
		segments[count++] = segment;
	return count;
}

/* An operation on a document: GET /index/_doc/id. */
static const char *document_operation(struct span method)
{
	if (span_is(method, "GET"))
		return "get";
	if (span_is(method, "HEAD"))
		return "exists";
	return span_is(method, "DELETE") ? "delete" : "index";
}

/* An operation on an index itself: PUT /index. */
static const char *index_operation(struct span method)
{
	if (span_is(method, "PUT"))
		return "indices.create";
	if (span_is(method, "DELETE"))
		return "indices.delete";
	return span_is(method, "HEAD") ? "indices.exists" : "indices.get";
}

static void set_operation(struct elasticsearch *es, const char *operation,
			  const char *next)
{
	if (next)
		snprintf(es->operation, sizeof(es->operation), "%s.%s",
			 operation, next + (*next == '_'));
	else
		snprintf(es->operation, sizeof(es->operation), "%s",
			 operation);
}

static void read_endpoint(struct elasticsearch *es, struct span method,
			  const char *segment, const char *next)
{
	size_t i = 0;

	if (!strcmp(segment, "_doc")) {
		es->endpoint = true;
		set_operation(es, document_operation(method), NULL);
		return;
	}
	while (i < ENDPOINT_COUNT && strcmp(endpoints[i].segment, segment))
		i++;
	if (i == ENDPOINT_COUNT)
		return;
	es->endpoint = true;
	es->asks = endpoints[i].asks ||
		   (next && (!strcmp(next, "_sql") || !strcmp(next, "_ppl")));
	es->bulk = !strcmp(segment, "_bulk");
	if (!strcmp(segment, "_search") && next && !strcmp(next, "scroll"))
		set_operation(es, "scroll", NULL);
	else if (!strcmp(segment, "_search") && next)
		set_operation(es, "search", next);
	else
		set_operation(es, endpoints[i].operation,
			      endpoints[i].next ? next : NULL);
}

/* What the path says; what it does not say stays empty. */
static void read_path(struct elasticsearch *es, struct span method)
{
	char *segments[SEGMENTS_MAX];
	unsigned count = split_path(es->path, segments), i = 0;

	if (!count) {
		set_operation(es, "info", NULL);
		return;
	}
	if (*segments[0] != '_' || !strcmp(segments[0], "_all"))
		es->indices = span_string(segments[i++]);
	/* A type stood behind the index up to version 6. */
	if (i < count && *segments[i] != '_')
		i++;
	if (i < count)
		read_endpoint(es, method, segments[i],
			      i + 1 < count ? segments[i + 1] : NULL);
	else if (es->indices.length && count == 1)
		set_operation(es, index_operation(method), NULL);
	es->plugins = i < count && !strcmp(segments[i], "_plugins");
}

/* Copies a path up to its query, commas decoded; false: not theirs. */
static bool keep_path(char *path, struct span target)
{
	size_t n = 0;

	if (!target.length || *target.bytes != '/')
		return false;
	for (size_t i = 0; i < target.length && target.bytes[i] != '?'; i++) {
		bool comma = target.length - i >= 3 &&
			     !strncasecmp(target.bytes + i, "%2c", 3);

		if (n == PATH_BYTES_MAX || !target.bytes[i])
			return false;
		path[n++] = comma ? ',' : target.bytes[i];
		i += comma ? 2 : 0;
	}
	path[n] = '\0';
	return true;
}

static enum http_match elasticsearch_match(const struct http_head *request)
{
	struct elasticsearch es = { .endpoint = false };

	if (product_of(request) != PRODUCT_UNKNOWN)
		return HTTP_YES;
	if (!keep_path(es.path, request->target))
		return HTTP_NO;
	read_path(&es, request->method);
	return es.endpoint || *es.operation ? HTTP_MAYBE : HTTP_NO;
}

static void add_name(struct elasticsearch *es, struct span name)
{
	const char *text = (const char *)es->name_text.bytes;
	size_t at = es->name_text.length;

	if (!name.length || es->name_count == EXCHANGE_TARGETS_MAX)
		return;
	for (size_t i = 0; i < es->name_count; i++)
		if (es->names[i].length == name.length &&
		    !memcmp(text + es->name_at[i], name.bytes, name.length))
			return;
	if (name.length > NAMES_BYTES_MAX - at ||
	    !buffer_append(&es->name_text, name.bytes, name.length))
		return;
	es->name_at[es->name_count] = at;
	es->names[es->name_count++].length = name.length;
}

/* Of "a,b,c" each. */
static void add_list(struct elasticsearch *es, struct span list)
{
	while (list.length) {
		const char *comma = memchr(list.bytes, ',', list.length);
		size_t length = comma ? (size_t)(comma - list.bytes) :
					list.length;

		add_name(es, (struct span){ list.bytes, length });
		length += comma != NULL;
		list.bytes += length;
		list.length -= length;
	}
}

/* Of a bulk: a line with an action, then, but for a delete, its document. */
static void take_bulk(struct elasticsearch *es, const struct json_event *event)
{
	const char *path = event->path;

	if (!*path && event->kind == JSON_OBJECT) {
		es->in_source = es->source_next;
		es->source_next = false;
	} else if (!es->in_source && event->kind == JSON_OBJECT &&
		   (!strcmp(path, "index") || !strcmp(path, "create") ||
		    !strcmp(path, "update") || !strcmp(path, "delete"))) {
		es->items++;
		es->source_next = *path != 'd';
	} else if (!es->in_source && event->kind == JSON_STRING &&
		   strlen(path) > 7 &&
		   !strcmp(path + strlen(path) - 7, "._index")) {
		add_name(es, event->text);
	}
}

static void take_request_event(void *context, struct json_reader *reader,
			       const struct json_event *event)
{
	struct elasticsearch *es = context;

	(void)reader;
	if (es->bulk)
		take_bulk(es, event);
	else if (event->kind == JSON_STRING &&
		 (!strcmp(event->path, "docs[]._index") ||
		  !strcmp(event->path, "source.index") ||
		  !strcmp(event->path, "dest.index") ||
		  (!strcmp(es->operation, "msearch") &&
		   (!strcmp(event->path, "index") ||
		    !strcmp(event->path, "index[]")))))
		add_name(es, event->text);
}

static void keep_text(struct buffer *buffer, const struct json_event *event)
{
	if (!buffer->length)
		buffer_gather(buffer, event->text.bytes, event->text.length,
			      ERROR_BYTES_MAX);
}

static void take_number(struct elasticsearch *es, const char *path,
			int64_t number)
{
	if (!strcmp(path, "took")) {
		es->took_ms = number;
		es->shape |= SHAPE_TOOK;
	} else if (!strcmp(path, "hits.total") ||
		   !strcmp(path, "hits.total.value")) {
		es->total = number;
	} else if (!strcmp(path, "count")) {
		es->count = number;
	} else if (!strcmp(path, "deleted") || !strcmp(path, "updated") ||
		   !strcmp(path, "created")) {
		es->changed = (es->changed < 0 ? 0 : es->changed) + number;
	}
}

static void take_string(struct elasticsearch *es,
			const struct json_event *event)
{
	const char *path = event->path;

	if (!strcmp(path, "hits.hits[]._index") ||
	    !strcmp(path, "responses[].hits.hits[]._index")) {
		add_name(es, event->text);
	} else if (!strcmp(path, "_index") || !strcmp(path, "tagline") ||
		   !strcmp(path, "cluster_name")) {
		es->shape |= SHAPE_SURE;
	} else if (!strcmp(path, "result")) {
		es->changed = !span_is(event->text, "noop") &&
			      !span_is(event->text, "not_found");
	} else if (!strcmp(path, "error.type")) {
		keep_text(&es->error, event);
	} else if (!strcmp(path, "error.reason") || !strcmp(path, "error")) {
		keep_text(&es->reason, event);
	} else if (!strcmp(path, "version.distribution") &&
		   span_is(event->text, "opensearch")) {
		es->product = OPENSEARCH;
	}
}

/* "items[].index.error", whatever the action. */
static bool is_item_error(const char *path)
{
	size_t length = strlen(path);

	return length > 14 && !strncmp(path, "items[].", 8) &&
	       !strcmp(path + length - 6, ".error") &&
	       !memchr(path + 8, '.', length - 14);
}

static void take_container(struct elasticsearch *es, const char *path)
{
	if (!strcmp(path, "_shards") || !strcmp(path, "error.root_cause[]"))
		es->shape |= SHAPE_SURE;
	else if (!strcmp(path, "hits") || !strcmp(path, "items") ||
		 !strcmp(path, "responses"))
		es->shape |= SHAPE_RESULT;
	else if (!strcmp(path, "docs[]"))
		es->docs = es->docs < 0 ? 1 : es->docs + 1;
	else if (is_item_error(path))
		es->item_errors++;
	/* What comes back: documents, rows of an SQL query. */
	if (!strcmp(path, "hits.hits") || !strcmp(path, "rows") ||
	    !strcmp(path, "datarows") || !strcmp(path, "values") ||
	    !strcmp(path, "responses[].hits.hits"))
		es->hits = es->hits < 0 ? 0 : es->hits;
	else if (!strcmp(path, "hits.hits[]") || !strcmp(path, "rows[]") ||
		 !strcmp(path, "datarows[]") || !strcmp(path, "values[]") ||
		 !strcmp(path, "responses[].hits.hits[]"))
		es->hits++;
}

static void take_answer_event(void *context, struct json_reader *reader,
			      const struct json_event *event)
{
	struct elasticsearch *es = context;

	(void)reader;
	switch (event->kind) {
	case JSON_OBJECT:
	case JSON_ARRAY:
		take_container(es, event->path);
		break;
	case JSON_NUMBER:
		take_number(es, event->path, event->number);
		break;
	case JSON_STRING:
		take_string(es, event);
		break;
	case JSON_BOOL:
		if (!strcmp(event->path, "found"))
			es->found = event->number;
		if (!strcmp(event->path, "shards_acknowledged"))
			es->shape |= SHAPE_SURE;
		break;
	case JSON_END:
	case JSON_NULL:
		break;
	}
}

static void elasticsearch_close(void *state)
{
	struct elasticsearch *es = state;

	for (int side = 0; side < SIDES; side++)
		json_reader_free(es->readers[side]);
	buffer_free(&es->name_text);
	buffer_free(&es->query);
	buffer_free(&es->masked);
	buffer_free(&es->error);
	buffer_free(&es->reason);
	free(es);
}

static void *elasticsearch_open(const struct http_head *request,
				const struct observer *observer)
{
	struct elasticsearch *es = calloc(1, sizeof(*es));

	(void)observer;
	if (!es)
		return NULL;
	es->took_ms = es->hits = es->total = es->docs = es->found = es->count =
		es->changed = -1;
	es->product = product_of(request);
	if (keep_path(es->path, request->target))
		read_path(es, request->method);
	add_list(es, es->indices);
	/* Elsewhere bodies are nobody's business before the answer. */
	if (es->endpoint || es->product)
		es->readers[SIDE_CLIENT] =
			json_reader_new(take_request_event, es);
	return es;
}

static void elasticsearch_response(void *state, const struct http_head *head)
{
	struct elasticsearch *es = state;

	if (!es->product)
		es->product = product_of(head);
	if (!es->readers[SIDE_SERVER] && (es->endpoint || es->product))
		es->readers[SIDE_SERVER] =
			json_reader_new(take_answer_event, es);
}

static void elasticsearch_body(void *state, enum side side,
			       const uint8_t *bytes, size_t length)
{
	struct elasticsearch *es = state;

	if (side == SIDE_CLIENT && es->asks &&
	    !buffer_gather(&es->query, bytes, length, STATEMENT_BYTES_MAX))
		es->query_cut = true;
	if (es->readers[side] && !es->lost[side])
		json_reader_feed(es->readers[side], bytes, length);
}

static void elasticsearch_gap(void *state, enum side side)
{
	struct elasticsearch *es = state;

	es->lost[side] = true;
	if (side == SIDE_CLIENT)
		es->query_cut = true;
}

/* A query being written down again, its values as `?`. */
struct mask {
	yajl_gen out;
	unsigned depth;
};

static int mask_value(void *context)
{
	struct mask *mask = context;

	return yajl_gen_number(mask->out, "?", 1) == yajl_gen_status_ok;
}

static int mask_bool(void *context, int truth)
{
	(void)truth;
	return mask_value(context);
}

static int mask_number(void *context, const char *text, size_t length)
{
	(void)text;
	(void)length;
	return mask_value(context);
}

static int mask_string(void *context, const unsigned char *text, size_t length)
{
	(void)text;
	(void)length;
	return mask_value(context);
}

static int mask_key(void *context, const unsigned char *key, size_t length)
{
	struct mask *mask = context;

	return yajl_gen_string(mask->out, key, length) == yajl_gen_status_ok;
}

static int mask_object(void *context)
{
	struct mask *mask = context;

	mask->depth++;
	return yajl_gen_map_open(mask->out) == yajl_gen_status_ok;
}

static int mask_array(void *context)
{
	struct mask *mask = context;

	mask->depth++;
	return yajl_gen_array_open(mask->out) == yajl_gen_status_ok;
}

/* Lines of JSON: behind one another may follow. */
static int mask_end(struct mask *mask, yajl_gen_status status)
{
	if (!--mask->depth)
		yajl_gen_reset(mask->out, "\n");
	return status == yajl_gen_status_ok;
}

static int mask_object_end(void *context)
{
	struct mask *mask = context;

	return mask_end(mask, yajl_gen_map_close(mask->out));
}

static int mask_array_end(void *context)
{
	struct mask *mask = context;

	return mask_end(mask, yajl_gen_array_close(mask->out));
}

static const yajl_callbacks mask_callbacks = {
	.yajl_null = mask_value,
	.yajl_boolean = mask_bool,
	.yajl_number = mask_number,
	.yajl_string = mask_string,
	.yajl_start_map = mask_object,
	.yajl_map_key = mask_key,
	.yajl_end_map = mask_object_end,
	.yajl_start_array = mask_array,
	.yajl_end_array = mask_array_end,
};

/* As far as the query is JSON; the rest is left out. */
static void mask_query(struct elasticsearch *es)
{
	struct mask mask = { .out = yajl_gen_alloc(NULL) };
	yajl_handle in = yajl_alloc(&mask_callbacks, NULL, &mask);
	const unsigned char *text;
	size_t length;

	if (mask.out && in) {
		yajl_config(in, yajl_allow_multiple_values, 1);
		yajl_config(in, yajl_dont_validate_strings, 1);
		yajl_parse(in, es->query.bytes, es->query.length);
		yajl_gen_get_buf(mask.out, &text, &length);
		while (length && text[length - 1] == '\n')
			length--;
		buffer_gather(&es->masked, text, length, STATEMENT_BYTES_MAX);
	}
	if (in)
		yajl_free(in);
	if (mask.out)
		yajl_gen_free(mask.out);
}

static void describe_query(struct elasticsearch *es, struct exchange *exchange)
{
	if (!es->query.length) {
		exchange->subject = exchange->masked;
		exchange->statement = exchange->masked =
			(struct span){ NULL, 0 };
		exchange->statement_cut = false;
		return;
	}
	mask_query(es);
	exchange->statement = buffer_span(&es->query);
	exchange->masked = buffer_span(&es->masked);
	exchange->statement_cut = es->query_cut;
}

static bool is_name(const struct elasticsearch *es, const uint8_t *text,
		    size_t length)
{
	for (size_t i = 0; i < es->name_count; i++)
		if (es->names[i].length == length &&
		    !memcmp(es->names[i].bytes, text, length))
			return true;
	return false;
}

/* A reason quotes in brackets: names of indices are told, values are not. */
static void mask_reason(struct elasticsearch *es)
{
	uint8_t *text = es->reason.bytes;
	size_t out = 0, end;

	for (size_t at = 0; at < es->reason.length; at = end) {
		end = at + 1;
		text[out++] = text[at];
		if (text[at] != '[')
			continue;
		while (end < es->reason.length && text[end] != ']')
			end++;
		if (end - at > 1 && is_name(es, text + at + 1, end - at - 1)) {
			memmove(text + out, text + at + 1, end - at - 1);
			out += end - at - 1;
		} else if (end - at > 1) {
			text[out++] = '?';
		}
	}
	es->reason.length = out;
}

static void describe_error(struct elasticsearch *es, struct exchange *exchange)
{
	if (es->item_errors)
		exchange->failed = true;
	if (!exchange->failed)
		return;
	mask_reason(es);
	exchange->status_name = buffer_span(&es->error);
	if (es->reason.length)
		exchange->message = buffer_span(&es->reason);
}

static void put_told(struct exchange *exchange, const char *key,
		     int64_t number)
{
	if (number >= 0)
		exchange_number(exchange, key, number);
}

static void describe_answer(const struct elasticsearch *es,
			    struct exchange *exchange)
{
	if (es->lost[SIDE_SERVER])
		exchange->rows = -1;
	else if (es->hits >= 0)
		exchange->rows = es->hits;
	else if (es->found >= 0)
		exchange->rows = es->found;
	else
		exchange->rows = es->docs;
	if (es->bulk && es->shape & SHAPE_RESULT && !es->lost[SIDE_CLIENT])
		exchange->affected = es->items - es->item_errors;
	else
		exchange->affected = es->changed;
	put_told(exchange, "datasnoop.elasticsearch.took_ms", es->took_ms);
	put_told(exchange, "datasnoop.elasticsearch.total_hits", es->total);
	put_told(exchange, "datasnoop.elasticsearch.count", es->count);
	if (!es->bulk)
		return;
	exchange_number(exchange, "datasnoop.elasticsearch.bulk.items",
			es->items);
	exchange_number(exchange, "datasnoop.elasticsearch.bulk.errors",
			es->item_errors);
}

static bool is_proven(const struct elasticsearch *es)
{
	unsigned both = SHAPE_TOOK | SHAPE_RESULT;

	return es->product || (es->endpoint && (es->shape & SHAPE_SURE ||
						(es->shape & both) == both));
}

static bool elasticsearch_finish(void *state, struct exchange *exchange)
{
	struct elasticsearch *es = state;

	if (!is_proven(es))
		return false;
	exchange->system = es->product == OPENSEARCH || es->plugins ?
				   "opensearch" : "elasticsearch";
	exchange->family = FAMILY_DATABASE;
	if (*es->operation)
		exchange->operation = es->operation;
	for (size_t i = 0; i < es->name_count; i++) {
		es->names[i].bytes = (const char *)es->name_text.bytes +
				     es->name_at[i];
		exchange->targets[i] = es->names[i];
	}
	exchange->target_count = es->name_count;
	describe_query(es, exchange);
	describe_error(es, exchange);
	describe_answer(es, exchange);
	return true;
}

const struct http_application http_elasticsearch = {
	.name = "elasticsearch",
	.match = elasticsearch_match,
	.open = elasticsearch_open,
	.response = elasticsearch_response,
	.body = elasticsearch_body,
	.gap = elasticsearch_gap,
	.finish = elasticsearch_finish,
	.close = elasticsearch_close,
};
