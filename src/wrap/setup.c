/* SPDX-License-Identifier: BSD-2-Clause */
/* The start of the library, and traps that are added later. */
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <unistd.h>

#include "base/bytes.h"
#include "wrap/kvm.h"
#include "wrap/maps.h"
#include "wrap/opened.h"
#include "wrap/real.h"
#include "wrap/wrap.h"

/* Held while traps change and while the program maps a device. Taken before the other locks in wrap. */
static pthread_mutex_t changes = PTHREAD_MUTEX_INITIALIZER;

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
	enum bk__wrap_given given;
	bool table; /* the MSI-X table is there, which the program answers itself */
	bool off;   /* the device does not decode memory */
};

/* Is the MSI-X table in these bytes of a region? */
static bool has_table(struct bk_device *below, unsigned region, uint64_t first, uint64_t last)
{
	uint8_t at = 0, cap[8];
	uint64_t start;

	if (bk_device_read(below, BK_DEVICE_CONFIG, PCI_CAPABILITY_LIST, &at, 1))
		return false;
	for (unsigned left = 48; at >= 0x40 && left--; at = cap[1]) {
		if (bk_device_read(below, BK_DEVICE_CONFIG, at & 0xfc, cap, sizeof(cap)))
			return false;
		if (cap[0] != PCI_CAP_ID_MSIX)
			continue;
		start = bk__load(cap + 4, 4) & ~7u;
		return (cap[4] & 7) == region && start <= last &&
		       start + 16 * ((bk__load(cap + 2, 2) & 0x7ff) + 1) > first;
	}
	return false;
}

static void look(void *opaque, struct bk__wrap_device *device)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct way *way = opaque;
	struct bk_device *below;
	uint64_t first, last;
	uint8_t command = 0;

	if (device->mediate != way->mediate || way->region >= BK_DEVICE_REGIONS)
		return;
	bk__wrap_device_mediates(device, way->region);
	first = way->offset & ~(page - 1);
	last = (way->offset + way->length - 1) | (page - 1);
	if (!bk__wrap_maps_have(device, way->region, way->offset, way->length))
		return;
	way->given = bk__wrap_kvm_given(device, way->region, first, last);
	if (way->given == BK__WRAP_GIVEN_ALL)
		return;
	below = bk_mediator_below(way->mediate);
	if (way->given == BK__WRAP_GIVEN_BESIDE) /* only the device answers its other registers */
		way->table = has_table(below, way->region, way->offset, way->offset + way->length - 1);
	else
		way->table = has_table(below, way->region, first, last);
	way->off = !bk_device_read(below, BK_DEVICE_CONFIG, PCI_COMMAND, &command, 1) &&
		   !(command & PCI_COMMAND_MEMORY);
}

int bk__wrap_make_way(struct bk_mediator *mediate, unsigned region, uint64_t offset, uint64_t length,
		      struct bk_error *err)
{
	struct way way = { .mediate = mediate, .region = region, .offset = offset, .length = length };
	const char *name = bk_mediator_below(mediate)->name;

	if (!length)
		return 0;    /* refused as a trap */
	bk__wrap_kvm_hold(); /* before the list of devices, as in a fork */
	bk__wrap_device_visit(look, &way);
	bk__wrap_kvm_go_on();
	if (way.given == BK__WRAP_GIVEN_ALL)
		return 0;
	if (way.table && way.given == BK__WRAP_GIVEN_BESIDE)
		return bk_fail(
			err, EBUSY,
			"%s: the program answers the MSI-X table in region %u itself: a trap at 0x%" PRIx64
			" would not be seen",
			name, region, offset);
	if (way.table || (way.given == BK__WRAP_GIVEN_NONE && !(way.off && bk__wrap_kvm_is_used())))
		return bk_fail(err, EBUSY,
			       "%s: the program has mapped a page of region %u at 0x%" PRIx64
			       ", where a trap would not be seen: give the trap at the start (--device)",
			       name, region, offset);
	bk__wrap_kvm_watch();
	return 0;
}

void bk__wrap_change_begin(void)
{
	pthread_mutex_lock(&changes);
}

void bk__wrap_change_end(const struct bk_mediator *mediate)
{
	if (mediate)
		bk__wrap_kvm_update(mediate);
	pthread_mutex_unlock(&changes);
}
