/* SPDX-License-Identifier: BSD-2-Clause */
/* Hostile drivers: registers of both kinds and queues, out of any bytes. A disk in memory, and a card on a
 * loop. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "virtio/blk.h"
#include "virtio/net.h"

enum {
	MEMORY = 1 << 16,
	BASE = 0x10000, /* where the device sees it */
	DISK = 1 << 15,
	SIZE = 16, /* of queues that are set up here */
	QUEUE = 0x1000,
	ACTIONS = 24,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const char *__asan_default_options(void);

/* Memory that the domain's thread frees later is no leak, and looking for it takes longer than all else. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static struct bk__virtio *devices[2];
static uint8_t *memory;

static void ignore(void *opaque, enum bk_log_level level, const char *line)
{
}

static void write_to(struct bk__virtio *virtio, unsigned region, uint64_t offset, unsigned width,
		     uint64_t value)
{
	uint8_t bytes[8];

	bk__store(bytes, 8, value);
	bk_device_write(&virtio->device, region, offset, bytes, width);
}

static void map(struct bk__virtio *virtio)
{
	const struct bk_device_dma dma = { .iova = BASE,
					   .size = MEMORY,
					   .flags = BK_DEVICE_DMA_READ | BK_DEVICE_DMA_WRITE,
					   .vaddr = memory,
					   .fd = -1 };

	if (bk_device_dma_map(&virtio->device, &dma, NULL))
		abort();
}

static void open_devices(void)
{
	static const uint8_t mac[BK__VIRTIO_MAC] = { 2, 0, 0, 0, 0, 1 };
	struct bk__virtio_net_end end;
	struct bk__virtio_net *net;
	struct bk__virtio_disk *disk;
	char path[64];
	const int fd = memfd_create("disk", MFD_CLOEXEC);
	void *pages;

	bk_log_set(ignore, NULL);
	/* Frames that are kept take and give back a lot of memory: it stays with this process. */
	mallopt(M_TRIM_THRESHOLD, 1 << 28);
	mallopt(M_TOP_PAD, 1 << 20);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (posix_memalign(&pages, 4096, MEMORY) || ftruncate(fd, DISK) ||
	    bk__virtio_disk_open(path, false, &disk, NULL))
		abort();
	memory = pages;
	bk__virtio_disk_plain(disk);
	if (bk__virtio_blk_create("blk", disk, false, "serial", false, &devices[0], NULL) ||
	    bk__virtio_net_loop(&end) ||
	    bk__virtio_net_create("net", end.ops, end.opaque, mac, false, &net, &devices[1], NULL))
		abort();
	*end.net = net;
	for (unsigned i = 0; i < 2; i++) {
		map(devices[i]);
		write_to(devices[i], BK_DEVICE_CONFIG, 4, 2, 7);
	}
}

/* ---- What the bytes say ------------------------------------------------ */

struct input {
	const uint8_t *data;
	size_t size;
};

static uint64_t take(struct input *input, unsigned width)
{
	uint64_t value;

	if (width > input->size)
		width = (unsigned)input->size;
	value = bk__load(input->data, width);
	input->data += width;
	input->size -= width;
	return value;
}

/* What a driver does that makes no mistake until its queues are there. */
static void start(struct bk__virtio *virtio, bool modern, uint64_t features)
{
	const unsigned status = modern ? 20 : 18, bar = modern ? 4 : 0;

	write_to(virtio, bar, status, 1, 0);
	write_to(virtio, bar, status, 1, 3);
	if (!modern)
		write_to(virtio, 0, 4, 4, features);
	for (unsigned i = 0; modern && i < 2; i++) {
		write_to(virtio, 4, 8, 4, i);
		write_to(virtio, 4, 12, 4, i ? 1 : features & virtio->offered);
	}
	if (modern)
		write_to(virtio, 4, status, 1, 11);
	for (unsigned i = 0; i < virtio->type->queues; i++) {
		write_to(virtio, bar, modern ? 22 : 14, 2, i);
		if (!modern) {
			write_to(virtio, 0, 8, 4, (BASE + 4 * QUEUE * i) / 4096);
			continue;
		}
		write_to(virtio, 4, 24, 2, SIZE);
		write_to(virtio, 4, 32, 8, BASE + 4 * QUEUE * i);
		write_to(virtio, 4, 40, 8, BASE + 4 * QUEUE * i + QUEUE);
		write_to(virtio, 4, 48, 8, BASE + 4 * QUEUE * i + 2 * QUEUE);
		write_to(virtio, 4, 28, 2, 1);
	}
	write_to(virtio, bar, status, 1, modern ? 15 : 7);
}

static void describe(struct bk__virtio *virtio, struct input *input)
{
	const uint64_t kind = take(input, 1);
	const struct bk__virtio_queue *queue = &virtio->queues[kind >> 1 & 1];
	const uint64_t table = (kind & 1 ? BASE + 0xc000 : queue->descriptors) - BASE;
	const uint64_t at = table + 16 * (take(input, 1) % SIZE);

	if (at > MEMORY - 16)
		return;
	bk__store(memory + at, 8, BASE + 0x8000 + (take(input, 2) << (kind >> 6)));
	bk__store(memory + at + 8, 4, take(input, kind & 4 ? 4 : 2) & (kind & 8 ? UINT32_MAX : 0xfff));
	bk__store(memory + at + 12, 2, take(input, 1));
	bk__store(memory + at + 14, 2, take(input, 1));
}

static void add(struct bk__virtio *virtio, struct input *input)
{
	const uint64_t what = take(input, 1);
	const struct bk__virtio_queue *queue = &virtio->queues[what & 1];
	const uint64_t ring = queue->driver - BASE;
	uint16_t index;

	if (!queue->size || ring > MEMORY - 6 - 2 * (uint64_t)queue->size)
		return;
	index = (uint16_t)bk__load(memory + ring + 2, 2);
	bk__store(memory + ring + 4 + 2 * (index % queue->size), 2, what >> 1 & 15);
	bk__store(memory + ring + 2, 2, what & 0x80 ? index + (what & 0x60) : index + 1u);
	bk__virtio_kick(virtio, what & 1);
}

static void act(struct bk__virtio *virtio, struct input *input)
{
	const unsigned what = (unsigned)take(input, 1);
	const unsigned width = 1u << (what >> 4 & 3), bar = what & 0x40 ? 4 : 0;
	uint64_t offset;
	uint8_t bytes[8];

	switch (what & 15) {
	case 0:
	case 1:
		offset = take(input, 1) & 0x7f;
		write_to(virtio, bar, offset, width, take(input, width));
		break;
	case 2:
		offset = take(input, 2);
		bk_device_read(&virtio->device, bar, offset, bytes, width);
		break;
	case 3:
		offset = take(input, 1);
		if (offset <= 4 && offset + width > 4 && take(input, 1) & 63)
			break; /* seldom, too: bus mastering is a commit */
		write_to(virtio, BK_DEVICE_CONFIG, offset, width, take(input, width));
		break;
	case 4:
		bk_device_read(&virtio->device, BK_DEVICE_CONFIG, take(input, 1), bytes, width);
		break;
	case 5:
		start(virtio, what & 0x40, take(input, 4));
		break;
	case 6:
		offset = take(input, 2) & (MEMORY - 8);
		bk__store(memory + offset, 8, take(input, 8));
		break;
	case 7: /* a header of a disk's request */
		offset = 0x8000 + 16 * (take(input, 1) & 15);
		bk__store(memory + offset, 4, take(input, 1));
		bk__store(memory + offset + 8, 8, take(input, 1));
		break;
	case 8:
	case 9:
	case 10:
		describe(virtio, input);
		break;
	case 11:
	case 12:
		add(virtio, input);
		break;
	case 13:
		bk__virtio_serve(virtio);
		break;
	case 14:
		write_to(virtio, 4, 0x3000 + (what >> 4), 2, 0);
		bk__virtio_serve(virtio);
		break;
	default: /* seldom: a commit takes longer than all else */
		if (take(input, 1) & 63)
			break;
		if (what & 0x80) {
			bk_device_dma_unmap(&virtio->device, BASE, MEMORY);
			bk__virtio_serve(virtio);
			map(virtio);
		} else {
			bk_device_set_irqs(&virtio->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0,
					   what >> 4 & 1, what & 0x10 ? &(int){ -1 } : NULL);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct bk__virtio *virtio;
	uint8_t config[BK__VIRTIO_PCI_CONFIG];
	unsigned first;

	if (!memory)
		open_devices();
	first = (unsigned)take(&input, 1);
	virtio = devices[first & 1];
	memcpy(config, virtio->config.bytes, sizeof(config));
	memset(memory, 0, MEMORY);
	if (first & 2)
		start(virtio, first & 4, first & 8 ? UINT32_MAX : 0);
	for (unsigned i = 0; i < ACTIONS && input.size; i++)
		act(virtio, &input);
	bk__virtio_serve(virtio);
	/* As it was, without the commits that a reset of the function is. */
	write_to(virtio, 4, 20, 1, 0);
	write_to(virtio, BK_DEVICE_CONFIG, 4, 2, 7);
	memcpy(virtio->config.bytes, config, sizeof(config));
	if (bk__device_irqs_on(&virtio->irqs, BK_DEVICE_MSIX))
		bk_device_set_irqs(&virtio->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL);
	return 0;
}
