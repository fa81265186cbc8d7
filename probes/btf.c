/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * btf.c - C declarations of the running kernel's types, from its BTF.
 *
 * The whole of a kernel's BTF as C is 130,000 lines, takes seconds to compile
 * and collides with libbcc's own copy of linux/bpf.h.  A few structs with
 * what they embed (pointers need forward declarations only) are 3,000.
 *
 * Sources: bpf/btf.h of libbpf; Documentation/bpf/btf.rst in the kernel.
 */
#include "probes/btf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

static void print_to_stream(void *context, const char *format, va_list args)
{
	vfprintf(context, format, args);
}

/* Tags that libbcc's copy of linux/bpf.h declares as well. */
static bool collides(const char *tag)
{
	static const char *const others[] = {
		"__sk_buff", "btf_ptr",		 "sk_action",  "sk_msg_md",
		"xdp_md",    "sk_reuseport_md",	 "xdp_action", NULL,
	};

	if (!strncmp(tag, "bpf_", 4))
		return true;
	for (size_t i = 0; others[i]; i++) {
		size_t length = strlen(others[i]);

		if (!strncmp(tag, others[i], length) &&
		    (tag[length] == ' ' || tag[length] == ';'))
			return true;
	}
	return false;
}

/* The length of "struct ", "union " or "enum " at `text`, else 0. */
static size_t tag_keyword(const char *text)
{
	static const char *const keywords[] = { "struct ", "union ", "enum " };

	for (size_t i = 0; i < 3; i++) {
		size_t length = strlen(keywords[i]);

		if (!strncmp(text, keywords[i], length))
			return length;
	}
	return 0;
}

/*
 * Copy one line, with the prefix before each tag that collides.  True when
 * the line opens the body of an enum that was renamed.
 */
static bool copy_line(const char *line, size_t length, FILE *out)
{
	const char *end = line + length;
	bool renamed_enum = false;

	for (const char *at = line; at < end;) {
		size_t keyword = tag_keyword(at);

		if (!keyword) {
			fputc(*at++, out);
			continue;
		}
		fwrite(at, 1, keyword, out);
		if (at + keyword < end && collides(at + keyword)) {
			fputs("kernel_", out);
			renamed_enum = *at == 'e' && end > at + 2 &&
				       end[-2] == '{';
		}
		at += keyword;
	}
	return renamed_enum;
}

/*
 * libbpf pads with unnamed bit-fields.  libbcc 0.26 with clang 14 lowers a run
 * of them to one wide integer whose size is rounded up: offsetof() is right,
 * but code for a member behind it uses an offset that is too large (arg_start
 * of 6.18's mm_struct: 496 for 480).  Named members are laid out the same by both.
 */
static bool copy_padding(const char *line, size_t length, unsigned *paddings,
			 FILE *out)
{
	static const char padding[] = "long: 64;\n";
	size_t tabs = strspn(line, "\t");

	if (length != tabs + sizeof(padding) - 1 ||
	    memcmp(line + tabs, padding, sizeof(padding) - 1))
		return false;
	fprintf(out, "%.*slong padding_%u;\n", (int)tabs, line,
		(*paddings)++);
	return true;
}

/* Copy the declarations, renaming what collides: tags and enumerators. */
static void copy_renamed(const char *text, FILE *out)
{
	bool renamed_enum = false;
	unsigned paddings = 0;

	while (*text) {
		const char *newline = strchr(text, '\n');
		size_t length =
			newline ? (size_t)(newline - text) + 1 : strlen(text);

		if (renamed_enum && *text == '\t') {
			fprintf(out, "\tkernel_%.*s", (int)length - 1,
				text + 1);
		} else if (!copy_padding(text, length, &paddings, out)) {
			renamed_enum = copy_line(text, length, out);
		}
		text += length;
	}
}

/*
 * The compiler's layout must be the kernel's.  Bit-fields have no offsetof,
 * and members of anonymous structs are checked by what follows them.
 */
static void write_assertions(const struct btf *btf, const struct btf_type *type,
			     FILE *out)
{
	const char *name = btf__name_by_offset(btf, type->name_off);
	const struct btf_member *member = btf_members(type);

	fprintf(out, "_Static_assert(sizeof(struct %s) == %u, \"BTF\");\n",
		name, type->size);
	for (unsigned i = 0; i < btf_vlen(type); i++, member++) {
		const char *field = btf__name_by_offset(btf, member->name_off);

		if (!*field || btf_member_bitfield_size(type, i))
			continue;
		fprintf(out,
			"_Static_assert(__builtin_offsetof(struct %s, %s) == "
			"%u, \"BTF\");\n",
			name, field, btf_member_bit_offset(type, i) / 8);
	}
}

static int write_names(const struct btf *btf, struct btf_dump *dump,
		       const char *const *names, FILE *types, FILE *assertions)
{
	for (; *names; names++) {
		int id = btf__find_by_name_kind(btf, *names, BTF_KIND_STRUCT);
		int error;

		if (id < 0)
			continue;
		error = btf_dump__dump_type(dump, id);
		if (error)
			return error;
		write_assertions(btf, btf__type_by_id(btf, id), assertions);
	}
	return ferror(types) || ferror(assertions) ? -ENOMEM : 0;
}

static int write_parsed(const struct btf *btf, const char *const *names,
			FILE *out)
{
	char *type_text = NULL, *assertion_text = NULL;
	size_t type_size, assertion_size;
	FILE *types = open_memstream(&type_text, &type_size);
	FILE *assertions = open_memstream(&assertion_text, &assertion_size);
	struct btf_dump *dump = NULL;
	int error = -ENOMEM;

	if (!types || !assertions)
		goto out;
	dump = btf_dump__new(btf, print_to_stream, types, NULL);
	error = libbpf_get_error(dump);
	if (error) {
		dump = NULL;
		goto out;
	}
	error = write_names(btf, dump, names, types, assertions);
out:
	btf_dump__free(dump);
	if (types)
		fclose(types);
	if (assertions)
		fclose(assertions);
	if (!error) {
		copy_renamed(type_text, out);
		fputs(assertion_text, out);
	}
	free(type_text);
	free(assertion_text);
	return error;
}

/* The types in a file; NULL and errno.  The caller frees them. */
static struct btf *parse(const char *path)
{
	libbpf_print_fn_t print;
	struct btf *btf;
	int error;

	if (access(path, R_OK))
		return NULL;
	/* libbpf would explain itself on standard error. */
	print = libbpf_set_print(NULL);
	btf = btf__parse(path, NULL);
	error = libbpf_get_error(btf);
	libbpf_set_print(print);
	if (!error)
		return btf;
	errno = -error;
	return NULL;
}

int btf_write_types(const char *path, const char *const *names, FILE *out)
{
	struct btf *btf = parse(path);
	int error;

	if (!btf)
		return -errno;
	error = write_parsed(btf, names, out);
	btf__free(btf);
	return error;
}

/* 1: it has that member; 0: not; -ENOENT: no such struct. */
static int find_member(const struct btf *btf, const char *name,
		       const char *member)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
	const struct btf_type *type;
	const struct btf_member *members;
	unsigned i;

	if (id < 0)
		return -ENOENT;
	type = btf__type_by_id(btf, id);
	members = btf_members(type);
	for (i = 0; i < btf_vlen(type); i++)
		if (!strcmp(btf__name_by_offset(btf, members[i].name_off),
			    member))
			return 1;
	return 0;
}

int btf_has_member(const char *path, const char *name, const char *member)
{
	struct btf *btf = parse(path);
	int found;

	if (!btf)
		return -errno;
	found = find_member(btf, name, member);
	btf__free(btf);
	return found;
}
