/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI tables of the platform: compiled from ASL at build time, patched here. */
#ifndef BK_MONITOR_X86_ACPI_H
#define BK_MONITOR_X86_ACPI_H

#include <barkeep/base.h>

#include "monitor/layout.h"

struct bk__monitor_acpi_config {
	unsigned cpus;                    /* APIC ids 0..cpus-1 */
	struct bk__monitor_window mmio64; /* goes into _CRS of the host bridge */
};

/* Where the tables live in low RAM: found by the RSDP, reserved in E820. */
#define BK__ACPI_FIRST UINT64_C(0xe0000)
#define BK__ACPI_LAST  UINT64_C(0xfffff)

/* Writes RSDP, XSDT, FADT with FACS, MADT, MCFG and DSDT (again at each reset); `*rsdp` is the address of the
 * first. */
int bk__monitor_acpi_build(const struct bk__monitor_ram *ram, const struct bk__monitor_acpi_config *config,
			   uint64_t *rsdp, struct bk_error *err);

#endif
