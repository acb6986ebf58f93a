/* SPDX-License-Identifier: BSD-2-Clause */
/* For fronts whose devices are reset by others. */
#ifndef BARKEEP_QUIRK_WAS_RESET_H
#define BARKEEP_QUIRK_WAS_RESET_H

#include <barkeep/device.h>

/* The device below was reset behind our back: the variables of its quirks start again. Nothing for a device
 * without quirks. Any thread. */
void bk__quirk_was_reset(struct bk_device *device);

#endif
