/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is shown each finished access of a mediator. */
#include "mediate/finish.h"

#include <errno.h>
#include <sched.h>

#include "space/ends.h"

/* Counts itself as a user first, and uses the recorder if it is still the current one. */
void bk__mediate_record(struct bk_mediator *m, const struct bk_access *access)
{
	unsigned which = __atomic_load_n(&m->recording, __ATOMIC_SEQ_CST);

	while (which) {
		struct bk__mediate_recorder *recorder = &m->recorders[which - 1];
		const unsigned before = which;

		__atomic_fetch_add(&recorder->users, 1, __ATOMIC_SEQ_CST);
		which = __atomic_load_n(&m->recording, __ATOMIC_SEQ_CST);
		if (which == before) {
			recorder->fn(recorder->opaque, access);
			which = 0;
		}
		__atomic_fetch_sub(&recorder->users, 1, __ATOMIC_SEQ_CST);
	}
}

int bk_mediator_record(struct bk_mediator *m, bk_access_fn *record, void *opaque)
{
	const unsigned old = __atomic_load_n(&m->recording, __ATOMIC_RELAXED), next = old == 1 ? 2 : 1;

	if (bk__space_must_not_wait(m->domain))
		return -EDEADLK;
	if (record) {
		m->recorders[next - 1].fn = record;
		m->recorders[next - 1].opaque = opaque;
	}
	__atomic_store_n(&m->recording, record ? next : 0, __ATOMIC_SEQ_CST);
	while (old && __atomic_load_n(&m->recorders[old - 1].users, __ATOMIC_SEQ_CST))
		sched_yield();
	return 0;
}
