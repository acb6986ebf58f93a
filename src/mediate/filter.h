/* SPDX-License-Identifier: BSD-2-Clause */
/* Filter mode: what the other files of the room ask of it. */
#ifndef BARKEEP_MEDIATE_FILTER_H
#define BARKEEP_MEDIATE_FILTER_H

#include "mediate/mediate.h"

/* A register of config space that is shown otherwise than the device has it. */
struct bk__mediate_register {
	unsigned offset;   /* a multiple of 4 */
	uint32_t mask;     /* these bits are `value`'s, all others the device's */
	uint32_t writable; /* of those, the ones that a write changes */
	uint32_t value;    /* atomic */
};

/* The BARs' registers, that of the ROM, and two of the MSI-X capability. */
enum { BK__MEDIATE_REGISTERS = BK_PCI_BARS + 3 };

struct bk__mediate_filter {
	struct bk__mediate_register registers[BK__MEDIATE_REGISTERS];
	unsigned count;
};

/* Builds the spaces of the regions, without a function. */
int bk__mediate_filter_build(struct bk_mediator *m, const struct bk_mediator_options *options,
			     struct bk_error *err);

/* Config space without traps. 1, 2, 4 or 8 bytes inside it. */
int bk__mediate_filter_read(struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t *value);
int bk__mediate_filter_write(struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t value);

int bk__mediate_filter_reset(struct bk_mediator *m);

#endif
