/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peer.c - both ends of TLS connections, who note what each call moved.
 *
 *   peer SCENARIO DIR
 *
 * A server and a client, a process each, play a scenario over loopback.
 * DIR/PID.N.in and DIR/PID.N.out get what SSL_read and SSL_write of process
 * PID said they moved on its Nth connection, DIR/PID.N.about its addresses:
 * the files that streamdump writes of the same connection, so that the two
 * directories can be compared.  Each byte is pseudo-random, of a sequence that
 * no other connection has: a byte that is missing, doubled or moved shows.
 *
 * Exit status 0: the scenario went as it should; what it depends on (the same
 * address again, a write that had to be repeated) is checked here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIFE_SECONDS	60 /* of a scenario, at the most */
#define FILE_WAIT_MS	40000
#define LINKS_MANY	100
#define REUSES		8
#define RECORD_BYTES	16384 /* the most that OpenSSL gives at once */
#define NEW_LIBRARY_MS	200   /* within this a new library is attached to */
#define SMALL_SOCKET	4096

enum { IN, OUT };

struct link {
	SSL *ssl;
	int fd;
	uint64_t seed;	/* of the bytes that it writes */
	uint64_t given; /* bytes */
	int files[2];	/* 0: nothing was moved yet */
};

static bool server;    /* which end this process is */
static bool extended;  /* SSL_read_ex, SSL_write_ex */
static bool recording = true;
static const char *directory;
static char name[16];  /* of the process, before it has threads */
static SSL_CTX *context;
static int listener;
static struct sockaddr_in address;
static unsigned wants; /* calls that had to be repeated */
static unsigned numbered;
static pthread_mutex_t numbering = PTHREAD_MUTEX_INITIALIZER;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "peer: %s: %s: %s\n", server ? "server" : "client",
		what, strerror(errno));
	ERR_print_errors_fp(stderr);
	_exit(1);
}

static void require(bool holds, const char *what)
{
	if (!holds)
		die(what);
}

static void pause_ms(unsigned ms)
{
	poll(NULL, 0, (int)ms);
}

/* ---- the truth ---- */

static int open_file(unsigned number, const char *part)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%d.%u.%s", directory, getpid(),
		 number, part);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600);
	require(fd > 0, path);
	return fd;
}

static void write_all(int fd, const void *bytes, size_t length)
{
	require(write(fd, bytes, length) == (ssize_t)length, "write");
}

static void endpoint(char text[32], int error, const struct sockaddr_in *end)
{
	require(!error, "name of the socket");
	snprintf(text, 32, "%s:%u", inet_ntoa(end->sin_addr),
		 ntohs(end->sin_port));
}

/* The first byte of a connection: it gets its number and its files. */
static void begin(struct link *link)
{
	struct sockaddr_in end;
	socklen_t size = sizeof(end);
	char local[32], remote[32];
	unsigned number;
	int about;

	pthread_mutex_lock(&numbering);
	number = numbered++;
	endpoint(local, getsockname(link->fd, (void *)&end, &size), &end);
	endpoint(remote, getpeername(link->fd, (void *)&end, &size), &end);
	pthread_mutex_unlock(&numbering);
	link->files[IN] = open_file(number, "in");
	link->files[OUT] = open_file(number, "out");
	about = open_file(number, "about");
	dprintf(about, "%s %s %s openssl\n", name, local, remote);
	close(about);
}

/* At once, and unbuffered: the next thing may be the process's end. */
static void moved(struct link *link, int direction, const void *bytes,
		  size_t length)
{
	if (!recording)
		return;
	if (!link->files[IN])
		begin(link);
	write_all(link->files[direction], bytes, length);
}

/* ---- bytes ---- */

/* splitmix64's output function: neighbours have nothing in common. */
static uint8_t byte_at(uint64_t seed, uint64_t offset)
{
	uint64_t z = seed + offset * 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (uint8_t)(z ^ z >> 31);
}

/* A call that moved nothing: wait for the socket if that is why. */
static void wait_socket(struct link *link, int result)
{
	struct pollfd poll_fd = { .fd = link->fd };

	switch (SSL_get_error(link->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		poll_fd.events = POLLIN;
		break;
	case SSL_ERROR_WANT_WRITE:
		poll_fd.events = POLLOUT;
		break;
	default:
		die("a call failed");
	}
	wants++;
	poll(&poll_fd, 1, -1);
}

static size_t write_once(struct link *link, const void *bytes, size_t length)
{
	size_t done = 0;
	int result;

	for (;;) {
		if (extended) {
			result = SSL_write_ex(link->ssl, bytes, length, &done);
		} else {
			result = SSL_write(link->ssl, bytes, (int)length);
			done = (size_t)result;
		}
		if (result > 0)
			return done;
		wait_socket(link, result);
	}
}

static size_t read_once(struct link *link, void *bytes, size_t length)
{
	size_t done = 0;
	int result;

	for (;;) {
		if (extended) {
			result = SSL_read_ex(link->ssl, bytes, length, &done);
		} else {
			result = SSL_read(link->ssl, bytes, (int)length);
			done = (size_t)result;
		}
		if (result > 0)
			return done;
		wait_socket(link, result);
	}
}

/* So many bytes in one call, or what a partial write makes of it. */
static void give(struct link *link, size_t length)
{
	uint8_t *bytes = malloc(length);
	size_t done, i;

	require(bytes, "memory");
	for (i = 0; i < length; i++)
		bytes[i] = byte_at(link->seed, link->given + i);
	for (i = 0; i < length; i += done) {
		done = write_once(link, bytes + i, length - i);
		moved(link, OUT, bytes + i, done);
	}
	link->given += length;
	free(bytes);
}

/* So many bytes, at most a TLS record in a call. */
static void take(struct link *link, size_t length)
{
	uint8_t bytes[RECORD_BYTES];
	size_t done;

	for (; length; length -= done) {
		done = read_once(link, bytes, length < sizeof(bytes) ?
						      length : sizeof(bytes));
		moved(link, IN, bytes, done);
	}
}

/* There and back. */
static void exchange(struct link *link, size_t length)
{
	if (server)
		take(link, length);
	give(link, length);
	if (!server)
		take(link, length);
}

/* ---- connections ---- */

static void handshake(struct link *link)
{
	link->fd = server ? accept(listener, NULL, NULL) :
			    socket(AF_INET, SOCK_STREAM, 0);
	require(link->fd >= 0, "socket");
	if (!server)
		require(!connect(link->fd, (void *)&address, sizeof(address)),
			"connect");
	require(SSL_set_fd(link->ssl, link->fd) == 1, "SSL_set_fd");
	require((server ? SSL_accept(link->ssl) : SSL_connect(link->ssl)) == 1,
		"handshake");
}

/* A connection by a TLS object that exists. */
static struct link link_begin(SSL *ssl)
{
	static uint64_t links;
	struct link link = { .ssl = ssl };

	link.seed = ((uint64_t)getpid() << 32) + links++ * 7919;
	require(ssl, "SSL_new");
	handshake(&link);
	return link;
}

static struct link link_open(void)
{
	return link_begin(SSL_new(context));
}

static void link_end(struct link *link)
{
	SSL_shutdown(link->ssl);
	close(link->fd);
	if (link->files[IN])
		close(link->files[IN]);
	if (link->files[OUT])
		close(link->files[OUT]);
	link->files[IN] = link->files[OUT] = 0;
}

static void link_close(struct link *link)
{
	link_end(link);
	SSL_free(link->ssl);
}

/* ---- files that say when ---- */

static void say(const char *what)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s.%s", directory, what,
		 server ? "server" : "client");
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	require(fd >= 0, path);
	close(fd);
}

static void wait_file(const char *what)
{
	char path[4096];
	unsigned ms;

	snprintf(path, sizeof(path), "%s/%s", directory, what);
	for (ms = 0; access(path, F_OK); ms += 5) {
		require(ms < FILE_WAIT_MS, path);
		pause_ms(5);
	}
}

/* ---- scenarios: the same function for both ends ---- */

static void exchange_sizes(struct link *link)
{
	static const size_t sizes[] = { 1,    4,    1023, 1024,	 1025, 2047,
					2048, 8191, 8192, 16383, 16384 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		exchange(link, sizes[i]);
}

static void play_records(void)
{
	struct link link = link_open();

	exchange_sizes(&link);
	link_close(&link);
}

static void play_sizes(void)
{
	struct link link = link_open();

	exchange_sizes(&link);
	exchange(&link, 3000000);
	exchange(&link, 7);
	link_close(&link);
}

static void play_sizes_ex(void)
{
	extended = true;
	play_sizes();
}

/* A header and its payload in one write and two reads; some are peeked at. */
static void play_tiny(void)
{
	struct link link = link_open();
	uint8_t header[4];

	for (unsigned i = 0; i < 1000; i++) {
		size_t payload = 1 + i * 7 % 60;

		if (server != i % 2) {
			give(&link, sizeof(header) + payload);
			continue;
		}
		if (i % 16 == 0)
			require(SSL_peek(link.ssl, header, 4) == 4, "peek");
		take(&link, sizeof(header));
		take(&link, payload);
	}
	link_close(&link);
}

static void *chat(void *link)
{
	for (unsigned i = 0; i < 300; i++)
		exchange(link, 1 + i * 37 % 2500);
	return NULL;
}

/* A connection for each of two threads. */
static void play_threads(void)
{
	struct link links[2] = { link_open(), link_open() };
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		require(!pthread_create(&threads[i], NULL, chat, &links[i]),
			"thread");
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		link_close(&links[i]);
	}
}

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t turned;
	unsigned turn;
	struct link link;
} hand = { .mutex = PTHREAD_MUTEX_INITIALIZER,
	   .turned = PTHREAD_COND_INITIALIZER };

static void *take_turns(void *which)
{
	for (unsigned i = which ? 1 : 0; i < 200; i += 2) {
		pthread_mutex_lock(&hand.mutex);
		while (hand.turn != i)
			pthread_cond_wait(&hand.turned, &hand.mutex);
		exchange(&hand.link, 1 + i * 13 % 900);
		hand.turn++;
		pthread_cond_broadcast(&hand.turned);
		pthread_mutex_unlock(&hand.mutex);
	}
	return NULL;
}

/* One connection that goes from thread to thread and back. */
static void play_handed(void)
{
	pthread_t threads[2];

	hand.link = link_open();
	for (int i = 0; i < 2; i++)
		require(!pthread_create(&threads[i], NULL, take_turns,
					i ? &hand : NULL), "thread");
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	link_close(&hand.link);
}

/* Used before DIR/go exists; only what comes after counts. */
static void play_early(void)
{
	struct link link = link_open();

	recording = false;
	exchange(&link, 100);
	exchange(&link, 5000);
	recording = true;
	say("ready");
	wait_file("go");
	for (size_t i = 0; i < 20; i++)
		exchange(&link, 1 + i * 97);
	link_close(&link);
}

/* Objects freed, and others made at their addresses. */
static void play_reuse(void)
{
	SSL *ssl = SSL_new(context), *next;
	unsigned same = 0;

	for (unsigned i = 0; i < REUSES; i++) {
		struct link link = link_begin(ssl);

		exchange(&link, 50 + i);
		link_end(&link);
		SSL_free(ssl);
		next = SSL_new(context);
		same += next == ssl;
		ssl = next;
	}
	SSL_free(ssl);
	require(same, "no address was used again");
}

/* One object on one socket after another. */
static void play_clear(void)
{
	struct link link = link_open();

	for (unsigned i = 0; i < 4; i++) {
		exchange(&link, 60 + i);
		link_end(&link);
		require(SSL_clear(link.ssl) == 1, "SSL_clear");
		handshake(&link);
	}
	exchange(&link, 3000);
	link_close(&link);
}

/* Nothing comes after the last response, until DIR/stop exists. */
static void play_quiet(void)
{
	struct link link = link_open();

	for (size_t i = 0; i < 5; i++)
		exchange(&link, 1 + i * 11);
	say("quiet");
	wait_file("stop");
	link_close(&link);
}

static void play_exit(void)
{
	struct link link = link_open();

	exchange(&link, 10);
	if (server) {
		take(&link, 100);
		return;
	}
	give(&link, 100);
	_exit(0);
}

/* The client ends with bytes of a response in its accumulator. */
static void play_kill(void)
{
	struct link link = link_open();

	exchange(&link, 2000);
	exchange(&link, 77);
	if (!server)
		raise(SIGKILL);
}

/* Not blocking: calls that move nothing, writes that move a part. */
static void play_wants(void)
{
	struct link link = link_open();
	int size = SMALL_SOCKET;

	setsockopt(link.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	exchange(&link, 10);
	require(!fcntl(link.fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
	if (server) {
		pause_ms(100);
		take(&link, 2000000);
	} else {
		give(&link, 1000000);
		require(wants, "no write had to be repeated");
		SSL_set_mode(link.ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
		give(&link, 1000000);
	}
	exchange(&link, 10);
	link_close(&link);
}

/*
 * More connections at once than the smallest --max-connections; none ends
 * before both ends have moved all their bytes on each.
 */
static void play_many(void)
{
	static struct link links[LINKS_MANY];

	for (unsigned i = 0; i < LINKS_MANY; i++)
		links[i] = link_open();
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < LINKS_MANY; i++)
			exchange(&links[i], 100 + i);
	say("done");
	wait_file(server ? "done.client" : "done.server");
	for (unsigned i = 0; i < LINKS_MANY; i++)
		link_close(&links[i]);
}

/* The client says that it writes no more, and reads what still comes. */
static void play_half(void)
{
	struct link link = link_open();
	uint8_t byte;

	if (server) {
		take(&link, 100);
		require(SSL_read(link.ssl, &byte, 1) == 0, "no end");
		give(&link, 500);
		give(&link, 30000);
	} else {
		give(&link, 100);
		require(SSL_shutdown(link.ssl) == 0, "SSL_shutdown");
		take(&link, 30500);
	}
	link_close(&link);
}

/* By a library that no process had mapped before this one. */
static void play_fresh(void)
{
	pause_ms(NEW_LIBRARY_MS);
	play_tiny();
}

/* One large write, and what follows it. */
static void write_large(size_t length)
{
	struct link link = link_open();

	if (server)
		take(&link, length);
	else
		give(&link, length);
	exchange(&link, 1000);
	link_close(&link);
}

/* Beyond a small --max-capture. */
static void play_large(void)
{
	write_large(1 << 20);
}

/* As much as is captured of one call. */
static void play_most(void)
{
	write_large(4 << 20);
}

static const struct scenario {
	const char *name;
	void (*play)(void);
	int client_signal; /* that ends the client */
} scenarios[] = {
	{ "records", play_records, 0 }, { "sizes", play_sizes, 0 },
	{ "sizes-ex", play_sizes_ex, 0 },
	{ "tiny", play_tiny, 0 },	{ "threads", play_threads, 0 },
	{ "handed", play_handed, 0 },	{ "early", play_early, 0 },
	{ "reuse", play_reuse, 0 },	{ "clear", play_clear, 0 },
	{ "quiet", play_quiet, 0 },	{ "exit", play_exit, 0 },
	{ "kill", play_kill, SIGKILL }, { "wants", play_wants, 0 },
	{ "many", play_many, 0 },	{ "half", play_half, 0 },
	{ "fresh", play_fresh, 0 },	{ "large", play_large, 0 },
	{ "most", play_most, 0 },
};

/* ---- processes ---- */

/* A key and a certificate that lives as long as this process. */
static void certify(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();

	require(key && certificate, "certificate");
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	require(X509_sign(certificate, key, EVP_sha256()) &&
			SSL_CTX_use_certificate(context, certificate) == 1 &&
			SSL_CTX_use_PrivateKey(context, key) == 1,
		"certificate");
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void prepare(void)
{
	socklen_t size = sizeof(address);

	prctl(PR_GET_NAME, name);
	signal(SIGPIPE, SIG_IGN);
	context = SSL_CTX_new(TLS_method());
	require(context, "SSL_CTX_new");
	/*
	 * A ticket that the client never reads would make its end a reset,
	 * which takes from the server what it has not read yet.
	 */
	SSL_CTX_set_num_tickets(context, 0);
	certify();
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	require(listener >= 0 &&
			!bind(listener, (void *)&address, sizeof(address)) &&
			!listen(listener, LINKS_MANY) &&
			!getsockname(listener, (void *)&address, &size),
		"listen");
}

static pid_t start(const struct scenario *scenario, bool as_server)
{
	pid_t child = fork();

	require(child >= 0, "fork");
	if (child)
		return child;
	server = as_server;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(LIFE_SECONDS);
	scenario->play();
	_exit(0);
}

/* Did it end as it should: by that signal, or with status 0? */
static bool ended_well(pid_t child, int signal)
{
	int status;

	require(waitpid(child, &status, 0) == child, "wait");
	if (signal)
		return WIFSIGNALED(status) && WTERMSIG(status) == signal;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	const struct scenario *end =
		scenarios + sizeof(scenarios) / sizeof(scenarios[0]);
	const struct scenario *scenario = scenarios;
	pid_t child;
	bool well;

	while (argc == 3 && scenario < end && strcmp(scenario->name, argv[1]))
		scenario++;
	if (argc != 3 || scenario == end) {
		fprintf(stderr, "usage: peer SCENARIO DIR\n");
		return 2;
	}
	directory = argv[2];
	prepare();
	child = start(scenario, true);
	well = ended_well(start(scenario, false), scenario->client_signal);
	return ended_well(child, 0) && well ? 0 : 1;
}
