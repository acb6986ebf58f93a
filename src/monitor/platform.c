/* SPDX-License-Identifier: BSD-2-Clause */
/* The fixed parts of the machine: RAM, the host bridge, and the board with its serial console. */
#include "monitor/platform.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/arch.h"
#include "monitor/console.h"

struct bk__monitor_platform {
	struct bk__monitor_platform_config config;
	struct bk_pci_host *host;
	struct bk_pci_function *bridge;
	bool bridge_attached;
	struct bk__monitor_board *board;
	_Atomic(struct bk__monitor_console *)
		console; /* changed while no vCPU runs, but its own thread may run */
};

/* ---- RAM --------------------------------------------------------------- */

static void add_ram(struct bk_update *update, struct bk__monitor_platform *platform, const char *name,
		    uint64_t first, uint64_t offset, uint64_t size)
{
	const struct bk__monitor_ram *ram = platform->config.ram;
	const struct bk_region_desc desc = {
		.name = name,
		.first = first,
		.last = first + size - 1,
		.priority = BK__PRIORITY_RAM,
		.rank = first,
		.kind = BK_REGION_MAPPED,
		.memory = { .host = (uint8_t *)ram->host + offset,
			    .fd = ram->fd,
			    .fd_offset = offset,
			    .attributes = BK_MEMORY_RAM },
	};

	if (size)
		bk_update_add(update, platform->config.memory, &desc, NULL);
}

static int add_all_ram(struct bk__monitor_platform *platform)
{
	const struct bk__monitor_ram *ram = platform->config.ram;
	struct bk_update *update = bk_update_begin(bk_space_domain(platform->config.memory));
	const uint64_t hole = bk__monitor_arch.ram_hole, resume = bk__monitor_arch.ram_resume;

	add_ram(update, platform, hole ? "ram below 640 KiB" : "ram", ram->low, 0,
		(hole ? hole : ram->low + ram->low_size) - ram->low);
	if (hole)
		add_ram(update, platform, "ram", resume, resume - ram->low,
			ram->low + ram->low_size - resume);
	add_ram(update, platform, "ram above 4 GiB", ram->high, ram->low_size, ram->size - ram->low_size);
	return bk_update_commit(update, NULL);
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

	bk__monitor_gsi_level(platform->config.gsis, bk__monitor_arch.pci_pin + line, level);
}

static int create_host(struct bk__monitor_platform *platform, struct bk_error *err)
{
	const struct bk__monitor_platform_config *config = &platform->config;
	const struct bk__monitor_window *mmio64 = &config->layout->mmio64;
	struct bk_pci_window windows[BK__MONITOR_WINDOWS + 1];
	struct bk_pci_host_desc desc = {
		.windows = windows,
		.domain = bk_space_domain(config->memory),
		.ecam_priority = BK__PRIORITY_ECAM,
		.bus_first = 0,
		.bus_last = 255,
		.msi = on_msi,
		.intx = on_intx,
		.lines = bk__monitor_arch.pci_lines,
		.opaque = platform,
	};

	bk__monitor_board_pci(platform->board, windows, &desc);
	if (mmio64->first <= mmio64->last)
		windows[desc.window_count++] =
			(struct bk_pci_window){ BK_PCI_WINDOW_MEMORY, config->memory, mmio64->first,
						mmio64->last,         mmio64->first,  BK__PRIORITY_WINDOW };
	return bk_pci_host_create(&desc, &platform->host, err);
}

/* The host bridge's own function in slot 0, as every machine has one; ids of QEMU's generic host
 * bridge. */
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

struct bk__monitor_board *bk__monitor_platform_board(struct bk__monitor_platform *platform)
{
	return platform->board;
}

/* ---- Board and console ------------------------------------------------- */

static void on_poweroff(void *opaque)
{
	struct bk__monitor_platform *platform = opaque;

	platform->config.ops->poweroff(platform->config.opaque);
}

static void on_reset(void *opaque)
{
	struct bk__monitor_platform *platform = opaque;

	platform->config.ops->reset(platform->config.opaque);
}

/* Called by a vCPU or a reset, never by the console's thread. */
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

static const struct bk__monitor_board_ops board_ops = {
	.poweroff = on_poweroff,
	.reset = on_reset,
	.output = on_serial_output,
	.room = on_serial_room,
};

static size_t on_console_room(void *opaque)
{
	struct bk__monitor_platform *platform = opaque;

	return bk__monitor_board_room(platform->board);
}

static void on_console_input(void *opaque, const uint8_t *bytes, size_t count)
{
	struct bk__monitor_platform *platform = opaque;

	bk__monitor_board_input(platform->board, bytes, count);
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

bool bk__monitor_platform_button(struct bk__monitor_platform *platform)
{
	return bk__monitor_board_button(platform->board);
}

/* ---- All of it --------------------------------------------------------- */

static int create_board(struct bk__monitor_platform *platform, struct bk_error *err)
{
	const struct bk__monitor_board_config config = {
		.config = platform->config.config,
		.memory = platform->config.memory,
		.ports = platform->config.ports,
		.gsis = platform->config.gsis,
		.ops = &board_ops,
		.opaque = platform,
	};

	return bk__monitor_board_create(&config, &platform->board, err);
}

int bk__monitor_platform_create(const struct bk__monitor_platform_config *config,
				struct bk__monitor_platform **out, struct bk_error *err)
{
	struct bk__monitor_platform *platform = calloc(1, sizeof(*platform));
	int error;

	if (!platform)
		return bk_fail(err, ENOMEM, "platform: out of memory");
	platform->config = *config;
	error = add_all_ram(platform);
	if (error)
		bk_fail(err, -error, "platform: no RAM in the memory map: %s", strerror(-error));
	if (!error)
		error = create_board(platform, err);
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
	bk__monitor_board_reset(platform->board);
	bk_pci_function_reset(platform->bridge);
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
	bk__monitor_board_destroy(platform->board);
	/* The rest goes with its spaces, and no reader is left. */
	free(platform);
}
