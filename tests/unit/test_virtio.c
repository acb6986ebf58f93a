/* SPDX-License-Identifier: BSD-2-Clause */
/* The function of a virtio device: config space, registers, features, vectors. */
#include "virtio_driver.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "virtio/net.h"

static struct driver driver;

static int setup(void **state)
{
	static const uint8_t mac[BK__VIRTIO_MAC] = { 2, 0, 0, 0, 0, 1 };
	struct bk__virtio_net_end end;
	struct bk__virtio *virtio;

	if (bk__virtio_net_loop(&end) ||
	    bk__virtio_net_create("virtio-net:loop", end.ops, end.opaque, mac, false, end.net, &virtio, NULL))
		return -1;
	driver_attach(&driver, virtio, false);
	return 0;
}

static int teardown(void **state)
{
	driver_detach(&driver);
	return 0;
}

static uint64_t config(uint64_t offset, unsigned width)
{
	return driver_in(&driver, BK_DEVICE_CONFIG, offset, width);
}

/* The capability of this type; the driver's way to it. */
static unsigned part(unsigned type)
{
	unsigned at = (unsigned)config(BK__PCI_CAP_POINTER, 1);

	for (unsigned i = 0; at && i < 48; i++, at = (unsigned)config(at + 1, 1))
		if (config(at, 1) == BK__PCI_CAP_VENDOR && config(at + 3, 1) == type)
			return at;
	return 0;
}

static void it_is_a_transitional_function(void **state)
{
	static const struct {
		unsigned type;
		uint64_t offset;
	} parts[] = { { 1, 0 }, { 2, 0x3000 }, { 3, 0x1000 }, { 4, 0x2000 } };
	struct bk_device_region region = { .struct_size = 0 };

	assert_int_equal(config(0, 4), 0x10001af4);
	assert_int_equal(config(BK__PCI_SUBSYSTEM_VENDOR, 4), 0x00011af4);
	assert_int_equal(config(BK__PCI_REVISION, 4), 0x02000000);
	assert_int_equal(config(BK__PCI_INTERRUPT_PIN, 1), 1);
	for (unsigned i = 0; i < 4; i++) {
		const unsigned at = part(parts[i].type);

		assert_int_not_equal(at, 0);
		assert_int_equal(config(at + 4, 1), 4);
		assert_int_equal(config(at + 8, 4), parts[i].offset);
	}
	assert_int_equal(config(part(2) + 16, 4), 4); /* notification is 4 bytes apart */
	for (unsigned i = 0; i < 6; i++) {
		static const uint32_t shown[6] = { 0xffffffc1, 0xfffff000, 0, 0, 0xffffc00c, 0xffffffff };

		driver_out(&driver, BK_DEVICE_CONFIG, BK__PCI_BAR0 + 4 * i, 4, UINT32_MAX);
		assert_int_equal(config(BK__PCI_BAR0 + 4 * i, 4), shown[i]);
	}
	assert_int_equal(bk_device_region(driver.device, 0, &region), 0);
	assert_int_equal(region.size, 64);
	assert_int_equal(bk_device_region(driver.device, BK_DEVICE_REGIONS, &region), -EINVAL);
	assert_int_equal(bk_device_read(driver.device, 0, 60, &region, 8), -EINVAL);
	assert_int_equal(bk_device_read(driver.device, BK_DEVICE_ROM, 0, &region, 1), -EINVAL);
}

/* Through config space, where the BARs are nowhere yet. */
static void config_space_reaches_the_bars(void **state)
{
	const unsigned at = part(5);

	assert_int_not_equal(at, 0);
	driver_out(&driver, BK_DEVICE_CONFIG, at + 4, 1, 4);
	driver_out(&driver, BK_DEVICE_CONFIG, at + 8, 4, 18); /* the number of queues */
	driver_out(&driver, BK_DEVICE_CONFIG, at + 12, 4, 2);
	assert_int_equal(config(at + 16, 4), 2);
	driver_out(&driver, BK_DEVICE_CONFIG, at + 8, 4, 20); /* status */
	driver_out(&driver, BK_DEVICE_CONFIG, at + 12, 4, 1);
	driver_out(&driver, BK_DEVICE_CONFIG, at + 16, 1, 3);
	assert_int_equal(driver_in(&driver, 4, 20, 1), 3);
	/* What makes no sense reaches nothing. */
	driver_out(&driver, BK_DEVICE_CONFIG, at + 12, 4, 3);
	driver_out(&driver, BK_DEVICE_CONFIG, at + 16, 1, 0);
	driver_out(&driver, BK_DEVICE_CONFIG, at + 12, 4, 1);
	driver_out(&driver, BK_DEVICE_CONFIG, at + 4, 1, 7);
	driver_out(&driver, BK_DEVICE_CONFIG, at + 16, 1, 0);
	config(at + 16, 4);
	assert_int_equal(driver_in(&driver, 4, 20, 1), 3);
}

static void features_are_negotiated(void **state)
{
	driver.modern = true;
	driver_out(&driver, 4, 0, 4, 1);
	assert_int_equal(driver_in(&driver, 4, 4, 4), 1); /* VERSION_1 */
	driver_out(&driver, 4, 0, 4, 2);
	assert_int_equal(driver_in(&driver, 4, 4, 4), 0);
	/* Without VERSION_1, or with what is not offered, the device does not agree. */
	for (unsigned way = 0; way < 3; way++) {
		driver_reset(&driver);
		driver_out(&driver, 4, 20, 1, 3);
		driver_out(&driver, 4, 8, 4, 1);
		driver_out(&driver, 4, 12, 4, way == 0 ? 0 : 1);
		driver_out(&driver, 4, 8, 4, 0);
		driver_out(&driver, 4, 12, 4, way == 1 ? 1 : 1 << 5);
		driver_out(&driver, 4, 20, 1, 11);
		assert_int_equal(driver_status(&driver), way < 2 ? 3 : 11);
	}
	/* From then on they stay. */
	driver_out(&driver, 4, 12, 4, 0);
	assert_int_equal(driver_in(&driver, 4, 12, 4), 1 << 5);
	/* A device that did not agree does not start. */
	driver_reset(&driver);
	driver_out(&driver, 4, 20, 1, 3);
	driver_out(&driver, 4, 20, 1, 7);
	assert_int_equal(driver_status(&driver), 3);
}

static void legacy_registers_move_with_msix(void **state)
{
	assert_int_equal(driver_in(&driver, 0, 20, 4), 2); /* the MAC address */
	bk_device_set_irqs(driver.device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 1, &(int){ -1 });
	assert_int_equal(driver_in(&driver, 0, 20, 4), 0xffffffff);
	assert_int_equal(driver_in(&driver, 0, 24, 4), 2);
	driver_out(&driver, 0, 20, 2, 1);
	driver_out(&driver, 0, 22, 2, 2);
	assert_int_equal(driver_in(&driver, 0, 20, 4), 0x00020001);
	driver_out(&driver, 0, 20, 2, 3); /* there are three */
	assert_int_equal(driver_in(&driver, 0, 20, 2), 0xffff);
	driver_out(&driver, 0, 14, 2, 2); /* and two queues */
	assert_int_equal(driver_in(&driver, 0, 22, 2), 0xffff);
	assert_int_equal(driver_in(&driver, 0, 12, 2), 0);
	bk_device_set_irqs(driver.device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL);
	assert_int_equal(driver_in(&driver, 0, 20, 4), 2);
}

static void queues_have_registers(void **state)
{
	driver_out(&driver, 4, 22, 2, 1);
	assert_int_equal(driver_in(&driver, 4, 24, 2), BK__VIRTIO_QUEUE_MAX);
	assert_int_equal(driver_in(&driver, 4, 30, 2), 1);
	driver_out(&driver, 4, 24, 2, 100);
	driver_out(&driver, 4, 24, 2, 512);
	driver_out(&driver, 4, 24, 2, 0);
	assert_int_equal(driver_in(&driver, 4, 24, 2), BK__VIRTIO_QUEUE_MAX);
	driver_out(&driver, 4, 24, 2, 128);
	driver_out(&driver, 4, 32, 8, 0x123456789abcdef0);
	assert_int_equal(driver_in(&driver, 4, 36, 4), 0x12345678);
	driver_out(&driver, 4, 36, 4, 0);
	assert_int_equal(driver_in(&driver, 4, 32, 8), 0x9abcdef0);
	driver_out(&driver, 4, 28, 2, 1);
	assert_int_equal(driver_in(&driver, 4, 28, 2), 1);
	driver_out(&driver, 4, 24, 2, 64); /* too late */
	driver_out(&driver, 4, 32, 8, 0);
	assert_int_equal(driver_in(&driver, 4, 24, 2), 128);
	assert_int_equal(driver_in(&driver, 4, 32, 8), 0x9abcdef0);
	driver_out(&driver, 4, 22, 2, 2);
	assert_int_equal(driver_in(&driver, 4, 24, 2), 0);
	driver_out(&driver, 4, 22, 2, 0xffff);
	driver_out(&driver, 4, 28, 2, 1);
	assert_int_equal(driver_in(&driver, 4, 28, 2), 0);
}

static void a_reset_of_the_function_is_one_of_the_device(void **state)
{
	driver_start(&driver, true, 0, true);
	driver_out(&driver, 4, 22, 2, 1);
	assert_int_equal(bk_device_reset(driver.device), 0);
	assert_int_equal(driver_status(&driver), 0);
	assert_int_equal(config(BK__PCI_COMMAND, 2), 0);
	assert_int_equal(driver_in(&driver, 4, 22, 2), 0);
	assert_int_equal(driver_in(&driver, 4, 28, 2), 0);
	assert_int_equal(driver_in(&driver, 4, 26, 2), 0xffff);
}

/* Odd widths and places: nobody's, and no harm. */
static void any_access_is_taken(void **state)
{
	uint8_t bytes[64];

	memset(bytes, 0xff, sizeof(bytes));
	for (unsigned bar = 0; bar <= 4; bar += bar ? 3 : 1)
		for (uint64_t offset = 0; offset < 64; offset++)
			for (unsigned count = 1; count + offset <= 64; count++) {
				assert_int_equal(bk_device_read(driver.device, bar, offset, bytes, count), 0);
				assert_int_equal(bk_device_write(driver.device, bar, offset, bytes, count),
						 0);
			}
	for (uint64_t offset = 0; offset < 256; offset++)
		for (unsigned count = 1; count + offset <= 256 && count < 9; count++) {
			assert_int_equal(
				bk_device_write(driver.device, BK_DEVICE_CONFIG, offset, bytes, count), 0);
			assert_int_equal(
				bk_device_read(driver.device, BK_DEVICE_CONFIG, offset, bytes, count), 0);
		}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_a_transitional_function), TEST(config_space_reaches_the_bars),
		TEST(features_are_negotiated),       TEST(legacy_registers_move_with_msix),
		TEST(queues_have_registers),         TEST(a_reset_of_the_function_is_one_of_the_device),
		TEST(any_access_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
