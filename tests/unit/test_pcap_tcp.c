/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pcap_tcp.c - segments in any order, repeated, lost: the same streams.
 */
#include "tests/unit/pcap_build.h"

#include "streams/pcap_tcp.h"

#define ENDS "192.0.2.1:40000 192.0.2.2:3306 "
#define SECOND 1000000000ULL

static struct build begin(void)
{
	struct build b = build_new();

	build_begin(&b);
	return b;
}

/* One connection, opened, with ISNs 1000 and 2000. */
static struct build begin_open(void)
{
	struct build b = begin();

	build_open(&b, 1000, 2000);
	return b;
}

START_TEST(test_order)
{
	struct build b = begin_open();

	build_text(&b, A, 1006, 2001, " two ");
	build_text(&b, A, 1011, 2001, "three");
	build_text(&b, A, 1001, 2001, "one1 ");
	build_expect(&b, ENDS "start out \"one1  two three\" in \"\"\n");
}
END_TEST

/* The first data wins: repeated whole, in part, around, with other bytes. */
START_TEST(test_repeated)
{
	struct build b = begin_open();

	build_text(&b, A, 1001, 2001, "abcdef");
	build_text(&b, A, 1001, 2001, "ABCDEF");
	build_text(&b, A, 1003, 2001, "XX");
	build_text(&b, A, 1005, 2001, "YYghi");
	build_text(&b, A, 1014, 2001, "nop");
	build_text(&b, A, 1008, 2001, "ZZjklmZZZZq");
	build_text(&b, A, 999, 2001, "??");
	build_expect(&b, ENDS "start out \"abcdefghijklmnopZq\" in \"\"\n");
}
END_TEST

/* What lacks is a gap of its exact size, at the end of the file at latest. */
START_TEST(test_lost)
{
	struct build b = begin_open();

	build_text(&b, A, 1001, 2001, "one");
	build_text(&b, A, 1011, 2001, "two");
	build_text(&b, B, 2101, 1014, "answer");
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, ENDS "start out \"one<7>two\" "
				       "in \"<100>answer\"\n");
	ck_assert_uint_eq(b.account.lost[LOSS_NOT_IN_FILE], 107);
	ck_assert_uint_eq(b.account.bytes_seen, 119);
	build_free(&b);
}
END_TEST

/* What an ACK tells of is lost though nothing came behind it. */
START_TEST(test_lost_tail)
{
	struct build b = begin_open();

	build_text(&b, A, 1001, 2001, "one");
	build_tcp(&b, B, 2001, 1050, ACK, NULL, 0);
	build_text(&b, B, 2001, 1050, "answer");
	build_expect(&b, ENDS "start out \"one<46>\" in \"answer\"\n");
}
END_TEST

/* One more than was sent: a FIN that is not in the file, no byte. */
START_TEST(test_lost_fin)
{
	struct build b = begin_open();

	build_text(&b, A, 1001, 2001, "one");
	build_tcp(&b, B, 2001, 1005, ACK, NULL, 0);
	build_expect(&b, ENDS "start out \"one\" in \"\"\n");
}
END_TEST

/* Numbers wrap, more than once, and offsets go on. */
START_TEST(test_wrap)
{
	struct build b = begin();
	char *block = malloc(60000), *text;
	uint32_t seq = UINT32_MAX - 100000;
	uint64_t sent = 0;

	memset(block, 'w', 60000);
	b.step_ns = 1000;
	build_open(&b, seq - 1, UINT32_MAX);
	b.snap_length = 60;
	/* 3 x 4 GB in steps of 60,000 would take long: jumps that are acked. */
	while (sent < 3ULL << 32) {
		build_tcp(&b, A, seq, 0, ACK, block, 60000);
		seq += 500000000;
		sent += 500000000;
		build_tcp(&b, B, 0, seq, ACK, NULL, 0);
	}
	build_tcp(&b, A, seq, 0, ACK, "end", 3);
	build_tcp(&b, A, seq + 3, 0, FIN | ACK, NULL, 0);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_uint_eq(b.account.bytes_seen, sent + 3);
	ck_assert_uint_eq(b.account.packets_stray, 0);
	text = strstr(b.lines, "end\" in \"\"\n");
	ck_assert_ptr_nonnull(text);
	free(block);
	build_free(&b);
}
END_TEST

START_TEST(test_wrap_in_data)
{
	struct build b = begin();

	build_open(&b, UINT32_MAX - 3, UINT32_MAX);
	build_text(&b, A, 1, 0, "defg");
	build_text(&b, A, UINT32_MAX - 2, 0, "abc");
	build_text(&b, B, 0, 5, "answer");
	build_text(&b, A, 0, 0, "+");
	build_expect(&b, ENDS "start out \"abc+defg\" in \"answer\"\n");
}
END_TEST

/* Keep-alives repeat a byte, or none; probes of a zero window bring one. */
START_TEST(test_keepalive)
{
	struct build b = begin_open();

	build_text(&b, A, 1001, 2001, "ping");
	build_tcp(&b, A, 1004, 2001, ACK, NULL, 0);
	build_tcp(&b, A, 1004, 2001, ACK, "?", 1);
	build_tcp(&b, A, 1005, 2001, ACK, "m", 1);
	build_tcp(&b, B, 2001, 1005, ACK, NULL, 0);
	build_text(&b, A, 1005, 2001, "more");
	build_tcp(&b, B, 2000, 1009, ACK, "?", 1);
	build_text(&b, B, 2001, 1009, "pong");
	build_expect(&b, ENDS "start out \"pingmore\" in \"pong\"\n");
}
END_TEST

/* In mid-stream a keep-alive's byte is none of the stream's. */
START_TEST(test_keepalive_first)
{
	struct build b = begin();

	build_tcp(&b, B, 500, 1000, ACK, NULL, 0);
	build_tcp(&b, A, 999, 500, ACK, "?", 1);
	build_text(&b, A, 1000, 500, "ping");
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, "192.0.2.2:3306 192.0.2.1:40000 "
				  "mid out \"\" in \"ping\"\n");
	build_free(&b);
}
END_TEST

START_TEST(test_midstream)
{
	struct build b = begin();

	build_text(&b, A, 77777, 88888, "ping");
	build_text(&b, B, 88888, 77781, "pong");
	build_expect(&b, ENDS "mid out \"ping\" in \"pong\"\n");
}
END_TEST

/* The first packet in the file was not the first on the wire. */
START_TEST(test_midstream_order)
{
	struct build b = begin();

	build_text(&b, A, 1010, 500, "third");
	build_text(&b, A, 1005, 500, "secnd");
	build_text(&b, A, 1000, 500, "first");
	build_text(&b, B, 505, 1015, "two");
	build_text(&b, B, 500, 1015, "ones,");
	build_expect(&b, ENDS "mid out \"firstsecndthird\" "
			      "in \"ones,two\"\n");
}
END_TEST

/* A SYN that is late in the file still says where the beginning is. */
START_TEST(test_late_syn)
{
	struct build b = begin();

	build_text(&b, A, 1001, 2001, "ping");
	build_tcp(&b, A, 1000, 0, SYN, NULL, 0);
	build_tcp(&b, B, 2000, 1001, SYN | ACK, NULL, 0);
	build_text(&b, B, 2001, 1005, "pong");
	build_expect(&b, ENDS "start out \"ping\" in \"pong\"\n");
}
END_TEST

/* Who is local: the SYN's sender, whichever segment was seen. */
START_TEST(test_half_handshake)
{
	struct build b = begin();

	if (_i == 0) {
		build_tcp(&b, B, 2000, 1001, SYN | ACK, NULL, 0);
		build_text(&b, B, 2001, 1001, "hello");
		build_text(&b, A, 1006, 2006, "late");
	} else {
		build_tcp(&b, A, 1000, 0, SYN, NULL, 0);
		build_tcp(&b, A, 1001, 2001, ACK, NULL, 0);
		build_text(&b, A, 1001, 2001, "ping");
		build_text(&b, B, 2004, 1005, "lo");
	}
	build_expect(&b, _i == 0 ?
				 ENDS "start out \"<5>late\" in \"hello\"\n" :
				 ENDS "start out \"ping\" in \"<3>lo\"\n");
}
END_TEST

/* SYNs are repeated, and may carry data (TCP Fast Open). */
START_TEST(test_syn)
{
	struct build b = begin();

	build_tcp(&b, A, 1000, 0, SYN, NULL, 0);
	build_tcp(&b, A, 1000, 0, SYN, "early", 5);
	build_tcp(&b, B, 2000, 1006, SYN | ACK, NULL, 0);
	build_tcp(&b, B, 2000, 1006, SYN | ACK, NULL, 0);
	build_text(&b, A, 1006, 2001, " and late");
	build_expect(&b, ENDS "start out \"early and late\" in \"\"\n");
}
END_TEST

static void add_end(struct build *b, uint32_t a, uint32_t c)
{
	build_tcp(b, A, a, c, FIN | ACK, NULL, 0);
	build_tcp(b, B, c, a + 1, FIN | ACK, NULL, 0);
	build_tcp(b, A, a + 1, c + 1, ACK, NULL, 0);
}

/* The same addresses again: another connection, however the first ended. */
START_TEST(test_reuse)
{
	struct build b = begin_open();

	build_text(&b, A, 1001, 2001, "one");
	if (_i == 0)
		add_end(&b, 1004, 2001);
	else if (_i == 1)
		build_tcp(&b, B, 2001, 1004, RST | ACK, NULL, 0);
	build_open(&b, 1002, 2003); /* close by, as a clock gives them */
	build_text(&b, A, 1003, 2004, "two");
	build_expect(&b, ENDS "start out \"one\" in \"\"\n" ENDS
			      "start out \"two\" in \"\"\n");
}
END_TEST

/* No SYN of the second is in the file: its numbers tell. */
START_TEST(test_reuse_unseen)
{
	struct build b = begin_open();
	unsigned i;

	build_text(&b, A, 1001, 2001, "one");
	if (_i)
		add_end(&b, 1004, 2001);
	for (i = 0; i < 4; i++)
		build_text(&b, A, 0x90000000 + 4 * i, 0, "two,");
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_ptr_nonnull(strstr(b.lines, "start out \"one\""));
	ck_assert_ptr_nonnull(strstr(b.lines, "mid out \"two,two,"));
	ck_assert_uint_eq(b.account.packets_stray, _i ? 0 : 2);
	build_free(&b);
}
END_TEST

/* A single stray one does no harm. */
START_TEST(test_stray)
{
	struct build b = begin_open();

	build_text(&b, A, 1001, 2001, "one");
	build_text(&b, A, 0x90000000, 2001, "stray");
	build_tcp(&b, A, 0x90000000, 2001, RST, NULL, 0);
	build_text(&b, A, 1004, 2001, "two");
	build_tcp(&b, B, 2001, 0x90000000, ACK, NULL, 0);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, ENDS "start out \"onetwo\" in \"\"\n");
	ck_assert_uint_eq(b.account.packets_stray, 2);
	build_free(&b);
}
END_TEST

/* The end comes before what precedes it; nothing counts behind it. */
START_TEST(test_fin_order)
{
	struct build b = begin_open();

	build_tcp(&b, B, 2005, 1005, FIN | ACK, NULL, 0);
	build_tcp(&b, A, 1005, 2006, FIN | ACK, NULL, 0);
	build_text(&b, A, 1001, 2001, "ping");
	build_text(&b, B, 2001, 1005, "pong and more");
	build_tcp(&b, A, 1006, 2006, ACK, NULL, 0);
	build_text(&b, B, 2001, 1005, "pong");
	build_expect(&b, ENDS "start out \"ping\" in \"pong\"\n");
}
END_TEST

/* What was under way when the connection was reset is not lost. */
START_TEST(test_reset)
{
	struct build b = begin_open();

	build_text(&b, A, 1001, 2001, "ping");
	build_tcp(&b, A, 1005, 2001, RST, NULL, 0);
	build_text(&b, B, 2001, 1005, "pong");
	b.time_ns += 3 * SECOND;
	build_text(&b, B, 2005, 1005, "too late");
	for (int i = 0; i < OFFLINE_PASS_PACKETS; i++)
		build_tcp(&b, B, 2013, 1005, RST, NULL, 0);
	build_text(&b, B, 2013, 1005, "much too late");
	build_expect(&b, ENDS "start out \"ping\" in \"pongtoo late\"\n");
}
END_TEST

START_TEST(test_idle)
{
	struct build b = begin_open();

	build_text(&b, A, 1001, 2001, "one");
	b.time_ns += TCP_IDLE_NS;
	b.ports[A]++;
	for (int i = 0; i < OFFLINE_PASS_PACKETS; i++)
		build_tcp(&b, A, 1, 1, ACK, NULL, 0);
	b.ports[A]--;
	b.time_ns += SECOND;
	build_text(&b, A, 1004, 2001, "two");
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, ENDS "start out \"one\" in \"\"\n" ENDS
				       "mid out \"two\" in \"\"\n");
	build_free(&b);
}
END_TEST

/* More connections than may be: the idlest ends, no byte is unaccounted. */
START_TEST(test_bound)
{
	struct build b = begin();
	unsigned i, lines = 0;

	for (i = 0; i < 3 * BUILD_BOUND; i++) {
		b.ports[A] = (uint16_t)(10000 + i);
		build_open(&b, 1000, 2000);
		build_text(&b, A, 1001, 2001, "ping");
	}
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	for (const char *at = b.lines; (at = strchr(at, '\n')); at++)
		lines++;
	ck_assert_uint_eq(lines + b.account.connections_refused, i);
	ck_assert_uint_eq(b.account.bytes_seen, 4 * i);
	build_free(&b);
}
END_TEST

/* Open connections that say nothing are none. */
START_TEST(test_silent)
{
	struct build b = begin_open();

	add_end(&b, 1001, 2001);
	b.ports[A]++;
	build_tcp(&b, A, 1, 0, SYN, NULL, 0);
	build_tcp(&b, B, 1, 2, RST | ACK, NULL, 0);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, "");
	ck_assert_uint_eq(b.account.connections, 0);
	build_free(&b);
}
END_TEST

/* Of a packet cut by the snap length the rest is an exact gap. */
START_TEST(test_snap_length)
{
	struct build b = build_new();

	b.snap_length = 14 + 20 + 20 + 4;
	b.pcapng = _i;
	build_begin(&b);
	build_open(&b, 1000, 2000);
	build_text(&b, A, 1001, 2001, "0123456789");
	build_text(&b, A, 1011, 2001, "abc");
	build_text(&b, A, 1001, 2001, "0123456789");
	b.tcp_options = 12;
	build_text(&b, A, 1014, 2001, "unseen");
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines,
			 ENDS "start out \"0123<6>abc<6>\" in \"\"\n");
	ck_assert_uint_eq(b.account.packets_cut, 3);
	ck_assert_uint_eq(b.account.lost[LOSS_SNAP_LENGTH], 12);
	build_free(&b);
}
END_TEST

#define BLOCK 100

/* `count` blocks of A's, but for one of them; B acknowledges all or nothing. */
static void add_blocks(struct build *b, unsigned count, unsigned lost,
		       bool acked)
{
	char block[BLOCK];

	memset(block, 'x', sizeof(block));
	for (unsigned i = 0; i < count; i++) {
		if (i != lost)
			build_tcp(b, A, 1001 + BLOCK * i, 2001, ACK, block,
				  BLOCK);
		if (acked)
			build_tcp(b, B, 2001, 1001 + BLOCK * (i + 1), ACK,
				  NULL, 0);
	}
	block[0] = 'L';
	build_tcp(b, A, 1001 + BLOCK * lost, 2001, ACK, block, BLOCK);
}

static bool comes_late(struct build *b)
{
	bool late;

	ck_assert_int_eq(build_read(b), OFFLINE_END);
	late = strchr(b->lines, 'L');
	ck_assert(late == !strstr(b->lines, "<100>"));
	build_free(b);
	return late;
}

/* How late is too late: acknowledged, packets; not so, many more. */
START_TEST(test_patience)
{
	const unsigned acked = TCP_ACKED_PACKETS_MAX;
	const unsigned unacked = TCP_UNACKED_PACKETS_MAX;
	struct build b = begin_open();

	b.step_ns = 1000;
	add_blocks(&b, acked - 8, 3, true);
	ck_assert(comes_late(&b));
	b = begin_open();
	b.step_ns = 1000;
	add_blocks(&b, acked + 8, 3, true);
	ck_assert(!comes_late(&b));
	b = begin_open();
	b.step_ns = 1000;
	add_blocks(&b, unacked - 8, 3, false);
	ck_assert(comes_late(&b));
	b = begin_open();
	b.step_ns = 1000;
	add_blocks(&b, unacked + 8, 3, false);
	ck_assert(!comes_late(&b));
}
END_TEST

/* And time: seconds of the file, on other connections too. */
START_TEST(test_patience_time)
{
	struct build b = begin_open();

	build_text(&b, A, 1005, 2001, "two");
	build_tcp(&b, B, 2001, 1008, ACK, NULL, 0);
	if (_i) {
		b.time_ns += TCP_ACKED_NS_MAX + SECOND;
		b.ports[A]++;
		for (int i = 0; i < OFFLINE_PASS_PACKETS; i++)
			build_tcp(&b, A, 1, 1, ACK, NULL, 0);
		b.ports[A]--;
	}
	build_text(&b, A, 1001, 2001, "one,");
	build_expect(&b, _i ? ENDS "start out \"<4>two\" in \"\"\n" :
			      ENDS "start out \"one,two\" in \"\"\n");
}
END_TEST

/* Bytes behind a hole are bounded, whoever acknowledges nothing. */
START_TEST(test_hole_bounded)
{
	struct build b = begin_open();
	char *block = malloc(60000);
	uint32_t seq = 2001;

	memset(block, 'x', 60000);
	b.step_ns = 1000;
	for (unsigned i = 0; i < 300; i++) {
		build_tcp(&b, A, seq, 2001, ACK, block, 60000);
		seq += 60000;
	}
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_uint_eq(b.account.bytes_delivered, 300 * 60000);
	ck_assert_uint_eq(b.account.lost[LOSS_NOT_IN_FILE], 1000);
	ck_assert_uint_lt(b.account.memory_peak_bytes, 12 << 20);
	free(block);
	build_free(&b);
}
END_TEST

/* xorshift: the same packets in each run. */
static uint32_t random_next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

#define TALK_BYTES 30000

/* A conversation cut into segments that begin anywhere, some sent twice. */
static unsigned cut_talk(struct build *b, uint32_t *seed, const char *talk,
			 size_t *starts)
{
	size_t at = 0, length;
	unsigned count = 0;

	while (at < TALK_BYTES) {
		length = 1 + random_next(seed) % 200;
		if (length > TALK_BYTES - at)
			length = TALK_BYTES - at;
		starts[count++] = b->length;
		build_tcp(b, A, 1001 + (uint32_t)at, 2001, ACK, talk + at,
			  length);
		at += random_next(seed) % 4 ? length : length / 2 + 1;
	}
	starts[count] = b->length;
	return count;
}

/* Packets change places with others less than `window` away. */
static void shuffle(struct build *b, uint32_t *seed, const size_t *starts,
		    unsigned count, unsigned window)
{
	unsigned *order = calloc(count, sizeof(*order));
	uint8_t *copy = malloc(b->length);
	size_t at = starts[0];

	ck_assert(order && copy);
	memcpy(copy, b->bytes, b->length);
	for (unsigned i = 0; i < count; i++)
		order[i] = i;
	for (unsigned i = 0; i + window <= count; i += window)
		for (unsigned k = window - 1; k; k--) {
			unsigned other = random_next(seed) % (k + 1);
			unsigned kept = order[i + k];

			order[i + k] = order[i + other];
			order[i + other] = kept;
		}
	for (unsigned i = 0; i < count; i++) {
		size_t length = starts[order[i] + 1] - starts[order[i]];

		memcpy(b->bytes + at, copy + starts[order[i]], length);
		at += length;
	}
	free(order);
	free(copy);
}

/* However it was cut, repeated and disordered: the same bytes, no gap. */
START_TEST(test_any_order)
{
	static size_t starts[TALK_BYTES + 1];
	char *talk = malloc(TALK_BYTES + 1), *line = NULL;
	uint32_t seed = 2463534242u + (uint32_t)_i;
	size_t length;
	FILE *out = open_memstream(&line, &length);

	for (unsigned i = 0; i < TALK_BYTES; i++)
		talk[i] = (char)('a' + random_next(&seed) % 26);
	talk[TALK_BYTES] = '\0';
	fprintf(out, ENDS "%s out \"%s\" in \"\"\n", _i & 1 ? "mid" : "start",
		talk);
	fclose(out);
	for (unsigned window = 1; window <= 64; window *= 4) {
		struct build b = begin();
		unsigned count;

		if (!(_i & 1))
			build_open(&b, 1000, 2000);
		count = cut_talk(&b, &seed, talk, starts);
		shuffle(&b, &seed, starts, count, window);
		build_expect(&b, line);
	}
	free(talk);
	free(line);
}
END_TEST

/* Of two connections in turn, what came first is shown first. */
START_TEST(test_in_turn)
{
	struct build b = begin_open();

	b.ports[A]++;
	build_open(&b, 1000, 2000);
	for (unsigned i = 0; i < 8; i++) {
		char text[2] = { (char)('a' + i), '\0' };

		b.ports[A] = (uint16_t)(40000 + i % 2);
		build_text(&b, A, 1001 + i / 2, 2001, text);
	}
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.order, "abcdefgh");
	build_free(&b);
}
END_TEST

/* One that began before the file is held back at first, but not for long. */
START_TEST(test_midstream_shown)
{
	struct build b = begin();
	unsigned packets = _i ? 2 : TCP_MIDSTREAM_PACKETS;

	b.ports[A]++;
	build_open(&b, 1000, 2000);
	b.ports[A]--;
	for (unsigned i = 0; i < packets; i++) {
		build_tcp(&b, A, 5000 + i, 1, ACK, "m", 1);
		b.ports[A]++;
		build_tcp(&b, A, 1001 + i, 1, ACK, "o", 1);
		b.ports[A]--;
		b.time_ns += _i ? TCP_MIDSTREAM_NS : 0;
	}
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	if (_i)
		ck_assert_str_eq(b.order, "omo");
	else
		ck_assert_ptr_null(strchr(b.order, 'm'));
	build_free(&b);
}
END_TEST

int main(void)
{
	Suite *all = suite_create("pcap_tcp");
	TCase *cases = tcase_create("all");

	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, test_order);
	tcase_add_test(cases, test_repeated);
	tcase_add_test(cases, test_lost);
	tcase_add_test(cases, test_lost_tail);
	tcase_add_test(cases, test_lost_fin);
	tcase_add_test(cases, test_wrap);
	tcase_add_test(cases, test_wrap_in_data);
	tcase_add_test(cases, test_keepalive);
	tcase_add_test(cases, test_keepalive_first);
	tcase_add_test(cases, test_midstream);
	tcase_add_test(cases, test_midstream_order);
	tcase_add_test(cases, test_late_syn);
	tcase_add_loop_test(cases, test_half_handshake, 0, 2);
	tcase_add_test(cases, test_syn);
	tcase_add_loop_test(cases, test_reuse, 0, 3);
	tcase_add_loop_test(cases, test_reuse_unseen, 0, 2);
	tcase_add_test(cases, test_stray);
	tcase_add_test(cases, test_fin_order);
	tcase_add_test(cases, test_reset);
	tcase_add_test(cases, test_idle);
	tcase_add_test(cases, test_bound);
	tcase_add_test(cases, test_silent);
	tcase_add_loop_test(cases, test_snap_length, 0, 2);
	tcase_add_test(cases, test_patience);
	tcase_add_loop_test(cases, test_patience_time, 0, 2);
	tcase_add_test(cases, test_hole_bounded);
	tcase_add_loop_test(cases, test_any_order, 0, 8);
	tcase_add_test(cases, test_in_turn);
	tcase_add_loop_test(cases, test_midstream_shown, 0, 2);
	suite_add_tcase(all, cases);
	return build_main(all);
}
