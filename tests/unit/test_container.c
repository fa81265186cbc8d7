/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_container.c - which container a control group's path names.
 *
 * The paths are those that the engines' documentation and sources give, and
 * those beside them that name no container.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "streams/container.h"
#include "tests/unit/suite.h"

#define A "0123456789abcdef0123456789abcdef" \
	  "0123456789abcdef0123456789abcdef"
#define B "ffffffffffffffffffffffffffffffff" \
	  "ffffffffffffffffffffffffffffffff"
#define UID "2f1c7a8e-9d3b-4c5e-8f6a-0b1c2d3e4f50"
#define UID_ "2f1c7a8e_9d3b_4c5e_8f6a_0b1c2d3e4f50"
#define HASH "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
#define KUBE "/kubepods.slice/kubepods-burstable.slice/" \
	     "kubepods-burstable-pod" UID_ ".slice/"

static const struct {
	const char *path, *id, *runtime, *pod;
} paths[] = {
	/* none */
	{"", "", "", ""},
	{"/", "", "", ""},
	{"///", "", "", ""},
	{"/init.scope", "", "", ""},
	{"/user.slice/user-0.slice/session-1.scope", "", "", ""},
	{"/system.slice/docker.service", "", "", ""},
	{"/system.slice/containerd.service", "", "", ""},
	{"/system.slice/lxc.service", "", "", ""},
	{"/kubepods.slice", "", "", ""},
	{"/kubepods/burstable/pod" UID, "", "", ""},
	{"/x/" A "0", "", "", ""},
	{"/x/" A "g", "", "", ""},
	{"/docker/0123456789ab", "", "", ""},
	{"/system.slice/docker-0123456789ab.scope", "", "", ""},
	{"/system.slice/docker-" A "0.scope", "", "", ""},
	{"/system.slice/docker-.scope", "", "", ""},
	/* docker */
	{"/system.slice/docker-" A ".scope", A, "docker", ""},
	{"docker-" A ".scope", A, "docker", ""},
	{"/docker/" A, A, "docker", ""},
	{"/docker/" A "/", A, "docker", ""},
	{"/docker/" A "/init", A, "docker", ""},
	{"/docker/" A "/system.slice/nginx.service", A, "docker", ""},
	{"/docker/" B "/docker/" A, A, "docker", ""},
	{"/docker/" B "/system.slice/docker-" A ".scope/init", A, "docker",
	 ""},
	{"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" A
	 ".scope", A, "docker", ""},
	{"/actions_job/" A, A, "docker", ""},
	{"/moby/" A, A, "docker", ""},
	{A, A, "", ""},
	{"/ecs/" HASH "/" A, A, "", ""},
	/* containerd */
	{"/default/" A, A, "containerd", ""},
	{"/k8s.io/" A, A, "containerd", ""},
	{"/system.slice/nerdctl-" A ".scope", A, "containerd", ""},
	{KUBE "cri-containerd-" A ".scope", A, "containerd", UID},
	{"/system.slice/containerd.service/kubepods-burstable-pod" UID_
	 ".slice:cri-containerd:" A, A, "containerd", UID},
	{"/kubepods-besteffort-pod" HASH ".slice:cri-containerd:" A, A,
	 "containerd", HASH},
	{"/docker/" B "/kubelet.slice/kubelet-kubepods.slice/"
	 "kubelet-kubepods-pod" UID_ ".slice/cri-containerd-" A ".scope", A,
	 "containerd", UID},
	/* kubernetes, the engine not told */
	{"/kubepods/burstable/pod" UID "/" A, A, "", UID},
	{"/kubepods/besteffort/pod" HASH "/" A, A, "", HASH},
	{"/kubepods/pod" UID "/" A "/nested/deeper", A, "", UID},
	{"/kubepods/podcast/" A, A, "", ""},
	{"/kubepods/pod" UID "0/" A, A, "", ""},
	{KUBE "docker-" A ".scope", A, "docker", UID},
	/* cri-o */
	{KUBE "crio-" A ".scope", A, "cri-o", UID},
	{KUBE "crio-" A ".scope/container", A, "cri-o", UID},
	{KUBE "crio-conmon-" A ".scope", "", "", ""},
	{"/kubepods/pod" UID "/crio-" A, A, "cri-o", UID},
	/* podman */
	{"/machine.slice/libpod-" A ".scope", A, "podman", ""},
	{"/machine.slice/libpod-" A ".scope/container", A, "podman", ""},
	{"/machine.slice/libpod-" A ".scope/container/init.scope", A, "podman",
	 ""},
	{"/machine.slice/libpod-conmon-" A ".scope", "", "", ""},
	{"/libpod_parent/libpod-" A, A, "podman", ""},
	{"/libpod_parent/conmon-" A, "", "", ""},
	{"/libpod_parent/" A, A, "podman", ""},
	{"/user.slice/user-1000.slice/user@1000.service/app.slice/"
	 "web.service/libpod-payload-" A, A, "podman", ""},
	/* lxc */
	{"/lxc.payload.web-1/system.slice/nginx.service", "web-1", "lxc", ""},
	{"/lxc.payload.web", "web", "lxc", ""},
	{"/lxc.payload.", "", "", ""},
	{"/lxc.payload/web", "web", "lxc", ""},
	{"/lxc/web", "web", "lxc", ""},
	{"/lxc/web/init.scope", "web", "lxc", ""},
	{"/lxc.monitor.web", "", "", ""},
	{"/lxc.monitor/web", "", "", ""},
	{"/machine.slice/machine-lxc\\x2d4121\\x2dweb.scope", "4121-web",
	 "lxc", ""},
	/* systemd-nspawn */
	{"/machine.slice/systemd-nspawn@deb12.service/payload/system.slice",
	 "deb12", "systemd-nspawn", ""},
	{"/machine.slice/systemd-nspawn@a\\x2db.service/payload", "a-b",
	 "systemd-nspawn", ""},
	{"/machine.slice/systemd-nspawn@deb12.service/supervisor", "", "", ""},
	{"/machine.slice/machine-deb12.scope", "deb12", "systemd-nspawn", ""},
	{"/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", "", "", ""},
	/* longer than any of ours */
	{"/lxc/a123456789b123456789c123456789d123456789e123456789f123456789"
	 "g123456789h123456789", "", "", ""},
};

static void check_container(const struct container *container, int i)
{
	ck_assert_str_eq(container->id, paths[i].id);
	ck_assert_str_eq(container->runtime, paths[i].runtime);
	ck_assert_str_eq(container->pod, paths[i].pod);
}

/* From memory of exactly its size: nothing behind the text is read. */
START_TEST(a_path)
{
	size_t length = strlen(paths[_i].path);
	char *text = malloc(length ? length : 1);
	struct container container;

	memset(&container, 'x', sizeof(container));
	memcpy(text, paths[_i].path, length);
	ck_assert_msg(container_of_path(text, length, &container) ==
			      !!*paths[_i].id,
		      "%s", paths[_i].path);
	check_container(&container, _i);
	free(text);
}
END_TEST

/* In /proc/PID/cgroup, of either version, among hierarchies without it. */
START_TEST(a_line)
{
	static const char *const forms[] = {
		"0::%s\n",
		"0::%s",
		"9:name=systemd:/\n4:memory:%s\n1:cpu,cpuacct:/\n0::/\n",
		"4:memory:%s\n0::/system.slice/containerd.service\n",
		"malformed\n:\n\n0::%s\n",
	};
	struct container container;
	char text[1024];

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		int length = snprintf(text, sizeof(text), forms[i],
				      paths[_i].path);

		ck_assert(container_of_cgroups(text, length, &container) ==
			  !!*paths[_i].id);
		check_container(&container, _i);
	}
}
END_TEST

/* Cut anywhere, a path never gives an id that is none of its own. */
START_TEST(cut_paths)
{
	size_t length = strlen(paths[_i].path);
	struct container container;

	for (size_t n = 0; n < length; n++) {
		char *text = malloc(n ? n : 1);

		memcpy(text, paths[_i].path, n);
		container_of_path(text, n, &container);
		ck_assert(strlen(container.id) < sizeof(container.id));
		if (strlen(container.id) == 64)
			ck_assert_ptr_nonnull(
				strstr(paths[_i].path, container.id));
		free(text);
	}
}
END_TEST

START_TEST(words_that_mean_a_container)
{
	ck_assert(container_matches(A, "0"));
	ck_assert(container_matches(A, "0123456789ab"));
	ck_assert(container_matches(A, A));
	ck_assert(!container_matches(A, B));
	ck_assert(!container_matches(A, A "0"));
	ck_assert(!container_matches(A, ""));
	ck_assert(!container_matches(A, "123"));
	ck_assert(!container_matches("", "0"));
	ck_assert(!container_matches("", ""));
	/* A name is no id: its beginning is another's name. */
	ck_assert(container_matches("web", "web"));
	ck_assert(!container_matches("web-1", "web"));
	ck_assert(!container_matches("fade", "fa"));
	ck_assert(container_matches("fade", "fade"));
}
END_TEST

START_TEST(groups_within_groups)
{
	ck_assert(container_within("/a/b", "/a/b"));
	ck_assert(container_within("/a/b", "/a"));
	ck_assert(container_within("/a/b", "/a/"));
	ck_assert(container_within("/a/b", "/"));
	ck_assert(container_within("/", "/"));
	ck_assert(!container_within("/ab", "/a"));
	ck_assert(!container_within("/a", "/a/b"));
	ck_assert(!container_within("", "/a"));
	ck_assert(!container_within("", "/"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("container");
	TCase *tcase = tcase_create("all");
	int count = sizeof(paths) / sizeof(paths[0]);

	tcase_add_loop_test(tcase, a_path, 0, count);
	tcase_add_loop_test(tcase, a_line, 0, count);
	tcase_add_loop_test(tcase, cut_paths, 0, count);
	tcase_add_test(tcase, words_that_mean_a_container);
	tcase_add_test(tcase, groups_within_groups);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
