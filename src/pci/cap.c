/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities: who holds which bytes, and the two chains (PCI 3.0 6.7, PCIe 7.6.3), which may change while a
 * guest reads them. */
#include "pci/cap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pci/function.h"
#include "pci/regs.h"

static bool one_of_a_kind(bool extended, uint16_t id)
{
	return !extended && (id == BK__PCI_CAP_PM || id == BK__PCI_CAP_MSI || id == BK__PCI_CAP_EXPRESS ||
			     id == BK__PCI_CAP_MSIX || id == BK__PCI_CAP_AF);
}

static bool is_extended(const struct bk__pci_capability *capability)
{
	return capability->offset >= BK__PCI_EXTENDED;
}

/* The capability that holds one of these bytes, or NULL. */
static const struct bk__pci_capability *holder(const struct bk_pci_function *function, unsigned offset,
					       unsigned size)
{
	for (unsigned i = 0; i < function->capabilities.count; i++) {
		const struct bk__pci_capability *other = &function->capabilities.at[i];

		if (offset < other->offset + other->size && other->offset < offset + size)
			return other;
	}
	return NULL;
}

/* Finds room, or checks what is asked for. The offset, or a negative errno. */
static int place(const struct bk_pci_function *function, bool extended, unsigned offset, unsigned size)
{
	unsigned first = extended ? BK__PCI_EXTENDED : BK__PCI_HEADER_END;
	unsigned end = extended ? function->config.size : BK__PCI_EXTENDED;
	const struct bk__pci_capability *other;

	if (size < (extended ? BK__PCI_EXT_HEADER : BK__PCI_CAP_HEADER) || size > end - first)
		return -EINVAL;
	if (offset) {
		if (offset < first || offset > end - size || offset % 4 || holder(function, offset, size))
			return -EINVAL;
		return (int)offset;
	}
	for (offset = first; offset <= end - size; offset = (other->offset + other->size + 3) & ~3u) {
		other = holder(function, offset, size);
		if (!other)
			return (int)offset;
	}
	return -ENOSPC;
}

unsigned bk__pci_capability_holds(struct bk_pci_function *function, unsigned offset, unsigned width)
{
	unsigned bits = 0;

	bk__pci_function_lock(function);
	for (unsigned i = 0; i < width; i++)
		bits |= (unsigned)!!holder(function, offset + i, 1) << i;
	bk__pci_function_unlock(function);
	return bits;
}

bool bk__pci_registers_take(struct bk_pci_function *function, unsigned offset, unsigned width)
{
	bool takes = false;

	bk__pci_function_lock(function);
	for (unsigned i = offset; i < offset + width; i++)
		takes |= function->config.writable[i] || function->config.w1c[i];
	bk__pci_function_unlock(function);
	return takes;
}

bool bk__pci_capability_has(const struct bk_pci_function *function, bool extended, uint16_t id)
{
	for (unsigned i = 0; i < function->capabilities.count; i++)
		if (function->capabilities.at[i].id == id &&
		    is_extended(&function->capabilities.at[i]) == extended)
			return true;
	return false;
}

static int remember(struct bk_pci_function *function, const struct bk__pci_capability *capability)
{
	size_t i = function->capabilities.count;

	if (bk__array_reserve(&function->capabilities, 1))
		return -ENOMEM;
	while (i && function->capabilities.at[i - 1].offset > capability->offset)
		i--;
	bk__array_insert(&function->capabilities, i, *capability);
	return 0;
}

/* Pointers in order of offsets, so that no chain can loop, also for who walks it while it changes. */
static void link_standard(struct bk_pci_function *function)
{
	struct bk__pci_config *config = &function->config;
	unsigned pointer = BK__PCI_CAP_POINTER;
	uint64_t status = bk__pci_config_get(config, BK__PCI_STATUS, 1) & ~(uint64_t)BK__PCI_STATUS_CAP_LIST;

	for (unsigned i = 0; i < function->capabilities.count; i++) {
		const struct bk__pci_capability *capability = &function->capabilities.at[i];

		if (is_extended(capability))
			break;
		bk__pci_config_preset(config, pointer, 1, capability->offset);
		status |= BK__PCI_STATUS_CAP_LIST;
		pointer = capability->offset + BK__PCI_CAP_NEXT;
	}
	bk__pci_config_preset(config, pointer, 1, 0);
	bk__pci_config_preset(config, BK__PCI_STATUS, 1,
			      status); /* the lower byte: nothing in it is the guest's */
}

/* The chain begins at 0x100 even if nothing is there: a header of id 0 leads on. */
static void link_extended(struct bk_pci_function *function)
{
	unsigned header = BK__PCI_EXTENDED;

	for (unsigned i = 0; i < function->capabilities.count; i++) {
		unsigned offset = function->capabilities.at[i].offset;

		if (!is_extended(&function->capabilities.at[i]))
			continue;
		if (offset != header)
			bk__pci_config_preset(
				&function->config, header + BK__PCI_EXT_NEXT, 2,
				(bk__pci_config_get(&function->config, header + BK__PCI_EXT_NEXT, 2) & 0xf) |
					offset << 4);
		header = offset;
	}
	bk__pci_config_preset(&function->config, header + BK__PCI_EXT_NEXT, 2,
			      bk__pci_config_get(&function->config, header + BK__PCI_EXT_NEXT, 2) & 0xf);
}

int bk__pci_capability_add(struct bk_pci_function *function, bool extended, uint16_t id, uint8_t version,
			   unsigned offset, unsigned size, const void *bytes, const void *writable,
			   const void *w1c)
{
	struct bk__pci_config *config = &function->config;
	struct bk__pci_capability capability = { .size = size, .id = id };
	unsigned header = extended ? BK__PCI_EXT_HEADER : BK__PCI_CAP_HEADER;
	int at, error;

	if (extended && !function->desc.extended)
		return -EINVAL;
	if (one_of_a_kind(extended, id) && bk__pci_capability_has(function, extended, id))
		return -EEXIST;
	at = place(function, extended, offset, size);
	if (at < 0)
		return at;
	capability.offset = (unsigned)at;
	error = remember(function, &capability);
	if (error)
		return error;
	for (unsigned i = header; i < size; i++) {
		bk__pci_config_preset(config, capability.offset + i, 1,
				      bytes ? ((const uint8_t *)bytes)[i] : 0);
		bk__pci_config_allow(config, capability.offset + i, 1,
				     writable ? ((const uint8_t *)writable)[i] : 0,
				     w1c ? ((const uint8_t *)w1c)[i] : 0);
	}
	bk__pci_config_allow(config, capability.offset, header, 0, 0);
	if (extended) {
		bk__pci_config_preset(config, capability.offset, BK__PCI_EXT_HEADER,
				      id | (uint32_t)(version & 0xf) << BK__PCI_EXT_VERSION_SHIFT);
		link_extended(function);
	} else {
		bk__pci_config_preset(config, capability.offset, 1, id);
		link_standard(function);
	}
	return at;
}

/* Where it is among them, or the count. */
static unsigned index_of(const struct bk_pci_function *function, unsigned offset)
{
	unsigned at = 0;

	while (at < function->capabilities.count && function->capabilities.at[at].offset != offset)
		at++;
	return at;
}

bool bk__pci_capability_begins(const struct bk_pci_function *function, unsigned offset)
{
	return index_of(function, offset) < function->capabilities.count;
}

void bk__pci_capability_drop(struct bk_pci_function *function, unsigned offset)
{
	const unsigned at = index_of(function, offset);
	const unsigned size = function->capabilities.at[at].size;

	bk__array_remove(&function->capabilities, at);
	for (unsigned i = offset; i < offset + size; i++) {
		bk__pci_config_preset(&function->config, i, 1, 0);
		bk__pci_config_allow(&function->config, i, 1, 0, 0);
	}
	link_standard(function);
	if (function->desc.extended)
		link_extended(function);
}
