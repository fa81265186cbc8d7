/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conversation_input.h - a conversation as the bytes that a fuzzer changes.
 *
 * Two bytes, then pieces, each behind a control byte.  Shared by the fuzzer
 * that reads it and the program that writes its seeds.
 *
 * First byte: how the pieces are cut (bits 0-1), whether all of the client's
 * come first (bit 2), which sides begin late (bits 3-4), by how much (5-7).
 * Second byte: in bits 0-4 the parser's place in the registry, or one past its
 * end: the parsers that recognise it.
 * Control byte: the side (bit 7), whether the first half of the piece is lost
 * (bit 6), the piece's length in bytes (bits 0-5), INPUT_LONG: of which the
 * next byte tells how many times INPUT_UNIT_BYTES.
 */
#ifndef DATASNOOP_TESTS_FUZZ_CONVERSATION_INPUT_H
#define DATASNOOP_TESTS_FUZZ_CONVERSATION_INPUT_H

#define INPUT_CUT_MASK	   0x03
#define INPUT_CLIENT_FIRST 0x04
#define INPUT_LATE	   0x08 /* shifted by the side */
#define INPUT_LATE_SHIFT   5
#define INPUT_HEAD_BYTES   2
#define INPUT_PARSER_MASK  0x1f
#define INPUT_SERVER	   0x80
#define INPUT_TORN	   0x40
#define INPUT_LENGTH_MASK  0x3f
#define INPUT_LONG	   0x3f
#define INPUT_UNIT_BYTES   4
#define INPUT_BYTES_MAX	   4096 /* a longer one is too slow to be worth it */

#endif
