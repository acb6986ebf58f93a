/* SPDX-License-Identifier: BSD-2-Clause */
/* A device whose BARs carry traps: made from the device below, and taken apart again. */
#include "mediate/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int build(struct bk_mediate *m, const struct bk_mediate_options *options, struct bk_error *err)
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
			return bk_fail(err, -r, "%s: %s: %s", m->below->name, bk__region_name(i),
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
		r = bk__bottom_add(m, BK_DEVICE_CONFIG, 0, m->config_size, BK__PRIORITY_PAGE,
				   BK_WIDTH_1 | BK_WIDTH_2 | BK_WIDTH_4, err);
	return r;
}

int bk_mediate_create(struct bk_domain *domain, struct bk_device *below,
		      const struct bk_mediate_options *options, struct bk_mediate **mediate,
		      struct bk_error *err)
{
	static const struct bk_mediate_options none;
	struct bk_mediate *m = calloc(1, sizeof(*m));
	int r;

	*mediate = NULL;
	if (!m) {
		r = bk_fail(err, ENOMEM, "%s: out of memory", below->name);
		bk_device_close(below);
		return r;
	}
	m->device.ops = &bk__face_ops;
	memcpy(m->device.name, below->name, sizeof(m->device.name));
	m->below = below;
	m->domain = domain;
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->repeated_lock, NULL);
	r = build(m, options ? options : &none, err);
	if (r) {
		bk_mediate_close(m);
		return r;
	}
	*mediate = m;
	return 0;
}

static int destroy(struct bk_space **space)
{
	int r = *space ? bk_space_destroy(*space) : 0;

	if (!r)
		*space = NULL;
	return r;
}

void bk_mediate_close(struct bk_mediate *m)
{
	int r = 0;

	if (!m)
		return;
	for (unsigned i = 0; !r && i < 2; i++)
		r = destroy(&m->vga[i]);
	/* The BARs first: their MSI-X traps call the function, which waits for them before it goes. */
	for (unsigned i = 0; !r && i < BK__SPACES; i++)
		if (i != BK_DEVICE_CONFIG || m->filter) /* else it is the function's */
			r = destroy(&m->regions[i].space);
	if (!r && m->function)
		r = bk_pci_function_destroy(m->function);
	if (r) {
		bk_log(BK_LOG_ERROR, "%s: closed while it is on a bus or somebody looks at it: left as it is",
		       m->below->name);
		return;
	}
	/* Traps and mappings are released by now, or at the latest here. */
	bk_domain_synchronize(m->domain);
	bk_device_close(m->below);
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->repeated_lock);
	for (unsigned i = 0; i < BK__SPACES; i++)
		free(m->regions[i].pages);
	free(m->traps);
	free(m->rom);
	free(m->filter);
	free(m);
}

struct bk_device *bk_mediate_device(struct bk_mediate *m)
{
	return &m->device;
}

struct bk_device *bk_mediate_below(struct bk_mediate *m)
{
	return m->below;
}

struct bk_pci_function *bk_mediate_function(struct bk_mediate *m)
{
	return m->function;
}

struct bk_space *bk_mediate_region(struct bk_mediate *m, unsigned region)
{
	return region < BK__SPACES ? m->regions[region].space : NULL;
}
