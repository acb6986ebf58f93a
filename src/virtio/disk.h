/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file or block device behind a disk: requests that go on while others are made.
 *
 * By io_uring where the kernel has it; otherwise each request is done when it
 * is started. One thread at a time.
 */
#ifndef BK_VIRTIO_DISK_H
#define BK_VIRTIO_DISK_H

#include <sys/uio.h>

#include <barkeep/base.h>

struct bk__virtio_disk;

enum bk__virtio_disk_kind {
	BK__VIRTIO_DISK_READ,
	BK__VIRTIO_DISK_WRITE,
	BK__VIRTIO_DISK_FLUSH,
	BK__VIRTIO_DISK_DISCARD, /* gives blocks back */
	BK__VIRTIO_DISK_ZERO,    /* writes zeros, and keeps the blocks */
};

enum { BK__VIRTIO_DISK_IOV = 1024 };

struct bk__virtio_disk_request {
	enum bk__virtio_disk_kind kind;
	uint64_t offset, length; /* bytes; inside the disk */
	struct iovec *iov;       /* of reads and writes, `length` in all; changed */
	unsigned iov_count;      /* BK__VIRTIO_DISK_IOV at most */
	int error;               /* 0 or a negative errno, when it is done */
};

/*
 * Opens a raw image or a block device, and locks it: there is one writer, or
 * there are readers. The line says why not.
 */
int bk__virtio_disk_open(const char *path, bool readonly, struct bk__virtio_disk **disk,
			 struct bk_error *err);
void bk__virtio_disk_close(struct bk__virtio_disk *disk); /* nothing goes on; NULL is fine */

uint64_t bk__virtio_disk_size(const struct bk__virtio_disk *disk); /* bytes */
const char *bk__virtio_disk_way(const struct bk__virtio_disk *disk);

/* Starts a request. True if it is done already. */
bool bk__virtio_disk_start(struct bk__virtio_disk *disk, struct bk__virtio_disk_request *request);

/* Does it now: 0 or a negative errno. */
int bk__virtio_disk_now(struct bk__virtio_disk *disk, struct bk__virtio_disk_request *request);

/* Makes the kernel see what was started. */
void bk__virtio_disk_submit(struct bk__virtio_disk *disk);

/* How many go on. */
unsigned bk__virtio_disk_going(const struct bk__virtio_disk *disk);

/* Readable when one is done; -1 if all are when they are started. */
int bk__virtio_disk_fd(const struct bk__virtio_disk *disk);

/* One that is done; NULL if there is none. With `wait` it waits for one. */
struct bk__virtio_disk_request *bk__virtio_disk_done(struct bk__virtio_disk *disk, bool wait);

/* Does without io_uring from now on, for tests. Nothing goes on. */
void bk__virtio_disk_plain(struct bk__virtio_disk *disk);

#endif
