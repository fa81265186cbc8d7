/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_program.c - the BPF text compiles, loads, and stays within 4.18.
 *
 * The bytecode of the variant for old kernels is audited instruction by
 * instruction: what 4.18's verifier has never heard of is not in it.  Needs
 * the rights to make BPF maps; skipped (77) where bpf() is refused.
 *
 * Sources: include/uapi/linux/bpf.h and kernel/bpf/verifier.c of Linux 4.18.
 */
#include <check.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probes/headers.h"
#include "probes/kernel.h"
#include "probes/program.h"
#include "tests/unit/suite.h"

#define INSTRUCTIONS_MAX 4096 /* BPF_MAXINSNS until 5.2 */
#define HELPER_MAX_4_18	 BPF_FUNC_get_current_cgroup_id
#define MAP_MAX_4_18	 BPF_MAP_TYPE_SOCKHASH

static const struct options defaults = {
	.flush_size = 1024,
	.buffer_size = 2048,
	.copy_size = 1024,
	.flush_ms = 100,
	.ring_bytes = 8U << 20,
	.max_capture = 4U << 20,
	.max_connections = 10240,
	.accumulate = true,
	.placement = true,
};

static struct headers headers;
static struct kernel kernel;

static struct program *compile(const struct options *options,
			       struct program_variant variant)
{
	struct program *program;
	char *messages;

	program = program_compile(options, &variant, &headers, &messages);
	ck_assert_msg(program, "%s", messages ? messages : "no message");
	free(messages);
	return program;
}

/* One instruction as 4.18 knows it. */
static void audit_instruction(const char *name, size_t at,
			      const struct bpf_insn *instruction)
{
	uint8_t class = BPF_CLASS(instruction->code);
	uint8_t operation = BPF_OP(instruction->code);

	ck_assert_msg(class != 0x06, "%s+%zu: BPF_JMP32 is of 5.1", name, at);
	if (class == BPF_JMP && operation == BPF_CALL) {
		ck_assert_msg(instruction->src_reg == 0,
			      "%s+%zu: a call that is not inlined", name, at);
		ck_assert_msg(instruction->imm <= HELPER_MAX_4_18,
			      "%s+%zu: helper %d is newer than 4.18", name, at,
			      instruction->imm);
	}
	ck_assert_msg(class != BPF_JMP || operation <= BPF_JSLE,
		      "%s+%zu: jump 0x%x is newer than 4.18", name, at,
		      operation);
	if (class == BPF_STX && BPF_MODE(instruction->code) == BPF_XADD)
		ck_assert_msg(instruction->imm == 0,
			      "%s+%zu: an atomic that is not an addition", name,
			      at);
	if (instruction->code == (BPF_LD | BPF_IMM | BPF_DW))
		ck_assert_msg(instruction->src_reg <= BPF_PSEUDO_MAP_FD,
			      "%s+%zu: global data", name, at);
}

/* Where the program can go on after instruction `at`; the number of places. */
static int successors(const struct bpf_insn *code, size_t at, size_t next[2])
{
	uint8_t class = BPF_CLASS(code[at].code);
	uint8_t operation = BPF_OP(code[at].code);
	int count = 0;

	if (code[at].code == (BPF_LD | BPF_IMM | BPF_DW)) {
		next[count++] = at + 2;
	} else if (class != BPF_JMP || operation == BPF_CALL) {
		next[count++] = at + 1;
	} else if (operation != BPF_EXIT) {
		if (operation != BPF_JA)
			next[count++] = at + 1;
		next[count++] = at + 1 + code[at].off;
	}
	return count;
}

/*
 * A back edge is one to an instruction on the way here: what 4.18's
 * check_cfg() refuses, and what a jump to a lower address alone is not.
 * Where one leads to; `count`: a jump out of the program; -1: none.
 */
static long back_edge(const struct bpf_insn *code, size_t count)
{
	enum { NEW, ON_THE_WAY, DONE };
	uint8_t *state = calloc(count, 1), *tried = calloc(count, 1);
	size_t *way = calloc(count, sizeof(*way)), depth = 1, next[2];
	long found = -1;

	state[0] = ON_THE_WAY;
	while (depth && found < 0) {
		size_t at = way[depth - 1];
		int places = successors(code, at, next);

		if (tried[at] == places) {
			state[at] = DONE;
			depth--;
			continue;
		}
		at = next[tried[at]++];
		if (at >= count) {
			found = count;
		} else if (state[at] == ON_THE_WAY) {
			found = at;
		} else if (state[at] == NEW) {
			state[at] = ON_THE_WAY;
			way[depth++] = at;
		}
	}
	free(state);
	free(tried);
	free(way);
	return found;
}

START_TEST(the_audit_sees_a_back_edge)
{
	const struct bpf_insn loop[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K},
		{.code = BPF_JMP | BPF_JEQ | BPF_K, .off = -2},
		{.code = BPF_JMP | BPF_EXIT},
	};

	ck_assert_int_eq(back_edge(loop, 3), 0);
	ck_assert_int_eq(back_edge(loop + 2, 1), -1);
	ck_assert_int_eq(back_edge(loop, 1), 1);
}
END_TEST

static void audit(const struct program *program)
{
	const struct bpf_insn *code;
	const char *name;
	size_t i, at, count;
	int type;

	for (i = 0; (type = program_map_type(program, i, &name)) >= 0; i++)
		ck_assert_msg(type <= (int)MAP_MAX_4_18,
			      "map %s: type %d is newer than 4.18", name, type);
	ck_assert_uint_gt(i, 0);
	for (i = 0; (name = program_function(program, i)); i++) {
		code = program_bytecode(program, name, &count);
		ck_assert_uint_gt(count, 0);
		ck_assert_msg(count <= INSTRUCTIONS_MAX,
			      "%s has %zu instructions", name, count);
		for (at = 0; at < count; at++) {
			audit_instruction(name, at, &code[at]);
			if (code[at].code == (BPF_LD | BPF_IMM | BPF_DW))
				at++; /* its second half is data */
		}
		ck_assert_msg(back_edge(code, count) < 0, "%s: back edge to %ld",
			      name, back_edge(code, count));
	}
	ck_assert_uint_gt(i, 5);
}

START_TEST(the_variant_for_old_kernels_stays_within_4_18)
{
	struct options options = defaults;
	struct program *program;

	options.accumulate = _i & 1;
	options.pid_count = options.uid_count = options.comm_count = _i >> 1;
	options.container_count = _i >> 1;
	program = compile(&options, (struct program_variant){
					    .old_reads = true});
	audit(program);
	program_free(program);
}
END_TEST

static const struct {
	unsigned flush, buffer, copy, flags; /* 1 ring, 2 naive, 4 filters,
						8 sockets' own tracepoints,
						16 on demand */
} loads[] = {
	{1024, 2048, 1024, 9},	 {1024, 2048, 1024, 0},
	{1024, 2048, 1024, 3},	 {1024, 2048, 64, 29},
	{256, 512, 256, 1},	 {16384, 32768, 16384, 25},
	{4096, 32768, 2048, 24}, {1024, 2048, 64, 5},
	{1024, 2048, 1024, 27},
};

START_TEST(every_variant_passes_the_verifier)
{
	struct options options = defaults;
	struct program *program;
	struct program_variant variant = {
		.ring = loads[_i].flags & 1,
		.old_reads = !kernel.probe_read_user,
		.socket_tracepoints = loads[_i].flags & 8,
		.on_demand = loads[_i].flags & 16,
	};
	char *log;
	int error;

	if ((variant.ring && !kernel.ring_buffer) ||
	    (variant.socket_tracepoints && !kernel.socket_tracepoints))
		return;
	options.flush_size = loads[_i].flush;
	options.buffer_size = loads[_i].buffer;
	options.copy_size = loads[_i].copy;
	options.accumulate = !(loads[_i].flags & 2);
	options.max_connections = 1024;
	if (loads[_i].flags & 4)
		options.pid_count = options.uid_count = options.comm_count =
			options.cgroup_count = 1;
	program = compile(&options, variant);
	error = program_load(program, &log);
	ck_assert_msg(!error, "%s: %s", strerror(-error), log ? log : "");
	program_free(program);
}
END_TEST

START_TEST(ten_thousand_connections_take_30_mb_at_most)
{
	struct options options = defaults;
	struct program *program =
		compile(&options, (struct program_variant){.ring = false});

	/* All maps but the transport's; the perf buffer's pages are not maps. */
	ck_assert_uint_ge(program_map_memory(program), 10240 * 2048);
	ck_assert_uint_le(program_map_memory(program), 30U << 20);
	program_free(program);
}
END_TEST

START_TEST(clang_s_words_come_back_when_it_does_not_compile)
{
	const struct program_variant variant = {.ring = false};
	struct headers empty = {.source = HEADERS_USER};
	char *messages, directory[] = "/tmp/datasnoop-empty.XXXXXX";

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(empty.directory, sizeof(empty.directory), "%s", directory);
	ck_assert_ptr_null(
		program_compile(&defaults, &variant, &empty, &messages));
	ck_assert_ptr_nonnull(messages);
	ck_assert_ptr_nonnull(strstr(messages, "error"));
	free(messages);
	remove(directory);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("program");
	TCase *tcase = tcase_create("bpf");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, the_audit_sees_a_back_edge);
	/* A sanitizer sees what compiles and loads, which is all the same. */
	tcase_add_loop_test(tcase, the_variant_for_old_kernels_stays_within_4_18,
			    0, SUITE_SANITIZED ? 1 : 4);
	tcase_add_loop_test(tcase, every_variant_passes_the_verifier, 0,
			    SUITE_SANITIZED ? 1 : COUNT(loads));
	tcase_add_test(tcase, ten_thousand_connections_take_30_mb_at_most);
	tcase_add_test(tcase, clang_s_words_come_back_when_it_does_not_compile);
	suite_add_tcase(s, tcase);
	return s;
}

int main(void)
{
	char why[1024];
	int failed;

	kernel_probe(&kernel);
	kernel_raise_memlock();
	if (!kernel.bpf || !kernel.btf) {
		printf("test_program: no bpf() or no BTF here: skipped\n");
		return 77;
	}
	if (headers_prepare(&headers, HEADERS_BTF, NULL, why, sizeof(why))) {
		printf("test_program: %s\n", why);
		return 1;
	}
	failed = suite_run(suite());
	headers_release(&headers);
	return failed;
}
