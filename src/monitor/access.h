/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses of vCPUs to a space, and which region answers at an address. */
#ifndef BK_MONITOR_ACCESS_H
#define BK_MONITOR_ACCESS_H

#include "monitor/exit.h"

struct bk__monitor_lookup {
	uint64_t address;
	bool found;
	bool whole; /* a range owns the page of `address` whole, so that it can have a slot */
	char name[64];
};

struct bk__monitor_lookup bk__monitor_access_look_up(const struct bk__monitor_vcpu *vcpu, uint64_t address);

/* For messages: the address, and the region that answers there. */
void bk__monitor_access_place(const struct bk__monitor_vcpu *vcpu, uint64_t address, char *text, size_t size);

/* `data` is a little-endian integer, as values are. */
void bk__monitor_access_serve(struct bk_space *space, uint64_t address, unsigned width, bool write,
			      uint8_t *data);

/* Only its vCPU writes a counter. */
static inline void bk__monitor_access_count(_Atomic uint64_t *counter)
{
	const uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, value + 1, memory_order_relaxed);
}

#endif
