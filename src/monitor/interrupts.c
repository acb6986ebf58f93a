/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts of a passed-through function: from the device to the guest without passing here.
 *
 * The device gets an eventfd for each message of MSI that the guest enables, and for each vector of MSI-X
 * when the guest first unmasks it. So an unused vector costs neither a vector of the host nor a descriptor;
 * if it fires, it is pending in the device. While the guest has a vector unmasked, its eventfd is joined to a
 * GSI of KVM. While it is masked, the eventfd's counter serves as the pending bit, which pba.c watches.
 */
#include "monitor/interrupts.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/ratelimit.h"
#include "monitor/arch.h"

#define MESSAGES 32   /* of MSI at most, PCI 3.0 6.8.1 */
#define VECTORS  2048 /* of MSI-X, 6.8.2 */

struct vector {
	int fd;  /* -1: none so far */
	int gsi; /* -1: none so far */
	bool joined;
	bool given; /* the device has its eventfd */
};

/* Changed only under the function's lock. */
struct bk__monitor_irq {
	struct bk__monitor_gsi *gsis;
	struct bk_device *device;
	struct bk_pci_function *function;
	struct bk__monitor_pba *pba; /* or NULL */
	int line;                    /* GSI of the pin, or -1 */

	enum bk_pci_irq_mode mode;
	struct vector *vectors; /* for INTx a single one, whose GSI is the line */
	unsigned count;
	int resample;     /* INTx: written at the guest's end of interrupt */
	bool intx_masked; /* COMMAND's Interrupt Disable */
	struct bk__ratelimit limit;
};

static void complain(struct bk__monitor_irq *irq, const char *what, int error)
{
	bk__log_limited(&irq->limit, BK_LOG_WARNING, "%s: %s: %s", irq->device->name, what, strerror(-error));
}

static unsigned device_index(enum bk_pci_irq_mode mode)
{
	return mode == BK_PCI_IRQ_MSIX  ? BK_DEVICE_MSIX
	       : mode == BK_PCI_IRQ_MSI ? BK_DEVICE_MSI
					: BK_DEVICE_INTX;
}

/* Empties the counter of an eventfd; true if it was not 0. */
static bool drain(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

/* On joining, KVM delivers an event that the eventfd already held, but leaves it in the counter. KVM takes
 * out later events itself, so draining afterwards loses nothing. */
static void join(struct bk__monitor_irq *irq, struct vector *vector)
{
	const int error = bk__monitor_gsi_join(irq->gsis, (unsigned)vector->gsi, vector->fd, irq->resample);

	if (error) {
		complain(irq, "an interrupt stays silent", error);
		return;
	}
	vector->joined = true;
	drain(vector->fd);
}

/* From now on, the eventfd only counts what the device fires. */
static void part(struct bk__monitor_irq *irq, struct vector *vector)
{
	if (vector->joined)
		bk__monitor_gsi_part(irq->gsis, (unsigned)vector->gsi, vector->fd);
	vector->joined = false;
}

static void switch_off(struct bk__monitor_irq *irq)
{
	if (irq->count)
		bk_device_set_irqs(irq->device, device_index(irq->mode), BK_DEVICE_IRQ_TRIGGER, 0, 0, NULL);
	for (unsigned i = 0; i < irq->count; i++) {
		struct vector *vector = &irq->vectors[i];

		part(irq, vector);
		if (vector->gsi >= (int)bk__monitor_arch.pins)
			bk__monitor_gsi_give(irq->gsis, (unsigned)vector->gsi);
		if (vector->fd < 0)
			continue;
		bk__monitor_pba_leave(irq->pba, i, vector->fd);
		close(vector->fd);
	}
	free(irq->vectors);
	irq->vectors = NULL;
	irq->count = 0;
	if (irq->resample >= 0)
		close(irq->resample);
	irq->resample = -1;
}

static int make_vectors(struct bk__monitor_irq *irq, unsigned count)
{
	irq->vectors = calloc(count, sizeof(*irq->vectors));
	if (!irq->vectors)
		return -ENOMEM;
	irq->count = count;
	for (unsigned i = 0; i < count; i++)
		irq->vectors[i] = (struct vector){ .fd = -1, .gsi = -1 };
	return 0;
}

static int make_fd(struct vector *vector)
{
	if (vector->fd < 0)
		vector->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return vector->fd < 0 ? -errno : 0;
}

/* Interrupt Disable takes the function off the line (PCI 3.0 6.2.2): without the irqfd the line falls, and
 * the guest's end of interrupt does not unmask the device behind its back. */
static void intx_connect(struct bk__monitor_irq *irq, bool connected)
{
	struct vector *vector = irq->vectors;
	const enum bk_device_irq_action action = connected ? BK_DEVICE_IRQ_UNMASK : BK_DEVICE_IRQ_MASK;
	int error;

	if (connected && !vector->joined) {
		drain(vector->fd); /* fired before masking; if the device still asserts, unmasking fires again
				    */
		join(irq, vector);
	}
	error = bk_device_set_irqs(irq->device, BK_DEVICE_INTX, action, 0, 1, NULL);
	if (error)
		complain(irq, "INTx cannot be masked", error);
	if (!connected)
		part(irq, vector);
}

static void switch_on_intx(struct bk__monitor_irq *irq)
{
	struct bk_device_irq info = { 0 };
	int error;

	if (irq->line < 0 || bk_device_irq(irq->device, BK_DEVICE_INTX, &info) || !info.count)
		return;
	error = make_vectors(irq, 1);
	if (!error)
		error = make_fd(irq->vectors);
	if (!error) {
		irq->resample = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (irq->resample < 0)
			error = -errno;
	}
	if (!error) {
		irq->vectors[0].gsi = irq->line;
		error = bk_device_set_irqs(irq->device, BK_DEVICE_INTX, BK_DEVICE_IRQ_TRIGGER, 0, 1,
					   &irq->vectors[0].fd);
	}
	if (!error)
		error = bk_device_set_irqs(irq->device, BK_DEVICE_INTX, BK_DEVICE_IRQ_UNMASK, 0, 1,
					   &irq->resample);
	if (error) {
		complain(irq, "no INTx", error);
		switch_off(irq);
		return;
	}
	intx_connect(irq, !irq->intx_masked);
}

/* All that the guest enables: with fewer, the device would send some as others. */
static int give_messages(struct bk__monitor_irq *irq)
{
	unsigned count = 0;
	int fds[MESSAGES], error = 0;

	while (count < irq->count && !error) {
		error = make_fd(&irq->vectors[count]);
		if (!error) {
			fds[count] = irq->vectors[count].fd;
			count++;
		}
	}
	if (count) /* also if not all were made */
		error = bk_device_set_irqs(irq->device, BK_DEVICE_MSI, BK_DEVICE_IRQ_TRIGGER, 0, count, fds);
	for (unsigned i = 0; i < count; i++)
		irq->vectors[i].given = !error || error == -ENOSPC;
	return error;
}

static void switch_on_vectors(struct bk__monitor_irq *irq, unsigned count)
{
	const bool msi = irq->mode == BK_PCI_IRQ_MSI;
	const unsigned most = msi ? MESSAGES : VECTORS;
	struct bk_device_irq info = { 0 };
	int error = bk_device_irq(irq->device, device_index(irq->mode), &info);

	/* The device may have fewer than the guest asked for, never the other way round. */
	if (count > info.count)
		count = info.count;
	if (count > most)
		count = most;
	if (!error && count)
		error = make_vectors(irq, count);
	if (!error && irq->count && msi)
		error = give_messages(irq);
	else if (!error && irq->count) /* switch MSI-X on, all masked: drivers and firmware check */
		error = bk_device_set_irqs(irq->device, BK_DEVICE_MSIX, BK_DEVICE_IRQ_TRIGGER, 0, 1,
					   &(int){ -1 });
	/* If the host has too few, the device logs it. Unmasking a vector asks again. */
	if (error && error != -ENOSPC)
		complain(irq, msi ? "no MSI" : "no MSI-X", error);
}

static void on_mode(void *opaque, enum bk_pci_irq_mode mode, unsigned vectors)
{
	struct bk__monitor_irq *irq = opaque;

	switch_off(irq);
	irq->mode = mode;
	if (mode == BK_PCI_IRQ_INTX)
		switch_on_intx(irq);
	else
		switch_on_vectors(irq, vectors);
}

static int give(struct bk__monitor_irq *irq, unsigned index)
{
	struct vector *vector = &irq->vectors[index];
	int error = vector->given ? 0 : make_fd(vector);

	if (!error && !vector->given)
		error = bk_device_set_irqs(irq->device, device_index(irq->mode), BK_DEVICE_IRQ_TRIGGER, index,
					   1, &vector->fd);
	if (!error) {
		vector->given = true;
		if (vector->gsi < 0)
			vector->gsi = error = bk__monitor_gsi_take(irq->gsis);
	}
	return error < 0 ? error : 0;
}

static void on_vector(void *opaque, unsigned index, const struct bk_pci_message *message)
{
	struct bk__monitor_irq *irq = opaque;
	struct vector *vector;
	int error;

	if (irq->mode == BK_PCI_IRQ_INTX || index >= irq->count)
		return;
	vector = &irq->vectors[index];
	if (!message) {
		part(irq, vector);
		if (irq->mode == BK_PCI_IRQ_MSIX && vector->fd >= 0)
			bk__monitor_pba_watch(irq->pba, index, vector->fd);
		return;
	}
	if (vector->fd >= 0) /* stop polling before KVM reads it */
		bk__monitor_pba_leave(irq->pba, index, vector->fd);
	error = give(irq, index);
	if (!error)
		error = bk__monitor_gsi_route(irq->gsis, (unsigned)vector->gsi, message);
	if (error < 0)
		complain(irq, "an interrupt stays silent", error);
	else if (!vector->joined)
		join(irq, vector);
}

static bool on_pending(void *opaque, unsigned index)
{
	struct bk__monitor_irq *irq = opaque;
	struct pollfd poll_fd = { .events = POLLIN };

	if (irq->mode == BK_PCI_IRQ_INTX || index >= irq->count || irq->vectors[index].joined ||
	    irq->vectors[index].fd < 0)
		return false;
	poll_fd.fd = irq->vectors[index].fd;
	return poll(&poll_fd, 1, 0) == 1;
}

static void on_intx_mask(void *opaque, bool masked)
{
	struct bk__monitor_irq *irq = opaque;

	if (irq->intx_masked == masked)
		return;
	irq->intx_masked = masked;
	if (irq->mode == BK_PCI_IRQ_INTX && irq->count)
		intx_connect(irq, !masked);
}

static const struct bk_pci_irq_ops irq_ops = {
	.mode = on_mode,
	.vector = on_vector,
	.pending = on_pending,
	.intx_mask = on_intx_mask,
};

int bk__monitor_irq_create(struct bk__monitor_gsi *gsis, struct bk_device *device,
			   struct bk_pci_function *function, struct bk__monitor_pba *pba,
			   struct bk__monitor_irq **out, struct bk_error *err)
{
	struct bk__monitor_irq *irq = calloc(1, sizeof(*irq));
	const int line = bk_pci_function_intx_line(function);

	if (!irq)
		return bk_fail(err, ENOMEM, "%s: out of memory", device->name);
	irq->gsis = gsis;
	irq->device = device;
	irq->function = function;
	irq->pba = pba;
	irq->line = line < 0 ? -1 : (int)bk__monitor_arch.pci_pin + line;
	irq->resample = -1;
	bk_pci_function_set_irq_ops(function, &irq_ops, irq);
	*out = irq;
	return 0;
}

void bk__monitor_irq_renew(struct bk__monitor_irq *irq)
{
	bk_pci_function_set_irq_ops(irq->function, &irq_ops, irq);
}

void bk__monitor_irq_destroy(struct bk__monitor_irq *irq)
{
	if (!irq)
		return;
	bk_pci_function_set_irq_ops(irq->function, NULL, NULL);
	switch_off(irq);
	free(irq);
}
