/* SPDX-License-Identifier: BSD-2-Clause */
/* Served devices of one IOMMU group share a context: the group can be opened only once, and has one
 * address space. */
#include <errno.h>
#include <stdlib.h>

#include "cli/device_kinds.h"
#include "cli/served.h"
#include "device/apart.h"

/* How long the clients of one guest may differ in what they map. Clients wait 5 seconds for an answer. */
#define SECONDS_APART 2

static struct cli_shared *make(void)
{
	struct cli_shared *shared = calloc(1, sizeof(*shared));

	if (!shared)
		return NULL;
	shared->context = cli_kinds_context();
	if (shared->context)
		return shared;
	free(shared);
	return NULL;
}

static void destroy(struct cli_shared *shared)
{
	bk_device_context_destroy(shared->context);
	bk__serve_group_destroy(shared->group);
	free(shared);
}

/* Another device of the group. */
static struct cli_served *neighbour(const struct cli_served *served, int number)
{
	for (size_t i = 0; number >= 0 && i < served->run->list.count; i++) {
		struct cli_served *other = served->run->list.at[i];

		if (other != served && other->shared && other->shared->number == number)
			return other;
	}
	return NULL;
}

int cli_shared_get(struct cli_served *served, struct bk_error *err)
{
	struct cli_shared *shared = make();
	struct cli_served *other;

	if (!shared)
		return bk_fail(err, ENOMEM, "out of memory");
	shared->number = bk__device_context_group(shared->context, served->device.spec);
	other = neighbour(served, shared->number);
	if (other) {
		destroy(shared);
		shared = other->shared;
		bk_log(BK_LOG_WARNING,
		       "%s and %s are in IOMMU group %d, and reach the same memory: only one guest may have "
		       "both",
		       other->device.name, served->device.name, shared->number);
	} else if (shared->number >= 0) {
		bk__device_context_apart(shared->context, SECONDS_APART);
		shared->group = bk__serve_group_create();
		if (!shared->group) {
			destroy(shared);
			return bk_fail(err, ENOMEM, "out of memory");
		}
	}
	shared->uses++;
	served->shared = shared;
	served->config.group = shared->group;
	return 0;
}

void cli_shared_put(struct cli_served *served)
{
	struct cli_shared *shared = served->shared;

	served->shared = NULL;
	served->config.group = NULL;
	if (shared && !--shared->uses)
		destroy(shared);
}
