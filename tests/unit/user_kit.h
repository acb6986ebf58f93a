/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of `vfio-user:PATH` share: a server, the device that it has, and what a watcher is told. */
#ifndef TESTS_USER_KIT_H
#define TESTS_USER_KIT_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <barkeep/device.h>

#include "fake_server.h"

struct kit {
	struct fake_server server;
	struct bk_device_context *context;
	struct bk_device *device;
	struct bk_error err;
	char spec[128];
};

static inline int set_up(void **state)
{
	struct kit *kit = calloc(1, sizeof(*kit));

	fake_server_init(&kit->server);
	kit->context = bk_device_context_create();
	snprintf(kit->spec, sizeof(kit->spec), "vfio-user:%s", kit->server.path);
	*state = kit;
	return 0;
}

static inline int tear_down(void **state)
{
	struct kit *kit = *state;

	bk_device_context_destroy(kit->context);
	fake_server_free(&kit->server);
	free(kit);
	return 0;
}

/* The server's state, as it is between two messages. */
static inline struct fake_server *server_of(struct kit *kit)
{
	pthread_mutex_lock(&kit->server.lock);
	pthread_mutex_unlock(&kit->server.lock);
	return &kit->server;
}

static inline void open_device(struct kit *kit, const char *options)
{
	strcat(kit->spec, options);
	fake_server_start(&kit->server);
	assert_int_equal(bk_device_open(kit->context, kit->spec, &kit->device, &kit->err), 0);
}

static inline void end(struct kit *kit)
{
	server_of(kit);
	bk_device_close(kit->device);
	fake_server_stop(&kit->server);
}

struct told {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned lost, changes;
};

static inline int lose(void *opaque, unsigned region, uint64_t first, uint64_t last)
{
	struct told *told = opaque;

	assert_int_equal(region, 0);
	assert_int_equal(first, 0);
	assert_int_equal(last, FAKE_BAR0 - 1);
	pthread_mutex_lock(&told->lock);
	told->lost++;
	pthread_mutex_unlock(&told->lock);
	return 0;
}

static inline void change(void *opaque, unsigned region)
{
	struct told *told = opaque;

	(void)region;
	pthread_mutex_lock(&told->lock);
	told->changes++;
	pthread_cond_broadcast(&told->changed);
	pthread_mutex_unlock(&told->lock);
}

static inline void wait_for(struct told *told, unsigned changes)
{
	pthread_mutex_lock(&told->lock);
	while (told->changes < changes)
		pthread_cond_wait(&told->changed, &told->lock);
	pthread_mutex_unlock(&told->lock);
}

#endif
