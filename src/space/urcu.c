/* SPDX-License-Identifier: BSD-2-Clause */
/* The rest of this room uses the inline forms of liburcu's functions. This file calls the functions
 * themselves, to check that the loaded library matches the inline forms. */
#include <stdbool.h>

#undef _LGPL_SOURCE /* calls, not inline forms */
#include <urcu/urcu-memb.h>

#include "space/urcu.h"

void bk__space_urcu_register(void)
{
	urcu_memb_register_thread();
}

void bk__space_urcu_unregister(void)
{
	urcu_memb_unregister_thread();
}

void bk__space_urcu_lock(void)
{
	urcu_memb_read_lock();
}

void bk__space_urcu_unlock(void)
{
	urcu_memb_read_unlock();
}

bool bk__space_urcu_ongoing(void)
{
	return urcu_memb_read_ongoing();
}
