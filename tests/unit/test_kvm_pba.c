/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page of an MSI-X PBA is mapped until a vector that the guest masks has fired. KVM is the one that reads
 * the eventfds that it was given.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "monitor/events.h"
#include "monitor/interrupts.h"
#include "sim_device.h"
#include "trap_kit.h"

#define VECTORS  8 /* as setup() has it */
#define MSIX_CAP 0x70
#define DEVFN    BK_PCI_DEVFN(3, 0)

/* ---- KVM and the device ------------------------------------------------- */

static struct {
	int joined[VECTORS];
	unsigned joined_count;
} kvm;

static int fds[VECTORS]; /* that the device has; -1: none */

int bk__monitor_vm_ioctl(const struct bk__monitor_vm *vm, unsigned long request, void *argument)
{
	const struct kvm_irqfd *irqfd = argument;
	unsigned i;

	if (request != KVM_IRQFD)
		return 0;
	for (i = 0; i < kvm.joined_count && kvm.joined[i] != (int)irqfd->fd; i++)
		;
	if (!(irqfd->flags & KVM_IRQFD_FLAG_DEASSIGN))
		kvm.joined[kvm.joined_count++] = (int)irqfd->fd;
	else if (i < kvm.joined_count)
		kvm.joined[i] = kvm.joined[--kvm.joined_count];
	return 0;
}

int bk__monitor_vm_open(struct bk__monitor_vm *vm, struct bk_error *err)
{
	return -ENODEV;
}

void bk__monitor_vm_close(struct bk__monitor_vm *vm)
{
}

static const struct bk__monitor_vm vm = { .kvm = -1, .fd = -1, .slots = 8, .routes = 4096 };

static int set_irqs(struct bk_device *device, unsigned index, enum bk_device_irq_action action,
		    unsigned start, unsigned count, const int *given)
{
	if (index != BK_DEVICE_MSIX || action != BK_DEVICE_IRQ_TRIGGER)
		return 0;
	for (unsigned i = 0; i < count; i++)
		fds[start + i] = given[i];
	for (unsigned i = 0; !count && i < VECTORS; i++)
		fds[i] = -1;
	return 0;
}

/* ---- A function on a bus, and who serves the run ------------------------ */

struct world {
	struct fixture *f;
	struct bk_device_ops ops;
	struct bk_pci_host *host;
	struct bk__monitor_gsi *gsis;
	struct bk__monitor_events events;
	struct bk__monitor_pba *pba;
	struct bk__monitor_irq *irq;
	int wake;
	int set; /* the fd that vectors are watched by */
};

static void config_write(struct world *w, unsigned offset, unsigned width, uint64_t value)
{
	wr(w->f, BK_DEVICE_CONFIG, offset, width, value);
}

static void mask(struct world *w, unsigned vector, bool masked)
{
	wr(w->f, 0, TABLE + 16 * vector + 12, 4, masked);
}

static int open_world(void **state)
{
	static struct world w;
	struct bk_pci_host_desc desc = { .lines = 8 };
	struct fixture *f;
	struct bk_error err;

	memset(&w, 0, sizeof(w));
	memset(&kvm, 0, sizeof(kvm));
	memset(fds, 0xff, sizeof(fds));
	if (setup(state))
		return -1;
	f = w.f = *state;
	f->fake.irqs[BK_DEVICE_MSIX].count = VECTORS;
	w.ops = *f->fake.device.ops;
	w.ops.set_irqs = set_irqs;
	f->fake.device.ops = &w.ops;
	desc.domain = f->domain;
	assert_int_equal(bk_pci_host_create(&desc, &w.host, &err), 0);
	assert_int_equal(
		bk_pci_function_attach(bk_mediator_function(f->mediate), bk_pci_host_bus(w.host), DEVFN), 0);
	assert_int_equal(bk__monitor_gsi_create(&vm, &w.gsis, &err), 0);
	w.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_false(page_is_mapped(f, 0, PBA));
	assert_int_equal(bk__base_loop_create(&w.events.loop), 0);
	w.set = dup(w.wake);
	close(w.set); /* what is opened next has its number */
	w.pba = bk__monitor_pba_create(w.events.loop, f->mediate);
	assert_non_null(w.pba);
	assert_int_equal(bk__monitor_irq_create(w.gsis, &f->fake.device, bk_mediator_function(f->mediate),
						w.pba, &w.irq, &err),
			 0);
	config_write(&w, MSIX_CAP + 2, 2, 0x8000);
	for (unsigned i = 0; i < 4; i++) {
		wr(f, 0, TABLE + 16 * i, 8, 0xfee01000);
		mask(&w, i, false);
	}
	assert_int_equal(kvm.joined_count, 4);
	*state = &w;
	return 0;
}

static int close_world(void **state)
{
	struct world *w = *state;

	bk__monitor_irq_destroy(w->irq);
	assert_true(page_is_mapped(w->f, 0, PBA));
	bk__monitor_pba_destroy(w->pba);
	bk__base_loop_destroy(w->events.loop);
	assert_false(page_is_mapped(w->f, 0, PBA)); /* an emulated function keeps what is pending itself */
	assert_int_equal(kvm.joined_count, 0);
	bk__monitor_gsi_destroy(w->gsis);
	bk_pci_function_detach(bk_mediator_function(w->f->mediate));
	close(w->wake);
	*state = w->f;
	assert_int_equal(bk_pci_host_destroy(w->host), 0);
	return teardown(state);
}

static void fire(unsigned vector)
{
	const uint64_t one = 1;

	assert_int_equal(write(fds[vector], &one, sizeof(one)), sizeof(one));
}

/* All that there is to serve is served. */
static void serve(struct world *w)
{
	struct bk_error err;

	assert_int_equal(write(w->wake, &(uint64_t){ 1 }, 8), 8);
	assert_int_equal(bk__monitor_events_wait(&w->events, w->wake, &err), 0);
}

static uint64_t pba(struct world *w)
{
	return rd(w->f, 0, PBA, 8);
}

static bool is_mapped(struct world *w)
{
	return page_is_mapped(w->f, 0, PBA);
}

/* ---- Tests --------------------------------------------------------------- */

static void it_is_mapped_but_while_a_masked_vector_is_pending(void **state)
{
	struct world *w = *state;

	assert_true(is_mapped(w));
	assert_true(page_is_mapped(w->f, 0, PBA + 0x1000));
	mask(w, 2, true);
	serve(w);
	assert_true(is_mapped(w)); /* masked, but it has not fired */
	fire(1);                   /* KVM's */
	serve(w);
	assert_true(is_mapped(w));

	fire(2);
	serve(w);
	assert_false(is_mapped(w));
	assert_int_equal(pba(w), 1 << 2);
	mask(w, 2, false);
	assert_true(is_mapped(w));
	assert_int_equal(kvm.joined_count, 4); /* who finds it in the eventfd */

	/* And once more: nothing of the last time is left. */
	mask(w, 2, true);
	serve(w);
	assert_true(is_mapped(w));
	fire(2);
	serve(w);
	assert_false(is_mapped(w));
	mask(w, 2, false);
	assert_true(is_mapped(w));
}

static void the_last_one_that_is_pending_counts(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 3; i++) {
		mask(w, i, true);
		fire(i);
	}
	serve(w);
	assert_int_equal(pba(w), 7);
	mask(w, 1, false);
	mask(w, 0, false);
	assert_false(is_mapped(w));
	assert_int_equal(pba(w), 4);
	mask(w, 3, true); /* not pending */
	mask(w, 3, false);
	assert_false(is_mapped(w));
	mask(w, 2, false);
	assert_true(is_mapped(w));
}

/* One that fires before it is masked, and that KVM has not read, is pending as well. */
static void what_is_in_the_eventfd_already_is_pending(void **state)
{
	struct world *w = *state;

	fire(0);
	mask(w, 0, true);
	serve(w);
	assert_false(is_mapped(w));
	assert_int_equal(pba(w), 1);
	mask(w, 0, false);
	assert_true(is_mapped(w));
}

/* The eventfd stays readable: whoever waits for it again and again would never sleep. */
static void who_serves_the_run_does_not_spin(void **state)
{
	struct world *w = *state;
	struct pollfd fd = { .events = POLLIN };

	mask(w, 0, true);
	fire(0);
	fd.fd = bk__base_loop_fd(w->events.loop);
	assert_int_equal(poll(&fd, 1, 0), 1);
	serve(w);
	assert_int_equal(poll(&fd, 1, 0), 0);
	fire(0);
	assert_int_equal(poll(&fd, 1, 0), 0);
}

static void it_is_served_while_devices_are_not(void **state)
{
	struct world *w = *state;

	w->events.quiet = true;
	mask(w, 0, true);
	fire(0);
	serve(w);
	assert_false(is_mapped(w));
}

static void the_function_mask_masks_all(void **state)
{
	struct world *w = *state;

	config_write(w, MSIX_CAP + 2, 2, 0xc000);
	fire(0);
	fire(3);
	serve(w);
	assert_false(is_mapped(w));
	assert_int_equal(pba(w), 9);
	config_write(w, MSIX_CAP + 2, 2, 0x8000);
	assert_true(is_mapped(w));
}

static void nothing_is_pending_without_msix(void **state)
{
	struct world *w = *state;

	mask(w, 0, true);
	fire(0);
	serve(w);
	assert_false(is_mapped(w));
	config_write(w, MSIX_CAP + 2, 2, 0);
	assert_true(is_mapped(w));

	config_write(w, MSIX_CAP + 2, 2, 0x8000);
	mask(w, 1, false);
	mask(w, 1, true);
	fire(1);
	serve(w);
	assert_false(is_mapped(w));
	assert_int_equal(bk_pci_function_reset(bk_mediator_function(w->f->mediate)), 0);
	assert_true(is_mapped(w));
	serve(w);
	assert_true(is_mapped(w));
}

/* It fired, was served late, and meanwhile the guest has unmasked it. */
static void one_that_is_unmasked_before_it_is_served(void **state)
{
	struct world *w = *state;

	mask(w, 0, true);
	fire(0);
	mask(w, 0, false);
	serve(w);
	assert_true(is_mapped(w));
}

/* Nobody would hear of it when it fires: reads exit from the start. */
static void where_a_vector_cannot_be_watched_reads_exit(void **state)
{
	struct world *w = *state;

	close(w->set);
	mask(w, 0, true);
	assert_false(is_mapped(w));
	assert_int_equal(pba(w), 0);
	fire(0);
	assert_int_equal(pba(w), 1);
	mask(w, 0, false);
	assert_true(is_mapped(w));
	assert_int_equal(dup2(w->wake, w->set), w->set); /* for who closes it */
}

static void *guest(void *opaque)
{
	struct world *w = opaque;

	for (unsigned i = 0; i < 500; i++) {
		const unsigned vector = i % 4;

		mask(w, vector, true);
		fire(vector);
		if (i % 3 == 0)
			(void)pba(w);
		if (i % 50 == 49) {
			config_write(w, MSIX_CAP + 2, 2, 0);
			config_write(w, MSIX_CAP + 2, 2, 0x8000);
			for (unsigned j = 0; j < 4; j++)
				mask(w, j, false);
		}
		mask(w, vector, false);
	}
	assert_int_equal(write(w->wake, &(uint64_t){ 1 }, 8), 8);
	return NULL;
}

/* Vectors go from under who watches them. */
static void a_guest_that_masks_and_switches_off_meanwhile(void **state)
{
	struct world *w = *state;
	struct bk_error err;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, guest, w), 0);
	assert_int_equal(bk__monitor_events_wait(&w->events, w->wake, &err), 0);
	pthread_join(thread, NULL);
	serve(w);
	assert_true(is_mapped(w));
	mask(w, 3, true);
	fire(3);
	serve(w);
	assert_false(is_mapped(w));
	assert_int_equal(pba(w), 8);
}

/* Its trap stays, and nothing is watched. */
static void where_there_is_no_such_page_the_trap_stays(void **state)
{
	struct world *w = *state;
	struct bk__base_loop *loop;
	struct bk_mediator *other;
	struct bk_error err;
	static const char shared[] = HEAD "bars:\n"
					  "  - {index: 0, kind: mem32, size: 16K, mappable: true}\n"
					  "capabilities:\n"
					  "  - msix: {vectors: 16, bar: 0, table: 0x2800, pba: 0x2a00}\n";

	assert_int_equal(bk_mediator_create(w->f->domain, open_text(shared), NULL, &other, &err), 0);
	assert_int_equal(bk__base_loop_create(&loop), 0);
	assert_null(bk__monitor_pba_create(loop, other));
	assert_int_equal(bk_mediator_trap_pba(other, false), -ENOTSUP);
	assert_int_equal(bk_mediator_destroy(other), 0);
	/* Nor where the loop takes no fd. */
	assert_true(dup2(w->wake, bk__base_loop_fd(loop)) >= 0);
	assert_null(bk__monitor_pba_create(loop, w->f->mediate));
	bk__base_loop_destroy(loop);
	assert_int_equal(bk_mediator_trap_pba(w->f->mediate, false), 0);
}

#define PBA_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PBA_TEST(it_is_mapped_but_while_a_masked_vector_is_pending),
		PBA_TEST(the_last_one_that_is_pending_counts),
		PBA_TEST(what_is_in_the_eventfd_already_is_pending),
		PBA_TEST(who_serves_the_run_does_not_spin),
		PBA_TEST(it_is_served_while_devices_are_not),
		PBA_TEST(the_function_mask_masks_all),
		PBA_TEST(nothing_is_pending_without_msix),
		PBA_TEST(one_that_is_unmasked_before_it_is_served),
		PBA_TEST(where_a_vector_cannot_be_watched_reads_exit),
		PBA_TEST(a_guest_that_masks_and_switches_off_meanwhile),
		PBA_TEST(where_there_is_no_such_page_the_trap_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
