/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI and MSI-X vectors of the host, taken as they are used.
 *
 * As soon as the guest switches the device to MSI or MSI-X, so does the host, with one vector and no eventfd:
 * firmware checks. With NORESIZE, the kernel fixes the number of vectors when they are turned on; for more,
 * this file turns them off and on again. Interrupts in between are lost, so each vector that was on fires
 * once afterwards, and its driver checks. Other kernels add vectors one by one. A host that has fewer gives
 * fewer.
 */
#include "device/vfio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/vfio.h>

/* Up to this number vectors are taken one by one. Above it some are taken in advance: a guest that uses all
 * 2048 would otherwise cause as many off-and-on turns. */
#define EXACT 8

static int give(struct bk__device_vfio *vfio, unsigned index, unsigned start, unsigned count)
{
	return bk__vfio_irq_set(vfio, index, VFIO_IRQ_SET_ACTION_TRIGGER, start, count,
				vfio->messages.fds + start);
}

/* True if the caller's fd is no eventfd: not the host's fault. */
static bool is_callers(int error)
{
	return error == -EINVAL || error == -EBADF;
}

/*
 * Takes `wanted` vectors, or as many as the host has, and returns why there are fewer. All must be off; the
 * host had at least `sure` until now.
 */
static int turn_on(struct bk__device_vfio *vfio, unsigned index, unsigned wanted, unsigned sure)
{
	int error = 0;

	while (wanted) {
		const int ret = give(vfio, index, 0, wanted);

		if (!ret)
			break;
		error = ret < 0 ? ret : -ENOSPC;
		if (ret > 0 && (unsigned)ret < wanted) {
			wanted = (unsigned)ret; /* the host has this many */
			continue;
		}
		if (wanted <= sure)
			sure = 0;
		wanted = is_callers(error) || wanted / 2 < sure ? sure : wanted / 2;
	}
	vfio->messages.taken = wanted;
	return error;
}

static void say_fewer(struct bk__device_vfio *vfio, unsigned index, unsigned wanted, unsigned given)
{
	if (vfio->messages.told)
		return;
	vfio->messages.told = true;
	bk_log(BK_LOG_WARNING,
	       "%s: the host gives %u of %u interrupt vectors for %s; the others stay silent. Let the guest "
	       "use fewer, or free some of the host's",
	       vfio->base.name, given, wanted, index == BK_DEVICE_MSI ? "MSI" : "MSI-X");
}

static unsigned advance(unsigned wanted, unsigned most)
{
	const unsigned ahead = wanted > EXACT ? wanted + wanted / 4 : wanted;

	return ahead < most ? ahead : most;
}

/* Grows to all vectors below `wanted`, whose eventfds are set. */
static int grow(struct bk__device_vfio *vfio, unsigned index, unsigned wanted)
{
	struct bk__vfio_messages *messages = &vfio->messages;
	const unsigned before = messages->taken;
	const unsigned target = wanted < messages->most ? wanted : messages->most;
	const unsigned ahead = advance(target, messages->most);
	int error = -ENOSPC;

	if (target <= before)
		return error;
	if (before)
		error = bk__vfio_irq_set(vfio, index, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, NULL);
	if (before && error)
		return error;
	messages->taken = ahead;
	error = before && !give(vfio, index, 0, ahead) ? 0 : turn_on(vfio, index, target, before);
	if (before && messages->taken)
		bk__vfio_messages_fire(vfio, index, 0, before);
	if (messages->taken >= wanted)
		return 0;
	if (is_callers(error))
		return error;
	messages->most = messages->taken;
	say_fewer(vfio, index, wanted, messages->taken);
	return -ENOSPC;
}

static int turn_on_one(struct bk__device_vfio *vfio, unsigned index)
{
	const int error = turn_on(vfio, index, 1, 0);

	if (!error && !(vfio->irqs[index].flags & BK_DEVICE_IRQ_NORESIZE))
		vfio->messages.taken = vfio->messages.count;
	return error;
}

/* Adds vectors one by one; those that the host cannot give stay silent. */
static int add(struct bk__device_vfio *vfio, unsigned index, unsigned start, unsigned count)
{
	struct bk__vfio_messages *messages = &vfio->messages;
	unsigned missing = 0;
	int error = 0;

	if (!messages->taken)
		error = turn_on_one(vfio, index);
	if (error)
		return error;
	for (unsigned i = start; i < start + count; i++) {
		const int ret = give(vfio, index, i, 1);

		if (!ret)
			continue;
		messages->fds[i] = -1;
		error = ret < 0 ? ret : -ENOSPC;
		missing += !is_callers(error);
	}
	if (missing)
		say_fewer(vfio, index, count, count - missing);
	return error;
}

static int prepare(struct bk__device_vfio *vfio, unsigned index)
{
	struct bk__vfio_messages *messages = &vfio->messages;

	if (messages->fds)
		return 0;
	messages->fds = malloc(vfio->irqs[index].count * sizeof(*messages->fds));
	if (!messages->fds)
		return -ENOMEM;
	messages->count = messages->most = vfio->irqs[index].count;
	for (unsigned i = 0; i < messages->count; i++)
		messages->fds[i] = -1;
	return 0;
}

int bk__vfio_messages_set(struct bk__device_vfio *vfio, unsigned index, unsigned start, unsigned count,
			  const int *fds)
{
	struct bk__vfio_messages *messages = &vfio->messages;
	unsigned end = start + count, inside;
	int error = prepare(vfio, index), refused = 0;

	if (error)
		return error;
	memcpy(messages->fds + start, fds, count * sizeof(*fds));
	/* These have no eventfd to signal, so they need no vector. */
	while (end > start && end > messages->taken && messages->fds[end - 1] < 0)
		end--;
	if (end == start && messages->taken)
		return 0;
	if (end == start) /* no eventfd yet: only switch the device on */
		return turn_on_one(vfio, index);
	if (!(vfio->irqs[index].flags & BK_DEVICE_IRQ_NORESIZE))
		return add(vfio, index, start, end - start);
	inside = end < messages->taken ? end : messages->taken;
	/* If the kernel refuses one, it turns off the call's others, too. */
	if (start < inside)
		error = refused = give(vfio, index, start, inside - start);
	if (!error && end > messages->taken)
		error = grow(vfio, index, end);
	for (unsigned i = start; error && i < end; i++)
		if (i >= messages->taken || (i < inside && (refused || is_callers(error))))
			messages->fds[i] = -1;
	return error > 0 ? -ENOSPC : error;
}

int bk__vfio_messages_fire(struct bk__device_vfio *vfio, unsigned index, unsigned start, unsigned count)
{
	const unsigned taken = vfio->messages.taken;

	if (start >= taken)
		return 0;
	return bk__vfio_irq_set(vfio, index, VFIO_IRQ_SET_ACTION_TRIGGER, start,
				count < taken - start ? count : taken - start, NULL);
}

void bk__vfio_messages_off(struct bk__device_vfio *vfio)
{
	free(vfio->messages.fds);
	vfio->messages.fds = NULL;
	vfio->messages.count = vfio->messages.taken = vfio->messages.most = 0;
}
