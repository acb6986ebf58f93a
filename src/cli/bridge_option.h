/* SPDX-License-Identifier: BSD-2-Clause */
/* `--bridge NAME[,key=value]...`: bridges between the root bus and the devices. */
#ifndef BK_CLI_BRIDGE_H
#define BK_CLI_BRIDGE_H

#include "monitor/monitor.h"

struct cli_bridge {
	char *name;
	char *bus; /* of the bridge above, or NULL */
	enum bk__monitor_bus_kind kind;
	int slot; /* -1: any */
	unsigned function;
	uint64_t memory, prefetchable; /* room for a device to come; 0: not said */
};

struct cli_bridges {
	struct cli_bridge *at;
	size_t count, capacity; /* see base/array.h */
};

/* Adds one from its text: kind=root-port|pci, bus=NAME, addr=SS.F, memory=SIZE, prefetchable=SIZE. -EINVAL or
 * -ENOMEM with a line. */
int cli_bridges_add(struct cli_bridges *bridges, const char *text, struct bk_error *err);

/* Puts each bridge behind the one above it. -EINVAL with a line where a name is wrong or used twice, and
 * where bridges are behind themselves. */
int cli_bridges_sort(struct cli_bridges *bridges, struct bk_error *err);

/* Is there a bridge of that name? */
bool cli_bridges_have(const struct cli_bridges *bridges, const char *name);

void cli_bridges_free(struct cli_bridges *bridges);

#endif
