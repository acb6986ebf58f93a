/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's devices: each on its bus, with its interrupts, its DMA and events from its host. */
#include "monitor/devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/pci_regs.h"
#include "base/ratelimit.h"
#include "monitor/interrupts.h"

struct bk__monitor_device {
	struct bk__monitor_device *next;
	struct bk_mediator *mediate;
	struct bk__monitor_pba *pba; /* NULL: its trap stays */
	struct bk__monitor_irq *irq;
	struct bk__monitor_accelerator *accelerator; /* NULL: out of memory; the device works without */
	struct bk__monitor_bus *bus;
	uint8_t devfn;
};

static int wire(struct bk__monitor_devices *devices, struct bk__monitor_device *device, struct bk_error *err)
{
	struct bk_device *below = bk_mediator_below(device->mediate);
	struct bk_pci_function *function = bk_mediator_function(device->mediate);
	int error = bk__monitor_iommu_add(devices->iommu, below, err);

	if (error)
		return error;
	error = bk_pci_function_attach(function, device->bus->bus, device->devfn);
	if (error) {
		bk__monitor_iommu_remove(devices->iommu, below);
		return bk_fail(err, -error, "%s: slot %02x.%x: %s", below->name, device->devfn >> 3,
			       device->devfn & 7, strerror(-error));
	}
	device->pba = bk__monitor_pba_create(devices->events->loop, device->mediate);
	error = bk__monitor_irq_create(devices->gsis, below, function, device->pba, &device->irq, err);
	if (error) {
		bk__monitor_pba_destroy(device->pba);
		bk_pci_function_detach(function);
		bk__monitor_iommu_remove(devices->iommu, below);
	}
	return error;
}

int bk__monitor_devices_busy(const struct bk__monitor_devices *devices, struct bk_error *err)
{
	return devices->busy ? bk_fail(err, EBUSY, "%s; try again when that is over", devices->busy) : 0;
}

int bk__monitor_devices_attach(struct bk__monitor_devices *devices, struct bk_mediator *mediate,
			       const struct bk__monitor_place *place, struct bk_error *err)
{
	struct bk__monitor_bus *bus = bk__monitor_buses_find(devices->buses, place->bus, err);
	struct bk__monitor_device *device;
	int devfn, error;

	if (!bus)
		return -ENOENT;
	if (bk__monitor_devices_busy(devices, err))
		return -EBUSY;
	device = calloc(1, sizeof(*device));
	if (!device)
		return bk_fail(err, ENOMEM, "%s: out of memory", bk_mediator_below(mediate)->name);
	devfn = bk__monitor_bus_take(bus, place->slot, place->function, bk_mediator_below(mediate)->name,
				     err);
	if (devfn < 0) {
		free(device);
		return devfn;
	}
	*device = (struct bk__monitor_device){
		.next = devices->list, .mediate = mediate, .bus = bus, .devfn = (uint8_t)devfn
	};
	bk__monitor_map_log_add(devices->map_log, mediate);
	error = wire(devices, device, err);
	if (error) {
		bk__monitor_map_log_remove(devices->map_log, mediate);
		bk__monitor_bus_leave(bus, device->devfn);
		free(device);
		return error;
	}
	device->accelerator =
		bk__monitor_accelerator_create(devices->vm, devices->memory, devices->ports, mediate);
	bk__monitor_events_add(devices->events, bk_mediator_below(mediate));
	devices->list = device;
	return 0;
}

static void close_mediate(void *opaque)
{
	bk_mediator_destroy(opaque);
}

/* Call after the function left its bus. */
static void close_device(struct bk__monitor_devices *devices, struct bk__monitor_device **link)
{
	struct bk__monitor_device *device = *link;
	struct bk_device *below = bk_mediator_below(device->mediate);
	struct bk_pci_function *function = bk_mediator_function(device->mediate);

	*link = device->next;
	bk__monitor_events_remove(devices->events, below);
	bk__monitor_accelerator_destroy(device->accelerator);
	bk__monitor_irq_destroy(device->irq);
	bk__monitor_pba_destroy(device->pba);
	bk_pci_function_write(function, BK__PCI_COMMAND, 2, 0); /* end its DMA before the mappings go */
	bk__monitor_iommu_remove(devices->iommu, below);
	bk__monitor_bus_leave(device->bus, device->devfn);
	bk__monitor_map_log_remove(devices->map_log, device->mediate);
	/* This may take long: it waits for handlers and may reset the device. */
	if (devices->meanwhile)
		devices->meanwhile(devices->opaque, close_mediate, device->mediate);
	else
		bk_mediator_destroy(device->mediate);
	free(device);
}

/* The list's link to a device that may leave; NULL with an error. */
static struct bk__monitor_device **find_in_slot(struct bk__monitor_devices *devices,
						struct bk_mediator *mediate, int *error, struct bk_error *err)
{
	struct bk__monitor_device **link = &devices->list;

	while (*link && (*link)->mediate != mediate)
		link = &(*link)->next;
	if (!*link)
		*error = bk_fail(err, ENOENT, "it is not attached");
	else if ((*link)->bus->kind != BK__BUS_PORT)
		*error = bk_fail(
			err, EPERM,
			"it is in no hot-plug slot, and only what is behind a root port can be taken from "
			"a running guest");
	else
		*error = bk__monitor_devices_busy(devices, err);
	return *error ? NULL : link;
}

int bk__monitor_devices_ask(struct bk__monitor_devices *devices, struct bk_mediator *mediate,
			    struct bk_error *err)
{
	int error;
	struct bk__monitor_device **link = find_in_slot(devices, mediate, &error, err);
	struct bk__monitor_bus *bus = link ? (*link)->bus : NULL;

	if (!link)
		return error;
	if (!bk_pci_slot_powered(bus->bridge))
		return 1;
	error = bk_pci_slot_press(bus->bridge);
	if (error == -EALREADY)
		return bk_fail(err, EALREADY,
			       "the guest was asked some seconds ago, and another press of the slot's button "
			       "would take that back");
	if (error)
		return bk_fail(
			err, -error,
			"the guest does not listen to the button of its slot: its operating system "
			"has not come so far, or has no driver for it; unplug --force takes it out all "
			"the same");
	bus->leaving = true;
	return 0;
}

struct bk_mediator *bk__monitor_devices_let_go(const struct bk__monitor_devices *devices)
{
	for (const struct bk__monitor_device *device = devices->list; device; device = device->next)
		if (device->bus->leaving && !device->devfn && !bk_pci_slot_powered(device->bus->bridge))
			return device->mediate;
	return NULL;
}

int bk__monitor_devices_detach(struct bk__monitor_devices *devices, struct bk_mediator *mediate,
			       struct bk_error *err)
{
	int error;
	struct bk__monitor_device **link = find_in_slot(devices, mediate, &error, err);
	const char *resetting;

	if (!link)
		return error;
	/* Closing waits for handlers, and a vCPU that resets a device is inside one. */
	resetting = bk__monitor_devices_in_reset(devices);
	if (resetting)
		return bk_fail(err, EBUSY, "%s is being reset; try again when that is over", resetting);
	if (bk_pci_function_detach(bk_mediator_function(mediate)))
		return bk_fail(err, ENOMEM, "out of memory: it stays in its slot");
	close_device(devices, link);
	return 0;
}

struct bk_mediator *bk__monitor_devices_find(const struct bk__monitor_devices *devices,
					     const struct bk_device *below)
{
	const struct bk__monitor_device *device = devices->list;

	while (device && bk_mediator_below(device->mediate) != below)
		device = device->next;
	return device ? device->mediate : NULL;
}

const char *bk__monitor_devices_in_reset(const struct bk__monitor_devices *devices)
{
	const struct bk__monitor_device *device = devices->list;

	while (device && !bk_pci_function_in_reset(bk_mediator_function(device->mediate)))
		device = device->next;
	return device ? bk_mediator_below(device->mediate)->name : NULL;
}

void bk__monitor_devices_wait(const struct bk__monitor_devices *devices)
{
	for (const struct bk__monitor_device *device = devices->list; device; device = device->next) {
		struct bk_pci_function *function = bk_mediator_function(device->mediate);

		if (bk_pci_function_in_reset(function))
			bk_pci_function_reset(function); /* waits for the reset in progress */
	}
}

static void reset_device(void *opaque)
{
	static struct bk__ratelimit limit; /* a guest may reset itself for ever */
	const struct bk__monitor_device *device = opaque;
	const int error = bk_pci_function_reset(bk_mediator_function(device->mediate));

	if (error)
		bk__log_limited(&limit, BK_LOG_WARNING, "%s: keeps its state over the guest's reset: %s",
				bk_mediator_below(device->mediate)->name, strerror(-error));
}

void bk__monitor_devices_reset(struct bk__monitor_devices *devices, struct bk__monitor_jobs *jobs)
{
	for (struct bk__monitor_device *device = devices->list; device; device = device->next)
		if (!device->bus->bridge) /* else it is reset with the bridge */
			bk__monitor_jobs_add(jobs, reset_device, device);
	bk__monitor_buses_reset(devices->buses, jobs);
}

void bk__monitor_devices_renew(struct bk__monitor_devices *devices)
{
	for (struct bk__monitor_device *device = devices->list; device; device = device->next)
		bk__monitor_irq_renew(device->irq);
}

/* PCI 3.0 6.1: a guest that finds no function 0 in a slot does not look for others. */
void bk__monitor_devices_warn(const struct bk__monitor_devices *devices)
{
	for (const struct bk__monitor_device *device = devices->list; device; device = device->next) {
		const unsigned slot = device->devfn >> 3, function = device->devfn & 7;

		if (function && !device->bus->taken[BK_PCI_DEVFN(slot, 0)])
			bk_log(BK_LOG_WARNING,
			       "%s: a guest does not look at %02x.%x, as nothing is at %02x.0",
			       bk_mediator_below(device->mediate)->name, slot, function, slot);
	}
}

void bk__monitor_devices_close(struct bk__monitor_devices *devices)
{
	while (devices->list) {
		/* If this runs out of memory, closing reports it. */
		(void)bk_pci_function_detach(bk_mediator_function(devices->list->mediate));
		close_device(devices, &devices->list);
	}
}
