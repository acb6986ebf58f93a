/* SPDX-License-Identifier: BSD-2-Clause */
/* Hot-plug slots (PCIe 6.7, 7.5.3.9-11): their registers, and what those say. */
#include "pci/slot.h"

#include <errno.h>

#include "pci/bus.h"
#include "pci/express.h"
#include "pci/function.h"

#define ROOM                   (UINT64_C(2) << 20) /* as Linux leaves it (hpmmiosize, hpmmioprefsize) */
#define ROOM_MOST              (UINT64_C(1) << 31)
#define ROOM_MOST_PREFETCHABLE (UINT64_C(1) << 46)

static unsigned get(const struct bk_pci_function *port, unsigned offset)
{
	return (unsigned)bk__pci_config_get(&port->config, port->express + offset, 2);
}

static int slot_add(struct bk_pci_function *port, unsigned number)
{
	struct bk__pci_config *config = &port->config;
	const unsigned at = port->express;
	unsigned capabilities, type;

	if (bk__pci_express_size(port) < BK__PCI_EXPRESS_ROOT_CONTROL || !port->secondary ||
	    number > BK__PCI_EXPRESS_SLOT_NUMBER_MOST)
		return -EINVAL;
	capabilities = get(port, BK__PCI_EXPRESS_CAPABILITIES);
	type = bk__pci_express_type(port);
	if (type != BK__PCI_EXPRESS_ROOT_PORT && type != BK__PCI_EXPRESS_DOWNSTREAM_PORT)
		return -EINVAL;
	if (port->slot.there)
		return -EEXIST;
	if (port->bus)
		return -EBUSY;
	bk__pci_config_preset(config, at + BK__PCI_EXPRESS_CAPABILITIES, 2,
			      (capabilities & ~(unsigned)BK__PCI_EXPRESS_CAPABILITIES_MESSAGE) |
				      BK__PCI_EXPRESS_CAPABILITIES_SLOT);
	bk__pci_config_preset(config, at + BK__PCI_EXPRESS_LINK_CAPABILITIES, 4,
			      bk__pci_config_get(config, at + BK__PCI_EXPRESS_LINK_CAPABILITIES, 4) |
				      BK__PCI_EXPRESS_LINK_CAPABILITIES_ACTIVE);
	bk__pci_config_preset(config, at + BK__PCI_EXPRESS_SLOT_CAPABILITIES, 4,
			      (uint64_t)number << BK__PCI_EXPRESS_SLOT_CAPABILITIES_NUMBER_SHIFT |
				      BK__PCI_EXPRESS_SLOT_CAPABILITIES_NO_COMPLETION |
				      BK__PCI_EXPRESS_SLOT_CAPABILITIES_HOT_PLUG |
				      BK__PCI_EXPRESS_SLOT_CAPABILITIES_SURPRISE);
	/* What is not there is read-only zero. */
	bk__pci_config_preset(config, at + BK__PCI_EXPRESS_SLOT_CONTROL, 4, 0);
	bk__pci_config_allow(config, at + BK__PCI_EXPRESS_SLOT_CONTROL, 2,
			     BK__PCI_EXPRESS_SLOT_STATUS_PRESENCE_CHANGED |
				     BK__PCI_EXPRESS_SLOT_CONTROL_INTERRUPT |
				     BK__PCI_EXPRESS_SLOT_CONTROL_LINK_CHANGED,
			     0);
	bk__pci_config_allow(config, at + BK__PCI_EXPRESS_SLOT_STATUS, 2, 0,
			     BK__PCI_EXPRESS_SLOT_STATUS_PRESENCE_CHANGED |
				     BK__PCI_EXPRESS_SLOT_STATUS_LINK_CHANGED);
	port->slot = (struct bk__pci_slot){
		.there = true, .occupied = port->slot.occupied, .memory = ROOM, .prefetchable = ROOM
	};
	return 0;
}

int bk_pci_slot_add(struct bk_pci_function *port, unsigned number)
{
	int error;

	bk__pci_function_lock(port);
	error = slot_add(port, number);
	bk__pci_function_unlock(port);
	return error;
}

static int slot_room(struct bk_pci_function *port, uint64_t memory, uint64_t prefetchable)
{
	if (!port->slot.there || memory % BK__PCI_BRIDGE_MEMORY_GRAIN ||
	    prefetchable % BK__PCI_BRIDGE_MEMORY_GRAIN || memory > ROOM_MOST ||
	    prefetchable > ROOM_MOST_PREFETCHABLE)
		return -EINVAL;
	if (port->bus)
		return -EBUSY;
	port->slot.memory = memory;
	port->slot.prefetchable = prefetchable;
	return 0;
}

int bk_pci_slot_set_room(struct bk_pci_function *port, uint64_t memory, uint64_t prefetchable)
{
	int error;

	bk__pci_function_lock(port);
	error = slot_room(port, memory, prefetchable);
	bk__pci_function_unlock(port);
	return error;
}

static int slot_button(struct bk_pci_function *port, void (*power)(void *opaque, bool on), void *opaque)
{
	struct bk__pci_config *config = &port->config;
	const unsigned at = port->express;

	if (!port->slot.there)
		return -EINVAL;
	if (port->bus)
		return -EBUSY;
	bk__pci_config_preset(config, at + BK__PCI_EXPRESS_SLOT_CAPABILITIES, 4,
			      bk__pci_config_get(config, at + BK__PCI_EXPRESS_SLOT_CAPABILITIES, 4) |
				      BK__PCI_EXPRESS_SLOT_CAPABILITIES_BUTTON |
				      BK__PCI_EXPRESS_SLOT_CAPABILITIES_POWER |
				      BK__PCI_EXPRESS_SLOT_CAPABILITIES_INDICATOR);
	bk__pci_config_preset(config, at + BK__PCI_EXPRESS_SLOT_CONTROL, 2,
			      BK__PCI_EXPRESS_SLOT_CONTROL_INDICATOR_ON);
	bk__pci_config_allow(
		config, at + BK__PCI_EXPRESS_SLOT_CONTROL, 2,
		BK__PCI_EXPRESS_SLOT_STATUS_BUTTON | BK__PCI_EXPRESS_SLOT_STATUS_PRESENCE_CHANGED |
			BK__PCI_EXPRESS_SLOT_CONTROL_INTERRUPT | BK__PCI_EXPRESS_SLOT_CONTROL_INDICATOR |
			BK__PCI_EXPRESS_SLOT_CONTROL_POWER_OFF | BK__PCI_EXPRESS_SLOT_CONTROL_LINK_CHANGED,
		0);
	bk__pci_config_allow(config, at + BK__PCI_EXPRESS_SLOT_STATUS, 2, 0,
			     BK__PCI_EXPRESS_SLOT_STATUS_BUTTON |
				     BK__PCI_EXPRESS_SLOT_STATUS_PRESENCE_CHANGED |
				     BK__PCI_EXPRESS_SLOT_STATUS_LINK_CHANGED);
	port->slot.power = power;
	port->slot.opaque = opaque;
	port->slot.powered = true;
	return 0;
}

int bk_pci_slot_add_button(struct bk_pci_function *port, void (*power)(void *opaque, bool on), void *opaque)
{
	int error;

	bk__pci_function_lock(port);
	error = slot_button(port, power, opaque);
	bk__pci_function_unlock(port);
	return error;
}

bool bk__pci_slot_is_powered(const struct bk_pci_function *port)
{
	return !(get(port, BK__PCI_EXPRESS_SLOT_CONTROL) & BK__PCI_EXPRESS_SLOT_CONTROL_POWER_OFF);
}

bool bk_pci_slot_powered(struct bk_pci_function *port)
{
	bool powered;

	bk__pci_function_lock(port);
	powered = !port->slot.there || bk__pci_slot_is_powered(port);
	bk__pci_function_unlock(port);
	return powered;
}

bool bk__pci_slot_cut_off(const struct bk_pci_function *port)
{
	return port->slot.there &&
	       ((get(port, BK__PCI_EXPRESS_LINK_CONTROL) & BK__PCI_EXPRESS_LINK_CONTROL_DISABLE) ||
		!bk__pci_slot_is_powered(port));
}

bool bk__pci_slot_link_down(const struct bk_pci_function *port)
{
	return port->slot.there && (!port->slot.occupied || bk__pci_slot_cut_off(port));
}
