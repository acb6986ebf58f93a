/* SPDX-License-Identifier: BSD-2-Clause */
/* Which bytes of config space capabilities have, as config space itself tells. */
#ifndef BARKEEP_PCI_EXTENT_H
#define BARKEEP_PCI_EXTENT_H

#include <stdint.h>

/* Bytes of the capability at `offset`, an extended one from 0x100 on; it may be hostile. 0: that is not known
 * of its kind, or it makes no sense. */
unsigned bk__capability_length(const uint8_t *config, unsigned size, unsigned offset);

#endif
