/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's CPUs: a thread each, which runs the guest and serves its exits. */
#ifndef BK_MONITOR_VCPU_H
#define BK_MONITOR_VCPU_H

#include <barkeep/space.h>

#include "monitor/layout.h"
#include "monitor/vm.h"

struct bk__monitor_vcpus;

/* All from a vCPU's thread. */
struct bk__monitor_vcpus_ops {
	/* The vCPU switched off or reset the machine by a call that KVM serves. It waits for a reset or the
	 * end. */
	void (*poweroff)(void *opaque);
	void (*reset)(void *opaque);
	/* The vCPU stopped, and waits for a reset or the end: the guest crashed if `error` is
	 * NULL, else KVM failed as it says. */
	void (*stopped)(void *opaque, unsigned vcpu, const char *error);
	bool (*mapped)(void *opaque, uint64_t gpa); /* does the guest reach it without an exit by now? */
	bool (*revoke)(void *opaque, uint64_t gpa); /* the host cannot back it: let it exit from now on */
	bool (*revoke_all)(void *opaque);           /* the same for all device memory */
};

struct bk__monitor_vcpus_config {
	const struct bk__monitor_vm *vm;
	unsigned count;
	struct bk_space *memory, *ports;
	const struct bk__monitor_ram *ram;
	const struct bk__monitor_vcpus_ops *ops;
	void *opaque;
};

int bk__monitor_vcpus_create(const struct bk__monitor_vcpus_config *config, struct bk__monitor_vcpus **vcpus,
			     struct bk_error *err);

/* KVM's file descriptors of them; the array is the vCPUs' own. */
const int *bk__monitor_vcpus_fds(const struct bk__monitor_vcpus *vcpus);

/* Starts their threads, parked. Owner only. */
int bk__monitor_vcpus_start(struct bk__monitor_vcpus *vcpus, struct bk_error *err);

/* None is in KVM_RUN when it returns, nor will be until as many releases. Handlers may still run, and the
 * caller may be one. */
void bk__monitor_vcpus_hold(struct bk__monitor_vcpus *vcpus);
void bk__monitor_vcpus_release(struct bk__monitor_vcpus *vcpus);

/* A hold that also waits for handlers and completes their accesses, so that state may be read and written.
 * Never from a handler. */
void bk__monitor_vcpus_park(struct bk__monitor_vcpus *vcpus);

/* Those that stopped may run again, once released. While parked. */
void bk__monitor_vcpus_revive(struct bk__monitor_vcpus *vcpus);

struct bk__monitor_vcpus_stats {
	uint64_t mmio_exits, io_exits;
	uint64_t mapped_exits; /* on pages that are mapped whole */
};
void bk__monitor_vcpus_stats(const struct bk__monitor_vcpus *vcpus, struct bk__monitor_vcpus_stats *stats);

/* Ends the threads, if started. Never from a handler. */
void bk__monitor_vcpus_stop(struct bk__monitor_vcpus *vcpus);
void bk__monitor_vcpus_destroy(struct bk__monitor_vcpus *vcpus);

#endif
