/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http1_head.c - HTTP/1.x's start lines and header fields.
 *
 * Lenient where servers are (an LF alone ends a line, folded fields, spaces in
 * a target), and what a strict reader refuses is said to be malformed: two
 * readers that differ about it are what request smuggling lives on.
 * Source: RFC 9112 sections 2.2, 3, 4, 5 and 6.
 */
#include "parsers/http1.h"

#include <string.h>
#include <strings.h>

/* RFC 9110 section 5.6.2. */
bool http1_is_token_byte(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* The line's length without its end; SIZE_MAX: the end is not there. */
static size_t line_length(const uint8_t *bytes, size_t length, size_t *whole)
{
	const uint8_t *end = length ? memchr(bytes, '\n', length) : NULL;
	size_t n;

	if (!end)
		return SIZE_MAX;
	n = (size_t)(end - bytes);
	*whole = n + 1;
	return n && bytes[n - 1] == '\r' ? n - 1 : n;
}

static struct span span_trim(struct span span)
{
	while (span.length && is_space((uint8_t)*span.bytes)) {
		span.bytes++;
		span.length--;
	}
	while (span.length && is_space((uint8_t)span.bytes[span.length - 1]))
		span.length--;
	return span;
}

/* "HTTP/1.1" -> "1.1"; NULL: none of HTTP/1.x, or of a status line's 0.9. */
static const char *version_of(const uint8_t *bytes)
{
	static const char *const versions[] = { "1.0", "1.1", "1.2", "1.3",
						"1.4", "1.5", "1.6", "1.7",
						"1.8", "1.9" };

	if (memcmp(bytes, "HTTP/", 5) || bytes[6] != '.')
		return NULL;
	if (bytes[5] == '0' && bytes[7] == '9')
		return "0.9";
	if (bytes[5] != '1' || !is_digit(bytes[7]))
		return NULL;
	return versions[bytes[7] - '0'];
}

/* A request line without its end may be one so far. */
static enum http1_look look_part(const uint8_t *bytes, size_t length)
{
	size_t n = 0;

	/* Methods in lower case are believed when their line is whole. */
	while (n < length && http1_is_token_byte(bytes[n]) &&
	       !(bytes[n] >= 'a' && bytes[n] <= 'z'))
		n++;
	if (n > HTTP1_METHOD_MAX)
		return HTTP1_NO;
	if (n == length)
		return HTTP1_MORE;
	if (!n || bytes[n] != ' ')
		return HTTP1_NO;
	for (; n < length; n++)
		if ((bytes[n] < ' ' && bytes[n] != '\t' &&
		     !(bytes[n] == '\r' && n + 1 == length)) ||
		    bytes[n] == 0x7f)
			return HTTP1_NO;
	return HTTP1_MORE;
}

/* A target's bytes; *malformed: some that no URI has. */
static bool target_is_sane(struct span target, bool *malformed)
{
	for (size_t i = 0; i < target.length; i++) {
		uint8_t c = (uint8_t)target.bytes[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
		*malformed = *malformed || c <= ' ' || c >= 0x80;
	}
	return target.length > 0;
}

static enum http1_look look_request(const uint8_t *bytes, size_t length,
				    struct http1_start *start)
{
	struct span line = { (const char *)bytes, 0 };
	size_t method = 0;

	line.length = line_length(bytes, length, &start->length);
	if (line.length == SIZE_MAX)
		return look_part(bytes, length);
	line = span_trim(line);
	if (line.bytes != (const char *)bytes)
		return HTTP1_NO;
	while (method < line.length && http1_is_token_byte(bytes[method]))
		method++;
	/* The shortest: "M / HTTP/1.1". */
	if (!method || method > HTTP1_METHOD_MAX || line.length < method + 11 ||
	    !is_space(bytes[method]) ||
	    !is_space(bytes[line.length - 9]))
		return HTTP1_NO;
	start->version = version_of(bytes + line.length - 8);
	if (!start->version || *start->version == '0')
		return HTTP1_NO;
	start->method = (struct span){ line.bytes, method };
	start->target = span_trim((struct span){
		line.bytes + method, line.length - 8 - method });
	return target_is_sane(start->target, &start->malformed) ? HTTP1_YES :
								  HTTP1_NO;
}

static enum http1_look look_response(const uint8_t *bytes, size_t length,
				     struct http1_start *start)
{
	/* N: a digit */
	static const char form[] = "HTTP/N.N NNN";
	size_t whole, n;

	for (size_t i = 0; i < sizeof(form) - 1; i++) {
		if (i == length)
			return HTTP1_MORE;
		if (form[i] == 'N' ? !is_digit(bytes[i]) :
				     bytes[i] != (uint8_t)form[i])
			return HTTP1_NO;
	}
	start->version = version_of(bytes);
	start->status = (bytes[9] - '0') * 100u + (bytes[10] - '0') * 10u +
			(bytes[11] - '0');
	if (!start->version || start->status < 100)
		return HTTP1_NO;
	n = line_length(bytes, length, &whole);
	if (n == SIZE_MAX)
		return length == 12 || is_space(bytes[12]) ||
				       (bytes[12] == '\r' && length == 13) ?
			       HTTP1_MORE :
			       HTTP1_NO;
	if (n > 12 && !is_space(bytes[12]))
		return HTTP1_NO;
	start->length = whole;
	start->reason = span_trim((struct span){ (const char *)bytes + 12,
						 n - 12 });
	for (size_t i = 12; i < n; i++)
		start->malformed = start->malformed ||
			(bytes[i] < ' ' && bytes[i] != '\t');
	return HTTP1_YES;
}

enum http1_look http1_look(enum side side, const uint8_t *bytes, size_t length,
			   struct http1_start *start)
{
	*start = (struct http1_start){ .version = NULL };
	return side == SIDE_CLIENT ? look_request(bytes, length, start) :
				     look_response(bytes, length, start);
}

/* Registered at IANA, or in use; none is the end of a longer one. */
static const char *const methods[] = {
	"ACL", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LABEL",
	"M-SEARCH", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE",
	"OPTIONS", "ORDERPATCH", "PATCH", "POST", "PROPFIND", "PROPPATCH",
	"PURGE", "PUT", "QUERY", "REPORT", "SUBSCRIBE", "TRACE",
	"UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE", "VERSION-CONTROL",
};
#define METHOD_COUNT (sizeof(methods) / sizeof(*methods))

bool http1_method_is_known(struct span method)
{
	for (size_t i = 0; i < METHOD_COUNT; i++)
		if (span_is(method, methods[i]))
			return true;
	return false;
}

/*
 * The first method with a space behind it, or a part of one where the bytes
 * end; `length`: none.
 */
static size_t find_method(const uint8_t *bytes, size_t length)
{
	for (size_t at = 0; at < length; at++) {
		size_t left = length - at;

		if (bytes[at] < 'A' || bytes[at] > 'Z')
			continue;
		for (size_t i = 0; i < METHOD_COUNT; i++) {
			size_t n = strlen(methods[i]);
			size_t part = left < n ? left : n;

			if (!memcmp(bytes + at, methods[i], part) &&
			    (left <= n || bytes[at + n] == ' '))
				return at;
		}
	}
	return length;
}

static size_t find_request(const uint8_t *bytes, size_t length)
{
	struct http1_start start;
	size_t at = 0, end, whole, n;

	while (at < length) {
		n = line_length(bytes + at, length - at, &whole);
		end = n == SIZE_MAX ? length : at + whole;
		/* Most lines of a body can be passed over at once. */
		if (n != SIZE_MAX &&
		    (n <= 8 || !version_of(bytes + at + n - 8)))
			at = end;
		while (at < end) {
			at += find_method(bytes + at, end - at);
			if (at == end)
				break;
			if (http1_look(SIDE_CLIENT, bytes + at, length - at,
				       &start) != HTTP1_NO)
				return at;
			at++;
		}
	}
	return length;
}

static size_t find_response(const uint8_t *bytes, size_t length)
{
	struct http1_start start;

	for (size_t at = 0; at < length; at++) {
		const uint8_t *h = memchr(bytes + at, 'H', length - at);

		if (!h)
			break;
		at = (size_t)(h - bytes);
		if (http1_look(SIDE_SERVER, h, length - at, &start) !=
		    HTTP1_NO)
			return at;
	}
	return length;
}

size_t http1_find(enum side side, const uint8_t *bytes, size_t length,
		  bool unseen)
{
	struct http1_start start;
	size_t at, word = 0;

	if (side == SIDE_SERVER)
		return find_response(bytes, length);
	at = find_request(bytes, length);
	if (!unseen ||
	    http1_look(side, bytes, length, &start) == HTTP1_NO)
		return at;
	/* The rest of a method, or of a body with a whole one behind it? */
	while (word < length && bytes[word] != ' ')
		word++;
	return at < word ? at : 0;
}

bool http1_is_field(const uint8_t *bytes, size_t length)
{
	size_t whole, n = line_length(bytes, length, &whole), name = 0;

	if (n == SIZE_MAX)
		return false;
	while (name < n && http1_is_token_byte(bytes[name]))
		name++;
	return name && name < n && bytes[name] == ':';
}

/* A number of digits alone, below 2^63; false: something else. */
static bool number_of(struct span span, uint64_t *number)
{
	*number = 0;
	for (size_t i = 0; i < span.length; i++) {
		uint8_t c = (uint8_t)span.bytes[i];

		if (!is_digit(c) || *number > (INT64_MAX - 9) / 10)
			return false;
		*number = *number * 10 + (c - '0');
	}
	return span.length > 0;
}

/* Takes the next element off a list with commas; false: none is left. */
static bool next_of(struct span *list, struct span *element)
{
	const char *comma;
	size_t length;

	if (!list->length)
		return false;
	comma = memchr(list->bytes, ',', list->length);
	length = comma ? (size_t)(comma - list->bytes) : list->length;
	*element = span_trim((struct span){ list->bytes, length });
	length += comma != NULL;
	list->bytes += length;
	list->length -= length;
	return true;
}

/* Content-Length may be a list of the same: RFC 9112 section 6.3. */
static void take_length(struct http1_head *head, struct span value)
{
	struct span element;
	uint64_t number;

	if (!value.length)
		head->length_bad = true;
	while (next_of(&value, &element)) {
		if (!number_of(element, &number)) {
			head->length_bad = true;
			continue;
		}
		if (head->length_known && head->length != number)
			head->length_differs = true;
		else
			head->length = number;
		head->length_known = true;
	}
}

/* What frames the body must be seen though there be too many headers. */
static void take_framing(struct http1_head *head,
			 const struct http_header *header)
{
	struct span list = header->value, element;

	if (span_is(header->name, "content-length")) {
		take_length(head, header->value);
	} else if (span_is(header->name, "transfer-encoding")) {
		head->transfer = true;
		head->chunked = false;
		while (next_of(&list, &element))
			head->chunked = span_is_nocase(element, "chunked");
	} else if (span_is(header->name, "expect")) {
		head->expects = span_is_nocase(header->value, "100-continue");
	} else if (span_is(header->name, "upgrade")) {
		head->upgrades = true;
	} else if (span_is(header->name, "host") &&
		   !head->head.authority.bytes) {
		head->head.authority = header->value;
	}
}

/* A field's line, unfolded, without its end. */
static void take_field(struct http1_head *head, uint8_t *bytes, size_t length)
{
	struct http_header header;
	size_t name = 0, colon;

	while (name < length && http1_is_token_byte(bytes[name])) {
		if (bytes[name] >= 'A' && bytes[name] <= 'Z')
			bytes[name] |= 0x20;
		name++;
	}
	colon = name;
	while (colon < length && is_space(bytes[colon]))
		colon++;
	if (!name || colon == length || bytes[colon] != ':') {
		head->malformed = true;
		return;
	}
	/* A space before the colon: RFC 9112 section 5.1 refuses it. */
	head->malformed = head->malformed || colon > name;
	header.name = (struct span){ (const char *)bytes, name };
	header.value = span_trim((struct span){
		(const char *)bytes + colon + 1, length - colon - 1 });
	for (size_t i = 0; i < header.value.length; i++) {
		uint8_t c = (uint8_t)header.value.bytes[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			head->malformed = true;
	}
	take_framing(head, &header);
	if (head->head.header_count == HTTP_HEADERS_MAX) {
		head->head.incomplete = true;
		return;
	}
	head->headers[head->head.header_count++] = header;
}

/* The scheme of an absolute-form, and its authority for want of a Host. */
static void take_target(struct http1_head *head)
{
	struct span target = head->start.target;
	size_t n = 0;

	while (n < target.length && http1_is_token_byte((uint8_t)target.bytes[n]))
		n++;
	if (target.length - n < 3 || memcmp(target.bytes + n, "://", 3))
		return;
	head->head.scheme = (struct span){ target.bytes, n };
	if (head->head.authority.bytes)
		return;
	target.bytes += n + 3;
	target.length -= n + 3;
	for (n = 0; n < target.length && !strchr("/?#", target.bytes[n]); n++)
		if (target.bytes[n] == '@') {
			target.bytes += n + 1;
			target.length -= n + 1;
			n = 0;
		}
	head->head.authority = (struct span){ target.bytes, n };
}

static void take_fields(struct http1_head *head, uint8_t *bytes, size_t length,
			bool whole)
{
	size_t at = 0, next, n;

	while (at < length) {
		n = line_length(bytes + at, length - at, &next);
		if (n == SIZE_MAX || !n)
			break;
		/* The next line goes on with this one: section 5.2. */
		while (at + next < length && is_space(bytes[at + next])) {
			size_t more, m = line_length(bytes + at + next,
						     length - at - next, &more);

			if (m == SIZE_MAX)
				break;
			memset(bytes + at + n, ' ', next - n);
			n = next + m;
			next += more;
		}
		/* Unless it is whole, a line may have more to come. */
		if (!whole && at + next == length)
			break;
		take_field(head, bytes + at, n);
		at += next;
	}
}

void http1_head_read(struct http1_head *head, enum side side,
		     struct buffer *text, bool trailers, bool whole)
{
	uint8_t *bytes = text->bytes;
	size_t length = text->length;

	/* Not its array of headers: only what is counted is read. */
	memset(&head->head, 0, sizeof(head->head));
	memset(&head->start, 0, sizeof(*head) -
				offsetof(struct http1_head, start));
	head->head.headers = head->headers;
	head->head.incomplete = !whole;
	if (!trailers &&
	    http1_look(side, bytes, length, &head->start) == HTTP1_YES) {
		bytes += head->start.length;
		length -= head->start.length;
		head->malformed = head->start.malformed;
	}
	take_fields(head, bytes, length, whole);
	head->head.method = head->start.method;
	head->head.target = head->start.target;
	head->head.status = head->start.status;
	if (head->start.reason.length)
		head->head.reason = head->start.reason;
	if (side == SIDE_CLIENT && !trailers)
		take_target(head);
}
