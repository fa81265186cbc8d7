/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.c - the command line: argp's table, and what each value may be.
 *
 * All mistakes end here, before anything is loaded or attached: one line that
 * names the option, the value and what is allowed, then exit status 2.
 */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "options.h"
#include "parsers/http.h"
#include "streams/cgroups.h"
#include "streams/container.h"

#define FLUSH_BYTES_MIN	     256
#define FLUSH_BYTES_MAX	     16384
#define FLUSH_BYTES_DEFAULT  1024
#define BUFFER_BYTES_MAX     32768
#define COPY_BYTES_MIN	     64
#define FLUSH_MS_MAX	     10000
#define FLUSH_MS_DEFAULT     100
#define RING_BYTES_MIN	     (64u << 10)
#define RING_BYTES_MAX	     (1024u << 20)
#define RING_BYTES_DEFAULT   (8u << 20)
#define CAPTURE_BYTES_UNIT   (128u << 10)
#define CAPTURE_BYTES_MAX    (4u << 20)
#define CONNECTIONS_MIN	     64
#define CONNECTIONS_MAX	     1048576
/* Both ends of 10,000, and of some that come and go. */
#define CONNECTIONS_DEFAULT  24576
#define DURATION_SECONDS_MAX 31536000.0 /* a year: a timer takes it */
#define LATENCY_MS_MAX	     86400000.0 /* a day */
#define EXIT_USAGE	     2

const char *argp_program_version = "datasnoop " DATASNOOP_VERSION;

enum option_key {
	KEY_PORT = 0x100, /* above all characters: long only */
	KEY_CONTAINER,
	KEY_CGROUP,
	KEY_MIN_MS,
	KEY_BOTH_ENDS,
	KEY_SHOW_VALUES,
	KEY_NO_RECORDS,
	KEY_FLUSH_SIZE,
	KEY_BUFFER_SIZE,
	KEY_COPY_SIZE,
	KEY_FLUSH_MS,
	KEY_RING_MB,
	KEY_MAX_CAPTURE,
	KEY_MAX_CONNECTIONS,
	KEY_TRANSPORT,
	KEY_NO_ACCUMULATE,
	KEY_NO_PLACEMENT,
	KEY_NO_SOCKET_TRACEPOINTS,
	KEY_KERNEL_HEADERS,
	KEY_DOCTOR
};

enum option_group {
	GROUP_WHOM = 1,
	GROUP_SHOW,
	GROUP_OUTPUT,
	GROUP_CAPTURE,
	GROUP_OTHER
};

static const struct argp_option option_table[] = {
	{NULL, 0, NULL, 0,
	 "Whom and what to trace (lists: A,B or repeated):", GROUP_WHOM},
	{"pid", 'p', "PID,...", 0, "These processes only", GROUP_WHOM},
	{"comm", 'c', "COMM,...", 0,
	 "Processes of these command names only (exact, at most 15 bytes)",
	 GROUP_WHOM},
	{"user", 'u', "USER,...", 0,
	 "Processes of these users only (names or numbers)", GROUP_WHOM},
	{"container", KEY_CONTAINER, "ID,...", 0,
	 "Processes of these containers only (ids, or beginnings of them; "
	 "names of LXC's and systemd-nspawn's)",
	 GROUP_WHOM},
	{"cgroup", KEY_CGROUP, "PATH,...", 0,
	 "Processes of these control groups (version 2) and below only",
	 GROUP_WHOM},
	{"port", KEY_PORT, "N,...", 0,
	 "Connections with one of these ports at either end", GROUP_WHOM},
	{"protocol", 'P', "PROTO,...", 0,
	 "These protocols only, or what is spoken over HTTP (-P help: which)",
	 GROUP_WHOM},
	{"duration", 'd', "SECS", 0,
	 "Stop after that time (fractions too); default: at a signal",
	 GROUP_WHOM},
	{"read", 'r', "FILE", 0,
	 "Read a capture file, pcap or pcapng, instead of tracing; -: "
	 "standard input",
	 GROUP_WHOM},
	{"write", 'w', "FILE", 0,
	 "Write what is captured, decrypted, as pcapng; -: standard output, "
	 "instead of records",
	 GROUP_WHOM},

	{NULL, 0, NULL, 0, "Which exchanges to show:", GROUP_SHOW},
	{"errors", 'x', NULL, 0, "Those that failed", GROUP_SHOW},
	{"min-ms", KEY_MIN_MS, "N", 0,
	 "Those that took N milliseconds or more (fractions too)", GROUP_SHOW},
	{"both-ends", KEY_BOTH_ENDS, NULL, 0,
	 "Also the server's side of those shown as a local client's",
	 GROUP_SHOW},

	{NULL, 0, NULL, 0, "How to show them:", GROUP_OUTPUT},
	{"json", 'j', NULL, 0, "One JSON object a line", GROUP_OUTPUT},
	{"show-values", KEY_SHOW_VALUES, NULL, 0,
	 "Do not mask literals, parameters, payload, quoted error text",
	 GROUP_OUTPUT},
	{"no-records", KEY_NO_RECORDS, NULL, 0,
	 "Show no exchanges, only the closing account", GROUP_OUTPUT},
	{"quiet", 'q', NULL, 0, "Only errors and the account on standard error",
	 GROUP_OUTPUT},
	{"verbose", 'v', NULL, 0, "More notes; twice: libbcc's too",
	 GROUP_OUTPUT},

	{NULL, 0, NULL, 0, "How to capture (sizes in bytes):", GROUP_CAPTURE},
	{"flush-size", KEY_FLUSH_SIZE, "N", 0,
	 "A batch leaves the kernel at N bytes: power of two, 256 to 16384 "
	 "(default 1024)",
	 GROUP_CAPTURE},
	{"buffer-size", KEY_BUFFER_SIZE, "N", 0,
	 "Accumulator of a connection: power of two, from 2 x flush size to "
	 "32768 (default 2 x flush size)",
	 GROUP_CAPTURE},
	{"copy-size", KEY_COPY_SIZE, "N", 0,
	 "Largest fragment that is accumulated: power of two, 64 to the "
	 "flush size (default: the flush size)",
	 GROUP_CAPTURE},
	{"flush-ms", KEY_FLUSH_MS, "N", 0,
	 "Longest that bytes wait in the kernel: 1 to 10000 (default 100)",
	 GROUP_CAPTURE},
	{"ring-mb", KEY_RING_MB, "N", 0,
	 "Buffer to user space in MiB: power of two, 0.0625 to 1024 "
	 "(default 8)",
	 GROUP_CAPTURE},
	{"max-capture", KEY_MAX_CAPTURE, "N", 0,
	 "Bytes captured of one call: multiple of 131072 to 4194304 "
	 "(default 4194304)",
	 GROUP_CAPTURE},
	{"max-connections", KEY_MAX_CONNECTIONS, "N", 0,
	 "Connections accumulated at once: 64 to 1048576 (default 24576)",
	 GROUP_CAPTURE},
	{"transport", KEY_TRANSPORT, "KIND", 0,
	 "ring, perf, or auto: ring where the kernel has it (default auto)",
	 GROUP_CAPTURE},
	{"no-accumulate", KEY_NO_ACCUMULATE, NULL, 0,
	 "One fixed-size record a fragment, to measure the difference",
	 GROUP_CAPTURE},
	{"no-placement", KEY_NO_PLACEMENT, NULL, 0,
	 "Probe each function at its first instruction, whatever it costs",
	 GROUP_CAPTURE},
	{"no-socket-tracepoints", KEY_NO_SOCKET_TRACEPOINTS, NULL, 0,
	 "Look at each system call, as kernels before 6.3 need",
	 GROUP_CAPTURE},
	{"kernel-headers", KEY_KERNEL_HEADERS, "DIR", 0,
	 "Kernel build tree to compile with; default: found, or from BTF",
	 GROUP_CAPTURE},

	{NULL, 0, NULL, 0, "Instead of tracing:", GROUP_OTHER},
	{"doctor", KEY_DOCTOR, NULL, 0,
	 "Say what this host offers, what would be probed, what is missing",
	 GROUP_OTHER},
	{NULL, 'h', NULL, OPTION_HIDDEN, "", GROUP_OTHER},
	{0}};

static const char help_text[] =
	"Show which process reads which data, live: database queries, API\n"
	"calls, calls of language models and of their tools, on plain sockets\n"
	"and pipes, and decrypted where they use TLS.\n"
	"\v"
	"EXAMPLES\n"
	"  datasnoop                     trace this host until Ctrl-C\n"
	"  datasnoop -p 4121 -d 10       one process, ten seconds\n"
	"  datasnoop -c support-bot -x   what fails for that command\n"
	"  datasnoop -P llm,mcp          what agents ask models and tools\n"
	"  datasnoop --min-ms 100        what took 100 ms and more\n"
	"  datasnoop -j --port 3306 | jq -r '.[\"db.query.text\"] // empty'\n"
	"  datasnoop -r dump.pcap        what a capture file shows\n"
	"  tcpdump -U -w - | datasnoop -r -\n"
	"  datasnoop -w dump.pcapng      for Wireshark, and for -r\n"
	"  datasnoop --doctor            what is missing on this host\n"
	"\n"
	"Records go to standard output, notes and the closing account to\n"
	"standard error.  Exit status: 0 done, 1 failed, 2 usage.\n";

/* Ends the run: what argp_error() prints, with the exit status of usage. */
static _Noreturn void refuse(const struct argp_state *state, const char *option,
			     const char *value, const char *allowed)
{
	argp_error(state, "%s %s: %s", option, value, allowed);
	exit(EXIT_USAGE); /* argp_error() ends the process itself */
}

/* Digits only: no sign, no space, no base, nothing behind. */
static bool read_whole(const char *text, uint64_t max, uint64_t *number)
{
	if (!*text || text[strspn(text, "0123456789")])
		return false;
	errno = 0;
	*number = strtoull(text, NULL, 10);
	return !errno && *number <= max;
}

/* Digits with at most one point: no sign, exponent, "inf" or "nan". */
static bool read_decimal(const char *text, double max, double *number)
{
	char *end;

	if (!strpbrk(text, "0123456789") || text[strspn(text, "0123456789.")])
		return false;
	*number = strtod(text, &end);
	return !*end && *number <= max;
}

static uint32_t parse_whole(const struct argp_state *state, const char *option,
			    const char *text, uint32_t min, uint32_t max)
{
	char allowed[64];
	uint64_t number;

	if (read_whole(text, max, &number) && number >= min)
		return number;
	snprintf(allowed, sizeof(allowed), "must be a number from %u to %u",
		 min, max);
	refuse(state, option, text, allowed);
}

static bool is_power_of_two(uint64_t number)
{
	return number && !(number & (number - 1));
}

static uint32_t parse_power(const struct argp_state *state, const char *option,
			    const char *text, uint32_t min, uint32_t max)
{
	char allowed[64];
	uint64_t number;

	if (read_whole(text, max, &number) && number >= min &&
	    is_power_of_two(number))
		return number;
	snprintf(allowed, sizeof(allowed),
		 "must be a power of two from %u to %u", min, max);
	refuse(state, option, text, allowed);
}

static double parse_decimal(const struct argp_state *state, const char *option,
			    const char *text, double max, const char *unit)
{
	char allowed[80];
	double number;

	if (read_decimal(text, max, &number) && number > 0)
		return number;
	snprintf(allowed, sizeof(allowed),
		 "must be a number of %s above 0 and at most %.0f", unit, max);
	refuse(state, option, text, allowed);
}

static uint32_t parse_ring(const struct argp_state *state, const char *text)
{
	double megabytes;
	uint64_t bytes;

	if (read_decimal(text, RING_BYTES_MAX >> 20, &megabytes)) {
		bytes = megabytes * (1 << 20);
		if (bytes >= RING_BYTES_MIN && is_power_of_two(bytes) &&
		    bytes == megabytes * (1 << 20))
			return bytes;
	}
	refuse(state, "--ring-mb", text,
	       "must be a power of two from 1 to 1024, "
	       "or 0.5, 0.25, 0.125, 0.0625");
}

static uint32_t parse_capture(const struct argp_state *state, const char *text)
{
	uint64_t bytes;

	if (read_whole(text, CAPTURE_BYTES_MAX, &bytes) && bytes &&
	    bytes % CAPTURE_BYTES_UNIT == 0)
		return bytes;
	refuse(state, "--max-capture", text,
	       "must be a multiple of 131072 up to 4194304");
}

static enum transport_choice parse_transport(const struct argp_state *state,
					     const char *text)
{
	if (!strcmp(text, "auto"))
		return TRANSPORT_AUTO;
	if (!strcmp(text, "ring"))
		return TRANSPORT_RING;
	if (!strcmp(text, "perf"))
		return TRANSPORT_PERF;
	refuse(state, "--transport", text, "must be auto, ring or perf");
}

static void add_pid(const struct argp_state *state, struct options *options,
		    const char *text)
{
	uint64_t pid;

	if (!read_whole(text, INT32_MAX, &pid) || !pid)
		refuse(state, "--pid", text, "must be a process number");
	options->pids[options->pid_count++] = pid;
}

static void add_comm(const struct argp_state *state, struct options *options,
		     const char *text)
{
	if (strlen(text) >= BATCH_COMM_BYTES)
		refuse(state, "--comm", text,
		       "a command name has at most 15 bytes");
	options->comms[options->comm_count++] = text;
}

/* A name goes before a number, as chown does; a number needs no account. */
static void add_user(const struct argp_state *state, struct options *options,
		     const char *text)
{
	const struct passwd *entry = getpwnam(text);
	uint64_t uid;

	if (entry)
		uid = entry->pw_uid;
	else if (!read_whole(text, UINT32_MAX - 1, &uid))
		refuse(state, "--user", text, "no such user");
	options->uids[options->uid_count++] = uid;
}

static void add_container(const struct argp_state *state,
			  struct options *options, const char *text)
{
	(void)state;
	options->containers[options->container_count++] = text;
}

/* With or without the mount point before it; always from its root on. */
static void add_cgroup(const struct argp_state *state, struct options *options,
		       const char *text)
{
	char mount[PATH_MAX];
	struct cgroups *cgroups = cgroups_new(1);
	size_t length;

	if (!cgroups) {
		argp_error(state, "out of memory");
		exit(EXIT_USAGE);
	}
	snprintf(mount, sizeof(mount), "%s", cgroups_mount(cgroups));
	cgroups_free(cgroups);
	if (text[0] != '/')
		refuse(state, "--cgroup", text, "must begin with a slash");
	length = strlen(mount);
	if (length && container_within(text, mount))
		text += length;
	options->cgroups[options->cgroup_count++] = *text ? text : "/";
}

static void add_port(const struct argp_state *state, struct options *options,
		     const char *text)
{
	options->ports[options->port_count++] =
		parse_whole(state, "--port", text, 1, UINT16_MAX);
}

/* A parser that runs; once, however often it is named.  NULL is fine. */
static void enable_parser(struct options *options, const struct parser *parser)
{
	unsigned i;

	if (!parser)
		return;
	for (i = 0; i < options->protocol_count; i++)
		if (options->protocols[i] == parser)
			return;
	options->protocols[options->protocol_count++] = parser;
}

/* All that -P takes, "mysql, http, llm"; cut when it does not fit. */
static void list_protocols(char *text, size_t size)
{
	const struct http_application *const *application;
	const struct parser *const *parser;
	size_t length = 0;

	*text = '\0';
	for (parser = parser_registry; *parser && length < size; parser++)
		length += snprintf(text + length, size - length, "%s%s",
				   length ? ", " : "", (*parser)->name);
	for (application = http_applications; *application && length < size;
	     application++)
		if (!parser_find((*application)->name))
			length += snprintf(text + length, size - length,
					   ", %s", (*application)->name);
}

/* A protocol, or what is spoken over HTTP; "http" is both its versions. */
static void add_protocol(const struct argp_state *state,
			 struct options *options, const char *text)
{
	bool over_http = http_application_find(text) || !strcmp(text, "http");
	const struct parser *parser = parser_find(text);
	char known[512];

	list_protocols(known, sizeof(known));
	if (!strcmp(text, "help")) {
		printf("%s\n", known);
		exit(EXIT_SUCCESS);
	}
	if (!parser && !over_http) {
		argp_error(state, "--protocol %s: must be one of: %s", text,
			   known);
		exit(EXIT_USAGE);
	}
	enable_parser(options, parser);
	if (over_http) {
		enable_parser(options, parser_find("http"));
		enable_parser(options, parser_find("http2"));
	}
	/* Its exchanges are HTTP's: the version is one of their fields. */
	options->shown[options->shown_count++] =
		strcmp(text, "http2") ? text : "http";
	/* Messages of a connection that began as HTTP. */
	if (!strcmp(text, "http") && options->shown_count < OPTIONS_LIST_MAX)
		options->shown[options->shown_count++] = "websocket";
}

/* Splits a list where it stands, and hands each value on. */
static void add_list(const struct argp_state *state, const char *option,
		     char *list, const unsigned *count,
		     void (*add)(const struct argp_state *state,
				 struct options *options, const char *text))
{
	char *text;

	while ((text = strsep(&list, ","))) {
		if (!*text)
			refuse(state, option, "\"\"", "an empty value");
		if (*count == OPTIONS_LIST_MAX)
			refuse(state, option, text, "at most 64 values");
		add(state, state->input, text);
	}
}

static error_t parse_capture_option(int key, char *argument,
				    const struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case KEY_FLUSH_SIZE:
		options->flush_size =
			parse_power(state, "--flush-size", argument,
				    FLUSH_BYTES_MIN, FLUSH_BYTES_MAX);
		return 0;
	case KEY_BUFFER_SIZE:
		options->buffer_size =
			parse_power(state, "--buffer-size", argument,
				    2 * FLUSH_BYTES_MIN, BUFFER_BYTES_MAX);
		return 0;
	case KEY_COPY_SIZE:
		options->copy_size =
			parse_power(state, "--copy-size", argument,
				    COPY_BYTES_MIN, FLUSH_BYTES_MAX);
		return 0;
	case KEY_FLUSH_MS:
		options->flush_ms = parse_whole(state, "--flush-ms", argument,
						1, FLUSH_MS_MAX);
		return 0;
	case KEY_RING_MB:
		options->ring_bytes = parse_ring(state, argument);
		return 0;
	case KEY_MAX_CAPTURE:
		options->max_capture = parse_capture(state, argument);
		return 0;
	case KEY_MAX_CONNECTIONS:
		options->max_connections =
			parse_whole(state, "--max-connections", argument,
				    CONNECTIONS_MIN, CONNECTIONS_MAX);
		return 0;
	case KEY_TRANSPORT:
		options->transport = parse_transport(state, argument);
		return 0;
	case KEY_NO_ACCUMULATE:
		options->accumulate = false;
		return 0;
	case KEY_NO_PLACEMENT:
		options->placement = false;
		return 0;
	case KEY_NO_SOCKET_TRACEPOINTS:
		options->socket_tracepoints = false;
		return 0;
	case KEY_KERNEL_HEADERS:
		if (!*argument)
			refuse(state, "--kernel-headers", "\"\"",
			       "must be a directory");
		options->kernel_headers = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_show_option(int key, char *argument,
				 const struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'x':
		options->errors_only = true;
		return 0;
	case KEY_MIN_MS:
		options->min_ms = parse_decimal(state, "--min-ms", argument,
						LATENCY_MS_MAX, "milliseconds");
		return 0;
	case KEY_BOTH_ENDS:
		options->both_ends = true;
		return 0;
	case KEY_SHOW_VALUES:
		options->show_values = true;
		return 0;
	case KEY_NO_RECORDS:
		options->no_records = true;
		return 0;
	case 'j':
		options->json = true;
		return 0;
	case 'q':
		options->quiet = true;
		return 0;
	case 'v':
		options->verbose++;
		return 0;
	default:
		return parse_capture_option(key, argument, state);
	}
}

/* Processes to trace must be there; those of a file were, once. */
static void check_pids(const struct argp_state *state,
		       const struct options *options)
{
	unsigned i;

	for (i = 0; i < options->pid_count && !options->read_file; i++) {
		if (!kill((pid_t)options->pids[i], 0) || errno != ESRCH)
			continue;
		argp_error(state, "--pid: no process %u", options->pids[i]);
		exit(EXIT_USAGE);
	}
}

/* Are both the same file? */
static bool is_same_file(const char *a, const char *b)
{
	struct stat one, other;

	return !stat(a, &one) && !stat(b, &other) && S_ISREG(one.st_mode) &&
	       one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Standard output has room for one thing, and a terminal none for packets. */
static void check_write(const struct argp_state *state,
			struct options *options)
{
	if (!options->write_file)
		return;
	if (options->read_file &&
	    is_same_file(options->read_file, options->write_file))
		refuse(state, "--write", options->write_file,
		       "is the file to read");
	if (strcmp(options->write_file, "-"))
		return;
	if (isatty(STDOUT_FILENO))
		refuse(state, "--write", "-",
		       "standard output must not be a terminal");
	if (options->json)
		refuse(state, "--write", "-",
		       "standard output cannot have --json too");
	options->no_records = true;
}

struct search {
	const char *word;
	bool found;
};

static bool search_container(void *context, const char *path)
{
	struct search *search = context;
	struct container container;

	search->found = container_of_path(path, strlen(path), &container) &&
			container_matches(container.id, search->word);
	return !search->found;
}

/* Is there a container of that id or name now? */
static bool is_container(const struct cgroups *cgroups, const char *word)
{
	struct search search = {.word = word};

	cgroups_each(cgroups, search_container, &search);
	return search.found;
}

static bool is_cgroup(const struct cgroups *cgroups, const char *path)
{
	const char *mount = cgroups_mount(cgroups);
	char full[2 * PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", mount, path);
	return *mount && !access(full, F_OK);
}

/* So must the containers and control groups. */
static void check_groups(const struct argp_state *state,
			 const struct options *options)
{
	const char *container = NULL, *cgroup = NULL;
	struct cgroups *cgroups;
	unsigned i;

	if (options->read_file ||
	    !(options->container_count || options->cgroup_count))
		return;
	cgroups = cgroups_new(1);
	for (i = 0; cgroups && i < options->container_count; i++)
		if (!is_container(cgroups, options->containers[i]))
			container = options->containers[i];
	for (i = 0; cgroups && i < options->cgroup_count; i++)
		if (!is_cgroup(cgroups, options->cgroups[i]))
			cgroup = options->cgroups[i];
	cgroups_free(cgroups);
	if (container)
		argp_error(state, "--container: no such container: %s",
			   container);
	if (cgroup)
		argp_error(state, "--cgroup: no such control group: %s",
			   cgroup);
}

/* What follows from, or must agree with, another option. */
static void finish(const struct argp_state *state, struct options *options)
{
	char value[16], allowed[80];

	check_pids(state, options);
	check_groups(state, options);
	check_write(state, options);
	if (!options->buffer_size)
		options->buffer_size = 2 * options->flush_size;
	if (!options->copy_size)
		options->copy_size = options->flush_size;
	if (options->buffer_size < 2 * options->flush_size) {
		snprintf(value, sizeof(value), "%u", options->buffer_size);
		snprintf(allowed, sizeof(allowed),
			 "must be at least %u, twice the flush size of %u",
			 2 * options->flush_size, options->flush_size);
		refuse(state, "--buffer-size", value, allowed);
	}
	if (options->copy_size > options->flush_size) {
		snprintf(value, sizeof(value), "%u", options->copy_size);
		snprintf(allowed, sizeof(allowed),
			 "must be at most the flush size, %u",
			 options->flush_size);
		refuse(state, "--copy-size", value, allowed);
	}
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'p':
		add_list(state, "--pid", argument, &options->pid_count,
			 add_pid);
		return 0;
	case 'c':
		add_list(state, "--comm", argument, &options->comm_count,
			 add_comm);
		return 0;
	case 'u':
		add_list(state, "--user", argument, &options->uid_count,
			 add_user);
		return 0;
	case KEY_CONTAINER:
		add_list(state, "--container", argument,
			 &options->container_count, add_container);
		return 0;
	case KEY_CGROUP:
		add_list(state, "--cgroup", argument, &options->cgroup_count,
			 add_cgroup);
		return 0;
	case KEY_PORT:
		add_list(state, "--port", argument, &options->port_count,
			 add_port);
		return 0;
	case 'P':
		add_list(state, "--protocol", argument,
			 &options->shown_count, add_protocol);
		return 0;
	case 'd':
		options->duration_s =
			parse_decimal(state, "--duration", argument,
				      DURATION_SECONDS_MAX, "seconds");
		return 0;
	case 'r':
		if (!*argument)
			refuse(state, "--read", "\"\"", "must be a file");
		options->read_file = argument;
		return 0;
	case 'w':
		if (!*argument)
			refuse(state, "--write", "\"\"", "must be a file");
		options->write_file = argument;
		return 0;
	case KEY_DOCTOR:
		options->doctor = true;
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "%s: unexpected argument", argument);
		return 0;
	case ARGP_KEY_END:
		finish(state, options);
		return 0;
	default:
		return parse_show_option(key, argument, state);
	}
}

void options_parse(struct options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.doc = help_text,
	};

	*options = (struct options){
		.flush_size = FLUSH_BYTES_DEFAULT,
		.flush_ms = FLUSH_MS_DEFAULT,
		.ring_bytes = RING_BYTES_DEFAULT,
		.max_capture = CAPTURE_BYTES_MAX,
		.max_connections = CONNECTIONS_DEFAULT,
		.transport = TRANSPORT_AUTO,
		.accumulate = true,
		.placement = true,
		.socket_tracepoints = true,
	};
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, options);
}
