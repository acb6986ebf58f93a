/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings of devices: refuses those that would show what a trap hides, and remembers the others. */
#undef _FILE_OFFSET_BITS
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "wrap/kvm.h"
#include "wrap/maps.h"
#include "wrap/real.h"
#include "wrap/calls.h"
#include "wrap/wrap.h"

/* Some programs map a whole region, whatever its areas are. From now on they are told that it cannot be
 * mapped. */
static void *refuse(struct bk__wrap_device *device, unsigned region, uint64_t offset, size_t size)
{
	const unsigned bit = 1u << region;

	if (!(__atomic_fetch_or(&device->unmapped, bit, __ATOMIC_ACQ_REL) & bit))
		bk_log(BK_LOG_WARNING,
		       "%s: the program maps 0x%zx bytes at 0x%" PRIx64
		       " of region %u, with trapped pages in them: refused, and the region offered for "
		       "mapping "
		       "no more (mmap=off does that from the start)",
		       device->back.name, size, offset, region);
	errno = EINVAL;
	return MAP_FAILED;
}

/* Maps anything else, perhaps over a mapping of a device. */
static void *map_other(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	void *result = bk__wrap_real.mmap(at, size, prot, flags, fd, offset);

	if (flags & MAP_FIXED && size && !bk__wrap_maps_outside(at, size))
		bk__wrap_maps_replaced(at, size, result == MAP_FAILED);
	return result;
}

/* Uses the library's own descriptor: the program's may be another device's by now. */
static void *map_device(struct bk__wrap_device *device, void *at, size_t size, int prot, int flags,
			off_t offset)
{
	const uint64_t inside = (uint64_t)offset & ((UINT64_C(1) << BK__WRAP_OFFSET_BITS) - 1);
	const uint64_t region = (uint64_t)offset >> BK__WRAP_OFFSET_BITS;
	void *result;

	if (region >= BK_DEVICE_REGIONS)
		return map_other(at, size, prot, flags, device->fd, offset);
	if (size &&
	    (bk__wrap_device_is_mediated(device, region) || bk__wrap_device_is_unmapped(device, region)) &&
	    !bk__wrap_may_map(device, (unsigned)region, inside, size))
		return refuse(device, (unsigned)region, inside, size);
	result = map_other(at, size, prot, flags, device->fd, offset);
	if (result != MAP_FAILED && bk__wrap_maps_add(device, (unsigned)region, inside, result, size)) {
		bk__wrap_real.munmap(result, size); /* later traps would miss it */
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return result;
}

void *bk__wrap_map(struct bk__wrap_file *file, void *at, size_t size, int prot, int flags, int fd,
		   off_t offset)
{
	const enum bk__wrap_kind kind = bk__wrap_kind_of(file);
	struct bk__wrap_device *device = NULL;
	void *result = MAP_FAILED;

	if (kind != BK__WRAP_DEVICE && kind != BK__WRAP_REFUSED) {
		result = map_other(at, size, prot, flags, fd, offset);
		if (kind == BK__WRAP_VCPU && result != MAP_FAILED && !offset)
			bk__wrap_kvm_mapped(file, result);
		return result;
	}
	/* No trap is added meanwhile. Taken first, because a fork waits there until no thread is inside
	 * a device. */
	bk__wrap_change_begin();
	if (kind == BK__WRAP_DEVICE)
		device = bk__wrap_device_enter(file);
	if (device)
		result = map_device(device, at, size, prot, flags, offset);
	else
		errno = EPERM;
	bk__wrap_change_end(NULL);
	if (device)
		bk__wrap_device_leave(device);
	return result;
}
