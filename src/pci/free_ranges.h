/* SPDX-License-Identifier: BSD-2-Clause */
/* The addresses in the windows of a host bridge that nobody has. */
#ifndef BARKEEP_PCI_FREE_RANGES_H
#define BARKEEP_PCI_FREE_RANGES_H

#include <barkeep/pci.h>

#include "pci/ranges.h"

/* Adds all that is in the windows and that no region answers now, in addresses of the host's bus; not the
 * page at 0, and no fixed ports of a PC if there are others. 0 or a negative errno. */
int bk__pci_free_ranges(struct bk_pci_host *host, uint64_t page, struct bk__pci_ranges *memory,
			struct bk__pci_ranges *io);

#endif
