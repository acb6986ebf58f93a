/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walks a chain of capabilities (PCI 3.0 6.7, PCIe 7.6.3). The chain may be hostile: it may loop, lead
 * anywhere, or end in the middle. A walk visits each place at most once, and reads nothing past the
 * end.
 *
 *	struct bk__pci_chain chain;
 *
 *	bk__pci_chain_begin(&chain, config, size, false);
 *	while (bk__pci_chain_next(&chain))
 *		use(chain.at, chain.id);
 */
#ifndef BARKEEP_PCI_CHAIN_H
#define BARKEEP_PCI_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pci_regs.h"

/* Reads `width` bytes (1, 2 or 4) of config space. False: they cannot be read, and the walk ends. */
typedef bool bk__pci_chain_read(void *opaque, unsigned offset, unsigned width, uint32_t *value);

enum bk__pci_chain_end {
	BK__PCI_CHAIN_ENDS,       /* as a chain should: no capabilities, a pointer of 0, an extended header of
				     all zeros or all ones */
	BK__PCI_CHAIN_UNREADABLE, /* the reader said so */
	BK__PCI_CHAIN_BROKEN,     /* it leads to `at`, where none can be or where the walk has been */
};

struct bk__pci_chain {
	/* The capability; after the last one `at` is where the chain would lead. */
	unsigned at, id;
	unsigned version; /* of an extended one */
	unsigned next;    /* where it leads, without the bits that mean nothing */
	unsigned pointer; /* the byte that leads here, or the extended capability that does; 0: none does */

	enum bk__pci_chain_end end; /* once the walk has ended */

	bool extended;
	unsigned size;
	const uint8_t *config;
	bk__pci_chain_read *read;
	void *opaque;
	uint64_t seen[BK__PCI_CONFIG_SIZE / 4 / 64];
};

/* In `size` bytes of config space (256, 4096, or as many as there are). */
void bk__pci_chain_begin(struct bk__pci_chain *chain, const uint8_t *config, unsigned size, bool extended);

/* The same where each byte has to be read. */
void bk__pci_chain_begin_read(struct bk__pci_chain *chain, unsigned size, bool extended,
			      bk__pci_chain_read *read, void *opaque);

/* The first capability, then the next one. False: there is none, and `end` says why. */
bool bk__pci_chain_next(struct bk__pci_chain *chain);

/* Where the first capability of this kind is; 0: there is none. */
unsigned bk__pci_chain_find(const uint8_t *config, unsigned size, bool extended, unsigned id);

#endif
