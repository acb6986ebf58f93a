/* SPDX-License-Identifier: BSD-2-Clause */
/* The locks for changes of registers: the function's, and for a bridge also the host's. */
#include "pci/bus.h"
#include "pci/function.h"

/* A bridge may have to reset what is below; functions must not come or go meanwhile. */
void bk__pci_function_lock(struct bk_pci_function *function)
{
	if (function->secondary)
		pthread_mutex_lock(&function->secondary->host->lock);
	pthread_mutex_lock(&function->lock);
}

void bk__pci_function_unlock(struct bk_pci_function *function)
{
	struct bk_pci_bus *below = function->secondary;

	pthread_mutex_unlock(&function->lock); /* it may be gone from then on */
	if (below)
		pthread_mutex_unlock(&below->host->lock);
}
