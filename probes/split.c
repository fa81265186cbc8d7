/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * split.c - one kernel tree out of the two halves of a split one.
 *
 * Sources: the packages linux-headers-VERSION-ARCH and -common of Debian 12;
 * the rule "outputmakefile" of the kernel's Makefile.
 */
#include "probes/split.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 16 /* a directory may be a link to one above it */

/* directory/name.  0 or -ENAMETOOLONG. */
static int join(char path[PATH_MAX], const char *directory, const char *name)
{
	return snprintf(path, PATH_MAX, "%s/%s", directory, name) >= PATH_MAX
		       ? -ENAMETOOLONG
		       : 0;
}

static bool is_directory(const char *path)
{
	struct stat status;

	return !stat(path, &status) && S_ISDIR(status.st_mode);
}

/* A half that holds include/linux?  Then its real path.  0 or -errno. */
static int take_source(const char *path, char source[PATH_MAX])
{
	char kconfig[PATH_MAX], real[PATH_MAX];

	if (join(kconfig, path, "include/linux/kconfig.h") ||
	    access(kconfig, R_OK) || !realpath(path, real))
		return -ENOENT;
	memcpy(source, real, PATH_MAX);
	return 0;
}

/* Of the line "include PATH/Makefile", PATH, absolute; "": there is none. */
static void read_makefile(const char *build, char source[PATH_MAX])
{
	char path[PATH_MAX], line[PATH_MAX];
	FILE *file = join(path, build, "Makefile") ? NULL : fopen(path, "re");

	source[0] = '\0';
	while (file && !source[0] && fgets(line, sizeof(line), file)) {
		char *from = line + strlen("include "), *end;

		if (strncmp(line, "include ", strlen("include ")))
			continue;
		from += strspn(from, " \t");
		from[strcspn(from, " \t\n")] = '\0';
		end = strrchr(from, '/');
		if (!end || strcmp(end, "/Makefile"))
			continue;
		*end = '\0';
		if (*from == '/')
			snprintf(source, PATH_MAX, "%s", from);
		else if (join(source, build, from))
			source[0] = '\0';
	}
	if (file)
		fclose(file);
}

int split_source(const char *build, char source[PATH_MAX])
{
	char path[PATH_MAX];

	/* A build with O= keeps a link to what it was made from. */
	if (!join(path, build, "source") && !take_source(path, source))
		return 0;
	read_makefile(build, source);
	if (!source[0])
		return -ENOENT;
	if (!take_source(source, source))
		return 0;
	/* Unpacked or mounted elsewhere, both halves were. */
	if (snprintf(path, sizeof(path), "%s/..%s", build,
		     strrchr(source, '/')) >= (int)sizeof(path))
		return -ENOENT;
	return take_source(path, source);
}

int split_build(const char *source, char build[PATH_MAX])
{
	const char *name = strrchr(source, '/');
	const char *common = name ? strstr(name, "-common") : NULL;
	char pattern[PATH_MAX], other[PATH_MAX];
	glob_t found;
	int error = -ENOENT;

	if (!common ||
	    snprintf(pattern, sizeof(pattern),
		     "%.*s-*/include/generated/autoconf.h",
		     (int)(common - source), source) >= (int)sizeof(pattern))
		return -ENOENT;
	if (glob(pattern, 0, NULL, &found))
		return -ENOENT;
	for (size_t i = 0; error && i < found.gl_pathc; i++) {
		char *end = strstr(found.gl_pathv[i], "/include/generated/");

		snprintf(build, PATH_MAX, "%.*s",
			 (int)(end - found.gl_pathv[i]), found.gl_pathv[i]);
		if (!split_source(build, other) && !strcmp(other, source))
			error = 0;
	}
	globfree(&found);
	return error;
}

static int merge(const char *build, const char *source, const char *into,
		 unsigned depth);

/* into/name: both halves' directory, or a link to the one that has it. */
static int merge_entry(const char *half, const char *other, const char *into,
		       const char *name, unsigned depth)
{
	char mine[PATH_MAX], theirs[PATH_MAX], target[PATH_MAX];

	if (join(mine, half, name) || join(theirs, other, name) ||
	    join(target, into, name))
		return -ENAMETOOLONG;
	if (access(mine, F_OK))
		return 0;
	if (is_directory(mine) && is_directory(theirs)) {
		/* Merged already when it was met in the first half. */
		if (mkdir(target, 0700))
			return errno == EEXIST ? 0 : -errno;
		return merge(mine, theirs, target, depth + 1);
	}
	return symlink(mine, target) && errno != EEXIST ? -errno : 0;
}

static int merge_half(const char *half, const char *other, const char *into,
		      unsigned depth)
{
	DIR *directory = opendir(half);
	struct dirent *entry;
	int error = 0;

	if (!directory)
		return -errno;
	while (!error && (entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			error = merge_entry(half, other, into, entry->d_name,
					    depth);
	closedir(directory);
	return error;
}

/* The first half's files go before the second's of the same name. */
static int merge(const char *build, const char *source, const char *into,
		 unsigned depth)
{
	int error = depth < DEPTH_MAX ? 0 : -ELOOP;

	if (!error)
		error = merge_half(build, source, into, depth);
	return error ? error : merge_half(source, build, into, depth);
}

int split_merge(const char *build, const char *source, const char *into)
{
	static const char *const names[] = {"include", "arch"};
	int error = 0;

	for (size_t i = 0; !error && i < 2; i++) {
		error = merge_entry(build, source, into, names[i], 0);
		if (!error)
			error = merge_entry(source, build, into, names[i], 0);
	}
	return error;
}
