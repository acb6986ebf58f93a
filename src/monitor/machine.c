/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine: puts its parts together, and takes them apart. */
#include "monitor/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/guard.h"
#include "monitor/keeper.h"
#include "monitor/ram.h"
#include "monitor/terminal.h"

#define CPUS 16

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
		.ops = &bk__monitor_machine_vcpus_ops,
		.opaque = monitor,
	};
	int error = bk__monitor_vcpus_create(&config, &monitor->vcpus, err);

	if (error)
		return error;
	error = bk__monitor_arch_vm_complete(&monitor->vm, err);
	if (error)
		return error;
	return bk__monitor_state_save(&monitor->vm, bk__monitor_vcpus_fds(monitor->vcpus),
				      monitor->config.cpus, &monitor->state, err);
}

static int create_platform(struct bk__monitor *monitor, struct bk_error *err)
{
	struct bk__monitor_platform_config config = {
		.config = &monitor->config,
		.memory = monitor->memory,
		.ports = monitor->ports,
		.ram = &monitor->ram,
		.layout = &monitor->layout,
		.gsis = monitor->gsis,
		.ops = &bk__monitor_machine_platform_ops,
		.opaque = monitor,
	};

	return bk__monitor_platform_create(&config, &monitor->platform, err);
}

/* For devices that leave. After the end of the run, no more requests come. */
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
	if (bk__monitor_machine_serve_meanwhile(monitor, &jobs, "another device is being given back", &err))
		bk_log(BK_LOG_ERROR, "%s", err.text);
}

static int create_buses(struct bk__monitor *monitor, struct bk_error *err)
{
	monitor->buses = bk__monitor_buses_create(bk__monitor_platform_host(monitor->platform),
						  "the host bridge", bk__monitor_machine_slot_off, monitor);
	if (!monitor->buses)
		return bk_fail(err, ENOMEM, "buses: out of memory");
	monitor->devices = (struct bk__monitor_devices){
		.vm = &monitor->vm,
		.memory = monitor->memory,
		.ports = monitor->ports,
		.buses = monitor->buses,
		.gsis = monitor->gsis,
		.iommu = monitor->iommu,
		.map_log = monitor->map_log,
		.events = &monitor->events,
		.meanwhile = on_meanwhile,
		.opaque = monitor,
	};
	return 0;
}

/* RAM at addresses that the CPU does not have, or that devices cannot reach, could not be used. */
static int lay_out(struct bk__monitor *monitor, struct bk_error *err)
{
	const struct bk__monitor_config *config = &monitor->config;
	const int error = bk__monitor_layout_plan(&monitor->ram, monitor->vm.address_bits,
						  bk__monitor_arch.mmio64_first, config->iova_ranges,
						  config->iova_range_count, &monitor->layout, err);

	if (error)
		return error;
	monitor->config.iova_ranges = NULL; /* the caller may free it now */
	monitor->ram.high = monitor->layout.high;
	return 0;
}

static int create(struct bk__monitor *monitor, struct bk_error *err)
{
	const struct bk__monitor_config *config = &monitor->config;
	const struct bk__monitor_ram_config ram = { .size = config->memory,
						    .huge_pages = config->huge_pages,
						    .share = config->share_memory,
						    .preallocate = config->preallocate };
	int error;

	error = bk__base_loop_create(&monitor->events.loop);
	if (error)
		return bk_fail(err, -error, "events: %s", strerror(-error));
	monitor->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	monitor->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (monitor->wake < 0 || monitor->done < 0)
		return bk_fail(err, errno, "eventfd: %s", strerror(errno));
	error = bk__monitor_ram_open(&monitor->ram, &ram, err);
	if (error)
		return error;
	bk__monitor_layout_low(&monitor->ram, bk__monitor_arch.ram_first, bk__monitor_arch_ram_end(config));
	/* Report wrong files before a missing KVM. */
	error = bk__monitor_arch_boot_open(config, &monitor->ram, &monitor->boot, err);
	if (!error)
		error = bk__monitor_vm_open(&monitor->vm, err);
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
		error = bk__monitor_slots_create(&monitor->vm, monitor->memory,
						 &bk__monitor_machine_slots_ops, monitor, &monitor->slots,
						 err);
	if (!error)
		error = bk__monitor_iommu_create(monitor->memory, config->peer_to_peer, &monitor->iommu, err);
	if (!error && config->log_map)
		error = bk__monitor_map_log_create(monitor->memory, monitor->ports, &monitor->map_log, err);
	if (!error)
		error = create_buses(monitor, err);
	/* The terminal's handler is installed by now; it gets faults that the guard cannot mend. */
	bk__base_guard_start();
	return error;
}

int bk__monitor_create(const struct bk__monitor_config *config, struct bk__monitor **out,
		       struct bk_error *err)
{
	struct bk__monitor *monitor;
	int error;

	if (config->cpus < 1 || config->cpus > CPUS)
		return bk_fail(err, EINVAL, "%u CPUs: give 1 to %d", config->cpus, CPUS);
	if (bk__monitor_arch_check(config, err))
		return -EINVAL;
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

void bk__monitor_destroy(struct bk__monitor *monitor)
{
	/* No thread of the guest is left when the rest goes. The slots' listener may still hold vCPUs
	 * out of the guest while devices leave, hence they are freed after it. */
	if (monitor->vcpus)
		bk__monitor_vcpus_stop(monitor->vcpus);
	bk__monitor_groups_destroy(monitor->groups);
	bk__monitor_devices_close(&monitor->devices);
	bk__monitor_buses_destroy(monitor->buses);
	bk__monitor_map_log_destroy(monitor->map_log);
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
	bk__monitor_vm_close(&monitor->vm);
	if (monitor->boot)
		bk__monitor_boot_close(monitor->boot);
	bk__monitor_ram_close(&monitor->ram);
	bk__base_loop_destroy(monitor->events.loop);
	if (monitor->wake >= 0)
		close(monitor->wake);
	if (monitor->done >= 0)
		close(monitor->done);
	bk__monitor_keeper_stop();
	free(monitor);
}
