/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers as a guest reads and writes them. */
#include "pci/registers.h"

#include "pci/bridge.h"
#include "pci/bus.h"
#include "pci/function.h"
#include "pci/hierarchy.h"
#include "pci/kind.h"
#include "pci/resets.h"

/* The bits from `offset` on of a byte at `at` that is not kept in the registers. */
static uint64_t byte_at(uint8_t bits, unsigned at, unsigned offset, unsigned width)
{
	return at - offset < width ? (uint64_t)bits << 8 * (at - offset) : 0;
}

/* MSI's pending bits in place of what the register holds. */
static __attribute__((noinline)) uint64_t with_pending(struct bk_pci_function *function, unsigned offset,
						       unsigned width, uint64_t value)
{
	const unsigned at = function->msi.pending_at;
	uint32_t pending = 0;

	for (unsigned i = 0; i < function->msi.vectors && function->irq.mode == BK_PCI_IRQ_MSI; i++)
		pending |= (uint32_t)bk__pci_irq_pending(function, i) << i;
	for (unsigned i = 0; i < 4; i++) {
		value &= ~byte_at(0xff, at + i, offset, width);
		value |= byte_at((uint8_t)(pending >> 8 * i), at + i, offset, width);
	}
	return value;
}

/* A guest's view of 1, 2 or 4 bytes, with what is not kept in the registers. */
static uint64_t value_at(struct bk_pci_function *function, unsigned offset, unsigned width)
{
	uint64_t value = bk__pci_config_shown(&function->config, offset, width);

	if (offset < BK__PCI_BAR0) {
		if (function->intx_level)
			value |= byte_at(BK__PCI_STATUS_INTX, BK__PCI_STATUS, offset, width);
		if (function->bus && atomic_load(&function->bus->in_slot[function->devfn >> 3]) > 1)
			value |= byte_at(BK__PCI_HEADER_TYPE_MULTI, BK__PCI_HEADER_TYPE, offset, width);
	} else if (function->msi.pending_at && offset < function->msi.pending_at + 4 &&
		   offset + width > function->msi.pending_at) {
		value = with_pending(function, offset, width, value);
	}
	return value;
}

/* What a read gives while the function is in reset: all ones, or, if the guest asked for that, a vendor
 * id that means "not yet" (PCIe 2.3.2). */
static uint64_t not_ready(const struct bk_pci_function *function, uint64_t offset, unsigned width)
{
	return offset == 0 && width >= 2 && bk__pci_bus_shows_retry(function) ? ~UINT64_C(0xfffe)
									      : UINT64_MAX;
}

int bk__pci_registers_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk_pci_function *function = opaque;

	pthread_mutex_lock(&function->lock);
	if (atomic_load_explicit(&function->in_reset, memory_order_relaxed))
		*value = not_ready(function, offset, width) & UINT64_MAX >> (64 - 8 * width);
	else
		*value = value_at(function, (unsigned)offset, width);
	pthread_mutex_unlock(&function->lock);
	return 0;
}

/* The BARs of which registers are written, if nothing else is: nothing but the map hangs on them. Each may be
 * the upper half of the one before. 0: others are. */
static uint32_t bars_at(const struct bk_pci_function *function, unsigned at, unsigned width)
{
	unsigned first, last;

	if (at < BK__PCI_BAR0 || at + width > BK__PCI_BAR0 + 4 * function->bar_count)
		return 0;
	first = (at - BK__PCI_BAR0) / 4;
	last = (at + width - 1 - BK__PCI_BAR0) / 4;
	if (first && function->desc.bars[first - 1].kind == BK_PCI_BAR_MEM64)
		first--;
	return (UINT32_C(2) << last) - (UINT32_C(1) << first);
}

/* The function's lock. Who is to be reset by the write is on the list afterwards. */
static void write_locked(struct bk_pci_function *function, unsigned at, unsigned width, uint64_t value,
			 struct bk__pci_resets *list)
{
	const struct bk__pci_write write = { at, width, value, bk__pci_pm_state(function) };
	const bool resets = function->secondary && bk__pci_bridge_resets(function);
	const uint32_t bars = bars_at(function, at, width);

	bk__pci_config_write(&function->config, at, width, value);
	if (bars) {
		bk__pci_map_settle_bars(function, bars);
		return;
	}
	if (bk__pci_kinds_written(function, &write))
		bk__pci_reset_begin(function, BK__PCI_RESET_FUNCTION, list);
	else
		bk__pci_function_settle(function);
	if (function->secondary && !resets && bk__pci_bridge_resets(function))
		bk__pci_reset_bus(function->secondary, BK__PCI_RESET_BUS, list);
}

int bk__pci_registers_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk_pci_function *function = opaque;
	struct bk__pci_resets list = { 0 };

	bk__pci_function_lock(function);
	if (!atomic_load_explicit(&function->in_reset, memory_order_relaxed))
		write_locked(function, (unsigned)offset, width, value, &list);
	bk__pci_function_unlock(function);
	return list.first ? bk__pci_reset_end(&list, function) : 0;
}
