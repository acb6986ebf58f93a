/* SPDX-License-Identifier: BSD-2-Clause */
/* Moves of BARs whose pages are mapped into a guest: what the kernel takes to change its memory slots. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "parts.h"

enum { BARS = 384, BAR_SIZE = 65536, SAMPLES = 2000 };
static const uint64_t base = 0xc0000000;

struct guest {
	int vm;
	const char *failed; /* the first slot that the kernel refused */
	int error;
};

/* A region is one slot, which is its number: none here overlap. */
static void set_slot(struct guest *guest, const struct bk_flat *flat, uint64_t size)
{
	struct kvm_userspace_memory_region slot = {
		.slot = (uint32_t)(uintptr_t)bk_region_opaque(flat->region),
		.guest_phys_addr = flat->first,
		.memory_size = size,
		.userspace_addr = (uintptr_t)flat->memory->host,
	};

	if (ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &slot) && !guest->failed) {
		guest->error = errno;
		guest->failed = "a memory slot was refused";
	}
}

static void removed(void *opaque, const struct bk_flat *flat)
{
	set_slot(opaque, flat, 0);
}

static void added(void *opaque, const struct bk_flat *flat)
{
	set_slot(opaque, flat, flat->last - flat->first + 1);
}

static const struct bk_listener_ops slots = { .removed = removed, .added = added, .mapped_only = true };

static void skip(const char *why, int error)
{
	fprintf(stderr, "bench: move/384/kvm is left out: %s: %s\n", why, strerror(error));
}

static void measure(struct guest *guest, struct bk_domain *domain, struct bk_region **bars)
{
	static double samples[SAMPLES];
	uint64_t seed = 11, end = base + (uint64_t)BARS * BAR_SIZE;
	size_t bar = 0;
	double sum = 0, stop;
	size_t count = 0;

	bench_pin(1);
	stop = bench_now(BENCH_WALL) + 2e9;
	for (; count < SAMPLES && bench_now(BENCH_WALL) < stop; count++) {
		struct bk_update *update = bk_update_begin(domain);
		uint64_t first;
		double start;

		if (count % 2 == 0)
			bar = bench_random(&seed) % BARS;
		first = count % 2 ? base + bar * BAR_SIZE : end;
		start = bench_now(BENCH_WALL);
		bk_update_move(update, bars[bar], first, first + BAR_SIZE - 1);
		if (bk_update_commit(update, NULL))
			die("a move failed");
		samples[count] = bench_now(BENCH_WALL) - start;
		sum += samples[count];
	}
	if (guest->failed) {
		skip(guest->failed, guest->error);
		return;
	}
	bench_print("move/384/kvm", "ns", sum / (double)count, 0, 0);
	bench_print("move/384/kvm/p99", "ns", bench_quantile(samples, count, 0.99), 0, 0);
}

static void with_guest(struct guest *guest, void *memory)
{
	struct bk_domain *domain;
	struct bk_space *space;
	struct bk_update *update;
	struct bk_listener *listener;
	struct bk_region *bars[BARS];

	bench_pin_nowhere();
	domain = bk_domain_create();
	space = domain ? bk_space_create(domain, "memory", UINT64_MAX) : NULL;
	update = space ? bk_update_begin(domain) : NULL;
	if (!update)
		die("no memory");
	for (size_t i = 0; i < BARS; i++) {
		struct bk_region_desc desc = {
			.name = "bar",
			.first = base + i * BAR_SIZE,
			.last = base + (i + 1) * BAR_SIZE - 1,
			.rank = i,
			.kind = BK_REGION_MAPPED,
			.opaque = (void *)i,
			.memory = { .host = memory, .fd = -1, .attributes = BK_MEMORY_RAM },
		};

		bk_update_add(update, space, &desc, &bars[i]);
	}
	if (bk_update_commit(update, NULL) || bk_listener_add(space, &slots, guest, &listener))
		die("no memory");
	if (guest->failed)
		skip(guest->failed, guest->error);
	else
		measure(guest, domain, bars);
	bk_listener_remove(listener);
	bk_space_destroy(space);
	bk_domain_destroy(domain);
}

void kvm_moves(void)
{
	struct guest guest = { .vm = -1 };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	void *memory;

	if (kvm < 0) {
		skip("/dev/kvm cannot be opened", errno);
		return;
	}
	memory = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("no memory");
	guest.vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (guest.vm < 0) {
		skip("a guest cannot be made", errno);
	} else {
		with_guest(&guest, memory);
		close(guest.vm);
	}
	munmap(memory, BAR_SIZE);
	close(kvm);
}
