/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * golang_code.h - the machine code of a Go function: its ABI and its returns.
 */
#ifndef DATASNOOP_PROBES_GOLANG_CODE_H
#define DATASNOOP_PROBES_GOLANG_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct golang_code {
	bool arguments_on_stack; /* Go's ABI0; else its ABIInternal */
	unsigned return_count;
};

/*
 * golang_code_read - where a function returns
 * @bytes, @length: from its entry to the next function's
 * @address: of bytes[0]
 * @returns: offsets of RET instructions from bytes[0]
 *
 * Declines (false, *why in static words) unless it is certain: each byte
 * belongs to an instruction, no jump leads out of the function or between
 * instructions, it begins as the compiler's own functions begin, and it has
 * one to `room` returns.
 *
 * Source: Go's src/cmd/compile/abi-internal.md and src/cmd/internal/obj/x86
 * (stacksplit); capstone/x86.h.
 */
bool golang_code_read(const uint8_t *bytes, size_t length, uint64_t address,
		      uint64_t *returns, unsigned room,
		      struct golang_code *code, const char **why);

#endif
