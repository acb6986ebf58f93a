/* SPDX-License-Identifier: BSD-2-Clause */
/* A bus, and the host bridge at the top. */
#ifndef BARKEEP_PCI_BUS_H
#define BARKEEP_PCI_BUS_H

#include <pthread.h>
#include <stdatomic.h>

#include <barkeep/pci.h>

struct bk_pci_bus {
	struct bk_pci_host *host;
	struct bk_space *memory, *io, *config;
	_Atomic uint8_t in_slot[32];            /* how many functions are attached there */
	struct bk_pci_function *functions[256]; /* host's lock */
};

/* NULL when out of memory. */
struct bk_pci_bus *bk__bus_create(struct bk_pci_host *host, const char *name);

/* NULL is fine. -EBUSY if somebody else shows its spaces; may be tried again. */
int bk__bus_destroy(struct bk_pci_bus *bus);

struct bk_pci_host {
	struct bk_pci_host_desc desc;
	pthread_mutex_t lock; /* who is on which bus; taken before any function's lock */
	struct bk_pci_bus *root;
	struct bk_space *config;
	struct bk_region *own_config; /* the root bus's, in `config` */
	struct bk_region *windows[BK_PCI_WINDOWS], *absent, *ecam, *index, *data;
	_Atomic uint32_t address; /* the register at 0xcf8 */

	pthread_mutex_t intx_lock; /* taken after a function's */
	unsigned *asserted;        /* for each line: how many functions assert it */
};

#endif
