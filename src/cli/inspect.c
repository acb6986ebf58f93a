/* SPDX-License-Identifier: BSD-2-Clause */
/* `barkeep inspect`: collects the facts about a device in one JSON value, and prints that or a table of
 * it. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>
#include <pci/pci.h>

#include "base/pci_regs.h"
#include "cli/look.h"
#include "cli/page_runs.h"
#include "pci/chain.h"

static const char help[] =
	"usage: barkeep inspect [--json] SPEC[,romfile=FILE][,rombar=off][,vga=on][,msix=barN]\n"
	"                               [,quirks=QUIRKS][,set=NAME=VALUE]...[,trap=TRAP]...\n"
	"\n"
	"Shows a device as a guest would see it: ids, IOMMU group, regions, capabilities,\n"
	"interrupts, and which pages would be mapped and which trapped. It opens the device and\n"
	"gives it back.\n"
	"\n"
	"  SPEC    vfio:DDDD:BB:SS.F (a host device bound to vfio-pci), sim:FILE,\n"
	"          dump:FILE (the output of lspci -vvxxxx)[,function=BB:SS.F][,bar0=SIZE]...,\n"
	"          vfio-user:PATH, virtio-blk:FILE, virtio-net:user, virtio-net:tap=NAME\n"
	"  QUIRKS, TRAP\n"
	"          as for `barkeep run`\n"
	"  --json  print one JSON object instead of tables\n"
	"  --help\n"
	"\n"
	"Exit status: 0, 1 error, 2 wrong arguments.\n";

/* PCI Code and ID Assignment 1.14, chapters 2 and 3, as far as they are met in practice. */
static const char *const capability_names[] = {
	[0x01] = "power management",
	[0x02] = "AGP",
	[0x03] = "VPD",
	[0x04] = "slot id",
	[0x05] = "MSI",
	[0x07] = "PCI-X",
	[0x08] = "HyperTransport",
	[0x09] = "vendor",
	[0x0a] = "debug port",
	[0x0c] = "hot-plug",
	[0x0d] = "subsystem ids",
	[0x10] = "PCI Express",
	[0x11] = "MSI-X",
	[0x12] = "SATA",
	[0x13] = "advanced features",
	[0x14] = "EA",
};
static const char *const extended_names[] = {
	[0x01] = "AER",
	[0x02] = "VC",
	[0x03] = "serial number",
	[0x04] = "power budgeting",
	[0x0b] = "vendor",
	[0x0d] = "ACS",
	[0x0e] = "ARI",
	[0x0f] = "ATS",
	[0x10] = "SR-IOV",
	[0x13] = "PRI",
	[0x15] = "resizable BAR",
	[0x17] = "TPH",
	[0x18] = "LTR",
	[0x19] = "secondary PCIe",
	[0x1b] = "PASID",
	[0x1d] = "DPC",
	[0x1e] = "L1 PM substates",
	[0x1f] = "PTM",
	[0x23] = "DVSEC",
	[0x25] = "data link feature",
	[0x26] = "16 GT/s",
	[0x27] = "lane margining",
};

static const char *name_of(const char *const *names, size_t count, unsigned id)
{
	return id < count && names[id] ? names[id] : "unknown";
}
#define NAME_OF(names, id) name_of(names, sizeof(names) / sizeof(names[0]), id)

static void put_string(json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static void put_int(json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static void put_bool(json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

static void put_hex(json_object *o, const char *key, unsigned digits, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%0*" PRIx64, (int)digits, value);
	put_string(o, key, text);
}

static json_object *put_array(json_object *o, const char *key)
{
	json_object *array = json_object_new_array();

	json_object_object_add(o, key, array);
	return array;
}

static const char *string_in(json_object *o, const char *key)
{
	return json_object_get_string(json_object_object_get(o, key));
}

static uint64_t int_in(json_object *o, const char *key)
{
	return json_object_get_uint64(json_object_object_get(o, key));
}

/* ---- Collecting -------------------------------------------------------- */

/* The guest's view of a register; all ones where there is none. */
static unsigned config(struct bk_mediator *mediate, unsigned offset, unsigned width)
{
	uint64_t value;

	bk_space_read(bk_mediator_space(mediate, BK_DEVICE_CONFIG), offset, width, &value);
	return (unsigned)value;
}

/* Without pci_init libpci only looks up names, and says nothing. */
static void quiet(char *message, ...)
{
}

static void put_ids(json_object *o, struct bk_mediator *mediate)
{
	unsigned vendor = config(mediate, BK__PCI_VENDOR, 2), device = config(mediate, BK__PCI_DEVICE, 2),
		 class_code = config(mediate, BK__PCI_REVISION, 4) >> 8;
	unsigned subsystem_vendor = config(mediate, BK__PCI_SUBSYSTEM_VENDOR, 2),
		 subsystem = config(mediate, BK__PCI_SUBSYSTEM, 2);
	struct pci_access *names = pci_alloc();
	char text[256];

	names->warning = names->debug = quiet;
	put_hex(o, "vendor", 4, vendor);
	put_hex(o, "device", 4, device);
	put_string(o, "name",
		   pci_lookup_name(names, text, sizeof(text),
				   PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE | PCI_LOOKUP_NO_HWDB, vendor,
				   device));
	put_hex(o, "class", 6, class_code);
	put_string(o, "class_name",
		   pci_lookup_name(names, text, sizeof(text), PCI_LOOKUP_CLASS | PCI_LOOKUP_NO_HWDB,
				   class_code >> 8));
	put_hex(o, "revision", 2, config(mediate, BK__PCI_REVISION, 1));
	put_hex(o, "subsystem_vendor", 4, subsystem_vendor);
	put_hex(o, "subsystem", 4, subsystem);
	pci_cleanup(names);
}

static void put_fact(void *opaque, const char *key, const char *value)
{
	json_object *fact = json_object_new_object();

	put_string(fact, "what", key);
	put_string(fact, "is", value);
	json_object_array_add(opaque, fact);
}

static void put_trap(void *opaque, const char *name, uint64_t first, uint64_t last)
{
	json_object *trap = json_object_new_object();

	put_string(trap, "name", name);
	put_int(trap, "first", first);
	put_int(trap, "last", last);
	json_object_array_add(opaque, trap);
}

struct pages_of {
	struct bk_space *space;
	json_object *array;
};

static void put_pages(void *opaque, const struct cli_pages *run)
{
	const struct pages_of *of = opaque;
	json_object *pages = json_object_new_object();

	put_int(pages, "first", run->first);
	put_int(pages, "last", run->last);
	put_bool(pages, "mapped", run->mapped);
	if (!run->mapped)
		cli_pages_traps(of->space, run, put_trap, put_array(pages, "answered_by"));
	json_object_array_add(of->array, pages);
}

static void put_regions(json_object *regions, struct bk_mediator *mediate)
{
	for (unsigned index = 0; index <= BK_DEVICE_VGA; index++) {
		struct bk_space *space = bk_mediator_space(mediate, index);
		const char *kind = index == BK_DEVICE_ROM      ? "rom"
				   : index == BK_DEVICE_CONFIG ? "config"
							       : "vga";
		struct bk_pci_bar_state state = { .struct_size = sizeof(state) };
		uint64_t size;
		json_object *o;

		if (!space)
			continue;
		size = bk_space_last(space) + 1;
		o = json_object_new_object();
		put_string(o, "name", bk_device_region_name(index));
		if (index < BK_DEVICE_ROM) {
			unsigned bar = config(mediate, BK__PCI_BAR0 + 4 * index, 4);

			kind = bar & BK__PCI_BAR_IO                              ? "io"
			       : (bar & BK__PCI_BAR_TYPE) == BK__PCI_BAR_TYPE_64 ? "mem64"
										 : "mem32";
			put_bool(o, "prefetchable",
				 !(bar & BK__PCI_BAR_IO) && bar & BK__PCI_BAR_PREFETCHABLE);
			if (!bk_pci_function_bar(bk_mediator_function(mediate), index, &state))
				size = state.size;
			put_bool(o, "shares_page", size <= bk_space_last(space));
		}
		put_string(o, "kind", kind);
		put_int(o, "size", size);
		if (index < BK_DEVICE_ROM) {
			struct pages_of of = { space, put_array(o, "pages") };

			cli_pages_visit(space, (uint64_t)sysconf(_SC_PAGESIZE), put_pages, &of);
		}
		json_object_array_add(regions, o);
	}
}

static void put_capability(json_object *array, unsigned offset, unsigned id, bool extended)
{
	json_object *o = json_object_new_object();

	put_int(o, "offset", offset);
	put_int(o, "id", id);
	put_bool(o, "extended", extended);
	put_string(o, "name", extended ? NAME_OF(extended_names, id) : NAME_OF(capability_names, id));
	json_object_array_add(array, o);
}

static bool config_read(void *opaque, unsigned offset, unsigned width, uint32_t *value)
{
	*value = config(opaque, offset, width);
	return true;
}

static void put_chain(json_object *array, struct bk_mediator *mediate, bool extended)
{
	const unsigned size = (unsigned)bk_space_last(bk_mediator_space(mediate, BK_DEVICE_CONFIG)) + 1;
	struct bk__pci_chain chain;

	bk__pci_chain_begin_read(&chain, size, extended, config_read, mediate);
	while (bk__pci_chain_next(&chain))
		if (!extended || (chain.id && chain.id != 0xffff))
			put_capability(array, chain.at, chain.id, extended);
}

static void put_capabilities(json_object *array, struct bk_mediator *mediate)
{
	put_chain(array, mediate, false);
	put_chain(array, mediate, true);
}

static void put_interrupts(json_object *array, struct bk_mediator *mediate)
{
	static const char *const names[] = { "INTx", "MSI", "MSI-X", "error", "request" };

	for (unsigned index = 0; index < BK_DEVICE_IRQS; index++) {
		struct bk_device_irq irq = { 0 };
		json_object *o;

		if (bk_device_irq(bk_mediator_below(mediate), index, &irq) || !irq.count)
			continue;
		o = json_object_new_object();
		put_string(o, "name", names[index]);
		put_int(o, "vectors", irq.count);
		put_bool(o, "maskable", irq.flags & BK_DEVICE_IRQ_MASKABLE);
		put_bool(o, "automasked", irq.flags & BK_DEVICE_IRQ_AUTOMASKED);
		json_object_array_add(array, o);
	}
}

static json_object *collect(const struct cli_device *device)
{
	json_object *o = json_object_new_object();
	struct bk_device_info info = { 0 };

	put_string(o, "spec", device->spec);
	put_ids(o, device->mediate);
	bk_device_info(bk_mediator_below(device->mediate), &info);
	put_bool(o, "can_reset", info.flags & BK_DEVICE_CAN_RESET);
	bk_device_describe(bk_mediator_below(device->mediate), put_fact, put_array(o, "host"));
	put_regions(put_array(o, "regions"), device->mediate);
	put_capabilities(put_array(o, "capabilities"), device->mediate);
	put_interrupts(put_array(o, "interrupts"), device->mediate);
	return o;
}

/* ---- Printing ---------------------------------------------------------- */

/* 0x1000 as "4 KiB"; what is no whole number of a unit stays bytes. */
static const char *human(uint64_t bytes, char *text, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	unsigned unit = 0;

	while (unit < 4 && bytes >= 1024 && !(bytes % 1024)) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, size, "%" PRIu64 " %s", bytes, units[unit]);
	return text;
}

static void print_region(json_object *region)
{
	json_object *pages = json_object_object_get(region, "pages");
	char size[32];

	printf("  %-7s %-6s %10s%s%s\n", string_in(region, "name"), string_in(region, "kind"),
	       human(int_in(region, "size"), size, sizeof(size)),
	       json_object_get_boolean(json_object_object_get(region, "prefetchable")) ? "  prefetchable"
										       : "",
	       json_object_get_boolean(json_object_object_get(region, "shares_page"))
		       ? "  (mapped while alone in a page)"
		       : "");
	for (size_t i = 0; pages && i < json_object_array_length(pages); i++) {
		json_object *run = json_object_array_get_idx(pages, i);
		json_object *traps = json_object_object_get(run, "answered_by");

		printf("    %#12" PRIx64 " - %#-12" PRIx64 " %s\n", int_in(run, "first"), int_in(run, "last"),
		       traps ? "exits" : "mapped");
		for (size_t j = 0; traps && j < json_object_array_length(traps); j++) {
			json_object *trap = json_object_array_get_idx(traps, j);

			printf("      %#12" PRIx64 " - %#-12" PRIx64 " %s\n", int_in(trap, "first"),
			       int_in(trap, "last"), string_in(trap, "name"));
		}
	}
}

static void print_text(json_object *o)
{
	json_object *array;

	printf("%s: %s\n", string_in(o, "spec"), string_in(o, "name"));
	printf("  ids       %s:%s, subsystem %s:%s, revision %s\n", string_in(o, "vendor"),
	       string_in(o, "device"), string_in(o, "subsystem_vendor"), string_in(o, "subsystem"),
	       string_in(o, "revision"));
	printf("  class     %s (%s)\n", string_in(o, "class"), string_in(o, "class_name"));
	printf("  reset     %s\n", json_object_get_boolean(json_object_object_get(o, "can_reset"))
					   ? "yes"
					   : "the host offers none");

	array = json_object_object_get(o, "host");
	puts("\nhost");
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		json_object *fact = json_object_array_get_idx(array, i);

		printf("  %-16s %s\n", string_in(fact, "what"), string_in(fact, "is"));
	}

	array = json_object_object_get(o, "regions");
	puts("\nregions, and who answers in their pages");
	for (size_t i = 0; i < json_object_array_length(array); i++)
		print_region(json_object_array_get_idx(array, i));

	array = json_object_object_get(o, "capabilities");
	puts("\ncapabilities");
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		json_object *capability = json_object_array_get_idx(array, i);

		printf("  %#05" PRIx64 "  %s\n", int_in(capability, "offset"), string_in(capability, "name"));
	}

	array = json_object_object_get(o, "interrupts");
	puts("\ninterrupts");
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		json_object *irq = json_object_array_get_idx(array, i);

		printf("  %-8s %4" PRIu64 " vector%s\n", string_in(irq, "name"), int_in(irq, "vectors"),
		       int_in(irq, "vectors") == 1 ? "" : "s");
	}
}

static void look(void *opaque, const struct cli_device *device)
{
	const bool *json = opaque;
	json_object *o = collect(device);

	if (*json)
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		print_text(o);
	json_object_put(o);
}

int cli_inspect(int argc, char **argv)
{
	enum { JSON = 256, HELP };
	static const struct option options[] = {
		{ "json", no_argument, NULL, JSON },
		{ "help", no_argument, NULL, HELP },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (option) {
		case JSON:
			json = true;
			break;
		case HELP:
			fputs(help, stdout);
			return CLI_OK;
		default:
			return cli_unknown_option("inspect", argv);
		}
	}
	if (optind == argc)
		return cli_usage("inspect", "name a device, as vfio:0000:01:00.0");
	if (optind + 1 < argc)
		return cli_usage("inspect", "one device at a time; `%s` is too much", argv[optind + 1]);
	return cli_look("inspect", argv[optind], look, &json);
}
