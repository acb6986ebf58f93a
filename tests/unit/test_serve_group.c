/* SPDX-License-Identifier: BSD-2-Clause */
/* Two served functions of one IOMMU group: one container, one memory, two clients. The kernel is the test. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vfio.h>
#include <cmocka.h>

#include "device/apart.h"
#include "device/vfio.h"
#include "host_kit.h"
#include "serve_client.h"
#include "vfio_kernel.h"

#define FOREVER 100000 /* seconds */

/* ---- The kernel -------------------------------------------------------- */

static struct {
	int fds[2]; /* of devices */
	unsigned opened, containers;
	atomic_uint hot_resets;
	struct vfio_iommu_type1_dma_map maps[8];
	unsigned count;
	bool keeps; /* what it has mapped */
} kernel;

static pthread_mutex_t maps_lock = PTHREAD_MUTEX_INITIALIZER;

static int dma_map(const struct vfio_iommu_type1_dma_map *map)
{
	for (unsigned i = 0; i < kernel.count; i++)
		if (map->iova < kernel.maps[i].iova + kernel.maps[i].size &&
		    kernel.maps[i].iova < map->iova + map->size)
			return refuse(EEXIST);
	assert_true(kernel.count < 8);
	kernel.maps[kernel.count++] = *map;
	return 0;
}

static int dma_unmap(const struct vfio_iommu_type1_dma_unmap *unmap)
{
	for (unsigned i = 0; i < kernel.count; i++) {
		if (kernel.maps[i].iova != unmap->iova || kernel.maps[i].size != unmap->size)
			continue;
		if (kernel.keeps)
			return refuse(EBUSY);
		kernel.maps[i] = kernel.maps[--kernel.count];
		return 0;
	}
	return refuse(EINVAL);
}

static int region_info(struct vfio_region_info *info)
{
	info->size = info->index == BK_DEVICE_CONFIG ? 256 : 0;
	info->flags = info->size ? VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE : 0;
	info->offset = 0;
	return 0;
}

/* How many maps there are; `first` gets one. */
static unsigned mapped_as(struct vfio_iommu_type1_dma_map *first)
{
	unsigned count;

	pthread_mutex_lock(&maps_lock);
	count = kernel.count;
	*first = kernel.maps[0];
	pthread_mutex_unlock(&maps_lock);
	return count;
}

static void keep_maps(bool keep)
{
	pthread_mutex_lock(&maps_lock);
	kernel.keeps = keep;
	pthread_mutex_unlock(&maps_lock);
}

static unsigned mapped(void)
{
	struct vfio_iommu_type1_dma_map first;

	return mapped_as(&first);
}

static int device_fd(void)
{
	const int fd = memfd_create("device", MFD_CLOEXEC);

	assert_true(fd >= 0 && kernel.opened < 2);
	assert_int_equal(ftruncate(fd, 4096), 0);
	kernel.fds[kernel.opened++] = fd;
	return fd;
}

/* The same numbers mean something else to a container. */
static int device_ioctl(unsigned long number, void *arg)
{
	switch (number) {
	case VFIO_DEVICE_GET_INFO:
		*(struct vfio_device_info *)arg =
			(struct vfio_device_info){ .argsz = sizeof(struct vfio_device_info),
						   .flags = VFIO_DEVICE_FLAGS_PCI,
						   .num_regions = 9 };
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		return region_info(arg);
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return tell_reach(arg, 7, 7);
	case VFIO_DEVICE_PCI_HOT_RESET:
		atomic_fetch_add(&kernel.hot_resets, 1);
		return 0;
	default:
		return 0;
	}
}

int __wrap_ioctl(int fd, unsigned long number, void *arg);
int __wrap_ioctl(int fd, unsigned long number, void *arg)
{
	int ret;

	for (unsigned i = 0; i < kernel.opened; i++)
		if (fd == kernel.fds[i])
			return device_ioctl(number, arg);
	switch (number) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return 1;
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)arg)->flags = VFIO_GROUP_FLAGS_VIABLE;
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		return kernel.containers++ ? refuse(EBUSY) : 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		return device_fd();
	case VFIO_IOMMU_GET_INFO:
		return refuse(ENOTTY);
	case VFIO_IOMMU_MAP_DMA:
		pthread_mutex_lock(&maps_lock);
		ret = dma_map(arg);
		pthread_mutex_unlock(&maps_lock);
		return ret;
	case VFIO_IOMMU_UNMAP_DMA:
		pthread_mutex_lock(&maps_lock);
		ret = dma_unmap(arg);
		pthread_mutex_unlock(&maps_lock);
		return ret;
	default:
		return 0;
	}
}

/* Whose process connects. */
static atomic_uint user;

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	(void)fd, (void)size;
	assert_true(level == SOL_SOCKET && name == SO_PEERCRED);
	((struct ucred *)value)->uid = atomic_load(&user);
	return 0;
}

/* ---- The two functions ------------------------------------------------- */

struct pair {
	struct host *host;
	struct bk_device *devices[2];
	struct bk__serve_group *group;
	struct served served[2];
	int memory;
};

/* `seconds` as bk__device_context_apart has it. */
static struct pair *made(struct host *host, unsigned seconds)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	struct bk_error err;

	memset(&kernel, 0, sizeof(kernel));
	atomic_store(&user, 1000);
	pair->host = host;
	pair->memory = memory_file(0x10000);
	pair->group = bk__serve_group_create();
	bk__device_context_apart(host->context, seconds);
	for (unsigned i = 0; i < 2; i++) {
		char spec[32];

		snprintf(spec, sizeof(spec), "vfio:01:00.%u", i);
		assert_int_equal(bk__device_context_group(host->context, spec), 7);
		assert_int_equal(bk_device_open(host->context, spec, &pair->devices[i], &err), 0);
		served_create(&pair->served[i]);
		pair->served[i].config.device = pair->devices[i];
		pair->served[i].config.group = pair->group;
		served_start(&pair->served[i]);
		client_start(&pair->served[i]);
	}
	return pair;
}

static void unmade(struct pair *pair)
{
	for (unsigned i = 0; i < 2; i++)
		served_end(&pair->served[i]);
	assert_int_equal(mapped(), 0);
	for (unsigned i = 0; i < 2; i++)
		bk_device_close(pair->devices[i]);
	bk__serve_group_destroy(pair->group);
	close(pair->memory);
	free(pair);
}

static int setup(void **state)
{
	struct host *host;

	host_begin(state);
	host = *state;
	run("mkdir -p %s && touch %s/vfio %s/7", host->dev, host->dev, host->dev);
	for (unsigned i = 0; i < 2; i++)
		run("mkdir -p %s/bus/pci/devices/0000:01:00.%u && cd %s/bus/pci/devices/0000:01:00.%u && "
		    "ln -s ../drivers/vfio-pci driver && ln -s ../groups/7 iommu_group",
		    host->sysfs, i, host->sysfs, i);
	return 0;
}

static void say_map(struct served *served, uint64_t address, uint64_t size, uint64_t offset, int fd)
{
	const struct bk__wire_dma_map map = { sizeof(map), 3, offset, address, size };

	client_say(served, BK__WIRE_DMA_MAP, 0, &map, sizeof(map), NULL, 0, &fd, 1);
}

static int answer(struct served *served)
{
	assert_int_equal(client_hear(served), 0);
	return -(int)served->reply.header.error;
}

static bool in_use(const struct pair *pair, unsigned i)
{
	return atomic_load(&((struct bk__device_vfio *)pair->devices[i])->in_use);
}

/* ---- Tests ------------------------------------------------------------- */

static void one_memory_is_mapped_once(void **state)
{
	struct pair *pair = made(*state, FOREVER);
	struct served *a = &pair->served[0], *b = &pair->served[1];
	struct vfio_iommu_type1_dma_map map;

	assert_int_equal(kernel.containers, 1);
	assert_int_equal(pwrite(pair->memory, "of the guest", 12, 0x2000), 12);
	assert_int_equal(client_map(a, 0x10000, 0x4000, 0x2000, pair->memory), 0);
	assert_int_equal(client_map(b, 0x10000, 0x4000, 0x2000, pair->memory), 0);
	assert_int_equal(client_map(b, 0x20000, 0x1000, 0, pair->memory), 0);
	assert_int_equal(mapped(), 2);
	/* It stays while one of them has it, and is the same memory. */
	client_close(a);
	assert_int_equal(mapped_as(&map), 2);
	assert_memory_equal((const void *)(uintptr_t)map.vaddr, "of the guest", 12);
	assert_int_equal(client_unmap(b, 0x10000, 0x4000, 0), 0);
	assert_int_equal(mapped_as(&map), 1);
	assert_int_equal(map.iova, 0x20000);
	client_close(b);
	assert_int_equal(mapped(), 0);
	unmade(pair);
}

/* It can be asked again. */
static void the_kernel_keeps_a_map(void **state)
{
	struct pair *pair = made(*state, 1);
	struct served *a = &pair->served[0], *b = &pair->served[1];

	assert_int_equal(client_map(a, 0x10000, 0x4000, 0, pair->memory), 0);
	assert_int_equal(client_map(b, 0x10000, 0x4000, 0, pair->memory), 0);
	keep_maps(true);
	assert_int_equal(client_unmap(a, 0x10000, 0x4000, 0), 0); /* b has it */
	assert_int_equal(client_unmap(b, 0x10000, 0x4000, 0), -EBUSY);
	assert_int_equal(client_map(b, 0x10000, 0x1000, 0, pair->memory), -EEXIST);
	assert_int_equal(client_map(a, 0x10000, 0x1000, 0, pair->memory), -EEXIST);
	client_close(b);
	assert_int_equal(mapped(), 1);
	keep_maps(false);
	client_start(b);
	assert_int_equal(mapped(), 0);
	assert_int_equal(client_map(b, 0x10000, 0x1000, 0, pair->memory), 0);
	unmade(pair);
}

static void another_memory_at_the_same_place_is_refused(void **state)
{
	struct pair *pair = made(*state, 1);
	struct served *a = &pair->served[0], *b = &pair->served[1];
	const int other = memory_file(0x10000);

	assert_int_equal(client_map(a, 0x10000, 0x4000, 0, pair->memory), 0);
	assert_int_equal(client_map(b, 0x10000, 0x4000, 0, other), -EEXIST);
	assert_int_equal(client_map(b, 0x10000, 0x4000, 0x1000, pair->memory), -EEXIST);
	assert_int_equal(client_map(b, 0x12000, 0x1000, 0x2000, pair->memory), -EEXIST);
	assert_int_equal(client_map(b, 0x14000, 0x1000, 0, other), 0);
	assert_int_equal(mapped(), 2);
	unmade(pair);
	close(other);
}

/* The guest's memory changes: one client has heard of it, and the other will. */
static void a_map_waits_for_the_other_client_to_follow(void **state)
{
	struct pair *pair = made(*state, FOREVER);
	struct served *a = &pair->served[0], *b = &pair->served[1];

	assert_int_equal(client_map(a, 0x10000, 0x4000, 0, pair->memory), 0);
	say_map(b, 0x10000, 0x2000, 0, pair->memory);
	while (!in_use(pair, 1))
		sched_yield();
	/* What has nothing to do with it goes on meanwhile. */
	assert_int_equal(client_map(a, 0x20000, 0x1000, 0x8000, pair->memory), 0);
	assert_int_equal(client_unmap(a, 0x10000, 0x4000, 0), 0);
	assert_int_equal(answer(b), 0);
	assert_int_equal(client_map(a, 0x10000, 0x2000, 0, pair->memory), 0);
	assert_int_equal(mapped(), 2);
	/* And so it is if the other client goes. */
	say_map(b, 0x20000, 0x2000, 0x8000, pair->memory);
	client_close(a);
	assert_int_equal(answer(b), 0);
	assert_int_equal(mapped(), 2);
	unmade(pair);
}

static void clients_of_two_users_do_not_share_memory(void **state)
{
	struct pair *pair = made(*state, FOREVER);
	struct served *a = &pair->served[0], *b = &pair->served[1];

	client_close(b);
	atomic_store(&user, 1001);
	client_connect(b);
	assert_true(client_hear(b) < 0);
	client_close(b);
	client_close(a);
	client_start(b);
	atomic_store(&user, 1000);
	client_connect(a);
	assert_true(client_hear(a) < 0);
	client_close(a);
	client_close(b);
	client_start(a);
	unmade(pair);
}

/* Neither function can be reset alone, and both are on one bus. */
static void a_reset_spares_the_other_client(void **state)
{
	struct pair *pair = made(*state, FOREVER);
	struct served *a = &pair->served[0], *b = &pair->served[1];

	assert_int_equal(client_map(a, 0x10000, 0x4000, 0, pair->memory), 0);
	assert_int_equal(client_ask(b, BK__WIRE_RESET, NULL, 0, NULL, 0), 0);
	assert_int_equal(atomic_load(&kernel.hot_resets), 0);
	assert_int_equal(client_ask(a, BK__WIRE_RESET, NULL, 0, NULL, 0), 0);
	assert_int_equal(atomic_load(&kernel.hot_resets), 1);
	assert_int_equal(client_map(b, 0x10000, 0x4000, 0, pair->memory), 0);
	client_close(a);
	assert_int_equal(atomic_load(&kernel.hot_resets), 1);
	/* The last one's end resets both. */
	client_close(b);
	assert_int_equal(atomic_load(&kernel.hot_resets), 2);
	unmade(pair);
}

static void a_device_of_no_group(void **state)
{
	struct host *host = *state;

	assert_int_equal(bk__device_context_group(host->context, "vfio:01:00.2"), -1);
	assert_int_equal(bk__device_context_group(host->context, "vfio:nothing"), -1);
	assert_int_equal(bk__device_context_group(host->context, "sim:01:00.0"), -1);
	assert_int_equal(bk__device_context_group(host->context, "vfio:01:00.0,vf_token=x"), 7);
}

#define HOST(test) cmocka_unit_test_setup_teardown(test, setup, host_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOST(one_memory_is_mapped_once),
		HOST(the_kernel_keeps_a_map),
		HOST(another_memory_at_the_same_place_is_refused),
		HOST(a_map_waits_for_the_other_client_to_follow),
		HOST(clients_of_two_users_do_not_share_memory),
		HOST(a_reset_spares_the_other_client),
		HOST(a_device_of_no_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
