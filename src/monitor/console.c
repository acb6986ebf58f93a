/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread moves bytes both ways between the descriptors and two rings.
 *
 * The thread fills the input ring even while the guest reads nothing, so that it sees the escape key when the
 * guest is stuck. It reopens descriptors with O_NONBLOCK where it can: the flag on the given ones would
 * affect whoever shares them, such as a shell.
 */
#include "monitor/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "monitor/terminal.h"

#define RING          0x4000u
#define BACKGROUND_MS 500  /* how often to look whether the terminal is ours again */
#define PATIENCE_MS   1000 /* how long output waits for a terminal that takes nothing */

#define ESCAPE 0x01 /* Ctrl-A */

static const char help[] = "\r\nCtrl-A x: end the run; Ctrl-A Ctrl-A: send Ctrl-A\r\n";

struct ring {
	uint8_t bytes[RING];
	unsigned first, count;
};

struct end {
	int fd;       /* -1: none, or closed by the other side */
	size_t chunk; /* bytes that a write after poll takes without blocking */
};

struct bk__monitor_console {
	const struct bk__monitor_console_ops *ops;
	void *opaque;
	int event;
	pthread_t thread;

	/* The thread's own. */
	struct end in;
	int listen;    /* a client that connects there gets both ends if they are free; -1: none */
	bool terminal; /* `in` is a terminal */
	bool escaped;  /* the last key was the escape key */
	struct ring input;

	pthread_mutex_t lock; /* protects what follows; only the thread writes `out.fd` */
	pthread_cond_t drained;
	struct end out;
	struct ring output;
	bool stalled; /* output waited in vain: drop it until there is room */
	bool closing;
};

/* ---- Rings ------------------------------------------------------------- */

static bool ring_put(struct ring *ring, uint8_t byte)
{
	if (ring->count == RING)
		return false;
	ring->bytes[(ring->first + ring->count++) % RING] = byte;
	return true;
}

/* How many bytes from the first on are contiguous. */
static size_t ring_piece(const struct ring *ring)
{
	return ring->count < RING - ring->first ? ring->count : RING - ring->first;
}

static void ring_drop(struct ring *ring, size_t count)
{
	ring->first = (ring->first + (unsigned)count) % RING;
	ring->count -= (unsigned)count;
}

/* ---- Descriptors ------------------------------------------------------- */

static void wake(struct bk__monitor_console *console)
{
	const uint64_t one = 1;
	ssize_t ignored = write(console->event, &one, sizeof(one));

	(void)ignored;
}

/* Our own descriptor for `fd`. A regular file is duplicated: its position is shared, and it never blocks. */
static int open_end(int fd, int flags, struct end *end)
{
	char path[32];
	struct stat stat;

	*end = (struct end){ -1, RING };
	if (fd < 0)
		return 0;
	if (fstat(fd, &stat) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!S_ISREG(stat.st_mode) && !(fcntl(fd, F_GETFL) & O_NONBLOCK))
		end->fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (end->fd < 0) {
		end->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		end->chunk = S_ISREG(stat.st_mode) || fcntl(fd, F_GETFL) & O_NONBLOCK ? RING : 1;
	}
	return end->fd < 0 ? -errno : 0;
}

static void close_end(struct end *end)
{
	if (end->fd >= 0)
		close(end->fd);
	end->fd = -1;
}

/* A client of the listening socket leaves, or comes (pick_up). */
static void hang_up(struct bk__monitor_console *console)
{
	close_end(&console->in);
	pthread_mutex_lock(&console->lock);
	close_end(&console->out);
	ring_drop(&console->output, console->output.count);
	console->stalled = false;
	pthread_cond_broadcast(&console->drained);
	pthread_mutex_unlock(&console->lock);
}

static void pick_up(struct bk__monitor_console *console)
{
	const int fd = accept4(console->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	console->in = (struct end){ fd, RING };
	pthread_mutex_lock(&console->lock);
	console->out = (struct end){ fcntl(fd, F_DUPFD_CLOEXEC, 0), RING };
	pthread_mutex_unlock(&console->lock);
}

/* ---- Input ------------------------------------------------------------- */

static void send_help(struct bk__monitor_console *console)
{
	pthread_mutex_lock(&console->lock);
	for (const char *at = help; *at; at++)
		ring_put(&console->output, (uint8_t)*at);
	pthread_mutex_unlock(&console->lock);
}

static void key(struct bk__monitor_console *console, uint8_t byte)
{
	if (!console->terminal) {
		ring_put(&console->input, byte);
	} else if (!console->escaped) {
		console->escaped = byte == ESCAPE;
		if (!console->escaped)
			ring_put(&console->input, byte);
	} else {
		console->escaped = false;
		if (byte == ESCAPE)
			ring_put(&console->input, byte);
		else if (byte == 'x' || byte == 'X')
			console->ops->escape(console->opaque);
		else
			send_help(console);
	}
}

static void read_input(struct bk__monitor_console *console)
{
	uint8_t bytes[1024];
	size_t space = RING - console->input.count;
	ssize_t got = read(console->in.fd, bytes, space < sizeof(bytes) ? space : sizeof(bytes));

	for (ssize_t i = 0; i < got; i++)
		key(console, bytes[i]);
	/* End of input or a lasting error: the guest runs on without input. */
	if (!got || (got < 0 && errno != EINTR && errno != EAGAIN)) {
		if (console->listen >= 0)
			hang_up(console);
		else
			close_end(&console->in);
	}
}

static void give_input(struct bk__monitor_console *console)
{
	while (console->input.count) {
		size_t room = console->ops->room(console->opaque), piece = ring_piece(&console->input);

		if (!room)
			return;
		if (piece > room)
			piece = room;
		console->ops->input(console->opaque, console->input.bytes + console->input.first, piece);
		ring_drop(&console->input, piece);
	}
}

/* ---- Output ------------------------------------------------------------ */

static void write_output(struct bk__monitor_console *console)
{
	uint8_t bytes[RING];
	size_t count;
	ssize_t put;

	/* Only this thread takes bytes out: a copy of the first ones stays right without the lock. */
	pthread_mutex_lock(&console->lock);
	count = ring_piece(&console->output);
	if (count > console->out.chunk)
		count = console->out.chunk;
	memcpy(bytes, console->output.bytes + console->output.first, count);
	pthread_mutex_unlock(&console->lock);

	put = count ? write(console->out.fd, bytes, count) : 0;
	pthread_mutex_lock(&console->lock);
	if (put > 0) {
		ring_drop(&console->output, (size_t)put);
		console->stalled = false;
	}
	if (put < 0 && errno != EINTR && errno != EAGAIN) {
		/* A client that hung up is no error: reading finds it gone. */
		if (console->listen < 0)
			bk_log(BK_LOG_WARNING,
			       "console: it cannot be written, what the guest says is lost from now on: %s",
			       strerror(errno));
		close_end(&console->out);
		ring_drop(&console->output, console->output.count);
	}
	pthread_cond_broadcast(&console->drained);
	pthread_mutex_unlock(&console->lock);
}

/* ---- The thread -------------------------------------------------------- */

static void *run(void *opaque)
{
	struct bk__monitor_console *console = opaque;
	int64_t deadline = 0; /* of the last flush; 0 while not closing */

	bk__base_thread_enter("console");
	for (;;) {
		struct pollfd fds[4] = { { console->event, POLLIN, 0 },
					 { -1, POLLIN, 0 },
					 { -1, POLLOUT, 0 },
					 { -1, POLLIN, 0 } };
		int timeout = -1;
		uint64_t ignored;

		pthread_mutex_lock(&console->lock);
		if (console->output.count)
			fds[2].fd = console->out.fd;
		if (console->closing && !deadline)
			deadline = bk__base_now_ms() + PATIENCE_MS;
		pthread_mutex_unlock(&console->lock);

		if (deadline) {
			if (fds[2].fd < 0 || bk__base_now_ms() >= deadline)
				return NULL;
			timeout = (int)(deadline - bk__base_now_ms());
			timeout = timeout < 0 ? 0 : timeout;
		} else if (console->in.fd >= 0) {
			if (console->terminal && !bk__monitor_terminal_take())
				timeout = BACKGROUND_MS;
			else if (console->input.count < RING)
				fds[1].fd = console->in.fd;
		} else {
			fds[3].fd = console->listen;
		}
		if (poll(fds, 4, timeout) < 0)
			continue; /* EINTR: all four entries are valid */
		if (fds[0].revents && read(console->event, &ignored, sizeof(ignored)) < 0)
			continue;
		/* Another process may have taken the terminal meanwhile. */
		if (fds[1].revents && (!console->terminal || bk__monitor_terminal_take()))
			read_input(console);
		if (!deadline)
			give_input(console);
		if (fds[2].revents && console->out.fd >= 0)
			write_output(console);
		if (fds[3].revents)
			pick_up(console);
	}
}

/* ---- Calls ------------------------------------------------------------- */

/* The thread accepts the stop signals of job control. */
static int start(struct bk__monitor_console *console)
{
	static const int open[] = { SIGTTIN, SIGTTOU, 0 };

	return bk__base_thread_start(&console->thread, run, console, open);
}

static void destroy(struct bk__monitor_console *console)
{
	close_end(&console->in);
	close_end(&console->out);
	if (console->event >= 0)
		close(console->event);
	pthread_cond_destroy(&console->drained);
	pthread_mutex_destroy(&console->lock);
	free(console);
}

static struct bk__monitor_console *create(const struct bk__monitor_console_ops *ops, void *opaque)
{
	struct bk__monitor_console *console = calloc(1, sizeof(*console));

	if (!console)
		return NULL;
	console->ops = ops;
	console->opaque = opaque;
	console->in.fd = console->out.fd = console->listen = -1;
	pthread_mutex_init(&console->lock, NULL);
	bk__base_cond_init(&console->drained);
	console->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return console;
}

int bk__monitor_console_open(int in, int out, int listen, const struct bk__monitor_console_ops *ops,
			     void *opaque, struct bk__monitor_console **console, struct bk_error *err)
{
	struct bk__monitor_console *new = create(ops, opaque);
	int rc;

	if (!new)
		return bk_fail(err, ENOMEM, "console: out of memory");
	rc = new->event < 0 ? -errno : open_end(in, O_RDONLY, &new->in);
	if (!rc)
		rc = open_end(out, O_WRONLY, &new->out);
	if (rc) {
		destroy(new);
		return bk_fail(err, -rc, "console: cannot open its input and output: %s", strerror(-rc));
	}
	new->listen = listen;
	new->terminal = bk__monitor_terminal_is(new->in.fd);
	if (new->terminal) {
		rc = bk__monitor_terminal_open(new->in.fd, new->event, err);
		if (rc) {
			destroy(new);
			return rc;
		}
		bk__monitor_terminal_take();
	}
	rc = start(new);
	if (rc) {
		if (new->terminal)
			bk__monitor_terminal_close();
		destroy(new);
		return bk_fail(err, -rc, "console: cannot start a thread: %s", strerror(-rc));
	}
	*console = new;
	return 0;
}

void bk__monitor_console_poke(struct bk__monitor_console *console)
{
	wake(console);
}

void bk__monitor_console_output(struct bk__monitor_console *console, uint8_t byte)
{
	struct timespec until;
	bool idle;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_MS / 1000;
	pthread_mutex_lock(&console->lock);
	while (console->out.fd >= 0 && console->output.count == RING && !console->stalled)
		if (pthread_cond_timedwait(&console->drained, &console->lock, &until))
			console->stalled = true;
	idle = console->out.fd >= 0 && !console->output.count;
	if (console->out.fd >= 0)
		ring_put(&console->output, byte);
	pthread_mutex_unlock(&console->lock);
	if (idle)
		wake(console);
}

void bk__monitor_console_close(struct bk__monitor_console *console)
{
	if (!console)
		return;
	pthread_mutex_lock(&console->lock);
	console->closing = true;
	pthread_mutex_unlock(&console->lock);
	wake(console);
	pthread_join(console->thread, NULL);
	if (console->terminal)
		bk__monitor_terminal_close();
	destroy(console);
}
