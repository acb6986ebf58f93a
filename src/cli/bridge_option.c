/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes `--bridge NAME[,key=value]...` apart, and finds the order in which bridges can be made. */
#include "cli/bridge_option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/items.h"
#include "base/number.h"
#include "cli/comma_items.h"

/* Windows of bridges come in 1 MiB. */
static int parse_room(const char *key, const char *value, uint64_t most, uint64_t *room, struct bk_error *err)
{
	if (!bk__base_size(value, room) || !*room || *room % (UINT64_C(1) << 20) || *room > most)
		return bk_fail(err, EINVAL, "%s=%s: give a multiple of 1M, at most %" PRIu64 "G", key, value,
			       most >> 30);
	return 0;
}

static int parse_option(char *item, struct cli_bridge *bridge, struct bk_error *err)
{
	char *value = strchr(item, '=');

	if (!value)
		return bk_fail(err, EINVAL, "`%s` is not of the form key=value", item);
	*value++ = 0;
	if (!strcmp(item, "addr"))
		return cli_parse_addr(value, &bridge->slot, &bridge->function, err);
	if (!strcmp(item, "bus")) {
		free(bridge->bus);
		bridge->bus = strdup(value);
		return bridge->bus ? 0 : bk_fail(err, ENOMEM, "out of memory");
	}
	if (!strcmp(item, "kind")) {
		bridge->kind = strcmp(value, "pci") ? BK__BUS_PORT : BK__BUS_PCI;
		if (bridge->kind == BK__BUS_PORT && strcmp(value, "root-port"))
			return bk_fail(err, EINVAL, "kind=%s: root-port or pci", value);
		return 0;
	}
	if (!strcmp(item, "memory"))
		return parse_room(item, value, UINT64_C(1) << 31, &bridge->memory, err);
	if (!strcmp(item, "prefetchable"))
		return parse_room(item, value, UINT64_C(1) << 46, &bridge->prefetchable, err);
	return bk_fail(err, EINVAL,
		       "there is no bridge option `%s`; there are kind, bus, addr, memory and prefetchable",
		       item);
}

static void clear(struct cli_bridge *bridge)
{
	free(bridge->name);
	free(bridge->bus);
}

int cli_bridges_add(struct cli_bridges *bridges, const char *text, struct bk_error *err)
{
	struct cli_bridge *bridge;
	struct bk_error inner = { { 0 } };
	const char *rest = text;
	int error = 0;

	if (bk__array_reserve(bridges, 1))
		return bk_fail(err, ENOMEM, "out of memory");
	bridge = &bridges->at[bridges->count];
	*bridge = (struct cli_bridge){ .name = bk__base_next_item(&rest), .kind = BK__BUS_PORT, .slot = -1 };
	if (!bridge->name)
		return bk_fail(err, ENOMEM, "out of memory");
	if (!*bridge->name || strchr(bridge->name, '='))
		error = bk_fail(&inner, EINVAL, "a bridge needs a name first, as in rp1,addr=03.0");
	while (!error && *rest) {
		char *item = bk__base_next_item(&rest);

		error = item ? parse_option(item, bridge, &inner) : bk_fail(&inner, ENOMEM, "out of memory");
		free(item);
	}
	if (!error && bridge->kind == BK__BUS_PORT && bridge->bus)
		error = bk_fail(&inner, EINVAL,
				"a root port is on the root bus, not behind `%s` (did you mean kind=pci?)",
				bridge->bus);
	if (!error && bridge->kind == BK__BUS_PCI && (bridge->memory || bridge->prefetchable))
		error = bk_fail(&inner, EINVAL,
				"memory= and prefetchable= are for root ports, which have a slot");
	if (error) {
		bk_fail(err, -error, "%s: %s", text, inner.text);
		clear(bridge);
		return error;
	}
	bridges->count++;
	return 0;
}

static bool have(const struct cli_bridge *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(list[i].name, name))
			return true;
	return false;
}

int cli_bridges_sort(struct cli_bridges *bridges, struct bk_error *err)
{
	struct cli_bridge *list = bridges->at;

	for (size_t i = 0; i < bridges->count; i++) {
		if (have(list, i, list[i].name))
			return bk_fail(err, EINVAL, "%s: there are two bridges of that name", list[i].name);
		if (list[i].bus && !have(list, bridges->count, list[i].bus))
			return bk_fail(err, EINVAL, "%s: bus=%s: no bridge has that name", list[i].name,
				       list[i].bus);
	}
	for (size_t done = 0; done < bridges->count; done++) {
		size_t next = done;
		struct cli_bridge found;

		while (next < bridges->count && list[next].bus && !have(list, done, list[next].bus))
			next++;
		if (next == bridges->count)
			return bk_fail(err, EINVAL, "%s: bus=%s: it would be behind itself", list[done].name,
				       list[done].bus);
		found = list[next];
		memmove(&list[done + 1], &list[done], (next - done) * sizeof(*list));
		list[done] = found;
	}
	return 0;
}

bool cli_bridges_have(const struct cli_bridges *bridges, const char *name)
{
	return have(bridges->at, bridges->count, name);
}

void cli_bridges_free(struct cli_bridges *bridges)
{
	for (size_t i = 0; i < bridges->count; i++)
		clear(&bridges->at[i]);
	free(bridges->at);
	*bridges = (struct cli_bridges){ 0 };
}
