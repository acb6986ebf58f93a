/* SPDX-License-Identifier: BSD-2-Clause */
/* Config space as bytes: what is kept, what a guest may change, what it is shown. */
#ifndef BARKEEP_PCI_CONFIG_H
#define BARKEEP_PCI_CONFIG_H

#include <stdint.h>

enum {
	BK__VENDOR = 0x00,
	BK__DEVICE = 0x02,
	BK__COMMAND = 0x04,
	BK__STATUS = 0x06,
	BK__REVISION = 0x08,
	BK__CLASS = 0x09,
	BK__CACHE_LINE = 0x0c,
	BK__LATENCY = 0x0d,
	BK__HEADER_TYPE = 0x0e,
	BK__BAR = 0x10,
	BK__SUBSYSTEM_VENDOR = 0x2c,
	BK__SUBSYSTEM = 0x2e,
	BK__ROM_TYPE0 = 0x30,
	BK__CAPABILITIES = 0x34,
	BK__ROM_TYPE1 = 0x38,
	BK__IRQ_LINE = 0x3c,
	BK__IRQ_PIN = 0x3d,
	BK__HEADER_SIZE = 0x40,
	BK__EXTENDED = 0x100, /* where PCI Express capabilities begin */
};

enum {
	BK__COMMAND_IO = 0x0001,
	BK__COMMAND_MEMORY = 0x0002,
	BK__COMMAND_MASTER = 0x0004,
	BK__COMMAND_PARITY = 0x0040,
	BK__COMMAND_SERR = 0x0100,
	BK__COMMAND_INTX_DISABLE = 0x0400,

	BK__STATUS_INTX = 0x0008,
	BK__STATUS_CAPABILITIES = 0x0010,
	BK__STATUS_W1C = 0xf900, /* parity, system and abort errors */

	BK__MULTI_FUNCTION = 0x80, /* in BK__HEADER_TYPE */
};

/*
 * Every byte has a value and two masks: bits that take what is written, and
 * bits that a written one clears. In the header a value need not be what is
 * read (a BAR keeps all that was written): `shown` bits of it are, and
 * `fixed` bits are read as one.
 */
struct bk__pci_config {
	unsigned size; /* 256 or 4096 */
	uint8_t *value, *reset, *writable, *w1c;
	uint8_t shown[BK__HEADER_SIZE], fixed[BK__HEADER_SIZE];
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
uint8_t bk__pci_config_shown(const struct bk__pci_config *config, unsigned offset);

/* Those bytes to their reset values, or all. */
void bk__pci_config_revert(struct bk__pci_config *config, unsigned offset, unsigned width);
void bk__pci_config_reset(struct bk__pci_config *config);

#endif
