/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a function passes on to those below it. "Settling" updates everything that depends on the
 * registers. It compares and reports only what differs, and may be done at any time.
 */
#ifndef BARKEEP_PCI_HIERARCHY_H
#define BARKEEP_PCI_HIERARCHY_H

#include "pci/resets.h"

/* All that hangs on the registers. The lock as bk__pci_function_lock takes it. */
void bk__pci_function_settle(struct bk_pci_function *function);

/* The way follows the registers of the bridges above: each change is passed on below. Host's lock,
 * and the bridge's. */
void bk__pci_bus_forward(struct bk_pci_bus *bus);

/*
 * Sets registers to their reset values and settles them; below a bridge, too. Functions with a reset
 * callback are in reset from now on and on the list. False: the function is in reset already, on
 * another list. Called with the function's lock, as bk__pci_function_lock takes it.
 */
bool bk__pci_reset_begin(struct bk_pci_function *function, enum bk__pci_reset kind,
			 struct bk__pci_resets *list);

/* The same for all that is on a bus. Host's lock, and the lock of the bridge above. */
void bk__pci_reset_bus(struct bk_pci_bus *bus, enum bk__pci_reset kind, struct bk__pci_resets *list);

#endif
