/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_headers.c - probes/headers.c and probes/btf.c: types that compile.
 */
#include <bcc/bcc_common.h>
#include <bpf/btf.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probes/btf.h"
#include "probes/headers.h"
#include "tests/unit/suite.h"

static struct headers headers;
static char why[PATH_MAX + 128];

/* The types of the running kernel; false and a note when it has no BTF. */
static bool prepare(void)
{
	int error =
		headers_prepare(&headers, HEADERS_BTF, NULL, why, sizeof(why));

	if (error == -ENOENT) {
		printf("# skipped: %s\n", why);
		return false;
	}
	ck_assert_msg(!error, "%s", why);
	return true;
}

/* Does libbcc compile the text with the prepared tree? */
static bool compiles(const char *text)
{
	const char *flags[] = {"-w"};
	void *module;

	ck_assert_int_eq(setenv("BCC_KERNEL_SOURCE", headers.directory, 1), 0);
	module = bpf_module_create_c_from_string(text, 0, flags, 1, true, NULL);
	if (module)
		bpf_module_destroy(module);
	return module;
}

/* Does it refuse?  What it says of an error that is meant to be is hidden. */
static bool refuses(const char *text)
{
	int null = open("/dev/null", O_WRONLY), saved = dup(STDERR_FILENO);
	bool result;

	ck_assert_int_ge(dup2(null, STDERR_FILENO), 0);
	result = !compiles(text);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	return result;
}

START_TEST(test_tree)
{
	char path[PATH_MAX + 64];
	struct stat status;

	if (!prepare())
		return;
	ck_assert(headers.remove);
	ck_assert_int_eq(headers.source, HEADERS_BTF);
	ck_assert_int_eq(stat(headers.directory, &status), 0);
	ck_assert_int_eq(status.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s/include/linux/kconfig.h",
		 headers.directory);
	ck_assert_int_eq(stat(path, &status), 0);
	/* The whole kernel would be megabytes, and seconds to compile. */
	ck_assert_int_lt(status.st_size, 500000);
	snprintf(path, sizeof(path), "%s", headers.directory);
	headers_release(&headers);
	ck_assert_int_eq(stat(path, &status), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(headers.directory, "");
	/* Released once more, it must not remove anything. */
	headers_release(&headers);
}
END_TEST

/* What the BPF program includes and follows. */
START_TEST(test_compiles)
{
	static const char text[] =
		"#include <uapi/linux/ptrace.h>\n"
		"#include <linux/sched.h>\n"
		"#include <linux/fdtable.h>\n"
		"#include <linux/fs.h>\n"
		"#include <linux/net.h>\n"
		"#include <linux/version.h>\n"
		"#include <net/sock.h>\n"
		"#include <net/inet_sock.h>\n"
		"#include <net/af_unix.h>\n"
		"#if LINUX_VERSION_CODE < KERNEL_VERSION(4, 18, 0)\n"
		"#error version\n"
		"#endif\n"
		"int f(struct pt_regs *ctx)\n"
		"{\n"
		"	struct task_struct *task =\n"
		"		(void *)bpf_get_current_task();\n"
		"	struct file **fd = task->files->fdt->fd;\n"
		"	struct file *file = 0;\n"
		"	struct socket *socket = 0;\n"
		"	u16 port = 0;\n"
		"	dev_t device = 0;\n"
		"	bpf_probe_read(&file, 8, &fd[PT_REGS_PARM1(ctx)]);\n"
		"	bpf_probe_read(&device, 4,\n"
		"		       &file->f_inode->i_sb->s_dev);\n"
		"	bpf_probe_read(&socket, 8, &file->private_data);\n"
		"	bpf_probe_read(&port, 2,\n"
		"		       &socket->sk->__sk_common.skc_num);\n"
		"	return S_ISSOCK(file->f_inode->i_mode) + port +\n"
		"	       device + task->tgid + AF_INET6 +\n"
		"	       sizeof(struct inet_sock) +\n"
		"	       sizeof(struct unix_sock);\n"
		"}\n";

	if (!prepare())
		return;
	ck_assert(compiles(text));
	ck_assert(refuses("int f(void *ctx) { struct task_struct t; "
			  "return sizeof(t.no_such_member); }\n"));
	headers_release(&headers);
}
END_TEST

START_TEST(test_temporary_directory)
{
	char path[PATH_MAX];

	ck_assert_int_eq(setenv("TMPDIR", "/nonexistent", 1), 0);
	if (!access("/sys/kernel/btf/vmlinux", R_OK)) {
		ck_assert_int_eq(headers_prepare(&headers, HEADERS_BTF, NULL,
						 why, sizeof(why)),
				 -ENOENT);
		ck_assert_ptr_nonnull(strstr(why, "/nonexistent"));
		ck_assert(!headers.remove);
	}
	snprintf(path, sizeof(path), "/tmp/test_headers.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(setenv("TMPDIR", path, 1), 0);
	if (prepare()) {
		ck_assert_int_eq(strncmp(headers.directory, path, strlen(path)),
				 0);
		headers_release(&headers);
	}
	/* All of it is gone, or this fails. */
	ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

/* root/name, with the directories between, holding `text`. */
static void put(const char *root, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *at = path + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(path, 0700);
		*at = '/';
	}
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

/* Does the prepared tree have a file of that text? */
static bool has(const char *name, const char *text)
{
	char path[PATH_MAX + 128], line[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", headers.directory, name);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	return !strcmp(line, text);
}

static int remove_entry(const char *path, const struct stat *status, int type,
			struct FTW *at)
{
	(void)status;
	(void)type;
	(void)at;
	return remove(path);
}

static void remove_tree(const char *root)
{
	ck_assert_int_eq(nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static int prepare_user(const char *directory)
{
	return headers_prepare(&headers, HEADERS_USER, directory, why,
			       sizeof(why));
}

/* Ctrl-C ends the process once its tree is gone, not before. */
START_TEST(test_interrupted)
{
	char path[PATH_MAX];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "/tmp/test_headers.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(setenv("TMPDIR", path, 1), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		signal(SIGINT, SIG_DFL); /* check has a handler */
		if (!prepare())
			_exit(0);
		raise(SIGINT);
		headers_release(&headers);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) || !WEXITSTATUS(status));
	ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

START_TEST(test_user_directory)
{
	char path[] = "/tmp/test_headers.XXXXXX";

	ck_assert_int_eq(prepare_user(NULL), -ENOENT);
	ck_assert_int_eq(prepare_user("/nonexistent"), -ENOENT);
	ck_assert_str_eq(why, "/nonexistent: No such file or directory");
	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(prepare_user(path), -ENOENT);
	ck_assert_ptr_null(strstr(why, "name"));
	put(path, "include/linux/kconfig.h", "");
	put(path, "include/generated/autoconf.h", "");
	/* libbcc changes its directory: a relative one becomes absolute. */
	ck_assert_int_eq(chdir("/tmp"), 0);
	ck_assert_int_eq(prepare_user(path + 5), 0);
	ck_assert_str_eq(headers.directory, path);
	ck_assert(!headers.remove);
	/* The user's own tree is never removed. */
	headers_release(&headers);
	remove_tree(path);
}
END_TEST

/* Debian's two halves, and an -rt flavour of the same common name. */
static void make_split(const char *root)
{
	char text[PATH_MAX];

	put(root, "h-6-common/include/linux/kconfig.h", "kconfig");
	put(root, "h-6-common/include/generated/both.h", "common");
	put(root, "h-6-common/arch/x86/include/asm/page.h", "page");
	put(root, "h-6-common/arch/arm/include/asm/page.h", "arm");
	put(root, "h-6-common/Makefile", "VERSION = 6\n");
	put(root, "h-6-common-rt/include/linux/kconfig.h", "rt");
	put(root, "h-6-amd64/include/generated/autoconf.h", "autoconf");
	put(root, "h-6-amd64/include/generated/both.h", "amd64");
	put(root, "h-6-amd64/arch/x86/include/generated/asm/x.h", "x");
	snprintf(text, sizeof(text),
		 "# made\ninclude /nowhere/rules.mk\n"
		 "include %s/h-6-common/Makefile\n",
		 root);
	put(root, "h-6-amd64/Makefile", text);
	put(root, "h-6-a-rt/include/generated/autoconf.h", "autoconf");
	snprintf(text, sizeof(text), "include %s/h-6-common-rt/Makefile\n",
		 root);
	put(root, "h-6-a-rt/Makefile", text);
}

static void assert_merged(void)
{
	ck_assert(has("include/linux/kconfig.h", "kconfig"));
	ck_assert(has("include/generated/autoconf.h", "autoconf"));
	ck_assert(has("include/generated/both.h", "amd64"));
	ck_assert(has("arch/x86/include/asm/page.h", "page"));
	ck_assert(has("arch/arm/include/asm/page.h", "arm"));
	ck_assert(has("arch/x86/include/generated/asm/x.h", "x"));
}

START_TEST(test_split)
{
	char root[] = "/tmp/test_headers.XXXXXX", moved[64], path[PATH_MAX];
	struct stat status;

	ck_assert_ptr_nonnull(mkdtemp(root));
	make_split(root);
	snprintf(path, sizeof(path), "%s/h-6-amd64", root);
	ck_assert_msg(!prepare_user(path), "%s", why);
	ck_assert(headers.remove);
	assert_merged();
	ck_assert_int_eq(stat(headers.directory, &status), 0);
	ck_assert_int_eq(status.st_mode & 07777, 0700);
	snprintf(path, sizeof(path), "%s", headers.directory);
	headers_release(&headers);
	ck_assert_int_eq(stat(path, &status), -1);
	/* What its links led to is still there, and where it is mounted. */
	snprintf(moved, sizeof(moved), "%s.moved", root);
	ck_assert_int_eq(rename(root, moved), 0);
	snprintf(path, sizeof(path), "%s/build", moved);
	ck_assert_int_eq(symlink("h-6-amd64", path), 0);
	ck_assert_msg(!prepare_user(path), "%s", why);
	assert_merged();
	headers_release(&headers);
	remove_tree(moved);
}
END_TEST

/* The trees of a build with O=, which keeps a link to its sources. */
START_TEST(test_split_by_output)
{
	char root[] = "/tmp/test_headers.XXXXXX", path[64];

	ck_assert_ptr_nonnull(mkdtemp(root));
	put(root, "s/include/linux/kconfig.h", "kconfig");
	put(root, "o/include/generated/autoconf.h", "autoconf");
	snprintf(path, sizeof(path), "%s/o/source", root);
	ck_assert_int_eq(symlink("../s", path), 0);
	snprintf(path, sizeof(path), "%s/o", root);
	ck_assert_msg(!prepare_user(path), "%s", why);
	ck_assert(has("include/linux/kconfig.h", "kconfig"));
	ck_assert(has("include/generated/autoconf.h", "autoconf"));
	headers_release(&headers);
	/* A directory within itself, in both halves, must come to an end. */
	snprintf(path, sizeof(path), "%s/s/include/loop", root);
	ck_assert_int_eq(symlink(".", path), 0);
	snprintf(path, sizeof(path), "%s/o/include/loop", root);
	ck_assert_int_eq(symlink(".", path), 0);
	snprintf(path, sizeof(path), "%s/o", root);
	ck_assert_int_eq(prepare_user(path), -ELOOP);
	ck_assert(!headers.remove);
	remove_tree(root);
}
END_TEST

/* One half that does not lead to the other: what to name instead. */
START_TEST(test_half)
{
	char root[] = "/tmp/test_headers.XXXXXX", path[64], name[64];

	ck_assert_ptr_nonnull(mkdtemp(root));
	make_split(root);
	snprintf(path, sizeof(path), "%s/h-6-common", root);
	snprintf(name, sizeof(name), "; name %s/h-6-amd64", root);
	ck_assert_int_eq(prepare_user(path), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "no include/generated"));
	ck_assert_ptr_nonnull(strstr(why, name));
	snprintf(path, sizeof(path), "%s/h-6-common-rt", root);
	snprintf(name, sizeof(name), "; name %s/h-6-a-rt", root);
	ck_assert_int_eq(prepare_user(path), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, name));
	put(root, "alone/include/linux/kconfig.h", "");
	snprintf(path, sizeof(path), "%s/alone", root);
	ck_assert_int_eq(prepare_user(path), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "; name the tree of a built kernel"));
	put(root, "h-6-amd64/Makefile", "include /nowhere/else/Makefile\n");
	snprintf(path, sizeof(path), "%s/h-6-amd64", root);
	ck_assert_int_eq(prepare_user(path), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "none in /nowhere/else"));
	put(root, "h-6-amd64/Makefile", "all:\n");
	ck_assert_int_eq(prepare_user(path), -ENOENT);
	ck_assert_ptr_nonnull(strstr(why, "no other half named"));
	ck_assert(!headers.remove);
	remove_tree(root);
}
END_TEST

/*
 * A BTF file with a struct that embeds what libbcc's bpf.h declares as well:
 *	enum bpf_kind { BPF_ONE = 1 };
 *	struct bpf_part { enum bpf_kind kind; };
 *	struct whole { struct bpf_part part; struct xdp_md *md; int last; };
 * with @last_bits as the offset of `last`.
 */
static void write_btf(const char *path, unsigned last_bits)
{
	struct btf *btf = btf__new_empty();
	FILE *file = fopen(path, "w");
	int integer, kind, part, md, pointer;
	const void *bytes;
	__u32 size;

	ck_assert_ptr_nonnull(btf);
	ck_assert_ptr_nonnull(file);
	integer = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	kind = btf__add_enum(btf, "bpf_kind", 4);
	btf__add_enum_value(btf, "BPF_ONE", 1);
	part = btf__add_struct(btf, "bpf_part", 4);
	btf__add_field(btf, "kind", kind, 0, 0);
	md = btf__add_fwd(btf, "xdp_md", BTF_FWD_STRUCT);
	pointer = btf__add_ptr(btf, md);
	btf__add_struct(btf, "whole", 24);
	btf__add_field(btf, "part", part, 0, 0);
	btf__add_field(btf, "md", pointer, 64, 0);
	ck_assert_int_eq(btf__add_field(btf, "last", integer, last_bits, 0), 0);
	bytes = btf__raw_data(btf, &size);
	ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
	fclose(file);
	btf__free(btf);
}

/* The declarations of `whole`; freed by the caller. */
static char *print_btf(unsigned last_bits)
{
	static const char *const names[] = {"absent", "whole", NULL};
	char path[] = "/tmp/test_headers.XXXXXX", *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	write_btf(path, last_bits);
	ck_assert_int_eq(btf_write_types(path, names, out), 0);
	fclose(out);
	unlink(path);
	return text;
}

START_TEST(test_collisions)
{
	char *text = print_btf(128);

	ck_assert_ptr_nonnull(strstr(text, "enum kernel_bpf_kind {"));
	ck_assert_ptr_nonnull(strstr(text, "\tkernel_BPF_ONE = 1"));
	ck_assert_ptr_nonnull(strstr(text, "struct kernel_bpf_part {"));
	ck_assert_ptr_nonnull(strstr(text, "\tenum kernel_bpf_kind kind;"));
	ck_assert_ptr_nonnull(strstr(text, "\tstruct kernel_bpf_part part;"));
	ck_assert_ptr_nonnull(strstr(text, "\tstruct kernel_xdp_md *md;"));
	ck_assert_ptr_null(strstr(text, " bpf_"));
	ck_assert_ptr_null(strstr(text, "\tBPF_ONE"));
	ck_assert_ptr_nonnull(strstr(text, "struct whole {"));
	ck_assert_ptr_nonnull(strstr(text, "(struct whole, last) == 16"));
	ck_assert_ptr_nonnull(strstr(text, "sizeof(struct whole) == 24"));
	ck_assert_ptr_null(strstr(text, "absent"));
	free(text);
}
END_TEST

START_TEST(test_members)
{
	char path[] = "/tmp/test_headers.XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	write_btf(path, 128);
	ck_assert_int_eq(btf_has_member(path, "whole", "last"), 1);
	ck_assert_int_eq(btf_has_member(path, "whole", "kind"), 0);
	ck_assert_int_eq(btf_has_member(path, "absent", "last"), -ENOENT);
	unlink(path);
	ck_assert_int_eq(btf_has_member(path, "whole", "last"), -ENOENT);
}
END_TEST

/* An offset that no C declaration has must not compile. */
START_TEST(test_assertions)
{
	char *good = print_btf(128), *bad = print_btf(120), *source;

	if (!prepare()) {
		free(good);
		free(bad);
		return;
	}
	ck_assert_int_gt(
		asprintf(&source, "%s\nint f(void *c) { return 0; }\n", good),
		0);
	ck_assert(compiles(source));
	free(source);
	ck_assert_int_gt(
		asprintf(&source, "%s\nint f(void *c) { return 0; }\n", bad),
		0);
	ck_assert(refuses(source));
	free(source);
	free(good);
	free(bad);
	headers_release(&headers);
}
END_TEST

START_TEST(test_bad_btf)
{
	static const char *const names[] = {"whole", NULL};
	FILE *out = fopen("/dev/null", "w");

	ck_assert_int_eq(btf_write_types("/nonexistent", names, out), -ENOENT);
	ck_assert_int_lt(btf_write_types("/etc/passwd", names, out), 0);
	ck_assert_int_lt(btf_write_types("/dev/null", names, out), 0);
	fclose(out);
}
END_TEST

START_TEST(test_names)
{
	for (unsigned i = 0; i < HEADERS_SOURCES; i++)
		ck_assert_str_ne(headers_source_name(i), "?");
	ck_assert_str_eq(headers_source_name(HEADERS_SOURCES), "?");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("headers");
	TCase *tcase = tcase_create("all");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_tree);
	tcase_add_test(tcase, test_compiles);
	tcase_add_test(tcase, test_temporary_directory);
	tcase_add_test(tcase, test_interrupted);
	tcase_add_test(tcase, test_user_directory);
	tcase_add_test(tcase, test_split);
	tcase_add_test(tcase, test_split_by_output);
	tcase_add_test(tcase, test_half);
	tcase_add_test(tcase, test_collisions);
	tcase_add_test(tcase, test_members);
	tcase_add_test(tcase, test_assertions);
	tcase_add_test(tcase, test_bad_btf);
	tcase_add_test(tcase, test_names);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
