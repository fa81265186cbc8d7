/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arguments.h - a command line that may be shown.
 */
#ifndef DATASNOOP_STREAMS_ARGUMENTS_H
#define DATASNOOP_STREAMS_ARGUMENTS_H

#include <stddef.h>

/*
 * arguments_show - a process's arguments as one line, secrets as `?`
 * @arguments: `length` bytes, a NUL behind each; the last may be cut off
 * @to: `size` bytes; terminated, cut when it is too small
 *
 * Masked is what users give on command lines where nobody should: the values
 * of options, variables and headers whose names speak of a password, secret,
 * token, key, credential or cookie, what is attached to mysql's -p, the second
 * half of user:password behind -u and in a URL, and redis-cli's -a.
 */
void arguments_show(char *to, size_t size, const char *arguments,
		    size_t length);

#endif
