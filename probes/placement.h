/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * placement.h - the instruction in a function where a probe is cheapest.
 *
 * A uprobe on an instruction that the kernel emulates (x86: push, nop, jmp,
 * call, jcc) costs one trap; any other is single-stepped for a second one.
 */
#ifndef DATASNOOP_PROBES_PLACEMENT_H
#define DATASNOOP_PROBES_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Machine code of one function, borrowed. */
struct code {
	const uint8_t *bytes;
	size_t length;	  /* of the symbol; decoding never leaves it */
	uint64_t address; /* virtual address in the ELF file of bytes[0] */
};

enum placement_kind {
	PLACEMENT_SELF,	      /* its first instruction emulates */
	PLACEMENT_CALLEE,     /* the thin wrapper's callee, whose first does */
	PLACEMENT_SELF_STEPS  /* neither: the function itself, single-stepped */
};

struct placement {
	enum placement_kind kind;
	uint64_t address;	/* ELF virtual address of the probe */
	char instruction[48];	/* text of the instruction there, for --doctor */
	const char *why;	/* static: why the callee was declined; or "" */
};

/* Does the kernel emulate the instruction at the start of `code`? x86-64. */
bool placement_emulates(const struct code *code, char text[48]);

/*
 * placement_choose_pair - where to probe F(ssl, buf, int num) and its
 * F_ex(ssl, buf, size_t num, size_t *done)
 * @plain, @extended: the two functions; extended->bytes NULL: there is none
 * @read_code: gives the code at an ELF virtual address (the callee's): fills
 *	*code and returns 0, or -errno when it is not in an executable segment
 *
 * Both are placed at their common callee (PLACEMENT_CALLEE, same address in
 * both results) only if each is proven a thin wrapper of it: straight-line
 * code up to one direct call, on which the first arguments are the caller's
 * own, unchanged but for sign or zero extension of num, and the fourth is the
 * caller's own (extended) or the address of a local (plain); and the callee's
 * first instruction emulates while the function's own does not.  The callee
 * then has F_ex's signature.  Anything else declines.
 */
void placement_choose_pair(const struct code *plain, const struct code *extended,
			   int (*read_code)(void *context, uint64_t address,
					    struct code *code),
			   void *context, struct placement *plain_at,
			   struct placement *extended_at);

/* Where to probe a function that is probed at its entry only. */
void placement_choose(const struct code *code, struct placement *at);

#endif
