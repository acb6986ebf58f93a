/* SPDX-License-Identifier: BSD-2-Clause */
/* The file or block device behind a disk. */
#include "virtio/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef BK_URING
#include <liburing.h>
#endif

enum { ENTRIES = 256, SECTOR = 512, ZEROS = 65536 };

struct bk__virtio_disk {
	int fd;
	uint64_t size;
	unsigned going;
	bool ring;
#ifdef BK_URING
	struct io_uring uring;
#endif
};

/* ---- Opening ----------------------------------------------------------- */

static int lock_file(int fd, const char *path, bool readonly, struct bk_error *err)
{
	struct flock lock = { .l_type = readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return bk_fail(err, errno, "%s: cannot be locked: %s", path, strerror(errno));
	return bk_fail(
		err, EBUSY,
		readonly ? "%s: another process writes to it; give it a copy, or end that process"
			 : "%s: another process uses it; end that process, or let both have it readonly",
		path);
}

static int find_size(int fd, const char *path, uint64_t *size, struct bk_error *err)
{
	struct stat about;

	if (fstat(fd, &about))
		return bk_fail(err, errno, "%s: %s", path, strerror(errno));
	if (S_ISREG(about.st_mode))
		*size = (uint64_t)about.st_size;
	else if (!S_ISBLK(about.st_mode))
		return bk_fail(err, EINVAL, "%s: neither a file nor a block device", path);
	else if (ioctl(fd, BLKGETSIZE64, size))
		return bk_fail(err, errno, "%s: its size cannot be read: %s", path, strerror(errno));
	if (*size % SECTOR)
		bk_log(BK_LOG_WARNING,
		       "%s: %" PRIu64
		       " bytes are not a multiple of %d; the guest does not see the last %" PRIu64,
		       path, *size, SECTOR, *size % SECTOR);
	*size -= *size % SECTOR;
	return *size ? 0 : bk_fail(err, EINVAL, "%s: it is smaller than a sector of %d bytes", path, SECTOR);
}

#ifdef BK_URING
/* A ring can do whatever a process can, past the filter of system calls of its thread: this one does no more
 * than what a disk needs. */
static bool open_ring(struct io_uring *ring)
{
	static const uint8_t operations[] = { IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
					      IORING_OP_FALLOCATE };
	struct io_uring_restriction only[sizeof(operations)] = { { 0 } };

	if (io_uring_queue_init(ENTRIES, ring, IORING_SETUP_R_DISABLED))
		return false;
	for (unsigned i = 0; i < sizeof(operations); i++) {
		only[i].opcode = IORING_RESTRICTION_SQE_OP;
		only[i].sqe_op = operations[i];
	}
	/* Not by functions of their own: the liburing of Debian 12 does not export them. */
	if (!io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, only,
			       sizeof(operations)) &&
	    !io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0))
		return true;
	io_uring_queue_exit(ring);
	return false;
}
#endif

int bk__virtio_disk_open(const char *path, bool readonly, struct bk__virtio_disk **result,
			 struct bk_error *err)
{
	struct bk__virtio_disk *disk = calloc(1, sizeof(*disk));
	int error;

	if (!disk)
		return bk_fail(err, ENOMEM, "%s: out of memory", path);
	/* Not blocking: it may be a FIFO. */
	disk->fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (disk->fd < 0) {
		error = errno;
		free(disk);
		return bk_fail(err, error,
			       error == EACCES && !readonly
				       ? "%s: cannot be opened for writing: %s; readonly needs less"
				       : "%s: cannot be opened: %s",
			       path, strerror(error));
	}
	error = find_size(disk->fd, path, &disk->size, err);
	if (!error)
		error = lock_file(disk->fd, path, readonly, err);
	if (error) {
		close(disk->fd);
		free(disk);
		return error;
	}
	fcntl(disk->fd, F_SETFL, fcntl(disk->fd, F_GETFL) & ~O_NONBLOCK);
#ifdef BK_URING
	disk->ring = open_ring(&disk->uring);
#endif
	*result = disk;
	return 0;
}

void bk__virtio_disk_plain(struct bk__virtio_disk *disk)
{
#ifdef BK_URING
	if (disk->ring)
		io_uring_queue_exit(&disk->uring);
#endif
	disk->ring = false;
}

void bk__virtio_disk_close(struct bk__virtio_disk *disk)
{
	if (!disk)
		return;
	bk__virtio_disk_plain(disk);
	close(disk->fd);
	free(disk);
}

uint64_t bk__virtio_disk_size(const struct bk__virtio_disk *disk)
{
	return disk->size;
}

const char *bk__virtio_disk_way(const struct bk__virtio_disk *disk)
{
	return disk->ring ? "io_uring" : "preadv and pwritev";
}

unsigned bk__virtio_disk_going(const struct bk__virtio_disk *disk)
{
	return disk->going;
}

/* ---- Without io_uring -------------------------------------------------- */

/* `count` bytes of the request are done. */
static void advance(struct bk__virtio_disk_request *request, uint64_t count)
{
	request->offset += count;
	request->length -= count;
	while (request->iov_count && count >= request->iov->iov_len) {
		count -= request->iov->iov_len;
		request->iov++;
		request->iov_count--;
	}
	if (count) {
		request->iov->iov_base = (uint8_t *)request->iov->iov_base + count;
		request->iov->iov_len -= (size_t)count;
	}
}

/* Reads or writes what is left. A file that has become shorter is an error. */
static int transfer(struct bk__virtio_disk *disk, struct bk__virtio_disk_request *request)
{
	while (request->length) {
		const off_t offset = (off_t)request->offset;
		const int count = (int)request->iov_count;
		const ssize_t n = request->kind == BK__VIRTIO_DISK_READ
					  ? preadv(disk->fd, request->iov, count, offset)
					  : pwritev(disk->fd, request->iov, count, offset);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n)
			return -EIO;
		if (n > 0)
			advance(request, (uint64_t)n);
	}
	return 0;
}

static int fallocate_mode(enum bk__virtio_disk_kind kind)
{
	return FALLOC_FL_KEEP_SIZE |
	       (kind == BK__VIRTIO_DISK_DISCARD ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

/* Where the file system has no other way. */
static int write_zeros(struct bk__virtio_disk *disk, struct bk__virtio_disk_request *request)
{
	static const uint8_t zeros[ZEROS];

	while (request->length) {
		const size_t count = request->length < ZEROS ? (size_t)request->length : ZEROS;
		const ssize_t n = pwrite(disk->fd, zeros, count, (off_t)request->offset);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n)
			return -EIO;
		if (n > 0) {
			request->offset += (uint64_t)n;
			request->length -= (uint64_t)n;
		}
	}
	return 0;
}

int bk__virtio_disk_now(struct bk__virtio_disk *disk, struct bk__virtio_disk_request *request)
{
	switch (request->kind) {
	case BK__VIRTIO_DISK_READ:
	case BK__VIRTIO_DISK_WRITE:
		return transfer(disk, request);
	case BK__VIRTIO_DISK_FLUSH:
		return fdatasync(disk->fd) ? -errno : 0;
	case BK__VIRTIO_DISK_DISCARD:
	case BK__VIRTIO_DISK_ZERO:
		break;
	}
	if (!fallocate(disk->fd, fallocate_mode(request->kind), (off_t)request->offset,
		       (off_t)request->length))
		return 0;
	if (errno != EOPNOTSUPP || request->kind == BK__VIRTIO_DISK_DISCARD)
		return -errno;
	return write_zeros(disk, request);
}

/* ---- With it ----------------------------------------------------------- */

#ifdef BK_URING
static bool start_ring(struct bk__virtio_disk *disk, struct bk__virtio_disk_request *request)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&disk->uring);

	if (!sqe) {
		bk__virtio_disk_submit(disk);
		sqe = io_uring_get_sqe(&disk->uring);
	}
	if (!sqe)
		return false;
	switch (request->kind) {
	case BK__VIRTIO_DISK_READ:
		io_uring_prep_readv(sqe, disk->fd, request->iov, request->iov_count, request->offset);
		break;
	case BK__VIRTIO_DISK_WRITE:
		io_uring_prep_writev(sqe, disk->fd, request->iov, request->iov_count, request->offset);
		break;
	case BK__VIRTIO_DISK_FLUSH:
		io_uring_prep_fsync(sqe, disk->fd, IORING_FSYNC_DATASYNC);
		break;
	case BK__VIRTIO_DISK_DISCARD:
	case BK__VIRTIO_DISK_ZERO:
		io_uring_prep_fallocate(sqe, disk->fd, fallocate_mode(request->kind), (off_t)request->offset,
					(off_t)request->length);
		break;
	}
	io_uring_sqe_set_data(sqe, request);
	disk->going++;
	return true;
}

/* `result` is what the kernel says. What it has left undone is done now, or fails again. */
static void finish(struct bk__virtio_disk *disk, struct bk__virtio_disk_request *request, int result)
{
	const bool moves = request->kind == BK__VIRTIO_DISK_READ || request->kind == BK__VIRTIO_DISK_WRITE;

	if (result == -EAGAIN || result == -EINTR || result == -EOPNOTSUPP) {
		request->error = bk__virtio_disk_now(disk, request);
	} else if (result >= 0 && moves) {
		advance(request, (uint64_t)result);
		request->error = transfer(disk, request);
	} else {
		request->error = result < 0 ? result : 0;
	}
}
#endif

bool bk__virtio_disk_start(struct bk__virtio_disk *disk, struct bk__virtio_disk_request *request)
{
#ifdef BK_URING
	if (disk->ring && start_ring(disk, request))
		return false;
#endif
	request->error = bk__virtio_disk_now(disk, request);
	return true;
}

void bk__virtio_disk_submit(struct bk__virtio_disk *disk)
{
#ifdef BK_URING
	/* An error is one of the whole ring, which is full or out of memory: later ones try again. */
	if (disk->ring && io_uring_sq_ready(&disk->uring))
		io_uring_submit(&disk->uring);
#endif
}

int bk__virtio_disk_fd(const struct bk__virtio_disk *disk)
{
#ifdef BK_URING
	return disk->ring ? disk->uring.ring_fd : -1;
#else
	return -1;
#endif
}

struct bk__virtio_disk_request *bk__virtio_disk_done(struct bk__virtio_disk *disk, bool wait)
{
#ifdef BK_URING
	struct bk__virtio_disk_request *request;
	struct io_uring_cqe *cqe = NULL;
	int error;

	if (!disk->going)
		return NULL;
	do {
		bk__virtio_disk_submit(disk);
		error = wait ? io_uring_wait_cqe(&disk->uring, &cqe) : io_uring_peek_cqe(&disk->uring, &cqe);
	} while (wait && (error == -EINTR || error == -EAGAIN));
	if (error || !cqe)
		return NULL;
	request = io_uring_cqe_get_data(cqe);
	finish(disk, request, cqe->res);
	io_uring_cqe_seen(&disk->uring, cqe);
	disk->going--;
	return request;
#else
	return NULL;
#endif
}
