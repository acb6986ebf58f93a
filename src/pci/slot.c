/* SPDX-License-Identifier: BSD-2-Clause */
/* Hot-plug slots (PCIe 6.7, 7.5.3.9-11): presence and link follow who is attached below a port. */
#include "pci/slot.h"

#include <errno.h>

#include "pci/bridge.h"
#include "pci/bus.h"
#include "pci/express.h"
#include "pci/function.h"

enum { LINK_SPEED_WIDTH = BK__PCI_EXPRESS_LINK_STATUS_SPEED | BK__PCI_EXPRESS_LINK_STATUS_WIDTH };

#define ROOM                   (UINT64_C(2) << 20) /* as Linux leaves it (hpmmiosize, hpmmioprefsize) */
#define ROOM_MOST              (UINT64_C(1) << 31)
#define ROOM_MOST_PREFETCHABLE (UINT64_C(1) << 46)

static unsigned get(const struct bk_pci_function *port, unsigned offset)
{
	return (unsigned)bk__pci_config_get(&port->config, port->express + offset, 2);
}

static void set(struct bk_pci_function *port, unsigned offset, unsigned value)
{
	bk__pci_config_set(&port->config, port->express + offset, 2, value);
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

int bk_pci_slot_room(struct bk_pci_function *port, uint64_t memory, uint64_t prefetchable)
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

int bk_pci_slot_button(struct bk_pci_function *port, void (*power)(void *opaque, bool on), void *opaque)
{
	int error;

	bk__pci_function_lock(port);
	error = slot_button(port, power, opaque);
	bk__pci_function_unlock(port);
	return error;
}

static bool is_powered(const struct bk_pci_function *port)
{
	return !(get(port, BK__PCI_EXPRESS_SLOT_CONTROL) & BK__PCI_EXPRESS_SLOT_CONTROL_POWER_OFF);
}

bool bk_pci_slot_powered(struct bk_pci_function *port)
{
	bool powered;

	bk__pci_function_lock(port);
	powered = !port->slot.there || is_powered(port);
	bk__pci_function_unlock(port);
	return powered;
}

bool bk__pci_slot_cut_off(const struct bk_pci_function *port)
{
	return port->slot.there &&
	       ((get(port, BK__PCI_EXPRESS_LINK_CONTROL) & BK__PCI_EXPRESS_LINK_CONTROL_DISABLE) ||
		!is_powered(port));
}

bool bk__pci_slot_link_down(const struct bk_pci_function *port)
{
	return port->slot.there && (!port->slot.occupied || bk__pci_slot_cut_off(port));
}

void bk__pci_slot_changed(struct bk_pci_function *port)
{
	port->slot.occupied = port->secondary->functions[0] != NULL;
	if (!port->slot.there)
		return;
	bk__pci_map_settle(port);
	bk__pci_function_upstream(port);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* What the link of the card and the port came to: the card knows, if it has one. It may be a real one, in a
 * real slot that is faster or wider than this port; of one that says nothing it is the slowest. */
static unsigned negotiated(const struct bk_pci_function *port, struct bk_pci_function *card)
{
	const unsigned most = get(port, BK__PCI_EXPRESS_LINK_CAPABILITIES);
	unsigned status = 0, speed, width;

	pthread_mutex_lock(&card->lock);
	if (bk__pci_express_size(card) >= BK__PCI_EXPRESS_LINK_STATUS + 2)
		status = get(card, BK__PCI_EXPRESS_LINK_STATUS) & LINK_SPEED_WIDTH;
	pthread_mutex_unlock(&card->lock);
	speed = least(status & BK__PCI_EXPRESS_LINK_STATUS_SPEED, most & BK__PCI_EXPRESS_LINK_STATUS_SPEED);
	width = least(status & BK__PCI_EXPRESS_LINK_STATUS_WIDTH, most & BK__PCI_EXPRESS_LINK_STATUS_WIDTH);
	return (speed ? speed : BK__PCI_EXPRESS_LINK_STATUS_SLOWEST & BK__PCI_EXPRESS_LINK_STATUS_SPEED) |
	       (width ? width : BK__PCI_EXPRESS_LINK_STATUS_SLOWEST & BK__PCI_EXPRESS_LINK_STATUS_WIDTH);
}

/* An interrupt is wanted as long as an enabled event is there (PCIe 6.7.3.4). A message is sent when that
 * becomes so. */
static void signal_events(struct bk_pci_function *port)
{
	const unsigned status = get(port, BK__PCI_EXPRESS_SLOT_STATUS),
		       control = get(port, BK__PCI_EXPRESS_SLOT_CONTROL);
	const bool presence =
		status & control &
		(BK__PCI_EXPRESS_SLOT_STATUS_PRESENCE_CHANGED | BK__PCI_EXPRESS_SLOT_STATUS_BUTTON);
	const bool link = (status & BK__PCI_EXPRESS_SLOT_STATUS_LINK_CHANGED) &&
			  (control & BK__PCI_EXPRESS_SLOT_CONTROL_LINK_CHANGED);
	const bool wanted = (control & BK__PCI_EXPRESS_SLOT_CONTROL_INTERRUPT) && (presence || link);
	const bool messages = port->irq.mode != BK_PCI_IRQ_INTX;

	port->intx_level = wanted && !messages && port->desc.pin;
	if (wanted && messages && !port->slot.signalled)
		bk__pci_irq_fire(port, 0);
	else if (!wanted && port->slot.signalled)
		bk__pci_irq_withdraw(port, 0);
	port->slot.signalled = wanted && messages;
}

void bk__pci_slot_settle(struct bk_pci_function *port)
{
	struct bk__pci_slot *slot = &port->slot;
	const bool present = slot->occupied, link = !bk__pci_slot_link_down(port);
	unsigned events = 0;

	if (!slot->there)
		return;
	if (present != slot->present)
		events |= BK__PCI_EXPRESS_SLOT_STATUS_PRESENCE_CHANGED;
	if (link != slot->link)
		events |= BK__PCI_EXPRESS_SLOT_STATUS_LINK_CHANGED;
	/* Who puts a card into a slot without power presses the button: no link comes up that could tell of
	 * it, and with a button guests do not ask for presence alone (PCIe 6.7.1.5). */
	if (present && !slot->present && !is_powered(port))
		events |= BK__PCI_EXPRESS_SLOT_STATUS_BUTTON;
	slot->present = present;
	slot->link = link;
	set(port, BK__PCI_EXPRESS_SLOT_STATUS,
	    (get(port, BK__PCI_EXPRESS_SLOT_STATUS) & ~(unsigned)BK__PCI_EXPRESS_SLOT_STATUS_PRESENT) |
		    events | (present ? BK__PCI_EXPRESS_SLOT_STATUS_PRESENT : 0u));
	set(port, BK__PCI_EXPRESS_LINK_STATUS,
	    (get(port, BK__PCI_EXPRESS_LINK_STATUS) &
	     ~(unsigned)(BK__PCI_EXPRESS_LINK_STATUS_ACTIVE | LINK_SPEED_WIDTH)) |
		    (link ? BK__PCI_EXPRESS_LINK_STATUS_ACTIVE |
				     negotiated(port, port->secondary->functions[0])
			  : BK__PCI_EXPRESS_LINK_STATUS_SLOWEST));
	signal_events(port);
	if (slot->power && slot->powered != is_powered(port))
		slot->power(slot->opaque, is_powered(port));
	slot->powered = is_powered(port);
}

int bk_pci_slot_press(struct bk_pci_function *port)
{
	const unsigned listens = BK__PCI_EXPRESS_SLOT_STATUS_BUTTON | BK__PCI_EXPRESS_SLOT_CONTROL_INTERRUPT;
	unsigned control;
	int error = 0;

	bk__pci_function_lock(port);
	control = get(port, BK__PCI_EXPRESS_SLOT_CONTROL);
	if (!port->slot.power)
		error = -EINVAL;
	else if ((control & listens) != listens)
		error = -EAGAIN;
	else if ((control & BK__PCI_EXPRESS_SLOT_CONTROL_INDICATOR) ==
		 BK__PCI_EXPRESS_SLOT_CONTROL_INDICATOR_BLINKS)
		error = -EALREADY;
	if (!error) {
		set(port, BK__PCI_EXPRESS_SLOT_STATUS,
		    get(port, BK__PCI_EXPRESS_SLOT_STATUS) | BK__PCI_EXPRESS_SLOT_STATUS_BUTTON);
		bk__pci_function_settle(port);
	}
	bk__pci_function_unlock(port);
	return error;
}
