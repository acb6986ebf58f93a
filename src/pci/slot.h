/* SPDX-License-Identifier: BSD-2-Clause */
/* The hot-plug slot of a port: the card in it, and what it reports to the guest. */
#ifndef BARKEEP_PCI_SLOT_H
#define BARKEEP_PCI_SLOT_H

#include <barkeep/pci.h>

struct bk__pci_slot {
	bool there;                           /* the port has one */
	uint64_t memory, prefetchable;        /* room for a card to come, where there is some */
	bool occupied;                        /* function 0 is there */
	bool present, link;                   /* as last settled */
	bool signalled;                       /* by a message, and the events are still there */
	bool powered;                         /* as last told to `power` */
	void (*power)(void *opaque, bool on); /* NULL: there is no attention button */
	void *opaque;
};

/* Updates its registers and its interrupt after functions were attached or detached below. Called with
 * the host's lock and the port's. */
void bk__pci_slot_settle(struct bk_pci_function *port);

bool bk__pci_slot_is_powered(const struct bk_pci_function *port);

/* Link Disable is set, or the slot's power is off. What is below is reset by either. */
bool bk__pci_slot_cut_off(const struct bk_pci_function *port);

/* It has a slot and no link: it is cut off, or there is no function 0. Nothing below is reached. */
bool bk__pci_slot_link_down(const struct bk_pci_function *port);

#endif
