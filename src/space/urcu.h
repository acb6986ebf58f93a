/* SPDX-License-Identifier: BSD-2-Clause */
/* liburcu by calls into the library, to check that the inline forms match it. */
#ifndef BARKEEP_SPACE_URCU_H
#define BARKEEP_SPACE_URCU_H

#include <stdbool.h>

void bk__space_urcu_register(void);
void bk__space_urcu_unregister(void);
void bk__space_urcu_lock(void);
void bk__space_urcu_unlock(void);
bool bk__space_urcu_ongoing(void);

#endif
