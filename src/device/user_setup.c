/* SPDX-License-Identifier: BSD-2-Clause */
/* The start of a connection: the version, and the description of the device. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/pci_regs.h"
#include "device/user.h"

/* A server that is silent for this long counts as gone, since a vCPU waits for it. */
enum { PATIENCE = 30 };

#define REGION_INFO_BYTES (sizeof(struct bk__wire_region_info) + 16 + 16 * BK__USER_AREAS)

void bk__user_lose(struct bk__user_link *link)
{
	for (unsigned i = 0; i < BK_DEVICE_REGIONS; i++) {
		if (link->regions[i].fd >= 0)
			close(link->regions[i].fd);
		link->regions[i].fd = -1;
	}
	bk__user_doorbells_lose(link);
	bk__wire_stream_close(&link->stream);
	memset(&link->stream, 0, sizeof(link->stream));
	if (link->fd >= 0)
		close(link->fd);
	if (link->twin >= 0)
		close(link->twin);
	link->fd = link->twin = -1;
	link->broken = true;
}

void bk__user_disconnect(struct bk__user_link *link)
{
	bk__user_lose(link);
	for (unsigned i = 0; i < BK_DEVICE_REGIONS; i++) {
		free(link->regions[i].areas);
		link->regions[i].areas = NULL;
	}
}

static void be_patient(int fd)
{
	const struct timeval patience = { .tv_sec = PATIENCE };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

static int open_socket(struct bk__user_device *user, struct bk__user_link *link, struct bk_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(user->path) >= sizeof(address.sun_path))
		return bk_fail(err, ENAMETOOLONG, "%s: the path has more than %zu bytes, which no socket has",
			       user->device.name, sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, user->path);
	link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (link->fd < 0)
		return bk_fail(err, errno, "%s: socket: %s", user->device.name, strerror(errno));
	be_patient(link->fd);
	if (connect(link->fd, (const struct sockaddr *)&address, sizeof(address)))
		return bk_fail(err, errno, "%s: no server answers: %s", user->device.name, strerror(errno));
	return 0;
}

static int agree(struct bk__user_device *user, struct bk__user_link *link, struct bk_error *err)
{
	const struct bk__wire_version proposal = {
		.major = BK__WIRE_MAJOR,
		.minor = 1, /* 0.2 adds DMA by file I/O, which we do not use */
		.has = BK__WIRE_HAS_FDS | BK__WIRE_HAS_DATA | BK__WIRE_HAS_MAPS | BK__WIRE_HAS_PGSIZES |
		       BK__WIRE_HAS_TWIN,
		.fds = BK__WIRE_FDS,
		.data = BK__WIRE_DATA,
		.maps = BK__WIRE_MAPS,
		.pgsizes = BK__WIRE_PAGE,
		.twin = true,
	};
	uint8_t text[1024], answer[sizeof(struct bk__wire_version_header) + BK__WIRE_VERSION_TEXT];
	struct bk__user_request request = {
		.command = BK__WIRE_VERSION,
		.fixed = text,
		.answer = answer,
		.room = sizeof(answer),
		.takes_twin = true,
	};
	struct bk_error why = { "" };
	int r = bk__wire_version_put(text, sizeof(text), &proposal, false);

	if (r < 0)
		return bk_fail(err, -r, "%s: out of memory", user->device.name);
	request.fixed_size = (size_t)r;
	link->agreed.data = BK__WIRE_DATA;
	r = bk__user_call(user, link, &request);
	if (link->broken)
		return bk_fail(err, EIO, "%s: the server says nothing: it may serve another client",
			       user->device.name);
	if (r)
		return bk_fail(err, -r, "%s: the server refuses version 0.%u: %s", user->device.name,
			       proposal.minor, strerror(-r));
	link->twin = request.twin;
	if (link->twin >= 0)
		be_patient(link->twin);
	r = bk__wire_version_take(answer, request.answered, &link->agreed, &why);
	if (r)
		return bk_fail(err, EPROTO, "%s: the server's %s", user->device.name, why.text);
	if (link->agreed.major || link->agreed.minor > proposal.minor)
		return bk_fail(err, EPROTO, "%s: the server answers with version %u.%u", user->device.name,
			       link->agreed.major, link->agreed.minor);
	if (link->agreed.data > BK__WIRE_DATA)
		link->agreed.data = BK__WIRE_DATA;
	if (!link->agreed.data || !link->agreed.fds)
		return bk_fail(err, EPROTO, "%s: the server takes no data, or no file descriptor",
			       user->device.name);
	return 0;
}

static void note_area(void *opaque, const struct bk__wire_area *area)
{
	struct bk__user_region *region = opaque;

	if (region->count < BK__USER_AREAS && area->size)
		region->areas[region->count++] = (struct bk_device_area){ area->offset, area->size };
}

/* Asks once; returns the payload of the reply. */
static int ask_region(struct bk__user_device *user, struct bk__user_link *link, unsigned index, size_t room,
		      uint8_t *payload, struct bk__user_request *request)
{
	const struct bk__wire_region_info question = { .argsz = (uint32_t)room, .index = index };

	*request = (struct bk__user_request){
		.command = BK__WIRE_REGION_INFO,
		.fixed = &question,
		.fixed_size = sizeof(question),
		.answer = payload,
		.room = room,
		.takes_fd = true,
	};
	return bk__user_call(user, link, request);
}

static int take_region(struct bk__user_region *region, const uint8_t *payload, size_t size)
{
	struct bk__wire_region_info info;
	bool sparse;
	int r;

	region->areas = calloc(BK__USER_AREAS, sizeof(*region->areas));
	if (!region->areas)
		return -ENOMEM;
	r = bk__wire_region_info_take(payload, size, &info, &sparse, note_area, region);
	if (r)
		return r;
	region->flags = info.flags;
	region->size = info.size;
	region->fd_offset = info.offset;
	if (!sparse && info.size)
		region->areas[region->count++] = (struct bk_device_area){ 0, info.size };
	if (!(info.flags & BK__WIRE_REGION_MMAPS) || region->fd < 0)
		region->count = 0;
	return 0;
}

static int learn_region(struct bk__user_device *user, struct bk__user_link *link, unsigned index,
			uint8_t *payload)
{
	struct bk__user_region *region = &link->regions[index];
	struct bk__user_request request;
	struct bk__wire_region_info info;
	int r = ask_region(user, link, index, sizeof(info), payload, &request);

	region->fd = -1;
	if (r == -EINVAL && !link->broken)
		return 0; /* there is none */
	if (r)
		return r;
	if (request.answered < sizeof(info)) {
		r = -EPROTO;
	} else {
		memcpy(&info, payload, sizeof(info));
		if (info.argsz > sizeof(info) && info.argsz <= REGION_INFO_BYTES) {
			if (request.fd >= 0)
				close(request.fd);
			r = ask_region(user, link, index, info.argsz, payload, &request);
		}
	}
	region->fd = request.fd; /* of the last answer */
	return r ? r : take_region(region, payload, request.answered);
}

static int learn_irq(struct bk__user_device *user, struct bk__user_link *link, unsigned index)
{
	struct bk__wire_irq_info info = { .argsz = sizeof(info), .index = index };
	const struct bk__wire_irq_info question = info;
	struct bk__user_request request = {
		.command = BK__WIRE_IRQ_INFO,
		.fixed = &question,
		.fixed_size = sizeof(question),
		.reply = &info,
		.reply_size = sizeof(info),
	};
	int r = bk__user_call(user, link, &request);

	if (r == -EINVAL && !link->broken)
		return 0;
	if (r)
		return r;
	if (info.count > BK__USER_VECTORS)
		return -EPROTO;
	link->irqs[index] = (struct bk__user_irq){ .flags = info.flags, .count = info.count };
	return 0;
}

/* Learns which BARs are in memory space. If anything is mapped, writes wait for the reply, so that no mapped
 * read or eventfd overtakes them. */
static int learn_bars(struct bk__user_device *user, struct bk__user_link *link)
{
	uint8_t bars[4 * 6];
	struct bk__wire_region_access access = {
		.offset = BK__PCI_BAR0,
		.region = BK_DEVICE_CONFIG,
		.count = sizeof(bars),
	};
	const struct bk__wire_region_access question = access;
	struct bk__user_request request = {
		.command = BK__WIRE_REGION_READ,
		.fixed = &question,
		.fixed_size = sizeof(question),
		.reply = &access,
		.reply_size = sizeof(access),
		.answer = bars,
		.room = sizeof(bars),
	};
	int r = bk__user_call(user, link, &request);

	if (r || request.answered != sizeof(bars))
		return r ? r : -EPROTO;
	link->posts = !link->doorbell_count;
	for (unsigned i = 0; i < 6; i++) {
		if (!(bars[4 * i] & BK__PCI_BAR_IO))
			link->memory |= 1u << i;
		if (link->regions[i].count)
			link->posts = false;
	}
	return 0;
}

static int learn(struct bk__user_device *user, struct bk__user_link *link)
{
	struct bk__wire_device_info info = { .argsz = sizeof(info) };
	const struct bk__wire_device_info question = info;
	struct bk__user_request request = {
		.command = BK__WIRE_DEVICE_INFO,
		.fixed = &question,
		.fixed_size = sizeof(question),
		.reply = &info,
		.reply_size = sizeof(info),
	};
	uint8_t *payload = malloc(REGION_INFO_BYTES);
	int r = payload ? bk__user_call(user, link, &request) : -ENOMEM;

	link->resets = info.flags & BK__WIRE_DEVICE_RESETS;
	if (!r && !(info.flags & BK__WIRE_DEVICE_PCI))
		r = -ENODEV;
	for (unsigned i = 0; !r && i < BK_DEVICE_REGIONS && i < info.regions; i++)
		r = learn_region(user, link, i, payload);
	for (unsigned i = 0; !r && i < BK_DEVICE_IRQS && i < info.irqs; i++)
		r = learn_irq(user, link, i);
	free(payload);
	if (!r && !user->no_doorbells)
		r = bk__user_doorbells_learn(user, link);
	return r ? r : learn_bars(user, link);
}

int bk__user_begin(struct bk__user_device *user, struct bk__user_link *link, struct bk_error *err)
{
	int r = bk__wire_stream_open(&link->stream, link->fd, BK__WIRE_MESSAGE);

	if (r)
		return bk_fail(err, -r, "%s: out of memory", user->device.name);
	r = agree(user, link, err);
	if (r)
		return r;
	r = learn(user, link);
	return r ? bk_fail(err, -r, "%s: the server does not say what the device has: %s", user->device.name,
			   strerror(-r))
		 : 0;
}

void bk__user_link_init(struct bk__user_link *link)
{
	*link = (struct bk__user_link){ .fd = -1, .twin = -1 };
	for (unsigned i = 0; i < BK_DEVICE_REGIONS; i++)
		link->regions[i].fd = -1;
}

int bk__user_connect(struct bk__user_device *user, struct bk__user_link *link, struct bk_error *err)
{
	int r;

	bk__user_link_init(link);
	r = open_socket(user, link, err);
	if (!r)
		r = bk__user_begin(user, link, err);
	if (!r)
		return 0;
	bk__user_disconnect(link);
	if (!link->asked)
		return r;
	/* Some servers end the connection when they do not know the command. */
	user->no_doorbells = true;
	return bk__user_connect(user, link, err);
}

bool bk__user_is_same(const struct bk__user_link *now, const struct bk__user_link *before)
{
	for (unsigned i = 0; i < BK_DEVICE_REGIONS; i++)
		if (now->regions[i].size != before->regions[i].size)
			return false;
	for (unsigned i = 0; i < BK_DEVICE_IRQS; i++)
		if (now->irqs[i].count != before->irqs[i].count)
			return false;
	return now->memory == before->memory && now->resets == before->resets;
}

static bool region_has_shrunk(const struct bk__user_region *region)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct stat st;

	if (region->fd < 0 || fstat(region->fd, &st) || !S_ISREG(st.st_mode))
		return false;
	for (size_t i = 0; i < region->count; i++) {
		const uint64_t last = region->areas[i].offset + region->areas[i].size - 1;

		/* The file need only reach into the last page. */
		if ((uint64_t)st.st_size <= ((region->fd_offset + last) & ~(page - 1)))
			return true;
	}
	return false;
}

bool bk__user_has_shrunk(const struct bk__user_link *link)
{
	for (unsigned i = 0; i < BK_DEVICE_REGIONS; i++)
		if (region_has_shrunk(&link->regions[i]))
			return true;
	return false;
}
