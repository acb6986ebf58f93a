/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the machine: starts it, serves requests, resets it in place. */
#include "base/ratelimit.h"
#include "monitor/machine.h"

#include <errno.h>
#include <string.h>

#include "base/thread.h"

#define PAGE 4096

/* Removes devices that the guest was asked to release and has switched off. Switching off resets a device,
 * and it leaves after the reset. */
static void let_go(struct bk__monitor *monitor)
{
	struct bk_mediator *mediate, *last = NULL;

	atomic_store(&monitor->slot_off,
		     false); /* before looking: the guest may switch off another meanwhile */
	mediate = bk__monitor_devices_let_go(&monitor->devices);
	for (; mediate && mediate != last; mediate = bk__monitor_devices_let_go(&monitor->devices)) {
		last = mediate;
		if (monitor->gone && !bk_pci_function_in_reset(bk_mediator_function(mediate)))
			monitor->gone(monitor->gone_opaque, mediate);
	}
	if (mediate)
		atomic_store(&monitor->slot_off, true);
	monitor->events.impatient = mediate != NULL;
}

/* A guest that resets itself for ever must not fill the log. */
static struct bk__ratelimit reset_limit;

static void report_bar(void *opaque, const char *line)
{
	bk__log_limited(&reset_limit, BK_LOG_WARNING, "%s", line);
}

/* Does firmware's work: addresses, tables, kernel, and the first vCPU at its entry. */
static int load(struct bk__monitor *monitor, struct bk_error *err)
{
	const struct bk__monitor_start start = {
		.config = &monitor->config,
		.ram = &monitor->ram,
		.layout = &monitor->layout,
		.board = bk__monitor_platform_board(monitor->platform),
		.vcpus = bk__monitor_vcpus_fds(monitor->vcpus),
	};
	int error;

	error = bk_pci_host_assign(bk__monitor_platform_host(monitor->platform), PAGE, NULL, report_bar,
				   NULL);
	if (error)
		return bk_fail(err, -error, "the devices' BARs have no addresses: %s", strerror(-error));
	return bk__monitor_arch_boot_load(monitor->boot, &start, err);
}

#define RESETTING "the guest is being reset, or ends"

static void park_vcpus(void *opaque)
{
	bk__monitor_vcpus_park(opaque);
}

/* This can take long: a vCPU may be resetting a device or inside another slow access. */
static int park(struct bk__monitor *monitor, struct bk_error *err)
{
	struct bk__monitor_jobs jobs;

	bk__monitor_jobs_begin(&jobs, monitor->done);
	bk__monitor_jobs_add(&jobs, park_vcpus, monitor->vcpus);
	return bk__monitor_machine_serve_meanwhile(monitor, &jobs, RESETTING, err);
}

/* Resets the whole machine in place: memory keeps its contents. vCPUs are parked. */
static int reset(struct bk__monitor *monitor, struct bk_error *err)
{
	struct bk__monitor_jobs jobs;
	int error;

	bk__monitor_jobs_begin(&jobs, monitor->done);
	bk__monitor_devices_reset(&monitor->devices, &jobs);
	error = bk__monitor_machine_serve_meanwhile(monitor, &jobs, RESETTING, err);
	if (error)
		return error;
	bk__monitor_platform_reset(monitor->platform);
	error = bk__monitor_state_restore(monitor->state, err);
	if (error)
		return error;
	bk__monitor_devices_renew(&monitor->devices);
	return load(monitor, err);
}

static bool is_lost(struct bk__monitor *monitor, struct bk_error *err)
{
	if (!atomic_load(&monitor->lost))
		return false;
	bk_fail(err, ENOMEM, "%s", monitor->lost_line.text);
	return true;
}

/* Serves requests until one of them ends the run. vCPUs run when it starts, and are parked when it returns.
 */
static enum bk__monitor_end serve(struct bk__monitor *monitor, struct bk_error *err)
{
	for (;;) {
		if (bk__monitor_events_wait(&monitor->events, monitor->wake, err)) {
			bk__monitor_vcpus_park(monitor->vcpus);
			return BK__END_ERROR;
		}
		if (atomic_load(&monitor->slot_off))
			let_go(monitor);
		if (!atomic_load(&monitor->stop) && !atomic_load(&monitor->event) &&
		    !atomic_load(&monitor->lost))
			continue;
		if (park(monitor, err) || is_lost(monitor, err))
			return BK__END_ERROR;
		switch ((enum bk__monitor_asked)atomic_load(&monitor->event)) {
		case BK__ASKED_NONE:
			return BK__END_STOPPED;
		case BK__ASKED_POWEROFF:
			return BK__END_POWEROFF;
		case BK__ASKED_ERROR:
			bk_fail(err, EIO, "%s", monitor->error.text);
			return BK__END_ERROR;
		case BK__ASKED_CRASH:
			bk_fail(err, EIO, "%s", bk__monitor_arch.crash);
			return BK__END_CRASH;
		case BK__ASKED_RESET:
			break;
		}
		if (atomic_load(&monitor->stop))
			return BK__END_STOPPED;
		if (monitor->config.no_reboot)
			return BK__END_RESET;
		if (reset(monitor, err) || is_lost(monitor, err))
			return BK__END_ERROR;
		atomic_store(&monitor->event, BK__ASKED_NONE);
		bk__monitor_vcpus_revive(monitor->vcpus);
		bk__monitor_vcpus_release(monitor->vcpus);
	}
}

enum bk__monitor_end bk__monitor_run(struct bk__monitor *monitor, struct bk_error *err)
{
	enum bk__monitor_end end = BK__END_ERROR;

	bk__monitor_devices_warn(&monitor->devices);
	if (load(monitor, err))
		return BK__END_ERROR;
	if (bk__monitor_platform_connect(monitor->platform, monitor->config.console_in,
					 monitor->config.console_out, monitor->config.console_listen, err))
		return BK__END_ERROR;
	if (!bk__monitor_vcpus_start(monitor->vcpus, err)) {
		bk__base_thread_enter("control");
		bk__monitor_vcpus_release(monitor->vcpus);
		monitor->serves = true;
		end = serve(monitor, err);
		monitor->serves = false;
	}
	bk__monitor_platform_disconnect(monitor->platform);
	return end;
}

int bk__monitor_pause(struct bk__monitor *monitor, struct bk_error *err)
{
	const char *resetting = bk__monitor_devices_in_reset(&monitor->devices);

	/* Parking would stop the other vCPUs and wait until the reset is over. */
	if (!monitor->paused && resetting)
		return bk_fail(err, EBUSY, "%s is being reset; try again when that is over", resetting);
	if (!monitor->paused)
		bk__monitor_vcpus_park(monitor->vcpus);
	monitor->paused = true;
	return 0;
}

void bk__monitor_resume(struct bk__monitor *monitor)
{
	const int *fds = bk__monitor_vcpus_fds(monitor->vcpus);

	if (!monitor->paused)
		return;
	for (unsigned i = 0; i < monitor->config.cpus; i++)
		bk__monitor_arch_vcpu_resume(fds[i]);
	monitor->paused = false;
	bk__monitor_vcpus_release(monitor->vcpus);
}

bool bk__monitor_paused(const struct bk__monitor *monitor)
{
	return monitor->paused;
}

bool bk__monitor_button(struct bk__monitor *monitor)
{
	return bk__monitor_platform_button(monitor->platform);
}

void bk__monitor_stats(struct bk__monitor *monitor, struct bk__monitor_stats *stats)
{
	struct bk__monitor_vcpus_stats vcpus;
	struct bk__monitor_slots_stats slots;

	bk__monitor_vcpus_stats(monitor->vcpus, &vcpus);
	bk__monitor_slots_stats(monitor->slots, &slots);
	*stats = (struct bk__monitor_stats){
		.mmio_exits = vcpus.mmio_exits,
		.io_exits = vcpus.io_exits,
		.mapped_exits = vcpus.mapped_exits,
		.memslots = slots.used,
		.unmappable = slots.unmappable,
	};
}
