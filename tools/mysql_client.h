/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql_client.h - a MySQL client over OpenSSL that shows how it reads.
 *
 * Header only, as each tool is one translation unit.  It speaks the protocol
 * itself, so that it decides how SSL_read is called: as Oracle's libmysqlclient
 * does, four bytes for a packet's header and then the payload, or 16 KB at once
 * as MariaDB's client does.  No call on a socket lasts longer than
 * SOCKET_SECONDS.
 *
 * Functions return 0, or -1 with the cause in client->error; then the
 * connection is of no more use.  An error that the server reports to a
 * statement is no failure: it is in struct reply.
 *
 * Source: https://mariadb.com/kb/en/clientserver-protocol/
 */
#ifndef DATASNOOP_TOOLS_MYSQL_CLIENT_H
#define DATASNOOP_TOOLS_MYSQL_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#define STATEMENT_MAX  131072	   /* bytes; the most an argument may have */
#define PACKET_MAX     (64U << 20) /* bytes of a server's packet */
#define FULL_PACKET    0xffffffU   /* bytes; a packet so long is continued */
#define LARGE_READ     16384	   /* bytes; the payload of a TLS record */
#define SOCKET_SECONDS 30
#define SHA1_BYTES     20
#define SCRAMBLE_BYTES 20

enum command {
	COM_QUIT = 0x01,
	COM_QUERY = 0x03,
	COM_PING = 0x0e,
	COM_STMT_PREPARE = 0x16,
	COM_STMT_EXECUTE = 0x17,
	COM_STMT_CLOSE = 0x19
};

enum capability {
	CLIENT_LONG_PASSWORD = 0x1,
	CLIENT_LONG_FLAG = 0x4,
	CLIENT_CONNECT_WITH_DB = 0x8,
	CLIENT_PROTOCOL_41 = 0x200,
	CLIENT_SSL = 0x800,
	CLIENT_TRANSACTIONS = 0x2000,
	CLIENT_SECURE_CONNECTION = 0x8000,
	CLIENT_MULTI_STATEMENTS = 0x10000,
	CLIENT_MULTI_RESULTS = 0x20000,
	CLIENT_PS_MULTI_RESULTS = 0x40000,
	CLIENT_PLUGIN_AUTH = 0x80000,
	CLIENT_DEPRECATE_EOF = 0x1000000
};

enum { SERVER_MORE_RESULTS = 0x8 };
enum { TYPE_LONGLONG = 8, TYPE_STRING = 254 };
enum { REPLY_OK = 0x00, REPLY_EOF = 0xfe, REPLY_ERROR = 0xff };
enum { CHARSET_UTF8MB4 = 45 };

struct client_options {
	const char *host; /* an IPv4 address */
	const char *user, *password, *database;
	uint16_t port;
	bool verify;	    /* the certificate is for `host` */
	bool large_reads;   /* 16 KB a read; else header and payload apart */
	bool ex;	    /* SSL_read_ex and SSL_write_ex */
	bool deprecate_eof; /* no EOF packet behind the column definitions */
};

struct client {
	const struct client_options *options; /* borrowed, as is `tls` */
	SSL_CTX *tls;
	SSL *ssl;
	int socket;
	unsigned port; /* local */
	/* Calls of SSL_read and SSL_write that moved bytes, and the bytes. */
	uint64_t fragments, bytes_in, bytes_out;
	uint8_t packet_number; /* the next one's, of the exchange */
	uint8_t *packet;       /* the last one read */
	size_t packet_length, packet_room;
	uint8_t ahead[LARGE_READ]; /* read and not yet asked for */
	size_t ahead_start, ahead_end;
	uint8_t out[4 + STATEMENT_MAX + 512]; /* packet in the making */
	size_t out_length;
	char error[256];
};

/* What the server answered to one command. */
struct reply {
	int64_t rows;	    /* of all its result sets; -1: there was none */
	unsigned error;	    /* the server's code; 0: none */
	uint32_t statement; /* the number of a prepared one */
};

/* Keeps the cause; always -1. */
__attribute__((format(printf, 2, 3)))
static int fail(struct client *c, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(c->error, sizeof(c->error), format, arguments);
	va_end(arguments);
	return -1;
}

/* ---- bytes through the TLS library ---- */

/* The library's reason where it has one, else the system's. */
static int tls_failed(struct client *c, const char *call, int returned)
{
	int error = SSL_get_error(c->ssl, returned);
	const char *reason = ERR_reason_error_string(ERR_get_error());

	if (error == SSL_ERROR_ZERO_RETURN)
		reason = "closed by the server";
	return fail(c, "%s: %s", call, reason ? reason : strerror(errno));
}

/* One call that moves at least a byte; the number of bytes, or -1. */
static ssize_t tls_read(struct client *c, void *buffer, size_t length)
{
	size_t moved = 0;
	int r;

	if (c->options->ex) {
		r = SSL_read_ex(c->ssl, buffer, length, &moved);
	} else {
		r = SSL_read(c->ssl, buffer, (int)length);
		moved = r > 0 ? (size_t)r : 0;
	}
	if (r <= 0)
		return tls_failed(c, "SSL_read", r);
	c->fragments++;
	c->bytes_in += moved;
	return (ssize_t)moved;
}

static int tls_write(struct client *c, const void *buffer, size_t length)
{
	size_t moved = 0;
	int r;

	if (c->options->ex) {
		r = SSL_write_ex(c->ssl, buffer, length, &moved);
	} else {
		r = SSL_write(c->ssl, buffer, (int)length);
		moved = r > 0 ? (size_t)r : 0;
	}
	if (r <= 0 || moved != length)
		return tls_failed(c, "SSL_write", r);
	c->fragments++;
	c->bytes_out += moved;
	return 0;
}

static int read_exactly(struct client *c, uint8_t *to, size_t length)
{
	size_t have, done = 0;
	ssize_t n;

	while (done < length) {
		if (!c->options->large_reads) {
			n = tls_read(c, to + done, length - done);
			if (n < 0)
				return -1;
			done += (size_t)n;
			continue;
		}
		if (c->ahead_start == c->ahead_end) {
			n = tls_read(c, c->ahead, sizeof(c->ahead));
			if (n < 0)
				return -1;
			c->ahead_start = 0;
			c->ahead_end = (size_t)n;
		}
		have = c->ahead_end - c->ahead_start;
		if (have > length - done)
			have = length - done;
		memcpy(to + done, c->ahead + c->ahead_start, have);
		c->ahead_start += have;
		done += have;
	}
	return 0;
}

/* The greeting is the one packet that comes in the clear. */
static int socket_read_exactly(struct client *c, uint8_t *to, size_t length)
{
	size_t done = 0;
	ssize_t n;

	while (done < length) {
		n = recv(c->socket, to + done, length - done, 0);
		if (n <= 0)
			return fail(c, "no greeting: %s",
				    n ? strerror(errno) : "end of file");
		done += (size_t)n;
	}
	return 0;
}

/* ---- packets ---- */

/* Reads of a packet; `bad` once it was shorter than what was asked for. */
struct cursor {
	const uint8_t *at, *end;
	bool bad;
};

static struct cursor packet_cursor(const struct client *c)
{
	return (struct cursor){ .at = c->packet,
				.end = c->packet + c->packet_length };
}

static const uint8_t *get_bytes(struct cursor *in, size_t length)
{
	const uint8_t *at = in->at;

	if (in->bad || (size_t)(in->end - in->at) < length) {
		in->bad = true;
		return NULL;
	}
	in->at += length;
	return at;
}

static uint64_t get_number(struct cursor *in, size_t length)
{
	const uint8_t *bytes = get_bytes(in, length);
	uint64_t value = 0;

	for (size_t i = 0; bytes && i < length; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

/* A length-encoded integer. */
static uint64_t get_length(struct cursor *in)
{
	uint8_t first = (uint8_t)get_number(in, 1);

	if (first < 0xfb)
		return first;
	if (first == 0xfc || first == 0xfd)
		return get_number(in, first - 0xfaU);
	if (first == 0xfe)
		return get_number(in, 8);
	in->bad = true;
	return 0;
}

/* A string that ends in NUL, borrowed from the packet; "" when it does not. */
static const char *get_string(struct cursor *in)
{
	const char *text = (const char *)in->at;
	const uint8_t *end = memchr(in->at, 0, (size_t)(in->end - in->at));

	if (in->bad || !end) {
		in->bad = true;
		return "";
	}
	in->at = end + 1;
	return text;
}

static int make_room(struct client *c, size_t length)
{
	uint8_t *grown;

	if (length <= c->packet_room)
		return 0;
	if (length > PACKET_MAX)
		return fail(c, "reply of more than %u bytes", PACKET_MAX);
	grown = realloc(c->packet, length + length / 2);
	if (!grown)
		return fail(c, "out of memory");
	c->packet = grown;
	c->packet_room = length + length / 2;
	return 0;
}

/* The next packet, whole, into c->packet; `read` is where it comes from. */
static int read_packet_by(struct client *c,
			  int (*read)(struct client *, uint8_t *, size_t))
{
	uint8_t header[4];
	size_t length;

	c->packet_length = 0;
	do {
		if (read(c, header, sizeof(header)))
			return -1;
		length = header[0] | (size_t)header[1] << 8 |
			 (size_t)header[2] << 16;
		if (header[3] != c->packet_number)
			return fail(c, "packet %u where %u was due", header[3],
				    c->packet_number);
		c->packet_number++;
		if (make_room(c, c->packet_length + length) ||
		    (length && read(c, c->packet + c->packet_length, length)))
			return -1;
		c->packet_length += length;
	} while (length == FULL_PACKET);
	return 0;
}

static int read_packet(struct client *c)
{
	if (read_packet_by(c, read_exactly))
		return -1;
	return c->packet_length ? 0 : fail(c, "empty packet");
}

static void out_begin(struct client *c)
{
	c->out_length = 4;
}

static void put_bytes(struct client *c, const void *bytes, size_t length)
{
	if (length > sizeof(c->out) - c->out_length)
		length = sizeof(c->out) - c->out_length;
	memcpy(c->out + c->out_length, bytes, length);
	c->out_length += length;
}

static void put_number(struct client *c, uint64_t value, size_t length)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	put_bytes(c, bytes, length);
}

/* Header before what was put; the packet is ready to be sent. */
static void out_end(struct client *c)
{
	size_t length = c->out_length - 4;

	c->out[0] = (uint8_t)length;
	c->out[1] = (uint8_t)(length >> 8);
	c->out[2] = (uint8_t)(length >> 16);
	c->out[3] = c->packet_number++;
}

static int out_send(struct client *c)
{
	out_end(c);
	return tls_write(c, c->out, c->out_length);
}

/* ---- login ---- */

static int sha1(struct client *c, uint8_t *digest, const void *bytes,
		size_t length)
{
	if (EVP_Digest(bytes, length, digest, NULL, EVP_sha1(), NULL) != 1)
		return fail(c, "no SHA-1 in this OpenSSL");
	return 0;
}

/* mysql_native_password: SHA1(word) ^ SHA1(scramble . SHA1(SHA1(word))) */
static int native_password(struct client *c, const uint8_t *scramble,
			   uint8_t *answer)
{
	uint8_t once[SHA1_BYTES], salted[SCRAMBLE_BYTES + SHA1_BYTES];
	uint8_t mask[SHA1_BYTES];

	memcpy(salted, scramble, SCRAMBLE_BYTES);
	if (sha1(c, once, c->options->password, strlen(c->options->password)) ||
	    sha1(c, salted + SCRAMBLE_BYTES, once, sizeof(once)) ||
	    sha1(c, mask, salted, sizeof(salted)))
		return -1;
	for (size_t i = 0; i < SHA1_BYTES; i++)
		answer[i] = once[i] ^ mask[i];
	return 0;
}

static uint32_t capabilities(const struct client *c)
{
	uint32_t wanted = CLIENT_LONG_PASSWORD | CLIENT_LONG_FLAG |
			  CLIENT_CONNECT_WITH_DB | CLIENT_PROTOCOL_41 |
			  CLIENT_SSL | CLIENT_TRANSACTIONS |
			  CLIENT_SECURE_CONNECTION | CLIENT_MULTI_STATEMENTS |
			  CLIENT_MULTI_RESULTS | CLIENT_PS_MULTI_RESULTS |
			  CLIENT_PLUGIN_AUTH;

	if (c->options->deprecate_eof)
		wanted |= CLIENT_DEPRECATE_EOF;
	return wanted;
}

/* The server's greeting: what it can do, and the scramble for the password. */
static int read_greeting(struct client *c, uint8_t *scramble)
{
	struct cursor in;
	const uint8_t *first, *second;
	uint32_t offered, missing;

	c->packet_number = 0;
	if (read_packet_by(c, socket_read_exactly))
		return -1;
	in = packet_cursor(c);
	if (get_number(&in, 1) != 10)
		return fail(c, "no protocol 10 greeting");
	get_string(&in);    /* version */
	get_number(&in, 4); /* connection's number */
	first = get_bytes(&in, 8);
	get_number(&in, 1);
	offered = (uint32_t)get_number(&in, 2);
	get_number(&in, 3); /* character set, status */
	offered |= (uint32_t)get_number(&in, 2) << 16;
	get_bytes(&in, 11); /* length of the scramble, reserved */
	second = get_bytes(&in, SCRAMBLE_BYTES - 8);
	if (in.bad)
		return fail(c, "short greeting");
	/* MariaDB leaves that bit clear: it knows more than MySQL. */
	missing = capabilities(c) & ~offered & ~(uint32_t)CLIENT_LONG_PASSWORD;
	if (missing)
		return fail(c, "the server lacks capabilities 0x%x", missing);
	memcpy(scramble, first, 8);
	memcpy(scramble + 8, second, SCRAMBLE_BYTES - 8);
	return 0;
}

/* What SSLRequest and HandshakeResponse begin with. */
static void put_login_head(struct client *c)
{
	static const uint8_t reserved[23];

	out_begin(c);
	put_number(c, capabilities(c), 4);
	put_number(c, FULL_PACKET, 4);
	put_number(c, CHARSET_UTF8MB4, 1);
	put_bytes(c, reserved, sizeof(reserved));
}

static int start_tls(struct client *c)
{
	put_login_head(c);
	out_end(c);
	if (send(c->socket, c->out, c->out_length, MSG_NOSIGNAL) !=
	    (ssize_t)c->out_length)
		return fail(c, "SSLRequest: %s", strerror(errno));
	c->ssl = SSL_new(c->tls);
	if (!c->ssl || !SSL_set_fd(c->ssl, c->socket))
		return fail(c, "out of memory");
	if (c->options->verify)
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl),
					      c->options->host);
	if (SSL_connect(c->ssl) != 1)
		return tls_failed(c, "SSL_connect", -1);
	return 0;
}

/* The answer to a server that wants the password in another way. */
static int switch_authentication(struct client *c)
{
	struct cursor in = packet_cursor(c);
	uint8_t answer[SHA1_BYTES];
	const uint8_t *scramble;
	const char *plugin;

	get_number(&in, 1);
	plugin = get_string(&in);
	scramble = get_bytes(&in, SCRAMBLE_BYTES);
	if (in.bad || strcmp(plugin, "mysql_native_password"))
		return fail(c, "authentication by '%s' is not supported",
			    plugin);
	if (native_password(c, scramble, answer))
		return -1;
	out_begin(c);
	put_bytes(c, answer, sizeof(answer));
	return out_send(c) ? -1 : read_packet(c);
}

/* The server's error code and text, as a failure. */
static int login_refused(struct client *c)
{
	struct cursor in = packet_cursor(c);
	unsigned code;

	get_number(&in, 1);
	code = (unsigned)get_number(&in, 2);
	return fail(c, "login refused: error %u: %.*s", code,
		    (int)(in.end - in.at), (const char *)in.at);
}

static int login(struct client *c, const uint8_t *scramble)
{
	uint8_t answer[SHA1_BYTES];
	size_t length = c->options->password[0] ? sizeof(answer) : 0;

	if (native_password(c, scramble, answer))
		return -1;
	put_login_head(c);
	put_bytes(c, c->options->user, strlen(c->options->user) + 1);
	put_number(c, length, 1);
	put_bytes(c, answer, length);
	put_bytes(c, c->options->database, strlen(c->options->database) + 1);
	put_bytes(c, "mysql_native_password", 22);
	if (out_send(c) || read_packet(c))
		return -1;
	if (c->packet[0] == REPLY_EOF && switch_authentication(c))
		return -1;
	if (c->packet[0] != REPLY_OK)
		return login_refused(c);
	return 0;
}

static int open_socket(struct client *c)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(c->options->port) };
	struct timeval limit = { .tv_sec = SOCKET_SECONDS };
	socklen_t size = sizeof(address);
	int on = 1;

	inet_pton(AF_INET, c->options->host, &address.sin_addr);
	c->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->socket < 0)
		return fail(c, "socket: %s", strerror(errno));
	setsockopt(c->socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(c->socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(c->socket, (struct sockaddr *)&address, sizeof(address)))
		return fail(c, "connect %s:%u: %s", c->options->host,
			    c->options->port, strerror(errno));
	getsockname(c->socket, (struct sockaddr *)&address, &size);
	c->port = ntohs(address.sin_port);
	return 0;
}

static int client_connect(struct client *c)
{
	uint8_t scramble[SCRAMBLE_BYTES];

	c->ahead_start = c->ahead_end = 0;
	if (open_socket(c) || read_greeting(c, scramble) || start_tls(c))
		return -1;
	return login(c, scramble);
}

/* ---- commands and their replies ---- */

/* The server's status flags, of an OK or EOF packet. */
static unsigned read_status(struct client *c)
{
	struct cursor in = packet_cursor(c);
	bool eof = get_number(&in, 1) == REPLY_EOF && c->packet_length == 5;

	if (eof) {
		get_number(&in, 2); /* warnings */
	} else {
		get_length(&in); /* affected rows */
		get_length(&in); /* insert id */
	}
	return (unsigned)get_number(&in, 2);
}

static unsigned read_error(struct client *c)
{
	struct cursor in = packet_cursor(c);

	get_number(&in, 1);
	return (unsigned)get_number(&in, 2);
}

/* Definitions of columns or parameters, and the EOF that may follow them. */
static int read_definitions(struct client *c, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (read_packet(c))
			return -1;
	if (!count || c->options->deprecate_eof)
		return 0;
	if (read_packet(c))
		return -1;
	if (c->packet[0] != REPLY_EOF)
		return fail(c, "0x%02x where the end of definitions was due",
			    c->packet[0]);
	return 0;
}

/* Rows of one result set, to the EOF (or OK, or error) at their end. */
static int read_rows(struct client *c, struct reply *reply, unsigned *status)
{
	for (;;) {
		if (read_packet(c))
			return -1;
		if (c->packet[0] == REPLY_ERROR) {
			reply->error = read_error(c);
			*status = 0;
			return 0;
		}
		/* A text row may begin with 0xfe: a value of 16 MB follows. */
		if (c->packet[0] == REPLY_EOF &&
		    c->packet_length < FULL_PACKET) {
			*status = read_status(c);
			return 0;
		}
		reply->rows++;
	}
}

/* The reply to a query or an execution: OK, an error, or result sets. */
static int read_reply(struct client *c, struct reply *reply)
{
	struct cursor in;
	unsigned status;

	*reply = (struct reply){ .rows = -1 };
	do {
		if (read_packet(c))
			return -1;
		if (c->packet[0] == REPLY_ERROR) {
			reply->error = read_error(c);
			return 0;
		}
		if (c->packet[0] == REPLY_OK) {
			status = read_status(c);
			continue;
		}
		in = packet_cursor(c);
		if (reply->rows < 0)
			reply->rows = 0;
		if (read_definitions(c, get_length(&in)) ||
		    read_rows(c, reply, &status))
			return -1;
		if (in.bad)
			return fail(c, "a result set of no columns");
	} while (status & SERVER_MORE_RESULTS);
	return 0;
}

static void command_begin(struct client *c, enum command command)
{
	c->packet_number = 0;
	out_begin(c);
	put_number(c, command, 1);
}

static int client_query(struct client *c, const char *statement,
			struct reply *reply)
{
	command_begin(c, COM_QUERY);
	put_bytes(c, statement, strlen(statement));
	return out_send(c) ? -1 : read_reply(c, reply);
}

static int client_ping(struct client *c, struct reply *reply)
{
	command_begin(c, COM_PING);
	return out_send(c) ? -1 : read_reply(c, reply);
}

static int client_prepare(struct client *c, const char *statement,
			  struct reply *reply)
{
	struct cursor in;
	unsigned columns, parameters;

	*reply = (struct reply){ .rows = -1 };
	command_begin(c, COM_STMT_PREPARE);
	put_bytes(c, statement, strlen(statement));
	if (out_send(c) || read_packet(c))
		return -1;
	if (c->packet[0] == REPLY_ERROR) {
		reply->error = read_error(c);
		return 0;
	}
	in = packet_cursor(c);
	get_number(&in, 1);
	reply->statement = (uint32_t)get_number(&in, 4);
	columns = (unsigned)get_number(&in, 2);
	parameters = (unsigned)get_number(&in, 2);
	if (in.bad)
		return fail(c, "short reply to a prepare");
	if (read_definitions(c, parameters))
		return -1;
	return read_definitions(c, columns);
}

/* Execution of a statement whose parameters are a number and a short text. */
static int client_execute(struct client *c, uint32_t statement, uint64_t number,
			  const char *text, struct reply *reply)
{
	command_begin(c, COM_STMT_EXECUTE);
	put_number(c, statement, 4);
	put_number(c, 0, 1); /* no cursor */
	put_number(c, 1, 4); /* iterations */
	put_number(c, 0, 1); /* bitmap: none is NULL */
	put_number(c, 1, 1); /* their types follow */
	put_number(c, TYPE_LONGLONG, 2);
	put_number(c, TYPE_STRING, 2);
	put_number(c, number, 8);
	put_number(c, strlen(text), 1);
	put_bytes(c, text, strlen(text));
	return out_send(c) ? -1 : read_reply(c, reply);
}

/* The server does not answer it. */
static int client_close(struct client *c, uint32_t statement)
{
	command_begin(c, COM_STMT_CLOSE);
	put_number(c, statement, 4);
	return out_send(c);
}

/* Ends the connection, politely where it still works. */
static void client_disconnect(struct client *c, bool works)
{
	if (c->ssl && works) {
		command_begin(c, COM_QUIT);
		if (!out_send(c))
			SSL_shutdown(c->ssl);
	}
	SSL_free(c->ssl);
	c->ssl = NULL;
	if (c->socket >= 0)
		close(c->socket);
	c->socket = -1;
}

#endif
