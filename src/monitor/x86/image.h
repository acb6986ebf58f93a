/* SPDX-License-Identifier: BSD-2-Clause */
/* A kernel file, once checked: what goes where in RAM. Shared by the two formats. */
#ifndef BK_MONITOR_X86_IMAGE_H
#define BK_MONITOR_X86_IMAGE_H

#include <asm/bootparam.h>
#include <barkeep/base.h>

#include "monitor/boot_file.h"
#include "monitor/x86/guest_map.h"

/* Below 1 MiB: what the loader writes beside the kernel. */
#define BK__BOOT_GDT    UINT64_C(0x500)
#define BK__BOOT_PARAMS UINT64_C(0x7000) /* zero page, or start info with its lists */
#define BK__BOOT_TABLES UINT64_C(0x9000) /* PML4, PDPT, four page directories */
#define BK__BOOT_APPEND UINT64_C(0x20000)
#define BK__APPEND_MAX  UINT64_C(0xffff) /* bytes without the 0 */
#define BK__LOW_END     UINT64_C(0xa0000)
#define BK__KERNEL_MIN  UINT64_C(0x100000)

/* `file_size` bytes from `offset` of the file go to `gpa`; what follows up to `size` is zero. */
struct bk__monitor_segment {
	uint64_t gpa, size;
	uint64_t offset, file_size;
};

#define BK__SEGMENTS 32

struct bk__monitor_image {
	bool pvh;             /* entered by PVH's 32-bit protocol, else by Linux's 64-bit one */
	uint64_t entry;       /* guest-physical */
	uint64_t end;         /* first byte that the kernel does not need before it knows the memory map */
	uint64_t initrd_last; /* the initrd's last byte is not above this */
	uint64_t append_max;  /* bytes of command line without the 0 */
	unsigned segments;
	struct bk__monitor_segment segment[BK__SEGMENTS];
	struct setup_header header; /* bzImage only: as in the file */
};

/* What the boot parameters tell the kernel. */
struct bk__monitor_handover {
	uint64_t rsdp;
	uint64_t initrd, initrd_size; /* size 0: none */
	unsigned ranges;
	struct boot_e820_entry e820[8];
};

/* The file's first bytes tell its format. */
bool bk__monitor_pvh_match(const uint8_t *bytes, size_t count);

/* Check all that RAM does not depend on; fill `image`. */
int bk__monitor_bzimage_check(const struct bk__monitor_file *file, struct bk__monitor_image *image,
			      struct bk_error *err);
int bk__monitor_pvh_check(const struct bk__monitor_file *file, struct bk__monitor_image *image,
			  struct bk_error *err);

/* Write the boot parameters at BK__BOOT_PARAMS; `low` is the host's address of guest-physical 0. */
void bk__monitor_bzimage_parameters(const struct bk__monitor_image *image,
				    const struct bk__monitor_handover *handover, uint8_t *low);
void bk__monitor_pvh_parameters(const struct bk__monitor_handover *handover, uint8_t *low);

#endif
