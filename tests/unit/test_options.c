/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_options.c - what the command line becomes, and what ends it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "parsers/http.h"
#include "tests/unit/suite.h"

#define ARGUMENTS_MAX 24

static struct options options;
static char command[1024];

/* options_parse() on the words of a line; lists are split in `command`. */
static void parse(const char *line)
{
	char *arguments[ARGUMENTS_MAX + 1] = {"datasnoop"};
	char *at = command, *word;
	int count = 1;

	snprintf(command, sizeof(command), "%s", line);
	while (count < ARGUMENTS_MAX && (word = strsep(&at, " ")))
		if (*word)
			arguments[count++] = word;
	options_parse(&options, count, arguments);
}

START_TEST(test_defaults)
{
	parse("");
	ck_assert_uint_eq(options.pid_count, 0);
	ck_assert_uint_eq(options.comm_count, 0);
	ck_assert_uint_eq(options.uid_count, 0);
	ck_assert_uint_eq(options.port_count, 0);
	ck_assert_uint_eq(options.protocol_count, 0);
	ck_assert(!options.errors_only && !options.both_ends);
	ck_assert(!options.show_values && !options.json && !options.quiet);
	ck_assert(options.min_ms == 0 && options.duration_s == 0);
	ck_assert_uint_eq(options.verbose, 0);
	ck_assert_uint_eq(options.flush_size, 1024);
	ck_assert_uint_eq(options.buffer_size, 2048);
	ck_assert_uint_eq(options.copy_size, 1024);
	ck_assert_uint_eq(options.flush_ms, 100);
	ck_assert_uint_eq(options.ring_bytes, 8 << 20);
	ck_assert_uint_eq(options.max_capture, 4 << 20);
	ck_assert_uint_eq(options.max_connections, 24576);
	ck_assert_int_eq(options.transport, TRANSPORT_AUTO);
	ck_assert(options.accumulate && options.placement);
	ck_assert(options.socket_tracepoints);
	ck_assert_ptr_null(options.kernel_headers);
	ck_assert(!options.doctor && !options.no_records);
	ck_assert_ptr_null(options.read_file);
}
END_TEST

START_TEST(test_lists)
{
	char line[128];

	snprintf(line, sizeof(line), "-p %d,1 --pid=%d -c a,b --comm c",
		 getpid(), getppid());
	parse(line);
	ck_assert_uint_eq(options.pid_count, 3);
	ck_assert_uint_eq(options.pids[0], getpid());
	ck_assert_uint_eq(options.pids[1], 1);
	ck_assert_uint_eq(options.pids[2], getppid());
	ck_assert_uint_eq(options.comm_count, 3);
	ck_assert_str_eq(options.comms[0], "a");
	ck_assert_str_eq(options.comms[1], "b");
	ck_assert_str_eq(options.comms[2], "c");

	parse("-u root,4294967294 --port 1,65535 -P mysql");
	ck_assert_uint_eq(options.uid_count, 2);
	ck_assert_uint_eq(options.uids[0], 0);
	ck_assert_uint_eq(options.uids[1], 4294967294u);
	ck_assert_uint_eq(options.port_count, 2);
	ck_assert_uint_eq(options.ports[0], 1);
	ck_assert_uint_eq(options.ports[1], 65535);
	ck_assert_uint_eq(options.protocol_count, 1);
	ck_assert_ptr_eq(options.protocols[0], &mysql_parser);
	ck_assert_uint_eq(options.shown_count, 1);
	ck_assert_str_eq(options.shown[0], "mysql");
	parse("-P mysql,mysql");
	ck_assert_uint_eq(options.protocol_count, 1);
}
END_TEST

static bool is_enabled(const struct parser *parser)
{
	unsigned i;

	for (i = 0; i < options.protocol_count; i++)
		if (options.protocols[i] == parser)
			return true;
	return false;
}

/* Of all names that -P knows, parsers are what runs, once each. */
START_TEST(test_protocols)
{
	const struct parser *http = parser_find("http");
	const struct http_application *const *application;
	char line[64];

	if (http) {
		parse("-P http");
		ck_assert_ptr_eq(options.protocols[0], http);
		ck_assert_str_eq(options.shown[0], "http");
		ck_assert_uint_eq(options.protocol_count,
				  parser_find("http2") ? 2 : 1);
	}
	if (parser_find("http2")) {
		parse("-P http2");
		ck_assert_uint_eq(options.protocol_count, 1);
		ck_assert_str_eq(options.shown[0], "http");
	}
	for (application = http_applications; *application; application++) {
		snprintf(line, sizeof(line), "-P %s", (*application)->name);
		parse(line);
		ck_assert(is_enabled(http));
		ck_assert_uint_eq(options.shown_count, 1);
		ck_assert_str_eq(options.shown[0], (*application)->name);
	}
}
END_TEST

/* Of a file, processes need not be there. */
START_TEST(test_file)
{
	parse("-r - -p 99999999 --no-records");
	ck_assert_str_eq(options.read_file, "-");
	ck_assert_uint_eq(options.pids[0], 99999999);
	ck_assert(options.no_records);
	parse("-p 99999999 --read=dump.pcap");
	ck_assert_str_eq(options.read_file, "dump.pcap");
}
END_TEST

START_TEST(test_switches)
{
	parse("-x -j -q -vv --both-ends --show-values --no-accumulate "
	      "--no-placement --no-socket-tracepoints --doctor "
	      "--transport perf --min-ms .5 -d 1.25");
	ck_assert(options.errors_only && options.json && options.quiet);
	ck_assert(options.both_ends && options.show_values && options.doctor);
	ck_assert(!options.accumulate && !options.placement);
	ck_assert(!options.socket_tracepoints);
	ck_assert_uint_eq(options.verbose, 2);
	ck_assert_int_eq(options.transport, TRANSPORT_PERF);
	ck_assert(options.min_ms == 0.5);
	ck_assert(options.duration_s == 1.25);
	parse("--transport ring --kernel-headers /usr/src/linux");
	ck_assert_int_eq(options.transport, TRANSPORT_RING);
	ck_assert_str_eq(options.kernel_headers, "/usr/src/linux");
}
END_TEST

START_TEST(test_sizes)
{
	parse("--flush-size 16384");
	ck_assert_uint_eq(options.buffer_size, 32768);
	ck_assert_uint_eq(options.copy_size, 16384);
	parse("--buffer-size 32768 --copy-size 64 --flush-size 256");
	ck_assert_uint_eq(options.flush_size, 256);
	ck_assert_uint_eq(options.buffer_size, 32768);
	ck_assert_uint_eq(options.copy_size, 64);
	parse("--ring-mb 0.0625 --max-capture 131072 --max-connections 64 "
	      "--flush-ms 1");
	ck_assert_uint_eq(options.ring_bytes, 65536);
	ck_assert_uint_eq(options.max_capture, 131072);
	ck_assert_uint_eq(options.max_connections, 64);
	ck_assert_uint_eq(options.flush_ms, 1);
	parse("--ring-mb 1024 --flush-ms 10000");
	ck_assert_uint_eq(options.ring_bytes, 1u << 30);
	ck_assert_uint_eq(options.flush_ms, 10000);
}
END_TEST

/* A comm of 15 bytes is the longest that the kernel keeps. */
START_TEST(test_comm_longest)
{
	parse("-c 123456789012345");
	ck_assert_str_eq(options.comms[0], "123456789012345");
}
END_TEST

static const char *const mistakes[] = {
	"extra",
	"--no-such-option",
	"-p",
	"-p 0",
	"-p -1",
	"-p 1x",
	"-p 1,",
	"-p ,1",
	"-p 99999999",
	"-p 4294967297",
	"-c 1234567890123456",
	"-u no-such-user-here",
	"-u 4294967295",
	"--port 0",
	"--port 65536",
	"--port 0x50",
	"-r",
	"--read=",
	"-P nosuch",
	"-P MySQL,",
	"-d 0",
	"-d 1s",
	"-d -1",
	"-d nan",
	"-d 1e3",
	"-d .",
	"-d 1.2.3",
	"--min-ms inf",
	"--min-ms 0",
	"--flush-size 1000",
	"--flush-size 128",
	"--flush-size 32768",
	"--flush-size 1024k",
	"--flush-size +1024",
	"--flush-size 18446744073709552640",
	"--buffer-size 1024",
	"--buffer-size 3000",
	"--buffer-size 65536",
	"--flush-size 2048 --buffer-size 2048",
	"--copy-size 32",
	"--copy-size 100",
	"--copy-size 2048",
	"--flush-ms 0",
	"--flush-ms 10001",
	"--ring-mb 0",
	"--ring-mb 3",
	"--ring-mb 0.3",
	"--ring-mb 0.03125",
	"--ring-mb 2048",
	"--ring-mb 8M",
	"--max-capture 0",
	"--max-capture 131073",
	"--max-capture 4325376",
	"--max-connections 63",
	"--max-connections 1048577",
	"--transport fast",
	"--kernel-headers=",
};

START_TEST(test_mistake)
{
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	parse(mistakes[_i]);
	exit(0); /* taken: not the exit status that is expected */
}
END_TEST

START_TEST(test_list_bound)
{
	char line[1024] = "--port 1";
	int i;

	for (i = 1; i < OPTIONS_LIST_MAX; i++)
		strcat(line, ",1");
	parse(line);
	ck_assert_uint_eq(options.port_count, OPTIONS_LIST_MAX);
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	strcat(line, ",1");
	parse(line);
	exit(0);
}
END_TEST

START_TEST(test_help)
{
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stdout));
	parse(_i == 0 ? "-h" : _i == 1 ? "--version" : "-P help");
	exit(1);
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("options");
	TCase *cases = tcase_create("all");

	tcase_add_test(cases, test_defaults);
	tcase_add_test(cases, test_lists);
	tcase_add_test(cases, test_protocols);
	tcase_add_test(cases, test_file);
	tcase_add_test(cases, test_switches);
	tcase_add_test(cases, test_sizes);
	tcase_add_test(cases, test_comm_longest);
	tcase_add_loop_exit_test(cases, test_mistake, 2, 0,
				 sizeof(mistakes) / sizeof(mistakes[0]));
	tcase_add_exit_test(cases, test_list_bound, 2);
	tcase_add_loop_exit_test(cases, test_help, 0, 0, 3);
	suite_add_tcase(all, cases);
	return all;
}

int main(void)
{
	return suite_run(suite());
}
