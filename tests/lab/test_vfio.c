/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vfio back with real vfio-pci and real devices; runs in the lab's L1 (see tests/lab/test-vfio).
 *
 *   test_vfio devices VGA EDU NVME   ati-vga, edu and nvme, each in a group of its own
 *   test_vfio pair EDU NVME          both in one group
 *   test_vfio small IVSHMEM          its BAR 0 has 256 bytes
 *   test_vfio refused SPEC TEXT...   the line that says why SPEC cannot be opened has each TEXT in it
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <linux/capability.h>
#include <cmocka.h>

#include <barkeep/device.h>

#include "../unit/areas.h"

static char vga_spec[64], edu_spec[64], nvme_spec[64];
static struct bk_device_context *context;
static struct bk_device *vga, *edu, *nvme;
static uint8_t *memory; /* 2 MiB of a memfd */
static int memory_fd;

#define MEMORY 0x200000u
#define IOVA   0x100000u

static struct bk_device *open_device(struct bk_device_context *in, const char *spec)
{
	struct bk_device *device;
	struct bk_error err = { "" };

	if (bk_device_open(in, spec, &device, &err))
		fail_msg("%s", err.text);
	return device;
}

static uint64_t get(struct bk_device *device, unsigned region, uint64_t offset, size_t count)
{
	uint64_t value = 0;

	assert_int_equal(bk_device_read(device, region, offset, &value, count), 0);
	return value;
}

static void put(struct bk_device *device, unsigned region, uint64_t offset, uint64_t value, size_t count)
{
	assert_int_equal(bk_device_write(device, region, offset, &value, count), 0);
}

static bool fired(int fd, int timeout)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	uint64_t value;

	return poll(&wait, 1, timeout) == 1 && read(fd, &value, sizeof(value)) == sizeof(value);
}

static int map(struct bk_device *device, uint64_t iova, void *vaddr, uint64_t size, struct bk_error *err)
{
	return bk_device_dma_map(device,
				 &(struct bk_device_dma){ .iova = iova,
							  .size = size,
							  .flags = BK_DEVICE_DMA_READ | BK_DEVICE_DMA_WRITE,
							  .vaddr = vaddr,
							  .fd = memory_fd },
				 err);
}

static void say(void *opaque, const char *key, const char *value)
{
	char *text = opaque;
	size_t length = strlen(text);

	snprintf(text + length, 2000 - length, "%s=%s;", key, value);
}

static int make_memory(void **state)
{
	memory_fd = memfd_create("guest", MFD_CLOEXEC);
	if (memory_fd < 0 || ftruncate(memory_fd, MEMORY))
		return -1;
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	context = bk_device_context_create();
	return memory == MAP_FAILED || !context ? -1 : 0;
}

/* ---- devices ------------------------------------------------------------ */

static int open_three(void **state)
{
	if (make_memory(state))
		return -1;
	vga = open_device(context, vga_spec);
	edu = open_device(context, edu_spec);
	nvme = open_device(context, nvme_spec);
	return 0;
}

static int close_three(void **state)
{
	bk_device_close(vga);
	bk_device_close(edu);
	bk_device_close(nvme);
	bk_device_context_destroy(context);
	return 0;
}

static void config_space(void **state)
{
	struct bk_device_region region = { 0 };

	assert_int_equal(get(vga, BK_DEVICE_CONFIG, 0, 4), 0x50461002);
	assert_int_equal(get(edu, BK_DEVICE_CONFIG, 0, 4), 0x11e81234);
	assert_int_equal(get(nvme, BK_DEVICE_CONFIG, 0, 2), 0x1b36);
	assert_int_equal(get(nvme, BK_DEVICE_CONFIG, 10, 2), 0x0108);
	assert_int_equal(get(edu, BK_DEVICE_CONFIG, 1, 1), 0x12);
	assert_int_equal(get(edu, BK_DEVICE_CONFIG, 1, 2), 0xe812);
	assert_int_equal(bk_device_region(nvme, BK_DEVICE_CONFIG, &region), 0);
	assert_int_equal(region.size, 4096);
	assert_int_equal(region.flags, BK_DEVICE_READ | BK_DEVICE_WRITE);
	assert_int_equal(region.fd, -1);
	assert_int_equal(bk_device_region(edu, BK_DEVICE_CONFIG, &region), 0);
	assert_int_equal(region.size, 256);
	assert_int_equal(bk_device_read(edu, BK_DEVICE_CONFIG, 254, (uint8_t[4]){ 0 }, 4), -EINVAL);
	assert_int_equal(bk_device_read(edu, 99, 0, (uint8_t[4]){ 0 }, 4), -EINVAL);
}

/* COMMAND.MEM and IO stay on and the function stays in D0, whatever is written; MASTER follows. */
static void command_and_power(void **state)
{
	unsigned at = (unsigned)get(nvme, BK_DEVICE_CONFIG, 0x34, 1);

	assert_int_equal(get(edu, BK_DEVICE_CONFIG, 4, 2) & 7, 3);
	assert_int_equal(get(nvme, BK_DEVICE_CONFIG, 4, 2) & 6, 2); /* no I/O BAR */
	put(edu, BK_DEVICE_CONFIG, 4, 4, 2);
	assert_int_equal(get(edu, BK_DEVICE_CONFIG, 4, 2) & 7, 7);
	put(edu, BK_DEVICE_CONFIG, 4, 0, 1);
	assert_int_equal(get(edu, BK_DEVICE_CONFIG, 4, 2) & 7, 3);
	while (at && get(nvme, BK_DEVICE_CONFIG, at, 1) != 1)
		at = (unsigned)get(nvme, BK_DEVICE_CONFIG, at + 1, 1);
	if (at) {
		put(nvme, BK_DEVICE_CONFIG, at + 4, 3, 2);
		assert_int_equal(get(nvme, BK_DEVICE_CONFIG, at + 4, 2) & 3, 0);
	}
	assert_int_not_equal(get(nvme, 0, 0, 8), UINT64_MAX);
}

static void registers_at_all_widths(void **state)
{
	uint64_t cap = get(nvme, 0, 0, 8);
	uint8_t odd[7], same[7] = { 0xcd, 0xab, 0x44, 0x33, 0x22, 0x11, 0x99 };

	assert_int_equal(get(edu, 0, 0, 4) & 0xff0000ff, 0x010000ed & 0xff0000ff);
	put(edu, 0, 4, 0x12345678, 4);
	assert_int_equal(get(edu, 0, 4, 4), 0xedcba987);
	assert_int_equal(cap, get(nvme, 0, 0, 4) | get(nvme, 0, 4, 4) << 32);
	assert_int_equal(get(nvme, 0, 2, 2), cap >> 16 & 0xffff);
	assert_int_equal(get(nvme, 0, 8, 4), 0x00010400); /* VS: 1.4 */
	/* Video memory takes every width, and any count. */
	put(vga, 0, 0x100, 0x1122334455667788, 8);
	assert_int_equal(get(vga, 0, 0x100, 8), 0x1122334455667788);
	assert_int_equal(get(vga, 0, 0x100, 4), 0x55667788);
	assert_int_equal(get(vga, 0, 0x106, 2), 0x1122);
	assert_int_equal(get(vga, 0, 0x103, 1), 0x55);
	put(vga, 0, 0x102, 0xabcd, 2);
	put(vga, 0, 0x108, 0x99, 1);
	assert_int_equal(get(vga, 0, 0x100, 8), 0x11223344abcd7788);
	put(vga, 0, 0x104, 0x11223344, 4);
	assert_int_equal(bk_device_read(vga, 0, 0x102, odd, sizeof(odd)), 0);
	same[2] = 0x44, same[3] = 0x33;
	assert_memory_equal(odd, same, sizeof(odd));
	/* The config mirror in the registers tells the same as config space. */
	assert_int_equal(get(vga, 2, 0xf00, 4), get(vga, BK_DEVICE_CONFIG, 0, 4));
	assert_int_equal(get(vga, 2, 0xf02, 2), get(vga, BK_DEVICE_CONFIG, 2, 2));
	assert_int_equal(get(vga, 2, 0xf01, 1), get(vga, BK_DEVICE_CONFIG, 1, 1));
}

static void ends_of_regions(void **state)
{
	struct bk_device_region region = { 0 };
	uint8_t data[16];

	assert_int_equal(bk_device_region(vga, 0, &region), 0);
	assert_int_equal(bk_device_read(vga, 0, region.size - 8, data, 8), 0);
	assert_int_equal(bk_device_read(vga, 0, region.size - 2, data, 2), 0);
	assert_int_equal(bk_device_read(vga, 0, region.size - 2, data, 4), -EINVAL);
	assert_int_equal(bk_device_read(vga, 0, region.size, data, 1), -EINVAL);
	assert_int_equal(bk_device_read(vga, 0, UINT64_MAX, data, 8), -EINVAL);
	assert_int_equal(bk_device_region(vga, BK_DEVICE_ROM, &region), 0);
	if (region.size) {
		assert_int_equal(bk_device_read(vga, BK_DEVICE_ROM, 0, data, 2), 0);
		assert_int_equal(data[0] | data[1] << 8, 0xaa55);
		assert_int_equal(bk_device_write(vga, BK_DEVICE_ROM, 0, data, 2), -EINVAL);
	}
	assert_int_equal(bk_device_region(vga, 1, &region), 0); /* I/O */
	assert_int_equal(region.flags, BK_DEVICE_READ | BK_DEVICE_WRITE);
	assert_int_equal(bk_device_region(vga, BK_DEVICE_VGA, &region), 0);
	assert_int_equal(region.size, 0);
}

static void areas_map(void **state)
{
	struct bk_device_region region = { 0 };
	struct areas areas;
	volatile uint32_t *page;
	struct bk_device_info info = { 0 };

	assert_int_equal(bk_device_info(nvme, &info), 0);
	assert_int_equal(info.flags, BK_DEVICE_CAN_RESET);
	assert_true(info.regions >= BK_DEVICE_REGIONS);
	assert_int_equal(info.irqs, BK_DEVICE_IRQS);
	/* The whole BAR, the page with the MSI-X table too: carving is for the layer above. */
	assert_int_equal(bk_device_region(nvme, 0, &region), 0);
	areas = areas_of(nvme, 0);
	assert_int_equal(region.flags, BK_DEVICE_READ | BK_DEVICE_WRITE | BK_DEVICE_MMAP);
	assert_int_equal(areas.count, 1);
	assert_int_equal(areas.at[0].offset, 0);
	assert_int_equal(areas.at[0].size, region.size);
	assert_int_equal(bk_device_region(vga, 0, &region), 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd,
		    (off_t)(region.fd_offset + areas.at[0].offset + 0x3000));
	assert_ptr_not_equal(page, MAP_FAILED);
	page[5] = 0xcafe1234;
	assert_int_equal(get(vga, 0, 0x3014, 4), 0xcafe1234);
	put(vga, 0, 0x3018, 0x5678, 4);
	assert_int_equal(page[6], 0x5678);
	munmap((void *)page, 4096);
}

static void intx_with_resample(void **state)
{
	int trigger = eventfd(0, EFD_NONBLOCK), resample = eventfd(0, EFD_NONBLOCK);
	struct bk_device_irq irq = { 0 };

	assert_int_equal(bk_device_irq(edu, BK_DEVICE_INTX, &irq), 0);
	assert_int_equal(irq.count, 1);
	assert_int_equal(irq.flags, BK_DEVICE_IRQ_MASKABLE | BK_DEVICE_IRQ_AUTOMASKED);
	assert_int_equal(bk_device_set_irqs(edu, BK_DEVICE_INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, &resample),
			 -EINVAL);
	assert_int_equal(bk_device_set_irqs(edu, BK_DEVICE_INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1, &trigger), 0);
	assert_int_equal(bk_device_set_irqs(edu, BK_DEVICE_INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, &resample), 0);
	/* One at a time. */
	assert_int_equal(bk_device_set_irqs(edu, BK_DEVICE_MSI, BK_DEVICE_IRQ_TRIGGER, 0, 1, &trigger),
			 -EBUSY);
	for (unsigned round = 0; round < 3; round++) {
		put(edu, 0, 0x60, 1, 4);
		assert_true(fired(trigger, 1000));
		assert_false(fired(trigger, 20)); /* masked itself */
		eventfd_write(resample, 1);
		assert_true(fired(trigger, 1000)); /* the line is still up */
		put(edu, 0, 0x64, 1, 4);
		eventfd_write(resample, 1);
		assert_false(fired(trigger, 50));
	}
	/* Masked by hand, then unmasked by hand. */
	assert_int_equal(bk_device_set_irqs(edu, BK_DEVICE_INTX, BK_DEVICE_IRQ_MASK, 0, 1, NULL), 0);
	put(edu, 0, 0x60, 1, 4);
	assert_false(fired(trigger, 50));
	assert_int_equal(bk_device_set_irqs(edu, BK_DEVICE_INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, NULL), 0);
	assert_true(fired(trigger, 1000));
	put(edu, 0, 0x64, 1, 4);
	assert_int_equal(bk_device_set_irqs(edu, BK_DEVICE_INTX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL), 0);
	assert_int_equal(bk_device_set_irqs(edu, BK_DEVICE_INTX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL), 0);
	/* Off: now MSI may come on, and goes off again. */
	assert_int_equal(bk_device_set_irqs(edu, BK_DEVICE_MSI, BK_DEVICE_IRQ_TRIGGER, 0, 1, &trigger), 0);
	assert_int_equal(bk_device_set_irqs(edu, BK_DEVICE_MSI, BK_DEVICE_IRQ_MASK, 0, 1, NULL), -EOPNOTSUPP);
	put(edu, BK_DEVICE_CONFIG, 4, 4, 2);
	put(edu, 0, 0x60, 1, 4);
	assert_true(fired(trigger, 1000));
	put(edu, 0, 0x64, 1, 4);
	put(edu, BK_DEVICE_CONFIG, 4, 0, 2);
	assert_int_equal(bk_device_set_irqs(edu, BK_DEVICE_MSI, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL), 0);
	close(trigger);
	close(resample);
}

static void dma_round_trip(void **state)
{
	struct bk_error err = { "" };

	/* Both devices ask for the same memory; the container has it once. */
	if (map(nvme, IOVA, memory, MEMORY, &err) || map(edu, IOVA, memory, MEMORY, &err))
		fail_msg("%s", err.text);
	assert_int_equal(map(edu, IOVA, memory, MEMORY, &err), -EEXIST);
	assert_int_equal(map(vga, IOVA + 0x1000, memory, 0x1000, &err), -EEXIST);
	assert_non_null(strstr(err.text, "0x101000, 0x1000 bytes overlaps"));
	assert_int_equal(map(vga, IOVA, memory + 0x1000, MEMORY, &err), -EEXIST);
	assert_int_equal(bk_device_dma_unmap(vga, IOVA, MEMORY), -ENOENT);
	assert_int_equal(bk_device_dma_unmap(edu, IOVA, 0x1000), -ENOENT);
	assert_int_equal(bk_device_dma_unmap(nvme, IOVA, MEMORY), 0); /* edu still has it */
	strcpy((char *)memory + 0x5000, "through the device and back");
	put(edu, BK_DEVICE_CONFIG, 4, 4, 2);
	put(edu, 0, 0x80, IOVA + 0x5000, 8);
	put(edu, 0, 0x88, 0x40000, 8);
	put(edu, 0, 0x90, 64, 8);
	put(edu, 0, 0x98, 1, 8); /* into the device */
	for (unsigned i = 0; get(edu, 0, 0x98, 8) & 1; i++) {
		assert_true(i < 1000);
		usleep(1000);
	}
	put(edu, 0, 0x80, 0x40000, 8);
	put(edu, 0, 0x88, IOVA + 0x6000, 8);
	put(edu, 0, 0x98, 3, 8); /* and out */
	for (unsigned i = 0; get(edu, 0, 0x98, 8) & 1; i++) {
		assert_true(i < 1000);
		usleep(1000);
	}
	assert_string_equal((char *)memory + 0x6000, "through the device and back");
	put(edu, BK_DEVICE_CONFIG, 4, 0, 2);
	assert_int_equal(bk_device_dma_unmap(edu, IOVA, MEMORY), 0);
	assert_int_equal(bk_device_dma_unmap(edu, IOVA, MEMORY), -ENOENT);
	/* Nothing is left: another memory may be there. */
	if (map(vga, IOVA, memory + 0x1000, 0x1000, &err))
		fail_msg("%s", err.text);
	assert_int_equal(bk_device_dma_unmap(vga, IOVA, 0x1000), 0);
}

static void maps_that_cannot_be(void **state)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct all[2], few[2];
	struct rlimit limit, small = { 0x100000, 0x100000 };
	struct bk_error err = { "" };

	assert_int_equal(map(edu, 0xfee00000, memory, 0x1000, &err), -EINVAL);
	print_message("%s\n", err.text);
	assert_non_null(
		strstr(err.text, "0xfee00000-0xfee00fff is not in what the host's IOMMU can map (0x0-"));
	assert_int_equal(map(edu, UINT64_MAX - 0xfff, memory, 0x1000, &err), -EINVAL);
	assert_int_equal(map(edu, UINT64_MAX - 0xfff, memory, 0x2000, &err), -EINVAL);
	assert_int_equal(map(edu, 0x800, memory, 0x1000, &err), -EINVAL);
	print_message("%s\n", err.text);
	assert_non_null(strstr(err.text, "must be multiples of 0x1000"));
	assert_int_equal(map(edu, 0, memory, 0, &err), -EINVAL);

	/* The limit on locked memory holds for whom lacks CAP_IPC_LOCK. */
	assert_int_equal(syscall(SYS_capget, &header, all), 0);
	memcpy(few, all, sizeof(few));
	few[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
	getrlimit(RLIMIT_MEMLOCK, &limit);
	small.rlim_max = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &small), 0);
	assert_int_equal(syscall(SYS_capset, &header, few), 0);
	assert_int_equal(map(edu, 0, memory, 0x80000, &err), 0);
	assert_int_equal(map(edu, IOVA, memory, MEMORY, &err), -ENOMEM);
	print_message("%s\n", err.text);
	assert_non_null(strstr(err.text, "needs 2621440 bytes of locked memory, the limit allows 1048576; "));
	assert_int_equal(bk_device_dma_unmap(edu, IOVA, MEMORY), -ENOENT);
	assert_int_equal(bk_device_dma_unmap(edu, 0, 0x80000), 0);
	assert_int_equal(syscall(SYS_capset, &header, all), 0);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

/* NVMe 1.4: 3.1 registers, 5.15 Identify. Leaves the controller on. */
static void identify(int vector0)
{
	uint32_t *submit = (uint32_t *)memory;
	volatile uint16_t *complete = (uint16_t *)(memory + 0x1000);

	memset(memory, 0, 0x3000);
	submit[0] = 6; /* Identify */
	submit[1] = 0;
	submit[6] = IOVA + 0x2000; /* PRP1 */
	submit[10] = 1;            /* controller */
	put(nvme, BK_DEVICE_CONFIG, 4, 4, 2);
	put(nvme, 0, 0x24, 0x000f000f, 4);
	put(nvme, 0, 0x28, IOVA, 8);
	put(nvme, 0, 0x30, IOVA + 0x1000, 8);
	put(nvme, 0, 0x14, 0x00460001, 4);
	for (unsigned i = 0; !(get(nvme, 0, 0x1c, 4) & 1); i++) {
		assert_true(i < 1000);
		usleep(1000);
	}
	put(nvme, 0, 0x1000, 1, 4); /* submission doorbell */
	assert_true(fired(vector0, 2000));
	assert_int_equal(complete[7], 1); /* phase, no error */
	put(nvme, 0, 0x1004, 1, 4);
	assert_memory_equal(memory + 0x2000 + 4, "lab", 3); /* serial number */
}

static void msix_vector_by_vector_and_reset(void **state)
{
	struct bk_device_irq irq = { 0 };
	struct bk_error err = { "" };
	int fds[4], none = -1;

	assert_int_equal(bk_device_irq(nvme, BK_DEVICE_MSIX, &irq), 0);
	assert_true(irq.count > 4);
	for (unsigned i = 0; i < 4; i++) {
		fds[i] = eventfd(0, EFD_NONBLOCK);
		assert_int_equal(
			bk_device_set_irqs(nvme, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 3 - i, 1, &fds[i]),
			0);
	}
	assert_int_equal(
		bk_device_set_irqs(nvme, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, irq.count - 1, 1, fds), 0);
	assert_int_equal(bk_device_set_irqs(nvme, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, irq.count, 1, fds),
			 -EINVAL);
	assert_int_equal(bk_device_set_irqs(nvme, BK_DEVICE_INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1, fds), -EBUSY);
	/* This kernel had to turn them off and on for the last one: those that were there fired once. */
	for (unsigned i = 0; irq.flags & BK_DEVICE_IRQ_NORESIZE && i < 4; i++)
		assert_true(fired(fds[i], 1000));
	/* One vector at a time, and only that one. */
	assert_int_equal(bk_device_set_irqs(nvme, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 2, 1, NULL), 0);
	assert_true(fired(fds[1], 1000));
	assert_false(fired(fds[0], 0) || fired(fds[2], 0) || fired(fds[3], 0));
	assert_int_equal(bk_device_set_irqs(nvme, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 2, 1, &none), 0);

	/* The device itself: an admin command over mapped memory, answered on vector 0. */
	if (map(nvme, IOVA, memory, MEMORY, &err))
		fail_msg("%s", err.text);
	identify(fds[3]);

	assert_int_equal(get(nvme, 0, 0x14, 4), 0x00460001);
	assert_int_equal(bk_device_reset(nvme), 0);
	assert_int_equal(get(nvme, 0, 0x14, 4), 0);
	assert_int_equal(get(nvme, 0, 0x1c, 4) & 1, 0);
	assert_int_equal(get(nvme, BK_DEVICE_CONFIG, 4, 2) & 6, 2);
	identify(fds[3]); /* the vectors are still set */
	assert_int_equal(bk_device_set_irqs(nvme, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL), 0);

	/* Closed while it runs, interrupts on, memory mapped; opened again, it is as new. */
	assert_int_equal(bk_device_set_irqs(nvme, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 1, &fds[3]), 0);
	bk_device_close(nvme);
	nvme = open_device(context, nvme_spec);
	assert_int_equal(get(nvme, 0, 0x14, 4), 0);
	assert_int_equal(get(nvme, BK_DEVICE_CONFIG, 4, 2) & 6, 2);
	if (map(nvme, IOVA, memory + 0x1000, 0x1000, &err))
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < 4; i++)
		close(fds[i]);
}

static void error_and_request(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct bk_device_irq irq = { 0 };

	assert_int_equal(bk_device_irq(nvme, BK_DEVICE_ERR, &irq), 0);
	assert_int_equal(irq.count, 1);
	assert_int_equal(bk_device_irq(edu, BK_DEVICE_ERR, &irq), 0);
	assert_int_equal(irq.count, 0); /* not PCI Express */
	assert_int_equal(bk_device_irq(edu, BK_DEVICE_IRQS, &irq), -EINVAL);
	assert_int_equal(bk_device_set_irqs(edu, BK_DEVICE_ERR, BK_DEVICE_IRQ_TRIGGER, 0, 1, &fd), -EINVAL);
	for (unsigned index = BK_DEVICE_ERR; index <= BK_DEVICE_REQ; index++) {
		assert_int_equal(bk_device_set_irqs(nvme, index, BK_DEVICE_IRQ_TRIGGER, 0, 1, &fd), 0);
		assert_int_equal(bk_device_set_irqs(nvme, index, BK_DEVICE_IRQ_TRIGGER, 0, 1, NULL), 0);
		assert_true(fired(fd, 1000));
		assert_int_equal(bk_device_set_irqs(nvme, index, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL), 0);
		assert_int_equal(bk_device_set_irqs(nvme, index, BK_DEVICE_IRQ_TRIGGER, 0, 1, NULL), -EINVAL);
		assert_false(fired(fd, 20));
	}
	close(fd);
}

static void facts(void **state)
{
	char text[2000] = "";

	bk_device_describe(nvme, say, text);
	print_message("%s\n", text);
	assert_non_null(strstr(text, "driver=vfio-pci;iommu group="));
	assert_non_null(strstr(text, "reset=function;"));
	assert_non_null(strstr(text, "link="));
	assert_null(strstr(text, "group member"));
	assert_int_equal(bk_device_context_groups(context, NULL, 0), 3);
}

static void a_group_in_use(void **state)
{
	struct bk_device_context *other = bk_device_context_create();
	struct bk_device *device;
	struct bk_error err = { "" };

	assert_int_equal(bk_device_open(other, edu_spec, &device, &err), -EBUSY);
	print_message("%s\n", err.text);
	assert_non_null(strstr(err.text, " is in use; stop the program that has /dev/vfio/"));
	bk_device_context_destroy(other);
}

/* ---- pair --------------------------------------------------------------- */

static void two_devices_share_their_group(void **state)
{
	struct bk_device_info info = { 0 };
	struct bk_error err = { "" };
	char text[2000] = "";
	int groups[2] = { -1, -1 };

	edu = open_device(context, edu_spec);
	nvme = open_device(context, nvme_spec);
	assert_int_equal(bk_device_context_groups(context, groups, 2), 1);
	assert_true(groups[0] >= 0);
	assert_int_equal(groups[1], -1);
	bk_device_describe(edu, say, text);
	print_message("%s\n", text);
	assert_non_null(strstr(text, "group member="));
	if (map(nvme, IOVA, memory, MEMORY, &err) || map(edu, IOVA, memory, MEMORY, &err))
		fail_msg("%s", err.text);

	/* edu has no reset of its own; the bus has, and all on it is ours. */
	assert_non_null(strstr(text, "reset=bus;"));
	assert_int_equal(bk_device_info(edu, &info), 0);
	assert_int_equal(info.flags, BK_DEVICE_CAN_RESET);
	put(nvme, 0, 0x14, 0x00460000, 4);
	assert_int_equal(get(nvme, 0, 0x14, 4), 0x00460000);
	assert_int_equal(bk_device_reset(edu), 0);
	assert_int_equal(get(nvme, 0, 0x14, 4), 0);
	assert_int_equal(get(edu, BK_DEVICE_CONFIG, 4, 2) & 7, 3);

	/* Closing edu spares nvme, and leaves it its group and its map. */
	put(nvme, 0, 0x14, 0x00460000, 4);
	bk_device_close(edu);
	assert_int_equal(get(nvme, 0, 0x14, 4), 0x00460000);
	assert_int_equal(bk_device_dma_unmap(nvme, IOVA, MEMORY), 0);
	edu = open_device(context, edu_spec);
	assert_int_equal(bk_device_context_groups(context, NULL, 0), 1);
	bk_device_close(nvme);
	put(edu, 0, 4, 1, 4);
	assert_int_equal(get(edu, 0, 4, 4), 0xfffffffe);
	bk_device_close(edu);
	assert_int_equal(bk_device_context_groups(context, NULL, 0), 0);
}

/* ---- small -------------------------------------------------------------- */

static void a_bar_below_a_page_maps_whole(void **state)
{
	struct bk_device *small = open_device(context, edu_spec);
	struct bk_device_region region = { 0 };
	struct areas areas;

	assert_int_equal(get(small, BK_DEVICE_CONFIG, 0, 4), 0x11101af4);
	assert_int_equal(bk_device_region(small, 0, &region), 0);
	areas = areas_of(small, 0);
	assert_int_equal(region.size, 256);
	assert_int_equal(region.flags, BK_DEVICE_READ | BK_DEVICE_WRITE | BK_DEVICE_MMAP);
	assert_int_equal(areas.count, 1);
	assert_int_equal(areas.at[0].size, 256);
	put(small, 0, 0, 0x1234, 4); /* the interrupt mask */
	assert_int_equal(get(small, 0, 0, 4), 0x1234);
	assert_int_equal(get(small, 0, 0, 8), 0x1234);
	assert_int_equal(bk_device_read(small, 0, 252, &region, 8), -EINVAL);
	bk_device_close(small);
}

/* On a host without interrupt remapping, which has one message for each device. */
static void a_host_with_one_message_gives_one(void **state)
{
	struct bk_device_context *here = bk_device_context_create();
	struct bk_device *device = open_device(here, edu_spec);
	struct bk_device_irq irq = { 0 };
	int fds[16];

	assert_int_equal(bk_device_irq(device, BK_DEVICE_MSI, &irq), 0);
	assert_int_equal(irq.count, 16);
	for (unsigned i = 0; i < 16; i++)
		fds[i] = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_MSI, BK_DEVICE_IRQ_TRIGGER, 0, 1, fds), 0);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_MSI, BK_DEVICE_IRQ_TRIGGER, 0, 1, NULL), 0);
	assert_true(fired(fds[0], 1000));
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_MSI, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL), 0);

	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_MSI, BK_DEVICE_IRQ_TRIGGER, 0, 16, fds),
			 -ENOSPC);
	assert_int_equal(bk_device_set_irqs(device, BK_DEVICE_MSI, BK_DEVICE_IRQ_TRIGGER, 0, 16, NULL), 0);
	assert_true(fired(fds[0], 1000));
	for (unsigned i = 0; i < 16; i++) {
		assert_false(fired(fds[i], 0));
		close(fds[i]);
	}
	bk_device_close(device);
	bk_device_context_destroy(here);
}

/* ------------------------------------------------------------------------- */

static void keep_log(void *opaque, enum bk_log_level level, const char *line)
{
	fprintf(stderr, "log %d: %s\n", level, line);
}

static int refused(int count, char **texts)
{
	struct bk_device_context *here = bk_device_context_create();
	struct bk_device *device;
	struct bk_error err = { "" };
	bool good = bk_device_open(here, texts[0], &device, &err) < 0;

	for (int i = 1; i < count; i++)
		good = good && strstr(err.text, texts[i]);
	printf("%s - refused: %s\n", good ? "ok" : "not ok", err.text);
	bk_device_context_destroy(here);
	return !good;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest devices[] = {
		cmocka_unit_test(config_space),
		cmocka_unit_test(command_and_power),
		cmocka_unit_test(registers_at_all_widths),
		cmocka_unit_test(ends_of_regions),
		cmocka_unit_test(areas_map),
		cmocka_unit_test(intx_with_resample),
		cmocka_unit_test(dma_round_trip),
		cmocka_unit_test(maps_that_cannot_be),
		cmocka_unit_test(msix_vector_by_vector_and_reset),
		cmocka_unit_test(error_and_request),
		cmocka_unit_test(facts),
		cmocka_unit_test(a_group_in_use),
	};
	const struct CMUnitTest pair[] = {
		cmocka_unit_test(two_devices_share_their_group),
	};

	const struct CMUnitTest small[] = {
		cmocka_unit_test(a_bar_below_a_page_maps_whole),
	};

	const struct CMUnitTest message[] = {
		cmocka_unit_test(a_host_with_one_message_gives_one),
	};

	bk_log_set(keep_log, NULL);
	if (argc == 5 && !strcmp(argv[1], "devices")) {
		snprintf(vga_spec, sizeof(vga_spec), "vfio:%s", argv[2]);
		snprintf(edu_spec, sizeof(edu_spec), "vfio:%s", argv[3]);
		snprintf(nvme_spec, sizeof(nvme_spec), "vfio:%s", argv[4]);
		return cmocka_run_group_tests(devices, open_three, close_three);
	}
	if (argc == 4 && !strcmp(argv[1], "pair")) {
		snprintf(edu_spec, sizeof(edu_spec), "vfio:%s", argv[2]);
		snprintf(nvme_spec, sizeof(nvme_spec), "vfio:%s", argv[3]);
		return cmocka_run_group_tests(pair, make_memory, NULL);
	}
	if (argc == 3 && !strcmp(argv[1], "small")) {
		snprintf(edu_spec, sizeof(edu_spec), "vfio:%s", argv[2]);
		return cmocka_run_group_tests(small, make_memory, NULL);
	}
	if (argc == 3 && !strcmp(argv[1], "message")) {
		snprintf(edu_spec, sizeof(edu_spec), "vfio:%s", argv[2]);
		return cmocka_run_group_tests(message, NULL, NULL);
	}
	if (argc >= 3 && !strcmp(argv[1], "refused"))
		return refused(argc - 2, argv + 2);
	fprintf(stderr,
		"usage: test_vfio devices VGA EDU NVME | pair EDU NVME | small IVSHMEM | message XHCI | "
		"refused SPEC TEXT...\n");
	return 2;
}
