/* SPDX-License-Identifier: BSD-2-Clause */
/* The sim's interrupts, DMA maps and threads. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "sim_device.h"

#define INTX   BK_DEVICE_INTX
#define MSI    BK_DEVICE_MSI
#define MSIX   BK_DEVICE_MSIX
#define RAISE  0x0
#define ACK    0x4
#define STATUS 0x8
#define VECTOR 0xc

static struct bk_device *open_irq(void)
{
	return open_text(HEAD "pin: B\nbars:\n- index: 0\n  kind: mem32\n  size: 4K\n  registers:\n"
			      "  - {name: raise, offset: 0, access: irq, mask: 0xff}\n"
			      "  - {name: ack, offset: 4, access: ack}\n"
			      "  - {name: status, offset: 8, access: status}\n"
			      "  - {name: vector, offset: 0xc, access: irq, vector-bits: 0xff00}\n"
			      "  - {name: third, offset: 0x10, access: irq, vector: 3}\n"
			      "capabilities:\n- msi: {vectors: 2}\n"
			      "- msix: {vectors: 4, bar: 0, table: 0x800, pba: 0xc00}\n");
}

static int new_fd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* How often an eventfd was written since it was asked last. By a second descriptor, as the sim writes it:
 * QEMU's user-mode emulation swaps the bytes of the first one alone. */
static uint64_t taken(int fd)
{
	const int same = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	uint64_t value = 0;

	if (read(same, &value, sizeof(value)) < 0)
		assert_int_equal(errno, EAGAIN);
	close(same);
	return value;
}

static bool fires_soon(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 600000) == 1;
}

static void intx_masks_itself_until_unmasked(void **state)
{
	struct bk_device *device = open_irq();
	struct bk_device_irq irq = { 0 };
	int fd = new_fd();

	assert_int_equal(bk_device_irq(device, INTX, &irq), 0);
	assert_int_equal(irq.count, 1);
	assert_int_equal(irq.flags, BK_DEVICE_IRQ_MASKABLE | BK_DEVICE_IRQ_AUTOMASKED);
	assert_int_equal(get(device, 7, 0x3d, 1), 2);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1, &fd), 0);
	put(device, 0, RAISE, 0, 4); /* nothing is raised */
	assert_int_equal(taken(fd), 0);
	put(device, 0, RAISE, 0x500, 4); /* outside the mask */
	assert_int_equal(taken(fd), 0);
	put(device, 0, RAISE, 3, 4);
	assert_int_equal(taken(fd), 1);
	assert_int_equal(get(device, 0, STATUS, 4), 3);
	assert_int_equal(get(device, 7, 6, 2) & 8, 8);
	put(device, 0, RAISE, 4, 1);
	assert_int_equal(taken(fd), 0);
	/* The line is still up, so it fires again at once. */
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, NULL), 0);
	assert_int_equal(taken(fd), 1);
	put(device, 0, ACK, 3, 4);
	assert_int_equal(get(device, 0, RAISE, 4), 4);
	put(device, 0, ACK, 4, 4);
	assert_int_equal(get(device, 7, 6, 2) & 8, 0);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, NULL), 0);
	assert_int_equal(taken(fd), 0);
	/* Masked by hand, then raised, then unmasked. */
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_MASK, 0, 1, NULL), 0);
	put(device, 0, RAISE, 1, 4);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, NULL), 0);
	assert_int_equal(taken(fd), 1);
	/* COMMAND's disable bit holds it back (PCI 3.0 6.2.2). */
	put(device, 7, 4, 0x402, 2);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, NULL), 0);
	assert_int_equal(taken(fd), 0);
	put(device, 7, 4, 0x002, 2);
	assert_int_equal(taken(fd), 1);
	/* A reset lowers the line. */
	assert_int_equal(bk_device_reset(device), 0);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, NULL), 0);
	assert_int_equal(taken(fd), 0);
	/* Off: nobody is told. Raised while off: told when on. */
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL), 0);
	put(device, 0, RAISE, 1, 4);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1, &fd), 0);
	assert_int_equal(taken(fd), 1);
	bk_device_close(device);
	close(fd);
}

static void intx_ends_by_eventfd(void **state)
{
	struct bk_device *device = open_irq();
	int fd = new_fd(), end = new_fd(), none = -1, other = new_fd();
	uint64_t one = 1, left = 0;

	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, &end), -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1, &fd), 0);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, &end), 0);
	put(device, 0, RAISE, 1, 4);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(fires_soon(fd));
		assert_int_equal(taken(fd), 1);
		/* Not acknowledged, so it comes back. */
		assert_int_equal(write(end, &one, sizeof(one)), sizeof(one));
	}
	assert_true(fires_soon(fd));
	assert_int_equal(taken(fd), 1);
	/* Another eventfd takes over. */
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, &other), 0);
	assert_int_equal(write(other, &one, sizeof(one)), sizeof(one));
	assert_true(fires_soon(fd));
	assert_int_equal(taken(fd), 1);
	/* The caller may close its own. */
	close(other);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, &none), 0);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL), 0);
	/* On again without one: a write changes nothing. */
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1, &fd), 0);
	assert_int_equal(taken(fd), 1);
	assert_int_equal(write(end, &one, sizeof(one)), sizeof(one));
	usleep(20000);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(read(end, &left, sizeof(left)), sizeof(left)); /* nobody has read it */
	assert_int_equal(left, one);
	bk_device_close(device);
	close(fd);
	close(end);
}

/* What is not an eventfd is for ever readable; the thread must let go of it. */
static void ends_that_are_no_eventfds_do_not_spin(void **state)
{
	struct bk_device *device = open_irq();
	struct timespec before, after;
	int fd = new_fd(), pipes[2];
	FILE *file = tmpfile();
	int no_eventfd = fileno(file);

	assert_int_equal(pipe(pipes), 0);
	close(pipes[1]);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1, &fd), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, &no_eventfd), 0);
	usleep(100000);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, &pipes[0]), 0);
	usleep(100000);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec < 50000000);
	bk_device_close(device);
	close(fd);
	close(pipes[0]);
	fclose(file);
}

static void messages_go_to_their_vector(void **state)
{
	struct bk_device *device = open_irq();
	int fds[4] = { new_fd(), new_fd(), -1, new_fd() }, late = new_fd();

	put(device, 0, RAISE, 1, 4); /* nobody is there */
	assert_int_equal(bk_device_set_irqs(device, MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 4, fds), 0);
	assert_int_equal(taken(fds[0]), 0);
	put(device, 0, RAISE, 1, 4);
	put(device, 0, RAISE, 1, 4);
	assert_int_equal(taken(fds[0]), 2); /* an edge each */
	put(device, 0, VECTOR, 0x101, 4);
	assert_int_equal(taken(fds[1]), 1);
	put(device, 0, VECTOR, 0x200, 4);
	put(device, 0, VECTOR, 0x900, 4);
	put(device, 0, 0x10, 1, 1);
	assert_int_equal(taken(fds[3]), 1);
	assert_int_equal(taken(fds[0]) + taken(fds[1]), 0);
	/* One vector set later, one taken away. */
	assert_int_equal(bk_device_set_irqs(device, MSIX, BK_DEVICE_IRQ_TRIGGER, 2, 1, &late), 0);
	assert_int_equal(taken(late), 1); /* it was pending */
	put(device, 0, VECTOR, 0x200, 4);
	assert_int_equal(taken(late), 1);
	assert_int_equal(bk_device_set_irqs(device, MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 1, &fds[2]), 0);
	put(device, 0, RAISE, 1, 4);
	assert_int_equal(taken(fds[0]), 0);
	/* Without eventfds, the vectors themselves are fired. */
	assert_int_equal(bk_device_set_irqs(device, MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 4, NULL), 0);
	assert_int_equal(taken(fds[1]) + taken(late) + taken(fds[3]), 3);
	/* One index at a time. */
	assert_int_equal(bk_device_set_irqs(device, MSI, BK_DEVICE_IRQ_TRIGGER, 0, 2, fds), -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1, fds), -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_REQ, BK_DEVICE_IRQ_TRIGGER, 0, 1, fds), 0);
	assert_int_equal(bk_device_set_irqs(device, MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL), 0);
	assert_int_equal(bk_device_set_irqs(device, MSI, BK_DEVICE_IRQ_TRIGGER, 0, 2, fds), 0);
	put(device, 0, VECTOR, 0x100, 4);
	assert_int_equal(taken(fds[1]), 1);
	put(device, 0, VECTOR, 0x300, 4);
	assert_int_equal(taken(fds[3]), 0);
	bk_device_close(device);
	for (unsigned i = 0; i < 4; i++)
		if (i != 2)
			close(fds[i]);
	close(late);
}

static void one_wide_write_raises_two(void **state)
{
	struct bk_device *device =
		open_text(HEAD "bars:\n- index: 0\n  kind: mem32\n  size: 4K\n  registers:\n"
			       "  - {offset: 0, access: irq, vector: 0}\n"
			       "  - {offset: 4, access: irq, vector: 1}\n"
			       "capabilities:\n- msi: {vectors: 2}\n");
	int fds[2] = { new_fd(), new_fd() };

	assert_int_equal(bk_device_set_irqs(device, MSI, BK_DEVICE_IRQ_TRIGGER, 0, 2, fds), 0);
	put(device, 0, 0, 0x0000000100000001, 8);
	assert_int_equal(taken(fds[0]), 1);
	assert_int_equal(taken(fds[1]), 1);
	put(device, 0, 2, 0x01000000, 4);
	assert_int_equal(taken(fds[0]), 0);
	assert_int_equal(taken(fds[1]), 1);
	bk_device_close(device);
	close(fds[0]);
	close(fds[1]);
}

static void bad_requests_are_refused(void **state)
{
	struct bk_device *device = open_irq();
	int fds[5] = { -1, -1, -1, -1, -1 }, closed = new_fd();

	close(closed);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_IRQS, BK_DEVICE_IRQ_TRIGGER, 0, 1, fds),
			 -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, UINT32_MAX, BK_DEVICE_IRQ_TRIGGER, 0, 1, fds), -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 5, fds), -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, MSIX, BK_DEVICE_IRQ_TRIGGER, 4, 1, fds), -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, MSIX, BK_DEVICE_IRQ_TRIGGER, 2, UINT32_MAX, fds),
			 -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, MSIX, BK_DEVICE_IRQ_TRIGGER, UINT32_MAX, 2, fds),
			 -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 1, &closed), -EBADF);
	assert_int_equal(bk_device_set_irqs(device, MSIX, BK_DEVICE_IRQ_MASK, 0, 1, NULL), -ENOTTY);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_MASK, 0, 1, NULL), -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1, fds), 0);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_MASK, 0, 1, fds), -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, INTX, BK_DEVICE_IRQ_MASK, 0, 0, NULL), -EINVAL);
	assert_int_equal(bk_device_set_irqs(device, INTX, (enum bk_device_irq_action)7, 0, 1, NULL), -EINVAL);
	bk_device_close(device);
}

/* ---- DMA, facts ---- */

static void dma_maps_are_kept_disjoint(void **state)
{
	struct bk_device *device = open_irq();
	struct bk_device_dma dma = { .iova = 0x10000, .size = 0x4000, .flags = BK_DEVICE_DMA_READ, .fd = -1 };
	struct bk_error err = { "" };

	assert_int_equal(bk_device_dma_map(device, &dma, &err), 0);
	assert_int_equal(bk_device_dma_map(device, &dma, &err), -EEXIST);
	assert_string_equal(
		err.text,
		"sim:x.yaml: DMA range 0x10000+0x4000 overlaps one that is mapped; unmap that first");
	dma.iova = 0x13000;
	assert_int_equal(bk_device_dma_map(device, &dma, NULL), -EEXIST);
	dma.iova = 0x14000;
	assert_int_equal(bk_device_dma_map(device, &dma, &err), 0);
	dma.iova = 0x100;
	assert_int_equal(bk_device_dma_map(device, &dma, &err), -EINVAL);
	dma.iova = UINT64_MAX & ~0xfffull;
	assert_int_equal(bk_device_dma_map(device, &dma, &err), -EINVAL);
	dma.size = 0x1000;
	assert_int_equal(bk_device_dma_map(device, &dma, &err), 0);
	assert_int_equal(bk_device_dma_unmap(device, 0x10000, 0x8000), -ENOENT);
	assert_int_equal(bk_device_dma_unmap(device, 0x10000, 0x4000), 0);
	assert_int_equal(bk_device_dma_unmap(device, 0x10000, 0x4000), -ENOENT);
	bk_device_close(device);
}

static void dma_maps_are_bounded(void **state)
{
	struct bk_device *device = open_irq();
	struct bk_device_dma dma = { .size = 0x1000, .fd = -1 };
	struct bk_error err = { "" };

	for (unsigned i = 0; i < 65535; i++, dma.iova += 0x1000)
		if (bk_device_dma_map(device, &dma, &err))
			fail_msg("%s", err.text);
	assert_int_equal(bk_device_dma_map(device, &dma, &err), -ENOSPC);
	bk_device_close(device);
}

static void keep_fact(void *opaque, const char *key, const char *value)
{
	size_t used = strlen(opaque);

	snprintf((char *)opaque + used, 512 - used, "%s=%s;", key, value);
}

static void facts_are_told(void **state)
{
	struct bk_device *device = open_irq();
	char facts[512] = "";

	put(device, 0, RAISE, 1, 4);
	bk_device_reset(device);
	bk_device_describe(device, keep_fact, facts);
	assert_string_equal(facts, "file=x.yaml;model=x;registers=5;accesses=1;interrupts=1 raised, 0 lost;"
				   "resets=1;DMA maps=0;");
	assert_string_equal(device->name, "sim:x.yaml");
	bk_device_close(device);
}

/* ---- Threads ---- */

static struct bk_device *shared;
static int shared_end;

static void *hammer(void *opaque)
{
	unsigned which = (unsigned)(uintptr_t)opaque;
	int fds[4] = { -1, -1, -1, -1 }, end = shared_end;
	uint32_t data = 0;

	for (unsigned i = 0; i < 2000; i++) {
		data = i;
		switch (which) {
		case 0:
			bk_device_write(shared, 0, RAISE, &data, 4);
			bk_device_read(shared, 0, STATUS, &data, 4);
			break;
		case 1:
			bk_device_set_irqs(shared, INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1, &end);
			bk_device_set_irqs(shared, INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, &end);
			bk_device_set_irqs(shared, INTX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL);
			bk_device_set_irqs(shared, MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 4, fds);
			bk_device_set_irqs(shared, MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL);
			break;
		case 2:
			bk_device_write(shared, 7, 0x10, &data, 4);
			bk_device_read(shared, 7, 0, &data, 4);
			bk_device_read(shared, 0, 0x800, &data, 4);
			break;
		default:
			if (i % 16 == 0)
				bk_device_reset(shared);
			bk_device_write(shared, 0, ACK, &data, 4);
		}
	}
	return NULL;
}

static void any_thread_may_do_anything(void **state)
{
	pthread_t threads[4];

	shared = open_irq();
	shared_end = new_fd();
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, (void *)i), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(bk__sim_count(shared, 0, 4, true), 4000);
	bk_device_close(shared);
	close(shared_end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intx_masks_itself_until_unmasked),
		cmocka_unit_test(intx_ends_by_eventfd),
		cmocka_unit_test(ends_that_are_no_eventfds_do_not_spin),
		cmocka_unit_test(messages_go_to_their_vector),
		cmocka_unit_test(one_wide_write_raises_two),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(dma_maps_are_kept_disjoint),
		cmocka_unit_test(dma_maps_are_bounded),
		cmocka_unit_test(facts_are_told),
		cmocka_unit_test(any_thread_may_do_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
