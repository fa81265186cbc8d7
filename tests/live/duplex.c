/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * duplex.c - two processes, threads of which send and receive at once.
 *
 *   duplex FAMILY SOCKETS THREADS BYTES DIR COMM
 *
 * A server and a client, a process each named COMM, have SOCKETS connections
 * of FAMILY ipv4 or unix.  THREADS threads of each end send BYTES on each of
 * them, as many receive, all as fast as they can.  DIR/PID.N.in and .out get
 * what the calls of process PID moved on one connection, .about its addresses,
 * .gaps nothing: the files that streamdump writes of it.  With more threads
 * than one the order of what they move is not known: of the two files the
 * lengths are true, the bytes are in some order.
 *
 * Each byte is pseudo-random, of a sequence that no other connection has.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIFE_SECONDS 60 /* at the most */
#define SOCKETS_MAX  64
#define THREADS_MAX  16
#define CALL_MAX     20000 /* bytes of one call */

enum { IN, OUT };

struct link {
	int fd;
	uint8_t *bytes[2];
	size_t length; /* of each */
	size_t moved[2];
};

struct worker {
	pthread_t thread;
	struct link *link;
	size_t at, end; /* a sender: its part of what goes out */
	uint64_t seed;	/* of the lengths of its calls */
};

static bool server; /* which end this process is */
static const char *directory, *name;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "duplex: %s: %s: %s\n", server ? "server" : "client",
		what, strerror(errno));
	_exit(1);
}

static void require(bool holds, const char *what)
{
	if (!holds)
		die(what);
}

/* xorshift64: the next of a sequence. */
static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* One call moves a few bytes as often as thousands. */
static size_t call_length(uint64_t *seed, size_t most)
{
	uint64_t dice = next(seed);
	size_t length = 1 + (dice >> 8) % (dice & 1 ? 40 : CALL_MAX);

	return length < most ? length : most;
}

/* ---- threads ---- */

static void *send_part(void *context)
{
	struct worker *worker = context;
	struct link *link = worker->link;
	ssize_t sent;

	while (worker->at < worker->end) {
		sent = send(link->fd, link->bytes[OUT] + worker->at,
			    call_length(&worker->seed,
					worker->end - worker->at), 0);
		require(sent > 0, "send");
		worker->at += sent;
		__atomic_add_fetch(&link->moved[OUT], sent, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Into a buffer of its own: where the bytes belong is known afterwards. */
static void *receive(void *context)
{
	struct worker *worker = context;
	struct link *link = worker->link;
	uint8_t bytes[CALL_MAX];
	ssize_t got;
	size_t at;

	while ((got = recv(link->fd, bytes,
			   call_length(&worker->seed, sizeof(bytes)), 0)) > 0) {
		at = __atomic_fetch_add(&link->moved[IN], got,
					__ATOMIC_RELAXED);
		require(at + got <= link->length, "more than was sent");
		memcpy(link->bytes[IN] + at, bytes, got);
	}
	require(!got, "recv");
	return NULL;
}

static void start(struct worker *worker, struct link *link,
		  void *(*work)(void *), uint64_t seed)
{
	worker->link = link;
	worker->seed = seed | 1;
	require(!pthread_create(&worker->thread, NULL, work, worker),
		"pthread_create");
}

/* All threads of all links, to their ends. */
static void play(struct link *links, unsigned count, unsigned threads,
		 uint64_t seed)
{
	static struct worker senders[SOCKETS_MAX][THREADS_MAX];
	static struct worker receivers[SOCKETS_MAX][THREADS_MAX];
	unsigned i, k;

	for (i = 0; i < count; i++) {
		size_t part = links[i].length / threads;

		for (k = 0; k < threads; k++) {
			senders[i][k].at = k * part;
			senders[i][k].end = senders[i][k].at + part;
			start(&senders[i][k], &links[i], send_part,
			      next(&seed));
			start(&receivers[i][k], &links[i], receive,
			      next(&seed));
		}
	}
	for (i = 0; i < count; i++) {
		for (k = 0; k < threads; k++)
			pthread_join(senders[i][k].thread, NULL);
		require(!shutdown(links[i].fd, SHUT_WR), "shutdown");
	}
	for (i = 0; i < count; i++) {
		for (k = 0; k < threads; k++)
			pthread_join(receivers[i][k].thread, NULL);
		require(links[i].moved[IN] == links[i].length &&
			links[i].moved[OUT] == links[i].length,
			"not all was moved");
		close(links[i].fd);
	}
}

/* ---- connections ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_un un;
};

static int listen_on(bool is_unix, union address *address, socklen_t *size)
{
	int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM, 0);

	memset(address, 0, sizeof(*address));
	*size = is_unix ? sizeof(address->un) : sizeof(address->in);
	address->any.sa_family = is_unix ? AF_UNIX : AF_INET;
	if (is_unix)
		snprintf(address->un.sun_path, sizeof(address->un.sun_path),
			 "%s/socket", directory);
	else
		address->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	require(fd >= 0 && !bind(fd, &address->any, *size) &&
		!listen(fd, SOCKETS_MAX) &&
		!getsockname(fd, &address->any, size), "listen");
	return fd;
}

static void make_link(struct link *link, int listener,
		      const union address *address, socklen_t size)
{
	if (server) {
		link->fd = accept(listener, NULL, NULL);
		require(link->fd >= 0, "accept");
		return;
	}
	link->fd = socket(address->any.sa_family, SOCK_STREAM, 0);
	require(link->fd >= 0 && !connect(link->fd, &address->any, size),
		"connect");
}

/* What it is to send; the first byte begins no record of TLS. */
static void fill(struct link *link, size_t length)
{
	size_t i;

	link->length = length;
	link->bytes[IN] = malloc(length);
	link->bytes[OUT] = malloc(length);
	require(link->bytes[IN] && link->bytes[OUT], "memory");
	for (i = 0; i < length; i += 256)
		require(getrandom(link->bytes[OUT] + i,
				  length - i < 256 ? length - i : 256, 0) > 0,
			"getrandom");
	link->bytes[OUT][0] = 0xff;
}

/* ---- the truth ---- */

static FILE *open_part(unsigned number, const char *part)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%d.%u.%s", directory, getpid(),
		 number, part);
	file = fopen(path, "w");
	require(file, path);
	return file;
}

static void put_end(FILE *file,
		    int (*ask)(int, struct sockaddr *, socklen_t *), int fd)
{
	union address end = { .any.sa_family = AF_UNSPEC };
	socklen_t size = sizeof(end);

	require(!ask(fd, &end.any, &size), "name of the socket");
	if (end.any.sa_family == AF_INET)
		fprintf(file, " %s:%u", inet_ntoa(end.in.sin_addr),
			ntohs(end.in.sin_port));
	else
		fprintf(file, " %s:0", end.un.sun_path);
}

static void note_ends(const struct link *link, unsigned number)
{
	FILE *file = open_part(number, "about");

	fputs(name, file);
	put_end(file, getsockname, link->fd);
	put_end(file, getpeername, link->fd);
	fputs(" -\n", file);
	require(!fclose(file), "about");
	fclose(open_part(number, "gaps"));
}

static void note_bytes(const struct link *link, unsigned number)
{
	static const char *const parts[] = { "in", "out" };
	FILE *file;
	int way;

	for (way = IN; way <= OUT; way++) {
		file = open_part(number, parts[way]);
		require(fwrite(link->bytes[way], 1, link->length, file) ==
				link->length && !fclose(file),
			parts[way]);
	}
}

static void run(int listener, const union address *address, socklen_t size,
		char **arguments)
{
	unsigned count = atoi(arguments[2]), threads = atoi(arguments[3]), i;
	static struct link links[SOCKETS_MAX];
	uint64_t seed = getpid();

	require(count && count <= SOCKETS_MAX && threads &&
		threads <= THREADS_MAX, "how many?");
	for (i = 0; i < count; i++) {
		make_link(&links[i], listener, address, size);
		fill(&links[i], (size_t)atoi(arguments[4]) * threads);
		note_ends(&links[i], i);
	}
	play(links, count, threads, seed);
	for (i = 0; i < count; i++)
		note_bytes(&links[i], i);
}

int main(int argc, char **argv)
{
	union address address;
	int listener, status;
	socklen_t size;
	pid_t child;

	if (argc != 7)
		return 2;
	directory = argv[5];
	name = argv[6];
	alarm(LIFE_SECONDS);
	prctl(PR_SET_NAME, name);
	listener = listen_on(!strcmp(argv[1], "unix"), &address, &size);
	child = fork();
	require(child >= 0, "fork");
	server = child;
	if (!server)
		alarm(LIFE_SECONDS);
	run(listener, &address, size, argv);
	if (server)
		require(waitpid(child, &status, 0) == child && !status,
			"the client failed");
	return 0;
}
