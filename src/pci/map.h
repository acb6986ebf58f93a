/* SPDX-License-Identifier: BSD-2-Clause */
/* The map: where the registers of one function put things. */
#ifndef BARKEEP_PCI_MAP_H
#define BARKEEP_PCI_MAP_H

#include <barkeep/pci.h>

struct bk__place {
	bool on;
	uint64_t first, last;
};

/* One thing of a function that shows in a space of its bus: a BAR, by index. */
struct bk__show {
	struct bk_region *region; /* NULL: there is no such thing, or the function is on no bus */
	struct bk__place now;     /* as committed */
};

enum { BK__SHOWS = BK_PCI_ROM + 1 };

/* Adds all that the function shows to its bus's spaces, where the registers
 * put it. 0 or a negative errno of the update. */
int bk__map_add(struct bk_pci_function *function, struct bk_update *update);

/* Takes it away; when that is committed, bk__map_forget. */
int bk__map_remove(struct bk_pci_function *function, struct bk_update *update);
void bk__map_forget(struct bk_pci_function *function);

/* The map follows the registers, in one update if anything differs. */
void bk__map_settle(struct bk_pci_function *function);

/* The function's own decision, in addresses of its bus. */
struct bk__place bk__map_wanted(const struct bk_pci_function *function, unsigned index);

#endif
