/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes one line for a person, whatever characters the names in it contain. */
#ifndef BARKEEP_BASE_LINE_H
#define BARKEEP_BASE_LINE_H

#include <barkeep/base.h>

#define BK__LINE ((int)sizeof(((struct bk_error *)0)->text)) /* bytes of a line, its end included */

void bk__base_line(char line[static BK__LINE], const char *format, va_list args);

#endif
