/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of mappings of devices. There are few, and they change seldom. */
#include "wrap/maps.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/array.h"
#include "wrap/real.h"

struct map {
	uintptr_t first, last;
	struct bk__wrap_device *device;
	unsigned region;
	uint64_t offset; /* of `first` in the region */
};

uintptr_t bk__wrap_maps_first = UINTPTR_MAX, bk__wrap_maps_last;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static BK__ARRAY(struct map) maps; /* in no order; none overlap */

/* Adds a mapping. Under the lock. */
static int append(const struct map *map)
{
	if (bk__array_reserve(&maps, 1))
		return -ENOMEM;
	maps.at[maps.count++] = *map;
	if (map->first < bk__wrap_maps_first)
		__atomic_store_n(&bk__wrap_maps_first, map->first, __ATOMIC_RELEASE);
	if (map->last > bk__wrap_maps_last)
		__atomic_store_n(&bk__wrap_maps_last, map->last, __ATOMIC_RELEASE);
	return 0;
}

/* Removes [first, last] from the mappings and keeps the rest of them. */
static void cut(uintptr_t first, uintptr_t last)
{
	for (size_t i = 0; i < maps.count;) {
		struct map *map = &maps.at[i];
		const struct map whole = *map;

		if (whole.first > last || whole.last < first) {
			i++;
			continue;
		}
		*map = maps.at[--maps.count];
		if (whole.first < first) {
			struct map low = whole;

			low.last = first - 1;
			append(&low); /* it fits in place of the whole */
		}
		if (whole.last > last) {
			struct map high = whole;

			high.offset += last + 1 - whole.first;
			high.first = last + 1;
			append(&high);
		}
		i = 0;
	}
	if (!maps.count) {
		__atomic_store_n(&bk__wrap_maps_first, UINTPTR_MAX, __ATOMIC_RELEASE);
		__atomic_store_n(&bk__wrap_maps_last, 0, __ATOMIC_RELEASE);
	}
}

static size_t in_pages(size_t size)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) & ~(page - 1);
}

int bk__wrap_maps_add(struct bk__wrap_device *device, unsigned region, uint64_t offset, void *at, size_t size)
{
	const struct map map = {
		.first = (uintptr_t)at,
		.last = (uintptr_t)at + in_pages(size) - 1,
		.device = device,
		.region = region,
		.offset = offset,
	};
	int error;

	pthread_mutex_lock(&lock);
	cut(map.first, map.last);
	error = append(&map);
	pthread_mutex_unlock(&lock);
	return error;
}

/* Under the lock, so that the next user of the addresses comes after this. */
int bk__wrap_maps_unmap(void *at, size_t size)
{
	int result;

	pthread_mutex_lock(&lock);
	result = bk__wrap_real.munmap(at, size);
	if (!result && size)
		cut((uintptr_t)at, (uintptr_t)at + in_pages(size) - 1);
	pthread_mutex_unlock(&lock);
	return result;
}

/* A mapping that failed may still have removed what was there. */
static void cut_unmapped(uintptr_t first, uintptr_t last)
{
	const int saved = errno;

	for (size_t i = 0; i < maps.count;) {
		const uintptr_t from = maps.at[i].first > first ? maps.at[i].first : first;
		const uintptr_t to = maps.at[i].last < last ? maps.at[i].last : last;

		if (from > to || !msync((void *)from, to - from + 1, MS_ASYNC)) {
			i++;
			continue;
		}
		cut(from, to);
		i = 0;
	}
	errno = saved;
}

void bk__wrap_maps_replaced(void *at, size_t size, bool failed)
{
	const uintptr_t first = (uintptr_t)at, last = first + in_pages(size) - 1;

	pthread_mutex_lock(&lock);
	if (failed)
		cut_unmapped(first, last);
	else
		cut(first, last);
	pthread_mutex_unlock(&lock);
}

void bk__wrap_maps_move(const void *from, size_t old_size, void *to, size_t size)
{
	const uintptr_t first = (uintptr_t)from;
	struct map moved = { 0 };
	bool found = false;

	size = in_pages(size < old_size ? size : old_size);
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < maps.count && !found; i++)
		if (maps.at[i].first <= first && first <= maps.at[i].last) {
			moved = maps.at[i];
			found = true;
		}
	cut(first, first + in_pages(old_size) - 1);
	if (found && size) {
		moved.offset += first - moved.first;
		moved.first = (uintptr_t)to;
		moved.last = (uintptr_t)to + size - 1;
		cut(moved.first, moved.last);
		append(&moved);
	}
	pthread_mutex_unlock(&lock);
}

void bk__wrap_maps_forget(const struct bk__wrap_device *device)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < maps.count;) {
		if (maps.at[i].device == device)
			maps.at[i] = maps.at[--maps.count];
		else
			i++;
	}
	cut(1, 0);
	pthread_mutex_unlock(&lock);
}

bool bk__wrap_maps_find(const void *at, struct bk__wrap_place *place)
{
	const uintptr_t address = (uintptr_t)at;
	bool found = false;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < maps.count && !found; i++) {
		const struct map *map = &maps.at[i];

		found = map->first <= address && address <= map->last;
		if (found)
			*place = (struct bk__wrap_place){
				.device = map->device,
				.region = map->region,
				.offset = map->offset + (address - map->first),
				.left = map->last - address + 1,
			};
	}
	pthread_mutex_unlock(&lock);
	return found;
}

bool bk__wrap_maps_have(const struct bk__wrap_device *device, unsigned region, uint64_t offset,
			uint64_t length)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const uint64_t first = offset & ~(page - 1), last = (offset + length - 1) | (page - 1);
	bool have = false;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < maps.count && !have; i++)
		have = maps.at[i].device == device && maps.at[i].region == region &&
		       maps.at[i].offset <= last &&
		       maps.at[i].offset + (maps.at[i].last - maps.at[i].first) >= first;
	pthread_mutex_unlock(&lock);
	return have;
}

bool bk__wrap_maps_next(const struct bk__wrap_device *device, unsigned region, uint64_t *first,
			uint64_t *last)
{
	uint64_t from = *last, to = 0;
	bool found = false;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < maps.count; i++) {
		const struct map *map = &maps.at[i];
		const uint64_t start = map->offset > *first ? map->offset : *first;
		const uint64_t end = map->offset + (map->last - map->first);

		if (map->device != device || map->region != region || end < *first || start > from)
			continue;
		found = true;
		from = start;
		to = end < *last ? end : *last;
	}
	pthread_mutex_unlock(&lock);
	*first = from;
	*last = to;
	return found;
}

void bk__wrap_maps_hold(void)
{
	pthread_mutex_lock(&lock);
}

void bk__wrap_maps_go_on(void)
{
	pthread_mutex_unlock(&lock);
}
