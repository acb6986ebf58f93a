/* SPDX-License-Identifier: BSD-2-Clause */
/* How much memory the host can still provide: what it has, and what the control groups of this process
 * allow.
 */
#include "monitor/host_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The files of a version of the control groups. */
struct version {
	const char *mount, *limit, *usage, *cache;
};

static const struct version version_1 = { "/sys/fs/cgroup/memory", "memory.limit_in_bytes",
					  "memory.usage_in_bytes", "total_inactive_file" };
static const struct version version_2 = { "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file" };

/* Reads the number that follows `key` in the file; with an empty key, the first number. */
static bool read_number(const char *path, const char *key, uint64_t *number)
{
	FILE *file = fopen(path, "re");
	const size_t length = strlen(key);
	char line[256];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		const char *at = line + length;
		char *end;

		if (strncmp(line, key, length) || (length && *at != ':' && *at != ' '))
			continue;
		at += strspn(at, ": \t");
		*number = strtoull(at, &end, 10);
		found = end != at; /* "max" is no number */
		if (!length)
			break;
	}
	if (file)
		fclose(file);
	return found;
}

static bool read_in(const char *root, const struct version *version, const char *group, const char *name,
		    const char *key, uint64_t *number)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s%s%s/%s", root, version->mount, group, name) <
		       (int)sizeof(path) &&
	       read_number(path, key, number);
}

static int check_group(const char *root, const struct version *version, const char *group, uint64_t bytes,
		       struct bk_error *err)
{
	uint64_t limit, usage, cache = 0, left;

	if (!read_in(root, version, group, version->limit, "", &limit) ||
	    !read_in(root, version, group, version->usage, "", &usage))
		return 0;
	/* The host first reclaims unused pages of files. */
	read_in(root, version, group, "memory.stat", version->cache, &cache);
	usage -= cache < usage ? cache : usage;
	left = limit > usage ? limit - usage : 0;
	if (bytes <= left)
		return 0;
	return bk_fail(err, ENOMEM,
		       "control group %s leaves %" PRIu64 " MiB: raise its %s, or give less --memory",
		       *group ? group : "/", left >> 20, version->limit);
}

/* The group and all above it. */
static int check_groups(const char *root, const struct version *version, char *group, uint64_t bytes,
			struct bk_error *err)
{
	int error = 0;

	while (!error) {
		char *slash = strrchr(group, '/');

		if (slash && !slash[1]) /* the last one is "" */
			*slash = 0;
		error = check_group(root, version, group, bytes, err);
		if (!*group)
			break;
		slash = strrchr(group, '/');
		group[slash ? slash - group : 0] = 0;
	}
	return error;
}

/* A line is ID:CONTROLLERS:PATH; version 2 has no controllers. */
static bool names_memory(const char *controllers)
{
	char list[256], *save = NULL;

	snprintf(list, sizeof(list), "%s", controllers);
	for (const char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save))
		if (!strcmp(name, "memory"))
			return true;
	return false;
}

static int check_own_groups(const char *root, uint64_t bytes, struct bk_error *err)
{
	char line[PATH_MAX + 256], path[PATH_MAX];
	FILE *file;
	int error = 0;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	file = fopen(path, "re");
	while (file && !error && fgets(line, sizeof(line), file)) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;

		line[strcspn(line, "\n")] = 0;
		if (!group)
			continue;
		*group++ = 0;
		controllers++;
		if (!*controllers)
			error = check_groups(root, &version_2, group, bytes, err);
		else if (names_memory(controllers))
			error = check_groups(root, &version_1, group, bytes, err);
	}
	if (file)
		fclose(file);
	return error;
}

int bk__monitor_host_memory_check(const char *root, uint64_t bytes, struct bk_error *err)
{
	char path[PATH_MAX];
	uint64_t kib;

	snprintf(path, sizeof(path), "%s/proc/meminfo", root);
	if (read_number(path, "MemAvailable", &kib) && bytes >> 10 > kib)
		return bk_fail(err, ENOMEM,
			       "the host has %" PRIu64 " MiB available (MemAvailable of /proc/meminfo): give "
			       "less --memory",
			       kib >> 10);
	return check_own_groups(root, bytes, err);
}
