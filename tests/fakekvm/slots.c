/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory slots, with the checks that KVM makes, and accesses through them. */
#include "fakekvm.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define SLOTS 32764

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* held over an access: a slot is removed after it */
static struct kvm_userspace_memory_region slots[SLOTS];
static unsigned used; /* numbers below it */

static const struct kvm_userspace_memory_region *find(uint64_t gpa, uint64_t size)
{
	for (unsigned i = 0; i < used; i++)
		if (slots[i].memory_size && gpa - slots[i].guest_phys_addr < slots[i].memory_size &&
		    size <= slots[i].memory_size - (gpa - slots[i].guest_phys_addr))
			return &slots[i];
	return NULL;
}

static int check(const struct kvm_userspace_memory_region *region)
{
	if (region->slot >= SLOTS || (!region->memory_size && !slots[region->slot].memory_size))
		return EINVAL;
	if (fake_fails(region->memory_size ? FAKE_SLOT_ADD : FAKE_SLOT_REMOVE))
		return ENOMEM;
	for (unsigned i = 0; region->memory_size && i < used; i++)
		if (i != region->slot && slots[i].memory_size &&
		    region->guest_phys_addr < slots[i].guest_phys_addr + slots[i].memory_size &&
		    slots[i].guest_phys_addr < region->guest_phys_addr + region->memory_size)
			return EEXIST;
	return 0;
}

int fake_slot_set(const struct kvm_userspace_memory_region *region)
{
	int error;

	pthread_mutex_lock(&lock);
	error = check(region);
	if (!error) {
		slots[region->slot] = *region;
		if (region->slot >= used)
			used = region->slot + 1;
	}
	pthread_mutex_unlock(&lock);
	errno = error;
	return error ? -1 : 0;
}

unsigned fake_slots(void)
{
	unsigned count = 0;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < used; i++)
		count += slots[i].memory_size != 0;
	pthread_mutex_unlock(&lock);
	return count;
}

uint64_t fake_slot_host(uint64_t gpa)
{
	const struct kvm_userspace_memory_region *slot;
	uint64_t host = 0;

	pthread_mutex_lock(&lock);
	slot = find(gpa, 1);
	if (slot)
		host = slot->userspace_addr + (gpa - slot->guest_phys_addr);
	pthread_mutex_unlock(&lock);
	return host;
}

static void move(void *host, unsigned width, bool write, uint64_t *value)
{
	switch (width) {
#define MOVE(type)                                     \
	if (write)                                     \
		*(volatile type *)host = (type)*value; \
	else                                           \
		*value = *(volatile type *)host;       \
	break
	case 1:
		MOVE(uint8_t);
	case 2:
		MOVE(uint16_t);
	case 4:
		MOVE(uint32_t);
	case 8:
		MOVE(uint64_t);
#undef MOVE
	default:
		memcpy(write ? host : (void *)value, write ? (const void *)value : host, width);
	}
}

bool fake_slot_access(uint64_t gpa, unsigned width, bool write, uint64_t *value)
{
	const struct kvm_userspace_memory_region *slot;
	bool done;

	pthread_mutex_lock(&lock);
	slot = find(gpa, width);
	done = slot && !(write && slot->flags & KVM_MEM_READONLY);
	if (done)
		move((void *)(uintptr_t)(slot->userspace_addr + (gpa - slot->guest_phys_addr)), width, write,
		     value);
	pthread_mutex_unlock(&lock);
	return done;
}
