/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_discovery.c - what finding the libraries of 5,000 processes costs.
 *
 * On a made-up /proc: processes with 60 to 200 mappings each, as servers have
 * them, one in ten with a libssl of one of a few images.  The figures are
 * printed; the bound is generous, and of processor time.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probes/libraries.h"
#include "tests/unit/suite.h"

#define PROCESSES 5000
#define IMAGES	  7
#define CPU_MS_MAX 3000

static char root[] = "/tmp/datasnoop-proc.XXXXXX";
static unsigned found_count;

static void write_maps(FILE *file, unsigned process)
{
	unsigned lines = 60 + process * 37 % 141, i, inode;
	unsigned long at = 0x7f0000000000;
	static const char *const modes[] = {"r--p", "r-xp", "r--p", "rw-p"};

	for (i = 0; i < lines; i++, at += 0x21000) {
		inode = 1000 + i / 4;
		fprintf(file,
			"%lx-%lx %s %08x fe:01 %u                        "
			"  /usr/lib/x86_64-linux-gnu/libdependency%u.so.%u\n",
			at, at + 0x20000, modes[i % 4], i % 4 * 0x1000, inode,
			inode, i % 7);
		if (i % 5 == 0)
			fprintf(file, "%lx-%lx rw-p 00000000 00:00 0 \n",
				at + 0x20000, at + 0x21000);
	}
	if (process % 10 == 0)
		fprintf(file,
			"%lx-%lx r-xp 0001e000 fe:0%u 77                   "
			"/usr/lib/x86_64-linux-gnu/libssl.so.3\n",
			at, at + 0x5c000, 2 + process / 10 % IMAGES);
}

static void set_up(void)
{
	char path[128];
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(root));
	for (unsigned i = 1; i <= PROCESSES; i++) {
		snprintf(path, sizeof(path), "%s/%u", root, i);
		ck_assert_int_eq(mkdir(path, 0700), 0);
		strcat(path, "/map_files");
		/* Each mapping can be opened: any file does. */
		ck_assert_int_eq(mkdir(path, 0700), 0);
		snprintf(path, sizeof(path), "%s/%u/maps", root, i);
		file = fopen(path, "w");
		ck_assert_ptr_nonnull(file);
		write_maps(file, i);
		fclose(file);
	}
}

static void tear_down(void)
{
	char path[128];

	for (unsigned i = 1; i <= PROCESSES; i++) {
		snprintf(path, sizeof(path), "%s/%u/maps", root, i);
		unlink(path);
		snprintf(path, sizeof(path), "%s/%u/map_files", root, i);
		rmdir(path);
		snprintf(path, sizeof(path), "%s/%u", root, i);
		rmdir(path);
	}
	rmdir(root);
}

static int found(void *context, const struct library *library)
{
	(void)context;
	(void)library;
	found_count++;
	return 0;
}

static unsigned cpu_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

START_TEST(five_thousand_processes)
{
	struct library_cache *cache = library_cache_new();
	unsigned begin = cpu_ms(), first, second;

	ck_assert_ptr_nonnull(cache);
	library_cache_proc(cache, root);
	ck_assert_int_eq(library_scan_all(cache, found, NULL), PROCESSES);
	first = cpu_ms() - begin;
	begin = cpu_ms();
	ck_assert_int_eq(library_scan_all(cache, found, NULL), PROCESSES);
	second = cpu_ms() - begin;
	printf("test_discovery: %u processes: %u ms of CPU, again %u ms\n",
	       PROCESSES, first, second);
	ck_assert_uint_le(first, CPU_MS_MAX);
	ck_assert_uint_le(second, CPU_MS_MAX);
	library_cache_free(cache);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("discovery");
	TCase *tcase = tcase_create("all");

	tcase_set_timeout(tcase, 120);
	tcase_add_unchecked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, five_thousand_processes);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
