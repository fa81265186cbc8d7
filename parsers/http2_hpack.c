/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * http2_hpack.c - header blocks -> fields, with what is unknown said.
 *
 * libnghttp2 decodes, one representation at a time: its decoder fails for good
 * on a reference that it can't resolve, which is usual here when the capture
 * began in mid-connection.  So each representation's extent is read first, and
 * one that refers to an entry not known is kept from it.  An entry whose name
 * alone is not known is added under a name that no field can have, so that
 * the entries around it keep their distance from the newest.
 *
 * The table's size is what the encoder says in the block; SETTINGS only permit
 * it.  A table larger than the encoder's is harmless: nothing refers to what
 * the encoder has evicted.
 * Source: RFC 7541.
 */
#include <nghttp2/nghttp2.h>

#include "parsers/http2.h"

#define STATIC_ENTRIES	  61
#define INTEGER_BYTES_MAX 6 /* enough for 32 bits and a prefix */
#define UNKNOWN_NAME	  0x01 /* RFC 9113 section 8.2.1 forbids it in names */

struct http2_table {
	nghttp2_hd_inflater *inflater;
};

enum kind { INDEXED, LITERAL_ADDED, LITERAL, TABLE_SIZE };

/* RFC 7541 section 6, where one begins and ends. */
struct representation {
	enum kind kind;
	uint64_t index;	   /* of the field, or of its name; or a size */
	struct span whole; /* as it stands */
	struct span value; /* of a literal, with its length before it */
};

static uint64_t take_integer(struct cursor *c, uint8_t first, unsigned bits)
{
	uint64_t mask = (1u << bits) - 1, value = first & mask;
	uint64_t byte = 0x80;

	if (value < mask)
		return value;
	for (unsigned i = 0; byte & 0x80; i++) {
		byte = cursor_uint(c, 1);
		if (i == INTEGER_BYTES_MAX)
			c->bad = true;
		if (c->bad)
			return 0;
		value += (byte & 0x7f) << 7 * i;
	}
	return value;
}

static void take_string(struct cursor *c)
{
	cursor_take(c, take_integer(c, cursor_uint(c, 1), 7));
}

static struct span since(const struct cursor *c, const uint8_t *start)
{
	return (struct span){ (const char *)start, (size_t)(c->at - start) };
}

static bool take_representation(struct cursor *c, struct representation *r)
{
	const uint8_t *start = c->at, *value;
	uint8_t first = cursor_uint(c, 1);

	if (first & 0x80) {
		r->kind = INDEXED;
		r->index = take_integer(c, first, 7);
		c->bad |= !r->index;
	} else if ((first & 0xe0) == 0x20) {
		r->kind = TABLE_SIZE;
		r->index = take_integer(c, first, 5);
	} else {
		r->kind = first & 0x40 ? LITERAL_ADDED : LITERAL;
		r->index = take_integer(c, first, first & 0x40 ? 6 : 4);
		if (!r->index)
			take_string(c);
		value = c->at;
		take_string(c);
		r->value = since(c, value);
	}
	r->whole = since(c, start);
	return !c->bad;
}

bool http2_block_is_formed(struct span block)
{
	struct cursor c = cursor_of((const uint8_t *)block.bytes,
				    block.length);
	struct representation r;
	bool fields = false;

	while (cursor_left(&c)) {
		if (!take_representation(&c, &r) ||
		    (fields && r.kind == TABLE_SIZE))
			return false;
		fields |= r.kind != TABLE_SIZE;
	}
	return fields;
}

struct http2_table *http2_table_new(void)
{
	struct http2_table *table = calloc(1, sizeof(*table));

	if (table && nghttp2_hd_inflate_new(&table->inflater)) {
		free(table);
		return NULL;
	}
	if (table)
		nghttp2_hd_inflate_change_table_size(table->inflater,
						     HTTP2_TABLE_BYTES_MAX);
	return table;
}

void http2_table_free(struct http2_table *table)
{
	if (!table)
		return;
	nghttp2_hd_inflate_del(table->inflater);
	free(table);
}

/* Gives bytes to the decoder; *field is set when they end one. */
static bool feed(struct http2_table *table, struct span bytes,
		 nghttp2_nv *field, bool *emitted)
{
	const uint8_t *at = (const uint8_t *)bytes.bytes;
	size_t left = bytes.length;

	while (left) {
		int flags = 0;
		ssize_t used = nghttp2_hd_inflate_hd2(
			table->inflater, field, &flags, at, left, 0);

		if (used < 0)
			return false;
		at += used;
		left -= (size_t)used;
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			*emitted = true;
		else if (!used)
			return false;
	}
	return true;
}

/* A size beyond what is kept is cut to it. */
static bool feed_size(struct http2_table *table, uint64_t size)
{
	char bytes[INTEGER_BYTES_MAX] = { 0x3f };
	size_t length = 1;
	nghttp2_nv field;
	bool emitted;

	if (size > HTTP2_TABLE_BYTES_MAX)
		size = HTTP2_TABLE_BYTES_MAX;
	if (size < 0x1f) {
		bytes[0] = (char)(0x20 | size);
		return feed(table, (struct span){ bytes, 1 }, &field,
			    &emitted);
	}
	for (size -= 0x1f; size >= 0x80; size >>= 7)
		bytes[length++] = (char)(0x80 | (size & 0x7f));
	bytes[length++] = (char)size;
	return feed(table, (struct span){ bytes, length }, &field, &emitted);
}

bool http2_table_forget(struct http2_table *table)
{
	struct http2_table *fresh = http2_table_new();

	if (!fresh)
		return false;
	nghttp2_hd_inflate_del(table->inflater);
	*table = *fresh;
	free(fresh);
	/* The encoder's may have grown unseen; ours must not be smaller. */
	return feed_size(table, HTTP2_TABLE_BYTES_MAX);
}

static bool is_known(const struct http2_table *table, uint64_t index)
{
	return index <=
	       nghttp2_hd_inflate_get_num_table_entries(table->inflater);
}

static size_t append_lower(struct buffer *text, const uint8_t *bytes,
			   size_t length)
{
	size_t at = text->length;

	buffer_append(text, bytes, length);
	for (size_t i = at; i < text->length; i++)
		if (text->bytes[i] >= 'A' && text->bytes[i] <= 'Z')
			text->bytes[i] |= 0x20;
	return at;
}

/* Keeps a field, its name in lower case as those who mask by name expect. */
static void keep(struct http2_fields *fields, const nghttp2_nv *field)
{
	size_t length = field->valuelen, n = fields->count;
	const uint8_t *value = field->value;
	struct buffer *text = &fields->text;

	while (length && (*value == ' ' || *value == '\t'))
		value++, length--;
	while (length &&
	       (value[length - 1] == ' ' || value[length - 1] == '\t'))
		length--;
	if (n == HTTP_HEADERS_MAX ||
	    field->namelen + length > HTTP_HEAD_BYTES_MAX - text->length ||
	    !buffer_reserve(text, text->length + field->namelen + length + 1)) {
		fields->incomplete = true;
		return;
	}
	fields->places[n].name =
		append_lower(text, field->name, field->namelen);
	fields->places[n].name_length = field->namelen;
	fields->places[n].value = text->length;
	fields->places[n].value_length = length;
	buffer_append(text, value, length);
	fields->count++;
}

/* One representation; what can't be known of it is said to be missing. */
static bool decode(struct http2_table *table, const struct representation *r,
		   struct http2_fields *fields)
{
	static const char unknown[] = { 0x40, 1, UNKNOWN_NAME };
	bool emitted = false;
	nghttp2_nv field;

	if (r->kind == TABLE_SIZE)
		return feed_size(table, r->index);
	if (!is_known(table, r->index)) {
		fields->incomplete = true;
		if (r->kind != LITERAL_ADDED)
			return true;
		return feed(table, (struct span){ unknown, sizeof(unknown) },
			    &field, &emitted) &&
		       feed(table, r->value, &field, &emitted);
	}
	if (!feed(table, r->whole, &field, &emitted) || !emitted)
		return false;
	if (field.namelen == 1 && field.name[0] == UNKNOWN_NAME)
		fields->incomplete = true;
	else
		keep(fields, &field);
	return true;
}

static void place_fields(struct http2_fields *fields)
{
	const char *text = (const char *)fields->text.bytes;

	for (size_t i = 0; i < fields->count; i++)
		fields->headers[i] = (struct http_header){
			.name = { text + fields->places[i].name,
				  fields->places[i].name_length },
			.value = { text + fields->places[i].value,
				   fields->places[i].value_length },
		};
}

bool http2_table_read(struct http2_table *table, struct span block,
		      struct http2_fields *fields)
{
	struct cursor c = cursor_of((const uint8_t *)block.bytes,
				    block.length);
	struct representation r;
	bool good = true;

	fields->count = 0;
	fields->incomplete = false;
	buffer_reset(&fields->text);
	while (good && cursor_left(&c))
		good = take_representation(&c, &r) &&
		       decode(table, &r, fields);
	place_fields(fields);
	if (good) {
		nghttp2_hd_inflate_end_headers(table->inflater);
		return true;
	}
	fields->incomplete = true;
	http2_table_forget(table);
	return false;
}

void http2_fields_free(struct http2_fields *fields)
{
	buffer_free(&fields->text);
	fields->count = 0;
}

/* Three digits; 0: it is not. */
static unsigned status_of(struct span text)
{
	unsigned status = 0;

	if (text.length != 3)
		return 0;
	for (size_t i = 0; i < text.length; i++) {
		if (text.bytes[i] < '0' || text.bytes[i] > '9')
			return 0;
		status = 10 * status + (unsigned)(text.bytes[i] - '0');
	}
	return status;
}

static void take_pseudo(struct http_head *head, const struct http_header *h)
{
	if (span_is(h->name, ":method"))
		head->method = h->value;
	else if (span_is(h->name, ":path"))
		head->target = h->value;
	else if (span_is(h->name, ":authority"))
		head->authority = h->value;
	else if (span_is(h->name, ":scheme"))
		head->scheme = h->value;
	else if (span_is(h->name, ":status"))
		head->status = status_of(h->value);
}

struct http_head http2_head(struct http2_fields *fields)
{
	struct http_head head = { .headers = fields->headers,
				  .incomplete = fields->incomplete };
	size_t count = 0;

	for (size_t i = 0; i < fields->count; i++) {
		const struct http_header *h = &fields->headers[i];

		if (h->name.length && h->name.bytes[0] == ':')
			take_pseudo(&head, h);
		else
			fields->headers[count++] = *h;
	}
	fields->count = head.header_count = count;
	if (!head.authority.bytes)
		head.authority = http_header(&head, "host");
	if (span_is(head.method, "CONNECT") && !head.target.bytes)
		head.target = head.authority;
	return head;
}
