/* SPDX-License-Identifier: BSD-2-Clause */
/* A host made of files, in place of /sys and /dev/vfio. After cmocka.h. */
#ifndef BARKEEP_TEST_HOST_KIT_H
#define BARKEEP_TEST_HOST_KIT_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/context.h"

struct host {
	char root[64], sysfs[80], dev[80];
	struct bk_device_context *context;
	struct bk_error err;
};

/* A command of the shell, which has to succeed. */
static inline void __attribute__((format(printf, 1, 2))) run(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	assert_int_equal(system(command), 0);
}

/* Without devices. */
static inline int host_begin(void **state)
{
	struct host *host = calloc(1, sizeof(*host));

	strcpy(host->root, "/tmp/barkeep-host-XXXXXX");
	assert_non_null(mkdtemp(host->root));
	snprintf(host->sysfs, sizeof(host->sysfs), "%s/sys", host->root);
	snprintf(host->dev, sizeof(host->dev), "%s/vfio", host->root);
	run("mkdir -p %s/bus/pci/devices", host->sysfs);
	host->context = bk_device_context_create();
	bk__device_context_roots(host->context, host->sysfs, host->dev);
	*state = host;
	return 0;
}

static inline int host_end(void **state)
{
	struct host *host = *state;

	run("rm -rf %s", host->root);
	bk_device_context_destroy(host->context);
	free(host);
	return 0;
}

#endif
