/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine, as its files share it: machine.c creates it, run_machine.c runs it, requests.c handles
 * requests.
 */
#ifndef BK_MONITOR_MACHINE_H
#define BK_MONITOR_MACHINE_H

#include <stdatomic.h>

#include "monitor/arch.h"
#include "monitor/buses.h"
#include "monitor/devices.h"
#include "monitor/events.h"
#include "monitor/groups.h"
#include "monitor/gsi.h"
#include "monitor/iommu.h"
#include "monitor/map_log.h"
#include "monitor/platform.h"
#include "monitor/slots.h"
#include "monitor/state.h"
#include "monitor/vcpu.h"
#include "monitor/vm.h"

/* What the guest asks for, or comes to. */
enum bk__monitor_asked {
	BK__ASKED_NONE,
	BK__ASKED_POWEROFF,
	BK__ASKED_ERROR,
	BK__ASKED_CRASH,
	BK__ASKED_RESET,
};

struct bk__monitor {
	struct bk__monitor_config config;
	struct bk__monitor_vm vm;
	struct bk__monitor_ram ram;
	struct bk__monitor_layout layout;
	struct bk_domain *domain;
	struct bk_space *memory, *ports;
	struct bk__monitor_gsi *gsis;
	struct bk__monitor_vcpus *vcpus;
	struct bk__monitor_state *state;
	struct bk__monitor_slots *slots;
	struct bk__monitor_iommu *iommu;
	struct bk__monitor_map_log *map_log; /* or NULL */
	struct bk__monitor_platform *platform;
	struct bk__monitor_boot *boot;
	struct bk__monitor_buses *buses;
	struct bk__monitor_devices devices;
	struct bk__monitor_groups *groups; /* or NULL */
	struct bk__monitor_events events;
	bool (*wanted)(void *opaque, struct bk_mediator *mediate);
	void *wanted_opaque;
	void (*gone)(void *opaque, struct bk_mediator *mediate);
	void *gone_opaque;

	bool serves; /* requests: the owner's thread only */
	int done;    /* eventfd of what is done by jobs */
	int wake;    /* eventfd, written after one of these was set */
	_Atomic bool stop;
	_Atomic bool slot_off; /* the guest switched one off */
	bool paused;           /* by bk__monitor_pause, with a separate park; the owner's thread only */
	/* The first one counts: a guest that has asked for a reset runs on until its vCPUs are parked, and
	 * may well crash, since on hardware nothing runs after that. */
	_Atomic unsigned event;
	struct bk_error error; /* of BK__ASKED_ERROR; by the vCPU that told it, before it is parked */
	/* What ends the run whatever else is asked for; vCPUs are held. Set after its line. */
	_Atomic bool lost;
	struct bk_error lost_line;
};

/* ---- requests.c ---- */

extern const struct bk__monitor_platform_ops bk__monitor_machine_platform_ops;
extern const struct bk__monitor_vcpus_ops bk__monitor_machine_vcpus_ops;
extern const struct bk__monitor_slots_ops bk__monitor_machine_slots_ops;

/* Async-signal-safe. */
void bk__monitor_machine_wake(struct bk__monitor *monitor);

/* True if nothing was asked for before. */
bool bk__monitor_machine_tell(struct bk__monitor *monitor, enum bk__monitor_asked event);

/* The guest has switched off a slot. Under locks of the function that is written. */
void bk__monitor_machine_slot_off(void *opaque);

/* Serves requests while the jobs run. Devices cannot be plugged or unplugged meanwhile; `why` is the
 * reason given. */
int bk__monitor_machine_serve_meanwhile(struct bk__monitor *monitor, struct bk__monitor_jobs *jobs,
					const char *why, struct bk_error *err);

#endif
