/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * container.h - which container a control group's path names.
 *
 * Pure functions over text; the text is the container's engine's, or somebody
 * else's who may make control groups: no length in it is believed.
 */
#ifndef DATASNOOP_STREAMS_CONTAINER_H
#define DATASNOOP_STREAMS_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>

struct container {
	char id[72];	  /* 64 hexadecimal digits, or a name; "": none */
	char runtime[16]; /* docker, containerd, cri-o, podman, lxc,
			     systemd-nspawn; "": not known */
	char pod[40];	  /* Kubernetes' uid of its pod; "": none */
};

/*
 * container_of_path - the innermost container that a path names
 * @path: of a control group, "/system.slice/docker-4f....scope"; or its end
 *
 * A control group inside a container's is the container's (docker's "init",
 * podman's "container"); that of an engine's monitor beside it is not (conmon,
 * lxc.monitor, nspawn's supervisor).  False, and all "", when there is none.
 * Sources: runc's libcontainer/cgroups, containerd's and cri-o's configuration
 * of cgroup names, podman-create(1), lxc.container.conf(5),
 * systemd-nspawn(1), the kubelet's pkg/kubelet/cm.
 */
bool container_of_path(const char *path, size_t length,
		       struct container *container);

/*
 * container_of_cgroups - the same in the text of /proc/PID/cgroup: a line a
 * hierarchy, "4:memory:/docker/4f..."; the first line that names one counts.
 * Source: cgroups(7).
 */
bool container_of_cgroups(const char *text, size_t length,
			  struct container *container);

/* Does the user's word, a name or an id's beginning, mean this container? */
bool container_matches(const char *id, const char *word);

/*
 * container_within - is a control group another one, or inside of it?
 * @path, @group: from the root of the hierarchy, "/system.slice"
 */
bool container_within(const char *path, const char *group);

#endif
