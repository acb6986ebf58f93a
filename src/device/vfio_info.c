/* SPDX-License-Identifier: BSD-2-Clause */
/* Structures of the kernel's that have a tail: capabilities behind an answer, eventfds behind a request. */
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "device/vfio.h"

const uint8_t *bk__vfio_capability(const void *answer, uint32_t size, uint32_t at, uint16_t id)
{
	struct vfio_info_cap_header header;

	while (at && at <= size - sizeof(header)) {
		memcpy(&header, (const uint8_t *)answer + at, sizeof(header));
		if (header.id == id)
			return (const uint8_t *)answer + at;
		at = header.next;
	}
	return NULL;
}

int bk__vfio_irq_set(struct bk__device_vfio *vfio, unsigned index, uint32_t flags, unsigned start,
		     unsigned count, const int *fds)
{
	size_t data = fds ? count * sizeof(int32_t) : 0;
	struct vfio_irq_set *arg = calloc(1, sizeof(*arg) + data);
	int ret;

	if (!arg)
		return -ENOMEM;
	arg->argsz = (uint32_t)(sizeof(*arg) + data);
	arg->flags = flags | (fds ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	arg->index = index;
	arg->start = start;
	arg->count = count;
	for (unsigned i = 0; fds && i < count; i++)
		memcpy(arg->data + i * sizeof(int32_t), &(int32_t){ fds[i] }, sizeof(int32_t));
	ret = ioctl(vfio->fd, VFIO_DEVICE_SET_IRQS, arg);
	ret = ret < 0 ? -errno : ret;
	free(arg);
	return ret;
}
