/* SPDX-License-Identifier: BSD-2-Clause */
/* The interrupts of a device in software, whose eventfds are those of somebody hostile. */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "device/irqs.h"

static atomic_int to_fill = -1; /* an eventfd, once it has been looked at */
static sem_t filled;

int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	const int ready = __real_poll(fds, count, timeout);
	const uint64_t most = UINT64_MAX - 1;

	if (count == 1 && fds->fd == atomic_load(&to_fill)) {
		assert_int_equal(write(fds->fd, &most, sizeof(most)), sizeof(most));
		sem_post(&filled);
	}
	return ready;
}

static void *fire(void *opaque)
{
	bk__device_irqs_fire(opaque, 0);
	return NULL;
}

/* Its owner has left the device, and will never read it. */
static void a_counter_that_is_filled_holds_nobody_up(void **state)
{
	const int fd = eventfd(0, EFD_CLOEXEC);
	struct bk__device_irqs irqs;
	pthread_t device;

	(void)state;
	bk__device_irqs_init(&irqs, "device");
	irqs.count[BK_DEVICE_MSIX] = 1;
	assert_int_equal(bk__device_irqs_open(&irqs), 0);
	assert_int_equal(bk__device_irqs_set(&irqs, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 1, &fd), 0);
	sem_init(&filled, 0, 0);
	atomic_store(&to_fill, irqs.fds[BK_DEVICE_MSIX][0]);
	assert_int_equal(pthread_create(&device, NULL, fire, &irqs), 0);
	while (sem_wait(&filled))
		;
	assert_int_equal(bk__device_irqs_set(&irqs, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL), 0);
	pthread_join(device, NULL);
	assert_false(bk__device_irqs_on(&irqs, BK_DEVICE_MSIX));
	bk__device_irqs_close(&irqs);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_counter_that_is_filled_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
