/* SPDX-License-Identifier: BSD-2-Clause */
/* What an arm64 guest starts from: the devicetree, kernels and firmware of all kinds, good and bad. */
#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "monitor/arm64/devicetree.h"
#include "monitor/arm64/image.h"
#include "monitor/arm64/guest_map.h"
#include "monitor/monitor.h"

#define MIB UINT64_C(0x100000)
#define GIB UINT64_C(0x40000000)

/* ---- Devicetree -------------------------------------------------------- */

static uint8_t blob[BK__DEVICETREE_SIZE];

static const struct bk__monitor_ram ram_1g = { .size = GIB, .low = GIB, .low_size = GIB };

static int node(const char *path)
{
	const int at = fdt_path_offset(blob, path);

	if (at < 0)
		fail_msg("no node %s", path);
	return at;
}

/* A property's cells, in groups of `width` cells, which are numbers. */
static unsigned numbers(const char *path, const char *name, unsigned width, uint64_t *value, unsigned most)
{
	int length;
	const fdt32_t *cells = fdt_getprop(blob, node(path), name, &length);
	unsigned count;

	if (!cells)
		fail_msg("%s has no %s", path, name);
	count = (unsigned)length / 4 / width;
	assert_true(count <= most);
	for (unsigned i = 0; i < count; i++) {
		value[i] = 0;
		for (unsigned j = 0; j < width; j++)
			value[i] = value[i] << 32 | fdt32_to_cpu(cells[i * width + j]);
	}
	return count;
}

static uint64_t number(const char *path, const char *name)
{
	uint64_t value;

	assert_int_equal(numbers(path, name, 1, &value, 1), 1);
	return value;
}

static void build(const struct bk__monitor_devicetree_config *config)
{
	struct bk_error err;

	assert_int_equal(bk__monitor_devicetree_build(config, blob, &err), 0);
	assert_int_equal(fdt_check_full(blob, sizeof(blob)), 0);
}

static void the_tree_says_what_there_is(void **state)
{
	const struct bk__monitor_devicetree_config config = {
		.cpus = 16,
		.ram = &ram_1g,
		.mmio64 = { UINT64_C(0x8000000000), UINT64_C(0xffffffffff) },
		.append = "console=ttyAMA0",
		.initrd = 0x48000000,
		.initrd_size = 0x1234,
	};
	uint64_t value[64];

	(void)state;
	build(&config);
	assert_string_equal(fdt_getprop(blob, node("/chosen"), "bootargs", NULL), "console=ttyAMA0");
	assert_int_equal(numbers("/chosen", "linux,initrd-start", 2, value, 1), 1);
	assert_int_equal(value[0], 0x48000000);
	numbers("/chosen", "linux,initrd-end", 2, value, 1);
	assert_int_equal(value[0], 0x48001234);
	node(fdt_getprop(blob, node("/chosen"), "stdout-path", NULL));

	assert_int_equal(numbers("/memory@40000000", "reg", 2, value, 4), 2);
	assert_int_equal(value[0], GIB);
	assert_int_equal(value[1], GIB);
	for (unsigned i = 0; i < 16; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/cpus/cpu@%x", i);
		assert_int_equal(number(path, "reg"), i);
		assert_string_equal(fdt_getprop(blob, node(path), "enable-method", NULL), "psci");
	}
	assert_int_equal(fdt_path_offset(blob, "/cpus/cpu@10"), -FDT_ERR_NOTFOUND);
	assert_string_equal(fdt_getprop(blob, node("/psci"), "method", NULL), "hvc");
	assert_int_equal(numbers("/timer", "interrupts", 1, value, 12), 12);
	assert_int_equal(value[7], 11); /* the virtual timer's */
	assert_int_equal(number("/", "interrupt-parent"), number("/intc@8000000", "phandle"));
}

static void pci_is_where_the_map_says(void **state)
{
	const struct bk__monitor_devicetree_config config = {
		.cpus = 1,
		.ram = &ram_1g,
		.mmio64 = { UINT64_C(0x8000000000), UINT64_C(0xffffffffff) },
	};
	const char *pci = "/pcie@30000000";
	uint64_t value[320];

	(void)state;
	build(&config);
	assert_null(fdt_getprop(blob, node("/chosen"), "bootargs", NULL));
	assert_null(fdt_getprop(blob, node("/chosen"), "linux,initrd-start", NULL));
	assert_int_equal(numbers(pci, "reg", 2, value, 2), 2);
	assert_int_equal(value[1], 0x10000000);
	/* Three windows of seven cells. */
	assert_int_equal(numbers(pci, "ranges", 1, value, 21), 21);
	assert_int_equal(value[0], 0x01000000);
	assert_int_equal(value[2], 0);
	assert_int_equal(value[4], 0x2f000000);
	assert_int_equal(value[6], 0x10000);
	assert_int_equal(value[7], 0x02000000);
	assert_int_equal(value[9], value[11]);
	assert_int_equal(value[14], 0x03000000);
	assert_int_equal(value[15], 0x80);
	assert_int_equal(value[19], 0x80);
	/* Each pin of each slot is on the line that the host bridge has for it. */
	assert_int_equal(numbers(pci, "interrupt-map", 1, value, 320), 320);
	for (unsigned i = 0; i < 32; i++) {
		const uint64_t *entry = &value[10 * i], slot = entry[0] >> 11, pin = entry[3];

		assert_int_equal(entry[4], number("/intc@8000000", "phandle"));
		assert_int_equal(entry[8], BK__SPI_PCI + (slot + pin - 1) % BK__SPI_PCI_LINES);
		assert_int_equal(entry[9], 4);
	}
	assert_int_equal(numbers(pci, "msi-map", 1, value, 4), 4);
	assert_int_equal(value[1], number("/intc@8000000/its@8080000", "phandle"));
	assert_int_equal(value[3], 0x10000);
	assert_non_null(fdt_getprop(blob, node(pci), "dma-coherent", NULL));
}

static void io_and_ram_make_room_for_each_other(void **state)
{
	struct bk__monitor_ram ram = { .size = 4 * GIB };
	const struct bk__monitor_devicetree_config config = {
		.cpus = 1, .ram = &ram, .mmio64 = { 1, 0 }, .io_window = 0xdf000000
	};
	uint64_t value[21];

	(void)state;
	bk__monitor_layout_low(&ram, GIB, 0xdf000000);
	build(&config);
	assert_int_equal(numbers("/memory@40000000", "reg", 2, value, 4), 4);
	assert_int_equal(value[0] + value[1], 0xdf000000);
	assert_int_equal(value[2], 4 * GIB);
	assert_int_equal(value[1] + value[3], 4 * GIB);
	assert_int_equal(numbers("/pcie@30000000", "ranges", 1, value, 21), 14); /* no 64-bit window */
	assert_int_equal(value[2], 0xdf000000); /* BARs hold the address at which the CPU finds them */
	assert_int_equal(value[4], 0xdf000000);
}

static void no_two_places_overlap(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BK__ARM64_PLACES; i++) {
		const struct bk__monitor_arm64_range *a = &bk__monitor_arm64_map[i];

		assert_non_null(a->name);
		assert_true(a->first + a->size <= bk__monitor_arm64_map[BK__ARM64_RAM].first);
		for (unsigned j = 0; j < i; j++) {
			const struct bk__monitor_arm64_range *b = &bk__monitor_arm64_map[j];

			assert_true(a->first + a->size <= b->first || b->first + b->size <= a->first);
		}
	}
}

static void a_long_command_line_fits(void **state)
{
	static char append[2048];
	struct bk__monitor_devicetree_config config = { .cpus = 16, .ram = &ram_1g, .append = append };

	(void)state;
	memset(append, 'a', sizeof(append) - 1);
	build(&config);
	assert_int_equal(fdt_totalsize(blob), BK__DEVICETREE_SIZE); /* with room for a boot loader */
}

/* ---- Files ------------------------------------------------------------- */

struct file {
	char name[32];
	int fd;
};

static struct file file_of(const void *bytes, size_t size)
{
	struct file file;

	file.fd = memfd_create("file", 0);
	snprintf(file.name, sizeof(file.name), "/proc/self/fd/%d", file.fd);
	assert_int_equal(write(file.fd, bytes, size), size);
	return file;
}

struct image {
	uint8_t bytes[0x3000];
};

static struct image image_of(uint64_t offset, uint64_t size, uint64_t flags)
{
	struct image image = { { 0 } };

	for (unsigned i = 64; i < sizeof(image.bytes); i++)
		image.bytes[i] = (uint8_t)(i * 7);
	bk__store(image.bytes + 8, 8, offset);
	bk__store(image.bytes + 16, 8, size);
	bk__store(image.bytes + 24, 8, flags);
	memcpy(image.bytes + 56, "ARM\x64", 4);
	return image;
}

static struct bk__monitor_ram ram_of(uint64_t size)
{
	struct bk__monitor_ram ram = {
		.fd = -1, .size = size, .low = GIB, .low_size = size, .high = 4 * GIB
	};

	ram.host =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(ram.host, MAP_FAILED);
	return ram;
}

/* Opens what `config` names; on success `boot` is to be closed. */
static int open_with(const struct image *image, size_t size, const struct file *initrd, const char *append,
		     uint64_t memory, struct bk__monitor_boot **boot, struct bk_error *err)
{
	const struct bk__monitor_ram ram = { .fd = -1, .size = memory, .low = GIB, .low_size = memory };
	struct file kernel = file_of(image->bytes, size);
	const struct bk__monitor_config config = { .kernel = kernel.name,
						   .initrd = initrd ? initrd->name : NULL,
						   .append = append };
	const int error = bk__monitor_image_open(&config, &ram, boot, err);

	close(kernel.fd);
	return error;
}

static void a_kernel_and_its_initrd_are_loaded(void **state)
{
	const struct image image = image_of(0, 3 * MIB + 5, 0xa);
	struct bk__monitor_ram ram = ram_of(64 * MIB);
	struct file kernel = file_of(image.bytes, sizeof(image.bytes)), initrd = file_of("initrd!", 7);
	const struct bk__monitor_config config = { .kernel = kernel.name, .initrd = initrd.name };
	struct bk__monitor_boot *boot;
	struct bk_error err;

	(void)state;
	assert_int_equal(bk__monitor_image_open(&config, &ram, &boot, &err), 0);
	assert_int_equal(boot->image.entry, GIB);
	assert_int_equal(boot->image.devicetree, GIB + 4 * MIB);
	assert_true(boot->image.initrd >= boot->image.devicetree + BK__DEVICETREE_SIZE);
	for (unsigned round = 0; round < 2; round++) { /* a restart loads it again */
		memset(ram.host, 0xff, 8 * MIB);
		assert_int_equal(bk__monitor_image_load(boot, &ram, &err), 0);
		assert_memory_equal(ram.host, image.bytes, sizeof(image.bytes));
		assert_memory_equal((uint8_t *)ram.host + boot->image.initrd - GIB, "initrd!", 7);
	}
	assert_int_equal(ftruncate(kernel.fd, 100), 0);
	assert_int_equal(bk__monitor_image_load(boot, &ram, &err), -EIO);
	assert_non_null(strstr(err.text, "shrunk"));
	bk__monitor_boot_close(boot);
	munmap(ram.host, ram.size);
	close(kernel.fd);
	close(initrd.fd);
}

static void a_kernel_may_want_an_offset(void **state)
{
	struct image image = image_of(0x80000, 2 * MIB, 0);
	struct bk__monitor_boot *boot;
	struct bk_error err;

	(void)state;
	assert_int_equal(open_with(&image, sizeof(image.bytes), NULL, NULL, 64 * MIB, &boot, &err), 0);
	assert_int_equal(boot->image.entry, GIB + 0x80000);
	bk__monitor_boot_close(boot);
	image = image_of(0x1234, 0, 0); /* before Linux 3.17, without a size */
	assert_int_equal(open_with(&image, sizeof(image.bytes), NULL, NULL, 64 * MIB, &boot, &err), 0);
	assert_int_equal(boot->image.entry, GIB + 0x80000);
	bk__monitor_boot_close(boot);
}

static void refused(const struct image *image, size_t size, const char *append, int error, const char *why)
{
	struct bk__monitor_boot *boot;
	struct bk_error err;

	assert_int_equal(open_with(image, size, NULL, append, 64 * MIB, &boot, &err), -error);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void what_is_no_kernel_is_refused(void **state)
{
	struct image image = image_of(0, MIB, 0);
	char append[2049];

	(void)state;
	refused(&image, 63, NULL, ENOEXEC, "too short");
	refused(&image, 0, NULL, ENOEXEC, "too short");
	image.bytes[56] = 'a';
	refused(&image, sizeof(image.bytes), NULL, ENOEXEC, "not an arm64 kernel");
	memcpy(image.bytes, "\x1f\x8b\x08", 3);
	refused(&image, sizeof(image.bytes), NULL, ENOEXEC, "compressed");
	memcpy(image.bytes, "MZ\0\0zimg", 8);
	refused(&image, sizeof(image.bytes), NULL, ENOEXEC, "compressed");
	image = image_of(0, MIB, 1);
	refused(&image, sizeof(image.bytes), NULL, ENOEXEC, "big-endian");
	image = image_of(0, 65 * MIB, 0);
	refused(&image, sizeof(image.bytes), NULL, ENOMEM, "needs 65 MiB");
	image = image_of(UINT64_MAX, 1, 0);
	refused(&image, sizeof(image.bytes), NULL, ENOMEM, "memory");
	image = image_of(0x80000, UINT64_MAX, 0);
	refused(&image, sizeof(image.bytes), NULL, ENOMEM, "memory");
	image = image_of(0, 63 * MIB, 0); /* no room for the devicetree */
	refused(&image, sizeof(image.bytes), NULL, ENOMEM, "more than 64 MiB");
	image = image_of(0, MIB, 0);
	memset(append, 'a', sizeof(append));
	append[2048] = 0;
	refused(&image, sizeof(image.bytes), append, E2BIG, "too long");
}

static void an_initrd_has_to_fit(void **state)
{
	const struct image image = image_of(0, MIB, 0);
	struct file initrd = file_of("", 0);
	struct bk__monitor_boot *boot;
	struct bk_error err;
	const uint64_t most = 64 * MIB - 2 * MIB - BK__DEVICETREE_SIZE;

	(void)state;
	assert_int_equal(open_with(&image, sizeof(image.bytes), &initrd, NULL, 64 * MIB, &boot, &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "empty"));
	assert_int_equal(ftruncate(initrd.fd, (off_t)most), 0);
	assert_int_equal(open_with(&image, sizeof(image.bytes), &initrd, NULL, 64 * MIB, &boot, &err), 0);
	bk__monitor_boot_close(boot);
	assert_int_equal(ftruncate(initrd.fd, (off_t)most + 1), 0);
	assert_int_equal(open_with(&image, sizeof(image.bytes), &initrd, NULL, 64 * MIB, &boot, &err),
			 -ENOMEM);
	assert_non_null(strstr(err.text, initrd.name));
	close(initrd.fd);
}

static void firmware_starts_at_0(void **state)
{
	const struct bk__monitor_ram ram = { .fd = -1, .size = GIB, .low = GIB, .low_size = GIB };
	struct file file = file_of("anything", 8);
	const struct bk__monitor_config config = { .firmware = file.name };
	struct bk__monitor_boot *boot;
	struct bk_error err;

	(void)state;
	assert_int_equal(bk__monitor_image_open(&config, &ram, &boot, &err), 0);
	assert_true(boot->image.firmware);
	assert_int_equal(boot->image.entry, 0);
	assert_int_equal(boot->image.devicetree, GIB);
	bk__monitor_boot_close(boot);
	assert_int_equal(ftruncate(file.fd, 0), 0);
	assert_int_equal(bk__monitor_image_open(&config, &ram, &boot, &err), -EFBIG);
	assert_int_equal(ftruncate(file.fd, 128 * (off_t)MIB + 1), 0);
	assert_int_equal(bk__monitor_image_open(&config, &ram, &boot, &err), -EFBIG);
	close(file.fd);
}

/* Headers of all kinds: refused, or inside of RAM. */
static void any_header_is_defined(void **state)
{
	struct bk__monitor_ram ram = ram_of(64 * MIB);
	unsigned good = 0;

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < 20000; i++) {
		struct image image =
			image_of((uint64_t)random() << 20 >> random() % 48,
				 (uint64_t)random() << 20 >> random() % 48, (uint64_t)random() & 0xe);
		struct bk__monitor_boot *boot;
		struct bk_error err;

		if (open_with(&image, 64 + (size_t)random() % 512, NULL, NULL, ram.size, &boot, &err))
			continue;
		good++;
		assert_int_equal(bk__monitor_image_load(boot, &ram, &err), 0);
		assert_non_null(bk__monitor_ram_at(&ram, boot->image.devicetree, BK__DEVICETREE_SIZE));
		bk__monitor_boot_close(boot);
	}
	assert_true(good > 100);
	munmap(ram.host, ram.size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tree_says_what_there_is),
		cmocka_unit_test(pci_is_where_the_map_says),
		cmocka_unit_test(io_and_ram_make_room_for_each_other),
		cmocka_unit_test(no_two_places_overlap),
		cmocka_unit_test(a_long_command_line_fits),
		cmocka_unit_test(a_kernel_and_its_initrd_are_loaded),
		cmocka_unit_test(a_kernel_may_want_an_offset),
		cmocka_unit_test(what_is_no_kernel_is_refused),
		cmocka_unit_test(an_initrd_has_to_fit),
		cmocka_unit_test(firmware_starts_at_0),
		cmocka_unit_test(any_header_is_defined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
