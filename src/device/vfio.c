/* SPDX-License-Identifier: BSD-2-Clause */
/* A function of the host behind vfio-pci: opening, what it has, closing. */
#include "device/vfio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "device/apart.h"
#include "device/options.h"

enum {
	REGIONS_MAX = 64, /* PCI's nine and some of the device's own; more are not shown */
};

static struct bk__device_vfio *vfio_of(struct bk_device *device)
{
	return (struct bk__device_vfio *)device;
}

static int vfio_info(struct bk_device *device, struct bk_device_info *info)
{
	struct bk__device_vfio *vfio = vfio_of(device);

	*info = (struct bk_device_info){
		.flags = bk__vfio_reset_method(vfio) == BK__VFIO_RESET_NONE ? 0 : BK_DEVICE_CAN_RESET,
		.regions = vfio->region_count,
		.irqs = vfio->irq_count,
	};
	return 0;
}

static int vfio_region(struct bk_device *device, unsigned index, struct bk_device_region *region)
{
	struct bk__device_vfio *vfio = vfio_of(device);

	if (index >= vfio->region_count)
		return -EINVAL;
	*region = vfio->regions[index].info;
	return 0;
}

static int vfio_areas(struct bk_device *device, unsigned index, bool all, bk_device_area_fn *visit,
		      void *opaque)
{
	const struct bk__device_vfio *vfio = vfio_of(device);

	(void)all;
	for (size_t i = 0; index < vfio->region_count && i < vfio->regions[index].area_count; i++)
		visit(opaque, &vfio->regions[index].areas[i]);
	return 0;
}

static int vfio_irq(struct bk_device *device, unsigned index, struct bk_device_irq *irq)
{
	struct bk__device_vfio *vfio = vfio_of(device);

	if (index >= vfio->irq_count)
		return -EINVAL;
	*irq = vfio->irqs[index];
	return 0;
}

/* Reads config space from sysfs, with what VFIO hides. */
static int vfio_host_config(struct bk_device *device, void *data, size_t count)
{
	struct bk__device_vfio *vfio = vfio_of(device);

	return bk__sysfs_config(vfio->group->container->context->sysfs, vfio->address, data, count);
}

/* ---- Facts for people ------------------------------------------------- */

struct listener {
	void (*say)(void *opaque, const char *key, const char *value);
	void *opaque;
};

static void say_member(void *opaque, const char *member, const char *driver)
{
	const struct listener *to = opaque;
	char text[2 * BK__SYSFS_FACT];

	snprintf(text, sizeof(text), "%s (%s)", member, *driver ? driver : "no driver");
	to->say(to->opaque, "group member", text);
}

static void vfio_describe(struct bk_device *device,
			  void (*say)(void *opaque, const char *key, const char *value), void *opaque)
{
	static const char *const methods[] = { "none", "function", "bus" };
	struct bk__device_vfio *vfio = vfio_of(device);
	const char *sysfs = vfio->group->container->context->sysfs;
	struct listener to = { say, opaque };
	char fact[BK__SYSFS_FACT], width[BK__SYSFS_FACT], text[3 * BK__SYSFS_FACT];

	if (!bk__sysfs_driver(sysfs, vfio->address, fact))
		say(opaque, "driver", fact);
	snprintf(text, sizeof(text), "%d", vfio->group->number);
	say(opaque, "iommu group", text);
	bk__sysfs_group_members(sysfs, vfio->address, say_member, &to);
	if (!bk__sysfs_fact(sysfs, vfio->address, "numa_node", fact))
		say(opaque, "numa node", fact);
	say(opaque, "reset", methods[bk__vfio_reset_method(vfio)]);
	if (!bk__sysfs_fact(sysfs, vfio->address, "reset_method", fact))
		say(opaque, "kernel reset methods", fact);
	if (!bk__sysfs_fact(sysfs, vfio->address, "current_link_speed", fact) &&
	    !bk__sysfs_fact(sysfs, vfio->address, "current_link_width", width)) {
		snprintf(text, sizeof(text), "%s x%s", fact, width);
		say(opaque, "link", text);
	}
}

/* ---- What the kernel tells -------------------------------------------- */

/* VFIO_DEVICE_GET_REGION_INFO with its capabilities; NULL if there is no such region. The caller frees it. */
static struct vfio_region_info *region_info(int fd, unsigned index)
{
	uint32_t size = sizeof(struct vfio_region_info);

	for (;;) {
		struct vfio_region_info *info = calloc(1, size);

		if (!info)
			return NULL;
		info->argsz = size;
		info->index = index;
		if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info)) {
			free(info);
			return NULL;
		}
		if (info->argsz <= size)
			return info;
		size = info->argsz;
		free(info);
	}
}

static void add_area(struct bk__vfio_region *region, uint64_t offset, uint64_t size)
{
	if (size)
		region->areas[region->area_count++] = (struct bk_device_area){ offset, size };
}

/* The parts of the sparse capability, as many of them as the answer has, else the whole region. */
static int areas_of(struct bk__vfio_region *region, const struct vfio_region_info *info)
{
	uint32_t at = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;
	const uint8_t *capability =
		bk__vfio_capability(info, info->argsz, at, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	struct vfio_region_info_cap_sparse_mmap sparse = { .nr_areas = 1 };
	struct vfio_region_sparse_mmap_area area;
	size_t left = 0;

	if (capability) {
		left = info->argsz - (size_t)(capability - (const uint8_t *)info);
		if (left < sizeof(sparse))
			return 0;
		memcpy(&sparse, capability, sizeof(sparse));
		left = (left - sizeof(sparse)) / sizeof(area);
		sparse.nr_areas = sparse.nr_areas < left ? sparse.nr_areas : (uint32_t)left;
	}
	region->areas = calloc(sparse.nr_areas + (size_t)1, sizeof(*region->areas));
	if (!region->areas)
		return -ENOMEM;
	if (!capability)
		add_area(region, 0, info->size);
	for (uint32_t i = 0; capability && i < sparse.nr_areas; i++) {
		memcpy(&area, capability + sizeof(sparse) + i * sizeof(area), sizeof(area));
		add_area(region, area.offset, area.size);
	}
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct bk_device_area *left = a, *right = b;

	return left->offset < right->offset ? -1 : left->offset > right->offset;
}

static int ask_region(struct bk__device_vfio *vfio, unsigned index)
{
	struct bk__vfio_region *of = &vfio->regions[index];
	struct bk_device_region *region = &of->info;
	struct vfio_region_info *info = region_info(vfio->fd, index);
	int error = 0;

	region->fd = -1;
	if (!info)
		return 0;
	region->size = info->size;
	region->fd_offset = info->offset;
	if (region->size && info->flags & VFIO_REGION_INFO_FLAG_READ)
		region->flags |= BK_DEVICE_READ;
	if (region->size && info->flags & VFIO_REGION_INFO_FLAG_WRITE)
		region->flags |= BK_DEVICE_WRITE;
	if (region->size && info->flags & VFIO_REGION_INFO_FLAG_MMAP) {
		error = areas_of(of, info);
		if (of->area_count) {
			qsort(of->areas, of->area_count, sizeof(of->areas[0]), by_offset);
			region->flags |= BK_DEVICE_MMAP;
			region->fd = vfio->fd;
		}
	}
	free(info);
	return error;
}

static int ask(struct bk__device_vfio *vfio, struct bk_error *err)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	if (ioctl(vfio->fd, VFIO_DEVICE_GET_INFO, &info))
		return bk_fail(err, errno, "%s: the kernel tells nothing about it: %s", vfio->base.name,
			       strerror(errno));
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI) || info.num_regions <= BK_DEVICE_CONFIG)
		return bk_fail(err, ENODEV, "%s: not a PCI function", vfio->base.name);
	vfio->function_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	vfio->region_count = info.num_regions < REGIONS_MAX ? info.num_regions : REGIONS_MAX;
	vfio->regions = calloc(vfio->region_count, sizeof(*vfio->regions));
	if (!vfio->regions)
		return bk_fail(err, ENOMEM, "%s: out of memory", vfio->base.name);
	for (unsigned i = 0; i < vfio->region_count; i++)
		if (ask_region(vfio, i))
			return bk_fail(err, ENOMEM, "%s: out of memory", vfio->base.name);
	vfio->irq_count = info.num_irqs < BK_DEVICE_IRQS ? info.num_irqs : BK_DEVICE_IRQS;
	for (unsigned i = 0; i < vfio->irq_count; i++) {
		struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = i };

		if (ioctl(vfio->fd, VFIO_DEVICE_GET_IRQ_INFO, &irq))
			continue;
		vfio->irqs[i].count = irq.count;
		vfio->irqs[i].flags = irq.flags & (BK_DEVICE_IRQ_MASKABLE | BK_DEVICE_IRQ_AUTOMASKED |
						   BK_DEVICE_IRQ_NORESIZE);
	}
	return 0;
}

/* ---- Open and close --------------------------------------------------- */

/* `driver` is NULL when there is none. */
static int unbound(const char *spec, const char *address, const char *driver, struct bk_error *err)
{
	char unbind[2 * BK__SYSFS_FACT] = "";

	if (driver)
		snprintf(unbind, sizeof(unbind), "echo %s > /sys/bus/pci/devices/%s/driver/unbind; ", address,
			 address);
	return bk_fail(err, ENODEV,
		       "%s: bound to %s%s, not to vfio-pci; to rebind it: modprobe vfio-pci; echo vfio-pci > "
		       "/sys/bus/pci/devices/%s/driver_override; %secho %s > /sys/bus/pci/drivers_probe",
		       spec, driver ? "the driver " : "no driver", driver ? driver : "", address, unbind,
		       address);
}

/* The host's view of the function, before VFIO is asked: most mistakes are seen here. */
static int check_host(const char *sysfs, const char *address, const char *spec, struct bk_error *err)
{
	char class[BK__SYSFS_FACT], driver[BK__SYSFS_FACT];
	const bool mediated = bk__sysfs_is_mediated(address);
	bool bound;

	if (!bk__sysfs_exists(sysfs, address) && mediated)
		return bk_fail(
			err, ENODEV,
			"%s: no mediated device %s; ls /sys/bus/mdev/devices lists those there are, and "
			"uuidgen > /sys/class/mdev_bus/PARENT/mdev_supported_types/TYPE/create makes one",
			spec, address);
	if (!bk__sysfs_exists(sysfs, address))
		return bk_fail(err, ENODEV, "%s: no PCI function at %s; lspci -D lists those there are", spec,
			       address);
	if (!bk__sysfs_fact(sysfs, address, "class", class) && !strncmp(class, "0x0604", 6))
		return bk_fail(err, ENODEV,
			       "%s: a PCI bridge cannot be passed through; name what is behind it", spec);
	if (bk__sysfs_group(sysfs, address) < 0 && mediated)
		return bk_fail(err, ENODEV,
			       "%s: it has no IOMMU group: nothing made it a VFIO device; modprobe vfio_mdev",
			       spec);
	if (bk__sysfs_group(sysfs, address) < 0)
		return bk_fail(
			err, ENODEV,
			"%s: the host has no IOMMU for it; turn VT-d or AMD-Vi on in the firmware and boot "
			"with intel_iommu=on or amd_iommu=on",
			spec);
	if (mediated) /* its vendor's driver provides it */
		return 0;
	bound = !bk__sysfs_driver(sysfs, address, driver);
	if (!bound || !bk__device_driver_is_vfio(driver))
		return unbound(spec, address, bound ? driver : NULL, err);
	return 0;
}

/* If vfio-pci has a physical function, opening it and its virtual functions takes the same UUID. */
static int no_fd(const char *spec, const char *token, int code, struct bk_error *err)
{
	if (code == EACCES && !token)
		return bk_fail(
			err, code,
			"%s: the kernel wants a VF token, since its physical function is with vfio-pci, "
			"too; give both the same one: vf_token=UUID",
			spec);
	if (code == EACCES)
		return bk_fail(
			err, code,
			"%s: vf_token=%s is not the VF token that its physical function was opened with",
			spec, token);
	if (code == EINVAL && token)
		return bk_fail(err, code,
			       "%s: the kernel takes no VF token for it, since no physical function of it is "
			       "with vfio-pci; leave vf_token out",
			       spec);
	return bk_fail(err, code, "%s: vfio-pci does not hand out the device: %s", spec, strerror(code));
}

/* `token` may be NULL. */
static int open_fd(struct bk__device_vfio *vfio, const char *token, struct bk_error *err)
{
	char name[2 * BK__SYSFS_ADDRESS + 16];
	struct bk__vfio_container *container = vfio->group->container;
	bool open;
	int ret;

	/* The kernel would open a device of an open group more than once. */
	pthread_mutex_lock(&container->lock);
	open = bk__vfio_group_device(container, vfio->address);
	pthread_mutex_unlock(&container->lock);
	if (open)
		return bk_fail(err, EBUSY, "%s: already passed through; name it once", vfio->base.name);
	snprintf(name, sizeof(name), "%s%s%s", vfio->address, token ? " vf_token=" : "", token ? token : "");
	vfio->fd = ioctl(vfio->group->fd, VFIO_GROUP_GET_DEVICE_FD, name);
	ret = errno;
	return vfio->fd < 0 ? no_fd(vfio->base.name, token, ret, err) : 0;
}

static int vfio_ioeventfd(struct bk_device *device, unsigned region, uint64_t offset, unsigned width,
			  uint64_t value, int fd)
{
	struct bk__device_vfio *vfio = vfio_of(device);
	struct vfio_device_ioeventfd arg = {
		.argsz = sizeof(arg),
		.flags = width, /* VFIO_DEVICE_IOEVENTFD_8 is 1, and so on */
		.data = value,
		.fd = fd,
	};

	if (region >= BK_DEVICE_ROM || region >= vfio->region_count ||
	    offset > vfio->regions[region].info.size || width > vfio->regions[region].info.size - offset)
		return -EINVAL;
	arg.offset = vfio->regions[region].info.fd_offset + offset;
	return ioctl(vfio->fd, VFIO_DEVICE_IOEVENTFD, &arg) ? -errno : 0;
}

static void destroy(struct bk__device_vfio *vfio)
{
	bk__vfio_share_close(vfio);
	if (vfio->fd >= 0)
		close(vfio->fd);
	if (vfio->group)
		bk__vfio_group_put(vfio->group);
	pthread_mutex_destroy(&vfio->config_lock);
	pthread_mutex_destroy(&vfio->irq_lock);
	pthread_mutex_destroy(&vfio->window_lock);
	bk__device_dma_table_free(&vfio->dma);
	for (unsigned i = 0; vfio->regions && i < vfio->region_count; i++)
		free(vfio->regions[i].areas);
	free(vfio->regions);
	free(vfio->name);
	free(vfio);
}

static void vfio_close(struct bk_device *device)
{
	struct bk__device_vfio *vfio = vfio_of(device);

	bk__vfio_irqs_off(vfio);
	bk__vfio_quiesce(vfio);
	bk__vfio_window_close(vfio);
	if (bk__vfio_reset_alone(vfio) == -EOPNOTSUPP)
		bk_log(BK_LOG_WARNING, "%s: it cannot be reset by itself and keeps its state", device->name);
	bk__vfio_dma_unmap_all(vfio);
	bk__vfio_group_leave(vfio);
	destroy(vfio);
}

static const struct bk_device_ops ops = {
	.info = vfio_info,
	.region = vfio_region,
	.irq = vfio_irq,
	.read = bk__vfio_read,
	.write = bk__vfio_write,
	.set_irqs = bk__vfio_set_irqs,
	.dma_map = bk__vfio_dma_map,
	.dma_unmap = bk__vfio_dma_unmap,
	.reset = bk__vfio_reset,
	.ioeventfd = vfio_ioeventfd,
	.areas = vfio_areas,
	.host_config = vfio_host_config,
	.share = bk__vfio_share,
	.describe = vfio_describe,
	.close = vfio_close,
};

const char *const bk__vfio_keys[] = { "vf_token", NULL };

int bk__device_context_group(const struct bk_device_context *context, const char *spec)
{
	static const char kind[] = "vfio:";
	const size_t length = sizeof(kind) - 1;
	struct bk__device_options options;
	char address[BK__SYSFS_ADDRESS];
	struct bk_error err;
	int group = -1;

	if (strncmp(spec, kind, length))
		return -1;
	if (!bk__device_options_parse(spec + length, spec, bk__vfio_keys, &options, &err) &&
	    !bk__sysfs_address(options.name, address))
		group = bk__sysfs_group(context->sysfs, address);
	bk__device_options_free(&options);
	return group < 0 ? -1 : group;
}

static int open_address(struct bk_device_context *context, const struct bk__device_options *options,
			const char *spec, struct bk_device **device, struct bk_error *err)
{
	char token[BK__SYSFS_ADDRESS];
	struct bk__device_vfio *vfio = calloc(1, sizeof(*vfio));
	int ret;

	if (!vfio)
		return bk_fail(err, ENOMEM, "%s: out of memory", spec);
	vfio->base.ops = &ops;
	vfio->base.name = vfio->name = strdup(spec);
	vfio->fd = -1;
	vfio->irq_on = BK_DEVICE_IRQS;
	pthread_mutex_init(&vfio->config_lock, NULL);
	pthread_mutex_init(&vfio->irq_lock, NULL);
	pthread_mutex_init(&vfio->window_lock, NULL);
	if (!vfio->name) {
		destroy(vfio);
		return bk_fail(err, ENOMEM, "%s: out of memory", spec);
	}
	ret = bk__sysfs_address(options->name, vfio->address);
	if (ret)
		bk_fail(err, EINVAL,
			"%s: not a PCI address; write vfio:DDDD:BB:SS.F, as in vfio:0000:01:00.0, or the "
			"UUID "
			"of a mediated device",
			spec);
	if (!ret && options->values[0] && (ret = bk__sysfs_uuid(options->values[0], token)))
		bk_fail(err, EINVAL,
			"%s: vf_token=%s: not a UUID, as in vf_token=12345678-9abc-def0-1234-56789abcdef0",
			spec, options->values[0]);
	if (!ret)
		ret = check_host(context->sysfs, vfio->address, spec, err);
	if (!ret)
		ret = bk__vfio_group_get(context, bk__sysfs_group(context->sysfs, vfio->address),
					 vfio->address, spec, &vfio->group, err);
	if (!ret)
		ret = open_fd(vfio, options->values[0] ? token : NULL, err);
	if (!ret)
		ret = ask(vfio, err);
	if (!ret && bk__vfio_quiesce(vfio))
		ret = bk_fail(err, EIO, "%s: its config space does not answer", spec);
	if (ret) {
		destroy(vfio);
		return ret;
	}
	bk__vfio_find_pm(vfio);
	bk__vfio_group_join(vfio);
	*device = &vfio->base;
	return 0;
}

int bk__vfio_open(void *opaque, struct bk_device_context *context, const char *text, const char *spec,
		  struct bk_device **device, struct bk_error *err)
{
	struct bk__device_options options;
	int r = bk__device_options_parse(text, spec, bk__vfio_keys, &options, err);

	(void)opaque;
	if (!r)
		r = open_address(context, &options, spec, device, err);
	bk__device_options_free(&options);
	return r;
}
