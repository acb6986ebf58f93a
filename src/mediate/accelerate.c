/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes that a trap would only pass on, made without it.
 *
 * If a trap allows it, the mediator looks for a write that repeats with the same value, and asks the monitor
 * to let the host's kernel make it. There are few such writes, and a reset of the function ends them all.
 */
#include "mediate/mediate.h"

#include <errno.h>

#include "base/struct.h"

static bool is_there(const struct bk_mediator *m, const struct bk_trap *trap)
{
	for (size_t i = 0; i < m->traps.count; i++)
		if (m->traps.at[i] == trap)
			return true;
	return false;
}

/* Under the lock, so no trap is removed meanwhile. */
static void start(struct bk_mediator *m, struct bk_trap *trap, const struct bk_accelerated *what)
{
	struct bk__mediate_accelerated *to = &m->accelerated[m->accelerated_count];

	if (!m->accelerator.start || m->accelerated_count == BK__ACCELERATED || !is_there(m, trap))
		return;
	for (unsigned i = 0; i < m->accelerated_count; i++) {
		const struct bk__mediate_accelerated *other = &m->accelerated[i];

		if (other->trap == trap && other->offset == what->offset && other->width == what->width &&
		    other->value == what->value)
			return;
	}
	*to = (struct bk__mediate_accelerated){
		.trap = trap, .offset = what->offset, .width = what->width, .value = what->value
	};
	if (m->accelerator.start(m->accelerator_opaque, what, &to->handle))
		return;
	m->accelerated_count++;
}

void bk__mediate_accelerate_note(struct bk_trap *trap, uint64_t offset, unsigned width, uint64_t value)
{
	struct bk_mediator *m = trap->mediate;
	struct bk__mediate_repeated *repeated = &trap->repeated;
	const struct bk_accelerated what = {
		.struct_size = sizeof(what),
		.region = trap->handle,
		.bar = trap->region,
		.offset = offset,
		.region_offset = offset - trap->offset,
		.width = width,
		.value = value,
	};
	unsigned times;

	pthread_mutex_lock(&m->repeated_lock);
	if (repeated->offset != offset || repeated->width != width || repeated->value != value)
		*repeated = (struct bk__mediate_repeated){ .offset = offset, .width = width, .value = value };
	times = repeated->times < BK_ACCELERATE_AFTER + 1 ? ++repeated->times : repeated->times;
	pthread_mutex_unlock(&m->repeated_lock);
	if (times != BK_ACCELERATE_AFTER || !bk__mediate_device_has(m, trap->region, offset, width))
		return;
	pthread_mutex_lock(&m->lock);
	start(m, trap, &what);
	pthread_mutex_unlock(&m->lock);
}

void bk__mediate_accelerate_stop(struct bk_mediator *m, const struct bk_trap *trap)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < m->accelerated_count; i++) {
		if (!trap || m->accelerated[i].trap == trap)
			m->accelerator.stop(m->accelerator_opaque, m->accelerated[i].handle);
		else
			m->accelerated[kept++] = m->accelerated[i];
	}
	m->accelerated_count = kept;
}

unsigned bk__mediate_accelerate_count(const struct bk_mediator *m, const struct bk_trap *trap)
{
	unsigned count = 0;

	for (unsigned i = 0; i < m->accelerated_count; i++)
		count += m->accelerated[i].trap == trap;
	return count;
}

/* Every write has to repeat as often as before. Under the lock. */
static void begin_anew(struct bk_mediator *m)
{
	bk__mediate_accelerate_stop(m, NULL);
	pthread_mutex_lock(&m->repeated_lock);
	for (size_t i = 0; i < m->traps.count; i++)
		m->traps.at[i]->repeated.times = 0;
	pthread_mutex_unlock(&m->repeated_lock);
}

void bk__mediate_accelerate_reset(struct bk_mediator *m)
{
	pthread_mutex_lock(&m->lock);
	begin_anew(m);
	pthread_mutex_unlock(&m->lock);
}

int bk_mediator_accelerate(struct bk_mediator *m, const struct bk_accelerator_ops *ops, void *opaque)
{
	struct bk_accelerator_ops taken = { 0 };
	int error = ops ? bk__struct_take(&taken, sizeof(taken), ops) : 0;

	if (error)
		return error;
	pthread_mutex_lock(&m->lock);
	begin_anew(m);
	m->accelerator = taken;
	m->accelerator_opaque = opaque;
	pthread_mutex_unlock(&m->lock);
	return 0;
}
