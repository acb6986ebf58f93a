/* SPDX-License-Identifier: BSD-2-Clause */
/* A quirk of any text on a device of any description, and any accesses: the text up to a NUL, then the rest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <barkeep/quirk.h>

#include "../unit/fake_device.h"

#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A reset may wait for seconds. Here time flies: each look at the clock takes a second, and sleep none. */
static time_t second;

int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (clock != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, clock, now);
	*now = (struct timespec){ .tv_sec = ++second };
	return 0;
}

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	return 0;
}

static void quiet(void *opaque, enum bk_log_level level, const char *line)
{
	if (strchr(line, '\n'))
		abort();
}

/* BARs of some kinds and sizes, the VGA ranges, and config bytes as the input has them. */
static void describe(struct fake *fake, struct input *input)
{
	unsigned bars = (unsigned)take(input, 1), patches = (unsigned)take(input, 1);

	for (unsigned i = 0; i < 7; i++)
		if (bars >> i & 1)
			fake_bar(fake, i, (unsigned)take(input, 1) & 0xd, (uint64_t)16 << take(input, 1) % 14,
				 false);
	if (bars & 0x80)
		fake->regions[BK_DEVICE_CONFIG].size = 256;
	if (patches & 0x80) {
		fake->regions[BK_DEVICE_VGA].flags = BK_DEVICE_READ | BK_DEVICE_WRITE;
		fake->regions[BK_DEVICE_VGA].size = 0xc0000;
		fake_put(fake, 0x09, 3, 0x030000);
	}
	if (patches & 0x40)
		fake->info.flags = 0;
	fake_put(fake, 0x06, 2, 0x10);
	for (unsigned i = 0; i < patches % 64 && input->size; i++) {
		unsigned offset = (unsigned)take(input, 2) % 4096;

		fake_put(fake, offset, 1, take(input, 1));
	}
}

static void act(struct bk_device *device, struct input *input)
{
	unsigned what = (unsigned)take(input, 1), region = (unsigned)take(input, 1) % 9;
	size_t length = (size_t)1 << (what >> 2 & 3);
	uint64_t offset = take(input, 3);
	uint8_t bytes[16] = { 0 };

	if (what >> 4 == 15)
		length = (size_t)take(input, 1) % sizeof(bytes);
	switch (what & 3) {
	case 0:
		for (unsigned i = 0; i < length; i++)
			bytes[i] = (uint8_t)take(input, 1);
		bk_device_write(device, region, offset, bytes, length);
		break;
	case 3:
		if (what >> 4 == 1)
			bk_device_reset(device);
		/* fall through */
	default:
		bk_device_read(device, region, offset, bytes, length);
	}
}

static void run(struct bk_quirk *quirk, struct input *input)
{
	struct bk_domain *domain = bk_domain_create();
	struct bk_quirk_setting settings[8];
	struct bk_mediator_options options = { 0 };
	struct bk_mediator *mediate;
	struct bk_device *device;
	struct bk_error err = { "" };
	struct fake fake;
	unsigned count = 0;
	const char *about;

	fake_init(&fake);
	describe(&fake, input);
	options.vga = fake.regions[BK_DEVICE_VGA].size;
	for (; count < 8 && (settings[count].name = bk_quirk_option(quirk, count, &about)); count++)
		settings[count].value = take(input, 2);
	if (bk_quirk_match(quirk, &fake.device, settings, count, &err) < 1 && !*err.text)
		abort();
	err.text[0] = 0;
	if (bk_quirk_stack(
		    &fake.device,
		    &(struct bk_quirk_stack_desc){
			    .quirks = &quirk, .count = 1, .settings = settings, .setting_count = count },
		    &device, &err)) {
		if (!*err.text || strchr(err.text, '\n'))
			abort();
	} else if (!bk_mediator_create(domain, device, &options, &mediate, &err)) {
		if (bk_quirk_attach(mediate, &err) && (!*err.text || strchr(err.text, '\n')))
			abort();
		for (unsigned i = 0; i < 200 && input->size; i++)
			act(bk_mediator_device(mediate), input);
		bk_mediator_destroy(mediate);
	}
	if (!fake.closed || bk_domain_destroy(domain))
		abort();
	fake_done(&fake);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	size_t length = end ? (size_t)(end - data) : size;
	struct input input = { data + length, size - length };
	struct bk_quirk *quirk;
	struct bk_error err = { "" };

	bk_log_set(quiet, NULL);
	take(&input, 1);
	if (bk_quirk_parse("x.yaml", (const char *)data, length, &quirk, &err)) {
		if (quirk || strncmp(err.text, "x.yaml", 6) || strchr(err.text, '\n'))
			abort();
		return 0;
	}
	run(quirk, &input);
	bk_quirk_destroy(quirk);
	return 0;
}
