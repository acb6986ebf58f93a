/* SPDX-License-Identifier: BSD-2-Clause */
/* Which addresses of a bus can be reached from outside, through the windows above it. */
#ifndef BARKEEP_PCI_REACH_H
#define BARKEEP_PCI_REACH_H

#include "pci/map.h"
#include "pci/ranges.h"

/* Zero-initialise it. */
struct bk__pci_reach {
	struct bk__pci_ranges memory, io;
};

struct bk__pci_window {
	unsigned show; /* of BK__SHOW_* */
	const char *name;
	bool io;
	struct bk__pci_place place;
};

void bk__pci_reach_free(struct bk__pci_reach *reach);

/* What the host's windows show. 0 or -ENOMEM. */
int bk__pci_reach_host(const struct bk_pci_host *host, struct bk__pci_reach *reach);

/*
 * What of `above` the bridge's windows let through. `window` (may be NULL) is called with each that is open,
 * and ends it by an error. 0, that error, or -ENOMEM. The bridge's lock.
 */
int bk__pci_reach_below(const struct bk_pci_function *bridge, const struct bk__pci_reach *above,
			struct bk__pci_reach *below,
			int (*window)(void *opaque, const struct bk__pci_window *window), void *opaque);

/* The parts of [first, last] that cannot be reached. 0 or -ENOMEM. */
int bk__pci_reach_missing(const struct bk__pci_ranges *reach, uint64_t first, uint64_t last,
			  struct bk__pci_ranges *missing);

#endif
