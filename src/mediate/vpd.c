/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vital product data (PCI 3.0 appendix I): the address register is a trap that
 * passes requests to read on to the device. Requests to write are dropped:
 * what they change outlives the guest.
 */
#include "mediate/mediate.h"

#define ADDRESS      2
#define ADDRESS_FLAG 0x8000 /* written 1: store the data register; the device clears it when done */

/* The region has two bytes; both together start a request. */
static int address_write(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	if (width != 2 || value & ADDRESS_FLAG)
		return 0;
	return bk__device_write(opaque, region, offset, width, value);
}

static const struct bk_trap_ops address_ops = { .write = address_write };

int bk__mediate_vpd(struct bk_mediate *m, unsigned capability, struct bk_error *err)
{
	const struct bk_trap_desc desc = {
		.region = BK_DEVICE_CONFIG,
		.offset = capability + ADDRESS,
		.length = 2,
		.name = "vpd-address",
		.ops = &address_ops,
		.opaque = m,
	};
	struct bk_trap *trap;

	return bk__trap_place(m, &desc, BK__PRIORITY_BUILTIN, &trap, err);
}
