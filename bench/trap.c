/* SPDX-License-Identifier: BSD-2-Clause */
/* What a trap costs at dispatch: beside registers without one, by itself, and among many. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <barkeep/mediate.h>

#include "bench.h"
#include "parts.h"

enum { BAR_SIZE = 16 << 20, BASE = 0xc0000000, TRAP_SIZE = 8, PAGE = 4096 };

/* ---- A device that answers at once ------------------------------------- */

static int info(struct bk_device *device, struct bk_device_info *info)
{
	*info = (struct bk_device_info){ .regions = BK_DEVICE_REGIONS, .irqs = BK_DEVICE_IRQS };
	return 0;
}

static int bar_fd = -1;

static int region(struct bk_device *device, unsigned index, struct bk_device_region *region)
{
	*region = (struct bk_device_region){ .fd = -1 };
	if (index == BK_DEVICE_CONFIG)
		*region = (struct bk_device_region){ .flags = BK_DEVICE_READ | BK_DEVICE_WRITE,
						     .size = 256,
						     .fd = -1 };
	if (index == 0)
		*region =
			(struct bk_device_region){ .flags = BK_DEVICE_READ | BK_DEVICE_WRITE | BK_DEVICE_MMAP,
						   .size = BAR_SIZE,
						   .fd = bar_fd };
	return 0;
}

static int areas(struct bk_device *device, unsigned index, bool all, bk_device_area_fn *visit, void *opaque)
{
	if (index == 0)
		visit(opaque, &(struct bk_device_area){ .size = BAR_SIZE });
	return 0;
}

static int irq(struct bk_device *device, unsigned index, struct bk_device_irq *irq)
{
	*irq = (struct bk_device_irq){ 0 };
	return 0;
}

static int read_(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count)
{
	memset(data, 0, count);
	if (region == BK_DEVICE_CONFIG && count == 256)
		memcpy(data, "\x34\x12\x78\x56", 4);
	return 0;
}

static int write_(struct bk_device *device, unsigned region, uint64_t offset, const void *data, size_t count)
{
	return 0;
}

static const struct bk_device_ops device_ops = {
	.info = info, .region = region, .areas = areas, .irq = irq, .read = read_, .write = write_
};

/* ---- A BAR with traps, in a guest's memory ------------------------------ */

struct trapped {
	struct bk_device device;
	struct bk_domain *domain;
	struct bk_mediator *mediate;
	struct bk_space *memory;
	size_t traps;
	uint64_t addresses[LAYOUT_ADDRESSES];
	uint64_t ten[256]; /* of ten traps, in no order */
};

static int trap_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	*value = offset;
	return 0;
}

static const struct bk_trap_ops trap_ops = { .read = trap_read };

static struct bk_trap *add(struct trapped *t, uint64_t offset, bool overlay)
{
	const struct bk_trap_desc desc = {
		.offset = offset, .length = TRAP_SIZE, .overlay = overlay, .ops = &trap_ops
	};
	struct bk_trap *trap;

	if (bk_trap_add(t->mediate, &desc, &trap, NULL))
		die("no trap");
	return trap;
}

/* Each trap at a random place of its own share of the BAR, so that most are in pages of their own. */
static struct trapped *create(size_t traps, bool overlay)
{
	struct trapped *t = calloc(1, sizeof(*t));
	struct bk_region_desc desc = { .first = BASE, .last = BASE + BAR_SIZE - 1, .kind = BK_REGION_NESTED };
	uint64_t seed = 1, share = BAR_SIZE / traps, *offsets = calloc(traps, sizeof(*offsets));

	if (bar_fd < 0)
		bar_fd = memfd_create("bench", MFD_CLOEXEC);
	if (!t || !offsets || bar_fd < 0 || ftruncate(bar_fd, BAR_SIZE))
		die("no memory");
	t->device.ops = &device_ops;
	t->device.name = "bench";
	t->traps = traps;
	t->domain = bk_domain_create();
	t->memory = bk_space_create(t->domain, "memory", UINT64_MAX);
	if (bk_mediator_create(t->domain, &t->device, NULL, &t->mediate, NULL))
		die("no mediator");
	for (size_t i = 0; i < traps; i++) {
		offsets[i] =
			i * share + PAGE / 4 + bench_random(&seed) % (share - PAGE) / TRAP_SIZE * TRAP_SIZE;
		add(t, offsets[i], overlay);
	}
	for (size_t i = 0; i < LAYOUT_ADDRESSES; i++)
		t->addresses[i] = BASE + offsets[bench_random(&seed) % traps] + 4 * (bench_random(&seed) % 2);
	for (size_t i = 0; i < sizeof(t->ten) / sizeof(t->ten[0]); i++)
		t->ten[i] = BASE + offsets[bench_random(&seed) % 10 * (traps / 10)] +
			    4 * (bench_random(&seed) % 2);
	desc.nested = bk_mediator_space(t->mediate, 0);
	if (bk_region_add(t->memory, &desc, NULL, NULL))
		die("the BAR cannot be shown");
	free(offsets);
	return t;
}

static void destroy(struct trapped *t)
{
	bk_space_destroy(t->memory);
	bk_mediator_destroy(t->mediate);
	bk_domain_destroy(t->domain);
	free(t);
}

/* ---- Measured ---------------------------------------------------------- */

static void reads(const struct trapped *t, size_t count, uint64_t from, unsigned width)
{
	static uint16_t at; /* into a table of as many */
	uint64_t value;

	for (size_t i = 0; i < count; i++)
		if (bk_space_read(t->memory, t->addresses[at++] + from, width, &value))
			die("an access failed");
}

__attribute__((noinline)) void run_traps(void *opaque, size_t count)
{
	reads(opaque, count, 0, 4);
}

/* Ten of the traps, however many there are: what dispatch costs while the processor's caches hold their
 * state. */
static void hit_ten(void *opaque, size_t count)
{
	const struct trapped *t = opaque;
	static uint8_t at; /* of as many as are picked */
	uint64_t value;

	for (size_t i = 0; i < count; i++, at++)
		if (bk_space_read(t->memory, t->ten[at], 4, &value))
			die("an access failed");
}

/* A register before the trap, in the same page for all but a few. */
static void miss(void *opaque, size_t count)
{
	reads(opaque, count, -(uint64_t)16, 4);
}

/* 8 bytes, of which the first are not the trap's. */
static void straddle(void *opaque, size_t count)
{
	reads(opaque, count, -(uint64_t)4, 8);
}

static void change(void *opaque, size_t count)
{
	struct trapped *t = opaque;

	for (size_t i = 0; i < count; i++)
		bk_trap_remove(add(t, BAR_SIZE - 64, false));
}

void trap_count(size_t traps)
{
	struct trapped *t = create(traps, false);

	reads(t, LAYOUT_ADDRESSES, 0, 4); /* the caches know the addresses, and the traps */
	run_traps(t, LAYOUT_ADDRESSES);
	destroy(t);
}

void trap_costs(void)
{
	struct trapped *few = create(10, false), *many = create(1000, false), *overlay = create(10, true);
	struct bench_kernel kernels[] = {
		{ .name = "trap/10/random", .run = run_traps, .opaque = few },
		{ .name = "trap/1000/random", .run = run_traps, .opaque = many },
		{ .name = "trap/10/ten", .run = hit_ten, .opaque = few },
		{ .name = "trap/1000/ten", .run = hit_ten, .opaque = many },
		{ .name = "trap/10/beside", .run = miss, .opaque = few },
		{ .name = "trap/1000/beside", .run = miss, .opaque = many },
		{ .name = "trap/10/straddle", .run = straddle, .opaque = few },
		{ .name = "trap/10/straddle/overlay", .run = straddle, .opaque = overlay },
	};
	struct bench_kernel changes[] = {
		{ .name = "trap/10/add-remove", .run = change, .opaque = few },
		{ .name = "trap/1000/add-remove", .run = change, .opaque = many },
	};
	const size_t count = sizeof(kernels) / sizeof(kernels[0]);

	bench_pin(1);
	bench_measure(kernels, count, 3, BENCH_WALL);
	for (size_t i = 0; i < count; i++)
		bench_print(kernels[i].name, "ns", kernels[i].ns, kernels[i].low, kernels[i].high);
	bench_print_ratio("trap/1000/random", "x 10 traps", kernels[1].ns / kernels[0].ns, 1.5);
	bench_print_ratio("trap/1000/ten", "x 10 traps", kernels[3].ns / kernels[2].ns, 1.5);
	bench_print_ratio("trap/10/random", "x a register beside", kernels[0].ns / kernels[4].ns, 0);
	bench_measure(changes, 2, 2, BENCH_WALL);
	for (size_t i = 0; i < 2; i++)
		bench_print(changes[i].name, "ns", changes[i].ns, changes[i].low, changes[i].high);
	destroy(few);
	destroy(many);
	destroy(overlay);
}
