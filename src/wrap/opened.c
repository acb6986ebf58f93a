/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices that the program has open: their beginning and end, and forks. */
#include "wrap/opened.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quirk/was_reset.h"
#include "wrap/kvm.h"
#include "wrap/maps.h"

const struct bk__wrap_ops *bk__wrap_ops;

/* Protects the list of open devices. Taken before a mediator's locks. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct bk__wrap_device *devices;
static struct bk_domain *domain; /* this process's, or NULL */
static unsigned child;           /* counts forks on the way to this process */

/* Not 0: a fork is in progress, and no thread may enter. */
static unsigned held;

/* ---- In and out -------------------------------------------------------- */

static void take_apart(struct bk__wrap_device *device)
{
	struct bk__wrap_file *file = device->file;

	pthread_mutex_lock(&lock);
	for (struct bk__wrap_device **at = &devices; *at; at = &(*at)->next)
		if (*at == device) {
			*at = device->next;
			break;
		}
	pthread_mutex_unlock(&lock);
	/* A device copied by a fork is not closed: the thread that waits for readers is missing. */
	if (device->opaque && device->child == child)
		bk__wrap_ops->closed(device->opaque);
	device->opaque = NULL;
	device->mediate = NULL;
	bk__wrap_back_close(device);
	bk__wrap_file_discard(file);
}

void bk__wrap_device_leave(struct bk__wrap_device *device)
{
	if (!__atomic_sub_fetch(&device->users, 1, __ATOMIC_ACQ_REL))
		take_apart(device);
}

struct bk__wrap_device *bk__wrap_device_enter(struct bk__wrap_file *file)
{
	struct bk__wrap_device *device = bk__wrap_device_of(file);
	unsigned users = __atomic_load_n(&device->users, __ATOMIC_RELAXED);

	for (;;) {
		if (!users)
			return NULL;
		if (!__atomic_compare_exchange_n(&device->users, &users, users + 1, true, __ATOMIC_SEQ_CST,
						 __ATOMIC_RELAXED))
			continue;
		if (!__atomic_load_n(&held, __ATOMIC_SEQ_CST))
			return device;
		bk__wrap_device_leave(device);
		while (__atomic_load_n(&held, __ATOMIC_ACQUIRE))
			sched_yield();
		users = __atomic_load_n(&device->users, __ATOMIC_RELAXED);
	}
}

/* ---- Beginning and end ------------------------------------------------- */

static void note_region(void *opaque, const struct bk_trap_stats *stats)
{
	if (stats->name)
		bk__wrap_device_mediates(opaque, stats->region);
}

/* This process's domain. Under the lock. A child makes its own, since the thread of its parent's is missing.
 */
static struct bk_domain *domain_now(void)
{
	if (!domain)
		domain = bk_domain_create();
	return domain;
}

static int mediate(struct bk__wrap_device *device, const char *name, struct bk_error *err)
{
	struct bk__wrap_opened opened = { 0 };
	struct bk_domain *in;
	int error;

	pthread_mutex_lock(&lock);
	in = domain_now();
	pthread_mutex_unlock(&lock);
	if (!in)
		return bk_fail(err, ENOMEM, "%s: out of memory", device->back.name);
	error = bk__wrap_ops->mediate(name, &device->back, in, &opened, err);
	if (error)
		return error;
	device->mediate = opened.mediate;
	device->opaque = opened.opaque;
	/* The library sees all writes to config space, since the mediator has its own registers
	 * there. */
	for (unsigned i = 0; i < BK_DEVICE_REGIONS; i++)
		if (i == BK_DEVICE_CONFIG || opened.regions >> i & 1)
			bk__wrap_device_mediates(device, i);
	device->unmapped = opened.unmapped;
	bk_mediator_stats(device->mediate, note_region, device);
	return 0;
}

int bk__wrap_device_begin(struct bk__wrap_file *file, int fd, const char *name)
{
	struct bk__wrap_device *device = file->device ? file->device : calloc(1, sizeof(*device));
	struct bk_error err;
	int error;

	bk__wrap_is_borrowed(); /* a copy of a process has its own domain */
	__atomic_store_n(&file->device, device, __ATOMIC_RELEASE);
	if (!device) {
		bk_log(BK_LOG_ERROR, "%s: out of memory: the program is refused the device", name);
		return -ENOMEM;
	}
	snprintf(device->name, sizeof(device->name), "%s", *name ? name : "vfio-device");
	device->back.name = device->name;
	device->file = file;
	device->fd = -1;
	device->child = child;
	device->unmapped = 0;
	device->position = 0;
	error = bk__wrap_ops ? bk__wrap_back_open(device, fd, &err)
			     : bk_fail(&err, EPERM, "%s: opened before the library has started", name);
	if (!error)
		error = mediate(device, name, &err);
	if (error) {
		bk_log(BK_LOG_ERROR, "%s; the program is refused the device", err.text);
		bk__wrap_back_close(device);
		return error;
	}
	pthread_mutex_lock(&lock);
	device->next = devices;
	devices = device;
	pthread_mutex_unlock(&lock);
	__atomic_store_n(&device->users, 1, __ATOMIC_RELEASE);
	return 0;
}

void bk__wrap_device_end(struct bk__wrap_file *file)
{
	bk__wrap_maps_forget(file->device);
	bk__wrap_kvm_settle(); /* no thread still uses it by a mapping */
	bk__wrap_device_leave(file->device);
}

/* ---- All of them ------------------------------------------------------- */

void bk__wrap_device_visit(void (*visit)(void *opaque, struct bk__wrap_device *device), void *opaque)
{
	pthread_mutex_lock(&lock);
	for (struct bk__wrap_device *device = devices; device; device = device->next)
		visit(opaque, device);
	pthread_mutex_unlock(&lock);
}

static void was_reset(void *opaque, struct bk__wrap_device *device)
{
	if (__atomic_load_n(&device->users, __ATOMIC_ACQUIRE))
		bk__quirk_was_reset(bk_mediator_below(device->mediate));
}

void bk__wrap_devices_were_reset(void)
{
	bk__wrap_device_visit(was_reset, NULL);
}

/* ---- Forks ------------------------------------------------------------- */

void bk__wrap_device_hold(void)
{
	__atomic_fetch_add(&held, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&lock);
	for (struct bk__wrap_device *device = devices; device; device = device->next)
		while (__atomic_load_n(&device->users, __ATOMIC_SEQ_CST) > 1)
			sched_yield();
	bk__wrap_maps_hold();
}

void bk__wrap_device_copied(void)
{
	child++;
	domain = NULL;
}

void bk__wrap_device_go_on(bool is_child)
{
	bk__wrap_maps_go_on();
	if (is_child)
		bk__wrap_device_copied();
	pthread_mutex_unlock(&lock);
	__atomic_fetch_sub(&held, 1, __ATOMIC_SEQ_CST);
}
