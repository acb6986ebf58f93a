/* SPDX-License-Identifier: BSD-2-Clause */
/* A sim is opened with each allocation failing in turn: an error with a line each time, and nothing left
 * over. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "failing.h"
#include "device/sim.h"

int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);

static unsigned until_failure; /* 0: none */
static bool failed;

static bool fails(void)
{
	if (!until_failure || --until_failure)
		return false;
	failed = true;
	return true;
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
	errno = EMFILE;
	return fails() ? -1 : __real_memfd_create(name, flags);
}

static void each_allocation_may_fail(void **state)
{
	static const char *const files[] = { EXAMPLES "/edu.yaml", EXAMPLES "/nvme-like.yaml" };
	static const char *const mappable = "name: x\nvendor: 1\ndevice: 2\nclass: 3\nrom: {size: 2K}\n"
					    "bars:\n- {index: 0, kind: mem32, size: 4K, mappable: true}\n";

	for (unsigned i = 0; i < 3; i++) {
		for (unsigned n = 1;; n++) {
			struct bk_device *device = NULL;
			struct bk_error err = { "" };
			int r, before = dup(0), after;

			close(before);
			failed = false;
			until_failure = n;
			r = i < 2 ? bk__sim_open(NULL, NULL, files[i], files[i], &device, &err)
				  : bk__sim_open_text("x", mappable, strlen(mappable), "sim:x", &device,
						      &err);
			until_failure = 0;
			if (!failed) {
				assert_int_equal(r, 0);
				assert_in_range(n, 10, 5000);
				bk_device_close(device);
				break;
			}
			assert_true(r == -ENOMEM || r == -EMFILE);
			assert_null(device);
			assert_memory_equal(err.text, i < 2 ? files[i] : "x:", i < 2 ? strlen(files[i]) : 2);
			after = dup(0);
			close(after);
			assert_int_equal(before, after);
		}
	}
}

static void an_irq_table_may_fail(void **state)
{
	struct bk_device *device;
	struct bk_error err = { "" };
	int fds[2] = { 1, 1 };
	uint32_t data;

	assert_int_equal(bk__sim_open(NULL, NULL, EXAMPLES "/nvme-like.yaml", "sim:x", &device, &err), 0);
	until_failure = 1;
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 2, fds),
			 -ENOMEM);
	until_failure = 1;
	assert_int_equal(bk_device_dma_map(device, &(struct bk_device_dma){ .size = 0x1000, .fd = -1 }, &err),
			 -ENOMEM);
	/* Accesses need no memory. */
	until_failure = 1;
	assert_int_equal(bk_device_read(device, 0, 0, &data, 4), 0);
	assert_int_equal(bk_device_write(device, 0, 0x2000, &data, 4), 0);
	assert_int_equal(bk_device_reset(device), 0);
	assert_int_equal(until_failure, 1);
	until_failure = 0;
	bk_device_close(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_may_fail),
		cmocka_unit_test(an_irq_table_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
