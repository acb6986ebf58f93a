/* SPDX-License-Identifier: BSD-2-Clause */
/* What every thread that barkeep starts does first. */
#include "base/thread.h"

#include <stddef.h>

static bk__base_thread_hook *thread_hook;

void bk__base_thread_set_hook(bk__base_thread_hook *hook)
{
	thread_hook = hook;
}

void bk__base_thread_enter(const char *kind)
{
	if (thread_hook)
		thread_hook(kind);
}
