/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap_build.h - capture files made in memory, and what is read from them.
 *
 * A test writes packets of one connection, A to B, as a program would; what
 * comes out of the streams is a line a connection:
 *
 *	192.0.2.1:40000 192.0.2.2:3306 start out "ping" in "po<2>ng"
 *
 * where <n> is a gap of n bytes, and each line was checked to balance.
 */
#ifndef DATASNOOP_TESTS_UNIT_PCAP_BUILD_H
#define DATASNOOP_TESTS_UNIT_PCAP_BUILD_H

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "streams/pcap.h"

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

enum { A, B }; /* the ends: 192.0.2.1:40000 and 192.0.2.2:3306, or IPv6 */

#define BUILD_BOUND   64 /* connections at once */
#define BUILD_FILE_MAX (64u << 20)

struct build {
	/* how packets are made */
	int link_type;
	bool pcapng, swapped, nanoseconds, ipv6;
	bool loop_swapped;	   /* of BSD loopback: the other byte order */
	unsigned tags;		   /* VLAN tags */
	const uint16_t *tag_types;
	uint32_t snap_length;	   /* 0: none */
	size_t fragment;	   /* bytes of IP payload in each; 0: whole */
	const uint8_t *extensions; /* of IPv6, before the TCP header */
	size_t extensions_length;
	uint8_t next_header;	   /* of IPv6, with extensions */
	size_t tcp_options;	   /* bytes of them */
	bool no_ip_length;	   /* as segmentation offload has it */
	size_t padding;		   /* behind the IP packet */
	uint16_t ports[2];
	uint32_t interface;	   /* of a pcapng packet */
	const char *comment;	   /* of the next pcapng packet */
	uint64_t time_ns, step_ns;
	/* the file */
	uint8_t *bytes;
	size_t length, room;
	uint16_t id;
	/* what was read */
	struct account account;
	char *lines;
	size_t lines_length;
	FILE *out;
	char error[512];
	uint64_t first_ns; /* of the first byte that came */
	unsigned opened;
	struct process process; /* of the connection that closed last */
	uint32_t tid;
	unsigned warnings;
	char order[32]; /* the first byte of each window, as they came */
	size_t ordered;
};

static inline struct build build_new(void)
{
	return (struct build){
		.link_type = 1,
		.ports = { 40000, 3306 },
		.time_ns = 1700000000000001000ULL,
		.step_ns = 1000000,
	};
}

static inline void build_raw(struct build *b, const void *bytes, size_t length)
{
	if (b->length + length > b->room) {
		b->room = 2 * (b->length + length);
		b->bytes = realloc(b->bytes, b->room);
		ck_assert_ptr_nonnull(b->bytes);
	}
	if (length)
		memcpy(b->bytes + b->length, bytes, length);
	b->length += length;
}

static inline void build_u8(struct build *b, uint8_t value)
{
	build_raw(b, &value, 1);
}

/* In the file's byte order. */
static inline void build_u16(struct build *b, uint16_t value)
{
	if (b->swapped)
		value = __builtin_bswap16(value);
	build_raw(b, &value, sizeof(value));
}

static inline void build_u32(struct build *b, uint32_t value)
{
	if (b->swapped)
		value = __builtin_bswap32(value);
	build_raw(b, &value, sizeof(value));
}

static inline void build_pad(struct build *b, size_t length)
{
	while (length++ % 4)
		build_u8(b, 0);
}

static inline void build_option(struct build *b, uint16_t code,
				const void *value, uint16_t length)
{
	build_u16(b, code);
	build_u16(b, length);
	build_raw(b, value, length);
	build_pad(b, length);
}

/* A pcapng block around what was written since `start` (its body). */
static inline void build_block(struct build *b, size_t start, uint32_t type)
{
	uint32_t length = (uint32_t)(b->length - start) + 12;
	uint32_t head[2] = { type, length };

	if (b->swapped)
		for (int i = 0; i < 2; i++)
			head[i] = __builtin_bswap32(head[i]);
	build_raw(b, head, sizeof(head));
	memmove(b->bytes + start + 8, b->bytes + start,
		b->length - start - 8);
	memcpy(b->bytes + start, head, sizeof(head));
	build_u32(b, length);
}

/* A section; `application` may be NULL. */
static inline void build_section(struct build *b, const char *application)
{
	size_t start = b->length;

	build_u32(b, 0x1a2b3c4d);
	build_u16(b, 1);
	build_u16(b, 0);
	build_u32(b, UINT32_MAX);
	build_u32(b, UINT32_MAX);
	if (application) {
		build_option(b, 4, application, (uint16_t)strlen(application));
		build_option(b, 0, NULL, 0);
	}
	build_block(b, start, 0x0a0d0d0a);
}

/* An interface; resolution 0: no option for it. */
static inline void build_interface(struct build *b, uint16_t link_type,
				   uint32_t snap_length, uint8_t resolution)
{
	size_t start = b->length;

	build_u16(b, link_type);
	build_u16(b, 0);
	build_u32(b, snap_length);
	if (resolution) {
		build_option(b, 9, &resolution, 1);
		build_option(b, 0, NULL, 0);
	}
	build_block(b, start, 1);
}

/* The file's beginning, of the kind that was chosen. */
static inline void build_begin(struct build *b)
{
	b->length = 0;
	if (b->pcapng) {
		build_section(b, NULL);
		build_interface(b, (uint16_t)b->link_type, b->snap_length, 9);
		return;
	}
	build_u32(b, b->nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4);
	build_u16(b, 2);
	build_u16(b, 4);
	build_u32(b, 0);
	build_u32(b, 0);
	build_u32(b, b->snap_length ? b->snap_length : 262144);
	build_u32(b, (uint32_t)b->link_type);
}

/* A packet as it is on the link. */
static inline void build_packet(struct build *b, const uint8_t *bytes,
				size_t length)
{
	uint32_t captured = (uint32_t)length;
	size_t start = b->length + 28;

	b->time_ns += b->step_ns;
	if (b->snap_length && captured > b->snap_length)
		captured = b->snap_length;
	if (!b->pcapng) {
		build_u32(b, (uint32_t)(b->time_ns / 1000000000));
		build_u32(b, (uint32_t)(b->time_ns % 1000000000 /
					(b->nanoseconds ? 1 : 1000)));
		build_u32(b, captured);
		build_u32(b, (uint32_t)length);
		build_raw(b, bytes, captured);
		return;
	}
	start = b->length;
	build_u32(b, b->interface);
	build_u32(b, (uint32_t)(b->time_ns >> 32));
	build_u32(b, (uint32_t)b->time_ns);
	build_u32(b, captured);
	build_u32(b, (uint32_t)length);
	build_raw(b, bytes, captured);
	build_pad(b, captured);
	if (b->comment) {
		build_option(b, 1, b->comment, (uint16_t)strlen(b->comment));
		build_option(b, 0, NULL, 0);
	}
	b->comment = NULL;
	build_block(b, start, 6);
}

static inline void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

/* The link header; returns its length. */
static inline size_t build_link(const struct build *b, uint8_t *at)
{
	unsigned type = b->ipv6 ? 0x86dd : 0x0800;
	size_t length = 0, type_at = 0;

	switch (b->link_type) {
	case 1:
		length = 14, type_at = 12;
		break;
	case 113:
		length = 16, type_at = 14;
		break;
	case 276:
		length = 20, type_at = 0;
		break;
	case 0:
	case 108:
		put32(at, b->ipv6 ? 10 : 2);
		if (b->loop_swapped) {
			uint32_t family = b->ipv6 ? 10 : 2;

			memcpy(at, &family, 4);
		}
		return 4;
	default:
		return 0;
	}
	memset(at, 0, length);
	put16(at + type_at, b->tags ? b->tag_types[0] : type);
	for (unsigned i = 0; i < b->tags; i++, length += 4) {
		put16(at + length, i + 1);
		put16(at + length + 2,
		      i + 1 < b->tags ? b->tag_types[i + 1] : type);
	}
	return length;
}

/* An IP packet, or a fragment of one, with that payload. */
static inline void build_ip(struct build *b, int from, uint8_t protocol,
			    const uint8_t *payload, size_t length,
			    size_t offset, bool more)
{
	uint8_t *packet = calloc(1, length + 512 + b->padding);
	uint8_t *ip = packet + build_link(b, packet), *at = ip;
	unsigned total;

	ck_assert_ptr_nonnull(packet);
	if (b->ipv6) {
		ip[0] = 0x60;
		ip[6] = b->extensions ? b->next_header : protocol;
		ip[8] = ip[24] = 0x20;
		ip[9] = ip[25] = 0x01;
		ip[23] = from == A ? 1 : 2;
		ip[39] = from == A ? 2 : 1;
		at = ip + 40;
		if (b->extensions_length)
			memcpy(at, b->extensions, b->extensions_length);
		at += b->extensions_length;
		if (offset || more) {
			ip[6] = 44;
			at[0] = protocol;
			put16(at + 2, (unsigned)offset | more);
			put32(at + 4, b->id);
			at += 8;
		}
	} else {
		ip[0] = 0x45;
		put16(ip + 4, b->id);
		put16(ip + 6, (unsigned)(offset / 8) | (more ? 0x2000 : 0));
		ip[9] = protocol;
		put32(ip + 12, from == A ? 0xc0000201 : 0xc0000202);
		put32(ip + 16, from == A ? 0xc0000202 : 0xc0000201);
		at = ip + 20;
	}
	memcpy(at, payload, length);
	at += length;
	total = (unsigned)(at - ip) - (b->ipv6 ? 40 : 0);
	if (!b->no_ip_length)
		put16(ip + (b->ipv6 ? 4 : 2), total);
	build_packet(b, packet, (size_t)(at - packet) + b->padding);
	free(packet);
}

/* A TCP segment with `length` bytes of data. */
static inline void build_tcp(struct build *b, int from, uint32_t seq,
			     uint32_t ack, unsigned flags, const void *data,
			     size_t length)
{
	size_t header = 20 + b->tcp_options, at, cut = b->fragment;
	uint8_t *segment = calloc(1, header + length);

	ck_assert_ptr_nonnull(segment);
	put16(segment, b->ports[from]);
	put16(segment + 2, b->ports[!from]);
	put32(segment + 4, seq);
	put32(segment + 8, ack);
	segment[12] = (uint8_t)(header / 4 << 4);
	segment[13] = (uint8_t)flags;
	memset(segment + 20, 1, b->tcp_options);
	if (length)
		memcpy(segment + header, data, length);
	length += header;
	b->id++;
	for (at = 0; at < length; at += cut) {
		if (!b->fragment || cut > length - at)
			cut = length - at;
		build_ip(b, from, 6, segment + at, cut, at, at + cut < length);
	}
	free(segment);
}

/* Likewise of text, with an ACK. */
static inline void build_text(struct build *b, int from, uint32_t seq,
			      uint32_t ack, const char *text)
{
	build_tcp(b, from, seq, ack, ACK, text, strlen(text));
}

/* The three segments that open a connection: ISNs `a` and `c`. */
static inline void build_open(struct build *b, uint32_t a, uint32_t c)
{
	build_tcp(b, A, a, 0, SYN, NULL, 0);
	build_tcp(b, B, c, a + 1, SYN | ACK, NULL, 0);
	build_tcp(b, A, a + 1, c + 1, ACK, NULL, 0);
}

/* What a connection said, as it is read. */
struct said {
	char *text[2];
	size_t length[2];
	FILE *out[2];
};

static inline void say(struct build *b, struct said *said,
		       struct connection *c, int direction)
{
	struct window window;
	enum stream_has has;
	uint64_t gap;

	while ((has = stream_head(c->streams[direction], &window, &gap)) !=
	       STREAM_NONE) {
		if (has == STREAM_GAP) {
			fprintf(said->out[direction], "<%" PRIu64 ">", gap);
			stream_take(c->streams[direction], gap);
			continue;
		}
		if (!b->first_ns)
			b->first_ns = window_first_ns(&window, 0);
		b->tid = window_tid(&window, 0);
		if (b->ordered < sizeof(b->order) - 1)
			b->order[b->ordered++] = (char)*window.bytes;
		fwrite(window.bytes, 1, window.length, said->out[direction]);
		stream_take(c->streams[direction], window.length);
	}
}

static inline void visit(void *context, struct connection *c)
{
	struct build *b = context;
	struct said *said = (struct said *)c->conversation;

	if (!said) {
		said = calloc(1, sizeof(*said));
		ck_assert_ptr_nonnull(said);
		for (int i = 0; i < 2; i++)
			said->out[i] = open_memstream(&said->text[i],
						      &said->length[i]);
		c->conversation = (struct conversation *)said;
	}
	say(b, said, c, BATCH_OUT);
	say(b, said, c, BATCH_IN);
	if (!c->closed)
		return;
	for (int i = 0; i < 2; i++)
		fclose(said->out[i]);
	fprintf(b->out, "%s:%u %s:%u %s out \"%s\" in \"%s\"\n",
		c->local.address, c->local.port, c->remote.address,
		c->remote.port, c->midstream ? "mid" : "start",
		said->text[BATCH_OUT], said->text[BATCH_IN]);
	b->process = c->process;
	for (int i = 0; i < 2; i++)
		free(said->text[i]);
	free(said);
	c->conversation = NULL;
}

static inline void on_opened(void *context, const struct connection *c)
{
	struct build *b = context;

	(void)c;
	b->opened++;
}

static inline void on_warning(void *context, const char *message)
{
	struct build *b = context;

	ck_assert_ptr_nonnull(message);
	b->warnings++;
}

/*
 * Read the file; the lines are in b->lines, why it failed in b->error.
 * Returns how it ended; OFFLINE_FAILED when it could not be opened, too.
 */
static inline enum offline_status build_read(struct build *b)
{
	struct connection_table *table = connection_table_new(
		&b->account, 2 * BUILD_BOUND, 8 << 20, 64 << 20);
	const struct offline_settings settings = {
		.connections = table,
		.account = &b->account,
		.bound = BUILD_BOUND,
		.opened = on_opened,
		.warning = on_warning,
		.context = b,
	};
	enum offline_status status = OFFLINE_FAILED;
	struct offline *offline = NULL;
	FILE *file = b->length ? fmemopen(b->bytes, b->length, "r") :
				 fopen("/dev/null", "r");

	ck_assert(file && table);
	free(b->lines);
	b->lines = NULL;
	b->out = open_memstream(&b->lines, &b->lines_length);
	*b->error = '\0';
	b->account = (struct account){ .packets = 0 };
	b->first_ns = 0;
	memset(b->order, 0, sizeof(b->order));
	b->ordered = 0;
	if (!offline_open_file(&offline, file, &settings, b->error,
			       sizeof(b->error))) {
		while ((status = offline_read(offline)) == OFFLINE_MORE)
			connection_table_pass(table, false, visit, b);
		if (status == OFFLINE_FAILED)
			snprintf(b->error, sizeof(b->error), "%s",
				 offline_error(offline));
		offline_end(offline);
		connection_table_pass(table, true, visit, b);
		offline_free(offline);
	}
	fclose(b->out);
	ck_assert_uint_eq(b->account.bytes_seen,
			  b->account.bytes_delivered +
				  account_lost(&b->account));
	ck_assert_uint_eq(b->account.packets,
			  b->account.packets_tcp + b->account.packets_other +
				  b->account.packets_bad +
				  b->account.packets_stray +
				  b->account.packets_fragments);
	connection_table_free(table);
	return status;
}

static inline void build_free(struct build *b)
{
	free(b->bytes);
	free(b->lines);
}

/* The whole file, and nothing wrong with it, says so and no more. */
static inline void build_expect(struct build *b, const char *lines)
{
	ck_assert_int_eq(build_read(b), OFFLINE_END);
	ck_assert_str_eq(b->lines, lines);
	build_free(b);
}

/* A suite's main(). */
static inline int build_main(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
