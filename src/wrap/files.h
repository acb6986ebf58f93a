/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of file descriptors, which is read without a lock.
 *
 * A file is one open file as the kernel has it; several descriptors may refer
 * to it. Files are never freed, only reused, so a thread that has just found one may still look at it.
 */
#ifndef BARKEEP_WRAP_FILE_H
#define BARKEEP_WRAP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bk__wrap_kind {
	BK__WRAP_NONE,
	BK__WRAP_OTHER,   /* VFIO's or iommufd's; its calls go through unchanged */
	BK__WRAP_GROUP,   /* gives devices by name */
	BK__WRAP_CDEV,    /* a device that is not bound to an iommufd yet */
	BK__WRAP_DEVICE,  /* mediated */
	BK__WRAP_REFUSED, /* a device that could not be mediated: all access fails */
	BK__WRAP_VM,      /* KVM's */
	BK__WRAP_VCPU,    /* one of its vCPUs */
	BK__WRAP_PRIVATE, /* this library's own: the program cannot close it */
};

struct bk__wrap_device;

struct bk__wrap_file {
	enum bk__wrap_kind kind;        /* atomic: a CDEV becomes a DEVICE or REFUSED */
	unsigned fds;                   /* atomic */
	unsigned mediated;              /* atomic; bit n: accesses to region n are not for the kernel alone */
	struct bk__wrap_device *device; /* of a DEVICE; stays in the file for the next one */
	char name[64];                  /* of a CDEV: its PCI address */
	struct kvm_run *run;            /* of a VCPU, atomic: where the program has mapped it, or NULL */
	struct bk__wrap_file *vm;       /* of a VCPU; to be compared alone */
	int own;                        /* of a VM: a descriptor of this library's, or -1 */
	struct bk__wrap_file *next;     /* unused ones, under a lock */
};

enum { BK__WRAP_CHUNK = 1024, BK__WRAP_CHUNKS = 1024 };

extern struct bk__wrap_file **bk__wrap_chunks[BK__WRAP_CHUNKS];

/* NULL: nothing of ours. */
static inline struct bk__wrap_file *bk__wrap_find(int fd)
{
	struct bk__wrap_file **chunk;

	if (__builtin_expect((unsigned)fd >= BK__WRAP_CHUNK * BK__WRAP_CHUNKS, 0))
		return NULL;
	chunk = __atomic_load_n(&bk__wrap_chunks[(unsigned)fd / BK__WRAP_CHUNK], __ATOMIC_ACQUIRE);
	if (__builtin_expect(!chunk, 0))
		return NULL;
	return __atomic_load_n(&chunk[(unsigned)fd % BK__WRAP_CHUNK], __ATOMIC_ACQUIRE);
}

static inline enum bk__wrap_kind bk__wrap_kind_of(const struct bk__wrap_file *file)
{
	return __atomic_load_n(&file->kind, __ATOMIC_ACQUIRE);
}

enum { BK__WRAP_OFFSET_BITS = 40 }; /* region n is at n << 40 of the descriptor, in every kernel so far */

/* Might the library, not the kernel, have to answer an access at this offset of the descriptor? Regions
 * above 31, which no device has, may be mistaken for those below. */
static inline bool bk__wrap_file_mediates(const struct bk__wrap_file *file, int64_t at)
{
	return __atomic_load_n(&file->mediated, __ATOMIC_ACQUIRE) >> (at >> BK__WRAP_OFFSET_BITS & 31) & 1;
}

/* Nobody reaches it any more. */
static inline void bk__wrap_file_refuse(struct bk__wrap_file *file)
{
	__atomic_store_n(&file->mediated, ~0u, __ATOMIC_RELEASE);
	__atomic_store_n(&file->kind, BK__WRAP_REFUSED, __ATOMIC_RELEASE);
}

/* A file without descriptors; NULL when out of memory. */
struct bk__wrap_file *bk__wrap_file_create(enum bk__wrap_kind kind);
/* One that no descriptor has come to refer to. */
void bk__wrap_file_discard(struct bk__wrap_file *file);

/* From now on `fd` refers to the file. -ENOMEM, -EMFILE. */
int bk__wrap_file_add(int fd, struct bk__wrap_file *file);

/* The same for one more descriptor of it; -ESTALE if its last one was closed meanwhile. */
int bk__wrap_file_share(int fd, struct bk__wrap_file *file);

/* `fd` refers to nothing any more; the last one ends the device. Returns the file that it was, or NULL. Not
 * in a child of vfork, which closes its own descriptors and would change its parent's table. */
struct bk__wrap_file *bk__wrap_file_remove(int fd);

/* The smallest one that is >= fd and in the table, or -1. */
int bk__wrap_file_next(int fd);

/* The descriptor is this library's. */
void bk__wrap_keep_private(int fd);

/* True in a process whose memory is another's: a child of vfork. In one with a copy, which the program made
 * past fork's handlers (by the raw clone), what fork's handlers do is made up for. */
bool bk__wrap_is_borrowed(void);

/* To be called when the library starts. */
void bk__wrap_file_start(void);

#endif
