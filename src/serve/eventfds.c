/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts: the client's eventfds go to the device, which signals them without passing here.
 *
 * The model of config space has COMMAND's Interrupt Disable, which takes INTx off its line: while it is set
 * the device is masked, whatever the client says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/session.h"

static int set(struct bk__serve_session *session, unsigned index, enum bk_device_irq_action action,
	       unsigned start, unsigned count, const int *fds)
{
	return bk_device_set_irqs(session->device, index, action, start, count, fds);
}

/* ---- INTx -------------------------------------------------------------- */

static bool intx_bound(const struct bk__serve_session *session)
{
	const struct bk__serve_irq *irq = &session->irqs[BK_DEVICE_INTX];

	return irq->fds && irq->fds[0] >= 0;
}

/* The kernel refuses (-EBUSY) an fd for the end of an interrupt while it has one. */
static int set_end(struct bk__serve_session *session, int fd)
{
	const int none = -1;
	int error = set(session, BK_DEVICE_INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, &none);

	if (!error && fd >= 0)
		error = set(session, BK_DEVICE_INTX, BK_DEVICE_IRQ_UNMASK, 0, 1, &fd);
	return error;
}

/* Without the resample fd the guest's end of interrupt does not unmask the device. */
static int intx_settle(struct bk__serve_session *session)
{
	const bool masked = session->intx_masked || session->intx_off;
	int error = 0;

	if (!intx_bound(session))
		return 0;
	if (session->resample >= 0)
		error = set_end(session, masked ? -1 : session->resample);
	if (!error)
		error = set(session, BK_DEVICE_INTX, masked ? BK_DEVICE_IRQ_MASK : BK_DEVICE_IRQ_UNMASK, 0, 1,
			    NULL);
	return error;
}

static void on_mode(void *opaque, enum bk_pci_irq_mode mode, unsigned vectors)
{
	(void)opaque, (void)mode, (void)vectors; /* the client turns them on and off itself */
}

static void on_vector(void *opaque, unsigned vector, const struct bk_pci_message *message)
{
	(void)opaque, (void)vector, (void)message;
}

static bool on_pending(void *opaque, unsigned vector)
{
	(void)opaque, (void)vector; /* the client has the masks, and looks itself */
	return false;
}

static void on_intx_mask(void *opaque, bool masked)
{
	struct bk__serve_session *session = opaque;

	if (session->intx_off == masked)
		return;
	session->intx_off = masked;
	intx_settle(session);
}

static const struct bk_pci_irq_ops irq_ops = {
	.mode = on_mode,
	.vector = on_vector,
	.pending = on_pending,
	.intx_mask = on_intx_mask,
};

static struct bk_pci_function *function_of(const struct bk__serve_session *session)
{
	return session->config->mediate ? bk_mediator_function(session->config->mediate) : NULL;
}

/* ---- The client's fds -------------------------------------------------- */

void bk__serve_irqs_open(struct bk__serve_session *session)
{
	struct bk_pci_function *function = function_of(session);

	session->resample = -1;
	for (unsigned i = 0; i < BK_DEVICE_IRQS; i++) {
		struct bk_device_irq *info = &session->irqs[i].info;

		*info = (struct bk_device_irq){ .struct_size = sizeof(*info) };
		if (bk_device_irq(session->device, i, info))
			info->count = 0;
	}
	if (function)
		bk_pci_function_set_irq_ops(function, &irq_ops, session);
}

static void forget(struct bk__serve_session *session, unsigned index)
{
	struct bk__serve_irq *irq = &session->irqs[index];

	for (unsigned i = 0; irq->fds && i < irq->info.count; i++)
		if (irq->fds[i] >= 0)
			close(irq->fds[i]);
	free(irq->fds);
	irq->fds = NULL;
	if (index == BK_DEVICE_INTX && session->resample >= 0) {
		close(session->resample);
		session->resample = -1;
	}
	if (index == BK_DEVICE_INTX)
		session->intx_masked = false;
}

static int turn_off(struct bk__serve_session *session, unsigned index)
{
	const int error =
		session->irqs[index].info.count ? set(session, index, BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL) : 0;

	forget(session, index);
	return error;
}

void bk__serve_irqs_close(struct bk__serve_session *session)
{
	struct bk_pci_function *function = function_of(session);

	for (unsigned i = 0; i < BK_DEVICE_IRQS; i++)
		if (session->irqs[i].fds)
			turn_off(session, i);
	if (function)
		bk_pci_function_set_irq_ops(function, NULL, NULL);
}

static int make_room(struct bk__serve_irq *irq)
{
	if (irq->fds)
		return 0;
	irq->fds = malloc(irq->info.count * sizeof(*irq->fds));
	for (unsigned i = 0; irq->fds && i < irq->info.count; i++)
		irq->fds[i] = -1;
	return irq->fds ? 0 : -ENOMEM;
}

/* No fds with a count: those vectors have none any more. */
static int bind(struct bk__serve_session *session, const struct bk__wire_set_irqs *request,
		struct bk__wire_message *message)
{
	struct bk__serve_irq *irq = &session->irqs[request->index];
	const unsigned count = request->count;
	int none[BK__WIRE_FDS_ANYHOW], error = make_room(irq);

	for (unsigned i = 0; i < message->fd_count; i++)
		if (!bk__wire_is_event(message->fds[i]))
			return -EINVAL;
	for (unsigned i = 0; i < BK__WIRE_FDS_ANYHOW; i++)
		none[i] = -1;
	for (unsigned at = 0, piece; at < count && !error; at += piece) {
		piece = message->fd_count || count - at < BK__WIRE_FDS_ANYHOW ? count - at
									      : BK__WIRE_FDS_ANYHOW;
		error = set(session, request->index, BK_DEVICE_IRQ_TRIGGER, request->start + at, piece,
			    message->fd_count ? message->fds : none);
	}
	/* Of those that the host has too few of, the first are set. */
	if (error && error != -ENOSPC)
		return error;
	for (unsigned i = 0; i < count; i++) {
		int *fd = &irq->fds[request->start + i];

		if (*fd >= 0)
			close(*fd);
		*fd = bk__wire_take_fd(message, i);
	}
	if (request->index == BK_DEVICE_INTX && !error)
		error = session->intx_off || session->intx_masked ? intx_settle(session) : 0;
	return error;
}

static int set_resample(struct bk__serve_session *session, struct bk__wire_message *message)
{
	const int fd = bk__wire_take_fd(message, 0), old = session->resample;
	int error = 0;

	if (!intx_bound(session) || (fd >= 0 && !bk__wire_is_event(fd))) {
		error = -EINVAL;
	} else if (!session->intx_off && !session->intx_masked) {
		error = set_end(session, fd);
	}
	if (error) {
		if (fd >= 0)
			close(fd);
		return error;
	}
	session->resample = fd;
	if (old >= 0)
		close(old);
	return 0;
}

static int mask(struct bk__serve_session *session, const struct bk__wire_set_irqs *request, bool masked)
{
	if (request->index != BK_DEVICE_INTX)
		return set(session, request->index, masked ? BK_DEVICE_IRQ_MASK : BK_DEVICE_IRQ_UNMASK,
			   request->start, request->count, NULL);
	if (!session->irqs[BK_DEVICE_INTX].info.count || !intx_bound(session))
		return -EINVAL;
	session->intx_masked = masked;
	if (!masked && session->intx_off)
		return 0;
	return intx_settle(session);
}

/* Some of the vectors, one by one. */
static int each(struct bk__serve_session *session, const struct bk__wire_request *request)
{
	struct bk__wire_set_irqs one = request->set_irqs;
	int error = 0;

	one.count = 1;
	for (unsigned i = 0; i < request->set_irqs.count && !error; i++, one.start++) {
		if (!request->data[i])
			continue;
		if (one.flags & BK__WIRE_IRQ_TRIGGER)
			error = set(session, one.index, BK_DEVICE_IRQ_TRIGGER, one.start, 1, NULL);
		else
			error = mask(session, &one, one.flags & BK__WIRE_IRQ_MASK);
	}
	return error;
}

static int change(struct bk__serve_session *session, const struct bk__wire_request *request,
		  struct bk__wire_message *message)
{
	const struct bk__wire_set_irqs *r = &request->set_irqs;
	const uint32_t none_trigger = BK__WIRE_IRQ_NONE | BK__WIRE_IRQ_TRIGGER;

	if (r->index >= BK_DEVICE_IRQS)
		return -EINVAL;
	if (r->flags == none_trigger && !r->start && !r->count)
		return turn_off(session, r->index);
	if (!r->count || r->start >= session->irqs[r->index].info.count ||
	    r->count > session->irqs[r->index].info.count - r->start)
		return -EINVAL;
	if (r->flags & BK__WIRE_IRQ_BOOL)
		return each(session, request);
	if (r->flags & BK__WIRE_IRQ_NONE)
		return r->flags & BK__WIRE_IRQ_TRIGGER
			       ? set(session, r->index, BK_DEVICE_IRQ_TRIGGER, r->start, r->count, NULL)
			       : mask(session, r, r->flags & BK__WIRE_IRQ_MASK);
	if (r->flags & BK__WIRE_IRQ_TRIGGER)
		return bind(session, r, message);
	return r->flags & BK__WIRE_IRQ_UNMASK && r->index == BK_DEVICE_INTX ? set_resample(session, message)
									    : -EINVAL;
}

int bk__serve_set_irqs(struct bk__serve_session *session, struct bk__wire_message *message,
		       const struct bk__wire_request *request)
{
	const int error = change(session, request, message);

	return error ? bk__serve_refuse(session, message, error, NULL)
		     : bk__serve_reply(session, message, 0, NULL, 0);
}
