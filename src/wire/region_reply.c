/* SPDX-License-Identifier: BSD-2-Clause */
/* What a region is: the reply with its chain of capabilities, and the sub-regions with an eventfd. */
#include "wire/message.h"

#include <errno.h>
#include <string.h>

size_t bk__wire_region_info_put(void *payload, size_t room, struct bk__wire_region_info *info,
				const struct bk__wire_area *areas, uint32_t count)
{
	const size_t list = count * sizeof(*areas);
	struct bk__wire_cap_sparse sparse = { .cap = { BK__WIRE_CAP_SPARSE, 1, 0 }, .count = count };
	uint8_t *out = payload;

	info->argsz = sizeof(*info);
	info->cap_offset = 0;
	if (count) {
		/* Set in a reply that is too short, too: clients look at it before they ask again. */
		info->flags |= BK__WIRE_REGION_CAPS;
		info->cap_offset = sizeof(*info);
		info->argsz += (uint32_t)(sizeof(sparse) + list);
	}
	if (room < sizeof(*info))
		return 0;
	memcpy(out, info, sizeof(*info));
	if (!count || room < info->argsz)
		return sizeof(*info);
	memcpy(out + sizeof(*info), &sparse, sizeof(sparse));
	memcpy(out + sizeof(*info) + sizeof(sparse), areas, list);
	return info->argsz;
}

static bool inside(const struct bk__wire_area *area, uint64_t size)
{
	return area->size && area->offset <= size && area->size <= size - area->offset;
}

static int take_sparse(const uint8_t *payload, size_t size, size_t at,
		       const struct bk__wire_region_info *info,
		       void (*visit)(void *opaque, const struct bk__wire_area *area), void *opaque)
{
	struct bk__wire_cap_sparse sparse;

	if (size - at < sizeof(sparse))
		return -EPROTO;
	memcpy(&sparse, payload + at, sizeof(sparse));
	at += sizeof(sparse);
	if (sparse.count > (size - at) / sizeof(struct bk__wire_area))
		return -EPROTO;
	for (uint32_t i = 0; i < sparse.count; i++) {
		struct bk__wire_area area;

		memcpy(&area, payload + at + i * sizeof(area), sizeof(area));
		if (!inside(&area, info->size))
			return -EPROTO;
		visit(opaque, &area);
	}
	return 0;
}

int bk__wire_region_info_take(const void *payload, size_t size, struct bk__wire_region_info *info,
			      bool *sparse, void (*visit)(void *opaque, const struct bk__wire_area *area),
			      void *opaque)
{
	struct bk__wire_cap cap;
	int error = 0;

	*sparse = false;
	if (size < sizeof(*info))
		return -EPROTO;
	memcpy(info, payload, sizeof(*info));
	if (info->argsz < sizeof(*info) || info->argsz > size)
		return -EPROTO;
	if (!(info->flags & BK__WIRE_REGION_CAPS))
		return 0;
	/* The chain goes up, so it ends. */
	for (uint32_t at = info->cap_offset, least = sizeof(*info); at && !error; at = cap.next) {
		if (at < least || size < sizeof(cap) || at > size - sizeof(cap))
			return -EPROTO;
		memcpy(&cap, (const uint8_t *)payload + at, sizeof(cap));
		least = at + (uint32_t)sizeof(cap);
		if (cap.id != BK__WIRE_CAP_SPARSE)
			continue;
		if (*sparse)
			return -EPROTO;
		*sparse = true;
		error = take_sparse(payload, size, at, info, visit, opaque);
	}
	return error;
}

/* libvfio-user's: a shadow region in memory besides. */
struct shadow_io_fd {
	uint64_t offset, size;
	uint32_t fd_index, type, flags, shadow_fd_index;
	uint64_t shadow_offset, datamatch;
};

int bk__wire_io_fd_take(const void *data, size_t size, uint32_t count, uint32_t i, struct bk__wire_io_fd *out)
{
	const size_t stride = count ? size / count : 0;
	const uint8_t *at = (const uint8_t *)data + i * stride;
	struct shadow_io_fd shadow;

	if (i >= count || size % count)
		return -EPROTO;
	if (stride == sizeof(*out)) {
		memcpy(out, at, sizeof(*out));
		return 0;
	}
	if (stride != sizeof(shadow))
		return -EPROTO;
	memcpy(&shadow, at, sizeof(shadow));
	*out = (struct bk__wire_io_fd){
		.offset = shadow.offset,
		.size = shadow.size,
		.fd_index = shadow.fd_index,
		.type = shadow.type,
		.flags = shadow.flags,
		.datamatch = shadow.datamatch,
	};
	return 0;
}
