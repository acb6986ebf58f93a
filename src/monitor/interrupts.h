/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts of a passed-through function: from the device to the guest without passing here. */
#ifndef BK_MONITOR_IRQ_H
#define BK_MONITOR_IRQ_H

#include <barkeep/device.h>
#include <barkeep/pci.h>

#include "monitor/gsi.h"
#include "monitor/pba.h"

struct bk__monitor_irq;

/*
 * Follows what the registers of `function`, which is on its bus, say about the interrupts of `device`. `pba`
 * is told of masked vectors, and stays the owner's; NULL: nobody is.
 */
int bk__monitor_irq_create(struct bk__monitor_gsi *gsis, struct bk_device *device,
			   struct bk_pci_function *function, struct bk__monitor_pba *pba,
			   struct bk__monitor_irq **irq, struct bk_error *err);

/*
 * After KVM's chips were reset: an interrupt in service is forgotten, so that its end, which unmasks the
 * device, never comes. The device is told anew where its interrupts go, and one that still asserts its pin
 * says so again.
 */
void bk__monitor_irq_renew(struct bk__monitor_irq *irq);

/* Silences the device. Before the function leaves its bus. */
void bk__monitor_irq_destroy(struct bk__monitor_irq *irq);

#endif
