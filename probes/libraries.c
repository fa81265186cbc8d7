/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libraries.c - which TLS libraries which processes have mapped.
 *
 * The files are other people's, some of them broken on purpose: they are
 * read, never mapped (a file cut short under a mapping kills the reader),
 * and no size in them is believed beyond the bounds below.
 *
 * Sources: elf(5), gelf.h of libelf, proc(5); the layout of symbol versions
 * in the Linux Standard Base, "Symbol Versioning".
 */
#include "probes/libraries.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <gelf.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FUNCTION_BYTES_MAX 16384 /* of a function that are looked at */
#define CALLEE_BYTES_MAX 64	 /* its first instruction is enough */
#define SYMBOLS_MAX (1 << 22)	 /* of one table */
#define SEGMENTS_MAX 512
#define MAPS_LINE_MAX (PATH_MAX * 4 + 128) /* a path of \ooo escapes */
#define SEEN_MAX 16 /* TLS libraries of one process */

#define VERSION_HIDDEN 0x8000

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

static const char *const function_names[FUNCTIONS] = {
	[FUNCTION_READ] = "SSL_read",
	[FUNCTION_READ_EX] = "SSL_read_ex",
	[FUNCTION_WRITE] = "SSL_write",
	[FUNCTION_WRITE_EX] = "SSL_write_ex",
	[FUNCTION_SHUTDOWN] = "SSL_shutdown",
	[FUNCTION_FREE] = "SSL_free",
	[FUNCTION_CLEAR] = "SSL_clear",
};

const char *library_function_name(enum library_function function)
{
	return function < FUNCTIONS ? function_names[function] : "?";
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

static void take_symbol(struct image *image, const struct versions *versions,
			size_t index, const GElf_Sym *symbol, const char *name)
{
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		struct symbol taken = { .found = true };

		if (strcmp(name, function_names[i]))
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
		if (name && !strncmp(name, "SSL_", 4))
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

	if (placement) {
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

int library_read(const char *opened, bool placement, struct library *library)
{
	struct image *image = calloc(1, sizeof(*image));
	int error = -ENOMEM;

	memset(library->probes, 0, sizeof(library->probes));
	library->version[0] = '\0';
	if (!image)
		return error;
	error = open_image(opened, image);
	if (!error) {
		read_symbols(image);
		if (!image->symbols[FUNCTION_READ].found ||
		    !image->symbols[FUNCTION_WRITE].found)
			error = -ENOENT;
	}
	if (!error)
		error = place_all(image, placement, library->probes);
	if (!error)
		memcpy(library->version, image->symbols[FUNCTION_READ].version,
		       sizeof(library->version));
	else
		memset(library->probes, 0, sizeof(library->probes));
	close_image(image);
	free(image);
	return error;
}

bool library_name_matches(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !fnmatch("libssl*.so*", slash ? slash + 1 : path, 0);
}

/* One line of /proc/PID/maps. */
struct mapping {
	char range[40]; /* START-END, as in map_files */
	dev_t device;
	ino_t inode;
	const char *path; /* in the line */
	bool deleted;
};

/* proc(5): a newline in a path is written as \012. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from;) {
		if (!strncmp(from, "\\012", 4)) {
			*to++ = '\n';
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

/* True for an executable mapping of a file; changes the line. */
static bool parse_mapping(char *line, struct mapping *mapping)
{
	static const char deleted[] = " (deleted)";
	unsigned major, minor;
	unsigned long inode;
	char mode[5];
	size_t length;
	int path = 0;

	if (sscanf(line, "%39s %4s %*s %x:%x %lu %n", mapping->range, mode,
		   &major, &minor, &inode, &path) != 5 ||
	    mode[2] != 'x' || !inode || line[path] != '/')
		return false;
	length = strlen(line + path);
	mapping->deleted = length >= sizeof(deleted) &&
			   !strcmp(line + path + length - sizeof(deleted) + 1,
				   deleted);
	if (mapping->deleted)
		line[path + length - sizeof(deleted) + 1] = '\0';
	unescape(line + path);
	mapping->device = makedev(major, minor);
	mapping->inode = inode;
	mapping->path = line + path;
	return true;
}

/*
 * How to open the mapped file: through the process's root when that is still
 * the same file, else through the mapping.  File systems with a device number
 * a subvolume (btrfs) or stacked ones (overlayfs) show another device in
 * maps than in stat: there the mapping is the proof.
 */
static bool find_file(pid_t pid, const struct mapping *mapping,
		      struct library *library)
{
	struct stat status;

	snprintf(library->path, sizeof(library->path), "%s", mapping->path);
	if (!mapping->deleted &&
	    snprintf(library->opened, sizeof(library->opened),
		     "/proc/%d/root%s", pid,
		     mapping->path) < (int)sizeof(library->opened) &&
	    !stat(library->opened, &status) &&
	    status.st_dev == mapping->device && status.st_ino == mapping->inode)
		return true;
	snprintf(library->opened, sizeof(library->opened),
		 "/proc/%d/map_files/%s", pid, mapping->range);
	return !stat(library->opened, &status);
}

struct scan {
	pid_t pid;
	int (*found)(void *context, const struct library *library);
	void *context;
	struct mapping seen[SEEN_MAX];
	unsigned seen_count;
};

/* 1 when found() wants no more, else 0. */
static int scan_line(struct scan *scan, char *line)
{
	struct mapping mapping;
	struct library *library;
	int stop = 0;

	/* Few lines name a libssl: look at the rest of the line only then. */
	if (!strstr(line, "libssl") || !parse_mapping(line, &mapping) ||
	    !library_name_matches(mapping.path))
		return 0;
	for (unsigned i = 0; i < scan->seen_count; i++) {
		if (scan->seen[i].device == mapping.device &&
		    scan->seen[i].inode == mapping.inode)
			return 0;
	}
	if (scan->seen_count == SEEN_MAX)
		return 0;
	library = calloc(1, sizeof(*library));
	if (!library)
		return 0;
	library->device = mapping.device;
	library->inode = mapping.inode;
	library->pid = scan->pid;
	if (find_file(scan->pid, &mapping, library))
		stop = scan->found(scan->context, library) ? 1 : 0;
	scan->seen[scan->seen_count++] = mapping;
	free(library);
	return stop;
}

/* Each whole line in the buffer; what is left moves to its front. */
static int scan_buffer(struct scan *scan, char *buffer, size_t *fill)
{
	char *line = buffer, *newline;
	int stop = 0;

	buffer[*fill] = '\0';
	while (!stop && (newline = strchr(line, '\n'))) {
		*newline = '\0';
		stop = scan_line(scan, line);
		line = newline + 1;
	}
	*fill = strlen(line);
	memmove(buffer, line, *fill + 1);
	return stop;
}

/* -errno, 0 at the end of the maps, or 1 when found() wants no more. */
static int scan_process(struct scan *scan)
{
	char buffer[MAPS_LINE_MAX * 2], name[40];
	size_t fill = 0;
	ssize_t count;
	int fd, result = 0;

	snprintf(name, sizeof(name), "/proc/%d/maps", scan->pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!result) {
		/* No line is that long: drop it rather than stop here. */
		if (fill == sizeof(buffer) - 1)
			fill = 0;
		count = read(fd, buffer + fill, sizeof(buffer) - 1 - fill);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0) {
			result = count < 0 ? -errno : 0;
			break;
		}
		fill += count;
		result = scan_buffer(scan, buffer, &fill);
	}
	close(fd);
	return result;
}

int library_scan_process(pid_t pid,
			 int (*found)(void *context,
				      const struct library *library),
			 void *context)
{
	struct scan scan = { .pid = pid, .found = found, .context = context };
	int result = scan_process(&scan);

	return result < 0 ? result : 0;
}

/* One page of a file, mapped as a loader would map its code; NULL: can't. */
static void *map_page(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	void *page = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &status) && S_ISREG(status.st_mode))
		page = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	close(fd);
	return page == MAP_FAILED ? NULL : page;
}

/*
 * The device and inode by which a file is known are those of /proc/PID/maps,
 * which on some filesystems are not stat()'s: so the file is mapped here,
 * and looked for as in any process.  The page is never touched.
 */
int library_scan_installed(int (*found)(void *context,
					const struct library *library),
			   void *context)
{
	static const char *const patterns[] = {
		"/usr/lib/libssl*.so*",	      "/usr/lib/*/libssl*.so*",
		"/usr/lib64/libssl*.so*",     "/usr/local/lib/libssl*.so*",
		"/usr/local/lib/*/libssl*.so*", "/usr/local/lib64/libssl*.so*",
		"/usr/local/ssl/lib*/libssl*.so*", "/opt/*/lib/libssl*.so*",
		"/opt/*/lib64/libssl*.so*",
	};
	int flags = GLOB_NOSORT, result = 0;
	glob_t files = { 0 };
	size_t i;

	for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		glob(patterns[i], flags, NULL, &files);
		flags |= GLOB_APPEND;
	}
	for (i = 0; i < files.gl_pathc && result <= 0; i++) {
		void *page = map_page(files.gl_pathv[i]);

		if (!page)
			continue;
		result = library_scan_process(getpid(), found, context);
		munmap(page, 1);
	}
	globfree(&files);
	return result < 0 ? result : 0;
}

int library_scan_all(int (*found)(void *context, const struct library *library),
		     void *context)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	int count = 0, result = 0;

	if (!directory)
		return -errno;
	while (result <= 0 && (entry = readdir(directory))) {
		struct scan scan = { .found = found, .context = context };

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		scan.pid = strtol(entry->d_name, NULL, 10);
		result = scan_process(&scan);
		count += result >= 0;
	}
	closedir(directory);
	return count;
}
