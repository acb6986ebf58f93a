/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of the CPUs and chips that KVM keeps, as it was before the guest ran; a reset restores it.
 */
#include "monitor/state.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define MSR_TSC        0x10
#define MSR_TSC_ADJUST 0x3b
#define MSRS_MAX       4096
#define CHIPS          3

struct cpu {
	int fd;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	uint32_t xsave[sizeof(struct kvm_xsave) / sizeof(uint32_t)]; /* the struct itself has no fixed size */
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	struct kvm_msr_entry *msrs;
	unsigned msr_count;
};

struct bk__monitor_state {
	const struct bk__monitor_vm *vm;
	struct kvm_irqchip chips[CHIPS]; /* both PICs and the IOAPIC */
	struct kvm_pit_state2 pit;
	unsigned count;
	struct cpu cpus[];
};

/* What KVM keeps of a vCPU, in the order in which it is put back: the local APIC needs its base (sregs)
 * first, and events and mp_state come last since the others may touch them. */
static const struct {
	unsigned long get, set;
	size_t offset;
	const char *name;
} parts[] = {
#define PART(name, request)                                                             \
	{                                                                               \
		KVM_GET_##request, KVM_SET_##request, offsetof(struct cpu, name), #name \
	}
	PART(xsave, XSAVE), PART(xcrs, XCRS), PART(sregs, SREGS),        PART(debugregs, DEBUGREGS),
	PART(lapic, LAPIC), PART(regs, REGS), PART(events, VCPU_EVENTS), PART(mp_state, MP_STATE),
#undef PART
};

static struct kvm_msr_list *msr_list(const struct bk__monitor_vm *vm)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + MSRS_MAX * sizeof(list->indices[0]));

	if (!list)
		return NULL;
	list->nmsrs = MSRS_MAX;
	if (ioctl(vm->kvm, KVM_GET_MSR_INDEX_LIST, list) < 0)
		list->nmsrs = 0;
	return list;
}

/* One at a time: KVM stops at the first that it refuses, and lists some that this CPU does not have. */
static bool move_msr(int fd, unsigned long request, struct kvm_msr_entry *entry)
{
	union {
		struct kvm_msrs msrs;
		char room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} one = { .msrs.nmsrs = 1 };

	one.msrs.entries[0] = *entry;
	if (ioctl(fd, request, &one) != 1)
		return false;
	*entry = one.msrs.entries[0];
	return true;
}

static int save_cpu(struct cpu *cpu, const struct kvm_msr_list *list, struct bk_error *err)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (ioctl(cpu->fd, parts[i].get, (char *)cpu + parts[i].offset) < 0)
			return bk_fail(err, errno, "kvm: cannot read %s of a vCPU: %s", parts[i].name,
				       strerror(errno));
	}
	cpu->msrs = calloc(list->nmsrs + 1, sizeof(*cpu->msrs));
	if (!cpu->msrs)
		return bk_fail(err, ENOMEM, "the state of a vCPU: out of memory");
	for (unsigned i = 0; i < list->nmsrs; i++) {
		struct kvm_msr_entry *entry = &cpu->msrs[cpu->msr_count];

		/* Time goes on over a reset, and at the same pace on all vCPUs. */
		entry->index = list->indices[i];
		if (entry->index != MSR_TSC && entry->index != MSR_TSC_ADJUST &&
		    move_msr(cpu->fd, KVM_GET_MSRS, entry))
			cpu->msr_count++;
	}
	return 0;
}

static int move_chips(const struct bk__monitor_vm *vm, struct bk__monitor_state *state, bool save)
{
	for (unsigned i = 0; i < CHIPS; i++) {
		state->chips[i].chip_id = i;
		if (ioctl(vm->fd, save ? KVM_GET_IRQCHIP : KVM_SET_IRQCHIP, &state->chips[i]) < 0)
			return -errno;
	}
	if (ioctl(vm->fd, save ? KVM_GET_PIT2 : KVM_SET_PIT2, &state->pit) < 0)
		return -errno;
	return 0;
}

int bk__monitor_state_save(const struct bk__monitor_vm *vm, const int *vcpus, unsigned count,
			   struct bk__monitor_state **out, struct bk_error *err)
{
	struct bk__monitor_state *state = calloc(1, sizeof(*state) + count * sizeof(state->cpus[0]));
	struct kvm_msr_list *list = msr_list(vm);
	int error = 0;

	if (!state || !list) {
		free(state);
		free(list);
		return bk_fail(err, ENOMEM, "the state of the machine: out of memory");
	}
	state->vm = vm;
	for (unsigned i = 0; i < count && !error; i++) {
		state->cpus[i].fd = vcpus[i];
		state->count++;
		error = save_cpu(&state->cpus[i], list, err);
	}
	free(list);
	if (!error) {
		error = move_chips(vm, state, true);
		if (error)
			bk_fail(err, -error, "kvm: cannot read its chips: %s", strerror(-error));
	}
	if (error) {
		bk__monitor_state_free(state);
		return error;
	}
	*out = state;
	return 0;
}

int bk__monitor_state_restore(const struct bk__monitor_state *state, struct bk_error *err)
{
	struct bk__monitor_state chips = *state;
	int error;

	for (unsigned i = 0; i < state->count; i++) {
		const struct cpu *cpu = &state->cpus[i];

		for (size_t j = 0; j < sizeof(parts) / sizeof(parts[0]); j++) {
			if (ioctl(cpu->fd, parts[j].set, (const char *)cpu + parts[j].offset) < 0)
				return bk_fail(err, errno, "kvm: cannot reset %s of vCPU %u: %s",
					       parts[j].name, i, strerror(errno));
			/* MSRs after sregs, since some depend on CR4, and before the APIC with its timer. */
			for (unsigned k = 0; parts[j].set == KVM_SET_SREGS && k < cpu->msr_count; k++) {
				struct kvm_msr_entry entry = cpu->msrs[k];

				move_msr(cpu->fd, KVM_SET_MSRS, &entry);
			}
		}
	}
	error = move_chips(state->vm, &chips, false);
	if (error)
		return bk_fail(err, -error, "kvm: cannot reset its chips: %s", strerror(-error));
	return 0;
}

void bk__monitor_state_free(struct bk__monitor_state *state)
{
	if (!state)
		return;
	for (unsigned i = 0; i < state->count; i++)
		free(state->cpus[i].msrs);
	free(state);
}
