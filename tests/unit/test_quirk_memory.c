/* SPDX-License-Identifier: BSD-2-Clause */
/* Quirks with each allocation failing in turn: an error with a line, and nothing left over. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <barkeep/quirk.h>

#include "failing.h"
#include "fake_device.h"
#include "rom_file.h"

static unsigned until_failure; /* 0: none */
static bool failed;

static bool fails(void)
{
	if (!until_failure || --until_failure)
		return false;
	failed = true;
	return true;
}

ssize_t __real_read(int fd, void *bytes, size_t count);
ssize_t __wrap_read(int fd, void *bytes, size_t count);
int __real_nanosleep(const struct timespec *wanted, struct timespec *left);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

static unsigned interrupts;    /* so many calls from now are interrupted by a signal */
static int read_error;         /* errno of those after them, or 0 */
static unsigned reads, sleeps; /* calls */

ssize_t __wrap_read(int fd, void *bytes, size_t count)
{
	reads++;
	errno = interrupts ? EINTR : read_error;
	if (interrupts)
		interrupts--;
	return errno ? -1 : __real_read(fd, bytes, count);
}

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
	sleeps++;
	if (interrupts && interrupts--) {
		*left = (struct timespec){ .tv_nsec = 1 };
		errno = EINTR;
		return -1;
	}
	return 0; /* nobody waits here */
}

static const char text[] =
	"quirk: x\nabout: x\n"
	"match: {vendor: [0x1234, 0x5678], bars: [{index: 0}], when: cap(msi) == 0}\n"
	"options: {o: {about: x, default: 1, valid: o == 1}}\n"
	"variables: {n: host.4(0)}\n"
	"config: [{insert: vendor, at: 0x40, size: 8, set: here.1(2) = 8}]\n"
	"rom: {set: rom.1(0) = 1}\n"
	"traps: [{at: bar0+0/4, when: n, read: [device, n], write: n}, {at: bar0+2/4, read: 1},\n"
	"        {at: bar0+0x10/4, read: 1, write: device, accelerate: true},\n"
	"        {at: bar0+0x12/4, read: 1, write: device, accelerate: true},\n"
	"        {at: bar0+0x20/4, read: 1}]\n"
	"reset: {always: true, steps: [n = 1, {poll: n, timeout: 1}]}\n";

static void quiet(void *opaque, enum bk_log_level level, const char *line)
{
}

static int put_on(struct bk_quirk *quirk, struct fake *fake, struct bk_domain *domain,
		  struct bk_mediator **mediate, struct bk_error *err)
{
	struct bk_device *device;
	int r = bk_quirk_match(quirk, &fake->device, NULL, 0, err);

	if (r != 1)
		return r;
	r = bk_quirk_stack(&fake->device, &(struct bk_quirk_stack_desc){ .quirks = &quirk, .count = 1 },
			   &device, err);
	if (!r)
		r = bk_mediator_create(domain, device, NULL, mediate, err);
	return r ? r : bk_quirk_attach(*mediate, err);
}

static void each_allocation_fails_in_turn(void **state)
{
	unsigned failures = 0;

	bk_log_set(quiet, NULL);
	for (unsigned n = 1;; n++) {
		struct bk_domain *domain = bk_domain_create();
		struct bk_mediator *mediate = NULL;
		struct bk_quirk *quirk;
		struct bk_error err = { "" };
		struct fake fake;
		int r;

		fake_init(&fake);
		fake_bar(&fake, 0, 0, 0x1000, false);
		fake.regions[BK_DEVICE_ROM].size = 0x800;
		failed = false;
		until_failure = n;
		r = bk_quirk_parse("x.yaml", text, strlen(text), &quirk, &err);
		if (r)
			assert_null(quirk);
		else
			r = put_on(quirk, &fake, domain, &mediate, &err);
		until_failure = 0;
		assert_true(!r || (failed && r == -ENOMEM && *err.text && !strchr(err.text, '\n')));
		failures += r != 0;
		if (!r && !failed) {
			uint64_t value;

			bk_space_read(bk_mediator_space(mediate, 0), 0, 4, &value);
			assert_int_equal(value, 0x56781234);
		}
		bk_mediator_destroy(mediate);
		bk_quirk_destroy(quirk);
		assert_int_equal(bk_domain_destroy(domain), 0);
		fake_done(&fake);
		if (!failed)
			break;
	}
	assert_true(failures > 50);
	bk_log_set(NULL, NULL);
}

static struct bk_quirk *parse(const char *words)
{
	struct bk_quirk *quirk;
	struct bk_error err = { "" };

	if (bk_quirk_parse("x.yaml", words, strlen(words), &quirk, &err))
		fail_msg("%s", err.text);
	return quirk;
}

static void a_wait_of_a_reset_that_a_signal_interrupts_goes_on(void **state)
{
	struct bk_quirk *quirk = parse("quirk: x\nabout: x\nmatch: {vendor: 0x1234}\n"
				       "reset: {always: true, steps: [{delay: 5}, bar0.1(0) = 0x77]}\n");
	struct bk_device *device;
	struct fake fake;

	fake_init(&fake);
	fake_bar(&fake, 0, 0, 0x1000, false);
	assert_int_equal(bk_quirk_stack(&fake.device,
					&(struct bk_quirk_stack_desc){ .quirks = &quirk, .count = 1 },
					&device, NULL),
			 0);
	interrupts = 3;
	sleeps = 0;
	assert_int_equal(bk_device_reset(device), 0);
	assert_int_equal(sleeps, 4);
	assert_int_equal(fake.bytes[0][0], 0x77);
	bk_device_close(device);
	bk_quirk_destroy(quirk);
	fake_done(&fake);
}

/* A quirk of which the ROM is a file beside it. */
static int load_with_rom(size_t size, struct bk_quirk **quirk, struct bk_error *err)
{
	static const char words[] = "quirk: x\nabout: x\nmatch: {vendor: 0x1234}\nrom: {file: x.rom}\n";
	char directory[] = "/tmp/barkeep-test-XXXXXX", path[64];
	FILE *file;
	int r;

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/x.rom", directory);
	if (size) {
		rom_file_write(path, size, 0);
	} else {
		file = fopen(path, "w");
		fclose(file);
	}
	snprintf(path, sizeof(path), "%s/x.yaml", directory);
	r = bk_quirk_parse(path, words, strlen(words), quirk, err);
	interrupts = 0;
	read_error = 0;
	snprintf(path, sizeof(path), "%s/x.rom", directory);
	unlink(path);
	rmdir(directory);
	return r;
}

static void a_rom_file_is_read_over_signals_and_not_over_errors(void **state)
{
	struct bk_quirk *quirk;
	struct bk_error err = { "" };
	bool whole = false;

	interrupts = 2;
	reads = 0;
	assert_int_equal(load_with_rom(100, &quirk, &err), 0);
	assert_int_equal(reads, 4); /* two signals, the bytes, and nothing behind them */
	bk_quirk_destroy(quirk);
	read_error = EIO;
	assert_int_equal(load_with_rom(100, &quirk, &err), -EINVAL);
	assert_non_null(strstr(err.text, "cannot be read: Input/output error"));
	assert_int_equal(load_with_rom(0, &quirk, &err), -EINVAL);
	for (unsigned n = 1; !whole; n++) {
		failed = false;
		until_failure = n;
		whole = !load_with_rom(100, &quirk, &err);
		until_failure = 0;
		assert_int_equal(whole, !failed);
	}
	bk_quirk_destroy(quirk);
}

/* With each allocation failing in turn. */
static void a_rom_from_a_file_is_shown_or_refused(void **state)
{
	bool whole = false;

	bk_log_set(quiet, NULL);
	for (unsigned n = 1; !whole; n++) {
		struct bk_device *device = NULL;
		struct bk_error err = { "" };
		struct bk_quirk *quirk;
		struct fake fake;
		uint8_t first = 0;
		int r;

		fake_init(&fake);
		assert_int_equal(load_with_rom(100, &quirk, &err), 0);
		failed = false;
		until_failure = n;
		r = bk_quirk_stack(&fake.device,
				   &(struct bk_quirk_stack_desc){ .quirks = &quirk, .count = 1 }, &device,
				   &err);
		until_failure = 0;
		whole = !r;
		assert_int_equal(r, failed ? -ENOMEM : 0);
		if (r)
			assert_int_not_equal(err.text[0], 0);
		else
			assert_int_equal(bk_device_read(device, BK_DEVICE_ROM, 0, &first, 1), 0);
		assert_int_equal(first, r ? 0 : 0x55);
		if (!r)
			bk_device_close(device);
		assert_true(fake.closed);
		bk_quirk_destroy(quirk);
		fake_done(&fake);
	}
	bk_log_set(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_fails_in_turn),
		cmocka_unit_test(a_wait_of_a_reset_that_a_signal_interrupts_goes_on),
		cmocka_unit_test(a_rom_file_is_read_over_signals_and_not_over_errors),
		cmocka_unit_test(a_rom_from_a_file_is_shown_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
