/* SPDX-License-Identifier: BSD-2-Clause */
/* The quirks that barkeep ships: what a guest sees, and what reaches the device, access by access. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <barkeep/quirk.h>

#include "fake_device.h"

enum { CONFIG = BK_DEVICE_CONFIG, ROM = BK_DEVICE_ROM, VGA = BK_DEVICE_VGA };

/* bar4 and bar5 are I/O or memory as a test needs them; the VGA ranges are there. */
struct fixture {
	struct fake fake;
	struct bk_domain *domain;
	struct bk_mediate *mediate;
	struct bk_device *stack;
};

static void quiet(void *opaque, enum bk_log_level level, const char *line)
{
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_init(&f->fake);
	f->fake.regions[VGA].flags = BK_DEVICE_READ | BK_DEVICE_WRITE;
	f->fake.regions[VGA].size = 0xc0000;
	f->fake.bytes[VGA] = calloc(1, 0xc0000);
	f->domain = bk_domain_create();
	bk_log_set(quiet, NULL);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->mediate)
		bk_mediate_close(f->mediate);
	else if (f->stack)
		bk_device_close(f->stack);
	assert_int_equal(bk_domain_destroy(f->domain), 0);
	free(f->fake.bytes[VGA]);
	f->fake.bytes[VGA] = NULL;
	fake_done(&f->fake);
	free(f);
	bk_log_set(NULL, NULL);
	return 0;
}

static void ids(struct fixture *f, unsigned vendor, unsigned device, unsigned class_code)
{
	fake_put(&f->fake, 0x00, 2, vendor);
	fake_put(&f->fake, 0x02, 2, device);
	fake_put(&f->fake, 0x09, 3, class_code);
}

/* Also in place of another. */
static void bar(struct fixture *f, unsigned index, unsigned low, uint64_t size)
{
	free(f->fake.bytes[index]);
	fake_bar(&f->fake, index, low, size, false);
}

/* A capability at the head of the chain. */
static void capability(struct fixture *f, unsigned offset, unsigned id)
{
	fake_put(&f->fake, offset, 2, id | fake_get(&f->fake, 0x34, 1) << 8);
	fake_put(&f->fake, 0x34, 1, offset);
	fake_put(&f->fake, 0x06, 2, 0x10);
}

static struct bk_quirk *load(const char *name)
{
	struct bk_quirk *quirk;
	struct bk_error err = { "" };
	char file[512];

	snprintf(file, sizeof(file), "%s/%s.yaml", QUIRKS, name);
	if (bk_quirk_load(file, &quirk, &err))
		fail_msg("%s", err.text);
	assert_string_equal(bk_quirk_name(quirk), name);
	return quirk;
}

static int matches(struct fixture *f, const char *name, const char *option, uint64_t value)
{
	struct bk_quirk *quirk = load(name);
	const struct bk_quirk_setting setting = { option, value };
	struct bk_error err = { "" };
	int r = bk_quirk_match(quirk, &f->fake.device, &setting, option ? 1 : 0, &err);

	if (r < 1)
		assert_true(*err.text && !strchr(err.text, '\n'));
	bk_quirk_free(quirk);
	return r;
}

/* The quirk in front of the device, which it must match. */
static void stack(struct fixture *f, const char *name, const char *option, uint64_t value)
{
	struct bk_quirk *quirk = load(name);
	const struct bk_quirk_setting setting = { option, value };
	struct bk_error err = { "" };

	if (bk_quirk_match(quirk, &f->fake.device, &setting, option ? 1 : 0, &err) != 1)
		fail_msg("%s", err.text);
	if (bk_quirk_stack(&f->fake.device, &quirk, 1, &setting, option ? 1 : 0, &f->stack, &err))
		fail_msg("%s", err.text);
	bk_quirk_free(quirk);
}

static void apply(struct fixture *f, const char *name, const char *option, uint64_t value)
{
	struct bk_mediate_options options = { .vga = option && !strcmp(option, "vga") };
	struct bk_error err = { "" };

	stack(f, name, option, value);
	if (bk_mediate_create(f->domain, f->stack, &options, &f->mediate, &err) ||
	    bk_quirk_attach(f->mediate, &err))
		fail_msg("%s", err.text);
}

static uint64_t rd(struct fixture *f, unsigned region, uint64_t offset, unsigned width)
{
	uint8_t bytes[8] = { 0 };
	uint64_t value = 0;

	bk_device_read(bk_mediate_device(f->mediate), region, offset, bytes, width);
	for (unsigned i = 0; i < width; i++)
		value |= (uint64_t)bytes[i] << 8 * i;
	return value;
}

static void wr(struct fixture *f, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	bk_device_write(bk_mediate_device(f->mediate), region, offset, bytes, width);
}

/* What the registers of the fake hold. */
static void hold(struct fixture *f, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	for (unsigned i = 0; i < width; i++)
		f->fake.bytes[region][offset + i] = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
}

/*
 * 'r' and 'w': the guest reads the value, writes the value. Behind it stands
 * all that the device sees of it: 'R' with any value, 'W' with the value.
 */
struct step {
	char what;
	unsigned region;
	uint64_t offset;
	unsigned width;
	uint64_t value;
};

static void play(struct fixture *f, const struct step *step)
{
	while (step->what) {
		unsigned seen = 0;
		const struct step guest = *step;

		f->fake.accesses = 0;
		if (guest.what == 'w')
			wr(f, guest.region, guest.offset, guest.width, guest.value);
		else
			assert_int_equal(rd(f, guest.region, guest.offset, guest.width), guest.value);
		for (step++; step->what == 'R' || step->what == 'W'; step++, seen++) {
			const struct fake_access *access = &f->fake.access[seen];

			assert_true(seen < f->fake.accesses);
			assert_int_equal(access->write, step->what == 'W');
			assert_int_equal(access->region, step->region);
			assert_int_equal(access->offset, step->offset);
			assert_int_equal(access->count, step->width);
			if (access->write)
				assert_int_equal(access->value, step->value);
		}
		assert_int_equal(seen, f->fake.accesses);
	}
}

#define PLAY(f, ...) play(f, (const struct step[]){ __VA_ARGS__, { 0 } })

/* ---- Nvidia ------------------------------------------------------------ */

static void nvidia(struct fixture *f)
{
	ids(f, 0x10de, 0x1b80, 0x030000);
	bar(f, 0, 0, 0x1000000);
	bar(f, 1, 0xc, 0x10000);
	bar(f, 5, 1, 128);
	fake_put(&f->fake, 0x10, 4, 0xdead0000); /* the host's */
}

static void nvidia_mirror(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	capability(f, 0x60, 0x05);
	fake_put(&f->fake, 0x62, 2, 0x0080);
	apply(f, "nvidia-bar0-mirror", NULL, 0);
	PLAY(f, { 'w', CONFIG, 0x10, 4, 0xe1000000 },
	     /* Reads reach the hardware, and are answered by the guest's config space. */
	     { 'r', 0, 0x88000, 4, 0x1b8010de }, { 'R', 0, 0x88000, 4, 0 },
	     { 'r', 0, 0x88010, 4, 0xe1000000 }, { 'R', 0, 0x88010, 4, 0 }, { 'r', 0, 0x88013, 1, 0xe1 },
	     { 'R', 0, 0x88013, 1, 0 }, { 'r', 0, 0x88012, 2, 0xe100 }, { 'R', 0, 0x88012, 2, 0 },
	     /* Writes reach the guest's config space alone. */
	     { 'w', 0, 0x88010, 4, 0xf2000000 }, { 'r', CONFIG, 0x10, 4, 0xf2000000 },
	     { 'w', 0, 0x88700, 4, 0 }, { 'w', 0, 0x88ffc, 4, 1 },
	     /* Behind the mirror the registers are the device's. */
	     { 'r', 0, 0x89000, 4, fake_pattern(0x89000, 4) }, { 'R', 0, 0x89000, 4, 0 },
	     { 'r', 0, 0x87ffc, 4, fake_pattern(0x87ffc, 4) }, { 'R', 0, 0x87ffc, 4, 0 });
	assert_int_equal(fake_get(&f->fake, 0x10, 4), 0xdead0000);
}

static void writes_inside_the_first_two_bytes_of_msi_reach_the_hardware_too(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	capability(f, 0x60, 0x05);
	fake_put(&f->fake, 0x62, 2, 0x0080);
	apply(f, "nvidia-bar0-mirror", NULL, 0);
	PLAY(f, { 'w', 0, 0x88060, 1, 0xff }, { 'W', 0, 0x88060, 1, 0xff }, { 'w', 0, 0x88061, 1, 0xff },
	     { 'W', 0, 0x88061, 1, 0xff }, { 'w', 0, 0x88060, 2, 0xffff }, { 'W', 0, 0x88060, 2, 0xffff },
	     { 'w', 0, 0x88060, 4, 0xffff }, { 'w', 0, 0x88062, 1, 0xff }, { 'w', 0, 0x8805f, 1, 0xff },
	     { 'w', 0, 0x88061, 2, 0xffff }, { 'w', 0, 0x88000, 1, 0xff }, { 'r', 0, 0x88060, 1, 0x05 },
	     { 'R', 0, 0x88060, 1, 0 });
}

/* The device below is asked through the quirk. */
static unsigned asked, reached;

static int ioeventfd(struct bk_device *device, unsigned region, uint64_t offset, unsigned width,
		     uint64_t value, int fd)
{
	reached += region == 0 && offset == 0x88704 && width == 4 && value == 0 && fd == 17;
	return 0;
}

static int accelerate(void *opaque, const struct bk_accelerated *what, void **handle)
{
	struct fixture *f = opaque;

	assert_int_equal(what->bar, 0);
	assert_int_equal(what->offset, 0x88704);
	assert_int_equal(what->width, 4);
	assert_int_equal(what->value, 0);
	assert_int_equal(bk_device_ioeventfd(bk_mediate_below(f->mediate), 0, 0x88704, 4, 0, 17), 0);
	asked++;
	return 0;
}

static void decelerate(void *opaque, void *handle)
{
	asked--;
}

static void the_same_write_ten_times_is_the_kernels(void **state)
{
	struct fixture *f = *state;
	static const struct bk_accelerator_ops ops = { accelerate, decelerate };
	struct bk_device_ops below = *f->fake.device.ops;

	below.ioeventfd = ioeventfd;
	f->fake.device.ops = &below;
	nvidia(f);
	capability(f, 0x60, 0x05);
	fake_put(&f->fake, 0x62, 2, 0x0080);
	apply(f, "nvidia-bar0-mirror", NULL, 0);
	bk_mediate_accelerate(f->mediate, &ops, f);
	for (unsigned i = 0; i < 9; i++)
		PLAY(f, { 'w', 0, 0x88704, 4, 0 }, { 'W', 0, 0x88704, 4, 0 });
	PLAY(f, { 'r', 0, 0x88704, 4, 0 }, { 'R', 0, 0x88704, 4, 0 });
	assert_int_equal(asked, 0);
	PLAY(f, { 'w', 0, 0x88704, 4, 0 }, { 'W', 0, 0x88704, 4, 0 });
	assert_int_equal(asked, 1);
	assert_int_equal(reached, 1);
	for (unsigned i = 0; i < 20; i++)
		PLAY(f, { 'w', 0, 0x88710, 4, 0 });
	assert_int_equal(asked, 1);
	assert_int_equal(bk_device_reset(bk_mediate_device(f->mediate)), 0);
	assert_int_equal(asked, 0);
	bk_mediate_close(f->mediate); /* while the table of calls is there */
	f->mediate = NULL;
	f->stack = NULL;
}

static void without_msi_nothing_is_forwarded(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	apply(f, "nvidia-bar0-mirror", NULL, 0);
	PLAY(f, { 'w', 0, 0x88000, 1, 0xff }, { 'w', 0, 0x88060, 1, 0xff });
}

static void a_small_config_space_has_a_small_mirror(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	f->fake.regions[CONFIG].size = 256;
	apply(f, "nvidia-bar0-mirror", NULL, 0);
	PLAY(f, { 'r', 0, 0x88000, 2, 0x10de }, { 'R', 0, 0x88000, 2, 0 },
	     { 'r', 0, 0x88100, 2, fake_pattern(0x88100, 2) }, { 'R', 0, 0x88100, 2, 0 });
}

static void boards_that_compute_have_no_mirror(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	assert_int_equal(matches(f, "nvidia-bar0-mirror", NULL, 0), 1);
	ids(f, 0x10de, 0x1b80, 0x030200);
	assert_int_equal(matches(f, "nvidia-bar0-mirror", NULL, 0), 0);
	ids(f, 0x10df, 0x1b80, 0x030000);
	assert_int_equal(matches(f, "nvidia-bar0-mirror", NULL, 0), 0);
}

static void nvidia_mirror_at_1800(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	capability(f, 0x60, 0x05);
	assert_int_equal(matches(f, "nvidia-bar0-1800", NULL, 0), 0);
	assert_int_equal(matches(f, "nvidia-bar0-1800", "vga", 0), 0);
	apply(f, "nvidia-bar0-1800", "vga", 1);
	PLAY(f, { 'r', 0, 0x1800, 4, 0x1b8010de }, { 'R', 0, 0x1800, 4, 0 },
	     { 'w', 0, 0x1810, 4, 0xe1000000 }, { 'r', CONFIG, 0x10, 4, 0xe1000000 },
	     { 'w', 0, 0x1860, 1, 0xff }, { 'W', 0, 0x1860, 1, 0xff },
	     { 'r', 0, 0x1900, 1, fake_pattern(0x1900, 1) }, { 'R', 0, 0x1900, 1, 0 });
}

static void nvidia_window(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	assert_int_equal(matches(f, "nvidia-bar5-window", NULL, 0), 0);
	apply(f, "nvidia-bar5-window", "vga", 1);
	hold(f, 5, 0, 16, 0);
	PLAY(f, { 'w', CONFIG, 0x10, 4, 0xe1000000 },
	     /* Not enabled: the address is not watched, the data are the device's. */
	     { 'w', 5, 8, 4, 0x1810 }, { 'W', 5, 8, 4, 0x1810 }, { 'r', 5, 12, 4, 0 }, { 'R', 5, 12, 4, 0 },
	     { 'w', 5, 0, 4, 1 }, { 'W', 5, 0, 4, 1 }, { 'r', 5, 12, 4, 0 }, { 'R', 5, 12, 4, 0 },
	     { 'w', 5, 4, 4, 1 }, { 'W', 5, 4, 4, 1 }, { 'r', 5, 12, 4, 0 }, { 'R', 5, 12, 4, 0 },
	     /* Both bits: an address of the first range arms it. */
	     { 'w', 5, 8, 4, 0x1810 }, { 'W', 5, 8, 4, 0x1810 }, { 'r', 5, 12, 4, 0xe1000000 },
	     { 'R', 5, 12, 4, 0 }, { 'w', 5, 12, 4, 0xf2000000 }, { 'r', CONFIG, 0x10, 4, 0xf2000000 },
	     { 'r', 5, 14, 2, 0xf200 }, { 'R', 5, 14, 2, 0 },
	     /* The second range, and all of it. */
	     { 'w', 5, 8, 4, 0x88000 }, { 'W', 5, 8, 4, 0x88000 }, { 'r', 5, 12, 4, 0x1b8010de },
	     { 'R', 5, 12, 4, 0 }, { 'w', 5, 8, 4, 0x88ffc }, { 'W', 5, 8, 4, 0x88ffc }, { 'w', 5, 12, 4, 5 },
	     /* Beyond them it is disarmed. */
	     { 'w', 5, 8, 4, 0x1900 }, { 'W', 5, 8, 4, 0x1900 }, { 'w', 5, 12, 4, 0x55 },
	     { 'W', 5, 12, 4, 0x55 }, { 'r', 5, 12, 4, 0x55 }, { 'R', 5, 12, 4, 0 },
	     /* Armed, then one of the bits off. */
	     { 'w', 5, 8, 4, 0x1800 }, { 'W', 5, 8, 4, 0x1800 }, { 'w', 5, 0, 4, 2 }, { 'W', 5, 0, 4, 2 },
	     { 'r', 5, 12, 4, 0x55 }, { 'R', 5, 12, 4, 0 }, { 'w', 5, 0, 4, 3 }, { 'W', 5, 0, 4, 3 },
	     { 'r', 5, 12, 4, 0x1b8010de }, { 'R', 5, 12, 4, 0 });
}

static void nvidia_sequence_through_vga_ports(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	apply(f, "nvidia-vga-ports", "vga", 1);
	PLAY(f, { 'w', CONFIG, 0x10, 4, 0xe1000000 },
	     /* A read of the register at 0x1812. */
	     { 'w', VGA, 0x3d4, 2, 0x338 }, { 'W', VGA, 0x3d4, 2, 0x338 }, { 'w', VGA, 0x3d0, 2, 0x1812 },
	     { 'W', VGA, 0x3d0, 2, 0x1812 }, { 'w', VGA, 0x3d4, 2, 0x538 }, { 'W', VGA, 0x3d4, 2, 0x538 },
	     { 'r', VGA, 0x3d0, 2, 0xe100 }, { 'R', VGA, 0x3d0, 2, 0 },
	     /* Once only. */
	     { 'r', VGA, 0x3d0, 2, 0x1812 }, { 'R', VGA, 0x3d0, 2, 0 },
	     /* A write there: the device does not see the data. */
	     { 'w', VGA, 0x3d4, 2, 0x338 }, { 'W', VGA, 0x3d4, 2, 0x338 }, { 'w', VGA, 0x3d0, 2, 0x1812 },
	     { 'W', VGA, 0x3d0, 2, 0x1812 }, { 'w', VGA, 0x3d4, 2, 0x738 }, { 'W', VGA, 0x3d4, 2, 0x738 },
	     { 'w', VGA, 0x3d0, 2, 0xf200 }, { 'r', CONFIG, 0x10, 4, 0xf2000000 },
	     { 'w', VGA, 0x3d0, 2, 0x1111 }, { 'W', VGA, 0x3d0, 2, 0x1111 },
	     /* Another target is the device's. */
	     { 'w', VGA, 0x3d4, 2, 0x338 }, { 'W', VGA, 0x3d4, 2, 0x338 }, { 'w', VGA, 0x3d0, 2, 0x1912 },
	     { 'W', VGA, 0x3d0, 2, 0x1912 }, { 'w', VGA, 0x3d4, 2, 0x538 }, { 'W', VGA, 0x3d4, 2, 0x538 },
	     { 'r', VGA, 0x3d0, 2, 0x1912 }, { 'R', VGA, 0x3d0, 2, 0 },
	     /* Any other access in between begins anew. */
	     { 'w', VGA, 0x3d4, 2, 0x338 }, { 'W', VGA, 0x3d4, 2, 0x338 }, { 'r', VGA, 0x3d4, 2, 0x338 },
	     { 'R', VGA, 0x3d4, 2, 0 }, { 'w', VGA, 0x3d0, 2, 0x1812 }, { 'W', VGA, 0x3d0, 2, 0x1812 },
	     { 'w', VGA, 0x3d4, 2, 0x538 }, { 'W', VGA, 0x3d4, 2, 0x538 }, { 'r', VGA, 0x3d0, 2, 0x1812 },
	     { 'R', VGA, 0x3d0, 2, 0 });
}

static void nvidia_clique(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	assert_int_equal(matches(f, "nvidia-gpudirect", NULL, 0), 0);
	assert_int_equal(matches(f, "nvidia-gpudirect", "clique", 16), -EINVAL);
	capability(f, 0x60, 0x05);
	fake_put(&f->fake, 0x62, 2, 0x0080);
	apply(f, "nvidia-gpudirect", "clique", 5);
	PLAY(f, { 'r', CONFIG, 0x34, 1, 0x60 }, { 'r', CONFIG, 0x60, 2, 0xc805 },
	     { 'r', CONFIG, 0xc8, 4, 0x50080009 }, { 'r', CONFIG, 0xcc, 4, 0x00285032 },
	     { 'w', CONFIG, 0xcc, 4, 0 }, { 'r', CONFIG, 0xcc, 4, 0x00285032 },
	     { 'r', CONFIG, 0x60, 1, 0x05 });
}

static void nvidia_clique_elsewhere(void **state)
{
	struct fixture *f = *state;

	nvidia(f);
	capability(f, 0xc8, 0x09);
	fake_put(&f->fake, 0xca, 1, 8);
	apply(f, "nvidia-gpudirect", "clique", 0);
	PLAY(f, { 'r', CONFIG, 0x34, 1, 0xc8 }, { 'r', CONFIG, 0xc9, 1, 0xd4 },
	     { 'r', CONFIG, 0xd4, 4, 0x50080009 }, { 'r', CONFIG, 0xd8, 4, 0x5032 });
}

static void no_room_for_a_clique(void **state)
{
	struct fixture *f = *state;
	struct bk_quirk *quirk = load("nvidia-gpudirect");
	const struct bk_quirk_setting setting = { "clique", 1 };
	struct bk_device *device;
	struct bk_error err = { "" };

	nvidia(f);
	capability(f, 0xc8, 0x09);
	capability(f, 0xd8, 0x09);
	assert_int_equal(bk_quirk_stack(&f->fake.device, &quirk, 1, &setting, 1, &device, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "nvidia-gpudirect.yaml:13: there is no room"));
	assert_true(f->fake.closed);
	bk_quirk_free(quirk);
}

/* ---- ATI and AMD ------------------------------------------------------- */

static void ati(struct fixture *f)
{
	ids(f, 0x1002, 0x6649, 0x030000);
	bar(f, 2, 0xc, 0x40000);
	bar(f, 4, 1, 256);
	bar(f, 5, 0, 0x40000);
}

static void ati_window(void **state)
{
	struct fixture *f = *state;

	ati(f);
	assert_int_equal(matches(f, "ati-bar4-window", NULL, 0), 0);
	apply(f, "ati-bar4-window", "vga", 1);
	hold(f, 4, 0, 8, 0);
	PLAY(f, { 'w', CONFIG, 0x18, 4, 0xe1000000 }, { 'r', 4, 4, 4, 0 }, { 'R', 4, 4, 4, 0 },
	     { 'w', 4, 0, 4, 0x4018 }, { 'W', 4, 0, 4, 0x4018 }, { 'r', 4, 4, 4, 0xe100000c },
	     { 'R', 4, 4, 4, 0 }, { 'r', 4, 7, 1, 0xe1 }, { 'R', 4, 7, 1, 0 }, { 'w', 4, 4, 4, 0xf2000000 },
	     { 'r', CONFIG, 0x18, 4, 0xf200000c }, { 'w', 4, 0, 4, 0x4fff }, { 'W', 4, 0, 4, 0x4fff },
	     { 'r', 4, 4, 1, 0 }, { 'R', 4, 4, 1, 0 }, { 'w', 4, 0, 4, 0x5000 }, { 'W', 4, 0, 4, 0x5000 },
	     { 'w', 4, 4, 4, 0x77 }, { 'W', 4, 4, 4, 0x77 }, { 'r', 4, 4, 4, 0x77 }, { 'R', 4, 4, 4, 0 },
	     { 'r', 4, 0, 4, 0x5000 }, { 'R', 4, 0, 4, 0 });
}

static void ati_mirror(void **state)
{
	struct fixture *f = *state;

	ati(f);
	apply(f, "ati-bar2-mirror", "vga", 1);
	PLAY(f, { 'w', CONFIG, 0x18, 4, 0xe1000000 }, { 'r', 2, 0x4018, 4, 0xe100000c },
	     { 'R', 2, 0x4018, 4, 0 }, { 'w', 2, 0x4018, 4, 0xf2000000 },
	     { 'r', CONFIG, 0x18, 4, 0xf200000c }, { 'r', 2, 0x4100, 4, fake_pattern(0x4100, 4) },
	     { 'R', 2, 0x4100, 4, 0 });
}

static void only_where_bar_2_is_64_bit(void **state)
{
	struct fixture *f = *state;

	ati(f);
	assert_int_equal(matches(f, "ati-bar2-mirror", "vga", 1), 1);
	fake_put(&f->fake, 0x18, 4, 0);
	assert_int_equal(matches(f, "ati-bar2-mirror", "vga", 1), 0);
}

static void ati_port_3c3(void **state)
{
	struct fixture *f = *state;

	ati(f);
	apply(f, "ati-vga-ports", "vga", 1);
	PLAY(f, { 'w', CONFIG, 0x20, 4, 0xc300 }, { 'r', VGA, 0x3c3, 1, 0xc3 }, { 'w', VGA, 0x3c3, 1, 1 },
	     { 'r', VGA, 0x3c3, 1, 0xc3 }, { 'w', VGA, 0x3c2, 1, 1 }, { 'W', VGA, 0x3c2, 1, 1 },
	     { 'r', VGA, 0x3c2, 2, 0xc301 }, { 'R', VGA, 0x3c2, 1, 0 });
}

static void only_with_256_ports(void **state)
{
	struct fixture *f = *state;

	ati(f);
	assert_int_equal(matches(f, "ati-vga-ports", "vga", 1), 1);
	f->fake.regions[4].size = 128;
	assert_int_equal(matches(f, "ati-vga-ports", "vga", 1), 0);
}

static void ati_vga_of_qemu(void **state)
{
	struct fixture *f = *state;

	ids(f, 0x1002, 0x5046, 0x030000);
	bar(f, 2, 0, 0x4000);
	apply(f, "ati-vga", NULL, 0);
	PLAY(f, { 'w', CONFIG, 0x18, 4, 0xe1000000 }, { 'r', 2, 0xf18, 4, 0xe1000000 },
	     { 'R', 2, 0xf18, 4, 0 }, { 'r', 2, 0xf1b, 1, 0xe1 }, { 'R', 2, 0xf1b, 1, 0 },
	     { 'w', 2, 0xf18, 4, 0xe2000000 }, { 'r', CONFIG, 0x18, 4, 0xe2000000 },
	     { 'r', 2, 0xefc, 4, fake_pattern(0xefc, 4) }, { 'R', 2, 0xefc, 4, 0 });
}

static void amd_reset(void **state)
{
	struct fixture *f = *state;
	static const struct fake_access expected[] = {
		{ 5, 0x200, 4, true, 0x80000004 }, { 5, 0x204, 4, false, 0 },
		{ 5, 0x200, 4, true, 0x80000370 }, { 5, 0x204, 4, false, 0 },
		{ 5, 0x200, 4, true, 0xc00c0000 }, { 5, 0x204, 4, false, 0 },
		{ 5, 0x200, 4, true, 0xc0000010 }, { 5, 0x204, 4, false, 0 },
		{ 5, 0x204, 4, true, 0x20102 },    { 5, 0x204, 4, false, 0 },
		{ 5, 0x5428, 4, false, 0 },        { 5, 0x200, 4, true, 0x80000000 },
		{ 5, 0x204, 4, false, 0 },         { 5, 0x204, 4, true, 0x20103 },
		{ 5, 0x200, 4, true, 0x80000004 }, { 5, 0x204, 4, false, 0 },
		{ 5, 0x204, 4, true, 0x20103 },
	};
	struct bk_device_info info;

	ati(f);
	f->fake.info.flags = 0;
	f->fake.reset_result = -EOPNOTSUPP;
	stack(f, "amd-bonaire-hawaii-reset", NULL, 0);
	assert_int_equal(bk_device_info(f->stack, &info), 0);
	assert_int_equal(info.flags, BK_DEVICE_CAN_RESET);
	hold(f, 5, 0x204, 4, 0x20100);
	f->fake.accesses = 0;
	assert_int_equal(bk_device_reset(f->stack), 0);
	assert_int_equal(f->fake.resets, 0);
	assert_int_equal(f->fake.accesses, sizeof(expected) / sizeof(expected[0]));
	for (unsigned i = 0; i < f->fake.accesses; i++) {
		const struct fake_access *access = &f->fake.access[i];

		assert_int_equal(access->write, expected[i].write);
		assert_int_equal(access->offset, expected[i].offset);
		assert_int_equal(access->count, 4);
		if (access->write)
			assert_int_equal(access->value, expected[i].value);
	}
	assert_int_equal(fake_get(&f->fake, 0x7c, 4), 0x39d5e86b);
}

static void amd_polls_until_memory_is_back_or_time_is_up(void **state)
{
	struct fixture *f = *state;
	unsigned polls = 0;

	ati(f);
	f->fake.info.flags = 0;
	stack(f, "amd-bonaire-hawaii-reset", NULL, 0);
	hold(f, 5, 0x204, 4, 0x20100);
	hold(f, 5, 0x5428, 4, 0xffffffff);
	f->fake.accesses = 0;
	assert_int_equal(bk_device_reset(f->stack), 0);
	for (unsigned i = 0; i < f->fake.accesses; i++)
		polls += f->fake.access[i].offset == 0x5428;
	assert_true(polls > 5);
	assert_int_equal(f->fake.access[f->fake.accesses - 1].value, 0x20103);
}

static void amd_is_reset_at_the_end_if_a_guest_had_it(void **state)
{
	struct fixture *f = *state;
	const struct bk_device_dma dma = { .size = 0x1000, .fd = -1 };

	ati(f);
	f->fake.info.flags = 0;
	for (unsigned used = 0; used < 2; used++) {
		stack(f, "amd-bonaire-hawaii-reset", NULL, 0);
		hold(f, 5, 0x204, 4, 0x20100);
		if (used)
			bk_device_dma_map(f->stack, &dma, NULL);
		f->fake.accesses = 0;
		bk_device_close(f->stack);
		f->stack = NULL;
		assert_int_equal(fake_get(&f->fake, 0x7c, 4), used ? 0x39d5e86b : 0);
		assert_int_equal(f->fake.accesses != 0, used);
	}
}

static void amd_without_firmware_is_not_reset(void **state)
{
	struct fixture *f = *state;

	ati(f);
	f->fake.info.flags = 0;
	stack(f, "amd-bonaire-hawaii-reset", NULL, 0);
	hold(f, 5, 0x204, 4, 0x200fe);
	f->fake.accesses = 0;
	assert_int_equal(bk_device_reset(f->stack), -EIO);
	assert_int_equal(f->fake.accesses, 4);
	hold(f, 5, 0x204, 4, 0x20101);
	assert_int_equal(bk_device_reset(f->stack), -EIO);
	assert_int_equal(fake_get(&f->fake, 0x7c, 4), 0);
}

static void the_hosts_reset_is_preferred(void **state)
{
	struct fixture *f = *state;

	ati(f);
	stack(f, "amd-bonaire-hawaii-reset", NULL, 0);
	f->fake.accesses = 0;
	assert_int_equal(bk_device_reset(f->stack), 0);
	assert_int_equal(f->fake.resets, 1);
	assert_int_equal(f->fake.accesses, 0);
}

static void only_those_chips(void **state)
{
	struct fixture *f = *state;

	ati(f);
	for (unsigned id = 0x6600; id < 0x6800; id++) {
		static const unsigned listed[] = { 0x6649, 0x6650, 0x6651, 0x6658, 0x665c, 0x665d,
						   0x67a0, 0x67a1, 0x67a2, 0x67a8, 0x67a9, 0x67aa,
						   0x67b0, 0x67b1, 0x67b8, 0x67b9, 0x67ba, 0x67be };
		int expected = 0;

		for (unsigned i = 0; i < sizeof(listed) / sizeof(listed[0]); i++)
			expected |= listed[i] == id;
		if (!expected && id % 16)
			continue; /* some that are not */
		fake_put(&f->fake, 2, 2, id);
		assert_int_equal(matches(f, "amd-bonaire-hawaii-reset", NULL, 0), expected);
	}
}

/* ---- Realtek ----------------------------------------------------------- */

static void realtek_back_door(void **state)
{
	struct fixture *f = *state;

	ids(f, 0x10ec, 0x8168, 0x020000);
	bar(f, 2, 0xc, 0x1000);
	bar(f, 4, 0xc, 0x1000);
	fake_msix(&f->fake, 0xb0, 0, 4, 4, 0x804);
	fake_put(&f->fake, 0x34, 1, 0xb0);
	apply(f, "realtek-8168", NULL, 0);
	hold(f, 2, 0x70, 8, 0);
	PLAY(f,
	     /* A write to the table: the device gets the data, and not the command. */
	     { 'w', 2, 0x70, 4, 0xfee00398 }, { 'W', 2, 0x70, 4, 0xfee00398 },
	     { 'w', 2, 0x74, 4, 0x8001f000 }, { 'r', 2, 0x74, 4, 0x0001f000 }, { 'R', 2, 0x74, 4, 0 },
	     { 'r', 4, 0, 4, 0xfee00398 }, { 'w', 2, 0x70, 4, 0x4051 }, { 'W', 2, 0x70, 4, 0x4051 },
	     { 'w', 2, 0x74, 4, 0x8001f018 }, { 'r', 4, 0x18, 4, 0x4051 },
	     /* A read of the table. */
	     { 'w', 2, 0x74, 4, 0x0001f000 }, { 'W', 2, 0x74, 4, 0x0001f000 },
	     { 'r', 2, 0x74, 4, 0x8001f000 }, { 'R', 2, 0x74, 4, 0 }, { 'r', 2, 0x70, 4, 0xfee00398 },
	     { 'R', 2, 0x70, 4, 0 },
	     /* Other kinds of registers are the device's. */
	     { 'w', 2, 0x74, 4, 0x0002f000 }, { 'W', 2, 0x74, 4, 0x0002f000 },
	     { 'r', 2, 0x74, 4, 0x0002f000 }, { 'R', 2, 0x74, 4, 0 }, { 'r', 2, 0x70, 4, 0x4051 },
	     { 'R', 2, 0x70, 4, 0 }, { 'w', 2, 0x74, 4, 0x8002f000 }, { 'W', 2, 0x74, 4, 0x8002f000 },
	     /* Four aligned bytes, and nothing else. */
	     { 'r', 2, 0x74, 2, 0xffff }, { 'w', 2, 0x75, 1, 1 }, { 'r', 2, 0x70, 1, 0xff },
	     { 'r', 2, 0x78, 4, fake_pattern(0x78, 4) }, { 'R', 2, 0x78, 4, 0 },
	     { 'r', 2, 0x6c, 4, fake_pattern(0x6c, 4) }, { 'R', 2, 0x6c, 4, 0 });
}

static void the_table_may_have_been_moved(void **state)
{
	struct fixture *f = *state;
	const struct bk_mediate_options options = { .msix_move = true, .msix_bar = 0 };
	struct bk_error err = { "" };

	ids(f, 0x10ec, 0x8168, 0x020000);
	bar(f, 2, 0xc, 0x1000);
	bar(f, 4, 0xc, 0x1000);
	fake_msix(&f->fake, 0xb0, 0, 4, 4, 0x804);
	fake_put(&f->fake, 0x34, 1, 0xb0);
	stack(f, "realtek-8168", NULL, 0);
	if (bk_mediate_create(f->domain, f->stack, &options, &f->mediate, &err) ||
	    bk_quirk_attach(f->mediate, &err))
		fail_msg("%s", err.text);
	PLAY(f, { 'w', 2, 0x70, 4, 0xfee00398 }, { 'W', 2, 0x70, 4, 0xfee00398 },
	     { 'w', 2, 0x74, 4, 0x8001f010 }, { 'r', 0, 0x10, 4, 0xfee00398 });
	assert_int_not_equal(rd(f, 4, 0x10, 4), 0xfee00398);
}

static void without_msix_the_table_is_nowhere(void **state)
{
	struct fixture *f = *state;

	ids(f, 0x10ec, 0x8168, 0x020000);
	bar(f, 2, 0xc, 0x1000);
	apply(f, "realtek-8168", NULL, 0);
	hold(f, 2, 0x70, 8, 0);
	PLAY(f, { 'w', 2, 0x70, 4, 0x77 }, { 'W', 2, 0x70, 4, 0x77 }, { 'w', 2, 0x74, 4, 0x8001f000 },
	     { 'r', 2, 0x74, 4, 0x0001f000 }, { 'R', 2, 0x74, 4, 0 }, { 'r', 2, 0x70, 4, 0x77 },
	     { 'R', 2, 0x70, 4, 0 });
}

/* ---- Intel ------------------------------------------------------------- */

static void intel(struct fixture *f, unsigned device)
{
	ids(f, 0x8086, device, 0x030000);
	bar(f, 0, 4, 0x1000000);
	fake_put(&f->fake, 0x50, 4, 0x12345678);
	fake_put(&f->fake, 0x5c, 4, 0xcb800001);
	fake_put(&f->fake, 0xc0, 4, 0x40800001);
	fake_put(&f->fake, 0xfc, 4, 0xaabbc018);
}

static void intel_ggc(void **state)
{
	struct fixture *f = *state;

	intel(f, 0x0166);
	assert_int_equal(matches(f, "intel-ggc-gen6", NULL, 0), 0);
	assert_int_equal(matches(f, "intel-ggc-gen6", "gms", 0x11), -EINVAL);
	assert_int_equal(matches(f, "intel-ggc-gen8", "gms", 1), 0);
	apply(f, "intel-ggc-gen6", "gms", 0x10);
	/* 0x5678 with bits 7:3 replaced by 0x10. */
	PLAY(f, { 'r', CONFIG, 0x50, 4, 0x12345680 }, { 'r', CONFIG, 0x51, 1, 0x56 },
	     { 'w', CONFIG, 0x50, 4, 0 }, { 'r', CONFIG, 0x50, 2, 0x5680 }, { 'r', 0, 0x108040, 2, 0x5680 },
	     { 'R', 0, 0x108040, 2, 0 }, { 'w', 0, 0x108040, 2, 0 }, { 'r', 0, 0x108041, 1, 0x56 },
	     { 'R', 0, 0x108041, 1, 0 }, { 'r', 0, 0x108042, 2, fake_pattern(0x108042, 2) },
	     { 'R', 0, 0x108042, 2, 0 });
	assert_int_equal(fake_get(&f->fake, 0x50, 4), 0x12345678);
}

static void intel_ggc_of_later_generations(void **state)
{
	struct fixture *f = *state;
	static const unsigned gen9[] = { 0x1912, 0x3185, 0x5912, 0x3e92, 0x9bc5, 0x8a52, 0x4571,
					 0x4e61, 0x9a49, 0x4c8a, 0x4680, 0xa780, 0x7d55 };

	intel(f, 0x1626);
	assert_int_equal(matches(f, "intel-ggc-gen8", "gms", 0x40), 1);
	assert_int_equal(matches(f, "intel-ggc-gen8", "gms", 0x41), -EINVAL);
	assert_int_equal(matches(f, "intel-ggc-gen8", "gms", 0xf0), -EINVAL);
	for (unsigned i = 0; i < sizeof(gen9) / sizeof(gen9[0]); i++) {
		intel(f, gen9[i]);
		assert_int_equal(matches(f, "intel-ggc-gen9", "gms", 0xfe), 1);
		assert_int_equal(matches(f, "intel-ggc-gen9", "gms", 0xff), -EINVAL);
		assert_int_equal(matches(f, "intel-ggc-gen9", "gms", 0x41), -EINVAL);
		assert_int_equal(matches(f, "intel-ggc-gen8", "gms", 1), 0);
	}
	apply(f, "intel-ggc-gen9", "gms", 0xf1);
	PLAY(f, { 'r', CONFIG, 0x50, 4, 0x1234f178 });
}

static void intel_bdsm(void **state)
{
	struct fixture *f = *state;

	intel(f, 0x5912);
	assert_int_equal(matches(f, "intel-bdsm-gen11", NULL, 0), 0);
	apply(f, "intel-bdsm-gen6", NULL, 0);
	PLAY(f, { 'r', CONFIG, 0x5c, 4, 0 }, { 'w', CONFIG, 0x5c, 4, 0x7b800000 },
	     { 'r', CONFIG, 0x5c, 4, 0x7b800000 }, { 'w', CONFIG, 0x5e, 1, 0x81 },
	     { 'r', CONFIG, 0x5c, 4, 0x7b810000 }, { 'r', CONFIG, 0x5e, 2, 0x7b81 },
	     { 'r', 0, 0x1080c0, 4, 0x7b810000 }, { 'R', 0, 0x1080c0, 4, 0 },
	     { 'w', 0, 0x1080c0, 4, 0x100000 }, { 'r', CONFIG, 0x5c, 4, 0x100000 },
	     { 'r', 0, 0x1080c4, 4, fake_pattern(0x1080c4, 4) }, { 'R', 0, 0x1080c4, 4, 0 });
	assert_int_equal(fake_get(&f->fake, 0x5c, 4), 0xcb800001);
	/* A reset starts it again. */
	assert_int_equal(bk_device_reset(bk_mediate_device(f->mediate)), 0);
	PLAY(f, { 'r', CONFIG, 0x5c, 4, 0 });
}

static void intel_bdsm_of_64_bits(void **state)
{
	struct fixture *f = *state;

	intel(f, 0x9a49);
	assert_int_equal(matches(f, "intel-bdsm-gen6", NULL, 0), 0);
	apply(f, "intel-bdsm-gen11", NULL, 0);
	PLAY(f, { 'r', CONFIG, 0xc0, 4, 0 }, { 'w', CONFIG, 0xc4, 4, 1 },
	     { 'w', CONFIG, 0xc0, 4, 0x80000000 }, { 'r', 0, 0x1080c0, 8, 0x180000000 },
	     { 'R', 0, 0x1080c0, 8, 0 }, { 'r', 0, 0x1080c4, 4, 1 }, { 'R', 0, 0x1080c4, 4, 0 },
	     { 'w', 0, 0x1080c0, 8, 0x240000000 }, { 'r', CONFIG, 0xc0, 4, 0x40000000 },
	     { 'r', CONFIG, 0xc4, 4, 2 });
}

static void intel_asls(void **state)
{
	struct fixture *f = *state;

	intel(f, 0x7d55);
	apply(f, "intel-asls", NULL, 0);
	PLAY(f, { 'r', CONFIG, 0xfc, 4, 0 }, { 'w', CONFIG, 0xfc, 4, 0x7eeee018 },
	     { 'r', CONFIG, 0xfc, 4, 0x7eeee018 }, { 'r', CONFIG, 0xff, 1, 0x7e });
	assert_int_equal(fake_get(&f->fake, 0xfc, 4), 0xaabbc018);
}

static void the_rom_of_another_device(void **state)
{
	struct fixture *f = *state;
	uint8_t sum = 0;

	intel(f, 0x9a49);
	bar(f, ROM, 0, 0x2000);
	fake_put(&f->fake, 0x10 + 4 * ROM, 4, 0xbeefcafe >> 16); /* what fake_bar overwrote */
	memset(f->fake.bytes[ROM], 0x11, 0x2000);
	hold(f, ROM, 0, 4, 0x0400aa55 | 4 << 16);
	f->fake.bytes[ROM][2] = 4; /* 2 KiB */
	hold(f, ROM, 0x18, 2, 0x40);
	hold(f, ROM, 0x40, 8, 0x9a40808652494350);
	apply(f, "intel-rom-id", NULL, 0);
	assert_int_equal(rd(f, ROM, 0x46, 2), 0x9a49);
	assert_int_equal(rd(f, ROM, 0x44, 2), 0x8086);
	assert_int_equal(rd(f, ROM, 0x47, 1), 0x9a);
	for (unsigned i = 0; i < 2048; i++)
		sum = (uint8_t)(sum + rd(f, ROM, i, 1));
	assert_int_equal(sum, 0);
	assert_int_equal(f->fake.bytes[ROM][0x46], 0x40);
}

static void another_vendors_rom_is_left_alone(void **state)
{
	struct fixture *f = *state;

	intel(f, 0x9a49);
	bar(f, ROM, 0, 0x800);
	hold(f, ROM, 0, 2, 0xaa55);
	hold(f, ROM, 0x18, 2, 0x40);
	hold(f, ROM, 0x40, 8, 0x9a40808752494350);
	apply(f, "intel-rom-id", NULL, 0);
	for (unsigned i = 0; i < 0x800; i++)
		assert_int_equal(rd(f, ROM, i, 1), f->fake.bytes[ROM][i]);
}

static void intel_vmd(void **state)
{
	struct fixture *f = *state;

	ids(f, 0x8086, 0x467f, 0x010400);
	bar(f, 2, 0, 0x1000);
	bar(f, 4, 4, 0x1000);
	fake_put(&f->fake, 0x18, 4, 0x82000000);
	fake_put(&f->fake, 0x1c, 4, 0);
	fake_put(&f->fake, 0x20, 4, 0x40000004);
	fake_put(&f->fake, 0x24, 4, 0x60);
	apply(f, "intel-vmd", NULL, 0);
	PLAY(f, { 'w', CONFIG, 0x18, 4, 0xe0000000 }, { 'r', CONFIG, 0x34, 1, 0xe8 },
	     { 'r', CONFIG, 0xe8, 4, 0x01180009 }, { 'r', CONFIG, 0xec, 4, 0x53484457 },
	     { 'r', CONFIG, 0xf0, 4, 0x82000000 }, { 'r', CONFIG, 0xf4, 4, 0 },
	     { 'r', CONFIG, 0xf8, 4, 0x40000004 }, { 'r', CONFIG, 0xfc, 4, 0x60 });
	ids(f, 0x8086, 0x467e, 0x010400);
	assert_int_equal(matches(f, "intel-vmd", NULL, 0), 0);
}

/* ---- Others ------------------------------------------------------------ */

static void broadcom_rom_is_hidden(void **state)
{
	struct fixture *f = *state;

	ids(f, 0x14e4, 0x168e, 0x020000);
	bar(f, ROM, 0, 0x800);
	apply(f, "broadcom-57810-rom", NULL, 0);
	assert_null(bk_mediate_region(f->mediate, ROM));
	PLAY(f, { 'w', CONFIG, 0x30, 4, 0xfffff800 }, { 'r', CONFIG, 0x30, 4, 0 });
}

static void an_image_of_the_users_is_shown(void **state)
{
	struct fixture *f = *state;
	const struct bk_mediate_options options = { .rom_image = "image", .rom_size = 5 };
	struct bk_error err = { "" };

	ids(f, 0x14e4, 0x168e, 0x020000);
	bar(f, ROM, 0, 0x800);
	stack(f, "broadcom-57810-rom", NULL, 0);
	assert_int_equal(bk_mediate_create(f->domain, f->stack, &options, &f->mediate, &err), 0);
	assert_int_equal(rd(f, ROM, 0, 4), 0x67616d69);
}

static void virtual_function(struct fixture *f, unsigned vendor, unsigned device, uint64_t size, uint32_t pba)
{
	ids(f, vendor, device, 0x020000);
	bar(f, 0, 4, size);
	fake_msix(&f->fake, 0x70, 0, 8, 0, pba);
	fake_put(&f->fake, 0x34, 1, 0x70);
}

static void chelsio_pba(void **state)
{
	struct fixture *f = *state;

	virtual_function(f, 0x1425, 0x5801, 0x2000, 0x8000);
	apply(f, "chelsio-t5-vf", NULL, 0);
	PLAY(f, { 'r', CONFIG, 0x78, 4, 0x1000 }, { 'r', 0, 0x1000, 8, 0 },
	     { 'r', 0, 0x1008, 4, fake_pattern(0x1008, 4) }, { 'R', 0, 0x1008, 4, 0 });
}

static void kunlun_pba(void **state)
{
	struct fixture *f = *state;

	virtual_function(f, 0x1d22, 0x3685, 0x10000, 0x460000);
	apply(f, "kunlun-vf", NULL, 0);
	PLAY(f, { 'r', CONFIG, 0x78, 4, 0xb400 }, { 'r', 0, 0xb400, 8, 0 });
}

static void a_pba_inside_its_bar_is_left_alone(void **state)
{
	struct fixture *f = *state;

	virtual_function(f, 0x1425, 0x5801, 0x10000, 0x8000);
	assert_int_equal(matches(f, "chelsio-t5-vf", NULL, 0), 0);
	virtual_function(f, 0x1425, 0x5701, 0x2000, 0x8000);
	assert_int_equal(matches(f, "chelsio-t5-vf", NULL, 0), 0);
}

/* MSI of 64 bits at 0x50; the host's message is 0xfee01234/0x40c0. */
static void ath(struct fixture *f, unsigned device, unsigned vectors_log2)
{
	ids(f, 0x17cb, device, 0x028000);
	bar(f, 0, 4, 0x2000000);
	capability(f, 0x50, 0x05);
	fake_put(&f->fake, 0x52, 2, 0x0080 | 5 << 1 | vectors_log2 << 4);
	fake_put(&f->fake, 0x54, 4, 0xfee01234);
	fake_put(&f->fake, 0x5c, 2, 0x40c0);
}

static void ath11k(void **state)
{
	struct fixture *f = *state;

	ath(f, 0x1103, 5);
	apply(f, "ath11k", NULL, 0);
	PLAY(f, { 'w', CONFIG, 0x54, 4, 0xfee00000 }, { 'w', CONFIG, 0x58, 4, 0 },
	     { 'w', CONFIG, 0x5c, 2, 0x4020 }, { 'w', CONFIG, 0x52, 2, 0x0051 },
	     /* The guest's address anywhere in the range becomes the host's; so do the data 8 bytes behind.
	      */
	     { 'w', 0, 0x81230, 4, 0xfee00000 }, { 'W', 0, 0x81230, 4, 0xfee01234 },
	     { 'w', 0, 0x81234, 4, 0 }, { 'W', 0, 0x81234, 4, 0 }, { 'w', 0, 0x81238, 4, 0x4023 },
	     { 'W', 0, 0x81238, 4, 0x40c3 },
	     /* Once for each address. */
	     { 'w', 0, 0x81238, 4, 0x4023 }, { 'W', 0, 0x81238, 4, 0x4023 },
	     /* Data of another message, data elsewhere, other widths, outside. */
	     { 'w', 0, 0xbfff0, 4, 0xfee00000 }, { 'W', 0, 0xbfff0, 4, 0xfee01234 },
	     { 'w', 0, 0xbfff8, 4, 0x4043 }, { 'W', 0, 0xbfff8, 4, 0x4043 }, { 'w', 0, 0x80000, 4, 0x4020 },
	     { 'W', 0, 0x80000, 4, 0x4020 }, { 'w', 0, 0x80000, 8, 0xfee00000 },
	     { 'W', 0, 0x80000, 8, 0xfee00000 }, { 'w', 0, 0xc0000, 4, 0xfee00000 },
	     { 'W', 0, 0xc0000, 4, 0xfee00000 }, { 'w', 0, 0x7fffc, 4, 0xfee00000 },
	     { 'W', 0, 0x7fffc, 4, 0xfee00000 }, { 'r', 0, 0x81230, 4, 0xfee01234 },
	     { 'R', 0, 0x81230, 4, 0 });
}

static void ath12k_where_the_host_shows_no_message(void **state)
{
	struct fixture *f = *state;

	ath(f, 0x1107, 0);
	fake_put(&f->fake, 0x54, 4, 0);
	apply(f, "ath12k", NULL, 0);
	PLAY(f, { 'w', CONFIG, 0x54, 4, 0xfee00000 }, { 'w', 0, 0x1e00000, 4, 0xfee00000 },
	     { 'W', 0, 0x1e00000, 4, 0xfee00000 });
	fake_put(&f->fake, 0x54, 4, 0xfee01234);
	PLAY(f, { 'w', 0, 0x1e7fff0, 4, 0xfee00000 }, { 'W', 0, 0x1e7fff0, 4, 0xfee01234 },
	     { 'w', 0, 0x1e80000, 4, 0xfee00000 }, { 'W', 0, 0x1e80000, 4, 0xfee00000 });
}

#define WITH_DEVICE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DEVICE(nvidia_mirror),
		WITH_DEVICE(writes_inside_the_first_two_bytes_of_msi_reach_the_hardware_too),
		WITH_DEVICE(without_msi_nothing_is_forwarded),
		WITH_DEVICE(the_same_write_ten_times_is_the_kernels),
		WITH_DEVICE(a_small_config_space_has_a_small_mirror),
		WITH_DEVICE(boards_that_compute_have_no_mirror),
		WITH_DEVICE(nvidia_mirror_at_1800),
		WITH_DEVICE(nvidia_window),
		WITH_DEVICE(nvidia_sequence_through_vga_ports),
		WITH_DEVICE(nvidia_clique),
		WITH_DEVICE(nvidia_clique_elsewhere),
		WITH_DEVICE(no_room_for_a_clique),
		WITH_DEVICE(ati_window),
		WITH_DEVICE(ati_mirror),
		WITH_DEVICE(only_where_bar_2_is_64_bit),
		WITH_DEVICE(ati_port_3c3),
		WITH_DEVICE(only_with_256_ports),
		WITH_DEVICE(ati_vga_of_qemu),
		WITH_DEVICE(amd_reset),
		WITH_DEVICE(amd_polls_until_memory_is_back_or_time_is_up),
		WITH_DEVICE(amd_is_reset_at_the_end_if_a_guest_had_it),
		WITH_DEVICE(amd_without_firmware_is_not_reset),
		WITH_DEVICE(the_hosts_reset_is_preferred),
		WITH_DEVICE(only_those_chips),
		WITH_DEVICE(realtek_back_door),
		WITH_DEVICE(the_table_may_have_been_moved),
		WITH_DEVICE(without_msix_the_table_is_nowhere),
		WITH_DEVICE(intel_ggc),
		WITH_DEVICE(intel_ggc_of_later_generations),
		WITH_DEVICE(intel_bdsm),
		WITH_DEVICE(intel_bdsm_of_64_bits),
		WITH_DEVICE(intel_asls),
		WITH_DEVICE(broadcom_rom_is_hidden),
		WITH_DEVICE(an_image_of_the_users_is_shown),
		WITH_DEVICE(the_rom_of_another_device),
		WITH_DEVICE(another_vendors_rom_is_left_alone),
		WITH_DEVICE(intel_vmd),
		WITH_DEVICE(chelsio_pba),
		WITH_DEVICE(kunlun_pba),
		WITH_DEVICE(a_pba_inside_its_bar_is_left_alone),
		WITH_DEVICE(ath11k),
		WITH_DEVICE(ath12k_where_the_host_shows_no_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
