/* SPDX-License-Identifier: BSD-2-Clause */
/* `vfio-user:PATH`: pages of the device that are mapped, while its server comes, goes and takes them away. */
#include <errno.h>
#include <unistd.h>

#include <barkeep/mediate.h>
#include <barkeep/space.h>

#include "base/guard.h"
#include "device/user.h"
#include "user_kit.h"

static bool take_byte(void *opaque, const struct bk_flat *flat)
{
	if (flat->memory)
		*(int *)opaque =
			((volatile uint8_t *)flat->memory->host)[flat->offset + (0x2000 - flat->first)];
	return false;
}

/* The byte that a guest has at 0x2000 without an exit; -1 if it is not mapped. */
static int mapped_byte(struct bk_space *bar)
{
	int byte = -1;

	assert_int_equal(bk_space_visit(bar, 0x2000, 0x2000, take_byte, &byte), 0);
	return byte;
}

/* The device's BAR 0, with 0x21 at 0x2000, by a mediator, which tells of its areas. */
struct mediated {
	struct bk_domain *domain;
	struct bk_mediator *mediator;
	struct told told;
};

static struct bk_space *mediate(struct kit *kit, struct mediated *mediated, const char *options)
{
	static const struct bk_device_watcher watcher = { .change = change };
	struct told *told = &mediated->told;

	*mediated = (struct mediated){ .domain = bk_domain_create() };
	server_of(kit)->config[0xe] = 0;
	server_of(kit)->bar0[0x2000] = 0x21;
	open_device(kit, options);
	assert_int_equal(
		bk_mediator_create(mediated->domain, kit->device, NULL, &mediated->mediator, &kit->err), 0);
	pthread_mutex_init(&told->lock, NULL);
	pthread_cond_init(&told->changed, NULL);
	assert_int_equal(bk_device_watch(bk_mediator_device(mediated->mediator), &watcher, told), 0);
	return bk_mediator_space(mediated->mediator, 0);
}

static void unmediate(struct kit *kit, struct mediated *mediated)
{
	bk_device_watch(bk_mediator_device(mediated->mediator), NULL, NULL);
	bk_device_close(bk_mediator_device(mediated->mediator)); /* and what is below */
	bk_domain_destroy(mediated->domain);
	fake_server_stop(&kit->server);
}

/* Pages that have gone read all ones, whoever reads them; and then the device has gone. */
static void a_server_that_shrinks_its_file(void **state)
{
	struct kit *kit = *state;
	struct mediated mediated;
	struct bk_space *bar = mediate(kit, &mediated, "");
	uint64_t value = 0;

	bk__base_guard_start();
	assert_int_equal(mapped_byte(bar), 0x21);
	/* The device's thread, which is alerted, maps something else there as soon as it has this lock. */
	pthread_mutex_lock(&((struct bk__user_device *)kit->device)->lock);
	assert_int_equal(ftruncate(server_of(kit)->memory, 0), 0);
	assert_int_equal(mapped_byte(bar), 0xff);
	pthread_mutex_unlock(&((struct bk__user_device *)kit->device)->lock);
	wait_for(&mediated.told, 1);
	assert_int_equal(mapped_byte(bar), -1);
	assert_int_equal(bk_space_write(bar, 0x2000, 1, 0x5a), -EIO); /* and it is lost */
	assert_int_equal(bk_space_read(bar, 0x2000, 1, &value), -EIO);
	assert_int_equal(value, 0xff);
	unmediate(kit, &mediated);
}

/* The mediator maps the file of the new server where that of the old one was. */
static void mapped_pages_come_back(void **state)
{
	struct kit *kit = *state;
	struct mediated mediated;
	struct bk_space *bar = mediate(kit, &mediated, ",reconnect=3600");
	uint64_t value = 0;

	assert_int_equal(mapped_byte(bar), 0x21);
	server_of(kit)->bar0[0x2000] = 0x22; /* without a message */
	assert_int_equal(mapped_byte(bar), 0x22);
	fake_server_stop(&kit->server);
	wait_for(&mediated.told, 1);
	assert_int_equal(mapped_byte(bar), -1);
	bk_space_read(bar, 0x2000, 1, &value);
	assert_int_equal(value, 0xff);
	/* The new one has another file. */
	fake_server_free(&kit->server);
	fake_server_init(&kit->server);
	server_of(kit)->bar0[0x2000] = 0x31;
	fake_server_start(&kit->server);
	while (mapped_byte(bar) < 0) /* it would wait for ever if it never came */
		usleep(1000);
	assert_int_equal(mapped_byte(bar), 0x31);
	server_of(kit)->bar0[0x2000] = 0x32;
	assert_int_equal(mapped_byte(bar), 0x32);
	unmediate(kit, &mediated);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(mapped_pages_come_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_server_that_shrinks_its_file, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
