/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * golang.h - where to probe crypto/tls in programs written in Go.
 *
 * Go links its TLS into each program and strips names at will; goroutines'
 * stacks move, which a uretprobe does not survive.  So the functions are
 * found in the runtime's own table, and their ends are the RET instructions
 * in their code.
 */
#ifndef DATASNOOP_PROBES_GOLANG_H
#define DATASNOOP_PROBES_GOLANG_H

#include <stdbool.h>
#include <stdint.h>

#define GOLANG_RETURNS_MAX 64 /* RET instructions of one function */

enum golang_function {
	GOLANG_READ,  /* crypto/tls.(*Conn).Read */
	GOLANG_WRITE, /* crypto/tls.(*Conn).Write */
	GOLANG_CLOSE, /* crypto/tls.(*Conn).Close */
	GOLANG_FUNCTIONS
};

/* Offsets in the file, what uprobes want. */
struct golang_probe {
	uint64_t entry;
	uint64_t returns[GOLANG_RETURNS_MAX]; /* of GOLANG_CLOSE: none */
	unsigned return_count;
};

struct golang {
	char version[32];     /* "go1.19.8"; "": not told */
	bool arguments_on_stack; /* as before Go 1.17; else in registers */
	struct golang_probe probes[GOLANG_FUNCTIONS];
};

/* "crypto/tls.(*Conn).Read" */
const char *golang_function_name(enum golang_function function);

/*
 * golang_read - where the functions of an ELF file are
 * @opened: path to open
 * @why: of -ENOTSUP: a few static words, why it can't be traced
 *
 * 0; -ENOENT not written in Go, or without crypto/tls; -ENOEXEC not an ELF
 * file of this machine; -ENOTSUP a Go program with crypto/tls, of which
 * something is not as it must be; other -errno of reading.  The file is read,
 * never mapped or believed: it is somebody else's.
 *
 * Sources: Go's src/debug/gosym/pclntab.go and src/debug/buildinfo, for the
 * tables; src/cmd/compile/abi-internal.md, for the registers.
 */
int golang_read(const char *opened, struct golang *golang, const char **why);

#endif
