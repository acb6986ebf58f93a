/* SPDX-License-Identifier: BSD-2-Clause */
/* What of a name reaches VFIO, and what its answers become: a host made of files, and a kernel made of this
 * ioctl. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/vfio.h>
#include <cmocka.h>

#include "device/sysfs.h"
#include "host_kit.h"

#define UUID "4b20d080-1b54-4048-85b3-a6a62d165c01"

static char asked[128]; /* for which device */
static int answer;      /* an errno */

int __wrap_ioctl(int fd, unsigned long number, void *arg);
int __wrap_ioctl(int fd, unsigned long number, void *arg)
{
	switch (number) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return 1;
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)arg)->flags = VFIO_GROUP_FLAGS_VIABLE;
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		snprintf(asked, sizeof(asked), "%s", (const char *)arg);
		errno = answer;
		return -1;
	default:
		return 0;
	}
}

static void add(struct host *host, const char *bus, const char *address, const char *driver)
{
	run("mkdir -p %s/bus/%s/devices/%s && cd %s/bus/%s/devices/%s && ln -s ../drivers/%s driver && "
	    "ln -s ../groups/7 iommu_group",
	    host->sysfs, bus, address, host->sysfs, bus, address, driver);
}

static int setup(void **state)
{
	struct host *host;

	host_begin(state);
	host = *state;
	run("mkdir -p %s && touch %s/vfio %s/7", host->dev, host->dev, host->dev);
	add(host, "pci", "0000:01:10.0", "vfio-pci");
	add(host, "pci", "10000:01:00.0", "vfio-pci");
	add(host, "mdev", UUID, "nvidia-vgpu-vfio");
	return 0;
}

static void refuse(struct host *host, const char *spec, int code, const char *line)
{
	struct bk_device *device;
	struct bk_error err;

	answer = code;
	asked[0] = 0;
	assert_int_equal(bk_device_open(host->context, spec, &device, &err), -code);
	assert_null(device);
	if (!strstr(err.text, line))
		fail_msg("%s", err.text);
}

static void the_token_of_a_physical_function_reaches_the_kernel(void **state)
{
	refuse(*state, "vfio:01:10.0", EACCES,
	       "vfio:01:10.0: the kernel wants a VF token, since its physical function is with vfio-pci, "
	       "too; "
	       "give both the same one: vf_token=UUID");
	assert_string_equal(asked, "0000:01:10.0");
	refuse(*state, "vfio:01:10.0,vf_token=4B20D080-1b54-4048-85b3-a6a62d165c01", EACCES,
	       "vf_token=" UUID " is not the VF token that its physical function was opened with");
	assert_string_equal(asked, "0000:01:10.0 vf_token=" UUID);
	refuse(*state, "vfio:01:10.0,vf_token=" UUID, EINVAL, "leave vf_token out");
	refuse(*state, "vfio:01:10.0", EINVAL, "vfio-pci does not hand out the device: Invalid argument");
	refuse(*state, "vfio:01:10.0,vf_token=" UUID, ENODEV, "does not hand out the device: No such device");
}

static void a_token_is_a_uuid(void **state)
{
	static const char *const bad[] = { "",
					   "1",
					   UUID "0",
					   "4b20d080-1b54-4048-85b3-a6a62d165c0",
					   "4b20d080 1b54-4048-85b3-a6a62d165c01",
					   "4b20d080-1b54-4048-85b3-a6a62d165c0g" };
	char spec[128];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(spec, sizeof(spec), "vfio:01:10.0,vf_token=%s", bad[i]);
		refuse(*state, spec, EINVAL, ": not a UUID, as in vf_token=");
		assert_string_equal(asked, "");
	}
	refuse(*state, "vfio:01:10.0,vf-token=" UUID, EINVAL, "has no option `vf-token`; it has vf_token");
}

static void domains_of_five_digits(void **state)
{
	refuse(*state, "vfio:10000:01:00.0", EIO, "vfio-pci does not hand out the device");
	assert_string_equal(asked, "10000:01:00.0");
	refuse(*state, "vfio:10001:01:00.0", ENODEV, "no PCI function at 10001:01:00.0");
}

/* Their driver is their maker's, and no PCI class is to be seen. */
static void mediated_devices_are_named_by_uuid_or_path(void **state)
{
	static const char *const specs[] = {
		"vfio:" UUID,
		"vfio:4B20D080-1B54-4048-85B3-A6A62D165C01",
		"vfio:/sys/bus/mdev/devices/" UUID,
		"vfio:/sys/devices/pci0000:00/0000:00:02.0/" UUID "/",
	};

	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		refuse(*state, specs[i], EIO, "vfio-pci does not hand out the device");
		assert_string_equal(asked, UUID);
	}
	refuse(*state, "vfio:4b20d080-1b54-4048-85b3-a6a62d165c02", ENODEV,
	       "no mediated device 4b20d080-1b54-4048-85b3-a6a62d165c02; ls /sys/bus/mdev/devices lists");
}

static void paths_of_sysfs_name_functions_too(void **state)
{
	refuse(*state, "vfio:/sys/bus/pci/devices/0000:01:10.0", EIO, "does not hand out");
	assert_string_equal(asked, "0000:01:10.0");
	refuse(*state, "vfio:/", EINVAL, "not a PCI address");
	refuse(*state, "vfio:/sys/bus/pci", EINVAL, "not a PCI address");
	refuse(*state, "vfio:/sys/bus/mdev/devices/" UUID "-and-more", EINVAL, "not a PCI address");
	refuse(*state, "vfio:sys/" UUID, EINVAL, "not a PCI address");
}

static void a_mediated_device_without_a_group(void **state)
{
	struct host *host = *state;

	run("rm %s/bus/mdev/devices/" UUID "/iommu_group", host->sysfs);
	refuse(host, "vfio:" UUID, ENODEV, "it has no IOMMU group");
}

#define HOST(test) cmocka_unit_test_setup_teardown(test, setup, host_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOST(the_token_of_a_physical_function_reaches_the_kernel),
		HOST(a_token_is_a_uuid),
		HOST(domains_of_five_digits),
		HOST(mediated_devices_are_named_by_uuid_or_path),
		HOST(paths_of_sysfs_name_functions_too),
		HOST(a_mediated_device_without_a_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
