/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts into the guest: lines, messages, eventfds, and KVM's one routing table of them all. */
#ifndef BK_MONITOR_GSI_H
#define BK_MONITOR_GSI_H

#include <barkeep/pci.h>

#include "base/array.h"
#include "monitor/vm.h"

struct kvm_irq_routing;

/* ---- The table --------------------------------------------------------- */

struct bk__monitor_route {
	bool taken;  /* somebody has this number */
	bool routed; /* and it has a message */
	struct bk_pci_message message;
};

/* KVM takes the whole table at every change, so it is kept: the pins of the
 * architecture's chips, and messages. */
struct bk__monitor_routes {
	BK__ARRAY(struct bk__monitor_route) messages; /* their GSIs follow those of pins */
	unsigned limit;                               /* of messages */
};

/* `limit`: how many entries KVM takes. */
void bk__monitor_routes_init(struct bk__monitor_routes *routes, unsigned limit);
void bk__monitor_routes_done(struct bk__monitor_routes *routes);
int bk__monitor_routes_take(struct bk__monitor_routes *routes); /* a GSI, -ENOSPC or -ENOMEM */
void bk__monitor_routes_give(struct bk__monitor_routes *routes, unsigned gsi);
/* What KVM_SET_GSI_ROUTING takes, to be freed; NULL when out of memory. */
struct kvm_irq_routing *bk__monitor_routes_table(const struct bk__monitor_routes *routes);

/* ---- The machine's interrupts ------------------------------------------ */

struct bk__monitor_gsi;

int bk__monitor_gsi_create(const struct bk__monitor_vm *vm, struct bk__monitor_gsi **gsis,
			   struct bk_error *err);
void bk__monitor_gsi_destroy(struct bk__monitor_gsi *gsis);

/* All of these: any thread, any handler. 0 or a negative errno. */

/* A number for messages, and giving it back (with no eventfd on it). */
int bk__monitor_gsi_take(struct bk__monitor_gsi *gsis);
void bk__monitor_gsi_give(struct bk__monitor_gsi *gsis, unsigned gsi);

/* What it sends from now on. */
int bk__monitor_gsi_route(struct bk__monitor_gsi *gsis, unsigned gsi, const struct bk_pci_message *message);

/* The level of a pin; drivers of one pin are not or-ed here. */
int bk__monitor_gsi_level(struct bk__monitor_gsi *gsis, unsigned gsi, bool level);

/* Sends it once. */
int bk__monitor_gsi_send(struct bk__monitor_gsi *gsis, const struct bk_pci_message *message);

/*
 * Joins an eventfd to a number, or parts them. What was pending in it when it
 * is joined is delivered. With `resample` (not -1) the number is a pin that
 * stays up until the guest's end of interrupt, which writes `resample`.
 */
int bk__monitor_gsi_join(struct bk__monitor_gsi *gsis, unsigned gsi, int fd, int resample);
int bk__monitor_gsi_part(struct bk__monitor_gsi *gsis, unsigned gsi, int fd);

#endif
