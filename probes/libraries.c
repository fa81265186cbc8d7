/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libraries.c - which TLS libraries which processes have mapped.
 *
 * Source: proc(5).
 */
#include "probes/libraries.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <uthash.h>

#define MAPS_LINE_MAX (PATH_MAX * 4 + 128) /* a path of \ooo escapes */
#define SEEN_MAX 256   /* files with TLS in one process */
#define CACHE_MAX 65536 /* files; more are not looked at */

struct file_key {
	dev_t device;
	ino_t inode;
};

struct looked {
	struct file_key key;
	enum linked linked;
	UT_hash_handle hh;
};

struct library_cache {
	const char *proc;
	struct looked *files;
};

struct library_cache *library_cache_new(void)
{
	struct library_cache *cache = calloc(1, sizeof(*cache));

	if (cache)
		cache->proc = "/proc";
	return cache;
}

void library_cache_proc(struct library_cache *cache, const char *proc)
{
	cache->proc = proc;
}

void library_cache_free(struct library_cache *cache)
{
	struct looked *file, *next;

	if (!cache)
		return;
	HASH_ITER(hh, cache->files, file, next) {
		HASH_DEL(cache->files, file);
		free(file);
	}
	free(cache);
}

bool library_name_matches(const char *path)
{
	static const char *const patterns[] = {
		"libssl*.so*",	    "libgnutls.so*", "libnspr4.so*",
		"libmbedtls.so*",   "libwolfssl.so*", "libs2n.so*",
	};
	const char *slash = strrchr(path, '/');
	size_t i;

	for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (!fnmatch(patterns[i], slash ? slash + 1 : path, 0))
			return true;
	return false;
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

/* The cheap look: "START-END r-xp ..." */
static bool is_executable(const char *line)
{
	const char *mode = strchr(line, ' ');

	return mode && strnlen(mode, 4) == 4 && mode[3] == 'x';
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
static bool find_file(const struct library_cache *cache, pid_t pid,
		      const struct mapping *mapping, struct library *library)
{
	struct stat status;

	snprintf(library->path, sizeof(library->path), "%s", mapping->path);
	if (!mapping->deleted &&
	    snprintf(library->opened, sizeof(library->opened),
		     "%s/%d/root%s", cache->proc, pid,
		     mapping->path) < (int)sizeof(library->opened) &&
	    !stat(library->opened, &status) &&
	    status.st_dev == mapping->device && status.st_ino == mapping->inode)
		return true;
	snprintf(library->opened, sizeof(library->opened),
		 "%s/%d/map_files/%s", cache->proc, pid, mapping->range);
	return !stat(library->opened, &status);
}

struct scan {
	struct library_cache *cache;
	pid_t pid;
	int (*found)(void *context, const struct library *library);
	void *context;
	struct file_key seen[SEEN_MAX];
	unsigned seen_count;
};

/* What a look at a file has found; NULL: it was not looked at. */
static struct looked *find_looked(const struct scan *scan,
				  const struct mapping *mapping)
{
	struct file_key key;
	struct looked *file;

	memset(&key, 0, sizeof(key));
	key.device = mapping->device;
	key.inode = mapping->inode;
	HASH_FIND(hh, scan->cache->files, &key, sizeof(key), file);
	return file;
}

/* What is in a file whose name says nothing; looked at once. */
static enum linked look_once(struct scan *scan, const struct mapping *mapping,
			     struct library *library)
{
	struct looked *file = find_looked(scan, mapping);

	if (file)
		return file->linked;
	if (HASH_COUNT(scan->cache->files) >= CACHE_MAX ||
	    !find_file(scan->cache, scan->pid, mapping, library))
		return LINKED_NONE;
	file = calloc(1, sizeof(*file));
	if (!file)
		return LINKED_NONE;
	file->key.device = mapping->device;
	file->key.inode = mapping->inode;
	file->linked = linked_look(library->opened);
	HASH_ADD(hh, scan->cache->files, key, sizeof(file->key), file);
	return file->linked;
}

static bool seen_before(struct scan *scan, const struct mapping *mapping)
{
	unsigned i;

	for (i = 0; i < scan->seen_count; i++)
		if (scan->seen[i].device == mapping->device &&
		    scan->seen[i].inode == mapping->inode)
			return true;
	if (i == SEEN_MAX)
		return true;
	scan->seen[i].device = mapping->device;
	scan->seen[i].inode = mapping->inode;
	scan->seen_count++;
	return false;
}

/* 1 when found() wants no more, else 0. */
static int scan_line(struct scan *scan, char *line)
{
	struct mapping mapping;
	struct library *library;
	struct looked *looked;
	bool named;
	int stop = 0;

	/* Most lines are of no file, or not executable: no more of them. */
	if (!strchr(line, '/') || !is_executable(line) ||
	    !parse_mapping(line, &mapping))
		return 0;
	looked = find_looked(scan, &mapping);
	if (looked && looked->linked == LINKED_NONE)
		return 0;
	library = calloc(1, sizeof(*library));
	if (!library)
		return 0;
	named = library_name_matches(mapping.path);
	library->linked = named ? LINKED_SYMBOLS :
				  look_once(scan, &mapping, library);
	library->device = mapping.device;
	library->inode = mapping.inode;
	library->pid = scan->pid;
	if (library->linked != LINKED_NONE && !seen_before(scan, &mapping) &&
	    find_file(scan->cache, scan->pid, &mapping, library))
		stop = scan->found(scan->context, library) ? 1 : 0;
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
	char buffer[MAPS_LINE_MAX * 2], name[PATH_MAX];
	size_t fill = 0;
	ssize_t count;
	int fd, result = 0;

	snprintf(name, sizeof(name), "%s/%d/maps", scan->cache->proc,
		 scan->pid);
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

int library_scan_process(struct library_cache *cache, pid_t pid,
			 int (*found)(void *context,
				      const struct library *library),
			 void *context)
{
	struct scan scan = {.cache = cache,
			    .pid = pid,
			    .found = found,
			    .context = context};
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
int library_scan_installed(struct library_cache *cache,
			   int (*found)(void *context,
					const struct library *library),
			   void *context)
{
#define LIBRARIES "/lib{ssl*,gnutls,nspr4,mbedtls,wolfssl,s2n}.so*"
	static const char *const patterns[] = {
		"/usr/{,local/}{lib,lib/*,lib64}" LIBRARIES,
		"/usr/local/ssl/lib*" LIBRARIES,
		"/opt/*/{lib,lib64}" LIBRARIES,
		"/usr/{,local/}bin/node",
	};
#undef LIBRARIES
	int flags = GLOB_NOSORT | GLOB_BRACE, result = 0;
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
		result = library_scan_process(cache, getpid(), found, context);
		munmap(page, 1);
	}
	globfree(&files);
	return result < 0 ? result : 0;
}

int library_scan_all(struct library_cache *cache,
		     int (*found)(void *context, const struct library *library),
		     void *context)
{
	DIR *directory = opendir(cache->proc);
	struct dirent *entry;
	int count = 0, result = 0;

	if (!directory)
		return -errno;
	while (result <= 0 && (entry = readdir(directory))) {
		struct scan scan = {
			.cache = cache, .found = found, .context = context};

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		scan.pid = strtol(entry->d_name, NULL, 10);
		result = scan_process(&scan);
		count += result >= 0;
	}
	closedir(directory);
	return count;
}
