/* SPDX-License-Identifier: BSD-2-Clause */
/* The file behind a disk on a host without io_uring, and one that does less than it is asked for, or fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "virtio/disk.h"

enum { SIZE = 1 << 20, SECTOR = 512 };

/* ---- The host ---------------------------------------------------------- */

static struct {
	int no_ring;      /* errno of io_uring_queue_init */
	int no_limits;    /* errno of io_uring_register */
	int no_fallocate; /* errno of fallocate */
	int error;        /* errno of the call after `after` others, and of all that follow; 0: none fails */
	unsigned after;
	size_t most;      /* bytes that one call moves; 0: all */
	bool interrupted; /* every second call */
	unsigned calls;
} host;

/* 0, or the errno with which the next call fails. */
static int next_call(void)
{
	const unsigned call = host.calls++;

	if (host.interrupted && !(call % 2))
		return EINTR;
	return call >= host.after ? host.error : 0;
}

static size_t most_of(size_t size)
{
	return host.most && size > host.most ? host.most : size;
}

#define FAIL(error) (errno = (error), -1)

ssize_t __real_preadv64(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int count, off_t offset)
{
	const int error = next_call();

	if (error)
		return FAIL(error);
	return host.most ? pread(fd, iov->iov_base, most_of(iov->iov_len), offset)
			 : __real_preadv64(fd, iov, count, offset);
}

ssize_t __real_pwrite64(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset)
{
	const int error = next_call();

	return error ? FAIL(error) : __real_pwrite64(fd, data, most_of(size), offset);
}

ssize_t __real_pwritev64(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int count, off_t offset)
{
	const int error = next_call();

	if (error)
		return FAIL(error);
	return host.most ? __real_pwrite64(fd, iov->iov_base, most_of(iov->iov_len), offset)
			 : __real_pwritev64(fd, iov, count, offset);
}

int __real_fallocate64(int fd, int mode, off_t offset, off_t size);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t size);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t size)
{
	return host.no_fallocate ? FAIL(host.no_fallocate) : __real_fallocate64(fd, mode, offset, size);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	return host.error ? FAIL(host.error) : __real_fdatasync(fd);
}

#ifdef BK_URING
int __real_io_uring_queue_init(unsigned entries, void *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, void *ring, unsigned flags);
int __wrap_io_uring_queue_init(unsigned entries, void *ring, unsigned flags)
{
	return host.no_ring ? -host.no_ring : __real_io_uring_queue_init(entries, ring, flags);
}

int __real_io_uring_register(unsigned fd, unsigned operation, const void *argument, unsigned count);
int __wrap_io_uring_register(unsigned fd, unsigned operation, const void *argument, unsigned count);
int __wrap_io_uring_register(unsigned fd, unsigned operation, const void *argument, unsigned count)
{
	return host.no_limits ? -host.no_limits : __real_io_uring_register(fd, operation, argument, count);
}
#endif

/* ---- A disk ------------------------------------------------------------ */

struct file {
	char path[64];
	int fd;
	struct bk__virtio_disk *disk;
};

static int set_up(void **state)
{
	struct file *file = calloc(1, sizeof(*file));
	struct bk_error err;

	memset(&host, 0, sizeof(host));
	host.no_ring = ENOSYS;
	strcpy(file->path, "/tmp/barkeep-disk-XXXXXX");
	file->fd = mkstemp(file->path);
	assert_true(file->fd >= 0);
	assert_int_equal(ftruncate(file->fd, SIZE), 0);
	assert_int_equal(bk__virtio_disk_open(file->path, false, &file->disk, &err), 0);
	*state = file;
	return 0;
}

static int tear_down(void **state)
{
	struct file *file = *state;

	bk__virtio_disk_close(file->disk);
	close(file->fd);
	unlink(file->path);
	free(file);
	return 0;
}

/* In three pieces, one of them empty. What the guest is told: 0 or an errno. */
static int move(struct file *file, enum bk__virtio_disk_kind kind, uint64_t offset, uint8_t *bytes,
		size_t size)
{
	struct iovec iov[] = { { bytes, 100 }, { bytes + 100, 0 }, { bytes + 100, size - 100 } };
	struct bk__virtio_disk_request request = {
		.kind = kind, .offset = offset, .length = size, .iov = iov, .iov_count = 3
	};

	host.calls = 0;
	assert_true(bk__virtio_disk_start(file->disk, &request));
	assert_int_equal(bk__virtio_disk_going(file->disk), 0);
	assert_null(bk__virtio_disk_done(file->disk, true));
	return -request.error;
}

static int simple(struct file *file, enum bk__virtio_disk_kind kind, uint64_t offset, uint64_t size)
{
	struct bk__virtio_disk_request request = { .kind = kind, .offset = offset, .length = size };

	host.calls = 0;
	assert_true(bk__virtio_disk_start(file->disk, &request));
	return -request.error;
}

static void fill(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
}

/* ---- Tests ------------------------------------------------------------- */

#ifdef BK_URING
static int lowest_descriptor(void)
{
	const int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

static void a_host_without_io_uring(void **state)
{
	struct file *file = *state;
	const int none[] = { ENOSYS, EPERM, ENOMEM, EMFILE };
	struct bk_error err;

	for (unsigned i = 0; i <= sizeof(none) / sizeof(none[0]); i++) {
		const int before = (bk__virtio_disk_close(file->disk), lowest_descriptor());

		/* The last has one whose calls cannot be limited. */
		host.no_ring = i < sizeof(none) / sizeof(none[0]) ? none[i] : 0;
		host.no_limits = EINVAL;
		assert_int_equal(bk__virtio_disk_open(file->path, false, &file->disk, &err), 0);
		assert_string_equal(bk__virtio_disk_way(file->disk), "preadv and pwritev");
		assert_int_equal(bk__virtio_disk_fd(file->disk), -1);
		assert_int_equal(lowest_descriptor(), before + 1); /* the file alone */
		assert_int_equal(simple(file, BK__VIRTIO_DISK_FLUSH, 0, 0), 0);
	}
}
#endif

static void calls_that_move_little(void **state)
{
	enum { BYTES = 8 * SECTOR };
	struct file *file = *state;
	uint8_t out[BYTES], in[BYTES];

	fill(out, BYTES);
	for (unsigned most = 0; most < 1000; most += 111) {
		host.most = most;
		host.interrupted = most % 2;
		memset(in, 0, BYTES);
		assert_int_equal(move(file, BK__VIRTIO_DISK_WRITE, most * SECTOR, out, BYTES), 0);
		assert_int_equal(move(file, BK__VIRTIO_DISK_READ, most * SECTOR, in, BYTES), 0);
		assert_memory_equal(in, out, BYTES);
	}
}

/* At the first call, in the middle, and when half of it has been done. */
static void a_host_that_fails(void **state)
{
	static const int errors[] = { EIO, ENOSPC, EDQUOT, ENODEV, EAGAIN };
	struct file *file = *state;
	uint8_t bytes[4 * SECTOR];

	fill(bytes, sizeof(bytes));
	host.most = 300;
	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		for (host.after = 0; host.after < 4; host.after++) {
			host.error = errors[i];
			assert_int_equal(move(file, BK__VIRTIO_DISK_READ, 0, bytes, sizeof(bytes)),
					 errors[i]);
			assert_int_equal(move(file, BK__VIRTIO_DISK_WRITE, 0, bytes, sizeof(bytes)),
					 errors[i]);
			assert_int_equal(simple(file, BK__VIRTIO_DISK_FLUSH, 0, 0), errors[i]);
		}
	/* It goes on when the host does. */
	host.error = 0;
	fill(bytes, sizeof(bytes));
	assert_int_equal(move(file, BK__VIRTIO_DISK_WRITE, 0, bytes, sizeof(bytes)), 0);
	assert_int_equal(move(file, BK__VIRTIO_DISK_READ, 0, bytes, sizeof(bytes)), 0);
}

static void the_end_of_the_file_is_an_error(void **state)
{
	struct file *file = *state;
	uint8_t bytes[4 * SECTOR] = { 0 };

	assert_int_equal(ftruncate(file->fd, SECTOR + 10), 0);
	assert_int_equal(move(file, BK__VIRTIO_DISK_READ, 0, bytes, SECTOR), 0);
	assert_int_equal(move(file, BK__VIRTIO_DISK_READ, SECTOR, bytes, SECTOR), EIO);
	assert_int_equal(move(file, BK__VIRTIO_DISK_READ, 100 * SECTOR, bytes, SECTOR), EIO);
}

static void zeros_where_the_file_system_has_none(void **state)
{
	enum { FIRST = 3 * SECTOR, BYTES = 200 * SECTOR };
	struct file *file = *state;
	uint8_t *bytes = malloc(BYTES);

	memset(bytes, 0xff, BYTES);
	assert_int_equal(pwrite(file->fd, bytes, BYTES, 0), BYTES);
	assert_int_equal(pwrite(file->fd, bytes, BYTES, BYTES), BYTES);
	host.no_fallocate = EOPNOTSUPP;
	host.most = 40000;
	host.interrupted = true;
	assert_int_equal(simple(file, BK__VIRTIO_DISK_ZERO, FIRST, BYTES), 0);
	assert_int_equal(pread(file->fd, bytes, BYTES, FIRST), BYTES);
	for (unsigned i = 0; i < BYTES; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_equal(pread(file->fd, bytes, 1, FIRST - 1), 1);
	assert_int_equal(bytes[0], 0xff);
	assert_int_equal(pread(file->fd, bytes, 1, FIRST + BYTES), 1);
	assert_int_equal(bytes[0], 0xff);
	host.interrupted = false;
	host.error = ENOSPC;
	host.after = 2;
	assert_int_equal(simple(file, BK__VIRTIO_DISK_ZERO, FIRST, BYTES), ENOSPC);
	assert_int_equal(simple(file, BK__VIRTIO_DISK_DISCARD, FIRST, BYTES), EOPNOTSUPP);
	host.no_fallocate = ENOSPC;
	assert_int_equal(simple(file, BK__VIRTIO_DISK_ZERO, FIRST, BYTES), ENOSPC);
	free(bytes);
}

/* As by `ulimit -f`. The command outlives the signal that comes with it. */
static void the_limit_of_files_is_an_error(void **state)
{
	struct file *file = *state;
	uint8_t bytes[4 * SECTOR] = { 0 };
	struct rlimit was, now;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	now = (struct rlimit){ 2 * SECTOR, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
	/* What is below the limit is written, then it is an error. */
	assert_int_equal(move(file, BK__VIRTIO_DISK_WRITE, 0, bytes, sizeof(bytes)), EFBIG);
	assert_int_equal(move(file, BK__VIRTIO_DISK_WRITE, 3 * SECTOR, bytes, SECTOR), EFBIG);
	assert_int_equal(move(file, BK__VIRTIO_DISK_WRITE, SECTOR, bytes, SECTOR), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
#ifdef BK_URING
		TEST(a_host_without_io_uring),
#endif
		TEST(calls_that_move_little),          TEST(a_host_that_fails),
		TEST(the_end_of_the_file_is_an_error), TEST(zeros_where_the_file_system_has_none),
		TEST(the_limit_of_files_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
