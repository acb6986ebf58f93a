/* SPDX-License-Identifier: BSD-2-Clause */
/* What of a device's region can be mapped, as a list. */
#ifndef BARKEEP_TEST_AREAS_H
#define BARKEEP_TEST_AREAS_H

#include <stdlib.h>

#include <barkeep/device.h>

struct areas {
	unsigned count;
	struct bk_device_area at[64];
};

static inline void areas_note(void *opaque, const struct bk_device_area *area)
{
	struct areas *areas = opaque;

	if (areas->count == sizeof(areas->at) / sizeof(areas->at[0]))
		abort();
	areas->at[areas->count++] = *area;
}

static inline struct areas areas_of(struct bk_device *device, unsigned region)
{
	struct areas areas = { 0 };

	bk_device_areas(device, region, false, areas_note, &areas);
	return areas;
}

#endif
