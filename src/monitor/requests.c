/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to the machine from its guest, KVM and its owner. */
#include "monitor/machine.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* Async-signal-safe. */
void bk__monitor_machine_wake(struct bk__monitor *monitor)
{
	const uint64_t one = 1;
	const int error = errno;

	if (write(monitor->wake, &one, sizeof(one)) < 0) {
		/* the counter is full, so somebody wakes up anyway */
	}
	errno = error;
}

bool bk__monitor_machine_tell(struct bk__monitor *monitor, enum bk__monitor_asked event)
{
	unsigned none = BK__ASKED_NONE;
	const bool first = atomic_compare_exchange_strong(&monitor->event, &none, event);

	if (first)
		bk__monitor_machine_wake(monitor);
	return first;
}

static void on_poweroff(void *opaque)
{
	bk__monitor_machine_tell(opaque, BK__ASKED_POWEROFF);
}

static void on_reset(void *opaque)
{
	bk__monitor_machine_tell(opaque, BK__ASKED_RESET);
}

static void on_escape(void *opaque)
{
	bk__monitor_stop(opaque);
}

/* Called under locks of the function that is written. */
void bk__monitor_machine_slot_off(void *opaque)
{
	struct bk__monitor *monitor = opaque;

	atomic_store(&monitor->slot_off, true);
	bk__monitor_machine_wake(monitor);
}

const struct bk__monitor_platform_ops bk__monitor_machine_platform_ops = {
	.poweroff = on_poweroff,
	.reset = on_reset,
	.escape = on_escape,
};

static void on_stopped(void *opaque, unsigned vcpu, const char *error)
{
	struct bk__monitor *monitor = opaque;

	if (bk__monitor_machine_tell(monitor, error ? BK__ASKED_ERROR : BK__ASKED_CRASH) && error)
		snprintf(monitor->error.text, sizeof(monitor->error.text), "vCPU %u: %s", vcpu, error);
}

static bool on_mapped(void *opaque, uint64_t gpa)
{
	struct bk__monitor *monitor = opaque;

	return bk__monitor_slots_covers(monitor->slots, gpa);
}

static bool on_revoke(void *opaque, uint64_t gpa)
{
	struct bk__monitor *monitor = opaque;

	return bk__monitor_slots_revoke(monitor->slots, gpa);
}

static bool on_revoke_all(void *opaque)
{
	struct bk__monitor *monitor = opaque;

	return bk__monitor_slots_revoke_all(monitor->slots);
}

const struct bk__monitor_vcpus_ops bk__monitor_machine_vcpus_ops = { .poweroff = on_poweroff,
								     .reset = on_reset,
								     .stopped = on_stopped,
								     .mapped = on_mapped,
								     .revoke = on_revoke,
								     .revoke_all = on_revoke_all };

static void on_hold(void *opaque)
{
	struct bk__monitor *monitor = opaque;

	bk__monitor_vcpus_hold(monitor->vcpus);
}

static void on_release(void *opaque)
{
	struct bk__monitor *monitor = opaque;

	bk__monitor_vcpus_release(monitor->vcpus);
}

static void on_lost(void *opaque, const char *line)
{
	struct bk__monitor *monitor = opaque;

	bk_fail(&monitor->lost_line, ENOMEM, "%s", line);
	atomic_store(&monitor->lost, true);
	bk__monitor_machine_wake(monitor);
}

const struct bk__monitor_slots_ops bk__monitor_machine_slots_ops = { .hold = on_hold,
								     .release = on_release,
								     .lost = on_lost };

int bk__monitor_machine_serve_meanwhile(struct bk__monitor *monitor, struct bk__monitor_jobs *jobs,
					const char *why, struct bk_error *err)
{
	int error;

	bk__monitor_jobs_seal(jobs);
	monitor->events.quiet = true;
	monitor->devices.busy = why;
	error = bk__monitor_events_wait(&monitor->events, monitor->done, err);
	bk__monitor_jobs_end(jobs);
	monitor->events.quiet = false;
	monitor->devices.busy = NULL;
	return error;
}

void bk__monitor_reset(struct bk__monitor *monitor)
{
	bk__monitor_machine_tell(monitor, BK__ASKED_RESET);
}

void bk__monitor_stop(struct bk__monitor *monitor)
{
	atomic_store(&monitor->stop, true);
	bk__monitor_machine_wake(monitor);
}
