/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory slots that are set in pieces, and the guest's accesses between these. */
#undef _FILE_OFFSET_BITS
#include "wrap/kvm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "wrap/maps.h"
#include "wrap/real.h"
#include "wrap/vfio.h"

/* A slot of the program's over pages of a device. */
struct slot {
	const struct bk__wrap_file *vm;
	int fd; /* of the virtual machine */
	struct kvm_userspace_memory_region whole;
	uint32_t *pieces; /* ids; while it is set in pieces, else NULL */
	size_t piece_count;
	bool split;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot *slots;
static size_t count, room;
static unsigned machines; /* atomic */

/* ---- Pieces ------------------------------------------------------------ */

static int set(const struct slot *slot, uint32_t id, uint64_t offset, uint64_t size)
{
	struct kvm_userspace_memory_region region = slot->whole;

	region.slot = (slot->whole.slot & 0xffff0000) | (id & 0xffff);
	region.guest_phys_addr += offset;
	region.userspace_addr += offset;
	region.memory_size = size;
	return bk__wrap_real.ioctl(slot->fd, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

static bool is_used(const struct bk__wrap_file *vm, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; slots[i].vm == vm && j < slots[i].piece_count; j++)
			if ((slots[i].pieces[j] & 0xffff) == id)
				return true;
	return false;
}

/* From the end of what KVM has: programs take them from the start. */
static int free_id(const struct slot *slot)
{
	int id = bk__wrap_real.ioctl(slot->fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)KVM_CAP_NR_MEMSLOTS);

	while (--id > 0 && is_used(slot->vm, (uint32_t)id))
		;
	return id;
}

static void drop_pieces(struct slot *slot)
{
	for (size_t i = 0; i < slot->piece_count; i++)
		set(slot, slot->pieces[i], 0, 0);
	free(slot->pieces);
	slot->pieces = NULL;
	slot->piece_count = 0;
}

/* As the program has set it. */
static void join(struct slot *slot)
{
	if (!slot->split)
		return;
	drop_pieces(slot);
	slot->split = false;
	if (set(slot, slot->whole.slot, 0, slot->whole.memory_size))
		bk_log(BK_LOG_ERROR, "a memory slot of the guest cannot be set again: %s", strerror(errno));
}

/* What is left out, or cannot be set, is answered by exits: so it is right in any case. */
static void add_piece(struct slot *slot, uint64_t offset, uint64_t size)
{
	uint32_t *grown = realloc(slot->pieces, (slot->piece_count + 1) * sizeof(*grown));
	int id;

	if (!grown)
		return;
	slot->pieces = grown;
	id = slot->piece_count ? free_id(slot) : (int)(slot->whole.slot & 0xffff);
	if (id > 0 || !slot->piece_count)
		if (!set(slot, (uint32_t)id, offset, size))
			slot->pieces[slot->piece_count++] = (uint32_t)id;
}

static void split(struct slot *slot, const struct bk__wrap_areas *areas, uint64_t first)
{
	const uint64_t end = first + slot->whole.memory_size;

	/* From now on a vCPU that finds no memory there is answered here. */
	if (slot->split)
		drop_pieces(slot); /* never whole in between: the pages of other traps are in it */
	else
		set(slot, slot->whole.slot, 0, 0);
	slot->split = true;
	for (size_t i = 0; i < areas->count; i++) {
		const uint64_t start = areas->list[i].offset, stop = start + areas->list[i].size;
		const uint64_t from = start > first ? start : first, to = stop < end ? stop : end;

		if (from < to)
			add_piece(slot, from - first, to - from);
	}
}

/* Is all of [first, first + size) in one area? */
static bool is_whole(const struct bk__wrap_areas *areas, uint64_t first, uint64_t size)
{
	for (size_t i = 0; i < areas->count; i++)
		if (areas->list[i].offset <= first &&
		    first + size <= areas->list[i].offset + areas->list[i].size)
			return true;
	return false;
}

/* Sets the slot as the traps are now. Under the lock. */
static void apply(struct slot *slot)
{
	struct bk__wrap_areas areas;
	struct bk__wrap_place place;

	if (!bk__wrap_maps_find((const void *)(uintptr_t)slot->whole.userspace_addr, &place) ||
	    place.left < slot->whole.memory_size) {
		join(slot);
		return;
	}
	bk__wrap_areas_find(place.device, place.region, &areas);
	if (areas.failed || !is_whole(&areas, place.offset, slot->whole.memory_size))
		split(slot, &areas, place.offset); /* what is not in the list is answered by exits */
	else
		join(slot);
	free(areas.list);
}

void bk__wrap_kvm_update(struct bk__wrap_device *device)
{
	struct bk__wrap_place place;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count; i++)
		if (bk__wrap_maps_find((const void *)(uintptr_t)slots[i].whole.userspace_addr, &place) &&
		    place.device == device)
			apply(&slots[i]);
	pthread_mutex_unlock(&lock);
}

/* ---- The program's slots ----------------------------------------------- */

static struct slot *find_slot(const struct bk__wrap_file *vm, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (slots[i].vm == vm && slots[i].whole.slot == id)
			return &slots[i];
	return NULL;
}

static void note(const struct bk__wrap_file *vm, int fd, const struct kvm_userspace_memory_region *region)
{
	struct slot *grown = slots;

	if (count == room)
		grown = realloc(slots, (room ? 2 * room : 16) * sizeof(*slots));
	if (!grown) /* then its pages cannot be trapped later, which is found by trying */
		return;
	if (count == room)
		room = room ? 2 * room : 16;
	slots = grown;
	slots[count++] = (struct slot){ .vm = vm, .fd = fd, .whole = *region };
	apply(&slots[count - 1]);
}

static int set_region(const struct bk__wrap_file *vm, int fd, unsigned long request, void *argument)
{
	struct kvm_userspace_memory_region region;
	struct slot *slot;
	int result;

	if ((uintptr_t)argument < 4096)
		return bk__wrap_real.ioctl(fd, request, argument);
	memcpy(&region, argument, sizeof(region));
	pthread_mutex_lock(&lock);
	slot = find_slot(vm, region.slot);
	if (slot)
		join(slot);
	result = bk__wrap_real.ioctl(fd, request, argument);
	if (!result) {
		const int saved = errno;

		if (slot)
			*slot = slots[--count];
		if (region.memory_size &&
		    !bk__wrap_maps_outside((const void *)(uintptr_t)region.userspace_addr,
					   region.memory_size))
			note(vm, fd, &region);
		errno = saved;
	} else if (slot) {
		const int saved = errno;

		apply(slot); /* as it was */
		errno = saved;
	}
	pthread_mutex_unlock(&lock);
	return result;
}

void bk__wrap_kvm_end(const struct bk__wrap_file *vm)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count;) {
		if (slots[i].vm != vm) {
			i++;
			continue;
		}
		free(slots[i].pieces);
		slots[i] = slots[--count];
	}
	pthread_mutex_unlock(&lock);
	__atomic_fetch_sub(&machines, 1, __ATOMIC_RELEASE);
}

bool bk__wrap_kvm_is_used(void)
{
	return __atomic_load_n(&machines, __ATOMIC_ACQUIRE);
}

void bk__wrap_kvm_hold(void)
{
	pthread_mutex_lock(&lock);
}

void bk__wrap_kvm_go_on(void)
{
	pthread_mutex_unlock(&lock);
}

/* ---- vCPUs ------------------------------------------------------------- */

/* The place of an address that is between pieces, or might be. Its device is entered. */
static bool find_place(const struct bk__wrap_file *vm, uint64_t address, struct bk__wrap_place *place)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count && !found; i++) {
		const struct kvm_userspace_memory_region *whole = &slots[i].whole;
		const uint64_t offset = address - whole->guest_phys_addr;

		if (slots[i].vm == vm && (slots[i].split || !(whole->flags & KVM_MEM_READONLY)) &&
		    offset < whole->memory_size)
			found = bk__wrap_maps_find((const void *)(uintptr_t)(whole->userspace_addr + offset),
						   place) &&
				bk__wrap_device_enter(place->device->file);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static bool answer(const struct bk__wrap_file *vm, struct kvm_run *run)
{
	struct bk__wrap_place place;
	struct bk_space *space;

	if (run->exit_reason != KVM_EXIT_MMIO || run->mmio.len > sizeof(run->mmio.data) ||
	    !find_place(vm, run->mmio.phys_addr, &place))
		return false;
	space = bk_mediator_space(place.device->mediate, place.region);
	if (run->mmio.is_write)
		bk_space_write_bytes(space, place.offset, run->mmio.data, run->mmio.len);
	else
		bk_space_read_bytes(space, place.offset, run->mmio.data, run->mmio.len);
	bk__wrap_device_leave(place.device);
	return true;
}

/* The next KVM_RUN takes the answer; if the program wants its vCPU back, it ends at once. */
static int run_vcpu(const struct bk__wrap_file *vcpu, int fd, void *argument)
{
	struct kvm_run *run = __atomic_load_n(&vcpu->run, __ATOMIC_ACQUIRE);
	int result;

	do
		result = bk__wrap_real.ioctl(fd, KVM_RUN, argument);
	while (!result && run && __atomic_load_n(&count, __ATOMIC_ACQUIRE) && answer(vcpu->vm, run));
	return result;
}

/* ---- Descriptors ------------------------------------------------------- */

/* As a file of its kind; without memory it stays the kernel's alone. */
static int add(int fd, enum bk__wrap_kind kind, struct bk__wrap_file *vm)
{
	const int saved = errno;
	struct bk__wrap_file *file = fd >= 0 ? bk__wrap_file_create(kind) : NULL;

	if (!file)
		return fd;
	file->vm = vm;
	file->run = NULL;
	if (kind == BK__WRAP_VM)
		__atomic_fetch_add(&machines, 1, __ATOMIC_RELEASE);
	if (bk__wrap_file_add(fd, file)) {
		if (kind == BK__WRAP_VM)
			__atomic_fetch_sub(&machines, 1, __ATOMIC_RELEASE);
		bk__wrap_file_discard(file);
	}
	errno = saved;
	return fd;
}

int bk__wrap_kvm_create(int fd, void *argument)
{
	return add(bk__wrap_real.ioctl(fd, KVM_CREATE_VM, argument), BK__WRAP_VM, NULL);
}

int bk__wrap_kvm_ioctl(struct bk__wrap_file *file, int fd, unsigned long request, void *argument)
{
	if (request == KVM_RUN)
		return run_vcpu(file, fd, argument);
	if (request == KVM_CREATE_VCPU)
		return add(bk__wrap_real.ioctl(fd, request, argument), BK__WRAP_VCPU, file);
	return set_region(file, fd, request, argument);
}

void bk__wrap_kvm_mapped(struct bk__wrap_file *vcpu, void *at)
{
	__atomic_store_n(&vcpu->run, at, __ATOMIC_RELEASE);
}
