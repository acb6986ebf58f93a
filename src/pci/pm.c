/* SPDX-License-Identifier: BSD-2-Clause */
/* Power management (PM 3.2): the state in PMCSR, which gates decoding. */
#include "base/bytes.h"
#include "base/pci_regs.h"
#include "pci/cap.h"
#include "pci/function.h"
#include "pci/kind.h"

static int pm_add(struct bk_pci_function *function, unsigned offset, uint16_t pmc, bool no_soft_reset)
{
	int at = bk__pci_capability_add(function, false, BK__PCI_CAP_PM, 0, offset, BK__PCI_PM_SIZE, NULL,
					NULL, NULL);

	if (at < 0)
		return at;
	bk__pci_config_preset(&function->config, (unsigned)at + BK__PCI_PM_PMC, 2, pmc);
	bk__pci_config_preset(&function->config, (unsigned)at + BK__PCI_PM_PMCSR, 2,
			      no_soft_reset ? BK__PCI_PM_PMCSR_NO_SOFT_RESET : 0);
	bk__pci_config_allow(&function->config, (unsigned)at + BK__PCI_PM_PMCSR, 2,
			     BK__PCI_PM_PMCSR_STATE |
				     (pmc & BK__PCI_PM_PMC_PME ? BK__PCI_PM_PMCSR_PME_ENABLE : 0),
			     pmc & BK__PCI_PM_PMC_PME ? BK__PCI_PM_PMCSR_PME_STATUS : 0);
	function->pm = (unsigned)at;
	function->no_soft_reset = no_soft_reset;
	return at;
}

int bk_pci_pm_add(struct bk_pci_function *function, unsigned offset, uint16_t pmc, bool no_soft_reset)
{
	int at;

	bk__pci_function_lock(function);
	at = pm_add(function, offset, pmc, no_soft_reset);
	bk__pci_function_unlock(function);
	return at;
}

unsigned bk__pci_pm_state(const struct bk_pci_function *function)
{
	return function->pm ? function->config.value[function->pm + BK__PCI_PM_PMCSR] & BK__PCI_PM_PMCSR_STATE
			    : 0;
}

/* What wakes it, if it can from D3cold, is sticky (PM 3.2.4). */
static void keep(struct bk_pci_function *function, const uint8_t *before, bool sticky)
{
	const unsigned at = function->pm + BK__PCI_PM_PMCSR;

	if (function->pm && bk__pci_config_get(&function->config, function->pm + BK__PCI_PM_PMC, 2) &
				    BK__PCI_PM_PMC_PME_D3COLD)
		bk__pci_config_set(&function->config, at, 2,
				   (bk__pci_config_get(&function->config, at, 2) &
				    ~(uint64_t)(BK__PCI_PM_PMCSR_PME_ENABLE | BK__PCI_PM_PMCSR_PME_STATUS)) |
					   (bk__load(before + at, 2) &
					    (BK__PCI_PM_PMCSR_PME_ENABLE | BK__PCI_PM_PMCSR_PME_STATUS)));
}

/* True if it took the function from D3hot to D0 and resets it by that. */
static bool written(struct bk_pci_function *function, const struct bk__pci_write *write)
{
	unsigned state = bk__pci_pm_state(function);
	uint16_t pmc;

	if (state == write->state)
		return false;
	/* A state that is not supported is not entered, the write completes (PM 3.2.4). To a higher state it
	 * goes by D0 alone, and so out of D3hot (PM 5.4, figure 5-1). */
	pmc = (uint16_t)bk__pci_config_get(&function->config, function->pm + BK__PCI_PM_PMC, 2);
	if ((state == 1 && !(pmc & BK__PCI_PM_PMC_D1)) || (state == 2 && !(pmc & BK__PCI_PM_PMC_D2)) ||
	    (state != 0 && state < write->state)) {
		uint8_t *pmcsr = &function->config.value[function->pm + BK__PCI_PM_PMCSR];

		*pmcsr = (uint8_t)((*pmcsr & ~BK__PCI_PM_PMCSR_STATE) | write->state);
		return false;
	}
	return write->state == 3 && !function->no_soft_reset;
}

static void forget(struct bk_pci_function *function, unsigned offset)
{
	if (function->pm == offset)
		function->pm = 0;
}

const struct bk__pci_kind bk__pci_pm_kind = { .forget = forget, .written = written, .keep = keep };
