/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * symbols.c - the functions of TLS libraries: their names, and where they are.
 *
 * The files are other people's, some of them broken on purpose: they are
 * read, never mapped (a file cut short under a mapping kills the reader),
 * and no size in them is believed beyond the bounds below.
 *
 * Sources: elf(5), gelf.h of libelf; the layout of symbol versions in the
 * Linux Standard Base, "Symbol Versioning".
 */
#include "probes/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probes/libraries.h"

#define FUNCTION_BYTES_MAX 16384 /* of a function that are looked at */
#define CALLEE_BYTES_MAX 64	 /* its first instruction is enough */
#define SYMBOLS_MAX (1 << 22)	 /* of one table */
#define SEGMENTS_MAX 512

#define VERSION_HIDDEN 0x8000

/* BoringSSL has it and OpenSSL has not. */
#define BORINGSSL_ONLY "SSL_set_custom_verify"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__s390x__)
#define MACHINE EM_S390
#elif defined(__powerpc64__)
#define MACHINE EM_PPC64
#elif defined(__riscv)
#define MACHINE EM_RISCV
#else
#define MACHINE EM_NONE
#endif

/* By enum library_function. */
static const struct library_function_row rows[FUNCTIONS] = {
#define O LIBRARY_OPENSSL
	[FUNCTION_READ] = {O, "SSL_read", "on_read", "on_return"},
	[FUNCTION_READ_EX] = {O, "SSL_read_ex", "on_read_ex", "on_return_ex"},
	[FUNCTION_WRITE] = {O, "SSL_write", "on_write", "on_return"},
	[FUNCTION_WRITE_EX] = {O, "SSL_write_ex", "on_write_ex",
			       "on_return_ex"},
	[FUNCTION_SENDFILE] = {O, "SSL_sendfile", "on_write",
			       "on_return_kernel"},
	[FUNCTION_SHUTDOWN] = {O, "SSL_shutdown", "on_shutdown", NULL},
	[FUNCTION_FREE] = {O, "SSL_free", "on_end", NULL},
	[FUNCTION_CLEAR] = {O, "SSL_clear", "on_end", NULL},
#undef O
#define G LIBRARY_GNUTLS
	[GNUTLS_RECV] = {G, "gnutls_record_recv", "on_read_gnutls",
			 "on_return"},
	[GNUTLS_SEND] = {G, "gnutls_record_send", "on_write_gnutls",
			 "on_return"},
	[GNUTLS_RECV_SEQ] = {G, "gnutls_record_recv_seq", "on_read_gnutls",
			     "on_return"},
	[GNUTLS_RECV_PACKET] = {G, "gnutls_record_recv_packet",
				"on_read_gnutls", "on_return_packet"},
	[GNUTLS_SEND2] = {G, "gnutls_record_send2", "on_write_gnutls",
			  "on_return"},
	[GNUTLS_SEND_RANGE] = {G, "gnutls_record_send_range",
			       "on_write_gnutls", "on_return"},
	[GNUTLS_SEND_FILE] = {G, "gnutls_record_send_file", "on_write_gnutls",
			      "on_return_kernel"},
	[GNUTLS_UNCORK] = {G, "gnutls_record_uncork", "on_uncork",
			   "on_uncork_return"},
	[GNUTLS_BYE] = {G, "gnutls_bye", "on_shutdown", NULL},
	[GNUTLS_DEINIT] = {G, "gnutls_deinit", "on_end", NULL},
#undef G
#define N LIBRARY_NSS
	[NSS_READ] = {N, "PR_Read", "on_read_nss", "on_return_layer"},
	[NSS_WRITE] = {N, "PR_Write", "on_write_nss", "on_return_layer"},
	[NSS_RECV] = {N, "PR_Recv", "on_recv_nss", "on_return_layer"},
	[NSS_SEND] = {N, "PR_Send", "on_write_nss", "on_return_layer"},
	[NSS_WRITEV] = {N, "PR_Writev", "on_writev_nss", "on_return_layer"},
	[NSS_SHUTDOWN] = {N, "PR_Shutdown", "on_shutdown", NULL},
	[NSS_CLOSE] = {N, "PR_Close", "on_end", NULL},
#undef N
#define M LIBRARY_MBEDTLS
	[MBEDTLS_READ] = {M, "mbedtls_ssl_read", "on_read_mbedtls",
			  "on_return"},
	[MBEDTLS_WRITE] = {M, "mbedtls_ssl_write", "on_write_mbedtls",
			   "on_return"},
	[MBEDTLS_NOTIFY] = {M, "mbedtls_ssl_close_notify", "on_shutdown", NULL},
	[MBEDTLS_RESET] = {M, "mbedtls_ssl_session_reset", "on_end", NULL},
	[MBEDTLS_FREE] = {M, "mbedtls_ssl_free", "on_end", NULL},
#undef M
#define W LIBRARY_WOLFSSL
	[WOLFSSL_READ] = {W, "wolfSSL_read", "on_read_wolfssl", "on_return"},
	[WOLFSSL_WRITE] = {W, "wolfSSL_write", "on_write_wolfssl",
			   "on_return"},
	[WOLFSSL_SHUTDOWN] = {W, "wolfSSL_shutdown", "on_shutdown", NULL},
	[WOLFSSL_CLEAR] = {W, "wolfSSL_clear", "on_end", NULL},
	[WOLFSSL_FREE] = {W, "wolfSSL_free", "on_end", NULL},
#undef W
#define S LIBRARY_S2N
	[S2N_RECV] = {S, "s2n_recv", "on_read_s2n", "on_return"},
	[S2N_SEND] = {S, "s2n_send", "on_write_s2n", "on_return"},
	[S2N_SHUTDOWN] = {S, "s2n_shutdown", "on_shutdown", NULL},
	[S2N_WIPE] = {S, "s2n_connection_wipe", "on_end", NULL},
	[S2N_FREE] = {S, "s2n_connection_free", "on_end", NULL},
#undef S
};

/* Without these two a file does not hold the library. */
static const enum library_function needed[LIBRARY_KINDS][2] = {
	[LIBRARY_OPENSSL] = {FUNCTION_READ, FUNCTION_WRITE},
	[LIBRARY_GNUTLS] = {GNUTLS_RECV, GNUTLS_SEND},
	[LIBRARY_NSS] = {NSS_READ, NSS_WRITE},
	[LIBRARY_MBEDTLS] = {MBEDTLS_READ, MBEDTLS_WRITE},
	[LIBRARY_WOLFSSL] = {WOLFSSL_READ, WOLFSSL_WRITE},
	[LIBRARY_S2N] = {S2N_RECV, S2N_SEND},
};

const struct library_function_row *
library_function_row(enum library_function function)
{
	return &rows[function];
}

const char *library_function_entry(const struct library *library,
				   enum library_function function)
{
	const char *entry = rows[function].entry;

	if (library->boringssl && !strcmp(entry, "on_read"))
		return "on_read_boring";
	if (library->boringssl && !strcmp(entry, "on_write"))
		return "on_write_boring";
	return entry;
}

const char *library_function_name(enum library_function function)
{
	return function < FUNCTIONS ? rows[function].symbol : "?";
}

/* A loaded part of the file. */
struct segment {
	uint64_t address, offset, length;
};

struct symbol {
	bool found;
	bool default_version; /* not one kept for old programs */
	uint64_t address, length;
	char version[32];
};

struct image {
	int fd;
	Elf *elf;
	struct segment segments[SEGMENTS_MAX]; /* executable ones */
	unsigned segment_count;
	struct symbol symbols[FUNCTIONS];
	bool boringssl;
	uint8_t callee[CALLEE_BYTES_MAX]; /* what read_code() lends */
};

/* The sections that say which version a dynamic symbol has. */
struct versions {
	Elf_Data *of_symbols;  /* SHT_GNU_versym; NULL: no versions */
	Elf_Data *definitions; /* SHT_GNU_verdef */
	size_t names;	       /* section index of their strings */
	size_t count;
};

static int read_segments(struct image *image)
{
	size_t count;

	if (elf_getphdrnum(image->elf, &count))
		return -ENOEXEC;
	for (size_t i = 0; i < count && i < SEGMENTS_MAX; i++) {
		struct segment *segment =
			&image->segments[image->segment_count];
		GElf_Phdr header;

		if (!gelf_getphdr(image->elf, i, &header))
			return -ENOEXEC;
		if (header.p_type != PT_LOAD || !(header.p_flags & PF_X) ||
		    header.p_vaddr + header.p_filesz < header.p_vaddr ||
		    header.p_offset + header.p_filesz < header.p_offset)
			continue;
		segment->address = header.p_vaddr;
		segment->offset = header.p_offset;
		segment->length = header.p_filesz;
		image->segment_count++;
	}
	return 0;
}

/* The executable segment that holds the address, or NULL. */
static const struct segment *find_segment(const struct image *image,
					  uint64_t address)
{
	for (unsigned i = 0; i < image->segment_count; i++) {
		const struct segment *segment = &image->segments[i];

		if (address >= segment->address &&
		    address - segment->address < segment->length)
			return segment;
	}
	return NULL;
}

/* Read up to `size` bytes of code; the number read, or -errno. */
static ssize_t read_bytes(const struct image *image, uint64_t address,
			  uint8_t *bytes, size_t size)
{
	const struct segment *segment = find_segment(image, address);
	uint64_t left;
	ssize_t count;

	if (!segment)
		return -EFAULT;
	left = segment->length - (address - segment->address);
	if (size > left)
		size = left;
	count = pread(image->fd, bytes, size,
		      segment->offset + (address - segment->address));
	if (count < 0)
		return -errno;
	return count ? count : -EFAULT;
}

/* For placement_choose_pair(): the code is lent until the next call. */
static int read_callee(void *context, uint64_t address, struct code *code)
{
	struct image *image = context;
	ssize_t count = read_bytes(image, address, image->callee,
				   sizeof(image->callee));

	if (count < 0)
		return count;
	code->bytes = image->callee;
	code->length = count;
	code->address = address;
	return 0;
}

/* The name of version `index` in the table of definitions; or NULL. */
static const char *version_name(Elf *elf, const struct versions *versions,
				unsigned index)
{
	size_t at = 0;

	for (size_t i = 0; versions->definitions && i < versions->count; i++) {
		GElf_Verdef definition;
		GElf_Verdaux auxiliary;

		if (!gelf_getverdef(versions->definitions, at, &definition))
			return NULL;
		if ((definition.vd_ndx & ~VERSION_HIDDEN) == index) {
			if (!gelf_getverdaux(versions->definitions,
					     at + definition.vd_aux,
					     &auxiliary))
				return NULL;
			return elf_strptr(elf, versions->names,
					  auxiliary.vda_name);
		}
		if (!definition.vd_next)
			return NULL;
		at += definition.vd_next;
	}
	return NULL;
}

static void note_version(Elf *elf, const struct versions *versions,
			 size_t index, struct symbol *symbol)
{
	GElf_Versym version;
	const char *name;

	symbol->default_version = true;
	symbol->version[0] = '\0';
	if (!versions->of_symbols ||
	    !gelf_getversym(versions->of_symbols, index, &version))
		return;
	symbol->default_version = !(version & VERSION_HIDDEN);
	name = version_name(elf, versions, version & ~VERSION_HIDDEN);
	if (name)
		snprintf(symbol->version, sizeof(symbol->version), "%.31s",
			 name);
}

/* Few of a hundred thousand names are compared with each of the table. */
static bool may_be_function(const char *name)
{
	static const char *const beginnings[] = {
		"SSL_", "gnutls_", "PR_", "mbedtls_ssl_", "wolfSSL_", "s2n_"};
	size_t i;

	for (i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (!strncmp(name, beginnings[i], strlen(beginnings[i])))
			return true;
	return false;
}

static void take_symbol(struct image *image, const struct versions *versions,
			size_t index, const GElf_Sym *symbol, const char *name)
{
	if (!strcmp(name, BORINGSSL_ONLY))
		image->boringssl = true;
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		struct symbol taken = { .found = true };

		if (strcmp(name, rows[i].symbol))
			continue;
		note_version(image->elf, versions, index, &taken);
		/* Of several versions the one that new programs link with. */
		if (image->symbols[i].found &&
		    (image->symbols[i].default_version ||
		     !taken.default_version))
			return;
		taken.address = symbol->st_value;
		taken.length = symbol->st_size;
		image->symbols[i] = taken;
		return;
	}
}

static void read_table(struct image *image, Elf_Scn *section,
		       const GElf_Shdr *header, const struct versions *versions)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t entry = gelf_fsize(image->elf, ELF_T_SYM, 1, EV_CURRENT);
	size_t count = data && entry ? data->d_size / entry : 0;

	for (size_t i = 0; i < count && i < SYMBOLS_MAX; i++) {
		const char *name;
		GElf_Sym symbol;

		if (!gelf_getsym(data, i, &symbol))
			return;
		if (GELF_ST_TYPE(symbol.st_info) != STT_FUNC ||
		    symbol.st_shndx == SHN_UNDEF ||
		    !find_segment(image, symbol.st_value))
			continue;
		name = elf_strptr(image->elf, header->sh_link, symbol.st_name);
		if (name && may_be_function(name))
			take_symbol(image, versions, i, &symbol, name);
	}
}

static void find_versions(Elf *elf, struct versions *versions)
{
	Elf_Scn *section = NULL;

	memset(versions, 0, sizeof(*versions));
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;

		if (!gelf_getshdr(section, &header))
			continue;
		if (header.sh_type == SHT_GNU_versym) {
			versions->of_symbols = elf_getdata(section, NULL);
		} else if (header.sh_type == SHT_GNU_verdef) {
			versions->definitions = elf_getdata(section, NULL);
			versions->names = header.sh_link;
			versions->count = header.sh_info;
		}
	}
}

/* Both tables: a static libssl inside an executable is in .symtab only. */
static void read_symbols(struct image *image)
{
	static const struct versions none = { 0 };
	struct versions versions;
	Elf_Scn *section = NULL;

	find_versions(image->elf, &versions);
	while ((section = elf_nextscn(image->elf, section))) {
		GElf_Shdr header;

		if (!gelf_getshdr(section, &header))
			continue;
		if (header.sh_type == SHT_DYNSYM)
			read_table(image, section, &header, &versions);
		else if (header.sh_type == SHT_SYMTAB)
			read_table(image, section, &header, &none);
	}
}

static int open_image(const char *path, struct image *image)
{
	GElf_Ehdr header;
	struct stat status;

	/* O_NONBLOCK: a fifo in a container must not stop the tracer. */
	image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (image->fd < 0 || fstat(image->fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -ENOEXEC;
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOEXEC;
	image->elf = elf_begin(image->fd, ELF_C_READ, NULL);
	if (!image->elf || elf_kind(image->elf) != ELF_K_ELF ||
	    !gelf_getehdr(image->elf, &header) ||
	    gelf_getclass(image->elf) != ELFCLASS64 ||
	    header.e_machine != MACHINE ||
	    (header.e_type != ET_DYN && header.e_type != ET_EXEC))
		return -ENOEXEC;
	return read_segments(image);
}

static void close_image(struct image *image)
{
	if (image->elf)
		elf_end(image->elf);
	if (image->fd >= 0)
		close(image->fd);
}

/* The code of a function, to be freed; bytes NULL: it is not there. */
static int read_function(const struct image *image,
			 const struct symbol *symbol, uint8_t **bytes,
			 struct code *code)
{
	size_t size = symbol->length;
	ssize_t count;

	memset(code, 0, sizeof(*code));
	*bytes = NULL;
	if (!symbol->found)
		return 0;
	/* Assembler may leave the size out. */
	if (!size)
		size = CALLEE_BYTES_MAX;
	if (size > FUNCTION_BYTES_MAX)
		size = FUNCTION_BYTES_MAX;
	*bytes = malloc(size);
	if (!*bytes)
		return -ENOMEM;
	count = read_bytes(image, symbol->address, *bytes, size);
	if (count < 0)
		return count;
	code->bytes = *bytes;
	code->length = count;
	code->address = symbol->address;
	return 0;
}

static int place_one(struct image *image, enum library_function function,
		     struct library_probe *probe)
{
	const struct symbol *symbol = &image->symbols[function];
	struct code code;
	uint8_t *bytes;
	int error = read_function(image, symbol, &bytes, &code);

	if (!error && code.bytes) {
		placement_choose(&code, &probe->place);
		probe->found = true;
	}
	free(bytes);
	return error;
}

static int place_pair(struct image *image, enum library_function plain,
		      enum library_function extended,
		      struct library_probe *probes)
{
	struct code plain_code, extended_code = { 0 };
	uint8_t *plain_bytes, *extended_bytes = NULL;
	int error = read_function(image, &image->symbols[plain], &plain_bytes,
				  &plain_code);

	if (!error)
		error = read_function(image, &image->symbols[extended],
				      &extended_bytes, &extended_code);
	if (!error) {
		placement_choose_pair(&plain_code, &extended_code, read_callee,
				      image, &probes[plain].place,
				      &probes[extended].place);
		probes[plain].found = true;
		probes[extended].found = extended_code.bytes;
	}
	free(plain_bytes);
	free(extended_bytes);
	return error;
}

static int place_all(struct image *image, bool placement,
		     struct library_probe *probes)
{
	int error = 0;

	if (placement && image->symbols[FUNCTION_READ].found) {
		error = place_pair(image, FUNCTION_READ, FUNCTION_READ_EX,
				   probes);
		if (!error)
			error = place_pair(image, FUNCTION_WRITE,
					   FUNCTION_WRITE_EX, probes);
	}
	for (unsigned i = 0; !error && i < FUNCTIONS; i++) {
		if (!probes[i].found)
			error = place_one(image, i, &probes[i]);
	}
	for (unsigned i = 0; !error && i < FUNCTIONS; i++) {
		const struct segment *segment =
			find_segment(image, probes[i].place.address);

		if (probes[i].found && segment)
			probes[i].file_offset = probes[i].place.address -
						segment->address +
						segment->offset;
	}
	return error;
}

/* A library of which the functions needed are not all there is none. */
static void keep_whole_libraries(struct image *image)
{
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		const enum library_function *pair = needed[rows[i].kind];

		if (!image->symbols[pair[0]].found ||
		    !image->symbols[pair[1]].found)
			image->symbols[i].found = false;
	}
}

static bool has_functions(const struct image *image)
{
	for (unsigned i = 0; i < FUNCTIONS; i++)
		if (image->symbols[i].found)
			return true;
	return false;
}

/* The version of the first of the functions that has one. */
static void copy_version(const struct image *image, struct library *library)
{
	for (unsigned i = 0; i < FUNCTIONS && !*library->version; i++)
		if (image->symbols[i].found)
			memcpy(library->version, image->symbols[i].version,
			       sizeof(library->version));
}

int library_read(const char *opened, bool placement, struct library *library)
{
	struct image *image = calloc(1, sizeof(*image));
	int error = -ENOMEM;

	memset(library->probes, 0, sizeof(library->probes));
	library->version[0] = '\0';
	library->boringssl = false;
	if (!image)
		return error;
	error = open_image(opened, image);
	if (!error) {
		read_symbols(image);
		keep_whole_libraries(image);
		library->boringssl = image->boringssl;
		if (!has_functions(image))
			error = -ENOENT;
	}
	if (!error)
		error = place_all(image, placement, library->probes);
	if (!error)
		copy_version(image, library);
	else
		memset(library->probes, 0, sizeof(library->probes));
	close_image(image);
	free(image);
	return error;
}

