/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of PCI config space: where they are, and what their bits are called. No other file names one.
 *
 * The numbers are those of the PCI Local Bus Specification 3.0 ("PCI"), the PCI-to-PCI Bridge Architecture
 * Specification 1.2 ("Bridge"), the PCI Express Base Specification 5.0 ("PCIe") and the PCI Power Management
 * Specification 1.2 ("PM"). An offset in a capability is from where the capability begins.
 */
#ifndef BARKEEP_BASE_PCI_REGS_H
#define BARKEEP_BASE_PCI_REGS_H

/* ---- The header (PCI 6.1) ---------------------------------------------- */

enum {
	BK__PCI_VENDOR = 0x00,
	BK__PCI_DEVICE = 0x02,
	BK__PCI_COMMAND = 0x04,
	BK__PCI_STATUS = 0x06,
	BK__PCI_REVISION = 0x08,
	BK__PCI_CLASS = 0x09, /* three bytes: interface, sub-class, base class */
	BK__PCI_CACHE_LINE = 0x0c,
	BK__PCI_LATENCY = 0x0d,
	BK__PCI_HEADER_TYPE = 0x0e,
	BK__PCI_BAR0 = 0x10, /* 4 bytes for each of six, or of two in a bridge */
	BK__PCI_BARS_END = 0x28,
	BK__PCI_SUBSYSTEM_VENDOR = 0x2c,
	BK__PCI_SUBSYSTEM = 0x2e,
	BK__PCI_ROM = 0x30,
	BK__PCI_CAP_POINTER = 0x34,
	BK__PCI_INTERRUPT_LINE = 0x3c,
	BK__PCI_INTERRUPT_PIN = 0x3d,
	BK__PCI_MIN_GRANT = 0x3e,

	BK__PCI_HEADER_END = 0x40, /* the first standard capability can be here, ... */
	BK__PCI_EXTENDED = 0x100,  /* ... and here is the first extended one */
	BK__PCI_CONFIG_SIZE = 0x1000,
};

/* The header of a bridge, type 1, where it differs (Bridge 3.2). */
enum {
	BK__PCI_BRIDGE_PRIMARY = 0x18,
	BK__PCI_BRIDGE_SECONDARY = 0x19,
	BK__PCI_BRIDGE_SUBORDINATE = 0x1a,
	BK__PCI_BRIDGE_LATENCY = 0x1b,
	BK__PCI_BRIDGE_IO_BASE = 0x1c,
	BK__PCI_BRIDGE_IO_LIMIT = 0x1d,
	BK__PCI_BRIDGE_STATUS = 0x1e,
	BK__PCI_BRIDGE_MEMORY_BASE = 0x20,
	BK__PCI_BRIDGE_MEMORY_LIMIT = 0x22,
	BK__PCI_BRIDGE_PREFETCHABLE_BASE = 0x24,
	BK__PCI_BRIDGE_PREFETCHABLE_LIMIT = 0x26,
	BK__PCI_BRIDGE_PREFETCHABLE_BASE_UPPER = 0x28,
	BK__PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER = 0x2c,
	BK__PCI_BRIDGE_ROM = 0x38,
	BK__PCI_BRIDGE_CONTROL = 0x3e,
	BK__PCI_BRIDGE_CONTROL_ISA = 0x0004,
	BK__PCI_BRIDGE_CONTROL_VGA = 0x0008,
	BK__PCI_BRIDGE_CONTROL_VGA_16BIT = 0x0010,
	BK__PCI_BRIDGE_CONTROL_RESET = 0x0040,
	BK__PCI_BRIDGE_CONTROL_WRITABLE = 0x0bff,
	BK__PCI_BRIDGE_CONTROL_W1C = 0x0400, /* discard timer's status */

	BK__PCI_BRIDGE_IO_GRAIN = 0x1000, /* windows are multiples of these */
	BK__PCI_BRIDGE_MEMORY_GRAIN = 0x100000,
};

/* Bits of the above. */
enum {
	BK__PCI_COMMAND_IO = 0x0001,
	BK__PCI_COMMAND_MEMORY = 0x0002,
	BK__PCI_COMMAND_MASTER = 0x0004,
	BK__PCI_COMMAND_PARITY = 0x0040,
	BK__PCI_COMMAND_SERR = 0x0100,
	BK__PCI_COMMAND_INTX_DISABLE = 0x0400,
	BK__PCI_COMMAND_WRITABLE = 0x0547,

	BK__PCI_STATUS_INTX = 0x0008,
	BK__PCI_STATUS_CAP_LIST = 0x0010,
	BK__PCI_STATUS_ERRORS = 0xf900, /* write 1 to clear */

	BK__PCI_HEADER_TYPE_MASK = 0x7f,
	BK__PCI_HEADER_TYPE_NORMAL = 0,
	BK__PCI_HEADER_TYPE_BRIDGE = 1,
	BK__PCI_HEADER_TYPE_MULTI = 0x80,

	BK__PCI_CLASS_VGA = 0x0300, /* base class and sub-class */
	BK__PCI_CLASS_BRIDGE = 0x0604,

	BK__PCI_BAR_IO = 0x1, /* PCI 6.2.5.1 */
	BK__PCI_BAR_TYPE = 0x6,
	BK__PCI_BAR_TYPE_64 = 0x4,
	BK__PCI_BAR_PREFETCHABLE = 0x8,
	BK__PCI_BAR_FLAGS = 0xf, /* of memory; ... */
	BK__PCI_BAR_IO_FLAGS = 0x3,

	BK__PCI_ROM_ENABLE = 0x1,
	BK__PCI_ROM_FLAGS = 0x7ff, /* what is not address */
};

/* The legacy ranges of VGA, in memory and in ports. */
enum {
	BK__PCI_VGA_MEMORY = 0xa0000,
	BK__PCI_VGA_MEMORY_END = 0xc0000,
	BK__PCI_VGA_MONO = 0x3b0,
	BK__PCI_VGA_MONO_END = 0x3bc, /* a printer's ports follow */
	BK__PCI_VGA_COLOR = 0x3c0,
	BK__PCI_VGA_COLOR_END = 0x3e0,
};

/* ---- Capabilities: ids, and what all of them have (PCI 6.7, PCIe 7.6.3) - */

enum {
	BK__PCI_CAP_ID = 0x00,
	BK__PCI_CAP_NEXT = 0x01,
	BK__PCI_CAP_HEADER = 2, /* bytes */

	BK__PCI_CAP_PM = 0x01,
	BK__PCI_CAP_AGP = 0x02,
	BK__PCI_CAP_VPD = 0x03,
	BK__PCI_CAP_SLOT = 0x04,
	BK__PCI_CAP_MSI = 0x05,
	BK__PCI_CAP_HOT_SWAP = 0x06,
	BK__PCI_CAP_PCIX = 0x07,
	BK__PCI_CAP_VENDOR = 0x09,
	BK__PCI_CAP_DEBUG_PORT = 0x0a,
	BK__PCI_CAP_SUBSYSTEM = 0x0d, /* of a bridge */
	BK__PCI_CAP_EXPRESS = 0x10,
	BK__PCI_CAP_MSIX = 0x11,
	BK__PCI_CAP_SATA = 0x12,
	BK__PCI_CAP_AF = 0x13,
	BK__PCI_CAP_EA = 0x14, /* Enhanced Allocation: BARs at fixed addresses, the host's */
};

enum {
	BK__PCI_EXT_NEXT = 0x02,     /* bits 15:4 of two bytes; bits 3:0 are the version */
	BK__PCI_EXT_HEADER = 4,      /* bytes */
	BK__PCI_EXT_NEXT_SHIFT = 20, /* in the header */
	BK__PCI_EXT_VERSION_SHIFT = 16,

	BK__PCI_EXT_NULL = 0x00, /* none: a header that leads on */
	BK__PCI_EXT_AER = 0x01,
	BK__PCI_EXT_VC = 0x02,
	BK__PCI_EXT_SERIAL = 0x03,
	BK__PCI_EXT_POWER = 0x04,
	BK__PCI_EXT_MFVC = 0x08,
	BK__PCI_EXT_VC_BESIDE_MFVC = 0x09,
	BK__PCI_EXT_VENDOR = 0x0b,
	BK__PCI_EXT_ACS = 0x0d,
	BK__PCI_EXT_ARI = 0x0e,
	BK__PCI_EXT_ATS = 0x0f,
	BK__PCI_EXT_SRIOV = 0x10,
	BK__PCI_EXT_MRIOV = 0x11,
	BK__PCI_EXT_MULTICAST = 0x12,
	BK__PCI_EXT_PRI = 0x13,
	BK__PCI_EXT_RESIZABLE = 0x15,
	BK__PCI_EXT_LTR = 0x18,
	BK__PCI_EXT_SECONDARY_EXPRESS = 0x19,
	BK__PCI_EXT_PASID = 0x1b,
	BK__PCI_EXT_L1_SUBSTATES = 0x1e,
	BK__PCI_EXT_PTM = 0x1f,
	BK__PCI_EXT_DVSEC = 0x23,
	BK__PCI_EXT_VF_RESIZABLE = 0x24,
	BK__PCI_EXT_DATA_LINK = 0x25,
	BK__PCI_EXT_PHYSICAL_16 = 0x26,
	BK__PCI_EXT_MARGINING = 0x27,
	BK__PCI_EXT_PHYSICAL_32 = 0x2a,
	BK__PCI_EXT_DOE = 0x2e, /* a mailbox: without writes it only makes its driver wait */
	BK__PCI_EXT_IDE = 0x30,
};

/* ---- Power management (PM 3.2) ------------------------------------------ */

enum {
	BK__PCI_PM_PMC = 0x02,
	BK__PCI_PM_PMC_VERSION_1_2 = 0x0003,
	BK__PCI_PM_PMC_D1 = 0x0200,
	BK__PCI_PM_PMC_D2 = 0x0400,
	BK__PCI_PM_PMC_PME = 0xf800, /* states from which PME# can be asserted */
	BK__PCI_PM_PMC_PME_D3COLD = 0x8000,

	BK__PCI_PM_PMCSR = 0x04,
	BK__PCI_PM_PMCSR_STATE = 0x0003,
	BK__PCI_PM_PMCSR_NO_SOFT_RESET = 0x0008,
	BK__PCI_PM_PMCSR_PME_ENABLE = 0x0100,
	BK__PCI_PM_PMCSR_PME_STATUS = 0x8000,
	BK__PCI_PM_SIZE = 8,
};

/* ---- Vital product data (PCI appendix I) -------------------------------- */

enum {
	BK__PCI_VPD_ADDRESS = 0x02,
	BK__PCI_VPD_ADDRESS_FLAG = 0x8000, /* written 1: store the data register; the device clears it then */
	BK__PCI_VPD_SIZE = 8,
};

/* ---- MSI (PCI 6.8.1) ---------------------------------------------------- */

enum {
	BK__PCI_MSI_CONTROL = 0x02,
	BK__PCI_MSI_CONTROL_ENABLE = 0x0001,
	BK__PCI_MSI_CONTROL_CAPABLE_SHIFT = 1, /* three bits: a power of two, at most 5; so are the enabled */
	BK__PCI_MSI_CONTROL_ENABLED_SHIFT = 4,
	BK__PCI_MSI_CONTROL_COUNT_MASK = 7, /* of either, shifted down */
	BK__PCI_MSI_CONTROL_64BIT = 0x0080,
	BK__PCI_MSI_CONTROL_MASKABLE = 0x0100,
	BK__PCI_MSI_ADDRESS = 0x04,
	BK__PCI_MSI_DATA_32 = 0x08, /* where addresses have 32 bits, ... */
	BK__PCI_MSI_DATA_64 = 0x0c, /* ... or 64; mask and pending bits are 4 and 8 behind */
	BK__PCI_MSI_SIZE_32 = 10,
	BK__PCI_MSI_SIZE_64 = 14,
	BK__PCI_MSI_SIZE_MASKABLE = 10, /* so many bytes more */
	BK__PCI_MSI_VECTORS = 32,
};

/* ---- MSI-X (PCI 6.8.2) -------------------------------------------------- */

enum {
	BK__PCI_MSIX_CONTROL = 0x02,
	BK__PCI_MSIX_CONTROL_SIZE = 0x07ff, /* vectors, less one */
	BK__PCI_MSIX_CONTROL_MASK = 0x4000,
	BK__PCI_MSIX_CONTROL_ENABLE = 0x8000,
	BK__PCI_MSIX_TABLE = 0x04,
	BK__PCI_MSIX_PBA = 0x08,
	BK__PCI_MSIX_BAR = 0x7, /* in TABLE and PBA */
	BK__PCI_MSIX_SIZE = 12,
	BK__PCI_MSIX_VECTORS = 2048,

	BK__PCI_MSIX_ENTRY = 16, /* bytes in the table; the address is first */
	BK__PCI_MSIX_ENTRY_DATA = 8,
	BK__PCI_MSIX_ENTRY_CONTROL = 12,
	BK__PCI_MSIX_ENTRY_MASKED = 0x1,
};

/* ---- PCI Express (PCIe 7.5.3) ------------------------------------------- */

enum {
	BK__PCI_EXPRESS_CAPABILITIES = 0x02,
	BK__PCI_EXPRESS_CAPABILITIES_VERSION = 0x000f,
	BK__PCI_EXPRESS_CAPABILITIES_TYPE = 0x00f0,
	BK__PCI_EXPRESS_CAPABILITIES_TYPE_SHIFT = 4,
	BK__PCI_EXPRESS_CAPABILITIES_SLOT = 0x0100,
	BK__PCI_EXPRESS_CAPABILITIES_MESSAGE = 0x3e00, /* the number of the interrupt message */

	BK__PCI_EXPRESS_DEVICE_CAPABILITIES = 0x04,
	BK__PCI_EXPRESS_DEVICE_CAPABILITIES_ROLE_ERRORS = 0x8000, /* every device since PCIe 1.1 */
	BK__PCI_EXPRESS_DEVICE_CAPABILITIES_FLR = 0x10000000,

	BK__PCI_EXPRESS_DEVICE_CONTROL = 0x08,
	BK__PCI_EXPRESS_DEVICE_CONTROL_PAYLOAD = 0x00e0,
	BK__PCI_EXPRESS_DEVICE_CONTROL_FLR = 0x8000, /* reads zero */
	BK__PCI_EXPRESS_DEVICE_CONTROL_RESET =
		0x2810, /* 512 bytes a read request, relaxed ordering, no snoop */

	BK__PCI_EXPRESS_DEVICE_STATUS = 0x0a,
	BK__PCI_EXPRESS_DEVICE_STATUS_ERRORS = 0x000f,
	BK__PCI_EXPRESS_DEVICE_STATUS_LIVE = 0x003f, /* errors met, transactions pending */

	BK__PCI_EXPRESS_LINK_CAPABILITIES = 0x0c,
	BK__PCI_EXPRESS_LINK_CAPABILITIES_ACTIVE = 0x00100000, /* Link Status says whether the link is up */
	BK__PCI_EXPRESS_LINK_CAPABILITIES_BANDWIDTH =
		0x00200000, /* ... and that its width or speed changed */
	BK__PCI_EXPRESS_LINK_CAPABILITIES_PORT_SHIFT = 24,

	BK__PCI_EXPRESS_LINK_CONTROL = 0x10,
	BK__PCI_EXPRESS_LINK_CONTROL_DISABLE = 0x0010,

	BK__PCI_EXPRESS_LINK_STATUS = 0x12,
	BK__PCI_EXPRESS_LINK_STATUS_SPEED = 0x000f, /* the most, in Link Capabilities */
	BK__PCI_EXPRESS_LINK_STATUS_WIDTH = 0x03f0,
	BK__PCI_EXPRESS_LINK_STATUS_WIDTH_SHIFT = 4,
	BK__PCI_EXPRESS_LINK_STATUS_SLOWEST = 0x0011, /* 2.5 GT/s, one lane */
	BK__PCI_EXPRESS_LINK_STATUS_ACTIVE = 0x2000,

	BK__PCI_EXPRESS_SLOT_CAPABILITIES = 0x14,
	BK__PCI_EXPRESS_SLOT_CAPABILITIES_BUTTON = 1 << 0,
	BK__PCI_EXPRESS_SLOT_CAPABILITIES_POWER = 1 << 1, /* a power controller */
	BK__PCI_EXPRESS_SLOT_CAPABILITIES_INDICATOR = 1 << 4,
	BK__PCI_EXPRESS_SLOT_CAPABILITIES_SURPRISE = 1 << 5,
	BK__PCI_EXPRESS_SLOT_CAPABILITIES_HOT_PLUG = 1 << 6,
	BK__PCI_EXPRESS_SLOT_CAPABILITIES_NO_COMPLETION = 1 << 18,
	BK__PCI_EXPRESS_SLOT_CAPABILITIES_NUMBER_SHIFT = 19,
	BK__PCI_EXPRESS_SLOT_NUMBER_MOST = 8191,

	BK__PCI_EXPRESS_SLOT_CONTROL =
		0x18, /* enables of events have the bits of the events in Slot Status */
	BK__PCI_EXPRESS_SLOT_CONTROL_INTERRUPT = 0x0020,
	BK__PCI_EXPRESS_SLOT_CONTROL_INDICATOR = 0x0300, /* the power indicator: */
	BK__PCI_EXPRESS_SLOT_CONTROL_INDICATOR_ON = 0x0100,
	BK__PCI_EXPRESS_SLOT_CONTROL_INDICATOR_BLINKS = 0x0200,
	BK__PCI_EXPRESS_SLOT_CONTROL_POWER_OFF = 0x0400,
	BK__PCI_EXPRESS_SLOT_CONTROL_LINK_CHANGED = 0x1000, /* but this one's */

	BK__PCI_EXPRESS_SLOT_STATUS = 0x1a,
	BK__PCI_EXPRESS_SLOT_STATUS_BUTTON = 0x0001,
	BK__PCI_EXPRESS_SLOT_STATUS_PRESENCE_CHANGED = 0x0008,
	BK__PCI_EXPRESS_SLOT_STATUS_PRESENT = 0x0040,
	BK__PCI_EXPRESS_SLOT_STATUS_LINK_CHANGED = 0x0100,

	BK__PCI_EXPRESS_ROOT_CONTROL = 0x1c,
	BK__PCI_EXPRESS_ROOT_CONTROL_RETRY = 0x0010, /* CRS Software Visibility Enable, ... */
	BK__PCI_EXPRESS_ROOT_CAPABILITIES = 0x1e,
	BK__PCI_EXPRESS_ROOT_CAPABILITIES_RETRY = 0x0001, /* ... which takes this */
	BK__PCI_EXPRESS_ROOT_STATUS = 0x20,
	BK__PCI_EXPRESS_DEVICE_CONTROL_2 = 0x28,
	BK__PCI_EXPRESS_LINK_CAPABILITIES_2 = 0x2c,
	BK__PCI_EXPRESS_LINK_CONTROL_2 = 0x30,
	BK__PCI_EXPRESS_LINK_STATUS_2 = 0x32,
	BK__PCI_EXPRESS_SLOT_CONTROL_2 = 0x38,

	BK__PCI_EXPRESS_SIZE_LEAST = 0x0c, /* of version 1, an integrated endpoint */
	BK__PCI_EXPRESS_SIZE_V1 = 20,      /* of version 1, an endpoint */
	BK__PCI_EXPRESS_SIZE = 60,
};

/* Device/Port Type. */
enum {
	BK__PCI_EXPRESS_ENDPOINT = 0,
	BK__PCI_EXPRESS_LEGACY_ENDPOINT = 1,
	BK__PCI_EXPRESS_ROOT_PORT = 4,
	BK__PCI_EXPRESS_UPSTREAM_PORT = 5,
	BK__PCI_EXPRESS_DOWNSTREAM_PORT = 6,
	BK__PCI_EXPRESS_TO_PCI = 7,   /* a PCIe-to-PCI bridge */
	BK__PCI_EXPRESS_FROM_PCI = 8, /* a PCI-to-PCIe bridge */
	BK__PCI_EXPRESS_INTEGRATED_ENDPOINT = 9,
	BK__PCI_EXPRESS_EVENT_COLLECTOR = 10,
	BK__PCI_EXPRESS_NONE = 16, /* no function has this: there is no such capability */
};

/* ---- Advanced Features (AF ECN) ----------------------------------------- */

enum {
	BK__PCI_AF_LENGTH = 0x02,
	BK__PCI_AF_CAPABILITIES = 0x03, /* bit 0: Transactions Pending is there */
	BK__PCI_AF_CAPABILITIES_PENDING = 0x01,
	BK__PCI_AF_CAPABILITIES_FLR = 0x02,
	BK__PCI_AF_CONTROL = 0x04,
	BK__PCI_AF_CONTROL_FLR = 0x01, /* reads zero */
	BK__PCI_AF_SIZE = 6,
};

/* ---- Vendors' (PCI appendix H, PCIe 7.9.5 and 7.9.6) -------------------- */

enum {
	BK__PCI_CAP_VENDOR_LENGTH = 0x02,
	BK__PCI_CAP_VENDOR_HEADER = 3, /* bytes */

	BK__PCI_EXT_VENDOR_ID =
		0x04, /* 15:0 id, 19:16 revision, 31:20 length; a DVSEC has the vendor as id */
	BK__PCI_EXT_VENDOR_REVISION_SHIFT = 16,
	BK__PCI_EXT_VENDOR_LENGTH_SHIFT = 20,
	BK__PCI_EXT_VENDOR_HEADER = 8,
	BK__PCI_EXT_DVSEC_ID = 0x08,
	BK__PCI_EXT_DVSEC_HEADER = 10,
};

/* ---- Resizable BARs (PCIe 7.8.6) ---------------------------------------- */

enum {
	BK__PCI_RESIZABLE_ENTRY =
		8, /* bytes for each BAR, behind the header: the sizes it may have, and ... */
	BK__PCI_RESIZABLE_CONTROL = 4,
	BK__PCI_RESIZABLE_CONTROL_BAR = 0x7,
	BK__PCI_RESIZABLE_CONTROL_COUNT_SHIFT = 5, /* three bits, in the first one only */
	BK__PCI_RESIZABLE_CONTROL_SIZE_SHIFT = 8,  /* six bits: 0 is 1 MiB */
	BK__PCI_RESIZABLE_CONTROL_SIZE_MASK = 0x3f,
};

/* Serial number (PCIe 7.9.3). */
enum {
	BK__PCI_SERIAL_NUMBER = 0x04, /* 8 bytes */
	BK__PCI_SERIAL_SIZE = 12,
};

#endif
