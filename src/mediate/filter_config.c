/* SPDX-License-Identifier: BSD-2-Clause */
/* Config space in filter mode: the device's, with the few registers that options change. */
#include "mediate/filter.h"

/* The bits of an access that lie in `reg`, and their values. */
static uint64_t part_of(const struct bk__mediate_register *reg, uint64_t offset, unsigned width,
			uint32_t bits, uint32_t value, uint64_t *mask)
{
	uint64_t shown = 0;

	*mask = 0;
	for (unsigned i = 0; i < width; i++) {
		const uint64_t at = offset + i - reg->offset; /* wraps for bytes below */

		if (at >= 4)
			continue;
		*mask |= (uint64_t)(bits >> 8 * at & 0xff) << 8 * i;
		shown |= (uint64_t)(value >> 8 * at & 0xff) << 8 * i;
	}
	return shown;
}

int bk__mediate_filter_read(struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t *value)
{
	int error = bk_device_read_value(m->below, BK_DEVICE_CONFIG, offset, width, value);

	for (unsigned i = 0; i < m->filter->count; i++) {
		const struct bk__mediate_register *reg = &m->filter->registers[i];
		const uint32_t now = __atomic_load_n(&reg->value, __ATOMIC_RELAXED);
		uint64_t mask, shown = part_of(reg, offset, width, reg->mask, now, &mask);

		*value = (*value & ~mask) | (shown & mask);
	}
	return error;
}

static void register_write(struct bk__mediate_register *reg, uint64_t offset, unsigned width, uint64_t value)
{
	uint32_t now = __atomic_load_n(&reg->value, __ATOMIC_RELAXED), bits = 0, wanted = 0, next;

	for (unsigned i = 0; i < width; i++) {
		const uint64_t at = offset + i - reg->offset;

		if (at >= 4)
			continue;
		bits |= (uint32_t)0xff << 8 * at;
		wanted |= (uint32_t)(value >> 8 * i & 0xff) << 8 * at;
	}
	bits &= reg->writable;
	do {
		next = (now & ~bits) | (wanted & bits);
	} while (!__atomic_compare_exchange_n(&reg->value, &now, next, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
}

int bk__mediate_filter_write(struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t value)
{
	for (unsigned i = 0; i < m->filter->count; i++)
		register_write(&m->filter->registers[i], offset, width, value);
	return bk_device_write_value(m->below, BK_DEVICE_CONFIG, offset, width, value);
}
