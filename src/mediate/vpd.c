/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vital product data (PCI 3.0 appendix I): what is written to the address
 * register is passed on to the device if it is a request to read. Requests to
 * write are dropped: what they change outlives the guest.
 */
#include "mediate/mediate.h"

#include "base/pci_regs.h"

/* The register has two bytes; both together start a request. */
bool bk__mediate_vpd_reads(const struct bk_mediator *m, uint64_t offset, unsigned width, uint64_t value)
{
	const unsigned at = m->vpd + BK__PCI_VPD_ADDRESS;

	return m->vpd && offset <= at && offset + width >= at + 2 &&
	       !(value >> 8 * (at - offset) & BK__PCI_VPD_ADDRESS_FLAG);
}

int bk__mediate_vpd_request(struct bk_mediator *m, uint64_t offset, uint64_t value)
{
	const unsigned at = m->vpd + BK__PCI_VPD_ADDRESS;

	return bk_device_write_value(m->below, BK_DEVICE_CONFIG, at, 2, value >> 8 * (at - offset) & 0xffff);
}
