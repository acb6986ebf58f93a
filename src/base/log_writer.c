/* SPDX-License-Identifier: BSD-2-Clause */
/* Log lines that never make their thread wait: a bounded queue, and a thread that writes it to a descriptor.
 */
#include "base/log_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"

#define QUEUE       0x100000u
#define PIECE       2048u /* with a carriage return a byte no more than PIPE_BUF: after poll no write waits */
#define LOOK_MS     100   /* how often a thread that waits for the descriptor looks whether it shall end */
#define PATIENCE_MS 2000  /* without progress: the descriptor is stuck */
#define END_S       10    /* for the thread to end, which it does at once unless its write waits */

static struct {
	bool running; /* by the owner only */
	int fd;
	pthread_t thread;
	pthread_mutex_t lock; /* of all below; never held over a system call that may wait */
	pthread_cond_t wanted, progress;
	char bytes[QUEUE];
	size_t first, count;
	uint64_t lost;    /* lines, since the last one that has room */
	uint64_t written; /* calls of write() that wrote something */
	bool writing;     /* a piece is on its way */
	bool closing;
	bool ended;
} writer = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- The queue --------------------------------------------------------- */

static void put(const char *bytes, size_t count)
{
	const size_t at = (writer.first + writer.count) % QUEUE,
		     head = QUEUE - at < count ? QUEUE - at : count;

	memcpy(writer.bytes + at, bytes, head);
	memcpy(writer.bytes, bytes + head, count - head);
	writer.count += count;
}

/* A line whole, or none of it. */
static bool put_line(const char *line)
{
	static const char prefix[] = "barkeep: ";
	const size_t length = strlen(line);

	if (sizeof(prefix) + length > QUEUE - writer.count)
		return false;
	put(prefix, sizeof(prefix) - 1);
	put(line, length);
	put("\n", 1);
	return true;
}

static void on_line(void *opaque, enum bk_log_level level, const char *line)
{
	(void)opaque;
	if (level > BK_LOG_WARNING)
		return;
	pthread_mutex_lock(&writer.lock);
	/* Later lines are lost, too, until a line says how many: so the order stays. */
	if (writer.lost || !put_line(line))
		writer.lost++;
	pthread_cond_signal(&writer.wanted);
	pthread_mutex_unlock(&writer.lock);
}

/* With half of the queue free, so that there is room for it. */
static void tell_lost(void)
{
	char line[128];

	snprintf(line, sizeof(line),
		 "%" PRIu64 " log lines are lost: they came faster than they could be written", writer.lost);
	(void)put_line(line);
	writer.lost = 0;
}

/* ---- The thread -------------------------------------------------------- */

static bool is_raw(void)
{
	struct termios mode;

	return !tcgetattr(writer.fd, &mode) && !((mode.c_oflag & OPOST) && (mode.c_oflag & ONLCR));
}

/* The next bytes as they are to be written; `to` has twice PIECE. With the lock held. */
static size_t take(char *to, bool raw)
{
	size_t taken = 0, made = 0;

	for (; taken < writer.count && taken < PIECE; taken++) {
		const char byte = writer.bytes[(writer.first + taken) % QUEUE];

		if (raw && byte == '\n')
			to[made++] = '\r';
		to[made++] = byte;
	}
	writer.first = (writer.first + taken) % QUEUE;
	writer.count -= taken;
	return made;
}

static bool is_closing(void)
{
	bool closing;

	pthread_mutex_lock(&writer.lock);
	closing = writer.closing;
	pthread_mutex_unlock(&writer.lock);
	return closing;
}

/* False if it must not be waited for any longer. */
static bool wait_for_room(void)
{
	struct pollfd fd = { .fd = writer.fd, .events = POLLOUT };

	while (poll(&fd, 1, LOOK_MS) <= 0)
		if (is_closing())
			return false;
	return true;
}

static void tell_progress(void)
{
	pthread_mutex_lock(&writer.lock);
	writer.written++;
	pthread_cond_broadcast(&writer.progress);
	pthread_mutex_unlock(&writer.lock);
}

static void write_piece(const char *bytes, size_t count)
{
	while (count && wait_for_room()) {
		const ssize_t n = write(writer.fd, bytes, count);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return; /* there is no one left to notify */
		if (n > 0) {
			bytes += n;
			count -= (size_t)n;
			tell_progress();
		}
	}
}

static void *run(void *opaque)
{
	char piece[2 * PIECE];

	bk__base_thread_enter("log");
	(void)opaque;
	pthread_mutex_lock(&writer.lock);
	for (;;) {
		size_t count;
		bool raw;

		if (writer.lost && writer.count < QUEUE / 2)
			tell_lost();
		if (!writer.count) {
			if (writer.closing)
				break;
			pthread_cond_wait(&writer.wanted, &writer.lock);
			continue;
		}
		writer.writing = true;
		pthread_mutex_unlock(&writer.lock);
		raw = is_raw();
		pthread_mutex_lock(&writer.lock);
		count = take(piece, raw);
		pthread_mutex_unlock(&writer.lock);
		write_piece(piece, count);
		pthread_mutex_lock(&writer.lock);
		writer.writing = false;
		pthread_cond_broadcast(&writer.progress);
	}
	writer.ended = true;
	pthread_cond_broadcast(&writer.progress);
	pthread_mutex_unlock(&writer.lock);
	return NULL;
}

/* ---- Calls ------------------------------------------------------------- */

int bk__base_log_start(int fd)
{
	int error;

	if (writer.running)
		return -EBUSY;
	bk__base_cond_init(&writer.progress);
	bk__base_cond_init(&writer.wanted);
	writer.fd = fd;
	writer.first = writer.count = 0;
	writer.lost = writer.written = 0;
	writer.writing = writer.closing = writer.ended = false;
	error = bk__base_thread_start(&writer.thread, run, NULL, NULL);
	if (error)
		return error;
	writer.running = true;
	bk_log_set(on_line, NULL);
	return 0;
}

/* Lines are lost only while the queue is more than half full. */
static bool is_idle(void)
{
	return !writer.count && !writer.writing;
}

/* With the lock held. */
static bool drain(void)
{
	while (!is_idle()) {
		const uint64_t before = writer.written;
		struct timespec until;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += PATIENCE_MS / 1000;
		while (!is_idle() && writer.written == before)
			if (pthread_cond_timedwait(&writer.progress, &writer.lock, &until))
				return false;
	}
	return true;
}

bool bk__base_log_flush(void)
{
	struct pollfd fd = { .fd = writer.fd, .events = POLLOUT };
	bool drained;

	if (!writer.running)
		return true;
	pthread_mutex_lock(&writer.lock);
	drained = drain();
	pthread_mutex_unlock(&writer.lock);
	return drained && poll(&fd, 1, PATIENCE_MS) > 0;
}

void bk__base_log_stop(void)
{
	struct timespec until;
	bool ended;

	if (!writer.running || writer.closing) /* or its thread did not end, and is left alone */
		return;
	pthread_mutex_lock(&writer.lock);
	drain();
	writer.closing = true;
	pthread_cond_signal(&writer.wanted);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += END_S;
	while (!writer.ended && !pthread_cond_timedwait(&writer.progress, &writer.lock, &until))
		;
	ended = writer.ended;
	pthread_mutex_unlock(&writer.lock);
	bk_log_set(NULL, NULL);
	/* It waits in a write that somebody else's output has made a wait: its memory stays, and it may. */
	if (!ended) {
		pthread_detach(writer.thread);
		return;
	}
	pthread_join(writer.thread, NULL);
	pthread_cond_destroy(&writer.wanted);
	pthread_cond_destroy(&writer.progress);
	writer.running = false;
}
