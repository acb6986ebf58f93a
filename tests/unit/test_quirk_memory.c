/* SPDX-License-Identifier: BSD-2-Clause */
/* Quirks with each allocation failing in turn: an error with a line, and nothing left over. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <barkeep/quirk.h>

#include "failing.h"
#include "fake_device.h"

static unsigned until_failure; /* 0: none */
static bool failed;

static bool fails(void)
{
	if (!until_failure || --until_failure)
		return false;
	failed = true;
	return true;
}

static const char text[] =
	"quirk: x\nabout: x\n"
	"match: {vendor: [0x1234, 0x5678], bars: [{index: 0}], when: cap(msi) == 0}\n"
	"options: {o: {about: x, default: 1, valid: o == 1}}\n"
	"variables: {n: host.4(0)}\n"
	"config: [{insert: vendor, at: 0x40, size: 8, set: here.1(2) = 8}]\n"
	"rom: {set: rom.1(0) = 1}\n"
	"traps: [{at: bar0+0/4, when: n, read: [device, n], write: n}, {at: bar0+2/4, read: 1}]\n"
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
	r = bk_quirk_stack(&fake->device, &quirk, 1, NULL, 0, &device, err);
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
		bk_quirk_free(quirk);
		assert_int_equal(bk_domain_destroy(domain), 0);
		fake_done(&fake);
		if (!failed)
			break;
	}
	assert_true(failures > 50);
	bk_log_set(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_fails_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
