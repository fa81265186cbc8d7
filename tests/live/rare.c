/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rare.c - moves bytes on a socket in ways that a tracer of system calls misses.
 *
 *   rare io_uring | foreign
 *
 * io_uring: a message there and back, submitted through a ring.  foreign: 12
 * bytes with write and read by their 32-bit numbers.  Exit status 77: this
 * kernel does not let it.
 */
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int ends[2];

/* One request, to its end; its result. */
static int ring_call(struct io_uring *ring, int fd, void *bytes, size_t length,
		     int is_send)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(ring);
	struct io_uring_cqe *done;
	int result;

	if (is_send)
		io_uring_prep_send(entry, fd, bytes, length, 0);
	else
		io_uring_prep_recv(entry, fd, bytes, length, 0);
	if (io_uring_submit(ring) != 1 || io_uring_wait_cqe(ring, &done))
		return -1;
	result = done->res;
	io_uring_cqe_seen(ring, done);
	return result;
}

static int by_ring(void)
{
	struct io_uring ring;
	char sent[12] = "by io_uring", got[12] = "";

	if (io_uring_queue_init(4, &ring, 0))
		return 77;
	if (ring_call(&ring, ends[0], sent, sizeof(sent), 1) != sizeof(sent) ||
	    ring_call(&ring, ends[1], got, sizeof(got), 0) != sizeof(got))
		return 1;
	io_uring_queue_exit(&ring);
	return memcmp(sent, got, sizeof(sent)) != 0;
}

/* A system call by the numbers of 32-bit programs. */
static long call32(long number, long first, void *second, long third)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(first), "c"(second), "d"(third)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int32_t)result;
}

static int by_foreign(void)
{
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (low == MAP_FAILED)
		return 77;
	memcpy(low, "twelve bytes", 12);
	if (call32(4, ends[0], low, 12) != 12) /* write */
		return 77;
	if (call32(3, ends[1], low + 100, 12) != 12) /* read */
		return 1;
	return memcmp(low, low + 100, 12) != 0;
}

int main(int argc, char **argv)
{
	if (argc != 2 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		return 2;
	return strcmp(argv[1], "foreign") ? by_ring() : by_foreign();
}
