/* SPDX-License-Identifier: BSD-2-Clause */
/* Capability ids that are modelled here, each at most once in a function. */
#ifndef BARKEEP_PCI_CAP_H
#define BARKEEP_PCI_CAP_H

enum {
	BK__CAP_PM = 0x01,
	BK__CAP_MSI = 0x05,
	BK__CAP_EXPRESS = 0x10,
	BK__CAP_MSIX = 0x11,
	BK__CAP_AF = 0x13,
};

#endif
