/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pcapng.c - blocks of every kind, damaged ones, and our own comments.
 */
#include "tests/unit/pcap_build.h"

#include "streams/pcapng.h"

#define ENDS "192.0.2.1:40000 192.0.2.2:3306 "

static struct build begin(void)
{
	struct build b = build_new();

	b.pcapng = true;
	build_begin(&b);
	return b;
}

/* Interfaces of several link types, which libpcap refuses. */
START_TEST(test_mixed_links)
{
	struct build b = begin();

	build_interface(&b, 113, 0, 9);
	build_interface(&b, 101, 0, 9);
	build_open(&b, 1000, 2000);
	b.link_type = 113;
	b.interface = 1;
	build_text(&b, A, 1001, 2001, "ping");
	b.link_type = 101;
	b.interface = 2;
	build_text(&b, B, 2001, 1005, "pong");
	build_expect(&b, ENDS "start out \"ping\" in \"pong\"\n");
}
END_TEST

/* Sections one after the other, each of its byte order and interfaces. */
START_TEST(test_sections)
{
	struct build b = begin();

	build_open(&b, 1000, 2000);
	for (int i = 0; i < 4; i++) {
		b.swapped = !b.swapped;
		b.link_type = i % 2 ? 1 : 101;
		build_section(&b, NULL);
		build_interface(&b, (uint16_t)b.link_type, 0, 9);
		build_text(&b, A, 1001 + 4 * (uint32_t)i, 2001, "ping");
	}
	build_expect(&b, ENDS "start out \"pingpingpingping\" in \"\"\n");
}
END_TEST

/* An enhanced packet of those ticks, on an interface of that resolution. */
static uint64_t time_read(uint8_t resolution, const int64_t *offset_s,
			  uint64_t ticks)
{
	struct build b = build_new();
	size_t start;

	b.pcapng = true;
	build_section(&b, NULL);
	start = b.length;
	build_u16(&b, 1);
	build_u16(&b, 0);
	build_u32(&b, 0);
	if (resolution)
		build_option(&b, 9, &resolution, 1);
	if (offset_s)
		build_option(&b, 14, offset_s, 8);
	build_block(&b, start, 1);
	b.time_ns = ticks;
	b.step_ns = 0;
	build_text(&b, A, 1, 1, "x");
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	build_free(&b);
	return b.first_ns;
}

START_TEST(test_times)
{
	const int64_t year = 31536000, before = -2, far = INT64_MAX;

	ck_assert_uint_eq(time_read(0, NULL, 1234567), 1234567000);
	ck_assert_uint_eq(time_read(6, NULL, 1234567), 1234567000);
	ck_assert_uint_eq(time_read(9, NULL, 1234567), 1234567);
	ck_assert_uint_eq(time_read(3, NULL, 7), 7000000);
	ck_assert_uint_eq(time_read(12, NULL, 1234567), 1234);
	ck_assert_uint_eq(time_read(0x80 | 10, NULL, 1536), 1500000000);
	ck_assert_uint_eq(time_read(0x80 | 32, NULL, 3ULL << 31), 1500000000);
	ck_assert_uint_eq(time_read(9, &year, 5), 31536000000000005ULL);
	ck_assert_uint_eq(time_read(9, &before, 2000000001), 1);
	/* Out of range: not known, and no overflow. */
	ck_assert_uint_eq(time_read(9, &before, 5), 0);
	ck_assert_uint_eq(time_read(9, &far, 5), 0);
	ck_assert_uint_eq(time_read(1, NULL, UINT64_MAX), 0);
	ck_assert_uint_eq(time_read(127, NULL, UINT64_MAX), 0);
	ck_assert_uint_eq(time_read(0xff, NULL, UINT64_MAX), 0);
}
END_TEST

/* A frame of Ethernet with "ping" in it, taken out of a packet block. */
static size_t take_frame(uint8_t *frame)
{
	struct build b = begin();
	size_t start = b.length + 28, length;

	build_text(&b, A, 1001, 2001, "ping");
	length = b.length - start - 4;
	memcpy(frame, b.bytes + start, length);
	build_free(&b);
	return 14 + 20 + 20 + 4;
}

/* Simple packets have no time; the snap length is the interface's. */
START_TEST(test_simple)
{
	struct build b = build_new();
	uint8_t frame[128];
	size_t length = take_frame(frame), start;

	b.pcapng = true;
	build_section(&b, NULL);
	build_interface(&b, 1, _i ? 56 : 0, 0);
	start = b.length;
	build_u32(&b, (uint32_t)length);
	build_raw(&b, frame, _i ? 56 : length);
	build_pad(&b, _i ? 56 : length);
	build_block(&b, start, 3);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, _i ? ENDS "mid out \"pi<2>\" in \"\"\n" :
				       ENDS "mid out \"ping\" in \"\"\n");
	ck_assert_uint_eq(b.first_ns, 0);
	build_free(&b);
}
END_TEST

/* The packet block of old; blocks and options that nobody knows. */
START_TEST(test_other_blocks)
{
	struct build b = begin();
	uint8_t frame[128];
	size_t length = take_frame(frame), start = b.length;

	build_u32(&b, 0xfeedbeef);
	build_block(&b, start, 0x0bad);
	start = b.length;
	build_block(&b, start, 5); /* statistics, empty */
	start = b.length;
	build_u16(&b, 0);
	build_u16(&b, 3); /* drops */
	build_u32(&b, 0);
	build_u32(&b, 77);
	build_u32(&b, (uint32_t)length);
	build_u32(&b, (uint32_t)length);
	build_raw(&b, frame, length);
	build_pad(&b, length);
	build_option(&b, 2989, "whatever", 7);
	build_block(&b, start, 2);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, ENDS "mid out \"ping\" in \"\"\n");
	ck_assert_uint_eq(b.first_ns, 77);
	build_free(&b);
}
END_TEST

/* Damaged in one place each: a line that says so, what came before counts. */
START_TEST(test_damaged)
{
	struct build b = begin();
	size_t section = 0, interface = 28, packet;

	build_text(&b, A, 1001, 2001, "ping");
	packet = b.length;
	build_text(&b, A, 1005, 2001, "more");
	switch (_i) {
	case 0: /* no section */
		b.bytes[section] = 0x0a;
		b.bytes[section + 8] = 0;
		break;
	case 1: /* version 2 */
		b.bytes[section + 12] = 2;
		break;
	case 2: /* an interface that is not described */
		b.bytes[packet + 8] = 1;
		break;
	case 3: /* longer than its block */
		b.bytes[packet + 20] = 200;
		break;
	case 4: /* 4 GB */
		memset(b.bytes + packet + 4, 0xfc, 4);
		break;
	case 5: /* not a multiple of 4 */
		b.bytes[packet + 4]++;
		break;
	case 6: /* shorter than its own head */
		b.bytes[packet + 4] = 8;
		break;
	case 7: /* two lengths */
		b.bytes[b.length - 4] += 4;
		break;
	case 8: /* an interface too short */
		b.bytes[interface] = 1;
		b.bytes[interface + 4] = 16;
		b.bytes[interface + 12] = 16;
		break;
	case 9: /* a packet before all interfaces */
		memmove(b.bytes + interface, b.bytes + packet,
			b.length - packet);
		b.length -= packet - interface;
		break;
	default: /* a block that says 16 MB, and ends */
		put32(b.bytes + packet + 4, 0x00000001);
		b.bytes[packet + 4] = 0;
		break;
	}
	ck_assert_int_eq(build_read(&b), OFFLINE_FAILED);
	ck_assert(*b.error && !strchr(b.error, '\n'));
	if (_i >= 2 && _i <= 7)
		ck_assert_str_eq(b.lines, ENDS "mid out \"ping\" in \"\"\n");
	build_free(&b);
}
END_TEST

/* An option that claims more than there is ends the options, no more. */
START_TEST(test_option_long)
{
	struct build b = begin();

	b.comment = "0123456789";
	build_text(&b, A, 1001, 2001, "ping");
	b.bytes[b.length - 4 - 4 - 12 - 2] = 200;
	build_text(&b, A, 1005, 2001, "more");
	build_expect(&b, ENDS "mid out \"pingmore\" in \"\"\n");
}
END_TEST

START_TEST(test_interfaces_bound)
{
	struct build b = build_new();

	b.pcapng = true;
	build_section(&b, NULL);
	for (unsigned i = 0; i < PCAPNG_INTERFACES_MAX; i++)
		build_interface(&b, 1, 0, 9);
	b.interface = PCAPNG_INTERFACES_MAX - 1;
	build_text(&b, A, 1001, 2001, "ping");
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, ENDS "mid out \"ping\" in \"\"\n");
	build_interface(&b, 1, 0, 9);
	ck_assert_int_eq(build_read(&b), OFFLINE_FAILED);
	ck_assert_ptr_nonnull(strstr(b.error, "interfaces"));
	build_free(&b);
}
END_TEST

static const struct pcapng_note whole_note = {
	.process = {
		.pid = 4121,
		.uid = 1000,
		.comm = "a b=%c\x01\xff",
		.executable = "python3 (deleted)",
		.user = "b\303\266t",
		.container = "0123456789abcdef",
	},
	.tid = 4125,
	.tls = BATCH_TLS_OPENSSL,
	.end = NOTE_END_TARGET,
};

START_TEST(test_note)
{
	char text[PCAPNG_NOTE_BYTES_MAX];
	struct pcapng_note note;
	size_t length = pcapng_note_encode(&whole_note, text, sizeof(text));

	ck_assert_str_eq(text, "datasnoop: pid=4121 uid=1000 tid=4125 "
			       "comm=a%20b=%25c%01%FF "
			       "exe=python3%20(deleted) user=b%C3%B6t "
			       "container=0123456789abcdef tls=openssl "
			       "end=target");
	ck_assert_uint_eq(length, strlen(text));
	ck_assert(pcapng_note_decode(text, length, &note));
	ck_assert_mem_eq(&note, &whole_note, sizeof(note));
	for (size_t size = 0; size <= length; size++)
		ck_assert_uint_eq(pcapng_note_encode(&whole_note, text, size),
				  0);
}
END_TEST

/* All that a note can hold fits, whatever the bytes. */
START_TEST(test_note_longest)
{
	char text[PCAPNG_NOTE_BYTES_MAX];
	struct pcapng_note note = whole_note, again;
	size_t length;

	note.process.pid = note.process.uid = note.tid = UINT32_MAX;
	memset(note.process.comm, 0xff, sizeof(note.process.comm) - 1);
	memset(note.process.executable, 0xff,
	       sizeof(note.process.executable) - 1);
	memset(note.process.user, 0xff, sizeof(note.process.user) - 1);
	memset(note.process.container, 0xff,
	       sizeof(note.process.container) - 1);
	memset(note.process.runtime, 0xff, sizeof(note.process.runtime) - 1);
	memset(note.process.pod, 0xff, sizeof(note.process.pod) - 1);
	memset(note.process.cgroup, 0xff, sizeof(note.process.cgroup) - 1);
	memset(note.process.command_line, 0xff,
	       sizeof(note.process.command_line) - 1);
	memset(note.local.address, 0xff, sizeof(note.local.address) - 1);
	memset(note.remote.address, 0xff, sizeof(note.remote.address) - 1);
	note.local.socket = note.remote.socket = note.took_ns = UINT64_MAX;
	note.peer_pid = UINT32_MAX;
	note.address_inferred = true;
	length = pcapng_note_encode(&note, text, sizeof(text));
	ck_assert_uint_gt(length, 0);
	ck_assert(pcapng_note_decode(text, length, &again));
	ck_assert_str_eq(again.process.executable, note.process.executable);
	ck_assert_str_eq(again.process.command_line,
			 note.process.command_line);
	ck_assert_str_eq(again.remote.address, note.remote.address);
	ck_assert_uint_eq(again.local.socket, UINT64_MAX);
	ck_assert_uint_eq(again.took_ns, UINT64_MAX);
	ck_assert_uint_eq(again.peer_pid, UINT32_MAX);
	ck_assert(again.address_inferred);
	ck_assert_str_eq(again.process.container, note.process.container);
}
END_TEST

START_TEST(test_note_damaged)
{
	static const char *const texts[] = {
		"", "datasnoop", "data snoop: pid=1", "a comment",
		"datasnoop: pid", "datasnoop: pid=", "datasnoop: pid=-1",
		"datasnoop: pid=4294967296", "datasnoop: pid=1x",
		"datasnoop: comm=%", "datasnoop: comm=%4",
		"datasnoop: comm=%zz", "datasnoop: comm=%00",
	};
	struct pcapng_note note;
	const char *text = texts[_i];
	char *exact = malloc(strlen(text) + 1);

	memcpy(exact, text, strlen(text));
	ck_assert(!pcapng_note_decode(exact, strlen(text), &note));
	free(exact);
}
END_TEST

/* What is not known is skipped, what is too long is cut. */
START_TEST(test_note_tolerant)
{
	static const char text[] =
		"datasnoop:  new=1 tls=newtls end=both "
		"comm=0123456789abcdefghij pid=7";
	struct pcapng_note note;

	ck_assert(pcapng_note_decode(text, sizeof(text) - 1, &note));
	ck_assert_uint_eq(note.process.pid, 7);
	ck_assert_str_eq(note.process.comm, "0123456789abcde");
	ck_assert_uint_eq(note.tls, BATCH_TLS_NONE);
	ck_assert_int_eq(note.end, NOTE_END_UNKNOWN);
}
END_TEST

/* The first packet says whose the connection is; a later one, which thread. */
START_TEST(test_process)
{
	struct build b = begin();
	char text[PCAPNG_NOTE_BYTES_MAX];
	struct pcapng_note note = whole_note;

	note.end = _i ? NOTE_END_TARGET : NOTE_END_SOURCE;
	pcapng_note_encode(&note, text, sizeof(text));
	b.comment = text;
	build_open(&b, 1000, 2000);
	build_text(&b, A, 1001, 2001, "ping");
	b.comment = "datasnoop: tid=4126";
	build_text(&b, B, 2001, 1005, "pong");
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines,
			 _i ? "192.0.2.2:3306 192.0.2.1:40000 "
			      "start out \"pong\" in \"ping\"\n" :
			      ENDS "start out \"ping\" in \"pong\"\n");
	ck_assert_mem_eq(&b.process, &whole_note.process, sizeof(b.process));
	ck_assert_uint_eq(b.opened, 1);
	ck_assert_uint_eq(b.tid, _i ? 4125 : 4126);
	build_free(&b);
}
END_TEST

/* Both ends of a connection, in one file of ours; others' do not mean it. */
START_TEST(test_views)
{
	struct build b = build_new();

	b.pcapng = true;
	build_section(&b, _i ? "datasnoop 0.4" : "dumpcap");
	build_interface(&b, 1, 0, 9);
	build_interface(&b, 1, 0, 9);
	for (b.interface = 0; b.interface < 2; b.interface++) {
		build_open(&b, 1000, 2000);
		build_text(&b, A, 1001, 2001, "ping");
	}
	build_expect(&b, _i ? ENDS "start out \"ping\" in \"\"\n" ENDS
				   "start out \"ping\" in \"\"\n" :
			      ENDS "start out \"ping\" in \"\"\n");
}
END_TEST

int main(void)
{
	Suite *all = suite_create("pcapng");
	TCase *cases = tcase_create("all");

	tcase_add_test(cases, test_mixed_links);
	tcase_add_test(cases, test_sections);
	tcase_add_test(cases, test_times);
	tcase_add_loop_test(cases, test_simple, 0, 2);
	tcase_add_test(cases, test_other_blocks);
	tcase_add_loop_test(cases, test_damaged, 0, 11);
	tcase_add_test(cases, test_option_long);
	tcase_add_test(cases, test_interfaces_bound);
	tcase_add_test(cases, test_note);
	tcase_add_test(cases, test_note_longest);
	tcase_add_loop_test(cases, test_note_damaged, 0, 13);
	tcase_add_test(cases, test_note_tolerant);
	tcase_add_loop_test(cases, test_process, 0, 2);
	tcase_add_loop_test(cases, test_views, 0, 2);
	suite_add_tcase(all, cases);
	return build_main(all);
}
