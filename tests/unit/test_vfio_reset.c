/* SPDX-License-Identifier: BSD-2-Clause */
/* Resets through VFIO take their time, and nothing of the container waits for them. The kernel is the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "device/vfio.h"
#include "vfio_kernel.h"

static struct bk__vfio_container container;
static struct bk__vfio_group groups[2];
static struct bk__device_vfio devices[2];
static struct bk__vfio_region regions[BK_DEVICE_REGIONS] = {
	[BK_DEVICE_CONFIG] = { .info = { .size = 256, .flags = BK_DEVICE_READ | BK_DEVICE_WRITE } },
};

static sem_t begun, over;
static int slow;          /* the descriptor whose reset waits */
static unsigned busy;     /* so many requests find the device locked */
static bool was_group[2]; /* the hot reset had a descriptor of it, open at its end */
static bool own_fds;      /* and one that nobody else can close */

static ino_t inode(int fd)
{
	struct stat status;

	return fstat(fd, &status) ? 0 : status.st_ino;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct vfio_pci_hot_reset *reset;
	ino_t inodes[2] = { inode(groups[0].fd), inode(groups[1].fd) };
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	reset = arg;
	if (request == VFIO_DEVICE_GET_PCI_HOT_RESET_INFO)
		return tell_reach(arg, 0, 1);
	assert_true(request == VFIO_DEVICE_RESET || request == VFIO_DEVICE_PCI_HOT_RESET);
	if (busy) {
		busy--;
		return refuse(EAGAIN);
	}
	if (fd == slow) {
		assert_int_equal(sem_post(&begun), 0);
		assert_int_equal(sem_wait(&over), 0);
	}
	for (unsigned i = 0; request == VFIO_DEVICE_PCI_HOT_RESET && i < reset->count; i++)
		for (unsigned j = 0; j < 2; j++) {
			was_group[j] |= inode(reset->group_fds[i]) == inodes[j] && inodes[j];
			own_fds &= reset->group_fds[i] != groups[j].fd;
		}
	return 0;
}

static int setup(void **state)
{
	memset(&container, 0, sizeof(container));
	memset(groups, 0, sizeof(groups));
	memset(devices, 0, sizeof(devices));
	memset(was_group, 0, sizeof(was_group));
	own_fds = true;
	slow = -1;
	busy = 0;
	sem_init(&begun, 0, 0);
	sem_init(&over, 0, 0);
	pthread_mutex_init(&container.lock, NULL);
	for (unsigned i = 0; i < 2; i++) {
		groups[i] = (struct bk__vfio_group){
			.container = &container, .next = container.groups, .number = (int)i, .uses = 1
		};
		groups[i].fd = memfd_create("group", MFD_CLOEXEC);
		container.groups = &groups[i];
		devices[i].group = &groups[i];
		devices[i].fd = memfd_create("device", MFD_CLOEXEC);
		assert_int_equal(ftruncate(devices[i].fd, 256), 0);
		devices[i].regions = regions;
		devices[i].region_count = BK_DEVICE_REGIONS;
		devices[i].next = container.devices;
		container.devices = &devices[i];
		snprintf(devices[i].address, sizeof(devices[i].address), "0000:01:00.%u", i);
		pthread_mutex_init(&devices[i].config_lock, NULL);
	}
	return 0;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		close(groups[i].fd);
		close(devices[i].fd);
	}
	return 0;
}

static void *reset_first(void *opaque)
{
	return (void *)(intptr_t)bk__vfio_reset(&devices[0].base);
}

static void others_do_not_wait_for_a_slow_reset(void **state)
{
	pthread_t thread;
	void *result;

	for (unsigned whole_bus = 0; whole_bus < 2; whole_bus++) {
		devices[0].function_reset = !whole_bus;
		devices[1].function_reset = true;
		slow = devices[0].fd;
		assert_int_equal(pthread_create(&thread, NULL, reset_first, NULL), 0);
		assert_int_equal(sem_wait(&begun), 0);
		assert_int_equal(bk__vfio_reset(&devices[1].base), 0);
		bk__vfio_group_leave(&devices[1]);
		bk__vfio_group_join(&devices[1]);
		devices[1].function_reset = false;
		assert_int_equal(bk__vfio_reset_method(&devices[1]), BK__VFIO_RESET_BUS);
		assert_int_equal(sem_post(&over), 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_ptr_equal(result, NULL);
	}
	assert_true(was_group[0] && was_group[1]);
	assert_true(own_fds);
}

static void a_reset_waits_for_another_of_its_bus(void **state)
{
	devices[0].function_reset = true;
	busy = 50;
	assert_int_equal(bk__vfio_reset(&devices[0].base), 0);
	assert_int_equal(busy, 0);
}

static void no_descriptor_is_left_behind(void **state)
{
	int before = dup(0), after;

	close(before);
	assert_int_equal(bk__vfio_reset(&devices[0].base), 0);
	assert_int_equal(bk__vfio_reset_method(&devices[0]), BK__VFIO_RESET_BUS);
	assert_int_equal(bk__vfio_reset_alone(&devices[0]), -EOPNOTSUPP); /* the other would feel it */
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(others_do_not_wait_for_a_slow_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reset_waits_for_another_of_its_bus, setup, teardown),
		cmocka_unit_test_setup_teardown(no_descriptor_is_left_behind, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
