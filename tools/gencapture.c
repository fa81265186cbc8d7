/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gencapture.c - write a large capture file, to read it for a measurement.
 *
 * gencapture mysql|http BYTES FILE: connections of clients that take turns,
 * as a host's own tcpdump sees them: Ethernet, IPv4, segments of an MTU of
 * 1500 with the time stamp option, an ACK for each second one.  The same
 * arguments give the same bytes.
 *
 * MySQL: statements by key, range and aggregate, most of them answered by 50
 * rows of 6 columns.  HTTP/1.1: GETs and POSTs of a JSON API, bodies of 200
 * bytes to 64 KB, every fourth one chunked.
 * Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/
 * "Client/Server Protocol"; RFC 9112; RFC 9293; the pcap file format,
 * https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS   32
#define SEGMENT_BYTES 1448 /* 1500 - 20 of IP - 32 of TCP with time stamps */
#define MESSAGE_BYTES (128 << 10) /* room for the longest answer */
#define ROWS	      50
#define START_NS      1700000000000000000ULL

#define FIN 0x01
#define SYN 0x02
#define PSH 0x08
#define ACK 0x10

enum end { CLIENT, SERVER };

struct message {
	uint8_t bytes[MESSAGE_BYTES];
	size_t length;
};

struct flow {
	unsigned number;
	uint32_t next[2]; /* sequence number of what each end sends next */
	unsigned turns;
};

struct generator {
	FILE *file;
	uint64_t written, limit, now_ns, random;
	uint16_t port; /* the server's */
	struct flow flows[CONNECTIONS];
	struct message message;
	uint64_t statements;
};

/* xorshift64*: Vigna, https://doi.org/10.1145/2845077 */
static uint32_t random_below(struct generator *g, uint32_t bound)
{
	g->random ^= g->random >> 12;
	g->random ^= g->random << 25;
	g->random ^= g->random >> 27;
	return (uint32_t)(((g->random * 0x2545f4914f6cdd1dULL) >> 32) % bound);
}

static void put(struct message *m, const void *bytes, size_t length)
{
	if (m->length + length > sizeof(m->bytes)) {
		fprintf(stderr, "gencapture: a message is too long\n");
		exit(1);
	}
	memcpy(m->bytes + m->length, bytes, length);
	m->length += length;
}

__attribute__((format(printf, 2, 3)))
static void put_text(struct message *m, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	put(m, text, (size_t)length);
}

/* ---- packets ---- */

static void write_le32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void write_be32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void write_be16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void write_out(struct generator *g, const void *bytes, size_t length)
{
	if (fwrite(bytes, 1, length, g->file) != length) {
		fprintf(stderr, "gencapture: write: %s\n", strerror(errno));
		exit(1);
	}
	g->written += length;
}

static void write_file_header(struct generator *g)
{
	uint8_t header[24] = { 0 };

	write_le32(header, 0xa1b23c4d); /* times in nanoseconds */
	header[4] = 2;
	header[6] = 4;
	write_le32(header + 16, 262144);
	write_le32(header + 20, 1); /* Ethernet */
	write_out(g, header, sizeof(header));
}

/*
 * One packet.  Checksums stay 0, as offloading leaves them in what a host
 * captures of its own.
 */
static void packet(struct generator *g, struct flow *flow, enum end from,
		   uint8_t flags, const uint8_t *data, size_t length)
{
	uint8_t header[16 + 14 + 20 + 32] = { 0 };
	uint8_t *ip = header + 30, *tcp = ip + 20;
	uint32_t client = 0x0a000100 + flow->number, server = 0x0a000002;
	uint16_t port = (uint16_t)(40000 + flow->number);

	g->now_ns += 1500 + random_below(g, 1000);
	write_le32(header, (uint32_t)(g->now_ns / 1000000000));
	write_le32(header + 4, (uint32_t)(g->now_ns % 1000000000));
	write_le32(header + 8, (uint32_t)(66 + length));
	write_le32(header + 12, (uint32_t)(66 + length));
	header[16 + 12] = 0x08;
	ip[0] = 0x45;
	write_be16(ip + 2, (unsigned)(52 + length));
	write_be16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = 6;
	write_be32(ip + 12, from == CLIENT ? client : server);
	write_be32(ip + 16, from == CLIENT ? server : client);
	write_be16(tcp, from == CLIENT ? port : g->port);
	write_be16(tcp + 2, from == CLIENT ? g->port : port);
	write_be32(tcp + 4, flow->next[from]);
	write_be32(tcp + 8, flags & ACK ? flow->next[!from] : 0);
	tcp[12] = 0x80;
	tcp[13] = flags;
	write_be16(tcp + 14, 65535);
	write_be32(tcp + 20, 0x0101080a); /* two NOPs, time stamps */
	write_be32(tcp + 24, (uint32_t)(g->now_ns / 1000000));
	write_out(g, header, sizeof(header));
	if (length)
		write_out(g, data, length);
	flow->next[from] += (uint32_t)length + (flags & (SYN | FIN) ? 1 : 0);
}

/* What the end says, in segments, acknowledged; the message is empty again. */
static void say(struct generator *g, struct flow *flow, enum end from)
{
	struct message *m = &g->message;
	size_t at = 0, part;
	unsigned segments = 0;

	while (at < m->length) {
		part = m->length - at;
		if (part > SEGMENT_BYTES)
			part = SEGMENT_BYTES;
		packet(g, flow, from, at + part == m->length ? PSH | ACK : ACK,
		       m->bytes + at, part);
		at += part;
		if (++segments % 2 == 0)
			packet(g, flow, !from, ACK, NULL, 0);
	}
	m->length = 0;
}

/* ---- MySQL ---- */

/* A packet's header; its place is what my_end() wants. */
static size_t my_begin(struct message *m, uint8_t sequence)
{
	const uint8_t header[4] = { 0, 0, 0, sequence };

	put(m, header, 4);
	return m->length - 4;
}

static void my_end(struct message *m, size_t start)
{
	size_t length = m->length - start - 4;

	m->bytes[start] = (uint8_t)length;
	m->bytes[start + 1] = (uint8_t)(length >> 8);
	m->bytes[start + 2] = (uint8_t)(length >> 16);
}

static void my_packet(struct message *m, uint8_t sequence, const void *bytes,
		      size_t length)
{
	size_t start = my_begin(m, sequence);

	put(m, bytes, length);
	my_end(m, start);
}

/* A value or name shorter than 251 bytes, its length before it. */
static void my_text(struct message *m, const char *text)
{
	uint8_t length = (uint8_t)strlen(text);

	put(m, &length, 1);
	put(m, text, length);
}

static void my_column(struct message *m, uint8_t sequence, const char *table,
		      const char *name)
{
	static const uint8_t rest[13] = { 12, 33, 0, 255, 0, 0, 0, 0xfd };
	size_t start = my_begin(m, sequence);

	my_text(m, "def");
	my_text(m, "shop");
	my_text(m, table);
	my_text(m, table);
	my_text(m, name);
	my_text(m, name);
	put(m, rest, sizeof(rest));
	my_end(m, start);
}

static void my_login(struct generator *g, struct flow *flow)
{
	static const uint8_t greeting[] =
		"\x0a" "8.0.36\0\1\0\0\0abcdefgh\0\x09\xa2\x21\2\0\x08\0\x15"
		"\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0mysql_native_password";
	static const uint8_t login[] =
		"\x09\xa2\x08\0\0\0\0\1\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		"\0\0\0\0\0web\0\x14xxxxxxxxxxxxxxxxxxxxshop\0"
		"mysql_native_password";

	my_packet(&g->message, 0, greeting, sizeof(greeting));
	say(g, flow, SERVER);
	my_packet(&g->message, 1, login, sizeof(login));
	say(g, flow, CLIENT);
	my_packet(&g->message, 2, "\0\0\0\2\0\0\0", 7);
	say(g, flow, SERVER);
}

static void my_row(struct generator *g, uint8_t sequence, uint32_t id)
{
	static const char *const names[] = { "Ann Svensson", "Bob Okafor",
					     "Chiara Rossi", "Daniel Kim",
					     "Evelyn Hernandez-Martinez" };
	struct message *m = &g->message;
	size_t start = my_begin(m, sequence);
	char text[64];

	snprintf(text, sizeof(text), "%" PRIu32, id);
	my_text(m, text);
	my_text(m, names[random_below(g, 5)]);
	snprintf(text, sizeof(text), "user%" PRIu32 "@example.org", id);
	my_text(m, text);
	snprintf(text, sizeof(text), "4929 %04u %04u %04u",
		 random_below(g, 10000), random_below(g, 10000),
		 random_below(g, 10000));
	my_text(m, text);
	snprintf(text, sizeof(text), "%u.%02u", random_below(g, 100000),
		 random_below(g, 100));
	my_text(m, text);
	if (random_below(g, 4)) {
		my_text(m, "2026-03-14 15:09:26");
	} else {
		const uint8_t null = 0xfb;

		put(m, &null, 1);
	}
	my_end(m, start);
}

static void my_result(struct generator *g, struct flow *flow, unsigned rows)
{
	static const char *const columns[] = { "id", "name", "email", "card",
					       "balance", "created_at" };
	struct message *m = &g->message;
	uint32_t id = random_below(g, 10000000);
	uint8_t sequence = 1;

	my_packet(m, sequence++, "\6", 1);
	for (unsigned i = 0; i < 6; i++)
		my_column(m, sequence++, "customers", columns[i]);
	my_packet(m, sequence++, "\xfe\0\0\2\0", 5);
	while (rows--)
		my_row(g, sequence++, id++);
	my_packet(m, sequence, "\xfe\0\0\2\0", 5);
	say(g, flow, SERVER);
}

/* One statement and its answer. */
static void my_turn(struct generator *g, struct flow *flow)
{
	struct message *m = &g->message;
	uint32_t id = random_below(g, 10000000), kind = random_below(g, 20);
	size_t start = my_begin(m, 0);

	put(m, "\3", 1);
	if (kind == 0)
		put_text(m, "UPDATE customers SET balance = balance - %u.50 "
			 "WHERE id = %" PRIu32, random_below(g, 100), id);
	else if (kind == 1)
		put_text(m, "SELECT missing FROM customers WHERE id = %" PRIu32,
			 id);
	else
		put_text(m, "SELECT id, name, email, card, balance, created_at "
			 "FROM customers WHERE id > %" PRIu32
			 " ORDER BY id LIMIT %d", id, kind < 4 ? 1 : ROWS);
	my_end(m, start);
	say(g, flow, CLIENT);
	g->now_ns += 100000 + random_below(g, 400000);
	if (kind > 1) {
		my_result(g, flow, kind < 4 ? 1 : ROWS);
		return;
	}
	if (kind == 0)
		my_packet(m, 1, "\0\1\0\2\0\0\0", 7);
	else
		my_packet(m, 1, "\xff\x1e\4#42S22Unknown column 'missing'", 34);
	say(g, flow, SERVER);
}

/* ---- HTTP ---- */

/* `length` bytes of JSON, or more, to the end of an object. */
static void http_body(struct generator *g, struct message *body, size_t length)
{
	put_text(body, "{\"items\":[");
	while (body->length < length)
		put_text(body, "{\"id\":%" PRIu32 ",\"name\":\"item %" PRIu32
			 "\",\"price\":%u.%02u,\"tags\":[\"a\",\"b\"],"
			 "\"url\":\"https://shop.example.org/i/%" PRIu32 "\"},",
			 random_below(g, 1000000), random_below(g, 1000000),
			 random_below(g, 500), random_below(g, 100),
			 random_below(g, 1000000));
	put_text(body, "{}]}");
}

static void http_chunks(struct message *m, const struct message *body)
{
	size_t at, part;

	put_text(m, "Transfer-Encoding: chunked\r\n\r\n");
	for (at = 0; at < body->length; at += part) {
		part = body->length - at;
		if (part > 8192)
			part = 8192;
		put_text(m, "%zx\r\n", part);
		put(m, body->bytes + at, part);
		put_text(m, "\r\n");
	}
	put_text(m, "0\r\n\r\n");
}

static void http_request(struct generator *g, struct flow *flow,
			 struct message *body)
{
	struct message *m = &g->message;
	bool post = !random_below(g, 5);

	put_text(m, "%s /api/v1/orders/%" PRIu32 "?page=%u HTTP/1.1\r\n"
		 "Host: shop.example.org\r\nUser-Agent: agent/2.1\r\n"
		 "Accept: application/json\r\nAuthorization: Bearer "
		 "c2VjcmV0LW9mLXRoZS1jbGllbnQ\r\n", post ? "POST" : "GET",
		 random_below(g, 1000000), random_below(g, 50));
	body->length = 0;
	if (post) {
		http_body(g, body, 200 + random_below(g, 2000));
		put_text(m, "Content-Type: application/json\r\n"
			 "Content-Length: %zu\r\n", body->length);
	}
	put_text(m, "\r\n");
	put(m, body->bytes, body->length);
	say(g, flow, CLIENT);
}

/* One request and its answer. */
static void http_turn(struct generator *g, struct flow *flow)
{
	static struct message body;
	struct message *m = &g->message;
	bool missing = !random_below(g, 25);
	size_t size = 200u << random_below(g, 9);

	http_request(g, flow, &body);
	g->now_ns += 100000 + random_below(g, 400000);
	put_text(m, "HTTP/1.1 %s\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\n"
		 "Server: nginx\r\nContent-Type: application/json\r\n"
		 "Connection: keep-alive\r\n", missing ? "404 Not Found" :
							 "200 OK");
	body.length = 0;
	http_body(g, &body, size + random_below(g, (uint32_t)size / 4));
	if (!random_below(g, 4)) {
		http_chunks(m, &body);
	} else {
		put_text(m, "Content-Length: %zu\r\n\r\n", body.length);
		put(m, body.bytes, body.length);
	}
	say(g, flow, SERVER);
}

/* ---- the file ---- */

static void connect_flow(struct generator *g, unsigned number, bool mysql)
{
	struct flow *flow = &g->flows[number];

	flow->number = number;
	flow->next[CLIENT] = random_below(g, UINT32_MAX);
	flow->next[SERVER] = random_below(g, UINT32_MAX);
	packet(g, flow, CLIENT, SYN, NULL, 0);
	packet(g, flow, SERVER, SYN | ACK, NULL, 0);
	packet(g, flow, CLIENT, ACK, NULL, 0);
	if (mysql)
		my_login(g, flow);
}

static void close_flow(struct generator *g, struct flow *flow)
{
	packet(g, flow, CLIENT, FIN | ACK, NULL, 0);
	packet(g, flow, SERVER, FIN | ACK, NULL, 0);
	packet(g, flow, CLIENT, ACK, NULL, 0);
}

static void generate(struct generator *g, bool mysql)
{
	struct flow *flow;

	write_file_header(g);
	for (unsigned i = 0; i < CONNECTIONS; i++)
		connect_flow(g, i, mysql);
	for (; g->written < g->limit; g->statements++) {
		flow = &g->flows[random_below(g, CONNECTIONS)];
		if (mysql)
			my_turn(g, flow);
		else
			http_turn(g, flow);
	}
	for (unsigned i = 0; i < CONNECTIONS; i++)
		close_flow(g, &g->flows[i]);
}

int main(int argc, char **argv)
{
	static struct generator g = { .now_ns = START_NS,
				      .random = 0x9e3779b97f4a7c15ULL };
	bool mysql = argc == 4 && !strcmp(argv[1], "mysql");
	char *end = NULL;

	if (argc == 4)
		g.limit = strtoull(argv[2], &end, 10);
	if (!end || *end || !g.limit || (!mysql && strcmp(argv[1], "http"))) {
		fprintf(stderr, "usage: gencapture mysql|http BYTES FILE\n");
		return 2;
	}
	g.port = mysql ? 3306 : 80;
	g.file = fopen(argv[3], "wb");
	if (!g.file) {
		fprintf(stderr, "gencapture: open %s: %s\n", argv[3],
			strerror(errno));
		return 1;
	}
	generate(&g, mysql);
	if (fclose(g.file)) {
		fprintf(stderr, "gencapture: write %s: %s\n", argv[3],
			strerror(errno));
		return 1;
	}
	printf("%" PRIu64 "\n", g.statements); /* the truth */
	return 0;
}
