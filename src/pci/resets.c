/* SPDX-License-Identifier: BSD-2-Clause */
/* The second step of a reset: owners reset their devices, which takes as long as they need. */
#include "pci/resets.h"

#include <string.h>

#include "base/ratelimit.h"
#include "pci/function.h"
#include "pci/hierarchy.h"

/* Who waits for it may destroy it from then on. */
static void end(struct bk_pci_function *function, int result)
{
	bk__pci_function_lock(function);
	function->reset_result = result;
	atomic_store(&function->in_reset, false);
	bk__pci_function_settle(function); /* what changed above it meanwhile */
	pthread_cond_broadcast(&function->reset_ended);
	bk__pci_function_unlock(function);
}

int bk__pci_reset_end(struct bk__pci_resets *list, const struct bk_pci_function *asked)
{
	static struct bk__ratelimit limit;
	int result = 0;

	while (list->first) {
		struct bk_pci_function *function = list->first;
		const int error = function->desc.reset(function->desc.opaque);

		list->first = function->next_reset;
		if (function == asked)
			result = error;
		else if (error)
			bk__log_limited(&limit, BK_LOG_WARNING, "%s: not reset with its bus: %s",
					function->name, strerror(-error));
		end(function, error);
	}
	list->last = NULL;
	return result;
}

int bk__pci_reset_wait(struct bk_pci_function *function)
{
	int result;

	pthread_mutex_lock(&function->lock);
	while (atomic_load(&function->in_reset))
		pthread_cond_wait(&function->reset_ended, &function->lock);
	result = function->reset_result;
	pthread_mutex_unlock(&function->lock);
	return result;
}

/* ---- Calls of the owner -------------------------------------------------- */

bool bk_pci_function_in_reset(const struct bk_pci_function *function)
{
	return atomic_load(&function->in_reset);
}

int bk_pci_function_reset(struct bk_pci_function *function)
{
	struct bk__pci_resets list = { 0 };
	bool began;

	bk__pci_function_lock(function);
	began = bk__pci_reset_begin(function, BK__PCI_RESET_POWER, &list);
	bk__pci_function_unlock(function);
	if (began)
		return bk__pci_reset_end(&list, function);
	return bk__pci_reset_wait(function);
}
