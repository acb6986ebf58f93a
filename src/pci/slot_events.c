/* SPDX-License-Identifier: BSD-2-Clause */
/* Events of a hot-plug slot: presence and link follow what is attached below the port, and the guest is
 * notified. */
#include <errno.h>

#include "pci/bus.h"
#include "pci/express.h"
#include "pci/function.h"

enum { LINK_SPEED_WIDTH = BK__PCI_EXPRESS_LINK_STATUS_SPEED | BK__PCI_EXPRESS_LINK_STATUS_WIDTH };

static unsigned get(const struct bk_pci_function *port, unsigned offset)
{
	return (unsigned)bk__pci_config_get(&port->config, port->express + offset, 2);
}

static void set(struct bk_pci_function *port, unsigned offset, unsigned value)
{
	bk__pci_config_set(&port->config, port->express + offset, 2, value);
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
	if (present && !slot->present && !bk__pci_slot_is_powered(port))
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
	if (slot->power && slot->powered != bk__pci_slot_is_powered(port))
		slot->power(slot->opaque, bk__pci_slot_is_powered(port));
	slot->powered = bk__pci_slot_is_powered(port);
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
		bk__pci_slot_settle(port);
		bk__pci_intx_settle(port);
	}
	bk__pci_function_unlock(port);
	return error;
}
