/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts: eventfds that are joined to a GSI, the routing table, and what has arrived. */
#include "fakekvm.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOINED_MAX  4096
#define ARRIVED_MAX 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	int fd, resample;
	unsigned gsi;
} joined[JOINED_MAX];
static unsigned joined_count;
static struct kvm_irq_routing *routes;
static struct {
	bool pin;
	uint64_t address;
	uint32_t data; /* or the pin */
} arrived[ARRIVED_MAX];
static unsigned first, count;

static void arrive(bool pin, uint64_t address, uint32_t data)
{
	const unsigned at = (first + count) % ARRIVED_MAX;

	if (count == ARRIVED_MAX)
		return;
	arrived[at].pin = pin;
	arrived[at].address = address;
	arrived[at].data = data;
	count++;
}

/* A GSI fires: what it does is what its route says at this moment. */
static void fire(unsigned gsi)
{
	if (!routes) /* as KVM routes them at first */
		arrive(true, 0, gsi);
	for (unsigned i = 0; routes && i < routes->nr; i++) {
		const struct kvm_irq_routing_entry *entry = &routes->entries[i];

		if (entry->gsi != gsi)
			continue;
		if (entry->type == KVM_IRQ_ROUTING_MSI)
			arrive(false, (uint64_t)entry->u.msi.address_hi << 32 | entry->u.msi.address_lo,
			       entry->u.msi.data);
		else if (entry->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC)
			arrive(true, 0, entry->u.irqchip.pin);
	}
}

static bool has_event(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

static int join(const struct kvm_irqfd *irqfd)
{
	for (unsigned i = 0; i < joined_count; i++)
		if (joined[i].fd == (int)irqfd->fd)
			return EBUSY;
	if (joined_count == JOINED_MAX)
		return ENOSPC;
	joined[joined_count].fd = (int)irqfd->fd;
	joined[joined_count].gsi = irqfd->gsi;
	joined[joined_count++].resample =
		irqfd->flags & KVM_IRQFD_FLAG_RESAMPLE ? (int)irqfd->resamplefd : -1;
	/* As KVM does: what is in it is delivered, and stays in it. */
	if (has_event((int)irqfd->fd))
		fire(irqfd->gsi);
	return 0;
}

static int part(const struct kvm_irqfd *irqfd)
{
	for (unsigned i = 0; i < joined_count; i++)
		if (joined[i].fd == (int)irqfd->fd && joined[i].gsi == irqfd->gsi) {
			joined[i] = joined[--joined_count];
			break;
		}
	return 0;
}

int fake_irqfd(const struct kvm_irqfd *irqfd)
{
	int error;

	pthread_mutex_lock(&lock);
	if (irqfd->flags & KVM_IRQFD_FLAG_DEASSIGN)
		error = part(irqfd);
	else
		error = fake_fails(FAKE_IRQFD) ? ENOMEM : join(irqfd);
	pthread_mutex_unlock(&lock);
	errno = error;
	return error ? -1 : 0;
}

int fake_routes(const struct kvm_irq_routing *table)
{
	const size_t size = sizeof(*table) + table->nr * sizeof(table->entries[0]);
	struct kvm_irq_routing *copy = fake_fails(FAKE_ROUTES) ? NULL : malloc(size);

	if (!copy) {
		errno = ENOMEM;
		return -1;
	}
	memcpy(copy, table, size);
	pthread_mutex_lock(&lock);
	free(routes);
	routes = copy;
	pthread_mutex_unlock(&lock);
	return 0;
}

void fake_message(uint64_t address, uint32_t data)
{
	pthread_mutex_lock(&lock);
	arrive(false, address, data);
	pthread_mutex_unlock(&lock);
}

void fake_line(unsigned gsi, bool level)
{
	static bool levels[24];

	pthread_mutex_lock(&lock);
	if (gsi < sizeof(levels) / sizeof(levels[0])) {
		if (level && !levels[gsi])
			fire(gsi);
		levels[gsi] = level;
	}
	pthread_mutex_unlock(&lock);
}

unsigned fake_irqfds(void)
{
	unsigned result;

	pthread_mutex_lock(&lock);
	result = joined_count;
	pthread_mutex_unlock(&lock);
	return result;
}

unsigned fake_route_count(void)
{
	unsigned result;

	pthread_mutex_lock(&lock);
	result = routes ? routes->nr : 0;
	pthread_mutex_unlock(&lock);
	return result;
}

static void look(void)
{
	for (unsigned i = 0; i < joined_count; i++) {
		uint64_t value;

		if (has_event(joined[i].fd) && read(joined[i].fd, &value, sizeof(value)) == sizeof(value))
			fire(joined[i].gsi);
	}
}

bool fake_irq_take(char *text, unsigned room)
{
	bool taken;

	pthread_mutex_lock(&lock);
	look();
	taken = count != 0;
	if (taken && arrived[first].pin)
		snprintf(text, room, "pin %u", arrived[first].data);
	else if (taken)
		snprintf(text, room, "message 0x%llx 0x%x", (unsigned long long)arrived[first].address,
			 arrived[first].data);
	if (taken) {
		first = (first + 1) % ARRIVED_MAX;
		count--;
	}
	pthread_mutex_unlock(&lock);
	return taken;
}

void fake_eoi(unsigned gsi)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < joined_count; i++)
		if (joined[i].gsi == gsi && joined[i].resample >= 0 &&
		    write(joined[i].resample, &one, sizeof(one)) < 0)
			perror("fakekvm: a resample eventfd");
	pthread_mutex_unlock(&lock);
}

/* Signals are let in for the time of the wait only, so that none is missed between a look and the wait. */
bool fake_wait(int fd, bool irqs)
{
	struct pollfd fds[1 + JOINED_MAX];
	unsigned n = 1;
	sigset_t open_mask;

	pthread_sigmask(SIG_SETMASK, NULL, &open_mask);
	sigdelset(&open_mask, SIGRTMIN + 1);
	fds[0] = (struct pollfd){ .fd = fd, .events = POLLIN };
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; irqs && i < joined_count; i++)
		fds[n++] = (struct pollfd){ .fd = joined[i].fd, .events = POLLIN };
	pthread_mutex_unlock(&lock);
	return ppoll(fds, n, NULL, &open_mask) >= 0;
}
