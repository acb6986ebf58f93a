/* SPDX-License-Identifier: BSD-2-Clause */
/* A device that exists only in a file: opening `sim:FILE`. */
#ifndef BARKEEP_DEVICE_SIM_H
#define BARKEEP_DEVICE_SIM_H

#include <barkeep/device.h>

/* `file` is what follows "sim:" in `spec`, which becomes the device's name. Errors say file, line and column.
 */
int bk__sim_open(const char *file, const char *spec, struct bk_device **device, struct bk_error *err);

#endif
