/* SPDX-License-Identifier: BSD-2-Clause */
/* The event loop. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/loop.h"

struct seen {
	struct bk__base_loop *loop;
	int fd, other;
	unsigned calls;
	bool leaves;
};

static void on_ready(void *opaque)
{
	struct seen *seen = opaque;
	uint64_t count;

	seen->calls++;
	if (read(seen->fd, &count, sizeof(count)) < 0)
		seen->calls += 1000;
	if (seen->leaves)
		bk__base_loop_remove(seen->loop, seen->fd);
	if (seen->other >= 0)
		bk__base_loop_remove(seen->loop, seen->other);
}

static void fire(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void a_fd_is_heard_until_it_is_removed(void **state)
{
	struct bk__base_loop *loop;
	struct seen seen = { .other = -1 };

	assert_int_equal(bk__base_loop_create(&loop), 0);
	seen.loop = loop;
	seen.fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(bk__base_loop_add(loop, seen.fd, on_ready, &seen), 0);
	assert_int_equal(bk__base_loop_add(loop, seen.fd, on_ready, &seen), -EEXIST);
	assert_int_equal(bk__base_loop_wait(loop, 0), 0);
	assert_int_equal(seen.calls, 0);
	fire(seen.fd);
	assert_int_equal(bk__base_loop_wait(loop, -1), 0);
	assert_int_equal(seen.calls, 1);
	seen.leaves = true;
	fire(seen.fd);
	assert_int_equal(bk__base_loop_wait(loop, -1), 0);
	fire(seen.fd);
	assert_int_equal(bk__base_loop_wait(loop, 0), 0);
	assert_int_equal(seen.calls, 2);
	bk__base_loop_remove(loop, seen.fd);
	bk__base_loop_destroy(loop);
	close(seen.fd);
}

/* Both are ready in one wait; whichever comes first removes the other. */
static void one_that_was_removed_is_not_called(void **state)
{
	struct bk__base_loop *loop;
	struct seen a = { 0 }, b = { 0 };

	assert_int_equal(bk__base_loop_create(&loop), 0);
	a.loop = b.loop = loop;
	a.fd = b.other = eventfd(0, EFD_NONBLOCK);
	b.fd = a.other = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(bk__base_loop_add(loop, a.fd, on_ready, &a), 0);
	assert_int_equal(bk__base_loop_add(loop, b.fd, on_ready, &b), 0);
	fire(a.fd);
	fire(b.fd);
	assert_int_equal(bk__base_loop_wait(loop, -1), 0);
	assert_int_equal(a.calls + b.calls, 1);
	bk__base_loop_destroy(loop);
	close(a.fd);
	close(b.fd);
}

static void count_call(void *opaque)
{
	++*(unsigned *)opaque;
}

/* One that waits for nothing does not even hear that its other side is gone. */
static void what_a_fd_waits_for_changes(void **state)
{
	struct bk__base_loop *loop;
	unsigned calls = 0;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(bk__base_loop_create(&loop), 0);
	assert_int_equal(bk__base_loop_change(loop, pair[0], POLLOUT), -ENOENT);
	assert_int_equal(bk__base_loop_add(loop, pair[0], count_call, &calls), 0);
	assert_int_equal(bk__base_loop_wait(loop, 0), 0);
	assert_int_equal(calls, 0);
	assert_int_equal(bk__base_loop_change(loop, pair[0], POLLOUT), 0);
	assert_int_equal(bk__base_loop_wait(loop, -1), 0);
	assert_int_equal(calls, 1);
	assert_int_equal(bk__base_loop_change(loop, pair[0], 0), 0);
	assert_int_equal(bk__base_loop_change(loop, pair[0], 0), 0);
	close(pair[1]);
	assert_int_equal(bk__base_loop_wait(loop, 0), 0);
	assert_int_equal(calls, 1);
	assert_int_equal(bk__base_loop_change(loop, pair[0], POLLIN), 0);
	assert_int_equal(bk__base_loop_wait(loop, -1), 0);
	assert_int_equal(calls, 2);
	assert_int_equal(bk__base_loop_change(loop, pair[0], 0), 0);
	bk__base_loop_remove(loop, pair[0]);
	assert_int_equal(bk__base_loop_change(loop, pair[0], POLLIN), -ENOENT);
	bk__base_loop_destroy(loop);
	close(pair[0]);
}

struct inner {
	struct bk__base_loop *loop;
	int fds[2];
	unsigned calls;
};

/* Two are ready in one wait. How often is one called? */
static unsigned calls_of_two(void (*ready)(void *opaque))
{
	struct inner inner = { .calls = 0 };

	assert_int_equal(bk__base_loop_create(&inner.loop), 0);
	for (int i = 0; i < 2; i++) {
		inner.fds[i] = eventfd(1, EFD_NONBLOCK);
		assert_int_equal(bk__base_loop_add(inner.loop, inner.fds[i], ready, &inner), 0);
	}
	assert_int_equal(bk__base_loop_wait(inner.loop, -1), 0);
	bk__base_loop_destroy(inner.loop);
	close(inner.fds[0]);
	close(inner.fds[1]);
	return inner.calls;
}

/* Of two that are ready, the one that is called first serves the other one, which removes both. */
static void on_nested(void *opaque)
{
	struct inner *inner = opaque;

	if (!inner->calls++) {
		assert_int_equal(bk__base_loop_change(inner->loop, inner->fds[0], 0), 0);
		assert_int_equal(bk__base_loop_change(inner->loop, inner->fds[1], 0), 0);
		assert_int_equal(bk__base_loop_wait(inner->loop, 0), 0);
		assert_int_equal(inner->calls, 1);
		assert_int_equal(bk__base_loop_change(inner->loop, inner->fds[1], POLLIN), 0);
		assert_int_equal(bk__base_loop_wait(inner->loop, -1), 0);
		assert_int_equal(inner->calls, 2);
		return;
	}
	bk__base_loop_remove(inner->loop, inner->fds[0]);
	bk__base_loop_remove(inner->loop, inner->fds[1]);
}

/* The outer wait still has the events of both. */
static void what_an_inner_wait_removes_is_not_called_by_the_outer(void **state)
{
	assert_int_equal(calls_of_two(on_nested), 2);
}

static void on_silencing(void *opaque)
{
	struct inner *inner = opaque;

	inner->calls++;
	for (int i = 0; i < 2; i++)
		assert_int_equal(bk__base_loop_change(inner->loop, inner->fds[i], 0), 0);
}

/* Both are ready in one wait; whichever comes first lets both wait for nothing. */
static void one_that_waits_for_nothing_is_not_called(void **state)
{
	assert_int_equal(calls_of_two(on_silencing), 1);
}

static void it_is_woken_once_a_wake(void **state)
{
	struct bk__base_loop *loop;
	struct epoll_event event = { .events = EPOLLIN };
	struct pollfd wake = { .events = POLLIN };
	int outer = epoll_create1(0);

	assert_int_equal(bk__base_loop_create(&loop), 0);
	wake.fd = bk__base_loop_wake_fd(loop);
	assert_int_equal(epoll_ctl(outer, EPOLL_CTL_ADD, bk__base_loop_fd(loop), &event), 0);
	assert_int_equal(epoll_wait(outer, &event, 1, 0), 0);
	assert_int_equal(poll(&wake, 1, 0), 0);
	bk__base_loop_wake(loop);
	bk__base_loop_wake(loop);
	assert_int_equal(poll(&wake, 1, 0), 1);
	assert_int_equal(epoll_wait(outer, &event, 1, 0), 1);
	assert_int_equal(bk__base_loop_wait(loop, -1), 1);
	assert_int_equal(bk__base_loop_wait(loop, 0), 0);
	bk__base_loop_destroy(loop);
	bk__base_loop_destroy(NULL);
	close(outer);
}

static void what_cannot_be_waited_for_is_refused(void **state)
{
	struct bk__base_loop *loop;

	assert_int_equal(bk__base_loop_create(&loop), 0);
	assert_int_equal(bk__base_loop_add(loop, -1, on_ready, NULL), -EBADF);
	bk__base_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fd_is_heard_until_it_is_removed),
		cmocka_unit_test(one_that_was_removed_is_not_called),
		cmocka_unit_test(what_a_fd_waits_for_changes),
		cmocka_unit_test(what_an_inner_wait_removes_is_not_called_by_the_outer),
		cmocka_unit_test(one_that_waits_for_nothing_is_not_called),
		cmocka_unit_test(it_is_woken_once_a_wake),
		cmocka_unit_test(what_cannot_be_waited_for_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
