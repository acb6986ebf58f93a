/* SPDX-License-Identifier: BSD-2-Clause */
/* Flash memory with firmware in it; writes are dropped. */
#include "monitor/arm64/flash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "monitor/arm64/guest_map.h"
#include "monitor/board.h"

struct bk__monitor_flash {
	void *host;
	uint64_t size;
	int fd;
};

/* Where the guest has no slot. Widths are powers of two, and aligned. */
static int flash_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	const struct bk__monitor_flash *flash = opaque;

	*value = bk__load((const uint8_t *)flash->host + offset, width);
	return 0;
}

static int drop_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return 0;
}

static const struct bk_region_ops flash_ops = { .read = flash_read, .write = drop_write };

static int map(struct bk__monitor_flash *flash)
{
	flash->fd = memfd_create("barkeep-flash", MFD_CLOEXEC);
	if (flash->fd < 0 || ftruncate(flash->fd, (off_t)flash->size))
		return -errno;
	flash->host = mmap(NULL, flash->size, PROT_READ | PROT_WRITE, MAP_SHARED, flash->fd, 0);
	if (flash->host != MAP_FAILED)
		return 0;
	flash->host = NULL;
	return -errno;
}

int bk__monitor_flash_create(struct bk_space *memory, struct bk__monitor_flash **out, struct bk_error *err)
{
	const struct bk__monitor_arm64_range *range = &bk__monitor_arm64_map[BK__ARM64_FLASH];
	struct bk__monitor_flash *flash = calloc(1, sizeof(*flash));
	struct bk_region_desc desc = {
		.name = range->name,
		.first = range->first,
		.last = range->first + range->size - 1,
		.priority = BK__PRIORITY_FIXED,
		.kind = BK_REGION_MAPPED,
		.ops = &flash_ops,
		.opaque = flash,
	};
	struct bk_region *region;
	int error;

	if (!flash)
		return bk_fail(err, ENOMEM, "flash: out of memory");
	flash->fd = -1;
	flash->size = range->size;
	error = map(flash);
	if (!error) {
		desc.memory = (struct bk_memory){ .host = flash->host,
						  .fd = flash->fd,
						  .attributes = BK_MEMORY_READONLY };
		error = bk_region_add(memory, &desc, &region, err);
	} else {
		bk_fail(err, -error, "flash: no memory: %s", strerror(-error));
	}
	if (error) {
		bk__monitor_flash_destroy(flash);
		return error;
	}
	*out = flash;
	return 0;
}

int bk__monitor_flash_load(struct bk__monitor_flash *flash, const struct bk__monitor_file *file,
			   struct bk_error *err)
{
	if (file->size > flash->size)
		return bk_fail(err, EFBIG, "%s: it does not fit into the flash", file->name);
	return bk__monitor_file_read(file, 0, flash->host, file->size, err);
}

void bk__monitor_flash_destroy(struct bk__monitor_flash *flash)
{
	if (!flash)
		return;
	if (flash->host)
		munmap(flash->host, flash->size);
	if (flash->fd >= 0)
		close(flash->fd);
	free(flash);
}
