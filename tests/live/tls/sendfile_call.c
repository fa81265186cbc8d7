/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sendfile_call.c - a program with functions of OpenSSL's names in it, whose
 * SSL_sendfile sends a file by the kernel, as OpenSSL's does with kTLS.
 *
 *   sendfile_call FILE GO
 *
 * When there is a file GO, before which a tracer finds it: SSL_write of 5
 * bytes, SSL_sendfile of FILE, SSL_write of 5 bytes.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FUNCTION __attribute__((noinline, noclone))

static int ends[2];
/* A program of this name's size and more is looked at. */
static const volatile char large[256 << 10] = {1};

FUNCTION int SSL_read(void *ssl, void *buffer, int length)
{
	(void)ssl;
	return read(ends[1], buffer, length);
}

FUNCTION int SSL_write(void *ssl, const void *buffer, int length)
{
	(void)ssl;
	return write(ends[0], buffer, length);
}

FUNCTION ssize_t SSL_sendfile(void *ssl, int fd, off_t offset, size_t size,
			      int flags)
{
	(void)ssl;
	(void)flags;
	return sendfile(ends[0], fd, &offset, size);
}

int main(int argc, char **argv)
{
	int fd = open(argv[argc - 2], O_RDONLY), ssl, room = 1 << 22;
	struct stat status;

	fstat(fd, &status);
	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	while (access(argv[argc - 1], F_OK))
		usleep(10000);
	SSL_write(&ssl, "begin", 5);
	if (SSL_sendfile(&ssl, fd, 0, status.st_size, large[1]) !=
	    status.st_size)
		return 1;
	SSL_write(&ssl, "ended", 5);
	return 0;
}
