/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest-physical memory: RAM in two pieces at most, and the 64-bit window of PCI. */
#ifndef BK_MONITOR_LAYOUT_H
#define BK_MONITOR_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <barkeep/device.h>

#define BK__RAM_HIGH     UINT64_C(0x100000000) /* the second piece of RAM is here or above */
#define BK__RAM_ALIGN    (UINT64_C(1) << 30)   /* where it is moved, it starts at a multiple */
#define BK__RAM_GRAIN    UINT64_C(0x200000)    /* pieces are multiples of this */
#define BK__MMIO64_ALIGN (UINT64_C(1) << 36)   /* the 64-bit window starts at a multiple */

/* Guest RAM: one piece of memory, whose first part is shown at `low`, and the rest at `high`. */
struct bk__monitor_ram {
	void *host;
	int fd;
	uint64_t size; /* bytes in all */
	uint64_t low, low_size;
	uint64_t high;
};

/* The host's address of [gpa, gpa + length), NULL unless the whole range is RAM in one piece. */
static inline void *bk__monitor_ram_at(const struct bk__monitor_ram *ram, uint64_t gpa, uint64_t length)
{
	const bool high = ram->size > ram->low_size && gpa >= ram->high;
	const uint64_t end = high ? ram->size : ram->low_size;
	const uint64_t offset = high ? gpa - ram->high + ram->low_size : gpa - ram->low;

	if ((!high && gpa < ram->low) || offset > end || length > end - offset)
		return NULL;
	return (uint8_t *)ram->host + offset;
}

/* The 64-bit window of PCI; first > last where there is no room for one. */
struct bk__monitor_window {
	uint64_t first, last;
};

struct bk__monitor_layout {
	uint64_t high; /* as in struct bk__monitor_ram */
	struct bk__monitor_window mmio64;
};

/* Puts as much of RAM as there is room for at [first, end); the rest is to be at BK__RAM_HIGH or above. */
void bk__monitor_layout_low(struct bk__monitor_ram *ram, uint64_t first, uint64_t end);

/*
 * Where the rest of RAM and the 64-bit window are, for a CPU whose addresses have `bits` bits and a host
 * whose devices can use the `count` ranges of I/O virtual addresses (ascending, disjoint; 0: all). The rest
 * of RAM is in one piece, as low as it can be; the window is the largest that is left, at `mmio64` or above
 * if there is one. -EINVAL with a line if RAM does not fit. A pure function.
 */
int bk__monitor_layout_plan(const struct bk__monitor_ram *ram, unsigned bits, uint64_t mmio64,
			    const struct bk_device_iova_range *ranges, unsigned count,
			    struct bk__monitor_layout *layout, struct bk_error *err);

#endif
