/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcapng.c - capture files in the pcapng format: blocks and their options.
 *
 * Section numbers are those of draft-ietf-opsawg-pcapng.  A length in the file
 * is believed only as far as bytes come for it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "streams/pcapng.h"

#define BLOCK_SECTION	0x0a0d0d0au /* 4.1 */
#define BLOCK_INTERFACE 1	    /* 4.2 */
#define BLOCK_PACKET	2	    /* appendix A: obsolete, still found */
#define BLOCK_SIMPLE	3	    /* 4.4 */
#define BLOCK_ENHANCED	6	    /* 4.3 */

#define BYTE_ORDER_MAGIC 0x1a2b3c4du

#define OPTION_END	   0 /* 3.5 */
#define OPTION_COMMENT	   1
#define OPTION_APPLICATION 4  /* shb_userappl, 4.1 */
#define OPTION_RESOLUTION  9  /* if_tsresol, 4.2 */
#define OPTION_OFFSET	   14 /* if_tsoffset, 4.2 */

#define BLOCK_BYTES_MIN	  12 /* type, length, length again */
#define BUFFER_BYTES_MIN  65536
#define NS_PER_SECOND	  1000000000

struct interface {
	uint16_t link_type;
	uint8_t resolution; /* 10^-n s, or 2^-n with the top bit set */
	uint32_t snap_length; /* 0: none */
	int64_t offset_s;
};

struct pcapng {
	FILE *file;
	uint8_t *buffer; /* a block's body and trailing length */
	size_t room;
	bool begun;   /* a section header has come */
	bool swapped; /* the section is of the other byte order */
	bool ours;    /* the section was written by this program */
	struct interface *interfaces;
	uint32_t interface_count, interface_room;
	char error[160];
};

/* A block's body, or what is left of it. */
struct body {
	const uint8_t *at;
	size_t left;
};

struct option {
	uint16_t code, length;
	const uint8_t *value;
};

struct pcapng *pcapng_new(FILE *file)
{
	struct pcapng *pcapng = calloc(1, sizeof(*pcapng));

	if (pcapng)
		pcapng->file = file;
	return pcapng;
}

void pcapng_free(struct pcapng *pcapng)
{
	if (!pcapng)
		return;
	free(pcapng->buffer);
	free(pcapng->interfaces);
	free(pcapng);
}

const char *pcapng_error(const struct pcapng *pcapng)
{
	return pcapng->error;
}

__attribute__((format(printf, 2, 3))) static int
fail(struct pcapng *pcapng, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(pcapng->error, sizeof(pcapng->error), format, arguments);
	va_end(arguments);
	return -1;
}

static uint16_t get16(const struct pcapng *pcapng, const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return pcapng->swapped ? __builtin_bswap16(value) : value;
}

static uint32_t get32(const struct pcapng *pcapng, const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return pcapng->swapped ? __builtin_bswap32(value) : value;
}

static uint64_t get64(const struct pcapng *pcapng, const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return pcapng->swapped ? __builtin_bswap64(value) : value;
}

/* Why bytes that should be there are not. */
static int fail_short(struct pcapng *pcapng)
{
	if (ferror(pcapng->file))
		return fail(pcapng, "%s", strerror(errno));
	return fail(pcapng, "truncated pcapng file");
}

/* `length` bytes into the buffer, which grows as they come. */
static int fill(struct pcapng *pcapng, size_t length)
{
	size_t have = 0, want;
	uint8_t *buffer;

	while (have < length) {
		if (have == pcapng->room) {
			want = pcapng->room ? 2 * pcapng->room :
					      BUFFER_BYTES_MIN;
			buffer = realloc(pcapng->buffer, want);
			if (!buffer)
				return fail(pcapng, "out of memory");
			pcapng->buffer = buffer;
			pcapng->room = want;
		}
		want = length < pcapng->room ? length : pcapng->room;
		if (fread(pcapng->buffer + have, 1, want - have,
			  pcapng->file) != want - have)
			return fail_short(pcapng);
		have = want;
	}
	return 0;
}

static bool body_take(struct body *body, size_t length, const uint8_t **at)
{
	if (length > body->left)
		return false;
	*at = body->at;
	body->at += length;
	body->left -= length;
	return true;
}

/* Values in blocks are padded to 32 bits; the last may lack it. */
static void body_pad(struct body *body, size_t length)
{
	size_t padding = -length & 3;

	if (padding > body->left)
		padding = body->left;
	body->at += padding;
	body->left -= padding;
}

/* The next option; false: no more of them. */
static bool body_option(const struct pcapng *pcapng, struct body *body,
			struct option *option)
{
	const uint8_t *at;

	if (!body_take(body, 4, &at))
		return false;
	option->code = get16(pcapng, at);
	option->length = get16(pcapng, at + 2);
	if (option->code == OPTION_END ||
	    !body_take(body, option->length, &option->value))
		return false;
	body_pad(body, option->length);
	return true;
}

/* The byte order that a section is in; -1: it is no section header. */
static int read_order(struct pcapng *pcapng)
{
	uint32_t magic;

	if (fread(&magic, 1, sizeof(magic), pcapng->file) != sizeof(magic))
		return fail_short(pcapng);
	pcapng->swapped = false;
	if (magic == BYTE_ORDER_MAGIC)
		return 0;
	pcapng->swapped = true;
	if (magic == __builtin_bswap32(BYTE_ORDER_MAGIC))
		return 0;
	return fail(pcapng, "not a pcapng file");
}

static int begin_section(struct pcapng *pcapng, struct body body)
{
	const char name[] = PCAPNG_APPLICATION;
	struct option option;
	const uint8_t *at;

	pcapng->begun = true;
	pcapng->ours = false;
	pcapng->interface_count = 0;
	if (!body_take(&body, 12, &at)) /* version and section length */
		return fail(pcapng, "damaged section header");
	if (get16(pcapng, at) != 1)
		return fail(pcapng, "pcapng version %u.%u is not known",
			    get16(pcapng, at), get16(pcapng, at + 2));
	while (body_option(pcapng, &body, &option))
		if (option.code == OPTION_APPLICATION &&
		    option.length >= sizeof(name) - 1 &&
		    !memcmp(option.value, name, sizeof(name) - 1))
			pcapng->ours = true;
	return 0;
}

/* Room for one more interface; -1: too many, or out of memory. */
static int reserve_interface(struct pcapng *pcapng)
{
	uint32_t room = pcapng->interface_room ? 2 * pcapng->interface_room : 8;
	struct interface *interfaces;

	if (pcapng->interface_count < pcapng->interface_room)
		return 0;
	if (pcapng->interface_count >= PCAPNG_INTERFACES_MAX)
		return fail(pcapng, "more than %u interfaces in a section",
			    PCAPNG_INTERFACES_MAX);
	interfaces = realloc(pcapng->interfaces, room * sizeof(*interfaces));
	if (!interfaces)
		return fail(pcapng, "out of memory");
	pcapng->interfaces = interfaces;
	pcapng->interface_room = room;
	return 0;
}

static int add_interface(struct pcapng *pcapng, struct body body)
{
	struct interface *interface;
	struct option option;
	const uint8_t *at;

	if (!body_take(&body, 8, &at))
		return fail(pcapng, "damaged interface description");
	if (reserve_interface(pcapng))
		return -1;
	interface = &pcapng->interfaces[pcapng->interface_count++];
	*interface = (struct interface){
		.link_type = get16(pcapng, at),
		.resolution = 6,
		.snap_length = get32(pcapng, at + 4),
	};
	while (body_option(pcapng, &body, &option)) {
		if (option.code == OPTION_RESOLUTION && option.length == 1)
			interface->resolution = option.value[0];
		else if (option.code == OPTION_OFFSET && option.length == 8)
			interface->offset_s =
				(int64_t)get64(pcapng, option.value);
	}
	return 0;
}

/* Since 1970, of a time stamp in the interface's units; 0: out of range. */
static uint64_t time_of(const struct interface *interface, uint64_t ticks)
{
	unsigned n = interface->resolution & 0x7f;
	__int128 ns = ticks;

	if (interface->resolution & 0x80) {
		ns = ns * NS_PER_SECOND >> n;
	} else {
		for (; n < 9; n++)
			ns *= 10;
		for (; n > 9 && ns; n--)
			ns /= 10;
	}
	ns += (__int128)interface->offset_s * NS_PER_SECOND;
	return ns > 0 && ns <= INT64_MAX ? (uint64_t)ns : 0;
}

/* The interface of that number, as a packet names it; NULL: none. */
static const struct interface *use_interface(struct pcapng *pcapng,
					     uint32_t number,
					     struct packet *packet)
{
	const struct interface *interface;

	if (number >= pcapng->interface_count) {
		fail(pcapng, "a packet of interface %u, which is not described",
		     number);
		return NULL;
	}
	interface = &pcapng->interfaces[number];
	packet->link_type = interface->link_type;
	packet->view = pcapng->ours ? number + 1 : 0;
	return interface;
}

/* `captured` bytes of a packet of `length`, and the options behind them. */
static int take_data(struct pcapng *pcapng, struct body *body,
		     struct packet *packet, uint32_t captured, uint32_t length)
{
	struct option option;
	const uint8_t *at;

	if (!body_take(body, captured, &at))
		return fail(pcapng, "a packet longer than its block");
	packet->data = (struct slice){ at, captured,
				       length > captured ? length : captured };
	body_pad(body, captured);
	while (body_option(pcapng, body, &option)) {
		if (option.code != OPTION_COMMENT || packet->comment)
			continue;
		packet->comment = (const char *)option.value;
		packet->comment_length = option.length;
	}
	return 1;
}

/* Of the enhanced packet block, and the packet block before it. */
static int take_packet(struct pcapng *pcapng, uint32_t type, struct body body,
		       struct packet *packet)
{
	const struct interface *interface;
	const uint8_t *at;

	if (!body_take(&body, 20, &at))
		return fail(pcapng, "damaged packet block");
	interface = use_interface(pcapng,
				  type == BLOCK_PACKET ? get16(pcapng, at) :
							 get32(pcapng, at),
				  packet);
	if (!interface)
		return -1;
	packet->time_ns = time_of(interface,
				  (uint64_t)get32(pcapng, at + 4) << 32 |
					  get32(pcapng, at + 8));
	return take_data(pcapng, &body, packet, get32(pcapng, at + 12),
			 get32(pcapng, at + 16));
}

/* A simple packet block: of the first interface, with no time. */
static int take_simple(struct pcapng *pcapng, struct body body,
		       struct packet *packet)
{
	const struct interface *interface;
	uint32_t length, captured;
	const uint8_t *at;

	if (!body_take(&body, 4, &at))
		return fail(pcapng, "damaged packet block");
	interface = use_interface(pcapng, 0, packet);
	if (!interface)
		return -1;
	length = captured = get32(pcapng, at);
	if (interface->snap_length && captured > interface->snap_length)
		captured = interface->snap_length;
	if (captured > body.left)
		return fail(pcapng, "a packet longer than its block");
	body.left = captured; /* no options */
	return take_data(pcapng, &body, packet, captured, length);
}

/* What a block means; 1: *packet is filled in, 0: read on, -1: damaged. */
static int take_block(struct pcapng *pcapng, uint32_t type, struct body body,
		      struct packet *packet)
{
	if (type == BLOCK_SECTION)
		return begin_section(pcapng, body);
	switch (type) {
	case BLOCK_INTERFACE:
		return add_interface(pcapng, body);
	case BLOCK_ENHANCED:
	case BLOCK_PACKET:
		return take_packet(pcapng, type, body, packet);
	case BLOCK_SIMPLE:
		return take_simple(pcapng, body, packet);
	default:
		return 0;
	}
}

/* The next block, whole; 1: taken, 0: the file has ended, -1: damaged. */
static int read_block(struct pcapng *pcapng, uint32_t *type,
		      struct body *body)
{
	uint32_t length, head = 8;
	uint8_t header[8];
	size_t have = fread(header, 1, sizeof(header), pcapng->file);

	if (!have && feof(pcapng->file))
		return 0;
	if (have != sizeof(header))
		return fail_short(pcapng);
	*type = get32(pcapng, header); /* a section's is the same, swapped */
	if (*type == BLOCK_SECTION) {
		if (read_order(pcapng))
			return -1;
		head += 4;
	} else if (!pcapng->begun) {
		return fail(pcapng, "not a pcapng file");
	}
	length = get32(pcapng, header + 4);
	if (length < head + 4 || length % 4 || length > PCAPNG_BLOCK_BYTES_MAX)
		return fail(pcapng, "a block of %u bytes: the file is damaged",
			    length);
	length -= head;
	if (fill(pcapng, length))
		return -1;
	*body = (struct body){ pcapng->buffer, length - 4 };
	if (get32(pcapng, pcapng->buffer + length - 4) != length + head)
		return fail(pcapng, "a block of two lengths: the file is "
			    "damaged");
	return 1;
}

int pcapng_read(struct pcapng *pcapng, struct packet *packet)
{
	struct body body = { NULL, 0 };
	uint32_t type = 0;
	int status;

	do {
		*packet = (struct packet){ .time_ns = 0 };
		status = read_block(pcapng, &type, &body);
		if (status != 1)
			return status;
		status = take_block(pcapng, type, body, packet);
	} while (!status);
	return status;
}
