/* SPDX-License-Identifier: BSD-2-Clause */
/* Power management (PM 3.2): the state in PMCSR, which gates decoding. */
#include "base/bytes.h"
#include "pci/cap.h"
#include "pci/function.h"

/* In PMC, at 2. */
enum {
	PMC_D1 = 0x0200,
	PMC_D2 = 0x0400,
	PMC_PME = 0xf800, /* states from which PME# can be asserted */
	PMC_PME_D3COLD = 0x8000,
};

/* In PMCSR, at 4. */
enum {
	STATE = 0x0003,
	NO_SOFT_RESET = 0x0008,
	PME_ENABLE = 0x0100,
	PME_STATUS = 0x8000,
};

static int pm_add(struct bk_pci_function *function, unsigned offset, uint16_t pmc, bool no_soft_reset)
{
	int at = bk__pci_capability_add(function, false, BK__CAP_PM, 0, offset, 8, NULL, NULL, NULL);

	if (at < 0)
		return at;
	bk__pci_config_preset(&function->config, (unsigned)at + 2, 2, pmc);
	bk__pci_config_preset(&function->config, (unsigned)at + 4, 2, no_soft_reset ? NO_SOFT_RESET : 0);
	bk__pci_config_allow(&function->config, (unsigned)at + 4, 2, STATE | (pmc & PMC_PME ? PME_ENABLE : 0),
			     pmc & PMC_PME ? PME_STATUS : 0);
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
	return function->pm ? function->config.value[function->pm + 4] & STATE : 0;
}

/* What wakes it, if it can from D3cold, is sticky (PM 3.2.4). */
void bk__pci_pm_keep(struct bk_pci_function *function, const uint8_t *before)
{
	const unsigned at = function->pm + 4;

	if (function->pm && bk__pci_config_get(&function->config, function->pm + 2, 2) & PMC_PME_D3COLD)
		bk__pci_config_set(&function->config, at, 2,
				   (bk__pci_config_get(&function->config, at, 2) &
				    ~(uint64_t)(PME_ENABLE | PME_STATUS)) |
					   (bk__load(before + at, 2) & (PME_ENABLE | PME_STATUS)));
}

bool bk__pci_pm_written(struct bk_pci_function *function, unsigned old_state)
{
	unsigned state = bk__pci_pm_state(function);
	uint16_t pmc;

	if (state == old_state)
		return false;
	/* A state that is not supported is not entered, the write completes (PM 3.2.4). To a higher state it
	 * goes by D0 alone, and so out of D3hot (PM 5.4, figure 5-1). */
	pmc = (uint16_t)bk__pci_config_get(&function->config, function->pm + 2, 2);
	if ((state == 1 && !(pmc & PMC_D1)) || (state == 2 && !(pmc & PMC_D2)) ||
	    (state != 0 && state < old_state)) {
		uint8_t *pmcsr = &function->config.value[function->pm + 4];

		*pmcsr = (uint8_t)((*pmcsr & ~STATE) | old_state);
		return false;
	}
	return old_state == 3 && !function->no_soft_reset;
}
