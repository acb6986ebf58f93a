/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors of VFIO that are copied, handed over, closed and forked, also by several threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "wrap_kit.h"

enum { TRAP = 0x11223344 };

static int trapped(void)
{
	kit.traps[0] = "bar0+0/4:const=0x11223344";
	return kit_open();
}

/* ---- Copies ------------------------------------------------------------ */

static void every_copy_is_the_same_device(void **state)
{
	const int fd = trapped();
	int copies[6];

	copies[0] = dup(fd);
	copies[1] = dup2(fd, 300);
	copies[2] = dup3(fd, 3000, O_CLOEXEC); /* in another part of the table */
	copies[3] = fcntl(fd, F_DUPFD, 400);
	copies[4] = fcntl(fd, F_DUPFD_CLOEXEC, 400);
	copies[5] = fcntl64(fd, F_DUPFD, 0);
	assert_int_equal(kit.opened, 1);
	close(fd);
	for (unsigned i = 0; i < 6; i++) {
		assert_true(copies[i] >= 0);
		assert_int_equal(kit_read(copies[i], 0, 0), TRAP);
		assert_int_equal(kit.closed, 0);
		assert_int_equal(close(copies[i]), 0);
		assert_int_equal(close(copies[i]), -1);
		assert_int_equal(errno, EBADF);
	}
	assert_int_equal(kit.closed, 1);
}

static void a_copy_over_a_device_ends_that(void **state)
{
	const int fd = trapped(), other = open("/dev/null", O_RDWR);
	char byte;

	assert_int_equal(dup2(other, fd), fd);
	assert_int_equal(kit.closed, 1);
	assert_null(bk__wrap_find(fd));
	assert_int_equal(pread(fd, &byte, 1, 0), 0);
	assert_int_equal(dup2(other, other), other);
	close(fd);
	close(other);
}

static void a_device_over_itself_stays(void **state)
{
	const int fd = trapped();

	assert_int_equal(dup2(fd, fd), fd);
	assert_int_equal(dup3(fd, fd, 0), -1);
	assert_int_equal(kit_read(fd, 0, 0), TRAP);
	close(fd);
}

static void ranges_are_closed_but_for_the_librarys_own(void **state)
{
	const int fd = trapped(), copy = dup2(fd, 600), own = bk__wrap_find(fd)->device->fd;
	int null = open("/dev/null", O_RDWR);

	assert_int_equal(dup2(null, 601), 601);
	assert_int_equal(close_range(600, 700, 4 /* CLOSE_RANGE_CLOEXEC */), 0);
	assert_int_equal(kit_read(copy, 0, 0), TRAP);
	assert_int_equal(close_range(600, 700, 0), 0);
	assert_int_equal(fcntl(601, F_GETFD), -1);
	assert_int_equal(kit_read(fd, 0, 0), TRAP);
	/* Its own is between what is closed on both sides. */
	assert_int_equal(dup2(null, own + 1), own + 1);
	assert_int_equal(dup2(null, own - 1), own - 1);
	assert_int_equal(close_range((unsigned)own - 1, (unsigned)own + 1, 0), 0);
	assert_int_equal(fcntl(own - 1, F_GETFD), -1);
	assert_int_equal(fcntl(own + 1, F_GETFD), -1);
	assert_true(bk__wrap_real.fcntl(own, F_GETFD, NULL) >= 0);
	assert_int_equal(close(own), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(dup2(null, own), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(kit_read(fd, 0, 0), TRAP);
	closefrom(null < fd ? null : fd);
	assert_int_equal(kit.closed, 1);
	assert_int_equal(fcntl(null, F_GETFD), -1);
	assert_int_equal(close_range(7, 6, 0), -1);
}

static void a_number_is_nobodys_after_the_close(void **state)
{
	const int fd = trapped();
	char byte = 1;
	int null;

	close(fd);
	null = bk__wrap_real.open("/dev/zero", O_RDONLY, 0);
	assert_int_equal(bk__wrap_real.dup2(null, fd), fd);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 0);
	close(null);
	close(fd);
}

/* ---- Sockets ----------------------------------------------------------- */

static void send_fds(int over, const int *fds, unsigned count, bool many)
{
	char data = 'x', room[256] = { 0 };
	struct iovec part = { &data, 1 };
	struct mmsghdr message = { .msg_hdr = { .msg_iov = &part,
						.msg_iovlen = 1,
						.msg_control = room,
						.msg_controllen = CMSG_SPACE(count * sizeof(int)) } };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message.msg_hdr);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(head), fds, count * sizeof(int));
	assert_int_equal(many ? sendmmsg(over, &message, 1, 0) : (int)sendmsg(over, &message.msg_hdr, 0), 1);
}

static int receive_fd(int over, bool many)
{
	char data, room[256] = { 0 };
	struct iovec part = { &data, 1 };
	struct mmsghdr message = { .msg_hdr = { .msg_iov = &part,
						.msg_iovlen = 1,
						.msg_control = room,
						.msg_controllen = sizeof(room) } };
	int fd;

	assert_int_equal(
		many ? recvmmsg(over, &message, 1, 0, NULL) : (int)recvmsg(over, &message.msg_hdr, 0), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message.msg_hdr)), sizeof(fd));
	return fd;
}

static void descriptors_that_come_over_a_socket_are_found(void **state)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	kit.traps[0] = "bar0+0/4:const=0x11223344";
	for (unsigned many = 0; many < 2; many++) {
		const int group = fake_vfio_open("/dev/vfio/7", O_RDWR, 0);
		const int device = fake_vfio_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
		int got;

		send_fds(pair[0], &device, 1, many);
		got = receive_fd(pair[1], many);
		assert_int_equal(kit.opened, 1 + 2 * many);
		assert_int_equal(kit_read(got, 0, 0), TRAP);
		close(got);
		send_fds(pair[0], &group, 1, many);
		got = receive_fd(pair[1], many);
		assert_int_equal(bk__wrap_kind_of(bk__wrap_find(got)), BK__WRAP_GROUP);
		close(ioctl(got, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0"));
		assert_int_equal(kit.opened, 2 + 2 * many);
		close(got);
		bk__wrap_real.close(group);
		bk__wrap_real.close(device);
	}
	close(pair[0]);
	close(pair[1]);
}

static void a_device_that_goes_over_a_socket_is_told(void **state)
{
	const int fd = trapped();
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	send_fds(pair[0], &(int){ STDERR_FILENO }, 1, false);
	assert_int_equal(kit.lines, 0);
	send_fds(pair[0], &fd, 1, false);
	assert_int_equal(kit.lines, 1);
	assert_non_null(strstr(kit.line, "sent to another process"));
	close(pair[0]);
	close(pair[1]);
	close(fd);
}

/* ---- Forks ------------------------------------------------------------- */

/* What the child says by its exit status. */
static int child_says(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#ifndef __SANITIZE_THREAD__ /* which starts no thread in a child, and makes a fork of a vfork */
static void a_child_goes_on_with_its_parents_device(void **state)
{
	const int fd = trapped();
	pid_t child;

	assert_int_equal(kit_read(fd, 0, 0), TRAP);
	child = fork();
	if (!child) {
		int other;

		if (kit_read(fd, 0, 0) != TRAP)
			_exit(1);
		other = kit_open_named("/dev/vfio/8", "0000:02:00.0"); /* and with its own */
		if (other < 0 || kit_read(other, 0, 0) != TRAP || close(other) || kit.closed != 1)
			_exit(2);
		if (close(fd) || kit.closed != 1)
			_exit(3);
		_exit(42);
	}
	assert_int_equal(child_says(child), 42);
	assert_int_equal(kit_read(fd, 0, 0), TRAP);
	close(fd);
}

/* As jails of pid namespaces are entered: fork's handlers are not called. */
static void a_child_by_the_raw_system_call_has_a_table_of_its_own(void **state)
{
	const int fd = trapped();
	const pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	if (!child) {
		int other;

		if (kit_read(fd, 0, 0) != TRAP || close(fd) || bk__wrap_find(fd) || kit.closed)
			_exit(1);
		other = bk__wrap_real.open("/dev/null", O_RDWR, 0);
		if (dup2(other, fd) != fd || write(fd, "x", 1) != 1)
			_exit(2);
		_exit(42);
	}
	assert_int_equal(child_says(child), 42);
	assert_int_equal(kit_read(fd, 0, 0), TRAP);
	close(fd);
}

/* Such a child shares its parent's memory, and closes descriptors of its own. */
static void a_child_of_vfork_changes_nothing_of_its_parents(void **state)
{
	const int fd = trapped();
	volatile int result = -1;
	const pid_t child = vfork();

	if (!child) {
		result = close(fd);
		dup2(STDERR_FILENO, fd);
		close_range(3, 4000, 0);
		_exit(42);
	}
	assert_int_equal(child_says(child), 42);
	assert_int_equal(result, 0);
	assert_int_equal(kit.closed, 0);
	assert_int_equal(kit_read(fd, 0, 0), TRAP);
	close(fd);
}

static int close_all(void *opaque)
{
	close_range(3, 4000, 0);
	_exit(fcntl(*(int *)opaque, F_GETFD) < 0 ? 42 : 1);
}

/* As QEMU tears down asynchronously: the memory is shared for as long as both live. */
static void a_child_that_shares_memory_changes_nothing_of_its_parents(void **state)
{
	static _Alignas(16) char stack[65536];
	int fd = trapped();
	const pid_t child = clone(close_all, stack + sizeof(stack), CLONE_VM | SIGCHLD, &fd);

	assert_int_equal(child_says(child), 42);
	assert_int_equal(kit.closed, 0);
	assert_int_equal(kit_read(fd, 0, 0), TRAP);
	close(fd);
}
#endif

struct racing {
	pthread_t threads[2];
	int fd;
	bool stop; /* atomic */
	unsigned wrong, right;
};

static void race_start(struct racing *r, void *(*run)(void *opaque))
{
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&r->threads[i], NULL, run, r);
}

/* Not before one of them was right. */
static void race_end(struct racing *r)
{
	while (!__atomic_load_n(&r->right, __ATOMIC_RELAXED))
		sched_yield();
	__atomic_store_n(&r->stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(r->threads[i], NULL);
	assert_int_equal(r->wrong, 0);
	close(r->fd);
}

static void *read_on(void *opaque)
{
	struct racing *r = opaque;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		uint32_t value = 0;

		if (pread(r->fd, &value, 4, 0) == 4)
			__atomic_fetch_add(value == TRAP ? &r->right : &r->wrong, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void forks_while_others_access_lose_nobody(void **state)
{
	struct racing r = { .fd = trapped() };

	race_start(&r, read_on);
	for (unsigned i = 0; i < 30; i++) {
		const pid_t child = fork();

		if (!child)
			_exit(kit_read(r.fd, 0, 0) == TRAP ? 42 : 1);
		assert_int_equal(child_says(child), 42);
	}
	race_end(&r);
}

/* ---- Races ------------------------------------------------------------- */

static void replace_often(const struct racing *r)
{
	for (unsigned i = 0; i < 200; i++) {
		const int fd = kit_open();

		assert_int_equal(dup2(fd, r->fd), r->fd);
		close(fd);
	}
}

/* Others take the number of what is read: an access finds the trap of one of them, never the registers below.
 */
static void devices_that_come_and_go_under_accesses_show_no_register(void **state)
{
	struct racing r = { .fd = trapped() };

	race_start(&r, read_on);
	replace_often(&r);
	race_end(&r);
	assert_int_equal(kit.opened, 201);
	assert_int_equal(kit.closed, 201);
}

static void *open_and_close(void *opaque)
{
	for (unsigned i = 0; i < 100; i++) {
		const int fd = kit_open(), copy = dup(fd);

		if (fd < 0 || copy < 0 || kit_read(copy, 0, 0) != TRAP || close(fd) ||
		    kit_read(copy, 0, 4) != kit_pattern(4) || close(copy))
			*(unsigned *)opaque = 1;
	}
	return NULL;
}

static void several_threads_open_and_close_devices(void **state)
{
	pthread_t threads[3];
	unsigned wrong = 0;

	kit.traps[0] = "bar0+0/4:const=0x11223344";
	for (unsigned i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, open_and_close, &wrong);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(wrong, 0);
	assert_int_equal(kit.opened, 300);
}

/* Another thread closes the descriptor, whose number is another file's then, when the request is found to be
 * for a device and before the kernel has it. */
static struct {
	int fd; /* -1: not now */
	int (*ioctl)(int fd, unsigned long request, void *argument);
} closing;

static void *close_and_reuse(void *unused)
{
	const int fd = closing.fd, other = open("/dev/null", O_RDWR);

	if (close(fd) || dup2(other, fd) != fd || close(other))
		abort();
	return NULL;
}

static int ioctl_late(int fd, unsigned long request, void *argument)
{
	pthread_t thread;

	if (closing.fd >= 0) {
		pthread_create(&thread, NULL, close_and_reuse, NULL);
		pthread_join(thread, NULL);
		closing.fd = -1;
	}
	return closing.ioctl(fd, request, argument);
}

static void a_request_whose_descriptor_is_closed_reaches_its_device(void **state)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region = { .argsz = sizeof(region), .index = 2 };
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = VFIO_PCI_MSIX_IRQ_INDEX };
	const struct {
		unsigned long request;
		void *argument;
	} requests[] = {
		{ VFIO_DEVICE_GET_INFO, &info },
		{ VFIO_DEVICE_GET_REGION_INFO, &region },
		{ VFIO_DEVICE_GET_IRQ_INFO, &irq },
		{ VFIO_DEVICE_RESET, NULL },
	};

	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const int fd = trapped();

		closing.fd = fd;
		closing.ioctl = bk__wrap_real.ioctl;
		bk__wrap_real.ioctl = ioctl_late;
		assert_int_equal(ioctl(fd, requests[i].request, requests[i].argument), 0);
		bk__wrap_real.ioctl = closing.ioctl;
		assert_int_equal(closing.fd, -1); /* it was in time */
		assert_int_equal(kit.closed, i + 1);
		assert_null(bk__wrap_find(fd));
		close(fd);
	}
	assert_true(info.num_regions && region.size && irq.count);
}

static void *ask_on(void *opaque)
{
	struct racing *r = opaque;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		struct vfio_region_info info = { .argsz = sizeof(info), .index = 2 };

		/* Of the kernel's own answer all can be mapped. */
		if (ioctl(r->fd, VFIO_DEVICE_GET_REGION_INFO, &info))
			__atomic_fetch_add(&r->wrong, 1, __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(info.argsz > sizeof(info) ? &r->right : &r->wrong, 1,
					   __ATOMIC_RELAXED);
	}
	return NULL;
}

static void requests_while_devices_come_and_go_know_the_traps(void **state)
{
	struct racing r = { 0 };
	struct vfio_region_info info = { .argsz = sizeof(info), .index = 2 };

	kit.traps[0] = "bar2+0/4:const=0x11223344";
	r.fd = kit_open();
	assert_int_equal(bk__wrap_real.ioctl(r.fd, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
	assert_int_equal(info.argsz, sizeof(info));
	race_start(&r, ask_on);
	replace_often(&r);
	race_end(&r);
}

/* ---- Forks and traps --------------------------------------------------- */

static void *come_and_go(void *opaque)
{
	struct racing *r = opaque;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		struct bk_trap_desc spec = { 0 };
		struct bk_trap *trap = NULL;
		struct bk_error err;

		bk__wrap_change_begin();
		if (bk__wrap_make_way(kit.last, 2, 0x1000, 4, &err) ||
		    bk_trap_parse("bar2+0x1000/4:const=7", &spec, &err) ||
		    bk_trap_add(kit.last, &spec, &trap, &err))
			abort();
		bk__wrap_change_end(kit.last);
		bk__wrap_change_begin();
		bk_trap_remove(trap);
		bk__wrap_change_end(kit.last);
		__atomic_fetch_add(&r->right, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* The child has no thread that would end a change that was under way. */
static void no_child_is_born_while_a_trap_comes(void **state)
{
	struct racing r = { .fd = trapped() };
	pthread_t thread;
	struct bk_error err;

	pthread_create(&thread, NULL, come_and_go, &r);
	while (!__atomic_load_n(&r.right, __ATOMIC_RELAXED))
		sched_yield();
	for (unsigned i = 0; i < 50; i++) {
		const pid_t child = fork();

		if (!child) {
			uint32_t value;

			bk__wrap_change_begin();
			if (bk__wrap_make_way(kit.last, 2, 0x2000, 4, &err))
				_exit(1);
			bk__wrap_change_end(NULL);
			value = kit_read(r.fd, 2, 0x1000);
			if (value != 7 && value != kit_pattern(0x1000))
				_exit(2);
			_exit(kit_read(r.fd, 0, 0) == TRAP ? 42 : 3);
		}
		assert_int_equal(child_says(child), 42);
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	close(r.fd);
}

/* ---- Limits ------------------------------------------------------------ */

static void without_a_descriptor_left_the_device_is_refused(void **state)
{
	struct rlimit before, limit;
	const int group = open("/dev/vfio/7", O_RDWR);
	int fd;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)group + 2; /* one for the device, none for ours */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, EPERM);
	assert_non_null(strstr(kit.line, "no descriptor is left"));
	close(group);
}

static void descriptors_that_are_not_vfios_are_the_kernels_alone(void **state)
{
	int pipes[2], null = open("/dev/null", O_RDWR);
	char byte = 'x';

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], &byte, 1), 1);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	assert_int_equal(ioctl(null, VFIO_DEVICE_GET_INFO, &byte),
			 -1); /* one of VFIO's requests on another's */
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(ioctl(-1, VFIO_DEVICE_RESET), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(read(-1, &byte, 1), -1);
	assert_int_equal(read(5000000, &byte, 1), -1);
	assert_int_equal(close(-1), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(dup(-1), -1);
	close(pipes[0]);
	close(pipes[1]);
	close(null);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_copy_is_the_same_device),
		TEST(a_copy_over_a_device_ends_that),
		TEST(a_device_over_itself_stays),
		TEST(ranges_are_closed_but_for_the_librarys_own),
		TEST(a_number_is_nobodys_after_the_close),
		TEST(descriptors_that_come_over_a_socket_are_found),
		TEST(a_device_that_goes_over_a_socket_is_told),
#ifndef __SANITIZE_THREAD__
		TEST(a_child_goes_on_with_its_parents_device),
		TEST(a_child_by_the_raw_system_call_has_a_table_of_its_own),
		TEST(a_child_of_vfork_changes_nothing_of_its_parents),
		TEST(a_child_that_shares_memory_changes_nothing_of_its_parents),
#endif
		TEST(forks_while_others_access_lose_nobody),
		TEST(devices_that_come_and_go_under_accesses_show_no_register),
		TEST(several_threads_open_and_close_devices),
		TEST(a_request_whose_descriptor_is_closed_reaches_its_device),
		TEST(requests_while_devices_come_and_go_know_the_traps),
		TEST(no_child_is_born_while_a_trap_comes),
		TEST(without_a_descriptor_left_the_device_is_refused),
		TEST(descriptors_that_are_not_vfios_are_the_kernels_alone),
	};

	return cmocka_run_group_tests(tests, kit_start, NULL);
}
