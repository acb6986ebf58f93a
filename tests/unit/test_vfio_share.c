/* SPDX-License-Identifier: BSD-2-Clause */
/* Some pages of a BAR as a dma-buf: how they are laid out, and kernels that cannot. The kernel is the test.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/vfio.h>

#include "device/vfio.h"

static struct {
	uint32_t argsz, flags, region, open_flags, buffer_flags, count;
	uint64_t ranges[16][2];
} asked;
static int answer; /* the dma-buf, or a negative errno */

int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	const void *arg;

	va_start(args, request);
	arg = va_arg(args, const void *);
	va_end(args);
	assert_int_equal(fd, 77);
	assert_int_equal(request, VFIO_DEVICE_FEATURE);
	memcpy(&asked, arg, sizeof(asked));
	errno = answer < 0 ? -answer : 0;
	return answer < 0 ? -1 : answer;
}

static struct bk__device_vfio vfio = { .fd = 77 };

static void gaps_are_filled_with_what_is_allowed(void **state)
{
	const struct bk_device_area areas[] = { { 0x1000, 0x1000 }, { 0x4000, 0x2000 }, { 0x7000, 0x1000 } };
	const uint64_t wanted[][2] = { { 0x4000, 0x1000 }, { 0x1000, 0x1000 }, { 0x4000, 0x2000 },
				       { 0x4000, 0x2000 }, { 0x4000, 0x1000 }, { 0x7000, 0x1000 } };
	int fd = -1;

	answer = memfd_create("dma-buf", 0);
	assert_int_equal(ftruncate(answer, 0x8000), 0);
	assert_int_equal(bk__vfio_share(&vfio.base, 2, areas, 3, &fd), 0);
	assert_int_equal(fd, answer);
	assert_int_equal(asked.flags, VFIO_DEVICE_FEATURE_GET | 11);
	assert_int_equal(asked.region, 2);
	assert_int_equal(asked.buffer_flags, 0);
	assert_int_equal(asked.count, 6);
	assert_int_equal(asked.argsz, 24 + 6 * 16);
	assert_memory_equal(asked.ranges, wanted, sizeof(wanted));
	assert_int_equal(bk__vfio_share(&vfio.base, 2, NULL, 0, NULL), 0);
	assert_int_equal(close(answer), -1); /* it was closed */
}

static void a_kernel_without_it(void **state)
{
	const struct bk_device_area area = { 0x1000, 0x1000 };
	int fd = -1, ends[2];

	answer = -ENOTTY;
	assert_int_equal(bk__vfio_share(&vfio.base, 0, &area, 1, &fd), -EOPNOTSUPP);
	/* It exports what it does not let anybody map. */
	assert_int_equal(pipe(ends), 0);
	answer = ends[0];
	assert_int_equal(bk__vfio_share(&vfio.base, 0, &area, 1, &fd), -EOPNOTSUPP);
	assert_int_equal(close(ends[0]), -1);
	close(ends[1]);
	assert_int_equal(bk__vfio_share(&vfio.base, BK_DEVICE_CONFIG, &area, 1, &fd), -EOPNOTSUPP);
	bk__vfio_share_close(&vfio);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gaps_are_filled_with_what_is_allowed),
		cmocka_unit_test(a_kernel_without_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
