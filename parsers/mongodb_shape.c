/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mongodb_shape.c - a command as text, with and without its values.
 *
 * Masked, the names of fields and operators stay, values are `?`; of an array
 * the first element stands for all.  What drivers add for themselves (session,
 * cluster time) is left out.  Documents are hostile: libbson checks each step,
 * nesting has a bound.
 */
#include "parsers/mongodb.h"

#include <bson/bson.h>
#include <stdio.h>

struct text {
	struct buffer *out;
	const char *collection; /* shown where the command names it */
	bool masked;
	bool cut;
};

/* Fields of drivers, not of who asked. */
static const char *const noise[] = {
	"lsid", "$clusterTime", "$readPreference", "$db", "txnNumber",
	"signature", "apiVersion", "client", "topologyVersion", NULL
};

/* Commands that are passwords, keys, or steps of a login. */
static const char *const secrets[] = {
	"saslStart", "saslContinue", "authenticate", "logout", "createUser",
	"updateUser", "copydb", "copydbgetnonce", "copydbsaslstart",
	"getnonce", "setFreeMonitoring", NULL
};

/* Fields that are, wherever they stand. */
static const char *const secret_fields[] = {
	"pwd", "password", "speculativeAuthenticate", "digestPassword",
	"payload", "keyMaterial", NULL
};

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (!strcasecmp(name, *names))
			return true;
	return false;
}

bool mongodb_is_secret(const struct mongo_request *request)
{
	return is_one_of(request->name, secrets);
}

static void put(struct text *text, const char *bytes, size_t length)
{
	text->cut |= !buffer_gather(text->out, bytes, length,
				    STATEMENT_BYTES_MAX);
}

static void put_string(struct text *text, const char *string)
{
	put(text, string, strlen(string));
}

static void put_quoted(struct text *text, const char *bytes, size_t length)
{
	put(text, "\"", 1);
	for (size_t i = 0; i < length && !text->cut; i++) {
		char c = bytes[i], escape[8];

		if (c == '"' || c == '\\')
			put(text, (char[]){ '\\', c }, 2);
		else if ((unsigned char)c >= 0x20)
			put(text, &c, 1);
		else
			put(text, escape, (size_t)snprintf(
				escape, sizeof(escape), "\\u%04x",
				(unsigned char)c));
	}
	put(text, "\"", 1);
}

static void put_scalar(struct text *text, const bson_iter_t *iter)
{
	char number[64], id[25];
	const char *string;
	uint32_t length;

	switch (bson_iter_type(iter)) {
	case BSON_TYPE_UTF8:
		string = bson_iter_utf8(iter, &length);
		put_quoted(text, string, length);
		return;
	case BSON_TYPE_DOUBLE:
		snprintf(number, sizeof(number), "%.17g",
			 bson_iter_double(iter));
		break;
	case BSON_TYPE_INT32:
	case BSON_TYPE_INT64:
		snprintf(number, sizeof(number), "%lld",
			 (long long)bson_iter_as_int64(iter));
		break;
	case BSON_TYPE_BOOL:
		put_string(text, bson_iter_bool(iter) ? "true" : "false");
		return;
	case BSON_TYPE_NULL:
		put_string(text, "null");
		return;
	case BSON_TYPE_OID:
		bson_oid_to_string(bson_iter_oid(iter), id);
		put_quoted(text, id, 24);
		return;
	case BSON_TYPE_DATE_TIME:
		snprintf(number, sizeof(number), "{ \"$date\": %lld }",
			 (long long)bson_iter_date_time(iter));
		break;
	case BSON_TYPE_REGEX:
		string = bson_iter_regex(iter, NULL);
		put_quoted(text, string, strlen(string));
		return;
	default:
		put_string(text, "\"...\"");
		return;
	}
	put_string(text, number);
}

static void put_fields(struct text *text, bson_iter_t *iter, bool array,
		       unsigned depth);

static void put_value(struct text *text, const bson_iter_t *iter,
		      unsigned depth)
{
	bool array = bson_iter_type(iter) == BSON_TYPE_ARRAY;
	bson_iter_t child;

	if (!array && bson_iter_type(iter) != BSON_TYPE_DOCUMENT) {
		if (text->masked)
			put_string(text, "?");
		else
			put_scalar(text, iter);
		return;
	}
	if (depth == MONGODB_NESTING_MAX || !bson_iter_recurse(iter, &child)) {
		put_string(text, "...");
		return;
	}
	put_string(text, array ? "[" : "{");
	put_fields(text, &child, array, depth + 1);
	put_string(text, array ? "]" : "}");
}

/* A name, not a value: the command's first, or getMore's. */
static bool is_collection(const struct text *text, const bson_iter_t *iter)
{
	return text->collection[0] && BSON_ITER_HOLDS_UTF8(iter) &&
	       (iter->off == 4 || !strcmp(bson_iter_key(iter), "collection")) &&
	       !strcmp(bson_iter_utf8(iter, NULL), text->collection);
}

static void put_fields(struct text *text, bson_iter_t *iter, bool array,
		       unsigned depth)
{
	const char *separator = array ? "" : " ";
	bool any = false;

	while (!text->cut && bson_iter_next(iter)) {
		const char *key = bson_iter_key(iter);

		if (depth == 1 && is_one_of(key, noise))
			continue;
		if (any && array && text->masked) {
			put_string(text, ", ...");
			break;
		}
		put_string(text, any ? ", " : separator);
		any = true;
		if (!array) {
			put_string(text, key);
			put_string(text, ": ");
		}
		if (!array && is_one_of(key, secret_fields))
			put_string(text, "?");
		else if (depth == 1 && is_collection(text, iter))
			put_scalar(text, iter);
		else
			put_value(text, iter, depth);
	}
	put_string(text, any && !array ? " " : "");
}

static void render(struct mongo_request *request, struct buffer *out,
		   const struct buffer *body, bool masked)
{
	/* Before OP_MSG a query has no name, so its fields are values. */
	bool named = request->opcode == OP_MSG ||
		     (request->opcode == OP_QUERY && !request->legacy_find);
	struct text text = { out, named ? request->collection : "", masked,
			     false };
	bson_iter_t iter;

	out->length = 0;
	if (mongodb_is_secret(request)) {
		put_string(&text, "{ ");
		put_string(&text, request->name);
		put_string(&text, ": ? }");
		return;
	}
	if (!bson_iter_init_from_data(&iter, body->bytes, body->length))
		return;
	put_string(&text, "{");
	put_fields(&text, &iter, false, 1);
	put_string(&text, "}");
	request->cut |= text.cut;
}

void shape_command(struct mongo_request *request, const struct buffer *body)
{
	/* A document that is not whole can't be walked. */
	if (body->length < 5)
		return;
	render(request, &request->statement, body, false);
	render(request, &request->masked, body, true);
}

/* Documents of a result are walked to give their values on. */
struct walk {
	struct mongodb *mongo;
	char path[256];
};

static int column_index(struct mongodb *mongo, const char *path)
{
	size_t length = strlen(path);

	for (size_t i = 0; i < mongo->column_count; i++)
		if (mongo->column_at[i + 1] - mongo->column_at[i] == length &&
		    !memcmp(mongo->columns.bytes + mongo->column_at[i], path,
			    length))
			return (int)i;
	if (mongo->column_count == EXCHANGE_COLUMNS_MAX ||
	    !buffer_append(&mongo->columns, path, length))
		return -1;
	mongo->column_at[++mongo->column_count] = mongo->columns.length;
	return (int)mongo->column_count - 1;
}

static void give(struct mongodb *mongo, const struct mongo_request *request,
		 const char *path, struct span value)
{
	int column = column_index(mongo, path);

	if (value.length > VALUE_BYTES_MAX)
		value.length = VALUE_BYTES_MAX;
	if (column < 0 || !value.length || !mongo->observer.value)
		return;
	mongodb_describe(mongo, request);
	mongo->observer.value(mongo->observer.context, &mongo->exchange, column,
			      value);
}

static void walk(struct walk *w, const struct mongo_request *request,
		 bson_iter_t *iter, size_t end, bool array, unsigned depth)
{
	char number[32];

	while (bson_iter_next(iter)) {
		const char *key = array ? "" : bson_iter_key(iter);
		size_t at = end;
		bson_iter_t child;
		uint32_t length;
		bool inner_array = bson_iter_type(iter) == BSON_TYPE_ARRAY;

		if (*key && at + strlen(key) + 2 <= sizeof(w->path))
			at += (size_t)snprintf(w->path + at,
					       sizeof(w->path) - at, "%s%s",
					       at ? "." : "", key);
		switch (bson_iter_type(iter)) {
		case BSON_TYPE_DOCUMENT:
		case BSON_TYPE_ARRAY:
			if (depth < MONGODB_NESTING_MAX &&
			    bson_iter_recurse(iter, &child))
				walk(w, request, &child, at, inner_array,
				     depth + 1);
			break;
		case BSON_TYPE_UTF8:
			key = bson_iter_utf8(iter, &length);
			give(w->mongo, request, w->path,
			     (struct span){ key, length });
			break;
		case BSON_TYPE_INT32:
		case BSON_TYPE_INT64:
			snprintf(number, sizeof(number), "%lld",
				 (long long)bson_iter_as_int64(iter));
			give(w->mongo, request, w->path, span_string(number));
			break;
		default:
			column_index(w->mongo, w->path);
			break;
		}
		w->path[end] = '\0';
	}
}

void shape_values(struct mongodb *mongo, const struct mongo_request *request,
		  const uint8_t *bytes, size_t length)
{
	struct walk w = { .mongo = mongo };
	bson_iter_t iter;
	size_t end = 0;

	if (mongo->columns_of != request) {
		mongo->columns_of = request;
		mongo->columns.length = mongo->column_count = 0;
	}
	if (request->collection[0])
		end = (size_t)snprintf(w.path, sizeof(w.path), "%s",
				       request->collection);
	if (end >= sizeof(w.path))
		end = sizeof(w.path) - 1;
	if (bson_iter_init_from_data(&iter, bytes, length))
		walk(&w, request, &iter, end, false, 1);
}
