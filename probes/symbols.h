/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * symbols.h - the functions of TLS libraries: their names, and where they are.
 */
#ifndef DATASNOOP_PROBES_SYMBOLS_H
#define DATASNOOP_PROBES_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "probes/placement.h"

/* Whose functions a file may hold; OpenSSL's are BoringSSL's too. */
enum library_kind {
	LIBRARY_OPENSSL,
	LIBRARY_GNUTLS,
	LIBRARY_NSS, /* the functions are NSPR's */
	LIBRARY_MBEDTLS,
	LIBRARY_WOLFSSL,
	LIBRARY_S2N,
	LIBRARY_KINDS
};

/* The functions that carry plaintext or end a connection. */
enum library_function {
	FUNCTION_READ,	   /* SSL_read */
	FUNCTION_READ_EX,  /* SSL_read_ex */
	FUNCTION_WRITE,	   /* SSL_write */
	FUNCTION_WRITE_EX, /* SSL_write_ex */
	FUNCTION_SENDFILE, /* SSL_sendfile */
	FUNCTION_SHUTDOWN, /* SSL_shutdown */
	FUNCTION_FREE,	   /* SSL_free */
	FUNCTION_CLEAR,	   /* SSL_clear */
	GNUTLS_RECV,
	GNUTLS_SEND,
	GNUTLS_RECV_SEQ,
	GNUTLS_RECV_PACKET,
	GNUTLS_SEND2,
	GNUTLS_SEND_RANGE,
	GNUTLS_SEND_FILE,
	GNUTLS_UNCORK,
	GNUTLS_BYE,
	GNUTLS_DEINIT,
	NSS_READ,
	NSS_WRITE,
	NSS_RECV,
	NSS_SEND,
	NSS_WRITEV,
	NSS_SHUTDOWN,
	NSS_CLOSE,
	MBEDTLS_READ,
	MBEDTLS_WRITE,
	MBEDTLS_NOTIFY,
	MBEDTLS_RESET,
	MBEDTLS_FREE,
	WOLFSSL_READ,
	WOLFSSL_WRITE,
	WOLFSSL_SHUTDOWN,
	WOLFSSL_CLEAR,
	WOLFSSL_FREE,
	S2N_RECV,
	S2N_SEND,
	S2N_SHUTDOWN,
	S2N_WIPE,
	S2N_FREE,
	FUNCTIONS
};

/* The BPF functions that run at a function's entry and return (NULL: none). */
struct library_function_row {
	enum library_kind kind;
	const char *symbol;
	const char *entry, *on_return;
};

struct library_probe {
	bool found;		/* the symbol is there */
	struct placement place;
	uint64_t file_offset;	/* of place.address, what uprobes want */
};

struct library;

/* The BPF function at its entry: BoringSSL has its own. */
const char *library_function_entry(const struct library *library,
				   enum library_function function);

/* What is known of a function; static. */
const struct library_function_row *
library_function_row(enum library_function function);

/* Symbol of a function ("SSL_read"). */
const char *library_function_name(enum library_function function);

/*
 * library_read - symbols and placements of an ELF file
 * @opened: path to open; @placement: false: all probes at the functions
 *
 * 0; -ENOEXEC not an ELF file of this machine; -ENOENT no functions to
 * read and to write in it; other -errno of reading.  Bad ELF is an error, never a
 * crash: the file is somebody else's.
 */
int library_read(const char *opened, bool placement, struct library *library);

#endif
