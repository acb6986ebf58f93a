/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers as a guest reads and writes them. */
#include "pci/registers.h"

#include "pci/bridge.h"
#include "pci/bus.h"
#include "pci/function.h"
#include "pci/hierarchy.h"
#include "pci/kind.h"
#include "pci/resets.h"

/* A guest's view of one byte, with what is not kept in the registers. */
static uint8_t byte_at(struct bk_pci_function *function, unsigned offset)
{
	uint8_t byte = bk__pci_config_shown(&function->config, offset);
	unsigned vector;

	if (offset == BK__PCI_STATUS) {
		byte |= function->intx_level ? BK__PCI_STATUS_INTX : 0;
	} else if (offset == BK__PCI_HEADER_TYPE) {
		if (function->bus && atomic_load(&function->bus->in_slot[function->devfn >> 3]) > 1)
			byte |= BK__PCI_HEADER_TYPE_MULTI;
	} else if (bk__pci_msi_pending_byte(function, offset, &vector)) {
		byte = 0;
		for (unsigned i = 0; i < 8; i++)
			byte |= (uint8_t)((vector + i < function->msi.vectors &&
					   function->irq.mode == BK_PCI_IRQ_MSI &&
					   bk__pci_irq_pending(function, vector + i))
					  << i);
	}
	return byte;
}

/* What is read while the function is in reset: nobody answers, or, if the guest asked for that, a vendor id
 * that says "not yet" (PCIe 2.3.2). */
static uint64_t not_ready(const struct bk_pci_function *function, uint64_t offset, unsigned width)
{
	return offset == 0 && width >= 2 && bk__pci_bus_shows_retry(function) ? ~UINT64_C(0xfffe)
									      : UINT64_MAX;
}

int bk__pci_registers_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	struct bk_pci_function *function = opaque;

	*value = 0;
	pthread_mutex_lock(&function->lock);
	if (atomic_load_explicit(&function->in_reset, memory_order_relaxed))
		*value = not_ready(function, offset, width) & UINT64_MAX >> (64 - 8 * width);
	else
		for (unsigned i = 0; i < width; i++)
			*value |= (uint64_t)byte_at(function, (unsigned)offset + i) << 8 * i;
	pthread_mutex_unlock(&function->lock);
	return 0;
}

/* The function's lock. Who is to be reset by the write is on the list afterwards. */
static void write_locked(struct bk_pci_function *function, unsigned at, unsigned width, uint64_t value,
			 struct bk__pci_resets *list)
{
	const struct bk__pci_write write = { at, width, value, bk__pci_pm_state(function) };
	const bool resets = function->secondary && bk__pci_bridge_resets(function);

	bk__pci_config_write(&function->config, at, width, value);
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
