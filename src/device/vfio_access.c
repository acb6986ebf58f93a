/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes of a function's regions.
 *
 * The kernel's pread and pwrite on a VFIO device make one access of 1, 2 or 4
 * aligned bytes, and cut any other count into aligned pieces, low address
 * first; they fail where a load would raise SIGBUS. Older kernels cut 8 bytes
 * into two of 4, so these go through a private mapping where the BAR has one.
 */
#include "device/vfio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "pci/chain.h"

/* Bytes mapped around an 8-byte access: a BAR can have gigabytes, and the kernel fills in every page at once.
 */
#define WINDOW 0x100000ull

void bk__vfio_window_close(struct bk__device_vfio *vfio)
{
	if (vfio->window)
		munmap(vfio->window, vfio->window_size);
	vfio->window = NULL;
}

/* Maps around `offset` if 8 bytes there are in one area. Under the window's lock. */
static volatile uint64_t *window_at(struct bk__device_vfio *vfio, unsigned index, uint64_t offset)
{
	const struct bk__vfio_region *region = &vfio->regions[index];

	if (vfio->window && vfio->window_region == index && offset >= vfio->window_offset &&
	    offset - vfio->window_offset < vfio->window_size)
		return (void *)((char *)vfio->window + (offset - vfio->window_offset));
	for (size_t i = 0; i < region->area_count; i++) {
		const struct bk_device_area *area = &region->areas[i];
		uint64_t start = offset & ~(WINDOW - 1), end = start + WINDOW;
		void *window;

		if (offset < area->offset || offset - area->offset >= area->size)
			continue;
		start = start > area->offset ? start : area->offset;
		end = end < area->offset + area->size ? end : area->offset + area->size;
		window = mmap(NULL, end - start, PROT_READ | PROT_WRITE, MAP_SHARED, vfio->fd,
			      (off_t)(region->info.fd_offset + start));
		if (window == MAP_FAILED)
			return NULL;
		bk__vfio_window_close(vfio);
		vfio->window = window;
		vfio->window_region = index;
		vfio->window_offset = start;
		vfio->window_size = end - start;
		return (void *)((char *)window + (offset - start));
	}
	return NULL;
}

/*
 * One 8-byte access through the mapping; false if there is none.
 *
 * The kernel answers a load with SIGBUS only while COMMAND.MEM is off or the
 * function is out of D0 (during a reset it makes the load wait). Both are kept
 * from open to close: keep_state() below keeps writes from changing them, and no other process has this
 * fd unless the user chose to trust it with the device.
 */
static bool access8(struct bk__device_vfio *vfio, unsigned index, uint64_t offset, void *in, const void *out)
{
	volatile uint64_t *at;
	uint64_t value;

	if (sizeof(void *) < 8 || offset & 7)
		return false;
	pthread_mutex_lock(&vfio->window_lock);
	at = window_at(vfio, index, offset);
	if (at && in) {
		value = *at;
		memcpy(in, &value, sizeof(value));
	} else if (at) {
		memcpy(&value, out, sizeof(value));
		*at = value;
	}
	pthread_mutex_unlock(&vfio->window_lock);
	return at;
}

static int get(struct bk__device_vfio *vfio, unsigned index, uint64_t offset, void *data, size_t count)
{
	off_t at = (off_t)(vfio->regions[index].info.fd_offset + offset);
	ssize_t done;

	do
		done = pread(vfio->fd, data, count, at);
	while (done < 0 && errno == EINTR);
	/* A short transfer would leave garbage. */
	return done == (ssize_t)count ? 0 : -EIO;
}

static int put(struct bk__device_vfio *vfio, unsigned index, uint64_t offset, const void *data, size_t count)
{
	off_t at = (off_t)(vfio->regions[index].info.fd_offset + offset);
	ssize_t done;

	do
		done = pwrite(vfio->fd, data, count, at);
	while (done < 0 && errno == EINTR);
	return done == (ssize_t)count ? 0 : -EIO;
}

static int check(struct bk__device_vfio *vfio, unsigned index, unsigned flag, uint64_t offset, size_t count)
{
	const struct bk_device_region *region;

	if (index >= vfio->region_count)
		return -EINVAL;
	region = &vfio->regions[index].info;
	return region->flags & flag && offset <= region->size && count <= region->size - offset ? 0 : -EINVAL;
}

int bk__vfio_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count)
{
	struct bk__device_vfio *vfio = (struct bk__device_vfio *)device;
	int ret = check(vfio, region, BK_DEVICE_READ, offset, count);

	if (ret || !count)
		return ret;
	if (count == 8 && access8(vfio, region, offset, data, NULL))
		return 0;
	return get(vfio, region, offset, data, count);
}

/* Where the byte `target` of config space is in a write, or NULL. */
static uint8_t *byte_of(uint8_t *data, uint64_t offset, size_t count, unsigned target)
{
	return target && target >= offset && target - offset < count ? data + (target - offset) : NULL;
}

static int write_config(struct bk__device_vfio *vfio, uint64_t offset, const void *data, size_t count)
{
	uint8_t copy[BK__PCI_CONFIG_SIZE], *byte;
	int ret;

	if (count > sizeof(copy))
		return -EINVAL;
	memcpy(copy, data, count);
	byte = byte_of(copy, offset, count, BK__PCI_COMMAND);
	if (byte)
		*byte |= BK__PCI_COMMAND_MEMORY | BK__PCI_COMMAND_IO;
	byte = byte_of(copy, offset, count, vfio->pmcsr);
	if (byte)
		*byte &= (uint8_t)~BK__PCI_PM_PMCSR_STATE;
	pthread_mutex_lock(&vfio->config_lock);
	ret = put(vfio, BK_DEVICE_CONFIG, offset, copy, count);
	pthread_mutex_unlock(&vfio->config_lock);
	return ret;
}

int bk__vfio_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data, size_t count)
{
	struct bk__device_vfio *vfio = (struct bk__device_vfio *)device;
	int ret = check(vfio, region, BK_DEVICE_WRITE, offset, count);

	if (ret || !count)
		return ret;
	if (region == BK_DEVICE_CONFIG)
		return write_config(vfio, offset, data, count);
	if (count == 8 && access8(vfio, region, offset, NULL, data))
		return 0;
	return put(vfio, region, offset, data, count);
}

int bk__vfio_quiesce(struct bk__device_vfio *vfio)
{
	uint8_t command[2]; /* as in config space: low byte first */
	int ret;

	pthread_mutex_lock(&vfio->config_lock);
	ret = get(vfio, BK_DEVICE_CONFIG, BK__PCI_COMMAND, command, sizeof(command));
	if (!ret) {
		command[0] = (uint8_t)((command[0] | BK__PCI_COMMAND_MEMORY | BK__PCI_COMMAND_IO) &
				       ~BK__PCI_COMMAND_MASTER);
		ret = put(vfio, BK_DEVICE_CONFIG, BK__PCI_COMMAND, command, sizeof(command));
	}
	pthread_mutex_unlock(&vfio->config_lock);
	return ret;
}

static bool chain_read(void *opaque, unsigned offset, unsigned width, uint32_t *value)
{
	uint8_t bytes[4] = { 0 };

	if (get(opaque, BK_DEVICE_CONFIG, offset, bytes, width))
		return false;
	*value = (uint32_t)bk__load(bytes, width);
	return true;
}

void bk__vfio_find_pm(struct bk__device_vfio *vfio)
{
	struct bk__pci_chain chain;

	vfio->pmcsr = 0;
	bk__pci_chain_begin_read(&chain, BK__PCI_EXTENDED, false, chain_read, vfio);
	while (!vfio->pmcsr && bk__pci_chain_next(&chain))
		if (chain.id == BK__PCI_CAP_PM)
			vfio->pmcsr = chain.at + BK__PCI_PM_PMCSR;
}
