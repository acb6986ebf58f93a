/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices that offer what is not mapped, regions that only the device below has, and calls at the edges of
 * what a mediator takes. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/guard.h"
#include "trap_kit.h"

enum { CONFIG = BK_DEVICE_CONFIG, ROM = BK_DEVICE_ROM, VGA = BK_DEVICE_VGA, VENDORS = BK_DEVICE_REGIONS };

static void create_with(struct fixture *f, const struct bk_mediator_options *options)
{
	struct bk_error err;

	if (bk_mediator_create(f->domain, &f->fake.device, options, &f->mediate, &err))
		fail_msg("%s", err.text);
}

static void create(struct fixture *f)
{
	create_with(f, NULL);
}

static void has_name(void *opaque, const struct bk_trap_stats *stats)
{
	if (stats->name)
		assert_string_equal(stats->name, opaque);
}

/* ---- A region of a vendor's own ------------------------------------------ */

static const struct bk_device_ops *plain;
static uint8_t vendors[16];

static int vendors_region(struct bk_device *device, unsigned index, struct bk_device_region *region)
{
	if (index != VENDORS)
		return plain->region(device, index, region);
	*region = (struct bk_device_region){ .flags = BK_DEVICE_READ, .size = sizeof(vendors), .fd = -1 };
	return 0;
}

static int vendors_areas(struct bk_device *device, unsigned index, bool all, bk_device_area_fn *visit,
			 void *opaque)
{
	if (index != VENDORS)
		return plain->areas(device, index, all, visit, opaque);
	visit(opaque, &(struct bk_device_area){ .size = sizeof(vendors) });
	return 0;
}

static int vendors_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count)
{
	if (region != VENDORS)
		return plain->read(device, region, offset, data, count);
	memcpy(data, vendors + offset, count);
	return 0;
}

static int vendors_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
			 size_t count)
{
	if (region != VENDORS)
		return plain->write(device, region, offset, data, count);
	memcpy(vendors + offset, data, count);
	return 0;
}

static void sum_areas(void *opaque, const struct bk_device_area *area)
{
	*(uint64_t *)opaque += area->size;
}

static void a_vendors_own_region_is_the_device_belows(void **state)
{
	struct fixture *f = *state;
	struct bk_device_ops ops = *f->fake.device.ops;
	struct bk_device_region region = { 0 };
	struct bk_device *face;
	uint64_t value = 0x1122334455667788, sum = 0;
	uint8_t bytes[2];

	plain = f->fake.device.ops;
	ops.region = vendors_region;
	ops.areas = vendors_areas;
	ops.read = vendors_read;
	ops.write = vendors_write;
	f->fake.device.ops = &ops;
	f->fake.info.regions = VENDORS + 1;
	create(f);
	face = bk_mediator_device(f->mediate);
	assert_null(bk_mediator_space(f->mediate, VENDORS));
	assert_int_equal(bk_device_region(face, VENDORS, &region), 0);
	assert_int_equal(region.size, sizeof(vendors));
	assert_int_equal(bk_device_areas(face, VENDORS, false, sum_areas, &sum), 0);
	assert_int_equal(sum, sizeof(vendors));
	assert_int_equal(bk_device_write(face, VENDORS, 4, &value, 8), 0);
	assert_memory_equal(vendors + 4, &value, 8);
	assert_int_equal(bk_mediator_below_write(f->mediate, VENDORS, 8, 2, 0xabcd), 0);
	assert_int_equal(bk_device_read(face, VENDORS, 8, bytes, 2), 0);
	assert_memory_equal(bytes, "\xcd\xab", 2);
	assert_int_equal(bk_mediator_below_read(f->mediate, VENDORS, 8, 2, &value), 0);
	assert_int_equal(value, 0xabcd);
	assert_int_equal(bk_mediator_destroy(f->mediate), 0);
	f->mediate = NULL;
}

static void a_device_with_fewer_regions_is_asked_for_no_more(void **state)
{
	struct fixture *f = *state;
	struct bk_mediator *m;
	struct bk_error err = { "" };

	f->fake.info.regions = CONFIG; /* not even config space */
	assert_int_equal(bk_mediator_create(f->domain, &f->fake.device, NULL, &m, &err), -ENODEV);
	assert_null(m);
	assert_non_null(strstr(err.text, "does not answer"));
}

/* ---- The mediated device as a device -------------------------------------- */

static void accesses_beyond_a_region_are_refused(void **state)
{
	struct fixture *f = *state;
	struct bk_device *face;
	uint64_t value = 0, sum = 0;
	uint8_t bytes[4096];

	fake_bar(&f->fake, 4, 1, 4, false);
	create(f);
	face = bk_mediator_device(f->mediate);
	assert_int_equal(bk_device_read(face, 4, 0, &value, 4), 0);
	assert_int_equal(bk_device_write(face, 4, 0, &value, 4), 0);
	assert_int_equal(bk_device_read(face, 4, 5, &value, 1), -EINVAL);
	assert_int_equal(bk_device_write(face, 4, 5, &value, 1), -EINVAL);
	assert_int_equal(bk_device_read(face, 4, 2, &value, 4), -EINVAL);
	assert_int_equal(bk_device_write(face, 4, 2, &value, 4), -EINVAL);
	assert_int_equal(bk_device_read(face, 3, 0, &value, 4), -EINVAL);
	assert_int_equal(bk_device_write(face, 3, 0, &value, 4), -EINVAL);
	assert_int_equal(bk_mediator_below_read(f->mediate, 4, 0, 8, &value), -EINVAL);
	assert_int_equal(bk_mediator_below_write(f->mediate, 4, 0, 8, 0), -EINVAL);
	assert_int_equal(bk_device_areas(face, 4, false, sum_areas, &sum), 0);
	assert_int_equal(sum, 0);
	/* The function's model of config space says nothing of the host's. */
	assert_int_equal(bk_device_host_config(face, bytes, sizeof(bytes)), -EOPNOTSUPP);
}

/* Memory without a file cannot be mapped by who stands above. */
static void memory_that_an_embedder_puts_over_a_bar_is_no_area(void **state)
{
	struct fixture *f = *state;
	static uint8_t memory[0x1000] __attribute__((aligned(4096)));
	const struct bk_region_desc desc = {
		.name = "embedder's",
		.first = 0x1000,
		.last = 0x1fff,
		.priority = BK_TRAP_PRIORITY,
		.kind = BK_REGION_MAPPED,
		.memory = { .host = memory, .fd = -1, .attributes = BK_MEMORY_RAM },
	};
	struct bk_device_region region = { 0 };
	struct areas areas;
	struct bk_update *update;
	struct bk_region *added;
	uint64_t sum = 0;

	fake_bar(&f->fake, 0, 0, 0x4000, true);
	create(f);
	update = bk_update_begin(f->domain);
	assert_int_equal(bk_update_add(update, bk_mediator_space(f->mediate, 0), &desc, &added), 0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
	assert_int_equal(bk_device_region(bk_mediator_device(f->mediate), 0, &region), 0);
	areas = areas_of(bk_mediator_device(f->mediate), 0);
	assert_int_equal(areas.count, 2);
	assert_int_equal(areas.at[0].size, 0x1000);
	assert_int_equal(areas.at[1].offset, 0x2000);
	assert_int_equal(bk_device_areas(bk_mediator_device(f->mediate), 0, false, sum_areas, &sum), 0);
	assert_int_equal(sum, 0x3000);
}

/* ---- What cannot be mapped ----------------------------------------------- */

static void a_bar_that_is_offered_in_an_odd_way_is_not_mapped(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 5; i++) {
		struct bk_device_region *region = &f->fake.regions[0];
		int fd;

		fake_bar(&f->fake, 0, 0, 0x4000, true);
		fd = region->fd;
		switch (i) {
		case 0:
			region->flags &= ~(unsigned)BK_DEVICE_READ;
			break;
		case 1:
			region->fd = -1;
			break;
		case 2:
			region->fd_offset = 0x3004;
			break;
		case 3:
			region->fd_offset = (uint64_t)1 << 63;
			break;
		case 4:
			region->fd_offset = INT64_MAX & ~(uint64_t)0xfff;
			break;
		}
		create(f);
		assert_false(page_is_mapped(f, 0, 0));
		assert_int_equal(rd(f, 0, 0x40, 4), fake_pattern(0x40, 4));
		region->fd = fd;
		bare_again(f);
	}
}

struct attributes {
	unsigned mapped;
	unsigned readonly;
};

static bool note_attributes(void *opaque, const struct bk_flat *flat)
{
	struct attributes *a = opaque;

	if (flat->memory) {
		a->mapped++;
		a->readonly += !!(flat->memory->attributes & BK_MEMORY_READONLY);
	}
	return true;
}

static void a_bar_that_is_read_only_is_mapped_read_only(void **state)
{
	struct fixture *f = *state;
	struct attributes a = { 0 };

	fake_bar(&f->fake, 0, 0, 0x4000, true);
	f->fake.regions[0].flags = BK_DEVICE_READ | BK_DEVICE_MMAP;
	create(f);
	bk_space_visit(bk_mediator_space(f->mediate, 0), 0, 0x3fff, note_attributes, &a);
	assert_int_equal(a.mapped, 1);
	assert_int_equal(a.readonly, 1);
}

/* A page is shared only if the device offers all of the BAR in it. */
static void a_page_is_shared_only_if_all_of_the_bar_can_be_mapped(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 5; i++) {
		struct areas *areas = &f->fake.areas[0];

		fake_bar(&f->fake, 0, 0, 0x100, i != 4);
		areas->at[0].size = 0x100; /* to the byte: the page is mapped all the same */
		if (i == 1)
			areas->count = 2;
		else if (i == 2)
			areas->at[0].offset = 0x80;
		else if (i == 3)
			areas->at[0].size = 0x80;
		create_with(f, &(struct bk_mediator_options){ .share_page = true });
		assert_int_equal(page_is_mapped(f, 0, 0), i == 0);
		assert_int_equal(rd(f, 0, 0x40, 4), fake_pattern(0x40, 4));
		bare_again(f);
	}
}

enum { MANY = 50 };

static int areas(struct bk_device *device, unsigned index, bool all, bk_device_area_fn *visit, void *opaque)
{
	for (unsigned i = 1; !index && i <= MANY; i++)
		visit(opaque, &(struct bk_device_area){ .offset = i * 0x2000, .size = 0x1000 });
	return 0;
}

/* The description and the handlers may be gone once the trap is there. */
static void what_describes_a_trap_is_copied(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	struct bk_trap_ops ops = { .read = recorder_read };
	struct bk_trap_desc desc = { .offset = 0x40, .length = 4, .opaque = &r };
	char name[] = "mine";
	struct bk_trap *trap;
	struct bk_error err;

	fake_bar(&f->fake, 0, 0, 0x1000, false);
	create(f);
	r.base = 0x40;
	r.bytes[0] = 0x5a;
	desc.name = name;
	desc.ops = &ops;
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	memset(&ops, 0xff, sizeof(ops));
	memset(name, 'x', sizeof(name) - 1);
	memset(&desc, 0xff, sizeof(desc));
	assert_int_equal(rd(f, 0, 0x40, 1), 0x5a);
	bk_mediator_stats(f->mediate, has_name, "mine");

	/* A program that was built with a later release, and uses what that has. */
	struct {
		struct bk_trap_desc known;
		uint64_t later;
	} newer = {
		.known = { .struct_size = sizeof(newer), .offset = 0x80, .length = 4, .verb = BK_TRAP_LOG }
	};

	newer.later = 1;
	assert_int_equal(bk_trap_add(f->mediate, &newer.known, &trap, &err), -E2BIG);
	assert_string_equal(err.text, "a trap's description is of a later release");
	assert_null(trap);
	newer.later = 0;
	assert_int_equal(bk_trap_add(f->mediate, &newer.known, &trap, &err), 0);
}

static void each_of_many_areas_is_mapped(void **state)
{
	struct fixture *f = *state;
	struct bk_device_ops ops = *f->fake.device.ops;
	static struct recorder r;

	ops.areas = areas;
	f->fake.device.ops = &ops;
	fake_bar(&f->fake, 0, 0, 0x80000, true);
	create(f);
	for (unsigned i = 1; i <= MANY; i++) {
		assert_true(page_is_mapped(f, 0, i * 0x2000));
		assert_false(page_is_mapped(f, 0, i * 0x2000 + 0x1000));
	}
	add(f, &r, 0, 0x40, 4, 0); /* before the first area */
	assert_int_equal(rd(f, 0, 0x44, 4), fake_pattern(0x44, 4));
	assert_int_equal(bk_mediator_destroy(f->mediate), 0);
	f->mediate = NULL;
}

/* Its mapping starts at a multiple of 1 GiB, the largest page, and not of its size. */
static void a_bar_beyond_the_largest_page_is_mapped(void **state)
{
	struct fixture *f = *state;
	struct bk_device_region *region = &f->fake.regions[0];
	const bool has_room = SIZE_MAX > UINT32_MAX;

	fake_bar(&f->fake, 0, 0xc, 0x1000, true);
	region->size = f->fake.areas[0].at[0].size = (uint64_t)4 << 30;
	region->fd_offset = 0;
	if (ftruncate(region->fd, (off_t)4 << 30))
		fail_msg("no sparse file of 4 GiB");
	create(f);
	assert_int_equal(page_is_mapped(f, 0, 0xfffff000), has_room); /* else its pages exit */
	region->size = 0x1000;                                        /* for fake_done */
}

/* ---- Above another mediator ------------------------------------------------ */

static void holes_come_and_go_with_the_traps_below(void **state)
{
	enum { TRAPS = 20 };
	struct fixture *f = *state;
	struct fixture lower = { 0 };
	static struct recorder r[TRAPS];
	struct bk_trap *traps[TRAPS];
	const struct bk_trap_desc elsewhere = {
		.region = CONFIG, .offset = 0x60, .length = 4, .verb = BK_TRAP_LOG
	};
	struct bk_trap *config;

	fake_bar(&f->fake, 0, 0, 0x2000 * TRAPS, true);
	create(f);
	lower.mediate = f->mediate;
	f->mediate = NULL;
	assert_int_equal(
		bk_mediator_create(f->domain, bk_mediator_device(lower.mediate), NULL, &f->mediate, NULL), 0);
	for (unsigned i = 0; i < TRAPS; i++)
		traps[i] =
			add(&lower, &r[i], 0, 0x2000 * i + 0x1000, 4, 0); /* the last one in the last page */
	for (unsigned i = 0; i < TRAPS; i++) {
		assert_true(page_is_mapped(f, 0, 0x2000 * i));
		assert_false(page_is_mapped(f, 0, 0x2000 * i + 0x1000));
	}
	/* What is not a BAR's is never mapped. */
	assert_int_equal(bk_trap_add(lower.mediate, &elsewhere, &config, NULL), 0);
	bk_trap_remove(config);
	for (unsigned i = 0; i < TRAPS; i++)
		bk_trap_remove(traps[i]);
	for (unsigned i = 0; i < TRAPS; i++)
		assert_true(page_is_mapped(f, 0, 0x2000 * i + 0x1000));
}

static int busy(struct bk_device *device, const struct bk_device_watcher *watcher, void *opaque)
{
	return watcher ? -EBUSY : 0;
}

static void a_device_that_cannot_be_watched_is_refused(void **state)
{
	struct fixture *f = *state;
	struct bk_device_ops ops = *f->fake.device.ops;
	struct bk_mediator *m;
	struct bk_error err = { "" };

	ops.watch = busy;
	f->fake.device.ops = &ops;
	assert_int_equal(bk_mediator_create(f->domain, &f->fake.device, NULL, &m, &err), -EBUSY);
	assert_null(m);
	assert_true(f->fake.closed);
	assert_non_null(strstr(err.text, "can be mapped"));
}

static bool no_guard;

struct bk__base_guard *__real_bk__base_guard_add(const void *base, uint64_t size, uint8_t fill);
struct bk__base_guard *__wrap_bk__base_guard_add(const void *base, uint64_t size, uint8_t fill);
struct bk__base_guard *__wrap_bk__base_guard_add(const void *base, uint64_t size, uint8_t fill)
{
	return no_guard ? NULL : __real_bk__base_guard_add(base, size, fill);
}

static struct bk_device_watcher kept;
static void *kept_opaque;
static bool region_fails;

static int keep_watcher(struct bk_device *device, const struct bk_device_watcher *watcher, void *opaque)
{
	kept = watcher ? *watcher : (struct bk_device_watcher){ .lose = NULL };
	kept_opaque = opaque;
	return 0;
}

static int region_or_not(struct bk_device *device, unsigned index, struct bk_device_region *region)
{
	return region_fails ? -EIO : plain->region(device, index, region);
}

static bool read_host(void *opaque, const struct bk_flat *flat)
{
	if (flat->memory)
		memcpy(opaque, (const uint8_t *)flat->memory->host + flat->offset, 8);
	return false;
}

/* What a guest has at the start of BAR 0: mapped memory, or what the device answers. */
static uint64_t read_now(struct fixture *f, bool *exits)
{
	uint8_t bytes[8];

	*exits = !page_is_mapped(f, 0, 0);
	if (*exits)
		return rd(f, 0, 0, 8);
	bk_space_visit(bk_mediator_space(f->mediate, 0), 0, 0, read_host, bytes);
	return bk__load(bytes, 8);
}

/* A device whose server goes and comes back has another file to map from, or none. */
static void a_file_that_is_another_one_is_mapped_where_the_old_one_was(void **state)
{
	struct fixture *f = *state;
	struct bk_device_region *region = &f->fake.regions[0];
	struct bk_device_ops ops = *f->fake.device.ops;
	struct bk_device_region first;
	int other = memfd_create("other", MFD_CLOEXEC);
	bool exits;

	assert_int_equal(ftruncate(other, 0x10000), 0);
	assert_int_equal(pwrite(other, "\x5b", 1, 0x4000), 1);
	fake_bar(&f->fake, 0, 0, 0x2000, true);
	fake_bar(&f->fake, 1, 0, 0x1000, false);
	first = *region;
	plain = f->fake.device.ops;
	ops.watch = keep_watcher;
	ops.region = region_or_not;
	f->fake.device.ops = &ops;
	create(f);
	kept.change(kept_opaque, 0); /* nothing has changed */
	kept.change(kept_opaque, 1); /* nothing of it was ever mapped */
	kept.change(kept_opaque, BK_DEVICE_VGA);
	assert_int_equal(read_now(f, &exits), fake_pattern(0, 8));
	assert_false(exits);
	region->fd = other;
	region->fd_offset = 0x4000;
	kept.change(kept_opaque, 0);
	assert_int_equal(read_now(f, &exits), 0x5b);
	assert_false(exits);
	/* Without a file every access is the device's. */
	region->fd = -1;
	kept.change(kept_opaque, 0);
	assert_int_equal(read_now(f, &exits), fake_pattern(0, 8));
	assert_true(exits);
	region->fd = other;
	region->flags &= ~(unsigned)BK_DEVICE_WRITE;
	kept.change(kept_opaque, 0);
	assert_int_equal(read_now(f, &exits), 0x5b);
	assert_false(exits);
	/* A region of another size is another one, and so is one that is not told of. */
	region->size = 0x1000;
	kept.change(kept_opaque, 0);
	read_now(f, &exits);
	assert_true(exits);
	*region = first;
	kept.change(kept_opaque, 0);
	read_now(f, &exits);
	assert_false(exits);
	region_fails = true;
	kept.change(kept_opaque, 0);
	read_now(f, &exits);
	assert_true(exits);
	region_fails = false;
	/* A file that cannot be mapped. */
	region->fd = 1000000;
	kept.change(kept_opaque, 0);
	read_now(f, &exits);
	assert_true(exits);
	*region = first;
	kept.change(kept_opaque, 0);
	assert_int_equal(read_now(f, &exits), fake_pattern(0, 8));
	assert_false(exits);
	close(other);
	f->fake.device.ops = plain;
}

/* The file of a device cannot shrink, that of a server can; without memory to guard it, it is not mapped. */
static void a_file_that_cannot_be_guarded_is_not_mapped(void **state)
{
	struct fixture *f = *state;
	struct bk_device_region *region = &f->fake.regions[0];
	struct bk_device_ops ops = *f->fake.device.ops;
	int zero = open("/dev/zero", O_RDWR | O_CLOEXEC), file;
	bool exits;

	fake_bar(&f->fake, 0, 0, 0x2000, true);
	file = region->fd;
	region->fd = zero;
	region->fd_offset = 0;
	plain = f->fake.device.ops;
	ops.watch = keep_watcher;
	f->fake.device.ops = &ops;
	no_guard = true; /* it needs none */
	create(f);
	read_now(f, &exits);
	assert_false(exits);
	region->fd = file;
	kept.change(kept_opaque, 0);
	read_now(f, &exits);
	assert_true(exits);
	no_guard = false;
	region->fd = zero;
	kept.change(kept_opaque, 0);
	region->fd = file;
	region->fd_offset = 0x3000;
	kept.change(kept_opaque, 0);
	assert_int_equal(read_now(f, &exits), fake_pattern(0, 8));
	assert_false(exits);
	close(zero);
	f->fake.device.ops = plain;
}

static void in_filter_mode_others_map_the_file(void **state)
{
	struct fixture *f = *state;
	const struct bk_mediator_options options = { .filter = true };
	struct bk_device_ops ops = *f->fake.device.ops;

	fake_bar(&f->fake, 0, 0, 0x2000, true);
	ops.watch = keep_watcher;
	f->fake.device.ops = &ops;
	assert_int_equal(bk_mediator_create(f->domain, &f->fake.device, &options, &f->mediate, NULL), 0);
	kept.change(kept_opaque, 0);
	assert_true(page_is_mapped(f, 0, 0));
	f->fake.device.ops = &ops;
	bare_again(f);
}

/* ---- Structs of a later release ------------------------------------------- */

static unsigned mine;

static void has_mine(void *opaque, const struct bk_trap_stats *stats)
{
	mine += stats->name && !strcmp(stats->name, "mine");
}

static void structs_of_a_later_release_are_refused(void **state)
{
	struct fixture *f = *state;
	struct {
		struct bk_mediator_options options;
		uint64_t more;
	} options = { { .struct_size = sizeof(options) }, 1 };
	struct {
		struct bk_trap_ops ops;
		uint64_t more;
	} ops = { { .struct_size = sizeof(ops) }, 1 };
	struct {
		struct bk_accelerator_ops ops;
		uint64_t more;
	} accelerator = { { .struct_size = sizeof(accelerator) }, 1 };
	const struct bk_trap_desc desc = { .length = 4, .ops = &ops.ops };
	const struct bk_trap_desc named = {
		.length = 4, .verb = BK_TRAP_CONSTANT, .width = 4, .name = "mine"
	};
	struct bk_trap *trap;

	fake_bar(&f->fake, 0, 0, 0x1000, false);
	create(f);
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, &f->err), -E2BIG);
	assert_non_null(strstr(f->err.text, "later release"));
	assert_int_equal(bk_mediator_accelerate(f->mediate, &accelerator.ops, NULL), -E2BIG);
	assert_null(bk_mediator_registers(f->mediate, BK_DEVICE_ROM));
	assert_int_equal(bk_trap_add(f->mediate, &named, &trap, NULL), 0);
	bk_mediator_stats(f->mediate, has_mine, NULL);
	assert_int_equal(mine, 1);
	bare_again(f);
	assert_int_equal(
		bk_mediator_create(f->domain, &f->fake.device, &options.options, &f->mediate, &f->err),
		-E2BIG);
	assert_null(f->mediate);
	assert_true(f->fake.closed);
	assert_non_null(strstr(f->err.text, "later release"));
}

/* ---- Interrupts and resets ------------------------------------------------ */

static unsigned told;

static void count_lines(void *opaque, enum bk_log_level level, const char *line)
{
	told += strstr(line, "cannot be reset") != NULL;
}

static void count_failed(void *opaque, enum bk_log_level level, const char *line)
{
	told += strstr(line, "bar0+0x40") && strstr(line, ", failed");
}

static void a_device_that_cannot_be_reset_says_so_once(void **state)
{
	struct fixture *f = *state;

	f->fake.reset_result = -EOPNOTSUPP;
	create(f);
	told = 0;
	bk_log_set(count_lines, NULL);
	bk_device_reset(bk_mediator_device(f->mediate));
	bk_device_reset(bk_mediator_device(f->mediate));
	assert_int_equal(f->fake.resets, 2);
	assert_int_equal(told, 1);
}

/* ---- Capabilities --------------------------------------------------------- */

/* The ids of standard and extended capabilities are two lists: 0x0b is CompactPCI in the one and a vendor's
 * in the other. */
static void a_compact_pci_capability_is_read_only(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, 0x50);
	fake_put(&f->fake, 0x50, 4, 0x1234000b);
	create(f);
	f->fake.config_writes = 0;
	wr(f, CONFIG, 0x52, 2, 0xffff);
	assert_int_equal(f->fake.config_writes, 0);
	assert_int_equal(rd(f, CONFIG, 0x52, 2), 0x1234);
}

/* BARs that can be resized: shown with the size that they have, or not at all. */
static void resizable_bars_that_disagree_are_left_out(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint32_t control;
		bool shown;
	} cases[] = {
		{ 1u << 5 | 2, true },            /* bar2, 1 MiB */
		{ 0u << 5 | 2, false },           /* of no BAR */
		{ 7u << 5 | 2, false },           /* of seven */
		{ 1u << 5 | 6, false },           /* no BAR's number */
		{ 1u << 5 | 2 | 1u << 8, false }, /* 2 MiB */
		{ 1u << 5 | 2 | 0x3fu << 8, false },
		{ 6u << 5 | 2, false }, /* six, of which the capability has room for two */
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned at;

		fake_bar(&f->fake, 2, 0, 0x100000, false);
		fake_put(&f->fake, 0x100, 4, 0x0015 | 1 << 16 | 0x114u << 20);
		fake_put(&f->fake, 0x104, 4, 0x10);
		fake_put(&f->fake, 0x108, 4, cases[i].control);
		fake_put(&f->fake, 0x114, 4, 0x0003 | 1 << 16);
		create(f);
		assert_int_equal(bk_mediator_capability(f->mediate, true, 0x15, &at),
				 cases[i].shown ? 0 : -ENOENT);
		bare_again(f);
	}
	/* So short that it says of no BAR. */
	fake_put(&f->fake, 0x100, 4, 0x0015 | 1 << 16 | 0x108u << 20);
	fake_put(&f->fake, 0x108, 4, 0x0003 | 1 << 16);
	create(f);
	assert_int_equal(bk_mediator_capability(f->mediate, true, 0x15, &(unsigned){ 0 }), -ENOENT);
}

/* Devices leave out registers at the end of it. */
static void a_short_express_capability_is_shown_as_far_as_it_goes(void **state)
{
	struct fixture *f = *state;
	static const struct {
		unsigned type, size;
		bool below_port;
	} cases[] = {
		{ 0x9, 0x10, true }, /* integrated, without a link */
		{ 0x9, 0x14, true }, { 0x0, 0x2c, false }, { 0x0, 0x0c, false }, { 0x0, 0x30, false },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const bool link = cases[i].below_port && cases[i].size >= 0x14;
		unsigned at;

		fake_put(&f->fake, 6, 2, 0x10);
		fake_put(&f->fake, 0x34, 1, 0x40);
		fake_put(&f->fake, 0x40, 4, 0x00020010 | (0x40 + cases[i].size) << 8 | cases[i].type << 20);
		fake_put(&f->fake, 0x40 + cases[i].size, 4, 0x00080009);
		create_with(f, &(struct bk_mediator_options){ .below_port = cases[i].below_port });
		assert_int_equal(bk_mediator_capability(f->mediate, false, 0x10, &at), 0);
		assert_int_equal(rd(f, CONFIG, 0x42, 1) >> 4, link ? 0 : 9);
		assert_int_equal(bk_mediator_capability(f->mediate, false, 0x09, &at), 0);
		assert_int_equal(at, 0x40 + cases[i].size);
		bare_again(f);
	}
}

static void a_conventional_device_has_no_extended_capabilities(void **state)
{
	struct fixture *f = *state;
	unsigned at;

	f->fake.regions[CONFIG].size = 256;
	create(f);
	assert_int_equal(bk_mediator_capability(f->mediate, true, 3, &at), -ENOENT);
}

/* In filter mode the chain is the device's: it may lead anywhere, or be none. */
static void a_chain_of_the_devices_own_is_followed_with_care(void **state)
{
	struct fixture *f = *state;
	const struct bk_mediator_options filter = { .filter = true };
	unsigned at;

	fake_put(&f->fake, 0x34, 1, 0x50);
	fake_put(&f->fake, 0x50, 4, 0x00005009); /* leads to itself */
	fake_put(&f->fake, 0x100, 4, 0x0003 | 1 << 16 | 0x050u << 20);
	create_with(f, &filter);
	assert_int_equal(bk_mediator_capability(f->mediate, false, 0x09, &at), -ENOENT); /* STATUS: no list */
	fake_put(&f->fake, 6, 2, 0x10);
	assert_int_equal(bk_mediator_capability(f->mediate, false, 0x09, &at), 0);
	assert_int_equal(at, 0x50);
	assert_int_equal(bk_mediator_capability(f->mediate, false, 0x11, &at), -ENOENT);
	assert_int_equal(bk_mediator_capability(f->mediate, true, 0x5009, &at), -ENOENT); /* not extended */
	assert_int_equal(bk_mediator_capability(f->mediate, true, 0x03, &at), 0);
	fake_put(&f->fake, 0x34, 1, 0x04); /* into the header */
	assert_int_equal(bk_mediator_capability(f->mediate, false, 0x00, &at), -ENOENT);
	fake_put(&f->fake, 0x100, 4, 0xffffffff);
	assert_int_equal(bk_mediator_capability(f->mediate, true, 0xffff, &at), -ENOENT);
	f->fake.config_fail = EIO;
	assert_int_equal(bk_mediator_capability(f->mediate, false, 0x09, &at), -ENOENT);
}

/* ---- VGA ------------------------------------------------------------------ */

static void describe_vga(struct fixture *f)
{
	static uint8_t vga[0xc0000];

	f->fake.regions[VGA].size = 0xc0000;
	f->fake.regions[VGA].flags = BK_DEVICE_READ | BK_DEVICE_WRITE;
	f->fake.bytes[VGA] = vga; /* fake_done does not free it */
	for (unsigned i = 0; i < 0xc0000; i++)
		f->fake.bytes[VGA][i] = (uint8_t)fake_pattern(i, 1);
}

/* In filter mode a VGA device has its ranges without being asked for them. */
static void in_filter_mode_only_a_vga_device_shows_vga_ranges(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint32_t class;
		bool has, asked, shown;
	} cases[] = {
		{ 0x030000, true, false, true },  { 0x030000, false, false, false },
		{ 0x038000, true, false, false }, { 0x020000, true, false, false },
		{ 0x030000, true, true, true },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake_put(&f->fake, 0x09, 3, cases[i].class);
		if (cases[i].has)
			describe_vga(f);
		create_with(f, &(struct bk_mediator_options){ .filter = true, .vga = cases[i].asked });
		assert_int_equal(bk_mediator_space(f->mediate, VGA) != NULL, cases[i].shown);
		if (cases[i].shown)
			assert_int_equal(rd(f, VGA, 0x3c0, 4), fake_pattern(0x3c0, 4));
		bare_again(f);
	}
}

static void an_overlay_on_vga_ports_leaves_reads_whole_within_their_range(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	const struct bk_trap_desc desc = { .region = VGA,
					   .offset = 0x3ba,
					   .length = 1,
					   .overlay = true,
					   .ops = &recorder_ops,
					   .opaque = &r };
	struct bk_trap *trap;

	fake_put(&f->fake, 0x09, 3, 0x030000);
	describe_vga(f);
	create_with(f, &(struct bk_mediator_options){ .vga = true });
	r = (struct recorder){ .region = VGA, .base = 0x3ba, .bytes = { 0x99 } };
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	f->fake.accesses = 0;
	assert_int_equal(rd(f, VGA, 0x3b8, 4), (fake_pattern(0x3b8, 4) & 0xff00ffff) | 0x990000);
	assert_int_equal(f->fake.accesses, 1);
	assert_int_equal(f->fake.access[0].count, 4);
	/* Where the range ends nobody has the rest. */
	f->fake.accesses = 0;
	assert_int_equal(rd(f, VGA, 0x3ba, 4), 0xffff0099 | fake_pattern(0x3bb, 1) << 8);
	assert_int_equal(f->fake.accesses, 1);
	assert_int_equal(f->fake.access[0].count, 1);
}

/* ---- Filter mode ---------------------------------------------------------- */

/* Errors of the device below have a meaning of their own here. */
static void a_device_that_says_out_of_range_has_failed(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	const struct bk_trap_desc desc = {
		.offset = 0x42, .length = 1, .overlay = true, .ops = &recorder_ops, .opaque = &r
	};
	struct bk_trap *trap;
	uint64_t value;

	fake_bar(&f->fake, 0, 0, 0x1000, false);
	create(f);
	r = (struct recorder){ .base = 0x42, .bytes = { 0x99 } };
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	f->fake.fail = ERANGE;
	f->fake.accesses = 0;
	r.reads = 0;
	assert_int_equal(bk_space_read(bk_mediator_space(f->mediate, 0), 0x40, 4, &value), -EIO);
	assert_int_equal(value & 0xff00ffff, 0xff00ffff);
}

static void an_overlay_at_the_end_of_a_bar_leaves_the_rest_of_its_page_alone(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	const struct bk_trap_desc desc = {
		.offset = 0xff, .length = 1, .overlay = true, .ops = &recorder_ops, .opaque = &r
	};
	struct bk_trap *trap;

	fake_bar(&f->fake, 0, 0, 0x100, true);
	create_with(f, &(struct bk_mediator_options){ .share_page = true });
	r = (struct recorder){ .base = 0xff, .bytes = { 0x99 } };
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	assert_int_equal(rd(f, 0, 0xfe, 2), 0x9900 | fake_pattern(0xfe, 1));
	assert_int_equal(rd(f, 0, 0xfe, 4), 0xffff9900 | fake_pattern(0xfe, 1));
}

/* An access that begins in front of the BAR, where another device may be. */
static void an_overlay_at_the_start_of_a_bar_reads_nothing_in_front_of_it(void **state)
{
	struct fixture *f = *state;
	static struct recorder r;
	const struct bk_trap_desc desc = { .length = 1, .overlay = true, .ops = &recorder_ops, .opaque = &r };
	struct bk_space *memory = bk_space_create(f->domain, "memory", 0xffff);
	struct bk_region_desc window = {
		.name = "bar0", .first = 0x4000, .last = 0x4fff, .kind = BK_REGION_NESTED
	};
	struct bk_update *update;
	struct bk_region *region;
	struct bk_trap *trap;
	uint64_t value;

	fake_bar(&f->fake, 0, 0, 0x1000, false);
	create(f);
	r = (struct recorder){ .bytes = { 0x99 } };
	assert_int_equal(bk_trap_add(f->mediate, &desc, &trap, NULL), 0);
	window.nested = bk_mediator_space(f->mediate, 0);
	update = bk_update_begin(f->domain);
	assert_int_equal(bk_update_add(update, memory, &window, &region), 0);
	assert_int_equal(bk_update_commit(update, NULL), 0);
	f->fake.accesses = 0;
	bk_space_read(memory, 0x3ffe, 4, &value);
	assert_int_equal(value, 0x0099ffff | fake_pattern(1, 1) << 24);
	assert_int_equal(f->fake.accesses, 1);
	assert_int_equal(f->fake.access[0].offset, 1);
	assert_int_equal(f->fake.access[0].count, 1);
	assert_int_equal(bk_region_retire(region), 0);
	assert_int_equal(bk_space_destroy(memory), 0);
}

static void wide_accesses_to_config_space_are_two(void **state)
{
	struct fixture *f = *state;
	uint64_t value;

	fake_put(&f->fake, 6, 2, 0x10);
	fake_put(&f->fake, 0x34, 1, 0x60);
	fake_put(&f->fake, 0x60, 4, 0x00200009);
	create(f);
	assert_int_equal(bk_mediator_below_write(f->mediate, CONFIG, 0x64, 8, 0x1122334455667788), 0);
	assert_int_equal(fake_get(&f->fake, 0x64, 8), 0x1122334455667788);
	assert_int_equal(bk_mediator_below_read(f->mediate, CONFIG, 0x64, 8, &value), 0);
	assert_int_equal(value, 0x1122334455667788);
	f->fake.config_fail = EIO;
	assert_int_equal(bk_mediator_below_write(f->mediate, CONFIG, 0x64, 8, 0), -EIO);
	assert_int_equal(bk_mediator_below_read(f->mediate, CONFIG, 0x64, 8, &value), -EIO);
	f->fake.config_fail = 0;
	assert_int_equal(fake_get(&f->fake, 0x64, 8), 0x1122334455667788);
}

static void a_log_says_what_failed_and_not_all_of_a_flood(void **state)
{
	struct fixture *f = *state;
	const struct bk_trap_desc spec = { .offset = 0x40, .length = 4, .verb = BK_TRAP_LOG };
	struct bk_trap *trap;

	fake_bar(&f->fake, 0, 0, 0x1000, false);
	create(f);
	assert_int_equal(bk_trap_add(f->mediate, &spec, &trap, NULL), 0);
	told = 0;
	bk_log_set(count_failed, NULL);
	f->fake.fail = EIO;
	rd(f, 0, 0x40, 4);
	assert_int_equal(told, 1);
	f->fake.fail = 0;
	rd(f, 0, 0x40, 4);
	assert_int_equal(told, 1);
	f->fake.fail = EIO;
	for (unsigned i = 0; i < 100000; i++)
		wr(f, 0, 0x40, 4, i);
	assert_in_range(told, 2, 99999);
}

/* The table in one BAR and the PBA in another. */
static void an_msix_table_and_pba_in_two_bars_are_both_the_functions(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 0, 0, 0x1000, false);
	fake_bar(&f->fake, 1, 0, 0x1000, false);
	fake_msix(&f->fake, 0x70, 0, 8, 0x800, 0x801);
	fake_put(&f->fake, 0x34, 1, 0x70);
	create(f);
	wr(f, 0, 0x800, 4, 0xfee00000);
	assert_int_equal(rd(f, 0, 0x800, 4), 0xfee00000);
	assert_int_equal(rd(f, 1, 0x800, 8), 0);
	assert_int_equal(rd(f, 1, 0x808, 4), fake_pattern(0x808, 4));
}

static void a_rom_that_is_off_is_not_shown_in_filter_mode(void **state)
{
	struct fixture *f = *state;

	f->fake.regions[ROM].size = 0x1000;
	f->fake.regions[ROM].flags = BK_DEVICE_READ;
	f->fake.bytes[ROM] = calloc(1, 0x1000);
	f->fake.bytes[ROM][0] = 0x55;
	create_with(f, &(struct bk_mediator_options){ .filter = true, .rom_off = true });
	assert_null(bk_mediator_space(f->mediate, ROM));
	wr(f, CONFIG, 0x30, 4, 0xffffffff);
	assert_int_equal(rd(f, CONFIG, 0x30, 4), 0);
	bk_mediator_destroy(f->mediate);
	create_with(f, &(struct bk_mediator_options){ .filter = true });
	assert_int_equal(rd(f, ROM, 0, 1), 0x55); /* the device's own, as it is now */
	f->fake.bytes[ROM][0] = 0x56;
	assert_int_equal(rd(f, ROM, 0, 1), 0x56);
}

static void in_filter_mode_the_host_hides_what_the_device_says(void **state)
{
	struct fixture *f = *state;
	uint8_t host[4096] = { 0 }, bytes[4096];

	host[0x40] = 0x77;
	f->fake.host_config = host;
	f->fake.host_config_size = sizeof(host);
	create_with(f, &(struct bk_mediator_options){ .filter = true });
	assert_int_equal(bk_device_host_config(bk_mediator_device(f->mediate), bytes, sizeof(bytes)), 4096);
	assert_int_equal(bytes[0x40], 0x77);
	f->fake.host_config = NULL;
}

static void a_bar_whose_middle_a_capability_cannot_name_is_not_grown(void **state)
{
	struct fixture *f = *state;
	struct bk_mediator *m;
	struct bk_error err = { "" };

	fake_put(&f->fake, 0x10, 4, 0xc);
	f->fake.regions[0].size = (uint64_t)8 << 30;
	f->fake.regions[0].flags = BK_DEVICE_READ | BK_DEVICE_WRITE;
	fake_msix(&f->fake, 0x70, 0, 8, 0, 0x1000);
	fake_put(&f->fake, 0x34, 1, 0x70);
	assert_int_equal(bk_mediator_create(f->domain, &f->fake.device,
					    &(struct bk_mediator_options){ .msix_move = true }, &m, &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "its middle is more than 4 GiB from its start"));
}

static void a_bar_of_64_bits_that_grows_for_the_table_sizes_over_both_registers(void **state)
{
	struct fixture *f = *state;

	fake_bar(&f->fake, 1, 0x0, 0x3000, false); /* not a power of two, and not prefetchable */
	fake_bar(&f->fake, 2, 0x4, 0x4000, false);
	fake_bar(&f->fake, 5, 0xc, 0x1000, false); /* of which no register is left for an upper half */
	fake_msix(&f->fake, 0x70, 0, 8, 2, 0x1002);
	fake_put(&f->fake, 0x34, 1, 0x70);
	create_with(f, &(struct bk_mediator_options){ .filter = true, .msix_move = true, .msix_bar = 2 });
	wr(f, CONFIG, 0x18, 8, UINT64_MAX);
	assert_int_equal(rd(f, CONFIG, 0x18, 8), 0xffffffffffff8004);
	bk_mediator_destroy(f->mediate);
	create_with(f, &(struct bk_mediator_options){ .filter = true, .msix_move = true, .msix_bar = 1 });
	wr(f, CONFIG, 0x14, 4, 0xffffffff);
	assert_int_equal(rd(f, CONFIG, 0x14, 4), 0xffff8000);
	bk_mediator_destroy(f->mediate);
	create_with(f, &(struct bk_mediator_options){ .filter = true, .msix_move = true, .msix_bar = 5 });
	fake_put(&f->fake, 0x28, 4, 0x12345678); /* CardBus, behind the last BAR */
	wr(f, CONFIG, 0x24, 4, 0xffffffff);
	assert_int_equal(rd(f, CONFIG, 0x24, 4), 0xffffe008);
	assert_int_equal(rd(f, CONFIG, 0x28, 4), 0x12345678);
}

/* ---- What callers ask ----------------------------------------------------- */

static void a_rom_image_without_a_byte_is_refused(void **state)
{
	struct fixture *f = *state;
	const struct bk_mediator_options none = { .rom_image = "", .rom_size = 0 };
	const struct bk_mediator_options large = { .rom_image = "", .rom_size = ((size_t)16 << 20) + 1 };
	struct bk_mediator *m;

	assert_int_equal(bk_mediator_create(f->domain, &f->fake.device, &none, &m, NULL), -EINVAL);
	assert_int_equal(bk_mediator_create(f->domain, &f->fake.device, &large, &m, NULL), -EINVAL);
	/* The device's own is left out. */
	f->fake.regions[ROM].size = ((uint64_t)16 << 20) + 1;
	create(f);
	assert_null(bk_mediator_space(f->mediate, ROM));
}

static void a_trap_that_makes_no_sense_is_refused(void **state)
{
	struct fixture *f = *state;
	static const struct bk_trap_desc specs[] = {
		{ .length = 4, .verb = (enum bk_trap_verb)99 },
		{ .length = 4, .verb = BK_TRAP_CONSTANT, .width = 3 },
		{ .length = 4, .verb = BK_TRAP_CONSTANT, .width = 2, .value = 0x10000 },
		{ .length = 4, .verb = BK_TRAP_MIRROR, .value = UINT64_MAX },
	};
	struct bk_trap *trap;
	struct bk_error err;

	fake_bar(&f->fake, 0, 0, 0x1000, false);
	create(f);
	for (unsigned i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		err = (struct bk_error){ "" };
		assert_int_equal(bk_trap_add(f->mediate, &specs[i], &trap, &err), -EINVAL);
		assert_null(trap);
		assert_int_not_equal(err.text[0], 0);
	}
	assert_int_equal(bk_trap_add(f->mediate, &(struct bk_trap_desc){ .length = 4 }, &trap, &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "without handlers"));
}

static void a_trap_of_text_is_replaced_by_another(void **state)
{
	struct fixture *f = *state;
	struct bk_trap_desc spec = {
		.length = 8, .verb = BK_TRAP_CONSTANT, .width = 8, .value = 0x1122334455667788
	};
	struct bk_trap *trap, *next;

	fake_bar(&f->fake, 0, 0, 0x1000, false);
	create(f);
	assert_int_equal(bk_trap_add(f->mediate, &spec, &trap, NULL), 0);
	assert_int_equal(rd(f, 0, 0, 8), 0x1122334455667788);
	spec.value = 7;
	spec.width = 1;
	assert_int_equal(bk_trap_replace(trap, &spec, &next, NULL), 0);
	assert_int_equal(rd(f, 0, 0, 8), 0x0707070707070707);
	spec.width = 3;
	assert_int_equal(bk_trap_replace(next, &spec, &trap, NULL), -EINVAL);
	assert_int_equal(rd(f, 0, 0, 8), 0x0707070707070707);
}

int main(void)
{
#define EDGE(test) cmocka_unit_test_setup_teardown(test, bare_begin, bare_end)
	const struct CMUnitTest tests[] = {
		EDGE(a_vendors_own_region_is_the_device_belows),
		EDGE(a_device_with_fewer_regions_is_asked_for_no_more),
		EDGE(accesses_beyond_a_region_are_refused),
		EDGE(memory_that_an_embedder_puts_over_a_bar_is_no_area),
		EDGE(a_bar_that_is_offered_in_an_odd_way_is_not_mapped),
		EDGE(a_bar_that_is_read_only_is_mapped_read_only),
		EDGE(a_page_is_shared_only_if_all_of_the_bar_can_be_mapped),
		EDGE(what_describes_a_trap_is_copied),
		EDGE(each_of_many_areas_is_mapped),
		EDGE(a_bar_beyond_the_largest_page_is_mapped),
		EDGE(holes_come_and_go_with_the_traps_below),
		EDGE(a_device_that_cannot_be_watched_is_refused),
		EDGE(a_file_that_is_another_one_is_mapped_where_the_old_one_was),
		EDGE(a_file_that_cannot_be_guarded_is_not_mapped),
		EDGE(in_filter_mode_others_map_the_file),
		EDGE(structs_of_a_later_release_are_refused),
		EDGE(a_device_that_says_out_of_range_has_failed),
		EDGE(an_overlay_at_the_end_of_a_bar_leaves_the_rest_of_its_page_alone),
		EDGE(an_overlay_at_the_start_of_a_bar_reads_nothing_in_front_of_it),
		EDGE(wide_accesses_to_config_space_are_two),
		EDGE(a_log_says_what_failed_and_not_all_of_a_flood),
		EDGE(an_msix_table_and_pba_in_two_bars_are_both_the_functions),
		EDGE(a_short_express_capability_is_shown_as_far_as_it_goes),
		EDGE(a_device_that_cannot_be_reset_says_so_once),
		EDGE(a_compact_pci_capability_is_read_only),
		EDGE(resizable_bars_that_disagree_are_left_out),
		EDGE(a_conventional_device_has_no_extended_capabilities),
		EDGE(a_chain_of_the_devices_own_is_followed_with_care),
		EDGE(in_filter_mode_only_a_vga_device_shows_vga_ranges),
		EDGE(an_overlay_on_vga_ports_leaves_reads_whole_within_their_range),
		EDGE(a_rom_that_is_off_is_not_shown_in_filter_mode),
		EDGE(in_filter_mode_the_host_hides_what_the_device_says),
		EDGE(a_bar_whose_middle_a_capability_cannot_name_is_not_grown),
		EDGE(a_bar_of_64_bits_that_grows_for_the_table_sizes_over_both_registers),
		EDGE(a_rom_image_without_a_byte_is_refused),
		EDGE(a_trap_that_makes_no_sense_is_refused),
		EDGE(a_trap_of_text_is_replaced_by_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
