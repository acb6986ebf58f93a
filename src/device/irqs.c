/* SPDX-License-Identifier: BSD-2-Clause */
/* The interrupts of a device in software, as VFIO gives them: eventfds, an INTx that masks itself, and a
 * thread for its end. */
#include "device/irqs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"

#define KEPT -2 /* instead of an eventfd: none is set, and the vector has fired */
#define LONG 1  /* seconds: after this, the lock's holder is waiting for a counter */

void bk__device_irqs_init(struct bk__device_irqs *irqs, const char *name)
{
	*irqs = (struct bk__device_irqs){ .name = name, .written = -1, .resample = -1, .wake = -1 };
	pthread_mutex_init(&irqs->lock, NULL);
	pthread_mutex_init(&irqs->written_lock, NULL);
}

int bk__device_irqs_open(struct bk__device_irqs *irqs)
{
	for (unsigned i = 0; i < BK_DEVICE_IRQS; i++) {
		irqs->fds[i] = malloc((irqs->count[i] + 1) * sizeof(int));
		if (!irqs->fds[i])
			return -ENOMEM;
		for (unsigned j = 0; j < irqs->count[i]; j++)
			irqs->fds[i][j] = -1;
	}
	return 0;
}

/* ---- Writing eventfds ---- */

static void set_written(struct bk__device_irqs *irqs, int fd)
{
	pthread_mutex_lock(&irqs->written_lock);
	irqs->written = fd;
	pthread_mutex_unlock(&irqs->written_lock);
}

/* Signals an eventfd. Does not wait if its counter is full, unless its owner fills it at that moment. Locked.
 */
static bool signal_fd(struct bk__device_irqs *irqs, int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
	uint64_t one = 1;
	bool ok;

	if (fd < 0 || poll(&poll_fd, 1, 0) != 1 || !(poll_fd.revents & POLLOUT))
		return false;
	set_written(irqs, fd);
	ok = write(fd, &one, sizeof(one)) == sizeof(one);
	set_written(irqs, -1);
	return ok;
}

/* Makes room in the counter for which a writer waits. */
static void empty_written(struct bk__device_irqs *irqs)
{
	uint64_t value;
	struct iovec vec = { &value, sizeof(value) };

	pthread_mutex_lock(&irqs->written_lock);
	if (irqs->written >= 0 && preadv2(irqs->written, &vec, 1, -1, RWF_NOWAIT) < 0)
		value = 0; /* there is room */
	pthread_mutex_unlock(&irqs->written_lock);
}

static void lock(struct bk__device_irqs *irqs)
{
	struct timespec until;

	if (!pthread_mutex_trylock(&irqs->lock))
		return;
	do {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += LONG;
		if (!pthread_mutex_timedlock(&irqs->lock, &until))
			return;
		empty_written(irqs);
	} while (true);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void wake(struct bk__device_irqs *irqs)
{
	uint64_t one = 1;

	while (write(irqs->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Locked. */
static void update_intx(struct bk__device_irqs *irqs)
{
	if (!irqs->on[BK_DEVICE_INTX] || !irqs->level || irqs->masked)
		return;
	irqs->masked = true;
	signal_fd(irqs, irqs->fds[BK_DEVICE_INTX][0]);
}

void bk__device_irqs_level(struct bk__device_irqs *irqs, bool level)
{
	lock(irqs);
	irqs->level = level;
	update_intx(irqs);
	pthread_mutex_unlock(&irqs->lock);
}

/* The host masks a vector of MSI-X without an eventfd, so it stays pending. */
static void fire(struct bk__device_irqs *irqs, unsigned index, unsigned vector)
{
	if (index == BK_DEVICE_MSIX && vector < irqs->count[index] && irqs->fds[index][vector] < 0)
		irqs->fds[index][vector] = KEPT;
	else if (vector >= irqs->count[index] || !signal_fd(irqs, irqs->fds[index][vector]))
		irqs->lost++;
}

bool bk__device_irqs_fire(struct bk__device_irqs *irqs, unsigned vector)
{
	bool message;

	lock(irqs);
	message = irqs->on[BK_DEVICE_MSIX] || irqs->on[BK_DEVICE_MSI];
	if (message)
		fire(irqs, irqs->on[BK_DEVICE_MSIX] ? BK_DEVICE_MSIX : BK_DEVICE_MSI, vector);
	pthread_mutex_unlock(&irqs->lock);
	return message;
}

bool bk__device_irqs_on(struct bk__device_irqs *irqs, unsigned index)
{
	bool on;

	lock(irqs);
	on = irqs->on[index];
	pthread_mutex_unlock(&irqs->lock);
	return on;
}

uint64_t bk__device_irqs_lost(struct bk__device_irqs *irqs)
{
	uint64_t lost;

	lock(irqs);
	lost = irqs->lost;
	pthread_mutex_unlock(&irqs->lock);
	return lost;
}

/* ---- The end of INTx ---- */

/* True once for each time the eventfd was written. Never blocks, though others may read it too; closes what
 * is not an eventfd, as it could be readable for ever. */
static bool end_of_interrupt(int *fd)
{
	uint64_t value;
	struct iovec vec = { &value, sizeof(value) };
	ssize_t n = preadv2(*fd, &vec, 1, -1, RWF_NOWAIT);

	if (n < 0 && errno == EOPNOTSUPP)
		n = read(*fd, &value, sizeof(value));
	if (n == sizeof(value))
		return true;
	if (n >= 0 || (errno != EAGAIN && errno != EINTR))
		close_fd(fd);
	return false;
}

static void *wait_for_end(void *opaque)
{
	struct bk__device_irqs *irqs = opaque;
	int resample = -1;

	bk__base_thread_enter("device");
	for (;;) {
		struct pollfd fds[2] = { { .fd = irqs->wake, .events = POLLIN },
					 { .fd = resample, .events = POLLIN } };
		uint64_t value;
		bool ended;

		if (poll(fds, 2, -1) < 0)
			continue;
		ended = fds[1].revents && end_of_interrupt(&resample);
		lock(irqs);
		if (irqs->stop) {
			pthread_mutex_unlock(&irqs->lock);
			break;
		}
		if (irqs->changed) {
			/* The old eventfd was for an interrupt that was turned off. */
			close_fd(&resample);
			resample = irqs->resample;
			irqs->resample = -1;
			irqs->changed = false;
		} else if (ended) {
			irqs->masked = false;
			update_intx(irqs);
		}
		if (fds[0].revents && read(irqs->wake, &value, sizeof(value)) < 0 && errno != EAGAIN)
			bk_log(BK_LOG_WARNING, "%s: cannot read an eventfd: %s", irqs->name, strerror(errno));
		pthread_mutex_unlock(&irqs->lock);
	}
	close_fd(&resample);
	return NULL;
}

/* Gives the thread an eventfd, or -1. Locked. */
static int set_resample(struct bk__device_irqs *irqs, int fd)
{
	int own = -1, r;

	if (fd < 0 && !irqs->started)
		return 0;
	if (fd >= 0) {
		own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (own < 0)
			return -errno;
	}
	if (!irqs->started) {
		irqs->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = irqs->wake < 0 ? -errno : bk__base_thread_start(&irqs->thread, wait_for_end, irqs, NULL);
		if (r) {
			close_fd(&irqs->wake);
			close_fd(&own);
			return r;
		}
		irqs->started = true;
	}
	close_fd(&irqs->resample);
	irqs->resample = own;
	irqs->changed = true;
	wake(irqs);
	return 0;
}

void bk__device_irqs_close(struct bk__device_irqs *irqs)
{

	if (irqs->started) {
		lock(irqs);
		irqs->stop = true;
		wake(irqs);
		pthread_mutex_unlock(&irqs->lock);
		pthread_join(irqs->thread, NULL);
	}
	close_fd(&irqs->resample);
	close_fd(&irqs->wake);
	for (unsigned i = 0; i < BK_DEVICE_IRQS; i++) {
		for (unsigned j = 0; irqs->fds[i] && j < irqs->count[i]; j++)
			close_fd(&irqs->fds[i][j]);
		free(irqs->fds[i]);
	}
	pthread_mutex_destroy(&irqs->written_lock);
	pthread_mutex_destroy(&irqs->lock);
}

/* ---- set_irqs ---- */

static void turn_off(struct bk__device_irqs *irqs, unsigned index)
{

	for (unsigned i = 0; i < irqs->count[index]; i++)
		close_fd(&irqs->fds[index][i]);
	irqs->on[index] = false;
	if (index == BK_DEVICE_INTX) {
		irqs->masked = false;
		set_resample(irqs, -1);
	}
}

static bool other_on(const struct bk__device_irqs *irqs, unsigned index)
{
	for (unsigned i = BK_DEVICE_INTX; i <= BK_DEVICE_MSIX; i++)
		if (i != index && index <= BK_DEVICE_MSIX && irqs->on[i])
			return true;
	return false;
}

static int trigger(struct bk__device_irqs *irqs, unsigned index, unsigned start, unsigned count,
		   const int *fds)
{
	int *own;

	if (!count) {
		if (fds)
			return -EINVAL;
		turn_off(irqs, index);
		return 0;
	}
	if (!fds) {
		if (!irqs->on[index])
			return -EINVAL;
		/* Fires them, as a test of the receivers (VFIO_IRQ_SET_DATA_NONE). */
		for (unsigned i = start; i < start + count; i++)
			signal_fd(irqs, irqs->fds[index][i]);
		return 0;
	}
	if (other_on(irqs, index))
		return -EINVAL;
	/* All or none: if one vector fails, the others stay as they were. */
	own = malloc(count * sizeof(*own));
	if (!own)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		own[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		if (fds[i] >= 0 && own[i] < 0) {
			int r = -errno;

			while (i--)
				close_fd(&own[i]);
			free(own);
			return r;
		}
	}
	for (unsigned i = 0; i < count; i++) {
		int *fd = &irqs->fds[index][start + i];
		const bool kept = *fd == KEPT;

		close_fd(fd);
		*fd = kept && own[i] < 0 ? KEPT : own[i];
		if (kept)
			signal_fd(irqs, own[i]);
	}
	free(own);
	irqs->on[index] = true;
	if (index == BK_DEVICE_INTX)
		update_intx(irqs);
	return 0;
}

static int set(struct bk__device_irqs *irqs, unsigned index, enum bk_device_irq_action action, unsigned start,
	       unsigned count, const int *fds)
{

	if (index >= BK_DEVICE_IRQS || start > irqs->count[index] || count > irqs->count[index] - start)
		return -EINVAL;
	if (action == BK_DEVICE_IRQ_TRIGGER)
		return trigger(irqs, index, start, count, fds);
	if (action != BK_DEVICE_IRQ_MASK && action != BK_DEVICE_IRQ_UNMASK)
		return -EINVAL;
	if (index != BK_DEVICE_INTX)
		return -ENOTTY;
	if (!irqs->on[index] || !count || (fds && action == BK_DEVICE_IRQ_MASK))
		return -EINVAL;
	if (fds)
		return set_resample(irqs, fds[0]);
	irqs->masked = action == BK_DEVICE_IRQ_MASK;
	update_intx(irqs);
	return 0;
}

int bk__device_irqs_set(struct bk__device_irqs *irqs, unsigned index, enum bk_device_irq_action action,
			unsigned start, unsigned count, const int *fds)
{
	int r;

	lock(irqs);
	r = set(irqs, index, action, start, count, fds);
	pthread_mutex_unlock(&irqs->lock);
	return r;
}
