/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A function: its registers and everything that depends on them. The function's lock guards all of it;
 * the owner may read without the lock what changes only while the function is on no bus.
 */
#ifndef BARKEEP_PCI_FUNCTION_H
#define BARKEEP_PCI_FUNCTION_H

#include <pthread.h>
#include <stdatomic.h>

#include <barkeep/pci.h>

#include "base/array.h"
#include "base/ratelimit.h"
#include "pci/config.h"
#include "pci/irq.h"
#include "pci/map.h"
#include "pci/slot.h"

/* Which bytes of config space a capability holds. */
struct bk__pci_capability {
	unsigned offset, size;
	uint16_t id;
};

struct bk_pci_function {
	pthread_mutex_t lock;
	struct bk_domain *domain;
	char *name;
	struct bk_pci_function_desc desc; /* `name` is the above */
	unsigned bar_count;               /* registers: 6, or 2 of a bridge */
	unsigned rom_register;            /* where it is in the header */
	struct bk_pci_bus *secondary;     /* the bus below a bridge; NULL: not a bridge */
	struct bk__pci_config config;
	struct bk_space *space; /* what shows the registers */

	/* Where it is. Changes under the host's lock and this one. */
	struct bk_pci_bus *bus;
	uint8_t devfn;
	struct bk_region *in_bus; /* config space, in the bus's ... */
	unsigned config_shown;    /* ... and how many bytes of it */
	struct bk__pci_show shows[BK__SHOWS];
	uint32_t shown;   /* bit n: shows[n] can be on */
	bool left_behind; /* the map could not follow the registers */
	struct bk__ratelimit map_limit;

	BK__ARRAY(struct bk__pci_capability) capabilities; /* by offset */

	unsigned pm, express, af, resizable; /* where the capability is, 0: nowhere */
	bool no_soft_reset;
	struct bk__pci_msi msi;
	struct bk__pci_msix msix;
	struct bk__pci_irq irq;
	struct bk__pci_slot slot;

	/* Its owner resets it: written with the function's lock held, read by anybody. Meanwhile registers
	 * take nothing and show nothing, and the owner gets no notice. */
	_Atomic bool in_reset;
	struct bk_pci_function *next_reset;
	pthread_cond_t reset_ended;
	int reset_result;
	bool detached; /* taken off a bus: nothing that it sends gets anywhere until it is on one again */

	int line;           /* of the host, -1: none */
	bool intx_level;    /* as the device says */
	bool intx_asserted; /* as the host was told */
	uint16_t command;   /* as the owner was told */
};

static inline uint16_t bk__pci_command(const struct bk_pci_function *function)
{
	return (uint16_t)bk__pci_config_get(&function->config, BK__PCI_COMMAND, 2);
}

/* The BAR (or BK_PCI_ROM), NULL: there is none. */
const struct bk_pci_bar *bk__pci_function_bar(const struct bk_pci_function *function, unsigned index);

/* Its registers as written, the upper one in bits 63:32. */
uint64_t bk__pci_function_bar_raw(const struct bk_pci_function *function, unsigned index);

/* The register of a BAR (or of BK_PCI_ROM). */
unsigned bk__pci_function_bar_register(const struct bk_pci_function *function, unsigned index);

/* A BAR's size from now on, in what is read of its register and in what it takes. */
void bk__pci_function_bar_resize(struct bk_pci_function *function, unsigned index, uint64_t size);

/* The read-only part of the header, and what is writable in it (PCI 3.0 6.1). */
void bk__pci_header_fill(struct bk_pci_function *function);

/* The same for a bridge, over the above. */
void bk__pci_bridge_fill(struct bk_pci_function *function);

/* Is the bus below held in reset? (Bridge Control, bit 6, or the link to a slot is disabled) */
bool bk__pci_bridge_resets(const struct bk_pci_function *function);

/* For changes of registers: the host's lock too, if it is a bridge. */
void bk__pci_function_lock(struct bk_pci_function *function);
void bk__pci_function_unlock(struct bk_pci_function *function);

/* D0 to D3 (PM 3.2.4); 0 without the capability. */
unsigned bk__pci_pm_state(const struct bk_pci_function *function);

/* The host's line follows the device's level, as far as the registers let it. */
void bk__pci_intx_settle(struct bk_pci_function *function);

/* The function is on another line (-1: none) from now on. */
void bk__pci_intx_move(struct bk_pci_function *function, int line);

#endif
