/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * golang.c - where to probe crypto/tls in programs written in Go.
 *
 * The table of functions is found by its section's name, or, where sections
 * have lost their names or headers, by its magic number in the loaded
 * segments.  libelf reads the headers; what they point to is read from the
 * file, within bounds.
 */
#include "probes/golang.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probes/golang_code.h"
#include "probes/golang_table.h"

#define PART_BYTES_MAX	    (256U << 20) /* of a file that are read at once */
#define FUNCTION_BYTES_MAX  65536
#define BUILD_INFO_BYTES    65536 /* where it is, from its segment's start */
#define SEGMENTS_MAX	    64
#define RELOCATIONS_MAX	    (1U << 22)
#define RELOCATIONS_AT_ONCE 512
#define VERSION_BYTES_MAX   31

static const char *const names[GOLANG_FUNCTIONS] = {
	[GOLANG_READ] = "crypto/tls.(*Conn).Read",
	[GOLANG_WRITE] = "crypto/tls.(*Conn).Write",
	[GOLANG_CLOSE] = "crypto/tls.(*Conn).Close",
};

const char *golang_function_name(enum golang_function function)
{
	return function < GOLANG_FUNCTIONS ? names[function] : "?";
}

struct segment {
	uint64_t address, offset, length;
	uint32_t flags; /* PF_X, PF_W */
};

/* A range of the file, as it is in the program's memory. */
struct part {
	uint64_t address, offset, length;
};

struct file {
	int fd;
	Elf *elf;
	struct segment segments[SEGMENTS_MAX];
	unsigned segment_count;
	bool sections;		  /* it has section headers */
	struct part table, build; /* sections; length 0: not by that name */
	struct part text;
	bool marked; /* a section that only Go's linker makes */
	uint8_t *bytes; /* of the part where the table is */
};

/* All of them, or -errno. */
static int read_at(const struct file *file, uint64_t offset, void *bytes,
		   size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t count = pread(file->fd, (char *)bytes + done,
				      size - done, offset + done);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count ? -errno : -ENOEXEC;
		done += count;
	}
	return 0;
}

/* The segment that has `length` bytes from that address in the file. */
static const struct segment *segment_of(const struct file *file,
					uint64_t address, uint64_t length,
					uint32_t flags)
{
	for (unsigned i = 0; i < file->segment_count; i++) {
		const struct segment *s = &file->segments[i];

		if ((s->flags & flags) == flags && address >= s->address &&
		    address - s->address < s->length &&
		    s->length - (address - s->address) >= length)
			return s;
	}
	return NULL;
}

static uint64_t offset_of(const struct segment *segment, uint64_t address)
{
	return address - segment->address + segment->offset;
}

/* Bytes at an address of the program.  0 or -errno. */
static int read_memory(const struct file *file, uint64_t address, void *bytes,
		       size_t size)
{
	const struct segment *s = segment_of(file, address, size, 0);

	return s ? read_at(file, offset_of(s, address), bytes, size) : -EFAULT;
}

static int read_segments(struct file *file)
{
	size_t count;

	if (elf_getphdrnum(file->elf, &count))
		return -ENOEXEC;
	for (size_t i = 0; i < count && file->segment_count < SEGMENTS_MAX;
	     i++) {
		struct segment *s = &file->segments[file->segment_count];
		GElf_Phdr header;

		if (!gelf_getphdr(file->elf, i, &header))
			return -ENOEXEC;
		if (header.p_type != PT_LOAD ||
		    header.p_vaddr + header.p_filesz < header.p_vaddr ||
		    header.p_offset + header.p_filesz < header.p_offset)
			continue;
		s->address = header.p_vaddr;
		s->offset = header.p_offset;
		s->length = header.p_filesz;
		s->flags = header.p_flags;
		file->segment_count++;
	}
	return 0;
}

static void take_section(struct file *file, const char *name,
			 const GElf_Shdr *header)
{
	const struct part part = {header->sh_addr, header->sh_offset,
				  header->sh_size};

	if (!strcmp(name, ".gopclntab") ||
	    !strcmp(name, ".data.rel.ro.gopclntab"))
		file->table = part;
	else if (!strcmp(name, ".go.buildinfo"))
		file->build = part;
	else if (!strcmp(name, ".text"))
		file->text = part;
	if (file->table.length || file->build.length ||
	    !strcmp(name, ".note.go.buildid"))
		file->marked = true;
}

static void read_sections(struct file *file)
{
	Elf_Scn *section = NULL;
	size_t strings;

	if (elf_getshdrstrndx(file->elf, &strings))
		return;
	while ((section = elf_nextscn(file->elf, section))) {
		GElf_Shdr header;
		const char *name;

		if (!gelf_getshdr(section, &header) ||
		    header.sh_type == SHT_NOBITS)
			continue;
		file->sections = true;
		name = elf_strptr(file->elf, strings, header.sh_name);
		if (name)
			take_section(file, name, &header);
	}
}

static int open_file(struct file *file, const char *path)
{
	GElf_Ehdr header;
	struct stat status;

	/* O_NONBLOCK: a fifo in a container must not stop the tracer. */
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (file->fd < 0 || fstat(file->fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode) || elf_version(EV_CURRENT) == EV_NONE)
		return -ENOEXEC;
	file->elf = elf_begin(file->fd, ELF_C_READ, NULL);
	if (!file->elf || elf_kind(file->elf) != ELF_K_ELF ||
	    !gelf_getehdr(file->elf, &header) ||
	    gelf_getclass(file->elf) != ELFCLASS64 ||
	    header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    header.e_machine != EM_X86_64 ||
	    (header.e_type != ET_DYN && header.e_type != ET_EXEC))
		return -ENOEXEC;
	read_sections(file);
	return read_segments(file);
}

static void close_file(struct file *file)
{
	free(file->bytes);
	if (file->elf)
		elf_end(file->elf);
	if (file->fd >= 0)
		close(file->fd);
}

/* A part of the file into file->bytes.  0 or -errno. */
static int load(struct file *file, const struct part *part)
{
	struct stat status;

	free(file->bytes);
	file->bytes = NULL;
	if (fstat(file->fd, &status))
		return -errno;
	/* Before memory is taken for what the file does not have. */
	if (!part->length || part->length > PART_BYTES_MAX ||
	    part->offset > (uint64_t)status.st_size ||
	    part->length > (uint64_t)status.st_size - part->offset)
		return -ENOEXEC;
	file->bytes = malloc(part->length);
	if (!file->bytes)
		return -ENOMEM;
	return read_at(file, part->offset, file->bytes, part->length);
}

/* Where the table of relocations is; entries, 0: there is none. */
static uint64_t find_relocations(const struct file *file, uint64_t *address)
{
	uint64_t size = 0;
	size_t count;
	GElf_Phdr header;
	Elf64_Dyn entry;

	*address = 0;
	if (elf_getphdrnum(file->elf, &count))
		return 0;
	for (size_t i = 0; i < count && i < SEGMENTS_MAX; i++) {
		if (!gelf_getphdr(file->elf, i, &header) ||
		    header.p_type != PT_DYNAMIC)
			continue;
		for (size_t at = 0; at < header.p_filesz && at < 4096;
		     at += sizeof(entry)) {
			if (read_memory(file, header.p_vaddr + at, &entry,
					sizeof(entry)))
				break;
			if (entry.d_tag == DT_RELA)
				*address = entry.d_un.d_ptr;
			else if (entry.d_tag == DT_RELASZ)
				size = entry.d_un.d_val;
		}
	}
	size /= sizeof(Elf64_Rela);
	return size < RELOCATIONS_MAX ? size : RELOCATIONS_MAX;
}

/* What the loader will write at `place`, less the load address; 0: nothing. */
static uint64_t relocated(const struct file *file, uint64_t place)
{
	Elf64_Rela relocations[RELOCATIONS_AT_ONCE];
	uint64_t address, count = find_relocations(file, &address), part;

	for (; count; count -= part) {
		part = count < RELOCATIONS_AT_ONCE ? count :
						     RELOCATIONS_AT_ONCE;
		if (read_memory(file, address, relocations,
				part * sizeof(relocations[0])))
			return 0;
		for (uint64_t i = 0; i < part; i++) {
			if (relocations[i].r_offset == place &&
			    ELF64_R_TYPE(relocations[i].r_info) ==
				    R_X86_64_RELATIVE)
				return relocations[i].r_addend;
		}
		address += part * sizeof(relocations[0]);
	}
	return 0;
}

/*
 * The table's own word for where the text begins is written by the loader in
 * a position-independent program.
 */
static void settle_text(const struct file *file, struct golang_table *table,
			uint64_t table_address)
{
	if (table->layout != GOLANG_1_18 ||
	    segment_of(file, table->text, 1, PF_X))
		return;
	table->text = relocated(file, table_address + GOLANG_TEXT_OFFSET);
	if (!table->text)
		table->text = file->text.address;
}

/* The table somewhere in a segment that is no code's.  0 or -errno. */
static int search_table(struct file *file, struct golang_table *table)
{
	for (unsigned i = 0; i < file->segment_count; i++) {
		const struct segment *s = &file->segments[i];
		const struct part part = {s->address, s->offset, s->length};
		uint64_t address, end;
		size_t offset = 0;

		if (s->flags & PF_X || load(file, &part))
			continue;
		for (; golang_table_search(table, file->bytes, part.length,
					   &offset);
		     offset += 8) {
			settle_text(file, table, s->address + offset);
			if (golang_table_find(table, names[GOLANG_READ],
					      &address, &end))
				return 0;
		}
	}
	return -ENOENT;
}

/* 0; -ENOENT: no Go program's; -ENOTSUP with *why. */
static int find_table(struct file *file, struct golang_table *table,
		      const char **why)
{
	if (file->sections && !file->marked)
		return -ENOENT;
	if (!file->table.length)
		return search_table(file, table);
	*why = "a table of functions that is not understood";
	if (load(file, &file->table) ||
	    !golang_table_open(table, file->bytes, file->table.length))
		return -ENOTSUP;
	settle_text(file, table, file->table.address);
	return 0;
}

/* The code of one function, between two addresses of the table. */
static int read_function(const struct file *file,
			 const struct golang_table *table,
			 enum golang_function function, struct golang *golang,
			 const char **why)
{
	struct golang_probe *probe = &golang->probes[function];
	const struct segment *segment;
	struct golang_code code;
	uint64_t address, end;
	uint8_t *bytes;
	int error = -ENOTSUP;

	*why = "functions that are not where its table has them";
	if (!golang_table_find(table, names[function], &address, &end) ||
	    end <= address || end - address > FUNCTION_BYTES_MAX)
		return error;
	segment = segment_of(file, address, end - address, PF_X);
	if (!segment)
		return error;
	bytes = malloc(end - address);
	if (!bytes)
		return -ENOMEM;
	probe->entry = offset_of(segment, address);
	if (!read_at(file, probe->entry, bytes, end - address) &&
	    golang_code_read(bytes, end - address, address, probe->returns,
			     GOLANG_RETURNS_MAX, &code, why))
		error = 0;
	free(bytes);
	if (error)
		return error;
	*why = "functions that take their arguments in two ways";
	if (function != GOLANG_READ &&
	    code.arguments_on_stack != golang->arguments_on_stack)
		return -ENOTSUP;
	golang->arguments_on_stack = code.arguments_on_stack;
	for (unsigned i = 0; i < code.return_count; i++)
		probe->returns[i] += probe->entry;
	probe->return_count = function == GOLANG_CLOSE ? 0 : code.return_count;
	return 0;
}

/* A string as src/debug/buildinfo has them: in place, or pointed to. */
static void read_version(const struct file *file, const uint8_t *info,
			 size_t left, char version[32])
{
	uint64_t string[2], address;
	size_t length;

	if (left < 32)
		return;
	if (info[15] & 2) {
		/* A varint: of one byte below 128. */
		length = left > 32 ? info[32] : 0;
		if (length <= VERSION_BYTES_MAX && length + 33 <= left)
			memcpy(version, info + 33, length);
		return;
	}
	memcpy(&address, info + 16, sizeof(address));
	if (info[14] != 8 || info[15] & 1 ||
	    read_memory(file, address, string, sizeof(string)) ||
	    string[1] > VERSION_BYTES_MAX)
		return;
	if (read_memory(file, string[0], version, string[1]))
		memset(version, 0, 32);
}

/* "go1.19.8" into version; "" when it is not found. */
static void find_version(const struct file *file, char version[32])
{
	static const char magic[] = "\xff Go buildinf:";
	struct part part = file->build;
	uint8_t *bytes;

	for (unsigned i = 0; !part.length && i < file->segment_count; i++) {
		const struct segment *s = &file->segments[i];

		if (s->flags & PF_W)
			part = (struct part){s->address, s->offset, s->length};
	}
	if (part.length > BUILD_INFO_BYTES)
		part.length = BUILD_INFO_BYTES;
	bytes = calloc(1, BUILD_INFO_BYTES);
	if (bytes && !read_at(file, part.offset, bytes, part.length)) {
		for (size_t at = 0; at + 16 <= part.length; at += 16) {
			if (memcmp(bytes + at, magic, sizeof(magic) - 1))
				continue;
			read_version(file, bytes + at, part.length - at,
				     version);
			break;
		}
	}
	free(bytes);
}

int golang_read(const char *opened, struct golang *golang, const char **why)
{
	struct file *file = calloc(1, sizeof(*file));
	struct golang_table table;
	uint64_t address, end;
	int error;

	memset(golang, 0, sizeof(*golang));
	*why = "";
	if (!file)
		return -ENOMEM;
	error = open_file(file, opened);
	if (!error)
		error = find_table(file, &table, why);
	/* The linker leaves out what a program does not use. */
	if (!error &&
	    !golang_table_find(&table, names[GOLANG_READ], &address, &end))
		error = -ENOENT;
	for (unsigned i = 0; !error && i < GOLANG_FUNCTIONS; i++)
		error = read_function(file, &table, i, golang, why);
	if (!error) {
		*why = "";
		find_version(file, golang->version);
	}
	close_file(file);
	free(file);
	return error;
}
