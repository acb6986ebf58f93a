/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU of arm64, and its exits: PSCI, and accesses that the CPU does not describe. */
#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/ratelimit.h"
#include "monitor/access.h"
#include "monitor/arch.h"
#include "monitor/arm64/vcpu_registers.h"
#include "monitor/arm64/vm.h"

int bk__monitor_arm64_vcpu_init(const struct bk__monitor_arch_vm *arch, int fd, unsigned id)
{
	struct kvm_vcpu_init init = arch->cpu;

	if (id)
		init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
	return ioctl(fd, KVM_ARM_VCPU_INIT, &init) < 0 ? -errno : 0;
}

int bk__monitor_arch_vcpu_create(struct bk__monitor_vcpu *vcpu, struct bk_error *err)
{
	const int error = bk__monitor_arm64_vcpu_init(vcpu->all->config.vm->arch, vcpu->fd, vcpu->id);

	return error ? bk_fail(err, -error, "kvm: vCPU %u cannot be set up: %s", vcpu->id, strerror(-error))
		     : 0;
}

void bk__monitor_arch_vcpu_destroy(struct bk__monitor_vcpu *vcpu)
{
}

void bk__monitor_arch_vcpu_resume(int fd)
{
}

int bk__monitor_arm64_register(int fd, uint64_t id, bool write, uint64_t *value)
{
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return ioctl(fd, write ? KVM_SET_ONE_REG : KVM_GET_ONE_REG, &reg) < 0 ? -errno : 0;
}

void bk__monitor_arch_where(const struct bk__monitor_vcpu *vcpu, char *text, size_t size)
{
	uint64_t pc = 0;

	bk__monitor_arm64_register(vcpu->fd, BK__ARM64_PC, false, &pc);
	snprintf(text, size, "PC 0x%" PRIx64, pc);
}

/* KVM does not say for which address. */
bool bk__monitor_arch_unbacked(struct bk__monitor_vcpu *vcpu, uint64_t *gpa)
{
	return false;
}

/* ---- Exits ------------------------------------------------------------- */

static void inject_abort(const struct bk__monitor_vcpu *vcpu)
{
	struct kvm_vcpu_events events;

	if (ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return;
	events.exception.ext_dabt_pending = 1;
	ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);
}

/*
 * The CPU describes only simple accesses: not those of two registers, of vectors, or that also change their
 * base. If the page has a slot by now (it was being moved), the CPU can run the instruction after all. Else
 * the guest gets what it would get where nothing is connected, and the person a line.
 */
static void serve_undescribed(struct bk__monitor_vcpu *vcpu)
{
	static struct bk__ratelimit limit;
	const struct bk__monitor_vcpus_config *config = &vcpu->all->config;
	const uint64_t gpa = vcpu->run->arm_nisv.fault_ipa;
	char where[32], place[128];

	if (config->ops->mapped(config->opaque, gpa))
		return;
	bk__monitor_arch_where(vcpu, where, sizeof(where));
	bk__monitor_access_place(vcpu, gpa, place, sizeof(place));
	bk__log_limited(&limit, BK_LOG_WARNING,
			"vCPU %u: the instruction at %s accesses %s in a way that cannot be trapped (two "
			"registers, a vector, or a base that changes); the guest gets an external abort",
			vcpu->id, where, place);
	inject_abort(vcpu);
}

static enum bk__monitor_exit serve_event(const struct kvm_run *run, char *line, size_t size)
{
	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		return BK__EXIT_POWEROFF;
	case KVM_SYSTEM_EVENT_RESET:
		return BK__EXIT_RESET;
	case KVM_SYSTEM_EVENT_CRASH:
		return BK__EXIT_CRASHED;
	default:
		snprintf(line, size, "a system event (0x%" PRIx32 ")", run->system_event.type);
		return BK__EXIT_FAILED;
	}
}

enum bk__monitor_exit bk__monitor_arch_exit(struct bk__monitor_vcpu *vcpu, char *line, size_t size)
{
	const struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_ARM_NISV:
		serve_undescribed(vcpu);
		return BK__EXIT_SERVED;
	case KVM_EXIT_SYSTEM_EVENT:
		return serve_event(run, line, size);
	case KVM_EXIT_INTERNAL_ERROR:
		snprintf(line, size, "KVM's internal error (0x%" PRIx32 ")", run->internal.suberror);
		return BK__EXIT_FAILED;
	default:
		snprintf(line, size, "an exit that is not known (0x%" PRIx32 ")", run->exit_reason);
		return BK__EXIT_FAILED;
	}
}
