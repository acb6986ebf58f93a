/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers that a client reaches by eventfds: no message is sent, and no trap is passed by. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "serve_client.h"

enum { HEAD = sizeof(struct bk__wire_io_fds), ENTRY = sizeof(struct bk__wire_io_fd) };

static struct served *made(void)
{
	struct served *served = malloc(sizeof(*served));

	served_create(served);
	served->device.bells[0] = served->device.bells[1] = -1;
	return served;
}

static void unmade(struct served *served)
{
	served_end(served);
	free(served);
}

/* What is asked for a region with so much room: how many entries the reply tells of. */
static unsigned ask(struct served *served, unsigned region, uint32_t argsz)
{
	const struct bk__wire_io_fds question = { .argsz = argsz, .index = region };
	struct bk__wire_io_fds reply;

	assert_int_equal(client_ask(served, BK__WIRE_REGION_IO_FDS, &question, sizeof(question), NULL, 0), 0);
	memcpy(&reply, served->reply.payload, HEAD);
	assert_int_equal(reply.index, region);
	assert_int_equal(reply.argsz, HEAD + reply.count * ENTRY);
	assert_int_equal(served->reply.size, reply.argsz <= argsz ? reply.argsz : HEAD);
	assert_int_equal(served->reply.fd_count, reply.argsz <= argsz ? reply.count : 0);
	return reply.count;
}

static bool fired(int fd)
{
	uint64_t count;

	return fd >= 0 && read(fd, &count, sizeof(count)) == sizeof(count);
}

static void the_devices_eventfds_are_the_clients(void **state)
{
	struct served *served = made();
	struct bk__wire_io_fd entry;
	const uint64_t one = 1;

	served_start(served);
	client_start(served);
	/* Nothing is the client's before it has got it. */
	assert_int_equal(ask(served, 0, HEAD), 2);
	assert_int_equal(served->device.bells[0], -1);
	assert_int_equal(ask(served, 0, HEAD + 2 * ENTRY), 2);
	for (unsigned i = 0; i < 2; i++) {
		memcpy(&entry, served->reply.payload + HEAD + i * ENTRY, ENTRY);
		assert_int_equal(entry.offset, SERVED_BELL);
		assert_int_equal(entry.size, 2);
		assert_int_equal(entry.type, BK__WIRE_IOEVENTFD);
		assert_int_equal(entry.flags, 1); /* the value counts, and it is in memory */
		assert_int_equal(entry.datamatch, i);
		assert_int_equal(write(served->reply.fds[entry.fd_index], &one, 8), 8);
		assert_true(fired(served->device.bells[i]));
	}
	/* Whoever asks again gets the same. */
	assert_int_equal(ask(served, 0, 65536), 2);
	assert_int_equal(write(served->reply.fds[1], &one, 8), 8);
	assert_true(fired(served->device.bells[1]));
	assert_int_equal(ask(served, 2, 65536), 0);
	assert_int_equal(ask(served, BK_DEVICE_CONFIG, 65536), 0);
	client_close(served);
	assert_int_equal(served->device.bells[0], -1);
	assert_int_equal(served->device.bells[1], -1);
	/* A client that takes one descriptor in a message gets one. */
	client_connect(served);
	assert_int_equal(client_ask(served, BK__WIRE_VERSION, "\0\0\0\0", 4, NULL, 0), 0);
	assert_int_equal(ask(served, 0, 65536), 1);
	unmade(served);
}

static int add_trap(struct bk_mediator *mediate, const char *text, struct bk_trap **trap)
{
	struct bk_trap_desc desc = { 0 };

	assert_int_equal(bk_trap_parse(text, &desc, NULL), 0);
	return bk_trap_add(mediate, &desc, trap, NULL);
}

static void no_trap_is_passed_by(void **state)
{
	struct served *served = made();
	struct bk_domain *domain = bk_domain_create();
	struct bk_mediator *mediate;
	struct bk_trap *trap;
	struct bk_error err;

	served->config.mmap = BK__SERVE_MMAP_OFF;
	assert_int_equal(bk_mediator_create(domain, &served->device.fake.device, NULL, &mediate, &err), 0);
	served->config.device = bk_mediator_device(mediate);
	served->config.mediate = mediate;
	assert_int_equal(add_trap(mediate, "bar0+0x100/4:log", &trap), 0);
	served_start(served);
	client_start(served);
	assert_int_equal(ask(served, 0, 65536), 0);
	bk_trap_remove(trap);
	client_close(served);
	client_start(served);
	/* A question is no promise: the trap comes, and there are none. */
	assert_int_equal(ask(served, 0, HEAD), 2);
	assert_int_equal(add_trap(mediate, "bar0+0x100/4:log", &trap), 0);
	assert_int_equal(ask(served, 0, HEAD), 0);
	bk_trap_remove(trap);
	assert_int_equal(ask(served, 0, 65536), 2);
	assert_int_equal(add_trap(mediate, "bar0+0x100/4:log", &trap), -EBUSY);
	assert_int_equal(add_trap(mediate, "bar0+0x800/2:log", &trap), -EBUSY);
	assert_int_equal(add_trap(mediate, "bar2+0x800/2:log", &trap), 0);
	client_close(served);
	assert_int_equal(add_trap(mediate, "bar0+0x800/2:log", &trap), 0);
	bk__serve_destroy(served->serve);
	served->serve = NULL;
	assert_int_equal(bk_mediator_destroy(mediate), 0);
	bk_domain_destroy(domain);
	unmade(served);
}

static uint64_t messages(struct served *served)
{
	struct bk__serve_stats stats;

	bk__serve_stats(served->serve, &stats);
	return stats.messages;
}

/* barkeep as the client. */
static void a_doorbell_costs_no_message(void **state)
{
	struct served *served = made();
	struct bk_device_context *context = bk_device_context_create();
	struct bk_device *device;
	struct bk_error err;
	char spec[96];
	uint64_t before;

	served_start(served);
	snprintf(spec, sizeof(spec), "vfio-user:%s", served->path);
	assert_int_equal(bk_device_open(context, spec, &device, &err), 0);
	served_fence(&served->device);
	assert_true(served->device.bells[1] >= 0);
	before = messages(served);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(bk_device_write_value(device, 0, SERVED_BELL, 2, i & 1), 0);
		assert_true(fired(served->device.bells[i & 1]));
		assert_false(fired(served->device.bells[!(i & 1)]));
	}
	assert_int_equal(messages(served), before);
	/* Of another value or width, or beside it: a register. */
	assert_int_equal(bk_device_write_value(device, 0, SERVED_BELL, 2, 2), 0);
	assert_int_equal(bk_device_write_value(device, 0, SERVED_BELL, 4, 1), 0);
	assert_int_equal(bk_device_write_value(device, 0, SERVED_BELL + 2, 2, 1), 0);
	assert_int_equal(messages(served), before + 3);
	bk_device_close(device);
	while (sem_wait(&served->gone))
		;
	served_fence(&served->device);
	assert_int_equal(served->device.bells[1], -1);
	bk_device_context_destroy(context);
	unmade(served);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_devices_eventfds_are_the_clients),
		cmocka_unit_test(no_trap_is_passed_by),
		cmocka_unit_test(a_doorbell_costs_no_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
