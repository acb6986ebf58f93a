/* SPDX-License-Identifier: BSD-2-Clause */
/* The boot loader: opens and checks the files, fills RAM, says how the first vCPU starts. */
#include "monitor/x86/boot.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/x86/acpi.h"
#include "monitor/x86/image.h"

#define PAGE          UINT64_C(0x1000)
#define LARGE_PAGE    UINT64_C(0x200000)
#define MIB           UINT64_C(0x100000)
#define PTE_TABLE     0x3 /* present, writable */
#define PTE_LARGE     0x83
#define E820_RAM      1
#define E820_RESERVED 2

/* Selectors of the boot protocols' flat segments. */
#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define SELECTOR_TSS  0x20
#define GDT_ENTRIES   6

#define CR0_PE   0x1
#define CR0_ET   0x10
#define CR0_PG   0x80000000u
#define CR4_PAE  0x20
#define EFER_LME 0x100
#define EFER_LMA 0x400
#define RFLAGS   0x2 /* bit 1 is always 1; interrupts off */

struct bk__monitor_boot {
	struct bk__monitor_file kernel, initrd; /* initrd.fd is -1 if there is none */
	char *append;
	struct bk__monitor_image image;
	uint64_t initrd_at;
};

/* ---- Where things go --------------------------------------------------- */

static int check_kernel(struct bk__monitor_boot *boot, struct bk_error *err)
{
	uint8_t first[4];
	size_t count = boot->kernel.size < sizeof(first) ? boot->kernel.size : sizeof(first);
	int rc = bk__monitor_file_read(&boot->kernel, 0, first, count, err);

	if (rc)
		return rc;
	if (bk__monitor_pvh_match(first, count))
		return bk__monitor_pvh_check(&boot->kernel, &boot->image, err);
	return bk__monitor_bzimage_check(&boot->kernel, &boot->image, err);
}

/* In MiB, rounded up. */
static uint64_t mib(uint64_t bytes)
{
	return bytes / MIB + (bytes % MIB != 0);
}

/* The initrd lies as high as the kernel takes it, in whole pages. */
static int place_initrd(struct bk__monitor_boot *boot, const struct bk__monitor_ram *ram,
			struct bk_error *err)
{
	uint64_t limit = ram->low_size, size = boot->initrd.size;

	if (limit > boot->image.initrd_last)
		limit = boot->image.initrd_last + 1;
	limit &= ~(PAGE - 1);
	if (size > limit || ((limit - size) & ~(PAGE - 1)) < boot->image.end)
		return bk_fail(err, ENOMEM,
			       "%s: %" PRIu64
			       " MiB of initrd do not fit above the kernel, which ends at %" PRIu64
			       " MiB, and below %" PRIu64 " MiB: give the guest more memory",
			       boot->initrd.name, mib(size), mib(boot->image.end), limit / MIB);
	boot->initrd_at = (limit - size) & ~(PAGE - 1);
	return 0;
}

static int check_sizes(struct bk__monitor_boot *boot, const struct bk__monitor_ram *ram, struct bk_error *err)
{
	size_t append = strlen(boot->append);
	uint64_t append_max =
		boot->image.append_max < BK__APPEND_MAX ? boot->image.append_max : BK__APPEND_MAX;

	if (append > append_max)
		return bk_fail(err, E2BIG,
			       "the kernel command line is too long: %zu bytes, %s takes %" PRIu64, append,
			       boot->kernel.name, append_max);
	if (boot->image.end > ram->low_size)
		return bk_fail(err, ENOMEM, "%s: it needs %" PRIu64 " MiB of memory, the guest has %" PRIu64,
			       boot->kernel.name, mib(boot->image.end), ram->size / MIB);
	if (boot->initrd.fd < 0)
		return 0;
	if (!boot->initrd.size)
		return bk_fail(err, EINVAL, "%s: the initrd is empty", boot->initrd.name);
	return place_initrd(boot, ram, err);
}

int bk__monitor_boot_open(const char *kernel, const char *initrd, const char *append,
			  const struct bk__monitor_ram *ram, struct bk__monitor_boot **boot,
			  struct bk_error *err)
{
	struct bk__monitor_boot *new = calloc(1, sizeof(*new));
	int rc;

	if (!new)
		return bk_fail(err, ENOMEM, "%s: out of memory", kernel);
	new->kernel.fd = new->initrd.fd = -1;
	new->append = strdup(append ? append : "");
	rc = new->append ? bk__monitor_file_open(kernel, &new->kernel, err)
			 : bk_fail(err, ENOMEM, "out of memory");
	if (!rc)
		rc = check_kernel(new, err);
	if (!rc && initrd)
		rc = bk__monitor_file_open(initrd, &new->initrd, err);
	if (!rc)
		rc = check_sizes(new, ram, err);
	if (rc) {
		bk__monitor_boot_close(new);
		return rc;
	}
	*boot = new;
	return 0;
}

void bk__monitor_boot_close(struct bk__monitor_boot *boot)
{
	if (!boot)
		return;
	bk__monitor_file_close(&boot->kernel);
	bk__monitor_file_close(&boot->initrd);
	free(boot->append);
	free(boot);
}

/* ---- Filling RAM ------------------------------------------------------- */

static void add_range(struct bk__monitor_handover *handover, uint64_t first, uint64_t end, uint32_t type)
{
	if (first < end)
		handover->e820[handover->ranges++] =
			(struct boot_e820_entry){ .addr = first, .size = end - first, .type = type };
}

static void memory_map(struct bk__monitor_handover *handover, const struct bk__monitor_ram *ram)
{
	const uint64_t high = ram->high;

	add_range(handover, 0, BK__LOW_END, E820_RAM);
	add_range(handover, BK__ACPI_FIRST, BK__ACPI_LAST + 1, E820_RESERVED);
	add_range(handover, MIB, ram->low_size, E820_RAM);
	add_range(handover, BK__ECAM_FIRST, BK__ECAM_LAST + 1, E820_RESERVED);
	add_range(handover, BK__KVM_IDENTITY, BK__RAM_HIGH, E820_RESERVED);
	add_range(handover, high, high + (ram->size - ram->low_size), E820_RAM);
}

/* Identity map of the first 4 GiB in 2 MiB pages: all that the 64-bit entry may touch. */
static void page_tables(uint8_t *low)
{
	uint64_t tables[6][512] = { 0 };

	tables[0][0] = (BK__BOOT_TABLES + PAGE) | PTE_TABLE;
	for (unsigned i = 0; i < 4; i++)
		tables[1][i] = (BK__BOOT_TABLES + (2 + i) * PAGE) | PTE_TABLE;
	for (unsigned i = 0; i < 4 * 512; i++)
		tables[2 + i / 512][i % 512] = i * LARGE_PAGE | PTE_LARGE;
	memcpy(low + BK__BOOT_TABLES, tables, sizeof(tables));
}

static void descriptors(uint8_t *low, bool long_mode)
{
	const uint64_t gdt[GDT_ENTRIES] = {
		[SELECTOR_CODE / 8] = long_mode ? UINT64_C(0x00af9b000000ffff) : UINT64_C(0x00cf9b000000ffff),
		[SELECTOR_DATA / 8] = UINT64_C(0x00cf93000000ffff),
		[SELECTOR_TSS / 8] = UINT64_C(0x00008b0000000067),
	};

	memcpy(low + BK__BOOT_GDT, gdt, sizeof(gdt));
}

static int load_segment(const struct bk__monitor_file *file, const struct bk__monitor_segment *segment,
			const struct bk__monitor_ram *ram, struct bk_error *err)
{
	uint8_t *to = bk__monitor_ram_at(ram, segment->gpa, segment->size);
	int rc;

	if (!to)
		return bk_fail(err, ENOMEM, "%s: the guest has no memory at 0x%" PRIx64, file->name,
			       segment->gpa);
	rc = bk__monitor_file_read(file, segment->offset, to, segment->file_size, err);
	if (!rc)
		memset(to + segment->file_size, 0, segment->size - segment->file_size);
	return rc;
}

int bk__monitor_boot_load(struct bk__monitor_boot *boot, const struct bk__monitor_ram *ram, uint64_t rsdp,
			  struct bk_error *err)
{
	struct bk__monitor_handover handover = { .rsdp = rsdp };
	uint8_t *low = bk__monitor_ram_at(ram, 0, BK__KERNEL_MIN);
	int rc = 0;

	if (!low)
		return bk_fail(err, ENOMEM, "%s: the guest has less than 1 MiB of memory", boot->kernel.name);
	for (unsigned i = 0; i < boot->image.segments && !rc; i++)
		rc = load_segment(&boot->kernel, &boot->image.segment[i], ram, err);
	if (!rc && boot->initrd.fd >= 0) {
		struct bk__monitor_segment initrd = { boot->initrd_at, boot->initrd.size, 0,
						      boot->initrd.size };

		rc = load_segment(&boot->initrd, &initrd, ram, err);
		handover.initrd = initrd.gpa;
		handover.initrd_size = initrd.size;
	}
	if (rc)
		return rc;

	memory_map(&handover, ram);
	memcpy(low + BK__BOOT_APPEND, boot->append, strlen(boot->append) + 1);
	descriptors(low, !boot->image.pvh);
	if (boot->image.pvh) {
		bk__monitor_pvh_parameters(&handover, low);
	} else {
		page_tables(low);
		bk__monitor_bzimage_parameters(&boot->image, &handover, low);
	}
	return 0;
}

/* ---- The first vCPU ---------------------------------------------------- */

void bk__monitor_boot_registers(const struct bk__monitor_boot *boot, struct kvm_regs *regs,
				struct kvm_sregs *sregs)
{
	bool long_mode = !boot->image.pvh;
	struct kvm_segment code = { .limit = UINT32_MAX,
				    .selector = SELECTOR_CODE,
				    .type = 11, /* execute, read, accessed */
				    .present = 1,
				    .db = !long_mode,
				    .s = 1,
				    .l = long_mode,
				    .g = 1 };
	struct kvm_segment data = { .limit = UINT32_MAX,
				    .selector = SELECTOR_DATA,
				    .type = 3, /* read, write, accessed */
				    .present = 1,
				    .db = 1,
				    .s = 1,
				    .g = 1 };
	struct kvm_segment task = {
		.limit = 0x67, .selector = SELECTOR_TSS, .type = 11 /* busy */, .present = 1
	};

	*regs = (struct kvm_regs){ .rip = boot->image.entry, .rflags = RFLAGS };
	if (long_mode)
		regs->rsi = BK__BOOT_PARAMS;
	else
		regs->rbx = BK__BOOT_PARAMS;

	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	sregs->tr = task;
	sregs->gdt = (struct kvm_dtable){ .base = BK__BOOT_GDT, .limit = GDT_ENTRIES * 8 - 1 };
	sregs->idt = (struct kvm_dtable){ 0 };
	sregs->cr0 = CR0_PE | CR0_ET | (long_mode ? CR0_PG : 0);
	sregs->cr3 = long_mode ? BK__BOOT_TABLES : 0;
	sregs->cr4 = long_mode ? CR4_PAE : 0;
	sregs->efer = long_mode ? EFER_LME | EFER_LMA : 0;
}
