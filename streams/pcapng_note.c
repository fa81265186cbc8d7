/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcapng_note.c - whose a connection is, as a packet's comment: see pcapng.h.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "streams/pcapng.h"

static const char prefix[] = PCAPNG_APPLICATION ":";

struct writer {
	char *at;
	size_t left; /* with the terminator */
	bool full;
};

static void put(struct writer *writer, char c)
{
	if (writer->left < 2) {
		writer->full = true;
		return;
	}
	*writer->at++ = c;
	writer->left--;
}

static void put_plain(struct writer *writer, const char *text)
{
	while (*text)
		put(writer, *text++);
}

static void put_text(struct writer *writer, const char *key, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";

	if (!*text)
		return;
	put(writer, ' ');
	put_plain(writer, key);
	put(writer, '=');
	for (; *text; text++) {
		uint8_t byte = (uint8_t)*text;

		if (byte > ' ' && byte < 0x7f && byte != '%') {
			put(writer, *text);
			continue;
		}
		put(writer, '%');
		put(writer, digits[byte >> 4]);
		put(writer, digits[byte & 15]);
	}
}

static void put_number(struct writer *writer, const char *key, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	put_text(writer, key, text);
}

/* A number whose absence means zero. */
static void put_known(struct writer *writer, const char *key, uint64_t number)
{
	if (number)
		put_number(writer, key, number);
}

size_t pcapng_note_encode(const struct pcapng_note *note, char *text,
			  size_t size)
{
	static const char *const ends[] = { "", "source", "target" };
	const struct process *process = &note->process;
	struct writer writer = { text, size, !size };
	const char *tls = connection_tls_name(note->tls);

	put_plain(&writer, prefix);
	if (process->pid) {
		put_number(&writer, "pid", process->pid);
		put_number(&writer, "uid", process->uid);
	}
	put_known(&writer, "tid", note->tid);
	put_text(&writer, "comm", process->comm);
	put_text(&writer, "exe", process->executable);
	put_text(&writer, "args", process->command_line);
	put_text(&writer, "user", process->user);
	put_text(&writer, "container", process->container);
	put_text(&writer, "runtime", process->runtime);
	put_text(&writer, "pod", process->pod);
	put_text(&writer, "cgroup", process->cgroup);
	put_text(&writer, "tls", tls ? tls : "");
	put_text(&writer, "local", note->local.address);
	put_known(&writer, "local_socket", note->local.socket);
	put_text(&writer, "remote", note->remote.address);
	put_known(&writer, "remote_socket", note->remote.socket);
	put_known(&writer, "peer", note->peer_pid);
	put_known(&writer, "inferred", note->address_inferred);
	put_text(&writer, "end", ends[note->end]);
	put_known(&writer, "took", note->took_ns);
	if (writer.full)
		return 0;
	*writer.at = '\0';
	return (size_t)(writer.at - text);
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* A value into a field, terminated and cut to it; false: damaged. */
static bool get_text(const char *at, size_t length, char *text, size_t size)
{
	size_t used = 0, i;

	for (i = 0; i < length; i++) {
		char c = at[i];

		if (c == '%') {
			int high, low;

			if (length - i < 3)
				return false;
			high = digit_of(at[i + 1]);
			low = digit_of(at[i + 2]);
			if (high < 0 || low < 0 || !(high | low))
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (used + 1 < size)
			text[used++] = c;
	}
	text[used] = '\0';
	return true;
}

/* A number too large is damage to a 32-bit field, and the largest here. */
static bool get_long(const char *text, uint64_t *number)
{
	if (!*text || text[strspn(text, "0123456789")])
		return false;
	*number = strtoull(text, NULL, 10);
	return true;
}

static bool get_number(const char *text, uint32_t *number)
{
	uint64_t value;

	if (!get_long(text, &value))
		return false;
	*number = (uint32_t)value;
	return value <= UINT32_MAX;
}

static bool get_tls(const char *text, uint8_t *tls)
{
	const char *name;
	uint8_t i;

	for (i = BATCH_TLS_NONE + 1; (name = connection_tls_name(i)); i++)
		if (!strcmp(name, text))
			*tls = i;
	return true;
}

static bool get_end(const char *text, enum note_end *end)
{
	if (!strcmp(text, "source"))
		*end = NOTE_END_SOURCE;
	else if (!strcmp(text, "target"))
		*end = NOTE_END_TARGET;
	return true;
}

static bool key_is(const char *key, size_t length, const char *name)
{
	return length == strlen(name) && !memcmp(key, name, length);
}

/* Fields of text, and where they go. */
struct text_field {
	const char *key;
	char *text;
	size_t size;
};

/* Those of numbers; `small` or `large`. */
struct number_field {
	const char *key;
	uint32_t *small;
	uint64_t *large;
};

#define TEXT(key, field) { key, field, sizeof(field) }

/* One "key=value"; false: damaged. */
static bool get_field(const char *field, size_t length,
		      struct pcapng_note *note)
{
	const char *equals = memchr(field, '=', length), *value;
	struct process *process = &note->process;
	uint32_t inferred = 0;
	char text[64]; /* of the short ones; longer is no such value */
	const struct text_field texts[] = {
		TEXT("comm", process->comm),
		TEXT("exe", process->executable),
		TEXT("args", process->command_line),
		TEXT("user", process->user),
		TEXT("container", process->container),
		TEXT("runtime", process->runtime),
		TEXT("pod", process->pod),
		TEXT("cgroup", process->cgroup),
		TEXT("local", note->local.address),
		TEXT("remote", note->remote.address),
	};
	const struct number_field numbers[] = {
		{ "pid", &process->pid, NULL },
		{ "uid", &process->uid, NULL },
		{ "tid", &note->tid, NULL },
		{ "peer", &note->peer_pid, NULL },
		{ "inferred", &inferred, NULL },
		{ "local_socket", NULL, &note->local.socket },
		{ "remote_socket", NULL, &note->remote.socket },
		{ "took", NULL, &note->took_ns },
	};
	size_t key, size, i;
	bool good = true;

	if (!equals)
		return false;
	key = (size_t)(equals - field);
	value = equals + 1;
	size = length - key - 1;
	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (key_is(field, key, texts[i].key))
			return get_text(value, size, texts[i].text,
					texts[i].size);
	if (!get_text(value, size, text, sizeof(text)))
		return false;
	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (key_is(field, key, numbers[i].key))
			good = numbers[i].small ?
				       get_number(text, numbers[i].small) :
				       get_long(text, numbers[i].large);
	note->address_inferred = note->address_inferred || inferred;
	if (key_is(field, key, "tls"))
		return get_tls(text, &note->tls);
	if (key_is(field, key, "end"))
		return get_end(text, &note->end);
	return good;
}

bool pcapng_note_decode(const char *text, size_t length,
			struct pcapng_note *note)
{
	const char *at = text + sizeof(prefix) - 1, *end = text + length;

	*note = (struct pcapng_note){ .tid = 0 };
	if (length < sizeof(prefix) - 1 ||
	    memcmp(text, prefix, sizeof(prefix) - 1))
		return false;
	while (at < end) {
		const char *space = memchr(at, ' ', (size_t)(end - at));
		size_t field = (size_t)((space ? space : end) - at);

		if (field && !get_field(at, field, note))
			return false;
		at += field + (space ? 1 : 0);
	}
	return true;
}
