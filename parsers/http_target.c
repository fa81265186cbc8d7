/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http_target.c - a request's target in parts, and what of it may be shown.
 *
 * Source: RFC 9112 section 3.2 (its four forms), RFC 3986 sections 3.2 to 3.5.
 */
#include "parsers/http_transaction.h"

#include <string.h>

/*
 * What of parameters is left out.  Before the query a `?` in its place would
 * begin one.
 */
enum hide { HIDE_SECRETS, HIDE_VALUES, HIDE_IN_PATH };

/* Where the writing goes. */
struct writer {
	struct buffer *buffer;
	size_t bound;
	bool cut;
};

static void put(struct writer *writer, const char *bytes, size_t length)
{
	if (!buffer_gather(writer->buffer, bytes, length, writer->bound))
		writer->cut = true;
}

static size_t find(struct span span, size_t from, char c)
{
	const char *at = from < span.length ?
		memchr(span.bytes + from, c, span.length - from) : NULL;

	return at ? (size_t)(at - span.bytes) : span.length;
}

static struct span part(struct span span, size_t from, size_t to)
{
	/* C has no offset from nowhere, not even 0. */
	return (struct span){ span.bytes ? span.bytes + from : NULL,
			      to - from };
}

/* The end of scheme and "://"; 0: no absolute-form. */
static size_t scheme_length(struct span target)
{
	size_t colon = find(target, 0, ':');

	if (!target.length || *target.bytes == '/' ||
	    target.length - colon < 3 ||
	    memcmp(target.bytes + colon, "://", 3))
		return 0;
	return colon + 3;
}

/* Where the authority of an absolute-form ends. */
static size_t authority_end(struct span target, size_t from)
{
	size_t end = find(target, from, '/');
	size_t query = find(target, from, '?');
	size_t fragment = find(target, from, '#');

	if (query < end)
		end = query;
	return fragment < end ? fragment : end;
}

/* "user:password@host" without the password. */
static void put_authority(struct writer *writer, struct span authority)
{
	size_t at = find(authority, 0, '@'), colon = find(authority, 0, ':');

	/* The last `@` ends it: a password may hold one unescaped. */
	for (size_t next = at; next < authority.length;
	     next = find(authority, next + 1, '@'))
		at = next;
	if (at == authority.length || colon > at) {
		put(writer, authority.bytes, authority.length);
		return;
	}
	put(writer, authority.bytes, colon + 1);
	put(writer, "***", 3);
	put(writer, authority.bytes + at, authority.length - at);
}

/* "name=value"; without a `=` there is no telling which of them it is. */
static void put_parameter(struct writer *writer, struct span parameter,
			  enum hide hide)
{
	size_t equals = find(parameter, 0, '=');
	bool secret = http_parameter_is_secret(part(parameter, 0, equals));

	if (!parameter.length)
		return;
	if (hide == HIDE_VALUES && equals == parameter.length) {
		put(writer, "?", 1);
	} else if (equals < parameter.length &&
		   (secret || hide == HIDE_VALUES)) {
		put(writer, parameter.bytes, equals + 1);
		put(writer, "***", hide == HIDE_IN_PATH ? 3 : 0);
		put(writer, "?", hide == HIDE_IN_PATH ? 0 : 1);
	} else {
		put(writer, parameter.bytes, parameter.length);
	}
}

/* Parameters with `&` or `;` between them. */
static void put_query(struct writer *writer, struct span query, enum hide hide)
{
	size_t at = 0;

	while (at < query.length) {
		size_t end = find(query, at, '&'), other = find(query, at, ';');

		if (other < end)
			end = other;
		put_parameter(writer, part(query, at, end), hide);
		if (end < query.length)
			put(writer, query.bytes + end, 1);
		at = end + 1;
	}
}

/* A path is shown but for secrets behind a `;` in it. */
static void put_path(struct writer *writer, struct span path)
{
	size_t at = 0;

	while (at < path.length) {
		size_t start = find(path, at, ';'), slash, end;

		start += start < path.length;
		put(writer, path.bytes + at, start - at);
		end = find(path, start, ';');
		slash = find(path, start, '/');
		if (slash < end)
			end = slash;
		put_parameter(writer, part(path, start, end), HIDE_IN_PATH);
		at = end;
	}
}

static bool put_target(struct buffer *buffer, struct span target, size_t bound,
		       enum hide hide)
{
	struct writer writer = { buffer, bound, false };
	size_t host = scheme_length(target);
	size_t path = host ? authority_end(target, host) : 0;
	size_t fragment = find(target, path, '#');
	size_t query = find(target, path, '?');
	struct span rest = part(target, fragment, target.length);

	if (query > fragment)
		query = fragment;
	put(&writer, target.bytes, host);
	if (host)
		put_authority(&writer, part(target, host, path));
	put_path(&writer, part(target, path, query));
	if (query < fragment) {
		put(&writer, "?", 1);
		put_query(&writer, part(target, query + 1, fragment), hide);
	}
	if (fragment < target.length && hide == HIDE_VALUES)
		put(&writer, "#?", 2);
	else
		put(&writer, rest.bytes, rest.length);
	return !writer.cut;
}

bool http_target_keep(struct buffer *buffer, struct span target, size_t bound)
{
	return put_target(buffer, target, bound, HIDE_SECRETS);
}

void http_target_mask(struct buffer *buffer, struct span target)
{
	put_target(buffer, target, HTTP_TARGET_BYTES_MAX, HIDE_VALUES);
}

struct span http_target_path(struct span target)
{
	size_t host = scheme_length(target);
	size_t path = host ? authority_end(target, host) : 0;
	size_t query = find(target, path, '?');
	size_t fragment = find(target, path, '#');

	if (!target.length || path == target.length ||
	    target.bytes[path] != '/')
		return (struct span){ NULL, 0 };
	return part(target, path, query < fragment ? query : fragment);
}

struct span http_target_query(struct span target)
{
	size_t fragment = find(target, 0, '#'), query = find(target, 0, '?');

	if (query >= fragment)
		return (struct span){ NULL, 0 };
	return part(target, query + 1, fragment);
}
