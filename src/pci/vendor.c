/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities that only say something: of a vendor, of somebody else's standard, and the serial number. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "pci/cap.h"
#include "pci/config.h"
#include "pci/function.h"

/* Adds `head` and then `size` bytes of the owner's, which end within `most` bytes. */
static int add(struct bk_pci_function *function, bool extended, uint16_t id, unsigned offset,
	       const uint8_t *head, unsigned head_size, const void *bytes, const void *writable,
	       unsigned size, unsigned most)
{
	uint8_t *all;
	int at;

	if (size > most - head_size)
		return -EINVAL;
	all = calloc(2, most);
	if (!all)
		return -ENOMEM;
	memcpy(all, head, head_size);
	if (bytes)
		memcpy(all + head_size, bytes, size);
	if (writable)
		memcpy(all + most + head_size, writable, size);
	bk__pci_function_lock(function);
	at = bk__pci_capability_add(function, extended, id, 1, offset, head_size + size, all, all + most,
				    NULL);
	bk__pci_function_unlock(function);
	free(all);
	return at;
}

int bk_pci_vendor_add(struct bk_pci_function *function, unsigned offset, const void *bytes,
		      const void *writable, unsigned size)
{
	uint8_t head[BK__PCI_CAP_VENDOR_HEADER] = { 0, 0, (uint8_t)(sizeof(head) + size) };

	return add(function, false, BK__PCI_CAP_VENDOR, offset, head, sizeof(head), bytes, writable, size,
		   BK__PCI_EXTENDED - BK__PCI_HEADER_END);
}

enum { EXTENDED_MOST = BK__PCI_CONFIG_SIZE - BK__PCI_EXTENDED };

int bk_pci_vendor_extended_add(struct bk_pci_function *function, unsigned offset, uint16_t id,
			       uint8_t revision, const void *bytes, const void *writable, unsigned size)
{
	uint8_t head[BK__PCI_EXT_VENDOR_HEADER] = { 0 };

	bk__store(head + BK__PCI_EXT_VENDOR_ID, 4,
		  id | (uint32_t)(revision & 15) << BK__PCI_EXT_VENDOR_REVISION_SHIFT |
			  (uint32_t)(sizeof(head) + size) << BK__PCI_EXT_VENDOR_LENGTH_SHIFT);
	return add(function, true, BK__PCI_EXT_VENDOR, offset, head, sizeof(head), bytes, writable, size,
		   EXTENDED_MOST);
}

int bk_pci_dvsec_add(struct bk_pci_function *function, unsigned offset, uint16_t vendor, uint16_t id,
		     uint8_t revision, const void *bytes, const void *writable, unsigned size)
{
	uint8_t head[BK__PCI_EXT_DVSEC_HEADER] = { 0 };

	bk__store(head + BK__PCI_EXT_VENDOR_ID, 4,
		  vendor | (uint32_t)(revision & 15) << BK__PCI_EXT_VENDOR_REVISION_SHIFT |
			  (uint32_t)(sizeof(head) + size) << BK__PCI_EXT_VENDOR_LENGTH_SHIFT);
	bk__store(head + BK__PCI_EXT_DVSEC_ID, 2, id);
	return add(function, true, BK__PCI_EXT_DVSEC, offset, head, sizeof(head), bytes, writable, size,
		   EXTENDED_MOST);
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
