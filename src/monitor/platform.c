/* SPDX-License-Identifier: BSD-2-Clause */
/* What is fixed in the machine: RAM, reserved ranges, power and reset ports, UART, host bridge. */
#include "monitor/platform.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/console.h"
#include "monitor/power.h"
#include "monitor/serial.h"

/* Whatever is fixed outranks what a guest can place. */
#define PRIORITY_WINDOW 0
#define PRIORITY_ECAM   10
#define PRIORITY_RAM    20
#define PRIORITY_FIXED  30

#define PORT_KEYBOARD 0x60 /* data, and at 0x64 status and command */
#define PORT_COMMAND  0x64

struct bk__monitor_platform {
	struct bk__monitor_platform_config config;
	struct bk_pci_host *host;
	struct bk_pci_function *bridge;
	bool bridge_attached;
	struct bk__monitor_serial *serial;
	_Atomic(struct bk__monitor_console *)
		console; /* changed while no vCPU runs, but under its own thread's eyes */
	struct bk__monitor_power *power;
};

/* ---- Ports ------------------------------------------------------------- */

static int zero_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0;
	return 0;
}

static int reset_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__monitor_platform *platform = opaque;

	if (value == 1)
		platform->config.ops->reset(platform->config.opaque);
	return 0;
}

static const struct bk_region_ops reset_ops = { .read = zero_read,
						.write = reset_write,
						.widths = BK_WIDTH_1 };

/* Of the keyboard controller there is only what resets the machine: commands 0xf0 to 0xff pull down the
 * output lines whose bits are 0, and line 0 is the CPU's reset. */
static int keyboard_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk__monitor_platform *platform = opaque;

	if ((value & 0xf1) == 0xf0)
		platform->config.ops->reset(platform->config.opaque);
	return 0;
}

static int drop_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return 0;
}

static const struct bk_region_ops keyboard_ops = { .read = zero_read,
						   .write = keyboard_write,
						   .widths = BK_WIDTH_1 };
static const struct bk_region_ops keyboard_data_ops = { .read = zero_read,
							.write = drop_write,
							.widths = BK_WIDTH_1 };

/* ---- Memory ------------------------------------------------------------ */

/* Chips in the kernel answer there; what reaches us they did not want. */
static int ones_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = UINT64_MAX;
	return 0;
}

static const struct bk_region_ops fixed_ops = { .read = ones_read, .write = drop_write };

static const struct {
	bool port;
	uint64_t first, last;
	const struct bk_region_ops *ops;
	const char *name;
} fixed[] = {
	{ false, BK__IOAPIC, BK__IOAPIC + 0xfff, &fixed_ops, "ioapic" },
	{ false, BK__LAPIC, BK__LAPIC + 0xfffff, &fixed_ops, "local apic and msi" },
	{ false, BK__KVM_IDENTITY, BK__KVM_TSS + 0x2fff, &fixed_ops, "kvm" },
	{ true, BK__PORT_RESET, BK__PORT_RESET, &reset_ops, "reset" },
	{ true, PORT_KEYBOARD, PORT_KEYBOARD, &keyboard_data_ops, "keyboard data" },
	{ true, PORT_COMMAND, PORT_COMMAND, &keyboard_ops, "keyboard controller" },
};

static int add_ram(struct bk_update *update, struct bk__monitor_platform *platform, const char *name,
		   uint64_t first, uint64_t offset, uint64_t size)
{
	const struct bk__monitor_ram *ram = platform->config.ram;
	struct bk_region *region;
	struct bk_region_desc desc = {
		.name = name,
		.first = first,
		.last = first + size - 1,
		.priority = PRIORITY_RAM,
		.rank = first,
		.kind = BK_REGION_MAPPED,
		.memory = { .host = (uint8_t *)ram->host + offset,
			    .fd = ram->fd,
			    .fd_offset = offset,
			    .attributes = BK_MEMORY_RAM },
	};

	return size ? bk_update_add(update, platform->config.memory, &desc, &region) : 0;
}

static int add_fixed(struct bk__monitor_platform *platform)
{
	const struct bk__monitor_ram *ram = platform->config.ram;
	struct bk_update *update = bk_update_begin(bk_space_domain(platform->config.memory));
	int error = 0;

	if (!update)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]) && !error; i++) {
		const struct bk_region_desc desc = {
			.name = fixed[i].name,
			.first = fixed[i].first,
			.last = fixed[i].last,
			.priority = PRIORITY_FIXED,
			.rank = i,
			.kind = BK_REGION_HANDLED,
			.ops = fixed[i].ops,
			.opaque = platform,
		};
		struct bk_region *region;

		error = bk_update_add(update,
				      fixed[i].port ? platform->config.ports : platform->config.memory, &desc,
				      &region);
	}
	if (!error)
		error = add_ram(update, platform, "ram below 640 KiB", 0, 0, BK__VGA_FIRST);
	if (!error)
		error = add_ram(update, platform, "ram", BK__VGA_LAST + 1, BK__VGA_LAST + 1,
				ram->low_size - (BK__VGA_LAST + 1));
	if (!error)
		error = add_ram(update, platform, "ram above 4 GiB", BK__RAM_HIGH + ram->moved, ram->low_size,
				ram->size - ram->low_size);
	if (error) {
		bk_update_drop(update);
		return error;
	}
	return bk_update_commit(update);
}

/* ---- Host bridge ------------------------------------------------------- */

static void on_msi(void *opaque, const struct bk_pci_message *message)
{
	struct bk__monitor_platform *platform = opaque;

	bk__monitor_gsi_send(platform->config.gsis, message);
}

static void on_intx(void *opaque, unsigned line, bool level)
{
	struct bk__monitor_platform *platform = opaque;

	bk__monitor_gsi_level(platform->config.gsis, BK__GSI_PCI + line, level);
}

static int create_host(struct bk__monitor_platform *platform, struct bk_error *err)
{
	const struct bk__monitor_platform_config *config = &platform->config;
	struct bk_pci_host_desc desc = {
		.domain = bk_space_domain(config->memory),
		.windows = { { BK_PCI_WINDOW_MEMORY, config->memory, BK__MMIO32_FIRST, BK__MMIO32_LAST,
			       BK__MMIO32_FIRST, PRIORITY_WINDOW },
			     { BK_PCI_WINDOW_IO, config->ports, BK__PIO_FIRST, BK__PIO_LAST, BK__PIO_FIRST,
			       PRIORITY_WINDOW },
			     { BK_PCI_WINDOW_MEMORY, config->memory, BK__VGA_FIRST, BK__VGA_LAST,
			       BK__VGA_FIRST, PRIORITY_WINDOW },
			     { BK_PCI_WINDOW_IO, config->ports, BK__VGA_PORTS, BK__VGA_PORTS_LAST,
			       BK__VGA_PORTS, PRIORITY_WINDOW } },
		.window_count = 4,
		.ecam = config->memory,
		.ecam_first = BK__ECAM_FIRST,
		.ecam_priority = PRIORITY_ECAM,
		.bus_first = 0,
		.bus_last = 255,
		.ports = config->ports,
		.msi = on_msi,
		.intx = on_intx,
		.lines = BK__PCI_LINES,
		.opaque = platform,
	};

	if (config->mmio64.first <= config->mmio64.last)
		desc.windows[desc.window_count++] =
			(struct bk_pci_window){ BK_PCI_WINDOW_MEMORY, config->memory,
						config->mmio64.first, config->mmio64.last,
						config->mmio64.first, PRIORITY_WINDOW };
	return bk_pci_host_create(&desc, &platform->host, err);
}

/* A function of its own in slot 0, as every machine has; ids of QEMU's generic host bridge. */
static int create_bridge(struct bk__monitor_platform *platform, struct bk_error *err)
{
	const struct bk_pci_function_desc desc = {
		.name = "host bridge",
		.vendor = 0x1b36,
		.device = 0x0008,
		.class_code = 0x060000,
	};
	int error = bk_pci_function_create(bk_space_domain(platform->config.memory), &desc, &platform->bridge,
					   err);

	if (error)
		return error;
	error = bk_pci_function_attach(platform->bridge, bk_pci_host_bus(platform->host), BK_PCI_DEVFN(0, 0));
	if (error)
		return bk_fail(err, -error, "host bridge: %s", strerror(-error));
	platform->bridge_attached = true;
	return 0;
}

struct bk_pci_host *bk__monitor_platform_host(struct bk__monitor_platform *platform)
{
	return platform->host;
}

/* ---- Serial console ---------------------------------------------------- */

static void on_serial_irq(void *opaque, bool level)
{
	struct bk__monitor_platform *platform = opaque;

	bk__monitor_gsi_level(platform->config.gsis, BK__GSI_COM1, level);
}

/* By a vCPU, or by a reset: the console thread never makes room. */
static void on_serial_room(void *opaque)
{
	struct bk__monitor_platform *platform = opaque;
	struct bk__monitor_console *console = atomic_load(&platform->console);

	if (console)
		bk__monitor_console_poke(console);
}

static void on_serial_output(void *opaque, uint8_t byte)
{
	struct bk__monitor_platform *platform = opaque;
	struct bk__monitor_console *console = atomic_load(&platform->console);

	if (console)
		bk__monitor_console_output(console, byte);
}

static const struct bk__monitor_serial_ops serial_ops = {
	.irq = on_serial_irq,
	.output = on_serial_output,
	.room = on_serial_room,
};

static size_t on_console_room(void *opaque)
{
	struct bk__monitor_platform *platform = opaque;

	return bk__monitor_serial_room(platform->serial);
}

static void on_console_input(void *opaque, const uint8_t *bytes, size_t count)
{
	struct bk__monitor_platform *platform = opaque;

	bk__monitor_serial_input(platform->serial, bytes, count);
}

static void on_console_escape(void *opaque)
{
	struct bk__monitor_platform *platform = opaque;

	platform->config.ops->escape(platform->config.opaque);
}

static const struct bk__monitor_console_ops console_ops = {
	.room = on_console_room,
	.input = on_console_input,
	.escape = on_console_escape,
};

int bk__monitor_platform_connect(struct bk__monitor_platform *platform, int in, int out, int listen,
				 struct bk_error *err)
{
	struct bk__monitor_console *console;
	int error = bk__monitor_console_open(in, out, listen, &console_ops, platform, &console, err);

	if (!error)
		atomic_store(&platform->console, console);
	return error;
}

void bk__monitor_platform_disconnect(struct bk__monitor_platform *platform)
{
	struct bk__monitor_console *console = atomic_load(&platform->console);

	if (console)
		bk__monitor_console_close(console); /* which ends its thread */
	atomic_store(&platform->console, NULL);
}

/* ---- Power ------------------------------------------------------------- */

static void on_sci(void *opaque, bool level)
{
	struct bk__monitor_platform *platform = opaque;

	bk__monitor_gsi_level(platform->config.gsis, BK__GSI_SCI, level);
}

static void on_soft_off(void *opaque)
{
	struct bk__monitor_platform *platform = opaque;

	platform->config.ops->poweroff(platform->config.opaque);
}

static const struct bk__monitor_power_ops power_ops = { .sci = on_sci, .soft_off = on_soft_off };

bool bk__monitor_platform_button(struct bk__monitor_platform *platform)
{
	return bk__monitor_power_button(platform->power);
}

/* ---- All of it --------------------------------------------------------- */

int bk__monitor_platform_create(const struct bk__monitor_platform_config *config,
				struct bk__monitor_platform **out, struct bk_error *err)
{
	struct bk__monitor_platform *platform = calloc(1, sizeof(*platform));
	int error;

	if (!platform)
		return bk_fail(err, ENOMEM, "platform: out of memory");
	platform->config = *config;
	error = add_fixed(platform);
	if (error)
		bk_fail(err, -error, "platform: no RAM in the memory map: %s", strerror(-error));
	if (!error) {
		error = bk__monitor_serial_create(config->ports, BK__PORT_COM1, &serial_ops, platform,
						  &platform->serial);
		if (error)
			bk_fail(err, -error, "platform: no serial port: %s", strerror(-error));
	}
	if (!error) {
		error = bk__monitor_power_create(config->ports, BK__PORT_PM1_EVT, &power_ops, platform,
						 &platform->power);
		if (error)
			bk_fail(err, -error, "platform: no power registers: %s", strerror(-error));
	}
	if (!error)
		error = create_host(platform, err);
	if (!error)
		error = create_bridge(platform, err);
	if (error) {
		bk__monitor_platform_destroy(platform);
		return error;
	}
	*out = platform;
	return 0;
}

void bk__monitor_platform_reset(struct bk__monitor_platform *platform)
{
	bk__monitor_power_reset(platform->power);
	bk_pci_function_reset(platform->bridge);
	bk__monitor_serial_reset(platform->serial);
}

void bk__monitor_platform_destroy(struct bk__monitor_platform *platform)
{
	bk__monitor_platform_disconnect(platform);
	if (platform->bridge_attached)
		bk_pci_function_detach(platform->bridge);
	if (platform->bridge)
		bk_pci_function_destroy(platform->bridge);
	if (platform->host)
		bk_pci_host_destroy(platform->host);
	if (platform->serial)
		bk__monitor_serial_destroy(platform->serial);
	bk__monitor_power_destroy(platform->power);
	/* The rest goes with its spaces, and no reader is left. */
	free(platform);
}
