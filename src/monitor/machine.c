/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine: puts its parts together, runs it, resets it, takes it apart. */
#include "monitor/monitor.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/thread.h"
#include "monitor/acpi.h"
#include "monitor/boot.h"
#include "monitor/buses.h"
#include "monitor/cpuid.h"
#include "monitor/devices.h"
#include "monitor/events.h"
#include "monitor/groups.h"
#include "monitor/gsi.h"
#include "monitor/iommu.h"
#include "monitor/keeper.h"
#include "monitor/platform.h"
#include "monitor/ram.h"
#include "monitor/slots.h"
#include "monitor/state.h"
#include "monitor/terminal.h"
#include "monitor/vcpu.h"
#include "monitor/vm.h"

#define CPUS 16
#define PAGE 4096

/* What the guest asks for, or comes to. */
enum event { EVENT_NONE, EVENT_POWEROFF, EVENT_ERROR, EVENT_TRIPLE, EVENT_RESET };

struct bk__monitor {
	struct bk__monitor_config config;
	struct bk__monitor_vm vm;
	struct bk__monitor_ram ram;
	struct kvm_cpuid2 *cpuid;
	struct bk__monitor_window mmio64;
	struct bk_domain *domain;
	struct bk_space *memory, *ports;
	struct bk__monitor_gsi *gsis;
	struct bk__monitor_vcpus *vcpus;
	struct bk__monitor_state *state;
	struct bk__monitor_slots *slots;
	struct bk__monitor_iommu *iommu;
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
	bool paused;           /* by bk__monitor_pause, with a park of its own; the owner's thread only */
	/* The first one counts: a guest that has asked for a reset runs on until its vCPUs are parked, and
	 * may well crash, since on hardware nothing runs after that. */
	_Atomic unsigned event;
	struct bk_error error; /* of EVENT_ERROR; by the vCPU that told it, before it is parked */
	/* What ends the run whatever else is asked for; vCPUs are held. Set after its line. */
	_Atomic bool lost;
	struct bk_error lost_line;
};

/* ---- Requests ---------------------------------------------------------- */

/* Async-signal-safe. */
static void wake(struct bk__monitor *monitor)
{
	const uint64_t one = 1;
	const int error = errno;

	if (write(monitor->wake, &one, sizeof(one)) < 0) {
		/* the counter is full, so somebody wakes up anyway */
	}
	errno = error;
}

static bool tell(struct bk__monitor *monitor, enum event event)
{
	unsigned none = EVENT_NONE;
	const bool first = atomic_compare_exchange_strong(&monitor->event, &none, event);

	if (first)
		wake(monitor);
	return first;
}

static void on_poweroff(void *opaque)
{
	tell(opaque, EVENT_POWEROFF);
}

static void on_reset(void *opaque)
{
	tell(opaque, EVENT_RESET);
}

static void on_escape(void *opaque)
{
	bk__monitor_stop(opaque);
}

/* Under locks of the function that is written. */
static void on_slot_off(void *opaque)
{
	struct bk__monitor *monitor = opaque;

	atomic_store(&monitor->slot_off, true);
	wake(monitor);
}

static const struct bk__monitor_platform_ops platform_ops = {
	.poweroff = on_poweroff,
	.reset = on_reset,
	.escape = on_escape,
};

static void on_stopped(void *opaque, unsigned vcpu, const char *error)
{
	struct bk__monitor *monitor = opaque;

	if (tell(monitor, error ? EVENT_ERROR : EVENT_TRIPLE) && error)
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

static const struct bk__monitor_vcpus_ops vcpus_ops = { .stopped = on_stopped,
							.mapped = on_mapped,
							.revoke = on_revoke };

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
	wake(monitor);
}

static const struct bk__monitor_slots_ops slots_ops = { .hold = on_hold,
							.release = on_release,
							.lost = on_lost };

/* ---- Making it --------------------------------------------------------- */

static int create_spaces(struct bk__monitor *monitor, struct bk_error *err)
{
	monitor->domain = bk_domain_create();
	if (monitor->domain) {
		monitor->memory = bk_space_create(monitor->domain, "memory", UINT64_MAX);
		monitor->ports = bk_space_create(monitor->domain, "ports", 0xffff);
	}
	return monitor->memory && monitor->ports ? 0 : bk_fail(err, ENOMEM, "address spaces: out of memory");
}

static int create_vcpus(struct bk__monitor *monitor, struct bk_error *err)
{
	struct bk__monitor_vcpus_config config = {
		.vm = &monitor->vm,
		.count = monitor->config.cpus,
		.memory = monitor->memory,
		.ports = monitor->ports,
		.ram = &monitor->ram,
		.cpuid = monitor->cpuid,
		.ops = &vcpus_ops,
		.opaque = monitor,
	};
	int error = bk__monitor_vcpus_create(&config, &monitor->vcpus, err);

	if (error)
		return error;
	return bk__monitor_state_save(&monitor->vm, bk__monitor_vcpus_fds(monitor->vcpus),
				      monitor->config.cpus, &monitor->state, err);
}

static int create_platform(struct bk__monitor *monitor, struct bk_error *err)
{
	struct bk__monitor_platform_config config = {
		.memory = monitor->memory,
		.ports = monitor->ports,
		.ram = &monitor->ram,
		.gsis = monitor->gsis,
		.ops = &platform_ops,
		.opaque = monitor,
	};

	config.mmio64 = monitor->mmio64;
	return bk__monitor_platform_create(&config, &monitor->platform, err);
}

/* Serves who asks for something while the jobs are under way. No device comes or goes meanwhile: `why`. */
static int serve_meanwhile(struct bk__monitor *monitor, struct bk__monitor_jobs *jobs, const char *why,
			   struct bk_error *err)
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

/* Of devices that leave. When the run has ended nobody asks for anything. */
static void on_meanwhile(void *opaque, void (*work)(void *), void *work_opaque)
{
	struct bk__monitor *monitor = opaque;
	struct bk__monitor_jobs jobs;
	struct bk_error err;

	if (!monitor->serves) {
		work(work_opaque);
		return;
	}
	bk__monitor_jobs_begin(&jobs, monitor->done);
	bk__monitor_jobs_add(&jobs, work, work_opaque);
	if (serve_meanwhile(monitor, &jobs, "another device is being given back", &err))
		bk_log(BK_LOG_ERROR, "%s", err.text);
}

static int create_buses(struct bk__monitor *monitor, struct bk_error *err)
{
	monitor->buses = bk__monitor_buses_create(bk__monitor_platform_host(monitor->platform),
						  "the host bridge", on_slot_off, monitor);
	if (!monitor->buses)
		return bk_fail(err, ENOMEM, "buses: out of memory");
	monitor->devices = (struct bk__monitor_devices){
		.vm = &monitor->vm,
		.memory = monitor->memory,
		.buses = monitor->buses,
		.gsis = monitor->gsis,
		.iommu = monitor->iommu,
		.events = &monitor->events,
		.meanwhile = on_meanwhile,
		.opaque = monitor,
	};
	return 0;
}

/* RAM at addresses that the CPU has not, or that devices cannot reach, would be no RAM. */
static int lay_out(struct bk__monitor *monitor, struct bk_error *err)
{
	const struct bk__monitor_config *config = &monitor->config;
	struct bk__monitor_layout layout;
	const int error =
		bk__monitor_layout_plan(monitor->ram.size, bk__monitor_cpuid_physical_bits(monitor->cpuid),
					config->iova_ranges, config->iova_range_count, &layout, err);

	if (error)
		return error;
	monitor->config.iova_ranges = NULL; /* the caller's, from now on */
	monitor->ram.moved = layout.moved;
	monitor->mmio64 = layout.mmio64;
	return 0;
}

static int create(struct bk__monitor *monitor, struct bk_error *err)
{
	const struct bk__monitor_config *config = &monitor->config;
	int error;

	monitor->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	monitor->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (monitor->wake < 0 || monitor->done < 0)
		return bk_fail(err, errno, "eventfd: %s", strerror(errno));
	error = bk__monitor_ram_open(&monitor->ram, config->memory, config->huge_pages, config->preallocate,
				     err);
	if (!error) /* wrong files are told before a missing KVM is */
		error = bk__monitor_boot_open(config->kernel, config->initrd, config->append, &monitor->ram,
					      &monitor->boot, err);
	if (!error)
		error = bk__monitor_vm_open(&monitor->vm, err);
	if (!error)
		error = bk__monitor_cpuid_host(&monitor->vm, &monitor->cpuid, err);
	if (!error)
		error = lay_out(monitor, err);
	if (!error)
		error = create_spaces(monitor, err);
	if (!error)
		error = bk__monitor_gsi_create(&monitor->vm, &monitor->gsis, err);
	if (!error)
		error = create_vcpus(monitor, err);
	if (!error)
		error = create_platform(monitor, err);
	if (!error)
		error = bk__monitor_slots_create(&monitor->vm, monitor->memory, &slots_ops, monitor,
						 &monitor->slots, err);
	if (!error)
		error = bk__monitor_iommu_create(monitor->memory, config->peer_to_peer, &monitor->iommu, err);
	if (!error)
		error = create_buses(monitor, err);
	return error;
}

int bk__monitor_create(const struct bk__monitor_config *config, struct bk__monitor **out,
		       struct bk_error *err)
{
	struct bk__monitor *monitor;
	int error;

	if (config->cpus < 1 || config->cpus > CPUS)
		return bk_fail(err, EINVAL, "%u CPUs: give 1 to %d", config->cpus, CPUS);
	monitor = calloc(1, sizeof(*monitor));
	if (!monitor)
		return bk_fail(err, ENOMEM, "monitor: out of memory");
	monitor->config = *config;
	monitor->vm.kvm = monitor->vm.fd = monitor->ram.fd = monitor->wake = monitor->done = -1;
	error = bk__monitor_terminal_is(config->console_in)
			? bk__monitor_keeper_start(config->console_in, err)
			: 0;
	if (!error)
		error = create(monitor, err);
	if (error) {
		bk__monitor_destroy(monitor);
		return error;
	}
	*out = monitor;
	return 0;
}

struct bk_domain *bk__monitor_domain(struct bk__monitor *monitor)
{
	return monitor->domain;
}

struct bk_space *bk__monitor_memory(struct bk__monitor *monitor)
{
	return monitor->memory;
}

struct bk_space *bk__monitor_ports(struct bk__monitor *monitor)
{
	return monitor->ports;
}

struct bk_pci_host *bk__monitor_host(struct bk__monitor *monitor)
{
	return bk__monitor_platform_host(monitor->platform);
}

/* ---- Devices ----------------------------------------------------------- */

int bk__monitor_bridge(struct bk__monitor *monitor, const struct bk__monitor_bridge_config *config,
		       struct bk_error *err)
{
	return bk__monitor_buses_bridge(monitor->buses, config, err);
}

int bk__monitor_bus(struct bk__monitor *monitor, const char *name, enum bk__monitor_bus_kind *kind,
		    struct bk_error *err)
{
	const struct bk__monitor_bus *bus = bk__monitor_buses_find(monitor->buses, name, err);

	if (!bus)
		return -ENOENT;
	*kind = bus->kind;
	return 0;
}

int bk__monitor_attach(struct bk__monitor *monitor, struct bk_mediator *mediate,
		       const struct bk__monitor_place *place, struct bk_error *err)
{
	return bk__monitor_devices_attach(&monitor->devices, mediate, place, err);
}

int bk__monitor_busy(const struct bk__monitor *monitor, struct bk_error *err)
{
	return bk__monitor_devices_busy(&monitor->devices, err);
}

int bk__monitor_detach(struct bk__monitor *monitor, struct bk_mediator *mediate, struct bk_error *err)
{
	return bk__monitor_devices_detach(&monitor->devices, mediate, err);
}

void bk__monitor_groups(struct bk__monitor *monitor, const int *fds, unsigned count)
{
	if (count && !monitor->groups)
		monitor->groups = bk__monitor_groups_create(&monitor->vm);
	if (monitor->groups)
		bk__monitor_groups_set(monitor->groups, fds, count);
}

void bk__monitor_watch(struct bk__monitor *monitor, int fd, void (*ready)(void *opaque), void *opaque)
{
	monitor->events.watch = (struct bk__monitor_watch){ fd, ready, opaque };
}

static bool on_wanted(void *opaque, struct bk_device *device)
{
	struct bk__monitor *monitor = opaque;
	struct bk_mediator *mediate = bk__monitor_devices_find(&monitor->devices, device);

	/* None leaves while one is reset; this one is not asked for twice. */
	bk__monitor_devices_wait(&monitor->devices);
	return mediate && monitor->wanted(monitor->wanted_opaque, mediate);
}

void bk__monitor_wanted(struct bk__monitor *monitor,
			bool (*wanted)(void *opaque, struct bk_mediator *mediate), void *opaque)
{
	monitor->wanted = wanted;
	monitor->wanted_opaque = opaque;
	monitor->events.wanted = on_wanted;
	monitor->events.opaque = monitor;
}

int bk__monitor_ask(struct bk__monitor *monitor, struct bk_mediator *mediate, struct bk_error *err)
{
	return bk__monitor_devices_ask(&monitor->devices, mediate, err);
}

void bk__monitor_let_go(struct bk__monitor *monitor, void (*gone)(void *opaque, struct bk_mediator *mediate),
			void *opaque)
{
	monitor->gone = gone;
	monitor->gone_opaque = opaque;
}

/* What the guest was asked for and has switched off leaves its slot. Switching off resets it, and it can
 * leave when that is over. */
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

/* ---- Running it -------------------------------------------------------- */

/* A guest that resets itself for ever must not fill the log. */
static struct bk_ratelimit reset_limit;

static void report_bar(void *opaque, const char *line)
{
	bk_log_limited(&reset_limit, BK_LOG_WARNING, "%s", line);
}

/* Firmware's work: addresses, tables, kernel, and the first vCPU at its entry. */
static int load(struct bk__monitor *monitor, struct bk_error *err)
{
	const struct bk__monitor_acpi_config acpi = { .cpus = monitor->config.cpus,
						      .mmio64 = monitor->mmio64 };
	const int vcpu = bk__monitor_vcpus_fds(monitor->vcpus)[0];
	struct kvm_regs regs = { 0 };
	struct kvm_sregs sregs;
	uint64_t rsdp;
	int error;

	bk_pci_host_assign(bk__monitor_platform_host(monitor->platform), PAGE, report_bar, NULL);
	error = bk__monitor_acpi_build(&monitor->ram, &acpi, &rsdp, err);
	if (!error)
		error = bk__monitor_boot_load(monitor->boot, &monitor->ram, rsdp, err);
	if (error)
		return error;
	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return bk_fail(err, errno, "kvm: registers of vCPU 0: %s", strerror(errno));
	bk__monitor_boot_registers(monitor->boot, &regs, &sregs);
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return bk_fail(err, errno, "kvm: registers of vCPU 0 at the kernel's entry: %s",
			       strerror(errno));
	return 0;
}

#define RESETTING "the guest is being reset, or ends"

static void park_vcpus(void *opaque)
{
	bk__monitor_vcpus_park(opaque);
}

/* One of them may be in a reset of a device, or in another access that takes its time. */
static int park(struct bk__monitor *monitor, struct bk_error *err)
{
	struct bk__monitor_jobs jobs;

	bk__monitor_jobs_begin(&jobs, monitor->done);
	bk__monitor_jobs_add(&jobs, park_vcpus, monitor->vcpus);
	return serve_meanwhile(monitor, &jobs, RESETTING, err);
}

/* A reset of the whole machine, in place: memory keeps what it holds. vCPUs are parked. */
static int reset(struct bk__monitor *monitor, struct bk_error *err)
{
	struct bk__monitor_jobs jobs;
	int error;

	bk__monitor_jobs_begin(&jobs, monitor->done);
	bk__monitor_devices_reset(&monitor->devices, &jobs);
	error = serve_meanwhile(monitor, &jobs, RESETTING, err);
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
		switch ((enum event)atomic_load(&monitor->event)) {
		case EVENT_NONE:
			return BK__END_STOPPED;
		case EVENT_POWEROFF:
			return BK__END_POWEROFF;
		case EVENT_ERROR:
			bk_fail(err, EIO, "%s", monitor->error.text);
			return BK__END_ERROR;
		case EVENT_TRIPLE:
			bk_fail(err, EIO, "triple fault");
			return BK__END_TRIPLE_FAULT;
		case EVENT_RESET:
			break;
		}
		if (atomic_load(&monitor->stop))
			return BK__END_STOPPED;
		if (monitor->config.no_reboot)
			return BK__END_RESET;
		if (reset(monitor, err) || is_lost(monitor, err))
			return BK__END_ERROR;
		atomic_store(&monitor->event, EVENT_NONE);
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

	/* The vCPU that resets it comes out of that when it has ended, and all others would wait for it. */
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
	/* So that a guest with KVM's clock does not take the pause for a lockup; another has nothing to tell.
	 */
	for (unsigned i = 0; i < monitor->config.cpus; i++)
		ioctl(fds[i], KVM_KVMCLOCK_CTRL, 0);
	monitor->paused = false;
	bk__monitor_vcpus_release(monitor->vcpus);
}

bool bk__monitor_paused(const struct bk__monitor *monitor)
{
	return monitor->paused;
}

void bk__monitor_reset(struct bk__monitor *monitor)
{
	tell(monitor, EVENT_RESET);
}

bool bk__monitor_button(struct bk__monitor *monitor)
{
	return bk__monitor_platform_button(monitor->platform);
}

void bk__monitor_stop(struct bk__monitor *monitor)
{
	atomic_store(&monitor->stop, true);
	wake(monitor);
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

void bk__monitor_destroy(struct bk__monitor *monitor)
{
	/* No thread of the guest is left when the rest goes. The slots' listener may still hold vCPUs
	 * out of the guest while devices leave, hence they are freed after it. */
	if (monitor->vcpus)
		bk__monitor_vcpus_stop(monitor->vcpus);
	bk__monitor_groups_destroy(monitor->groups);
	bk__monitor_devices_close(&monitor->devices);
	bk__monitor_buses_destroy(monitor->buses);
	bk__monitor_iommu_destroy(monitor->iommu);
	bk__monitor_slots_destroy(monitor->slots);
	if (monitor->platform)
		bk__monitor_platform_destroy(monitor->platform);
	bk__monitor_state_free(monitor->state);
	bk__monitor_vcpus_destroy(monitor->vcpus);
	bk__monitor_gsi_destroy(monitor->gsis);
	if (monitor->memory)
		bk_space_destroy(monitor->memory);
	if (monitor->ports)
		bk_space_destroy(monitor->ports);
	if (monitor->domain)
		bk_domain_destroy(monitor->domain);
	free(monitor->cpuid);
	bk__monitor_vm_close(&monitor->vm);
	if (monitor->boot)
		bk__monitor_boot_close(monitor->boot);
	bk__monitor_ram_close(&monitor->ram);
	if (monitor->wake >= 0)
		close(monitor->wake);
	if (monitor->done >= 0)
		close(monitor->done);
	bk__monitor_keeper_stop();
	free(monitor);
}
