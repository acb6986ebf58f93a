/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes from the guest to the device within the kernel: KVM writes an eventfd
 * when the guest makes that write, and whoever has the device makes it when
 * the eventfd is written. The place in the guest follows its view.
 */
#include "monitor/ioeventfd.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct bk__monitor_accelerator {
	const struct bk__monitor_vm *vm;
	struct bk_space *memory;
	struct bk_mediator *mediate;
};

/* One write. */
struct accelerated {
	struct bk__monitor_accelerator *of;
	struct bk_accelerated what;
	int fd;
	struct bk_listener *listener;

	/* Under the domain's commit lock. */
	bool assigned;
	uint64_t gpa;
	int error; /* of the last that KVM was asked */
};

static int assign(struct accelerated *a, uint64_t gpa, bool on)
{
	struct kvm_ioeventfd arg = {
		.datamatch = a->what.value,
		.addr = gpa,
		.len = a->what.width,
		.fd = a->fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH | (on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
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

/* A BAR that shows twice is accelerated at one of its places. */
static void on_added(void *opaque, const struct bk_flat *flat)
{
	struct accelerated *a = opaque;
	uint64_t gpa;

	if (a->assigned || !is_in(a, flat, &gpa))
		return;
	a->error = assign(a, gpa, true);
	a->assigned = !a->error;
	a->gpa = gpa;
}

static void on_removed(void *opaque, const struct bk_flat *flat)
{
	struct accelerated *a = opaque;
	uint64_t gpa;

	if (!a->assigned || !is_in(a, flat, &gpa) || gpa != a->gpa)
		return;
	a->error = assign(a, gpa, false);
	a->assigned = false;
}

static const struct bk_listener_ops listener_ops = { .removed = on_removed, .added = on_added };

static void stop(void *opaque, void *handle)
{
	struct bk__monitor_accelerator *accelerator = opaque;
	struct accelerated *a = handle;

	if (a->listener)
		bk_listener_remove(a->listener);
	bk_device_ioeventfd(bk_mediator_below(accelerator->mediate), a->what.bar, a->what.offset,
			    a->what.width, a->what.value, -1);
	close(a->fd);
	free(a);
}

static int start(void *opaque, const struct bk_accelerated *what, void **handle)
{
	struct bk__monitor_accelerator *accelerator = opaque;
	struct accelerated *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->of = accelerator;
	a->what = *what;
	a->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->fd < 0) {
		r = -errno;
		free(a);
		return r;
	}
	r = bk_device_ioeventfd(bk_mediator_below(accelerator->mediate), what->bar, what->offset, what->width,
				what->value, a->fd);
	if (r) {
		close(a->fd);
		free(a);
		return r;
	}
	r = bk_listener_add(accelerator->memory, &listener_ops, a, &a->listener);
	/* The guest's memory does not show ports: their writes would never be made here. */
	if (!r && !a->assigned)
		r = a->error ? a->error : -ENOENT;
	if (r) {
		stop(accelerator, a);
		return r;
	}
	*handle = a;
	return 0;
}

static const struct bk_accelerator_ops accelerator_ops = { .start = start, .stop = stop };

struct bk__monitor_accelerator *bk__monitor_accelerator_create(const struct bk__monitor_vm *vm,
							       struct bk_space *memory,
							       struct bk_mediator *mediate)
{
	struct bk__monitor_accelerator *accelerator = calloc(1, sizeof(*accelerator));

	if (!accelerator)
		return NULL;
	*accelerator = (struct bk__monitor_accelerator){ vm, memory, mediate };
	bk_mediator_accelerate(mediate, &accelerator_ops, accelerator);
	return accelerator;
}

void bk__monitor_accelerator_destroy(struct bk__monitor_accelerator *accelerator)
{
	if (accelerator)
		bk_mediator_accelerate(accelerator->mediate, NULL, NULL);
	free(accelerator);
}
