/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests add many capabilities: the calls that take a desc, in one line each. */
#ifndef PCI_ADDS_H
#define PCI_ADDS_H

#include <barkeep/pci.h>

static inline int add_capability(struct bk_pci_function *function, struct bk_pci_capability_desc desc)
{
	desc.struct_size = sizeof(desc);
	return bk_pci_capability_add(function, &desc);
}

static inline int capability_add(struct bk_pci_function *function, uint8_t id, unsigned offset, unsigned size,
				 const void *bytes, const void *writable, const void *w1c)
{
	return add_capability(function, (struct bk_pci_capability_desc){ .id = id,
									 .offset = offset,
									 .size = size,
									 .bytes = bytes,
									 .writable = writable,
									 .w1c = w1c });
}

static inline int extended_add(struct bk_pci_function *function, uint16_t id, uint8_t version,
			       unsigned offset, unsigned size, const void *bytes, const void *writable,
			       const void *w1c)
{
	return add_capability(function, (struct bk_pci_capability_desc){ .extended = true,
									 .id = id,
									 .version = version,
									 .offset = offset,
									 .size = size,
									 .bytes = bytes,
									 .writable = writable,
									 .w1c = w1c });
}

static inline int msix_add(struct bk_pci_function *function, unsigned offset, unsigned vectors,
			   unsigned table_bar, uint32_t table_offset, unsigned pba_bar, uint32_t pba_offset)
{
	const struct bk_pci_msix_desc desc = { .struct_size = sizeof(desc),
					       .offset = offset,
					       .vectors = vectors,
					       .table_bar = table_bar,
					       .table_offset = table_offset,
					       .pba_bar = pba_bar,
					       .pba_offset = pba_offset };

	return bk_pci_msix_add(function, &desc);
}

static inline int add_vendor(struct bk_pci_function *function, struct bk_pci_vendor_desc desc,
			     unsigned offset, const void *bytes, const void *writable, unsigned size)
{
	desc.struct_size = sizeof(desc);
	desc.offset = offset;
	desc.bytes = bytes;
	desc.writable = writable;
	desc.size = size;
	return bk_pci_vendor_add(function, &desc);
}

static inline int vendor_add(struct bk_pci_function *function, unsigned offset, const void *bytes,
			     const void *writable, unsigned size)
{
	return add_vendor(function, (struct bk_pci_vendor_desc){ .kind = BK_PCI_VENDOR }, offset, bytes,
			  writable, size);
}

static inline int vsec_add(struct bk_pci_function *function, unsigned offset, uint16_t id, uint8_t revision,
			   const void *bytes, const void *writable, unsigned size)
{
	const struct bk_pci_vendor_desc desc = { .kind = BK_PCI_VSEC, .id = id, .revision = revision };

	return add_vendor(function, desc, offset, bytes, writable, size);
}

static inline int dvsec_add(struct bk_pci_function *function, unsigned offset, uint16_t vendor, uint16_t id,
			    uint8_t revision, const void *bytes, const void *writable, unsigned size)
{
	const struct bk_pci_vendor_desc desc = {
		.kind = BK_PCI_DVSEC, .vendor = vendor, .id = id, .revision = revision
	};

	return add_vendor(function, desc, offset, bytes, writable, size);
}

static inline int preset(struct bk_pci_function *function, unsigned offset, const void *bytes,
			 const void *writable, const void *w1c, size_t count)
{
	const struct bk_pci_preset what = { .struct_size = sizeof(what),
					    .offset = offset,
					    .count = count,
					    .bytes = bytes,
					    .writable = writable,
					    .w1c = w1c };

	return bk_pci_function_preset(function, &what);
}

#endif
