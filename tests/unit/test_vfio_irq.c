/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI and MSI-X through VFIO: how many vectors the host is asked for. The
 * kernel is the test: it fixes their number with the first call, as those
 * before 6.5 do, or adds them one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "device/vfio.h"
#include "vfio_kernel.h"

#define MSI     BK_DEVICE_MSI
#define MSIX    BK_DEVICE_MSIX
#define TRIGGER BK_DEVICE_IRQ_TRIGGER
#define MOST    2048
#define DEVICE  1000 /* its descriptor */

static struct {
	unsigned has;   /* vectors that the host has to give */
	bool says;      /* how many, if asked for more; else it is just an error */
	unsigned on;    /* index; 0: off */
	unsigned taken; /* the highest vector + 1 that is allocated */
	unsigned count; /* vectors that are allocated */
	bool given[MOST];
	int fds[MOST];
	unsigned offs, ons;
	int error; /* of the next call for vectors that are allocated; 0: none */
} host;

static unsigned lines; /* of the log */
static char line[512];

static int set_off(void)
{
	host.on = host.taken = host.count = 0;
	host.offs++;
	memset(host.given, 0, sizeof(host.given));
	for (unsigned i = 0; i < MOST; i++)
		host.fds[i] = -1;
	return 0;
}

static bool is_eventfd(int fd)
{
	return fd < 500; /* the tests' bad one is above */
}

static int set_block(const struct vfio_irq_set *arg, bool dynamic)
{
	for (unsigned i = arg->start; i < arg->start + arg->count; i++) {
		int fd;

		memcpy(&fd, arg->data + (i - arg->start) * sizeof(fd), sizeof(fd));
		if (fd >= 0 && !is_eventfd(fd))
			return refuse(EINVAL);
		if (!host.given[i] && !dynamic)
			return refuse(EINVAL);
		if (!host.given[i] && fd >= 0) {
			if (host.count == host.has)
				return refuse(ENOSPC);
			host.given[i] = true;
			host.count++;
		}
		host.fds[i] = fd;
	}
	return 0;
}

static int turn_on(const struct vfio_irq_set *arg, bool dynamic)
{
	const unsigned wanted = arg->start + arg->count;

	if (wanted > host.has) {
		if (host.says && host.has)
			return (int)host.has;
		return refuse(ENOSPC);
	}
	host.ons++;
	host.on = arg->index;
	host.count = host.taken = wanted;
	for (unsigned i = 0; i < wanted; i++)
		host.given[i] = true;
	if (set_block(arg, dynamic)) {
		set_off();
		return refuse(EINVAL);
	}
	return 0;
}

/* As the kernel undoes a call of which it could not do all. */
static int fail_block(const struct vfio_irq_set *arg)
{
	const int error = host.error;

	host.error = 0;
	for (unsigned i = arg->start; i < arg->start + arg->count; i++)
		host.fds[i] = -1;
	return refuse(error);
}

static bool noresize;

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	const struct vfio_irq_set *arg;
	va_list args;

	va_start(args, request);
	arg = va_arg(args, const struct vfio_irq_set *);
	va_end(args);
	assert_int_equal(fd, DEVICE);
	assert_int_equal(request, VFIO_DEVICE_SET_IRQS);
	if (arg->index != MSI && arg->index != MSIX)
		return 0;
	if (!arg->count)
		return host.on == arg->index ? set_off() : refuse(EINVAL);
	assert_true(arg->start + arg->count <= MOST);
	if (arg->flags & VFIO_IRQ_SET_DATA_NONE) {
		const uint64_t one = 1;

		if (host.on != arg->index || (noresize && arg->start + arg->count > host.taken))
			return refuse(EINVAL);
		for (unsigned i = arg->start; i < arg->start + arg->count; i++)
			if (host.fds[i] >= 0)
				assert_int_equal(write(host.fds[i], &one, sizeof(one)), sizeof(one));
		return 0;
	}
	if (host.on && host.on != arg->index)
		return refuse(EINVAL);
	if (!host.on)
		return turn_on(arg, !noresize);
	return host.error ? fail_block(arg) : set_block(arg, !noresize);
}

static void on_log(void *opaque, enum bk_log_level level, const char *text)
{
	lines++;
	snprintf(line, sizeof(line), "%s", text);
}

static struct bk__device_vfio vfio;

static struct bk_device *open_device(bool fixed, unsigned has)
{
	memset(&vfio, 0, sizeof(vfio));
	vfio.base.name = "vfio:0000:01:00.0";
	vfio.fd = DEVICE;
	vfio.irq_count = BK_DEVICE_IRQS;
	vfio.irq_on = BK_DEVICE_IRQS;
	vfio.irqs[BK_DEVICE_INTX].count = 1;
	vfio.irqs[MSI] = (struct bk_device_irq){ .count = 16, .flags = BK_DEVICE_IRQ_NORESIZE };
	vfio.irqs[MSIX] =
		(struct bk_device_irq){ .count = MOST, .flags = fixed ? BK_DEVICE_IRQ_NORESIZE : 0 };
	pthread_mutex_init(&vfio.irq_lock, NULL);
	memset(&host, 0, sizeof(host));
	set_off();
	host.has = has;
	host.offs = 0;
	noresize = fixed;
	lines = 0;
	bk_log_set(on_log, NULL);
	return &vfio.base;
}

static void close_device(void)
{
	bk__vfio_irqs_off(&vfio);
	assert_int_equal(host.on, 0);
	assert_null(vfio.messages.fds);
	pthread_mutex_destroy(&vfio.irq_lock);
	bk_log_set(NULL, NULL);
}

static int new_fd(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static uint64_t taken(int fd)
{
	uint64_t value = 0;

	return read(fd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static int set(struct bk_device *device, unsigned index, unsigned start, unsigned count, const int *fds)
{
	return bk__vfio_set_irqs(device, index, TRIGGER, start, count, fds);
}

static void the_device_is_switched_before_a_vector_is_used(void **state)
{
	const int nobody = -1;

	for (unsigned fixed = 0; fixed < 2; fixed++) {
		struct bk_device *device = open_device(fixed, 100);

		assert_int_equal(set(device, MSIX, 0, 1, &nobody), 0);
		assert_int_equal(host.on, MSIX);
		assert_int_equal(host.count, 1);
		assert_int_equal(set(device, MSIX, 5, 1, &nobody), 0);
		assert_int_equal(host.count, 1);
		close_device();
	}
}

static void vectors_are_taken_as_they_are_used(void **state)
{
	int fds[3] = { new_fd(), new_fd(), new_fd() };
	struct bk_device *device = open_device(true, 129);

	assert_int_equal(set(device, MSIX, 0, 1, &fds[0]), 0);
	assert_int_equal(set(device, MSIX, 1, 1, &fds[1]), 0);
	assert_int_equal(host.count, 2);
	assert_int_equal(host.ons, 2);
	/* Again, or one below, needs no more. */
	assert_int_equal(set(device, MSIX, 0, 2, fds), 0);
	assert_int_equal(host.ons, 2);
	close_device();

	/* Where the kernel adds them, none is turned off, and no number below is taken. */
	device = open_device(false, 129);
	taken(fds[0]);
	assert_int_equal(set(device, MSIX, 7, 1, &fds[0]), 0);
	assert_int_equal(set(device, MSIX, 100, 1, &fds[1]), 0);
	assert_int_equal(host.count, 3); /* the first of all is always there */
	assert_int_equal(host.fds[100], fds[1]);
	assert_int_equal(host.offs, 0);
	assert_int_equal(taken(fds[0]), 0);
	close_device();
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
}

/* What the device fired while they were off is lost: those that were on fire once more. */
static void no_interrupt_is_lost_where_vectors_are_added(void **state)
{
	int fds[4] = { new_fd(), -1, new_fd(), new_fd() };
	struct bk_device *device = open_device(true, 129);

	assert_int_equal(set(device, MSIX, 0, 3, fds), 0);
	assert_int_equal(taken(fds[0]) + taken(fds[2]), 0);
	assert_int_equal(set(device, MSIX, 3, 1, &fds[3]), 0);
	assert_int_equal(taken(fds[0]), 1);
	assert_int_equal(taken(fds[2]), 1);
	assert_int_equal(taken(fds[3]), 0);
	assert_memory_equal(host.fds, fds, sizeof(fds));
	close_device();
	close(fds[0]);
	close(fds[2]);
	close(fds[3]);
}

static void a_guest_that_uses_all_vectors_gets_them_in_few_steps(void **state)
{
	struct bk_device *device = open_device(true, MOST);
	int fd = new_fd();

	for (unsigned i = 0; i < MOST; i++) {
		assert_int_equal(set(device, MSIX, i, 1, &fd), 0);
		assert_true(host.count <= i + 1 + (i + 1) / 4);
	}
	assert_int_equal(host.count, MOST);
	assert_true(host.ons < 50);
	close_device();

	device = open_device(true, MOST); /* highest first: one step */
	for (unsigned i = MOST; i-- > 0;)
		assert_int_equal(set(device, MSIX, i, 1, &fd), 0);
	assert_int_equal(host.ons, 1);
	close_device();
	close(fd);
}

static void a_host_with_few_vectors_gives_those_and_says_so_once(void **state)
{
	int fds[16];

	for (unsigned i = 0; i < 16; i++)
		fds[i] = new_fd();
	for (unsigned says = 0; says < 2; says++) {
		struct bk_device *device = open_device(true, 1);

		taken(fds[0]);
		host.says = says;
		assert_int_equal(set(device, MSI, 0, 1, fds), 0);
		assert_int_equal(lines, 0);
		assert_int_equal(set(device, MSI, 0, 0, NULL), 0);
		assert_int_equal(set(device, MSI, 0, 16, fds), -ENOSPC);
		assert_int_equal(host.on, MSI);
		assert_int_equal(host.count, 1);
		assert_int_equal(host.fds[0], fds[0]);
		assert_int_equal(lines, 1);
		assert_non_null(strstr(line, "1 of 16"));
		/* Nor is the host asked again and again. */
		host.offs = host.ons = 0;
		assert_int_equal(set(device, MSI, 5, 1, &fds[5]), -ENOSPC);
		assert_int_equal(host.offs + host.ons, 0);
		assert_int_equal(lines, 1);
		assert_int_equal(bk__vfio_set_irqs(device, MSI, TRIGGER, 0, 16, NULL), 0);
		assert_int_equal(taken(fds[0]), 1);
		close_device();

		/* Growing into the limit, the ones that were there stay. */
		device = open_device(true, 11);
		host.says = says;
		for (unsigned i = 0; i < 11; i++)
			assert_int_equal(set(device, MSIX, i, 1, &fds[i]), 0);
		assert_int_equal(set(device, MSIX, 11, 1, &fds[11]), -ENOSPC);
		assert_int_equal(host.count, 11);
		assert_memory_equal(host.fds, fds, 11 * sizeof(int));
		assert_int_equal(lines, 1);
		close_device();
	}
	for (unsigned i = 0; i < 16; i++)
		close(fds[i]);
}

static void one_by_one_those_that_are_there_are_given(void **state)
{
	int fds[4] = { new_fd(), new_fd(), new_fd(), new_fd() };
	struct bk_device *device = open_device(false, 3);

	assert_int_equal(set(device, MSIX, 0, 4, fds), -ENOSPC);
	assert_int_equal(host.count, 3);
	assert_memory_equal(host.fds, fds, 3 * sizeof(int));
	assert_int_equal(lines, 1);
	close_device();

	device = open_device(false, 0);
	assert_int_equal(set(device, MSIX, 0, 1, fds), -ENOSPC);
	assert_int_equal(host.on, 0);
	host.has = 1; /* another device gave some back */
	assert_int_equal(set(device, MSIX, 0, 1, fds), 0);
	close_device();
	for (unsigned i = 0; i < 4; i++)
		close(fds[i]);
}

static void what_is_no_eventfd_changes_nothing_else(void **state)
{
	int fds[3] = { new_fd(), 999, new_fd() };
	struct bk_device *device = open_device(true, 10);

	assert_int_equal(set(device, MSIX, 0, 2, fds), -EINVAL);
	assert_int_equal(host.on, 0);
	assert_int_equal(set(device, MSIX, 0, 1, fds), 0);
	assert_int_equal(set(device, MSIX, 1, 1, &fds[1]), -EINVAL);
	assert_int_equal(host.fds[0], fds[0]);
	assert_int_equal(set(device, MSIX, 2, 1, &fds[2]), 0);
	assert_int_equal(host.fds[1], -1);
	assert_int_equal(host.fds[2], fds[2]);
	assert_int_equal(lines, 0);
	close_device();
	close(fds[0]);
	close(fds[2]);
}

/* The caller closes what was refused, and its number may be another file's when vectors are added. */
static void what_the_host_refuses_is_not_given_again(void **state)
{
	int fds[3] = { new_fd(), new_fd(), new_fd() }, refused[2] = { new_fd(), new_fd() };
	struct bk_device *device = open_device(true, 10);

	assert_int_equal(set(device, MSIX, 0, 3, fds), 0);
	host.error = ENOMEM;
	assert_int_equal(set(device, MSIX, 1, 2, refused), -ENOMEM);
	assert_int_equal(set(device, MSIX, 5, 1, &fds[1]), 0); /* all are turned off and on again */
	assert_int_equal(host.fds[0], fds[0]);
	assert_int_equal(host.fds[1], -1);
	assert_int_equal(host.fds[2], -1);
	assert_int_equal(host.fds[5], fds[1]);
	close_device();
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
	close(refused[0]);
	close(refused[1]);
}

static void one_kind_is_on_at_a_time(void **state)
{
	struct bk_device *device = open_device(true, 10);
	int fd = new_fd();

	assert_int_equal(bk__vfio_set_irqs(device, MSIX, TRIGGER, 0, 1, NULL), -EINVAL);
	assert_int_equal(set(device, MSIX, 0, 1, &fd), 0);
	assert_int_equal(set(device, MSI, 0, 1, &fd), -EBUSY);
	assert_int_equal(set(device, BK_DEVICE_INTX, 0, 1, &fd), -EBUSY);
	assert_int_equal(set(device, MSIX, MOST, 1, &fd), -EINVAL);
	assert_int_equal(set(device, MSIX, 0, 0, NULL), 0);
	assert_int_equal(set(device, MSI, 0, 1, &fd), 0);
	close_device();
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_device_is_switched_before_a_vector_is_used),
		cmocka_unit_test(vectors_are_taken_as_they_are_used),
		cmocka_unit_test(no_interrupt_is_lost_where_vectors_are_added),
		cmocka_unit_test(a_guest_that_uses_all_vectors_gets_them_in_few_steps),
		cmocka_unit_test(a_host_with_few_vectors_gives_those_and_says_so_once),
		cmocka_unit_test(one_by_one_those_that_are_there_are_given),
		cmocka_unit_test(what_is_no_eventfd_changes_nothing_else),
		cmocka_unit_test(what_the_host_refuses_is_not_given_again),
		cmocka_unit_test(one_kind_is_on_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
