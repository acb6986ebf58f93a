/* SPDX-License-Identifier: BSD-2-Clause */
/* Which pages of devices the program has mapped, and where. */
#ifndef BARKEEP_WRAP_MAPS_H
#define BARKEEP_WRAP_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bk__wrap_device;

/* All mappings are in [first, last], which only grows; empty: first > last. Atomic. */
extern uintptr_t bk__wrap_maps_first, bk__wrap_maps_last;

/* Is none of this range one of a device's? (It may say no when it could say yes.) */
static inline bool bk__wrap_maps_outside(const void *at, size_t size)
{
	const uintptr_t first = (uintptr_t)at;

	return first > __atomic_load_n(&bk__wrap_maps_last, __ATOMIC_ACQUIRE) ||
	       first + size - 1 < __atomic_load_n(&bk__wrap_maps_first, __ATOMIC_ACQUIRE);
}

/* The program has mapped these bytes of a region. -ENOMEM. */
int bk__wrap_maps_add(struct bk__wrap_device *device, unsigned region, uint64_t offset, void *at,
		      size_t size);

/* munmap; what the kernel leaves mapped is remembered. */
int bk__wrap_maps_unmap(void *at, size_t size);

/* The kernel was asked to map something else over this. If it has failed, what is still mapped is remembered.
 */
void bk__wrap_maps_replaced(void *at, size_t size, bool failed);

/* They have moved; `size` is what is left of them. */
void bk__wrap_maps_move(const void *from, size_t old_size, void *to, size_t size);

/* The device is closed: forgets the mappings of it that remain. */
void bk__wrap_maps_forget(const struct bk__wrap_device *device);

/* What is at an address of the program's. */
struct bk__wrap_place {
	struct bk__wrap_device *device;
	unsigned region;
	uint64_t offset, left; /* bytes: in the region; from there to the end of the mapping */
};
bool bk__wrap_maps_find(const void *at, struct bk__wrap_place *place);

/* Is a page of [offset, offset + length) of the region mapped? */
bool bk__wrap_maps_have(const struct bk__wrap_device *device, unsigned region, uint64_t offset,
			uint64_t length);

/* The lowest bytes of the region in [*first, *last] that one mapping has. False: none. */
bool bk__wrap_maps_next(const struct bk__wrap_device *device, unsigned region, uint64_t *first,
			uint64_t *last);

/* Around a fork. */
void bk__wrap_maps_hold(void);
void bk__wrap_maps_go_on(void);

#endif
