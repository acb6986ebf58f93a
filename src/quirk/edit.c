/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities put in, left out and changed, in a copy of config space. */
#include "quirk/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "pci/extent.h"

struct editing {
	struct bk__quirk_bound *bound;
	const struct bk__quirk_edit *edit;
	unsigned base, size; /* what `here` is */
	bool command;        /* COMMAND was to be written */
};

/* PCI 3.0 6.2.2: the host's decoding and bus mastering. barkeep writes it as it must be, not as it is shown.
 */

static int place_read(void *opaque, enum bk__quirk_place place, uint64_t offset, unsigned width,
		      uint64_t *value)
{
	struct editing *e = opaque;
	struct bk__quirk_stack *stack = e->bound->stack;

	if (place != BK__HERE)
		return bk__quirk_device_place_read(stack->below, place, offset, width, value);
	if (offset > e->size || width > e->size - offset)
		return -EINVAL;
	*value = bk__load(stack->config + e->base + offset, width);
	return 0;
}

static void put(struct bk__quirk_stack *stack, unsigned offset, unsigned width, uint64_t value)
{
	bk__store(stack->config + offset, width, value);
	memset(stack->mask + offset, 0xff, width);
}

static int place_write(void *opaque, enum bk__quirk_place place, uint64_t offset, unsigned width,
		       uint64_t value)
{
	struct editing *e = opaque; /* the only place that can be written */

	if (offset > e->size || width > e->size - offset)
		return -EINVAL;
	if (e->base + offset < BK__PCI_STATUS && e->base + offset + width > BK__PCI_COMMAND) {
		e->command = true;
		return -EINVAL;
	}
	put(e->bound->stack, e->base + (unsigned)offset, width, value);
	return 0;
}

/* ---- Chains ------------------------------------------------------------ */

/* PCI 3.0 6.7: the pointer to the first is at 0x34, others are the second byte. PCIe 7.6.3: bits 31:20. */
static unsigned next_of(const struct bk__quirk_stack *stack, unsigned offset, bool extended)
{
	return extended ? (unsigned)bk__load(stack->config + offset + BK__PCI_EXT_NEXT, 2) >> 4 & ~3u
			: stack->config[offset] & ~3u;
}

static void set_next(struct bk__quirk_stack *stack, unsigned offset, bool extended, unsigned next)
{
	if (extended)
		put(stack, offset + BK__PCI_EXT_NEXT, 2,
		    (bk__load(stack->config + offset + BK__PCI_EXT_NEXT, 2) & 0xf) | next << 4);
	else
		put(stack, offset, 1, next);
}

/* Where the pointer is that leads to `offset` (0: that ends the chain); 0: nowhere. For extended ones that is
 * the capability, for standard ones the byte. */
static unsigned pointer_to(const struct bk__quirk_stack *stack, unsigned offset, bool extended)
{
	unsigned at = extended ? BK__PCI_EXTENDED : BK__PCI_CAP_POINTER;

	for (unsigned left = BK__PCI_CONFIG_SIZE / 4; left--;) {
		const unsigned next = next_of(stack, at, extended);

		if (next == offset)
			return at;
		if (next < (extended ? BK__PCI_EXTENDED : BK__PCI_HEADER_END))
			return 0;
		at = extended ? next : next + BK__PCI_CAP_NEXT;
	}
	return 0;
}

/* A first header of all ones is one of none, as 0 is. */
static bool any_extended(const struct bk__quirk_stack *stack)
{
	const uint64_t header = bk__load(stack->config + BK__PCI_EXTENDED, 4);

	return header && header != 0xffffffff;
}

/* Is there a capability in [offset, offset + size)? Of one whose length is not known only the start counts.
 */
static bool taken(const struct bk__quirk_stack *stack, unsigned offset, unsigned size, bool extended)
{
	unsigned at = extended ? BK__PCI_EXTENDED : stack->config[BK__PCI_CAP_POINTER] & ~3u;

	if (extended && !any_extended(stack))
		return false;
	if (!extended && !(stack->config[BK__PCI_STATUS] & BK__PCI_STATUS_CAP_LIST))
		return false;
	for (unsigned left = BK__PCI_CONFIG_SIZE / 4; left-- && at >= BK__PCI_HEADER_END;) {
		unsigned length = bk__pci_capability_length(stack->config, stack->config_size, at);

		if (!length)
			length = extended ? BK__PCI_EXT_HEADER : BK__PCI_CAP_HEADER;
		if (at < offset + size && offset < at + length)
			return true;
		at = next_of(stack, extended ? at : at + BK__PCI_CAP_NEXT, extended);
	}
	return false;
}

static int drop(struct bk__quirk_stack *stack, const struct bk__quirk_edit *edit)
{
	if (edit->extended && !edit->id)
		return 0; /* the null capability: it only holds a pointer, and no guest is shown one */
	/* A chain may lead to the same one again and again. */
	for (unsigned left = BK__PCI_CONFIG_SIZE / 4; left; left--) {
		const unsigned offset = bk__quirk_find_cap(stack->config, stack->config_size, edit->extended,
							   (unsigned)edit->id);
		const unsigned pointer = offset ? pointer_to(stack, offset, edit->extended) : 0;

		if (!offset)
			return 0;
		if (edit->extended && offset == BK__PCI_EXTENDED) {
			/* The first stays as one that means nothing: it holds the pointer. */
			put(stack, offset, 2, 0);
			continue;
		}
		if (!pointer)
			return -EINVAL;
		set_next(stack, pointer, edit->extended,
			 next_of(stack, edit->extended ? offset : offset + BK__PCI_CAP_NEXT, edit->extended));
		put(stack, offset, edit->extended ? BK__PCI_EXT_HEADER : BK__PCI_CAP_HEADER,
		    0); /* it may lie in what another is taken for */
	}
	return -EINVAL;
}

static int link_in(struct bk__quirk_stack *stack, const struct bk__quirk_edit *edit, unsigned offset)
{
	unsigned last = 0;

	if (!edit->extended) {
		const bool any = stack->config[BK__PCI_STATUS] & BK__PCI_STATUS_CAP_LIST;

		put(stack, offset, 1, (uint64_t)edit->id);
		put(stack, offset + BK__PCI_CAP_NEXT, 1, any ? stack->config[BK__PCI_CAP_POINTER] & ~3u : 0);
		put(stack, BK__PCI_CAP_POINTER, 1, offset);
		stack->config[BK__PCI_STATUS] |= BK__PCI_STATUS_CAP_LIST;
		stack->mask[BK__PCI_STATUS] |= BK__PCI_STATUS_CAP_LIST;
		return 0;
	}
	if (offset != BK__PCI_EXTENDED) {
		if (!any_extended(stack))
			put(stack, BK__PCI_EXTENDED, 4, 0);
		last = pointer_to(stack, 0, true);
		if (!last)
			return -EINVAL;
	}
	put(stack, offset, 4,
	    (uint64_t)edit->id | (uint64_t)(edit->version ? edit->version : 1) << BK__PCI_EXT_VERSION_SHIFT);
	if (last)
		set_next(stack, last, true, offset);
	return 0;
}

/* The first of the places at which there is room. */
static unsigned choose(struct editing *e, struct bk__quirk_run *run)
{
	const struct bk__quirk_edit *edit = e->edit;
	const struct bk__quirk_stack *stack = e->bound->stack;
	const unsigned first = edit->extended ? BK__PCI_EXTENDED : BK__PCI_HEADER_END,
		       end = edit->extended ? stack->config_size : BK__PCI_EXTENDED;

	for (unsigned i = 0; i < edit->at.count; i++) {
		const uint64_t at = bk__quirk_item_number(edit->at.list[i], run);

		if (run->error)
			return 0;
		if (at >= first && at < end && edit->size <= end - at && !(at & 3) &&
		    !taken(stack, (unsigned)at, edit->size, edit->extended))
			return (unsigned)at;
	}
	return 0;
}

/* ---- One edit ---------------------------------------------------------- */

static int fail(const struct editing *e, struct bk_error *err, int code, const char *what)
{
	return bk_fail(err, -code, "%s: %s:%u: %s", e->bound->stack->below->name, e->bound->quirk->file,
		       e->edit->line, what);
}

static int broken(const struct editing *e, struct bk_error *err)
{
	return fail(e, err, -EINVAL, "the chain of capabilities is broken");
}

static int edit_one(struct editing *e, struct bk_error *err)
{
	struct bk__quirk_bound *bound = e->bound;
	struct bk__quirk_stack *stack = bound->stack;
	const struct bk__quirk_edit *edit = e->edit;
	struct bk__quirk_run run = {
		.width = 4,
		.options = bound->options,
		.caps = bound->host_caps,
		.sizes = stack->sizes,
		.read = place_read,
		.write = place_write,
		.opaque = e,
	};

	e->size = stack->config_size;
	if (edit->kind == BK__EDIT_BYTES && edit->id >= 0) {
		e->base = bk__quirk_find_cap(stack->config, stack->config_size, edit->extended,
					     (unsigned)edit->id);
		e->size -= e->base;
		if (!e->base)
			return 0;
	}
	if (edit->when && !bk__quirk_item_number(edit->when, &run))
		return run.error ? fail(e, err, run.error, strerror(-run.error)) : 0;
	if (edit->kind == BK__EDIT_DROP)
		return drop(stack, edit) ? broken(e, err) : 0;
	if (edit->kind == BK__EDIT_INSERT) {
		e->base = choose(e, &run);
		e->size = edit->size;
		if (!e->base)
			return fail(e, err, -ENOSPC, "there is no room for this capability");
		memset(stack->config + e->base, 0, e->size);
		memset(stack->mask + e->base, 0xff, e->size);
		if (link_in(stack, edit, e->base))
			return broken(e, err);
	}
	bk__quirk_items_write(&edit->set, &run);
	if (e->command)
		return fail(e, err, run.error, "COMMAND (bytes 4 and 5) cannot be edited");
	return run.error ? fail(e, err, run.error, strerror(-run.error)) : 0;
}

static unsigned id_at(const uint8_t *config, unsigned offset)
{
	return (unsigned)bk__load(config + offset, offset < BK__PCI_EXTENDED ? 1 : 2);
}

/*
 * Bytes in no capability are the guest's to read and write. Those of one that
 * was dropped, of which a part was edited away, or that the chain does not
 * lead to any more, must not become such: they are 0. Of one that is shown as another
 * nothing is written.
 */
int bk__quirk_edit_guard(struct bk__quirk_stack *stack, const uint8_t *config)
{
	const unsigned size = stack->config_size;
	uint16_t *before = malloc(2 * size * sizeof(*before)), *now;

	if (!before)
		return -ENOMEM;
	now = before + size;
	bk__pci_capability_owners(config, size, before);
	bk__pci_capability_owners(stack->config, size, now);
	for (unsigned i = 0x40; i < size; i++) {
		if (!before[i] ||
		    (now[i] == before[i] && id_at(stack->config, now[i]) == id_at(config, now[i])))
			continue;
		stack->kept[i] = 1;
		if (!now[i] && !stack->mask[i]) {
			stack->config[i] = 0;
			stack->mask[i] = 0xff;
		}
	}
	free(before);
	return 0;
}

int bk__quirk_edit_config(struct bk__quirk_bound *bound, struct bk_error *err)
{
	int r = 0;

	for (unsigned i = 0; i < bound->quirk->edit_count && !r; i++) {
		struct editing e = { .bound = bound, .edit = &bound->quirk->edits[i] };

		r = edit_one(&e, err);
	}
	return r;
}
