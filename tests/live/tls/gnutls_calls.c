/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gnutls_calls.c - what of GnuTLS no packaged program calls.
 *
 *   gnutls_calls FILE
 *
 * A client sends FILE's first half corked, in lines of 1,000 bytes; a server
 * takes it with gnutls_record_recv_packet.  Exit status 0: all of it was moved.
 */
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const gnutls_datum_t key = {(unsigned char *)"secret", 6};

static int give_key(gnutls_session_t session, const char *user,
		    gnutls_datum_t *given)
{
	(void)session;
	(void)user;
	given->data = gnutls_malloc(key.size);
	memcpy(given->data, key.data, key.size);
	given->size = key.size;
	return 0;
}

static gnutls_session_t begin(int fd, unsigned flags)
{
	gnutls_session_t session;

	gnutls_init(&session, flags);
	gnutls_priority_set_direct(session, "NORMAL:-KX-ALL:+ECDHE-PSK:+PSK",
				   NULL);
	if (flags == GNUTLS_SERVER) {
		gnutls_psk_server_credentials_t server;

		gnutls_psk_allocate_server_credentials(&server);
		gnutls_psk_set_server_credentials_function(server, give_key);
		gnutls_credentials_set(session, GNUTLS_CRD_PSK, server);
	} else {
		gnutls_psk_client_credentials_t client;

		gnutls_psk_allocate_client_credentials(&client);
		gnutls_psk_set_client_credentials(client, "user", &key,
						  GNUTLS_PSK_KEY_RAW);
		gnutls_credentials_set(session, GNUTLS_CRD_PSK, client);
	}
	gnutls_transport_set_int(session, fd);
	if (gnutls_handshake(session) < 0)
		_exit(2);
	return session;
}

static int serve(int fd, size_t size)
{
	gnutls_session_t session = begin(fd, GNUTLS_SERVER);
	size_t got = 0;

	while (got < size) {
		gnutls_packet_t packet;
		ssize_t count = gnutls_record_recv_packet(session, &packet);

		if (count <= 0)
			break;
		got += count;
		gnutls_packet_deinit(packet);
	}
	gnutls_deinit(session);
	return got == size ? 0 : 3;
}

int main(int argc, char **argv)
{
	int ends[2], fd = open(argv[argc - 1], O_RDONLY), status;
	static char bytes[1 << 20];
	ssize_t size = read(fd, bytes, sizeof(bytes)), half = size / 2000 * 1000;
	gnutls_session_t session;
	pid_t child;

	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	child = fork();
	if (!child)
		_exit(serve(ends[1], half));
	session = begin(ends[0], GNUTLS_CLIENT);
	gnutls_record_cork(session);
	for (ssize_t at = 0; at < half; at += 1000)
		gnutls_record_send(session, bytes + at, 1000);
	gnutls_record_uncork(session, GNUTLS_RECORD_WAIT);
	gnutls_deinit(session);
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 5;
}
