/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is shown each finished access of a mediator. */
#include "mediate/finish.h"

#include <errno.h>
#include <stdlib.h>

#include "space/ends.h"

struct bk__mediate_recorder {
	bk_access_fn *fn;
	void *opaque;
};

void bk__mediate_record(struct bk_mediator *m, const struct bk_access *access)
{
	const struct bk__mediate_recorder *recorder = __atomic_load_n(&m->recorder, __ATOMIC_ACQUIRE);

	if (recorder) /* it may be gone since the caller looked */
		recorder->fn(recorder->opaque, access);
}

int bk_mediator_record(struct bk_mediator *m, bk_access_fn *record, void *opaque)
{
	struct bk__mediate_recorder *recorder = NULL;

	if (bk__space_must_not_wait(m->domain))
		return -EDEADLK;
	if (record) {
		recorder = malloc(sizeof(*recorder));
		if (!recorder)
			return -ENOMEM;
		*recorder = (struct bk__mediate_recorder){ record, opaque };
	}
	recorder = __atomic_exchange_n(&m->recorder, recorder, __ATOMIC_ACQ_REL);
	if (recorder)
		bk_domain_synchronize(m->domain); /* accesses that have seen it */
	free(recorder);
	return 0;
}
