/* SPDX-License-Identifier: BSD-2-Clause */
/* The map: where the registers of one function put things. */
#ifndef BARKEEP_PCI_MAP_H
#define BARKEEP_PCI_MAP_H

#include <barkeep/pci.h>

struct bk__pci_place {
	bool on;
	uint64_t first, last;
};

/* One thing of a function that shows in a space of its bus. */
struct bk__pci_show {
	struct bk_region *region; /* NULL: there is no such thing, or the function is on no bus */
	struct bk__pci_place now; /* as committed */
};

/* What they are; BARs come first, by index. The number is part of the rank. */
enum {
	BK__SHOW_VGA_MEMORY = BK_PCI_ROM + 1,
	BK__SHOW_VGA_MONO,  /* ports 0x3b0-0x3bb */
	BK__SHOW_VGA_COLOR, /* ports 0x3c0-0x3df */
	BK__SHOW_IO,        /* of a bridge: its windows, ... */
	BK__SHOW_MEMORY,
	BK__SHOW_PREFETCHABLE,
	BK__SHOW_IO_ISA, /* the one for I/O while ISA Enable is set */
	BK__SHOW_VGA_ALIASES,
	BK__SHOW_BUSES,     /* ... its bus numbers, ... */
	BK__SHOW_SECONDARY, /* ... and the place of its own bus among those, in the space of the bus below */
	BK__SHOW_PAGE,      /* of BAR 0: the page that it may share, and so on */
	BK__SHOWS = BK__SHOW_PAGE + BK_PCI_BARS,
};

/* What shows, and where: the addresses below are the same, or begin at `below_first`. */
struct bk__pci_shown {
	struct bk_space *in, *below; /* `below` NULL: there is no such thing */
	bool same;
	uint64_t below_first;
	int priority;
};

/* Adds all that the function shows to its bus's spaces, where the registers
 * put it. 0 or a negative errno of the update. */
int bk__pci_map_add(struct bk_pci_function *function, struct bk_update *update);

/* Takes it away; when that is committed, bk__pci_map_forget. */
void bk__pci_map_remove(struct bk_pci_function *function, struct bk_update *update);
void bk__pci_map_forget(struct bk_pci_function *function);

/* The map follows the registers, in one update if anything differs. */
void bk__pci_map_settle(struct bk_pci_function *function);

/* The same where only registers of these BARs (bit i: BAR i) have changed since then. */
void bk__pci_map_settle_bars(struct bk_pci_function *function, uint32_t bars);

/* The function's own decision, in addresses of its bus. */
struct bk__pci_place bk__pci_map_wanted(const struct bk_pci_function *function, unsigned index);

#endif
