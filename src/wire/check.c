/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that come from the other side: every length, count and flag. */
#include "wire/message.h"

#include <errno.h>
#include <string.h>

/* Fixed part, and whether more bytes may follow it. */
static const struct shape {
	uint16_t fixed;
	bool more; /* whatever follows is checked by its own rule */
	uint8_t fds;
} shapes[BK__WIRE_COMMANDS] = {
	[BK__WIRE_VERSION] = { sizeof(struct bk__wire_version_header), true, 0 },
	[BK__WIRE_DMA_MAP] = { sizeof(struct bk__wire_dma_map), false, 1 },
	[BK__WIRE_DMA_UNMAP] = { sizeof(struct bk__wire_dma_unmap), true, 0 },
	[BK__WIRE_DEVICE_INFO] = { sizeof(struct bk__wire_device_info), false, 0 },
	[BK__WIRE_REGION_INFO] = { sizeof(struct bk__wire_region_info), true, 0 },
	[BK__WIRE_REGION_IO_FDS] = { sizeof(struct bk__wire_io_fds), false, 0 },
	[BK__WIRE_IRQ_INFO] = { sizeof(struct bk__wire_irq_info), false, 0 },
	[BK__WIRE_SET_IRQS] = { sizeof(struct bk__wire_set_irqs), true, BK__WIRE_FDS_ANYHOW },
	[BK__WIRE_REGION_READ] = { sizeof(struct bk__wire_region_access), false, 0 },
	[BK__WIRE_REGION_WRITE] = { sizeof(struct bk__wire_region_access), true, 0 },
	[BK__WIRE_DMA_READ] = { sizeof(struct bk__wire_dma_access), false, 0 },
	[BK__WIRE_DMA_WRITE] = { sizeof(struct bk__wire_dma_access), true, 0 },
	[BK__WIRE_RESET] = { 0, false, 0 },
	[BK__WIRE_WRITE_MULTI] = { sizeof(struct bk__wire_write_multi), true, 0 },
	[BK__WIRE_FEATURE] = { sizeof(struct bk__wire_feature), true, 0 },
	[BK__WIRE_MIG_DATA_READ] = { sizeof(struct bk__wire_mig_data), false, 0 },
	[BK__WIRE_MIG_DATA_WRITE] = { sizeof(struct bk__wire_mig_data), true, 0 },
};

static unsigned listed(uint32_t count)
{
	return count < BK__WIRE_FDS_ANYHOW ? count : BK__WIRE_FDS_ANYHOW;
}

static unsigned reply_fds(const struct bk__wire_header *header, const uint8_t *payload)
{
	struct bk__wire_io_fds io_fds;

	switch (header->command) {
	case BK__WIRE_VERSION:
	case BK__WIRE_REGION_INFO:
		return 1;
	case BK__WIRE_REGION_IO_FDS:
		if (header->size < sizeof(*header) + sizeof(io_fds))
			return 0;
		memcpy(&io_fds, payload, sizeof(io_fds));
		return listed(io_fds.count);
	}
	return 0;
}

unsigned bk__wire_fds_most(const struct bk__wire_header *header, const uint8_t *payload)
{
	struct bk__wire_set_irqs set;

	if ((header->flags & BK__WIRE_TYPE) == BK__WIRE_REPLY)
		return reply_fds(header, payload);
	if (header->command >= BK__WIRE_COMMANDS)
		return 0;
	if (header->command != BK__WIRE_SET_IRQS)
		return shapes[header->command].fds;
	if (header->size < sizeof(*header) + sizeof(set))
		return 0;
	memcpy(&set, payload, sizeof(set));
	return set.flags & BK__WIRE_IRQ_FDS ? listed(set.count) : 0;
}

struct check {
	const struct bk__wire_message *message;
	const struct bk__wire_limits *limits;
	const struct bk__wire_request *request;
	struct bk_error *err;
};

static int bad(const struct check *c, const char *what)
{
	return bk_fail(c->err, EINVAL, "%s: %s", bk__wire_command_name(c->message->header.command), what);
}

static bool wraps(uint64_t first, uint64_t size)
{
	return size && first + (size - 1) < first;
}

static int check_argsz(const struct check *c, uint32_t argsz, size_t least)
{
	return argsz < least ? bad(c, "argsz is less than the structure") : 0;
}

static int check_map(const struct check *c)
{
	const struct bk__wire_dma_map *map = &c->request->map;
	uint32_t known = BK__WIRE_MAP_READ | BK__WIRE_MAP_WRITE;

	if (c->limits->minor >= 2)
		known |= BK__WIRE_MAP_MMAP | BK__WIRE_MAP_FILE_IO;
	if (map->argsz < sizeof(*map) || (c->limits->strict && map->argsz != sizeof(*map)))
		return bad(c, "argsz is not the structure's size");
	if (map->flags & ~known)
		return bad(c, "unknown flags");
	if (map->flags & BK__WIRE_MAP_MMAP && map->flags & BK__WIRE_MAP_FILE_IO)
		return bad(c, "both ways of using the file are asked for");
	if (map->flags & (BK__WIRE_MAP_MMAP | BK__WIRE_MAP_FILE_IO) && !c->message->fd_count)
		return bad(c, "a way of using the file, and no file");
	if (!map->size || wraps(map->address, map->size))
		return bad(c, "the range is empty or wraps");
	if (c->message->fd_count && wraps(map->offset, map->size))
		return bad(c, "the range of the file wraps");
	return 0;
}

static int check_unmap(const struct check *c)
{
	const struct bk__wire_dma_unmap *unmap = &c->request->unmap;

	if (unmap->flags & ~(uint32_t)(BK__WIRE_UNMAP_BITMAP | BK__WIRE_UNMAP_ALL))
		return bad(c, "unknown flags");
	if (unmap->flags & BK__WIRE_UNMAP_ALL && (unmap->address || unmap->size))
		return bad(c, "ALL has no range");
	if (unmap->flags == (BK__WIRE_UNMAP_BITMAP | BK__WIRE_UNMAP_ALL))
		return bad(c, "ALL has no bitmap");
	if (!(unmap->flags & BK__WIRE_UNMAP_ALL) && (!unmap->size || wraps(unmap->address, unmap->size)))
		return bad(c, "the range is empty or wraps");
	if (unmap->flags & BK__WIRE_UNMAP_BITMAP && c->request->size < 16)
		return bad(c, "the bitmap's header is missing");
	if (c->limits->strict && !(unmap->flags & BK__WIRE_UNMAP_BITMAP) && c->request->size)
		return bad(c, "bytes too many");
	return check_argsz(c, unmap->argsz, sizeof(*unmap));
}

static int check_region_info(const struct check *c)
{
	const struct bk__wire_region_info *info = &c->request->region_info;

	if (c->limits->strict && (info->flags || info->cap_offset || info->size || info->offset))
		return bad(c, "a field that the reply fills is not 0");
	return check_argsz(c, info->argsz, sizeof(*info));
}

static int check_io_fds(const struct check *c)
{
	const struct bk__wire_io_fds *io_fds = &c->request->io_fds;

	if (c->limits->strict && (io_fds->flags || io_fds->count))
		return bad(c, "a field that the reply fills is not 0");
	return check_argsz(c, io_fds->argsz, sizeof(*io_fds));
}

static bool one_of(uint32_t flags, uint32_t of)
{
	flags &= of;
	return flags && !(flags & (flags - 1));
}

static int check_set_irqs(const struct check *c)
{
	const struct bk__wire_set_irqs *set = &c->request->set_irqs;
	const uint32_t data = BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_BOOL | BK__WIRE_IRQ_FDS;
	const uint32_t action = BK__WIRE_IRQ_MASK | BK__WIRE_IRQ_UNMASK | BK__WIRE_IRQ_TRIGGER;
	const size_t bytes = set->flags & BK__WIRE_IRQ_BOOL ? set->count : 0;

	if (!one_of(set->flags, data) || !one_of(set->flags, action) || set->flags & ~(data | action))
		return bad(c, "the flags are not one kind of data and one action");
	if (wraps(set->start, set->count) || (uint64_t)set->start + set->count > UINT32_MAX)
		return bad(c, "the range wraps");
	if (c->request->size < bytes || (c->limits->strict && c->request->size != bytes))
		return bad(c, "the data are not a byte for each vector");
	if (set->flags & BK__WIRE_IRQ_FDS ? c->message->fd_count && c->message->fd_count != set->count
					  : c->message->fd_count)
		return bad(c, "the fds are not one for each vector");
	return check_argsz(c, set->argsz, sizeof(*set) + bytes);
}

static int check_access(const struct check *c, uint64_t offset, uint64_t count, bool data)
{
	if (!count || count > c->limits->data)
		return bad(c, "the count is 0, or more than was agreed on");
	if (wraps(offset, count))
		return bad(c, "the range wraps");
	if (data && c->request->size != count)
		return bad(c, "the data are not as long as they say");
	return 0;
}

static int check_multi(const struct check *c)
{
	const uint64_t count = c->request->multi.count;

	if (!c->limits->multi)
		return bk_fail(c->err, ENOTSUP, "REGION_WRITE_MULTI was not agreed on");
	if (count > c->request->size / sizeof(struct bk__wire_write) ||
	    (c->limits->strict && c->request->size != count * sizeof(struct bk__wire_write)))
		return bad(c, "the writes are not as many as they say");
	for (uint64_t i = 0; i < count; i++) {
		const struct bk__wire_write write = bk__wire_multi_write(c->request, i);

		if (!write.count || write.count > sizeof(write.data) || wraps(write.offset, write.count))
			return bad(c, "a write is not of 1 to 8 bytes");
	}
	return 0;
}

static int check_feature(const struct check *c)
{
	const struct bk__wire_feature *feature = &c->request->feature;
	const uint32_t known =
		BK__WIRE_FEATURE_MASK | BK__WIRE_FEATURE_GET | BK__WIRE_FEATURE_SET | BK__WIRE_FEATURE_PROBE;

	if (feature->flags & ~known)
		return bad(c, "unknown flags");
	return check_argsz(c, feature->argsz, sizeof(*feature));
}

static int check_payload(const struct check *c)
{
	switch (c->message->header.command) {
	case BK__WIRE_DMA_MAP:
		return check_map(c);
	case BK__WIRE_DMA_UNMAP:
		return check_unmap(c);
	case BK__WIRE_DEVICE_INFO:
		return check_argsz(c, c->request->device_info.argsz, sizeof(struct bk__wire_device_info));
	case BK__WIRE_REGION_INFO:
		return check_region_info(c);
	case BK__WIRE_REGION_IO_FDS:
		return check_io_fds(c);
	case BK__WIRE_IRQ_INFO:
		return check_argsz(c, c->request->irq_info.argsz, sizeof(struct bk__wire_irq_info));
	case BK__WIRE_SET_IRQS:
		return check_set_irqs(c);
	case BK__WIRE_REGION_READ:
		return check_access(c, c->request->access.offset, c->request->access.count, false);
	case BK__WIRE_REGION_WRITE:
		return check_access(c, c->request->access.offset, c->request->access.count, true);
	case BK__WIRE_DMA_READ:
		return check_access(c, c->request->dma.address, c->request->dma.count, false);
	case BK__WIRE_DMA_WRITE:
		return check_access(c, c->request->dma.address, c->request->dma.count, true);
	case BK__WIRE_WRITE_MULTI:
		return check_multi(c);
	case BK__WIRE_FEATURE:
		return check_feature(c);
	}
	return 0;
}

int bk__wire_check(const struct bk__wire_message *message, const struct bk__wire_limits *limits,
		   struct bk__wire_request *request, struct bk_error *err)
{
	const struct bk__wire_header *header = &message->header;
	const struct check c = { message, limits, request, err };
	const struct shape *shape;

	if ((header->flags & BK__WIRE_TYPE) != BK__WIRE_COMMAND || header->flags & BK__WIRE_ERROR ||
	    (limits->strict && (header->flags & ~(uint32_t)BK__WIRE_KNOWN_FLAGS || header->error)))
		return bad(&c, "the header's flags are not a command's");
	if (!header->command || header->command >= BK__WIRE_COMMANDS ||
	    header->command == BK__WIRE_DIRTY_PAGES)
		return bk_fail(err, ENOTSUP, "command %u does not exist", header->command);
	shape = &shapes[header->command];
	if (message->size < shape->fixed)
		return bad(&c, "the message is too short");
	if (limits->strict && !shape->more && message->size != shape->fixed)
		return bad(&c, "bytes too many");
	if (message->fd_count > shape->fds)
		return bad(&c, "fds too many");
	if (shape->fixed)
		memcpy(request, message->payload, shape->fixed);
	request->data = message->payload + shape->fixed;
	request->size = message->size - shape->fixed;
	return check_payload(&c);
}

struct bk__wire_write bk__wire_multi_write(const struct bk__wire_request *request, uint64_t i)
{
	struct bk__wire_write write;

	memcpy(&write, request->data + i * sizeof(write), sizeof(write));
	return write;
}
