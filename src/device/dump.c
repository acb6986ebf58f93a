/* SPDX-License-Identifier: BSD-2-Clause */
/* A device made from the output of lspci: its config space and the sizes of its BARs, with no registers
 * behind them. */
#include "device/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "base/file.h"
#include "base/number.h"
#include "device/context.h"
#include "device/dma.h"
#include "device/irqs.h"
#include "device/options.h"

struct dump {
	struct bk_device device;
	struct bk__device_dump from; /* as opened; its config space is the one after a reset */
	char *name, *file;
	uint8_t write[BK__PCI_CONFIG_SIZE]; /* bits that can be written */
	struct bk__device_irqs irqs;
	pthread_mutex_t lock; /* protects what follows */
	uint8_t config[BK__PCI_CONFIG_SIZE];
	struct bk__device_dma_space *dma; /* NULL until there is a map */
};

static struct dump *dump_of(struct bk_device *device)
{
	return (struct dump *)device;
}

/* ---- Regions ----------------------------------------------------------- */

static uint64_t region_size(const struct dump *dump, unsigned index)
{
	if (index <= BK_DEVICE_ROM)
		return dump->from.bars[index].size;
	return index == BK_DEVICE_CONFIG ? dump->from.size : 0;
}

static int dump_info(struct bk_device *device, struct bk_device_info *info)
{
	*info = (struct bk_device_info){ .flags = BK_DEVICE_CAN_RESET,
					 .regions = BK_DEVICE_REGIONS,
					 .irqs = BK_DEVICE_IRQS };
	return 0;
}

static int dump_region(struct bk_device *device, unsigned index, struct bk_device_region *region)
{
	if (index >= BK_DEVICE_REGIONS)
		return -EINVAL;
	*region = (struct bk_device_region){ .fd = -1, .size = region_size(dump_of(device), index) };
	if (region->size)
		region->flags = index == BK_DEVICE_ROM ? BK_DEVICE_READ : BK_DEVICE_READ | BK_DEVICE_WRITE;
	return 0;
}

static int check(struct dump *dump, unsigned region, uint64_t offset, size_t count)
{
	uint64_t size;

	if (region >= BK_DEVICE_REGIONS)
		return -EINVAL;
	size = region_size(dump, region);
	return offset > size || count > size - offset ? -EINVAL : 0;
}

static int dump_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count)
{
	struct dump *dump = dump_of(device);
	int r = check(dump, region, offset, count);

	if (r)
		return r;
	memset(data, 0xff, count);
	if (region == BK_DEVICE_CONFIG) {
		pthread_mutex_lock(&dump->lock);
		memcpy(data, dump->config + offset, count);
		pthread_mutex_unlock(&dump->lock);
	}
	return 0;
}

static int dump_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
		      size_t count)
{
	struct dump *dump = dump_of(device);
	const uint8_t *bytes = data;
	int r = region == BK_DEVICE_ROM ? -EINVAL : check(dump, region, offset, count);

	if (r || region != BK_DEVICE_CONFIG)
		return r;
	pthread_mutex_lock(&dump->lock);
	for (size_t i = 0; i < count; i++) {
		uint8_t write = dump->write[offset + i], *byte = &dump->config[offset + i];

		*byte = (uint8_t)((*byte & ~write) | (bytes[i] & write));
	}
	pthread_mutex_unlock(&dump->lock);
	return 0;
}

static int dump_reset(struct bk_device *device)
{
	struct dump *dump = dump_of(device);

	pthread_mutex_lock(&dump->lock);
	memcpy(dump->config, dump->from.config, sizeof(dump->config));
	pthread_mutex_unlock(&dump->lock);
	return 0;
}

/* ---- Interrupts: none ever fires by itself ----------------------------- */

static int dump_irq(struct bk_device *device, unsigned index, struct bk_device_irq *irq)
{
	if (index >= BK_DEVICE_IRQS)
		return -EINVAL;
	irq->count = dump_of(device)->irqs.count[index];
	irq->flags = !irq->count               ? 0
		     : index == BK_DEVICE_INTX ? BK_DEVICE_IRQ_MASKABLE | BK_DEVICE_IRQ_AUTOMASKED
					       : BK_DEVICE_IRQ_NORESIZE;
	return 0;
}

static int dump_set_irqs(struct bk_device *device, unsigned index, enum bk_device_irq_action action,
			 unsigned start, unsigned count, const int *fds)
{
	return bk__device_irqs_set(&dump_of(device)->irqs, index, action, start, count, fds);
}

/* ---- DMA: none ever happens -------------------------------------------- */

/* The space is made with the first map. */
static struct bk__device_dma_space *dma_of(struct dump *dump, bool create)
{
	struct bk__device_dma_space *dma;

	pthread_mutex_lock(&dump->lock);
	if (!dump->dma && create)
		dump->dma = bk__device_dma_create(dump->device.name);
	dma = dump->dma;
	pthread_mutex_unlock(&dump->lock);
	return dma;
}

static int dump_dma_map(struct bk_device *device, const struct bk_device_dma *map, struct bk_error *err)
{
	struct bk__device_dma_space *dma = dma_of(dump_of(device), true);

	if (!dma)
		return bk_fail(err, ENOMEM, "%s: DMA: out of memory", device->name);
	return bk__device_dma_map(dma, map, err);
}

static int dump_dma_unmap(struct bk_device *device, uint64_t iova, uint64_t size)
{
	struct bk__device_dma_space *dma = dma_of(dump_of(device), false);

	return dma ? bk__device_dma_unmap(dma, iova, size) : -ENOENT;
}

/* ---- Open and close ---------------------------------------------------- */

static void dump_describe(struct bk_device *device,
			  void (*say)(void *opaque, const char *key, const char *value), void *opaque)
{
	const struct dump *dump = dump_of(device);
	char text[64];

	say(opaque, "file", dump->file);
	say(opaque, "function", dump->from.address);
	if (*dump->from.title)
		say(opaque, "title", dump->from.title);
	snprintf(text, sizeof(text), "%u bytes dumped", dump->from.dumped);
	say(opaque, "config space", text);
	say(opaque, "registers", "none: BARs read all ones");
}

static void dump_close(struct bk_device *device)
{
	struct dump *dump = dump_of(device);

	bk__device_irqs_close(&dump->irqs);
	bk__device_dma_destroy(dump->dma);
	pthread_mutex_destroy(&dump->lock);
	free(dump->file);
	free(dump->name);
	free(dump);
}

static const struct bk_device_ops dump_ops = {
	.info = dump_info,
	.region = dump_region,
	.irq = dump_irq,
	.read = dump_read,
	.write = dump_write,
	.set_irqs = dump_set_irqs,
	.dma_map = dump_dma_map,
	.dma_unmap = dump_dma_unmap,
	.reset = dump_reset,
	.describe = dump_describe,
	.close = dump_close,
};

/* Logs what is missing and which option mends it. */
static void tell(const struct dump *dump)
{
	const struct bk__device_dump *from = &dump->from;

	if (from->dumped == BK__PCI_HEADER_END)
		bk_log(BK_LOG_WARNING,
		       "%s: only 64 bytes of config space were dumped, so it shows no capabilities; lspci "
		       "-vvxxxx as root prints all",
		       dump->device.name);
	for (unsigned i = 0; i < 6 && !(from->config[BK__PCI_HEADER_TYPE] & BK__PCI_HEADER_TYPE_MASK); i++) {
		unsigned low = (unsigned)bk__load(from->config + BK__PCI_BAR0 + 4 * i, 4);

		if (low && !from->bars[i].size)
			bk_log(BK_LOG_WARNING,
			       "%s: no Region line says how large bar%u is, so it is left out; bar%u=SIZE "
			       "gives its size",
			       dump->device.name, i, i);
		if ((low & (BK__PCI_BAR_TYPE | BK__PCI_BAR_IO)) == BK__PCI_BAR_TYPE_64)
			i++; /* its upper half */
	}
}

static struct dump *create(const char *file, const char *spec)
{
	struct dump *dump = calloc(1, sizeof(*dump));

	if (!dump)
		return NULL;
	dump->device.ops = &dump_ops;
	dump->device.name = dump->name = strdup(spec);
	bk__device_irqs_init(&dump->irqs, dump->name);
	pthread_mutex_init(&dump->lock, NULL);
	dump->file = strdup(file);
	if (!dump->file || !dump->name) {
		dump_close(&dump->device);
		return NULL;
	}
	return dump;
}

/* `sizes` are the options bar0 to bar5. */
static int set_sizes(struct dump *dump, const char *spec, char *const sizes[6], struct bk_error *err)
{
	for (unsigned i = 0; sizes && i < 6; i++) {
		uint64_t size;

		if (!sizes[i])
			continue;
		if (!bk__base_size(sizes[i], &size) || size > UINT64_C(1) << 63)
			return bk_fail(err, EINVAL, "%s: bar%u=%s: give a size in bytes, as in bar%u=16K",
				       spec, i, sizes[i], i);
		dump->from.bars[i].size = size;
	}
	return 0;
}

static int open_text(const char *file, const char *text, size_t length, const char *function,
		     char *const sizes[6], const char *spec, struct bk_device **device, struct bk_error *err)
{
	struct dump *dump = create(file, spec);
	int r;

	*device = NULL;
	if (!dump)
		return bk_fail(err, ENOMEM, "%s: out of memory", file);
	r = bk__dump_parse(file, text, length, function, &dump->from, err);
	if (!r)
		r = set_sizes(dump, spec, sizes, err);
	if (r) {
		dump_close(&dump->device);
		return r;
	}
	bk__dump_config(&dump->from, dump->write, dump->irqs.count);
	r = bk__device_irqs_open(&dump->irqs);
	if (r) {
		dump_close(&dump->device);
		return bk_fail(err, -r, "%s: out of memory", spec);
	}
	dump_reset(&dump->device);
	tell(dump);
	*device = &dump->device;
	return 0;
}

int bk__dump_open_text(const char *file, const char *text, size_t length, const char *function,
		       const char *spec, struct bk_device **device, struct bk_error *err)
{
	return open_text(file, text, length, function, NULL, spec, device, err);
}

const char *const bk__dump_keys[] = { "bar0", "bar1", "bar2", "bar3", "bar4", "bar5", "function", NULL };

static int open_file(const struct bk__device_options *options, const char *spec, struct bk_device **device,
		     struct bk_error *err)
{
	const char *function = options->values[6];
	char address[BK__PCI_ADDRESS], *text;
	size_t length;
	int r;

	if (!*options->name)
		return bk_fail(err, EINVAL, "%s: names no file; write dump:FILE, what lspci -vvxxxx printed",
			       spec);
	if (function && bk__device_pci_address(function, address))
		return bk_fail(err, EINVAL, "%s: function=%s: not a PCI address, as in function=02:00.0",
			       spec, function);
	r = bk__base_file_read(options->name, BK__DUMP_BYTES, &text, &length, err);
	if (r)
		return r;
	r = open_text(options->name, text, length, function ? address : NULL, options->values, spec, device,
		      err);
	free(text);
	return r;
}

int bk__dump_open(void *opaque, struct bk_device_context *context, const char *text, const char *spec,
		  struct bk_device **device, struct bk_error *err)
{
	struct bk__device_options options;
	int r = bk__device_options_parse(text, spec, bk__dump_keys, &options, err);

	(void)opaque, (void)context;
	*device = NULL;
	if (!r)
		r = open_file(&options, spec, device, err);
	bk__device_options_free(&options);
	return r;
}
