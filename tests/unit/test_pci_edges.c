/* SPDX-License-Identifier: BSD-2-Clause */
/* What descs are refused, and what a function does whose owner wants to know nothing. */
#include "pci_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "pci_adds.h"

#define DEVFN BK_PCI_DEVFN(3, 0)

/* ---- Refused, each with its line ------------------------------------------ */

static void bar_refused(struct bk_domain *domain, struct bk_pci_bar bar, bool rom, const char *wanted)
{
	struct bk_pci_function_desc desc = { .name = "f", .vendor = 1 };
	struct bk_pci_function *function;
	struct bk_error err = { { 0 } };

	*(rom ? &desc.rom : &desc.bars[1]) = bar;
	assert_int_equal(bk_pci_function_create(domain, &desc, &function, &err), -EINVAL);
	if (!strstr(err.text, wanted))
		fail_msg("said: %s, wanted: %s", err.text, wanted);
}

static void bars_that_cannot_be(void **state)
{
	struct bk_domain *domain = bk_domain_create(), *other = bk_domain_create();
	struct bk_space *space = bk_space_create(domain, "bar", 0xfff),
			*there = bk_space_create(other, "b", 0xfff);
	const struct bk_pci_bar good = { .kind = BK_PCI_BAR_MEM32, .size = 0x100, .space = space };
	struct bk_pci_bar bar = good;

	bar.kind = (enum bk_pci_bar_kind)9;
	bar_refused(domain, bar, false, "f: BAR 1: no such kind of BAR: 9");
	bar.kind = BK_PCI_BAR_IO;
	bar_refused(domain, bar, true, "f: ROM: an expansion ROM is 32-bit memory");
	bar.prefetchable = true;
	bar_refused(domain, bar, false, "an I/O BAR cannot be prefetchable");
	bar = good, bar.size = 0x110;
	bar_refused(domain, bar, false, "32-bit memory takes a power of two");
	bar.prefetchable = true;
	bar_refused(domain, bar, false, "32-bit prefetchable memory takes");
	bar.kind = BK_PCI_BAR_MEM64;
	bar_refused(domain, bar, false, "64-bit prefetchable memory takes");
	bar.prefetchable = false;
	bar_refused(domain, bar, false, "64-bit memory takes");
	bar.kind = BK_PCI_BAR_IO;
	bar_refused(domain, bar, false, "I/O takes");
	bar = good, bar.size = 0x400;
	bar_refused(domain, bar, true, "expansion ROM takes");
	bar = good, bar.space = NULL;
	bar_refused(domain, bar, false, "no space that answers in it");
	bar = good, bar.space = there;
	bar_refused(domain, bar, false, "its space is in another domain");
	/* A page to share. */
	bar = good, bar.page = 0x1000, bar.size = 0x800;
	bar_refused(domain, bar, true, "a page of 0x1000 bytes");
	bar.kind = BK_PCI_BAR_IO;
	bar_refused(domain, bar, false, "a page of 0x1000 bytes");
	bar = good, bar.page = 0x100;
	bar_refused(domain, bar, false, "a page of 0x100 bytes");
	bar.page = 0x300;
	bar_refused(domain, bar, false, "a page of 0x300 bytes");
	bar.page = 0x2000;
	bar_refused(domain, bar, false, "a page of 0x2000 bytes");
	assert_int_equal(bk_space_destroy(space), 0);
	assert_int_equal(bk_space_destroy(there), 0);
	assert_int_equal(bk_domain_destroy(other), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

static void function_refused(struct bk_domain *domain, struct bk_pci_function_desc desc, const char *wanted)
{
	struct bk_pci_function *function;
	struct bk_error err = { { 0 } };

	assert_int_equal(bk_pci_function_create(domain, &desc, &function, &err), -EINVAL);
	if (!strstr(err.text, wanted))
		fail_msg("said: %s, wanted: %s", err.text, wanted);
}

static void functions_that_cannot_be(void **state)
{
	struct bk_domain *domain = bk_domain_create(), *other = bk_domain_create();
	struct bk_space *space = bk_space_create(domain, "s", 0xfff),
			*there = bk_space_create(other, "s", 0xfff);
	const struct bk_pci_bar wide = { .kind = BK_PCI_BAR_MEM64, .size = 0x100, .space = space };

	function_refused(domain, (struct bk_pci_function_desc){ .vendor = 0xffff },
			 "function: vendor id 0xffff");
	function_refused(domain, (struct bk_pci_function_desc){ .class_code = 0x1000000 },
			 "more than 24 bits");
	function_refused(domain, (struct bk_pci_function_desc){ .pin = 5 }, "interrupt pin 5");
	function_refused(domain, (struct bk_pci_function_desc){ .bars[5] = wide },
			 "BAR 5: a 64-bit BAR needs");
	function_refused(domain, (struct bk_pci_function_desc){ .bars[2] = wide, .bars[3] = wide },
			 "BAR 2: a 64-bit BAR needs");
	function_refused(domain, (struct bk_pci_function_desc){ .vga_memory = there }, "VGA: its space");
	function_refused(domain, (struct bk_pci_function_desc){ .vga_memory = space, .vga_io = there },
			 "VGA: its space");
	assert_int_equal(bk_space_destroy(space), 0);
	assert_int_equal(bk_space_destroy(there), 0);
	assert_int_equal(bk_domain_destroy(other), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

static void host_refused(const struct bk_pci_host_desc *desc, const char *wanted)
{
	struct bk_pci_host *host;
	struct bk_error err = { { 0 } };

	assert_int_equal(bk_pci_host_create(desc, &host, &err), -EINVAL);
	if (!strstr(err.text, wanted))
		fail_msg("said: %s, wanted: %s", err.text, wanted);
}

static void hosts_that_cannot_be(void **state)
{
	struct bk_domain *domain = bk_domain_create(), *other = bk_domain_create();
	struct bk_space *space = bk_space_create(domain, "s", 0xffffffff),
			*small = bk_space_create(domain, "s", 0xcfe);
	struct bk_space *there = bk_space_create(other, "s", UINT64_MAX);
	const struct bk_pci_window good_window = { BK_PCI_WINDOW_MEMORY, space, 0x1000, 0x1fff, 0, 0 };
	struct bk_pci_window window = good_window;
	const struct bk_pci_host_desc good = { .domain = domain, .windows = &window, .window_count = 1 };
	struct bk_pci_host_desc desc = good;

	desc.domain = NULL;
	host_refused(&desc, "no domain");
	desc = good, desc.windows = NULL;
	host_refused(&desc, "1 windows, and none is given");
	desc = good, desc.bus_first = 1;
	host_refused(&desc, "last bus 0 is below the first, 1");
	desc = good, window = good_window, window.kind = (enum bk_pci_window_kind)2;
	host_refused(&desc, "window 0: no such kind: 2");
	desc = good, window = good_window, window.space = NULL;
	host_refused(&desc, "window 0: needs a space");
	window.space = there;
	host_refused(&desc, "window 0: needs a space");
	desc = good, window = good_window, window.first = 0x2000;
	host_refused(&desc, "window 0: no range of s");
	desc = good, window = good_window, window.last = 0x100000000;
	host_refused(&desc, "window 0: no range of s");
	desc = good, window = good_window, window.kind = BK_PCI_WINDOW_IO, window.bus_first = 0x100000000;
	host_refused(&desc, "window 0: runs past the bus's last address 0xffffffff");
	window.bus_first = 0xfffff001;
	host_refused(&desc, "window 0: runs past");
	desc = good, window = good_window, window.bus_first = UINT64_MAX;
	host_refused(&desc, "window 0: runs past the bus's last address 0xffffffffffffffff");
	window = good_window;
	desc = good, desc.ecam = there;
	host_refused(&desc, "ECAM at 0 is not inside");
	desc.ecam = space, desc.ecam_first = UINT64_MAX;
	host_refused(&desc, "ECAM at 0xffffffffffffffff is not inside");
	desc.ecam_first = 0xfff00001;
	host_refused(&desc, "ECAM at 0xfff00001 is not inside");
	desc = good, desc.ports = there;
	host_refused(&desc, "the ports 0xcf8-0xcff");
	desc.ports = small;
	host_refused(&desc, "the ports 0xcf8-0xcff");
	assert_int_equal(bk_space_destroy(space), 0);
	assert_int_equal(bk_space_destroy(small), 0);
	assert_int_equal(bk_space_destroy(there), 0);
	assert_int_equal(bk_domain_destroy(other), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

static void capabilities_that_cannot_be(void **state)
{
	static const uint8_t port[60] = { [2] = 0x42 }, downstream[60] = { [2] = 0x62 },
			     collector[60] = { [2] = 0xa2 };
	struct world *world = world_create(NULL);
	struct bk_pci_function_desc desc = {
		.extended = true, .bars = { [0] = MEM32_BAR(0x100000), [2] = MEM64_BAR(0x100000) }
	};
	const struct bk_pci_resizable large[] = { { 0, UINT64_C(1) << 32 | 0x100000 } },
				      small[] = { { 0, 0x80000 | 0x100000 } }, none[] = { { 0, 0x200000 } },
				      absent[] = { { 1, 0x100000 } }, beyond[] = { { 7, 0x100000 } },
				      twice[] = { { 0, 0x100000 }, { 0, 0x100000 } };
	const struct bk_pci_resizable most[] = { { 0, 0x80100000 } };
	struct bk_pci_function_desc lender = { .extended = true };
	struct bk_pci_bar_state bar = { .struct_size = sizeof(bar) };
	struct bk_pci_function *function;
	uint8_t cleared[8] = { [4] = 0xff };
	struct part part, bridge;
	uint64_t value;

	part_create(world, &part, 1, desc);
	assert_int_equal(bk_pci_resizable_add(part.function, 0, large, 0), -EINVAL);
	assert_int_equal(bk_pci_resizable_add(part.function, 0, large, 7), -EINVAL);
	assert_int_equal(bk_pci_resizable_add(part.function, 0, large, 1), -EINVAL);
	assert_int_equal(bk_pci_resizable_add(part.function, 0, small, 1), -EINVAL);
	assert_int_equal(bk_pci_resizable_add(part.function, 0, none, 1), -EINVAL);
	assert_int_equal(bk_pci_resizable_add(part.function, 0, absent, 1), -EINVAL);
	assert_int_equal(bk_pci_resizable_add(part.function, 0, beyond, 1), -EINVAL);
	assert_int_equal(bk_pci_resizable_add(part.function, 0, twice, 2), -EINVAL);
	lender.bars[0] =
		(struct bk_pci_bar){ .kind = BK_PCI_BAR_MEM32, .size = 0x100000, .space = world->memory };
	lender.vendor = 1;
	assert_int_equal(bk_pci_function_create(world->domain, &lender, &function, NULL), 0);
	assert_int_equal(bk_pci_resizable_add(function, 0, large, 1), -EINVAL); /* above 2 GiB */
	assert_true(bk_pci_resizable_add(function, 0, most, 1) > 0);
	assert_int_equal(bk_pci_function_destroy(function), 0);
	assert_int_equal(bk_pci_resizable_add(part.function, 0x102, twice, 1), -EINVAL);
	assert_int_equal(bk_pci_express_add(part.function, 0, NULL, 60), -EINVAL);
	assert_int_equal(bk_pci_express_add(part.function, 0, port, 11), -EINVAL);
	assert_int_equal(bk_pci_express_add(part.function, 0, port, 61), -EINVAL);
	assert_int_equal(bk_pci_af_add(part.function, 0x41), -EINVAL);
	assert_int_equal(bk_pci_slot_add(part.function, 1), -EINVAL); /* nothing of PCI Express */
	assert_int_equal(bk_pci_express_add(part.function, 0x40, port, 60), 0x40);
	assert_int_equal(bk_pci_slot_add(part.function, 1), -EINVAL); /* no bridge */
	assert_int_equal(capability_add(part.function, 0x30, 0x80, 8, NULL, NULL, cleared), 0x80);
	assert_int_equal(preset(part.function, 0x84, cleared + 4, NULL, NULL, 1), 0);
	assert_int_equal(bk_pci_function_write(part.function, 0x84, 1, 0x0f), 0);
	assert_int_equal(bk_pci_function_read(part.function, 0x84, 1, &value), 0);
	assert_int_equal(value, 0xf0);
	part_create_in(world, &bridge, 2, (struct bk_pci_function_desc){ .extended = true }, true);
	assert_int_equal(bk_pci_express_add(bridge.function, 0x40, downstream, 60), 0x40);
	assert_int_equal(bk_pci_slot_set_room(bridge.function, 0, 0), -EINVAL);
	assert_int_equal(bk_pci_slot_add(bridge.function, 1), 0);
	assert_int_equal(bk_pci_msi_add(bridge.function, 0xa0, 1, false, false), 0xa0);
	assert_int_equal(bk_pci_capability_remove(bridge.function, 0x40), -EBUSY);
	assert_int_equal(bk_pci_capability_remove(bridge.function, 0xa0), 0);
	/* On no bus nobody is beside it, and a mask alone can be preset. */
	assert_int_equal(bk_pci_function_bar(part.function, 0, &bar), 0);
	assert_int_equal(bk_pci_function_read(part.function, 0x0e, 1, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(preset(part.function, 0x3c, NULL, cleared, cleared, 1), 0);
	assert_int_equal(bk_pci_function_write(part.function, 0x3c, 1, 5), 0);
	assert_int_equal(bk_pci_function_read(part.function, 0x3c, 1, &value), 0);
	assert_int_equal(value, 0);
	/* An event collector has root registers, too. */
	assert_int_equal(bk_pci_capability_remove(part.function, 0x40), 0);
	assert_int_equal(bk_pci_express_add(part.function, 0x40, collector, 60), 0x40);
	assert_int_equal(bk_pci_function_write(part.function, 0x5c, 2, 7), 0);
	assert_int_equal(bk_pci_function_read(part.function, 0x5c, 2, &value), 0);
	assert_int_equal(value, 7);
	part_destroy(&bridge);
	part_destroy(&part);
	world_destroy(world);
}

/* ---- Nobody wants to know ---------------------------------------------------- */

static void tune_deaf(struct bk_pci_host_desc *desc)
{
	desc->msi = NULL;
	desc->intx = NULL;
	desc->lines = 2;
}

static const struct bk_pci_irq_ops deaf = { 0 };

static void owners_that_want_to_know_nothing(void **state)
{
	struct world *world = world_create(tune_deaf);
	struct bk_pci_function_desc desc = { .vendor = 0x1b36, .device = 0x1000, .pin = 1 };
	struct bk_pci_bar_state bar = { .struct_size = sizeof(bar) };
	struct bk_pci_function *function;

	assert_int_equal(bk_pci_function_create(world->domain, &desc, &function, NULL), 0);
	assert_string_equal(bk_pci_function_name(function), "function");
	assert_int_equal(bk_pci_msi_add(function, 0x40, 2, false, true), 0x40);
	assert_int_equal(bk_pci_function_attach(function, world->bus, DEVFN), 0);
	assert_int_equal(bk_pci_function_intx_line(function), 1);
	assert_int_equal(bk_pci_function_set_intx(function, true), 0);
	assert_config(world, DEVFN, 6, 1, 0x18);
	assert_int_equal(bk_pci_function_set_intx(function, false), 0);
	config_write(world, DEVFN, 4, 2, 4);
	config_write(world, DEVFN, 0x42, 2, 1);
	assert_int_equal(bk_pci_function_send_msi(function, 0), 0);
	assert_int_equal(bk_pci_function_send_msi(function, 1), -EINVAL);
	/* The same with its interrupts from outside. */
	bk_pci_function_set_irq_ops(function, &deaf, NULL);
	config_write(world, DEVFN, 0x4c, 1, 1);
	assert_config(world, DEVFN, 0x50, 4, 0);
	config_write(world, DEVFN, 0x4c, 1, 0);
	config_write(world, DEVFN, 4, 2, 0x404);
	config_write(world, DEVFN, 0x42, 2, 0);
	assert_int_equal(bk_pci_function_send_msi(function, 0), -EPERM);
	assert_int_equal(bk_pci_function_reset(function), 0);
	assert_config(world, DEVFN, 4, 2, 0);
	assert_int_equal(bk_pci_function_detach(function), 0);
	assert_int_equal(bk_pci_function_detach(function), 0);
	assert_int_equal(bk_pci_function_bar(function, 0, &bar), -EINVAL);
	assert_int_equal(bk_pci_function_destroy(function), 0);
	world_destroy(world);
}

/* ---- A page that a BAR may share ---------------------------------------------- */

static void a_bar_below_a_page_shows_all_of_it_where_it_is_aligned(void **state)
{
	struct world *world = world_create(NULL);
	struct bk_pci_function_desc desc = { .bars = { MEM32_BAR(0x1000) } };
	struct part lender, sharer;

	part_create(world, &lender, 1, desc);
	desc.bars[0] = (struct bk_pci_bar){
		.kind = BK_PCI_BAR_MEM32, .size = 0x100, .space = lender.spaces[0], .page = 0x1000
	};
	part_create(world, &sharer, 2, desc);
	part_attach(world, &sharer, DEVFN);
	config_write(world, DEVFN, BAR(0), 4, WINDOW_FIRST);
	assert_memory(world, WINDOW_FIRST + 0xfff, NOBODY);
	config_write(world, DEVFN, 4, 2, 2);
	assert_memory(world, WINDOW_FIRST, WHO(1, 0));
	assert_memory(world, WINDOW_FIRST + 0xfff, WHO(1, 0));
	config_write(world, DEVFN, BAR(0), 4, WINDOW_FIRST + 0x100);
	assert_memory(world, WINDOW_FIRST + 0x1ff, WHO(1, 0));
	assert_memory(world, WINDOW_FIRST + 0x200, NOBODY);
	assert_memory(world, WINDOW_FIRST + 0xfff, NOBODY);
	part_destroy(&sharer);
	part_destroy(&lender);
	world_destroy(world);
}

/* ---- Structs of other releases, and of callers who keep none ------------- */

static void of_a_later_release(void **state)
{
	struct bk_domain *domain = bk_domain_create();
	struct {
		struct bk_pci_host_desc desc;
		uint64_t more;
	} host = { .desc = { .struct_size = sizeof(host), .domain = domain }, .more = 1 };
	struct {
		struct bk_pci_function_desc desc;
		uint64_t more;
	} function = { .desc = { .struct_size = sizeof(function), .vendor = 1 }, .more = 1 };
	struct {
		struct bk_pci_irq_ops ops;
		uint64_t more;
	} irq = { .ops = { .struct_size = sizeof(irq) }, .more = 1 };
	struct {
		struct bk_pci_capability_desc desc;
		uint64_t more;
	} capability = { .desc = { .struct_size = sizeof(capability), .id = 9, .size = 4 }, .more = 1 };
	struct {
		struct bk_pci_vendor_desc desc;
		uint64_t more;
	} vendor = { .desc = { .struct_size = sizeof(vendor) }, .more = 1 };
	struct {
		struct bk_pci_msix_desc desc;
		uint64_t more;
	} msix = { .desc = { .struct_size = sizeof(msix), .vectors = 1 }, .more = 1 };
	struct {
		struct bk_pci_preset preset;
		uint64_t more;
	} preset = { .preset = { .struct_size = sizeof(preset), .offset = 0x3c }, .more = 1 };
	struct bk_pci_function *created;
	struct bk_pci_host *bridge;

	(void)state;
	assert_int_equal(bk_pci_host_create(&host.desc, &bridge, NULL), -E2BIG);
	assert_int_equal(bk_pci_function_create(domain, &function.desc, &created, NULL), -E2BIG);
	host.more = function.more = 0; /* what it does not use does no harm */
	assert_int_equal(bk_pci_host_create(&host.desc, &bridge, NULL), 0);
	assert_int_equal(bk_pci_function_create(domain, &function.desc, &created, NULL), 0);
	assert_int_equal(bk_pci_function_set_irq_ops(created, &irq.ops, NULL), -E2BIG);
	irq.more = 0;
	assert_int_equal(bk_pci_function_set_irq_ops(created, &irq.ops, NULL), 0);
	assert_int_equal(bk_pci_capability_add(created, &capability.desc), -E2BIG);
	assert_int_equal(bk_pci_vendor_add(created, &vendor.desc), -E2BIG);
	assert_int_equal(bk_pci_msix_add(created, &msix.desc), -E2BIG);
	assert_int_equal(bk_pci_function_preset(created, &preset.preset), -E2BIG);
	capability.more = vendor.more = preset.more = 0;
	assert_int_equal(bk_pci_capability_add(created, &capability.desc), 0x40);
	assert_int_equal(bk_pci_vendor_add(created, &vendor.desc), 0x44);
	assert_int_equal(bk_pci_function_preset(created, &preset.preset), 0);
	/* What would be cut to another id, and a kind that there is not. */
	capability.desc.id = 0x109;
	assert_int_equal(bk_pci_capability_add(created, &capability.desc), -EINVAL);
	vendor.desc.kind = (enum bk_pci_vendor_kind)3;
	assert_int_equal(bk_pci_vendor_add(created, &vendor.desc), -EINVAL);
	assert_int_equal(bk_pci_function_destroy(created), 0);
	assert_int_equal(bk_pci_host_destroy(bridge), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

static void count_mode(void *opaque, enum bk_pci_irq_mode mode, unsigned vectors)
{
	++*(unsigned *)opaque;
}

/* Ops and windows may be gone after the call. */
static void ops_and_windows_are_copied(void **state)
{
	struct bk_domain *domain = bk_domain_create();
	struct bk_space *memory = bk_space_create(domain, "memory", UINT64_MAX);
	struct bk_pci_window window = { BK_PCI_WINDOW_MEMORY, memory, 0x80000000, 0x8fffffff, 0x80000000, 0 };
	const struct bk_pci_host_desc desc = { .domain = domain, .windows = &window, .window_count = 1 };
	const struct bk_pci_function_desc function = { .vendor = 1 };
	struct bk_pci_irq_ops ops = { .mode = count_mode };
	struct bk_pci_function *created;
	struct bk_pci_host *host;
	unsigned calls = 0;

	(void)state;
	assert_int_equal(bk_pci_host_create(&desc, &host, NULL), 0);
	memset(&window, 0xa5, sizeof(window));
	assert_int_equal(bk_pci_function_create(domain, &function, &created, NULL), 0);
	assert_true(bk_pci_msi_add(created, 0x40, 1, false, false) > 0);
	assert_int_equal(bk_pci_function_set_irq_ops(created, &ops, &calls), 0);
	memset(&ops, 0, sizeof(ops));
	assert_int_equal(calls, 1);
	assert_int_equal(bk_pci_function_attach(created, bk_pci_host_bus(host), 8), 0);
	assert_int_equal(bk_pci_function_write(created, 0x42, 2, 1), 0); /* MSI on */
	assert_int_equal(calls, 2);
	assert_int_equal(assign(host, 0x1000, NULL, NULL), 0); /* looks at the windows */
	assert_int_equal(bk_pci_function_detach(created), 0);
	assert_int_equal(bk_pci_function_destroy(created), 0);
	assert_int_equal(bk_pci_host_destroy(host), 0);
	assert_int_equal(bk_space_destroy(memory), 0);
	assert_int_equal(bk_domain_destroy(domain), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_later_release),
		cmocka_unit_test(ops_and_windows_are_copied),
		cmocka_unit_test(bars_that_cannot_be),
		cmocka_unit_test(functions_that_cannot_be),
		cmocka_unit_test(hosts_that_cannot_be),
		cmocka_unit_test(capabilities_that_cannot_be),
		cmocka_unit_test(owners_that_want_to_know_nothing),
		cmocka_unit_test(a_bar_below_a_page_shows_all_of_it_where_it_is_aligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
