/* SPDX-License-Identifier: BSD-2-Clause */
/* Bridges: a function with a bus below (PCI-to-PCI Bridge 1.2). Windows have 16-bit I/O and 64-bit
 * prefetchable addresses. */
#include "pci/bridge.h"

#include "pci/bus.h"
#include "pci/function.h"

enum { ALIAS = 0x400 }; /* ISA cards, and VGA, decode ten bits of a port's number */

void bk__pci_bridge_fill(struct bk_pci_function *bridge)
{
	struct bk__pci_config *config = &bridge->config;

	bk__pci_config_preset(config, BK__PCI_HEADER_TYPE, 1, 1);
	bk__pci_config_preset(config, BK__PCI_SUBSYSTEM_VENDOR, 4, 0);
	bk__pci_config_allow(config, BK__PCI_BRIDGE_PRIMARY, 3, 0xffffff, 0);
	if (!bridge->desc.extended)
		bk__pci_config_allow(config, BK__PCI_BRIDGE_LATENCY, 1, 0xff, 0);
	bk__pci_config_allow(config, BK__PCI_BRIDGE_IO_BASE, 2, 0xf0f0, 0);
	bk__pci_config_allow(config, BK__PCI_BRIDGE_STATUS, 2, 0, BK__PCI_STATUS_ERRORS);
	bk__pci_config_allow(config, BK__PCI_BRIDGE_MEMORY_BASE, 4, 0xfff0fff0, 0);
	bk__pci_config_allow(config, BK__PCI_BRIDGE_PREFETCHABLE_BASE, 4, 0xfff0fff0, 0);
	bk__pci_config_allow(config, BK__PCI_BRIDGE_PREFETCHABLE_BASE_UPPER, 8, UINT64_MAX, 0);
	bk__pci_config_allow(config, BK__PCI_BRIDGE_CONTROL, 2, BK__PCI_BRIDGE_CONTROL_WRITABLE,
			     BK__PCI_BRIDGE_CONTROL_W1C);
	/* Closed: each base is above its limit. */
	bk__pci_config_preset(config, BK__PCI_BRIDGE_IO_BASE, 1, 0xf0);
	bk__pci_config_preset(config, BK__PCI_BRIDGE_MEMORY_BASE, 2, 0xfff0);
	bk__pci_config_preset(config, BK__PCI_BRIDGE_PREFETCHABLE_BASE, 4, 0x0001fff1);
}

static unsigned control(const struct bk_pci_function *bridge)
{
	return (unsigned)bk__pci_config_get(&bridge->config, BK__PCI_BRIDGE_CONTROL, 2);
}

bool bk__pci_bridge_resets(const struct bk_pci_function *bridge)
{
	return (control(bridge) & BK__PCI_BRIDGE_CONTROL_RESET) || bk__pci_slot_cut_off(bridge);
}

/* Is the bus below unused? */
static bool is_shut(const struct bk_pci_function *bridge)
{
	return (control(bridge) & BK__PCI_BRIDGE_CONTROL_RESET) || bk__pci_slot_link_down(bridge);
}

bool bk__pci_bridge_forwards(const struct bk_pci_function *bridge)
{
	return (bk__pci_command(bridge) & BK__PCI_COMMAND_MASTER) && bk__pci_pm_state(bridge) == 0 &&
	       !is_shut(bridge);
}

bool bk__pci_bridge_vga(const struct bk_pci_function *bridge)
{
	return (control(bridge) & BK__PCI_BRIDGE_CONTROL_VGA) && !is_shut(bridge);
}

static uint64_t get(const struct bk_pci_function *bridge, unsigned offset, unsigned width)
{
	return bk__pci_config_get(&bridge->config, offset, width);
}

struct bk__pci_place bk__pci_bridge_place(const struct bk_pci_function *bridge, unsigned show)
{
	struct bk__pci_place place = { .on = true };
	uint16_t enable = BK__PCI_COMMAND_MEMORY;

	switch (show) {
	case BK__SHOW_VGA_ALIASES:
		enable = BK__PCI_COMMAND_IO;
		place = (struct bk__pci_place){ .first = ALIAS, .last = UINT16_MAX };
		place.on =
			bk__pci_bridge_vga(bridge) && !(control(bridge) & BK__PCI_BRIDGE_CONTROL_VGA_16BIT);
		break;
	case BK__SHOW_IO:
	case BK__SHOW_IO_ISA:
		enable = BK__PCI_COMMAND_IO;
		place.on = (show == BK__SHOW_IO_ISA) == ((control(bridge) & BK__PCI_BRIDGE_CONTROL_ISA) != 0);
		place.first = (get(bridge, BK__PCI_BRIDGE_IO_BASE, 1) & 0xf0) << 8;
		place.last =
			(get(bridge, BK__PCI_BRIDGE_IO_LIMIT, 1) & 0xf0) << 8 | (BK__PCI_BRIDGE_IO_GRAIN - 1);
		break;
	case BK__SHOW_MEMORY:
		place.first = (get(bridge, BK__PCI_BRIDGE_MEMORY_BASE, 2) & 0xfff0) << 16;
		place.last = (get(bridge, BK__PCI_BRIDGE_MEMORY_LIMIT, 2) & 0xfff0) << 16 |
			     (BK__PCI_BRIDGE_MEMORY_GRAIN - 1);
		break;
	case BK__SHOW_PREFETCHABLE:
		place.first = get(bridge, BK__PCI_BRIDGE_PREFETCHABLE_BASE_UPPER, 4) << 32 |
			      (get(bridge, BK__PCI_BRIDGE_PREFETCHABLE_BASE, 2) & 0xfff0) << 16;
		place.last = get(bridge, BK__PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER, 4) << 32 |
			     (get(bridge, BK__PCI_BRIDGE_PREFETCHABLE_LIMIT, 2) & 0xfff0) << 16 |
			     (BK__PCI_BRIDGE_MEMORY_GRAIN - 1);
		break;
	default: { /* bus numbers: config accesses need no COMMAND bit */
		uint64_t secondary = get(bridge, BK__PCI_BRIDGE_SECONDARY, 1);
		uint64_t subordinate = get(bridge, BK__PCI_BRIDGE_SUBORDINATE, 1);

		enable = 0;
		place.first = secondary << BK__BUS_SHIFT;
		place.last = ((show == BK__SHOW_SECONDARY ? secondary : subordinate) + 1) << BK__BUS_SHIFT;
		place.last--;
		place.on = secondary && secondary <= subordinate;
		break;
	}
	}
	if (place.last < place.first || is_shut(bridge) || (bk__pci_command(bridge) & enable) != enable)
		place.on = false;
	if (place.last < place.first)
		place.last = place.first;
	return place;
}

bool bk__pci_bridge_passes(unsigned show, unsigned number, struct bk__pci_place *range)
{
	uint64_t base;

	if (show == BK__SHOW_IO_ISA) {
		base = (uint64_t)number * ALIAS;
		*range = (struct bk__pci_place){ .first = base, .last = base + 0xff };
	} else {
		bool color = number % 2;

		base = (uint64_t)(number / 2 + 1) * ALIAS;
		*range = (struct bk__pci_place){
			.first = base + (color ? BK__PCI_VGA_COLOR : BK__PCI_VGA_MONO),
			.last = base + (color ? (BK__PCI_VGA_COLOR_END - 1) : (BK__PCI_VGA_MONO_END - 1)),
		};
	}
	return range->last <= UINT16_MAX;
}
