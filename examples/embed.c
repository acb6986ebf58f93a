/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libbarkeep inside a VMM: one guest, one device, one trap of our own, and a
 * vCPU whose exits are a list. Build it against the installed library:
 *     cc embed.c $(pkg-config --cflags --libs barkeep) -o embed
 *     ./embed sim:examples/edu.yaml              (or vfio:0000:01:00.0)
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <barkeep/mediate.h>

#define ECAM   UINT64_C(0xe0000000)
#define WINDOW UINT64_C(0xc0000000) /* 256 MiB for 32-bit BARs, and more above 4 GiB */
#define HIGH   UINT64_C(0x1000000000)
#define CONFIG (ECAM + (BK_PCI_DEVFN(1, 0) << 12)) /* config space of 00:01.0 */

/* What KVM_EXIT_MMIO says. */
struct exit {
	uint64_t address;
	unsigned width;
	bool write;
	uint64_t value;
};

static uint64_t serve(struct bk_space *memory, struct exit exit)
{
	if (exit.write)
		bk_space_write(memory, exit.address, exit.width, exit.value);
	else
		bk_space_read(memory, exit.address, exit.width, &exit.value);
	printf("  %s 0x%" PRIx64 " %u bytes: 0x%" PRIx64 "\n", exit.write ? "write" : "read ", exit.address,
	       exit.width, exit.value);
	return exit.value;
}

/* A VMM sets memslots here: what is told is page-sized and up to round inward. */
static void slot_added(void *opaque, const struct bk_flat *flat)
{
	printf("  memslot + 0x%" PRIx64 "-0x%" PRIx64 " (%s)\n", flat->first, flat->last,
	       bk_region_name(flat->region));
}

static void slot_removed(void *opaque, const struct bk_flat *flat)
{
	printf("  memslot - 0x%" PRIx64 "-0x%" PRIx64 "\n", flat->first, flat->last);
}

/* A trap: the register at 0x08 of BAR 0 is ours. Other registers of its page still reach the device. */
static int my_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = 0xb0bb1e;
	return 0;
}

static void complain(void *opaque, const char *line)
{
	fprintf(stderr, "embed: %s\n", line);
}

static int run(struct bk_space *memory, struct bk_pci_host *host, struct bk_mediator *mediate)
{
	static const struct bk_trap_ops ops = { .read = my_read };
	const struct bk_trap_desc desc = {
		.region = 0, .offset = 0x08, .length = 4, .name = "mine", .ops = &ops
	};
	struct bk_pci_function *function = bk_mediator_function(mediate);
	struct bk_pci_bar_state bar = { .struct_size = sizeof(bar) };
	struct bk_trap *trap;
	struct bk_error err;
	bool good;

	if (bk_pci_function_attach(function, bk_pci_host_bus(host), BK_PCI_DEVFN(1, 0)))
		return 1;
	puts("without firmware we give addresses, and switch the device on:");
	if (bk_pci_host_assign(host, 4096, NULL, complain, NULL) || bk_pci_function_bar(function, 0, &bar))
		return 1;
	puts("the guest reads ids from ECAM, and the register at 0x08:");
	serve(memory, (struct exit){ CONFIG, 4, false, 0 });
	serve(memory, (struct exit){ bar.address + 0x08, 4, false, 0 });
	puts("with a trap on it:");
	if (bk_trap_add(mediate, &desc, &trap, &err)) {
		complain(NULL, err.text);
		return 1;
	}
	good = serve(memory, (struct exit){ bar.address + 0x08, 4, false, 0 }) == 0xb0bb1e;
	puts("the guest moves BAR 0 by 16 MiB while it decodes:");
	serve(memory, (struct exit){ CONFIG + 0x10, 4, true, (uint32_t)bar.address + 0x1000000 });
	good = serve(memory, (struct exit){ bar.address + 0x1000008, 4, false, 0 }) == 0xb0bb1e && good;
	puts("where it was, nobody answers:");
	good = serve(memory, (struct exit){ bar.address + 0x08, 4, false, 0 }) == 0xffffffff && good;
	bk_pci_function_detach(function);
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct bk_listener_ops slots = { .added = slot_added,
						      .removed = slot_removed,
						      .mapped_only = true };
	struct bk_domain *domain = bk_domain_create();
	struct bk_space *memory = bk_space_create(domain, "memory", UINT64_MAX);
	struct bk_device_context *context = bk_device_context_create();
	struct bk_pci_host_desc desc = {
		.domain = domain,
		.windows =
			(const struct bk_pci_window[]){
				{ BK_PCI_WINDOW_MEMORY, memory, WINDOW, WINDOW + 0xfffffff, WINDOW, 0 },
				{ BK_PCI_WINDOW_MEMORY, memory, HIGH, HIGH + 0xffffffffff, HIGH, 0 } },
		.window_count = 2,
		.ecam = memory,
		.ecam_first = ECAM,
		.ecam_priority = 1,
		.bus_last = 0xff,
	};
	struct bk_listener *listener;
	struct bk_mediator *mediate;
	struct bk_pci_host *host;
	struct bk_device *device;
	struct bk_error err;
	int status;

	bk_listener_add(memory, &slots, NULL, &listener);
	if (bk_pci_host_create(&desc, &host, &err) ||
	    bk_device_open(context, argc > 1 ? argv[1] : "sim:examples/edu.yaml", &device, &err) ||
	    bk_mediator_create(domain, device, NULL, &mediate, &err)) {
		complain(NULL, err.text);
		return 1;
	}
	status = run(memory, host, mediate);
	bk_mediator_destroy(mediate);
	bk_pci_host_destroy(host);
	bk_listener_remove(listener);
	bk_space_destroy(memory);
	bk_domain_destroy(domain);
	bk_device_context_destroy(context);
	return status;
}
