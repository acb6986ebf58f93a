/* SPDX-License-Identifier: BSD-2-Clause */
/* Linux's bzImage by its 64-bit entry: Documentation/x86/boot.rst ("the boot protocol"). */
#include "monitor/x86/image.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define HEADER       offsetof(struct boot_params, hdr)
#define HEADER_END   (HEADER + sizeof(struct setup_header))
#define JUMP_SIZE    0x201       /* the header ends this byte's value after 0x202 */
#define MAGIC        0x53726448u /* "HdrS" */
#define BOOT_FLAG    0xaa55
#define VERSION      0x020c /* the first with xloadflags */
#define SECTOR       512u
#define PARAGRAPH    16u
#define ENTRY_64     0x200u
#define LOADER_OTHER 0xff /* type_of_loader: one without a number */
#define VIDEO_NORMAL 0xffff

static int check_header(const struct bk__monitor_file *file, const struct setup_header *header, uint8_t jump,
			struct bk_error *err)
{
	if (header->boot_flag != BOOT_FLAG || header->header != MAGIC)
		return bk_fail(err, ENOEXEC, "%s: neither a bzImage nor an ELF kernel", file->name);
	if (header->version < VERSION)
		return bk_fail(err, ENOEXEC,
			       "%s: boot protocol %u.%02u is too old: 2.12 is needed (Linux 3.8 or later)",
			       file->name, header->version >> 8, header->version & 0xff);
	if (0x202u + jump < HEADER + offsetof(struct setup_header, handover_offset))
		return bk_fail(err, ENOEXEC, "%s: its setup header is cut short", file->name);
	if (!(header->xloadflags & XLF_KERNEL_64))
		return bk_fail(err, ENOEXEC, "%s: a 32-bit kernel: a 64-bit one is needed", file->name);
	if (!(header->loadflags & LOADED_HIGH))
		return bk_fail(err, ENOEXEC, "%s: a zImage, not a bzImage", file->name);
	return 0;
}

int bk__monitor_bzimage_check(const struct bk__monitor_file *file, struct bk__monitor_image *image,
			      struct bk_error *err)
{
	struct setup_header *header = &image->header;
	uint64_t setup, payload, need;
	uint8_t first[HEADER_END];
	int rc;

	if (file->size < sizeof(first))
		return bk_fail(err, ENOEXEC, "%s: too short to be a kernel (%" PRIu64 " bytes)", file->name,
			       file->size);
	rc = bk__monitor_file_read(file, 0, first, sizeof(first), err);
	if (rc)
		return rc;
	memcpy(header, first + HEADER, sizeof(*header));
	rc = check_header(file, header, first[JUMP_SIZE], err);
	if (rc)
		return rc;
	/* The file's bytes after a shorter header are code. */
	if (0x202u + first[JUMP_SIZE] < HEADER_END)
		memset((uint8_t *)header + (0x202u + first[JUMP_SIZE] - HEADER), 0,
		       HEADER_END - (0x202u + first[JUMP_SIZE]));

	setup = ((header->setup_sects ? header->setup_sects : 4) + 1u) * SECTOR;
	payload = (uint64_t)header->syssize * PARAGRAPH;
	if (payload <= ENTRY_64)
		return bk_fail(err, ENOEXEC, "%s: it holds no kernel code", file->name);
	if (setup + payload > file->size)
		return bk_fail(err, ENOEXEC, "%s: truncated: %" PRIu64 " bytes of %" PRIu64 " are there",
			       file->name, file->size, setup + payload);
	if (header->pref_address < BK__KERNEL_MIN || header->pref_address > BK__RAM_LOW_END)
		return bk_fail(err, ENOEXEC, "%s: it wants to be at 0x%" PRIx64 ", where no kernel can be",
			       file->name, (uint64_t)header->pref_address);
	need = payload > header->init_size ? payload : header->init_size;

	image->pvh = false;
	image->entry = header->pref_address + ENTRY_64;
	image->end = header->pref_address + need;
	image->initrd_last = header->initrd_addr_max;
	image->append_max = header->cmdline_size;
	image->segments = 1;
	image->segment[0] = (struct bk__monitor_segment){ header->pref_address, payload, setup, payload };
	return 0;
}

void bk__monitor_bzimage_parameters(const struct bk__monitor_image *image,
				    const struct bk__monitor_handover *handover, uint8_t *low)
{
	struct boot_params params = { .hdr = image->header };

	params.hdr.type_of_loader = LOADER_OTHER;
	params.hdr.vid_mode = VIDEO_NORMAL;
	params.hdr.code32_start = (uint32_t)image->segment[0].gpa;
	params.hdr.cmd_line_ptr = (uint32_t)BK__BOOT_APPEND;
	params.hdr.ramdisk_image = (uint32_t)handover->initrd;
	params.hdr.ramdisk_size = (uint32_t)handover->initrd_size;
	params.hdr.setup_data = 0;
	params.acpi_rsdp_addr = handover->rsdp;
	params.e820_entries = (uint8_t)handover->ranges;
	memcpy(params.e820_table, handover->e820, handover->ranges * sizeof(handover->e820[0]));
	memcpy(low + BK__BOOT_PARAMS, &params, sizeof(params));
}
