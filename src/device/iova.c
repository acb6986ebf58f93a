/* SPDX-License-Identifier: BSD-2-Clause */
/* Which I/O virtual addresses devices can use: those that the host's IOMMU groups do not reserve. */
#include "device/iova.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

#define RESERVED_MAX 4096 /* of all groups; most repeat those of others */

struct reserved {
	BK__ARRAY(struct bk_device_iova_range) ranges;
};

static bool add(struct reserved *reserved, uint64_t first, uint64_t last)
{
	for (size_t i = 0; i < reserved->ranges.count; i++)
		if (reserved->ranges.at[i].first <= first && reserved->ranges.at[i].last >= last)
			return true;
	if (reserved->ranges.count == RESERVED_MAX || bk__array_reserve(&reserved->ranges, 1))
		return false;
	reserved->ranges.at[reserved->ranges.count++] = (struct bk_device_iova_range){ first, last };
	return true;
}

/*
 * Lines of FIRST LAST KIND. A "direct" range belongs to a device that VFIO does not give away, and VFIO
 * ignores "direct-relaxable" ones.
 */
static bool add_group(struct reserved *reserved, const char *path)
{
	FILE *file = fopen(path, "re");
	uint64_t first, last;
	char kind[32];
	bool ok = true;

	while (file && ok && fscanf(file, "%" SCNx64 " %" SCNx64 " %31s", &first, &last, kind) == 3)
		if (first <= last && (!strcmp(kind, "reserved") || !strcmp(kind, "msi")))
			ok = add(reserved, first, last);
	if (file)
		fclose(file);
	return ok;
}

static bool add_groups(struct reserved *reserved, const char *sysfs)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool ok = true;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/kernel/iommu_groups", sysfs);
	dir = opendir(path);
	while (dir && ok && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%s/reserved_regions", sysfs,
			     entry->d_name) >= (int)sizeof(path))
			continue;
		ok = add_group(reserved, path);
	}
	if (dir)
		closedir(dir);
	return ok;
}

static int by_first(const void *a, const void *b)
{
	const struct bk_device_iova_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* The gaps between the reserved ranges. */
static unsigned invert(struct reserved *reserved, struct bk_device_iova_range *ranges, unsigned room)
{
	uint64_t next = 0; /* the first address that is not looked at */
	unsigned count = 0;

	qsort(reserved->ranges.at, reserved->ranges.count, sizeof(*reserved->ranges.at), by_first);
	for (size_t i = 0; i < reserved->ranges.count; i++) {
		const struct bk_device_iova_range *range = &reserved->ranges.at[i];

		if (range->first > next) {
			if (count < room)
				ranges[count] = (struct bk_device_iova_range){ next, range->first - 1 };
			count++;
		}
		if (range->last >= next)
			next = range->last + 1;
		if (!next) /* nothing is left */
			return count;
	}
	if (count < room)
		ranges[count] = (struct bk_device_iova_range){ next, UINT64_MAX };
	return count + 1;
}

unsigned bk__device_iova_of_groups(const char *sysfs, struct bk_device_iova_range *ranges, unsigned room)
{
	struct reserved reserved = { 0 };
	unsigned count = 0;

	if (add_groups(&reserved, sysfs) && reserved.ranges.count)
		count = invert(&reserved, ranges, room);
	free(reserved.ranges.at);
	return count;
}
