/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of descriptors. */
#include "wrap/files.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wrap/opened.h"
#include "wrap/kvm.h"
#include "wrap/real.h"
#include "wrap/wrap.h"

struct bk__wrap_file **bk__wrap_chunks[BK__WRAP_CHUNKS];

static pthread_mutex_t unused_lock = PTHREAD_MUTEX_INITIALIZER;
static struct bk__wrap_file *unused;
static pid_t owner; /* whose memory this is */

/* In a page that the kernel clears in every copy of this memory, however made. NULL: not supported.
 */
static unsigned *original;

struct bk__wrap_file *bk__wrap_file_create(enum bk__wrap_kind kind)
{
	struct bk__wrap_file *file;

	pthread_mutex_lock(&unused_lock);
	file = unused;
	if (file)
		unused = file->next;
	pthread_mutex_unlock(&unused_lock);
	if (!file)
		file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->name[0] = 0;
	file->fds = 0;
	__atomic_store_n(&file->mediated, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&file->kind, kind, __ATOMIC_RELEASE);
	return file;
}

void bk__wrap_file_discard(struct bk__wrap_file *file)
{
	__atomic_store_n(&file->kind, BK__WRAP_NONE, __ATOMIC_RELEASE);
	pthread_mutex_lock(&unused_lock);
	file->next = unused;
	unused = file;
	pthread_mutex_unlock(&unused_lock);
}

static struct bk__wrap_file **chunk_of(unsigned fd)
{
	struct bk__wrap_file ***at = &bk__wrap_chunks[fd / BK__WRAP_CHUNK], **now, **made;

	now = __atomic_load_n(at, __ATOMIC_ACQUIRE);
	if (now)
		return now;
	made = calloc(BK__WRAP_CHUNK, sizeof(*made));
	if (!made)
		return NULL;
	if (__atomic_compare_exchange_n(at, &now, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return made;
	free(made);
	return now;
}

static void release(struct bk__wrap_file *file)
{
	if (__atomic_sub_fetch(&file->fds, 1, __ATOMIC_ACQ_REL))
		return;
	if (file->kind == BK__WRAP_PRIVATE)
		return;
	if (file->kind == BK__WRAP_VM)
		bk__wrap_kvm_end(file);
	if (file->kind == BK__WRAP_DEVICE)
		bk__wrap_device_end(file); /* discards it when no thread is inside */
	else
		bk__wrap_file_discard(file);
}

/* The table's entry for `fd`; NULL with *error. */
static struct bk__wrap_file **place_of(int fd, int *error)
{
	struct bk__wrap_file **chunk;

	*error = -EMFILE;
	if ((unsigned)fd >= BK__WRAP_CHUNK * BK__WRAP_CHUNKS)
		return NULL;
	chunk = chunk_of((unsigned)fd);
	*error = chunk ? 0 : -ENOMEM;
	return chunk ? &chunk[(unsigned)fd % BK__WRAP_CHUNK] : NULL;
}

static void put(struct bk__wrap_file **place, struct bk__wrap_file *file)
{
	/* The old file's descriptor was closed behind our back. */
	struct bk__wrap_file *old = __atomic_exchange_n(place, file, __ATOMIC_ACQ_REL);

	if (old)
		release(old);
}

int bk__wrap_file_add(int fd, struct bk__wrap_file *file)
{
	int error;
	struct bk__wrap_file **place = place_of(fd, &error);

	if (!place)
		return error;
	__atomic_add_fetch(&file->fds, 1, __ATOMIC_ACQ_REL);
	put(place, file);
	return 0;
}

int bk__wrap_file_share(int fd, struct bk__wrap_file *file)
{
	int error;
	struct bk__wrap_file **place = place_of(fd, &error);
	unsigned fds = __atomic_load_n(&file->fds, __ATOMIC_ACQUIRE);

	if (!place)
		return error;
	do {
		if (!fds)
			return -ESTALE;
	} while (!__atomic_compare_exchange_n(&file->fds, &fds, fds + 1, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	put(place, file);
	return 0;
}

struct bk__wrap_file *bk__wrap_file_remove(int fd)
{
	struct bk__wrap_file *file = bk__wrap_find(fd);

	if (!file || bk__wrap_is_borrowed())
		return NULL;
	file = __atomic_exchange_n(
		&bk__wrap_chunks[(unsigned)fd / BK__WRAP_CHUNK][(unsigned)fd % BK__WRAP_CHUNK], NULL,
		__ATOMIC_ACQ_REL);
	if (file)
		release(file);
	return file;
}

int bk__wrap_file_next(int fd)
{
	for (unsigned at = fd < 0 ? 0 : (unsigned)fd; at < BK__WRAP_CHUNK * BK__WRAP_CHUNKS;) {
		struct bk__wrap_file **chunk =
			__atomic_load_n(&bk__wrap_chunks[at / BK__WRAP_CHUNK], __ATOMIC_ACQUIRE);

		if (!chunk) {
			at = (at / BK__WRAP_CHUNK + 1) * BK__WRAP_CHUNK;
			continue;
		}
		if (__atomic_load_n(&chunk[at % BK__WRAP_CHUNK], __ATOMIC_ACQUIRE))
			return (int)at;
		at++;
	}
	return -1;
}

void bk__wrap_keep_private(int fd)
{
	static struct bk__wrap_file file = { .kind = BK__WRAP_PRIVATE };

	if (fd >= 0)
		bk__wrap_file_add(fd, &file);
}

static void own_memory(void)
{
	owner = getpid();
	if (original)
		__atomic_store_n(original, 1, __ATOMIC_RELEASE);
}

static unsigned *cleared_in_copies(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *at = bk__wrap_real.mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	if (!madvise(at, page, MADV_WIPEONFORK)) /* since Linux 4.14 */
		return at;
	bk__wrap_real.munmap(at, page);
	return NULL;
}

/* True if two processes share this memory (vfork). A process made by other means than fork takes over its
 * copy.
 */
bool bk__wrap_is_borrowed(void)
{
	if (original && !__atomic_load_n(original, __ATOMIC_ACQUIRE)) {
		own_memory();
		bk__wrap_device_copied();
	}
	return owner && getpid() != owner;
}

static void before_fork(void)
{
	bk__wrap_change_begin(); /* first: a thread that maps a device takes this before it enters */
	bk__wrap_kvm_hold();     /* before devices: a thread that holds it may wait to enter one */
	bk__wrap_device_hold();
	pthread_mutex_lock(&unused_lock);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&unused_lock);
	bk__wrap_device_go_on(false);
	bk__wrap_kvm_go_on();
	bk__wrap_change_end(NULL);
}

static void in_child(void)
{
	own_memory();
	pthread_mutex_unlock(&unused_lock);
	bk__wrap_device_go_on(true);
	bk__wrap_kvm_go_on();
	bk__wrap_change_end(NULL);
}

void bk__wrap_file_start(void)
{
	original = cleared_in_copies();
	own_memory();
	pthread_atfork(before_fork, in_parent, in_child);
}
