/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings of devices: refused where they would show what a trap hides, and remembered. */
#undef _FILE_OFFSET_BITS
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "wrap/kvm.h"
#include "wrap/maps.h"
#include "wrap/real.h"
#include "wrap/vfio.h"

/* Some programs map a region whole whatever its areas are: from now on they are told that it cannot be
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

void *bk__wrap_map(struct bk__wrap_file *file, void *at, size_t size, int prot, int flags, int fd,
		   off_t offset)
{
	const uint64_t inside = (uint64_t)offset & ((UINT64_C(1) << BK__WRAP_OFFSET_BITS) - 1);
	const uint64_t region = (uint64_t)offset >> BK__WRAP_OFFSET_BITS;
	struct bk__wrap_device *device;
	void *result;

	if (bk__wrap_kind_of(file) == BK__WRAP_VCPU) {
		result = bk__wrap_real.mmap(at, size, prot, flags, fd, offset);
		if (result != MAP_FAILED && !offset)
			bk__wrap_kvm_mapped(file, result);
		return result;
	}
	if (bk__wrap_kind_of(file) != BK__WRAP_DEVICE && bk__wrap_kind_of(file) != BK__WRAP_REFUSED)
		return bk__wrap_real.mmap(at, size, prot, flags, fd, offset);
	device = bk__wrap_kind_of(file) == BK__WRAP_DEVICE ? bk__wrap_device_enter(file) : NULL;
	if (!device) {
		errno = EPERM;
		return MAP_FAILED;
	}
	if (size &&
	    (bk__wrap_device_is_mediated(device, region) || bk__wrap_device_is_unmapped(device, region)) &&
	    !bk__wrap_may_map(device, (unsigned)region, inside, size)) {
		result = refuse(device, (unsigned)region, inside, size);
	} else {
		result = bk__wrap_real.mmap(at, size, prot, flags, fd, offset);
		if (result != MAP_FAILED && region < BK_DEVICE_REGIONS)
			bk__wrap_maps_add(device, (unsigned)region, inside, result, size);
	}
	bk__wrap_device_leave(device);
	return result;
}
