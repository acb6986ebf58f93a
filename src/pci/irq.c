/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the registers say about a function's interrupts, and notices to its owner.
 * Where both MSI and MSI-X are enabled, which no driver may do, MSI-X is used.
 */
#include "pci/irq.h"

#include <errno.h>
#include <string.h>

#include "base/struct.h"
#include "pci/bus.h"
#include "pci/function.h"

static bool same(const struct bk__pci_irq_registers *a, const struct bk__pci_irq_registers *b)
{
	return a->control == b->control && a->address == b->address && a->data == b->data &&
	       a->mask == b->mask && a->requester == b->requester;
}

static bool message(const struct bk_pci_function *function, unsigned vector, struct bk_pci_message *message)
{
	message->requester = function->bus ? bk__pci_bus_requester(function) : 0;
	if (function->irq.mode == BK_PCI_IRQ_MSIX)
		return bk__pci_msix_message(function, vector, message);
	return bk__pci_msi_message(function, vector, message);
}

static bool is_pending(const struct bk_pci_function *function, unsigned vector)
{
	if (function->irq.mode == BK_PCI_IRQ_MSIX)
		return bk__pci_bit(function->msix.pending, vector);
	return function->msi.pending >> vector & 1;
}

static void set_pending(struct bk_pci_function *function, unsigned vector, bool pending)
{
	if (function->irq.mode == BK_PCI_IRQ_MSIX)
		bk__pci_bit_set(function->msix.pending, vector, pending);
	else
		function->msi.pending =
			(function->msi.pending & ~(UINT32_C(1) << vector)) | (uint32_t)pending << vector;
}

/* Outside D0 nothing is sent (PM 5.4.1), and the bridges above have to forward what is. */
static bool is_stopped(const struct bk_pci_function *function)
{
	return bk__pci_bus_stops(function) || bk__pci_pm_state(function) != 0;
}

/* A message is a memory write: only a bus master may make one (PCIe 7.5.1.1.3). */
static bool can_send(const struct bk_pci_function *function)
{
	return function->bus && !is_stopped(function) && (bk__pci_command(function) & BK__PCI_COMMAND_MASTER);
}

static void send(struct bk_pci_function *function, const struct bk_pci_message *message)
{
	const struct bk_pci_host_desc *host = &function->bus->host->desc;

	if (host->msi)
		host->msi(host->opaque, message);
}

bool bk__pci_irq_pending(struct bk_pci_function *function, unsigned vector)
{
	const struct bk__pci_irq *irq = &function->irq;

	if (!irq->ops)
		return is_pending(function, vector);
	return vector < irq->vectors && !bk__pci_bit(irq->live, vector) && irq->ops->pending &&
	       irq->ops->pending(irq->opaque, vector);
}

void bk__pci_irq_settle_vector(struct bk_pci_function *function, unsigned vector, bool changed)
{
	struct bk__pci_irq *irq = &function->irq;
	struct bk_pci_message what;
	bool was = bk__pci_bit(irq->live, vector);
	bool live = message(function, vector, &what) && !is_stopped(function);

	bk__pci_bit_set(irq->live, vector, live);
	if (irq->ops) {
		if (irq->ops->vector && (live != was || (live && changed)))
			irq->ops->vector(irq->opaque, vector, live ? &what : NULL);
	} else if (live && can_send(function) && is_pending(function, vector)) {
		set_pending(function, vector, false);
		send(function, &what);
	}
}

/* Tells the mode, if `fresh`, and then whatever differs from silence. */
static void settle(struct bk_pci_function *function, bool fresh)
{
	struct bk__pci_irq *irq = &function->irq;
	unsigned msi = bk__pci_msi_enabled(function), msix = bk__pci_msix_enabled(function);
	enum bk_pci_irq_mode mode = msix ? BK_PCI_IRQ_MSIX : msi ? BK_PCI_IRQ_MSI : BK_PCI_IRQ_INTX;
	unsigned vectors = msix ? msix : msi;
	struct bk__pci_irq_registers seen = { 0 };
	bool masked = bk__pci_command(function) & BK__PCI_COMMAND_INTX_DISABLE, changed;
	bool sends = can_send(function), stopped = is_stopped(function);

	if (mode == BK_PCI_IRQ_MSIX)
		bk__pci_msix_registers(function, &seen);
	else if (mode == BK_PCI_IRQ_MSI)
		bk__pci_msi_registers(function, &seen);
	function->msi.pending &= mode == BK_PCI_IRQ_MSI ? UINT32_MAX >> (BK__PCI_MSI_VECTORS - vectors) : 0;
	seen.requester = function->bus ? bk__pci_bus_requester(function) : 0;
	changed = seen.address != irq->seen.address || seen.data != irq->seen.data ||
		  seen.requester != irq->seen.requester;

	if (fresh || mode != irq->mode || vectors != irq->vectors) {
		irq->mode = mode;
		irq->vectors = vectors;
		memset(irq->live, 0, sizeof(irq->live));
		if (irq->ops && irq->ops->mode)
			irq->ops->mode(irq->opaque, mode, vectors);
	} else if (same(&seen, &irq->seen) && sends == irq->sends && stopped == irq->stopped) {
		vectors = 0;
	}
	irq->seen = seen;
	irq->sends = sends;
	irq->stopped = stopped;
	/* A host that cannot add vectors takes them all over for a higher one: let that be the first. */
	for (unsigned i = 0; i < vectors; i++)
		bk__pci_irq_settle_vector(function, irq->ops ? vectors - 1 - i : i, changed);

	if (fresh || masked != irq->intx_masked) {
		irq->intx_masked = masked;
		if (irq->ops && irq->ops->intx_mask)
			irq->ops->intx_mask(irq->opaque, masked);
	}
}

void bk__pci_irq_settle(struct bk_pci_function *function)
{
	settle(function, false);
}

void bk__pci_irq_reset(struct bk_pci_function *function)
{
	function->msi.pending = 0;
	bk__pci_msix_reset(function);
}

int bk_pci_function_set_irq_ops(struct bk_pci_function *function, const struct bk_pci_irq_ops *ops,
				void *opaque)
{
	struct bk_pci_irq_ops copy;
	int error = ops ? bk__struct_take(&copy, sizeof(copy), ops) : 0;

	if (error)
		return error;
	pthread_mutex_lock(&function->lock);
	if (ops)
		function->irq.copied = copy;
	function->irq.ops = ops ? &function->irq.copied : NULL;
	function->irq.opaque = opaque;
	settle(function, true);
	pthread_mutex_unlock(&function->lock);
	return 0;
}

int bk__pci_irq_fire(struct bk_pci_function *function, unsigned vector)
{
	struct bk_pci_message what;

	if (function->irq.ops)
		return -EPERM;
	if (function->irq.mode == BK_PCI_IRQ_INTX || vector >= function->irq.vectors)
		return -EINVAL;
	if (message(function, vector, &what) && can_send(function))
		send(function, &what);
	else
		set_pending(function, vector, true);
	return 0;
}

void bk__pci_irq_withdraw(struct bk_pci_function *function, unsigned vector)
{
	if (function->irq.mode != BK_PCI_IRQ_INTX && vector < function->irq.vectors)
		set_pending(function, vector, false);
}

int bk_pci_function_send_msi(struct bk_pci_function *function, unsigned vector)
{
	int error;

	pthread_mutex_lock(&function->lock);
	error = bk__pci_irq_fire(function, vector);
	pthread_mutex_unlock(&function->lock);
	return error;
}
