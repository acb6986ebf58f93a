/* SPDX-License-Identifier: BSD-2-Clause */
/* A bus, and the host bridge at the top. */
#ifndef BARKEEP_PCI_BUS_H
#define BARKEEP_PCI_BUS_H

#include <pthread.h>
#include <stdatomic.h>

#include <barkeep/pci.h>

struct bk_pci_bus {
	struct bk_pci_host *host;
	struct bk_pci_function *bridge; /* above it; NULL: the host's own bus */
	struct bk_space *memory, *io, *config;
	/* Below a bridge: what of `io` passes it with ISA Enable, and as an alias of a VGA port. Made when
	 * they are needed: they have many regions. Bridge's lock. */
	struct bk_space *io_isa, *io_vga;
	/* Config spaces of this bus and of those below, at bus number << 20. A bridge's bus numbers
	 * are one more window of it, through which its parent shows this. */
	struct bk_space *buses;
	_Atomic uint32_t way;                   /* to the host, of BK__PCI_WAY_* */
	_Atomic uint8_t in_slot[32];            /* how many functions are attached there */
	struct bk_pci_function *functions[256]; /* host's lock */
};

enum {
	BK__DEVFN_SHIFT = 12, /* in `config` */
	BK__BUS_SHIFT = 20,   /* in `buses` */
	BK__OWN_PRIORITY = 1, /* in `buses`: of the bus itself, above what bridges claim (0) */
};

/* NULL when out of memory. */
struct bk_pci_bus *bk__pci_bus_create(struct bk_pci_host *host, struct bk_pci_function *bridge,
				      const char *name);

/* With `config`, the space of its bridge, if that is not NULL. -EBUSY if somebody else shows one of the
 * spaces or listens to it: nothing is destroyed then. NULL is fine. */
int bk__pci_bus_destroy(struct bk_pci_bus *bus, struct bk_space *config);

bool bk__pci_bus_empty(const struct bk_pci_bus *bus); /* host's lock */

/* What the bridges between a bus and the host do, as their registers say. */
enum {
	BK__PCI_WAY_FORWARDS = 1, /* memory writes from there (PCI-to-PCI Bridge 1.2, 3.2.4.3, Bus Master) */
	BK__PCI_WAY_RETRY = 2,    /* tell the guest that a function is not ready (PCIe 2.3.2) */
	BK__PCI_WAY_EXTENDED = 4, /* let config space from 0x100 on through: all of them are ports */
	BK__PCI_WAY_ALIAS = 8,    /* speak for all functions there, as they are on a conventional bus */
	BK__PCI_WAY_REQUESTER_SHIFT = 16, /* the requester ID then, else the bus number << 8 */
};

/* Does a bridge above stop what the function sends, or is it off its bus? Function's lock. */
bool bk__pci_bus_stops(const struct bk_pci_function *function);

/* The requester ID with which the host sees what the function sends. It is on a bus. Function's lock. */
uint16_t bk__pci_bus_requester(const struct bk_pci_function *function);

/* Does a port above show that it is not ready? Function's lock. */
bool bk__pci_bus_shows_retry(const struct bk_pci_function *function);

struct bk_pci_host {
	struct bk_pci_host_desc desc;
	pthread_mutex_t lock; /* which function is on which bus; taken before any function's lock */
	struct bk_pci_bus *root;
	_Atomic unsigned bridges;     /* that have not been destroyed */
	struct bk_region *own_config; /* the root bus's, in `buses` of it */
	struct bk_region *absent, *ecam, *index, *data;
	_Atomic uint32_t address; /* the register at 0xcf8 */

	pthread_mutex_t intx_lock; /* taken after a function's */
	unsigned *asserted;        /* for each line: how many functions assert it */

	struct bk__pci_host_window {
		struct bk_pci_window desc;
		struct bk_region *region;
	} windows[]; /* desc.window_count of them */
};

#endif
