/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * golang_code.c - the machine code of a Go function: its ABI and its returns.
 *
 * A RET that is none, or one that is missed, would lose or invent bytes:
 * whatever is not understood declines.
 */
#include "probes/golang_code.h"

#include <stdlib.h>

#if defined(__x86_64__)

#include <capstone/capstone.h>

#define PROLOGUE_INSTRUCTIONS 4 /* among which the stack's end is looked at */
#define STACK_GUARD 0x10	/* stackguard0 in runtime.g: behind lo, hi */
#define PADDING 0xcc		/* int3, to the next function */

struct function {
	csh handle;
	cs_insn *insn;
	const uint8_t *bytes;
	size_t length;
	uint64_t address;
	uint8_t *starts; /* of instructions: 1 at their first byte */
};

enum guard { GUARD_NONE, GUARD_REGISTER, GUARD_STACK };

/* Go's functions compare the stack pointer with what the goroutine allows. */
static enum guard guard_of(const cs_insn *insn)
{
	const cs_x86 *x86 = &insn->detail->x86;

	for (unsigned i = 0; i < x86->op_count; i++) {
		const cs_x86_op *operand = &x86->operands[i];

		if (operand->type != X86_OP_MEM)
			continue;
		if (insn->id == X86_INS_CMP &&
		    operand->mem.base == X86_REG_R14 &&
		    operand->mem.disp == STACK_GUARD)
			return GUARD_REGISTER;
		/* The goroutine's address in the thread's block. */
		if (insn->id == X86_INS_MOV &&
		    operand->mem.segment == X86_REG_FS &&
		    operand->mem.disp == -8)
			return GUARD_STACK;
	}
	return GUARD_NONE;
}

/* Does control never go on behind this instruction? */
static bool ends_flow(const cs_insn *insn)
{
	return insn->id == X86_INS_JMP || insn->id == X86_INS_RET ||
	       insn->id == X86_INS_UD2;
}

/* First pass: what the instructions are.  False: *why. */
static bool decode(struct function *f, uint64_t *returns, unsigned room,
		   struct golang_code *code, const char **why)
{
	const uint8_t *at = f->bytes;
	size_t left = f->length;
	uint64_t address = f->address;
	enum guard guard = GUARD_NONE;
	bool ended = false;

	for (unsigned n = 0; left; n++) {
		size_t start = at - f->bytes;

		*why = "code that is not understood";
		if (!cs_disasm_iter(f->handle, &at, &left, &address, f->insn))
			return false;
		f->starts[start] = 1;
		if (n < PROLOGUE_INSTRUCTIONS && guard == GUARD_NONE)
			guard = guard_of(f->insn);
		ended = ends_flow(f->insn);
		if (f->insn->id != X86_INS_RET)
			continue;
		*why = "returns in an unknown way";
		if (f->insn->size != 1 || code->return_count == room)
			return false;
		returns[code->return_count++] = start;
	}
	*why = "functions that don't begin and end as Go's do";
	code->arguments_on_stack = guard == GUARD_STACK;
	return ended && guard != GUARD_NONE && code->return_count;
}

/* Does the instruction jump to another one of the same function, if at all? */
static bool stays(const struct function *f, const cs_insn *insn)
{
	const cs_x86_op *operand = &insn->detail->x86.operands[0];
	uint64_t target;

	if (!cs_insn_group(f->handle, insn, CS_GRP_JUMP))
		return true;
	if (operand->type != X86_OP_IMM)
		return false;
	target = (uint64_t)operand->imm - f->address;
	return target < f->length && f->starts[target];
}

/* Second pass: where the jumps lead. */
static bool follow(struct function *f, const char **why)
{
	const uint8_t *at = f->bytes;
	size_t left = f->length;
	uint64_t address = f->address;

	*why = "jumps that are not understood";
	while (cs_disasm_iter(f->handle, &at, &left, &address, f->insn)) {
		if (!stays(f, f->insn))
			return false;
	}
	return true;
}

bool golang_code_read(const uint8_t *bytes, size_t length, uint64_t address,
		      uint64_t *returns, unsigned room,
		      struct golang_code *code, const char **why)
{
	struct function f = {.bytes = bytes, .address = address};
	bool sure = false;

	while (length && bytes[length - 1] == PADDING)
		length--;
	f.length = length;
	code->return_count = 0;
	*why = "out of memory";
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &f.handle) != CS_ERR_OK)
		return false;
	cs_option(f.handle, CS_OPT_DETAIL, CS_OPT_ON);
	f.insn = cs_malloc(f.handle);
	f.starts = calloc(1, length + 1);
	if (f.insn && f.starts)
		sure = decode(&f, returns, room, code, why) && follow(&f, why);
	free(f.starts);
	if (f.insn)
		cs_free(f.insn, 1);
	cs_close(&f.handle);
	return sure;
}

#else

bool golang_code_read(const uint8_t *bytes, size_t length, uint64_t address,
		      uint64_t *returns, unsigned room,
		      struct golang_code *code, const char **why)
{
	(void)bytes, (void)length, (void)address, (void)returns, (void)room;
	code->return_count = 0;
	*why = "instructions of this machine are not known";
	return false;
}

#endif
