/* SPDX-License-Identifier: BSD-2-Clause */
/* Config space as bytes: the values, which bits a guest may change, and which it sees. */
#ifndef BARKEEP_PCI_CONFIG_H
#define BARKEEP_PCI_CONFIG_H

#include <stdint.h>

#include "base/pci_regs.h"

/*
 * Every byte has a value and two masks: bits that take what is written, and
 * bits that a written one clears. In the header a value need not be what is
 * read (a BAR keeps all that was written): `shown` bits of it are, and
 * `fixed` bits are read as one.
 */
struct bk__pci_config {
	unsigned size; /* 256 or 4096 */
	uint8_t *value, *reset, *writable, *w1c;
	/* Of the header, and of bytes behind it that a read may take along: those are as they are kept. */
	uint8_t shown[BK__PCI_HEADER_END + 7], fixed[BK__PCI_HEADER_END + 7];
};

/* -ENOMEM. Everything is zero, read-only, and shown. */
int bk__pci_config_init(struct bk__pci_config *config, unsigned size);
void bk__pci_config_free(struct bk__pci_config *config);

/* The register at `offset`, `width` bytes (1 to 8) of it, as kept. */
uint64_t bk__pci_config_get(const struct bk__pci_config *config, unsigned offset, unsigned width);

/* Changes the value. */
void bk__pci_config_set(struct bk__pci_config *config, unsigned offset, unsigned width, uint64_t value);

/* Changes the value and the reset value. */
void bk__pci_config_preset(struct bk__pci_config *config, unsigned offset, unsigned width, uint64_t value);

/* Changes the masks. */
void bk__pci_config_allow(struct bk__pci_config *config, unsigned offset, unsigned width, uint64_t writable,
			  uint64_t w1c);

/* A guest's write: each byte by its masks. */
void bk__pci_config_write(struct bk__pci_config *config, unsigned offset, unsigned width, uint64_t value);

/* What a guest reads in that byte. */
uint64_t bk__pci_config_shown(const struct bk__pci_config *config, unsigned offset, unsigned width);

/* Those bytes to their reset values, or all. */
void bk__pci_config_revert(struct bk__pci_config *config, unsigned offset, unsigned width);
void bk__pci_config_reset(struct bk__pci_config *config);

#endif
