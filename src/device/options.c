/* SPDX-License-Identifier: BSD-2-Clause */
/* The options of a device's kind: `NAME[,key=value]...`, with commas inside a value doubled. */
#include "device/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/items.h"

void bk__device_list(char *text, size_t room, const char *const *words)
{
	for (size_t i = 0; words[i]; i++) {
		size_t used = strlen(text);

		snprintf(text + used, room - used, "%s%s", !i ? "" : words[i + 1] ? ", " : " and ", words[i]);
	}
}

static int unknown_key(const char *key, const char *const *keys, struct bk_error *err)
{
	char list[200] = "";

	bk__device_list(list, sizeof(list), keys);
	return bk_fail(err, EINVAL, "this kind of device has no option `%s`; it has %s", key,
		       *list ? list : "none");
}

/* `item` is key=value; takes ownership of the value. */
static int take(char *item, const char *const *keys, struct bk__device_options *options, struct bk_error *err)
{
	char *value = strchr(item, '=');
	size_t i = 0;

	if (!value)
		return bk_fail(err, EINVAL,
			       "`%s` is not of the form key=value (double a comma that belongs to a name)",
			       item);
	*value++ = 0;
	while (keys[i] && strcmp(keys[i], item))
		i++;
	if (!keys[i])
		return unknown_key(item, keys, err);
	free(options->values[i]);
	options->values[i] = strdup(value);
	return options->values[i] ? 0 : bk_fail(err, ENOMEM, "out of memory");
}

int bk__device_options_parse(const char *text, const char *spec, const char *const *keys,
			     struct bk__device_options *options, struct bk_error *err)
{
	struct bk_error inner;
	const char *rest = text;
	int r = 0;

	memset(options, 0, sizeof(*options));
	options->name = bk__base_next_item(&rest);
	if (!options->name)
		r = bk_fail(&inner, ENOMEM, "out of memory");
	while (!r && *rest) {
		char *item = bk__base_next_item(&rest);

		r = item ? take(item, keys, options, &inner) : bk_fail(&inner, ENOMEM, "out of memory");
		free(item);
	}
	return r ? bk_fail(err, -r, "%s: %s", spec, inner.text) : 0;
}

void bk__device_options_free(struct bk__device_options *options)
{
	free(options->name);
	for (size_t i = 0; i < BK__DEVICE_KEYS_MAX; i++)
		free(options->values[i]);
	memset(options, 0, sizeof(*options));
}
