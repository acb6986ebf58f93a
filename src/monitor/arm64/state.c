/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of the CPUs and of the GIC that KVM keeps, which a reset restores. */
#include "monitor/state.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/arm64/guest_map.h"
#include "monitor/arm64/vm.h"

#define ALL_ONES  UINT32_MAX
#define SPI_WORDS (1 + BK__SPI_COUNT / 32) /* registers of a bit each: those of word 0 are private */

/* Arm's GIC architecture specification, IHI 0069. Offsets in the distributor, and in a redistributor's second
 * frame, which has the first word of each. */
enum {
	CTLR = 0x0000,
	PROPBASER = 0x0070,
	PENDBASER = 0x0078,
	IGROUPR = 0x0080,
	ICENABLER = 0x0180,
	ISPENDR = 0x0200,
	ICACTIVER = 0x0380,
	IPRIORITYR = 0x0400, /* 8 bits each */
	ICFGR = 0x0c00,      /* 2 bits each */
	IROUTER = 0x6000,    /* 64 bits each, of SPIs: from SPI 0 at 0x6100 */
	SECOND_FRAME = 0x10000,
};

#define SYSREG(op0, op1, crn, crm, op2)                        \
	(((uint64_t)(op0) << KVM_REG_ARM64_SYSREG_OP0_SHIFT) | \
	 ((uint64_t)(op1) << KVM_REG_ARM64_SYSREG_OP1_SHIFT) | \
	 ((uint64_t)(crn) << KVM_REG_ARM64_SYSREG_CRN_SHIFT) | \
	 ((uint64_t)(crm) << KVM_REG_ARM64_SYSREG_CRM_SHIFT) | \
	 ((uint64_t)(op2) << KVM_REG_ARM64_SYSREG_OP2_SHIFT))

/* The GIC's registers in a CPU: ICC_*_EL1. */
static const uint64_t cpu_registers[] = {
	SYSREG(3, 0, 4, 6, 0),   /* PMR */
	SYSREG(3, 0, 12, 8, 3),  /* BPR0 */
	SYSREG(3, 0, 12, 8, 4),  /* AP0R0 */
	SYSREG(3, 0, 12, 9, 0),  /* AP1R0 */
	SYSREG(3, 0, 12, 12, 3), /* BPR1 */
	SYSREG(3, 0, 12, 12, 4), /* CTLR */
	SYSREG(3, 0, 12, 12, 6), /* IGRPEN0 */
	SYSREG(3, 0, 12, 12, 7), /* IGRPEN1 */
};
#define CPU_REGISTERS (sizeof(cpu_registers) / sizeof(cpu_registers[0]))

struct cpu {
	int fd;
	uint64_t gic[CPU_REGISTERS];
};

struct bk__monitor_state {
	const struct bk__monitor_vm *vm;
	unsigned count;
	struct cpu cpus[];
};

/* How KVM names a vCPU to the GIC: its affinity, which is its number. */
static uint64_t affinity(unsigned cpu)
{
	return (uint64_t)cpu << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;
}

int bk__monitor_state_save(const struct bk__monitor_vm *vm, const int *vcpus, unsigned count,
			   struct bk__monitor_state **out, struct bk_error *err)
{
	struct bk__monitor_state *state = calloc(1, sizeof(*state) + count * sizeof(state->cpus[0]));
	int error = 0;

	if (!state)
		return bk_fail(err, ENOMEM, "the state of the machine: out of memory");
	state->vm = vm;
	state->count = count;
	for (unsigned i = 0; i < count && !error; i++) {
		state->cpus[i].fd = vcpus[i];
		for (unsigned j = 0; j < CPU_REGISTERS && !error; j++)
			error = bk__monitor_arm64_device_get(vm->arch->gic, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS,
							     affinity(i) | cpu_registers[j],
							     &state->cpus[i].gic[j]);
	}
	if (error) {
		free(state);
		return bk_fail(err, -error, "kvm: cannot read its GIC: %s", strerror(-error));
	}
	*out = state;
	return 0;
}

/* ---- Back to the state before the guest ran ---------------------------- */

struct write {
	int gic;
	uint32_t group;
	uint64_t base; /* a vCPU, and a frame */
	int error;     /* the first */
};

static void put(struct write *to, uint64_t offset, uint32_t value)
{
	if (!to->error)
		to->error = bk__monitor_arm64_device_set(to->gic, to->group, to->base + offset, &value);
}

/* Registers of a bit for each interrupt, and those of more, of `words` times 32 interrupts from `first` on.
 */
static void put_interrupts(struct write *to, unsigned first, unsigned words)
{
	for (unsigned i = first; i < first + words; i++) {
		put(to, ICENABLER + 4 * i, ALL_ONES);
		put(to, ICACTIVER + 4 * i, ALL_ONES);
		put(to, ISPENDR + 4 * i, 0);
		put(to, IGROUPR + 4 * i, 0);
		for (unsigned j = 0; j < 8; j++)
			put(to, IPRIORITYR + 32 * i + 4 * j, 0);
		for (unsigned j = 0; j < 2; j++)
			put(to, ICFGR + 8 * i + 4 * j, 0);
	}
}

static int reset_distributor(const struct bk__monitor_state *state)
{
	struct write to = { .gic = state->vm->arch->gic, .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS };

	put(&to, CTLR, 0);
	put_interrupts(&to, 1, SPI_WORDS - 1);
	for (unsigned i = 32; i < 32 * SPI_WORDS; i++) {
		put(&to, IROUTER + 8 * i, 0);
		put(&to, IROUTER + 8 * i + 4, 0);
	}
	return to.error;
}

static int reset_redistributor(const struct bk__monitor_state *state, unsigned cpu)
{
	struct write to = { .gic = state->vm->arch->gic,
			    .group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS,
			    .base = affinity(cpu) };

	put(&to, CTLR, 0); /* no LPIs: the others can be written */
	for (unsigned i = 0; i < 8; i += 4) {
		put(&to, PROPBASER + i, 0);
		put(&to, PENDBASER + i, 0);
	}
	to.base += SECOND_FRAME;
	put_interrupts(&to, 0, 1);
	return to.error;
}

static int reset_cpu(const struct bk__monitor_state *state, unsigned index)
{
	const struct cpu *cpu = &state->cpus[index];
	int error = bk__monitor_arm64_vcpu_init(state->vm->arch, cpu->fd, index);

	for (unsigned i = 0; i < CPU_REGISTERS && !error; i++)
		error = bk__monitor_arm64_device_set(state->vm->arch->gic, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS,
						     affinity(index) | cpu_registers[i], &cpu->gic[i]);
	return error;
}

int bk__monitor_state_restore(const struct bk__monitor_state *state, struct bk_error *err)
{
	/* Linux before 4.15 cannot reset an ITS; all that KVM needs here is later. */
	int error = bk__monitor_arm64_device_set(state->vm->arch->its, KVM_DEV_ARM_VGIC_GRP_CTRL,
						 KVM_DEV_ARM_ITS_CTRL_RESET, NULL);

	for (unsigned i = 0; i < state->count && !error; i++) {
		error = reset_cpu(state, i);
		if (!error)
			error = reset_redistributor(state, i);
	}
	if (!error)
		error = reset_distributor(state);
	return error ? bk_fail(err, -error, "kvm: cannot reset its CPUs and its GIC: %s", strerror(-error))
		     : 0;
}

void bk__monitor_state_free(struct bk__monitor_state *state)
{
	free(state);
}
