/* SPDX-License-Identifier: BSD-2-Clause */
/* Which writes of a guest to config space reach the device, and what becomes of those that reach nobody. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "trap_kit.h"

#include "sim_device.h"

static struct {
	char text[4096];
	unsigned lines;
} told;

static void keep(void *opaque, enum bk_log_level level, const char *line)
{
	size_t used = strlen(told.text);

	told.lines++;
	snprintf(told.text + used, sizeof(told.text) - used, "%s\n", line);
}

static int begin(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_init(&f->fake);
	fake_put(&f->fake, 6, 2, 0x10);
	f->domain = bk_domain_create();
	memset(&told, 0, sizeof(told));
	bk_log_set(keep, NULL);
	*state = f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	bk_mediator_destroy(f->mediate);
	assert_int_equal(bk_domain_destroy(f->domain), 0);
	free(f->fake.host_config);
	fake_done(&f->fake);
	free(f);
	bk_log_set(NULL, NULL);
	return 0;
}

static void create_over(struct fixture *f, struct bk_device *below)
{
	struct bk_error err;

	if (bk_mediator_create(f->domain, below, NULL, &f->mediate, &err))
		fail_msg("%s", err.text);
}

static void create(struct fixture *f)
{
	create_over(f, &f->fake.device);
}

static unsigned ext(unsigned id, unsigned next)
{
	return id | 1 << 16 | next << 20;
}

static void find_lost(void *opaque, const struct bk_trap_stats *stats)
{
	if (stats->region == BK_DEVICE_CONFIG && !stats->name)
		*(uint64_t *)opaque = stats->lost;
	else
		assert_int_equal(stats->lost, 0);
}

static uint64_t lost(struct fixture *f)
{
	uint64_t count = UINT64_MAX;

	bk_mediator_stats(f->mediate, find_lost, &count);
	return count;
}

/* One write of the guest is one of the device, at the same width; and nothing is lost. */
static void reaches(struct fixture *f, unsigned offset, unsigned width, uint64_t value)
{
	const uint64_t before = lost(f);

	f->fake.config_writes = 0;
	cfg_write(f, offset, width, value);
	assert_int_equal(f->fake.config_writes, 1);
	assert_int_equal(f->fake.config_write.offset, offset);
	assert_int_equal(f->fake.config_write.count, width);
	assert_int_equal(f->fake.config_write.value, value);
	assert_int_equal(cfg(f, offset, width), value);
	assert_int_equal(lost(f), before);
}

static void reaches_nobody(struct fixture *f, unsigned offset, unsigned width)
{
	const uint64_t before = lost(f), there = cfg(f, offset, width);

	f->fake.config_writes = 0;
	cfg_write(f, offset, width, ~there & ones(width));
	assert_int_equal(f->fake.config_writes, 0);
	assert_int_equal(cfg(f, offset, width), there);
	assert_int_equal(lost(f), before + 1);
}

static const char gateway[] =
	"name: vendor-gateway\nvendor: 0x15b3\ndevice: 0x1017\nclass: 0x020000\nexpress: true\n"
	"bars:\n"
	"  - {index: 0, kind: mem64, prefetchable: true, size: 32M}\n"
	"capabilities:\n"
	"  - express: {flr: true}\n"
	"  - vendor: {bytes: [3,0,0,0,0, 0,0,0,0, 0,0,0,0, 0,0,0,0, 0,0,0,0], writable: true}\n";

/* A driver that talks to firmware through a capability of its own: it takes a semaphore, writes an address.
 */
static void F40_writes_in_a_vendors_capability_reach_the_device(void **state)
{
	struct fixture *f = *state;
	struct bk_device *sim = open_text(gateway);
	unsigned at;

	create_over(f, sim);
	assert_int_equal(bk_mediator_capability(f->mediate, false, 9, &at), 0);
	cfg_write(f, at + 12, 4, 0xcafe0001);
	cfg_write(f, at + 16, 2, 0x1234);
	assert_int_equal(get(sim, BK_DEVICE_CONFIG, at + 12, 4), 0xcafe0001);
	assert_int_equal(cfg(f, at + 12, 4), 0xcafe0001);
	assert_int_equal(get(sim, BK_DEVICE_CONFIG, at + 16, 2), 0x1234);
	assert_int_equal(lost(f), 0);
}

static void F40_vendors_registers_are_written_at_the_guests_width(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 0x34, 1, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x00140009);
	fake_put(&f->fake, 0x100, 4, ext(0x000b, 0x140));
	fake_put(&f->fake, 0x104, 4, 0x01000001);
	fake_put(&f->fake, 0x140, 4, ext(0x0023, 0));
	fake_put(&f->fake, 0x144, 4, 0x01411e98);
	create(f);
	reaches(f, 0x44, 4, 0x11223344);
	reaches(f, 0x4a, 2, 0x5566);
	reaches(f, 0x53, 1, 0x77);
	reaches(f, 0x108, 4, 0x11223344);
	reaches(f, 0x10f, 1, 0x88);
	reaches(f, 0x14a, 2, 0x99aa);
	reaches(f, 0x150, 4, 0x11223344);
	/* Ids, links and lengths are no registers. */
	reaches_nobody(f, 0x40, 2);
	reaches_nobody(f, 0x42, 1);
	reaches_nobody(f, 0x100, 4);
	reaches_nobody(f, 0x104, 4);
	reaches_nobody(f, 0x146, 2);
}

static void F40_errors_power_and_pcix_are_the_guests(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 0x34, 1, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x00000007);
	fake_put(&f->fake, 0x100, 4, ext(0x0001, 0x150));
	fake_put(&f->fake, 0x150, 4, ext(0x0004, 0));
	create(f);
	reaches(f, 0x42, 2, 0x0023);
	reaches(f, 0x104, 4, 0x00004000);
	reaches(f, 0x108, 4, 0x00100000);
	reaches(f, 0x154, 1, 3);
}

static void F40_bytes_in_no_capability_are_written_above_0x100_too(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 0x100, 4, ext(0x0003, 0x300));
	fake_put(&f->fake, 0x300, 4, ext(0x0018, 0)); /* LTR: 8 bytes, read-only here */
	create(f);
	reaches(f, 0x10c, 4, 0x11223344);
	reaches(f, 0x2fe, 2, 0x5566);
	reaches(f, 0x308, 4, 0x778899aa);
	reaches(f, 0xfff, 1, 0x11);
	reaches_nobody(f, 0x304, 4);
	reaches_nobody(f, 0x104, 4);
}

/* VFIO takes PASID and what it does not know out of the chain; its registers then look like nobody's. */
static void F40_what_the_host_hides_is_not_written(void **state)
{
	struct fixture *f = *state;

	f->fake.host_config = calloc(1, 4096);
	f->fake.host_config_size = 4096;
	fake_put(&f->fake, 0x100, 4, ext(0x0003, 0));
	memcpy(f->fake.host_config, f->fake.config, 4096);
	f->fake.host_config[0x102] = 0x01;
	f->fake.host_config[0x103] = 0x20; /* leads on to 0x200 */
	f->fake.host_config[0x200] = 0x1b; /* PASID, 8 bytes */
	f->fake.host_config[0x202] = 0x01;
	f->fake.host_config[0x203] = 0x30;
	f->fake.host_config[0x300] = 0x23; /* DVSEC, which older hosts hide, 16 bytes */
	f->fake.host_config[0x302] = 0x01;
	f->fake.host_config[0x306] = 0x01;
	f->fake.host_config[0x307] = 0x01;
	create(f);
	assert_int_equal(told.lines, 0);
	reaches_nobody(f, 0x204, 4);
	reaches_nobody(f, 0x206, 2);
	reaches(f, 0x1fc, 4, 0x11223344);
	reaches(f, 0x208, 4, 0x11223344);
	reaches(f, 0x30c, 4, 0x55667788);
	/* Half of it is hidden: only the other is written. */
	f->fake.config_writes = 0;
	cfg_write(f, 0x1fe, 4, 0xaabbccdd);
	assert_int_equal(f->fake.config_writes, 1);
	assert_int_equal(f->fake.config_write.offset, 0x1fe);
	assert_int_equal(f->fake.config_write.count, 2);
	assert_int_equal(f->fake.config_write.value, 0xccdd);
}

static void where_the_host_says_nothing_the_worst_is_assumed(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 0x100, 4, ext(0x000b, 0));
	fake_put(&f->fake, 0x104, 4, 0x01000001);
	for (unsigned i = 0; i < 2; i++) {
		memset(&told, 0, sizeof(told));
		f->fake.host_config_size = i ? 64 : -EACCES;
		f->fake.host_config = i ? calloc(1, 4096) : NULL;
		create(f);
		assert_int_equal(told.lines, 1);
		assert_non_null(strstr(told.text, "fake: the host does not show all of its config space"));
		assert_non_null(strstr(told.text, i ? "root" : "Permission denied"));
		reaches(f, 0x108, 4, 0x11223344 + i);
		reaches(f, 0xf0, 4, 0x11223344 + i);
		reaches_nobody(f, 0x200, 4);
		bk_mediator_destroy(f->mediate);
		f->mediate = NULL;
	}
}

static void a_conventional_device_has_nothing_to_hide_above_0x100(void **state)
{
	struct fixture *f = *state;

	f->fake.regions[BK_DEVICE_CONFIG].size = 256;
	f->fake.host_config_size = -EACCES;
	create(f);
	assert_int_equal(told.lines, 0);
	reaches(f, 0xf0, 4, 0x11223344);
}

/* ---- Device Control ---------------------------------------------------- */

static void describe_express(struct fixture *f)
{
	fake_put(&f->fake, 0x34, 1, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x00020010);
	fake_put(&f->fake, 0x44, 4, 0x10008fc2);
	fake_put(&f->fake, 0x48, 2, 0x2937); /* payload 256 bytes */
}

static void F40_device_control_reaches_the_device_but_for_the_payload(void **state)
{
	struct fixture *f = *state;

	describe_express(f);
	create(f);
	assert_int_equal(fake_get(&f->fake, 0x48, 2), 0x2937); /* until the guest writes it */
	cfg_write(f, 0x48, 2, 0x50e0);
	assert_int_equal(cfg(f, 0x48, 2), 0x50e0);
	assert_int_equal(fake_get(&f->fake, 0x48, 2), 0x5020);
	cfg_write(f, 0x49, 1, 0x29);
	assert_int_equal(cfg(f, 0x48, 2), 0x29e0);
	assert_int_equal(fake_get(&f->fake, 0x48, 2), 0x2920);
	/* With Device Status in the same write. */
	fake_put(&f->fake, 0x4a, 2, 0x000f);
	cfg_write(f, 0x48, 4, 0x00042010);
	assert_int_equal(fake_get(&f->fake, 0x48, 2), 0x2030);
	assert_int_equal(fake_get(&f->fake, 0x4a, 1), 0x04); /* by itself */
	assert_int_equal(lost(f), 0);
}

static void F40_device_control_2_reaches_the_device(void **state)
{
	struct fixture *f = *state;

	describe_express(f);
	create(f);
	cfg_write(f, 0x68, 2, 0x0406); /* LTR, a completion timeout */
	assert_int_equal(cfg(f, 0x68, 2), 0x0406);
	assert_int_equal(fake_get(&f->fake, 0x68, 2), 0x0406);
	assert_int_equal(lost(f), 0);
}

/* An FLR is the model's to do, and the device is never asked for one by this register. */
static void an_flr_leaves_the_device_what_the_register_says(void **state)
{
	struct fixture *f = *state;

	describe_express(f);
	create(f);
	cfg_write(f, 0x48, 2, 0x5910);
	cfg_write(f, 0x48, 2, 0xd910);
	assert_int_equal(f->fake.resets, 1);
	assert_int_equal(fake_get(&f->fake, 0x48, 2), (cfg(f, 0x48, 2) & 0x7f1f) | 0x20);
	assert_int_equal(cfg(f, 0x48, 2) & 0x8000, 0);
}

static void a_version_1_endpoint_has_no_device_control_2(void **state)
{
	struct fixture *f = *state;

	describe_express(f);
	fake_put(&f->fake, 0x42, 2, 0x0001);
	create(f);
	cfg_write(f, 0x48, 2, 0x5910);
	assert_int_equal(fake_get(&f->fake, 0x48, 2), 0x5930);
	reaches(f, 0x68, 2, 0x1234); /* in no capability */
}

/* The one who asks for the reset hears of it, and the register stays as it was in the device. */
static void an_flr_that_the_device_fails_fails_the_write(void **state)
{
	struct fixture *f = *state;

	describe_express(f);
	create(f);
	f->fake.reset_result = -EIO;
	assert_int_equal(bk_space_write(bk_mediator_space(f->mediate, BK_DEVICE_CONFIG), 0x48, 2, 0xd910),
			 -EIO);
	assert_int_equal(f->fake.resets, 1);
	assert_int_equal(fake_get(&f->fake, 0x48, 2), 0x2937);
}

/* ---- During a reset ------------------------------------------------------ */

/* A device whose reset begins in another thread, and ends when the test says so. */
static struct {
	const struct bk_device_ops *real;
	struct bk_device_ops ops;
	struct fixture *f;
	sem_t begun, may_end;
	pthread_t thread;
	bool resets_in_write; /* the next write to the device's Device Status begins one */
} slow;

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) && errno == EINTR)
		;
}

static void *ask_for_reset(void *opaque)
{
	return (void *)(intptr_t)bk_pci_function_reset(bk_mediator_function(slow.f->mediate));
}

static void begin_reset(void)
{
	assert_int_equal(pthread_create(&slow.thread, NULL, ask_for_reset, NULL), 0);
	wait_for(&slow.begun);
}

static void end_reset(void)
{
	void *result;

	sem_post(&slow.may_end);
	assert_int_equal(pthread_join(slow.thread, &result), 0);
	assert_null(result);
	sem_destroy(&slow.begun);
	sem_destroy(&slow.may_end);
}

static int slow_reset(struct bk_device *device)
{
	sem_post(&slow.begun);
	wait_for(&slow.may_end);
	return slow.real->reset(device);
}

static int slow_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
		      size_t count)
{
	int r = slow.real->write(device, region, offset, data, count);

	if (slow.resets_in_write && region == BK_DEVICE_CONFIG && offset == 0x4a) {
		slow.resets_in_write = false;
		begin_reset();
	}
	return r;
}

static void create_slow(struct fixture *f)
{
	slow.f = f;
	slow.real = f->fake.device.ops;
	slow.ops = *slow.real;
	slow.ops.reset = slow_reset;
	slow.ops.write = slow_write;
	f->fake.device.ops = &slow.ops;
	assert_int_equal(sem_init(&slow.begun, 0, 0), 0);
	assert_int_equal(sem_init(&slow.may_end, 0, 0), 0);
	describe_express(f);
	create(f);
}

/* The host may block who asks a device that is in reset. */
static void during_a_reset_nobody_reads_or_writes_the_device(void **state)
{
	struct fixture *f = *state;
	struct bk_space *config;
	uint64_t value = 0;

	fake_put(&f->fake, 0x80, 4, 0x12345678); /* live: in no capability */
	create_slow(f);
	config = bk_mediator_space(f->mediate, BK_DEVICE_CONFIG);
	assert_int_equal(cfg(f, 0x80, 4), 0x12345678);
	begin_reset();
	f->fake.config_writes = 0;
	f->fake.config_fail = EIO; /* who asks it all the same sees an error */
	assert_int_equal(bk_space_read(config, 0x80, 4, &value), 0);
	assert_int_equal(value, 0xffffffff);
	assert_int_equal(bk_space_write(config, 0x80, 4, 0), 0);
	assert_int_equal(bk_space_write(config, 0x48, 2, 0), 0);
	assert_int_equal(f->fake.config_writes, 0);
	f->fake.config_fail = 0;
	end_reset();
	assert_int_equal(cfg(f, 0x80, 4), 0x12345678);
	assert_int_equal(lost(f), 0);
}

/* What the function's registers read by then are all ones, which are none of Device Control's. */
static void a_reset_that_begins_within_a_write_keeps_the_rest_from_the_device(void **state)
{
	struct fixture *f = *state;

	create_slow(f);
	slow.resets_in_write = true;
	cfg_write(f, 0x48, 4, 0x00042010); /* Device Control, and Device Status, which goes first */
	assert_false(slow.resets_in_write);
	assert_int_equal(fake_get(&f->fake, 0x48, 2), 0x2937);
	end_reset();
	assert_int_equal(fake_get(&f->fake, 0x48, 2), 0x2937);
	cfg_write(f, 0x48, 2, 0x2010);
	assert_int_equal(fake_get(&f->fake, 0x48, 2), 0x2030);
}

/* ---- Nobody ------------------------------------------------------------ */

static void F40_what_reaches_nobody_is_counted_and_told_once_a_register(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 0x34, 1, 0x40);
	fake_put(&f->fake, 0x40, 4, 0x00004803); /* VPD */
	fake_put(&f->fake, 0x48, 4, 0x00000008); /* HyperTransport: read-only */
	create(f);
	assert_int_equal(lost(f), 0);
	reaches_nobody(f, 0x4c, 4);
	assert_int_equal(told.lines, 1);
	assert_non_null(strstr(told.text, "fake: config+0x4c: a write of 0xffffffff has no effect"));
	reaches_nobody(f, 0x4e, 2);
	reaches_nobody(f, 0x4f, 1);
	assert_int_equal(told.lines, 1);
	reaches_nobody(f, 0x50, 4);
	assert_int_equal(told.lines, 2);
	/* To store vital product data, and what would be stored. */
	cfg_write(f, 0x44, 4, 0x12345678);
	cfg_write(f, 0x42, 2, 0x8000);
	assert_int_equal(lost(f), 6);
	cfg_write(f, 0x42, 2, 0x0000); /* a request to read is taken */
	assert_int_equal(lost(f), 6);
	/* Nothing of the header counts: drivers ask so for what is there. */
	cfg_write(f, 0x00, 4, 0);
	cfg_write(f, 0x10, 4, 0xffffffff);
	assert_int_equal(lost(f), 6);
}

/* The chain is cut where the device's registers end, and the capability in front of that has all up to there;
 * it is not what is behind those that the device would have further down the chain. */
static void what_is_shown_of_a_chain_that_is_cut_is_not_written(void **state)
{
	struct fixture *f = *state;

	f->fake.regions[BK_DEVICE_CONFIG].size = 0xe3;
	fake_put(&f->fake, 0x34, 1, 0x68);
	fake_put(&f->fake, 0x68, 2, 0xe020); /* of no kind that is known */
	fake_put(&f->fake, 0xe0, 2, 0x8c0d);
	fake_put(&f->fake, 0x8c, 4, 0x00389809); /* a vendor's, of 0x38 bytes */
	fake_put(&f->fake, 0x98, 2, 0x000d);
	fake_put(&f->fake, 0xa4, 4, 0x12345678);
	create(f);
	assert_int_equal(cfg(f, 0x69, 1), 0);
	assert_int_equal(cfg(f, 0xa4, 4), 0x12345678);
	reaches_nobody(f, 0xa4, 4);
}

static void what_the_model_takes_in_part_is_not_lost(void **state)
{
	struct fixture *f = *state;

	fake_put(&f->fake, 0x34, 1, 0x50);
	fake_put(&f->fake, 0x50, 4, 0x00000005);
	create(f);
	cfg_write(f, 0x50, 4, 0x00010000); /* MSI's id and control at once */
	cfg_write(f, 0x54, 4, 0xfee00000);
	assert_int_equal(lost(f), 0);
}

#define CONFIG(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONFIG(F40_writes_in_a_vendors_capability_reach_the_device),
		CONFIG(F40_vendors_registers_are_written_at_the_guests_width),
		CONFIG(F40_errors_power_and_pcix_are_the_guests),
		CONFIG(F40_bytes_in_no_capability_are_written_above_0x100_too),
		CONFIG(F40_what_the_host_hides_is_not_written),
		CONFIG(where_the_host_says_nothing_the_worst_is_assumed),
		CONFIG(a_conventional_device_has_nothing_to_hide_above_0x100),
		CONFIG(F40_device_control_reaches_the_device_but_for_the_payload),
		CONFIG(F40_device_control_2_reaches_the_device),
		CONFIG(an_flr_leaves_the_device_what_the_register_says),
		CONFIG(a_version_1_endpoint_has_no_device_control_2),
		CONFIG(an_flr_that_the_device_fails_fails_the_write),
		CONFIG(during_a_reset_nobody_reads_or_writes_the_device),
		CONFIG(a_reset_that_begins_within_a_write_keeps_the_rest_from_the_device),
		CONFIG(F40_what_reaches_nobody_is_counted_and_told_once_a_register),
		CONFIG(what_is_shown_of_a_chain_that_is_cut_is_not_written),
		CONFIG(what_the_model_takes_in_part_is_not_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
