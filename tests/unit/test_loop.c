/* SPDX-License-Identifier: BSD-2-Clause */
/* The event loop. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
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

static void it_is_woken_once_a_wake(void **state)
{
	struct bk__base_loop *loop;
	struct epoll_event event = { .events = EPOLLIN };
	int outer = epoll_create1(0);

	assert_int_equal(bk__base_loop_create(&loop), 0);
	assert_int_equal(epoll_ctl(outer, EPOLL_CTL_ADD, bk__base_loop_fd(loop), &event), 0);
	assert_int_equal(epoll_wait(outer, &event, 1, 0), 0);
	bk__base_loop_wake(loop);
	bk__base_loop_wake(loop);
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
		cmocka_unit_test(it_is_woken_once_a_wake),
		cmocka_unit_test(what_cannot_be_waited_for_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
