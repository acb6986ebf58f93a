/* SPDX-License-Identifier: BSD-2-Clause */
/* Builds the ACPI tables (ACPI 6.0, chapter 5) in low RAM; the DSDT's AML comes from dsdt.asl. */
#include "monitor/x86/acpi.h"

#include <errno.h>
#include <string.h>

#include "monitor/x86/guest_map.h"

#include "dsdt.hex"

#define CPUS_MAX  16 /* as many as dsdt.asl has */
#define OEM       "BARKEP"
#define OEM_TABLE "BARKEEP"
#define CREATOR   "BARK"

#define PACKED __attribute__((packed))

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} PACKED;

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t extended_checksum, reserved[3];
} PACKED;

struct xsdt {
	struct header header;
	uint64_t table[3];
} PACKED;

enum { SPACE_IO = 1, ACCESS_BYTE = 1, ACCESS_WORD = 2 };

struct address {
	uint8_t space, bits, offset, access;
	uint64_t address;
} PACKED;

#define FADT_WBINVD     (1u << 0)
#define FADT_PROC_C1    (1u << 2)
#define FADT_SLP_BUTTON (1u << 5) /* no sleep button in PM1a ... */
#define FADT_FIX_RTC    (1u << 6) /* ... and no RTC alarm; but a power button */
#define FADT_RESET_REG  (1u << 10)

#define BOOT_LEGACY_DEVICES (1u << 0)
#define BOOT_NO_VGA         (1u << 2)
#define BOOT_NO_RTC         (1u << 5)

#define NO_C2 0xfff /* latencies that say there is no C2 and no C3 */
#define NO_C3 0xfff

struct fadt {
	struct header header;
	uint32_t facs, dsdt;
	uint8_t reserved1, profile;
	uint16_t sci;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0, gpe1;
	uint8_t pm1_event_length, pm1_control_length, pm2_control_length, pm_timer_length;
	uint8_t gpe0_length, gpe1_length, gpe1_base, cstate;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot;
	uint8_t reserved2;
	uint32_t flags;
	struct address reset;
	uint8_t reset_value;
	uint16_t arm_boot;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control, x_pm2_control;
	struct address x_pm_timer, x_gpe0, x_gpe1, sleep_control, sleep_status;
	uint64_t hypervisor;
} PACKED;
_Static_assert(sizeof(struct fadt) == 276, "FADT of ACPI 6.0");

struct facs {
	char signature[4];
	uint32_t length, hardware_signature, waking_vector, global_lock, flags;
	uint64_t x_waking_vector;
	uint8_t version, reserved[31];
} PACKED;
_Static_assert(sizeof(struct facs) == 64, "FACS");

#define MADT_PCAT_COMPAT 1u /* there are two 8259s */
#define LAPIC_ENABLED    1u
#define SCI_FLAGS        0xdu /* active high, level */

struct lapic {
	uint8_t type, length, processor, id;
	uint32_t flags;
} PACKED;

struct ioapic {
	uint8_t type, length, id, reserved;
	uint32_t address, first_gsi;
} PACKED;

struct override {
	uint8_t type, length, bus, irq;
	uint32_t gsi;
	uint16_t flags;
} PACKED;

struct madt {
	struct header header;
	uint32_t lapic_address, flags;
	struct ioapic ioapic;
	struct override sci;
	struct lapic lapic[CPUS_MAX]; /* as many as there are CPUs */
} PACKED;

struct mcfg {
	struct header header;
	uint8_t reserved[8];
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved2;
} PACKED;

/* ---- Putting a table into RAM ------------------------------------------ */

struct area {
	uint8_t *host; /* of BK__ACPI_FIRST */
	size_t used;
};

static void *place(struct area *area, const void *table, size_t length)
{
	/* 64: what FACS needs. All tables together are a few KiB of 128. */
	void *at = area->host + ((area->used + 63) & ~(size_t)63);

	memcpy(at, table, length);
	area->used = (size_t)((uint8_t *)at - area->host) + length;
	return at;
}

static uint64_t address_of(const struct area *area, const void *at)
{
	return BK__ACPI_FIRST + (uint64_t)((const uint8_t *)at - area->host);
}

static uint8_t checksum(const void *bytes, size_t length)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum += ((const uint8_t *)bytes)[i];
	return (uint8_t)-sum;
}

static struct header header(const char *signature, uint8_t revision)
{
	struct header header = { .revision = revision, .oem_revision = 1, .creator_revision = 1 };

	memcpy(header.signature, signature, sizeof(header.signature));
	memcpy(header.oem, OEM, sizeof(header.oem));
	memcpy(header.oem_table, OEM_TABLE, sizeof(OEM_TABLE));
	memcpy(header.creator, CREATOR, sizeof(header.creator));
	return header;
}

/* A table that begins with a header; gives its guest-physical address. */
static uint64_t put(struct area *area, const void *table, size_t length)
{
	struct header *at = place(area, table, length);

	at->length = (uint32_t)length;
	at->checksum = 0;
	at->checksum = checksum(at, length);
	return address_of(area, at);
}

/* ---- The tables -------------------------------------------------------- */

/* Sets Name (NAME, <eight bytes>) of dsdt.asl, which is there exactly once. */
static int patch(uint8_t *aml, const char *name, uint64_t value, struct bk_error *err)
{
	const uint8_t pattern[] = { 0x08 /* NameOp */, name[0], name[1],
				    name[2],           name[3], 0x0e /* QWordPrefix */ };
	uint8_t *found = NULL;
	unsigned count = 0;

	for (size_t i = 0; i + sizeof(pattern) + sizeof(value) <= sizeof(dsdt_aml_code); i++) {
		if (!memcmp(aml + i, pattern, sizeof(pattern))) {
			found = aml + i + sizeof(pattern);
			count++;
		}
	}
	if (count != 1)
		return bk_fail(err, EINVAL, "the built-in DSDT holds %u names %s, not one", count, name);
	memcpy(found, &value, sizeof(value));
	return 0;
}

static int put_dsdt(struct area *area, const struct bk__monitor_acpi_config *config, uint64_t *at,
		    struct bk_error *err)
{
	uint8_t aml[sizeof(dsdt_aml_code)];
	int rc;

	memcpy(aml, dsdt_aml_code, sizeof(aml));
	rc = patch(aml, "WMIN", config->mmio64.first, err);
	if (!rc)
		rc = patch(aml, "WMAX", config->mmio64.last, err);
	if (!rc)
		rc = patch(aml, "NCPU", config->cpus, err);
	if (!rc)
		*at = put(area, aml, sizeof(aml));
	return rc;
}

static uint64_t put_facs(struct area *area)
{
	struct facs facs = { .signature = { 'F', 'A', 'C', 'S' }, .length = sizeof(facs), .version = 2 };

	return address_of(area, place(area, &facs, sizeof(facs)));
}

static struct address port(uint16_t number, uint8_t bytes, uint8_t access)
{
	return (struct address){ SPACE_IO, (uint8_t)(bytes * 8), 0, access, number };
}

/*
 * SMI_CMD is 0: the machine is in ACPI mode from the start. There is no PM
 * timer and no GPE block: their addresses and lengths are 0.
 */
static uint64_t put_fadt(struct area *area, uint64_t facs, uint64_t dsdt)
{
	struct fadt fadt = {
		.header = header("FACP", 6),
		.facs = (uint32_t)facs,
		.dsdt = (uint32_t)dsdt,
		.sci = BK__GSI_SCI,
		.pm1a_event = BK__PORT_PM1_EVT,
		.pm1a_control = BK__PORT_PM1_CNT,
		.pm1_event_length = 4,
		.pm1_control_length = 2,
		.c2_latency = NO_C2,
		.c3_latency = NO_C3,
		.boot = BOOT_LEGACY_DEVICES | BOOT_NO_VGA | BOOT_NO_RTC,
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_FIX_RTC | FADT_RESET_REG,
		.reset = port(BK__PORT_RESET, 1, ACCESS_BYTE),
		.reset_value = 1,
		.x_dsdt = dsdt,
		.x_pm1a_event = port(BK__PORT_PM1_EVT, 4, ACCESS_WORD),
		.x_pm1a_control = port(BK__PORT_PM1_CNT, 2, ACCESS_WORD),
	};

	return put(area, &fadt, sizeof(fadt));
}

static uint64_t put_madt(struct area *area, unsigned cpus)
{
	struct madt madt = {
		.header = header("APIC", 4),
		.lapic_address = (uint32_t)BK__LAPIC,
		.flags = MADT_PCAT_COMPAT,
		.ioapic = { 1, sizeof(struct ioapic), 0, 0, (uint32_t)BK__IOAPIC, 0 },
		.sci = { 2, sizeof(struct override), 0, BK__GSI_SCI, BK__GSI_SCI, SCI_FLAGS },
	};

	for (unsigned i = 0; i < cpus; i++)
		madt.lapic[i] =
			(struct lapic){ 0, sizeof(struct lapic), (uint8_t)i, (uint8_t)i, LAPIC_ENABLED };
	return put(area, &madt, offsetof(struct madt, lapic) + cpus * sizeof(madt.lapic[0]));
}

static uint64_t put_mcfg(struct area *area)
{
	struct mcfg mcfg = { .header = header("MCFG", 1), .base = BK__ECAM_FIRST, .last_bus = 0xff };

	_Static_assert(BK__ECAM_LAST - BK__ECAM_FIRST + 1 == 256 << 20, "ECAM of 256 buses");
	return put(area, &mcfg, sizeof(mcfg));
}

static void fill_rsdp(struct rsdp *rsdp, uint64_t xsdt)
{
	*rsdp = (struct rsdp){ .revision = 2, .length = sizeof(*rsdp), .xsdt = xsdt };
	memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
	memcpy(rsdp->oem, OEM, sizeof(rsdp->oem));
	rsdp->checksum = checksum(rsdp, offsetof(struct rsdp, length));
	rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
}

int bk__monitor_acpi_build(const struct bk__monitor_ram *ram, const struct bk__monitor_acpi_config *config,
			   uint64_t *rsdp, struct bk_error *err)
{
	struct area area = { bk__monitor_ram_at(ram, BK__ACPI_FIRST, BK__ACPI_LAST - BK__ACPI_FIRST + 1), 0 };
	struct xsdt xsdt = { .header = header("XSDT", 1) };
	struct rsdp pointer = { 0 };
	struct rsdp *first;
	uint64_t dsdt;
	int rc;

	if (!area.host)
		return bk_fail(err, ENOMEM, "the guest has less than 1 MiB of memory");
	if (!config->cpus || config->cpus > CPUS_MAX)
		return bk_fail(err, EINVAL, "a guest has 1 to %d CPUs, not %u", CPUS_MAX, config->cpus);
	first = place(&area, &pointer, sizeof(pointer));
	rc = put_dsdt(&area, config, &dsdt, err);
	if (rc)
		return rc;
	xsdt.table[0] = put_fadt(&area, put_facs(&area), dsdt);
	xsdt.table[1] = put_madt(&area, config->cpus);
	xsdt.table[2] = put_mcfg(&area);
	fill_rsdp(first, put(&area, &xsdt, sizeof(xsdt)));
	*rsdp = address_of(&area, first);
	return 0;
}
