/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * container.c - which container a control group's path names.
 */
#include <stdio.h>
#include <string.h>

#include "streams/container.h"

#define ID_DIGITS 64
#define POD_UID_BYTES 36 /* with its four dashes */
#define POD_HASH_BYTES 32 /* of a static pod: no dashes */

/* A part of a path, between two slashes; borrowed. */
struct part {
	const char *text;
	size_t length;
};

static bool is_hexadecimal(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is(struct part part, const char *text)
{
	return part.length == strlen(text) &&
	       !memcmp(part.text, text, part.length);
}

/* Take `prefix` off the part's front; false: it is not there. */
static bool skip(struct part *part, const char *prefix)
{
	size_t length = strlen(prefix);

	if (part->length < length || memcmp(part->text, prefix, length))
		return false;
	part->text += length;
	part->length -= length;
	return true;
}

/* Take `suffix` off its end. */
static bool cut(struct part *part, const char *suffix)
{
	size_t length = strlen(suffix);

	if (part->length < length ||
	    memcmp(part->text + part->length - length, suffix, length))
		return false;
	part->length -= length;
	return true;
}

static bool is_digits(struct part part, size_t count)
{
	if (part.length != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!is_hexadecimal(part.text[i]))
			return false;
	return true;
}

static bool name_it(struct container *container, struct part id,
		    const char *runtime)
{
	if (!id.length || id.length >= sizeof(container->id))
		return false;
	memcpy(container->id, id.text, id.length);
	container->id[id.length] = '\0';
	snprintf(container->runtime, sizeof(container->runtime), "%s",
		 runtime);
	return true;
}

/* systemd.unit(5): \x2d is a dash.  In place. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (!strncmp(text, "\\x2d", 4)) {
			*to++ = '-';
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* Names with 64 digits behind what the engine writes before them. */
static bool named_by_engine(struct part part, struct container *container)
{
	static const struct {
		const char *prefix, *runtime;
	} engines[] = {
		{"docker-", "docker"},
		{"cri-containerd-", "containerd"},
		{"cri-containerd:", "containerd"},
		{"nerdctl-", "containerd"},
		{"crio-", "cri-o"},
		{"crio:", "cri-o"},
		{"libpod-payload-", "podman"},
		{"libpod-", "podman"},
	};
	const char *colon = memrchr(part.text, ':', part.length);

	cut(&part, ".scope");
	/* The systemd form without systemd: slice:engine:id. */
	if (colon && (colon = memrchr(part.text, ':', colon - part.text))) {
		part.length -= colon + 1 - part.text;
		part.text = colon + 1;
	}
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		struct part id = part;

		if (skip(&id, engines[i].prefix) && is_digits(id, ID_DIGITS))
			return name_it(container, id, engines[i].runtime);
	}
	return false;
}

/* Names of 64 digits alone: the engine is in the part above. */
static bool named_by_parent(struct part part, struct part parent,
			    struct container *container)
{
	static const struct {
		const char *parent, *runtime;
	} engines[] = {
		{"docker", "docker"},	  {"moby", "docker"},
		{"actions_job", "docker"}, {"libpod_parent", "podman"},
		{"k8s.io", "containerd"}, {"default", "containerd"},
	};

	if (!is_digits(part, ID_DIGITS))
		return false;
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (is(parent, engines[i].parent))
			return name_it(container, part, engines[i].runtime);
	return name_it(container, part, "");
}

/* Containers that their user has named. */
static bool named_by_user(struct part part, struct part parent,
			  struct container *container)
{
	struct part name = part;
	bool found = false;

	if (skip(&name, "lxc.payload."))
		return name_it(container, name, "lxc");
	if (is(parent, "lxc") || is(parent, "lxc.payload"))
		return name_it(container, part, "lxc");
	if (skip(&name, "machine-lxc\\x2d") && cut(&name, ".scope"))
		found = name_it(container, name, "lxc");
	name = part;
	if (!found && skip(&name, "systemd-nspawn@") && cut(&name, ".service"))
		found = name_it(container, name, "systemd-nspawn");
	name = part;
	/* libvirt's virtual machines are there as well. */
	if (!found && is(parent, "machine.slice") && skip(&name, "machine-") &&
	    cut(&name, ".scope") && !skip(&name, "qemu\\x2d"))
		found = name_it(container, name, "systemd-nspawn");
	if (found)
		unescape(container->id);
	return found;
}

/* The pod in the part of its control group; or nothing. */
static void find_pod(struct part part, struct container *container)
{
	struct part uid = part;
	size_t i;

	cut(&uid, ".slice");
	if (!skip(&uid, "pod")) {
		const char *found = memmem(uid.text, uid.length, "-pod", 4);

		if (!found || !memmem(uid.text, uid.length, "kubepods", 8))
			return;
		uid.length -= found + 4 - uid.text;
		uid.text = found + 4;
	}
	/* slice:engine:id, and nothing else, goes on behind it */
	if (memchr(uid.text, '.', uid.length))
		uid.length = (const char *)memchr(uid.text, '.', uid.length) -
			     uid.text;
	if (uid.length != POD_UID_BYTES && uid.length != POD_HASH_BYTES)
		return;
	for (i = 0; i < uid.length; i++)
		if (!is_hexadecimal(uid.text[i]) && uid.text[i] != '-' &&
		    uid.text[i] != '_')
			return;
	for (i = 0; i < uid.length; i++)
		container->pod[i] = uid.text[i] == '_' ? '-' : uid.text[i];
	container->pod[i] = '\0';
}

/* An engine's own process, beside the container that it watches. */
static bool is_monitor(struct part part, struct part parent)
{
	return skip(&part, "libpod-conmon-") || skip(&part, "crio-conmon-") ||
	       skip(&part, "conmon-") || skip(&part, "lxc.monitor") ||
	       is(parent, "lxc.monitor") || is(part, "supervisor");
}

/* The path's last part, taken off it; of no length: there is none. */
static struct part last_part(const char *path, size_t *length)
{
	struct part part = {path, 0};
	const char *slash;

	while (*length && path[*length - 1] == '/')
		(*length)--;
	if (!*length)
		return part;
	slash = memrchr(path, '/', *length);
	if (slash)
		part.text = slash + 1;
	part.length = path + *length - part.text;
	*length = part.text - path;
	return part;
}

bool container_of_path(const char *path, size_t length,
		       struct container *container)
{
	struct part part, parent = last_part(path, &length);
	bool found = false;

	memset(container, 0, sizeof(*container));
	while (parent.length) {
		part = parent;
		parent = last_part(path, &length);
		if (!found && is_monitor(part, parent))
			return false;
		if (!found)
			found = named_by_engine(part, container) ||
				named_by_parent(part, parent, container) ||
				named_by_user(part, parent, container);
		if (found && !container->pod[0])
			find_pod(part, container);
	}
	return found;
}

bool container_of_cgroups(const char *text, size_t length,
			  struct container *container)
{
	const char *end = text + length, *line = text, *stop, *path;

	memset(container, 0, sizeof(*container));
	for (; line < end; line = stop + 1) {
		stop = memchr(line, '\n', end - line);
		if (!stop)
			stop = end;
		path = memchr(line, ':', stop - line);
		if (path)
			path = memchr(path + 1, ':', stop - path - 1);
		if (path && container_of_path(path + 1, stop - path - 1,
					      container))
			return true;
	}
	return false;
}

bool container_matches(const char *id, const char *word)
{
	size_t length = strlen(word), digits = strspn(word, "0123456789abcdef");

	if (strlen(id) == ID_DIGITS && digits == length)
		return length && !strncmp(id, word, length);
	return *id && !strcmp(id, word);
}

bool container_within(const char *path, const char *group)
{
	size_t length = strlen(group);

	while (length && group[length - 1] == '/')
		length--;
	return *path && !strncmp(path, group, length) &&
	       (!path[length] || path[length] == '/');
}
