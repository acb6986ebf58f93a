/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest-physical map of an arm64 machine. U-Boot's build for QEMU's virt machine and Linux find their
 * way. */
#include "monitor/arm64/guest_map.h"

const struct bk__monitor_arm64_range bk__monitor_arm64_map[BK__ARM64_PLACES] = {
	[BK__ARM64_FLASH] = { 0x00000000, 0x08000000, "flash" },
	[BK__ARM64_GICD] = { 0x08000000, 0x00010000, "gic distributor" },
	[BK__ARM64_ITS] = { 0x08080000, 0x00020000, "gic its" },
	[BK__ARM64_GICR] = { 0x080a0000, 0x00200000, "gic redistributors" },
	[BK__ARM64_UART] = { 0x09000000, 0x00001000, "serial" },
	[BK__ARM64_RTC] = { 0x09010000, 0x00001000, "rtc" },
	[BK__ARM64_GPIO] = { 0x09030000, 0x00001000, "gpio" },
	[BK__ARM64_MMIO32] = { 0x10000000, 0x1f000000, "pci memory" },
	[BK__ARM64_IO] = { 0x2f000000, BK__ARM64_IO_SIZE, "pci io" },
	[BK__ARM64_ECAM] = { 0x30000000, 0x10000000, "ecam" },
	[BK__ARM64_RAM] = { 0x40000000, 0, "ram" },
};

uint64_t bk__monitor_arm64_io(uint64_t io_window, uint64_t *bus_first)
{
	*bus_first = io_window; /* BARs hold the addresses at which the CPU finds them */
	return io_window ? io_window : bk__monitor_arm64_map[BK__ARM64_IO].first;
}
