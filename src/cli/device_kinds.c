/* SPDX-License-Identifier: BSD-2-Clause */
/* The kinds of devices that the command has. */
#include "cli/device_kinds.h"

#include "device/options.h"
#include "virtio/virtio.h"

const char *const *cli_kind_keys(const char *spec)
{
	const char *const *keys = bk__virtio_keys(spec);

	return *keys ? keys : bk__device_keys(spec);
}

struct bk_device_context *cli_kinds_context(void)
{
	struct bk_device_context *context = bk_device_context_create();

	if (!context || !bk__virtio_add_kinds(context))
		return context;
	bk_device_context_destroy(context);
	return NULL;
}
