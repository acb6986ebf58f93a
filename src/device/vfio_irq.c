/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts of a function as eventfds.
 *
 * The eventfds go to the kernel as they are, so that an interrupt reaches
 * whoever waits on them without passing through here.
 */
#include "device/vfio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/vfio.h>

static bool is_message(unsigned index)
{
	return index == BK_DEVICE_MSI || index == BK_DEVICE_MSIX;
}

static int off(struct bk__device_vfio *vfio, unsigned index)
{
	int ret = bk__vfio_irq_set(vfio, index, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, NULL);

	if (ret)
		return ret;
	vfio->irq_told[index] = false;
	if (is_message(index))
		bk__vfio_messages_off(vfio);
	if (vfio->irq_on == index)
		vfio->irq_on = BK_DEVICE_IRQS;
	return 0;
}

static int trigger_messages(struct bk__device_vfio *vfio, unsigned index, unsigned start, unsigned count,
			    const int *fds)
{
	const bool on = vfio->irq_on == index;
	int ret;

	if (!fds)
		return on ? bk__vfio_messages_fire(vfio, index, start, count) : -EINVAL;
	ret = bk__vfio_messages_set(vfio, index, start, count, fds);
	if (ret && !on && !vfio->messages.taken)
		bk__vfio_messages_off(vfio); /* as it was */
	else
		vfio->irq_on = index;
	return ret;
}

static int trigger(struct bk__device_vfio *vfio, unsigned index, unsigned start, unsigned count,
		   const int *fds)
{
	bool one_at_a_time = index <= BK_DEVICE_MSIX;
	bool on = one_at_a_time ? vfio->irq_on == index : vfio->irq_told[index];
	int ret;

	if (fds && one_at_a_time && !on && vfio->irq_on != BK_DEVICE_IRQS)
		return -EBUSY;
	if (is_message(index))
		return trigger_messages(vfio, index, start, count, fds);
	if (!fds) /* the kernel writes the eventfds that are set */
		return on ? bk__vfio_irq_set(vfio, index, VFIO_IRQ_SET_ACTION_TRIGGER, start, count, NULL)
			  : -EINVAL;
	ret = bk__vfio_irq_set(vfio, index, VFIO_IRQ_SET_ACTION_TRIGGER, start, count, fds);
	if (ret) {
		if (one_at_a_time && !on) /* as it was */
			off(vfio, index);
		return ret < 0 ? ret : -ENOSPC;
	}
	if (one_at_a_time)
		vfio->irq_on = index;
	else
		vfio->irq_told[index] = fds[0] >= 0;
	return 0;
}

static int mask(struct bk__device_vfio *vfio, unsigned index, uint32_t action, unsigned start, unsigned count,
		const int *fds)
{
	if (!(vfio->irqs[index].flags & BK_DEVICE_IRQ_MASKABLE))
		return -EOPNOTSUPP;
	if (action == VFIO_IRQ_SET_ACTION_MASK && fds)
		return -EINVAL;
	if (vfio->irq_on != index)
		return -EINVAL;
	return bk__vfio_irq_set(vfio, index, action, start, count, fds);
}

int bk__vfio_set_irqs(struct bk_device *device, unsigned index, enum bk_device_irq_action action,
		      unsigned start, unsigned count, const int *fds)
{
	struct bk__device_vfio *vfio = (struct bk__device_vfio *)device;
	unsigned vectors = index < vfio->irq_count ? vfio->irqs[index].count : 0;
	int ret;

	if (index >= vfio->irq_count)
		return -EINVAL;
	if (!count && !fds && !start && action == BK_DEVICE_IRQ_TRIGGER) {
		pthread_mutex_lock(&vfio->irq_lock);
		ret = vfio->irq_on == index || vfio->irq_told[index] ? off(vfio, index) : 0;
		pthread_mutex_unlock(&vfio->irq_lock);
		return ret;
	}
	if (!count || start >= vectors || count > vectors - start)
		return -EINVAL;
	pthread_mutex_lock(&vfio->irq_lock);
	switch (action) {
	case BK_DEVICE_IRQ_TRIGGER:
		ret = trigger(vfio, index, start, count, fds);
		break;
	case BK_DEVICE_IRQ_MASK:
		ret = mask(vfio, index, VFIO_IRQ_SET_ACTION_MASK, start, count, fds);
		break;
	case BK_DEVICE_IRQ_UNMASK:
		ret = mask(vfio, index, VFIO_IRQ_SET_ACTION_UNMASK, start, count, fds);
		break;
	default:
		ret = -EINVAL;
	}
	pthread_mutex_unlock(&vfio->irq_lock);
	return ret;
}

void bk__vfio_irqs_off(struct bk__device_vfio *vfio)
{
	for (unsigned index = 0; index < vfio->irq_count; index++) {
		int ret = bk__vfio_set_irqs(&vfio->base, index, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL);

		if (ret)
			bk_log(BK_LOG_WARNING, "%s: interrupt index %u cannot be turned off: %s",
			       vfio->base.name, index, strerror(-ret));
	}
}
