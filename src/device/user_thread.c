/* SPDX-License-Identifier: BSD-2-Clause */
/* A thread that answers the server's own commands, notices when the server has gone, and reconnects.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/guard.h"
#include "base/thread.h"
#include "device/user.h"

enum { AGAIN_MS = 200 }; /* between two looks for a server */

/* What the thread knows of the connection without its lock. */
struct watched {
	int fd, twin;
	struct bk__wire_stream stream; /* of the twin */
	uint64_t data;
};

/* ---- Notices to whoever maps areas ------------------------------------------ */

static void tell_areas(struct bk__user_device *user, bool lost)
{
	pthread_mutex_lock(&user->told);
	for (unsigned i = 0; i < BK_DEVICE_REGIONS; i++) {
		const struct bk__user_region *region = &user->link.regions[i];

		if (!region->count)
			continue;
		if (lost && user->watcher.lose)
			user->watcher.lose(user->opaque, i, 0, region->size - 1);
		if (user->watcher.change)
			user->watcher.change(user->opaque, i);
	}
	pthread_mutex_unlock(&user->told);
}

/* ---- Gone, and back ------------------------------------------------------ */

static void lose(struct bk__user_device *user)
{
	pthread_mutex_lock(&user->lock);
	bk__user_lose(&user->link);
	pthread_mutex_unlock(&user->lock);
	if (user->reconnect)
		bk_log(BK_LOG_WARNING,
		       "%s: the server has gone: the device reads all ones; trying for %u s to connect again",
		       user->device.name, user->reconnect);
	else
		bk_log(BK_LOG_ERROR, "%s: the server has gone: the device reads all ones from now on",
		       user->device.name);
	tell_areas(user, true);
}

/* Sends everything again that the old server was sent. Under `setup` and `lock`. */
static int tell_again(struct bk__user_device *user, struct bk__user_link *link)
{
	int r = bk__user_dma_again(user, link);

	if (!r)
		r = bk__user_irqs_again(user, link);
	return r ? r : bk__user_command_again(user, link);
}

/* 0, -EAGAIN if no server is there yet, another error if the server cannot replace the old one. */
static int connect_again(struct bk__user_device *user)
{
	struct bk__user_link link;
	struct bk_error err;
	int r = bk__user_connect(user, &link, &err);

	if (r)
		return r == -ECONNREFUSED || r == -ENOENT || r == -EIO || r == -EAGAIN ? -EAGAIN : r;
	pthread_mutex_lock(&user->setup);
	pthread_mutex_lock(&user->lock);
	r = bk__user_is_same(&link, &user->link) ? tell_again(user, &link) : -ENODEV;
	if (!r) {
		bk__user_disconnect(&user->link);
		user->link = link;
	}
	pthread_mutex_unlock(&user->lock);
	pthread_mutex_unlock(&user->setup);
	if (r)
		bk__user_disconnect(&link);
	else
		tell_areas(user, false);
	return r == -EIO ? -EAGAIN : r;
}

/* True if the device works again; false if it is being closed or no server came. */
static bool find_again(struct bk__user_device *user)
{
	const int64_t end = bk__base_now_ms() + (int64_t)user->reconnect * 1000;
	struct pollfd wake = { .fd = user->wake, .events = POLLIN };
	int r = -EAGAIN;

	while (r == -EAGAIN && bk__base_now_ms() < end && !atomic_load(&user->ending)) {
		poll(&wake, 1, AGAIN_MS);
		if (!atomic_load(&user->ending))
			r = connect_again(user);
	}
	if (atomic_load(&user->ending))
		return false;
	if (!r)
		bk_log(BK_LOG_INFO, "%s: the server is back", user->device.name);
	else if (r == -ENODEV)
		bk_log(BK_LOG_ERROR, "%s: the server that is back has another device", user->device.name);
	else
		bk_log(BK_LOG_ERROR, "%s: no server came back: the device reads all ones from now on",
		       user->device.name);
	return !r;
}

/* ---- The thread ----------------------------------------------------------- */

/* Without a second socket, commands of the server come on the first one. Data that wait there are
 * mostly replies for threads inside. So this thread reads it only if memory is reached by messages. */
static bool has_messages(struct bk__user_device *user)
{
	bool found = false;

	pthread_rwlock_rdlock(&user->using);
	for (size_t i = 0; i < user->maps.maps.count && !found; i++)
		found = user->maps.maps.at[i].dma.fd < 0;
	pthread_rwlock_unlock(&user->using);
	return found;
}

static bool attend_first(struct bk__user_device *user, short events)
{
	bool ok;

	pthread_mutex_lock(&user->lock);
	ok = !user->link.broken;
	if (ok && events & POLLIN) {
		ok = bk__user_attend(user, user->link.fd, &user->link.stream, user->link.agreed.data);
		if (!ok)
			bk__user_break(user, &user->link);
	}
	pthread_mutex_unlock(&user->lock);
	return ok && !(events & (POLLHUP | POLLRDHUP | POLLERR));
}

/* If a server shrinks a file that it gave, none of its pages is trusted any more. */
static void look_at_files(struct bk__user_device *user)
{
	pthread_mutex_lock(&user->lock);
	if (!user->link.broken && bk__user_has_shrunk(&user->link)) {
		bk_log(BK_LOG_ERROR, "%s: the server has shrunk the file of a region that is mapped",
		       user->device.name);
		bk__user_break(user, &user->link);
	}
	pthread_mutex_unlock(&user->lock);
}

/* Runs until the server has gone (true) or the device is closed (false). */
static bool attend(struct bk__user_device *user, struct watched *at)
{
	uint64_t count;

	while (!atomic_load(&user->ending)) {
		struct pollfd fds[] = {
			{ .fd = user->wake, .events = POLLIN },
			{ .fd = at->fd, .events = POLLRDHUP },
			{ .fd = at->twin, .events = POLLIN },
		};

		if (at->twin < 0 && has_messages(user))
			fds[1].events |= POLLIN;
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[0].revents && read(user->wake, &count, sizeof(count)) < 0)
			continue;
		if (fds[0].revents)
			look_at_files(user);
		if (!attend_first(user, fds[1].revents))
			return true;
		if (fds[2].revents && !bk__user_attend(user, at->twin, &at->stream, at->data)) {
			pthread_mutex_lock(&user->lock);
			bk__user_break(user, &user->link);
			pthread_mutex_unlock(&user->lock);
			return true;
		}
	}
	return false;
}

static void *run(void *opaque)
{
	struct bk__user_device *user = opaque;
	bool again = true;

	bk__base_thread_enter("user");
	while (again) {
		struct watched at = { 0 };

		pthread_mutex_lock(&user->lock);
		at.fd = user->link.fd;
		at.twin = user->link.twin;
		at.data = user->link.agreed.data;
		pthread_mutex_unlock(&user->lock);
		if (at.twin >= 0 && bk__wire_stream_open(&at.stream, at.twin, BK__WIRE_MESSAGE))
			at.twin = -1;
		again = attend(user, &at) && !atomic_load(&user->ending);
		if (at.twin >= 0)
			bk__wire_stream_close(&at.stream);
		if (again) {
			lose(user);
			again = user->reconnect && find_again(user);
		}
	}
	return NULL;
}

int bk__user_thread_start(struct bk__user_device *user)
{
	int r;

	user->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (user->wake < 0)
		return -errno;
	if (!bk__base_guard_tell(user->wake))
		return -ENOMEM;
	r = bk__base_thread_start(&user->thread, run, user, NULL);
	user->started = !r;
	return r;
}

void bk__user_thread_stop(struct bk__user_device *user)
{
	atomic_store(&user->ending, true);
	if (user->started) {
		/* The thread may wait for a server that reads no replies. */
		pthread_mutex_lock(&user->lock);
		shutdown(user->link.fd, SHUT_RDWR);
		shutdown(user->link.twin, SHUT_RDWR);
		pthread_mutex_unlock(&user->lock);
		bk__user_wake(user);
		pthread_join(user->thread, NULL);
	}
	if (user->wake >= 0) {
		bk__base_guard_tell_no_more(user->wake);
		close(user->wake);
	}
}
