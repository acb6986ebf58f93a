/* SPDX-License-Identifier: BSD-2-Clause */
/* A sim's interrupts: registers set pending bits, and other registers clear them. */
#include "device/sim_parts.h"

void bk__sim_irqs_update(struct sim *sim)
{
	bk__device_irqs_level(&sim->irqs, sim->pending && !bk__sim_config_intx_disabled(sim));
}

void bk__sim_irqs_raise(struct sim *sim, uint64_t bits, unsigned vector)
{
	sim->pending |= bits;
	sim->raised++;
	if (!bk__device_irqs_fire(&sim->irqs, vector))
		bk__sim_irqs_update(sim);
}

void bk__sim_irqs_acknowledge(struct sim *sim, uint64_t bits)
{
	sim->pending &= ~bits;
}
