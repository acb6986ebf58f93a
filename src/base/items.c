/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts of the form `A,B,C`, in which a comma that belongs to an item is doubled. */
#include "base/items.h"

#include <stdlib.h>
#include <string.h>

char *bk__base_next_item(const char **text)
{
	const char *from = *text;
	char *item = malloc(strlen(from) + 1), *to = item;

	if (!item)
		return NULL;
	for (; *from; from++) {
		if (*from == ',') {
			if (from[1] != ',')
				break;
			from++;
		}
		*to++ = *from;
	}
	*to = 0;
	*text = *from ? from + 1 : from;
	return item;
}
