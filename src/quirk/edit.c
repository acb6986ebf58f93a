/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities put in, left out and changed, in a copy of config space. */
#include "quirk/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "pci/chain.h"
#include "pci/regs.h"

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

/* `pointer` as a walk returns it: of extended ones the capability, of standard ones the byte. */
static void set_next(struct bk__quirk_stack *stack, unsigned pointer, bool extended, unsigned next)
{
	if (extended)
		put(stack, pointer + BK__PCI_EXT_NEXT, 2,
		    (bk__load(stack->config + pointer + BK__PCI_EXT_NEXT, 2) & 0xf) | next << 4);
	else
		put(stack, pointer, 1, next);
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
	struct bk__pci_chain chain;

	bk__pci_chain_begin(&chain, stack->config, stack->config_size, extended);
	while (bk__pci_chain_next(&chain)) {
		unsigned length = bk__pci_capability_length(stack->config, stack->config_size, chain.at);

		if (!length)
			length = extended ? BK__PCI_EXT_HEADER : BK__PCI_CAP_HEADER;
		if (chain.at < offset + size && offset < chain.at + length)
			return true;
	}
	return false;
}

/* The next capability that is to be dropped. */
static bool find(struct bk__pci_chain *chain, const struct bk__quirk_stack *stack,
		 const struct bk__quirk_edit *edit)
{
	bk__pci_chain_begin(chain, stack->config, stack->config_size, edit->extended);
	while (bk__pci_chain_next(chain))
		if (chain->id == (unsigned)edit->id)
			return true;
	return false;
}

static void drop(struct bk__quirk_stack *stack, const struct bk__quirk_edit *edit)
{
	struct bk__pci_chain chain;

	if (edit->extended && !edit->id)
		return; /* the null capability: it only holds a pointer, and no guest is shown one */
	/* Each round takes one out, and none comes back. */
	while (find(&chain, stack, edit)) {
		if (!chain.pointer) {
			/* The first extended one stays as one that means nothing: it holds the pointer. */
			put(stack, chain.at, 2, 0);
			continue;
		}
		set_next(stack, chain.pointer, edit->extended, chain.next);
		/* It may lie in what another is taken for. */
		put(stack, chain.at, edit->extended ? BK__PCI_EXT_HEADER : BK__PCI_CAP_HEADER, 0);
	}
}

static int link_in(struct bk__quirk_stack *stack, const struct bk__quirk_edit *edit, unsigned offset)
{
	struct bk__pci_chain chain;
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
		bk__pci_chain_begin(&chain, stack->config, stack->config_size, true);
		while (bk__pci_chain_next(&chain))
			;
		if (chain.end != BK__PCI_CHAIN_ENDS)
			return -EINVAL;
		last = chain.pointer ? chain.pointer : BK__PCI_EXTENDED;
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
		e->base = bk__pci_chain_find(stack->config, stack->config_size, edit->extended,
					     (unsigned)edit->id);
		e->size -= e->base;
		if (!e->base)
			return 0;
	}
	if (edit->when && !bk__quirk_item_number(edit->when, &run))
		return run.error ? fail(e, err, run.error, strerror(-run.error)) : 0;
	if (edit->kind == BK__EDIT_DROP) {
		drop(stack, edit);
		return 0;
	}
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
