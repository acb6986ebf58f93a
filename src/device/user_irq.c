/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts: the caller's eventfds, handed to the server. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "device/user.h"

static const unsigned actions[] = {
	[BK_DEVICE_IRQ_TRIGGER] = BK__WIRE_IRQ_TRIGGER,
	[BK_DEVICE_IRQ_MASK] = BK__WIRE_IRQ_MASK,
	[BK_DEVICE_IRQ_UNMASK] = BK__WIRE_IRQ_UNMASK,
};

/* One message. */
static int ask(struct bk__user_device *user, struct bk__user_link *link, unsigned index, unsigned flags,
	       unsigned start, unsigned count, const int *fds, unsigned fd_count)
{
	const struct bk__wire_set_irqs set = {
		.argsz = sizeof(set),
		.flags = flags,
		.index = index,
		.start = start,
		.count = count,
	};
	struct bk__user_request request = {
		.command = BK__WIRE_SET_IRQS,
		.fixed = &set,
		.fixed_size = sizeof(set),
		.fds = fds,
		.fd_count = fd_count,
	};

	return bk__user_call(user, link, &request);
}

/* A socket carries no -1: vectors with and without an fd need separate messages. */
static int ask_fds(struct bk__user_device *user, struct bk__user_link *link, unsigned index, unsigned action,
		   unsigned start, unsigned count, const int *fds)
{
	const unsigned most = link->agreed.fds < BK__WIRE_FDS ? link->agreed.fds : BK__WIRE_FDS;
	int r = 0;

	for (unsigned i = 0, n; i < count && !r; i += n) {
		const bool there = fds[i] >= 0;

		for (n = 1; i + n < count && (fds[i + n] >= 0) == there && (!there || n < most); n++)
			;
		r = ask(user, link, index, BK__WIRE_IRQ_FDS | action, start + i, n, fds + i, there ? n : 0);
	}
	return r;
}

static int ask_any(struct bk__user_device *user, struct bk__user_link *link, unsigned index,
		   enum bk_device_irq_action action, unsigned start, unsigned count, const int *fds)
{
	if (fds)
		return ask_fds(user, link, index, actions[action], start, count, fds);
	return ask(user, link, index, BK__WIRE_IRQ_NONE | actions[action], start, count, NULL, 0);
}

/* ---- What is wanted ------------------------------------------------------ */

static int *nowhere(unsigned count)
{
	int *fds = malloc(count * sizeof(*fds));

	for (unsigned i = 0; fds && i < count; i++)
		fds[i] = -1;
	return fds;
}

static void put(int *place, int fd)
{
	if (*place >= 0)
		close(*place);
	*place = fd;
}

static void forget(struct bk__user_wanted *wanted)
{
	for (unsigned i = 0; wanted->fds && i < wanted->count; i++)
		put(&wanted->fds[i], -1);
	free(wanted->fds);
	put(&wanted->unmask, -1);
	*wanted = (struct bk__user_wanted){ .unmask = -1 };
}

/* Duplicates it: the caller may have closed its own when a server comes back. */
static int keep(int *place, int fd)
{
	const int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0 && copy < 0)
		return -errno;
	put(place, copy);
	return 0;
}

static int note(struct bk__user_device *user, unsigned index, enum bk_device_irq_action action,
		unsigned start, unsigned count, const int *fds)
{
	struct bk__user_wanted *wanted = &user->wanted[index];
	int r = 0;

	if (!user->reconnect)
		return 0;
	if (action == BK_DEVICE_IRQ_TRIGGER && !fds && !count)
		forget(wanted);
	if (action == BK_DEVICE_IRQ_UNMASK && fds)
		return keep(&wanted->unmask, fds[0]);
	if (action != BK_DEVICE_IRQ_TRIGGER || !fds)
		return 0;
	if (!wanted->fds) {
		wanted->count = user->link.irqs[index].count;
		wanted->fds = nowhere(wanted->count);
	}
	if (!wanted->fds)
		return -ENOMEM;
	for (unsigned i = 0; i < count && !r; i++)
		r = keep(&wanted->fds[start + i], fds[i]);
	return r;
}

int bk__user_irqs_set(struct bk__user_device *user, unsigned index, enum bk_device_irq_action action,
		      unsigned start, unsigned count, const int *fds)
{
	const bool off = action == BK_DEVICE_IRQ_TRIGGER && !start && !count && !fds;
	const unsigned vectors = index < BK_DEVICE_IRQS ? user->link.irqs[index].count : 0;
	int r;

	if (index >= BK_DEVICE_IRQS || (action == BK_DEVICE_IRQ_MASK && fds))
		return -EINVAL;
	if (!off && (!count || start >= vectors || count > vectors - start))
		return -EINVAL;
	if (off && !vectors)
		return 0;
	pthread_mutex_lock(&user->lock);
	r = user->link.broken ? -EIO : ask_any(user, &user->link, index, action, start, count, fds);
	if (user->link.broken && (off || user->reconnect))
		r = 0; /* the server gets it when it is back */
	if (!r)
		r = note(user, index, action, start, count, fds);
	pthread_mutex_unlock(&user->lock);
	return r;
}

int bk__user_irqs_again(struct bk__user_device *user, struct bk__user_link *link)
{
	int r = 0;

	for (unsigned i = 0; i < BK_DEVICE_IRQS && !r; i++) {
		const struct bk__user_wanted *wanted = &user->wanted[i];

		if (!wanted->fds)
			continue;
		r = ask_fds(user, link, i, BK__WIRE_IRQ_TRIGGER, 0, wanted->count, wanted->fds);
		if (!r && wanted->unmask >= 0)
			r = ask_fds(user, link, i, BK__WIRE_IRQ_UNMASK, 0, 1, &wanted->unmask);
	}
	return r;
}

void bk__user_irqs_forget(struct bk__user_device *user)
{
	for (unsigned i = 0; i < BK_DEVICE_IRQS; i++)
		forget(&user->wanted[i]);
}
