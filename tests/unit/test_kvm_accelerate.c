/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor asks of KVM and of the device for a write that they make between them. Neither is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake_device.h"
#include "monitor/ioeventfd.h"

#define BAR 0xd0000000

/* ---- KVM and the device ------------------------------------------------- */

static struct {
	bool on, refuse;
	struct kvm_ioeventfd now;
	unsigned calls;
} kvm;

static struct {
	int fd;
	unsigned bar, width, calls;
	uint64_t offset, value;
	int error;
} device;

int bk__monitor_vm_ioctl(const struct bk__monitor_vm *vm, unsigned long request, void *argument)
{
	const struct kvm_ioeventfd *arg = argument;

	assert_int_equal(request, KVM_IOEVENTFD);
	assert_true(arg->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	kvm.calls++;
	if (arg->flags & KVM_IOEVENTFD_FLAG_DEASSIGN) {
		assert_true(kvm.on);
		assert_int_equal(arg->addr, kvm.now.addr);
		assert_int_equal(arg->fd, kvm.now.fd);
		assert_int_equal(arg->len, kvm.now.len);
		assert_int_equal(arg->datamatch, kvm.now.datamatch);
		kvm.on = false;
		return 0;
	}
	if (kvm.refuse)
		return -ENOSPC;
	assert_false(kvm.on);
	kvm.on = true;
	kvm.now = *arg;
	return 0;
}

int bk__monitor_vm_open(struct bk__monitor_vm *vm, struct bk_error *err)
{
	return -ENODEV;
}

void bk__monitor_vm_close(struct bk__monitor_vm *vm)
{
}

static int ioeventfd(struct bk_device *below, unsigned region, uint64_t offset, unsigned width,
		     uint64_t value, int fd)
{
	device.calls++;
	if (fd >= 0 && device.error)
		return device.error;
	if (fd < 0) { /* undone as it was done */
		assert_true(device.fd >= 0);
		assert_int_equal(region, device.bar);
		assert_int_equal(offset, device.offset);
		assert_int_equal(width, device.width);
		assert_int_equal(value, device.value);
	}
	device.fd = fd;
	device.bar = region;
	device.offset = offset;
	device.width = width;
	device.value = value;
	return 0;
}

/* A device that has a doorbell, in a BAR that is not mapped; and an eventfd for it, if that is not 0. */
static bool has_doorbell;
static int doorbell_fd;

static int doorbells(struct bk_device *below, bk_device_doorbell_fn *visit, void *opaque)
{
	const struct bk_device_doorbell doorbell = {
		.region = 2, .offset = 0x10, .width = 2, .value = 1, .has_fd = doorbell_fd, .fd = doorbell_fd
	};

	if (has_doorbell)
		visit(opaque, &doorbell);
	return 0;
}

/* ---- A guest's memory with the device's BAR in it ----------------------- */

struct world {
	struct fake fake;
	struct bk_device_ops ops;
	struct bk_domain *domain;
	struct bk_space *memory, *ports;
	struct bk_pci_host *host;
	struct bk_mediator *mediate;
	struct bk_trap *trap;
	struct bk__monitor_accelerator *accelerator;
};

static const struct bk__monitor_vm vm = { .kvm = -1, .fd = -1 };

static void config(struct world *w, unsigned offset, unsigned width, uint64_t value)
{
	bk_space_write(bk_mediator_space(w->mediate, BK_DEVICE_CONFIG), offset, width, value);
}

static void write_times(struct world *w, uint64_t address, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		bk_space_write(w->memory, address, 4, 0x55);
}

static void open_world(struct world *w)
{
	static const struct bk_trap_ops through_ops;
	struct bk_trap_desc trap = {
		.offset = 0x1008, .length = 16, .accelerate = true, .ops = &through_ops
	};
	struct bk_pci_window windows[1];
	struct bk_pci_host_desc desc = { .windows = windows, .window_count = 1 };

	memset(w, 0, sizeof(*w));
	memset(&kvm, 0, sizeof(kvm));
	memset(&device, 0, sizeof(device));
	device.fd = -1;
	fake_init(&w->fake);
	fake_bar(&w->fake, 0, 0, 0x4000, true);
	fake_bar(&w->fake, 2, 0, 0x1000, false);
	w->ops = *w->fake.device.ops;
	w->ops.ioeventfd = ioeventfd;
	w->ops.doorbells = doorbells;
	w->fake.device.ops = &w->ops;
	desc.domain = w->domain = bk_domain_create();
	w->memory = bk_space_create(w->domain, "memory", UINT64_MAX);
	w->ports = bk_space_create(w->domain, "ports", 0xffff);
	windows[0] = (struct bk_pci_window){ .kind = BK_PCI_WINDOW_MEMORY,
					     .space = w->memory,
					     .first = 0xc0000000,
					     .last = 0xefffffff,
					     .bus_first = 0xc0000000 };
	assert_int_equal(bk_pci_host_create(&desc, &w->host, NULL), 0);
	assert_int_equal(bk_mediator_create(w->domain, &w->fake.device, NULL, &w->mediate, NULL), 0);
	assert_int_equal(
		bk_pci_function_attach(bk_mediator_function(w->mediate), bk_pci_host_bus(w->host), 8), 0);
	assert_int_equal(bk_trap_add(w->mediate, &trap, &w->trap, NULL), 0);
	config(w, 0x10, 4, BAR);
	config(w, 4, 2, 2);
	w->accelerator = bk__monitor_accelerator_create(&vm, w->memory, w->ports, w->mediate);
	assert_non_null(w->accelerator);
}

static void close_world(struct world *w)
{
	bk__monitor_accelerator_destroy(w->accelerator);
	assert_false(kvm.on);
	assert_int_equal(device.fd, -1);
	bk_pci_function_detach(bk_mediator_function(w->mediate));
	bk_mediator_destroy(w->mediate);
	assert_int_equal(bk_pci_host_destroy(w->host), 0);
	assert_int_equal(bk_space_destroy(w->memory), 0);
	assert_int_equal(bk_space_destroy(w->ports), 0);
	assert_int_equal(bk_domain_destroy(w->domain), 0);
	fake_done(&w->fake);
}

static void the_write_goes_from_kvm_to_the_device(void **state)
{
	static struct world w;

	open_world(&w);
	write_times(&w, BAR + 0x100c, 9);
	assert_int_equal(kvm.calls + device.calls, 0);
	write_times(&w, BAR + 0x100c, 1);
	assert_true(kvm.on);
	assert_int_equal(kvm.now.addr, BAR + 0x100c);
	assert_int_equal(kvm.now.len, 4);
	assert_int_equal(kvm.now.datamatch, 0x55);
	assert_int_equal(kvm.now.fd, device.fd);
	assert_int_equal(device.bar, 0);
	assert_int_equal(device.offset, 0x100c);
	assert_int_equal(device.width, 4);
	assert_int_equal(device.value, 0x55);
	close_world(&w);
	assert_int_equal(fcntl(kvm.now.fd, F_GETFD), -1); /* closed */
}

static void it_follows_the_bar(void **state)
{
	static struct world w;

	open_world(&w);
	write_times(&w, BAR + 0x100c, 10);
	config(&w, 0x10, 4, 0xd8000000);
	assert_true(kvm.on);
	assert_int_equal(kvm.now.addr, 0xd800100c);
	config(&w, 4, 2, 0);
	assert_false(kvm.on);
	config(&w, 4, 2, 2);
	assert_true(kvm.on);
	config(&w, 0x10, 4, 0x10000000); /* outside the window */
	assert_false(kvm.on);
	config(&w, 0x10, 4, BAR);
	assert_true(kvm.on);
	assert_int_equal(kvm.now.addr, BAR + 0x100c);
	assert_int_equal(device.calls, 1); /* to the device nothing of that is visible */
	close_world(&w);
}

static int never(void *opaque, uint64_t offset, unsigned width, uint64_t *value)
{
	return -EIO;
}

/* Somebody else answers there, in part. */
static void it_gives_way_to_who_wins(void **state)
{
	static const struct bk_region_ops ops = { .read = never };
	static struct world w;
	struct bk_region_desc desc = {
		.first = BAR + 0x100e, .last = BAR + 0x100e, .priority = 5, .ops = &ops
	};
	struct bk_update *update;
	struct bk_region *region;

	open_world(&w);
	write_times(&w, BAR + 0x100c, 10);
	update = bk_update_begin(w.domain);
	assert_int_equal(bk_update_add(update, w.memory, &desc, &region), 0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
	assert_false(kvm.on);
	assert_int_equal(bk_region_retire(region), 0);
	assert_true(kvm.on);
	/* The trap itself goes. */
	bk_trap_remove(w.trap);
	assert_false(kvm.on);
	assert_int_equal(device.fd, -1);
	close_world(&w);
}

static void a_reset_undoes_it(void **state)
{
	static struct world w;

	open_world(&w);
	write_times(&w, BAR + 0x1008, 10);
	assert_true(kvm.on);
	assert_int_equal(bk_pci_function_reset(bk_mediator_function(w.mediate)), 0);
	assert_false(kvm.on);
	assert_int_equal(device.fd, -1);
	close_world(&w);
}

static void where_either_refuses_nothing_is_left(void **state)
{
	static struct world w;

	open_world(&w);
	device.error = -ENOTTY;
	write_times(&w, BAR + 0x1008, 30);
	assert_int_equal(device.calls, 1);
	assert_int_equal(kvm.calls, 0);
	device.error = 0;
	kvm.refuse = true;
	write_times(&w, BAR + 0x100c, 30);
	assert_int_equal(kvm.calls, 1);
	assert_int_equal(device.calls, 3); /* and undone */
	assert_int_equal(device.fd, -1);
	close_world(&w);
}

static void count_accelerated(void *opaque, const struct bk_trap_stats *stats)
{
	*(unsigned *)opaque += stats->accelerated;
}

/* As those to an I/O BAR: they go on to the trap, and no other's place is taken. */
static void writes_that_do_not_come_through_memory_are_left(void **state)
{
	static struct world w;
	unsigned accelerated = 0;

	open_world(&w);
	config(&w, 4, 2, 0);
	for (unsigned i = 0; i < 30; i++)
		bk_space_write(bk_mediator_space(w.mediate, 0), 0x1008, 4, 0x55);
	assert_false(kvm.on);
	bk_mediator_stats(w.mediate, count_accelerated, &accelerated);
	assert_int_equal(accelerated, 0);
	assert_int_equal(device.fd, -1);
	close_world(&w);
}

/* From the start, wherever the BAR is; a trap over it has the writes. */
static void a_doorbell_follows_its_bar(void **state)
{
	static const struct bk_trap_ops over_ops;
	struct bk_trap_desc desc = { .region = 2, .offset = 0x10, .length = 4, .ops = &over_ops };
	struct bk_trap *trap;
	static struct world w;

	has_doorbell = true;
	open_world(&w);
	has_doorbell = false;
	assert_true(device.fd >= 0);
	assert_int_equal(device.bar, 2);
	assert_int_equal(device.offset, 0x10);
	for (uint64_t address = BAR + 0x100000; address < BAR + 0x300000; address += 0x100000) {
		config(&w, 0x18, 4, address);
		assert_true(kvm.on);
		assert_int_equal(kvm.now.addr, address + 0x10);
		assert_int_equal(kvm.now.len, 2);
		assert_int_equal(kvm.now.datamatch, 1);
		assert_int_equal(kvm.now.fd, device.fd);
		assert_false(kvm.now.flags & KVM_IOEVENTFD_FLAG_PIO);
	}
	assert_int_equal(bk_trap_add(w.mediate, &desc, &trap, NULL), 0);
	assert_false(kvm.on);
	bk_trap_remove(trap);
	assert_true(kvm.on);
	config(&w, 4, 2, 0);
	assert_false(kvm.on);
	config(&w, 4, 2, 2);
	assert_true(kvm.on);
	close_world(&w);
}

/* KVM writes the one that the device has, and the device is asked for nothing. */
static void a_doorbell_that_has_an_eventfd(void **state)
{
	static struct world w;
	const uint64_t one = 1;
	uint64_t count = 0;

	(void)state;
	doorbell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	has_doorbell = true;
	open_world(&w);
	has_doorbell = false;
	config(&w, 0x18, 4, BAR + 0x100000);
	assert_true(kvm.on);
	assert_int_equal(kvm.now.addr, BAR + 0x100010);
	assert_int_not_equal(kvm.now.fd, doorbell_fd); /* the device may close its own */
	assert_int_equal(write(kvm.now.fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(read(doorbell_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	close_world(&w);
	assert_int_equal(device.calls, 0);
	assert_int_equal(fcntl(kvm.now.fd, F_GETFD), -1); /* closed */
	assert_true(fcntl(doorbell_fd, F_GETFD) >= 0);
	close(doorbell_fd);
	doorbell_fd = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_write_goes_from_kvm_to_the_device),
		cmocka_unit_test(it_follows_the_bar),
		cmocka_unit_test(it_gives_way_to_who_wins),
		cmocka_unit_test(a_reset_undoes_it),
		cmocka_unit_test(writes_that_do_not_come_through_memory_are_left),
		cmocka_unit_test(a_doorbell_follows_its_bar),
		cmocka_unit_test(a_doorbell_that_has_an_eventfd),
		cmocka_unit_test(where_either_refuses_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
