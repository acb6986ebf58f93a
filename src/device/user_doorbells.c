/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers of the server's device that an eventfd writes, without a message. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "device/user.h"

#define ENTRY 48 /* bytes at most */

static bool makes_sense(const struct bk__user_region *region, const struct bk__wire_io_fd *entry,
			unsigned fd_count)
{
	return entry->type == BK__WIRE_IOEVENTFD && entry->fd_index < fd_count &&
	       entry->offset < region->size && entry->size <= region->size - entry->offset &&
	       (!entry->size || bk__is_width(entry->size));
}

/* Leaves out entries that make no sense: messages write such registers. */
static void add(struct bk__user_link *link, unsigned index, const struct bk__wire_io_fd *entry,
		const int *fds, unsigned fd_count)
{
	struct bk__user_doorbell *doorbell = &link->doorbells[link->doorbell_count];

	if (link->doorbell_count == BK__USER_DOORBELLS ||
	    !makes_sense(&link->regions[index], entry, fd_count) || !bk__wire_is_event(fds[entry->fd_index]))
		return;
	*doorbell = (struct bk__user_doorbell){
		.region = index,
		.offset = entry->offset,
		.size = entry->size,
		.any = !(entry->flags & BK__WIRE_IOEVENTFD_DATAMATCH),
		.value = entry->datamatch,
		.fd = fcntl(fds[entry->fd_index], F_DUPFD_CLOEXEC, 0),
	};
	if (doorbell->fd < 0)
		return;
	fcntl(doorbell->fd, F_SETFL, O_NONBLOCK); /* a full one is signalled anyway */
	link->doorbell_count++;
}

static int learn_region(struct bk__user_device *user, struct bk__user_link *link, unsigned index)
{
	const struct bk__wire_io_fds question = {
		.argsz = sizeof(question) + BK__USER_DOORBELLS * ENTRY,
		.index = index,
	};
	uint8_t entries[BK__USER_DOORBELLS * ENTRY];
	struct bk__wire_io_fds reply = { 0 };
	struct bk__wire_io_fd entry;
	int fds[BK__WIRE_FDS];
	struct bk__user_request request = {
		.command = BK__WIRE_REGION_IO_FDS,
		.fixed = &question,
		.fixed_size = sizeof(question),
		.reply = &reply,
		.reply_size = sizeof(reply),
		.answer = entries,
		.room = sizeof(entries),
		.all = fds,
	};
	const int r = bk__user_call(user, link, &request);

	for (uint32_t i = 0; !r && !bk__wire_io_fd_take(entries, request.answered, reply.count, i, &entry);
	     i++)
		add(link, index, &entry, fds, request.all_count);
	for (unsigned i = 0; i < request.all_count; i++)
		close(fds[i]);
	return link->broken ? r : 0;
}

int bk__user_doorbells_learn(struct bk__user_device *user, struct bk__user_link *link)
{
	int r = 0;

	link->asked = true;
	for (unsigned i = 0; i < BK_DEVICE_ROM && !r; i++)
		if (link->regions[i].size)
			r = learn_region(user, link, i);
	link->asked = r;
	return r;
}

void bk__user_doorbells_lose(struct bk__user_link *link)
{
	for (unsigned i = 0; i < link->doorbell_count; i++)
		close(link->doorbells[i].fd);
	link->doorbell_count = 0;
}

bool bk__user_doorbells_ring(const struct bk__user_link *link, unsigned region, uint64_t offset,
			     const void *data, size_t count)
{
	const uint64_t one = 1;

	for (unsigned i = 0; i < link->doorbell_count; i++) {
		const struct bk__user_doorbell *doorbell = &link->doorbells[i];

		if (doorbell->region == region && doorbell->offset == offset && bk__is_width(count) &&
		    (!doorbell->size || doorbell->size == count) &&
		    (doorbell->any || doorbell->value == bk__load(data, (unsigned)count)))
			return write(doorbell->fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN;
	}
	return false;
}

/* Duplicates: the connection may end while the caller uses them. */
static unsigned copy(struct bk__user_device *user, struct bk_device_doorbell *copies)
{
	unsigned count = 0;

	pthread_mutex_lock(&user->lock);
	for (unsigned i = 0; i < user->link.doorbell_count; i++) {
		const struct bk__user_doorbell *doorbell = &user->link.doorbells[i];
		const int fd =
			doorbell->any || !doorbell->size ? -1 : fcntl(doorbell->fd, F_DUPFD_CLOEXEC, 0);

		if (fd >= 0)
			copies[count++] = (struct bk_device_doorbell){ .struct_size = sizeof(*copies),
								       .region = doorbell->region,
								       .offset = doorbell->offset,
								       .width = (unsigned)doorbell->size,
								       .value = doorbell->value,
								       .has_fd = true,
								       .fd = fd };
	}
	pthread_mutex_unlock(&user->lock);
	return count;
}

int bk__user_doorbells(struct bk_device *device, bk_device_doorbell_fn *visit, void *opaque)
{
	struct bk__user_device *user = (struct bk__user_device *)device;
	struct bk_device_doorbell copies[BK__USER_DOORBELLS];
	const unsigned count = user->reconnect ? 0 : copy(user, copies);

	for (unsigned i = 0; i < count; i++) {
		visit(opaque, &copies[i]);
		close(copies[i].fd);
	}
	return 0;
}
