/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_golang.c - where crypto/tls is in a Go program; and in a broken one.
 *
 * The programs are written here: an ELF header, one segment of code, one with
 * the table of functions, in each of its layouts.
 *
 * Source of the layouts: Go's src/debug/gosym/pclntab.go.
 */
#include <check.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probes/golang.h"
#include "probes/golang_code.h"
#include "probes/golang_table.h"
#include "tests/unit/suite.h"

#define BASE	     0x400000
#define CODE_OFFSET  0x1000
#define CODE_BYTES   0x100
#define FUNCTION_MAX 0x40 /* of each of the four functions */
#define TABLE_OFFSET 0x2000
#define TABLE_BYTES  0x400
#define FILE_BYTES   (TABLE_OFFSET + TABLE_BYTES)
#define NAMES	     0x200 /* in the table */
#define RECORDS	     0x180
#define FUNCTIONS    0x80

/* cmp 0x10(%r14),%rsp; jbe 1f; test %eax,%eax; je 2f; ret; 2: ret; 1: jmp . */
static const uint8_t in_registers[] = {
	0x49, 0x3b, 0x66, 0x10, 0x76, 0x06, 0x85, 0xc0,
	0x74, 0x01, 0xc3, 0xc3, 0xeb, 0xf2,
};

/* mov %fs:-8,%rcx; cmp 0x10(%rcx),%rsp; jbe 1f; ret; 1: jmp . */
static const uint8_t on_stack[] = {
	0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff,
	0x48, 0x3b, 0x61, 0x10, 0x76, 0x01, 0xc3, 0xeb, 0xee,
};

static uint8_t image[FILE_BYTES];
static char path[] = "/tmp/datasnoop-golang.XXXXXX";

static void put(size_t at, uint64_t value, size_t size)
{
	memcpy(image + at, &value, size);
}

static void put_elf(void)
{
	Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
			    ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
		.e_shentsize = sizeof(Elf64_Shdr),
	};
	const Elf64_Phdr segments[2] = {
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_X,
		 .p_offset = CODE_OFFSET,
		 .p_vaddr = BASE + CODE_OFFSET,
		 .p_filesz = CODE_BYTES,
		 .p_memsz = CODE_BYTES},
		{.p_type = PT_LOAD,
		 .p_flags = PF_R,
		 .p_offset = TABLE_OFFSET,
		 .p_vaddr = BASE + TABLE_OFFSET,
		 .p_filesz = TABLE_BYTES,
		 .p_memsz = TABLE_BYTES},
	};

	memcpy(image, &header, sizeof(header));
	memcpy(image + sizeof(header), segments, sizeof(segments));
}

/* Four functions: main.main, then those that are looked for. */
static void put_table(uint32_t magic)
{
	static const char *const names[] = {
		"main.main", "crypto/tls.(*Conn).Write",
		"crypto/tls.(*Conn).Read", "crypto/tls.(*Conn).Close"};
	bool first = magic == 0xfffffffb, offsets = magic < 0xfffffffa;
	size_t entry = offsets ? 4 : 8, words = offsets ? 3 : 2, i;
	size_t functions = first ? 16 : FUNCTIONS, name = NAMES;
	uint64_t base = offsets ? 0 : BASE + CODE_OFFSET;

	put(TABLE_OFFSET, magic, 4);
	put(TABLE_OFFSET + 6, 0x0801, 2); /* quantum 1, pointers of 8 bytes */
	put(TABLE_OFFSET + 8, 4, 8);
	if (offsets)
		put(TABLE_OFFSET + 24, BASE + CODE_OFFSET, 8);
	if (!first) {
		put(TABLE_OFFSET + 8 + 8 * words, NAMES, 8);
		put(TABLE_OFFSET + 8 + 8 * (words + 4), FUNCTIONS, 8);
	}
	for (i = 0; i <= 4; i++) {
		size_t at = TABLE_OFFSET + functions + 2 * i * entry;
		size_t record = RECORDS + i * 16;

		put(at, base + i * FUNCTION_MAX, entry);
		if (i == 4)
			break;
		put(at + entry, record - (first ? 0 : FUNCTIONS), entry);
		put(TABLE_OFFSET + record, base + i * FUNCTION_MAX, entry);
		put(TABLE_OFFSET + record + entry, name - (first ? 0 : NAMES),
		    4);
		strcpy((char *)image + TABLE_OFFSET + name, names[i]);
		name += strlen(names[i]) + 1;
	}
}

static void put_code(const uint8_t *code, size_t length)
{
	memset(image + CODE_OFFSET, 0xcc, CODE_BYTES);
	for (size_t i = 0; i < 4; i++)
		memcpy(image + CODE_OFFSET + i * FUNCTION_MAX, code, length);
}

static void make_image(uint32_t magic, bool old)
{
	memset(image, 0, sizeof(image));
	put_elf();
	put_table(magic);
	if (old)
		put_code(on_stack, sizeof(on_stack));
	else
		put_code(in_registers, sizeof(in_registers));
}

/* What golang_read() says of the first `length` bytes of the image. */
static int read_image(size_t length, struct golang *golang, const char **why)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, image, length), (ssize_t)length);
	close(fd);
	return golang_read(path, golang, why);
}

static const struct {
	uint32_t magic;
	bool old;
} layouts[] = {
	{0xfffffffb, true},  {0xfffffffa, true}, {0xfffffffa, false},
	{0xfffffff0, false}, {0xfffffff1, false},
};

START_TEST(the_functions_are_found_in_each_layout)
{
	struct golang golang;
	const char *why;

	make_image(layouts[_i].magic, layouts[_i].old);
	ck_assert_int_eq(read_image(FILE_BYTES, &golang, &why), 0);
	ck_assert_str_eq(why, "");
	ck_assert_int_eq(golang.arguments_on_stack, layouts[_i].old);
	ck_assert_uint_eq(golang.probes[GOLANG_WRITE].entry, 0x1040);
	ck_assert_uint_eq(golang.probes[GOLANG_READ].entry, 0x1080);
	ck_assert_uint_eq(golang.probes[GOLANG_CLOSE].entry, 0x10c0);
	ck_assert_uint_eq(golang.probes[GOLANG_CLOSE].return_count, 0);
	if (layouts[_i].old) {
		ck_assert_uint_eq(golang.probes[GOLANG_READ].return_count, 1);
		ck_assert_uint_eq(golang.probes[GOLANG_READ].returns[0],
				  0x108f);
		return;
	}
	ck_assert_uint_eq(golang.probes[GOLANG_READ].return_count, 2);
	ck_assert_uint_eq(golang.probes[GOLANG_READ].returns[0], 0x108a);
	ck_assert_uint_eq(golang.probes[GOLANG_READ].returns[1], 0x108b);
	ck_assert_uint_eq(golang.probes[GOLANG_WRITE].returns[1], 0x104b);
}
END_TEST

START_TEST(a_program_without_tls_or_not_of_go_is_none)
{
	struct golang golang;
	const char *why;

	make_image(0xfffffff1, false);
	image[TABLE_OFFSET + NAMES + 40] = '?'; /* in Read's name */
	ck_assert_int_eq(read_image(FILE_BYTES, &golang, &why), -ENOENT);
	make_image(0xfffffff2, false);
	ck_assert_int_eq(read_image(FILE_BYTES, &golang, &why), -ENOENT);
	make_image(0xfffffff1, false);
	image[18] = EM_AARCH64;
	ck_assert_int_eq(read_image(FILE_BYTES, &golang, &why), -ENOEXEC);
	ck_assert_int_eq(read_image(0, &golang, &why), -ENOEXEC);
	ck_assert_int_eq(golang_read("/", &golang, &why), -ENOEXEC);
	ck_assert_int_eq(golang_read("/nonexistent", &golang, &why), -ENOENT);
}
END_TEST

/* Offsets in the code of Read; what is put there; each must be refused. */
static const struct {
	unsigned at;
	uint8_t bytes[3];
	const char *what;
} doubts[] = {
	{6, {0x06, 0x06}, "no instruction of 64-bit code"},
	{10, {0xc2, 0, 0}, "a return that takes arguments off the stack"},
	{4, {0x76, 0x7f}, "a jump out of the function"},
	{8, {0x74, 0xfd}, "a jump into an instruction"},
	{12, {0xff, 0xe0}, "a jump to somewhere"},
	{12, {0x90, 0x90}, "an end that goes on behind it"},
	{0, {0x49, 0x3b, 0x67}, "no look at the stack's end"},
	{10, {0x90, 0x90}, "no return"},
};

START_TEST(code_that_is_not_certain_is_refused)
{
	uint8_t code[sizeof(in_registers)];
	uint64_t returns[4];
	struct golang_code about;
	const char *why = NULL;

	memcpy(code, in_registers, sizeof(code));
	ck_assert(golang_code_read(code, sizeof(code), BASE, returns, 4,
				   &about, &why));
	for (unsigned i = 0; i < 3; i++)
		if (i < 2 || doubts[_i].bytes[i])
			code[doubts[_i].at + i] = doubts[_i].bytes[i];
	ck_assert_msg(!golang_code_read(code, sizeof(code), BASE, returns, 4,
					&about, &why),
		      "%s", doubts[_i].what);
	ck_assert_str_ne(why, "");
}
END_TEST

START_TEST(more_returns_than_there_is_room_for_are_refused)
{
	struct golang_code about;
	uint64_t returns[1];
	const char *why;

	ck_assert(!golang_code_read(in_registers, sizeof(in_registers), BASE,
				    returns, 1, &about, &why));
	ck_assert(!golang_code_read(in_registers, 0, BASE, returns, 1, &about,
				    &why));
}
END_TEST

START_TEST(functions_of_two_abis_are_refused)
{
	struct golang golang;
	const char *why;

	make_image(0xfffffffa, true);
	memset(image + CODE_OFFSET + FUNCTION_MAX, 0xcc, FUNCTION_MAX);
	memcpy(image + CODE_OFFSET + FUNCTION_MAX, in_registers,
	       sizeof(in_registers));
	ck_assert_int_eq(read_image(FILE_BYTES, &golang, &why), -ENOTSUP);
	ck_assert_str_ne(why, "");
}
END_TEST

START_TEST(a_name_that_two_functions_have_is_not_found)
{
	struct golang_table table;
	uint64_t address, end;

	make_image(0xfffffff0, false);
	ck_assert(golang_table_open(&table, image + TABLE_OFFSET, TABLE_BYTES));
	ck_assert(golang_table_find(&table, "main.main", &address, &end));
	ck_assert_uint_eq(address, BASE + CODE_OFFSET);
	ck_assert_uint_eq(end - address, FUNCTION_MAX);
	/* The second record's name is the first one's. */
	put(TABLE_OFFSET + RECORDS + 16 + 4, 0, 4);
	ck_assert(!golang_table_find(&table, "main.main", &address, &end));
}
END_TEST

/* An allocation of exactly so much: one byte beyond is seen by ASan. */
START_TEST(a_table_cut_anywhere_is_read_within_its_bytes)
{
	struct golang_table table;
	uint64_t address, end;
	unsigned found = 0;

	make_image(layouts[_i].magic, layouts[_i].old);
	for (size_t length = 0; length <= TABLE_BYTES; length++) {
		uint8_t *cut = malloc(length ? length : 1);

		memcpy(cut, image + TABLE_OFFSET, length);
		if (golang_table_open(&table, cut, length) &&
		    golang_table_find(&table, "crypto/tls.(*Conn).Close",
				      &address, &end))
			found++;
		free(cut);
	}
	ck_assert_uint_gt(found, 0);
	ck_assert_uint_lt(found, TABLE_BYTES - NAMES);
}
END_TEST

/* Each byte of the table's numbers, with values that overflow. */
START_TEST(garbage_in_a_table_is_survived)
{
	static const uint8_t values[] = {0x00, 0xff};
	struct golang golang;
	const char *why;
	unsigned differ = 0;

	for (size_t at = TABLE_OFFSET; at < TABLE_OFFSET + NAMES; at++) {
		for (size_t v = 0; v < sizeof(values); v++) {
			make_image(layouts[_i].magic, layouts[_i].old);
			image[at] = values[v];
			differ += read_image(FILE_BYTES, &golang, &why) != 0;
		}
	}
	ck_assert_uint_gt(differ, 0);
}
END_TEST

START_TEST(garbage_in_the_headers_is_survived)
{
	struct golang golang;
	const char *why;

	for (size_t at = 0; at < sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);
	     at++) {
		make_image(0xfffffff1, false);
		image[at] ^= 0xff;
		read_image(FILE_BYTES, &golang, &why);
	}
	make_image(0xfffffff1, false);
	for (size_t length = 0; length < FILE_BYTES; length += 61)
		ck_assert_int_ne(read_image(length, &golang, &why), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("golang");
	TCase *tcase = tcase_create("golang");
	int all = sizeof(layouts) / sizeof(layouts[0]);

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, the_functions_are_found_in_each_layout, 0,
			    all);
	tcase_add_test(tcase, a_program_without_tls_or_not_of_go_is_none);
	tcase_add_loop_test(tcase, code_that_is_not_certain_is_refused, 0,
			    sizeof(doubts) / sizeof(doubts[0]));
	tcase_add_test(tcase, more_returns_than_there_is_room_for_are_refused);
	tcase_add_test(tcase, functions_of_two_abis_are_refused);
	tcase_add_test(tcase, a_name_that_two_functions_have_is_not_found);
	tcase_add_loop_test(tcase,
			    a_table_cut_anywhere_is_read_within_its_bytes, 0,
			    all);
	tcase_add_loop_test(tcase, garbage_in_a_table_is_survived, 0, all);
	tcase_add_test(tcase, garbage_in_the_headers_is_survived);
	suite_add_tcase(s, tcase);
	return s;
}

int main(void)
{
	int failed, fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	failed = suite_run(suite());
	unlink(path);
	return failed;
}
