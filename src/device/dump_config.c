/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes a dumped config space what VFIO shows of the function, and finds out what of it can be written. */
#include <string.h>

#include <barkeep/device.h>

#include "base/bytes.h"
#include "device/dump.h"

/* PCI 3.0 6.1, 6.7, 6.8; PCI Express 7.6.3. */
enum {
	VENDOR = 0x00,
	DEVICE = 0x02,
	COMMAND = 0x04,
	STATUS = 0x06,
	STATUS_CAPABILITIES = 0x10,
	CACHE_LINE = 0x0c,
	LATENCY = 0x0d,
	HEADER_TYPE = 0x0e,
	BARS = 0x10,
	ROM_BAR = 0x30,
	CAPABILITIES = 0x34,
	INTERRUPT_LINE = 0x3c,
	INTERRUPT_PIN = 0x3d,
	HEADER_END = 0x40,
	EXTENDED = 0x100,
	CAPABILITY_MSI = 0x05,
	CAPABILITY_EXPRESS = 0x10,
	CAPABILITY_MSIX = 0x11,
};

static unsigned get(const struct bk__device_dump *dump, unsigned offset, unsigned width)
{
	return (unsigned)bk__load(dump->config + offset, width);
}

/* The next capability's offset, 0 at the end; `*left` ends a chain that loops. */
static unsigned next_capability(const struct bk__device_dump *dump, unsigned offset, unsigned *left)
{
	unsigned next = get(dump, offset ? offset + 1 : CAPABILITIES, 1) & 0xfc;

	if (!offset && !(get(dump, STATUS, 2) & STATUS_CAPABILITIES))
		return 0;
	return next < HEADER_END || !(*left)-- ? 0 : next;
}

static unsigned find_capability(const struct bk__device_dump *dump, unsigned id)
{
	unsigned left = 48, offset = 0;

	while ((offset = next_capability(dump, offset, &left)))
		if (get(dump, offset, 1) == id)
			return offset;
	return 0;
}

/* The low bits of a register. lspci calls ports of IDE's compatibility mode memory, which has 16 bytes at
 * least. */
static unsigned type_of(const struct bk__dump_bar *bar)
{
	if (bar->io || bar->size < 16)
		return 1;
	return (bar->wide ? 4 : 0) | (bar->prefetchable ? 8 : 0);
}

/* A virtual function's ids are all ones and its BARs zeros: the kernel knows them from the physical function.
 */
static void fill_in(struct bk__device_dump *dump)
{
	if (get(dump, VENDOR, 4) == UINT32_MAX && dump->vendor) {
		bk__store(dump->config + VENDOR, 2, dump->vendor);
		bk__store(dump->config + DEVICE, 2, dump->device);
	}
	for (unsigned i = 0; i < 6; i++) {
		const struct bk__dump_bar *bar = &dump->bars[i];
		unsigned now = get(dump, BARS + 4 * i, 4), width = bar->wide && i < 5 ? 8 : 4;

		if (bar->size && (!now || now == UINT32_MAX))
			bk__store(dump->config + BARS + 4 * i, width, bar->address | type_of(bar));
	}
}

static void bar_writable(uint8_t *write, const struct bk__device_dump *dump, unsigned index)
{
	const unsigned offset = index < 6 ? BARS + 4 * index : ROM_BAR;
	const uint64_t size = dump->bars[index].size;
	unsigned low = get(dump, offset, 4);
	bool wide = index < 5 && (low & 7) == 4;

	if (size && !(size & (size - 1)))
		bk__store(write + offset, wide ? 8 : 4, ~(size - 1) | (index == 6));
}

/* What the chains are made of stays; everything else behind the header is memory. */
static void capabilities_writable(const struct bk__device_dump *dump, uint8_t write[BK__DUMP_CONFIG])
{
	unsigned left = 48, offset = 0;

	memset(write + HEADER_END, 0xff, dump->size - HEADER_END);
	while ((offset = next_capability(dump, offset, &left)))
		memset(write + offset, 0, 2);
	if (dump->size == EXTENDED)
		return;
	left = (BK__DUMP_CONFIG - EXTENDED) / 8;
	for (offset = EXTENDED; offset >= EXTENDED && left--; offset = get(dump, offset, 4) >> 20 & 0xffc)
		memset(write + offset, 0, 4);
}

static void count_vectors(const struct bk__device_dump *dump, unsigned vectors[])
{
	unsigned msi = find_capability(dump, CAPABILITY_MSI), msix = find_capability(dump, CAPABILITY_MSIX);
	unsigned pin = get(dump, INTERRUPT_PIN, 1);

	vectors[BK_DEVICE_INTX] = pin >= 1 && pin <= 4;
	vectors[BK_DEVICE_MSI] = msi ? 1u << (get(dump, msi + 2, 1) >> 1 & 7) : 0;
	vectors[BK_DEVICE_MSIX] = msix ? (get(dump, msix + 2, 2) & 0x7ff) + 1 : 0;
	vectors[BK_DEVICE_ERR] = find_capability(dump, CAPABILITY_EXPRESS) != 0;
	vectors[BK_DEVICE_REQ] = 1;
}

void bk__dump_config(struct bk__device_dump *dump, uint8_t write[BK__DUMP_CONFIG], unsigned vectors[])
{
	memset(write, 0, BK__DUMP_CONFIG);
	fill_in(dump);
	if (dump->dumped == HEADER_END) {
		dump->config[STATUS] &= (uint8_t)~STATUS_CAPABILITIES;
		dump->config[CAPABILITIES] = 0;
	}
	bk__store(write + COMMAND, 2, 0x0547);
	write[CACHE_LINE] = write[LATENCY] = write[INTERRUPT_LINE] = 0xff;
	if (!(get(dump, HEADER_TYPE, 1) & 0x7f))
		for (unsigned i = 0; i < 7; i++)
			bar_writable(write, dump, i);
	capabilities_writable(dump, write);
	count_vectors(dump, vectors);
}
