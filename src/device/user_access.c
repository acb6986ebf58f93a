/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads and writes of regions. */
#include <errno.h>
#include <string.h>

#include "base/pci_regs.h"
#include "device/user.h"

/* Under `lock`. */
static int read_piece(struct bk__user_device *user, unsigned region, uint64_t offset, void *data,
		      size_t count)
{
	struct bk__wire_region_access access;
	const struct bk__wire_region_access question = {
		.offset = offset,
		.region = region,
		.count = (uint32_t)count,
	};
	struct bk__user_request request = {
		.command = BK__WIRE_REGION_READ,
		.fixed = &question,
		.fixed_size = sizeof(question),
		.reply = &access,
		.reply_size = sizeof(access),
		.answer = data,
		.room = count,
	};
	int r = bk__user_call(user, &user->link, &request);

	return !r && request.answered != count ? -EIO : r;
}

/* Under `lock`. */
static int write_piece(struct bk__user_device *user, struct bk__user_link *link, unsigned region,
		       uint64_t offset, const void *data, size_t count)
{
	struct bk__wire_region_access access;
	const struct bk__wire_region_access question = {
		.offset = offset,
		.region = region,
		.count = (uint32_t)count,
	};
	struct bk__user_request request = {
		.command = BK__WIRE_REGION_WRITE,
		.fixed = &question,
		.fixed_size = sizeof(question),
		.data = data,
		.size = count,
		.reply = &access,
		.reply_size = sizeof(access),
	};

	if (link->posts && region < 6 && link->memory & 1u << region)
		return bk__user_post(user, link, &request);
	return bk__user_call(user, link, &request);
}

static bool is_inside(const struct bk__user_device *user, unsigned region, uint64_t offset, size_t count)
{
	const uint64_t size = region < BK_DEVICE_REGIONS ? user->link.regions[region].size : 0;

	return count <= size && offset <= size - count;
}

int bk__user_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count)
{
	struct bk__user_device *user = (struct bk__user_device *)device;
	int r = 0;

	pthread_mutex_lock(&user->lock);
	if (!is_inside(user, region, offset, count))
		r = -EINVAL;
	for (size_t done = 0; done < count && !r;) {
		const size_t left = count - done;
		const size_t piece = left < user->link.agreed.data ? left : (size_t)user->link.agreed.data;

		r = user->link.broken
			    ? -EIO
			    : read_piece(user, region, offset + done, (uint8_t *)data + done, piece);
		done += piece;
	}
	pthread_mutex_unlock(&user->lock);
	return r;
}

/* Keeps COMMAND for a server that comes back, whose device was reset. */
static void note_command(struct bk__user_device *user, uint64_t offset, const uint8_t *data, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (offset + i == BK__PCI_COMMAND)
			user->command = (uint16_t)((user->command & 0xff00) | data[i]);
		else if (offset + i == BK__PCI_COMMAND + 1)
			user->command = (uint16_t)((user->command & 0x00ff) | data[i] << 8);
}

int bk__user_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data, size_t count)
{
	struct bk__user_device *user = (struct bk__user_device *)device;
	int r = 0;

	pthread_mutex_lock(&user->lock);
	if (!is_inside(user, region, offset, count))
		r = -EINVAL;
	else if (region == BK_DEVICE_CONFIG)
		note_command(user, offset, data, count);
	if (!r && !user->link.broken && bk__user_doorbells_ring(&user->link, region, offset, data, count))
		count = 0;
	for (size_t done = 0; done < count && !r;) {
		const size_t left = count - done;
		const size_t piece = left < user->link.agreed.data ? left : (size_t)user->link.agreed.data;

		r = user->link.broken ? -EIO
				      : write_piece(user, &user->link, region, offset + done,
						    (const uint8_t *)data + done, piece);
		done += piece;
	}
	pthread_mutex_unlock(&user->lock);
	return r;
}

int bk__user_command_again(struct bk__user_device *user, struct bk__user_link *link)
{
	const uint8_t bytes[] = { (uint8_t)user->command, (uint8_t)(user->command >> 8) };

	return write_piece(user, link, BK_DEVICE_CONFIG, BK__PCI_COMMAND, bytes, sizeof(bytes));
}
