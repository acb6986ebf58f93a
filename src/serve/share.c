/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which pages of the device a client may map.
 *
 * A process that has a file can map all of it. So by default the client gets a file that holds nothing
 * but the pages that are allowed, if there is or can be one; else all accesses come by messages. With
 * mmap=device-fd the device's file goes out in any case, with the list of pages that are allowed.
 *
 * Pages that were handed out stay the client's until it goes: a trap that needs one of them is refused. So do
 * those of registers that the client has eventfds for.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/session.h"

static void add_area(void *opaque, const struct bk_device_area *area)
{
	struct bk__serve_share *share = opaque;
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (!area->size || area->offset % page || area->size % page)
		return; /* a BAR below a page: its page may hold others */
	if (bk__array_reserve(&share->areas, 1))
		return;
	share->areas.at[share->areas.count++] = (struct bk__wire_area){ area->offset, area->size };
}

/* Is nothing in the file that the client must not have? */
static bool is_all_allowed(const struct bk__serve_share *share, uint64_t size)
{
	struct stat st;

	return share->areas.count == 1 && !share->areas.at[0].offset && share->areas.at[0].size == size &&
	       !share->offset && !fstat(share->fd, &st) && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size == size;
}

static void say_why_not(const struct bk__serve_session *session, unsigned region)
{
	if (atomic_exchange(&session->serve->told, true))
		return;
	bk_log(BK_LOG_WARNING,
	       "%s: %s could be mapped, but the host cannot hand out some pages only, so every access to it "
	       "is a "
	       "message; mmap=device-fd hands the device's file out, to clients that are trusted with all of "
	       "it",
	       session->config->name, bk_device_region_name(region));
}

/* A file of just these pages. */
static bool make_file(struct bk__serve_session *session, unsigned region, struct bk__serve_share *share)
{
	struct bk_device_area *areas = calloc(share->areas.count, sizeof(*areas));
	int fd = -1, error = areas ? 0 : -ENOMEM;

	for (size_t i = 0; areas && i < share->areas.count; i++)
		areas[i] = (struct bk_device_area){ share->areas.at[i].offset, share->areas.at[i].size };
	if (!error)
		error = bk_device_share(session->device, region, areas, share->areas.count, &fd);
	free(areas);
	if (error)
		return false;
	share->made = true;
	share->fd = fd;
	share->offset = 0;
	return true;
}

/* Under the lock. */
static bool prepare(struct bk__serve_session *session, unsigned region, const struct bk_device_region *info,
		    struct bk__serve_share *share)
{
	share->areas.count = 0;
	share->fd = info->fd;
	share->offset = info->fd_offset;
	bk_device_areas(session->device, region, false, add_area, share);
	if (!share->areas.count || share->losing)
		return false;
	if (session->config->mmap == BK__SERVE_MMAP_DEVICE_FD || is_all_allowed(share, info->size) ||
	    make_file(session, region, share))
		return true;
	say_why_not(session, region);
	return false;
}

void bk__serve_share_get(struct bk__serve_session *session, unsigned region,
			 const struct bk_device_region *info, struct bk__serve_share **result)
{
	struct bk__serve_share *share;

	*result = NULL;
	if (session->config->mmap == BK__SERVE_MMAP_OFF || region >= BK_DEVICE_ROM ||
	    !(info->flags & BK_DEVICE_MMAP) || info->fd < 0)
		return;
	share = &session->shares[region];
	pthread_mutex_lock(&session->share_lock);
	if (!share->told)
		share->told = prepare(session, region, info, share);
	if (share->told)
		*result = share;
	pthread_mutex_unlock(&session->share_lock);
}

/* ---- Changes ----------------------------------------------------------- */

static int on_lose(void *opaque, unsigned region, uint64_t first, uint64_t last)
{
	struct bk__serve_session *session = opaque;
	struct bk__serve_share *share;
	bool held;

	if (region >= BK_DEVICE_REGIONS)
		return 0;
	share = &session->shares[region];
	pthread_mutex_lock(&session->share_lock);
	held = bk__serve_doorbells_held(session, region, first, last);
	for (size_t i = 0; share->told && i < share->areas.count; i++)
		held |= share->areas.at[i].offset <= last &&
			share->areas.at[i].offset + (share->areas.at[i].size - 1) >= first;
	share->losing |= !held; /* they still seem to be there until `change` */
	pthread_mutex_unlock(&session->share_lock);
	return held ? -EBUSY : 0;
}

static void on_change(void *opaque, unsigned region)
{
	struct bk__serve_session *session = opaque;

	if (region >= BK_DEVICE_REGIONS)
		return;
	pthread_mutex_lock(&session->share_lock);
	session->shares[region].losing = false;
	pthread_mutex_unlock(&session->share_lock);
}

static const struct bk_device_watcher watcher = {
	.struct_size = sizeof(watcher),
	.lose = on_lose,
	.change = on_change,
};

void bk__serve_share_open(struct bk__serve_session *session)
{
	pthread_mutex_init(&session->share_lock, NULL);
	bk_device_watch(session->device, &watcher, session);
}

void bk__serve_share_close(struct bk__serve_session *session)
{
	bk_device_watch(session->device, NULL, NULL);
	for (unsigned i = 0; i < BK_DEVICE_REGIONS; i++) {
		if (session->shares[i].made)
			bk_device_share(session->device, i, NULL, 0, NULL);
		free(session->shares[i].areas.at);
	}
	pthread_mutex_destroy(&session->share_lock);
}
