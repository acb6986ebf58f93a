/* SPDX-License-Identifier: BSD-2-Clause */
/* Why a vCPU left the guest, and serving it: what every architecture has. */
#include "monitor/exit.h"

#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

#include "base/guard.h"
#include "base/ratelimit.h"
#include "monitor/access.h"
#include "monitor/arch.h"

static void serve_mmio(struct bk__monitor_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	const unsigned width = run->mmio.len <= 8 ? run->mmio.len : 8;

	bk__monitor_access_count(&vcpu->mmio_exits);
	if (bk__monitor_access_look_up(vcpu, run->mmio.phys_addr).whole)
		bk__monitor_access_count(&vcpu->mapped_exits);
	if (width)
		bk__monitor_access_serve(vcpu->all->config.memory, run->mmio.phys_addr, width,
					 run->mmio.is_write, run->mmio.data);
	vcpu->incomplete = true;
}

bool bk__monitor_exit_unbacked(struct bk__monitor_vcpu *vcpu)
{
	static struct bk__ratelimit limit;
	const struct bk__monitor_vcpus_config *config = &vcpu->all->config;
	char place[128] = "a page of a device";
	uint64_t gpa;

	bk__base_guard_alert(); /* it may be a page of a server that has shrunk its file */
	if (bk__monitor_arch_unbacked(vcpu, &gpa)) {
		if (!config->ops->revoke(config->opaque, gpa))
			return false;
		bk__monitor_access_place(vcpu, gpa, place, sizeof(place));
	} else if (!config->ops->revoke_all(config->opaque)) {
		return false;
	}
	bk__log_limited(&limit, BK_LOG_WARNING, "the host cannot back %s any more: accesses exit from now on",
			place);
	return true;
}

static enum bk__monitor_exit serve(struct bk__monitor_vcpu *vcpu, char *line, size_t size)
{
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		serve_mmio(vcpu);
		return BK__EXIT_SERVED;
	case KVM_EXIT_INTR:
		return BK__EXIT_SERVED;
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(line, size, "the CPU refuses to enter the guest (0x%llx)",
			 run->fail_entry.hardware_entry_failure_reason);
		return BK__EXIT_FAILED;
	default:
		return bk__monitor_arch_exit(vcpu, line, size);
	}
}

enum bk__monitor_exit bk__monitor_exit_serve(struct bk__monitor_vcpu *vcpu, char *line, size_t size)
{
	enum bk__monitor_exit exit;
	size_t length;
	char where[32];

	vcpu->incomplete = false;
	vcpu->exits++;
	exit = serve(vcpu, line, size);
	if (exit == BK__EXIT_FAILED) {
		bk__monitor_arch_where(vcpu, where, sizeof(where));
		length = strlen(line);
		snprintf(line + length, size - length, " at %s", where);
	}
	return exit;
}
