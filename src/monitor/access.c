/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses of vCPUs to a space, and which region answers at an address. */
#include "monitor/access.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "monitor/pages.h"

static bool look(void *opaque, const struct bk_flat *flat)
{
	struct bk__monitor_lookup *lookup = opaque;
	const struct bk__monitor_pages pages = bk__monitor_pages_fit(flat);

	lookup->found = true;
	lookup->whole =
		pages.size && lookup->address >= pages.gpa && lookup->address - pages.gpa < pages.size;
	if (bk_region_name(flat->region))
		snprintf(lookup->name, sizeof(lookup->name), "%s", bk_region_name(flat->region));
	return false;
}

struct bk__monitor_lookup bk__monitor_access_look_up(const struct bk__monitor_vcpu *vcpu, uint64_t address)
{
	struct bk__monitor_lookup lookup = { .address = address };

	bk_space_visit(vcpu->all->config.memory, address, address, look, &lookup);
	return lookup;
}

void bk__monitor_access_place(const struct bk__monitor_vcpu *vcpu, uint64_t address, char *text, size_t size)
{
	const struct bk__monitor_lookup lookup = bk__monitor_access_look_up(vcpu, address);

	snprintf(text, size, "0x%" PRIx64 " (%s)", address,
		 !lookup.found    ? "no region is there"
		 : lookup.name[0] ? lookup.name
				  : "no name");
}

void bk__monitor_access_serve(struct bk_space *space, uint64_t address, unsigned width, bool write,
			      uint8_t *data)
{
	uint64_t value = 0;

	if (write) {
		memcpy(&value, data, width);
		bk_space_write(space, address, width, value);
	} else {
		bk_space_read(space, address, width, &value);
		memcpy(data, &value, width);
	}
}
