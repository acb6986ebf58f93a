/* SPDX-License-Identifier: BSD-2-Clause */
/* The sim back: a PCI device out of a YAML file, as VFIO would show it. */
#include "device/sim.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "device/dma.h"
#include "device/options.h"
#include "device/sim_parts.h"

static struct sim *sim_of(struct bk_device *device)
{
	return (struct sim *)device;
}

static uint64_t region_size(const struct sim *sim, unsigned index)
{
	if (index < BK_DEVICE_ROM)
		return sim->bars[index].size;
	switch (index) {
	case BK_DEVICE_ROM:
		return sim->rom_size;
	case BK_DEVICE_CONFIG:
		return sim->config.size;
	case BK_DEVICE_VGA:
		return sim->vga ? BK__PCI_VGA_MEMORY_END : 0;
	default:
		return 0;
	}
}

static int sim_info(struct bk_device *device, struct bk_device_info *info)
{
	info->flags = sim_of(device)->can_reset ? BK_DEVICE_CAN_RESET : 0;
	info->regions = BK_DEVICE_REGIONS;
	info->irqs = BK_DEVICE_IRQS;
	return 0;
}

static int sim_region(struct bk_device *device, unsigned index, struct bk_device_region *region)
{
	struct sim *sim = sim_of(device);
	const struct sim_bar *bar = index < BK_DEVICE_ROM ? &sim->bars[index] : NULL;

	if (index >= BK_DEVICE_REGIONS)
		return -EINVAL;
	*region = (struct bk_device_region){ .fd = -1, .size = region_size(sim, index) };
	if (!region->size)
		return 0;
	region->flags = index == BK_DEVICE_ROM ? BK_DEVICE_READ : BK_DEVICE_READ | BK_DEVICE_WRITE;
	if (bar && bar->area_count) {
		region->flags |= BK_DEVICE_MMAP;
		region->fd = bar->fd;
	}
	return 0;
}

static int sim_areas(struct bk_device *device, unsigned index, bool all, bk_device_area_fn *visit,
		     void *opaque)
{
	const struct sim *sim = sim_of(device);

	(void)all;
	for (unsigned i = 0; index < BK_DEVICE_ROM && i < sim->bars[index].area_count; i++)
		visit(opaque, &sim->bars[index].areas[i]);
	return 0;
}

static int sim_irq(struct bk_device *device, unsigned index, struct bk_device_irq *irq)
{
	static const unsigned flags[BK_DEVICE_IRQS] = {
		[BK_DEVICE_INTX] = BK_DEVICE_IRQ_MASKABLE | BK_DEVICE_IRQ_AUTOMASKED,
		[BK_DEVICE_MSI] = BK_DEVICE_IRQ_NORESIZE,
		[BK_DEVICE_MSIX] = BK_DEVICE_IRQ_NORESIZE,
		[BK_DEVICE_ERR] = BK_DEVICE_IRQ_NORESIZE,
		[BK_DEVICE_REQ] = BK_DEVICE_IRQ_NORESIZE,
	};

	if (index >= BK_DEVICE_IRQS)
		return -EINVAL;
	irq->count = sim_of(device)->irqs.count[index];
	irq->flags = irq->count ? flags[index] : 0;
	return 0;
}

/* ---- Accesses ---- */

static void record(struct sim *sim, unsigned region, uint64_t offset, const uint8_t *data, unsigned width,
		   bool write)
{
	struct bk__sim_access *access = &sim->ring[sim->access_count++ % BK__SIM_ACCESSES];

	*access = (struct bk__sim_access){ .region = region,
					   .width = width,
					   .write = write,
					   .offset = offset,
					   .value = bk__load(data, width) };
	sim->counts[region][write][__builtin_ctz(width)]++;
}

static void reset_all(struct sim *sim)
{
	sim->reset_count++;
	sim->pending = 0;
	bk__sim_config_reset(sim);
	for (unsigned i = 0; i < 6; i++)
		if (sim->bars[i].size)
			bk__sim_bar_reset(&sim->bars[i]);
	bk__sim_irqs_update(sim);
}

/* For an aligned access of at most 4 bytes, which is inside a range or outside. NULL: nothing is there. */
static uint8_t *vga_at(const struct sim *sim, uint64_t offset)
{
	if (offset >= BK__PCI_VGA_MEMORY && offset - BK__PCI_VGA_MEMORY < SIM_VGA_MEMORY_SIZE)
		return sim->vga + (offset - BK__PCI_VGA_MEMORY);
	if (offset >= BK__PCI_VGA_MONO && offset - BK__PCI_VGA_MONO < SIM_VGA_PORTS_SIZE &&
	    (offset & 0x3fc) != 0x3bc) /* a printer's */
		return sim->vga + SIM_VGA_MEMORY_SIZE + (offset - BK__PCI_VGA_MONO);
	return NULL;
}

/* One naturally aligned access. Locked. */
static int access_one(struct sim *sim, unsigned region, uint64_t offset, uint8_t *data, unsigned width,
		      bool write)
{
	struct sim_bar *bar = region < BK_DEVICE_ROM ? &sim->bars[region] : NULL;
	uint8_t *vga = region == BK_DEVICE_VGA ? vga_at(sim, offset) : NULL;
	bool reset = false;

	if (region == BK_DEVICE_VGA && !vga)
		return -EINVAL;
	if (bar && !bk__sim_config_decodes(sim, bar))
		return -EIO;
	if (region == BK_DEVICE_CONFIG && write)
		reset = bk__sim_config_write(sim, (unsigned)offset, data, width, false);
	else if (region == BK_DEVICE_CONFIG)
		bk__sim_config_read(sim, (unsigned)offset, data, width, false);
	else if (vga)
		memcpy(write ? vga : data, write ? data : vga, width);
	else if (!bar)
		memcpy(data, sim->rom + offset, width);
	else if (write)
		reset = bk__sim_bar_write(sim, bar, offset, data, width);
	else
		bk__sim_bar_read(sim, bar, offset, data, width);
	if (write && (region == BK_DEVICE_CONFIG || bar))
		bk__sim_irqs_update(sim); /* the write may have changed them */
	record(sim, region, offset, data, width, write);
	if (reset)
		reset_all(sim);
	return 0;
}

/* The widest naturally aligned access that begins at `offset`: 4 bytes at most in config space and ports.
 */
static unsigned widest(const struct sim *sim, unsigned region, uint64_t offset, size_t count)
{
	bool narrow = region == BK_DEVICE_CONFIG || region == BK_DEVICE_VGA ||
		      (region < BK_DEVICE_ROM && sim->bars[region].kind == SIM_IO);
	unsigned width = narrow ? 4 : 8;

	while (width > count || offset & (width - 1))
		width /= 2;
	return width;
}

static int access_all(struct sim *sim, unsigned region, uint64_t offset, uint8_t *data, size_t count,
		      bool write)
{
	uint64_t size;
	int r = 0;

	if (region >= BK_DEVICE_REGIONS || (region == BK_DEVICE_ROM && write))
		return -EINVAL;
	size = region_size(sim, region);
	if (offset > size || count > size - offset)
		return -EINVAL;
	while (count && !r) {
		unsigned width = widest(sim, region, offset, count);

		pthread_mutex_lock(&sim->lock);
		r = access_one(sim, region, offset, data, width, write);
		pthread_mutex_unlock(&sim->lock);
		offset += width;
		data += width;
		count -= width;
	}
	return r;
}

static int sim_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count)
{
	return access_all(sim_of(device), region, offset, data, count, false);
}

static int sim_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
		     size_t count)
{
	/* Only read from when writing. */
	return access_all(sim_of(device), region, offset, (uint8_t *)data, count, true);
}

/* ---- The rest of the interface ---- */

static int sim_set_irqs(struct bk_device *device, unsigned index, enum bk_device_irq_action action,
			unsigned start, unsigned count, const int *fds)
{
	return bk__device_irqs_set(&sim_of(device)->irqs, index, action, start, count, fds);
}

/* The space is made with the first map: most sims have none. */
static struct bk__device_dma_space *dma_of(struct sim *sim, bool create)
{
	struct bk__device_dma_space *dma;

	pthread_mutex_lock(&sim->lock);
	if (!sim->dma && create)
		sim->dma = bk__device_dma_create(sim->device.name);
	dma = sim->dma;
	pthread_mutex_unlock(&sim->lock);
	return dma;
}

static int sim_dma_map(struct bk_device *device, const struct bk_device_dma *map, struct bk_error *err)
{
	struct bk__device_dma_space *dma = dma_of(sim_of(device), true);

	if (!dma)
		return bk_fail(err, ENOMEM, "%s: DMA: out of memory", device->name);
	return bk__device_dma_map(dma, map, err);
}

static int sim_dma_unmap(struct bk_device *device, uint64_t iova, uint64_t size)
{
	struct bk__device_dma_space *dma = dma_of(sim_of(device), false);

	return dma ? bk__device_dma_unmap(dma, iova, size) : -ENOENT;
}

/* For tests of a slow reset. */
static void wait_at_gate(struct sim *sim)
{
	struct pollfd gate = { .fd = sim->gate, .events = POLLIN };
	char byte;

	bk_log(BK_LOG_WARNING, "%s: a reset waits", sim->device.name);
	do
		poll(&gate, 1, -1);
	while (read(sim->gate, &byte, 1) < 0 && (errno == EAGAIN || errno == EINTR));
}

static int sim_reset(struct bk_device *device)
{
	struct sim *sim = sim_of(device);

	if (!sim->can_reset)
		return -EOPNOTSUPP;
	if (sim->gate >= 0)
		wait_at_gate(sim);
	pthread_mutex_lock(&sim->lock);
	reset_all(sim);
	pthread_mutex_unlock(&sim->lock);
	return 0;
}

static void sim_describe(struct bk_device *device,
			 void (*say)(void *opaque, const char *key, const char *value), void *opaque)
{
	struct sim *sim = sim_of(device);
	uint64_t accesses, resets, raised;
	struct bk__device_dma_space *dma;
	char text[128];

	pthread_mutex_lock(&sim->lock);
	accesses = sim->access_count;
	resets = sim->reset_count;
	raised = sim->raised;
	dma = sim->dma;
	pthread_mutex_unlock(&sim->lock);
	say(opaque, "file", sim->file);
	say(opaque, "model", sim->model);
	snprintf(text, sizeof(text), "%u", sim->register_count);
	say(opaque, "registers", text);
	snprintf(text, sizeof(text), "%" PRIu64, accesses);
	say(opaque, "accesses", text);
	snprintf(text, sizeof(text), "%" PRIu64 " raised, %" PRIu64 " lost", raised,
		 bk__device_irqs_lost(&sim->irqs));
	say(opaque, "interrupts", text);
	snprintf(text, sizeof(text), "%" PRIu64, resets);
	say(opaque, "resets", text);
	snprintf(text, sizeof(text), "%u", dma ? bk__device_dma_count(dma) : 0);
	say(opaque, "DMA maps", text);
}

static void sim_close(struct bk_device *device)
{
	struct sim *sim = sim_of(device);

	if (sim->gate >= 0 && sim->opened)
		wait_at_gate(sim);
	bk__device_irqs_close(&sim->irqs);
	if (sim->gate >= 0)
		close(sim->gate);
	for (unsigned i = 0; i < 6; i++)
		bk__sim_bar_close(&sim->bars[i]);
	bk__device_dma_destroy(sim->dma);
	pthread_mutex_destroy(&sim->lock);
	free(sim->rom);
	free(sim->vga);
	free(sim->file);
	free(sim->name);
	free(sim);
}

static const struct bk_device_ops sim_ops = {
	.info = sim_info,
	.region = sim_region,
	.irq = sim_irq,
	.read = sim_read,
	.write = sim_write,
	.set_irqs = sim_set_irqs,
	.dma_map = sim_dma_map,
	.dma_unmap = sim_dma_unmap,
	.reset = sim_reset,
	.areas = sim_areas,
	.share = bk__sim_share,
	.describe = sim_describe,
	.close = sim_close,
};

/* ---- Opening ---- */

static int open_tree(const char *file, const struct bk__yaml *yaml, const char *spec,
		     struct bk_device **device, struct bk_error *err)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	int r;

	if (!sim)
		return bk_fail(err, ENOMEM, "%.400s: out of memory", file);
	sim->device.ops = &sim_ops;
	sim->device.name = sim->name = strdup(spec);
	pthread_mutex_init(&sim->lock, NULL);
	bk__device_irqs_init(&sim->irqs, sim->device.name);
	sim->gate = -1;
	for (unsigned i = 0; i < 6; i++)
		sim->bars[i].fd = sim->bars[i].shared = -1;
	sim->file = strdup(file);
	r = sim->file && sim->name ? bk__sim_load(sim, yaml, err)
				   : bk_fail(err, ENOMEM, "%.400s: out of memory", file);
	if (!r) {
		sim->irqs.count[BK_DEVICE_INTX] = sim->pin != 0;
		sim->irqs.count[BK_DEVICE_ERR] = sim->express;
		sim->irqs.count[BK_DEVICE_REQ] = 1;
		r = bk__device_irqs_open(&sim->irqs);
		if (r)
			bk_fail(err, -r, "%.400s: out of memory", file);
	}
	if (r) {
		sim_close(&sim->device);
		return r;
	}
	bk__sim_config_build(sim);
	reset_all(sim);
	sim->reset_count = 0;
	sim->opened = true;
	*device = &sim->device;
	return 0;
}

int bk__sim_open_text(const char *file, const char *text, size_t length, const char *spec,
		      struct bk_device **device, struct bk_error *err)
{
	struct bk__yaml *yaml;
	int r = bk__yaml_parse(file, text, length, &yaml, err);

	*device = NULL;
	if (r)
		return r;
	r = open_tree(file, yaml, spec, device, err);
	bk__yaml_free(yaml);
	return r;
}

const char *const bk__sim_keys[] = { NULL };

static int open_file(const char *file, const char *spec, struct bk_device **device, struct bk_error *err)
{
	struct bk__yaml *yaml;
	int r;

	if (!*file)
		return bk_fail(err, EINVAL, "%s: names no file; write sim:FILE, a device in YAML", spec);
	r = bk__yaml_load(file, &yaml, err);
	if (r)
		return r;
	r = open_tree(file, yaml, spec, device, err);
	bk__yaml_free(yaml);
	return r;
}

int bk__sim_open(void *opaque, struct bk_device_context *context, const char *text, const char *spec,
		 struct bk_device **device, struct bk_error *err)
{
	struct bk__device_options options;
	int r = bk__device_options_parse(text, spec, bk__sim_keys, &options, err);

	(void)opaque, (void)context;
	*device = NULL;
	if (!r)
		r = open_file(options.name, spec, device, err);
	bk__device_options_free(&options);
	return r;
}

/* ---- For tests ---- */

unsigned bk__sim_accesses(struct bk_device *device, struct bk__sim_access *list, unsigned room)
{
	struct sim *sim = sim_of(device);
	uint64_t count;

	pthread_mutex_lock(&sim->lock);
	count = sim->access_count < BK__SIM_ACCESSES ? sim->access_count : BK__SIM_ACCESSES;
	if (count > room)
		count = room;
	for (uint64_t i = 0; i < count; i++)
		list[i] = sim->ring[(sim->access_count - count + i) % BK__SIM_ACCESSES];
	pthread_mutex_unlock(&sim->lock);
	return (unsigned)count;
}

uint64_t bk__sim_count(struct bk_device *device, unsigned region, unsigned width, bool write)
{
	struct sim *sim = sim_of(device);
	uint64_t count;

	pthread_mutex_lock(&sim->lock);
	count = sim->counts[region][write][__builtin_ctz(width)];
	pthread_mutex_unlock(&sim->lock);
	return count;
}
