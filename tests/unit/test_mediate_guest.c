/* SPDX-License-Identifier: BSD-2-Clause */
/* Mediated devices on a guest's bus: through ECAM, through windows, and with mirrors of their own config
 * space. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <barkeep/mediate.h>

#include "fake_device.h"
#include "sim_device.h"

#define ECAM   0xb0000000u
#define WINDOW 0xc8000000u /* not where the host has the devices */
#define DEVFN  BK_PCI_DEVFN(3, 0)

struct guest {
	struct bk_domain *domain;
	struct bk_space *memory, *ports;
	struct bk_pci_host *host;
	struct bk_mediator *mediate;
};

static void quiet(void *opaque, enum bk_log_level level, const char *line)
{
}

static int setup(void **state)
{
	struct guest *g = calloc(1, sizeof(*g));
	struct bk_pci_window windows[2];
	struct bk_pci_host_desc desc = {
		.windows = windows,
		.window_count = 2,
		.ecam_first = ECAM,
		.ecam_priority = 10,
		.bus_last = 255,
	};
	struct bk_error err;

	bk_log_set(quiet, NULL);
	desc.domain = g->domain = bk_domain_create();
	desc.ecam = g->memory = bk_space_create(g->domain, "memory", UINT64_MAX);
	g->ports = bk_space_create(g->domain, "ports", 0xffff);
	windows[0] = (struct bk_pci_window){ BK_PCI_WINDOW_MEMORY, g->memory, WINDOW, 0xfebfffff, WINDOW, 0 };
	windows[1] = (struct bk_pci_window){ BK_PCI_WINDOW_IO, g->ports, 0x1000, 0xffff, 0x1000, 0 };
	if (bk_pci_host_create(&desc, &g->host, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	struct guest *g = *state;

	bk_pci_function_detach(bk_mediator_function(g->mediate));
	bk_mediator_destroy(g->mediate);
	assert_int_equal(bk_pci_host_destroy(g->host), 0);
	assert_int_equal(bk_space_destroy(g->memory), 0);
	assert_int_equal(bk_space_destroy(g->ports), 0);
	assert_int_equal(bk_domain_destroy(g->domain), 0);
	free(g);
	bk_log_set(NULL, NULL);
	return 0;
}

static void plug_with(struct guest *g, struct bk_device *device, const struct bk_mediator_options *options,
		      const char *trap_text)
{
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;
	struct bk_error err;

	if (bk_mediator_create(g->domain, device, options, &g->mediate, &err))
		fail_msg("%s", err.text);
	if (trap_text &&
	    (bk_trap_parse(trap_text, &spec, &err) || bk_trap_add(g->mediate, &spec, &trap, &err)))
		fail_msg("%s", err.text);
	assert_int_equal(
		bk_pci_function_attach(bk_mediator_function(g->mediate), bk_pci_host_bus(g->host), DEVFN), 0);
	assert_int_equal(bk_pci_host_assign(g->host, 4096, NULL, NULL, NULL), 0);
}

static void plug(struct guest *g, struct bk_device *device, const char *trap_text)
{
	plug_with(g, device, NULL, trap_text);
}

static uint64_t rd(struct guest *g, uint64_t address, unsigned width)
{
	uint64_t value = 0;

	bk_space_read(g->memory, address, width, &value);
	return value;
}

static void wr(struct guest *g, uint64_t address, unsigned width, uint64_t value)
{
	bk_space_write(g->memory, address, width, value);
}

static uint64_t ones(unsigned width)
{
	return UINT64_MAX >> (64 - 8 * width);
}

static uint64_t ecam(unsigned offset)
{
	return ECAM + ((uint64_t)DEVFN << 12) + offset;
}

static uint64_t bar(struct guest *g, unsigned index)
{
	struct bk_pci_bar_state bar = { .struct_size = sizeof(bar) };

	assert_int_equal(bk_pci_function_bar(bk_mediator_function(g->mediate), index, &bar), 0);
	return bar.address;
}

/* Every width at every offset of the mirror at `at` is what ECAM shows. */
static void mirror_is_config(struct guest *g, uint64_t at)
{
	uint8_t config[256];

	for (unsigned i = 0; i < 256; i++)
		config[i] = (uint8_t)rd(g, ecam(i), 1);
	for (unsigned w = 1; w <= 8; w++) {
		for (unsigned offset = 0; offset + w <= 256; offset++) {
			uint64_t want = 0;

			for (unsigned i = 0; i < w; i++)
				want |= (uint64_t)config[offset + i] << 8 * i;
			assert_int_equal(rd(g, at + offset, w), want);
		}
	}
}

/* F31 */
static void F31_a_mirror_shows_the_guests_own_bars(void **state)
{
	struct guest *g = *state;
	struct bk_device *sim = open_example("edu.yaml");
	uint64_t hosts = get(sim, BK_DEVICE_CONFIG, 0x10, 4), at;
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;

	/* The device itself shows the host's address. */
	plug(g, sim, NULL);
	at = bar(g, 2) + 0xf00;
	assert_int_equal(rd(g, at, 4), 0x11e81234);
	assert_int_equal(rd(g, at + 0x10, 4), hosts);
	assert_int_not_equal(hosts, bar(g, 0));

	assert_int_equal(bk_trap_parse("bar2+0xf00/0x100:mirror", &spec, NULL), 0);
	assert_int_equal(bk_trap_add(g->mediate, &spec, &trap, NULL), 0);
	assert_int_equal(rd(g, at + 0x10, 4), bar(g, 0));
	assert_int_equal(rd(g, at + 0x18, 4), bar(g, 2));
	mirror_is_config(g, at);

	/* Sizing, and another place, through ECAM; the mirror follows its BAR. */
	wr(g, ecam(0x10), 4, 0xffffffff);
	assert_int_equal(rd(g, at + 0x10, 4), 0xfff00000);
	assert_int_equal(rd(g, at + 0x0e, 8), 0xfff000000000);
	wr(g, ecam(0x10), 4, 0xd0000000);
	wr(g, ecam(0x18), 4, 0xd8000000);
	assert_int_equal(rd(g, at, 4), 0xffffffff);
	at = 0xd8000f00;
	assert_int_equal(rd(g, at + 0x10, 4), 0xd0000000);
	assert_int_equal(rd(g, at + 0x18, 4), 0xd8000000);
	mirror_is_config(g, at);

	/* And from inside: the write moves the BAR that it comes through. */
	wr(g, at + 0x18, 4, 0xd9000000);
	assert_int_equal(rd(g, at, 4), 0xffffffff);
	at = 0xd9000f00;
	assert_int_equal(rd(g, at + 0x18, 4), 0xd9000000);
	mirror_is_config(g, at);
	wr(g, at + 0x1a, 2, 0xda00); /* half a register */
	at = 0xda000f00;
	mirror_is_config(g, at);

	/* A capability's registers, written through the mirror, are the function's. */
	wr(g, at + 0x44, 4, 0xfee01234);
	assert_int_equal(rd(g, ecam(0x44), 4), 0xfee01234);
	mirror_is_config(g, at);
	assert_int_equal(get(sim, BK_DEVICE_CONFIG, 0x10, 4), hosts);
}

/* F31: the mirror goes through traps over config space, and ends where config space does. */
static void F31_a_mirror_shows_traps_over_config_space(void **state)
{
	struct guest *g = *state;
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;

	plug(g, open_example("edu.yaml"), "bar0+0x1000/0x200:mirror");
	assert_int_equal(bk_trap_parse("config+0x80/4:const=0xcafe1234", &spec, NULL), 0);
	assert_int_equal(bk_trap_add(g->mediate, &spec, &trap, NULL), 0);
	assert_int_equal(rd(g, ecam(0x80), 4), 0xcafe1234);
	assert_int_equal(rd(g, bar(g, 0) + 0x1080, 4), 0xcafe1234);
	assert_int_equal(rd(g, bar(g, 0) + 0x1082, 4), 0xcafe);
	mirror_is_config(g, bar(g, 0) + 0x1000);
	/* 256 bytes of config space in a mirror of 512. */
	assert_int_equal(rd(g, bar(g, 0) + 0x1100, 4), 0xffffffff);
	assert_int_equal(rd(g, bar(g, 0) + 0x10fc, 8) >> 32, 0xffffffff);
	wr(g, bar(g, 0) + 0x1100, 4, 0);
}

/* F29 */
static void F29_decode_off_reset_and_d3_under_a_mapped_bar(void **state)
{
	struct guest *g = *state;
	struct bk_device *sim = open_example("nvme-like.yaml");
	unsigned pm;
	uint64_t at;

	plug(g, sim, NULL);
	at = bar(g, 0);
	assert_int_equal(rd(g, at, 8), 0x004008200f0107ff);
	assert_int_equal(rd(g, at + 8, 4), 0x00010400);

	wr(g, ecam(4), 2, 0);
	for (unsigned w = 1; w <= 8; w++)
		assert_int_equal(rd(g, at, w), ones(w));
	wr(g, at + 0x24, 4, 0x12);
	assert_int_equal(get(sim, BK_DEVICE_CONFIG, 4, 2) & 7,
			 2); /* the device decodes on, so mappings hold */
	wr(g, ecam(4), 2, 6);
	assert_int_equal(rd(g, at, 8), 0x004008200f0107ff);
	assert_int_equal(rd(g, at + 0x24, 4), 0);
	assert_int_equal(get(sim, BK_DEVICE_CONFIG, 4, 2) & 7, 6);

	for (pm = (unsigned)rd(g, ecam(0x34), 1); pm && rd(g, ecam(pm), 1) != 1;)
		pm = (unsigned)rd(g, ecam(pm + 1), 1);
	assert_int_not_equal(pm, 0);
	wr(g, ecam(pm + 4), 2, 3);
	assert_int_equal(rd(g, at, 4), 0xffffffff);
	assert_int_equal(get(sim, BK_DEVICE_CONFIG, pm + 4, 2) & 3, 0);
	wr(g, ecam(pm + 4), 2, 0);
	assert_int_equal(rd(g, at, 8), 0x004008200f0107ff);

	wr(g, at + 0x24, 4, 0x00110022);
	assert_int_equal(rd(g, at + 0x24, 4), 0x00110022);
	assert_int_equal(bk_pci_function_reset(bk_mediator_function(g->mediate)), 0);
	assert_int_equal(rd(g, at, 4), 0xffffffff);
	assert_int_equal(rd(g, ecam(4), 2), 0);
	assert_int_equal(get(sim, BK_DEVICE_CONFIG, 4, 2) & 7, 2);
	wr(g, ecam(0x10), 4, (uint32_t)at);
	wr(g, ecam(0x14), 4, at >> 32);
	wr(g, ecam(4), 2, 2);
	assert_int_equal(rd(g, at + 0x24, 4), 0);
	assert_int_equal(rd(g, at, 8), 0x004008200f0107ff);
}

struct pages {
	uint64_t base;
	unsigned mapped; /* a bit a page */
};

static bool note_pages(void *opaque, const struct bk_flat *flat)
{
	struct pages *pages = opaque;

	for (unsigned i = 0; i < 4; i++) {
		uint64_t first = pages->base + i * 4096;

		if (flat->memory && flat->first <= first && flat->last >= first + 4095)
			pages->mapped |= 1u << i;
	}
	return true;
}

/* F26 F28 */
static void F26_the_table_in_the_middle_of_live_registers(void **state)
{
	struct guest *g = *state;
	struct bk_device *sim = open_example("nvme-like.yaml");
	struct pages pages = { 0 };
	uint64_t at;

	plug(g, sim, NULL);
	at = pages.base = bar(g, 0);
	wr(g, at + 0x2000, 4, 0x11223344);
	wr(g, at + 0x2c10, 4, 0x55667788);
	assert_int_equal(rd(g, at + 0x2000, 4), 0x11223344);
	assert_int_equal(rd(g, at + 0x2c10, 4), 0x55667788);
	assert_int_equal(get(sim, 0, 0x2000, 4), 0x11223344);
	assert_int_equal(get(sim, 0, 0x2c10, 4), 0x55667788);
	wr(g, at + 0x2800, 8, 0xfee00000);
	wr(g, at + 0x2808, 4, 0x41);
	assert_int_equal(rd(g, at + 0x2800, 4), 0xfee00000);
	assert_int_equal(rd(g, at + 0x2808, 8), 0x100000041);
	wr(g, at + 0x28, 8, 0x123456789000);
	assert_int_equal(rd(g, at + 0x28, 8), 0x123456789000);
	/* What the guest can map is what the device can, but for the pages of the table and the PBA. */
	bk_space_visit(g->memory, at, at + 0x3fff, note_pages, &pages);
	assert_int_equal(pages.mapped & 0xc, 0);
}

/* A device all of which can be mapped: only the pages of traps exit, wherever the BAR is. */
static void mapped_pages_of_a_bar_reach_the_guests_view(void **state)
{
	struct guest *g = *state;
	struct fake *fake = calloc(1, sizeof(*fake));
	struct pages pages = { 0 };

	fake_init(fake);
	fake_bar(fake, 0, 0, 0x4000, true);
	fake_put(fake, 0x34, 1, 0x70);
	fake_msix(fake, 0x70, 0, 8, 0x2800, 0x2c00);
	plug(g, &fake->device, "bar0+0x10/4:const=7");
	pages.base = bar(g, 0);
	bk_space_visit(g->memory, pages.base, pages.base + 0x3fff, note_pages, &pages);
	assert_int_equal(pages.mapped, 0xa);
	assert_int_equal(rd(g, pages.base + 0x10, 4), 7);
	assert_int_equal(rd(g, pages.base + 0x14, 4), fake_pattern(0x14, 4));

	wr(g, ecam(0x10), 4, 0xd0000000);
	pages = (struct pages){ .base = 0xd0000000 };
	bk_space_visit(g->memory, pages.base, pages.base + 0x3fff, note_pages, &pages);
	assert_int_equal(pages.mapped, 0xa);

	bk_pci_function_detach(bk_mediator_function(g->mediate));
	bk_mediator_destroy(g->mediate);
	assert_true(fake->closed);
	fake_done(fake);
	free(fake);
	plug(g, open_example("edu.yaml"), NULL); /* another in its slot, F18 */
	assert_int_equal(rd(g, bar(g, 0), 4), 0x010000ed);
	assert_int_equal(rd(g, 0xd0000000, 4), 0xffffffff);
}

/* The device does DMA while the guest made it, and every bridge above, a bus master. */
static void the_device_is_a_bus_master_if_bridges_are(void **state)
{
	const struct bk_pci_function_desc desc = { .vendor = 1 };
	struct guest *g = *state;
	struct fake *fake = calloc(1, sizeof(*fake));
	struct bk_pci_function *bridge, *function;
	struct bk_error err;

	fake_init(fake);
	fake_bar(fake, 0, 0, 0x1000, true);
	assert_int_equal(bk_mediator_create(g->domain, &fake->device, NULL, &g->mediate, &err), 0);
	function = bk_mediator_function(g->mediate);
	assert_int_equal(bk_pci_bridge_create(g->host, &desc, &bridge, &err), 0);
	assert_int_equal(bk_pci_function_attach(function, bk_pci_bridge_bus(bridge), 0), 0);
	assert_int_equal(bk_pci_function_attach(bridge, bk_pci_host_bus(g->host), DEVFN), 0);
	bk_pci_function_write(function, 4, 2, 6);
	assert_int_equal(fake_get(fake, 4, 2), 2);
	wr(g, ecam(4), 2, 4);
	assert_int_equal(fake_get(fake, 4, 2), 6);
	wr(g, ecam(4), 2, 0);
	assert_int_equal(fake_get(fake, 4, 2), 2);
	wr(g, ecam(4), 2, 4);
	bk_pci_function_write(function, 4, 2, 2);
	assert_int_equal(fake_get(fake, 4, 2), 2);
	bk_pci_function_write(function, 4, 2, 6);
	assert_int_equal(fake_get(fake, 4, 2), 6);
	wr(g, ecam(0x3e), 2, 0x40); /* a reset of the bus */
	assert_int_equal(fake_get(fake, 4, 2), 2);
	assert_int_equal(fake->resets, 1);

	bk_pci_function_detach(function);
	bk_pci_function_detach(bridge);
	assert_int_equal(bk_pci_function_destroy(bridge), 0);
	bk_mediator_destroy(g->mediate);
	fake_done(fake);
	free(fake);
	plug(g, open_example("edu.yaml"), NULL);
}

static bool note_owner(void *opaque, const struct bk_flat *flat)
{
	*(struct bk_flat *)opaque = *flat;
	return false;
}

/* Is all of the page at `address` one range that is mapped? */
static bool page_is_mapped(struct guest *g, uint64_t address)
{
	struct bk_flat flat = { 0 };

	bk_space_visit(g->memory, address, address + 4095, note_owner, &flat);
	return flat.memory && flat.first <= address && flat.last >= address + 4095;
}

/* F16: a BAR of 256 bytes that may share its page is mapped while it starts one and is alone in it. */
static void F16_a_bar_that_shares_its_page(void **state)
{
	const struct bk_mediator_options options = { .share_page = true };
	struct guest *g = *state;
	struct fake *fake = calloc(1, sizeof(*fake));
	struct bk_device_region region = { 0 };
	struct areas areas;
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;
	struct bk_flat flat = { 0 };

	fake_init(fake);
	fake_bar(fake, 0, 0, 256, true);
	fake_bar(fake, 1, 0, 128, true);
	fake_bar(fake, 2, 0, 0x1000, true);
	fake_bar(fake, 4, 1, 32, false);
	plug_with(g, &fake->device, &options, NULL);
	wr(g, ecam(0x10), 4, 0xd0000000);
	wr(g, ecam(0x14), 4, 0xd0001000);
	wr(g, ecam(0x18), 4, 0xd0002000);
	assert_true(page_is_mapped(g, 0xd0000000));
	assert_true(page_is_mapped(g, 0xd0001000));
	bk_space_visit(g->memory, 0xd0000000, 0xd0000000, note_owner, &flat);
	assert_int_equal(*((uint8_t *)flat.memory->host + flat.offset + 5), fake_pattern(5, 1));
	/* What exits see of the page is the BAR and nothing else. */
	assert_int_equal(rd(g, 0xd00000fc, 8), fake_pattern(0xfc, 4) | 0xffffffff00000000);
	assert_int_equal(rd(g, 0xd0000800, 4), 0xffffffff);
	wr(g, 0xd0000800, 4, 0);
	assert_int_equal(rd(g, ecam(0x10), 4), 0xd0000000);
	wr(g, ecam(0x10), 4, 0xffffffff);
	assert_int_equal(rd(g, ecam(0x10), 4), 0xffffff00); /* its size is its own */
	assert_false(page_is_mapped(g, 0xd0000000));

	/* Off the page's start, and back. */
	wr(g, ecam(0x10), 4, 0xd0000100);
	assert_false(page_is_mapped(g, 0xd0000000));
	assert_int_equal(rd(g, 0xd0000104, 4), fake_pattern(4, 4));
	assert_int_equal(rd(g, 0xd0000000, 4), 0xffffffff);
	wr(g, ecam(0x10), 4, 0xd0000000);
	assert_true(page_is_mapped(g, 0xd0000000));

	/* Another BAR comes into the page, answers there, and leaves. */
	wr(g, ecam(0x14), 4, 0xd0000080); /* all of it behind BAR 0, which has the lower rank */
	assert_true(page_is_mapped(g, 0xd0000000));
	assert_int_equal(rd(g, 0xd0000084, 4), fake_pattern(0x84, 4));
	wr(g, ecam(0x14), 4, 0xd0000f80);
	assert_false(page_is_mapped(g, 0xd0000000));
	assert_int_equal(rd(g, 0xd0000f84, 4), fake_pattern(4, 4));
	assert_int_equal(rd(g, 0xd0000004, 4), fake_pattern(4, 4));
	wr(g, ecam(0x14), 4, 0xd0003000);
	assert_true(page_is_mapped(g, 0xd0000000));
	assert_true(page_is_mapped(g, 0xd0003000));
	/* Two at the start of one page: neither is alone. */
	wr(g, ecam(0x14), 4, 0xd0000000);
	assert_false(page_is_mapped(g, 0xd0003000));
	assert_int_equal(rd(g, 0xd0000004, 4), fake_pattern(4, 4));
	wr(g, ecam(0x10), 4, 0xd0005000);
	assert_true(page_is_mapped(g, 0xd0000000));
	assert_true(page_is_mapped(g, 0xd0005000));
	/* A BAR of a whole page over it takes it, mapped as well. */
	wr(g, ecam(0x18), 4, 0xd0000000);
	assert_int_equal(rd(g, 0xd0000100, 4), fake_pattern(0x100, 4));
	wr(g, ecam(0x18), 4, 0xd0002000);
	assert_int_equal(rd(g, 0xd0000100, 4), 0xffffffff);

	/* A trap, D3hot's elder sister COMMAND, and a look from outside. */
	assert_int_equal(bk_trap_parse("bar0+0x10/4:const=9", &spec, NULL), 0);
	assert_int_equal(bk_trap_add(g->mediate, &spec, &trap, NULL), 0);
	assert_false(page_is_mapped(g, 0xd0005000));
	assert_int_equal(rd(g, 0xd0005010, 4), 9);
	bk_trap_remove(trap);
	assert_true(page_is_mapped(g, 0xd0005000));
	wr(g, ecam(4), 2, 0);
	assert_int_equal(rd(g, 0xd0005000, 4), 0xffffffff);
	assert_false(page_is_mapped(g, 0xd0005000));
	assert_int_equal(bk_device_region(bk_mediator_device(g->mediate), 0, &region), 0);
	areas = areas_of(bk_mediator_device(g->mediate), 0);
	assert_int_equal(region.size, 256);
	assert_int_equal(areas.count, 1);
	assert_int_equal(areas.at[0].size, 256);

	bk_pci_function_detach(bk_mediator_function(g->mediate));
	bk_mediator_destroy(g->mediate);
	assert_true(fake->closed);
	fake_done(fake);
	free(fake);
	plug(g, open_example("edu.yaml"), NULL);
}

/* F16: nobody asked, or the device does not offer all of it. */
static void F16_a_bar_that_may_not_share_its_page(void **state)
{
	struct guest *g = *state;
	struct fake *fake = calloc(1, sizeof(*fake));

	for (unsigned asked = 0; asked < 2; asked++) {
		const struct bk_mediator_options options = { .share_page = asked };

		fake_init(fake);
		fake_bar(fake, 0, 0, 256, true);
		if (asked)
			fake->areas[0].at[0].size = 128;
		plug_with(g, &fake->device, &options, NULL);
		assert_false(page_is_mapped(g, bar(g, 0)));
		assert_int_equal(rd(g, bar(g, 0), 4), fake_pattern(0, 4));
		bk_pci_function_detach(bk_mediator_function(g->mediate));
		bk_mediator_destroy(g->mediate);
		fake_done(fake);
	}
	free(fake);
	plug(g, open_example("edu.yaml"), NULL);
}

#define WITH_GUEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_GUEST(F31_a_mirror_shows_the_guests_own_bars),
		WITH_GUEST(F31_a_mirror_shows_traps_over_config_space),
		WITH_GUEST(F29_decode_off_reset_and_d3_under_a_mapped_bar),
		WITH_GUEST(F26_the_table_in_the_middle_of_live_registers),
		WITH_GUEST(mapped_pages_of_a_bar_reach_the_guests_view),
		WITH_GUEST(F16_a_bar_that_shares_its_page),
		WITH_GUEST(F16_a_bar_that_may_not_share_its_page),
		WITH_GUEST(the_device_is_a_bus_master_if_bridges_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
