/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages as such: frames, fds, replies, names. */
#include "wire/message.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[BK__WIRE_COMMANDS] = {
	"command",
	"VERSION",
	"DMA_MAP",
	"DMA_UNMAP",
	"DEVICE_GET_INFO",
	"DEVICE_GET_REGION_INFO",
	"DEVICE_GET_REGION_IO_FDS",
	"DEVICE_GET_IRQ_INFO",
	"DEVICE_SET_IRQS",
	"REGION_READ",
	"REGION_WRITE",
	"DMA_READ",
	"DMA_WRITE",
	"DEVICE_RESET",
	"DIRTY_PAGES",
	"REGION_WRITE_MULTI",
	"DEVICE_FEATURE",
	"MIG_DATA_READ",
	"MIG_DATA_WRITE",
};

const char *bk__wire_command_name(unsigned command)
{
	return names[command < BK__WIRE_COMMANDS ? command : 0];
}

int bk__wire_frame(const void *bytes, size_t size, size_t most, struct bk__wire_header *header)
{
	if (size < sizeof(*header))
		return -EAGAIN;
	memcpy(header, bytes, sizeof(*header));
	if (header->size < sizeof(*header) || header->size > most)
		return -EPROTO;
	return size < header->size ? -EAGAIN : 0;
}

void bk__wire_drop_fds(struct bk__wire_message *message)
{
	for (unsigned i = 0; i < message->fd_count; i++) {
		if (message->fds[i] >= 0)
			close(message->fds[i]);
		message->fds[i] = -1;
	}
}

int bk__wire_take_fd(struct bk__wire_message *message, unsigned index)
{
	int fd = -1;

	if (index < message->fd_count) {
		fd = message->fds[index];
		message->fds[index] = -1;
	}
	return fd;
}

int bk__wire_check_reply(const struct bk__wire_message *message, unsigned command, void *fixed,
			 size_t fixed_size, const uint8_t **data, size_t *size)
{
	const struct bk__wire_header *header = &message->header;

	if ((header->flags & BK__WIRE_TYPE) != BK__WIRE_REPLY || header->command != command)
		return -EPROTO;
	if (header->flags & BK__WIRE_ERROR)
		return header->error && header->error < 4096 ? -(int)header->error : -EIO;
	if (message->size < fixed_size)
		return -EPROTO;
	if (fixed_size)
		memcpy(fixed, message->payload, fixed_size);
	*data = message->payload + fixed_size;
	*size = message->size - fixed_size;
	return 0;
}

bool bk__wire_is_event(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && !(st.st_mode & S_IFMT); /* of an anonymous inode */
}
