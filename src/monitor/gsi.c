/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts into the guest: lines, messages, eventfds, and KVM's one routing table of them all. */
#include "monitor/gsi.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/arch.h"

/* ---- The table --------------------------------------------------------- */

void bk__monitor_routes_init(struct bk__monitor_routes *routes, unsigned limit)
{
	*routes = (struct bk__monitor_routes){ 0 };
	routes->limit = limit > bk__monitor_arch.fixed_routes ? limit - bk__monitor_arch.fixed_routes : 0;
}

void bk__monitor_routes_done(struct bk__monitor_routes *routes)
{
	free(routes->messages.at);
	memset(&routes->messages, 0, sizeof(routes->messages));
}

int bk__monitor_routes_take(struct bk__monitor_routes *routes)
{
	unsigned i;

	for (i = 0; i < routes->messages.count && routes->messages.at[i].taken; i++)
		;
	if (i == routes->limit)
		return -ENOSPC;
	if (i == routes->messages.count) {
		if (bk__array_reserve(&routes->messages, 1))
			return -ENOMEM;
		routes->messages.count++;
	}
	routes->messages.at[i] = (struct bk__monitor_route){ .taken = true };
	return (int)(bk__monitor_arch.pins + i);
}

void bk__monitor_routes_give(struct bk__monitor_routes *routes, unsigned gsi)
{
	routes->messages.at[gsi - bk__monitor_arch.pins] = (struct bk__monitor_route){ 0 };
	while (routes->messages.count && !routes->messages.at[routes->messages.count - 1].taken)
		routes->messages.count--;
}

struct kvm_irq_routing *bk__monitor_routes_table(const struct bk__monitor_routes *routes)
{
	const size_t room = bk__monitor_arch.fixed_routes + routes->messages.count;
	struct kvm_irq_routing *table = calloc(1, sizeof(*table) + room * sizeof(table->entries[0]));

	if (!table)
		return NULL;
	bk__monitor_arch_routes(table->entries);
	table->nr = bk__monitor_arch.fixed_routes;
	for (size_t i = 0; i < routes->messages.count; i++) {
		const struct bk__monitor_route *route = &routes->messages.at[i];
		struct kvm_irq_routing_entry *entry = &table->entries[table->nr];

		if (!route->routed)
			continue;
		entry->gsi = bk__monitor_arch.pins + i;
		entry->type = KVM_IRQ_ROUTING_MSI;
		entry->u.msi.address_lo = (uint32_t)route->message.address;
		entry->u.msi.address_hi = (uint32_t)(route->message.address >> 32);
		entry->u.msi.data = route->message.data;
		if (bk__monitor_arch.requesters) {
			entry->flags = KVM_MSI_VALID_DEVID;
			entry->u.msi.devid = route->message.requester;
		}
		table->nr++;
	}
	return table;
}

/* ---- The machine's interrupts ------------------------------------------ */

struct bk__monitor_gsi {
	const struct bk__monitor_vm *vm;
	pthread_mutex_t lock; /* protects the table; innermost, may be taken under function locks */
	struct bk__monitor_routes routes;
};

static int write_table(struct bk__monitor_gsi *gsis)
{
	struct kvm_irq_routing *table = bk__monitor_routes_table(&gsis->routes);
	int error;

	if (!table)
		return -ENOMEM;
	error = bk__monitor_vm_ioctl(gsis->vm, KVM_SET_GSI_ROUTING, table);
	free(table);
	return error;
}

int bk__monitor_gsi_create(const struct bk__monitor_vm *vm, struct bk__monitor_gsi **out,
			   struct bk_error *err)
{
	struct bk__monitor_gsi *gsis = calloc(1, sizeof(*gsis));
	int error;

	if (!gsis)
		return bk_fail(err, ENOMEM, "interrupt routes: out of memory");
	gsis->vm = vm;
	pthread_mutex_init(&gsis->lock, NULL);
	bk__monitor_routes_init(&gsis->routes, vm->routes);
	error = write_table(gsis);
	if (error) {
		bk__monitor_gsi_destroy(gsis);
		return bk_fail(err, -error, "kvm: no interrupt routes: %s", strerror(-error));
	}
	*out = gsis;
	return 0;
}

void bk__monitor_gsi_destroy(struct bk__monitor_gsi *gsis)
{
	if (!gsis)
		return;
	bk__monitor_routes_done(&gsis->routes);
	pthread_mutex_destroy(&gsis->lock);
	free(gsis);
}

int bk__monitor_gsi_take(struct bk__monitor_gsi *gsis)
{
	int gsi;

	pthread_mutex_lock(&gsis->lock);
	gsi = bk__monitor_routes_take(&gsis->routes);
	pthread_mutex_unlock(&gsis->lock);
	return gsi;
}

/* KVM's table keeps the entry until the next change; nothing refers to it. */
void bk__monitor_gsi_give(struct bk__monitor_gsi *gsis, unsigned gsi)
{
	pthread_mutex_lock(&gsis->lock);
	bk__monitor_routes_give(&gsis->routes, gsi);
	pthread_mutex_unlock(&gsis->lock);
}

int bk__monitor_gsi_route(struct bk__monitor_gsi *gsis, unsigned gsi, const struct bk_pci_message *message)
{
	struct bk__monitor_route *route, before;
	int error = 0;

	pthread_mutex_lock(&gsis->lock);
	route = &gsis->routes.messages.at[gsi - bk__monitor_arch.pins];
	before = *route;
	if (!route->routed || route->message.address != message->address ||
	    route->message.data != message->data || route->message.requester != message->requester) {
		route->routed = true;
		route->message = *message;
		error = write_table(gsis);
		if (error)
			*route = before;
	}
	pthread_mutex_unlock(&gsis->lock);
	return error;
}

int bk__monitor_gsi_level(struct bk__monitor_gsi *gsis, unsigned gsi, bool level)
{
	struct kvm_irq_level line = { .irq = bk__monitor_arch_pin(gsi), .level = level };

	return bk__monitor_vm_ioctl(gsis->vm, KVM_IRQ_LINE, &line);
}

int bk__monitor_gsi_send(struct bk__monitor_gsi *gsis, const struct bk_pci_message *message)
{
	struct kvm_msi msi = { .address_lo = (uint32_t)message->address,
			       .address_hi = (uint32_t)(message->address >> 32),
			       .data = message->data };
	int sent;

	if (bk__monitor_arch.requesters) {
		msi.flags = KVM_MSI_VALID_DEVID;
		msi.devid = message->requester;
	}
	sent = bk__monitor_vm_ioctl(gsis->vm, KVM_SIGNAL_MSI, &msi);

	return sent < 0 ? sent : 0; /* 0: the guest blocks it */
}

int bk__monitor_gsi_join(struct bk__monitor_gsi *gsis, unsigned gsi, int fd, int resample)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd, .gsi = gsi };

	if (resample >= 0) {
		irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
		irqfd.resamplefd = (uint32_t)resample;
	}
	return bk__monitor_vm_ioctl(gsis->vm, KVM_IRQFD, &irqfd);
}

int bk__monitor_gsi_part(struct bk__monitor_gsi *gsis, unsigned gsi, int fd)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd, .gsi = gsi, .flags = KVM_IRQFD_FLAG_DEASSIGN };

	return bk__monitor_vm_ioctl(gsis->vm, KVM_IRQFD, &irqfd);
}
