/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest-physical map of an arm64 machine, which is one table, and the interrupt numbers. */
#ifndef BK_MONITOR_ARM64_GUEST_MAP_H
#define BK_MONITOR_ARM64_GUEST_MAP_H

#include "monitor/layout.h"

/* RAM is last: from there to the I/O window if that is above it (--io-window), and from 4 GiB on. */
enum bk__monitor_arm64_place {
	BK__ARM64_FLASH, /* firmware, read-only; there is none without firmware */
	BK__ARM64_GICD,  /* distributor, ... */
	BK__ARM64_ITS,
	BK__ARM64_GICR, /* ... and redistributors, 128 KiB for each vCPU */
	BK__ARM64_UART,
	BK__ARM64_RTC,
	BK__ARM64_GPIO,   /* the power button */
	BK__ARM64_MMIO32, /* window for 32-bit BARs */
	BK__ARM64_IO,     /* window for I/O BARs, unless --io-window says where */
	BK__ARM64_ECAM,   /* 256 buses */
	BK__ARM64_RAM,
	BK__ARM64_PLACES,
};

struct bk__monitor_arm64_range {
	uint64_t first, size;
	const char *name;
};
extern const struct bk__monitor_arm64_range bk__monitor_arm64_map[BK__ARM64_PLACES];

#define BK__ARM64_MMIO64                                                                  \
	UINT64_C(0x8000000000) /* the 64-bit window, where a CPU's addresses reach so far \
				*/
#define BK__ARM64_IO_SIZE UINT64_C(0x10000)

/* Where the I/O window is, and the bus address of its first port; 0 is --io-window's default. */
uint64_t bk__monitor_arm64_io(uint64_t io_window, uint64_t *bus_first);

/* GSIs are numbers of shared peripheral interrupts (SPI). */
enum {
	BK__SPI_UART = 1,
	BK__SPI_RTC = 2,
	BK__SPI_GPIO = 7,
	BK__SPI_PCI = 16, /* eight lines: slot S, pin P is on 16 + (S + P - 1) % 8 */
	BK__SPI_PCI_LINES = 8,
	BK__SPI_COUNT = 32,
};

#endif
