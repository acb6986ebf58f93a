/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUID says in the guest: all that KVM supports, one socket of cores. */
#include "monitor/x86/cpuid.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define ENTRIES_MAX 4096

int bk__monitor_cpuid_host(const struct bk__monitor_vm *vm, struct kvm_cpuid2 **out, struct bk_error *err)
{
	for (unsigned room = 128; room <= ENTRIES_MAX; room *= 2) {
		struct kvm_cpuid2 *cpuid =
			calloc(1, sizeof(*cpuid) + (room + BK__CPUID_ADDED) * sizeof(cpuid->entries[0]));

		if (!cpuid)
			return bk_fail(err, ENOMEM, "CPUID: out of memory");
		cpuid->nent = room;
		if (ioctl(vm->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) == 0) {
			*out = cpuid;
			return 0;
		}
		free(cpuid);
		if (errno != E2BIG)
			break;
	}
	return bk_fail(err, errno, "kvm: does not say what CPUID it supports: %s", strerror(errno));
}

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid2 *cpuid, uint32_t leaf)
{
	for (unsigned i = 0; i < cpuid->nent; i++) {
		if (cpuid->entries[i].function == leaf)
			return &cpuid->entries[i];
	}
	return NULL;
}

static void remove_leaf(struct kvm_cpuid2 *cpuid, uint32_t leaf)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < cpuid->nent; i++) {
		if (cpuid->entries[i].function != leaf)
			cpuid->entries[kept++] = cpuid->entries[i];
	}
	cpuid->nent = kept;
}

static void set_bits(uint32_t *value, unsigned low, unsigned bits, uint32_t field)
{
	const uint32_t mask = ((UINT32_C(1) << bits) - 1) << low;

	*value = (*value & ~mask) | (field << low & mask);
}

/* How many bits an APIC id needs below the package. */
static unsigned id_bits(unsigned cpus)
{
	unsigned bits = 0;

	while ((1u << bits) < cpus)
		bits++;
	return bits;
}

/* Leaf 0xB, Intel SDM volume 2, CPUID: a level of one thread, a level of all cores, the end. */
static void add_topology(struct kvm_cpuid2 *cpuid, unsigned id, unsigned cpus)
{
	const struct kvm_cpuid_entry2 levels[BK__CPUID_ADDED] = {
		{ .eax = 0, .ebx = 1, .ecx = 1 << 8 | 0 },
		{ .eax = id_bits(cpus), .ebx = cpus, .ecx = 2 << 8 | 1 },
		{ .eax = 0, .ebx = 0, .ecx = 2 },
	};

	for (unsigned i = 0; i < BK__CPUID_ADDED; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[cpuid->nent++];

		*entry = levels[i];
		entry->function = 0xb;
		entry->index = i;
		entry->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		entry->edx = id;
	}
}

/* Cache levels 1 and 2 belong to a core, the third to all of them. */
static unsigned sharers(const struct kvm_cpuid_entry2 *entry, unsigned cpus)
{
	return (entry->eax >> 5 & 7) >= 3 ? cpus - 1 : 0;
}

static void fix_entry(struct kvm_cpuid_entry2 *entry, unsigned id, unsigned cpus, bool tsc_deadline)
{
	const unsigned cores = (1u << id_bits(cpus)) - 1;

	switch (entry->function) {
	case 1:
		set_bits(&entry->ebx, 24, 8, id);
		set_bits(&entry->ebx, 16, 8, cpus);
		set_bits(&entry->edx, 28, 1, cpus > 1);     /* HTT: the count above is valid */
		set_bits(&entry->ecx, 5, 1, 0);             /* VMX: no guests in the guest */
		set_bits(&entry->ecx, 24, 1, tsc_deadline); /* which KVM never reports as supported */
		set_bits(&entry->ecx, 27, 1, 0);            /* OSXSAVE follows CR4 */
		set_bits(&entry->ecx, 31, 1, 1);            /* there is a hypervisor */
		break;
	case 4:
		if (entry->eax & 0x1f) {
			set_bits(&entry->eax, 14, 12, sharers(entry, cpus));
			set_bits(&entry->eax, 26, 6, cores);
		}
		break;
	case 0x80000001:
		set_bits(&entry->ecx, 2, 1, 0); /* SVM */
		break;
	case 0x80000008:
		/* AMD; Intel reserves it, and has leaf 0xB. */
		set_bits(&entry->ecx, 0, 8, cpus - 1);
		set_bits(&entry->ecx, 12, 4, id_bits(cpus));
		break;
	case 0x8000001d:
		if (entry->eax & 0x1f)
			set_bits(&entry->eax, 14, 12, sharers(entry, cpus));
		break;
	case 0x8000001e:
		entry->eax = id;
		set_bits(&entry->ebx, 0, 8, id); /* core; one thread each */
		set_bits(&entry->ebx, 8, 8, 0);
		entry->ecx = 0; /* node 0, the only one */
		break;
	}
}

void bk__monitor_cpuid_fix(struct kvm_cpuid2 *cpuid, unsigned id, unsigned cpus, bool tsc_deadline)
{
	const struct kvm_cpuid_entry2 *base = find(cpuid, 0);

	remove_leaf(cpuid, 0xb);
	remove_leaf(cpuid, 0x1f);
	for (unsigned i = 0; i < cpuid->nent; i++)
		fix_entry(&cpuid->entries[i], id, cpus, tsc_deadline);
	if (base && base->eax >= 0xb)
		add_topology(cpuid, id, cpus);
}

unsigned bk__monitor_cpuid_physical_bits(const struct kvm_cpuid2 *cpuid)
{
	const struct kvm_cpuid_entry2 *entry = find(cpuid, 0x80000008);
	unsigned bits = entry ? entry->eax & 0xff : 36;
	const unsigned guest = entry ? entry->eax >> 16 & 0xff : 0;

	if (guest && guest < bits)
		bits = guest;
	return bits < 32 ? 32 : bits;
}
