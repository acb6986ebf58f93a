/* SPDX-License-Identifier: BSD-2-Clause */
/* Handlers for a region that has none: they return an error, or access plain memory. */
#include "space/internal.h"

#include <errno.h>

#include "base/bytes.h"

int bk__space_no_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	return -EOPNOTSUPP;
}

int bk__space_no_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return -EOPNOTSUPP;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LITTLE_ENDIAN_HOST 1
#else
#define LITTLE_ENDIAN_HOST 0
#endif

/* Memory is shared with the guest's other threads: an aligned access is one access. */
int bk__space_plain_read(void *host, uint64_t offset, unsigned width, uint64_t *value)
{
	uint8_t *at = (uint8_t *)host + offset;

	if (!LITTLE_ENDIAN_HOST || (uintptr_t)at % width)
		*value = bk__load(at, width);
	else if (width == 8)
		*value = __atomic_load_n((uint64_t *)at, __ATOMIC_RELAXED);
	else if (width == 4)
		*value = __atomic_load_n((uint32_t *)at, __ATOMIC_RELAXED);
	else if (width == 2)
		*value = __atomic_load_n((uint16_t *)at, __ATOMIC_RELAXED);
	else
		*value = __atomic_load_n(at, __ATOMIC_RELAXED);
	return 0;
}

int bk__space_plain_write(void *host, uint64_t offset, unsigned width, uint64_t value)
{
	uint8_t *at = (uint8_t *)host + offset;

	if (!LITTLE_ENDIAN_HOST || (uintptr_t)at % width)
		bk__store(at, width, value);
	else if (width == 8)
		__atomic_store_n((uint64_t *)at, value, __ATOMIC_RELAXED);
	else if (width == 4)
		__atomic_store_n((uint32_t *)at, (uint32_t)value, __ATOMIC_RELAXED);
	else if (width == 2)
		__atomic_store_n((uint16_t *)at, (uint16_t)value, __ATOMIC_RELAXED);
	else
		__atomic_store_n(at, (uint8_t)value, __ATOMIC_RELAXED);
	return 0;
}
