/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pcapng_writer.c - what is written comes back when it is read.
 */
#include "tests/unit/pcap_build.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sinks/pcapng.h"
#include "streams/pcapng.h"

#define SECOND 1000000000ULL
#define START  (1700000000 * SECOND)
#define ENDS   "192.0.2.1:40000 192.0.2.2:3306 "

/* A table whose connections are written when they are visited. */
struct bench {
	struct account account;
	struct connection_table *table;
	struct pcapng_writer *writer;
	char path[64];
	uint64_t now_ns;
};

static struct bench bench_new(void)
{
	struct bench bench = { .path = "/tmp/test_pcapng_writer.XXXXXX",
			       .now_ns = START };
	int fd = mkstemp(bench.path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	return bench;
}

/* The account is borrowed: the bench stays where it is from here on. */
static void bench_open(struct bench *bench, uint64_t wall_ns)
{
	bench->table = connection_table_new(&bench->account, 64, 64 << 20,
					    256 << 20);
	ck_assert_ptr_nonnull(bench->table);
	connection_table_offline(bench->table);
	ck_assert_int_eq(pcapng_writer_open(&bench->writer, bench->path,
					    &bench->account, wall_ns), 0);
}

static const struct process bot = {
	.pid = 4121,
	.uid = 1000,
	.comm = "support bot",
	.executable = "python3",
	.user = "bot",
	.container = "4f",
	.runtime = "docker",
	.pod = "pod-7",
	.cgroup = "/system.slice/bot agent",
	.command_line = "python3 bot.py --name=100%",
};

static struct connection *bench_add(struct bench *bench, const char *local,
				    uint16_t local_port, const char *remote,
				    uint16_t remote_port, bool known)
{
	struct endpoint ends[2] = { { .port = local_port },
				    { .port = remote_port } };

	snprintf(ends[0].address, sizeof(ends[0].address), "%s", local);
	snprintf(ends[1].address, sizeof(ends[1].address), "%s", remote);
	return connection_table_add(bench->table, &ends[0], &ends[1],
				    known ? &bot : NULL,
				    known ? "openssl" : NULL);
}

static struct connection *bench_usual(struct bench *bench)
{
	return bench_add(bench, "192.0.2.1", 40000, "192.0.2.2", 3306, true);
}

/* Bytes that moved between first and last, a second later than the previous. */
static void say_bytes(struct bench *bench, struct connection *c, int direction,
		      uint64_t offset, const void *bytes, size_t length)
{
	struct piece piece = {
		.bytes = bytes,
		.length = length,
		.offset = offset,
		.first_ns = bench->now_ns,
		.last_ns = bench->now_ns + 1234567,
		.tid = 4125,
	};

	bench->now_ns += SECOND;
	stream_add(c->streams[direction], &piece);
	connection_table_news(bench->table, c);
}

static void say_text(struct bench *bench, struct connection *c, int direction,
		     uint64_t offset, const char *text)
{
	say_bytes(bench, c, direction, offset, text, strlen(text));
}

/* As the tracer does: written, then taken. */
static void write_visit(void *context, struct connection *c)
{
	struct bench *bench = context;
	struct window window;
	uint64_t gap;

	pcapng_writer_take(bench->writer, c);
	for (int i = 0; i < 2; i++)
		while (stream_head(c->streams[i], &window, &gap) !=
		       STREAM_NONE)
			stream_take(c->streams[i], window.length + gap);
}

static void bench_pass(struct bench *bench, bool final)
{
	connection_table_pass(bench->table, final, write_visit, bench);
}

static void end(struct bench *bench, struct connection *c)
{
	c->ended = true;
	connection_table_end(bench->table, c);
}

/* The file is complete: its bytes, to be read. */
static struct build bench_close(struct bench *bench)
{
	struct build b = build_new();
	struct stat status;
	int fd;

	bench_pass(bench, true);
	ck_assert_int_eq(pcapng_writer_close(bench->writer), 0);
	ck_assert_uint_eq(bench->account.bytes_written,
			  bench->account.bytes_delivered);
	ck_assert_uint_eq(bench->account.bytes_unwritten, 0);
	connection_table_free(bench->table);
	fd = open(bench->path, O_RDONLY);
	ck_assert(fd >= 0 && !fstat(fd, &status));
	b.length = b.room = (size_t)status.st_size;
	b.bytes = malloc(b.length);
	ck_assert_int_eq(read(fd, b.bytes, b.length), status.st_size);
	close(fd);
	unlink(bench->path);
	return b;
}

static void expect(struct bench *bench, const char *lines)
{
	struct build b = bench_close(bench);
	uint64_t lost = account_lost(&bench->account);

	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, lines);
	ck_assert_uint_eq(account_lost(&b.account), lost);
	ck_assert_uint_eq(b.account.packets, bench->account.packets_written);
	ck_assert_uint_eq(b.account.packets_tcp, b.account.packets);
	build_free(&b);
}

/* Both directions, in the order of their times; process, thread, times. */
START_TEST(test_talk)
{
	struct bench bench = bench_new();
	struct connection *c;
	struct build b;

	bench_open(&bench, 0);
	c = bench_usual(&bench);
	say_text(&bench, c, BATCH_OUT, 0, "1");
	say_text(&bench, c, BATCH_IN, 0, "2");
	say_text(&bench, c, BATCH_OUT, 1, "3");
	bench_pass(&bench, false);
	say_text(&bench, c, BATCH_IN, 1, "4");
	if (_i)
		end(&bench, c);
	b = bench_close(&bench);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, ENDS "start out \"13\" in \"24\"\n");
	ck_assert_mem_eq(&b.process, &bot, sizeof(bot));
	ck_assert_uint_eq(b.opened, 1);
	ck_assert_uint_eq(b.tid, 4125);
	ck_assert_uint_eq(b.first_ns, START);
	/* A handshake, four segments; the end, where it was seen. */
	ck_assert_uint_eq(b.account.packets, _i ? 10 : 7);
	build_free(&b);
}
END_TEST

/* The times of live bytes count from the boot. */
START_TEST(test_wall_clock)
{
	struct bench bench = bench_new();
	struct build b;

	bench_open(&bench, 5 * SECOND);
	say_text(&bench, bench_usual(&bench), BATCH_OUT, 0, "x");
	b = bench_close(&bench);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_uint_eq(b.first_ns, START + 5 * SECOND);
	build_free(&b);
}
END_TEST

/* Gaps at the beginning, between, of both directions, and at the end. */
START_TEST(test_gaps)
{
	struct bench bench = bench_new();
	struct connection *c;

	bench_open(&bench, 0);
	c = bench_usual(&bench);
	stream_lose(c->streams[BATCH_OUT], 0, 10, LOSS_BUFFER_FULL);
	say_text(&bench, c, BATCH_OUT, 10, "ab");
	stream_lose(c->streams[BATCH_OUT], 12, 100000, LOSS_BUFFER_FULL);
	stream_lose(c->streams[BATCH_IN], 0, 7, LOSS_BUFFER_FULL);
	bench_pass(&bench, false);
	say_text(&bench, c, BATCH_OUT, 100012, "cd");
	say_text(&bench, c, BATCH_IN, 7, "e");
	stream_lose(c->streams[BATCH_IN], 8, 1 + _i, LOSS_BUFFER_FULL);
	end(&bench, c);
	expect(&bench, _i ? ENDS "start out \"<10>ab<100000>cd\" "
			    "in \"<7>e<2>\"\n" :
			    ENDS "start out \"<10>ab<100000>cd\" "
			    "in \"<7>e<1>\"\n");
}
END_TEST

/* A gap that nothing follows, in a connection that goes on. */
START_TEST(test_gap_open)
{
	struct bench bench = bench_new();
	struct connection *c;

	bench_open(&bench, 0);
	c = bench_usual(&bench);
	say_text(&bench, c, BATCH_OUT, 0, "a");
	stream_lose(c->streams[BATCH_OUT], 1, 20, LOSS_BUFFER_FULL);
	expect(&bench, ENDS "start out \"a<20>\" in \"\"\n");
}
END_TEST

/* Larger than a segment: several of them, and no byte changed. */
START_TEST(test_large)
{
	enum { LENGTH = 300000 };
	struct bench bench = bench_new();
	char *text = malloc(LENGTH + 64);
	struct connection *c;
	size_t head;

	ck_assert_ptr_nonnull(text);
	head = (size_t)sprintf(text, "%s", ENDS "start out \"");
	for (size_t i = 0; i < LENGTH; i++)
		text[head + i] = (char)('a' + i % 23);
	bench_open(&bench, 0);
	c = bench_usual(&bench);
	say_bytes(&bench, c, BATCH_OUT, 0, text + head, LENGTH);
	end(&bench, c);
	text = realloc(text, LENGTH + 128);
	ck_assert_ptr_nonnull(text);
	strcpy(text + head + LENGTH, "\" in \"\"\n");
	expect(&bench, text);
	free(text);
}
END_TEST

/* Seen from the middle: no handshake; numbers that wrap in the segment. */
START_TEST(test_midstream)
{
	const uint64_t start = (1ULL << 32) - 2654435761u - 5 + (1ULL << 32);
	struct bench bench = bench_new();
	struct connection *c;

	bench_open(&bench, 0);
	c = bench_usual(&bench);
	c->midstream = true;
	stream_begin(c->streams[BATCH_IN], start);
	stream_begin(c->streams[BATCH_OUT], 1ULL << 32);
	say_text(&bench, c, BATCH_IN, start, "0123456789");
	say_text(&bench, c, BATCH_OUT, 1ULL << 32, "pong");
	say_text(&bench, c, BATCH_IN, start + 10, "abc");
	expect(&bench, ENDS "mid out \"pong\" in \"0123456789abc\"\n");
	ck_assert_uint_eq(bench.account.packets_written, 3);
}
END_TEST

/* The two ends of one connection, and again after it has ended. */
START_TEST(test_views)
{
	struct bench bench = bench_new();
	struct connection *client, *server;

	bench_open(&bench, 0);
	for (int turn = 0; turn < 2; turn++) {
		client = bench_usual(&bench);
		server = bench_add(&bench, "192.0.2.2", 3306, "192.0.2.1",
				   40000, true);
		say_text(&bench, client, BATCH_OUT, 0, "ping");
		say_text(&bench, server, BATCH_IN, 0, "ping");
		bench_pass(&bench, false);
		say_text(&bench, server, BATCH_OUT, 0, "pong");
		say_text(&bench, client, BATCH_IN, 0, "pong");
		end(&bench, client);
		end(&bench, server);
		bench_pass(&bench, false);
		bench_pass(&bench, false);
	}
	/* In the order in which the reader is done with them. */
	expect(&bench,
	       "192.0.2.2:3306 192.0.2.1:40000 start out \"pong\" in "
	       "\"ping\"\n"
	       ENDS "start out \"ping\" in \"pong\"\n"
	       "192.0.2.2:3306 192.0.2.1:40000 start out \"pong\" in "
	       "\"ping\"\n"
	       ENDS "start out \"ping\" in \"pong\"\n");
}
END_TEST

/* Three TLS objects on one socket are three connections. */
START_TEST(test_one_socket)
{
	struct bench bench = bench_new();
	struct connection *c[3];

	bench_open(&bench, 0);
	for (int i = 0; i < 3; i++)
		c[i] = bench_usual(&bench);
	for (int turn = 0; turn < 2; turn++)
		for (int i = 0; i < 3; i++) {
			say_text(&bench, c[i], BATCH_OUT, 2 * (unsigned)turn,
				 i == 0 ? "aa" : i == 1 ? "bb" : "cc");
			bench_pass(&bench, false);
		}
	expect(&bench, ENDS "start out \"aaaa\" in \"\"\n"
	       ENDS "start out \"bbbb\" in \"\"\n"
	       ENDS "start out \"cccc\" in \"\"\n");
}
END_TEST

/* IPv6; an AF_UNIX socket; nothing known at all. */
START_TEST(test_addresses)
{
	struct bench bench = bench_new();

	bench_open(&bench, 0);
	say_text(&bench, bench_add(&bench, "2001:db8::1", 443, "2001:db8::2",
				   50000, false), BATCH_OUT, 0, "six");
	say_text(&bench, bench_add(&bench, "", 0, "/run/my sql.sock", 0, true),
		 BATCH_OUT, 0, "unix");
	say_text(&bench, bench_add(&bench, "", 0, "", 0, true), BATCH_OUT, 0,
		 "one");
	say_text(&bench, bench_add(&bench, "", 0, "", 0, true), BATCH_IN, 0,
		 "two");
	expect(&bench, ":0 :0 start out \"\" in \"two\"\n"
	       "2001:db8::1:443 2001:db8::2:50000 start out \"six\" "
	       "in \"\"\n"
	       ":0 /run/my sql.sock:0 start out \"unix\" in \"\"\n"
	       ":0 :0 start out \"one\" in \"\"\n");
}
END_TEST

/* A process that becomes another one. */
START_TEST(test_exec)
{
	struct bench bench = bench_new();
	struct connection *c;
	struct build b;

	bench_open(&bench, 0);
	c = bench_usual(&bench);
	say_text(&bench, c, BATCH_OUT, 0, "a");
	bench_pass(&bench, false);
	strcpy(c->process.comm, "other");
	say_text(&bench, c, BATCH_OUT, 1, "b");
	b = bench_close(&bench);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.process.comm, "other");
	ck_assert_str_eq(b.process.command_line, bot.command_line);
	build_free(&b);
}
END_TEST

/* One without bytes is not in the file; others keep theirs. */
START_TEST(test_silent)
{
	struct bench bench = bench_new();
	struct connection *c;

	bench_open(&bench, 0);
	c = bench_usual(&bench);
	connection_table_news(bench.table, c);
	bench_pass(&bench, false);
	end(&bench, c);
	bench_pass(&bench, false);
	expect(&bench, "");
	ck_assert_uint_eq(bench.account.packets_written, 0);
}
END_TEST

/* What was in the file before goes, and so do the rights of others. */
START_TEST(test_overwrites)
{
	struct bench bench = bench_new();
	FILE *file = fopen(bench.path, "w");
	struct stat status;

	ck_assert_ptr_nonnull(file);
	for (int i = 0; i < 100000; i++)
		fputc('x', file);
	fclose(file);
	ck_assert_int_eq(chmod(bench.path, 0644), 0);
	bench_open(&bench, 0);
	say_text(&bench, bench_usual(&bench), BATCH_OUT, 0, "a");
	ck_assert_int_eq(pcapng_writer_flush(bench.writer), 0);
	ck_assert_int_eq(stat(bench.path, &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0600);
	expect(&bench, ENDS "start out \"a\" in \"\"\n");
}
END_TEST

START_TEST(test_no_directory)
{
	struct account account = { .packets = 0 };
	struct pcapng_writer *writer = NULL;

	ck_assert_int_eq(pcapng_writer_open(&writer, "/nonexistent/x",
					    &account, 0), -ENOENT);
	ck_assert_ptr_null(writer);
	ck_assert(!account.writing);
}
END_TEST

/* A full disk: told, and each byte counted as not written. */
START_TEST(test_full)
{
	struct bench bench = bench_new();
	struct connection *c;

	unlink(bench.path);
	strcpy(bench.path, "/dev/full");
	bench_open(&bench, 0);
	c = bench_usual(&bench);
	say_text(&bench, c, BATCH_OUT, 0, "abc");
	bench_pass(&bench, false);
	ck_assert_int_eq(pcapng_writer_flush(bench.writer), -ENOSPC);
	say_text(&bench, c, BATCH_IN, 0, "de");
	bench_pass(&bench, true);
	ck_assert_int_eq(pcapng_writer_close(bench.writer), -ENOSPC);
	ck_assert_uint_eq(bench.account.bytes_written, 0);
	ck_assert_uint_eq(bench.account.bytes_unwritten, 5);
	connection_table_free(bench.table);
}
END_TEST

/* The disk fills in the middle of a packet: what is there can be read. */
START_TEST(test_full_later)
{
	static const uint8_t zeros[60000];
	const struct rlimit limit = { 20000, RLIM_INFINITY };
	struct bench bench = bench_new();
	struct connection *c;
	struct build b = build_new();
	FILE *file;

	signal(SIGXFSZ, SIG_IGN);
	bench_open(&bench, 0);
	c = bench_usual(&bench);
	say_text(&bench, c, BATCH_OUT, 0, "abc");
	bench_pass(&bench, false);
	ck_assert_int_eq(pcapng_writer_flush(bench.writer), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	say_bytes(&bench, c, BATCH_OUT, 3, zeros, sizeof(zeros));
	bench_pass(&bench, false);
	ck_assert_int_eq(pcapng_writer_flush(bench.writer), -EFBIG);
	bench_pass(&bench, true);
	ck_assert_int_eq(pcapng_writer_close(bench.writer), -EFBIG);
	ck_assert_uint_eq(bench.account.bytes_written, 3);
	ck_assert_uint_eq(bench.account.bytes_unwritten, 60000);
	connection_table_free(bench.table);
	b.room = 1 << 16;
	b.bytes = malloc(b.room);
	file = fopen(bench.path, "r");
	ck_assert(b.bytes && file);
	b.length = fread(b.bytes, 1, b.room, file);
	fclose(file);
	unlink(bench.path);
	ck_assert_int_eq(build_read(&b), OFFLINE_END);
	ck_assert_str_eq(b.lines, ENDS "start out \"abc\" in \"\"\n");
	build_free(&b);
}
END_TEST

int main(void)
{
	Suite *all = suite_create("pcapng_writer");
	TCase *cases = tcase_create("all");

	tcase_add_loop_test(cases, test_talk, 0, 2);
	tcase_add_test(cases, test_wall_clock);
	tcase_add_loop_test(cases, test_gaps, 0, 2);
	tcase_add_test(cases, test_gap_open);
	tcase_add_test(cases, test_large);
	tcase_add_test(cases, test_midstream);
	tcase_add_test(cases, test_views);
	tcase_add_test(cases, test_one_socket);
	tcase_add_test(cases, test_addresses);
	tcase_add_test(cases, test_exec);
	tcase_add_test(cases, test_silent);
	tcase_add_test(cases, test_overwrites);
	tcase_add_test(cases, test_no_directory);
	tcase_add_test(cases, test_full);
	tcase_add_test(cases, test_full_later);
	suite_add_tcase(all, cases);
	return build_main(all);
}
