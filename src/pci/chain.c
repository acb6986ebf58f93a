/* SPDX-License-Identifier: BSD-2-Clause */
/* The one walk of a chain of capabilities, for all that read one. */
#include "pci/chain.h"

#include "base/bytes.h"

#define ALIGNED (~3u) /* the low bits of a pointer are reserved: they mean nothing */

void bk__pci_chain_begin(struct bk__pci_chain *chain, const uint8_t *config, unsigned size, bool extended)
{
	*chain = (struct bk__pci_chain){ .extended = extended, .size = size, .config = config };
}

void bk__pci_chain_begin_read(struct bk__pci_chain *chain, unsigned size, bool extended,
			      bk__pci_chain_read *read, void *opaque)
{
	*chain = (struct bk__pci_chain){ .extended = extended, .size = size, .read = read, .opaque = opaque };
}

static bool get(struct bk__pci_chain *chain, unsigned offset, unsigned width, uint32_t *value)
{
	if (chain->read)
		return chain->read(chain->opaque, offset, width, value);
	*value = (uint32_t)bk__load(chain->config + offset, width);
	return true;
}

static bool ended(struct bk__pci_chain *chain, enum bk__pci_chain_end end)
{
	chain->end = end;
	return false;
}

/* Where the chain begins; false: nowhere. */
static bool first(struct bk__pci_chain *chain)
{
	uint32_t status, pointer;

	if (chain->extended) {
		chain->next = chain->size > BK__PCI_EXTENDED ? BK__PCI_EXTENDED : 0;
		return true;
	}
	if (chain->size < BK__PCI_HEADER_END)
		return true;
	if (!get(chain, BK__PCI_STATUS, 2, &status))
		return ended(chain, BK__PCI_CHAIN_UNREADABLE);
	if (!(status & BK__PCI_STATUS_CAP_LIST))
		return true;
	if (!get(chain, BK__PCI_CAP_POINTER, 1, &pointer))
		return ended(chain, BK__PCI_CHAIN_UNREADABLE);
	chain->next = pointer & ALIGNED;
	chain->pointer = BK__PCI_CAP_POINTER;
	return true;
}

/* May a capability be there, and was the walk never there? */
static bool enter(struct bk__pci_chain *chain)
{
	const unsigned least = chain->extended ? BK__PCI_EXTENDED : BK__PCI_HEADER_END;
	const unsigned size =
		chain->extended || chain->size < BK__PCI_EXTENDED ? chain->size : BK__PCI_EXTENDED;
	const unsigned at = chain->at;
	uint64_t *seen = &chain->seen[at / 4 / 64];

	if (at < least || at >= (size & ALIGNED) || at >= BK__PCI_CONFIG_SIZE || *seen >> at / 4 % 64 & 1)
		return false;
	*seen |= UINT64_C(1) << at / 4 % 64;
	return true;
}

bool bk__pci_chain_next(struct bk__pci_chain *chain)
{
	uint32_t header;

	if (!chain->at && !first(chain))
		return false;
	if (chain->at)
		chain->pointer = chain->extended ? chain->at : chain->at + BK__PCI_CAP_NEXT;
	chain->at = chain->next;
	chain->next = 0;
	if (!chain->at)
		return ended(chain, BK__PCI_CHAIN_ENDS);
	if (!enter(chain))
		return ended(chain, BK__PCI_CHAIN_BROKEN);
	if (!get(chain, chain->at, chain->extended ? BK__PCI_EXT_HEADER : BK__PCI_CAP_HEADER, &header))
		return ended(chain, BK__PCI_CHAIN_UNREADABLE);
	if (chain->extended && (!header || header == UINT32_MAX))
		return ended(chain, BK__PCI_CHAIN_ENDS);
	chain->id = header & (chain->extended ? 0xffff : 0xff);
	chain->version = chain->extended ? header >> BK__PCI_EXT_VERSION_SHIFT & 0xf : 0;
	chain->next = header >> (chain->extended ? BK__PCI_EXT_NEXT_SHIFT : 8) & ALIGNED;
	return true;
}

unsigned bk__pci_chain_find(const uint8_t *config, unsigned size, bool extended, unsigned id)
{
	struct bk__pci_chain chain;

	bk__pci_chain_begin(&chain, config, size, extended);
	while (bk__pci_chain_next(&chain))
		if (chain.id == id)
			return chain.at;
	return 0;
}
