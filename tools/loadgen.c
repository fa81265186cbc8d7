/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loadgen.c - agents that query MySQL or MariaDB over TLS, and know what they
 * asked.
 *
 * What it reports is the ground truth that a tracer is measured against: each
 * statement with its rows and error (--truth), and the calls and bytes that
 * went through the TLS library.  It always ends: by --count, --duration or a
 * signal.  One object of JSON on standard output; exit status 0; 1 when a
 * connection or the protocol failed; 2 usage.
 */
#include <argp.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "tools/mysql_client.h"

#define AGENTS_MAX	 4096
#define ROWS_MAX	 400 /* of 500 customers, from any of the first 100 */
#define QUERIES_MAX	 16
#define TRUTH_BYTES	 65536	   /* of lines, written at once */
#define DURATION_DEFAULT 10.0	   /* seconds */
#define SLEEP_NS_MAX	 100000000 /* so that a signal is soon noticed */
#define EXECUTIONS	 3	   /* of each prepared statement */

/*
 * Latencies in buckets that are a 32nd of their octave wide: p50 and p99 are
 * right within 3 %.
 */
#define OCTAVE_BUCKETS 32
#define BUCKETS	       (OCTAVE_BUCKETS * 40)

enum mix { MIX_SIMPLE, MIX_MIXED };

static struct {
	struct client_options client;
	const char *ca;	   /* NULL: the certificate is not verified */
	const char *name;  /* comm of the agents; NULL: the program's */
	const char *truth; /* file; NULL: none */
	const char *queries[QUERIES_MAX];
	unsigned query_count;
	unsigned agents, rows;
	double rate;		  /* rounds a second, all agents; 0: no limit */
	double duration_s;	  /* 0: by count */
	uint64_t count;		  /* rounds an agent; 0: by duration */
	uint64_t reconnect_every; /* rounds; 0: never */
	enum mix mix;
	bool processes, tag;
} settings = { .client = { .host = "127.0.0.1", .port = 3306,
			   .user = "loadgen", .password = "",
			   .database = "shop" },
	       .agents = 1, .rows = 50 };

/* What one agent did. */
struct result {
	uint64_t connections, commands, statements, errors, failures, rows;
	uint64_t fragments, bytes_in, bytes_out;
	uint64_t start_ns, end_ns; /* of the rounds, without the first login */
	uint64_t cpu_ns;	   /* of the agent's thread, likewise */
	uint32_t latency[BUCKETS];
};

/* In memory that agents share with the parent, also when they are processes. */
static struct shared {
	pthread_barrier_t connected; /* all start their rounds together */
	volatile sig_atomic_t stop;
	struct result results[AGENTS_MAX];
} *shared;

struct agent {
	unsigned index;
	struct result *result;
	struct client client;
	uint64_t random;
	uint64_t sequence; /* commands so far */
	int truth;	   /* file descriptor; -1: none */
	char lines[TRUTH_BYTES + STATEMENT_MAX + 128];
	size_t lines_length;
	char statement[STATEMENT_MAX];
};

static SSL_CTX *tls;

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* xorshift64, seeded by the agent's index: the same load in each run. */
static unsigned random_below(struct agent *a, unsigned bound)
{
	a->random ^= a->random << 13;
	a->random ^= a->random >> 7;
	a->random ^= a->random << 17;
	return (unsigned)((a->random >> 16) % bound);
}

/* ---- accounts ---- */

static unsigned latency_bucket(uint64_t ns)
{
	unsigned octave;

	if (ns < OCTAVE_BUCKETS)
		return (unsigned)ns;
	octave = 63 - (unsigned)__builtin_clzll(ns) - 4;
	ns = octave * OCTAVE_BUCKETS + (ns >> (octave - 1)) - OCTAVE_BUCKETS;
	return ns < BUCKETS ? (unsigned)ns : BUCKETS - 1;
}

/* The least latency of a bucket, in milliseconds. */
static double bucket_ms(unsigned bucket)
{
	unsigned octave = bucket / OCTAVE_BUCKETS;
	uint64_t ns = bucket;

	if (octave)
		ns = (uint64_t)(OCTAVE_BUCKETS + bucket % OCTAVE_BUCKETS)
		     << (octave - 1);
	return (double)ns / 1e6;
}

/* Whole lines only: other agents append to the same file. */
static void truth_flush(struct agent *a)
{
	if (a->lines_length && write(a->truth, a->lines, a->lines_length) !=
				       (ssize_t)a->lines_length) {
		fprintf(stderr, "loadgen: write %s: %s\n", settings.truth,
			strerror(errno));
		a->result->failures++;
	}
	a->lines_length = 0;
}

/* Counts a command that the server has answered, and notes it. */
static void account(struct agent *a, const char *command, const char *statement,
		    const struct reply *reply, uint64_t sent_ns)
{
	struct result *result = a->result;

	a->sequence++;
	result->commands++;
	result->statements += statement[0] && strcmp(command, "PREPARE");
	result->errors += reply->error != 0;
	result->rows += reply->rows > 0 ? (uint64_t)reply->rows : 0;
	result->latency[latency_bucket(now_ns(CLOCK_MONOTONIC) - sent_ns)]++;
	if (a->truth < 0)
		return;
	a->lines_length += (size_t)snprintf(
		a->lines + a->lines_length, sizeof(a->lines) - a->lines_length,
		"%ld\t%u\t%" PRIu64 "\t%s\t%" PRId64 "\t%u\t%s\n",
		syscall(SYS_gettid), a->client.port, a->sequence, statement,
		reply->rows, reply->error, command);
	if (a->lines_length >= TRUTH_BYTES)
		truth_flush(a);
}

/* ---- the load ---- */

/*
 * A condition that is always true and like no other in the run, so that a test
 * can tell each statement from all others.
 */
static const char *tag(struct agent *a, char *text, size_t size)
{
	uint64_t number = (a->index + 1) * UINT64_C(1000000000) + a->sequence;

	text[0] = '\0';
	if (settings.tag)
		snprintf(text, size, " AND %" PRIu64 "=%" PRIu64, number,
			 number);
	return text;
}

static int ask(struct agent *a)
{
	uint64_t sent_ns = now_ns(CLOCK_MONOTONIC);
	struct reply reply;

	if (client_query(&a->client, a->statement, &reply))
		return -1;
	account(a, "QUERY", a->statement, &reply, sent_ns);
	return 0;
}

/* One statement of the load; arguments as of printf. */
__attribute__((format(printf, 2, 3)))
static int query(struct agent *a, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(a->statement, sizeof(a->statement), format, arguments);
	va_end(arguments);
	return ask(a);
}

static int select_customers(struct agent *a)
{
	char t[64];

	return query(a,
		     "SELECT id, name, email, card, phone, country "
		     "FROM customers WHERE id > %u%s ORDER BY id LIMIT %u",
		     random_below(a, 500 - ROWS_MAX), tag(a, t, sizeof(t)),
		     settings.rows);
}

static int insert_transaction(struct agent *a)
{
	char t[64];

	return query(a,
		     "INSERT INTO transactions (customer_id, amount, currency, "
		     "merchant, made_at, note) VALUES (%u, %u.%02u, 'EUR', "
		     "'Bookshop %u', NOW(), 1=1%s)",
		     1 + random_below(a, 500), random_below(a, 900),
		     random_below(a, 100), random_below(a, 40),
		     tag(a, t, sizeof(t)));
}

static int update_ticket(struct agent *a)
{
	static const char *const status[] = { "open", "pending", "closed" };
	char t[64];

	return query(a, "UPDATE tickets SET status = '%s' WHERE id = %u%s",
		     status[random_below(a, 3)], 1 + random_below(a, 500),
		     tag(a, t, sizeof(t)));
}

static int cause_error(struct agent *a)
{
	char t[64];

	if (random_below(a, 2))
		return query(a, "SELECT salary FROM customers WHERE id = 1%s",
			     tag(a, t, sizeof(t)));
	return query(a, "SELECT id FROM employees WHERE id = 1%s",
		     tag(a, t, sizeof(t)));
}

static int ping(struct agent *a)
{
	uint64_t sent_ns = now_ns(CLOCK_MONOTONIC);
	struct reply reply;

	if (client_ping(&a->client, &reply))
		return -1;
	account(a, "PING", "", &reply, sent_ns);
	return 0;
}

/* Prepares a statement, executes it some times, closes it. */
static int prepared(struct agent *a)
{
	uint64_t sent_ns = now_ns(CLOCK_MONOTONIC);
	struct reply reply;
	uint32_t number;
	char t[64];

	snprintf(a->statement, sizeof(a->statement),
		 "SELECT id, customer_id, amount, merchant, made_at, note "
		 "FROM transactions WHERE customer_id = ? AND currency = ?%s "
		 "LIMIT %u",
		 tag(a, t, sizeof(t)), settings.rows);
	if (client_prepare(&a->client, a->statement, &reply))
		return -1;
	account(a, "PREPARE", a->statement, &reply, sent_ns);
	if (reply.error)
		return 0;
	number = reply.statement;
	for (unsigned i = 0; i < EXECUTIONS; i++) {
		sent_ns = now_ns(CLOCK_MONOTONIC);
		if (client_execute(&a->client, number,
				   1 + random_below(a, 500), "EUR", &reply))
			return -1;
		account(a, "EXECUTE", a->statement, &reply, sent_ns);
	}
	return client_close(&a->client, number);
}

/* The next of the user's statements; each {n} becomes a random number. */
static int next_query(struct agent *a, uint64_t round)
{
	const char *from = settings.queries[round % settings.query_count];
	char *to = a->statement, *end = to + sizeof(a->statement) - 16;

	while (*from && to < end) {
		if (strncmp(from, "{n}", 3)) {
			*to++ = *from++;
			continue;
		}
		to += sprintf(to, "%u", 1 + random_below(a, 400));
		from += 3;
	}
	*to = '\0';
	return ask(a);
}

static int do_round(struct agent *a, uint64_t round)
{
	unsigned dice;

	if (settings.query_count)
		return next_query(a, round);
	if (settings.mix == MIX_SIMPLE)
		return select_customers(a);
	dice = random_below(a, 100);
	if (dice < 50)
		return select_customers(a);
	if (dice < 65)
		return insert_transaction(a);
	if (dice < 80)
		return update_ticket(a);
	if (dice < 92)
		return prepared(a);
	return dice < 97 ? cause_error(a) : ping(a);
}

/* ---- an agent ---- */

static int agent_connect(struct agent *a)
{
	if (client_connect(&a->client))
		return -1;
	a->result->connections++;
	return 0;
}

/* Sleeps until then, or until the run is to stop. */
static void wait_until(uint64_t then_ns)
{
	uint64_t now;
	struct timespec pause = { 0 };

	while (!shared->stop && (now = now_ns(CLOCK_MONOTONIC)) < then_ns) {
		pause.tv_nsec = (long)(then_ns - now < SLEEP_NS_MAX ?
					       then_ns - now : SLEEP_NS_MAX);
		nanosleep(&pause, NULL);
	}
}

/* Rounds at the agent's share of the rate; lost time is not made up for. */
static int agent_work(struct agent *a)
{
	uint64_t every = settings.rate > 0 ?
		(uint64_t)(1e9 * settings.agents / settings.rate) : 0;
	uint64_t now = now_ns(CLOCK_MONOTONIC);
	uint64_t end = settings.duration_s > 0 ?
		now + (uint64_t)(settings.duration_s * 1e9) : UINT64_MAX;
	uint64_t next = now + every / settings.agents * a->index;

	for (uint64_t round = 0; !shared->stop; round++) {
		if (settings.count && round == settings.count)
			break;
		if (every) {
			wait_until(next < end ? next : end);
			now = now_ns(CLOCK_MONOTONIC);
			next = (next > now ? next : now) + every;
		}
		if (shared->stop || now_ns(CLOCK_MONOTONIC) >= end)
			break;
		if (round && settings.reconnect_every &&
		    round % settings.reconnect_every == 0) {
			client_disconnect(&a->client, true);
			if (agent_connect(a))
				return -1;
		}
		if (do_round(a, round))
			return -1;
	}
	return 0;
}

static void agent_report(struct agent *a, bool works)
{
	struct result *result = a->result;

	if (!works) {
		fprintf(stderr, "loadgen: agent %u: %s\n", a->index,
			a->client.error);
		result->failures++;
	}
	result->fragments = a->client.fragments;
	result->bytes_in = a->client.bytes_in;
	result->bytes_out = a->client.bytes_out;
	truth_flush(a);
}

/* One agent's life.  The barrier is passed even when nothing works. */
static void *agent_run(void *argument)
{
	struct agent *a = argument;
	bool works = !agent_connect(a);
	uint64_t cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);

	pthread_barrier_wait(&shared->connected);
	a->result->start_ns = now_ns(CLOCK_MONOTONIC);
	if (works)
		works = !agent_work(a);
	a->result->end_ns = now_ns(CLOCK_MONOTONIC);
	a->result->cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	client_disconnect(&a->client, works);
	agent_report(a, works);
	free(a->client.packet);
	free(a);
	return NULL;
}

static struct agent *agent_new(unsigned index, int truth)
{
	struct agent *a = calloc(1, sizeof(*a));

	if (!a) {
		fprintf(stderr, "loadgen: out of memory\n");
		exit(1);
	}
	a->index = index;
	a->truth = truth;
	a->result = &shared->results[index];
	a->random = 0x9e3779b97f4a7c15 * (index + 1);
	a->client.options = &settings.client;
	a->client.tls = tls;
	a->client.socket = -1;
	return a;
}

/* ---- all agents ---- */

static void on_signal(int number)
{
	(void)number;
	shared->stop = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "loadgen: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void prepare(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_barrierattr_t attributes;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("shared memory");
	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->connected, &attributes, settings.agents);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (settings.name)
		prctl(PR_SET_NAME, settings.name);
	tls = SSL_CTX_new(TLS_client_method());
	if (!tls)
		die("SSL_CTX_new");
	if (!settings.ca)
		return;
	if (SSL_CTX_load_verify_locations(tls, settings.ca, NULL) != 1)
		die(settings.ca);
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
}

static void run_threads(int truth)
{
	static pthread_t threads[AGENTS_MAX];

	for (unsigned i = 0; i < settings.agents; i++) {
		errno = pthread_create(&threads[i], NULL, agent_run,
				       agent_new(i, truth));
		if (errno)
			die("pthread_create");
	}
	for (unsigned i = 0; i < settings.agents; i++)
		pthread_join(threads[i], NULL);
}

/* A child that dies leaves no result: it is counted as a failure. */
static void run_processes(int truth)
{
	static pid_t children[AGENTS_MAX];
	int status;

	for (unsigned i = 0; i < settings.agents; i++) {
		children[i] = fork();
		if (children[i] < 0) {
			shared->stop = 1;
			die("fork");
		}
		if (children[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			agent_run(agent_new(i, truth));
			_exit(0);
		}
	}
	for (unsigned i = 0; i < settings.agents; i++) {
		while (waitpid(children[i], &status, 0) < 0 && errno == EINTR)
			;
		if (status)
			shared->results[i].failures++;
	}
}

static struct result sum_results(void)
{
	struct result sum = { .start_ns = UINT64_MAX };

	for (unsigned i = 0; i < settings.agents; i++) {
		const struct result *r = &shared->results[i];

		sum.connections += r->connections;
		sum.commands += r->commands;
		sum.statements += r->statements;
		sum.errors += r->errors;
		sum.failures += r->failures;
		sum.rows += r->rows;
		sum.fragments += r->fragments;
		sum.bytes_in += r->bytes_in;
		sum.bytes_out += r->bytes_out;
		sum.cpu_ns += r->cpu_ns;
		if (r->start_ns < sum.start_ns)
			sum.start_ns = r->start_ns;
		if (r->end_ns > sum.end_ns)
			sum.end_ns = r->end_ns;
		for (unsigned b = 0; b < BUCKETS; b++)
			sum.latency[b] += r->latency[b];
	}
	return sum;
}

/* The latency that a share of all commands stays below, in milliseconds. */
static double percentile_ms(const struct result *sum, double share)
{
	double wanted = share * (double)sum->commands, seen = 0;
	unsigned bucket;

	for (bucket = 0; bucket < BUCKETS - 1; bucket++) {
		seen += sum->latency[bucket];
		if (seen >= wanted)
			break;
	}
	return bucket_ms(bucket);
}

static int report(void)
{
	struct result sum = sum_results();
	double seconds = (double)(sum.end_ns - sum.start_ns) / 1e9;

	printf("{\"agents\":%u,\"seconds\":%.3f,\"connections\":%" PRIu64
	       ",\"commands\":%" PRIu64 ",\"statements\":%" PRIu64
	       ",\"errors\":%" PRIu64 ",\"failures\":%" PRIu64
	       ",\"tps\":%.1f,\"rows\":%" PRIu64 ",\"fragments\":%" PRIu64
	       ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64
	       ",\"latency_p50_ms\":%.3f,\"latency_p99_ms\":%.3f"
	       ",\"cpu_seconds\":%.3f}\n",
	       settings.agents, seconds, sum.connections, sum.commands,
	       sum.statements, sum.errors, sum.failures,
	       (double)sum.statements / seconds, sum.rows, sum.fragments,
	       sum.bytes_in, sum.bytes_out, percentile_ms(&sum, 0.5),
	       percentile_ms(&sum, 0.99), (double)sum.cpu_ns / 1e9);
	return sum.failures || fflush(stdout) ? 1 : 0;
}

/* ---- command line ---- */

enum key {
	KEY_HOST = 256, KEY_PORT, KEY_CA, KEY_USER, KEY_PASSWORD, KEY_DATABASE,
	KEY_AGENTS, KEY_PROCESSES, KEY_RATE, KEY_DURATION, KEY_COUNT, KEY_ROWS,
	KEY_MIX, KEY_QUERY, KEY_READ, KEY_EX, KEY_DEPRECATE_EOF, KEY_NAME,
	KEY_RECONNECT, KEY_TAG, KEY_TRUTH
};

static const struct argp_option option_table[] = {
	{ "host", KEY_HOST, "ADDRESS", 0, "server's IPv4 address", 0 },
	{ "port", KEY_PORT, "N", 0, "server's port (3306)", 0 },
	{ "ca", KEY_CA, "FILE", 0, "verify the server by this CA", 0 },
	{ "user", KEY_USER, "NAME", 0, "user (loadgen)", 0 },
	{ "password", KEY_PASSWORD, "TEXT", 0, "password (none)", 0 },
	{ "database", KEY_DATABASE, "NAME", 0, "database (shop)", 0 },
	{ "agents", KEY_AGENTS, "N", 0, "agents, a connection each (1)", 0 },
	{ "processes", KEY_PROCESSES, NULL, 0, "processes, not threads", 0 },
	{ "rate", KEY_RATE, "TPS", 0, "statements a second, all (highest)", 0 },
	{ "duration", KEY_DURATION, "S", 0, "seconds (10, without count)", 0 },
	{ "count", KEY_COUNT, "N", 0, "statements of each agent", 0 },
	{ "rows", KEY_ROWS, "N", 0, "rows a SELECT returns (50)", 0 },
	{ "mix", KEY_MIX, "simple|mixed", 0,
	  "one SELECT (simple), or SELECT, INSERT, UPDATE, prepared "
	  "statements, errors, pings", 0 },
	{ "query", KEY_QUERY, "SQL", 0,
	  "this statement instead; may be repeated; {n}: a random number", 0 },
	{ "read", KEY_READ, "small|large", 0,
	  "read header and payload apart (small), or 16 KB at once", 0 },
	{ "ex", KEY_EX, NULL, 0, "SSL_read_ex and SSL_write_ex", 0 },
	{ "deprecate-eof", KEY_DEPRECATE_EOF, NULL, 0,
	  "results end as of MySQL 5.7", 0 },
	{ "name", KEY_NAME, "COMM", 0, "name of the agents' threads", 0 },
	{ "reconnect-every", KEY_RECONNECT, "N", 0,
	  "a new connection after so many statements", 0 },
	{ "statement-tag", KEY_TAG, NULL, 0,
	  "a number of its own in each statement", 0 },
	{ "truth", KEY_TRUTH, "FILE", 0,
	  "append a line a command: thread, local port, sequence, statement, "
	  "rows (-1: none), error, command; tabs between", 0 },
	{ 0 }
};

static double number(struct argp_state *state, const char *text, double least,
		     double most)
{
	char *end;
	double value = strtod(text, &end);

	if (!*text || *end || !(value >= least && value <= most))
		argp_error(state, "'%s' is not a number of %g to %g", text,
			   least, most);
	return value;
}

/* Is it the first of two words, or the second? */
static bool is_second(struct argp_state *state, const char *text,
		      const char *first, const char *second)
{
	if (strcmp(text, first) && strcmp(text, second))
		argp_error(state, "'%s' is neither %s nor %s", text, first,
			   second);
	return !strcmp(text, second);
}

static void add_query(struct argp_state *state, const char *text)
{
	if (settings.query_count == QUERIES_MAX)
		argp_error(state, "more than %d queries", QUERIES_MAX);
	if (strlen(text) > STATEMENT_MAX / 2 || strpbrk(text, "\t\n"))
		argp_error(state, "a query is too long, or has tabs in it");
	settings.queries[settings.query_count++] = text;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
	struct client_options *client = &settings.client;
	struct in_addr address;

	switch (key) {
	case KEY_HOST:
		if (inet_pton(AF_INET, text, &address) != 1)
			argp_error(state, "'%s' is no IPv4 address", text);
		client->host = text;
		break;
	case KEY_PORT:
		client->port = (uint16_t)number(state, text, 1, 65535);
		break;
	case KEY_CA:
		settings.ca = text;
		client->verify = true;
		break;
	case KEY_USER:
		client->user = text;
		break;
	case KEY_PASSWORD:
		client->password = text;
		break;
	case KEY_DATABASE:
		client->database = text;
		break;
	case KEY_AGENTS:
		settings.agents = (unsigned)number(state, text, 1, AGENTS_MAX);
		break;
	case KEY_PROCESSES:
		settings.processes = true;
		break;
	case KEY_RATE:
		settings.rate = number(state, text, 0, 1e6);
		break;
	case KEY_DURATION:
		settings.duration_s = number(state, text, 0.001, 3600);
		break;
	case KEY_COUNT:
		settings.count = (uint64_t)number(state, text, 1, 1e9);
		break;
	case KEY_ROWS:
		settings.rows = (unsigned)number(state, text, 0, ROWS_MAX);
		break;
	case KEY_MIX:
		settings.mix = is_second(state, text, "simple", "mixed");
		break;
	case KEY_QUERY:
		add_query(state, text);
		break;
	case KEY_READ:
		client->large_reads = is_second(state, text, "small", "large");
		break;
	case KEY_EX:
		client->ex = true;
		break;
	case KEY_DEPRECATE_EOF:
		client->deprecate_eof = true;
		break;
	case KEY_NAME:
		settings.name = text;
		break;
	case KEY_RECONNECT:
		settings.reconnect_every =
			(uint64_t)number(state, text, 1, 1e9);
		break;
	case KEY_TAG:
		settings.tag = true;
		break;
	case KEY_TRUTH:
		settings.truth = text;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", text);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		option_table, parse_option, NULL,
		"Agents that query MySQL or MariaDB over TLS.", NULL, NULL, NULL
	};
	int truth = -1;

	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (!settings.count && settings.duration_s <= 0)
		settings.duration_s = DURATION_DEFAULT;
	if (settings.truth) {
		truth = open(settings.truth,
			     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (truth < 0)
			die(settings.truth);
	}
	prepare();
	if (settings.processes)
		run_processes(truth);
	else
		run_threads(truth);
	return report();
}
