/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting an arm64 machine: kernel or firmware, devicetree, and the first vCPU at its first instruction. */
#include <errno.h>
#include <string.h>

#include "monitor/arch.h"
#include "monitor/arm64/devicetree.h"
#include "monitor/arm64/flash.h"
#include "monitor/arm64/image.h"
#include "monitor/arm64/vcpu_registers.h"

int bk__monitor_arch_boot_open(const struct bk__monitor_config *config, const struct bk__monitor_ram *ram,
			       struct bk__monitor_boot **boot, struct bk_error *err)
{
	return bk__monitor_image_open(config, ram, boot, err);
}

static int put_devicetree(const struct bk__monitor_boot *boot, const struct bk__monitor_start *start,
			  struct bk_error *err)
{
	const struct bk__monitor_devicetree_config config = {
		.cpus = start->config->cpus,
		.ram = start->ram,
		.mmio64 = start->layout->mmio64,
		.io_window = start->config->io_window,
		.append = *boot->append ? boot->append : NULL,
		.initrd = boot->image.initrd,
		.initrd_size = boot->initrd.fd < 0 ? 0 : boot->initrd.size,
	};
	void *blob = bk__monitor_ram_at(start->ram, boot->image.devicetree, BK__DEVICETREE_SIZE);

	if (!blob)
		return bk_fail(err, ENOMEM, "devicetree: the guest has no memory for it");
	return bk__monitor_devicetree_build(&config, blob, err);
}

int bk__monitor_arch_boot_load(struct bk__monitor_boot *boot, const struct bk__monitor_start *start,
			       struct bk_error *err)
{
	uint64_t entry = boot->image.entry, devicetree = boot->image.devicetree;
	int error = boot->image.firmware ? bk__monitor_flash_load(bk__monitor_board_flash(start->board),
								  &boot->kernel, err)
					 : bk__monitor_image_load(boot, start->ram, err);

	if (!error)
		error = put_devicetree(boot, start, err);
	if (error)
		return error;
	error = bk__monitor_arm64_register(start->vcpus[0], BK__ARM64_PC, true, &entry);
	if (!error)
		error = bk__monitor_arm64_register(start->vcpus[0], BK__ARM64_X0, true, &devicetree);
	return error ? bk_fail(err, -error, "kvm: registers of vCPU 0: %s", strerror(-error)) : 0;
}
