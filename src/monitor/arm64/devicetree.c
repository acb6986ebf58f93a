/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds the devicetree: Devicetree Specification 0.4, and Linux's bindings of each `compatible`.
 *
 * An address or a size is two cells. What fails leaves its mark in the tree's `error`, and the rest does
 * nothing.
 */
#include "monitor/arm64/devicetree.h"

#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "monitor/arm64/button.h"
#include "monitor/arm64/guest_map.h"

/* What nodes call each other. */
enum { GIC = 1, ITS, CLOCK, GPIO };

/* Arm GIC binding: kind, number, and trigger of an interrupt. */
enum { SPI = 0, PPI = 1, RISING = 1, LEVEL_HIGH = 4, LEVEL_LOW = 8 };

/* PPIs of the architectural timers: secure, non-secure, virtual, hypervisor. */
static const unsigned timers[] = { 13, 14, 11, 10 };

#define KEY_POWER 116
#define CLOCK_HZ  24000000

/* PCI bus binding: the space of an address. */
#define PCI_IO       UINT32_C(0x01000000)
#define PCI_MEMORY32 UINT32_C(0x02000000)
#define PCI_MEMORY64 UINT32_C(0x03000000)
#define PCI_PINS     4

#define CELLS 512 /* of a property, at most */

struct tree {
	void *blob;
	int error; /* libfdt's */
};

struct cells {
	fdt32_t cell[CELLS];
	unsigned count;
};

static void begin(struct tree *tree, const char *name, uint64_t address, bool addressed)
{
	char text[64];

	if (addressed)
		snprintf(text, sizeof(text), "%s@%" PRIx64, name, address);
	else
		snprintf(text, sizeof(text), "%s", name);
	if (!tree->error)
		tree->error = fdt_begin_node(tree->blob, text);
}

static void end(struct tree *tree)
{
	if (!tree->error)
		tree->error = fdt_end_node(tree->blob);
}

static void bytes(struct tree *tree, const char *name, const void *value, size_t size)
{
	if (!tree->error)
		tree->error = fdt_property(tree->blob, name, value, (int)size);
}

static void string(struct tree *tree, const char *name, const char *value)
{
	bytes(tree, name, value, strlen(value) + 1);
}

static void number(struct tree *tree, const char *name, uint32_t value)
{
	const fdt32_t cell = cpu_to_fdt32(value);

	bytes(tree, name, &cell, sizeof(cell));
}

static void number64(struct tree *tree, const char *name, uint64_t value)
{
	const fdt64_t cell = cpu_to_fdt64(value);

	bytes(tree, name, &cell, sizeof(cell));
}

static void flag(struct tree *tree, const char *name)
{
	bytes(tree, name, NULL, 0);
}

static void add(struct cells *cells, uint32_t value)
{
	if (cells->count < CELLS)
		cells->cell[cells->count++] = cpu_to_fdt32(value);
}

static void add64(struct cells *cells, uint64_t value)
{
	add(cells, (uint32_t)(value >> 32));
	add(cells, (uint32_t)value);
}

static void put(struct tree *tree, const char *name, const struct cells *cells)
{
	bytes(tree, name, cells->cell, cells->count * sizeof(cells->cell[0]));
}

static void place(struct tree *tree, enum bk__monitor_arm64_place place)
{
	struct cells reg = { .count = 0 };

	add64(&reg, bk__monitor_arm64_map[place].first);
	add64(&reg, bk__monitor_arm64_map[place].size);
	put(tree, "reg", &reg);
}

static void interrupt(struct tree *tree, unsigned spi)
{
	struct cells cells = { .count = 0 };

	add(&cells, SPI);
	add(&cells, spi);
	add(&cells, LEVEL_HIGH);
	put(tree, "interrupts", &cells);
}

/* ---- CPUs, memory, timers, interrupts ---------------------------------- */

static void put_chosen(struct tree *tree, const struct bk__monitor_devicetree_config *config)
{
	uint8_t seed[64];
	uint64_t kaslr;
	char path[32];

	begin(tree, "chosen", 0, false);
	snprintf(path, sizeof(path), "/pl011@%" PRIx64, bk__monitor_arm64_map[BK__ARM64_UART].first);
	string(tree, "stdout-path", path);
	if (config->append)
		string(tree, "bootargs", config->append);
	if (config->initrd_size) {
		number64(tree, "linux,initrd-start", config->initrd);
		number64(tree, "linux,initrd-end", config->initrd + config->initrd_size);
	}
	if (getrandom(seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
		bytes(tree, "rng-seed", seed, sizeof(seed));
	if (getrandom(&kaslr, sizeof(kaslr), GRND_NONBLOCK) == sizeof(kaslr))
		bytes(tree, "kaslr-seed", &kaslr, sizeof(kaslr));
	end(tree);
}

static void put_memory(struct tree *tree, const struct bk__monitor_ram *ram)
{
	struct cells reg = { .count = 0 };

	begin(tree, "memory", ram->low, true);
	string(tree, "device_type", "memory");
	add64(&reg, ram->low);
	add64(&reg, ram->low_size);
	if (ram->size > ram->low_size) {
		add64(&reg, ram->high);
		add64(&reg, ram->size - ram->low_size);
	}
	put(tree, "reg", &reg);
	end(tree);
}

static void put_cpus(struct tree *tree, unsigned count)
{
	static const char psci[] = "arm,psci-1.0\0arm,psci-0.2";

	begin(tree, "cpus", 0, false);
	number(tree, "#address-cells", 1);
	number(tree, "#size-cells", 0);
	for (unsigned i = 0; i < count; i++) {
		begin(tree, "cpu", i, true);
		string(tree, "device_type", "cpu");
		string(tree, "compatible", "arm,armv8");
		string(tree, "enable-method", "psci");
		number(tree, "reg", i);
		end(tree);
	}
	end(tree);
	begin(tree, "psci", 0, false);
	bytes(tree, "compatible", psci, sizeof(psci));
	string(tree, "method", "hvc");
	end(tree);
}

static void put_timer(struct tree *tree)
{
	struct cells cells = { .count = 0 };

	begin(tree, "timer", 0, false);
	string(tree, "compatible", "arm,armv8-timer");
	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
		add(&cells, PPI);
		add(&cells, timers[i]);
		add(&cells, LEVEL_LOW);
	}
	put(tree, "interrupts", &cells);
	flag(tree, "always-on");
	end(tree);
}

static void put_gic(struct tree *tree)
{
	const struct bk__monitor_arm64_range *map = bk__monitor_arm64_map;
	struct cells reg = { .count = 0 };

	begin(tree, "intc", map[BK__ARM64_GICD].first, true);
	string(tree, "compatible", "arm,gic-v3");
	add64(&reg, map[BK__ARM64_GICD].first);
	add64(&reg, map[BK__ARM64_GICD].size);
	add64(&reg, map[BK__ARM64_GICR].first);
	add64(&reg, map[BK__ARM64_GICR].size);
	put(tree, "reg", &reg);
	flag(tree, "interrupt-controller");
	number(tree, "#interrupt-cells", 3);
	number(tree, "#address-cells", 2);
	number(tree, "#size-cells", 2);
	flag(tree, "ranges");
	number(tree, "phandle", GIC);
	begin(tree, "its", map[BK__ARM64_ITS].first, true);
	string(tree, "compatible", "arm,gic-v3-its");
	flag(tree, "msi-controller");
	number(tree, "#msi-cells", 1);
	place(tree, BK__ARM64_ITS);
	number(tree, "phandle", ITS);
	end(tree);
	end(tree);
}

/* ---- Devices ----------------------------------------------------------- */

/* One of Arm's, with its clocks. `compatible` has the general name after its own. */
static void begin_primecell(struct tree *tree, const char *name, enum bk__monitor_arm64_place where,
			    unsigned spi, const char *own)
{
	char compatible[48];
	const int length = snprintf(compatible, sizeof(compatible), "arm,%s%carm,primecell", own, 0);
	struct cells clocks = { .count = 0 };

	begin(tree, name, bk__monitor_arm64_map[where].first, true);
	bytes(tree, "compatible", compatible, (size_t)length + 1);
	place(tree, where);
	interrupt(tree, spi);
	add(&clocks, CLOCK);
	if (where == BK__ARM64_UART) {
		static const char both[] = "uartclk\0apb_pclk";

		add(&clocks, CLOCK);
		bytes(tree, "clock-names", both, sizeof(both));
	} else {
		string(tree, "clock-names", "apb_pclk");
	}
	put(tree, "clocks", &clocks);
}

static void put_devices(struct tree *tree)
{
	struct cells line = { .count = 0 };

	begin(tree, "apb-pclk", 0, false);
	string(tree, "compatible", "fixed-clock");
	number(tree, "#clock-cells", 0);
	number(tree, "clock-frequency", CLOCK_HZ);
	string(tree, "clock-output-names", "clk24mhz");
	number(tree, "phandle", CLOCK);
	end(tree);

	begin_primecell(tree, "pl011", BK__ARM64_UART, BK__SPI_UART, "pl011");
	end(tree);
	begin_primecell(tree, "pl031", BK__ARM64_RTC, BK__SPI_RTC, "pl031");
	end(tree);
	begin_primecell(tree, "pl061", BK__ARM64_GPIO, BK__SPI_GPIO, "pl061");
	flag(tree, "gpio-controller");
	number(tree, "#gpio-cells", 2);
	flag(tree, "interrupt-controller");
	number(tree, "#interrupt-cells", 2);
	number(tree, "phandle", GPIO);
	end(tree);

	begin(tree, "gpio-keys", 0, false);
	string(tree, "compatible", "gpio-keys");
	begin(tree, "poweroff", 0, false);
	string(tree, "label", "GPIO Key Poweroff");
	number(tree, "linux,code", KEY_POWER);
	add(&line, GPIO);
	add(&line, BK__BUTTON_LINE);
	add(&line, 0);
	put(tree, "gpios", &line);
	end(tree);
	end(tree);
}

/* ---- PCI --------------------------------------------------------------- */

static void add_window(struct cells *ranges, uint32_t space, uint64_t bus, uint64_t first, uint64_t size)
{
	add(ranges, space);
	add64(ranges, bus);
	add64(ranges, first);
	add64(ranges, size);
}

/* Which interrupt a pin of a slot on the root bus is on; other slots repeat the first. */
static void put_interrupt_map(struct tree *tree)
{
	struct cells map = { .count = 0 }, mask = { .count = 0 };

	for (unsigned slot = 0; slot < BK__SPI_PCI_LINES; slot++) {
		for (unsigned pin = 1; pin <= PCI_PINS; pin++) {
			add(&map, slot << 11);
			add64(&map, 0);
			add(&map, pin);
			add(&map, GIC);
			add64(&map, 0);
			add(&map, SPI);
			add(&map, BK__SPI_PCI + (slot + pin - 1) % BK__SPI_PCI_LINES);
			add(&map, LEVEL_HIGH);
		}
	}
	put(tree, "interrupt-map", &map);
	add(&mask, (BK__SPI_PCI_LINES - 1) << 11);
	add64(&mask, 0);
	add(&mask, 7);
	put(tree, "interrupt-map-mask", &mask);
}

static void put_pci(struct tree *tree, const struct bk__monitor_devicetree_config *config)
{
	const struct bk__monitor_arm64_range *memory = &bk__monitor_arm64_map[BK__ARM64_MMIO32];
	struct cells ranges = { .count = 0 }, buses = { .count = 0 }, msi = { .count = 0 };
	uint64_t bus_first, io = bk__monitor_arm64_io(config->io_window, &bus_first);

	begin(tree, "pcie", bk__monitor_arm64_map[BK__ARM64_ECAM].first, true);
	string(tree, "compatible", "pci-host-ecam-generic");
	string(tree, "device_type", "pci");
	number(tree, "#address-cells", 3);
	number(tree, "#size-cells", 2);
	number(tree, "#interrupt-cells", 1);
	add(&buses, 0);
	add(&buses, 255);
	put(tree, "bus-range", &buses);
	place(tree, BK__ARM64_ECAM);
	add_window(&ranges, PCI_IO, bus_first, io, BK__ARM64_IO_SIZE);
	add_window(&ranges, PCI_MEMORY32, memory->first, memory->first, memory->size);
	if (config->mmio64.first <= config->mmio64.last)
		add_window(&ranges, PCI_MEMORY64, config->mmio64.first, config->mmio64.first,
			   config->mmio64.last - config->mmio64.first + 1);
	put(tree, "ranges", &ranges);
	put_interrupt_map(tree);
	add(&msi, 0); /* requester IDs as they are */
	add(&msi, ITS);
	add(&msi, 0);
	add(&msi, 0x10000);
	put(tree, "msi-map", &msi);
	flag(tree, "dma-coherent");
	number(tree, "linux,pci-domain", 0);
	end(tree);
}

/* ---- All of it --------------------------------------------------------- */

int bk__monitor_devicetree_build(const struct bk__monitor_devicetree_config *config, void *blob,
				 struct bk_error *err)
{
	struct tree tree = { .blob = blob };

	tree.error = fdt_create(blob, BK__DEVICETREE_SIZE);
	if (!tree.error)
		tree.error = fdt_finish_reservemap(blob);
	begin(&tree, "", 0, false);
	string(&tree, "compatible", "linux,dummy-virt");
	string(&tree, "model", "barkeep");
	number(&tree, "#address-cells", 2);
	number(&tree, "#size-cells", 2);
	number(&tree, "interrupt-parent", GIC);
	put_chosen(&tree, config);
	put_memory(&tree, config->ram);
	put_cpus(&tree, config->cpus);
	put_timer(&tree);
	put_gic(&tree);
	put_devices(&tree);
	put_pci(&tree, config);
	end(&tree);
	if (!tree.error)
		tree.error = fdt_finish(blob);
	if (!tree.error)
		tree.error = fdt_open_into(blob, blob, BK__DEVICETREE_SIZE);
	return tree.error ? bk_fail(err, ENOMEM, "devicetree: %s", fdt_strerror(tree.error)) : 0;
}
