/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pcap.c - link layers, IP and its fragments, and files that are damaged.
 */
#include "tests/unit/pcap_build.h"

#include "streams/pcap_ip.h"

#define PLAIN "192.0.2.1:40000 192.0.2.2:3306 start out \"ping\" in \"pong\"\n"
#define PLAIN6 \
	"2001::1:40000 2001::2:3306 start out \"ping\" in \"pong\"\n"

/* A connection of one question and one answer. */
static void add_connection(struct build *b)
{
	build_open(b, 1000, 2000);
	build_text(b, A, 1001, 2001, "ping");
	build_text(b, B, 2001, 1005, "pong");
	build_tcp(b, A, 1005, 2005, FIN | ACK, NULL, 0);
	build_tcp(b, B, 2005, 1006, FIN | ACK, NULL, 0);
	build_tcp(b, A, 1006, 2006, ACK, NULL, 0);
}

static void expect_connection(struct build *b)
{
	build_begin(b);
	add_connection(b);
	build_expect(b, b->ipv6 ? PLAIN6 : PLAIN);
}

static const struct {
	int type;
	bool ipv6, loop_swapped;
} links[] = {
	{ 1, false, false },   { 1, true, false },   { 113, false, false },
	{ 113, true, false },  { 276, false, false }, { 276, true, false },
	{ 101, false, false }, { 101, true, false }, { 12, false, false },
	{ 228, false, false }, { 229, true, false }, { 0, false, false },
	{ 0, false, true },    { 0, true, true },    { 0, true, false },
	{ 108, false, false }, { 108, true, false },
};

START_TEST(test_links)
{
	for (int pcapng = 0; pcapng < 2; pcapng++) {
		struct build b = build_new();

		b.link_type = links[_i].type;
		b.ipv6 = links[_i].ipv6;
		b.loop_swapped = links[_i].loop_swapped;
		b.pcapng = pcapng;
		expect_connection(&b);
	}
}
END_TEST

/* 802.1Q, QinQ of either sort, and on a cooked link too. */
START_TEST(test_tags)
{
	static const uint16_t types[][2] = { { 0x8100, 0x8100 },
					     { 0x88a8, 0x8100 },
					     { 0x9100, 0x8100 } };
	static const int link_types[] = { 1, 113, 276 };

	for (size_t i = 0; i < 3; i++)
		for (unsigned tags = 1; tags <= 2; tags++) {
			struct build b = build_new();

			b.link_type = link_types[_i];
			b.tags = tags;
			b.tag_types = types[i];
			expect_connection(&b);
		}
}
END_TEST

/* Without end, tags are no IP packet; and no crash. */
START_TEST(test_tags_only)
{
	struct build b = build_new();
	uint8_t frame[64];

	for (size_t i = 0; i < sizeof(frame); i += 2)
		put16(frame + i, 0x8100);
	build_begin(&b);
	build_packet(&b, frame, sizeof(frame));
	build_packet(&b, frame, 17);
	build_packet(&b, frame, 13);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_uint_eq(b.account.packets_other, 1);
	ck_assert_uint_eq(b.account.packets_bad, 2);
	build_free(&b);
}
END_TEST

START_TEST(test_file_kinds)
{
	struct build b = build_new();

	b.swapped = _i & 1;
	b.nanoseconds = _i & 2;
	b.pcapng = _i & 4;
	build_begin(&b);
	add_connection(&b);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, PLAIN);
	/* The fourth packet, to the nanosecond where the file has them. */
	ck_assert_uint_eq(b.first_ns, 1700000000000001000ULL + 4000000);
	ck_assert_uint_eq(b.account.packets, 8);
	ck_assert_uint_eq(b.account.packets_tcp, 8);
	build_free(&b);
}
END_TEST

START_TEST(test_nanoseconds)
{
	struct build b = build_new();

	b.nanoseconds = !_i;
	b.pcapng = _i;
	b.time_ns = 1700000000123456789ULL;
	b.step_ns = 0;
	build_begin(&b);
	add_connection(&b);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_uint_eq(b.first_ns, 1700000000123456789ULL);
	build_free(&b);
}
END_TEST

/* What Ethernet adds to make 60 bytes is not data, nor are TCP's options. */
START_TEST(test_padding)
{
	struct build b = build_new();

	b.padding = 6;
	b.tcp_options = 12;
	b.ipv6 = _i;
	expect_connection(&b);
}
END_TEST

/* Of the sender's segmentation offload: all there is on the wire. */
START_TEST(test_no_length)
{
	struct build b = build_new();

	b.no_ip_length = true;
	b.ipv6 = _i;
	expect_connection(&b);
}
END_TEST

START_TEST(test_extensions)
{
	/* Hop-by-hop, routing, destination options, AH of 24 bytes, atomic
	 * fragment: each begins with what follows. */
	static const uint8_t headers[] = {
		43, 0, 1, 4, 0, 0, 0, 0,	   /* hop-by-hop */
		60, 1, 4, 0, 0, 0, 0, 0,	   /* routing, 16 bytes */
		0,  0, 0, 0, 0, 0, 0, 0,
		51, 0, 1, 4, 0, 0, 0, 0,	   /* destination options */
		44, 4, 0, 0, 0, 0, 0, 0,	   /* AH */
		0,  0, 0, 0, 0, 0, 0, 0,
		0,  0, 0, 0, 0, 0, 0, 0,
		6,  0, 0, 0, 0, 0, 0, 9,	   /* fragment: the whole */
	};
	struct build b = build_new();

	b.ipv6 = true;
	b.next_header = 0;
	b.extensions = headers;
	b.extensions_length = sizeof(headers);
	expect_connection(&b);
}
END_TEST

/* Extension headers without end are malformed, whatever their number. */
START_TEST(test_extensions_endless)
{
	struct build b = build_new();
	uint8_t headers[400] = { 0 };

	for (size_t i = 0; i < sizeof(headers); i += 8)
		headers[i] = 60;
	b.ipv6 = true;
	b.next_header = 60;
	b.extensions = headers;
	b.extensions_length = sizeof(headers);
	build_begin(&b);
	build_text(&b, A, 1, 1, "no");
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_uint_eq(b.account.packets_bad, 1);
	build_free(&b);
}
END_TEST

static char long_text[4001];

static void make_long_text(void)
{
	for (size_t i = 0; i < sizeof(long_text) - 1; i++)
		long_text[i] = (char)('a' + i * 7 % 26);
}

/* A line of a connection whose answer is the long text. */
static void expect_long(struct build *b)
{
	char line[4200];

	snprintf(line, sizeof(line),
		 "%s:40000 %s:3306 start out \"ping\" in \"%s\"\n",
		 b->ipv6 ? "2001::1" : "192.0.2.1",
		 b->ipv6 ? "2001::2" : "192.0.2.2", long_text);
	ck_assert_int_eq(build_read(b), OFFLINE_END);
	ck_assert_str_eq(b->lines, line);
}

START_TEST(test_fragments)
{
	struct build b = build_new();

	make_long_text();
	b.ipv6 = _i;
	build_begin(&b);
	build_open(&b, 1000, 2000);
	build_text(&b, A, 1001, 2001, "ping");
	b.fragment = 1480;
	build_text(&b, B, 2001, 1005, long_text);
	expect_long(&b);
	ck_assert_uint_eq(b.account.packets_fragments, 2);
	ck_assert_uint_eq(b.account.fragments_dropped, 0);
	build_free(&b);
}
END_TEST

/* The TCP segment of B's long text, as IP carries it. */
static size_t make_segment(uint8_t *segment)
{
	memset(segment, 0, 20);
	put16(segment, 3306);
	put16(segment + 2, 40000);
	put32(segment + 4, 2001);
	put32(segment + 8, 1005);
	segment[12] = 0x50;
	segment[13] = ACK;
	memcpy(segment + 20, long_text, sizeof(long_text) - 1);
	return 20 + sizeof(long_text) - 1;
}

/* Any order, twice, overlapping: the first bytes count. */
START_TEST(test_fragments_mixed)
{
	static const struct {
		size_t at, length;
		bool damaged;
	} pieces[] = {
		{ 3200, 820, false }, { 800, 800, false }, { 808, 400, true },
		{ 1600, 1600, false }, { 1592, 16, true }, { 0, 800, false },
		{ 0, 800, false },
	};
	struct build b = build_new();
	uint8_t segment[4100], copy[4100];
	size_t length;

	make_long_text();
	length = make_segment(segment);
	b.ipv6 = _i;
	build_begin(&b);
	build_open(&b, 1000, 2000);
	build_text(&b, A, 1001, 2001, "ping");
	b.id = 77;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		memcpy(copy, segment, length);
		if (pieces[i].damaged)
			memset(copy, 'X', length);
		build_ip(&b, B, 6, copy + pieces[i].at, pieces[i].length,
			 pieces[i].at,
			 pieces[i].at + pieces[i].length < length);
	}
	expect_long(&b);
	ck_assert_uint_eq(b.account.packets_tcp, 5);
	ck_assert_uint_eq(b.account.fragments_dropped, 1);
	build_free(&b);
}
END_TEST

/* A fragment that lacks: its datagram is a gap, and is counted. */
START_TEST(test_fragment_lost)
{
	struct build b = build_new();
	uint8_t segment[4100];
	size_t length;

	make_long_text();
	length = make_segment(segment);
	b.ipv6 = _i;
	build_begin(&b);
	build_open(&b, 1000, 2000);
	build_text(&b, A, 1001, 2001, "ping");
	build_ip(&b, B, 6, segment, 1600, 0, true);
	build_ip(&b, B, 6, segment + 3200, length - 3200, 3200, false);
	build_text(&b, B, 6001, 1005, "pong");
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_ptr_nonnull(strstr(b.lines, "in \"<4000>pong\"\n"));
	ck_assert_uint_eq(b.account.fragments_dropped, 2);
	ck_assert_uint_eq(b.account.lost[LOSS_NOT_IN_FILE], 4000);
	build_free(&b);
}
END_TEST

/* First fragments without end: a bounded number is kept. */
START_TEST(test_fragments_flood)
{
	struct build b = build_new();
	uint8_t segment[1600] = { 0 };
	unsigned i;

	build_begin(&b);
	for (i = 0; i < 3 * IP_DATAGRAMS_MAX; i++) {
		b.id = (uint16_t)i;
		build_ip(&b, B, 6, segment, 800, 0, true);
	}
	add_connection(&b);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, PLAIN);
	ck_assert_uint_eq(b.account.fragments_dropped, i);
	build_free(&b);
}
END_TEST

/* Beyond 65,535 bytes, empty, or cut by the snap length: of no use. */
START_TEST(test_fragments_bad)
{
	struct build b = build_new();
	uint8_t segment[1600] = { 0 };

	b.snap_length = 1000;
	build_begin(&b);
	build_ip(&b, B, 6, segment, 800, 65528, false);
	build_ip(&b, B, 6, segment, 0, 8, true);
	build_ip(&b, B, 6, segment, 1200, 0, true);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_uint_eq(b.account.fragments_dropped, 3);
	ck_assert_uint_eq(b.account.packets_fragments, 3);
	build_free(&b);
}
END_TEST

/* Every length that a packet may be cut to, in a file of either format. */
START_TEST(test_cut_anywhere)
{
	for (uint32_t snap = 1; snap < 100; snap++) {
		struct build b = build_new();

		b.snap_length = snap;
		b.ipv6 = _i & 1;
		b.pcapng = _i & 2;
		b.tcp_options = 12;
		build_begin(&b);
		add_connection(&b);
		ck_assert_int_eq(build_read(&b), OFFLINE_END);
		ck_assert_uint_eq(b.account.packets, 8);
		build_free(&b);
	}
}
END_TEST

START_TEST(test_not_tcp)
{
	struct build b = build_new();
	uint8_t bytes[60] = { 0 };

	build_begin(&b);
	build_ip(&b, A, 17, bytes, 30, 0, false); /* UDP */
	put16(bytes + 12, 0x0806);		  /* ARP */
	build_packet(&b, bytes, sizeof(bytes));
	put16(bytes + 12, 0x0800); /* IP of version 0, and none at all */
	build_packet(&b, bytes, sizeof(bytes));
	build_packet(&b, bytes, 14);
	add_connection(&b);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, PLAIN);
	ck_assert_uint_eq(b.account.packets_other, 2);
	ck_assert_uint_eq(b.account.packets_bad, 2);
	build_free(&b);
}
END_TEST

/* Header lengths that cannot be. */
START_TEST(test_bad_headers)
{
	struct build b = build_new();
	size_t packet;

	build_begin(&b);
	for (int i = 0; i < 3; i++) {
		packet = b.length + 16 + 14;
		build_text(&b, A, 1, 1, "x");
		if (i == 0)
			b.bytes[packet] = 0x44; /* IP header of 16 bytes */
		else if (i == 1)
			b.bytes[packet + 20 + 12] = 0x40; /* TCP's */
		else
			b.bytes[packet + 20 + 12] = 0xf0;
	}
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_uint_eq(b.account.packets_bad, 3);
	build_free(&b);
}
END_TEST

/* A file cut off anywhere: what was read counts, and it is said. */
START_TEST(test_truncated)
{
	struct build b = build_new();
	size_t whole;

	b.pcapng = _i;
	build_begin(&b);
	add_connection(&b);
	whole = b.length;
	for (b.length = 0; b.length < whole; b.length++) {
		enum offline_status status = build_read(&b);

		if (status == OFFLINE_FAILED)
			ck_assert(*b.error && !strchr(b.error, '\n'));
	}
	b.length = whole - 5;
	ck_assert_int_eq(build_read(&b), OFFLINE_FAILED);
	ck_assert_ptr_nonnull(strstr(b.error, "truncated"));
	ck_assert_uint_eq(b.account.packets, 7);
	ck_assert_str_eq(b.lines, PLAIN);
	b.length = 0;
	ck_assert_int_eq(build_read(&b), OFFLINE_FAILED);
	ck_assert_str_eq(b.error, "the file is empty");
	build_free(&b);
}
END_TEST

START_TEST(test_not_a_capture)
{
	static const char *const texts[] = { "#!/bin/sh\necho no\n", "x",
					     "\n\r\r\n nothing of pcapng",
					     "\n" };
	struct build b = build_new();

	build_raw(&b, texts[_i], strlen(texts[_i]));
	ck_assert_int_eq(build_read(&b), OFFLINE_FAILED);
	ck_assert(*b.error && !strchr(b.error, '\n'));
	build_free(&b);
}
END_TEST

START_TEST(test_unknown_link)
{
	struct build b = build_new();

	b.link_type = 105; /* IEEE 802.11 */
	b.pcapng = _i;
	build_begin(&b);
	add_connection(&b);
	if (!_i) {
		ck_assert_int_eq(build_read(&b), OFFLINE_FAILED);
		ck_assert_ptr_nonnull(strstr(b.error, "link type 105"));
	} else {
		ck_assert_int_eq(build_read(&b), OFFLINE_END);
		ck_assert_uint_eq(b.account.packets_other, 8);
		ck_assert_uint_eq(b.warnings, 1);
	}
	build_free(&b);
}
END_TEST

START_TEST(test_no_file)
{
	struct account account = { .packets = 0 };
	struct connection_table *table =
		connection_table_new(&account, 4, 1 << 20, 1 << 20);
	const struct offline_settings settings = { .connections = table,
						   .account = &account,
						   .bound = 4 };
	struct offline *offline = NULL;
	char text[256] = "";

	ck_assert_int_eq(offline_open(&offline, "/nonexistent/file", &settings,
				      text, sizeof(text)), -1);
	ck_assert_str_eq(text, "No such file or directory");
	ck_assert_int_eq(offline_open(&offline, "/", &settings, text,
				      sizeof(text)), -1);
	ck_assert_str_eq(text, "Is a directory");
	ck_assert_int_eq(offline_open(&offline, "/dev/null", &settings, text,
				      sizeof(text)), -1);
	ck_assert_str_eq(text, "the file is empty");
	ck_assert_ptr_null(offline);
	connection_table_free(table);
}
END_TEST

int main(void)
{
	Suite *all = suite_create("pcap");
	TCase *cases = tcase_create("all");

	tcase_add_loop_test(cases, test_links, 0,
			    sizeof(links) / sizeof(*links));
	tcase_add_loop_test(cases, test_tags, 0, 3);
	tcase_add_test(cases, test_tags_only);
	tcase_add_loop_test(cases, test_file_kinds, 0, 8);
	tcase_add_loop_test(cases, test_nanoseconds, 0, 2);
	tcase_add_loop_test(cases, test_padding, 0, 2);
	tcase_add_loop_test(cases, test_no_length, 0, 2);
	tcase_add_test(cases, test_extensions);
	tcase_add_test(cases, test_extensions_endless);
	tcase_add_loop_test(cases, test_fragments, 0, 2);
	tcase_add_loop_test(cases, test_fragments_mixed, 0, 2);
	tcase_add_loop_test(cases, test_fragment_lost, 0, 2);
	tcase_add_test(cases, test_fragments_flood);
	tcase_add_test(cases, test_fragments_bad);
	tcase_add_loop_test(cases, test_cut_anywhere, 0, 4);
	tcase_add_test(cases, test_not_tcp);
	tcase_add_test(cases, test_bad_headers);
	tcase_add_loop_test(cases, test_truncated, 0, 2);
	tcase_add_loop_test(cases, test_not_a_capture, 0, 4);
	tcase_add_loop_test(cases, test_unknown_link, 0, 2);
	tcase_add_test(cases, test_no_file);
	suite_add_tcase(all, cases);
	return build_main(all);
}
