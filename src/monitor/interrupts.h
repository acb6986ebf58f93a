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
 * Sets up the interrupts of `device` as the registers of `function`, which is on its bus, say, now and
 * after each change. `pba` (NULL: none) is notified of masked vectors; the caller keeps it.
 */
int bk__monitor_irq_create(struct bk__monitor_gsi *gsis, struct bk_device *device,
			   struct bk_pci_function *function, struct bk__monitor_pba *pba,
			   struct bk__monitor_irq **irq, struct bk_error *err);

/*
 * Call it after KVM's chips were reset. They forget an interrupt in service, so its end, which would
 * unmask the device, never comes. This connects the device's interrupts again; a device that still
 * asserts its pin then signals again.
 */
void bk__monitor_irq_renew(struct bk__monitor_irq *irq);

/* Silences the device. Before the function leaves its bus. */
void bk__monitor_irq_destroy(struct bk__monitor_irq *irq);

#endif
