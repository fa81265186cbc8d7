/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linked.h - has a program or library of any name a TLS library linked in?
 */
#ifndef DATASNOOP_PROBES_LINKED_H
#define DATASNOOP_PROBES_LINKED_H

enum linked {
	LINKED_NONE,	 /* no TLS that is known of */
	LINKED_SYMBOLS,	 /* a TLS function is named in its symbol tables */
	LINKED_GO,	 /* written in Go, whose TLS is its own */
	LINKED_STRIPPED, /* OpenSSL or BoringSSL, but its symbols are gone */
};

/*
 * linked_look - a quick look at an ELF file that some process has mapped
 *
 * Reads the names in its tables, not the tables: who only calls a TLS library
 * names its functions too.  No error: a file that can't be read, or is too
 * small to hold a TLS library, is LINKED_NONE.
 */
enum linked linked_look(const char *opened);

#endif
