/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities without effect in the model: of vendors, of other standards, and the serial number. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/struct.h"
#include "pci/cap.h"
#include "pci/config.h"
#include "pci/function.h"

/* Adds `head` and then the owner's bytes, which end within `most` bytes. */
static int add(struct bk_pci_function *function, const struct bk_pci_vendor_desc *desc, uint16_t id,
	       const uint8_t *head, unsigned head_size)
{
	const bool extended = desc->kind != BK_PCI_VENDOR;
	const unsigned most =
		extended ? BK__PCI_CONFIG_SIZE - BK__PCI_EXTENDED : BK__PCI_EXTENDED - BK__PCI_HEADER_END;
	uint8_t *all;
	int at;

	if (desc->size > most - head_size)
		return -EINVAL;
	all = calloc(2, most);
	if (!all)
		return -ENOMEM;
	memcpy(all, head, head_size);
	if (desc->bytes)
		memcpy(all + head_size, desc->bytes, desc->size);
	if (desc->writable)
		memcpy(all + most + head_size, desc->writable, desc->size);
	bk__pci_function_lock(function);
	at = bk__pci_capability_add(function, extended, id, 1, desc->offset, head_size + desc->size, all,
				    all + most, NULL);
	bk__pci_function_unlock(function);
	free(all);
	return at;
}

static int add_vendor(struct bk_pci_function *function, const struct bk_pci_vendor_desc *desc)
{
	const uint8_t head[BK__PCI_CAP_VENDOR_HEADER] = { 0, 0, (uint8_t)(sizeof(head) + desc->size) };

	return add(function, desc, BK__PCI_CAP_VENDOR, head, sizeof(head));
}

/* The second word of the header: whose it is, or which one, and how long. */
static void store_length(uint8_t *head, unsigned head_size, uint16_t whose,
			 const struct bk_pci_vendor_desc *desc)
{
	bk__store(head + BK__PCI_EXT_VENDOR_ID, 4,
		  whose | (uint32_t)(desc->revision & 15) << BK__PCI_EXT_VENDOR_REVISION_SHIFT |
			  (uint32_t)(head_size + desc->size) << BK__PCI_EXT_VENDOR_LENGTH_SHIFT);
}

static int add_vsec(struct bk_pci_function *function, const struct bk_pci_vendor_desc *desc)
{
	uint8_t head[BK__PCI_EXT_VENDOR_HEADER] = { 0 };

	store_length(head, sizeof(head), desc->id, desc);
	return add(function, desc, BK__PCI_EXT_VENDOR, head, sizeof(head));
}

static int add_dvsec(struct bk_pci_function *function, const struct bk_pci_vendor_desc *desc)
{
	uint8_t head[BK__PCI_EXT_DVSEC_HEADER] = { 0 };

	store_length(head, sizeof(head), desc->vendor, desc);
	bk__store(head + BK__PCI_EXT_DVSEC_ID, 2, desc->id);
	return add(function, desc, BK__PCI_EXT_DVSEC, head, sizeof(head));
}

int bk_pci_vendor_add(struct bk_pci_function *function, const struct bk_pci_vendor_desc *caller)
{
	struct bk_pci_vendor_desc desc;
	int error = bk__struct_take(&desc, sizeof(desc), caller);

	if (error)
		return error;
	switch (desc.kind) {
	case BK_PCI_VENDOR:
		return add_vendor(function, &desc);
	case BK_PCI_VSEC:
		return add_vsec(function, &desc);
	case BK_PCI_DVSEC:
		return add_dvsec(function, &desc);
	}
	return -EINVAL;
}

int bk_pci_serial_add(struct bk_pci_function *function, unsigned offset, uint64_t serial)
{
	uint8_t bytes[BK__PCI_SERIAL_SIZE] = { 0 };
	int at = -EEXIST;

	bk__store(bytes + BK__PCI_SERIAL_NUMBER, 8, serial);
	bk__pci_function_lock(function);
	if (!bk__pci_capability_has(function, true, BK__PCI_EXT_SERIAL))
		at = bk__pci_capability_add(function, true, BK__PCI_EXT_SERIAL, 1, offset, sizeof(bytes),
					    bytes, NULL, NULL);
	bk__pci_function_unlock(function);
	return at;
}
