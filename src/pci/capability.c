/* SPDX-License-Identifier: BSD-2-Clause */
/* Public calls that add a capability of any kind, or remove one. */
#include <errno.h>

#include "base/struct.h"
#include "pci/cap.h"
#include "pci/express.h"
#include "pci/function.h"
#include "pci/hierarchy.h"
#include "pci/kind.h"

int bk_pci_capability_add(struct bk_pci_function *function, const struct bk_pci_capability_desc *caller)
{
	struct bk_pci_capability_desc desc;
	int at = bk__struct_take(&desc, sizeof(desc), caller);

	if (at)
		return at;
	if (!desc.extended && desc.id > UINT8_MAX)
		return -EINVAL;
	bk__pci_function_lock(function);
	at = bk__pci_capability_add(function, desc.extended, desc.id, desc.version, desc.offset, desc.size,
				    desc.bytes, desc.writable, desc.w1c);
	bk__pci_function_unlock(function);
	return at;
}

int bk_pci_express_add(struct bk_pci_function *function, unsigned offset, const void *bytes, unsigned size)
{
	int at;

	bk__pci_function_lock(function);
	at = bk__pci_express_add(function, offset, bytes, size);
	if (at >= 0 && function->secondary)
		bk__pci_bus_forward(function->secondary); /* it is another kind of bus now */
	bk__pci_function_unlock(function);
	return at;
}

static int drop(struct bk_pci_function *function, unsigned offset)
{
	if (!bk__pci_capability_begins(function, offset))
		return -ENOENT;
	if (function->slot.there && offset == function->express)
		return -EBUSY;
	bk__pci_kinds_forget(function, offset); /* while its registers are there */
	bk__pci_capability_drop(function, offset);
	bk__pci_function_settle(function);
	return 0;
}

int bk_pci_capability_remove(struct bk_pci_function *function, unsigned offset)
{
	int error;

	bk__pci_function_lock(function);
	error = drop(function, offset);
	bk__pci_function_unlock(function);
	return error;
}
