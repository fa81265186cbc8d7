/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_socket_list.c - probes/socket_list.c on this process's own sockets.
 */
#include <check.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probes/socket_list.h"
#include "tests/unit/suite.h"

#define PAIRS 100 /* more than there is room for at first */

static uint64_t inode_of(int fd)
{
	struct stat status;

	ck_assert_int_eq(fstat(fd, &status), 0);
	return status.st_ino;
}

START_TEST(each_socket_as_often_as_it_is_open)
{
	struct socket_list list = {0};
	int pairs[PAIRS][2], again, i;
	uint64_t gone;

	for (i = 0; i < PAIRS; i++)
		ck_assert_int_eq(
			socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
	again = dup(pairs[50][0]);
	gone = inode_of(pairs[7][1]);
	close(pairs[7][1]);
	ck_assert_int_eq(socket_list_read(&list, getpid()), 0);
	for (i = 0; i < PAIRS; i++)
		ck_assert_uint_eq(
			socket_list_has(&list, inode_of(pairs[i][0])),
			i == 50 ? 2 : 1);
	ck_assert_uint_eq(socket_list_has(&list, gone), 0);
	close(again);
	ck_assert_int_eq(socket_list_read(&list, getpid()), 0);
	ck_assert_uint_eq(socket_list_has(&list, inode_of(pairs[50][0])), 1);
	socket_list_free(&list);
}
END_TEST

START_TEST(a_process_that_has_gone_has_none)
{
	struct socket_list list = {0};
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(socket_list_read(&list, pid), -ENOENT);
	ck_assert_uint_eq(socket_list_has(&list, 1), 0);
	socket_list_free(&list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("socket_list");
	TCase *all = tcase_create("all");

	tcase_add_test(all, each_socket_as_often_as_it_is_open);
	tcase_add_test(all, a_process_that_has_gone_has_none);
	suite_add_tcase(suite, all);
	return suite_run(suite);
}
