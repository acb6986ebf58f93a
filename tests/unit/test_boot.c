/* SPDX-License-Identifier: BSD-2-Clause */
/* The boot loader: synthetic kernels of both formats, good ones, hostile ones, and files that change. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/x86/acpi.h"
#include "monitor/x86/boot.h"
#include "monitor/x86/image.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static struct bk__monitor_ram ram_of(uint64_t size)
{
	struct bk__monitor_ram ram = { .fd = -1, .size = size, .low_size = size, .high = 4 * GIB };

	if (ram.low_size > BK__RAM_LOW_END)
		ram.low_size = BK__RAM_LOW_END;
	ram.host =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(ram.host, MAP_FAILED);
	return ram;
}

static void ram_free(struct bk__monitor_ram *ram)
{
	munmap(ram->host, ram->size);
}

/* A file that has a name for as long as the descriptor is open. */
struct file {
	int fd;
	char name[32];
};

static struct file file_of(const void *bytes, size_t count)
{
	struct file file = { .fd = memfd_create("kernel", MFD_CLOEXEC) };

	assert_true(file.fd >= 0);
	assert_int_equal(write(file.fd, bytes, count), count);
	snprintf(file.name, sizeof(file.name), "/proc/self/fd/%d", file.fd);
	return file;
}

/* ---- bzImage ----------------------------------------------------------- */

#define SETUP   (5 * 512)
#define PAYLOAD 0x3000
#define PREF    (16 * MIB)

struct bzimage {
	uint8_t bytes[SETUP + PAYLOAD];
};

static struct setup_header *header_of(struct bzimage *image)
{
	return (struct setup_header *)(image->bytes + 0x1f1);
}

static struct bzimage good_bzimage(void)
{
	struct bzimage image;
	struct setup_header *header = header_of(&image);

	for (size_t i = 0; i < sizeof(image.bytes); i++)
		image.bytes[i] = i < SETUP ? 0 : (uint8_t)(i * 7 + (i >> 8));
	header->setup_sects = 4;
	header->syssize = PAYLOAD / 16;
	header->boot_flag = 0xaa55;
	header->jump = 0x6aeb;
	header->header = 0x53726448;
	header->version = 0x020f;
	header->loadflags = LOADED_HIGH;
	header->initrd_addr_max = 0x7fffffff;
	header->kernel_alignment = 0x200000;
	header->relocatable_kernel = 1;
	header->xloadflags = XLF_KERNEL_64;
	header->cmdline_size = 2047;
	header->pref_address = PREF;
	header->init_size = 8 * MIB;
	return image;
}

/* Opens the image and expects one line that names the file. */
static void refused(const void *bytes, size_t count, uint64_t memory, int code, const char *why)
{
	struct file file = file_of(bytes, count);
	struct bk__monitor_ram ram = ram_of(memory);
	struct bk__monitor_boot *boot = NULL;
	struct bk_error err = { "" };

	assert_int_equal(bk__monitor_boot_open(file.name, NULL, NULL, &ram, &boot, &err), -code);
	assert_null(boot);
	assert_non_null(strstr(err.text, file.name));
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
	assert_null(strchr(err.text, '\n'));
	ram_free(&ram);
	close(file.fd);
}

static void bzimage_loads(void **state)
{
	struct bzimage image = good_bzimage();
	struct file kernel = file_of(image.bytes, sizeof(image.bytes)), initrd;
	struct bk__monitor_ram ram = ram_of(64 * MIB);
	uint8_t *bytes = ram.host, *disk = malloc(0x5001);
	const struct boot_params *params = (const void *)(bytes + BK__BOOT_PARAMS);
	struct bk__monitor_boot *boot;
	struct bk_error err;
	struct kvm_regs regs;
	struct kvm_sregs sregs = { .apic_base = 0xfee00900 };

	memset(disk, 0x5a, 0x5001);
	initrd = file_of(disk, 0x5001);
	assert_int_equal(
		bk__monitor_boot_open(kernel.name, initrd.name, "console=ttyS0 x", &ram, &boot, &err), 0);

	/* Twice: a restart finds RAM as the last run left it. */
	for (int run = 0; run < 2; run++) {
		uint64_t at = 64 * MIB - 0x6000;

		memset(bytes, 0xa5, 64 * MIB);
		assert_int_equal(bk__monitor_boot_load(boot, &ram, 0xe0000, &err), 0);
		assert_memory_equal(bytes + PREF, image.bytes + SETUP, PAYLOAD);
		assert_string_equal((char *)bytes + BK__BOOT_APPEND, "console=ttyS0 x");
		assert_int_equal(params->hdr.cmd_line_ptr, BK__BOOT_APPEND);
		assert_int_equal(params->ext_cmd_line_ptr, 0);
		assert_int_equal(params->hdr.header, 0x53726448);
		assert_int_equal(params->hdr.type_of_loader, 0xff);
		assert_int_equal(params->sentinel, 0);
		assert_int_equal(params->hdr.ramdisk_image, at);
		assert_int_equal(params->hdr.ramdisk_size, 0x5001);
		assert_memory_equal(bytes + at, disk, 0x5001);
		assert_int_equal(params->acpi_rsdp_addr, 0xe0000);
		assert_int_equal(params->e820_entries, 5);
	}

	memset(&regs, 0xff, sizeof(regs));
	bk__monitor_boot_registers(boot, &regs, &sregs);
	assert_int_equal(regs.rip, PREF + 0x200);
	assert_int_equal(regs.rsi, BK__BOOT_PARAMS);
	assert_int_equal(regs.rflags, 2);
	assert_int_equal(regs.rsp, 0);
	assert_int_equal(sregs.cs.selector, 0x10);
	assert_true(sregs.cs.l && !sregs.cs.db);
	assert_int_equal(sregs.ds.selector, 0x18);
	assert_int_equal(sregs.efer, 0x500);
	assert_int_equal(sregs.cr0 & 0x80000001, 0x80000001);
	assert_int_equal(sregs.apic_base, 0xfee00900);
	bk__monitor_boot_close(boot);
	ram_free(&ram);
	free(disk);
	close(kernel.fd);
	close(initrd.fd);
}

/* What the MMU would find behind CR3 for `address`. */
static uint64_t walk(const uint8_t *bytes, uint64_t cr3, uint64_t address)
{
	uint64_t entry = cr3 | 1;

	for (int shift = 39; shift >= 21; shift -= 9) {
		memcpy(&entry, bytes + (entry & ~UINT64_C(0xfff)) + ((address >> shift) & 511) * 8, 8);
		assert_int_equal(entry & 3, 3);
	}
	assert_true(entry & 0x80);
	return (entry & ~UINT64_C(0x1fffff)) + (address & 0x1fffff);
}

static void identity_map(void **state)
{
	struct bzimage image = good_bzimage();
	struct file kernel = file_of(image.bytes, sizeof(image.bytes));
	struct bk__monitor_ram ram = ram_of(64 * MIB);
	struct bk__monitor_boot *boot;
	struct bk_error err;
	struct kvm_regs regs;
	struct kvm_sregs sregs = { 0 };
	uint64_t code;

	assert_int_equal(bk__monitor_boot_open(kernel.name, NULL, NULL, &ram, &boot, &err), 0);
	assert_int_equal(bk__monitor_boot_load(boot, &ram, 0, &err), 0);
	bk__monitor_boot_registers(boot, &regs, &sregs);
	for (uint64_t address = 0x123; address < 4 * GIB; address += 2 * MIB)
		assert_int_equal(walk(ram.host, sregs.cr3, address), address);
	memcpy(&code, (uint8_t *)ram.host + sregs.gdt.base + sregs.cs.selector, 8);
	assert_int_equal(code, 0x00af9b000000ffff);
	assert_true(sregs.tr.selector + 16u <= sregs.gdt.limit + 1u);
	bk__monitor_boot_close(boot);
	ram_free(&ram);
	close(kernel.fd);
}

static void bzimage_refused(void **state)
{
	struct bzimage image;
	struct setup_header *header = header_of(&image);

#define BAD(CHANGE, WHY)                                                           \
	do {                                                                       \
		image = good_bzimage();                                            \
		CHANGE;                                                            \
		refused(image.bytes, sizeof(image.bytes), 64 * MIB, ENOEXEC, WHY); \
	} while (0)
	BAD(header->header = 0, "neither a bzImage nor an ELF kernel");
	BAD(header->boot_flag = 0, "neither a bzImage nor an ELF kernel");
	BAD(header->version = 0x020b, "2.11 is too old");
	BAD(header->xloadflags = 0, "32-bit kernel");
	BAD(header->loadflags = 0, "zImage");
	BAD(header->jump = 0x10eb, "cut short");
	BAD(header->syssize = 0, "no kernel code");
	BAD(header->syssize = 0xffffffff, "truncated");
	BAD(header->setup_sects = 255, "truncated");
	BAD(header->pref_address = 0, "where no kernel can be");
	BAD(header->pref_address = UINT64_MAX, "where no kernel can be");
#undef BAD
	image = good_bzimage();
	for (size_t count = 0; count < sizeof(image.bytes); count += count < 0x300 ? 1 : 251)
		refused(image.bytes, count, 64 * MIB, ENOEXEC, "");
	refused(image.bytes, sizeof(image.bytes) - 1, 64 * MIB, ENOEXEC, "truncated");
	refused(image.bytes, sizeof(image.bytes), 22 * MIB, ENOMEM, "needs 24 MiB");
	header->init_size = UINT32_MAX;
	refused(image.bytes, sizeof(image.bytes), 64 * MIB, ENOMEM, "the guest has 64");
}

/* A header shorter than ours: what follows it in the file is not taken for parameters. */
static void short_header(void **state)
{
	struct bzimage image = good_bzimage();
	struct file kernel;
	struct bk__monitor_ram ram = ram_of(64 * MIB);
	const struct boot_params *params = (const void *)((uint8_t *)ram.host + BK__BOOT_PARAMS);
	struct bk__monitor_boot *boot;
	struct bk_error err;

	header_of(&image)->jump = 0x62eb;
	memset(image.bytes + 0x264, 0xcc, 0x10);
	kernel = file_of(image.bytes, sizeof(image.bytes));
	assert_int_equal(bk__monitor_boot_open(kernel.name, NULL, NULL, &ram, &boot, &err), 0);
	assert_int_equal(bk__monitor_boot_load(boot, &ram, 0, &err), 0);
	assert_int_equal(params->hdr.init_size, 8 * MIB);
	assert_int_equal(params->hdr.handover_offset, 0);
	bk__monitor_boot_close(boot);
	ram_free(&ram);
	close(kernel.fd);
}

/* ---- Initrd, command line, files --------------------------------------- */

static int open_with(uint64_t memory, uint64_t initrd_size, uint32_t addr_max, const char *append,
		     uint64_t *at, struct bk_error *err)
{
	struct bzimage image = good_bzimage();
	struct file kernel, initrd = file_of("", 0);
	struct bk__monitor_ram ram = ram_of(memory);
	struct bk__monitor_boot *boot;
	int rc;

	header_of(&image)->initrd_addr_max = addr_max;
	kernel = file_of(image.bytes, sizeof(image.bytes));
	assert_int_equal(ftruncate(initrd.fd, (off_t)initrd_size), 0);
	rc = bk__monitor_boot_open(kernel.name, initrd.name, append, &ram, &boot, err);
	if (!rc) {
		rc = bk__monitor_boot_load(boot, &ram, 0, err);
		*at = ((struct boot_params *)((uint8_t *)ram.host + BK__BOOT_PARAMS))->hdr.ramdisk_image;
		bk__monitor_boot_close(boot);
	}
	ram_free(&ram);
	close(kernel.fd);
	close(initrd.fd);
	return rc;
}

static void initrd_placed(void **state)
{
	struct bk_error err;
	uint64_t at;

	assert_int_equal(open_with(64 * MIB, 1, 0x7fffffff, NULL, &at, &err), 0);
	assert_int_equal(at, 64 * MIB - 0x1000);
	assert_int_equal(open_with(64 * MIB, 0x1001, 48 * MIB - 1, NULL, &at, &err), 0);
	assert_int_equal(at, 48 * MIB - 0x2000);
	assert_int_equal(open_with(5 * GIB, 0x1000, 0xffffffff, NULL, &at, &err), 0);
	assert_int_equal(at, 3 * GIB - 0x1000);
	/* All that is left above the kernel, and one byte more. */
	assert_int_equal(open_with(64 * MIB, 40 * MIB, 0x7fffffff, NULL, &at, &err), 0);
	assert_int_equal(at, 24 * MIB);
	assert_int_equal(open_with(64 * MIB, 40 * MIB + 1, 0x7fffffff, NULL, &at, &err), -ENOMEM);
	assert_non_null(strstr(err.text, "give the guest more memory"));
	assert_int_equal(open_with(64 * MIB, GIB, 0x7fffffff, NULL, &at, &err), -ENOMEM);
	assert_int_equal(open_with(64 * MIB, 1, 0, NULL, &at, &err), -ENOMEM);
	assert_int_equal(open_with(64 * MIB, 0, 0x7fffffff, NULL, &at, &err), -EINVAL);
	assert_non_null(strstr(err.text, "empty"));
}

static void append_checked(void **state)
{
	struct bk_error err;
	char append[2049];
	uint64_t at;

	memset(append, 'a', sizeof(append));
	append[2048] = 0;
	assert_int_equal(open_with(64 * MIB, 1, 0x7fffffff, append, &at, &err), -E2BIG);
	assert_non_null(strstr(err.text, "too long"));
	append[2047] = 0;
	assert_int_equal(open_with(64 * MIB, 1, 0x7fffffff, append, &at, &err), 0);
}

static void no_file(void **state)
{
	char fifo[] = "/tmp/barkeep-boot-XXXXXX";
	struct bk__monitor_ram ram = ram_of(64 * MIB);
	struct bk__monitor_boot *boot;
	struct bk_error err;

	assert_int_equal(bk__monitor_boot_open("/nonexistent/vmlinuz", NULL, NULL, &ram, &boot, &err),
			 -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/vmlinuz: No such file"));
	assert_int_equal(bk__monitor_boot_open("/", NULL, NULL, &ram, &boot, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not a regular file"));
	assert_non_null(mkdtemp(fifo));
	assert_int_equal(rmdir(fifo), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(bk__monitor_boot_open(fifo, NULL, NULL, &ram, &boot, &err), -EINVAL);
	unlink(fifo);
	ram_free(&ram);
}

/* A file that shrinks while the guest runs is an error at the restart, not a fault. */
static void shrunk_file(void **state)
{
	struct bzimage image = good_bzimage();
	struct file kernel = file_of(image.bytes, sizeof(image.bytes));
	struct bk__monitor_ram ram = ram_of(64 * MIB);
	struct bk__monitor_boot *boot;
	struct bk_error err = { "" };

	assert_int_equal(bk__monitor_boot_open(kernel.name, NULL, NULL, &ram, &boot, &err), 0);
	assert_int_equal(ftruncate(kernel.fd, SETUP + 100), 0);
	assert_int_equal(bk__monitor_boot_load(boot, &ram, 0, &err), -EIO);
	assert_non_null(strstr(err.text, "shrunk"));
	bk__monitor_boot_close(boot);
	ram_free(&ram);
	close(kernel.fd);
}

/* ---- E820 -------------------------------------------------------------- */

static void assert_memory_map(uint64_t moved)
{
	const struct boot_e820_entry want[] = {
		{ 0, 0xa0000, 1 },          { 0xe0000, 0x20000, 2 },
		{ MIB, 3 * GIB - MIB, 1 },  { 0xe0000000, 0x10000000, 2 },
		{ 0xfffbc000, 0x44000, 2 }, { 4 * GIB + moved, 2 * GIB, 1 },
	};
	struct bzimage image = good_bzimage();
	struct file kernel = file_of(image.bytes, sizeof(image.bytes));
	struct bk__monitor_ram ram = ram_of(5 * GIB);
	const struct boot_params *params = (const void *)((uint8_t *)ram.host + BK__BOOT_PARAMS);
	struct bk__monitor_boot *boot;
	struct bk_error err;

	ram.high = 4 * GIB + moved;
	assert_int_equal(bk__monitor_boot_open(kernel.name, NULL, NULL, &ram, &boot, &err), 0);
	assert_int_equal(bk__monitor_boot_load(boot, &ram, 0, &err), 0);
	assert_int_equal(params->e820_entries, 6);
	assert_memory_equal(params->e820_table, want, sizeof(want));
	bk__monitor_boot_close(boot);
	ram_free(&ram);
	close(kernel.fd);
}

static void memory_map(void **state)
{
	assert_memory_map(0);
}

/* Above what an AMD host's IOMMU reserves. */
static void memory_map_of_ram_that_is_moved(void **state)
{
	assert_memory_map((UINT64_C(1) << 40) - 4 * GIB);
}

/* ---- PVH --------------------------------------------------------------- */

struct elf {
	Elf64_Ehdr header;
	Elf64_Phdr segment[3]; /* text, data, notes */
	struct {
		Elf64_Nhdr other;
		char other_name[4];
		uint8_t other_bytes[4];
		Elf64_Nhdr note;
		char name[4];
		uint64_t entry;
	} __attribute__((packed)) notes;
	uint8_t text[0x800], data[0x100];
} __attribute__((packed));

static struct elf good_elf(void)
{
	struct elf elf = {
		.header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			    .e_type = ET_EXEC,
			    .e_machine = EM_X86_64,
			    .e_phoff = offsetof(struct elf, segment),
			    .e_phentsize = sizeof(Elf64_Phdr),
			    .e_phnum = 3 },
		.segment = { { .p_type = PT_LOAD,
			       .p_offset = offsetof(struct elf, text),
			       .p_paddr = PREF,
			       .p_filesz = sizeof(elf.text),
			       .p_memsz = 0x1000 },
			     { .p_type = PT_LOAD,
			       .p_offset = offsetof(struct elf, data),
			       .p_paddr = PREF + 0x1000,
			       .p_filesz = sizeof(elf.data),
			       .p_memsz = 0x3000 },
			     { .p_type = PT_NOTE,
			       .p_offset = offsetof(struct elf, notes),
			       .p_filesz = sizeof(elf.notes),
			       .p_align = 4 } },
		.notes = { .other = { 4, 3, 18 },
			   .other_name = "GNU",
			   .note = { 4, 8, 18 },
			   .name = "Xen",
			   .entry = PREF + 0x40 },
	};

	memset(elf.text, 0x11, sizeof(elf.text));
	memset(elf.data, 0x22, sizeof(elf.data));
	return elf;
}

static void pvh_loads(void **state)
{
	struct elf elf = good_elf();
	struct file kernel = file_of(&elf, sizeof(elf)), initrd = file_of("disk", 4);
	struct bk__monitor_ram ram = ram_of(64 * MIB);
	uint8_t *bytes = ram.host;
	const uint32_t *start = (const void *)(bytes + BK__BOOT_PARAMS);
	const uint64_t *start64 = (const void *)(bytes + BK__BOOT_PARAMS), *module, *range;
	struct bk__monitor_boot *boot;
	struct bk_error err;
	struct kvm_regs regs;
	struct kvm_sregs sregs = { .efer = 0xffff, .cr4 = 0xffff };

	assert_int_equal(bk__monitor_boot_open(kernel.name, initrd.name, "quiet", &ram, &boot, &err), 0);
	for (int run = 0; run < 2; run++) {
		memset(bytes, 0xa5, 64 * MIB);
		assert_int_equal(bk__monitor_boot_load(boot, &ram, 0xe0000, &err), 0);
		assert_memory_equal(bytes + PREF, elf.text, sizeof(elf.text));
		assert_memory_equal(bytes + PREF + 0x1000, elf.data, sizeof(elf.data));
		for (size_t i = PREF + sizeof(elf.text); i < PREF + 0x1000; i++)
			assert_int_equal(bytes[i], 0);
		for (size_t i = PREF + 0x1000 + sizeof(elf.data); i < PREF + 0x4000; i++)
			assert_int_equal(bytes[i], 0);
		assert_int_equal(bytes[PREF + 0x4000], 0xa5);
	}
	assert_int_equal(start[0], 0x336ec578);
	assert_int_equal(start[1], 1);
	assert_int_equal(start[2], 0);
	assert_int_equal(start[3], 1);
	module = (const void *)(bytes + start64[2]);
	assert_int_equal(module[0], 64 * MIB - 0x1000);
	assert_int_equal(module[1], 4);
	assert_memory_equal(bytes + module[0], "disk", 4);
	assert_string_equal((char *)bytes + start64[3], "quiet");
	assert_int_equal(start64[4], 0xe0000);
	assert_int_equal(start[12], 5);
	range = (const void *)(bytes + start64[5]);
	assert_int_equal(range[0], 0);
	assert_int_equal(range[1], 0xa0000);
	assert_int_equal(range[2], 1);
	assert_int_equal(range[3 * 3], 0xe0000000);
	assert_int_equal(range[3 * 3 + 2], 2);

	bk__monitor_boot_registers(boot, &regs, &sregs);
	assert_int_equal(regs.rip, PREF + 0x40);
	assert_int_equal(regs.rbx, BK__BOOT_PARAMS);
	assert_int_equal(sregs.cr0 & 0x80000001, 1);
	assert_int_equal(sregs.cr4, 0);
	assert_int_equal(sregs.efer, 0);
	assert_true(sregs.cs.db && !sregs.cs.l);
	assert_int_equal(sregs.tr.limit, 0x67);
	bk__monitor_boot_close(boot);
	ram_free(&ram);
	close(kernel.fd);
	close(initrd.fd);
}

static void pvh_refused(void **state)
{
	struct elf elf;

#define BAD(CHANGE, WHY)                                            \
	do {                                                        \
		elf = good_elf();                                   \
		CHANGE;                                             \
		refused(&elf, sizeof(elf), 64 * MIB, ENOEXEC, WHY); \
	} while (0)
	BAD(elf.header.e_ident[EI_CLASS] = ELFCLASS32, "not for x86-64");
	BAD(elf.header.e_machine = EM_AARCH64, "not for x86-64");
	BAD(elf.header.e_phentsize = 0, "truncated");
	BAD(elf.header.e_phnum = 0xffff, "truncated");
	BAD(elf.header.e_phoff = UINT64_MAX - 8, "truncated");
	BAD(elf.header.e_phnum = 0, "without a PVH entry note");
	BAD(elf.notes.note.n_type = 17, "without a PVH entry note");
	BAD(elf.notes.note.n_descsz = 2, "without a PVH entry note");
	BAD(elf.notes.note.n_descsz = 9, "without a PVH entry note");
	BAD(elf.notes.other.n_namesz = UINT32_MAX, "without a PVH entry note");
	BAD(elf.notes.other.n_descsz = UINT32_MAX, "without a PVH entry note");
	BAD(elf.notes.entry = PREF - 1, "in none of its segments");
	BAD(elf.notes.entry = UINT64_MAX, "in none of its segments");
	BAD(elf.segment[1].p_offset = UINT64_MAX, "truncated");
	BAD(elf.segment[1].p_filesz = UINT64_MAX, "truncated");
	BAD(elf.segment[2].p_filesz = sizeof(elf), "truncated");
	BAD(elf.segment[1].p_memsz = 1, "larger in the file");
	BAD(elf.segment[1].p_memsz = UINT64_MAX, "where no kernel can be");
	BAD(elf.segment[1].p_paddr = 0x1000, "where no kernel can be");
	BAD(elf.segment[1].p_paddr = UINT64_MAX - 0x10, "where no kernel can be");
	BAD(elf.segment[1].p_paddr = PREF + 0xfff, "overlap");
	BAD(elf.segment[0].p_memsz = 0x1001, "overlap");
#undef BAD
	elf = good_elf();
	for (size_t count = 0; count < sizeof(elf); count++)
		refused(&elf, count, 64 * MIB, ENOEXEC, "");
	refused(&elf, sizeof(elf), 16 * MIB, ENOMEM, "needs 17 MiB");
}

static void too_many_segments(void **state)
{
	struct elf elf = good_elf();
	uint8_t bytes[sizeof(elf) + 40 * sizeof(Elf64_Phdr)];

	elf.header.e_phoff = sizeof(elf);
	elf.header.e_phnum = 40;
	memcpy(bytes, &elf, sizeof(elf));
	for (unsigned i = 0; i < 40; i++) {
		Elf64_Phdr segment = { .p_type = PT_LOAD, .p_paddr = PREF + i * 0x1000, .p_memsz = 0x1000 };

		memcpy(bytes + sizeof(elf) + i * sizeof(segment), &segment, sizeof(segment));
	}
	refused(bytes, sizeof(bytes), 64 * MIB, ENOEXEC, "segments to load");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bzimage_loads),
		cmocka_unit_test(identity_map),
		cmocka_unit_test(bzimage_refused),
		cmocka_unit_test(short_header),
		cmocka_unit_test(initrd_placed),
		cmocka_unit_test(append_checked),
		cmocka_unit_test(no_file),
		cmocka_unit_test(shrunk_file),
		cmocka_unit_test(memory_map),
		cmocka_unit_test(pvh_loads),
		cmocka_unit_test(memory_map_of_ram_that_is_moved),
		cmocka_unit_test(pvh_refused),
		cmocka_unit_test(too_many_segments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
