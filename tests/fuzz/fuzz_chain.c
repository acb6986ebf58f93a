/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains of capabilities in any bytes: a byte of choices, the size of config space, and config space. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "pci/chain.h"
#include "pci/regs.h"

#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct config {
	const uint8_t *bytes;
	unsigned size;
	unsigned readable; /* as many reads work */
};

static void must(bool fact)
{
	if (!fact)
		abort();
}

static bool read_bytes(void *opaque, unsigned offset, unsigned width, uint32_t *value)
{
	struct config *config = opaque;

	must(width == 1 || width == 2 || width == 4);
	must(offset < config->size && width <= config->size - offset);
	if (!config->readable)
		return false;
	config->readable--;
	*value = (uint32_t)bk__load(config->bytes + offset, width);
	return true;
}

/* What the pointer of the walk says, without its reserved bits. */
static unsigned pointed(const struct bk__pci_chain *chain, const uint8_t *bytes)
{
	if (!chain->pointer)
		return BK__PCI_EXTENDED;
	return (chain->extended ? (unsigned)bk__load(bytes + chain->pointer + BK__PCI_EXT_NEXT, 2) >> 4
				: bytes[chain->pointer]) &
	       ~3u;
}

static void walk(const struct config *config, bool extended, unsigned readable)
{
	static uint16_t owners[BK__PCI_CONFIG_SIZE];
	bool seen[BK__PCI_CONFIG_SIZE / 4] = { false };
	struct config counted = { config->bytes, config->size, readable };
	struct bk__pci_chain chain, other;
	const unsigned least = extended ? BK__PCI_EXTENDED : BK__PCI_HEADER_END;
	const unsigned most = !extended && config->size > BK__PCI_EXTENDED ? BK__PCI_EXTENDED : config->size;

	if (config->size == BK__PCI_EXTENDED || config->size == BK__PCI_CONFIG_SIZE)
		bk__pci_capability_owners(config->bytes, config->size, owners);
	bk__pci_chain_begin(&chain, config->bytes, config->size, extended);
	bk__pci_chain_begin_read(&other, config->size, extended, read_bytes, &counted);
	while (bk__pci_chain_next(&chain)) {
		must(chain.at >= least && chain.at < most && chain.at % 4 == 0);
		must(!seen[chain.at / 4]);
		seen[chain.at / 4] = true;
		must(pointed(&chain, config->bytes) == chain.at);
		must(chain.id == bk__load(config->bytes + chain.at, extended ? 2 : 1));
		must(bk__pci_chain_find(config->bytes, config->size, extended, chain.id) != 0);
		if (bk__pci_chain_next(&other))
			must(other.at == chain.at && other.id == chain.id && other.next == chain.next);
		else
			must(other.end == BK__PCI_CHAIN_UNREADABLE && !counted.readable);
		if (other.end == BK__PCI_CHAIN_UNREADABLE)
			return;
	}
	must(chain.end != BK__PCI_CHAIN_UNREADABLE);
	if (chain.end == BK__PCI_CHAIN_BROKEN)
		must(chain.at && (chain.at < least || chain.at >= (most & ~3u) || seen[chain.at / 4]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	const unsigned choices = (unsigned)take(&input, 1), readable = (unsigned)take(&input, 1);
	struct config config = { 0 };
	uint8_t *bytes;

	config.size = choices & 2   ? BK__PCI_CONFIG_SIZE
		      : choices & 4 ? BK__PCI_EXTENDED
				    : (unsigned)take(&input, 2) % (BK__PCI_CONFIG_SIZE + 1);
	bytes = calloc(1, config.size ? config.size : 1);
	if (!bytes)
		abort();
	memcpy(bytes, input.data, input.size < config.size ? input.size : config.size);
	if (choices & 8 && config.size > BK__PCI_STATUS)
		bytes[BK__PCI_STATUS] |= BK__PCI_STATUS_CAP_LIST;
	config.bytes = bytes;
	walk(&config, choices & 1, choices & 16 ? readable : ~0u);
	free(bytes);
	return 0;
}
