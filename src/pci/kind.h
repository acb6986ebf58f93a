/* SPDX-License-Identifier: BSD-2-Clause */
/* The kinds of capabilities: one table of functions for each, and one list of them. */
#ifndef BARKEEP_PCI_KIND_H
#define BARKEEP_PCI_KIND_H

#include <barkeep/pci.h>

/* A write of registers, which has been made. */
struct bk__pci_write {
	unsigned offset, width;
	uint64_t value;
	unsigned state; /* D0 to D3, before it */
};

/* Did it set a bit of the byte at `at`? */
static inline bool bk__pci_write_sets(const struct bk__pci_write *write, unsigned at, uint8_t bit)
{
	return at >= write->offset && at < write->offset + write->width &&
	       write->value >> 8 * (at - write->offset) & bit;
}

/* Any may be NULL. Function's lock. Each looks itself whether the function has such a capability. */
struct bk__pci_kind {
	/* Registers changed: sizes of BARs follow, before the map does. */
	void (*settle)(struct bk_pci_function *function);
	/* The capability at this offset is dropped. */
	void (*forget)(struct bk_pci_function *function, unsigned offset);
	/* True: the write resets the function. */
	bool (*written)(struct bk_pci_function *function, const struct bk__pci_write *write);
	/* The function was reset, or (`sticky`) its bus was: what that leaves comes back from `before`, which
	 * is all of config space as it was (PCIe 6.6.2, 7.4; PM 3.2.4). */
	void (*keep)(struct bk_pci_function *function, const uint8_t *before, bool sticky);
};

extern const struct bk__pci_kind bk__pci_express_kind, bk__pci_af_kind, bk__pci_pm_kind, bk__pci_msi_kind,
	bk__pci_msix_kind, bk__pci_resizable_kind;

/* All kinds are asked. */
void bk__pci_kinds_settle(struct bk_pci_function *function);
void bk__pci_kinds_forget(struct bk_pci_function *function, unsigned offset);
bool bk__pci_kinds_written(struct bk_pci_function *function, const struct bk__pci_write *write);
void bk__pci_kinds_keep(struct bk_pci_function *function, const uint8_t *before, bool sticky);

#endif
