/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * placement.c - the instruction in a function where a probe is cheapest.
 *
 * The code comes from other people's files: decoding never leaves the bytes
 * it was given, and whatever is not understood to the last operand declines.
 * A slow probe is a nuisance, a probe on the wrong function is a lie.
 *
 * The proof that a function is a thin wrapper follows the values of the
 * general registers from its entry to its first call, then looks at what is
 * left of the function for anything that could move data by another way.
 *
 * Sources: the System V x86-64 psABI (arguments in rdi, rsi, rdx, rcx; the
 * stack protector's canary at %fs:0x28); the kernel's
 * arch/x86/kernel/uprobes.c (branch_setup_xol_ops, push_setup_xol_ops) for
 * what is emulated; capstone/x86.h.
 */
#include "probes/placement.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 48

#if defined(__x86_64__)

#include <capstone/capstone.h>

#define ENTRY_INSTRUCTIONS_MAX 48 /* to the first call */
#define BODY_BYTES_MAX 4096	  /* of a function that is a thin wrapper */
#define FRAME_BYTES_MAX 4096	  /* of its stack */
#define BRANCHES_MAX 32		  /* not yet followed, of one function */
#define CANARY_OFFSET 0x28	  /* in the thread's block, psABI */

/* Where the value of a register comes from. */
enum origin {
	ORIGIN_UNKNOWN,
	ORIGIN_SSL,	 /* the function's first argument, unchanged */
	ORIGIN_BUFFER,	 /* its second */
	ORIGIN_NUM,	 /* its third, all 64 bits as they came */
	ORIGIN_NUM_WIDE, /* its third: 32 bits, sign- or zero-extended */
	ORIGIN_DONE,	 /* its fourth */
	ORIGIN_STACK	 /* the stack pointer on entry, plus `offset` */
};

struct value {
	enum origin origin;
	int64_t offset; /* of ORIGIN_STACK */
};

enum general { AX, CX, DX, BX, SP, BP, SI, DI, R8, GENERALS = R8 + 8 };

struct machine {
	struct value registers[GENERALS];
	bool flags_of_num; /* the flags are those of `test num,num` */
	bool extended;	   /* F_ex: no branch before the call */
	bool branched;	   /* on num < 0, to error_path */
	uint64_t error_path;
};

struct wrapper {
	uint64_t call;	 /* address of the call */
	uint64_t next;	 /* of the instruction behind it */
	uint64_t callee; /* what it calls */
};

struct decoder {
	csh handle;
	cs_insn *insn;
	const struct code *code;
};

static bool decoder_open(struct decoder *decoder, const struct code *code)
{
	decoder->code = code;
	decoder->insn = NULL;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &decoder->handle) != CS_ERR_OK)
		return false;
	cs_option(decoder->handle, CS_OPT_DETAIL, CS_OPT_ON);
	cs_option(decoder->handle, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
	decoder->insn = cs_malloc(decoder->handle);
	if (!decoder->insn)
		cs_close(&decoder->handle);
	return decoder->insn;
}

static void decoder_close(struct decoder *decoder)
{
	cs_free(decoder->insn, 1);
	cs_close(&decoder->handle);
}

static bool inside(const struct code *code, uint64_t address)
{
	return address >= code->address &&
	       address - code->address < code->length;
}

/* The instruction at `address`, whole and inside the function; or NULL. */
static const cs_insn *decode(struct decoder *decoder, uint64_t address)
{
	const struct code *code = decoder->code;
	const uint8_t *bytes;
	size_t length;

	if (!inside(code, address))
		return NULL;
	bytes = code->bytes + (address - code->address);
	length = code->length - (address - code->address);
	if (!cs_disasm_iter(decoder->handle, &bytes, &length, &address,
			    decoder->insn))
		return NULL;
	return decoder->insn;
}

/* The register's number and width in bytes; false: not a general one. */
static bool general(x86_reg reg, enum general *number, unsigned *width)
{
	static const struct {
		uint16_t wide, half;
	} names[GENERALS] = {
		{ X86_REG_RAX, X86_REG_EAX },  { X86_REG_RCX, X86_REG_ECX },
		{ X86_REG_RDX, X86_REG_EDX },  { X86_REG_RBX, X86_REG_EBX },
		{ X86_REG_RSP, X86_REG_ESP },  { X86_REG_RBP, X86_REG_EBP },
		{ X86_REG_RSI, X86_REG_ESI },  { X86_REG_RDI, X86_REG_EDI },
		{ X86_REG_R8, X86_REG_R8D },   { X86_REG_R9, X86_REG_R9D },
		{ X86_REG_R10, X86_REG_R10D }, { X86_REG_R11, X86_REG_R11D },
		{ X86_REG_R12, X86_REG_R12D }, { X86_REG_R13, X86_REG_R13D },
		{ X86_REG_R14, X86_REG_R14D }, { X86_REG_R15, X86_REG_R15D },
	};

	for (unsigned i = 0; i < GENERALS; i++) {
		if (reg != names[i].wide && reg != names[i].half)
			continue;
		*number = i;
		*width = reg == names[i].wide ? 8 : 4;
		return true;
	}
	return false;
}

/* The value that a register operand holds; half of one is unknown. */
static struct value value_of(const struct machine *machine,
			     const cs_x86_op *operand)
{
	const struct value unknown = { ORIGIN_UNKNOWN, 0 };
	enum general number;
	unsigned width;

	if (operand->type != X86_OP_REG ||
	    !general(operand->reg, &number, &width) || width != 8)
		return unknown;
	return machine->registers[number];
}

/* Does the operand hold the low 32 bits of num? */
static bool is_num32(const struct machine *machine, const cs_x86_op *operand)
{
	enum general number;
	unsigned width;

	return operand->type == X86_OP_REG &&
	       general(operand->reg, &number, &width) && width == 4 &&
	       (machine->registers[number].origin == ORIGIN_NUM ||
		machine->registers[number].origin == ORIGIN_NUM_WIDE);
}

/* Put a value in a register operand; the stack pointer stays followed. */
static const char *assign(struct machine *machine, const cs_x86_op *operand,
			  struct value value)
{
	enum general number;
	unsigned width;

	if (!general(operand->reg, &number, &width))
		return "it writes a register that is not followed";
	if (number == SP && value.origin != ORIGIN_STACK)
		return "its stack pointer is not followed";
	if (number == SP &&
	    (value.offset > 0 || value.offset < -FRAME_BYTES_MAX))
		return "its stack frame is not a small one";
	machine->registers[number] = value;
	return NULL;
}

/* The address that a memory operand means, when it is on the stack. */
static struct value address_of(const struct machine *machine,
			       const x86_op_mem *memory)
{
	struct value value = { ORIGIN_UNKNOWN, 0 };
	enum general number;
	unsigned width;

	if (memory->index != X86_REG_INVALID ||
	    memory->segment != X86_REG_INVALID ||
	    !general(memory->base, &number, &width) || width != 8 ||
	    machine->registers[number].origin != ORIGIN_STACK ||
	    memory->disp < -FRAME_BYTES_MAX || memory->disp > FRAME_BYTES_MAX)
		return value;
	value = machine->registers[number];
	value.offset += memory->disp;
	return value;
}

/* Between the stack pointer and the return address: its own frame. */
static bool is_local(const struct machine *machine, struct value address,
		     unsigned size)
{
	return address.origin == ORIGIN_STACK &&
	       address.offset >= machine->registers[SP].offset &&
	       address.offset + (int64_t)size <= 0;
}

/* mov, movslq, lea: AT&T order, the destination comes last. */
static const char *step_move(struct machine *machine, const cs_insn *insn)
{
	const cs_x86_op *from = &insn->detail->x86.operands[0];
	const cs_x86_op *to = &insn->detail->x86.operands[1];
	struct value value = { ORIGIN_UNKNOWN, 0 };
	bool wide;

	if (insn->detail->x86.op_count != 2)
		return "it has an instruction that is not understood";
	if (to->type == X86_OP_MEM) {
		if (!is_local(machine, address_of(machine, &to->mem), to->size))
			return "it writes memory before the call";
		return NULL;
	}
	if (to->type != X86_OP_REG)
		return "it has an instruction that is not understood";
	wide = to->size == 8;
	if (insn->id == X86_INS_LEA && from->type == X86_OP_MEM && wide)
		value = address_of(machine, &from->mem);
	else if (insn->id == X86_INS_MOVSXD && is_num32(machine, from) && wide)
		value.origin = ORIGIN_NUM_WIDE;
	else if (insn->id == X86_INS_MOV && is_num32(machine, from))
		value.origin = ORIGIN_NUM_WIDE; /* clears the upper half */
	else if (insn->id == X86_INS_MOV)
		value = value_of(machine, from);
	return assign(machine, to, value);
}

static const char *step_push(struct machine *machine, const cs_insn *insn)
{
	struct value *stack = &machine->registers[SP];

	if (insn->size > 2 || insn->bytes[0] == 0x66 ||
	    insn->detail->x86.operands[0].type == X86_OP_MEM)
		return "it has an instruction that is not understood";
	stack->offset -= 8;
	return NULL;
}

/* sub, add, xor, and, or: only the stack pointer's value is worked out. */
static const char *step_arithmetic(struct machine *machine, const cs_insn *insn)
{
	const cs_x86_op *from = &insn->detail->x86.operands[0];
	const cs_x86_op *to = &insn->detail->x86.operands[1];
	struct value value = { ORIGIN_UNKNOWN, 0 };

	machine->flags_of_num = false;
	if (insn->detail->x86.op_count != 2 || to->type != X86_OP_REG)
		return "it writes memory before the call";
	if (from->type == X86_OP_IMM && from->imm >= -FRAME_BYTES_MAX &&
	    from->imm <= FRAME_BYTES_MAX &&
	    (insn->id == X86_INS_SUB || insn->id == X86_INS_ADD)) {
		value = value_of(machine, to);
		if (value.origin == ORIGIN_STACK)
			value.offset += insn->id == X86_INS_SUB ? -from->imm :
								  from->imm;
		else
			value.origin = ORIGIN_UNKNOWN;
	}
	return assign(machine, to, value);
}

/*
 * The one branch that may come first is `num < 0`, on which no data moves:
 * test num,num and js (jl is the same: test clears the overflow flag).
 */
static const char *step_branch(struct machine *machine, const cs_insn *insn)
{
	const cs_x86_op *target = &insn->detail->x86.operands[0];

	if (machine->extended || machine->branched)
		return "it branches before the call";
	if ((insn->id != X86_INS_JS && insn->id != X86_INS_JL) ||
	    !machine->flags_of_num || target->type != X86_OP_IMM)
		return "it branches on more than a negative length";
	machine->branched = true;
	machine->error_path = target->imm;
	return NULL;
}

/* Carry one instruction out; a reason when it is not understood. */
static const char *step(struct machine *machine, const cs_insn *insn)
{
	const cs_x86 *x86 = &insn->detail->x86;

	/* lock, rep: nothing that a wrapper's first instructions need. */
	if (x86->prefix[0] && insn->id != X86_INS_NOP &&
	    insn->id != X86_INS_ENDBR64)
		return "it has an instruction that is not understood";
	switch (insn->id) {
	case X86_INS_NOP:
	case X86_INS_ENDBR64:
		return NULL;
	case X86_INS_MOV:
	case X86_INS_MOVABS:
	case X86_INS_MOVSXD:
	case X86_INS_LEA:
		return step_move(machine, insn);
	case X86_INS_PUSH:
		return step_push(machine, insn);
	case X86_INS_SUB:
	case X86_INS_ADD:
	case X86_INS_XOR:
	case X86_INS_AND:
	case X86_INS_OR:
		return step_arithmetic(machine, insn);
	case X86_INS_CMP:
		machine->flags_of_num = false;
		return NULL;
	case X86_INS_TEST:
		machine->flags_of_num = x86->op_count == 2 &&
					is_num32(machine, &x86->operands[0]) &&
					is_num32(machine, &x86->operands[1]);
		return NULL;
	case X86_INS_JMP:
		return "it jumps before any call";
	case X86_INS_RET:
		return "it returns before any call";
	default:
		return "it has an instruction that is not understood";
	}
}

/* Are the callee's arguments those of F_ex, as the wrapper was given them? */
static const char *check_arguments(const struct machine *machine)
{
	const struct value *registers = machine->registers;

	if (registers[DI].origin != ORIGIN_SSL ||
	    registers[SI].origin != ORIGIN_BUFFER)
		return "the call has another object or buffer";
	if (machine->extended)
		return registers[DX].origin != ORIGIN_NUM ?
			       "the call has another length" :
		       registers[CX].origin != ORIGIN_DONE ?
			       "the call has another fourth argument" :
			       NULL;
	if (registers[DX].origin != ORIGIN_NUM_WIDE)
		return "the call has another length";
	if (!is_local(machine, registers[CX], sizeof(uint64_t)))
		return "the call has no local as fourth argument";
	return NULL;
}

static const char *take_call(const struct machine *machine, const cs_insn *insn,
			     struct wrapper *wrapper)
{
	/* Five bytes, e8 first: direct, and without prefixes. */
	if (insn->size != 5 || insn->bytes[0] != 0xe8)
		return "its first call is not a direct one";
	wrapper->call = insn->address;
	wrapper->next = insn->address + insn->size;
	wrapper->callee = insn->detail->x86.operands[0].imm;
	return check_arguments(machine);
}

/* Follow the values from the entry to the first call. */
static const char *find_call(struct decoder *decoder, struct machine *machine,
			     struct wrapper *wrapper)
{
	uint64_t address = decoder->code->address;

	for (unsigned i = 0; i < ENTRY_INSTRUCTIONS_MAX; i++) {
		const cs_insn *insn = decode(decoder, address);
		const char *why;

		if (!insn)
			return "its code cannot be decoded";
		if (insn->id == X86_INS_CALL)
			return take_call(machine, insn, wrapper);
		why = cs_insn_group(decoder->handle, insn, CS_GRP_JUMP) &&
				      insn->id != X86_INS_JMP ?
			      step_branch(machine, insn) :
			      step(machine, insn);
		if (why)
			return why;
		address += insn->size;
	}
	return "its first call is far from its entry";
}

/* What is left of a function, followed along each branch. */
struct walk {
	struct decoder *decoder;
	const struct wrapper *wrapper;
	bool calls; /* allowed: the path of a negative length */
	uint64_t waiting[BRANCHES_MAX];
	unsigned waiting_count;
	uint8_t seen[BODY_BYTES_MAX / 8]; /* bit set of offsets */
};

static const char *walk_branch(struct walk *walk, const cs_insn *insn)
{
	const cs_x86_op *target = &insn->detail->x86.operands[0];

	if (target->type != X86_OP_IMM)
		return "it has an indirect jump";
	if (!inside(walk->decoder->code, target->imm))
		return "it jumps out of the function";
	if ((uint64_t)target->imm < walk->wrapper->next)
		return "it jumps back to before the call";
	if (walk->waiting_count == BRANCHES_MAX)
		return "it has too many branches";
	walk->waiting[walk->waiting_count++] = target->imm;
	return NULL;
}

/* Does the instruction compare with the stack protector's canary? */
static bool reads_canary(const cs_insn *insn)
{
	const cs_x86_op *from = &insn->detail->x86.operands[0];

	return insn->detail->x86.op_count == 2 && from->type == X86_OP_MEM &&
	       (insn->id == X86_INS_SUB || insn->id == X86_INS_XOR ||
		insn->id == X86_INS_CMP) &&
	       from->mem.segment == X86_REG_FS &&
	       from->mem.base == X86_REG_INVALID &&
	       from->mem.index == X86_REG_INVALID &&
	       from->mem.disp == CANARY_OFFSET;
}

/*
 * Follow one path to its return.  A call could move data that the callee
 * never sees, but for the one of the stack protector, which ends the process.
 */
static const char *walk_path(struct walk *walk, uint64_t address)
{
	bool canary = false;

	for (;;) {
		size_t offset = address - walk->decoder->code->address;
		const cs_insn *insn = decode(walk->decoder, address);
		const char *why = NULL;

		if (!insn || cs_insn_group(walk->decoder->handle, insn,
					   CS_GRP_INT))
			return "its code cannot be decoded";
		if (walk->seen[offset / 8] & 1 << offset % 8)
			return NULL;
		walk->seen[offset / 8] |= 1 << offset % 8;
		if (cs_insn_group(walk->decoder->handle, insn, CS_GRP_RET))
			return NULL;
		if (insn->id == X86_INS_CALL && !walk->calls)
			return "it calls more than the callee";
		if (cs_insn_group(walk->decoder->handle, insn, CS_GRP_JUMP) &&
		    !(canary && insn->id == X86_INS_JNE))
			why = walk_branch(walk, insn);
		if (why || insn->id == X86_INS_JMP)
			return why;
		canary = reads_canary(insn);
		address += insn->size;
	}
}

static const char *walk_from(struct walk *walk, uint64_t address)
{
	const char *why;

	walk->waiting[0] = address;
	walk->waiting_count = 1;
	do {
		why = walk_path(walk, walk->waiting[--walk->waiting_count]);
	} while (!why && walk->waiting_count);
	return why;
}

/* Nothing behind the call, and nothing on the error path, moves data. */
static const char *check_rest(struct decoder *decoder,
			      const struct machine *machine,
			      const struct wrapper *wrapper)
{
	struct walk walk = { .decoder = decoder, .wrapper = wrapper };
	const char *why = walk_from(&walk, wrapper->next);

	if (why || !machine->branched)
		return why;
	if (!inside(decoder->code, machine->error_path) ||
	    machine->error_path < wrapper->next)
		return "its error path is before the call";
	walk.calls = true;
	return walk_from(&walk, machine->error_path);
}

/* Prove that `code` is a thin wrapper: NULL, and *wrapper; or why not. */
static const char *prove_wrapper(const struct code *code, bool extended,
				 struct wrapper *wrapper)
{
	struct machine machine = { .extended = extended };
	struct decoder decoder;
	const char *why;

	if (code->length > BODY_BYTES_MAX)
		return "it is a long function, not a wrapper";
	machine.registers[DI].origin = ORIGIN_SSL;
	machine.registers[SI].origin = ORIGIN_BUFFER;
	machine.registers[DX].origin = ORIGIN_NUM;
	machine.registers[SP].origin = ORIGIN_STACK;
	if (extended)
		machine.registers[CX].origin = ORIGIN_DONE;
	if (!decoder_open(&decoder, code))
		return "Capstone does not start";
	why = find_call(&decoder, &machine, wrapper);
	if (!why)
		why = check_rest(&decoder, &machine, wrapper);
	decoder_close(&decoder);
	return why;
}

/*
 * The forms that kernels since 4.18 emulate, without prefixes but for the
 * REX that selects r8 to r15: newer kernels emulate more nops, older ones
 * refuse to probe branches with an operand-size prefix.
 */
static bool emulated(const uint8_t *bytes, size_t length)
{
	switch (length) {
	case 1: /* push, nop */
		return (bytes[0] & 0xf8) == 0x50 || bytes[0] == 0x90;
	case 2: /* push r8..r15, jmp, jcc */
		return (bytes[0] == 0x41 && (bytes[1] & 0xf8) == 0x50) ||
		       bytes[0] == 0xeb || (bytes[0] & 0xf0) == 0x70;
	case 5: /* call, jmp */
		return bytes[0] == 0xe8 || bytes[0] == 0xe9;
	case 6: /* jcc */
		return bytes[0] == 0x0f && (bytes[1] & 0xf0) == 0x80;
	default:
		return false;
	}
}

bool placement_emulates(const struct code *code, char text[48])
{
	struct decoder decoder;
	const cs_insn *insn;
	bool result = false;

	snprintf(text, TEXT_BYTES, "?");
	if (!decoder_open(&decoder, code))
		return false;
	insn = decode(&decoder, code->address);
	if (insn) {
		snprintf(text, TEXT_BYTES, "%.14s%s%.32s", insn->mnemonic,
			 *insn->op_str ? " " : "", insn->op_str);
		result = emulated(insn->bytes, insn->size);
	}
	decoder_close(&decoder);
	return result;
}

void placement_choose(const struct code *code, struct placement *at)
{
	at->address = code->address;
	at->why = "";
	at->kind = placement_emulates(code, at->instruction) ?
			   PLACEMENT_SELF :
			   PLACEMENT_SELF_STEPS;
}

/* Prove the pair and fill *callee_at; or why not. */
static const char *choose_callee(const struct code *plain,
				 const struct code *extended,
				 int (*read_code)(void *context,
						  uint64_t address,
						  struct code *code),
				 void *context, struct placement *callee_at)
{
	struct wrapper of_plain, of_extended;
	struct code callee;
	const char *why = prove_wrapper(plain, false, &of_plain);

	if (!why)
		why = prove_wrapper(extended, true, &of_extended);
	if (why)
		return why;
	if (of_plain.callee != of_extended.callee)
		return "the pair does not call the same function";
	if (read_code(context, of_plain.callee, &callee))
		return "the callee's code cannot be read";
	placement_choose(&callee, callee_at);
	if (callee_at->kind != PLACEMENT_SELF)
		return "the callee begins with a single-stepped instruction";
	callee_at->kind = PLACEMENT_CALLEE;
	return NULL;
}

void placement_choose_pair(const struct code *plain,
			   const struct code *extended,
			   int (*read_code)(void *context, uint64_t address,
					    struct code *code),
			   void *context, struct placement *plain_at,
			   struct placement *extended_at)
{
	struct placement callee_at;
	const char *why;

	placement_choose(plain, plain_at);
	if (!extended->bytes) {
		if (plain_at->kind == PLACEMENT_SELF_STEPS)
			plain_at->why = "there is no _ex form to compare with";
		return;
	}
	placement_choose(extended, extended_at);
	if (plain_at->kind == PLACEMENT_SELF &&
	    extended_at->kind == PLACEMENT_SELF)
		return;
	/* At the callee both or none: else a call would count twice. */
	if (plain_at->kind != extended_at->kind)
		why = "only one of the pair is single-stepped";
	else
		why = choose_callee(plain, extended, read_code, context,
				    &callee_at);
	if (!why) {
		*plain_at = *extended_at = callee_at;
		return;
	}
	if (plain_at->kind == PLACEMENT_SELF_STEPS)
		plain_at->why = why;
	if (extended_at->kind == PLACEMENT_SELF_STEPS)
		extended_at->why = why;
}

#else

bool placement_emulates(const struct code *code, char text[48])
{
	(void)code;
	snprintf(text, TEXT_BYTES, "?");
	return false;
}

void placement_choose(const struct code *code, struct placement *at)
{
	at->address = code->address;
	at->kind = PLACEMENT_SELF;
	at->why = "not x86-64";
	placement_emulates(code, at->instruction);
}

void placement_choose_pair(const struct code *plain,
			   const struct code *extended,
			   int (*read_code)(void *context, uint64_t address,
					    struct code *code),
			   void *context, struct placement *plain_at,
			   struct placement *extended_at)
{
	(void)read_code;
	(void)context;
	placement_choose(plain, plain_at);
	if (extended->bytes)
		placement_choose(extended, extended_at);
}

#endif
