/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI Express capability (PCIe 7.5.3) and Advanced Features: what is writable, and what resets. */
#include <errno.h>

#include "cap.h"
#include "function.h"

/* Registers of the PCI Express capability. */
enum {
	CAPABILITIES = 0x02,
	DEVICE_CAPABILITIES = 0x04,
	DEVICE_CONTROL = 0x08,
	SIZE = 0x3c,
	SIZE_LEAST = 0x0c, /* of version 1, an integrated endpoint */
};

enum {
	TYPE_ROOT_PORT = 4,
	TYPE_EVENT_COLLECTOR = 10,
	SLOT_IMPLEMENTED = 0x0100, /* in CAPABILITIES */
	FLR_CAPABLE = 1 << 28,     /* in DEVICE_CAPABILITIES */
	INITIATE_FLR = 0x8000,     /* in DEVICE_CONTROL; reads zero */
};

/* Two-byte registers a guest may change, and the status bits it may clear. */
struct control {
	unsigned offset;
	uint16_t writable, w1c;
};

static const struct control every_function[] = {
	{ DEVICE_CONTROL, 0x7fff, 0 }, /* all but Initiate FLR */
	{ 0x0a, 0, 0x004f },           /* Device Status: errors, emergency power reduction */
	{ 0x10, 0xffdf, 0 },           /* Link Control: all but Retrain Link, which reads zero */
	{ 0x12, 0, 0xc000 },           /* Link Status: bandwidth */
	{ 0x28, 0xffff, 0 },           /* Device Control 2 */
	{ 0x30, 0xffff, 0 },           /* Link Control 2 */
	{ 0x32, 0, 0x0020 },           /* Link Status 2: equalization request */
};
static const struct control of_slots[] = {
	{ 0x18, 0xffff, 0 }, /* Slot Control */
	{ 0x1a, 0, 0x011f }, /* Slot Status: events */
	{ 0x38, 0xffff, 0 }, /* Slot Control 2 */
};
static const struct control of_roots[] = {
	{ 0x1c, 0xffff, 0 }, /* Root Control */
	{ 0x22, 0, 0x0001 }, /* Root Status: PME Status */
};

static void allow(struct bk_pci_function *function, const struct control *controls, size_t count,
		  unsigned size)
{
	for (size_t i = 0; i < count; i++)
		if (controls[i].offset + 2 <= size)
			bk__config_allow(&function->config, function->express + controls[i].offset, 2,
					 controls[i].writable, controls[i].w1c);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int express_add(struct bk_pci_function *function, unsigned offset, const void *bytes, unsigned size)
{
	struct bk__config *config = &function->config;
	unsigned capabilities, type;
	int at;

	if (size < SIZE_LEAST || size > SIZE || !bytes)
		return -EINVAL;
	at = bk__capability_add(function, false, BK__CAP_EXPRESS, 0, offset, size, bytes, NULL, NULL);
	if (at < 0)
		return at;
	function->express = (unsigned)at;
	capabilities = (unsigned)bk__config_get(config, function->express + CAPABILITIES, 2);
	type = capabilities >> 4 & 15;
	bk__config_preset(config, function->express + DEVICE_CONTROL, 2,
			  bk__config_get(config, function->express + DEVICE_CONTROL, 2) &
				  ~(uint64_t)INITIATE_FLR);
	allow(function, every_function, COUNT(every_function), size);
	if (capabilities & SLOT_IMPLEMENTED)
		allow(function, of_slots, COUNT(of_slots), size);
	if (type == TYPE_ROOT_PORT || type == TYPE_EVENT_COLLECTOR)
		allow(function, of_roots, COUNT(of_roots), size);
	return at;
}

int bk_pci_express_add(struct bk_pci_function *function, unsigned offset, const void *bytes, unsigned size)
{
	int at;

	bk__function_lock(function);
	at = express_add(function, offset, bytes, size);
	bk__function_unlock(function);
	return at;
}

/* Does the write set a bit of the byte at `at`? */
static bool sets(unsigned at, uint8_t bit, unsigned offset, unsigned width, uint64_t value)
{
	return at >= offset && at < offset + width && value >> 8 * (at - offset) & bit;
}

bool bk__express_starts_reset(const struct bk_pci_function *function, unsigned offset, unsigned width,
			      uint64_t value)
{
	return function->express &&
	       sets(function->express + DEVICE_CONTROL + 1, INITIATE_FLR >> 8, offset, width, value) &&
	       bk__config_get(&function->config, function->express + DEVICE_CAPABILITIES, 4) & FLR_CAPABLE;
}

/* Registers of Advanced Features. */
enum {
	AF_LENGTH = 2,
	AF_CAPABILITIES = 3, /* bit 0: Transactions Pending is there, bit 1: FLR */
	AF_CONTROL = 4,      /* bit 0: Initiate FLR; reads zero */
	AF_SIZE = 6,
};

static int af_add(struct bk_pci_function *function, unsigned offset)
{
	static const uint8_t bytes[AF_SIZE] = { [AF_LENGTH] = AF_SIZE, [AF_CAPABILITIES] = 3 };
	int at = bk__capability_add(function, false, BK__CAP_AF, 0, offset, AF_SIZE, bytes, NULL, NULL);

	if (at > 0)
		function->af = (unsigned)at;
	return at;
}

int bk_pci_af_add(struct bk_pci_function *function, unsigned offset)
{
	int at;

	bk__function_lock(function);
	at = af_add(function, offset);
	bk__function_unlock(function);
	return at;
}

bool bk__af_starts_reset(const struct bk_pci_function *function, unsigned offset, unsigned width,
			 uint64_t value)
{
	return function->af && sets(function->af + AF_CONTROL, 1, offset, width, value);
}
