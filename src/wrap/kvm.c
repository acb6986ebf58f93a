/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory slots that are set in pieces, and the guest's accesses between these. */
#undef _FILE_OFFSET_BITS
#include "wrap/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "wrap/maps.h"
#include "wrap/real.h"
#include "wrap/calls.h"

/* A slot of the program's over pages of a device. */
struct slot {
	const struct bk__wrap_file *vm;
	struct kvm_userspace_memory_region whole;
	BK__ARRAY(uint32_t) pieces; /* ids of the pieces while split */
	bool split;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static BK__ARRAY(struct slot) slots;
static unsigned machines; /* atomic */
static bool watched;      /* atomic: exits outside all slots may be for a trap */

/* ---- Pieces ------------------------------------------------------------ */

static int set(const struct slot *slot, uint32_t id, uint64_t offset, uint64_t size)
{
	struct kvm_userspace_memory_region region = slot->whole;

	region.slot = (slot->whole.slot & 0xffff0000) | (id & 0xffff);
	region.guest_phys_addr += offset;
	region.userspace_addr += offset;
	region.memory_size = size;
	return bk__wrap_real.ioctl(slot->vm->own, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

static bool is_used(const struct bk__wrap_file *vm, uint32_t id)
{
	for (size_t i = 0; i < slots.count; i++)
		for (size_t j = 0; slots.at[i].vm == vm && j < slots.at[i].pieces.count; j++)
			if ((slots.at[i].pieces.at[j] & 0xffff) == id)
				return true;
	return false;
}

/* From KVM's highest number down: programs start at the lowest. */
static int free_id(const struct slot *slot)
{
	int id = bk__wrap_real.ioctl(slot->vm->own, KVM_CHECK_EXTENSION,
				     (void *)(uintptr_t)KVM_CAP_NR_MEMSLOTS);

	while (--id > 0 && is_used(slot->vm, (uint32_t)id))
		;
	return id;
}

static void drop_pieces(struct slot *slot)
{
	for (size_t i = 0; i < slot->pieces.count; i++)
		set(slot, slot->pieces.at[i], 0, 0);
	slot->pieces.count = 0;
}

/* Sets the slot as the program did. */
static void join(struct slot *slot)
{
	if (!slot->split)
		return;
	drop_pieces(slot);
	slot->split = false;
	if (set(slot, slot->whole.slot, 0, slot->whole.memory_size))
		bk_log(BK_LOG_ERROR, "a memory slot of the guest cannot be set again: %s", strerror(errno));
}

/* Accesses to what is left out, or cannot be set, exit, and are answered correctly. */
static void add_piece(struct slot *slot, uint64_t offset, uint64_t size)
{
	int id;

	if (bk__array_reserve(&slot->pieces, 1))
		return;
	id = slot->pieces.count ? free_id(slot) : (int)(slot->whole.slot & 0xffff);
	if (id > 0 || !slot->pieces.count)
		if (!set(slot, (uint32_t)id, offset, size))
			slot->pieces.at[slot->pieces.count++] = (uint32_t)id;
}

static void split(struct slot *slot, const struct bk__wrap_areas *areas, uint64_t first)
{
	const uint64_t end = first + slot->whole.memory_size;

	/* From now on run_vcpu answers accesses that find no memory. */
	if (slot->split)
		drop_pieces(slot); /* never whole in between: that would expose the pages of other traps */
	else
		set(slot, slot->whole.slot, 0, 0);
	slot->split = true;
	for (size_t i = 0; i < areas->list.count; i++) {
		const uint64_t start = areas->list.at[i].offset, stop = start + areas->list.at[i].size;
		const uint64_t from = start > first ? start : first, to = stop < end ? stop : end;

		if (from < to)
			add_piece(slot, from - first, to - from);
	}
}

/* Is all of [first, first + size) in one area? */
static bool is_whole(const struct bk__wrap_areas *areas, uint64_t first, uint64_t size)
{
	for (size_t i = 0; i < areas->list.count; i++)
		if (areas->list.at[i].offset <= first &&
		    first + size <= areas->list.at[i].offset + areas->list.at[i].size)
			return true;
	return false;
}

/* The place that the slot shows. Under the lock, so that the device stays (bk__wrap_kvm_settle). */
static bool place_of(const struct slot *slot, struct bk__wrap_place *place)
{
	return bk__wrap_maps_find((const void *)(uintptr_t)slot->whole.userspace_addr, place);
}

/* Sets the slot as the traps are now. Under the lock. */
static void apply(struct slot *slot)
{
	struct bk__wrap_areas areas;
	struct bk__wrap_place place;

	if (!place_of(slot, &place) || place.left < slot->whole.memory_size) {
		join(slot);
		return;
	}
	bk__wrap_areas_find(place.device, place.region, &areas);
	if (areas.failed || !is_whole(&areas, place.offset, slot->whole.memory_size))
		split(slot, &areas, place.offset); /* accesses outside the list exit */
	else
		join(slot);
	free(areas.list.at);
}

void bk__wrap_kvm_update(const struct bk_mediator *mediate)
{
	struct bk__wrap_place place;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < slots.count; i++)
		if (place_of(&slots.at[i], &place) && place.device->mediate == mediate)
			apply(&slots.at[i]);
	pthread_mutex_unlock(&lock);
}

void bk__wrap_kvm_settle(void)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
}

/* ---- What the guest has ------------------------------------------------ */

/* The bytes of the region that a slot shows; false if none. */
static bool bytes_of(const struct slot *slot, const struct bk__wrap_device *device, unsigned region,
		     uint64_t *first, uint64_t *last)
{
	struct bk__wrap_place place;
	uint64_t size;

	if (!place_of(slot, &place) || place.device != device || place.region != region)
		return false;
	size = place.left < slot->whole.memory_size ? place.left : slot->whole.memory_size;
	*first = place.offset;
	*last = place.offset + size - 1;
	return true;
}

/* The end of what slots cover of the region from `offset` on; `offset` if none covers it. */
static uint64_t given_to(const struct bk__wrap_device *device, unsigned region, uint64_t offset, bool *any)
{
	uint64_t first, last, end = offset;

	for (size_t i = 0; i < slots.count; i++) {
		if (!bytes_of(&slots.at[i], device, region, &first, &last))
			continue;
		*any = true;
		if (first <= offset && last >= end)
			end = last + 1;
	}
	return end;
}

enum bk__wrap_given bk__wrap_kvm_given(const struct bk__wrap_device *device, unsigned region, uint64_t first,
				       uint64_t last)
{
	bool any = false;

	for (;;) {
		uint64_t from = first, to = last, end;

		if (!bk__wrap_maps_next(device, region, &from, &to))
			return BK__WRAP_GIVEN_ALL;
		end = given_to(device, region, from, &any);
		if (end == from)
			return any ? BK__WRAP_GIVEN_BESIDE : BK__WRAP_GIVEN_NONE;
		first = end;
		if (first > last)
			return BK__WRAP_GIVEN_ALL;
	}
}

void bk__wrap_kvm_watch(void)
{
	__atomic_store_n(&watched, true, __ATOMIC_RELEASE);
}

/* ---- The program's slots ----------------------------------------------- */

static struct slot *find_slot(const struct bk__wrap_file *vm, uint32_t id)
{
	for (size_t i = 0; i < slots.count; i++)
		if (slots.at[i].vm == vm && slots.at[i].whole.slot == id)
			return &slots.at[i];
	return NULL;
}

/* Duplicates the VM's descriptor: the program may close its own and go on with a copy. */
static bool has_own(struct bk__wrap_file *vm, int fd)
{
	if (vm->own >= 0)
		return true;
	vm->own = bk__wrap_real.fcntl(fd, F_DUPFD_CLOEXEC, (void *)(uintptr_t)200);
	if (vm->own < 0)
		vm->own = bk__wrap_real.fcntl(fd, F_DUPFD_CLOEXEC, (void *)(uintptr_t)3);
	bk__wrap_keep_private(vm->own);
	return vm->own >= 0;
}

static void note(struct bk__wrap_file *vm, int fd, const struct kvm_userspace_memory_region *region)
{
	if (!has_own(vm, fd)) /* later traps on its pages are refused */
		return;
	if (bk__array_reserve(&slots, 1))
		return;
	slots.at[slots.count++] = (struct slot){ .vm = vm, .whole = *region };
	apply(&slots.at[slots.count - 1]);
}

/* Removes a split slot. The guest must not have it whole even for a moment. */
static int remove_split(struct slot *slot, int fd, unsigned long request, void *argument)
{
	const bool first = slot->pieces.count && slot->pieces.at[0] == (slot->whole.slot & 0xffff);

	for (size_t i = first; i < slot->pieces.count; i++)
		set(slot, slot->pieces.at[i], 0, 0);
	slot->pieces.count = first;
	return first ? bk__wrap_real.ioctl(fd, request, argument) : 0;
}

static void forget(struct slot *slot)
{
	free(slot->pieces.at);
	*slot = slots.at[--slots.count];
}

static int set_region(struct bk__wrap_file *vm, int fd, unsigned long request, void *argument)
{
	struct kvm_userspace_memory_region region;
	struct slot *slot;
	int result, saved;

	if ((uintptr_t)argument < 4096)
		return bk__wrap_real.ioctl(fd, request, argument);
	memcpy(&region, argument, sizeof(region));
	pthread_mutex_lock(&lock);
	slot = find_slot(vm, region.slot);
	if (slot && slot->split && !region.memory_size) {
		result = remove_split(slot, fd, request, argument);
	} else {
		if (slot)
			join(slot);
		result = bk__wrap_real.ioctl(fd, request, argument);
	}
	saved = errno;
	if (result) {
		if (slot)
			apply(slot); /* as it was */
	} else {
		if (slot)
			forget(slot);
		if (region.memory_size &&
		    !bk__wrap_maps_outside((const void *)(uintptr_t)region.userspace_addr,
					   region.memory_size))
			note(vm, fd, &region);
	}
	pthread_mutex_unlock(&lock);
	errno = saved;
	return result;
}

void bk__wrap_kvm_end(const struct bk__wrap_file *vm)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < slots.count;) {
		if (slots.at[i].vm == vm)
			forget(&slots.at[i]);
		else
			i++;
	}
	pthread_mutex_unlock(&lock);
	if (vm->own >= 0) {
		bk__wrap_file_remove(vm->own);
		bk__wrap_real.close(vm->own);
	}
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

/* An access in a slot, mostly between its pieces. */
static bool is_in(const struct slot *slot, uint64_t address, struct bk__wrap_place *place)
{
	const uint64_t offset = address - slot->whole.guest_phys_addr;

	return offset < slot->whole.memory_size && (slot->split || !(slot->whole.flags & KVM_MEM_READONLY)) &&
	       bk__wrap_maps_find((const void *)(uintptr_t)(slot->whole.userspace_addr + offset), place);
}

/* An access beside it, at a trap whose page the program has mapped but not given to the guest. */
static bool is_beside(const struct slot *slot, uint64_t address, unsigned length,
		      struct bk__wrap_place *place)
{
	if (!place_of(slot, place))
		return false;
	place->offset += address - slot->whole.guest_phys_addr;
	return place->offset < place->device->regions[place->region].size &&
	       bk__wrap_maps_have(place->device, place->region, place->offset, length) &&
	       bk__wrap_is_trapped(place->device, place->region, place->offset, length);
}

/* The place of an access that may be for a trap. Enters its device. */
static bool find_place(const struct bk__wrap_file *vm, uint64_t address, unsigned length,
		       struct bk__wrap_place *place)
{
	const unsigned ways = __atomic_load_n(&watched, __ATOMIC_ACQUIRE) ? 2 : 1;
	bool found = false;

	pthread_mutex_lock(&lock);
	for (unsigned way = 0; way < ways && !found; way++)
		for (size_t i = 0; i < slots.count && !found; i++)
			found = slots.at[i].vm == vm &&
				(way ? is_beside(&slots.at[i], address, length, place)
				     : is_in(&slots.at[i], address, place)) &&
				bk__wrap_device_enter(place->device->file);
	pthread_mutex_unlock(&lock);
	return found;
}

static bool answer(const struct bk__wrap_file *vm, struct kvm_run *run)
{
	struct bk__wrap_place place;
	struct bk_space *space;

	if (run->exit_reason != KVM_EXIT_MMIO || !run->mmio.len || run->mmio.len > sizeof(run->mmio.data) ||
	    !find_place(vm, run->mmio.phys_addr, run->mmio.len, &place))
		return false;
	space = bk_mediator_space(place.device->mediate, place.region);
	if (run->mmio.is_write)
		bk_space_write_bytes(space, place.offset, run->mmio.data, run->mmio.len);
	else
		bk_space_read_bytes(space, place.offset, run->mmio.data, run->mmio.len);
	bk__wrap_device_leave(place.device);
	return true;
}

/* The next KVM_RUN takes the answer. It ends at once if the program wants its vCPU back. */
static int run_vcpu(const struct bk__wrap_file *vcpu, int fd, void *argument)
{
	struct kvm_run *run = __atomic_load_n(&vcpu->run, __ATOMIC_ACQUIRE);
	int result;

	do
		result = bk__wrap_real.ioctl(fd, KVM_RUN, argument);
	while (!result && run && __atomic_load_n(&slots.count, __ATOMIC_ACQUIRE) && answer(vcpu->vm, run));
	return result;
}

/* ---- Descriptors ------------------------------------------------------- */

/* Adds a file of this kind. If memory runs out, only the kernel knows the file. */
static int add(int fd, enum bk__wrap_kind kind, struct bk__wrap_file *vm)
{
	const int saved = errno;
	struct bk__wrap_file *file = fd >= 0 ? bk__wrap_file_create(kind) : NULL;

	if (!file)
		return fd;
	file->vm = vm;
	file->run = NULL;
	file->own = -1;
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
