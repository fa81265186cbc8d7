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

#include "probes/linked.h"
#include "probes/symbols.h"

struct library {
	dev_t device;
	ino_t inode;
	char path[PATH_MAX];   /* as the process sees it */
	char opened[PATH_MAX]; /* as datasnoop opens it: /proc/PID/root/... or
				  /proc/PID/map_files/... of a deleted file */
	char version[32];      /* "OPENSSL_3.0.0", from the symbols; "": unknown */
	pid_t pid;	       /* a process that maps it */
	enum linked linked;    /* what a look at a file of any name found */
	bool boringssl;	       /* its SSL_ functions are BoringSSL's */
	struct library_probe probes[FUNCTIONS];
};

/* Is a mapped file of that name a TLS library (libssl*.so*, libgnutls ...)? */
bool library_name_matches(const char *path);

/*
 * What is known of files of other names, by device and inode: each is looked
 * at once.  NULL: out of memory.
 */
struct library_cache;
struct library_cache *library_cache_new(void);
/* Processes are looked for there, not in /proc; borrowed. */
void library_cache_proc(struct library_cache *cache, const char *proc);
void library_cache_free(struct library_cache *cache);

/*
 * library_scan_process - call found() for each file with TLS in it that pid
 * has mapped executable (each once): those named as a TLS library is, and
 * those of any name that a look finds TLS in (field linked).  The fields
 * device, inode, path, opened, pid, linked are filled and nothing else read
 * yet.  0; -ESRCH when the process has gone.  found() returns 0 to go on.
 */
int library_scan_process(struct library_cache *cache, pid_t pid,
			 int (*found)(void *context,
				      const struct library *library),
			 void *context);

/*
 * library_scan_installed - the same for the libraries in the host's usual
 * library directories, and Node.js, whether a process has mapped them or not:
 * a process that will is then seen from its first byte on.  pid is this
 * process.
 */
int library_scan_installed(struct library_cache *cache,
			   int (*found)(void *context,
					const struct library *library),
			   void *context);

/* library_scan_process for each process of the host; the number scanned. */
int library_scan_all(struct library_cache *cache,
		     int (*found)(void *context, const struct library *library),
		     void *context);

#endif
