/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest-physical map and the ports of an x86 machine. */
#ifndef BK_MONITOR_X86_GUEST_MAP_H
#define BK_MONITOR_X86_GUEST_MAP_H

#include "monitor/layout.h"

#define BK__VGA_FIRST    UINT64_C(0xa0000) /* legacy VGA memory, a window of the host bridge */
#define BK__VGA_LAST     UINT64_C(0xbffff)
#define BK__RAM_LOW_END  UINT64_C(0xc0000000) /* RAM below 4 GiB ends here at most */
#define BK__MMIO32_FIRST UINT64_C(0xc0000000) /* window for 32-bit BARs */
#define BK__MMIO32_LAST  UINT64_C(0xdfffffff)
#define BK__ECAM_FIRST   UINT64_C(0xe0000000) /* 256 buses */
#define BK__ECAM_LAST    UINT64_C(0xefffffff)
#define BK__IOAPIC       UINT64_C(0xfec00000)
#define BK__LAPIC        UINT64_C(0xfee00000)
#define BK__KVM_IDENTITY UINT64_C(0xfffbc000) /* KVM's own page, then three of TSS */
#define BK__KVM_TSS      UINT64_C(0xfffbd000)

/* Ports. */
#define BK__VGA_PORTS      0x3b0 /* to 0x3df, a window of the host bridge */
#define BK__VGA_PORTS_LAST 0x3df
#define BK__PORT_COM1      0x3f8  /* GSI 4 */
#define BK__PORT_PM1_EVT   0x600  /* 4 bytes; GSI 9 is the SCI */
#define BK__PORT_PM1_CNT   0x604  /* 2 bytes: SLP_TYP 5 with SLP_EN is power-off */
#define BK__PORT_RESET     0x608  /* 1 byte: writing 1 resets */
#define BK__PIO_FIRST      0x1000 /* window for I/O BARs */
#define BK__PIO_LAST       0xffff

#define BK__GSI_COM1  4
#define BK__GSI_SCI   9
#define BK__GSI_PCI   16 /* eight lines: slot S, pin P is on 16 + (S + P - 1) % 8 */
#define BK__PCI_LINES 8
#define BK__GSI_PINS  24 /* of the IOAPIC */

#endif
