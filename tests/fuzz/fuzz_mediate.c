/* SPDX-License-Identifier: BSD-2-Clause */
/* A device that describes itself in any way, mediated; then any traps and accesses. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <barkeep/mediate.h>

#include "../unit/fake_device.h"

#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void quiet(void *opaque, enum bk_log_level level, const char *line)
{
}

/* A region that says anything of itself. What is behind it reads as 0. */
static void describe_region(struct fake *fake, unsigned index, struct input *input)
{
	struct bk_device_region *region = &fake->regions[index];

	region->flags = (unsigned)take(input, 1);
	region->size = take(input, 8) >> take(input, 1) % 64;
	region->fd_offset = take(input, 8) >> take(input, 1) % 64;
	region->fd = region->flags & BK_DEVICE_MMAP ? fake->regions[BK_DEVICE_VGA].fd : -1;
	fake->areas[index].count = (unsigned)take(input, 1) % 17;
	for (unsigned i = 0; i < fake->areas[index].count && i < 4; i++) {
		fake->areas[index].at[i].offset = take(input, 8) >> take(input, 1) % 64;
		fake->areas[index].at[i].size = take(input, 8) >> take(input, 1) % 64;
	}
}

/* BARs of some kinds and sizes, and config bytes as the input has them. */
static void describe(struct fake *fake, struct input *input)
{
	unsigned bars = (unsigned)take(input, 1), patches = (unsigned)take(input, 1);
	unsigned odd = (unsigned)take(input, 1);

	for (unsigned i = 0; i < 6; i++)
		if (bars >> i & 1)
			fake_bar(fake, i, 0, (uint64_t)16 << take(input, 1) % 14, bars & 0x40);
	for (unsigned i = 0; i < 6; i++)
		if (odd >> i & 1 && !(bars >> i & 1))
			describe_region(fake, i, input);
	if (odd & 0x40)
		fake->regions[BK_DEVICE_CONFIG].size = take(input, 2) % 4097;
	else if (bars & 0x80)
		fake->regions[BK_DEVICE_CONFIG].size = 256;
	if (odd & 0x80)
		for (unsigned i = 0; i < BK_DEVICE_IRQS; i++)
			fake->irqs[i].count = (unsigned)take(input, 2);
	fake_put(fake, 0x06, 2, 0x10);
	for (unsigned i = 0; i < patches && input->size; i++) {
		unsigned offset = (unsigned)take(input, 2) % 4096;

		fake_put(fake, offset, 1, take(input, 1));
	}
}

/* Whether anybody is there is all that may refuse a device. */
static bool is_there(const struct fake *fake)
{
	if (fake->regions[BK_DEVICE_CONFIG].size < 0x40 || fake_get(fake, 0, 2) == 0xffff)
		return false;
	for (unsigned i = 4; i < 0x40; i++)
		if (fake->config[i] != 0xff)
			return true;
	return false;
}

static struct bk_mediator_options choose(struct input *input)
{
	unsigned bits = (unsigned)take(input, 1);

	return (struct bk_mediator_options){
		.below_port = bits & 1,
		.vga = bits & 2,
		.share_page = bits & 4,
		.msix_move = bits & 8,
		.msix_bar = bits >> 4 & 7,
	};
}

/* Whoever runs the guest takes what it is asked for, but for every fourth. */
static unsigned asked;

static int start(void *opaque, const struct bk_accelerated *what, void **handle)
{
	if (++asked % 4 == 0)
		return -1;
	*handle = malloc(1);
	++*(unsigned *)opaque;
	return 0;
}

static void stop(void *opaque, void *handle)
{
	free(handle);
	--*(unsigned *)opaque;
}

static const struct bk_accelerator_ops accelerator_ops = { .start = start, .stop = stop };

static void check_area(void *opaque, const struct bk_device_area *area)
{
	const struct bk_device_region *region = opaque;

	if (area->offset + area->size > region->size)
		abort();
}

static void act(struct bk_mediator *mediate, struct input *input, struct bk_trap **traps, unsigned *count)
{
	unsigned what = (unsigned)take(input, 1), region = (unsigned)take(input, 1) % 9;
	struct bk_device *device = bk_mediator_device(mediate);
	struct bk_device_region info = { 0 };
	struct bk_trap_desc spec = { .region = region };
	struct bk_trap *replaced = NULL;
	uint8_t bytes[64] = { 0 };
	uint64_t offset;
	size_t length;

	switch (what % 8) {
	case 0:
	case 1:
		offset = take(input, 3);
		length = take(input, 1) % sizeof(bytes);
		memset(bytes, (int)take(input, 1), sizeof(bytes));
		if (what % 2)
			bk_device_write(device, region, offset, bytes, length);
		else
			bk_device_read(device, region, offset, bytes, length);
		break;
	case 2:
		spec.offset = take(input, 3);
		spec.length = take(input, 2);
		spec.verb = (enum bk_trap_verb)(what >> 4 & 3);
		spec.value = take(input, 4);
		spec.width = (unsigned)take(input, 1) % 10;
		spec.overlay = what & 0x40;
		spec.accelerate = what & 0x80;
		spec.from = (enum bk_trap_from)(region == BK_DEVICE_CONFIG ? spec.width % 3 : 0);
		spec.capability = (unsigned)(spec.value & 0x1f);
		if (*count < 64 && !bk_trap_add(mediate, &spec, &traps[*count], NULL))
			++*count;
		break;
	case 3:
		length = input->size < sizeof(bytes) - 1 ? input->size : sizeof(bytes) - 1;
		memcpy(bytes, input->data, length);
		if (!bk_trap_parse((char *)bytes, &spec, NULL) && *count < 64 &&
		    !bk_trap_add(mediate, &spec, &traps[*count], NULL))
			++*count;
		break;
	case 6:
		spec.offset = take(input, 3);
		spec.length = take(input, 2);
		spec.verb = BK_TRAP_LOG;
		spec.overlay = what & 0x40;
		if (*count)
			bk_trap_replace(traps[*count - 1], &spec, &replaced, NULL);
		if (*count && replaced)
			traps[*count - 1] = replaced;
		break;
	case 7: /* the same again and again */
		offset = take(input, 3);
		for (unsigned i = 0; i < BK_ACCELERATE_AFTER; i++)
			bk_device_write(device, region, offset, bytes, 1u << (what >> 4 & 3));
		break;
	case 4:
		if (*count)
			bk_trap_remove(traps[--*count]);
		break;
	default:
		bk_device_reset(device);
		if (!bk_device_region(device, region, &info))
			bk_device_areas(device, region, false, check_area, &info);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct bk_trap *traps[64];
	static int file = -1; /* what can be mapped of regions that say anything */
	unsigned count = 0;
	struct bk_domain *domain = bk_domain_create();
	struct bk_mediator *mediate;
	struct bk_mediator_options options;
	struct bk_error err = { "" };
	struct fake fake;
	unsigned running = 0;
	bool there;

	asked = 0;
	if (file < 0)
		file = memfd_create("fuzz", MFD_CLOEXEC);
	bk_log_set(quiet, NULL);
	fake_init(&fake);
	fake.regions[BK_DEVICE_VGA].fd = file;
	describe(&fake, &input);
	options = choose(&input);
	there = is_there(&fake);
	if (!bk_mediator_create(domain, &fake.device, &options, &mediate, &err)) {
		bk_mediator_accelerate(mediate, &accelerator_ops, &running);
		for (unsigned i = 0; i < 200 && input.size; i++)
			act(mediate, &input, traps, &count);
		bk_mediator_accelerate(mediate, NULL, NULL);
		if (running)
			abort();
		if (bk_mediator_destroy(mediate))
			abort();
	} else if (!*err.text || strchr(err.text, '\n') || (there && !options.vga && !options.msix_move)) {
		abort();
	}
	if (!fake.closed || bk_domain_destroy(domain))
		abort();
	fake_done(&fake);
	return 0;
}
