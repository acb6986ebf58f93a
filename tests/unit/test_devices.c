/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices that come to a guest's buses and leave them: what the guest sees, their interrupts, DMA and
 * VFIO groups. KVM is what it was asked; vm.c is left out.
 */
#include "pci_world.h"

#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fake_device.h"
#include "monitor/devices.h"
#include "monitor/groups.h"

#define PAGE    0x1000
#define RAM_AT  0x10000 /* two pages of it can be mapped */
#define PORT    1       /* slot of the root port */
#define SLTSTA  0x7a    /* of the root port */
#define PRESENT 0x0040
#define CHANGED 0x0108

/* ---- KVM --------------------------------------------------------------- */

static unsigned joined; /* eventfds on interrupts */
static int groups[4];   /* that KVM was told of */
static unsigned group_count;
static bool refuse_device;

int bk__monitor_vm_ioctl(const struct bk__monitor_vm *vm, unsigned long request, void *argument)
{
	const struct kvm_irqfd *irqfd = argument;
	struct kvm_create_device *device = argument;

	if (request == KVM_IRQFD)
		joined += irqfd->flags & KVM_IRQFD_FLAG_DEASSIGN ? -1u : 1u;
	if (request == KVM_CREATE_DEVICE) {
		if (refuse_device)
			return -ENODEV;
		assert_int_equal(device->type, KVM_DEV_TYPE_VFIO);
		device->fd = (uint32_t)eventfd(0, 0);
	}
	return 0;
}

int bk__monitor_vm_open(struct bk__monitor_vm *vm, struct bk_error *err)
{
	return -ENODEV;
}

void bk__monitor_vm_close(struct bk__monitor_vm *vm)
{
}

/* Which group it is: KVM goes by the file, so that a duplicate names the same. */
static unsigned long identity(int fd)
{
	char path[64], target[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_true(readlink(path, target, sizeof(target) - 1) > 0);
	return strtoul(strrchr(target, ':') ? strchr(target, '[') + 1 : "0", NULL, 10);
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, void *argument);

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	const struct kvm_device_attr *change = argument;
	unsigned i;
	int group;

	if (request != KVM_SET_DEVICE_ATTR)
		return __real_ioctl(fd, request, argument);
	assert_int_equal(change->group, KVM_DEV_VFIO_GROUP);
	group = (int)identity(*(const int *)(uintptr_t)change->addr);
	for (i = 0; i < group_count && groups[i] != group; i++)
		;
	if (change->attr == KVM_DEV_VFIO_GROUP_ADD) {
		assert_int_equal(i, group_count);
		groups[group_count++] = group;
	} else {
		assert_true(i < group_count);
		groups[i] = groups[--group_count];
	}
	return 0;
}

/* ---- A device ---------------------------------------------------------- */

struct card {
	struct fake fake;
	struct bk_device_ops ops;
	unsigned maps;
	bool dma_fails;
	unsigned masters; /* unmapped while it was a bus master */
	bool irqs;        /* some are on */
	struct bk_mediator *mediate;
};

static int map(struct bk_device *device, const struct bk_device_dma *dma, struct bk_error *err)
{
	struct card *card = (struct card *)device;

	if (card->dma_fails)
		return bk_fail(err, ENOMEM, "no room");
	card->maps++;
	return 0;
}

static int unmap(struct bk_device *device, uint64_t iova, uint64_t size)
{
	struct card *card = (struct card *)device;

	card->maps--;
	card->masters += fake_get(&card->fake, 4, 2) >> 2 & 1;
	return 0;
}

static int set_irqs(struct bk_device *device, unsigned index, enum bk_device_irq_action action,
		    unsigned start, unsigned count, const int *fds)
{
	if (index == BK_DEVICE_MSIX && action == BK_DEVICE_IRQ_TRIGGER)
		((struct card *)device)->irqs = count;
	return 0;
}

struct stage {
	struct world *world;
	struct bk__monitor_devices devices;
	struct bk__monitor_events events;
	struct bk_region *ram;
	uint8_t *host;
	struct card cards[2];
};

static const struct bk__monitor_vm vm = { .kvm = -1, .fd = -1, .routes = 4096 };
static struct bk_error err;

static void card_open(struct stage *stage, struct card *card, const char *name)
{
	fake_init(&card->fake);
	card->fake.device.name = name;
	card->ops = *card->fake.device.ops;
	card->ops.dma_map = map;
	card->ops.dma_unmap = unmap;
	card->ops.set_irqs = set_irqs;
	card->fake.device.ops = &card->ops;
	fake_bar(&card->fake, 0, 0, 0x4000, false);
	fake_put(&card->fake, 0x34, 1, 0x40);
	fake_msix(&card->fake, 0x40, 0, 2, 0x2000, 0x3000);
	card->maps = card->masters = 0;
	card->dma_fails = card->irqs = false;
	assert_int_equal(
		bk_mediator_create(stage->world->domain, &card->fake.device, NULL, &card->mediate, &err), 0);
}

static int setup(void **state)
{
	static struct stage stage;
	const struct bk__monitor_bridge_config port = { .name = "rp", .kind = BK__BUS_PORT, .slot = PORT };
	const struct bk__monitor_bridge_config pci = { .name = "old", .kind = BK__BUS_PCI, .slot = 2 };
	struct bk_update *update;

	memset(&stage, 0, sizeof(stage));
	joined = 0;
	stage.world = world_create(NULL);
	stage.host = aligned_alloc(PAGE, 2 * PAGE);
	update = bk_update_begin(stage.world->domain);
	assert_int_equal(
		bk_update_add(update, stage.world->memory,
			      &(struct bk_region_desc){
				      .name = "mapped RAM",
				      .first = RAM_AT,
				      .last = RAM_AT + 2 * PAGE - 1,
				      .priority = 20,
				      .kind = BK_REGION_MAPPED,
				      .memory = { .host = stage.host, .fd = -1, .attributes = BK_MEMORY_RAM },
			      },
			      &stage.ram),
		0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
	assert_int_equal(bk__base_loop_create(&stage.events.loop), 0);
	stage.devices.events = &stage.events;
	stage.devices.buses = bk__monitor_buses_create(stage.world->host, "the host bridge", NULL, NULL);
	assert_int_equal(bk__monitor_gsi_create(&vm, &stage.devices.gsis, &err), 0);
	assert_int_equal(bk__monitor_iommu_create(stage.world->memory, false, &stage.devices.iommu, &err), 0);
	assert_int_equal(bk__monitor_buses_bridge(stage.devices.buses, &port, &err), 0);
	assert_int_equal(bk__monitor_buses_bridge(stage.devices.buses, &pci, &err), 0);
	assert_int_equal(assign(stage.world->host, PAGE, NULL, NULL), 0);
	config_write(stage.world, BK_PCI_DEVFN(PORT, 0), 4, 2, 7); /* a bus master for those behind it, too */
	*state = &stage;
	return 0;
}

static int teardown(void **state)
{
	struct stage *stage = *state;

	bk__monitor_devices_close(&stage->devices);
	bk__base_loop_destroy(stage->events.loop);
	bk__monitor_buses_destroy(stage->devices.buses);
	bk__monitor_iommu_destroy(stage->devices.iommu);
	bk__monitor_gsi_destroy(stage->devices.gsis);
	bk_region_retire(stage->ram);
	world_destroy(stage->world);
	free(stage->host);
	return 0;
}

static int attach(struct stage *stage, struct card *card, const char *bus, int slot)
{
	const struct bk__monitor_place place = { bus, slot, 0 };

	return bk__monitor_devices_attach(&stage->devices, card->mediate, &place, &err);
}

/* Config space behind the root port, which has bus number 1. */
static uint64_t get(struct stage *stage, unsigned offset, unsigned width)
{
	uint64_t value;

	bk_space_read(stage->world->memory, ECAM + (1 << 20 | offset), width, &value);
	return value;
}

static void put(struct stage *stage, unsigned offset, unsigned width, uint64_t value)
{
	bk_space_write(stage->world->memory, ECAM + (1 << 20 | offset), width, value);
}

static void put_memory(struct stage *stage, uint64_t address, uint64_t value)
{
	bk_space_write(stage->world->memory, address, 4, value);
}

static uint64_t slot_status(struct stage *stage)
{
	const uint64_t status = config_read(stage->world, BK_PCI_DEVFN(PORT, 0), SLTSTA, 2);

	config_write(stage->world, BK_PCI_DEVFN(PORT, 0), SLTSTA, 2, 0xffff);
	return status;
}

/* ---- Tests ------------------------------------------------------------- */

/* F18: twice the same at the same place. */
static void a_device_comes_and_goes(void **state)
{
	struct stage *stage = *state;
	struct card *card = &stage->cards[0];
	const uint64_t bar = config_read(stage->world, BK_PCI_DEVFN(PORT, 0), 0x20, 2) << 16;

	for (unsigned round = 0; round < 2; round++) {
		card_open(stage, card, "card");
		assert_int_equal(get(stage, 0, 4), 0xffffffff);
		assert_int_equal(attach(stage, card, "rp", -1), 0);
		assert_int_equal(slot_status(stage), PRESENT | CHANGED);
		assert_int_equal(card->maps, 1);
		assert_int_equal(get(stage, 0, 4), 0x56781234);
		assert_int_equal(get(stage, 0x10, 4), 0);
		assert_memory(stage->world, bar + 1, NOBODY);

		put(stage, 0x10, 4, bar);
		put(stage, 4, 2, 6);
		assert_memory(stage->world, bar + 1, fake_pattern(1, 1));
		put(stage, 0x42, 2, 0x8000); /* MSI-X, and its first vector */
		put_memory(stage, bar + 0x2000, 0xfee00000);
		put_memory(stage, bar + 0x200c, 0);
		assert_true(card->irqs);
		assert_int_equal(joined, 1);
		assert_int_equal(fake_get(&card->fake, 4, 2) & 4, 4);

		assert_int_equal(bk__monitor_devices_detach(&stage->devices, card->mediate, &err), 0);
		assert_true(card->fake.closed);
		assert_int_equal(slot_status(stage), CHANGED);
		assert_int_equal(get(stage, 0, 4), 0xffffffff);
		assert_memory(stage->world, bar + 1, NOBODY);
		assert_int_equal(joined, 0);
		assert_false(card->irqs);
		assert_int_equal(card->maps, 0);
		assert_int_equal(card->masters, 0);
		fake_done(&card->fake);
	}
}

static void only_what_is_in_a_slot_can_be_taken(void **state)
{
	struct stage *stage = *state;

	card_open(stage, &stage->cards[0], "first");
	assert_int_equal(bk__monitor_devices_detach(&stage->devices, stage->cards[0].mediate, &err), -ENOENT);
	assert_int_equal(attach(stage, &stage->cards[0], NULL, 5), 0);
	assert_int_equal(bk__monitor_devices_detach(&stage->devices, stage->cards[0].mediate, &err), -EPERM);
	assert_non_null(strstr(err.text, "slot"));
	assert_int_equal(config_read(stage->world, BK_PCI_DEVFN(5, 0), 0, 4), 0x56781234);

	card_open(stage, &stage->cards[1], "second");
	assert_int_equal(attach(stage, &stage->cards[1], "old", 3), 0);
	assert_int_equal(bk__monitor_devices_detach(&stage->devices, stage->cards[1].mediate, &err), -EPERM);
	bk__monitor_devices_close(&stage->devices);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(stage->cards[i].fake.closed);
		fake_done(&stage->cards[i].fake);
	}
}

static void what_cannot_be_attached_stays_the_callers(void **state)
{
	struct stage *stage = *state;
	struct card *first = &stage->cards[0], *second = &stage->cards[1];

	card_open(stage, first, "first");
	card_open(stage, second, "second");
	assert_int_equal(attach(stage, first, "none", -1), -ENOENT);
	assert_int_equal(attach(stage, first, "rp", 1), -EINVAL);
	first->dma_fails = true;
	assert_int_equal(attach(stage, first, "rp", 0), -ENOMEM);
	assert_string_equal(err.text, "no room");
	assert_int_equal(slot_status(stage), 0);
	assert_int_equal(attach(stage, second, "rp", 0), 0); /* the place is free */
	first->dma_fails = false;
	assert_int_equal(attach(stage, first, "rp", 0), -EEXIST);
	assert_non_null(strstr(err.text, "second"));
	assert_int_equal(first->maps, 0);
	assert_false(first->fake.closed);
	bk_mediator_destroy(first->mediate);
	bk__monitor_devices_close(&stage->devices);
	fake_done(&first->fake);
	fake_done(&second->fake);
}

static void a_reset_reaches_each_device_once(void **state)
{
	struct stage *stage = *state;
	struct bk__monitor_jobs jobs;

	card_open(stage, &stage->cards[0], "on the root bus");
	card_open(stage, &stage->cards[1], "behind the port");
	assert_int_equal(attach(stage, &stage->cards[0], NULL, -1), 0);
	assert_int_equal(attach(stage, &stage->cards[1], "rp", -1), 0);
	slot_status(stage);
	bk__monitor_jobs_begin(&jobs, -1);
	bk__monitor_devices_reset(&stage->devices, &jobs);
	bk__monitor_jobs_end(&jobs);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(stage->cards[i].fake.resets, 1);
	assert_int_equal(config_read(stage->world, BK_PCI_DEVFN(PORT, 0), 0x18, 4), 0);
	assert_int_equal(slot_status(stage), PRESENT);
	bk__monitor_devices_renew(&stage->devices);
	bk__monitor_devices_close(&stage->devices);
	for (unsigned i = 0; i < 2; i++)
		fake_done(&stage->cards[i].fake);
}

static bool told_of(int fd)
{
	for (unsigned i = 0; i < group_count; i++)
		if ((unsigned long)groups[i] == identity(fd))
			return true;
	return false;
}

static void kvm_knows_the_groups_there_are(void **state)
{
	int fds[3][2], now[2];
	struct bk__monitor_groups *known;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pipe(fds[i]), 0);
	known = bk__monitor_groups_create(&vm);
	assert_non_null(known);
	now[0] = fds[0][0];
	now[1] = fds[1][0];
	bk__monitor_groups_set(known, now, 2);
	bk__monitor_groups_set(known, now, 2);
	assert_int_equal(group_count, 2);
	assert_true(told_of(fds[0][0]) && told_of(fds[1][0]));

	/* The first is closed by the time that KVM is told so, and its number is another's. */
	close(fds[0][0]);
	bk__monitor_groups_set(known, now + 1, 1);
	assert_int_equal(group_count, 1);
	assert_int_equal(dup2(fds[2][0], now[0]), now[0]);
	bk__monitor_groups_set(known, now, 2);
	assert_int_equal(group_count, 2);
	assert_true(told_of(fds[2][0]) && told_of(fds[1][0]));
	bk__monitor_groups_set(known, NULL, 0);
	assert_int_equal(group_count, 0);
	bk__monitor_groups_set(known, now, 2);
	bk__monitor_groups_destroy(known);
	assert_int_equal(group_count, 0);
	close(now[0]);
	for (unsigned i = 0; i < 3; i++) {
		close(fds[i][1]);
		if (i)
			close(fds[i][0]);
	}
	refuse_device = true;
	assert_null(bk__monitor_groups_create(&vm));
}

#define STAGE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGE_TEST(a_device_comes_and_goes),
		STAGE_TEST(only_what_is_in_a_slot_can_be_taken),
		STAGE_TEST(what_cannot_be_attached_stays_the_callers),
		STAGE_TEST(a_reset_reaches_each_device_once),
		cmocka_unit_test(kvm_knows_the_groups_there_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
