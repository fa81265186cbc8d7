/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * process.c - what /proc and the user database say of a traced process.
 *
 * The process may end at any moment, and chooses much of what /proc says of
 * it: every read may fail, and no text is trusted beyond its length.
 * Sources: proc(5), namespaces(7).
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "streams/cgroups.h"
#include "streams/container.h"
#include "streams/arguments.h"
#include "streams/process.h"

#define CGROUP_BYTES_MAX 16384 /* of /proc/PID/cgroup */
#define STAT_BYTES_MAX 1024    /* of /proc/PID/stat: 52 numbers, a name */
#define PASSWD_BYTES_MAX 16384 /* of one entry of the user database */
/* Inode of the initial PID namespace: PROC_PID_INIT_INO in the kernel. */
#define INITIAL_PID_NAMESPACE 0xEFFFFFFCU

/* What is remembered of a process: of struct process, what /proc was asked. */
struct identity {
	struct identity_key {
		uint64_t start_ns;
		uint64_t cgroup_id;
		uint64_t pid;
		char comm[BATCH_COMM_BYTES];
	} key;
	char executable[sizeof(((struct process *)0)->executable)];
	struct container container;
	UT_hash_handle hh;
};

struct user {
	uint32_t uid;
	char name[sizeof(((struct process *)0)->user)];
	UT_hash_handle hh;
};

struct process_cache {
	size_t bound;
	bool initial_namespace;
	struct cgroups *cgroups;
	struct identity *identities; /* oldest first, as uthash keeps them */
	struct user *users;
};

struct process_cache *process_cache_new(size_t bound)
{
	struct process_cache *cache = calloc(1, sizeof(*cache));
	struct stat namespace;

	if (!cache)
		return NULL;
	cache->bound = bound ? bound : 1;
	cache->cgroups = cgroups_new(cache->bound);
	if (!cache->cgroups) {
		free(cache);
		return NULL;
	}
	cache->initial_namespace =
		stat("/proc/self/ns/pid", &namespace) == 0 &&
		namespace.st_ino == INITIAL_PID_NAMESPACE;
	return cache;
}

void process_cache_free(struct process_cache *cache)
{
	struct identity *identity, *next_identity;
	struct user *user, *next_user;

	if (!cache)
		return;
	HASH_ITER (hh, cache->identities, identity, next_identity) {
		HASH_DEL(cache->identities, identity);
		free(identity);
	}
	HASH_ITER (hh, cache->users, user, next_user) {
		HASH_DEL(cache->users, user);
		free(user);
	}
	cgroups_free(cache->cgroups);
	free(cache);
}

/* The first bytes of /proc/PID/name, terminated; their number, or -errno. */
static ssize_t read_proc(uint32_t pid, const char *name, char *text,
			 size_t size)
{
	size_t length = 0;
	ssize_t got = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (length < size - 1) {
		got = read(fd, text + length, size - 1 - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		length += got;
	}
	if (got < 0)
		got = -errno;
	close(fd);
	text[length] = '\0';
	return got < 0 ? got : (ssize_t)length;
}

static void copy_text(char *to, size_t size, const char *from)
{
	size_t length = strnlen(from, size - 1);

	memcpy(to, from, length);
	to[length] = '\0';
}

static void read_executable(uint32_t pid, char *name, size_t size)
{
	static const char deleted[] = " (deleted)";
	char path[64], target[PATH_MAX];
	const char *base;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return;
	target[length] = '\0';
	length -= sizeof(deleted) - 1;
	if (length > 0 && strcmp(target + length, deleted) == 0)
		target[length] = '\0';
	base = strrchr(target, '/');
	copy_text(name, size, base ? base + 1 : target);
}

static void set_container(struct process *process,
			  const struct container *container)
{
	_Static_assert(sizeof(process->container) == sizeof(container->id) &&
			       sizeof(process->runtime) ==
				       sizeof(container->runtime) &&
			       sizeof(process->pod) == sizeof(container->pod),
		       "copied whole");
	memcpy(process->container, container->id, sizeof(container->id));
	memcpy(process->runtime, container->runtime,
	       sizeof(container->runtime));
	memcpy(process->pod, container->pod, sizeof(container->pod));
}

void process_told(struct process *process, const struct batch_open *open)
{
	size_t length = open->arguments_length;
	struct container container;

	if (length > BATCH_ARGUMENTS_BYTES)
		length = BATCH_ARGUMENTS_BYTES;
	arguments_show(process->command_line, sizeof(process->command_line),
		       open->arguments, length);
	snprintf(process->executable, sizeof(process->executable), "%.*s",
		 BATCH_NAME_BYTES - 1, open->executable);
	process->cgroup_id = open->cgroup;
	container_of_path(open->cgroup_name,
			  strnlen(open->cgroup_name, BATCH_CGROUP_BYTES),
			  &container);
	set_container(process, &container);
}

/* Of the hierarchies that /proc/PID/cgroup lists; false: none, or not read. */
static bool read_container(uint32_t pid, struct container *container)
{
	char *text = malloc(CGROUP_BYTES_MAX);
	ssize_t length;
	bool found;

	if (!text)
		return false;
	length = read_proc(pid, "cgroup", text, CGROUP_BYTES_MAX);
	found = length > 0 && container_of_cgroups(text, length, container);
	free(text);
	return found;
}

/* The container: by the control group's path, else as /proc tells it. */
static void find_container(const struct process_cache *cache,
			   struct process *process)
{
	struct container container;
	const char *path = process->cgroup;

	if (container_of_path(path, strlen(path), &container) ||
	    (!cgroups_are_all(cache->cgroups) &&
	     read_container(process->pid, &container)) ||
	    (!path[0] && read_container(process->pid, &container)))
		set_container(process, &container);
}

/* What the user database calls a uid, asked once. */
static const char *user_name(struct process_cache *cache, uint32_t uid)
{
	char buffer[PASSWD_BYTES_MAX];
	struct passwd entry, *found = NULL;
	struct user *user;

	HASH_FIND(hh, cache->users, &uid, sizeof(uid), user);
	if (user)
		return user->name;
	user = calloc(1, sizeof(*user));
	if (!user)
		return "";
	user->uid = uid;
	if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 &&
	    found)
		copy_text(user->name, sizeof(user->name), found->pw_name);
	HASH_ADD(hh, cache->users, uid, sizeof(user->uid), user);
	if (!user->hh.tbl) {
		free(user);
		return "";
	}
	if (HASH_COUNT(cache->users) > cache->bound) {
		struct user *oldest = cache->users;

		HASH_DEL(cache->users, oldest);
		free(oldest);
	}
	return user->name;
}

/* Remember an identity, and forget the oldest beyond the bound. */
static void cache_add(struct process_cache *cache, struct identity *identity)
{
	struct identity *oldest;

	HASH_ADD(hh, cache->identities, key, sizeof(identity->key), identity);
	if (!identity->hh.tbl) {
		free(identity);
		return;
	}
	if (HASH_COUNT(cache->identities) <= cache->bound)
		return;
	oldest = cache->identities;
	HASH_DEL(cache->identities, oldest);
	free(oldest);
}

/* The path of its control group, and whether that tells the container. */
static void identify_cgroup(struct process_cache *cache,
			    struct process *process)
{
	struct container container;

	if (!process->cgroup_id)
		return;
	copy_text(process->cgroup, sizeof(process->cgroup),
		  cgroups_path(cache->cgroups, process->cgroup_id));
	process->cgroup_tells =
		process->cgroup[0] &&
		(cgroups_are_all(cache->cgroups) ||
		 container_of_path(process->cgroup, strlen(process->cgroup),
				   &container));
}

/* What the kernel told is kept, unless its field may have cut it. */
static void find_executable(struct process *process)
{
	size_t told = strlen(process->executable);

	if (!told || told == BATCH_NAME_BYTES - 1)
		read_executable(process->pid, process->executable,
				sizeof(process->executable));
}

static void identify_remembered(struct process_cache *cache,
				struct process *process)
{
	size_t told = strlen(process->executable);
	struct identity_key key;
	struct identity *identity;

	memset(&key, 0, sizeof(key));
	key.start_ns = process->start_ns;
	key.cgroup_id = process->cgroup_id;
	key.pid = process->pid;
	memcpy(key.comm, process->comm, sizeof(key.comm));
	HASH_FIND(hh, cache->identities, &key, sizeof(key), identity);
	if (identity) {
		if (!told || told == BATCH_NAME_BYTES - 1)
			memcpy(process->executable, identity->executable,
			       sizeof(process->executable));
		set_container(process, &identity->container);
		return;
	}
	find_executable(process);
	find_container(cache, process);
	identity = calloc(1, sizeof(*identity));
	if (!identity)
		return;
	identity->key = key;
	memcpy(identity->executable, process->executable,
	       sizeof(identity->executable));
	memcpy(identity->container.id, process->container,
	       sizeof(identity->container.id));
	memcpy(identity->container.runtime, process->runtime,
	       sizeof(identity->container.runtime));
	memcpy(identity->container.pod, process->pod,
	       sizeof(identity->container.pod));
	cache_add(cache, identity);
}

/* Without the kernel's word of comm and uid: /proc's.  Is the uid known? */
static bool identify_unknown(struct process *process)
{
	struct container container;
	char path[64];
	struct stat owner;
	ssize_t length;

	length = read_proc(process->pid, "comm", process->comm,
			   sizeof(process->comm));
	if (length > 0 && process->comm[length - 1] == '\n')
		process->comm[length - 1] = '\0';
	read_executable(process->pid, process->executable,
			sizeof(process->executable));
	if (read_container(process->pid, &container))
		set_container(process, &container);
	snprintf(path, sizeof(path), "/proc/%u", process->pid);
	if (stat(path, &owner) < 0)
		return false;
	process->uid = owner.st_uid;
	return true;
}

void process_identify(struct process_cache *cache, struct process *process)
{
	bool uid_known = process->start_ns != 0;

	identify_cgroup(cache, process);
	if (cache->initial_namespace && process->start_ns)
		identify_remembered(cache, process);
	else if (cache->initial_namespace)
		uid_known = identify_unknown(process);
	if (uid_known)
		copy_text(process->user, sizeof(process->user),
			  user_name(cache, process->uid));
}

/*
 * State, threads and start of a process, from /proc/PID/stat; false: not read.
 * The name in parentheses may hold anything: the last ')' ends it.
 */
static bool read_stat(uint32_t pid, char *state, long *threads,
		      unsigned long long *start_ticks)
{
	char text[STAT_BYTES_MAX], *end;

	if (read_proc(pid, "stat", text, sizeof(text)) <= 0)
		return false;
	end = strrchr(text, ')');
	return end && sscanf(end + 1,
			     " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u"
			     " %*u %*u %*d %*d %*d %*d %ld %*d %llu",
			     state, threads, start_ticks) == 3;
}

bool process_gone(const struct process_cache *cache, uint32_t pid)
{
	return cache->initial_namespace && pid && kill((pid_t)pid, 0) < 0 &&
	       errno == ESRCH;
}

bool process_alive(const struct process_cache *cache, uint32_t pid,
		   uint64_t start_ns)
{
	unsigned long long started, ticks;
	long per_second = sysconf(_SC_CLK_TCK), threads;
	char state;

	if (process_gone(cache, pid))
		return false;
	if (!cache->initial_namespace || !pid || per_second <= 0)
		return true;
	if (!read_stat(pid, &state, &threads, &ticks))
		return true;
	/* A leader that ended before its threads is a zombie, not dead. */
	if ((state == 'Z' || state == 'X') && threads <= 1)
		return false;
	started = start_ns / (1000000000ULL / per_second);
	return !start_ns || started == ticks;
}
