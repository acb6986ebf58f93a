/* SPDX-License-Identifier: BSD-2-Clause */
/* Resizable BARs (PCIe 7.8.6): registers also decide the size of a BAR. */
#include <errno.h>

#include "pci/cap.h"
#include "pci/function.h"
#include "pci/kind.h"

enum {
	LEAST = 20, /* 2^20 bytes, bit 4 of the first register */
	UPPER = 48, /* 2^48 bytes, bit 16 of the control register */
};

static unsigned log2_of(uint64_t size)
{
	unsigned log = 0;

	while (size >>= 1)
		log++;
	return log;
}

static bool fits(const struct bk_pci_function *function, const struct bk_pci_resizable *of)
{
	const struct bk_pci_bar *bar = of->bar < BK_PCI_BARS ? bk__pci_function_bar(function, of->bar) : NULL;
	uint64_t largest;

	if (!bar || bar->kind == BK_PCI_BAR_IO || !(of->sizes & bar->size) ||
	    of->sizes & ((UINT64_C(1) << LEAST) - 1))
		return false;
	largest = UINT64_C(1) << log2_of(of->sizes);
	return largest - 1 <= bk_space_last(bar->space) &&
	       (bar->kind == BK_PCI_BAR_MEM64 || largest <= UINT64_C(1) << 31);
}

/* Bits of the size that are needed to say any of them; the others are read-only zero. */
static unsigned size_bits(uint64_t sizes)
{
	unsigned bits = 0;

	for (unsigned log = LEAST; log < 64; log++)
		if (sizes >> log & 1)
			bits |= log - LEAST;
	return bits;
}

static int resizable_add(struct bk_pci_function *function, unsigned offset,
			 const struct bk_pci_resizable *bars, unsigned count)
{
	struct bk__pci_config *config = &function->config;
	unsigned seen = 0;
	int at;

	if (!count || count > BK_PCI_BARS)
		return -EINVAL;
	if (function->resizable)
		return -EEXIST;
	for (unsigned i = 0; i < count; seen |= 1u << bars[i++].bar)
		if (!fits(function, &bars[i]) || seen >> bars[i].bar & 1)
			return -EINVAL;
	at = bk__pci_capability_add(function, true, BK__PCI_EXT_RESIZABLE, 1, offset,
				    BK__PCI_EXT_HEADER + BK__PCI_RESIZABLE_ENTRY * count, NULL, NULL, NULL);
	if (at < 0)
		return at;
	for (unsigned i = 0; i < count; i++) {
		unsigned entry = (unsigned)at + BK__PCI_EXT_HEADER + BK__PCI_RESIZABLE_ENTRY * i;
		unsigned size = log2_of(bk__pci_function_bar(function, bars[i].bar)->size) - LEAST;

		bk__pci_config_preset(config, entry, 4, bars[i].sizes >> LEAST << 4);
		bk__pci_config_preset(
			config, entry + BK__PCI_RESIZABLE_CONTROL, 4,
			(bars[i].sizes >> UPPER) << 16 | size << BK__PCI_RESIZABLE_CONTROL_SIZE_SHIFT |
				(i ? 0 : count << BK__PCI_RESIZABLE_CONTROL_COUNT_SHIFT) | bars[i].bar);
		bk__pci_config_allow(config, entry + BK__PCI_RESIZABLE_CONTROL + 1, 1,
				     size_bits(bars[i].sizes), 0);
	}
	function->resizable = (unsigned)at;
	return at;
}

int bk_pci_resizable_add(struct bk_pci_function *function, unsigned offset,
			 const struct bk_pci_resizable *bars, unsigned count)
{
	int at;

	bk__pci_function_lock(function);
	at = resizable_add(function, offset, bars, count);
	bk__pci_function_unlock(function);
	return at;
}

/* What the registers of an entry say: the size in them, or the next smaller one there is, or the smallest. */
static uint64_t size_of(uint64_t capability, uint64_t control)
{
	uint64_t sizes = (capability >> 4) << LEAST | control >> 16 << UPPER;
	unsigned log = (unsigned)(control >> BK__PCI_RESIZABLE_CONTROL_SIZE_SHIFT &
				  BK__PCI_RESIZABLE_CONTROL_SIZE_MASK) +
		       LEAST;

	if (log > 63)
		log = 63;
	for (unsigned i = log; i >= LEAST; i--)
		if (sizes >> i & 1)
			return UINT64_C(1) << i;
	return sizes & (~sizes + 1);
}

/* Where the entries end. */
static unsigned end(const struct bk_pci_function *function)
{
	unsigned first = function->resizable + BK__PCI_EXT_HEADER;

	return first + BK__PCI_RESIZABLE_ENTRY *
			       ((unsigned)bk__pci_config_get(&function->config,
							     first + BK__PCI_RESIZABLE_CONTROL, 1) >>
				BK__PCI_RESIZABLE_CONTROL_COUNT_SHIFT);
}

/* BARs have the sizes that it says. */
static void settle(struct bk_pci_function *function)
{
	const struct bk__pci_config *config = &function->config;

	if (!function->resizable)
		return;
	for (unsigned entry = function->resizable + BK__PCI_EXT_HEADER; entry < end(function);
	     entry += BK__PCI_RESIZABLE_ENTRY) {
		uint64_t control = bk__pci_config_get(config, entry + BK__PCI_RESIZABLE_CONTROL, 4);

		bk__pci_function_bar_resize(function, control & BK__PCI_RESIZABLE_CONTROL_BAR,
					    size_of(bk__pci_config_get(config, entry, 4), control));
	}
}

/* The BARs have the sizes that they had at reset. */
static void forget(struct bk_pci_function *function, unsigned offset)
{
	if (function->resizable != offset)
		return;
	bk__pci_config_revert(&function->config, offset, end(function) - offset);
	settle(function);
	function->resizable = 0;
}

const struct bk__pci_kind bk__pci_resizable_kind = { .forget = forget, .settle = settle };
