/* SPDX-License-Identifier: BSD-2-Clause */
/* What an arm64 guest starts from: Linux's Image by Documentation/arm64/booting.rst, or firmware. */
#include "monitor/arm64/image.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "monitor/arm64/devicetree.h"
#include "monitor/arm64/guest_map.h"
#include "monitor/monitor.h"

#define MIB        UINT64_C(0x100000)
#define PAGE       UINT64_C(0x1000)
#define ALIGN      (2 * MIB) /* of kernel and devicetree */
#define APPEND_MAX 2047      /* Linux's COMMAND_LINE_SIZE less the 0 */
#define GZIP       0x8b1f
#define MAGIC      0x644d5241u /* "ARM\x64" */
#define ZIMG       0x676d697au /* of an EFI image that unpacks itself */
#define OLD_OFFSET 0x80000     /* of an Image without a size */
#define OLD_SIZE   (16 * MIB)
#define BIG_END    1u

/* Offsets in the header. */
enum { ZIMG_AT = 4, TEXT_OFFSET = 8, IMAGE_SIZE = 16, FLAGS = 24, MAGIC_AT = 56, HEADER = 64 };

static uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) / align * align;
}

/* ---- Kernel ------------------------------------------------------------ */

static int refuse(const struct bk__monitor_file *file, const uint8_t *header, struct bk_error *err)
{
	if (bk__load(header, 2) == GZIP || bk__load(header + ZIMG_AT, 4) == ZIMG)
		return bk_fail(err, ENOEXEC, "%s: it is compressed: unpack it first", file->name);
	return bk_fail(err, ENOEXEC, "%s: not an arm64 kernel Image", file->name);
}

/* Its place, and the first byte that it does not need. */
static int check_kernel(struct bk__monitor_boot *boot, const struct bk__monitor_ram *ram, uint64_t *end,
			struct bk_error *err)
{
	const struct bk__monitor_file *file = &boot->kernel;
	uint8_t header[HEADER];
	uint64_t offset, size;
	int error;

	if (file->size < HEADER)
		return bk_fail(err, ENOEXEC, "%s: too short to be a kernel (%" PRIu64 " bytes)", file->name,
			       file->size);
	error = bk__monitor_file_read(file, 0, header, sizeof(header), err);
	if (error)
		return error;
	if (bk__load(header + MAGIC_AT, 4) != MAGIC)
		return refuse(file, header, err);
	if (bk__load(header + FLAGS, 4) & BIG_END)
		return bk_fail(err, ENOEXEC, "%s: a big-endian kernel: a little-endian one is needed",
			       file->name);
	offset = bk__load(header + TEXT_OFFSET, 8);
	size = bk__load(header + IMAGE_SIZE, 8);
	if (!size) {
		offset = OLD_OFFSET;
		size = OLD_SIZE;
	}
	if (size < file->size)
		size = file->size;
	if (offset > ram->low_size || size > ram->low_size - offset)
		return bk_fail(err, ENOMEM, "%s: it needs %" PRIu64 " MiB of memory, the guest has %" PRIu64,
			       file->name, (size < UINT64_MAX - MIB ? size + MIB - 1 : size) / MIB,
			       ram->low_size / MIB);
	boot->image.kernel = boot->image.entry = ram->low + offset;
	*end = boot->image.kernel + size;
	return 0;
}

/* Devicetree and initrd follow the kernel. */
static int place_rest(struct bk__monitor_boot *boot, const struct bk__monitor_ram *ram, uint64_t kernel_end,
		      struct bk_error *err)
{
	const uint64_t ram_end = ram->low + ram->low_size;
	uint64_t end;

	boot->image.devicetree = align_up(kernel_end, ALIGN);
	boot->image.initrd = boot->image.devicetree + align_up(BK__DEVICETREE_SIZE, PAGE);
	end = boot->image.initrd;
	if (boot->initrd.fd >= 0 && !boot->initrd.size)
		return bk_fail(err, EINVAL, "%s: the initrd is empty", boot->initrd.name);
	if (end > ram_end || boot->initrd.size > ram_end - end)
		return bk_fail(err, ENOMEM,
			       "%s: no room for it and what it comes with: give the guest more than %" PRIu64
			       " MiB of memory%s",
			       boot->initrd.fd < 0 ? boot->kernel.name : boot->initrd.name,
			       ram->low_size / MIB, ram->low_size < ram->size ? " below the I/O window" : "");
	return 0;
}

static int open_kernel(struct bk__monitor_boot *boot, const struct bk__monitor_config *config,
		       const struct bk__monitor_ram *ram, struct bk_error *err)
{
	uint64_t end = 0;
	int error = check_kernel(boot, ram, &end, err);

	if (!error && config->initrd)
		error = bk__monitor_file_open(config->initrd, &boot->initrd, err);
	return error ? error : place_rest(boot, ram, end, err);
}

/* ---- Firmware ---------------------------------------------------------- */

/* It runs in flash and finds the devicetree where RAM starts. */
static int check_firmware(struct bk__monitor_boot *boot, const struct bk__monitor_ram *ram,
			  struct bk_error *err)
{
	const struct bk__monitor_file *file = &boot->kernel;
	const struct bk__monitor_arm64_range *flash = &bk__monitor_arm64_map[BK__ARM64_FLASH];

	if (!file->size || file->size > flash->size)
		return bk_fail(err, EFBIG,
			       "%s: %" PRIu64 " bytes of firmware: it may have 1 to %" PRIu64 " MiB",
			       file->name, file->size, flash->size / MIB);
	boot->image = (struct bk__monitor_image){
		.firmware = true, .kernel = flash->first, .entry = flash->first, .devicetree = ram->low
	};
	return 0;
}

/* ---- Both -------------------------------------------------------------- */

void bk__monitor_boot_close(struct bk__monitor_boot *boot)
{
	if (!boot)
		return;
	bk__monitor_file_close(&boot->kernel);
	bk__monitor_file_close(&boot->initrd);
	free(boot->append);
	free(boot);
}

int bk__monitor_image_open(const struct bk__monitor_config *config, const struct bk__monitor_ram *ram,
			   struct bk__monitor_boot **out, struct bk_error *err)
{
	struct bk__monitor_boot *boot = calloc(1, sizeof(*boot));
	const char *append = config->append ? config->append : "";
	int error = 0;

	if (!boot)
		return bk_fail(err, ENOMEM, "files to boot from: out of memory");
	boot->kernel.fd = boot->initrd.fd = -1;
	boot->append = strdup(append);
	if (!boot->append)
		error = bk_fail(err, ENOMEM, "files to boot from: out of memory");
	else if (strlen(append) > APPEND_MAX)
		error = bk_fail(err, E2BIG, "the kernel command line is too long: %zu bytes, %d are taken",
				strlen(append), APPEND_MAX);
	if (!error)
		error = bk__monitor_file_open(config->firmware ? config->firmware : config->kernel,
					      &boot->kernel, err);
	if (!error)
		error = config->firmware ? check_firmware(boot, ram, err)
					 : open_kernel(boot, config, ram, err);
	if (error) {
		bk__monitor_boot_close(boot);
		return error;
	}
	*out = boot;
	return 0;
}

static int load(const struct bk__monitor_file *file, uint64_t gpa, const struct bk__monitor_ram *ram,
		struct bk_error *err)
{
	void *to = bk__monitor_ram_at(ram, gpa, file->size);

	if (!to)
		return bk_fail(err, ENOMEM, "%s: the guest has no memory at 0x%" PRIx64, file->name, gpa);
	return bk__monitor_file_read(file, 0, to, file->size, err);
}

int bk__monitor_image_load(const struct bk__monitor_boot *boot, const struct bk__monitor_ram *ram,
			   struct bk_error *err)
{
	const int error = load(&boot->kernel, boot->image.kernel, ram, err);

	if (error || boot->initrd.fd < 0)
		return error;
	return load(&boot->initrd, boot->image.initrd, ram, err);
}
