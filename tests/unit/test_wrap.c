/* SPDX-License-Identifier: BSD-2-Clause */
/* A VMM's calls on VFIO's descriptors, with the wrap library between it and a made-up VFIO. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <sys/uio.h>

#include "wrap_kit.h"

static const struct vfio_region_info_cap_sparse_mmap *sparse_of(const struct vfio_region_info *info)
{
	return (const void *)kit_cap(info, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
}

/* ---- Opening ----------------------------------------------------------- */

static void every_way_to_open_a_group_leads_to_a_mediator(void **state)
{
	const int fds[] = { open("/dev/vfio/7", O_RDWR), open64("/dev/vfio/7", O_RDWR),
			    openat(AT_FDCWD, "/dev/vfio/7", O_RDWR),
			    openat64(AT_FDCWD, "/dev/vfio/7", O_RDWR),
			    /* not found by its name, but by what is asked of it */
			    open("/tmp/link-to-a-group", O_RDWR) };

	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		const int device = ioctl(fds[i], VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0 vf_token=1");

		assert_true(device >= 0);
		assert_int_equal(kit.opened, i + 1);
		assert_string_equal(kit.name, "0000:01:00.0");
		assert_int_equal(close(device), 0);
		assert_int_equal(kit.closed, i + 1);
		close(fds[i]);
	}
}

static void a_device_of_a_cdev_is_mediated_once_it_is_bound(void **state)
{
	const int fd = open("/dev/vfio/devices/vfio0", O_RDWR);
	uint32_t bind[8] = { sizeof(bind) };

	kit.traps[0] = "bar0+0x40/4:const=0x11223344";
	assert_int_equal(kit.opened, 0);
	assert_int_equal(ioctl(fd, 0x3b76, bind), 0);
	assert_int_equal(kit.opened, 1);
	assert_string_equal(kit.name, "0000:01:00.0");
	assert_int_equal(kit_read(fd, 0, 0x40), 0x11223344);
	close(fd);
	kit.refuse = EINVAL;
	assert_true(open("/dev/vfio/devices/vfio0", O_RDWR) == fd);
	assert_int_equal(ioctl(fd, 0x3b76, bind), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(pread(fd, bind, 4, 0), -1);
	assert_int_equal(errno, EPERM);
	close(fd);
}

/* A descriptor as a socket brings it, which another process has opened, and perhaps bound. */
static int handed_over(bool bound)
{
	const int fd = fake_vfio_open("/dev/vfio/devices/vfio0", O_RDWR, 0);

	if (bound)
		assert_int_equal(fake_vfio_ioctl(fd, 0x3b76, NULL), 0);
	bk__wrap_adopt(fd);
	return fd;
}

static void a_cdev_that_another_process_has_bound_is_mediated(void **state)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int fd;

	kit.traps[0] = "bar0+0x40/4:const=0x11223344";
	fd = handed_over(true);
	assert_int_equal(kit.opened, 1);
	assert_string_equal(kit.name, "0000:01:00.0");
	assert_int_equal(kit_read(fd, 0, 0x40), 0x11223344);
	close(fd);
	/* Bound after that, by a process that has it, too. */
	fd = handed_over(false);
	assert_int_equal(kit.opened, 1);
	assert_int_equal(ioctl(fd, VFIO_DEVICE_GET_INFO, &info), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(fake_vfio_ioctl(fd, 0x3b76, NULL), 0);
	assert_int_equal(ioctl(fd, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(kit.opened, 2);
	assert_int_equal(kit_read(fd, 0, 0x40), 0x11223344);
	close(fd);
	kit.refuse = EINVAL;
	fd = handed_over(true);
	assert_int_equal(ioctl(fd, VFIO_DEVICE_GET_INFO, &info), -1);
	assert_int_equal(errno, EPERM);
	close(fd);
}

static void a_device_that_cannot_be_mediated_is_refused(void **state)
{
	kit.refuse = EINVAL;
	assert_int_equal(kit_open(), -1);
	assert_int_equal(errno, EPERM);
	assert_string_equal(kit.line, "refused by the test; the program is refused the device");
	kit.refuse = 0;
	fake_vfio.odd_layout = true;
	assert_int_equal(kit_open(), -1);
	assert_non_null(strstr(kit.line, "this kernel's VFIO is not known here"));
	fake_vfio.odd_layout = false;
	fake_vfio.fail_info = EIO;
	assert_int_equal(kit_open(), -1);
	fake_vfio.fail_info = 0;
	assert_int_equal(kit_open_named("/dev/vfio/7", "0000:05:00.0"), -1);
	assert_int_equal(errno, ENODEV);
	assert_int_equal(kit_open_named("/dev/vfio/7", NULL), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(kit.opened, 0);
}

static void a_descriptor_that_came_unseen_is_found_by_its_first_request(void **state)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int group = fake_vfio_open("/dev/vfio/7", O_RDWR, 0), device;

	device = fake_vfio_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
	assert_int_equal(ioctl(device, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(kit.opened, 1);
	assert_string_equal(kit.name, "");
	close(device);
	close(group);
	fake_vfio.no_proc = true;
	group = fake_vfio_open("/dev/vfio/7", O_RDWR, 0);
	device = fake_vfio_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
	kit.refuse = EINVAL;
	fake_vfio.no_proc = false;
	assert_int_equal(ioctl(device, VFIO_DEVICE_GET_INFO, &info), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ioctl(device, VFIO_DEVICE_RESET), -1);
	assert_int_equal(fake_vfio.resets, 0);
	close(device);
	close(group);
}

/* ---- Regions ----------------------------------------------------------- */

static void a_region_without_traps_is_answered_by_the_kernel_alone(void **state)
{
	const int fd = kit_open();

	for (unsigned i = 0; i < 8; i++) {
		struct vfio_region_info *info = kit_region(fd, i), *own;
		const int group = fake_vfio_open("/dev/vfio/7", 0, 0);
		const int plain = fake_vfio_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");

		own = calloc(1, info->argsz);
		own->argsz = info->argsz;
		own->index = i;
		assert_int_equal(fake_vfio_ioctl(plain, VFIO_DEVICE_GET_REGION_INFO, own), 0);
		assert_memory_equal(info, own, info->argsz);
		free(info);
		free(own);
		bk__wrap_real.close(plain);
		bk__wrap_real.close(group);
	}
	close(fd);
}

static void trapped_pages_leave_the_mapping(void **state)
{
	const struct vfio_region_info_cap_sparse_mmap *sparse;
	struct vfio_region_info *info;
	int fd;

	kit.traps[0] = "bar2+0xf00/0x100:mirror";
	kit.traps[1] = "bar2+0x3ffe/4:const=1";
	fd = kit_open();
	info = kit_region(fd, 2);
	assert_int_equal(info->flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
					      VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS);
	assert_int_equal(info->size, 0x100000);
	assert_int_equal(info->offset, (uint64_t)2 << 40);
	sparse = sparse_of(info);
	assert_int_equal(sparse->nr_areas, 2);
	assert_int_equal(sparse->areas[0].offset, 0x1000);
	assert_int_equal(sparse->areas[0].size, 0x2000);
	assert_int_equal(sparse->areas[1].offset, 0x5000);
	assert_int_equal(sparse->areas[1].size, 0xfb000);
	free(info);
	close(fd);
}

/* There the whole BAR could be mapped, table included, and QEMU takes the kernel's word for it. */
static void what_else_the_kernel_says_of_a_region_stays(void **state)
{
	struct vfio_region_info *info;
	int fd;

	kit.traps[0] = "bar0+0x8000/4:log";
	kit.traps[1] = "bar1+0x9000/4:log";
	fd = kit_open();
	info = kit_region(fd, 0);
	assert_non_null(kit_cap(info, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE));
	assert_int_equal(sparse_of(info)->nr_areas, 2);
	free(info);
	info = kit_region(fd, 1); /* the kernel's areas, less ours */
	assert_int_equal(sparse_of(info)->nr_areas, 3);
	assert_int_equal(sparse_of(info)->areas[0].size, 0x4000);
	assert_int_equal(sparse_of(info)->areas[1].offset, 0x8000);
	assert_int_equal(sparse_of(info)->areas[1].size, 0x1000);
	assert_int_equal(sparse_of(info)->areas[2].offset, 0xa000);
	free(info);
	close(fd);
}

static void a_region_of_which_no_page_is_left_cannot_be_mapped(void **state)
{
	struct vfio_region_info *info;
	int fd;

	kit.traps[0] = "bar5+0x10/4:const=7";
	kit.traps[1] = "bar4+0x10/4:const=7";
	kit.traps[2] = "bar0+0/0x10000:log";
	fd = kit_open();
	for (unsigned i = 0; i < 6; i++) {
		if (i > 0 && i < 4)
			continue;
		info = kit_region(fd, i);
		assert_false(info->flags & VFIO_REGION_INFO_FLAG_MMAP);
		assert_null(sparse_of(info));
		free(info);
	}
	assert_int_equal(kit_read(fd, 5, 0x10), 7);
	assert_int_equal(kit_read(fd, 4, 0x10), 7);
	assert_int_equal(kit_read(fd, 4, 0x14), kit_pattern(0x14));
	close(fd);
}

static void an_answer_has_no_more_than_the_program_has_room_for(void **state)
{
	struct {
		struct vfio_region_info info;
		uint8_t behind[64];
	} room;
	int fd;

	kit.traps[0] = "bar2+0xf00/0x100:mirror";
	fd = kit_open();
	memset(&room, 0x5a, sizeof(room));
	room.info.argsz = sizeof(room.info);
	room.info.index = 2;
	assert_int_equal(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &room), 0);
	assert_int_equal(room.info.cap_offset, 0);
	assert_true(room.info.flags & VFIO_REGION_INFO_FLAG_CAPS);
	assert_true(room.info.argsz > sizeof(room.info));
	for (unsigned i = 0; i < sizeof(room.behind); i++)
		assert_int_equal(room.behind[i], 0x5a);
	close(fd);
}

static void bad_arguments_are_the_kernels_to_refuse(void **state)
{
	struct vfio_region_info info = { .argsz = 16 };
	int fd;

	kit.traps[0] = "bar2+0xf00/0x100:mirror";
	fd = kit_open();
	assert_int_equal(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, NULL), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info), -1);
	assert_int_equal(errno, EINVAL);
	info = (struct vfio_region_info){ .argsz = sizeof(info), .index = 77 };
	assert_int_equal(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ioctl(fd, VFIO_DEVICE_IOEVENTFD, NULL), 0);
	assert_int_equal(ioctl(fd, VFIO_DEVICE_FEATURE, NULL), 0);
	assert_int_equal(ioctl(fd, 0x3bff, NULL), -1);
	assert_int_equal(errno, ENOTTY);
	close(fd);
}

/* ---- Accesses ---------------------------------------------------------- */

static void every_call_that_reads_finds_the_trap(void **state)
{
	const int trap = 0x11223344;
	struct iovec parts[2];
	uint32_t value[2];
	int fd;

	kit.traps[0] = "bar0+0/4:const=0x11223344";
	fd = kit_open();
	parts[0] = (struct iovec){ &value[0], 4 };
	parts[1] = (struct iovec){ &value[1], 4 };

#define READS(call, count)                                          \
	do {                                                        \
		memset(value, 0, sizeof(value));                    \
		assert_int_equal(call, count);                      \
		assert_int_equal(value[0], trap);                   \
		if (count == 8)                                     \
			assert_int_equal(value[1], kit_pattern(4)); \
	} while (0)
	READS(read(fd, value, 4), 4);
	kit_write(fd, 0, 0, 0);
	assert_int_equal(read(fd, value, 4), 4); /* from where the first one ended */
	assert_int_equal(value[0], kit_pattern(4));
	READS(pread(fd, value, 4, 0), 4);
	READS(pread64(fd, value, 8, 0), 8);
	READS(preadv(fd, parts, 2, 0), 8);
	READS(preadv64(fd, parts, 2, 0), 8);
	READS(preadv2(fd, parts, 2, 0, 0), 8);
	READS(preadv64v2(fd, parts, 1, 0, 0), 4);
	close(fd);
	fd = kit_open();
	READS(preadv2(fd, parts, 1, -1, 0), 4); /* at the position */
	assert_int_equal(preadv64v2(fd, parts, 1, -1, 0), 4);
	assert_int_equal(value[0], kit_pattern(4));
	close(fd);
}

ssize_t __pread_chk(int fd, void *data, size_t count, off_t at, size_t room);
ssize_t __pread64_chk(int fd, void *data, size_t count, off_t at, size_t room);
ssize_t __read_chk(int fd, void *data, size_t count, size_t room);

static void the_fortified_calls_find_the_trap(void **state)
{
	uint32_t value = 0;
	int fd;

	kit.traps[0] = "bar0+0/4:const=0x11223344";
	fd = kit_open();
	assert_int_equal(__pread_chk(fd, &value, 4, 0, 4), 4);
	assert_int_equal(value, 0x11223344);
	value = 0;
	assert_int_equal(__pread64_chk(fd, &value, 4, 0, 4), 4);
	assert_int_equal(value, 0x11223344);
	value = 0;
	assert_int_equal(__read_chk(fd, &value, 4, 4), 4);
	assert_int_equal(value, 0x11223344);
	close(fd);
}

static void every_call_that_writes_finds_the_trap(void **state)
{
	uint32_t value[2] = { 0xaaaaaaaa, 0xbbbbbbbb };
	struct iovec parts[2] = { { &value[0], 4 }, { &value[1], 4 } };
	unsigned calls = 0;
	int fd;

	kit.traps[0] = "bar0+0/4:const=0x11223344";
	fd = kit_open();
#define WRITES(call, count)                                                 \
	do {                                                                \
		const unsigned before = fake_vfio.writes;                   \
                                                                            \
		assert_int_equal(call, count);                              \
		assert_int_equal(fake_vfio.writes - before, count / 4 - 1); \
		calls++;                                                    \
	} while (0)
	WRITES(write(fd, value, 4), 4);
	WRITES(pwrite(fd, value, 4, 0), 4);
	WRITES(pwrite64(fd, value, 8, 0), 8);
	WRITES(pwritev(fd, parts, 2, 0), 8);
	WRITES(pwritev64(fd, parts, 2, 0), 8);
	WRITES(pwritev2(fd, parts, 2, 0, 0), 8);
	WRITES(pwritev64v2(fd, parts, 1, 0, 0), 4);
	assert_int_equal(kit_read(fd, 0, 0), 0x11223344);
	close(fd);
	fd = kit_open();
	WRITES(pwritev2(fd, parts, 1, -1, 0), 4);
	close(fd);
	fd = kit_open();
	WRITES(pwritev64v2(fd, parts, 1, -1, 0), 4);
	assert_int_equal(calls, 9);
	close(fd);
}

static void widths_and_straddling_are_as_the_program_has_them(void **state)
{
	uint8_t bytes[8];
	int fd;

	kit.traps[0] = "bar0+0x104/4:const=0x44332211";
	fd = kit_open();
	for (unsigned width = 1; width <= 8; width++)
		for (unsigned at = 0x0f8; at <= 0x108; at++) {
			assert_int_equal(pread(fd, bytes, width, FAKE_VFIO_OFFSET(0, at)), width);
			for (unsigned i = 0; i < width; i++) {
				const unsigned byte = at + i;
				const uint8_t device = (uint8_t)kit_pattern(byte);

				assert_int_equal(bytes[i], byte >= 0x104 && byte < 0x108
								   ? (byte - 0x103) * 0x11
								   : device);
			}
		}
	/* Beside the trap the device gets the program's width. */
	pread(fd, bytes, 2, FAKE_VFIO_OFFSET(0, 0x200));
	assert_int_equal(fake_vfio.last_width, 2);
	pread(fd, bytes, 8, FAKE_VFIO_OFFSET(0, 0x200));
	assert_int_equal(fake_vfio.last_width, 8);
	close(fd);
}

static void ends_of_regions_are_as_the_kernel_has_them(void **state)
{
	uint8_t bytes[300];
	int fd;

	kit.traps[0] = "bar4+0/4:const=1";
	kit.traps[1] = "config+0x40/4:log";
	kit.regions = 1u << BK_DEVICE_ROM;
	fd = kit_open();
	assert_int_equal(pread(fd, bytes, 8, FAKE_VFIO_OFFSET(4, 252)), 4);
	assert_int_equal(pread(fd, bytes, 1, FAKE_VFIO_OFFSET(4, 256)), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(pread(fd, bytes, 256, FAKE_VFIO_OFFSET(7, 0)), 256);
	assert_int_equal(bytes[0], 0x34);
	assert_int_equal(pread(fd, bytes, 257, FAKE_VFIO_OFFSET(7, 0)), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(pwrite(fd, bytes, 1, FAKE_VFIO_OFFSET(6, 0)), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(pread(fd, bytes, 0, FAKE_VFIO_OFFSET(4, 0)), 0);
	assert_int_equal(pread(fd, bytes, 4, -1), -1);
	assert_int_equal(preadv(fd, NULL, 0, FAKE_VFIO_OFFSET(4, 0)), 0);
	close(fd);
}

static void errors_of_the_device_are_errors(void **state)
{
	uint32_t value;
	int fd;

	kit.traps[0] = "bar0+0/4:log";
	fd = kit_open();
	fake_vfio.fail = EIO;
	assert_int_equal(pread(fd, &value, 4, FAKE_VFIO_OFFSET(0, 0)), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(pwrite(fd, &value, 4, FAKE_VFIO_OFFSET(0, 8)), -1);
	assert_int_equal(errno, EIO);
	fake_vfio.fail = 0;
	close(fd);
}

static void a_mirror_shows_what_the_program_has_written_to_config_space(void **state)
{
	int fd;

	kit.traps[0] = "bar2+0xf00/0x100:mirror";
	fd = kit_open();
	kit_write(fd, 7, 0x18, 0xfebf800c);
	assert_int_equal(kit_read(fd, 2, 0xf18), 0xfebf800c);
	close(fd);
}

static void an_untouched_region_is_read_in_one_call(void **state)
{
	uint8_t bytes[4096];
	int fd;

	kit.traps[0] = "bar0+0/4:log";
	kit.regions = 1u << BK_DEVICE_ROM | 1u << BK_DEVICE_CONFIG;
	fd = kit_open();
	fake_vfio.reads = 0;
	assert_int_equal(pread(fd, bytes, sizeof(bytes), FAKE_VFIO_OFFSET(2, 0)), sizeof(bytes));
	assert_int_equal(fake_vfio.reads, 1);
	assert_int_equal(pread(fd, bytes, sizeof(bytes), FAKE_VFIO_OFFSET(6, 0)), sizeof(bytes));
	assert_int_equal(fake_vfio.reads, 2);
	close(fd);
}

static void a_given_rom_replaces_the_devices(void **state)
{
	static const uint8_t image[8192] = { 0x55, 0xaa, 16 };
	struct vfio_region_info *info;
	uint8_t bytes[8192];
	int fd;

	kit.options.rom_image = image;
	kit.options.rom_size = sizeof(image);
	kit.regions = 1u << BK_DEVICE_ROM | 1u << BK_DEVICE_CONFIG;
	fd = kit_open();
	info = kit_region(fd, 6);
	assert_int_equal(info->size, 8192);
	free(info);
	assert_int_equal(pread(fd, bytes, sizeof(bytes), FAKE_VFIO_OFFSET(6, 0)), sizeof(bytes));
	assert_memory_equal(bytes, image, sizeof(image));
	kit_write(fd, 7, 0x30, 0xfffff800);
	assert_int_equal(kit_read(fd, 7, 0x30), 0xffffe000);
	close(fd);
}

static void a_moved_msix_table_is_in_a_bar_that_the_device_has_not(void **state)
{
	struct vfio_region_info *info;
	int fd;

	kit.options.msix_move = true;
	kit.options.msix_bar = 3; /* the upper half of bar2 */
	kit.regions = 1u << BK_DEVICE_CONFIG | 1u << 5;
	kit.options.msix_bar = 5;
	fd = kit_open();
	info = kit_region(fd, 5);
	assert_int_equal(info->size, 0x2000);
	assert_false(info->flags & VFIO_REGION_INFO_FLAG_MMAP);
	free(info);
	assert_int_equal(kit_read(fd, 7, 0x74), 0x1005);
	assert_int_equal(kit_read(fd, 5, 0x1000), 0xffffffff);
	assert_int_equal(kit_read(fd, 5, 0), kit_pattern(0));
	close(fd);
}

/* ---- Requests ---------------------------------------------------------- */

static void resets_reach_the_device_once(void **state)
{
	const int fd = kit_open();
	struct vfio_device_info info = { .argsz = sizeof(info) };

	assert_int_equal(ioctl(fd, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_true(info.flags & VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(ioctl(fd, VFIO_DEVICE_RESET), 0);
	assert_int_equal(fake_vfio.resets, 1);
	assert_int_equal(ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &info), 0);
	assert_int_equal(fake_vfio.hot_resets, 1);
	close(fd);
}

static void the_kernel_makes_no_write_past_a_trap(void **state)
{
	struct vfio_device_ioeventfd event = {
		.argsz = sizeof(event), .flags = 4, .offset = (uint64_t)FAKE_VFIO_OFFSET(0, 0x40), .fd = 5
	};
	uint32_t feature[4] = { sizeof(feature), 11 | VFIO_DEVICE_FEATURE_GET, 0 };
	int fd;

	kit.traps[0] = "bar0+0x40/4:log";
	fd = kit_open();
	assert_int_equal(ioctl(fd, VFIO_DEVICE_IOEVENTFD, &event), -1);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(fake_vfio.ioeventfds, 0);
	event.offset += 4;
	assert_int_equal(ioctl(fd, VFIO_DEVICE_IOEVENTFD, &event), 0);
	assert_int_equal(fake_vfio.ioeventfds, 1);
	assert_int_equal(ioctl(fd, VFIO_DEVICE_FEATURE, feature), -1);
	feature[2] = 2; /* a region without traps */
	assert_int_equal(ioctl(fd, VFIO_DEVICE_FEATURE, feature), 0);
	assert_int_equal(fake_vfio.features, 1);
	close(fd);
}

/* ---- Mappings ---------------------------------------------------------- */

static void pages_that_were_given_are_mapped(void **state)
{
	uint32_t *page;
	int fd;

	kit.traps[0] = "bar2+0xf00/0x100:mirror";
	fd = kit_open();
	page = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, FAKE_VFIO_OFFSET(2, 0x1000));
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(page[1], kit_pattern(4));
	assert_true(bk__wrap_maps_have(bk__wrap_find(fd)->device, 2, 0x1ffc, 4));
	assert_false(bk__wrap_maps_have(bk__wrap_find(fd)->device, 2, 0x2000, 4));
	assert_int_equal(munmap(page, 0x1000), 0);
	assert_false(bk__wrap_maps_have(bk__wrap_find(fd)->device, 2, 0x1000, 4));
	close(fd);
}

/* kvmtool maps a region whole, and traps it if that fails. */
static void a_program_that_ignores_the_areas_is_offered_no_mapping(void **state)
{
	struct vfio_region_info *info;
	int fd;

	kit.traps[0] = "bar2+0xf00/0x100:mirror";
	fd = kit_open();
	assert_ptr_equal(mmap(NULL, 0x100000, PROT_READ, MAP_SHARED, fd, FAKE_VFIO_OFFSET(2, 0)), MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	assert_non_null(strstr(kit.line, "mmap=off does that from the start"));
	assert_ptr_equal(mmap64(NULL, 0x100000, PROT_READ, MAP_SHARED, fd, FAKE_VFIO_OFFSET(2, 0)),
			 MAP_FAILED);
	assert_int_equal(kit.lines, 1);
	info = kit_region(fd, 2);
	assert_false(info->flags & VFIO_REGION_INFO_FLAG_MMAP);
	free(info);
	assert_int_equal(kit_read(fd, 2, 0x2000), kit_pattern(0));
	close(fd);
}

static void a_device_may_be_given_without_mappings(void **state)
{
	struct vfio_region_info *info;
	int fd;

	kit.unmapped = 0x3f;
	fd = kit_open();
	for (unsigned i = 0; i < 6; i++) {
		info = kit_region(fd, i);
		assert_false(info->flags & VFIO_REGION_INFO_FLAG_MMAP);
		free(info);
	}
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, FAKE_VFIO_OFFSET(2, 0)), MAP_FAILED);
	assert_int_equal(kit_read(fd, 2, 4), kit_pattern(4));
	close(fd);
}

static void mappings_are_followed_wherever_they_go(void **state)
{
	const struct bk__wrap_device *device;
	char *at, *other;
	int fd;

	fd = kit_open();
	device = bk__wrap_find(fd)->device;
	at = mmap(NULL, 0x8000, PROT_READ, MAP_SHARED, fd, FAKE_VFIO_OFFSET(2, 0));
	assert_true(bk__wrap_maps_have(device, 2, 0x4000, 1));
	munmap(at + 0x4000, 0x1000); /* a hole */
	assert_false(bk__wrap_maps_have(device, 2, 0x4000, 1));
	assert_true(bk__wrap_maps_have(device, 2, 0x3fff, 1));
	assert_true(bk__wrap_maps_have(device, 2, 0x5000, 1));
	/* Something else over a page. */
	assert_ptr_equal(mmap(at + 0x2000, 0x1000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 at + 0x2000);
	assert_false(bk__wrap_maps_have(device, 2, 0x2000, 1));
	other = mremap(at + 0x5000, 0x3000, 0x2000, MREMAP_MAYMOVE);
	assert_true(bk__wrap_maps_have(device, 2, 0x6fff, 1));
	assert_false(bk__wrap_maps_have(device, 2, 0x7000, 1));
	assert_ptr_equal(mremap(at, 0x1000, 0x1000, MREMAP_MAYMOVE | MREMAP_FIXED, at + 0x4000), at + 0x4000);
	assert_true(bk__wrap_maps_have(device, 2, 0, 1));
	munmap(at + 0x1000, 0x4000);
	munmap(other, 0x2000);
	assert_false(bk__wrap_maps_have(device, 2, 0, 0x100000));
	assert_true(bk__wrap_maps_first > bk__wrap_maps_last);
	close(fd);
}

static void *unmap_and_fail(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	bk__wrap_real.munmap(at, size);
	errno = EAGAIN;
	return MAP_FAILED;
}

static int refuse_to_unmap(void *at, size_t size)
{
	errno = ENOMEM;
	return -1;
}

static void what_a_call_that_fails_leaves_mapped_is_remembered(void **state)
{
	const __typeof__(bk__wrap_real.mmap) map = bk__wrap_real.mmap;
	const __typeof__(bk__wrap_real.munmap) unmap = bk__wrap_real.munmap;
	const struct bk__wrap_device *device;
	char *at;
	int fd;

	fd = kit_open();
	device = bk__wrap_find(fd)->device;
	at = mmap(NULL, 0x4000, PROT_READ, MAP_SHARED, fd, FAKE_VFIO_OFFSET(2, 0));
	assert_ptr_equal(mmap(at, 0x1000, PROT_READ, MAP_SHARED | MAP_FIXED, -1, 0), MAP_FAILED);
	assert_ptr_equal(mmap(at, 0x1000, PROT_READ, MAP_SHARED | MAP_FIXED, fd, FAKE_VFIO_OFFSET(2, 1)),
			 MAP_FAILED);
	assert_ptr_equal(mremap(NULL, 0x1000, 0x1000, MREMAP_MAYMOVE | MREMAP_FIXED, at), MAP_FAILED);
	bk__wrap_real.munmap = refuse_to_unmap;
	assert_int_equal(munmap(at, 0x1000), -1);
	bk__wrap_real.munmap = unmap;
	assert_true(bk__wrap_maps_have(device, 2, 0, 1));
	/* The kernel has made room for what it then could not map. */
	bk__wrap_real.mmap = unmap_and_fail;
	assert_ptr_equal(mmap(at, 0x1000, PROT_READ, MAP_SHARED | MAP_FIXED, fd, FAKE_VFIO_OFFSET(2, 0)),
			 MAP_FAILED);
	assert_int_equal(errno, EAGAIN);
	bk__wrap_real.mmap = map;
	assert_false(bk__wrap_maps_have(device, 2, 0, 1));
	assert_true(bk__wrap_maps_have(device, 2, 0x1000, 1));
	munmap(at, 0x4000);
	close(fd);
}

/* ---- A trap that comes while the program maps its page ------------------ */

static struct {
	pthread_t thread;
	int error;
	bool done; /* atomic */
	void *(*map)(void *at, size_t size, int prot, int flags, int fd, off_t offset);
} coming;

static void *come(void *unused)
{
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;
	struct bk_error err;

	bk__wrap_change_begin();
	coming.error = bk__wrap_make_way(kit.last, 2, 0x1000, 4, &err);
	if (!coming.error && !bk_trap_parse("bar2+0x1000/4:const=7", &spec, &err))
		bk_trap_add(kit.last, &spec, &trap, &err);
	bk__wrap_change_end(kit.last);
	__atomic_store_n(&coming.done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* The trap has all the time that it would take if nothing held it up. */
static void *map_late(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	pthread_create(&coming.thread, NULL, come, NULL);
	for (unsigned i = 0; i < 20000 && !__atomic_load_n(&coming.done, __ATOMIC_ACQUIRE); i++)
		sched_yield();
	return coming.map(at, size, prot, flags, fd, offset);
}

static void a_trap_does_not_come_while_its_page_is_mapped(void **state)
{
	uint32_t *page;
	int fd;

	fd = kit_open();
	memset(&coming, 0, sizeof(coming));
	coming.map = bk__wrap_real.mmap;
	bk__wrap_real.mmap = map_late;
	page = mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, fd, FAKE_VFIO_OFFSET(2, 0x1000));
	bk__wrap_real.mmap = coming.map;
	pthread_join(coming.thread, NULL);
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(coming.error, -EBUSY);
	munmap(page, 0x1000);
	close(fd);
}

static void a_trap_that_comes_later_needs_pages_that_nobody_has_mapped(void **state)
{
	struct bk_trap_desc spec = { 0 };
	struct bk_trap *trap;
	struct bk_error err;
	uint32_t *page;
	int fd;

	kit.traps[0] = "bar2+0xf00/0x100:mirror";
	fd = kit_open();
	page = mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, fd, FAKE_VFIO_OFFSET(2, 0x1000));
	bk__wrap_change_begin();
	assert_int_equal(bk__wrap_make_way(kit.last, 2, 0x1ffc, 8, &err), -EBUSY);
	assert_non_null(strstr(err.text, "give the trap at the start"));
	assert_int_equal(bk__wrap_make_way(kit.last, 2, 0x800, 4, &err), 0);
	assert_int_equal(bk__wrap_make_way(kit.last, 0, 0x800, 4, &err), 0);
	assert_int_equal(bk_trap_parse("bar0+0x800/4:const=5", &spec, &err), 0);
	assert_int_equal(bk_trap_add(kit.last, &spec, &trap, &err), 0);
	bk__wrap_change_end(kit.last);
	assert_int_equal(kit_read(fd, 0, 0x800), 5);
	munmap(page, 0x1000);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_way_to_open_a_group_leads_to_a_mediator),
		TEST(a_device_of_a_cdev_is_mediated_once_it_is_bound),
		TEST(a_cdev_that_another_process_has_bound_is_mediated),
		TEST(a_device_that_cannot_be_mediated_is_refused),
		TEST(a_descriptor_that_came_unseen_is_found_by_its_first_request),
		TEST(a_region_without_traps_is_answered_by_the_kernel_alone),
		TEST(trapped_pages_leave_the_mapping),
		TEST(what_else_the_kernel_says_of_a_region_stays),
		TEST(a_region_of_which_no_page_is_left_cannot_be_mapped),
		TEST(an_answer_has_no_more_than_the_program_has_room_for),
		TEST(bad_arguments_are_the_kernels_to_refuse),
		TEST(every_call_that_reads_finds_the_trap),
		TEST(the_fortified_calls_find_the_trap),
		TEST(every_call_that_writes_finds_the_trap),
		TEST(widths_and_straddling_are_as_the_program_has_them),
		TEST(ends_of_regions_are_as_the_kernel_has_them),
		TEST(errors_of_the_device_are_errors),
		TEST(a_mirror_shows_what_the_program_has_written_to_config_space),
		TEST(an_untouched_region_is_read_in_one_call),
		TEST(a_given_rom_replaces_the_devices),
		TEST(a_moved_msix_table_is_in_a_bar_that_the_device_has_not),
		TEST(resets_reach_the_device_once),
		TEST(the_kernel_makes_no_write_past_a_trap),
		TEST(pages_that_were_given_are_mapped),
		TEST(a_program_that_ignores_the_areas_is_offered_no_mapping),
		TEST(a_device_may_be_given_without_mappings),
		TEST(mappings_are_followed_wherever_they_go),
		TEST(what_a_call_that_fails_leaves_mapped_is_remembered),
		TEST(a_trap_does_not_come_while_its_page_is_mapped),
		TEST(a_trap_that_comes_later_needs_pages_that_nobody_has_mapped),
	};

	return cmocka_run_group_tests(tests, kit_start, NULL);
}
