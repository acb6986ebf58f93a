/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities: who holds which bytes, and the two chains (PCI 3.0 6.7, PCIe 7.6.3). */
#include "cap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "function.h"

static bool one_of_a_kind(uint16_t id)
{
	return id == BK__CAP_PM || id == BK__CAP_MSI || id == BK__CAP_EXPRESS || id == BK__CAP_MSIX ||
	       id == BK__CAP_AF;
}

static bool is_extended(const struct bk__capability *capability)
{
	return capability->offset >= BK__EXTENDED;
}

/* The capability that holds one of these bytes, or NULL. */
static const struct bk__capability *holder(const struct bk_pci_function *function, unsigned offset,
					   unsigned size)
{
	for (unsigned i = 0; i < function->capability_count; i++) {
		const struct bk__capability *other = &function->capabilities[i];

		if (offset < other->offset + other->size && other->offset < offset + size)
			return other;
	}
	return NULL;
}

/* Finds room, or checks what is asked for. The offset, or a negative errno. */
static int place(const struct bk_pci_function *function, bool extended, unsigned offset, unsigned size)
{
	unsigned first = extended ? BK__EXTENDED : BK__HEADER_SIZE;
	unsigned end = extended ? function->config.size : BK__EXTENDED;
	const struct bk__capability *other;

	if (size < (extended ? 4 : 2) || size > end - first)
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

static int remember(struct bk_pci_function *function, const struct bk__capability *capability)
{
	unsigned i = function->capability_count;
	struct bk__capability *more = realloc(function->capabilities, (i + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	for (; i && more[i - 1].offset > capability->offset; i--)
		more[i] = more[i - 1];
	more[i] = *capability;
	function->capabilities = more;
	function->capability_count++;
	return 0;
}

/* Pointers in order of offsets, so that no chain can loop. */
static void link_standard(struct bk_pci_function *function)
{
	unsigned pointer = BK__CAPABILITIES;

	for (unsigned i = 0; i < function->capability_count; i++) {
		const struct bk__capability *capability = &function->capabilities[i];

		if (is_extended(capability))
			break;
		bk__config_preset(&function->config, pointer, 1, capability->offset);
		bk__config_preset(&function->config, BK__STATUS, 2,
				  bk__config_get(&function->config, BK__STATUS, 2) | BK__STATUS_CAPABILITIES);
		pointer = capability->offset + 1;
	}
	bk__config_preset(&function->config, pointer, 1, 0);
}

/* The chain begins at BK__EXTENDED even if nothing is there: a header of id 0 leads on. */
static void link_extended(struct bk_pci_function *function)
{
	unsigned header = BK__EXTENDED;

	for (unsigned i = 0; i < function->capability_count; i++) {
		unsigned offset = function->capabilities[i].offset;

		if (!is_extended(&function->capabilities[i]))
			continue;
		if (offset != header)
			bk__config_preset(&function->config, header + 2, 2,
					  (bk__config_get(&function->config, header + 2, 2) & 0xf) |
						  offset << 4);
		header = offset;
	}
	bk__config_preset(&function->config, header + 2, 2,
			  bk__config_get(&function->config, header + 2, 2) & 0xf);
}

static int add(struct bk_pci_function *function, bool extended, uint16_t id, uint8_t version, unsigned offset,
	       unsigned size, const void *bytes, const void *writable, const void *w1c)
{
	struct bk__config *config = &function->config;
	struct bk__capability capability = { .size = size, .id = id };
	unsigned header = extended ? 4 : 2;
	int at, error;

	if (function->bus)
		return -EBUSY;
	for (unsigned i = 0; !extended && one_of_a_kind(id) && i < function->capability_count; i++)
		if (function->capabilities[i].id == id && !is_extended(&function->capabilities[i]))
			return -EEXIST;
	at = place(function, extended, offset, size);
	if (at < 0)
		return at;
	capability.offset = (unsigned)at;
	error = remember(function, &capability);
	if (error)
		return error;
	for (unsigned i = header; i < size; i++) {
		bk__config_preset(config, capability.offset + i, 1, bytes ? ((const uint8_t *)bytes)[i] : 0);
		bk__config_allow(config, capability.offset + i, 1,
				 writable ? ((const uint8_t *)writable)[i] : 0,
				 w1c ? ((const uint8_t *)w1c)[i] : 0);
	}
	bk__config_allow(config, capability.offset, header, 0, 0);
	if (extended) {
		bk__config_preset(config, capability.offset, 4, id | (uint32_t)(version & 0xf) << 16);
		link_extended(function);
	} else {
		bk__config_preset(config, capability.offset, 1, id);
		link_standard(function);
	}
	return at;
}

int bk_pci_capability_add(struct bk_pci_function *function, uint8_t id, unsigned offset, unsigned size,
			  const void *bytes, const void *writable, const void *w1c)
{
	return add(function, false, id, 0, offset, size, bytes, writable, w1c);
}

int bk_pci_extended_add(struct bk_pci_function *function, uint16_t id, uint8_t version, unsigned offset,
			unsigned size, const void *bytes, const void *writable, const void *w1c)
{
	if (!function->desc.extended)
		return -EINVAL;
	return add(function, true, id, version, offset, size, bytes, writable, w1c);
}
