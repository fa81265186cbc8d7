/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libraries.h - which TLS libraries which processes have mapped.
 *
 * A library is a file (device and inode): a uprobe is attached to it once,
 * for all processes, also those that map it later.
 */
#ifndef DATASNOOP_PROBES_LIBRARIES_H
#define DATASNOOP_PROBES_LIBRARIES_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "probes/placement.h"

/* The functions of a TLS library that carry plaintext or end a connection. */
enum library_function {
	FUNCTION_READ,	   /* SSL_read */
	FUNCTION_READ_EX,  /* SSL_read_ex */
	FUNCTION_WRITE,	   /* SSL_write */
	FUNCTION_WRITE_EX, /* SSL_write_ex */
	FUNCTION_SHUTDOWN, /* SSL_shutdown */
	FUNCTION_FREE,	   /* SSL_free */
	FUNCTION_CLEAR,	   /* SSL_clear */
	FUNCTIONS
};

struct library_probe {
	bool found;		/* the symbol is there */
	struct placement place;
	uint64_t file_offset;	/* of place.address, what uprobes want */
};

struct library {
	dev_t device;
	ino_t inode;
	char path[PATH_MAX];   /* as the process sees it */
	char opened[PATH_MAX]; /* as datasnoop opens it: /proc/PID/root/... or
				  /proc/PID/map_files/... of a deleted file */
	char version[32];      /* "OPENSSL_3.0.0", from the symbols; "": unknown */
	pid_t pid;	       /* a process that maps it */
	struct library_probe probes[FUNCTIONS];
};

/* Symbol of a function ("SSL_read"). */
const char *library_function_name(enum library_function function);

/*
 * library_read - symbols and placements of an ELF file
 * @opened: path to open; @placement: false: all probes at the functions
 *
 * 0; -ENOEXEC not an ELF file of this machine; -ENOENT no SSL_read and
 * SSL_write in it; other -errno of reading.  Bad ELF is an error, never a
 * crash: the file is somebody else's.
 */
int library_read(const char *opened, bool placement, struct library *library);

/* Does a mapped file of that path look like a TLS library (libssl*.so*)? */
bool library_name_matches(const char *path);

/*
 * library_scan_process - call found() for each TLS library that pid has
 * mapped executable (each once), with the fields device, inode, path, opened,
 * pid filled and nothing read yet.  0; -ESRCH when the process has gone.
 * found() returns 0 to go on.
 */
int library_scan_process(pid_t pid,
			 int (*found)(void *context, const struct library *library),
			 void *context);

/*
 * library_scan_installed - the same for the libraries in the host's usual
 * library directories, whether a process has mapped them or not: a process
 * that will is then seen from its first byte on.  pid is this process.
 */
int library_scan_installed(int (*found)(void *context,
					const struct library *library),
			   void *context);

/* library_scan_process for each process of the host; the number scanned. */
int library_scan_all(int (*found)(void *context, const struct library *library),
		     void *context);

#endif
