/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI Express capability (PCIe 7.5.3): what is writable, what resets, and what a reset leaves. */
#include "pci/express.h"

#include <errno.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "pci/cap.h"
#include "pci/function.h"
#include "pci/kind.h"

/* Two-byte registers a guest may change, and the status bits it may clear. */
struct control {
	unsigned offset;
	uint16_t writable, w1c;
};

static const struct control every_function[] = {
	{ BK__PCI_EXPRESS_DEVICE_CONTROL, 0x7fff, 0 }, /* all but Initiate FLR */
	{ BK__PCI_EXPRESS_DEVICE_STATUS, 0, 0x004f },  /* errors, emergency power reduction */
	{ BK__PCI_EXPRESS_LINK_CONTROL, 0xffdf, 0 },   /* all but Retrain Link, which reads zero */
	{ BK__PCI_EXPRESS_LINK_STATUS, 0, 0xc000 },    /* bandwidth */
	{ BK__PCI_EXPRESS_DEVICE_CONTROL_2, 0xffff, 0 }, { BK__PCI_EXPRESS_LINK_CONTROL_2, 0xffff, 0 },
	{ BK__PCI_EXPRESS_LINK_STATUS_2, 0, 0x0020 }, /* equalization request */
};
static const struct control of_slots[] = {
	{ BK__PCI_EXPRESS_SLOT_CONTROL, 0xffff, 0 },
	{ BK__PCI_EXPRESS_SLOT_STATUS, 0, 0x011f }, /* events */
	{ BK__PCI_EXPRESS_SLOT_CONTROL_2, 0xffff, 0 },
};
static const struct control of_roots[] = {
	{ BK__PCI_EXPRESS_ROOT_CONTROL, 0xffff, 0 },
	{ BK__PCI_EXPRESS_ROOT_STATUS + 2, 0, 0x0001 }, /* PME Status */
};

static void allow(struct bk_pci_function *function, const struct control *controls, size_t count,
		  unsigned size)
{
	for (size_t i = 0; i < count; i++)
		if (controls[i].offset + 2 <= size)
			bk__pci_config_allow(&function->config, function->express + controls[i].offset, 2,
					     controls[i].writable, controls[i].w1c);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

unsigned bk__pci_express_type(const struct bk_pci_function *function)
{
	return function->express ? bk__pci_config_get(&function->config,
						      function->express + BK__PCI_EXPRESS_CAPABILITIES, 1) >>
					   BK__PCI_EXPRESS_CAPABILITIES_TYPE_SHIFT
				 : BK__PCI_EXPRESS_NONE;
}

bool bk__pci_express_is_port(const struct bk_pci_function *bridge)
{
	switch (bk__pci_express_type(bridge)) {
	case BK__PCI_EXPRESS_ROOT_PORT:
	case BK__PCI_EXPRESS_UPSTREAM_PORT:
	case BK__PCI_EXPRESS_DOWNSTREAM_PORT:
	case BK__PCI_EXPRESS_FROM_PCI:
		return true;
	default:
		return false;
	}
}

unsigned bk__pci_express_size(const struct bk_pci_function *function)
{
	for (unsigned i = 0; i < function->capabilities.count && function->express; i++)
		if (function->capabilities.at[i].offset == function->express)
			return function->capabilities.at[i].size;
	return 0;
}

int bk__pci_express_add(struct bk_pci_function *function, unsigned offset, const void *bytes, unsigned size)
{
	struct bk__pci_config *config = &function->config;
	unsigned capabilities, type;
	int at;

	if (size < BK__PCI_EXPRESS_SIZE_LEAST || size > BK__PCI_EXPRESS_SIZE || !bytes)
		return -EINVAL;
	at = bk__pci_capability_add(function, false, BK__PCI_CAP_EXPRESS, 0, offset, size, bytes, NULL, NULL);
	if (at < 0)
		return at;
	function->express = (unsigned)at;
	capabilities =
		(unsigned)bk__pci_config_get(config, function->express + BK__PCI_EXPRESS_CAPABILITIES, 2);
	type = bk__pci_express_type(function);
	bk__pci_config_preset(
		config, function->express + BK__PCI_EXPRESS_DEVICE_CONTROL, 2,
		bk__pci_config_get(config, function->express + BK__PCI_EXPRESS_DEVICE_CONTROL, 2) &
			~(uint64_t)BK__PCI_EXPRESS_DEVICE_CONTROL_FLR);
	allow(function, every_function, COUNT(every_function), size);
	if (capabilities & BK__PCI_EXPRESS_CAPABILITIES_SLOT)
		allow(function, of_slots, COUNT(of_slots), size);
	if (type == BK__PCI_EXPRESS_ROOT_PORT || type == BK__PCI_EXPRESS_EVENT_COLLECTOR)
		allow(function, of_roots, COUNT(of_roots), size);
	return at;
}

bool bk__pci_express_shows_retry(const struct bk_pci_function *port)
{
	const unsigned at = port->express;

	return bk__pci_express_type(port) == BK__PCI_EXPRESS_ROOT_PORT &&
	       bk__pci_express_size(port) >= BK__PCI_EXPRESS_ROOT_STATUS &&
	       bk__pci_config_get(&port->config, at + BK__PCI_EXPRESS_ROOT_CAPABILITIES, 1) &
		       BK__PCI_EXPRESS_ROOT_CAPABILITIES_RETRY &&
	       bk__pci_config_get(&port->config, at + BK__PCI_EXPRESS_ROOT_CONTROL, 1) &
		       BK__PCI_EXPRESS_ROOT_CONTROL_RETRY;
}

/* Left by a reset are Max_Payload_Size, and what belongs to the link; sticky is what chooses its speed, and
 * tests it. */
static void keep(struct bk_pci_function *function, const uint8_t *before, bool sticky)
{
	static const struct {
		unsigned offset;
		uint16_t left;
		bool sticky;
	} registers[] = {
		{ BK__PCI_EXPRESS_DEVICE_CONTROL, BK__PCI_EXPRESS_DEVICE_CONTROL_PAYLOAD, false },
		/* ASPM, Read Completion Boundary, Common Clock, Extended Synch, Clock Power Management,
		 * Hardware Autonomous Width Disable */
		{ BK__PCI_EXPRESS_LINK_CONTROL, 0x03cb, false },
		{ BK__PCI_EXPRESS_LINK_CONTROL_2, 0xffff, true },
		{ BK__PCI_EXPRESS_LINK_STATUS_2, 0x0020, false },
	};
	const unsigned size = bk__pci_express_size(function);

	for (unsigned i = 0; i < COUNT(registers); i++) {
		const unsigned at = function->express + registers[i].offset;
		const uint64_t left = registers[i].left;

		if (registers[i].offset + 2 <= size && (registers[i].sticky || !sticky))
			bk__pci_config_set(&function->config, at, 2,
					   (bk__pci_config_get(&function->config, at, 2) & ~left) |
						   (bk__load(before + at, 2) & left));
	}
}

static bool written(struct bk_pci_function *function, const struct bk__pci_write *write)
{
	const unsigned at = function->express;

	return at &&
	       bk__pci_write_sets(write, at + BK__PCI_EXPRESS_DEVICE_CONTROL + 1,
				  BK__PCI_EXPRESS_DEVICE_CONTROL_FLR >> 8) &&
	       bk__pci_config_get(&function->config, at + BK__PCI_EXPRESS_DEVICE_CAPABILITIES, 4) &
		       BK__PCI_EXPRESS_DEVICE_CAPABILITIES_FLR;
}

static void forget(struct bk_pci_function *function, unsigned offset)
{
	if (function->express == offset)
		function->express = 0;
}

const struct bk__pci_kind bk__pci_express_kind = { .forget = forget, .written = written, .keep = keep };
