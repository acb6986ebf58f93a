/* SPDX-License-Identifier: BSD-2-Clause */
/* INTx: the host's lines, each of which is the OR of the functions on it (PCI 3.0 2.2.6). */
#include <errno.h>

#include "pci/bus.h"
#include "pci/function.h"

static void drive(struct bk_pci_function *function, bool asserted)
{
	struct bk_pci_host *host = function->bus->host;
	unsigned line = (unsigned)function->line;
	bool was;

	function->intx_asserted = asserted;
	pthread_mutex_lock(&host->intx_lock);
	was = host->asserted[line] != 0;
	if (asserted)
		host->asserted[line]++;
	else
		host->asserted[line]--;
	if (was != (host->asserted[line] != 0) && host->desc.intx)
		host->desc.intx(host->desc.opaque, line, !was);
	pthread_mutex_unlock(&host->intx_lock);
}

void bk__pci_intx_settle(struct bk_pci_function *function)
{
	bool asserted = function->intx_level && function->line >= 0 &&
			function->irq.mode == BK_PCI_IRQ_INTX && bk__pci_pm_state(function) == 0 &&
			!(bk__pci_command(function) & BK__PCI_COMMAND_INTX_DISABLE) &&
			!atomic_load(&function->in_reset);

	if (asserted != function->intx_asserted)
		drive(function, asserted);
}

void bk__pci_intx_move(struct bk_pci_function *function, int line)
{
	if (function->intx_asserted)
		drive(function, false);
	function->line = line;
	bk__pci_intx_settle(function);
}

int bk_pci_function_intx_line(struct bk_pci_function *function)
{
	int line;

	pthread_mutex_lock(&function->lock);
	line = function->line;
	pthread_mutex_unlock(&function->lock);
	return line < 0 ? -ENOENT : line;
}

int bk_pci_function_set_intx(struct bk_pci_function *function, bool level)
{
	if (!function->desc.pin)
		return -ENOENT;
	pthread_mutex_lock(&function->lock);
	function->intx_level = level;
	bk__pci_intx_settle(function);
	pthread_mutex_unlock(&function->lock);
	return 0;
}
