/* SPDX-License-Identifier: BSD-2-Clause */
/* The interface, the names of devices, the table of DMA maps, and the lines that say why one cannot be
 * opened. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/vfio.h>
#include <cmocka.h>

#include "base/struct.h"
#include "device/context.h"
#include "device/dma_table.h"
#include "device/iova.h"
#include "device/sysfs.h"
#include "host_kit.h"

/* ---- A made-up host ---------------------------------------------------- */

/* A function with a driver or NULL, in a group or -1. */
static void add_function(struct host *host, const char *address, const char *driver, int group)
{
	const char *sys = host->sysfs;

	run("mkdir -p %s/bus/pci/devices/%s && echo 0x020000 > %s/bus/pci/devices/%s/class", sys, address,
	    sys, address);
	if (driver)
		run("ln -s ../../drivers/%s %s/bus/pci/devices/%s/driver", driver, sys, address);
	if (group >= 0)
		run("cd %s && mkdir -p kernel/iommu_groups/%d/devices && "
		    "ln -s ../../../../kernel/iommu_groups/%d bus/pci/devices/%s/iommu_group && "
		    "ln -s ../../../../bus/pci/devices/%s kernel/iommu_groups/%d/devices/%s",
		    sys, group, group, address, address, group, address);
}

static void refuse(struct host *host, const char *spec, int code, const char *line)
{
	struct bk_device *device = (void *)host;

	assert_int_equal(bk_device_open(host->context, spec, &device, &host->err), -code);
	assert_null(device);
	assert_string_equal(host->err.text, line);
	assert_null(host->context->container);
	assert_int_equal(bk_device_open(host->context, spec, &device, NULL), -code);
}

/* ---- I/O virtual addresses --------------------------------------------- */

static void assert_ranges(struct host *host, unsigned wanted, const struct bk_device_iova_range *ranges)
{
	struct bk_device_iova_range got[8];

	assert_int_equal(bk_device_context_iova_ranges(host->context, got, 8), wanted);
	for (unsigned i = 0; i < wanted; i++) {
		assert_int_equal(got[i].first, ranges[i].first);
		assert_int_equal(got[i].last, ranges[i].last);
	}
}

static void what_no_group_reserves_can_be_used(void **state)
{
	static const struct bk_device_iova_range amd[] = { { 0, 0xfedfffff },
							   { 0xfef00000, 0xfcffffffff },
							   { 0x10000000000, UINT64_MAX } };
	struct host *host = *state;

	assert_ranges(host, 0, NULL); /* no IOMMU: nothing is known */
	run("cd %s && mkdir -p kernel/iommu_groups/0 kernel/iommu_groups/17 kernel/iommu_groups/3",
	    host->sysfs);
	assert_ranges(host, 0, NULL);
	run("cd %s/kernel/iommu_groups && echo '0x00000000fee00000 0x00000000feefffff msi' > "
	    "0/reserved_regions",
	    host->sysfs);
	run("cd %s/kernel/iommu_groups && cp 0/reserved_regions 17 && "
	    "echo '0x000000fd00000000 0x000000ffffffffff reserved' >> 17/reserved_regions",
	    host->sysfs);
	/* What belongs to one device is no matter of others; garbage ends a file. */
	run("cd %s/kernel/iommu_groups && printf '0x10000 0x1ffff direct\\n0x20000 0x2ffff "
	    "direct-relaxable\\n"
	    "0x5000 0x4fff reserved\\nnonsense\\n0x7000 0x7fff reserved\\n' > 3/reserved_regions",
	    host->sysfs);
	assert_ranges(host, 3, amd);
	assert_int_equal(bk_device_context_iova_ranges(host->context, NULL, 0), 3);
	/* From the very first to the very last address. */
	run("cd %s/kernel/iommu_groups && printf '0 0xfff reserved\\n0x800 0x900 reserved\\n"
	    "0x10000 0xffffffffffffffff reserved\\n' > 3/reserved_regions && rm 0/reserved_regions "
	    "17/reserved_regions",
	    host->sysfs);
	assert_ranges(host, 1, (struct bk_device_iova_range[]){ { 0x1000, 0xffff } });
}

/* What the kernel answers, which may be cut or lie. */
static void what_the_kernel_says_of_ranges_is_read_within_its_bounds(void **state)
{
	struct {
		struct vfio_iommu_type1_info info;
		struct {
			struct vfio_info_cap_header header;
			uint32_t nr_iovas, reserved;
		} ranges; /* vfio_iommu_type1_info_cap_iova_range without its array */
		struct vfio_iova_range list[2];
	} answer = { 0 };
	struct bk_device_iova_range got[2] = { { 0 } };

	(void)state;
	answer.info.argsz = sizeof(answer);
	assert_int_equal(bk__vfio_iova_of_info(&answer.info, got, 2), 0);
	answer.info.flags = VFIO_IOMMU_INFO_CAPS;
	answer.info.cap_offset = offsetof(__typeof__(answer), ranges);
	answer.ranges.header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	answer.ranges.nr_iovas = 2;
	answer.list[0] = (struct vfio_iova_range){ 0, 0xfedfffff };
	answer.list[1] = (struct vfio_iova_range){ 0xfef00000, 0xfcffffffff };
	assert_int_equal(bk__vfio_iova_of_info(&answer.info, got, 1), 2);
	assert_int_equal(got[0].last, 0xfedfffff);
	assert_int_equal(got[1].last, 0);
	assert_int_equal(bk__vfio_iova_of_info(&answer.info, got, 2), 2);
	assert_int_equal(got[1].last, 0xfcffffffff);
	answer.ranges.nr_iovas = 3;
	assert_int_equal(bk__vfio_iova_of_info(&answer.info, got, 2), 0);
	answer.info.cap_offset = sizeof(answer) - sizeof(struct vfio_info_cap_header);
	memcpy((char *)&answer + answer.info.cap_offset, &answer.ranges.header,
	       sizeof(struct vfio_info_cap_header));
	assert_int_equal(bk__vfio_iova_of_info(&answer.info, got, 2), 0);
}

/* ---- Opening ------------------------------------------------------------ */

static void names_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "",
					   "1",
					   "01:00",
					   "01:00.8",
					   "01:20.0",
					   "0g:00.0",
					   "0000:01:00.0 ",
					   "000:01:00.0",
					   "000000001:01:00.0",
					   "0000-01:00.0",
					   "0000:01-00.0",
					   "-001:01:00.0",
					   "0x00:01:00.0",
					   "+1:00.0",
					   "../../../etc",
					   "0000:01:00.0/x" };
	struct host *host = *state;
	char spec[64], line[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(spec, sizeof(spec), "vfio:%s", bad[i]);
		snprintf(line, sizeof(line),
			 "%s: not a PCI address; write vfio:DDDD:BB:SS.F, as in vfio:0000:01:00.0, or the "
			 "UUID of "
			 "a mediated device",
			 spec);
		refuse(host, spec, EINVAL, line);
	}
	refuse(host, "vfio:0000:01:00,0", EINVAL,
	       "vfio:0000:01:00,0: `0` is not of the form key=value (double a comma that belongs to a name)");
	refuse(host, "pci:01:00.0", EINVAL,
	       "pci:01:00.0: no such kind of device; there are vfio, sim, dump and vfio-user, as in "
	       "vfio:DDDD:BB:SS.F or sim:FILE");
}

static void addresses_take_the_form_of_sysfs(void **state)
{
	static const char *const forms[][2] = {
		{ "01:00.0", "0000:01:00.0" },           { "0000:01:00.0", "0000:01:00.0" },
		{ "aBcD:Ef:1F.7", "abcd:ef:1f.7" },      { "10000:01:00.0", "10000:01:00.0" }, /* Intel VMD */
		{ "00010001:e1:00.0", "10001:e1:00.0" }, { "fffffffE:01:00.0", "fffffffe:01:00.0" }
	};
	char address[BK__PCI_ADDRESS];

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		assert_int_equal(bk__device_pci_address(forms[i][0], address), 0);
		assert_string_equal(address, forms[i][1]);
	}
}

static void no_such_device(void **state)
{
	refuse(*state, "vfio:07:00.0", ENODEV,
	       "vfio:07:00.0: no PCI function at 0000:07:00.0; lspci -D lists those there are");
}

static void no_iommu(void **state)
{
	add_function(*state, "0000:01:00.0", "nvme", -1);
	refuse(*state, "vfio:01:00.0", ENODEV,
	       "vfio:01:00.0: the host has no IOMMU for it; turn VT-d or AMD-Vi on in the firmware and boot "
	       "with "
	       "intel_iommu=on or amd_iommu=on");
}

static void bound_to_another_driver(void **state)
{
	add_function(*state, "0000:01:00.0", "nvme", 7);
	refuse(*state, "vfio:0000:01:00.0", ENODEV,
	       "vfio:0000:01:00.0: bound to the driver nvme, not to vfio-pci; to rebind it: modprobe "
	       "vfio-pci; "
	       "echo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/driver_override; "
	       "echo 0000:01:00.0 > /sys/bus/pci/devices/0000:01:00.0/driver/unbind; "
	       "echo 0000:01:00.0 > /sys/bus/pci/drivers_probe");
}

static void bound_to_no_driver(void **state)
{
	add_function(*state, "0000:01:00.0", NULL, 7);
	refuse(*state, "vfio:0000:01:00.0", ENODEV,
	       "vfio:0000:01:00.0: bound to no driver, not to vfio-pci; to rebind it: modprobe vfio-pci; "
	       "echo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/driver_override; "
	       "echo 0000:01:00.0 > /sys/bus/pci/drivers_probe");
}

static void a_bridge_is_named_as_one(void **state)
{
	struct host *host = *state;

	add_function(host, "0000:00:04.0", "pcieport", 1);
	run("echo 0x060400 > %s/bus/pci/devices/0000:00:04.0/class", host->sysfs);
	refuse(host, "vfio:00:04.0", ENODEV,
	       "vfio:00:04.0: a PCI bridge cannot be passed through; name what is behind it");
}

static void vfio_is_not_loaded(void **state)
{
	struct host *host = *state;
	char line[256];

	add_function(host, "0000:01:00.0", "vfio-pci", 7);
	snprintf(line, sizeof(line), "vfio:01:00.0: %s/vfio is not there; load the driver: modprobe vfio-pci",
		 host->dev);
	refuse(host, "vfio:01:00.0", ENOENT, line);
}

static void the_node_is_something_else(void **state)
{
	struct host *host = *state;
	char line[256];

	add_function(host, "0000:01:00.0", "mlx5_vfio_pci", 7);
	run("mkdir %s && touch %s/vfio", host->dev, host->dev);
	snprintf(line, sizeof(line), "vfio:01:00.0: %s/vfio is not a VFIO container of a version known here",
		 host->dev);
	refuse(host, "vfio:01:00.0", ENODEV, line);
}

static void collect(void *opaque, const char *member, const char *driver)
{
	char *text = opaque;

	sprintf(text + strlen(text), "[%s %s]", member, driver);
}

static void facts_of_a_group(void **state)
{
	struct host *host = *state;
	char text[256] = "", fact[BK__SYSFS_FACT];

	add_function(host, "0000:01:00.0", "vfio-pci", 12);
	add_function(host, "0000:01:00.1", "snd_hda_intel", 12);
	add_function(host, "0000:02:00.0", "nvme", 13);
	run("printf '1\\n' > %s/bus/pci/devices/0000:01:00.0/numa_node", host->sysfs);
	assert_int_equal(bk__sysfs_group(host->sysfs, "0000:01:00.1"), 12);
	bk__sysfs_group_members(host->sysfs, "0000:01:00.0", collect, text);
	assert_string_equal(text, "[0000:01:00.1 snd_hda_intel]");
	assert_int_equal(bk__sysfs_fact(host->sysfs, "0000:01:00.0", "numa_node", fact), 0);
	assert_string_equal(fact, "1");
	assert_int_equal(bk__sysfs_fact(host->sysfs, "0000:01:00.0", "none", fact), -ENOENT);
}

/* ---- The interface ------------------------------------------------------ */

/* All of it for root, whom the kernel shows what VFIO hides; 64 bytes for others. */
static void the_hosts_own_config_space(void **state)
{
	struct host *host = *state;
	uint8_t bytes[4096] = { 0 };

	add_function(host, "0000:01:00.0", "vfio-pci", 1);
	assert_int_equal(bk__sysfs_config(host->sysfs, "0000:01:00.0", bytes, sizeof(bytes)), -ENOENT);
	run("head -c 64 /dev/zero | tr '\\0' x > %s/bus/pci/devices/0000:01:00.0/config", host->sysfs);
	assert_int_equal(bk__sysfs_config(host->sysfs, "0000:01:00.0", bytes, sizeof(bytes)), 64);
	assert_int_equal(bytes[63], 'x');
	run("head -c 8192 /dev/zero | tr '\\0' y > %s/bus/pci/devices/0000:01:00.0/config", host->sysfs);
	assert_int_equal(bk__sysfs_config(host->sysfs, "0000:01:00.0", bytes, sizeof(bytes)), 4096);
	assert_int_equal(bytes[4095], 'y');
	run("cd %s/bus/pci/devices/0000:01:00.0 && rm config && mkdir config", host->sysfs);
	assert_int_equal(bk__sysfs_config(host->sysfs, "0000:01:00.0", bytes, sizeof(bytes)), -EIO);
}

static void what_a_back_lacks_is_not_supported(void **state)
{
	static const struct bk_device_ops nothing;
	struct bk_device device = { .ops = &nothing, .name = "nothing" };
	struct bk_device_region region = { 0 };
	struct bk_device_info info = { 0 };
	struct bk_device_dma dma = { 0 };
	struct bk_device_irq irq = { 0 };
	struct bk_error err;
	uint32_t value = 0;

	assert_int_equal(bk_device_info(&device, &info), -EOPNOTSUPP);
	assert_int_equal(bk_device_region(&device, 0, &region), -EOPNOTSUPP);
	assert_int_equal(bk_device_irq(&device, 0, &irq), -EOPNOTSUPP);
	assert_int_equal(bk_device_read(&device, 0, 0, &value, 4), -EOPNOTSUPP);
	assert_int_equal(bk_device_write(&device, 0, 0, &value, 4), -EOPNOTSUPP);
	assert_int_equal(bk_device_set_irqs(&device, 0, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL), -EOPNOTSUPP);
	assert_int_equal(bk_device_dma_map(&device, &dma, &err), -EOPNOTSUPP);
	assert_string_equal(err.text, "nothing: this device does no DMA");
	assert_int_equal(bk_device_dma_unmap(&device, 0, 4096), -EOPNOTSUPP);
	assert_int_equal(bk_device_reset(&device), -EOPNOTSUPP);
	assert_int_equal(bk_device_host_config(&device, &value, 4), -EOPNOTSUPP);
	bk_device_describe(&device, NULL, NULL);
	bk_device_close(&device);
	bk_device_close(NULL);
}

static int lower_info(struct bk_device *device, struct bk_device_info *info)
{
	*info = (struct bk_device_info){ .flags = 1, .regions = 2, .irqs = 3 };
	return 0;
}

static int lower_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count)
{
	memset(data, 'r', count);
	return 0;
}

static void lower_describe(struct bk_device *device, void (*say)(void *, const char *, const char *),
			   void *opaque)
{
	say(opaque, "lower", device->name);
}

static void lower_close(struct bk_device *device)
{
	fail_msg("closed by the call of a device that only wraps it");
}

static int upper_info(struct bk_device *device, struct bk_device_info *info)
{
	int error = bk_device_info(device->below, info);

	info->irqs++;
	return error;
}

static void told(void *opaque, const char *key, const char *value)
{
	assert_string_equal(key, "lower");
	assert_string_equal(value, "below");
	++*(unsigned *)opaque;
}

static void what_a_wrapper_lacks_is_the_device_belows(void **state)
{
	static const struct bk_device_ops lower_ops = {
		.info = lower_info, .read = lower_read, .describe = lower_describe, .close = lower_close
	};
	static const struct bk_device_ops upper_ops = { .info = upper_info }, nothing;
	struct bk_device lower = { .ops = &lower_ops, .name = "below" };
	struct bk_device middle = { .ops = &nothing, .name = "middle", .below = &lower };
	struct bk_device upper = { .ops = &upper_ops, .name = "upper", .below = &middle };
	struct bk_device_info info = { 0 };
	struct bk_error err;
	unsigned said = 0;
	char text[4];

	assert_int_equal(bk_device_info(&upper, &info), 0);
	assert_int_equal(info.irqs, 4);
	assert_int_equal(bk_device_read(&upper, 0, 0, text, 4), 0);
	assert_memory_equal(text, "rrrr", 4);
	assert_int_equal(bk_device_write(&upper, 0, 0, text, 4), -EOPNOTSUPP);
	assert_int_equal(bk_device_dma_map(&upper, &(struct bk_device_dma){ 0 }, &err), -EOPNOTSUPP);
	assert_string_equal(err.text, "below: this device does no DMA");
	bk_device_describe(&upper, told, &said);
	assert_int_equal(said, 1);
	bk_device_close(&upper);
}

/* A caller that was built before the struct had its last members. */
static void an_older_callers_struct_is_filled_as_far_as_it_goes(void **state)
{
	static const struct bk_device_ops lower_ops = { .info = lower_info };
	struct bk_device device = { .ops = &lower_ops, .name = "new" };
	struct bk_device_info info = { .struct_size = offsetof(struct bk_device_info, irqs), .irqs = 77 };

	assert_int_equal(bk_device_info(&device, &info), 0);
	assert_int_equal(info.struct_size, offsetof(struct bk_device_info, irqs));
	assert_int_equal(info.regions, 2);
	assert_int_equal(info.irqs, 77);
}

struct grown {
	size_t struct_size;
	unsigned old, new;
};

static void structs_of_other_releases_are_taken(void **state)
{
	struct {
		struct grown known;
		unsigned later;
	} newer = { .known = { sizeof(newer), 1, 2 } };
	struct grown older = { offsetof(struct grown, new), 3, 4 }, taken;

	assert_int_equal(bk__struct_take(&taken, sizeof(taken), &older), 0);
	assert_int_equal(taken.struct_size, sizeof(taken));
	assert_int_equal(taken.old, 3);
	assert_int_equal(taken.new, 0);
	assert_int_equal(bk__struct_take(&taken, sizeof(taken), &newer), 0);
	assert_int_equal(taken.new, 2);
	newer.later = 1;
	assert_int_equal(bk__struct_take(&taken, sizeof(taken), &newer), -E2BIG);
	older.struct_size = 0;
	assert_int_equal(bk__struct_take(&taken, sizeof(taken), &older), 0);
	assert_int_equal(taken.new, 4);
}

static void regions_have_one_name_everywhere(void **state)
{
	assert_string_equal(bk_device_region_name(0), "bar0");
	assert_string_equal(bk_device_region_name(BK_DEVICE_VGA), "vga");
	assert_string_equal(bk_device_region_name(BK_DEVICE_REGIONS), "region");
}

/* ---- The table of DMA maps ---------------------------------------------- */

static int add(struct bk__device_dma_table *table, uint64_t iova, uint64_t size)
{
	return bk__device_dma_table_add(table, &(struct bk_device_dma){ .iova = iova, .size = size });
}

static void maps_stay_disjoint(void **state)
{
	struct bk__device_dma_table table = { 0 };

	assert_null(bk__device_dma_table_find(&table, 0, 0x1000));
	assert_int_equal(add(&table, 0x2000, 0x2000), 0);
	assert_int_equal(add(&table, 0x1000, 0x1000), 0);
	assert_int_equal(add(&table, 0x4000, 0x1000), 0);
	assert_int_equal(add(&table, 0x3000, 0x1000), -EEXIST);
	assert_int_equal(add(&table, 0, 0x1001), -EEXIST);
	assert_int_equal(add(&table, 0, 0x100000), -EEXIST);
	assert_int_equal(add(&table, 0x5000, 0), -EINVAL);
	assert_int_equal(add(&table, UINT64_MAX - 0xfff, 0x1001), -EINVAL);
	assert_int_equal(add(&table, UINT64_MAX - 0xfff, 0x1000), 0);
	assert_int_equal(add(&table, UINT64_MAX, 1), -EEXIST);
	assert_null(bk__device_dma_table_find(&table, 0x2000, 0x1000));
	assert_non_null(bk__device_dma_table_find(&table, UINT64_MAX - 0xfff, 0x1000));
	bk__device_dma_table_remove(&table, bk__device_dma_table_find(&table, 0x2000, 0x2000));
	assert_int_equal(add(&table, 0x3000, 0x1000), 0);
	assert_int_equal(table.maps.count, 4);
	for (unsigned i = 1; i < table.maps.count; i++)
		assert_true(table.maps.at[i].dma.iova >
			    table.maps.at[i - 1].dma.iova + (table.maps.at[i - 1].dma.size - 1));
	bk__device_dma_table_free(&table);
}

static void many_maps_agree_with_a_bitmap(void **state)
{
	struct bk__device_dma_table table = { 0 };
	unsigned char used[256] = { 0 };
	unsigned seed = 1;

	for (unsigned round = 0; round < 20000; round++) {
		unsigned first, size, taken = 0;

		seed = seed * 1103515245 + 12345;
		first = (seed >> 16) % 250;
		size = 1 + (seed >> 8) % 6;
		for (unsigned i = 0; i < size; i++)
			taken |= used[first + i];
		assert_int_equal(add(&table, first, size), taken ? -EEXIST : 0);
		if (!taken) {
			memset(used + first, 0xff, size);
		} else if (round % 3) {
			struct bk__device_dma_map *map = &table.maps.at[seed % table.maps.count];

			memset(used + map->dma.iova, 0, map->dma.size);
			assert_ptr_equal(bk__device_dma_table_find(&table, map->dma.iova, map->dma.size),
					 map);
			bk__device_dma_table_remove(&table, map);
		}
	}
	bk__device_dma_table_free(&table);
}

#define HOST(test) cmocka_unit_test_setup_teardown(test, host_begin, host_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOST(names_that_are_none_are_refused),
		HOST(what_no_group_reserves_can_be_used),
		cmocka_unit_test(what_the_kernel_says_of_ranges_is_read_within_its_bounds),
		cmocka_unit_test(addresses_take_the_form_of_sysfs),
		HOST(no_such_device),
		HOST(no_iommu),
		HOST(bound_to_another_driver),
		HOST(bound_to_no_driver),
		HOST(a_bridge_is_named_as_one),
		HOST(vfio_is_not_loaded),
		HOST(the_node_is_something_else),
		HOST(facts_of_a_group),
		HOST(the_hosts_own_config_space),
		cmocka_unit_test(what_a_back_lacks_is_not_supported),
		cmocka_unit_test(what_a_wrapper_lacks_is_the_device_belows),
		cmocka_unit_test(an_older_callers_struct_is_filled_as_far_as_it_goes),
		cmocka_unit_test(structs_of_other_releases_are_taken),
		cmocka_unit_test(regions_have_one_name_everywhere),
		cmocka_unit_test(maps_stay_disjoint),
		cmocka_unit_test(many_maps_agree_with_a_bitmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
