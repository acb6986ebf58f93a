/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits on x86: ports, and instructions that KVM cannot emulate. */

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/ratelimit.h"
#include "monitor/access.h"
#include "monitor/arch.h"
#include "monitor/x86/fault.h"
#include "monitor/x86/vcpu.h"

#define RETRIES          64 /* of one instruction, without anything else in between */
#define INSN_BYTES       15
#define UNDEFINED_OPCODE 6

/* A string instruction makes many accesses to one port, one after the other in memory. */
static void serve_io(struct bk__monitor_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	bk__monitor_access_count(&vcpu->io_exits);
	for (uint32_t i = 0; i < run->io.count; i++) {
		bk__monitor_access_serve(vcpu->all->config.ports, run->io.port, run->io.size,
					 run->io.direction == KVM_EXIT_IO_OUT, data);
		data += run->io.size;
	}
	vcpu->incomplete = true;
}

/* ---- Instructions that KVM gives up on --------------------------------- */

static bool translate(const struct bk__monitor_vcpu *vcpu, const struct kvm_sregs *sregs, uint64_t linear,
		      uint64_t *gpa)
{
	struct kvm_translation translation = { .linear_address = linear };

	if (bk__monitor_fault_walk(vcpu->all->config.ram, sregs, linear, gpa))
		return true;
	if (ioctl(vcpu->fd, KVM_TRANSLATE, &translation) < 0 || !translation.valid)
		return false;
	*gpa = translation.physical_address;
	return true;
}

/* The bytes at RIP, as many as there are. */
static size_t fetch(const struct bk__monitor_vcpu *vcpu, const struct kvm_regs *regs,
		    const struct kvm_sregs *sregs, uint8_t *bytes)
{
	size_t count;

	for (count = 0; count < INSN_BYTES; count++) {
		const uint64_t linear = regs->rip + count + (sregs->cs.l ? 0 : sregs->cs.base);
		const uint8_t *byte;
		uint64_t gpa;

		if (!translate(vcpu, sregs, linear, &gpa))
			break;
		byte = bk__monitor_ram_at(vcpu->all->config.ram, gpa, 1);
		if (!byte)
			break;
		bytes[count] = *(volatile const uint8_t *)byte;
	}
	return count;
}

struct culprit {
	struct kvm_regs regs;
	bool kernel; /* it runs at privilege level 0 */
	uint8_t bytes[INSN_BYTES];
	size_t count;
	bool located; /* gpa is what the instruction means to access */
	uint64_t gpa;
};

static void find_culprit(const struct bk__monitor_vcpu *vcpu, struct culprit *culprit)
{
	struct kvm_sregs sregs = { 0 };
	uint64_t linear;

	memset(culprit, 0, sizeof(*culprit));
	if (ioctl(vcpu->fd, KVM_GET_REGS, &culprit->regs) < 0 || ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return;
	culprit->kernel = !sregs.ss.dpl;
	culprit->count = fetch(vcpu, &culprit->regs, &sregs, culprit->bytes);
	culprit->located =
		bk__monitor_fault_operand(culprit->bytes, culprit->count, &culprit->regs, &sregs, &linear) &&
		translate(vcpu, &sregs, linear, &culprit->gpa);
}

static void inject_undefined_opcode(const struct bk__monitor_vcpu *vcpu)
{
	struct kvm_vcpu_events events;

	if (ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return;
	events.exception.injected = 1;
	events.exception.nr = UNDEFINED_OPCODE;
	events.exception.has_error_code = 0;
	ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);
}

/*
 * Did the guest take the exception that it was given last? A program may get one at the same place for ever,
 * and the kernel's handler runs each time. A kernel that fails with the same registers, and does nothing else
 * in between, has no handler.
 */
static bool takes_exceptions(struct bk__monitor_vcpu *vcpu, const struct culprit *culprit)
{
	struct bk__monitor_arch_vcpu *arch = vcpu->arch;

	if (!culprit->kernel || arch->undefined_exit + 1 != vcpu->exits ||
	    memcmp(&arch->undefined_regs, &culprit->regs, sizeof(culprit->regs)))
		arch->undefined = 0;
	arch->undefined_regs = culprit->regs;
	arch->undefined_exit = vcpu->exits;
	return arch->undefined++ < RETRIES;
}

/*
 * KVM emulates what touches a page without a slot, and cannot emulate AVX, MMX
 * and the like. If the page has a slot by now (it was being moved), the CPU can
 * run the instruction after all. Else the guest's program is told that there
 * is no such instruction, and the person which trap it ran into. False if the guest does not hear it.
 */
static bool serve_emulation_failure(struct bk__monitor_vcpu *vcpu)
{
	static struct bk__ratelimit limit;
	const struct bk__monitor_vcpus_config *config = &vcpu->all->config;
	struct bk__monitor_arch_vcpu *arch = vcpu->arch;
	struct culprit culprit;
	char hex[3 * INSN_BYTES + 1] = "", place[128] = "an address that could not be told";
	uint64_t missed;

	find_culprit(vcpu, &culprit);
	if (culprit.regs.rip != arch->retry_rip || arch->retry_exit + 1 != vcpu->exits)
		arch->retries = 0;
	arch->retry_rip = culprit.regs.rip;
	arch->retry_exit = vcpu->exits;
	if (culprit.located && config->ops->mapped(config->opaque, culprit.gpa) && arch->retries++ < RETRIES)
		return true;
	arch->retries = 0;
	if (!takes_exceptions(vcpu, &culprit))
		return false;
	if (bk__ratelimit_ok(&limit, &missed)) {
		for (size_t i = 0; i < culprit.count; i++)
			snprintf(hex + 3 * i, sizeof(hex) - 3 * i, " %02x", culprit.bytes[i]);
		if (culprit.located)
			bk__monitor_access_place(vcpu, culprit.gpa, place, sizeof(place));
		bk_log(BK_LOG_WARNING,
		       "vCPU %u: the instruction at RIP 0x%llx accesses %s, and KVM cannot emulate it; the "
		       "guest "
		       "gets an undefined opcode exception. Bytes:%s (%" PRIu64 " more)",
		       vcpu->id, culprit.regs.rip, place, hex, missed);
	}
	inject_undefined_opcode(vcpu);
	return true;
}

bool bk__monitor_arch_unbacked(struct bk__monitor_vcpu *vcpu, uint64_t *gpa)
{
	struct culprit culprit;

	find_culprit(vcpu, &culprit);
	*gpa = culprit.gpa;
	return culprit.located;
}

/* ---- All of them ------------------------------------------------------- */

static enum bk__monitor_exit fail(char *line, size_t size, const char *what, uint64_t detail)
{
	snprintf(line, size, "%s (0x%" PRIx64 ")", what, detail);
	return BK__EXIT_FAILED;
}

enum bk__monitor_exit bk__monitor_arch_exit(struct bk__monitor_vcpu *vcpu, char *line, size_t size)
{
	const struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		serve_io(vcpu);
		return BK__EXIT_SERVED;
	case KVM_EXIT_HLT:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return BK__EXIT_SERVED;
	case KVM_EXIT_SHUTDOWN:
		return BK__EXIT_CRASHED;
	case KVM_EXIT_INTERNAL_ERROR:
		if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION)
			return fail(line, size, "KVM's internal error", run->internal.suberror);
		if (serve_emulation_failure(vcpu))
			return BK__EXIT_SERVED;
		return fail(line, size,
			    "an instruction that KVM cannot emulate, and the guest takes no undefined opcode "
			    "exception",
			    run->internal.suberror);
	case KVM_EXIT_SYSTEM_EVENT:
		return fail(line, size, "a system event", run->system_event.type);
	default:
		return fail(line, size, "an exit that is not known", run->exit_reason);
	}
}
