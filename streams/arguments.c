/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arguments.c - a command line that may be shown.
 *
 * Any process's arguments can be seen by ps(1) while it lives; in a record
 * they would outlive it.  So names decide, and rather too much is masked.
 */
#define _GNU_SOURCE /* memrchr */
#include "streams/arguments.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define ARGUMENT_BYTES_MAX 4096 /* of one; the kernel tells far less */

struct shown {
	char *to;
	size_t size, length;
};

static void put(struct shown *shown, const char *text, size_t length)
{
	size_t room = shown->size - 1 - shown->length;

	if (length > room)
		length = room;
	memcpy(shown->to + shown->length, text, length);
	shown->length += length;
}

/* Does a name, up to `end`, speak of a secret? */
static bool names_secret(const char *name, const char *end)
{
	static const char *const words[] = {
		"pass",	 "pwd",	   "secret",	    "token",
		"apikey", "api-key", "api_key",	    "access-key",
		"access_key", "private-key", "credential", "cookie",
		"authorization",
	}; /* begun by one of "acpst" */

	/* Asked of each argument of each connection's process. */
	for (const char *at = name; at < end; at++) {
		if (!memchr("acpst", *at | 0x20, 5))
			continue;
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
			if ((size_t)(end - at) >= strlen(words[i]) &&
			    !strncasecmp(at, words[i], strlen(words[i])))
				return true;
	}
	return false;
}

/* Shows an argument with what stands between the two places as `?`. */
static void put_masked(struct shown *shown, const char *argument,
		       const char *from, const char *to)
{
	put(shown, argument, (size_t)(from - argument));
	put(shown, "?", 1);
	put(shown, to, strlen(to));
}

/* Of "scheme://user:password@host" the password, if there is one. */
static bool put_url(struct shown *shown, const char *argument)
{
	const char *user = strstr(argument, "://");
	const char *end = user ? user + 3 + strcspn(user + 3, "/ ") : NULL;
	const char *at = end ? memrchr(user, '@', (size_t)(end - user)) : NULL;
	const char *colon = at ? memchr(user + 3, ':', (size_t)(at - user - 3)) :
				 NULL;

	if (!colon)
		return false;
	put_masked(shown, argument, colon + 1, at);
	return true;
}

/* "-psecret" of MySQL's programs; -p22 is a port. */
static bool is_attached_password(const char *argument)
{
	return !strncmp(argument, "-p", 2) && argument[2] &&
	       argument[2] != '=' &&
	       argument[2 + strspn(argument + 2, "0123456789")];
}

/* An argument of its own; true: the next one is a secret by itself. */
static bool put_argument(struct shown *shown, const char *argument)
{
	const char *end = argument + strlen(argument);
	const char *value = argument + strcspn(argument, "=:");

	if (is_attached_password(argument)) {
		put_masked(shown, argument, argument + 2, end);
		return false;
	}
	if (names_secret(argument, value)) {
		if (*value)
			put_masked(shown, argument, value + 1, end);
		else
			put(shown, argument, strlen(argument));
		return !*value && argument[0] == '-';
	}
	if (!put_url(shown, argument))
		put(shown, argument, strlen(argument));
	return false;
}

/* What follows -u: "user:password", or a user alone. */
static void put_login(struct shown *shown, const char *argument)
{
	const char *colon = strchr(argument, ':');

	if (colon)
		put_masked(shown, argument, colon + 1,
			   argument + strlen(argument));
	else
		put(shown, argument, strlen(argument));
}

void arguments_show(char *to, size_t size, const char *arguments,
		    size_t length)
{
	struct shown shown = { .to = to, .size = size };
	const char *at = arguments, *end = arguments + length;
	bool redis = false, secret = false, login = false;
	char argument[ARGUMENT_BYTES_MAX];

	for (bool first = true; at < end; first = false) {
		size_t bytes = strnlen(at, (size_t)(end - at));
		size_t kept = bytes < sizeof(argument) ? bytes :
							 sizeof(argument) - 1;

		memcpy(argument, at, kept);
		argument[kept] = '\0';
		at += bytes + 1;
		if (!first)
			put(&shown, " ", 1);
		else
			redis = strstr(argument, "redis-cli");
		if (secret) {
			put(&shown, "?", 1);
			secret = false;
		} else if (login) {
			put_login(&shown, argument);
			login = false;
		} else {
			secret = put_argument(&shown, argument) ||
				 (redis && !strcmp(argument, "-a"));
			login = !strcmp(argument, "-u") ||
				!strcmp(argument, "--user");
		}
	}
	while (shown.length && to[shown.length - 1] == ' ')
		shown.length--;
	to[shown.length] = '\0';
}
