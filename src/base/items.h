/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts of the form `A,B,C`, in which a comma that belongs to an item is doubled. */
#ifndef BARKEEP_BASE_ITEMS_H
#define BARKEEP_BASE_ITEMS_H

/* Takes the next item off `*text`. NULL when out of memory; free it. */
char *bk__base_next_item(const char **text);

#endif
