/* SPDX-License-Identifier: BSD-2-Clause */
/* The start of the library, and traps that come later. */
#include <errno.h>
#include <inttypes.h>

#include "wrap/opened.h"
#include "wrap/kvm.h"
#include "wrap/maps.h"
#include "wrap/real.h"

void bk__wrap_start(const struct bk__wrap_ops *ops)
{
	bk__wrap_real_find();
	bk__wrap_file_start();
	__atomic_store_n(&bk__wrap_ops, ops, __ATOMIC_RELEASE);
}

struct way {
	struct bk_mediator *mediate;
	unsigned region;
	uint64_t offset, length;
	bool mapped;
};

static void visit(void *opaque, struct bk__wrap_device *device)
{
	struct way *way = opaque;

	if (device->mediate != way->mediate || way->region >= BK_DEVICE_REGIONS)
		return;
	bk__wrap_device_mediates(device, way->region);
	way->mapped =
		!bk__wrap_kvm_is_used() && bk__wrap_maps_have(device, way->region, way->offset, way->length);
}

int bk__wrap_make_way(struct bk_mediator *mediate, unsigned region, uint64_t offset, uint64_t length,
		      struct bk_error *err)
{
	struct way way = { .mediate = mediate, .region = region, .offset = offset, .length = length };

	if (!length)
		return 0; /* refused as a trap */
	bk__wrap_device_visit(visit, &way);
	if (!way.mapped)
		return 0;
	return bk_fail(err, EBUSY,
		       "%s: the program has mapped a page of region %u at 0x%" PRIx64
		       ", where a trap would not be seen: give the trap at the start (--device)",
		       bk_mediator_below(mediate)->name, region, offset);
}

struct found {
	struct bk_mediator *mediate;
	struct bk__wrap_device *device; /* entered */
};

static void visit_changed(void *opaque, struct bk__wrap_device *device)
{
	struct found *found = opaque;

	if (device->mediate == found->mediate)
		found->device = bk__wrap_device_enter(device->file);
}

void bk__wrap_traps_changed(struct bk_mediator *mediate)
{
	struct found found = { .mediate = mediate };

	bk__wrap_device_visit(visit_changed, &found);
	if (!found.device)
		return;
	bk__wrap_kvm_update(found.device);
	bk__wrap_device_leave(found.device);
}
