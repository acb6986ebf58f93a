/* SPDX-License-Identifier: BSD-2-Clause */
/* A program with the wrap library in it and a made-up VFIO below. After cmocka.h. */
#ifndef BARKEEP_TEST_WRAP_KIT_H
#define BARKEEP_TEST_WRAP_KIT_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <barkeep/mediate.h>

#include "fake_vfio.h"
#include "wrap/opened.h"
#include "wrap/kvm.h"
#include "wrap/maps.h"
#include "wrap/real.h"
#include "wrap/calls.h"
#include "wrap/wrap.h"

/* What the next device that is opened gets, and what became of it. */
struct kit {
	const char *traps[8]; /* as users write them; NULL ends them */
	struct bk_mediator_options options;
	unsigned regions, unmapped;
	int refuse; /* errno of mediating, or 0 */
	struct bk_mediator *last;
	unsigned opened, closed;
	char name[64];   /* that the last one was opened by */
	char line[1200]; /* that was logged last */
	unsigned lines;
};
static struct kit kit;

static inline int kit_mediate(const char *name, struct bk_device *below, struct bk_domain *domain,
			      struct bk__wrap_opened *opened, struct bk_error *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* several threads may open devices */
	struct bk_mediator_options options = kit.options;
	struct bk_mediator *mediate;
	int error;

	pthread_mutex_lock(&lock);
	snprintf(kit.name, sizeof(kit.name), "%s", name);
	pthread_mutex_unlock(&lock);
	options.filter = true;
	if (kit.refuse) {
		bk_device_close(below);
		return bk_fail(err, kit.refuse, "refused by the test");
	}
	error = bk_mediator_create(domain, below, &options, &mediate, err);
	if (error)
		return error;
	for (unsigned i = 0; kit.traps[i]; i++) {
		struct bk_trap_desc spec = { 0 };
		struct bk_trap *trap;

		if (bk_trap_parse(kit.traps[i], &spec, err) || bk_trap_add(mediate, &spec, &trap, err))
			fail_msg("%s", err->text);
	}
	__atomic_store_n(&kit.last, mediate, __ATOMIC_RELAXED);
	__atomic_fetch_add(&kit.opened, 1, __ATOMIC_RELAXED);
	*opened = (struct bk__wrap_opened){
		.mediate = mediate, .regions = kit.regions, .unmapped = kit.unmapped, .opaque = mediate
	};
	return 0;
}

static inline void kit_closed(void *opaque)
{
	__atomic_fetch_add(&kit.closed, 1, __ATOMIC_RELAXED);
	bk_mediator_destroy(opaque);
}

static inline void kit_log(void *opaque, enum bk_log_level level, const char *line)
{
	if (level > BK_LOG_WARNING)
		return;
	snprintf(kit.line, sizeof(kit.line), "%s", line);
	kit.lines++;
}

static const struct bk__wrap_ops kit_ops = { kit_mediate, kit_closed };

static inline int kit_start(void **state)
{
	bk_log_set(kit_log, NULL);
	bk__wrap_start(&kit_ops);
	bk__wrap_real.open = bk__wrap_real.open64 = fake_vfio_open;
	bk__wrap_real.openat = bk__wrap_real.openat64 = fake_vfio_openat;
	bk__wrap_real.ioctl = fake_vfio_ioctl;
	bk__wrap_real.pread = bk__wrap_real.pread64 = fake_vfio_pread;
	bk__wrap_real.pwrite = bk__wrap_real.pwrite64 = fake_vfio_pwrite;
	bk__wrap_real.readlink = fake_vfio_readlink;
	return 0;
}

/* Each test begins without devices, and has to end so. */
static inline int kit_setup(void **state)
{
	memset(&kit, 0, sizeof(kit));
	memset(&fake_vfio, 0, sizeof(fake_vfio));
	return 0;
}

static inline int kit_teardown(void **state)
{
	return kit.opened == kit.closed && bk__wrap_maps_first > bk__wrap_maps_last ? 0 : -1;
}

/* As QEMU opens a device. */
static inline int kit_open_named(const char *group, const char *name)
{
	const int fd = open(group, O_RDWR);
	const int device = ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, name);

	close(fd);
	return device;
}

static inline int kit_open(void)
{
	return kit_open_named("/dev/vfio/7", "0000:01:00.0");
}

static inline uint32_t kit_read(int fd, unsigned region, uint64_t offset)
{
	uint32_t value = 0;

	assert_int_equal(pread(fd, &value, sizeof(value), FAKE_VFIO_OFFSET(region, offset)), sizeof(value));
	return value;
}

static inline void kit_write(int fd, unsigned region, uint64_t offset, uint32_t value)
{
	assert_int_equal(pwrite(fd, &value, sizeof(value), FAKE_VFIO_OFFSET(region, offset)), sizeof(value));
}

/* What the fake has at first. */
static inline uint32_t kit_pattern(uint64_t offset)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 4; i++)
		value |= (uint32_t)(uint8_t)((offset + i) % 0x1000 * 7 + (offset + i) % 0x1000 / 256)
			 << 8 * i;
	return value;
}

/* The answer of VFIO_DEVICE_GET_REGION_INFO, asked as QEMU asks. To be freed. */
static inline struct vfio_region_info *kit_region(int fd, unsigned index)
{
	struct vfio_region_info *info = calloc(1, sizeof(*info));

	info->argsz = sizeof(*info);
	info->index = index;
	assert_int_equal(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info), 0);
	if (info->argsz > sizeof(*info)) {
		const uint32_t size = info->argsz;

		assert_int_equal(info->cap_offset, 0);
		info = realloc(info, size);
		info->argsz = size;
		assert_int_equal(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info), 0);
		assert_int_equal(info->argsz, size);
	}
	return info;
}

static inline const struct vfio_info_cap_header *kit_cap(const struct vfio_region_info *info, unsigned id)
{
	uint32_t at = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;

	while (at) {
		const struct vfio_info_cap_header *cap = (const void *)((const char *)info + at);

		assert_in_range(at, sizeof(*info), info->argsz - sizeof(*cap));
		assert_int_equal(at % 8, 0);
		if (cap->id == id)
			return cap;
		at = cap->next;
	}
	return NULL;
}

#endif
