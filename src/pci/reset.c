/* SPDX-License-Identifier: BSD-2-Clause */
/* Resets: what registers keep over one, and how long owners may take for theirs. */
#include "pci/reset.h"

#include <string.h>

#include "pci/bus.h"
#include "pci/cap.h"
#include "pci/express.h"
#include "pci/function.h"

/* ---- What is left ------------------------------------------------------- */

/* Extended capabilities whose registers are left as a whole: sticky ones, and those of the link (PCIe 6.6.2).
 */
static bool is_left(const struct bk__pci_capability *capability, bool sticky)
{
	if (capability->offset < BK__PCI_EXTENDED)
		return false;
	switch (capability->id) {
	case BK__PCI_EXT_AER:
		return true;
	case BK__PCI_EXT_VC:
	case BK__PCI_EXT_MFVC:
	case BK__PCI_EXT_VC_BESIDE_MFVC:
	case BK__PCI_EXT_SECONDARY_EXPRESS:
	case BK__PCI_EXT_DATA_LINK:
	case BK__PCI_EXT_PHYSICAL_16:
	case BK__PCI_EXT_MARGINING:
	case BK__PCI_EXT_PHYSICAL_32:
		return !sticky;
	default:
		return false;
	}
}

static void reset_registers(struct bk_pci_function *function, enum bk__pci_reset kind)
{
	struct bk__pci_config *config = &function->config;
	const bool sticky = kind == BK__PCI_RESET_BUS;
	uint8_t before[BK__PCI_CONFIG_SIZE];

	memcpy(before, config->value, config->size);
	bk__pci_config_reset(config);
	if (kind == BK__PCI_RESET_POWER)
		return;
	for (unsigned i = 0; i < function->capability_count; i++) {
		const struct bk__pci_capability *capability = &function->capabilities[i];

		if (is_left(capability, sticky))
			memcpy(config->value + capability->offset, before + capability->offset,
			       capability->size);
	}
	bk__pci_express_keep(function, before, sticky);
	bk__pci_pm_keep(function, before);
}

/* ---- Begin and end ------------------------------------------------------- */

/* An owner's reset may be slow: it is called with no lock held, and the function cannot be destroyed before.
 */
static void append(struct bk__pci_resets *list, struct bk_pci_function *function)
{
	atomic_store(&function->in_reset, true);
	function->next_reset = NULL;
	if (list->last)
		list->last->next_reset = function;
	else
		list->first = function;
	list->last = function;
}

bool bk__pci_reset_begin(struct bk_pci_function *function, enum bk__pci_reset kind,
			 struct bk__pci_resets *list)
{
	if (atomic_load(&function->in_reset))
		return false;
	function->intx_level = false;
	reset_registers(function, kind);
	bk__pci_irq_reset(function);
	bk__pci_function_settle(function);
	if (function->secondary)
		bk__pci_reset_bus(function->secondary, kind == BK__PCI_RESET_POWER ? kind : BK__PCI_RESET_BUS,
				  list);
	if (function->desc.reset)
		append(list, function);
	return true;
}

void bk__pci_reset_bus(struct bk_pci_bus *bus, enum bk__pci_reset kind, struct bk__pci_resets *list)
{
	for (unsigned i = 0; i < 256; i++) {
		struct bk_pci_function *function = bus->functions[i];

		if (!function)
			continue;
		pthread_mutex_lock(&function->lock);
		bk__pci_reset_begin(function, kind, list);
		pthread_mutex_unlock(&function->lock);
	}
}

/* Who waits for it may destroy it from then on. */
static void end(struct bk_pci_function *function, int result)
{
	bk__pci_function_lock(function);
	function->reset_result = result;
	atomic_store(&function->in_reset, false);
	bk__pci_function_settle(function); /* what changed above it meanwhile */
	pthread_cond_broadcast(&function->reset_ended);
	bk__pci_function_unlock(function);
}

int bk__pci_reset_end(struct bk__pci_resets *list, const struct bk_pci_function *asked)
{
	static struct bk_ratelimit limit;
	int result = 0;

	while (list->first) {
		struct bk_pci_function *function = list->first;
		const int error = function->desc.reset(function->desc.opaque);

		list->first = function->next_reset;
		if (function == asked)
			result = error;
		else if (error)
			bk_log_limited(&limit, BK_LOG_WARNING, "%s: not reset with its bus: %s",
				       function->name, strerror(-error));
		end(function, error);
	}
	list->last = NULL;
	return result;
}

void bk__pci_reset_wait(struct bk_pci_function *function)
{
	pthread_mutex_lock(&function->lock);
	while (atomic_load(&function->in_reset))
		pthread_cond_wait(&function->reset_ended, &function->lock);
	pthread_mutex_unlock(&function->lock);
}

/* ---- Calls of the owner -------------------------------------------------- */

bool bk_pci_function_in_reset(const struct bk_pci_function *function)
{
	return atomic_load(&function->in_reset);
}

int bk_pci_function_reset(struct bk_pci_function *function)
{
	struct bk__pci_resets list = { 0 };
	bool began;

	bk__pci_function_lock(function);
	began = bk__pci_reset_begin(function, BK__PCI_RESET_POWER, &list);
	bk__pci_function_unlock(function);
	if (began)
		return bk__pci_reset_end(&list, function);
	bk__pci_reset_wait(function);
	return function->reset_result;
}
