/* SPDX-License-Identifier: BSD-2-Clause */
/* A device whose BARs carry traps: made from the device below, and taken apart again. */
#include "mediate/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/struct.h"
#include "mediate/hole.h"

static int build(struct bk_mediator *m, const struct bk_mediator_options *options, struct bk_error *err)
{
	struct bk_device_info info = { 0 };
	int r = bk_device_info(m->below, &info);

	if (r < 0)
		return bk_fail(err, -r, "%s: the device does not describe itself: %s", m->below->name,
			       strerror(-r));
	m->below_port = options->below_port;
	m->can_reset = info.flags & BK_DEVICE_CAN_RESET;
	for (unsigned i = 0; i <= BK_DEVICE_CONFIG && i < info.regions; i++) {
		r = bk_device_region(m->below, i, &m->regions[i].info);
		if (r < 0)
			return bk_fail(err, -r, "%s: %s: %s", m->below->name, bk_device_region_name(i),
				       strerror(-r));
	}
	if (options->filter)
		return bk__mediate_filter_build(m, options, err);
	r = bk__mediate_config_load(m, err);
	if (!r)
		r = bk__mediate_function(m, options, err);
	if (!r)
		r = bk__mediate_capabilities(m, err);
	if (!r)
		r = bk__mediate_msix_traps(m, err);
	bk__mediate_config_ready(m);
	if (!r)
		r = bk__mediate_bottom_add(m, BK_DEVICE_CONFIG, 0, m->config_size, BK__PRIORITY_CONFIG,
					   BK_WIDTH_1 | BK_WIDTH_2 | BK_WIDTH_4, err);
	return r;
}

int bk_mediator_create(struct bk_domain *domain, struct bk_device *below,
		       const struct bk_mediator_options *options, struct bk_mediator **mediate,
		       struct bk_error *err)
{
	struct bk_mediator_options taken = { 0 };
	struct bk_mediator *m = calloc(1, sizeof(*m));
	int r = options ? bk__struct_take(&taken, sizeof(taken), options) : 0;

	*mediate = NULL;
	if (r || !m) {
		r = r ? bk_fail(err, -r, "%s: options of a later release", below->name)
		      : bk_fail(err, ENOMEM, "%s: out of memory", below->name);
		free(m);
		bk_device_close(below);
		return r;
	}
	m->device.ops = &bk__mediate_face_ops;
	m->device.name = below->name;
	m->device.below = below;
	m->below = below;
	m->domain = domain;
	m->page_size = bk__mediate_page_size();
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->repeated_lock, NULL);
	r = build(m, &taken, err);
	if (!r) {
		r = bk__mediate_holes_begin(m);
		if (r)
			bk_fail(err, -r, "%s: what can be mapped of it: %s", below->name, strerror(-r));
	}
	if (r) {
		bk_mediator_destroy(m);
		return r;
	}
	*mediate = m;
	return 0;
}

struct bk_device *bk_mediator_device(struct bk_mediator *m)
{
	return &m->device;
}

struct bk_device *bk_mediator_below(struct bk_mediator *m)
{
	return m->below;
}

struct bk_pci_function *bk_mediator_function(struct bk_mediator *m)
{
	return m->function;
}

struct bk_space *bk_mediator_space(struct bk_mediator *m, unsigned region)
{
	return region < BK__SPACES ? m->regions[region].space : NULL;
}
