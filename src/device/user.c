/* SPDX-License-Identifier: BSD-2-Clause */
/* `vfio-user:PATH`: the operations of a device in another process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "device/options.h"
#include "device/user.h"

enum { RECONNECT, KEYS, MOST_SECONDS = 86400 };

const char *const bk__user_keys[] = { [RECONNECT] = "reconnect", [KEYS] = NULL };

static struct bk__user_device *user_of(struct bk_device *device)
{
	return (struct bk__user_device *)device;
}

static int user_info(struct bk_device *device, struct bk_device_info *info)
{
	const struct bk__user_device *user = user_of(device);

	info->flags = user->link.resets ? BK_DEVICE_CAN_RESET : 0;
	info->regions = BK_DEVICE_REGIONS;
	info->irqs = BK_DEVICE_IRQS;
	return 0;
}

static int user_region(struct bk_device *device, unsigned index, struct bk_device_region *info)
{
	struct bk__user_device *user = user_of(device);
	const struct bk__user_region *region;

	if (index >= BK_DEVICE_REGIONS)
		return -EINVAL;
	pthread_mutex_lock(&user->lock);
	region = &user->link.regions[index];
	info->flags = (region->flags & BK__WIRE_REGION_READS ? BK_DEVICE_READ : 0u) |
		      (region->flags & BK__WIRE_REGION_WRITES ? BK_DEVICE_WRITE : 0u) |
		      (region->count ? BK_DEVICE_MMAP : 0u);
	info->size = region->size;
	info->fd = region->fd;
	info->fd_offset = region->fd_offset;
	pthread_mutex_unlock(&user->lock);
	return 0;
}

static int user_areas(struct bk_device *device, unsigned index, bool all, bk_device_area_fn *visit,
		      void *opaque)
{
	struct bk__user_device *user = user_of(device);
	struct bk_device_area *areas = NULL;
	size_t count = 0;

	if (index >= BK_DEVICE_REGIONS)
		return -EINVAL;
	pthread_mutex_lock(&user->lock);
	if (all || user->link.regions[index].fd >= 0)
		count = user->link.regions[index].count;
	if (count) {
		areas = malloc(count * sizeof(*areas));
		if (areas)
			memcpy(areas, user->link.regions[index].areas, count * sizeof(*areas));
	}
	pthread_mutex_unlock(&user->lock);
	if (count && !areas)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		visit(opaque, &areas[i]);
	free(areas);
	return 0;
}

static int user_watch(struct bk_device *device, const struct bk_device_watcher *watcher, void *opaque)
{
	struct bk__user_device *user = user_of(device);
	int r = 0;

	pthread_mutex_lock(&user->told);
	if (watcher && user->watcher.change) {
		r = -EBUSY;
	} else if (watcher) {
		user->watcher = *watcher;
		user->opaque = opaque;
	} else {
		memset(&user->watcher, 0, sizeof(user->watcher));
	}
	pthread_mutex_unlock(&user->told);
	return r;
}

static int user_irq(struct bk_device *device, unsigned index, struct bk_device_irq *irq)
{
	const struct bk__user_device *user = user_of(device);
	unsigned flags;

	if (index >= BK_DEVICE_IRQS)
		return -EINVAL;
	flags = user->link.irqs[index].flags;
	irq->flags = (flags & BK__WIRE_IRQ_MASKABLE ? BK_DEVICE_IRQ_MASKABLE : 0u) |
		     (flags & BK__WIRE_IRQ_AUTOMASKED ? BK_DEVICE_IRQ_AUTOMASKED : 0u) |
		     (flags & BK__WIRE_IRQ_NORESIZE ? BK_DEVICE_IRQ_NORESIZE : 0u);
	irq->count = user->link.irqs[index].count;
	return 0;
}

static int user_set_irqs(struct bk_device *device, unsigned index, enum bk_device_irq_action action,
			 unsigned start, unsigned count, const int *fds)
{
	struct bk__user_device *user = user_of(device);
	int r;

	pthread_mutex_lock(&user->setup);
	r = bk__user_irqs_set(user, index, action, start, count, fds);
	pthread_mutex_unlock(&user->setup);
	return r;
}

static int user_dma_map(struct bk_device *device, const struct bk_device_dma *dma, struct bk_error *err)
{
	struct bk__user_device *user = user_of(device);
	int r;

	pthread_mutex_lock(&user->setup);
	r = bk__user_dma_map(user, dma, err);
	pthread_mutex_unlock(&user->setup);
	bk__user_wake(user); /* the thread may have to listen now */
	return r;
}

static int user_dma_unmap(struct bk_device *device, uint64_t iova, uint64_t size)
{
	struct bk__user_device *user = user_of(device);
	int r;

	pthread_mutex_lock(&user->setup);
	r = bk__user_dma_unmap(user, iova, size);
	pthread_mutex_unlock(&user->setup);
	return r;
}

static int user_reset(struct bk_device *device)
{
	struct bk__user_device *user = user_of(device);
	struct bk__user_request request = { .command = BK__WIRE_RESET };
	int r;

	if (!user->link.resets)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&user->lock);
	r = bk__user_call(user, &user->link, &request);
	if (!r)
		user->command = 0;
	pthread_mutex_unlock(&user->lock);
	return r;
}

static void user_describe(struct bk_device *device,
			  void (*say)(void *opaque, const char *key, const char *value), void *opaque)
{
	struct bk__user_device *user = user_of(device);
	char text[128];

	say(opaque, "server", user->path);
	pthread_mutex_lock(&user->lock);
	snprintf(text, sizeof(text), "%u.%u, %u file descriptors a message%s", user->link.agreed.major,
		 user->link.agreed.minor, user->link.agreed.fds,
		 user->link.broken ? "; the server has gone" : "");
	pthread_mutex_unlock(&user->lock);
	say(opaque, "protocol", text);
}

/* The server resets the device when its client leaves. */
static void user_close(struct bk_device *device)
{
	struct bk__user_device *user = user_of(device);

	bk__user_thread_stop(user);
	bk__user_disconnect(&user->link);
	bk__user_irqs_forget(user);
	bk__user_dma_forget(user);
	pthread_mutex_destroy(&user->setup);
	pthread_mutex_destroy(&user->lock);
	pthread_mutex_destroy(&user->told);
	pthread_rwlock_destroy(&user->using);
	free(user->path);
	free((char *)user->device.name);
	free(user);
}

static const struct bk_device_ops user_ops = {
	.info = user_info,
	.region = user_region,
	.irq = user_irq,
	.read = bk__user_read,
	.write = bk__user_write,
	.set_irqs = user_set_irqs,
	.dma_map = user_dma_map,
	.dma_unmap = user_dma_unmap,
	.reset = user_reset,
	.areas = user_areas,
	.watch = user_watch,
	.describe = user_describe,
	.close = user_close,
	.doorbells = bk__user_doorbells,
};

struct bk__user_device *bk__user_create(const char *spec, const char *path)
{
	struct bk__user_device *user = calloc(1, sizeof(*user));

	if (!user)
		return NULL;
	user->device.ops = &user_ops;
	user->device.name = strdup(spec);
	user->path = strdup(path);
	user->wake = -1;
	for (unsigned i = 0; i < BK_DEVICE_IRQS; i++)
		user->wanted[i].unmask = -1;
	bk__user_link_init(&user->link);
	user->link.broken = true;
	pthread_mutex_init(&user->setup, NULL);
	pthread_mutex_init(&user->lock, NULL);
	pthread_mutex_init(&user->told, NULL);
	pthread_rwlock_init(&user->using, NULL);
	if (user->device.name && user->path)
		return user;
	user_close(&user->device);
	return NULL;
}

static int take_seconds(const char *text, const char *spec, unsigned *seconds, struct bk_error *err)
{
	uint64_t value = 0;

	if (text && (!bk__base_number(text, &value) || value > MOST_SECONDS))
		return bk_fail(err, EINVAL, "%s: reconnect=%s is no number of seconds up to %u", spec, text,
			       MOST_SECONDS);
	*seconds = (unsigned)value;
	return 0;
}

int bk__user_open(void *opaque, struct bk_device_context *context, const char *text, const char *spec,
		  struct bk_device **device, struct bk_error *err)
{
	struct bk__device_options options;
	struct bk__user_device *user = NULL;
	unsigned seconds = 0;
	int r = bk__device_options_parse(text, spec, bk__user_keys, &options, err);

	(void)opaque, (void)context;
	if (!r)
		r = take_seconds(options.values[RECONNECT], spec, &seconds, err);
	if (!r) {
		user = bk__user_create(spec, options.name);
		if (!user)
			r = bk_fail(err, ENOMEM, "%s: out of memory", spec);
	}
	bk__device_options_free(&options);
	if (r)
		return r;
	user->reconnect = seconds;
	r = bk__user_connect(user, &user->link, err);
	if (!r) {
		r = bk__user_thread_start(user);
		if (r)
			bk_fail(err, -r, "%s: no thread: %s", spec, strerror(-r));
	}
	if (r) {
		user_close(&user->device);
		return r;
	}
	*device = &user->device;
	return 0;
}
