/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest-physical map: constants, and the RAM in it. */
#ifndef BK_MONITOR_LAYOUT_H
#define BK_MONITOR_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <barkeep/device.h>

#define BK__VGA_FIRST    UINT64_C(0xa0000) /* legacy VGA memory, a window of the host bridge */
#define BK__VGA_LAST     UINT64_C(0xbffff)
#define BK__RAM_LOW_END  UINT64_C(0xc0000000) /* RAM below 4 GiB ends here at most */
#define BK__RAM_HIGH     UINT64_C(0x100000000)
#define BK__MMIO32_FIRST UINT64_C(0xc0000000) /* window for 32-bit BARs */
#define BK__MMIO32_LAST  UINT64_C(0xdfffffff)
#define BK__ECAM_FIRST   UINT64_C(0xe0000000) /* 256 buses */
#define BK__ECAM_LAST    UINT64_C(0xefffffff)
#define BK__IOAPIC       UINT64_C(0xfec00000)
#define BK__LAPIC        UINT64_C(0xfee00000)
#define BK__KVM_IDENTITY UINT64_C(0xfffbc000) /* KVM's own page, then three of TSS */
#define BK__KVM_TSS      UINT64_C(0xfffbd000)
#define BK__RAM_ALIGN    (UINT64_C(1) << 30) /* RAM that is moved starts at a multiple */
#define BK__MMIO64_ALIGN (UINT64_C(1) << 36) /* the 64-bit window starts at a multiple */

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

/* Guest RAM: one memfd, shown from 0 to low_size and from 4 GiB on, or above that. */
struct bk__monitor_ram {
	void *host;
	int fd;
	uint64_t size;     /* bytes in all */
	uint64_t low_size; /* of them below 4 GiB */
	uint64_t moved;    /* how far above 4 GiB the others start */
};

/* The host's address of [gpa, gpa + length), NULL unless all of it is RAM in one piece. */
static inline void *bk__monitor_ram_at(const struct bk__monitor_ram *ram, uint64_t gpa, uint64_t length)
{
	uint64_t offset = gpa, end = ram->low_size;

	if (gpa >= BK__RAM_HIGH + ram->moved) {
		offset = gpa - (BK__RAM_HIGH + ram->moved) + ram->low_size;
		end = ram->size;
	}
	if (offset > end || length > end - offset)
		return NULL;
	return (uint8_t *)ram->host + offset;
}

/* The 64-bit window of PCI; first > last where there is no room for one. */
struct bk__monitor_window {
	uint64_t first, last;
};

struct bk__monitor_layout {
	uint64_t low_size, moved; /* as in struct bk__monitor_ram */
	struct bk__monitor_window mmio64;
};

/*
 * Where `size` bytes of RAM and the 64-bit window are, for a CPU whose addresses have `bits` bits and a host
 * whose devices can use the `count` ranges of I/O virtual addresses (ascending, disjoint; 0: all). RAM above
 * 4 GiB is in one piece, as low as it can be; the window is the largest that is left. -EINVAL with a line if
 * RAM does not fit. A pure function.
 */
int bk__monitor_layout_plan(uint64_t size, unsigned bits, const struct bk_device_iova_range *ranges,
			    unsigned count, struct bk__monitor_layout *layout, struct bk_error *err);

#endif
