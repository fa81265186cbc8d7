/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_placement.c - probes/placement.c on real and on hostile machine code.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probes/libraries.h"
#include "probes/placement.h"
#include "tests/unit/suite.h"

#if defined(__x86_64__)

#define PLAIN 0x1000ull	   /* address of the plain form */
#define EXTENDED 0x2000ull /* of the _ex form */
#define CALLEE 0x3000ull   /* of the function that both call */

static const uint8_t push_r13[] = { 0x41, 0x55, 0x41, 0x54 };
static const uint8_t sub_rsp[] = { 0x48, 0x83, 0xec, 0x38 };

/*
 * Machine code built from its bytes in hexadecimal, on a heap block of its
 * exact size, so that AddressSanitizer sees a read beyond it.
 */
struct built {
	struct code code;
	uint8_t *bytes;
};

/*
 * "CALL" in the text stands for e8 and the distance to CALLEE, and "ELSE" for
 * one to a function 16 bytes behind it.
 */
static struct built build(uint64_t address, const char *text)
{
	struct built built = { .bytes = malloc(strlen(text) + 8) };
	size_t length = 0;

	ck_assert_ptr_nonnull(built.bytes);
	while (*text) {
		unsigned byte;

		if (*text == ' ') {
			text++;
		} else if (!strncmp(text, "CALL", 4) ||
			   !strncmp(text, "ELSE", 4)) {
			int32_t distance = CALLEE - (address + length + 5) +
					   (*text == 'E' ? 16 : 0);

			built.bytes[length] = 0xe8;
			memcpy(built.bytes + length + 1, &distance, 4);
			length += 5;
			text += 4;
		} else {
			ck_assert_int_eq(sscanf(text, "%2x", &byte), 1);
			built.bytes[length++] = byte;
			text += 2;
		}
	}
	built.bytes = realloc(built.bytes, length);
	built.code.bytes = built.bytes;
	built.code.length = length;
	built.code.address = address;
	return built;
}

/* The callee: what begins with a push, or what does not. */
static int read_code(void *context, uint64_t address, struct code *code)
{
	if (address != CALLEE && address != CALLEE + 16)
		return -EFAULT;
	code->bytes = context;
	code->length = 4;
	code->address = address;
	return 0;
}

static void place(const char *plain, const char *extended,
		  const uint8_t *callee, struct placement *plain_at,
		  struct placement *extended_at)
{
	struct built one = build(PLAIN, plain);
	struct built other = build(EXTENDED, extended);

	placement_choose_pair(&one.code, &other.code, read_code,
			      (void *)callee, plain_at, extended_at);
	free(one.bytes);
	free(other.bytes);
}

/* The same shapes as Debian's libssl.so.3. */
#define GOOD_PLAIN                                                            \
	"4883ec18 64488b042528000000 4889442408 31c0 85d2 7827"               \
	"4889e1 4863d2 CALL 85c0 7e03 8b0424 488b542408 64482b142528000000"   \
	"750c 4883c418 c3 b8ffffffff ebe4 ELSE"
#define GOOD_EXTENDED "4883ec08 CALL 31d2 85c0 0f48c2 4883c408 c3"

static void expect_callee(const char *plain, const char *extended)
{
	struct placement plain_at, extended_at;

	place(plain, extended, push_r13, &plain_at, &extended_at);
	ck_assert_str_eq(plain_at.why, "");
	ck_assert_int_eq(plain_at.kind, PLACEMENT_CALLEE);
	ck_assert_int_eq(extended_at.kind, PLACEMENT_CALLEE);
	ck_assert_uint_eq(plain_at.address, CALLEE);
	ck_assert_uint_eq(extended_at.address, CALLEE);
	ck_assert_str_eq(plain_at.instruction, "pushq %r13");
}

static void expect_declined(const char *plain, const char *extended,
			    const char *why)
{
	struct placement plain_at, extended_at;

	place(plain, extended, push_r13, &plain_at, &extended_at);
	ck_assert_int_eq(plain_at.kind, PLACEMENT_SELF_STEPS);
	ck_assert_int_eq(extended_at.kind, PLACEMENT_SELF_STEPS);
	ck_assert_uint_eq(plain_at.address, PLAIN);
	ck_assert_uint_eq(extended_at.address, EXTENDED);
	ck_assert_str_eq(plain_at.why, why);
	ck_assert_str_eq(extended_at.why, why);
}

START_TEST(test_good_wrapper)
{
	expect_callee(GOOD_PLAIN, GOOD_EXTENDED);
}
END_TEST

START_TEST(test_endbr64_first)
{
	expect_callee("f30f1efa 4883ec18 4889e1 4863d2 CALL 4883c418 c3",
		      "f30f1efa 4883ec08 CALL 4883c408 c3");
}
END_TEST

/* By way of other registers, with a frame pointer, zero-extended. */
START_TEST(test_copies)
{
	expect_callee("f30f1efa 55 4889e5 4883ec10 488d4df0 4889f8 4889f3"
		      "89d2 4889c7 4889de CALL c9 c3",
		      GOOD_EXTENDED);
	expect_callee(GOOD_PLAIN,
		      "f30f1efa 53 4989f0 31f6 4c89c6 4889cb 4889d9"
		      "CALL 5b c3");
}
END_TEST

static const struct {
	const char *plain, *extended, *why;
} declined[] = {
	/* rdi, rsi, rdx, rcx changed before the call */
	{ "4883ec18 4889e1 4863d2 31ff CALL c3", GOOD_EXTENDED,
	  "the call has another object or buffer" },
	{ "4883ec18 4889e1 4863d2 488b3f CALL c3", GOOD_EXTENDED,
	  "the call has another object or buffer" },
	{ "4883ec18 4889e1 4863d2 488d7601 CALL c3", GOOD_EXTENDED,
	  "the call has another object or buffer" },
	{ "4883ec18 4889e1 4863d2 4883c601 CALL c3", GOOD_EXTENDED,
	  "the call has another object or buffer" },
	{ "4883ec18 4889e1 4863d2 4889fe CALL c3", GOOD_EXTENDED,
	  "the call has another object or buffer" },
	{ "4883ec18 4889e1 4863d2 89f6 CALL c3", GOOD_EXTENDED,
	  "the call has another object or buffer" },
	{ "4883ec18 4889e1 ba05000000 CALL c3", GOOD_EXTENDED,
	  "the call has another length" },
	{ "4883ec18 4889e1 CALL c3", GOOD_EXTENDED,
	  "the call has another length" },
	{ GOOD_PLAIN, "4883ec08 89d2 CALL c3", "the call has another length" },
	{ GOOD_PLAIN, "4883ec08 31c9 CALL c3",
	  "the call has another fourth argument" },
	{ GOOD_PLAIN, "4883ec08 4989c8 31c9 CALL c3",
	  "the call has another fourth argument" },
	{ "4883ec18 4889f9 4863d2 CALL c3", GOOD_EXTENDED,
	  "the call has no local as fourth argument" },
	{ "4883ec18 488d4c2420 4863d2 CALL c3", GOOD_EXTENDED,
	  "the call has no local as fourth argument" },
	{ "4883ec18 488d4c24f0 4863d2 CALL c3", GOOD_EXTENDED,
	  "the call has no local as fourth argument" },
	{ "4883ec18 8d0c24 4863d2 CALL c3", GOOD_EXTENDED,
	  "the call has no local as fourth argument" },
	/* another call first: its callee is not the pair's */
	{ "4883ec18 4889e1 4863d2 ELSE CALL c3", GOOD_EXTENDED,
	  "it calls more than the callee" },
	{ "4883ec18 4889e1 4863d2 ELSE c3", GOOD_EXTENDED,
	  "the pair does not call the same function" },
	/* more than the callee behind it: the data may move there */
	{ "4883ec18 4889e1 4863d2 CALL ELSE 4883c418 c3", GOOD_EXTENDED,
	  "it calls more than the callee" },
	{ "4883ec18 4889e1 4863d2 CALL 85c0 7501 c3 ELSE c3", GOOD_EXTENDED,
	  "it calls more than the callee" },
	{ GOOD_PLAIN, "4883ec08 CALL CALL 4883c408 c3",
	  "it calls more than the callee" },
	/* branches */
	{ "4883ec18 85d2 7504 4889e1 90 4863d2 CALL c3", GOOD_EXTENDED,
	  "it branches on more than a negative length" },
	{ "4883ec18 85f6 780b 4889e1 4863d2 CALL c3 c3", GOOD_EXTENDED,
	  "it branches on more than a negative length" },
	{ "4883ec18 85d2 83f805 780b 4889e1 4863d2 CALL c3 c3", GOOD_EXTENDED,
	  "it branches on more than a negative length" },
	{ "4883ec18 85d2 7803 4889e1 4863d2 CALL c3", GOOD_EXTENDED,
	  "its error path is before the call" },
	{ "4883ec18 85d2 787f 4889e1 4863d2 CALL c3", GOOD_EXTENDED,
	  "its error path is before the call" },
	{ "4883ec18 85d2 780c 4889e1 4863d2 CALL c3 ebf2", GOOD_EXTENDED,
	  "it jumps back to before the call" },
	{ "4883ec18 4889e1 4863d2 CALL 85c0 75f4 c3", GOOD_EXTENDED,
	  "it jumps back to before the call" },
	{ "4883ec18 4889e1 4863d2 CALL 85c0 757f c3", GOOD_EXTENDED,
	  "it jumps out of the function" },
	{ "4883ec18 4889e1 4863d2 CALL ffe0", GOOD_EXTENDED,
	  "it has an indirect jump" },
	{ GOOD_PLAIN, "4883ec08 85d2 7806 CALL c3 c3",
	  "it branches before the call" },
	/* tail calls, indirect calls, no call */
	{ "f30f1efa 4889e1 4863d2 e900200000", GOOD_EXTENDED,
	  "it jumps before any call" },
	{ GOOD_PLAIN, "f30f1efa e900200000", "it jumps before any call" },
	{ GOOD_PLAIN, "4883ec08 ffd0 c3",
	  "its first call is not a direct one" },
	{ GOOD_PLAIN, "4883ec08 66 CALL c3",
	  "its first call is not a direct one" },
	{ GOOD_PLAIN, "4883ec08 c3", "it returns before any call" },
	/* memory that is not its own */
	{ "4883ec18 4889e1 4863d2 c60700 CALL c3", GOOD_EXTENDED,
	  "it writes memory before the call" },
	{ "4883ec18 4889e1 4863d2 48895c2418 CALL c3", GOOD_EXTENDED,
	  "it writes memory before the call" },
	{ "4883ec18 4889e1 4863d2 48895c24f8 CALL c3", GOOD_EXTENDED,
	  "it writes memory before the call" },
	{ "4883ec18 4889e1 4863d2 8307 01 CALL c3", GOOD_EXTENDED,
	  "it writes memory before the call" },
	{ "4883ec18 4889e1 4863d2 6448891c2528000000 CALL c3", GOOD_EXTENDED,
	  "it writes memory before the call" },
	{ "4883ec18 4889e1 4863d2 6448895c2408 CALL c3", GOOD_EXTENDED,
	  "it writes memory before the call" },
	/* the stack pointer, and what is not understood */
	{ "4883ec18 4889e1 4863d2 4883e4f0 CALL c3", GOOD_EXTENDED,
	  "its stack pointer is not followed" },
	{ "4883ec18 4889e1 4863d2 4883c420 CALL c3", GOOD_EXTENDED,
	  "its stack frame is not a small one" },
	{ "4883ec18 4889e1 4863d2 4887fe CALL c3", GOOD_EXTENDED,
	  "it has an instruction that is not understood" },
	{ "4883ec18 4889e1 4863d2 0f05 CALL c3", GOOD_EXTENDED,
	  "it has an instruction that is not understood" },
	{ "4883ec18 4889e1 4863d2 CALL 0f05 c3", GOOD_EXTENDED,
	  "its code cannot be decoded" },
	/* cut short */
	{ "4883ec18 4889e1 4863d2 e8ffff", GOOD_EXTENDED,
	  "its code cannot be decoded" },
	{ "4883ec18 4889e1 4863d2 CALL 4883c4", GOOD_EXTENDED,
	  "its code cannot be decoded" },
	{ GOOD_PLAIN, "4883", "its code cannot be decoded" },
};

START_TEST(test_declined)
{
	expect_declined(declined[_i].plain, declined[_i].extended,
			declined[_i].why);
}
END_TEST

START_TEST(test_callee_steps)
{
	struct placement plain_at, extended_at;

	place(GOOD_PLAIN, GOOD_EXTENDED, sub_rsp, &plain_at, &extended_at);
	ck_assert_int_eq(plain_at.kind, PLACEMENT_SELF_STEPS);
	ck_assert_int_eq(extended_at.kind, PLACEMENT_SELF_STEPS);
	ck_assert_str_eq(plain_at.why, "the callee begins with a "
				       "single-stepped instruction");
}
END_TEST

/* At the callee, a call of the one would be counted as one of both. */
START_TEST(test_one_emulates)
{
	struct placement plain_at, extended_at;

	place("53 CALL 5b c3", GOOD_EXTENDED, push_r13, &plain_at,
	      &extended_at);
	ck_assert_int_eq(plain_at.kind, PLACEMENT_SELF);
	ck_assert_str_eq(plain_at.why, "");
	ck_assert_int_eq(extended_at.kind, PLACEMENT_SELF_STEPS);
	ck_assert_str_eq(extended_at.why,
			 "only one of the pair is single-stepped");
}
END_TEST

START_TEST(test_no_extended)
{
	struct placement plain_at, extended_at;
	struct built plain = build(PLAIN, GOOD_PLAIN);
	struct code none = { 0 };

	placement_choose_pair(&plain.code, &none, read_code, (void *)push_r13,
			      &plain_at, &extended_at);
	free(plain.bytes);
	ck_assert_int_eq(plain_at.kind, PLACEMENT_SELF_STEPS);
	ck_assert_uint_eq(plain_at.address, PLAIN);
	ck_assert_str_ne(plain_at.why, "");
}
END_TEST

/* arch/x86/kernel/uprobes.c, read from 4.18 to 6.18. */
static const struct {
	const char *code;
	bool emulates;
} first[] = {
	{ "50", true },		  { "57", true },
	{ "54", true },		  { "4150", true },
	{ "4157", true },	  { "90", true },
	{ "e800000000", true },	  { "e900000000", true },
	{ "eb00", true },	  { "7400", true },
	{ "0f8400000000", true }, { "0f8f00000000", true },
	{ "f30f1efa", false },	  { "4883ec18", false },
	{ "6655", false },	  { "4855", false },
	{ "664155", false },	  { "6690", false },
	{ "4190", false },	  { "0f1f00", false },
	{ "0f1f440000", false },  { "66e800000000", false },
	{ "66e900000000", false },{ "2e7400", false },
	{ "f2e900000000", false },{ "e300", false },
	{ "e200", false },	  { "ff7708", false },
	{ "6a00", false },	  { "6800000000", false },
	{ "ffd0", false },	  { "ffe0", false },
	{ "0fa0", false },	  { "c3", false },
	{ "4889e5", false },	  { "e8000000", false },
	{ "41", false },	  { "0f84", false },
};

START_TEST(test_emulates)
{
	struct built built = build(PLAIN, first[_i].code);
	char text[48];

	ck_assert_msg(placement_emulates(&built.code, text) ==
			      first[_i].emulates,
		      "%s (%s)", first[_i].code, text);
	free(built.bytes);
}
END_TEST

START_TEST(test_text_fits)
{
	/* The longest: movabs, and a store with base, index and immediate. */
	struct built built = build(PLAIN, "48c784c8785634127856 3412");
	char text[48];

	ck_assert(!placement_emulates(&built.code, text));
	ck_assert_uint_lt(strlen(text), sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "mov"));
	free(built.bytes);
}
END_TEST

/* Whatever the bytes are: no crash, nothing read outside, a result filled. */
START_TEST(test_random_bytes)
{
	uint32_t state = 20180812;

	for (unsigned round = 0; round < 3000; round++) {
		char plain[600] = "4883ec18 4889e1 4863d2 CALL ", text[3];
		char extended[600] = "4883ec08 CALL ";
		struct placement plain_at, extended_at;
		unsigned keep = round % 3;

		if (keep < 2)
			*extended = '\0';
		if (keep < 1)
			*plain = '\0';
		for (unsigned i = 0; i < 1 + round % 64; i++) {
			state = state * 1664525 + 1013904223;
			snprintf(text, sizeof(text), "%02x", state >> 24);
			strcat(plain, text);
			state = state * 1664525 + 1013904223;
			snprintf(text, sizeof(text), "%02x", state >> 24);
			strcat(extended, text);
		}
		place(plain, extended, push_r13, &plain_at, &extended_at);
		ck_assert_ptr_nonnull(plain_at.why);
		ck_assert_ptr_nonnull(extended_at.why);
		ck_assert((plain_at.kind == PLACEMENT_CALLEE) ==
			  (extended_at.kind == PLACEMENT_CALLEE));
	}
}
END_TEST

/* A good pair cut at each byte: at the callee only when it is whole. */
START_TEST(test_truncated)
{
	struct built whole = build(PLAIN, GOOD_PLAIN);
	struct built other = build(EXTENDED, GOOD_EXTENDED);

	for (size_t length = 1; length <= whole.code.length; length++) {
		struct placement plain_at, extended_at;
		struct code cut = { malloc(length), length, PLAIN };

		memcpy((void *)cut.bytes, whole.bytes, length);
		placement_choose_pair(&cut, &other.code, read_code,
				      (void *)push_r13, &plain_at,
				      &extended_at);
		/* The last call: only the stack protector goes there. */
		ck_assert_int_eq(plain_at.kind,
				 length < whole.code.length - 5 ?
					 PLACEMENT_SELF_STEPS :
					 PLACEMENT_CALLEE);
		free((void *)cut.bytes);
	}
	free(whole.bytes);
	free(other.bytes);
}
END_TEST

START_TEST(test_real_library)
{
	static const char path[] = "/usr/lib/x86_64-linux-gnu/libssl.so.3";
	static struct library library, plain;
	const struct library_probe *probes = library.probes;

	if (library_read(path, true, &library)) {
		printf("# skipped: no %s\n", path);
		return;
	}
	for (unsigned i = FUNCTION_READ; i <= FUNCTION_WRITE_EX; i++) {
		ck_assert(probes[i].found);
		ck_assert_msg(probes[i].place.kind == PLACEMENT_CALLEE,
			      "%s: %s", library_function_name(i),
			      probes[i].place.why);
	}
	ck_assert_uint_eq(probes[FUNCTION_READ].file_offset,
			  probes[FUNCTION_READ_EX].file_offset);
	ck_assert_uint_eq(probes[FUNCTION_WRITE].file_offset,
			  probes[FUNCTION_WRITE_EX].file_offset);
	ck_assert_uint_ne(probes[FUNCTION_READ].file_offset,
			  probes[FUNCTION_WRITE].file_offset);
	ck_assert_int_eq(library_read(path, false, &plain), 0);
	for (unsigned i = 0; i < FUNCTIONS; i++)
		ck_assert_int_ne(plain.probes[i].place.kind, PLACEMENT_CALLEE);
}
END_TEST

static Suite *placement_suite(void)
{
	Suite *suite = suite_create("placement");
	TCase *tcase = tcase_create("all");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_good_wrapper);
	tcase_add_test(tcase, test_endbr64_first);
	tcase_add_test(tcase, test_copies);
	tcase_add_loop_test(tcase, test_declined, 0,
			    sizeof(declined) / sizeof(*declined));
	tcase_add_test(tcase, test_callee_steps);
	tcase_add_test(tcase, test_one_emulates);
	tcase_add_test(tcase, test_no_extended);
	tcase_add_loop_test(tcase, test_emulates, 0,
			    sizeof(first) / sizeof(*first));
	tcase_add_test(tcase, test_text_fits);
	tcase_add_test(tcase, test_random_bytes);
	tcase_add_test(tcase, test_truncated);
	tcase_add_test(tcase, test_real_library);
	suite_add_tcase(suite, tcase);
	return suite;
}

#else

START_TEST(test_declines_elsewhere)
{
	static const uint8_t bytes[16];
	struct code code = { bytes, sizeof(bytes), 0x1000 };
	struct placement at;

	placement_choose(&code, &at);
	ck_assert_int_eq(at.kind, PLACEMENT_SELF);
	ck_assert_uint_eq(at.address, 0x1000);
	ck_assert_str_eq(at.why, "not x86-64");
}
END_TEST

static Suite *placement_suite(void)
{
	Suite *suite = suite_create("placement");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, test_declines_elsewhere);
	suite_add_tcase(suite, tcase);
	return suite;
}

#endif

int main(void)
{
	return suite_run(placement_suite());
}
