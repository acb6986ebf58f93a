/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of a device's quirks as traps.
 *
 * Rules that overlap become one trap, so that each access meets its rules
 * whole: the first rule that holds all of it, and whose condition is true,
 * answers. An access that no rule holds is cut in halves where some rule holds
 * a part of it, and else goes where it would without the trap.
 */
#include "base/ratelimit.h"
#include "quirk/stack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pci_regs.h"
#include "pci/chain.h"
#include "mediate/trap.h"

/* Under the MSI-X table and the traps of users. */
#define PRIORITY_ACCELERATED (-2)
#define PRIORITY             (-3)

/* Rules may lead to rules, through config space: so deep, and so many for one access of the guest. */
#define DEPTH 8
#define TURNS 1024
static _Thread_local unsigned depth, turns;

struct access {
	struct bk__quirk_group *group;
	struct bk__quirk_placed *placed; /* whose rule runs */
	bool write;
	uint64_t offset;
	unsigned width;
	uint64_t value;
	bool lost; /* a part of a read that failed, and is all ones */
};

/* ---- Places ------------------------------------------------------------ */

static int config_access(struct bk__quirk_stack *stack, bool write, uint64_t offset, unsigned width,
			 uint64_t *value)
{
	struct bk_space *space = bk_mediator_space(stack->mediate, BK_DEVICE_CONFIG);
	const uint64_t last = bk_space_last(space);

	if (offset > last || width - 1 > last - offset)
		return -EINVAL;
	return write ? bk_space_write(space, offset, width, *value)
		     : bk_space_read(space, offset, width, value);
}

static int place_read(void *opaque, enum bk__quirk_place place, uint64_t offset, unsigned width,
		      uint64_t *value)
{
	const struct access *a = opaque;
	struct bk__quirk_stack *stack = a->group->stack;

	switch (place) {
	case BK__DEVICE:
		return bk_mediator_below_read(stack->mediate, a->placed->region, a->offset, a->width, value);
	case BK__CONFIG:
		return config_access(stack, false, offset, width, value);
	case BK__MSIX:
		if (offset > stack->msix_size || width > stack->msix_size - offset)
			return -EINVAL;
		return bk_mediator_below_read(stack->mediate, stack->msix_bar, stack->msix_offset + offset,
					      width, value);
	case BK__HOST:
		return bk__quirk_device_place_read(stack->below, place, offset, width, value);
	default:
		return bk_mediator_below_read(stack->mediate, place, offset, width, value);
	}
}

static int place_write(void *opaque, enum bk__quirk_place place, uint64_t offset, unsigned width,
		       uint64_t value)
{
	const struct access *a = opaque;
	struct bk__quirk_stack *stack = a->group->stack;

	switch (place) {
	case BK__DEVICE:
		return bk_mediator_below_write(stack->mediate, a->placed->region, a->offset, a->width, value);
	case BK__CONFIG:
		return config_access(stack, true, offset, width, &value);
	case BK__MSIX:
		if (offset > stack->msix_size || width > stack->msix_size - offset)
			return -EINVAL;
		return bk_mediator_below_write(stack->mediate, stack->msix_bar, stack->msix_offset + offset,
					       width, value);
	case BK__HOST:
		return bk__quirk_device_place_write(stack->below, place, offset, width, value);
	default:
		return bk_mediator_below_write(stack->mediate, place, offset, width, value);
	}
}

/* ---- One access -------------------------------------------------------- */

static unsigned word_of(const struct bk__quirk_placed *placed)
{
	const uint64_t length = placed->last - placed->first + 1;

	return bk__is_width(length) ? (unsigned)length : 0;
}

static struct bk__quirk_run run_of(struct access *a)
{
	struct bk__quirk_bound *bound = a->placed->bound;

	return (struct bk__quirk_run){
		.at = a->offset - a->placed->first,
		.value = a->value,
		.width = a->width,
		.word = word_of(a->placed),
		.variables = bound->variables,
		.options = bound->options,
		.caps = bound->guest_caps,
		.sizes = a->group->stack->sizes,
		.read = place_read,
		.write = place_write,
		.opaque = a,
	};
}

/* A reset cannot take the lock: it may hold the function's. */
static void refresh(struct bk__quirk_bound *bound)
{
	if (bound->quirk->variable_count && __atomic_exchange_n(&bound->stale, false, __ATOMIC_ACQUIRE))
		memcpy(bound->variables, bound->start, sizeof(bound->start));
}

static int without(struct access *a)
{
	struct bk_mediator *mediate = a->group->stack->mediate;
	const unsigned region = a->group->rules[0].region;

	return a->write ? bk_mediator_below_write(mediate, region, a->offset, a->width, a->value)
			: bk_mediator_below_read(mediate, region, a->offset, a->width, &a->value);
}

static int apply(struct access *a, struct bk__quirk_run *run)
{
	const struct bk__quirk_rule *rule = a->placed->rule;
	int r;

	if (!rule->reads && !rule->writes) {
		r = without(a);
	} else if (a->write) {
		bk__quirk_items_write(&rule->write, run);
		r = run->error;
	} else {
		a->value = bk__quirk_items_read(&rule->read, run);
		r = run->error;
	}
	if (rule->log)
		bk__log_limited(&a->placed->limit, BK_LOG_WARNING,
				"%s: %s: %s+0x%" PRIx64 ": %s %u 0x%0*" PRIx64 "%s",
				a->group->stack->below->name, a->placed->bound->quirk->name,
				bk_device_region_name(a->placed->region), a->offset,
				a->write ? "write" : "read", a->width, 2 * (int)a->width, a->value,
				r ? ", failed" : "");
	return r;
}

/* Does the rule answer this? Its condition may read, and so fail. */
static bool holds(struct access *a, struct bk__quirk_run *run)
{
	const struct bk__quirk_rule *rule = a->placed->rule;

	if (rule->width && rule->width != a->width)
		return false;
	if ((rule->reads || rule->writes) && !(a->write ? rule->writes : rule->reads))
		return false;
	return !rule->when || bk__quirk_item_number(rule->when, run);
}

static int access_whole(struct access *a);

/* Each goes to its own rule, and is not lost with the other one. */
static int access_halves(struct access *a)
{
	const unsigned width = a->width / 2;
	const uint64_t mask = UINT64_MAX >> (64 - 8 * width);
	struct access half[2] = { *a, *a };
	int r[2];

	for (unsigned i = 0; i < 2; i++) {
		half[i].offset += i * width;
		half[i].width = width;
		half[i].value = a->value >> i * 8 * width & mask; /* a condition looks at all of it */
		r[i] = access_whole(&half[i]);
		a->lost |= half[i].lost;
	}
	if (a->write || (r[0] && r[1]))
		return r[0] ? r[0] : r[1];
	a->lost |= r[0] || r[1];
	a->value = (r[0] ? mask : half[0].value & mask) | (r[1] ? mask : half[1].value & mask) << 8 * width;
	return 0;
}

static int access_whole(struct access *a)
{
	const uint64_t last = a->offset + a->width - 1;
	bool partly = false;

	for (unsigned i = 0; i < a->group->count; i++) {
		struct bk__quirk_run run;

		a->placed = &a->group->rules[i];
		if (a->offset > a->placed->last || last < a->placed->first)
			continue;
		if (a->offset < a->placed->first || last > a->placed->last) {
			partly = true;
			continue;
		}
		refresh(a->placed->bound);
		run = run_of(a);
		if (holds(a, &run))
			return run.error ? run.error : apply(a, &run);
		if (run.error)
			return run.error;
	}
	return partly ? access_halves(a) : without(a); /* one byte is in a rule or not */
}

static int access_locked(struct access *a)
{
	struct bk__quirk_stack *stack = a->group->stack;
	int r;

	if (!depth)
		turns = 0;
	if (depth == DEPTH || turns == TURNS)
		return -ELOOP;
	depth++;
	turns++;
	if (a->group->locked)
		pthread_mutex_lock(&stack->lock);
	r = access_whole(a);
	if (a->group->locked)
		pthread_mutex_unlock(&stack->lock);
	depth--;
	return r;
}

static int group_read(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t *value)
{
	struct access a = { .group = opaque, .offset = offset, .width = width };
	int r = access_locked(&a);

	*value = a.value;
	if (!r && a.lost && a.group->trap) /* not within bk_trap_add */
		bk__mediate_trap_failed_in_part(a.group->trap);
	return r;
}

static int group_write(void *opaque, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	struct access a = {
		.group = opaque, .write = true, .offset = offset, .width = width, .value = value
	};

	return access_locked(&a);
}

static const struct bk_trap_ops group_ops = { .read = group_read, .write = group_write };

/* Writes go where they would without a trap, and so may be made without it. */
static const struct bk_trap_ops accelerated_ops = { .read = group_read };

/* ---- Placing ----------------------------------------------------------- */

static int at_fault(const struct bk__quirk_placed *placed, struct bk_error *err, int code, const char *what)
{
	return bk_fail(err, -code, "%s: %s:%u: %s", placed->bound->stack->below->name,
		       placed->bound->quirk->file, placed->rule->line, what);
}

static int place_rule(struct bk__quirk_placed *placed, struct bk_error *err)
{
	struct bk__quirk_bound *bound = placed->bound;
	struct bk__quirk_group none = { .stack = bound->stack };
	struct access a = { .group = &none, .placed = placed, .width = 4 };
	struct bk__quirk_run run = run_of(&a);
	uint64_t length;

	placed->region = placed->rule->region;
	placed->first = bk__quirk_item_number(placed->rule->offset, &run);
	length = bk__quirk_item_number(placed->rule->length, &run);
	if (run.error)
		return at_fault(placed, err, run.error, "where this trap is cannot be read");
	if (!length || placed->first > UINT64_MAX - (length - 1))
		return at_fault(placed, err, -EINVAL, "this trap has no length, or reaches past the end");
	placed->last = placed->first + (length - 1);
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct bk__quirk_placed *x = a, *y = b;

	if (x->region != y->region)
		return x->region < y->region ? -1 : 1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int by_order(const void *a, const void *b)
{
	const struct bk__quirk_placed *x = a, *y = b;

	return x->order < y->order ? -1 : x->order > y->order;
}

static int add_accelerated(struct bk__quirk_placed *placed, struct bk__quirk_group *group,
			   struct bk_error *err)
{
	struct bk_error inner = { "" };
	const struct bk_trap_desc desc = {
		.region = placed->region,
		.offset = placed->first,
		.length = placed->last - placed->first + 1,
		.priority = PRIORITY_ACCELERATED,
		.accelerate = true,
		.name = placed->bound->quirk->name,
		.ops = &accelerated_ops,
		.opaque = group,
	};
	struct bk_trap *trap; /* stays as long as the mediator */
	int r = bk_trap_add(group->stack->mediate, &desc, &trap, &inner);

	return r ? at_fault(placed, err, r, inner.text) : 0;
}

/* One whose writes a rule before it may answer is asked in its turn. */
static bool comes_first(const struct bk__quirk_group *group, unsigned index)
{
	const struct bk__quirk_placed *placed = &group->rules[index];

	for (unsigned i = 0; i < index; i++) {
		const struct bk__quirk_placed *other = &group->rules[i];

		if (other->first <= placed->last && placed->first <= other->last &&
		    (other->rule->writes || !other->rule->reads))
			return false;
	}
	return true;
}

static int add_group(struct bk__quirk_group *group, uint64_t first, uint64_t last, struct bk_error *err)
{
	struct bk_error inner = { "" };
	struct bk_trap_desc desc = {
		.region = group->rules[0].region,
		.offset = first,
		.length = last - first + 1,
		.priority = PRIORITY,
		.ops = &group_ops,
		.opaque = group,
	};
	int r;

	qsort(group->rules, group->count, sizeof(*group->rules), by_order);
	desc.name = group->rules[0].bound->quirk->name;
	for (unsigned i = 0; i < group->count; i++)
		group->locked |= group->rules[i].bound->quirk->variable_count;
	r = bk_trap_add(group->stack->mediate, &desc, &group->trap, &inner);
	if (r)
		return at_fault(&group->rules[0], err, r, inner.text);
	for (unsigned i = 0; i < group->count && !r; i++)
		if (group->rules[i].rule->accelerate && comes_first(group, i))
			r = add_accelerated(&group->rules[i], group, err);
	return r;
}

/* Groups of rules that overlap; those that only touch are apart. */
static int add_groups(struct bk__quirk_stack *stack, unsigned count, struct bk_error *err)
{
	unsigned groups = 0;
	int r = 0;

	qsort(stack->rules, count, sizeof(*stack->rules), by_place);
	for (unsigned from = 0, end; from < count && !r; from = end) {
		const uint64_t first = stack->rules[from].first;
		uint64_t last = stack->rules[from].last;

		for (end = from + 1; end < count && stack->rules[end].region == stack->rules[from].region &&
				     stack->rules[end].first <= last;
		     end++)
			last = stack->rules[end].last > last ? stack->rules[end].last : last;
		stack->groups[groups] = (struct bk__quirk_group){
			.stack = stack,
			.rules = stack->rules + from,
			.count = end - from,
		};
		r = add_group(&stack->groups[groups++], first, last, err);
	}
	return r;
}

/* As the guest sees it: the table may be elsewhere than the device has it. */
static void find_msix(struct bk__quirk_stack *stack, const uint8_t *config, unsigned size)
{
	const unsigned cap = bk__pci_chain_find(config, size, false, BK__PCI_CAP_MSIX);
	const uint64_t table = cap && cap <= BK__PCI_EXTENDED - BK__PCI_MSIX_SIZE
				       ? bk__load(config + cap + BK__PCI_MSIX_TABLE, 4)
				       : 0;

	if (!cap || cap > BK__PCI_EXTENDED - BK__PCI_MSIX_SIZE)
		return;
	stack->msix_bar = table & BK__PCI_MSIX_BAR;
	stack->msix_offset = table & ~(uint64_t)BK__PCI_MSIX_BAR;
	stack->msix_size =
		(((unsigned)bk__load(config + cap + BK__PCI_MSIX_CONTROL, 2) & BK__PCI_MSIX_CONTROL_SIZE) +
		 1) *
		BK__PCI_MSIX_ENTRY;
}

static int read_guest(struct bk__quirk_stack *stack, struct bk_error *err)
{
	struct bk_space *space = bk_mediator_space(stack->mediate, BK_DEVICE_CONFIG);
	uint8_t config[BK__PCI_CONFIG_SIZE];
	const unsigned size = (unsigned)bk_space_last(space) + 1;
	int r = bk_space_read_bytes(space, 0, config, size);

	if (r < 0)
		return bk_fail(err, -r, "%s: config space cannot be read: %s", stack->below->name,
			       strerror(-r));
	for (size_t i = 0; i < stack->count; i++)
		bk__quirk_find_caps(stack->bound[i].quirk, config, size, stack->bound[i].guest_caps);
	find_msix(stack, config, size);
	return 0;
}

int bk_quirk_attach(struct bk_mediator *mediate, struct bk_error *err)
{
	struct bk__quirk_stack *stack = bk__quirk_stack_of(bk_mediator_below(mediate));
	unsigned count = 0;
	int r;

	if (!stack || stack->mediate)
		return bk_fail(err, EINVAL, "%s: has no quirks to attach", bk_mediator_below(mediate)->name);
	stack->mediate = mediate;
	r = read_guest(stack, err);
	for (size_t i = 0; i < stack->count; i++)
		count += stack->bound[i].quirk->rule_count;
	if (r || !count)
		return r;
	stack->rules = calloc(count, sizeof(*stack->rules));
	stack->groups = calloc(count, sizeof(*stack->groups));
	if (!stack->rules || !stack->groups)
		return bk_fail(err, ENOMEM, "%s: out of memory", stack->below->name);
	count = 0;
	for (size_t i = 0; i < stack->count; i++)
		for (unsigned j = 0; j < stack->bound[i].quirk->rule_count && !r; j++, count++) {
			struct bk__quirk_placed *placed = &stack->rules[count];

			placed->bound = &stack->bound[i];
			placed->rule = &stack->bound[i].quirk->rules[j];
			placed->order = count;
			r = place_rule(placed, err);
		}
	return r ? r : add_groups(stack, count, err);
}
