/* SPDX-License-Identifier: BSD-2-Clause */
/* Logs which BAR answers where, each time that a guest's change moves one. */
#include "monitor/map_log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <barkeep/device.h>

/* A BAR, a ROM or the VGA ranges of a device. */
struct known {
	struct known *next;
	struct bk_mediator *mediate;
	const struct bk_space *space;
	unsigned region;
};

/* One of the two spaces, as the CPU sees it. */
struct side {
	struct bk__monitor_map_log *log;
	const char *name;
	struct bk_listener *listener;
};

struct bk__monitor_map_log {
	pthread_mutex_t lock; /* protects `known`: the owner changes it, and vCPUs read it */
	struct known *known;
	struct side memory, ports;
};

static const struct known *find(const struct bk__monitor_map_log *log, const struct bk_space *space)
{
	const struct known *known = log->known;

	while (known && known->space != space)
		known = known->next;
	return known;
}

static void write_line(const struct side *side, const char *what, const struct bk_flat *flat)
{
	struct bk__monitor_map_log *log = side->log;
	const struct known *known;

	pthread_mutex_lock(&log->lock);
	known = find(log, bk_region_space(flat->region));
	if (known) /* the command's log begins at warnings */
		bk_log(BK_LOG_WARNING, "map: %s 0x%08" PRIx64 "-0x%08" PRIx64 ": %s %s %s", side->name,
		       flat->first, flat->last, bk_mediator_below(known->mediate)->name,
		       bk_device_region_name(known->region), what);
	pthread_mutex_unlock(&log->lock);
}

static void on_removed(void *opaque, const struct bk_flat *flat)
{
	write_line(opaque, "leaves", flat);
}

static void on_added(void *opaque, const struct bk_flat *flat)
{
	write_line(opaque, "answers", flat);
}

static const struct bk_listener_ops listener_ops = { .removed = on_removed, .added = on_added };

static int listen_to(struct bk__monitor_map_log *log, struct side *side, struct bk_space *space,
		     const char *name)
{
	side->log = log;
	side->name = name;
	return bk_listener_add(space, &listener_ops, side, &side->listener);
}

int bk__monitor_map_log_create(struct bk_space *memory, struct bk_space *ports,
			       struct bk__monitor_map_log **out, struct bk_error *err)
{
	struct bk__monitor_map_log *log = calloc(1, sizeof(*log));
	int error;

	if (!log)
		return bk_fail(err, ENOMEM, "map log: out of memory");
	pthread_mutex_init(&log->lock, NULL);
	error = listen_to(log, &log->memory, memory, "memory");
	if (!error)
		error = listen_to(log, &log->ports, ports, "ports");
	if (error) {
		bk__monitor_map_log_destroy(log);
		return bk_fail(err, -error, "map log: %s", strerror(-error));
	}
	*out = log;
	return 0;
}

static void learn(struct bk__monitor_map_log *log, struct bk_mediator *mediate, unsigned region)
{
	const struct bk_space *space = bk_mediator_space(mediate, region);
	struct known *known = space ? malloc(sizeof(*known)) : NULL;

	if (!known)
		return;
	pthread_mutex_lock(&log->lock);
	*known = (struct known){ log->known, mediate, space, region };
	log->known = known;
	pthread_mutex_unlock(&log->lock);
}

void bk__monitor_map_log_add(struct bk__monitor_map_log *log, struct bk_mediator *mediate)
{
	for (unsigned region = 0; log && region < BK_DEVICE_REGIONS; region++) {
		if (region != BK_DEVICE_CONFIG)
			learn(log, mediate, region);
	}
}

/* Forgets one device; all if NULL. */
static void forget(struct bk__monitor_map_log *log, const struct bk_mediator *mediate)
{
	struct known **link = &log->known, *known;

	pthread_mutex_lock(&log->lock);
	while ((known = *link)) {
		if (mediate && known->mediate != mediate) {
			link = &known->next;
			continue;
		}
		*link = known->next;
		free(known);
	}
	pthread_mutex_unlock(&log->lock);
}

void bk__monitor_map_log_remove(struct bk__monitor_map_log *log, struct bk_mediator *mediate)
{
	if (log)
		forget(log, mediate);
}

void bk__monitor_map_log_destroy(struct bk__monitor_map_log *log)
{
	if (!log)
		return;
	forget(log, NULL);
	if (log->memory.listener)
		bk_listener_remove(log->memory.listener);
	if (log->ports.listener)
		bk_listener_remove(log->ports.listener);
	pthread_mutex_destroy(&log->lock);
	free(log);
}
