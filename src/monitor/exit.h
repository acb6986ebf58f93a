/* SPDX-License-Identifier: BSD-2-Clause */
/* What the threads of vCPUs and the handlers of their exits share. */
#ifndef BK_MONITOR_EXIT_H
#define BK_MONITOR_EXIT_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>

#include "monitor/vcpu.h"

#define BK__CPUS_MAX    16
#define BK__FAULT_TRIES 1000 /* of a millisecond each */

struct bk__monitor_vcpu {
	struct bk__monitor_vcpus *all;
	unsigned id;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	_Atomic bool running; /* in KVM_RUN, or on the way */
	bool parked;          /* under the lock */
	bool stopped;         /* by the thread itself; cleared while it is parked */

	/* The thread's own. */
	bool incomplete; /* KVM has to be entered again for the access served last */
	unsigned faults; /* KVM_RUN said EFAULT, in a row */
	uint64_t exits;  /* so far */
	struct bk__monitor_arch_vcpu *arch;
	_Atomic uint64_t mmio_exits, io_exits, mapped_exits;
};

struct bk__monitor_vcpus {
	struct bk__monitor_vcpus_config config;
	unsigned started;
	int fds[BK__CPUS_MAX];
	_Atomic unsigned holds; /* raised with the lock held */

	pthread_mutex_t lock;   /* takes no other; taken inside the commit lock */
	pthread_cond_t changed; /* a vCPU left KVM_RUN, or parked */
	pthread_cond_t go;      /* holds are gone, or quit, or parking */
	bool parking, quit;
	struct bk__monitor_vcpu vcpus[];
};

enum bk__monitor_exit {
	BK__EXIT_SERVED,
	BK__EXIT_POWEROFF, /* the guest switches the machine off ... */
	BK__EXIT_RESET,    /* ... or resets it */
	BK__EXIT_CRASHED,  /* x86: a triple fault */
	BK__EXIT_FAILED,   /* the line says how */
};

/* Serves what KVM_RUN returned for. On the vCPU's thread. */
enum bk__monitor_exit bk__monitor_exit_serve(struct bk__monitor_vcpu *vcpu, char *line, size_t size);

/* KVM_RUN said EFAULT. If that is for a page of a device that the host took away, its accesses exit from now
 * on, and the guest goes on. Where it cannot be told which page it is, those of all devices do. */
bool bk__monitor_exit_unbacked(struct bk__monitor_vcpu *vcpu);

#endif
