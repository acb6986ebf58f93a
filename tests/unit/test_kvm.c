/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the monitor asks of KVM and of a device: memory slots that follow a
 * space, interrupts that follow a function's registers, DMA that follows RAM.
 * KVM is a list of what it was asked; vm.c is left out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <barkeep/device.h>
#include <barkeep/pci.h>

#include "monitor/events.h"
#include "monitor/gsi.h"
#include "monitor/iommu.h"
#include "monitor/interrupts.h"
#include "monitor/slots.h"

#define PAGE  UINT64_C(0x1000)
#define SLOTS 8

/* ---- KVM --------------------------------------------------------------- */

static struct {
	struct kvm_userspace_memory_region slots[SLOTS]; /* by number; size 0: none */
	unsigned changes;                                /* of slots */
	bool refuse;                                     /* the next new slot */
	unsigned keep;                                   /* so many removals fail */
	unsigned lost;
	unsigned holds, released;
	bool held;
	unsigned changes_outside; /* of slots, while nobody held vCPUs */

	struct {
		int fd, resample;
		unsigned gsi;
	} joined[8];
	unsigned joined_count;
	struct kvm_irq_routing_entry routes[64];
	unsigned route_count;
} kvm;

static int set_slot(const struct kvm_userspace_memory_region *region)
{
	assert_true(region->slot < SLOTS);
	kvm.changes++;
	kvm.changes_outside += !kvm.held;
	if (region->memory_size && kvm.refuse) {
		kvm.refuse = false;
		return -EINVAL;
	}
	if (!region->memory_size && kvm.keep) {
		kvm.keep--;
		return -ENOMEM;
	}
	for (unsigned i = 0; region->memory_size && i < SLOTS; i++) { /* as KVM does */
		if (kvm.slots[i].memory_size &&
		    region->guest_phys_addr < kvm.slots[i].guest_phys_addr + kvm.slots[i].memory_size &&
		    kvm.slots[i].guest_phys_addr < region->guest_phys_addr + region->memory_size)
			return -EEXIST;
	}
	kvm.slots[region->slot] = *region;
	return 0;
}

static int set_irqfd(const struct kvm_irqfd *irqfd)
{
	unsigned i;

	for (i = 0; i < kvm.joined_count && kvm.joined[i].fd != (int)irqfd->fd; i++)
		;
	if (irqfd->flags & KVM_IRQFD_FLAG_DEASSIGN) {
		assert_true(i < kvm.joined_count);
		assert_int_equal(kvm.joined[i].gsi, irqfd->gsi);
		kvm.joined[i] = kvm.joined[--kvm.joined_count];
		return 0;
	}
	assert_int_equal(i, kvm.joined_count);
	kvm.joined[i].fd = (int)irqfd->fd;
	kvm.joined[i].gsi = irqfd->gsi;
	kvm.joined[i].resample = irqfd->flags & KVM_IRQFD_FLAG_RESAMPLE ? (int)irqfd->resamplefd : -1;
	kvm.joined_count++;
	return 0;
}

int bk__monitor_vm_ioctl(const struct bk__monitor_vm *vm, unsigned long request, void *argument)
{
	const struct kvm_irq_routing *table = argument;

	switch (request) {
	case KVM_SET_USER_MEMORY_REGION:
		return set_slot(argument);
	case KVM_IRQFD:
		return set_irqfd(argument);
	case KVM_SET_GSI_ROUTING:
		assert_true(table->nr <= 64);
		kvm.route_count = table->nr;
		memcpy(kvm.routes, table->entries, table->nr * sizeof(table->entries[0]));
		return 0;
	default:
		return -ENOTTY;
	}
}

int bk__monitor_vm_open(struct bk__monitor_vm *vm, struct bk_error *err)
{
	return -ENODEV;
}

void bk__monitor_vm_close(struct bk__monitor_vm *vm)
{
}

static const struct bk__monitor_vm vm = {
	.kvm = -1, .fd = -1, .slots = SLOTS, .routes = 4096, .readonly = true
};

static unsigned used_slots(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < SLOTS; i++)
		count += kvm.slots[i].memory_size != 0;
	return count;
}

static const struct kvm_userspace_memory_region *slot_at(uint64_t gpa)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (kvm.slots[i].memory_size && kvm.slots[i].guest_phys_addr == gpa)
			return &kvm.slots[i];
	}
	return NULL;
}

/* ---- Slots ------------------------------------------------------------- */

static void on_hold(void *opaque)
{
	kvm.holds++;
	kvm.held = true;
}

static void on_release(void *opaque)
{
	kvm.released++;
	kvm.held = false;
}

static void on_lost(void *opaque, const char *line)
{
	assert_true(kvm.held); /* from the first failure on nobody reaches what is behind it */
	assert_non_null(strstr(line, "at 0x100000 cannot be removed"));
	kvm.lost++;
}

static const struct bk__monitor_slots_ops slots_ops = { .hold = on_hold,
							.release = on_release,
							.lost = on_lost };

struct world {
	struct bk_domain *domain;
	struct bk_space *memory;
	struct bk__monitor_slots *slots;
	uint8_t *host; /* 16 pages */
};

static int never_read(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	return -EIO;
}

static int never_write(void *opaque, uint64_t offset, unsigned width, uint64_t value)
{
	return -EIO;
}

static const struct bk_region_ops device_ops = { .read = never_read, .write = never_write };

static struct bk_region *add(struct world *world, uint64_t first, uint64_t size, uint64_t skip, int priority,
			     unsigned attributes)
{
	const struct bk_region_desc desc = {
		.name = "mapped",
		.first = first,
		.last = first + size - 1,
		.priority = priority,
		.rank = first,
		.kind = BK_REGION_MAPPED,
		.ops = &device_ops,
		.memory = { .host = world->host + skip, .fd = -1, .attributes = attributes },
	};
	struct bk_update *update = bk_update_begin(world->domain);
	struct bk_region *region;

	assert_int_equal(bk_update_add(update, world->memory, &desc, &region), 0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
	return region;
}

static void move(struct world *world, struct bk_region *region, uint64_t first, uint64_t size)
{
	struct bk_update *update = bk_update_begin(world->domain);

	assert_int_equal(bk_update_move(update, region, first, first + size - 1), 0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
}

static void open_world(struct world *world)
{
	struct bk_error err;

	memset(&kvm, 0, sizeof(kvm));
	world->domain = bk_domain_create();
	world->memory = bk_space_create(world->domain, "memory", UINT64_MAX);
	world->host = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(world->host, MAP_FAILED);
	assert_int_equal(bk__monitor_slots_create(&vm, world->memory, &slots_ops, NULL, &world->slots, &err),
			 0);
}

static void close_world(struct world *world)
{
	bk__monitor_slots_destroy(world->slots);
	assert_int_equal(used_slots(), 0);
	assert_int_equal(kvm.holds, kvm.released);
	assert_int_equal(bk_space_destroy(world->memory), 0);
	assert_int_equal(bk_domain_destroy(world->domain), 0);
	munmap(world->host, 16 * PAGE);
}

static void slots_follow_the_space(void **state)
{
	struct world world;
	struct bk__monitor_slots_stats stats;
	struct bk_region *ram, *bar;

	open_world(&world);
	ram = add(&world, 0, 4 * PAGE, 0, 1, BK_MEMORY_RAM);
	bar = add(&world, 0x100000, 2 * PAGE, 8 * PAGE, 0, BK_MEMORY_DEVICE);
	assert_int_equal(used_slots(), 2);
	assert_int_equal(slot_at(0)->memory_size, 4 * PAGE);
	assert_int_equal(slot_at(0x100000)->userspace_addr, (uintptr_t)world.host + 8 * PAGE);
	assert_int_equal(slot_at(0x100000)->flags, 0);
	assert_true(bk__monitor_slots_covers(world.slots, 0x100000 + 2 * PAGE - 1));
	assert_false(bk__monitor_slots_covers(world.slots, 0x100000 + 2 * PAGE));

	/* A move touches the slot that moves and no other, and needs no hold: the places are apart. */
	kvm.changes = 0;
	move(&world, bar, 0x200000, 2 * PAGE);
	assert_int_equal(kvm.changes, 2);
	assert_null(slot_at(0x100000));
	assert_non_null(slot_at(0x200000));
	assert_int_equal(kvm.holds, 0);

	/* Under RAM it is nowhere, and nobody is told to map anything. */
	move(&world, bar, PAGE, 2 * PAGE);
	assert_int_equal(used_slots(), 1);
	bk__monitor_slots_stats(world.slots, &stats);
	assert_int_equal(stats.used, 1);
	assert_int_equal(stats.unmappable, 0);
	bk_region_retire(bar);
	bk_region_retire(ram);
	close_world(&world);
}

/* F37's other half: vCPUs are out of the guest while a page has no slot on the way from one to the next. */
static void vcpus_are_held_where_old_and_new_overlap(void **state)
{
	struct world world;
	struct bk_region *bar;

	open_world(&world);
	bar = add(&world, 0x100000, 4 * PAGE, 0, 0, BK_MEMORY_DEVICE);
	assert_int_equal(kvm.holds, 0);
	kvm.changes_outside = 0;
	move(&world, bar, 0x101000, 4 * PAGE);
	assert_int_equal(kvm.holds, 1);
	assert_int_equal(kvm.released, 1);
	assert_int_equal(kvm.changes_outside, 0);
	assert_int_equal(slot_at(0x101000)->memory_size, 4 * PAGE);
	bk_region_retire(bar);
	close_world(&world);
}

static void what_cannot_be_mapped_is_counted_and_left_to_exits(void **state)
{
	struct world world;
	struct bk__monitor_slots_stats stats;
	struct bk_region *odd, *small, *refused, *readonly;

	open_world(&world);
	odd = add(&world, 0x100000, 2 * PAGE, 0x80, 0, BK_MEMORY_DEVICE);
	small = add(&world, 0x200000, 0x80, 0, 0, BK_MEMORY_DEVICE);
	kvm.refuse = true;
	refused = add(&world, 0x300000, 3 * PAGE, 0, 0, BK_MEMORY_DEVICE);
	bk__monitor_slots_stats(world.slots, &stats);
	assert_int_equal(stats.used, 0);
	assert_int_equal(stats.unmappable, 2 + 1 + 3);
	readonly = add(&world, 0x400000, PAGE, 4 * PAGE, 0, BK_MEMORY_DEVICE | BK_MEMORY_READONLY);
	assert_int_equal(slot_at(0x400000)->flags, KVM_MEM_READONLY);

	move(&world, refused, 0x500000, 3 * PAGE); /* KVM takes it this time */
	assert_non_null(slot_at(0x500000));
	bk_region_retire(odd);
	bk_region_retire(small);
	bk__monitor_slots_stats(world.slots, &stats);
	assert_int_equal(stats.unmappable, 0);
	bk_region_retire(refused);
	bk_region_retire(readonly);
	close_world(&world);
}

static void slot_numbers_are_recycled_and_may_run_out(void **state)
{
	struct world world;
	struct bk__monitor_slots_stats stats;
	struct bk_region *regions[SLOTS + 1];

	open_world(&world);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i <= SLOTS; i++)
			regions[i] = add(&world, i * 0x10000, PAGE, i * PAGE, 0, BK_MEMORY_DEVICE);
		assert_int_equal(used_slots(), SLOTS);
		bk__monitor_slots_stats(world.slots, &stats);
		assert_int_equal(stats.used, SLOTS);
		assert_int_equal(stats.unmappable, 1);
		for (unsigned i = 0; i <= SLOTS; i++)
			bk_region_retire(regions[i]);
		assert_int_equal(used_slots(), 0);
	}
	close_world(&world);
}

static void a_slot_whose_page_the_host_took_away_is_given_up(void **state)
{
	struct world world;
	struct bk__monitor_slots_stats stats;
	struct bk_region *ram, *bar, *other;

	open_world(&world);
	ram = add(&world, 0, 4 * PAGE, 0, 1, BK_MEMORY_RAM);
	bar = add(&world, 0x100000, 2 * PAGE, 8 * PAGE, 0, BK_MEMORY_DEVICE);
	assert_false(bk__monitor_slots_revoke(world.slots, 0x300000));
	assert_false(bk__monitor_slots_revoke(world.slots, PAGE)); /* without RAM there is no guest */
	assert_true(bk__monitor_slots_revoke(world.slots, 0x101004));
	assert_false(bk__monitor_slots_revoke(world.slots, 0x101004));
	assert_null(slot_at(0x100000));
	bk__monitor_slots_stats(world.slots, &stats);
	assert_int_equal(stats.unmappable, 2);
	move(&world, bar, 0x200000, 2 * PAGE); /* another chance */
	assert_non_null(slot_at(0x200000));
	bk__monitor_slots_stats(world.slots, &stats);
	assert_int_equal(stats.unmappable, 0);

	/* Where it cannot be told which page it was. */
	other = add(&world, 0x400000, PAGE, 12 * PAGE, 0, BK_MEMORY_DEVICE);
	assert_int_equal(used_slots(), 3);
	assert_true(bk__monitor_slots_revoke_all(world.slots));
	assert_int_equal(used_slots(), 1);
	assert_non_null(slot_at(0));
	assert_false(bk__monitor_slots_revoke_all(world.slots));
	bk__monitor_slots_stats(world.slots, &stats);
	assert_int_equal(stats.unmappable, 3);
	bk_region_retire(other);
	bk_region_retire(bar);
	bk_region_retire(ram);
	bk__monitor_slots_stats(world.slots, &stats);
	assert_int_equal(stats.unmappable, 0);
	close_world(&world);
}

static void a_slot_that_kvm_keeps_for_a_while_keeps_vcpus_out(void **state)
{
	struct world world;
	struct bk_region *bar;

	open_world(&world);
	bar = add(&world, 0x100000, 2 * PAGE, 8 * PAGE, 0, BK_MEMORY_DEVICE);
	kvm.keep = 3;
	kvm.changes_outside = 0;
	bk_region_retire(bar); /* afterwards the memory is its owner's */
	assert_int_equal(used_slots(), 0);
	assert_int_equal(kvm.changes_outside, 1);
	assert_int_equal(kvm.holds, 1);
	assert_int_equal(kvm.released, 1);
	assert_int_equal(kvm.lost, 0);
	bar = add(&world, 0x100000, 2 * PAGE, 8 * PAGE, 0, BK_MEMORY_DEVICE); /* the number is free */
	assert_int_equal(slot_at(0x100000)->slot, 0);
	bk_region_retire(bar);
	close_world(&world);
}

static void a_slot_that_kvm_never_gives_up_ends_the_run(void **state)
{
	struct world world;
	struct bk_region *bar, *other;

	open_world(&world);
	bar = add(&world, 0x100000, 2 * PAGE, 8 * PAGE, 0, BK_MEMORY_DEVICE);
	other = add(&world, 0x200000, 2 * PAGE, 4 * PAGE, 0, BK_MEMORY_DEVICE);
	kvm.keep = UINT32_MAX;
	bk_region_retire(bar);
	assert_int_equal(kvm.lost, 1);
	assert_true(kvm.held);
	kvm.changes = 0;
	bk_region_retire(other); /* said once, and not tried for long again */
	assert_int_equal(kvm.lost, 1);
	assert_int_equal(kvm.changes, 1);
	kvm.keep = 0;
	memset(kvm.slots, 0, sizeof(kvm.slots));
	kvm.released++;
	close_world(&world);
}

/* ---- A device ---------------------------------------------------------- */

#define VECTORS 4

static struct {
	struct bk_device device;
	int fds[BK_DEVICE_IRQS][VECTORS]; /* what fires; -1 none */
	int unmask;                       /* INTx's resample eventfd */
	bool masked;
	bool is_on[BK_DEVICE_IRQS];
	bool few;  /* the host has no vectors left */
	int first; /* the vector that was set first after this was made -1 */

	struct bk_device_dma maps[4];
	unsigned map_count;
	unsigned busy; /* maps to refuse before the next is taken */
} pass;

static int pass_irq(struct bk_device *device, unsigned index, struct bk_device_irq *irq)
{
	irq->count = index == BK_DEVICE_MSI ? 0 : index == BK_DEVICE_MSIX ? VECTORS : 1;
	return 0;
}

static int pass_set_irqs(struct bk_device *device, unsigned index, enum bk_device_irq_action action,
			 unsigned start, unsigned count, const int *fds)
{
	if (action == BK_DEVICE_IRQ_TRIGGER && !count) {
		pass.is_on[index] = false;
		return 0;
	}
	if (action == BK_DEVICE_IRQ_TRIGGER) {
		for (unsigned i = 0; i <= BK_DEVICE_MSIX && index <= BK_DEVICE_MSIX; i++)
			assert_true(i == index || !pass.is_on[i]); /* one at a time */
		if (pass.few && index == BK_DEVICE_MSIX)
			return -ENOSPC;
		if (pass.first < 0)
			pass.first = (int)start;
		pass.is_on[index] = true;
		for (unsigned i = 0; i < count; i++)
			pass.fds[index][start + i] = fds[i];
		return 0;
	}
	assert_int_equal(index, BK_DEVICE_INTX);
	assert_true(pass.is_on[index]);
	if (fds)
		pass.unmask = fds[0];
	else
		pass.masked = action == BK_DEVICE_IRQ_MASK;
	return 0;
}

static int pass_dma_map(struct bk_device *device, const struct bk_device_dma *dma, struct bk_error *err)
{
	if (pass.busy) {
		pass.busy--;
		return bk_fail(err, EBUSY, "busy");
	}
	if (pass.map_count == 4)
		return bk_fail(err, ENOMEM, "no room");
	pass.maps[pass.map_count++] = *dma;
	return 0;
}

static int pass_dma_unmap(struct bk_device *device, uint64_t iova, uint64_t size)
{
	for (unsigned i = 0; i < pass.map_count; i++) {
		if (pass.maps[i].iova == iova && pass.maps[i].size == size) {
			pass.maps[i] = pass.maps[--pass.map_count];
			return 0;
		}
	}
	return -EINVAL;
}

static const struct bk_device_ops pass_ops = {
	.irq = pass_irq,
	.set_irqs = pass_set_irqs,
	.dma_map = pass_dma_map,
	.dma_unmap = pass_dma_unmap,
};

/* ---- Interrupts -------------------------------------------------------- */

#define DEVFN    BK_PCI_DEVFN(3, 0)
#define MSIX_CAP 0x40
#define COMMAND  4

struct irqs {
	struct bk_domain *domain;
	struct bk_pci_host *host;
	struct bk_space *bar;
	struct bk_pci_function *function;
	struct bk_region *table;
	struct bk__monitor_gsi *gsis;
	struct bk__monitor_irq *irq;
};

static void open_irqs(struct irqs *irqs)
{
	struct bk_pci_host_desc host = { .lines = 8 };
	struct bk_pci_function_desc desc = {
		.name = "passed", .vendor = 1, .device = 2, .class_code = 0x020000, .pin = 1
	};
	struct bk_region_desc table, pba;
	struct bk_region *region;
	struct bk_update *update;
	struct bk_error err;

	memset(&kvm, 0, sizeof(kvm));
	memset(&pass, 0, sizeof(pass));
	memset(pass.fds, 0xff, sizeof(pass.fds));
	pass.device = (struct bk_device){ .ops = &pass_ops, .name = "pass" };

	irqs->domain = bk_domain_create();
	host.domain = irqs->domain;
	assert_int_equal(bk_pci_host_create(&host, &irqs->host, &err), 0);
	irqs->bar = bk_space_create(irqs->domain, "bar", 0xfff);
	desc.bars[0] = (struct bk_pci_bar){ .kind = BK_PCI_BAR_MEM32, .size = 0x1000, .space = irqs->bar };
	assert_int_equal(bk_pci_function_create(irqs->domain, &desc, &irqs->function, &err), 0);
	assert_int_equal(bk_pci_msix_add(irqs->function, &(struct bk_pci_msix_desc){ .offset = MSIX_CAP,
										     .vectors = VECTORS,
										     .pba_offset = 0x800 }),
			 MSIX_CAP);
	assert_int_equal(bk_pci_msix_regions(irqs->function, &table, &pba), 0);
	pba.rank = 1;
	update = bk_update_begin(irqs->domain);
	assert_int_equal(bk_update_add(update, irqs->bar, &table, &region), 0);
	assert_int_equal(bk_update_add(update, irqs->bar, &pba, &region), 0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
	assert_int_equal(bk_pci_function_attach(irqs->function, bk_pci_host_bus(irqs->host), DEVFN), 0);
	assert_int_equal(bk__monitor_gsi_create(&vm, &irqs->gsis, &err), 0);
	assert_int_equal(
		bk__monitor_irq_create(irqs->gsis, &pass.device, irqs->function, NULL, &irqs->irq, &err), 0);
}

static void close_irqs(struct irqs *irqs)
{
	bk__monitor_irq_destroy(irqs->irq);
	assert_int_equal(kvm.joined_count, 0);
	for (unsigned i = 0; i < BK_DEVICE_IRQS; i++)
		assert_false(pass.is_on[i]);
	bk__monitor_gsi_destroy(irqs->gsis);
	bk_pci_function_detach(irqs->function);
	assert_int_equal(bk_pci_function_destroy(irqs->function), 0);
	assert_int_equal(bk_space_destroy(irqs->bar), 0);
	assert_int_equal(bk_pci_host_destroy(irqs->host), 0);
	assert_int_equal(bk_domain_destroy(irqs->domain), 0);
}

static void config_write(struct irqs *irqs, unsigned offset, unsigned width, uint64_t value)
{
	bk_space_write(bk_pci_function_config(irqs->function), offset, width, value);
}

static void table_write(struct irqs *irqs, unsigned vector, unsigned offset, uint32_t value)
{
	bk_space_write(irqs->bar, vector * 16 + offset, 4, value);
}

static void message(struct irqs *irqs, unsigned vector, uint32_t address, uint32_t data)
{
	table_write(irqs, vector, 0, address);
	table_write(irqs, vector, 4, 0);
	table_write(irqs, vector, 8, data);
}

static bool pending(struct irqs *irqs, unsigned vector)
{
	uint64_t value = 0;

	bk_space_read(irqs->bar, 0x800, 8, &value);
	return value >> vector & 1;
}

static void fire(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static bool is_joined(int fd, unsigned *gsi)
{
	for (unsigned i = 0; i < kvm.joined_count; i++) {
		if (kvm.joined[i].fd == fd) {
			*gsi = kvm.joined[i].gsi;
			return true;
		}
	}
	return false;
}

static bool routes_to(unsigned gsi, uint32_t address, uint32_t data)
{
	for (unsigned i = 0; i < kvm.route_count; i++) {
		if (kvm.routes[i].gsi == gsi && kvm.routes[i].type == KVM_IRQ_ROUTING_MSI)
			return kvm.routes[i].u.msi.address_lo == address && kvm.routes[i].u.msi.data == data;
	}
	return false;
}

static void msix_vectors_go_to_kvm_while_unmasked(void **state)
{
	struct irqs irqs;
	unsigned gsi = 0, first = 0;
	int fds[VECTORS];

	open_irqs(&irqs);
	config_write(&irqs, MSIX_CAP + 2, 2, 0x8000);
	assert_true(pass.is_on[BK_DEVICE_MSIX]);
	assert_int_equal(kvm.joined_count, 0); /* all masked: INTx left, none came */

	/* What fires while masked is pending, and seen in the PBA. */
	message(&irqs, 1, 0xfee01000, 0x41);
	table_write(&irqs, 1, 12, 0);
	memcpy(fds, pass.fds[BK_DEVICE_MSIX], sizeof(fds));
	table_write(&irqs, 1, 12, 1);
	fire(fds[1]);
	assert_true(pending(&irqs, 1));
	assert_false(pending(&irqs, 0));
	table_write(&irqs, 1, 12, 0);
	assert_true(is_joined(fds[1], &first));
	assert_true(routes_to(first, 0xfee01000, 0x41));
	assert_false(pending(&irqs, 1)); /* KVM took it as it was joined */

	/* Another vector is another number; the eventfds stay the ones that the device has. */
	message(&irqs, 3, 0xfee02000, 0x42);
	table_write(&irqs, 3, 12, 0);
	fds[3] = pass.fds[BK_DEVICE_MSIX][3];
	assert_true(is_joined(fds[3], &gsi));
	assert_int_not_equal(gsi, first);
	assert_true(routes_to(gsi, 0xfee02000, 0x42));
	assert_memory_equal(fds, pass.fds[BK_DEVICE_MSIX], sizeof(fds));

	table_write(&irqs, 1, 12, 1);
	assert_false(is_joined(fds[1], &gsi));
	assert_false(pending(&irqs, 1));
	fire(fds[1]);
	assert_true(pending(&irqs, 1));
	message(&irqs, 1, 0xfee03000, 0x51); /* as Linux does to move an interrupt to another CPU */
	table_write(&irqs, 1, 12, 0);
	assert_true(is_joined(fds[1], &gsi));
	assert_int_equal(gsi, first);
	assert_true(routes_to(first, 0xfee03000, 0x51));

	/* The function mask masks them all. */
	config_write(&irqs, MSIX_CAP + 2, 2, 0xc000);
	assert_int_equal(kvm.joined_count, 0);
	config_write(&irqs, MSIX_CAP + 2, 2, 0x8000);
	assert_int_equal(kvm.joined_count, 2);

	/* Off: back to the pin. */
	config_write(&irqs, MSIX_CAP + 2, 2, 0);
	assert_false(pass.is_on[BK_DEVICE_MSIX]);
	assert_true(pass.is_on[BK_DEVICE_INTX]);
	close_irqs(&irqs);
}

static void vectors_are_asked_for_when_they_are_unmasked(void **state)
{
	struct irqs irqs;
	int unused;

	open_irqs(&irqs);
	unused = eventfd(0, EFD_CLOEXEC);
	close(unused);
	config_write(&irqs, MSIX_CAP + 2, 2, 0xc000); /* as Linux does: on, all masked */
	message(&irqs, 0, 0xfee01000, 0x40);
	message(&irqs, 2, 0xfee01000, 0x42);
	table_write(&irqs, 0, 12, 0);
	table_write(&irqs, 2, 12, 0);
	assert_true(pass.is_on[BK_DEVICE_MSIX]); /* the device is switched with the guest */
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(pass.fds[BK_DEVICE_MSIX][i], -1);
	assert_int_equal(kvm.route_count, 16 + 24);

	/* The last of them first: where a host cannot add vectors, it is asked once. */
	pass.first = -1;
	config_write(&irqs, MSIX_CAP + 2, 2, 0x8000);
	assert_int_equal(pass.first, 2);
	assert_true(pass.fds[BK_DEVICE_MSIX][0] >= 0);
	assert_int_equal(pass.fds[BK_DEVICE_MSIX][1], -1);
	assert_true(pass.fds[BK_DEVICE_MSIX][2] >= 0);
	assert_int_equal(pass.fds[BK_DEVICE_MSIX][3], -1);
	assert_int_equal(kvm.joined_count, 2);
	close_irqs(&irqs);
	/* Every descriptor came back. */
	assert_int_equal(eventfd(0, EFD_CLOEXEC), unused - 2);
	close(unused - 2);
}

static void a_host_short_of_vectors_still_gives_those_in_use(void **state)
{
	struct irqs irqs;
	unsigned gsi = 0;

	open_irqs(&irqs);
	pass.few = true; /* none at all, and later two */
	config_write(&irqs, MSIX_CAP + 2, 2, 0x8000);
	assert_false(pass.is_on[BK_DEVICE_MSIX]);
	message(&irqs, 2, 0xfee01000, 0x41);
	table_write(&irqs, 2, 12, 0);
	assert_int_equal(kvm.joined_count, 0);
	pass.few = false;
	table_write(&irqs, 2, 12, 1);
	table_write(&irqs, 2, 12, 0);
	assert_true(is_joined(pass.fds[BK_DEVICE_MSIX][2], &gsi));
	close_irqs(&irqs);
}

static void the_pin_is_a_line_until_the_end_of_interrupt(void **state)
{
	struct irqs irqs;
	unsigned gsi = 0;
	int fd;

	open_irqs(&irqs);
	fd = pass.fds[BK_DEVICE_INTX][0];
	assert_true(pass.is_on[BK_DEVICE_INTX]);
	assert_true(is_joined(fd, &gsi));
	assert_int_equal(gsi, 16 + 3); /* slot 3, INTA# */
	assert_int_equal(kvm.joined[0].resample, pass.unmask);
	assert_false(pass.masked);

	/* Interrupt Disable takes the function off the line; what it fired before is not delivered later. */
	config_write(&irqs, COMMAND, 2, 0x400);
	assert_true(pass.masked);
	assert_int_equal(kvm.joined_count, 0);
	fire(fd);
	config_write(&irqs, COMMAND, 2, 0);
	assert_false(pass.masked);
	assert_true(is_joined(fd, &gsi));
	assert_int_equal(read(fd, &(uint64_t){ 0 }, 8), -1); /* nothing left in it */

	bk_pci_function_reset(irqs.function);
	assert_true(is_joined(pass.fds[BK_DEVICE_INTX][0], &gsi));
	close_irqs(&irqs);
}

/* The end of interrupt that would unmask the device is lost with the chips' state. */
static void a_reset_of_the_chips_forgets_an_interrupt_in_service(void **state)
{
	struct irqs irqs;
	unsigned gsi = 0;

	open_irqs(&irqs);
	pass.masked = true; /* it has fired, and masked itself */
	bk_pci_function_reset(irqs.function);
	bk__monitor_irq_renew(irqs.irq);
	assert_false(pass.masked);
	assert_true(pass.is_on[BK_DEVICE_INTX]);
	assert_true(is_joined(pass.fds[BK_DEVICE_INTX][0], &gsi));
	assert_int_equal(kvm.joined_count, 1);
	assert_int_equal(kvm.joined[0].resample, pass.unmask);

	/* Masked by the guest it stays masked, whatever was reset. */
	config_write(&irqs, COMMAND, 2, 0x400);
	bk__monitor_irq_renew(irqs.irq);
	assert_true(pass.masked);
	assert_int_equal(kvm.joined_count, 0);
	close_irqs(&irqs);
}

/* ---- What a device's host says ----------------------------------------- */

static void on_line(void *opaque, enum bk_log_level level, const char *line)
{
	assert_non_null(strstr(line, "pass: the device reports an error"));
	++*(unsigned *)opaque;
}

static bool give_back(void *opaque, struct bk_device *device)
{
	bk__monitor_events_remove(opaque, device);
	return true;
}

static void an_error_is_told_and_a_device_wanted_back_ends_the_wait(void **state)
{
	struct bk__monitor_events events = { .loop = NULL };
	struct bk_error err = { "" };
	const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	unsigned lines = 0;

	assert_int_equal(bk__base_loop_create(&events.loop), 0);
	memset(&pass, 0, sizeof(pass));
	pass.device = (struct bk_device){ .ops = &pass_ops, .name = "pass" };
	bk__monitor_events_add(&events, &pass.device);
	assert_true(pass.is_on[BK_DEVICE_ERR] && pass.is_on[BK_DEVICE_REQ]);

	fire(wake);
	assert_int_equal(bk__monitor_events_wait(&events, wake, &err), 0);
	assert_int_equal(read(wake, &(uint64_t){ 0 }, 8), -1); /* nothing left in it */

	bk_log_set(on_line, &lines);
	fire(pass.fds[BK_DEVICE_ERR][0]);
	fire(wake);
	assert_int_equal(bk__monitor_events_wait(&events, wake, &err), 0);
	bk_log_set(NULL, NULL);
	assert_int_equal(lines, 1);

	fire(pass.fds[BK_DEVICE_REQ][0]);
	assert_int_equal(bk__monitor_events_wait(&events, wake, &err), -ENODEV);
	assert_non_null(strstr(err.text, "pass: the host wants the device back"));

	/* Who can give it back does, and the wait goes on. */
	events.wanted = give_back;
	events.opaque = &events;
	fire(pass.fds[BK_DEVICE_REQ][0]);
	fire(wake);
	assert_int_equal(bk__monitor_events_wait(&events, wake, &err), 0);
	assert_null(events.list);
	assert_false(pass.is_on[BK_DEVICE_ERR] || pass.is_on[BK_DEVICE_REQ]);
	fire(wake);
	assert_int_equal(bk__monitor_events_wait(&events, wake, &err), 0);
	bk__base_loop_destroy(events.loop);
	close(wake);
}

struct quiet {
	struct bk__monitor_events events;
	int fd, wake, done;
	unsigned lines;
};

/* As when the guest is reset: waits for something else meanwhile. Both wakes are there, and the device's. */
static void on_watched(void *opaque)
{
	struct quiet *quiet = opaque;
	struct bk_error err;

	assert_int_equal(read(quiet->fd, &(uint64_t){ 0 }, 8), 8);
	quiet->events.quiet = true;
	fire(pass.fds[BK_DEVICE_ERR][0]);
	fire(quiet->wake);
	fire(quiet->done);
	assert_int_equal(bk__monitor_events_wait(&quiet->events, quiet->done, &err), 0);
	quiet->events.quiet = false;
	assert_int_equal(quiet->lines, 0);
}

static void what_comes_while_it_is_quiet_is_served_after_that(void **state)
{
	struct quiet quiet = { .lines = 0 };
	struct bk_error err;

	quiet.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	quiet.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	quiet.done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(bk__base_loop_create(&quiet.events.loop), 0);
	memset(&pass, 0, sizeof(pass));
	pass.device = (struct bk_device){ .ops = &pass_ops, .name = "pass" };
	bk__monitor_events_add(&quiet.events, &pass.device);
	bk_log_set(on_line, &quiet.lines);

	/* Between two waits. */
	quiet.events.quiet = true;
	fire(pass.fds[BK_DEVICE_ERR][0]);
	fire(quiet.done);
	assert_int_equal(bk__monitor_events_wait(&quiet.events, quiet.done, &err), 0);
	assert_int_equal(quiet.lines, 0);
	quiet.events.quiet = false;
	fire(quiet.wake);
	assert_int_equal(bk__monitor_events_wait(&quiet.events, quiet.wake, &err), 0);
	assert_int_equal(quiet.lines, 1);

	/* Within a wait, whose wake stays its own. */
	quiet.lines = 0;
	assert_int_equal(bk__base_loop_add(quiet.events.loop, quiet.fd, on_watched, &quiet), 0);
	fire(quiet.fd);
	assert_int_equal(bk__monitor_events_wait(&quiet.events, quiet.wake, &err), 0);
	assert_int_equal(quiet.lines, 1);

	bk_log_set(NULL, NULL);
	bk__monitor_events_remove(&quiet.events, &pass.device);
	bk__base_loop_destroy(quiet.events.loop);
	close(quiet.fd);
	close(quiet.wake);
	close(quiet.done);
}

/* ---- DMA --------------------------------------------------------------- */

static void devices_reach_ram_and_follow_it(void **state)
{
	for (int peers = 0; peers < 2; peers++) {
		struct world world;
		struct bk__monitor_iommu *iommu;
		struct bk_region *ram, *bar;
		struct bk_error err;

		open_world(&world);
		memset(&pass, 0, sizeof(pass));
		pass.device = (struct bk_device){ .ops = &pass_ops, .name = "pass" };
		ram = add(&world, 0x10000, 4 * PAGE, 0, 1, BK_MEMORY_RAM);
		assert_int_equal(bk__monitor_iommu_create(world.memory, peers, &iommu, &err), 0);
		pass.busy = 2; /* pages in use by somebody for a moment */
		assert_int_equal(bk__monitor_iommu_add(iommu, &pass.device, &err), 0);
		assert_int_equal(pass.map_count, 1);
		assert_int_equal(pass.maps[0].iova, 0x10000);
		assert_int_equal(pass.maps[0].size, 4 * PAGE);
		assert_ptr_equal(pass.maps[0].vaddr, world.host);
		assert_int_equal(pass.maps[0].flags, BK_DEVICE_DMA_READ | BK_DEVICE_DMA_WRITE);

		bar = add(&world, 0x100000, 2 * PAGE, 8 * PAGE, 0, BK_MEMORY_DEVICE);
		assert_int_equal(pass.map_count, 1 + peers);
		move(&world, bar, 0x200000, 2 * PAGE);
		assert_int_equal(pass.map_count, 1 + peers);
		if (peers)
			assert_int_equal(pass.maps[1].iova, 0x200000);
		bk__monitor_iommu_remove(iommu, &pass.device);
		assert_int_equal(pass.map_count, 0);
		bk__monitor_iommu_destroy(iommu);
		bk_region_retire(bar);
		bk_region_retire(ram);
		close_world(&world);
	}
}

static void a_device_that_cannot_have_all_ram_gets_none(void **state)
{
	struct world world;
	struct bk__monitor_iommu *iommu;
	struct bk_region *regions[5];
	struct bk_error err = { "" };

	open_world(&world);
	memset(&pass, 0, sizeof(pass));
	pass.device = (struct bk_device){ .ops = &pass_ops, .name = "pass" };
	for (unsigned i = 0; i < 5; i++) /* one more than the device takes */
		regions[i] = add(&world, i * 0x10000, PAGE, i * PAGE, 1, BK_MEMORY_RAM);
	assert_int_equal(bk__monitor_iommu_create(world.memory, false, &iommu, &err), 0);
	assert_int_equal(bk__monitor_iommu_add(iommu, &pass.device, &err), -ENOMEM);
	assert_string_equal(err.text, "no room");
	assert_int_equal(pass.map_count, 0);
	bk__monitor_iommu_destroy(iommu);
	for (unsigned i = 0; i < 5; i++)
		bk_region_retire(regions[i]);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_follow_the_space),
		cmocka_unit_test(vcpus_are_held_where_old_and_new_overlap),
		cmocka_unit_test(what_cannot_be_mapped_is_counted_and_left_to_exits),
		cmocka_unit_test(slot_numbers_are_recycled_and_may_run_out),
		cmocka_unit_test(a_slot_that_kvm_keeps_for_a_while_keeps_vcpus_out),
		cmocka_unit_test(a_slot_that_kvm_never_gives_up_ends_the_run),
		cmocka_unit_test(a_slot_whose_page_the_host_took_away_is_given_up),
		cmocka_unit_test(msix_vectors_go_to_kvm_while_unmasked),
		cmocka_unit_test(vectors_are_asked_for_when_they_are_unmasked),
		cmocka_unit_test(a_host_short_of_vectors_still_gives_those_in_use),
		cmocka_unit_test(the_pin_is_a_line_until_the_end_of_interrupt),
		cmocka_unit_test(a_reset_of_the_chips_forgets_an_interrupt_in_service),
		cmocka_unit_test(an_error_is_told_and_a_device_wanted_back_ends_the_wait),
		cmocka_unit_test(what_comes_while_it_is_quiet_is_served_after_that),
		cmocka_unit_test(devices_reach_ram_and_follow_it),
		cmocka_unit_test(a_device_that_cannot_have_all_ram_gets_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
