/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_libraries.c - probes/libraries.c on this process and on broken files.
 */
#include <check.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probes/libraries.h"
#include "probes/seccomp.h"
#include "tests/unit/suite.h"

static const char system_library[] = "/usr/lib/x86_64-linux-gnu/libssl.so.3";
static struct library library;
static char directory[64];
static struct library_cache *cache; /* of the test that runs */

static void make_directory(void)
{
	snprintf(directory, sizeof(directory), "/tmp/test_libraries.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void make_cache(void)
{
	cache = library_cache_new();
	ck_assert_ptr_nonnull(cache);
}

static void free_cache(void)
{
	library_cache_free(cache);
}

static void remove_directory(void)
{
	rmdir(directory);
}

/* The bytes of the system's libssl; NULL and a note when it has none. */
static uint8_t *read_library(size_t *length)
{
	int fd = open(system_library, O_RDONLY);
	struct stat status;
	uint8_t *bytes;

	if (fd < 0 || fstat(fd, &status)) {
		printf("# skipped: no %s\n", system_library);
		return NULL;
	}
	*length = status.st_size;
	bytes = malloc(*length);
	ck_assert_int_eq(read(fd, bytes, *length), *length);
	close(fd);
	return bytes;
}

static void write_file(const char *path, const void *bytes, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, length), length);
	close(fd);
}

START_TEST(test_names)
{
	static const char *const match[] = {
		"/usr/lib/x86_64-linux-gnu/libssl.so.3", "/a/libssl.so",
		"/opt/x/libssl-1.1.so.1.1", "libssl3.so",
		"/usr/lib/libgnutls.so.30", "/lib/libnspr4.so",
		"/l/libmbedtls.so.14", "/l/libwolfssl.so.35", "/l/libs2n.so.1",
		NULL,
	};
	static const char *const other[] = {
		"/usr/lib/libcrypto.so.3", "/usr/lib/libssl.a", "/libssl.so/x",
		"/usr/lib/xlibssl.so.3",   "/usr/lib/libgnutlsxx.so.30",
		"",			NULL,
	};

	for (unsigned i = 0; match[i]; i++)
		ck_assert_msg(library_name_matches(match[i]), "%s", match[i]);
	for (unsigned i = 0; other[i]; i++)
		ck_assert_msg(!library_name_matches(other[i]), "%s", other[i]);
	ck_assert_str_eq(library_function_name(FUNCTION_WRITE_EX),
			 "SSL_write_ex");
}
END_TEST

START_TEST(test_system_library)
{
	size_t length;
	uint8_t *bytes = read_library(&length);

	if (!bytes)
		return;
	ck_assert_int_eq(library_read(system_library, false, &library), 0);
	ck_assert_str_eq(library.version, "OPENSSL_3.0.0");
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		const struct library_probe *probe = &library.probes[i];
		char text[48];
		struct code code;

		if (library_function_row(i)->kind != LIBRARY_OPENSSL) {
			ck_assert(!probe->found);
			continue;
		}
		ck_assert_msg(probe->found, "%s", library_function_name(i));
		ck_assert_uint_lt(probe->file_offset, length - 16);
		code.bytes = bytes + probe->file_offset;
		code.length = 16;
		code.address = probe->place.address;
		/* The instruction is at that offset of the file. */
		placement_emulates(&code, text);
		ck_assert_str_eq(text, probe->place.instruction);
	}
	free(bytes);
}
END_TEST

START_TEST(test_not_a_library)
{
	char path[128];

	ck_assert_int_eq(library_read("/nonexistent", true, &library), -ENOENT);
	ck_assert_int_eq(library_read("/tmp", true, &library), -ENOEXEC);
	ck_assert_int_eq(library_read("/dev/null", true, &library), -ENOEXEC);
	ck_assert_int_eq(library_read("/etc/passwd", true, &library), -ENOEXEC);
	/* An ELF file without the functions: this program's C library. */
	ck_assert_int_eq(library_read("/lib/x86_64-linux-gnu/libc.so.6", true,
				      &library),
			 -ENOENT);
	/* A pipe that nobody writes to must not block. */
	make_directory();
	snprintf(path, sizeof(path), "%s/libssl.so", directory);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(library_read(path, true, &library), -ENOEXEC);
	unlink(path);
	remove_directory();
}
END_TEST

/* The smallest file that has the two functions, at vaddr != offset. */
struct tiny {
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	Elf64_Shdr sections[3]; /* null, .dynsym, .dynstr */
	Elf64_Sym symbols[3];
	char strings[32];
	uint8_t code[32];
};

#define TINY_ADDRESS 0x401000

/* This machine's, as this program's own file says it. */
static uint16_t own_machine(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	Elf64_Ehdr header;

	ck_assert_int_eq(read(fd, &header, sizeof(header)), sizeof(header));
	close(fd);
	return header.e_machine;
}

static void make_tiny(struct tiny *tiny)
{
	static const char strings[] = "\0SSL_read\0SSL_write";

	memset(tiny, 0, sizeof(*tiny));
	memcpy(tiny->header.e_ident, ELFMAG, SELFMAG);
	tiny->header.e_ident[EI_CLASS] = ELFCLASS64;
	tiny->header.e_ident[EI_DATA] = ELFDATA2LSB;
	tiny->header.e_ident[EI_VERSION] = EV_CURRENT;
	tiny->header.e_type = ET_DYN;
	tiny->header.e_machine = own_machine();
	tiny->header.e_version = EV_CURRENT;
	tiny->header.e_phoff = offsetof(struct tiny, segment);
	tiny->header.e_shoff = offsetof(struct tiny, sections);
	tiny->header.e_ehsize = sizeof(Elf64_Ehdr);
	tiny->header.e_phentsize = sizeof(Elf64_Phdr);
	tiny->header.e_phnum = 1;
	tiny->header.e_shentsize = sizeof(Elf64_Shdr);
	tiny->header.e_shnum = 3;
	tiny->segment.p_type = PT_LOAD;
	tiny->segment.p_flags = PF_R | PF_X;
	tiny->segment.p_offset = offsetof(struct tiny, code);
	tiny->segment.p_vaddr = TINY_ADDRESS;
	tiny->segment.p_filesz = sizeof(tiny->code);
	tiny->segment.p_memsz = sizeof(tiny->code);
	tiny->sections[1].sh_type = SHT_DYNSYM;
	tiny->sections[1].sh_offset = offsetof(struct tiny, symbols);
	tiny->sections[1].sh_size = sizeof(tiny->symbols);
	tiny->sections[1].sh_entsize = sizeof(Elf64_Sym);
	tiny->sections[1].sh_link = 2;
	tiny->sections[2].sh_type = SHT_STRTAB;
	tiny->sections[2].sh_offset = offsetof(struct tiny, strings);
	tiny->sections[2].sh_size = sizeof(tiny->strings);
	memcpy(tiny->strings, strings, sizeof(strings));
	for (unsigned i = 0; i < 2; i++) {
		Elf64_Sym *symbol = &tiny->symbols[i + 1];

		symbol->st_name = i ? 10 : 1;
		symbol->st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
		symbol->st_shndx = 1;
		symbol->st_value = TINY_ADDRESS + i * 16;
		symbol->st_size = 16;
	}
	memset(tiny->code, 0xc3, sizeof(tiny->code));
	tiny->code[0] = 0x55;
}

static int read_tiny(const struct tiny *tiny)
{
	char path[128];
	int error;

	make_directory();
	snprintf(path, sizeof(path), "%s/libssl.so", directory);
	write_file(path, tiny, sizeof(*tiny));
	error = library_read(path, true, &library);
	unlink(path);
	remove_directory();
	return error;
}

START_TEST(test_file_offset)
{
	const struct library_probe *probes = library.probes;
	struct tiny tiny;

	make_tiny(&tiny);
	ck_assert_int_eq(read_tiny(&tiny), 0);
	ck_assert_str_eq(library.version, "");
	ck_assert_uint_eq(probes[FUNCTION_READ].place.address, TINY_ADDRESS);
	ck_assert_uint_eq(probes[FUNCTION_READ].file_offset,
			  offsetof(struct tiny, code));
	ck_assert_uint_eq(probes[FUNCTION_WRITE].file_offset,
			  offsetof(struct tiny, code) + 16);
	ck_assert_int_eq(probes[FUNCTION_READ].place.kind, PLACEMENT_SELF);
	ck_assert(!probes[FUNCTION_READ_EX].found);
	ck_assert(!probes[FUNCTION_FREE].found);
}
END_TEST

START_TEST(test_refused)
{
	struct tiny tiny;

	make_tiny(&tiny);
	tiny.header.e_machine = EM_PARISC;
	ck_assert_int_eq(read_tiny(&tiny), -ENOEXEC);
	make_tiny(&tiny);
	tiny.header.e_ident[EI_CLASS] = ELFCLASS32;
	ck_assert_int_eq(read_tiny(&tiny), -ENOEXEC);
	make_tiny(&tiny);
	tiny.header.e_type = ET_CORE;
	ck_assert_int_eq(read_tiny(&tiny), -ENOEXEC);
	/* Not in an executable segment; not defined; not a function. */
	make_tiny(&tiny);
	tiny.segment.p_flags = PF_R | PF_W;
	ck_assert_int_eq(read_tiny(&tiny), -ENOENT);
	make_tiny(&tiny);
	tiny.symbols[1].st_value = TINY_ADDRESS + sizeof(tiny.code);
	ck_assert_int_eq(read_tiny(&tiny), -ENOENT);
	make_tiny(&tiny);
	tiny.symbols[1].st_shndx = SHN_UNDEF;
	ck_assert_int_eq(read_tiny(&tiny), -ENOENT);
	make_tiny(&tiny);
	tiny.symbols[2].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
	ck_assert_int_eq(read_tiny(&tiny), -ENOENT);
	/* A segment beyond the file's end: nothing to read there. */
	make_tiny(&tiny);
	tiny.segment.p_offset = 1 << 20;
	ck_assert_int_ne(read_tiny(&tiny), 0);
}
END_TEST

/* Each byte of the small file with each of some values: never a crash. */
START_TEST(test_tiny_corrupt)
{
	static const uint8_t values[] = { 0x00, 0x7f, 0xff };
	unsigned refused = 0;
	char path[128];

	make_directory();
	snprintf(path, sizeof(path), "%s/libssl.so", directory);
	for (size_t i = 0; i < sizeof(struct tiny); i++) {
		for (unsigned j = 0; j < sizeof(values); j++) {
			struct tiny tiny;

			make_tiny(&tiny);
			((uint8_t *)&tiny)[i] = values[j];
			write_file(path, &tiny, sizeof(tiny));
			refused += library_read(path, true, &library) != 0;
		}
	}
	ck_assert_uint_gt(refused, 0);
	unlink(path);
	remove_directory();
}
END_TEST

START_TEST(test_truncated)
{
	size_t length;
	uint8_t *bytes = read_library(&length);
	char path[128];

	if (!bytes)
		return;
	make_directory();
	snprintf(path, sizeof(path), "%s/libssl.so", directory);
	/* Dense at the headers, then spread over the whole file. */
	for (size_t cut = 0; cut < length;
	     cut += cut < 128 ? 1 : cut < 4096 ? 61 : 17389) {
		write_file(path, bytes, cut);
		/* The section headers are at the end: all are incomplete. */
		ck_assert_msg(library_read(path, true, &library) < 0,
			      "at %zu bytes", cut);
		ck_assert(!library.probes[FUNCTION_READ].found);
	}
	unlink(path);
	remove_directory();
	free(bytes);
}
END_TEST

/* Bytes changed at random in a real file, headers and tables most of all. */
START_TEST(test_corrupt)
{
	uint32_t state = 20181203;
	size_t length;
	uint8_t *bytes = read_library(&length);
	char path[128];

	if (!bytes)
		return;
	make_directory();
	snprintf(path, sizeof(path), "%s/libssl.so", directory);
	write_file(path, bytes, length);
	for (unsigned round = 0; round < 200; round++) {
		int fd = open(path, O_WRONLY);
		size_t at[16];

		for (unsigned i = 0; i < 16; i++) {
			uint8_t byte;

			state = state * 1664525 + 1013904223;
			byte = state >> 24;
			state = state * 1664525 + 1013904223;
			at[i] = i % 4 == 0 ? (state >> 8) % 1024 :
				i % 4 == 1 ? length - 1 - (state >> 8) % 2048 :
				i % 4 == 2 ? (state >> 8) % 65536 :
					     (state >> 8) % length;
			ck_assert_int_eq(pwrite(fd, &byte, 1, at[i]), 1);
		}
		/* No answer is wrong, but for one that does not come. */
		library_read(path, true, &library);
		for (unsigned i = 0; i < 16; i++)
			ck_assert_int_eq(pwrite(fd, bytes + at[i], 1, at[i]),
					 1);
		close(fd);
	}
	ck_assert_int_eq(library_read(path, true, &library), 0);
	unlink(path);
	remove_directory();
	free(bytes);
}
END_TEST

/* The other libraries, where this host has them. */
START_TEST(test_other_libraries)
{
	static const struct {
		const char *name;
		enum library_kind kind;
	} others[] = {
		{"libgnutls.so.30", LIBRARY_GNUTLS},
		{"libnspr4.so", LIBRARY_NSS},
		{"libmbedtls.so.14", LIBRARY_MBEDTLS},
		{"libwolfssl.so.35", LIBRARY_WOLFSSL},
	};
	char path[128];

	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(path, sizeof(path), "/usr/lib/x86_64-linux-gnu/%s",
			 others[i].name);
		if (access(path, R_OK)) {
			printf("# skipped: no %s\n", path);
			continue;
		}
		ck_assert_int_eq(library_read(path, true, &library), 0);
		for (unsigned j = 0; j < FUNCTIONS; j++)
			ck_assert_msg(library.probes[j].found ==
					      (library_function_row(j)->kind ==
					       others[i].kind),
				      "%s in %s", library_function_name(j),
				      path);
	}
}
END_TEST

/* A library with one of the two functions needed is none. */
START_TEST(test_half_a_library)
{
	struct tiny tiny;

	make_tiny(&tiny);
	memcpy(tiny.strings, "\0PR_Read", 9);
	ck_assert_int_eq(read_tiny(&tiny), -ENOENT);
}
END_TEST

/* Its library is in no distribution here: the symbols are looked up at least. */
START_TEST(test_s2n)
{
	static const char strings[] = "\0s2n_recv\0s2n_send";
	struct tiny tiny;

	make_tiny(&tiny);
	memcpy(tiny.strings, strings, sizeof(strings));
	ck_assert_int_eq(read_tiny(&tiny), 0);
	for (unsigned i = 0; i < FUNCTIONS; i++)
		ck_assert_msg(library.probes[i].found ==
				      (i == S2N_RECV || i == S2N_SEND),
			      "%s", library_function_name(i));
	ck_assert_uint_eq(library.probes[S2N_RECV].file_offset,
			  offsetof(struct tiny, code));
	ck_assert_uint_eq(library.probes[S2N_SEND].file_offset,
			  offsetof(struct tiny, code) + 16);
	ck_assert_str_eq(library_function_entry(&library, S2N_RECV),
			 "on_read_s2n");
	ck_assert_str_eq(library_function_entry(&library, S2N_SEND),
			 "on_write_s2n");
	/* One of the two is none. */
	tiny.strings[10] = 'S';
	ck_assert_int_eq(read_tiny(&tiny), -ENOENT);
}
END_TEST

START_TEST(test_boringssl)
{
	struct tiny tiny;

	make_tiny(&tiny);
	ck_assert_int_eq(read_tiny(&tiny), 0);
	ck_assert(!library.boringssl);
	ck_assert_str_eq(library_function_entry(&library, FUNCTION_READ),
			 "on_read");
	library.boringssl = true;
	ck_assert_str_eq(library_function_entry(&library, FUNCTION_READ),
			 "on_read_boring");
	ck_assert_str_eq(library_function_entry(&library, FUNCTION_WRITE),
			 "on_write_boring");
	ck_assert_str_eq(library_function_entry(&library, GNUTLS_RECV),
			 "on_read_gnutls");
}
END_TEST

/* A file of the least size, whose tables name `name`. */
static enum linked look_at(const char *name, bool debugger_s, size_t size,
			   const char *constant)
{
	static uint8_t bytes[2 << 20];
	struct tiny *tiny = (void *)bytes;
	enum linked linked;
	char path[128];

	memset(bytes, 0, sizeof(bytes));
	make_tiny(tiny);
	memset(tiny->strings, 0, sizeof(tiny->strings));
	memcpy(tiny->strings + 1, name, strlen(name));
	if (debugger_s)
		tiny->sections[1].sh_type = SHT_SYMTAB;
	/* What .symtab would be is .rodata at the file's end. */
	if (constant) {
		tiny->sections[1].sh_type = SHT_PROGBITS;
		tiny->sections[1].sh_flags = SHF_ALLOC;
		tiny->sections[1].sh_offset = sizeof(*tiny);
		tiny->sections[1].sh_size = size - sizeof(*tiny);
		memcpy(bytes + size - 1 - strlen(constant), constant,
		       strlen(constant));
	}
	make_directory();
	snprintf(path, sizeof(path), "%s/program", directory);
	write_file(path, bytes, size);
	linked = linked_look(path);
	unlink(path);
	remove_directory();
	return linked;
}

START_TEST(test_linked)
{
	const size_t small = 200 << 10, large = sizeof(uint8_t[2 << 20]);

	ck_assert_int_eq(look_at("SSL_read", false, small, NULL),
			 LINKED_SYMBOLS);
	ck_assert_int_eq(look_at("SSL_read", true, small, NULL),
			 LINKED_SYMBOLS);
	ck_assert_int_eq(look_at("wolfSSL_read", false, small, NULL),
			 LINKED_SYMBOLS);
	ck_assert_int_eq(look_at("SSL_readahead", false, small, NULL),
			 LINKED_NONE);
	ck_assert_int_eq(look_at("SSL_read", false, 4096, NULL), LINKED_NONE);
	ck_assert_int_eq(look_at("", false, large, "../ssl/ssl_lib.c"),
			 LINKED_STRIPPED);
	ck_assert_int_eq(look_at("", false, small, "../ssl/ssl_lib.c"),
			 LINKED_NONE);
	ck_assert_int_eq(look_at("", false, large, "ssl/other.c"),
			 LINKED_NONE);
	ck_assert_int_eq(linked_look("/nonexistent"), LINKED_NONE);
	ck_assert_int_eq(linked_look("/tmp"), LINKED_NONE);
	ck_assert_int_eq(linked_look("/dev/zero"), LINKED_NONE);
}
END_TEST

struct search {
	const char *path; /* to look for; NULL: none */
	unsigned times;
	unsigned calls;
	int answer;
	struct library library;
};

static int search(void *context, const struct library *found)
{
	struct search *searched = context;

	searched->calls++;
	if (searched->path && !strcmp(found->path, searched->path)) {
		searched->times++;
		searched->library = *found;
	}
	return searched->answer;
}

static int search_inode(void *context, const struct library *found)
{
	struct search *searched = context;

	if (found->inode == searched->library.inode)
		searched->times++;
	return 0;
}

/* The system's own is found though no process has it mapped, nor this one. */
START_TEST(test_scan_installed)
{
	struct search searched = { 0 };
	struct stat status;

	if (stat(system_library, &status))
		return;
	searched.library.inode = status.st_ino;
	ck_assert_int_eq(library_scan_process(cache, getpid(), search_inode,
					      &searched), 0);
	ck_assert_uint_eq(searched.times, 0);
	ck_assert_int_eq(library_scan_installed(cache, search_inode, &searched), 0);
	ck_assert_uint_ge(searched.times, 1);
	searched.times = 0;
	library_scan_process(cache, getpid(), search_inode, &searched);
	ck_assert_uint_eq(searched.times, 0);
}
END_TEST

/* A copy under a name that is hard to read, mapped by this process. */
START_TEST(test_scan)
{
	static struct search searched;
	size_t length;
	uint8_t *bytes = read_library(&length);
	struct stat status, opened;
	char path[128];
	void *handle;

	if (!bytes)
		return;
	make_directory();
	snprintf(path, sizeof(path), "%s/libssl\n a (deleted).so.3", directory);
	write_file(path, bytes, length);
	free(bytes);
	ck_assert_int_eq(stat(path, &status), 0);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(handle != NULL, "%s", dlerror());

	searched.path = path;
	ck_assert_int_eq(library_scan_process(cache, getpid(), search, &searched), 0);
	ck_assert_uint_eq(searched.times, 1);
	ck_assert_uint_eq(searched.library.device, status.st_dev);
	ck_assert_uint_eq(searched.library.inode, status.st_ino);
	ck_assert_int_eq(searched.library.pid, getpid());
	ck_assert_int_eq(stat(searched.library.opened, &opened), 0);
	ck_assert_uint_eq(opened.st_ino, status.st_ino);
	ck_assert_int_eq(library_read(searched.library.opened, true,
				      &searched.library),
			 0);
	/* What it was found by is not forgotten. */
	ck_assert_uint_eq(searched.library.inode, status.st_ino);

	searched.times = searched.calls = 0;
	ck_assert_int_gt(library_scan_all(cache, search, &searched), 0);
	ck_assert_uint_eq(searched.times, 1);
	searched.answer = -1;
	searched.calls = 0;
	ck_assert_int_eq(library_scan_process(cache, getpid(), search, &searched), 0);
	ck_assert_uint_eq(searched.calls, 1);
	searched.calls = 0;
	library_scan_all(cache, search, &searched);
	ck_assert_uint_eq(searched.calls, 1);
	dlclose(handle);
	unlink(path);
	remove_directory();
}
END_TEST

/* Another file has taken the name: the one that is mapped is found. */
START_TEST(test_scan_replaced)
{
	static struct search searched;
	size_t length;
	uint8_t *bytes = read_library(&length);
	struct stat status, opened;
	char path[128];
	void *handle;

	if (!bytes)
		return;
	if (geteuid()) {
		printf("# skipped: map_files needs root\n");
		free(bytes);
		return;
	}
	make_directory();
	snprintf(path, sizeof(path), "%s/libssl.so.3", directory);
	write_file(path, bytes, length);
	free(bytes);
	ck_assert_int_eq(stat(path, &status), 0);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	ck_assert_ptr_nonnull(handle);
	unlink(path);
	write_file(path, "another", 7);

	searched.path = path;
	ck_assert_int_eq(library_scan_process(cache, getpid(), search, &searched), 0);
	ck_assert_uint_eq(searched.times, 1);
	ck_assert_ptr_nonnull(strstr(searched.library.opened, "/map_files/"));
	ck_assert_int_eq(stat(searched.library.opened, &opened), 0);
	ck_assert_uint_eq(opened.st_ino, status.st_ino);
	ck_assert_int_eq(library_read(searched.library.opened, true,
				      &searched.library),
			 0);
	dlclose(handle);
	unlink(path);
	remove_directory();
}
END_TEST

/* The same name leads to another file: the mapped one is not mistaken. */
START_TEST(test_scan_covered)
{
	static struct search searched;
	char path[128], other[128];
	struct stat status, opened;
	size_t length;
	uint8_t *bytes = read_library(&length);
	void *handle;

	if (!bytes)
		return;
	make_directory();
	snprintf(path, sizeof(path), "%s/libssl.so.3", directory);
	snprintf(other, sizeof(other), "%s/other", directory);
	write_file(path, bytes, length);
	write_file(other, bytes, length);
	free(bytes);
	ck_assert_int_eq(stat(path, &status), 0);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	ck_assert_ptr_nonnull(handle);
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(other, path, NULL, MS_BIND, NULL)) {
		printf("# skipped: mounting: %s\n", strerror(errno));
	} else {
		searched.path = path;
		ck_assert_int_eq(library_scan_process(cache, getpid(), search,
						      &searched),
				 0);
		ck_assert_uint_eq(searched.times, 1);
		ck_assert_uint_eq(searched.library.inode, status.st_ino);
		ck_assert_int_eq(stat(searched.library.opened, &opened), 0);
		ck_assert_uint_eq(opened.st_ino, status.st_ino);
		ck_assert_int_eq(umount(path), 0);
	}
	dlclose(handle);
	unlink(path);
	unlink(other);
	remove_directory();
}
END_TEST

START_TEST(test_scan_gone)
{
	struct search searched = { 0 };
	pid_t child = fork();

	if (!child)
		_exit(0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(library_scan_process(cache, child, search, &searched),
			 -ESRCH);
	ck_assert_uint_eq(searched.calls, 0);
}
END_TEST

START_TEST(test_seccomp)
{
	static const char filtered[] = "Name:\tx\nSeccomp:\t2\n"
				       "Seccomp_filters:\t1\n";
	static const char unfiltered[] = "Name:\tx\nSeccomp:\t0\n"
				    "Seccomp_filters:\t2\n";
	static const char old[] = "Name:\tSeccomp: 2\nPid:\t2\n";
	char path[128];

	make_directory();
	snprintf(path, sizeof(path), "%s/status", directory);
	write_file(path, filtered, sizeof(filtered) - 1);
	ck_assert(seccomp_has_filter(path));
	write_file(path, unfiltered, sizeof(unfiltered) - 1);
	ck_assert(!seccomp_has_filter(path));
	write_file(path, old, sizeof(old) - 1);
	ck_assert(!seccomp_has_filter(path));
	unlink(path);
	ck_assert(!seccomp_has_filter(path));
	remove_directory();
}
END_TEST

/* Wait statuses as Linux makes them: a signal, or an exit status << 8. */
START_TEST(test_seccomp_decides)
{
	const int no_call = ENOSYS << 8, called = SIGILL;
	const int dumped = SIGILL | 0x80, answered = SECCOMP_ANSWER << 8;

	/* 6.11 to 6.13: the filter is asked before the call is made. */
	ck_assert(seccomp_decides(called, answered));
	ck_assert(seccomp_decides(dumped, answered));
	/* Later: the call is made, whatever the filter says. */
	ck_assert(!seccomp_decides(called, called));
	ck_assert(!seccomp_decides(dumped, dumped));
	/* Before: there is no such call, which a filter answers as any. */
	ck_assert(!seccomp_decides(no_call, answered));
	ck_assert(!seccomp_decides(no_call, no_call));
	/* The child had no filter, or ended otherwise; fork failed. */
	ck_assert(!seccomp_decides(called, 0));
	ck_assert(!seccomp_decides(called, no_call));
	ck_assert(!seccomp_decides(SIGKILL, answered));
	ck_assert(!seccomp_decides(called, -1));
	ck_assert(!seccomp_decides(-1, answered));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libraries");
	TCase *tcase = tcase_create("all");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, make_cache, free_cache);
	tcase_add_test(tcase, test_names);
	tcase_add_test(tcase, test_system_library);
	tcase_add_test(tcase, test_not_a_library);
	tcase_add_test(tcase, test_file_offset);
	tcase_add_test(tcase, test_refused);
	tcase_add_test(tcase, test_tiny_corrupt);
	tcase_add_test(tcase, test_truncated);
	tcase_add_test(tcase, test_corrupt);
	tcase_add_test(tcase, test_other_libraries);
	tcase_add_test(tcase, test_half_a_library);
	tcase_add_test(tcase, test_s2n);
	tcase_add_test(tcase, test_boringssl);
	tcase_add_test(tcase, test_linked);
	tcase_add_test(tcase, test_seccomp);
	tcase_add_test(tcase, test_seccomp_decides);
	tcase_add_test(tcase, test_scan_installed);
	tcase_add_test(tcase, test_scan);
	tcase_add_test(tcase, test_scan_replaced);
	tcase_add_test(tcase, test_scan_covered);
	tcase_add_test(tcase, test_scan_gone);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
