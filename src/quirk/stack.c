/* SPDX-License-Identifier: BSD-2-Clause */
/* The device in front of the device: config space, ROM and reset as the quirks have them, all else as it is.
 */
#include "quirk/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/struct.h"
#include "quirk/was_reset.h"

static struct bk__quirk_stack *of(struct bk_device *device)
{
	return (struct bk__quirk_stack *)device; /* the first member */
}

static int face_info(struct bk_device *device, struct bk_device_info *info)
{
	int r = bk_device_info(of(device)->below, info);

	if (!r && of(device)->script)
		info->flags |= BK_DEVICE_CAN_RESET;
	return r;
}

static int face_region(struct bk_device *device, unsigned index, struct bk_device_region *region)
{
	const struct bk__quirk_stack *stack = of(device);
	int r = bk_device_region(stack->below, index, region);

	if (r || index != BK_DEVICE_ROM || (!stack->rom && !stack->rom_hidden))
		return r;
	*region = (struct bk_device_region){
		.flags = stack->rom_hidden ? 0 : BK_DEVICE_READ,
		.size = stack->rom_hidden ? 0 : stack->rom_size,
		.fd = -1,
	};
	return 0;
}

static bool inside(uint64_t offset, size_t count, uint64_t size)
{
	return offset <= size && count <= size - offset;
}

static int face_read(struct bk_device *device, unsigned region, uint64_t offset, void *data, size_t count)
{
	const struct bk__quirk_stack *stack = of(device);
	uint8_t *bytes = data;
	int r;

	if (region == BK_DEVICE_ROM && (stack->rom || stack->rom_hidden)) {
		if (stack->rom_hidden || !inside(offset, count, stack->rom_size))
			return -EINVAL;
		memcpy(data, stack->rom + offset, count);
		return 0;
	}
	r = bk_device_read(stack->below, region, offset, data, count);
	if (r < 0 || region != BK_DEVICE_CONFIG || !inside(offset, count, stack->config_size))
		return r;
	for (size_t i = 0; i < count; i++)
		bytes[i] = (uint8_t)((bytes[i] & ~stack->mask[offset + i]) |
				     (stack->config[offset + i] & stack->mask[offset + i]));
	return r;
}

/* What is not the device's is not written to it. */
static int face_write(struct bk_device *device, unsigned region, uint64_t offset, const void *data,
		      size_t count)
{
	const struct bk__quirk_stack *stack = of(device);
	const uint8_t *bytes = data;
	int r = 0;

	if (region == BK_DEVICE_ROM && (stack->rom || stack->rom_hidden))
		return -EINVAL;
	if (region != BK_DEVICE_CONFIG || !inside(offset, count, stack->config_size) ||
	    (!memchr(stack->mask + offset, 0xff, count) && !memchr(stack->kept + offset, 1, count)))
		return bk_device_write(stack->below, region, offset, data, count);
	for (size_t i = 0; i < count && r >= 0; i++)
		if (stack->mask[offset + i] != 0xff && !stack->kept[offset + i])
			r = bk_device_write(stack->below, region, offset + i, bytes + i, 1);
	return r;
}

static int face_dma_map(struct bk_device *device, const struct bk_device_dma *dma, struct bk_error *err)
{
	of(device)->used = true;
	return bk_device_dma_map(of(device)->below, dma, err);
}

static int reset(struct bk__quirk_stack *stack)
{
	int r = -EOPNOTSUPP;

	if (!stack->script || (stack->below_resets && !stack->script->quirk->reset_always))
		r = bk_device_reset(stack->below);
	return r && stack->script ? bk__quirk_reset_steps(stack->script) : r;
}

static void forget(struct bk__quirk_stack *stack)
{
	for (size_t i = 0; i < stack->count; i++)
		__atomic_store_n(&stack->bound[i].stale, true, __ATOMIC_RELEASE);
}

static int face_reset(struct bk_device *device)
{
	struct bk__quirk_stack *stack = of(device);
	int r = reset(stack);

	forget(stack);
	return r;
}

void bk__quirk_was_reset(struct bk_device *device)
{
	struct bk__quirk_stack *stack = bk__quirk_stack_of(device);

	if (stack)
		forget(stack);
}

static void face_describe(struct bk_device *device,
			  void (*say)(void *opaque, const char *key, const char *value), void *opaque)
{
	const struct bk__quirk_stack *stack = of(device);

	bk_device_describe(stack->below, say, opaque);
	for (size_t i = 0; i < stack->count; i++)
		say(opaque, "quirk", stack->bound[i].quirk->name);
}

static void face_close(struct bk_device *device)
{
	struct bk__quirk_stack *stack = of(device);

	/* A device that its host cannot reset, or not well, is left as its close would leave any other; one
	 * that was only looked at is left alone. */
	if (stack->script && stack->used && (!stack->below_resets || stack->script->quirk->reset_always))
		bk__quirk_reset_steps(stack->script);
	bk_device_close(stack->below);
	for (size_t i = 0; i < stack->count; i++)
		bk_quirk_destroy(stack->bound[i].quirk);
	pthread_mutex_destroy(&stack->lock);
	free(stack->bound);
	free(stack->rom);
	free(stack->rules);
	free(stack->groups);
	free(stack);
}

static const struct bk_device_ops face_ops = {
	.info = face_info,
	.region = face_region,
	.read = face_read,
	.write = face_write,
	.dma_map = face_dma_map,
	.reset = face_reset,
	.describe = face_describe,
	.close = face_close,
};

struct bk__quirk_stack *bk__quirk_stack_of(struct bk_device *device)
{
	return device->ops == &face_ops ? of(device) : NULL;
}

/* ---- Making one -------------------------------------------------------- */

static int start_variables(struct bk__quirk_bound *bound, struct bk_error *err)
{
	struct bk__quirk_stack *stack = bound->stack;
	struct bk__quirk_run run = {
		.width = 4,
		.options = bound->options,
		.caps = bound->host_caps,
		.sizes = stack->sizes,
		.read = bk__quirk_device_place_read,
		.opaque = stack->below,
	};

	for (unsigned i = 0; i < bound->quirk->variable_count; i++) {
		bound->start[i] = bk__quirk_item_number(bound->quirk->start[i], &run);
		if (run.error)
			return bk_fail(err, -run.error, "%s: %s: where the variable %s starts: %s",
				       stack->below->name, bound->quirk->file, bound->quirk->variables[i],
				       strerror(-run.error));
	}
	memcpy(bound->variables, bound->start, sizeof(bound->start));
	return 0;
}

static int build(struct bk__quirk_stack *stack, const struct bk_quirk_stack_desc *desc, struct bk_error *err)
{
	struct bk_device_info info = { 0 };
	uint8_t config[BK__PCI_CONFIG_SIZE];
	int r = bk_device_info(stack->below, &info);

	if (r < 0)
		return bk_fail(err, -r, "%s: the device does not describe itself: %s", stack->below->name,
			       strerror(-r));
	stack->below_resets = info.flags & BK_DEVICE_CAN_RESET;
	r = bk__quirk_read_config(stack->below, stack->config, &stack->config_size, err);
	memcpy(config, stack->config, sizeof(config));
	if (!r)
		r = bk__quirk_read_sizes(stack->below, stack->sizes, err);
	for (size_t i = 0; i < stack->count && !r; i++) {
		struct bk__quirk_bound *bound = &stack->bound[i];

		bk__quirk_find_caps(bound->quirk, stack->config, stack->config_size, bound->host_caps);
		r = bk__quirk_options(bound->quirk, desc->settings, desc->setting_count, bound->options, err);
		r = r < 0 ? r : r ? 0 : -EINVAL;
		if (!r)
			r = start_variables(bound, err);
		if (bound->quirk->step_count && !stack->script)
			stack->script = bound;
	}
	/* The first one comes last, and so has its way. */
	for (size_t i = stack->count; i-- && !r;) {
		r = bk__quirk_edit_config(&stack->bound[i], err);
		if (!r)
			r = bk__quirk_edit_rom(&stack->bound[i], err);
	}
	if (!r && bk__quirk_edit_guard(stack, config))
		r = bk_fail(err, ENOMEM, "%s: out of memory", stack->below->name);
	return r;
}

static int create(struct bk_device *below, const struct bk_quirk_stack_desc *desc,
		  struct bk__quirk_stack **out)
{
	struct bk__quirk_stack *stack = calloc(1, sizeof(*stack));
	pthread_mutexattr_t attributes;

	if (stack)
		stack->bound = calloc(desc->count ? desc->count : 1, sizeof(*stack->bound));
	if (!stack || !stack->bound) {
		free(stack);
		return -ENOMEM;
	}
	stack->device.ops = &face_ops;
	stack->device.name = below->name;
	stack->device.below = below;
	stack->below = below;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&stack->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	for (stack->count = 0; stack->count < desc->count; stack->count++)
		stack->bound[stack->count] = (struct bk__quirk_bound){
			.quirk = bk__quirk_hold(desc->quirks[stack->count]),
			.stack = stack,
		};
	*out = stack;
	return 0;
}

int bk_quirk_stack(struct bk_device *below, const struct bk_quirk_stack_desc *given,
		   struct bk_device **device, struct bk_error *err)
{
	struct bk_quirk_stack_desc desc;
	struct bk__quirk_stack *stack = NULL;
	int r = bk__struct_take(&desc, sizeof(desc), given);

	*device = NULL;
	if (r)
		bk_fail(err, -r, "%s: quirks of a later release", below->name);
	else if (desc.count > BK_QUIRKS_MAX)
		r = bk_fail(err, EINVAL, "%s: %zu quirks (%d at most)", below->name, desc.count,
			    BK_QUIRKS_MAX);
	else if ((r = create(below, &desc, &stack)))
		bk_fail(err, -r, "%s: out of memory", below->name);
	if (r) {
		bk_device_close(below);
		return r;
	}
	r = build(stack, &desc, err);
	if (r) {
		face_close(&stack->device);
		return r;
	}
	*device = &stack->device;
	return 0;
}
