/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes from the guest to the device without an exit: KVM signals an eventfd when the guest makes the write,
 * and the device's driver or server then makes it. The guest address follows the space.
 *
 * The mediator names writes that traps pass on again and again. A device's doorbells are there from the
 * start, except under a trap. The device's server may provide a doorbell's eventfd.
 */
#include "monitor/ioeventfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct bk__monitor_accelerator {
	const struct bk__monitor_vm *vm;
	struct bk_space *memory, *ports;
	struct bk_mediator *mediate;
	struct accelerated *doorbells;
};

/* A space in which the guest may make the write. */
struct side {
	struct accelerated *of;
	struct bk_listener *listener;
	unsigned flags; /* of KVM's */
};

/* One write. */
struct accelerated {
	struct bk__monitor_accelerator *of;
	struct accelerated *next; /* doorbell */
	struct bk_accelerated what;
	int fd;
	bool given; /* by the device, which makes the write */
	struct side memory, ports;

	/* Under the domain's commit lock. */
	const struct side *assigned; /* or NULL */
	uint64_t gpa;
	int error; /* of the last request to KVM */
};

static int assign(const struct side *side, uint64_t gpa, bool on)
{
	const struct accelerated *a = side->of;

	struct kvm_ioeventfd arg = {
		.datamatch = a->what.value,
		.addr = gpa,
		.len = a->what.width,
		.fd = a->fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH | side->flags | (on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};
	const int r = bk__monitor_vm_ioctl(a->of->vm, KVM_IOEVENTFD, &arg);

	return r < 0 ? r : 0;
}

/* Is all of the write in this range? */
static bool is_in(const struct accelerated *a, const struct bk_flat *flat, uint64_t *gpa)
{
	const uint64_t at = a->what.region_offset - flat->offset;

	*gpa = flat->first + at;
	return flat->region == a->what.region && a->what.region_offset >= flat->offset &&
	       at <= flat->last - flat->first && a->what.width - 1 <= flat->last - flat->first - at;
}

/* If a BAR appears twice, only one place is accelerated. */
static void on_added(void *opaque, const struct bk_flat *flat)
{
	struct side *side = opaque;
	struct accelerated *a = side->of;
	uint64_t gpa;

	if (a->assigned || !is_in(a, flat, &gpa))
		return;
	a->error = assign(side, gpa, true);
	if (!a->error)
		a->assigned = side;
	a->gpa = gpa;
}

static void on_removed(void *opaque, const struct bk_flat *flat)
{
	struct side *side = opaque;
	struct accelerated *a = side->of;
	uint64_t gpa;

	if (a->assigned != side || !is_in(a, flat, &gpa) || gpa != a->gpa)
		return;
	a->error = assign(side, gpa, false);
	a->assigned = NULL;
}

static const struct bk_listener_ops listener_ops = { .removed = on_removed, .added = on_added };

static int listen_to(struct bk_space *space, struct side *side, struct accelerated *a, unsigned flags)
{
	*side = (struct side){ .of = a, .flags = flags };
	return bk_listener_add(space, &listener_ops, side, &side->listener);
}

static void end(struct accelerated *a)
{
	if (a->memory.listener)
		bk_listener_remove(a->memory.listener);
	if (a->ports.listener)
		bk_listener_remove(a->ports.listener);
	if (!a->given)
		bk_device_ioeventfd(bk_mediator_below(a->of->mediate), a->what.bar, a->what.offset,
				    a->what.width, a->what.value, -1);
	close(a->fd);
	free(a);
}

static void stop(void *opaque, void *handle)
{
	end(handle);
}

/* Lets the device make the write when the eventfd is signalled; nothing signals it yet. `given` is the
 * device's own eventfd, or -1. */
static int begin(struct bk__monitor_accelerator *accelerator, const struct bk_accelerated *what, int given,
		 struct accelerated **out)
{
	struct accelerated *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->of = accelerator;
	a->what = *what;
	a->given = given >= 0;
	a->fd = a->given ? fcntl(given, F_DUPFD_CLOEXEC, 0) : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = a->fd < 0  ? -errno
	    : a->given ? 0
		       : bk_device_ioeventfd(bk_mediator_below(accelerator->mediate), what->bar, what->offset,
					     what->width, what->value, a->fd);
	if (r) {
		if (a->fd >= 0)
			close(a->fd);
		free(a);
		return r;
	}
	*out = a;
	return 0;
}

static int start(void *opaque, const struct bk_accelerated *what, void **handle)
{
	struct bk__monitor_accelerator *accelerator = opaque;
	struct accelerated *a;
	int r = begin(accelerator, what, -1, &a);

	if (r)
		return r;
	r = listen_to(accelerator->memory, &a->memory, a, 0);
	/* This follows memory only: a write to a port has no place, and is refused. */
	if (!r && !a->assigned)
		r = a->error ? a->error : -ENOENT;
	if (r) {
		end(a);
		return r;
	}
	*handle = a;
	return 0;
}

/* The BAR may be unmapped now. If this fails, the guest's writes exit. */
static void add_doorbell(void *opaque, const struct bk_device_doorbell *doorbell)
{
	struct bk__monitor_accelerator *accelerator = opaque;
	const struct bk_accelerated what = {
		.region = bk_mediator_registers(accelerator->mediate, doorbell->region),
		.region_offset = doorbell->offset,
		.bar = doorbell->region,
		.offset = doorbell->offset,
		.width = doorbell->width,
		.value = doorbell->value,
	};
	struct accelerated *a;

	if (!what.region || begin(accelerator, &what, doorbell->has_fd ? doorbell->fd : -1, &a))
		return;
	if (listen_to(accelerator->memory, &a->memory, a, 0) ||
	    listen_to(accelerator->ports, &a->ports, a, KVM_IOEVENTFD_FLAG_PIO)) {
		end(a);
		return;
	}
	a->next = accelerator->doorbells;
	accelerator->doorbells = a;
}

static const struct bk_accelerator_ops accelerator_ops = { .start = start, .stop = stop };

struct bk__monitor_accelerator *bk__monitor_accelerator_create(const struct bk__monitor_vm *vm,
							       struct bk_space *memory,
							       struct bk_space *ports,
							       struct bk_mediator *mediate)
{
	struct bk__monitor_accelerator *accelerator = calloc(1, sizeof(*accelerator));

	if (!accelerator)
		return NULL;
	*accelerator = (struct bk__monitor_accelerator){ vm, memory, ports, mediate, NULL };
	bk_mediator_accelerate(mediate, &accelerator_ops, accelerator);
	bk_device_doorbells(bk_mediator_below(mediate), add_doorbell, accelerator);
	return accelerator;
}

void bk__monitor_accelerator_destroy(struct bk__monitor_accelerator *accelerator)
{
	struct accelerated *doorbell;

	if (!accelerator)
		return;
	bk_mediator_accelerate(accelerator->mediate, NULL, NULL);
	while ((doorbell = accelerator->doorbells)) {
		accelerator->doorbells = doorbell->next;
		end(doorbell);
	}
	free(accelerator);
}
